//! Which table holds the purchases, and what its columns mean.

use super::column::{Column, List};
use super::moment::{self, Notation};
use super::table::Table;
use super::words::{
    Action, Holds, Role, Words, action, is_void, says, says_void, says_when_or_why, yes_or_no,
};
use crate::dataset::number_in_any_notation as number;
use std::collections::BTreeMap;

/// A column of the purchases' rows: of the table itself or of one that is joined to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub table: usize,
    pub column: usize,
}

/// A table whose columns are looked up for each row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Join {
    pub table: usize,
    /// The column on the side of the purchases.
    pub left: Place,
    /// The column of the joined table, unique there.
    pub right: usize,
}

/// When something was bought.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Times {
    pub column: Place,
    /// The columns of month and day, where `column` holds the year alone.
    pub rest: Vec<Place>,
    /// A time of day in another column, and its format.
    pub clock: Option<(Place, &'static str)>,
    /// One, or several of which each value is in one.
    pub formats: Vec<String>,
    pub otherwise: Option<String>,
    /// Values in none of the formats, and one of them.
    pub odd: Option<(usize, String)>,
}

impl Times {
    /// Whether the time is read from a column.
    pub fn has(&self, place: Place) -> bool {
        self.column == place
            || self.rest.contains(&place)
            || self.clock.is_some_and(|(clock, _)| clock == place)
    }
}

const YEAR: &str = "year jahr annee ano anio";
const MONTH: &str = "month monat mois mes";
const DAY: &str = "day tag jour dia dayofmonth";
/// Parts of a date, spans and counts, which are no moments.
const PART: &str = "\
    hour hora heure stunde week weekday woche semaine semana dow since of month monat mois mes \
    quarter year jahr annee ano day tag dia jour duration";

/// A condition on a column, as `where` writes it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    Above0(Place),
    Not(Place, Vec<String>),
    /// The cell is empty.
    Absent(Place),
}

impl Condition {
    pub fn place(&self) -> Place {
        match self {
            Self::Above0(place) | Self::Not(place, _) | Self::Absent(place) => *place,
        }
    }
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub(super) struct Purchases {
    pub table: usize,
    pub joins: Vec<Join>,
    pub customer: Option<Place>,
    pub article: Option<Place>,
    pub order: Option<Place>,
    pub time: Option<Times>,
    /// Columns that say when, in values that nobody could read.
    pub unread_times: Vec<Place>,
    pub price: Option<Place>,
    pub quantity: Option<Place>,
    pub channel: Option<Place>,
    pub rating: Option<Place>,
    pub event: Option<(Place, Vec<(String, Weight)>)>,
    pub conditions: Vec<Condition>,
    /// Columns that are empty in the further lines of an order, behind the column that tells the
    /// order.
    pub fill_down: Option<(Place, Vec<Place>)>,
    pub missing: Vec<String>,
    pub split: Option<List>,
    /// Other tables that say who bought what.
    pub rivals: Vec<usize>,
    /// What a person has to decide.
    pub doubts: Vec<String>,
    score: f64,
}

/// How much an event counts; `None`: it does not.
pub(super) type Weight = Option<f32>;

/// The best reading of the tables, and whether it says who bought what. Where a table is called
/// orders, one of events is none of purchases, however many rows it has.
pub(super) fn purchases(tables: &[Table]) -> Purchases {
    let candidates: Vec<Purchases> = (0..tables.len())
        .map(|table| Reading { tables, places: places(tables, table) }.purchases(table))
        .collect();
    let holds = |found: &Purchases| tables[found.table].holds;
    let lesser = |found: &Purchases| holds(found).no_purchases().is_some();
    let complete = || candidates.iter().filter(|found| found.is_complete());
    let orders = complete().any(|found| holds(found) == Holds::Purchases);
    let others = complete().any(|found| !lesser(found));
    let eligible =
        |found: &&Purchases| !(others && lesser(found) || orders && holds(found) == Holds::Events);
    let best = candidates.iter().filter(eligible).max_by(|a, b| a.score.total_cmp(&b.score));
    let mut best = best.cloned().unwrap_or_default();
    best.rivals =
        complete().map(|found| found.table).filter(|table| *table != best.table).collect();
    best
}

impl Purchases {
    /// Whether a column has another meaning already.
    fn has(&self, place: Place) -> bool {
        let time = self.time.as_ref().map(|time| time.column);
        let event = self.event.as_ref().map(|(event, _)| *event);
        [self.customer, self.article, self.order, time, event].contains(&Some(place))
    }

    fn is_complete(&self) -> bool {
        self.customer.is_some() && self.article.is_some()
    }
}

fn places(tables: &[Table], table: usize) -> Vec<Place> {
    (0..tables[table].columns.len()).map(|column| Place { table, column }).collect()
}

/// A table read as purchases, with what is joined to it.
struct Reading<'a> {
    tables: &'a [Table],
    places: Vec<Place>,
}

impl Reading<'_> {
    fn column(&self, place: Place) -> &Column {
        self.tables[place.table].column(place.column)
    }

    fn purchases(mut self, table: usize) -> Purchases {
        let mut found = Purchases { table, article: self.article(table), ..Purchases::default() };
        found.joins = self.joins(table, found.article);
        for join in &found.joins {
            self.places.extend(
                places(self.tables, join.table)
                    .into_iter()
                    .filter(|place| place.column != join.right),
            );
        }
        self.places = self.readable(found.article);
        found.customer = self.customer(found.article);
        if found.article.is_none() || found.customer.is_none() {
            let (article, customer) = self.unnamed(table, found.article, found.customer);
            (found.article, found.customer) = (article, customer);
        }
        found.order = self.best(Role::Order, |column| f64::from(u8::from(!column.is_unique())));
        found.time = self.time();
        found.unread_times = self.unread_times(found.time.as_ref());
        let taken = |found: &Purchases, place: Place| {
            found.customer == Some(place)
                || found.article == Some(place)
                || found.order == Some(place)
                || found.time.as_ref().is_some_and(|time| time.has(place))
        };
        let free: Vec<Place> =
            self.places.iter().copied().filter(|&place| !taken(&found, place)).collect();
        let free = Reading { tables: self.tables, places: free };
        found.price = free.best(Role::Price, |c| {
            // A few refunds below 0 are no prices and count as missing.
            let few = c.negative * 20 <= c.filled;
            f64::from(u8::from(c.is_number() && few)) * c.coverage()
        });
        found.quantity =
            free.best(Role::Quantity, |c| f64::from(u8::from(c.is_number())) * c.coverage());
        found.channel = free.best(Role::Channel, |c| {
            f64::from(u8::from(c.is_whole() && c.min >= 0.0 && c.max < 256.0))
        });
        found.rating =
            free.best(Role::Rating, |c| f64::from(u8::from(c.is_number() && c.distinct <= 40)));
        found.event = free.event(found.customer);
        self.conditions(&mut found);
        self.gaps(&mut found);
        found.score = self.score(&found);
        found
    }

    /// The columns that have one value for each purchase: no lists, but for keys of the list of
    /// objects that the articles are a key of, which is split.
    fn readable(&self, article: Option<Place>) -> Vec<Place> {
        let list =
            |place: Place| self.column(place).list_of_objects().map(|list| (place.table, list));
        let split = article.and_then(list);
        let is_readable = |&place: &Place| {
            !self.column(place).typed_list
                || Some(place) == article
                || split.is_some() && list(place) == split
        };
        self.places.iter().copied().filter(is_readable).collect()
    }

    /// The column that says a role most clearly; `fits` is 0 for those that cannot have it, else at
    /// most 1.
    fn best(&self, role: Role, fits: impl Fn(&Column) -> f64) -> Option<Place> {
        let score = |place: &Place| {
            f64::from(says(&self.column(*place).name, role)) * fits(self.column(*place))
        };
        let scored = self
            .places
            .iter()
            .map(|place| (score(place), *place))
            .filter(|(score, _)| *score > 0.0);
        // The first of equals: ids stand in front.
        scored
            .fold(None, |best: Option<(f64, Place)>, next| match best {
                Some(best) if best.0 >= next.0 => Some(best),
                _ => Some(next),
            })
            .map(|(_, place)| place)
    }

    fn article(&self, table: usize) -> Option<Place> {
        let is_key_elsewhere = |column: &Column| {
            let others = self
                .tables
                .iter()
                .enumerate()
                .filter(|(at, _)| *at != table)
                .map(|(_, other)| other);
            others.flat_map(|other| &other.columns).any(|other| {
                other.is_unique()
                    && says(&other.name, Role::Article) >= 2
                    && column.within(other) > 0.5
            })
        };
        self.best(Role::Article, |column| {
            let one_each = column.is_unique() && column.rows > 50;
            let few = column.distinct < 3 && column.rows > 100;
            if column.filled == 0
                || one_each
                || column.holds_objects()
                || few
                || column.notation.as_ref().is_some_and(|n| !n.number)
            {
                return 0.0;
            }
            let named_elsewhere = self.tables.iter().enumerate().any(|(at, other)| {
                at != table
                    && other.columns.iter().any(|key| key.name == column.name && key.is_unique())
            });
            // An item that is called by a title has a better id in another column, if any.
            let reads = column.spaced * 2 > column.filled && column.list.is_none();
            let titled = if reads && !column.typed_list { 0.75 } else { 1.0 };
            titled
                * column.coverage()
                * if !is_key_elsewhere(column) {
                    0.8
                } else if named_elsewhere {
                    1.0
                } else {
                    0.9
                }
        })
    }

    fn customer(&self, article: Option<Place>) -> Option<Place> {
        let free = Reading {
            tables: self.tables,
            places: self.places.iter().copied().filter(|&place| Some(place) != article).collect(),
        };
        free.best(Role::Customer, |column| {
            // A customer id that every row has anew is an id of the row.
            let anew = column.is_unique() && column.rows > 50;
            let prose = column.is_prose()
                || column.holds_objects()
                || column.notation.as_ref().is_some_and(|n| !n.number);
            if column.distinct < 2 && column.rows > 50 || prose {
                return 0.0;
            }
            let unique = Words::of(&column.name).has("unique");
            column.coverage() * if anew { 0.3 } else { 0.9 } + if unique { 0.1 } else { 0.0 }
        })
    }

    /// The tables that say who and when, where the lines of orders do not.
    fn joins(&self, table: usize, article: Option<Place>) -> Vec<Join> {
        let lacks_customer = self.customer(article).is_none();
        let lacks_time = self.time().is_none();
        if article.is_none() || !(lacks_customer || lacks_time) {
            return Vec::new();
        }
        let Some(orders) = self.joined(table, &[table], Role::Order) else { return Vec::new() };
        let mut joins = vec![orders.clone()];
        // In some shops every order has a customer of its own, and another table tells the person.
        let with_orders =
            Reading { tables: self.tables, places: places(self.tables, orders.table) };
        let anew = with_orders.customer(None).is_none_or(|place| self.column(place).is_unique());
        if anew
            && let Some(persons) =
                with_orders.joined(orders.table, &[table, orders.table], Role::Customer)
        {
            let persons_table = &self.tables[persons.table];
            let person =
                |column: &Column| says(&column.name, Role::Customer) >= 2 && !column.is_unique();
            if persons_table.columns.iter().any(person) {
                joins.push(persons);
            }
        }
        joins
    }

    /// A table with a unique column that holds the values of a column of this one.
    fn joined(&self, table: usize, without: &[usize], role: Role) -> Option<Join> {
        let mut best: Option<(f64, Join)> = None;
        for &left in self.places.iter().filter(|place| place.table == table) {
            let key = self.column(left);
            if says(&key.name, role) < 2 || key.filled == 0 {
                continue;
            }
            for (other, joined) in
                self.tables.iter().enumerate().filter(|(at, _)| !without.contains(at))
            {
                for (right, column) in joined.columns.iter().enumerate() {
                    let same = column.name == key.name;
                    let within = key.within(column);
                    // Where a table is called orders, its `id` is that of an order.
                    let plain = Words::of(&column.name).joined() == "id"
                        && joined.says() == Some(role)
                        && within > 0.9;
                    let named = same || plain || says(&column.name, role) >= 2;
                    let useful = joined.columns.iter().enumerate().any(|(at, column)| {
                        at != right
                            && (says(&column.name, Role::Customer) >= 1
                                || says(&column.name, Role::Time) >= 1)
                    });
                    let fits = named
                        && useful
                        && (column.is_unique() || repeats_itself(joined, right))
                        && (within > 0.5 || !joined.whole && within > 0.0);
                    let score = within + f64::from(u8::from(same));
                    if fits && best.as_ref().is_none_or(|(before, _)| score > *before) {
                        best = Some((score, Join { table: other, left, right }));
                    }
                }
            }
        }
        best.map(|(_, join)| join)
    }

    fn time(&self) -> Option<Times> {
        let scored = self.places.iter().filter_map(|&place| Some((self.time_score(place)?, place)));
        let best = scored.fold(None, |best: Option<(f64, Place)>, next| match best {
            Some(best) if best.0 >= next.0 => Some(best),
            _ => Some(next),
        });
        let Some((_, place)) = best else { return self.year_month_day() };
        let notation = self.column(place).notation.clone()?;
        // A number of days may be the day of a month, and a date of the third rank a birthday.
        let counts_days = notation.number && notation.days;
        if (counts_days || says(&self.column(place).name, Role::Time) < 2)
            && let Some(times) = self.year_month_day()
        {
            return Some(times);
        }
        let Notation { formats, otherwise, odd, .. } = notation;
        let clock =
            self.clock(place).filter(|_| notation.days && !notation.number && formats.len() == 1);
        Some(Times { column: place, rest: Vec::new(), clock, formats, otherwise, odd })
    }

    /// How well a column says when; `None` if it cannot.
    fn time_score(&self, place: Place) -> Option<f64> {
        let column = self.column(place);
        let notation = column.notation.as_ref()?;
        let name = says(&column.name, Role::Time);
        let counted = says(&column.name, Role::Sequence) > 0;
        let words = Words::of(&column.name);
        let days = words.has("day tag dia jour") && !words.has("hour week dow month since of");
        let possible = match (notation.number, notation.days) {
            (false, _) => true,
            // Small numbers are days only where they are called so.
            (true, true) => counted || days,
            // Without a header, numbers of the right size are all there is to tell by.
            (true, false) => {
                name > 0 || !self.tables[place.table].options.header && notation.odd.is_none()
            }
        };
        let detail = if notation.number && notation.days {
            -8.0
        } else {
            f64::from(u8::from(!notation.days)) * 2.0
        };
        let score = f64::from(name + u32::from(counted)) * 5.0 + detail + column.coverage() * 4.0;
        // A column without a value in most rows is of something else, such as a cancellation.
        (possible && column.coverage() > 0.02).then_some(score)
    }

    /// A date whose year, month and day are three columns: `year`, `order_month`, `Tag`.
    fn year_month_day(&self) -> Option<Times> {
        let find = |words: &str, lowest: f64, highest: f64, table: Option<usize>| {
            self.places.iter().copied().find(|&place| {
                let column = self.column(place);
                column.share(column.whole) >= 1.0
                    && column.coverage() > 0.95
                    && column.min >= lowest
                    && column.max <= highest
                    && table.is_none_or(|table| table == place.table)
                    && Words::of(&column.name).has(words)
                    && !Words::of(&column.name).has("dow week weekday birth hour since in")
            })
        };
        let year = find(YEAR, 1970.0, 2106.0, None)?;
        let month = find(MONTH, 1.0, 12.0, Some(year.table))?;
        let day = find(DAY, 1.0, 31.0, Some(year.table))?;
        Some(Times {
            column: year,
            rest: vec![month, day],
            clock: None,
            formats: vec!["%Y %m %d".to_owned()],
            otherwise: None,
            odd: None,
        })
    }

    /// Columns that say when, more clearly than the chosen one, in values that no format reads.
    fn unread_times(&self, chosen: Option<&Times>) -> Vec<Place> {
        let is_chosen = |place: Place| chosen.is_some_and(|time| time.has(place));
        // A count of days is no match for a column that is called like a date.
        let dated = chosen.filter(|time| time.formats != ["day-number"]);
        let rank = dated.map_or(1, |time| says(&self.column(time.column).name, Role::Time).max(1));
        let is_unread = |&place: &Place| {
            let column = self.column(place);
            // Hours, days of the week, clocks such as 1807 and durations are numbers, but no
            // moments.
            let small = column.max < 2_400.0 || Words::of(&column.name).has(PART);
            let part = column.is_number() && small;
            let named = says(&column.name, Role::Time) > rank && !part;
            // Under a name that nobody knows, only values tell.
            let alike = || dated.is_none() && self.looks_like_times(place);
            column.coverage() > 0.5
                && column.distinct > 1
                && column.share(column.clocks) < 0.95
                && !is_chosen(place)
                && self.time_score(place).is_none()
                && (named || alike())
        };
        self.places.iter().copied().filter(is_unread).collect()
    }

    fn looks_like_times(&self, place: Place) -> bool {
        let table = &self.tables[place.table];
        let cells = (0..table.rows.len()).filter_map(|row| table.cell(row, place.column)).take(500);
        let (all, alike) = cells.fold((0, 0), |(all, alike), cell| {
            (all + 1, alike + usize::from(moment::seems_moment(cell)))
        });
        alike * 10 > all * 8
    }

    /// The column with the time of day beside a date, and its format.
    fn clock(&self, date: Place) -> Option<(Place, &'static str)> {
        let format = |&place: &Place| {
            let column = self.column(place);
            let counts = column.is_whole() && column.min >= 0.0;
            if place.table != date.table || column.filled == 0 {
                None
            } else if column.share(column.clocks) > 0.95 {
                Some("clock")
            } else {
                // Milliseconds since the visit began.
                (counts && Words::of(&column.name).joined() == "timeframe").then_some("millis")
            }
        };
        self.places.iter().find_map(|place| Some((*place, format(place)?)))
    }

    /// The column that says what happened, and what of it counts.
    fn event(&self, customer: Option<Place>) -> Option<(Place, Vec<(String, Weight)>)> {
        let of = |&place: &Place| {
            let column = self.column(place);
            let named = says(&column.name, Role::Event) >= 2;
            let actions: Vec<Option<Action>> =
                column.frequent.iter().map(|(value, _)| action(value)).collect();
            let purchase = actions.contains(&Some(Action::Purchase));
            let known = actions.iter().flatten().count();
            let few = (1..=30).contains(&column.frequent.len());
            few && (named && known > 0 || purchase && known >= 2)
        };
        let place = self.places.iter().copied().find(of)?;
        Some((place, self.weights(place, customer)))
    }

    /// Purchases alone where there are enough of them to learn from; else what leads to them counts
    /// a little.
    fn weights(&self, place: Place, customer: Option<Place>) -> Vec<(String, Weight)> {
        let column = self.column(place);
        let purchases =
            || column.frequent.iter().filter(|(value, _)| action(value) == Some(Action::Purchase));
        let enough = customer.is_some_and(|customer| self.buyers_again(place, customer) >= 50);
        let alone =
            enough || purchases().next().is_some() && purchases().count() == column.frequent.len();
        let weight = |value: &str| match action(value)? {
            Action::Purchase => Some(1.0),
            _ if alone => None,
            Action::Cart => Some(0.3),
            Action::Like => Some(0.2),
            Action::View => Some(0.05),
        };
        column.frequent.iter().map(|(value, _)| (value.clone(), weight(value))).collect()
    }

    /// Customers of the sample with two purchases or more.
    fn buyers_again(&self, event: Place, customer: Place) -> usize {
        let table = &self.tables[event.table];
        if customer.table != event.table {
            return usize::MAX;
        }
        let mut counts = BTreeMap::<&str, usize>::new();
        for row in 0..table.rows.len() {
            let bought = table.cell(row, event.column).and_then(action) == Some(Action::Purchase);
            if let Some(customer) = table.cell(row, customer.column).filter(|_| bought) {
                *counts.entry(customer).or_default() += 1;
            }
        }
        counts.values().filter(|&&count| count >= 2).count()
    }

    fn conditions(&self, found: &mut Purchases) {
        if let Some(quantity) = found.quantity {
            let column = self.column(quantity);
            if column.negative + column.zero > 0 {
                found.conditions.push(Condition::Above0(quantity));
            }
        }
        for &place in &self.places {
            let column = self.column(place);
            let void: Vec<String> = column
                .frequent
                .iter()
                .filter(|(value, _)| is_void(value))
                .map(|(value, _)| value.clone())
                .collect();
            if says(&column.name, Role::Status) > 0
                && !void.is_empty()
                && column.frequent.len() <= 30
            {
                found.conditions.push(Condition::Not(place, void));
            } else if says_void(&column.name) && !found.has(place) {
                self.taken_back(place, found);
            }
        }
    }

    /// What a column says of purchases that were taken back: yes or no, or when and why.
    fn taken_back(&self, place: Place, found: &mut Purchases) {
        let column = self.column(place);
        if column.filled == 0 {
            return;
        }
        let answers: Option<Vec<bool>> =
            column.frequent.iter().map(|(value, _)| yes_or_no(value)).collect();
        if let Some(answers) = answers.filter(|answers| (1..=6).contains(&answers.len())) {
            let yes = || column.frequent.iter().zip(&answers).filter(|(_, yes)| **yes);
            let rows: usize = yes().map(|((_, count), _)| count).sum();
            if rows * 2 <= column.rows {
                let values: Vec<String> = yes().map(|((value, _), _)| value.clone()).collect();
                if !values.is_empty() {
                    found.conditions.push(Condition::Not(place, values));
                }
                return;
            }
        }
        if says_when_or_why(&column.name) && column.coverage() <= 0.5 {
            found.conditions.push(Condition::Absent(place));
            return;
        }
        let above = column.numbers.saturating_sub(column.zero + column.negative);
        if column.is_number() && above == 0 {
            return;
        }
        let (name, rows) = (&column.name, column.rows);
        let (count, what) = match column.is_number() {
            true => (above, "is above 0"),
            false => (column.filled, "has a value"),
        };
        let telling = |value: &str| number(value).is_none_or(|number| number > 0.0);
        let examples = column.frequent.iter().map(|(value, _)| value.as_str());
        let example = examples.into_iter().find(|value| telling(value)).unwrap_or_default();
        found.doubts.push(format!(
            "`{name}` may tell what was taken back: it {what} in {count} of {rows} rows (such as \
             {example:?}), which count as purchases; `where` can leave them out"
        ));
    }

    /// What stands for no customer, cells that continue the row above, items in one cell.
    fn gaps(&self, found: &mut Purchases) {
        if let Some(article) = found.article {
            let column = self.column(article);
            // The file itself tells the items apart, whatever the separator.
            let typed = || List { separator: ",".to_owned(), quantity: None };
            found.split = match column.typed_list {
                true => Some(typed()),
                false => column.list.clone().filter(|list| list.quantity.is_some()),
            };
        }
        let Some(customer) = found.customer else { return };
        found.missing = self.column(customer).placeholders();
        let table = customer.table;
        let conditions: Vec<Place> = found.conditions.iter().map(Condition::place).collect();
        let conditions = || conditions.iter().copied().filter(|place| place.table == table);
        if self.column(customer).coverage() > 0.999 {
            let Some(order) = found.order.filter(|order| order.table == table) else { return };
            let columns: Vec<Place> =
                conditions().filter(|place| self.first_only(*place, order)).collect();
            if !columns.is_empty() {
                found.fill_down = Some((order, columns));
            }
            return;
        }
        // The number of an order stands in each of its lines, under whatever name.
        let orders = (0..self.tables[table].columns.len()).map(|column| Place { table, column });
        let tells = |&order: &Place| {
            let column = self.column(order);
            column.coverage() > 0.999 && !column.is_unique() && self.continues(customer, order)
        };
        let Some(order) = found.order.filter(tells).or_else(|| orders.into_iter().find(tells))
        else {
            return;
        };
        let time = found.time.as_ref().map(|time| time.column).filter(|place| place.table == table);
        let columns = [Some(customer), time].into_iter().flatten();
        let filled = columns.filter(|&place| self.continues(place, order));
        // What is said of the order must hold for its further lines as well.
        let said = conditions().filter(|&place| self.said_first(place, order));
        found.fill_down = Some((order, filled.chain(said).collect()));
    }

    /// Whether a value stands in the first line of an order alone, where there is one.
    fn said_first(&self, place: Place, order: Place) -> bool {
        let lines = self.lines(place, order);
        lines.further_filled == 0 && lines.further_below_value > 0
    }

    /// Whether every order has a value in its first line, and none in the others.
    fn first_only(&self, place: Place, order: Place) -> bool {
        let lines = self.lines(place, order);
        lines.first_empty == 0 && lines.further_filled == 0 && lines.further_below_value > 0
    }

    /// Where in the orders a column has values.
    fn lines(&self, place: Place, order: Place) -> Lines {
        let table = &self.tables[place.table];
        let (mut lines, mut told) = (Lines::default(), None);
        for row in 0..table.rows.len() {
            let value = table.cell(row, place.column);
            let further =
                row > 0 && table.cell(row, order.column) == table.cell(row - 1, order.column);
            if !further {
                told = value;
                lines.first_empty += usize::from(value.is_none());
            } else if value.is_some() && value != told {
                lines.further_filled += 1;
            } else if value.is_none() && told.is_some() {
                lines.further_below_value += 1;
            }
        }
        lines
    }

    /// Whether the empty cells of a column stand in further rows of an order whose first row has
    /// the value.
    fn continues(&self, place: Place, order: Place) -> bool {
        let table = &self.tables[place.table];
        let (mut empty, mut continued) = (0, 0);
        let (mut current, mut told) = (None, None);
        for row in 0..table.rows.len() {
            let number = table.cell(row, order.column);
            if number != current {
                (current, told) = (number, None);
            }
            match table.cell(row, place.column) {
                // An order is of one customer and moment.
                value if value.is_some() && told.is_some() && value != told => return false,
                Some(value) => told = Some(value),
                None => {
                    empty += 1;
                    continued += usize::from(told.is_some());
                }
            }
        }
        empty > 0 && continued * 10 >= empty * 9
    }

    /// Ids without telling names: what repeats, in the order in which people write them, the
    /// customer first.
    fn unnamed(
        &self,
        table: usize,
        article: Option<Place>,
        customer: Option<Place>,
    ) -> (Option<Place>, Option<Place>) {
        if self.tables[table].options.header {
            return (article, customer);
        }
        let is_id = |&&place: &&Place| {
            let column = self.column(place);
            let moment =
                column.notation.as_ref().is_some_and(|n| !n.number || !n.days && n.odd.is_none());
            let low = column.distinct < 8 && column.rows > 20 || column.distinct < 2;
            let fraction = column.is_number() && !column.is_whole();
            place.table == table
                && column.coverage() > 0.9
                && !moment
                && !low
                && !fraction
                && !column.is_unique()
                && !column.is_prose()
                && action_share(column) < 0.5
        };
        let ids: Vec<Place> = self.places.iter().filter(is_id).copied().collect();
        let asin = ids.iter().copied().find(|&place| {
            let column = self.column(place);
            column.share(column.asins) > 0.9
        });
        match (ids.as_slice(), asin) {
            ([first, second, ..], Some(asin)) => {
                (Some(asin), Some(if *first == asin { *second } else { *first }))
            }
            ([customer, article, ..], None) => (Some(*article), Some(*customer)),
            _ => (article, customer),
        }
    }

    fn score(&self, found: &Purchases) -> f64 {
        let name = |place: Option<Place>, role| {
            place.map_or(0.0, |place| 10.0 + f64::from(says(&self.column(place).name, role)))
        };
        let table = &self.tables[found.table];
        let there = |there: bool| f64::from(u8::from(there));
        let file = match table.says() {
            Some(Role::Order) => 4.0,
            Some(_) => -6.0,
            None => 0.0,
        };
        name(found.customer, Role::Customer)
            + name(found.article, Role::Article)
            + file
            + 6.0 * there(found.time.is_some())
            + there(found.price.is_some()) * 0.5
            + there(found.quantity.is_some())
            + 3.0 * there(found.event.is_some())
            - there(!found.joins.is_empty())
            + (table.rows.len() as f64).log10()
    }
}

/// Whether the rows of a table that have the same key say the same of the customer, as those of an
/// export that overlaps another do. The first row of each counts.
fn repeats_itself(table: &Table, key: usize) -> bool {
    let column = table.column(key);
    let customer = table.columns.iter().position(|column| says(&column.name, Role::Customer) >= 2);
    let Some(customer) = customer.filter(|customer| *customer != key) else { return false };
    if column.coverage() < 0.98 || column.distinct * 2 < column.filled {
        return false;
    }
    let mut first = BTreeMap::new();
    (0..table.rows.len()).all(|row| {
        let Some(id) = table.cell(row, key) else { return true };
        let customer = table.cell(row, customer);
        *first.entry(id).or_insert(customer) == customer
    })
}

/// In which lines of orders a column has values.
#[derive(Default)]
struct Lines {
    first_empty: usize,
    /// Further lines with a value that the first line does not have.
    further_filled: usize,
    /// Further lines without a value, below a first line that has one.
    further_below_value: usize,
}

/// Share of the values that are events.
fn action_share(column: &Column) -> f64 {
    let events: usize =
        column.frequent.iter().filter(|(value, _)| action(value).is_some()).map(|(_, n)| n).sum();
    column.share(events)
}
