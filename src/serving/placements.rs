//! Placements: what the database holds, fitted to what is served.
//!
//! * A definition is checked when it is saved; what it names must be there.
//! * What vanishes later (an attribute, a model) is left out of what serves, and the answer says
//!   so. A placement never fails because of it.
//! * A definition that this version cannot read is left out alone; a built-in of its name stands
//!   in.

use super::{ServeError, State};
use crate::{
    domain::{AttributeKind, TopK},
    recommend::{Catalogue, Filter, Placement, Recipe, find_attribute},
    store::{PlacementVersion, Store, StoreError},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

/// Placements of one shop at most.
pub(super) const MAX_PLACEMENTS: usize = 500;
/// Bytes of a definition.
const MAX_BYTES: usize = 256 << 10;
const MAX_EXCLUDED: usize = 10_000;
const MAX_DAYS: u32 = 36_500;
const MAX_QUOTAS: usize = 8;
const MAX_FIELDS: usize = 64;

/// A placement of the database.
#[derive(Debug, Clone)]
pub(super) struct StoredPlacement {
    version: i64,
    /// Or why this version of the server cannot serve it.
    definition: Result<Placement, String>,
}

/// A placement that answers.
#[derive(Debug)]
pub struct ServedPlacement {
    pub name: String,
    /// 0 for a built-in one.
    pub version: i64,
    pub k: TopK,
    pub recipe: Arc<Recipe>,
    /// Attributes to return with every article.
    pub fields: Vec<String>,
    /// Parts of the definition that do not fit what is served, and are left out.
    pub ignored: Vec<Misfit>,
}

/// A part of a definition that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    part: Part,
    problem: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Whole(&'static str),
    Source(usize),
    Fallback(usize),
    Filter(String),
    MaxPer(String),
    Field(String),
}

impl Misfit {
    fn new(part: Part, problem: impl fmt::Display) -> Self {
        Self { part, problem: problem.to_string() }
    }

    /// The key of the definition.
    pub fn key(&self) -> String {
        match &self.part {
            Part::Whole(key) => (*key).to_owned(),
            Part::Source(at) => format!("sources[{at}]"),
            Part::Fallback(at) => format!("fallback[{at}]"),
            Part::Filter(name) => format!("filter.{name}"),
            Part::MaxPer(name) => format!("max_per.{name}"),
            Part::Field(name) => format!("fields.{name}"),
        }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.key(), self.problem)
    }
}

/// The placements that are there without being saved; one that is saved under such a name takes its
/// place.
pub const BUILT_IN: [&str; 4] = ["home", "product-page", "cart", "popular"];

/// The definition of a built-in placement.
pub fn built_in(name: &str) -> Option<Placement> {
    let sources = match name {
        "home" => json!([
            {"source": "model"},
            {"source": "buy_again", "weight": 0.5},
            {"source": "popular", "weight": 0.25},
        ]),
        "product-page" => {
            json!([{"source": "model"}, {"source": "bought_together", "weight": 0.5}])
        }
        "cart" => json!([{"source": "bought_together"}, {"source": "model", "weight": 0.5}]),
        "popular" => json!([{"source": "popular"}]),
        _ => return None,
    };
    serde_json::from_value(json!({"sources": sources})).ok()
}

/// Why a text cannot name a placement; `None` where it can.
pub fn name_problem(name: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    // `.` and `..` mean something else in a path.
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let good = begins_well && name.len() <= 64 && name.chars().all(allowed);
    (!good).then(|| {
        "the name of a placement begins with a letter or digit and has up to 64 letters, digits, `-`, `_` or `.`".into()
    })
}

/// Whether a definition can be saved, as far as catalogue and models decide it.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn check(
    definition: &Placement,
    catalogue: &Catalogue,
    has_model: impl Fn(&str) -> bool,
) -> Result<(), ServeError> {
    let mut problems: Vec<String> = Vec::new();
    match definition.recipe() {
        Ok(recipe) => {
            let rules = recipe.rules.check(catalogue, &recipe);
            problems.extend(rules.err().map(|problem| format!("`rules` {problem}")));
        }
        Err(error) => problems.push(error.to_string()),
    }
    problems.extend(too_large(definition).iter().map(ToString::to_string));
    problems.extend(misfits(definition, catalogue, has_model).iter().map(ToString::to_string));
    match problems.is_empty() {
        true => Ok(()),
        false => Err(ServeError::BadPlacement(problems.join("; "))),
    }
}

/// What is wrong with placements that are to be saved by a command line, which serves nothing.
///
/// # Errors
/// When the database cannot be read.
pub async fn check_all(
    store: &dyn Store,
    placements: &BTreeMap<String, Placement>,
) -> Result<Vec<String>, StoreError> {
    let catalogue = super::catalogue::read(store, store.catalogue_version().await?).await?;
    let models = store.models().await?;
    let has_model = |name: &str| models.iter().any(|row| row.active && row.model == name);
    let mut problems = Vec::new();
    if placements.len() > MAX_PLACEMENTS {
        problems.push(format!(
            "a shop has at most {MAX_PLACEMENTS} placements, not {}",
            placements.len()
        ));
    }
    for (name, definition) in placements {
        problems.extend(name_problem(name).map(|problem| format!("`{name}`: {problem}")));
        let error = check(definition, &catalogue, has_model).err();
        problems.extend(error.map(|error| format!("placements.{name}: {error}")));
    }
    Ok(problems)
}

/// Limits that keep answers quick and the database small.
fn too_large(definition: &Placement) -> Vec<Misfit> {
    let exclude = &definition.exclude;
    let counts = [
        ("exclude.article_ids", exclude.article_ids.len(), MAX_EXCLUDED),
        ("max_per", definition.max_per.len(), MAX_QUOTAS),
        ("fields", definition.fields.len(), MAX_FIELDS),
    ];
    let mut found: Vec<Misfit> = counts
        .into_iter()
        .filter(|(_, count, most)| count > most)
        .map(|(key, count, most)| {
            Misfit::new(Part::Whole(key), format!("holds at most {most}, not {count}"))
        })
        .collect();
    if let Some(days) = exclude.purchased_within_days.filter(|days| !(1..=MAX_DAYS).contains(days))
    {
        let problem = format!("must be 1 to {MAX_DAYS}, not {days}");
        found.push(Misfit::new(Part::Whole("exclude.purchased_within_days"), problem));
    }
    let bytes = serde_json::to_vec(definition).map_or(0, |json| json.len());
    if bytes > MAX_BYTES {
        let problem = format!("has {bytes} bytes as JSON, and may have {MAX_BYTES}");
        found.push(Misfit::new(Part::Whole("definition"), problem));
    }
    found
}

/// The parts of a definition that name what is not there.
fn misfits(
    definition: &Placement,
    catalogue: &Catalogue,
    has_model: impl Fn(&str) -> bool,
) -> Vec<Misfit> {
    let unknown = |name: &str| format!("there is no model `{name}`");
    let mut found = Vec::new();
    if let Some(name) = definition.model.as_deref().filter(|name| !has_model(name)) {
        found.push(Misfit::new(Part::Whole("model"), unknown(name)));
    }
    if let Some(name) = definition.ranker.as_deref().filter(|name| !has_model(name)) {
        found.push(Misfit::new(Part::Whole("ranker"), unknown(name)));
    }
    let sources =
        definition.sources.iter().enumerate().map(|(at, source)| (Part::Source(at), source));
    let fallback =
        definition.fallback.iter().enumerate().map(|(at, source)| (Part::Fallback(at), source));
    for (part, source) in sources.chain(fallback) {
        if let Some(name) = source.model().filter(|name| !has_model(name)) {
            found.push(Misfit::new(part, unknown(name)));
        } else if let Some(Err(error)) =
            source.attribute().map(|name| find_attribute(catalogue, name))
        {
            found.push(Misfit::new(part, error));
        }
    }
    for (name, condition) in &definition.filter {
        let alone = BTreeMap::from([(name.clone(), condition.clone())]);
        // What cannot be parsed is no misfit: the definition as a whole is wrong then.
        let Ok(filter) = Filter::parse(&alone) else { continue };
        if let Err(error) = filter.on(catalogue) {
            found.push(Misfit::new(Part::Filter(name.clone()), error));
        }
    }
    for name in definition.max_per.keys() {
        match find_attribute(catalogue, name).map(|at| catalogue.column(at).kind()) {
            Ok(AttributeKind::Texts) => {
                let problem = "it holds several values an article; name an attribute with one";
                found.push(Misfit::new(Part::MaxPer(name.clone()), problem));
            }
            Ok(_) => {}
            Err(error) => found.push(Misfit::new(Part::MaxPer(name.clone()), error)),
        }
    }
    for name in &definition.fields {
        if let Err(error) = find_attribute(catalogue, name) {
            found.push(Misfit::new(Part::Field(name.clone()), error));
        }
    }
    found
}

/// A definition without some of its parts.
fn without(definition: &Placement, misfits: &[Misfit]) -> Placement {
    let mut rest = definition.clone();
    let is_out = |part: Part| misfits.iter().any(|misfit| misfit.part == part);
    if is_out(Part::Whole("model")) {
        rest.model = None;
    }
    if is_out(Part::Whole("ranker")) {
        rest.ranker = None;
    }
    let mut at = 0..;
    rest.sources.retain(|_| !at.next().is_some_and(|at| is_out(Part::Source(at))));
    let mut at = 0..;
    rest.fallback.retain(|_| !at.next().is_some_and(|at| is_out(Part::Fallback(at))));
    rest.filter.retain(|name, _| !is_out(Part::Filter(name.clone())));
    rest.max_per.retain(|name, _| !is_out(Part::MaxPer(name.clone())));
    rest.fields.retain(|name| !is_out(Part::Field(name.clone())));
    rest
}

impl StoredPlacement {
    /// Reads the rows of the database. Those that cannot be read are told in the log.
    pub(super) fn read_all(rows: Vec<PlacementVersion>) -> BTreeMap<String, Self> {
        rows.into_iter().map(|row| (row.name.clone(), Self::read(row))).collect()
    }

    fn read(PlacementVersion { name, version, definition, .. }: PlacementVersion) -> Self {
        let read = serde_json::from_value::<Placement>(definition.unwrap_or_default())
            .map_err(|error| error.to_string())
            .and_then(|definition| match definition.recipe() {
                Ok(_) => Ok(definition),
                Err(error) => Err(error.to_string()),
            });
        if let Err(problem) = &read {
            tracing::warn!(name, version, problem, "a placement cannot be read and is left out");
        }
        Self { version, definition: read }
    }

    pub(super) fn version(&self) -> i64 {
        self.version
    }

    /// Why it does not serve.
    pub(super) fn problem(&self) -> Option<&str> {
        self.definition.as_ref().err().map(String::as_str)
    }
}

impl State {
    /// The placement of that name.
    ///
    /// # Errors
    /// When there is none, or the database could not tell yet.
    pub fn placement(&self, name: &str) -> Result<&Arc<ServedPlacement>, ServeError> {
        self.placements.get(name).ok_or_else(|| match self.stored_placements {
            Some(_) => ServeError::UnknownPlacement {
                name: name.chars().take(64).collect(),
                known: self.placements.keys().cloned().collect(),
            },
            None => ServeError::NotReady,
        })
    }

    /// All placements, fitted to the catalogue and the models of this state.
    pub(super) fn fitted_placements(&self) -> BTreeMap<String, Arc<ServedPlacement>> {
        let mut fitted = BTreeMap::new();
        for name in BUILT_IN {
            if let Some(definition) = built_in(name) {
                fitted.extend(
                    self.fit(name, 0, &definition)
                        .map(|served| (name.to_owned(), Arc::new(served))),
                );
            }
        }
        for (name, stored) in self.stored_placements.iter().flat_map(|stored| stored.iter()) {
            if let Ok(definition) = &stored.definition {
                let served = self.fit(name, stored.version, definition);
                fitted.extend(served.map(|served| (name.clone(), Arc::new(served))));
            }
        }
        fitted
    }

    /// A placement without the parts that do not fit what is served; `None` for a definition that
    /// makes no sense whatever is served.
    pub(super) fn fit(
        &self,
        name: &str,
        version: i64,
        definition: &Placement,
    ) -> Option<ServedPlacement> {
        let ignored = match self.placement_catalogue(definition) {
            Some(catalogue) => misfits(definition, catalogue, |name| self.has_model(name)),
            // Nothing answers yet.
            None => Vec::new(),
        };
        let mut rest = without(definition, &ignored);
        // An object has no key twice: a name that is given twice is answered once.
        let mut seen = BTreeSet::new();
        rest.fields.retain(|name| seen.insert(name.clone()));
        Some(ServedPlacement {
            name: name.to_owned(),
            version,
            k: TopK::new(rest.k)?,
            recipe: Arc::new(rest.recipe().ok()?),
            fields: rest.fields,
            ignored,
        })
    }

    /// The catalogue of the model that answers.
    fn placement_catalogue(&self, definition: &Placement) -> Option<&Catalogue> {
        let named = definition.model.as_deref().and_then(|name| self.models.get(name));
        let snapshot = named.or_else(|| self.model(None).ok());
        snapshot.map(|snapshot| &**snapshot.catalogue()).or(self.catalogue.as_deref())
    }

    pub(super) fn has_model(&self, name: &str) -> bool {
        self.models.contains_key(name)
    }
}

/// The definition as it is saved and shown.
pub fn to_json(definition: &Placement) -> Value {
    // By its text, which has 0.2 where a value would have 0.20000000298. JSON holds all that a
    // definition is made of.
    let text = serde_json::to_string(definition).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}
