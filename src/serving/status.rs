//! What the operator is told.

use super::{ServeError, Service, StandIn, State};
use crate::{domain::Timestamp, retrieval::Index};
use serde::Serialize;
use utoipa::ToSchema;

/// The state of the server.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Status {
    /// Whether the default model can answer.
    pub ready: bool,
    /// Why it cannot, or what answers are worse than they should be for.
    pub reasons: Vec<String>,
    pub database: DatabaseStatus,
    #[schema(required = true)]
    pub catalogue: Option<CatalogueStatus>,
    pub models: Vec<ModelStatus>,
    pub placements: Vec<PlacementStatus>,
    /// Bundles that were refused, the latest of each model; gone once the model loads again.
    pub refusals: Vec<Refusal>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DatabaseStatus {
    pub available: bool,
    /// Why it is away.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CatalogueStatus {
    /// Grows with every change of the catalogue.
    pub version: i64,
    pub articles: usize,
    pub available: usize,
    /// Names that filters, `fields` and `max_per` may use.
    pub attributes: Vec<String>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ModelStatus {
    pub name: String,
    pub version: String,
    pub default: bool,
    /// The active version, where it could not be loaded and another one stands in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_version: Option<String>,
    /// Articles the model was trained with.
    pub items: usize,
    /// Length of a vector; 0 for a model that counts purchases.
    pub dim: usize,
    /// Articles of the catalogue that are newer than the model.
    pub new_articles: usize,
}

/// A placement, saved or built in.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PlacementStatus {
    pub name: String,
    /// 0 for a built-in one.
    pub version: i64,
    /// Why the saved definition does not serve. Where there is a built-in placement of this name,
    /// that one answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub problem: Option<String>,
    /// Parts of the definition that no longer fit the catalogue or the models, and are left out.
    pub ignored: Vec<String>,
}

/// A bundle that did not come to serve.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Refusal {
    pub model: String,
    pub version: String,
    pub reason: String,
    /// UTC.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

impl Service {
    pub fn status(&self) -> Status {
        let state = self.state();
        let catalogue = state.catalogue.as_ref().map(|catalogue| CatalogueStatus {
            version: catalogue.version(),
            articles: catalogue.len(),
            available: catalogue.available().count(),
            attributes: catalogue.attribute_names().into_iter().map(str::to_owned).collect(),
        });
        let stand_ins = state.stand_ins();
        let models = state.models.values().map(|snapshot| ModelStatus {
            name: snapshot.model().name().into(),
            version: snapshot.model().version().into(),
            active_version: stand_ins
                .iter()
                .find(|stand_in| stand_in.model == snapshot.model().name())
                .map(|stand_in| stand_in.active.clone()),
            default: state.default.as_deref() == Some(snapshot.model().name()),
            items: snapshot.model().items(),
            dim: snapshot.model().index().map_or(0, Index::dim),
            new_articles: snapshot.fresh_articles(),
        });
        Status {
            ready: self.is_ready(&state),
            reasons: self.reasons(&state),
            database: DatabaseStatus {
                available: self.database.is_available(),
                reason: self.database.reason(),
            },
            catalogue,
            models: models.collect(),
            placements: state.placement_status(),
            refusals: self.refusals.told(),
        }
    }

    /// Whether requests should come now: a model can answer them as it was trained to. A ranker
    /// needs the counts of what sells.
    pub fn is_ready(&self, state: &State) -> bool {
        state.answers() && !self.waits_for_sales(state)
    }

    fn waits_for_sales(&self, state: &State) -> bool {
        let ranks = state.models.values().any(|model| model.model().ranker().is_some());
        ranks && state.signals.is_none() && self.sales.is_first()
    }

    /// Why the server is not ready, or less than whole. Tells nothing that the public may not know.
    pub fn reasons(&self, state: &State) -> Vec<String> {
        let mut reasons = Vec::new();
        if let Err(error) = state.model(None) {
            reasons.push(self.not_ready(state, &error));
        }
        for StandIn { model, active, served } in state.stand_ins() {
            reasons.push(match served {
                Some(served) => format!(
                    "version {active} of model `{model}` cannot be loaded; {served} stands in"
                ),
                None => format!("version {active} of model `{model}` cannot be loaded"),
            });
        }
        if self.waits_for_sales(state) {
            reasons.push("the purchases are being counted for the first time".to_owned());
        }
        if !self.database.is_available() {
            reasons.push("the database is away: answers go on with what is known".to_owned());
        }
        if state.answers() && state.lacks_catalogue() {
            reasons.push(
                "the catalogue was not read yet: attributes and availability are unknown"
                    .to_owned(),
            );
        }
        reasons
    }

    fn not_ready(&self, state: &State, error: &ServeError) -> String {
        match (&state.default, state.active.is_empty()) {
            _ if state.catalogue.is_none() => "nothing is loaded yet".to_owned(),
            (Some(default), false) if !state.active.contains_key(default) => {
                format!("the default model `{default}` is not active")
            }
            (_, true) => "no model is active: activate one".to_owned(),
            _ => error.to_string(),
        }
    }
}

impl State {
    fn placement_status(&self) -> Vec<PlacementStatus> {
        let served = self.placements.values().map(|placement| PlacementStatus {
            name: placement.name.clone(),
            version: placement.version,
            problem: None,
            ignored: placement.ignored.iter().map(ToString::to_string).collect(),
        });
        let mut all: Vec<PlacementStatus> = served.collect();
        for (name, stored) in self.stored_placements.iter().flat_map(|stored| stored.iter()) {
            let Some(problem) = stored.problem() else { continue };
            all.retain(|placement| placement.name != *name);
            let problem = Some(problem.to_owned());
            all.push(PlacementStatus {
                name: name.clone(),
                version: stored.version(),
                problem,
                ignored: Vec::new(),
            });
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}
