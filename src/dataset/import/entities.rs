//! Reads tables of articles or customers.

use super::block::{Row, read_ahead};
use super::columns::{ColumnBuilder, ColumnType, EntitiesBuilder};
use super::error::{DatasetError, Fault, Reason, shown};
use super::layout::Layout;
use super::plan::{EntityPlan, Header};
use super::presets;
use super::session::Session;
use crate::domain::ArticleId;

/// Reads all files of a table. Rows with a fault are rejected whole.
pub(super) fn read_entities(plan: &EntityPlan, session: &mut Session) -> Result<EntitiesBuilder, DatasetError> {
    let mut table = EntitiesBuilder::default();
    let mut kept: Option<Vec<KeptColumn>> = None;
    for file in &plan.files {
        let mut source = file.open(session.block)?;
        let layout = source.layout().clone();
        let kept = kept.get_or_insert(resolve(plan, &layout, &mut session.report.notes)?);
        if table.columns.is_empty() {
            table.columns = kept.iter().map(|c| ColumnBuilder::new(&c.name, c.kind.clone())).collect();
        }
        let columns = ColumnIndices {
            id: layout.column(&plan.id)?,
            attributes: kept.iter().map(|c| layout.column(&c.header)).collect::<Result<_, _>>()?,
        };
        source.want(&[&[columns.id], &columns.attributes[..]].concat())?;
        let progress = session.progress(&layout.file, source.expected());
        let mut rows = 0;
        for block in read_ahead(source) {
            let block = block?;
            let mut rejects = Vec::new();
            table.check_room(block.size(), &layout.file)?;
            let count = block.for_each_row(&mut rejects, |row| add_row(&mut table, &columns, row));
            session.reject_all(rejects)?;
            rows += count;
            progress.advance(block.size(), count);
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

/// An attribute column that is kept.
struct KeptColumn {
    /// As the file has it.
    header: String,
    /// As the dataset has it.
    name: String,
    kind: ColumnType,
}

/// The attribute columns of a file that the plan keeps.
fn resolve(plan: &EntityPlan, layout: &Layout, notes: &mut Vec<String>) -> Result<Vec<KeptColumn>, DatasetError> {
    let mut columns = Vec::new();
    for (index, header) in layout.columns.iter().enumerate() {
        // A column without a name is a row number that a data frame wrote.
        if *header == plan.id || header.is_empty() {
            continue;
        }
        let fault = |detail| DatasetError::Header { file: layout.file.clone(), column: header.clone(), detail };
        let is_list = layout.lists.contains(&index);
        let (name, kind) = match plan.header {
            Header::Typed => presets::typed_column(header).map_err(fault)?,
            Header::Plain if is_list => (header.as_str(), ColumnType::Tags { separator: ",".to_owned() }),
            Header::Plain => (header.as_str(), ColumnType::Category),
        };
        if plan.keep.as_ref().is_some_and(|keep| !keep.iter().any(|kept| kept == name)) {
            continue;
        }
        let kind = plan.types.get(name).cloned().unwrap_or(kind);
        if is_list && !matches!(kind, ColumnType::Tags { .. }) {
            return Err(fault("the column holds lists; its type can only be tags".to_owned()));
        }
        if kind == ColumnType::Ignored {
            notes.push(format!("{}: column `{header}` is left out", layout.file));
            continue;
        }
        columns.push(KeptColumn { header: header.clone(), name: name.to_owned(), kind });
    }
    match plan.needed.iter().chain(plan.keep.iter().flatten()).find(|name| columns.iter().all(|c| c.name != **name)) {
        Some(missing) => Err(layout.missing(missing)),
        None => Ok(columns),
    }
}

fn add_row(table: &mut EntitiesBuilder, indices: &ColumnIndices, row: &Row) -> Result<(), Fault> {
    let id = row.id(indices.id)?;
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
