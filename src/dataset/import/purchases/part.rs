//! A parsed block of purchases, whose new entities have no rows yet.

use super::{
    PurchaseReader, Side,
    events::EventCounts,
    file::PurchaseFile,
    row::{Found, Last, RowReader},
};
use crate::{
    dataset::{
        Purchases,
        import::{
            block::Block,
            error::Fault,
            moment::Moment,
            plan::Returns,
            returns::Return,
            rows::{Above, NotCounted, Row, Tally, Unused},
            values::channel,
        },
    },
    domain::IdTable,
};

/// Ids that the entities did not hold when a block was parsed: row `base + i` stands for the i-th.
pub(super) struct NewIds {
    pub base: u32,
    pub ids: IdTable,
}

impl NewIds {
    pub fn behind(side: &Side) -> Self {
        Self { base: side.table.ids.len() as u32, ids: IdTable::new() }
    }

    pub fn join(self, ids: &mut IdTable) -> Renumbering {
        Renumbering { base: self.base, rows: self.ids.iter().map(|id| ids.insert(id)).collect() }
    }
}

/// The rows that new ids got.
pub(super) struct Renumbering {
    pub base: u32,
    pub rows: Vec<u32>,
}

impl Renumbering {
    pub fn row(&self, code: u32) -> u32 {
        if code < self.base { code } else { self.rows[(code - self.base) as usize] }
    }
}

/// One parsed block.
pub(super) struct Part {
    pub purchases: Purchases,
    pub new_articles: NewIds,
    pub new_customers: NewIds,
    pub returns: Vec<Return>,
    pub events: EventCounts,
    pub tally: Tally,
}

impl Part {
    pub fn parse(
        block: &Block,
        above: &Above,
        reader: &PurchaseReader,
        file: &PurchaseFile,
    ) -> Self {
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
        file.rows.for_each(block, above, &mut tally, |row, unreadable| {
            part.add(row, &mut rows, unreadable)
        });
        part.tally = tally;
        part
    }

    /// Adds a row. Its ids are found before either is added: a row that is not used makes no
    /// entity.
    pub fn add(
        &mut self,
        row: &Row,
        rows: &mut RowReader,
        unreadable: &mut Vec<Fault>,
    ) -> Result<(), Unused> {
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
        let price = columns.price.map(|column| {
            cells.optional(row, column, unreadable, |text| cells.price(text)).unwrap_or(f32::NAN)
        });
        let channel = columns
            .channel
            .map(|column| cells.optional(row, column, unreadable, channel).unwrap_or(0));
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
    pub fn push_millis(&mut self, time: Option<Moment>) {
        let millis = time.map_or(0, |moment| moment.millis);
        if millis > 0 || !self.purchases.millis.is_empty() {
            self.purchases.millis.resize(self.purchases.article.len(), 0);
            self.purchases.millis.push(millis);
        }
    }

    /// Remembers a return if it takes something back.
    pub fn add_return(
        &mut self,
        row: &Row,
        rows: &mut RowReader,
        units: f32,
    ) -> Result<(), Unused> {
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

impl NewIds {
    pub fn number(&mut self, found: Found) -> u32 {
        match found {
            Found::Known(row) => row,
            Found::New(id) => self.base + self.ids.insert(id),
        }
    }
}
