//! Why training failed.

use super::checkpoint::CheckpointError;
use crate::{
    bundle::BundleError, evaluation::EvaluationError, features::FeatureError,
    model::sequence::SequenceError,
};
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    #[error("features: {0}")]
    Features(#[from] FeatureError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error("evaluation: {0}")]
    Evaluation(#[from] EvaluationError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error("there is no checkpoint {} to resume from; train without --resume", .0.display())]
    NothingToResume(PathBuf),
    #[error(
        "no purchase lies in the last {0} days before what is held out; raise `training.window_days`"
    )]
    EmptyWindow(u32),
    #[error(
        "the loss became {loss} at step {step} (epoch {epoch}, batch {batch}): lower `optimizer.learning_rate` or raise \
         `loss.temperature`. The checkpoint of the last good epoch, if there was one, is kept in {}",
        directory.display()
    )]
    Diverged { loss: f64, step: u32, epoch: u32, batch: u32, directory: PathBuf },
    #[error(
        "no customer has enough training purchases to learn from; a sequence model takes fewer with a lower \
         `sequence.min_items`"
    )]
    NothingToLearn,
    #[error(
        "`sequence.tokens` is `text`, but the articles have no vectors of their texts; the configuration needs [text]"
    )]
    NoTexts,
    #[error(
        "`sequence.tokens` is `text`: the texts' vectors have {found} numbers, but `sequence.item_dim` is {expected}"
    )]
    TextWidth { found: usize, expected: usize },
    #[error("{family}: {problem}")]
    Unfit { family: &'static str, problem: String },
    #[error(
        "no list of the past holds an article that was bought: give more purchases, a longer validation window \
         (`split.validation_days`) or more sources (`ranker.sources`)"
    )]
    NoLists,
    #[error("the training cannot start from the weights of the bundle: it {0}")]
    WarmStart(String),
    #[error("the configuration is of another model family")]
    Family,
    #[error("encoder: {0}")]
    Sequence(#[from] SequenceError),
    #[error("a sequence model has no two towers to write in parts")]
    NoTowers,
    #[error("`training.device` {0}")]
    NoDevice(String),
    #[error(
        "the GPU failed: {0}. The checkpoint of the last good epoch, if there was one, is kept; `--resume` continues it"
    )]
    Device(String),
    #[error("cannot write {}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("cannot start {threads} worker threads: {source}")]
    Threads { threads: usize, source: rayon::ThreadPoolBuildError },
}

impl TrainingError {
    /// Whether the user's configuration, data or call is at fault, and not the machine.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Features(_)
            | Self::NoTowers
            | Self::NothingToResume(_)
            | Self::EmptyWindow(_)
            | Self::NothingToLearn
            | Self::NoLists
            | Self::Unfit { .. }
            | Self::NoTexts
            | Self::NoDevice(_)
            | Self::TextWidth { .. } => true,
            Self::Checkpoint(error) => !matches!(error, CheckpointError::Io { .. }),
            _ => false,
        }
    }
}
