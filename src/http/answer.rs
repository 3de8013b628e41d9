//! The answer of every endpoint that ranks articles.

use super::{ApiError, edge::Context};
use crate::{
    recommend::{Attributes, Catalogue, Counts, Fallback, Ranked, Reason, Source, Strategy, Warning, find_attribute},
    serving::Answered,
};
use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

/// Ranked articles and how they came about.
#[derive(Serialize, ToSchema)]
pub(super) struct RecommendationResponse<'a> {
    items: Vec<Item<'a>>,
    meta: Meta<'a>,
}

/// One ranked article.
#[derive(Serialize, ToSchema)]
struct Item<'a> {
    #[schema(example = "0706016001")]
    article_id: &'a str,
    /// From 1.
    rank: usize,
    /// Higher is better; comparable only between articles of the same source in the same answer.
    score: f32,
    source: Source,
    /// With `explain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reasons: Option<Vec<ReasonBody<'a>>>,
    /// The attributes asked for with `fields`; missing ones are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, example = json!({"prod_name": "Jade HW Skinny", "price": 39.99}))]
    article: Option<Attributes<'a>>,
}

/// Why an article is in the answer.
#[derive(Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum ReasonBody<'a> {
    /// The customer bought this very article, so many times.
    BoughtBefore { times: usize },
    /// The closest of the customer's purchases.
    LikePurchased { article_id: &'a str, similarity: f32 },
    /// The closest of the articles of the visit, or the article asked about.
    LikeSeen { article_id: &'a str, similarity: f32 },
    /// Position among all articles by sales, from 1.
    BestSeller { rank: usize },
}

#[derive(Serialize, ToSchema)]
struct Meta<'a> {
    /// The caller's `x-request-id`, or a new one.
    request_id: &'a str,
    model: ModelName<'a>,
    strategy: Strategy,
    /// Why the answer is less than what was asked for; null when it is not.
    fallback: Option<Fallback>,
    counts: Counts,
    warnings: &'a [Warning],
    /// Microseconds from the arrival of the request.
    took_us: u64,
}

#[derive(Serialize, ToSchema)]
struct ModelName<'a> {
    #[schema(example = "retrieval")]
    name: &'a str,
    #[schema(example = "20260131T120000000Z-1a2b3c4d")]
    version: &'a str,
}

/// Writes an answer; `fields` are the attributes to return with every article.
///
/// # Errors
/// When the catalogue has no such attribute.
pub(super) fn render(answered: &Answered, fields: &[String], context: &Context) -> Result<Response, ApiError> {
    let (snapshot, answer) = (&answered.snapshot, &answered.answer);
    let catalogue = snapshot.catalogue();
    // A name given twice is answered once: an object has no key twice.
    let distinct = fields.iter().enumerate().filter(|(i, name)| !fields[..*i].contains(name));
    let columns = distinct.map(|(_, name)| find_attribute(catalogue, name)).collect::<Result<Vec<_>, _>>()?;
    let explain = answer.items.iter().any(|item| !item.reasons.is_empty());
    let item = |(i, item): (usize, &Ranked)| Item {
        article_id: catalogue.id(item.row),
        rank: i + 1,
        score: item.score,
        source: item.source,
        reasons: explain.then(|| item.reasons.iter().map(|reason| ReasonBody::of(catalogue, reason)).collect()),
        article: (!columns.is_empty()).then(|| catalogue.attributes(item.row, &columns)),
    };
    let items: Vec<Item<'_>> = answer.items.iter().enumerate().map(item).collect();
    let meta = Meta {
        request_id: context.request_id(),
        model: ModelName { name: snapshot.model().name(), version: snapshot.model().version() },
        strategy: answer.strategy,
        fallback: answer.fallback,
        counts: answer.counts,
        warnings: &answer.warnings,
        took_us: context.started.elapsed().as_micros() as u64,
    };
    json(&RecommendationResponse { items, meta })
}

/// A JSON response.
///
/// # Errors
/// When the value cannot be written as JSON: a fault of the program.
pub(super) fn json(value: &impl Serialize) -> Result<Response, ApiError> {
    let mut body = Vec::with_capacity(2_048);
    serde_json::to_writer(&mut body, value).map_err(|error| ApiError::internal(error.to_string()))?;
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok((kind, Body::from(body)).into_response())
}

impl<'a> ReasonBody<'a> {
    fn of(catalogue: &'a Catalogue, reason: &Reason) -> Self {
        match *reason {
            Reason::BoughtBefore { times } => Self::BoughtBefore { times },
            Reason::LikePurchased { row, similarity } => {
                Self::LikePurchased { article_id: catalogue.id(row), similarity }
            }
            Reason::LikeSeen { row, similarity } => Self::LikeSeen { article_id: catalogue.id(row), similarity },
            Reason::BestSeller { rank } => Self::BestSeller { rank },
        }
    }
}
