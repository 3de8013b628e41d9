//! From the keys of a section to the plan of a table.

use super::Wrong;
use super::sections::{FillDownKey, OnKey, OneOrMore, QuotedKey, SplitKey, TableKeys};
use crate::dataset::import::{
    error::DatasetError,
    files::{FileOptions, table_files},
    rows::{Condition, FillDownPlan, JoinPlan, SplitPlan, TablePlan},
    values::{CellRules, Decimal, Missing},
};
use std::path::Path;

/// Where the files of a section lie and what holds for all sections.
pub(super) struct Context<'a> {
    pub dir: &'a Path,
    pub wrong: &'a Wrong<'a>,
    /// The spellings of missing values that the description gives for all sections.
    pub missing: &'a [String],
}

/// A join may have a join of its own, but that one no further.
const MOST_JOINS: usize = 2;

impl Context<'_> {
    /// The plan of the table that the section `name` describes.
    pub fn table(&self, keys: TableKeys, name: &str) -> Result<TablePlan, DatasetError> {
        self.table_within(keys, name, MOST_JOINS)
    }

    fn table_within(
        &self,
        mut keys: TableKeys,
        name: &str,
        joins: usize,
    ) -> Result<TablePlan, DatasetError> {
        let in_section = |why: String| self.wrong.because(format!("[{name}] {why}"));
        let files = keys.files.take().filter(|files| !files.is_empty());
        let Some(files) = files else {
            return Err(self.wrong.because(format!("[{name}] names no files")));
        };
        let conditions = keys.filter.iter().map(|(column, value)| Condition::parse(column, value));
        let filter = conditions.collect::<Result<_, _>>().map_err(in_section)?;
        let missing: Vec<String> = self.missing.iter().chain(&keys.missing).cloned().collect();
        let decimal = match keys.decimal.as_deref() {
            None => Decimal::Point,
            Some(".") => Decimal::PointForSure,
            Some(",") => Decimal::Comma,
            Some(other) => {
                return Err(in_section(format!("`decimal` is \".\" or \",\", not \"{other}\"")));
            }
        };
        let join = match keys.join.take() {
            None => None,
            Some(_) if joins == 0 => {
                return Err(in_section(format!(
                    "no more than {MOST_JOINS} tables can be joined one behind the other"
                )));
            }
            Some(mut section) => {
                let inner = format!("{name}.join");
                let table = self.table_within(section.take_table(), &inner, joins - 1)?;
                let (left, right) = match section.on {
                    OnKey::Same(column) => (column.clone(), column),
                    OnKey::Different { left, right } => (left, right),
                };
                Some(Box::new(JoinPlan { table, left, right }))
            }
        };
        let split = keys.split.take().map(split_plan).transpose().map_err(in_section)?;
        let fill_down = keys.fill_down.take().map(|key| match key {
            FillDownKey::Columns(columns) => FillDownPlan { columns, within: None },
            FillDownKey::Within { columns, within } => {
                FillDownPlan { columns, within: Some(within) }
            }
        });
        let needed_for = format!("{} names it in [{name}]", self.wrong.0.display());
        let options = options(keys).map_err(in_section)?;
        Ok(TablePlan {
            files: table_files(self.dir, &files, &options, &needed_for)?,
            cells: CellRules { missing: Missing::with(&missing), decimal },
            filter,
            fill_down,
            split,
            join,
        })
    }
}

fn split_plan(key: SplitKey) -> Result<SplitPlan, String> {
    if key.separator.is_empty() || key.quantity.as_ref().is_some_and(String::is_empty) {
        return Err("`split` needs texts of at least one character".to_owned());
    }
    if key.quantity_first && key.quantity.is_none() {
        return Err(
            "`split` has a `quantity_first` but no `quantity`, the text between number and item"
                .to_owned(),
        );
    }
    let SplitKey { column, separator, quantity, quantity_first } = key;
    Ok(SplitPlan { column, separator, quantity, quantity_first })
}

fn quote_of(key: &str) -> Result<u8, String> {
    match key.as_bytes() {
        [quote] if quote.is_ascii_punctuation() => Ok(*quote),
        _ => Err(format!("`quoted` is true, false or one character such as \"'\", not {key:?}")),
    }
}

fn options(keys: TableKeys) -> Result<FileOptions, String> {
    let usual = FileOptions::default();
    let quote = match keys.quoted {
        None | Some(QuotedKey::Usual(true)) => usual.quote,
        Some(QuotedKey::Usual(false)) => None,
        Some(QuotedKey::By(quote)) => Some(quote_of(&quote)?),
    };
    let delimiter = keys.delimiter.unwrap_or(usual.delimiter);
    if delimiter.is_empty() || delimiter.contains(['\r', '\n', '"']) {
        return Err(
            "`delimiter` must be text without line ends and quotes, such as \",\", \"\\t\" or \"::\"".to_owned()
        );
    }
    let columns = keys.columns.unwrap_or_default();
    if !columns.is_empty() && keys.header != Some(false) {
        return Err(
            "`columns` names those of files without a header; write header = false as well"
                .to_owned(),
        );
    }
    Ok(FileOptions {
        format: keys.format,
        delimiter,
        quote,
        encoding: keys.encoding,
        header: keys.header.unwrap_or(usual.header),
        columns,
        skip_lines: keys.skip_lines.unwrap_or(usual.skip_lines),
        sheets: keys.sheet.map_or_else(Vec::new, OneOrMore::into_vec),
        members: keys.member.map_or_else(Vec::new, OneOrMore::into_vec),
    })
}
