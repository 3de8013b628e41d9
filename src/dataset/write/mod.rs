//! Writes a data set as Parquet files with the `dataset.toml` that reads them back equal.

mod parquet;

use super::{Dataset, Entities, TimeUnit, Values};
use parquet::{ParquetError, Table};
use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

/// Why a data set was not written. Nothing of it is left then.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("{} is there already and is not empty; name another folder", .0.display())]
    Exists(PathBuf),
    #[error("cannot write {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("cannot write {}: {source}", path.display())]
    Parquet { path: PathBuf, source: ParquetError },
}

impl WriteError {
    /// Whether the user's input is at fault, not the machine.
    pub fn is_bad_input(&self) -> bool {
        matches!(self, Self::Exists(_))
    }
}

impl Dataset {
    /// Writes the data set into a folder that is missing or empty. The folder appears when all is
    /// written.
    ///
    /// Columns of whole numbers too large for an f32 are written as categories, which keep their
    /// digits. Computed vectors are left out.
    ///
    /// # Errors
    /// [`WriteError`]: a folder that is not empty, or a disk that does not take the files.
    pub fn write_parquet(&self, folder: &Path) -> Result<(), WriteError> {
        let fail = |source| WriteError::Io { path: folder.to_owned(), source };
        let found = match fs::read_dir(folder) {
            Ok(mut found) => found.next().is_some(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(fail(error)),
        };
        if found {
            return Err(WriteError::Exists(folder.to_owned()));
        }
        let parent = folder
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(fail)?;
        // Beside its place, so that the last step is a rename.
        let partial =
            tempfile::Builder::new().prefix(".export-").tempdir_in(parent).map_err(fail)?;
        let mut text = String::from(
            "# Written by `vitrine-trainer export`; docs/datasets.md explains every key.\n",
        );
        for (name, entities) in [("articles", &self.articles), ("customers", &self.customers)] {
            let table = Table::of_entities(entities);
            write_table(partial.path(), name, &table)?;
            text.push_str(&section(name, entities, &table));
        }
        let table = Table::of_purchases(self);
        write_table(partial.path(), "purchases", &table)?;
        text.push_str(&self.purchase_section());
        write_text(&partial.path().join("dataset.toml"), &text)?;
        fs::set_permissions(partial.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .map_err(fail)?;
        fs::rename(partial.path(), folder).map_err(fail)?;
        // What was there has another name now.
        let _ = partial.keep();
        Ok(())
    }

    fn purchase_section(&self) -> String {
        let purchases = &self.purchases;
        let mut text = String::from(
            "\n[purchases]\nfiles = [\"purchases.parquet\"]\ncustomer = \"customer\"\n",
        );
        text.push_str("article = \"article\"\n");
        let format = match self.time_unit {
            TimeUnit::Day => Some("date"),
            TimeUnit::Second if purchases.millis.is_empty() => Some("unix-seconds"),
            TimeUnit::Second => Some("unix-millis"),
            // The order of the rows is all that is known.
            TimeUnit::Position => None,
        };
        if let Some(format) = format {
            let _ =
                writeln!(text, "time = \"time\"\ntime_format = \"{format}\"\nallow_future = true");
        }
        for (name, there) in [
            ("price", !purchases.price.is_empty()),
            ("channel", !purchases.channel.is_empty()),
            ("weight", !purchases.weight.is_empty()),
        ] {
            if there {
                let _ = writeln!(text, "{name} = \"{name}\"");
            }
        }
        text
    }
}

fn write_table(folder: &Path, name: &str, table: &Table<'_>) -> Result<(), WriteError> {
    let path = folder.join(format!("{name}.parquet"));
    table.write(&path).map_err(|source| WriteError::Parquet { path, source })
}

fn write_text(path: &Path, text: &str) -> Result<(), WriteError> {
    fs::write(path, text).map_err(|source| WriteError::Io { path: path.to_owned(), source })
}

fn section(name: &str, entities: &Entities, table: &Table<'_>) -> String {
    let mut text =
        format!("\n[{name}]\nfiles = [\"{name}.parquet\"]\nid = {}\n", quoted(table.id()));
    if entities.columns.is_empty() {
        text.push_str("keep = []\n");
        return text;
    }
    let types = entities.columns.iter().map(|column| {
        let kind = match column.values {
            Values::Number(_) => "\"number\"",
            Values::Integer(_) | Values::Category { .. } => "\"category\"",
            Values::Tags { .. } => "{ tags = \",\" }",
        };
        format!("{} = {kind}", quoted(&column.name))
    });
    let _ = writeln!(text, "types = {{ {} }}", types.collect::<Vec<_>>().join(", "));
    text
}

/// A text as TOML.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dataset::{Column, LoadOptions, MISSING, Purchases, load},
        domain::{IdTable, Timestamp},
    };

    fn column(name: &str, values: Values) -> Column {
        Column { name: name.into(), values }
    }

    /// A shop with every kind of column, and names that need quotes.
    fn shop(time_unit: TimeUnit) -> Dataset {
        let colours: IdTable = ["red", "deep \"blue\", dark"].into_iter().collect();
        let tags: IdTable = ["new", "sale, last"].into_iter().collect();
        let articles = Entities {
            ids: ["0108775015", "b", "c"].into_iter().collect(),
            columns: vec![
                column(
                    "colour \"main\"",
                    Values::Category { codes: vec![1, MISSING, 0], dictionary: colours },
                ),
                column("id", Values::Number(vec![0.1, f32::NAN, -16_777_216.0])),
                column(
                    "labels",
                    Values::Tags {
                        offsets: vec![0, 2, 2, 3],
                        codes: vec![0, 1, 1],
                        dictionary: tags,
                    },
                ),
            ],
            vectors: vec![],
        };
        let day = |day: u32| Timestamp(day * Timestamp::DAY);
        let (time, millis) = match time_unit {
            TimeUnit::Day => (vec![day(1), day(1), day(18_000), day(18_000)], vec![]),
            TimeUnit::Second => {
                ([9, 9, 9, 2_000_000_000].map(Timestamp).to_vec(), vec![1, 1, 999, 0])
            }
            TimeUnit::Position => ([0, 0, 1, 2].map(Timestamp).to_vec(), vec![]),
        };
        Dataset {
            articles,
            customers: Entities {
                ids: ["x y", "z"].into_iter().collect(),
                columns: vec![],
                vectors: vec![],
            },
            purchases: Purchases {
                customer: vec![0, 1, 0, 0],
                article: vec![2, 0, 2, 1],
                time,
                price: vec![0.1, f32::NAN, 19.99, 3.0],
                channel: vec![0, 2, 255, 1],
                weight: vec![1.0, 0.25, 3.0, 1.0],
                millis,
            },
            time_unit,
        }
    }

    #[test]
    fn what_was_written_reads_back_equal() {
        for unit in [TimeUnit::Day, TimeUnit::Second, TimeUnit::Position] {
            let (dataset, home) = (shop(unit), tempfile::tempdir().unwrap());
            let folder = home.path().join("deep/shop");
            dataset.write_parquet(&folder).unwrap();
            let (read, report) =
                load(&folder, &LoadOptions { strict: true, ..LoadOptions::default() }).unwrap();
            assert_eq!(read.fingerprint(), dataset.fingerprint(), "{unit:?}: {report}");
            let again = dataset.write_parquet(&folder).unwrap_err();
            assert!(again.is_bad_input() && again.to_string().contains("not empty"), "{again}");
        }
    }

    #[test]
    fn a_shop_without_purchases_has_its_files() {
        let home = tempfile::tempdir().unwrap();
        Dataset { purchases: Purchases::default(), ..shop(TimeUnit::Day) }
            .write_parquet(home.path())
            .unwrap();
        let files = ["articles.parquet", "customers.parquet", "purchases.parquet", "dataset.toml"];
        assert!(files.iter().all(|file| home.path().join(file).is_file()));
    }

    #[test]
    fn a_folder_that_cannot_be_made_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("file"), "").unwrap();
        let error = shop(TimeUnit::Day).write_parquet(&home.path().join("file/shop")).unwrap_err();
        assert!(error.to_string().contains("cannot write"), "{error}");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }
}
