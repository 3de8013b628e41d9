//! How many rows of a table may be rejected before an import stops.

use std::{fmt, str::FromStr};

/// The most rejects of a table: a share of its rows, or a number of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxRejects {
    /// From 0 to 1.
    Share(f64),
    Rows(u64),
}

impl Default for MaxRejects {
    /// 5 %: more are hardly ever single bad rows, but a description that does not fit the files.
    fn default() -> Self {
        Self::Share(0.05)
    }
}

impl MaxRejects {
    /// Whether so many rejects are too many in a table of so many rows.
    pub fn is_exceeded(self, rejected: u64, rows: u64) -> bool {
        match self {
            Self::Share(share) => rejected as f64 > share * rows as f64,
            Self::Rows(most) => rejected > most,
        }
    }
}

/// A text that is no limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a share of the rows such as 5% nor a number of rows such as 100")]
pub struct InvalidLimit(String);

impl FromStr for MaxRejects {
    type Err = InvalidLimit;

    fn from_str(text: &str) -> Result<Self, InvalidLimit> {
        let invalid = || InvalidLimit(text.to_owned());
        match text.trim().strip_suffix('%') {
            Some(percent) => {
                let percent: f64 = percent.trim().parse().map_err(|_| invalid())?;
                (0.0..=100.0)
                    .contains(&percent)
                    .then_some(Self::Share(percent / 100.0))
                    .ok_or_else(invalid)
            }
            None => text.trim().parse().map(Self::Rows).map_err(|_| invalid()),
        }
    }
}

impl fmt::Display for MaxRejects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // A share such as 0.07 has no exact percentage in binary.
            Self::Share(share) => write!(f, "{} %", (share * 1e8).round() / 1e6),
            Self::Rows(rows) => write!(f, "{rows} rows"),
        }
    }
}

/// In a description: `max_rejects = "5%"` or a number.
impl<'de> serde::Deserialize<'de> for MaxRejects {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged, expecting = "a share of the rows such as \"5%\" or a number of rows")]
        enum Written {
            Rows(u64),
            Text(String),
        }
        match serde::Deserialize::deserialize(deserializer)? {
            Written::Rows(rows) => Ok(Self::Rows(rows)),
            Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_numbers_are_limits() {
        let limit = |text: &str| text.parse::<MaxRejects>().unwrap();
        assert_eq!(limit("5%"), MaxRejects::default());
        assert_eq!(
            (limit("7 %").to_string(), limit("12").to_string()),
            ("7 %".to_owned(), "12 rows".to_owned())
        );
        assert!(limit("5%").is_exceeded(6, 100) && !limit("5%").is_exceeded(5, 100));
        assert!(!limit("100%").is_exceeded(100, 100) && limit("0%").is_exceeded(1, 100));
        assert!(limit("3").is_exceeded(4, 100) && !limit("3").is_exceeded(3, 3));
        for bad in ["", "five", "-1", "101%", "1.5"] {
            assert!(bad.parse::<MaxRejects>().is_err(), "{bad}");
        }
    }
}
