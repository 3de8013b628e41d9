//! The list as it is picked, place by place.

use super::{Origin, Pick, Picks, diversity::Variety, promotions::Promotions};
use crate::recommend::{Candidate, Candidates, Context, RecommendError, rules::Claim};

/// A list under construction. At each place stands the article pinned there; else one that a
/// promotion wants there; else the next of what is offered, or the most diverse.
///
/// Articles are picked place by place, and a place depends on those before it alone. So pages are
/// parts of one list.
pub(in crate::recommend) struct Selection<'a> {
    context: &'a Context<'a>,
    picks: Picks<'a>,
    /// The last place first.
    pins: Vec<Pinned>,
    promotions: Promotions<'a>,
    variety: Option<Variety<'a>>,
}

struct Pinned {
    /// From 0.
    place: usize,
    pick: Pick,
}

/// What is offered to a list, the best first.
#[derive(Clone, Copy)]
pub(in crate::recommend) enum Supply<'a> {
    Candidates(&'a Candidates),
    /// What a source of the fallback chain found: rows and scores.
    Fallback(&'static str, &'a [(u32, f32)]),
    Nothing,
}

impl<'a> Selection<'a> {
    /// # Errors
    /// As [`Picks::new`].
    pub(in crate::recommend) fn new(
        context: &'a Context<'a>,
        length: usize,
        candidates: &Candidates,
    ) -> Result<Self, RecommendError> {
        let recipe = &context.request.recipe;
        let mut picks = Picks::new(context.snapshot, length, &recipe.max_per)?;
        let pins = pins(context, &mut picks, candidates);
        let promotions =
            Promotions::new(context, length, |place| pins.iter().any(|pin| pin.place == place));
        let variety = (recipe.diversity > 0.0)
            .then(|| Variety::new(context.snapshot, recipe.diversity, candidates));
        Ok(Self { context, picks, pins, promotions, variety })
    }

    pub(in crate::recommend) fn is_full(&self) -> bool {
        self.picks.is_full()
    }

    pub(in crate::recommend) fn has_quotas(&self) -> bool {
        self.picks.has_quotas()
    }

    pub(in crate::recommend) fn len(&self) -> usize {
        self.picks.items.len()
    }

    pub(in crate::recommend) fn into_list(self) -> Vec<Pick> {
        self.picks.items
    }

    /// Picks from what is offered until the list is full or nothing further fits.
    pub(in crate::recommend) fn take(&mut self, supply: Supply<'_>) {
        let mut next = 0;
        while self.place_claimed(supply) {
            let varied = match (&mut self.variety, supply) {
                (Some(variety), Supply::Candidates(_)) => variety.next(&self.picks),
                _ => None,
            };
            let at = match varied {
                Some(at) => at,
                None => {
                    let Some(at) = supply.next_admitted(next, &self.picks) else { return };
                    next = at + 1;
                    at
                }
            };
            let Some(pick) = supply.get(at) else { return };
            self.add(pick);
        }
    }

    /// Fills the list with the eligible articles by falling popularity.
    pub(in crate::recommend) fn fill(&mut self) {
        let context = self.context;
        if self.is_full() {
            return;
        }
        let mut rows = context.snapshot.by_popularity(&context.eligible.rows);
        while self.place_claimed(Supply::Nothing) {
            let Some(row) = rows.find(|&row| self.picks.admits(row)) else { break };
            self.add(Pick::unfound(context.snapshot, row));
        }
        // The list ends before the places of these.
        while !self.is_full()
            && let Some(pin) = self.pins.pop()
        {
            self.put(pin.pick);
        }
    }

    /// Sets what rules place until a place is free; answers whether one is.
    fn place_claimed(&mut self, supply: Supply<'_>) -> bool {
        while !self.is_full() {
            let place = self.len();
            if let Some(pin) = self.pins.pop_if(|pin| pin.place == place) {
                self.put(pin.pick);
                continue;
            }
            match self.promotions.due(place, &self.picks, supply) {
                Some(pick) => self.add(pick),
                None => return true,
            }
        }
        false
    }

    fn add(&mut self, pick: Pick) {
        self.picks.reserve(pick.row);
        self.put(pick);
    }

    /// Sets an article that has its room.
    fn put(&mut self, pick: Pick) {
        self.promotions.count(pick.row);
        if let Some(variety) = &mut self.variety {
            variety.see(pick.row);
        }
        self.picks.items.push(pick);
    }
}

/// The pinned articles that may be answered, with room kept for them: what is pinned comes before
/// all else under `max_per`, too, and none stands before its place, however short the answer. Of
/// two that `max_per` does not allow together the first stays.
fn pins(context: &Context<'_>, picks: &mut Picks<'_>, candidates: &Candidates) -> Vec<Pinned> {
    let mut pins: Vec<Pinned> = Vec::new();
    for claimed in context.rules.claims() {
        let Claim::Position { article, position } = claimed.claim else { continue };
        let row = context.snapshot.catalogue().row(article.as_str());
        let Some(row) = row.filter(|&row| context.eligible.rows.contains(row)) else { continue };
        let found = candidates.list.iter().find(|candidate| candidate.row == row);
        let pick = found.map_or_else(
            || Pick::unfound(context.snapshot, row),
            |found| candidate(candidates, found),
        );
        pins.push(Pinned {
            place: position - 1,
            pick: Pick { rules: pick.rules | claimed.bit, ..pick },
        });
    }
    pins.sort_by_key(|pin| pin.place);
    pins.retain(|pin| {
        let fits = picks.admits(pin.pick.row);
        if fits {
            picks.reserve(pin.pick.row);
        }
        fits
    });
    pins.reverse();
    pins
}

fn candidate(candidates: &Candidates, candidate: &Candidate) -> Pick {
    let &Candidate { row, score, best, found, rules, .. } = candidate;
    Pick { row, score, source: candidates.sources[best], origin: Origin::Candidate(found), rules }
}

impl Supply<'_> {
    pub(super) fn row(self, at: usize) -> Option<u32> {
        match self {
            Self::Candidates(candidates) => candidates.list.get(at).map(|candidate| candidate.row),
            Self::Fallback(_, articles) => articles.get(at).map(|&(row, _)| row),
            Self::Nothing => None,
        }
    }

    pub(super) fn get(self, at: usize) -> Option<Pick> {
        match self {
            Self::Candidates(candidates) => {
                candidates.list.get(at).map(|found| candidate(candidates, found))
            }
            Self::Fallback(source, articles) => articles.get(at).map(|&(row, score)| {
                let origin = Origin::Fallback(at);
                Pick { row, score, source, origin, rules: 0 }
            }),
            Self::Nothing => None,
        }
    }

    /// The first from `from` on that fits.
    fn next_admitted(self, from: usize, picks: &Picks<'_>) -> Option<usize> {
        (from..)
            .map_while(|at| Some((at, self.row(at)?)))
            .find(|&(_, row)| picks.admits(row))
            .map(|(at, _)| at)
    }
}
