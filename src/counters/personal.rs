use super::{age_days, decay};
use crate::domain::Timestamp;
use hashbrown::HashMap;

/// How often a customer bought an item, each purchase counting its weight times `2^(−age /
/// half-life)`: what somebody buys again and again stands first. The bar of the next-basket papers
/// (Li et al. 2023, "A next basket recommendation reality check", call it P-TopFreq without decay).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PersonalFrequency {
    /// Above 0; without one old and new purchases count alike.
    pub half_life_days: Option<f32>,
}

impl PersonalFrequency {
    /// The items of a history with their scores, the highest first; of equal scores the item bought
    /// last, then the lower number. Purchases after `at` are left out; the order of `history` does
    /// not matter.
    pub fn scores(
        &self,
        history: impl Iterator<Item = (u32, Timestamp, f32)>,
        at: Timestamp,
    ) -> Vec<(u32, f32)> {
        let mut sums: HashMap<u32, (f64, Timestamp)> = HashMap::new();
        for (item, bought, weight) in history {
            let Some(age) = age_days(bought, at) else { continue };
            let (sum, last) = sums.entry(item).or_default();
            *sum += f64::from(weight) * decay(age, self.half_life_days);
            *last = bought.max(*last);
        }
        let mut ranked: Vec<(u32, f32, Timestamp)> =
            sums.into_iter().map(|(item, (sum, last))| (item, sum as f32, last)).collect();
        ranked.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(b.2.cmp(&a.2)).then(a.0.cmp(&b.0)));
        ranked.into_iter().map(|(item, score, _)| (item, score)).collect()
    }
}
