//! Reads the time of a purchase from one or several columns.

use super::{Moment, Parsed, TimeFormat, Zone};
use crate::dataset::TimeUnit;
use std::borrow::Cow;

/// Where the time of a purchase stands and how it is written.
#[derive(Debug, Clone)]
pub(in crate::dataset::import) struct TimePlan {
    pub columns: Vec<String>,
    /// One for all columns, joined with a blank; or one for each column, those behind the first
    /// being parts ([`TimeFormat::is_part`]).
    pub formats: Vec<TimeFormat>,
    /// Of clocks that name none.
    pub zone: Zone,
}

impl TimePlan {
    /// The time in one column, in UTC.
    pub fn of(column: &str, format: TimeFormat) -> Self {
        Self { columns: vec![column.to_owned()], formats: vec![format], zone: Zone::default() }
    }

    pub fn unit(&self) -> TimeUnit {
        match &self.formats[..] {
            [only] => only.unit(),
            _ => TimeUnit::Second,
        }
    }

    /// A reader once no format is [`TimeFormat::Auto`].
    pub fn reader(&self) -> TimeReader {
        TimeReader { formats: self.formats.clone(), zone: self.zone.clone() }
    }
}

/// Turns the cells of a row into a moment.
#[derive(Debug)]
pub(in crate::dataset::import) struct TimeReader {
    formats: Vec<TimeFormat>,
    zone: Zone,
}

impl TimeReader {
    /// The moment that the cells of the columns give.
    ///
    /// # Errors
    /// The index of the cell that is wrong, or the first if the whole is, and the format it should
    /// have.
    pub fn read(&self, cells: &[&str]) -> Result<Moment, (usize, &TimeFormat)> {
        if let ([cell], [format]) = (cells, &self.formats[..]) {
            return self.moment(format.parsed(cell), 0).ok_or((0, format));
        }
        if let [format] = &self.formats[..] {
            return self.moment(format.parsed(&join(cells)), 0).ok_or((0, format));
        }
        let mut later = 0i64;
        for (index, (cell, format)) in cells.iter().zip(&self.formats).enumerate().skip(1) {
            let (Parsed::Local(millis) | Parsed::Utc(millis)) =
                format.parsed(cell).ok_or((index, format))?;
            later = later.saturating_add(millis);
        }
        // A date that has a clock behind it is one of the shop's time zone.
        let first = match self.formats[0].parsed(cells[0]) {
            Some(Parsed::Utc(midnight)) if self.formats[0].unit() == TimeUnit::Day => {
                Some(Parsed::Local(midnight))
            }
            other => other,
        };
        self.moment(first, later).ok_or((0, &self.formats[0]))
    }

    fn moment(&self, parsed: Option<Parsed>, later: i64) -> Option<Moment> {
        let millis = match parsed? {
            Parsed::Utc(millis) => millis.checked_add(later)?,
            Parsed::Local(millis) => self.zone.to_utc(millis.checked_add(later)?)?,
        };
        Moment::from_millis(millis)
    }
}

/// The cells of several columns as one text.
pub(super) fn join<'a>(cells: &[&'a str]) -> Cow<'a, str> {
    match cells {
        [only] => Cow::Borrowed(only),
        several => Cow::Owned(several.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    fn reader(formats: &[TimeFormat], zone: &str) -> TimeReader {
        TimeReader { formats: formats.to_vec(), zone: Zone::parse(zone).unwrap() }
    }

    fn moment(text: &str, millis: u16) -> Moment {
        Moment { time: Timestamp::parse(text).unwrap(), millis }
    }

    #[test]
    fn several_columns_make_a_time() {
        let joined = reader(&[TimeFormat::DateTime], "Europe/Berlin");
        assert_eq!(
            joined.read(&["2024-07-01", "10:00:00.25"]),
            Ok(moment("2024-07-01T08:00:00Z", 250))
        );
        assert!(joined.read(&["2024-07-01", ""]).is_err());

        let parts = reader(&[TimeFormat::Date, TimeFormat::Millis], "UTC");
        assert_eq!(parts.read(&["2016-05-09", "61001"]), Ok(moment("2016-05-09T00:01:01Z", 1)));
        assert_eq!(parts.read(&["2016-05-09", "late"]).unwrap_err().0, 1);
        let parts = reader(&[TimeFormat::DayNumber, TimeFormat::Clock], "UTC");
        assert_eq!(parts.read(&["1", "1807"]), Ok(moment("1970-01-02T18:07:00Z", 0)));
    }

    #[test]
    fn a_zone_moves_clocks_alone() {
        let clocks = reader(&[TimeFormat::DateTime], "+02:00");
        assert_eq!(clocks.read(&["2024-07-01 10:00:00"]), Ok(moment("2024-07-01T08:00:00Z", 0)));
        assert_eq!(clocks.read(&["2024-07-01 10:00:00Z"]), Ok(moment("2024-07-01T10:00:00Z", 0)));
        let days = reader(&[TimeFormat::Date], "+02:00");
        assert_eq!(days.read(&["2024-07-01"]), Ok(moment("2024-07-01", 0)));
        let units = reader(&[TimeFormat::UnixMillis], "+02:00");
        assert_eq!(units.read(&["1600768800123"]), Ok(moment("2020-09-22T10:00:00Z", 123)));
    }
}
