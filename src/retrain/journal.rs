//! What every retraining did, one JSON line a step, and where one that was killed must go on.

use super::RetrainError;
use serde_json::{Map, Value, json};
use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

/// The file's name, in the folder of runs for all nights and in the folder of each run for its own
/// steps.
const FILE: &str = "retrain.jsonl";

/// Appends steps to the journal of the shop and, once there is one, to that of the run.
pub struct Journal {
    path: PathBuf,
    of_run: Option<PathBuf>,
    /// Steps before the run's folder was there.
    early: Vec<String>,
}

/// What the run before left to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Left {
    Nothing,
    /// A bundle was published and not activated.
    Published {
        model: String,
        version: String,
    },
    /// A version was activated and not watched to the end.
    Activated {
        model: String,
        version: String,
        previous: Option<String>,
        before: Value,
    },
}

impl Journal {
    /// Opens the journal in the folder of runs, which is made if it is missing.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub fn open(runs: &Path) -> Result<Self, RetrainError> {
        fs::create_dir_all(runs).map_err(RetrainError::io(runs))?;
        Ok(Self { path: runs.join(FILE), of_run: None, early: Vec::new() })
    }

    /// What is left to do, by the last step that was written whole.
    ///
    /// # Errors
    /// A journal that cannot be read.
    pub fn left(&self) -> Result<Left, RetrainError> {
        let text = match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Left::Nothing),
            text => text.map_err(RetrainError::io(&self.path))?,
        };
        let last = text
            .lines()
            .rev()
            .find_map(|line| serde_json::from_str::<Map<String, Value>>(line).ok());
        Ok(last.map_or(Left::Nothing, |step| Left::of(&step)))
    }

    /// From now on steps are written to the run's folder as well.
    ///
    /// # Errors
    /// A disk that does not take them.
    pub fn begin_run(&mut self, directory: &Path) -> Result<(), RetrainError> {
        let path = directory.join(FILE);
        for line in self.early.drain(..) {
            append(&path, &line)?;
        }
        self.of_run = Some(path);
        Ok(())
    }

    /// Writes a step with its figures, and tells it on standard error.
    ///
    /// # Errors
    /// A disk that does not take it; the next step must then not be taken.
    pub fn step(&mut self, step: &str, said: &str, figures: Value) -> Result<(), RetrainError> {
        tracing::info!("{step}: {said}");
        let mut line = json!({"at": now(), "step": step, "said": said});
        if let (Value::Object(line), Value::Object(figures)) = (&mut line, figures) {
            line.extend(figures);
        }
        let line = line.to_string();
        append(&self.path, &line)?;
        match &self.of_run {
            Some(path) => append(path, &line),
            None => {
                self.early.push(line);
                Ok(())
            }
        }
    }
}

impl Left {
    fn of(step: &Map<String, Value>) -> Self {
        let text = |key: &str| step.get(key).and_then(Value::as_str).map(str::to_owned);
        let (Some(model), Some(version)) = (text("model"), text("version")) else {
            return Self::Nothing;
        };
        match step.get("step").and_then(Value::as_str) {
            Some("publish") => Self::Published { model, version },
            Some("activate") => {
                let before = step.get("before").cloned().unwrap_or_default();
                Self::Activated { model, version, previous: text("previous"), before }
            }
            _ => Self::Nothing,
        }
    }
}

/// A line is on the disk when this returns. One that was cut off before is ended first, so that it
/// spoils no other.
fn append(path: &Path, line: &str) -> Result<(), RetrainError> {
    let write = || -> std::io::Result<()> {
        let is_cut_off =
            fs::read(path).is_ok_and(|bytes| !bytes.is_empty() && !bytes.ends_with(b"\n"));
        let mut file: File = OpenOptions::new().create(true).append(true).open(path)?;
        file.write_all(format!("{}{line}\n", if is_cut_off { "\n" } else { "" }).as_bytes())?;
        file.sync_data()
    };
    write().map_err(RetrainError::io(path))
}

/// UTC in RFC 3339, to the second.
fn now() -> String {
    let now = time::OffsetDateTime::now_utc()
        .replace_nanosecond(0)
        .unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    now.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_run_goes_on_behind_its_last_whole_step() {
        let runs = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(&runs.path().join("runs")).unwrap();
        assert_eq!(journal.left().unwrap(), Left::Nothing);
        journal.step("read", "as of now", json!({"purchases": 3})).unwrap();
        assert_eq!(journal.left().unwrap(), Left::Nothing);
        journal.step("publish", "m 1", json!({"model": "m", "version": "1"})).unwrap();
        let published = Left::Published { model: "m".into(), version: "1".into() };
        assert_eq!(journal.left().unwrap(), published);
        // The power went while the next step was written.
        let path = runs.path().join("runs").join(FILE);
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("{\"at\": \"2026-");
        fs::write(&path, &text).unwrap();
        assert_eq!(journal.left().unwrap(), published);
        let figures =
            json!({"model": "m", "version": "1", "previous": "0", "before": {"empty": 0.0}});
        journal.step("activate", "m 1", figures).unwrap();
        let activated = Left::Activated {
            model: "m".into(),
            version: "1".into(),
            previous: Some("0".into()),
            before: json!({"empty": 0.0}),
        };
        assert_eq!(journal.left().unwrap(), activated);
        journal.step("watch", "m 1 stays", json!({"model": "m", "version": "1"})).unwrap();
        assert_eq!(journal.left().unwrap(), Left::Nothing);
    }

    #[test]
    fn a_run_has_its_own_steps_from_the_first_one() {
        let home = tempfile::tempdir().unwrap();
        let run = home.path().join("run");
        fs::create_dir(&run).unwrap();
        let mut journal = Journal::open(home.path()).unwrap();
        journal.step("lock", "alone", json!({})).unwrap();
        journal.begin_run(&run).unwrap();
        journal.step("read", "as of now", json!({})).unwrap();
        let steps = fs::read_to_string(run.join(FILE)).unwrap();
        assert_eq!(steps, fs::read_to_string(home.path().join(FILE)).unwrap());
        assert_eq!(steps.lines().count(), 2);
    }
}
