//! Which places of a list promotions want, and what they set there.

use super::{Pick, Picks, Supply};
use crate::recommend::{Context, Eligible, rules::Claim};

/// The promotions of one list.
pub(super) struct Promotions<'a> {
    context: &'a Context<'a>,
    promotions: Vec<Promotion<'a>>,
    /// By place; none where nothing is promoted.
    slots: Vec<Option<Slot>>,
}

struct Promotion<'a> {
    bit: u64,
    about: &'a Eligible,
    /// Articles of it that the list has.
    standing: usize,
    /// Its articles by falling popularity, once candidates run out.
    rest: Option<Box<dyn Iterator<Item = u32> + 'a>>,
}

/// The place at which a promotion must have so many articles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    promotion: usize,
    wanted: usize,
}

impl<'a> Promotions<'a> {
    pub(super) fn new(
        context: &'a Context<'a>,
        length: usize,
        is_pinned: impl Fn(usize) -> bool,
    ) -> Self {
        let (mut promotions, mut shares) = (Vec::new(), Vec::new());
        for claimed in context.rules.claims() {
            if let (Claim::Share { least, of }, Some(about)) = (claimed.claim, claimed.about) {
                promotions.push(Promotion { bit: claimed.bit, about, standing: 0, rest: None });
                shares.push((least, of));
            }
        }
        let slots = if shares.is_empty() { Vec::new() } else { slots(&shares, length, is_pinned) };
        Self { context, promotions, slots }
    }

    /// The article that must stand at this place: the best of what is offered, else the best seller
    /// of the promotion. `None`: the promotion has as many already, or no further one fits.
    pub(super) fn due(
        &mut self,
        place: usize,
        picks: &Picks<'_>,
        supply: Supply<'_>,
    ) -> Option<Pick> {
        let slot = (*self.slots.get(place)?)?;
        let promotion = &mut self.promotions[slot.promotion];
        if promotion.standing >= slot.wanted {
            return None;
        }
        let fits = |row: u32| promotion.about.rows.contains(row) && picks.admits(row);
        let offered = (0..).map_while(|at| Some((at, supply.row(at)?))).find(|&(_, row)| fits(row));
        let pick = match offered {
            Some((at, _)) => supply.get(at)?,
            None => {
                let (snapshot, eligible) = (self.context.snapshot, &self.context.eligible.rows);
                let rest = promotion
                    .rest
                    .get_or_insert_with(|| snapshot.by_popularity(&promotion.about.rows));
                // What does not fit now fits at no later place either.
                let row = rest.find(|&row| eligible.contains(row) && picks.admits(row))?;
                Pick::unfound(snapshot, row)
            }
        };
        Some(Pick { rules: pick.rules | promotion.bit, ..pick })
    }

    /// Counts an article that the list has got.
    pub(super) fn count(&mut self, row: u32) {
        for promotion in &mut self.promotions {
            promotion.standing += usize::from(promotion.about.rows.contains(row));
        }
    }
}

/// The places at which articles must be promoted, should none come by itself. The n-th article of a
/// share is due at the first place p, from 1, with ⌊least · p / of⌋ = n; it gets the last free
/// place up to that one, the next free one where pins leave none. Counted by place, the n-th of
/// these places wants n articles: its own n-th article is due there or later.
fn slots(
    shares: &[(u64, u64)],
    length: usize,
    is_pinned: impl Fn(usize) -> bool,
) -> Vec<Option<Slot>> {
    let mut due: Vec<(usize, usize)> = Vec::new();
    for (promotion, &(least, of)) in shares.iter().enumerate() {
        let places = (1..).map(|n: u64| (n * of).div_ceil(least) as usize - 1);
        due.extend(places.take_while(|&place| place < length).map(|place| (place, promotion)));
    }
    due.sort_unstable();
    let mut slots: Vec<Option<Slot>> = vec![None; length];
    for (place, promotion) in due {
        let free =
            |slots: &[Option<Slot>], place: usize| slots[place].is_none() && !is_pinned(place);
        let before = (0..=place).rev().find(|&place| free(&slots, place));
        if let Some(place) =
            before.or_else(|| (place + 1..length).find(|&place| free(&slots, place)))
        {
            slots[place] = Some(Slot { promotion, wanted: 0 });
        }
    }
    let mut wanted = vec![0; shares.len()];
    for slot in slots.iter_mut().flatten() {
        wanted[slot.promotion] += 1;
        slot.wanted = wanted[slot.promotion];
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(
        shares: &[(u64, u64)],
        length: usize,
        pinned: &[usize],
    ) -> Vec<(usize, usize, usize)> {
        let slots = slots(shares, length, |place| pinned.contains(&place));
        let slot = |(place, slot): (usize, Option<Slot>)| {
            slot.map(|slot| (place, slot.promotion, slot.wanted))
        };
        slots.into_iter().enumerate().filter_map(slot).collect()
    }

    #[test]
    fn promotions_are_spread_evenly() {
        assert_eq!(places(&[(3, 12)], 12, &[]), [(3, 0, 1), (7, 0, 2), (11, 0, 3)]);
        assert_eq!(places(&[(2, 5)], 6, &[]), [(2, 0, 1), (4, 0, 2)]);
        assert_eq!(places(&[(1, 1)], 3, &[]), [(0, 0, 1), (1, 0, 2), (2, 0, 3)]);
        assert_eq!(places(&[(1, 20)], 12, &[]), []);
    }

    #[test]
    fn two_that_are_due_at_one_place_both_stand_by_then() {
        assert_eq!(places(&[(1, 2), (1, 2)], 4, &[]), [(0, 1, 1), (1, 0, 1), (2, 1, 2), (3, 0, 2)]);
        assert_eq!(places(&[(4, 12), (8, 12)], 3, &[]), [(0, 1, 1), (1, 1, 2), (2, 0, 1)]);
    }

    #[test]
    fn pins_move_promotions_to_the_place_before_or_else_behind() {
        assert_eq!(places(&[(1, 3)], 6, &[2]), [(1, 0, 1), (5, 0, 2)]);
        assert_eq!(places(&[(1, 3)], 6, &[0, 1, 2]), [(3, 0, 1), (5, 0, 2)]);
    }
}
