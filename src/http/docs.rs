//! The description of the API and a page to try it; works without the internet.

use super::{App, conditional::revalidate};
use axum::{Router, http::header, middleware, routing::get};
use std::sync::Arc;
use utoipa_swagger_ui::{Config, SwaggerUi};

const DOCUMENT: &str = "/openapi.yaml";

pub(super) fn routes(document: String) -> Router<App> {
    let document: Arc<str> = document.into();
    let serve =
        move || async move { ([(header::CONTENT_TYPE, "application/yaml")], document.to_string()) };
    Router::new()
        .route(DOCUMENT, get(serve))
        .merge(SwaggerUi::new("/docs").config(Config::from(DOCUMENT)))
        .route_layer(middleware::from_fn(revalidate))
}
