//! The answer of every endpoint that ranks articles.

use super::{
    ApiError, conditional,
    edge::Context,
    schema::{Attributes as AttributesBody, Id},
};
use crate::{
    domain::ArticleId,
    recommend::{
        Attributes, Catalogue, Counts, Fallback, FoundBy, Ranked, RankedBy, Reason, SourceCount,
        Strategy, UnmatchedValue, Warning, find_attribute, rules::IgnoredRule, sources,
    },
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
    /// Identifies the answer: send it with the events that come from it. It holds nothing of the
    /// customer. Left out while the database was never reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_length = 2048)]
    recommendation_id: Option<&'a str>,
    items: Vec<Item<'a>>,
    meta: Meta<'a>,
}

/// One ranked article.
#[derive(Serialize, ToSchema)]
#[schema(as = RankedArticle)]
struct Item<'a> {
    #[schema(value_type = Id)]
    article_id: &'a str,
    /// The place in the whole list, from 1.
    #[schema(minimum = 1)]
    rank: usize,
    /// Higher is better; comparable only between articles of the same source in the same answer.
    score: f32,
    /// The source that ranks the article best. `model`: nearest to the query vector, with their
    /// inner product as the score, or bought before, with the decayed count of those purchases.
    /// `generated`: continues the history and the articles before it; the score is the log of its
    /// probability. `popular`: sells well; the score is its purchases, old ones counting less.
    /// `catalogue`: eligible, but without known sales. `unknown`: named in `article_ids` and not in
    /// the catalogue. Others are those that the request or its placement names. `personal`: not
    /// told, because a source of this answer finds what the customer bought and the key lacks the
    /// scope `read-purchases`; the score is then 1 / rank.
    #[schema(example = "model")]
    source: &'a str,
    /// With `explain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reasons: Option<Vec<ReasonBody<'a>>>,
    /// With `explain`: the sources that found the article, with its rank and score in each; none
    /// where they are not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sources: Option<&'a [FoundBy]>,
    /// With `explain`: the names of the placement's rules that touched the article.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    rules: Option<&'a [String]>,
    /// With `explain`, where a learned ranker has ordered the list: what speaks most for the
    /// article. Needs a key with the scope `read-purchases`.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    ranked_by: &'a [RankedBy],
    /// The attributes asked for with `fields`; those that the article lacks are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AttributesBody>, nullable = false)]
    article: Option<Attributes<'a>>,
}

/// Why an article is in the answer.
#[derive(Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schema(as = Reason)]
enum ReasonBody<'a> {
    /// The customer bought this very article, so many times.
    #[schema(title = "BoughtBefore")]
    BoughtBefore { times: usize },
    /// The closest of the customer's purchases.
    #[schema(title = "LikePurchased")]
    LikePurchased { article_id: &'a str, similarity: f32 },
    /// The closest of the articles of the visit, or the article asked about.
    #[schema(title = "LikeSeen")]
    LikeSeen { article_id: &'a str, similarity: f32 },
    /// Position among all articles by sales, from 1.
    #[schema(title = "BestSeller")]
    BestSeller { rank: usize },
}

/// How an answer came about.
#[derive(Serialize, ToSchema)]
struct Meta<'a> {
    /// The caller's `x-request-id`, or a new one.
    request_id: &'a str,
    model: ModelName<'a>,
    strategy: Strategy,
    /// Why the answer is less than what was asked for; null when it is not.
    #[schema(required = true)]
    fallback: Option<Fallback>,
    counts: Counts,
    warnings: &'a [Warning],
    /// Those of `article_ids` that the catalogue lacks. They stand last in the list.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<Id>, required = false)]
    unknown_article_ids: &'a [ArticleId],
    /// What each source gave, where the request or its placement names sources, unless that tells
    /// purchases that the caller may not know.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    sources: &'a [SourceCount],
    /// The placement that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    placement: Option<PlacementName<'a>>,
    /// Rules of the placement that this answer does without, and why.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    ignored_rules: &'a [IgnoredRule],
    /// Values of the filter that no article has: misspelt, perhaps. At most 16 are named.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    unmatched_filter_values: &'a [UnmatchedValue],
    /// Microseconds from the arrival of the request.
    took_us: u64,
}

/// The model that answered.
#[derive(Serialize, ToSchema)]
#[schema(as = ServedModel)]
struct ModelName<'a> {
    #[schema(example = "retrieval")]
    name: &'a str,
    #[schema(example = "20260131T120000000Z-1a2b3c4d")]
    version: &'a str,
}

/// The placement that answered.
#[derive(Serialize, ToSchema)]
#[schema(as = ServedPlacement)]
struct PlacementName<'a> {
    #[schema(example = "home")]
    name: &'a str,
    /// 0 for a built-in one, and for one that is only tried.
    version: i64,
    /// Keys of its definition that were left out, because the catalogue or the models lack what
    /// they name.
    ignored: &'a [String],
}

/// Writes an answer; `fields` are the attributes to return with every article.
///
/// # Errors
/// When the catalogue has no such attribute.
pub(super) fn render(
    answered: &Answered,
    fields: &[String],
    context: &Context,
) -> Result<Response, ApiError> {
    json(&response(answered, &columns(answered.snapshot.catalogue(), fields)?, context))
}

/// The same with the tag of the list: the request's id and time do not make it another one.
///
/// # Errors
/// When the catalogue has no such attribute.
pub(super) fn render_tagged(
    answered: &Answered,
    fields: &[String],
    context: &Context,
) -> Result<Response, ApiError> {
    let columns = columns(answered.snapshot.catalogue(), fields)?;
    let answer = response(answered, &columns, context);
    let meta = &answer.meta;
    let list = serde_json::to_vec(&(
        &answer.items,
        &meta.model,
        &meta.fallback,
        &meta.counts,
        &meta.warnings,
    ))
    .map_err(|error| ApiError::internal(error.to_string()))?;
    let mut response = json(&answer)?;
    response.headers_mut().insert(header::ETAG, conditional::tag(&list));
    Ok(response)
}

/// The columns of attributes.
///
/// # Errors
/// When the catalogue has no such attribute.
pub(super) fn columns(catalogue: &Catalogue, fields: &[String]) -> Result<Vec<usize>, ApiError> {
    Ok(fields.iter().map(|name| find_attribute(catalogue, name)).collect::<Result<_, _>>()?)
}

/// An answer with these columns of every article.
pub(super) fn response<'a>(
    answered: &'a Answered,
    columns: &'a [usize],
    context: &'a Context,
) -> RecommendationResponse<'a> {
    let (snapshot, answer) = (&answered.snapshot, &answered.answer);
    let catalogue = snapshot.catalogue();
    let explain = answer.explained;
    let item = |(i, item): (usize, &'a Ranked)| Item {
        article_id: catalogue.id(item.row),
        rank: answer.offset + i + 1,
        score: item.score,
        source: item.source,
        reasons: explain
            .then(|| item.reasons.iter().map(|reason| ReasonBody::of(catalogue, reason)).collect()),
        sources: explain.then_some(&item.found),
        rules: explain.then_some(&item.rules),
        ranked_by: &item.ranked_by,
        article: (!columns.is_empty()).then(|| catalogue.attributes(item.row, columns)),
    };
    let known = answer.items.iter().enumerate().map(item);
    let first_unknown = answer.offset + answer.items.len() + 1;
    let unknown =
        answer.last.iter().enumerate().map(|(i, id)| Item::unknown(id, first_unknown + i));
    let items = known.chain(unknown).collect();
    let meta = Meta {
        request_id: context.request_id(),
        model: ModelName { name: snapshot.model().name(), version: snapshot.model().version() },
        strategy: answer.strategy,
        fallback: answer.fallback,
        counts: answer.counts,
        warnings: &answer.warnings,
        unknown_article_ids: &answer.unknown,
        placement: answered.placement.as_ref().map(|(placement, ignored)| PlacementName {
            name: &placement.name,
            version: placement.version,
            ignored,
        }),
        sources: if answer.sources_withheld { &[] } else { &answer.sources },
        ignored_rules: &answer.ignored_rules,
        unmatched_filter_values: &answer.unmatched,
        took_us: context.started.elapsed().as_micros() as u64,
    };
    RecommendationResponse { recommendation_id: answered.recommendation_id.as_deref(), items, meta }
}

/// A JSON response.
///
/// # Errors
/// When the value cannot be written as JSON: a fault of the program.
pub(super) fn json(value: &impl Serialize) -> Result<Response, ApiError> {
    let mut body = Vec::with_capacity(2_048);
    serde_json::to_writer(&mut body, value)
        .map_err(|error| ApiError::internal(error.to_string()))?;
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok((kind, Body::from(body)).into_response())
}

impl<'a> Item<'a> {
    /// An article that the catalogue lacks.
    fn unknown(id: &'a ArticleId, rank: usize) -> Self {
        Self {
            article_id: id.as_str(),
            rank,
            score: 0.0,
            source: sources::UNKNOWN,
            reasons: None,
            sources: None,
            rules: None,
            ranked_by: &[],
            article: None,
        }
    }
}

impl<'a> ReasonBody<'a> {
    fn of(catalogue: &'a Catalogue, reason: &Reason) -> Self {
        match *reason {
            Reason::BoughtBefore { times } => Self::BoughtBefore { times },
            Reason::LikePurchased { row, similarity } => {
                Self::LikePurchased { article_id: catalogue.id(row), similarity }
            }
            Reason::LikeSeen { row, similarity } => {
                Self::LikeSeen { article_id: catalogue.id(row), similarity }
            }
            Reason::BestSeller { rank } => Self::BestSeller { rank },
        }
    }
}
