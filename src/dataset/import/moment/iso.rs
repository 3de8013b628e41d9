//! Dates and clocks in the order of ISO 8601, read by hand: the format of most files and of most
//! rows.

use super::offset_of;

/// Milliseconds of a day.
pub(super) const DAY: i64 = 86_400_000;

/// A date, and what stands behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    /// Milliseconds from 1970-01-01 to the moment as its clock shows it.
    pub local: i64,
    pub has_clock: bool,
    /// Milliseconds by which the clock is ahead of UTC, where the text says so.
    pub offset: Option<i64>,
}

/// Reads `2020-09-22`, `2020/9/22 8:26`, `2020-09-22T10:00:00.123+02:00`, `… 10:00:00 CEST` and the
/// like.
pub(super) fn parse(text: &str) -> Option<Written> {
    let mut rest = Scanner(text.trim().as_bytes());
    let year = rest.digits(4, 4)?;
    let separator = rest.one_of(b"-/.")?;
    let month = rest.digits(1, 2)?;
    rest.one_of(&[separator])?;
    let day = rest.digits(1, 2)?;
    let date = days_since_1970(year, month, day)? * DAY;
    if rest.is_empty() {
        return Some(Written { local: date, has_clock: false, offset: None });
    }
    rest.one_of(b"T t_")?;
    rest.skip_blanks();
    let clock = rest.clock()?;
    rest.skip_blanks();
    let named = str::from_utf8(rest.0).ok().and_then(offset_of);
    if named.is_some() {
        return Some(Written { local: date + clock, has_clock: true, offset: named });
    }
    let offset = if rest.is_empty() { None } else { Some(rest.offset()?) };
    rest.is_empty().then_some(Written { local: date + clock, has_clock: true, offset })
}

/// Milliseconds since midnight: `8:26`, `08:26:30.5`, `08:26 PM`, `0826` or `082630`.
pub(super) fn parse_clock(text: &str) -> Option<i64> {
    let text = text.trim();
    let mut rest = Scanner(text.as_bytes());
    if !text.contains(':') {
        // A spreadsheet drops the zeros: 40 is forty minutes past midnight.
        let number: i64 = text.parse().ok().filter(|_| text.len() <= 6)?;
        let (hour, minute, second) = if text.len() > 4 {
            (number / 10_000, number / 100 % 100, number % 100)
        } else {
            (number / 100, number % 100, 0)
        };
        return of_day(hour, minute, second);
    }
    let clock = rest.clock()?;
    rest.skip_blanks();
    rest.is_empty().then_some(clock)
}

/// An offset from UTC such as `+02:00`, `-0330` or `UTC`, in milliseconds.
pub(super) fn parse_offset(text: &str) -> Option<i64> {
    let mut rest = Scanner(text.trim().as_bytes());
    let offset = rest.offset()?;
    rest.is_empty().then_some(offset)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar; `None` where the calendar has no such
/// date. The arithmetic is that of Howard Hinnant's `days_from_civil`, for years that start in
/// March.
pub(super) fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year
            - 719_468,
    )
}

fn of_day(hour: i64, minute: i64, second: i64) -> Option<i64> {
    // A leap second counts as the second before it, and 24:00 as 0:00 of the next day.
    let is_clock =
        (0..24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second);
    let ends_the_day = (hour, minute, second) == (24, 0, 0);
    (is_clock || ends_the_day).then(|| ((hour * 60 + minute) * 60 + second.min(59)) * 1000)
}

/// What is left of a text.
struct Scanner<'a>(&'a [u8]);

impl Scanner<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn skip_blanks(&mut self) {
        while let [b' ', rest @ ..] = self.0 {
            self.0 = rest;
        }
    }

    fn one_of(&mut self, bytes: &[u8]) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = bytes.contains(&first).then_some(rest)?;
        Some(first)
    }

    /// A whole number of so many digits.
    fn digits(&mut self, fewest: usize, most: usize) -> Option<i64> {
        let count = self.0.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
        if count < fewest {
            return None;
        }
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        Some(digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
    }

    /// `8:26`, `08:26:30`, `08:26:30.123456` and each with AM or PM: milliseconds since midnight.
    fn clock(&mut self) -> Option<i64> {
        let mut hour = self.digits(1, 2)?;
        self.one_of(b":")?;
        let minute = self.digits(2, 2)?;
        let (mut second, mut millis) = (0, 0);
        if self.one_of(b":").is_some() {
            second = self.digits(2, 2)?;
            if self.one_of(b".,").is_some() {
                millis = self.fraction()?;
            }
        }
        let blanks = self.0.iter().take_while(|&&byte| byte == b' ').count();
        if let [half @ (b'a' | b'A' | b'p' | b'P'), b'm' | b'M', rest @ ..] = &self.0[blanks..] {
            let is_afternoon = half.eq_ignore_ascii_case(&b'p');
            hour = (1..=12)
                .contains(&hour)
                .then_some(hour % 12 + if is_afternoon { 12 } else { 0 })?;
            self.0 = rest;
        }
        Some(of_day(hour, minute, second)? + millis)
    }

    /// The milliseconds of the digits behind a decimal point; what is finer is cut off.
    fn fraction(&mut self) -> Option<i64> {
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        let millis = (0..3)
            .fold(0, |millis, i| millis * 10 + digits.get(i).map_or(0, |d| i64::from(d - b'0')));
        (count > 0).then_some(millis)
    }

    /// `Z`, `UTC`, `GMT`, `+02`, `+0200`, `+02:00`, `UTC+2`: milliseconds ahead of UTC.
    fn offset(&mut self) -> Option<i64> {
        let names: [&[u8]; 3] = [b"UTC", b"GMT", b"Z"];
        let named = names.iter().find(|name| {
            self.0.len() >= name.len() && self.0[..name.len()].eq_ignore_ascii_case(name)
        });
        if let Some(name) = named {
            self.0 = &self.0[name.len()..];
            if self.0.is_empty() {
                return Some(0);
            }
        }
        let sign = if self.one_of(b"+-")? == b'-' { -1 } else { 1 };
        let hours = self.digits(1, 2)?;
        let minutes = match self.one_of(b":") {
            Some(_) => self.digits(2, 2)?,
            None if self.is_empty() => 0,
            None => self.digits(2, 2)?,
        };
        (hours <= 18 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_clocks_and_offsets_are_read() {
        let date = 18_527 * DAY;
        let clock = (10 * 3600 + 5 * 60) * 1000;
        let written = |clock: Option<i64>, offset| Written {
            local: date + clock.unwrap_or(0),
            has_clock: clock.is_some(),
            offset,
        };
        for (text, expected) in [
            ("2020-09-22", written(None, None)),
            ("2020/9/22", written(None, None)),
            ("2020-09-22 10:05", written(Some(clock), None)),
            ("2020-09-22 10:05:00 AM", written(Some(clock), None)),
            ("2020-09-22T10:05:00", written(Some(clock), None)),
            ("2020-09-22T10:05:00.1239Z", written(Some(clock + 123), Some(0))),
            ("2020-09-22 10:05:00 UTC", written(Some(clock), Some(0))),
            ("2020-09-22 10:05:00 CEST", written(Some(clock), Some(7_200_000))),
            ("2020-09-22 10:05 PDT", written(Some(clock), Some(-25_200_000))),
            ("2020-09-22 10:05:00+00", written(Some(clock), Some(0))),
            ("2020-09-22 10:05:00 +0530", written(Some(clock), Some(19_800_000))),
            ("2020-09-22T10:05:00-02:00", written(Some(clock), Some(-7_200_000))),
            (" 2020-09-22 10:05:00.5 +02:00 ", written(Some(clock + 500), Some(7_200_000))),
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "2020",
            "2020-02-30",
            "2020-13-01",
            "2020-09/22",
            "20-09-22",
            "2020-09-22 25:00",
            "2020-09-22 10",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        for text in [
            "2020-09-22 10:05:00 x",
            "2020-09-22 10:05:00 IST",
            "2020-09-22 13:05 PM",
            "2020-09-22 10:05:00+99",
            "2020-09-22 10:05:00.",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn clocks_without_colons_are_read() {
        let at =
            |hour: i64, minute: i64, second: i64| Some(((hour * 60 + minute) * 60 + second) * 1000);
        for (text, expected) in [
            ("0040", at(0, 40, 0)),
            ("40", at(0, 40, 0)),
            ("1807", at(18, 7, 0)),
            ("180730", at(18, 7, 30)),
            ("6:07 pm", at(18, 7, 0)),
            ("12:00 AM", at(0, 0, 0)),
            ("24:00", at(24, 0, 0)),
            ("24:01", None),
            ("2500", None),
            ("-5", None),
            ("noon", None),
        ] {
            assert_eq!(parse_clock(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn days_are_those_of_the_calendar(days in 0i64..49_700) {
            let date = time::OffsetDateTime::UNIX_EPOCH.date() + time::Duration::days(days);
            let found = days_since_1970(date.year().into(), u8::from(date.month()).into(), date.day().into());
            prop_assert_eq!(found, Some(days));
        }
    }
}
