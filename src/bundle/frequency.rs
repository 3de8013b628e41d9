//! `frequency.json`: the settings of a bundle that counts purchases instead of embedding customers.
//! Such a bundle has neither towers nor vectors, nor an index; its vocabularies, popularity and
//! golden requests are like those of others.

use super::{BundleError, Golden, GoldenHit, GoldenQuery, files, golden::same_ranking};
use crate::{
    counters::{PersonalFrequency, Popularity},
    domain::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The moment at which golden requests are asked; their histories say how many days before it
/// things were bought.
const AT: Timestamp = Timestamp(u32::MAX);

/// How purchases count.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrequencySettings {
    /// Days after which a customer's own purchase counts half; without it all count alike.
    pub half_life_days: Option<f32>,
    /// The same of the purchases behind `popularity.bin`.
    pub popularity_half_life_days: Option<f32>,
    /// Days before the end of the training data from which those purchases are; without it all.
    pub popularity_window_days: Option<u32>,
}

impl FrequencySettings {
    /// The manifest's name of the family.
    pub const FAMILY: &str = "frequency";

    /// How a customer's own purchases count.
    pub fn personal(&self) -> PersonalFrequency {
        PersonalFrequency { half_life_days: self.half_life_days }
    }

    /// How the purchases of all customers count.
    pub fn popularity(&self) -> Popularity {
        Popularity {
            window_days: self.popularity_window_days,
            half_life_days: self.popularity_half_life_days,
        }
    }

    /// Reads and checks the file.
    ///
    /// # Errors
    /// [`BundleError::Manifest`] when it is no such file or a half-life is not above 0.
    pub(super) fn read(path: &Path) -> Result<Self, BundleError> {
        let wrong = |reason: String| BundleError::Manifest { path: path.to_owned(), reason };
        let settings: Self = serde_json::from_slice(&files::read_json(path)?)
            .map_err(|error| wrong(error.to_string()))?;
        let half_lives = [settings.half_life_days, settings.popularity_half_life_days];
        match half_lives.into_iter().flatten().find(|days| !(days.is_finite() && *days > 0.0)) {
            Some(days) => Err(wrong(format!("a half-life is {days} days, it must be above 0"))),
            None => Ok(settings),
        }
    }

    /// Asks every golden request: its `indices` are the items of a history, its `numbers` how many
    /// days before the request each was bought, then how much each counts.
    ///
    /// # Errors
    /// [`BundleError::Golden`] for the first request that is answered differently, is malformed, or
    /// when there is none.
    pub(super) fn check_golden(
        &self,
        path: &Path,
        golden: &Golden,
        items: usize,
    ) -> Result<(), BundleError> {
        let fail = |request, reason: &str| {
            Err(BundleError::Golden { path: path.to_owned(), request, reason: reason.to_owned() })
        };
        if golden.queries.is_empty() {
            return fail(0, "there is no request");
        }
        for (request, query) in golden.queries.iter().enumerate() {
            let Some(history) = history(query, items) else {
                return fail(request, "its history is malformed");
            };
            let scores = self.personal().scores(history.into_iter(), AT);
            let hits = scores.into_iter().map(|(item, score)| GoldenHit { item, score });
            let found: Vec<GoldenHit> = hits.take(query.top.len()).collect();
            if let Err(reason) = same_ranking(&query.top, &found) {
                return fail(request, &reason);
            }
        }
        Ok(())
    }
}

/// The history of a golden request as `(item, bought, weight)`; `None` when it cannot be one.
fn history(query: &GoldenQuery, items: usize) -> Option<Vec<(u32, Timestamp, f32)>> {
    let (days, weights) = query.numbers.split_at_checked(query.indices.len())?;
    let entry = |((&item, &days), &weight): ((&i64, &f32), &f32)| {
        let item = u32::try_from(item).ok().filter(|&item| (item as usize) < items)?;
        let fits = days >= 0.0 && weight.is_finite() && weight > 0.0;
        // The cast cuts what is too long ago.
        let before = (f64::from(days) * f64::from(Timestamp::DAY)) as u32;
        fits.then_some((item, Timestamp(AT.0 - before), weight))
    };
    (weights.len() == days.len()).then_some(())?;
    query.indices.iter().zip(days).zip(weights).map(entry).collect()
}
