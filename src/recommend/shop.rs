//! What requests may read besides the snapshot of their own model.

use super::{RecommendError, Signals, Snapshot};
use std::{collections::BTreeMap, sync::Arc};

/// Everything that is served at one moment. Immutable.
#[derive(Debug, Default)]
pub struct Shop {
    /// By name; all over the same catalogue.
    pub models: BTreeMap<String, Arc<Snapshot>>,
    /// What purchases say about articles; `None` until they are counted.
    pub signals: Option<Arc<Signals>>,
}

impl Shop {
    /// A model over the same catalogue as `snapshot`.
    pub(super) fn model(&self, name: &str, snapshot: &Snapshot) -> Option<&Snapshot> {
        let model = self.models.get(name)?;
        // Rows mean the same articles only within one catalogue.
        model.catalogue().has_articles_of(snapshot.catalogue()).then_some(model)
    }

    /// # Errors
    /// [`RecommendError::NoStatistics`] before the purchases are counted.
    pub(super) fn signals(&self) -> Result<&Signals, RecommendError> {
        self.signals.as_deref().ok_or(RecommendError::NoStatistics)
    }
}
