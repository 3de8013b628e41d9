//! What the pipeline asks of a model.

use super::ListModel;
use crate::{
    counters::PersonalFrequency,
    features::{ArticleView, CustomerView},
    retrieval::{Index, Query},
};

/// A loaded model; a bundle in production. It has vectors and an index of them, or it counts what a
/// customer bought ([`Model::frequency`]) and has none.
pub trait Model: Send + Sync {
    fn name(&self) -> &str;
    fn version(&self) -> &str;
    /// Number of items; they are numbered from 0.
    fn items(&self) -> usize;
    /// Finds items by a query vector; `None` for a model without vectors.
    fn index(&self) -> Option<&dyn Index>;
    /// How the index would answer the query, for metrics.
    fn search_plan(&self, query: &Query<'_>) -> &'static str;
    /// The item of an article, if the model was trained with it in the catalogue.
    fn item(&self, article_id: &str) -> Option<u32>;
    /// The ids of the articles the model was trained with; none where it does not tell.
    fn article_ids(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(std::iter::empty())
    }
    /// The vector of an item, as long as the index says; `None` for a model without vectors.
    fn vector(&self, item: u32) -> Option<&[f32]>;
    /// How a customer's own articles are ranked, in place of vectors; `None` for a model with
    /// vectors.
    fn frequency(&self) -> Option<PersonalFrequency> {
        None
    }
    /// The network that ranks candidates which other sources found, in place of vectors; `None` for
    /// a model that finds its own.
    fn ranker(&self) -> Option<&dyn ListModel> {
        None
    }
    /// Purchases in the training window, one number an item. They count where the catalogue has no
    /// sales of its own.
    fn popularity(&self) -> &[f32];
    /// Whether the customer has a trained row of their own.
    fn knows_customer(&self, id: &str) -> bool;
    /// Whether the query tower reads the customer's last articles.
    fn reads_history(&self) -> bool;
    /// How many of the customer's last articles make a difference; [`usize::MAX`]: all.
    fn history_length(&self) -> usize {
        usize::MAX
    }
    /// Whether the query tower reads nothing else.
    fn needs_history(&self) -> bool;
    /// Whether the query encoder reads them in their order, as a sequence that can be continued.
    fn reads_sequence(&self) -> bool;
    /// Embeds a customer: leaves finite numbers in `vector`, as many as the index says, whatever it
    /// held before.
    ///
    /// # Errors
    /// When the tower fails or there is none.
    fn embed_customer(
        &self,
        customer: &CustomerView<'_>,
        vector: &mut Vec<f32>,
    ) -> Result<(), ModelError>;
    /// Embeds articles by their attributes, whether the model has seen them or not: one vector
    /// after the other, or none at all where the model knows articles by their id alone or has no
    /// vectors.
    ///
    /// # Errors
    /// When the tower fails.
    fn embed_articles(&self, articles: &[ArticleView<'_>]) -> Result<Vec<f32>, ModelError>;
}

/// A tower failed on input that the schema allows: the bundle is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the model could not embed: {0}")]
pub struct ModelError(pub String);
