//! Reads tables of articles or customers.

use super::block::{Block, ReadAhead, read_ahead};
use super::columns::{ColumnBuilder, ColumnType, EntitiesBuilder};
use super::error::{DatasetError, Fault, Reason, shown};
use super::ids::{IdStyle, WholeIds};
use super::layout::Layout;
use super::plan::{Duplicates, EntityPlan, Header};
use super::presets;
use super::rows::{Above, Joined, NotCounted, Row, Rows, Tally, Unused, read_joined};
use super::session::Session;
use super::values::CellRules;
use crate::domain::ArticleId;
use std::iter::Peekable;

/// Reads all files of a table, called `name` in the report. A row is rejected if its id cannot be
/// used; other cells that cannot be read are missing.
pub(super) fn read_entities(
    plan: &EntityPlan,
    name: &str,
    session: &mut Session,
) -> Result<EntitiesBuilder, DatasetError> {
    let joined = match &plan.table.join {
        Some(join) => Some(read_joined(join, plan.wanted().as_deref(), session)?),
        None => None,
    };
    session.begin_table(name);
    let mut table = EntitiesBuilder::default();
    let mut kept = None;
    for file in &plan.table.files {
        let source = file.open(session.block)?;
        read_file(source, plan, joined.as_ref(), &mut kept, &mut table, session)?;
    }
    if table.ids.is_empty() && !plan.open {
        let file = plan.table.files.first().map(|file| file.path.as_path().into());
        return Err(session.no_rows(file));
    }
    session.end_table(table.ids.len() as u64)?;
    Ok(table)
}

impl EntityPlan {
    /// The columns to keep of joined tables; `None`: all.
    fn wanted(&self) -> Option<Vec<&str>> {
        let keep = self.keep.as_ref()?.iter().map(String::as_str);
        let fields = self.fields.iter().map(|(column, _)| column.as_str());
        Some(keep.chain(fields).chain([self.id.as_str()]).chain(self.table.columns()).collect())
    }
}

/// Reads one file. The first decides which attributes are kept.
fn read_file(
    mut source: Box<dyn super::block::BlockSource>,
    plan: &EntityPlan,
    joined: Option<&Joined>,
    kept: &mut Option<Vec<KeptColumn>>,
    table: &mut EntitiesBuilder,
    session: &mut Session,
) -> Result<(), DatasetError> {
    let layout = source.layout().clone();
    let rows = Rows::new(&plan.table, &layout, joined)?;
    if kept.is_none() {
        let columns = resolve(plan, &layout, &rows, &mut session.report.notes)?;
        let is_replaceable = plan.duplicates != Duplicates::Reject;
        let builders = columns
            .iter()
            .map(|column| ColumnBuilder::new(&column.name, column.kind.clone(), is_replaceable));
        table.columns = builders.collect();
        *kept = Some(columns);
    }
    let attributes = kept.iter().flatten().map(|column| rows.column(&column.header));
    let mut reader = EntityReader {
        id: rows.column(&plan.id)?,
        attributes: attributes.collect::<Result<_, _>>()?,
        id_style: IdStyle::Text,
        plan,
        rules: &plan.table.cells,
    };
    source.want(&rows.wanted(&[&[reader.id], &reader.attributes[..]].concat()))?;
    let progress = session.progress(&layout.file, source.expected());
    let mut blocks = read_ahead(source).peekable();
    let sampled = style_of(&mut blocks, &rows, reader.id);
    reader.id_style = WholeIds::style(session.reads_whole_ids(), sampled);
    let mut above = Above::default();
    let mut count = 0;
    for block in blocks {
        let block = block?;
        table.check_room(block.size(), &layout.file)?;
        let mut tally = Tally::default();
        rows.for_each(&block, &above, &mut tally, |row, unreadable| {
            reader.add(row, table, unreadable)
        });
        rows.pass(&block, &mut above);
        count += tally.rows;
        progress.advance(block.size(), tally.rows);
        session.add(tally)?;
    }
    session.file_done(&layout.file, count, progress);
    Ok(())
}

/// How the ids of a column are written, by those of the first block.
fn style_of(blocks: &mut Peekable<ReadAhead>, rows: &Rows, column: usize) -> IdStyle {
    let Some(Ok(block)) = blocks.peek() else { return IdStyle::Text };
    let ids = sample(rows, block, &[column]);
    IdStyle::of(ids.iter().map(|row| row[0].as_str()))
}

/// Rows to look at before a file is read.
const SAMPLE: usize = 2_000;

/// Cells of the first rows of a block that count.
pub(super) fn sample(rows: &Rows, block: &Block, columns: &[usize]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    rows.for_each(block, &Above::default(), &mut Tally::default(), |row, _| {
        if found.len() < SAMPLE {
            found.push(
                columns
                    .iter()
                    .map(|&column| row.text(column).unwrap_or_default().to_owned())
                    .collect(),
            );
        }
        Ok(())
    });
    found
}

/// An attribute column that is kept.
struct KeptColumn {
    /// As the file has it.
    header: String,
    /// As the dataset has it.
    name: String,
    kind: ColumnType,
}

/// The columns of a file and of joined tables that the plan keeps as attributes.
fn resolve(
    plan: &EntityPlan,
    layout: &Layout,
    rows: &Rows,
    notes: &mut Vec<String>,
) -> Result<Vec<KeptColumn>, DatasetError> {
    let mut columns = Vec::new();
    let joined = rows.joined_columns();
    let joined =
        joined.iter().copied().filter(|name| !layout.columns.iter().any(|own| own == name));
    let headers = layout.columns.iter().map(String::as_str).chain(joined);
    for (index, header) in headers.enumerate() {
        // A column without a name is a row number that a data frame wrote.
        if *header == plan.id || header.is_empty() {
            continue;
        }
        let fault = |detail| DatasetError::Header {
            file: layout.file.clone(),
            column: header.to_owned(),
            detail,
        };
        let is_list = layout.lists.contains(&index) && !rows.splits(index);
        let (name, kind) = match plan.header {
            Header::Typed => presets::typed_column(header).map_err(fault)?,
            Header::Plain if is_list => (header, ColumnType::Tags { separator: ",".to_owned() }),
            Header::Plain => (header, ColumnType::Category),
        };
        if !plan.keeps(header, name) {
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
        columns.push(KeptColumn { header: header.to_owned(), name: name.to_owned(), kind });
    }
    let is_there = |name: &String| columns.iter().any(|column| column.name == *name);
    let is_field = |name: &String| plan.fields.iter().any(|(_, field)| field.name() == name);
    let needed = plan.needed.iter().chain(plan.keep.iter().flatten());
    if let Some(missing) = needed.into_iter().find(|name| !is_there(name) && !is_field(name)) {
        return Err(rows.missing(missing));
    }
    columns.extend(plan.fields.iter().map(|(header, field)| KeptColumn {
        header: header.clone(),
        name: field.name().to_owned(),
        kind: field.column_type(),
    }));
    Ok(columns)
}

impl EntityPlan {
    /// Whether a column is an attribute by its own name. Fields of the catalogue come under the
    /// names of the fields.
    fn keeps(&self, header: &str, name: &str) -> bool {
        if self.fields.iter().any(|(_, field)| field.name() == name) {
            return false;
        }
        match &self.keep {
            Some(keep) => keep.iter().any(|kept| kept == name),
            None => {
                let is_field = self.fields.iter().any(|(column, _)| column == header);
                !is_field && !self.left_out.iter().any(|left_out| left_out == header)
            }
        }
    }
}

/// Where the columns are in one file, and how its rows become entities.
struct EntityReader<'p> {
    id: usize,
    attributes: Vec<usize>,
    id_style: IdStyle,
    plan: &'p EntityPlan,
    rules: &'p CellRules,
}

impl EntityReader<'_> {
    fn add(
        &self,
        row: &Row,
        table: &mut EntitiesBuilder,
        unreadable: &mut Vec<Fault>,
    ) -> Result<(), Unused> {
        let id = self.id_style.clean(row.id(self.id)?);
        if let Some(known) = table.ids.find(id) {
            return self.repeat(row, id, known as usize, table, unreadable);
        }
        if self.rules.missing.holds(id) {
            if self.plan.may_lack_ids {
                return Err(Unused::NotCounted(NotCounted::NoId));
            }
            if !id.is_empty() {
                return Err(Unused::at(self.id, Reason::NoId(shown(id))));
            }
        }
        ArticleId::parse(id).map_err(|fault| Unused::at(self.id, Reason::Id(fault)))?;
        table.ids.insert(id);
        for (column, &index) in table.columns.iter_mut().zip(&self.attributes) {
            let cell = column.read(row, index, self.rules, unreadable);
            column.push(cell);
        }
        Ok(())
    }

    /// A further row of an entity.
    fn repeat(
        &self,
        row: &Row,
        id: &str,
        known: usize,
        table: &mut EntitiesBuilder,
        unreadable: &mut Vec<Fault>,
    ) -> Result<(), Unused> {
        if self.plan.duplicates == Duplicates::Reject {
            return Err(Unused::at(self.id, Reason::Duplicate(shown(id))));
        }
        for (column, &index) in table.columns.iter_mut().zip(&self.attributes) {
            let cell = column.read(row, index, self.rules, unreadable);
            column.set(known, cell, self.plan.duplicates == Duplicates::Last);
        }
        Err(Unused::NotCounted(NotCounted::Repeated))
    }
}
