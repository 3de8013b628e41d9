//! The steps of an answer, one after the other.

use super::{
    Answer, Candidates, Context, Counts, Customer, Preview, Ranked, Recipe, RecommendError,
    Request, Shop, Snapshot, SourceCount, Strategy, Warning,
    answer::Elapsed,
    explain::Explainer,
    preview::Trace,
    rank::{self, Fusion, Learned, Rank},
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

/// Whether a recipe's ranker is there and fits its sources.
///
/// # Errors
/// [`RecommendError::UnknownModel`], [`RecommendError::RankerUnfit`].
pub fn check_ranker(
    shop: &Shop,
    snapshot: &Snapshot,
    recipe: &Recipe,
) -> Result<(), RecommendError> {
    rank::named(shop, snapshot, recipe).map(drop)
}

fn answer(context: &Context<'_>, trace: &mut Trace) -> Result<Answer, RecommendError> {
    let request = context.request;
    let (learned, specs, ranker_unfit) = course(context);
    let named = learned.is_some() || !request.recipe.sources.is_empty();
    let Picked { list, candidates, drawn, found, ranker_failed } =
        pick(context, &specs, learned.as_ref(), trace)?;
    let filled = list.len() - found;
    let Page { list, unknown, last } = page(context, list);
    trace.picked(context, &list);
    let all = specs.iter().chain(&request.recipe.fallback);
    let about_somebody = request.customer.is_some() && !request.tell_purchases;
    let withheld = about_somebody && all.clone().any(|spec| spec.tells_purchases(context));
    let tells_sources = named || !request.recipe.fallback.is_empty();
    let sources = if tells_sources { counted(all, &drawn, &list) } else { Vec::new() };
    let explainer = Explainer { context, candidates: &candidates, withheld };
    let offset = request.offset.unwrap_or(0);
    let mut items: Vec<Ranked> =
        list.iter().zip(offset..).map(|(pick, place)| explainer.ranked(pick, place)).collect();
    let tells = request.explain && !withheld && request.tell_purchases;
    if let Some(learned) = learned.as_ref().filter(|_| tells && !ranker_failed) {
        let rows: Vec<u32> = items.iter().map(|item| item.row).collect();
        let explained = learned.explain(context, &candidates, &rows)?;
        items.iter_mut().zip(explained).for_each(|(item, by)| item.ranked_by = by);
    }
    let (strategy, fallback, mut warnings) = told(context, named || drawn[0].left_out)?;
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
        (ranker_failed || ranker_unfit, Warning::RankerLeftOut),
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
    let (learned, specs, _) = course(context);
    let drawn = sources::draw(context, &specs, context.request.length())?;
    let mut candidates = Candidates::merge(&specs, &drawn);
    rank(context, &specs, learned.as_ref(), &mut candidates)?;
    Ok(candidates)
}

/// The learned ranker of a request, its sources, and whether the ranker that was asked for does not
/// fit (any more): an answer is worth more than its order.
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

/// Orders candidates by the learned ranker, or else by their ranks in the sources.
fn rank(
    context: &Context<'_>,
    specs: &[SourceSpec],
    learned: Option<&Learned<'_>>,
    candidates: &mut Candidates,
) -> Result<(), RecommendError> {
    match learned {
        Some(learned) => learned.rank(context, candidates),
        None => Fusion { sources: specs }.rank(context, candidates),
    }
}

/// The list before it is cut into pages, and how it came about.
struct Picked {
    list: Vec<Pick>,
    candidates: Candidates,
    /// What the sources gave, those of the fallback chain that were asked behind.
    drawn: Vec<Drawn>,
    /// Articles of the list that stood there before anything filled it.
    found: usize,
    ranker_failed: bool,
}

/// Draws candidates, ranks them, applies the rules and picks the list.
fn pick(
    context: &Context<'_>,
    specs: &[SourceSpec],
    learned: Option<&Learned<'_>>,
    trace: &mut Trace,
) -> Result<Picked, RecommendError> {
    let length = context.request.length();
    // What a rule or diversity may put first must be among the candidates.
    let mut want = if context.reorders() { length.max(POOL) } else { length };
    let mut round = 1;
    loop {
        let mut drawn = draw(context, specs, want)?;
        let mut candidates = Candidates::merge(specs, &drawn);
        let ranked = rank(context, specs, learned, &mut candidates);
        if let Err(error) = &ranked {
            tracing::warn!(%error, "the ranker failed; articles are ordered by their ranks in the sources");
        }
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
            let list = selection.into_list();
            return Ok(Picked { list, candidates, drawn, found, ranker_failed: ranked.is_err() });
        }
        want *= 4;
        round += 1;
    }
}

/// Asks the sources. One that fails alone is an error, unless a fallback chain stands behind it.
fn draw(
    context: &Context<'_>,
    specs: &[SourceSpec],
    want: usize,
) -> Result<Vec<Drawn>, RecommendError> {
    match sources::draw(context, specs, want) {
        Err(error) if !context.request.recipe.fallback.is_empty() => {
            tracing::debug!(%error, "the only source was left out");
            Ok(vec![Drawn { left_out: true, ..Drawn::default() }; specs.len()])
        }
        drawn => drawn,
    }
}

/// Asks the sources of the fallback chain, one after the other, until the list is full; answers
/// what those that were asked gave.
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

/// What to say of the query: that of the request's own model, unless the answer is made
/// `by_sources`.
fn told(
    context: &Context<'_>,
    by_sources: bool,
) -> Result<(Strategy, Option<super::Fallback>, Vec<Warning>), RecommendError> {
    if by_sources {
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
    specs: impl Iterator<Item = &'a SourceSpec>,
    drawn: &[Drawn],
    list: &[Pick],
) -> Vec<SourceCount> {
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
