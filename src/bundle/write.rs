//! Writing a bundle: whole or absent.

use super::{
    Bundle, BundleError, FrequencySettings, Golden, IndexParameters, Manifest, Metric, MetricsRow,
    Provenance, RankerContents, RankerSettings, Tower, file_names, files,
    verify::{IndexQuality, random_queries, sufficient_ef},
    vocabulary,
};
use crate::{
    dataset::TimeUnit,
    features::{FeatureSchema, Vocabularies, source},
    onnx::{self, QueryGraph, TowerGraph},
    retrieval::{self, Graph, Insertion, ItemVectors, Retriever},
};
use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};
use time::{OffsetDateTime, macros::format_description};

/// Prefix of directories a writer has not finished.
const UNFINISHED: &str = ".tmp-";

/// What a bundle is made of. The number of items is that of the vocabulary `article_id`.
pub struct Contents<'a> {
    pub name: &'a str,
    /// Model family, such as `two-tower`.
    pub family: &'a str,
    pub schema: &'a FeatureSchema,
    pub vocabularies: &'a Vocabularies,
    pub time_unit: TimeUnit,
    /// The training configuration, whole.
    pub training: serde_json::Value,
    /// sha256 over the training data's content.
    pub data_fingerprint: &'a str,
    pub provenance: Provenance,
    pub metrics: &'a [MetricsRow],
    pub ranking: RankingContents<'a>,
    /// Purchases in the training window, one number an item.
    pub popularity: &'a [f32],
    /// With towers: inputs and vectors as the trainer's own forward pass has them; the top-k is
    /// filled in here. Without: histories and their top-k.
    pub golden: Golden,
}

/// What ranks the items.
pub enum RankingContents<'a> {
    Towers(Box<TowerContents<'a>>),
    Frequency(FrequencySettings),
    /// What the network reads, and the network: a row of scaled features in, a score out.
    Ranker(Box<(RankerSettings, RankerContents<'a>)>),
}

/// Towers and item vectors. The vectors are as long as the towers' outputs.
pub struct TowerContents<'a> {
    pub metric: Metric,
    /// `ef_search` is raised until the index finds [`IndexQuality::GOOD`] of the exact top 100 of
    /// random queries.
    pub index: IndexParameters,
    pub query_tower: QueryGraph<'a>,
    pub item_tower: TowerGraph<'a>,
    /// `items × dim`, row-major.
    pub items: &'a [f32],
}

/// Writes the bundle `<models>/<name>/<version>` and returns its path. It is prepared beside the
/// target, flushed, opened as a server would open it, golden requests included, and renamed;
/// whatever fails, no half bundle is left. Writers of one model take turns; what killed ones left
/// behind is removed.
///
/// # Errors
/// [`BundleError::Contents`] when the parts do not fit together, [`BundleError::Io`] when they
/// cannot be written, and whatever [`Bundle::open`] finds.
pub fn write(models: &Path, mut contents: Contents<'_>) -> Result<PathBuf, BundleError> {
    let items = contents.check()?;
    let parent = models.join(contents.name);
    std::fs::create_dir_all(&parent).map_err(BundleError::io(&parent))?;
    let lock_path = parent.join(".lock");
    let lock = File::create(&lock_path).map_err(BundleError::io(&lock_path))?;
    lock.lock().map_err(BundleError::io(&lock_path))?;
    remove_unfinished(&parent)?;

    let unfinished =
        Unfinished::create(parent.join(format!("{UNFINISHED}{}", std::process::id())))?;
    let directory = unfinished.0.as_path();
    contents.write_files(directory)?;
    let invalid = |reason: String| BundleError::Contents { name: contents.name.to_owned(), reason };
    let time = OffsetDateTime::now_utc()
        .format(format_description!(
            "[year][month][day]T[hour][minute][second][subsecond digits:3]Z"
        ))
        .map_err(|error| invalid(error.to_string()))?;
    let manifest = contents.manifest(items, describe_files(directory)?);
    let (manifest, version) =
        files::seal(manifest, &time).map_err(|error| invalid(error.to_string()))?;
    write_bytes(&directory.join(file_names::MANIFEST), &manifest)?;
    sync(&directory.join(file_names::VOCABULARIES))?;
    sync(directory)?;
    Bundle::open(directory)?;

    let target = parent.join(version);
    if target.exists() {
        // The same content written twice within one millisecond.
        return Bundle::open(&target).map(|_| target);
    }
    std::fs::rename(directory, &target).map_err(BundleError::io(&target))?;
    std::mem::forget(unfinished);
    sync(&parent)?;
    Ok(target)
}

impl Contents<'_> {
    /// Checks what can be told before anything is written; the number of items.
    fn check(&self) -> Result<usize, BundleError> {
        let wrong =
            |reason: String| Err(BundleError::Contents { name: self.name.to_owned(), reason });
        if !Manifest::is_name(self.name) {
            return wrong("a name has 1 to 64 lower-case letters, digits, `-` and `_`".to_owned());
        }
        let items = self.vocabularies.get(source::ARTICLE_ID).map_or(0, |articles| articles.len());
        if items == 0 {
            return wrong("the vocabulary `article_id` is empty".to_owned());
        }
        if self.popularity.len() != items
            || self.popularity.iter().any(|&p| !(p.is_finite() && p >= 0.0))
        {
            return wrong(format!(
                "popularity must be {items} finite numbers from 0 on, one an item"
            ));
        }
        if self.golden.queries.is_empty() {
            return wrong("there is no golden request".to_owned());
        }
        if let RankingContents::Towers(towers) = &self.ranking {
            let checked = towers.check(items, &self.golden);
            checked.or_else(|reason| wrong(reason).map(drop))?;
        }
        Ok(items)
    }

    fn write_files(&mut self, directory: &Path) -> Result<(), BundleError> {
        let at = |name: &str| directory.join(name);
        let vocabularies = at(file_names::VOCABULARIES);
        std::fs::create_dir(&vocabularies).map_err(BundleError::io(&vocabularies))?;
        for (name, table) in self.vocabularies.iter() {
            vocabulary::write(&vocabularies.join(format!("{name}.txt")), table)?;
        }
        let popularity: Vec<u8> = self.popularity.iter().flat_map(|p| p.to_le_bytes()).collect();
        write_bytes(&at(file_names::POPULARITY), &popularity)?;
        match &mut self.ranking {
            RankingContents::Towers(towers) => {
                self.golden.rank(towers.items, towers.query_tower.dim());
                towers.write_files(directory, self.name, self.schema)?;
            }
            RankingContents::Frequency(settings) => {
                write_json(&at(file_names::FREQUENCY), settings)?
            }
            RankingContents::Ranker(ranker) => {
                write_json(&at(file_names::RANKER), &ranker.0)?;
                match &ranker.1 {
                    RankerContents::Network(graph) => {
                        onnx::write(graph, &at(file_names::RANKER_NETWORK), onnx::EXTERNAL_ABOVE)?;
                    }
                    RankerContents::Trees(forest) => {
                        write_json(&at(file_names::RANKER_TREES), forest)?
                    }
                }
            }
        }
        write_json(&at(file_names::GOLDEN), &self.golden)
    }

    /// The manifest, its version still open.
    fn manifest(&self, items: usize, files: BTreeMap<String, super::FileEntry>) -> Manifest {
        // Without vectors these say nothing.
        let (dim, metric, index) = match &self.ranking {
            RankingContents::Towers(towers) => {
                (towers.query_tower.dim(), towers.metric, towers.index)
            }
            RankingContents::Frequency(_) | RankingContents::Ranker(_) => {
                (0, Metric::Dot, IndexParameters { m: 0, ef_construction: 0, ef_search: 0 })
            }
        };
        Manifest {
            format: Manifest::FORMAT,
            name: self.name.to_owned(),
            family: self.family.to_owned(),
            version: String::new(),
            dim,
            metric,
            items,
            schema: self.schema.clone(),
            time_unit: self.time_unit,
            index,
            training: self.training.clone(),
            data_fingerprint: self.data_fingerprint.to_owned(),
            seen_until: self.provenance.seen_until,
            held_out: self.provenance.held_out.clone(),
            measured: self.provenance.measured.clone(),
            metrics: self.metrics.to_vec(),
            files,
        }
    }
}

impl TowerContents<'_> {
    /// Checks what can be told before anything is written.
    fn check(&self, items: usize, golden: &Golden) -> Result<(), String> {
        let dim = self.query_tower.dim();
        if dim == 0 || self.item_tower.dim() != dim {
            return Err(format!(
                "query vectors have {dim} numbers, item vectors {}",
                self.item_tower.dim()
            ));
        }
        if self.items.len() != items * dim {
            return Err(format!("{} numbers are not {items} items × {dim}", self.items.len()));
        }
        if golden.queries.iter().any(|query| query.vector.len() != dim) {
            return Err(format!("a golden request's vector has not {dim} numbers"));
        }
        Ok(())
    }

    /// Writes towers, vectors and graph; raises `ef_search` as far as it takes.
    fn write_files(
        &mut self,
        directory: &Path,
        name: &str,
        schema: &FeatureSchema,
    ) -> Result<(), BundleError> {
        let at = |name: &str| directory.join(name);
        self.query_tower.write(&at(file_names::QUERY_TOWER), onnx::EXTERNAL_ABOVE)?;
        onnx::write(&self.item_tower, &at(file_names::ITEM_TOWER), onnx::EXTERNAL_ABOVE)?;
        retrieval::write_items(&at(file_names::ITEMS), self.query_tower.dim(), self.items)?;
        let items = ItemVectors::open(&at(file_names::ITEMS))?;
        let mut graph = Graph::build(&items, self.index, Insertion::Parallel)?;
        graph.write(&at(file_names::INDEX))?;
        let query_tower =
            Tower::load(&at(file_names::QUERY_TOWER), &schema.query, self.query_tower.dim())?;
        let retriever = Retriever::open(&at(file_names::ITEMS), &at(file_names::INDEX))?;
        let queries =
            random_queries(&query_tower, &schema.query, IndexQuality::QUERIES, IndexQuality::SEED)?;
        let ef = sufficient_ef(&retriever, &queries, self.index.ef_search).map_err(|error| {
            BundleError::Contents { name: name.to_owned(), reason: error.to_string() }
        })?;
        if ef > self.index.ef_search {
            self.index.ef_search = ef;
            graph.set_ef_search(ef);
            graph.write(&at(file_names::INDEX))?;
        }
        Ok(())
    }
}

/// Size and checksum of every file, which is flushed to the disk on the way.
fn describe_files(directory: &Path) -> Result<BTreeMap<String, super::FileEntry>, BundleError> {
    let mut described = BTreeMap::new();
    for (folder, prefix) in
        [(directory.to_owned(), ""), (directory.join(file_names::VOCABULARIES), "vocabularies/")]
    {
        for entry in std::fs::read_dir(&folder).map_err(BundleError::io(&folder))? {
            let path = entry.map_err(BundleError::io(&folder))?.path();
            if let Some(name) = path.file_name().and_then(|name| name.to_str())
                && path.is_file()
            {
                sync(&path)?;
                described.insert(format!("{prefix}{name}"), files::describe(&path)?);
            }
        }
    }
    Ok(described)
}

/// A directory that is removed unless its writer comes to the end.
struct Unfinished(PathBuf);

impl Unfinished {
    fn create(path: PathBuf) -> Result<Self, BundleError> {
        std::fs::create_dir(&path).map_err(BundleError::io(&path))?;
        Ok(Self(path))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Best effort: the next writer removes what is left.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Removes what killed writers left; the caller holds the lock.
fn remove_unfinished(parent: &Path) -> Result<(), BundleError> {
    for entry in std::fs::read_dir(parent).map_err(BundleError::io(parent))? {
        let entry = entry.map_err(BundleError::io(parent))?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            let path = entry.path();
            std::fs::remove_dir_all(&path).map_err(BundleError::io(&path))?;
        }
    }
    Ok(())
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), BundleError> {
    let json = serde_json::to_vec_pretty(value).map_err(|error| BundleError::Manifest {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    write_bytes(path, &json)
}

fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), BundleError> {
    std::fs::write(path, bytes).map_err(BundleError::io(path))?;
    sync(path)
}

/// Flushes a file or a directory to the disk.
fn sync(path: &Path) -> Result<(), BundleError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(BundleError::io(path))
}
