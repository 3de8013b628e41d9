//! Vectors in clusters (k-means), so that a query looks at the nearest ones alone.
//!
//! Quickly built, where a graph takes many seconds: for articles that come while the server runs.
//! For the same time a graph finds a little more, so the items of a bundle have a graph.

use super::{
    ItemVectors, RetrievalError,
    kernel::{BLOCK, Kernels},
    scratch::Scratch,
    top_k::Key,
};

/// Fewest vectors for which clusters beat a scan of all.
const FEWEST: usize = 8_192;
/// Vectors that the centroids are found with, at most twice as many.
const SAMPLE: usize = 8_192;
const ROUNDS: usize = 5;

/// The items of a table, cluster after cluster.
pub(super) struct Clusters {
    centroids: ItemVectors,
    items: Vec<u32>,
    /// Where each cluster's items begin, and where the last one's end.
    firsts: Vec<u32>,
}

impl Clusters {
    /// `None` for a table so small that a scan is quicker.
    ///
    /// # Errors
    /// When memory for the centroids cannot be had.
    pub(super) fn of(
        kernels: &Kernels,
        items: &ItemVectors,
    ) -> Result<Option<Self>, RetrievalError> {
        if items.len() < FEWEST {
            return Ok(None);
        }
        let count = items.len().isqrt();
        let sample: Vec<u32> =
            (0..items.len() as u32).step_by((items.len() / SAMPLE).max(1)).collect();
        let starts = (0..count).flat_map(|at| items.row(sample[at * sample.len() / count]));
        let mut centroids =
            ItemVectors::from_rows(items.dim(), &starts.copied().collect::<Vec<_>>())?;
        for _ in 0..ROUNDS {
            let nearest = nearest_centroids(kernels, items, &sample, &centroids);
            centroids = means(items, &sample, &nearest, &centroids)?;
        }
        let all: Vec<u32> = (0..items.len() as u32).collect();
        let nearest = nearest_centroids(kernels, items, &all, &centroids);
        let mut firsts = vec![0; count + 1];
        nearest.iter().for_each(|&cluster| firsts[cluster as usize + 1] += 1);
        (0..count).for_each(|cluster| firsts[cluster + 1] += firsts[cluster]);
        let mut order = all;
        // Stable: the items of a cluster rise.
        order.sort_by_key(|&item| nearest[item as usize]);
        Ok(Some(Self { centroids, items: order, firsts }))
    }

    pub(super) fn len(&self) -> usize {
        self.centroids.len()
    }

    /// The items, cluster after cluster.
    pub(super) fn items(&self) -> &[u32] {
        &self.items
    }

    /// Fills in the scratch's ranges for its query: the blocks of the nearest clusters that hold at
    /// least `rows` items.
    pub(super) fn select(&self, kernels: &Kernels, rows: usize, scratch: &mut Scratch) {
        let Scratch { query, ids, floats, keys, ranges, .. } = scratch;
        ids.clear();
        ids.extend(0..self.len() as u32);
        floats.clear();
        kernels.dot_rows(query, self.centroids.padded(), ids, floats);
        keys.clear();
        keys.extend(
            ids.iter().zip(floats.iter()).map(|(&cluster, &score)| Key::of_float(score, cluster)),
        );
        keys.sort_unstable_by(|a, b| b.cmp(a));
        ranges.clear();
        let mut covered = 0;
        for cluster in keys.iter().map(|key| key.item() as usize) {
            if covered >= rows {
                break;
            }
            let (first, end) = (self.firsts[cluster] as usize, self.firsts[cluster + 1] as usize);
            covered += end - first;
            ranges.push(first / BLOCK..end.div_ceil(BLOCK));
        }
        // Neighbours share a block, which must not be looked at twice.
        ranges.sort_unstable_by_key(|range| range.start);
        let mut from = 0;
        for range in ranges {
            range.start = range.start.max(from);
            from = from.max(range.end);
        }
    }
}

/// The centroid nearest to each of some items.
fn nearest_centroids(
    kernels: &Kernels,
    items: &ItemVectors,
    ids: &[u32],
    centroids: &ItemVectors,
) -> Vec<u32> {
    let all: Vec<u32> = (0..centroids.len() as u32).collect();
    // |x − c|² is least where ⟨x, c⟩ − |c|²/2 is greatest.
    let halves: Vec<f32> =
        centroids.rows().map(|row| row.iter().map(|x| x * x).sum::<f32>() / 2.0).collect();
    let mut products = Vec::with_capacity(all.len());
    let nearest = |&id: &u32| {
        products.clear();
        let row = &items.padded()[id as usize * items.stride()..][..items.stride()];
        kernels.dot_rows(row, centroids.padded(), &all, &mut products);
        let scored = products
            .iter()
            .zip(&halves)
            .zip(&all)
            .map(|((product, half), &at)| (product - half, at));
        scored.max_by(|a, b| a.0.total_cmp(&b.0)).map_or(0, |(_, at)| at)
    };
    ids.iter().map(nearest).collect()
}

/// The mean of each cluster; one without items keeps its centroid.
fn means(
    items: &ItemVectors,
    ids: &[u32],
    nearest: &[u32],
    centroids: &ItemVectors,
) -> Result<ItemVectors, RetrievalError> {
    let dim = items.dim();
    let mut sums = vec![0f64; centroids.len() * dim];
    let mut counts = vec![0u32; centroids.len()];
    for (&id, &cluster) in ids.iter().zip(nearest) {
        counts[cluster as usize] += 1;
        let sum = &mut sums[cluster as usize * dim..][..dim];
        sum.iter_mut().zip(items.row(id)).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    let mut rows = Vec::with_capacity(sums.len());
    for ((sum, &count), old) in sums.chunks_exact(dim).zip(&counts).zip(centroids.rows()) {
        match count {
            0 => rows.extend_from_slice(old),
            _ => rows.extend(sum.iter().map(|sum| (sum / f64::from(count)) as f32)),
        }
    }
    ItemVectors::from_rows(dim, &rows)
}
