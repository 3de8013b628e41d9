//! Working memory of a search, one a thread, so that a query allocates nothing but its result.

use super::{ItemVectors, QueryError, graph::search::Beam, items::MAX_NORM, top_k::Key};
use std::{cell::RefCell, ops::Range};

#[derive(Default)]
pub(super) struct Scratch {
    /// The query, padded.
    pub query: Vec<f32>,
    pub ids: Vec<u32>,
    pub floats: Vec<f32>,
    pub keys: Vec<Key>,
    /// Scan weights and their packed form.
    pub weights: Vec<i16>,
    pub packed: Vec<i32>,
    /// The blocks that a scan looks at; rising, none twice.
    pub ranges: Vec<Range<usize>>,
    pub beam: Beam,
}

impl Scratch {
    /// Runs `search` with this thread's scratch.
    pub(super) fn with<T>(search: impl FnOnce(&mut Self) -> T) -> T {
        thread_local! {
            static SCRATCH: RefCell<Scratch> = RefCell::default();
        }
        SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
            Ok(mut scratch) => search(&mut scratch),
            // A search within a search: none today, but no reason to panic.
            Err(_) => search(&mut Self::default()),
        })
    }

    /// Checks the query vector and copies it, padded.
    pub(super) fn load(&mut self, items: &ItemVectors, vector: &[f32]) -> Result<(), QueryError> {
        if vector.len() != items.dim() {
            return Err(QueryError::Length { expected: items.dim(), got: vector.len() });
        }
        if let Some(position) = vector.iter().position(|x| !x.is_finite()) {
            return Err(QueryError::NotFinite { position });
        }
        if norm(vector) > f64::from(MAX_NORM) {
            return Err(QueryError::NotFinite { position: 0 });
        }
        self.query.clear();
        self.query.extend_from_slice(vector);
        self.query.resize(items.stride(), 0.0);
        Ok(())
    }
}

/// Length of a vector.
pub(super) fn norm(vector: &[f32]) -> f64 {
    vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt()
}
