//! What learns from lists: a network, or trees.

use super::{LearnerKind, RankerConfig, Scorer, lists::Lists};
use crate::{
    bundle::RankerSettings,
    model::{ListBatch, ListRanker, TreeRanker, TreeSettings},
    training::{Shuffle, Trainer, TrainingError},
};
use rayon::prelude::*;

/// Trees that an epoch adds.
const TREES: usize = 25;

/// A ranker in training.
pub(super) enum Learner<'a> {
    Network(Box<NetworkLearner>),
    Trees(Box<TreeRanker<'a>>),
}

pub(super) struct NetworkLearner {
    /// Their features are scaled.
    lists: Lists,
    network: ListRanker,
    shuffle: Shuffle,
}

impl<'a> Learner<'a> {
    /// A ranker that has learnt nothing yet.
    pub fn new(
        lists: &'a Lists,
        settings: &RankerSettings,
        config: &RankerConfig,
        seed: u64,
    ) -> Self {
        let width = lists.width;
        match config.learner {
            LearnerKind::Network => {
                let network = ListRanker::new(width, &config.hidden, seed);
                let shuffle = Shuffle::new(lists.len(), config.batch_lists, seed);
                let mut lists = lists.clone();
                lists.rows.par_chunks_mut(4_096 * width).for_each(|rows| settings.scale(rows));
                Self::Network(Box::new(NetworkLearner { lists, network, shuffle }))
            }
            LearnerKind::Trees => {
                let Lists { rows, starts, bought, .. } = lists;
                let settings = TreeSettings { depth: config.depth, shrinkage: config.shrinkage };
                let batch = ListBatch { rows, starts, bought };
                Self::Trees(Box::new(TreeRanker::new(batch, width, settings, seed)))
            }
        }
    }

    /// The mean loss of an epoch of `epochs`; `None` when stopped from outside.
    pub fn epoch(
        &mut self,
        trainer: &Trainer<'_>,
        epoch: u32,
        epochs: u32,
    ) -> Result<Option<f64>, TrainingError> {
        let mut loss = 0.0;
        match self {
            Self::Network(learner) => {
                let NetworkLearner { lists, network, shuffle } = &mut **learner;
                let planned = epochs.saturating_mul(shuffle.batches() as u32);
                for picked in shuffle.order(epoch).chunks(shuffle.batch_size) {
                    if (trainer.stop)() {
                        return Ok(None);
                    }
                    let batch = Batch::of(lists, picked);
                    let optimizer = trainer.config.optimizer.at(network.steps(), planned);
                    let of_batch = network.step(batch.view(), &optimizer.adamw);
                    if !of_batch.is_finite() {
                        return Err(TrainingError::Diverged {
                            loss: of_batch,
                            step: network.steps() + 1,
                            epoch: epoch + 1,
                            batch: 0,
                            directory: trainer.directory.clone(),
                        });
                    }
                    loss += of_batch / shuffle.batches() as f64;
                }
            }
            Self::Trees(trees) => {
                for _ in 0..TREES {
                    if (trainer.stop)() {
                        return Ok(None);
                    }
                    loss += trees.grow() / TREES as f64;
                }
            }
        }
        Ok(Some(loss))
    }

    /// What was learnt so far.
    pub fn scorer(&self) -> Scorer {
        match self {
            Self::Network(learner) => Scorer::Network(learner.network.averaged()),
            Self::Trees(trees) => Scorer::Trees(trees.forest().clone()),
        }
    }
}

/// The lists of a step.
struct Batch {
    rows: Vec<f32>,
    bought: Vec<bool>,
    starts: Vec<usize>,
}

impl Batch {
    fn of(lists: &Lists, picked: &[u32]) -> Self {
        let mut batch = Self { rows: Vec::new(), bought: Vec::new(), starts: vec![0] };
        for &list in picked {
            let range = lists.starts[list as usize]..lists.starts[list as usize + 1];
            batch.rows.extend(&lists.rows[range.start * lists.width..range.end * lists.width]);
            batch.bought.extend(&lists.bought[range]);
            batch.starts.push(batch.bought.len());
        }
        batch
    }

    fn view(&self) -> ListBatch<'_> {
        ListBatch { rows: &self.rows, starts: &self.starts, bought: &self.bought }
    }
}
