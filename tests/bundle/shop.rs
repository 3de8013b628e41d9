//! A small bundle, and copies of it to damage.

use crate::{
    fixture::{Fixture, embedding, feature, history, number, one_hot},
    reference,
};
use sha2::{Digest, Sha256};
use std::{
    fs,
    path::{Path, PathBuf},
};
use vitrine::{
    bundle::{
        self, BundleError, Contents, FrequencySettings, Golden, GoldenHit, GoldenItem, GoldenQuery,
        IndexParameters, Metric, RankingContents, TowerContents,
    },
    dataset::TimeUnit,
    features::{Encoding, FeatureSchema, TowerSchema, Vocabularies},
};

pub const ITEMS: usize = 300;
pub const DIM: usize = 8;

/// The parts of a model over 300 articles and 20 customers.
pub struct Shop {
    query: Fixture,
    item: Fixture,
    schema: FeatureSchema,
    vocabularies: Vocabularies,
    items: Vec<f32>,
    popularity: Vec<f32>,
    pub golden: Golden,
}

impl Shop {
    pub fn new() -> Self {
        let month = feature("at", Encoding::CyclicMonth);
        let query = Fixture::new(
            "query",
            vec![
                embedding("customer_id", 21, 6),
                number("age"),
                month,
                history("article_id", ITEMS + 1, 4, 5, 0.8),
            ],
            &[16, DIM],
            true,
        );
        let item = Fixture::new(
            "item",
            vec![embedding("article_id", ITEMS + 1, 6), one_hot("garment", 4)],
            &[DIM],
            true,
        );
        let mut vocabularies = Vocabularies::new();
        let names =
            |prefix: &str, n: usize| (0..n).map(|i| format!("{prefix}{i}")).collect::<Vec<_>>();
        for (name, n) in [("article_id", ITEMS), ("customer_id", 20), ("garment", 3)] {
            vocabularies.insert(name, names(name, n).iter().map(String::as_str).collect());
        }
        let rows = (0..ITEMS as i64).map(|i| vec![i, i % 4]).collect::<Vec<_>>();
        let items = rows
            .iter()
            .flat_map(|row| reference::forward(&item.tower(), row, &[]))
            .collect::<Vec<_>>();
        let golden_items = [0, 7, ITEMS - 1].map(|i| GoldenItem {
            indices: rows[i].clone(),
            numbers: vec![],
            vector: items[i * DIM..(i + 1) * DIM].to_vec(),
        });
        let (indices, numbers) = query.rows(4);
        let (n, m) = query.schema.row_widths();
        let queries =
            indices.chunks(n).zip(numbers.chunks(m)).map(|(indices, numbers)| GoldenQuery {
                indices: indices.to_vec(),
                numbers: numbers.to_vec(),
                vector: reference::forward(&query.tower(), indices, numbers),
                top: vec![],
            });
        Self {
            golden: Golden { queries: queries.collect(), items: golden_items.to_vec() },
            schema: FeatureSchema { query: query.schema.clone(), item: item.schema.clone() },
            query,
            item,
            vocabularies,
            items,
            popularity: (0..ITEMS).map(|i| i as f32).collect(),
        }
    }

    pub fn contents(&self) -> Contents<'_> {
        Contents {
            name: "test-model",
            family: "two-tower",
            schema: &self.schema,
            vocabularies: &self.vocabularies,
            time_unit: TimeUnit::Day,
            training: serde_json::json!({ "learning_rate": 0.01 }),
            data_fingerprint: "0123",
            provenance: Default::default(),
            metrics: &[],
            ranking: RankingContents::Towers(Box::new(TowerContents {
                metric: Metric::Cosine,
                index: IndexParameters { m: 8, ef_construction: 50, ef_search: 50 },
                query_tower: self.query.tower().into(),
                item_tower: self.item.tower(),
                items: &self.items,
            })),
            popularity: &self.popularity,
            golden: self.golden.clone(),
        }
    }

    pub fn write(&self, models: &Path) -> Result<PathBuf, BundleError> {
        bundle::write(models, self.contents())
    }
}

/// A bundle that tests copy before they damage it.
pub struct Original {
    _models: tempfile::TempDir,
    pub path: PathBuf,
}

impl Original {
    pub fn new() -> Self {
        let models = tempfile::tempdir().unwrap();
        let path = Shop::new().write(models.path()).unwrap();
        Self { _models: models, path }
    }

    /// A bundle of the family `frequency` over 4 articles, whose own purchases halve every 10 days.
    pub fn of_frequency() -> Self {
        let mut vocabularies = Vocabularies::new();
        vocabularies.insert("article_id", ["a0", "a1", "a2", "a3"].into_iter().collect());
        let nothing = || TowerSchema { features: Vec::new() };
        let hit = |item, score| GoldenHit { item, score };
        let golden = GoldenQuery {
            indices: vec![2, 1, 2],
            numbers: vec![0.0, 10.0, 20.0, 1.0, 1.0, 2.0],
            vector: Vec::new(),
            top: vec![hit(2, 1.5), hit(1, 0.5)],
        };
        let models = tempfile::tempdir().unwrap();
        let path = bundle::write(
            models.path(),
            Contents {
                name: "again",
                family: FrequencySettings::FAMILY,
                schema: &FeatureSchema { query: nothing(), item: nothing() },
                vocabularies: &vocabularies,
                time_unit: TimeUnit::Day,
                training: serde_json::Value::Null,
                data_fingerprint: "0123",
                provenance: Default::default(),
                metrics: &[],
                ranking: RankingContents::Frequency(FrequencySettings {
                    half_life_days: Some(10.0),
                    popularity_half_life_days: Some(7.0),
                    popularity_window_days: None,
                }),
                popularity: &[1.0, 0.0, 3.0, 2.0],
                golden: Golden { queries: vec![golden], items: Vec::new() },
            },
        );
        Self { path: path.unwrap(), _models: models }
    }

    pub fn copy(&self) -> Copy {
        let directory = tempfile::tempdir().unwrap();
        for name in self.files() {
            let to = directory.path().join(&name);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(self.path.join(&name), to).unwrap();
        }
        Copy(directory)
    }

    /// Names of all files, the manifest's first.
    pub fn files(&self) -> Vec<String> {
        let manifest = bundle::Bundle::open_metadata(&self.path).unwrap();
        let mut names = vec!["manifest.json".to_owned()];
        names.extend(manifest.files.into_keys());
        names
    }
}

pub struct Copy(tempfile::TempDir);

impl Copy {
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub fn open(&self) -> Result<bundle::Bundle, BundleError> {
        bundle::Bundle::open(self.path())
    }

    pub fn edit(&self, name: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.file(name)).unwrap();
        edit(&mut bytes);
        fs::write(self.file(name), bytes).unwrap();
    }

    pub fn edit_json(&self, name: &str, edit: impl FnOnce(&mut serde_json::Value)) {
        self.edit(name, |bytes| {
            let mut json = serde_json::from_slice(bytes).unwrap();
            edit(&mut json);
            *bytes = serde_json::to_vec(&json).unwrap();
        });
    }

    /// Brings sizes, checksums and the version's hash in line with the files: damage that checksums
    /// do not show.
    pub fn reseal(&self) {
        self.edit_json("manifest.json", |manifest| {
            if let Some(files) = manifest["files"].as_object_mut() {
                for (name, entry) in files {
                    if let Ok(bytes) = fs::read(self.file(name)) {
                        *entry = serde_json::json!({ "bytes": bytes.len(), "sha256": hex(&Sha256::digest(&bytes)) });
                    }
                }
            }
        });
        self.seal_version();
    }

    /// Brings the version's hash in line with the manifest, as the writer computes it.
    pub fn seal_version(&self) {
        self.edit_json("manifest.json", |manifest| {
            manifest["version"] = "20260101T000000Z-00000000".into()
        });
        self.edit("manifest.json", |bytes| {
            let hash = hex(&Sha256::digest(&bytes)[..4]);
            let text = String::from_utf8(bytes.clone()).unwrap();
            *bytes = text
                .replacen("20260101T000000Z-00000000", &format!("20260101T000000Z-{hash}"), 1)
                .into_bytes();
        });
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
