//! How times of purchases are written.
//!
//! [`TimeFormat`] is the notation of one column, [`TimeReader`] reads one or several columns as a
//! [`Moment`], and
//! [`detect`] finds the notation of texts.

pub(super) mod detect;
mod iso;
pub(super) mod months;
mod reader;
mod zone;

pub(super) use reader::{TimePlan, TimeReader};
pub(super) use zone::{Zone, offset_of};

use crate::{dataset::TimeUnit, domain::Timestamp};
use jiff::fmt::strtime::{self, BrokenDownTime};
use std::borrow::Cow;
use time::{Date, macros::format_description};

/// The notation of a time column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TimeFormat {
    /// `2020-09-22`, or midnight of it: `2020-09-22 00:00:00`, `2020-09-22T00:00:00Z`.
    Date,
    /// `September 22, 2020`
    LongDate,
    /// `20200922`
    CompactDate,
    /// `2020-09-22 10:00:00`, with or without a zone behind it.
    DateTime,
    /// `2020-09-22T10:00:00+02:00`
    Rfc3339,
    UnixSeconds,
    UnixMillis,
    UnixMicros,
    UnixNanos,
    /// How spreadsheets store times: days since 1899-12-30, the fraction is the time of day.
    Excel,
    /// A number of days from a start that nobody knows.
    DayNumber,
    /// Like that of `strptime`, such as `%m/%d/%Y %H:%M`.
    Pattern(Pattern),
    /// Whichever notation the first rows are in.
    Auto,
    /// Each text in whichever of these reads it first.
    AnyOf(AnyOf),
    /// Behind a date: a clock such as `18:07`, `18:07:30` or `1807`.
    Clock,
    /// Behind a date: the seconds or milliseconds that have passed.
    Seconds,
    Millis,
}

/// A moment to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Moment {
    pub time: Timestamp,
    /// Below 1,000.
    pub millis: u16,
}

impl Moment {
    /// `None` outside 1970 to 2106.
    pub fn from_millis(millis: i64) -> Option<Self> {
        let time = u32::try_from(millis.div_euclid(1000)).ok().map(Timestamp)?;
        Some(Self { time, millis: millis.rem_euclid(1000) as u16 })
    }
}

/// What a text says of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parsed {
    /// Milliseconds since 1970, in UTC.
    Utc(i64),
    /// Milliseconds since 1970 as a clock showed them, somewhere.
    Local(i64),
}

/// The names of the formats that have one.
static NAMES: [(&str, TimeFormat); 15] = [
    ("date", TimeFormat::Date),
    ("long-date", TimeFormat::LongDate),
    ("compact-date", TimeFormat::CompactDate),
    ("date-time", TimeFormat::DateTime),
    ("rfc3339", TimeFormat::Rfc3339),
    ("unix-seconds", TimeFormat::UnixSeconds),
    ("unix-millis", TimeFormat::UnixMillis),
    ("unix-micros", TimeFormat::UnixMicros),
    ("unix-nanos", TimeFormat::UnixNanos),
    ("excel", TimeFormat::Excel),
    ("day-number", TimeFormat::DayNumber),
    ("auto", TimeFormat::Auto),
    ("clock", TimeFormat::Clock),
    ("seconds", TimeFormat::Seconds),
    ("millis", TimeFormat::Millis),
];

impl TryFrom<String> for TimeFormat {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if let Some((_, format)) = NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(format.clone());
        }
        if text.contains('%') {
            return Pattern::new(&text).map(Self::Pattern);
        }
        let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        Err(format!(
            "`{text}` is not a time format: one of {}, or a pattern such as \"%m/%d/%Y %H:%M\"",
            names.join(", ")
        ))
    }
}

impl TimeFormat {
    /// A text as a moment in UTC, to the second.
    pub fn parse(&self, text: &str) -> Option<Timestamp> {
        let (Parsed::Utc(millis) | Parsed::Local(millis)) = self.parsed(text)?;
        Moment::from_millis(millis).map(|moment| moment.time)
    }

    fn parsed(&self, text: &str) -> Option<Parsed> {
        match self {
            Self::Date => {
                let written = iso::parse(text)?;
                let is_midnight =
                    written.local % iso::DAY == 0 && matches!(written.offset, None | Some(0));
                is_midnight.then_some(Parsed::Utc(written.local))
            }
            Self::LongDate => {
                let format = format_description!("[month repr:long] [day padding:none], [year]");
                let midnight = Date::parse(text.trim(), format).ok()?.midnight().assume_utc();
                Some(Parsed::Utc(midnight.unix_timestamp() * 1000))
            }
            Self::CompactDate => compact_date(text).map(Parsed::Utc),
            Self::DateTime => {
                let written = iso::parse(text).filter(|written| written.has_clock)?;
                Some(match written.offset {
                    Some(offset) => Parsed::Utc(written.local - offset),
                    None => Parsed::Local(written.local),
                })
            }
            Self::Rfc3339 => {
                let written = iso::parse(text).filter(|written| written.has_clock)?;
                Some(Parsed::Utc(written.local - written.offset?))
            }
            Self::UnixSeconds => units(text, 1).map(Parsed::Utc),
            Self::UnixMillis => units(text, 1_000).map(Parsed::Utc),
            Self::UnixMicros => units(text, 1_000_000).map(Parsed::Utc),
            Self::UnixNanos => units(text, 1_000_000_000).map(Parsed::Utc),
            Self::Excel => excel(text).map(Parsed::Local),
            Self::DayNumber => {
                let day = text.trim().parse::<f64>().ok().filter(|day| day.fract() == 0.0)?;
                (0.0..=49_710.0).contains(&day).then(|| Parsed::Utc(day as i64 * iso::DAY))
            }
            Self::Pattern(pattern) => pattern.parsed(text),
            Self::Clock => iso::parse_clock(text).map(Parsed::Local),
            Self::Seconds => units(text, 1).map(Parsed::Local),
            Self::Millis => units(text, 1_000).map(Parsed::Local),
            // Replaced by what the first rows show before any text is read.
            Self::Auto => None,
            Self::AnyOf(any) => any.parsed(text),
        }
    }

    /// What a valid text is, for "… is not X".
    pub fn expected(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Date => "a date (2020-09-22) between 1970 and 2106",
            Self::LongDate => "a date (September 22, 2020) between 1970 and 2106",
            Self::CompactDate => "a date (20200922) between 1970 and 2106",
            Self::DateTime => "a date and time (2020-09-22 10:00:00) between 1970 and 2106",
            Self::Rfc3339 => "a moment (2020-09-22T10:00:00Z) between 1970 and 2106",
            Self::UnixSeconds => "a moment between 1970 and 2106 in seconds since 1970",
            Self::UnixMillis => "a moment between 1970 and 2106 in milliseconds since 1970",
            Self::UnixMicros => "a moment between 1970 and 2106 in microseconds since 1970",
            Self::UnixNanos => "a moment between 1970 and 2106 in nanoseconds since 1970",
            Self::Excel => "a day of a spreadsheet (44931.42) between 1970 and 2106",
            Self::DayNumber => "a whole number of days from 0 to 49710",
            Self::Pattern(pattern) => {
                return Cow::Owned(format!("a time like {} between 1970 and 2106", pattern.0));
            }
            Self::Auto => "a time",
            Self::AnyOf(any) => {
                return Cow::Owned(format!("a time in one of the formats {}", any.name));
            }
            Self::Clock => "a clock (18:07, 18:07:30 or 1807)",
            Self::Seconds => "a number of seconds",
            Self::Millis => "a number of milliseconds",
        })
    }

    /// The format as a description writes it.
    pub fn name(&self) -> &str {
        match self {
            Self::Pattern(pattern) => &pattern.0,
            Self::AnyOf(any) => &any.name,
            other => NAMES.iter().find(|(_, format)| format == other).map_or("", |(name, _)| name),
        }
    }

    pub fn unit(&self) -> TimeUnit {
        match self {
            Self::Date | Self::LongDate | Self::CompactDate | Self::DayNumber => TimeUnit::Day,
            Self::Pattern(pattern) if !pattern.has_clock() => TimeUnit::Day,
            Self::AnyOf(any) => any.unit,
            _ => TimeUnit::Second,
        }
    }

    /// Whether texts of this format only say how much later than a date a moment is.
    pub fn is_part(&self) -> bool {
        matches!(self, Self::Clock | Self::Seconds | Self::Millis)
    }

    /// Whether the moments lie on the calendar, so that they can be early, late or in the future.
    pub fn is_calendar(&self) -> bool {
        *self != Self::DayNumber
    }
}

/// Several notations of one column, as exports have them that were put together from parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AnyOf {
    formats: Vec<TimeFormat>,
    /// As a description writes it.
    name: String,
    unit: TimeUnit,
}

impl AnyOf {
    /// # Errors
    /// A format that says nothing by itself, or that any text may be in.
    pub fn new(formats: Vec<TimeFormat>) -> Result<Self, String> {
        let names: Vec<&str> = formats.iter().map(TimeFormat::name).collect();
        let alone = |format: &&TimeFormat| {
            format.is_part() || matches!(format, TimeFormat::Auto | TimeFormat::DayNumber)
        };
        if let Some(format) = formats.iter().find(alone) {
            return Err(format!(
                "`{}` cannot be one of several formats of a column",
                format.name()
            ));
        }
        let days = formats.iter().all(|format| format.unit() == TimeUnit::Day);
        let name = format!("[\"{}\"]", names.join("\", \""));
        Ok(Self { name, unit: if days { TimeUnit::Day } else { TimeUnit::Second }, formats })
    }

    fn parsed(&self, text: &str) -> Option<Parsed> {
        self.formats.iter().find_map(|format| {
            let parsed = format.parsed(text)?;
            let (Parsed::Utc(millis) | Parsed::Local(millis)) = parsed;
            // The right unit of a number is the one that gives a year of this age.
            Moment::from_millis(millis)?;
            Some(match parsed {
                // Beside clocks of the shop's time zone, a date begins there too.
                Parsed::Utc(midnight) if self.unit != format.unit() => Parsed::Local(midnight),
                other => other,
            })
        })
    }
}

/// `44931.42091`: milliseconds of the nearest second.
fn excel(text: &str) -> Option<i64> {
    const BEGINNING_OF_1970: f64 = 25_569.0;
    let day = text.trim().parse::<f64>().ok()? - BEGINNING_OF_1970;
    (0.0..=49_710.0).contains(&day).then(|| (day * 86_400.0).round() as i64 * 1_000)
}

/// `20200922`, and `20200922.0`, which is how a data frame writes it beside missing values.
fn compact_date(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.strip_suffix(".0").unwrap_or(text);
    let number: i64 = digits.parse().ok().filter(|_| digits.len() == 8)?;
    Some(iso::days_since_1970(number / 10_000, number / 100 % 100, number % 100)? * iso::DAY)
}

/// Whole or fractional units, `per_second` to the second, in milliseconds.
fn units(text: &str, per_second: i64) -> Option<i64> {
    if let Ok(units) = text.parse::<u64>() {
        let seconds = i64::try_from(units).ok()? / per_second;
        let rest = i64::try_from(units).ok()? % per_second;
        return seconds.checked_mul(1000)?.checked_add(rest * 1000 / per_second);
    }
    let units =
        text.trim().parse::<f64>().ok().filter(|units| units.is_finite() && *units >= 0.0)?;
    // A float cast saturates, and what saturates is out of range for a moment.
    Some((units / per_second as f64 * 1000.0) as i64)
}

/// A pattern like that of `strptime`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(String);

impl Pattern {
    /// # Errors
    /// What is wrong with the pattern.
    pub fn new(text: &str) -> Result<Self, String> {
        let wrong = |why: String| format!("the time pattern \"{text}\" cannot be used: {why}");
        let pattern = Self(text.to_owned());
        let written = pattern.example(13).map_err(|error| wrong(error.to_string()))?;
        let parsed = BrokenDownTime::parse(pattern.local(), &written)
            .map_err(|error| wrong(error.to_string()))?;
        if parsed.timestamp().is_none() && parsed.to_date().is_err() {
            return Err(wrong("it needs a year, a month and a day".to_owned()));
        }
        Ok(pattern)
    }

    /// The pattern without a zone's abbreviation at its end.
    fn local(&self) -> &str {
        self.0.strip_suffix("%Z").map_or(&self.0, str::trim_end)
    }

    /// A day in 2020 at this hour, written by the pattern.
    fn example(&self, hour: i8) -> Result<String, jiff::Error> {
        let moment =
            jiff::civil::date(2020, 9, 22).at(hour, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC)?;
        strtime::format(self.local(), &moment)
    }

    fn has_clock(&self) -> bool {
        self.example(1).ok() != self.example(13).ok()
    }

    /// Whether the pattern ends in the name of the zone that needs no table.
    fn is_utc(&self) -> bool {
        ["UTC", "GMT", "SZ", "MZ", "fZ"].iter().any(|end| self.0.ends_with(end))
    }

    fn parsed(&self, text: &str) -> Option<Parsed> {
        let text = text.trim();
        if !self.0.ends_with("%Z") {
            return self.shown(text);
        }
        let shown = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let offset = offset_of(&text[shown.len()..])?;
        let (Parsed::Local(millis) | Parsed::Utc(millis)) = self.shown(shown.trim_end())?;
        Some(Parsed::Utc(millis - offset))
    }

    /// What a text without a zone's abbreviation says, its month perhaps in another language.
    fn shown(&self, text: &str) -> Option<Parsed> {
        let pattern = self.local();
        let parsed = BrokenDownTime::parse(pattern, text).ok().or_else(|| {
            let long = pattern.contains("%B");
            let named = long || pattern.contains("%b");
            let text = named.then(|| months::in_english(text, long))??;
            BrokenDownTime::parse(pattern, text).ok()
        })?;
        if let Some(moment) = parsed.timestamp() {
            return Some(Parsed::Utc(moment.as_millisecond()));
        }
        let date = parsed.to_date().ok()?;
        let clock = match parsed.hour() {
            Some(_) => parsed.to_time().ok()?,
            None => jiff::civil::Time::midnight(),
        };
        let shown = date
            .to_datetime(clock)
            .to_zoned(jiff::tz::TimeZone::UTC)
            .ok()?
            .timestamp()
            .as_millisecond();
        Some(match parsed.offset() {
            Some(offset) => Parsed::Utc(shown - i64::from(offset.seconds()) * 1000),
            None if parsed.hour().is_none() || self.is_utc() => Parsed::Utc(shown),
            None => Parsed::Local(shown),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notation_is_read_and_others_refused() {
        let midnight = Timestamp::parse("2020-09-22").unwrap();
        let ten = Timestamp(midnight.0 + 36_000);
        for (format, text, expected) in [
            (TimeFormat::Date, "2020-09-22", Some(midnight)),
            (TimeFormat::Date, "2020-09-22 00:00:00", Some(midnight)),
            (TimeFormat::Date, "2020-09-22T00:00:00Z", Some(midnight)),
            (TimeFormat::Date, "2020-09-22T10:00:00Z", None),
            (TimeFormat::Date, "22.09.2020", None),
            (TimeFormat::LongDate, "September 22, 2020", Some(midnight)),
            (TimeFormat::LongDate, "January 1, 1970", Some(Timestamp(0))),
            (TimeFormat::LongDate, "February 30, 2016", None),
            (TimeFormat::LongDate, "April 20, 1969", None),
            (TimeFormat::LongDate, "April 20, 2216", None),
            (TimeFormat::LongDate, "Apr 20, 2016", None),
            (TimeFormat::LongDate, "2020-09-22", None),
            (TimeFormat::CompactDate, "20200922", Some(midnight)),
            (TimeFormat::CompactDate, "20200922.0", Some(midnight)),
            (TimeFormat::CompactDate, "20201322", None),
            (TimeFormat::DateTime, "2020-09-22 10:00:00", Some(ten)),
            (TimeFormat::DateTime, "2020-09-22 10:00:00 UTC", Some(ten)),
            (TimeFormat::DateTime, "2020-09-22 12:00:00 +0200", Some(ten)),
            (TimeFormat::DateTime, "2020-09-22", None),
            (TimeFormat::Rfc3339, "2020-09-22T12:00:00+02:00", Some(ten)),
            (TimeFormat::Rfc3339, "2020-09-22 10:00:00+00", Some(ten)),
            (TimeFormat::Rfc3339, "2020-09-22 10:00:00", None),
            (TimeFormat::Rfc3339, "2020-09-22", None),
            (TimeFormat::UnixSeconds, "1600768800", Some(ten)),
            (TimeFormat::UnixSeconds, "1600768800.9", Some(ten)),
            (TimeFormat::UnixSeconds, "1600768800000", None),
            (TimeFormat::UnixSeconds, "18446744073709551615", None),
            (TimeFormat::UnixSeconds, "-1", None),
            (TimeFormat::UnixSeconds, "nan", None),
            (TimeFormat::UnixMillis, "1600768800999", Some(ten)),
            (TimeFormat::UnixMillis, "", None),
            (TimeFormat::UnixMicros, "1600768800999999", Some(ten)),
            (TimeFormat::UnixNanos, "1600768800999999999", Some(ten)),
            (TimeFormat::DayNumber, "18527", Some(midnight)),
            (TimeFormat::DayNumber, "0", Some(Timestamp(0))),
            (TimeFormat::DayNumber, "1.5", None),
            (TimeFormat::Excel, "44931.42091", Timestamp::parse("2023-01-05T10:06:07Z").ok()),
            (TimeFormat::Excel, "25569", Some(Timestamp(0))),
            (TimeFormat::Excel, "1.5", None),
            (TimeFormat::DayNumber, "-1", None),
        ] {
            assert_eq!(format.parse(text), expected, "{format:?} {text}");
        }
    }

    #[test]
    fn patterns_are_read() {
        let ten = Timestamp::parse("2020-09-02T10:05:00Z").unwrap();
        let pattern = |text: &str| TimeFormat::try_from(text.to_owned()).unwrap();
        for (format, text) in [
            ("%m/%d/%Y %H:%M", "9/2/2020 10:05"),
            ("%d.%m.%Y %H:%M:%S", "02.09.2020 10:05:00"),
            ("%d %b %Y, %I:%M %p", "2 Sep 2020, 10:05 AM"),
            ("%Y-%m-%d %H:%M:%S %z", "2020-09-02 12:05:00 +0200"),
            ("%Y%m%d%H%M", "202009021005"),
            ("%s", &ten.0.to_string()),
        ] {
            assert_eq!(pattern(format).parse(text), Some(ten), "{format} {text}");
            assert_eq!(pattern(format).unit(), TimeUnit::Second, "{format}");
        }
        assert_eq!(pattern("%d.%m.%Y").parse("02.09.2020"), Timestamp::parse("2020-09-02").ok());
        assert_eq!(pattern("%d.%m.%Y").unit(), TimeUnit::Day);
        assert_eq!(pattern("%m/%d/%Y").parse("13/1/2020"), None);
        // A zone that is part of the pattern holds whatever the shop's own zone is.
        for (utc, text) in
            [("%d.%m.%Y %H:%M UTC", "02.09.2020 10:05 UTC"), ("%Y%m%dT%H%MZ", "20200902T1005Z")]
        {
            assert!(matches!(pattern(utc).parsed(text), Some(Parsed::Utc(_))), "{utc}");
        }
        // Berlin's clocks are two hours ahead of UTC in summer, and one in winter.
        let berlin = pattern("%d.%m.%Y %H:%M %Z");
        assert_eq!(berlin.parse("02.09.2020 12:05 CEST"), Some(ten));
        assert_eq!(berlin.parse("02.09.2020 11:05 cet"), Some(ten));
        assert_eq!(berlin.parse("02.09.2020 11:05 IST"), None, "of India, Israel or Ireland");
        assert_eq!(berlin.parse("02.09.2020 11:05"), None);
        for (format, text) in [
            ("%d. %B %Y", "2. September 2020"),
            ("%d %B %Y", "02 septembre 2020"),
            ("%d de %B de %Y", "2 de septiembre de 2020"),
            ("%d %b %Y", "2 sept. 2020"),
            ("%d %b %Y", "2 Sep 2020"),
        ] {
            let day = Timestamp::parse("2020-09-02").ok();
            assert_eq!(pattern(format).parse(text), day, "{format} {text}");
        }
        for (wrong, says) in [
            ("%H:%M", "year"),
            ("%d.%m. %Z", "year"),
            ("%Z", "year"),
            ("%Y-%m-%q", "%Y-%m-%q"),
            ("yesterday", "one of date"),
        ] {
            let error = TimeFormat::try_from(wrong.to_owned()).unwrap_err();
            assert!(error.contains(says), "{wrong}: {error}");
        }
    }

    #[test]
    fn one_of_several_formats_reads_each_text() {
        let any = |names: &[&str]| {
            let formats =
                names.iter().map(|name| TimeFormat::try_from((*name).to_owned()).unwrap());
            AnyOf::new(formats.collect()).map(TimeFormat::AnyOf)
        };
        let ten = Timestamp::parse("2020-09-22T10:00:00Z").unwrap();
        let midnight = Timestamp::parse("2020-09-22").unwrap();
        let parts = any(&["date-time", "%d.%m.%Y %H:%M", "%d.%m.%Y"]).unwrap();
        for (text, expected) in [
            ("2020-09-22 10:00:00", Some(ten)),
            ("22.09.2020 10:00", Some(ten)),
            ("22.09.2020", Some(midnight)),
            ("09/22/2020", None),
        ] {
            assert_eq!(parts.parse(text), expected, "{text}");
        }
        assert_eq!(parts.unit(), TimeUnit::Second);
        assert!(matches!(parts.parsed("22.09.2020"), Some(Parsed::Local(_))));
        assert_eq!(any(&["date", "%d.%m.%Y"]).unwrap().unit(), TimeUnit::Day);
        let units = any(&["unix-seconds", "unix-millis"]).unwrap();
        assert_eq!(units.parse("1600768800"), Some(ten));
        assert_eq!(units.parse("1600768800000"), Some(ten));
        for wrong in ["auto", "clock", "day-number"] {
            assert!(any(&["date", wrong]).unwrap_err().contains(wrong));
        }
    }
}
