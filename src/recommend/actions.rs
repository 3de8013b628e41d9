//! What customers and visitors do with articles besides buying them, and what follows from it: what
//! interests them in this visit, what they do not want, what they have been shown.
//!
//! A purchase is a choice among everything the shop has; a look at an article is only a look. So
//! actions stand beside the purchases and not among them: whoever has bought before is known by the
//! purchases, and the actions of the last day show what this visit is about. Of somebody who has
//! not bought anything, the actions of a month are all there is.

use super::Context;
use crate::domain::{ArticleId, Timestamp};

/// Something that somebody did with an article.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    pub article: ArticleId,
    pub at: Timestamp,
    pub kind: ActionKind,
    /// How much it says about what the person likes, beside a purchase, which says 1; 0: nothing.
    pub weight: f32,
}

/// What was done, as far as the pipeline tells actions apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActionKind {
    /// Looked at: a view or a click.
    View,
    /// Put into the cart or on a list of wishes.
    Want,
    /// Taken out of the cart.
    Unwant,
    Dislike,
    /// Shown.
    Impression,
    Other,
}

/// An article that interests somebody.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interest {
    pub row: u32,
    /// When it last did.
    pub at: Timestamp,
    pub weight: f32,
}

/// Articles that count as interesting: the latest.
const INTERESTS: usize = 50;
/// Days whose actions count for those who have bought something, and for others.
const VISIT_DAYS: u32 = 1;
const STRANGER_DAYS: u32 = 30;
/// "Today" is the last 24 hours: a customer at 0:10 has not forgotten what was shown at 23:50.
const TODAY: u32 = Timestamp::DAY;

impl ActionKind {
    /// The kind of an event's type.
    pub fn of(kind: &str) -> Self {
        match kind {
            "view" | "click" => Self::View,
            "cart_add" | "wishlist" => Self::Want,
            "cart_remove" => Self::Unwant,
            "dislike" => Self::Dislike,
            "impression" => Self::Impression,
            _ => Self::Other,
        }
    }
}

/// Actions with the rows of their articles, newest first, without those the catalogue lacks.
fn rows<'a>(context: &'a Context<'_>) -> impl Iterator<Item = (u32, &'a Action)> {
    let catalogue = context.snapshot.catalogue();
    context
        .customer
        .actions
        .iter()
        .filter_map(|action| Some((catalogue.row(action.article.as_str())?, action)))
}

/// The articles that interest the customer, the latest first, each once and with its greatest
/// weight.
pub(super) fn interests(context: &Context<'_>) -> Vec<Interest> {
    let days = if context.customer.purchases.is_empty() { STRANGER_DAYS } else { VISIT_DAYS };
    let since = context.request.at.minus_days(days);
    let mut found: Vec<Interest> = Vec::new();
    let mut unwanted: Vec<u32> = Vec::new();
    for (row, action) in rows(context).take_while(|(_, action)| action.at >= since) {
        match action.kind {
            ActionKind::Unwant | ActionKind::Dislike => unwanted.push(row),
            // Taken out of the cart again, later.
            ActionKind::Want if unwanted.contains(&row) => {}
            _ if action.weight <= 0.0 => {}
            _ => match found.iter().position(|interest| interest.row == row) {
                Some(at) => found[at].weight = found[at].weight.max(action.weight),
                None if found.len() == INTERESTS => break,
                None => found.push(Interest { row, at: action.at, weight: action.weight }),
            },
        }
    }
    let disliked = disliked(context);
    found.retain(|interest| !disliked.contains(&interest.row));
    found
}

/// Rows of articles that the customer dislikes and has not wanted or bought since.
pub(super) fn disliked(context: &Context<'_>) -> Vec<u32> {
    let (mut disliked, mut wanted) = (Vec::new(), Vec::new());
    for (row, action) in rows(context) {
        match action.kind {
            ActionKind::Want => wanted.push(row),
            ActionKind::Dislike if !wanted.contains(&row) && !disliked.contains(&row) => {
                let bought_since =
                    |bought: &super::Bought| bought.row == row && bought.at >= action.at;
                if !context.history().iter().any(bought_since) {
                    disliked.push(row);
                }
            }
            _ => {}
        }
    }
    disliked
}

/// Rows of articles that the customer was shown so many times in the last 24 hours.
pub(super) fn shown(context: &Context<'_>, times: u32) -> Vec<u32> {
    let since = Timestamp(context.request.at.0.saturating_sub(TODAY));
    let today = rows(context).take_while(|(_, action)| action.at >= since);
    let mut shown: Vec<u32> = today
        .filter(|(_, action)| action.kind == ActionKind::Impression)
        .map(|(row, _)| row)
        .collect();
    shown.sort_unstable();
    let often = shown.chunk_by(|a, b| a == b).filter(|same| same.len() >= times as usize);
    often.map(|same| same[0]).collect()
}
