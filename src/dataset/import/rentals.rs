//! Reads Rent the Runway's reviews: a JSON object a line, or a list of them, each one purchase with
//! what the customer said of themselves at that time.
//!
//! Blocks of lines are parsed in parallel and joined in the order of the file. An attribute of a
//! customer or an article is its latest value that is not missing: by date, and by line within a
//! day.

use super::block::{Block, BlockSource, read_ahead};
use super::columns::number;
use super::error::{DatasetError, Fault, Faults, FileName, Reason, Reject, shown};
use super::input::Input;
use super::json_file::{self, JsonFile};
use super::moment::TimeFormat;
use super::order::sort_by_time;
use super::session::Session;
use crate::{
    dataset::{Column, Dataset, Entities, MISSING, TimeUnit, Values},
    domain::{ArticleId, IdTable, Timestamp},
};
use rayon::prelude::*;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use std::{borrow::Cow, fmt, path::Path};

/// The keys that are read, in the order of the indices below.
const KEYS: [&str; 9] = [
    "user_id",
    "item_id",
    "review_date",
    "category",
    "body type",
    "bust size",
    "age",
    "height",
    "weight",
];
const USER: usize = 0;
const ITEM: usize = 1;
const DATE: usize = 2;
/// The first key of a category: one of the article, then two of the customer.
const CATEGORY: usize = 3;
/// The first key of a number; all are the customer's.
const NUMBER: usize = 6;

/// Whether one of the first objects of a file has the keys of a purchase.
pub(super) fn recognised(path: &Path) -> bool {
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only their presence matters")]
    struct Purchase {
        user_id: IgnoredAny,
        item_id: IgnoredAny,
        review_date: IgnoredAny,
    }
    let Ok(head) =
        Input::open(path).and_then(|input| input.decode(None)).map(|input| input.head(1 << 16))
    else {
        return false;
    };
    let is_purchase = |record: &[u8]| serde_json::from_slice::<Purchase>(record).is_ok();
    json_file::records_of_head(&head).into_iter().take(100).any(|record| is_purchase(&head[record]))
}

/// Reads the file; a review with a fault is rejected whole.
pub(super) fn read_rentals(path: &Path, session: &mut Session) -> Result<Dataset, DatasetError> {
    let columns = KEYS.iter().map(|key| (*key).to_owned()).collect();
    let input = Input::open(path)?.decode(None)?;
    let source = Box::new(JsonFile::open_records(input, columns, session.block)?);
    let name: FileName = path.into();
    session.begin_table("purchases");
    let progress = session.progress(&name, source.expected());
    let mut tables = Tables::default();
    let mut blocks = read_ahead(source);
    let mut rows = 0;
    loop {
        let round = blocks
            .by_ref()
            .take(rayon::current_num_threads())
            .collect::<Result<Vec<Block>, _>>()?;
        if round.is_empty() {
            break;
        }
        let parts: Vec<Part> = round.par_iter().map(Part::parse).collect();
        for (mut part, block) in parts.into_iter().zip(&round) {
            session.reject_all(std::mem::take(&mut part.rejects))?;
            rows += part.lines;
            progress.advance(block.size(), part.lines);
            tables.check_room(block.size(), &name)?;
            tables.join(part);
        }
    }
    session.file_done(&name, rows, progress);
    if tables.dataset.purchases.is_empty() {
        return Err(session.no_rows(Some(name)));
    }
    session.end_table(tables.dataset.purchases.len() as u64)?;
    Ok(tables.finish())
}

/// A value of a key as JSON has it.
#[derive(Default)]
enum Cell<'a> {
    /// No key, null, or an empty text.
    #[default]
    Missing,
    Text(Cow<'a, str>),
    Whole(i128),
    Float(f64),
    /// What is neither text nor number, as a message shows it.
    Other(&'static str),
}

impl<'a> Cell<'a> {
    /// The value as a text; whole numbers count as texts, since ids are written both ways.
    fn text(self, key: usize) -> Result<Option<Cow<'a, str>>, Fault> {
        let wrong =
            |text| Fault::at(key, Reason::Form { text, expected: "a text or a whole number" });
        match self {
            Self::Missing => Ok(None),
            Self::Text(text) => Ok(Some(text)),
            Self::Whole(number) => Ok(Some(number.to_string().into())),
            Self::Float(number) => Err(wrong(number.to_string())),
            Self::Other(what) => Err(wrong(what.to_owned())),
        }
    }

    fn id(self, key: usize) -> Result<Cow<'a, str>, Fault> {
        let id = self.text(key)?.ok_or_else(|| Fault::at(key, Reason::NoValue))?;
        ArticleId::parse(&id).map_err(|fault| Fault::at(key, Reason::Id(fault)))?;
        Ok(id)
    }

    fn date(self) -> Result<Timestamp, Fault> {
        let text = self.text(DATE)?.ok_or_else(|| Fault::at(DATE, Reason::NoValue))?;
        let format = TimeFormat::LongDate;
        let wrong =
            || Fault::at(DATE, Reason::Time { text: shown(&text), expected: format.expected() });
        format.parse(&text).ok_or_else(wrong)
    }

    /// The value in the unit of its key; not a number where missing.
    fn number(self, key: usize) -> Result<f32, Fault> {
        let (read, expected): (fn(&str) -> Option<f32>, _) = match KEYS[key] {
            "height" => (inches, "a height in feet and inches (5' 8\")"),
            "weight" => (pounds, "a weight in pounds (137lbs)"),
            _ => (number, "a finite number"),
        };
        let is_plain = KEYS[key] == "age";
        let wrong = |text: &str| Fault::at(key, Reason::Form { text: shown(text), expected });
        match self {
            Self::Missing => Ok(f32::NAN),
            Self::Text(text) => read(&text).ok_or_else(|| wrong(&text)),
            Self::Whole(number) if is_plain => Ok(number as f32),
            Self::Float(number) if is_plain && (number as f32).is_finite() => Ok(number as f32),
            Self::Whole(number) => Err(wrong(&number.to_string())),
            Self::Float(number) => Err(wrong(&number.to_string())),
            Self::Other(what) => Err(wrong(what)),
        }
    }
}

/// `5' 8"` in inches.
fn inches(text: &str) -> Option<f32> {
    let (feet, rest) = text.split_once('\'')?;
    let inches = rest.trim().strip_suffix('"')?;
    let (feet, inches): (u8, f32) = (feet.trim().parse().ok()?, inches.trim().parse().ok()?);
    (0.0..12.0).contains(&inches).then(|| f32::from(feet) * 12.0 + inches)
}

/// `137lbs` in pounds.
fn pounds(text: &str) -> Option<f32> {
    text.strip_suffix("lbs")?
        .trim()
        .parse()
        .ok()
        .filter(|pounds: &f32| pounds.is_finite() && *pounds > 0.0)
}

impl<'de: 'a, 'a> Deserialize<'de> for Cell<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyValue;
        impl<'de> Visitor<'de> for AnyValue {
            type Value = Cell<'de>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_unit<E>(self) -> Result<Cell<'de>, E> {
                Ok(Cell::Missing)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Cell<'de>, E> {
                Ok(Cell::Other(if value { "true" } else { "false" }))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Cell<'de>, E> {
                Ok(Cell::Whole(value.into()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Cell<'de>, E> {
                Ok(Cell::Whole(value.into()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Cell<'de>, E> {
                Ok(Cell::Float(value))
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cell<'de>, E> {
                Ok(if text.is_empty() { Cell::Missing } else { Cell::Text(text.into()) })
            }
            fn visit_str<E>(self, text: &str) -> Result<Cell<'de>, E> {
                Ok(if text.is_empty() { Cell::Missing } else { Cell::Text(text.to_owned().into()) })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Cell<'de>, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Cell::Other("[…]"))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cell<'de>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Cell::Other("{…}"))
            }
        }
        deserializer.deserialize_any(AnyValue)
    }
}

/// The cells of a line, by key. Other keys are ignored, a key that is there twice is a fault.
struct Line<'a>([Cell<'a>; KEYS.len()]);

impl<'a> Line<'a> {
    fn parse(line: &'a [u8]) -> Result<Self, Fault> {
        let broken = |column, detail: &str| {
            Fault::of_row(Reason::Json { column, detail: detail.to_owned() })
        };
        let text = std::str::from_utf8(line)
            .map_err(|error| broken(error.valid_up_to() + 1, "the text is not UTF-8"))?;
        serde_json::from_str(text).map_err(|error| {
            let message = error.to_string();
            broken(
                error.column(),
                message.rsplit_once(" at line ").map_or(&*message, |(detail, _)| detail),
            )
        })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Line<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Line<'de>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line<'de>, A::Error> {
                let mut cells: [Option<Cell>; KEYS.len()] = Default::default();
                while let Some(Key(key)) = map.next_key()? {
                    match key {
                        None => drop(map.next_value::<IgnoredAny>()?),
                        Some(key) if cells[key].is_some() => {
                            return Err(serde::de::Error::custom(format!(
                                "the key `{}` is there twice",
                                KEYS[key]
                            )));
                        }
                        Some(key) => cells[key] = Some(map.next_value()?),
                    }
                }
                Ok(Line(cells.map(Option::unwrap_or_default)))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// The index of a key, `None` for one that is not read.
struct Key(Option<usize>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Key;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_str<E>(self, name: &str) -> Result<Key, E> {
                Ok(Key(KEYS.iter().position(|key| *key == name)))
            }
        }
        deserializer.deserialize_str(Name)
    }
}

/// One usable line; texts are rows of the part's tables.
struct Rental {
    customer: u32,
    article: u32,
    time: Timestamp,
    categories: [u32; NUMBER - CATEGORY],
    numbers: [f32; KEYS.len() - NUMBER],
}

/// The value of an attribute; one that cannot be read is missing and noted.
fn kept<T>(value: Result<T, Fault>, missing: T, unreadable: &mut Vec<Fault>) -> T {
    value.unwrap_or_else(|fault| {
        unreadable.push(Fault { kept: true, ..fault });
        missing
    })
}

/// A parsed block.
#[derive(Default)]
struct Part {
    customers: IdTable,
    articles: IdTable,
    categories: [IdTable; NUMBER - CATEGORY],
    rentals: Vec<Rental>,
    rejects: Vec<Reject>,
    lines: u64,
}

impl Part {
    fn parse(block: &Block) -> Self {
        let mut part = Self::default();
        let mut rejects = Vec::new();
        part.lines = block.for_each_record(&mut rejects, |line| part.add(line));
        part.rejects = rejects;
        part
    }

    /// Adds a line; ids and time are checked before anything is added. Faults of attributes come
    /// back, but cost nothing.
    fn add(&mut self, line: &[u8]) -> Result<(), Faults> {
        let Line([user, item, date, category, body, bust, age, height, weight]) =
            Line::parse(line)?;
        let (user, item, time) = (user.id(USER)?, item.id(ITEM)?, date.date()?);
        let mut unreadable = Vec::new();
        let texts = [category.text(CATEGORY), body.text(CATEGORY + 1), bust.text(CATEGORY + 2)];
        let categories = texts.map(|text| kept(text, None, &mut unreadable));
        let numbers = [age.number(NUMBER), height.number(NUMBER + 1), weight.number(NUMBER + 2)];
        let numbers = numbers.map(|number| kept(number, f32::NAN, &mut unreadable));
        let mut tables = self.categories.iter_mut();
        self.rentals.push(Rental {
            customer: self.customers.insert(&user),
            article: self.articles.insert(&item),
            time,
            categories: categories.map(|text| match (text, tables.next()) {
                (Some(text), Some(table)) => table.insert(&text),
                _ => MISSING,
            }),
            numbers,
        });
        if unreadable.is_empty() { Ok(()) } else { Err(Faults(unreadable)) }
    }
}

/// The latest value of each entity and when it was said.
#[derive(Default)]
struct Latest<T> {
    values: Vec<T>,
    times: Vec<Timestamp>,
}

impl<T: Copy> Latest<T> {
    fn set(&mut self, row: u32, value: T, time: Timestamp, missing: T) {
        let row = row as usize;
        if row >= self.values.len() {
            self.values.resize(row + 1, missing);
            self.times.resize(row + 1, Timestamp(0));
        }
        if time >= self.times[row] {
            (self.values[row], self.times[row]) = (value, time);
        }
    }
}

/// All that was joined so far.
#[derive(Default)]
struct Tables {
    dataset: Dataset,
    dictionaries: [IdTable; NUMBER - CATEGORY],
    categories: [Latest<u32>; NUMBER - CATEGORY],
    numbers: [Latest<f32>; KEYS.len() - NUMBER],
}

impl Tables {
    /// # Errors
    /// When `bytes` more of text might not fit 32-bit positions.
    fn check_room(&self, bytes: usize, file: &FileName) -> Result<(), DatasetError> {
        let tables = self
            .dictionaries
            .iter()
            .chain([&self.dataset.customers.ids, &self.dataset.articles.ids]);
        let texts = tables.map(IdTable::text_len).max().unwrap_or(0);
        if texts.max(self.dataset.purchases.len()) + bytes < u32::MAX as usize {
            return Ok(());
        }
        Err(DatasetError::TooLarge {
            file: file.clone(),
            what: "more than 4 GiB of distinct text, or 2³² purchases",
        })
    }

    fn join(&mut self, part: Part) {
        let rows = |from: &IdTable, into: &mut IdTable| -> Vec<u32> {
            from.iter().map(|t| into.insert(t)).collect()
        };
        let customers = rows(&part.customers, &mut self.dataset.customers.ids);
        let articles = rows(&part.articles, &mut self.dataset.articles.ids);
        let mut dictionaries = self.dictionaries.iter_mut();
        let codes = part
            .categories
            .map(|table| dictionaries.next().map_or_else(Vec::new, |into| rows(&table, into)));
        let purchases = &mut self.dataset.purchases;
        for rental in part.rentals {
            let (customer, article) =
                (customers[rental.customer as usize], articles[rental.article as usize]);
            purchases.customer.push(customer);
            purchases.article.push(article);
            purchases.time.push(rental.time);
            for (i, code) in
                rental.categories.into_iter().enumerate().filter(|(_, code)| *code != MISSING)
            {
                let row = if i == 0 { article } else { customer };
                self.categories[i].set(row, codes[i][code as usize], rental.time, MISSING);
            }
            for (latest, value) in
                self.numbers.iter_mut().zip(rental.numbers).filter(|(_, value)| !value.is_nan())
            {
                latest.set(customer, value, rental.time, f32::NAN);
            }
        }
    }

    fn finish(self) -> Dataset {
        let Self { mut dataset, dictionaries, categories, numbers } = self;
        sort_by_time(&mut dataset.purchases);
        dataset.time_unit = TimeUnit::Day;
        let Dataset { articles, customers, .. } = &mut dataset;
        for (key, (latest, dictionary)) in
            (CATEGORY..).zip(categories.into_iter().zip(dictionaries))
        {
            let entities: &mut Entities = if key == CATEGORY { articles } else { customers };
            let mut codes = latest.values;
            codes.resize(entities.len(), MISSING);
            let values = Values::Category { codes, dictionary };
            entities.columns.push(Column { name: KEYS[key].to_owned(), values });
        }
        for (key, latest) in (NUMBER..).zip(numbers) {
            let mut values = latest.values;
            values.resize(customers.len(), f32::NAN);
            customers
                .columns
                .push(Column { name: KEYS[key].to_owned(), values: Values::Number(values) });
        }
        dataset
    }
}
