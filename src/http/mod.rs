//! The REST surface: router, extractors, errors, one file a resource. Knows no training.
//!
//! Two routers: [`public`] for the shop, [`admin`] for the operator, on listeners of their own.
//! Routes and the OpenAPI document come from the same declarations, so they cannot diverge.

mod access;
mod access_log;
mod admin;
mod admission;
mod answer;
mod around;
mod articles;
mod ask;
mod batch;
mod conditional;
mod connection;
mod docs;
mod edge;
mod error;
mod events;
mod extract;
mod health;
mod listener;
mod placement_schema;
mod placements;
mod recommendations;
mod schema;
mod server;
mod snippet;
mod spec;
mod transport;

pub use error::{ApiError, ErrorCode, Problem};
pub use listener::Listeners;
pub use server::Server;

use crate::serving::{Config, RateLimits, ServeError, Service};
use access::Access;
use admission::{Admission, Gate};
use axum::{
    Router,
    http::{Method, header},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tower_http::{
    compression::{CompressionLayer, predicate::SizeAbove},
    cors::{AllowHeaders, AllowOrigin, Any, CorsLayer},
};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

/// What handlers share.
#[derive(Clone)]
pub struct App(Arc<Shared>);

struct Shared {
    service: Arc<Service>,
    /// Of events, which count apart from requests.
    event_limits: RateLimits,
    draining: AtomicBool,
}

impl App {
    pub fn new(service: Arc<Service>) -> Self {
        Self(Arc::new(Shared {
            service,
            event_limits: RateLimits::default(),
            draining: false.into(),
        }))
    }

    pub(crate) fn service(&self) -> &Arc<Service> {
        &self.0.service
    }

    fn event_limits(&self) -> &RateLimits {
        &self.0.event_limits
    }

    /// From now on `/readyz` fails, so that no new traffic comes.
    pub(crate) fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }
}

/// The routes that may want a key.
fn asked_routes() -> OpenApiRouter<App> {
    let lists = recommendations::routes().merge(placements::routes()).merge(batch::routes());
    lists.merge(articles::routes()).merge(events::routes())
}

fn public_routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(spec::Description::openapi())
        .merge(asked_routes())
        .merge(health::routes())
}

/// The OpenAPI document of both listeners.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = public_routes().merge(admin::routes()).into_openapi();
    spec::complete(&mut document);
    document
}

/// The OpenAPI document as it is served and committed.
///
/// # Errors
/// Never for the document of this program.
pub fn openapi_yaml() -> Result<String, ServeError> {
    openapi().to_yaml().map_err(|error| ServeError::Internal(error.to_string()))
}

/// The path patterns of all routes: those get metrics of their own.
pub fn route_patterns() -> Vec<&'static str> {
    // A handful of texts that live as long as the process.
    openapi().paths.paths.into_keys().map(|path| &*path.leak()).collect()
}

/// The router of the public listener.
///
/// # Errors
/// Never for the document of this program.
pub fn public(app: &App, config: &Config) -> Result<Router, ServeError> {
    let admission = Arc::new(Admission::public(config));
    let (asked, _) = asked_routes().split_for_parts();
    let asked = asked.route_layer(Gate::with_key(Access::public(app, config), admission.clone()));
    let (health, _) = health::routes().split_for_parts();
    let others = health
        .merge(docs::routes(openapi_yaml()?))
        .merge(snippet::routes())
        .fallback(edge::not_found);
    let router = asked.merge(others.layer(Gate::open(admission)));
    let router = router.method_not_allowed_fallback(edge::method_not_allowed);
    let compression =
        CompressionLayer::new().compress_when(SizeAbove::new(config.http.compress_above));
    // One layer of two: a router boxes and clones each layer that it is given.
    let router = router.layer((compression, edge::around(app, config)));
    Ok(match cors(&config.http.cors_origins) {
        Some(cors) => router.layer(cors),
        None => router,
    }
    .with_state(app.clone()))
}

/// The router of the admin listener; every path needs the key.
pub fn admin(app: &App, config: &Config, key: crate::serving::Secret) -> Router {
    let (router, _) = admin::routes().split_for_parts();
    let gate = Gate::with_key(Access::admin(app, config, key), Arc::new(Admission::admin(config)));
    router
        .fallback(edge::not_found)
        .method_not_allowed_fallback(edge::method_not_allowed)
        .layer(gate)
        .layer(edge::around(app, config))
        .with_state(app.clone())
}

/// How long a browser need not ask again; the longest that Chrome accepts.
const PREFLIGHT_AGE: Duration = Duration::from_secs(7_200);

fn cors(origins: &[String]) -> Option<CorsLayer> {
    let allowed = match origins {
        [] => return None,
        origins if origins.iter().any(|origin| origin == "*") => AllowOrigin::from(Any),
        origins => AllowOrigin::list(origins.iter().filter_map(|origin| origin.parse().ok())),
    };
    // What a page may read of an answer besides the few headers that browsers always show.
    let exposed = [edge::REQUEST_ID, header::RETRY_AFTER, header::ETAG];
    let layer = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST])
        // A wildcard does not include `authorization`.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(exposed)
        .max_age(PREFLIGHT_AGE);
    Some(layer)
}
