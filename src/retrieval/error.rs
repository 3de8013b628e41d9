//! What can go wrong when vectors and graphs are written, read or asked.

use std::{
    io,
    path::{Path, PathBuf},
};

/// A file or table of vectors that cannot be used. Nothing is half-loaded.
#[derive(Debug, thiserror::Error)]
pub enum RetrievalError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: {reason}; write the bundle anew", path.display())]
    Format { path: PathBuf, reason: String },
    #[error("item vectors: {0}")]
    Vectors(String),
    #[error("index parameters: {0}")]
    Parameters(String),
    #[error("cannot reserve {bytes} bytes for {what}: {source}")]
    Memory { what: &'static str, bytes: usize, source: io::Error },
}

impl RetrievalError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    pub(super) fn format(path: &Path, reason: impl Into<String>) -> Self {
        Self::Format { path: path.to_owned(), reason: reason.into() }
    }
}

/// A query that no index can answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error("the query vector has {got} numbers, the index {expected}")]
    Length { expected: usize, got: usize },
    #[error(
        "number {position} of the query vector is not finite, or the vector is longer than 1e18"
    )]
    NotFinite { position: usize },
    #[error("the set of allowed items is over {got} items, the index over {expected}")]
    ItemSet { expected: usize, got: usize },
}
