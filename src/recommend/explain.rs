//! Why an article is in the answer.

use super::{
    Context, Ranked, Reason,
    query::cosine,
    sources::{GENERATED, MODEL},
};

/// Reasons look so many purchases back.
const REASONS_FROM: usize = 50;

/// Without `tell_purchases` no reason shows what the customer bought.
pub(super) fn reasons(context: &Context<'_>, item: &Ranked) -> Vec<Reason> {
    let snapshot = context.snapshot;
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
            let known = rows.take(REASONS_FROM).filter_map(|row| Some((row, snapshot.vector(row)?)));
            known.map(|(row, other)| (row, cosine(vector, other))).max_by(|a, b| a.1.total_cmp(&b.1))
        };
        let seen = closest(&mut context.seen.iter().copied());
        reasons.extend(seen.map(|(row, similarity)| Reason::LikeSeen { row, similarity }));
        let bought = closest(&mut purchased.iter().map(|bought| bought.row));
        reasons.extend(bought.map(|(row, similarity)| Reason::LikePurchased { row, similarity }));
    }
    if snapshot.popularity(item.row) > 0.0 {
        reasons.push(Reason::BestSeller { rank: snapshot.popularity_rank(item.row) as usize + 1 });
    }
    reasons
}
