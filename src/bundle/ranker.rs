//! `ranker.json` with `ranker.onnx` or `trees.json`: a network or trees that order candidates which
//! others found. Such a bundle has neither towers nor vectors, nor an index; its vocabularies and
//! popularity are like those of others.

use super::{BundleError, Golden, Manifest, Tower, file_names, files};
use crate::{
    features::{Encoding, Feature, TowerSchema},
    forest::Forest,
    onnx::TowerGraph,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// Numbers of a candidate, at most.
const MAX_FEATURES: usize = 4_096;
/// Largest difference of a score between the trainer and the exported graph.
const TOLERANCE: f32 = 1e-3;

/// What a ranker reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RankerSettings {
    /// The sources of its candidates, as they are written in a request.
    pub sources: Vec<Map<String, Value>>,
    /// Attributes of articles whose purchases it reads by value.
    pub attributes: Vec<String>,
    pub features: Vec<ScaledFeature>,
}

/// A feature and how a network reads it: as its place among the quantiles of training, from −1 at
/// the smallest to 1 at the largest, less the mean and divided by the deviation of that. Trees read
/// features as they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScaledFeature {
    pub name: String,
    /// Rising; none where the feature was the same everywhere.
    pub quantiles: Vec<f32>,
    pub mean: f32,
    pub deviation: f32,
}

impl ScaledFeature {
    /// The place of a number among the quantiles.
    pub fn place(quantiles: &[f32], x: f32) -> f32 {
        let above = quantiles.partition_point(|&quantile| quantile <= x);
        let step = 2.0 / quantiles.len().saturating_sub(1).max(1) as f32;
        match (above.checked_sub(1), quantiles.get(above)) {
            (None, _) => -1.0,
            (_, None) => 1.0,
            (Some(below), Some(&high)) => {
                let low = quantiles[below];
                step * (below as f32 + (x - low) / (high - low)) - 1.0
            }
        }
    }

    pub fn scaled(&self, x: f32) -> f32 {
        if self.quantiles.len() < 2 {
            return 0.0;
        }
        (Self::place(&self.quantiles, x) - self.mean) / self.deviation
    }
}

impl RankerSettings {
    /// The manifest's name of the family.
    pub const FAMILY: &str = "ranker";

    /// Scales rows of features where they stand.
    pub fn scale(&self, rows: &mut [f32]) {
        // Candidates of one list share most of their numbers: those of the customer, and those that
        // say that nothing is known. A search among the quantiles costs more than a look at the row
        // before.
        let mut before: Vec<(f32, f32)> =
            self.features.iter().map(|feature| (0.0, feature.scaled(0.0))).collect();
        for row in rows.chunks_exact_mut(self.features.len().max(1)) {
            for ((x, feature), (last, scaled)) in
                row.iter_mut().zip(&self.features).zip(&mut before)
            {
                if *x != *last {
                    (*last, *scaled) = (*x, feature.scaled(*x));
                }
                *x = *scaled;
            }
        }
    }

    fn read(path: &Path) -> Result<Self, BundleError> {
        let wrong = |reason: String| Err(BundleError::Manifest { path: path.to_owned(), reason });
        let settings: Self = match serde_json::from_slice(&files::read_json(path)?) {
            Ok(settings) => settings,
            Err(error) => return wrong(error.to_string()),
        };
        if settings.sources.is_empty() || !(1..=MAX_FEATURES).contains(&settings.features.len()) {
            return wrong("it names no source or no feature".to_owned());
        }
        let rising = |quantiles: &[f32]| quantiles.windows(2).all(|two| two[0] < two[1]);
        let fits = |feature: &&ScaledFeature| {
            let ScaledFeature { quantiles, mean, deviation, .. } = feature;
            let numbers = quantiles.iter().chain([mean, deviation]);
            numbers.into_iter().all(|x| x.is_finite()) && rising(quantiles) && *deviation > 0.0
        };
        match settings.features.iter().find(|feature| !fits(feature)) {
            Some(feature) => {
                wrong(format!("the scale of the feature `{}` cannot be", feature.name))
            }
            None => Ok(settings),
        }
    }

    fn schema(&self) -> TowerSchema {
        let encoding = Encoding::Vector { dim: self.features.len() };
        let (name, source) = ("features".to_owned(), "features".to_owned());
        TowerSchema { features: vec![Feature { name, source, encoding }] }
    }
}

/// What scores candidates, as it is written into a bundle.
pub enum RankerContents<'a> {
    Network(TowerGraph<'a>),
    Trees(&'a Forest),
}

/// A network or trees, with what they read.
#[derive(Debug)]
pub struct Ranker {
    /// The file of the settings.
    path: PathBuf,
    settings: RankerSettings,
    names: Vec<String>,
    scorer: Scorer,
}

#[derive(Debug)]
enum Scorer {
    Network(Box<Tower>),
    Trees(Forest),
}

impl Ranker {
    pub(super) fn open(
        directory: &Path,
        manifest: &Manifest,
        golden: &Golden,
    ) -> Result<Self, BundleError> {
        let path = directory.join(file_names::RANKER);
        let settings = RankerSettings::read(&path)?;
        let scorer = match manifest.files.contains_key(file_names::RANKER_TREES) {
            true => {
                let path = directory.join(file_names::RANKER_TREES);
                Scorer::Trees(read_trees(&path, settings.features.len())?)
            }
            false => {
                let path = directory.join(file_names::RANKER_NETWORK);
                let network = Tower::load(&path, &settings.schema(), 1)?;
                network.try_plans()?;
                Scorer::Network(Box::new(network))
            }
        };
        let names = settings.features.iter().map(|feature| feature.name.clone()).collect();
        let ranker = Self { path, settings, names, scorer };
        ranker.check_golden(&directory.join(file_names::GOLDEN), golden)?;
        Ok(ranker)
    }

    /// Asks every golden request: its `numbers` are the features of the candidates of one list, its
    /// `vector` their scores.
    fn check_golden(&self, path: &Path, golden: &Golden) -> Result<(), BundleError> {
        let fail = |request, reason: String| {
            Err(BundleError::Golden { path: path.to_owned(), request, reason })
        };
        if golden.queries.is_empty() {
            return fail(0, "there is no request".to_owned());
        }
        for (request, query) in golden.queries.iter().enumerate() {
            if query.numbers.len() != query.vector.len() * self.names.len() {
                return fail(
                    request,
                    format!("it has not {} numbers a candidate", self.names.len()),
                );
            }
            let scores = self.scores(&query.numbers)?;
            let differs = |(a, b): (&f32, &f32)| {
                (a - b).abs() > TOLERANCE * (1.0 + b.abs()) || !a.is_finite()
            };
            if let Some(at) = scores.iter().zip(&query.vector).position(differs) {
                return fail(
                    request,
                    format!("candidate {at} scores {}, not {}", scores[at], query.vector[at]),
                );
            }
        }
        Ok(())
    }

    pub fn settings(&self) -> &RankerSettings {
        &self.settings
    }

    /// Names of the features, in their order.
    pub fn features(&self) -> &[String] {
        &self.names
    }

    /// A score for each row of features, which are not scaled yet.
    ///
    /// # Errors
    /// [`BundleError::TowerInput`] when these are no whole rows of finite numbers.
    pub fn scores(&self, rows: &[f32]) -> Result<Vec<f32>, BundleError> {
        let width = self.names.len();
        // Scaling would make a number of what is none.
        if !rows.len().is_multiple_of(width) || rows.iter().any(|x| !x.is_finite()) {
            let reason = format!("these are no rows of {width} finite numbers");
            return Err(BundleError::TowerInput { path: self.path.clone(), reason });
        }
        let network = match &self.scorer {
            Scorer::Trees(forest) => return Ok(forest.scores(rows, width)),
            Scorer::Network(network) => network,
        };
        let mut scaled = rows.to_vec();
        self.settings.scale(&mut scaled);
        let mut scores = Vec::new();
        network.embed(&[], &scaled, rows.len() / width, &mut scores)?;
        Ok(scores)
    }
}

fn read_trees(path: &Path, width: usize) -> Result<Forest, BundleError> {
    let read = serde_json::from_slice(&files::read_json(path)?);
    let forest = read.map_err(|error| error.to_string()).and_then(|forest: Forest| {
        forest.check(width)?;
        Ok(forest)
    });
    forest.map_err(|reason| BundleError::Manifest { path: path.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_scaled_to_its_place_among_the_quantiles() {
        let quantiles = [0.0, 1.0, 10.0];
        for (x, place) in [
            (-5.0, -1.0),
            (0.0, -1.0),
            (0.5, -0.5),
            (1.0, 0.0),
            (5.5, 0.5),
            (10.0, 1.0),
            (99.0, 1.0),
        ] {
            assert_eq!(ScaledFeature::place(&quantiles, x), place, "{x}");
        }
        let feature = ScaledFeature {
            name: "x".to_owned(),
            quantiles: quantiles.into(),
            mean: 0.5,
            deviation: 0.25,
        };
        assert_eq!(feature.scaled(1.0), -2.0);
        assert_eq!(
            ScaledFeature { quantiles: vec![3.0], ..feature }.scaled(7.0),
            0.0,
            "the same everywhere"
        );
    }

    #[test]
    fn rows_are_scaled_number_by_number() {
        let feature = |mean| ScaledFeature {
            name: "x".to_owned(),
            quantiles: vec![0.0, 1.0, 10.0],
            mean,
            deviation: 0.5,
        };
        let features = vec![feature(0.25), feature(-0.5)];
        let settings = RankerSettings { sources: Vec::new(), attributes: Vec::new(), features };
        let rows = [0.0, 7.0, 0.5, 7.0, 0.5, 3.0, 10.0, 0.0, 0.0, 0.0];
        let expected: Vec<f32> = rows
            .iter()
            .zip((0..2).cycle())
            .map(|(&x, at)| settings.features[at].scaled(x))
            .collect();
        let mut scaled = rows;
        settings.scale(&mut scaled);
        assert_eq!(scaled[..], expected[..]);
    }
}
