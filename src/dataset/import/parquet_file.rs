//! Parquet files as blocks of cells, read column by column.
//!
//! Times come out in RFC 3339, days as `2020-09-22`, an empty cell stands for null, and the
//! elements of a list are each closed by [`LIST_END`](super::block::LIST_END). The fields of a
//! nested group become columns of their own, `details.brand`. Only the columns asked for are
//! decoded, several at a time.

use super::block::{Block, BlockSource, Expected, Rows};
use super::cells::Cells;
use super::error::{DatasetError, FileName};
use super::layout::{Layout, Names};
use super::parquet_column::{Column, ColumnReader};
use super::shared_file::SharedFile;
use parquet::{
    basic::{ConvertedType, LogicalType, Repetition},
    errors::{ParquetError, Result},
    file::reader::{FileReader, SerializedFileReader},
    schema::types::Type,
};
use rayon::prelude::*;
use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// Rows of the first block: few, since nothing is known yet of the length of a row.
const FIRST_ROWS: usize = 1024;
/// How much smaller than a block of text one of cells is: cells lie in several buffers, and those
/// that fit the caches are faster to write and to read.
const SMALLER: usize = 16;
/// How much longer than the one before a block may be, in rows.
const GROWTH: usize = 8;

pub(super) struct ParquetFile {
    layout: Arc<Layout>,
    reader: SerializedFileReader<SharedFile>,
    columns: Vec<Column>,
    /// The columns to decode, ascending; all at first.
    wanted: Vec<usize>,
    /// The row group under way.
    group: Option<Group>,
    next_group: usize,
    /// Rows handed out.
    done: u64,
    /// Bytes of text a block aims at, and how many rows the next should have for that.
    block: usize,
    rows: usize,
}

struct Group {
    /// By wanted column.
    readers: Vec<ColumnReader>,
    /// Rows not read yet.
    left: usize,
}

impl ParquetFile {
    pub fn open(
        file: File,
        name: FileName,
        partition: &[(String, String)],
        block: usize,
    ) -> std::result::Result<Self, DatasetError> {
        let reader = guarded(&name, || SerializedFileReader::new(SharedFile::new(file)?))?;
        let schema = reader.metadata().file_metadata().schema_descr();
        let mut names = Vec::new();
        for field in schema.root_schema().get_fields() {
            add_leaves(field, "", &mut names);
        }
        let columns: Vec<Column> =
            (0..schema.num_columns()).map(|i| Column::new(schema.column(i))).collect();
        if names.len() != columns.len() {
            let detail = "its schema contradicts itself".to_owned();
            return Err(DatasetError::Damaged { file: name, detail });
        }
        let of = |holds: fn(&Column) -> bool| {
            (0..columns.len()).filter(|&i| holds(&columns[i])).collect()
        };
        let lists: Vec<usize> = of(Column::is_list);
        let inexact = columns
            .iter()
            .enumerate()
            .filter_map(|(i, column)| Some((i, column.exact_up_to()?)))
            .collect();
        let layout = Layout { lists, inexact, ..Layout::new(name, names, Names::Schema) };
        Ok(Self {
            wanted: (0..columns.len()).collect(),
            layout: Arc::new(layout.with_partition(partition)),
            reader,
            columns,
            group: None,
            next_group: 0,
            done: 0,
            block,
            rows: FIRST_ROWS,
        })
    }

    /// Starts the next row group; false at the end of the file.
    fn start_group(&mut self) -> Result<bool> {
        if self.next_group >= self.reader.num_row_groups() {
            return Ok(false);
        }
        let group = self.reader.get_row_group(self.next_group)?;
        self.next_group += 1;
        let left = usize::try_from(group.metadata().num_rows()).map_err(|_| {
            ParquetError::General("a row group has a negative number of rows".to_owned())
        })?;
        let readers = self
            .wanted
            .iter()
            .map(|&i| Ok(ColumnReader::new(group.get_column_reader(i)?, &self.columns[i])))
            .collect::<Result<Vec<_>>>()?;
        self.group = Some(Group { readers, left });
        Ok(true)
    }

    /// The next rows, not more than fit a block; `None` at the end.
    fn read(&mut self) -> Result<Option<Cells>> {
        while self.group.as_ref().is_none_or(|group| group.left == 0) {
            if !self.start_group()? {
                return Ok(None);
            }
        }
        let Some(group) = &mut self.group else { return Ok(None) };
        let rows = self.rows.min(group.left);
        let layout = &self.layout;
        let read_column = |(reader, &column): (&mut ColumnReader, &usize)| {
            let broken = |detail: String| {
                ParquetError::General(format!("column `{}`: {detail}", layout.columns[column]))
            };
            let cells = reader.read(rows).map_err(|error| broken(error.to_string()))?;
            if cells.len() == rows {
                Ok(cells)
            } else {
                Err(broken("it has fewer values than the file rows".into()))
            }
        };
        let read = group
            .readers
            .par_iter_mut()
            .zip(&self.wanted)
            .map(read_column)
            .collect::<Result<Vec<_>>>()?;
        group.left -= rows;
        let mut columns: Vec<_> = (0..self.columns.len()).map(|_| None).collect();
        for (&i, column) in self.wanted.iter().zip(read) {
            columns[i] = Some(column);
        }
        let cells = Cells { rows, columns };
        let a_row = cells.size().max(1) as f64 / rows as f64;
        let fitting = ((self.block / SMALLER) as f64 / a_row) as usize;
        self.rows = fitting.clamp(1, rows.max(FIRST_ROWS) * GROWTH);
        Ok(Some(cells))
    }
}

impl BlockSource for ParquetFile {
    fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    fn expected(&self) -> Expected {
        Expected::Rows(self.reader.metadata().file_metadata().num_rows().try_into().unwrap_or(0))
    }

    fn want(&mut self, columns: &[usize]) -> std::result::Result<(), DatasetError> {
        self.wanted =
            columns.iter().copied().filter(|column| *column < self.columns.len()).collect();
        self.wanted.sort_unstable();
        self.wanted.dedup();
        Ok(())
    }

    fn next_block(&mut self) -> std::result::Result<Option<Block>, DatasetError> {
        let name = self.layout.file.clone();
        let Some(cells) = guarded(&name, || self.read())? else { return Ok(None) };
        let first = self.done + 1;
        self.done += cells.rows as u64;
        Ok(Some(Block { rows: Rows::Cells(cells), first, layout: self.layout.clone() }))
    }
}

/// Runs the Parquet library, which panics on some damaged files.
fn guarded<T>(
    file: &FileName,
    read: impl FnOnce() -> Result<T>,
) -> std::result::Result<T, DatasetError> {
    let damaged = |detail: String| DatasetError::Damaged { file: file.clone(), detail };
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(result) => result.map_err(|error| damaged(error.to_string())),
        Err(_) => Err(damaged("its structure is broken".to_owned())),
    }
}

/// Adds the names of the columns that a field gives: one for each leaf, without the groups that
/// lists need.
fn add_leaves(field: &Type, path: &str, names: &mut Vec<String>) {
    let name =
        if path.is_empty() { field.name().to_owned() } else { format!("{path}.{}", field.name()) };
    if field.is_primitive() {
        names.push(name);
    } else if let Some(element) = list_element(field) {
        add_element(element, &name, names);
    } else {
        field.get_fields().iter().for_each(|child| add_leaves(child, &name, names));
    }
}

/// Adds the columns of a list's element, which is called as the list is.
fn add_element(element: &Type, name: &str, names: &mut Vec<String>) {
    if element.is_primitive() {
        names.push(name.to_owned());
    } else if let Some(inner) = list_element(element) {
        add_element(inner, name, names);
    } else {
        element.get_fields().iter().for_each(|child| add_leaves(child, name, names));
    }
}

/// The element of a list or the pair of a map: `list group → repeated group → element`, or in older
/// files `list group → repeated element`.
fn list_element(field: &Type) -> Option<&Type> {
    let info = field.get_basic_info();
    let is_list = matches!(info.converted_type(), ConvertedType::LIST | ConvertedType::MAP)
        || matches!(info.logical_type_ref(), Some(LogicalType::List | LogicalType::Map));
    let [repeated] = field.get_fields() else { return None };
    let is_repeated = repeated.get_basic_info().has_repetition()
        && repeated.get_basic_info().repetition() == Repetition::REPEATED;
    if !is_list || !is_repeated {
        return None;
    }
    match repeated.is_primitive() {
        true => Some(repeated),
        false => match repeated.get_fields() {
            [only] => Some(only),
            _ => Some(repeated),
        },
    }
}
