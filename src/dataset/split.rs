//! Splits of a dataset into training purchases and evaluation cases, always along time.

use super::{Dataset, Histories, Ties, TimeUnit};
use crate::domain::Timestamp;

/// How purchases are held out: `[split]` of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "trainer", derive(schemars::JsonSchema))]
#[serde(tag = "protocol", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Protocol {
    /// The last `test_days` days are the test window, the `validation_days` before them the
    /// validation window; a case is a customer with purchases in the window.
    #[serde(alias = "temporal")]
    Time {
        test_days: u32,
        validation_days: u32,
        #[serde(default = "keep_repeats")]
        repeats: Repeats,
    },
    /// Each customer's last purchase is the test case and the one before it the validation case
    /// (customers with fewer than 3 purchases only train).
    LeaveOneOut {
        #[serde(default = "drop_repeats")]
        repeats: Repeats,
    },
}

/// What becomes of held-out articles that the customer had bought before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "trainer", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Repeats {
    /// They are not asked for, and articles the customer has are not recommended: can the model
    /// find something new? A case that asks for nothing else is dropped and counted.
    Drop,
    /// They are asked for like any other, and nothing is masked: for shops whose customers buy
    /// things again.
    Keep,
}

fn keep_repeats() -> Repeats {
    Repeats::Keep
}

fn drop_repeats() -> Repeats {
    Repeats::Drop
}

impl Protocol {
    /// Windows of whole days, bought articles asked for and recommended again.
    pub const fn time(test_days: u32, validation_days: u32) -> Self {
        Self::Time { test_days, validation_days, repeats: Repeats::Keep }
    }

    /// Leave-one-out of articles that are new to the customer.
    pub const fn leave_one_out() -> Self {
        Self::LeaveOneOut { repeats: Repeats::Drop }
    }

    pub fn repeats(self) -> Repeats {
        match self {
            Self::Time { repeats, .. } | Self::LeaveOneOut { repeats } => repeats,
        }
    }

    #[must_use]
    pub fn with_repeats(self, repeats: Repeats) -> Self {
        match self {
            Self::Time { test_days, validation_days, .. } => {
                Self::Time { test_days, validation_days, repeats }
            }
            Self::LeaveOneOut { .. } => Self::LeaveOneOut { repeats },
        }
    }

    /// The name of a test in reports. Leave-one-out has two, because a model that also learnt from
    /// the validation purchases scores higher for free: the numbers of one must not stand beside
    /// those of the other.
    pub fn name(self, trained_on_validation: bool) -> &'static str {
        match self {
            Self::Time { .. } => "time",
            Self::LeaveOneOut { .. } if trained_on_validation => "loo-refit",
            Self::LeaveOneOut { .. } => "loo-strict",
        }
    }

    /// What the test asks for, in words that follow "tested on".
    pub fn describe(self) -> String {
        match self {
            Self::Time { test_days: 1, .. } => "the last day".to_owned(),
            Self::Time { test_days, .. } => format!("the last {test_days} days"),
            Self::LeaveOneOut { .. } => "each customer's last purchase".to_owned(),
        }
    }

    /// Whether two protocols hold the same purchases out for the test.
    pub fn tests_the_same(self, other: Self) -> bool {
        match (self, other) {
            (Self::Time { test_days: a, .. }, Self::Time { test_days: b, .. }) => a == b,
            (Self::LeaveOneOut { .. }, Self::LeaveOneOut { .. }) => true,
            _ => false,
        }
    }

    /// The purchases, in order, that a case holds out.
    pub fn held_out<'h>(
        self,
        dataset: &Dataset,
        histories: &'h Histories,
        case: &Case,
    ) -> &'h [u32] {
        let after = &histories.of_customer(case.customer)[case.known as usize..];
        let Self::Time { test_days, .. } = self else { return &after[..1] };
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
    /// The moment of the query: the first moment of the window, or the time of the held-out
    /// purchase.
    pub at: Timestamp,
    /// How many rows of the customer's [`Histories`] are known at that moment.
    pub known: u32,
    /// The articles bought then: unique, in order.
    pub relevant: Vec<u32>,
}

/// Training purchases and cases. Nothing a case asks for, and nothing bought later by the same
/// customer, is in `train`.
#[derive(Debug)]
pub struct Split {
    pub protocol: Protocol,
    /// Purchase rows to train on, ascending.
    pub train: Vec<u32>,
    /// In order of customers; empty when the window holds nothing or has no days.
    pub validation: Vec<Case>,
    /// In order of customers.
    pub test: Vec<Case>,
    /// Cases that [`Repeats::Drop`] left out.
    pub dropped: Dropped,
    /// Purchase rows held out for validation, ascending.
    validation_rows: Vec<u32>,
}

/// Purchases known, and the cases of the window that follows them: one moment of the past at which
/// settings can be tried.
#[derive(Debug)]
pub struct Fold<'a> {
    /// Purchase rows before the window, ascending.
    pub train: &'a [u32],
    pub cases: Vec<Case>,
}

/// Cases left out because they ask for nothing that is new to the customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dropped {
    pub validation: usize,
    pub test: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    #[error(
        "the data has no purchase left to train on once the {0} are held out; give more data or a shorter window"
    )]
    NothingToTrain(String),
    #[error("the test split is empty: {0}")]
    NothingToTest(String),
    #[error(
        "`split.test_days` is 0, so nothing would be left to test the model by. To ship a model that was trained on \
         everything, keep a test window and set `training.refit = \"all\"`: the metrics are measured first, then the \
         model is trained once more on all purchases"
    )]
    NoTestDays,
    #[error(
        "each of the {0} held-out articles had been bought before by the same customer, so `repeats = \"drop\"` leaves \
         no case; use `repeats = \"keep\"` in [split], or `--repeats keep`"
    )]
    OnlyRepeats(usize),
    #[error(transparent)]
    Outlier(Box<Outlier>),
    #[error("these purchases have an order but no dates; use the protocol `leave-one-out`")]
    NeedsDates,
}

/// Dates far after all others, which would make a test window of next to nothing.
#[derive(Debug, thiserror::Error)]
#[error(
    "the test window (the last {test_days} days, {} to {}) holds {purchases} of {total} purchases, by {cases} customers, \
     because {} {days} days after {}, the last purchase before {}. Correct or remove the rows dated {} or later, or, if \
     the dates are right, raise `split.test_days` (`--test-days`) or use the protocol `leave-one-out`",
    window.date_string(), last.date_string(), if *purchases == 1 { "its only purchase is dated" } else { "they are dated" },
    before.date_string(), if *purchases == 1 { "it" } else { "them" }, first.date_string()
)]
pub struct Outlier {
    pub test_days: u32,
    pub window: Timestamp,
    /// The first and the last purchase in the window.
    pub first: Timestamp,
    pub last: Timestamp,
    pub cases: usize,
    pub purchases: usize,
    pub total: usize,
    /// The last purchase before the window, and the days from it to `first`.
    pub before: Timestamp,
    pub days: u32,
}

impl Split {
    /// # Errors
    /// When training or test would be empty, when a split by time is asked of data without dates,
    /// or when a few dates far after all others would make the test window.
    pub fn new(
        dataset: &Dataset,
        histories: &Histories,
        protocol: Protocol,
    ) -> Result<Self, SplitError> {
        match protocol {
            Protocol::Time { test_days, validation_days, repeats } => {
                Self::time(dataset, histories, (test_days, validation_days), repeats)
            }
            Protocol::LeaveOneOut { repeats } => Self::leave_one_out(dataset, histories, repeats),
        }
    }

    /// All purchases before the test, ascending: to train again once validation has told for how
    /// long.
    pub fn train_and_validation(&self) -> Vec<u32> {
        let mut rows = Vec::with_capacity(self.train.len() + self.validation_rows.len());
        rows.extend(&self.train);
        rows.extend(&self.validation_rows);
        rows.sort_unstable();
        rows
    }

    /// The validation window and those of the same length before it, the latest first, at most
    /// `most`; one week alone tells little about a half-life. Windows in the older half of the
    /// training time are left out, because little is known before them. Leave-one-out has one fold.
    pub fn folds(&self, dataset: &Dataset, histories: &Histories, most: usize) -> Vec<Fold<'_>> {
        let mut folds = Vec::new();
        if !self.validation.is_empty() && most > 0 {
            folds.push(Fold { train: &self.train, cases: self.validation.clone() });
        }
        let Protocol::Time { test_days, validation_days, repeats } = self.protocol else {
            return folds;
        };
        let time = &dataset.purchases.time;
        let (Some(first), Some(last)) = (time.first(), time.last()) else { return folds };
        let test = (last.day() + 1).saturating_sub(test_days);
        let validation = test.saturating_sub(validation_days);
        let middle = first.day() + validation.saturating_sub(first.day()) / 2;
        let mut to = validation;
        while validation_days > 0
            && folds.len() < most
            && to.saturating_sub(validation_days) > middle
        {
            let from = to - validation_days;
            let known = self.train.partition_point(|&row| time[row as usize].day() < from);
            let (cases, _) = window_cases(dataset, histories, (from, to), repeats);
            if !cases.is_empty() {
                folds.push(Fold { train: &self.train[..known], cases });
            }
            to = from;
        }
        folds
    }

    /// The purchases held out for the test, ascending: neither in training nor in validation.
    pub fn test_rows(&self, dataset: &Dataset) -> Vec<u32> {
        let mut known = vec![false; dataset.purchases.len()];
        self.train.iter().chain(&self.validation_rows).for_each(|&row| known[row as usize] = true);
        (0..dataset.purchases.len() as u32).filter(|&row| !known[row as usize]).collect()
    }

    /// A name for the purchases held out for the test: who bought what when. Equal for equal
    /// purchases, whatever else is in the data and in whatever order.
    pub fn held_out_fingerprint(&self, dataset: &Dataset) -> String {
        let purchases = &dataset.purchases;
        let rows = self.test_rows(dataset);
        // Two sums of independent hashes: they do not depend on an order.
        let sums = rows.iter().map(|&row| {
            let customer = dataset.customers.ids.get(purchases.customer[row as usize]);
            let article = dataset.articles.ids.get(purchases.article[row as usize]);
            let (time, millis) = purchases.moment_of(row);
            let moment = u64::from(time.0) << 10 | u64::from(millis);
            [moment, !moment].map(|seed| Ties::of(seed, customer).place(article))
        });
        let [a, b] = sums.fold([0u64; 2], |[a, b], [x, y]| [a.wrapping_add(x), b.wrapping_add(y)]);
        format!("{}-{a:016x}{b:016x}", rows.len())
    }

    fn time(
        dataset: &Dataset,
        histories: &Histories,
        (test_days, validation_days): (u32, u32),
        repeats: Repeats,
    ) -> Result<Self, SplitError> {
        if dataset.time_unit == TimeUnit::Position {
            return Err(SplitError::NeedsDates);
        }
        if test_days == 0 {
            return Err(SplitError::NoTestDays);
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
        let window = |from: u32, to: u32| window_cases(dataset, histories, (from, to), repeats);
        let (test_cases, test_dropped) = window(test, end);
        check_dates(dataset, test_row as usize, test_days, test_cases.len() + test_dropped)?;
        if validation_row == 0 {
            let days = u64::from(test_days) + u64::from(validation_days);
            return Err(SplitError::NothingToTrain(format!("last {days} days")));
        }
        if test_cases.is_empty() {
            return Err(SplitError::OnlyRepeats(test_dropped));
        }
        let (validation_cases, validation_dropped) = window(validation, test);
        Ok(Self {
            protocol: Protocol::Time { test_days, validation_days, repeats },
            train: (0..validation_row).collect(),
            validation: validation_cases,
            test: test_cases,
            dropped: Dropped { validation: validation_dropped, test: test_dropped },
            validation_rows: (validation_row..test_row).collect(),
        })
    }

    fn leave_one_out(
        dataset: &Dataset,
        histories: &Histories,
        repeats: Repeats,
    ) -> Result<Self, SplitError> {
        let purchases = &dataset.purchases;
        let mut held_out = vec![false; purchases.len()];
        let (mut validation, mut test, mut validation_rows) = (Vec::new(), Vec::new(), Vec::new());
        let mut dropped = Dropped::default();
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
            let is_dropped = |row: u32, known: usize| {
                let article = purchases.article[row as usize];
                repeats == Repeats::Drop
                    && rows[..known]
                        .iter()
                        .any(|&known| purchases.article[known as usize] == article)
            };
            // A dropped purchase stays held out: whether it is asked for must not change what is
            // learnt.
            match is_dropped(before_last, rows.len() - 2) {
                true => dropped.validation += 1,
                false => validation.push(case(before_last, rows.len() - 2)),
            }
            match is_dropped(last, rows.len() - 1) {
                true => dropped.test += 1,
                false => test.push(case(last, rows.len() - 1)),
            }
            validation_rows.push(before_last);
            (held_out[before_last as usize], held_out[last as usize]) = (true, true);
        }
        if test.is_empty() {
            return Err(match dropped.test {
                0 => SplitError::NothingToTest("no customer has 3 purchases or more".into()),
                dropped => SplitError::OnlyRepeats(dropped),
            });
        }
        validation_rows.sort_unstable();
        // A customer of a case keeps at least one purchase, so there is something to train on.
        let train = (0..purchases.len() as u32).filter(|&row| !held_out[row as usize]).collect();
        Ok(Self {
            protocol: Protocol::LeaveOneOut { repeats },
            train,
            validation,
            test,
            dropped,
            validation_rows,
        })
    }
}

/// Test windows of fewer cases than this are suspected to be wrong dates.
const FEW_CASES: usize = 10;

/// Refuses a test window that a few wrong dates made: it holds fewer than [`FEW_CASES`] cases and
/// at most a thousandth of the purchases (a hundredth in data too small for that), after a gap
/// longer than itself.
fn check_dates(
    dataset: &Dataset,
    first: usize,
    test_days: u32,
    cases: usize,
) -> Result<(), SplitError> {
    let time = &dataset.purchases.time;
    let (total, purchases) = (time.len(), time.len() - first);
    let rare = if total >= 10_000 { purchases * 1_000 <= total } else { purchases * 100 <= total };
    if first == 0 || cases >= FEW_CASES || !rare {
        return Ok(());
    }
    let (before, first) = (time[first - 1], time[first]);
    let days = first.day() - before.day();
    if days <= test_days {
        return Ok(());
    }
    let last = time[total - 1];
    let window = Timestamp((last.day() + 1).saturating_sub(test_days) * Timestamp::DAY);
    Err(SplitError::Outlier(Box::new(Outlier {
        test_days,
        window,
        first,
        last,
        cases,
        purchases,
        total,
        before,
        days,
    })))
}

/// The customers with purchases on days `from..to`, at the first moment of day `from`; and how many
/// more there are who bought nothing new.
fn window_cases(
    dataset: &Dataset,
    histories: &Histories,
    (from, to): (u32, u32),
    repeats: Repeats,
) -> (Vec<Case>, usize) {
    let purchases = &dataset.purchases;
    let day = |row: u32| purchases.time[row as usize].day();
    let (mut cases, mut dropped) = (Vec::new(), 0);
    for customer in 0..histories.customers() as u32 {
        let rows = histories.of_customer(customer);
        let known = rows.partition_point(|&row| day(row) < from);
        let bought_before = |article: u32| {
            rows[..known].iter().any(|&row| purchases.article[row as usize] == article)
        };
        let mut relevant = Vec::new();
        let mut bought_any = false;
        for &row in rows[known..].iter().take_while(|&&row| day(row) < to) {
            bought_any = true;
            let article = purchases.article[row as usize];
            let asked = repeats == Repeats::Keep || !bought_before(article);
            if asked && !relevant.contains(&article) {
                relevant.push(article);
            }
        }
        if !relevant.is_empty() {
            cases.push(Case {
                customer,
                at: Timestamp(from * Timestamp::DAY),
                known: known as u32,
                relevant,
            });
        } else if bought_any {
            dropped += 1;
        }
    }
    (cases, dropped)
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
        let dataset = dataset(&[
            (0, 0, 10),
            (1, 1, 12),
            (0, 2, 13),
            (2, 3, 14),
            (0, 4, 15),
            (0, 4, 15),
            (0, 1, 16),
            (1, 1, 16),
        ]);
        let split = split(&dataset, Protocol::time(2, 2)).unwrap();
        assert_eq!(split.train, [0, 1]);
        assert_eq!(split.validation, [case(0, 13, 1, &[2]), case(2, 13, 0, &[3])]);
        assert_eq!(split.test, [case(0, 15, 2, &[4, 1]), case(1, 15, 1, &[1])]);
        assert_eq!(split.train_and_validation(), [0, 1, 2, 3]);
    }

    #[test]
    fn folds_go_back_window_by_window_to_the_middle_of_the_training_time() {
        let dataset = dataset(&[
            (0, 0, 0),
            (0, 1, 6),
            (1, 2, 10),
            (0, 3, 12),
            (1, 4, 14),
            (0, 5, 15),
            (0, 6, 17),
        ]);
        let split = split(&dataset, Protocol::time(2, 2)).unwrap();
        let histories = Histories::of(&dataset);
        let folds = split.folds(&dataset, &histories, 9);
        let found: Vec<_> =
            folds.iter().map(|fold| (fold.train.len(), fold.cases.clone())).collect();
        let expected = [
            (4, vec![case(0, 14, 3, &[5]), case(1, 14, 1, &[4])]),
            (3, vec![case(0, 12, 2, &[3])]),
            (2, vec![case(1, 10, 0, &[2])]),
        ];
        assert_eq!(found, expected, "the window of days 8 and 9 is empty, that of 6 and 7 too old");
        assert_eq!(split.folds(&dataset, &histories, 2).len(), 2);
        assert_eq!(split.folds(&dataset, &histories, 0).len(), 0);
        let last = Split::new(&dataset, &histories, Protocol::leave_one_out()).unwrap();
        assert_eq!(last.folds(&dataset, &histories, 9).len(), 1);
    }

    #[test]
    fn leave_one_out_takes_the_last_two() {
        let dataset =
            dataset(&[(0, 0, 10), (1, 1, 12), (0, 2, 13), (1, 3, 14), (0, 1, 15), (0, 4, 16)]);
        let split = split(&dataset, Protocol::leave_one_out()).unwrap();
        assert_eq!(split.validation, [case(0, 15, 2, &[1])]);
        assert_eq!(split.test, [case(0, 16, 3, &[4])]);
        assert_eq!(split.train, [0, 1, 2, 3], "a customer of two purchases only trains");
        assert_eq!(split.train_and_validation(), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn repeats_are_dropped_and_counted_or_kept() {
        // Customer 0 ends with something bought before; customer 1 has it before the last one.
        let rows = [(0, 0, 1), (1, 3, 1), (0, 1, 2), (1, 3, 2), (0, 2, 3), (1, 4, 3), (0, 0, 4)];
        let dataset = dataset(&rows);
        let drop = split(&dataset, Protocol::leave_one_out()).unwrap();
        assert_eq!((drop.dropped, drop.test.len()), (Dropped { validation: 1, test: 1 }, 1));
        assert_eq!((drop.test[0].customer, drop.validation[0].customer), (1, 0));
        let keep = split(&dataset, Protocol::leave_one_out().with_repeats(Repeats::Keep)).unwrap();
        assert_eq!((keep.dropped, keep.test.len()), (Dropped::default(), 2));
        assert_eq!(keep.train, drop.train, "what is dropped is still held out");
        let time = split(&dataset, Protocol::time(2, 0).with_repeats(Repeats::Drop)).unwrap();
        assert_eq!(
            (time.test, time.dropped.test),
            (vec![case(0, 3, 2, &[2]), case(1, 3, 2, &[4])], 0)
        );
        let last_day = split(&dataset, Protocol::time(1, 0).with_repeats(Repeats::Drop));
        assert!(matches!(last_day, Err(SplitError::OnlyRepeats(1))));
    }

    #[test]
    fn a_few_dates_far_after_the_others_are_refused_with_the_date() {
        let day = Timestamp::parse("2029-03-07").unwrap().day();
        let mut rows: Vec<(u32, u32, u32)> =
            (0..500).map(|n| (n % 3, n % 5, day - 900 + n / 5)).collect();
        rows.push((0, 0, day));
        let error = split(&dataset(&rows), Protocol::time(7, 7)).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, SplitError::Outlier(_)), "{text}");
        for part in [
            "2029-03-01 to 2029-03-07",
            "1 of 501 purchases",
            "801 days after",
            "dated 2029-03-07 or later",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        // A slow week is no outlier.
        rows.pop();
        rows.push((0, 0, day - 798));
        assert!(split(&dataset(&rows), Protocol::time(7, 7)).is_ok());
    }

    #[test]
    fn splits_are_read_under_their_old_names_too() {
        let read = |text: &str| toml::from_str::<Protocol>(text).map_err(|error| error.to_string());
        assert_eq!(
            read("protocol = 'temporal'\ntest_days = 3\nvalidation_days = 2"),
            Ok(Protocol::time(3, 2))
        );
        assert_eq!(
            read("protocol = 'time'\ntest_days = 3\nvalidation_days = 2"),
            Ok(Protocol::time(3, 2))
        );
        assert_eq!(read("protocol = 'leave-one-out'"), Ok(Protocol::leave_one_out()));
        let kept = Protocol::leave_one_out().with_repeats(Repeats::Keep);
        assert_eq!(read("protocol = 'leave-one-out'\nrepeats = 'keep'"), Ok(kept));
        assert!(read("protocol = 'leave-one-out'\nrepeat = 'keep'").is_err());
        assert_eq!(Protocol::leave_one_out().name(false), "loo-strict");
        assert_eq!(Protocol::leave_one_out().name(true), "loo-refit");
    }

    #[test]
    fn empty_parts_are_errors() {
        let temporal = Protocol::time;
        let mut few = dataset(&[(0, 0, 10), (0, 1, 12)]);
        assert!(matches!(split(&few, temporal(3, 0)), Err(SplitError::NothingToTrain(_))));
        assert!(matches!(
            split(&few, temporal(u32::MAX, u32::MAX)),
            Err(SplitError::NothingToTrain(_))
        ));
        let error = split(&few, temporal(0, 1)).unwrap_err().to_string();
        assert!(error.contains("refit = \"all\""), "{error}");
        assert!(matches!(
            split(&few, Protocol::leave_one_out()),
            Err(SplitError::NothingToTest(_))
        ));
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
        // The two of the last moment know each other in the order that is drawn.
        let mut ordered = known(&dataset);
        ordered[3..].sort_unstable();
        assert_eq!(ordered, [0, 1, 0, 2, 3]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_parts_cover_everything_once_and_cases_know_only_the_past(seed: u64, n in 1usize..300, test_days in 1u32..9, leave: bool) {
            let dataset = testing::shop(seed, 9, 12, n, TimeUnit::Second);
            let protocol = if leave { Protocol::leave_one_out() } else { Protocol::time(test_days, 3) }.with_repeats(Repeats::Keep);
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
