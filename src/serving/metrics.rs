//! Numbers for the operator, in the Prometheus text format.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram, with_local_recorder};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// Handles of all metrics, looked up once: recording is an atomic operation.
pub struct Metrics {
    handle: PrometheusHandle,
    recorder: Arc<PrometheusRecorder>,
    routes: HashMap<&'static str, RouteMetrics>,
    unmatched: RouteMetrics,
    pub(super) stage_customer: Histogram,
    pub(super) stage_embed: Histogram,
    pub(super) stage_rank: Histogram,
    pub(super) customers_cached: Counter,
    pub(super) customers_read: Counter,
    pub(super) customers_degraded: Counter,
    pub(super) customers_unreadable: Counter,
    pub(super) cold_starts: Counter,
    pub(super) reloads: Counter,
    pub(super) reload_failures: Counter,
    pub(super) model_stand_ins: Counter,
    pub(super) catalogue_refreshes: Counter,
    pub(super) database_available: Gauge,
    pub(super) catalogue_articles: Gauge,
    overloads: Counter,
    searches: [Counter; 4],
}

/// Metrics of one route.
pub struct RouteMetrics {
    pub seconds: Histogram,
    /// By first digit of the status: 2xx, 3xx, 4xx, 5xx.
    by_class: [Counter; 4],
}

const SECONDS: [f64; 14] =
    [0.000_05, 0.000_1, 0.000_2, 0.000_3, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];

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

impl Metrics {
    /// `routes`: the path patterns that get metrics of their own.
    ///
    /// # Errors
    /// Never with the fixed buckets used here.
    pub(super) fn new(routes: &[&'static str]) -> Result<Self, BuildError> {
        let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?;
        let recorder = Arc::new(builder.build_recorder());
        let handle = recorder.handle();
        let stage = |stage| histogram!("vitrine_stage_seconds", "stage" => stage);
        let customers = |from| counter!("vitrine_customer_lookups_total", "from" => from);
        let reloads = |result| counter!("vitrine_reloads_total", "result" => result);
        Ok(with_local_recorder(&*recorder, || Self {
            handle,
            routes: routes.iter().map(|&route| (route, RouteMetrics::new(route))).collect(),
            unmatched: RouteMetrics::new("unmatched"),
            stage_customer: stage("customer"),
            stage_embed: stage("embed"),
            stage_rank: stage("rank"),
            customers_cached: customers("cache"),
            customers_read: customers("database"),
            customers_degraded: customers("degraded"),
            customers_unreadable: customers("unreadable"),
            cold_starts: counter!("vitrine_cold_starts_total"),
            reloads: reloads("loaded"),
            reload_failures: reloads("refused"),
            model_stand_ins: counter!("vitrine_model_stand_ins_total"),
            catalogue_refreshes: counter!("vitrine_catalogue_refreshes_total"),
            overloads: counter!("vitrine_overloads_total"),
            searches: ["graph", "scan", "gather", "nothing"]
                .map(|plan| counter!("vitrine_searches_total", "plan" => plan)),
            database_available: gauge!("vitrine_database_available"),
            catalogue_articles: gauge!("vitrine_catalogue_articles"),
            recorder: recorder.clone(),
        }))
    }

    /// The metrics of a route pattern; those that have none of their own share one.
    pub fn route(&self, pattern: Option<&str>) -> &RouteMetrics {
        pattern.and_then(|pattern| self.routes.get(pattern)).unwrap_or(&self.unmatched)
    }

    /// A request was turned away because the server is busy.
    pub fn count_overload(&self) {
        self.overloads.increment(1);
    }

    /// Which versions are served, and by which plans their indexes search.
    pub(super) fn set_versions(&self, old: &[(String, String)], new: &[(String, String)]) {
        with_local_recorder(&*self.recorder, || {
            for (on, versions) in [(0.0, old), (1.0, new)] {
                for (model, version) in versions {
                    gauge!("vitrine_model_served", "model" => model.clone(), "version" => version.clone()).set(on);
                }
            }
        });
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

    /// The text of `/metrics`.
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Folds recorded times into the histograms, whose memory would grow otherwise.
    pub(super) fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}
