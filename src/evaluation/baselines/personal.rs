use super::{Known, Popularity, tuning::Tunable};
use crate::{
    bundle::RowKind,
    counters::{self, PersonalFrequency},
    dataset::Case,
    evaluation::{EvaluationError, Scorer},
};
use std::rc::Rc;
use std::sync::Arc;

/// The customer's own articles by how often they were bought, then the popular ones: the bar of the
/// next-basket papers (Li et al. 2023, "A next basket recommendation reality check").
pub struct Personal<'a> {
    name: &'static str,
    known: Known<'a>,
    settings: Settings,
    /// What follows after the own articles; empty when nothing does.
    popularity: Arc<[f32]>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Settings {
    /// Of the customer's own purchases.
    half_life_days: Option<f32>,
    /// Of the popularity behind them.
    fill_half_life_days: Option<f32>,
}

impl<'a> Personal<'a> {
    /// By plain counts, and nothing else: P-TopFreq.
    pub const TOP: &'static str = "p-topfreq";
    /// By plain counts, then popularity: GP-TopFreq.
    pub const FILLED: &'static str = "gp-topfreq";
    /// By counts that halve with age, then popularity that does.
    pub const DECAYED: &'static str = "personal-frequency";

    const PLAIN: Settings = Settings { half_life_days: None, fill_half_life_days: None };

    pub fn top(known: Known<'a>) -> Self {
        Self { name: Self::TOP, known, settings: Self::PLAIN, popularity: Arc::new([]) }
    }

    pub fn filled(known: Known<'a>) -> Self {
        Self { name: Self::FILLED, popularity: fill(known, None), known, settings: Self::PLAIN }
    }
}

fn fill(known: Known<'_>, half_life_days: Option<f32>) -> Arc<[f32]> {
    let settings = counters::Popularity { window_days: None, half_life_days };
    Popularity::new(Popularity::DECAYED, known, settings).shares().into()
}

impl Scorer for Personal<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn kind(&self) -> RowKind {
        RowKind::Baseline
    }

    fn settings(&self) -> String {
        if self.name != Self::DECAYED {
            return String::new();
        }
        let text = |days: Option<f32>| {
            days.map_or_else(|| "none".to_owned(), |days| format!("{days} days"))
        };
        let Settings { half_life_days, fill_half_life_days } = self.settings;
        format!(
            "half-life {}, of the popularity {}",
            text(half_life_days),
            text(fill_half_life_days)
        )
    }

    fn score(&self, cases: &[Case], scores: &mut [f32]) -> Result<(), EvaluationError> {
        let frequency = PersonalFrequency { half_life_days: self.settings.half_life_days };
        for (case, scores) in cases.iter().zip(scores.chunks_mut(self.known.articles())) {
            match self.popularity.is_empty() {
                true => scores.fill(f32::NEG_INFINITY),
                false => scores.copy_from_slice(&self.popularity),
            }
            let own = frequency.scores(self.known.history(case), self.known.at(case));
            // Their order alone counts; popularity is below 1.
            for (place, &(article, _)) in own.iter().rev().enumerate() {
                scores[article as usize] = (place + 1) as f32;
            }
        }
        Ok(())
    }
}

impl<'a> Tunable<'a> for Personal<'a> {
    type Settings = Settings;
    const FOLDS: usize = 4;
    const USUAL: Settings =
        Settings { half_life_days: Some(90.0), fill_half_life_days: Some(30.0) };

    fn candidates(known: Known<'a>) -> impl Iterator<Item = Self> {
        let fills: Rc<[_]> =
            [Some(30.0), Some(7.0), None].map(|days| (days, fill(known, days))).into();
        let half_lives = [
            Some(90.0),
            None,
            Some(7.0),
            Some(14.0),
            Some(30.0),
            Some(60.0),
            Some(180.0),
            Some(365.0),
        ];
        half_lives.into_iter().flat_map(move |half_life_days| {
            let fills = fills.clone();
            (0..fills.len()).map(move |at| {
                let (fill_half_life_days, popularity) = fills[at].clone();
                let settings = Settings { half_life_days, fill_half_life_days };
                Self { name: Self::DECAYED, known, settings, popularity }
            })
        })
    }

    fn chosen(&self) -> Settings {
        self.settings
    }

    fn fit(known: Known<'a>, settings: Settings) -> Self {
        Self {
            name: Self::DECAYED,
            popularity: fill(known, settings.fill_half_life_days),
            known,
            settings,
        }
    }
}
