//! Why nothing could be set up.

use crate::{dataset::DatasetError, training::ConfigError};
use std::{io, path::PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum InitError {
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    #[error("{}: it is not clear what the files mean.{seen}", dir.display())]
    Undecided { dir: PathBuf, seen: String },
    #[error("{} is there already; {hint}", path.display())]
    Exists { path: PathBuf, hint: &'static str },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{file} was written with a mistake of the program: {source}")]
    Config { file: String, source: ConfigError },
    #[error("{0}")]
    Shop(String),
}

impl InitError {
    /// Whether the user's input is at fault, not the machine.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Dataset(error) => error.is_bad_input(),
            Self::Undecided { .. } | Self::Exists { .. } | Self::Shop(_) => true,
            Self::Write { .. } | Self::Config { .. } => false,
        }
    }
}
