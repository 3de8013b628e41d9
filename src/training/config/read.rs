//! Reading and writing a configuration: the sections that all families share, and those of its
//! family.

use super::TrainingConfig;
use crate::families::{self, only};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, Visitor},
};
use serde_json::{Map, Value};
use std::fmt;
use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue, Error, ValueDeserializer},
};

impl TrainingConfig {
    /// # Errors
    /// What is wrong, with its place in the text.
    pub(super) fn from_toml(text: &str) -> Result<Self, Error> {
        let document = DeTable::parse(text)?;
        let span = document.span();
        let families = families::sections();
        let (own, shared): (DeTable<'_>, DeTable<'_>) = document
            .into_inner()
            .into_iter()
            .partition(|(name, _)| families.contains_key(&**name.get_ref()));
        let known = super::reference::section_names();
        if let Some((name, _)) =
            shared.iter().find(|(name, _)| !known.iter().any(|known| known == name.get_ref()))
        {
            let problem = format!(
                "there is no section `{}`; there are: {}",
                name.get_ref(),
                known.join(", ")
            );
            return Err(error_at(name, problem));
        }
        let mut config =
            Self::deserialize(toml::Deserializer::from(Spanned::new(span.clone(), shared)))?;
        let family = config.model.family;
        for (name, _) in own.iter() {
            let having = &families[&**name.get_ref()];
            if !having.contains(&family.name()) {
                return Err(error_at(name, format!("`{}` {}", name.get_ref(), only(having))));
            }
        }
        config.family = family.read_toml(toml::Deserializer::from(Spanned::new(span, own)))?;
        Ok(config)
    }
}

impl<'de> Deserialize<'de> for TrainingConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let families = families::sections();
        let (own, shared): (Map<String, Value>, Map<String, Value>) =
            Map::deserialize(deserializer)?
                .into_iter()
                .partition(|(name, _)| families.contains_key(name));
        let mut config = Self::deserialize(Value::Object(shared)).map_err(D::Error::custom)?;
        config.family =
            config.model.family.read_json(Value::Object(own)).map_err(D::Error::custom)?;
        Ok(config)
    }
}

impl Serialize for TrainingConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// An error that shows where a name stands.
fn error_at(name: &Spanned<DeString<'_>>, problem: String) -> Error {
    let value = Spanned::new(name.span(), DeValue::String(name.get_ref().clone()));
    // The reader adds the place of what it reads to the errors of who reads it.
    match ValueDeserializer::from(value).deserialize_any(Refusal(&problem)) {
        Err(error) => error,
        Ok(()) => Error::custom(problem),
    }
}

/// Takes no text.
struct Refusal<'a>(&'a str);

impl Visitor<'_> for Refusal<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing")
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        Err(E::custom(self.0))
    }
}
