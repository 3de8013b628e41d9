//! The feature schema: what goes into each tower, in which position.

use crate::domain::Timestamp;
use serde::{Deserialize, Serialize};

/// The inputs of both towers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureSchema {
    pub query: TowerSchema,
    pub item: TowerSchema,
}

/// The features of one tower; a tower's first layer sees them concatenated in this order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TowerSchema {
    pub features: Vec<Feature>,
}

/// One feature: where it comes from and how it is encoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    /// Unique within the tower.
    pub name: String,
    /// An attribute's name, or one of the built-in `customer_id`, `article_id`, `at` (the moment of
    /// the query), `history`.
    pub source: String,
    #[serde(flatten)]
    pub encoding: Encoding,
}

/// How a value becomes tower input. `vocabulary` names a file of the bundle's `vocabularies/`; a
/// value that is not in it maps to the row after the last, the *unknown* row, so a table has `rows
/// = len + 1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "encoding", rename_all = "kebab-case")]
pub enum Encoding {
    /// A trained row of `rows × dim`. While training, a value is replaced by the unknown row with
    /// probability `dropout`. Of the source `at`, the values are the days of the training
    /// purchases, as `2020-09-22`.
    Embedding { vocabulary: String, rows: usize, dim: usize, dropout: f32 },
    /// One-hot of width `rows`, `dropout` as above.
    OneHot {
        vocabulary: String,
        rows: usize,
        #[serde(default)]
        dropout: f32,
    },
    /// One-hot of the group `⌈(x − min) / width⌉` of a number, cut to `0..rows`; `missing` is the
    /// group of those without one.
    Bucket { min: f32, width: f32, rows: usize, missing: usize },
    /// Any number of values: their one-hots summed, unknown values dropped (`rows` = vocabulary
    /// length); fills `rows` numbers.
    MultiHot { vocabulary: String, rows: usize },
    /// The trained rows of the customer's last `length` articles, newest first, averaged with
    /// weights `decay^position`; empty positions hold the unknown row and weigh nothing. Zeros for
    /// an empty history.
    History { vocabulary: String, rows: usize, dim: usize, length: usize, decay: f32 },
    /// The customer's last `length` articles, newest first, each a token of its own: rows of a
    /// trained table of `rows × dim`. Empty positions hold the unknown row.
    Sequence { vocabulary: String, rows: usize, dim: usize, length: usize },
    /// How long ago each article of the sequence was bought: a trained row for each class of age,
    /// the row after the last where the position is empty.
    SequenceDays { ages: AgeClasses, rows: usize, dim: usize, length: usize },
    /// The time from each article of the sequence to the next one, and from the latest to the moment
    /// of the query: a trained row for each class of [`GapClasses`], the row after the last where
    /// the position is empty.
    SequenceGaps { gaps: GapClasses, rows: usize, dim: usize, length: usize },
    /// `(x − mean) / std`; 0 where missing. What lies outside `range`, the smallest and largest
    /// number of training, is cut to it: a model says nothing sensible about numbers far beyond
    /// those it learnt from.
    Number {
        mean: f32,
        std: f32,
        /// `None` in bundles of earlier versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        range: Option<(f32, f32)>,
    },
    /// A computed vector of `dim` numbers as it is, such as that of an article's text; zeros where
    /// there is none.
    Vector { dim: usize },
    /// `sin, cos` of 2π(month − 1)/12, two numbers.
    CyclicMonth,
}

/// Days counted back from the end of the training data, in classes of equal width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgeClasses {
    /// Age 0: the last training purchase. What is later has age 0 too.
    pub end: Timestamp,
    /// Days the classes cover together; what is older falls into the last one.
    pub days: u32,
    pub classes: u32,
}

impl AgeClasses {
    /// The class of a moment, below `classes`.
    pub fn class(&self, at: Timestamp) -> u32 {
        let age = self.end.day().saturating_sub(at.day());
        let class = u64::from(age) * u64::from(self.classes) / u64::from(self.days.max(1));
        class.min(u64::from(self.classes.saturating_sub(1))) as u32
    }
}

/// Times between two moments, in classes that double in width: 0, 1, 2 to 3, 4 to 7 … units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GapClasses {
    /// Seconds of a unit, as exactly as moments are known: 1, or 86,400 where only days are.
    pub unit: u32,
    /// Longer times fall into the last class.
    pub classes: u32,
}

impl GapClasses {
    /// As many classes as moments can be apart.
    pub const MOST: u32 = u32::BITS + 1;

    /// The class of the time from one moment to another, below `classes`.
    pub fn class(&self, from: Timestamp, to: Timestamp) -> u32 {
        let unit = self.unit.max(1);
        let gap = (to.0 / unit).saturating_sub(from.0 / unit);
        (u32::BITS - gap.leading_zeros()).min(self.classes.saturating_sub(1))
    }
}

/// Where a feature stands in the rows of inputs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Slot<'a> {
    /// `indices[at]` picks a row of the trained table of feature `name`.
    Embedding { name: &'a str, rows: usize, dim: usize, at: usize },
    /// `indices[at]` picks the hot position.
    OneHot { rows: usize, at: usize },
    /// `indices[at..at + length]`: weighted mean of trained rows, the last row of the table being
    /// padding.
    History { name: &'a str, rows: usize, dim: usize, at: usize, length: usize, decay: f32 },
    /// `indices[at..at + length]`: rows of the trained table of feature `name`, one a token, newest
    /// first; the last row of the table is padding.
    Sequence { name: &'a str, rows: usize, dim: usize, at: usize, length: usize },
    /// `numbers[at..at + width]` as they are.
    Numbers { at: usize, width: usize },
}

impl Encoding {
    /// The group of a number in a [`Self::Bucket`] of these parameters.
    pub(super) fn bucket(x: f32, min: f32, width: f32, rows: usize) -> usize {
        // The cast cuts at 0 and at the largest number there is.
        (((x - min) / width).ceil() as usize).min(rows.saturating_sub(1))
    }
}

impl Slot<'_> {
    /// How many columns of the first layer's input, or of a token, the slot fills.
    pub fn width(&self) -> usize {
        match *self {
            Self::Embedding { dim, .. }
            | Self::History { dim, .. }
            | Self::Sequence { dim, .. } => dim,
            Self::OneHot { rows, .. } => rows,
            Self::Numbers { width, .. } => width,
        }
    }
}

impl TowerSchema {
    /// The positions of every feature, in order.
    pub fn slots(&self) -> Vec<Slot<'_>> {
        let (mut index, mut number) = (0, 0);
        let mut slots = Vec::with_capacity(self.features.len());
        for feature in &self.features {
            let name = feature.name.as_str();
            slots.push(match feature.encoding {
                Encoding::Embedding { rows, dim, .. } => {
                    index += 1;
                    Slot::Embedding { name, rows, dim, at: index - 1 }
                }
                Encoding::OneHot { rows, .. } | Encoding::Bucket { rows, .. } => {
                    index += 1;
                    Slot::OneHot { rows, at: index - 1 }
                }
                Encoding::History { rows, dim, length, decay, .. } => {
                    index += length;
                    Slot::History { name, rows, dim, at: index - length, length, decay }
                }
                Encoding::Sequence { rows, dim, length, .. }
                | Encoding::SequenceDays { rows, dim, length, .. }
                | Encoding::SequenceGaps { rows, dim, length, .. } => {
                    index += length;
                    Slot::Sequence { name, rows, dim, at: index - length, length }
                }
                Encoding::MultiHot { rows: width, .. } | Encoding::Vector { dim: width } => {
                    number += width;
                    Slot::Numbers { at: number - width, width }
                }
                Encoding::Number { .. } => {
                    number += 1;
                    Slot::Numbers { at: number - 1, width: 1 }
                }
                Encoding::CyclicMonth => {
                    number += 2;
                    Slot::Numbers { at: number - 2, width: 2 }
                }
            });
        }
        slots
    }

    /// `(indices, numbers)` a row.
    pub fn row_widths(&self) -> (usize, usize) {
        let (mut indices, mut numbers) = (0, 0);
        for slot in self.slots() {
            match slot {
                Slot::Embedding { .. } | Slot::OneHot { .. } => indices += 1,
                Slot::History { length, .. } | Slot::Sequence { length, .. } => indices += length,
                Slot::Numbers { width, .. } => numbers += width,
            }
        }
        (indices, numbers)
    }

    /// Columns of the first layer's input.
    pub fn input_width(&self) -> usize {
        self.slots().iter().map(Slot::width).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_fall_into_classes_that_double() {
        let class = |unit, classes, from, to| {
            GapClasses { unit, classes }.class(Timestamp(from), Timestamp(to))
        };
        let seconds = |gap: u32| class(1, GapClasses::MOST, 5, 5 + gap);
        assert_eq!([0, 1, 2, 3, 4, 7, 8].map(seconds), [0, 1, 2, 2, 3, 3, 4]);
        assert_eq!(class(1, GapClasses::MOST, 0, u32::MAX), GapClasses::MOST - 1);
        assert_eq!(class(1, 4, 0, 1_000), 3, "longer than all of training");
        assert_eq!(class(1, 4, 9, 2), 0, "backwards");
        let day = Timestamp::DAY;
        let days = |from, to| class(day, GapClasses::MOST, from, to);
        assert_eq!(days(day, 2 * day - 1), 0, "two moments of one day");
        assert_eq!([days(2 * day - 1, 2 * day), days(0, 2 * day), days(3, 4 * day)], [1, 2, 3]);
    }
}
