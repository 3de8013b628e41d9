//! Towers in parts: encoders, then the layers over what they gave, one-hots and numbers.

use super::{assert_close, expected, fixture::Fixture, fixtures};
use std::path::Path;
use vitrine::{
    bundle::Tower,
    features::{Encoding, Feature, Slot, TowerSchema},
    onnx::{self, SplitTower},
};

/// One part of the layers' input, `batch` rows.
enum Part {
    /// Of an encoder: its indices.
    Encoded {
        file: String,
        schema: TowerSchema,
        dim: usize,
        indices: Vec<i64>,
    },
    Columns(Vec<f32>),
}

/// Writes `tower.onnx` (the layers) and an encoder for each table; the parts of the layers' input
/// in order.
fn write(
    directory: &Path,
    fixture: &Fixture,
    indices: &[i64],
    numbers: &[f32],
    batch: usize,
) -> Vec<Part> {
    let SplitTower { encoders, layers } = SplitTower::of(&fixture.tower());
    onnx::write(&layers, &directory.join("tower.onnx"), onnx::EXTERNAL_ABOVE).unwrap();
    let mut encoders = encoders.into_iter().enumerate();
    let (n, m) = fixture.schema.row_widths();
    let columns_of = |at: usize, len: usize| -> Vec<i64> {
        (0..batch).flat_map(|row| &indices[row * n + at..][..len]).copied().collect()
    };
    let mut encoded = |feature: &Feature, at: usize, len: usize, dim: usize| {
        let (i, (name, graph)) = encoders.next().unwrap();
        assert_eq!(name, feature.name);
        let file = format!("encoder_{i}.onnx");
        onnx::write(&graph, &directory.join(&file), onnx::EXTERNAL_ABOVE).unwrap();
        let schema = TowerSchema { features: vec![feature.clone()] };
        Part::Encoded { file, schema, dim, indices: columns_of(at, len) }
    };
    let slots = fixture.schema.slots().into_iter().zip(&fixture.schema.features);
    slots
        .map(|(slot, feature)| match slot {
            Slot::Embedding { dim, at, .. } => encoded(feature, at, 1, dim),
            Slot::History { dim, at, length, .. } => encoded(feature, at, length, dim),
            Slot::OneHot { rows, at } => Part::Columns(
                columns_of(at, 1)
                    .into_iter()
                    .flat_map(|hot| {
                        (0..rows as i64).map(move |row| f32::from(u8::from(row == hot)))
                    })
                    .collect(),
            ),
            Slot::Numbers { at, width } => Part::Columns(
                (0..batch).flat_map(|row| &numbers[row * m + at..][..width]).copied().collect(),
            ),
            Slot::Sequence { .. } => panic!("a two-tower reads no sequence"),
        })
        .collect()
}

#[test]
fn tract_computes_the_same_from_the_parts() {
    let directory = tempfile::tempdir().unwrap();
    for fixture in fixtures() {
        for batch in [1, 32] {
            let (indices, numbers) = fixture.rows(batch);
            let parts = write(directory.path(), &fixture, &indices, &numbers, batch);
            let columns = parts.into_iter().map(|part| match part {
                Part::Columns(columns) => columns,
                Part::Encoded { file, schema, dim, indices } => {
                    let mut columns = Vec::new();
                    let encoder = Tower::load(&directory.path().join(file), &schema, dim).unwrap();
                    encoder.embed(&indices, &[], batch, &mut columns).unwrap();
                    columns
                }
            });
            let columns: Vec<Vec<f32>> = columns.collect();
            let input: Vec<f32> = (0..batch)
                .flat_map(|row| {
                    columns.iter().flat_map(move |part| {
                        &part[row * part.len() / batch..][..part.len() / batch]
                    })
                })
                .copied()
                .collect();
            let numbers_only =
                Encoding::MultiHot { vocabulary: "x".into(), rows: fixture.schema.input_width() };
            let feature = Feature { name: "x".into(), source: "x".into(), encoding: numbers_only };
            let schema = TowerSchema { features: vec![feature] };
            let layers =
                Tower::load(&directory.path().join("tower.onnx"), &schema, fixture.tower().dim())
                    .unwrap();
            let mut found = Vec::new();
            layers.embed(&[], &input, batch, &mut found).unwrap();
            assert_close(&found, &expected(&fixture, &indices, &numbers, batch), &fixture.name);
        }
    }
}

/// Writes what `check.py` reads of one tower in parts.
pub fn export(directory: &Path, fixture: &Fixture, batch: usize) {
    std::fs::create_dir(directory).unwrap();
    let (indices, numbers) = fixture.rows(batch);
    let parts =
        write(directory, fixture, &indices, &numbers, batch).into_iter().map(|part| match part {
            Part::Encoded { file, indices, .. } => {
                serde_json::json!({ "encoder": file, "indices": indices })
            }
            Part::Columns(columns) => serde_json::json!({ "columns": columns }),
        });
    let case = serde_json::json!({
        "parts": parts.collect::<Vec<_>>(),
        "batch": batch,
        "dim": fixture.tower().dim(),
        "expected": expected(fixture, &indices, &numbers, batch),
        "external": false,
    });
    std::fs::write(directory.join("case.json"), case.to_string()).unwrap();
}
