//! Placements: how the articles of one place in the shop are found, as a merchandiser writes it.

use super::{
    Exclude, Filter, FilterError, Recipe, RecommendError, Snapshot, find_attribute,
    rules::{RuleSpec, Rules},
    sources::{MAX_SOURCES, MODEL, SourceSpec},
};
use crate::domain::TopK;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The definition of a placement, in JSON or TOML.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Placement {
    /// Articles of an answer where the request does not say.
    pub k: usize,
    /// The model to ask; `None`: the default model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Where candidates come from; none: the model alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceSpec>,
    /// The model that ranks the candidates; its own sources are asked where none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranker: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub filter: BTreeMap<String, Value>,
    pub exclude: Exclude,
    /// How many articles may share a value of an attribute, by attribute.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub max_per: BTreeMap<String, usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleSpec>,
    /// How unlike each other the articles shall be: 0, not at all, to 1, above all.
    #[serde(skip_serializing_if = "is_zero")]
    pub diversity: f32,
    /// Sources that are asked, one after the other, while an answer is too short.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<SourceSpec>,
    /// Attributes to return with every article.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
}

/// What is wrong with a placement.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlacementError {
    #[error("`{key}` {problem}")]
    Invalid { key: &'static str, problem: String },
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error(transparent)]
    Unfit(#[from] RecommendError),
}

impl Default for Placement {
    fn default() -> Self {
        Self {
            k: 12,
            model: None,
            sources: Vec::new(),
            ranker: None,
            filter: BTreeMap::new(),
            exclude: Exclude::default(),
            max_per: BTreeMap::new(),
            rules: Vec::new(),
            diversity: 0.0,
            fallback: Vec::new(),
            fields: Vec::new(),
        }
    }
}

impl Placement {
    /// The recipe of its answers.
    ///
    /// # Errors
    /// When a part of the definition makes no sense, whatever the catalogue holds.
    pub fn recipe(&self) -> Result<Recipe, PlacementError> {
        let invalid = |key, problem: String| Err(PlacementError::Invalid { key, problem });
        if TopK::new(self.k).is_none() {
            return invalid("k", format!("must be 1 to {}, not {}", TopK::MAX, self.k));
        }
        for (key, sources) in [("sources", &self.sources), ("fallback", &self.fallback)] {
            if sources.len() > MAX_SOURCES {
                return invalid(key, format!("holds at most {MAX_SOURCES}, not {}", sources.len()));
            }
        }
        if !(0.0..=1.0).contains(&self.diversity) {
            return invalid("diversity", format!("must be 0 to 1, not {}", self.diversity));
        }
        if let Some((name, limit)) =
            self.max_per.iter().find(|(_, limit)| !(1..=65_535).contains(*limit))
        {
            return invalid(
                "max_per",
                format!("allows 1 to 65535 articles, not {limit} (`{name}`)"),
            );
        }
        if let Some(times) =
            self.exclude.seen_times_today.filter(|times| !(1..=Exclude::MAX_TIMES).contains(times))
        {
            return invalid(
                "exclude",
                format!("`seen_times_today` is 1 to {}, not {times}", Exclude::MAX_TIMES),
            );
        }
        Ok(Recipe {
            model: self.model.clone(),
            sources: self.sources.clone(),
            ranker: self.ranker.clone(),
            filter: Filter::parse(&self.filter)?,
            exclude: self.exclude.clone(),
            max_per: self.max_per.iter().map(|(name, &limit)| (name.clone(), limit)).collect(),
            rules: Rules::new(self.rules.clone(), self.k).or_else(invalid_rules)?,
            diversity: self.diversity,
            fallback: self.fallback.clone(),
        })
    }

    /// The models that it names.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        let of_sources = self.sources.iter().chain(&self.fallback).filter_map(SourceSpec::model);
        self.model.iter().chain(&self.ranker).map(String::as_str).chain(of_sources)
    }

    /// Whether it asks the model that it names, or else the default model, for articles.
    pub fn asks_its_model(&self) -> bool {
        let asks = |spec: &SourceSpec| spec.name() == MODEL && spec.model().is_none();
        match self.sources.is_empty() {
            true => self.ranker.is_none(),
            false => self.sources.iter().any(asks),
        }
    }

    /// Whether the catalogue has every attribute that the placement names, and every article that
    /// its rules pin.
    ///
    /// # Errors
    /// Which it lacks, what does not fit its kind, or which rule another part of the placement
    /// keeps from holding.
    pub fn check(&self, snapshot: &Snapshot) -> Result<(), PlacementError> {
        let recipe = self.recipe()?;
        super::check(snapshot, &recipe)?;
        recipe.rules.check(snapshot.catalogue(), &recipe).or_else(invalid_rules)?;
        for name in &self.fields {
            find_attribute(snapshot.catalogue(), name)?;
        }
        Ok(())
    }
}

fn invalid_rules<T>(problem: String) -> Result<T, PlacementError> {
    Err(PlacementError::Invalid { key: "rules", problem })
}

fn is_zero(number: &f32) -> bool {
    *number == 0.0
}
