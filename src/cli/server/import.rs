//! `vitrine-server import`

use super::DatabaseArguments;
use crate::{
    cli::{OrBadInput, data::DataArguments},
    progress::human,
    store::{self, Change, Import, MissingArticles, Outcome, StoreOptions},
};

/// Loads a shop's articles, customers and purchases into the database.
///
/// An import that was interrupted goes on where it stopped; one that is complete changes nothing.
/// Other data updates articles and customers and, at the end and at once, replaces all purchases.
/// Articles that it does not have become unavailable.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  vitrine-server import --data shop --database postgres://vitrine@localhost/vitrine"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    data: DataArguments,
    #[command(flatten)]
    database: DatabaseArguments,
    /// What becomes of articles in the catalogue that the data does not have
    #[arg(long, value_enum, default_value_t = MissingArticles::Unavailable)]
    missing_articles: MissingArticles,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (url, options) = (&arguments.database.database, StoreOptions::default());
    if arguments.data.data.folder().is_none() {
        let problem = "an import reads files; `vitrine-trainer export` writes a database as files";
        return Err(anyhow::anyhow!(problem)).or_bad_input();
    }
    // First, so that a database out of reach is known before minutes of reading.
    super::user_error(super::block_on(async {
        store::migrate_if_new(url, &options).await?;
        store::connect(url, &options).await?.ping().await
    })?)?;
    let dataset = arguments.data.load()?;
    let fingerprint = dataset.fingerprint();
    let import =
        Import { missing: arguments.missing_articles, ..Import::new(&dataset, &fingerprint) };
    match super::block_on(recorded(&arguments.database, &import))?? {
        Outcome::AlreadyComplete => {
            println!("this data is in the database already; nothing changed")
        }
        Outcome::Complete(report) => {
            if report.resumed > 0 {
                println!("went on after {} rows of an interrupted import", report.resumed);
            }
            match (report.missing, arguments.missing_articles) {
                (0, _) | (_, MissingArticles::Keep) => {}
                (count, MissingArticles::Unavailable) => {
                    println!("made {count} articles unavailable that this data does not have");
                }
                (count, MissingArticles::Delete) => {
                    println!("deleted {count} articles that this data does not have")
                }
            }
            let rate = report.purchases as f64 / report.purchases_took.as_secs_f64().max(1e-9);
            println!(
                "imported {} articles, {} customers and {} purchases (purchases in {}, {rate:.0} rows/s)",
                report.articles,
                report.customers,
                report.purchases,
                human(report.purchases_took)
            );
        }
    }
    Ok(())
}

/// The import, and a row in the record of changes.
async fn recorded(database: &DatabaseArguments, import: &Import<'_>) -> anyhow::Result<Outcome> {
    let store = database.open().await?;
    let change =
        Change { actor: "", action: "data.import", subject: import.fingerprint, before: None };
    let work = async {
        let outcome = store::import(&database.database, &StoreOptions::default(), import).await?;
        let after = match &outcome {
            Outcome::AlreadyComplete => None,
            Outcome::Complete(report) => Some(serde_json::json!({
                "articles": report.articles, "customers": report.customers, "purchases": report.purchases,
            })),
        };
        Ok((outcome, after))
    };
    super::audited(&*store, change, work).await
}
