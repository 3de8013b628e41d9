//! What the operator is told.

use super::Service;
use crate::{domain::Timestamp, retrieval::Index};
use serde::Serialize;
use std::sync::PoisonError;
use utoipa::ToSchema;

/// The state of the server.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Status {
    /// Whether the default model can answer.
    pub ready: bool,
    pub database: DatabaseStatus,
    #[schema(required = true)]
    pub catalogue: Option<CatalogueStatus>,
    pub models: Vec<ModelStatus>,
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
    /// Articles the model was trained with.
    pub items: usize,
    /// Length of a vector; 0 for a model that counts purchases.
    pub dim: usize,
    /// Articles of the catalogue that are newer than the model.
    pub new_articles: usize,
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
        let models = state.models.values().map(|snapshot| ModelStatus {
            name: snapshot.model().name().into(),
            version: snapshot.model().version().into(),
            default: state.default.as_deref() == Some(snapshot.model().name()),
            items: snapshot.model().items(),
            dim: snapshot.model().index().map_or(0, Index::dim),
            new_articles: snapshot.fresh_articles(),
        });
        Status {
            ready: state.is_ready(),
            database: DatabaseStatus { available: self.database.is_available(), reason: self.database.reason() },
            catalogue,
            models: models.collect(),
            refusals: self.refusals.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect(),
        }
    }
}
