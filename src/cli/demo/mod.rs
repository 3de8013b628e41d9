//! `vitrine-demo`: data → database → models → server → page, on one machine with an embedded
//! database.

mod page;
mod prepare;
mod serve;
mod state;
#[cfg(test)]
mod tests;

use crate::{
    cli::{OrBadInput, lines},
    dataset::generate::ShopSize,
};
use anyhow::Context;
use clap::Parser;
use prepare::{Demo, Prepared, step};
use serve::Serving;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Instant,
};

/// Makes a shop, or takes yours, trains models on it and serves the best: everything Vitrine does,
/// with one command.
///
/// Files that nobody has described are looked at and described in the demo's own folder; nothing is
/// written into yours. A second start reuses what the first one made, as long as the files are the
/// same.
#[derive(Parser)]
#[command(
    name = "vitrine-demo",
    version,
    after_help = "Examples:\n  cargo demo\n  cargo demo -- --data ../shared/data/hm-sample\n  cargo demo -- --listen 127.0.0.1:9000"
)]
struct Arguments {
    /// A folder with a shop's own files instead of a generated shop; `vitrine-trainer init` says
    /// what can be read.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder for everything the demo makes.
    #[arg(long, value_name = "DIR", default_value = "vitrine-demo")]
    dir: PathBuf,
    /// Address of the server; a free port is taken when this one is in use.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Print the answer and end, instead of staying up.
    #[arg(long)]
    once: bool,
}

/// # Errors
/// Whatever step failed; bad data is marked as bad input.
pub fn run() -> anyhow::Result<()> {
    let Arguments { data, dir, listen, once } = Arguments::parse();
    let started = Instant::now();
    lines::print();
    let demo = Demo { home: dir.join(name(data.as_deref())), data, size: ShopSize::default() };
    let home = &demo.home;
    std::fs::create_dir_all(home)
        .with_context(|| format!("cannot create {}", home.display()))
        .or_bad_input()?;
    let Prepared { chosen, did } = demo.prepare()?;
    if did.is_empty() {
        eprintln!("\n{}", chosen.table);
    }
    step(4, "server");
    let runtime =
        tokio::runtime::Runtime::new().context("cannot start the asynchronous runtime")?;
    runtime.block_on(Serving { listen, once, started }.run(&demo, &chosen))
}

/// A shop of one's own gets a folder of its own, so that the two never mix.
fn name(data: Option<&Path>) -> String {
    let Some(data) = data else { return "generated".to_owned() };
    let whole = data.canonicalize().unwrap_or_else(|_| data.to_owned());
    whole.file_name().map_or_else(|| "data".to_owned(), |name| name.to_string_lossy().into_owned())
}
