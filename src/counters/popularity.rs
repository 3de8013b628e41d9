use super::{age_days, decay};
use crate::domain::Timestamp;

/// How often everybody bought an item, each purchase counting its weight times `2^(−age /
/// half-life)`, within a window.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Popularity {
    /// Count only purchases younger than so many days; without one, all.
    pub window_days: Option<u32>,
    /// Above 0; without one old and new purchases count alike.
    pub half_life_days: Option<f32>,
}

impl Popularity {
    /// The count of each of `items` items at the moment `at`; what is bought later does not count.
    ///
    /// # Panics
    /// When an item's number is not below `items`.
    pub fn counts(
        &self,
        items: usize,
        purchases: impl Iterator<Item = (u32, Timestamp, f32)>,
        at: Timestamp,
    ) -> Vec<f32> {
        // Sums of millions of numbers need more than 24 bits.
        let mut sums = vec![0f64; items];
        for (item, bought, weight) in purchases {
            sums[item as usize] += f64::from(weight) * self.share(bought, at);
        }
        sums.into_iter().map(|sum| sum as f32).collect()
    }

    /// What one purchase counts at the moment `at`, before its weight: from 0 (out of the window,
    /// or still to come) to 1.
    pub fn share(&self, bought: Timestamp, at: Timestamp) -> f64 {
        match age_days(bought, at) {
            Some(age) if self.window_days.is_none_or(|days| age < f64::from(days)) => {
                decay(age, self.half_life_days)
            }
            _ => 0.0,
        }
    }
}
