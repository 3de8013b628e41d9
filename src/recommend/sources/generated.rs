//! Lists written item by item: the customer's history is embedded, the next article is chosen and
//! counts as the newest of the history, and so on.
//!
//! A step chooses among the [`CANDIDATES`] best eligible articles of the model; their inner
//! products are logits, and a probability is one among them. Filters, exclusions, availability and
//! `max_per` hold at every step, no article comes twice, and the same request with the same seed
//! gets the same list.

use super::{Drawn, Registered, Source, registered};
use crate::{
    recommend::{
        Context, RecommendError,
        query::{Basis, embed, index},
        select::{Origin, Pick, Picks},
    },
    retrieval::{ItemSet, Query},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

pub(super) const NAME: &str = "generated";
pub(super) const REGISTERED: Registered = registered::<Generated>(
    NAME,
    "A list that continues the customer's history article by article, the likeliest at every step. Only the \
     request's own model can, and only if it reads sequences.",
);

/// A list written item by item.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(from = "Parameters")]
pub(super) struct Generated(pub(super) Generation);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {}

impl From<Parameters> for Generated {
    fn from(Parameters {}: Parameters) -> Self {
        Self(Generation::Greedy)
    }
}

impl Source for Generated {
    fn name(&self) -> &'static str {
        NAME
    }

    /// A list has at most [`Generation::MAX_K`] articles.
    fn find(&self, context: &Context<'_>, want: usize) -> Result<Drawn, RecommendError> {
        let snapshot = context.snapshot;
        if !snapshot.model().reads_sequence() {
            return Err(RecommendError::NoSequence(snapshot.model().name().to_owned()));
        }
        let Basis::Vector(first) = &context.query()?.basis else { return Ok(Drawn::default()) };
        let task = Task { context, items: &context.eligible.items, first };
        let length = want.min(Generation::MAX_K);
        let picks = Picks::new(snapshot, length, &context.request.recipe.max_per)?;
        let (picks, search) = generate(&task, self.0, picks)?;
        let articles = picks.items.iter().map(|item| (item.row, item.score)).collect();
        Ok(Drawn { articles, search: Some(search), left_out: false })
    }
}

/// How a list is generated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Generation {
    /// The likeliest article at every step.
    Greedy,
    /// The likeliest list of those found by keeping the `width` likeliest beginnings at every step.
    Beam { width: usize },
    /// Each article drawn by its probability.
    Sample(Sampling),
}

/// How articles are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Logits are divided by it: below 1 the likely become likelier.
    pub temperature: f32,
    /// Draw from the fewest likeliest articles that have this much of the probability together
    /// (Holtzman et al. 2020, arXiv:1904.09751); 1 draws from all candidates.
    pub top_p: f32,
    pub seed: u64,
}

impl Generation {
    /// Longest list.
    pub const MAX_K: usize = 50;
    /// Widest beam.
    pub const MAX_WIDTH: usize = 8;
}

/// Articles that a step chooses among.
const CANDIDATES: usize = 128;

/// What a list is generated for.
struct Task<'a> {
    context: &'a Context<'a>,
    /// Items of the model that may be answered.
    items: &'a ItemSet,
    /// The query vector before anything is generated.
    first: &'a [f32],
}

/// A list under construction.
#[derive(Clone)]
struct Beginning<'a> {
    picks: Picks<'a>,
    /// Newest first, as histories are.
    items: Vec<u32>,
    /// Log of its probability.
    score: f32,
}

/// A possible next article: the item and the log of its probability.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Next {
    item: u32,
    row: u32,
    log_probability: f32,
}

/// Picks articles into `picks` until k stand or no further one fits; answers how many, and how the
/// index was searched.
///
/// # Errors
/// When the model or its index fails.
fn generate<'a>(
    task: &Task<'_>,
    generation: Generation,
    picks: Picks<'a>,
) -> Result<(Picks<'a>, &'static str), RecommendError> {
    let plan = task.context.snapshot.model().search_plan(&Query {
        vector: task.first,
        k: CANDIDATES,
        allowed: Some(task.items),
    });
    let (width, seed) = match generation {
        Generation::Greedy => (1, 0),
        Generation::Beam { width } => (width, 0),
        Generation::Sample(sampling) => (1, sampling.seed),
    };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut best = vec![Beginning { picks, items: Vec::new(), score: 0.0 }];
    while !best[0].picks.is_full() {
        let mut longer: Vec<(usize, Next)> = Vec::new();
        for (i, beginning) in best.iter().enumerate() {
            let candidates = task.candidates(beginning)?;
            match generation {
                Generation::Greedy | Generation::Beam { .. } => {
                    longer.extend(candidates.into_iter().take(width).map(|next| (i, next)));
                }
                Generation::Sample(sampling) => {
                    longer.extend(sampling.draw(&candidates, &mut rng).map(|next| (i, next)))
                }
            }
        }
        // A stable sort: among equals the likelier beginning, then the better candidate.
        let score = |&(i, next): &(usize, Next)| best[i].score + next.log_probability;
        longer.sort_by(|a, b| score(b).total_cmp(&score(a)));
        longer.truncate(width);
        if longer.is_empty() {
            break;
        }
        best = longer.into_iter().map(|(i, next)| best[i].with(next)).collect();
    }
    Ok((best.swap_remove(0).picks, plan))
}

impl Task<'_> {
    /// What may follow, the likeliest first.
    fn candidates(&self, beginning: &Beginning<'_>) -> Result<Vec<Next>, RecommendError> {
        let vector = match beginning.items.is_empty() {
            true => self.first.to_vec(),
            false => embed(self.context, self.context.snapshot, &beginning.items)?,
        };
        let mut allowed = self.items.clone();
        beginning.items.iter().for_each(|&item| allowed.remove(item));
        let index = index(self.context.snapshot)?;
        let mut k = CANDIDATES;
        loop {
            let hits = index.search(&Query { vector: &vector, k, allowed: Some(&allowed) })?;
            let exhausted = hits.len() < k || k >= index.len();
            let fitting = hits.iter().filter_map(|hit| {
                let row = self.context.snapshot.row_of_item(hit.item)?;
                beginning.picks.admits(row).then_some(Next {
                    item: hit.item,
                    row,
                    log_probability: hit.score,
                })
            });
            let mut next: Vec<Next> = fitting.take(CANDIDATES).collect();
            // Under `max_per` the best may all be spent: look further.
            if next.is_empty() && !exhausted {
                k = (k * 8).min(index.len());
                continue;
            }
            normalise(&mut next);
            return Ok(next);
        }
    }
}

impl<'a> Beginning<'a> {
    fn with(&self, next: Next) -> Self {
        let mut longer = self.clone();
        let (row, score) = (next.row, next.log_probability);
        longer.picks.offer(Pick {
            row,
            score,
            source: NAME,
            origin: Origin::Candidate(0),
            rules: 0,
        });
        longer.items.insert(0, next.item);
        longer.score += next.log_probability;
        longer
    }
}

impl Sampling {
    /// Draws one of the candidates, which stand in falling order. Their probabilities stay those
    /// without temperature.
    fn draw(&self, candidates: &[Next], rng: &mut ChaCha8Rng) -> Option<Next> {
        let weight = |next: &Next| {
            ((next.log_probability - candidates[0].log_probability) / self.temperature).exp()
        };
        let weights: Vec<f32> = candidates.iter().map(weight).collect();
        let enough = weights.iter().sum::<f32>() * self.top_p;
        let (mut count, mut sum) = (0, 0.0);
        while count < weights.len() && (count == 0 || sum < enough) {
            sum += weights[count];
            count += 1;
        }
        let mut rest = rng.random::<f32>() * sum;
        let drawn = weights[..count].iter().position(|weight| {
            rest -= weight;
            rest < 0.0
        });
        // Rounding may leave a rest behind the last.
        candidates.get(drawn.unwrap_or(count.saturating_sub(1))).copied()
    }
}

/// From logits in falling order to the logs of their softmax.
fn normalise(next: &mut [Next]) {
    let Some(most) = next.first().map(|next| next.log_probability) else { return };
    let sum: f32 = next.iter().map(|next| (next.log_probability - most).exp()).sum();
    next.iter_mut().for_each(|next| next.log_probability -= most + sum.ln());
}
