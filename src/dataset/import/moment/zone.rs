//! The time zone of clocks that name none.

use jiff::tz::TimeZone;

/// Minutes that a zone is ahead of UTC, by its abbreviation: those of RFC 2822 and others that mean
/// one zone wherever shops write them. `IST` is that of India, Israel or Ireland, so it is none.
const ABBREVIATIONS: [(&str, i64); 31] = [
    ("UTC", 0),
    ("GMT", 0),
    ("Z", 0),
    ("WET", 0),
    ("WEST", 60),
    ("BST", 60),
    ("CET", 60),
    ("MEZ", 60),
    ("CEST", 120),
    ("MESZ", 120),
    ("EET", 120),
    ("SAST", 120),
    ("EEST", 180),
    ("MSK", 180),
    ("HKT", 480),
    ("SGT", 480),
    ("AWST", 480),
    ("JST", 540),
    ("KST", 540),
    ("AEST", 600),
    ("AEDT", 660),
    ("NZST", 720),
    ("NZDT", 780),
    ("EST", -300),
    ("EDT", -240),
    ("CST", -360),
    ("CDT", -300),
    ("MST", -420),
    ("MDT", -360),
    ("PST", -480),
    ("PDT", -420),
];

/// Milliseconds that the zone of an abbreviation such as `CEST` is ahead of UTC.
pub(in crate::dataset) fn offset_of(abbreviation: &str) -> Option<i64> {
    let known = ABBREVIATIONS.iter().find(|(name, _)| name.eq_ignore_ascii_case(abbreviation));
    known.map(|(_, minutes)| minutes * 60_000)
}

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
