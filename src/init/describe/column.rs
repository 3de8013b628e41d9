//! What the values of a column are like.

use super::moment::{self, Detector, Notation};
use crate::dataset::{Decimal, LIST_END, is_missing, nobody, number_in_any_notation as number};
use std::collections::{HashMap, HashSet, hash_map::DefaultHasher};
use std::hash::{Hash, Hasher};

/// Different values that are told apart at most; beyond, a column counts as one of ids or texts.
const MOST_VALUES: usize = 200_000;
/// Different values whose counts are kept.
const MOST_COUNTED: usize = 400;

/// A column of a table, measured over a sample of its rows.
#[derive(Debug)]
pub(super) struct Column {
    pub name: String,
    pub rows: usize,
    /// Rows with a value.
    pub filled: usize,
    /// Values: more than `filled` where cells hold lists.
    count: usize,
    pub distinct: usize,
    /// Hashes of the values.
    pub values: HashSet<u64>,
    /// The values and how often they occur, most frequent first; empty when there are too many.
    pub frequent: Vec<(String, usize)>,
    /// Values that shops write for "nobody", and how often.
    nobody: Vec<(&'static str, usize)>,
    pub numbers: usize,
    pub whole: usize,
    pub negative: usize,
    pub zero: usize,
    /// Numbers with a comma before their fraction.
    commas: usize,
    /// Numbers whose points can only stand between thousands, and those whose point can only stand
    /// before a fraction.
    point_groups: usize,
    point_fractions: usize,
    pub min: f64,
    pub max: f64,
    /// Mean characters of a value.
    pub length: f64,
    pub spaced: usize,
    pub links: usize,
    pub clocks: usize,
    /// Values in the form of Amazon's and books' numbers.
    pub asins: usize,
    pub emails: usize,
    /// Values that are the text of an object or of a list of objects.
    objects: usize,
    /// The notation of times that fits every value.
    pub notation: Option<Notation>,
    pub list: Option<List>,
    /// The file itself says that cells hold lists.
    pub typed_list: bool,
}

/// How several values stand in one cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct List {
    pub separator: String,
    /// What stands between an item and its quantity.
    pub quantity: Option<String>,
}

impl Column {
    pub fn of<'a>(
        name: &str,
        typed_list: bool,
        cells: impl Iterator<Item = &'a str>,
        day_first: bool,
    ) -> Self {
        let mut column = Self::empty(name, typed_list);
        let (mut counts, mut detector) = (HashMap::<&str, usize>::new(), Detector::new());
        let mut lists = ListDetector::default();
        for cell in cells {
            column.rows += 1;
            let before = column.count;
            let values = cell.split(|c| typed_list && c == LIST_END).map(str::trim);
            for value in values.filter(|value| !is_missing(value)) {
                column.add(value);
                detector.add(value);
                lists.add(value);
                if counts.len() <= MOST_COUNTED {
                    *counts.entry(value).or_default() += 1;
                }
            }
            column.filled += usize::from(column.count > before);
        }
        column.distinct = column.values.len();
        column.length /= column.count.max(1) as f64;
        if counts.len() <= MOST_COUNTED {
            column.frequent =
                counts.into_iter().map(|(value, count)| (value.to_owned(), count)).collect();
            column.frequent.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        }
        column.notation = detector.finish(day_first);
        column.list = lists.finish(column.filled).filter(|_| !typed_list);
        column
    }

    fn empty(name: &str, typed_list: bool) -> Self {
        Self {
            name: name.to_owned(),
            rows: 0,
            filled: 0,
            count: 0,
            distinct: 0,
            values: HashSet::new(),
            frequent: Vec::new(),
            nobody: Vec::new(),
            numbers: 0,
            whole: 0,
            negative: 0,
            zero: 0,
            commas: 0,
            point_groups: 0,
            point_fractions: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            length: 0.0,
            spaced: 0,
            links: 0,
            clocks: 0,
            asins: 0,
            emails: 0,
            objects: 0,
            notation: None,
            list: None,
            typed_list,
        }
    }

    fn add(&mut self, cell: &str) {
        self.count += 1;
        if self.values.len() < MOST_VALUES {
            self.values.insert(hash(cell));
        }
        self.length += cell.chars().count() as f64;
        self.spaced += usize::from(cell.contains(' '));
        self.links += usize::from(cell.starts_with("http://") || cell.starts_with("https://"));
        self.clocks += usize::from(moment::is_clock(cell));
        self.asins += usize::from(is_asin(cell));
        self.objects += usize::from(is_object(cell));
        self.emails += usize::from(cell.contains('@') && cell.contains('.') && !cell.contains(' '));
        if let Some(nobody) = nobody(cell) {
            match self.nobody.iter_mut().find(|(known, _)| *known == nobody) {
                Some((_, count)) => *count += 1,
                None => self.nobody.push((nobody, 1)),
            }
        }
        if let Some(number) = number(cell) {
            self.numbers += 1;
            self.whole += usize::from(number.fract() == 0.0);
            self.negative += usize::from(number < 0.0);
            self.zero += usize::from(number == 0.0);
            self.commas += usize::from(has_decimal_comma(cell));
            self.add_points(cell);
            self.min = self.min.min(number);
            self.max = self.max.max(number);
        }
    }

    fn add_points(&mut self, cell: &str) {
        if !cell.contains('.') {
            return;
        }
        let by_comma = Decimal::Comma.parse::<f64>(cell).is_some();
        let by_point = Decimal::Point.parse::<f64>(cell).is_some();
        self.point_groups += usize::from(by_comma && !by_point && !cell.contains(','));
        self.point_fractions += usize::from(by_point && !by_comma);
    }

    /// Share of the rows that have a value.
    pub fn coverage(&self) -> f64 {
        self.filled as f64 / self.rows.max(1) as f64
    }

    /// Share of the values that meet a count.
    pub fn share(&self, count: usize) -> f64 {
        count as f64 / self.count.max(1) as f64
    }

    /// Whether (nearly) no two rows have the same value.
    pub fn is_unique(&self) -> bool {
        self.filled > 0
            && !self.typed_list
            && self.coverage() > 0.98
            && self.distinct as f64 >= 0.999 * self.filled as f64
    }

    pub fn is_number(&self) -> bool {
        self.filled > 0 && self.share(self.numbers) >= 0.95
    }

    pub fn is_whole(&self) -> bool {
        self.filled > 0 && self.share(self.whole) >= 0.95
    }

    /// Share of this column's values that the other one has too.
    pub fn within(&self, other: &Self) -> f64 {
        let common = self.values.iter().filter(|value| other.values.contains(value)).count();
        common as f64 / self.values.len().max(1) as f64
    }

    /// Values for "nobody" that occur far more often than any one customer would.
    pub fn placeholders(&self) -> Vec<String> {
        let usual = self.filled as f64 / self.distinct.max(1) as f64;
        let many = |count: usize| count as f64 > 20.0 * usual && count * 100 > self.filled;
        self.nobody
            .iter()
            .filter(|(_, count)| many(*count))
            .map(|(value, _)| (*value).to_owned())
            .collect()
    }

    /// Whether the values are texts of objects, which nothing is called by.
    pub fn holds_objects(&self) -> bool {
        self.share(self.objects) > 0.5
    }

    /// The list of objects that the values are a key of; `None` where they are no lists.
    pub fn list_of_objects(&self) -> Option<&str> {
        let list = self.name.rsplit_once('.').filter(|_| self.typed_list);
        list.map(|(list, _)| list)
    }

    /// Text of the kind that is read, not counted.
    pub fn is_prose(&self) -> bool {
        self.length > 60.0
    }
}

/// The hash of a value; `706016001.0` and `706016001` are one.
pub(super) fn hash(cell: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    cell.strip_suffix(".0").unwrap_or(cell).hash(&mut hasher);
    hasher.finish()
}

/// Whether a number is written with a comma before its fraction.
fn has_decimal_comma(cell: &str) -> bool {
    let Some((before, fraction)) = cell.rsplit_once(',') else { return false };
    let fraction = fraction.trim_end_matches(|c: char| !c.is_ascii_digit());
    (1..=2).contains(&fraction.len())
        && fraction.bytes().all(|b| b.is_ascii_digit())
        && before.ends_with(|c: char| c.is_ascii_digit())
        && number(cell).is_some()
}

/// Whether the numbers of a table have a comma before their fraction. `separated` by commas, a
/// file says so only by points between thousands.
pub(super) fn has_decimal_commas(columns: &[Column], separated: bool) -> bool {
    let numbers = || columns.iter().filter(|column| column.is_number());
    let commas: usize = columns.iter().map(|column| column.commas).sum();
    // Two points in a number such as 1.249.900 can only group thousands, so those of 15.990 do as
    // well; where others are fractions for sure, the table is in two notations.
    let grouped = numbers().any(|column| column.point_groups > 0);
    let fractions = numbers().any(|column| column.point_fractions > 0);
    !separated && commas > 1 || grouped && !fractions
}

fn is_object(cell: &str) -> bool {
    let inside = cell.strip_prefix('[').unwrap_or(cell).trim_start();
    inside.strip_prefix('{').is_some_and(|rest| rest.trim_start().starts_with(['"', '\'', '}']))
}

fn is_asin(cell: &str) -> bool {
    let bytes = cell.as_bytes();
    let amazon = bytes.starts_with(b"B0")
        && bytes.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let isbn = bytes.len() == 10
        && bytes[..9].iter().all(u8::is_ascii_digit)
        && matches!(bytes[9], b'0'..=b'9' | b'X');
    bytes.len() == 10 && (amazon || isbn)
}

/// Counts the cells that a separator cuts into short parts.
#[derive(Default)]
struct ListDetector {
    cut: [usize; SEPARATORS.len()],
    parts: HashSet<u64>,
    count: usize,
    quantities: usize,
    json: usize,
}

const SEPARATORS: [&str; 4] = ["|", ";", ", ", ","];
const QUANTITY: &str = " x ";

impl ListDetector {
    fn add(&mut self, cell: &str) {
        self.json += usize::from(cell.starts_with('[') && cell.ends_with(']'));
        for (cut, separator) in self.cut.iter_mut().zip(SEPARATORS) {
            let parts = || cell.split(separator).map(str::trim);
            let short = parts().all(|part| {
                (1..=40).contains(&part.chars().count()) && part.matches(' ').count() < 4
            });
            let alike = short && parts().nth(1).is_some();
            *cut += usize::from(alike && !has_decimal_comma(cell));
        }
        let item = cell.split(['|', ';', ',']).next().unwrap_or(cell);
        let counted = |(_, quantity): (&str, &str)| quantity.trim().parse::<u32>().is_ok();
        self.quantities += usize::from(item.rsplit_once(QUANTITY).is_some_and(counted));
        if self.parts.len() < MOST_VALUES {
            for part in cell.split(['|', ';', ',']).map(str::trim) {
                self.count += 1;
                self.parts.insert(hash(part));
            }
        }
    }

    /// A separator that cuts many cells into parts that come again in others.
    fn finish(self, filled: usize) -> Option<List> {
        let share = |count: usize| count as f64 / filled.max(1) as f64;
        let quantity = (share(self.quantities) > 0.9).then(|| QUANTITY.to_owned());
        let repeats = self.parts.len() * 2 <= self.count || quantity.is_some();
        let best = (0..SEPARATORS.len()).find(|&at| share(self.cut[at]) > 0.2)?;
        (repeats && share(self.json) < 0.5)
            .then(|| List { separator: SEPARATORS[best].to_owned(), quantity })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(cells: &[&str]) -> Column {
        Column::of("x", false, cells.iter().copied(), false)
    }

    #[test]
    fn values_are_counted_by_kind() {
        let numbers = column(&["1", "2.5", "", "NULL", "-3"]);
        assert_eq!(
            (numbers.filled, numbers.numbers, numbers.whole, numbers.negative),
            (3, 3, 2, 1)
        );
        assert_eq!((numbers.min, numbers.max), (-3.0, 2.5));
        assert!(numbers.is_number() && !numbers.is_whole() && !numbers.is_unique());
        let ids = column(&["7060.0", "7061"]);
        assert!(ids.values.contains(&hash("7060")) && ids.is_unique());
        assert!(column(&["a", "b"]).within(&column(&["b", "c"])) == 0.5);
        assert_eq!(column(&["B0006IEJB8", "0205616461", "A39HTATAQ9V7YF"]).asins, 2);
    }

    #[test]
    fn a_decimal_comma_is_proved_by_a_fraction_or_by_two_points() {
        let decides = |cells: &[&str], separated| has_decimal_commas(&[column(cells)], separated);
        for (cells, semicolons, commas) in [
            (&["9,99", "1.234,5 €"][..], true, false),
            (&["15.990", "1.249.900"], true, true),
            (&["15.990", "1.249"], false, false),
            (&["15.99", "1.249.900"], false, false),
            (&["1,234", "12,345"], false, false),
        ] {
            assert_eq!(
                (decides(cells, false), decides(cells, true)),
                (semicolons, commas),
                "{cells:?}"
            );
        }
    }

    #[test]
    fn lists_are_found_by_parts_that_come_again() {
        let genres = column(&["Drama|Comedy", "Comedy", "Drama|Comedy|War", "War"]);
        assert_eq!(genres.list.unwrap().separator, "|");
        assert!(column(&["Hat, blue, large", "Shoe and a lace, black", "Coat"]).list.is_none());
        let items =
            column(&["SKU-0 x 2|SKU-3 x 1", "SKU-1 x 1", "SKU-9 x 4|SKU-8 x 1"]).list.unwrap();
        assert_eq!((items.separator.as_str(), items.quantity.as_deref()), ("|", Some(" x ")));
    }
}
