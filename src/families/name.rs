//! A model family by its name.

use super::{REGISTRY, Registered, Settings, only};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serde_json::{Value, json};
use std::{borrow::Cow, fmt};

/// A model family.
#[derive(Clone, Copy)]
pub struct Family(&'static Registered);

impl Family {
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// Whether it has what is in [`Registered::uses`].
    pub fn uses(self, option: &str) -> bool {
        self.0.uses.contains(&option)
    }

    /// Says which families use an option.
    pub fn only_for(option: &str) -> String {
        let using = REGISTRY.iter().filter(|family| family.uses.contains(&option));
        only(&using.map(|family| family.name).collect::<Vec<_>>())
    }

    /// Reads the sections that are the family's own.
    pub(crate) fn read_toml(
        self,
        sections: toml::Deserializer<'_>,
    ) -> Result<Settings, toml::de::Error> {
        (self.0.from_toml)(sections)
    }

    /// The same from JSON.
    pub(crate) fn read_json(self, sections: Value) -> Result<Settings, serde_json::Error> {
        (self.0.from_json)(sections)
    }
}

impl PartialEq for Family {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl fmt::Debug for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Family {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Family {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let found = REGISTRY.iter().find(|family| family.name == name);
        found.map(Self).ok_or_else(|| {
            let names: Vec<&str> = REGISTRY.iter().map(|family| family.name).collect();
            D::Error::custom(format!(
                "there is no model family `{name}`; there are: {}",
                names.join(", ")
            ))
        })
    }
}

impl JsonSchema for Family {
    fn schema_name() -> Cow<'static, str> {
        "Family".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let family =
            |family: &Registered| json!({"const": family.name, "description": family.about});
        let families: Vec<Value> = REGISTRY.iter().map(family).collect();
        json_schema!({"description": "The model families.", "type": "string", "oneOf": families})
    }
}
