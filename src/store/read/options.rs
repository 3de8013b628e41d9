//! What of a database counts, and how: the description that `--dataset` names.

use crate::dataset::TimeUnit;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The type of the events that are purchases; imported purchases are of this type as well.
pub(super) const PURCHASE: &str = "purchase";
/// The type of the events that take purchases back.
pub(super) const RETURN: &str = "return";

/// How a database is read: the section `[purchases]` of a description.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Section")]
pub struct ReadOptions {
    /// How much a row of each type counts. Types that are not named do not count. That of
    /// `purchase` holds for imported purchases too, and multiplies what the import has given them.
    pub events: BTreeMap<String, f32>,
    /// What the times of purchases mean. `None`: days where every imported purchase is dated
    /// midnight, an order where nothing is dated after 1970, else seconds.
    pub time_unit: Option<TimeUnit>,
}

impl Default for ReadOptions {
    /// Purchases alone.
    fn default() -> Self {
        Self { events: BTreeMap::from([(PURCHASE.to_owned(), 1.0)]), time_unit: None }
    }
}

/// Why a description of a database is refused.
#[derive(Debug, thiserror::Error)]
pub enum InvalidReadOptions {
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}: {message}", path.display())]
    Parse { path: PathBuf, message: String },
}

/// The file as it is written. Its words are those of the `dataset.toml` of files.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    purchases: ReadOptions,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    events: Option<BTreeMap<String, f32>>,
    time_unit: Option<TimeUnit>,
}

impl ReadOptions {
    /// Reads a description:
    ///
    /// ```toml
    /// [purchases]
    /// events = { purchase = 1.0, cart_add = 0.3, view = 0.05 }
    /// time_unit = "second"
    /// ```
    ///
    /// # Errors
    /// [`InvalidReadOptions`] naming the file and what is wrong in it.
    pub fn load(path: &Path) -> Result<Self, InvalidReadOptions> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|source| InvalidReadOptions::Read { path: path.into(), source })?;
        Self::parse(&text)
            .map_err(|message| InvalidReadOptions::Parse { path: path.into(), message })
    }

    fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text)
            .map(|Description { purchases }| purchases)
            .map_err(|error| error.to_string())
    }

    /// The types of events to read.
    pub(super) fn types(&self) -> Vec<&str> {
        let returns = self.events.contains_key(PURCHASE).then_some(RETURN);
        self.events.keys().map(String::as_str).chain(returns).collect()
    }
}

impl TryFrom<Section> for ReadOptions {
    type Error = String;

    fn try_from(Section { events, time_unit }: Section) -> Result<Self, String> {
        let events = events.unwrap_or_else(|| Self::default().events);
        for (name, weight) in &events {
            let is_name = (1..=64).contains(&name.len())
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':'));
            if !is_name {
                return Err(format!("`{name}` is no type of events"));
            }
            if name == RETURN {
                return Err(
                    "a `return` takes a purchase back and has no weight of its own".to_owned()
                );
            }
            if !weight.is_finite() || *weight < 0.0 {
                return Err(format!("the weight of `{name}` is {weight}, but must be 0 or above"));
            }
        }
        let events: BTreeMap<String, f32> =
            events.into_iter().filter(|(_, weight)| *weight > 0.0).collect();
        if events.is_empty() {
            return Err("`events` gives no type a weight above 0".to_owned());
        }
        Ok(Self { events, time_unit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_use_the_words_of_files() {
        let options = ReadOptions::parse(
            "[purchases]\nevents = { purchase = 1.0, view = 0.1, cart_add = 0 }",
        )
        .unwrap();
        assert_eq!(options.types(), ["purchase", "view", "return"]);
        assert_eq!(options.time_unit, None);
        let options = ReadOptions::parse("[purchases]\ntime_unit = \"day\"").unwrap();
        assert_eq!((options.types().len(), options.time_unit), (2, Some(TimeUnit::Day)));
        for (bad, said) in [
            ("[purchases]\nevents = { view = -1.0 }", "`view` is -1"),
            ("[purchases]\nevents = { \"a'b\" = 1.0 }", "`a'b` is no type"),
            ("[purchases]\nevents = { return = 1.0 }", "takes a purchase back"),
            ("[purchases]\nevents = { view = 0.0 }", "no type a weight"),
            ("[purchases]\nfiles = [\"a\"]", "unknown field `files`"),
        ] {
            let error = ReadOptions::parse(bad).unwrap_err();
            assert!(error.contains(said), "{bad}: {error}");
        }
    }
}
