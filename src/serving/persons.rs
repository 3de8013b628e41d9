//! Changes of customers, after which nothing older is remembered.

use super::{ServeError, Service};
use crate::{
    bundle,
    domain::{CustomerId, VisitorId},
    store::{CustomerUpsert, Erasure, Person},
};
use serde::Serialize;
use utoipa::ToSchema;

/// A bundle that holds a customer's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BundleMention {
    pub model: String,
    pub version: String,
    /// Whether it answers requests.
    pub active: bool,
}

impl Service {
    /// Inserts customers or replaces their attributes, all or none.
    ///
    /// # Errors
    /// Those of the store; then nothing was written.
    pub async fn put_customers(&self, customers: &[CustomerUpsert]) -> Result<(), ServeError> {
        let written = self.database.store().put_customers(customers).await;
        self.customers.clear();
        Ok(written?)
    }

    /// Gives a visitor's past and future to a customer.
    ///
    /// # Errors
    /// Those of the store; then nothing has changed.
    pub async fn merge_visitor(
        &self,
        visitor: &VisitorId,
        customer: &CustomerId,
    ) -> Result<(), ServeError> {
        let merged = self.database.store().merge_visitor(visitor, customer).await;
        self.customers.clear();
        Ok(merged?)
    }

    /// Removes a person with all that is kept of them.
    ///
    /// # Errors
    /// Those of the store; then nothing has changed.
    pub async fn erase(&self, person: &Person) -> Result<Erasure, ServeError> {
        let erased = self.database.store().erase(person).await;
        // Even after an error: the answer may have been lost on its way.
        self.customers.clear();
        Ok(erased?)
    }

    /// The bundles on this machine whose vocabulary holds the id.
    ///
    /// # Errors
    /// When their directory cannot be read.
    pub async fn bundles_with(&self, id: &CustomerId) -> Result<Vec<BundleMention>, ServeError> {
        let (directory, id) = (self.models_directory.clone(), id.clone());
        let search = move || -> Result<Vec<bundle::Listed>, bundle::BundleError> {
            let mut found = Vec::new();
            for listed in bundle::list(&directory)? {
                if bundle::mentions_customer(&listed.path, id.as_str())? {
                    found.push(listed);
                }
            }
            Ok(found)
        };
        let found = tokio::task::spawn_blocking(search).await;
        let found = found.map_err(|error| ServeError::Internal(error.to_string()))??;
        let state = self.state();
        let mention = |bundle: bundle::Listed| {
            let serving = state.models.get(&bundle.name).map(|snapshot| snapshot.model().version());
            let active = serving == Some(bundle.version.as_str());
            BundleMention { model: bundle.name, version: bundle.version, active }
        };
        Ok(found.into_iter().map(mention).collect())
    }
}
