//! One time as people write it, taken apart: what stands where, in which order and with which
//! separators.

use crate::{dataset::look, domain::Timestamp};

/// How one value is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    /// What stands before the date: the pattern of a weekday's name, or nothing.
    pub weekday: &'static str,
    pub date: DateShape,
    /// What stands between date and clock.
    pub between: String,
    pub clock: Clock,
    pub zone: Zone,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DateShape {
    /// `2020-09-22` with this separator.
    YearFirst(char),
    /// Day and month in an unknown order, then a year of so many digits.
    YearLast {
        separator: char,
        year: usize,
    },
    /// A date with a month's name: what stands before and behind the name in the pattern.
    Named {
        before: String,
        month: Month,
        behind: String,
    },
    /// `20200922`, perhaps with a clock of digits behind it.
    Compact(&'static str),
    Number(Unit),
}

/// How a month's name is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Month {
    Long,
    Short,
    /// May, which is as long as its short form.
    Either,
}

/// What a number can count: `Days` and `Other` only fit where no other number is in the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Millis,
    Micros,
    Nanos,
    Days,
    /// Days as spreadsheets count them.
    Serial,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    None,
    Digits {
        /// What stands between hours, minutes and seconds.
        separator: char,
        seconds: bool,
        /// What stands before the fraction of a second.
        fraction: Option<char>,
        /// The pattern of AM or PM behind it.
        half: Option<&'static str>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zone {
    None,
    /// `Z` or `+02:00`, as a pattern says them.
    Rfc(&'static str),
    /// ` UTC`, `+0200`, `+02`, ` CEST`, as a pattern says them.
    Other(&'static str),
    /// No zone but a word behind the clock: ` Uhr`.
    Word(&'static str),
}

impl Shape {
    pub fn is_number(&self) -> bool {
        matches!(self.date, DateShape::Number(_) | DateShape::Compact(_))
    }

    pub fn is_compact(&self) -> bool {
        matches!(self.date, DateShape::Compact(_))
    }

    /// Whether `date` and `date-time` read it, whatever its clock and zone are.
    pub fn is_iso(&self) -> bool {
        let colons = match self.clock {
            Clock::None => true,
            Clock::Digits { separator, .. } => separator == ':',
        };
        colons
            && self.weekday.is_empty()
            && matches!(self.between.as_str(), "" | " " | "T")
            && !matches!(self.zone, Zone::Word(_))
    }

    /// The format of a bare number that is a moment.
    pub fn number_format(&self) -> Option<String> {
        let format = match self.date {
            DateShape::Compact(format) => format,
            DateShape::Number(Unit::Seconds) => "unix-seconds",
            DateShape::Number(Unit::Millis) => "unix-millis",
            DateShape::Number(Unit::Micros) => "unix-micros",
            DateShape::Number(Unit::Nanos) => "unix-nanos",
            DateShape::Number(Unit::Serial) => "excel",
            _ => return None,
        };
        Some(format.to_owned())
    }

    /// The pattern of what stands behind a date.
    pub fn clock_pattern(&self) -> String {
        let Clock::Digits { separator, seconds, fraction, half } = self.clock else {
            return String::new();
        };
        let hour = if half.is_some() { "%I" } else { "%H" };
        let mut clock = format!("{}{hour}{separator}%M", self.between);
        if seconds {
            clock.push_str(&format!("{separator}%S"));
        }
        match fraction {
            Some('.') => clock.push_str("%.f"),
            Some(other) => clock.push_str(&format!("{other}%f")),
            None => {}
        }
        clock.push_str(half.unwrap_or_default());
        match self.zone {
            Zone::None => {}
            Zone::Rfc(pattern) | Zone::Other(pattern) | Zone::Word(pattern) => {
                clock.push_str(pattern);
            }
        }
        clock
    }
}

/// One value, taken apart.
pub(super) struct Value {
    pub shape: Shape,
    pub midnight: bool,
    /// The two numbers of which one is the day and one the month.
    pub numbers: Option<(u32, u32)>,
}

impl Value {
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((format, midnight)) = compact(text) {
            return Some(Self::bare(DateShape::Compact(format), midnight));
        }
        if let Ok(number) = text.parse::<f64>() {
            return number.is_finite().then(|| Self::bare(DateShape::Number(unit(number)), false));
        }
        let (weekday, text) = without_weekday(text);
        let (date, rest) = Date::parse(text)?;
        let clock = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (between, clock) = rest.split_at(clock);
        let joins = matches!(between.trim(), "" | "T" | "," | "-" | "um" | "at" | "\u{e0}");
        if !joins || between.len() > 4 || clock.is_empty() && !between.is_empty() {
            return None;
        }
        let (clock, zone, midnight) = clock_of(clock)?;
        let shape = Shape { weekday, date: date.shape, between: between.to_owned(), clock, zone };
        Some(Self { shape, midnight, numbers: date.numbers })
    }

    fn bare(date: DateShape, midnight: bool) -> Self {
        let (clock, zone) = (Clock::None, Zone::None);
        let shape = Shape { weekday: "", date, between: String::new(), clock, zone };
        Self { shape, midnight, numbers: None }
    }
}

/// What a number may count. Moments are those from 1990 on, in a spreadsheet those from 2009 on:
/// smaller numbers are counters.
fn unit(number: f64) -> Unit {
    let within = |unit: f64| number >= 631_152_000.0 * unit && number <= f64::from(u32::MAX) * unit;
    match number {
        _ if within(1.0) => Unit::Seconds,
        _ if within(1e3) => Unit::Millis,
        _ if within(1e6) => Unit::Micros,
        _ if within(1e9) => Unit::Nanos,
        _ if (0.0..40_000.0).contains(&number) => Unit::Days,
        _ if (40_000.0..60_000.0).contains(&number) => Unit::Serial,
        _ => Unit::Other,
    }
}

/// The format of `20230105`, `20230105.0`, `202301051632`, `20230105163234` and
/// `20230105T163234Z`, and whether it is midnight.
fn compact(text: &str) -> Option<(&'static str, bool)> {
    let whole = text.strip_suffix(".0").filter(|whole| whole.len() == 8).unwrap_or(text);
    let (day, rest) = digits(whole).map(|(run, _)| whole.split_at(run.len().min(8)))?;
    if day.len() < 8 || !matches!(&day[..2], "19" | "20") {
        return None;
    }
    let date = format!("{}-{}-{}", &day[..4], &day[4..6], &day[6..]);
    Timestamp::parse(&date).ok()?;
    let clock = rest.strip_prefix('T').unwrap_or(rest);
    let bare = clock.strip_suffix('Z').unwrap_or(clock);
    let format = match (rest.len() - clock.len(), bare.len(), clock.len() - bare.len()) {
        (0, 0, 0) => "compact-date",
        (0, 4, 0) => "%Y%m%d%H%M",
        (0, 6, 0) => "%Y%m%d%H%M%S",
        (1, 4, 0) => "%Y%m%dT%H%M",
        (1, 6, 0) => "%Y%m%dT%H%M%S",
        (1, 4, 1) => "%Y%m%dT%H%MZ",
        (1, 6, 1) => "%Y%m%dT%H%M%SZ",
        _ => return None,
    };
    let fits = |at: usize, most: u32| {
        bare.get(at..at + 2).is_none_or(|part| part.parse::<u32>().is_ok_and(|part| part < most))
    };
    let clock =
        bare.bytes().all(|b| b.is_ascii_digit()) && fits(0, 24) && fits(2, 60) && fits(4, 61);
    clock.then(|| (format, bare.bytes().all(|b| b == b'0')))
}

/// The pattern of a weekday's English name at the start of a text, and what stands behind it.
fn without_weekday(text: &str) -> (&'static str, &str) {
    const DAYS: [&str; 7] =
        ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let word = word.to_ascii_lowercase();
    let long = DAYS.contains(&word.as_str());
    if !long && !DAYS.iter().any(|day| day[..3] == word) {
        return ("", text);
    }
    match (rest.strip_prefix(", "), rest.strip_prefix(' ')) {
        (Some(rest), _) => (if long { "%A, " } else { "%a, " }, rest),
        (_, Some(rest)) => (if long { "%A " } else { "%a " }, rest),
        _ => ("", text),
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

    /// `September 22, 2020`, `Sep 22 2020`, `22 Sep 2020`, `22-Sep-20`, `22. März 2020`.
    fn with_month_name(text: &str) -> Option<(Self, &str)> {
        let named = |before: String, month, behind: String| Self {
            shape: DateShape::Named { before, month, behind },
            numbers: None,
        };
        if text.starts_with(|c: char| c.is_alphabetic()) {
            let end = text.find(|c: char| !c.is_alphabetic())?;
            let month = month(&text[..end])?;
            let (_, rest) = digits(without_dot(&text[end..]).strip_prefix(' ')?)?;
            let comma = if rest.starts_with(", ") { ", " } else { " " };
            let (year, rest) = digits(rest.strip_prefix(comma)?)?;
            return (year.len() == 4)
                .then(|| (named(String::new(), month, format!(" %d{comma}%Y")), rest));
        }
        let (day, rest) = digits(text)?;
        let (joint, ends) = JOINTS.iter().find(|(joint, _)| rest.starts_with(joint))?;
        let rest = &rest[joint.len()..];
        let end = rest.find(|c: char| !c.is_alphabetic())?;
        let month = month(&rest[..end])?;
        let rest = without_dot(&rest[end..]);
        let (end, rest) = ends.iter().find_map(|end| Some((end, rest.strip_prefix(end)?)))?;
        let (year, rest) = digits(rest)?;
        let year = match year.len() {
            4 => "%Y",
            2 => "%y",
            _ => return None,
        };
        // French writes `1er` for the first of a month and plain numbers for the others.
        let before = joint.trim_start_matches("er");
        let (before, behind) = (format!("%d{before}"), format!("{end}{year}"));
        (day.len() <= 2).then(|| (named(before, month, behind), rest))
    }
}

/// What joins a day to the name of its month, and the month to the year.
const JOINTS: [(&str, &[&str]); 6] = [
    (" de ", &[" de ", " "]),
    (". ", &[" "]),
    ("er ", &[" "]),
    (" ", &[" "]),
    ("-", &["-"]),
    ("/", &["/"]),
];

/// What stands behind an abbreviation's dot.
fn without_dot(text: &str) -> &str {
    text.strip_prefix('.').unwrap_or(text)
}

/// How a word writes a month's name; `None` for another word. Names in other languages than English
/// are read by both patterns.
fn month(word: &str) -> Option<Month> {
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
    let english = MONTHS.iter().find_map(|month| match (word == *month, word == month[..3]) {
        (true, true) => Some(Month::Either),
        (true, false) => Some(Month::Long),
        (false, true) => Some(Month::Short),
        (false, false) => None,
    });
    english.or_else(|| look::is_month(&word).then_some(Month::Either))
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
    let separator = rest.chars().next().filter(|c| matches!(c, ':' | 'h' | '.'))?;
    let (minutes, mut rest) = digits(&rest[1..])?;
    let within = |text: &str, most: u32| {
        text.len() <= 2 && text.parse::<u32>().is_ok_and(|number| number < most)
    };
    if !within(hours, 24) || minutes.len() != 2 || !within(minutes, 60) {
        return None;
    }
    let mut midnight = hours.trim_start_matches('0').is_empty() && minutes == "00";
    let (mut has_seconds, mut fraction) = (false, None);
    if let Some((seconds, behind)) = rest.strip_prefix(separator).and_then(digits) {
        within(seconds, 62).then_some(())?;
        midnight &= seconds == "00";
        (has_seconds, rest) = (true, behind);
        if let Some((part, behind)) = rest.strip_prefix(['.', ',']).and_then(digits) {
            midnight &= part.bytes().all(|b| b == b'0');
            (fraction, rest) = (rest.chars().next(), behind);
        }
    }
    let word = rest.trim_start().get(..2).unwrap_or_default();
    let half = ["am", "pm"].iter().any(|half| word.eq_ignore_ascii_case(half));
    let half = half.then(|| if rest.starts_with(' ') { " %p" } else { "%p" });
    if half.is_some() {
        // Midnight is 12 o'clock there, which no shop writes for "no time of day".
        (midnight, rest) = (false, &rest.trim_start()[2..]);
    }
    let clock = Clock::Digits { separator, seconds: has_seconds, fraction, half };
    Some((clock, zone_of(rest)?, midnight))
}

fn zone_of(text: &str) -> Option<Zone> {
    let offset = text.trim_start();
    let is_offset = offset.starts_with(['+', '-'])
        && offset[1..].bytes().all(|b| b.is_ascii_digit() || b == b':')
        && (3..=6).contains(&offset.len());
    let has_blank = offset.len() < text.len();
    let has_colon = offset.len() == 6 && offset.as_bytes()[3] == b':';
    Some(match text {
        "" => Zone::None,
        "Z" => Zone::Rfc("Z"),
        " UTC" => Zone::Other(" UTC"),
        " GMT" => Zone::Other(" GMT"),
        " Z" => Zone::Other(" Z"),
        " Uhr" => Zone::Word(" Uhr"),
        " h" => Zone::Word(" h"),
        _ if is_offset => match (has_colon, has_blank) {
            (true, false) => Zone::Rfc("%:z"),
            (true, true) => Zone::Other(" %:z"),
            (false, true) => Zone::Other(" %z"),
            (false, false) => Zone::Other("%z"),
        },
        _ if look::is_zone(offset) => Zone::Other(if has_blank { " %Z" } else { "%Z" }),
        _ => return None,
    })
}

/// Whether a text seems to be a moment, in a notation that is known or not.
pub(in super::super) fn seems_moment(text: &str) -> bool {
    if let Some(value) = Value::parse(text) {
        return !value.shape.is_number();
    }
    let runs = text.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty()).count();
    let has_clock = text.as_bytes().windows(4).any(|part| {
        matches!(part, [a, b':', b, c] if [a, b, c].iter().all(|byte| byte.is_ascii_digit()))
    });
    has_clock && runs >= 4 && text.len() <= 80
}

/// Whether a text is a time of day such as `08:26` or `08:26:30`.
pub(in super::super) fn is_clock(text: &str) -> bool {
    clock_of(text).is_some_and(|(clock, ..)| matches!(clock, Clock::Digits { separator: ':', .. }))
}
