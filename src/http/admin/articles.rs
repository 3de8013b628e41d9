//! Changes of the catalogue; they are served when the answer comes.

use crate::{
    domain::ArticleId,
    http::{ApiError, App, answer::json, extract::JsonBody},
    store::{self, ArticleRecord},
};
use axum::{extract::State, response::Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(put_articles)).routes(routes!(put_availability))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ArticleBatch {
    articles: Vec<ArticleBody>,
}

/// An article to insert or replace.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "article_id": "0999999001",
    "price": 19.99,
    "attributes": {"prod_name": "Linen shirt", "index_group_name": "Menswear"}
}))]
struct ArticleBody {
    #[schema(value_type = String, max_length = 128)]
    article_id: ArticleId,
    #[serde(default = "yes")]
    #[schema(default = true)]
    available: bool,
    /// In the shop's currency.
    #[serde(default)]
    price: Option<f32>,
    #[serde(default)]
    image_url: Option<String>,
    /// Numbers, texts or lists of texts under the shop's own names.
    #[serde(default)]
    #[schema(value_type = Object)]
    attributes: store::Attributes,
}

#[derive(Serialize, ToSchema)]
struct Written {
    written: usize,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Availability {
    #[schema(value_type = Vec<String>)]
    article_ids: Vec<ArticleId>,
    available: bool,
}

#[derive(Serialize, ToSchema)]
struct AvailabilityChanged {
    changed: usize,
    /// Ids that the catalogue does not have.
    #[schema(value_type = Vec<String>)]
    unknown: Vec<ArticleId>,
}

fn yes() -> bool {
    true
}

/// Insert or replace articles, all or none
#[utoipa::path(post, path = "/admin/v1/articles", tag = "admin", security(("admin_key" = [])),
    request_body = ArticleBatch,
    responses(
        (status = 200, body = Written),
        (status = "4XX", body = super::super::Problem, content_type = "application/problem+json", description = "An article is wrong; none was written"),
        (status = "5XX", body = super::super::Problem, content_type = "application/problem+json", description = "Try again later"),
    )
)]
async fn put_articles(
    State(app): State<App>,
    JsonBody(ArticleBatch { articles }): JsonBody<ArticleBatch>,
) -> Result<Response, ApiError> {
    let records: Vec<ArticleRecord> = articles.into_iter().map(ArticleBody::into_record).collect();
    app.service().put_articles(&records).await?;
    json(&Written { written: records.len() })
}

/// Make articles available or not
#[utoipa::path(post, path = "/admin/v1/articles/availability", tag = "admin", security(("admin_key" = [])),
    request_body = Availability,
    responses(
        (status = 200, body = AvailabilityChanged),
        (status = "4XX", body = super::super::Problem, content_type = "application/problem+json", description = "The request is wrong"),
        (status = "5XX", body = super::super::Problem, content_type = "application/problem+json", description = "Try again later"),
    )
)]
async fn put_availability(
    State(app): State<App>,
    JsonBody(Availability { article_ids, available }): JsonBody<Availability>,
) -> Result<Response, ApiError> {
    let unknown = app.service().set_available(&article_ids, available).await?;
    json(&AvailabilityChanged { changed: article_ids.len() - unknown.len(), unknown })
}

impl ArticleBody {
    fn into_record(self) -> ArticleRecord {
        let Self { article_id: id, available, price, image_url, attributes } = self;
        ArticleRecord { id, available, price, image_url, attributes }
    }
}
