//! Articles for a customer or guest, and what sells best.

use super::{
    ApiError, App,
    answer::{RecommendationResponse, render, render_tagged},
    ask::{CustomerParams, PopularParams, RecommendationRequest},
    conditional::revalidate,
    edge::Context,
    extract::{JsonBody, Params, PathVariable},
    schema::Id,
};
use crate::{domain::CustomerId, recommend::Request, serving::Caller};
use axum::{Extension, extract::State, middleware, response::Response};
use utoipa_axum::{router::OpenApiRouter, routes};

/// What events of these answers are attributed to, whichever method asked for them.
pub(super) const RECOMMENDATIONS: &str = "/v1/recommendations";

pub(super) fn routes() -> OpenApiRouter<App> {
    let tagged = OpenApiRouter::new()
        .routes(routes!(list_popular))
        .route_layer(middleware::from_fn(revalidate));
    tagged.routes(routes!(recommend)).routes(routes!(recommend_to_customer))
}

/// Recommend articles to a customer or guest
#[utoipa::path(
    post, path = "/v1/recommendations", tag = "recommendations", request_body = RecommendationRequest,
    responses((status = 200, description = "Ranked articles", body = RecommendationResponse))
)]
async fn recommend(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    Extension(caller): Extension<Caller>,
    JsonBody(body): JsonBody<RecommendationRequest>,
) -> Result<Response, ApiError> {
    let (request, fields) = body.into_request()?;
    let request = Request { tell_purchases: app.service().may_tell_purchases(&caller), ..request };
    let answered = app.service().recommend(RECOMMENDATIONS, request).await?;
    render(&answered, &fields, &context)
}

/// Recommend articles to a customer
#[utoipa::path(
    get, path = "/v1/customers/{id}/recommendations", tag = "recommendations",
    params(("id" = Id, Path, description = "The customer's id"), CustomerParams),
    responses((status = 200, description = "Ranked articles", body = RecommendationResponse))
)]
async fn recommend_to_customer(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    Extension(caller): Extension<Caller>,
    PathVariable(id): PathVariable<CustomerId>,
    Params(params): Params<CustomerParams>,
) -> Result<Response, ApiError> {
    let (request, fields) = params.into_request(id)?;
    let request = Request { tell_purchases: app.service().may_tell_purchases(&caller), ..request };
    let answered = app.service().recommend(RECOMMENDATIONS, request).await?;
    render(&answered, &fields, &context)
}

/// What sells best
#[utoipa::path(
    get, path = "/v1/popular", tag = "recommendations", params(PopularParams),
    responses(
        (status = 200, description = "Articles by falling sales", body = RecommendationResponse, headers(("ETag" = String))),
        (status = 304, description = "The list is still what `If-None-Match` names"),
    )
)]
async fn list_popular(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    Params(params): Params<PopularParams>,
) -> Result<Response, ApiError> {
    let (request, fields) = params.into_request()?;
    let answered = app.service().recommend("/v1/popular", request).await?;
    render_tagged(&answered, &fields, &context)
}
