//! The values of one attribute.

use super::{Cell, chunks::Chunks, texts::Texts};
use crate::{
    dataset::MISSING,
    domain::{AttributeKind, Number},
};
use hashbrown::HashMap;
use std::sync::Arc;

/// One attribute of all articles.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub(super) values: Values,
}

#[derive(Debug, Clone)]
pub(super) enum Values {
    Numbers(Numbers),
    Texts { codes: Chunks<u32>, dictionary: Texts },
    TextLists { lists: Chunks<Option<Arc<[u32]>>>, dictionary: Texts },
}

/// A value as a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    Integer(i64),
    /// The bits of an f64.
    Decimal(u64),
    /// The code of the column's dictionary.
    Text(u32),
}

impl From<Number> for Group {
    fn from(number: Number) -> Self {
        match number {
            Number::Integer(integer) => Self::Integer(integer),
            Number::Decimal(decimal) => Self::Decimal(decimal.to_bits()),
        }
    }
}

/// Numbers at 8 bytes a row. The bits of an f64 hold whole numbers below 2⁵³ exactly; those above
/// stand in `large` too.
#[derive(Debug, Clone)]
pub(super) struct Numbers {
    bits: Chunks<u64>,
    large: Arc<HashMap<u32, i64>>,
}

/// From here on an f64 does not hold every whole number.
const LARGE: u64 = 1 << 53;

impl Numbers {
    fn get(&self, row: u32) -> Option<Number> {
        let number = f64::from_bits(*self.bits.get(row));
        if number.is_nan() {
            return None;
        }
        if number.abs() >= LARGE as f64
            && let Some(&exact) = self.large.get(&row)
        {
            return Some(Number::Integer(exact));
        }
        Number::new(number)
    }

    fn set(&mut self, row: u32, number: Number) -> bool {
        let large = match number {
            Number::Integer(integer) if integer.unsigned_abs() >= LARGE => Some(integer),
            _ => None,
        };
        let mut changed = self.bits.set(row, number.to_f64().to_bits());
        if self.large.get(&row).copied() != large {
            let numbers = Arc::make_mut(&mut self.large);
            match large {
                Some(integer) => numbers.insert(row, integer),
                None => numbers.remove(&row),
            };
            changed = true;
        }
        changed
    }
}

impl Column {
    pub(super) fn new(name: &str, kind: AttributeKind) -> Self {
        let values = match kind {
            AttributeKind::Number => Values::Numbers(Numbers {
                bits: Chunks::new(f64::NAN.to_bits()),
                large: Arc::default(),
            }),
            AttributeKind::Text => {
                Values::Texts { codes: Chunks::new(MISSING), dictionary: Texts::default() }
            }
            AttributeKind::Texts => {
                Values::TextLists { lists: Chunks::new(None), dictionary: Texts::default() }
            }
        };
        Self { name: name.to_owned(), values }
    }

    pub fn kind(&self) -> AttributeKind {
        match self.values {
            Values::Numbers(_) => AttributeKind::Number,
            Values::Texts { .. } => AttributeKind::Text,
            Values::TextLists { .. } => AttributeKind::Texts,
        }
    }

    /// The number of a row; `None` where missing or in a column of another kind.
    pub fn number(&self, row: u32) -> Option<Number> {
        match &self.values {
            Values::Numbers(numbers) => numbers.get(row),
            _ => None,
        }
    }

    /// The text of a row; `None` where missing or in a column of another kind.
    pub fn text(&self, row: u32) -> Option<&str> {
        match &self.values {
            Values::Texts { codes, dictionary } => Some(*codes.get(row))
                .filter(|&code| code != MISSING)
                .map(|code| dictionary.get(code)),
            _ => None,
        }
    }

    /// The texts of a row of lists; `None` where missing or in a column of another kind.
    pub fn texts(&self, row: u32) -> Option<impl ExactSizeIterator<Item = &str>> {
        match &self.values {
            Values::TextLists { lists, dictionary } => {
                let list = lists.get(row).as_deref()?;
                Some(list.iter().map(move |&code| dictionary.get(code)))
            }
            _ => None,
        }
    }

    /// What rows of one value share; `None` where missing or in a column of lists.
    pub fn group(&self, row: u32) -> Option<Group> {
        match &self.values {
            Values::Numbers(numbers) => numbers.get(row).map(Group::from),
            Values::Texts { codes, .. } => {
                Some(*codes.get(row)).filter(|&code| code != MISSING).map(Group::Text)
            }
            Values::TextLists { .. } => None,
        }
    }

    /// Whether the row has a value.
    pub fn has_value(&self, row: u32) -> bool {
        match &self.values {
            Values::Numbers(numbers) => numbers.get(row).is_some(),
            Values::Texts { codes, .. } => *codes.get(row) != MISSING,
            Values::TextLists { lists, .. } => lists.get(row).is_some(),
        }
    }

    /// Gives a row a value; answers whether it had another. A value of a narrower kind is widened:
    /// a number in a column of texts becomes its digits, a number or text in one of lists a list of
    /// one.
    ///
    /// # Errors
    /// The kind of the value, where it cannot be widened to that of the column.
    pub(super) fn set(&mut self, row: u32, cell: Cell<'_>) -> Result<bool, AttributeKind> {
        Ok(match (&mut self.values, cell) {
            (Values::Numbers(numbers), Cell::Number(number)) => numbers.set(row, number),
            (Values::Texts { codes, dictionary }, Cell::Text(text)) => {
                codes.set(row, dictionary.insert(text))
            }
            (Values::Texts { codes, dictionary }, Cell::Number(number)) => {
                codes.set(row, dictionary.insert(&number.to_string()))
            }
            (Values::TextLists { lists, dictionary }, Cell::Texts(texts)) => {
                let list: Arc<[u32]> = texts.iter().map(|text| dictionary.insert(text)).collect();
                lists.set(row, (!list.is_empty()).then_some(list))
            }
            (Values::TextLists { lists, dictionary }, Cell::Text(text)) => {
                lists.set(row, Some([dictionary.insert(text)].into()))
            }
            (Values::TextLists { lists, dictionary }, Cell::Number(number)) => {
                lists.set(row, Some([dictionary.insert(&number.to_string())].into()))
            }
            (_, cell) => return Err(cell.kind()),
        })
    }

    pub(super) fn clear(&mut self, row: u32) -> bool {
        match &mut self.values {
            Values::Numbers(numbers) => {
                if numbers.large.contains_key(&row) {
                    Arc::make_mut(&mut numbers.large).remove(&row);
                }
                numbers.bits.clear(row)
            }
            Values::Texts { codes, .. } => codes.clear(row),
            Values::TextLists { lists, .. } => lists.clear(row),
        }
    }

    /// The code that stands for a text in this column, if any row has or had it.
    pub fn code(&self, text: &str) -> Option<u32> {
        match &self.values {
            Values::Numbers(_) => None,
            Values::Texts { dictionary, .. } | Values::TextLists { dictionary, .. } => {
                dictionary.find(text)
            }
        }
    }

    /// Distinct texts that any row has or had; codes lie below.
    pub fn codes(&self) -> usize {
        match &self.values {
            Values::Numbers(_) => 0,
            Values::Texts { dictionary, .. } | Values::TextLists { dictionary, .. } => {
                dictionary.len()
            }
        }
    }

    /// Whether any of the row's texts has such a code.
    pub fn any_code(&self, row: u32, wanted: impl Fn(u32) -> bool) -> bool {
        match &self.values {
            Values::Numbers(_) => false,
            Values::Texts { codes, .. } => {
                Some(*codes.get(row)).is_some_and(|code| code != MISSING && wanted(code))
            }
            Values::TextLists { lists, .. } => {
                lists.get(row).as_deref().is_some_and(|list| list.iter().any(|&code| wanted(code)))
            }
        }
    }
}
