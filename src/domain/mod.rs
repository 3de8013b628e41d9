//! The words every other module speaks: ids, times, scores. Values are checked when they are made
//! ("parse at the edge"), so inside the system nothing is checked twice. Knows no I/O.

mod ids;
mod kind;
mod number;
mod table;
mod time;

pub use ids::{ArticleId, CustomerId, InvalidId, VisitorId};
pub use kind::AttributeKind;
pub use number::Number;
pub use table::IdTable;
pub use time::{InvalidTime, Timestamp};

/// How many items an answer may hold: 1 to 500.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopK(u16);

impl Default for TopK {
    /// As many articles as an answer holds when nothing else is asked for.
    fn default() -> Self {
        Self(12)
    }
}

impl TopK {
    pub const MAX: usize = 500;

    /// `None` unless `1 <= k <= 500`.
    pub fn new(k: usize) -> Option<Self> {
        (1..=Self::MAX).contains(&k).then_some(Self(k as u16))
    }

    pub fn get(self) -> usize {
        usize::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn top_k_holds_only_its_range() {
        assert_eq!(TopK::new(0), None);
        assert_eq!(TopK::new(501), None);
        assert_eq!(TopK::new(500).unwrap().get(), 500);
    }
}
