//! Common random numbers: a number depends on nothing but the seed and what it is for.
//!
//! Every arm of a comparison asks for the same numbers for the same customer, visit and article, so
//! two arms that show an article at the same place see the same click. What differs between arms is
//! then due to the lists, and a comparison needs far fewer visits.

use std::f64::consts::TAU;

/// What a number is for; numbers of different purposes never repeat each other.
#[derive(Debug, Clone, Copy)]
pub(super) enum About {
    Fashion,
    Article,
    Shelf,
    Customer,
    Need,
    Wish,
    Visits,
    Look,
    Click,
    Buy,
    Search,
    Choice,
    Return,
}

/// All random numbers of one simulated shop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chance {
    seed: u64,
}

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed: mix(seed) }
    }

    /// Uniform in [0, 1).
    pub(super) fn uniform(self, about: About, key: [u64; 3]) -> f64 {
        let bits = key
            .into_iter()
            .fold(self.seed ^ mix(about as u64 + 1), |state, part| mix(state ^ mix(part)));
        (bits >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Standard normal (Box and Muller).
    pub(super) fn normal(self, about: About, key: [u64; 3]) -> f64 {
        let [one, two, three] = key;
        let radius = (-2.0 * (1.0 - self.uniform(about, [one, two, three << 1])).ln()).sqrt();
        radius * (TAU * self.uniform(about, [one, two, three << 1 | 1])).cos()
    }

    /// Exponential with mean 1.
    pub(super) fn exponential(self, about: About, key: [u64; 3]) -> f64 {
        -(1.0 - self.uniform(about, key)).ln()
    }

    /// The extreme-value noise under which the best of several is drawn by softmax.
    pub(super) fn gumbel(self, about: About, key: [u64; 3]) -> f64 {
        -self.exponential(about, key).max(1e-300).ln()
    }

    pub(super) fn below(self, about: About, key: [u64; 3], bound: usize) -> usize {
        ((self.uniform(about, key) * bound as f64) as usize).min(bound - 1)
    }
}

/// The finaliser of SplitMix64 (Steele et al. 2014).
fn mix(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_depend_on_their_purpose_and_key_alone() {
        let chance = Chance::new(7);
        assert_eq!(
            chance.uniform(About::Click, [1, 2, 3]),
            chance.uniform(About::Click, [1, 2, 3])
        );
        let others = [
            chance.uniform(About::Click, [2, 1, 3]),
            chance.uniform(About::Buy, [1, 2, 3]),
            Chance::new(8).uniform(About::Click, [1, 2, 3]),
        ];
        assert!(others.iter().all(|&other| other != chance.uniform(About::Click, [1, 2, 3])));
    }

    #[test]
    fn distributions_have_their_moments() {
        let chance = Chance::new(1);
        let mean = |draw: &dyn Fn(u64) -> f64| (0..20_000).map(draw).sum::<f64>() / 20_000.0;
        assert!((mean(&|at| chance.uniform(About::Look, [at, 0, 0])) - 0.5).abs() < 0.01);
        assert!(mean(&|at| chance.normal(About::Look, [at, 0, 0])).abs() < 0.03);
        assert!((mean(&|at| chance.normal(About::Look, [at, 0, 0]).powi(2)) - 1.0).abs() < 0.05);
        assert!((mean(&|at| chance.exponential(About::Look, [at, 0, 0])) - 1.0).abs() < 0.03);
        assert!((mean(&|at| chance.gumbel(About::Look, [at, 0, 0])) - 0.5772).abs() < 0.04);
    }
}
