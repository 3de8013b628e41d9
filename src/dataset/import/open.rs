//! Opens a file of a table in whatever form it is.

use super::archive::{Archive, Members};
use super::block::BlockSource;
use super::error::{DatasetError, FileName};
use super::files::{FileOptions, Format, TableFile, format_extension, format_of_extension};
use super::input::Input;
use super::json_file::JsonFile;
use super::parquet_file::ParquetFile;
use super::signature::{self, Signature};
use super::text::TextFile;
use super::xlsx::Workbook;
use std::{fs::File, io::Read, path::Path};

type Source = Box<dyn BlockSource>;

/// Opens a file for blocks of about `block` bytes.
pub(super) fn table(table: &TableFile, block: usize) -> Result<Source, DatasetError> {
    let TableFile { path, options, partition } = table;
    let io = |source| DatasetError::Io { path: path.to_owned(), source };
    let mut head = Vec::new();
    File::open(path)
        .map_err(io)?
        .take(signature::LENGTH as u64)
        .read_to_end(&mut head)
        .map_err(io)?;
    let name: FileName = path.as_path().into();
    match signature::of(&head) {
        Some(Signature::Zip) => {
            let archive = Archive::open(path)?;
            if archive.is_workbook() {
                archive.check()?;
                return Ok(Box::new(Workbook::open(
                    File::open(path).map_err(io)?,
                    name,
                    options,
                    partition,
                )?));
            }
            Ok(Box::new(Members::open(archive, table, block)?))
        }
        Some(Signature::Parquet) => {
            Ok(Box::new(ParquetFile::open(File::open(path).map_err(io)?, name, partition, block)?))
        }
        _ => stream(Input::open(path)?, path, options, partition, block),
    }
}

/// Opens what is read from front to back; `path` is the name that tells the format.
pub(super) fn stream(
    mut input: Input,
    path: &Path,
    options: &FileOptions,
    partition: &[(String, String)],
    block: usize,
) -> Result<Source, DatasetError> {
    let head = input.peek(signature::LENGTH)?;
    let file = input.file.clone();
    if head.is_empty() {
        return Err(DatasetError::NoRows { file, detail: ": the file is empty".to_owned() });
    }
    let extension = format_extension(path);
    let format = match signature::of(&head) {
        Some(Signature::Parquet) => Format::Parquet,
        Some(Signature::Zip) => {
            let detail =
                "this is an archive or a workbook inside a compressed file; unpack it".to_owned();
            return Err(DatasetError::Unsupported { file, detail });
        }
        _ => options.format.unwrap_or_else(|| format_of_text(&extension, &head)),
    };
    match format {
        Format::Csv => {
            let mut options = options.clone();
            if ["tsv", "tab"].contains(&extension.as_str()) && options.delimiter == "," {
                options.delimiter = "\t".to_owned();
            }
            let input = input.decode(options.encoding.as_deref())?;
            Ok(Box::new(TextFile::open(input, &options, partition, block)?))
        }
        Format::Json => Ok(Box::new(JsonFile::open(
            input.decode(options.encoding.as_deref())?,
            partition,
            block,
        )?)),
        Format::Parquet => Ok(Box::new(ParquetFile::open(input.spool()?, file, partition, block)?)),
        Format::Xlsx => {
            let detail = "this is no .xlsx workbook; save it again as .xlsx or as CSV".to_owned();
            Err(DatasetError::Unsupported { file, detail })
        }
    }
}

/// The format of a file that is neither Parquet nor a workbook: by its extension, and by its
/// content where the extension does not tell.
fn format_of_text(extension: &str, head: &[u8]) -> Format {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    match format_of_extension(extension) {
        Some(Format::Csv) if extension != "txt" && extension != "dat" => Format::Csv,
        Some(format) if format != Format::Csv => format,
        _ if text.starts_with(b"{\"") || text.starts_with(b"[{") => Format::Json,
        _ => Format::Csv,
    }
}
