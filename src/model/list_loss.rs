//! Losses over lists of candidates of which some were bought.

/// Lists of one step, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct ListBatch<'a> {
    /// Features, a row a candidate.
    pub rows: &'a [f32],
    /// Where each list begins; one more at the end.
    pub starts: &'a [usize],
    /// Whether each candidate was bought; every list holds one that was.
    pub bought: &'a [bool],
}

impl ListBatch<'_> {
    /// The scores of each list, and which of its candidates were bought.
    ///
    /// # Panics
    /// When there are not as many scores as candidates.
    fn lists<'l>(&'l self, scores: &'l [f32]) -> impl Iterator<Item = (&'l [f32], &'l [bool])> {
        assert!(
            scores.len() == self.bought.len() && self.starts.last() == Some(&scores.len()),
            "other lengths"
        );
        let ranges = self.starts.windows(2).map(|two| two[0]..two[1]);
        ranges.map(move |range| (&scores[range.clone()], &self.bought[range]))
    }
}

/// The listwise softmax (Cao et al. 2007): `−Σ log softmax(scores)` over what was bought of a list,
/// by the root of how much that is, and the mean of that over the lists. Long shopping lists tell
/// more than short ones, but not in proportion. Tells `slope` the derivative by each score.
///
/// # Panics
/// When the lengths do not fit together.
pub fn softmax_loss(scores: &[f32], batch: &ListBatch<'_>, mut slope: impl FnMut(f64)) -> f64 {
    let lists = batch.starts.len().saturating_sub(1).max(1) as f64;
    let mut loss = 0.0;
    for (scores, bought) in batch.lists(scores) {
        let count = bought.iter().filter(|&&bought| bought).count() as f64;
        let weight = if count > 0.0 { 1.0 / (count.sqrt() * lists) } else { 0.0 };
        let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let total: f64 = scores.iter().map(|&score| f64::from(score - max).exp()).sum();
        for (&score, &bought) in scores.iter().zip(bought) {
            let log_share = f64::from(score - max) - total.ln();
            let mass = f64::from(u8::from(bought));
            loss -= weight * mass * log_share;
            slope(weight * (count * log_share.exp() - mass));
        }
    }
    loss
}

/// LambdaRank (Burges et al. 2006): the logistic loss of every pair of a candidate that was bought
/// and one that was not, weighted by how much swapping the two would change the list's NDCG. As in
/// LightGBM (Ke et al. 2017), the weight is divided by the distance of the two scores, and the sum
/// of a list's slopes is scaled down to its logarithm, so that no list outweighs the others.
#[derive(Debug, Default)]
pub struct LambdaRank {
    /// The candidates of the list at hand, the highest score first.
    ranked: Vec<Ranked>,
    /// Of each candidate, the slope and the curvature.
    derivatives: Vec<[f64; 2]>,
    /// What a purchase at each place adds to the DCG.
    discounts: Vec<f64>,
}

#[derive(Debug, Clone, Copy)]
struct Ranked {
    candidate: usize,
    score: f64,
    bought: bool,
}

impl LambdaRank {
    /// A pair counts when one of the two is among the first so many.
    const FIRST: usize = 30;
    /// Added to the distance of two scores, so that equal ones divide by more than 0.
    const LEAST_DISTANCE: f64 = 0.01;

    /// The sum of `1 - NDCG` over the lists, of the first [`Self::FIRST`] places. Tells `each` the
    /// first derivative of the loss by each score and the second, with the weights of the pairs
    /// held still.
    ///
    /// # Panics
    /// When the lengths do not fit together.
    pub fn derive(
        &mut self,
        scores: &[f32],
        batch: &ListBatch<'_>,
        mut each: impl FnMut([f64; 2]),
    ) -> f64 {
        let mut missed = 0.0;
        for (scores, bought) in batch.lists(scores) {
            missed += self.derive_list(scores, bought);
            self.derivatives.iter().copied().for_each(&mut each);
        }
        missed
    }

    /// `1 - NDCG` of one list; leaves its derivatives.
    fn derive_list(&mut self, scores: &[f32], bought: &[bool]) -> f64 {
        let Self { ranked, derivatives, discounts } = self;
        derivatives.clear();
        derivatives.resize(scores.len(), [0.0; 2]);
        let discount = |place: usize| 1.0 / (place as f64 + 2.0).log2();
        discounts.extend((discounts.len()..scores.len()).map(discount));
        let candidates = scores.iter().zip(bought).enumerate();
        ranked.clear();
        ranked.extend(candidates.map(|(candidate, (&score, &bought))| Ranked {
            candidate,
            score: f64::from(score),
            bought,
        }));
        ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
        let count = bought.iter().filter(|&&bought| bought).count();
        if count == 0 {
            return 0.0;
        }
        let ideal: f64 = discounts.iter().take(count.min(Self::FIRST)).sum();
        let all_alike = ranked[0].score == ranked[ranked.len() - 1].score;
        // The sum of the slopes' sizes.
        let (mut pull, mut found) = (0.0, 0.0);
        for (place, better) in ranked.iter().enumerate().filter(|(_, ranked)| ranked.bought) {
            let is_first = place < Self::FIRST;
            found += if is_first { discounts[place] } else { 0.0 };
            let others = if is_first { &ranked[..] } else { &ranked[..Self::FIRST] };
            for (worse, discount) in others.iter().zip(&*discounts) {
                if worse.bought {
                    continue;
                }
                let lead = better.score - worse.score;
                let mut weight = (discounts[place] - discount).abs() / ideal;
                if !all_alike {
                    weight /= Self::LEAST_DISTANCE + lead.abs();
                }
                // The chance of the wrong order.
                let wrong = 1.0 / (1.0 + lead.exp());
                let (slope, curvature) = (weight * wrong, weight * wrong * (1.0 - wrong));
                derivatives[better.candidate][0] -= slope;
                derivatives[worse.candidate][0] += slope;
                derivatives[better.candidate][1] += curvature;
                derivatives[worse.candidate][1] += curvature;
                pull += 2.0 * slope;
            }
        }
        if pull > 0.0 {
            let scale = (1.0 + pull).log2() / pull;
            derivatives.as_flattened_mut().iter_mut().for_each(|derivative| *derivative *= scale);
        }
        1.0 - found / ideal
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    /// Scores, and what was bought: the middle one, and others by chance.
    fn list(rng: &mut StdRng, length: usize) -> (Vec<f32>, Vec<bool>) {
        let scores = (0..length).map(|_| rng.random_range(-2.0..2.0)).collect();
        let bought = (0..length).map(|at| at == length / 2 || rng.random_bool(0.2)).collect();
        (scores, bought)
    }

    fn lambda_rank(scores: &[f32], bought: &[bool]) -> (f64, Vec<[f64; 2]>) {
        let batch = ListBatch { rows: &[], starts: &[0, scores.len()], bought };
        let mut told = Vec::new();
        let missed = LambdaRank::default().derive(scores, &batch, |derived| told.push(derived));
        (missed, told)
    }

    /// Every pair that counts, what was bought first, and its weight: written from the definition.
    fn pairs(scores: &[f32], bought: &[bool]) -> Vec<(usize, usize, f64)> {
        let place = |at: usize| scores.iter().filter(|&&score| score > scores[at]).count();
        let discount = |place: usize| 1.0 / (place as f64 + 2.0).log2();
        let count = bought.iter().filter(|&&bought| bought).count();
        let ideal: f64 = (0..count.min(LambdaRank::FIRST)).map(discount).sum();
        let mut pairs = Vec::new();
        for a in (0..scores.len()).filter(|&a| bought[a]) {
            for b in (0..scores.len()).filter(|&b| !bought[b]) {
                if place(a).min(place(b)) < LambdaRank::FIRST {
                    let change = (discount(place(a)) - discount(place(b))).abs() / ideal;
                    let distance = f64::from(scores[a] - scores[b]).abs();
                    pairs.push((a, b, change / (LambdaRank::LEAST_DISTANCE + distance)));
                }
            }
        }
        let wrong = |a: usize, b: usize| 1.0 / (1.0 + f64::from(scores[a] - scores[b]).exp());
        let pull: f64 = pairs.iter().map(|&(a, b, weight)| 2.0 * weight * wrong(a, b)).sum();
        pairs.iter_mut().for_each(|pair| pair.2 *= (1.0 + pull).log2() / pull);
        pairs
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn lambda_rank_is_its_definition(seed in any::<u64>(), length in 2usize..60) {
            let (scores, bought) = list(&mut StdRng::seed_from_u64(seed), length);
            let pairs = pairs(&scores, &bought);
            let plain = |scores: &[f64]| -> f64 {
                let loss = |&(a, b, weight): &(usize, usize, f64)| {
                    weight * (1.0 + (scores[b] - scores[a]).exp()).ln()
                };
                pairs.iter().map(loss).sum()
            };
            let at: Vec<f64> = scores.iter().map(|&score| f64::from(score)).collect();
            let (_, told) = lambda_rank(&scores, &bought);
            for (candidate, [slope, curvature]) in told.into_iter().enumerate() {
                let moved = |by: f64| {
                    let mut scores = at.clone();
                    scores[candidate] += by;
                    plain(&scores)
                };
                let (below, above) = (moved(-1e-3), moved(1e-3));
                let expected = (above - below) / 2e-3;
                prop_assert!((slope - expected).abs() < 1e-4, "{slope} is not {expected}");
                let expected = (above + below - 2.0 * plain(&at)) / 1e-6;
                prop_assert!((curvature - expected).abs() < 1e-3, "{curvature} is not {expected}");
            }
        }

        #[test]
        fn extreme_scores_stay_finite(seed in any::<u64>(), spread in 1f32..1e30) {
            let mut rng = StdRng::seed_from_u64(seed);
            let scores: Vec<f32> = (0..12).map(|_| rng.random_range(-spread..spread)).collect();
            let bought: Vec<bool> = (0..12).map(|at| at % 5 == 0).collect();
            let batch = ListBatch { rows: &[], starts: &[0, 6, 12], bought: &bought };
            let mut slopes = Vec::new();
            let loss = softmax_loss(&scores, &batch, |slope| slopes.push(slope));
            prop_assert!(loss.is_finite() && loss >= 0.0 && slopes.iter().all(|x| x.is_finite()));
            let (missed, told) = lambda_rank(&scores, &bought);
            prop_assert!((0.0..=1.0).contains(&missed));
            prop_assert!(told.iter().flatten().all(|x| x.is_finite()));
        }
    }

    #[test]
    fn the_best_order_misses_nothing() {
        assert_eq!(lambda_rank(&[1.0, 3.0, 2.0], &[false, true, true]).0, 0.0);
        // Second of three places: 1 / log2(3) of what the first would be.
        let missed = lambda_rank(&[3.0, 2.0, 1.0], &[false, true, false]).0;
        assert!((missed - (1.0 - 1.0 / 3f64.log2())).abs() < 1e-12, "{missed}");
    }

    #[test]
    fn lists_with_nothing_to_learn_have_no_slope() {
        for bought in [[false; 3], [true; 3]] {
            assert_eq!(lambda_rank(&[1.0, 2.0, 3.0], &bought), (0.0, vec![[0.0; 2]; 3]));
        }
    }

    #[test]
    fn lists_follow_each_other() {
        let (scores, bought) = list(&mut StdRng::seed_from_u64(7), 50);
        let batch = ListBatch { rows: &[], starts: &[0, 20, 50], bought: &bought };
        let mut told = Vec::new();
        let missed = LambdaRank::default().derive(&scores, &batch, |derived| told.push(derived));
        let first = lambda_rank(&scores[..20], &bought[..20]);
        let second = lambda_rank(&scores[20..], &bought[20..]);
        assert_eq!((missed, told), (first.0 + second.0, [first.1, second.1].concat()));
    }
}
