//! `vitrine-trainer simulate`: what events and nightly retraining are worth, in a simulated shop.

use crate::{
    cli::OrBadInput,
    domain::Timestamp,
    simulation::{ArmRecord, Chooser, Plan, SimulationError, page, table},
};
use anyhow::{Context, anyhow};
use serde_json::{Map, Value};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

/// The model that is trained every night unless --config names another.
const CONFIG: &str = include_str!("../../../models/configs/simulation.toml");
/// The request by which lists are asked for unless --recipe names another.
const RECIPE: &str = include_str!("../../simulation/recipe.json");

/// Simulated customers visit running servers over HTTP, day after day, and buy by needs and tastes
/// that only the simulation knows.
///
/// Five arms see the same customers, visits and random numbers: what sells best; a server that is
/// told nothing after the first day; one to which events flow back; the closed loop, with a new
/// model every night as well; and the best that is possible. The command starts the servers itself,
/// on SQLite files in its folder and free ports of this machine. docs/simulation.md describes the
/// shop.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  vitrine-trainer simulate --days 28 --seed 1 --seeds 3 --out simulation\n\n\
                        Events of the past move nothing once they are older than 30 days, so --days is at most 29."
)]
pub struct SimulateArguments {
    /// Simulated days; the last one is yesterday.
    #[arg(long, default_value_t = 28, value_parser = clap::value_parser!(i32).range(1..=29))]
    days: i32,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many shops to simulate, with the seeds that follow.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    #[arg(long, default_value_t = 2_000)]
    customers: usize,
    /// Days before the first one that customers have shopped without recommendations.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(i32).range(28..=1_000))]
    history: i32,
    /// Articles of a list.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=100))]
    k: u16,
    /// Who chooses the lists.
    #[arg(long, value_name = "ARM", num_args = 1.., value_enum, value_delimiter = ',',
          default_values_t = [Chooser::Popularity, Chooser::Frozen, Chooser::Once, Chooser::Loop, Chooser::Best])]
    arms: Vec<Chooser>,
    /// The model that is trained every night, instead of models/configs/simulation.toml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Epochs that a nightly training goes on from the active model; 0 trains afresh every night.
    #[arg(long, value_name = "N", default_value_t = 0)]
    warm_epochs: u32,
    /// The JSON body of requests for lists (sources, max_per, …), instead of the built-in one.
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Folder for databases, models, logs, report.html and days.json; an earlier simulation there
    /// is replaced.
    #[arg(long, value_name = "DIR", default_value = "simulation")]
    out: PathBuf,
    /// Folder of vitrine-server and vitrine-trainer; that of this program if not given.
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
}

/// # Errors
/// A recipe that is no JSON object, programs that are missing; else a fault of the machine or of a
/// server.
pub fn run(arguments: &SimulateArguments) -> anyhow::Result<()> {
    let out = std::path::absolute(&arguments.out).context("no current folder")?;
    std::fs::create_dir_all(&out)
        .with_context(|| format!("cannot create {}", out.display()))
        .or_bad_input()?;
    let mut plan = plan(arguments, &out)?;
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
        .context("cannot listen for Ctrl-C")?;
    let mut seeds: Vec<(u64, Vec<ArmRecord>)> = Vec::new();
    for seed in arguments.seed..arguments.seed.saturating_add(arguments.seeds) {
        plan.seed = seed;
        plan.folder = out.join(format!("seed-{seed}"));
        if plan.folder.exists() {
            std::fs::remove_dir_all(&plan.folder)
                .with_context(|| format!("cannot empty {}", plan.folder.display()))?;
        }
        seeds.push((seed, mark(plan.run(&|line| eprintln!("{line}"), &stop))?));
        write(&out, &seeds)?;
    }
    print!("{}", table(&seeds));
    eprintln!("\ncharts: {}", out.join("report.html").display());
    Ok(())
}

fn plan(arguments: &SimulateArguments, out: &Path) -> anyhow::Result<Plan> {
    let config = match &arguments.config {
        Some(config) => std::path::absolute(config).context("no current folder")?,
        None => {
            let path = out.join("simulation.toml");
            std::fs::write(&path, CONFIG)
                .with_context(|| format!("cannot write {}", path.display()))?;
            path
        }
    };
    let programs = match &arguments.programs {
        Some(programs) => std::path::absolute(programs).context("no current folder")?,
        None => {
            let own = std::env::current_exe().context("cannot find this program's folder")?;
            own.parent().context("this program lies in no folder")?.to_owned()
        }
    };
    let mut choosers = arguments.arms.clone();
    choosers.sort();
    choosers.dedup();
    let today = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .context("the clock is before 1970")?;
    let today = Timestamp(u32::try_from(today.as_secs()).context("the clock is after 2106")?);
    let first = Timestamp(today.day() * Timestamp::DAY).minus_days(arguments.days.unsigned_abs());
    Ok(Plan {
        seed: arguments.seed,
        customers: arguments.customers,
        days: arguments.days,
        history_days: arguments.history,
        start: first,
        k: usize::from(arguments.k),
        choosers,
        recipe: recipe(arguments.recipe.as_deref())?,
        config,
        warm_epochs: arguments.warm_epochs,
        programs,
        folder: out.to_owned(),
    })
}

fn recipe(path: Option<&Path>) -> anyhow::Result<Map<String, Value>> {
    let (name, text) = match path {
        Some(path) => {
            let text = std::fs::read_to_string(path);
            (
                path.display().to_string(),
                text.with_context(|| format!("cannot read {}", path.display())).or_bad_input()?,
            )
        }
        None => ("the built-in recipe".to_owned(), RECIPE.to_owned()),
    };
    serde_json::from_str(&text)
        .map_err(|error| anyhow!("{name} is not a JSON object: {error}"))
        .or_bad_input()
}

/// After every seed, so that a simulation that is stopped has told what it knows.
fn write(out: &Path, seeds: &[(u64, Vec<ArmRecord>)]) -> anyhow::Result<()> {
    let days: Vec<Value> =
        seeds.iter().map(|(seed, arms)| serde_json::json!({"seed": seed, "arms": arms})).collect();
    for (name, text) in
        [("report.html", mark(page(seeds))?), ("days.json", serde_json::to_string_pretty(&days)?)]
    {
        let path = out.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn mark<T>(result: Result<T, SimulationError>) -> anyhow::Result<T> {
    match result {
        Err(error) if error.is_bad_input() => Err(error).or_bad_input(),
        result => Ok(result?),
    }
}
