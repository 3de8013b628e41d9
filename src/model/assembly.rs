//! From rows of raw features to a tower's input matrix, and its gradient back to the tables.

use super::table::{Scatter, Table};
use crate::features::{Slot, TowerSchema};

/// Rows of raw tower inputs as [`crate::features`] encodes them: `rows × indices` and `rows ×
/// numbers`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inputs {
    pub rows: usize,
    pub indices: Vec<i64>,
    pub numbers: Vec<f32>,
}

/// Which weights a row of a table stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// Its own.
    Training,
    /// Its own once it is trained, the unknown row's before.
    Trained,
}

/// Where every feature of a tower goes in the input matrix. Tables are numbered in the schema's
/// order.
#[derive(Debug, Clone)]
pub struct Assembly {
    parts: Vec<(usize, Part)>,
    /// `(rows, dim)` and name of every table.
    tables: Vec<(String, usize, usize)>,
    /// `(indices, numbers)` a row.
    widths: (usize, usize),
    width: usize,
}

#[derive(Debug, Clone)]
enum Part {
    Row { table: usize, at: usize },
    OneHot { at: usize },
    History { table: usize, at: usize, weights: Vec<f32> },
    Numbers { at: usize, width: usize },
}

impl Assembly {
    pub fn of(schema: &TowerSchema) -> Self {
        let (mut parts, mut tables, mut column) = (Vec::new(), Vec::new(), 0);
        for slot in schema.slots() {
            let part = match slot {
                Slot::Embedding { name, rows, dim, at } => {
                    tables.push((name.to_owned(), rows, dim));
                    Part::Row { table: tables.len() - 1, at }
                }
                Slot::History { name, rows, dim, at, length, decay } => {
                    tables.push((name.to_owned(), rows, dim));
                    let weights = (0..length).map(|position| decay.powi(position as i32)).collect();
                    Part::History { table: tables.len() - 1, at, weights }
                }
                Slot::Sequence { .. } => {
                    unreachable!("a dense tower reads no sequences: the configuration is checked")
                }
                Slot::OneHot { at, .. } => Part::OneHot { at },
                Slot::Numbers { at, width } => Part::Numbers { at, width },
            };
            parts.push((column, part));
            column += slot.width();
        }
        Self { parts, tables, widths: schema.row_widths(), width: column }
    }

    /// Columns of the input matrix.
    pub fn width(&self) -> usize {
        self.width
    }

    /// `(indices, numbers)` of a raw row.
    pub fn row_widths(&self) -> (usize, usize) {
        self.widths
    }

    /// Name, rows and width of every table.
    pub fn tables(&self) -> &[(String, usize, usize)] {
        &self.tables
    }

    /// Fills `out` (`rows × width`) with the input rows from `first` on.
    pub(super) fn gather(
        &self,
        tables: &[Table],
        rows: Rows,
        inputs: &Inputs,
        first: usize,
        out: &mut [f32],
    ) {
        out.fill(0.0);
        let pick = |table: usize, row: usize| match rows {
            Rows::Training => tables[table].row(row),
            Rows::Trained => tables[table].trained_row(row),
        };
        for (i, out) in out.chunks_exact_mut(self.width).enumerate() {
            let (indices, numbers) = self.row(inputs, first + i);
            for (column, part) in &self.parts {
                match part {
                    Part::Row { table, at } => {
                        let row = pick(*table, indices[*at] as usize);
                        out[*column..column + row.len()].copy_from_slice(row);
                    }
                    Part::OneHot { at } => out[column + indices[*at] as usize] = 1.0,
                    Part::Numbers { at, width } => {
                        out[*column..column + width].copy_from_slice(&numbers[*at..at + width]);
                    }
                    Part::History { table, at, weights } => {
                        let (_, rows, dim) = self.tables[*table];
                        let mean = &mut out[*column..column + dim];
                        for (row, weight) in known(rows, &indices[*at..], weights) {
                            mean.iter_mut()
                                .zip(pick(*table, row))
                                .for_each(|(m, w)| *m += weight * w);
                        }
                    }
                }
            }
        }
    }

    /// Adds the gradient of the input matrix (`rows × width`) to the rows of one table.
    pub fn scatter(&self, table: usize, inputs: &Inputs, gradient: &[f32], into: &mut Scatter) {
        let (_, rows, dim) = self.tables[table];
        for (column, part) in &self.parts {
            match part {
                Part::Row { table: t, at } if *t == table => {
                    for (i, g) in gradient.chunks_exact(self.width).enumerate() {
                        into.add(
                            self.row(inputs, i).0[*at] as usize,
                            1.0,
                            &g[*column..column + dim],
                        );
                    }
                }
                Part::History { table: t, at, weights } if *t == table => {
                    for (i, g) in gradient.chunks_exact(self.width).enumerate() {
                        for (row, weight) in known(rows, &self.row(inputs, i).0[*at..], weights) {
                            into.add(row, weight, &g[*column..column + dim]);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn row<'a>(&self, inputs: &'a Inputs, row: usize) -> (&'a [i64], &'a [f32]) {
        let (indices, numbers) = self.widths;
        (
            &inputs.indices[row * indices..(row + 1) * indices],
            &inputs.numbers[row * numbers..(row + 1) * numbers],
        )
    }
}

/// Table rows of a history with their shares of the mean; the last row is padding and has none.
fn known<'a>(
    rows: usize,
    indices: &'a [i64],
    weights: &'a [f32],
) -> impl Iterator<Item = (usize, f32)> + 'a {
    let filled =
        move || indices.iter().zip(weights).filter(move |&(&row, _)| row as usize + 1 != rows);
    let total: f32 = filled().map(|(_, weight)| weight).sum();
    filled().map(move |(&row, weight)| (row as usize, weight / total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::{Encoding, Feature};

    fn schema() -> TowerSchema {
        let feature =
            |name: &str, encoding| Feature { name: name.into(), source: name.into(), encoding };
        TowerSchema {
            features: vec![
                feature(
                    "id",
                    Encoding::Embedding { vocabulary: "id".into(), rows: 4, dim: 2, dropout: 0.0 },
                ),
                feature("age", Encoding::Number { mean: 0.0, std: 1.0, range: None }),
                feature(
                    "group",
                    Encoding::OneHot { vocabulary: "group".into(), rows: 3, dropout: 0.0 },
                ),
                feature(
                    "bought",
                    Encoding::History {
                        vocabulary: "id".into(),
                        rows: 5,
                        dim: 2,
                        length: 3,
                        decay: 0.5,
                    },
                ),
            ],
        }
    }

    #[test]
    fn features_land_in_their_columns_and_gradients_in_their_rows() {
        let assembly = Assembly::of(&schema());
        assert_eq!((assembly.width(), assembly.row_widths()), (8, (5, 1)));
        let mut tables = vec![Table::new(4, 2, 0), Table::new(5, 2, 0)];
        for (t, table) in tables.iter_mut().enumerate() {
            for (i, w) in table.weights.iter_mut().enumerate() {
                *w = (10 * t + i) as f32;
            }
        }
        let inputs = Inputs {
            rows: 2,
            indices: vec![1, 2, 0, 4, 3, 3, 0, 4, 4, 4],
            numbers: vec![0.5, -1.0],
        };
        let mut out = vec![9.0; 16];
        assembly.gather(&tables, Rows::Training, &inputs, 0, &mut out);
        // History of the first row: items 0 (weight 1) and 3 (weight ¼, position 1 being padding):
        // rows (10, 11), (16, 17).
        let want = [2.0, 3.0, 0.5, 0.0, 0.0, 1.0, 11.2, 12.2f32];
        assert!(out[..8].iter().zip(want).all(|(got, want)| (got - want).abs() < 1e-5), "{out:?}");
        assert_eq!(out[8..], [6.0, 7.0, -1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
        // Without training, a row that no step has touched counts as unknown.
        tables[0].steps[1] = 1;
        assembly.gather(&tables, Rows::Trained, &inputs, 0, &mut out);
        assert_eq!((&out[..2], &out[8..10]), (&[2.0, 3.0][..], &[6.0, 7.0][..]));
        tables[0].steps[1] = 0;
        assembly.gather(&tables, Rows::Trained, &inputs, 0, &mut out);
        assert_eq!((&out[..2], &out[8..10]), (&[6.0, 7.0][..], &[6.0, 7.0][..]));

        let gradient: Vec<f32> = (1..=16).map(|g| g as f32).collect();
        let mut scatter = Scatter::new(5, 2);
        assembly.scatter(1, &inputs, &gradient, &mut scatter);
        assert_eq!(
            scatter.sums(),
            [(0, vec![7.0 * 0.8, 8.0 * 0.8]), (3, vec![7.0 * 0.2, 8.0 * 0.2])]
        );
        let mut scatter = Scatter::new(4, 2);
        assembly.scatter(0, &inputs, &gradient, &mut scatter);
        assert_eq!(scatter.sums(), [(1, vec![1.0, 2.0]), (3, vec![9.0, 10.0])]);
    }
}
