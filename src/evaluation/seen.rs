//! Whether a bundle was trained on the purchases it is to be tested by.

use crate::{
    bundle::Manifest,
    dataset::{Dataset, Protocol, Split, TimeUnit},
    domain::Timestamp,
};

/// Why a test says nothing about a bundle.
#[derive(Debug, thiserror::Error)]
pub enum Seen {
    #[error(
        "the bundle was trained on purchases up to {until}, and {rows} of the {total} purchases of this test are from \
         before that. Numbers on them say how well the model remembers, not how well it predicts"
    )]
    Before { until: Timestamp, rows: usize, total: usize },
    #[error(
        "the bundle does not say up to when it has seen purchases, and it was trained on other data or to hold out \
         another test: what is tested now may have been in its training"
    )]
    Unknown,
}

/// Whether the bundle has seen purchases that the split holds out for the test.
///
/// # Errors
/// [`Seen`] unless the bundle held out the very same purchases, or all of them are later than what
/// it has seen.
pub fn seen(
    manifest: &Manifest,
    dataset: &Dataset,
    fingerprint: &str,
    split: &Split,
) -> Result<(), Seen> {
    if manifest
        .held_out
        .as_ref()
        .is_some_and(|held_out| *held_out == split.held_out_fingerprint(dataset))
    {
        return Ok(());
    }
    let rows = split.test_rows(dataset);
    let dated = dataset.time_unit != TimeUnit::Position;
    if let Some(until) = manifest.seen_until.filter(|_| dated) {
        let before =
            rows.iter().filter(|&&row| dataset.purchases.time[row as usize] <= until).count();
        return match before {
            0 => Ok(()),
            rows_before => Err(Seen::Before { until, rows: rows_before, total: rows.len() }),
        };
    }
    // Bundles of older versions name their data and their split, and were never trained on the
    // test.
    let trained = manifest
        .training
        .get("split")
        .and_then(|split| serde_json::from_value::<Protocol>(split.clone()).ok());
    let same_test = trained.is_some_and(|trained| trained.tests_the_same(split.protocol));
    let old = manifest.measured.is_none();
    if old && same_test && manifest.data_fingerprint == fingerprint {
        Ok(())
    } else {
        Err(Seen::Unknown)
    }
}
