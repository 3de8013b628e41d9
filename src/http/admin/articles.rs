//! Changes of the catalogue; they are served when the answer comes.

use super::audited;
use crate::{
    domain::{ArticleId, AttributeKind},
    http::{
        ApiError, App, ErrorCode, answer,
        extract::{JsonBody, NoInput, PathVariable},
        schema::{Attributes as AttributesBody, Id, ObjectOf},
    },
    serving::{Caller, ServeError},
    store::{self, ArticleRecord, AttributeRecord, Change},
};
use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(put_articles))
        .routes(routes!(set_availability))
        .routes(routes!(delete_article))
        .routes(routes!(list_attributes))
        .routes(routes!(declare_attribute))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ArticleBatch {
    #[schema(value_type = Vec<ArticleBody>)]
    articles: Vec<ObjectOf<ArticleBody>>,
}

/// An article to insert or replace.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "article_id": "0999999001",
    "price": 19.99,
    "attributes": {"prod_name": "Linen shirt", "index_group_name": "Menswear"}
}))]
#[schema(as = ArticleInput)]
struct ArticleBody {
    #[schema(value_type = Id)]
    article_id: ArticleId,
    /// Whether it may be recommended; true if not given.
    #[serde(default = "yes")]
    available: bool,
    /// In the shop's currency.
    #[serde(default)]
    #[schema(minimum = 0)]
    price: Option<f64>,
    #[serde(default)]
    image_url: Option<String>,
    /// Numbers, texts or lists of texts under the shop's own names. An attribute has one kind for
    /// all articles of the shop: the declared one, else that of the import or of the first article
    /// that had it.
    #[serde(default)]
    #[schema(value_type = AttributesBody)]
    attributes: store::Attributes,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ArticlesWritten)]
struct Written {
    written: usize,
    /// Whether this server answers from them already. Otherwise it will within moments.
    served: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AvailabilityChange)]
struct Availability {
    #[schema(value_type = Vec<Id>)]
    article_ids: Vec<ArticleId>,
    available: bool,
}

#[derive(Serialize, ToSchema)]
struct AvailabilityChanged {
    changed: usize,
    /// Ids that the catalogue does not have.
    #[schema(value_type = Vec<Id>)]
    unknown: Vec<ArticleId>,
}

fn yes() -> bool {
    true
}

/// Insert or replace articles, all or none
#[utoipa::path(post, path = "/admin/v1/articles", tag = "admin",
    request_body = ArticleBatch,
    responses(
        (status = 200, description = "All of them are written and served", body = Written),
    )
)]
async fn put_articles(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    JsonBody(ArticleBatch { articles }): JsonBody<ArticleBatch>,
) -> Result<Response, ApiError> {
    let records: Vec<ArticleRecord> =
        articles.into_iter().map(|ObjectOf(article)| article.into_record()).collect();
    let ids: Vec<ArticleId> = records.iter().map(|record| record.id.clone()).collect();
    let before = articles_now(&app, &ids).await?;
    let subject = told_ids(&ids);
    let change = Change { actor: "", action: "articles.put", subject: &subject, before };
    let work = async {
        let served = app.service().put_articles(&records).await?;
        Ok((served, articles_now(&app, &ids).await?))
    };
    let served = audited(&app, &caller, change, work).await?;
    tracing::info!(
        articles = records.len(),
        first = records.first().map(|r| r.id.as_str()),
        "articles written"
    );
    answer::json(&Written { written: records.len(), served })
}

/// Make articles available or not
#[utoipa::path(post, path = "/admin/v1/articles/availability", tag = "admin",
    request_body = Availability,
    responses(
        (status = 200, description = "The change is served", body = AvailabilityChanged),
    )
)]
async fn set_availability(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    JsonBody(Availability { article_ids, available }): JsonBody<Availability>,
) -> Result<Response, ApiError> {
    let subject = told_ids(&article_ids);
    let before = availability_now(&app, &article_ids).await?;
    let change = Change { actor: "", action: "articles.availability", subject: &subject, before };
    let work = async {
        let unknown = app.service().set_available(&article_ids, available).await?;
        Ok((unknown, availability_now(&app, &article_ids).await?))
    };
    let unknown = audited(&app, &caller, change, work).await?;
    tracing::info!(articles = article_ids.len() - unknown.len(), available, "availability changed");
    answer::json(&AvailabilityChanged { changed: article_ids.len() - unknown.len(), unknown })
}

/// Delete an article
///
/// It appears in no answer any more. Purchases keep its id.
#[utoipa::path(delete, path = "/admin/v1/articles/{id}", tag = "admin",
    params(("id" = Id, Path, description = "The article's id")),
    responses(
        (status = 204, description = "The article is deleted"),
    )
)]
async fn delete_article(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    PathVariable(id): PathVariable<ArticleId>,
    _: NoInput,
) -> Result<Response, ApiError> {
    let ids = [id];
    let [id] = &ids;
    let before = articles_now(&app, &ids).await?;
    let change = Change { actor: "", action: "articles.delete", subject: id.as_str(), before };
    let work = async { Ok((app.service().delete_article(id).await?, None)) };
    if !audited(&app, &caller, change, work).await? {
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
#[schema(as = AttributeDeclaration)]
struct Declaration {
    kind: AttributeKind,
}

/// List the attributes of the shop and their kinds
#[utoipa::path(get, path = "/admin/v1/attributes", tag = "admin", responses(
    (status = 200, description = "All attributes", body = AttributeList),
))]
async fn list_attributes(State(app): State<App>) -> Result<Response, ApiError> {
    let attributes = app.service().schema().await?;
    let attributes = attributes
        .attributes()
        .map(|AttributeRecord { name, kind, declared }| Attribute { name, kind, declared });
    answer::json(&AttributeList { attributes: attributes.collect() })
}

/// Declare the kind of an attribute
///
/// Refused where an article has a value of another kind.
#[utoipa::path(put, path = "/admin/v1/attributes/{name}", tag = "admin",
    params(("name" = String, Path, description = "The attribute")), request_body = Declaration,
    responses(
        (status = 200, description = "The attribute has this kind", body = Attribute),
    )
)]
async fn declare_attribute(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    PathVariable(name): PathVariable<String>,
    JsonBody(Declaration { kind }): JsonBody<Declaration>,
) -> Result<Response, ApiError> {
    let before = attribute_now(&app, &name).await?;
    let change = Change { actor: "", action: "attributes.declare", subject: &name, before };
    let work = async {
        app.service().declare_attribute(&name, kind).await?;
        Ok(((), attribute_now(&app, &name).await?))
    };
    audited(&app, &caller, change, work).await?;
    tracing::info!(attribute = name, kind = kind.name(), "attribute declared");
    answer::json(&Attribute { name, kind, declared: true })
}

/// A record of a change to more articles than this names the articles and leaves out their values.
const RECORDED: usize = 100;

/// The articles of a change in a few words.
fn told_ids(ids: &[ArticleId]) -> String {
    let named: Vec<&str> = ids.iter().take(RECORDED).map(ArticleId::as_str).collect();
    let rest = ids.len() - named.len();
    if rest == 0 { named.join(" ") } else { format!("{} and {rest} more", named.join(" ")) }
}

/// Articles as the database has them, for the record of a change; `None` where they are too many.
async fn articles_now(app: &App, ids: &[ArticleId]) -> Result<Option<Value>, ServeError> {
    if ids.len() > RECORDED {
        return Ok(None);
    }
    let records = app.service().store().articles(ids).await?;
    let told = records.into_iter().map(|record| {
        let ArticleRecord { id, available, price, image_url, attributes } = record;
        let told = json!({"available": available, "price": price, "image_url": image_url, "attributes": attributes});
        (String::from(id), told)
    });
    Ok(Some(told.collect::<serde_json::Map<_, _>>().into()))
}

/// Which articles are available, for the record of a change.
async fn availability_now(app: &App, ids: &[ArticleId]) -> Result<Option<Value>, ServeError> {
    if ids.len() > RECORDED {
        return Ok(None);
    }
    let records = app.service().store().articles(ids).await?;
    let told = records.into_iter().map(|record| (String::from(record.id), record.available.into()));
    Ok(Some(told.collect::<serde_json::Map<_, _>>().into()))
}

/// An attribute as the database has it, for the record of a change.
async fn attribute_now(app: &App, name: &str) -> Result<Option<Value>, ServeError> {
    let schema = app.service().schema().await?;
    let found = schema.attributes().find(|attribute| attribute.name == name);
    Ok(found
        .map(|attribute| json!({"kind": attribute.kind.name(), "declared": attribute.declared})))
}

impl ArticleBody {
    fn into_record(self) -> ArticleRecord {
        let Self { article_id: id, available, price, image_url, attributes } = self;
        ArticleRecord { id, available, price, image_url, attributes }
    }
}
