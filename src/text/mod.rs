//! Item texts as vectors: a frozen text encoder of the BERT family, read from a directory of the
//! machine.
//!
//! [`attach`] joins the text columns of every article, embeds each distinct text once with
//! [`TextEncoder`] and adds the vectors to the articles under [`NAME`]. What is computed once is
//! kept on disk, named by the content of the encoder and of the text, so that the next run only
//! reads it. A feature `{ source = "text", encoding = "vector" }` then gives the vectors to a
//! tower, whose first layer is the learned projection.
//!
//! [`LearnedEncoder`] needs no published model: it learns a vocabulary and a small encoder from the
//! texts themselves. It draws maps (`vitrine-trainer map --text`).
//!
//! Knows no HTTP: the server gets the vectors within the bundle and never runs an encoder.

mod bert;
mod cache;
mod encoder;
mod learned;
mod weights;

pub use encoder::{Pooling, TextEncoder};
pub use learned::{EpochLoss, LearnedConfig, LearnedEncoder};

use crate::{
    dataset::{Column, Dataset, Entities, Vectors},
    progress::{Progress, human},
};
use cache::Cache;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use std::{
    io,
    path::{Path, PathBuf},
    time::Instant,
};

/// The name of the vectors that [`attach`] adds.
pub const NAME: &str = "text";

/// `[text]` of a training configuration: embed the articles' texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextConfig {
    /// Directory of the encoder: `config.json`, `tokenizer.json` and `model.safetensors`.
    pub encoder: PathBuf,
    /// The columns of an article's text, in order; those of the H&M data by default.
    #[serde(default = "hm_columns")]
    pub columns: Vec<String>,
    #[serde(default)]
    pub pooling: Pooling,
    /// Longer texts are cut.
    #[serde(default = "default_max_tokens")]
    pub max_tokens: usize,
    /// Where vectors are kept for the next run.
    #[serde(default = "default_cache")]
    pub cache: PathBuf,
}

/// The text columns of the H&M data.
pub fn hm_columns() -> Vec<String> {
    [
        "prod_name",
        "product_type_name",
        "product_group_name",
        "graphical_appearance_name",
        "colour_group_name",
        "perceived_colour_value_name",
        "index_name",
        "section_name",
        "detail_desc",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn default_max_tokens() -> usize {
    128
}

fn default_cache() -> PathBuf {
    "models/.text".into()
}

/// Why there are no vectors.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    #[error(
        "{}: there is no {file}; `text.encoder` names a directory with config.json, tokenizer.json and model.safetensors, \
         the files that BERT models are published with: download these three of `sentence-transformers/all-MiniLM-L6-v2` \
         (90 MB) or of `bert-base-cased` (436 MB) into a directory and name it there", dir.display()
    )]
    Missing { dir: PathBuf, file: &'static str },
    #[error("{}: {detail}", path.display())]
    Encoder { path: PathBuf, detail: String },
    #[error(
        "the text columns (`text.columns`, `--columns`): the articles have no column `{column}`; they have {available}"
    )]
    NoColumn { column: String, available: String },
    #[error("`text`: {0}")]
    Config(String),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl TextError {
    /// Whether the user's input is at fault, not the machine.
    pub fn is_bad_input(&self) -> bool {
        !matches!(self, Self::Io { .. })
    }
}

/// Adds the vectors [`NAME`] to the articles: the vector of each article's text, at the scale of a
/// normalised number (root mean square 1); zeros for articles without any text. Progress and an
/// account go to standard error.
///
/// # Errors
/// [`TextError`]; the dataset is then as it was.
pub fn attach(dataset: &mut Dataset, config: &TextConfig) -> Result<(), TextError> {
    if dataset.articles.column(NAME).is_some() {
        return Err(TextError::Config(format!(
            "the articles have a column `{NAME}`; leave it out with `keep`"
        )));
    }
    let texts = texts(&dataset.articles, &config.columns)?;
    let encoder = TextEncoder::open(&config.encoder, config.pooling, config.max_tokens)?;
    let numbers = embed(&encoder, &texts, &config.cache)?;
    let (name, dim) = (NAME.to_owned(), encoder.dim());
    dataset.articles.vectors.push(Vectors { name, dim, numbers });
    Ok(())
}

/// The text of every article: its values of the columns, in their order, joined by spaces.
///
/// # Errors
/// A column that the articles do not have, or none.
pub fn texts(articles: &Entities, columns: &[String]) -> Result<Vec<String>, TextError> {
    let column = |name: &String| {
        articles.column(name).ok_or_else(|| TextError::NoColumn {
            column: name.clone(),
            available: articles
                .columns
                .iter()
                .map(|column| column.name.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        })
    };
    let columns = columns.iter().map(column).collect::<Result<Vec<_>, _>>()?;
    if columns.is_empty() {
        return Err(TextError::Config("`columns` is empty".to_owned()));
    }
    let text = |row: usize| {
        let mut words: Vec<String> = Vec::new();
        for Column { values, .. } in &columns {
            words.extend(values.category(row).map(str::to_owned));
            words.extend(values.number(row).map(|number| number.to_string()));
            words.extend(values.tags(row).map(str::to_owned));
        }
        words.join(" ")
    };
    Ok((0..articles.len()).map(text).collect())
}

/// Texts embedded between two writes to the cache.
const ROUND: usize = 1_024;

/// The vectors of texts, one after the other, from the cache where they are known.
fn embed(encoder: &TextEncoder, texts: &[String], cache: &Path) -> Result<Vec<f32>, TextError> {
    let started = Instant::now();
    let dim = encoder.dim();
    let mut cache = Cache::open(cache, encoder.fingerprint(), dim)?;
    // Each distinct text once; variants of one product often share theirs.
    let mut distinct: HashMap<&str, u32> = HashMap::new();
    let mut missing: Vec<&str> = Vec::new();
    for text in texts.iter().filter(|text| !text.is_empty()) {
        let next = distinct.len() as u32;
        if distinct.insert(text, next).is_none() && cache.get(text).is_none() {
            missing.push(text);
        }
    }
    if !missing.is_empty() {
        let progress = Progress::new("embedding texts", missing.len() as u64, "texts");
        // Texts of like length together, the longest first: a round then never waits long for its
        // last text.
        missing.sort_by_key(|text| std::cmp::Reverse(text.len()));
        for round in missing.chunks(ROUND) {
            let vectors = encoder.embed(round)?;
            cache.add(round.iter().copied().zip(vectors.chunks_exact(dim)))?;
            progress.add(round.len() as u64);
        }
        progress.finish(&format!("{dim} numbers each"));
    }
    tracing::info!(
        "texts of {} articles, {} distinct: {} embedded in {}, the others known",
        texts.len(),
        distinct.len(),
        missing.len(),
        human(started.elapsed())
    );
    let mut vectors = vec![0.0; texts.len() * dim];
    for (vector, text) in vectors.chunks_exact_mut(dim).zip(texts) {
        let Some(known) = cache.get(text).filter(|_| !text.is_empty()) else { continue };
        let norm = known.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
        let scale = if norm > 0.0 { (dim as f64).sqrt() / norm } else { 0.0 };
        vector.iter_mut().zip(known).for_each(|(to, from)| *to = (f64::from(*from) * scale) as f32);
    }
    Ok(vectors)
}

#[cfg(test)]
mod tests;
