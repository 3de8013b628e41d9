use crate::domain::IdTable;
use std::{collections::BTreeMap, sync::Arc};

/// The vocabularies of a schema by name. A name is a safe file stem (letters, digits, `-`, `_`);
/// values are neither empty nor hold control characters, so a vocabulary is a text file of one
/// value a line. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Vocabularies(BTreeMap<String, Arc<IdTable>>);

impl Vocabularies {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a vocabulary or replaces the one of that name.
    pub fn insert(&mut self, name: &str, table: IdTable) {
        self.0.insert(name.to_owned(), Arc::new(table));
    }

    pub fn get(&self, name: &str) -> Option<&Arc<IdTable>> {
        self.0.get(name)
    }

    /// In order of names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &IdTable)> {
        self.0.iter().map(|(name, table)| (name.as_str(), table.as_ref()))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether a text may stand in a vocabulary; others count as missing, in training and serving
/// alike.
pub(super) fn is_value(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}
