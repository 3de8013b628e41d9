//! Counting purchases, old ones less: the scoring behind the baselines of an evaluation, the family
//! that recommends a customer's own articles again, and what the server calls popular. One
//! implementation, so that an evaluation measures what is served. Knows no model, no file and no
//! HTTP.
//!
//! All of them see a purchase as `(item, moment, weight)` and count only what was bought up to the
//! moment asked for.

mod personal;
mod popularity;

pub use personal::PersonalFrequency;
pub use popularity::Popularity;

use crate::domain::Timestamp;

/// The age of a purchase in days; `None` for one that is still to come at `at`.
fn age_days(bought: Timestamp, at: Timestamp) -> Option<f64> {
    let seconds = at.0.checked_sub(bought.0)?;
    Some(f64::from(seconds) / f64::from(Timestamp::DAY))
}

/// What a purchase of this age counts: half as much after each half-life, always 1 without one.
fn decay(age_days: f64, half_life_days: Option<f32>) -> f64 {
    half_life_days.map_or(1.0, |half_life| (-age_days / f64::from(half_life)).exp2())
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn day(day: u32) -> Timestamp {
        Timestamp(day * Timestamp::DAY)
    }

    #[test]
    fn a_purchase_counts_half_after_each_half_life() {
        let personal = PersonalFrequency { half_life_days: Some(10.0) };
        let history = [(7, day(80), 1.0), (8, day(90), 1.0), (7, day(100), 2.0)];
        let scores = personal.scores(history.into_iter(), day(100));
        assert_eq!(scores, [(7, 2.25), (8, 0.5)]);
        let popularity = Popularity { half_life_days: Some(10.0), window_days: None };
        let counts = popularity.counts(10, history.into_iter(), day(100));
        assert_eq!((counts[7], counts[8], counts[0]), (2.25, 0.5, 0.0));
    }

    #[test]
    fn what_is_bought_later_is_not_known() {
        let history = [(1, day(1), 1.0), (2, day(5), 1.0), (3, day(6), 1.0)];
        let personal = PersonalFrequency::default().scores(history.into_iter(), day(5));
        assert_eq!(personal.iter().map(|&(item, _)| item).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(
            Popularity::default().counts(4, history.into_iter(), day(5)),
            [0.0, 1.0, 1.0, 0.0]
        );
    }

    #[test]
    fn a_window_holds_its_last_days() {
        let popularity = Popularity { window_days: Some(7), half_life_days: None };
        let bought = [(0, day(3), 1.0), (1, day(4), 1.0), (1, day(10), 1.0)];
        assert_eq!(popularity.counts(2, bought.into_iter(), day(10)), [0.0, 2.0]);
    }

    #[test]
    fn of_equal_counts_the_latest_stands_first() {
        let history = [(5, day(1), 1.0), (9, day(2), 1.0), (4, day(2), 1.0)];
        let scores = PersonalFrequency::default().scores(history.into_iter(), day(3));
        assert_eq!(scores.iter().map(|&(item, _)| item).collect::<Vec<_>>(), [4, 9, 5]);
    }
}
