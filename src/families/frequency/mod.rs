//! The family `frequency`: nothing is trained, its settings are chosen on the validation purchases.

mod config;

pub use config::FrequencyConfig;

use crate::{
    bundle::{FrequencySettings, Golden, GoldenHit, GoldenQuery},
    counters::Popularity,
    dataset::{Case, Dataset},
    evaluation::{Evaluation, FrequencyScorer},
    features::{Encoder, fit},
    training::{MetricsFile, Model, Outcome, Refit, Trained, Trainer, TrainingError, spaced},
};
use serde_json::json;
use std::collections::BTreeMap;

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

/// How well each article sells by the purchases `rows`, at the moment of the last of them.
pub(crate) fn popularity(dataset: &Dataset, rows: &[u32], counting: &Popularity) -> Vec<f32> {
    let purchases = &dataset.purchases;
    let bought = |&row: &u32| (purchases.article[row as usize], purchases.time[row as usize], purchases.weight_of(row));
    let at = rows.iter().map(|&row| purchases.time[row as usize]).max().unwrap_or_default();
    counting.counts(dataset.articles.len(), rows.iter().map(bought), at)
}

impl Trainer<'_> {
    /// Chooses the settings on the validation window and up to three earlier ones of its length, the
    /// half-life of the customer's own purchases first and then that of popularity behind it. Without
    /// validation purchases the first of each list counts.
    pub(crate) fn choose_frequency(&self, config: &FrequencyConfig) -> Result<Outcome, TrainingError> {
        let io = |source| TrainingError::Io { path: self.directory.clone(), source };
        std::fs::create_dir_all(&self.directory).map_err(io)?;
        let train = self.window(self.split.train.clone())?;
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
                metrics: MetricsFile::open(&self.directory.join("metrics.jsonl"), false, self.observe)?,
                folds,
                tried: 0,
            };
            let own = config.half_life_days.iter().map(|&days| half_life(days));
            let own = own.map(|half_life_days| FrequencySettings { half_life_days, ..settings });
            (settings, _) = search.best(own.collect(), settings)?;
            let popular = config.popularity_half_life_days.iter().map(|&days| half_life(days));
            let popular = popular.map(|days| FrequencySettings { popularity_half_life_days: days, ..settings });
            let value;
            (settings, value) = search.best(popular.collect(), settings)?;
            validation = Some(value);
        }
        let rows = match self.config.training.refit {
            // The last step of `Refit::All` chooses the same again and counts everything.
            _ if self.final_epochs.is_some() => self.window((0..self.dataset.purchases.len() as u32).collect())?,
            Refit::None => train,
            Refit::Validation | Refit::All => self.window(self.split.train_and_validation())?,
        };
        let (schema, vocabularies) = fit(self.dataset, &rows, &self.config.schema_features())?;
        let (encoder, model) = (Encoder::new(schema, vocabularies)?, Model::Frequency(settings));
        Ok(Outcome::Finished(Box::new(Trained { encoder, model, epochs: 0, rows, validation, measured: None })))
    }

    /// What ranks the articles by these settings, with the popularity of the purchases `rows`.
    pub(crate) fn frequency_scorer(&self, settings: &FrequencySettings, rows: &[u32]) -> FrequencyScorer<'_> {
        let popularity = popularity(self.dataset, rows, &settings.popularity());
        let name = &self.config.model.name;
        let sales = popularity.into_iter().map(Some);
        FrequencyScorer::new(name, settings.personal(), sales, self.dataset, self.histories)
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
    /// The best of the candidates by the mean of the configured metric over the windows, the earlier
    /// of two that are alike, and its value on the latest window.
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
        let Trainer { config, dataset, histories, split, .. } = self.trainer;
        let metric = &config.training.metric;
        let mut values = Vec::new();
        self.tried += 1;
        for (window, (rows, cases)) in self.folds.iter().enumerate() {
            let scorer = self.trainer.frequency_scorer(settings, rows);
            let row = Evaluation { dataset, histories, protocol: split.protocol, cases }.row(&scorer)?;
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
        let days = |days: Option<f32>| days.map_or("none".to_owned(), |days| format!("{days} days"));
        let (own, popular) = (days(settings.half_life_days), days(settings.popularity_half_life_days));
        let shown: Vec<String> = values.iter().map(|value| format!("{value:.4}")).collect();
        let windows = if shown.len() > 1 { " (latest window first)" } else { "" };
        tracing::info!("  half-life {own}, of popularity {popular}: validation {metric} {}{windows}", shown.join(", "));
        Ok(values)
    }
}

/// Golden requests: histories of 0, 3, 6, … purchases, and the scores that the definition gives
/// them, in f64.
pub(crate) fn golden(settings: &FrequencySettings, items: usize) -> Golden {
    let queries = (0..GOLDEN).map(|request| {
        let purchases =
            || (0..request * 3).map(move |n| (((n * n + 7 * request) % items) as i64, n * 11 + request, n % 2));
        let mut sums: BTreeMap<i64, f64> = BTreeMap::new();
        for (item, days, odd) in purchases() {
            let decay = settings.half_life_days.map_or(1.0, |life| (-(days as f64) / f64::from(life)).exp2());
            *sums.entry(item).or_default() += decay * if odd == 1 { 0.5 } else { 1.0 };
        }
        let mut top: Vec<GoldenHit> =
            sums.into_iter().map(|(item, sum)| GoldenHit { item: item as u32, score: sum as f32 }).collect();
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
