//! Seeded randomness: one independent stream a thing, so that the order and number of threads do
//! not matter.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// What a stream of random numbers is for; streams of different purposes never share numbers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    Market,
    Product,
    Article,
    Customer,
    Journey,
}

/// The random numbers of thing number `index`.
pub(super) fn stream(seed: u64, purpose: Purpose, index: u64) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8] = purpose as u8;
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(index);
    rng
}

pub(super) fn normal(rng: &mut impl Rng) -> f32 {
    rng.sample(StandardNormal)
}

/// Draws positions in proportion to weights.
#[derive(Debug, Clone)]
pub(super) struct Picker {
    cumulative: Vec<f32>,
}

impl Picker {
    /// Weights must be finite and not negative, with a positive sum.
    pub(super) fn new(weights: impl IntoIterator<Item = f32>) -> Self {
        let mut sum = 0.0;
        let cumulative = weights
            .into_iter()
            .map(|weight| {
                sum += weight;
                sum
            })
            .collect();
        Self { cumulative }
    }

    pub(super) fn pick(&self, rng: &mut impl Rng) -> usize {
        let last = self.cumulative.len() - 1;
        let at = rng.random::<f32>() * self.cumulative[last];
        self.cumulative.partition_point(|&sum| sum <= at).min(last)
    }
}

/// Reads a piecewise linear curve given by points with ascending first coordinate.
pub(super) fn interpolate(points: &[(f32, f32)], at: f32) -> f32 {
    let next = points.partition_point(|point| point.0 <= at).clamp(1, points.len() - 1);
    let ((x0, y0), (x1, y1)) = (points[next - 1], points[next]);
    y0 + (y1 - y0) * ((at - x0) / (x1 - x0)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_follow_the_weights_and_never_a_zero() {
        let picker = Picker::new([0.0, 1.0, 3.0, 0.0]);
        let mut rng = stream(1, Purpose::Market, 0);
        let mut counts = [0; 4];
        for _ in 0..4_000 {
            counts[picker.pick(&mut rng)] += 1;
        }
        assert_eq!((counts[0], counts[3]), (0, 0));
        assert!((900..1_100).contains(&counts[1]), "{counts:?}");
    }

    #[test]
    fn streams_are_repeatable_and_independent() {
        let draw = |purpose, index| stream(7, purpose, index).random::<u64>();
        assert_eq!(draw(Purpose::Customer, 3), draw(Purpose::Customer, 3));
        assert_ne!(draw(Purpose::Customer, 3), draw(Purpose::Customer, 4));
        assert_ne!(draw(Purpose::Customer, 3), draw(Purpose::Journey, 3));
    }

    #[test]
    fn curves_are_read_between_and_beyond_their_points() {
        let points = [(0.0, 1.0), (0.5, 3.0), (1.0, 3.0)];
        assert_eq!(
            [-1.0, 0.25, 0.75, 2.0].map(|at| interpolate(&points, at)),
            [1.0, 2.0, 3.0, 3.0]
        );
    }
}
