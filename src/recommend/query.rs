//! The query: by whose vector, or by which counts, articles are sought.

use super::{
    Context, Fallback, ModelError, RecommendError, Snapshot, Strategy, Subject, Warning,
    sources::own,
};
use crate::{domain::Timestamp, features::CustomerView, retrieval::Index};

/// What a request asks of a model.
#[derive(Debug, Clone)]
pub struct Query {
    pub(super) basis: Basis,
    pub strategy: Strategy,
    pub fallback: Option<Fallback>,
    pub warnings: Vec<Warning>,
}

/// What the articles are ranked by.
#[derive(Debug, Clone)]
pub(super) enum Basis {
    /// Their inner products with the query vector.
    Vector(Vec<f32>),
    /// How often the customer bought them: catalogue rows and scores, the highest first.
    Own(Vec<(u32, f32)>),
    /// The model has nothing to say.
    Nothing,
}

impl Query {
    fn popular(fallback: Option<Fallback>) -> Self {
        Self { basis: Basis::Nothing, strategy: Strategy::Popular, fallback, warnings: Vec::new() }
    }
}

/// Forms the query of a model: whose vector, and what to say about it.
///
/// # Errors
/// A failing tower.
pub(super) fn form(context: &Context<'_>, snapshot: &Snapshot) -> Result<Query, RecommendError> {
    match &context.request.subject {
        Subject::Everyone => Ok(Query::popular(None)),
        Subject::Article(_) => Ok(of_article(context, snapshot)),
        Subject::Customer => of_customer(context, snapshot),
    }
}

fn of_article(context: &Context<'_>, snapshot: &Snapshot) -> Query {
    match context.seen.first().and_then(|&row| snapshot.vector(row)) {
        Some(vector) => {
            let basis = Basis::Vector(vector.to_vec());
            Query { basis, strategy: Strategy::Similar, ..Query::popular(None) }
        }
        None => Query::popular(Some(Fallback::NoVector)),
    }
}

fn of_customer(context: &Context<'_>, snapshot: &Snapshot) -> Result<Query, RecommendError> {
    let (model, customer, request) = (snapshot.model(), &context.customer, context.request);
    let mut warnings = Vec::new();
    if context.seen.len() < request.session.len() {
        warnings.push(Warning::UnknownSessionArticles);
    }
    if let Some(frequency) = model.frequency() {
        if !context.seen.is_empty() {
            // A visit's articles are never answered back, and a model that counts knows no others
            // by them.
            warnings.push(Warning::SessionNotUsed);
        }
        let own = own::ranked(context, &frequency);
        if !own.is_empty() {
            let basis = Basis::Own(own);
            return Ok(Query { basis, strategy: Strategy::Personalised, fallback: None, warnings });
        }
        let fallback = if request.customer.is_some() {
            Fallback::UnknownCustomer
        } else {
            Fallback::Anonymous
        };
        return Ok(Query { warnings, ..Query::popular(Some(fallback)) });
    }
    let id = request.customer.as_ref();
    let has_row = id.is_some_and(|id| model.knows_customer(id.as_str()));
    // A model that reads nothing but the history has nothing to say where none of it is known.
    let silent = model.needs_history() && history(context, snapshot).0.is_empty();
    // It would answer alike whatever a customer does whom it was not trained with.
    let deaf = !has_row && !model.reads_history() && !context.interests().is_empty();
    let (basis, strategy, fallback) =
        if id.is_some() && (has_row || customer.recorded) && !silent && !deaf {
            if !context.seen.is_empty() && !model.reads_history() {
                warnings.push(Warning::SessionNotUsed);
            }
            let fallback = (!has_row && !model.needs_history()).then_some(Fallback::UnknownToModel);
            (Basis::Vector(embed(context, snapshot, &[])?), Strategy::Personalised, fallback)
        } else {
            let fallback = id.map(|_| Fallback::UnknownCustomer);
            match session_vector(context, snapshot)? {
                Some(vector) => (
                    Basis::Vector(vector),
                    Strategy::Session,
                    fallback.map(|_| Fallback::UnknownToModel),
                ),
                None => (Basis::Nothing, Strategy::Popular, fallback.or(Some(Fallback::Anonymous))),
            }
        };
    Ok(Query { basis, strategy, fallback, warnings })
}

/// The query tower's vector of the customer with generated items, visit and purchases as the
/// history, newest first.
pub(super) fn embed(
    context: &Context<'_>,
    snapshot: &Snapshot,
    generated: &[u32],
) -> Result<Vec<f32>, RecommendError> {
    let (model, at) = (snapshot.model(), context.request.at);
    let (history, times) = match model.reads_history() {
        true => {
            let (known, times) = history(context, snapshot);
            // What is generated is bought at the moment of the query.
            let now = generated.iter().map(|_| at);
            (generated.iter().copied().chain(known).collect(), now.chain(times).collect())
        }
        false => (Vec::new(), Vec::new()),
    };
    let id = context.request.customer.as_ref().map(|id| id.as_str());
    let attributes = context.customer.attributes;
    let view = CustomerView { id, attributes, at, history: &history, times: &times };
    let mut vector = Vec::new();
    model.embed_customer(&view, &mut vector)?;
    Ok(vector)
}

/// The items of visit, interests and purchases that the model knows, newest first, and when they
/// were looked at or bought.
fn history(context: &Context<'_>, snapshot: &Snapshot) -> (Vec<u32>, Vec<Timestamp>) {
    let (customer, at) = (&context.customer, context.request.at);
    let visit = context.request.session.iter().map(|id| (id.as_str(), at));
    let catalogue = context.snapshot.catalogue();
    let mut interests =
        context.interests().iter().map(|of| (catalogue.id(of.row), of.at)).peekable();
    let times = customer.purchase_times.iter().copied().chain(std::iter::repeat(at));
    let mut purchases = customer.purchases.iter().map(|id| id.as_str()).zip(times).peekable();
    let both = std::iter::from_fn(|| match (interests.peek(), purchases.peek()) {
        (Some((_, looked)), Some((_, bought))) if bought >= looked => purchases.next(),
        (Some(_), _) => interests.next(),
        (None, _) => purchases.next(),
    });
    visit.chain(both).filter_map(|(id, at)| Some((snapshot.model().item(id)?, at))).unzip()
}

/// The vector of a visit: by the query tower when it reads histories, else the mean direction of
/// the articles.
fn session_vector(
    context: &Context<'_>,
    snapshot: &Snapshot,
) -> Result<Option<Vec<f32>>, RecommendError> {
    let interests = context.interests().iter().map(|interest| interest.row);
    let seen: Vec<u32> = context.seen.iter().copied().chain(interests).collect();
    let reads_any = snapshot.model().reads_history()
        && seen.iter().any(|&row| snapshot.item_of_row(row).is_some());
    if reads_any {
        return embed(context, snapshot, &[]).map(Some);
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

/// The index of a model with vectors.
///
/// # Errors
/// When the model has none: it must not have formed a query vector then.
pub(super) fn index(snapshot: &Snapshot) -> Result<&dyn Index, ModelError> {
    snapshot.model().index().ok_or_else(|| ModelError("it has no vectors".to_owned()))
}

pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(super) fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms > 0.0 { dot(a, b) / norms } else { 0.0 }
}
