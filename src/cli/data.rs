//! The arguments by which every command is told of a shop's data.

use super::OrBadInput;
use crate::dataset::{self, Dataset, LoadOptions, MaxRejects};
use anyhow::Context;
use std::path::PathBuf;

/// Flatten these into a command's arguments and call [`DataArguments::load`].
#[derive(Debug, Clone, clap::Args)]
pub struct DataArguments {
    /// Folder with the shop's files: described by a dataset.toml in it, or in the H&M schema, as RecBole
    /// atomic files, or as sequences.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Description of the files, instead of the dataset.toml in the folder.
    #[arg(long, value_name = "FILE")]
    pub dataset: Option<PathBuf>,
    /// Stop at the first row that cannot be used, instead of leaving it out.
    #[arg(long)]
    pub strict: bool,
    /// Where rows that cannot be used are written, if there are any.
    #[arg(long, value_name = "FILE", default_value = "vitrine-rejects.csv")]
    pub rejects: PathBuf,
    /// How many rows of one table may be left out before the command stops: a share such as 5% or a number of rows. Without
    /// it, what the dataset.toml says, or 5%.
    #[arg(long, value_name = "LIMIT")]
    pub max_rejects: Option<MaxRejects>,
}

#[cfg(feature = "trainer")]
impl DataArguments {
    /// [`DataArguments::load`], then the vectors of the articles' texts where configurations ask for them.
    ///
    /// # Errors
    /// As [`DataArguments::load`]; configurations that ask for different vectors; an encoder that is missing or damaged.
    pub fn load_with_texts<'a>(
        &self,
        texts: impl IntoIterator<Item = &'a crate::text::TextConfig>,
    ) -> anyhow::Result<Dataset> {
        let mut texts = texts.into_iter();
        let first = texts.next();
        if texts.any(|text| Some(text) != first) {
            let problem = anyhow::anyhow!("the configurations have different sections [text]; train them apart");
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
        Self { data, dataset, strict: false, rejects, max_rejects: None }
    }

    /// Loads the dataset and prints the account of it on standard error.
    ///
    /// # Errors
    /// Files that cannot be read; what is wrong with them is marked as bad input.
    pub fn load(&self) -> anyhow::Result<Dataset> {
        let options = LoadOptions {
            dataset_file: self.dataset.clone(),
            strict: self.strict,
            rejects: Some(self.rejects.clone()),
            max_rejects: self.max_rejects,
            now: None,
            progress: true,
        };
        let context = || format!("cannot load the data in {}", self.data.display());
        match dataset::load(&self.data, &options) {
            Ok((dataset, report)) => {
                eprintln!("{report}");
                Ok(dataset)
            }
            Err(error) if error.is_bad_input() => Err(error).with_context(context).or_bad_input(),
            Err(error) => Err(error).with_context(context),
        }
    }
}
