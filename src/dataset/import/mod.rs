//! Import: a shop's files into a [`Dataset`].
//!
//! A preset or a `dataset.toml` becomes a [`plan::Plan`] of files and columns. Files are cut into
//! blocks of whole records ([`block`]) on a thread that reads ahead; entities are read in file
//! order, purchases in parallel against them. Only columns are kept, never the text of a file. Rows
//! with a fault are rejected whole, counted and written to a file, or end a strict import.

mod archive;
mod block;
mod cells;
mod columns;
mod description;
mod dialect;
mod entities;
mod error;
mod files;
mod ids;
mod input;
mod json;
mod json_file;
mod json_parser;
mod layout;
mod limit;
#[cfg(feature = "trainer")]
pub(crate) mod look;
mod moment;
mod open;
mod order;
mod outliers;
mod parquet_column;
mod parquet_file;
mod plan;
mod presets;
mod purchases;
mod rentals;
mod report;
mod returns;
mod rows;
mod sequences;
mod session;
mod shared_file;
mod signature;
mod text;
mod values;
mod xlsx;

pub use error::{DatasetError, FileName, Numbering, Reason, Reject};
#[cfg(feature = "trainer")]
pub(crate) use files::{FileOptions, Format as FileFormat, TableFile};
pub use limit::{InvalidLimit, MaxRejects};
#[cfg(feature = "database")]
pub(crate) use moment::Moment;
#[cfg(feature = "trainer")]
pub(crate) use outliers::nobody;
pub use report::{FileReport, ImportReport, RejectGroup, TableReport};
#[cfg(feature = "database")]
pub(crate) use returns::{Return, cancel};
#[cfg(feature = "trainer")]
pub(crate) use values::{Decimal, is_missing, number_in_any_notation};

use super::{Dataset, TimeUnit};
use crate::domain::Timestamp;
use columns::EntitiesBuilder;
use description::Description;
use ids::WholeIds;
use plan::{Duplicates, EntityPlan, Plan};
use presets::Preset;
use purchases::{PurchaseReader, Side};
use session::Session;
use std::path::{Path, PathBuf};

/// How a dataset is loaded.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// The description of the files, instead of the `dataset.toml` in the folder.
    pub dataset_file: Option<PathBuf>,
    /// Stop at the first row that cannot be used.
    pub strict: bool,
    /// Where rejected rows are written; the file is made at the first one. `None`: they are only
    /// counted.
    pub rejects: Option<PathBuf>,
    /// How many rejects of one table end the import. `None`: as the description says, else the
    /// default.
    pub max_rejects: Option<MaxRejects>,
    /// The moment after which times lie in the future, within two days. `None`: now.
    pub now: Option<Timestamp>,
    /// Show progress on standard error.
    pub progress: bool,
}

/// Reads the shop data in `dir`: as `dataset.toml` describes it, else by the preset its files
/// match.
///
/// # Errors
/// Files or columns that are missing or unreadable, files without a usable row, more rejected rows
/// than
/// [`LoadOptions::max_rejects`] allows, and in a strict import the first row that cannot be used;
/// each named with file, line and column.
pub fn load(dir: &Path, options: &LoadOptions) -> Result<(Dataset, ImportReport), DatasetError> {
    load_in_blocks(dir, options, 4 << 20)
}

/// Loads with blocks of about `block` bytes, which changes the speed and never the result.
fn load_in_blocks(
    dir: &Path,
    options: &LoadOptions,
    block: usize,
) -> Result<(Dataset, ImportReport), DatasetError> {
    let mut whole_ids = WholeIds::default();
    loop {
        let mut session = Session::new(options, block);
        session.whole_ids = whole_ids;
        let dataset = load_once(dir, options, &mut session)?;
        // Only all ids together show that some are whole numbers written as floats. That is rare
        // enough to read the files again.
        if session.whole_ids == whole_ids {
            return Ok((dataset, session.finish()?));
        }
        whole_ids = session.whole_ids;
    }
}

/// Reads everything once. Where ids turn out to be doubled, `session` says so afterwards.
fn load_once(
    dir: &Path,
    options: &LoadOptions,
    session: &mut Session,
) -> Result<Dataset, DatasetError> {
    let input = Input::find(dir, options, session)?;
    if let Some(rejects) = &options.rejects {
        input.refuse_to_overwrite(rejects)?;
    }
    let dataset = match input {
        Input::Tables(plan) => read_tables(*plan, session)?,
        Input::Sequences { file, attributes } => {
            session.report.kind = "sequences".to_owned();
            sequences::read_sequences(&file, attributes.as_deref(), session)?
        }
        Input::Rentals { file } => {
            session.report.kind = "rent-the-runway".to_owned();
            rentals::read_rentals(&file, session)?
        }
    };
    session.report.articles = dataset.articles.len();
    session.report.customers = dataset.customers.len();
    session.report.purchases = dataset.purchases.len();
    Ok(dataset)
}

/// What there is to read.
enum Input {
    Tables(Box<Plan>),
    Sequences { file: PathBuf, attributes: Option<PathBuf> },
    Rentals { file: PathBuf },
}

impl Input {
    fn find(
        dir: &Path,
        options: &LoadOptions,
        session: &mut Session,
    ) -> Result<Self, DatasetError> {
        let in_folder = dir.join("dataset.toml");
        let path =
            options.dataset_file.clone().or_else(|| in_folder.is_file().then_some(in_folder));
        let plan = match path {
            Some(path) => {
                let description = Description::read(&path)?;
                session.default_limit(description.max_rejects);
                match description {
                    description if description.is_preset(Preset::Sequences) => {
                        return Self::sequences(dir);
                    }
                    description if description.is_preset(Preset::RentTheRunway) => {
                        return Self::rentals(dir);
                    }
                    description => description.into_plan(dir, &path)?,
                }
            }
            None => match Preset::detect(dir)? {
                Preset::Hm => presets::hm(dir)?,
                Preset::Recbole => presets::recbole(dir)?,
                Preset::RentTheRunway => return Self::rentals(dir),
                Preset::Sequences => return Self::sequences(dir),
            },
        };
        Ok(Self::Tables(Box::new(plan)))
    }

    fn sequences(dir: &Path) -> Result<Self, DatasetError> {
        let (file, attributes) = presets::sequences(dir)?;
        Ok(Self::Sequences { file, attributes })
    }

    fn rentals(dir: &Path) -> Result<Self, DatasetError> {
        Ok(Self::Rentals { file: presets::rentals(dir)? })
    }

    fn refuse_to_overwrite(&self, rejects: &Path) -> Result<(), DatasetError> {
        let Ok(rejects) = rejects.canonicalize() else { return Ok(()) };
        let same = |path: &PathBuf| path.canonicalize().is_ok_and(|path| path == rejects);
        let is_input = match self {
            Self::Tables(plan) => plan.files().iter().any(|file| same(&file.path)),
            Self::Sequences { file, attributes } => {
                same(file) || attributes.as_ref().is_some_and(same)
            }
            Self::Rentals { file } => same(file),
        };
        if is_input { Err(DatasetError::RejectsOverData { path: rejects }) } else { Ok(()) }
    }
}

fn read_tables(plan: Plan, session: &mut Session) -> Result<Dataset, DatasetError> {
    session.report.kind = plan.kind;
    let mut side = |plan: Option<&EntityPlan>, name: &str, unknown| -> Result<Side, DatasetError> {
        let table = plan.map_or(Ok(EntitiesBuilder::default()), |plan| {
            entities::read_entities(plan, name, session)
        })?;
        Ok(Side { table, open: plan.is_none_or(|plan| plan.open), unknown })
    };
    let articles = side(plan.articles.as_ref(), "articles", |id, similar| {
        Reason::UnknownArticle { id, similar }
    })?;
    let customers = side(plan.customers.as_ref(), "customers", |id, similar| {
        Reason::UnknownCustomer { id, similar }
    })?;
    let known = (articles.table.ids.len(), customers.table.ids.len());
    let mut reader = PurchaseReader::new(articles, customers);
    reader.read(&plan.purchases, session)?;
    if reader.time_unit == TimeUnit::Position {
        let customers = reader.customers.table.ids.len();
        order::count_positions(&mut reader.purchases, customers);
    }
    order::sort_by_time(&mut reader.purchases);
    reader.finish(session)?;
    let PurchaseReader { articles, customers, purchases, time_unit, .. } = reader;
    // In a table of its own a repeated id is a fault of that table, and told as such.
    let own = |plan: &Option<EntityPlan>, known: usize| {
        let is_own = |plan: &EntityPlan| plan.duplicates == Duplicates::Reject;
        if plan.as_ref().is_some_and(is_own) { known } else { 0 }
    };
    let sides = [
        ("articles", &articles.table.ids, own(&plan.articles, known.0)),
        ("customers", &customers.table.ids, own(&plan.customers, known.1)),
    ];
    let WholeIds { articles: whole_articles, customers: whole_customers } = &mut session.whole_ids;
    for ((name, ids, from), is_whole) in sides.into_iter().zip([whole_articles, whole_customers]) {
        if *is_whole {
            session.report.notes.push(format!(
                "some ids of {name} are written as floats, `7.0` for `7`; all are read as whole \
                 numbers"
            ));
        }
        *is_whole |= ids::are_doubled(ids, from);
    }
    session.report.added_articles = articles.table.ids.len() - known.0;
    session.report.added_customers = customers.table.ids.len() - known.1;
    let notes = &mut session.report.notes;
    notes.extend(ids::twins(&articles.table.ids, known.0, "articles"));
    notes.extend(ids::twins(&customers.table.ids, known.1, "customers"));
    let (articles, customers) = (articles.table.finish(notes), customers.table.finish(notes));
    let dataset = Dataset { articles, customers, purchases, time_unit };
    notes.extend(outliers::notes(&dataset));
    Ok(dataset)
}

#[cfg(test)]
mod tests;
