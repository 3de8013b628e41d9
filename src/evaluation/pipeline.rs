//! Pipelines as scorers, and what each of their sources finds.

use super::{
    Calibration, Evaluation, EvaluationError, Measured, OfflineShop, Scorer, baselines::Known,
    calibration::Share, shop::NO_MODEL,
};
use crate::{
    bundle::{MetricsRow, RowKind},
    dataset::{Case, Protocol, Repeats},
    domain::TopK,
    recommend::{
        Context, Model, Placement, Recipe, candidates, check_ranker, recommend,
        sources::{MODEL, SourceSpec},
    },
};
use hashbrown::HashSet;
use rayon::prelude::*;
use serde::Serialize;
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

/// The shop of a test, which placements are measured in.
pub struct PipelineTest<'a> {
    evaluation: Evaluation<'a>,
    shop: OfflineShop<'a>,
}

impl<'a> PipelineTest<'a> {
    /// What a server would have known and served at the first moment of the test; under
    /// leave-one-out after the last training purchase. The first model answers where a placement
    /// names none.
    ///
    /// # Errors
    /// As [`OfflineShop::new`].
    pub fn new(
        evaluation: Evaluation<'a>,
        known: Known<'a>,
        models: &[Arc<dyn Model>],
    ) -> Result<Self, EvaluationError> {
        let at = match evaluation.protocol {
            Protocol::Time { .. } => {
                evaluation.cases.iter().map(|case| case.at).min().unwrap_or_default()
            }
            Protocol::LeaveOneOut { .. } => known.end(),
        };
        Ok(Self { evaluation, shop: OfflineShop::new(known, models, at)? })
    }

    /// A placement as a scorer. It must fit as a whole: a server would answer without a part that
    /// is missing, and the table would show another placement.
    ///
    /// # Errors
    /// A model, attribute or article that the shop lacks; a ranker that is none, or of other
    /// sources.
    pub fn scorer(
        &self,
        name: &str,
        placement: &Placement,
    ) -> Result<PipelineScorer<'_>, EvaluationError> {
        let failed = |cause: String| EvaluationError::Ranker { ranker: name.to_owned(), cause };
        let models = self.shop.model_names();
        if let Some(unknown) = placement.models().find(|name| !models.contains(name)) {
            return Err(failed(missing_model(unknown, &models)));
        }
        if models.is_empty() && placement.asks_its_model() {
            return Err(failed("it asks a model, and there is none here".to_owned()));
        }
        let mut recipe = placement.recipe().map_err(|error| failed(error.to_string()))?;
        let snapshot = self.shop.snapshot_of(&recipe);
        placement.check(snapshot).map_err(|error| failed(error.to_string()))?;
        check_ranker(self.shop.shop(), snapshot, &recipe)
            .map_err(|error| failed(error.to_string()))?;
        // What the protocol masks must not take places.
        recipe.exclude.purchased |= self.evaluation.protocol.repeats() == Repeats::Drop;
        Ok(PipelineScorer { name: name.to_owned(), shop: &self.shop, recipe: Arc::new(recipe) })
    }

    /// The row of a placement and what stands behind it.
    ///
    /// # Errors
    /// As [`Self::scorer`]; a case that cannot be answered.
    pub fn measure(
        &self,
        name: &str,
        placement: &Placement,
    ) -> Result<(Measured, Details), EvaluationError> {
        let scorer = self.scorer(name, placement)?;
        let (mut measured, details) =
            (self.evaluation.measure(&scorer)?, self.details(name, placement)?);
        details.add_to(&mut measured.row);
        Ok((measured, details))
    }

    /// What stands behind the row of a placement.
    ///
    /// # Errors
    /// As [`Self::measure`].
    pub fn details(&self, name: &str, placement: &Placement) -> Result<Details, EvaluationError> {
        self.scorer(name, placement)?.details(self.evaluation.cases)
    }
}

/// What to say of a model that a placement names and a test lacks.
pub fn missing_model(unknown: &str, models: &[&str]) -> String {
    let there = match models.is_empty() {
        true => "there is none here".to_owned(),
        false => format!("there are: {}", models.join(", ")),
    };
    format!("it names the model `{unknown}`, which is not among those measured ({there})")
}

impl Scorer for PipelineScorer<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> RowKind {
        RowKind::Pipeline
    }

    /// The models behind it.
    fn settings(&self) -> String {
        let own = self.shop.snapshot_of(&self.recipe).model().name();
        let asks_own =
            self.recipe.sources.is_empty() && self.recipe.ranker.is_none() && own != NO_MODEL;
        let named = self.recipe.sources.iter().filter(|spec| spec.name() == MODEL);
        let mut models: Vec<&str> = named.map(|spec| spec.model().unwrap_or(own)).collect();
        models.extend(asks_own.then_some(own));
        models.dedup();
        let mut said = Vec::new();
        if !models.is_empty() {
            said.push(format!("asks {}", models.join(", ")));
        }
        if let Some(ranker) = &self.recipe.ranker {
            said.push(format!("ranked by {ranker}"));
        }
        said.join(", ")
    }

    /// The first [`TopK::MAX`] places score by their place; all other articles are never
    /// recommended.
    fn score(&self, cases: &[Case], scores: &mut [f32]) -> Result<(), EvaluationError> {
        let articles = scores.len() / cases.len().max(1);
        scores.fill(f32::NEG_INFINITY);
        for (case, scores) in cases.iter().zip(scores.chunks_exact_mut(articles.max(1))) {
            let request = self.shop.request(case, self.recipe.clone(), TopK::MAX)?;
            let customer = self.shop.customer(case);
            let answer = recommend(
                self.shop.shop(),
                self.shop.snapshot_of(&self.recipe),
                &request,
                customer.view(),
            );
            let answer = answer.map_err(|error| self.failed(&error.to_string()))?;
            for (place, item) in answer.items.iter().enumerate() {
                scores[item.row as usize] = -(place as f32);
            }
        }
        Ok(())
    }
}

/// What stands behind the row of a placement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Details {
    pub placement: String,
    /// What each of its sources finds; all of them together last.
    pub sources: Vec<SourceRecall>,
    /// Of its ranker, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// One answer of 12 articles on one thread, without HTTP and database: the median, and what 99
    /// % take at most.
    pub milliseconds: f64,
    pub milliseconds_99: f64,
}

/// The metric of a row with a learned ranker: [`Calibration::error`].
pub const CALIBRATION_ERROR: &str = "calibration-error";

/// The name of the last of [`Details::sources`].
pub const ALL_TOGETHER: &str = "all together";

/// What a source finds of what customers bought.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourceRecall {
    pub source: String,
    /// Candidates that it gives, on average.
    pub candidates: f64,
    /// Of what was bought, the share among its first 100.
    pub recall_at_100: f64,
    /// The share among all of its candidates.
    pub recall: f64,
    /// The share that no other source of the pipeline finds: by so much the recall of all together
    /// falls without it.
    pub only_here: f64,
}

impl Details {
    /// Means over seeds; `None` without one.
    pub fn pooled(runs: &[Self]) -> Option<Self> {
        let first = runs.first()?;
        let mean = |of: &dyn Fn(&Self) -> f64| runs.iter().map(of).sum::<f64>() / runs.len() as f64;
        let source = |(at, source): (usize, &SourceRecall)| {
            let mean =
                |of: fn(&SourceRecall) -> f64| mean(&|run| run.sources.get(at).map_or(0.0, of));
            SourceRecall {
                source: source.source.clone(),
                candidates: mean(|source| source.candidates),
                recall_at_100: mean(|source| source.recall_at_100),
                recall: mean(|source| source.recall),
                only_here: mean(|source| source.only_here),
            }
        };
        Some(Self {
            placement: first.placement.clone(),
            sources: first.sources.iter().enumerate().map(source).collect(),
            calibration: Calibration::pooled(
                &runs.iter().filter_map(|r| r.calibration.as_ref()).collect::<Vec<_>>(),
            ),
            milliseconds: mean(&|run| run.milliseconds),
            milliseconds_99: mean(&|run| run.milliseconds_99),
        })
    }

    /// Adds the calibration error to a row.
    pub fn add_to(&self, row: &mut MetricsRow) {
        if let Some(calibration) = &self.calibration {
            row.metrics.insert(CALIBRATION_ERROR.to_owned(), calibration.error);
        }
    }
}

/// What became of one case: of each source and, last, of all together.
struct Found {
    names: Vec<&'static str>,
    candidates: Vec<f64>,
    at_100: Vec<f64>,
    all: Vec<f64>,
    only: Vec<f64>,
    /// Of a learned ranker, where anything of the list was bought.
    shares: Vec<Share>,
}

impl PipelineScorer<'_> {
    fn failed(&self, cause: &str) -> EvaluationError {
        EvaluationError::Ranker { ranker: self.name.clone(), cause: cause.to_owned() }
    }

    fn details(&self, cases: &[Case]) -> Result<Details, EvaluationError> {
        let found =
            cases.par_iter().map(|case| self.found(case)).collect::<Result<Vec<Found>, _>>()?;
        let times = self.times(cases)?;
        let time = |share: usize| times.get(times.len().saturating_sub(1) * share / 100);
        let milliseconds = |share| time(share).map_or(0.0, |time| time.as_secs_f64() * 1e3);
        let sources = self.sources(&found);
        let lists = found.iter().filter(|found| !found.shares.is_empty()).count();
        let shares = found.into_iter().flat_map(|found| found.shares).collect();
        Ok(Details {
            placement: self.name.clone(),
            sources,
            calibration: Calibration::of(shares, lists),
            milliseconds: milliseconds(50),
            milliseconds_99: milliseconds(99),
        })
    }

    /// Whether a learned ranker orders its candidates, and not the ranks in the sources.
    fn is_learned(&self) -> bool {
        let own = self.shop.snapshot_of(&self.recipe).model().ranker();
        self.recipe.ranker.is_some() || (self.recipe.sources.is_empty() && own.is_some())
    }

    /// The recall of every source of the pipeline, the union of all last.
    fn sources(&self, found: &[Found]) -> Vec<SourceRecall> {
        let mean = |of: &dyn Fn(&Found) -> f64| {
            found.iter().map(of).sum::<f64>() / found.len().max(1) as f64
        };
        // A ranker brings its own sources along, which the recipe does not name.
        let names: Vec<String> = match (self.recipe.sources.as_slice(), found.first()) {
            ([], Some(found)) => found.names.iter().map(|&name| name.to_owned()).collect(),
            (specs, _) => specs.iter().map(SourceSpec::label).collect(),
        };
        let all = names.into_iter().chain([ALL_TOGETHER.to_owned()]).enumerate();
        let recall = |(at, source): (usize, String)| SourceRecall {
            source,
            candidates: mean(&|found| found.candidates[at]),
            recall_at_100: mean(&|found| found.at_100[at]),
            recall: mean(&|found| found.all[at]),
            only_here: mean(&|found| found.only[at]),
        };
        all.map(recall).collect()
    }

    /// The time of one answer of 12 articles on one thread, sorted.
    fn times(&self, cases: &[Case]) -> Result<Vec<Duration>, EvaluationError> {
        const CASES: usize = 2_000;
        let mut times = Vec::new();
        for case in cases.iter().take(CASES) {
            let request = self.shop.request(case, self.recipe.clone(), 12)?;
            let customer = self.shop.customer(case);
            let started = Instant::now();
            let answer = recommend(
                self.shop.shop(),
                self.shop.snapshot_of(&self.recipe),
                &request,
                customer.view(),
            );
            times.push(started.elapsed());
            answer.map_err(|error| self.failed(&error.to_string()))?;
        }
        times.sort_unstable();
        Ok(times)
    }

    fn found(&self, case: &Case) -> Result<Found, EvaluationError> {
        let request = self.shop.request(case, self.recipe.clone(), TopK::MAX)?;
        let customer = self.shop.customer(case);
        let snapshot = self.shop.snapshot_of(&self.recipe);
        let context = Context::new(self.shop.shop(), snapshot, &request, customer.view());
        let candidates = context.and_then(|context| candidates(&context));
        let candidates = candidates.map_err(|error| self.failed(&error.to_string()))?;
        let width = candidates.sources.len() + 1;
        let zeros = || vec![0.0; width];
        let names = candidates.sources.clone();
        let mut found = Found {
            names,
            candidates: zeros(),
            at_100: zeros(),
            all: zeros(),
            only: zeros(),
            shares: Vec::new(),
        };
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
        let bought =
            candidates.list.iter().filter(|candidate| relevant.contains(&candidate.row)).count();
        if bought > 0 && self.is_learned() {
            let observed =
                |row: u32| if relevant.contains(&row) { 1.0 / bought as f32 } else { 0.0 };
            found.shares = candidates.list.iter().map(|c| (c.strength, observed(c.row))).collect();
        }
        Ok(found)
    }
}
