//! `vitrine-server audit`

use super::{DatabaseArguments, block_on};
use crate::serving::{AuditFormat, AuditRow, write_audit};
use clap::ValueEnum;

/// Prints the record of all changes, the latest first: who, when, what, before and after.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  vitrine-server audit --format csv > audit.csv")]
pub(super) struct Arguments {
    #[command(flatten)]
    database: DatabaseArguments,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// Print only so many rows
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// One JSON object a line
    Jsonl,
    Csv,
}

/// Rows read at a time.
const PAGE: u32 = 1_000;

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    block_on(execute(arguments))?
}

async fn execute(arguments: &Arguments) -> anyhow::Result<()> {
    let store = arguments.database.open().await?;
    let format = match arguments.format {
        Format::Jsonl => AuditFormat::JsonLines,
        Format::Csv => AuditFormat::Csv,
    };
    let mut output = std::io::stdout().lock();
    let (mut before, mut left) = (i64::MAX, arguments.limit.unwrap_or(usize::MAX));
    let mut first = true;
    while left > 0 {
        let records = store.audit(before, PAGE.min(u32::try_from(left).unwrap_or(PAGE))).await?;
        let rows: Vec<AuditRow> = records.into_iter().map(AuditRow::from).collect();
        write_audit(&rows, format, first, &mut output)?;
        let Some(last) = rows.last() else { break };
        (before, left, first) = (last.id, left - rows.len(), false);
    }
    Ok(())
}
