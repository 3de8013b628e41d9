//! The two steps of an answer: [`plan`] forms the query, [`recommend`] finds, picks and fills.

use super::{
    Answer, Counts, Customer, Eligible, Fallback, Filter, Model, ModelError, Ranked, Reason, RecommendError, Request,
    Snapshot, Source, Strategy, Subject, Warning, context,
    generate::{Task, generate},
    own,
    select::Picks,
};
use crate::{
    domain::{ArticleId, Timestamp},
    features::CustomerView,
    retrieval::{Index, Query},
};
use std::{borrow::Cow, sync::Arc};

/// What a request comes to on a snapshot, before any search.
#[derive(Debug, Clone)]
pub struct Plan {
    basis: Basis,
    strategy: Strategy,
    fallback: Option<Fallback>,
    warnings: Vec<Warning>,
    /// Catalogue rows of the visit (or of the article asked about), newest first.
    seen: Vec<u32>,
    /// Catalogue rows of the purchases, newest first; only where the request needs them.
    purchased: Vec<u32>,
}

/// What the articles are ranked by.
#[derive(Debug, Clone)]
enum Basis {
    /// Their inner products with the query vector.
    Vector(Vec<f32>),
    /// How often the customer bought them: catalogue rows and scores, the highest first.
    Own(Vec<(u32, f32)>),
    Popularity,
}

/// With `explain`, reasons look this far back.
const REASONS_FROM: usize = 50;
/// With `max_per`, rounds of retrieval, each four times as wide as the one before.
const ROUNDS: u32 = 3;

impl Plan {
    fn popular(fallback: Option<Fallback>) -> Self {
        Self {
            basis: Basis::Popularity,
            strategy: Strategy::Popular,
            fallback,
            warnings: Vec::new(),
            seen: Vec::new(),
            purchased: Vec::new(),
        }
    }
}

/// Forms the query: whose vector, and what to say about it.
///
/// # Errors
/// [`RecommendError::UnknownArticle`] for articles like one that the catalogue lacks; [`RecommendError::NoSequence`]; a
/// failing tower.
pub fn plan(snapshot: &Snapshot, request: &Request<'_>) -> Result<Plan, RecommendError> {
    let request = &context::known(request);
    if request.generation.is_some() && !snapshot.model().reads_sequence() {
        return Err(RecommendError::NoSequence(snapshot.model().name().to_owned()));
    }
    match &request.subject {
        Subject::Everyone => Ok(Plan::popular(None)),
        Subject::Article(id) => plan_article(snapshot, id),
        Subject::Customer(customer) => plan_customer(snapshot, customer, request),
    }
}

fn plan_article(snapshot: &Snapshot, id: &ArticleId) -> Result<Plan, RecommendError> {
    let row = snapshot.catalogue().row(id.as_str()).ok_or_else(|| RecommendError::UnknownArticle(id.clone()))?;
    let seen = vec![row];
    Ok(match snapshot.vector(row) {
        Some(vector) => {
            let basis = Basis::Vector(vector.to_vec());
            Plan { basis, strategy: Strategy::Similar, seen, ..Plan::popular(None) }
        }
        None => Plan { seen, ..Plan::popular(Some(Fallback::NoVector)) },
    })
}

fn plan_customer(snapshot: &Snapshot, customer: &Customer<'_>, request: &Request<'_>) -> Result<Plan, RecommendError> {
    let model = snapshot.model();
    let rows = |ids: &mut dyn Iterator<Item = &ArticleId>| -> Vec<u32> {
        ids.filter_map(|id| snapshot.catalogue().row(id.as_str())).collect()
    };
    let seen = rows(&mut customer.session.iter());
    let named = request.exclude.purchased || request.explain;
    let purchased = if named { rows(&mut customer.purchases.iter()) } else { Vec::new() };
    let at = request.at;
    let mut warnings = Vec::new();
    if seen.len() < customer.session.len() {
        warnings.push(Warning::UnknownSessionArticles);
    }
    if let Some(frequency) = model.frequency() {
        if !seen.is_empty() {
            // A visit's articles are never answered back, and a model that counts knows no others by them.
            warnings.push(Warning::SessionNotUsed);
        }
        let own = own::ranked(snapshot, customer, &frequency, at);
        if !own.is_empty() {
            let basis = Basis::Own(own);
            return Ok(Plan { basis, strategy: Strategy::Personalised, fallback: None, warnings, seen, purchased });
        }
        let fallback = if customer.id.is_some() { Fallback::UnknownCustomer } else { Fallback::Anonymous };
        return Ok(Plan { warnings, seen, purchased, ..Plan::popular(Some(fallback)) });
    }
    let has_row = customer.id.is_some_and(|id| model.knows_customer(id.as_str()));
    // A model that reads nothing but the history has nothing to say where none of it is known.
    let silent = model.needs_history() && history(snapshot, customer, at).0.is_empty();
    let (basis, strategy, fallback) = if customer.id.is_some() && (has_row || customer.recorded) && !silent {
        if !seen.is_empty() && !model.reads_history() {
            warnings.push(Warning::SessionNotUsed);
        }
        let fallback = (!has_row && !model.needs_history()).then_some(Fallback::UnknownToModel);
        (Basis::Vector(embed(snapshot, customer, at, &[])?), Strategy::Personalised, fallback)
    } else {
        let fallback = customer.id.map(|_| Fallback::UnknownCustomer);
        match session_vector(snapshot, customer, &seen, at)? {
            Some(vector) => (Basis::Vector(vector), Strategy::Session, fallback.map(|_| Fallback::UnknownToModel)),
            None => (Basis::Popularity, Strategy::Popular, fallback.or(Some(Fallback::Anonymous))),
        }
    };
    Ok(Plan { basis, strategy, fallback, warnings, seen, purchased })
}

/// The query tower's vector of the customer with generated items, visit and purchases as the history, newest first.
pub(super) fn embed(
    snapshot: &Snapshot,
    customer: &Customer<'_>,
    at: Timestamp,
    generated: &[u32],
) -> Result<Vec<f32>, RecommendError> {
    let model = snapshot.model();
    let (history, times) = match model.reads_history() {
        true => {
            let (known, times) = history(snapshot, customer, at);
            // What is generated is bought at the moment of the query.
            let now = generated.iter().map(|_| at);
            (generated.iter().copied().chain(known).collect(), now.chain(times).collect())
        }
        false => (Vec::new(), Vec::new()),
    };
    let id = customer.id.map(|id| id.as_str());
    let view = CustomerView { id, attributes: customer.attributes, at, history: &history, times: &times };
    let mut vector = Vec::new();
    model.embed_customer(&view, &mut vector)?;
    Ok(vector)
}

/// The items of visit and purchases that the model knows, newest first, and when they were looked at or bought.
fn history(snapshot: &Snapshot, customer: &Customer<'_>, at: Timestamp) -> (Vec<u32>, Vec<Timestamp>) {
    let visit = customer.session.iter().map(|id| (id, at));
    let times = customer.purchase_times.iter().copied().chain(std::iter::repeat(at));
    let newest_first = visit.chain(customer.purchases.iter().zip(times));
    newest_first.filter_map(|(id, at)| Some((snapshot.model().item(id.as_str())?, at))).unzip()
}

/// The vector of a visit: by the query tower when it reads histories, else the mean direction of the articles.
fn session_vector(
    snapshot: &Snapshot,
    customer: &Customer<'_>,
    seen: &[u32],
    at: Timestamp,
) -> Result<Option<Vec<f32>>, RecommendError> {
    let reads_any = snapshot.model().reads_history() && seen.iter().any(|&row| snapshot.item_of_row(row).is_some());
    if reads_any {
        return embed(snapshot, customer, at, &[]).map(Some);
    }
    let mut sum = vec![0.0; snapshot.model().index().map_or(0, Index::dim)];
    for vector in seen.iter().filter_map(|&row| snapshot.vector(row)) {
        let norm = dot(vector, vector).sqrt();
        if norm > 0.0 {
            sum.iter_mut().zip(vector).for_each(|(sum, x)| *sum += x / norm);
        }
    }
    let norm = dot(&sum, &sum).sqrt();
    sum.iter_mut().for_each(|x| *x /= norm);
    Ok((norm > 1e-6).then_some(sum))
}

/// Whether a filter and quotas fit the catalogue, for requests that share them.
///
/// # Errors
/// What [`recommend`] would say of them.
pub fn check(snapshot: &Snapshot, filter: &Filter, max_per: &[(String, usize)]) -> Result<(), RecommendError> {
    snapshot.eligible(filter)?;
    Picks::new(snapshot, 0, max_per).map(drop)
}

/// Finds, picks and fills.
///
/// # Errors
/// When filter or `max_per` do not fit the catalogue.
pub fn recommend(snapshot: &Snapshot, request: &Request<'_>, plan: &Plan) -> Result<Answer, RecommendError> {
    let request = &context::known(request);
    let allowed = snapshot.eligible(request.filter)?;
    let eligible = without_excluded(snapshot, request, plan, &allowed);
    // Pages are parts of one list: a graph searched less deeply may find other articles.
    let length = request.offset.map_or(request.k.get(), |_| Request::PAGED);
    let mut picks = Picks::new(snapshot, length, request.max_per)?;
    let mut strategy = plan.strategy;
    let (retrieved, search) = match (&plan.basis, request.generation, &request.subject) {
        (Basis::Vector(first), Some(generation), Subject::Customer(customer)) => {
            let task = Task { snapshot, request, customer, items: &eligible.items, first };
            let search;
            (picks, search) = generate(&task, generation, picks)?;
            strategy = Strategy::Generated;
            (picks.items.len(), Some(search))
        }
        (Basis::Vector(vector), ..) => retrieve(snapshot, vector, &eligible, &mut picks)?,
        (Basis::Own(own), ..) => (offer_own(own, &eligible, &mut picks), None),
        (Basis::Popularity, ..) => (0, None),
    };
    let found = picks.items.len();
    picks.fill(snapshot, &eligible.rows);
    let filled = picks.items.len() - found;
    let Page { mut items, unknown, last } = page(snapshot, request, picks.items);
    let counts = Counts {
        retrieved,
        filtered: snapshot.catalogue().len() - eligible.rows.count(),
        filled: if matches!(plan.basis, Basis::Popularity) { 0 } else { filled },
    };
    if request.explain {
        items.iter_mut().for_each(|item| item.reasons = reasons(snapshot, plan, item, request.tell_purchases));
    }
    let unmatched = request.filter.unmatched(snapshot.catalogue());
    let mut warnings = plan.warnings.clone();
    // Whether or not there are purchases: that alone would tell something.
    let withheld = request.explain && !request.tell_purchases && matches!(request.subject, Subject::Customer(_));
    let more = [
        (!unknown.is_empty(), Warning::UnknownArticleIds),
        (!unmatched.is_empty(), Warning::UnmatchedFilterValues),
        (withheld, Warning::PurchasesNotTold),
    ];
    warnings.extend(more.into_iter().filter_map(|(holds, warning)| holds.then_some(warning)));
    let (offset, fallback) = (request.offset.unwrap_or(0), plan.fallback);
    Ok(Answer { offset, items, strategy, fallback, counts, warnings, unknown, last, unmatched, search })
}

/// The part of a list that a request asks for.
struct Page {
    items: Vec<Ranked>,
    /// Ids of [`Request::only`] that the catalogue lacks.
    unknown: Vec<ArticleId>,
    /// Those of them on this page, behind `items`.
    last: Vec<ArticleId>,
}

fn page(snapshot: &Snapshot, request: &Request<'_>, mut list: Vec<Ranked>) -> Page {
    let mut unknown: Vec<ArticleId> = Vec::new();
    for id in request.only.unwrap_or_default() {
        if snapshot.catalogue().row(id.as_str()).is_none() && !unknown.contains(id) {
            unknown.push(id.clone());
        }
    }
    let (offset, k) = (request.offset.unwrap_or(0), request.k.get());
    let before = list.len();
    list.drain(..offset.min(before));
    list.truncate(k);
    let passed = offset.saturating_sub(before);
    let last = unknown.iter().skip(passed).take(k - list.len()).cloned().collect();
    Page { items: list, unknown, last }
}

/// Takes out what the request excludes and all that it does not list, if it lists any; what was
/// seen in the visit is never answered back.
fn without_excluded<'a>(
    snapshot: &Snapshot,
    request: &Request<'_>,
    plan: &Plan,
    eligible: &'a Arc<Eligible>,
) -> Cow<'a, Eligible> {
    let named = request.exclude.article_ids.iter().filter_map(|id| snapshot.catalogue().row(id.as_str()));
    let purchased = plan.purchased.iter().copied().filter(|_| request.exclude.purchased);
    let mut excluded = named.chain(purchased).chain(plan.seen.iter().copied()).peekable();
    if excluded.peek().is_none() && request.only.is_none() {
        return Cow::Borrowed(eligible);
    }
    let mut rest = Eligible::clone(eligible);
    if let Some(ids) = request.only {
        let rows = ids.iter().filter_map(|id| snapshot.catalogue().row(id.as_str()));
        rest = snapshot.restricted(&rest, rows);
    }
    for row in excluded {
        snapshot.exclude(&mut rest, row);
    }
    Cow::Owned(rest)
}

/// Offers the customer's own articles; answers how many may be answered.
fn offer_own(own: &[(u32, f32)], eligible: &Eligible, picks: &mut Picks<'_>) -> usize {
    let allowed = own.iter().filter(|(row, _)| eligible.rows.contains(*row));
    allowed.inspect(|&&(row, score)| picks.offer(row, score, Source::Model)).count()
}

/// The index of a model with vectors.
///
/// # Errors
/// When the model has none: it must not have formed a query vector then.
pub(super) fn index(model: &dyn Model) -> Result<&dyn Index, ModelError> {
    model.index().ok_or_else(|| ModelError("it has no vectors".to_owned()))
}

/// Offers the nearest articles; answers how many were found and how.
fn retrieve(
    snapshot: &Snapshot,
    vector: &[f32],
    eligible: &Eligible,
    picks: &mut Picks<'_>,
) -> Result<(usize, Option<&'static str>), RecommendError> {
    let index = index(&**snapshot.model())?;
    let everything = eligible.items.count() == index.len();
    let allowed = (!everything).then_some(&eligible.items);
    let mut query = Query { vector, k: picks.k(), allowed };
    let plan = snapshot.model().search_plan(&query);
    let mut round = 1;
    loop {
        let hits = index.search(&query)?;
        let fresh = snapshot.nearest_fresh(vector, query.k, eligible)?;
        let exhausted = hits.len() < query.k && fresh.len() < query.k;
        let indexed = hits.iter().filter_map(|hit| Some((hit.score, snapshot.row_of_item(hit.item)?)));
        let found = merge(indexed, &fresh, query.k);
        let count = found.len();
        found.into_iter().for_each(|(score, row)| picks.offer(row, score, Source::Model));
        if picks.is_full() || exhausted || !picks.has_quotas() || round == ROUNDS {
            return Ok((count, Some(plan)));
        }
        query.k *= 4;
        round += 1;
    }
}

/// The best `k` of two lists in order of falling score; the first list wins ties.
fn merge(indexed: impl Iterator<Item = (f32, u32)>, fresh: &[(f32, u32)], k: usize) -> Vec<(f32, u32)> {
    let (mut indexed, mut fresh) = (indexed.peekable(), fresh.iter().copied().peekable());
    std::iter::from_fn(|| match (indexed.peek(), fresh.peek()) {
        (Some(a), Some(b)) if b.0 > a.0 => fresh.next(),
        (Some(_), _) => indexed.next(),
        (None, _) => fresh.next(),
    })
    .take(k)
    .collect()
}

/// Without `tell_purchases` no reason shows what the customer bought.
fn reasons(snapshot: &Snapshot, plan: &Plan, item: &Ranked, tell_purchases: bool) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let purchased: &[u32] = if tell_purchases { &plan.purchased } else { &[] };
    let times = purchased.iter().filter(|&&row| row == item.row).count();
    if times > 0 {
        reasons.push(Reason::BoughtBefore { times });
    }
    if matches!(item.source, Source::Model | Source::Generated) {
        let closest = |rows: &[u32]| {
            let vector = snapshot.vector(item.row)?;
            let known = rows.iter().take(REASONS_FROM).filter_map(|&row| Some((row, snapshot.vector(row)?)));
            known.map(|(row, other)| (row, cosine(vector, other))).max_by(|a, b| a.1.total_cmp(&b.1))
        };
        reasons.extend(closest(&plan.seen).map(|(row, similarity)| Reason::LikeSeen { row, similarity }));
        reasons.extend(closest(purchased).map(|(row, similarity)| Reason::LikePurchased { row, similarity }));
    }
    if snapshot.popularity(item.row) > 0.0 {
        reasons.push(Reason::BestSeller { rank: snapshot.popularity_rank(item.row) as usize + 1 });
    }
    reasons
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms > 0.0 { dot(a, b) / norms } else { 0.0 }
}
