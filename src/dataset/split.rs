//! Splits of a dataset into training purchases and evaluation cases, always along time.

use super::{Dataset, Histories, TimeUnit};
use crate::domain::Timestamp;

/// How purchases are held out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "protocol", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Protocol {
    /// The last `test_days` days are the test window, the `validation_days` before them the validation
    /// window; a case is a customer with purchases in the window. Bought articles may be recommended again.
    Temporal { test_days: u32, validation_days: u32 },
    /// Each customer's last purchase is the test case and the one before it the validation case (customers
    /// with fewer than 3 purchases only train). Articles the customer already has are not recommended.
    LeaveOneOut,
}

impl Protocol {
    /// The purchases, in order, that a case asks for.
    pub fn held_out<'h>(self, dataset: &Dataset, histories: &'h Histories, case: &Case) -> &'h [u32] {
        let after = &histories.of_customer(case.customer)[case.known as usize..];
        let Self::Temporal { test_days, .. } = self else { return &after[..1] };
        let time = &dataset.purchases.time;
        let test = time.last().map_or(0, |last| (last.day() + 1).saturating_sub(test_days));
        if case.at.day() >= test {
            return after;
        }
        &after[..after.partition_point(|&row| time[row as usize].day() < test)]
    }
}

/// One evaluation query: what is known about a customer, and what was bought next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    pub customer: u32,
    /// The moment of the query: the first moment of the window, or the time of the held-out purchase.
    pub at: Timestamp,
    /// How many rows of the customer's [`Histories`] are known at that moment.
    pub known: u32,
    /// The articles bought then: unique, in order.
    pub relevant: Vec<u32>,
}

/// Training purchases and cases. Nothing a case asks for, and nothing bought later by the same customer, is in `train`.
#[derive(Debug)]
pub struct Split {
    pub protocol: Protocol,
    /// Purchase rows to train on, ascending.
    pub train: Vec<u32>,
    /// In order of customers; empty when the window holds nothing or has no days.
    pub validation: Vec<Case>,
    /// In order of customers.
    pub test: Vec<Case>,
    /// Purchase rows held out for validation, ascending.
    validation_rows: Vec<u32>,
}

#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    #[error("the data has no purchase left to train on once the {0} are held out; give more data or a shorter window")]
    NothingToTrain(String),
    #[error("the test split is empty: {0}")]
    NothingToTest(String),
    #[error("this data knows no dates, only an order: use the protocol `leave-one-out`")]
    NeedsDates,
}

impl Split {
    /// # Errors
    /// When training or test would be empty, or a temporal split is asked of data without dates.
    pub fn new(dataset: &Dataset, histories: &Histories, protocol: Protocol) -> Result<Self, SplitError> {
        match protocol {
            Protocol::Temporal { test_days, validation_days } => {
                Self::temporal(dataset, histories, test_days, validation_days)
            }
            Protocol::LeaveOneOut => Self::leave_one_out(dataset, histories),
        }
    }

    /// All purchases before the test, ascending: to train again once validation has told for how long.
    pub fn train_and_validation(&self) -> Vec<u32> {
        let mut rows = Vec::with_capacity(self.train.len() + self.validation_rows.len());
        rows.extend(&self.train);
        rows.extend(&self.validation_rows);
        rows.sort_unstable();
        rows
    }

    fn temporal(
        dataset: &Dataset,
        histories: &Histories,
        test_days: u32,
        validation_days: u32,
    ) -> Result<Self, SplitError> {
        if dataset.time_unit == TimeUnit::Position {
            return Err(SplitError::NeedsDates);
        }
        if test_days == 0 {
            return Err(SplitError::NothingToTest("its window has 0 days".into()));
        }
        let time = &dataset.purchases.time;
        let Some(last) = time.last() else {
            return Err(SplitError::NothingToTest("the data has no purchases".into()));
        };
        let end = last.day() + 1;
        let test = end.saturating_sub(test_days);
        let validation = test.saturating_sub(validation_days);
        // Purchases are sorted by time, so each part is a range of rows.
        let first_row = |day: u32| time.partition_point(|t| t.day() < day) as u32;
        let (validation_row, test_row) = (first_row(validation), first_row(test));
        if validation_row == 0 {
            let days = u64::from(test_days) + u64::from(validation_days);
            return Err(SplitError::NothingToTrain(format!("last {days} days")));
        }
        let window = |from: u32, to: u32| window_cases(dataset, histories, from, to);
        Ok(Self {
            protocol: Protocol::Temporal { test_days, validation_days },
            train: (0..validation_row).collect(),
            validation: window(validation, test),
            test: window(test, end),
            validation_rows: (validation_row..test_row).collect(),
        })
    }

    fn leave_one_out(dataset: &Dataset, histories: &Histories) -> Result<Self, SplitError> {
        let purchases = &dataset.purchases;
        let mut held_out = vec![false; purchases.len()];
        let (mut validation, mut test, mut validation_rows) = (Vec::new(), Vec::new(), Vec::new());
        for customer in 0..histories.customers() as u32 {
            let rows = histories.of_customer(customer);
            let &[.., before_last, last] = rows else { continue };
            if rows.len() < 3 {
                continue;
            }
            let case = |row: u32, known: usize| Case {
                customer,
                at: purchases.time[row as usize],
                known: known as u32,
                relevant: vec![purchases.article[row as usize]],
            };
            validation.push(case(before_last, rows.len() - 2));
            test.push(case(last, rows.len() - 1));
            validation_rows.push(before_last);
            (held_out[before_last as usize], held_out[last as usize]) = (true, true);
        }
        if test.is_empty() {
            return Err(SplitError::NothingToTest("no customer has 3 purchases or more".into()));
        }
        validation_rows.sort_unstable();
        // A customer of a case keeps at least one purchase, so there is something to train on.
        let train = (0..purchases.len() as u32).filter(|&row| !held_out[row as usize]).collect();
        Ok(Self { protocol: Protocol::LeaveOneOut, train, validation, test, validation_rows })
    }
}

/// The customers with purchases on days `from..to`, at the first moment of day `from`.
fn window_cases(dataset: &Dataset, histories: &Histories, from: u32, to: u32) -> Vec<Case> {
    let purchases = &dataset.purchases;
    let day = |row: u32| purchases.time[row as usize].day();
    let mut cases = Vec::new();
    for customer in 0..histories.customers() as u32 {
        let rows = histories.of_customer(customer);
        let known = rows.partition_point(|&row| day(row) < from);
        let mut relevant = Vec::new();
        for &row in rows[known..].iter().take_while(|&&row| day(row) < to) {
            let article = purchases.article[row as usize];
            if !relevant.contains(&article) {
                relevant.push(article);
            }
        }
        if !relevant.is_empty() {
            cases.push(Case { customer, at: Timestamp(from * Timestamp::DAY), known: known as u32, relevant });
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::testing;
    use proptest::prelude::*;

    /// Purchases `(customer, article, day)` of 3 customers and 5 articles.
    fn dataset(rows: &[(u32, u32, u32)]) -> Dataset {
        let mut dataset = testing::shop(0, 5, 3, 0, TimeUnit::Day);
        for &(customer, article, day) in rows {
            dataset.purchases.customer.push(customer);
            dataset.purchases.article.push(article);
            dataset.purchases.time.push(Timestamp(day * Timestamp::DAY));
        }
        dataset
    }

    fn split(dataset: &Dataset, protocol: Protocol) -> Result<Split, SplitError> {
        Split::new(dataset, &Histories::of(dataset), protocol)
    }

    fn case(customer: u32, day: u32, known: u32, relevant: &[u32]) -> Case {
        Case { customer, at: Timestamp(day * Timestamp::DAY), known, relevant: relevant.to_vec() }
    }

    #[test]
    fn temporal_windows_are_whole_days_at_the_end() {
        let dataset =
            dataset(&[(0, 0, 10), (1, 1, 12), (0, 2, 13), (2, 3, 14), (0, 4, 15), (0, 4, 15), (0, 1, 15), (1, 1, 16)]);
        let split = split(&dataset, Protocol::Temporal { test_days: 2, validation_days: 2 }).unwrap();
        assert_eq!(split.train, [0, 1]);
        assert_eq!(split.validation, [case(0, 13, 1, &[2]), case(2, 13, 0, &[3])]);
        assert_eq!(split.test, [case(0, 15, 2, &[1, 4]), case(1, 15, 1, &[1])]);
        assert_eq!(split.train_and_validation(), [0, 1, 2, 3]);
    }

    #[test]
    fn leave_one_out_takes_the_last_two() {
        let dataset = dataset(&[(0, 0, 10), (1, 1, 12), (0, 2, 13), (1, 3, 14), (0, 4, 15), (0, 1, 15)]);
        let split = split(&dataset, Protocol::LeaveOneOut).unwrap();
        // On day 15 article 1 comes before article 4 by id.
        assert_eq!(split.validation, [case(0, 15, 2, &[1])]);
        assert_eq!(split.test, [case(0, 15, 3, &[4])]);
        assert_eq!(split.train, [0, 1, 2, 3], "a customer of two purchases only trains");
        assert_eq!(split.train_and_validation(), [0, 1, 2, 3, 5]);
    }

    #[test]
    fn empty_parts_are_errors() {
        let temporal = |test_days, validation_days| Protocol::Temporal { test_days, validation_days };
        let mut few = dataset(&[(0, 0, 10), (0, 1, 12)]);
        assert!(matches!(split(&few, temporal(3, 0)), Err(SplitError::NothingToTrain(_))));
        assert!(matches!(split(&few, temporal(u32::MAX, u32::MAX)), Err(SplitError::NothingToTrain(_))));
        assert!(matches!(split(&few, temporal(0, 1)), Err(SplitError::NothingToTest(_))));
        assert!(matches!(split(&few, Protocol::LeaveOneOut), Err(SplitError::NothingToTest(_))));
        assert!(matches!(split(&dataset(&[]), temporal(1, 1)), Err(SplitError::NothingToTest(_))));
        few.time_unit = TimeUnit::Position;
        assert!(matches!(split(&few, temporal(1, 0)), Err(SplitError::NeedsDates)));
    }

    #[test]
    fn a_basket_does_not_know_itself() {
        let mut dataset = dataset(&[(0, 0, 10), (0, 1, 10), (1, 1, 10), (0, 2, 12), (0, 3, 12)]);
        let known = |dataset: &Dataset| Histories::of(dataset).known_before_purchases(dataset);
        assert_eq!(known(&dataset), [0, 0, 0, 2, 2]);
        dataset.time_unit = TimeUnit::Second;
        assert_eq!(known(&dataset), [0, 1, 0, 2, 3]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_parts_cover_everything_once_and_cases_know_only_the_past(seed: u64, n in 1usize..300, test_days in 1u32..9, leave: bool) {
            let dataset = testing::shop(seed, 9, 12, n, TimeUnit::Second);
            let protocol = if leave { Protocol::LeaveOneOut } else { Protocol::Temporal { test_days, validation_days: 3 } };
            let histories = Histories::of(&dataset);
            let Ok(split) = Split::new(&dataset, &histories, protocol) else { return Ok(()) };
            let mut parts = split.train_and_validation();
            let before_test = parts.len();
            for (cases, held_out) in [(&split.validation, false), (&split.test, true)] {
                for case in cases {
                    let rows = histories.of_customer(case.customer);
                    let (past, future) = rows.split_at(case.known as usize);
                    let taken = if leave { &future[..1] } else if held_out { future } else {
                        &future[..future.iter().filter(|row| !split.test.iter().any(|t| t.customer == case.customer && rows[t.known as usize..].contains(row))).count()]
                    };
                    prop_assert!(past.iter().all(|&row| dataset.purchases.time[row as usize] <= case.at));
                    prop_assert!(past.iter().all(|row| split.train.binary_search(row).is_ok() || (held_out && split.validation_rows.binary_search(row).is_ok())));
                    prop_assert_eq!(split.protocol.held_out(&dataset, &histories, case), taken);
                    let bought: std::collections::BTreeSet<u32> = taken.iter().map(|&row| dataset.purchases.article[row as usize]).collect();
                    let mut relevant = case.relevant.clone();
                    relevant.sort_unstable();
                    prop_assert_eq!(bought.into_iter().collect::<Vec<_>>(), relevant);
                    if held_out { parts.extend(taken) }
                }
            }
            prop_assert!(parts[..before_test].is_sorted());
            parts.sort_unstable();
            prop_assert_eq!(parts, (0..n as u32).collect::<Vec<_>>());
        }
    }
}
