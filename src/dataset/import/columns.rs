//! Builders of attribute columns and entity tables.

use super::error::{DatasetError, Fault, FileName};
use super::rows::{Row, elements};
use super::values::{CellRules, availability};
use crate::{
    dataset::{Column, Entities, MISSING, NO_INTEGER, Values},
    domain::IdTable,
};

/// How the cells of an attribute column are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ColumnType {
    Category,
    Number,
    /// A number of at least 0.
    Price,
    /// 1 where an article can be bought, else 0.
    Availability,
    /// Several values a cell, separated by this text.
    Tags {
        separator: String,
    },
    /// A number if at least nine tenths of the values are numbers, the others then missing; else a
    /// category.
    MostlyNumber,
    /// Nothing that an attribute can be.
    Ignored,
}

/// A column under construction.
pub(super) struct ColumnBuilder {
    name: String,
    kind: ColumnType,
    /// Tags that later rows may replace are categories until the end.
    values: Values,
}

/// What a cell says.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cell<'a> {
    Missing,
    Number(f32),
    Text(&'a str),
}

impl ColumnBuilder {
    /// A column whose cells later rows may replace if `is_replaceable`.
    pub fn new(name: &str, kind: ColumnType, is_replaceable: bool) -> Self {
        let values = match kind {
            ColumnType::Number | ColumnType::Price | ColumnType::Availability => {
                Values::Number(Vec::new())
            }
            ColumnType::Tags { .. } if !is_replaceable => no_tags(),
            _ => Values::Category { codes: Vec::new(), dictionary: IdTable::new() },
        };
        Self { name: name.to_owned(), kind, values }
    }

    /// Reads the cell of a row. What cannot be read is missing, and noted in `unreadable`.
    pub fn read<'r>(
        &self,
        row: &'r Row,
        column: usize,
        rules: &CellRules,
        unreadable: &mut Vec<Fault>,
    ) -> Cell<'r> {
        let number = match self.kind {
            ColumnType::Number => {
                rules.optional(row, column, unreadable, |text| rules.number(text))
            }
            ColumnType::Price => rules.optional(row, column, unreadable, |text| rules.price(text)),
            ColumnType::Availability => rules.optional(row, column, unreadable, availability),
            _ => {
                return match row.text(column) {
                    Ok(text) if rules.missing.holds_in_text(text) => Cell::Missing,
                    Ok(text) => Cell::Text(text),
                    Err(fault) => {
                        unreadable.push(fault);
                        Cell::Missing
                    }
                };
            }
        };
        number.map_or(Cell::Missing, Cell::Number)
    }

    /// Adds the cell of the next row.
    pub fn push(&mut self, cell: Cell) {
        match &mut self.values {
            Values::Number(values) => {
                values.push(if let Cell::Number(number) = cell { number } else { f32::NAN })
            }
            // Made of categories, at the end.
            Values::Integer(values) => values.push(NO_INTEGER),
            Values::Category { codes, dictionary } => codes.push(code(dictionary, cell)),
            Values::Tags { offsets, codes, dictionary } => {
                if let (Cell::Text(text), ColumnType::Tags { separator }) = (cell, &self.kind) {
                    codes
                        .extend(elements(text, separator).iter().map(|tag| dictionary.insert(tag)));
                }
                offsets.push(codes.len() as u32);
            }
        }
    }

    /// Gives an earlier row another value: one that it misses, or with `replace` any. A missing
    /// cell changes nothing.
    pub fn set(&mut self, row: usize, cell: Cell, replace: bool) {
        match (&mut self.values, cell) {
            (_, Cell::Missing) => {}
            (Values::Number(values), Cell::Number(number)) if replace || values[row].is_nan() => {
                values[row] = number
            }
            (Values::Category { codes, dictionary }, cell) if replace || codes[row] == MISSING => {
                codes[row] = code(dictionary, cell);
            }
            _ => {}
        }
    }

    /// Whether the column could still take a block of new text without leaving the range of its
    /// codes.
    fn has_room(&self, bytes: usize) -> bool {
        let fits = |used: usize| used + bytes < u32::MAX as usize;
        match &self.values {
            Values::Number(_) | Values::Integer(_) => true,
            Values::Category { dictionary, .. } => fits(dictionary.text_len()),
            Values::Tags { codes, dictionary, .. } => {
                fits(dictionary.text_len()) && fits(codes.len())
            }
        }
    }

    fn finish(mut self, rows: usize, notes: &mut Vec<String>) -> Column {
        let len = match &self.values {
            Values::Number(values) => values.len(),
            Values::Integer(values) => values.len(),
            Values::Category { codes, .. } => codes.len(),
            Values::Tags { offsets, .. } => offsets.len() - 1,
        };
        (len..rows).for_each(|_| self.push(Cell::Missing));
        if let (ColumnType::Tags { .. }, Values::Category { codes, dictionary }) =
            (&self.kind, &mut self.values)
        {
            let (codes, dictionary) = (std::mem::take(codes), std::mem::take(dictionary));
            self.values = no_tags();
            for code in codes {
                self.push(if code == MISSING {
                    Cell::Missing
                } else {
                    Cell::Text(dictionary.get(code))
                });
            }
        }
        if self.kind == ColumnType::MostlyNumber {
            let (values, lost) = into_numbers(self.values);
            self.values = values;
            if lost > 0 {
                notes.push(format!(
                    "column `{}`: {lost} values are no numbers and count as missing",
                    self.name
                ));
            }
        }
        Column { name: self.name, values: self.values }
    }
}

fn no_tags() -> Values {
    Values::Tags { offsets: vec![0], codes: Vec::new(), dictionary: IdTable::new() }
}

fn code(dictionary: &mut IdTable, cell: Cell) -> u32 {
    if let Cell::Text(text) = cell { dictionary.insert(text) } else { MISSING }
}

/// A finite number; empty and `NaN` are missing.
pub(super) fn number(cell: &str) -> Option<f32> {
    if cell.is_empty() || cell.eq_ignore_ascii_case("nan") {
        return Some(f32::NAN);
    }
    cell.parse::<f32>().ok().filter(|number| number.is_finite())
}

/// The cells as whole numbers, if all numbers are whole and an f32 would change one of them.
fn into_integers(codes: &[u32], dictionary: &IdTable) -> Option<Vec<i64>> {
    let mut meanings = Vec::with_capacity(dictionary.len());
    for text in dictionary.iter() {
        meanings.push(match number(text) {
            Some(number) if !number.is_nan() => text.parse::<i64>().ok()?,
            _ => NO_INTEGER,
        });
    }
    let changes = |&integer: &i64| integer != NO_INTEGER && integer as f32 as i64 != integer;
    let meaning = |&code: &u32| meanings.get(code as usize).copied().unwrap_or(NO_INTEGER);
    meanings.iter().any(changes).then(|| codes.iter().map(meaning).collect())
}

/// A category column as numbers when nine tenths of its values are, and how many values that loses.
fn into_numbers(values: Values) -> (Values, usize) {
    let Values::Category { codes, dictionary } = values else { return (values, 0) };
    let meanings: Vec<f32> =
        dictionary.iter().map(|text| number(text).unwrap_or(f32::NAN)).collect();
    let numbers: Vec<f32> = codes
        .iter()
        .map(|&code| meanings.get(code as usize).copied().unwrap_or(f32::NAN))
        .collect();
    let present = codes.iter().filter(|&&code| code != MISSING).count();
    let numeric = numbers.iter().filter(|number| !number.is_nan()).count();
    if numeric > 0 && numeric * 10 >= present * 9 {
        let integers = into_integers(&codes, &dictionary).map(Values::Integer);
        (integers.unwrap_or(Values::Number(numbers)), present - numeric)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_beyond_24_bits_stay_exact() {
        let column = |texts: &[&str]| {
            let mut column = ColumnBuilder::new("ean", ColumnType::MostlyNumber, false);
            texts.iter().for_each(|text| {
                column.push(if text.is_empty() { Cell::Missing } else { Cell::Text(text) })
            });
            column.finish(texts.len(), &mut Vec::new()).values
        };
        let exact = column(&["4006381333931", "", "16777217", "5"]);
        assert_eq!(
            [0, 1, 2, 3].map(|row| exact.integer(row)),
            [Some(4_006_381_333_931), None, Some(16_777_217), Some(5)]
        );
        assert_eq!(exact.number(3), Some(5.0));
        assert!(matches!(column(&["16777216", "", "5"]), Values::Number(_)));
        assert!(matches!(column(&["16777217.5", "5"]), Values::Number(_)));
        assert!(matches!(column(&["4006381333931", "red", "blue"]), Values::Category { .. }));
    }
}
