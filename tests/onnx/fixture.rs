//! Small towers with seeded random parameters.

use rand::{Rng, SeedableRng, rngs::StdRng};
use vitrine::{
    features::{Encoding, Feature, Slot, TowerSchema},
    onnx::{Dense, Input, TowerGraph},
};

/// Weight, bias, inputs, outputs.
pub type Layer = (Vec<f32>, Vec<f32>, usize, usize);

/// A tower with its parameters.
pub struct Fixture {
    pub name: String,
    pub schema: TowerSchema,
    /// One table a slot; empty where the slot has none.
    tables: Vec<Vec<f32>>,
    layers: Vec<Layer>,
    normalize: bool,
}

pub fn feature(name: &str, encoding: Encoding) -> Feature {
    Feature { name: name.to_owned(), source: name.to_owned(), encoding }
}

pub fn embedding(name: &str, rows: usize, dim: usize) -> Feature {
    feature(name, Encoding::Embedding { vocabulary: name.to_owned(), rows, dim, dropout: 0.0 })
}

pub fn one_hot(name: &str, rows: usize) -> Feature {
    feature(name, Encoding::OneHot { vocabulary: name.to_owned(), rows, dropout: 0.0 })
}

pub fn multi_hot(name: &str, rows: usize) -> Feature {
    feature(name, Encoding::MultiHot { vocabulary: name.to_owned(), rows })
}

pub fn number(name: &str) -> Feature {
    feature(name, Encoding::Number { mean: 1.0, std: 2.0, range: None })
}

pub fn history(vocabulary: &str, rows: usize, dim: usize, length: usize, decay: f32) -> Feature {
    feature(
        "history",
        Encoding::History { vocabulary: vocabulary.to_owned(), rows, dim, length, decay },
    )
}

impl Fixture {
    /// A tower over `features` with dense layers of the given widths.
    pub fn new(name: &str, features: Vec<Feature>, widths: &[usize], normalize: bool) -> Self {
        let mut rng = StdRng::seed_from_u64(features.len() as u64 * 31 + widths.len() as u64);
        let mut random =
            |n: usize| -> Vec<f32> { (0..n).map(|_| rng.random_range(-0.5..0.5)).collect() };
        let schema = TowerSchema { features };
        let tables = schema.slots().into_iter().map(|slot| match slot {
            Slot::Embedding { rows, dim, .. } | Slot::History { rows, dim, .. } => {
                random(rows * dim)
            }
            Slot::OneHot { .. } | Slot::Numbers { .. } => Vec::new(),
            Slot::Sequence { .. } => unreachable!("a dense tower reads no sequences"),
        });
        let tables = tables.collect();
        let mut inputs = schema.input_width();
        let mut layers = Vec::new();
        for &outputs in widths {
            layers.push((random(inputs * outputs), random(outputs), inputs, outputs));
            inputs = outputs;
        }
        Self { name: name.to_owned(), schema, tables, layers, normalize }
    }

    /// The tower with other parameters: one table for each embedding and history, layers as
    /// (weight, bias, inputs, outputs).
    pub fn with_parameters(mut self, tables: Vec<Vec<f32>>, layers: Vec<Layer>) -> Self {
        let mut tables = tables.into_iter();
        for table in self.tables.iter_mut().filter(|table| !table.is_empty()) {
            *table = tables.next().expect("a table for each slot that has one");
        }
        self.layers = layers;
        self
    }

    pub fn tower(&self) -> TowerGraph<'_> {
        let inputs =
            self.schema.slots().into_iter().zip(&self.tables).map(|(slot, table)| match slot {
                Slot::Embedding { name, rows, dim, at } => {
                    Input::Embedding { name, table, rows, dim, at }
                }
                Slot::OneHot { rows, at } => Input::OneHot { name: "one hot", rows, at },
                Slot::History { name, rows, dim, at, length, decay } => {
                    Input::History { name, table, rows, dim, at, length, decay }
                }
                Slot::Numbers { at, width } => Input::Numbers { at, width },
                Slot::Sequence { .. } => unreachable!("a dense tower reads no sequences"),
            });
        let layers = self.layers.iter().map(|(weight, bias, inputs, outputs)| Dense {
            weight,
            bias,
            inputs: *inputs,
            outputs: *outputs,
        });
        TowerGraph {
            name: &self.name,
            widths: self.schema.row_widths(),
            inputs: inputs.collect(),
            layers: layers.collect(),
            normalize: self.normalize,
        }
    }

    /// Random rows of inputs. Histories of the first three rows are full, half padded and empty.
    pub fn rows(&self, batch: usize) -> (Vec<i64>, Vec<f32>) {
        let mut rng = StdRng::seed_from_u64(7);
        let (mut indices, mut numbers) = (Vec::new(), Vec::new());
        for row in 0..batch {
            for slot in self.schema.slots() {
                match slot {
                    Slot::Embedding { rows, .. } | Slot::OneHot { rows, .. } => {
                        indices.push(rng.random_range(0..rows as i64));
                    }
                    Slot::History { rows, length, .. } => {
                        let known = match row {
                            0 => length,
                            1 => length / 2,
                            2 => 0,
                            _ => rng.random_range(0..=length),
                        };
                        let padding = rows as i64 - 1;
                        indices.extend((0..length).map(|j| {
                            if j < known { rng.random_range(0..padding) } else { padding }
                        }));
                    }
                    Slot::Sequence { .. } => unreachable!("a dense tower reads no sequences"),
                    Slot::Numbers { width, .. } => {
                        numbers.extend((0..width).map(|_| rng.random_range(-2.0..2.0f32)))
                    }
                }
            }
        }
        (indices, numbers)
    }
}
