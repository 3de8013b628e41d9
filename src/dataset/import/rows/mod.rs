//! From the records of a file to the rows of a table, as a section describes them.
//!
//! A record passes four steps, each of which may be left out: empty cells are filled from above
//! ([`fill_down`]), a cell with several items becomes several rows ([`split`]), the columns of
//! another table are added ([`join`]), and rows that do not count are dropped ([`condition`]). What
//! a step adds to a row are columns behind those of the file, so that whoever reads a [`Row`] need
//! not know of them.

mod condition;
mod fill_down;
mod join;
mod split;
mod tally;

pub(super) use condition::Condition;
pub(super) use fill_down::{Above, FillDownPlan};
pub(super) use join::{JoinPlan, Joined, read_joined};
pub(super) use split::{SplitPlan, elements};
pub(super) use tally::{NotCounted, Tally, Unused};

use super::block::{self, Block, LIST_END};
use super::error::{DatasetError, Fault, Place, Reason, shortened};
use super::files::TableFile;
use super::layout::Layout;
use super::values::CellRules;
use fill_down::FillDown;
use std::{borrow::Cow, sync::Arc};

/// The files of a table and how their records become rows.
#[derive(Debug, Clone, Default)]
pub(super) struct TablePlan {
    pub files: Vec<TableFile>,
    pub cells: CellRules,
    pub filter: Vec<Condition>,
    pub fill_down: Option<FillDownPlan>,
    pub split: Option<SplitPlan>,
    pub join: Option<Box<JoinPlan>>,
}

impl TablePlan {
    /// Files whose records are the rows.
    pub fn of(files: Vec<TableFile>) -> Self {
        Self { files, ..Self::default() }
    }

    /// Every file that will be read, those of joined tables included.
    pub fn all_files(&self) -> Vec<&TableFile> {
        let joined = self.join.iter().flat_map(|join| join.table.all_files());
        self.files.iter().chain(joined).collect()
    }

    /// The columns that the steps read.
    pub fn columns(&self) -> Vec<&str> {
        let mut columns: Vec<&str> =
            self.filter.iter().map(|condition| condition.column.as_str()).collect();
        columns.extend(self.split.iter().map(|split| split.column.as_str()));
        columns.extend(self.join.iter().flat_map(|join| join.left_columns()));
        if let Some(fill) = &self.fill_down {
            columns.extend(fill.columns.iter().chain(&fill.within).map(String::as_str));
        }
        columns
    }
}

/// One row: the cells of a record and those that the steps added.
pub(super) struct Row<'a> {
    record: &'a block::Row<'a>,
    added: &'a [Cow<'a, str>],
    /// Columns of the record.
    width: usize,
}

impl<'a> Row<'a> {
    pub fn bytes(&self, column: usize) -> &[u8] {
        match column.checked_sub(self.width) {
            None => self.record.bytes(column),
            Some(added) => self.added[added].as_bytes(),
        }
    }

    pub fn text(&self, column: usize) -> Result<&str, Fault> {
        match column.checked_sub(self.width) {
            None => self.record.text(column),
            Some(added) => Ok(&self.added[added]),
        }
    }

    /// The text of a cell that holds an id; a fault where the file cannot tell ids apart.
    pub fn id(&self, column: usize) -> Result<&str, Fault> {
        match column.checked_sub(self.width) {
            None => self.record.id(column),
            Some(added) => Ok(&self.added[added]),
        }
    }
}

/// Makes rows of the records of one file.
pub(super) struct Rows<'t> {
    layout: Arc<Layout>,
    /// The names of the columns that the steps add, and the column of the file that each comes
    /// from, if any.
    added: Vec<(String, Option<usize>)>,
    cells: &'t CellRules,
    fill_down: Option<FillDown>,
    split: Option<(usize, &'t SplitPlan)>,
    /// Columns of the file whose lists are split along with that column.
    beside: Vec<usize>,
    join: Option<(usize, &'t Joined)>,
    filter: Vec<(usize, &'t Condition)>,
}

impl<'t> Rows<'t> {
    /// # Errors
    /// A step that names a column which is not there.
    pub fn new(
        plan: &'t TablePlan,
        layout: &Arc<Layout>,
        joined: Option<&'t Joined>,
    ) -> Result<Self, DatasetError> {
        let mut rows = Self {
            layout: layout.clone(),
            added: Vec::new(),
            cells: &plan.cells,
            fill_down: None,
            split: None,
            beside: Vec::new(),
            join: None,
            filter: Vec::new(),
        };
        if let Some(fill) = &plan.fill_down {
            let fill = FillDown::find(fill, layout)?;
            rows.added.extend(
                fill.columns.iter().map(|&column| (layout.columns[column].clone(), Some(column))),
            );
            rows.fill_down = Some(fill);
        }
        if let Some(split) = &plan.split {
            let column = rows.column(&split.column)?;
            rows.added.push((split.column.clone(), rows.origin(column)));
            rows.added.push((split.quantity_column(), rows.origin(column)));
            rows.split = Some((column, split));
            let names = &layout.columns;
            let lists = layout.lists.iter().copied();
            rows.beside = lists.filter(|&list| split.is_beside(&names[list])).collect();
            rows.added.extend(rows.beside.iter().map(|&list| (names[list].clone(), Some(list))));
        }
        if let Some(joined) = joined {
            rows.join = Some((rows.column(&joined.left)?, joined));
            rows.added.extend(joined.columns().into_iter().map(|name| (name.to_owned(), None)));
        }
        for condition in &plan.filter {
            rows.filter.push((rows.column(&condition.column)?, condition));
        }
        Ok(rows)
    }

    /// The index of a column of the rows. A step that changes a column of the file hides it; a
    /// joined column comes after those of the file.
    pub fn column(&self, name: &str) -> Result<usize, DatasetError> {
        let width = self.layout.columns.len();
        let changed =
            self.added.iter().rposition(|(added, origin)| origin.is_some() && added == name);
        let own = || self.layout.columns.iter().position(|column| column == name);
        let joined =
            || self.added.iter().position(|(added, _)| added == name).map(|index| width + index);
        match changed.map(|index| width + index).or_else(own).or_else(joined) {
            // The layout knows what makes a column of a file unreadable.
            Some(index) if index < width => self.layout.column(name),
            Some(index) => Ok(index),
            None => Err(self.missing(name)),
        }
    }

    /// Whether the lists of a column of the file are split into rows.
    pub fn splits(&self, column: usize) -> bool {
        self.beside.contains(&column)
            || self.split.is_some_and(|(split, _)| self.origin(split) == Some(column))
    }

    /// The error for a column that is not there.
    pub fn missing(&self, name: &str) -> DatasetError {
        let joined = self.join.map_or_else(Vec::new, |(_, joined)| joined.available());
        match self.layout.missing(name) {
            DatasetError::MissingColumn { file, place, column, found } if !joined.is_empty() => {
                let found = format!("{found}; joined are {}", shortened(&joined.join(", "), 300));
                DatasetError::MissingColumn { file, place, column, found }
            }
            error => error,
        }
    }

    /// The columns of joined tables.
    pub fn joined_columns(&self) -> Vec<&str> {
        self.join.map_or_else(Vec::new, |(_, joined)| joined.columns())
    }

    /// The columns of the file that must be decoded so that these columns of the rows can be read.
    pub fn wanted(&self, columns: &[usize]) -> Vec<usize> {
        let mut wanted: Vec<usize> =
            columns.iter().filter_map(|&column| self.origin(column)).collect();
        if let Some(fill) = &self.fill_down {
            wanted.extend(fill.columns.iter().chain(&fill.within));
        }
        let steps = self
            .split
            .map(|(column, _)| column)
            .into_iter()
            .chain(self.join.map(|(column, _)| column));
        let steps = steps.chain(self.filter.iter().map(|(column, _)| *column));
        wanted.extend(steps.filter_map(|column| self.origin(column)));
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    /// The column of the file behind a column of the rows.
    fn origin(&self, column: usize) -> Option<usize> {
        match column.checked_sub(self.layout.columns.len()) {
            None => Some(column),
            Some(added) => self.added[added].1,
        }
    }

    /// What the rows behind a block find above them.
    pub fn pass(&self, block: &Block, above: &mut Above) {
        if let Some(fill) = &self.fill_down {
            // Faults are found when the block is read.
            block.for_each_row(&mut Vec::new(), |record| {
                fill.pass(record, above);
                Ok(())
            });
        }
    }

    /// Calls `visit` with every row of a block that counts, and tells `tally` what became of each.
    /// `visit` pushes cells that it could do without.
    pub fn for_each(
        &self,
        block: &Block,
        above: &Above,
        tally: &mut Tally,
        mut visit: impl FnMut(&Row, &mut Vec<Fault>) -> Result<(), Unused>,
    ) {
        let width = self.layout.columns.len();
        let mut rejects = Vec::new();
        let mut unreadable = Vec::new();
        if self.added.is_empty() {
            let records = block.for_each_row(&mut rejects, |record| {
                let row = Row { record, added: &[], width };
                let result = self.visit_counted(&row, &mut unreadable, &mut visit);
                tally.add(result, &mut unreadable)
            });
            tally.rows += records;
        } else {
            let mut above = above.clone();
            let mut further = 0;
            let records = block.for_each_row(&mut rejects, |record| {
                let mut faults = Vec::new();
                let rows = self.rows_of(record, &mut above);
                if rows.is_empty() {
                    tally.skip(NotCounted::NoItem);
                }
                further += rows.len().saturating_sub(1) as u64;
                for added in rows {
                    let result = added.and_then(|added| {
                        let row = Row { record, added: &added, width };
                        self.visit_counted(&row, &mut unreadable, &mut visit)
                    });
                    faults.extend(
                        tally
                            .add(result, &mut unreadable)
                            .err()
                            .into_iter()
                            .flat_map(|faults| faults.0),
                    );
                }
                faults.iter_mut().for_each(|fault| self.name_added(fault));
                if faults.is_empty() { Ok(()) } else { Err(super::error::Faults(faults)) }
            });
            tally.rows += records + further;
        }
        tally.rejects.append(&mut rejects);
    }

    fn visit_counted(
        &self,
        row: &Row,
        unreadable: &mut Vec<Fault>,
        visit: &mut impl FnMut(&Row, &mut Vec<Fault>) -> Result<(), Unused>,
    ) -> Result<(), Unused> {
        for (column, condition) in &self.filter {
            if !condition.holds(row.text(*column)?, self.cells) {
                return Err(Unused::NotCounted(NotCounted::Filtered));
            }
        }
        visit(row, unreadable)
    }

    /// The added cells of every row that a record gives.
    fn rows_of<'r>(
        &'r self,
        record: &'r block::Row<'r>,
        above: &'r mut Above,
    ) -> Vec<Result<Vec<Cow<'r, str>>, Unused>> {
        let mut cells = Vec::with_capacity(self.added.len());
        if let Some(fill) = &self.fill_down {
            fill.pass(record, above);
            cells.extend(above.cells.iter().map(|cell| String::from_utf8_lossy(cell)));
        }
        let Some((column, split)) = self.split else {
            return vec![self.with_joined(record, cells)];
        };
        let cell = match self.cell(record, &cells, column) {
            Ok(cell) => cell.into_owned(),
            Err(fault) => return vec![Err(Unused::Rejected(fault))],
        };
        let beside: Result<Vec<Vec<&str>>, Fault> = self
            .beside
            .iter()
            .map(|&list| record.text(list).map(|cell| cell.split(LIST_END as char).collect()))
            .collect();
        let (beside, places) = match beside {
            Ok(beside) if !beside.is_empty() => (beside, SplitPlan::places(&cell)),
            Ok(_) => (Vec::new(), Vec::new()),
            Err(fault) => return vec![Err(Unused::Rejected(fault))],
        };
        let rows = split.items(&cell).into_iter().enumerate().map(|(at, (item, quantity))| {
            let mut cells = cells.clone();
            cells.push(Cow::Owned(item.into_owned()));
            cells.push(Cow::Owned(quantity.into_owned()));
            let place = places.get(at).copied().unwrap_or(at);
            let of_item = |list: &Vec<&'r str>| list.get(place).copied().unwrap_or_default();
            cells.extend(beside.iter().map(|list| Cow::Borrowed(of_item(list))));
            self.with_joined(record, cells)
        });
        rows.collect()
    }

    /// Adds the columns of the joined tables to a row.
    fn with_joined<'r>(
        &'r self,
        record: &'r block::Row<'r>,
        mut cells: Vec<Cow<'r, str>>,
    ) -> Result<Vec<Cow<'r, str>>, Unused> {
        if let Some((column, joined)) = self.join {
            let key = self.cell(record, &cells, column)?.into_owned();
            joined.add_row(&key, &mut cells).map_err(|mut fault| {
                if fault.column == Place::Row {
                    fault.column = Place::Column(column);
                }
                self.name_added(&mut fault);
                fault
            })?;
        }
        Ok(cells)
    }

    /// A cell of a row under construction.
    fn cell<'r>(
        &self,
        record: &'r block::Row<'r>,
        cells: &[Cow<'r, str>],
        column: usize,
    ) -> Result<Cow<'r, str>, Fault> {
        match column.checked_sub(self.layout.columns.len()) {
            None => record.text(column).map(Cow::Borrowed),
            Some(added) => Ok(cells[added].clone()),
        }
    }

    /// Messages name a column of the file, or say that it is another one.
    fn name_added(&self, fault: &mut Fault) {
        if let Place::Column(column) = fault.column
            && let Some(added) = column.checked_sub(self.layout.columns.len())
        {
            fault.column = match &self.added[added] {
                (_, Some(origin)) => Place::Column(*origin),
                (name, None) => Place::Named(name.clone()),
            };
        }
    }
}

impl From<Fault> for Unused {
    fn from(fault: Fault) -> Self {
        Self::Rejected(fault)
    }
}

impl Unused {
    /// A row that is rejected for one of its cells.
    pub fn at(column: usize, reason: Reason) -> Self {
        Self::Rejected(Fault::at(column, reason))
    }
}
