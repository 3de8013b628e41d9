//! How the times of a column are written: the `time_format` that fits all of its values.

use crate::domain::Timestamp;

/// A notation that a column's values share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notation {
    /// The value of `time_format`.
    pub format: String,
    /// What every value allows as well: the other order of day and month.
    pub otherwise: Option<String>,
    /// Whether the values are days without a clock.
    pub days: bool,
    /// Whether the values are bare numbers, which may be anything else.
    pub number: bool,
}

/// Collects the values of a column.
#[derive(Debug, Default)]
pub(super) struct Detector {
    seen: usize,
    /// Values that are no time in any notation.
    unreadable: usize,
    shape: Option<Shape>,
    /// The values are written in ways that no one notation covers.
    failed: bool,
    /// Every value is the first moment of a day.
    midnights: bool,
    /// Values differ in their clock: with and without seconds or fractions.
    mixed: bool,
    first_over_12: bool,
    second_over_12: bool,
    /// Smallest and largest of bare numbers.
    range: Option<(f64, f64)>,
}

/// How one value is written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shape {
    date: DateShape,
    clock: Clock,
    zone: Zone,
    /// What stands between date and clock.
    between: char,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum DateShape {
    /// `2020-09-22` with this separator.
    YearFirst(char),
    /// Day and month in an unknown order, then a year of so many digits.
    YearLast { separator: char, year: usize },
    /// `September 22, 2020`
    LongUs,
    /// The pattern of another date with a month's name.
    Named(String),
    /// A whole or fractional number.
    Number,
    /// `20200922`
    Compact,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clock {
    None,
    Minutes { half: bool },
    Seconds { half: bool },
    Fraction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Zone {
    None,
    /// `Z` or `+02:00`
    Rfc,
    /// ` UTC`, `+0200`, `+02`
    Other,
}

impl Detector {
    pub fn new() -> Self {
        Self { midnights: true, ..Self::default() }
    }

    /// Takes in a value that is not missing.
    pub fn add(&mut self, text: &str) {
        if self.failed {
            return;
        }
        let Some(value) = Value::parse(text.trim()) else {
            self.unreadable += 1;
            return;
        };
        self.seen += 1;
        self.midnights &= value.midnight;
        if let Some((first, second)) = value.numbers {
            self.first_over_12 |= first > 12;
            self.second_over_12 |= second > 12;
        }
        if let Some(number) = value.number {
            let (low, high) = self.range.unwrap_or((number, number));
            self.range = Some((low.min(number), high.max(number)));
        }
        match &mut self.shape {
            None => self.shape = Some(value.shape),
            Some(shape) if *shape == value.shape => {}
            Some(shape) => self.failed |= !shape.absorb(&value.shape, &mut self.mixed),
        }
    }

    /// Whether more values are unreadable than an import leaves out by default, 5 %. One broken
    /// date must not cost a shop its times. Bare numbers may be anything, so none of them may be
    /// unreadable.
    fn is_no_time(&self) -> bool {
        let numbers = self.shape.as_ref().is_some_and(|shape| shape.date == DateShape::Number);
        let limit = if numbers { 0 } else { (self.seen + self.unreadable) / 20 };
        self.failed || self.unreadable > limit
    }

    /// The notation; `day_first` decides where the values leave the order of day and month open.
    pub fn finish(self, day_first: bool) -> Option<Notation> {
        let shape = self.shape.as_ref().filter(|_| !self.is_no_time() && self.seen > 0)?;
        let days = shape.clock == Clock::None || self.midnights;
        let known = |format: &str, days| {
            Some(Notation { format: format.to_owned(), otherwise: None, days, number: false })
        };
        match &shape.date {
            DateShape::Number => self.of_number(),
            DateShape::Compact => known("compact-date", true),
            DateShape::LongUs if shape.clock == Clock::None => known("long-date", true),
            DateShape::YearFirst('-') if shape.zone != Zone::Other && !self.mixed => {
                match shape.clock {
                    Clock::None => known("date", true),
                    Clock::Seconds { half: false } if self.midnights => known("date", true),
                    Clock::Seconds { half: false } | Clock::Fraction => {
                        known(if shape.zone == Zone::Rfc { "rfc3339" } else { "date-time" }, days)
                    }
                    _ => known("auto", days),
                }
            }
            DateShape::YearFirst(_) | DateShape::LongUs => known("auto", days),
            DateShape::Named(pattern) => {
                known(&format!("{pattern}{}", shape.clock_pattern()?), days)
            }
            DateShape::YearLast { separator, year } => {
                self.of_day_and_month(shape, *separator, *year, day_first, days)
            }
        }
    }

    fn of_number(&self) -> Option<Notation> {
        let (low, high) = self.range?;
        // From 1990 on: smaller numbers are counters, not moments.
        let from = 631_152_000.0;
        let within = |unit: f64| low >= from * unit && high <= f64::from(u32::MAX) * unit;
        let format = [("unix-seconds", 1.0), ("unix-millis", 1e3), ("unix-micros", 1e6)]
            .into_iter()
            .find_map(|(name, unit)| within(unit).then_some(name))
            .or_else(|| (low >= 0.0 && high < 40_000.0).then_some("day-number"))?;
        let days = format == "day-number";
        Some(Notation { format: format.to_owned(), otherwise: None, days, number: true })
    }

    fn of_day_and_month(
        &self,
        shape: &Shape,
        separator: char,
        year: usize,
        day_first: bool,
        days: bool,
    ) -> Option<Notation> {
        let year = if year == 4 { "%Y" } else { "%y" };
        let clock = shape.clock_pattern()?;
        let pattern = |day_first: bool| {
            let (first, second) = if day_first { ("%d", "%m") } else { ("%m", "%d") };
            format!("{first}{separator}{second}{separator}{year}{clock}")
        };
        let (format, otherwise) = match (self.first_over_12, self.second_over_12) {
            (true, true) => return None,
            (true, false) => (pattern(true), None),
            (false, true) => (pattern(false), None),
            // Nobody writes the month first with dots.
            (false, false) if separator == '.' => (pattern(true), Some(pattern(false))),
            (false, false) => (pattern(day_first), Some(pattern(!day_first))),
        };
        Some(Notation { format, otherwise, days, number: false })
    }
}

impl Shape {
    /// Takes in a value written in a slightly different way; `false` when no notation covers both.
    fn absorb(&mut self, other: &Self, mixed: &mut bool) -> bool {
        let numbers = |date: &DateShape| matches!(date, DateShape::Number | DateShape::Compact);
        if numbers(&self.date) && numbers(&other.date) {
            self.date = DateShape::Number;
            return true;
        }
        if self.date != other.date || self.between != other.between && self.clock != Clock::None {
            return false;
        }
        let fraction = |clock| matches!(clock, Clock::Seconds { half: false } | Clock::Fraction);
        if fraction(self.clock) && fraction(other.clock) && self.zone == other.zone {
            self.clock = Clock::Fraction;
            return true;
        }
        *mixed = true;
        matches!(self.date, DateShape::YearFirst(_))
    }

    /// The pattern of the clock behind a date; `None` where a zone cannot be said by a pattern.
    fn clock_pattern(&self) -> Option<String> {
        if self.zone != Zone::None {
            return None;
        }
        let between = self.between;
        Some(match self.clock {
            Clock::None => String::new(),
            Clock::Minutes { half: false } => format!("{between}%H:%M"),
            Clock::Minutes { half: true } => format!("{between}%I:%M %p"),
            Clock::Seconds { half: false } => format!("{between}%H:%M:%S"),
            Clock::Seconds { half: true } => format!("{between}%I:%M:%S %p"),
            Clock::Fraction => format!("{between}%H:%M:%S%.f"),
        })
    }
}

/// One value, taken apart.
struct Value {
    shape: Shape,
    midnight: bool,
    /// The two numbers of which one is the day and one the month.
    numbers: Option<(u32, u32)>,
    /// A bare number.
    number: Option<f64>,
}

impl Value {
    fn parse(text: &str) -> Option<Self> {
        let whole = |date, number| {
            let shape = Shape { date, clock: Clock::None, zone: Zone::None, between: ' ' };
            Some(Self { shape, midnight: false, numbers: None, number: Some(number) })
        };
        if let Ok(number) = text.parse::<f64>() {
            let digits = text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit());
            let compact = digits && matches!(&text[..2], "19" | "20");
            let date = digits.then(|| format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..]));
            return match date.filter(|date| compact && Timestamp::parse(date).is_ok()) {
                Some(_) => whole(DateShape::Compact, number),
                None => number.is_finite().then(|| whole(DateShape::Number, number))?,
            };
        }
        let (date, rest) = Date::parse(text)?;
        let between = rest.chars().next().unwrap_or(' ');
        if !rest.is_empty() && !matches!(between, ' ' | 'T') {
            return None;
        }
        let (clock, zone, midnight) = clock_of(rest.get(1..).unwrap_or(""))?;
        let shape = Shape { date: date.shape, clock, zone, between };
        Some(Self { shape, midnight, numbers: date.numbers, number: None })
    }
}

struct Date {
    shape: DateShape,
    numbers: Option<(u32, u32)>,
}

impl Date {
    /// The date at the start of a text, and what stands behind it.
    fn parse(text: &str) -> Option<(Self, &str)> {
        Self::of_numbers(text).or_else(|| Self::with_month_name(text))
    }

    fn of_numbers(text: &str) -> Option<(Self, &str)> {
        let (first, rest) = digits(text)?;
        let separator = rest.chars().next().filter(|c| matches!(c, '-' | '/' | '.'))?;
        let (second, rest) = digits(&rest[1..])?;
        let (third, rest) = digits(rest.strip_prefix(separator)?)?;
        let number = |text: &str| text.parse::<u32>().ok();
        let date = match (first.len(), second.len(), third.len()) {
            (4, 1..=2, 1..=2) => {
                let plausible =
                    (1..=12).contains(&number(second)?) && (1..=31).contains(&number(third)?);
                plausible
                    .then_some(Self { shape: DateShape::YearFirst(separator), numbers: None })?
            }
            (1..=2, 1..=2, year @ (2 | 4)) => {
                let (a, b) = (number(first)?, number(second)?);
                let plausible =
                    (1..=31).contains(&a) && (1..=31).contains(&b) && (a <= 12 || b <= 12);
                let shape = DateShape::YearLast { separator, year };
                plausible.then_some(Self { shape, numbers: Some((a, b)) })?
            }
            _ => return None,
        };
        Some((date, rest))
    }

    /// `September 22, 2020`, `Sep 22, 2020`, `22 Sep 2020`, `22-Sep-20`.
    fn with_month_name(text: &str) -> Option<(Self, &str)> {
        let named = |pattern: String| Self { shape: DateShape::Named(pattern), numbers: None };
        if text.starts_with(|c: char| c.is_alphabetic()) {
            let end = text.find(|c: char| !c.is_alphabetic())?;
            let long = month(&text[..end])?;
            let (_, rest) = digits(text[end..].strip_prefix(' ')?)?;
            let rest = rest.strip_prefix(", ")?;
            let (year, rest) = digits(rest)?;
            return match (year.len(), long) {
                (4, true) => Some((Self { shape: DateShape::LongUs, numbers: None }, rest)),
                (4, false) => Some((named("%b %d, %Y".to_owned()), rest)),
                _ => None,
            };
        }
        let (day, rest) = digits(text)?;
        let separator = rest.chars().next().filter(|c| matches!(c, ' ' | '-' | '/'))?;
        let rest = &rest[1..];
        let end = rest.find(|c: char| !c.is_alphabetic())?;
        let long = month(&rest[..end])?;
        let (year, rest) = digits(rest[end..].strip_prefix(separator)?)?;
        let month = if long { "%B" } else { "%b" };
        let year = match year.len() {
            4 => "%Y",
            2 => "%y",
            _ => return None,
        };
        (day.len() <= 2).then(|| (named(format!("%d{separator}{month}{separator}{year}")), rest))
    }
}

/// Whether a word is a month's English name, and if so whether its long form.
fn month(word: &str) -> Option<bool> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let word = word.to_lowercase();
    MONTHS.iter().find_map(|month| {
        (word == *month).then_some(true).or((word == month[..3]).then_some(false))
    })
}

/// The digits at the start of a text, at least one, and what stands behind them.
fn digits(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Clock, zone, and whether it is midnight.
fn clock_of(text: &str) -> Option<(Clock, Zone, bool)> {
    if text.is_empty() {
        return Some((Clock::None, Zone::None, true));
    }
    let (hours, rest) = digits(text)?;
    let (minutes, mut rest) = digits(rest.strip_prefix(':')?)?;
    let within = |text: &str, most: u32| {
        text.len() <= 2 && text.parse::<u32>().is_ok_and(|number| number < most)
    };
    if !within(hours, 24) || !within(minutes, 60) {
        return None;
    }
    let mut midnight = hours.trim_start_matches('0').is_empty() && minutes == "00";
    let mut clock = Clock::Minutes { half: false };
    if let Some((seconds, behind)) = rest.strip_prefix(':').and_then(digits) {
        within(seconds, 62).then_some(())?;
        midnight &= seconds == "00";
        (clock, rest) = (Clock::Seconds { half: false }, behind);
        if let Some((fraction, behind)) = rest.strip_prefix('.').and_then(digits) {
            midnight &= fraction.bytes().all(|b| b == b'0');
            (clock, rest) = (Clock::Fraction, behind);
        }
    }
    let half = matches!(rest.trim_start().to_ascii_lowercase().as_str(), "am" | "pm");
    if half && rest.starts_with(' ') {
        clock = match clock {
            Clock::Minutes { .. } => Clock::Minutes { half },
            _ => Clock::Seconds { half },
        };
        return Some((clock, Zone::None, false));
    }
    Some((clock, zone_of(rest)?, midnight))
}

fn zone_of(text: &str) -> Option<Zone> {
    let offset = |text: &str| {
        text.starts_with(['+', '-']) && text[1..].bytes().all(|b| b.is_ascii_digit() || b == b':')
    };
    match text {
        "" => Some(Zone::None),
        "Z" => Some(Zone::Rfc),
        text if offset(text) && text.len() == 6 && text.as_bytes()[3] == b':' => Some(Zone::Rfc),
        " UTC" | " GMT" | " Z" => Some(Zone::Other),
        text if offset(text.trim_start()) && (3..=6).contains(&text.trim_start().len()) => {
            Some(Zone::Other)
        }
        _ => None,
    }
}

/// Whether a text is a time of day such as `08:26`, `08:26:30` or `0826`.
pub(super) fn is_clock(text: &str) -> bool {
    clock_of(text).is_some_and(|(clock, ..)| clock != Clock::None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notation(values: &[&str]) -> Option<Notation> {
        let mut detector = Detector::new();
        values.iter().for_each(|value| detector.add(value));
        detector.finish(false)
    }

    #[test]
    fn the_notation_that_fits_all_values() {
        for (values, format) in [
            (&["2020-09-22", "2020-01-31"][..], "date"),
            (&["2020-09-22 00:00:00", "2020-01-31 00:00:00"], "date"),
            (&["2020-09-22 10:00:00", "2020-01-31 00:00:00"], "date-time"),
            (&["2020-09-22T10:00:00Z"], "rfc3339"),
            (&["2014-04-07T10:51:09.277Z", "2014-04-07T10:51:09Z"], "rfc3339"),
            (&["2020-09-22T10:00:00+02:00"], "rfc3339"),
            (&["2019-10-01 00:00:00 UTC", "2019-10-01 00:00:01 UTC"], "auto"),
            (&["2023-05-01 10:11:12 +0200"], "auto"),
            (&["2020/09/22"], "auto"),
            (&["12/1/2010 8:26", "12/13/2010 8:26"], "%m/%d/%Y %H:%M"),
            (&["22.09.2023", "01.02.2023"], "%d.%m.%Y"),
            (&["13/02/2023 10:11:12"], "%d/%m/%Y %H:%M:%S"),
            (&["1/13/23 1:05 PM", "1/2/23 11:05 AM"], "%m/%d/%y %I:%M %p"),
            (&["September 22, 2020", "May 1, 2020"], "long-date"),
            (&["Sep 22, 2020"], "%b %d, %Y"),
            (&["22-Sep-20"], "%d-%b-%y"),
            (&["20240131", "20231201"], "compact-date"),
            (&["1600768800", "1484669739"], "unix-seconds"),
            (&["1484669739.0"], "unix-seconds"),
            (&["1433221332117"], "unix-millis"),
            (&["1", "711"], "day-number"),
        ] {
            assert_eq!(notation(values).map(|n| n.format).as_deref(), Some(format), "{values:?}");
        }
        for values in [
            &["hello"][..],
            &["2020-13-01"],
            &["2020-01-01", "x"],
            &["31/31/2020"],
            &["13/1/2020", "1/13/2020"],
        ] {
            assert_eq!(notation(values), None, "{values:?}");
        }
    }

    #[test]
    fn a_few_broken_values_do_not_hide_a_notation() {
        let dates: Vec<String> = (1..=28).map(|day| format!("2026-01-{day:02}")).collect();
        let mut values: Vec<&str> = dates.iter().map(String::as_str).collect();
        values.push("soon");
        assert!(notation(&values).unwrap().days);
        values.push("later");
        assert_eq!(notation(&values), None, "more than one in twenty");
        let mut invoices = vec!["1700000000"; 40];
        invoices.push("C536379");
        assert_eq!(notation(&invoices), None, "a column of numbers and codes is no time");
    }

    #[test]
    fn day_and_month_are_left_open_only_where_the_values_leave_them_open() {
        let open = notation(&["3/4/2020", "5/6/2020"]).unwrap();
        assert_eq!(
            (open.format.as_str(), open.otherwise.as_deref()),
            ("%m/%d/%Y", Some("%d/%m/%Y"))
        );
        assert_eq!(notation(&["3/4/2020", "25/6/2020"]).unwrap().otherwise, None);
        assert_eq!(notation(&["03.04.2020"]).unwrap().format, "%d.%m.%Y");
        assert!(is_clock("08:26") && is_clock("8:26:01") && !is_clock("0.5") && !is_clock(""));
    }
}
