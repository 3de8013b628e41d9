//! Everything before the server: data, database, models. Only what has changed since the last start
//! is done.

use super::{
    page::Shop,
    state::{Chosen, Inputs, State},
};
use crate::{
    bundle,
    cli::{OrBadInput, data::DataArguments, trainer::init},
    dataset::{
        Dataset,
        generate::{Generator, ShopSize},
    },
    experiments::{Data, Runs, Selection},
    init::{Effort, InitError, Layout, Setup, describe},
    store::{self, Import, StoreOptions},
    training::TrainingConfig,
};
use anyhow::Context;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The configuration of the generated shop.
const CONFIG: &str = include_str!("../../../models/configs/demo.toml");

/// What to make a demo of, and where.
pub(super) struct Demo {
    /// A shop's own files; `None` for a generated shop.
    pub data: Option<PathBuf>,
    /// The size of the generated shop.
    pub size: ShopSize,
    /// Folder for everything that is made.
    pub home: PathBuf,
}

/// Something that took time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Did {
    Generated,
    Described,
    Read,
    Imported,
    Trained,
}

/// What there is to serve.
#[derive(Debug)]
pub(super) struct Prepared {
    pub chosen: Chosen,
    pub did: Vec<Did>,
}

impl Demo {
    pub(super) fn models(&self) -> PathBuf {
        self.home.join("models")
    }

    pub(super) fn database(&self) -> String {
        format!("sqlite:{}", self.home.join("vitrine.sqlite").display())
    }

    /// # Errors
    /// Whatever step failed; bad data is marked as bad input.
    pub(super) fn prepare(&self) -> anyhow::Result<Prepared> {
        let mut did = Vec::new();
        step(1, "data");
        let data = self.data_folder(&mut did)?;
        self.apart_from(&data)?;
        let inputs = Inputs::of(&data, &self.home).or_bad_input()?;
        let before = State::read(&self.home);
        if let Some(chosen) =
            before.as_ref().filter(|before| before.inputs == inputs).and_then(|b| self.standing(b))
        {
            eprintln!(
                "nothing has changed since the last start: no file is read, nothing is imported or trained"
            );
            return Ok(Prepared { chosen, did });
        }
        let (dataset, description) = self.read(&data, &mut did)?;
        let fingerprint = dataset.fingerprint();
        let same = before.filter(|before| before.fingerprint == fingerprint);
        if same.is_none() {
            self.clear()?;
        }
        let model = same.and_then(|before| self.standing(&before));
        let mut state = State { inputs, fingerprint, model: None };
        state.write(&self.home)?;

        step(2, "database");
        self.import(&dataset, &state.fingerprint, &mut did)?;

        step(3, "models");
        state.model = Some(match model {
            Some(chosen) => {
                eprintln!(
                    "the data is the same: using the model {} {}",
                    chosen.name, chosen.version
                );
                chosen
            }
            None => self.train(&dataset, &data, description.as_deref(), &mut did)?,
        });
        state.write(&self.home)?;
        let chosen = state.model.context("no model was chosen")?;
        Ok(Prepared { chosen, did })
    }

    fn data_folder(&self, did: &mut Vec<Did>) -> anyhow::Result<PathBuf> {
        if let Some(data) = &self.data {
            return Ok(data.clone());
        }
        let data = self.home.join("data");
        // Written last: a shop without it was not finished.
        if data.join("transactions.csv").exists() {
            eprintln!("using the shop in {}", data.display());
        } else {
            Generator::new(self.size)?.write(&data, true)?;
            did.push(Did::Generated);
        }
        Ok(data)
    }

    /// The demo writes nothing among the user's own files.
    fn apart_from(&self, data: &Path) -> anyhow::Result<()> {
        let same = data
            .canonicalize()
            .ok()
            .zip(self.home.canonicalize().ok())
            .is_some_and(|(a, b)| a == b);
        if same {
            let text = format!(
                "{} is the data's own folder; name another one with --dir",
                self.home.display()
            );
            return Err(anyhow::anyhow!(text)).or_bad_input();
        }
        Ok(())
    }

    /// The model of an earlier start, if it is still there.
    fn standing(&self, before: &State) -> Option<Chosen> {
        let chosen = before.model.clone()?;
        let path = self.models().join(&chosen.name).join(&chosen.version);
        let whole = bundle::Bundle::open_metadata(&path)
            .is_ok_and(|m| m.data_fingerprint == before.fingerprint);
        (whole && self.home.join("vitrine.sqlite").is_file()).then_some(chosen)
    }

    /// Loads the data by its own description, by a preset, or by one that is made up and kept in
    /// the demo's folder.
    fn read(&self, data: &Path, did: &mut Vec<Did>) -> anyhow::Result<(Dataset, Option<PathBuf>)> {
        let description = match describe(data) {
            Ok(Layout::Described | Layout::Preset(_)) => None,
            Ok(Layout::Guessed(described)) => {
                let path = self.home.join("dataset.toml");
                fs::write(&path, &described.text)
                    .with_context(|| format!("cannot write {}", path.display()))?;
                eprintln!(
                    "nobody has described these files; {} says how they are read:",
                    path.display()
                );
                described.findings.iter().for_each(|finding| eprintln!("  {finding}"));
                did.push(Did::Described);
                Some(path)
            }
            Err(error) => return Err(way_out(error, data)),
        };
        let rejects = self.home.join("rejects.csv");
        let arguments = DataArguments::of(data.to_owned(), description.clone(), rejects);
        let dataset = arguments.load().with_context(|| match &description {
            Some(path) => format!(
                "the description in {} does not fit; copy it to {}, correct it there, and start again",
                path.display(),
                data.join("dataset.toml").display()
            ),
            None => format!("correct {}, if it is there, or the files", data.join("dataset.toml").display()),
        })?;
        did.push(Did::Read);
        Ok((dataset, description))
    }

    /// Removes what an earlier start made of other data.
    fn clear(&self) -> anyhow::Result<()> {
        let gone = |path: PathBuf| {
            let removed =
                if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            match removed {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(error).with_context(|| format!("cannot remove {}", path.display()))
                }
                _ => Ok(()),
            }
        };
        // Without its state nobody knows whose the folder is.
        if !self.home.join("demo.json").exists() {
            return Ok(());
        }
        let names = [
            "vitrine.sqlite",
            "vitrine.sqlite-wal",
            "vitrine.sqlite-shm",
            "models",
            "runs",
            "configs",
        ];
        names.into_iter().try_for_each(|name| gone(self.home.join(name)))
    }

    fn import(
        &self,
        dataset: &Dataset,
        fingerprint: &str,
        did: &mut Vec<Did>,
    ) -> anyhow::Result<()> {
        let runtime =
            tokio::runtime::Runtime::new().context("cannot start the asynchronous runtime")?;
        let (url, options) = (self.database(), StoreOptions::default());
        let outcome = runtime.block_on(async {
            store::migrate(&url, &options).await?;
            store::import(&url, &options, &Import::new(dataset, fingerprint)).await
        })?;
        match outcome {
            store::Outcome::AlreadyComplete => eprintln!("the database has this data already"),
            store::Outcome::Complete(_) => did.push(Did::Imported),
        }
        Ok(())
    }

    /// Trains each family that fits, compares them on the validation purchases, and keeps the best
    /// one, trained on everything.
    fn train(
        &self,
        dataset: &Dataset,
        source: &Path,
        description: Option<&Path>,
        did: &mut Vec<Did>,
    ) -> anyhow::Result<Chosen> {
        let data = Data::new(dataset, source.display());
        let configs = self.configurations(&data, description)?;
        let runs = Runs::new(self.home.join("runs"));
        let selection =
            Selection { data: &data, runs: &runs, models: &self.models(), stop: &|| false };
        let selected = selection.run(&configs)?;
        did.push(Did::Trained);
        let table = selected.text();
        eprintln!("\n{table}");
        let repeats = crate::init::Shop::of(dataset, &data.histories).repeats;
        let (name, version) = (selected.bundle.name.clone(), selected.bundle.version.clone());
        let runtime =
            tokio::runtime::Runtime::new().context("cannot start the asynchronous runtime")?;
        runtime.block_on(self.activate(&name, &version))?;
        Ok(Chosen { name, version, table, shop: Shop::of(dataset, &data.histories, repeats) })
    }

    /// Makes the chosen bundle the one that is served, whatever an earlier start served.
    async fn activate(&self, name: &str, version: &str) -> anyhow::Result<()> {
        let store = store::connect(&self.database(), &StoreOptions::default()).await?;
        store.register_model(name, version).await?;
        store.activate_model(name, version).await?;
        Ok(())
    }

    fn configurations(
        &self,
        data: &Data<'_>,
        description: Option<&Path>,
    ) -> anyhow::Result<Vec<TrainingConfig>> {
        let folder = self.home.join("configs");
        if self.data.is_none() {
            let path = folder.join("demo.toml");
            fs::create_dir_all(&folder)
                .and_then(|()| fs::write(&path, CONFIG))
                .context("cannot write demo.toml")?;
            return Ok(Setup::load(&[path])?);
        }
        let setup = init::mark(Setup::of(data.dataset, &data.histories, Effort::Quick))?;
        eprint!("{}", init::summary(&setup));
        let paths = init::mark(setup.write(&folder, true))?;
        if paths.is_empty() {
            let edit =
                description.map_or_else(String::new, |path| format!(" in {}", path.display()));
            let text = format!(
                "no model family fits this data; is everything read as it should be{edit}?"
            );
            return Err(anyhow::anyhow!(text)).or_bad_input();
        }
        Ok(Setup::load(&paths)?)
    }
}

/// What to do where the files do not tell what they mean.
fn way_out(error: InitError, data: &Path) -> anyhow::Error {
    let hint = format!(
        "cannot make a demo of {0}; write {0}/dataset.toml (`vitrine-trainer init --data {0}` writes one where it can)",
        data.display()
    );
    match init::mark::<()>(Err(error)) {
        Err(error) => error.context(hint),
        Ok(()) => anyhow::anyhow!(hint),
    }
}

pub(super) fn step(number: usize, what: &str) {
    eprintln!("\n[{number}/4] {what}");
}
