//! Article and customer ids as the shop writes them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    #[error("an id must not be empty")]
    Empty,
    #[error("an id has at most {max} characters, this one has {0}", max = MAX_LENGTH)]
    TooLong(usize),
    #[error("an id must not hold control characters")]
    Control,
}

/// Longest id accepted, in characters, as JSON Schema counts them.
pub const MAX_LENGTH: usize = 128;

/// Checks the text of an id: 1 to 128 characters, no control characters (so one id fits one line of
/// a file).
pub(super) fn check(text: &str) -> Result<(), InvalidId> {
    if text.is_empty() {
        Err(InvalidId::Empty)
    } else if text.len() > MAX_LENGTH && text.chars().count() > MAX_LENGTH {
        Err(InvalidId::TooLong(text.chars().count()))
    } else if text.chars().any(char::is_control) {
        Err(InvalidId::Control)
    } else {
        Ok(())
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// # Errors
            /// [`InvalidId`] unless the text has 1 to 128 characters and no control characters.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                check(text)?;
                Ok(Self(text.into()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                check(&text)?;
                Ok(Self(text.into()))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// The shop's id of one article (one sellable variant).
    ArticleId
);
id!(
    /// The shop's id of one customer.
    CustomerId
);
id!(
    /// The shop's id of one visitor: a browser, before it is known whose.
    VisitorId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_checked() {
        assert_eq!(ArticleId::parse("0108775015").unwrap().as_str(), "0108775015");
        assert_eq!(ArticleId::parse(""), Err(InvalidId::Empty));
        assert_eq!(CustomerId::parse("a\nb"), Err(InvalidId::Control));
        assert_eq!(CustomerId::parse(&"x".repeat(129)), Err(InvalidId::TooLong(129)));
        assert!(CustomerId::parse(&"ü".repeat(128)).is_ok());
        assert!(serde_json::from_str::<ArticleId>("\"\"").is_err());
    }
}
