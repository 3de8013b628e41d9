//! Vectors → positions.

use crate::{experiments::ExperimentError, progress::Progress};
use bhtsne::{Neighbor, tSNE};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;

const EPOCHS: usize = 1_000;
/// Neighbours that count, softly; fewer where there are few items.
const PERPLEXITY: usize = 30;
/// From here on the repulsion is interpolated on a grid instead of summed over a tree.
const MANY: usize = 2_000;
/// Accuracy of the tree.
const THETA: f32 = 0.5;

/// Positions from 0 to 1 with the vectors' directions as what is compared: bestsellers have long
/// vectors, and the length would hide what an article is like.
pub(super) fn tsne(
    vectors: &[&[f32]],
    rng: &mut ChaCha8Rng,
) -> Result<Vec<[f32; 2]>, ExperimentError> {
    let unit: Vec<Vec<f32>> = vectors.iter().map(|vector| normalised(vector)).collect();
    let perplexity = PERPLEXITY.min((unit.len() - 1) / 3);
    let neighbours = neighbours(&unit, 3 * perplexity);
    let start: Vec<f32> =
        (0..2 * unit.len()).map(|_| 1e-4 * rng.sample::<f32, _>(StandardNormal)).collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let pool =
        pool.map_err(|error| ExperimentError::Input(format!("cannot start a thread: {error}")))?;
    let progress = Progress::new("map", EPOCHS as u64, "steps");
    let embedding = pool.install(|| {
        let mut tsne: tSNE<'_, f32, Vec<f32>, 2> = tSNE::new(&unit);
        tsne.perplexity(perplexity as f32).epochs(EPOCHS).initial_embedding(start);
        tsne.epoch_callback(|_, _| progress.add(1));
        if unit.len() < MANY {
            tsne.barnes_hut_with_neighbors(THETA, &neighbours);
        } else {
            tsne.fit_sne_with_neighbors(&neighbours);
        }
        tsne.embedding()
    });
    progress.finish(&format!("{} items", unit.len()));
    if embedding.iter().any(|value| !value.is_finite()) {
        return Err(ExperimentError::Input(
            "the vectors cannot be laid out: the map diverged".to_owned(),
        ));
    }
    Ok(framed(&embedding))
}

fn normalised(vector: &[f32]) -> Vec<f32> {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    let scale = if norm > 0.0 { 1.0 / norm } else { 0.0 };
    vector.iter().map(|x| x * scale).collect()
}

/// The `k` nearest other vectors of each, nearest first, ties by number.
fn neighbours(unit: &[Vec<f32>], k: usize) -> Vec<Vec<Neighbor<f32>>> {
    let nearest = |at: usize| {
        let mut others: Vec<(f32, usize)> = (0..unit.len())
            .filter(|&other| other != at)
            .map(|other| (squared(&unit[at], &unit[other]), other))
            .collect();
        let order = |a: &(f32, usize), b: &(f32, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        others.select_nth_unstable_by(k - 1, order);
        others.truncate(k);
        others.sort_unstable_by(order);
        others
            .into_iter()
            .map(|(squared, index)| Neighbor { index, distance: squared.sqrt() })
            .collect()
    };
    (0..unit.len()).into_par_iter().map(nearest).collect()
}

/// Squared distance, in eight sums that the compiler keeps in one register.
fn squared(a: &[f32], b: &[f32]) -> f32 {
    let ((a8, a1), (b8, b1)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0f32; 8];
    for (a, b) in a8.iter().zip(b8) {
        for i in 0..8 {
            sums[i] += (a[i] - b[i]) * (a[i] - b[i]);
        }
    }
    sums.iter().sum::<f32>() + a1.iter().zip(b1).map(|(a, b)| (a - b) * (a - b)).sum::<f32>()
}

/// Into the unit square, keeping the shape.
fn framed(embedding: &[f32]) -> Vec<[f32; 2]> {
    let points = embedding.as_chunks::<2>().0;
    let bounds = |axis: usize| {
        points.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), p| {
            (low.min(p[axis]), high.max(p[axis]))
        })
    };
    let (x, y) = (bounds(0), bounds(1));
    let size = (x.1 - x.0).max(y.1 - y.0).max(f32::MIN_POSITIVE);
    let place = |value: f32, (low, high): (f32, f32)| 0.5 + (value - (low + high) / 2.0) / size;
    points.iter().map(|point| [place(point[0], x), place(point[1], y)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn clusters() -> Vec<Vec<f32>> {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let point = |at: usize, rng: &mut ChaCha8Rng| -> Vec<f32> {
            (0..11)
                .map(|axis| {
                    f32::from(axis == at % 3) * 5.0 + rng.sample::<f32, _>(StandardNormal) * 0.3
                })
                .collect()
        };
        (0..60).map(|at| point(at, &mut rng)).collect()
    }

    #[test]
    fn groups_stay_together_and_the_seed_decides() {
        let points = clusters();
        let vectors: Vec<&[f32]> = points.iter().map(Vec::as_slice).collect();
        let map = |seed| tsne(&vectors, &mut ChaCha8Rng::seed_from_u64(seed)).unwrap();
        let positions = map(1);
        assert_eq!(positions, map(1));
        assert_ne!(positions, map(2));
        assert!(positions.iter().flatten().all(|value| (0.0..=1.0).contains(value)));
        let distance = |a: [f32; 2], b: [f32; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
        for (at, &position) in positions.iter().enumerate() {
            let other = |&b: &usize| b != at;
            let nearest = (0..60).filter(other).min_by(|&a, &b| {
                distance(position, positions[a]).total_cmp(&distance(position, positions[b]))
            });
            assert_eq!(nearest.unwrap() % 3, at % 3, "{at}");
        }
    }

    #[test]
    fn neighbours_are_exact_and_in_order() {
        let unit: Vec<Vec<f32>> = clusters().iter().map(|vector| normalised(vector)).collect();
        for (at, found) in neighbours(&unit, 7).iter().enumerate() {
            let mut all: Vec<(f32, usize)> =
                (0..60).filter(|&b| b != at).map(|b| (squared(&unit[at], &unit[b]), b)).collect();
            all.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert_eq!(
                found.iter().map(|n| n.index).collect::<Vec<_>>(),
                all[..7].iter().map(|n| n.1).collect::<Vec<_>>()
            );
        }
        assert_eq!(normalised(&[0.0, 0.0]), [0.0, 0.0]);
    }
}
