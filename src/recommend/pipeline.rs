//! The steps of an answer, one after the other.

use super::{
    Answer, Candidates, Context, Counts, Customer, Preview, Ranked, Recipe, RecommendError, Request, Shop, Snapshot,
    SourceCount, Strategy, Warning,
    answer::Elapsed,
    explain::Explainer,
    preview::Trace,
    rank::{Fusion, Rank},
    select::{POOL, Pick, Picks, Selection, Supply},
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
    answer(&context, &mut Trace::Off)
}

/// Answers a request as [`recommend`] does, and tells what each step did.
///
/// # Errors
/// As [`recommend`].
pub fn preview(
    shop: &Shop,
    snapshot: &Snapshot,
    request: &Request,
    customer: Customer<'_>,
) -> Result<Preview, RecommendError> {
    let context = Context::new(shop, snapshot, request, customer)?;
    let mut trace = Trace::On(Box::default());
    let answer = answer(&context, &mut trace)?;
    Ok(trace.preview(answer))
}

/// Whether a recipe fits the catalogue, for requests that share it. Its rules are judged when a
/// placement is saved: a request does without one that does not fit.
///
/// # Errors
/// What [`recommend`] would say of it.
pub fn check(snapshot: &Snapshot, recipe: &Recipe) -> Result<(), RecommendError> {
    match recipe.filter.is_relative() {
        true => recipe.filter.on(snapshot.catalogue()).map(drop),
        false => snapshot.eligible(&recipe.filter).map(drop),
    }?;
    Picks::new(snapshot, 0, &recipe.max_per).map(drop)
}

fn answer(context: &Context<'_>, trace: &mut Trace) -> Result<Answer, RecommendError> {
    let request = context.request;
    let specs = sources::of(request);
    let Picked { list, candidates, drawn, found } = pick(context, &specs, trace)?;
    let filled = list.len() - found;
    let Page { list, unknown, last } = page(context, list);
    trace.picked(context, &list);
    let all = specs.iter().chain(&request.recipe.fallback);
    let about_somebody = request.customer.is_some() && !request.tell_purchases;
    let withheld = about_somebody && all.clone().any(|spec| spec.tells_purchases(context));
    let sources = counted(request, all, &drawn, &list);
    let explainer = Explainer { context, candidates: &candidates, withheld };
    let offset = request.offset.unwrap_or(0);
    let items: Vec<Ranked> = list.iter().zip(offset..).map(|(pick, place)| explainer.ranked(pick, place)).collect();
    let (strategy, fallback, mut warnings) = told(context, drawn[0].left_out)?;
    let counts = match withheld {
        true => Counts { retrieved: items.len(), filled: 0, ..counts(context) },
        false => Counts {
            retrieved: drawn.iter().map(|drawn| drawn.articles.len()).sum(),
            filled: if strategy == Strategy::Popular { 0 } else { filled },
            ..counts(context)
        },
    };
    // Not of the resolved filter: its values may be those of the customer.
    let unmatched = request.recipe.filter.unmatched(context.snapshot.catalogue());
    let more = [
        (!unknown.is_empty(), Warning::UnknownArticleIds),
        (!unmatched.is_empty(), Warning::UnmatchedFilterValues),
        // Whether or not there are purchases: that alone would tell something.
        (explainer.withholds_reasons(), Warning::PurchasesNotTold),
        (drawn.iter().any(|drawn| drawn.left_out), Warning::SourceLeftOut),
        (!context.rules.ignored.is_empty(), Warning::RuleIgnored),
        (context.condition_left_out, Warning::ConditionLeftOut),
    ];
    warnings.extend(more.into_iter().filter_map(|(holds, warning)| holds.then_some(warning)));
    Ok(Answer {
        offset,
        sources,
        sources_withheld: withheld,
        ignored_rules: context.rules.ignored.clone(),
        explained: request.explain,
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
    let specs = sources::of(context.request);
    let drawn = sources::draw(context, &specs, context.request.length())?;
    let mut candidates = Candidates::merge(&specs, &drawn);
    Fusion { sources: &specs }.rank(context, &mut candidates)?;
    Ok(candidates)
}

/// The list before it is cut into pages, and how it came about.
struct Picked {
    list: Vec<Pick>,
    candidates: Candidates,
    /// What the sources gave, those of the fallback chain that were asked behind.
    drawn: Vec<Drawn>,
    /// Articles of the list that stood there before anything filled it.
    found: usize,
}

/// Draws candidates, ranks them, applies the rules and picks the list.
fn pick(context: &Context<'_>, specs: &[SourceSpec], trace: &mut Trace) -> Result<Picked, RecommendError> {
    let length = context.request.length();
    // What a rule or diversity may put first must be among the candidates.
    let mut want = if context.reorders() { length.max(POOL) } else { length };
    let mut round = 1;
    loop {
        let mut drawn = draw(context, specs, want)?;
        let mut candidates = Candidates::merge(specs, &drawn);
        Fusion { sources: specs }.rank(context, &mut candidates)?;
        trace.ranked(context, specs, &drawn, &candidates);
        context.rules.weigh(&mut candidates);
        trace.weighed(context, &candidates);
        let mut selection = Selection::new(context, length, &candidates)?;
        selection.take(Supply::Candidates(&candidates));
        let exhausted = drawn.iter().all(|drawn| drawn.articles.len() < want);
        if selection.is_full() || exhausted || !selection.has_quotas() || round == ROUNDS {
            let found = selection.len();
            drawn.extend(fall_back(context, &mut selection, length));
            selection.fill();
            return Ok(Picked { list: selection.into_list(), candidates, drawn, found });
        }
        want *= 4;
        round += 1;
    }
}

/// Asks the sources. One that fails alone is an error, unless a fallback chain stands behind it.
fn draw(context: &Context<'_>, specs: &[SourceSpec], want: usize) -> Result<Vec<Drawn>, RecommendError> {
    match sources::draw(context, specs, want) {
        Err(error) if !context.request.recipe.fallback.is_empty() => {
            tracing::debug!(%error, "the only source was left out");
            Ok(vec![Drawn { left_out: true, ..Drawn::default() }; specs.len()])
        }
        drawn => drawn,
    }
}

/// Asks the sources of the fallback chain, one after the other, until the list is full; answers what
/// those that were asked gave.
fn fall_back(context: &Context<'_>, selection: &mut Selection<'_>, length: usize) -> Vec<Drawn> {
    let mut asked = Vec::new();
    for spec in &context.request.recipe.fallback {
        if selection.is_full() {
            break;
        }
        // As many more as stand already: it may find the same.
        let drawn = sources::draw(context, std::slice::from_ref(spec), length + selection.len());
        let drawn = drawn.ok().and_then(|mut drawn| drawn.pop());
        let drawn = drawn.unwrap_or(Drawn { left_out: true, ..Drawn::default() });
        selection.take(Supply::Fallback(spec.name(), &drawn.articles));
        asked.push(drawn);
    }
    asked
}

/// What to say of the query: that of the request's own model where no source is named.
fn told(
    context: &Context<'_>,
    left_out: bool,
) -> Result<(Strategy, Option<super::Fallback>, Vec<Warning>), RecommendError> {
    if !context.request.recipe.sources.is_empty() || left_out {
        return Ok((Strategy::Pipeline, None, Vec::new()));
    }
    let query = context.query()?;
    let generated = context.request.generation.is_some() && query.strategy != Strategy::Popular;
    let strategy = if generated { Strategy::Generated } else { query.strategy };
    Ok((strategy, query.fallback, query.warnings.clone()))
}

fn counts(context: &Context<'_>) -> Counts {
    let filtered = context.snapshot.catalogue().len() - context.eligible.rows.count();
    Counts { filtered, ..Counts::default() }
}

/// What each source gave that was asked; of the fallback chain those behind the first that filled
/// the list were not.
fn counted<'a>(
    request: &Request,
    specs: impl Iterator<Item = &'a SourceSpec>,
    drawn: &[Drawn],
    list: &[Pick],
) -> Vec<SourceCount> {
    if request.recipe.sources.is_empty() && request.recipe.fallback.is_empty() {
        return Vec::new();
    }
    let count = |(spec, drawn): (&SourceSpec, &Drawn)| SourceCount {
        source: spec.name(),
        found: drawn.articles.len(),
        answered: list.iter().filter(|pick| pick.source == spec.name()).count(),
        left_out: drawn.left_out,
    };
    specs.zip(drawn).map(count).collect()
}

/// The part of a list that a request asks for.
struct Page {
    list: Vec<Pick>,
    /// Ids of [`Request::only`] that the catalogue lacks.
    unknown: Vec<ArticleId>,
    /// Those of them on this page, behind `list`.
    last: Vec<ArticleId>,
}

fn page(context: &Context<'_>, mut list: Vec<Pick>) -> Page {
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
    Page { list, unknown, last }
}
