//! Traces of requests, sent to an OpenTelemetry collector by OTLP over HTTP (protobuf). A thread of
//! its own sends them: no request waits for the collector, and one that is away costs traces only.

mod otlp;

use super::{TelemetryConfig, stages::Stage};
use otlp::{
    ExportTraceServiceRequest, KIND_INTERNAL, KIND_SERVER, KeyValue, Resource, ResourceSpans,
    STATUS_ERROR, Scope, ScopeSpans, Span, Status,
};
use prost::Message as _;
use std::{
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Sends the traces of a sample of the requests.
pub struct Tracer {
    sender: SyncSender<Message>,
    /// One request of so many, besides those whose caller traces them.
    one_in: Option<u64>,
    seen: AtomicU64,
}

/// The trace that a request belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace: [u8; 16],
    /// The caller's span.
    parent: Option<[u8; 8]>,
}

/// A request that is answered.
pub struct Traced<'a> {
    pub request_id: &'a str,
    pub method: &'a str,
    pub route: &'a str,
    pub status: u16,
    pub started: Instant,
    pub stages: &'a [Stage],
}

enum Message {
    Spans(Vec<Span>),
    /// Everything before it is to be sent now; the sender goes when it is.
    Flush(SyncSender<()>),
}

/// Requests whose traces wait to be sent; those that do not fit are lost.
const QUEUE: usize = 4_096;

/// Spans and time after which a batch is sent.
const BATCH_SPANS: usize = 512;
const BATCH_TIME: Duration = Duration::from_secs(1);

const SEND_TIMEOUT: Duration = Duration::from_secs(5);

impl Tracer {
    /// `None` without a collector in the configuration.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn new(config: &TelemetryConfig) -> std::io::Result<Option<Self>> {
        let Some(endpoint) = config.endpoint.clone() else { return Ok(None) };
        let (sender, receiver) = sync_channel(QUEUE);
        let exporter = Exporter::new(endpoint, config.service_name.clone());
        std::thread::Builder::new().name("traces".into()).spawn(move || exporter.run(&receiver))?;
        let one_in = (config.sample > 0.0).then(|| (1.0 / config.sample).round() as u64);
        Ok(Some(Self { sender, one_in, seen: AtomicU64::new(0) }))
    }

    /// The trace of a request, if it is to be traced: the caller decides by `traceparent` (W3C
    /// Trace Context), else the sample does.
    pub fn begin(&self, traceparent: Option<&str>) -> Option<TraceContext> {
        if let Some((context, sampled)) = traceparent.and_then(TraceContext::parse) {
            return sampled.then_some(context);
        }
        let seen = self.seen.fetch_add(1, Ordering::Relaxed);
        let sampled = self.one_in.is_some_and(|one_in| seen.is_multiple_of(one_in));
        // A version 7 UUID ends in 62 random bits, as ids of traces should.
        sampled.then(|| TraceContext { trace: uuid::Uuid::now_v7().into_bytes(), parent: None })
    }

    /// The request is answered.
    pub fn end(&self, context: &TraceContext, request: &Traced<'_>) {
        // Lost where the collector is away or slow, and the queue full.
        let _ = self.sender.try_send(Message::Spans(context.spans(request)));
    }

    /// Sends what was recorded so far; waits for it a while.
    pub fn flush(&self) {
        let (sent, done) = sync_channel(1);
        if self.sender.try_send(Message::Flush(sent)).is_ok() {
            let _ = done.recv_timeout(SEND_TIMEOUT);
        }
    }
}

impl TraceContext {
    /// Of `00-<trace>-<parent>-<flags>`, and whether the caller records it.
    fn parse(text: &str) -> Option<(Self, bool)> {
        let mut parts = text.split('-');
        let (version, trace, parent, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let (trace, parent) = (bytes::<16>(trace)?, bytes::<8>(parent)?);
        let [flags] = bytes::<1>(flags)?;
        if version == "ff" || bytes::<1>(version).is_none() || trace == [0; 16] || parent == [0; 8]
        {
            return None;
        }
        Some((Self { trace, parent: Some(parent) }, flags & 1 == 1))
    }

    fn spans(&self, request: &Traced<'_>) -> Vec<Span> {
        let clock = Clock::now();
        let root = new_span_id();
        let mut spans = vec![Span {
            trace_id: self.trace.to_vec(),
            span_id: root.clone(),
            parent_span_id: self.parent.map_or(Vec::new(), |parent| parent.to_vec()),
            name: format!("{} {}", request.method, request.route),
            kind: KIND_SERVER,
            start_time_unix_nano: clock.of(request.started),
            end_time_unix_nano: clock.unix,
            attributes: vec![
                KeyValue::text("http.request.method", request.method),
                KeyValue::text("http.route", request.route),
                KeyValue::number("http.response.status_code", request.status.into()),
                KeyValue::text("vitrine.request_id", request.request_id),
            ],
            status: (request.status >= 500).then_some(Status { code: STATUS_ERROR }),
        }];
        spans.extend(request.stages.iter().map(|stage| Span {
            trace_id: self.trace.to_vec(),
            span_id: new_span_id(),
            parent_span_id: root.clone(),
            name: stage.name.into(),
            kind: KIND_INTERNAL,
            start_time_unix_nano: clock.of(stage.started),
            end_time_unix_nano: clock.of(stage.started + stage.took),
            attributes: Vec::new(),
            status: None,
        }));
        spans
    }
}

fn new_span_id() -> Vec<u8> {
    uuid::Uuid::now_v7().as_bytes()[8..].to_vec()
}

/// Lower-case hexadecimal digits, exactly as many as there are to be.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    let known = |digit: &u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(digit);
    if digits.len() != 2 * N || !digits.iter().all(known) {
        return None;
    }
    let mut bytes = [0; N];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(bytes)
}

/// One moment by both clocks.
struct Clock {
    instant: Instant,
    /// Nanoseconds since 1970.
    unix: u64,
}

impl Clock {
    fn now() -> Self {
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |passed| passed.as_nanos() as u64);
        Self { instant: Instant::now(), unix }
    }

    fn of(&self, instant: Instant) -> u64 {
        self.unix.saturating_sub(self.instant.saturating_duration_since(instant).as_nanos() as u64)
    }
}

/// Batches spans and sends them.
struct Exporter {
    url: String,
    agent: ureq::Agent,
    resource: Resource,
}

impl Exporter {
    fn new(url: String, service_name: String) -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(SEND_TIMEOUT)).build();
        let attributes = vec![
            KeyValue::text("service.name", service_name),
            KeyValue::text("service.version", env!("CARGO_PKG_VERSION")),
        ];
        Self { url, agent: config.into(), resource: Resource { attributes } }
    }

    /// Until the tracer is gone.
    fn run(&self, receiver: &Receiver<Message>) {
        let mut failing = false;
        loop {
            let (spans, flushes, ended) = collect(receiver);
            if !spans.is_empty() {
                let sent = self.send(spans);
                match &sent {
                    Err(error) if !failing => tracing::warn!(%error, "traces cannot be sent"),
                    Ok(()) if failing => tracing::info!("traces are sent again"),
                    _ => {}
                }
                failing = sent.is_err();
            }
            for flush in flushes {
                // Whoever asked may have gone.
                let _ = flush.send(());
            }
            if ended {
                return;
            }
        }
    }

    fn send(&self, spans: Vec<Span>) -> Result<(), ureq::Error> {
        let scope =
            Some(Scope { name: "vitrine".into(), version: env!("CARGO_PKG_VERSION").into() });
        let resource_spans = vec![ResourceSpans {
            resource: Some(self.resource.clone()),
            scope_spans: vec![ScopeSpans { scope, spans }],
        }];
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        self.agent
            .post(&self.url)
            .header("content-type", "application/x-protobuf")
            .send(&body[..])
            .map(drop)
    }
}

/// The next batch, who waits for it, and whether it is the last.
fn collect(receiver: &Receiver<Message>) -> (Vec<Span>, Vec<SyncSender<()>>, bool) {
    let mut spans = Vec::new();
    let until = Instant::now() + BATCH_TIME;
    while spans.len() < BATCH_SPANS {
        match receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Message::Spans(more)) => spans.extend(more),
            Ok(Message::Flush(flush)) => return (spans, vec![flush], false),
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => return (spans, Vec::new(), true),
        }
    }
    (spans, Vec::new(), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_trace_goes_on() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let (context, sampled) = TraceContext::parse(text).unwrap();
        assert!(sampled);
        assert_eq!((context.trace[0], context.parent.unwrap()[7]), (0x0a, 0x31));
        assert!(!TraceContext::parse(&text.replace("-01", "-00")).unwrap().1);
        for broken in [
            "",
            "00",
            "00-é",
            &text[..40],
            &text.replace("0af", "0AF"),
            &text.replace("00-", "ff-"),
        ] {
            assert_eq!(TraceContext::parse(broken), None, "{broken}");
        }
    }
}
