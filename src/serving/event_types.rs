//! The types of events.

use super::EventsConfig;
use crate::store::{Counting, Retention};

/// A type that every shop has.
struct BuiltIn {
    name: &'static str,
    retention: Retention,
    counting: Counting,
    /// Whether it is about articles.
    needs_items: bool,
}

/// What is to be done with an event of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventType {
    pub retention: Retention,
    pub counting: Counting,
    /// Whether an event must name articles.
    pub needs_items: bool,
}

const BUILT_IN: [BuiltIn; 10] = [
    action("view", true),
    action("click", true),
    action("cart_add", true),
    action("cart_remove", true),
    fact("purchase", Counting::Adds),
    fact("return", Counting::Takes),
    BuiltIn {
        name: "impression",
        retention: Retention::Impressions,
        counting: Counting::Nothing,
        needs_items: true,
    },
    action("dislike", true),
    action("wishlist", true),
    action("search", false),
];

const fn action(name: &'static str, needs_items: bool) -> BuiltIn {
    BuiltIn { name, retention: Retention::Actions, counting: Counting::Nothing, needs_items }
}

const fn fact(name: &'static str, counting: Counting) -> BuiltIn {
    BuiltIn { name, retention: Retention::Facts, counting, needs_items: true }
}

pub(super) fn is_built_in(name: &str) -> bool {
    BUILT_IN.iter().any(|kind| kind.name == name)
}

/// What is wrong with the name of a type.
pub(super) fn name_problem(name: &str) -> Option<&'static str> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_name = (1..=32).contains(&name.len()) && name.bytes().all(allowed);
    (!is_name).then_some("a type is named by 1 to 32 characters out of a-z, 0-9 and _")
}

impl EventsConfig {
    /// What is to be done with events of this type; `None` for one that is not registered.
    pub fn event_type(&self, name: &str) -> Option<EventType> {
        if let Some(kind) = BUILT_IN.iter().find(|kind| kind.name == name) {
            let &BuiltIn { retention, counting, needs_items, .. } = kind;
            return Some(EventType { retention, counting, needs_items });
        }
        let &retention = self.types.get(name)?;
        Some(EventType { retention, counting: Counting::Nothing, needs_items: false })
    }

    /// The names of all types.
    pub fn event_types(&self) -> impl Iterator<Item = &str> {
        BUILT_IN.iter().map(|kind| kind.name).chain(self.types.keys().map(String::as_str))
    }
}
