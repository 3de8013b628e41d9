//! What a shop does at night: `vitrine-trainer retrain` on the server's own database.

use super::{
    Plan, SimulationError,
    record::Night,
    server::{Ended, Place},
};
use std::{fs, time::Instant};

/// The name of the model, whatever its configuration calls it.
pub(super) const MODEL: &str = "simulation";

/// The gate refused the candidate.
const REFUSED: i32 = 3;

/// Writes what `retrain` reads into an arm's folder.
pub(super) fn prepare(place: &Place, plan: &Plan) -> Result<(), SimulationError> {
    let text = format!(
        "database = \"{}\"\n\n[training]\nconfig = \"training.toml\"\nset = [\"model.name={MODEL}\"]\n\
         warm_epochs = {}\n\n[gate]\nleast_cases = 20\nbaselines = [\"popularity\"]\n\n[publish]\nkeep = 2\n\n\
         [watch]\nrounds = 1\ninterval_seconds = 0\n",
        place.database(),
        plan.warm_epochs
    );
    let path = place.at("nightly.toml");
    fs::write(&path, text).map_err(SimulationError::io(&path))?;
    fs::copy(&plan.config, place.at("training.toml"))
        .map(|_| ())
        .map_err(SimulationError::io(&plan.config))
}

/// Retrains as of the evening.
pub(super) fn retrain(place: &Place, plan: &Plan) -> Result<Night, SimulationError> {
    prepare(place, plan)?;
    let started = Instant::now();
    let Ended { status, printed, words } =
        place.end("vitrine-trainer", &["retrain", "--config", "nightly.toml"])?;
    let seconds = started.elapsed().as_secs_f64();
    match status.code() {
        Some(0) if printed.starts_with("nothing new") => {
            Ok(Night::Nothing { seconds, why: printed })
        }
        Some(0) => Ok(Night::Trained { seconds, version: printed.trim().to_owned() }),
        Some(REFUSED) => Ok(Night::Refused { seconds, why: words }),
        _ => Err(SimulationError::Program {
            command: "vitrine-trainer retrain".to_owned(),
            status,
            words,
        }),
    }
}
