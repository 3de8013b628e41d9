//! Reads `customer article article …` lines, oldest article first, and the attributes of the
//! articles.

use super::block::read_ahead;
use super::block::{Block, BlockSource};
use super::error::{DatasetError, Fault, FileName, Reason, shown};
use super::order::{count_positions, sort_by_time};
use super::session::Session;
use super::text::TextFile;
use crate::{
    dataset::{Column, Dataset, TimeUnit, Values},
    domain::{ArticleId, IdTable},
};
use std::{collections::HashMap, fs::File, io::BufReader, path::Path};

/// The name of the column that the attribute file becomes.
const ATTRIBUTES: &str = "attributes";

pub(super) fn read_sequences(
    file: &Path,
    attributes: Option<&Path>,
    session: &mut Session,
) -> Result<Dataset, DatasetError> {
    let mut dataset = Dataset { time_unit: TimeUnit::Position, ..Dataset::default() };
    let source = Box::new(TextFile::open_lines(file, Vec::new(), session.block)?);
    let name: FileName = file.into();
    session.begin_table("sequences");
    let progress = session.progress(&name, source.expected());
    let mut rows = 0;
    for block in read_ahead(source) {
        let block: Block = block?;
        let mut rejects = Vec::new();
        let count = block.for_each_record(&mut rejects, |line| add_sequence(&mut dataset, line));
        session.reject_all(rejects)?;
        rows += count;
        progress.advance(block.size(), count);
    }
    session.file_done(&name, rows, progress);
    if dataset.purchases.is_empty() {
        return Err(session.no_rows(Some(name)));
    }
    session.end_table(rows - session.rejected())?;
    if let Some(path) = attributes {
        let column = read_attributes(path, &dataset.articles.ids, session)?;
        dataset.articles.columns.push(column);
    }
    count_positions(&mut dataset.purchases, dataset.customers.len());
    sort_by_time(&mut dataset.purchases);
    Ok(dataset)
}

fn add_sequence(dataset: &mut Dataset, line: &[u8]) -> Result<(), Fault> {
    let line = std::str::from_utf8(line).map_err(|_| Fault::of_row(Reason::Encoding))?;
    let ids: Vec<&str> = line.split_ascii_whitespace().collect();
    let [customer, items @ ..] = &ids[..] else { return Err(Fault::of_row(Reason::NoItems)) };
    if items.is_empty() {
        return Err(Fault::of_row(Reason::NoItems));
    }
    for id in &ids {
        ArticleId::parse(id).map_err(|fault| Fault::of_row(Reason::Id(fault)))?;
    }
    if dataset.customers.ids.find(customer).is_some() {
        return Err(Fault::of_row(Reason::Duplicate(shown(customer))));
    }
    let customer = dataset.customers.ids.insert(customer);
    let purchases = &mut dataset.purchases;
    for item in items {
        purchases.customer.push(customer);
        purchases.article.push(dataset.articles.ids.insert(item));
    }
    Ok(())
}

/// `{"article": [attribute, …], …}` as a tags column.
fn read_attributes(
    path: &Path,
    articles: &IdTable,
    session: &mut Session,
) -> Result<Column, DatasetError> {
    let file =
        File::open(path).map_err(|source| DatasetError::Io { path: path.to_owned(), source })?;
    let unreadable = |line: usize, detail: String| DatasetError::Unreadable {
        file: path.into(),
        line: line as u64,
        detail,
    };
    let tags: HashMap<String, Vec<Attribute>> = serde_json::from_reader(BufReader::new(file))
        .map_err(|error| unreadable(error.line(), format!("column {}: {error}", error.column())))?;
    let unknown = tags.keys().filter(|id| articles.find(id).is_none()).count();
    if unknown > 0 {
        session.report.notes.push(format!(
            "{}: {unknown} articles are in no sequence and left out",
            path.display()
        ));
    }
    let mut dictionary = IdTable::new();
    let (mut offsets, mut codes) = (vec![0], Vec::new());
    for id in articles.iter() {
        for attribute in tags.get(id).into_iter().flatten() {
            codes.push(match attribute {
                Attribute::Number(number) => dictionary.insert(&number.to_string()),
                Attribute::Text(text) => dictionary.insert(text),
            });
        }
        offsets.push(codes.len() as u32);
    }
    Ok(Column { name: ATTRIBUTES.to_owned(), values: Values::Tags { offsets, codes, dictionary } })
}

#[derive(serde::Deserialize)]
#[serde(untagged, expecting = "an attribute is a whole number or a text")]
enum Attribute {
    Number(i64),
    Text(String),
}
