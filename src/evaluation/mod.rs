//! Metrics, protocols, baselines, reports: always over the full catalogue. Knows no HTTP.

/// Something that ranks the whole catalogue for an evaluation case: a bundle or a baseline.
pub trait Ranker: Sync {
    /// Name of the row in reports.
    fn name(&self) -> &str;
    /// Writes one score per article of the dataset (higher is better; `-inf` = never) for the case.
    fn score(&self, case: &crate::dataset::Case, scores: &mut [f32]);
}
