//! From a folder of exports to a `dataset.toml`.
//!
//! [`opened`] looks into a file, [`table`] puts files together, [`column`] and [`moment`] measure the
//! values of each column, [`words`] knows what people call things, [`purchases`] and [`entities`] decide, and [`write`]
//! puts it down with the reasons. A column gets a role by its name and its values together; where
//! the values allow two readings the description says so.

mod column;
mod entities;
mod moment;
mod names;
mod opened;
mod purchases;
mod table;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_layouts;
#[cfg(test)]
mod tests_returns;
#[cfg(test)]
mod tests_times;
#[cfg(test)]
mod tests_values;
mod text;
mod times;
mod words;
mod write;

use super::InitError;
use crate::dataset::look;
use entities::Entities;
use purchases::Purchases;
use std::path::Path;
use table::{Table, Unread};
use words::{Holds, Role, says};

/// What a folder holds, in the words of a `dataset.toml`.
#[derive(Debug, Clone)]
pub struct Described {
    /// The text of the file.
    pub text: String,
    /// One line each for people: which files are what.
    pub findings: Vec<String>,
}

/// How a folder's data is read.
#[derive(Debug)]
pub enum Layout {
    /// By its own `dataset.toml`.
    Described,
    /// By a preset, of this name, that needs no description.
    Preset(&'static str),
    /// By this description.
    Guessed(Described),
}

/// Whether a column is called like the name of an article.
pub fn is_title(column: &str) -> bool {
    says(column, Role::Title) >= 2
}

/// Looks at the files of a folder.
///
/// # Errors
/// [`InitError::Undecided`] with what was seen, when the files do not say who bought what; a folder
/// that cannot be read.
pub fn describe(dir: &Path) -> Result<Layout, InitError> {
    if dir.join("dataset.toml").is_file() {
        return Ok(Layout::Described);
    }
    if let Some(preset) = look::preset(dir)? {
        return Ok(Layout::Preset(preset));
    }
    let (tables, unread) = table::tables(dir)?;
    let found = purchases::purchases(&tables);
    if found.customer.is_none() || found.article.is_none() {
        return Err(InitError::Undecided {
            dir: dir.to_owned(),
            seen: seen(&tables, &unread, &found),
        });
    }
    let mut sections = Vec::new();
    for role in [Role::Article, Role::Customer] {
        sections.extend(entities::entities(&tables, &found, role).map(|entities| (role, entities)));
    }
    let mut notes = times::notes(&tables, &found);
    notes.extend(found.doubts.iter().cloned());
    notes.extend(repeated(&tables, &found, &sections));
    notes.extend(unused(&tables, &found, &sections));
    notes.extend(tables.iter().filter(|table| table.broken > 0).map(|table| {
        let (rows, broken) = (table.rows.len(), table.broken);
        format!(
            "{}: {broken} of {} rows looked at cannot be read: they are broken, or not as long as the \
             header",
            table.file(),
            rows + broken
        )
    }));
    notes.extend(
        unread
            .iter()
            .filter(|unread| !unread.minor)
            .map(|Unread { file, why, .. }| format!("{file} is not read: {why}")),
    );
    let findings = findings(&tables, &found, &sections, &notes);
    let text =
        write::Text { tables: &tables, found: &found, entities: &sections, notes: &notes }.write();
    Ok(Layout::Guessed(Described { text, findings }))
}

/// What was made of tables that name something twice.
fn repeated(tables: &[Table], found: &Purchases, sections: &[(Role, Entities)]) -> Vec<String> {
    let mut notes = Vec::new();
    for (at, table) in tables.iter().enumerate() {
        if table.renamed.is_some() && is_used(at, found, sections) {
            notes.push(format!(
                "{}: the header has a name twice; the second column is called by the name and a \
                 number here",
                table.file()
            ));
        }
    }
    for join in &found.joins {
        let table = &tables[join.table];
        let key = table.column(join.right);
        if !key.is_unique() {
            notes.push(format!(
                "{}: `{}` has {} different values in {} rows; the first row of each counts",
                table.file(),
                key.name,
                key.distinct,
                key.filled
            ));
        }
    }
    for (_, entities) in sections.iter().filter(|(_, entities)| entities.restated) {
        let table = &tables[entities.table];
        let id = table.column(entities.id);
        notes.push(format!(
            "{}: `{}` has {} different values in {} rows; the last row of each counts",
            table.file(),
            id.name,
            id.distinct,
            id.filled
        ));
    }
    notes
}

fn is_used(at: usize, found: &Purchases, sections: &[(Role, Entities)]) -> bool {
    at == found.table
        || found.joins.iter().any(|join| join.table == at)
        || sections.iter().any(|(_, entities)| entities.table == at)
}

/// The tables that are not read, and why.
fn unused(tables: &[Table], found: &Purchases, sections: &[(Role, Entities)]) -> Vec<String> {
    let used = |at: usize| is_used(at, found, sections);
    let note = |(at, table): (usize, &Table)| {
        let same = (0..tables.len())
            .filter(|other| used(*other))
            .find_map(|other| Some((other, table.differs(&tables[other])?)));
        let (file, size) = (table.file(), table.size());
        match same {
            Some((other, why)) => {
                let other = tables[other].file();
                format!("{file} is left out, {size}: the same columns as {other}, but {why}")
            }
            None if found.rivals.contains(&at) => {
                let chosen = &tables[found.table];
                let why = match (table.holds.no_purchases(), chosen.holds) {
                    (Some(why), _) => why.to_owned(),
                    (None, Holds::Purchases) => {
                        format!("{} is taken for the purchases by its name", chosen.file())
                    }
                    (None, _) => format!("{} fits better as the purchases", chosen.file()),
                };
                format!("{file} is left out, {size}, though it has customers and articles: {why}")
            }
            None => format!("{file} is not read: no column needs it"),
        }
    };
    tables.iter().enumerate().filter(|(at, _)| !used(*at)).map(note).collect()
}

fn findings(
    tables: &[Table],
    found: &Purchases,
    sections: &[(Role, Entities)],
    notes: &[String],
) -> Vec<String> {
    let table = &tables[found.table];
    let name = |place: purchases::Place| tables[place.table].column(place.column).name.clone();
    let mut findings = Vec::new();
    let who = found.customer.map(name).unwrap_or_default();
    let what = found.article.map(name).unwrap_or_default();
    let when = found.time.as_ref().map_or_else(
        || "no column with times that can be read: the order of the rows counts".to_owned(),
        |time| {
            let columns: Vec<String> =
                [time.column].iter().chain(&time.rest).map(|&place| name(place)).collect();
            format!("time `{}` written as {}", columns.join("`, `"), time.formats.join(" or "))
        },
    );
    findings
        .push(format!("purchases: {}, customer `{who}`, article `{what}`, {when}", table.file()));
    if let Some(other) = found.time.as_ref().and_then(|time| time.otherwise.as_ref()) {
        findings.push(format!(
            "day and month may be the other way round ({other}): no value tells; check time_format"
        ));
    }
    for join in &found.joins {
        findings.push(format!("joined to them: {}", tables[join.table].file()));
    }
    for (role, entities) in sections {
        let what = if *role == Role::Article { "articles" } else { "customers" };
        let columns = entities.attributes.len();
        findings.push(format!("{what}: {}, {columns} columns kept", tables[entities.table].file()));
    }
    findings.extend(notes.iter().cloned());
    findings
}

/// What was seen, for someone who now has to write the description.
fn seen(tables: &[Table], unread: &[Unread], found: &Purchases) -> String {
    let mut seen = String::new();
    for table in tables.iter().take(12) {
        let names: Vec<&str> =
            table.columns.iter().map(|column| column.name.as_str()).take(40).collect();
        seen.push_str(&format!("\n  {}: columns {}", table.file(), names.join(", ")));
        for (role, what) in [(Role::Customer, "customer"), (Role::Article, "article")] {
            let candidates: Vec<String> = table
                .columns
                .iter()
                .filter(|column| says(&column.name, role) > 0)
                .map(|column| {
                    format!(
                        "`{}` ({} different in {} rows)",
                        column.name, column.distinct, column.rows
                    )
                })
                .collect();
            if !candidates.is_empty() {
                seen.push_str(&format!("\n    perhaps the {what}: {}", candidates.join(", ")));
            }
        }
    }
    for Unread { file, why, .. } in unread.iter().take(12) {
        seen.push_str(&format!("\n  {file}: {why}"));
    }
    if tables.is_empty() {
        seen.push_str("\n  there is no table: no csv, json, parquet or xlsx file with columns");
    }
    let column = |at: usize, role| {
        let columns = tables[at].columns.iter().filter(|column| column.filled > 0);
        columns
            .max_by_key(|column| says(&column.name, role))
            .filter(|column| says(&column.name, role) > 1)
    };
    let with = |role, without| {
        (0..tables.len()).find(|&at| column(at, role).is_some() && column(at, without).is_none())
    };
    let lacks = match (found.customer, found.article) {
        (None, None) => "neither a column of customers nor one of articles".to_owned(),
        (customer, _) => {
            let who = with(Role::Customer, Role::Article);
            let what = with(Role::Article, Role::Customer);
            match (who, what) {
                (Some(who), Some(what)) => format!(
                    "{} has customers and {} has articles, but no column joins their rows: one \
                     with the same values in both, each once in the first",
                    tables[who].file(),
                    tables[what].file()
                ),
                _ if customer.is_none() => "no column of customers".to_owned(),
                _ => "no column of articles".to_owned(),
            }
        }
    };
    seen.push_str(&format!(
        "\nNo table of purchases was found: {lacks}. Write a dataset.toml that names them:\n  [purchases]\n  files = \
         [\"…\"]\n  customer = \"…\"\n  article = \"…\"\n  time = \"…\"\nThe page docs/datasets.md has an example for each \
         kind of export."
    ));
    seen
}
