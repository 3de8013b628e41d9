//! `vitrine-demo`: data → database → model → server → page, on one machine with an embedded database.

mod page;

use crate::{
    bundle,
    cli::{OrBadInput, data::DataArguments, server::serve},
    dataset::{
        Dataset, Histories,
        generate::{Generator, ShopSize},
    },
    experiments::{Data, Job, NewRun, Runs},
    http::Server,
    progress::human,
    serving::{Config, Secret},
    store::{self, Import, StoreOptions},
    training::TrainingConfig,
};
use anyhow::Context;
use clap::Parser;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Instant,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The configuration the demo trains with.
const CONFIG: &str = include_str!("../../../models/configs/demo.toml");

/// Where the bundles lie in the demo's folder.
const MODELS: &str = "models";

/// Makes a shop, trains a model on it and serves it: everything Vitrine does, with one command.
///
/// A second run reuses what the first one made.
#[derive(Parser)]
#[command(
    name = "vitrine-demo",
    version,
    after_help = "Examples:\n  cargo demo\n  cargo demo -- --data ../shared/data/hm-sample\n  cargo demo -- --listen 127.0.0.1:9000"
)]
struct Arguments {
    /// A shop's own files (see vitrine-trainer train --help) instead of a generated shop.
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
    let arguments = Arguments::parse();
    let started = Instant::now();
    // A shop of one's own gets a folder of its own, so that the two never mix.
    let name = arguments.data.as_deref().and_then(Path::file_name).map_or("generated".into(), |n| n.to_string_lossy());
    let home = arguments.dir.join(&*name);
    std::fs::create_dir_all(&home).with_context(|| format!("cannot create {}", home.display())).or_bad_input()?;

    step(1, "data");
    let data = match &arguments.data {
        Some(data) => data.clone(),
        None => generated(&home)?,
    };
    let files = DataArguments { data, dataset: None, strict: false, rejects: home.join("rejects.csv") };
    let dataset = files.load()?;

    let runtime = tokio::runtime::Runtime::new().context("cannot start the asynchronous runtime")?;
    step(2, "database");
    let url = format!("sqlite:{}", home.join("vitrine.sqlite").display());
    let fingerprint = dataset.fingerprint();
    runtime.block_on(async {
        store::migrate_if_new(&url, &StoreOptions::default()).await?;
        store::import(&url, &StoreOptions::default(), &Import::new(&dataset, &fingerprint)).await
    })?;

    step(3, "model");
    trained(&dataset, &fingerprint, &home)?;

    step(4, "server");
    let shop = page::Shop::of(&dataset, &Histories::of(&dataset));
    drop(dataset);
    runtime.block_on(serve(&arguments, url, &home, &shop, started))
}

fn step(number: usize, what: &str) {
    eprintln!("\n[{number}/4] {what}");
}

/// The folder with the generated shop, made on the first run.
fn generated(home: &Path) -> anyhow::Result<PathBuf> {
    let data = home.join("data");
    if data.join("transactions.csv").exists() {
        eprintln!("using the shop in {}", data.display());
    } else {
        Generator::new(ShopSize::default())?.write(&data, true)?;
    }
    Ok(data)
}

/// Trains a bundle unless one of this data and configuration is there.
fn trained(dataset: &Dataset, fingerprint: &str, home: &Path) -> anyhow::Result<()> {
    let (file, models) = (home.join("demo.toml"), home.join(MODELS));
    std::fs::write(&file, CONFIG).with_context(|| format!("cannot write {}", file.display()))?;
    let config = TrainingConfig::load(&file, &[])?;
    let wanted = serde_json::to_value(&config)?;
    for found in bundle::list(&models)? {
        if let Ok(manifest) = bundle::Bundle::open_metadata(&found.path)
            && manifest.data_fingerprint == fingerprint
            && manifest.training == wanted
        {
            eprintln!("using the model in {}", found.path.display());
            return Ok(());
        }
    }
    let data = Data::new(dataset, home);
    let run = Runs::new(home.join("runs")).begin(NewRun::training(&config, &data))?;
    Job { data: &data, config: &config, stop: &|| false, baselines: None, split_encoders: false, gate: false }
        .train(run, &models, false)?;
    Ok(())
}

async fn serve(
    arguments: &Arguments,
    url: String,
    home: &Path,
    shop: &page::Shop,
    started: Instant,
) -> anyhow::Result<()> {
    let mut config = Config::default();
    config.models.directory = home.join(MODELS);
    config.database.url = Secret::new(url);
    config.admin.key_file = home.join("admin.key");
    config.admin.listen = SocketAddr::new(arguments.listen.ip(), 0);
    config.http.listen = arguments.listen;
    if TcpStream::connect(arguments.listen).await.is_ok() {
        config.http.listen.set_port(0);
    }
    let service = serve::start(&config).await?;
    let key = serve::admin_key(&config.admin)?;
    let server = Server::bind(service.clone(), &config, key).await?.with_pages(page::router(shop));
    let (public, admin) = server.addresses()?;
    tokio::spawn(service.run());

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    let body = shop.example_request();
    let answer = post(public, "/v1/recommendations", &body).await.context("the server did not answer")?;
    println!("\nA real answer, {} after the start:\n\n{answer}\n", human(started.elapsed()));
    println!(
        "Ask it yourself:\n  curl -s http://{public}/v1/recommendations -H 'content-type: application/json' -d '{body}'\n"
    );
    println!("Shop page   http://{public}/\nREST API    http://{public}/docs");
    println!("Admin API   http://{admin}/admin/v1/status   (key in {})", config.admin.key_file.display());
    if !arguments.once {
        println!("\nServing until Ctrl-C.");
        tokio::signal::ctrl_c().await.context("cannot listen for Ctrl-C")?;
    }
    let _ = stop.send(());
    running.await.context("the server ended badly")?;
    Ok(())
}

/// One request over a connection of its own; the answer's JSON, indented.
async fn post(address: SocketAddr, path: &str, body: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no body")?;
    anyhow::ensure!(head.starts_with("HTTP/1.1 200"), "{answer}");
    let value: serde_json::Value = serde_json::from_str(body).context("the answer is no JSON")?;
    Ok(serde_json::to_string_pretty(&value)?)
}
