//! Reads purchases: blocks are parsed in parallel against the entities known so far, and joined in order.

use super::block::{Block, BlockSource, Expected, ReadAhead, read_ahead};
use super::columns::EntitiesBuilder;
use super::entities::sample;
use super::error::{DatasetError, Fault, FileName, Reason, shown};
use super::ids::{IdStyle, similar};
use super::layout::Layout;
use super::moment::{Moment, TimeFormat, TimePlan, TimeReader, detect};
use super::plan::{PurchasePlan, Returns};
use super::returns::{Return, cancel};
use super::rows::{Above, Joined, NotCounted, Row, Rows, Tally, Unused, read_joined};
use super::session::Session;
use super::values::channel;
use crate::{
    dataset::{Purchases, TimeUnit},
    domain::{ArticleId, IdTable, Timestamp},
};
use rayon::prelude::*;
use std::iter::Peekable;

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
            return Err(session.no_rows(plan.table.files.first().map(|file| file.path.as_path().into())));
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
        let file = PurchaseFile::look_at(&mut blocks, &layout, rows, columns, plan, session.now)?;
        self.add_unit(file.time_unit);
        let mut above = Above::default();
        let mut count = 0;
        loop {
            let round = file.next_round(&mut blocks, &mut above)?;
            if round.is_empty() {
                break;
            }
            let parts: Vec<Part> =
                round.par_iter().map(|(block, above)| Part::parse(block, above, self, &file)).collect();
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

    /// Applies the returns to the purchases, which are sorted by time, and ends the account of the table.
    pub fn finish(&mut self, session: &mut Session) -> Result<(), DatasetError> {
        if !self.returns.is_empty() {
            let returns = std::mem::take(&mut self.returns);
            let (articles, customers) = (&self.articles.table.ids, &self.customers.table.ids);
            let cancelled = cancel(&mut self.purchases, returns, articles, customers);
            session.not_counted("taken back by a return", cancelled.removed);
            if cancelled.unmatched > 0 {
                let note = format!("{} returns are of nothing that was bought before", cancelled.unmatched);
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
    time: Vec<usize>,
    price: Option<usize>,
    channel: Option<usize>,
    event: Option<usize>,
    quantity: Option<usize>,
    weight: Option<usize>,
    rating: Option<usize>,
}

impl PurchaseColumns {
    fn find(plan: &PurchasePlan, rows: &Rows) -> Result<Self, DatasetError> {
        let optional = |name: Option<&String>| name.map(|name| rows.column(name)).transpose();
        let split = plan.table.split.as_ref().filter(|split| split.quantity.is_some());
        let split_quantity = split.map(|split| split.quantity_column());
        Ok(Self {
            article: rows.column(&plan.article)?,
            customer: rows.column(&plan.customer)?,
            time: plan
                .time
                .iter()
                .flat_map(|time| &time.columns)
                .map(|name| rows.column(name))
                .collect::<Result<_, _>>()?,
            price: optional(plan.price.as_ref())?,
            channel: optional(plan.channel.as_ref())?,
            event: optional(plan.event.as_ref().map(|event| &event.column))?,
            quantity: optional(plan.quantity.as_ref().or(split_quantity.as_ref()))?,
            weight: optional(plan.weight.as_ref())?,
            rating: optional(plan.rating.as_ref().map(|(column, _)| column))?,
        })
    }

    fn indices(&self) -> Vec<usize> {
        let optional = [self.price, self.channel, self.event, self.quantity, self.weight, self.rating];
        let required = [self.article, self.customer].into_iter().chain(self.time.iter().copied());
        required.chain(optional.into_iter().flatten()).collect()
    }
}

/// One file of purchases and how its rows are read.
struct PurchaseFile<'p> {
    plan: &'p PurchasePlan,
    rows: Rows<'p>,
    columns: PurchaseColumns,
    time: Option<TimeReader>,
    time_unit: Option<TimeUnit>,
    article_style: IdStyle,
    customer_style: IdStyle,
    /// Times after this one are in the future.
    latest: Timestamp,
    is_weighted: bool,
}

impl<'p> PurchaseFile<'p> {
    /// Looks at the first rows for the notation of times and ids.
    ///
    /// # Errors
    /// Times in no notation or in another unit than the description says.
    fn look_at(
        blocks: &mut Peekable<ReadAhead>,
        layout: &Layout,
        rows: Rows<'p>,
        columns: PurchaseColumns,
        plan: &'p PurchasePlan,
        now: Timestamp,
    ) -> Result<Self, DatasetError> {
        let (ids, times) = match blocks.peek() {
            Some(Ok(block)) => {
                (sample(&rows, block, &[columns.article, columns.customer]), sample(&rows, block, &columns.time))
            }
            _ => Default::default(),
        };
        let time = plan.time.as_ref().map(|time| resolve_time(time, &times, plan, now, &layout.file)).transpose()?;
        let is_calendar = plan.time.as_ref().is_some_and(|time| time.formats[0].is_calendar());
        Ok(Self {
            latest: match plan.allow_future || !is_calendar {
                true => Timestamp(u32::MAX),
                false => Timestamp(now.0.saturating_add(detect::SLACK)),
            },
            time_unit: time.as_ref().map(TimePlan::unit),
            time: time.map(|time| time.reader()),
            article_style: IdStyle::of(ids.iter().map(|row| row[0].as_str())),
            customer_style: IdStyle::of(ids.iter().map(|row| row[1].as_str())),
            is_weighted: plan.is_weighted(),
            plan,
            rows,
            columns,
        })
    }

    /// The next blocks to parse at once, each with what its first row finds above it.
    fn next_round(
        &self,
        blocks: &mut Peekable<ReadAhead>,
        above: &mut Above,
    ) -> Result<Vec<(Block, Above)>, DatasetError> {
        let mut round = Vec::new();
        for block in blocks.take(rayon::current_num_threads()) {
            let block = block?;
            let before = above.clone();
            self.rows.pass(&block, above);
            round.push((block, before));
        }
        Ok(round)
    }
}

/// The time of a plan once the first rows have shown its notation.
fn resolve_time(
    plan: &TimePlan,
    sample: &[Vec<String>],
    purchases: &PurchasePlan,
    now: Timestamp,
    file: &FileName,
) -> Result<TimePlan, DatasetError> {
    let missing = &purchases.table.cells.missing;
    let rows = sample.iter().filter(|row| !row.iter().any(|cell| missing.holds(cell)));
    let rows: Vec<Vec<&str>> = rows.map(|row| row.iter().map(|cell| cell.trim()).collect()).collect();
    let column = plan.columns.join("`, `");
    let mut plan = plan.clone();
    if plan.formats[0] == TimeFormat::Auto && !rows.is_empty() {
        let found = detect::notation(&rows, now).map_err(|why| DatasetError::TimeFormat {
            file: file.clone(),
            column: column.clone(),
            detail: match why {
                detect::Undetected::None => format!(
                    "no notation reads every time of the first rows, such as `{}`; \
                     name it with time_format, such as \"date-time\" or \"%m/%d/%Y %H:%M\"",
                    shown(&rows[0].join(" "))
                ),
                detect::Undetected::Several(names) => format!(
                    "times such as `{}` can be read in several ways; write time_format = \"{}\"",
                    shown(&rows[0].join(" ")),
                    names.join("\" or \"")
                ),
            },
        })?;
        plan.formats[0] = found;
    }
    let texts: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    match detect::mistaken_unit(&plan.formats[0], &texts, now) {
        Some(found) => Err(DatasetError::WrongUnit {
            file: file.clone(),
            column,
            declared: plan.formats[0].name().to_owned(),
            found: found.name().to_owned(),
        }),
        None => Ok(plan),
    }
}

/// How many rows each event has.
#[derive(Default)]
struct EventCounts(Vec<(String, u64)>);

impl EventCounts {
    /// Kinds of event that are told apart.
    const MOST: usize = 30;

    fn count(&mut self, event: &str, rows: u64) {
        match self.0.iter().position(|(known, _)| known == event) {
            Some(index) => self.0[index].1 += rows,
            None if self.0.len() < Self::MOST => self.0.push((event.to_owned(), rows)),
            None => {}
        }
    }

    fn join(&mut self, other: Self) {
        other.0.into_iter().for_each(|(event, rows)| self.count(&event, rows));
    }

    /// Tells which events there are, and which of those that count are missing.
    fn note(&self, plan: &PurchasePlan, notes: &mut Vec<String>) {
        let Some(event) = &plan.event else { return };
        let found: Vec<String> = self.0.iter().map(|(name, rows)| format!("{} {rows}", shown(name))).collect();
        notes.push(format!("events in `{}`: {}", event.column, found.join(", ")));
        for name in event.weights.keys().filter(|name| !self.0.iter().any(|(found, _)| found == *name)) {
            notes.push(format!("no row has the event `{name}`"));
        }
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
    returns: Vec<Return>,
    events: EventCounts,
    tally: Tally,
}

impl Part {
    fn parse(block: &Block, above: &Above, reader: &PurchaseReader, file: &PurchaseFile) -> Self {
        let mut part = Self {
            purchases: Purchases::default(),
            new_articles: NewIds::behind(&reader.articles),
            new_customers: NewIds::behind(&reader.customers),
            returns: Vec::new(),
            events: EventCounts::default(),
            tally: Tally::default(),
        };
        let mut tally = Tally::default();
        let mut rows = RowReader { reader, file, last: Last::default() };
        file.rows.for_each(block, above, &mut tally, |row, unreadable| part.add(row, &mut rows, unreadable));
        part.tally = tally;
        part
    }

    /// Adds a row. Its ids are found before either is added: a row that is not used makes no entity.
    fn add(&mut self, row: &Row, rows: &mut RowReader, unreadable: &mut Vec<Fault>) -> Result<(), Unused> {
        let event = rows.event(row, &mut self.events)?;
        let customer = rows.customer(row)?;
        rows.check_rating(row, unreadable)?;
        let quantity = rows.quantity(row, unreadable);
        if quantity <= 0.0 {
            self.add_return(row, rows, -quantity)?;
            return Err(Unused::NotCounted(NotCounted::Return));
        }
        let weight = rows.weight(row, unreadable)?;
        let time = rows.time(row)?;
        let PurchaseFile { columns, plan, .. } = rows.file;
        let cells = &plan.table.cells;
        let price = columns
            .price
            .map(|column| cells.optional(row, column, unreadable, |text| cells.price(text)).unwrap_or(f32::NAN));
        let channel = columns.channel.map(|column| cells.optional(row, column, unreadable, channel).unwrap_or(0));
        let article = rows.article(row)?;
        self.push_millis(time);
        let purchases = &mut self.purchases;
        purchases.customer.push(self.new_customers.number(customer));
        purchases.article.push(self.new_articles.number(article));
        purchases.time.extend(time.map(|moment| moment.time));
        purchases.price.extend(price);
        purchases.channel.extend(channel);
        if rows.file.is_weighted {
            // Finite and above 0, whatever is multiplied.
            purchases.weight.push((event * quantity * weight).clamp(f32::MIN_POSITIVE, f32::MAX));
        }
        Ok(())
    }

    /// The column of milliseconds begins with the first time that is no whole second.
    fn push_millis(&mut self, time: Option<Moment>) {
        let millis = time.map_or(0, |moment| moment.millis);
        if millis > 0 || !self.purchases.millis.is_empty() {
            self.purchases.millis.resize(self.purchases.article.len(), 0);
            self.purchases.millis.push(millis);
        }
    }

    /// Remembers a return if it takes something back.
    fn add_return(&mut self, row: &Row, rows: &mut RowReader, units: f32) -> Result<(), Unused> {
        if rows.file.plan.returns == Returns::Cancel
            && units > 0.0
            && let Some(moment) = rows.time(row)?
        {
            let PurchaseFile { columns, article_style, customer_style, .. } = rows.file;
            let article = article_style.clean(row.id(columns.article)?).to_owned();
            let customer = customer_style.clean(row.id(columns.customer)?).to_owned();
            self.returns.push(Return { customer, article, moment, units });
        }
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

/// Reads the cells of one row after the other.
struct RowReader<'a> {
    reader: &'a PurchaseReader,
    file: &'a PurchaseFile<'a>,
    last: Last,
}

/// Cells of the row before: times and customers often repeat from row to row.
#[derive(Default)]
struct Last {
    time: (Vec<u8>, Moment),
    customer: (Vec<u8>, u32),
}

impl RowReader<'_> {
    /// How much the event of a row counts.
    fn event(&self, row: &Row, counts: &mut EventCounts) -> Result<f32, Unused> {
        let (Some(column), Some(plan)) = (self.file.columns.event, &self.file.plan.event) else { return Ok(1.0) };
        let event = row.text(column)?.trim();
        counts.count(event, 1);
        plan.weights.get(event).copied().ok_or(Unused::NotCounted(NotCounted::Event))
    }

    fn customer<'r>(&mut self, row: &'r Row) -> Result<Found<'r>, Unused> {
        let column = self.file.columns.customer;
        let bytes = row.bytes(column);
        if !bytes.is_empty() && bytes == self.last.customer.0 {
            return Ok(Found::Known(self.last.customer.1));
        }
        let found = match self.find(row, column, self.file.customer_style, &self.reader.customers) {
            Err(Unused::Rejected(Fault { reason: Reason::NoId(_), .. })) => {
                return Err(Unused::NotCounted(NotCounted::NoCustomer));
            }
            found => found?,
        };
        if let Found::Known(row) = found {
            bytes.clone_into(&mut self.last.customer.0);
            self.last.customer.1 = row;
        }
        Ok(found)
    }

    fn article<'r>(&self, row: &'r Row) -> Result<Found<'r>, Unused> {
        self.find(row, self.file.columns.article, self.file.article_style, &self.reader.articles)
    }

    fn find<'r>(&self, row: &'r Row, column: usize, style: IdStyle, side: &Side) -> Result<Found<'r>, Unused> {
        let id = style.clean(row.id(column)?);
        if let Some(row) = side.table.ids.find(id) {
            return Ok(Found::Known(row));
        }
        if self.file.plan.table.cells.missing.holds(id) {
            return Err(Unused::at(column, Reason::NoId(shown(id))));
        }
        ArticleId::parse(id).map_err(|fault| Unused::at(column, Reason::Id(fault)))?;
        if side.open {
            return Ok(Found::New(id));
        }
        Err(Unused::at(column, (side.unknown)(shown(id), similar(id, &side.table.ids))))
    }

    fn check_rating(&self, row: &Row, unreadable: &mut Vec<Fault>) -> Result<(), Unused> {
        let (Some(column), Some((_, lowest))) = (self.file.columns.rating, &self.file.plan.rating) else {
            return Ok(());
        };
        let rating = self.number(row, column, unreadable);
        if rating.is_some_and(|rating| rating >= *lowest) {
            Ok(())
        } else {
            Err(Unused::NotCounted(NotCounted::BelowRating))
        }
    }

    /// How many pieces were bought: 1 where the file does not say.
    fn quantity(&self, row: &Row, unreadable: &mut Vec<Fault>) -> f32 {
        self.file.columns.quantity.and_then(|column| self.number(row, column, unreadable)).unwrap_or(1.0)
    }

    fn weight(&self, row: &Row, unreadable: &mut Vec<Fault>) -> Result<f32, Unused> {
        let weight = self.file.columns.weight.and_then(|column| self.number(row, column, unreadable)).unwrap_or(1.0);
        if weight > 0.0 { Ok(weight) } else { Err(Unused::NotCounted(NotCounted::Weightless)) }
    }

    /// A number that decides whether a row counts: read before its spelling is compared with those of missing values,
    /// so that a 0 stays one.
    fn number(&self, row: &Row, column: usize, unreadable: &mut Vec<Fault>) -> Option<f32> {
        let cells = &self.file.plan.table.cells;
        let number = row.text(column).ok().and_then(|text| cells.number(text).ok());
        number.or_else(|| cells.optional(row, column, unreadable, |text| cells.number(text)))
    }

    fn time(&mut self, row: &Row) -> Result<Option<Moment>, Unused> {
        let Some(time) = &self.file.time else { return Ok(None) };
        let columns = &self.file.columns.time;
        let moment = match columns[..] {
            [column] => {
                let bytes = row.bytes(column);
                if !bytes.is_empty() && bytes == self.last.time.0 {
                    return Ok(Some(self.last.time.1));
                }
                let moment = time.read(&[row.text(column)?]).map_err(|fault| self.time_fault(row, fault))?;
                bytes.clone_into(&mut self.last.time.0);
                moment
            }
            _ => {
                let cells: Vec<&str> = columns.iter().map(|&column| row.text(column)).collect::<Result<_, _>>()?;
                time.read(&cells).map_err(|fault| self.time_fault(row, fault))?
            }
        };
        if moment.time > self.file.latest {
            // Not to be found as the time of the row before.
            self.last.time.0.clear();
            return Err(Unused::at(columns[0], Reason::Future(moment.time.to_string())));
        }
        self.last.time.1 = moment;
        Ok(Some(moment))
    }

    fn time_fault(&self, row: &Row, (cell, format): (usize, &TimeFormat)) -> Unused {
        let column = self.file.columns.time[cell];
        let text = row.text(column).unwrap_or_default();
        Unused::at(column, Reason::Time { text: shown(text), expected: format.expected() })
    }
}
