//! Watching the servers after an activation: do they serve the new version, and do their answers
//! get worse?

use super::{RetrainError, Server, Watch};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    env,
    net::ToSocketAddrs,
    thread::sleep,
    time::{Duration, Instant},
};
use ureq::Agent;

/// Articles that an answer is asked for.
const ASKED: usize = 12;

/// Longest wait for an answer.
const LONGEST: Duration = Duration::from_secs(10);

/// How often a server is asked whether it serves the new version.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// What answers are like.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Quality {
    /// How many were asked for.
    pub answers: usize,
    /// The share that failed, and the share of the others that was empty.
    pub errors: f64,
    pub empty: f64,
    /// The 95th percentile of their time.
    pub milliseconds: f64,
    /// Of the requests of customers meanwhile: how many there were, and the share that the server
    /// failed.
    pub requests: f64,
    pub request_errors: f64,
}

/// Servers that are asked.
pub(super) struct Watcher<'a> {
    rules: &'a Watch,
    /// One entry a replica.
    servers: Vec<Server>,
    customers: Vec<String>,
    agent: Agent,
    admin_key: Option<String>,
    key: Option<String>,
}

/// The replicas that a name leads to, each by its own address; the server as it is written where
/// the names lead nowhere.
fn replicas(server: &Server) -> Vec<Server> {
    let (public, admin) = (addresses(&server.public), addresses(&server.admin));
    if !server.every_address || public.is_empty() || public.len() != admin.len() {
        return vec![server.clone()];
    }
    let replica = |(public, admin)| Server { public, admin, every_address: false };
    public.into_iter().zip(admin).map(replica).collect()
}

/// The URL with each address of its host in the place of the name. Certificates are for names, so
/// those of `https` stay.
fn addresses(url: &str) -> Vec<String> {
    let Some(host) =
        url.strip_prefix("http://").map(|rest| rest.split('/').next().unwrap_or_default())
    else {
        return Vec::new();
    };
    let with_port = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let mut addresses: Vec<_> = with_port.to_socket_addrs().into_iter().flatten().collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses.into_iter().map(|address| format!("http://{address}")).collect()
}

/// Answers of a while.
#[derive(Default)]
struct Sample {
    milliseconds: Vec<f64>,
    failed: usize,
    empty: usize,
}

/// Counters of a server: its requests and those that it failed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Counters {
    requests: f64,
    failed: f64,
}

impl<'a> Watcher<'a> {
    /// Keys come from the environment: `VITRINE__ADMIN__KEY` for the admin address,
    /// `VITRINE_WATCH_KEY` for the public one.
    pub(super) fn new(rules: &'a Watch, customers: Vec<String>) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(LONGEST))
            .http_status_as_error(false)
            .build();
        let variable = |name: &str| env::var(name).ok().filter(|key| !key.is_empty());
        let (admin_key, key) = (variable("VITRINE__ADMIN__KEY"), variable("VITRINE_WATCH_KEY"));
        let servers = rules.servers.iter().flat_map(replicas).collect();
        Self { rules, servers, customers, agent: config.into(), admin_key, key }
    }

    /// What answers are like before the activation. A server that is away does not answer, which is
    /// an error as well.
    pub(super) fn before(&self) -> Quality {
        let mut sample = Sample::default();
        self.servers.iter().for_each(|server| self.probe(server, &mut sample));
        sample.quality(Counters::default())
    }

    /// Waits until every server serves the version; the reason when one does not.
    ///
    /// # Errors
    /// None today; a watcher that cannot see must not end an activation.
    pub(super) fn takeover(&self, model: &str, version: &str) -> Result<(), String> {
        let begun = Instant::now();
        for server in &self.servers {
            loop {
                match self.state(server, model, version) {
                    State::Serves => break,
                    State::Refuses(reason) => {
                        return Err(format!(
                            "{} does not load version {version}: {reason}",
                            server.admin
                        ));
                    }
                    State::NotYet(_) if begun.elapsed().as_secs() < self.rules.takeover_seconds => {
                        sleep(BETWEEN_LOOKS);
                    }
                    State::NotYet(why) => {
                        let seconds = self.rules.takeover_seconds;
                        return Err(format!(
                            "{} does not serve version {version} after {seconds} s: {why}",
                            server.admin
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// Watches for the configured rounds, if there is a server to watch; the reason to take the
    /// activation back as soon as there is one.
    pub(super) fn watch(&self, before: Quality) -> (Quality, Option<String>) {
        let mut sample = Sample::default();
        let at_first: Vec<Option<Counters>> =
            self.servers.iter().map(|server| self.counters(server)).collect();
        let mut quality = Quality::default();
        let rounds = if self.servers.is_empty() { 0 } else { self.rules.rounds };
        for round in 0..rounds {
            if round > 0 {
                sleep(Duration::from_secs(self.rules.interval_seconds));
            }
            self.servers.iter().for_each(|server| self.probe(server, &mut sample));
            let mut counted = Counters::default();
            for (server, first) in self.servers.iter().zip(&at_first) {
                if let (Some(first), Some(now)) = (first, self.counters(server)) {
                    // A server that was started anew counts from 0.
                    counted.requests += (now.requests - first.requests).max(0.0);
                    counted.failed += (now.failed - first.failed).max(0.0);
                }
            }
            quality = sample.quality(counted);
            if let Some(reason) = worse(self.rules, before, quality) {
                return (quality, Some(reason));
            }
        }
        (quality, None)
    }

    /// Asks a server for each customer.
    fn probe(&self, server: &Server, sample: &mut Sample) {
        let url = format!("{}/v1/recommendations", server.public.trim_end_matches('/'));
        for customer in &self.customers {
            let begun = Instant::now();
            let body = json!({"customer_id": customer, "k": ASKED});
            let answer = self.send(&url, self.key.as_deref(), Some(&body));
            sample.milliseconds.push(begun.elapsed().as_secs_f64() * 1e3);
            match answer.as_ref().ok().and_then(|answer| answer.get("items")?.as_array()) {
                Some(items) if items.is_empty() => sample.empty += 1,
                Some(_) => {}
                None => sample.failed += 1,
            }
        }
    }

    fn state(&self, server: &Server, model: &str, version: &str) -> State {
        let url = format!("{}/admin/v1/status", server.admin.trim_end_matches('/'));
        let status = match self.send(&url, self.admin_key.as_deref(), None) {
            Ok(status) => status,
            Err(error) => return State::NotYet(error),
        };
        let entries =
            |key: &str| status.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        let is = |entry: &Value, key: &str, text: &str| {
            entry.get(key).and_then(Value::as_str) == Some(text)
        };
        let of_version = |entry: &Value| is(entry, "model", model) && is(entry, "version", version);
        if let Some(refusal) = entries("refusals").iter().find(|entry| of_version(entry)) {
            let reason =
                refusal.get("reason").and_then(Value::as_str).unwrap_or("it does not say why");
            return State::Refuses(reason.to_owned());
        }
        match entries("models").iter().find(|entry| is(entry, "name", model)) {
            Some(entry) if is(entry, "version", version) => State::Serves,
            Some(entry) => {
                State::NotYet(format!("it serves {}", entry.get("version").unwrap_or(&Value::Null)))
            }
            None => State::NotYet("it does not serve the model".to_owned()),
        }
    }

    /// `None` while the server does not tell.
    fn counters(&self, server: &Server) -> Option<Counters> {
        let url = format!("{}/metrics", server.admin.trim_end_matches('/'));
        let mut request = self.agent.get(&url);
        if let Some(key) = &self.admin_key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let mut response = request.call().ok().filter(|response| response.status().is_success())?;
        Some(Counters::read(&response.body_mut().read_to_string().ok()?))
    }

    /// Sends a request; its JSON answer, or what was wrong.
    fn send(&self, url: &str, key: Option<&str>, body: Option<&Value>) -> Result<Value, String> {
        let bearer = key.map(|key| format!("Bearer {key}"));
        let answer = match body {
            Some(body) => {
                let mut request = self.agent.post(url).header("content-type", "application/json");
                if let Some(bearer) = &bearer {
                    request = request.header("authorization", bearer);
                }
                request.send(body.to_string())
            }
            None => {
                let mut request = self.agent.get(url);
                if let Some(bearer) = &bearer {
                    request = request.header("authorization", bearer);
                }
                request.call()
            }
        };
        let mut answer = answer.map_err(|error| format!("it does not answer: {error}"))?;
        let status = answer.status();
        let text = answer
            .body_mut()
            .read_to_string()
            .map_err(|error| format!("its answer breaks off: {error}"))?;
        if !status.is_success() {
            return Err(format!("it answers with status {status}"));
        }
        serde_json::from_str(&text).map_err(|_| "its answer is no JSON".to_owned())
    }
}

/// How a server stands to a version.
enum State {
    Serves,
    NotYet(String),
    Refuses(String),
}

impl Sample {
    fn quality(&self, counted: Counters) -> Quality {
        let answers = self.milliseconds.len();
        let share = |count: usize, of: usize| if of == 0 { 0.0 } else { count as f64 / of as f64 };
        let mut times = self.milliseconds.clone();
        times.sort_by(f64::total_cmp);
        let at = (times.len() * 95).div_ceil(100).saturating_sub(1);
        Quality {
            answers,
            errors: share(self.failed, answers),
            empty: share(self.empty, answers - self.failed),
            milliseconds: times.get(at).copied().unwrap_or(0.0),
            requests: counted.requests,
            request_errors: if counted.requests > 0.0 {
                counted.failed / counted.requests
            } else {
                0.0
            },
        }
    }
}

impl Counters {
    /// The requests of the API in the text of `/metrics`.
    fn read(text: &str) -> Self {
        let mut counters = Self::default();
        for line in text.lines().filter(|line| line.starts_with("vitrine_requests_total{")) {
            let Some((labels, count)) = line.rsplit_once(' ') else { continue };
            let count: f64 = count.parse().unwrap_or(0.0);
            if labels.contains("route=\"/v1/") {
                counters.requests += count;
                counters.failed += if labels.contains("class=\"5xx\"") { count } else { 0.0 };
            }
        }
        counters
    }
}

/// Why the answers are worse than before.
fn worse(rules: &Watch, before: Quality, now: Quality) -> Option<String> {
    let percent = |share: f64| share * 100.0;
    if now.errors > before.errors.max(rules.most_errors) {
        return Some(format!("{:.1} % of {} answers fail", percent(now.errors), now.answers));
    }
    // A few requests of customers are too few for a share.
    if now.requests >= 100.0 && now.request_errors > rules.most_errors {
        let (share, requests) = (percent(now.request_errors), now.requests);
        return Some(format!("{share:.1} % of the {requests} requests of customers fail"));
    }
    if now.empty > before.empty + rules.most_empty {
        let (now, before) = (percent(now.empty), percent(before.empty));
        return Some(format!("{now:.1} % of the answers are empty, {before:.1} % were before"));
    }
    let allowed = (before.milliseconds * rules.most_slowdown).max(rules.quick_milliseconds);
    if before.answers > 0 && now.milliseconds > allowed {
        return Some(format!(
            "95 % of the answers take up to {:.1} ms, {:.1} ms before",
            now.milliseconds, before.milliseconds
        ));
    }
    None
}

impl Quality {
    /// As the journal holds it.
    pub(super) fn figures(self) -> Result<Value, RetrainError> {
        serde_json::to_value(self).map_err(|error| RetrainError::Input(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quality(errors: f64, empty: f64, milliseconds: f64) -> Quality {
        Quality { answers: 100, errors, empty, milliseconds, ..Quality::default() }
    }

    #[test]
    fn what_got_worse_is_told() {
        let rules = Watch::default();
        let before = quality(0.0, 0.02, 15.0);
        let reason = |now: Quality| worse(&rules, before, now).unwrap_or_default();
        assert_eq!(reason(quality(0.01, 0.03, 29.0)), "");
        assert!(reason(quality(0.02, 0.0, 1.0)).contains("2.0 % of 100 answers fail"));
        assert!(
            reason(quality(0.0, 0.05, 1.0))
                .contains("5.0 % of the answers are empty, 2.0 % were before")
        );
        assert!(reason(quality(0.0, 0.0, 31.0)).contains("up to 31.0 ms, 15.0 ms before"));
        let busy = |requests, request_errors| Quality { requests, request_errors, ..before };
        assert!(reason(busy(200.0, 0.05)).contains("5.0 % of the 200 requests"));
        assert_eq!(reason(busy(20.0, 0.05)), "");
        // What failed before the activation is not its fault, and quick answers are never slow.
        assert_eq!(worse(&rules, quality(0.3, 0.0, 1.0), quality(0.3, 0.0, 19.0)), None);
    }

    #[test]
    fn names_are_resolved_where_that_is_asked_for() {
        let server = |public: &str, admin: &str, every_address| Server {
            public: public.to_owned(),
            admin: admin.to_owned(),
            every_address,
        };
        for alone in [
            server("http://127.0.0.1:1/", "http://127.0.0.1:2/", false),
            server("https://127.0.0.1", "https://127.0.0.1:8081", true),
        ] {
            assert_eq!(replicas(&alone), [alone]);
        }
        let resolved = server("http://127.0.0.1:80", "http://127.0.0.1:2", false);
        assert_eq!(
            replicas(&server("http://127.0.0.1/v1", "http://127.0.0.1:2/", true)),
            [resolved]
        );
    }

    #[test]
    fn requests_of_the_api_are_counted() {
        let text = "# TYPE vitrine_requests_total counter\n\
                    vitrine_requests_total{route=\"/v1/recommendations\",class=\"2xx\"} 90\n\
                    vitrine_requests_total{route=\"/v1/recommendations\",class=\"5xx\"} 10\n\
                    vitrine_requests_total{route=\"/livez\",class=\"5xx\"} 7\n\
                    vitrine_request_seconds_sum{route=\"/v1/recommendations\"} 3.5\n";
        assert_eq!(Counters::read(text), Counters { requests: 100.0, failed: 10.0 });
    }

    #[test]
    fn the_95th_percentile_is_one_of_the_times() {
        let sample =
            Sample { milliseconds: (1..=20).rev().map(f64::from).collect(), failed: 4, empty: 4 };
        let quality = sample.quality(Counters::default());
        assert_eq!((quality.milliseconds, quality.errors, quality.empty), (19.0, 0.2, 0.25));
        assert_eq!(Sample::default().quality(Counters::default()), Quality::default());
    }
}
