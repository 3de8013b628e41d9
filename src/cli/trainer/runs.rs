//! `vitrine-trainer runs`: what was trained, and how it went.

use super::{
    mark,
    runs_export::{self, ExportArguments},
};
use crate::experiments::{ExperimentError, Kind, Run, Runs, Table, number, report};
use anyhow::Context;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Lists, shows and compares the runs that `train`, `compare` and `sweep` left.
///
/// A run is named by its id or the beginning of it.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  vitrine-trainer runs list\n  vitrine-trainer runs show 20260131T120000Z-demo\n  \
                        vitrine-trainer runs compare 20260131T12 20260131T14\n  vitrine-trainer runs report --out \
                        report.html\n  vitrine-trainer runs report 20260131T150000Z-sweep-webshop --out sweep.html\n  vitrine-trainer runs export --mlflow http://localhost:5000"
)]
pub struct RunsArguments {
    /// Folder of runs.
    #[arg(long, value_name = "DIR", default_value = "runs", global = true)]
    runs: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// One line a run, oldest first.
    List {
        /// One JSON array instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Everything known of a run; of a sweep or comparison, its members too.
    Show {
        #[arg(value_name = "ID")]
        id: String,
        /// One JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// The settings in which runs differ, and their results, side by side.
    Compare {
        #[arg(value_name = "ID", num_args = 2.., required = true)]
        ids: Vec<String>,
        /// One JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// One HTML page: curves, importance of settings, parallel coordinates.
    Report {
        /// The runs to report on, sweeps and comparisons by their members; all when none is named.
        #[arg(value_name = "ID")]
        ids: Vec<String>,
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Judge the runs by this validation metric instead of the one most were trained by.
        #[arg(long, value_name = "NAME")]
        metric: Option<String>,
    },
    Export(ExportArguments),
}

/// # Errors
/// Ids that name no run (bad input), folders that cannot be read, pages that cannot be written.
pub fn run(arguments: &RunsArguments) -> anyhow::Result<()> {
    let runs = Runs::new(&arguments.runs);
    match &arguments.command {
        Command::List { json } => list(&runs, *json),
        Command::Show { id, json } => show(&runs, id, *json),
        Command::Compare { ids, json } => compare(&runs, ids, *json),
        Command::Report { ids, out, metric } => {
            let runs = if ids.is_empty() { all(&runs)? } else { mark(trainings(&runs, ids))? };
            let page = mark(report::page(&runs, metric.as_deref()))?;
            std::fs::write(out, page).with_context(|| format!("cannot write {}", out.display()))?;
            eprintln!("wrote {}", out.display());
            Ok(())
        }
        Command::Export(arguments) => runs_export::run(&runs, arguments),
    }
}

/// All readable runs; the others are named on standard error.
pub(super) fn all(runs: &Runs) -> anyhow::Result<Vec<Run>> {
    let (found, broken) = mark(runs.list())?;
    for broken in broken {
        eprintln!("warning: {}", broken.error);
    }
    Ok(found)
}

fn list(runs: &Runs, json: bool) -> anyhow::Result<()> {
    let found = all(runs)?;
    if json {
        let rows: Vec<Value> = found.iter().map(summary).collect();
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(());
    }
    if found.is_empty() {
        eprintln!("no runs in {}", runs.directory().display());
        return Ok(());
    }
    print!("{}", table(&found).text());
    Ok(())
}

fn table(runs: &[Run]) -> Table {
    let mut table = Table::new([
        "run",
        "kind",
        "status",
        "metric",
        "epoch",
        "validation",
        "test",
        "seconds",
        "revision",
    ]);
    for run in runs {
        let outcome = run.outcome.as_ref();
        let (metric, best) = judged(run);
        let test =
            metric.as_ref().and_then(|metric| outcome?.test.first()?.metrics.get(metric).copied());
        table.row([
            run.record.id.clone(),
            run.record.kind.name().to_owned(),
            run.status.name().to_owned(),
            metric.unwrap_or_else(|| "-".to_owned()),
            best.map_or_else(|| "-".to_owned(), |best| best.0.to_string()),
            number(best.map(|best| best.1)),
            number(test),
            outcome.map_or_else(|| "-".to_owned(), |outcome| format!("{:.1}", outcome.seconds)),
            run.record
                .environment
                .revision
                .as_ref()
                .map_or_else(|| "-".to_owned(), |revision| revision.short()),
        ]);
    }
    table
}

/// The metric that judges a run's epochs, and the best epoch with its value: from the outcome, or
/// from the metrics so far.
fn judged(run: &Run) -> (Option<String>, Option<(u32, f64)>) {
    let metric = run.metric();
    let outcome =
        run.outcome.as_ref().and_then(|outcome| outcome.best_epoch.zip(outcome.validation));
    let best = outcome.or_else(|| run.curves().best(metric.as_ref()?));
    (metric, best)
}

fn summary(run: &Run) -> Value {
    let (metric, best) = judged(run);
    json!({
        "id": run.record.id,
        "kind": run.record.kind,
        "name": run.record.name,
        "status": run.status,
        "started": run.record.started,
        "member": run.record.member,
        "parameters": run.record.parameters,
        "metric": metric,
        "epoch": best.map(|best| best.0),
        "validation": best.map(|best| best.1),
        "outcome": run.outcome,
    })
}

fn show(runs: &Runs, id: &str, json: bool) -> anyhow::Result<()> {
    let run = mark(runs.find(id))?;
    let members = mark(runs.members(&run.record.id))?;
    let config = mark(run.config())?;
    if json {
        let mut shown = summary(&run);
        shown["record"] = json!(run.record);
        shown["config"] = json!(config);
        shown["members"] = members.iter().map(summary).collect();
        println!("{}", serde_json::to_string_pretty(&shown)?);
        return Ok(());
    }
    let record = &run.record;
    let environment = &record.environment;
    println!("{} ({}, {})", record.id, record.kind.name(), run.status.name());
    let revision = environment.revision.as_ref().map_or_else(
        || "no git repository".to_owned(),
        |revision| {
            format!("{}{}", revision.commit, if revision.dirty { ", with changes" } else { "" })
        },
    );
    println!("  started   {}", record.started);
    println!(
        "  data      {} ({})",
        record.data,
        record.fingerprint.get(..16).unwrap_or(&record.fingerprint)
    );
    println!("  code      {}, {revision}", environment.program);
    println!("  machine   {}, {} cores", environment.system, environment.cores);
    println!("  command   {}", environment.command.join(" "));
    for (key, value) in &record.parameters {
        println!("  chosen    {key} = {value}");
    }
    if let Some(outcome) = &run.outcome {
        println!("  ended     {} after {:.1} s", outcome.ended, outcome.seconds);
        if let Some(bundle) = &outcome.bundle {
            println!("  bundle    {}", bundle.display());
        }
        if let Some(reason) = &outcome.reason {
            println!("  reason    {reason}");
        }
    }
    let curves = run.curves();
    if !curves.epochs.is_empty() {
        let metric = run.metric().unwrap_or_default();
        println!();
        let mut table = Table::new(["epoch", "stage", "step", "loss", "seconds", metric.as_str()]);
        for epoch in &curves.epochs {
            table.row([
                epoch.epoch.to_string(),
                epoch.stage.clone(),
                epoch.step.to_string(),
                number(Some(epoch.loss)),
                format!("{:.1}", epoch.seconds),
                number(epoch.metrics.get(&metric).copied()),
            ]);
        }
        print!("{}", table.text());
    }
    if let Some(rows) =
        run.outcome.as_ref().map(|outcome| &outcome.test).filter(|rows| !rows.is_empty())
    {
        println!("\ntest");
        let names: Vec<&String> = rows[0].metrics.keys().collect();
        let mut table =
            Table::new(["metric"].into_iter().chain(rows.iter().map(|row| row.name.as_str())));
        for name in names {
            let values = rows.iter().map(|row| row.shown(name).unwrap_or_else(|| "-".to_owned()));
            table.row([name.clone()].into_iter().chain(values));
        }
        print!("{}", table.text());
    }
    if !members.is_empty() {
        println!();
        print!("{}", self::table(&members).text());
    }
    if let Some(config) = config {
        println!(
            "\nconfiguration\n{}",
            toml::to_string_pretty(&config).unwrap_or_else(|_| config.to_string())
        );
    }
    Ok(())
}

/// The runs of these ids, with the members in place of sweeps and comparisons; each once, in the
/// order named.
fn trainings(runs: &Runs, ids: &[String]) -> Result<Vec<Run>, ExperimentError> {
    let mut found: Vec<Run> = Vec::new();
    for id in ids {
        let run = runs.find(id)?;
        let members = match run.record.kind {
            Kind::Train | Kind::Trial => vec![run],
            Kind::Sweep | Kind::Comparison => runs.members(&run.record.id)?,
        };
        for run in members {
            if found.iter().all(|known| known.record.id != run.record.id) {
                found.push(run);
            }
        }
    }
    Ok(found)
}

fn compare(runs: &Runs, ids: &[String], json: bool) -> anyhow::Result<()> {
    let found = mark(trainings(runs, ids))?;
    let settings = mark(report::Settings::that_differ(&found.iter().collect::<Vec<_>>()))?;
    if json {
        let shown = json!({
            "settings": settings.keys,
            "runs": found.iter().zip(&settings.rows).map(|(run, row)| {
                let mut shown = summary(run);
                shown["settings"] = json!(row);
                shown
            }).collect::<Vec<_>>(),
        });
        println!("{}", serde_json::to_string_pretty(&shown)?);
        return Ok(());
    }
    let mut table =
        Table::new(std::iter::once("").chain(found.iter().map(|run| run.record.id.as_str())));
    for (at, key) in settings.keys.iter().enumerate() {
        let values = settings.rows.iter().map(|row| match &row[at] {
            Value::Null => "-".to_owned(),
            Value::String(text) => text.clone(),
            value => value.to_string(),
        });
        table.row([key.clone()].into_iter().chain(values));
    }
    let mut result = |name: String, value: &dyn Fn(&Run) -> String| {
        table.row([name].into_iter().chain(found.iter().map(value)));
    };
    result("data".to_owned(), &|run| {
        run.record.fingerprint.get(..8).unwrap_or_default().to_owned()
    });
    result("status".to_owned(), &|run| run.status.name().to_owned());
    result("seconds".to_owned(), &|run| {
        run.outcome
            .as_ref()
            .map_or_else(|| "-".to_owned(), |outcome| format!("{:.1}", outcome.seconds))
    });
    let mut metrics: Vec<String> = found.iter().filter_map(Run::metric).collect();
    metrics.sort();
    metrics.dedup();
    for metric in metrics {
        result(format!("validation {metric}"), &|run| {
            number(run.curves().best(&metric).map(|best| best.1))
        });
    }
    let mut tested: Vec<&String> = found
        .iter()
        .filter_map(|run| run.outcome.as_ref()?.test.first())
        .flat_map(|row| row.metrics.keys())
        .collect();
    tested.sort();
    tested.dedup();
    for metric in tested {
        result(format!("test {metric}"), &|run| {
            number(
                run.outcome
                    .as_ref()
                    .and_then(|outcome| outcome.test.first()?.metrics.get(metric).copied()),
            )
        });
    }
    print!("{}", table.text());
    Ok(())
}
