//! How the times of a column are written: the `time_format` that fits its values.
//!
//! Each value is taken apart into a [`Shape`]. Values of one shape make a [`Group`], each group has
//! one format, and a column whose groups differ gets the formats of all of them.

mod value;

pub(super) use value::{is_clock, seems_moment};

use crate::dataset::look;
use value::{Clock, DateShape, Month, Shape, Unit, Value, Zone};

/// The notation of a column's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notation {
    /// The value of `time_format`: one, or several of which each value is in one.
    pub formats: Vec<String>,
    /// What every value allows as well: the other order of day and month.
    pub otherwise: Option<String>,
    /// Whether the values are days without a clock.
    pub days: bool,
    /// Whether the values are bare numbers, which may be anything else.
    pub number: bool,
    /// Values that none of the formats reads, and one of them. They are few.
    pub odd: Option<(usize, String)>,
}

/// One in so many values may be in no notation: what an import leaves out by default, 5 %.
const ODD: usize = 20;
/// Ways of writing that are told apart.
const MOST_GROUPS: usize = 24;
/// Values of each that are kept.
const EXAMPLES: usize = 8;
/// Formats that a description lists.
const MOST_FORMATS: usize = 6;

/// Collects the values of a column.
#[derive(Debug, Default)]
pub(super) struct Detector {
    seen: usize,
    groups: Vec<Group>,
    /// Values that are no time in any notation.
    unreadable: usize,
    /// The first of them.
    strange: Option<String>,
}

/// Values that are written alike.
#[derive(Debug)]
struct Group {
    shape: Shape,
    count: usize,
    /// The first values.
    examples: Vec<String>,
    /// Every value is the first moment of a day.
    midnights: bool,
    /// Values whose first number is no month, and those whose second is none, with an example.
    day_first: usize,
    month_first: usize,
}

impl Detector {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a value that is not missing.
    pub fn add(&mut self, text: &str) {
        let text = text.trim();
        self.seen += 1;
        let Some(value) = Value::parse(text) else { return self.add_strange(text) };
        let known = self.groups.iter().position(|group| group.shape == value.shape);
        let at = match known {
            Some(at) => at,
            None if self.groups.len() == MOST_GROUPS => return self.add_strange(text),
            None => {
                self.groups.push(Group::new(value.shape));
                self.groups.len() - 1
            }
        };
        let group = &mut self.groups[at];
        group.count += 1;
        if group.examples.len() < EXAMPLES {
            group.examples.push(text.to_owned());
        }
        group.midnights &= value.midnight;
        if let Some((first, second)) = value.numbers {
            group.day_first += usize::from(first > 12);
            group.month_first += usize::from(second > 12);
        }
    }

    fn add_strange(&mut self, text: &str) {
        self.unreadable += 1;
        self.strange.get_or_insert_with(|| text.to_owned());
    }

    /// One value of each way of writing, the most frequent first.
    pub fn examples(&self) -> Vec<&str> {
        let mut groups: Vec<(usize, &str)> =
            self.groups.iter().map(|group| (group.count, group.example())).collect();
        groups.extend(self.strange.as_deref().map(|strange| (self.unreadable, strange)));
        groups.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        groups.into_iter().map(|(_, example)| example).collect()
    }

    /// The notation; `day_first` decides where the values leave the order of day and month open.
    /// `None` where more values than a few are in none.
    pub fn finish(mut self, day_first: bool) -> Option<Notation> {
        // Stable, so that of groups of one size the first value's stands first.
        self.groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        match self.groups.iter().all(|group| group.shape.is_number()) {
            true => self.of_numbers(),
            false => self.of_texts(day_first),
        }
    }

    /// Whether so many values may be in no notation.
    fn are_few(&self, values: usize) -> bool {
        values <= self.seen / ODD
    }

    /// Bare numbers may be anything, so texts among them are codes, and the column is no time.
    fn of_numbers(self) -> Option<Notation> {
        if self.unreadable > 0 || self.seen == 0 {
            return None;
        }
        let counts = |shape: &Shape| shape.date == DateShape::Number(Unit::Days);
        if self.groups.iter().all(|group| counts(&group.shape)) {
            return Some(Notation {
                formats: vec!["day-number".to_owned()],
                otherwise: None,
                days: true,
                number: true,
                odd: None,
            });
        }
        // Some programs write 0 or -1 for "never".
        let (moments, odd): (Vec<&Group>, Vec<&Group>) =
            self.groups.iter().partition(|group| group.shape.number_format().is_some());
        let left_out = odd.iter().map(|group| group.count).sum();
        if moments.is_empty() || !self.are_few(left_out) {
            return None;
        }
        let compact = moments.iter().all(|group| group.shape.is_compact());
        Some(Notation {
            formats: distinct(moments.iter().filter_map(|group| group.shape.number_format())),
            otherwise: None,
            days: moments.iter().all(|group| group.midnights),
            // Numbers that are all dates of the calendar are hardly anything else.
            number: !compact || left_out > 0,
            odd: odd.first().map(|group| (left_out, group.example().to_owned())),
        })
    }

    fn of_texts(self, day_first: bool) -> Option<Notation> {
        let orders = Orders::of(&self.groups, day_first);
        let month = self.month();
        let mut kept: Vec<(&Group, String)> = Vec::new();
        let mut odd: Vec<(usize, &str)> = orders.against.iter().map(|&n| (n, "")).collect();
        odd.extend(self.strange.as_deref().map(|text| (self.unreadable, text)));
        let clocks =
            self.groups.iter().any(|group| group.shape.clock != Clock::None && !group.midnights);
        for group in &self.groups {
            let format = match group.shape.is_number() {
                // A lone number among dates is a mistake, and a moment where there are many.
                true if self.are_few(group.count) => None,
                true => group.shape.number_format(),
                false => group.format(&orders, month, !clocks),
            };
            // What is written down must be read: `init` asks the reader itself.
            match format.filter(|format| group.is_read_by(format)) {
                Some(format) if kept.len() < MOST_FORMATS => kept.push((group, format)),
                _ => odd.push((group.count, group.example())),
            }
        }
        let left_out: usize = odd.iter().map(|(count, _)| count).sum();
        if kept.is_empty() || !self.are_few(left_out) {
            return None;
        }
        let example = odd.iter().find(|(_, example)| !example.is_empty());
        Some(Notation {
            otherwise: kept.iter().find_map(|(group, _)| {
                let other = orders.other(&group.shape)?;
                group.format(&other, month, !clocks)
            }),
            days: kept.iter().all(|(group, _)| group.midnights),
            number: false,
            odd: (left_out > 0).then(|| {
                (left_out, example.map_or_else(String::new, |(_, example)| (*example).to_owned()))
            }),
            formats: as_one(&kept),
        })
    }

    /// How the months are written that May leaves open.
    fn month(&self) -> Month {
        let months = self.groups.iter().filter_map(|group| match &group.shape.date {
            DateShape::Named { month, .. } => Some(*month),
            _ => None,
        });
        months.into_iter().find(|month| *month != Month::Either).unwrap_or(Month::Long)
    }
}

/// The orders of day and month, for each separator.
struct Orders {
    /// Separator, whether the day stands first, and whether a value proves it.
    found: Vec<(char, bool, bool)>,
    /// Values that contradict the others' order, for each separator that has such values.
    against: Vec<usize>,
}

impl Orders {
    fn of(groups: &[Group], day_first: bool) -> Self {
        let mut counts: Vec<(char, usize, usize)> = Vec::new();
        for group in groups {
            let DateShape::YearLast { separator, .. } = group.shape.date else { continue };
            match counts.iter_mut().find(|(known, ..)| *known == separator) {
                Some((_, days, months)) => {
                    *days += group.day_first;
                    *months += group.month_first;
                }
                None => counts.push((separator, group.day_first, group.month_first)),
            }
        }
        let order = |&(separator, days, months): &(char, usize, usize)| match days.cmp(&months) {
            // Nobody writes the month first with dots.
            std::cmp::Ordering::Equal => (separator, separator == '.' || day_first, false),
            more => (separator, more.is_gt(), true),
        };
        let mut found: Vec<(char, bool, bool)> = counts.iter().map(order).collect();
        // A shop that proves its order with one separator keeps it with the next.
        let proven = found.iter().find(|(_, _, proven)| *proven).map(|(_, first, _)| *first);
        if let Some(proven) = proven {
            found
                .iter_mut()
                .filter(|(separator, _, known)| !known && *separator != '.')
                .for_each(|order| (order.1, order.2) = (proven, true));
        }
        let against = counts.iter().map(|(_, days, months)| *days.min(months));
        Self { found, against: against.filter(|&values| values > 0).collect() }
    }

    fn day_first(&self, separator: char) -> bool {
        self.found.iter().any(|(known, first, _)| *known == separator && *first)
    }

    /// The other order for a date that leaves it open.
    fn other(&self, shape: &Shape) -> Option<Self> {
        let DateShape::YearLast { separator, .. } = shape.date else { return None };
        let (_, first, proven) = self.found.iter().find(|(known, ..)| *known == separator)?;
        (!proven).then(|| Self { found: vec![(separator, !first, false)], against: Vec::new() })
    }
}

/// Different formats in their order, but the larger units of numbers last: a number of seconds is
/// also one of milliseconds, of 1970.
fn distinct(formats: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for format in formats {
        if !found.contains(&format) {
            found.push(format);
        }
    }
    const UNITS: [&str; 4] = ["unix-seconds", "unix-millis", "unix-micros", "unix-nanos"];
    found.sort_by_key(|format| UNITS.iter().position(|unit| unit == format));
    found
}

/// The formats of all groups, without those that others include.
fn as_one(kept: &[(&Group, String)]) -> Vec<String> {
    let formats = distinct(kept.iter().map(|(_, format)| format.clone()));
    if formats.len() == 1 && (kept.len() == 1 || formats[0] != "auto") {
        return formats;
    }
    // `auto` wants one notation, and `rfc3339` is `date-time` with a zone.
    let plain = kept.iter().map(|(group, format)| match format.as_str() {
        "auto" | "rfc3339" if group.shape.clock == Clock::None => "date".to_owned(),
        "auto" | "rfc3339" => "date-time".to_owned(),
        _ => format.clone(),
    });
    // A pattern with a fraction also reads seconds without one.
    let plain = distinct(plain);
    let fraction = |format: &String| plain.contains(&format!("{format}%.f"));
    plain.iter().filter(|format| !fraction(format)).cloned().collect()
}

impl Group {
    fn new(shape: Shape) -> Self {
        let (count, day_first, month_first) = (0, 0, 0);
        Self { shape, count, examples: Vec::new(), midnights: true, day_first, month_first }
    }

    fn example(&self) -> &str {
        self.examples.first().map_or("", String::as_str)
    }

    /// Whether the reader takes the format: one of several values is enough, as there may be a
    /// 31st of June among them.
    fn is_read_by(&self, format: &str) -> bool {
        format == "auto" || self.examples.iter().any(|text| look::reads_time(format, text))
    }

    /// The format of the values; `days` if none of the column has a time of day.
    fn format(&self, orders: &Orders, month: Month, days: bool) -> Option<String> {
        let shape = &self.shape;
        if let DateShape::YearFirst(separator) = shape.date
            && shape.is_iso()
        {
            return Some(self.iso(separator, days).to_owned());
        }
        let (clock, weekday) = (shape.clock_pattern(), shape.weekday);
        let date = match &shape.date {
            DateShape::YearFirst(separator) => format!("%Y{separator}%m{separator}%d"),
            DateShape::YearLast { separator, year } => {
                let first = orders.day_first(*separator);
                let (first, second) = if first { ("%d", "%m") } else { ("%m", "%d") };
                let year = if *year == 4 { "%Y" } else { "%y" };
                format!("{first}{separator}{second}{separator}{year}")
            }
            DateShape::Named { before, month: own, behind } => {
                let month = if *own == Month::Either { month } else { *own };
                let name = if month == Month::Long { "%B" } else { "%b" };
                format!("{before}{name}{behind}")
            }
            DateShape::Compact(_) | DateShape::Number(_) => return shape.number_format(),
        };
        match format!("{weekday}{date}{clock}").as_str() {
            "%B %d, %Y" => Some("long-date".to_owned()),
            pattern => Some(pattern.to_owned()),
        }
    }

    fn iso(&self, separator: char, days: bool) -> &'static str {
        let Clock::Digits { seconds, fraction, half, .. } = self.shape.clock else {
            return if separator == '-' { "date" } else { "auto" };
        };
        let usual = separator == '-' && seconds && half.is_none() && fraction != Some(',');
        match self.shape.zone {
            Zone::None if usual && days && fraction.is_none() => "date",
            Zone::Rfc("Z") if usual && days && fraction.is_none() => "date",
            Zone::None if usual => "date-time",
            Zone::Rfc(_) if usual => "rfc3339",
            _ => "auto",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notation(values: &[&str]) -> Option<Notation> {
        let mut detector = Detector::new();
        values.iter().for_each(|value| detector.add(value));
        detector.finish(false)
    }

    #[test]
    fn the_notation_that_fits_all_values() {
        for (values, format) in [
            (&["2020-09-22", "2020-01-31"][..], "date"),
            (&["2020-09-22 00:00:00", "2020-01-31 00:00:00"], "date"),
            (&["2020-09-22 10:00:00", "2020-01-31 00:00:00"], "date-time"),
            (&["2020-09-22T10:00:00Z"], "rfc3339"),
            (&["2014-04-07T10:51:09.277Z", "2014-04-07T10:51:09Z"], "rfc3339"),
            (&["2020-09-22T10:00:00+02:00"], "rfc3339"),
            (&["2019-10-01 00:00:00 UTC", "2019-10-01 00:00:01 UTC"], "auto"),
            (&["2023-05-01 10:11:12 +0200"], "auto"),
            (&["2020/09/22"], "auto"),
            (&["12/1/2010 8:26", "12/13/2010 8:26"], "%m/%d/%Y %H:%M"),
            (&["22.09.2023", "01.02.2023"], "%d.%m.%Y"),
            (&["13/02/2023 10:11:12"], "%d/%m/%Y %H:%M:%S"),
            (&["1/13/23 1:05 PM", "1/2/23 11:05 AM"], "%m/%d/%y %I:%M %p"),
            (&["September 22, 2020", "May 1, 2020"], "long-date"),
            (&["Sep 22, 2020"], "%b %d, %Y"),
            (&["22-Sep-20"], "%d-%b-%y"),
            (&["20240131", "20231201"], "compact-date"),
            (&["1600768800", "1484669739"], "unix-seconds"),
            (&["1484669739.0"], "unix-seconds"),
            (&["1433221332117"], "unix-millis"),
            (&["1", "711"], "day-number"),
        ] {
            assert_eq!(notation(values).unwrap().formats, [format], "{values:?}");
        }
        for values in [
            &["hello"][..],
            &["2020-13-01"],
            &["2020-01-01", "x"],
            &["31/31/2020"],
            &["13/1/2020", "1/13/2020"],
        ] {
            assert_eq!(notation(values), None, "{values:?}");
        }
    }

    #[test]
    fn a_few_broken_values_do_not_hide_a_notation() {
        let dates: Vec<String> = (1..=28).map(|day| format!("2026-01-{day:02}")).collect();
        let mut values: Vec<&str> = dates.iter().map(String::as_str).collect();
        values.push("soon");
        assert!(notation(&values).unwrap().days);
        values.push("later");
        assert_eq!(notation(&values), None, "more than one in twenty");
        let mut invoices = vec!["1700000000"; 40];
        invoices.push("C536379");
        assert_eq!(notation(&invoices), None, "a column of numbers and codes is no time");
    }

    #[test]
    fn day_and_month_are_left_open_only_where_the_values_leave_them_open() {
        let open = notation(&["3/4/2020", "5/6/2020"]).unwrap();
        assert_eq!(
            (open.formats[0].as_str(), open.otherwise.as_deref()),
            ("%m/%d/%Y", Some("%d/%m/%Y"))
        );
        assert_eq!(notation(&["3/4/2020", "25/6/2020"]).unwrap().otherwise, None);
        assert_eq!(notation(&["03.04.2020"]).unwrap().formats, ["%d.%m.%Y"]);
        assert!(is_clock("08:26") && is_clock("8:26:01") && !is_clock("0.5") && !is_clock(""));
    }

    #[test]
    fn notations_that_need_a_pattern() {
        for (values, format) in [
            (&["05-Jan-2023", "05-May-2023"][..], "%d-%b-%Y"),
            (&["05 May 2023 10:00:00", "06 Jun 2023 10:00:00"], "%d %b %Y %H:%M:%S"),
            (&["May 05, 2023", "Jan 05, 2023"], "%b %d, %Y"),
            (&["May 05, 2023", "January 05, 2023"], "long-date"),
            (&["05 May 2023"], "%d %B %Y"),
            (&["January 5, 2023 10:05"], "%B %d, %Y %H:%M"),
            (&["Thu, 05 Jan 2023 16:32:34 +0000"], "%a, %d %b %Y %H:%M:%S %z"),
            (&["20230105163234"], "%Y%m%d%H%M%S"),
            (&["20230105T163234Z"], "%Y%m%dT%H%M%SZ"),
            (&["20230105.0"], "compact-date"),
            (&["01/25/2023 04:32PM"], "%m/%d/%Y %I:%M%p"),
            (&["01/25/2023, 04:32:34 PM"], "%m/%d/%Y, %I:%M:%S %p"),
            (&["05.01.2023 16:32 Uhr"], "%d.%m.%Y %H:%M Uhr"),
            (&["05.01.2023 16:32 CET", "05.07.2023 16:32 CEST"], "%d.%m.%Y %H:%M %Z"),
            (&["5. Januar 2023", "5. März 2023", "31. Mai 2023"], "%d. %B %Y"),
            (&["1er janvier 2023", "17 mars 2023", "2 août 2023"], "%d %B %Y"),
            (&["12 janv. 2023 10:05", "13 juil. 2023 10:05"], "%d %B %Y %H:%M"),
            (&["2 de enero de 2023", "3 de agosto de 2023"], "%d de %B de %Y"),
            (&["Sept. 5, 2023", "Jan. 5, 2023"], "%b %d, %Y"),
            (&["25/01/2023 16h32"], "%d/%m/%Y %Hh%M"),
            (&["05-JAN-23 04.32.34 PM"], "%d-%b-%y %I.%M.%S %p"),
            (&["25.01.2023 16:32:34 +02:00"], "%d.%m.%Y %H:%M:%S %:z"),
            (&["2023-01-05, 16:32"], "%Y-%m-%d, %H:%M"),
            (&["2023-01-05T16:32:34,123"], "auto"),
            (&["1672936354000000000"], "unix-nanos"),
            (&["44931.42091", "45001"], "excel"),
        ] {
            assert_eq!(notation(values).unwrap().formats, [format], "{values:?}");
        }
        for value in ["5. leden 2023", "2023-W01-4", "2023-01", "2023-01-05 1:00 IST"] {
            assert_eq!(notation(&[value]), None, "{value}");
        }
    }

    #[test]
    fn values_in_several_notations_get_the_formats_of_all() {
        for (values, formats) in [
            (
                &["2023-01-05 10:00:00", "05.01.2023 10:00:00"][..],
                &["date-time", "%d.%m.%Y %H:%M:%S"][..],
            ),
            (&["05.01.2023 10:06", "05.01.2023"], &["%d.%m.%Y %H:%M", "%d.%m.%Y"]),
            (&["2023-01-05", "2023-01-05 10:00:00Z"], &["date", "date-time"]),
            (&["2023-01-05", "2023-01-05 00:00:00"], &["date"]),
            (&["2023-01-05 10:00", "2023/01/05 10:00:00 UTC"], &["date-time"]),
            (&["5.1.2023 10:00:00.5", "5.1.2023 10:00:00"], &["%d.%m.%Y %H:%M:%S%.f"]),
            (&["1672913167", "1686736014000"], &["unix-seconds", "unix-millis"]),
            (&["2023-01-05", "20230105"], &["date", "compact-date"]),
            // The order that one notation proves holds for the other, too.
            (&["1/2/2023", "1-25-2023"], &["%m/%d/%Y", "%m-%d-%Y"]),
        ] {
            assert_eq!(notation(values).unwrap().formats, formats, "{values:?}");
        }
    }

    #[test]
    fn a_few_values_that_are_no_moments_are_counted() {
        let few = |value: &'static str, other: &'static str| {
            let mut values = vec![value; 60];
            values.extend([other; 2]);
            notation(&values)
        };
        for (value, other) in [
            ("1700000000", "0"),
            ("1700000000", "-1"),
            ("2023-01-05", "0"),
            ("2023-01-05", "2023-W01-4"),
            ("25/1/2023", "1/25/2023"),
        ] {
            let (count, _) = few(value, other).unwrap().odd.unwrap();
            assert_eq!(count, 2, "{value} {other}");
        }
        assert_eq!(few("1700000000", "0").unwrap().formats, ["unix-seconds"]);
        assert_eq!(notation(&[["1700000000"; 9].as_slice(), &["0"]].concat()), None);
    }
}
