//! Rows of purchases and events as columns.

use super::{
    EntityRow, EventRow, PurchaseRow, ReadOptions, ReadReport, StoreError,
    entities::{EntityTable, Rows},
    options::{PURCHASE, RETURN},
    order,
};
use crate::{
    dataset::{Moment, Purchases, Return, TimeUnit, cancel},
    domain::{IdTable, Timestamp},
};
use hashbrown::HashMap;
use std::mem::take;

/// The first second of 1971: nothing is dated before it but rows that count positions.
const FIRST_DATE: Timestamp = Timestamp(365 * Timestamp::DAY);

/// Purchases under construction.
pub(super) struct PurchaseTable<'a> {
    articles: &'a IdTable,
    article_rows: Rows,
    customer_rows: Rows,
    /// The number of customers. Visitors who are no customers follow them, in the order in which
    /// they are met.
    customers: u32,
    /// Their rows by key.
    visitors: HashMap<i32, u32>,
    options: &'a ReadOptions,
    /// What was bought, in the order of reading.
    bought: Purchases,
    /// Events of other types that count.
    actions: Purchases,
    returns: Vec<(u32, u32, Moment, f32)>,
    imported: usize,
    told: usize,
    of_nobody: usize,
    of_unknown_articles: usize,
    /// Dated outside 1970 to 2106.
    undated: usize,
    /// Whether all imported purchases are dated by midnights, and the latest of them.
    by_days: bool,
    latest_import: Timestamp,
}

impl<'a> PurchaseTable<'a> {
    pub(super) fn new(
        articles: &'a EntityTable,
        customers: &EntityTable,
        options: &'a ReadOptions,
    ) -> Self {
        Self {
            article_rows: articles.rows(),
            customer_rows: customers.rows(),
            articles: &articles.ids,
            customers: customers.len() as u32,
            visitors: HashMap::new(),
            options,
            bought: Purchases::default(),
            actions: Purchases::default(),
            returns: Vec::new(),
            imported: 0,
            told: 0,
            of_nobody: 0,
            of_unknown_articles: 0,
            undated: 0,
            by_days: true,
            latest_import: Timestamp(0),
        }
    }

    pub(super) fn counts_purchases(&self) -> bool {
        self.options.events.contains_key(PURCHASE)
    }

    pub(super) fn add_imported(&mut self, row: PurchaseRow) -> Result<(), StoreError> {
        let found = self.customer_rows.find(row.customer).zip(self.article_rows.find(row.article));
        let (Some((customer, article)), Some(moment)) = (found, Moment::from_millis(row.at)) else {
            self.undated += 1;
            return Ok(());
        };
        self.imported += 1;
        self.by_days &= moment.time.0.is_multiple_of(Timestamp::DAY) && moment.millis == 0;
        self.latest_import = self.latest_import.max(moment.time);
        let weight = row.weight.unwrap_or(1.0);
        push(
            &mut self.bought,
            Row { customer, article, moment, price: row.price, channel: row.channel, weight },
        )
    }

    pub(super) fn add_event(&mut self, event: EventRow<'_>) -> Result<(), StoreError> {
        let known = event.customer.and_then(|key| self.customer_rows.find(key));
        if known.is_none() && event.visitor.is_none() {
            self.of_nobody += 1;
            return Ok(());
        }
        let Some(article) = self.articles.find(event.article) else {
            self.of_unknown_articles += 1;
            return Ok(());
        };
        let Some(moment) = Moment::from_millis(event.at) else {
            self.undated += 1;
            return Ok(());
        };
        let action = event.kind != RETURN && event.kind != PURCHASE;
        let weight =
            if action { self.options.events.get(event.kind).copied().unwrap_or(0.0) } else { 1.0 };
        if weight <= 0.0 {
            return Ok(());
        }
        let customer = known.or_else(|| event.visitor.map(|key| self.visitor(key)));
        let Some(customer) = customer else { return Ok(()) };
        if event.kind == RETURN {
            self.returns.push((customer, article, moment, event.quantity));
            return Ok(());
        }
        let weight = weight * event.quantity;
        let row = Row { customer, article, moment, price: event.price, channel: None, weight };
        if action {
            return push(&mut self.actions, row);
        }
        self.told += 1;
        push(&mut self.bought, row)
    }

    fn visitor(&mut self, key: i32) -> u32 {
        let next = self.customers + self.visitors.len() as u32;
        *self.visitors.entry(key).or_insert(next)
    }

    /// Adds the visitors to the customers, in the order of their keys, however the rows of events
    /// lay.
    fn name_visitors(&mut self, customers: &mut EntityTable) -> Result<(), StoreError> {
        let mut keys: Vec<(i32, u32)> =
            self.visitors.iter().map(|(&key, &row)| (key, row)).collect();
        keys.sort_unstable();
        let mut rows = vec![0; keys.len()];
        for (at, &(key, met)) in (self.customers..).zip(&keys) {
            rows[(met - self.customers) as usize] = at;
            customers.push(EntityRow {
                key,
                id: &visitor_name(key, &customers.ids),
                available: true,
                attributes: "{}",
            })?;
        }
        let first = self.customers;
        let named = |row: &mut u32| {
            if *row >= first {
                *row = rows[(*row - first) as usize];
            }
        };
        self.bought.customer.iter_mut().for_each(named);
        self.actions.customer.iter_mut().for_each(named);
        self.returns.iter_mut().for_each(|line| named(&mut line.0));
        Ok(())
    }

    /// All rows in order of time, less what came back, and what their times mean. Visitors who
    /// bought something join the customers.
    pub(super) fn finish(
        mut self,
        customers: &mut EntityTable,
        report: &mut ReadReport,
    ) -> Result<(Purchases, TimeUnit), StoreError> {
        self.name_visitors(customers)?;
        report.visitors = self.visitors.len();
        let unit = self.options.time_unit.unwrap_or_else(|| self.time_unit());
        let mut purchases = take(&mut self.bought);
        order::sort(&mut purchases);
        if !self.returns.is_empty() {
            let named = |(customer, article, moment, units): (u32, u32, Moment, f32)| Return {
                customer: customers.ids.get(customer).to_owned(),
                article: self.articles.get(article).to_owned(),
                moment,
                units,
            };
            let returns = take(&mut self.returns).into_iter().map(named).collect();
            report.returned =
                cancel(&mut purchases, returns, self.articles, &customers.ids).removed;
        }
        let weight = self.options.events.get(PURCHASE).copied().unwrap_or(1.0);
        if weight != 1.0 {
            purchases.weight.resize(purchases.len(), 1.0);
            purchases
                .weight
                .iter_mut()
                .for_each(|own| *own = (*own * weight).clamp(f32::MIN_POSITIVE, f32::MAX));
        }
        report.actions = self.actions.len();
        for row in 0..self.actions.len() {
            push(&mut purchases, row_of(&self.actions, row))?;
        }
        if unit == TimeUnit::Day {
            cut_to_days(&mut purchases);
        }
        if !self.actions.is_empty() || unit == TimeUnit::Day {
            order::sort(&mut purchases);
        }
        drop_columns_that_say_nothing(&mut purchases);
        (report.imported, report.told) = (self.imported, self.told);
        (report.of_nobody, report.of_unknown_articles) = (self.of_nobody, self.of_unknown_articles);
        report.left_out += self.undated;
        Ok((purchases, unit))
    }

    /// A shop that imports days tells seconds by its events; its purchases stay baskets of a day,
    /// for a model that takes them so.
    fn time_unit(&self) -> TimeUnit {
        match self.imported {
            0 => TimeUnit::Second,
            _ if self.latest_import < FIRST_DATE && self.told == 0 => TimeUnit::Position,
            _ if self.by_days => TimeUnit::Day,
            _ => TimeUnit::Second,
        }
    }
}

/// What a visitor without a name is called among the customers: by the number of the row, so that
/// no bundle holds the id of a browser.
fn visitor_name(key: i32, taken: &IdTable) -> String {
    let mut name = format!("visitor:{key}");
    while taken.find(&name).is_some() {
        name.push('\'');
    }
    name
}

/// A row to add.
struct Row {
    customer: u32,
    article: u32,
    moment: Moment,
    price: Option<f32>,
    channel: Option<u8>,
    weight: f32,
}

fn row_of(purchases: &Purchases, row: usize) -> Row {
    let (time, millis) = purchases.moment_of(row as u32);
    Row {
        customer: purchases.customer[row],
        article: purchases.article[row],
        moment: Moment { time, millis },
        price: purchases.price.get(row).copied(),
        channel: purchases.channel.get(row).copied(),
        weight: purchases.weight_of(row as u32),
    }
}

/// Appends a row. A column begins with the first row that says something in it.
fn push(purchases: &mut Purchases, row: Row) -> Result<(), StoreError> {
    let at = purchases.len();
    if at >= u32::MAX as usize {
        return Err(StoreError::Refused("the shop has more than 2³² purchases".to_owned()));
    }
    purchases.customer.push(row.customer);
    purchases.article.push(row.article);
    purchases.time.push(row.moment.time);
    let price = row.price.filter(|price| price.is_finite());
    append(&mut purchases.price, at, price, f32::NAN);
    append(&mut purchases.channel, at, row.channel.filter(|&channel| channel != 0), 0);
    append(&mut purchases.millis, at, Some(row.moment.millis).filter(|&millis| millis != 0), 0);
    let weight = row.weight.clamp(f32::MIN_POSITIVE, f32::MAX);
    append(&mut purchases.weight, at, Some(weight).filter(|&weight| weight != 1.0), 1.0);
    Ok(())
}

fn append<T: Copy>(column: &mut Vec<T>, at: usize, value: Option<T>, usual: T) {
    match value {
        None if column.is_empty() => {}
        value => {
            column.resize(at, usual);
            column.push(value.unwrap_or(usual));
        }
    }
}

fn cut_to_days(purchases: &mut Purchases) {
    purchases.time.iter_mut().for_each(|time| *time = Timestamp(time.day() * Timestamp::DAY));
    purchases.millis = Vec::new();
}

/// A return may have left a column in which every row says the same; columns that end early are
/// made whole.
fn drop_columns_that_say_nothing(purchases: &mut Purchases) {
    let rows = purchases.len();
    if purchases.weight.iter().all(|&weight| weight == 1.0) {
        purchases.weight = Vec::new();
    }
    let complete = [
        purchases.price.len(),
        purchases.channel.len(),
        purchases.weight.len(),
        purchases.millis.len(),
    ];
    debug_assert!(complete.iter().all(|&len| len == 0 || len == rows));
}

#[cfg(test)]
mod tests {
    use super::{super::EntityRow, *};

    const HOUR: i64 = 3_600_000;

    fn table(ids: &[&str]) -> EntityTable {
        let mut table = EntityTable::default();
        for (key, id) in (1..).zip(ids) {
            table.push(EntityRow { key, id, available: true, attributes: "{}" }).unwrap();
        }
        table
    }

    fn imported(customer: i32, article: i32, at: i64) -> PurchaseRow {
        PurchaseRow { customer, article, at, price: None, channel: None, weight: None }
    }

    fn event(
        kind: &'static str,
        customer: i32,
        article: &'static str,
        at: i64,
        quantity: f32,
    ) -> EventRow<'static> {
        EventRow {
            kind,
            customer: Some(customer),
            visitor: None,
            article,
            at,
            quantity,
            price: Some(2.5),
        }
    }

    type Bought = Vec<(u32, u32, u32, f32)>;

    fn read(
        options: &ReadOptions,
        purchases: &[PurchaseRow],
        events: Vec<EventRow<'_>>,
    ) -> (Bought, TimeUnit, ReadReport) {
        let (articles, mut customers) = (table(&["lamp", "sofa"]), table(&["ann", "visitor:7"]));
        let mut table = PurchaseTable::new(&articles, &customers, options);
        purchases.iter().try_for_each(|row| table.add_imported(*row)).unwrap();
        events.into_iter().try_for_each(|event| table.add_event(event)).unwrap();
        let mut report = ReadReport::default();
        let (purchases, unit) = table.finish(&mut customers, &mut report).unwrap();
        assert_eq!(customers.len(), 2 + report.visitors);
        let row = |row: u32| {
            let at = row as usize;
            (
                purchases.customer[at],
                purchases.article[at],
                purchases.time[at].0,
                purchases.weight_of(row),
            )
        };
        ((0..purchases.len() as u32).map(row).collect(), unit, report)
    }

    #[test]
    fn told_purchases_join_the_imported_ones_and_returns_take_back() {
        let day = 20_000 * 24 * HOUR;
        let second = (day / 1000) as u32;
        let events = vec![
            event("purchase", 2, "sofa", day + 2 * HOUR, 3.0),
            event("purchase", 1, "sofa", day + 2 * HOUR, 1.0),
            event("return", 2, "sofa", day + 3 * HOUR, 1.0),
            event("return", 1, "lamp", day + 3 * HOUR, 1.0),
            event("purchase", 1, "ghost", day, 1.0),
            event("purchase", 9, "sofa", day, 1.0),
        ];
        let (bought, unit, report) = read(
            &ReadOptions::default(),
            &[imported(2, 1, day), imported(1, 1, day + HOUR)],
            events,
        );
        assert_eq!(unit, TimeUnit::Second);
        assert_eq!(
            bought,
            [(1, 0, second, 1.0), (0, 1, second + 7_200, 1.0), (1, 1, second + 7_200, 2.0)]
        );
        assert_eq!((report.imported, report.told, report.returned), (2, 2, 1));
        assert_eq!((report.of_nobody, report.of_unknown_articles), (1, 1));
    }

    #[test]
    fn visitors_are_customers_of_their_own_in_the_order_of_their_keys() {
        let day = 20_000 * 24 * HOUR;
        let by = |visitor: i32, kind: &'static str, article: &'static str, hour: i64| EventRow {
            customer: None,
            visitor: Some(visitor),
            ..event(kind, 0, article, day + hour * HOUR, 1.0)
        };
        let events = vec![
            by(9, "purchase", "lamp", 1),
            by(7, "purchase", "sofa", 2),
            by(7, "purchase", "lamp", 3),
            by(7, "return", "sofa", 4),
            // Nobody who only looks is a customer.
            by(8, "view", "sofa", 5),
        ];
        let (bought, _, report) = read(&ReadOptions::default(), &[], events);
        let bought: Vec<(u32, u32)> = bought.iter().map(|row| (row.0, row.1)).collect();
        assert_eq!(bought, [(3, 0), (2, 0)]);
        assert_eq!((report.visitors, report.told, report.returned, report.of_nobody), (2, 3, 1, 0));
        let names = table(&["ann", "visitor:7"]);
        assert_eq!(
            (visitor_name(7, &names.ids), visitor_name(9, &names.ids)),
            ("visitor:7'".into(), "visitor:9".into())
        );
    }

    #[test]
    fn other_events_count_by_their_weights() {
        let day = 20_000 * 24 * HOUR;
        let events =
            || vec![event("view", 1, "lamp", day, 1.0), event("search", 1, "lamp", day, 1.0)];
        let (bought, _, report) = read(&ReadOptions::default(), &[], events());
        assert!(bought.is_empty() && report.actions == 0);
        let weights = [("purchase".to_owned(), 2.0), ("view".to_owned(), 0.25)].into();
        let options = ReadOptions { events: weights, ..ReadOptions::default() };
        let (bought, _, report) = read(&options, &[imported(1, 2, day - HOUR)], events());
        let weights: Vec<f32> = bought.iter().map(|row| row.3).collect();
        assert_eq!((weights, report.actions), (vec![2.0, 0.25], 1));
    }

    #[test]
    fn the_unit_of_times_is_that_of_the_import() {
        let day = 20_000 * 24 * HOUR;
        let told = || vec![event("purchase", 1, "lamp", day + 5 * HOUR, 1.0)];
        let options = ReadOptions::default();
        let (bought, unit, _) = read(&options, &[imported(1, 1, day)], told());
        assert_eq!((unit, bought[1].2), (TimeUnit::Day, bought[0].2), "a basket of that day");
        assert_eq!(read(&options, &[imported(1, 1, day + 1)], told()).1, TimeUnit::Second);
        assert_eq!(read(&options, &[imported(1, 1, 7_000)], Vec::new()).1, TimeUnit::Position);
        assert_eq!(read(&options, &[], told()).1, TimeUnit::Second);
        let by_seconds = ReadOptions { time_unit: Some(TimeUnit::Second), ..options };
        assert_eq!(read(&by_seconds, &[imported(1, 1, day)], told()).1, TimeUnit::Second);
    }
}
