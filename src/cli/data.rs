//! The arguments by which every command is told of a shop's data.

use super::{OrBadInput, block_on, user_error};
use crate::{
    dataset::{self, Dataset, LoadOptions, MaxRejects},
    store::{self, ReadOptions, StoreOptions},
};
use anyhow::{Context, anyhow};
use clap::builder::{PathBufValueParser, TypedValueParser};
use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

/// Flatten these into a command's arguments and call [`DataArguments::load`].
#[derive(Debug, Clone, clap::Args)]
pub struct DataArguments {
    /// Folder with the shop's files: described by a dataset.toml in it, or in the H&M schema, as
    /// RecBole atomic files, or as sequences. Or the database of a server:
    /// `postgres://user@host/name` or `sqlite:path`.
    #[arg(long, value_name = "DIR|URL", value_parser = PathBufValueParser::new().map(DataSource::of))]
    pub data: DataSource,
    /// Description of the files, instead of the dataset.toml in the folder. For a database, which
    /// events count (docs/retraining.md).
    #[arg(long, value_name = "FILE")]
    pub dataset: Option<PathBuf>,
    /// Stop at the first row that cannot be used, instead of leaving it out.
    #[arg(long)]
    pub strict: bool,
    /// Where rows that cannot be used are written, if there are any.
    #[arg(long, value_name = "FILE", default_value = "vitrine-rejects.csv")]
    pub rejects: PathBuf,
    /// How many rows of one table may be left out before the command stops: a share such as 5% or a
    /// number of rows. Without it, what the dataset.toml says, or 5%.
    #[arg(long, value_name = "LIMIT")]
    pub max_rejects: Option<MaxRejects>,
}

/// Where a shop's data come from. Its `Display` shows no password.
#[derive(Clone, PartialEq, Eq)]
pub enum DataSource {
    Folder(PathBuf),
    /// The URL of a database.
    Database(String),
}

impl DataSource {
    /// What somebody wrote behind `--data`.
    pub fn of(text: PathBuf) -> Self {
        let schemes = ["postgres:", "postgresql:", "sqlite:"];
        match text.to_str().filter(|text| schemes.iter().any(|scheme| text.starts_with(scheme))) {
            Some(url) => Self::Database(url.to_owned()),
            None => Self::Folder(text),
        }
    }

    /// The folder of the shop's files; `None` for a database.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(folder) => Some(folder),
            Self::Database(_) => None,
        }
    }
}

impl fmt::Display for DataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::Database(url) => f.write_str(&without_secrets(url)),
        }
    }
}

/// As `Display`: the error of a bad argument shows it.
impl fmt::Debug for DataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A URL without its password and its parameters, which may hold another one.
fn without_secrets(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    // A password may hold an `@` that nobody escaped; the last one ends it.
    let Some((login, place)) = rest.rsplit_once('@') else { return format!("{scheme}://{rest}") };
    let user = login.split(':').next().unwrap_or_default();
    format!("{scheme}://{user}@{place}")
}

#[cfg(feature = "trainer")]
impl DataArguments {
    /// [`DataArguments::load`], then the vectors of the articles' texts where configurations ask
    /// for them.
    ///
    /// # Errors
    /// As [`DataArguments::load`]; configurations that ask for different vectors; an encoder that
    /// is missing or damaged.
    pub fn load_with_texts<'a>(
        &self,
        texts: impl IntoIterator<Item = &'a crate::text::TextConfig>,
    ) -> anyhow::Result<Dataset> {
        let mut texts = texts.into_iter();
        let first = texts.next();
        if texts.any(|text| Some(text) != first) {
            let problem = anyhow::anyhow!(
                "the configurations have different sections [text]; train them apart"
            );
            return Err(problem).or_bad_input();
        }
        let mut dataset = self.load()?;
        match first.map(|text| crate::text::attach(&mut dataset, text)) {
            Some(Err(error)) if error.is_bad_input() => Err(error).or_bad_input(),
            Some(Err(error)) => Err(error.into()),
            _ => Ok(dataset),
        }
    }
}

impl DataArguments {
    /// Arguments that nobody typed.
    pub fn of(data: PathBuf, dataset: Option<PathBuf>, rejects: PathBuf) -> Self {
        Self { data: DataSource::Folder(data), dataset, strict: false, rejects, max_rejects: None }
    }

    /// Loads the dataset and prints the account of it on standard error.
    ///
    /// # Errors
    /// Files or a database that cannot be read; what is wrong with them is marked as bad input.
    pub fn load(&self) -> anyhow::Result<Dataset> {
        let context = || format!("cannot load the data in {}", self.data);
        match &self.data {
            DataSource::Folder(folder) => self.load_files(folder).with_context(context),
            DataSource::Database(url) => self.read_database(url).with_context(context),
        }
    }

    fn load_files(&self, folder: &Path) -> anyhow::Result<Dataset> {
        let options = LoadOptions {
            dataset_file: self.dataset.clone(),
            strict: self.strict,
            rejects: Some(self.rejects.clone()),
            max_rejects: self.max_rejects,
            now: None,
            progress: true,
        };
        match dataset::load(folder, &options) {
            Ok((dataset, report)) => {
                eprintln!("{report}");
                Ok(dataset)
            }
            Err(error) if error.is_bad_input() => Err(error).or_bad_input(),
            Err(error) => Err(error.into()),
        }
    }

    fn read_database(&self, url: &str) -> anyhow::Result<Dataset> {
        let description = self
            .dataset
            .as_deref()
            .map(ReadOptions::load)
            .transpose()
            .or_bad_input()?
            .unwrap_or_default();
        let options =
            StoreOptions { acquire_timeout: DATABASE_PATIENCE, ..StoreOptions::default() };
        let reading = store::read_dataset(url, &options, &description);
        let (dataset, report) = block_on(async { user_error(reading.await) })??;
        eprintln!("{report}");
        if self.strict && report.left_out > 0 {
            return Err(anyhow!(
                "{} values cannot be used, and --strict leaves none out",
                report.left_out
            ))
            .or_bad_input();
        }
        if dataset.purchases.is_empty() {
            return Err(anyhow!(
                "the database holds no purchases: import the shop's files, or wait for events"
            ))
            .or_bad_input();
        }
        Ok(dataset)
    }
}

/// Longest wait for a connection: a training at night may wait for a database that starts again.
const DATABASE_PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_are_shown_without_their_passwords() {
        for (url, shown) in [
            (
                "postgres://shop:se:cr@et@db:5432/vitrine?password=other",
                "postgres://shop@db:5432/vitrine",
            ),
            ("postgresql://shop@db/vitrine", "postgresql://shop@db/vitrine"),
            ("postgres:///vitrine?host=/run/postgresql&password=x", "postgres:///vitrine"),
            ("sqlite:shop.sqlite", "sqlite:shop.sqlite"),
        ] {
            let source = DataSource::of(url.into());
            assert_eq!(
                (source.to_string(), format!("{source:?}")),
                (shown.to_owned(), shown.to_owned())
            );
            assert_eq!(source.folder(), None);
        }
        assert_eq!(DataSource::of("shop/exports".into()).folder(), Some(Path::new("shop/exports")));
    }
}
