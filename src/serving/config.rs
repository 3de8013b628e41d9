//! The server's configuration: defaults, then `vitrine.toml`, then `VITRINE__SECTION__KEY`, then flags.
//!
//! | key | default | meaning |
//! |---|---|---|
//! | `http.listen` | `127.0.0.1:8080` | public address |
//! | `http.request_timeout_ms` | 10000 | longest a request may take, its body included |
//! | `http.idle_timeout_ms` | 60000 | a connection on which no whole request head came for so long is closed |
//! | `http.body_limit_bytes` | 1048576 | largest request body |
//! | `http.cors_origins` | `[]` | web origins that may call from a browser; `["*"]` for all |
//! | `http.compress_above_bytes` | 8192 | answers smaller than this are never compressed |
//! | `http.require_key` | false | whether the public listener answers only those who send a key |
//! | `http.proxies` | 0 | how many proxies stand before the server and name the client in `x-forwarded-for` |
//! | `http.drain_seconds` | 20 | how long running requests may finish at shutdown |
//! | `http.unready_seconds` | 0 | how long `/readyz` fails before the listener closes at shutdown |
//! | `admin.listen` | `127.0.0.1:8081` | admin address; only with a key |
//! | `admin.key` | – | the admin key, at least 16 characters |
//! | `admin.key_file` | `vitrine-admin.key` | read when `admin.key` is not set; written with a new key when missing |
//! | `admin.body_limit_bytes` | 16777216 | largest admin request body |
//! | `database.url` | `sqlite:vitrine.sqlite` | `postgres://…` or `sqlite:PATH` |
//! | `database.connections` | 8 | connections kept at most |
//! | `database.timeout_ms` | 250 | longest a request waits for the database |
//! | `database.poll_ms` | 1000 | how often changes of other processes are looked for, and an absent database tried |
//! | `models.directory` | `models` | where bundles lie: `<name>/<version>/` |
//! | `models.default` | – | the model of requests that name none; without it the only one, else the first by name |
//! | `customers.cached` | 100000 | customers remembered |
//! | `customers.fresh_seconds` | 30 | how long a remembered customer is not read again |
//! | `customers.stale_seconds` | 3600 | how long one may stand in while the database is away |
//! | `customers.purchases` | 1000 | latest purchases read of a customer |
//! | `popularity.source` | `database` | what counts as popular: the purchases of the `database`, or those that each `bundle` was trained on |
//! | `popularity.half_life_days` | 14 | a purchase counts half as much as one that was made so many days later |
//! | `popularity.window_days` | 365 | purchases made more than so many days before the latest one do not count |
//! | `popularity.refresh_minutes` | 60 | popularity is counted after every import, and again after so many minutes |
//! | `limits.connections` | 10000 | connections of a listener at most; more wait to be accepted |
//! | `limits.concurrent_requests` | 512 | requests in progress at most; more get 503 |
//! | `limits.queue_ms` | 500 | longest a heavy request waits for a processor before it gets 503 |
//! | `limits.requests_per_second_per_key` | 0 | requests a second that a key may send unless it has a limit of its own; 0 for no limit |
//! | `limits.requests_per_second_per_address` | 0 | requests a second that an address may send; 0 for no limit |
//! | `log.format` | `text` | `text` or `json` |
//! | `log.filter` | `info` | as `RUST_LOG` |

use super::Secret;
use crate::{
    bundle::Manifest,
    domain::Timestamp,
    store::{self, SalesWindow},
};
use figment::{Figment, providers::Format};
use serde::Deserialize;
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Valid settings.
#[derive(Debug, Clone)]
pub struct Config {
    pub http: HttpConfig,
    pub admin: AdminConfig,
    pub database: DatabaseConfig,
    pub models: ModelsConfig,
    pub customers: CustomersConfig,
    /// `None`: popularity is that of the bundles.
    pub popularity: Option<PopularityConfig>,
    pub limits: LimitsConfig,
    pub log_json: bool,
    pub log_filter: String,
}

#[derive(Debug, Clone)]
pub struct HttpConfig {
    pub listen: SocketAddr,
    pub request_timeout: Duration,
    pub idle_timeout: Duration,
    pub body_limit: usize,
    pub cors_origins: Vec<String>,
    pub compress_above: u16,
    pub require_key: bool,
    pub proxies: usize,
    pub drain: Duration,
    pub unready: Duration,
}

#[derive(Debug, Clone)]
pub struct AdminConfig {
    pub listen: SocketAddr,
    pub key: Option<Secret>,
    pub key_file: PathBuf,
    pub body_limit: usize,
}

#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    pub url: Secret,
    pub connections: u32,
    pub timeout: Duration,
    pub poll: Duration,
}

#[derive(Debug, Clone)]
pub struct ModelsConfig {
    pub directory: PathBuf,
    pub default: Option<String>,
}

#[derive(Debug, Clone)]
pub struct CustomersConfig {
    pub cached: u64,
    pub fresh: Duration,
    pub stale: Duration,
    pub purchases: usize,
}

/// How purchases of the database make an article popular.
#[derive(Debug, Clone)]
pub struct PopularityConfig {
    pub half_life_days: f64,
    pub window_days: u32,
    pub refresh: Duration,
}

impl PopularityConfig {
    /// What is counted at this moment.
    pub fn window(&self, now: Timestamp) -> SalesWindow {
        SalesWindow { half_life_days: self.half_life_days, days: self.window_days, now }
    }
}

#[derive(Debug, Clone)]
pub struct LimitsConfig {
    pub connections: usize,
    pub concurrent_requests: usize,
    pub queue: Duration,
    pub requests_per_second_per_key: u32,
    pub requests_per_second_per_address: u32,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("configuration: {0}")]
    Invalid(String),
}

macro_rules! raw {
    ($(#[$meta:meta])* $name:ident { $($field:ident: $type:ty = $default:expr),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, default)]
        struct $name { $($field: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
    };
}

raw!(RawConfig {
    http: RawHttp = RawHttp::default(),
    admin: RawAdmin = RawAdmin::default(),
    database: RawDatabase = RawDatabase::default(),
    models: RawModels = RawModels::default(),
    customers: RawCustomers = RawCustomers::default(),
    popularity: RawPopularity = RawPopularity::default(),
    limits: RawLimits = RawLimits::default(),
    log: RawLog = RawLog::default(),
});
raw!(RawHttp {
    listen: String = "127.0.0.1:8080".into(),
    request_timeout_ms: u64 = 10_000,
    idle_timeout_ms: u64 = 60_000,
    body_limit_bytes: usize = 1 << 20,
    cors_origins: Vec<String> = Vec::new(),
    compress_above_bytes: u16 = 8_192,
    require_key: bool = false,
    proxies: usize = 0,
    drain_seconds: u64 = 20,
    unready_seconds: u64 = 0,
});
raw!(RawAdmin {
    listen: String = "127.0.0.1:8081".into(),
    key: Option<Secret> = None,
    key_file: PathBuf = "vitrine-admin.key".into(),
    body_limit_bytes: usize = 16 << 20,
});
raw!(RawDatabase {
    url: Secret = Secret::new(store::DEFAULT_URL.into()),
    connections: u32 = 8,
    timeout_ms: u64 = 250,
    poll_ms: u64 = 1_000,
});
raw!(RawModels { directory: PathBuf = "models".into(), default: Option<String> = None, });
raw!(RawCustomers {
    cached: u64 = 100_000,
    fresh_seconds: u64 = 30,
    stale_seconds: u64 = 3_600,
    purchases: usize = 1_000,
});
raw!(RawPopularity {
    source: String = "database".into(),
    // Two weeks follow a season within days, and hold enough purchases of a small shop to tell articles apart.
    half_life_days: f64 = 14.0,
    window_days: u32 = 365,
    refresh_minutes: u64 = 60,
});
raw!(RawLimits {
    connections: u32 = 10_000,
    concurrent_requests: usize = 512,
    queue_ms: u64 = 500,
    // A shop's own server or proxy sends everybody's requests from one address with one key.
    requests_per_second_per_key: u32 = 0,
    requests_per_second_per_address: u32 = 0,
});
raw!(RawLog { format: String = "text".into(), filter: String = "info".into() });

impl Default for Config {
    fn default() -> Self {
        RawConfig::default().validate().expect("the defaults are valid")
    }
}

impl Config {
    /// Reads the file if one is given, then the variables `VITRINE__SECTION__KEY` of `environment`, then `flags`
    /// (dotted keys such as `http.listen`).
    ///
    /// # Errors
    /// When the file cannot be read, a key is unknown, or a value is not valid: names the key.
    pub fn load(
        file: Option<&std::path::Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &[(&str, String)],
    ) -> Result<Self, ConfigError> {
        let mut figment = Figment::new();
        if let Some(path) = file {
            let text =
                std::fs::read_to_string(path).map_err(|source| ConfigError::File { path: path.to_owned(), source })?;
            let source = figment::providers::Toml::string(&text);
            figment = figment.merge(source);
        }
        for (name, value) in environment {
            if let Some(key) = name.strip_prefix("VITRINE__") {
                let key = key.to_ascii_lowercase().replace("__", ".");
                let value: figment::value::Value = value.parse().unwrap_or_else(|never| match never {});
                figment = figment.merge((key, value));
            }
        }
        for (key, value) in flags {
            figment = figment.merge((*key, value));
        }
        let raw: RawConfig = figment.extract().map_err(|error| {
            let place = file.map_or(String::new(), |path| format!("{}: ", path.display()));
            let texts: Vec<String> = error.into_iter().map(|error| describe(&error)).collect();
            ConfigError::Invalid(format!("{place}{}", texts.join("; ")))
        })?;
        raw.validate().map_err(ConfigError::Invalid)
    }
}

/// The error with its key; values stay out, one of them may be a secret.
fn describe(error: &figment::Error) -> String {
    use figment::error::Kind;
    let key = error.path.join(".");
    match &error.kind {
        Kind::UnknownField(field, known) => {
            // The path ends with the unknown key itself.
            let section = key.strip_suffix(field.as_str()).unwrap_or(&key).trim_end_matches('.');
            let place = if section.is_empty() { String::new() } else { format!(" in `{section}`") };
            format!("unknown key `{field}`{place}; known: {}", known.join(", "))
        }
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => format!("`{key}`: expected {expected}"),
        Kind::MissingField(field) => format!("`{field}` is missing"),
        // A syntax error of TOML, which names the line.
        Kind::Message(message) => message.clone(),
        other => format!("`{key}`: {other}"),
    }
}

impl RawConfig {
    fn validate(self) -> Result<Config, String> {
        let Self { http, admin, database, models, customers, popularity, limits, log } = self;
        for origin in http.cors_origins.iter().filter(|origin| *origin != "*") {
            if !(origin.starts_with("https://") || origin.starts_with("http://")) || origin.ends_with('/') {
                return Err(format!("`http.cors_origins`: `{origin}` is no origin; write https://shop.example"));
            }
        }
        if admin.key.as_ref().is_some_and(|key| key.reveal().len() < 16) {
            return Err("`admin.key` needs at least 16 characters".into());
        }
        if let Some(name) = models.default.as_deref().filter(|name| !Manifest::is_name(name)) {
            return Err(format!("`models.default`: `{name}` cannot name a model"));
        }
        Ok(Config {
            http: HttpConfig {
                listen: address("http.listen", &http.listen)?,
                request_timeout: millis("http.request_timeout_ms", http.request_timeout_ms)?,
                idle_timeout: millis("http.idle_timeout_ms", http.idle_timeout_ms)?,
                body_limit: http.body_limit_bytes,
                cors_origins: http.cors_origins,
                compress_above: http.compress_above_bytes,
                require_key: http.require_key,
                proxies: http.proxies,
                drain: Duration::from_secs(http.drain_seconds),
                unready: Duration::from_secs(http.unready_seconds),
            },
            admin: AdminConfig {
                listen: address("admin.listen", &admin.listen)?,
                key: admin.key,
                key_file: admin.key_file,
                body_limit: admin.body_limit_bytes,
            },
            database: DatabaseConfig {
                url: database.url,
                connections: at_least_one("database.connections", database.connections)?,
                timeout: millis("database.timeout_ms", database.timeout_ms)?,
                poll: millis("database.poll_ms", database.poll_ms)?,
            },
            models: ModelsConfig { directory: models.directory, default: models.default },
            customers: CustomersConfig {
                cached: customers.cached,
                fresh: Duration::from_secs(customers.fresh_seconds),
                stale: Duration::from_secs(customers.stale_seconds.max(customers.fresh_seconds)),
                purchases: customers.purchases,
            },
            popularity: popularity.validate()?,
            limits: LimitsConfig {
                connections: at_least_one("limits.connections", limits.connections)? as usize,
                concurrent_requests: at_least_one("limits.concurrent_requests", limits.concurrent_requests)?,
                queue: Duration::from_millis(limits.queue_ms),
                requests_per_second_per_key: limits.requests_per_second_per_key,
                requests_per_second_per_address: limits.requests_per_second_per_address,
            },
            log_json: match log.format.as_str() {
                "text" => false,
                "json" => true,
                other => return Err(format!("`log.format` is `text` or `json`, not `{other}`")),
            },
            log_filter: log.filter,
        })
    }
}

impl RawPopularity {
    fn validate(self) -> Result<Option<PopularityConfig>, String> {
        let Self { source, half_life_days, window_days, refresh_minutes } = self;
        if !(half_life_days >= 0.1 && half_life_days.is_finite()) {
            return Err("`popularity.half_life_days` must be at least 0.1".into());
        }
        let window_days = at_least_one("popularity.window_days", window_days)?;
        let minutes = at_least_one("popularity.refresh_minutes", refresh_minutes)?;
        let refresh = Duration::from_secs(minutes.saturating_mul(60));
        match source.as_str() {
            "database" => Ok(Some(PopularityConfig { half_life_days, window_days, refresh })),
            "bundle" => Ok(None),
            other => Err(format!("`popularity.source` is `database` or `bundle`, not `{other}`")),
        }
    }
}

fn address(key: &str, text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`{key}`: `{text}` is no address; write 127.0.0.1:8080"))
}

fn millis(key: &str, millis: u64) -> Result<Duration, String> {
    at_least_one(key, millis).map(Duration::from_millis)
}

fn at_least_one<T: PartialOrd + From<u8>>(key: &str, value: T) -> Result<T, String> {
    if value < T::from(1) { Err(format!("`{key}` must be at least 1")) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(toml: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vitrine.toml");
        std::fs::write(&path, toml).unwrap();
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let flags: Vec<_> = flags.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
        Config::load(Some(&path), environment, &flags).map_err(|error| error.to_string())
    }

    #[test]
    fn later_sources_win() {
        let toml = "[http]\nlisten = \"127.0.0.1:1\"\nbody_limit_bytes = 9\n[models]\ndirectory = \"a\"";
        let environment =
            [("VITRINE__HTTP__LISTEN", "127.0.0.1:2"), ("VITRINE__MODELS__DIRECTORY", "b"), ("HOME", "/")];
        let config = load(toml, &environment, &[("http.listen", "127.0.0.1:3")]).unwrap();
        assert_eq!(config.http.listen.port(), 3);
        assert_eq!((config.http.body_limit, config.models.directory), (9, PathBuf::from("b")));
        assert_eq!(config.admin.listen.port(), 8081);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |toml| load(toml, &[], &[]).unwrap_err();
        assert!(
            error("[http]\nlissten = 1").contains("unknown key `lissten` in `http`"),
            "{}",
            error("[http]\nlissten = 1")
        );
        assert!(error("[htp]").contains("unknown key `htp`"));
        assert!(error("[http]\nlisten = \"here\"").contains("`http.listen`"));
        assert!(error("[database]\ntimeout_ms = 0").contains("`database.timeout_ms`"));
        assert!(error("[http]\nbody_limit_bytes = \"big\"").contains("`http.body_limit_bytes`"));
        assert!(error("[admin]\nkey = \"short\"").contains("16 characters"));
        assert!(error("[http]\ncors_origins = [\"shop.example\"]").contains("shop.example"));
        assert!(error("[popularity]\nsource = \"clock\"").contains("`database` or `bundle`"));
        assert!(error("[popularity]\nhalf_life_days = 0").contains("`popularity.half_life_days`"));
        assert!(error("[log]\nformat = \"xml\"").contains("`log.format`"));
        assert!(error("[http\n").contains("line") || error("[http\n").contains("TOML"));
        let variable = load("", &[("VITRINE__HTTP__PORT", "80")], &[]).unwrap_err();
        assert!(variable.contains("unknown key `port`"), "{variable}");
        assert!(Config::load(Some("nowhere.toml".as_ref()), [], &[]).unwrap_err().to_string().contains("nowhere.toml"));
    }

    #[test]
    fn secrets_are_not_shown() {
        let config = load("[admin]\nkey = \"0123456789abcdef\"\n[database]\nurl = \"postgres://a:pw@h/d\"", &[], &[]);
        let shown = format!("{:?}", config.unwrap());
        assert!(!shown.contains("0123456789abcdef") && !shown.contains("pw@"), "{shown}");
        let wrong = load("", &[("VITRINE__ADMIN__KEY", "1234567890123456")], &[]).unwrap_err();
        assert!(wrong.contains("`admin.key`") && !wrong.contains("123456"), "{wrong}");
    }
}
