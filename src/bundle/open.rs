//! Opening a bundle of unknown origin.

use super::{
    BundleError, FrequencySettings, Golden, Manifest, Ranker, RankerSettings, Tower, file_names,
    files, vocabulary,
};
use crate::{
    features::{Encoder, Vocabularies, source},
    retrieval::{Index, Query, Retriever},
};
use std::path::{Path, PathBuf};

/// A bundle in memory, checked and ready to answer. Immutable; shared by all threads.
pub struct Bundle {
    directory: PathBuf,
    manifest: Manifest,
    encoder: Encoder,
    ranking: Ranking,
    popularity: Vec<f32>,
    golden: Golden,
}

/// What ranks the items of a bundle.
pub enum Ranking {
    /// Inner products of vectors.
    Towers(Box<Towers>),
    /// Counts of the customer's own purchases.
    Frequency(FrequencySettings),
    /// A network over candidates that others found.
    Ranker(Box<Ranker>),
}

/// The towers of a bundle and the index over its items.
pub struct Towers {
    pub query: Tower,
    /// Embeds articles, also such as were never seen in training.
    pub item: Tower,
    /// Finds the items of highest inner product with a query vector.
    pub retriever: Retriever,
}

impl Bundle {
    /// Opens and checks a bundle: names, sizes and checksums of all files; schema against
    /// vocabularies, towers, items and popularity; finally the golden requests, vectors within 1e-4
    /// and top-k up to ties.
    ///
    /// Any bytes are survived. The readers of the parts validate what they read, and nothing is
    /// handed to them before its checksum is right; a panic of one is caught as a last resort and
    /// reported as [`BundleError::Panic`].
    ///
    /// # Errors
    /// [`BundleError`] naming the file, what was expected and found, and what to do.
    pub fn open(directory: &Path) -> Result<Self, BundleError> {
        std::panic::catch_unwind(|| Self::open_unguarded(directory)).unwrap_or_else(|panic| {
            let reason = panic.downcast_ref::<String>().cloned();
            let reason =
                reason.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
            let reason = reason.unwrap_or_else(|| "no message".to_owned());
            Err(BundleError::Panic { path: directory.to_owned(), reason })
        })
    }

    /// Reads and parses the manifest only; the files it speaks of may be absent or damaged.
    ///
    /// # Errors
    /// As [`Self::open`], as far as the manifest is concerned.
    pub fn open_metadata(directory: &Path) -> Result<Manifest, BundleError> {
        files::read_manifest(directory)
    }

    fn open_unguarded(directory: &Path) -> Result<Self, BundleError> {
        let manifest = files::read_manifest(directory)?;
        // Without links on the way, a file that is elsewhere than it should be shows in its
        // canonical path.
        let directory = directory.canonicalize().map_err(BundleError::io(directory))?;
        let of_family: &[&str] = match manifest.family.as_str() {
            FrequencySettings::FAMILY => &[file_names::FREQUENCY],
            RankerSettings::FAMILY if manifest.files.contains_key(file_names::RANKER_TREES) => {
                &[file_names::RANKER, file_names::RANKER_TREES]
            }
            RankerSettings::FAMILY => &[file_names::RANKER, file_names::RANKER_NETWORK],
            _ => &TOWER_FILES,
        };
        let towers = of_family == TOWER_FILES;
        for name in of_family.iter().chain(&[file_names::POPULARITY, file_names::GOLDEN]) {
            if !manifest.files.contains_key(*name) {
                return Err(BundleError::MissingFile(directory.join(name)));
            }
        }
        files::check(&directory, &manifest.files)?;

        let encoder = open_encoder(&directory, &manifest)?;
        if encoder.items() != manifest.items {
            return Err(BundleError::Mismatch {
                path: directory
                    .join(file_names::VOCABULARIES)
                    .join(format!("{}.txt", source::ARTICLE_ID)),
                what: "the number of articles",
                expected: manifest.items.to_string(),
                found: encoder.items().to_string(),
            });
        }
        // Only bundles without towers read no features; towers without any would read nothing.
        if towers == manifest.schema.query.features.is_empty() {
            return Err(BundleError::Mismatch {
                path: directory.join(file_names::MANIFEST),
                what: "the number of features that the query tower reads",
                expected: if towers { "at least 1".to_owned() } else { "0".to_owned() },
                found: manifest.schema.query.features.len().to_string(),
            });
        }
        let popularity = read_popularity(&directory.join(file_names::POPULARITY), manifest.items)?;
        let golden_path = directory.join(file_names::GOLDEN);
        let golden: Golden =
            serde_json::from_slice(&files::read_json(&golden_path)?).map_err(|error| {
                BundleError::Manifest { path: golden_path.clone(), reason: error.to_string() }
            })?;
        let ranking = match manifest.family.as_str() {
            FrequencySettings::FAMILY => {
                let settings = FrequencySettings::read(&directory.join(file_names::FREQUENCY))?;
                settings.check_golden(&golden_path, &golden, manifest.items)?;
                Ranking::Frequency(settings)
            }
            RankerSettings::FAMILY => {
                Ranking::Ranker(Box::new(Ranker::open(&directory, &manifest, &golden)?))
            }
            _ => Ranking::Towers(Box::new(Towers::open(&directory, &manifest, &golden)?)),
        };
        Ok(Self { directory, manifest, encoder, ranking, popularity, golden })
    }

    /// Where the bundle lies.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// What ranks the items.
    pub fn ranking(&self) -> &Ranking {
        &self.ranking
    }

    /// Towers and index; `None` in the families `frequency` and `ranker`.
    pub fn towers(&self) -> Option<&Towers> {
        match &self.ranking {
            Ranking::Towers(towers) => Some(towers),
            Ranking::Frequency(_) | Ranking::Ranker(_) => None,
        }
    }

    /// Purchases in the training window, one number an item; finite and not negative.
    pub fn popularity(&self) -> &[f32] {
        &self.popularity
    }

    pub fn golden(&self) -> &Golden {
        &self.golden
    }
}

impl std::fmt::Debug for Bundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Bundle({} {}, {} items)",
            self.manifest.name, self.manifest.version, self.manifest.items
        )
    }
}

/// Files of a bundle with towers.
const TOWER_FILES: [&str; 4] =
    [file_names::QUERY_TOWER, file_names::ITEM_TOWER, file_names::ITEMS, file_names::INDEX];

impl Towers {
    /// Opens towers and index of a bundle whose checksums are right, and asks the golden requests.
    fn open(directory: &Path, manifest: &Manifest, golden: &Golden) -> Result<Self, BundleError> {
        let (items_path, index_path) =
            (directory.join(file_names::ITEMS), directory.join(file_names::INDEX));
        let tower = |name, schema| Tower::load(&directory.join(name), schema, manifest.dim);
        let query = tower(file_names::QUERY_TOWER, &manifest.schema.query)?;
        let item = tower(file_names::ITEM_TOWER, &manifest.schema.item)?;
        let retriever = Retriever::open(&items_path, &index_path)?;
        let mismatch = |what, expected: usize, found: usize| {
            let (expected, found) = (expected.to_string(), found.to_string());
            Err(BundleError::Mismatch { path: items_path.clone(), what, expected, found })
        };
        if retriever.len() != manifest.items {
            return mismatch("the number of items", manifest.items, retriever.len());
        }
        if retriever.dim() != manifest.dim {
            return mismatch("the length of a vector", manifest.dim, retriever.dim());
        }
        check_index(&index_path, manifest, &retriever)?;
        query.try_plans()?;
        item.try_plans()?;
        let path = directory.join(file_names::GOLDEN);
        golden.check_towers(&path, &query, &item)?;
        golden.check_search(&path, |vector, k| {
            retriever.exact().search(&Query { vector, k, allowed: None })
        })?;
        Ok(Self { query, item, retriever })
    }
}

/// Reads every vocabulary the schema names and builds the encoder.
fn open_encoder(directory: &Path, manifest: &Manifest) -> Result<Encoder, BundleError> {
    let mut vocabularies = Vocabularies::new();
    for name in vocabulary::names(&manifest.files) {
        let path = directory.join(file_names::VOCABULARIES).join(format!("{name}.txt"));
        vocabularies.insert(name, vocabulary::read(&path)?);
    }
    Encoder::new(manifest.schema.clone(), vocabularies)
        .map_err(|source| BundleError::Schema { directory: directory.to_owned(), source })
}

/// The graph must have been built as the manifest says.
fn check_index(path: &Path, manifest: &Manifest, retriever: &Retriever) -> Result<(), BundleError> {
    let found = retriever.graph().map(|graph| graph.parameters());
    if found == Some(manifest.index) {
        return Ok(());
    }
    Err(BundleError::Mismatch {
        path: path.to_owned(),
        what: "the set of graph parameters",
        expected: format!("{:?}", manifest.index),
        found: format!("{found:?}"),
    })
}

fn read_popularity(path: &Path, items: usize) -> Result<Vec<f32>, BundleError> {
    let wrong = |reason: String| BundleError::Popularity { path: path.to_owned(), reason };
    let bytes = std::fs::read(path).map_err(BundleError::io(path))?;
    if items.checked_mul(4) != Some(bytes.len()) {
        return Err(wrong(format!(
            "{} bytes are not one 4-byte number for each of {items} items",
            bytes.len()
        )));
    }
    let values: Vec<f32> =
        bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    match values.iter().position(|value| !(value.is_finite() && *value >= 0.0)) {
        Some(item) => Err(wrong(format!("item {item} has popularity {}", values[item]))),
        None => Ok(values),
    }
}
