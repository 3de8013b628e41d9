//! What an attribute of the catalogue holds.

use std::fmt;

/// The kind of an attribute; the same for every article of the shop.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub enum AttributeKind {
    Number,
    Text,
    /// A list of texts.
    Texts,
}

impl AttributeKind {
    /// The name under which configuration, API and database know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Text => "text",
            Self::Texts => "texts",
        }
    }

    /// The kind of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Number, Self::Text, Self::Texts].into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for AttributeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Texts => "a list of texts",
        })
    }
}
