//! `join`: columns of another table, found by a key, such as the customer and the time of an order
//! for its lines.

use super::{Rows, TablePlan};
use crate::{
    dataset::import::{
        block::read_ahead,
        error::{DatasetError, Fault, FileName, Reason, shown},
        session::Session,
    },
    domain::IdTable,
};
use std::borrow::Cow;

/// The table that is joined, and by which columns.
#[derive(Debug, Clone)]
pub(in crate::dataset::import) struct JoinPlan {
    /// With a join of its own, whose columns become columns of this one.
    pub table: TablePlan,
    /// The column of the rows that holds the key.
    pub left: String,
    /// The column of this table that holds it.
    pub right: String,
}

impl JoinPlan {
    /// The columns of the rows whose cells are keys; those of joins behind this one may be columns
    /// of the rows as well.
    pub fn left_columns(&self) -> Vec<&str> {
        std::iter::once(self.left.as_str()).chain(self.table.columns()).collect()
    }
}

/// A table in memory: one row a key, each column as codes of distinct texts.
pub(in crate::dataset::import) struct Joined {
    pub left: String,
    file: FileName,
    right: String,
    keys: IdTable,
    columns: Vec<JoinedColumn>,
    /// All columns of the first file, for messages.
    available: Vec<String>,
    /// The table behind this one, and the index of the column that is its key.
    next: Option<(usize, Box<Joined>)>,
}

struct JoinedColumn {
    name: String,
    codes: Vec<u32>,
    texts: IdTable,
}

impl Joined {
    /// The names of all columns, those of the tables behind this one last.
    pub fn columns(&self) -> Vec<&str> {
        let own = self.columns.iter().map(|column| column.name.as_str());
        own.chain(self.next.iter().flat_map(|(_, next)| next.columns())).collect()
    }

    /// The names of all columns that could be kept.
    pub fn available(&self) -> Vec<&str> {
        let own = self.available.iter().map(String::as_str);
        own.chain(self.next.iter().flat_map(|(_, next)| next.available())).collect()
    }

    /// Adds the cells of the row with this key.
    pub fn add_row<'j>(&'j self, key: &str, cells: &mut Vec<Cow<'j, str>>) -> Result<(), Fault> {
        let key = key.trim();
        // A data frame writes a whole number as a float where values are missing.
        let found = self.keys.find(key).or_else(|| self.keys.find(key.strip_suffix(".0")?));
        let Some(row) = found else {
            return Err(Fault::of_row(Reason::NoPartner {
                file: self.file.clone(),
                column: self.right.clone(),
                key: shown(key),
            }));
        };
        cells.extend(self.columns.iter().map(|column| Cow::Borrowed(column.text(row))));
        match &self.next {
            Some((column, next)) => next.add_row(self.columns[*column].text(row), cells),
            None => Ok(()),
        }
    }
}

impl JoinedColumn {
    fn text(&self, row: u32) -> &str {
        self.texts.get(self.codes[row as usize])
    }
}

/// Reads the tables of a join. Of each, only the columns that `wanted` asks for are kept; `None`:
/// all that have a name.
///
/// # Errors
/// As for every table; too much text.
pub(in crate::dataset::import) fn read_joined(
    plan: &JoinPlan,
    wanted: Option<&[&str]>,
    session: &mut Session,
) -> Result<Joined, DatasetError> {
    let next =
        plan.table.join.as_deref().map(|next| read_joined(next, wanted, session)).transpose()?;
    let needed = next.as_ref().map(|next| next.left.clone());
    let mut joined = Joined {
        left: plan.left.clone(),
        file: plan
            .table
            .files
            .first()
            .map_or_else(|| std::path::Path::new("").into(), |file| file.path.as_path().into()),
        right: plan.right.clone(),
        keys: IdTable::new(),
        columns: Vec::new(),
        available: Vec::new(),
        next: None,
    };
    session.begin_table(&format!("{} (joined)", joined.file.last_part()));
    let mut repeated = 0;
    for file in &plan.table.files {
        let mut source = file.open(session.block)?;
        let layout = source.layout().clone();
        let rows = Rows::new(&plan.table, &layout, None)?;
        let key = rows.column(&plan.right)?;
        let is_kept = |name: &&String| {
            let is_wanted = wanted.is_none_or(|wanted| wanted.contains(&name.as_str()))
                || needed.as_ref() == Some(name);
            !name.is_empty() && **name != plan.right && is_wanted
        };
        if joined.available.is_empty() {
            joined.available = layout.columns.clone();
            let names = layout.columns.iter().filter(is_kept);
            joined.columns = names.map(|name| JoinedColumn::new(name)).collect();
        }
        let columns: Vec<usize> = joined
            .columns
            .iter()
            .map(|column| rows.column(&column.name))
            .collect::<Result<_, _>>()?;
        source.want(&rows.wanted(&[&[key][..], &columns].concat()))?;
        let progress = session.progress(&layout.file, source.expected());
        let mut count = 0;
        for block in read_ahead(source) {
            let block = block?;
            joined.check_room(block.size())?;
            let mut tally = super::Tally::default();
            rows.for_each(&block, &super::Above::default(), &mut tally, |row, _| {
                let key = row.id(key)?.trim();
                if key.is_empty() {
                    return Err(super::Unused::NotCounted(super::NotCounted::NoId));
                }
                if joined.keys.find(key).is_some() {
                    repeated += 1;
                    return Err(super::Unused::NotCounted(super::NotCounted::Repeated));
                }
                // Both before anything is added: a rejected row leaves no trace.
                let texts: Vec<&str> =
                    columns.iter().map(|&column| row.text(column)).collect::<Result<_, _>>()?;
                joined.keys.insert(key);
                for (column, text) in joined.columns.iter_mut().zip(texts) {
                    column.codes.push(column.texts.insert(text));
                }
                Ok(())
            });
            count += tally.rows;
            progress.advance(block.size(), tally.rows);
            session.add(tally)?;
        }
        session.file_done(&layout.file, count, progress);
    }
    if repeated > 0 {
        let note = format!(
            "{}: {repeated} rows repeat a value of `{}`; the first row of each value is joined",
            joined.file, plan.right
        );
        session.report.notes.push(note);
    }
    session.end_table(joined.keys.len() as u64)?;
    if let Some(next) = next {
        let column = joined.columns.iter().position(|column| column.name == next.left);
        let missing = || DatasetError::Header {
            file: joined.file.clone(),
            column: next.left.clone(),
            detail: format!("no such column to join by; there are {}", joined.columns().join(", ")),
        };
        joined.next = Some((column.ok_or_else(missing)?, Box::new(next)));
    }
    Ok(joined)
}

impl JoinedColumn {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), codes: Vec::new(), texts: IdTable::new() }
    }
}

impl Joined {
    /// # Errors
    /// When `bytes` more of text might not fit 32-bit positions.
    fn check_room(&self, bytes: usize) -> Result<(), DatasetError> {
        let tables = self.columns.iter().map(|column| &column.texts).chain([&self.keys]);
        let longest = tables.map(IdTable::text_len).max().unwrap_or(0);
        let what = "more than 4 GiB of distinct text in one column of a joined table";
        if longest + bytes < u32::MAX as usize {
            return Ok(());
        }
        Err(DatasetError::TooLarge { file: self.file.clone(), what })
    }
}
