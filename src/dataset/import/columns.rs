//! Builders of attribute columns and entity tables.

use super::block::LIST_END;
use super::error::{DatasetError, Fault, FileName, Reason, shown};
use crate::{
    dataset::{Column, Entities, MISSING, Values},
    domain::IdTable,
};

/// How the cells of an attribute column are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ColumnType {
    Category,
    Number,
    /// Several values a cell, separated by this text.
    Tags {
        separator: String,
    },
    /// A number if at least nine tenths of the values are numbers, the others then missing; else a category.
    MostlyNumber,
    /// Nothing that an attribute can be.
    Ignored,
}

/// A column under construction. Cells are checked before any cell of their row is pushed, so a bad row
/// leaves no trace.
pub(super) struct ColumnBuilder {
    name: String,
    kind: ColumnType,
    values: Values,
}

impl ColumnBuilder {
    pub fn new(name: &str, kind: ColumnType) -> Self {
        let values = match kind {
            ColumnType::Number => Values::Number(Vec::new()),
            ColumnType::Tags { .. } => Values::Tags { offsets: vec![0], codes: Vec::new(), dictionary: IdTable::new() },
            _ => Values::Category { codes: Vec::new(), dictionary: IdTable::new() },
        };
        Self { name: name.to_owned(), kind, values }
    }

    /// Whether a cell can be pushed; `index` is its column in the file.
    pub fn check(&self, cell: &str, index: usize) -> Result<(), Fault> {
        match self.values {
            Values::Number(_) => number(cell).map(drop).ok_or_else(|| Fault::at(index, Reason::Number(shown(cell)))),
            _ => Ok(()),
        }
    }

    /// Adds a checked cell; an empty one is missing.
    pub fn push(&mut self, cell: &str) {
        match &mut self.values {
            Values::Number(values) => values.push(number(cell).unwrap_or(f32::NAN)),
            Values::Category { codes, dictionary } => {
                codes.push(if cell.is_empty() { MISSING } else { dictionary.insert(cell) });
            }
            Values::Tags { offsets, codes, dictionary } => {
                let separator = match &self.kind {
                    ColumnType::Tags { separator } if !cell.contains(LIST_END as char) => separator,
                    _ => &(LIST_END as char).to_string(),
                };
                let tags = cell.split(separator.as_str()).map(str::trim).filter(|tag| !tag.is_empty());
                codes.extend(tags.map(|tag| dictionary.insert(tag)));
                offsets.push(codes.len() as u32);
            }
        }
    }

    /// Whether the column could still take a block of new text without leaving the range of its codes.
    fn has_room(&self, bytes: usize) -> bool {
        let fits = |used: usize| used + bytes < u32::MAX as usize;
        match &self.values {
            Values::Number(_) => true,
            Values::Category { dictionary, .. } => fits(dictionary.text_len()),
            Values::Tags { codes, dictionary, .. } => fits(dictionary.text_len()) && fits(codes.len()),
        }
    }

    fn finish(mut self, rows: usize, notes: &mut Vec<String>) -> Column {
        let len = match &self.values {
            Values::Number(values) => values.len(),
            Values::Category { codes, .. } => codes.len(),
            Values::Tags { offsets, .. } => offsets.len() - 1,
        };
        (len..rows).for_each(|_| self.push(""));
        if self.kind == ColumnType::MostlyNumber {
            let (values, lost) = into_numbers(self.values);
            self.values = values;
            if lost > 0 {
                notes.push(format!("column `{}`: {lost} values are no numbers and count as missing", self.name));
            }
        }
        Column { name: self.name, values: self.values }
    }
}

/// A finite number; empty and `NaN` are missing.
pub(super) fn number(cell: &str) -> Option<f32> {
    if cell.is_empty() || cell.eq_ignore_ascii_case("nan") {
        return Some(f32::NAN);
    }
    cell.parse::<f32>().ok().filter(|number| number.is_finite())
}

/// A category column as numbers when nine tenths of its values are, and how many values that loses.
fn into_numbers(values: Values) -> (Values, usize) {
    let Values::Category { codes, dictionary } = values else { return (values, 0) };
    let meanings: Vec<f32> = dictionary.iter().map(|text| number(text).unwrap_or(f32::NAN)).collect();
    let numbers: Vec<f32> =
        codes.iter().map(|&code| meanings.get(code as usize).copied().unwrap_or(f32::NAN)).collect();
    let present = codes.iter().filter(|&&code| code != MISSING).count();
    let numeric = numbers.iter().filter(|number| !number.is_nan()).count();
    if numeric > 0 && numeric * 10 >= present * 9 {
        (Values::Number(numbers), present - numeric)
    } else {
        (Values::Category { codes, dictionary }, 0)
    }
}

/// An entity table under construction.
#[derive(Default)]
pub(super) struct EntitiesBuilder {
    pub ids: IdTable,
    pub columns: Vec<ColumnBuilder>,
}

impl EntitiesBuilder {
    /// # Errors
    /// When `bytes` more of text might not fit 32-bit positions.
    pub fn check_room(&self, bytes: usize, file: &FileName) -> Result<(), DatasetError> {
        let what = "more than 4 GiB of distinct text in one column; leave the column out with `keep` in dataset.toml";
        let ids = self.ids.text_len() + bytes < u32::MAX as usize;
        let fits = ids && self.columns.iter().all(|column| column.has_room(bytes));
        if fits { Ok(()) } else { Err(DatasetError::TooLarge { file: file.clone(), what }) }
    }

    /// The table; rows that purchases added have missing attributes.
    pub fn finish(self, notes: &mut Vec<String>) -> Entities {
        let rows = self.ids.len();
        let columns = self.columns.into_iter().map(|column| column.finish(rows, notes)).collect();
        Entities { ids: self.ids, columns, vectors: Vec::new() }
    }
}
