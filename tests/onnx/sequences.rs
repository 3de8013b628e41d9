//! Sequence encoders computed three ways: by the training kernels, by tract and by ONNX Runtime.
//! The unit tests of `model` compare the training kernels with burn.

use crate::{assert_close, python};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{path::Path, process::Command};
use vitrine::{
    bundle::Tower,
    domain::Timestamp,
    families::{ExportedTables, query_graph},
    features::{AgeClasses, Encoding, Feature, GapClasses, TowerSchema},
    model::{
        AgeTable, Inputs, SequenceModel, SequenceModelConfig,
        sequence::{Activation, DecoderConfig, EncoderConfig, LstmConfig, Positions},
    },
    onnx::QueryGraph,
};

const ITEMS: usize = 40;
const CLASSES: u32 = 9;
/// As many items as the model reads.
const ALL: usize = usize::MAX;

/// A model whose every parameter differs from what it starts with.
struct Case {
    name: String,
    model: SequenceModel,
}

fn plain(encoder: EncoderConfig, length: usize) -> SequenceModelConfig {
    SequenceModelConfig {
        encoder,
        items: ITEMS,
        length,
        item_dim: 16,
        tied: true,
        bias: false,
        sos: false,
        ages: None,
        temperature: 1.0,
        smoothing: 0.0,
    }
}

fn case(name: &str, config: &SequenceModelConfig) -> Case {
    let mut model = SequenceModel::new(config, 3).unwrap();
    let mut rng = StdRng::seed_from_u64(11);
    let mut change =
        |values: &mut [f32]| values.iter_mut().for_each(|w| *w += rng.random_range(-0.3..0.3f32));
    for parameter in model.encoder.parameters_mut() {
        // A variance stays one.
        let positive = parameter.name.ends_with("variance");
        change(parameter.values);
        if positive {
            parameter.values.iter_mut().for_each(|v| *v = v.abs() + 0.1);
        }
    }
    for table in
        [Some(&mut model.items), model.tokens.as_mut(), model.ages.as_mut()].into_iter().flatten()
    {
        change(&mut table.weights);
        // All trained but item 5, which then is what the last row is.
        table.steps.fill(1);
        table.steps[5] = 0;
    }
    Case { name: name.to_owned(), model }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let positions = [
        Positions::Learned,
        Positions::LearnedFromEnd,
        Positions::Sinusoidal,
        Positions::Rotary,
        Positions::None,
    ];
    for positions in positions {
        for (layers, activation, sos) in [
            (1, Activation::Relu, false),
            (2, Activation::Gelu, true),
            (3, Activation::Elu, false),
            (2, Activation::Elu, true),
            (2, Activation::Swiglu, false),
        ] {
            let decoder = DecoderConfig {
                layers,
                heads: 2,
                feed_forward: 24,
                activation,
                positions,
                final_norm: layers != 3,
                scale_embedding: layers == 3,
                gated: activation == Activation::Swiglu,
                ..DecoderConfig::default()
            };
            let config = SequenceModelConfig {
                // A start token has no place from the end.
                sos: sos && positions != Positions::LearnedFromEnd,
                bias: layers == 2,
                tied: layers != 3,
                ..plain(EncoderConfig::Decoder(decoder), 19)
            };
            cases.push(case(
                &format!("decoder {positions:?} {layers} {activation:?} {sos}"),
                &config,
            ));
        }
    }
    let decoder = EncoderConfig::Decoder(DecoderConfig { heads: 4, ..DecoderConfig::default() });
    let aged = SequenceModelConfig {
        ages: Some(AgeTable::Following { rows: CLASSES as usize + 1, dim: 4 }),
        tied: false,
        sos: true,
        ..plain(decoder.clone(), 17)
    };
    cases.push(case("decoder with ages", &aged));
    let added = Some(AgeTable::Added { rows: CLASSES as usize + 1 });
    let gaps = SequenceModelConfig { ages: added, bias: true, ..plain(decoder.clone(), 17) };
    cases.push(case("decoder with gaps", &gaps));
    cases.push(case("decoder with gaps and a start", &SequenceModelConfig { sos: true, ..gaps }));
    cases.push(case("decoder of one position", &plain(decoder, 1)));
    for (batch_norm, attention) in [(false, false), (true, false), (true, true), (false, true)] {
        let lstm = LstmConfig { hidden: vec![12, 8], batch_norm, attention, dropout: 0.0 };
        let config = SequenceModelConfig {
            tied: false,
            bias: attention,
            ages: batch_norm.then_some(AgeTable::Following { rows: CLASSES as usize + 1, dim: 4 }),
            ..plain(EncoderConfig::Lstm(lstm), 11)
        };
        cases.push(case(&format!("lstm norm {batch_norm} attention {attention}"), &config));
    }
    cases
}

impl Case {
    fn schema(&self) -> TowerSchema {
        let config = self.model.config();
        let (length, rows) = (config.length, ITEMS + 1);
        let feature = |name: &str, encoding| Feature {
            name: name.into(),
            source: "history".into(),
            encoding,
        };
        let items = Encoding::Sequence {
            vocabulary: "article_id".into(),
            rows,
            dim: config.item_dim,
            length,
        };
        let mut features = vec![feature("items", items)];
        match config.ages {
            Some(AgeTable::Following { rows, dim }) => {
                let ages = AgeClasses { end: Timestamp(0), days: 1, classes: CLASSES };
                features.push(feature("days", Encoding::SequenceDays { ages, rows, dim, length }));
            }
            Some(AgeTable::Added { rows }) => {
                let (gaps, dim) = (GapClasses { unit: 1, classes: CLASSES }, config.item_dim);
                features.push(feature("gaps", Encoding::SequenceGaps { gaps, rows, dim, length }));
            }
            None => {}
        }
        TowerSchema { features }
    }

    /// Random histories of at most `longest` items: the first three are full, half padded and
    /// empty.
    fn rows(&self, batch: usize, longest: usize) -> Inputs {
        let mut rng = StdRng::seed_from_u64(5);
        let longest = longest.min(self.model.config().length);
        let lengths = (0..batch).map(|row| match row {
            0 => longest,
            1 => longest / 2,
            2 => 0,
            _ => rng.random_range(0..=longest),
        });
        self.rows_of(lengths)
    }

    /// Random histories of these lengths.
    fn rows_of(&self, lengths: impl ExactSizeIterator<Item = usize>) -> Inputs {
        let mut rng = StdRng::seed_from_u64(7);
        let (length, aged, batch) =
            (self.model.config().length, self.model.ages.is_some(), lengths.len());
        let mut indices = Vec::new();
        for known in lengths {
            let mut column = |rows: i64| {
                indices.extend(
                    (0..length).map(|j| if j < known { rng.random_range(0..rows) } else { rows }),
                );
            };
            column(ITEMS as i64);
            if aged {
                column(i64::from(CLASSES));
            }
        }
        Inputs { rows: batch, indices, numbers: Vec::new() }
    }

    fn write(&self, path: &Path) -> usize {
        let tables = ExportedTables::of(&self.model);
        let graph: QueryGraph<'_> = query_graph("encoder", &self.model, &tables).into();
        graph.write(path, usize::MAX).unwrap();
        graph.dim()
    }
}

#[test]
fn tract_computes_what_the_training_kernels_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("encoder.onnx");
    for case in cases() {
        let dim = case.write(&path);
        let tower = Tower::load(&path, &case.schema(), dim)
            .unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let mut found = Vec::new();
        for (batch, longest) in [(1, ALL), (3, ALL), (32, ALL), (32, 9), (7, 5), (1, 8), (1, ALL)] {
            let inputs = case.rows(batch, longest);
            tower.embed(&inputs.indices, &[], batch, &mut found).unwrap();
            let what = format!("{}, batch {batch}, at most {longest} items", case.name);
            assert_close(&found, &case.model.embed(&inputs), &what);
        }
        // Whole blocks, and rows behind the last one.
        let full = case.rows_of(std::iter::repeat_n(case.model.config().length, 70));
        tower.embed(&full.indices, &[], full.rows, &mut found).unwrap();
        assert_close(&found, &case.model.embed(&full), &format!("{}, full", case.name));
        let (inputs, mut one_by_one) = (case.rows(12, ALL), Vec::new());
        for row in inputs.indices.chunks_exact(inputs.indices.len() / inputs.rows) {
            tower.embed(row, &[], 1, &mut found).unwrap();
            one_by_one.extend_from_slice(&found);
        }
        assert_close(
            &one_by_one,
            &case.model.embed(&inputs),
            &format!("{}, one by one", case.name),
        );
    }
}

#[test]
fn a_changed_graph_is_refused_or_answers_something_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("encoder.onnx");
    let mut rng = StdRng::seed_from_u64(1);
    let (mut refused, mut out) = (0, Vec::new());
    for case in cases().iter().filter(|case| case.model.ages.is_some()) {
        let dim = case.write(&path);
        let whole = std::fs::read(&path).unwrap();
        let inputs = case.rows(3, ALL);
        for _ in 0..60 {
            let mut bytes = whole.clone();
            // Names, shapes and operators stand before the constants' numbers and between them.
            let at = rng.random_range(0..bytes.len());
            bytes[at] = rng.random();
            std::fs::write(&path, bytes).unwrap();
            // Nothing panics past this, and no number of a damaged file sets how much memory is
            // taken.
            let answered = Tower::load(&path, &case.schema(), dim)
                .and_then(|tower| tower.embed(&inputs.indices, &[], inputs.rows, &mut out));
            refused += usize::from(answered.is_err());
        }
    }
    assert!(refused > 20, "{refused}");
}

#[test]
fn onnx_runtime_computes_what_the_training_kernels_do() {
    let directory = tempfile::tempdir().unwrap();
    let mut count = 0;
    for case in cases() {
        for (batch, longest) in [(1, ALL), (32, ALL), (32, 3)] {
            let folder =
                directory.path().join(format!("{} batch {batch} items {longest}", case.name));
            std::fs::create_dir(&folder).unwrap();
            let dim = case.write(&folder.join("tower.onnx"));
            let inputs = case.rows(batch, longest);
            // Columns that hold nothing but padding may be left out.
            let windows = inputs.indices.chunks_exact(case.model.config().length);
            let indices: Vec<i64> =
                windows.flat_map(|window| window.iter().take(longest)).copied().collect();
            let shape = [batch, indices.len() / batch];
            let json = serde_json::json!({
                "inputs": { "indices": { "shape": shape, "values": indices } },
                "dim": dim,
                "expected": case.model.embed(&inputs),
                "external": false,
            });
            std::fs::write(folder.join("case.json"), json.to_string()).unwrap();
            count += 1;
        }
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/onnx/check.py");
    let output = Command::new(python::interpreter("onnx"))
        .arg(script)
        .arg(directory.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains(&format!("{count} of {count} cases agree")), "{text}");
}
