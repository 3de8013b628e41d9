//! All arms through all days.

use super::{
    SimulationError,
    arm::{Arm, Chooser},
    files::Told,
    history::History,
    market::Day,
    night::retrain,
    record::{ArmRecord, Night},
    server::Place,
    shop::Shop,
};
use crate::domain::Timestamp;
use serde_json::{Map, Value};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
    thread,
};

/// What to simulate.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub customers: usize,
    pub days: Day,
    /// Days before the first one in which customers shopped without recommendations.
    pub history_days: Day,
    /// Midnight (UTC) of the first day.
    pub start: Timestamp,
    /// Articles of a list.
    pub k: usize,
    pub choosers: Vec<Chooser>,
    /// The body of every request but for customer, moment and `k`.
    pub recipe: Map<String, Value>,
    /// The trainer's configuration.
    pub config: PathBuf,
    /// How long a nightly training goes on from the active model; 0 starts afresh.
    pub warm_epochs: u32,
    /// Where `vitrine-server` and `vitrine-trainer` are.
    pub programs: PathBuf,
    /// Everything is written here.
    pub folder: PathBuf,
}

impl Plan {
    /// Runs all arms. `told` hears of every finished day; once `stop` is set, the simulation ends
    /// with its servers.
    ///
    /// # Errors
    /// A program that fails, a request that is refused, a disk that is full.
    pub fn run(
        &self,
        told: &dyn Fn(&str),
        stop: &AtomicBool,
    ) -> Result<Vec<ArmRecord>, SimulationError> {
        let shop = Shop::new(self.seed, self.customers, -self.history_days..self.days);
        let history = History::of(&shop, -self.history_days);
        told(&format!(
            "seed {}: {} customers, {} visits and {} purchases before the first day",
            self.seed,
            self.customers,
            history.visits,
            history.purchases.len()
        ));
        let ready = self.prepare(&shop, &history, told)?;
        let told_shop = Told { shop: &shop, start: self.start };
        let mut arms: Vec<Arm<'_>> = Vec::new();
        for &chooser in &self.choosers {
            let place =
                Place { programs: self.programs.clone(), folder: self.folder.join(chooser.name()) };
            copy_into(&ready, &place)?;
            let mut arm = Arm::new(chooser, self, told_shop, &history, place);
            arm.open()?;
            arms.push(arm);
        }
        for day in 0..self.days {
            self.day(&mut arms, day, stop)?;
            told(&format!("seed {}: day {} of {}", self.seed, day + 1, self.days));
        }
        Ok(arms.into_iter().map(Arm::record).collect())
    }

    /// One day and night of all arms, side by side.
    fn day(
        &self,
        arms: &mut [Arm<'_>],
        day: Day,
        stop: &AtomicBool,
    ) -> Result<(), SimulationError> {
        let is_last = day + 1 == self.days;
        thread::scope(|scope| {
            let work = |arm: &mut Arm<'_>| {
                arm.day(day, stop)?;
                if is_last { Ok(()) } else { arm.night() }
            };
            let threads: Vec<_> =
                arms.iter_mut().map(|arm| scope.spawn(move || work(arm))).collect();
            let mut ended = threads.into_iter().map(|thread| thread.join());
            ended.try_for_each(|ended| {
                ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
        })
    }

    /// The database and the model with which every arm begins.
    fn prepare(
        &self,
        shop: &Shop,
        history: &History,
        told: &dyn Fn(&str),
    ) -> Result<Place, SimulationError> {
        let folder = self.folder.join("day-zero");
        fs::create_dir_all(&folder).map_err(SimulationError::io(&folder))?;
        let place = Place { programs: self.programs.clone(), folder };
        if !self.choosers.iter().any(|chooser| chooser.has_server()) {
            return Ok(place);
        }
        Told { shop, start: self.start }.write(&place.at("shop"), 0, &history.purchases)?;
        place.run(
            "vitrine-server",
            &["import", "--data", "shop", "--database", &place.database()],
        )?;
        told(&format!("seed {}: training the first model", self.seed));
        match retrain(&place, self)? {
            Night::Trained { seconds, .. } => {
                told(&format!("seed {}: trained in {seconds:.1} s", self.seed))
            }
            Night::Refused { why, .. } | Night::Nothing { why, .. } => {
                return Err(SimulationError::NoModel(why));
            }
        }
        Ok(place)
    }
}

/// What lies ready before the first day.
fn copy_into(ready: &Place, place: &Place) -> Result<(), SimulationError> {
    fs::create_dir_all(&place.folder).map_err(SimulationError::io(&place.folder))?;
    for name in ["shop.sqlite", "models"] {
        let from = ready.at(name);
        if from.exists() {
            copy(&from, &place.at(name))?;
        }
    }
    Ok(())
}

/// Copies a file or a folder.
fn copy(from: &Path, to: &Path) -> Result<(), SimulationError> {
    if !from.is_dir() {
        return fs::copy(from, to).map(|_| ()).map_err(SimulationError::io(from));
    }
    fs::create_dir_all(to).map_err(SimulationError::io(to))?;
    for entry in fs::read_dir(from).map_err(SimulationError::io(from))? {
        let entry = entry.map_err(SimulationError::io(from))?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}
