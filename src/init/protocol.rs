//! How a shop's models are tested: which purchases are held out, and what is measured.

use super::shop::Shop;
use crate::dataset::{Dataset, Histories};

/// `[split]` and `training.metric`, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Protocol {
    pub split: Split,
    pub metric: &'static str,
    pub why: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// The last days, and as many before them for validation.
    Time { days: u32 },
    LeaveOneOut {
        /// Held-out articles that the customer had bought before are asked for too.
        keep_repeats: bool,
    },
}

/// Windows that are tried, in days.
const WINDOWS: [u32; 4] = [7, 14, 28, 60];
/// Customers a window should hold, so that models can be told apart.
const ENOUGH: usize = 200;
/// Fewer hits than this among the first twelve are chance.
const HITS: usize = 50;
/// Share of repeated purchases from which a test must ask for them.
pub(super) const OFTEN: f64 = 0.05;

impl Protocol {
    pub fn of(shop: &Shop, dataset: &Dataset, histories: &Histories) -> Self {
        let (split, mut why) = split(shop, dataset, histories);
        let hits = popular_hits(dataset, histories, split);
        let metric = match split {
            _ if hits.found < HITS && hits.found * 2 < hits.cases => "hr@100",
            Split::Time { .. } => "recall@12",
            Split::LeaveOneOut { .. } => "ndcg@10",
        };
        if metric == "hr@100" {
            why.push(format!(
                "the twelve best-sellers hit {} of {} validation cases: too few to tell models apart, so hr@100 judges",
                hits.found, hits.cases
            ));
        }
        Self { split, metric, why }
    }

    /// The section `[split]` of a configuration.
    pub(super) fn section(&self) -> String {
        match self.split {
            Split::Time { days } => {
                format!(
                    "[split]\nprotocol = \"time\"\ntest_days = {days}\nvalidation_days = {days}\n"
                )
            }
            Split::LeaveOneOut { keep_repeats } => {
                let repeats = if keep_repeats { "keep" } else { "drop" };
                format!("[split]\nprotocol = \"leave-one-out\"\nrepeats = \"{repeats}\"\n")
            }
        }
    }
}

fn split(shop: &Shop, dataset: &Dataset, histories: &Histories) -> (Split, Vec<String>) {
    let leave_one_out = |reason: String| {
        let keep_repeats = shop.repeats >= OFTEN;
        let repeats = if keep_repeats {
            ", articles bought before included, because customers buy things again"
        } else {
            ""
        };
        let text = format!("{reason}: each customer's last purchase is the test{repeats}");
        (Split::LeaveOneOut { keep_repeats }, vec![text])
    };
    let Some(days) = shop.days else {
        return leave_one_out("the purchases have an order but no dates".to_owned());
    };
    // Two windows must leave at least half of the time to learn from.
    let windows: Vec<(u32, usize)> = WINDOWS
        .into_iter()
        .filter(|window| window * 4 <= days)
        .map(|window| (window, cases(dataset, histories, window)))
        .collect();
    let enough = windows.iter().find(|(_, cases)| *cases >= ENOUGH);
    match enough.or_else(|| windows.iter().min_by_key(|(_, cases)| std::cmp::Reverse(*cases))) {
        Some(&(window, cases)) if cases >= 30 => {
            let why = format!(
                "the last {window} days are the test and the {window} before them the validation"
            );
            let held = if cases >= ENOUGH { "at least" } else { "no window holds more than" };
            (
                Split::Time { days: window },
                vec![format!("{why}: {held} {cases} customers bought in each")],
            )
        }
        Some(_) => leave_one_out("hardly anybody bought in the last weeks".to_owned()),
        None => leave_one_out(format!("{days} days are too few to hold weeks out")),
    }
}

/// Customers with purchases in the last window and in the one before it: the fewer of both.
fn cases(dataset: &Dataset, histories: &Histories, window: u32) -> usize {
    let time = &dataset.purchases.time;
    let end = time.last().map_or(0, |last| last.day() + 1);
    let (mut test, mut validation) = (0, 0);
    for customer in 0..histories.customers() as u32 {
        let day = |row: &u32| time[*row as usize].day();
        let rows = histories.of_customer(customer);
        test += usize::from(rows.last().is_some_and(|row| day(row) >= end - window));
        let from = rows.partition_point(|row| day(row) < end - 2 * window);
        validation += usize::from(rows.get(from).is_some_and(|row| day(row) < end - window));
    }
    test.min(validation)
}

struct Hits {
    found: usize,
    cases: usize,
}

/// How many validation cases the twelve best-sellers before them hit: a first idea of how hard the
/// test is.
fn popular_hits(dataset: &Dataset, histories: &Histories, split: Split) -> Hits {
    let purchases = &dataset.purchases;
    let mut counts = vec![0u32; dataset.articles.len()];
    let end = purchases.time.last().map_or(0, |last| last.day() + 1);
    // Rows of a customer that are asked for; what comes before them is known.
    let asked = |rows: &[u32]| match split {
        Split::LeaveOneOut { .. } if rows.len() < 3 => (rows.len(), rows.len()),
        Split::LeaveOneOut { .. } => (rows.len() - 2, rows.len() - 1),
        Split::Time { days } => {
            let at =
                |day: u32| rows.partition_point(|&row| purchases.time[row as usize].day() < day);
            (at(end.saturating_sub(2 * days)), at(end.saturating_sub(days)))
        }
    };
    let customers =
        || (0..histories.customers() as u32).map(|customer| histories.of_customer(customer));
    for rows in customers() {
        rows[..asked(rows).0]
            .iter()
            .for_each(|&row| counts[purchases.article[row as usize] as usize] += 1);
    }
    let mut order: Vec<u32> = (0..counts.len() as u32).collect();
    order.sort_by_key(|&article| std::cmp::Reverse(counts[article as usize]));
    order.truncate(12);
    let mut hits = Hits { found: 0, cases: 0 };
    for rows in customers() {
        let (from, to) = asked(rows);
        let wanted = &rows[from..to];
        hits.cases += usize::from(!wanted.is_empty());
        hits.found +=
            usize::from(wanted.iter().any(|&row| order.contains(&purchases.article[row as usize])));
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dataset::TimeUnit, domain::Timestamp, features::testing};

    fn protocol(customers: u32, days: u32, unit: TimeUnit) -> Protocol {
        of_articles(40, customers, days, unit)
    }

    fn of_articles(articles: u32, customers: u32, days: u32, unit: TimeUnit) -> Protocol {
        let mut dataset = testing::shop(0, articles as usize, customers as usize, 0, unit);
        for day in 0..days {
            for customer in (0..customers).filter(|customer| (customer + day) % 9 == 0) {
                dataset.purchases.customer.push(customer);
                dataset.purchases.article.push((customer * 7 + day * day) % articles);
                dataset.purchases.time.push(Timestamp((18_000 + day) * Timestamp::DAY));
            }
        }
        let histories = Histories::of(&dataset);
        Protocol::of(&Shop::of(&dataset, &histories), &dataset, &histories)
    }

    #[test]
    fn the_window_holds_enough_customers_or_leaves_one_out() {
        assert_eq!(protocol(300, 90, TimeUnit::Day).split, Split::Time { days: 7 });
        assert_eq!(protocol(40, 300, TimeUnit::Day).split, Split::Time { days: 14 });
        assert!(matches!(protocol(300, 20, TimeUnit::Day).split, Split::LeaveOneOut { .. }));
        assert!(matches!(protocol(300, 90, TimeUnit::Position).split, Split::LeaveOneOut { .. }));
    }

    #[test]
    fn few_hits_are_judged_by_longer_lists() {
        let few = of_articles(3_000, 40, 300, TimeUnit::Day);
        assert!(
            few.metric == "hr@100" && few.why.iter().any(|why| why.contains("too few")),
            "{few:?}"
        );
        assert_eq!(protocol(2_000, 90, TimeUnit::Day).metric, "recall@12");
    }
}
