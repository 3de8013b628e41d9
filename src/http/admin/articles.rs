//! Changes of the catalogue; they are served when the answer comes.

use super::audited;
use crate::{
    domain::ArticleId,
    http::{
        ApiError, App, answer,
        extract::JsonBody,
        schema::{Attributes as AttributesBody, Id, ObjectOf},
    },
    serving::{Caller, ServeError},
    store::{self, ArticleRecord, Change},
};
use axum::{Extension, extract::State, response::Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(put_articles)).routes(routes!(set_availability))
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
    price: Option<f32>,
    #[serde(default)]
    image_url: Option<String>,
    #[serde(default)]
    #[schema(value_type = AttributesBody)]
    attributes: store::Attributes,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ArticlesWritten)]
struct Written {
    written: usize,
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
    let records: Vec<ArticleRecord> = articles.into_iter().map(|ObjectOf(article)| article.into_record()).collect();
    let ids: Vec<ArticleId> = records.iter().map(|record| record.id.clone()).collect();
    let before = articles_now(&app, &ids).await?;
    let subject = told_ids(&ids);
    let change = Change { actor: "", action: "articles.put", subject: &subject, before };
    let work = async {
        app.service().put_articles(&records).await?;
        Ok(((), articles_now(&app, &ids).await?))
    };
    audited(&app, &caller, change, work).await?;
    answer::json(&Written { written: records.len() })
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
    answer::json(&AvailabilityChanged { changed: article_ids.len() - unknown.len(), unknown })
}

/// Beyond so many articles a record of a change names them and no more.
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

impl ArticleBody {
    fn into_record(self) -> ArticleRecord {
        let Self { article_id: id, available, price, image_url, attributes } = self;
        ArticleRecord { id, available, price, image_url, attributes }
    }
}
