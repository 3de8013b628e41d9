//! Whether a ranker's shares hold: what it expects customers to buy of a list, and what they
//! bought.

use serde::Serialize;

/// Groups of candidates.
const GROUPS: usize = 10;

/// A ranker divides a customer's purchases among the candidates of a list: their shares sum to 1.
/// This compares the shares with what customers bought, over all lists of which anything was
/// bought.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// The share of the purchases that fell into another group than expected: half the sum of the
    /// differences between `predicted` and `observed`. 0 is best.
    pub error: f64,
    /// Lists of which anything was bought.
    pub lists: usize,
    /// The candidates with the highest shares first; each group is expected to take a tenth of the
    /// purchases.
    pub groups: Vec<Group>,
}

/// Candidates of like shares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Group {
    /// Candidates of a list.
    pub candidates: f64,
    /// The share of the purchases that the ranker expects them to take, and the share they took.
    pub predicted: f64,
    pub observed: f64,
}

/// A candidate's expected share of the purchases of its list, and the share it took.
pub(super) type Share = (f32, f32);

impl Calibration {
    /// Of the candidates of so many lists; `None` where nothing was bought of any.
    pub(super) fn of(mut shares: Vec<Share>, lists: usize) -> Option<Self> {
        if lists == 0 {
            return None;
        }
        shares.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let total: f64 = shares.iter().map(|&(predicted, _)| f64::from(predicted)).sum();
        let mut groups = [Group::default(); GROUPS];
        let mut before = 0.0;
        for (predicted, observed) in shares.into_iter().map(|(p, o)| (f64::from(p), f64::from(o))) {
            // The middle of a candidate decides, because a large share may reach over the end of a
            // group.
            let place = (before + predicted / 2.0) / total.max(f64::MIN_POSITIVE) * GROUPS as f64;
            let group = &mut groups[(place as usize).min(GROUPS - 1)];
            group.candidates += 1.0;
            group.predicted += predicted;
            group.observed += observed;
            before += predicted;
        }
        let each = |group: Group| {
            let lists = lists as f64;
            Group {
                candidates: group.candidates / lists,
                predicted: group.predicted / lists,
                observed: group.observed / lists,
            }
        };
        Some(Self::from_groups(groups.map(each).to_vec(), lists))
    }

    /// The error that a ranker without fault has on average, where each list has one purchase: the
    /// shares of so few lists differ from a tenth by chance.
    pub fn by_chance(&self) -> f64 {
        let share = 1.0 / GROUPS as f64;
        let deviation = (share * (1.0 - share) / self.lists.max(1) as f64).sqrt();
        // Of a normal distribution, the mean distance from its middle.
        GROUPS as f64 / 2.0 * deviation * std::f64::consts::FRAC_2_PI.sqrt()
    }

    fn from_groups(groups: Vec<Group>, lists: usize) -> Self {
        let differences = groups.iter().map(|group| (group.predicted - group.observed).abs());
        Self { error: differences.sum::<f64>() / 2.0, lists, groups }
    }

    /// Of several runs: groups by their places, and the mean error.
    pub(super) fn pooled(runs: &[&Self]) -> Option<Self> {
        let first = runs.first()?;
        let count = runs.len() as f64;
        let group = |at: usize| {
            let mean = |of: fn(&Group) -> f64| {
                runs.iter().map(|run| of(&run.groups[at])).sum::<f64>() / count
            };
            Group {
                candidates: mean(|group| group.candidates),
                predicted: mean(|group| group.predicted),
                observed: mean(|group| group.observed),
            }
        };
        let error = runs.iter().map(|run| run.error).sum::<f64>() / count;
        let lists = runs.iter().map(|run| run.lists).sum::<usize>() / runs.len();
        Some(Self { error, lists, groups: (0..first.groups.len()).map(group).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lists of ten candidates with equal shares, of which the customers buy the one at `bought`.
    fn equal(lists: usize, bought: impl Fn(usize) -> usize) -> Vec<Share> {
        let list = |list| (0..10).map(move |at| (list, at));
        (0..lists)
            .flat_map(list)
            .map(|(list, at)| (0.1, f32::from(u8::from(bought(list) == at))))
            .collect()
    }

    #[test]
    fn a_ranker_that_is_right_on_average_has_no_error() {
        // One candidate that is bought in three lists of four, and nine that share the rest.
        let list = |list: usize| {
            let first = if usize::is_multiple_of(list, 4) { 0.0 } else { 1.0 };
            let others = (0..9).map(move |at| {
                (0.25 / 9.0, if first == 0.0 && list / 4 % 9 == at { 1.0 } else { 0.0 })
            });
            std::iter::once((0.75, first)).chain(others)
        };
        let calibration = Calibration::of((0..36).flat_map(list).collect(), 36).unwrap();
        assert!(calibration.error < 0.15, "{calibration:?}");
        let sum = |of: fn(&Group) -> f64| calibration.groups.iter().map(of).sum::<f64>();
        assert!(
            (sum(|g| g.predicted) - 1.0).abs() < 1e-5 && (sum(|g| g.observed) - 1.0).abs() < 1e-5
        );
        assert!((sum(|g| g.candidates) - 10.0).abs() < 1e-9);
    }

    #[test]
    fn a_ranker_that_is_too_sure_has_the_error_by_which_it_is() {
        // It expects nine tenths of the purchases of the first candidate, which gets half of them.
        let list = |list: usize| [(0.9, (list % 2) as f32), (0.1, 1.0 - (list % 2) as f32)];
        let calibration = Calibration::of((0..40).flat_map(list).collect(), 40).unwrap();
        assert!((calibration.error - 0.4).abs() < 1e-5, "{calibration:?}");
        let twice = Calibration::pooled(&[&calibration, &calibration]).unwrap();
        assert!((twice.error - calibration.error).abs() < 1e-9 && twice.lists == 40);
        assert!(Calibration::of(Vec::new(), 0).is_none());
        assert!((calibration.by_chance() - 0.189).abs() < 0.001, "{}", calibration.by_chance());
        assert!(Calibration::of(equal(50, |list| list % 10), 50).unwrap().error < 1e-5);
    }
}
