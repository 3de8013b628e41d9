//! `vitrine-trainer generate`: a synthetic shop in the H&M schema.

use crate::{
    cli::OrBadInput,
    dataset::generate::{GenerateError, Generator, ShopSize},
};
use std::path::PathBuf;

/// Writes a believable synthetic shop: articles.csv, customers.csv and transactions.csv in the H&M
/// schema.
///
/// The same sizes and seed always give the same bytes.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  vitrine-trainer generate --out shop --articles 10000 --customers 20000 \
                        --transactions 400000\n\nThe size of the full H&M data:\n  vitrine-trainer generate --out full \
                        --articles 105542 --customers 1371980 --transactions 31788324 --days 734"
)]
pub struct GenerateArguments {
    /// Folder for the three files; made if missing.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[arg(long, default_value_t = ShopSize::default().articles)]
    articles: usize,
    #[arg(long, default_value_t = ShopSize::default().customers)]
    customers: usize,
    /// Rows of transactions.csv.
    #[arg(long, default_value_t = ShopSize::default().transactions)]
    transactions: u64,
    /// Length of the period; it ends on 2020-09-22.
    #[arg(long, default_value_t = ShopSize::default().days)]
    days: u32,
    #[arg(long, default_value_t = ShopSize::default().seed)]
    seed: u64,
    /// Overwrite files that exist.
    #[arg(long)]
    force: bool,
}

/// # Errors
/// Sizes out of range and existing files are bad input; a failing disk is not.
pub fn run(arguments: &GenerateArguments) -> anyhow::Result<()> {
    let &GenerateArguments { ref out, articles, customers, transactions, days, seed, force } =
        arguments;
    let generator = Generator::new(ShopSize { articles, customers, transactions, days, seed })
        .or_bad_input()?;
    match generator.write(out, force) {
        Err(error @ GenerateError::Write { .. }) => Err(error.into()),
        result => result.or_bad_input(),
    }?;
    println!(
        "wrote a shop of {articles} articles, {customers} customers and {transactions} purchases to {}",
        out.display()
    );
    Ok(())
}
