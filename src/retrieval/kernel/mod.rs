//! The arithmetic of the indexes, chosen once at run time: AVX-512 with VNNI, AVX2 with FMA, or
//! portable code.
//!
//! * Vectors are padded with zeros to whole chunks of [`LANES`] f32. The two SIMD forms of the f32
//!   inner product add in the same order (two accumulators of 16 lanes, folded by halves), so their
//!   results are equal bit for bit; the portable form has no fused multiply-add and differs in the
//!   last bits.
//! * Integer kernels are exact: every form gives the same numbers.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;
#[cfg(test)]
mod tests;

use super::top_k::Key;
use std::sync::OnceLock;

/// f32 a chunk: one cache line.
pub(super) const LANES: usize = 16;
/// Rows of a block of the scan.
pub(super) const BLOCK: usize = 16;
/// Largest magnitude of a scan weight: two signed digits of base 128.
pub(super) const MAX_WEIGHT: i16 = 127 * 128;

/// Everything a scan over code blocks reads.
///
/// A block holds [`BLOCK`] rows, interleaved: for each group of four dimensions, four codes of row
/// 0, four of row 1, … so that 16 lanes of i32 add up 16 rows at once and nothing is summed across
/// lanes.
pub(super) struct Scan<'a> {
    pub blocks: &'a [u8],
    /// Rows in the blocks, without the padding of the last one.
    pub len: usize,
    /// Four for each group of dimensions.
    pub weights: &'a [i16],
    /// The weights as [`Kernels::pack`] made them.
    pub packed: &'a [i32],
    /// Bitmap of the rows to look at; whole blocks without one are skipped.
    pub allowed: Option<&'a [u64]>,
}

impl Scan<'_> {
    pub(super) fn blocks(&self) -> usize {
        self.len.div_ceil(BLOCK)
    }

    fn groups(&self) -> usize {
        self.weights.len() / 4
    }

    /// Which of a block's rows count.
    #[inline(always)]
    fn mask(&self, block: usize) -> u16 {
        let rows = self.len - block * BLOCK;
        let mask = if rows >= BLOCK { u16::MAX } else { (1 << rows) - 1 };
        match self.allowed {
            Some(words) => mask & (words[block / 4] >> (block % 4 * BLOCK)) as u16,
            None => mask,
        }
    }

    /// The frame of every scan: `score` fills in a block's scores and answers which reach the
    /// threshold.
    #[inline(always)]
    fn drive(
        &self,
        from: usize,
        out: &mut Vec<Key>,
        limit: usize,
        mut score: impl FnMut(&[u8], &mut [i32; BLOCK]) -> u16,
    ) -> usize {
        let bytes = self.groups() * 4 * BLOCK;
        let mut scores = [0; BLOCK];
        for block in from..self.blocks() {
            let mask = self.mask(block);
            if mask == 0 {
                continue;
            }
            let mut hits = mask & score(&self.blocks[block * bytes..][..bytes], &mut scores);
            if hits != 0 {
                while hits != 0 {
                    let row = hits.trailing_zeros() as usize;
                    out.push(Key::of_integer(scores[row % BLOCK], (block * BLOCK + row) as u32));
                    hits &= hits - 1;
                }
                if out.len() >= limit {
                    return block + 1;
                }
            }
        }
        self.blocks()
    }
}

/// Appends the product of a query with each of the rows at some ids of a table.
type Gather<Q, T, S> = unsafe fn(&[Q], &[T], &[u32], &mut Vec<S>);

/// One instruction set's forms. The functions may only run on a processor that has it, which
/// [`Kernels::all`] checks.
pub(super) struct Kernels {
    pub name: &'static str,
    #[cfg_attr(
        not(feature = "trainer"),
        allow(dead_code, reason = "only the building of a graph asks for it")
    )]
    dot: unsafe fn(&[f32], &[f32]) -> f32,
    dot_rows: Gather<f32, f32, f32>,
    dot_codes: Gather<i8, u8, i32>,
    pack: fn(&[i16], &mut Vec<i32>),
    scan: unsafe fn(&Scan<'_>, usize, i32, &mut Vec<Key>, usize) -> usize,
}

impl Kernels {
    /// The fastest forms this processor has.
    pub(super) fn best() -> &'static Self {
        static BEST: OnceLock<&'static Kernels> = OnceLock::new();
        BEST.get_or_init(|| Self::all()[0])
    }

    /// Every form this processor can run, fastest first.
    pub(super) fn all() -> Vec<&'static Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if avx512::available() {
                all.push(&avx512::KERNELS);
            }
            if avx2::available() {
                all.push(&avx2::KERNELS);
            }
        }
        all.push(&portable::KERNELS);
        all
    }

    /// Inner product of two vectors of the same padded length.
    #[cfg_attr(
        not(feature = "trainer"),
        allow(dead_code, reason = "only the building of a graph asks for it")
    )]
    #[inline]
    pub(super) fn dot(&self, a: &[f32], b: &[f32]) -> f32 {
        assert!(a.len() == b.len() && a.len().is_multiple_of(LANES));
        // SAFETY: `all` hands out only what this processor can run; lengths are checked above.
        unsafe { (self.dot)(a, b) }
    }

    /// Appends the inner product of `query` with each of the rows `ids` (rows of the query's
    /// length).
    #[inline]
    pub(super) fn dot_rows(&self, query: &[f32], rows: &[f32], ids: &[u32], out: &mut Vec<f32>) {
        assert!(query.len().is_multiple_of(LANES));
        // SAFETY: as above; the kernels slice the rows with checks.
        unsafe { (self.dot_rows)(query, rows, ids, out) }
    }

    /// Appends Σ weight × code for each of the rows `ids`; a row has `weights.len()` codes: 16, 32
    /// or a multiple of 64.
    #[inline]
    pub(super) fn dot_codes(&self, weights: &[i8], codes: &[u8], ids: &[u32], out: &mut Vec<i32>) {
        assert!(weights.len() == 16 || weights.len() == 32 || weights.len().is_multiple_of(64));
        // SAFETY: as above.
        unsafe { (self.dot_codes)(weights, codes, ids, out) }
    }

    /// Prepares scan weights (magnitude at most [`MAX_WEIGHT`]) for [`Kernels::scan`].
    pub(super) fn pack(&self, weights: &[i16], packed: &mut Vec<i32>) {
        packed.clear();
        (self.pack)(weights, packed);
    }

    /// Scans from block `from`, appends each row whose Σ weight × code is at least `threshold`, and
    /// stops behind the block that brings `out` to `limit`. Answers the next block to scan.
    #[inline]
    pub(super) fn scan(
        &self,
        scan: &Scan<'_>,
        from: usize,
        threshold: i32,
        out: &mut Vec<Key>,
        limit: usize,
    ) -> usize {
        let groups = scan.groups();
        assert!(scan.weights.len() == groups * 4 && scan.packed.len() == groups * 2);
        // SAFETY: as above.
        unsafe { (self.scan)(scan, from, threshold, out, limit) }
    }
}

/// Asks the processor to load the cache line at `index` of `table`; nothing when it lies outside.
#[inline(always)]
pub(super) fn prefetch<T>(table: &[T], index: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(place) = table.get(index) {
        // SAFETY: a prefetch of a valid address; SSE is part of x86-64.
        unsafe {
            std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(
                std::ptr::from_ref(place).cast(),
            )
        };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (table, index);
}
