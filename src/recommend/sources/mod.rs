//! Sources of candidates. Each is one file here and one line of [`REGISTRY`].
//!
//! All sources compute on what the request's [`Context`] holds, so one after the other they take
//! some hundred microseconds, and there is nothing to wait for. Before each the time is looked at:
//! a source whose turn comes after the request's time is left out, as one that fails is, and the
//! answer says so.

mod arrivals;
mod fixed;
mod generated;
mod model;
pub(super) mod neighbours;
pub(super) mod own;
mod popular;
mod viewed;

pub use generated::{Generation, Sampling};

use super::{Context, RecommendError, Request};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::{
    fmt::Debug,
    sync::Arc,
    time::{Duration, Instant},
};

/// Where candidates come from.
pub trait Source: Send + Sync + Debug {
    /// As it stands in answers and metrics.
    fn name(&self) -> &'static str;

    /// The best `want` articles by this source, best first: catalogue rows and scores. Rows that
    /// may not be answered are dropped by the caller, so a source that can should leave them out
    /// itself.
    ///
    /// # Errors
    /// When the source cannot answer this request at all.
    fn find(&self, context: &Context<'_>, want: usize) -> Result<Drawn, RecommendError>;

    /// Whether it finds what the customer bought, so that its name on an article tells a purchase.
    fn tells_purchases(&self, _context: &Context<'_>) -> bool {
        false
    }
}

/// What a source gave.
#[derive(Debug, Clone, Default)]
pub struct Drawn {
    pub articles: Vec<(u32, f32)>,
    /// How an index was searched.
    pub search: Option<&'static str>,
    pub left_out: bool,
}

/// A source that a request or placement names.
#[derive(Debug, Clone)]
pub struct SourceSpec {
    source: Arc<dyn Source>,
    /// Candidates that it may give; `None`: as many as the answer needs.
    pub limit: Option<usize>,
    /// How much its ranks count beside those of others.
    pub weight: f32,
    /// As it was written.
    definition: Map<String, Value>,
}

/// A kind of source.
pub struct Registered {
    pub name: &'static str,
    /// What it finds, for documentation.
    pub about: &'static str,
    parse: fn(Value) -> Result<Arc<dyn Source>, serde_json::Error>,
}

/// All kinds of sources.
pub const REGISTRY: &[Registered] = &[
    model::REGISTERED,
    generated::REGISTERED,
    own::REGISTERED,
    popular::REGISTERED,
    popular::POPULAR_IN,
    popular::TRENDING,
    neighbours::TOGETHER,
    neighbours::SIMILAR,
    neighbours::EASE,
    neighbours::NEXT,
    neighbours::VIEWED,
    arrivals::NEW,
    arrivals::VARIANTS,
    fixed::REGISTERED,
    viewed::REGISTERED,
];

/// Articles that ranked no better in any source than by popularity.
pub const POPULAR: &str = popular::NAME;
/// Eligible, but without known sales; only after every other.
pub const CATALOGUE: &str = "catalogue";
/// Named in `article_ids` and not in the catalogue.
pub const UNKNOWN: &str = "unknown";
/// Stands for all sources where telling them would tell purchases.
pub const PERSONAL: &str = "personal";
/// Found by the model of the request.
pub const MODEL: &str = model::NAME;
/// Written article by article.
pub const GENERATED: &str = generated::NAME;

/// Most sources of one request.
pub const MAX_SOURCES: usize = 16;
/// Most candidates of one source.
const MAX_LIMIT: usize = 1_000;
/// What all sources of a request may take before those that are left are left out.
/// A unit test may run on a machine that is busy with others, and must not depend on it.
pub(super) const TIME: Duration =
    if cfg!(test) { Duration::MAX } else { Duration::from_millis(50) };

const fn registered<S: Source + DeserializeOwned + 'static>(
    name: &'static str,
    about: &'static str,
) -> Registered {
    let parse =
        |parameters| Ok(Arc::new(serde_json::from_value::<S>(parameters)?) as Arc<dyn Source>);
    Registered { name, about, parse }
}

impl SourceSpec {
    /// A source as it is written in JSON or TOML: `source` names its kind, `limit` and `weight` may
    /// follow, the rest are the parameters of the kind.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(definition: Map<String, Value>) -> Result<Self, String> {
        let mut parameters = definition.clone();
        let name = match parameters.remove("source") {
            Some(Value::String(name)) => name,
            _ => return Err("a source needs its name: {\"source\": \"popular\"}".to_owned()),
        };
        let kind = REGISTRY.iter().find(|kind| kind.name == name);
        let kind = kind.ok_or_else(|| {
            let names: Vec<&str> = REGISTRY.iter().map(|kind| kind.name).collect();
            let name: String = name.chars().take(64).collect();
            format!("there is no source `{name}`; there are: {}", names.join(", "))
        })?;
        let at = |key: &str, problem: &str| format!("source `{}`, `{key}`: {problem}", kind.name);
        let limit = parameters.remove("limit").map(|limit| {
            let limit = limit.as_u64().filter(|&limit| (1..=MAX_LIMIT as u64).contains(&limit));
            limit.ok_or_else(|| at("limit", &format!("give a whole number from 1 to {MAX_LIMIT}")))
        });
        let weight = parameters.remove("weight").map(|weight| {
            let weight = weight.as_f64().filter(|&weight| weight > 0.0 && weight <= 1_000.0);
            weight.ok_or_else(|| at("weight", "give a number above 0 and up to 1000"))
        });
        let (limit, weight) = (limit.transpose()?, weight.transpose()?.unwrap_or(1.0));
        let source = (kind.parse)(Value::Object(parameters));
        let source = source.map_err(|error| format!("source `{}`: {error}", kind.name))?;
        Ok(Self {
            source,
            limit: limit.map(|limit| limit as usize),
            weight: weight as f32,
            definition,
        })
    }

    pub(super) fn of(source: Arc<dyn Source>) -> Self {
        Self { source, limit: None, weight: 1.0, definition: Map::new() }
    }

    pub fn name(&self) -> &'static str {
        self.source.name()
    }

    /// The model that it names.
    pub fn model(&self) -> Option<&str> {
        self.definition.get("model").and_then(Value::as_str)
    }

    /// The attribute that it names.
    pub fn attribute(&self) -> Option<&str> {
        self.definition.get("attribute").and_then(Value::as_str)
    }

    pub(super) fn tells_purchases(&self, context: &Context<'_>) -> bool {
        self.source.tells_purchases(context)
    }

    /// The name with the parameters, to tell sources of one kind apart.
    pub fn label(&self) -> String {
        let parameters = self
            .definition
            .iter()
            .filter(|(key, _)| !["source", "limit", "weight"].contains(&key.as_str()));
        let parameters: Vec<String> =
            parameters.map(|(key, value)| format!("{key} {value}")).collect();
        match parameters.is_empty() {
            true => self.name().to_owned(),
            false => format!("{} ({})", self.name(), parameters.join(", ")),
        }
    }
}

impl PartialEq for SourceSpec {
    fn eq(&self, other: &Self) -> bool {
        self.definition == other.definition && self.name() == other.name()
    }
}

impl Serialize for SourceSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.definition.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SourceSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let definition = Map::deserialize(deserializer)?;
        Self::parse(definition).map_err(serde::de::Error::custom)
    }
}

/// The sources of a request: those it names, or else its model alone.
pub(super) fn of(request: &Request) -> Vec<SourceSpec> {
    if !request.recipe.sources.is_empty() {
        return request.recipe.sources.clone();
    }
    vec![SourceSpec::of(match request.generation {
        Some(generation) => Arc::new(generated::Generated(generation)),
        None => Arc::new(model::Model::default()),
    })]
}

/// Asks every source for its best articles, `want` or as many as its limit says, one after the
/// other while the request's time lasts.
///
/// # Errors
/// When the only source fails. Of several, one that fails is left out.
pub(super) fn draw(
    context: &Context<'_>,
    specs: &[SourceSpec],
    want: usize,
) -> Result<Vec<Drawn>, RecommendError> {
    let started = Instant::now();
    let left_out = Drawn { left_out: true, ..Drawn::default() };
    let mut all = Vec::with_capacity(specs.len());
    for spec in specs {
        if !all.is_empty() && started.elapsed() > context.request.time {
            all.push(left_out.clone());
            continue;
        }
        all.push(match spec.source.find(context, spec.limit.unwrap_or(want)) {
            Ok(mut drawn) => {
                drawn.articles.retain(|&(row, _)| context.eligible.rows.contains(row));
                drawn
            }
            Err(error) if specs.len() == 1 => return Err(error),
            Err(error) => {
                tracing::debug!(source = spec.name(), %error, "a source was left out");
                left_out.clone()
            }
        });
    }
    Ok(all)
}
