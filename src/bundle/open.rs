//! Opening a bundle of unknown origin.

use super::{BundleError, Golden, Manifest, Tower, file_names, files, vocabulary};
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
    query_tower: Tower,
    item_tower: Tower,
    retriever: Retriever,
    popularity: Vec<f32>,
    golden: Golden,
}

impl Bundle {
    /// Opens and checks a bundle: names, sizes and checksums of all files; schema against vocabularies, towers, items
    /// and popularity; finally the golden requests, vectors within 1e-4 and top-k up to ties.
    ///
    /// Any bytes are survived. The readers of the parts validate what they read, and nothing is handed to them before
    /// its checksum is right; a panic of one is caught as a last resort and reported as [`BundleError::Panic`].
    ///
    /// # Errors
    /// [`BundleError`] naming the file, what was expected and found, and what to do.
    pub fn open(directory: &Path) -> Result<Self, BundleError> {
        std::panic::catch_unwind(|| Self::open_unguarded(directory)).unwrap_or_else(|panic| {
            let reason = panic.downcast_ref::<String>().cloned();
            let reason = reason.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
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
        // Without links on the way, a file that is elsewhere than it should be shows in its canonical path.
        let directory = directory.canonicalize().map_err(BundleError::io(directory))?;
        let listed = |name: &str| {
            let path = directory.join(name);
            if manifest.files.contains_key(name) { Ok(path) } else { Err(BundleError::MissingFile(path)) }
        };
        let query_path = listed(file_names::QUERY_TOWER)?;
        let item_path = listed(file_names::ITEM_TOWER)?;
        let popularity_path = listed(file_names::POPULARITY)?;
        let golden_path = listed(file_names::GOLDEN)?;
        let items_path = listed(file_names::ITEMS)?;
        let index_path = listed(file_names::INDEX)?;
        files::check(&directory, &manifest.files)?;

        let encoder = open_encoder(&directory, &manifest)?;
        let mismatch = |path: &Path, what, expected: usize, found: usize| BundleError::Mismatch {
            path: path.to_owned(),
            what,
            expected: expected.to_string(),
            found: found.to_string(),
        };
        if encoder.items() != manifest.items {
            let path = directory.join(file_names::VOCABULARIES).join(format!("{}.txt", source::ARTICLE_ID));
            return Err(mismatch(&path, "the number of articles", manifest.items, encoder.items()));
        }
        let query_tower = Tower::load(&query_path, &manifest.schema.query, manifest.dim)?;
        let item_tower = Tower::load(&item_path, &manifest.schema.item, manifest.dim)?;
        let popularity = read_popularity(&popularity_path, manifest.items)?;
        let retriever = Retriever::open(&items_path, &index_path)?;
        if retriever.len() != manifest.items {
            return Err(mismatch(&items_path, "the number of items", manifest.items, retriever.len()));
        }
        if retriever.dim() != manifest.dim {
            return Err(mismatch(&items_path, "the length of a vector", manifest.dim, retriever.dim()));
        }
        check_index(&index_path, &manifest, &retriever)?;

        let golden: Golden = serde_json::from_slice(&files::read_json(&golden_path)?)
            .map_err(|error| BundleError::Manifest { path: golden_path.clone(), reason: error.to_string() })?;
        golden.check_towers(&golden_path, &query_tower, &item_tower)?;
        golden.check_search(&golden_path, |vector, k| retriever.exact().search(&Query { vector, k, allowed: None }))?;
        Ok(Self { directory, manifest, encoder, query_tower, item_tower, retriever, popularity, golden })
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

    pub fn query_tower(&self) -> &Tower {
        &self.query_tower
    }

    /// Embeds articles, also such as were never seen in training.
    pub fn item_tower(&self) -> &Tower {
        &self.item_tower
    }

    /// Finds the items of highest inner product with a query vector.
    pub fn retriever(&self) -> &Retriever {
        &self.retriever
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
        write!(f, "Bundle({} {}, {} items)", self.manifest.name, self.manifest.version, self.manifest.items)
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
        return Err(wrong(format!("{} bytes are not one 4-byte number for each of {items} items", bytes.len())));
    }
    let values: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    match values.iter().position(|value| !(value.is_finite() && *value >= 0.0)) {
        Some(item) => Err(wrong(format!("item {item} has popularity {}", values[item]))),
        None => Ok(values),
    }
}
