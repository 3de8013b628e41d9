//! Finds the notation that texts are in, and units that were mistaken for each other.

use super::{Moment, Parsed, TimeFormat, reader::join};
use crate::domain::Timestamp;
use std::sync::LazyLock;

/// 1990-01-01: no shop has purchases of before, in numbers that are moments by accident.
const EARLIEST: i64 = 631_152_000_000;

/// How much later than now a purchase may be: clocks differ by a time zone or two.
pub(in crate::dataset::import) const SLACK: u32 = 2 * Timestamp::DAY;

/// Notations by name, in the order in which they are tried.
static TEXTS: LazyLock<Vec<TimeFormat>> = LazyLock::new(|| {
    let patterns = [
        "%d.%m.%Y",
        "%d.%m.%Y %H:%M",
        "%d.%m.%Y %H:%M:%S",
        "%m/%d/%Y",
        "%d/%m/%Y",
        "%m/%d/%Y %H:%M",
        "%d/%m/%Y %H:%M",
        "%m/%d/%Y %H:%M:%S",
        "%d/%m/%Y %H:%M:%S",
        "%m/%d/%Y %I:%M %p",
        "%d/%m/%Y %I:%M %p",
        "%m/%d/%Y %I:%M:%S %p",
        "%d/%m/%Y %I:%M:%S %p",
        "%m/%d/%y",
        "%d/%m/%y",
        "%m/%d/%y %H:%M",
        "%d/%m/%y %H:%M",
        "%d.%m.%y",
        "%d.%m.%y %H:%M",
        "%m-%d-%Y",
        "%d-%m-%Y",
        "%m-%d-%Y %H:%M",
        "%d-%m-%Y %H:%M",
        "%m-%d-%Y %H:%M:%S",
        "%d-%m-%Y %H:%M:%S",
        "%d %b %Y",
        "%b %d, %Y",
        "%d-%b-%Y",
        "%d-%b-%y",
        "%b %d, %Y %H:%M",
        "%b %d, %Y %I:%M %p",
        "%d %b %Y %H:%M",
        "%d %b %Y %H:%M:%S",
        "%a, %d %b %Y %H:%M:%S %z",
        "%a %b %d %H:%M:%S %Y",
        "%d/%b/%Y:%H:%M:%S %z",
        "%m %d, %Y",
    ];
    let named = [TimeFormat::Date, TimeFormat::DateTime, TimeFormat::LongDate];
    let patterns = patterns.iter().filter_map(|text| TimeFormat::try_from((*text).to_owned()).ok());
    named.into_iter().chain(patterns).collect()
});

/// Notations of bare numbers: told apart by the years that they give.
static NUMBERS: [TimeFormat; 5] = [
    TimeFormat::UnixSeconds,
    TimeFormat::UnixMillis,
    TimeFormat::UnixMicros,
    TimeFormat::UnixNanos,
    TimeFormat::CompactDate,
];

/// Why no notation was found.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::dataset::import) enum Undetected {
    /// No notation reads all texts.
    None,
    /// Several do, such as day before month and month before day.
    Several(Vec<&'static str>),
}

/// The notation that all texts (the cells of one row each) are in.
///
/// # Errors
/// [`Undetected`] if there is not exactly one.
pub(in crate::dataset::import) fn notation(
    rows: &[Vec<&str>],
    now: Timestamp,
) -> Result<TimeFormat, Undetected> {
    let texts: Vec<_> = rows.iter().map(|cells| join(cells)).collect();
    let fits = |format: &&TimeFormat| {
        !texts.is_empty() && texts.iter().all(|text| reads(format, text, now))
    };
    let fitting: Vec<&TimeFormat> = TEXTS.iter().chain(&NUMBERS).filter(fits).collect();
    match &fitting[..] {
        [] => Err(Undetected::None),
        // A date with a clock at midnight in every row is a date.
        [only] | [only @ TimeFormat::Date, ..] => Ok((*only).clone()),
        several => Err(Undetected::Several(several.iter().map(|format| format.name()).collect())),
    }
}

/// What the description could say so that a text is read, as advice in an error.
pub(in crate::dataset::import) fn advice(text: &str) -> Option<String> {
    let now = crate::domain::Timestamp(u32::MAX - SLACK);
    let formats = TEXTS.iter().chain(&NUMBERS).filter(|format| reads(format, text, now));
    let mut names = formats.map(|format| format!("time_format = \"{}\"", format.name()));
    let first = names.next()?;
    Some(match names.next() {
        Some(second) => format!("{first} or {second}"),
        None => first,
    })
}

/// Whether a format reads a text. A bare number must give a moment of the years that shops are in.
fn reads(format: &TimeFormat, text: &str, now: Timestamp) -> bool {
    match format.parsed(text) {
        Some(Parsed::Utc(millis)) if NUMBERS.contains(format) => is_plausible(millis, now),
        Some(Parsed::Utc(millis) | Parsed::Local(millis)) => Moment::from_millis(millis).is_some(),
        None => false,
    }
}

fn is_plausible(millis: i64, now: Timestamp) -> bool {
    (EARLIEST..=(i64::from(now.0) + i64::from(SLACK)) * 1000).contains(&millis)
}

/// The unit that numbers are in, if it is not the declared one: where that puts most of them before
/// 1990 or after now, and another puts nearly all of them between.
pub(in crate::dataset::import) fn mistaken_unit(
    declared: &TimeFormat,
    texts: &[&str],
    now: Timestamp,
) -> Option<&'static TimeFormat> {
    if !NUMBERS.contains(declared) || texts.is_empty() {
        return None;
    }
    let plausible =
        |format: &TimeFormat| texts.iter().filter(|text| reads(format, text, now)).count();
    if plausible(declared) * 2 >= texts.len() {
        return None;
    }
    NUMBERS.iter().find(|format| plausible(format) * 10 >= texts.len() * 9)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_750_000_000);

    fn found(texts: &[&str]) -> Result<String, Undetected> {
        let rows: Vec<Vec<&str>> = texts.iter().map(|text| vec![*text]).collect();
        notation(&rows, NOW).map(|format| format.name().to_owned())
    }

    #[test]
    fn notations_are_found() {
        for (texts, name) in [
            (&["2024-01-31", "2024-02-01"][..], "date"),
            (&["2024-01-31 00:00:00"], "date"),
            (&["2024-01-31 10:00", "2024-01-31T10:00:00.5Z"], "date-time"),
            (&["31.01.2024"], "%d.%m.%Y"),
            (&["1/2/2024 8:26", "1/31/2024 8:26"], "%m/%d/%Y %H:%M"),
            (&["1/2/2024", "31/1/2024"], "%d/%m/%Y"),
            (&["1/31/2024 8:26 PM"], "%m/%d/%Y %I:%M %p"),
            (&["31 Jan 2024"], "%d %b %Y"),
            (&["January 31, 2024"], "long-date"),
            (&["20240131"], "compact-date"),
            (&["1706700000"], "unix-seconds"),
            (&["1706700000123"], "unix-millis"),
            (&["1706700000123456"], "unix-micros"),
        ] {
            assert_eq!(found(texts).as_deref(), Ok(name), "{texts:?}");
        }
        assert_eq!(found(&["1/2/2024"]), Err(Undetected::Several(vec!["%m/%d/%Y", "%d/%m/%Y"])));
        assert_eq!(found(&["2024-01-31", "yesterday"]), Err(Undetected::None));
        assert_eq!(found(&["17"]), Err(Undetected::None));
        assert_eq!(found(&[]), Err(Undetected::None));
    }

    #[test]
    fn advice_names_what_to_write() {
        let advice_for = |text: &str| advice(text).unwrap_or_default();
        assert_eq!(
            advice_for("12/1/2010 8:26"),
            "time_format = \"%m/%d/%Y %H:%M\" or time_format = \"%d/%m/%Y %H:%M\""
        );
        assert_eq!(advice_for("2019-10-01 00:00:07 UTC"), "time_format = \"date-time\"");
        assert_eq!(advice("soon"), None);
    }

    #[test]
    fn units_that_were_mistaken_are_found() {
        let name = |declared: TimeFormat, texts: &[&str]| {
            mistaken_unit(&declared, texts, NOW).map(TimeFormat::name)
        };
        let millis = ["1706700000123", "1706700000456"];
        assert_eq!(name(TimeFormat::UnixSeconds, &millis), Some("unix-millis"));
        assert_eq!(name(TimeFormat::UnixMillis, &["1706700000"]), Some("unix-seconds"));
        assert_eq!(name(TimeFormat::UnixSeconds, &["20240131"]), Some("compact-date"));
        assert_eq!(name(TimeFormat::UnixMillis, &millis), None);
        // Too early under every unit: an order that somebody made up, which is theirs to choose.
        assert_eq!(name(TimeFormat::UnixSeconds, &["1", "2", "3"]), None);
        assert_eq!(name(TimeFormat::Date, &millis), None);
    }
}
