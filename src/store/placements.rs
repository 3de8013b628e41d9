//! Placements, in the words of both databases. Every change adds a version, so the history is
//! whole: a deletion is a version without a definition, a rollback one that restores an earlier
//! one.

use super::StoreError;
use crate::domain::Timestamp;
use serde_json::Value;

/// A version of a placement.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacementVersion {
    pub name: String,
    /// Counts from 1, deletions and rollbacks included.
    pub version: i64,
    /// As JSON; `None`: this version deletes the placement.
    pub definition: Option<Value>,
    /// A rollback made this version: it has the definition of that one.
    pub restores: Option<i64>,
    pub created_at: Timestamp,
    pub created_by: String,
}

/// What becomes of a placement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlacementChange<'a> {
    pub name: &'a str,
    /// `None` deletes it.
    pub definition: Option<&'a Value>,
    /// The change is made only if this version is current; 0: only if there is no such placement.
    pub expected: Option<i64>,
}

/// The newest version of a placement, to add another one to.
#[derive(Debug, Default)]
pub(super) struct Newest {
    /// 0: there is none.
    pub version: i64,
    pub definition: Option<Value>,
    pub restores: Option<i64>,
}

/// A row to be added.
pub(super) struct NewVersion<'a> {
    pub name: &'a str,
    pub version: i64,
    pub definition: Option<&'a Value>,
    pub restores: Option<i64>,
}

impl Newest {
    /// The version that serves: 0 for a placement that is deleted or was never there.
    pub(super) fn current(&self) -> i64 {
        if self.definition.is_some() { self.version } else { 0 }
    }

    /// The version whose definition this is: rollbacks go back from there, so that each goes one
    /// further.
    pub(super) fn origin(&self) -> i64 {
        self.restores.unwrap_or(self.version)
    }

    /// The row that makes a change; `None` where nothing would change.
    ///
    /// # Errors
    /// When another version is current than the change expects.
    pub(super) fn next<'a>(
        &self,
        change: &PlacementChange<'a>,
    ) -> Result<Option<NewVersion<'a>>, StoreError> {
        let PlacementChange { name, definition, expected } = *change;
        self.expect(name, expected)?;
        let changes = self.definition.as_ref() != definition;
        Ok(changes.then_some(NewVersion {
            name,
            version: self.version + 1,
            definition,
            restores: None,
        }))
    }

    /// The row that restores an earlier version.
    pub(super) fn restoring<'a>(&self, name: &'a str, earlier: &'a Newest) -> NewVersion<'a> {
        let (definition, restores) = (earlier.definition.as_ref(), Some(earlier.origin()));
        NewVersion { name, version: self.version + 1, definition, restores }
    }

    /// # Errors
    /// [`StoreError::Changed`] when another version is current.
    pub(super) fn expect(&self, name: &str, expected: Option<i64>) -> Result<(), StoreError> {
        let current = self.current();
        if expected.is_none_or(|expected| expected == current) {
            return Ok(());
        }
        Err(StoreError::Changed(match current {
            0 => format!(
                "there is no placement `{name}` any more; look at it again before you change it"
            ),
            _ => format!(
                "the placement `{name}` has changed meanwhile: version {current} is current; look at it again \
                 before you change it"
            ),
        }))
    }
}

/// The error of a rollback that leads nowhere.
pub(super) fn nothing_before(name: &str) -> StoreError {
    StoreError::NotFound(format!("the placement `{name}` has no version before the current one"))
}

/// A definition as the database holds it.
pub(super) fn read_definition(
    name: &str,
    json: Option<String>,
) -> Result<Option<Value>, StoreError> {
    let fault =
        |error| StoreError::Fault(format!("the definition of the placement `{name}`: {error}"));
    json.map(|json| serde_json::from_str(&json).map_err(fault)).transpose()
}
