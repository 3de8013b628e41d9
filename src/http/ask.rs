//! What clients ask for: bodies and query strings, and how they become calls of the service.

use super::{
    ApiError,
    placement_schema::CandidateSource,
    schema::{Filter as FilterBody, Id, ObjectOf, Quotas, Whole, whole_members},
};
use crate::{
    domain::{ArticleId, CustomerId, InvalidTime, Timestamp, TopK, VisitorId},
    recommend::{
        self, Filter, Generation, Recipe, Request, Sampling, Subject,
        sources::{MAX_SOURCES, SourceSpec},
    },
    serving::next_second,
};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa::{IntoParams, ToSchema};

/// Articles an answer holds when nothing else is asked for.
const DEFAULT_K: u64 = 12;
pub(super) const MAX_SESSION: usize = 200;
pub(super) const MAX_CART: usize = 200;
const MAX_LISTED: usize = 1_000;
const MAX_EXCLUDED: usize = 10_000;
const MAX_DAYS: u32 = 36_500;
const MAX_FIELDS: usize = 64;
const MAX_QUOTAS: usize = 8;
const MAX_BATCH: usize = 1_000;
/// With these two, the largest answer of a batch stays within some tens of megabytes.
const MAX_BATCH_K: u64 = 50;
const MAX_BATCH_FIELDS: usize = 16;
/// Numbers up to here are the same in every language.
const MAX_SEED: u64 = (1 << 53) - 1;

/// A request of the pipeline and the attributes to return with every article.
pub(super) type Asked = (Request, Vec<String>);

/// What is wanted, for whom. Without a customer and a visit the answer is what sells best.
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
pub(super) struct RecommendationRequest {
    /// An unknown customer is no error: the answer is then the one for new customers, and
    /// `meta.fallback` says so.
    #[serde(default)]
    #[schema(value_type = Option<Id>)]
    pub(super) customer_id: Option<CustomerId>,
    /// The browser of whoever asks, as `POST /v1/events` names it: what was done there counts,
    /// beside what the customer did or instead of it.
    #[serde(default)]
    #[schema(value_type = Option<Id>)]
    visitor_id: Option<VisitorId>,
    #[serde(default)]
    #[schema(value_type = Session)]
    session: ObjectOf<Session>,
    /// Articles in the customer's cart, the latest first. They are not answered back.
    #[serde(default)]
    #[schema(value_type = Vec<Id>, max_items = 200)]
    cart: Vec<ArticleId>,
    /// How many articles; 12 if not given.
    #[serde(default = "default_k", deserialize_with = "number_of_articles")]
    #[schema(value_type = usize, minimum = 1, maximum = 500)]
    k: Whole,
    /// Leave out the first so many articles. Send `offset` with every page, 0 with the first: pages
    /// are then parts of one list, and no article is on two of them while the model and the
    /// catalogue stay the same. Not with `generation`.
    #[serde(default)]
    #[schema(value_type = Option<usize>, minimum = 0, maximum = 500)]
    offset: Option<Whole>,
    /// The moment of the query, such as 2026-01-31T12:00:00Z; now if not given. A date means its
    /// first moment (UTC). Purchases made at that moment or later are not known to the answer.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<Moment>,
    /// The default model if not given.
    #[serde(default)]
    model: Option<String>,
    /// Where candidates come from; the model alone if none is given. Not with `generation`.
    #[serde(default)]
    #[schema(value_type = Vec<CandidateSource>, max_items = 16)]
    sources: Vec<SourceBody>,
    #[serde(default)]
    filter: FilterBody,
    /// Rank only these articles. Those that are sold out, filtered out or excluded are left out;
    /// ids that the catalogue lacks come last.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Id>>, min_items = 1, max_items = 1_000)]
    article_ids: Option<Vec<ArticleId>>,
    #[serde(default)]
    #[schema(value_type = Exclude)]
    exclude: ObjectOf<Exclude>,
    /// How many articles may share a value of an attribute, by attribute.
    #[serde(default)]
    #[schema(value_type = Quotas)]
    max_per: BTreeMap<String, Whole>,
    /// Attributes to return with every article.
    #[serde(default)]
    #[schema(max_items = 64)]
    fields: Vec<String>,
    /// Return reasons with every article. Reasons that tell the customer's purchases need a key
    /// with the scope `read-purchases`.
    #[serde(default)]
    explain: bool,
    /// Write the list article by article, each continuing the history and the articles before it.
    /// Only sequence models can, for a customer or a visit, with `k` at most 50.
    #[serde(default)]
    #[schema(value_type = Option<ListGeneration>)]
    generation: Option<ObjectOf<ListGeneration>>,
}

/// One list for each of many customers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "customer_ids": ["000fe0cb", "00a12bc3"],
    "k": 6,
    "exclude": {"purchased": true},
    "fields": ["prod_name"]
}))]
pub(super) struct BatchRequest {
    /// The customers. One whose text is no id gets a problem in place of an answer.
    #[schema(min_items = 1, max_items = 1_000)]
    customer_ids: Vec<String>,
    /// How many articles for each; 12 if not given.
    #[serde(default = "default_k", deserialize_with = "number_in_batch")]
    #[schema(value_type = usize, minimum = 1, maximum = 50)]
    k: Whole,
    /// The moment of the query, such as 2026-01-31T12:00:00Z; now if not given.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<Moment>,
    /// The default model if not given.
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    filter: FilterBody,
    #[serde(default)]
    #[schema(value_type = Exclude)]
    exclude: ObjectOf<Exclude>,
    #[serde(default)]
    #[schema(value_type = Quotas)]
    max_per: BTreeMap<String, Whole>,
    /// Attributes to return with every article.
    #[serde(default)]
    #[schema(max_items = 16)]
    fields: Vec<String>,
    /// Return reasons with every article, as a single request does.
    #[serde(default)]
    explain: bool,
}

/// A source as the pipeline reads it. `12.0` is a whole number here.
#[derive(Debug)]
struct SourceBody(SourceSpec);

impl<'de> Deserialize<'de> for SourceBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let definition = whole_members(Map::deserialize(deserializer)?);
        SourceSpec::parse(definition).map(Self).map_err(D::Error::custom)
    }
}

/// A moment of a request. One beyond the years that purchases can have means the first or last of
/// them: before 1970 nothing is known, after 2106 everything.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Moment(Timestamp);

impl TryFrom<String> for Moment {
    type Error = InvalidTime;

    fn try_from(text: String) -> Result<Self, InvalidTime> {
        Timestamp::parse(&text).map(Self).or_else(|error| {
            let moment = OffsetDateTime::parse(&text, &Rfc3339).map_err(|_| error)?;
            Ok(Self(Timestamp(if moment.unix_timestamp() < 0 { 0 } else { u32::MAX })))
        })
    }
}

/// How an article of a generated list is chosen.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum ListGeneration {
    /// The likeliest article at every step.
    #[schema(title = "GreedyGeneration")]
    Greedy {},
    /// The likeliest list that a beam of this width finds; 4 if not given.
    #[schema(title = "BeamGeneration")]
    Beam {
        #[serde(default = "default_width")]
        #[schema(value_type = usize, minimum = 1, maximum = 8)]
        width: Whole,
    },
    /// Drawn by probability; the same request with the same seed gets the same list.
    #[schema(title = "SampledGeneration")]
    Sample {
        /// Below 1, likely articles become likelier; 1 if not given.
        #[serde(default = "one")]
        #[schema(minimum = 0.01, maximum = 10)]
        temperature: f32,
        /// Draw from the fewest articles that have this much of the probability together; 1 if not
        /// given.
        #[serde(default = "one")]
        #[schema(exclusive_minimum = 0, maximum = 1)]
        top_p: f32,
        #[serde(default = "default_seed")]
        #[schema(value_type = u64, maximum = 9_007_199_254_740_991i64)]
        seed: Whole,
    },
}

/// The visit of a guest or customer.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Session {
    /// Articles looked at, newest first. They are not answered back.
    #[serde(default)]
    #[schema(value_type = Vec<Id>, max_items = 200)]
    pub(super) article_ids: Vec<ArticleId>,
}

/// What must not be answered.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Exclude {
    #[serde(default)]
    #[schema(value_type = Vec<Id>, max_items = 10_000)]
    article_ids: Vec<ArticleId>,
    /// The customer's purchases.
    #[serde(default)]
    purchased: bool,
    /// The customer's purchases of so many last days.
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 36_500)]
    purchased_within_days: Option<Whole>,
    /// What the customer or visitor was shown so many times in the last 24 hours, as impressions
    /// tell.
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1_000)]
    seen_times_today: Option<Whole>,
    /// What the customer or visitor dislikes and has not wanted since; true if not given.
    #[serde(default)]
    disliked: Option<bool>,
}

/// Parameters of every list that is asked for by a query string.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// How many articles; 12 if not given.
    #[param(minimum = 1, maximum = 500)]
    k: Option<u64>,
    /// Leave out the first so many articles. Send `offset` with every page, 0 with the first.
    #[param(minimum = 0, maximum = 500)]
    offset: Option<u64>,
    /// The default model if not given.
    model: Option<String>,
    /// Attributes to return, separated by commas.
    fields: Option<String>,
    /// A filter as JSON, as in the body of `POST /v1/recommendations`.
    #[param(example = r#"{"index_group_name":"Ladieswear"}"#)]
    filter: Option<String>,
    /// Return reasons with every article.
    explain: Option<bool>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CustomerParams {
    /// How many articles; 12 if not given.
    #[param(minimum = 1, maximum = 500)]
    k: Option<u64>,
    /// Leave out the first so many articles. Send `offset` with every page, 0 with the first.
    #[param(minimum = 0, maximum = 500)]
    offset: Option<u64>,
    /// The default model if not given.
    model: Option<String>,
    /// Attributes to return, separated by commas.
    fields: Option<String>,
    /// A filter as JSON, as in the body of `POST /v1/recommendations`.
    #[param(example = r#"{"index_group_name":"Ladieswear"}"#)]
    filter: Option<String>,
    /// Leave out the customer's purchases.
    exclude_purchased: Option<bool>,
    /// Return reasons with every article. Reasons that tell the customer's purchases need a key
    /// with the scope `read-purchases`.
    explain: Option<bool>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PopularParams {
    /// How many articles; 12 if not given.
    #[param(minimum = 1, maximum = 500)]
    k: Option<u64>,
    /// Leave out the first so many articles. Send `offset` with every page, 0 with the first.
    #[param(minimum = 0, maximum = 500)]
    offset: Option<u64>,
    /// The default model if not given.
    model: Option<String>,
    /// Attributes to return, separated by commas.
    fields: Option<String>,
    /// A filter as JSON, as in the body of `POST /v1/recommendations`.
    #[param(example = r#"{"index_group_name":"Ladieswear"}"#)]
    filter: Option<String>,
    /// Return reasons with every article.
    explain: Option<bool>,
    /// Leave out what this customer bought.
    #[param(value_type = Option<Id>)]
    exclude_purchased_by: Option<CustomerId>,
}

impl RecommendationRequest {
    pub(super) fn into_request(self) -> Result<Asked, ApiError> {
        at_most("session.article_ids", self.session.0.article_ids.len(), MAX_SESSION)?;
        at_most("cart", self.cart.len(), MAX_CART)?;
        at_most("sources", self.sources.len(), MAX_SOURCES)?;
        let generation = self.generation()?;
        let recipe = Recipe {
            model: self.model,
            sources: self.sources.into_iter().map(|SourceBody(source)| source).collect(),
            filter: filter(&self.filter.0)?,
            exclude: self.exclude.0.checked()?,
            max_per: quotas(self.max_per)?,
            ..Recipe::default()
        };
        let request = Request {
            visitor: self.visitor_id,
            session: self.session.0.article_ids,
            cart: self.cart,
            offset: checked_offset(self.offset.map(|offset| offset.0))?,
            only: listed(self.article_ids)?,
            explain: self.explain,
            generation,
            recipe: Arc::new(recipe),
            ..Request::new(
                self.customer_id,
                top_k(self.k.0)?,
                self.at.map_or_else(next_second, |at| at.0),
            )
        };
        Ok((request, distinct_fields(self.fields)?))
    }

    fn generation(&self) -> Result<Option<Generation>, ApiError> {
        let Some(ObjectOf(generation)) = self.generation else { return Ok(None) };
        let (k, max) = (self.k.0, Generation::MAX_K);
        if k > max as u64 {
            return Err(ApiError::invalid(format!(
                "`k` must be 1 to {max} with `generation`, not {k}"
            )));
        }
        if self.offset.is_some() {
            return Err(ApiError::invalid(
                "a generated list has no pages: leave out `offset` or `generation`",
            ));
        }
        if !self.sources.is_empty() {
            let detail = "`sources` and `generation` exclude each other: name the source `generated` instead";
            return Err(ApiError::invalid(detail));
        }
        generation.checked().map(Some)
    }
}

impl BatchRequest {
    /// What is asked for every customer, the customers' ids as they were sent, and the attributes
    /// to return.
    pub(super) fn into_requests(self) -> Result<(Request, Vec<String>, Vec<String>), ApiError> {
        if self.customer_ids.is_empty() {
            return Err(ApiError::invalid("`customer_ids` names no customer"));
        }
        at_most("customer_ids", self.customer_ids.len(), MAX_BATCH)?;
        at_most("fields", self.fields.len(), MAX_BATCH_FIELDS)?;
        let k = self.k.0;
        if k > MAX_BATCH_K {
            return Err(ApiError::invalid(format!(
                "`k` must be 1 to {MAX_BATCH_K} in a batch, not {k}"
            )));
        }
        let recipe = Recipe {
            model: self.model,
            filter: filter(&self.filter.0)?,
            exclude: self.exclude.0.checked()?,
            max_per: quotas(self.max_per)?,
            ..Recipe::default()
        };
        let request = Request {
            explain: self.explain,
            recipe: Arc::new(recipe),
            ..Request::new(None, top_k(k)?, self.at.map_or_else(next_second, |at| at.0))
        };
        Ok((request, self.customer_ids, distinct_fields(self.fields)?))
    }
}

impl ListGeneration {
    fn checked(self) -> Result<Generation, ApiError> {
        let within =
            |name: &str, value: f32, least: f32, most: f32| match (least..=most).contains(&value) {
                true => Ok(()),
                false => Err(ApiError::invalid(format!(
                    "`generation.{name}` must be {least} to {most}, not {value}"
                ))),
            };
        Ok(match self {
            Self::Greedy {} => Generation::Greedy,
            Self::Beam { width: Whole(width) } => {
                within("width", width as f32, 1.0, Generation::MAX_WIDTH as f32)?;
                Generation::Beam { width: width as usize }
            }
            Self::Sample { temperature, top_p, seed: Whole(seed) } => {
                within("temperature", temperature, 0.01, 10.0)?;
                if !(top_p > 0.0 && top_p <= 1.0) {
                    let problem =
                        format!("`generation.top_p` must be above 0 and at most 1, not {top_p}");
                    return Err(ApiError::invalid(problem));
                }
                if seed > MAX_SEED {
                    return Err(ApiError::invalid(format!(
                        "`generation.seed` must be 0 to {MAX_SEED}, not {seed}"
                    )));
                }
                Generation::Sample(Sampling { temperature, top_p, seed })
            }
        })
    }
}

impl Exclude {
    fn checked(self) -> Result<recommend::Exclude, ApiError> {
        at_most("exclude.article_ids", self.article_ids.len(), MAX_EXCLUDED)?;
        let Self { article_ids, purchased, purchased_within_days, seen_times_today, disliked } =
            self;
        let within = |key: &str, number: Option<Whole>, most: u32| match number
            .map(|Whole(n)| (n, u32::try_from(n)))
        {
            None => Ok(None),
            Some((_, Ok(number))) if (1..=most).contains(&number) => Ok(Some(number)),
            Some((number, _)) => {
                Err(ApiError::invalid(format!("`exclude.{key}` must be 1 to {most}, not {number}")))
            }
        };
        Ok(recommend::Exclude {
            article_ids,
            purchased,
            purchased_within_days: within(
                "purchased_within_days",
                purchased_within_days,
                MAX_DAYS,
            )?,
            seen_times_today: within(
                "seen_times_today",
                seen_times_today,
                recommend::Exclude::MAX_TIMES,
            )?,
            disliked: disliked.unwrap_or(true),
        })
    }
}

impl ListParams {
    pub(super) fn into_request(
        self,
        subject: Subject,
        customer: Option<CustomerId>,
    ) -> Result<Asked, ApiError> {
        let filter = self.filter.as_deref().unwrap_or("{}");
        let filter = serde_json::from_str(filter)
            .map_err(|error| ApiError::invalid(format!("`filter`: {error}")))?;
        let fields =
            self.fields.iter().flat_map(|text| text.split(',')).map(str::to_owned).collect();
        let recipe =
            Recipe { model: self.model, filter: self::filter(&filter)?, ..Recipe::default() };
        let request = Request {
            subject,
            offset: checked_offset(self.offset)?,
            explain: self.explain.unwrap_or(false),
            recipe: Arc::new(recipe),
            ..Request::new(customer, top_k(self.k.unwrap_or(DEFAULT_K))?, next_second())
        };
        Ok((request, distinct_fields(fields)?))
    }
}

impl CustomerParams {
    pub(super) fn into_request(self, id: CustomerId) -> Result<Asked, ApiError> {
        let Self { k, offset, model, fields, filter, exclude_purchased, explain } = self;
        let list = ListParams { k, offset, model, fields, filter, explain };
        let (mut request, fields) = list.into_request(Subject::Customer, Some(id))?;
        Arc::make_mut(&mut request.recipe).exclude.purchased = exclude_purchased.unwrap_or(false);
        Ok((request, fields))
    }
}

impl PopularParams {
    pub(super) fn into_request(self) -> Result<Asked, ApiError> {
        let Self { k, offset, model, fields, filter, explain, exclude_purchased_by: but } = self;
        let list = ListParams { k, offset, model, fields, filter, explain };
        let excludes = but.is_some();
        let (mut request, fields) = list.into_request(Subject::Everyone, but)?;
        Arc::make_mut(&mut request.recipe).exclude.purchased = excludes;
        Ok((request, fields))
    }
}

fn default_width() -> Whole {
    Whole(4)
}

fn default_seed() -> Whole {
    Whole(0)
}

fn one() -> f32 {
    1.0
}

fn default_k() -> Whole {
    Whole(DEFAULT_K)
}

fn number_of_articles<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Whole, D::Error> {
    Whole::read(deserializer, format_args!("a whole number from 1 to {}", TopK::MAX))
}

fn number_in_batch<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Whole, D::Error> {
    Whole::read(deserializer, format_args!("a whole number from 1 to {MAX_BATCH_K}"))
}

pub(super) fn top_k(k: u64) -> Result<TopK, ApiError> {
    let valid = usize::try_from(k).ok().and_then(TopK::new);
    valid.ok_or_else(|| ApiError::invalid(format!("`k` must be 1 to {}, not {k}", TopK::MAX)))
}

pub(super) fn checked_offset(offset: Option<u64>) -> Result<Option<usize>, ApiError> {
    const MAX: u64 = Request::MAX_OFFSET as u64;
    match offset {
        Some(offset) if offset > MAX => Err(ApiError::invalid(format!(
            "`offset` must be 0 to {MAX}, not {offset}: ask for what is relevant, not for all"
        ))),
        offset => Ok(offset.map(|offset| offset as usize)),
    }
}

fn listed(ids: Option<Vec<ArticleId>>) -> Result<Option<Vec<ArticleId>>, ApiError> {
    match &ids {
        Some(ids) if ids.is_empty() => Err(ApiError::invalid(
            "`article_ids` lists no article: name some, or leave it out to rank all",
        )),
        Some(ids) => at_most("article_ids", ids.len(), MAX_LISTED),
        None => Ok(()),
    }?;
    Ok(ids)
}

/// The filter of a request. Whoever knows a customer's id may ask for recommendations, so what the
/// shop knows of customers must not show in what a filter of theirs selects.
fn filter(conditions: &BTreeMap<String, Value>) -> Result<Filter, ApiError> {
    let filter = Filter::parse(conditions)?;
    if filter.reads_customer() {
        return Err(ApiError::invalid(
            "`filter`: only the filter of a placement may have `from`; give the value itself",
        ));
    }
    Ok(filter)
}

fn quotas(max_per: BTreeMap<String, Whole>) -> Result<Vec<(String, usize)>, ApiError> {
    at_most("max_per", max_per.len(), MAX_QUOTAS)?;
    let quota = |(name, Whole(limit)): (String, Whole)| match u16::try_from(limit) {
        Ok(0) | Err(_) => Err(ApiError::invalid(format!(
            "`max_per.{name}` must be at least 1 and at most {}",
            u16::MAX
        ))),
        Ok(limit) => Ok((name, usize::from(limit))),
    };
    max_per.into_iter().map(quota).collect()
}

/// An object has no key twice: a name that is given twice is answered once.
fn distinct_fields(mut fields: Vec<String>) -> Result<Vec<String>, ApiError> {
    at_most("fields", fields.len(), MAX_FIELDS)?;
    let mut seen = BTreeSet::new();
    fields.retain(|name| seen.insert(name.clone()));
    Ok(fields)
}

pub(super) fn at_most(what: &str, count: usize, max: usize) -> Result<(), ApiError> {
    if count > max {
        Err(ApiError::invalid(format!("`{what}` holds at most {max}, not {count}")))
    } else {
        Ok(())
    }
}
