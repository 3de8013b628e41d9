//! Metrics, protocols, baselines, reports: always over the full catalogue. Knows no HTTP.
//!
//! [`Evaluation`] asks a [`Scorer`] for a score of every article for each case, masks what the
//! protocol masks, and averages the [`Metric`]s; [`Outcomes`] says how sure the averages are. A
//! scorer is a baseline ([`baselines`]) or query vectors against item vectors ([`VectorRanker`]): a
//! bundle, or a model in training.

pub mod baselines;
mod bundle;
mod calibration;
mod frequency;
mod metrics;
mod outcomes;
mod pairs;
mod past;
mod pipeline;
mod report;
mod run;
mod seen;
mod segments;
mod shop;
mod top;
mod vectors;
mod verdict;

pub use bundle::{BundleRanker, bundle_ranker};
pub use calibration::{Calibration, Group};
pub use frequency::FrequencyScorer;
pub use metrics::{METRICS, Metric, Outcome};
pub use outcomes::{Difference, Outcomes};
pub use pairs::{PAIR_LOSS, PairTests, SIMILARITY_RECALL};
pub use past::{Past, RankerScorer};
pub use pipeline::{
    CALIBRATION_ERROR, Details, PipelineScorer, PipelineTest, SourceRecall, missing_model,
};
pub use report::{BySegment, Report, Test, beyond_ranking, notes};
pub use run::{Evaluation, Measured};
pub use seen::{Seen, seen};
pub use segments::{SEGMENTS_EXPLAINED, SegmentRow, Segments};
pub use shop::{OfflineCustomer, OfflineShop};
pub use top::TopSelector;
pub use vectors::{QueryVectors, VectorRanker};
pub use verdict::verdict;

use crate::{bundle::RowKind, dataset::Case};

/// Something that scores the whole catalogue for evaluation cases: a bundle or a baseline.
pub trait Scorer: Sync {
    /// Name of the row in reports.
    fn name(&self) -> &str;

    fn kind(&self) -> RowKind;

    /// What was chosen on the validation purchases, such as `half-life 30 days`; empty when there
    /// was nothing to choose.
    fn settings(&self) -> String {
        String::new()
    }

    /// Writes one score per case and article of the dataset (row-major `cases × articles`; higher
    /// is better, `-inf` and not a number = never). Called from many threads with a few dozen cases
    /// at a time.
    ///
    /// # Errors
    /// [`EvaluationError`] when a model can't be run.
    fn score(&self, cases: &[Case], scores: &mut [f32]) -> Result<(), EvaluationError>;
}

#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    #[error("there is nothing to evaluate: {0}")]
    Nothing(&'static str),
    #[error("`{ranker}` can't rank: {cause}")]
    Ranker { ranker: String, cause: String },
    #[error("stopped while the baselines were measured")]
    Stopped,
}
