//! The learned ranker as boosted trees (LambdaMART, Burges 2010): each oblivious tree ([`Forest`])
//! takes a Newton step against the LambdaRank loss (Friedman 2001, Chen & Guestrin 2016). Splits
//! are found from histograms, and half of each level's by subtraction (Ke et al. 2017).

use super::list_loss::{LambdaRank, ListBatch};
use crate::forest::{Forest, Split, Tree};
use rand::{SeedableRng, seq::index};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// How trees grow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TreeSettings {
    /// Levels of a tree, 1 to [`MAX_DEPTH`](crate::forest::MAX_DEPTH).
    pub depth: usize,
    /// Each tree's output is multiplied by this.
    pub shrinkage: f32,
}

/// Share of the lists that a tree learns from.
const LISTS: f64 = 0.7;
/// Share of the features that a tree may ask for.
const FEATURES: f64 = 0.5;
/// Intervals of a feature; its quantiles are between them.
const BINS: usize = 128;
/// Candidates that quantiles are taken of.
const SAMPLE: usize = 100_000;
/// Added to the curvature of every leaf (L2 regularisation), so that a leaf of few candidates stays
/// near 0. The candidates of one list have a curvature of about 1 together.
const PRIOR: f64 = 5.0;
/// A split must gain more than this.
const LEAST_GAIN: f64 = 1e-6;
/// Lists, and candidates, of one task.
const LISTS_OF_A_TASK: usize = 256;
const BLOCK: usize = 16_384;

/// Slope and curvature of the loss, or sums of them.
type Derivatives = [f64; 2];

/// Trees in training on the lists of one batch.
#[derive(Debug)]
pub struct TreeRanker<'a> {
    lists: ListBatch<'a>,
    settings: TreeSettings,
    features: Vec<Binned>,
    /// The forest's, by candidate.
    scores: Vec<f32>,
    derivatives: Vec<[f32; 2]>,
    forest: Forest,
    rng: ChaCha8Rng,
}

/// One feature of all candidates.
#[derive(Debug)]
struct Binned {
    /// Rising, fewer than [`BINS`].
    borders: Vec<f32>,
    /// How many borders each candidate is above.
    bins: Vec<u8>,
}

impl Binned {
    fn of(column: impl Iterator<Item = f32> + Clone, candidates: usize) -> Self {
        let mut sorted: Vec<f32> =
            column.clone().step_by(candidates.div_ceil(SAMPLE).max(1)).collect();
        sorted.sort_unstable_by(f32::total_cmp);
        let last = sorted.len().saturating_sub(1);
        let mut borders: Vec<f32> =
            (0..BINS).filter_map(|step| sorted.get(step * last / BINS).copied()).collect();
        borders.dedup();
        // Nothing is above the largest.
        borders.truncate(BINS - 1);
        let bin = |x| borders.partition_point(|&border| border < x) as u8;
        Self { bins: column.map(bin).collect(), borders }
    }
}

/// Candidates in the order of the lists, and what is counted of them.
#[derive(Default)]
struct Counted {
    rows: Vec<u32>,
    leaves: Vec<u16>,
    derivatives: Vec<[f32; 2]>,
}

impl Counted {
    fn push(&mut self, row: u32, leaf: u16, derivatives: [f32; 2]) {
        self.rows.push(row);
        self.leaves.push(leaf);
        self.derivatives.push(derivatives);
    }

    /// The last split cut each of the `parents` leaves in two: the candidates of the smaller halves
    /// by their parents' leaves, and which halves these are.
    fn smaller_halves(&self, parents: usize) -> (Self, Vec<bool>) {
        let mut above = vec![0_i64; parents];
        for &leaf in &self.leaves {
            let parent = usize::from(leaf) % parents;
            above[parent] += if usize::from(leaf) < parents { -1 } else { 1 };
        }
        let above_is_smaller: Vec<bool> = above.into_iter().map(|more| more < 0).collect();
        // Which candidates these are cannot be guessed: every one is written, and the next one over
        // it unless it counts.
        let mut halves = Self {
            rows: vec![0; self.rows.len()],
            leaves: vec![0; self.rows.len()],
            derivatives: vec![[0.0; 2]; self.rows.len()],
        };
        let mut count = 0;
        for ((&row, &leaf), &derivatives) in
            self.rows.iter().zip(&self.leaves).zip(&self.derivatives)
        {
            let parent = usize::from(leaf) % parents;
            halves.rows[count] = row;
            halves.leaves[count] = parent as u16;
            halves.derivatives[count] = derivatives;
            let is_above = usize::from(leaf) >= parents;
            count += usize::from(above_is_smaller[parent] == is_above);
        }
        halves.rows.truncate(count);
        halves.leaves.truncate(count);
        halves.derivatives.truncate(count);
        (halves, above_is_smaller)
    }

    /// Sums by leaf.
    fn sums(&self, leaves: usize) -> Vec<Derivatives> {
        let mut sums = vec![[0.0; 2]; leaves];
        for (&leaf, derivatives) in self.leaves.iter().zip(&self.derivatives) {
            add(&mut sums[usize::from(leaf)], derivatives);
        }
        sums
    }
}

fn add(sum: &mut Derivatives, of_one: &[f32; 2]) {
    sum[0] += f64::from(of_one[0]);
    sum[1] += f64::from(of_one[1]);
}

/// The sums of one feature: [`BINS`] for each leaf.
struct Histogram(Vec<Derivatives>);

impl Histogram {
    fn count(bins: &[u8], counted: &Counted, leaves: usize) -> Self {
        let mut sums = vec![[0.0; 2]; leaves * BINS];
        for ((&row, &leaf), derivatives) in
            counted.rows.iter().zip(&counted.leaves).zip(&counted.derivatives)
        {
            let bin = usize::from(bins[row as usize]);
            add(&mut sums[usize::from(leaf) * BINS + bin], derivatives);
        }
        Self(sums)
    }

    /// That of the halves of the leaves, from those of their smaller halves.
    fn halves(&self, smaller: &Self, above_is_smaller: &[bool]) -> Self {
        let mut below = self.0.clone();
        let mut above = smaller.0.clone();
        for (leaf, &above_is_smaller) in above_is_smaller.iter().enumerate() {
            let leaf = leaf * BINS..(leaf + 1) * BINS;
            let (below, above) = (&mut below[leaf.clone()], &mut above[leaf]);
            for (all, some) in below.iter_mut().zip(above.iter()) {
                *all = [all[0] - some[0], all[1] - some[1]];
            }
            if !above_is_smaller {
                below.swap_with_slice(above);
            }
        }
        below.append(&mut above);
        Self(below)
    }

    /// Of the first `borders` the one that a split of all leaves gains most by, and that gain: half
    /// of it is what the loss falls by, as far as it is a parabola.
    fn best(&self, borders: usize) -> (f64, usize) {
        let mut gains = [0.0; BINS];
        for sums in self.0.chunks_exact(BINS) {
            let all = sums.iter().fold([0.0; 2], |all, sum| [all[0] + sum[0], all[1] + sum[1]]);
            let mut below = [0.0; 2];
            for (gain, sum) in gains.iter_mut().zip(sums) {
                below = [below[0] + sum[0], below[1] + sum[1]];
                let above = [all[0] - below[0], all[1] - below[1]];
                *gain += strength(below) + strength(above) - strength(all);
            }
        }
        let of_borders = gains[..borders].iter().enumerate();
        of_borders
            .map(|(at, &gain)| (gain, at))
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .unwrap_or_default()
    }
}

fn strength([slope, curvature]: Derivatives) -> f64 {
    slope * slope / (curvature + PRIOR)
}

impl<'a> TreeRanker<'a> {
    /// No tree yet. `lists` holds features as they are, `width` numbers a candidate.
    ///
    /// # Panics
    /// When the lengths do not fit together.
    pub fn new(lists: ListBatch<'a>, width: usize, settings: TreeSettings, seed: u64) -> Self {
        let candidates = lists.bought.len();
        assert_eq!(lists.rows.len(), candidates * width, "other lengths");
        let binned = |feature: usize| {
            let column = lists.rows.iter().skip(feature).step_by(width).copied();
            Binned::of(column, candidates)
        };
        Self {
            lists,
            settings,
            features: (0..width).into_par_iter().map(binned).collect(),
            scores: vec![0.0; candidates],
            derivatives: Vec::new(),
            forest: Forest::default(),
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    pub fn forest(&self) -> &Forest {
        &self.forest
    }

    /// Grows one more tree; `1 - NDCG` of the average list before it. The same seed gives the same
    /// trees on any number of threads.
    pub fn grow(&mut self) -> f64 {
        let missed = self.differentiate();
        let drawn = self.drawn();
        let tree = self.tree(drawn);
        let features = &self.features;
        let splits: Vec<(&[u8], u8)> = tree
            .splits
            .iter()
            .map(|split| {
                let Binned { borders, bins } = &features[split.feature];
                (&bins[..], borders.partition_point(|&border| border < split.above) as u8)
            })
            .collect();
        self.scores.par_chunks_mut(BLOCK).enumerate().for_each(|(block, scores)| {
            for (row, score) in (block * BLOCK..).zip(scores) {
                let bits = splits.iter().enumerate();
                let leaf = bits.fold(0, |leaf, (bit, (bins, bin))| {
                    leaf | usize::from(bins[row] > *bin) << bit
                });
                *score += tree.leaves[leaf];
            }
        });
        self.forest.trees.push(tree);
        missed
    }

    /// Derives the sum of the losses by the scores; `1 - NDCG` of the average list.
    fn differentiate(&mut self) -> f64 {
        let (lists, scores) = (&self.lists, &self.scores);
        let of_some = |lambda_rank: &mut LambdaRank, starts: &[usize]| {
            let (first, end) = (starts[0], starts[starts.len() - 1]);
            let starts: Vec<usize> = starts.iter().map(|start| start - first).collect();
            let batch = ListBatch { rows: &[], starts: &starts, bought: &lists.bought[first..end] };
            let mut derivatives = Vec::with_capacity(end - first);
            let missed = lambda_rank.derive(&scores[first..end], &batch, |[slope, curvature]| {
                derivatives.push([slope as f32, curvature as f32]);
            });
            (missed, derivatives)
        };
        let count = lists.starts.len().saturating_sub(1);
        let some = |first: usize| &lists.starts[first..=(first + LISTS_OF_A_TASK).min(count)];
        let firsts: Vec<usize> = (0..count).step_by(LISTS_OF_A_TASK).collect();
        let derived: Vec<_> = firsts
            .into_par_iter()
            .map_init(LambdaRank::default, |lambda_rank, first| of_some(lambda_rank, some(first)))
            .collect();
        self.derivatives.clear();
        derived.iter().for_each(|(_, derivatives)| self.derivatives.extend(derivatives));
        derived.iter().map(|(missed, _)| missed).sum::<f64>() / count.max(1) as f64
    }

    /// The candidates of the lists that a tree learns from.
    fn drawn(&mut self) -> Counted {
        let lists = self.lists.starts.len().saturating_sub(1);
        let mut picked = index::sample(&mut self.rng, lists, share(lists, LISTS)).into_vec();
        picked.sort_unstable();
        let mut drawn = Counted::default();
        for list in picked {
            for row in self.lists.starts[list]..self.lists.starts[list + 1] {
                drawn.push(row as u32, 0, self.derivatives[row]);
            }
        }
        drawn
    }

    fn tree(&mut self, mut counted: Counted) -> Tree {
        let width = self.features.len();
        let asked = index::sample(&mut self.rng, width, share(width, FEATURES)).into_vec();
        let mut splits = Vec::new();
        let mut histograms: Vec<Histogram> = Vec::new();
        while splits.len() < self.settings.depth {
            histograms = self.histograms(&asked, &counted, 1 << splits.len(), &histograms);
            let borders = asked.par_iter().map(|&feature| self.features[feature].borders.len());
            let bests =
                borders.zip(&histograms).map(|(borders, histogram)| histogram.best(borders));
            let bests: Vec<(f64, usize)> = bests.collect();
            let best = asked.iter().zip(bests).max_by(|a, b| a.1.0.total_cmp(&b.1.0));
            let Some((&feature, (_, border))) = best.filter(|(_, (gain, _))| *gain > LEAST_GAIN)
            else {
                break;
            };
            let Binned { borders, bins } = &self.features[feature];
            let bit = splits.len();
            counted.leaves.par_iter_mut().zip(&counted.rows).for_each(|(leaf, &row)| {
                *leaf |= u16::from(usize::from(bins[row as usize]) > border) << bit;
            });
            splits.push(Split { feature, above: borders[border] });
        }
        let answer = |[slope, curvature]: Derivatives| {
            (-f64::from(self.settings.shrinkage) * slope / (curvature + PRIOR)) as f32
        };
        let leaves = counted.sums(1 << splits.len()).into_iter().map(answer).collect();
        Tree { splits, leaves }
    }

    /// Those of the features `asked`; `before`: of the level above, none at the first one.
    fn histograms(
        &self,
        asked: &[usize],
        counted: &Counted,
        leaves: usize,
        before: &[Histogram],
    ) -> Vec<Histogram> {
        if before.is_empty() {
            let count =
                |&feature: &usize| Histogram::count(&self.features[feature].bins, counted, leaves);
            return asked.par_iter().map(count).collect();
        }
        let parents = leaves / 2;
        let (smaller, above_is_smaller) = counted.smaller_halves(parents);
        let count = |(&feature, before): (&usize, &Histogram)| {
            let counts = Histogram::count(&self.features[feature].bins, &smaller, parents);
            before.halves(&counts, &above_is_smaller)
        };
        asked.par_iter().zip(before).map(count).collect()
    }
}

/// So much of a number, but one of it at least.
fn share(of: usize, share: f64) -> usize {
    ((of as f64 * share).ceil() as usize).clamp(of.min(1), of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::Rng;

    const WIDTH: usize = 3;

    /// Lists of 20 in which the candidate is bought whose first feature is nearest to 0.
    struct Shop {
        rows: Vec<f32>,
        bought: Vec<bool>,
        starts: Vec<usize>,
    }

    impl Shop {
        fn new(lists: usize, seed: u64) -> Self {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let rows: Vec<f32> =
                (0..lists * 20 * WIDTH).map(|_| rng.random_range(-1.0..1.0)).collect();
            let mut bought = vec![false; lists * 20];
            for list in 0..lists {
                let distance = |row: &usize| rows[row * WIDTH].abs();
                let nearest = (list * 20..(list + 1) * 20)
                    .min_by(|a, b| distance(a).total_cmp(&distance(b)))
                    .unwrap();
                bought[nearest] = true;
            }
            Self { rows, bought, starts: (0..=lists).map(|list| list * 20).collect() }
        }

        fn view(&self) -> ListBatch<'_> {
            ListBatch { rows: &self.rows, starts: &self.starts, bought: &self.bought }
        }

        fn learner(&self, depth: usize, seed: u64) -> TreeRanker<'_> {
            TreeRanker::new(self.view(), WIDTH, TreeSettings { depth, shrinkage: 0.2 }, seed)
        }
    }

    #[test]
    fn what_is_bought_comes_first() {
        let shop = Shop::new(300, 1);
        let mut learner = shop.learner(3, 1);
        let missed: Vec<f64> = (0..60).map(|_| learner.grow()).collect();
        assert!(missed[59] < 0.3 * missed[0], "{missed:?}");
        learner.forest().check(WIDTH).unwrap();
        let other = Shop::new(100, 2);
        let scores = learner.forest().scores(&other.rows, WIDTH);
        let first = |list: &usize| {
            let best =
                (list * 20..(list + 1) * 20).max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
            best.is_some_and(|best| other.bought[best])
        };
        assert!((0..100).filter(first).count() > 60);
    }

    #[test]
    fn the_forest_scores_candidates_as_training_did() {
        let shop = Shop::new(50, 3);
        let mut learner = shop.learner(4, 1);
        (0..10).for_each(|_| {
            learner.grow();
        });
        assert_eq!(learner.forest().scores(&shop.rows, WIDTH), learner.scores);
    }

    #[test]
    fn threads_change_nothing() {
        let shop = Shop::new(2_000, 4);
        let forest = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut learner = shop.learner(5, 1);
                (0..4).for_each(|_| {
                    learner.grow();
                });
                learner.forest().clone()
            })
        };
        assert_eq!(forest(1), forest(3));
    }

    #[test]
    fn features_that_tell_nothing_give_trees_without_splits() {
        let rows = [1.0; 8];
        let batch = ListBatch { rows: &rows, starts: &[0, 4, 8], bought: &[true, false].repeat(4) };
        let settings = TreeSettings { depth: 3, shrinkage: 0.1 };
        let mut learner = TreeRanker::new(batch, 1, settings, 1);
        learner.grow();
        assert_eq!(learner.forest().trees[0].splits, []);
        let none = ListBatch { rows: &[], starts: &[0], bought: &[] };
        TreeRanker::new(none, 1, settings, 1).grow();
    }

    proptest! {
        /// Counted by halves or as a whole, a histogram is the same.
        #[test]
        fn halves_are_those_of_a_full_count(seed in any::<u64>(), level in 1usize..4) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let bins: Vec<u8> = (0..200).map(|_| rng.random_range(0..128)).collect();
            let (parents, mut now, mut before) =
                (1 << (level - 1), Counted::default(), Counted::default());
            for row in 0..200 {
                let leaf = rng.random_range(0..2 * parents) as u16;
                // Sums of whole numbers are exact.
                let derivatives = [rng.random_range(-9i8..9).into(), rng.random_range(0u8..9).into()];
                now.push(row, leaf, derivatives);
                before.push(row, leaf % parents as u16, derivatives);
            }
            let (smaller, above_is_smaller) = now.smaller_halves(parents);
            prop_assert!(smaller.rows.len() <= 100);
            let before = Histogram::count(&bins, &before, parents);
            let counts = Histogram::count(&bins, &smaller, parents);
            let halves = before.halves(&counts, &above_is_smaller);
            prop_assert_eq!(halves.0, Histogram::count(&bins, &now, 2 * parents).0);
        }
    }
}
