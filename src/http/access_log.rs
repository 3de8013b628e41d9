//! One line a request, for some of them: a sample, whatever the server failed at, and whatever was
//! slow. Routes, not paths: a path may name a customer.

use super::ErrorCode;
use crate::serving::{LogConfig, stages::Stage};
use axum::http::{Method, StatusCode};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The stage in which a body is read.
pub(super) const BODY_STAGE: &str = "body";

/// Which requests are logged.
pub(super) struct AccessLog {
    /// One of so many; `None` for none.
    one_in: Option<u64>,
    slow: Duration,
    seen: AtomicU64,
}

/// A request that is answered.
pub(super) struct Entry<'a> {
    pub(super) request_id: &'a str,
    pub(super) method: &'a Method,
    pub(super) route: &'a str,
    pub(super) status: StatusCode,
    /// Of a problem.
    pub(super) code: Option<ErrorCode>,
    pub(super) took: Duration,
    pub(super) stages: &'a [Stage],
}

impl AccessLog {
    pub(super) fn new(config: &LogConfig) -> Self {
        let one_in = (config.access > 0.0).then(|| (1.0 / config.access).round() as u64);
        Self { one_in, slow: config.slow, seen: AtomicU64::new(0) }
    }

    pub(super) fn write(&self, entry: &Entry<'_>) {
        let Some(line) = self.line(entry) else { return };
        let Entry { request_id, method, route, status, took, stages, .. } = entry;
        let (status, took_ms) = (status.as_u16(), milliseconds(*took));
        let code = entry.code.map(|code| code.parts().2);
        match line {
            Line::Sampled => {
                tracing::info!(request_id, %method, route, status, code, took_ms, "request")
            }
            Line::Failed => {
                tracing::warn!(request_id, %method, route, status, code, took_ms, "request failed")
            }
            Line::Slow => {
                let stages = described(stages);
                tracing::warn!(request_id, %method, route, status, code, took_ms, stages, "slow request");
            }
        }
    }

    fn line(&self, entry: &Entry<'_>) -> Option<Line> {
        let seen = self.seen.fetch_add(1, Ordering::Relaxed);
        // The server turns requests away faster than a log can be written, and probes ask until it
        // is ready; a metric counts them all.
        let expected = matches!(entry.code, Some(ErrorCode::Overloaded | ErrorCode::NotReady));
        let failed = entry.status.is_server_error() && !expected;
        // A client that sends slowly says nothing of the server.
        let body = entry
            .stages
            .iter()
            .filter(|stage| stage.name == BODY_STAGE)
            .map(|stage| stage.took)
            .sum();
        if entry.took.saturating_sub(body) >= self.slow {
            Some(Line::Slow)
        } else if failed {
            Some(Line::Failed)
        } else {
            self.one_in.filter(|one_in| seen.is_multiple_of(*one_in)).map(|_| Line::Sampled)
        }
    }
}

#[derive(Debug, PartialEq)]
enum Line {
    Sampled,
    Failed,
    Slow,
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// `body 3.2 ms, rank 0.4 ms`
fn described(stages: &[Stage]) -> String {
    let stages =
        stages.iter().map(|stage| format!("{} {} ms", stage.name, milliseconds(stage.took)));
    stages.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serving::Config;
    use std::time::Instant;

    #[test]
    fn a_sample_and_all_failures_and_all_slow_requests_are_logged() {
        let mut config = Config::default().log;
        config.access = 0.25;
        let log = AccessLog::new(&config);
        let body = Duration::from_secs(9);
        let line = |status: u16, code, took: Duration| {
            let took = took + body;
            let status = StatusCode::from_u16(status).unwrap();
            let (request_id, method, route) = ("r", &Method::GET, "/v1/popular");
            let stages = [Stage { name: BODY_STAGE, started: Instant::now(), took: body }];
            log.line(&Entry { request_id, method, route, status, code, took, stages: &stages })
        };
        let quick = Duration::from_millis(1);
        let lines: Vec<_> = (0..8).map(|_| line(200, None, quick)).collect();
        assert_eq!(lines.iter().filter(|line| **line == Some(Line::Sampled)).count(), 2);
        for _ in 0..8 {
            assert_eq!(line(500, Some(ErrorCode::Internal), quick), Some(Line::Failed));
            assert_eq!(line(503, Some(ErrorCode::Timeout), quick), Some(Line::Failed));
            assert_ne!(line(503, Some(ErrorCode::Overloaded), quick), Some(Line::Failed));
            assert_eq!(line(200, None, config.slow), Some(Line::Slow));
        }
        config.access = 0.0;
        let none = AccessLog::new(&config);
        let (method, status, took) = (&Method::GET, StatusCode::OK, quick);
        let entry =
            Entry { request_id: "r", method, route: "/", status, code: None, took, stages: &[] };
        assert!((0..1_000).all(|_| none.line(&entry).is_none()));
    }
}
