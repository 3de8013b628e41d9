//! Reads purchases: blocks are parsed in parallel against the entities known so far, and joined in
//! order.
//!
//! [`file`] is what is known of a file before its rows are read, [`row`] reads the cells of one
//! row, and [`part`] is a parsed block.

mod events;
mod file;
mod part;
mod row;

use super::block::{BlockSource, Expected, read_ahead};
use super::columns::EntitiesBuilder;
use super::error::{DatasetError, Reason};
use super::plan::PurchasePlan;
use super::returns::{Return, cancel};
use super::rows::{Above, Joined, Rows, read_joined};
use super::session::Session;
use crate::dataset::{Purchases, TimeUnit};
use events::EventCounts;
use file::{PurchaseColumns, PurchaseFile};
use part::Part;
use rayon::prelude::*;

/// The purchases read so far and the entities they refer to.
pub(super) struct PurchaseReader {
    pub articles: Side,
    pub customers: Side,
    pub purchases: Purchases,
    pub time_unit: TimeUnit,
    returns: Vec<Return>,
    events: EventCounts,
}

/// Articles or customers, as purchases refer to them.
pub(super) struct Side {
    pub table: EntitiesBuilder,
    /// Whether an unknown id makes a new entity; otherwise its row is rejected.
    pub open: bool,
    /// The reason of such a reject: the id, and a known one that looks like it.
    pub unknown: fn(String, Option<String>) -> Reason,
}

impl PurchaseReader {
    pub fn new(articles: Side, customers: Side) -> Self {
        Self {
            articles,
            customers,
            purchases: Purchases::default(),
            time_unit: TimeUnit::Position,
            returns: Vec::new(),
            events: EventCounts::default(),
        }
    }

    /// Reads all files of the plan.
    pub fn read(&mut self, plan: &PurchasePlan, session: &mut Session) -> Result<(), DatasetError> {
        let joined = match &plan.table.join {
            Some(join) => Some(read_joined(join, Some(&plan.columns()), session)?),
            None => None,
        };
        session.begin_table("purchases");
        for file in &plan.table.files {
            self.read_file(file.open(session.block)?, plan, joined.as_ref(), session)?;
        }
        if self.purchases.is_empty() {
            return Err(
                session.no_rows(plan.table.files.first().map(|file| file.path.as_path().into()))
            );
        }
        self.events.note(plan, &mut session.report.notes);
        Ok(())
    }

    fn read_file(
        &mut self,
        mut source: Box<dyn BlockSource>,
        plan: &PurchasePlan,
        joined: Option<&Joined>,
        session: &mut Session,
    ) -> Result<(), DatasetError> {
        let layout = source.layout().clone();
        let rows = Rows::new(&plan.table, &layout, joined)?;
        let columns = PurchaseColumns::find(plan, &rows)?;
        source.want(&rows.wanted(&columns.indices()))?;
        let expected = source.expected();
        let progress = session.progress(&layout.file, expected);
        let mut blocks = read_ahead(source).peekable();
        let file = PurchaseFile::look_at(&mut blocks, &layout, rows, columns, plan, session)?;
        self.add_unit(file.time_unit);
        let mut above = Above::default();
        let mut count = 0;
        loop {
            let round = file.next_round(&mut blocks, &mut above)?;
            if round.is_empty() {
                break;
            }
            let parts: Vec<Part> = round
                .par_iter()
                .map(|(block, above)| Part::parse(block, above, self, &file))
                .collect();
            for (mut part, (block, _)) in parts.into_iter().zip(&round) {
                let tally = std::mem::take(&mut part.tally);
                if count == 0 {
                    reserve(&mut self.purchases, estimate(expected, block.size(), tally.rows));
                }
                count += tally.rows;
                progress.advance(block.size(), tally.rows);
                session.add(tally)?;
                self.articles.table.check_room(block.size(), &layout.file)?;
                self.customers.table.check_room(block.size(), &layout.file)?;
                self.join(part);
            }
            if self.purchases.len() >= u32::MAX as usize {
                let what = "more than 2³² purchases";
                return Err(DatasetError::TooLarge { file: layout.file.clone(), what });
            }
        }
        session.file_done(&layout.file, count, progress);
        Ok(())
    }

    /// Days and seconds in one table are seconds.
    fn add_unit(&mut self, unit: Option<TimeUnit>) {
        self.time_unit = match (self.time_unit, unit) {
            (known, None) => known,
            (TimeUnit::Position, Some(unit)) => unit,
            (known, Some(unit)) if known == unit => known,
            _ => TimeUnit::Second,
        };
    }

    /// Appends a parsed block. Entities it found new get the next rows.
    fn join(&mut self, part: Part) {
        let Part { purchases, new_articles, new_customers, returns, events, .. } = part;
        let articles = new_articles.join(&mut self.articles.table.ids);
        let customers = new_customers.join(&mut self.customers.table.ids);
        let all = &mut self.purchases;
        // Most shops have whole seconds and need no column for what is finer.
        if !purchases.millis.is_empty() || !all.millis.is_empty() {
            all.millis.resize(all.article.len(), 0);
            all.millis.extend(&purchases.millis);
            all.millis.resize(all.article.len() + purchases.article.len(), 0);
        }
        all.article.extend(purchases.article.iter().map(|&code| articles.row(code)));
        all.customer.extend(purchases.customer.iter().map(|&code| customers.row(code)));
        all.time.extend(purchases.time);
        all.price.extend(purchases.price);
        all.channel.extend(purchases.channel);
        all.weight.extend(purchases.weight);
        self.returns.extend(returns);
        self.events.join(events);
    }

    /// Applies the returns to the purchases, which are sorted by time, and ends the account of the
    /// table.
    pub fn finish(&mut self, session: &mut Session) -> Result<(), DatasetError> {
        if !self.returns.is_empty() {
            let returns = std::mem::take(&mut self.returns);
            let (articles, customers) = (&self.articles.table.ids, &self.customers.table.ids);
            let cancelled = cancel(&mut self.purchases, returns, articles, customers);
            session.not_counted("taken back by a return", cancelled.removed);
            if cancelled.unmatched > 0 {
                let note = format!(
                    "{} returns are of nothing that was bought before",
                    cancelled.unmatched
                );
                session.report.notes.push(note);
            }
        }
        // Every row counts the same: the column says nothing.
        if self.purchases.weight.iter().all(|&weight| weight == 1.0) {
            self.purchases.weight = Vec::new();
        }
        session.end_table(self.purchases.len() as u64)
    }
}

/// Reserves room for rows; an estimate too high to be met is not worth an error. Columns that stay
/// empty only take addresses, no memory.
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
        Expected::Bytes(bytes) => {
            (bytes as f64 * rows as f64 / block.max(1) as f64 * 1.02) as usize
        }
    }
}
