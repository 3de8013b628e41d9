//! The family `frequency`: nothing is trained, its settings are chosen on the validation purchases.

mod config;

pub use config::FrequencyConfig;
pub(super) use config::REGISTERED;

use super::TrainedModel;
use crate::{
    bundle::{FrequencySettings, Golden, GoldenHit, GoldenQuery, RankingContents},
    counters::Popularity,
    dataset::Case,
    evaluation::{FrequencyScorer, Measured},
    training::{Export, MetricsFile, Outcome, Trained, Trainer, TrainingError, spaced},
};
use serde_json::json;
use std::{collections::BTreeMap, path::PathBuf};

/// Requests in `golden.json`, the first of them without a history.
const GOLDEN: usize = 8;

/// Validation windows that the settings are chosen on, at most: the best half-life of one week is
/// often not that of the next.
const FOLDS: usize = 4;

/// Hits of a golden request.
const GOLDEN_HITS: usize = 20;

/// A half-life of a configuration, where 0 stands for none.
fn half_life(days: f32) -> Option<f32> {
    (days > 0.0).then_some(days)
}

impl Trainer<'_> {
    /// Chooses the settings on the validation window and up to three earlier ones of its length,
    /// the half-life of the customer's own purchases first and then that of popularity behind it.
    /// Without validation purchases the first of each list counts.
    pub(super) fn choose_frequency(
        &self,
        config: &FrequencyConfig,
    ) -> Result<Outcome, TrainingError> {
        let io = |source| TrainingError::Io { path: self.directory.clone(), source };
        std::fs::create_dir_all(&self.directory).map_err(io)?;
        let mut folds = Vec::new();
        for fold in self.split.folds(self.dataset, self.histories, FOLDS) {
            let cases = spaced(&fold.cases, self.config.training.evaluation_cases);
            folds.push((self.window(fold.train.to_vec())?, cases));
        }
        let first = |days: &[f32]| days.first().copied().and_then(half_life);
        let mut settings = FrequencySettings {
            half_life_days: first(&config.half_life_days),
            popularity_half_life_days: first(&config.popularity_half_life_days),
            popularity_window_days: config.popularity_window_days,
        };
        let mut validation = None;
        if !folds.is_empty() {
            let mut search = Search {
                trainer: self,
                metrics: MetricsFile::open(
                    &self.directory.join("metrics.jsonl"),
                    false,
                    self.observe,
                )?,
                folds,
                tried: 0,
            };
            let own = config.half_life_days.iter().map(|&days| half_life(days));
            let own = own.map(|half_life_days| FrequencySettings { half_life_days, ..settings });
            (settings, _) = search.best(own.collect(), settings)?;
            let popular = config.popularity_half_life_days.iter().map(|&days| half_life(days));
            let popular = popular
                .map(|days| FrequencySettings { popularity_half_life_days: days, ..settings });
            let value;
            (settings, value) = search.best(popular.collect(), settings)?;
            validation = Some(value);
        }
        self.finish(Box::new(settings), self.rows_to_count()?, 0, validation)
    }

    /// What ranks the articles by these settings, with the popularity of the purchases `rows`.
    fn frequency_scorer(&self, settings: &FrequencySettings, rows: &[u32]) -> FrequencyScorer<'_> {
        let popularity = self.popularity(rows, &settings.popularity());
        let name = &self.config.model.name;
        let sales = popularity.into_iter().map(Some);
        FrequencyScorer::new(name, settings.personal(), sales, self.dataset, self.histories)
    }
}

impl TrainedModel for FrequencySettings {
    fn measure(
        &self,
        trainer: &Trainer<'_>,
        trained: &Trained,
        cases: &[Case],
    ) -> Result<Measured, TrainingError> {
        let scorer = trainer.frequency_scorer(self, &trained.rows);
        Ok(trainer.evaluation(cases).measure(&scorer)?)
    }

    fn export(&self, export: &Export<'_>) -> Result<PathBuf, TrainingError> {
        let golden = golden(self, export.trainer.dataset.articles.len());
        export.write(RankingContents::Frequency(*self), golden)
    }

    fn popularity(&self) -> Popularity {
        self.popularity()
    }
}

/// Settings on trial.
struct Search<'a> {
    trainer: &'a Trainer<'a>,
    metrics: MetricsFile<'a>,
    /// What is known before each window, and its cases; the latest window first.
    folds: Vec<(Vec<u32>, Vec<Case>)>,
    tried: u32,
}

impl Search<'_> {
    /// The best of the candidates by the mean of the configured metric over the windows, the
    /// earlier of two that are alike, and its value on the latest window.
    fn best(
        &mut self,
        candidates: Vec<FrequencySettings>,
        fallback: FrequencySettings,
    ) -> Result<(FrequencySettings, f64), TrainingError> {
        let (mut best, mut latest, mut highest) = (fallback, f64::NEG_INFINITY, f64::NEG_INFINITY);
        for candidate in candidates {
            let values = self.values(&candidate)?;
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            if mean > highest {
                (best, latest, highest) = (candidate, values[0], mean);
            }
        }
        Ok((best, latest))
    }

    /// The configured metric on each window, the latest first.
    fn values(&mut self, settings: &FrequencySettings) -> Result<Vec<f64>, TrainingError> {
        let metric = &self.trainer.config.training.metric;
        let mut values = Vec::new();
        self.tried += 1;
        for (window, (rows, cases)) in self.folds.iter().enumerate() {
            let scorer = self.trainer.frequency_scorer(settings, rows);
            let row = self.trainer.evaluation(cases).row(&scorer)?;
            values.push(row.metrics.get(metric).copied().unwrap_or(0.0));
            let mut line = json!({
                "stage": "search",
                "candidate": self.tried,
                "window": window,
                "settings": settings,
            });
            if let Some(line) = line.as_object_mut() {
                line.extend(row.metrics.iter().map(|(name, value)| (name.clone(), json!(value))));
            }
            self.metrics.line(&line)?;
        }
        let days =
            |days: Option<f32>| days.map_or("none".to_owned(), |days| format!("{days} days"));
        let (own, popular) =
            (days(settings.half_life_days), days(settings.popularity_half_life_days));
        let shown: Vec<String> = values.iter().map(|value| format!("{value:.4}")).collect();
        let windows = if shown.len() > 1 { " (latest window first)" } else { "" };
        tracing::info!(
            "  half-life {own}, of popularity {popular}: validation {metric} {}{windows}",
            shown.join(", ")
        );
        Ok(values)
    }
}

/// Golden requests: histories of 0, 3, 6, … purchases, and the scores that the definition gives
/// them, in f64.
fn golden(settings: &FrequencySettings, items: usize) -> Golden {
    let queries = (0..GOLDEN).map(|request| {
        let purchases = || {
            (0..request * 3)
                .map(move |n| (((n * n + 7 * request) % items) as i64, n * 11 + request, n % 2))
        };
        let mut sums: BTreeMap<i64, f64> = BTreeMap::new();
        for (item, days, odd) in purchases() {
            let decay = settings
                .half_life_days
                .map_or(1.0, |life| (-(days as f64) / f64::from(life)).exp2());
            *sums.entry(item).or_default() += decay * if odd == 1 { 0.5 } else { 1.0 };
        }
        let mut top: Vec<GoldenHit> = sums
            .into_iter()
            .map(|(item, sum)| GoldenHit { item: item as u32, score: sum as f32 })
            .collect();
        top.sort_by(|a, b| b.score.total_cmp(&a.score));
        top.truncate(GOLDEN_HITS);
        let weights = purchases().map(|(_, _, odd)| if odd == 1 { 0.5 } else { 1.0 });
        GoldenQuery {
            indices: purchases().map(|(item, ..)| item).collect(),
            numbers: purchases().map(|(_, days, _)| days as f32).chain(weights).collect(),
            vector: Vec::new(),
            top,
        }
    });
    Golden { queries: queries.collect(), items: Vec::new() }
}
