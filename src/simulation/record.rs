//! What is counted, day by day, and how arms compare.

use super::{
    market::Day,
    shop::Shop,
    visit::{Act, Visit},
};
use serde::{Deserialize, Serialize};

/// Sums of one day of one arm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct DayRecord {
    pub day: Day,
    pub visits: usize,
    /// Places of lists that were shown.
    pub impressions: usize,
    /// Clicks on lists.
    pub clicks: usize,
    /// Purchases from lists.
    pub purchases: usize,
    /// Purchases from lists and by searching.
    pub all_purchases: usize,
    /// Of all purchases.
    pub revenue: f64,
    pub returns: usize,
    /// Purchases from lists that the hidden utilities expect: `purchases` without its noise.
    pub expected: f64,
}

/// The days of one arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArmRecord {
    pub arm: String,
    pub days: Vec<DayRecord>,
    pub nights: Vec<Night>,
}

/// What came of a retraining.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ended", rename_all = "snake_case")]
pub enum Night {
    Trained {
        seconds: f64,
        version: String,
    },
    /// The gate refused the candidate: the old model stays.
    Refused {
        seconds: f64,
        why: String,
    },
    Nothing {
        seconds: f64,
        why: String,
    },
}

impl Night {
    pub fn seconds(&self) -> f64 {
        match self {
            Self::Trained { seconds, .. }
            | Self::Refused { seconds, .. }
            | Self::Nothing { seconds, .. } => *seconds,
        }
    }
}

impl DayRecord {
    pub(super) fn add(&mut self, shop: &Shop, list: &[u32], visit: &Visit) {
        self.visits += 1;
        self.impressions += list.len();
        self.expected += visit.expected;
        for deed in &visit.deeds {
            let listed = usize::from(deed.position.is_some());
            match deed.act {
                Act::Click => self.clicks += listed,
                Act::Purchase => {
                    self.purchases += listed;
                    self.all_purchases += 1;
                    self.revenue += shop.article(deed.article).price;
                }
            }
        }
    }

    fn plus(self, other: &Self) -> Self {
        Self {
            day: other.day,
            visits: self.visits + other.visits,
            impressions: self.impressions + other.impressions,
            clicks: self.clicks + other.clicks,
            purchases: self.purchases + other.purchases,
            all_purchases: self.all_purchases + other.all_purchases,
            revenue: self.revenue + other.revenue,
            returns: self.returns + other.returns,
            expected: self.expected + other.expected,
        }
    }

    pub fn a_visit(&self, sum: f64) -> f64 {
        sum / self.visits.max(1) as f64
    }

    pub fn expected_a_visit(&self) -> f64 {
        self.a_visit(self.expected)
    }
}

impl ArmRecord {
    pub fn total(&self) -> DayRecord {
        self.days.iter().fold(DayRecord::default(), |sum, day| sum.plus(day))
    }
}

/// The mean of some values, and half of its 95 % interval (Student's t); 0 for a single value.
pub fn mean_and_margin(values: &[f64]) -> (f64, f64) {
    // Two-sided 95 % points for 1 to 9 degrees of freedom; beyond them 2.26 errs on the safe side.
    const T: [f64; 9] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    if values.len() < 2 {
        return (mean, 0.0);
    }
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, T[(values.len() - 2).min(T.len() - 1)] * (variance / n).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_students() {
        assert_eq!(mean_and_margin(&[0.4]), (0.4, 0.0));
        let (mean, margin) = mean_and_margin(&[1.0, 2.0, 3.0]);
        assert!((mean - 2.0).abs() < 1e-9 && (margin - 4.303 / 3f64.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn days_add_up() {
        let day =
            |day, visits, expected| DayRecord { day, visits, expected, ..DayRecord::default() };
        let arm = ArmRecord {
            arm: "loop".into(),
            days: vec![day(0, 2, 1.0), day(1, 6, 3.0)],
            nights: Vec::new(),
        };
        assert_eq!((arm.total().visits, arm.total().expected_a_visit()), (8, 0.5));
    }
}
