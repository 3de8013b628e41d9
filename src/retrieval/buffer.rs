//! Zeroed, page-aligned memory for large tables.
//!
//! Files are read into it rather than mapped: what was validated at load can then never change
//! under the search (a bundle overwritten or truncated in place would otherwise be undefined
//! behaviour or SIGBUS), and anonymous memory can have huge pages, which random access to a table
//! of many megabytes gains from.

use bytemuck::Pod;
use memmap2::MmapMut;
use std::{
    marker::PhantomData,
    ops::{Deref, DerefMut},
};

use super::RetrievalError;

/// A fixed-length table of plain numbers, aligned to a page.
pub(super) struct Buffer<T> {
    map: MmapMut,
    len: usize,
    item: PhantomData<T>,
}

impl<T: Pod> Buffer<T> {
    /// `len` zeros; `what` names the table in the error.
    pub(super) fn zeroed(what: &'static str, len: usize) -> Result<Self, RetrievalError> {
        let bytes = len.saturating_mul(size_of::<T>());
        let map = MmapMut::map_anon(bytes.max(1)).map_err(|source| RetrievalError::Memory {
            what,
            bytes,
            source,
        })?;
        #[cfg(target_os = "linux")]
        if bytes >= 4 << 20 {
            // Only a hint: a kernel without huge pages refuses it.
            let _ = map.advise(memmap2::Advice::HugePage);
        }
        Ok(Self { map, len, item: PhantomData })
    }
}

impl<T: Pod> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        bytemuck::cast_slice(&self.map[..self.len * size_of::<T>()])
    }
}

impl<T: Pod> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        bytemuck::cast_slice_mut(&mut self.map[..self.len * size_of::<T>()])
    }
}
