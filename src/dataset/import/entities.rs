//! Reads tables of articles or customers.

use super::block::{Layout, Row, read_ahead};
use super::columns::{ColumnBuilder, ColumnType, EntitiesBuilder};
use super::error::{DatasetError, Fault, Reason, shown};
use super::plan::{Columns, EntityPlan, KeptColumn};
use super::session::Session;
use crate::domain::ArticleId;

/// Reads all files of a table. Rows with a fault are rejected whole.
pub(super) fn read_entities(plan: &EntityPlan, session: &mut Session) -> Result<EntitiesBuilder, DatasetError> {
    let mut table = EntitiesBuilder::default();
    let mut kept: Option<Vec<KeptColumn>> = None;
    for file in &plan.files {
        let source = file.open()?;
        let layout = source.layout().clone();
        let kept = kept.get_or_insert_with(|| resolve(plan, &layout));
        if table.columns.is_empty() {
            table.columns = kept.iter().map(|c| ColumnBuilder::new(&c.name, c.kind.clone())).collect();
        }
        let columns = ColumnIndices {
            id: layout.column(&plan.id)?,
            attributes: kept.iter().map(|c| layout.column(&c.header)).collect::<Result<_, _>>()?,
        };
        let progress = session.progress(&layout.file, source.expected());
        let mut rows = 0;
        for block in read_ahead(source) {
            let block = block?;
            let mut rejects = Vec::new();
            table.check_room(block.bytes.len(), &layout.file)?;
            let count = block.for_each_row(&mut rejects, |row| add_row(&mut table, &columns, row));
            session.reject_all(rejects)?;
            rows += count;
            progress.advance(block.bytes.len(), count);
        }
        session.file_done(&layout.file, rows, progress);
    }
    if table.ids.is_empty() && !plan.open {
        let file = plan.files.first().map(|file| file.path.as_path().into());
        return Err(session.no_rows(file));
    }
    Ok(table)
}

/// Where the columns are in one file.
struct ColumnIndices {
    id: usize,
    attributes: Vec<usize>,
}

/// The attribute columns of a file.
fn resolve(plan: &EntityPlan, layout: &Layout) -> Vec<KeptColumn> {
    match &plan.columns {
        Columns::Listed(columns) => columns.clone(),
        Columns::All { types } => {
            // A column without a name is a row number that a data frame wrote.
            let named = layout.columns.iter().filter(|name| !name.is_empty() && **name != plan.id);
            let kind = |name: &String| types.get(name).cloned().unwrap_or(ColumnType::Category);
            named.map(|name| KeptColumn { header: name.clone(), name: name.clone(), kind: kind(name) }).collect()
        }
    }
}

fn add_row(table: &mut EntitiesBuilder, indices: &ColumnIndices, row: &Row) -> Result<(), Fault> {
    let id = row.text(indices.id)?;
    ArticleId::parse(id).map_err(|fault| Fault::at(indices.id, Reason::Id(fault)))?;
    if table.ids.find(id).is_some() {
        return Err(Fault::at(indices.id, Reason::Duplicate(shown(id))));
    }
    for (column, &index) in table.columns.iter().zip(&indices.attributes) {
        column.check(row.text(index)?, index)?;
    }
    table.ids.insert(id);
    for (column, &index) in table.columns.iter_mut().zip(&indices.attributes) {
        // Checked above.
        column.push(row.text(index).unwrap_or_default());
    }
    Ok(())
}
