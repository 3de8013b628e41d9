//! What the database says of versions, for a program that waits for each answer.

use super::RetrainError;
use crate::{
    dataset::Dataset,
    store::{self, Change, ReadOptions, ReadReport, RetrainLock, Store, StoreError, StoreOptions},
};
use serde_json::{Value, json};
use std::{sync::Arc, thread::sleep, time::Duration};
use tokio::runtime::{Builder, Runtime};

/// Who changes the versions, in the record of changes.
const ACTOR: &str = "retrain";

/// Longest wait for a connection.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a change is tried while the database is away, and how long to wait in between.
const TRIES: u32 = 30;
const BETWEEN_TRIES: Duration = Duration::from_secs(10);

/// The database of a shop.
pub struct Registry {
    url: String,
    options: StoreOptions,
    store: Arc<dyn Store>,
    runtime: Runtime,
}

impl Registry {
    /// # Errors
    /// A database that cannot be reached or is not migrated.
    pub fn open(url: &str) -> Result<Self, RetrainError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|error| RetrainError::Input(format!("no runtime: {error}")))?;
        let options = StoreOptions { acquire_timeout: PATIENCE, ..StoreOptions::default() };
        let store = runtime.block_on(store::connect(url, &options))?;
        Ok(Self { url: url.to_owned(), options, store, runtime })
    }

    /// Keeps other retrainings of this shop away; `None` when one is running.
    ///
    /// # Errors
    /// A database that is away.
    pub fn lock(&self) -> Result<Option<RetrainLock>, RetrainError> {
        Ok(self.runtime.block_on(RetrainLock::take(&self.url, &self.options))?)
    }

    /// The shop as of now.
    ///
    /// # Errors
    /// As [`store::read_dataset`].
    pub fn read(&self, reading: &ReadOptions) -> Result<(Dataset, ReadReport), RetrainError> {
        Ok(self.runtime.block_on(store::read_dataset(&self.url, &self.options, reading))?)
    }

    /// The active version of a model.
    ///
    /// # Errors
    /// A database that is away.
    pub fn active(&self, model: &str) -> Result<Option<String>, RetrainError> {
        let rows = self.runtime.block_on(self.store.models())?;
        Ok(rows.into_iter().find(|row| row.active && row.model == model).map(|row| row.version))
    }

    /// The version that a rollback would return to.
    ///
    /// # Errors
    /// A database that is away.
    pub fn rollback_target(&self, model: &str) -> Result<Option<String>, RetrainError> {
        match self.runtime.block_on(self.store.rollback_target(model)) {
            Err(StoreError::NotFound(_)) => Ok(None),
            target => Ok(Some(target?)),
        }
    }

    /// Makes a version the active one; answers the one that it replaces. Waits for a database that
    /// is away.
    ///
    /// # Errors
    /// A database that stays away or refuses.
    pub fn activate(&self, model: &str, version: &str) -> Result<Option<String>, RetrainError> {
        let previous = self.active(model)?.filter(|active| active != version);
        self.patiently(|| {
            let before = previous.as_ref().map(|version| json!({"version": version}));
            let change = Change { actor: ACTOR, action: "models.activate", subject: model, before };
            let work = async {
                self.store.register_model(model, version).await?;
                self.store.activate(model, version, false).await?;
                Ok(((), Some(json!({"version": version}))))
            };
            self.audited(change, work)
        })?;
        Ok(previous)
    }

    /// Makes the version before `version` active again, if `version` still is; answers it.
    ///
    /// # Errors
    /// A database that stays away or refuses.
    pub fn take_back(&self, model: &str, version: &str) -> Result<Option<String>, RetrainError> {
        self.patiently(|| {
            let rows = self.runtime.block_on(self.store.models())?;
            if !rows.iter().any(|row| row.active && row.model == model && row.version == version) {
                return Ok(None);
            }
            let before = Some(json!({"version": version}));
            let change = Change { actor: ACTOR, action: "models.rollback", subject: model, before };
            let work = async {
                let target = self.store.rollback_model(model).await?;
                Ok((Some(target.clone()), Some(json!({"version": target}))))
            };
            self.audited(change, work)
        })
    }

    /// The first customers, to ask the servers for.
    ///
    /// # Errors
    /// A database that is away.
    pub fn customers(&self, count: usize) -> Result<Vec<String>, RetrainError> {
        let limit = u32::try_from(count).unwrap_or(u32::MAX);
        let ids = self.runtime.block_on(self.store.customer_ids(None, limit))?;
        Ok(ids.into_iter().map(String::from).collect())
    }

    fn audited<T>(
        &self,
        change: Change<'_>,
        work: impl Future<Output = Result<(T, Option<Value>), StoreError>>,
    ) -> Result<T, StoreError> {
        self.runtime.block_on(store::audited(&*self.store, change, work))
    }

    fn patiently<T>(&self, work: impl Fn() -> Result<T, StoreError>) -> Result<T, RetrainError> {
        for _ in 1..TRIES {
            match work() {
                Err(error) if error.is_transient() => {
                    tracing::info!("{error}; trying again in {} s", BETWEEN_TRIES.as_secs());
                    sleep(BETWEEN_TRIES);
                }
                done => return Ok(done?),
            }
        }
        Ok(work()?)
    }
}
