//! Where articles and customers are described: tables of their own, or columns of the purchases.

use super::column::Column;
use super::purchases::{Place, Purchases};
use super::table::Table;
use super::words::{Role, Words, says, says_void};
use std::collections::HashMap;

/// A section `[articles]` or `[customers]`.
#[derive(Debug, Clone)]
pub(super) struct Entities {
    pub table: usize,
    pub id: usize,
    /// Share of the purchases' ids that have a row here; 1 where the purchases are the rows.
    pub coverage: f64,
    /// The rows are those of the purchases.
    pub shared: bool,
    /// Ids come again in rows that add nothing but what the first left out.
    pub repeated: bool,
    /// Ids come again in rows that say something else: the latest holds.
    pub restated: bool,
    pub attributes: Vec<Attribute>,
    pub price: Option<usize>,
    pub image: Option<usize>,
    pub available: Option<usize>,
    /// Columns left out, and why.
    pub left_out: Vec<(usize, &'static str)>,
}

/// A column to keep.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Attribute {
    pub column: usize,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Category,
    Number,
    /// Several values a cell; `None`: the file itself holds lists.
    Tags(Option<String>),
}

/// Above this share of ids that have a row, the others are faults of the data.
pub(super) const ALL: f64 = 0.9999;

/// A table that describes what a column of the purchases names, and else the columns of the
/// purchases that do.
pub(super) fn entities(tables: &[Table], found: &Purchases, role: Role) -> Option<Entities> {
    let id = if role == Role::Article { found.article } else { found.customer }?;
    own_table(tables, found, id, role).or_else(|| shared(tables, found, id, role))
}

fn own_table(tables: &[Table], found: &Purchases, id: Place, role: Role) -> Option<Entities> {
    let key = tables[id.table].column(id.column);
    let joined = |table: usize| found.joins.iter().any(|join| join.table == table);
    let mut best: Option<(f64, Entities)> = None;
    for (at, table) in
        tables.iter().enumerate().filter(|(at, _)| *at != found.table && !joined(*at))
    {
        for (column, candidate) in table.columns.iter().enumerate() {
            // Items of a cell are not compared: their quantities stand beside them.
            let coverage = if found.split.is_some() { 1.0 } else { key.within(candidate) };
            let named = f64::from(says(&candidate.name, role))
                + f64::from(u8::from(candidate.name == key.name)) * 2.0;
            let file = match table.says() {
                Some(other) if other == role => 2.0,
                Some(_) => -1.0,
                None => 0.0,
            };
            let first = f64::from(u8::from(column == 0)) * 0.5;
            let repeated = !candidate.is_unique();
            let continuing = repeated && continues(table, column);
            let restated = repeated && !continuing && file >= 2.0 && is_restated(candidate);
            // A catalogue of the right name may list what nobody bought yet.
            let sure = candidate.name == key.name && file >= 2.0;
            let fits = (coverage > 0.05 || sure)
                && named + file >= 2.0
                && (!repeated || continuing || restated);
            let score = named + file + first + 4.0 * coverage - f64::from(u8::from(repeated));
            if fits && best.as_ref().is_none_or(|(before, _)| score > *before) {
                let entities = described(table, at, column, coverage, repeated, role);
                best = Some((score, Entities { restated, ..entities }));
            }
        }
    }
    best.map(|(_, entities)| entities).filter(|entities| !entities.is_bare())
}

impl Entities {
    /// Whether nothing is told but the id.
    fn is_bare(&self) -> bool {
        self.attributes.is_empty() && self.price.is_none() && self.image.is_none()
    }
}

/// Whether some ids of a table of customers or articles come again, as where one moved house.
fn is_restated(id: &Column) -> bool {
    id.coverage() > 0.98 && id.distinct * 2 >= id.filled
}

/// Whether ids come again in rows that leave most cells empty, as the further variants of a product
/// do.
fn continues(table: &Table, id: usize) -> bool {
    let column = table.column(id);
    if column.coverage() < 0.98 || column.distinct * 50 < column.filled {
        return false;
    }
    let title = table.columns.iter().position(|column| says(&column.name, Role::Title) >= 2);
    let Some(title) = title else { return false };
    let (mut further, mut empty) = (0, 0);
    for row in 1..table.rows.len() {
        if table.cell(row, id) == table.cell(row - 1, id) {
            further += 1;
            empty += usize::from(table.cell(row, title).is_none());
        }
    }
    empty * 10 >= further * 9
}

fn described(
    table: &Table,
    at: usize,
    id: usize,
    coverage: f64,
    repeated: bool,
    role: Role,
) -> Entities {
    let columns: Vec<usize> = (0..table.columns.len()).filter(|&column| column != id).collect();
    let entities = Entities {
        table: at,
        id,
        coverage,
        shared: false,
        repeated,
        restated: false,
        attributes: Vec::new(),
        price: None,
        image: None,
        available: None,
        left_out: Vec::new(),
    };
    entities.with_columns(table, &columns, role)
}

/// The columns of the purchases whose value follows from the id.
fn shared(tables: &[Table], found: &Purchases, id: Place, role: Role) -> Option<Entities> {
    let table = &tables[id.table];
    // A joined table has its own rows; only one entity a cell can be described by them.
    if id.table != found.table || found.split.is_some() || !table.options.header {
        return None;
    }
    let taken = |column: usize| {
        let place = Place { table: id.table, column };
        [found.customer, found.article, found.order, found.quantity, found.rating]
            .contains(&Some(place))
            || found.price == Some(place)
            || found.event.as_ref().is_some_and(|(event, _)| *event == place)
            || found.time.as_ref().is_some_and(|time| {
                time.column == place || time.clock.is_some_and(|(clock, _)| clock == place)
            })
            || found.conditions.iter().any(|condition| condition.place() == place)
            || says_void(&table.columns[column].name)
            || says(&table.columns[column].name, Role::Order) >= 2
            || of_the_row(&table.columns[column].name)
    };
    let follow: Vec<usize> = (0..table.columns.len())
        .filter(|&column| !taken(column) && !table.column(column).values.is_empty())
        .filter(|&column| follows(table, id.column, column))
        .collect();
    let other = if role == Role::Article { found.customer } else { found.article };
    // What follows from both ids as well says nothing about this one.
    let clearer = |&column: &usize| match other.filter(|other| other.table == id.table) {
        Some(other) => !follows(table, other.column, column) || prefers(table, column, role),
        None => true,
    };
    let columns: Vec<usize> = follow.into_iter().filter(clearer).collect();
    let entities = described(table, id.table, id.column, 1.0, false, role);
    let (attributes, left_out) = (Vec::new(), Vec::new());
    let bare = Entities {
        shared: true,
        attributes,
        left_out,
        price: None,
        image: None,
        available: None,
        ..entities
    };
    let entities = bare.with_columns(table, &columns, role);
    (!entities.attributes.is_empty()).then_some(entities)
}

/// Whether a name speaks of one purchase, review or visit.
fn of_the_row(name: &str) -> bool {
    const ROW: &str = "\
        review text summary comment helpful vote votes session weight verified discount disc";
    Words::of(name).has(ROW)
        || says(name, Role::Time) >= 1
        || Words::of(name).joined().starts_with("review")
}

/// Whether a name speaks of this role where the values leave it open.
fn prefers(table: &Table, column: usize, role: Role) -> bool {
    const OF_CUSTOMERS: &str = "age gender country city zip pin land pais pays";
    Words::of(&table.column(column).name).has(OF_CUSTOMERS) == (role == Role::Customer)
}

/// Whether rows with the same id have the same value, clearly more often than by chance.
fn follows(table: &Table, id: usize, column: usize) -> bool {
    let mut values: HashMap<&str, &str> = HashMap::new();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let (mut same, mut compared, mut filled) = (0u32, 0u32, 0u32);
    for row in 0..table.rows.len() {
        let (Some(id), Some(value)) = (table.cell(row, id), table.cell(row, column)) else {
            continue;
        };
        filled += 1;
        *counts.entry(value).or_default() += 1;
        match values.get(id) {
            Some(before) => {
                compared += 1;
                same += u32::from(*before == value);
            }
            None => {
                values.insert(id, value);
            }
        }
    }
    if compared < 10 || counts.len() < 2 {
        return false;
    }
    let chance: f64 =
        counts.values().map(|&count| (count as f64 / f64::from(filled)).powi(2)).sum();
    let differs = 1.0 - f64::from(same) / f64::from(compared);
    differs < 0.1 && differs <= 0.3 * (1.0 - chance)
}

impl Entities {
    /// Sorts the columns into those to keep, those with a meaning of their own, and those to leave
    /// out.
    fn with_columns(mut self, table: &Table, columns: &[usize], role: Role) -> Self {
        let best = |role: Role, fits: &dyn Fn(&Column) -> bool| {
            let says = |&column: &usize| says(&table.column(column).name, role);
            columns
                .iter()
                .copied()
                .filter(|at| fits(table.column(*at)) && says(at) > 1)
                .max_by_key(|at| (says(at), std::cmp::Reverse(*at)))
        };
        if role == Role::Article && !self.shared {
            self.price = best(Role::Price, &|c| c.is_number() && c.min >= 0.0);
            self.image = best(Role::Image, &|c| c.share(c.links) > 0.9);
            self.available = best(Role::Available, &|c| (1..=4).contains(&c.frequent.len()));
        }
        let title = best(Role::Title, &|column| column.length <= 200.0 && column.links == 0);
        let headless = !table.options.header;
        let reads = |at: &usize| {
            let column = table.column(*at);
            headless && column.spaced * 2 > column.filled && column.distinct * 2 > column.filled
        };
        let title = title.or_else(|| columns.iter().copied().find(reads));
        for &at in columns {
            let meaning = [self.price, self.image, self.available].contains(&Some(at));
            let is_title = Some(at) == title && role == Role::Article;
            if meaning {
                continue;
            }
            match judged(table.column(at), is_title, role) {
                Ok(kind) => self.attributes.push(Attribute { column: at, kind }),
                Err(why) => self.left_out.push((at, why)),
            }
        }
        self
    }
}

/// How a column is kept, or why it is not.
fn judged(column: &Column, is_title: bool, role: Role) -> Result<Kind, &'static str> {
    let words = Words::of(&column.name);
    if column.name.trim().is_empty() {
        return Err("it has no name");
    }
    if column.filled == 0 || column.coverage() < 0.01 {
        return Err("it is empty");
    }
    if role == Role::Customer
        && (words.has("first last name email mail phone address address1 street nom vorname")
            || column.share(column.emails) > 0.5)
    {
        return Err("it is personal data that no model needs");
    }
    if column.distinct < 2 {
        return Err("it has one value only");
    }
    if column.typed_list {
        return if column.is_prose() { Err("its texts are long") } else { Ok(Kind::Tags(None)) };
    }
    if column.links * 2 > column.filled {
        return Err("it holds links");
    }
    if is_title {
        return Ok(Kind::Category);
    }
    if column.is_prose() {
        return Err("its texts are long");
    }
    if let Some(list) = &column.list {
        return Ok(Kind::Tags(Some(list.separator.clone())));
    }
    if column.notation.as_ref().is_some_and(|notation| !notation.number) {
        return Err("it holds dates");
    }
    let is_code = words.has("id nr no code key zip pin plz number barcode sku");
    if column.is_number() && column.distinct > 12 && !is_code {
        return Ok(Kind::Number);
    }
    let own = column.distinct as f64 > 0.9 * column.filled as f64 && column.distinct > 50;
    if own { Err("nearly every row has a value of its own") } else { Ok(Kind::Category) }
}
