//! AVX2 with FMA.

use super::{BLOCK, Kernels, LANES, Scan};
use crate::retrieval::top_k::Key;
use std::arch::x86_64::*;

pub(super) static KERNELS: Kernels = Kernels { name: "avx2", dot, dot_rows, dot_codes, pack, scan };

pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// Adds the lanes by folding halves: 8 → 4 → 2 → 1.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn fold(sum: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps::<1>(sum));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn fold_integers(sum: __m256i) -> i32 {
    let four = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
    let two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
    _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<1>(two)))
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [_mm256_setzero_ps(); 4];
    for (chunk, (a, b)) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)).enumerate() {
        for half in 0..2 {
            let sum = &mut sums[chunk % 2 * 2 + half];
            // SAFETY: both chunks hold 16 f32, of which the halves 0..8 and 8..16 are read.
            let (a, b) = unsafe {
                (
                    _mm256_loadu_ps(a.as_ptr().add(half * 8)),
                    _mm256_loadu_ps(b.as_ptr().add(half * 8)),
                )
            };
            *sum = _mm256_fmadd_ps(a, b, *sum);
        }
    }
    fold(_mm256_add_ps(_mm256_add_ps(sums[0], sums[2]), _mm256_add_ps(sums[1], sums[3])))
}

#[target_feature(enable = "avx2,fma")]
fn dot_rows(query: &[f32], rows: &[f32], ids: &[u32], out: &mut Vec<f32>) {
    out.extend(ids.iter().map(|&id| dot(query, &rows[id as usize * query.len()..][..query.len()])));
}

#[target_feature(enable = "avx2,fma")]
fn dot_codes(weights: &[i8], codes: &[u8], ids: &[u32], out: &mut Vec<i32>) {
    for &id in ids {
        let row = &codes[id as usize * weights.len()..][..weights.len()];
        let mut sum = _mm256_setzero_si256();
        for (weights, codes) in weights.chunks_exact(16).zip(row.chunks_exact(16)) {
            // SAFETY: both chunks hold 16 bytes.
            let (weights, codes) = unsafe {
                (_mm_loadu_si128(weights.as_ptr().cast()), _mm_loadu_si128(codes.as_ptr().cast()))
            };
            // 16-bit products: `maddubs` would saturate at 255 × 127 × 2.
            sum = _mm256_add_epi32(
                sum,
                _mm256_madd_epi16(_mm256_cvtepi8_epi16(weights), _mm256_cvtepu8_epi16(codes)),
            );
        }
        out.push(fold_integers(sum));
    }
}

/// For each group of four weights the pairs (0, 2) and (1, 3), which meet the even and odd codes.
fn pack(weights: &[i16], packed: &mut Vec<i32>) {
    let pair = |low: i16, high: i16| i32::from(low) & 0xffff | i32::from(high) << 16;
    for group in weights.chunks_exact(4) {
        packed.extend([pair(group[0], group[2]), pair(group[1], group[3])]);
    }
}

#[target_feature(enable = "avx2,fma")]
fn scan(scan: &Scan<'_>, from: usize, threshold: i32, out: &mut Vec<Key>, limit: usize) -> usize {
    let below = _mm256_set1_epi32(threshold.saturating_sub(1));
    let all = if threshold == i32::MIN { u16::MAX } else { 0 };
    let low_bytes = _mm256_set1_epi16(0xff);
    scan.drive(from, out, limit, |block, scores| {
        let mut sums = [_mm256_setzero_si256(); 2];
        for (codes, packed) in block.chunks_exact(4 * BLOCK).zip(scan.packed.chunks_exact(2)) {
            let (even, odd) = (_mm256_set1_epi32(packed[0]), _mm256_set1_epi32(packed[1]));
            for (half, sum) in sums.iter_mut().enumerate() {
                // SAFETY: the chunk holds 64 bytes, of which 0..32 and 32..64 are read.
                let codes = unsafe { _mm256_loadu_si256(codes.as_ptr().add(half * 32).cast()) };
                let evens = _mm256_madd_epi16(_mm256_and_si256(codes, low_bytes), even);
                let odds = _mm256_madd_epi16(_mm256_srli_epi16::<8>(codes), odd);
                *sum = _mm256_add_epi32(*sum, _mm256_add_epi32(evens, odds));
            }
        }
        let mut hits = all;
        for (half, sum) in sums.into_iter().enumerate() {
            let reached = _mm256_castsi256_ps(_mm256_cmpgt_epi32(sum, below));
            hits |= (_mm256_movemask_ps(reached) as u16) << (half * 8);
            // SAFETY: `scores` holds 16 numbers, of which 0..8 and 8..16 are written.
            unsafe { _mm256_storeu_si256(scores.as_mut_ptr().add(half * 8).cast(), sum) };
        }
        hits
    })
}
