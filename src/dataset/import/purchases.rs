//! Reads purchases: blocks are parsed in parallel against the entities known so far, and joined in order.

use super::block::{Block, Expected, Row, read_ahead};
use super::columns::EntitiesBuilder;
use super::error::{DatasetError, Fault, Reason, Reject, shown};
use super::layout::Layout;
use super::moment::TimeFormat;
use super::plan::PurchasePlan;
use super::session::Session;
use crate::{
    dataset::{Purchases, TimeUnit},
    domain::{ArticleId, IdTable, Timestamp},
};
use rayon::prelude::*;

/// The purchases read so far and the entities they refer to.
pub(super) struct PurchaseReader {
    pub articles: Side,
    pub customers: Side,
    pub purchases: Purchases,
    pub time_unit: TimeUnit,
}

/// Articles or customers, as purchases refer to them.
pub(super) struct Side {
    pub table: EntitiesBuilder,
    /// Whether an unknown id makes a new entity; otherwise its row is rejected.
    pub open: bool,
    /// The reason of such a reject.
    pub unknown: fn(String) -> Reason,
}

impl PurchaseReader {
    pub fn new(articles: Side, customers: Side) -> Self {
        Self { articles, customers, purchases: Purchases::default(), time_unit: TimeUnit::Position }
    }

    /// Reads all files of the plan.
    pub fn read(&mut self, plan: &PurchasePlan, session: &mut Session) -> Result<(), DatasetError> {
        if let Some((_, format)) = &plan.time {
            self.time_unit = format.unit();
        }
        for file in &plan.files {
            let mut source = file.open(session.block)?;
            let layout = source.layout().clone();
            let columns = PurchaseColumns::find(plan, &layout)?;
            source.want(&columns.indices())?;
            let expected = source.expected();
            let progress = session.progress(&layout.file, expected);
            let mut blocks = read_ahead(source);
            let mut rows = 0;
            loop {
                let round = blocks.by_ref().take(rayon::current_num_threads()).collect::<Result<Vec<Block>, _>>()?;
                if round.is_empty() {
                    break;
                }
                let parts: Vec<Part> = round.par_iter().map(|block| Part::parse(block, self, &columns)).collect();
                for (mut part, block) in parts.into_iter().zip(&round) {
                    session.reject_all(std::mem::take(&mut part.rejects))?;
                    if rows == 0 {
                        reserve(&mut self.purchases, estimate(expected, block.size(), part.rows));
                    }
                    rows += part.rows;
                    progress.advance(block.size(), part.rows);
                    self.articles.table.check_room(block.size(), &layout.file)?;
                    self.customers.table.check_room(block.size(), &layout.file)?;
                    self.join(part);
                }
                if self.purchases.len() >= u32::MAX as usize {
                    return Err(DatasetError::TooLarge {
                        file: layout.file.clone(), what: "more than 2³² purchases"
                    });
                }
            }
            session.file_done(&layout.file, rows, progress);
        }
        if self.purchases.is_empty() {
            return Err(session.no_rows(plan.files.first().map(|file| file.path.as_path().into())));
        }
        Ok(())
    }

    /// Appends a parsed block. Entities it found new get the next rows.
    fn join(&mut self, part: Part) {
        let Part { purchases, new_articles, new_customers, .. } = part;
        let articles = new_articles.join(&mut self.articles.table.ids);
        let customers = new_customers.join(&mut self.customers.table.ids);
        let all = &mut self.purchases;
        all.article.extend(purchases.article.iter().map(|&code| articles.row(code)));
        all.customer.extend(purchases.customer.iter().map(|&code| customers.row(code)));
        all.time.extend(purchases.time);
        all.price.extend(purchases.price);
        all.channel.extend(purchases.channel);
    }
}

/// Reserves room for rows; an estimate too high to be met is not worth an error. Columns that stay empty only
/// take addresses, no memory.
fn reserve(purchases: &mut Purchases, rows: usize) {
    let _ = purchases.article.try_reserve(rows);
    let _ = purchases.customer.try_reserve(rows);
    let _ = purchases.time.try_reserve(rows);
    let _ = purchases.price.try_reserve(rows);
    let _ = purchases.channel.try_reserve(rows);
}

/// Rows to expect of a file, from its first block.
fn estimate(expected: Expected, block: usize, rows: u64) -> usize {
    match expected {
        Expected::Rows(rows) => rows as usize,
        Expected::Bytes(bytes) => (bytes as f64 * rows as f64 / block.max(1) as f64 * 1.02) as usize,
    }
}

/// Where the columns are in one file.
struct PurchaseColumns {
    article: usize,
    customer: usize,
    time: Option<(usize, TimeFormat)>,
    price: Option<usize>,
    channel: Option<usize>,
}

impl PurchaseColumns {
    fn find(plan: &PurchasePlan, layout: &Layout) -> Result<Self, DatasetError> {
        let optional = |name: &Option<String>| name.as_ref().map(|name| layout.column(name)).transpose();
        Ok(Self {
            article: layout.column(&plan.article)?,
            customer: layout.column(&plan.customer)?,
            time: plan.time.as_ref().map(|(name, format)| Ok((layout.column(name)?, *format))).transpose()?,
            price: optional(&plan.price)?,
            channel: optional(&plan.channel)?,
        })
    }

    fn indices(&self) -> Vec<usize> {
        let optional = [self.time.map(|(column, _)| column), self.price, self.channel];
        [self.article, self.customer].into_iter().chain(optional.into_iter().flatten()).collect()
    }
}

/// Ids that the entities did not hold when a block was parsed: row `base + i` stands for the i-th.
struct NewIds {
    base: u32,
    ids: IdTable,
}

impl NewIds {
    fn behind(side: &Side) -> Self {
        Self { base: side.table.ids.len() as u32, ids: IdTable::new() }
    }

    fn join(self, ids: &mut IdTable) -> Renumbering {
        Renumbering { base: self.base, rows: self.ids.iter().map(|id| ids.insert(id)).collect() }
    }
}

/// The rows that new ids got.
struct Renumbering {
    base: u32,
    rows: Vec<u32>,
}

impl Renumbering {
    fn row(&self, code: u32) -> u32 {
        if code < self.base { code } else { self.rows[(code - self.base) as usize] }
    }
}

/// One parsed block.
struct Part {
    purchases: Purchases,
    new_articles: NewIds,
    new_customers: NewIds,
    rejects: Vec<Reject>,
    rows: u64,
}

impl Part {
    fn parse(block: &Block, reader: &PurchaseReader, columns: &PurchaseColumns) -> Self {
        let mut part = Self {
            purchases: Purchases::default(),
            new_articles: NewIds::behind(&reader.articles),
            new_customers: NewIds::behind(&reader.customers),
            rejects: Vec::new(),
            rows: 0,
        };
        let mut rejects = Vec::new();
        let mut last = Last::default();
        part.rows = block.for_each_row(&mut rejects, |row| part.add(row, reader, columns, &mut last));
        part.rejects = rejects;
        part
    }

    fn add(
        &mut self,
        row: &Row,
        reader: &PurchaseReader,
        columns: &PurchaseColumns,
        last: &mut Last,
    ) -> Result<(), Fault> {
        let time = columns.time.map(|(column, format)| last.time(row, column, format)).transpose()?;
        let price = columns.price.map(|column| price(row.text(column)?, column)).transpose()?;
        let channel = columns.channel.map(|column| channel(row.text(column)?, column)).transpose()?;
        // Ids last, and both found before either is added: a rejected row makes no entity.
        let customer = last.customer(row, columns.customer, &reader.customers)?;
        let article = find(row, columns.article, &reader.articles)?;
        let purchases = &mut self.purchases;
        purchases.customer.push(self.new_customers.number(customer));
        purchases.article.push(self.new_articles.number(article));
        purchases.time.extend(time);
        purchases.price.extend(price);
        purchases.channel.extend(channel);
        Ok(())
    }
}

/// A known entity's row, or a valid id that is new.
#[derive(Clone, Copy)]
enum Found<'a> {
    Known(u32),
    New(&'a str),
}

impl NewIds {
    fn number(&mut self, found: Found) -> u32 {
        match found {
            Found::Known(row) => row,
            Found::New(id) => self.base + self.ids.insert(id),
        }
    }
}

fn find<'a>(row: &Row<'a>, column: usize, side: &Side) -> Result<Found<'a>, Fault> {
    let id = row.id(column)?;
    if let Some(row) = side.table.ids.find(id) {
        return Ok(Found::Known(row));
    }
    ArticleId::parse(id).map_err(|fault| Fault::at(column, Reason::Id(fault)))?;
    if side.open { Ok(Found::New(id)) } else { Err(Fault::at(column, (side.unknown)(shown(id)))) }
}

/// The cells of the row before: times and customers often repeat from row to row.
#[derive(Default)]
struct Last {
    time: (Vec<u8>, Timestamp),
    customer: (Vec<u8>, u32),
}

impl Last {
    fn time(&mut self, row: &Row, column: usize, format: TimeFormat) -> Result<Timestamp, Fault> {
        let bytes = row.bytes(column);
        if bytes.is_empty() || bytes != self.time.0 {
            let text = row.text(column)?;
            let fault = || Fault::at(column, Reason::Time { text: shown(text), expected: format.expected() });
            self.time.1 = format.parse(text).ok_or_else(fault)?;
            bytes.clone_into(&mut self.time.0);
        }
        Ok(self.time.1)
    }

    fn customer<'a>(&mut self, row: &Row<'a>, column: usize, side: &Side) -> Result<Found<'a>, Fault> {
        let bytes = row.bytes(column);
        if !bytes.is_empty() && bytes == self.customer.0 {
            return Ok(Found::Known(self.customer.1));
        }
        let found = find(row, column, side)?;
        if let Found::Known(row) = found {
            bytes.clone_into(&mut self.customer.0);
            self.customer.1 = row;
        }
        Ok(found)
    }
}

/// A price; empty is missing.
fn price(cell: &str, column: usize) -> Result<f32, Fault> {
    if cell.is_empty() {
        return Ok(f32::NAN);
    }
    let price = cell.parse::<f32>().ok().filter(|price| price.is_finite() && *price >= 0.0);
    price.ok_or_else(|| Fault::at(column, Reason::Price(shown(cell))))
}

/// A sales channel; empty is missing.
fn channel(cell: &str, column: usize) -> Result<u8, Fault> {
    if cell.is_empty() {
        return Ok(0);
    }
    cell.parse().map_err(|_| Fault::at(column, Reason::Channel(shown(cell))))
}
