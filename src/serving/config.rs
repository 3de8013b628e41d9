//! The server's configuration: defaults, then `vitrine.toml`, then `VITRINE__SECTION__KEY`, then
//! flags.
//!
//! | key | default | meaning |
//! |---|---|---|
//! | `http.listen` | `127.0.0.1:8080` | public address |
//! | `http.request_timeout_ms` | 10000 | longest the answer to a request may take once its body is there |
//! | `http.head_timeout_ms` | 10000 | longest from the first byte of a request to the end of its head |
//! | `http.body_timeout_ms` | 10000 | longest from the end of a request's head to the end of its body |
//! | `http.idle_timeout_ms` | 60000 | a connection without a request for so long is closed |
//! | `http.body_limit_bytes` | 1048576 | largest request body |
//! | `http.cors_origins` | `[]` | web origins that may call from a browser; `["*"]` for all |
//! | `http.compress_above_bytes` | 8192 | answers smaller than this are never compressed |
//! | `http.explain_purchases` | false | whether `explain` may tell anybody what a customer has bought; without it only keys with the scope `read-purchases` |
//! | `http.require_key` | false | whether the public listener answers only those who send a key |
//! | `http.proxies` | 0 | how many proxies stand before the server and name the client in `x-forwarded-for` |
//! | `http.drain_seconds` | 20 | how long running requests may finish at shutdown |
//! | `http.unready_seconds` | 1 | how long `/readyz` fails, while requests are still answered, before the listener closes at shutdown; behind a proxy, longer than it takes to notice |
//! | `admin.listen` | `127.0.0.1:8081` | admin address; only with a key |
//! | `admin.key` | – | the admin key, at least 16 characters |
//! | `admin.key_file` | `vitrine-admin.key` | read when `admin.key` is not set; written with a new key when missing |
//! | `admin.body_limit_bytes` | 16777216 | largest admin request body |
//! | `admin.request_timeout_ms` | 600000 | longest an admin request waits for its work, which is finished in any case |
//! | `admin.connections` | 64 | connections of the admin listener at most |
//! | `database.url` | `sqlite:vitrine.sqlite` | `postgres://…` or `sqlite:PATH` |
//! | `database.connections` | 8 | connections that requests read customers with; Postgres: up to five more follow and make changes |
//! | `database.timeout_ms` | 250 | longest a query for customers may run |
//! | `database.queue_ms` | 1000 | longest a request waits for a connection before that |
//! | `database.poll_ms` | 500 | how often changes of other processes are looked for, and an absent database tried |
//! | `catalogue.attributes` | 500 | distinct attributes of all articles together; a change that brings more is refused |
//! | `catalogue.attributes_per_article` | 200 | attributes of an article |
//! | `catalogue.name_bytes` | 128 | longest name of an attribute |
//! | `catalogue.article_bytes` | 65536 | names and values of an article's attributes together |
//! | `catalogue.list_texts` | 256 | texts of a list |
//! | `models.directory` | `models` | where bundles lie: `<name>/<version>/` |
//! | `models.default` | – | the model of requests that name none; without it the one that was activated as the default |
//! | `models.load_memory_mb` | 4096 | most memory that opening a bundle may take; checked in a process of its own |
//! | `models.load_seconds` | 120 | longest that checking a bundle may take |
//! | `customers.cache_mb` | 64 | memory for remembered customers |
//! | `customers.fresh_seconds` | 30 | how long a remembered customer is not read again |
//! | `customers.stale_seconds` | 3600 | how long one may stand in while the database is away |
//! | `customers.purchases` | 1000 | latest purchases read of a customer |
//! | `events.types` | `{}` | types of events besides the built-in ones, such as `{ quiz = { retention = "actions" } }`; or `"impressions"`, which are kept for a shorter time |
//! | `events.weights` | `{}` | how much an event of a type says about what a customer likes; 0: nothing. Unless set: `purchase` 1, `cart_add` and `wishlist` 0.5, `click` 0.3, `view` 0.2 |
//! | `events.queue` | 20000 | events that may wait to be written; more get 503 |
//! | `events.per_second_per_key` | 0 | events a second that a key may send; 0 for no limit |
//! | `events.per_second_per_address` | 0 | events a second that an address may send with a key for events alone; 0 for no limit |
//! | `events.purchases_days` | 0 | how long purchases and returns are kept that were told as events; 0: for good |
//! | `events.actions_days` | 400 | the same for views, clicks, carts and whatever else is no impression; at least 31, or 0 |
//! | `events.impressions_days` | 90 | the same for impressions |
//! | `popularity.source` | `database` | what counts as popular: the purchases of the `database`, or those that each `bundle` was trained on |
//! | `popularity.half_life_days` | 14 | a purchase counts half as much as one that was made so many days later |
//! | `popularity.window_days` | 365 | purchases made more than so many days before the latest one do not count |
//! | `popularity.refresh_minutes` | 60 | popularity is counted after every import, and again after so many minutes |
//! | `limits.connections` | 10000 | public connections at most; beyond them, the one that has waited longest for its client is closed. Fewer where the system grants too few open files |
//! | `limits.connections_per_address` | – | public connections from one address at most; do not set it behind a proxy |
//! | `limits.concurrent_requests` | 512 | requests in progress at most; more get 503 |
//! | `limits.body_memory_bytes` | 67108864 | memory of request bodies above 16 KiB on each listener; more get 503 |
//! | `limits.filter_cache_mb` | 32 | memory for remembered filter results, for each model |
//! | `limits.generate` | half the processors | generated lists computed at once |
//! | `limits.explain` | half the processors | answers with reasons computed at once |
//! | `limits.wide` | the processors | requests with more than 100 articles, a page, a new filter or `max_per` computed at once |
//! | `limits.queue_ms` | 500 | longest such a request waits for its turn before it gets 503 |
//! | `limits.requests_per_second_per_key` | 0 | requests a second that a key may send unless it has a limit of its own; 0 for no limit |
//! | `limits.requests_per_second_per_address` | 0 | requests a second that an address may send; 0 for no limit |
//! | `log.format` | `text` | `text` or `json` |
//! | `log.filter` | `info` | as `RUST_LOG` |
//! | `log.access` | 0.01 | share of requests that are logged; failures of the server always are |
//! | `log.slow_ms` | 1000 | a request that takes longer, its body not counted, is logged with the time of each stage |
//! | `telemetry.otlp_endpoint` | – | OpenTelemetry collector that gets traces by OTLP over HTTP, such as `http://localhost:4318` |
//! | `telemetry.sample` | 0.01 | share of requests that are traced; those with a sampled `traceparent` always are |
//! | `telemetry.service_name` | `vitrine` | `service.name` of the traces |

mod raw;

use super::{Secret, expectation};
use crate::{
    domain::Timestamp,
    store::{CatalogueLimits, Retention, SalesWindow},
};
use figment::{Figment, providers::Format};
use raw::RawConfig;
use std::{collections::BTreeMap, ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

/// Valid settings.
#[derive(Debug, Clone)]
pub struct Config {
    pub http: HttpConfig,
    pub admin: AdminConfig,
    pub database: DatabaseConfig,
    pub catalogue: CatalogueLimits,
    pub models: ModelsConfig,
    pub customers: CustomersConfig,
    pub events: EventsConfig,
    /// `None`: popularity is that of the bundles.
    pub popularity: Option<PopularityConfig>,
    pub limits: LimitsConfig,
    pub log: LogConfig,
    pub telemetry: TelemetryConfig,
}

#[derive(Debug, Clone)]
pub struct HttpConfig {
    pub listen: SocketAddr,
    pub request_timeout: Duration,
    pub head_timeout: Duration,
    pub body_timeout: Duration,
    pub idle_timeout: Duration,
    pub body_limit: usize,
    pub cors_origins: Vec<String>,
    pub compress_above: u16,
    pub explain_purchases: bool,
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
    pub request_timeout: Duration,
    pub connections: usize,
}

#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    pub url: Secret,
    pub connections: u32,
    pub timeout: Duration,
    pub queue: Duration,
    pub poll: Duration,
}

#[derive(Debug, Clone)]
pub struct ModelsConfig {
    pub directory: PathBuf,
    pub default: Option<String>,
    /// The program that opens bundles first, `vitrine-server`; `None`: they are opened without.
    pub checker: Option<PathBuf>,
    pub load_memory_mb: u64,
    pub load_timeout: Duration,
}

#[derive(Debug, Clone)]
pub struct CustomersConfig {
    /// Bytes of memory for remembered customers.
    pub cache: u64,
    pub fresh: Duration,
    pub stale: Duration,
    pub purchases: usize,
}

/// Which events are taken, and what they say.
#[derive(Debug, Clone)]
pub struct EventsConfig {
    /// Types besides the built-in ones.
    pub types: BTreeMap<String, Retention>,
    pub weights: EventWeights,
    pub queue: usize,
    pub per_second_per_key: u32,
    pub per_second_per_address: u32,
    /// By retention; 0: for good.
    days: [u32; Retention::ALL.len()],
}

impl EventsConfig {
    /// How many days events are kept; 0: for good.
    pub(super) fn days(&self, retention: Retention) -> u32 {
        self.days[retention as usize]
    }
}

/// How much an event of each type says about what a customer likes.
#[derive(Debug, Clone)]
pub struct EventWeights(pub(super) BTreeMap<String, f32>);

impl Default for EventWeights {
    /// A purchase is a decision; a cart is half of one, and most looks lead to nothing.
    fn default() -> Self {
        let weights = [
            ("purchase", 1.0),
            ("cart_add", 0.5),
            ("wishlist", 0.5),
            ("click", 0.3),
            ("view", 0.2),
        ];
        Self(weights.map(|(kind, weight)| (kind.to_owned(), weight)).into())
    }
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
    pub connections_per_address: Option<usize>,
    pub concurrent_requests: usize,
    pub body_memory: usize,
    pub generate: usize,
    pub explain: usize,
    pub wide: usize,
    pub queue: Duration,
    pub requests_per_second_per_key: u32,
    pub requests_per_second_per_address: u32,
    /// Bytes of memory for filter results, for each model.
    pub filter_cache: usize,
}

#[derive(Debug, Clone)]
pub struct LogConfig {
    pub json: bool,
    pub filter: String,
    /// Share of the requests.
    pub access: f64,
    pub slow: Duration,
}

#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// The whole URL to post traces to; `None`: there are none.
    pub endpoint: Option<String>,
    /// Share of the requests.
    pub sample: f64,
    pub service_name: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("configuration: {0}")]
    Invalid(String),
}

impl Default for Config {
    fn default() -> Self {
        RawConfig::default().validate().expect("the defaults are valid")
    }
}

impl Config {
    /// Reads the file if one is given, then the variables `VITRINE__SECTION__KEY` of `environment`,
    /// then `flags` (dotted keys such as `http.listen`).
    ///
    /// # Errors
    /// When the file cannot be read, a key is unknown, or a value is not valid: names the key.
    pub fn load(
        file: Option<&std::path::Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        flags: &[(&str, String)],
    ) -> Result<Self, ConfigError> {
        let mut figment = Figment::new();
        if let Some(path) = file {
            let text = std::fs::read_to_string(path)
                .map_err(|source| ConfigError::File { path: path.to_owned(), source })?;
            let source = figment::providers::Toml::string(&text);
            figment = figment.merge(source);
        }
        for (name, value) in environment {
            // Those of other programs may be anything.
            let name = name.to_string_lossy();
            if let Some(key) = name.strip_prefix("VITRINE__") {
                let key = key.to_ascii_lowercase().replace("__", ".");
                let not_text = |_| {
                    ConfigError::Invalid(format!(
                        "the environment variable {name} is not UTF-8 text"
                    ))
                };
                figment = figment.merge((key, value.into_string().map_err(not_text)?));
            }
        }
        for (key, value) in flags {
            figment = figment.merge((*key, value));
        }
        // Lossy: the environment and the flags have texts where the file has numbers.
        let raw: RawConfig = figment.extract_lossy().map_err(|error| {
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
        Kind::InvalidType(_, wanted) | Kind::InvalidValue(_, wanted) => {
            format!("`{key}` must be {}", expectation(&wanted.to_string()))
        }
        Kind::MissingField(field) => format!("`{field}` is missing"),
        // A syntax error of TOML, which names the line.
        Kind::Message(message) => message.clone(),
        other => format!("`{key}`: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(
        toml: &str,
        environment: &[(&str, &str)],
        flags: &[(&str, &str)],
    ) -> Result<Config, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vitrine.toml");
        std::fs::write(&path, toml).unwrap();
        let environment = environment.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        let flags: Vec<_> = flags.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
        Config::load(Some(&path), environment, &flags).map_err(|error| error.to_string())
    }

    #[test]
    fn later_sources_win() {
        let toml =
            "[http]\nlisten = \"127.0.0.1:1\"\nbody_limit_bytes = 9\n[models]\ndirectory = \"a\"";
        let environment = [
            ("VITRINE__HTTP__LISTEN", "127.0.0.1:2"),
            ("VITRINE__MODELS__DIRECTORY", "b"),
            ("HOME", "/"),
        ];
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
        assert!(
            Config::load(Some("nowhere.toml".as_ref()), [], &[])
                .unwrap_err()
                .to_string()
                .contains("nowhere.toml")
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        let config = load(
            "[admin]\nkey = \"0123456789abcdef\"\n[database]\nurl = \"postgres://a:pw@h/d\"",
            &[],
            &[],
        );
        let shown = format!("{:?}", config.unwrap());
        assert!(!shown.contains("0123456789abcdef") && !shown.contains("pw@"), "{shown}");
        let wrong = load("[admin]\nkey = 1234567890123456", &[], &[]).unwrap_err();
        assert!(
            wrong.contains("`admin.key` must be a text") && !wrong.contains("123456"),
            "{wrong}"
        );
    }

    #[test]
    fn types_of_events_are_registered_and_weighted() {
        let toml = "[events]\ntypes.quiz = { retention = \"actions\" }\nweights = { quiz = 0.4, view = 0 }";
        let events = load(toml, &[], &[]).unwrap().events;
        let quiz = events.event_type("quiz").unwrap();
        assert_eq!((quiz.retention, quiz.needs_items), (Retention::Actions, false));
        assert!(
            events.event_type("purchase").unwrap().needs_items
                && events.event_type("other").is_none()
        );
        let weight = |kind: &str| events.weights.0.get(kind).copied();
        assert_eq!(
            [weight("quiz"), weight("view"), weight("purchase")],
            [Some(0.4), Some(0.0), Some(1.0)]
        );
        for (toml, says) in [
            ("types.view = {}", "built in"),
            ("types.\"a b\" = {}", "a-z"),
            ("types.a = { retention = \"facts\" }", "`events.types.a.retention`"),
            ("types.a = { keep = 1 }", "`keep`"),
            ("weights.other = 1", "`events.types.other`"),
            ("weights.view = -1", "`events.weights.view`"),
            ("queue = 0", "`events.queue`"),
        ] {
            let error = load(&format!("[events]\n{toml}"), &[], &[]).unwrap_err();
            assert!(error.contains(says), "{toml}: {error}");
        }
    }

    #[test]
    fn traces_go_to_the_path_that_collectors_have_for_them() {
        let endpoint = |url| {
            load("", &[("VITRINE__TELEMETRY__OTLP_ENDPOINT", url)], &[])
                .map(|c| c.telemetry.endpoint)
        };
        for url in
            ["http://localhost:4318", "http://localhost:4318/", "http://localhost:4318/v1/traces"]
        {
            assert_eq!(endpoint(url).unwrap().as_deref(), Some("http://localhost:4318/v1/traces"));
        }
        assert!(endpoint("localhost:4318").unwrap_err().contains("`telemetry.otlp_endpoint`"));
        assert_eq!(load("", &[], &[]).unwrap().telemetry.endpoint, None);
    }

    #[test]
    fn the_environment_is_text() {
        let load = |name: &str, value: &str| load("", &[(name, value)], &[]);
        let key = load("VITRINE__ADMIN__KEY", "1234567890123456").unwrap().admin.key;
        assert!(key.unwrap().matches(b"1234567890123456"), "a key of digits is a text");
        assert_eq!(load("VITRINE__LIMITS__CONNECTIONS", "7").unwrap().limits.connections, 7);
        assert_eq!(load("VITRINE__LOG__ACCESS", "0.5").unwrap().log.access, 0.5);
        assert_eq!(
            load("VITRINE__MODELS__DEFAULT", "2024").unwrap().models.default.as_deref(),
            Some("2024")
        );
        for (text, origins) in [
            ("https://shop.example", vec!["https://shop.example"]),
            (
                "https://a.example, https://b.example:8443",
                vec!["https://a.example", "https://b.example:8443"],
            ),
            (r#"["https://a.example"]"#, vec!["https://a.example"]),
            ("*", vec!["*"]),
            ("", vec![]),
        ] {
            assert_eq!(
                load("VITRINE__HTTP__CORS_ORIGINS", text).unwrap().http.cors_origins,
                origins
            );
        }
        for (name, value, says) in [
            (
                "VITRINE__LIMITS__CONNECTIONS",
                "many",
                "`limits.connections` must be a whole number, 0 or above",
            ),
            (
                "VITRINE__LIMITS__CONNECTIONS",
                "-1",
                "`limits.connections` must be a whole number, 0 or above",
            ),
            ("VITRINE__HTTP__CORS_ORIGINS", "shop.example", "`shop.example` is no origin"),
        ] {
            let error = load(name, value).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_an_error_in_our_variables_and_nothing_in_others() {
        use std::os::unix::ffi::OsStringExt;
        let load =
            |name: &str| Config::load(None, [(name.into(), OsString::from_vec(vec![0xff]))], &[]);
        let error = load("VITRINE__MODELS__DEFAULT").unwrap_err().to_string();
        assert!(error.contains("VITRINE__MODELS__DEFAULT is not UTF-8"), "{error}");
        assert!(load("LESSCHARSET").is_ok());
    }
}
