//! Why an article is in the answer.

use super::{
    Candidates, Context, Ranked, Reason, Subject,
    answer::FoundBy,
    query::cosine,
    select::{Origin, Pick},
    sources::{GENERATED, MODEL, PERSONAL, POPULAR},
};

/// Reasons look so many purchases back.
const REASONS_FROM: usize = 50;

/// Turns what was picked into what is answered.
///
/// Without `tell_purchases` nothing shows what the customer bought: no reason, and no source. Where
/// any source of an answer finds purchases, all its articles have the source [`PERSONAL`] and a
/// score that says their place alone. Were only the articles of that source renamed, the new name
/// would tell as much; and scores of merged ranks tell which sources found an article.
pub(super) struct Explainer<'a> {
    pub context: &'a Context<'a>,
    pub candidates: &'a Candidates,
    /// Whether the sources must not be told.
    pub withheld: bool,
}

impl Explainer<'_> {
    /// Whether reasons or sources are left out that were asked for.
    pub(super) fn withholds_reasons(&self) -> bool {
        let request = self.context.request;
        let personal = request.subject == Subject::Customer || self.withheld;
        request.explain && !request.tell_purchases && personal
    }

    /// `place`: in the whole list, from 0.
    pub(super) fn ranked(&self, pick: &Pick, place: usize) -> Ranked {
        let &Pick { row, score, source, rules, .. } = pick;
        let (source, score) = match self.withheld {
            true => (PERSONAL, 1.0 / (place + 1) as f32),
            false => (source, score),
        };
        let mut ranked = Ranked {
            row,
            score,
            source,
            reasons: Vec::new(),
            found: Vec::new(),
            rules: Vec::new(),
            ranked_by: Vec::new(),
        };
        if self.context.request.explain {
            ranked.reasons = self.reasons(&ranked);
            ranked.rules = self.context.rules.named(rules).map(str::to_owned).collect();
            if !self.withheld {
                ranked.found = self.found(pick);
            }
        }
        ranked
    }

    fn found(&self, pick: &Pick) -> Vec<FoundBy> {
        let snapshot = self.context.snapshot;
        let one =
            |rank: usize| vec![FoundBy { source: pick.source, rank: rank + 1, score: pick.score }];
        match pick.origin {
            Origin::Candidate(found) => {
                let said = self.candidates.sources.iter().zip(self.candidates.found_at(found));
                let found = said.filter_map(|(&source, found)| Some((source, found.as_ref()?)));
                found
                    .map(|(source, found)| FoundBy {
                        source,
                        rank: found.rank as usize + 1,
                        score: found.score,
                    })
                    .collect()
            }
            Origin::Fallback(rank) => one(rank),
            Origin::Popularity if pick.source == POPULAR => {
                one(snapshot.popularity_rank(pick.row) as usize)
            }
            Origin::Popularity => Vec::new(),
        }
    }

    fn reasons(&self, item: &Ranked) -> Vec<Reason> {
        let (context, snapshot) = (self.context, self.context.snapshot);
        let mut reasons = Vec::new();
        let purchased = match context.request.tell_purchases {
            true => context.history(),
            false => &[],
        };
        let times = purchased.iter().filter(|bought| bought.row == item.row).count();
        if times > 0 {
            reasons.push(Reason::BoughtBefore { times });
        }
        if item.source == MODEL || item.source == GENERATED {
            let closest = |rows: &mut dyn Iterator<Item = u32>| {
                let vector = snapshot.vector(item.row)?;
                let known =
                    rows.take(REASONS_FROM).filter_map(|row| Some((row, snapshot.vector(row)?)));
                known
                    .map(|(row, other)| (row, cosine(vector, other)))
                    .max_by(|a, b| a.1.total_cmp(&b.1))
            };
            let seen = closest(&mut context.seen.iter().copied());
            reasons.extend(seen.map(|(row, similarity)| Reason::LikeSeen { row, similarity }));
            let bought = closest(&mut purchased.iter().map(|bought| bought.row));
            reasons
                .extend(bought.map(|(row, similarity)| Reason::LikePurchased { row, similarity }));
        }
        if snapshot.popularity(item.row) > 0.0 {
            reasons
                .push(Reason::BestSeller { rank: snapshot.popularity_rank(item.row) as usize + 1 });
        }
        reasons
    }
}
