//! `fill_down`: empty cells that take the value of the row above, as in exports that say what
//! belongs to a whole order only in its first line.

use super::Layout;
use crate::dataset::import::{block, error::DatasetError};

/// The columns that are filled.
#[derive(Debug, Clone)]
pub(in crate::dataset::import) struct FillDownPlan {
    pub columns: Vec<String>,
    /// Only rows that have the same value in this column are filled from each other.
    pub within: Option<String>,
}

/// Where those columns are in one file.
pub(super) struct FillDown {
    pub columns: Vec<usize>,
    pub within: Option<usize>,
}

/// The last values above a row.
#[derive(Debug, Clone, Default)]
pub(in crate::dataset::import) struct Above {
    pub(super) cells: Vec<Vec<u8>>,
    key: Vec<u8>,
}

impl FillDown {
    pub fn find(plan: &FillDownPlan, layout: &Layout) -> Result<Self, DatasetError> {
        Ok(Self {
            columns: plan
                .columns
                .iter()
                .map(|name| layout.column(name))
                .collect::<Result<_, _>>()?,
            within: plan.within.as_ref().map(|name| layout.column(name)).transpose()?,
        })
    }

    /// Takes the values of a row; its empty cells keep those from above.
    pub fn pass(&self, row: &block::Row, above: &mut Above) {
        above.cells.resize(self.columns.len(), Vec::new());
        if let Some(key) = self.within.map(|column| row.bytes(column)) {
            if key != above.key {
                above.cells.iter_mut().for_each(Vec::clear);
            }
            key.clone_into(&mut above.key);
        }
        for (cell, &column) in above.cells.iter_mut().zip(&self.columns) {
            let own = row.bytes(column);
            if !own.trim_ascii().is_empty() {
                own.clone_into(cell);
            }
        }
    }
}
