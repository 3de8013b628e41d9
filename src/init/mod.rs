//! From a folder of exports to a description of the data and configurations to train.
//!
//! [`describe`] looks at files that nobody has described and writes a `dataset.toml`; [`Setup::of`]
//! looks at the loaded data and chooses how to test models and which families to train, with a
//! configuration for each. Both say why. Everything here returns what it found and prints nothing;
//! only the functions that say so write files. Nothing is chosen by the test purchases.

mod configs;
mod describe;
mod error;
mod protocol;
mod shop;

pub use configs::{Effort, Proposal};
pub use describe::{Described, Layout, describe, is_title};
pub use error::InitError;
pub use protocol::{Protocol, Split};
pub use shop::{Attribute, AttributeKind, History, Shop};

use crate::{
    dataset::{Dataset, Histories},
    training::TrainingConfig,
};
use std::path::{Path, PathBuf};

/// What is proposed for a shop.
#[derive(Debug, Clone)]
pub struct Setup {
    pub shop: Shop,
    pub protocol: Protocol,
    /// Every family, those that do not fit included.
    pub proposals: Vec<Proposal>,
}

impl Setup {
    /// # Errors
    /// [`InitError::Shop`] when the data has too few purchases to test any model.
    pub fn of(dataset: &Dataset, histories: &Histories, effort: Effort) -> Result<Self, InitError> {
        let shop = Shop::of(dataset, histories);
        if shop.customers < 2 || shop.purchases < 3 {
            let (purchases, customers) = (shop.purchases, shop.customers);
            let text =
                format!("{purchases} purchases of {customers} customers are too few to learn from");
            return Err(InitError::Shop(text));
        }
        let protocol = Protocol::of(&shop, dataset, histories);
        let proposals = configs::proposals(&shop, &protocol, effort);
        Ok(Self { shop, protocol, proposals })
    }

    /// Writes the configurations that fit into a folder, `<family>.toml` each, and answers their
    /// paths. Nothing is written when one of them is there already, unless `force`.
    ///
    /// # Errors
    /// [`InitError::Exists`], [`InitError::Write`].
    pub fn write(&self, folder: &Path, force: bool) -> Result<Vec<PathBuf>, InitError> {
        let fitting = self
            .proposals
            .iter()
            .filter_map(|p| Some((folder.join(p.file()), p.config.as_deref()?)));
        let fitting: Vec<(PathBuf, &str)> = fitting.collect();
        if let Some((path, _)) = fitting.iter().find(|(path, _)| !force && path.exists()) {
            let hint = "give --force to replace the configurations, or another folder with --out";
            return Err(InitError::Exists { path: path.clone(), hint });
        }
        std::fs::create_dir_all(folder)
            .map_err(|source| InitError::Write { path: folder.to_owned(), source })?;
        for (path, text) in &fitting {
            std::fs::write(path, text)
                .map_err(|source| InitError::Write { path: path.clone(), source })?;
        }
        Ok(fitting.into_iter().map(|(path, _)| path).collect())
    }

    /// Reads the written configurations back.
    ///
    /// # Errors
    /// [`InitError::Config`].
    pub fn load(paths: &[PathBuf]) -> Result<Vec<TrainingConfig>, InitError> {
        let load = |path: &PathBuf| {
            TrainingConfig::load(path, &[])
                .map_err(|source| InitError::Config { file: path.display().to_string(), source })
        };
        paths.iter().map(load).collect()
    }
}

/// Writes a new file; never over one that is there.
///
/// # Errors
/// [`InitError::Exists`], [`InitError::Write`].
pub fn write_new(path: &Path, text: &str) -> Result<(), InitError> {
    use std::{fs::OpenOptions, io::Write};
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| match source.kind() {
        std::io::ErrorKind::AlreadyExists => InitError::Exists {
            path: path.to_owned(),
            hint: "remove it first to have it written anew",
        },
        _ => InitError::Write { path: path.to_owned(), source },
    })
}
