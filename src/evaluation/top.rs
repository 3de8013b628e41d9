//! The best articles of a row of scores.

/// Selects the `k` highest scores, ties by the lower article row. Keeps its buffer between calls.
#[derive(Debug)]
pub struct TopSelector {
    k: usize,
    candidates: Vec<(f32, u32)>,
}

/// Scores compared at once against the threshold; the comparison of a block is vectorised.
const BLOCK: usize = 64;

impl TopSelector {
    /// # Panics
    /// When `k` is 0.
    pub fn new(k: usize) -> Self {
        assert!(k > 0, "the top 0 is empty");
        Self { k, candidates: Vec::with_capacity(4 * k + BLOCK) }
    }

    /// Article rows in order of falling score. Scores of `-inf` and not a number are never
    /// selected, so there may be fewer than `k`.
    pub fn select<'a>(
        &'a mut self,
        scores: &[f32],
    ) -> impl ExactSizeIterator<Item = u32> + use<'a> {
        self.candidates.clear();
        // Rows rise, so a later score equal to the threshold has lost the tie and `>` is the whole
        // test.
        let mut threshold = f32::NEG_INFINITY;
        for (block, values) in scores.chunks(BLOCK).enumerate() {
            if !values.iter().fold(false, |any, &score| any | (score > threshold)) {
                continue;
            }
            let first = (block * BLOCK) as u32;
            self.candidates.extend(
                (first..)
                    .zip(values)
                    .filter(|&(_, &score)| score > threshold)
                    .map(|(row, &score)| (score, row)),
            );
            if self.candidates.len() >= 4 * self.k {
                threshold = self.shrink();
            }
        }
        if self.candidates.len() > self.k {
            self.shrink();
        }
        self.candidates.sort_unstable_by(better_first);
        self.candidates.iter().map(|&(_, row)| row)
    }

    /// Keeps the best `k` candidates; gives the worst score among them.
    fn shrink(&mut self) -> f32 {
        let (_, worst, _) = self.candidates.select_nth_unstable_by(self.k - 1, better_first);
        let threshold = worst.0;
        self.candidates.truncate(self.k);
        threshold
    }
}

fn better_first(a: &(f32, u32), b: &(f32, u32)) -> std::cmp::Ordering {
    // No score is NaN here, and −0 must tie with 0.
    b.0.partial_cmp(&a.0).unwrap_or(std::cmp::Ordering::Equal).then(a.1.cmp(&b.1))
}

/// How many articles stand before the best of `relevant`: 0 when it is first, `None` when none is
/// ever recommended.
pub(super) fn best_rank(scores: &[f32], relevant: &[u32]) -> Option<usize> {
    let ranked = relevant
        .iter()
        .map(|&row| (scores[row as usize], row))
        .filter(|(score, _)| *score > f32::NEG_INFINITY);
    let (best, row) = ranked.min_by(better_first)?;
    let (before, after) = scores.split_at(row as usize);
    let higher = after.iter().filter(|&&score| score > best).count();
    Some(before.iter().filter(|&&score| score >= best).count() + higher)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(scores: &[f32]) -> Vec<u32> {
        let mut rows: Vec<u32> = (0..scores.len() as u32)
            .filter(|&row| scores[row as usize] > f32::NEG_INFINITY)
            .collect();
        rows.sort_by(|&a, &b| {
            scores[b as usize].partial_cmp(&scores[a as usize]).unwrap().then(a.cmp(&b))
        });
        rows
    }

    fn scores() -> impl Strategy<Value = Vec<f32>> {
        // Few distinct values, so that ties decide.
        let score = prop_oneof![
            (0i8..20).prop_map(f32::from),
            Just(f32::NEG_INFINITY),
            Just(f32::NAN),
            Just(f32::INFINITY),
            Just(-0.0),
        ];
        prop::collection::vec(score, 0..700)
    }

    proptest! {
        #[test]
        fn selects_what_sorting_selects(scores in scores(), k in 1usize..120) {
            let mut top = TopSelector::new(k);
            let expected = naive(&scores);
            for _ in 0..2 {
                prop_assert_eq!(top.select(&scores).collect::<Vec<_>>(), &expected[..k.min(expected.len())]);
            }
        }

        #[test]
        fn the_best_rank_is_the_first_position_when_sorted(scores in scores(), picks in prop::collection::vec(any::<prop::sample::Index>(), 0..5)) {
            prop_assume!(!scores.is_empty());
            let relevant: Vec<u32> = picks.iter().map(|pick| pick.index(scores.len()) as u32).collect();
            prop_assert_eq!(best_rank(&scores, &relevant), naive(&scores).iter().position(|row| relevant.contains(row)));
        }
    }
}
