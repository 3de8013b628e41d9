//! Articles as they are served, and articles like one.

use super::{
    ApiError, App, ErrorCode,
    answer::{RecommendationResponse, json, render},
    edge::Context,
    extract::{Params, PathVariable},
    recommendations::ListParams,
};
use crate::{
    domain::{ArticleId, Number},
    recommend::{Attributes, Column},
    serving::{CallSubject, IMAGE_URL, PRICE},
};
use axum::{Extension, extract::State, response::Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_article)).routes(routes!(get_similar))
}

/// An article of the catalogue.
#[derive(Serialize, ToSchema)]
struct Article<'a> {
    #[schema(example = "0706016001")]
    article_id: &'a str,
    /// Articles that are not available are never recommended.
    available: bool,
    /// In the shop's currency.
    #[schema(value_type = Option<f64>)]
    price: Option<Number>,
    image_url: Option<&'a str>,
    /// Under the shop's own names; missing ones are left out.
    #[schema(value_type = Object, example = json!({"prod_name": "Jade HW Skinny", "colour_group_name": "Black"}))]
    attributes: Attributes<'a>,
}

/// One article
#[utoipa::path(
    get, path = "/v1/articles/{id}", tag = "articles",
    params(("id" = String, Path, description = "The article's id")),
    responses(
        (status = 200, body = Article),
        (status = "4XX", body = super::Problem, content_type = "application/problem+json", description = "There is no such article"),
        (status = "5XX", body = super::Problem, content_type = "application/problem+json", description = "Try again later"),
    )
)]
async fn get_article(State(app): State<App>, PathVariable(id): PathVariable<ArticleId>) -> Result<Response, ApiError> {
    let state = app.service().state();
    let catalogue = state.catalogue()?;
    let row = catalogue
        .row(id.as_str())
        .ok_or_else(|| ApiError::new(ErrorCode::UnknownArticle, format!("the catalogue has no article `{id}`")))?;
    let column = |name| catalogue.attribute(name).map(|at| catalogue.column(at));
    let others = |(_, column): &(usize, &Column)| column.name != PRICE && column.name != IMAGE_URL;
    let columns: Vec<usize> = catalogue.columns().enumerate().filter(others).map(|(at, _)| at).collect();
    json(&Article {
        article_id: catalogue.id(row),
        available: catalogue.available().contains(row),
        price: column(PRICE).and_then(|column| column.number(row)),
        image_url: column(IMAGE_URL).and_then(|column| column.text(row)),
        attributes: catalogue.attributes(row, &columns),
    })
}

/// Articles like this one
#[utoipa::path(
    get, path = "/v1/articles/{id}/similar", tag = "recommendations",
    params(("id" = String, Path, description = "The article's id"), ListParams),
    responses(
        (status = 200, body = RecommendationResponse),
        (status = "4XX", body = super::Problem, content_type = "application/problem+json", description = "There is no such article, or the request is wrong"),
        (status = "5XX", body = super::Problem, content_type = "application/problem+json", description = "Try again later"),
    )
)]
async fn get_similar(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    PathVariable(id): PathVariable<ArticleId>,
    Params(params): Params<ListParams>,
) -> Result<Response, ApiError> {
    let (call, fields) = params.into_call(CallSubject::Article(id))?;
    let answered = app.service().recommend(call).await?;
    render(&answered, &fields, &context)
}
