//! Requests and answers of the pipeline.

use super::{Filter, FilterError, Generation, ModelError, UnmatchedValue};
use crate::{
    domain::{ArticleId, CustomerId, Timestamp, TopK},
    features::Attributes,
    retrieval::QueryError,
};

/// What is asked of the pipeline.
#[derive(Clone)]
pub struct Request<'a> {
    pub subject: Subject<'a>,
    pub k: TopK,
    /// Leave out the first so many articles of the list, at most [`Request::MAX_OFFSET`]. All pages
    /// of one request on one snapshot are parts of one list, so no article is on two of them.
    /// `None` is the first page, too, but searches no deeper than it must.
    pub offset: Option<usize>,
    /// The moment of the query: purchases made at it or later are not known. Popularity and catalogue stay today's.
    pub at: Timestamp,
    pub filter: &'a Filter,
    /// Rank only these articles.
    pub only: Option<&'a [ArticleId]>,
    pub exclude: Exclude<'a>,
    /// At most so many articles that share a value of the attribute.
    pub max_per: &'a [(String, usize)],
    /// Give reasons with every article.
    pub explain: bool,
    /// Reasons may tell what the customer bought.
    pub tell_purchases: bool,
    /// Write the list item by item, by a sequence model and for a customer only; `k` is then at most
    /// [`Generation::MAX_K`]. `None`: the nearest articles at once.
    pub generation: Option<Generation>,
}

impl Request<'_> {
    pub const MAX_OFFSET: usize = TopK::MAX;
    /// Articles in the list that pages are parts of.
    pub(super) const PAGED: usize = Self::MAX_OFFSET + TopK::MAX;
}

/// For whom or what articles are sought.
#[derive(Clone, Copy)]
pub enum Subject<'a> {
    Customer(Customer<'a>),
    /// Articles like this one.
    Article(&'a ArticleId),
    /// What sells best.
    Everyone,
}

/// A customer or guest, as far as known.
#[derive(Clone, Copy)]
pub struct Customer<'a> {
    /// `None` for a guest.
    pub id: Option<&'a CustomerId>,
    /// Whether the shop has a record of the customer, which `attributes` and `purchases` come from.
    pub recorded: bool,
    pub attributes: &'a dyn Attributes,
    /// Newest first.
    pub purchases: &'a [ArticleId],
    /// When they were made; those without an entry count as made at the moment of the query.
    pub purchase_times: &'a [Timestamp],
    /// How much each counts; those without an entry count 1.
    pub purchase_weights: &'a [f32],
    /// Articles looked at in this visit, newest first.
    pub session: &'a [ArticleId],
}

/// What must not be answered, besides what is unavailable.
#[derive(Debug, Clone, Copy, Default)]
pub struct Exclude<'a> {
    pub article_ids: &'a [ArticleId],
    /// The customer's purchases.
    pub purchased: bool,
}

/// The ranked articles and how they came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// How many articles of the list come before these.
    pub offset: usize,
    pub items: Vec<Ranked>,
    pub strategy: Strategy,
    pub fallback: Option<Fallback>,
    pub counts: Counts,
    pub warnings: Vec<Warning>,
    /// Of [`Request::only`]: ids that the catalogue lacks, in the order of the request.
    pub unknown: Vec<ArticleId>,
    /// Those of `unknown` that belong at the end of this page, behind `items`.
    pub last: Vec<ArticleId>,
    /// Values of the filter that no article has.
    pub unmatched: Vec<UnmatchedValue>,
    /// How the index was searched; `None` when it was not.
    pub search: Option<&'static str>,
}

/// One ranked article.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// Row in the snapshot's catalogue.
    pub row: u32,
    /// Higher is better; comparable only between articles of the same source in the same answer.
    pub score: f32,
    pub source: Source,
    pub reasons: Vec<Reason>,
}

/// Where an article in the answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Ranked by the model: nearest to the query vector, with their inner product as the score, or bought before, with
    /// the decayed count of those purchases as the score.
    Model,
    /// Continues the customer's history and the articles before it in the list; the score is the log of its probability
    /// among the likeliest next articles.
    Generated,
    /// Sells well; the score is its purchases, old ones counting less, or those of the training window where the shop's
    /// own are not counted.
    Popular,
    /// Eligible, but without known sales; only after every other.
    Catalogue,
    /// Named in `article_ids` and not in the catalogue; the score is 0.
    Unknown,
}

impl Source {
    /// As it is written in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Generated => "generated",
            Self::Popular => "popular",
            Self::Catalogue => "catalogue",
            Self::Unknown => "unknown",
        }
    }
}

/// How the query was formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// By the query tower.
    Personalised,
    /// By the articles of the visit alone.
    Session,
    /// Item by item, each continuing the history and the items before it.
    Generated,
    /// By an article.
    Similar,
    /// No query: by popularity.
    Popular,
}

impl Strategy {
    /// As it is written in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Personalised => "personalised",
            Self::Session => "session",
            Self::Generated => "generated",
            Self::Similar => "similar",
            Self::Popular => "popular",
        }
    }
}

/// Why the answer is less than what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Fallback {
    /// Nothing is known of the customer: popularity.
    UnknownCustomer,
    /// The model has no row of this customer: its unknown row, with attributes, purchases and visit as far as known.
    UnknownToModel,
    /// Neither a customer nor a visit was named: popularity.
    Anonymous,
    /// The model has no vector of the article: popularity.
    NoVector,
}

/// Something the caller may want to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Warning {
    /// The database did not answer: attributes and purchases of the customer are unknown.
    CustomerDataUnavailable,
    /// The database did not answer: attributes and purchases of the customer are those of an earlier moment.
    CustomerDataStale,
    /// The server started without the database: attributes and availability of articles are unknown.
    CatalogueUnavailable,
    /// Some articles of the visit are not in the catalogue.
    UnknownSessionArticles,
    /// The model reads no visits, so this one made no difference.
    SessionNotUsed,
    /// The catalogue lacks some of `article_ids`; see `meta.unknown_article_ids`.
    UnknownArticleIds,
    /// No article has some value of the filter; see `meta.unmatched_filter_values`.
    UnmatchedFilterValues,
    /// Reasons that tell the customer's purchases are left out: the key lacks the scope `read-purchases`.
    PurchasesNotTold,
}

/// How many articles passed each stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Counts {
    /// Found by the model.
    pub retrieved: usize,
    /// Ruled out by availability, filter or exclusion, of the whole catalogue.
    pub filtered: usize,
    /// Added by popularity because the model found too few.
    pub filled: usize,
}

/// Why an article is in the answer. Rows are those of the snapshot's catalogue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reason {
    /// The customer bought this very article, so many times.
    BoughtBefore { times: usize },
    /// The closest of the customer's purchases.
    LikePurchased { row: u32, similarity: f32 },
    /// The closest of the articles looked at in this visit, or the article asked about.
    LikeSeen { row: u32, similarity: f32 },
    /// Position among all articles by sales, from 1.
    BestSeller { rank: usize },
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RecommendError {
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error("`max_per` on `{0}`: it holds several values an article; name an attribute with one")]
    MaxPerTags(String),
    #[error(
        "the model `{0}` reads no sequences, so it cannot generate a list; name a sequence model in `model`, or leave \
         `generation` out"
    )]
    NoSequence(String),
    #[error("the catalogue has no article `{0}`")]
    UnknownArticle(ArticleId),
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model's vector does not fit its index: the bundle is at fault.
    #[error(transparent)]
    Search(#[from] QueryError),
}
