//! One list for each of many customers, as campaigns need them.

use super::{
    ApiError, App, Problem,
    answer::{RecommendationResponse, columns, json, response},
    ask::BatchRequest,
    edge::Context,
    extract::JsonBody,
};
use crate::{
    domain::CustomerId,
    recommend::Request,
    serving::{Answered, Caller},
};
use axum::{Extension, extract::State, response::Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

const BATCH: &str = "/v1/recommendations/batch";

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(recommend_batch))
}

/// One answer or problem for each customer, in the order of the request.
#[derive(Serialize, ToSchema)]
struct BatchResponse<'a> {
    results: Vec<BatchResult<'a>>,
}

/// Either an answer or a problem.
#[derive(Serialize, ToSchema)]
struct BatchResult<'a> {
    customer_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    answer: Option<RecommendationResponse<'a>>,
    /// Why this customer has no answer; the others have theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    problem: Option<Problem<'a>>,
}

/// Recommend articles to many customers
#[utoipa::path(
    post, path = "/v1/recommendations/batch", tag = "recommendations", request_body = BatchRequest,
    responses((status = 200, description = "One answer or problem for each customer", body = BatchResponse))
)]
async fn recommend_batch(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    Extension(caller): Extension<Caller>,
    JsonBody(body): JsonBody<BatchRequest>,
) -> Result<Response, ApiError> {
    let (shared, names, fields) = body.into_requests()?;
    let shared = Request { tell_purchases: app.service().may_tell_purchases(&caller), ..shared };
    let results = answer_each(&app, shared, &names).await?;
    // All answers are of one snapshot; without any the fields are only checked.
    let columns = match results.iter().find_map(|result| result.as_ref().ok()) {
        Some(answered) => columns(answered.snapshot.catalogue(), &fields)?,
        None => columns(app.service().state().catalogue()?, &fields)?,
    };
    let results = names.iter().zip(&results).map(|(name, result)| BatchResult {
        customer_id: name,
        answer: result.as_ref().ok().map(|answered| response(answered, &columns, &context)),
        problem: result.as_ref().err().map(|error| error.problem(context.request_id())),
    });
    json(&BatchResponse { results: results.collect() })
}

/// The answers for those names that are ids, and why the others are none.
async fn answer_each(
    app: &App,
    shared: Request,
    names: &[String],
) -> Result<Vec<Result<Answered, ApiError>>, ApiError> {
    let ids: Vec<_> = names.iter().map(|name| CustomerId::parse(name)).collect();
    let good = ids.iter().filter_map(|id| id.as_ref().ok().cloned()).collect();
    let mut answers = app.service().recommend_batch(BATCH, shared, good).await?.into_iter();
    let results = ids.into_iter().map(|id| match id {
        Ok(_) => match answers.next() {
            Some(answer) => answer.map_err(ApiError::from),
            None => Err(ApiError::internal("a batch has fewer answers than customers")),
        },
        Err(error) => Err(ApiError::invalid(error.to_string())),
    });
    Ok(results.collect())
}
