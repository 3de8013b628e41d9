//! `vitrine-trainer verify`: checks a bundle from outside.

use crate::{
    bundle::{Bundle, IndexQuality, Manifest},
    cli::{BadInput, OrBadInput},
};
use serde::Serialize;
use std::path::PathBuf;

/// Checks a bundle as a server does before it serves it, and its search index against the exact
/// scan.
///
/// Ends with status 2 and the reason when the bundle cannot be used.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  vitrine-trainer verify models/demo/20260131T120000000Z-1a2b3c4d"
)]
pub struct VerifyArguments {
    /// The bundle: `<models>/<name>/<version>`.
    #[arg(value_name = "DIR")]
    bundle: PathBuf,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    /// Queries to compare the index with the exact scan on.
    #[arg(long, default_value_t = IndexQuality::QUERIES as u32, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    queries: u32,
    /// Least share of the exact top 100 that the index must find.
    #[arg(long, default_value_t = IndexQuality::GOOD)]
    min_recall: f64,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    name: &'a str,
    family: &'a str,
    version: &'a str,
    dim: usize,
    items: usize,
    files: usize,
    bytes: u64,
    golden_requests: usize,
    /// Null for a bundle without vectors.
    index: Option<IndexQuality>,
    /// Why the bundle should not be served; empty when it is good.
    problems: Vec<String>,
}

/// # Errors
/// Whatever is wrong with the bundle, as bad input.
pub fn run(arguments: &VerifyArguments) -> anyhow::Result<()> {
    let bundle = Bundle::open(&arguments.bundle).or_bad_input()?;
    let index =
        bundle.index_quality(arguments.queries as usize, IndexQuality::SEED).or_bad_input()?;
    let Manifest { name, family, version, dim, items, files, .. } = bundle.manifest();
    let mut problems = Vec::new();
    if let Some(index) = index.filter(|index| index.recall < arguments.min_recall) {
        problems.push(format!(
            "the index finds {:.4} of the exact top {}, wanted are {}; train again, with a larger [index] m if it was trained by this version",
            index.recall, index.k, arguments.min_recall
        ));
    }
    if let Some(index) = index.filter(|index| index.unreachable > 0) {
        problems.push(format!("{} items cannot be reached by the index", index.unreachable));
    }
    let report = Report {
        name,
        family,
        version,
        dim: *dim,
        items: *items,
        files: files.len(),
        bytes: files.values().map(|file| file.bytes).sum(),
        golden_requests: bundle.golden().queries.len() + bundle.golden().items.len(),
        index,
        problems,
    };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
    }
    if report.problems.is_empty() {
        return Ok(());
    }
    Err(BadInput(anyhow::anyhow!("{}: {}", arguments.bundle.display(), report.problems.join("; ")))
        .into())
}

fn print(report: &Report<'_>) {
    let Report { name, family, version, dim, items, files, bytes, golden_requests, index, .. } =
        report;
    match index {
        Some(_) => println!("{name} {version} ({family}), {items} items × {dim}"),
        None => println!("{name} {version} ({family}), {items} items"),
    }
    println!("  files     {files} in {:.1} MB, sizes and checksums right", *bytes as f64 / 1e6);
    println!("  golden    {golden_requests} requests answered as in training");
    let Some(index) = index else { return };
    println!(
        "  index     recall@{} {:.4} (worst query {:.2}) on {} queries with a beam of {}; {} of {items} items unreachable",
        index.k, index.recall, index.worst, index.queries, index.ef, index.unreachable
    );
}
