//! A tiny encoder with random weights, written by hand.

use super::*;
use crate::dataset::Values;
use rand::{Rng, SeedableRng};
use safetensors::{Dtype, tensor::TensorView};
use std::{collections::BTreeMap, fs};
use tempfile::TempDir;

const WORDS: [&str; 12] =
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "blue", "strap", "top", "cotton", "##s", "a", ","];
const DIM: usize = 8;

/// Writes an encoder of two layers, with the names of the old checkpoints where `old`.
fn write_encoder(dir: &Path, seed: u64, old: bool) {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)> = BTreeMap::new();
    let mut add = |name: String, shape: &[usize]| {
        let count: usize = shape.iter().product();
        let around = if name.contains("LayerNorm.weight") { 1.0 } else { 0.0 };
        let bytes = (0..count)
            .flat_map(|_| (around + rng.random_range(-0.5..0.5f32)).to_le_bytes())
            .collect();
        let name = if old { name.replace("LayerNorm.weight", "LayerNorm.gamma") } else { name };
        let name = if old {
            format!("bert.{}", name.replace("LayerNorm.bias", "LayerNorm.beta"))
        } else {
            name
        };
        tensors.insert(name, (shape.to_vec(), bytes));
    };
    for (name, rows) in [("word", WORDS.len()), ("position", 16), ("token_type", 2)] {
        add(format!("embeddings.{name}_embeddings.weight"), &[rows, DIM]);
    }
    let mut pair = |name: &str, shape: &[usize]| {
        add(format!("{name}.weight"), shape);
        add(format!("{name}.bias"), &shape[..1]);
    };
    pair("embeddings.LayerNorm", &[DIM]);
    for layer in 0..2 {
        let mut part =
            |name: &str, shape: &[usize]| pair(&format!("encoder.layer.{layer}.{name}"), shape);
        for name in ["self.query", "self.key", "self.value", "output.dense"] {
            part(&format!("attention.{name}"), &[DIM, DIM]);
        }
        part("attention.output.LayerNorm", &[DIM]);
        part("intermediate.dense", &[20, DIM]);
        part("output.dense", &[DIM, 20]);
        part("output.LayerNorm", &[DIM]);
    }
    let views = tensors.iter().map(|(name, (shape, bytes))| {
        (name.clone(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
    });
    fs::write(dir.join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    fs::write(
        dir.join("config.json"),
        r#"{"model_type": "bert", "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
            "intermediate_size": 20, "hidden_act": "gelu", "layer_norm_eps": 1e-12}"#,
    )
    .unwrap();
    let vocabulary: BTreeMap<&str, usize> =
        WORDS.iter().enumerate().map(|(i, word)| (*word, i)).collect();
    let tokenizer = serde_json::json!({
        "version": "1.0",
        "padding": {"strategy": {"Fixed": 16}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
            "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": [], "decoder": null, "truncation": null,
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocabulary},
    });
    fs::write(dir.join("tokenizer.json"), tokenizer.to_string()).unwrap();
}

fn encoder_dir() -> TempDir {
    let dir = TempDir::new().unwrap();
    write_encoder(dir.path(), 7, false);
    dir
}

fn config(encoder: &Path, cache: &Path) -> TextConfig {
    TextConfig {
        encoder: encoder.to_owned(),
        columns: vec!["name".to_owned(), "tags".to_owned(), "weight".to_owned()],
        pooling: Pooling::Mean,
        max_tokens: 16,
        cache: cache.to_owned(),
    }
}

/// Five articles; the second and the fourth have the same text, the last has none.
fn shop() -> Dataset {
    let column = |name: &str, values| Column { name: name.to_owned(), values };
    let names = Values::Category {
        codes: vec![0, 1, 2, 1, crate::dataset::MISSING],
        dictionary: ["strap top", "Blue tops", "a, a"].into_iter().collect(),
    };
    let tags = Values::Tags {
        offsets: vec![0, 2, 2, 2, 2, 2],
        codes: vec![0, 1],
        dictionary: ["red", "cotton"].into_iter().collect(),
    };
    let weights = Values::Number(vec![f32::NAN, f32::NAN, 2.5, f32::NAN, f32::NAN]);
    Dataset {
        articles: Entities {
            ids: ["p", "q", "r", "s", "t"].into_iter().collect(),
            columns: vec![column("weight", weights), column("name", names), column("tags", tags)],
            vectors: Vec::new(),
        },
        ..Dataset::default()
    }
}

#[test]
fn texts_are_the_columns_in_their_order() {
    let columns = ["name", "tags", "weight"].map(str::to_owned);
    let texts = texts(&shop().articles, &columns).unwrap();
    assert_eq!(texts, ["strap top red cotton", "Blue tops", "a, a 2.5", "Blue tops", ""]);
}

#[test]
fn articles_get_vectors_and_a_second_run_computes_nothing() {
    let (encoder, cache) = (encoder_dir(), TempDir::new().unwrap());
    let config = config(encoder.path(), cache.path());
    let mut dataset = shop();
    let before = dataset.fingerprint();
    attach(&mut dataset, &config).unwrap();
    assert_ne!(dataset.fingerprint(), before);
    let vectors = dataset.articles.vectors(NAME).unwrap();
    assert_eq!((vectors.dim, vectors.numbers.len()), (DIM, 5 * DIM));
    let size = |row: usize| vectors.row(row).iter().map(|x| x * x).sum::<f32>() / DIM as f32;
    assert!((0..4).all(|row| (size(row) - 1.0).abs() < 1e-5) && size(4) == 0.0);
    assert_eq!(vectors.row(1), vectors.row(3));
    assert_ne!(vectors.row(0), vectors.row(1));

    // What is kept is taken from there: with one vector changed on the disk, that one comes back.
    let file = fs::read_dir(cache.path()).unwrap().next().unwrap().unwrap().path();
    let mut kept = fs::read(&file).unwrap();
    assert_eq!(kept.len(), 3 * (16 + 4 * DIM));
    let changed = [1.0f32; DIM].iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    kept[16..16 + 4 * DIM].copy_from_slice(&changed);
    fs::write(&file, &kept).unwrap();
    let mut again = shop();
    attach(&mut again, &config).unwrap();
    let again = again.articles.vectors(NAME).unwrap();
    assert_eq!((0..5).filter(|&row| again.row(row) == [1.0; DIM]).count(), 1);
    assert_eq!(fs::read(&file).unwrap(), kept, "nothing was computed");

    // Cut off within a record, as by a kill: that text is computed again. Other weights never meet
    // these vectors.
    fs::write(&file, &kept[..kept.len() - 5]).unwrap();
    let mut third = shop();
    attach(&mut third, &config).unwrap();
    // In other company a vector may differ in its last bit.
    let third = &third.articles.vectors(NAME).unwrap().numbers;
    assert!(third.iter().zip(&again.numbers).all(|(a, b)| (a - b).abs() < 1e-5), "{third:?}");
    assert_eq!(fs::read(&file).unwrap().len(), kept.len());
    write_encoder(encoder.path(), 8, false);
    let mut other = shop();
    attach(&mut other, &config).unwrap();
    assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 2);
    assert_ne!(other.articles.vectors(NAME).unwrap().numbers, again.numbers);
}

#[test]
fn a_text_gets_the_same_vector_alone_and_among_others() {
    let dir = encoder_dir();
    let encoder = TextEncoder::open(dir.path(), Pooling::Mean, 6).unwrap();
    let texts = ["red", "blue strap tops, a unknown cotton, cotton", "", "a"];
    let together = encoder.embed(&texts).unwrap();
    for (text, vector) in texts.iter().zip(together.chunks_exact(DIM)) {
        let alone = encoder.embed(&[text]).unwrap();
        assert!(alone.iter().zip(vector).all(|(a, b)| (a - b).abs() < 1e-6), "{text}");
    }
    // Cut to six tokens, two of them special.
    assert_eq!(encoder.embed(&["a a a a"]).unwrap(), encoder.embed(&["a a a a red"]).unwrap());
    assert!(encoder.embed(&[]).unwrap().is_empty());
    let cls = TextEncoder::open(dir.path(), Pooling::Cls, 6).unwrap();
    assert_ne!(cls.embed(&["a"]).unwrap(), encoder.embed(&["a"]).unwrap());
    assert_ne!(cls.fingerprint(), encoder.fingerprint());

    // The names of old checkpoints are the same model.
    write_encoder(dir.path(), 7, true);
    let old = TextEncoder::open(dir.path(), Pooling::Mean, 6).unwrap();
    assert_eq!(old.embed(&texts).unwrap(), together);
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let (dir, cache) = (encoder_dir(), TempDir::new().unwrap());
    let refused = |change: &dyn Fn(&mut TextConfig)| {
        let mut config = config(dir.path(), cache.path());
        change(&mut config);
        let mut dataset = shop();
        let error = attach(&mut dataset, &config).unwrap_err();
        assert!(error.is_bad_input() && dataset.articles.vectors.is_empty(), "{error}");
        error.to_string()
    };
    let message = refused(&|config| config.encoder = "/nowhere/minilm".into());
    assert!(message.starts_with("/nowhere/minilm: there is no config.json"), "{message}");
    assert!(message.contains("download") && message.contains("all-MiniLM-L6-v2"), "{message}");
    let message = refused(&|config| config.columns = vec!["name".to_owned(), "title".to_owned()]);
    assert!(message.contains("no column `title`; they have weight, name, tags"), "{message}");
    assert!(refused(&|config| config.columns.clear()).contains("`columns` is empty"));
    assert!(refused(&|config| config.max_tokens = 17).contains("`max_tokens` is 17, not 3 to 16"));
    assert!(refused(&|config| config.max_tokens = 2).contains("not 3 to 16"));

    let with_file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        let message = refused(&|_| ());
        fs::write(&path, whole).unwrap();
        assert!(message.contains(name), "{message}");
        message
    };
    assert!(with_file("config.json", b"{}").contains("missing field"));
    with_file("tokenizer.json", b"{\"model\": 3}");
    assert!(with_file("model.safetensors", b"no tensors").contains("no safetensors file"));
    let weights = fs::read(dir.path().join("model.safetensors")).unwrap();
    with_file("model.safetensors", &weights[..weights.len() / 2]);
    let wide = fs::read_to_string(dir.path().join("config.json"))
        .unwrap()
        .replace("size\": 20", "size\": 24");
    fs::write(dir.path().join("config.json"), wide).unwrap();
    let message = refused(&|_| ());
    assert!(
        message.contains(
            "`encoder.layer.0.intermediate.dense.weight` is [20, 8]; config.json makes it [24, 8]"
        ),
        "{message}"
    );
    // Any byte of the weights changed: vectors of finite numbers or an error that names it, never a
    // panic.
    write_encoder(dir.path(), 7, false);
    for position in (0..weights.len()).step_by(211) {
        let mut bytes = weights.clone();
        bytes[position] ^= 0x7f;
        fs::write(dir.path().join("model.safetensors"), bytes).unwrap();
        if let Ok(encoder) = TextEncoder::open(dir.path(), Pooling::Mean, 8) {
            let _ = encoder.embed(&["red strap top"]);
        }
    }
}
