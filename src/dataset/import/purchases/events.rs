//! The types of event that a file has.

use crate::dataset::import::{error::shown, plan::PurchasePlan};

/// How many rows each event has.
#[derive(Default)]
pub(super) struct EventCounts(Vec<(String, u64)>);

impl EventCounts {
    /// Kinds of event that are told apart.
    const MOST: usize = 30;

    pub fn count(&mut self, event: &str, rows: u64) {
        match self.0.iter().position(|(known, _)| known == event) {
            Some(index) => self.0[index].1 += rows,
            None if self.0.len() < Self::MOST => self.0.push((event.to_owned(), rows)),
            None => {}
        }
    }

    pub fn join(&mut self, other: Self) {
        other.0.into_iter().for_each(|(event, rows)| self.count(&event, rows));
    }

    /// Tells which events there are, and which of those that count are missing.
    pub fn note(&self, plan: &PurchasePlan, notes: &mut Vec<String>) {
        let Some(event) = &plan.event else { return };
        let found: Vec<String> =
            self.0.iter().map(|(name, rows)| format!("{} {rows}", shown(name))).collect();
        notes.push(format!("events in `{}`: {}", event.column, found.join(", ")));
        for name in
            event.weights.keys().filter(|name| !self.0.iter().any(|(found, _)| found == *name))
        {
            notes.push(format!("no row has the event `{name}`"));
        }
    }
}
