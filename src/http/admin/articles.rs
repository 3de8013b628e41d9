//! Changes of the catalogue; they are served when the answer comes.

use crate::{
    domain::{ArticleId, AttributeKind},
    http::{
        ApiError, App, ErrorCode,
        answer::json,
        extract::{JsonBody, PathVariable},
    },
    store::{self, ArticleRecord, AttributeRecord},
};
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(put_articles))
        .routes(routes!(put_availability))
        .routes(routes!(delete_article))
        .routes(routes!(list_attributes))
        .routes(routes!(declare_attribute))
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
    price: Option<f64>,
    #[serde(default)]
    image_url: Option<String>,
    /// Numbers, texts or lists of texts under the shop's own names. An attribute has one kind for all articles of the
    /// shop: the declared one, else that of the import or of the first article that had it.
    #[serde(default)]
    #[schema(value_type = Object)]
    attributes: store::Attributes,
}

#[derive(Serialize, ToSchema)]
struct Written {
    written: usize,
    /// Whether this server answers from them already. Otherwise it will within moments.
    served: bool,
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
    let served = app.service().put_articles(&records).await?;
    tracing::info!(articles = records.len(), first = records.first().map(|r| r.id.as_str()), "articles written");
    json(&Written { written: records.len(), served })
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
    tracing::info!(articles = article_ids.len() - unknown.len(), available, "availability changed");
    json(&AvailabilityChanged { changed: article_ids.len() - unknown.len(), unknown })
}

/// Delete an article
///
/// It appears in no answer any more. Purchases keep its id.
#[utoipa::path(delete, path = "/admin/v1/articles/{id}", tag = "admin", security(("admin_key" = [])),
    params(("id" = String, Path, description = "The article's id")),
    responses(
        (status = 204, description = "The article is deleted"),
        (status = "4XX", body = super::super::Problem, content_type = "application/problem+json", description = "There is no such article"),
        (status = "5XX", body = super::super::Problem, content_type = "application/problem+json", description = "Try again later"),
    )
)]
async fn delete_article(
    State(app): State<App>,
    PathVariable(id): PathVariable<ArticleId>,
) -> Result<Response, ApiError> {
    if !app.service().delete_article(&id).await? {
        let detail = format!("the catalogue has no article `{id}`");
        return Err(ApiError::new(ErrorCode::UnknownArticle, detail));
    }
    tracing::info!(article = id.as_str(), "article deleted");
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// An attribute of the shop's articles.
#[derive(Serialize, ToSchema)]
struct Attribute {
    name: String,
    kind: AttributeKind,
    /// Whether the kind was declared. Otherwise it was learnt, and an import may change it.
    declared: bool,
}

#[derive(Serialize, ToSchema)]
struct AttributeList {
    /// By name.
    attributes: Vec<Attribute>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Declaration {
    kind: AttributeKind,
}

/// List the attributes of the shop and their kinds
#[utoipa::path(get, path = "/admin/v1/attributes", tag = "admin", security(("admin_key" = [])), responses(
    (status = 200, body = AttributeList),
    (status = "4XX", body = super::super::Problem, content_type = "application/problem+json", description = "The key is missing or wrong"),
    (status = "5XX", body = super::super::Problem, content_type = "application/problem+json", description = "Try again later"),
))]
async fn list_attributes(State(app): State<App>) -> Result<Response, ApiError> {
    let attributes = app.service().schema().await?;
    let attributes =
        attributes.attributes().map(|AttributeRecord { name, kind, declared }| Attribute { name, kind, declared });
    json(&AttributeList { attributes: attributes.collect() })
}

/// Declare the kind of an attribute
#[utoipa::path(put, path = "/admin/v1/attributes/{name}", tag = "admin", security(("admin_key" = [])),
    params(("name" = String, Path, description = "The attribute")), request_body = Declaration,
    responses(
        (status = 200, body = Attribute),
        (status = "4XX", body = super::super::Problem, content_type = "application/problem+json", description = "An article has a value of another kind; nothing has changed"),
        (status = "5XX", body = super::super::Problem, content_type = "application/problem+json", description = "Try again later"),
    )
)]
async fn declare_attribute(
    State(app): State<App>,
    PathVariable(name): PathVariable<String>,
    JsonBody(Declaration { kind }): JsonBody<Declaration>,
) -> Result<Response, ApiError> {
    app.service().declare_attribute(&name, kind).await?;
    tracing::info!(attribute = name, kind = kind.name(), "attribute declared");
    json(&Attribute { name, kind, declared: true })
}

impl ArticleBody {
    fn into_record(self) -> ArticleRecord {
        let Self { article_id: id, available, price, image_url, attributes } = self;
        ArticleRecord { id, available, price, image_url, attributes }
    }
}
