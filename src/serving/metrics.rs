//! Numbers for the operator, in the Prometheus text format, named by its conventions: base units,
//! `_total` on counters, a help text for every family. `deploy/` has alert rules and a board over
//! them.

use super::{Overload, process};
use crate::{
    recommend::{SourceCount, Strategy, sources::REGISTRY},
    store::{ConnectionCounts, NewEvent, Origin},
};
use arc_swap::ArcSwap;
use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram, with_local_recorder,
};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// Handles of all metrics, looked up once: recording is an atomic operation.
pub struct Metrics {
    handle: PrometheusHandle,
    recorder: Arc<PrometheusRecorder>,
    routes: HashMap<&'static str, RouteMetrics>,
    unmatched: RouteMetrics,
    /// By name; those that were served once stay.
    models: ArcSwap<HashMap<String, Arc<ModelMetrics>>>,
    pub(super) stage_customer: Histogram,
    pub(super) customers_cached: Counter,
    pub(super) customers_read: Counter,
    pub(super) customers_degraded: Counter,
    pub(super) customers_unreadable: Counter,
    pub(super) reloads: Counter,
    pub(super) reload_failures: Counter,
    pub(super) model_stand_ins: Counter,
    pub(super) catalogue_refreshes: Counter,
    pub(super) database_available: Gauge,
    pub(super) catalogue_articles: Gauge,
    database_connections: [Gauge; 3],
    client_connections: [Gauge; 2],
    overloads: [Counter; Overload::ALL.len()],
    timeouts: Counter,
    in_flight: Gauge,
    searches: [Counter; 4],
    /// Accepted, duplicate, rejected.
    events: [Counter; 3],
    sources: HashMap<&'static str, SourceMetrics>,
}

/// Metrics of one kind of source, over all placements and requests that name sources.
struct SourceMetrics {
    found: Counter,
    answered: Counter,
    left_out: Counter,
}

/// Metrics of one route.
pub struct RouteMetrics {
    pub seconds: Histogram,
    /// By first digit of the status: 2xx, 3xx, 4xx, 5xx.
    by_class: [Counter; 4],
}

/// Metrics of one model, over all its versions.
pub(super) struct ModelMetrics {
    pub(super) embed: Histogram,
    pub(super) rank: Histogram,
    pub(super) cold_starts: Counter,
    by_strategy: [Counter; STRATEGIES.len()],
}

const STRATEGIES: [(Strategy, &str); 6] = [
    (Strategy::Personalised, "personalised"),
    (Strategy::Session, "session"),
    (Strategy::Generated, "generated"),
    (Strategy::Similar, "similar"),
    (Strategy::Popular, "popular"),
    (Strategy::Pipeline, "pipeline"),
];

/// From the quickest stage to three times the time-out of requests.
const SECONDS: [f64; 17] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0,
];

/// Help texts; the name says the kind: `_total` a counter, `_seconds` a histogram, anything else a
/// gauge.
const FAMILIES: [(&str, &str); 25] = [
    ("vitrine_build_info", "1; the labels say which build this is."),
    ("vitrine_requests_total", "Answered requests, by route and class of status."),
    ("vitrine_request_seconds", "Time from a request's head to its answer, by route."),
    ("vitrine_requests_in_flight", "Requests that are being read or answered."),
    ("vitrine_timeouts_total", "Requests that came too slowly or took too long."),
    ("vitrine_overloads_total", "Requests turned away with 503, by the budget that was used up."),
    ("vitrine_connections", "Open connections of clients, by listener."),
    ("vitrine_recommendations_total", "Ranked answers, by model and how the query was formed."),
    ("vitrine_stage_seconds", "Time of the stages of a ranked answer, by model."),
    (
        "vitrine_cold_starts_total",
        "Answers by popularity because nothing was known of the customer.",
    ),
    ("vitrine_customer_lookup_seconds", "Time to find out what is known of a customer."),
    ("vitrine_customer_lookups_total", "Lookups of customers, by where the answer came from."),
    ("vitrine_events_total", "Events that were told, by what became of them."),
    (
        "vitrine_attributed_events_total",
        "Articles of accepted events that name an answer, by type, placement or route, and model.",
    ),
    (
        "vitrine_source_articles_total",
        "Candidates that a source found, and articles of answers that it ranked best of all sources.",
    ),
    (
        "vitrine_source_left_out_total",
        "Answers without a source, because it failed or had no time left.",
    ),
    ("vitrine_searches_total", "Searches of an index, by plan."),
    ("vitrine_reloads_total", "Bundles that were loaded or refused."),
    (
        "vitrine_model_stand_ins_total",
        "How often an older version began to serve because the active one could not.",
    ),
    ("vitrine_model_served", "1 for a version that answers requests, 0 for one that did."),
    ("vitrine_catalogue_refreshes_total", "How often the whole catalogue was read."),
    ("vitrine_catalogue_articles", "Articles of the catalogue."),
    ("vitrine_database_available", "1 while the database answers, else 0."),
    ("vitrine_database_connections", "Connections to the database, by state."),
    ("vitrine_database_connections_max", "Connections to the database at most."),
];

fn describe_families() {
    for (name, help) in FAMILIES {
        match name {
            name if name.ends_with("_total") => describe_counter!(name, help),
            name if name.ends_with("_seconds") => describe_histogram!(name, Unit::Seconds, help),
            name => describe_gauge!(name, help),
        }
    }
}

/// A request that is in flight until this is dropped.
pub struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl RouteMetrics {
    fn new(route: &'static str) -> Self {
        let class = |class| counter!("vitrine_requests_total", "route" => route, "class" => class);
        Self {
            seconds: histogram!("vitrine_request_seconds", "route" => route),
            by_class: ["2xx", "3xx", "4xx", "5xx"].map(class),
        }
    }

    /// Counts an answer.
    pub fn record(&self, status: u16, took: Duration) {
        self.seconds.record(took.as_secs_f64());
        let class = usize::from(status / 100).clamp(2, 5) - 2;
        self.by_class[class].increment(1);
    }
}

impl SourceMetrics {
    fn new(source: &'static str) -> Self {
        let articles =
            |are| counter!("vitrine_source_articles_total", "source" => source, "are" => are);
        Self {
            found: articles("found"),
            answered: articles("answered"),
            left_out: counter!("vitrine_source_left_out_total", "source" => source),
        }
    }
}

impl ModelMetrics {
    fn new(model: &str) -> Self {
        let model = model.to_owned();
        let stage =
            |stage| histogram!("vitrine_stage_seconds", "stage" => stage, "model" => model.clone());
        let strategy = |(_, name): (Strategy, &'static str)| counter!("vitrine_recommendations_total", "model" => model.clone(), "strategy" => name);
        Self {
            embed: stage("embed"),
            rank: stage("rank"),
            cold_starts: counter!("vitrine_cold_starts_total", "model" => model.clone()),
            by_strategy: STRATEGIES.map(strategy),
        }
    }

    pub(super) fn count(&self, strategy: Strategy) {
        if let Some(at) = STRATEGIES.iter().position(|(other, _)| *other == strategy) {
            self.by_strategy[at].increment(1);
        }
    }
}

impl Metrics {
    /// `routes`: the path patterns that get metrics of their own.
    ///
    /// # Errors
    /// Never with the fixed buckets used here.
    pub(super) fn new(routes: &[&'static str]) -> Result<Self, BuildError> {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?;
        let recorder = Arc::new(builder.build_recorder());
        let handle = recorder.handle();
        let customers = |from| counter!("vitrine_customer_lookups_total", "from" => from);
        let reloads = |result| counter!("vitrine_reloads_total", "result" => result);
        Ok(with_local_recorder(&*recorder, || {
            describe_families();
            gauge!("vitrine_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
            let connections = |state| gauge!("vitrine_database_connections", "state" => state);
            Self {
                handle,
                routes: routes.iter().map(|&route| (route, RouteMetrics::new(route))).collect(),
                unmatched: RouteMetrics::new("unmatched"),
                models: ArcSwap::default(),
                stage_customer: histogram!("vitrine_customer_lookup_seconds"),
                customers_cached: customers("cache"),
                customers_read: customers("database"),
                customers_degraded: customers("degraded"),
                customers_unreadable: customers("unreadable"),
                reloads: reloads("loaded"),
                reload_failures: reloads("refused"),
                model_stand_ins: counter!("vitrine_model_stand_ins_total"),
                catalogue_refreshes: counter!("vitrine_catalogue_refreshes_total"),
                database_available: gauge!("vitrine_database_available"),
                catalogue_articles: gauge!("vitrine_catalogue_articles"),
                database_connections: [
                    connections("used"),
                    connections("idle"),
                    gauge!("vitrine_database_connections_max"),
                ],
                client_connections: ["public", "admin"]
                    .map(|listener| gauge!("vitrine_connections", "listener" => listener)),
                overloads: Overload::ALL.map(
                    |overload| counter!("vitrine_overloads_total", "budget" => overload.label),
                ),
                timeouts: counter!("vitrine_timeouts_total"),
                in_flight: gauge!("vitrine_requests_in_flight"),
                searches: ["graph", "scan", "gather", "nothing"]
                    .map(|plan| counter!("vitrine_searches_total", "plan" => plan)),
                events: ["accepted", "duplicate", "rejected"]
                    .map(|verdict| counter!("vitrine_events_total", "verdict" => verdict)),
                sources: REGISTRY
                    .iter()
                    .map(|kind| (kind.name, SourceMetrics::new(kind.name)))
                    .collect(),
                recorder: recorder.clone(),
            }
        }))
    }

    /// The metrics of a route pattern; those that have none of their own share one.
    pub fn route(&self, pattern: Option<&str>) -> &RouteMetrics {
        pattern.and_then(|pattern| self.routes.get(pattern)).unwrap_or(&self.unmatched)
    }

    /// The metrics of a model that is served.
    pub(super) fn model(&self, name: &str) -> Option<Arc<ModelMetrics>> {
        self.models.load().get(name).cloned()
    }

    /// The open connections of the public listener.
    pub fn public_connections(&self) -> &Gauge {
        &self.client_connections[0]
    }

    /// The open connections of the admin listener.
    pub fn admin_connections(&self) -> &Gauge {
        &self.client_connections[1]
    }

    /// Events were accepted, sent before, or rejected.
    pub fn count_events(&self, numbers: [usize; 3]) {
        self.events
            .iter()
            .zip(numbers)
            .for_each(|(counter, number)| counter.increment(number as u64));
    }

    /// Articles of an accepted event that come from answers.
    pub(super) fn count_attributed(&self, event: &NewEvent) {
        let origins = event.items.iter().filter_map(|item| item.origin.as_ref());
        with_local_recorder(&*self.recorder, || {
            for Origin { route, model, version, .. } in origins.cloned() {
                counter!(
                    "vitrine_attributed_events_total", "type" => event.kind.clone(), "placement" => route,
                    "model" => model, "version" => version
                )
                .increment(1);
            }
        });
    }

    /// A request was turned away because a budget was used up.
    pub fn count_overload(&self, overload: Overload) {
        let at = Overload::ALL.iter().position(|other| *other == overload);
        self.overloads[at.unwrap_or(0)].increment(1);
    }

    /// A request took too long.
    pub fn count_timeout(&self) {
        self.timeouts.increment(1);
    }

    /// A request begins.
    pub fn request_begins(&self) -> InFlight {
        self.in_flight.increment(1.0);
        InFlight(self.in_flight.clone())
    }

    /// Which versions are served.
    pub(super) fn set_versions(&self, old: &[(String, String)], new: &[(String, String)]) {
        with_local_recorder(&*self.recorder, || {
            let mut models = HashMap::clone(&self.models.load());
            for (on, versions) in [(0.0, old), (1.0, new)] {
                for (model, version) in versions {
                    gauge!("vitrine_model_served", "model" => model.clone(), "version" => version.clone()).set(on);
                    models
                        .entry(model.clone())
                        .or_insert_with(|| Arc::new(ModelMetrics::new(model)));
                }
            }
            self.models.store(Arc::new(models));
        });
    }

    /// Counts what the sources of an answer gave.
    pub(super) fn count_sources(&self, sources: &[SourceCount]) {
        for count in sources {
            let Some(metrics) = self.sources.get(count.source) else { continue };
            metrics.found.increment(count.found as u64);
            metrics.answered.increment(count.answered as u64);
            metrics.left_out.increment(u64::from(count.left_out));
        }
    }

    /// Counts a search by the plan that answered it.
    pub(super) fn count_search(&self, plan: &'static str) {
        let counter = match plan {
            "graph" => &self.searches[0],
            "scan" => &self.searches[1],
            "gather" => &self.searches[2],
            _ => &self.searches[3],
        };
        counter.increment(1);
    }

    /// The text of `/metrics`; `database`: its connections at this moment.
    pub(super) fn render(&self, database: ConnectionCounts) -> String {
        let ConnectionCounts { used, idle, max } = database;
        for (gauge, count) in self.database_connections.iter().zip([used, idle, max]) {
            gauge.set(f64::from(count));
        }
        let mut text = self.handle.render();
        process::render(&mut text);
        text
    }

    /// Folds recorded times into the histograms, whose memory would grow otherwise.
    pub(super) fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}
