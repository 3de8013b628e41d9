//! Selecting the best: score and item packed into one number that sorts as results do.

use super::Hit;

/// Score and item in 64 bits; greater is better: by score, ties by lower item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(u64);

impl Key {
    /// Below every score.
    pub(super) const LEAST: Self = Self(0);

    /// `score` must not be NaN. −0 counts as 0.
    #[inline(always)]
    pub(super) fn of_float(score: f32, item: u32) -> Self {
        let bits = (score + 0.0).to_bits();
        // Negative floats order by falling bits, positive ones by rising bits.
        let ordered = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
        Self(u64::from(ordered) << 32 | u64::from(!item))
    }

    #[inline(always)]
    pub(super) fn of_integer(score: i32, item: u32) -> Self {
        Self(u64::from(score as u32 ^ 1 << 31) << 32 | u64::from(!item))
    }

    #[inline(always)]
    pub(super) fn item(self) -> u32 {
        !(self.0 as u32)
    }

    /// The score of a key made by [`Key::of_integer`].
    #[inline(always)]
    pub(super) fn integer(self) -> i32 {
        ((self.0 >> 32) as u32 ^ 1 << 31) as i32
    }

    /// The score of a key made by [`Key::of_float`].
    pub(super) fn float(self) -> f32 {
        let ordered = (self.0 >> 32) as u32;
        f32::from_bits(if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered })
    }
}

/// The best `k` in result order.
pub(super) fn best_hits(keys: &mut Vec<Key>, k: usize) -> Vec<Hit> {
    if k < keys.len() {
        keys.select_nth_unstable_by(k, |a, b| b.cmp(a));
        keys.truncate(k);
    }
    keys.sort_unstable_by(|a, b| b.cmp(a));
    keys.iter().map(|key| Hit { item: key.item(), score: key.float() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_by_score_then_by_lower_item() {
        let scores = [f32::MAX, 1.5, f32::MIN_POSITIVE, 0.0, -f32::MIN_POSITIVE, -2.0, f32::MIN];
        for pair in scores.windows(2) {
            assert!(Key::of_float(pair[0], 9) > Key::of_float(pair[1], 3), "{pair:?}");
            assert_eq!(Key::of_float(pair[0], 9).float(), pair[0]);
        }
        assert!(Key::of_float(-0.0, 1) > Key::of_float(0.0, 2));
        assert!(
            Key::of_integer(3, 2) > Key::of_integer(3, 4)
                && Key::of_integer(3, 4) > Key::of_integer(-1, 0)
        );
        assert_eq!(
            (Key::of_integer(i32::MIN, 7).integer(), Key::of_integer(-5, 7).item()),
            (i32::MIN, 7)
        );
    }

    #[test]
    fn best_hits_handles_every_k() {
        let keys = || {
            [(0.5, 3), (0.9, 1), (0.5, 2)].map(|(score, item)| Key::of_float(score, item)).to_vec()
        };
        let items = |k| best_hits(&mut keys(), k).iter().map(|hit| hit.item).collect::<Vec<_>>();
        assert_eq!((items(0), items(2), items(9)), (vec![], vec![1, 2], vec![1, 2, 3]));
    }
}
