//! Lists of past moments: what the pipeline would have found, and what was bought of it.

use crate::{
    bundle::ScaledFeature,
    dataset::{Case, Dataset, Histories, Protocol, Repeats, Split},
    evaluation::{EvaluationError, Past},
    recommend::RankerSpec,
    training::spaced,
};
use rand::{SeedableRng, seq::index};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Lists, one after the other.
#[derive(Debug, Clone, Default)]
pub(super) struct Lists {
    /// Numbers of a candidate.
    pub width: usize,
    /// A row a candidate.
    pub rows: Vec<f32>,
    pub bought: Vec<bool>,
    /// Where each list begins; one more at the end.
    pub starts: Vec<usize>,
    /// How much was bought, found or not, by list.
    pub relevant: Vec<u32>,
}

/// Lists to learn from, at most: some 2 GB. Of more, so many evenly spaced ones are taken.
const MOST: usize = 40_000;
/// Candidates that quantiles are taken of.
const SAMPLE: usize = 100_000;
/// Steps between quantiles.
const QUANTILES: usize = 32;

impl Lists {
    /// The lists of the cases of which anything was found, with at most so many candidates that
    /// were not bought, drawn by a seed. Without a number all lists, as they are.
    pub fn of(
        past: &Past<'_>,
        spec: &RankerSpec,
        cases: &[Case],
        draw: Option<(usize, u64)>,
    ) -> Result<Self, EvaluationError> {
        let width = spec.features.width();
        let list = |(at, case): (usize, &Case)| {
            let (articles, rows) = past.list(spec, case)?;
            let bought: Vec<bool> =
                articles.iter().map(|article| case.relevant.contains(article)).collect();
            let Some((negatives, seed)) = draw else { return Ok(Some((rows, bought))) };
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(u64::from(case.at.0) << 24 ^ at as u64);
            Ok(drawn(&bought, &rows, width, negatives, &mut rng))
        };
        let mut lists = Self { width, starts: vec![0], ..Self::default() };
        for cases in past.by_moment(&spaced(cases, MOST)) {
            past.prepare(&cases[..1])?;
            let made: Vec<Option<(Vec<f32>, Vec<bool>)>> =
                cases.par_iter().enumerate().map(list).collect::<Result<_, EvaluationError>>()?;
            past.forget();
            for (case, list) in cases.iter().zip(made) {
                let Some((rows, bought)) = list else { continue };
                lists.relevant.push(case.relevant.len() as u32);
                lists.rows.extend(rows);
                lists.bought.extend(bought);
                lists.starts.push(lists.bought.len());
            }
        }
        Ok(lists)
    }

    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The lists behind others.
    pub fn append(&mut self, other: &Self) {
        let before = self.bought.len();
        self.rows.extend(&other.rows);
        self.bought.extend(&other.bought);
        self.relevant.extend(&other.relevant);
        self.starts.extend(other.starts[1..].iter().map(|start| before + start));
    }

    /// How each feature is scaled.
    pub fn scales(&self, names: Vec<String>) -> Vec<ScaledFeature> {
        let candidates = self.bought.len();
        let sampled: Vec<usize> = spaced(&(0..candidates).collect::<Vec<_>>(), SAMPLE);
        let scale = |(feature, name): (usize, String)| {
            let column: Vec<f32> =
                sampled.iter().map(|row| self.rows[row * self.width + feature]).collect();
            scale(name, column)
        };
        names.into_iter().enumerate().collect::<Vec<_>>().into_par_iter().map(scale).collect()
    }
}

/// What is kept of a list; `None` where nothing of it was bought.
fn drawn(
    bought: &[bool],
    rows: &[f32],
    width: usize,
    negatives: usize,
    rng: &mut ChaCha8Rng,
) -> Option<(Vec<f32>, Vec<bool>)> {
    let others: Vec<usize> = (0..bought.len()).filter(|&at| !bought[at]).collect();
    if others.len() == bought.len() {
        return None;
    }
    let mut keep: Vec<bool> = bought.to_vec();
    for drawn in index::sample(rng, others.len(), negatives.min(others.len())) {
        keep[others[drawn]] = true;
    }
    let kept = || (0..bought.len()).filter(|&at| keep[at]);
    let rows = kept().flat_map(|at| &rows[at * width..(at + 1) * width]).copied().collect();
    Some((rows, kept().map(|at| bought[at]).collect()))
}

fn scale(name: String, mut column: Vec<f32>) -> ScaledFeature {
    column.sort_unstable_by(f32::total_cmp);
    let last = column.len().saturating_sub(1);
    let mut quantiles: Vec<f32> =
        (0..=QUANTILES).filter_map(|step| column.get(step * last / QUANTILES).copied()).collect();
    quantiles.dedup();
    let places: Vec<f64> =
        column.iter().map(|&x| f64::from(ScaledFeature::place(&quantiles, x))).collect();
    let count = places.len().max(1) as f64;
    let mean = places.iter().sum::<f64>() / count;
    let variance = places.iter().map(|place| (place - mean).powi(2)).sum::<f64>() / count;
    // A feature that hardly varies must not come out as large numbers.
    ScaledFeature {
        name,
        quantiles,
        mean: mean as f32,
        deviation: variance.sqrt().max(0.01) as f32,
    }
}

/// Cases of the past to learn from, before those of the validation window: with a split by time the
/// windows before it, each as long; with leave-one-out each customer's last purchases but the
/// held-out ones.
pub(super) fn earlier(
    dataset: &Dataset,
    histories: &Histories,
    split: &Split,
    most: usize,
) -> Vec<Case> {
    if let Protocol::Time { .. } = split.protocol {
        let skip = usize::from(!split.validation.is_empty());
        let folds = split.folds(dataset, histories, most + skip);
        return folds.into_iter().skip(skip).flat_map(|fold| fold.cases).collect();
    }
    let purchases = &dataset.purchases;
    let mut cases = Vec::new();
    for customer in 0..histories.customers() as u32 {
        let rows = histories.of_customer(customer);
        let held_out = if rows.len() < 3 { 0 } else { 2 };
        let end = rows.len() - held_out;
        for known in (1..end).rev().take(most) {
            let article = purchases.article[rows[known] as usize];
            let again = rows[..known].iter().any(|&row| purchases.article[row as usize] == article);
            if again && split.protocol.repeats() == Repeats::Drop {
                continue;
            }
            let (at, known) = (purchases.time[rows[known] as usize], known as u32);
            cases.push(Case { customer, at, known, relevant: vec![article] });
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dataset::TimeUnit, domain::Timestamp, features::testing};

    #[test]
    fn every_bought_candidate_is_kept_and_so_many_others() {
        let bought: Vec<bool> = (0..50).map(|at| at % 10 == 3).collect();
        let rows: Vec<f32> = (0..100).map(|at| at as f32).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (kept, labels) = drawn(&bought, &rows, 2, 8, &mut rng).unwrap();
        assert_eq!(
            (kept.len(), labels.len(), labels.iter().filter(|&&bought| bought).count()),
            (26, 13, 5)
        );
        assert!(kept.chunks(2).all(|row| row[1] == row[0] + 1.0), "rows stay whole");
        assert!(
            kept.chunks(2).zip(&labels).all(|(row, &label)| bought[row[0] as usize / 2] == label)
        );
        assert!(drawn(&[false; 4], &rows[..8], 2, 8, &mut rng).is_none());
    }

    #[test]
    fn scales_follow_the_quantiles() {
        let scaled = scale("x".to_owned(), (0..1_000).map(|x| (x as f32).powi(3)).collect());
        let ends = [0.0, 1e9].map(|x| scaled.scaled(x));
        assert!(
            (ends[0] + 1.73).abs() < 0.05 && (ends[1] - 1.73).abs() < 0.05,
            "uniform: {ends:?}"
        );
        assert_eq!(scale("x".to_owned(), vec![4.0; 9]).scaled(9.0), 0.0);
        assert_eq!(scale("x".to_owned(), Vec::new()).scaled(9.0), 0.0);
    }

    #[test]
    fn leave_one_out_learns_from_purchases_before_the_held_out_ones() {
        let mut dataset = testing::shop(0, 9, 1, 0, TimeUnit::Second);
        for (article, second) in [(0, 1), (1, 2), (0, 3), (2, 4), (3, 5), (4, 6)] {
            dataset.purchases.customer.push(0);
            dataset.purchases.article.push(article);
            dataset.purchases.time.push(Timestamp(second));
        }
        let histories = Histories::of(&dataset);
        for (repeats, expected) in
            [(Repeats::Drop, vec![(3, 2), (1, 1)]), (Repeats::Keep, vec![(3, 2), (2, 0), (1, 1)])]
        {
            let protocol = Protocol::leave_one_out().with_repeats(repeats);
            let split = Split::new(&dataset, &histories, protocol).unwrap();
            let cases = earlier(&dataset, &histories, &split, 9);
            let found: Vec<(u32, u32)> =
                cases.iter().map(|case| (case.known, case.relevant[0])).collect();
            assert_eq!(found, expected, "3 and 4 are held out");
        }
    }
}
