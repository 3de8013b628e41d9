//! Seeded vectors of the kinds a catalogue can have, for tests.

use super::{Hit, ItemVectors};
use rand::{Rng, SeedableRng, rngs::StdRng};

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Unit vectors around 40 centres.
    Clustered,
    /// Independent numbers in −1..1.
    Uniform,
    /// Clustered directions with lengths from 0.2 to 3.
    Norms,
    /// Clustered, each vector some 25 times, and zero vectors.
    Duplicates,
}

pub(super) const KINDS: [Kind; 4] = [Kind::Clustered, Kind::Uniform, Kind::Norms, Kind::Duplicates];

/// `len` vectors and `queries` query vectors of the same distribution.
pub(super) fn vectors(
    kind: Kind,
    len: usize,
    dim: usize,
    queries: usize,
) -> (Vec<f32>, Vec<Vec<f32>>) {
    let mut rng = StdRng::seed_from_u64(7);
    let centres: Vec<Vec<f32>> = (0..40).map(|_| uniform(&mut rng, dim)).collect();
    let clustered = |rng: &mut StdRng| {
        let centre = &centres[rng.random_range(0..centres.len())];
        let mut vector: Vec<f32> = centre
            .iter()
            .zip(uniform(rng, dim))
            .map(|(centre, noise)| centre + 0.6 * noise)
            .collect();
        let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-9);
        vector.iter_mut().for_each(|x| *x /= norm);
        vector
    };
    let mut rows: Vec<Vec<f32>> = Vec::new();
    for item in 0..len {
        rows.push(match kind {
            Kind::Clustered => clustered(&mut rng),
            Kind::Uniform => uniform(&mut rng, dim),
            Kind::Norms => {
                let length = 0.2 * 15f32.powf(rng.random());
                clustered(&mut rng).iter().map(|x| x * length).collect()
            }
            Kind::Duplicates if item % 50 == 0 => vec![0.0; dim],
            Kind::Duplicates if item > len / 25 => rows[rng.random_range(0..=len / 25)].clone(),
            Kind::Duplicates => clustered(&mut rng),
        });
    }
    let queries = (0..queries).map(|_| {
        if matches!(kind, Kind::Uniform) { uniform(&mut rng, dim) } else { clustered(&mut rng) }
    });
    let queries = queries.collect();
    (rows.concat(), queries)
}

fn uniform(rng: &mut StdRng, dim: usize) -> Vec<f32> {
    (0..dim).map(|_| rng.random::<f32>() * 2.0 - 1.0).collect()
}

pub(super) fn table(
    kind: Kind,
    len: usize,
    dim: usize,
    queries: usize,
) -> (ItemVectors, Vec<Vec<f32>>) {
    let (rows, queries) = vectors(kind, len, dim, queries);
    (ItemVectors::from_rows(dim, &rows).unwrap(), queries)
}

pub(super) fn ids(hits: &[Hit]) -> Vec<u32> {
    hits.iter().map(|hit| hit.item).collect()
}
