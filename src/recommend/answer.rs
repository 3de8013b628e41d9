//! Answers of the pipeline.

use super::{FilterError, ModelError, UnmatchedValue, rank::RankedBy, rules::IgnoredRule};
use crate::{domain::ArticleId, retrieval::QueryError};
use std::time::Duration;

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
    /// Of [`super::Request::only`]: ids that the catalogue lacks, in the order of the request.
    pub unknown: Vec<ArticleId>,
    /// Those of `unknown` that belong at the end of this page, behind `items`.
    pub last: Vec<ArticleId>,
    /// Values of the filter that no article has.
    pub unmatched: Vec<UnmatchedValue>,
    /// How the index was searched; `None` when it was not.
    pub search: Option<&'static str>,
    /// What each source of the request gave, in their order; none where it names none.
    pub sources: Vec<SourceCount>,
    /// Whether the caller must not learn what each source gave: it tells purchases. The articles
    /// have [`PERSONAL`](super::sources::PERSONAL) as their source then.
    pub sources_withheld: bool,
    /// Rules that this answer does without.
    pub ignored_rules: Vec<IgnoredRule>,
    /// Whether the articles have their reasons, sources and rules.
    pub explained: bool,
    /// How long it took to form the query. Not part of what answers are compared by.
    pub embedding: Elapsed,
}

/// What a source gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct SourceCount {
    pub source: &'static str,
    /// Candidates that it found.
    pub found: usize,
    /// Articles of this answer that it ranked best of all sources.
    pub answered: usize,
    /// Whether it failed or had no time left: the answer does without it.
    pub left_out: bool,
}

/// A time that was taken. All are equal: the same answer may take longer another time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Elapsed(pub Duration);

impl PartialEq for Elapsed {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

/// One ranked article.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// Row in the snapshot's catalogue.
    pub row: u32,
    /// Higher is better; comparable only between articles of the same source in the same answer.
    pub score: f32,
    /// The name of the source that ranked it best; see [`super::sources`].
    pub source: &'static str,
    pub reasons: Vec<Reason>,
    /// The sources that found it, with [`Request::explain`](super::Request::explain).
    pub found: Vec<FoundBy>,
    /// Names of the rules that touched it, with [`Request::explain`](super::Request::explain).
    pub rules: Vec<String>,
    /// What speaks for it in the eyes of the learned ranker, with
    /// [`Request::explain`](super::Request::explain); none where purchases must not be told.
    pub ranked_by: Vec<RankedBy>,
}

/// A source that found an article.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct FoundBy {
    pub source: &'static str,
    /// Its place among what the source found, from 1.
    pub rank: usize,
    /// As the source counts.
    pub score: f32,
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
    /// By several sources, or by one that the request or its placement names.
    Pipeline,
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
            Self::Pipeline => "pipeline",
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
    /// The model has no row of this customer: its unknown row, with attributes, purchases and visit
    /// as far as known.
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
    /// The database did not answer: attributes and purchases of the customer are those of an
    /// earlier moment.
    CustomerDataStale,
    /// The server started without the database: attributes and availability of articles are
    /// unknown.
    CatalogueUnavailable,
    /// Some articles of the visit are not in the catalogue.
    UnknownSessionArticles,
    /// The model reads no visits, so this one made no difference.
    SessionNotUsed,
    /// The catalogue lacks some of `article_ids`; see `meta.unknown_article_ids`.
    UnknownArticleIds,
    /// Parts of the placement no longer fit the catalogue or the models and were left out; see
    /// `meta.placement.ignored`.
    PlacementReduced,
    /// A source failed or had no time left; see `meta.sources`.
    SourceLeftOut,
    /// The ranker failed: the articles are ordered by their ranks in the sources.
    RankerLeftOut,
    /// No article has some value of the filter; see `meta.unmatched_filter_values`.
    UnmatchedFilterValues,
    /// Reasons and sources that tell the customer's purchases are left out: the key lacks the scope
    /// `read-purchases`.
    PurchasesNotTold,
    /// A rule of the placement is ignored; see `meta.ignored_rules`.
    RuleIgnored,
    /// A condition of the filter is left out: the article or the customer has no such value.
    ConditionLeftOut,
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
    #[error("the purchases of the shop are not counted yet; try again in a minute")]
    NoStatistics,
    #[error("source `{source_name}`: {problem}")]
    SourceUnfit { source_name: &'static str, problem: String },
    #[error("`ranker` `{ranker}`: {problem}")]
    RankerUnfit { ranker: String, problem: String },
    #[error("no model `{0}` is served over this catalogue")]
    UnknownModel(String),
    #[error("the catalogue has no article `{0}`")]
    UnknownArticle(ArticleId),
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model's vector does not fit its index: the bundle is at fault.
    #[error(transparent)]
    Search(#[from] QueryError),
}
