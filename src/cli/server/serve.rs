//! `vitrine-server serve`

use super::{block_on_all, user_error};
use crate::{
    cli::OrBadInput,
    http::{Server, route_patterns},
    serving::{AdminConfig, Config, Secret, Service},
    store::{self, StoreOptions},
};
use anyhow::Context;
use std::{
    io::{IsTerminal, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::signal::unix::{SignalKind, signal};

/// Answers requests until it is told to stop (Ctrl-C or SIGTERM).
#[derive(clap::Args)]
#[command(
    after_help = "Settings come from the defaults, then --config, then VITRINE__SECTION__KEY, then these flags.\n\n\
    Example:\n  vitrine-server serve --config vitrine.toml --models models"
)]
pub(super) struct Arguments {
    /// Settings in TOML; see docker/vitrine.toml for all keys
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Public address (`http.listen`)
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Admin address (`admin.listen`)
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<String>,
    /// `postgres://user@host/name` or `sqlite:path` (`database.url`)
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Where bundles lie (`models.directory`)
    #[arg(long, value_name = "DIR")]
    models: Option<String>,
    /// The model of requests that name none (`models.default`)
    #[arg(long, value_name = "NAME")]
    default_model: Option<String>,
}

impl Arguments {
    fn load(&self) -> anyhow::Result<Config> {
        let flags = [
            ("http.listen", &self.listen),
            ("admin.listen", &self.admin_listen),
            ("database.url", &self.database),
            ("models.directory", &self.models),
            ("models.default", &self.default_model),
        ];
        let flags: Vec<_> = flags.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect();
        Config::load(self.config.as_deref(), std::env::vars(), &flags).or_bad_input()
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let config = arguments.load()?;
    init_log(&config)?;
    let key = admin_key(&config.admin)?;
    block_on_all(serve(config, key))?
}

async fn serve(config: Config, key: Secret) -> anyhow::Result<()> {
    let service = start(&config).await?;
    let server = Server::bind(service.clone(), &config, key).await?;
    let (public, admin) = server.addresses()?;
    tracing::info!(%public, %admin, ready = service.state().is_ready(), "serving; the API is described at /docs");
    let follow = tokio::spawn(service.run());
    server.run(stop_signal()?).await;
    follow.abort();
    Ok(())
}

/// Opens the database and loads what there is. A bundle that is refused does not keep the server from starting: it is
/// not ready, says why, and follows what the operator does next.
pub(in crate::cli) async fn start(config: &Config) -> anyhow::Result<Arc<Service>> {
    let url = config.database.url.reveal();
    let options = StoreOptions {
        max_connections: config.database.connections,
        catalogue: config.catalogue,
        ..StoreOptions::default()
    };
    user_error(store::migrate_if_new(url, &options).await)?;
    let store = user_error(store::connect(url, &options).await)?;
    let service = Arc::new(Service::new(store, config, &route_patterns())?);
    if let Err(error) = service.catch_up().await {
        tracing::warn!(%error, "nothing is loaded yet");
    }
    Ok(service)
}

/// The key of the settings, else that of the key file, which is written with a new key when it is missing.
pub(in crate::cli) fn admin_key(config: &AdminConfig) -> anyhow::Result<Secret> {
    if let Some(key) = &config.key {
        return Ok(key.clone());
    }
    let path = &config.key_file;
    match std::fs::read_to_string(path) {
        Ok(text) if text.trim().len() >= 16 => Ok(Secret::new(text.trim().to_owned())),
        Ok(_) => {
            anyhow::bail!("the admin key in {} has fewer than 16 characters: delete it for a new one", path.display())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => new_key(path),
        Err(error) => Err(error).with_context(|| format!("cannot read the admin key from {}", path.display())),
    }
}

fn new_key(path: &Path) -> anyhow::Result<Secret> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut bytes = [0; 24];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut bytes))
        .context("no randomness")?;
    let key: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot save a new admin key to {} (set `admin.key`)", path.display()))?;
    writeln!(file, "{key}")?;
    tracing::info!("a new admin key was written to {}", path.display());
    Ok(Secret::new(key))
}

fn init_log(config: &Config) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log_filter).context("`log.filter`").or_bad_input()?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    if config.log_json {
        builder.json().init()
    } else {
        builder.init()
    }
    Ok(())
}

fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        // A second signal ends at once.
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            std::process::exit(1);
        });
    })
}
