//! The family `ranker`: trees or a network learn to order the candidates that the sources of the
//! pipeline find, from lists of past moments.

mod config;
mod dump;
mod learner;
mod lists;
#[cfg(test)]
mod tests;

pub(super) use config::REGISTERED;
pub use config::{LearnerKind, RankerConfig};

use super::TrainedModel;
use crate::{
    bundle::{Golden, GoldenQuery, RankerContents, RankerSettings, RankingContents},
    counters::Popularity,
    dataset::{Case, Entities, Protocol, TimeUnit, Values},
    evaluation::{Measured, Past, RankerScorer, baselines::Known},
    forest::Forest,
    model::{Tower, TowerPass},
    onnx,
    recommend::{ListModel, ModelError, RankerSpec, sources::SourceSpec},
    training::{Export, MetricsFile, Outcome, Refit, Trained, Trainer, TrainingError, spaced},
};
use learner::Learner;
use lists::{Lists, earlier};
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Instant};

/// Lists of golden requests, and candidates of each.
const GOLDEN: (usize, usize) = (4, 8);
/// Attributes that are chosen where the configuration names none.
const ATTRIBUTES: usize = 3;

/// A trained ranker.
#[derive(Debug, Clone)]
pub struct TrainedRanker {
    pub settings: RankerSettings,
    pub scorer: Scorer,
    names: Vec<String>,
    /// Features of some candidates, not scaled.
    examples: Vec<f32>,
}

/// What scores a candidate.
#[derive(Debug, Clone)]
pub enum Scorer {
    /// Of scaled features.
    Network(Tower),
    /// Of features as they are.
    Trees(Forest),
}

impl TrainedRanker {
    /// A network as a graph: a row of scaled features in, a score out.
    fn graph<'a>(&self, network: &'a Tower) -> onnx::TowerGraph<'a> {
        let width = self.names.len();
        let layers = network.layers.iter().map(|layer| onnx::Dense {
            weight: &layer.weight,
            bias: &layer.bias,
            inputs: layer.inputs,
            outputs: layer.outputs,
        });
        onnx::TowerGraph {
            name: "ranker",
            widths: (0, width),
            inputs: vec![onnx::Input::Numbers { at: 0, width }],
            layers: layers.collect(),
            normalize: false,
        }
    }

    /// Lists and their scores by the training kernels.
    fn golden(&self) -> Result<Golden, ModelError> {
        let list = GOLDEN.1 * self.names.len();
        let query = |rows: &[f32]| {
            let vector = self.scores(rows)?;
            Ok(GoldenQuery { indices: Vec::new(), numbers: rows.to_vec(), vector, top: Vec::new() })
        };
        let queries = self.examples.chunks(list).map(query).collect::<Result<_, ModelError>>()?;
        Ok(Golden { queries, items: Vec::new() })
    }
}

impl ListModel for TrainedRanker {
    fn sources(&self) -> &[Map<String, Value>] {
        &self.settings.sources
    }

    fn attributes(&self) -> &[String] {
        &self.settings.attributes
    }

    fn features(&self) -> &[String] {
        &self.names
    }

    fn scores(&self, rows: &[f32]) -> Result<Vec<f32>, ModelError> {
        let network = match &self.scorer {
            Scorer::Trees(forest) => return Ok(forest.scores(rows, self.names.len())),
            Scorer::Network(network) => network,
        };
        let (mut scaled, mut pass) = (rows.to_vec(), TowerPass::default());
        self.settings.scale(&mut scaled);
        network.forward(&scaled, &mut pass);
        Ok(network.embedding(&pass).to_vec())
    }
}

/// One training of one ranker.
struct Course<'a> {
    past: Arc<Past<'a>>,
    spec: RankerSpec,
    config: RankerConfig,
}

/// A ranker and how long it was trained.
struct Learnt {
    ranker: TrainedRanker,
    epochs: u32,
    validation: Option<f64>,
}

impl Trainer<'_> {
    /// Makes lists of past moments, learns from them for as many epochs as the validation window
    /// says, and learns once more with that window, if the configuration says so.
    fn train_ranker(&self, config: &RankerConfig) -> Result<Outcome, TrainingError> {
        let io = |source| TrainingError::Io { path: self.directory.clone(), source };
        std::fs::create_dir_all(&self.directory).map_err(io)?;
        let mut metrics =
            MetricsFile::open(&self.directory.join("metrics.jsonl"), false, self.observe)?;
        let rows = match self.final_epochs {
            Some(_) => (0..self.dataset.purchases.len() as u32).collect(),
            None => self.split.train_and_validation(),
        };
        let course = self.course(config, &rows)?;
        let mut cases = earlier(self.dataset, self.histories, self.split, config.lists);
        let test = &self.split.test;
        if let Some(epochs) = self.final_epochs {
            cases.extend(self.split.validation.iter().chain(test).cloned());
            let lists = self.lists(&course, &cases)?;
            let Some(learnt) = self.learn(&course, &lists, &[], epochs, &mut metrics)? else {
                return Ok(Outcome::Interrupted(self.directory.clone()));
            };
            return self.ranked(learnt, rows);
        }
        let judged = spaced(&self.split.validation, self.config.training.evaluation_cases);
        let mut lists = self.lists(&course, &cases)?;
        let Some(learnt) =
            self.learn(&course, &lists, &judged, self.config.training.epochs, &mut metrics)?
        else {
            return Ok(Outcome::Interrupted(self.directory.clone()));
        };
        let refit = self.config.training.refit != Refit::None && !judged.is_empty();
        let late = if refit { Some(self.lists(&course, &self.split.validation)?) } else { None };
        if config.write_lists {
            let whole = |cases: &[Case]| Lists::of(&course.past, &course.spec, cases, None);
            let (validation, test) = (whole(&self.split.validation)?, whole(test)?);
            self.write_lists(
                &course.spec,
                &[("train", &lists), ("validation", &validation), ("test", &test)],
            )?;
        }
        let Some(late) = late else { return self.ranked(learnt, self.split.train.clone()) };
        lists.append(&late);
        let again = self.learn(&course, &lists, &[], learnt.epochs, &mut metrics)?;
        match again {
            Some(again) => {
                let learnt = Learnt { validation: learnt.validation, ..again };
                self.ranked(learnt, self.split.train_and_validation())
            }
            None => Ok(Outcome::Interrupted(self.directory.clone())),
        }
    }

    fn course<'a>(
        &'a self,
        config: &RankerConfig,
        rows: &'a [u32],
    ) -> Result<Course<'a>, TrainingError> {
        if self.dataset.time_unit == TimeUnit::Position {
            let problem = "it needs purchases with dates; these have an order alone".to_owned();
            return Err(unfit(problem));
        }
        let known = Known { dataset: self.dataset, histories: self.histories, train: rows };
        let past = Arc::new(Past::new(known, self.split.protocol));
        let attributes = match config.attributes.is_empty() {
            true => attributes(&self.dataset.articles),
            false => config.attributes.clone(),
        };
        if let Some(unknown) =
            attributes.iter().find(|name| self.dataset.articles.column(name).is_none())
        {
            let problem = format!(
                "`ranker.attributes`: the articles have no attribute `{unknown}` of one value each"
            );
            return Err(unfit(problem));
        }
        let sources = match config.sources.is_empty() {
            true => default_sources(&attributes, self.split.protocol),
            false => config.sources.clone(),
        };
        let parsed = sources.iter().cloned().map(SourceSpec::parse).collect::<Result<Vec<_>, _>>();
        let spec = RankerSpec::new(parsed.map_err(unfit)?, attributes);
        Ok(Course { past, spec, config: RankerConfig { sources, ..config.clone() } })
    }

    fn lists(&self, course: &Course<'_>, cases: &[Case]) -> Result<Lists, TrainingError> {
        let started = Instant::now();
        let draw = Some((course.config.negatives, self.config.training.seed));
        let lists = Lists::of(&course.past, &course.spec, cases, draw)?;
        let (count, candidates, seconds) =
            (lists.len(), lists.bought.len(), started.elapsed().as_secs_f64());
        tracing::info!("  {count} lists of {candidates} candidates in {seconds:.1} s");
        if count == 0 { Err(TrainingError::NoLists) } else { Ok(lists) }
    }

    /// Learns from lists; `None` when stopped from outside.
    fn learn(
        &self,
        course: &Course<'_>,
        lists: &Lists,
        judged: &[Case],
        epochs: u32,
        metrics: &mut MetricsFile<'_>,
    ) -> Result<Option<Learnt>, TrainingError> {
        let training = &self.config.training;
        let names = course.spec.features.names();
        let settings = RankerSettings {
            sources: course.config.sources.clone(),
            attributes: course.spec.features.attributes.clone(),
            features: lists.scales(names.clone()),
        };
        let examples = lists.rows.iter().take(GOLDEN.0 * GOLDEN.1 * lists.width).copied().collect();
        let now = |scorer: Scorer| TrainedRanker {
            settings: settings.clone(),
            scorer,
            names: names.clone(),
            examples: Vec::clone(&examples),
        };
        let mut learner = Learner::new(lists, &settings, &course.config, training.seed);
        course.past.prepare(judged)?;
        let mut best: Option<Learnt> = None;
        for epoch in 0..epochs {
            let started = Instant::now();
            let Some(loss) = learner.epoch(self, epoch, epochs)? else { return Ok(None) };
            let ranker = now(learner.scorer());
            let seconds = started.elapsed().as_secs_f64();
            let mut line =
                json!({"stage": "ranker", "epoch": epoch + 1, "loss": loss, "seconds": seconds});
            let mut value = None;
            if !judged.is_empty() {
                let row = self.judged(course, &ranker, judged)?.row;
                value = Some(row.metrics.get(&training.metric).copied().unwrap_or(0.0));
                if let Some(line) = line.as_object_mut() {
                    line.extend(
                        row.metrics.iter().map(|(name, value)| (name.clone(), json!(value))),
                    );
                }
            }
            metrics.line(&line)?;
            let shown = value.map_or(String::new(), |value| {
                format!(", validation {} {value:.4}", training.metric)
            });
            tracing::info!("  epoch {}: loss {loss:.4}{shown}, {seconds:.1} s", epoch + 1);
            let keeps_best = training.patience > 0;
            let better = best
                .as_ref()
                .is_none_or(|best| !keeps_best || value.is_none() || value > best.validation);
            if better {
                best = Some(Learnt { ranker, epochs: epoch + 1, validation: value });
            } else if best.as_ref().is_some_and(|best| epoch + 1 - best.epochs >= training.patience)
            {
                break;
            }
        }
        best.map(Some).ok_or(TrainingError::NoLists)
    }

    fn ranked(&self, learnt: Learnt, rows: Vec<u32>) -> Result<Outcome, TrainingError> {
        let Learnt { ranker, epochs, validation } = learnt;
        self.finish(Box::new(ranker), rows, epochs, validation)
    }

    fn judged(
        &self,
        course: &Course<'_>,
        model: &TrainedRanker,
        cases: &[Case],
    ) -> Result<Measured, TrainingError> {
        // How well every article sells before what is held out, to rank what no source finds.
        let sales = self.popularity(&self.split.train, &Popularity::default());
        let sales: Vec<Option<f32>> = sales.into_iter().map(Some).collect();
        let scorer = RankerScorer::new(&self.config.model.name, model, course.past.clone(), sales)
            .map_err(|error| unfit(error.to_string()))?;
        Ok(self.evaluation(cases).outcomes(&scorer)?)
    }

    /// The metrics of a ranker on test or validation cases.
    fn measure_ranker(
        &self,
        trained: &Trained,
        model: &TrainedRanker,
        cases: &[Case],
    ) -> Result<Measured, TrainingError> {
        let course = self.course(&RankerConfig::of(self.config), &trained.rows)?;
        course.past.prepare(cases)?;
        let mut measured = self.judged(&course, model, cases)?;
        measured.row.intervals = measured.outcomes.intervals();
        Ok(measured)
    }
}

impl TrainedModel for TrainedRanker {
    fn measure(
        &self,
        trainer: &Trainer<'_>,
        trained: &Trained,
        cases: &[Case],
    ) -> Result<Measured, TrainingError> {
        trainer.measure_ranker(trained, self, cases)
    }

    fn export(&self, export: &Export<'_>) -> Result<PathBuf, TrainingError> {
        let golden = self.golden().map_err(|error| unfit(error.to_string()))?;
        let scores = match &self.scorer {
            Scorer::Network(network) => RankerContents::Network(self.graph(network)),
            Scorer::Trees(forest) => RankerContents::Trees(forest),
        };
        export.write(RankingContents::Ranker(Box::new((self.settings.clone(), scores))), golden)
    }
}

fn unfit(problem: String) -> TrainingError {
    TrainingError::Unfit { family: RankerSettings::FAMILY, problem }
}

/// The sources where the configuration names none. Where the very next purchase is asked for, what
/// follows the latest ones in the purchases of others and what EASE expects find more of it than
/// counts of all purchases do.
fn default_sources(attributes: &[String], protocol: Protocol) -> Vec<Map<String, Value>> {
    let mut sources = vec![
        json!({"source": "buy_again", "limit": 150}),
        json!({"source": "popular", "days": 28, "limit": 100}),
        json!({"source": "popular", "days": 7, "limit": 50}),
    ];
    sources.extend(match protocol {
        Protocol::Time { .. } => vec![
            json!({"source": "bought_together", "limit": 50}),
            json!({"source": "similar_taste", "limit": 100}),
        ],
        Protocol::LeaveOneOut { .. } => vec![
            json!({"source": "bought_together", "limit": 100}),
            json!({"source": "similar_taste", "limit": 200}),
            json!({"source": "bought_next", "limit": 100}),
            json!({"source": "ease", "limit": 200}),
        ],
    });
    sources.extend(
        attributes
            .first()
            .map(|name| json!({"source": "popular_in", "attribute": name, "limit": 50})),
    );
    sources.into_iter().filter_map(|source| source.as_object().cloned()).collect()
}

/// The attributes whose number of values is nearest to the root of the number of articles, the most
/// values first; of attributes with equally many values, which often say the same, the first.
fn attributes(articles: &Entities) -> Vec<String> {
    let root = (articles.len() as f64).sqrt().ln();
    let mut found: Vec<(usize, &str)> = Vec::new();
    for column in &articles.columns {
        let values = match &column.values {
            Values::Category { codes, .. } => {
                codes.iter().copied().collect::<BTreeSet<u32>>().len()
            }
            Values::Integer(numbers) => numbers.iter().copied().collect::<BTreeSet<i64>>().len(),
            Values::Number(_) | Values::Tags { .. } => continue,
        };
        if (2..articles.len()).contains(&values) && found.iter().all(|&(known, _)| known != values)
        {
            found.push((values, &column.name));
        }
    }
    let distance = |values: usize| ((values as f64).ln() - root).abs();
    found.sort_by(|a, b| distance(a.0).total_cmp(&distance(b.0)));
    found.truncate(ATTRIBUTES);
    found.sort_by_key(|moment| std::cmp::Reverse(moment.0));
    found.into_iter().map(|(_, name)| name.to_owned()).collect()
}
