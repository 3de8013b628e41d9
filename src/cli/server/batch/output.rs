//! The file of a batch: Parquet for warehouses, CSV for the tools that send e-mail. It is written
//! under a temporary name and appears when it is whole.

use crate::cli::OrBadInput;
use anyhow::{Context, anyhow};
use parquet::{
    basic::Compression,
    data_type::{ByteArray, ByteArrayType, FloatType, Int32Type},
    file::{
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::parser::parse_message_type,
};
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::NamedTempFile;

/// One article of one customer's list.
pub(super) struct Row {
    pub customer_id: String,
    /// From 1.
    pub rank: i32,
    pub article_id: String,
    pub score: f32,
    pub source: &'static str,
    pub strategy: &'static str,
    /// Of the customer's whole list; events name it.
    pub recommendation_id: Arc<str>,
}

const SCHEMA: &str = "message recommendations {
    REQUIRED BYTE_ARRAY customer_id (UTF8);
    REQUIRED INT32 rank;
    REQUIRED BYTE_ARRAY article_id (UTF8);
    REQUIRED FLOAT score;
    REQUIRED BYTE_ARRAY source (UTF8);
    REQUIRED BYTE_ARRAY strategy (UTF8);
    REQUIRED BYTE_ARRAY recommendation_id (UTF8);
}";
const COLUMNS: [&str; 7] =
    ["customer_id", "rank", "article_id", "score", "source", "strategy", "recommendation_id"];

/// Rows of a row group of Parquet: large enough to compress well, small enough to keep.
const GROUP: usize = 100_000;

pub(super) struct Output {
    target: PathBuf,
    temporary: NamedTempFile,
    writer: Writer,
}

enum Writer {
    Csv(csv::Writer<BufWriter<File>>),
    Parquet { file: SerializedFileWriter<File>, waiting: Vec<Row> },
}

impl Output {
    pub(super) fn create(target: &Path) -> anyhow::Result<Self> {
        let folder = target
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let place = || format!("cannot write to {}", folder.display());
        let temporary = NamedTempFile::new_in(folder).with_context(place).or_bad_input()?;
        let file = temporary.reopen().with_context(place)?;
        let writer = match target.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => {
                let mut csv = csv::Writer::from_writer(BufWriter::new(file));
                csv.write_record(COLUMNS)?;
                Writer::Csv(csv)
            }
            Some("parquet") => {
                let schema = Arc::new(parse_message_type(SCHEMA)?);
                let properties =
                    WriterProperties::builder().set_compression(Compression::SNAPPY).build();
                let file = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
                Writer::Parquet { file, waiting: Vec::new() }
            }
            _ => {
                let error = anyhow!(
                    "`--out {}`: the name must end with .parquet or .csv",
                    target.display()
                );
                return Err(error).or_bad_input();
            }
        };
        Ok(Self { target: target.to_owned(), temporary, writer })
    }

    pub(super) fn write(&mut self, rows: Vec<Row>) -> anyhow::Result<()> {
        match &mut self.writer {
            Writer::Csv(csv) => {
                for row in rows {
                    let (rank, score) = (row.rank.to_string(), row.score.to_string());
                    let cells = [
                        &*row.customer_id,
                        &*rank,
                        &*row.article_id,
                        &*score,
                        row.source,
                        row.strategy,
                        &*row.recommendation_id,
                    ];
                    csv.write_record(cells)?;
                }
                Ok(())
            }
            Writer::Parquet { file, waiting } => {
                waiting.extend(rows);
                if waiting.len() >= GROUP {
                    write_group(file, &std::mem::take(waiting))?;
                }
                Ok(())
            }
        }
    }

    /// Completes the file and gives it its name.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        match self.writer {
            Writer::Csv(csv) => {
                csv.into_inner().map_err(|error| anyhow!("{}", error.error()))?.flush()?
            }
            Writer::Parquet { mut file, waiting } => {
                if !waiting.is_empty() {
                    write_group(&mut file, &waiting)?;
                }
                file.close()?;
            }
        }
        self.temporary.as_file().sync_all()?;
        self.temporary
            .persist(&self.target)
            .with_context(|| format!("cannot write {}", self.target.display()))?;
        Ok(())
    }
}

fn write_group(file: &mut SerializedFileWriter<File>, rows: &[Row]) -> anyhow::Result<()> {
    let mut group = file.next_row_group()?;
    texts(&mut group, rows, |row| &row.customer_id)?;
    let ranks: Vec<i32> = rows.iter().map(|row| row.rank).collect();
    column::<Int32Type>(&mut group, &ranks)?;
    texts(&mut group, rows, |row| &row.article_id)?;
    let scores: Vec<f32> = rows.iter().map(|row| row.score).collect();
    column::<FloatType>(&mut group, &scores)?;
    texts(&mut group, rows, |row| row.source)?;
    texts(&mut group, rows, |row| row.strategy)?;
    texts(&mut group, rows, |row| &row.recommendation_id)?;
    group.close()?;
    Ok(())
}

fn texts(
    group: &mut SerializedRowGroupWriter<'_, File>,
    rows: &[Row],
    text: impl Fn(&Row) -> &str,
) -> anyhow::Result<()> {
    let values: Vec<ByteArray> = rows.iter().map(|row| ByteArray::from(text(row))).collect();
    column::<ByteArrayType>(group, &values)
}

fn column<T: parquet::data_type::DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &[T::T],
) -> anyhow::Result<()> {
    let mut column = group.next_column()?.context("the schema has fewer columns than a row")?;
    column.typed::<T>().write_batch(values, None, None)?;
    Ok(column.close()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::{
        file::reader::{FileReader, SerializedFileReader},
        record::RowAccessor,
    };

    fn rows(n: i32) -> Vec<Row> {
        let row = |i| Row {
            customer_id: format!("c{}", i / 3),
            rank: i % 3 + 1,
            article_id: format!("a,{i}"),
            score: i as f32 / 4.0,
            source: "model",
            strategy: "personalised",
            recommendation_id: "r".into(),
        };
        (0..n).map(row).collect()
    }

    fn written(name: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let mut output = Output::create(&path).unwrap();
        for _ in 0..3 {
            output.write(rows(50_000)).unwrap();
        }
        assert!(!path.exists(), "a file that is not whole has another name");
        output.finish().unwrap();
        (folder, path)
    }

    #[test]
    fn parquet_comes_back_in_row_groups() {
        let (_folder, path) = written("out.parquet");
        let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
        assert_eq!(
            (reader.metadata().num_row_groups(), reader.metadata().file_metadata().num_rows()),
            (2, 150_000)
        );
        let row = reader.get_row_iter(None).unwrap().nth(7).unwrap().unwrap();
        assert_eq!((row.get_string(0).unwrap().as_str(), row.get_int(1).unwrap()), ("c2", 2));
        assert_eq!((row.get_string(2).unwrap().as_str(), row.get_float(3).unwrap()), ("a,7", 1.75));
    }

    #[test]
    fn csv_comes_back() {
        let (_folder, path) = written("out.csv");
        let mut reader = csv::Reader::from_path(path).unwrap();
        let read: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!((read.len(), &read[7][2], &read[7][4]), (150_000, "a,7", "model"));
    }

    #[test]
    fn other_endings_are_refused_and_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let error = Output::create(&folder.path().join("out.xlsx")).err().unwrap().to_string();
        assert!(error.contains(".parquet or .csv"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
