//! Rows of articles and customers as columns.

use super::{EntityRow, StoreError};
use crate::{
    dataset::{Column, Entities, MISSING, NO_INTEGER, Values},
    domain::{ArticleId, AttributeKind, IdTable, Number},
    store::{AttributeValue, Attributes},
};
use hashbrown::HashMap;
use std::collections::BTreeMap;

/// The column that says whether an article can be bought, as an import of files knows it.
const AVAILABLE: &str = "available";

/// Articles or customers under construction.
#[derive(Default)]
pub(super) struct EntityTable {
    pub ids: IdTable,
    /// The keys of the rows, in their order.
    keys: Vec<i32>,
    columns: BTreeMap<String, Draft>,
    /// The kinds that the database knows; the kind of any other column is that of most of its
    /// values.
    kinds: BTreeMap<String, AttributeKind>,
    available: Vec<f32>,
    left_out: usize,
}

impl EntityTable {
    pub(super) fn with_kinds(kinds: BTreeMap<String, AttributeKind>) -> Self {
        Self { kinds, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Adds a row. One without a usable id is left out, and so are attributes that cannot be read.
    pub(super) fn push(&mut self, entity: EntityRow<'_>) -> Result<(), StoreError> {
        if ArticleId::parse(entity.id).is_err() || self.ids.find(entity.id).is_some() {
            self.left_out += 1;
            return Ok(());
        }
        if self.ids.text_len() + entity.id.len() >= u32::MAX as usize {
            return Err(StoreError::Refused("the ids of the shop take more than 4 GiB".to_owned()));
        }
        let row = self.ids.insert(entity.id) as usize;
        self.keys.push(entity.key);
        self.available.push(f32::from(u8::from(entity.available)));
        for (name, value) in self.attributes(entity.attributes) {
            match self.columns.get_mut(&name) {
                Some(column) => column.set(row, value),
                None => self.columns.entry(name).or_default().set(row, value),
            }?;
        }
        Ok(())
    }

    /// The attributes that can be read.
    fn attributes(&mut self, json: &str) -> Attributes {
        if let Ok(attributes) = serde_json::from_str(json) {
            return attributes;
        }
        let values: BTreeMap<String, serde_json::Value> =
            serde_json::from_str(json).unwrap_or_default();
        let mut attributes = Attributes::new();
        for (name, value) in values {
            match serde_json::from_value(value) {
                Ok(value) => drop(attributes.insert(name, value)),
                Err(_) => self.left_out += 1,
            }
        }
        attributes
    }

    /// Finds the row of a key.
    pub(super) fn rows(&self) -> Rows {
        Rows::new(&self.keys)
    }

    /// The table; counts the values that are not of the kind of their column.
    pub(super) fn finish(self, left_out: &mut usize) -> Entities {
        *left_out += self.left_out;
        let Self { ids, columns: mut drafts, kinds, available, .. } = self;
        for name in kinds.keys() {
            drafts.entry(name.clone()).or_default();
        }
        // The availability of the shop goes before an attribute of that name.
        if available.contains(&0.0) {
            drafts.remove(AVAILABLE);
        }
        let mut columns = Vec::with_capacity(drafts.len() + 1);
        for (name, draft) in drafts {
            let kind = kinds.get(&name).copied().unwrap_or_else(|| draft.usual_kind());
            let values = draft.finish(kind, ids.len(), left_out);
            columns.push(Column { name, values });
        }
        // It changes from hour to hour: a shop in which everything can be bought has no such
        // column.
        if available.contains(&0.0) {
            columns.push(Column { name: AVAILABLE.to_owned(), values: Values::Number(available) });
        }
        Entities { ids, columns, vectors: Vec::new() }
    }
}

/// The rows of a table by key.
pub(super) struct Rows {
    /// By key, where keys are about as many as rows.
    dense: Vec<u32>,
    /// The others.
    sparse: HashMap<i32, u32>,
}

impl Rows {
    fn new(keys: &[i32]) -> Self {
        let longest = keys.len() * 4 + 1_024;
        let mut rows = Self { dense: Vec::new(), sparse: HashMap::new() };
        for (row, &key) in (0..).zip(keys) {
            match usize::try_from(key) {
                Ok(place) if place < longest => {
                    rows.dense.resize(rows.dense.len().max(place + 1), MISSING);
                    rows.dense[place] = row;
                }
                _ => drop(rows.sparse.insert(key, row)),
            }
        }
        rows
    }

    pub(super) fn find(&self, key: i32) -> Option<u32> {
        let dense = usize::try_from(key).ok().and_then(|place| self.dense.get(place));
        match dense {
            Some(&row) if row != MISSING => Some(row),
            _ => self.sparse.get(&key).copied(),
        }
    }
}

/// A column whose kind may not be known yet: the values of each kind apart. Nearly every column has
/// values of one kind alone, and those of the others then take no memory.
#[derive(Default)]
struct Draft {
    numbers: Numbers,
    texts: Texts,
    lists: Lists,
}

#[derive(Default)]
struct Numbers {
    count: usize,
    values: Vec<f32>,
    /// The same while all are whole.
    integers: Vec<i64>,
    has_fractions: bool,
    /// Whether an f32 would change one of the integers.
    is_large: bool,
}

#[derive(Default)]
struct Texts {
    count: usize,
    codes: Vec<u32>,
    dictionary: IdTable,
}

#[derive(Default)]
struct Lists {
    count: usize,
    offsets: Vec<u32>,
    codes: Vec<u32>,
    dictionary: IdTable,
}

impl Draft {
    fn set(&mut self, row: usize, value: AttributeValue) -> Result<(), StoreError> {
        match value {
            AttributeValue::Number(number) => self.numbers.set(row, number),
            AttributeValue::Text(text) => self.texts.set(row, &text)?,
            AttributeValue::Tags(tags) => self.lists.set(row, &tags)?,
        }
        Ok(())
    }

    fn counts(&self) -> [(usize, AttributeKind); 3] {
        [
            (self.numbers.count, AttributeKind::Number),
            (self.texts.count, AttributeKind::Text),
            (self.lists.count, AttributeKind::Texts),
        ]
    }

    /// The kind of most values; of equally many kinds the last one, which is the least special.
    fn usual_kind(&self) -> AttributeKind {
        self.counts()
            .into_iter()
            .max_by_key(|(count, _)| *count)
            .map_or(AttributeKind::Text, |(_, kind)| kind)
    }

    fn finish(self, kind: AttributeKind, rows: usize, left_out: &mut usize) -> Values {
        *left_out += self
            .counts()
            .iter()
            .filter(|(_, of)| *of != kind)
            .map(|(count, _)| count)
            .sum::<usize>();
        match kind {
            AttributeKind::Number => self.numbers.finish(rows),
            AttributeKind::Text => self.texts.finish(rows),
            AttributeKind::Texts => self.lists.finish(rows),
        }
    }
}

impl Numbers {
    fn set(&mut self, row: usize, number: Number) {
        self.count += 1;
        self.values.resize(row, f32::NAN);
        self.values.push(number.to_f32());
        match number {
            Number::Integer(integer) if !self.has_fractions => {
                self.integers.resize(row, NO_INTEGER);
                self.integers.push(integer);
                self.is_large |= integer as f32 as i64 != integer;
            }
            Number::Integer(_) => {}
            Number::Decimal(_) => {
                self.has_fractions = true;
                self.integers = Vec::new();
            }
        }
    }

    fn finish(mut self, rows: usize) -> Values {
        if self.is_large && !self.has_fractions {
            self.integers.resize(rows, NO_INTEGER);
            return Values::Integer(self.integers);
        }
        self.values.resize(rows, f32::NAN);
        Values::Number(self.values)
    }
}

impl Texts {
    fn set(&mut self, row: usize, text: &str) -> Result<(), StoreError> {
        check_room(&self.dictionary, text)?;
        self.count += 1;
        self.codes.resize(row, MISSING);
        self.codes.push(self.dictionary.insert(text));
        Ok(())
    }

    fn finish(mut self, rows: usize) -> Values {
        self.codes.resize(rows, MISSING);
        Values::Category { codes: self.codes, dictionary: self.dictionary }
    }
}

impl Lists {
    fn set(&mut self, row: usize, tags: &[String]) -> Result<(), StoreError> {
        self.count += 1;
        self.offsets.resize(row + 1, self.codes.len() as u32);
        for tag in tags {
            check_room(&self.dictionary, tag)?;
            self.codes.push(self.dictionary.insert(tag));
        }
        if self.codes.len() >= u32::MAX as usize {
            return Err(too_large());
        }
        Ok(())
    }

    fn finish(mut self, rows: usize) -> Values {
        self.offsets.resize(rows + 1, self.codes.len() as u32);
        Values::Tags { offsets: self.offsets, codes: self.codes, dictionary: self.dictionary }
    }
}

fn check_room(dictionary: &IdTable, text: &str) -> Result<(), StoreError> {
    let fits = dictionary.text_len() + text.len() < u32::MAX as usize;
    if fits { Ok(()) } else { Err(too_large()) }
}

fn too_large() -> StoreError {
    StoreError::Refused(
        "an attribute of the shop takes more than 4 GiB of distinct text".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[&str], kinds: &[(&str, AttributeKind)]) -> (Entities, usize) {
        let mut table = EntityTable::with_kinds(
            kinds.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect(),
        );
        for (key, attributes) in (1..).zip(rows) {
            table
                .push(EntityRow { key, id: &format!("a{key}"), available: true, attributes })
                .unwrap();
        }
        let mut left_out = 0;
        (table.finish(&mut left_out), left_out)
    }

    #[test]
    fn columns_get_the_kind_of_the_database_or_of_most_values() {
        let rows = [
            r#"{"size":"M","width":2}"#,
            r#"{"size":3,"width":2.5,"tags":["a","b"]}"#,
            r#"{"size":"L"}"#,
        ];
        let (entities, left_out) = table(&rows, &[("empty", AttributeKind::Number)]);
        let values = |name: &str| &entities.column(name).unwrap().values;
        assert_eq!([0, 1, 2].map(|row| values("size").category(row)), [Some("M"), None, Some("L")]);
        assert_eq!([0, 1, 2].map(|row| values("width").number(row)), [Some(2.0), Some(2.5), None]);
        assert_eq!(values("tags").tags(1).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((values("tags").tags(2).count(), values("empty").number(0)), (0, None));
        assert_eq!(left_out, 1);
        let (entities, left_out) = table(&rows, &[("size", AttributeKind::Number)]);
        assert_eq!((entities.column("size").unwrap().values.number(1), left_out), (Some(3.0), 2));
    }

    #[test]
    fn whole_numbers_beyond_24_bits_stay_exact() {
        let (entities, _) = table(&[r#"{"ean":4006381333931}"#, "{}", r#"{"ean":5}"#], &[]);
        let ean = &entities.column("ean").unwrap().values;
        assert_eq!([0, 1, 2].map(|row| ean.integer(row)), [Some(4_006_381_333_931), None, Some(5)]);
        let (entities, _) = table(&[r#"{"ean":4006381333931}"#, r#"{"ean":0.5}"#], &[]);
        assert!(matches!(entities.column("ean").unwrap().values, Values::Number(_)));
    }

    #[test]
    fn bad_rows_lose_only_what_is_bad() {
        let (entities, left_out) = table(&[r#"{"a":true,"b":1}"#, "[]", r#"{"b":2}"#], &[]);
        assert_eq!((entities.len(), left_out), (3, 1));
        assert_eq!(entities.column("b").unwrap().values.number(2), Some(2.0));
    }

    #[test]
    fn keys_are_found_however_they_are_spread() {
        let rows = Rows::new(&[3, 7, -2, i32::MAX]);
        assert_eq!([3, 7, -2, i32::MAX].map(|key| rows.find(key)), [0, 1, 2, 3].map(Some));
        assert_eq!([0, 4, 9_999, i32::MIN].map(|key| rows.find(key)), [None; 4]);
    }
}
