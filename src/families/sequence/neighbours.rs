//! Item vectors to start from: items that are bought after each other start near each other.
//!
//! Random vectors are summed over an item's neighbours in the sequences, twice (FastRP, Chen et
//! al. 2019, arXiv:1908.11512). Items with the same neighbours get nearly the same vector, and it
//! takes two passes over the purchases. Vectors drawn at random have to learn this from the loss,
//! and a small table is learnt by heart meanwhile.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Two items are neighbours at most so many places apart; a pair weighs 1 / distance.
const REACH: usize = 2;

/// The root mean square of the numbers: about what tables are drawn with.
const SIZE: f64 = 0.05;

/// `items × dim`; zeros for an item without neighbours.
pub(super) fn vectors(sequences: &[Vec<u32>], items: usize, dim: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let random: Vec<f32> =
        (0..items * dim).map(|_| if rng.random() { 1.0 } else { -1.0 }).collect();
    let mut vectors = sums_of_neighbours(sequences, &random, dim);
    let further = sums_of_neighbours(sequences, &vectors, dim);
    vectors.iter_mut().zip(further).for_each(|(near, far)| *near += far);
    let squares: f64 = vectors.iter().map(|&x| f64::from(x).powi(2)).sum();
    let filled = vectors.chunks_exact(dim).filter(|row| row.iter().any(|&x| x != 0.0)).count();
    if squares > 0.0 {
        let scale = (SIZE / (squares / (filled * dim) as f64).sqrt()) as f32;
        vectors.iter_mut().for_each(|x| *x *= scale);
    }
    vectors
}

/// For each item the weighted sum of its neighbours' rows, at length 1.
fn sums_of_neighbours(sequences: &[Vec<u32>], rows: &[f32], dim: usize) -> Vec<f32> {
    let mut sums = vec![0.0; rows.len()];
    let mut add = |to: u32, from: u32, weight: f32| {
        let (to, from) = (to as usize * dim, from as usize * dim);
        let sum = sums[to..to + dim].iter_mut().zip(&rows[from..from + dim]);
        sum.for_each(|(sum, x)| *sum += weight * x);
    };
    for sequence in sequences {
        for (at, &item) in sequence.iter().enumerate() {
            for (distance, &next) in (1..=REACH).zip(&sequence[at + 1..]) {
                // Bought again, an item says nothing of others.
                if next != item {
                    let weight = 1.0 / distance as f32;
                    add(item, next, weight);
                    add(next, item, weight);
                }
            }
        }
    }
    for row in sums.chunks_exact_mut(dim) {
        let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        if length > 0.0 {
            row.iter_mut().for_each(|x| *x /= length);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(vectors: &[f32], dim: usize, a: usize, b: usize) -> f32 {
        let row = |item: usize| &vectors[item * dim..(item + 1) * dim];
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        dot(row(a), row(b)) / (dot(row(a), row(a)) * dot(row(b), row(b))).sqrt()
    }

    #[test]
    fn items_with_the_same_neighbours_start_near_each_other() {
        // 0 and 1 are bought between 2 and 3, 4 and 5 between 6 and 7; 8 only ever with itself, 9
        // never.
        let sequences = [vec![2, 0, 3], vec![3, 1, 2], vec![6, 4, 7], vec![7, 5, 6], vec![8, 8]];
        let vectors = vectors(&sequences, 10, 64, 1);
        assert!(cosine(&vectors, 64, 0, 1) > 0.99 && cosine(&vectors, 64, 4, 5) > 0.99);
        for (a, b) in [(0, 4), (1, 5), (2, 6), (3, 7)] {
            assert!(cosine(&vectors, 64, a, b) < 0.6, "{a} and {b}");
        }
        assert!(vectors[8 * 64..].iter().all(|&x| x == 0.0));
        let squares: f64 = vectors.iter().map(|&x| f64::from(x).powi(2)).sum();
        assert!(((squares / (8.0 * 64.0)).sqrt() - SIZE).abs() < 1e-6);
    }

    #[test]
    fn a_near_neighbour_weighs_more_and_a_far_one_nothing() {
        let rows = [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        let sums = sums_of_neighbours(&[vec![0, 1, 2, 3]], &rows, 3);
        let length = (1.0f32 + 0.25).sqrt();
        let close = sums[..3]
            .iter()
            .zip([1.0 / length, 0.5 / length, 0.0])
            .all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(close, "{sums:?}");
    }

    #[test]
    fn nothing_bought_after_each_other_leaves_zeros() {
        assert!(vectors(&[vec![0], vec![1, 1]], 2, 4, 1).iter().all(|&x| x == 0.0));
    }
}
