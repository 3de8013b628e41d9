//! The shop in the database as a [`Dataset`], as of one moment: what the trainer learns from. The
//! reverse of
//! [`import`](super::import).
//!
//! Purchases are those of the latest import, and those that events told beside it, less what came
//! back. Other events count where [`ReadOptions::events`] gives them a weight. Rows stream from the
//! database into columns, so that a purchase takes as little memory as one of a file.
//!
//! Articles and customers stand in the order of their keys, and purchases of one moment in the
//! order of customer and article, so that a database gives the same data set however its rows lie
//! on the disk.

mod entities;
mod options;
mod order;
mod purchases;

pub use options::{InvalidReadOptions, ReadOptions};

use super::{Address, StoreError, StoreOptions, postgres, sqlite};
use crate::{
    dataset::Dataset,
    domain::{AttributeKind, Timestamp},
    progress::Progress,
};
use async_trait::async_trait;
use entities::EntityTable;
use purchases::PurchaseTable;
use std::fmt;

/// The account of a reading. Its `Display` is what the commands print.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadReport {
    /// The moment that the data are of.
    pub moment: Timestamp,
    pub articles: usize,
    pub customers: usize,
    /// Those of the customers who are visitors without a name.
    pub visitors: usize,
    /// Purchases of the latest import, and purchases that events told.
    pub imported: usize,
    pub told: usize,
    /// Purchases that returns took back whole.
    pub returned: u64,
    /// Events of other types that count.
    pub actions: usize,
    /// Events that do not count, because nobody knows whose they are, or because the catalogue has
    /// no such article.
    pub of_nobody: usize,
    pub of_unknown_articles: usize,
    /// Values that were left out because they cannot be read or are not of the kind of their
    /// attribute.
    pub left_out: usize,
}

impl fmt::Display for ReadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { moment, articles, customers, imported, told, returned, actions, .. } = self;
        write!(
            f,
            "database as of {moment}: {articles} articles, {customers} customers, {imported} imported purchases and \
             {told} told by events"
        )?;
        for (count, what) in [
            (self.visitors, "of the customers are visitors whom no login joined to a customer"),
            (*returned as usize, "purchases are taken back by a return"),
            (*actions, "events of other types count as well"),
            (self.of_nobody, "events do not count: they belong to nobody"),
            (
                self.of_unknown_articles,
                "events do not count: the catalogue does not have their articles",
            ),
            (
                self.left_out,
                "values are left out: they cannot be read, or are not of the kind of their attribute",
            ),
        ] {
            if count > 0 {
                write!(f, "\n{count} {what}")?;
            }
        }
        Ok(())
    }
}

/// A row of `articles` or `customers`.
pub(super) struct EntityRow<'a> {
    pub key: i32,
    pub id: &'a str,
    /// Whether it can be bought; customers always "can".
    pub available: bool,
    /// One JSON object.
    pub attributes: &'a str,
}

/// A row of `purchases`.
#[derive(Debug, Clone, Copy)]
pub(super) struct PurchaseRow {
    pub customer: i32,
    pub article: i32,
    /// Milliseconds since 1970.
    pub at: i64,
    pub price: Option<f32>,
    pub channel: Option<u8>,
    pub weight: Option<f32>,
}

/// A row of `events` that no import has.
pub(super) struct EventRow<'a> {
    pub kind: &'a str,
    /// `None` for a visitor who is no customer yet.
    pub customer: Option<i32>,
    pub visitor: Option<i32>,
    pub article: &'a str,
    /// Milliseconds since 1970.
    pub at: i64,
    pub quantity: f32,
    pub price: Option<f32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Articles,
    Customers,
}

/// Takes a row.
pub(super) type Visit<'a, Row> = &'a mut (dyn FnMut(Row) -> Result<(), StoreError> + Send);
pub(super) type VisitEntity<'a> =
    &'a mut (dyn for<'r> FnMut(EntityRow<'r>) -> Result<(), StoreError> + Send);
pub(super) type VisitEvent<'a> =
    &'a mut (dyn for<'r> FnMut(EventRow<'r>) -> Result<(), StoreError> + Send);

/// A database as the source of a data set: one connection that sees it as of one moment.
#[async_trait]
pub(super) trait Source: Send {
    /// The moment that the reader sees.
    async fn moment(&mut self) -> Result<Timestamp, StoreError>;
    /// The kinds of the articles' attributes.
    async fn kinds(&mut self) -> Result<Vec<(String, String)>, StoreError>;
    /// In the order of keys; deleted articles too, because purchases refer to them.
    async fn entities(&mut self, table: Table, visit: VisitEntity<'_>) -> Result<(), StoreError>;
    /// In any order.
    async fn purchases(&mut self, visit: Visit<'_, PurchaseRow>) -> Result<(), StoreError>;
    /// Lines of these types that no import has and that name an article, in any order.
    async fn events(&mut self, types: &[&str], visit: VisitEvent<'_>) -> Result<(), StoreError>;
    /// Ends the reading.
    async fn close(self: Box<Self>);
}

/// Reads the whole shop.
///
/// # Errors
/// As [`super::connect`]; [`StoreError::Refused`] for more than a data set can hold.
pub async fn read_dataset(
    url: &str,
    options: &StoreOptions,
    reading: &ReadOptions,
) -> Result<(Dataset, ReadReport), StoreError> {
    let mut source: Box<dyn Source> = match Address::parse(url)? {
        Address::Postgres(address) => Box::new(postgres::Reader::open(address, options).await?),
        Address::Sqlite(address) => Box::new(sqlite::Reader::open(address, options).await?),
    };
    let read = read_all(&mut *source, reading).await;
    source.close().await;
    read
}

async fn read_all(
    source: &mut dyn Source,
    reading: &ReadOptions,
) -> Result<(Dataset, ReadReport), StoreError> {
    let mut report = ReadReport { moment: source.moment().await?, ..ReadReport::default() };
    let kinds = source.kinds().await?.into_iter();
    let kinds =
        kinds.filter_map(|(name, kind)| Some((name, AttributeKind::of_name(&kind)?))).collect();
    let articles = entities(source, Table::Articles, EntityTable::with_kinds(kinds)).await?;
    let mut customers = entities(source, Table::Customers, EntityTable::default()).await?;

    let progress = Progress::new("purchases", 0, "rows");
    let mut table = PurchaseTable::new(&articles, &customers, reading);
    if table.counts_purchases() {
        let mut batch = 0;
        let mut visit = |row: PurchaseRow| {
            batch += 1;
            if batch % 65_536 == 0 {
                progress.add(65_536);
            }
            table.add_imported(row)
        };
        source.purchases(&mut visit).await?;
    }
    source.events(&reading.types(), &mut |event| table.add_event(event)).await?;
    let (purchases, time_unit) = table.finish(&mut customers, &mut report)?;
    progress.finish(&format!("{} rows", purchases.len()));
    let dataset = Dataset {
        articles: articles.finish(&mut report.left_out),
        customers: customers.finish(&mut report.left_out),
        purchases,
        time_unit,
    };
    (report.articles, report.customers) = (dataset.articles.len(), dataset.customers.len());
    Ok((dataset, report))
}

async fn entities(
    source: &mut dyn Source,
    table: Table,
    mut entities: EntityTable,
) -> Result<EntityTable, StoreError> {
    let name = if table == Table::Articles { "articles" } else { "customers" };
    let progress = Progress::new(name, 0, "rows");
    let mut visit = |row: EntityRow<'_>| {
        progress.add(1);
        entities.push(row)
    };
    source.entities(table, &mut visit).await?;
    progress.finish(&format!("{} rows", entities.len()));
    Ok(entities)
}
