//! Moments of purchases: whole seconds since 1970-01-01 UTC in 32 bits, good until 2106.

use serde::{Deserialize, Serialize};
use std::fmt;
use time::{
    Date, OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description,
};

/// Seconds since 1970-01-01T00:00:00Z. Data known only by the day holds midnight.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(pub u32);

/// A text that is no date or moment between 1970 and 2106.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is neither a date (2020-09-22) nor a moment (2020-09-22T10:00:00Z) between 1970 and 2106"
)]
pub struct InvalidTime(pub String);

impl Timestamp {
    pub const DAY: u32 = 86_400;

    /// Reads `YYYY-MM-DD` or RFC 3339.
    ///
    /// # Errors
    /// [`InvalidTime`] for anything else, or outside 1970..2106.
    pub fn parse(text: &str) -> Result<Self, InvalidTime> {
        let invalid = || InvalidTime(text.chars().take(64).collect());
        let seconds = if text.len() == 10 {
            Date::parse(text, format_description!("[year]-[month]-[day]"))
                .map_err(|_| invalid())?
                .midnight()
                .assume_utc()
                .unix_timestamp()
        } else {
            OffsetDateTime::parse(text, &Rfc3339).map_err(|_| invalid())?.unix_timestamp()
        };
        u32::try_from(seconds).map(Self).map_err(|_| invalid())
    }

    /// Whole days since 1970-01-01.
    pub fn day(self) -> u32 {
        self.0 / Self::DAY
    }

    /// Month of the year, 1 to 12.
    pub fn month(self) -> u8 {
        self.datetime().month().into()
    }

    /// So many days earlier; the first moment of all where there is none earlier.
    pub fn minus_days(self, days: u32) -> Self {
        Self(self.0.saturating_sub(days.saturating_mul(Self::DAY)))
    }

    pub fn datetime(self) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(i64::from(self.0))
    }

    /// `YYYY-MM-DD`
    pub fn date_string(self) -> String {
        let date = self.datetime();
        format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.datetime();
        write!(f, "{}T{:02}:{:02}:{:02}Z", self.date_string(), t.hour(), t.minute(), t.second())
    }
}

impl TryFrom<String> for Timestamp {
    type Error = InvalidTime;
    fn try_from(text: String) -> Result<Self, InvalidTime> {
        Self::parse(&text)
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> String {
        time.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_moments_are_read_and_written() {
        let t = Timestamp::parse("2020-09-22").unwrap();
        assert_eq!((t.month(), t.to_string().as_str()), (9, "2020-09-22T00:00:00Z"));
        assert_eq!(Timestamp::parse("2020-09-22T01:00:00+01:00").unwrap(), t);
        for bad in ["", "1969-12-31", "2020-13-01", "yesterday", "2020-9-22", "2200-01-01"] {
            assert!(Timestamp::parse(bad).is_err(), "{bad}");
        }
    }
}
