//! The database: catalogue, customers, purchases, model versions. The only module with sqlx; Postgres and
//! SQLite behind [`Store`], one conformance suite over both.

use crate::domain::{ArticleId, CustomerId, Timestamp};
use async_trait::async_trait;
use std::collections::BTreeMap;

/// A row of the catalogue. Attributes keep the shop's own column names, such as `garment_group_name`.
#[derive(Debug, Clone, PartialEq)]
pub struct ArticleRecord {
    pub id: ArticleId,
    pub available: bool,
    /// In the shop's currency.
    pub price: Option<f32>,
    pub image_url: Option<String>,
    pub attributes: BTreeMap<String, AttributeValue>,
}

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum AttributeValue {
    Number(f64),
    Text(String),
    Tags(Vec<String>),
}

/// A customer with the latest purchases.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomerRecord {
    pub id: CustomerId,
    pub attributes: BTreeMap<String, AttributeValue>,
    /// Newest first.
    pub purchases: Vec<PurchaseRecord>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PurchaseRecord {
    pub article: ArticleId,
    pub at: Timestamp,
}

/// A registered bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelVersion {
    pub model: String,
    pub version: String,
    pub active: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or gave no connection in time; worth trying again.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    #[error("the database refused: {0}")]
    Refused(String),
    #[error("the database has schema version {found}, this program needs {needed}: run `vitrine-server migrate`")]
    NotMigrated { found: i64, needed: i64 },
    #[error("{0}")]
    NotFound(String),
}

/// What the server asks of a database.
#[async_trait]
pub trait Store: Send + Sync {
    /// One round trip.
    async fn ping(&self) -> Result<(), StoreError>;

    /// A number that grows with every change of the catalogue.
    async fn catalogue_version(&self) -> Result<i64, StoreError>;
    /// The whole catalogue.
    async fn catalogue(&self) -> Result<Vec<ArticleRecord>, StoreError>;
    /// Those of the ids that exist, in any order.
    async fn articles(&self, ids: &[ArticleId]) -> Result<Vec<ArticleRecord>, StoreError>;
    /// Inserts or replaces.
    async fn put_articles(&self, articles: &[ArticleRecord]) -> Result<(), StoreError>;
    /// Ids that do not exist are returned; the others are changed.
    async fn set_available(&self, ids: &[ArticleId], available: bool) -> Result<Vec<ArticleId>, StoreError>;

    /// `None` for an unknown customer; at most `purchases` purchases.
    async fn customer(&self, id: &CustomerId, purchases: usize) -> Result<Option<CustomerRecord>, StoreError>;

    /// Adds a version of a model; nothing when it is there already.
    async fn register_model(&self, model: &str, version: &str) -> Result<(), StoreError>;
    /// All versions, newest first within a model.
    async fn models(&self) -> Result<Vec<ModelVersion>, StoreError>;
    /// Makes a registered version the active one of its model; answers the one it replaces.
    async fn activate_model(&self, model: &str, version: &str) -> Result<Option<String>, StoreError>;
    /// Makes the version that was active before the current one active again; answers it.
    async fn rollback_model(&self, model: &str) -> Result<String, StoreError>;
}
