//! Tests of the import, a file a subject. Fixtures are written to temporary folders.

mod bad_input;
mod described;
mod faults;
mod forms;
mod limits;
mod meaning;
mod parallel;
mod parquet_forms;
mod presets;
mod real_data;
mod rentals;

use super::files::{FileOptions, TableFile};
use super::*;
use std::io::Write;
use tempfile::TempDir;

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = TempDir::new().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn load_plain(dir: &TempDir) -> Result<(Dataset, ImportReport), DatasetError> {
    load(dir.path(), &any_rejects())
}

/// Options under which an import goes on whatever is rejected.
fn any_rejects() -> LoadOptions {
    LoadOptions { max_rejects: Some(MaxRejects::Share(1.0)), ..LoadOptions::default() }
}

/// Reads a file as it lies in a folder: the names of its columns, and the cells of all rows by
/// column; what is wrong with it otherwise.
fn read(dir: &TempDir, name: &str, options: FileOptions) -> Result<Table, String> {
    read_in_blocks(dir, name, options, 1 << 20)
}

fn read_in_blocks(
    dir: &TempDir,
    name: &str,
    options: FileOptions,
    block: usize,
) -> Result<Table, String> {
    let file = TableFile::new(dir.path().join(name), options);
    let mut table = Table::default();
    let source = file.open(block).map_err(|error| error.to_string())?;
    let layout = source.layout().clone();
    table.columns = layout.columns.clone();
    for block in block::read_ahead(source) {
        let block = block.map_err(|error| error.to_string())?;
        let mut rejects = Vec::new();
        block.for_each_row(&mut rejects, |row| {
            let cells: Result<Vec<_>, _> =
                (0..layout.columns.len()).map(|i| row.id(i).map(str::to_owned)).collect();
            table.rows.push(cells?);
            Ok(())
        });
        table.rejects.extend(rejects.iter().map(Reject::to_string));
    }
    Ok(table)
}

/// What a file gives.
#[derive(Debug, Default, Clone, PartialEq)]
struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    rejects: Vec<String>,
}

impl Table {
    /// A table without rejects.
    fn of(columns: &[&str], rows: &[&[&str]]) -> Self {
        let texts =
            |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let rows = rows.iter().map(|row| texts(row)).collect();
        Self { columns: texts(columns), rows, rejects: Vec::new() }
    }
}

/// A folder with one file.
fn with_file(name: &str, bytes: &[u8]) -> TempDir {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join(name), bytes).unwrap();
    dir
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(text).unwrap();
    out.finish().unwrap()
}

/// A zip archive with these members.
fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = ::zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        out.start_file(*name, ::zip::write::SimpleFileOptions::default()).unwrap();
        out.write_all(bytes).unwrap();
    }
    out.finish().unwrap().into_inner()
}

/// Purchases as texts: customer, article, time.
fn purchases(dataset: &Dataset) -> Vec<(&str, &str, u32)> {
    let p = &dataset.purchases;
    (0..p.len())
        .map(|i| {
            (
                dataset.customers.ids.get(p.customer[i]),
                dataset.articles.ids.get(p.article[i]),
                p.time[i].0,
            )
        })
        .collect()
}

const ARTICLES: &str = "article_id,product_code,prod_name,detail_desc
0108775015,108775,Strap top,\"Jersey top, with \"\"narrow\"\" straps.\nTwo lines.\"
0108775044,108775,Strap top,
0110065001,110065,OP T-shirt,Plain
";
const CUSTOMERS: &str = "customer_id,FN,Active,age,postal_code
c1,1.0,,21.0,p1
c2,,,,p2
";
const TRANSACTIONS: &str = "t_dat,customer_id,article_id,price,sales_channel_id
2018-09-21,c2,0110065001,0.05,2
2018-09-20,c1,0108775015,0.025,1
2018-09-20,c1,0108775044,,
";

fn hm_folder() -> TempDir {
    folder(&[
        ("articles.csv", ARTICLES),
        ("customers.csv", CUSTOMERS),
        ("transactions.csv", TRANSACTIONS),
    ])
}
