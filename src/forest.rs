//! Oblivious regression trees: all nodes of a level ask the same question, so that a leaf is found
//! by as many comparisons as the tree is deep, without a branch (Kohavi 1994; as the trees of
//! Prokhorenkova et al. 2018).

use serde::{Deserialize, Serialize};

/// Trees whose answers are added up.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forest {
    pub trees: Vec<Tree>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tree {
    /// The question of each level.
    pub splits: Vec<Split>,
    /// `2^splits` answers; bit `n` of a leaf's place says that split `n` holds.
    pub leaves: Vec<f32>,
}

/// Whether a feature is above a number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    pub feature: usize,
    pub above: f32,
}

/// Levels of a tree, at most.
pub const MAX_DEPTH: usize = 10;
/// Trees, at most.
const MAX_TREES: usize = 20_000;
/// Rows that go through the trees side by side.
const BLOCK: usize = 32;

impl Forest {
    /// Checks that it can score rows of `width` numbers.
    ///
    /// # Errors
    /// The first tree that cannot, and why.
    pub fn check(&self, width: usize) -> Result<(), String> {
        if !(1..=MAX_TREES).contains(&self.trees.len()) {
            return Err(format!("it has {} trees, not 1 to {MAX_TREES}", self.trees.len()));
        }
        for (at, tree) in self.trees.iter().enumerate() {
            let (depth, leaves) = (tree.splits.len(), tree.leaves.len());
            if depth > MAX_DEPTH || leaves != 1 << depth {
                return Err(format!("tree {at} has {depth} splits and {leaves} leaves"));
            }
            if let Some(split) = tree.splits.iter().find(|split| split.feature >= width) {
                return Err(format!("tree {at} asks for feature {} of {width}", split.feature));
            }
            let mut numbers = tree.splits.iter().map(|split| &split.above).chain(&tree.leaves);
            if numbers.any(|x| !x.is_finite()) {
                return Err(format!("tree {at} holds a number that is not finite"));
            }
        }
        Ok(())
    }

    /// A score for each row of `width` numbers, row-major. Numbers behind the last whole row are
    /// left out.
    ///
    /// # Panics
    /// When the forest does not pass [`Forest::check`] for this width.
    pub fn scores(&self, rows: &[f32], width: usize) -> Vec<f32> {
        let mut columns = vec![[0.0; BLOCK]; width];
        let mut scores = Vec::with_capacity(rows.len() / width.max(1));
        for block in rows.chunks(BLOCK * width.max(1)) {
            let count = block.len() / width.max(1);
            for (at, row) in block.chunks_exact(width.max(1)).enumerate() {
                columns.iter_mut().zip(row).for_each(|(column, &x)| column[at] = x);
            }
            let mut sums = [0.0; BLOCK];
            for tree in &self.trees {
                let mut places = [0_u32; BLOCK];
                for (bit, split) in tree.splits.iter().enumerate() {
                    for (place, &x) in places.iter_mut().zip(&columns[split.feature]) {
                        *place |= u32::from(x > split.above) << bit;
                    }
                }
                for (sum, place) in sums.iter_mut().zip(places) {
                    *sum += tree.leaves[place as usize];
                }
            }
            scores.extend(&sums[..count]);
        }
        scores
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tree(splits: &[(usize, f32)], leaves: &[f32]) -> Tree {
        let split = |&(feature, above)| Split { feature, above };
        Tree { splits: splits.iter().map(split).collect(), leaves: leaves.to_vec() }
    }

    #[test]
    fn a_leaf_is_found_by_its_splits() {
        let forest = Forest {
            trees: vec![tree(&[(0, 1.0), (1, 5.0)], &[1.0, 2.0, 3.0, 4.0]), tree(&[], &[10.0])],
        };
        forest.check(2).unwrap();
        let rows = [1.0, 5.0, 1.5, 5.0, 1.0, 5.5, 1.5, 5.5];
        assert_eq!(forest.scores(&rows, 2), [11.0, 12.0, 13.0, 14.0]);
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        for (trees, problem) in [
            (vec![], "0 trees"),
            (vec![tree(&[(0, 0.0)], &[1.0])], "1 splits and 1 leaves"),
            (vec![tree(&[(2, 0.0)], &[1.0, 2.0])], "feature 2 of 2"),
            (vec![tree(&[(0, f32::NAN)], &[1.0, 2.0])], "not finite"),
            (vec![tree(&[], &[f32::INFINITY])], "not finite"),
            (vec![tree(&[(0, 0.0); 11], &[0.0; 2048])], "11 splits"),
        ] {
            let error = Forest { trees }.check(2).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
    }

    proptest! {
        /// Blocks change nothing.
        #[test]
        fn a_row_scores_alone_as_among_others(rows in prop::collection::vec(-3f32..3.0, 3 * 70)) {
            let trees = (0..5).map(|at| {
                let split = |level: usize| ((at + level) % 3, level as f32 - 1.0);
                tree(&[0, 1, 2].map(split), &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
            });
            let forest = Forest { trees: trees.collect() };
            let alone: Vec<f32> = rows.chunks(3).flat_map(|row| forest.scores(row, 3)).collect();
            prop_assert_eq!(forest.scores(&rows, 3), alone);
        }
    }
}
