//! Starting from the towers of a bundle.

use crate::{
    bundle::{Constant, Constants},
    features::{Encoder, Encoding, Feature, TowerSchema, Vocabularies},
    model::{Side, Table, TwoTower},
    training::WarmStart,
};

/// # Errors
/// Towers of other layers than the bundle's.
pub(super) fn warm(
    model: &mut TwoTower,
    from: &WarmStart,
    encoder: &Encoder,
) -> Result<(), String> {
    let schema = encoder.schema();
    for (name, side, new, old, constants) in [
        ("query", &mut model.query, &schema.query, &from.schema.query, &from.query),
        ("item", &mut model.item, &schema.item, &from.schema.item, &from.item),
    ] {
        let shapes =
            Shapes { new, old, names: encoder.vocabularies(), old_names: &from.vocabularies };
        shapes.copy(side, constants).map_err(|reason| format!("the {name} tower {reason}"))?;
    }
    Ok(())
}

/// A tower and the tower of the bundle.
struct Shapes<'a> {
    new: &'a TowerSchema,
    old: &'a TowerSchema,
    names: &'a Vocabularies,
    old_names: &'a Vocabularies,
}

impl Shapes<'_> {
    fn copy(&self, side: &mut Side, constants: &Constants) -> Result<(), String> {
        let weights: Vec<&Constant> =
            (0..).map_while(|i| constants.get(&format!("layer_{i}_weight"))).collect();
        let dims = |weight: &Constant| (weight.dims.first().copied(), weight.dims.get(1).copied());
        let same = |(i, (layer, weight)): (usize, (&crate::model::Dense, &&Constant))| {
            let (inputs, outputs) = dims(weight);
            (i == 0 || inputs == Some(layer.inputs)) && outputs == Some(layer.outputs)
        };
        let layers = &mut side.tower.layers;
        if layers.len() != weights.len() || !layers.iter().zip(&weights).enumerate().all(same) {
            return Err("has other layers than the one of the bundle".to_owned());
        }
        for (i, (layer, weight)) in layers.iter_mut().zip(&weights).enumerate() {
            let bias = constants
                .get(&format!("layer_{i}_bias"))
                .filter(|bias| bias.values.len() == layer.outputs);
            layer.bias.copy_from_slice(&bias.ok_or("lacks a bias")?.values);
            if i > 0 {
                layer.weight.copy_from_slice(&weight.values);
            }
        }
        if let (Some(layer), Some(weight)) = (layers.first_mut(), weights.first()) {
            let outputs = layer.outputs;
            for (new, old) in self.inputs() {
                if let Some(row) = weight.row(old) {
                    layer.weight[new * outputs..(new + 1) * outputs].copy_from_slice(row);
                }
            }
        }
        let mut tables = side.tables.iter_mut();
        for feature in &self.new.features {
            if let Encoding::Embedding { dim, .. } | Encoding::History { dim, .. } =
                feature.encoding
                && let Some(table) = tables.next()
                && let Some(weights) =
                    constants.table(&feature.name).filter(|t| t.dims.get(1) == Some(&dim))
            {
                self.copy_table(feature, table, weights);
            }
        }
        Ok(())
    }

    /// Rows of a table by the values that they stand for, and the unknown row.
    fn copy_table(&self, feature: &Feature, table: &mut Table, weights: &Constant) {
        let unknown = weights.row(weights.dims[0].saturating_sub(1)).unwrap_or_default();
        for (new, old) in self.values(feature) {
            // A row that no purchase has touched was written as the unknown one, and says nothing
            // of its own.
            if let Some(row) =
                weights.row(old).filter(|&row| row != unknown || new + 1 == table.rows())
            {
                table.set_row(new, row);
            }
        }
    }

    /// Pairs of rows, of the new and of the old table of a feature, that stand for the same value;
    /// the unknown rows last.
    fn values(&self, feature: &Feature) -> Vec<(usize, usize)> {
        let Some(old) = self.old.features.iter().find(|old| old.name == feature.name) else {
            return Vec::new();
        };
        let (Some(name), Some(old_name)) = (vocabulary(feature), vocabulary(old)) else {
            return Vec::new();
        };
        let (Some(values), Some(old_values)) = (self.names.get(name), self.old_names.get(old_name))
        else {
            return Vec::new();
        };
        let known = (0..)
            .zip(values.iter())
            .filter_map(|(row, value)| Some((row, old_values.find(value)? as usize)));
        known.chain([(values.len(), old_values.len())]).collect()
    }

    /// Pairs of columns of the first layer's input, of the new and of the old tower, that mean the
    /// same.
    fn inputs(&self) -> Vec<(usize, usize)> {
        let mut pairs = Vec::new();
        let mut at = 0;
        for (feature, slot) in self.new.features.iter().zip(self.new.slots()) {
            let mut old_at = 0;
            for (old, old_slot) in self.old.features.iter().zip(self.old.slots()) {
                if old.name == feature.name {
                    let columns = self.columns(feature, old, (slot.width(), old_slot.width()));
                    pairs.extend(columns.into_iter().map(|(new, old)| (at + new, old_at + old)));
                }
                old_at += old_slot.width();
            }
            at += slot.width();
        }
        pairs
    }

    /// The same within the columns of one feature.
    fn columns(
        &self,
        new: &Feature,
        old: &Feature,
        (width, old_width): (usize, usize),
    ) -> Vec<(usize, usize)> {
        match (&new.encoding, &old.encoding) {
            (Encoding::OneHot { .. }, Encoding::OneHot { .. }) => self.values(new),
            (Encoding::MultiHot { .. }, Encoding::MultiHot { .. }) => {
                // The pair of unknown values has no columns here.
                self.values(new)
                    .into_iter()
                    .filter(|&(new, old)| new < width && old < old_width)
                    .collect()
            }
            (
                Encoding::Bucket { min, width: of, .. },
                Encoding::Bucket { min: old_min, width: old_of, .. },
            ) if (min, of) == (old_min, old_of) => {
                (0..width.min(old_width)).map(|column| (column, column)).collect()
            }
            (a, b)
                if width == old_width && std::mem::discriminant(a) == std::mem::discriminant(b) =>
            {
                (0..width).map(|column| (column, column)).collect()
            }
            _ => Vec::new(),
        }
    }
}

fn vocabulary(feature: &Feature) -> Option<&str> {
    match &feature.encoding {
        Encoding::Embedding { vocabulary, .. }
        | Encoding::OneHot { vocabulary, .. }
        | Encoding::MultiHot { vocabulary, .. }
        | Encoding::History { vocabulary, .. } => Some(vocabulary),
        _ => None,
    }
}
