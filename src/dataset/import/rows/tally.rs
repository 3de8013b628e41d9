//! What became of the rows of a block.

use crate::dataset::import::error::{Fault, Faults, Place, Reason, Reject};
use std::mem::{Discriminant, discriminant};

/// Why a row is not used.
#[derive(Debug)]
pub(in crate::dataset::import) enum Unused {
    /// It says nothing that is wanted.
    NotCounted(NotCounted),
    /// It is wrong.
    Rejected(Fault),
}

/// Why a row that is right does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dataset::import) enum NotCounted {
    Filtered,
    /// Of another type than those that count.
    Event,
    Return,
    NoCustomer,
    /// In a table of entities: of another kind.
    NoId,
    BelowRating,
    Weightless,
    NoItem,
    /// A further row of an entity that is known.
    Repeated,
}

impl NotCounted {
    pub const ALL: [Self; 9] = [
        Self::Filtered,
        Self::Event,
        Self::Return,
        Self::NoCustomer,
        Self::NoId,
        Self::BelowRating,
        Self::Weightless,
        Self::NoItem,
        Self::Repeated,
    ];

    /// The reason behind a number of rows: "12 of another event".
    pub fn words(self) -> &'static str {
        match self {
            Self::Filtered => "left out by `where`",
            Self::Event => "of another event",
            Self::Return => "returned or without a quantity",
            Self::NoCustomer => "without a customer",
            Self::NoId => "without an id",
            Self::BelowRating => "below the rating",
            Self::Weightless => "without a weight above 0",
            Self::NoItem => "without an item",
            Self::Repeated => "of an id that was there before",
        }
    }
}

/// Cells of one column that could not be read for one kind of reason.
#[derive(Debug, Clone)]
pub(in crate::dataset::import) struct CellGroup {
    column: Place,
    kind: Discriminant<Reason>,
    pub count: u64,
}

/// The account of a block. Rows are used, not counted, or rejected.
#[derive(Debug, Default)]
pub(in crate::dataset::import) struct Tally {
    pub rows: u64,
    /// By [`NotCounted::ALL`].
    not_counted: [u64; NotCounted::ALL.len()],
    /// Rejected rows; and of each group in `cells` the first cell, in their order.
    pub rejects: Vec<Reject>,
    pub cells: Vec<CellGroup>,
}

impl Tally {
    pub fn of_rejects(rejects: Vec<Reject>) -> Self {
        Self { rejects, ..Self::default() }
    }

    pub fn skip(&mut self, why: NotCounted) {
        self.not_counted[why as usize] += 1;
    }

    pub fn not_counted(&self, why: NotCounted) -> u64 {
        self.not_counted[why as usize]
    }

    /// Takes the result of a row, and the cells that were unreadable in it if it is used; gives the
    /// faults to locate.
    pub(super) fn add(
        &mut self,
        result: Result<(), Unused>,
        unreadable: &mut Vec<Fault>,
    ) -> Result<(), Faults> {
        match result {
            Ok(()) => {}
            Err(Unused::NotCounted(why)) => {
                self.skip(why);
                // The cells of a further row of an entity are read all the same.
                if why != NotCounted::Repeated {
                    unreadable.clear();
                }
            }
            Err(Unused::Rejected(fault)) => {
                unreadable.clear();
                return Err(fault.into());
            }
        }
        if unreadable.is_empty() {
            return Ok(());
        }
        let new: Vec<Fault> =
            unreadable.drain(..).filter_map(|fault| self.add_cell(fault)).collect();
        if new.is_empty() { Ok(()) } else { Err(Faults(new)) }
    }

    /// Counts a cell; gives it back if it is the first of its group.
    fn add_cell(&mut self, fault: Fault) -> Option<Fault> {
        let kind = discriminant(&fault.reason);
        if let Some(group) =
            self.cells.iter_mut().find(|group| group.kind == kind && group.column == fault.column)
        {
            group.count += 1;
            return None;
        }
        self.cells.push(CellGroup { column: fault.column.clone(), kind, count: 1 });
        Some(Fault { kept: true, ..fault })
    }
}
