//! What is suspicious in purchases as a whole: some that lie years before or after all others,
//! which would ruin a split by time, many on one day that stands for no date, and customers that are
//! nobody.

use crate::{
    dataset::{Dataset, TimeUnit},
    domain::Timestamp,
};

/// At most one row of so many is an outlier.
const RARE: usize = 1_000;

/// The least distance that is suspicious.
const FAR: u32 = 180 * Timestamp::DAY;

/// One day far from all others is an outlier unless it has more than one in so many of the rows:
/// an export writes one date, such as the first of 1970 or today, for all that have none.
const REPEATED: usize = 2;

/// Ids that often stand for "no customer". Case does not count.
const NOBODY: [&str; 10] =
    ["0", "00000", "-1", "guest", "gast", "anonymous", "anon", "unknown", "undefined", "(not set)"];

/// The spelling of "no customer" that an id is.
pub(crate) fn nobody(id: &str) -> Option<&'static str> {
    NOBODY.into_iter().find(|nobody| id.eq_ignore_ascii_case(nobody))
}

/// Purchases from which on such an id is told.
const MANY: usize = 20;

/// Any id is told from so many purchases on, ...
const CROWD: usize = 100;
/// ... if it has one in so many of all, ...
const SHARE: usize = 20;
/// ... and so many times as many as the customer with the next most.
const TIMES_NEXT: usize = 5;

/// What the report says of suspicious purchases, which are sorted by time.
pub(super) fn notes(dataset: &Dataset) -> Vec<String> {
    let mut notes = dates(dataset);
    notes.extend(customers(dataset));
    notes
}

/// The notes for customers who may be nobody, by their ids or by what they buy.
fn customers(dataset: &Dataset) -> Vec<String> {
    let mut counts = vec![0usize; dataset.customers.ids.len()];
    for &row in &dataset.purchases.customer {
        if let Some(count) = counts.get_mut(row as usize) {
            *count += 1;
        }
    }
    let count = |row: u32| counts.get(row as usize).copied().unwrap_or(0);
    let is_named = |&row: &u32| nobody(dataset.customers.ids.get(row)).is_some();
    let (mut found, mut others): (Vec<u32>, Vec<u32>) = (0..dataset.customers.ids.len() as u32)
        .partition(|row| count(*row) >= MANY && is_named(row));
    // Whatever spelling a shop has for "no customer", no person buys so much more than all others.
    others.sort_by_key(|&row| std::cmp::Reverse(count(row)));
    for pair in others.windows(2) {
        let (most, next) = (count(pair[0]), count(pair[1]));
        if most < CROWD || most * SHARE < dataset.purchases.len() || most < next * TIMES_NEXT {
            break;
        }
        found.push(pair[0]);
    }
    found.into_iter().map(|row| note_of_nobody(dataset, row, count(row))).collect()
}

fn note_of_nobody(dataset: &Dataset, row: u32, count: usize) -> String {
    let id = dataset.customers.ids.get(row);
    format!(
        "customer `{id}` has {count} of {} purchases; if the id means no customer, write missing = {} in [purchases]",
        dataset.purchases.len(),
        toml::Value::Array(vec![id.to_string().into()]),
    )
}

fn dates(dataset: &Dataset) -> Vec<String> {
    let time = &dataset.purchases.time;
    if dataset.time_unit == TimeUnit::Position || time.len() < 20 {
        return Vec::new();
    }
    let rare = (time.len() / RARE).max(1);
    let span = time[time.len() - 1 - rare].0 - time[rare].0;
    let is_far = |gap: u32| gap > FAR.max(span / 2);
    let mut notes = Vec::new();
    match (1..=rare).find(|&n| is_far(time[n].0 - time[n - 1].0)) {
        Some(last) => notes.push(note(dataset, 0, last, "before", time[last])),
        None => notes.extend(first_day(dataset)),
    }
    match (time.len() - rare..time.len()).find(|&n| is_far(time[n].0 - time[n - 1].0)) {
        Some(first) => {
            notes.push(note(dataset, first, time.len() - first, "after", time[first - 1]))
        }
        None => notes.extend(last_day(dataset)),
    }
    notes
}

/// The note for many purchases on the first day alone, long before all others.
fn first_day(dataset: &Dataset) -> Option<String> {
    let time = &dataset.purchases.time;
    let count = time.partition_point(|moment| moment.day() == time[0].day());
    let (next, last) = (time.get(count)?, time.last()?);
    let is_alone = is_lone_day(count, time.len(), next.0 - time[0].0, last.0 - next.0);
    is_alone.then(|| note(dataset, 0, count, "before", *next))
}

/// The note for many purchases on the last day alone, long after all others.
fn last_day(dataset: &Dataset) -> Option<String> {
    let time = &dataset.purchases.time;
    let day = time.last()?.day();
    let from = time.partition_point(|moment| moment.day() < day);
    let before = time[from.checked_sub(1)?];
    let gap = time[from].0 - before.0;
    let is_alone = is_lone_day(time.len() - from, time.len(), gap, before.0 - time[0].0);
    is_alone.then(|| note(dataset, from, time.len() - from, "after", before))
}

/// Whether so many of all purchases lie on one day that is far from the others, which themselves
/// span less than twice that distance.
fn is_lone_day(count: usize, all: usize, gap: u32, span: u32) -> bool {
    count * REPEATED <= all && gap > FAR.max(span / 2)
}

/// The note for `count` purchases from row `from` on.
fn note(dataset: &Dataset, from: usize, count: usize, side: &str, others: Timestamp) -> String {
    let purchases = &dataset.purchases;
    let (day, article) =
        (purchases.time[from].date_string(), dataset.articles.ids.get(purchases.article[from]));
    format!(
        "{count} of {} purchases {} long {side} all others, which {} {}; the first is of {day}, article `{article}`. \
         If the date is wrong, leave such rows out with `where`, or a split by time will go wrong",
        purchases.len(),
        if count == 1 { "lies" } else { "lie" },
        if side == "after" { "end on" } else { "begin on" },
        others.date_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Purchases;

    fn dataset(days: impl Iterator<Item = u32>) -> Dataset {
        let time: Vec<Timestamp> = days.map(|day| Timestamp(day * Timestamp::DAY)).collect();
        let mut dataset = Dataset { time_unit: TimeUnit::Day, ..Dataset::default() };
        dataset.articles.ids.insert("lamp");
        let article = vec![0; time.len()];
        dataset.purchases =
            Purchases { customer: article.clone(), article, time, ..Purchases::default() };
        dataset
    }

    #[test]
    fn lone_purchases_far_from_all_others_are_told() {
        let days = || (0..3_000).map(|n| 15_000 + n / 10);
        assert_eq!(notes(&dataset(days())), [""; 0]);
        let found = notes(&dataset([0].into_iter().chain(days()).chain([21_915, 21_916])));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].contains("1 of 3003 purchases lies long before")
                && found[0].contains("1970-01-01"),
            "{found:?}"
        );
        assert!(
            found[1].contains("2 of 3003 purchases lie long after")
                && found[1].contains("2030-01-01"),
            "{found:?}"
        );
        assert!(found[1].contains("end on 2011-11-21") && found[1].contains("`lamp`"), "{found:?}");
        // A shop that was closed for years is none: too many purchases lie on both sides.
        assert_eq!(notes(&dataset(days().chain((0..3_000).map(|n| 18_000 + n / 10)))), [""; 0]);
    }

    #[test]
    fn customers_who_may_be_nobody_are_told() {
        let mut dataset = dataset((0..30).map(|n| 15_000 + n));
        dataset.customers.ids.insert("ann");
        dataset.customers.ids.insert("guest");
        assert_eq!(notes(&dataset), [""; 0]);
        dataset.purchases.customer = (0..30).map(|n| u32::from(n >= 8)).collect();
        let found = notes(&dataset);
        assert!(found[0].contains("customer `guest` has 22 of 30 purchases"), "{found:?}");
    }

    #[test]
    fn one_day_far_from_all_others_is_told_however_many_lie_there() {
        let days = || (0..3_000).map(|n| 19_000 + n / 10);
        for count in [60, 700] {
            let found = notes(&dataset((0..count).map(|_| 0).chain(days())));
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(
                found[0]
                    .contains(&format!("{count} of {} purchases lie long before", 3_000 + count))
            );
            let found = notes(&dataset(days().chain((0..count).map(|_| 20_400))));
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(
                found[0].contains("lie long after") && found[0].contains("2025-11-08"),
                "{found:?}"
            );
        }
        // Several days are a season, however long the shop was closed before.
        assert_eq!(notes(&dataset(days().chain((0..60).map(|n| 20_400 + n / 10)))), [""; 0]);
    }

    #[test]
    fn a_customer_who_buys_far_more_than_any_other_is_told_whatever_the_id() {
        let mut dataset = dataset((0..1_000).map(|n| 19_000 + n / 10));
        for row in 0..50 {
            dataset.customers.ids.insert(&format!("c{row}"));
        }
        dataset.customers.ids.insert("k.A.");
        let customer = |n: u32, nobody: u32| if n < nobody { 50 } else { n % 50 };
        dataset.purchases.customer = (0..1_000).map(|n| customer(n, 300)).collect();
        let found = notes(&dataset);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("customer `k.A.` has 300 of 1000 purchases"), "{found:?}");
        assert!(found[0].contains("missing = [\"k.A.\"]"), "{found:?}");
        // A shop's best customer is a customer.
        dataset.purchases.customer = (0..1_000).map(|n| customer(n, 40)).collect();
        assert_eq!(notes(&dataset), [""; 0]);
    }
}
