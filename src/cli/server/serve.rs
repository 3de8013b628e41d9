//! `vitrine-server serve`

use super::{block_on_all, own_program, user_error};
use crate::{
    cli::OrBadInput,
    http::{Listeners, Server, route_patterns},
    serving::{AdminConfig, Config, Secret, Service},
    store::{self, StoreError, StoreOptions},
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
        let flags: Vec<_> =
            flags.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect();
        let mut config =
            Config::load(self.config.as_deref(), std::env::vars_os(), &flags).or_bad_input()?;
        config.models.checker = Some(own_program());
        Ok(config)
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let config = arguments.load()?;
    init_log(&config)?;
    let key = admin_key(&config.admin)?;
    block_on_all(serve(config, key))?
}

async fn serve(config: Config, key: Secret) -> anyhow::Result<()> {
    let stop = stop_signal()?;
    // Before anything is loaded: an address in use shows at once, and whoever asks meanwhile is
    // told to wait.
    let listeners = Listeners::bind(&config).or_bad_input()?;
    let service = open(&config).await?;
    let server = Server::listen(listeners, service.clone(), &config, key).or_bad_input()?;
    let (public, admin) = server.addresses()?;
    tracing::info!(%public, %admin, "listening; the API is described at /docs, and /readyz tells when models are loaded");
    let follow = tokio::spawn(service.clone().run());
    let stop = async {
        stop.await;
        service.stop_loading();
    };
    server.run(stop).await;
    follow.abort();
    Ok(())
}

/// Opens the database and loads what there is. A bundle that is refused does not keep the server
/// from starting: it is not ready, says why, and follows what the operator does next.
pub(in crate::cli) async fn start(config: &Config) -> anyhow::Result<Arc<Service>> {
    let service = open(config).await?;
    if let Err(error) = service.catch_up().await {
        tracing::warn!(%error, "nothing is loaded yet");
    }
    Ok(service)
}

/// Opens the database; without it, the service begins with what lies on disk.
async fn open(config: &Config) -> anyhow::Result<Arc<Service>> {
    let url = config.database.url.reveal();
    let options = StoreOptions {
        max_connections: config.database.connections,
        catalogue: config.catalogue,
        customers_timeout: config.database.timeout,
        ..StoreOptions::default()
    };
    user_error(store::migrate_if_new(url, &options).await)?;
    let store = user_error(store::connect_later(url, &options))?;
    let checked = store.check_schema().await;
    let service = Arc::new(Service::new(store, config, &route_patterns())?);
    match checked {
        Err(error @ StoreError::Unavailable(_)) => service.start_without_database(&error),
        checked => user_error(checked)?,
    }
    Ok(service)
}

/// The key of the settings, else that of the key file, which is written with a new key when it is
/// missing.
pub(in crate::cli) fn admin_key(config: &AdminConfig) -> anyhow::Result<Secret> {
    if let Some(key) = &config.key {
        return Ok(key.clone());
    }
    let path = &config.key_file;
    match std::fs::read_to_string(path) {
        Ok(text) if text.trim().len() >= 16 => {
            warn_of_readers(path);
            Ok(Secret::new(text.trim().to_owned()))
        }
        Ok(_) => {
            anyhow::bail!(
                "the admin key in {} has fewer than 16 characters: delete it for a new one",
                path.display()
            )
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => new_key(path),
        Err(error) => {
            Err(error).with_context(|| format!("cannot read the admin key from {}", path.display()))
        }
    }
}

/// A key that others on this machine can read is no secret.
fn warn_of_readers(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).map_or(0, |file| file.permissions().mode());
    if mode & 0o077 != 0 {
        let file = path.display();
        tracing::warn!(
            "other users of this machine can read the admin key in {file}: run `chmod 600 {file}`"
        );
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
        .with_context(|| {
            format!("cannot save a new admin key to {} (set `admin.key`)", path.display())
        })?;
    writeln!(file, "{key}")?;
    tracing::info!("a new admin key was written to {}", path.display());
    Ok(Secret::new(key))
}

fn init_log(config: &Config) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log.filter)
        .context("`log.filter`")
        .or_bad_input()?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    if config.log.json {
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
