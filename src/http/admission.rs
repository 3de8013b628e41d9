//! What a request needs before its handler runs: a key where one is wanted, then its body, read
//! under limits of its own, then a permit.
//!
//! Nobody without the key gets a body read. The body comes before the permit, so that a client that
//! sends slowly holds a little memory and no permit.

use super::{
    ApiError, ErrorCode,
    access::Access,
    access_log::BODY_STAGE,
    around::{Around, Middleware, answer_of},
    connection::{Connection, Phase},
};
use crate::serving::{Config, Overload, stages};
use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    response::{IntoResponse, Response},
    routing::Route,
};
use futures_util::StreamExt;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Lets requests pass to their handlers, or answers why not.
pub(super) struct Gate {
    access: Option<Access>,
    admission: Arc<Admission>,
}

/// The limits of one listener.
pub(super) struct Admission {
    bodies: Bodies,
    /// Requests under `/v1/` in progress; health checks and the documentation are not counted.
    permits: Arc<Semaphore>,
    timeout: Duration,
    /// What was begun is finished, whatever becomes of its client.
    finishes: bool,
}

/// How request bodies are read.
struct Bodies {
    limit: usize,
    timeout: Duration,
    /// Bytes of large bodies that may be in memory.
    memory: Arc<Semaphore>,
}

/// A body up to this size needs no share of the memory of bodies: while large ones fill it,
/// ordinary requests go on.
const SMALL_BODY: usize = 16 << 10;

impl Gate {
    /// For routes that may want a key.
    pub(super) fn with_key(access: Access, admission: Arc<Admission>) -> Around<Self> {
        Around::new(Self { access: Some(access), admission })
    }

    /// For routes that anybody may ask.
    pub(super) fn open(admission: Arc<Admission>) -> Around<Self> {
        Around::new(Self { access: None, admission })
    }
}

impl Middleware for Gate {
    async fn handle(self: Arc<Self>, mut request: Request, route: Route) -> Response {
        if let Some(access) = &self.access
            && let Err(refusal) = access.check(&mut request)
        {
            return refusal.into_response();
        }
        self.admission.run(request, route).await.unwrap_or_else(IntoResponse::into_response)
    }
}

impl Admission {
    /// For the shop's requests.
    pub(super) fn public(config: &Config) -> Self {
        Self {
            bodies: Bodies::new(config, config.http.body_limit),
            permits: Arc::new(Semaphore::new(config.limits.concurrent_requests)),
            timeout: config.http.request_timeout,
            finishes: false,
        }
    }

    /// For the operator's: an activation or an import of articles may take minutes.
    pub(super) fn admin(config: &Config) -> Self {
        Self {
            bodies: Bodies::new(config, config.admin.body_limit),
            permits: Arc::new(Semaphore::new(config.admin.connections)),
            timeout: config.admin.request_timeout,
            finishes: true,
        }
    }

    /// Reads the body, takes a permit and runs the handler within its time.
    async fn run(&self, request: Request, route: Route) -> Result<Response, ApiError> {
        let (request, memory) = self.bodies.read(request).await?;
        let limited = self.finishes || request.uri().path().starts_with("/v1/");
        let permit = match limited {
            true => Some(self.permits.clone().try_acquire_owned().map_err(|_| Overload::REQUESTS)?),
            false => None,
        };
        let work = async move {
            let _held = (memory, permit);
            answer_of(route, request).await
        };
        if self.finishes {
            let running = tokio::time::timeout(self.timeout, tokio::spawn(work)).await;
            let finished = running.map_err(|_| self.still_running())?;
            return finished
                .map_err(|error| ApiError::internal(format!("a handler panicked: {error}")));
        }
        tokio::time::timeout(self.timeout, work).await.map_err(|_| {
            let detail = format!("no answer within {} ms; try again", self.timeout.as_millis());
            ApiError::new(ErrorCode::Timeout, detail)
        })
    }

    fn still_running(&self) -> ApiError {
        let waited = self.timeout.as_millis();
        let detail = format!(
            "the work is not finished after {waited} ms (`admin.request_timeout_ms`) and goes on; \
             GET /admin/v1/status shows what is served"
        );
        ApiError::new(ErrorCode::StillRunning, detail)
    }
}

impl Bodies {
    fn new(config: &Config, limit: usize) -> Self {
        let memory = config.limits.body_memory.max(limit).min(Semaphore::MAX_PERMITS);
        Self { limit, timeout: config.http.body_timeout, memory: Arc::new(Semaphore::new(memory)) }
    }

    /// The request with its whole body, and the memory that it holds.
    async fn read(
        &self,
        request: Request,
    ) -> Result<(Request, Option<OwnedSemaphorePermit>), ApiError> {
        if request.body().is_end_stream() {
            return Ok((request, None));
        }
        let started = Instant::now();
        let (parts, body) = request.into_parts();
        if body.size_hint().lower() > self.limit as u64 {
            return Err(self.too_large());
        }
        let connection = parts.extensions.get::<Arc<Connection>>();
        let enter = |phase| connection.inspect(|connection| connection.enter(phase));
        enter(Phase::Body);
        let read = tokio::time::timeout(self.timeout, self.collect(body)).await;
        enter(Phase::Working);
        stages::note(BODY_STAGE, started);
        let (bytes, memory) = read.map_err(|_| {
            let detail = format!("the body did not arrive within {} ms", self.timeout.as_millis());
            ApiError::new(ErrorCode::RequestTimeout, detail)
        })??;
        Ok((Request::from_parts(parts, Body::from(bytes)), memory))
    }

    async fn collect(&self, body: Body) -> Result<(Bytes, Option<OwnedSemaphorePermit>), ApiError> {
        let mut pieces = body.into_data_stream();
        let broken = |_| {
            ApiError::invalid(
                "the body ends before its declared length or is not encoded as declared",
            )
        };
        let Some(first) = pieces.next().await.transpose().map_err(broken)? else {
            return Ok((Bytes::new(), None));
        };
        let mut memory = self.share(0, None, first.len())?;
        let Some(mut piece) = pieces.next().await.transpose().map_err(broken)? else {
            return Ok((first, memory));
        };
        let mut whole = Vec::from(first);
        loop {
            memory = self.share(whole.len(), memory, piece.len())?;
            whole.extend_from_slice(&piece);
            match pieces.next().await.transpose().map_err(broken)? {
                Some(next) => piece = next,
                None => return Ok((whole.into(), memory)),
            }
        }
    }

    /// Grows the share of a body that has `before` bytes.
    fn share(
        &self,
        before: usize,
        held: Option<OwnedSemaphorePermit>,
        more: usize,
    ) -> Result<Option<OwnedSemaphorePermit>, ApiError> {
        let after = before + more;
        if after > self.limit {
            return Err(self.too_large());
        }
        let large = |bytes: usize| bytes.saturating_sub(SMALL_BODY);
        let wanted = u32::try_from(large(after) - large(before)).unwrap_or(u32::MAX);
        if wanted == 0 {
            return Ok(held);
        }
        let more =
            self.memory.clone().try_acquire_many_owned(wanted).map_err(|_| Overload::BODIES)?;
        Ok(Some(match held {
            Some(mut held) => {
                held.merge(more);
                held
            }
            None => more,
        }))
    }

    fn too_large(&self) -> ApiError {
        let detail = format!("the body is larger than {} bytes; send less at a time", self.limit);
        ApiError::new(ErrorCode::BodyTooLarge, detail)
    }
}
