//! `items.bin`: one f32 vector an item.
//!
//! Header fields: count, dim, stride, 0, 0. Then `count` rows of `stride` f32: the `dim` numbers
//! and zeros up to the next multiple of 16, so that a row is whole cache lines and the kernels need
//! no tail.

use super::{RetrievalError, buffer::Buffer, file::Format, kernel::LANES};
use std::{io::Read, path::Path};

const FORMAT: Format = Format { magic: *b"VITRITEM", version: 1, what: "an item table" };

/// Longest vector an index takes.
pub const MAX_DIM: usize = 4096;
/// Most items an index takes.
pub const MAX_ITEMS: usize = i32::MAX as usize;
/// Vectors longer than this could overflow an inner product.
pub(super) const MAX_NORM: f32 = 1e18;

/// The item vectors in memory, padded and validated: 1 to [`MAX_ITEMS`] rows of `dim` finite
/// numbers.
pub struct ItemVectors {
    rows: Buffer<f32>,
    len: usize,
    dim: usize,
    max_norm: f32,
}

impl ItemVectors {
    /// Takes `rows.len() / dim` vectors, row after row.
    ///
    /// # Errors
    /// When `dim` is not 1 to 4,096, the length is no multiple of it, there is no row, or a number
    /// is not finite or a vector longer than 1e18.
    pub fn from_rows(dim: usize, rows: &[f32]) -> Result<Self, RetrievalError> {
        let len = shape(dim, rows)?;
        let stride = stride(dim);
        let mut padded = Buffer::zeroed("item vectors", len * stride)?;
        for (to, from) in padded.chunks_exact_mut(stride).zip(rows.chunks_exact(dim)) {
            to[..dim].copy_from_slice(from);
        }
        Self::validated(padded, len, dim).map_err(RetrievalError::Vectors)
    }

    /// Reads a file that [`write_items`] wrote.
    ///
    /// # Errors
    /// When it cannot be read, or is anything but a whole, valid table; the reason is named.
    pub fn open(path: &Path) -> Result<Self, RetrievalError> {
        let (mut file, [len, dim, file_stride, zero1, zero2], content) = FORMAT.open(path)?;
        let refuse = |reason: String| RetrievalError::format(path, reason);
        if !(1..=MAX_DIM as u64).contains(&dim) || !(1..=MAX_ITEMS as u64).contains(&len) {
            return Err(refuse(format!("{len} items of dimension {dim} are out of range")));
        }
        let (len, dim) = (len as usize, dim as usize);
        let stride = stride(dim);
        if file_stride != stride as u64 || zero1 != 0 || zero2 != 0 {
            return Err(refuse("the header holds an unknown layout".into()));
        }
        // At most 2^31 × 4,096 × 4 bytes: no overflow.
        let expected = len as u64 * stride as u64 * 4;
        if content != expected {
            return Err(refuse(format!(
                "{content} bytes of rows instead of {expected}: truncated or overlong"
            )));
        }
        let mut rows = Buffer::zeroed("item vectors", len * stride)?;
        file.read_exact(bytemuck::cast_slice_mut(&mut rows)).map_err(RetrievalError::io(path))?;
        Self::validated(rows, len, dim).map_err(refuse)
    }

    fn validated(rows: Buffer<f32>, len: usize, dim: usize) -> Result<Self, String> {
        let mut max_norm = 0f32;
        for (item, row) in rows.chunks_exact(stride(dim)).enumerate() {
            // Non-finite numbers make the sum non-finite, so one pass finds them as well as
            // overlong vectors.
            let norm = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
            if norm.is_nan() || norm > f64::from(MAX_NORM) {
                return Err(format!("row {item} is not finite or longer than {MAX_NORM:e}"));
            }
            if row[dim..].iter().any(|x| x.to_bits() != 0) {
                return Err(format!("the padding of row {item} is not zero"));
            }
            max_norm = max_norm.max(norm as f32);
        }
        Ok(Self { rows, len, dim, max_norm })
    }

    /// Number of items.
    #[allow(clippy::len_without_is_empty, reason = "there is no empty table")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Length of a vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Vector of one item.
    ///
    /// # Panics
    /// When there is no such item.
    pub fn row(&self, item: u32) -> &[f32] {
        let start = item as usize * self.stride();
        &self.rows[start..start + self.dim]
    }

    /// All vectors, item 0 first.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.rows.chunks_exact(self.stride()).map(|row| &row[..self.dim])
    }

    /// Greatest length of a vector.
    pub fn max_norm(&self) -> f32 {
        self.max_norm
    }

    /// All rows with their padding.
    pub(super) fn padded(&self) -> &[f32] {
        &self.rows
    }

    /// f32 a padded row.
    pub(super) fn stride(&self) -> usize {
        stride(self.dim)
    }
}

impl std::fmt::Debug for ItemVectors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ItemVectors({} × {})", self.len, self.dim)
    }
}

/// Writes `rows.len() / dim` vectors, row after row, as `items.bin`. The file is whole or absent.
///
/// # Errors
/// Those of [`ItemVectors::from_rows`], and when the file cannot be written.
pub fn write_items(path: &Path, dim: usize, rows: &[f32]) -> Result<(), RetrievalError> {
    let vectors = ItemVectors::from_rows(dim, rows)?;
    let fields = [vectors.len as u64, dim as u64, vectors.stride() as u64, 0, 0];
    FORMAT.write(path, fields, |out| out.write_all(bytemuck::cast_slice(vectors.padded())))
}

fn stride(dim: usize) -> usize {
    dim.next_multiple_of(LANES)
}

fn shape(dim: usize, rows: &[f32]) -> Result<usize, RetrievalError> {
    if !(1..=MAX_DIM).contains(&dim) {
        return Err(RetrievalError::Vectors(format!("dimension {dim} is not 1 to {MAX_DIM}")));
    }
    if rows.is_empty() || !rows.len().is_multiple_of(dim) || rows.len() / dim > MAX_ITEMS {
        return Err(RetrievalError::Vectors(format!(
            "{} numbers are not 1 to {MAX_ITEMS} vectors of dimension {dim}",
            rows.len()
        )));
    }
    Ok(rows.len() / dim)
}
