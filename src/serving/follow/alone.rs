//! A start without the database: the bundles serve what was active when it was there last, over a
//! catalogue of nothing but their articles' ids. Following replaces all of it when the database
//! comes.

use crate::{
    recommend::Model,
    serving::{ServeError, Service, State, catalogue},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// What was active, as a file among the bundles.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Remembered {
    /// Version by model.
    active: BTreeMap<String, String>,
    default: Option<String>,
}

impl Service {
    /// Serves what was active last; where that is not known, the newest good bundle of the only
    /// model.
    pub(super) async fn serve_alone(&self) {
        if self.state().catalogue.is_some() {
            return;
        }
        let Remembered { active, default } = self.recall_active();
        let mut opened: Vec<Arc<dyn Model>> = Vec::new();
        for (model, version) in &active {
            opened.extend(self.open_again(model, version).await);
        }
        if active.is_empty() {
            opened.extend(self.open_obvious().await);
        }
        if opened.is_empty() {
            return;
        }
        let default =
            self.default_model.clone().or(default).or_else(|| Some(opened[0].name().to_owned()));
        let _changes = self.changes.lock().await;
        if self.state().catalogue.is_some() {
            // The database came meanwhile.
            return;
        }
        let catalogue = Arc::new(catalogue::from_models(&opened));
        let mut models = BTreeMap::new();
        self.join_all(opened, &catalogue, &mut models).await;
        let served = models.keys().cloned().collect::<Vec<_>>().join(", ");
        tracing::warn!(
            models = served,
            "started without the database: articles have no attributes and count as available until it comes"
        );
        self.publish(State {
            catalogue: Some(catalogue),
            models,
            active,
            default,
            ..State::clone(&self.state())
        });
    }

    async fn open_obvious(&self) -> Option<Arc<dyn Model>> {
        let (model, versions) = self.obvious_model().ok().flatten()?;
        for version in versions {
            if let Some(bundle) = self.open_again(&model, &version).await {
                return Some(bundle);
            }
        }
        None
    }

    /// Writes down what is active. A folder that cannot be written only costs the memory of it.
    pub(super) fn remember_active(&self) {
        let state = self.state();
        let now = Remembered { active: state.active.clone(), default: state.default.clone() };
        if now == self.recall_active() {
            return;
        }
        if let Err(error) = self.write_active(&now) {
            tracing::debug!(%error, "cannot write down what is active");
        }
    }

    fn write_active(&self, now: &Remembered) -> Result<(), ServeError> {
        let failed = |error: std::io::Error| ServeError::Internal(error.to_string());
        let text = serde_json::to_vec_pretty(now).map_err(std::io::Error::other).map_err(failed)?;
        // Renamed into place, so that a file is whole; one name a process, because replicas may
        // share the folder.
        let path = self.active_file();
        let partial = path.with_extension(format!("{}.tmp", std::process::id()));
        std::fs::write(&partial, text)
            .and_then(|()| std::fs::rename(&partial, &path))
            .map_err(failed)
    }

    fn recall_active(&self) -> Remembered {
        let text = std::fs::read(self.active_file()).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    fn active_file(&self) -> PathBuf {
        self.models_directory.join(".active.json")
    }
}
