//! Plain Rust: the reference of the other forms, and what runs where they cannot.

use super::{Kernels, LANES, Scan};
use crate::retrieval::top_k::Key;

pub(super) static KERNELS: Kernels =
    Kernels { name: "portable", dot, dot_rows, dot_codes, pack, scan };

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [[0f32; LANES]; 2];
    for (chunk, (a, b)) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)).enumerate() {
        for (sum, (a, b)) in sums[chunk % 2].iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    let [mut sum, odd] = sums;
    for (sum, odd) in sum.iter_mut().zip(odd) {
        *sum += odd;
    }
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            sum[lane] += sum[lane + half];
        }
    }
    sum[0]
}

fn dot_rows(query: &[f32], rows: &[f32], ids: &[u32], out: &mut Vec<f32>) {
    out.extend(ids.iter().map(|&id| dot(query, &rows[id as usize * query.len()..][..query.len()])));
}

fn dot_codes(weights: &[i8], codes: &[u8], ids: &[u32], out: &mut Vec<i32>) {
    out.extend(ids.iter().map(|&id| {
        let row = &codes[id as usize * weights.len()..][..weights.len()];
        weights
            .iter()
            .zip(row)
            .map(|(&weight, &code)| i32::from(weight) * i32::from(code))
            .sum::<i32>()
    }));
}

/// Two weights as they are in one number; only the length matters here.
fn pack(weights: &[i16], packed: &mut Vec<i32>) {
    packed.extend(weights.chunks_exact(2).map(|pair| i32::from(pair[0])));
}

fn scan(scan: &Scan<'_>, from: usize, threshold: i32, out: &mut Vec<Key>, limit: usize) -> usize {
    scan.drive(from, out, limit, |block, scores| {
        *scores = [0; _];
        for (codes, weights) in block.chunks_exact(64).zip(scan.weights.chunks_exact(4)) {
            for (score, codes) in scores.iter_mut().zip(codes.chunks_exact(4)) {
                for (&code, &weight) in codes.iter().zip(weights) {
                    *score += i32::from(code) * i32::from(weight);
                }
            }
        }
        scores
            .iter()
            .enumerate()
            .fold(0, |hits, (row, &score)| hits | u16::from(score >= threshold) << row)
    })
}
