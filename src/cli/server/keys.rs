//! `vitrine-server keys`: who may call the API. Running servers follow.

use super::{DatabaseArguments, audited, block_on};
use crate::{
    cli::OrBadInput,
    serving::{Scope, hash_secret, key_name_problem, new_secret},
    store::{Change, NewKey, Store},
};
use anyhow::{Context, anyhow};
use clap::Subcommand;
use serde_json::json;

/// Makes, lists and withdraws keys of the API; running servers follow within a second.
#[derive(clap::Args)]
#[command(after_help = "Scopes:\n  \
    recommend        ask for recommendations and articles\n  \
    read-purchases   see reasons that tell what a customer bought\n  \
    write            change articles\n  \
    placements       see, try and change placements\n  \
    events           tell events; such a key may stand in a page\n  \
    customers        write, join, export and erase customers\n  \
    monitor          read status, metrics and versions of models\n  \
    admin            everything\n\n\
    Examples:\n  vitrine-server keys create shop-frontend --scope recommend --rate 200\n  \
    vitrine-server keys create pim --scope write\n  vitrine-server keys withdraw pim")]
pub(super) struct Arguments {
    #[command(flatten)]
    database: DatabaseArguments,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// All keys, withdrawn ones included
    List,
    /// Make a key and print its secret, this once
    Create {
        name: String,
        /// What the key may do; give it again for more
        #[arg(long = "scope", value_name = "SCOPE", required = true)]
        scopes: Vec<Scope>,
        /// Most requests in a second; without it the server's own limit
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        rate: Option<u32>,
    },
    /// Make a key void for good
    Withdraw { name: String },
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    block_on(execute(arguments))?
}

async fn execute(arguments: &Arguments) -> anyhow::Result<()> {
    let store = arguments.database.open().await?;
    match &arguments.command {
        Command::List => list(&*store).await,
        Command::Create { name, scopes, rate } => create(&*store, name, scopes, *rate).await,
        Command::Withdraw { name } => withdraw(&*store, name).await,
    }
}

async fn list(store: &dyn Store) -> anyhow::Result<()> {
    for key in store.keys().await? {
        let rate = key.requests_per_second.map(|rate| format!("{rate}/s")).unwrap_or_default();
        let state = key.withdrawn_at.map(|at| format!("withdrawn {at}")).unwrap_or_default();
        println!(
            "{:32} {} {:40} {rate:10} {state}",
            key.name,
            key.created_at,
            key.scopes.join(",")
        );
    }
    Ok(())
}

async fn create(
    store: &dyn Store,
    name: &str,
    scopes: &[Scope],
    rate: Option<u32>,
) -> anyhow::Result<()> {
    if let Some(problem) = key_name_problem(name) {
        return Err(anyhow!("`{name}`: {problem}")).or_bad_input();
    }
    let held = Scope::ALL.into_iter().filter(|scope| scopes.contains(scope));
    let scopes: Vec<String> = held.map(|scope| scope.name().to_owned()).collect();
    let secret = new_secret().context("no randomness")?;
    let change = Change { actor: "", action: "keys.create", subject: name, before: None };
    let after = json!({"scopes": scopes, "requests_per_second": rate});
    let key = NewKey {
        name,
        hash: hash_secret(secret.as_bytes()),
        scopes: &scopes,
        requests_per_second: rate,
    };
    let work = async { store.add_key(&key).await.map(|()| ((), Some(after))) };
    audited(store, change, work).await?;
    println!("{secret}");
    eprintln!(
        "this is the key `{name}`; it is told this once, and the server keeps only a hash of it"
    );
    Ok(())
}

async fn withdraw(store: &dyn Store, name: &str) -> anyhow::Result<()> {
    let keys = store.keys().await?;
    let key = keys.iter().find(|key| key.name == name && key.withdrawn_at.is_none());
    let before = key
        .map(|key| json!({"scopes": key.scopes, "requests_per_second": key.requests_per_second}));
    let change = Change { actor: "", action: "keys.withdraw", subject: name, before };
    audited(store, change, async { store.withdraw_key(name).await.map(|()| ((), None)) }).await?;
    println!("the key `{name}` is void");
    Ok(())
}
