//! The ONNX reader and what narrows graphs down before it: any file is refused or computes vectors,
//! within bounded memory. Files begin as what the trainer writes; then bytes of them are changed.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use vitrine::{
    bundle::Tower,
    features::{Encoding, Feature, TowerSchema},
    onnx::{self, Dense, Input, TowerGraph},
};

const ROWS: usize = 9;
const DIM: usize = 4;
const WIDTH: usize = 6;

#[derive(Arbitrary, Debug)]
enum Change {
    Byte(u16, u8),
    Insert(u16, Vec<u8>),
    Remove(u16, u8),
    /// Repeats a piece, as a node or a constant that stands there twice.
    Copy(u16, u16, u8),
}

fn schema() -> TowerSchema {
    let vocabulary = || "article_id".to_owned();
    let feature = |name: &str, source: &str, encoding| Feature {
        name: name.into(),
        source: source.into(),
        encoding,
    };
    TowerSchema {
        features: vec![
            feature(
                "article",
                "article_id",
                Encoding::Embedding {
                    vocabulary: vocabulary(),
                    rows: ROWS,
                    dim: DIM,
                    dropout: 0.0,
                },
            ),
            feature(
                "group",
                "group",
                Encoding::OneHot { vocabulary: vocabulary(), rows: ROWS, dropout: 0.0 },
            ),
            feature(
                "past",
                "history",
                Encoding::History {
                    vocabulary: vocabulary(),
                    rows: ROWS,
                    dim: DIM,
                    length: 3,
                    decay: 0.5,
                },
            ),
            feature("age", "age", Encoding::Number { mean: 0.0, std: 1.0, range: None }),
        ],
    }
}

static WRITTEN: LazyLock<Vec<u8>> = LazyLock::new(|| {
    // Damaged graphs make tract panic, which the reader catches. A panic anywhere else is a
    // finding.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.location().is_none_or(|place| !place.file().contains("tract")) {
            report(panic);
        }
    }));
    let schema = schema();
    let values =
        |count: usize| (0..count).map(|i| (i % 13) as f32 / 13.0 - 0.4).collect::<Vec<_>>();
    let (article, past) = (values(ROWS * DIM), values(ROWS * DIM));
    let inputs = schema.input_width();
    let (first, second) = (values(inputs * WIDTH), values(WIDTH * DIM));
    let (bias, last_bias) = (values(WIDTH), values(DIM));
    let graph = TowerGraph {
        name: "tower",
        widths: schema.row_widths(),
        inputs: vec![
            Input::Embedding { name: "article", table: &article, rows: ROWS, dim: DIM, at: 0 },
            Input::OneHot { name: "group", rows: ROWS, at: 1 },
            Input::History {
                name: "past",
                table: &past,
                rows: ROWS,
                dim: DIM,
                at: 2,
                length: 3,
                decay: 0.5,
            },
            Input::Numbers { at: 0, width: 1 },
        ],
        layers: vec![
            Dense { weight: &first, bias: &bias, inputs, outputs: WIDTH },
            Dense { weight: &second, bias: &last_bias, inputs: WIDTH, outputs: DIM },
        ],
        normalize: true,
    };
    let path = vitrine_fuzz::folder().join("written.onnx");
    onnx::write(&graph, &path, usize::MAX).expect("the graph is complete");
    let bytes = std::fs::read(&path).expect("it was written");
    assert!(answers(&bytes), "what the trainer writes is accepted");
    bytes
});

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let at = |place: u16| usize::from(place) % bytes.len().max(1);
        match change {
            Change::Byte(place, byte) => {
                let at = at(*place);
                if let Some(old) = bytes.get_mut(at) {
                    *old = *byte;
                }
            }
            Change::Insert(place, piece) => {
                let at = at(*place);
                bytes.splice(at..at, piece.iter().copied());
            }
            Change::Remove(place, count) => {
                let at = at(*place);
                let end = (at + usize::from(*count)).min(bytes.len());
                bytes.drain(at..end);
            }
            Change::Copy(from, to, count) => {
                let (from, to) = (at(*from), at(*to));
                let piece = bytes[from..(from + usize::from(*count)).min(bytes.len())].to_vec();
                bytes.splice(to..to, piece);
            }
        }
    }
    bytes
}

/// Whether the file is accepted; then it also computes, or says why not.
fn answers(bytes: &[u8]) -> bool {
    let path = vitrine_fuzz::file("tower.onnx", bytes);
    let Ok(tower) = Tower::load(&path, &schema(), DIM) else { return false };
    let mut out = Vec::new();
    for batch in [1, 33] {
        if tower.embed(&[8, 0, 1, 8, 8].repeat(batch), &vec![0.5; batch], batch, &mut out).is_ok() {
            assert_eq!(out.len(), batch * DIM);
        }
    }
    true
}

fuzz_target!(|changes: Vec<Change>| {
    answers(&changed(WRITTEN.clone(), &changes));
});
