//! An append-only set of strings numbered from 0: ids, vocabularies, dictionaries.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

/// Strings numbered in the order of their insertion, looked up both ways.
///
/// One buffer holds all bytes and the hash table holds only row numbers: 1.37 million ids of 64
/// characters cost about 110 MB.
#[derive(Clone, Default)]
pub struct IdTable {
    bytes: String,
    ends: Vec<u32>,
    rows: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl IdTable {
    pub fn new() -> Self {
        Self::default()
    }

    /// The row of `text`, inserting it as the last row when it is new.
    ///
    /// # Panics
    /// When the table would exceed 4 GiB of text or 2³²−2 rows.
    pub fn insert(&mut self, text: &str) -> u32 {
        let hash = self.hasher.hash_one(text);
        if let Some(&row) = self.rows.find(hash, |&row| self.get(row) == text) {
            return row;
        }
        let row = self.ends.len() as u32;
        self.bytes.push_str(text);
        assert!(
            self.bytes.len() <= u32::MAX as usize && row < u32::MAX - 1,
            "an id table holds at most 4 GiB of text"
        );
        self.ends.push(self.bytes.len() as u32);
        let Self { bytes, ends, rows, hasher } = self;
        rows.insert_unique(hash, row, |&row| hasher.hash_one(slice(bytes, ends, row)));
        row
    }

    /// The row of `text`, if it is in the table.
    pub fn find(&self, text: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(text);
        self.rows.find(hash, |&row| self.get(row) == text).copied()
    }

    /// The text of a row.
    ///
    /// # Panics
    /// When `row >= len()`.
    pub fn get(&self, row: u32) -> &str {
        slice(&self.bytes, &self.ends, row)
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of all texts together.
    pub fn text_len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.ends.len() as u32).map(|row| self.get(row))
    }
}

fn slice<'a>(bytes: &'a str, ends: &[u32], row: u32) -> &'a str {
    let row = row as usize;
    let start = if row == 0 { 0 } else { ends[row - 1] as usize };
    &bytes[start..ends[row] as usize]
}

impl std::fmt::Debug for IdTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IdTable({} rows)", self.len())
    }
}

impl<'a> FromIterator<&'a str> for IdTable {
    fn from_iter<I: IntoIterator<Item = &'a str>>(texts: I) -> Self {
        let mut table = Self::new();
        for text in texts {
            table.insert(text);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_numbered_in_order_and_found_again() {
        let mut table: IdTable = ["b", "a", "", "b"].into_iter().collect();
        assert_eq!(table.len(), 3);
        assert_eq!((table.find("a"), table.find("c")), (Some(1), None));
        assert_eq!(table.get(2), "");
        for i in 0..5_000 {
            table.insert(&i.to_string());
        }
        assert_eq!(table.get(table.find("4999").unwrap()), "4999");
        assert_eq!(table.iter().count(), 5_003);
    }
}
