//! A bounded load generator for a server on this machine, and a check of every answer.
//!
//! ```text
//! cargo run --release --example load -- --url http://127.0.0.1:8080/v1/recommendations \
//!     --customers customers.csv --connections 16 --seconds 30 --k 12
//! ```
//! Each connection keeps one request in flight (closed loop). An answer fails when its status is
//! not 200, when it holds fewer than `k` items, names no model version, or differs from an earlier
//! answer of the same version to the same request: one snapshot always answers alike, so a mixture
//! of two versions is seen. Prints one JSON object.
//!
//! With `--get` it sends GET requests and checks the status alone, such as for `/livez`.
//!
//! With `--events-key` it sends events of made-up customers to `/v1/events` instead, at a rate:
//! ```text
//! cargo run --release --example load -- --url http://127.0.0.1:8080/v1/events \
//!     --events-key KEY --rate 5000 --connections 8 --seconds 30
//! ```

use anyhow::{Context, bail, ensure};
use clap::Parser;
use rand::Rng;
use serde::Deserialize;
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Events of a request.
const EVENTS: u32 = 20;

/// Sends requests to a server on a loopback address and checks every answer.
#[derive(Parser)]
struct Arguments {
    /// `http://<loopback address>:<port>/<path>`
    #[arg(long, default_value = "http://127.0.0.1:8080/v1/recommendations")]
    url: String,
    /// A file whose lines begin with a customer id, with or without a header line `customer_id,…`.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["get", "events_key"])]
    customers: Option<PathBuf>,
    /// Send GET requests instead, and check only that the status is 200.
    #[arg(long, conflicts_with_all = ["customers", "extra"])]
    get: bool,
    /// Send events with this key instead, twenty a request, and check that all are accepted.
    #[arg(long, value_name = "KEY", conflicts_with_all = ["customers", "extra", "get"])]
    events_key: Option<String>,
    /// Events offered in a second.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=512))]
    connections: u16,
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    #[arg(long, default_value_t = 12)]
    k: usize,
    /// The moment asked for, the same in every request.
    #[arg(long, default_value = "2020-09-23T00:00:00Z")]
    at: String,
    /// A JSON object whose keys are added to every request, such as
    /// '{"filter":{"index_group_name":"Ladieswear"}}'.
    #[arg(long)]
    extra: Option<String>,
    /// Do not compare answers of one version with each other (for servers whose customers change
    /// meanwhile).
    #[arg(long)]
    no_compare: bool,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    items: Vec<Item<'a>>,
    #[serde(borrow)]
    meta: Meta<'a>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    article_id: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow)]
    model: Model<'a>,
    #[serde(borrow, default)]
    fallback: Option<Cow<'a, str>>,
    #[serde(default)]
    warnings: Vec<String>,
}

/// The answer to events.
#[derive(Deserialize)]
struct Told {
    accepted: u64,
}

#[derive(Deserialize)]
struct Model<'a> {
    #[serde(borrow)]
    version: Cow<'a, str>,
}

/// What the connections found out together.
#[derive(Default)]
struct Findings {
    micros: Vec<u32>,
    failures: BTreeMap<String, u64>,
    versions: BTreeMap<String, u64>,
    fallbacks: u64,
    warnings: BTreeMap<String, u64>,
    events: u64,
    /// Hash of the items by version and request.
    seen: HashMap<(String, usize), u64>,
}

struct Target {
    address: SocketAddr,
    requests: Vec<Vec<u8>>,
    k: usize,
    expects: Expects,
    compare: bool,
    until: Instant,
}

/// What a good answer is.
enum Expects {
    Recommendations,
    /// Every event accepted. Each request is sent once, a while after the one before.
    Events {
        began: Instant,
        between: Duration,
        sent: AtomicUsize,
    },
    /// The status 200.
    Status,
}

impl Target {
    /// The request that a connection sends next, once it is due; `None` at the end.
    async fn next(&self, own: &mut usize) -> Option<usize> {
        if Instant::now() >= self.until {
            return None;
        }
        let Expects::Events { began, between, sent } = &self.expects else {
            *own += 1;
            return Some((*own - 1) % self.requests.len());
        };
        let place = sent.fetch_add(1, Ordering::Relaxed);
        let due = *began + *between * u32::try_from(place).ok()?;
        tokio::time::sleep_until(due.into()).await;
        (place < self.requests.len()).then_some(place)
    }

    fn status(&self) -> &'static str {
        match self.expects {
            Expects::Events { .. } => "202",
            Expects::Recommendations | Expects::Status => "200",
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let rest = arguments.url.strip_prefix("http://").context("the URL must begin with http://")?;
    let (host, path) = rest.split_once('/').context("the URL needs a path")?;
    let address = tokio::net::lookup_host(host).await?.next().context("the host has no address")?;
    ensure!(
        address.ip().is_loopback(),
        "{address} is not a loopback address: this tool only loads the machine it runs on"
    );
    let requests = match &arguments.events_key {
        Some(key) => events(&arguments, key, host, path),
        None => requests(&arguments, host, path)?,
    };
    let started = Instant::now();
    let expects = match (&arguments.events_key, arguments.get) {
        (Some(_), _) => Expects::Events {
            began: started,
            between: Duration::from_secs(1) * EVENTS / arguments.rate,
            sent: AtomicUsize::new(0),
        },
        (None, true) => Expects::Status,
        (None, false) => Expects::Recommendations,
    };
    // A server that falls behind the rate is given as long again.
    let patience = if arguments.events_key.is_some() { 2 } else { 1 };
    let target = Arc::new(Target {
        address,
        requests,
        k: arguments.k,
        expects,
        compare: !arguments.no_compare,
        until: started + Duration::from_secs(arguments.seconds) * patience,
    });
    let findings = Arc::new(Mutex::new(Findings::default()));
    let connections: Vec<_> = (0..usize::from(arguments.connections))
        .map(|lane| tokio::spawn(drive(target.clone(), findings.clone(), lane * 7919)))
        .collect();
    for connection in connections {
        connection.await?;
    }
    let seconds = started.elapsed().as_secs_f64();
    let mut findings = findings.lock().map_err(|_| anyhow::anyhow!("a connection panicked"))?;
    findings.micros.sort_unstable();
    let answered = findings.micros.len();
    ensure!(answered > 0 || !findings.failures.is_empty(), "no request was sent");
    let quantile = |q: f64| {
        findings.micros.get(((answered as f64 * q) as usize).min(answered.saturating_sub(1)))
    };
    let failed: u64 = findings.failures.values().sum();
    println!(
        "{}",
        serde_json::json!({
            "connections": arguments.connections, "seconds": seconds, "answers": answered,
            "requests_per_second": answered as f64 / seconds,
            "events_per_second": findings.events as f64 / seconds,
            "p50_us": quantile(0.5), "p90_us": quantile(0.9), "p99_us": quantile(0.99), "max_us": findings.micros.last(),
            "failed": failed, "failures": findings.failures, "versions": findings.versions, "fallbacks": findings.fallbacks, "warnings": findings.warnings,
        })
    );
    if failed > 0 {
        bail!("{failed} requests failed");
    }
    Ok(())
}

/// The bytes of requests that hold [`EVENTS`] events of random visitors and articles each.
fn events(arguments: &Arguments, key: &str, host: &str, path: &str) -> Vec<Vec<u8>> {
    /// With the share of events up to it, in percent.
    const TYPES: [(&str, u32); 5] =
        [("view", 50), ("click", 65), ("impression", 90), ("cart_add", 97), ("purchase", 100)];
    let mut rng = rand::rng();
    let mut event = || {
        let drawn = rng.random_range(0..100);
        let kind = TYPES.iter().find(|(_, up_to)| drawn < *up_to);
        serde_json::json!({
            "event_id": format!("{:032x}", rng.random::<u128>()),
            "type": kind.map_or("view", |(kind, _)| kind),
            "visitor_id": format!("v{}", rng.random_range(0..50_000)),
            "items": [{"article_id": rng.random_range(0..10_000).to_string()}],
        })
    };
    let requests = arguments.seconds * u64::from(arguments.rate / EVENTS);
    let mut request = || {
        let events: Vec<_> = (0..EVENTS).map(|_| event()).collect();
        let body = serde_json::json!({ "events": events }).to_string();
        let length = body.len();
        format!(
            "POST /{path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    };
    (0..requests).map(|_| request()).collect()
}

/// The bytes of one request per customer, or of the one that is sent again and again.
fn requests(arguments: &Arguments, host: &str, path: &str) -> anyhow::Result<Vec<Vec<u8>>> {
    let Some(customers) = &arguments.customers else {
        return Ok(vec![format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\n\r\n").into_bytes()]);
    };
    let extra: serde_json::Map<String, serde_json::Value> = arguments
        .extra
        .as_deref()
        .map_or(Ok(serde_json::Map::new()), serde_json::from_str)
        .context("--extra")?;
    let text = std::fs::read_to_string(customers).context("--customers")?;
    let ids = text
        .lines()
        .map(|line| line.split(',').next().unwrap_or(""))
        .filter(|id| !id.is_empty() && *id != "customer_id");
    let requests: Vec<Vec<u8>> = ids
        .take(100_000)
        .map(|id| {
            let mut body = serde_json::json!({"customer_id": id, "k": arguments.k, "at": arguments.at});
            if let Some(object) = body.as_object_mut() {
                object.extend(extra.clone());
            }
            let body = body.to_string();
            let length = body.len();
            format!("POST /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
                .into_bytes()
        })
        .collect();
    ensure!(!requests.is_empty(), "{} holds no customer id", customers.display());
    Ok(requests)
}

async fn drive(target: Arc<Target>, findings: Arc<Mutex<Findings>>, mut next: usize) {
    let mut connection: Option<TcpStream> = None;
    let mut buffer = Vec::with_capacity(16 * 1024);
    while let Some(request) = target.next(&mut next).await {
        let started = Instant::now();
        let outcome = exchange(&target, &mut connection, request, &mut buffer).await;
        let micros = started.elapsed().as_micros() as u32;
        let failed = {
            let Ok(mut findings) = findings.lock() else { return };
            let judged =
                outcome.and_then(|body| judge(&target, &mut findings, request, &buffer[body..]));
            match &judged {
                Ok(()) => findings.micros.push(micros),
                Err(problem) => *findings.failures.entry(format!("{problem:#}")).or_default() += 1,
            }
            judged.is_err()
        };
        if failed {
            connection = None;
            // A refused connection must not turn into a busy loop.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// Sends one request and reads its answer into `buffer`; answers where the body begins.
async fn exchange(
    target: &Target,
    connection: &mut Option<TcpStream>,
    request: usize,
    buffer: &mut Vec<u8>,
) -> anyhow::Result<usize> {
    if connection.is_none() {
        let stream = TcpStream::connect(target.address).await.context("connect")?;
        stream.set_nodelay(true)?;
        *connection = Some(stream);
    }
    let Some(stream) = connection.as_mut() else { bail!("no connection") };
    stream.write_all(&target.requests[request]).await.context("send")?;
    buffer.clear();
    let (body, length) = loop {
        ensure!(
            stream.read_buf(buffer).await.context("receive")? > 0,
            "the server closed the connection"
        );
        if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = std::str::from_utf8(&buffer[..end])?.to_ascii_lowercase();
            let status = head.split_whitespace().nth(1).unwrap_or("?").to_owned();
            let length = head
                .lines()
                .find_map(|l| l.strip_prefix("content-length:"))
                .context("no content-length")?;
            let length: usize = length.trim().parse()?;
            ensure!(status == target.status(), "status {status}");
            break (end + 4, length);
        }
    };
    while buffer.len() < body + length {
        ensure!(
            stream.read_buf(buffer).await.context("receive")? > 0,
            "the server cut the answer short"
        );
    }
    Ok(body)
}

fn judge(
    target: &Target,
    findings: &mut Findings,
    request: usize,
    body: &[u8],
) -> anyhow::Result<()> {
    match target.expects {
        Expects::Recommendations => {}
        Expects::Status => return Ok(()),
        Expects::Events { .. } => {
            let told: Told =
                serde_json::from_slice(body).context("the answer is none to events")?;
            findings.events += told.accepted;
            ensure!(told.accepted == u64::from(EVENTS), "{} events accepted", told.accepted);
            return Ok(());
        }
    }
    let answer: Answer<'_> =
        serde_json::from_slice(body).context("the answer is no recommendation")?;
    ensure!(answer.items.len() == target.k, "{} items instead of {}", answer.items.len(), target.k);
    findings.fallbacks += u64::from(answer.meta.fallback.is_some());
    for warning in &answer.meta.warnings {
        *findings.warnings.entry(warning.clone()).or_default() += 1;
    }
    let version = answer.meta.model.version;
    match findings.versions.get_mut(&*version) {
        Some(answers) => *answers += 1,
        None => drop(findings.versions.insert(version.clone().into_owned(), 1)),
    }
    // A degraded answer (the database away or slow) may differ; it says so.
    if target.compare && answer.meta.warnings.is_empty() {
        let mut hasher = DefaultHasher::new();
        answer.items.iter().for_each(|item| item.article_id.hash(&mut hasher));
        let hash = hasher.finish();
        let first = *findings.seen.entry((version.into_owned(), request)).or_insert(hash);
        ensure!(first == hash, "two answers of one version to one request differ");
    }
    Ok(())
}
