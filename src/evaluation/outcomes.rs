//! What a ranking made of every case, and how sure its averages are.

use super::{METRICS, Metric, Outcome};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::collections::BTreeMap;

const METRIC_COUNT: usize = METRICS.len();

/// Samples of a bootstrap. The ends of a 95 % interval then rest on 25 samples each.
const SAMPLES: u64 = 1_000;

/// The metrics of a ranking by customer, to average, to compare and to resample; of one run, or of
/// several (seeds).
///
/// Intervals are percentile bootstraps over customers (Efron 1979): customers are drawn with
/// replacement as often as there are customers, and the middle 95 % of the averages of 1,000 such
/// draws are the interval. Of several runs, as many runs are drawn with replacement as well, so
/// that the interval also holds what the seeds move. It says how much a metric would move with
/// other customers of the same shop, not how much it moves with the next week.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcomes {
    /// Rising.
    customers: Vec<u32>,
    /// Of each run, one entry a customer; 0 where the run has no case of the customer.
    runs: Vec<Vec<Sums>>,
}

/// Sums over cases.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Sums {
    /// Value times weight of each of [`METRICS`].
    values: [f64; METRIC_COUNT],
    cases: f64,
    relevant: f64,
}

/// By how much one ranking is better than another on the same cases.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    pub mean: f64,
    /// Bootstrap over customers, both rankings on the same draws, 95 %.
    pub interval: [f64; 2],
}

impl Difference {
    /// Whether the ranking is worse, by more than chance explains.
    pub fn is_below(&self) -> bool {
        self.interval[1] < 0.0
    }

    /// Whether the ranking is better, by more than chance explains.
    pub fn is_above(&self) -> bool {
        self.interval[0] > 0.0
    }
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.values.iter_mut().zip(other.values).for_each(|(sum, value)| *sum += value);
        self.cases += other.cases;
        self.relevant += other.relevant;
    }

    fn averages(&self) -> [f64; METRIC_COUNT] {
        let mut averages = self.values;
        for (average, metric) in averages.iter_mut().zip(METRICS) {
            let weight =
                if matches!(metric, Metric::Accuracy(_)) { self.relevant } else { self.cases };
            *average = if weight > 0.0 { *average / weight } else { 0.0 };
        }
        averages
    }
}

impl Outcomes {
    /// Appends a case to a single run; customers must come in rising order.
    pub(super) fn push(&mut self, customer: u32, outcome: &Outcome) {
        let values = METRICS.map(|metric| metric.of(outcome) * metric.weight(outcome));
        self.customers.push(customer);
        self.runs.resize_with(1, Vec::new);
        self.runs[0].push(Sums { values, cases: 1.0, relevant: outcome.relevant as f64 });
    }

    /// Appends the later customers of the same run.
    pub(super) fn append(&mut self, mut later: Self) {
        self.customers.append(&mut later.customers);
        self.runs.resize_with(1, Vec::new);
        later.runs.iter_mut().for_each(|run| self.runs[0].append(run));
    }

    /// Several runs together. Their customers may differ: which cases are dropped depends on the
    /// order of ties.
    pub fn pooled(runs: &[Self]) -> Self {
        let mut customers: Vec<u32> =
            runs.iter().flat_map(|run| run.customers.iter().copied()).collect();
        customers.sort_unstable();
        customers.dedup();
        let aligned = |of: &Self, run: &Vec<Sums>| {
            let mut sums = vec![Sums::default(); customers.len()];
            let mut place = 0;
            for (customer, own) in of.customers.iter().zip(run) {
                while customers[place] != *customer {
                    place += 1;
                }
                sums[place] = *own;
            }
            sums
        };
        let runs = runs
            .iter()
            .flat_map(|of| of.runs.iter().map(|run| aligned(of, run)).collect::<Vec<_>>())
            .collect();
        Self { customers, runs }
    }

    pub fn is_empty(&self) -> bool {
        self.customers.is_empty()
    }

    /// Cases of a run, the mean over runs.
    pub fn cases(&self) -> usize {
        let cases: f64 = self.runs.iter().flatten().map(|sums| sums.cases).sum();
        (cases / self.runs.len().max(1) as f64).round() as usize
    }

    /// The average of each metric over all cases of all runs, by name.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        METRICS
            .iter()
            .map(|metric| metric.name())
            .zip(self.averages(&Draw::everything(self)))
            .collect()
    }

    /// The 95 % interval of each metric, by name. The same on any number of threads.
    pub fn intervals(&self) -> BTreeMap<String, [f64; 2]> {
        let sample = |sample| self.averages(&Draw::new(sample, self));
        let samples: Vec<[f64; METRIC_COUNT]> = (0..SAMPLES).into_par_iter().map(sample).collect();
        let interval = |at: usize| middle(samples.iter().map(|sample| sample[at]).collect());
        METRICS.iter().enumerate().map(|(at, metric)| (metric.name(), interval(at))).collect()
    }

    /// This ranking's metric minus that of another one on the same customers; `None` when there is
    /// no such metric or the customers differ.
    pub fn difference(&self, other: &Self, metric: &str) -> Option<Difference> {
        let at = METRICS.iter().position(|known| known.name() == metric)?;
        if self.customers != other.customers
            || self.runs.len() != other.runs.len()
            || self.is_empty()
        {
            return None;
        }
        let difference = |draw: &Draw| self.averages(draw)[at] - other.averages(draw)[at];
        let samples: Vec<f64> = (0..SAMPLES)
            .into_par_iter()
            .map(|sample| difference(&Draw::new(sample, self)))
            .collect();
        Some(Difference { mean: difference(&Draw::everything(self)), interval: middle(samples) })
    }

    fn averages(&self, draw: &Draw) -> [f64; METRIC_COUNT] {
        let mut total = Sums::default();
        for &run in &draw.runs {
            draw.customers
                .iter()
                .for_each(|&customer| total.add(&self.runs[run][customer as usize]));
        }
        total.averages()
    }
}

/// Customers and runs drawn with replacement; the same for every ranking, so that differences are
/// paired.
struct Draw {
    customers: Vec<u32>,
    runs: Vec<usize>,
}

impl Draw {
    fn everything(of: &Outcomes) -> Self {
        Self {
            customers: (0..of.customers.len() as u32).collect(),
            runs: (0..of.runs.len()).collect(),
        }
    }

    fn new(sample: u64, of: &Outcomes) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(sample);
        let (customers, runs) = (of.customers.len() as u32, of.runs.len());
        let customers = (0..customers).map(|_| rng.random_range(0..customers)).collect();
        Self { customers, runs: (0..runs).map(|_| rng.random_range(0..runs)).collect() }
    }
}

/// What lies between the lowest and the highest 2.5 %.
fn middle(mut samples: Vec<f64>) -> [f64; 2] {
    samples.sort_unstable_by(f64::total_cmp);
    let cut = samples.len() / 40;
    [samples[cut], samples[samples.len() - 1 - cut]]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The held-out article of each customer stands first in a share of the lists, and nowhere in
    /// the others.
    fn outcomes(customers: u32, found: impl Fn(u32) -> bool) -> Outcomes {
        let mut outcomes = Outcomes::default();
        for customer in 0..customers {
            let first = found(customer).then_some(0);
            outcomes
                .push(customer, &Outcome { hits: first.into_iter().collect(), first, relevant: 1 });
        }
        outcomes
    }

    #[test]
    fn an_interval_is_as_wide_as_the_binomial_says() {
        let outcomes = outcomes(400, |customer| customer % 4 == 0);
        assert_eq!(outcomes.metrics()["hr@10"], 0.25);
        let [low, high] = outcomes.intervals()["hr@10"];
        // 1.96 · √(p (1 − p) / n) = .0424.
        assert!((0.036..0.049).contains(&((high - low) / 2.0)), "{low} to {high}");
        assert!(low < 0.25 && 0.25 < high);
        assert_eq!(outcomes.intervals(), outcomes.intervals());
    }

    #[test]
    fn a_difference_is_paired() {
        let better = outcomes(400, |customer| customer % 4 == 0 || customer % 40 == 1);
        let worse = outcomes(400, |customer| customer % 4 == 0);
        let difference = better.difference(&worse, "ndcg@10").unwrap();
        assert!((difference.mean - 0.025).abs() < 1e-12);
        // Ten customers of 400 decide; the intervals of the two rows overlap widely.
        assert!(difference.is_above() && !difference.is_below(), "{difference:?}");
        assert!(worse.difference(&better, "ndcg@10").unwrap().is_below());
        let same = worse.difference(&worse, "hr@10").unwrap();
        assert_eq!(same, Difference { mean: 0.0, interval: [0.0, 0.0] });
        assert!(worse.difference(&outcomes(399, |_| true), "hr@10").is_none());
        assert!(worse.difference(&better, "auc").is_none());
    }

    #[test]
    fn seeds_are_pooled_by_customer() {
        let runs =
            [outcomes(100, |customer| customer < 10), outcomes(80, |customer| customer < 10)];
        let pooled = Outcomes::pooled(&runs);
        assert_eq!((pooled.customers.len(), pooled.runs.len()), (100, 2));
        assert!((pooled.metrics()["hr@10"] - 20.0 / 180.0).abs() < 1e-12);
        // Two seeds of the same customers know no more than one.
        let twice = Outcomes::pooled(&[runs[0].clone(), runs[0].clone()]);
        assert_eq!(twice.intervals(), runs[0].intervals());
        // Runs that disagree make it wider.
        let apart =
            Outcomes::pooled(&[outcomes(100, |customer| customer < 30), outcomes(100, |_| false)]);
        let width = |outcomes: &Outcomes| {
            outcomes.intervals()["hr@10"][1] - outcomes.intervals()["hr@10"][0]
        };
        assert!(width(&apart) > 1.5 * width(&outcomes(100, |customer| customer < 15)));
    }
}
