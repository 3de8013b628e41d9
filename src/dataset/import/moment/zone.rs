//! The time zone of clocks that name none.

use jiff::tz::TimeZone;

/// A zone of the tz database, or a fixed offset from UTC.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::dataset::import) enum Zone {
    /// Milliseconds ahead of UTC.
    Fixed(i64),
    Named(TimeZone),
}

impl Default for Zone {
    fn default() -> Self {
        Self::Fixed(0)
    }
}

impl Zone {
    /// Reads `Europe/Berlin`, `+02:00` or `UTC`.
    ///
    /// # Errors
    /// What is wrong with the name.
    pub fn parse(name: &str) -> Result<Self, String> {
        if let Some(offset) = super::iso::parse_offset(name) {
            return Ok(Self::Fixed(offset));
        }
        TimeZone::get(name).map(Self::Named).map_err(|_| {
            format!("`{name}` is neither a time zone such as \"Europe/Berlin\" nor an offset such as \"+02:00\"")
        })
    }

    /// From what a clock showed to UTC, both in milliseconds since 1970. An hour that a clock shows
    /// twice is the first of the two; one that it skips is taken as if it had not yet been put
    /// forward.
    pub fn to_utc(&self, local: i64) -> Option<i64> {
        match self {
            Self::Fixed(offset) => local.checked_sub(*offset),
            Self::Named(zone) => {
                let shown = jiff::Timestamp::from_millisecond(local).ok()?;
                let shown = TimeZone::UTC.to_datetime(shown);
                Some(zone.to_ambiguous_timestamp(shown).compatible().ok()?.as_millisecond())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_put_into_utc() {
        let hour = 3_600_000;
        let july = 1_720_000_800_000;
        let january = 1_705_000_800_000;
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        assert_eq!(berlin.to_utc(july), Some(july - 2 * hour));
        assert_eq!(berlin.to_utc(january), Some(january - hour));
        assert_eq!(Zone::parse("-03:30").unwrap().to_utc(july), Some(july + 7 * hour / 2));
        assert_eq!(Zone::parse("UTC").unwrap(), Zone::default());
        let error = Zone::parse("Mars/Olympus").unwrap_err();
        assert!(error.contains("Mars/Olympus") && error.contains("Europe/Berlin"), "{error}");
    }
}
