use super::{Known, tuning::Tunable};
use crate::{
    bundle::RowKind,
    counters,
    dataset::Case,
    evaluation::{EvaluationError, Scorer},
};

/// Ranks by the number of purchases, the same for everybody.
pub struct Popularity {
    name: &'static str,
    settings: counters::Popularity,
    counts: Vec<f32>,
}

/// The window of [`Popularity::RECENT`] and the half-life of [`Popularity::DECAYED`], chosen on
/// validation purchases.
pub(super) struct Recent(pub(super) Popularity);
pub(super) struct Decayed(pub(super) Popularity);

impl Popularity {
    pub const ALL_TIME: &'static str = "popularity";
    pub const RECENT: &'static str = "recent-popularity";
    pub const DECAYED: &'static str = "decayed-popularity";

    /// Over all training purchases.
    pub fn all_time(known: Known<'_>) -> Self {
        Self::new(Self::ALL_TIME, known, counters::Popularity::default())
    }

    pub(super) fn new(
        name: &'static str,
        known: Known<'_>,
        settings: counters::Popularity,
    ) -> Self {
        let counts = settings.counts(known.articles(), known.bought(), known.now());
        Self { name, settings, counts }
    }

    /// The counts as shares of the highest one: from 0 to below 1, in the same order.
    pub(super) fn shares(&self) -> Vec<f32> {
        let most = self.counts.iter().fold(0f32, |most, &count| most.max(count));
        self.counts.iter().map(|&count| 0.999 * count / most.max(f32::MIN_POSITIVE)).collect()
    }
}

impl Scorer for Popularity {
    fn name(&self) -> &str {
        self.name
    }

    fn kind(&self) -> RowKind {
        RowKind::Baseline
    }

    fn settings(&self) -> String {
        match (self.settings.window_days, self.settings.half_life_days) {
            (Some(days), _) => format!("last {days} days"),
            (_, Some(days)) => format!("half-life {days} days"),
            _ => String::new(),
        }
    }

    fn score(&self, _cases: &[Case], scores: &mut [f32]) -> Result<(), EvaluationError> {
        scores
            .chunks_mut(self.counts.len())
            .for_each(|scores| scores.copy_from_slice(&self.counts));
        Ok(())
    }
}

macro_rules! delegate {
    ($($name:ident),*) => {$(
        impl Scorer for $name {
            fn name(&self) -> &str {
                self.0.name()
            }

            fn kind(&self) -> RowKind {
                self.0.kind()
            }

            fn score(&self, cases: &[Case], scores: &mut [f32]) -> Result<(), EvaluationError> {
                self.0.score(cases, scores)
            }
        }
    )*};
}

delegate!(Recent, Decayed);

impl Tunable<'_> for Recent {
    type Settings = u32;
    const FOLDS: usize = 4;
    const USUAL: u32 = 7;

    fn candidates(known: Known<'_>) -> impl Iterator<Item = Self> {
        [7, 1, 3, 14, 30, 90].into_iter().map(move |days| Self::fit(known, days))
    }

    fn chosen(&self) -> u32 {
        self.0.settings.window_days.unwrap_or(Self::USUAL)
    }

    fn fit(known: Known<'_>, days: u32) -> Self {
        let settings = counters::Popularity { window_days: Some(days), half_life_days: None };
        Self(Popularity::new(Popularity::RECENT, known, settings))
    }
}

impl Tunable<'_> for Decayed {
    type Settings = f32;
    const FOLDS: usize = 4;
    const USUAL: f32 = 30.0;

    fn candidates(known: Known<'_>) -> impl Iterator<Item = Self> {
        [30.0, 1.0, 3.0, 7.0, 14.0, 60.0, 180.0].into_iter().map(move |days| Self::fit(known, days))
    }

    fn chosen(&self) -> f32 {
        self.0.settings.half_life_days.unwrap_or(Self::USUAL)
    }

    fn fit(known: Known<'_>, days: f32) -> Self {
        let settings = counters::Popularity { window_days: None, half_life_days: Some(days) };
        Self(Popularity::new(Popularity::DECAYED, known, settings))
    }
}
