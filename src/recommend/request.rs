//! Requests of the pipeline.

use super::{
    Action, Filter, Generation, Snapshot,
    rules::Rules,
    sources::{self, SourceSpec},
};
use crate::{
    domain::{ArticleId, CustomerId, Timestamp, TopK, VisitorId},
    features::Attributes,
};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

/// What is asked for: for whom, about what, how many, and how the answer is made. Owned, so that it
/// can move to another thread; every route makes one.
#[derive(Debug, Clone)]
pub struct Request {
    pub subject: Subject,
    /// Who asks; `None` for a guest.
    pub customer: Option<CustomerId>,
    /// The browser of whoever asks; what was done there counts as done by the customer.
    pub visitor: Option<VisitorId>,
    /// Articles looked at in this visit, newest first. They are not answered back.
    pub session: Vec<ArticleId>,
    /// Articles in the customer's cart, the latest first. They are not answered back either.
    pub cart: Vec<ArticleId>,
    pub k: TopK,
    /// Leave out the first so many articles of the list, at most [`Request::MAX_OFFSET`]. All pages
    /// of one request on one snapshot are parts of one list, so no article is on two of them.
    /// `None` is the first page, too, but searches no deeper than it must.
    pub offset: Option<usize>,
    /// The moment of the query: purchases made at it or later are not known. Popularity and
    /// catalogue stay today's.
    pub at: Timestamp,
    /// Rank only these articles.
    pub only: Option<Vec<ArticleId>>,
    /// Give reasons with every article.
    pub explain: bool,
    /// Reasons may tell what the customer bought.
    pub tell_purchases: bool,
    /// Write the list item by item, by a sequence model and for a customer only; `k` is then at
    /// most
    /// [`Generation::MAX_K`]. `None`: the nearest articles at once.
    pub generation: Option<Generation>,
    /// After so much time, sources that were not asked yet are left out. An evaluation has all the
    /// time there is: what it measures must not depend on how busy the machine is.
    pub time: Duration,
    pub recipe: Arc<Recipe>,
}

/// For whom or what articles are sought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The customer or guest who asks.
    Customer,
    /// Articles like this one.
    Article(ArticleId),
    /// What sells best.
    Everyone,
}

/// How an answer is made: the same for every customer of a placement.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recipe {
    /// `None`: the default model.
    pub model: Option<String>,
    /// Where candidates come from; none: the model alone.
    pub sources: Vec<SourceSpec>,
    /// The model that ranks the candidates, of the family `ranker`; `None`: they are ranked by
    /// their ranks in the sources.
    pub ranker: Option<String>,
    pub filter: Filter,
    pub exclude: Exclude,
    /// At most so many articles that share a value of the attribute.
    pub max_per: Vec<(String, usize)>,
    pub rules: Rules,
    /// How unlike each other the articles shall be: 0, not at all, to 1, above all.
    pub diversity: f32,
    /// Sources that are asked, one after the other, while the list is too short. What sells best
    /// comes after them.
    pub fallback: Vec<SourceSpec>,
}

/// What must not be answered, besides what is unavailable; in placements as it stands here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Exclude {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub article_ids: Vec<ArticleId>,
    /// The customer's purchases.
    pub purchased: bool,
    /// The customer's purchases of so many last days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purchased_within_days: Option<u32>,
    /// What the customer was shown so many times in the last 24 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen_times_today: Option<u32>,
    /// What the customer dislikes.
    #[serde(skip_serializing_if = "is_true")]
    pub disliked: bool,
}

/// A customer or guest, as far as the shop knows.
#[derive(Clone, Copy)]
pub struct Customer<'a> {
    /// Whether the shop has a record of the customer, which the rest comes from.
    pub recorded: bool,
    pub attributes: &'a dyn Attributes,
    /// Newest first.
    pub purchases: &'a [ArticleId],
    /// When they were made; those without an entry count as made at the moment of the query.
    pub purchase_times: &'a [Timestamp],
    /// How much each counts; those without an entry count 1.
    pub purchase_weights: &'a [f32],
    /// What they did besides, newest first.
    pub actions: &'a [Action],
}

impl Request {
    pub const MAX_OFFSET: usize = TopK::MAX;
    /// Articles in the list that pages are parts of.
    pub(super) const PAGED: usize = Self::MAX_OFFSET + TopK::MAX;

    /// A request for a customer or guest that asks for nothing special.
    pub fn new(customer: Option<CustomerId>, k: TopK, at: Timestamp) -> Self {
        Self {
            subject: Subject::Customer,
            customer,
            visitor: None,
            session: Vec::new(),
            cart: Vec::new(),
            k,
            offset: None,
            at,
            only: None,
            explain: false,
            tell_purchases: false,
            generation: None,
            time: sources::TIME,
            recipe: Arc::default(),
        }
    }

    /// Articles that the list of this request has, of which it may ask for a part.
    pub(super) fn length(&self) -> usize {
        self.offset.map_or(self.k.get(), |_| Self::PAGED)
    }
}

impl Recipe {
    /// Whether an answer by it is little work besides that of its sources.
    pub fn is_light(&self, snapshot: &Snapshot) -> bool {
        let plain = self.rules.is_empty() && self.diversity == 0.0 && self.max_per.is_empty();
        plain && snapshot.remembers(&self.filter)
    }
}

impl Default for Exclude {
    fn default() -> Self {
        Self {
            article_ids: Vec::new(),
            purchased: false,
            purchased_within_days: None,
            seen_times_today: None,
            disliked: true,
        }
    }
}

impl Exclude {
    /// Greatest number of times in [`Self::seen_times_today`].
    pub const MAX_TIMES: u32 = 1_000;

    /// Whether the answer depends on what the customer bought, however long ago.
    pub fn reads_purchases(&self) -> bool {
        self.purchased || self.purchased_within_days.is_some()
    }
}

impl Customer<'static> {
    /// Somebody of whom nothing is known.
    pub const UNKNOWN: Self = Self {
        recorded: false,
        attributes: &crate::features::NoAttributes,
        purchases: &[],
        purchase_times: &[],
        purchase_weights: &[],
        actions: &[],
    };
}

fn is_true(value: &bool) -> bool {
    *value
}
