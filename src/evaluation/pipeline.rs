//! Pipelines as scorers, and what each of their sources finds.

use super::{EvaluationError, OfflineShop, Scorer};
use crate::{
    bundle::RowKind,
    dataset::Case,
    domain::TopK,
    recommend::{Context, Recipe, candidates, recommend, sources::SourceSpec},
};
use hashbrown::HashSet;
use rayon::prelude::*;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Ranks as the server answers: the same code on the same state.
pub struct PipelineScorer<'a> {
    pub name: String,
    pub shop: &'a OfflineShop<'a>,
    pub recipe: Arc<Recipe>,
}

impl Scorer for PipelineScorer<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> RowKind {
        RowKind::Pipeline
    }

    /// The first [`TopK::MAX`] places score by their place; all other articles are never recommended.
    fn score(&self, cases: &[Case], scores: &mut [f32]) -> Result<(), EvaluationError> {
        let articles = scores.len() / cases.len().max(1);
        scores.fill(f32::NEG_INFINITY);
        for (case, scores) in cases.iter().zip(scores.chunks_exact_mut(articles.max(1))) {
            let request = self.shop.request(case, self.recipe.clone(), TopK::MAX)?;
            let customer = self.shop.customer(case);
            let answer = recommend(self.shop.shop(), self.shop.snapshot(), &request, customer.view());
            let answer = answer.map_err(|error| self.failed(&error.to_string()))?;
            for (place, item) in answer.items.iter().enumerate() {
                scores[item.row as usize] = -(place as f32);
            }
        }
        Ok(())
    }
}

/// What a source finds of what customers bought.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct SourceRecall {
    pub source: String,
    /// Candidates that it gives, on average.
    pub candidates: f64,
    /// Of what was bought, the share among its first 100.
    pub recall_at_100: f64,
    /// The share among all of its candidates.
    pub recall: f64,
    /// The share that no other source of the pipeline finds.
    pub only_here: f64,
}

/// What became of one case: of each source and, last, of all together.
struct Found {
    names: Vec<&'static str>,
    candidates: Vec<f64>,
    at_100: Vec<f64>,
    all: Vec<f64>,
    only: Vec<f64>,
}

impl PipelineScorer<'_> {
    fn failed(&self, cause: &str) -> EvaluationError {
        EvaluationError::Ranker { ranker: self.name.clone(), cause: cause.to_owned() }
    }

    /// The recall of every source of the pipeline, the union of all last.
    ///
    /// # Errors
    /// When the pipeline cannot answer a case.
    pub fn sources(&self, cases: &[Case]) -> Result<Vec<SourceRecall>, EvaluationError> {
        let found = cases.par_iter().map(|case| self.found(case)).collect::<Result<Vec<Found>, _>>()?;
        let mean = |of: &dyn Fn(&Found) -> f64| found.iter().map(of).sum::<f64>() / found.len().max(1) as f64;
        // A ranker brings its own sources along, which the recipe does not name.
        let names: Vec<String> = match (self.recipe.sources.as_slice(), found.first()) {
            ([], Some(found)) => found.names.iter().map(|&name| name.to_owned()).collect(),
            (specs, _) => specs.iter().map(SourceSpec::label).collect(),
        };
        let all = names.into_iter().chain(["all together".to_owned()]).enumerate();
        let recall = |(at, source): (usize, String)| SourceRecall {
            source,
            candidates: mean(&|found| found.candidates[at]),
            recall_at_100: mean(&|found| found.at_100[at]),
            recall: mean(&|found| found.all[at]),
            only_here: mean(&|found| found.only[at]),
        };
        Ok(all.map(recall).collect())
    }

    /// The time of one answer of 12 articles on one thread, sorted: what a server computes, without HTTP
    /// and database.
    ///
    /// # Errors
    /// When the pipeline cannot answer a case.
    pub fn times(&self, cases: &[Case]) -> Result<Vec<Duration>, EvaluationError> {
        const CASES: usize = 2_000;
        let mut times = Vec::new();
        for case in cases.iter().take(CASES) {
            let request = self.shop.request(case, self.recipe.clone(), 12)?;
            let customer = self.shop.customer(case);
            let started = Instant::now();
            let answer = recommend(self.shop.shop(), self.shop.snapshot(), &request, customer.view());
            times.push(started.elapsed());
            answer.map_err(|error| self.failed(&error.to_string()))?;
        }
        times.sort_unstable();
        Ok(times)
    }

    fn found(&self, case: &Case) -> Result<Found, EvaluationError> {
        let request = self.shop.request(case, self.recipe.clone(), TopK::MAX)?;
        let customer = self.shop.customer(case);
        let context = Context::new(self.shop.shop(), self.shop.snapshot(), &request, customer.view());
        let candidates = context.and_then(|context| candidates(&context));
        let candidates = candidates.map_err(|error| self.failed(&error.to_string()))?;
        let width = candidates.sources.len() + 1;
        let zeros = || vec![0.0; width];
        let names = candidates.sources.clone();
        let mut found = Found { names, candidates: zeros(), at_100: zeros(), all: zeros(), only: zeros() };
        let relevant: HashSet<u32> = case.relevant.iter().copied().collect();
        let share = 1.0 / relevant.len().max(1) as f64;
        for (place, candidate) in candidates.list.iter().enumerate() {
            let hit = if relevant.contains(&candidate.row) { share } else { 0.0 };
            let by = candidates.found(candidate);
            let alone = by.iter().flatten().count() == 1;
            for (at, source) in by.iter().enumerate() {
                let Some(source) = source else { continue };
                found.candidates[at] += 1.0;
                found.all[at] += hit;
                found.at_100[at] += if source.rank < 100 { hit } else { 0.0 };
                found.only[at] += if alone { hit } else { 0.0 };
            }
            found.candidates[width - 1] += 1.0;
            found.all[width - 1] += hit;
            found.at_100[width - 1] += if place < 100 { hit } else { 0.0 };
        }
        Ok(found)
    }
}
