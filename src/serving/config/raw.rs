//! Settings as they are written, with their defaults, and the checks that make [`Config`] of them.

use super::{
    AdminConfig, Config, CustomersConfig, DatabaseConfig, EventWeights, EventsConfig, HttpConfig,
    LimitsConfig, LogConfig, ModelsConfig, PopularityConfig, TelemetryConfig,
};
use crate::{
    bundle::Manifest,
    serving::{Secret, event_types},
    store::{self, CatalogueLimits, Retention},
};
use serde::{Deserialize, Deserializer};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

macro_rules! raw {
    ($(#[$meta:meta])* $name:ident { $($(#[$at:meta])* $field:ident: $type:ty = $default:expr),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(super) struct $name { $($(#[$at])* $field: $type,)* }

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
    catalogue: RawCatalogue = RawCatalogue::default(),
    models: RawModels = RawModels::default(),
    customers: RawCustomers = RawCustomers::default(),
    events: RawEvents = RawEvents::default(),
    popularity: RawPopularity = RawPopularity::default(),
    limits: RawLimits = RawLimits::default(),
    log: RawLog = RawLog::default(),
    telemetry: RawTelemetry = RawTelemetry::default(),
});
raw!(RawHttp {
    listen: String = "127.0.0.1:8080".into(),
    request_timeout_ms: u64 = 10_000,
    head_timeout_ms: u64 = 10_000,
    body_timeout_ms: u64 = 10_000,
    idle_timeout_ms: u64 = 60_000,
    body_limit_bytes: usize = 1 << 20,
    #[serde(deserialize_with = "origins")]
    cors_origins: Vec<String> = Vec::new(),
    compress_above_bytes: u16 = 8_192,
    explain_purchases: bool = false,
    require_key: bool = false,
    proxies: usize = 0,
    drain_seconds: u64 = 20,
    // Without a proxy: long enough for clients that ask all the time to be told to leave.
    unready_seconds: u64 = 1,
});
raw!(RawAdmin {
    listen: String = "127.0.0.1:8081".into(),
    key: Option<Secret> = None,
    key_file: PathBuf = "vitrine-admin.key".into(),
    body_limit_bytes: usize = 16 << 20,
    request_timeout_ms: u64 = 600_000,
    connections: usize = 64,
});
raw!(RawDatabase {
    url: Secret = Secret::new(store::DEFAULT_URL.into()),
    connections: u32 = 8,
    timeout_ms: u64 = 250,
    queue_ms: u64 = 1_000,
    poll_ms: u64 = 500,
});
raw!(RawCatalogue {
    attributes: usize = CatalogueLimits::default().attributes,
    attributes_per_article: usize = CatalogueLimits::default().attributes_per_article,
    name_bytes: usize = CatalogueLimits::default().name_bytes,
    article_bytes: usize = CatalogueLimits::default().article_bytes,
    list_texts: usize = CatalogueLimits::default().list_texts,
});
raw!(RawModels {
    directory: PathBuf = "models".into(),
    default: Option<String> = None,
    load_memory_mb: u64 = 4_096,
    load_seconds: u64 = 120,
});
raw!(RawCustomers {
    cache_mb: u64 = 64,
    fresh_seconds: u64 = 30,
    stale_seconds: u64 = 3_600,
    purchases: usize = 1_000,
});
raw!(RawEvents {
    types: BTreeMap<String, RawEventType> = BTreeMap::new(),
    weights: BTreeMap<String, f32> = BTreeMap::new(),
    queue: usize = 20_000,
    // A shop's own server sends everybody's events from one address with one key.
    per_second_per_key: u32 = 0,
    per_second_per_address: u32 = 0,
    purchases_days: u32 = 0,
    // A year and some weeks: enough to compare a season with the last.
    actions_days: u32 = 400,
    impressions_days: u32 = 90,
});
raw!(RawEventType { retention: String = "actions".into() });
raw!(RawPopularity {
    source: String = "database".into(),
    // Two weeks follow a season within days, and hold enough purchases of a small shop to tell
    // articles apart.
    half_life_days: f64 = 14.0,
    window_days: u32 = 365,
    refresh_minutes: u64 = 60,
});
raw!(RawLimits {
    connections: u32 = 10_000,
    connections_per_address: Option<usize> = None,
    concurrent_requests: usize = 512,
    body_memory_bytes: usize = 64 << 20,
    filter_cache_mb: usize = 32,
    generate: Option<usize> = None,
    explain: Option<usize> = None,
    wide: Option<usize> = None,
    queue_ms: u64 = 500,
    // A shop's own server or proxy sends everybody's requests from one address with one key.
    requests_per_second_per_key: u32 = 0,
    requests_per_second_per_address: u32 = 0,
});
raw!(RawLog {
    format: String = "text".into(),
    filter: String = "info".into(),
    access: f64 = 0.01,
    slow_ms: u64 = 1_000,
});

raw!(RawTelemetry {
    otlp_endpoint: Option<String> = None,
    sample: f64 = 0.01,
    service_name: String = "vitrine".into(),
});

impl RawConfig {
    /// The settings that these are.
    ///
    /// # Errors
    /// Names the first key whose value is not valid.
    pub(super) fn validate(self) -> Result<Config, String> {
        let Self {
            http,
            admin,
            database,
            catalogue,
            models,
            customers,
            events,
            popularity,
            limits,
            log,
            telemetry,
        } = self;
        for origin in http.cors_origins.iter().filter(|origin| *origin != "*") {
            if !(origin.starts_with("https://") || origin.starts_with("http://"))
                || origin.ends_with('/')
            {
                return Err(format!(
                    "`http.cors_origins`: `{origin}` is no origin; write https://shop.example"
                ));
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
                head_timeout: millis("http.head_timeout_ms", http.head_timeout_ms)?,
                body_timeout: millis("http.body_timeout_ms", http.body_timeout_ms)?,
                idle_timeout: millis("http.idle_timeout_ms", http.idle_timeout_ms)?,
                body_limit: http.body_limit_bytes,
                cors_origins: http.cors_origins,
                compress_above: http.compress_above_bytes,
                explain_purchases: http.explain_purchases,
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
                request_timeout: millis("admin.request_timeout_ms", admin.request_timeout_ms)?,
                connections: at_least_one("admin.connections", admin.connections)?,
            },
            database: DatabaseConfig {
                url: database.url,
                connections: at_least_one("database.connections", database.connections)?,
                timeout: millis("database.timeout_ms", database.timeout_ms)?,
                queue: millis("database.queue_ms", database.queue_ms)?,
                poll: millis("database.poll_ms", database.poll_ms)?,
            },
            catalogue: CatalogueLimits {
                attributes: catalogue.attributes,
                attributes_per_article: catalogue.attributes_per_article,
                name_bytes: catalogue.name_bytes,
                article_bytes: catalogue.article_bytes,
                list_texts: catalogue.list_texts,
            },
            models: ModelsConfig {
                directory: models.directory,
                default: models.default,
                checker: None,
                load_memory_mb: at_least_one("models.load_memory_mb", models.load_memory_mb)?,
                load_timeout: Duration::from_secs(at_least_one(
                    "models.load_seconds",
                    models.load_seconds,
                )?),
            },
            customers: CustomersConfig {
                cache: customers.cache_mb.saturating_mul(1 << 20),
                fresh: Duration::from_secs(customers.fresh_seconds),
                stale: Duration::from_secs(customers.stale_seconds.max(customers.fresh_seconds)),
                purchases: customers.purchases,
            },
            events: events.validate()?,
            popularity: popularity.validate()?,
            limits: limits.validate()?,
            log: log.validate()?,
            telemetry: telemetry.validate()?,
        })
    }
}

impl RawLimits {
    fn validate(self) -> Result<LimitsConfig, String> {
        let processors = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let half = processors.div_ceil(2);
        Ok(LimitsConfig {
            connections: at_least_one("limits.connections", self.connections)? as usize,
            connections_per_address: self
                .connections_per_address
                .map(|most| at_least_one("limits.connections_per_address", most))
                .transpose()?,
            concurrent_requests: at_least_one(
                "limits.concurrent_requests",
                self.concurrent_requests,
            )?,
            body_memory: self.body_memory_bytes,
            generate: at_least_one("limits.generate", self.generate.unwrap_or(half))?,
            explain: at_least_one("limits.explain", self.explain.unwrap_or(half))?,
            wide: at_least_one("limits.wide", self.wide.unwrap_or(processors))?,
            queue: Duration::from_millis(self.queue_ms),
            filter_cache: self.filter_cache_mb.saturating_mul(1 << 20),
            requests_per_second_per_key: self.requests_per_second_per_key,
            requests_per_second_per_address: self.requests_per_second_per_address,
        })
    }
}

impl RawLog {
    fn validate(self) -> Result<LogConfig, String> {
        let Self { format, filter, access, slow_ms } = self;
        let json = match format.as_str() {
            "text" => false,
            "json" => true,
            other => return Err(format!("`log.format` is `text` or `json`, not `{other}`")),
        };
        Ok(LogConfig {
            json,
            filter,
            access: share("log.access", access)?,
            slow: Duration::from_millis(slow_ms),
        })
    }
}

impl RawTelemetry {
    fn validate(self) -> Result<TelemetryConfig, String> {
        let Self { otlp_endpoint, sample, service_name } = self;
        let endpoint = otlp_endpoint.map(|url| {
            let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
            match rest.map(|rest| rest.trim_end_matches('/')) {
                None | Some("") => Err(format!(
                    "`telemetry.otlp_endpoint`: `{url}` is no URL; write http://localhost:4318"
                )),
                // A collector's address; traces have this path on every collector.
                Some(host) if !host.contains('/') => {
                    Ok(format!("{}/v1/traces", url.trim_end_matches('/')))
                }
                Some(_) => Ok(url),
            }
        });
        Ok(TelemetryConfig {
            endpoint: endpoint.transpose()?,
            sample: share("telemetry.sample", sample)?,
            service_name,
        })
    }
}

impl RawEvents {
    fn validate(self) -> Result<EventsConfig, String> {
        let days = self.days()?;
        let Self { types, weights, queue, per_second_per_key, per_second_per_address, .. } = self;
        let types =
            types.into_iter().map(RawEventType::validate).collect::<Result<BTreeMap<_, _>, _>>()?;
        let mut all = EventWeights::default();
        for (kind, weight) in weights {
            if !(event_types::is_built_in(&kind) || types.contains_key(&kind)) {
                return Err(format!(
                    "`events.weights.{kind}`: there is no such type of event; add `events.types.{kind}`"
                ));
            }
            if !(0.0..=1_000.0).contains(&weight) {
                return Err(format!("`events.weights.{kind}` must be 0 to 1000, not {weight}"));
            }
            all.0.insert(kind, weight);
        }
        let queue = at_least_one("events.queue", queue)?;
        Ok(EventsConfig {
            types,
            weights: all,
            queue,
            per_second_per_key,
            per_second_per_address,
            days,
        })
    }

    /// Days by retention. An event that is sent again must still be known, and partitions hold a
    /// month.
    fn days(&self) -> Result<[u32; Retention::ALL.len()], String> {
        const LEAST: u32 = 31;
        let days = [
            ("events.purchases_days", self.purchases_days),
            ("events.actions_days", self.actions_days),
            ("events.impressions_days", self.impressions_days),
        ];
        match days.iter().find(|(_, days)| (1..LEAST).contains(days)) {
            Some((key, days)) => {
                Err(format!("`{key}` must be at least {LEAST}, or 0 for good, not {days}"))
            }
            None => Ok(days.map(|(_, days)| days)),
        }
    }
}

impl RawEventType {
    fn validate((name, Self { retention }): (String, Self)) -> Result<(String, Retention), String> {
        let key = format!("events.types.{name}");
        if event_types::is_built_in(&name) {
            return Err(format!("`{key}`: this type is built in; leave it out"));
        }
        if let Some(problem) = event_types::name_problem(&name) {
            return Err(format!("`{key}`: {problem}"));
        }
        match retention.as_str() {
            "actions" => Ok((name, Retention::Actions)),
            "impressions" => Ok((name, Retention::Impressions)),
            other => Err(format!("`{key}.retention` is `actions` or `impressions`, not `{other}`")),
        }
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

/// One origin, several with commas between them (as the environment has them), or a list.
fn origins<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "`http.cors_origins` is an origin such as https://shop.example, or a list of them"
    )]
    enum Origins {
        Text(String),
        List(Vec<String>),
    }
    let split = |text: &str| -> Vec<String> {
        let origins = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        origins.map(str::to_owned).collect()
    };
    Ok(match Origins::deserialize(deserializer)? {
        Origins::Text(text) => match serde_json::from_str(&text) {
            Ok(list) => list,
            Err(_) => split(&text),
        },
        Origins::List(list) => list,
    })
}

fn address(key: &str, text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`{key}`: `{text}` is no address; write 127.0.0.1:8080"))
}

fn share(key: &str, share: f64) -> Result<f64, String> {
    if (0.0..=1.0).contains(&share) {
        Ok(share)
    } else {
        Err(format!("`{key}` is a share from 0 to 1, not {share}"))
    }
}

fn millis(key: &str, millis: u64) -> Result<Duration, String> {
    at_least_one(key, millis).map(Duration::from_millis)
}

fn at_least_one<T: PartialOrd + From<u8>>(key: &str, value: T) -> Result<T, String> {
    if value < T::from(1) { Err(format!("`{key}` must be at least 1")) } else { Ok(value) }
}
