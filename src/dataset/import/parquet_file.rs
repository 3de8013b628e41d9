//! Parquet files as blocks: rows are written as delimited text, so that everything behind reads one form.
//!
//! Times come out in RFC 3339, days as `2020-09-22`, an empty cell stands for null, and the elements of a list
//! are each closed by [`LIST_END`]. Only the columns asked for are decoded.

use super::block::{Block, BlockSource, Dialect, Expected, LIST_END, Layout, check_columns};
use super::error::{DatasetError, FileName, Numbering};
use parquet::{
    basic::{ConvertedType, LogicalType, TimeUnit},
    file::reader::{FileReader, SerializedFileReader},
    record::{Field, reader::RowIter},
    schema::types::Type,
};
use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

pub(super) struct ParquetFile {
    layout: Arc<Layout>,
    rows: u64,
    /// Until the first block is asked for.
    file: Option<SerializedFileReader<File>>,
    iterator: Option<RowIter<'static>>,
    /// The columns to decode, ascending; all at first.
    wanted: Vec<usize>,
    kinds: Vec<Kind>,
    /// Rows handed out.
    done: u64,
    /// Bytes of text a block aims at.
    block: usize,
}

/// What the schema says of a column.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    /// A whole number that counts fractions of a second since 1970.
    Moment {
        per_second: i64,
    },
    List,
    Nested,
}

impl ParquetFile {
    pub fn open(path: &Path, block: usize) -> Result<Self, DatasetError> {
        let file = File::open(path).map_err(|source| DatasetError::Io { path: path.to_owned(), source })?;
        let name: FileName = path.into();
        let reader = guarded(&name, || SerializedFileReader::new(file))?;
        let metadata = reader.metadata().file_metadata();
        let fields = metadata.schema().get_fields();
        let columns: Vec<String> = fields.iter().map(|field| field.name().to_owned()).collect();
        check_columns(&columns, &name)?;
        let kinds: Vec<Kind> = fields.iter().map(|field| kind(field)).collect();
        let lists = (0..kinds.len()).filter(|&i| kinds[i] == Kind::List).collect();
        let layout = Layout { file: name, columns, lists, dialect: Dialect::CSV, numbering: Numbering::Row };
        Ok(Self {
            rows: metadata.num_rows().try_into().unwrap_or(0),
            wanted: (0..kinds.len()).collect(),
            layout: Arc::new(layout),
            file: Some(reader),
            iterator: None,
            kinds,
            done: 0,
            block,
        })
    }

    /// Starts to read the wanted columns.
    fn start(&self, reader: SerializedFileReader<File>) -> parquet::errors::Result<RowIter<'static>> {
        let schema = reader.metadata().file_metadata().schema();
        let fields = self.wanted.iter().map(|&i| schema.get_fields()[i].clone()).collect();
        let projection = Type::group_type_builder(schema.name()).with_fields(fields).build()?;
        RowIter::from_file_into(Box::new(reader)).project(Some(projection))
    }

    /// Up to a block's worth of rows as text, and their number.
    fn write_rows(&mut self) -> parquet::errors::Result<(Vec<u8>, u64)> {
        if let Some(file) = self.file.take() {
            self.iterator = Some(self.start(file)?);
        }
        let mut out = csv::WriterBuilder::new().buffer_capacity(1 << 16).from_writer(Vec::with_capacity(self.block));
        let mut record = csv::ByteRecord::new();
        let mut cell = Vec::new();
        let mut count = 0;
        while out.get_ref().len() < self.block {
            let Some(row) = self.iterator.as_mut().and_then(Iterator::next).transpose()? else { break };
            record.clear();
            for ((_, field), &column) in row.get_column_iter().zip(&self.wanted) {
                (record.len()..column).for_each(|_| record.push_field(b""));
                cell.clear();
                write_cell(&mut cell, field, self.kinds[column]);
                record.push_field(&cell);
            }
            (record.len()..self.kinds.len()).for_each(|_| record.push_field(b""));
            count += 1;
            out.write_byte_record(&record).map_err(|error| parquet::errors::ParquetError::External(error.into()))?;
        }
        let bytes =
            out.into_inner().map_err(|error| parquet::errors::ParquetError::External(error.into_error().into()))?;
        Ok((bytes, count))
    }
}

impl BlockSource for ParquetFile {
    fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    fn expected(&self) -> Expected {
        Expected::Rows(self.rows)
    }

    fn want(&mut self, columns: &[usize]) -> Result<(), DatasetError> {
        self.wanted = columns.to_vec();
        self.wanted.sort_unstable();
        self.wanted.dedup();
        match self.wanted.iter().find(|&&column| self.kinds[column] == Kind::Nested) {
            Some(&column) => Err(DatasetError::Header {
                file: self.layout.file.clone(),
                column: self.layout.columns[column].clone(),
                detail: "the column is nested, which no attribute can be; list the others with `keep`".to_owned(),
            }),
            None => Ok(()),
        }
    }

    fn next_block(&mut self) -> Result<Option<Block>, DatasetError> {
        let name = self.layout.file.clone();
        let (bytes, count) = guarded(&name, || self.write_rows())?;
        if count == 0 {
            return Ok(None);
        }
        let block = Block { bytes, first: self.done + 1, layout: self.layout.clone() };
        self.done += count;
        Ok(Some(block))
    }
}

/// Runs the Parquet library, which panics on some damaged files.
fn guarded<T>(file: &FileName, read: impl FnOnce() -> parquet::errors::Result<T>) -> Result<T, DatasetError> {
    let damaged = |detail: String| DatasetError::Damaged { file: file.clone(), detail };
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(result) => result.map_err(|error| damaged(error.to_string())),
        Err(_) => Err(damaged("its structure is broken".to_owned())),
    }
}

fn kind(field: &Type) -> Kind {
    let info = field.get_basic_info();
    if field.is_primitive() {
        if info.has_repetition() && info.repetition() == parquet::basic::Repetition::REPEATED {
            return Kind::List;
        }
        // Moments in nanoseconds or without a time zone are plain whole numbers to the record reader.
        return match info.logical_type_ref() {
            Some(LogicalType::Timestamp(timestamp)) => Kind::Moment {
                per_second: match timestamp.unit {
                    TimeUnit::MILLIS => 1_000,
                    TimeUnit::MICROS => 1_000_000,
                    TimeUnit::NANOS => 1_000_000_000,
                },
            },
            _ => Kind::Plain,
        };
    }
    let is_list = info.converted_type() == ConvertedType::LIST;
    // list group → repeated group → element
    let element = field.get_fields().first().filter(|_| is_list);
    let flat = element
        .is_some_and(|element| element.is_primitive() || matches!(element.get_fields(), [only] if only.is_primitive()));
    if flat { Kind::List } else { Kind::Nested }
}

fn write_cell(out: &mut Vec<u8>, field: &Field, kind: Kind) {
    use std::io::Write;
    // Writing to a vector cannot fail.
    let _ = match field {
        Field::Null => Ok(()),
        Field::Str(text) => out.write_all(text.as_bytes()),
        Field::Bytes(bytes) => out.write_all(bytes.data()),
        Field::Long(units) if let Kind::Moment { per_second } = kind => write_moment(out, *units, per_second),
        Field::TimestampMillis(units) => write_moment(out, *units, 1_000),
        Field::TimestampMicros(units) => write_moment(out, *units, 1_000_000),
        Field::Date(days) => {
            let date = OffsetDateTime::UNIX_EPOCH.date().checked_add(time::Duration::days(i64::from(*days)));
            match date {
                Some(d) => write!(out, "{:04}-{:02}-{:02}", d.year(), u8::from(d.month()), d.day()),
                None => write!(out, "{days} days since 1970"),
            }
        }
        Field::Float(number) => write!(out, "{number}"),
        Field::Double(number) => write!(out, "{number}"),
        Field::ListInternal(list) => {
            for element in list.elements() {
                write_cell(out, element, Kind::Plain);
                out.push(LIST_END);
            }
            Ok(())
        }
        other => write!(out, "{other}"),
    };
}

fn write_moment(out: &mut Vec<u8>, units: i64, per_second: i64) -> std::io::Result<()> {
    use std::io::Write;
    let moment = OffsetDateTime::from_unix_timestamp(units.div_euclid(per_second)).ok();
    match moment.and_then(|moment| moment.format(&Rfc3339).ok()) {
        Some(text) => out.write_all(text.as_bytes()),
        None => write!(out, "{units} units since 1970"),
    }
}
