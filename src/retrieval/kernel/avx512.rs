//! AVX-512 with VNNI.

use super::{BLOCK, Kernels, LANES, Scan, avx2};
use crate::retrieval::top_k::Key;
use std::arch::x86_64::*;

pub(super) static KERNELS: Kernels =
    Kernels { name: "avx512", dot, dot_rows, dot_codes, pack, scan };

pub(super) fn available() -> bool {
    avx2::available()
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
}

#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (mut even, mut odd) = (_mm512_setzero_ps(), _mm512_setzero_ps());
    let mut pairs = a.chunks_exact(2 * LANES).zip(b.chunks_exact(2 * LANES));
    for (a, b) in &mut pairs {
        // SAFETY: both chunks hold 32 f32.
        unsafe {
            even = _mm512_fmadd_ps(_mm512_loadu_ps(a.as_ptr()), _mm512_loadu_ps(b.as_ptr()), even);
            odd = _mm512_fmadd_ps(
                _mm512_loadu_ps(a.as_ptr().add(LANES)),
                _mm512_loadu_ps(b.as_ptr().add(LANES)),
                odd,
            );
        }
    }
    let rest = a.len() / (2 * LANES) * (2 * LANES);
    if let (Some(a), Some(b)) = (a.get(rest..rest + LANES), b.get(rest..rest + LANES)) {
        // SAFETY: both hold 16 f32.
        unsafe {
            even = _mm512_fmadd_ps(_mm512_loadu_ps(a.as_ptr()), _mm512_loadu_ps(b.as_ptr()), even)
        };
    }
    let sum = _mm512_add_ps(even, odd);
    avx2::fold(_mm256_add_ps(_mm512_castps512_ps256(sum), _mm512_extractf32x8_ps::<1>(sum)))
}

#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn dot_rows(query: &[f32], rows: &[f32], ids: &[u32], out: &mut Vec<f32>) {
    out.extend(ids.iter().map(|&id| dot(query, &rows[id as usize * query.len()..][..query.len()])));
}

#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn dot_codes(weights: &[i8], codes: &[u8], ids: &[u32], out: &mut Vec<i32>) {
    let stride = weights.len();
    out.reserve(ids.len());
    for &id in ids {
        let row = &codes[id as usize * stride..][..stride];
        let half = match stride {
            // SAFETY: weights and row hold 16 bytes.
            16 => unsafe {
                let (codes, weights) = (
                    _mm_loadu_si128(row.as_ptr().cast()),
                    _mm_loadu_si128(weights.as_ptr().cast()),
                );
                _mm256_zextsi128_si256(_mm_dpbusd_epi32(_mm_setzero_si128(), codes, weights))
            },
            // SAFETY: weights and row hold 32 bytes.
            32 => unsafe {
                let (codes, weights) = (
                    _mm256_loadu_si256(row.as_ptr().cast()),
                    _mm256_loadu_si256(weights.as_ptr().cast()),
                );
                _mm256_dpbusd_epi32(_mm256_setzero_si256(), codes, weights)
            },
            _ => {
                let mut sum = _mm512_setzero_si512();
                for (codes, weights) in row.chunks_exact(64).zip(weights.chunks_exact(64)) {
                    // SAFETY: both chunks hold 64 bytes.
                    let (codes, weights) = unsafe {
                        (
                            _mm512_loadu_si512(codes.as_ptr().cast()),
                            _mm512_loadu_si512(weights.as_ptr().cast()),
                        )
                    };
                    sum = _mm512_dpbusd_epi32(sum, codes, weights);
                }
                _mm256_add_epi32(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64::<1>(sum))
            }
        };
        out.push(avx2::fold_integers(half));
    }
}

/// For each group of four weights the high digits (base 128) and the low ones, one a byte.
fn pack(weights: &[i16], packed: &mut Vec<i32>) {
    for group in weights.chunks_exact(4) {
        let high: [i16; 4] = std::array::from_fn(|i| (group[i] + 64).div_euclid(128));
        let bytes = |digits: [i16; 4]| i32::from_le_bytes(digits.map(|digit| digit as u8));
        packed.extend([bytes(high), bytes(std::array::from_fn(|i| group[i] - high[i] * 128))]);
    }
}

#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn scan(scan: &Scan<'_>, from: usize, threshold: i32, out: &mut Vec<Key>, limit: usize) -> usize {
    let least = _mm512_set1_epi32(threshold);
    scan.drive(from, out, limit, |block, scores| {
        let (mut high, mut low) = (_mm512_setzero_si512(), _mm512_setzero_si512());
        for (codes, packed) in block.chunks_exact(4 * BLOCK).zip(scan.packed.chunks_exact(2)) {
            // SAFETY: the chunk holds 64 bytes.
            let codes = unsafe { _mm512_loadu_si512(codes.as_ptr().cast()) };
            high = _mm512_dpbusd_epi32(high, codes, _mm512_set1_epi32(packed[0]));
            low = _mm512_dpbusd_epi32(low, codes, _mm512_set1_epi32(packed[1]));
        }
        let sum = _mm512_add_epi32(_mm512_slli_epi32::<7>(high), low);
        let hits = _mm512_cmpge_epi32_mask(sum, least);
        if hits != 0 {
            // SAFETY: `scores` holds 16 numbers.
            unsafe { _mm512_storeu_si512(scores.as_mut_ptr().cast(), sum) };
        }
        hits
    })
}
