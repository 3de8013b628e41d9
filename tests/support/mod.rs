//! What the integration tests share. Each test binary uses a part of it.
#![allow(dead_code)]

pub mod postgres;

use std::sync::Arc;
use vitrine::store::{self, Store, StoreOptions};

/// A migrated database of its own for one test.
pub struct Database {
    pub url: String,
    pub store: Arc<dyn Store>,
    _directory: Option<tempfile::TempDir>,
}

impl Database {
    /// An SQLite file in a temporary directory.
    pub async fn sqlite() -> Self {
        let (url, directory) = empty_sqlite();
        Self::open(url, Some(directory)).await
    }

    /// A database in the shared throw-away cluster.
    pub async fn postgres() -> Self {
        Self::open(postgres::shared().database(), None).await
    }

    async fn open(url: String, directory: Option<tempfile::TempDir>) -> Self {
        let options = StoreOptions::default();
        store::migrate(&url, &options).await.expect("a new database can be migrated");
        let store = store::connect(&url, &options).await.expect("a migrated database can be opened");
        Self { url, store, _directory: directory }
    }
}

/// The URL of an SQLite file that does not exist, in a directory that goes with the second value.
pub fn empty_sqlite() -> (String, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    (format!("sqlite:{}", directory.path().join("shop.sqlite").display()), directory)
}
