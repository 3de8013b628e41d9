//! The learned ranker: candidates by what a network says of their features.

use super::{
    Candidates, Context, Fusion, Rank, RecommendError,
    features::{Aspect, FeatureSet},
};
use crate::recommend::{
    ModelError,
    sources::{self, SourceSpec},
};

/// A network that scores the candidates of a list.
pub trait ListModel: Send + Sync {
    /// The sources it was trained on, as they are written in a request.
    fn sources(&self) -> &[serde_json::Map<String, serde_json::Value>];

    /// Attributes whose purchases it reads by value.
    fn attributes(&self) -> &[String];

    /// Names of the features it reads, in their order.
    fn features(&self) -> &[String];

    /// A score for each of `rows`, which are as [`FeatureSet::rows`] makes them; higher is better.
    ///
    /// # Errors
    /// When the network fails.
    fn scores(&self, rows: &[f32]) -> Result<Vec<f32>, ModelError>;
}

/// A ranker that fits this program: its sources exist, and its features are those computed here.
#[derive(Debug, Clone, PartialEq)]
pub struct RankerSpec {
    pub sources: Vec<SourceSpec>,
    pub features: FeatureSet,
}

impl RankerSpec {
    /// Candidates of a source without a limit of its own.
    const WANT: usize = 100;

    /// Sources and attributes as a configuration has them.
    pub fn new(sources: Vec<SourceSpec>, attributes: Vec<String>) -> Self {
        let names = sources.iter().map(|source| source.name().to_owned()).collect();
        Self { sources, features: FeatureSet { attributes, sources: names } }
    }

    /// The candidates of a request and their features: lists to learn from.
    ///
    /// # Errors
    /// [`RecommendError::NoStatistics`] before the purchases are counted.
    pub fn list(&self, context: &Context<'_>) -> Result<(Candidates, Vec<f32>), RecommendError> {
        let drawn = sources::draw(context, &self.sources, Self::WANT)?;
        let mut candidates = Candidates::merge(&self.sources, &drawn);
        Fusion { sources: &self.sources }.rank(context, &mut candidates)?;
        let rows = self.features.rows(context, &candidates)?;
        Ok((candidates, rows))
    }

    /// # Errors
    /// A source that this program doesn't have, or other features than it computes.
    pub fn of(model: &dyn ListModel) -> Result<Self, ModelError> {
        let sources = model.sources().iter().cloned().map(SourceSpec::parse);
        let sources = sources.collect::<Result<Vec<_>, _>>().map_err(ModelError)?;
        let spec = Self::new(sources, model.attributes().to_vec());
        let (trained, computed) = (model.features(), spec.features.names());
        if trained == computed {
            return Ok(spec);
        }
        let other = trained.iter().find(|name| !computed.contains(name));
        let other = other.or_else(|| computed.iter().find(|name| !trained.contains(name)));
        let other = other.map_or_else(|| "in another order".to_owned(), |name| format!("`{name}`"));
        Err(ModelError(format!(
            "the ranker was trained on {} features, this program computes {} (they differ: {other}); train it again \
             with this version",
            trained.len(),
            computed.len()
        )))
    }
}

/// Ranks by a network.
pub struct Learned<'a> {
    pub model: &'a dyn ListModel,
    pub spec: &'a RankerSpec,
}

impl std::fmt::Debug for Learned<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Learned({:?})", self.spec)
    }
}

impl Learned<'_> {
    /// Strengths are shares of a softmax over the list, and never 0.
    const LEAST: f32 = 1e-30;
}

/// What speaks for an article in the eyes of a ranker.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct RankedBy {
    pub aspect: Aspect,
    /// Of the aspect `attribute`: which one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(nullable = false))]
    pub attribute: Option<String>,
    /// How much lower the article would score if it were in this like the mean candidate of the
    /// list.
    pub weight: f32,
}

/// What is told of an article at most.
const MOST_ASPECTS: usize = 3;

impl Learned<'_> {
    /// What speaks most for each of these articles, the strongest first; nothing for one that is no
    /// candidate.
    ///
    /// Each aspect is judged alone: its features are set to their means over the list, and the
    /// score is computed again.
    ///
    /// # Errors
    /// As [`Rank::rank`].
    pub(in crate::recommend) fn explain(
        &self,
        context: &Context<'_>,
        candidates: &Candidates,
        articles: &[u32],
    ) -> Result<Vec<Vec<RankedBy>>, RecommendError> {
        let rows = self.spec.features.rows(context, candidates)?;
        let width = self.spec.features.width();
        let means = means(&rows, width);
        let aspects = self.spec.features.aspects();
        let mut groups: Vec<(Aspect, Option<&str>)> = Vec::new();
        for group in aspects.iter().flatten() {
            if !groups.contains(group) {
                groups.push(*group);
            }
        }
        let explain = |article: &u32| -> Result<Vec<RankedBy>, RecommendError> {
            let Some(place) =
                candidates.list.iter().position(|candidate| candidate.row == *article)
            else {
                return Ok(Vec::new());
            };
            let row = &rows[place * width..][..width];
            let mut tried = row.to_vec();
            for group in &groups {
                let in_group = |at: usize| aspects[at].as_ref() == Some(group);
                tried.extend((0..width).map(|at| if in_group(at) { means[at] } else { row[at] }));
            }
            let scores = self.model.scores(&tried)?;
            let weighed =
                groups.iter().zip(&scores[1..]).map(|(&(aspect, attribute), without)| RankedBy {
                    aspect,
                    attribute: attribute.map(str::to_owned),
                    weight: scores[0] - without,
                });
            let mut speaks: Vec<RankedBy> = weighed.filter(|by| by.weight > 0.0).collect();
            speaks.sort_by(|a, b| b.weight.total_cmp(&a.weight));
            speaks.truncate(MOST_ASPECTS);
            Ok(speaks)
        };
        articles.iter().map(explain).collect()
    }
}

/// The mean of each column.
fn means(rows: &[f32], width: usize) -> Vec<f32> {
    let mut sums = vec![0.0; width];
    for row in rows.chunks_exact(width) {
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    let count = (rows.len() / width.max(1)).max(1) as f64;
    sums.into_iter().map(|sum| (sum / count) as f32).collect()
}

impl Rank for Learned<'_> {
    fn rank(
        &self,
        context: &Context<'_>,
        candidates: &mut Candidates,
    ) -> Result<(), RecommendError> {
        // It also finds the source that ranks each candidate best.
        Fusion { sources: &self.spec.sources }.rank(context, candidates)?;
        if candidates.list.is_empty() {
            return Ok(());
        }
        let rows = self.spec.features.rows(context, candidates)?;
        let scores = self.model.scores(&rows)?;
        let best = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        // What is below the least share is not computed: numbers near the smallest are slow.
        let least = Self::LEAST.ln();
        let shares: Vec<f32> = scores.iter().map(|score| (score - best).max(least).exp()).collect();
        let total: f32 = shares.iter().sum();
        for ((candidate, score), share) in candidates.list.iter_mut().zip(scores).zip(shares) {
            candidate.score = score;
            candidate.strength = (share / total).max(Self::LEAST);
        }
        candidates.sort();
        Ok(())
    }
}
