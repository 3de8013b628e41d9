//! What is suspicious in purchases as a whole: some that lie years before or after all others,
//! which would ruin a split by time, and customers that are nobody.

use crate::{
    dataset::{Dataset, TimeUnit},
    domain::Timestamp,
};

/// At most one row of so many is an outlier.
const RARE: usize = 1_000;

/// The least distance that is suspicious.
const FAR: u32 = 180 * Timestamp::DAY;

/// Ids that often stand for "no customer".
const NOBODY: [&str; 12] = [
    "0",
    "-1",
    "00000",
    "guest",
    "Guest",
    "unknown",
    "Unknown",
    "anonymous",
    "Anonymous",
    "undefined",
    "(not set)",
    "(null)",
];

/// Purchases from which on such an id is told.
const MANY: usize = 20;

/// What the report says of suspicious purchases, which are sorted by time.
pub(super) fn notes(dataset: &Dataset) -> Vec<String> {
    let mut notes = dates(dataset);
    notes.extend(NOBODY.iter().filter_map(|id| nobody(dataset, id)));
    notes
}

/// The note for a customer with an id that may stand for nobody.
fn nobody(dataset: &Dataset, id: &str) -> Option<String> {
    let row = dataset.customers.ids.find(id)?;
    let count = dataset.purchases.customer.iter().filter(|&&customer| customer == row).count();
    (count >= MANY).then(|| {
        format!(
            "customer `{id}` has {count} of {} purchases; if the id means no customer, write missing = [\"{id}\"] in \
             [purchases]",
            dataset.purchases.len()
        )
    })
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
    if let Some(last) = (1..=rare).find(|&n| is_far(time[n].0 - time[n - 1].0)) {
        notes.push(note(dataset, 0, last, "before", time[last]));
    }
    if let Some(first) =
        (time.len() - rare..time.len()).find(|&n| is_far(time[n].0 - time[n - 1].0))
    {
        notes.push(note(dataset, first, time.len() - first, "after", time[first - 1]));
    }
    notes
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
}
