//! Articles for a customer or guest, and what sells best.

use super::{
    ApiError, App,
    answer::{RecommendationResponse, render},
    edge::Context,
    extract::{JsonBody, Params, PathVariable},
};
use crate::{
    domain::{ArticleId, CustomerId, Timestamp, TopK},
    recommend::{Filter, Generation, Sampling},
    serving::{Call, CallSubject},
};
use axum::{Extension, extract::State, response::Response};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(post_recommendations))
        .routes(routes!(get_customer_recommendations))
        .routes(routes!(get_popular))
}

/// Articles an answer holds when nothing else is asked for.
const DEFAULT_K: usize = 12;
const MAX_SESSION: usize = 200;
const MAX_EXCLUDED: usize = 10_000;
const MAX_FIELDS: usize = 64;

/// What is wanted, for whom. Without customer and visit the answer is what sells best.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "customer_id": "00000dbacae5abe5e23885899a1fa44253a17956c6d1c3d25f88aa139fdfc657",
    "k": 12,
    "filter": {"index_group_name": "Ladieswear", "price": {"max": 30}},
    "exclude": {"purchased": true},
    "max_per": {"product_code": 1},
    "fields": ["prod_name", "price"]
}))]
struct RecommendationRequest {
    /// Unknown customers are no error: they get the cold-start answer, and `meta.fallback` says so.
    #[schema(value_type = Option<String>, max_length = 128)]
    customer_id: Option<CustomerId>,
    #[serde(default)]
    session: Session,
    /// How many articles, 1 to 500.
    #[serde(default = "default_k", deserialize_with = "number_of_articles")]
    #[schema(minimum = 1, maximum = 500, default = 12)]
    k: usize,
    /// The moment of the query, now by default: a date or RFC 3339.
    #[schema(value_type = Option<String>, example = "2026-01-31T12:00:00Z")]
    at: Option<Timestamp>,
    /// The default model if not given.
    model: Option<String>,
    /// Conditions on attributes, all of which must hold: a value, a list of values, or `{"min": …, "max": …}`.
    #[serde(default)]
    #[schema(value_type = Object, example = json!({"colour_group_name": ["Black", "White"], "price": {"min": 5}}))]
    filter: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    exclude: ExcludeBody,
    /// At most so many articles that share a value of an attribute.
    #[serde(default)]
    #[schema(example = json!({"product_code": 1}))]
    max_per: BTreeMap<String, u16>,
    /// Attributes to return with every article.
    #[serde(default)]
    fields: Vec<String>,
    /// Return reasons with every article.
    #[serde(default)]
    explain: bool,
    /// How the list is made.
    #[serde(default)]
    strategy: ListStrategy,
    /// How `generate` chooses; greedy if not given.
    #[serde(default)]
    generation: Option<GenerationBody>,
}

/// How a list is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ListStrategy {
    /// The articles nearest to the customer, all at once.
    #[default]
    TopK,
    /// Item by item, each continuing the history and the items before it; by a sequence model, with `k` at most 50.
    Generate,
}

/// How an article of a generated list is chosen.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
enum GenerationBody {
    /// The likeliest at every step.
    Greedy {},
    /// The likeliest list that a beam of this width finds.
    Beam {
        #[serde(default = "default_width")]
        #[schema(minimum = 1, maximum = 8, default = 4)]
        width: usize,
    },
    /// Drawn by probability; the same request with the same seed gets the same list.
    Sample {
        /// Below 1 the likely become likelier.
        #[serde(default = "one")]
        #[schema(minimum = 0.01, maximum = 10, default = 1)]
        temperature: f32,
        /// Draw from the fewest articles that have this much of the probability together.
        #[serde(default = "one")]
        #[schema(exclusive_minimum = 0, maximum = 1, default = 1)]
        top_p: f32,
        #[serde(default)]
        seed: u64,
    },
}

/// The visit of a guest or customer.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Session {
    /// Articles looked at, newest first, at most 200. They are not answered back.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 200)]
    article_ids: Vec<ArticleId>,
}

/// What must not be answered.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ExcludeBody {
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 10_000)]
    article_ids: Vec<ArticleId>,
    /// The customer's purchases.
    #[serde(default)]
    purchased: bool,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CustomerParams {
    /// How many articles, 1 to 500; 12 if not given.
    #[param(minimum = 1, maximum = 500)]
    k: Option<usize>,
    /// The default model if not given.
    model: Option<String>,
    /// Attributes to return, separated by commas.
    fields: Option<String>,
    /// A filter as JSON.
    #[param(example = r#"{"index_group_name":"Ladieswear"}"#)]
    filter: Option<String>,
    /// Leave out the customer's purchases.
    #[serde(default)]
    exclude_purchased: bool,
    /// Return reasons with every article.
    #[serde(default)]
    explain: bool,
}

/// Parameters of a list that is for nobody in particular.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// How many articles, 1 to 500; 12 if not given.
    #[param(minimum = 1, maximum = 500)]
    k: Option<usize>,
    /// The default model if not given.
    model: Option<String>,
    /// Attributes to return, separated by commas.
    fields: Option<String>,
    /// A filter as JSON.
    filter: Option<String>,
    /// Return reasons with every article.
    #[serde(default)]
    explain: bool,
}

/// Recommend articles to a customer or guest
#[utoipa::path(
    post, path = "/v1/recommendations", tag = "recommendations", request_body = RecommendationRequest,
    responses(
        (status = 200, body = RecommendationResponse),
        (status = "4XX", body = super::Problem, content_type = "application/problem+json", description = "The request is wrong"),
        (status = "5XX", body = super::Problem, content_type = "application/problem+json", description = "Try again later"),
    )
)]
async fn post_recommendations(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    JsonBody(body): JsonBody<RecommendationRequest>,
) -> Result<Response, ApiError> {
    let (call, fields) = body.into_call()?;
    let answered = app.service().recommend(call).await?;
    render(&answered, &fields, &context)
}

/// Recommend articles to a customer
#[utoipa::path(
    get, path = "/v1/customers/{id}/recommendations", tag = "recommendations",
    params(("id" = String, Path, description = "The customer's id"), CustomerParams),
    responses(
        (status = 200, body = RecommendationResponse),
        (status = "4XX", body = super::Problem, content_type = "application/problem+json", description = "The request is wrong"),
        (status = "5XX", body = super::Problem, content_type = "application/problem+json", description = "Try again later"),
    )
)]
async fn get_customer_recommendations(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    PathVariable(id): PathVariable<CustomerId>,
    Params(params): Params<CustomerParams>,
) -> Result<Response, ApiError> {
    let CustomerParams { k, model, fields, filter, exclude_purchased, explain } = params;
    let subject = CallSubject::Customer { id: Some(id), session: Vec::new() };
    let (call, fields) = ListParams { k, model, fields, filter, explain }.into_call(subject)?;
    let answered = app.service().recommend(Call { exclude_purchased, ..call }).await?;
    render(&answered, &fields, &context)
}

/// What sells best
#[utoipa::path(
    get, path = "/v1/popular", tag = "recommendations", params(ListParams),
    responses(
        (status = 200, body = RecommendationResponse),
        (status = "4XX", body = super::Problem, content_type = "application/problem+json", description = "The request is wrong"),
        (status = "5XX", body = super::Problem, content_type = "application/problem+json", description = "Try again later"),
    )
)]
async fn get_popular(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    Params(params): Params<ListParams>,
) -> Result<Response, ApiError> {
    let (call, fields) = params.into_call(CallSubject::Everyone)?;
    let answered = app.service().recommend(call).await?;
    render(&answered, &fields, &context)
}

impl RecommendationRequest {
    /// The call and the attributes to return.
    fn into_call(self) -> Result<(Call, Vec<String>), ApiError> {
        at_most("session.article_ids", self.session.article_ids.len(), MAX_SESSION)?;
        at_most("exclude.article_ids", self.exclude.article_ids.len(), MAX_EXCLUDED)?;
        at_most("fields", self.fields.len(), MAX_FIELDS)?;
        if let Some((name, _)) = self.max_per.iter().find(|(_, limit)| **limit == 0) {
            return Err(ApiError::invalid(format!("`max_per.{name}` must be at least 1")));
        }
        let generation = self.generation()?;
        let call = Call {
            model: self.model,
            subject: CallSubject::Customer { id: self.customer_id, session: self.session.article_ids },
            k: top_k(self.k)?,
            at: self.at.unwrap_or_else(now),
            filter: Filter::parse(&self.filter)?,
            exclude: self.exclude.article_ids,
            exclude_purchased: self.exclude.purchased,
            max_per: self.max_per.into_iter().map(|(name, limit)| (name, usize::from(limit))).collect(),
            explain: self.explain,
            generation,
        };
        Ok((call, self.fields))
    }
}

impl RecommendationRequest {
    fn generation(&self) -> Result<Option<Generation>, ApiError> {
        if self.strategy == ListStrategy::TopK {
            return match self.generation {
                Some(_) => Err(ApiError::invalid("`generation` needs `\"strategy\": \"generate\"`")),
                None => Ok(None),
            };
        }
        if self.k > Generation::MAX_K {
            let (k, max) = (self.k, Generation::MAX_K);
            return Err(ApiError::invalid(format!("`k` must be 1 to {max} with strategy `generate`, not {k}")));
        }
        let within = |name: &str, value: f32, least: f32, most: f32| match (least..=most).contains(&value) {
            true => Ok(()),
            false => Err(ApiError::invalid(format!("`generation.{name}` must be {least} to {most}, not {value}"))),
        };
        Ok(Some(match self.generation.unwrap_or(GenerationBody::Greedy {}) {
            GenerationBody::Greedy {} => Generation::Greedy,
            GenerationBody::Beam { width } => {
                within("width", width as f32, 1.0, Generation::MAX_WIDTH as f32)?;
                Generation::Beam { width }
            }
            GenerationBody::Sample { temperature, top_p, seed } => {
                within("temperature", temperature, 0.01, 10.0)?;
                if !(top_p > 0.0 && top_p <= 1.0) {
                    let problem = format!("`generation.top_p` must be above 0 and at most 1, not {top_p}");
                    return Err(ApiError::invalid(problem));
                }
                Generation::Sample(Sampling { temperature, top_p, seed })
            }
        }))
    }
}

impl ListParams {
    /// The call and the attributes to return.
    pub(super) fn into_call(self, subject: CallSubject) -> Result<(Call, Vec<String>), ApiError> {
        let filter = self.filter.as_deref().unwrap_or("{}");
        let filter = serde_json::from_str(filter).map_err(|error| ApiError::invalid(format!("`filter`: {error}")))?;
        let fields: Vec<String> = self.fields.iter().flat_map(|text| text.split(',')).map(str::to_owned).collect();
        at_most("fields", fields.len(), MAX_FIELDS)?;
        let call = Call {
            model: self.model,
            subject,
            k: top_k(self.k.unwrap_or(DEFAULT_K))?,
            at: now(),
            filter: Filter::parse(&filter)?,
            exclude: Vec::new(),
            exclude_purchased: false,
            max_per: Vec::new(),
            explain: self.explain,
            generation: None,
        };
        Ok((call, fields))
    }
}

fn default_width() -> usize {
    4
}

fn one() -> f32 {
    1.0
}

fn default_k() -> usize {
    DEFAULT_K
}

/// A number, and a word of its own for what is none; see [`top_k`] for its range.
fn number_of_articles<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    struct Number;

    impl serde::de::Visitor<'_> for Number {
        type Value = usize;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "a whole number from 1 to {}", TopK::MAX)
        }

        fn visit_u64<E: serde::de::Error>(self, k: u64) -> Result<usize, E> {
            Ok(usize::try_from(k).unwrap_or(usize::MAX))
        }
    }

    deserializer.deserialize_u64(Number)
}

fn top_k(k: usize) -> Result<TopK, ApiError> {
    TopK::new(k).ok_or_else(|| ApiError::invalid(format!("`k` must be 1 to {}, not {k}", TopK::MAX)))
}

fn at_most(what: &str, count: usize, max: usize) -> Result<(), ApiError> {
    if count > max { Err(ApiError::invalid(format!("`{what}` holds at most {max}, not {count}"))) } else { Ok(()) }
}

fn now() -> Timestamp {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
    Timestamp(u32::try_from(seconds).unwrap_or(u32::MAX))
}
