//! Dense linear algebra for models and statistics: products of matrices, the inverse of a large one.

pub(crate) mod cholesky;
pub(crate) mod matrix;
