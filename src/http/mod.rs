//! The REST surface: router, extractors, errors, one file a resource. Knows no training.
//!
//! Two routers: [`public`] for the shop, [`admin`] for the operator, on listeners of their own. Routes and the OpenAPI
//! document come from the same declarations, so they cannot diverge.

mod access_log;
mod admin;
mod admission;
mod answer;
mod articles;
mod connection;
mod docs;
mod edge;
mod error;
mod extract;
mod health;
mod listener;
mod recommendations;
mod server;
mod transport;

pub use error::{ApiError, ErrorCode, Problem};
pub use listener::Listeners;
pub use server::Server;

use crate::serving::{Config, ServeError, Service};
use admission::{Admission, admit};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Method, header},
    middleware,
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
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::router::OpenApiRouter;

/// What handlers share.
#[derive(Clone)]
pub struct App(Arc<Shared>);

struct Shared {
    service: Arc<Service>,
    draining: AtomicBool,
}

impl App {
    pub fn new(service: Arc<Service>) -> Self {
        Self(Arc::new(Shared { service, draining: false.into() }))
    }

    pub(crate) fn service(&self) -> &Arc<Service> {
        &self.0.service
    }

    /// From now on `/readyz` fails, so that no new traffic comes.
    pub(crate) fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }
}

/// The description around the paths, which come from the handlers.
#[derive(OpenApi)]
#[openapi(
    info(title = "Vitrine", description = "Recommendations for webshops. Every error is an RFC 9457 problem document."),
    components(schemas(Problem)),
    modifiers(&AdminKey),
    tags(
        (name = "recommendations", description = "What to show to whom"),
        (name = "articles", description = "The catalogue as it is served"),
        (name = "health", description = "For load balancers"),
        (name = "admin", description = "On the admin listener, with the admin key"),
    )
)]
struct Description;

struct AdminKey;

impl Modify for AdminKey {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("The admin key")).build();
        components.add_security_scheme("admin_key", SecurityScheme::Http(bearer));
    }
}

fn public_routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Description::openapi())
        .merge(recommendations::routes())
        .merge(articles::routes())
        .merge(health::routes())
}

/// The OpenAPI document of both listeners.
pub fn openapi() -> utoipa::openapi::OpenApi {
    public_routes().merge(admin::routes()).into_openapi()
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
    let (router, _) = public_routes().split_for_parts();
    let router = router
        .merge(docs::routes(openapi_yaml()?))
        .fallback(edge::not_found)
        .method_not_allowed_fallback(edge::method_not_allowed)
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(Arc::new(Admission::public(config)), admit));
    let router = edge::around(router, app, config);
    let router = router.layer(CompressionLayer::new().compress_when(SizeAbove::new(config.http.compress_above)));
    Ok(match cors(&config.http.cors_origins) {
        Some(cors) => router.layer(cors),
        None => router,
    }
    .with_state(app.clone()))
}

/// The router of the admin listener; every path needs the key.
pub fn admin(app: &App, config: &Config, key: crate::serving::Secret) -> Router {
    let (router, _) = admin::routes().split_for_parts();
    let router = router
        .fallback(edge::not_found)
        .method_not_allowed_fallback(edge::method_not_allowed)
        .layer(DefaultBodyLimit::disable())
        // Inside of the key: nobody without it gets a body read.
        .layer(middleware::from_fn_with_state(Arc::new(Admission::admin(config)), admit))
        .layer(middleware::from_fn_with_state(Arc::new(key), admin::require_key));
    edge::around(router, app, config).with_state(app.clone())
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
