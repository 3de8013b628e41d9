//! Articles as they are served, and articles like one.

use super::{
    ApiError, App, ErrorCode,
    answer::{RecommendationResponse, json, render},
    ask::ListParams,
    conditional::revalidate,
    edge::Context,
    extract::{Params, PathVariable},
    schema::{Attributes as AttributesBody, Id},
};
use crate::{
    domain::{ArticleId, Number},
    recommend::{Attributes, Column, Subject},
    serving::{IMAGE_URL, PRICE},
};
use axum::{Extension, extract::State, middleware, response::Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<App> {
    let tagged = OpenApiRouter::new()
        .routes(routes!(get_article))
        .route_layer(middleware::from_fn(revalidate));
    tagged.routes(routes!(list_similar))
}

/// An article of the catalogue.
#[derive(Serialize, ToSchema)]
struct Article<'a> {
    #[schema(value_type = Id)]
    article_id: &'a str,
    /// Articles that are not available are never recommended.
    available: bool,
    /// In the shop's currency.
    #[schema(value_type = Option<f64>, required = true)]
    price: Option<Number>,
    #[schema(required = true)]
    image_url: Option<&'a str>,
    #[schema(value_type = AttributesBody)]
    attributes: Attributes<'a>,
}

/// One article
#[utoipa::path(
    get, path = "/v1/articles/{id}", tag = "articles",
    params(("id" = Id, Path, description = "The article's id")),
    responses(
        (status = 200, description = "The article", body = Article, headers(("ETag" = String))),
        (status = 304, description = "The article is still what `If-None-Match` names"),
    )
)]
async fn get_article(
    State(app): State<App>,
    PathVariable(id): PathVariable<ArticleId>,
) -> Result<Response, ApiError> {
    let state = app.service().state();
    let catalogue = state.catalogue()?;
    let row = catalogue.row(id.as_str()).ok_or_else(|| {
        ApiError::new(ErrorCode::UnknownArticle, format!("the catalogue has no article `{id}`"))
    })?;
    let column = |name| catalogue.attribute(name).map(|at| catalogue.column(at));
    let others = |(_, column): &(usize, &Column)| column.name != PRICE && column.name != IMAGE_URL;
    let columns: Vec<usize> =
        catalogue.columns().enumerate().filter(others).map(|(at, _)| at).collect();
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
    params(("id" = Id, Path, description = "The article's id"), ListParams),
    responses((status = 200, description = "Articles by falling likeness", body = RecommendationResponse))
)]
async fn list_similar(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    PathVariable(id): PathVariable<ArticleId>,
    Params(params): Params<ListParams>,
) -> Result<Response, ApiError> {
    let (request, fields) = params.into_request(Subject::Article(id), None)?;
    let answered = app.service().recommend("/v1/articles/{id}/similar", request).await?;
    render(&answered, &fields, &context)
}
