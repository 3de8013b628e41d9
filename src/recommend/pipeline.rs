//! The steps of an answer, one after the other.

use super::{
    Answer, Candidates, Context, Counts, Customer, Ranked, Recipe, RecommendError, Request, Shop, Snapshot,
    SourceCount, Strategy, Subject, Warning,
    answer::Elapsed,
    explain,
    rank::{self, Fusion, Learned, Rank},
    select::Picks,
    sources::{self, Drawn, SourceSpec},
};
use crate::domain::ArticleId;

/// With `max_per`, rounds of retrieval, each four times as wide as the one before.
const ROUNDS: u32 = 3;

/// Answers a request on one snapshot of the shop, with what is known of the customer.
///
/// # Errors
/// When filter or `max_per` do not fit the catalogue; [`RecommendError::UnknownArticle`];
/// [`RecommendError::NoSequence`]; a failing tower.
pub fn recommend(
    shop: &Shop,
    snapshot: &Snapshot,
    request: &Request,
    customer: Customer<'_>,
) -> Result<Answer, RecommendError> {
    let context = Context::new(shop, snapshot, request, customer)?;
    let (learned, specs, ranker_unfit) = course(&context);
    let named = learned.is_some() || !request.recipe.sources.is_empty();
    let Picked { mut picks, drawn, ranker_failed } = pick(&context, &specs, learned.as_ref())?;
    let found = picks.items.len();
    picks.fill(snapshot, &context.eligible.rows);
    let filled = picks.items.len() - found;
    let Page { mut items, unknown, last } = page(&context, picks.items);
    if request.explain {
        items.iter_mut().for_each(|item| item.reasons = explain::reasons(&context, item));
    }
    let (strategy, fallback, mut warnings) = told(&context, named)?;
    let counts = Counts {
        retrieved: drawn.iter().map(|drawn| drawn.articles.len()).sum(),
        filtered: snapshot.catalogue().len() - context.eligible.rows.count(),
        filled: if strategy == Strategy::Popular { 0 } else { filled },
    };
    let unmatched = request.recipe.filter.unmatched(snapshot.catalogue());
    // Whether or not there are purchases: that alone would tell something.
    let withheld = request.explain && !request.tell_purchases && request.subject == Subject::Customer;
    let more = [
        (!unknown.is_empty(), Warning::UnknownArticleIds),
        (!unmatched.is_empty(), Warning::UnmatchedFilterValues),
        (withheld, Warning::PurchasesNotTold),
        (drawn.iter().any(|drawn| drawn.left_out), Warning::SourceLeftOut),
        (ranker_failed || ranker_unfit, Warning::RankerLeftOut),
    ];
    warnings.extend(more.into_iter().filter_map(|(holds, warning)| holds.then_some(warning)));
    Ok(Answer {
        offset: request.offset.unwrap_or(0),
        sources: if named { counted(&specs, &drawn, &items) } else { Vec::new() },
        search: drawn.iter().find_map(|drawn| drawn.search),
        embedding: Elapsed(context.embedding()),
        items,
        strategy,
        fallback,
        counts,
        warnings,
        unknown,
        last,
        unmatched,
    })
}

/// The candidates of a request, ranked, before rules and selection.
///
/// # Errors
/// As [`recommend`].
pub fn candidates(context: &Context<'_>) -> Result<Candidates, RecommendError> {
    let (learned, specs, _) = course(context);
    let drawn = sources::draw(context, &specs, context.request.length())?;
    let mut candidates = Candidates::merge(&specs, &drawn);
    match learned {
        Some(learned) => learned.rank(context, &mut candidates)?,
        None => Fusion { sources: &specs }.rank(context, &mut candidates)?,
    }
    Ok(candidates)
}

/// The learned ranker of a request, its sources, and whether the ranker that was asked for does not fit
/// (any more): an answer is worth more than its order.
fn course<'a>(context: &Context<'a>) -> (Option<Learned<'a>>, Vec<SourceSpec>, bool) {
    match rank::learned(context) {
        Ok(Some(learned)) => {
            let specs = learned.spec.sources.clone();
            (Some(learned), specs, false)
        }
        Ok(None) => (None, sources::of(context.request), false),
        Err(error) => {
            tracing::warn!(%error, "the ranker was left out");
            (None, sources::of(context.request), true)
        }
    }
}

/// Whether a recipe's ranker is there and fits its sources.
///
/// # Errors
/// [`RecommendError::UnknownModel`], [`RecommendError::RankerUnfit`].
pub fn check_ranker(shop: &Shop, snapshot: &Snapshot, recipe: &Recipe) -> Result<(), RecommendError> {
    rank::named(shop, snapshot, recipe).map(drop)
}

/// Whether a recipe fits the catalogue, for requests that share it.
///
/// # Errors
/// What [`recommend`] would say of it.
pub fn check(snapshot: &Snapshot, recipe: &Recipe) -> Result<(), RecommendError> {
    snapshot.eligible(&recipe.filter)?;
    Picks::new(snapshot, 0, &recipe.max_per).map(drop)
}

/// A list before anything fills it, and what it was picked from.
struct Picked<'a> {
    picks: Picks<'a>,
    drawn: Vec<Drawn>,
    ranker_failed: bool,
}

/// Draws candidates, ranks them and picks the list.
fn pick<'a>(
    context: &'a Context<'_>,
    specs: &[SourceSpec],
    learned: Option<&Learned<'_>>,
) -> Result<Picked<'a>, RecommendError> {
    let length = context.request.length();
    let (mut want, mut round) = (length, 1);
    loop {
        let mut picks = Picks::new(context.snapshot, length, &context.request.recipe.max_per)?;
        let drawn = sources::draw(context, specs, want)?;
        let mut candidates = Candidates::merge(specs, &drawn);
        let ranked = match learned {
            Some(learned) => learned.rank(context, &mut candidates),
            None => Fusion { sources: specs }.rank(context, &mut candidates),
        };
        if let Err(error) = &ranked {
            tracing::warn!(%error, "the ranker failed; articles are ordered by their ranks in the sources");
        }
        let ranker_failed = ranked.is_err();
        for candidate in &candidates.list {
            picks.offer(candidate.row, candidate.score, candidates.sources[candidate.best]);
        }
        let exhausted = drawn.iter().all(|drawn| drawn.articles.len() < want);
        if picks.is_full() || exhausted || !picks.has_quotas() || round == ROUNDS {
            return Ok(Picked { picks, drawn, ranker_failed });
        }
        want *= 4;
        round += 1;
    }
}

/// What to say of the query: that of the request's own model where no source is `named`.
fn told(
    context: &Context<'_>,
    named: bool,
) -> Result<(Strategy, Option<super::Fallback>, Vec<Warning>), RecommendError> {
    if named {
        return Ok((Strategy::Pipeline, None, Vec::new()));
    }
    let query = context.query()?;
    let generated = context.request.generation.is_some() && query.strategy != Strategy::Popular;
    let strategy = if generated { Strategy::Generated } else { query.strategy };
    Ok((strategy, query.fallback, query.warnings.clone()))
}

fn counted(specs: &[SourceSpec], drawn: &[Drawn], items: &[Ranked]) -> Vec<SourceCount> {
    let count = |(spec, drawn): (&SourceSpec, &Drawn)| SourceCount {
        source: spec.name(),
        found: drawn.articles.len(),
        answered: items.iter().filter(|item| item.source == spec.name()).count(),
        left_out: drawn.left_out,
    };
    specs.iter().zip(drawn).map(count).collect()
}

/// The part of a list that a request asks for.
struct Page {
    items: Vec<Ranked>,
    /// Ids of [`Request::only`] that the catalogue lacks.
    unknown: Vec<ArticleId>,
    /// Those of them on this page, behind `items`.
    last: Vec<ArticleId>,
}

fn page(context: &Context<'_>, mut list: Vec<Ranked>) -> Page {
    let request = context.request;
    let mut unknown: Vec<ArticleId> = Vec::new();
    for id in request.only.iter().flatten() {
        if context.snapshot.catalogue().row(id.as_str()).is_none() && !unknown.contains(id) {
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
