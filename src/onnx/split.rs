//! A tower in parts: an encoder for each of its tables, and the layers over the concatenated
//! columns.

use super::{Input, TowerGraph};

/// The parts of a tower; `concatenate(encoders' outputs, one-hots, numbers)` in the order of its
/// inputs, put through `layers`, is what the tower itself computes.
pub struct SplitTower<'a> {
    /// One a table, by the name of its feature: `indices` `[batch, 1]`, or `[batch, length]` of a
    /// history, to `[batch, dim]`.
    pub encoders: Vec<(&'a str, TowerGraph<'a>)>,
    /// The dense layers: `numbers` `[batch, width of all inputs]` to `[batch, dim]`.
    pub layers: TowerGraph<'a>,
}

impl<'a> SplitTower<'a> {
    pub fn of(tower: &TowerGraph<'a>) -> Self {
        let encoder = |input: &Input<'a>| {
            let (name, columns, input) = match *input {
                Input::Embedding { name, table, rows, dim, .. } => {
                    (name, 1, Input::Embedding { name, table, rows, dim, at: 0 })
                }
                Input::History { name, table, rows, dim, length, decay, .. } => {
                    (name, length, Input::History { name, table, rows, dim, at: 0, length, decay })
                }
                Input::OneHot { .. } | Input::Numbers { .. } => return None,
            };
            let graph = TowerGraph {
                name,
                widths: (columns, 0),
                inputs: vec![input],
                layers: vec![],
                normalize: false,
            };
            Some((name, graph))
        };
        let width = tower.inputs.iter().map(Input::width).sum();
        Self {
            encoders: tower.inputs.iter().filter_map(encoder).collect(),
            layers: TowerGraph {
                name: tower.name,
                widths: (0, width),
                inputs: vec![Input::Numbers { at: 0, width }],
                layers: tower.layers.clone(),
                normalize: tower.normalize,
            },
        }
    }
}
