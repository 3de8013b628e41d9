//! How times of purchases are written.

use crate::{dataset::TimeUnit, domain::Timestamp};
use time::{Date, macros::format_description};

/// The notation of a time column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum TimeFormat {
    /// `2020-09-22`, or midnight of it: `2020-09-22 00:00:00`, `2020-09-22T00:00:00Z`.
    Date,
    /// `September 22, 2020`
    LongDate,
    /// `2020-09-22 10:00:00`, taken as UTC.
    DateTime,
    /// `2020-09-22T10:00:00+02:00`
    Rfc3339,
    UnixSeconds,
    UnixMillis,
}

impl TimeFormat {
    pub fn parse(self, text: &str) -> Option<Timestamp> {
        match self {
            Self::Date => {
                let midnight = ["T00:00:00Z", " 00:00:00"].iter().find_map(|clock| text.strip_suffix(clock));
                Timestamp::parse(midnight.unwrap_or(text)).ok().filter(|time| time.0 % Timestamp::DAY == 0)
            }
            Self::LongDate => {
                let format = format_description!("[month repr:long] [day padding:none], [year]");
                let midnight = Date::parse(text, format).ok()?.midnight().assume_utc();
                u32::try_from(midnight.unix_timestamp()).ok().map(Timestamp)
            }
            Self::DateTime => {
                let (date, time) = text.split_once([' ', 'T']).filter(|(_, time)| !time.ends_with('Z'))?;
                Timestamp::parse(&format!("{date}T{time}Z")).ok()
            }
            Self::Rfc3339 => Timestamp::parse(text).ok().filter(|_| text.len() > 10),
            Self::UnixSeconds => unix(text, 1),
            Self::UnixMillis => unix(text, 1000),
        }
    }

    /// What a valid text is, for "… is not X".
    pub fn expected(self) -> &'static str {
        match self {
            Self::Date => "a date (2020-09-22) between 1970 and 2106",
            Self::LongDate => "a date (September 22, 2020) between 1970 and 2106",
            Self::DateTime => "a date and time (2020-09-22 10:00:00) between 1970 and 2106",
            Self::Rfc3339 => "a moment (2020-09-22T10:00:00Z) between 1970 and 2106",
            Self::UnixSeconds => "a moment between 1970 and 2106 in seconds since 1970",
            Self::UnixMillis => "a moment between 1970 and 2106 in milliseconds since 1970",
        }
    }

    pub fn unit(self) -> TimeUnit {
        match self {
            Self::Date | Self::LongDate => TimeUnit::Day,
            _ => TimeUnit::Second,
        }
    }
}

/// Whole or fractional units since 1970, `per_second` to the second.
fn unix(text: &str, per_second: u32) -> Option<Timestamp> {
    let seconds = match text.parse::<u64>() {
        Ok(units) => units / u64::from(per_second),
        Err(_) => {
            let units = text.parse::<f64>().ok().filter(|units| units.is_finite() && *units >= 0.0)?;
            // A float cast saturates, and what saturates is out of range below.
            (units / f64::from(per_second)) as u64
        }
    };
    u32::try_from(seconds).ok().map(Timestamp)
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
            (TimeFormat::DateTime, "2020-09-22 10:00:00", Some(ten)),
            (TimeFormat::DateTime, "2020-09-22", None),
            (TimeFormat::Rfc3339, "2020-09-22T12:00:00+02:00", Some(ten)),
            (TimeFormat::Rfc3339, "2020-09-22", None),
            (TimeFormat::UnixSeconds, "1600768800", Some(ten)),
            (TimeFormat::UnixSeconds, "1600768800.9", Some(ten)),
            (TimeFormat::UnixSeconds, "1600768800000", None),
            (TimeFormat::UnixSeconds, "-1", None),
            (TimeFormat::UnixSeconds, "nan", None),
            (TimeFormat::UnixMillis, "1600768800999", Some(ten)),
            (TimeFormat::UnixMillis, "", None),
        ] {
            assert_eq!(format.parse(text), expected, "{format:?} {text}");
        }
    }
}
