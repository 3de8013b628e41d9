//! Names for the columns of files without a header.

use super::column::Column;
use super::entities::Entities;
use super::purchases::{Place, Purchases};
use super::table::Table;
use super::words::Role;

/// The names of a table's columns as the description writes them: those of the header, or made up
/// by what was found.
pub(super) fn names(
    tables: &[Table],
    table: usize,
    found: &Purchases,
    entities: &[(Role, Entities)],
) -> Vec<String> {
    let columns = &tables[table].columns;
    if tables[table].options.header {
        return columns.iter().map(|column| column.name.clone()).collect();
    }
    let mut names: Vec<String> = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        let place = Place { table, column: at };
        let name = of_purchases(place, found)
            .or_else(|| of_entities(place, entities))
            .unwrap_or_else(|| by_values(column, at));
        let taken = names
            .iter()
            .filter(|other| other.trim_end_matches(|c: char| c.is_ascii_digit()) == name)
            .count();
        names.push(if taken == 0 { name } else { format!("{name}{}", taken + 1) });
    }
    names
}

fn of_purchases(place: Place, found: &Purchases) -> Option<String> {
    let name = if found.customer == Some(place) {
        "customer"
    } else if found.article == Some(place) {
        "article"
    } else if found.time.as_ref().is_some_and(|time| time.column == place) {
        "time"
    } else if found.rating == Some(place) {
        "rating"
    } else if found.event.as_ref().is_some_and(|(event, _)| *event == place) {
        "event"
    } else if found.price == Some(place) {
        "price"
    } else {
        return None;
    };
    Some(name.to_owned())
}

fn of_entities(place: Place, entities: &[(Role, Entities)]) -> Option<String> {
    let (role, _) = entities
        .iter()
        .find(|(_, entity)| entity.table == place.table && entity.id == place.column)?;
    Some(if *role == Role::Article { "article" } else { "customer" }.to_owned())
}

fn by_values(column: &Column, at: usize) -> String {
    let stars =
        column.is_number() && column.distinct <= 11 && column.min >= 0.0 && column.max <= 10.0;
    if column.notation.as_ref().is_some_and(|notation| !notation.number || !notation.days) {
        "moment".to_owned()
    } else if column.list.is_some() {
        "tags".to_owned()
    } else if column.spaced * 2 > column.filled && column.distinct * 2 > column.filled {
        "title".to_owned()
    } else if stars && column.distinct > 2 {
        "score".to_owned()
    } else {
        format!("column{}", at + 1)
    }
}
