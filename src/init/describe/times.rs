//! What `init` says of columns with times that it cannot read, whole or in part.

use super::moment::Detector;
use super::purchases::{Place, Purchases, Times};
use super::table::Table;

/// Ways of writing that a note shows.
const EXAMPLES: usize = 3;

/// One note each for a column that seems to say when and is not read, and for values of the chosen
/// one that will not be read.
pub(super) fn notes(tables: &[Table], found: &Purchases) -> Vec<String> {
    let unread = found.unread_times.iter().map(|&place| unread(tables, place, found.time.as_ref()));
    unread.chain(found.time.as_ref().and_then(|time| odd(tables, time))).collect()
}

fn unread(tables: &[Table], place: Place, chosen: Option<&Times>) -> String {
    let (table, column) = (&tables[place.table], tables[place.table].column(place.column));
    let mut detector = Detector::new();
    (0..table.rows.len())
        .filter_map(|row| table.cell(row, place.column))
        .for_each(|cell| detector.add(cell));
    let examples: Vec<String> =
        detector.examples().into_iter().take(EXAMPLES).map(|text| format!("`{text}`")).collect();
    let instead = match chosen {
        Some(time) => {
            format!(
                "`{}` is the time instead",
                tables[time.column.table].column(time.column.column).name
            )
        }
        None => "until then the order of the rows counts, which is wrong if the newest stand first"
            .to_owned(),
    };
    format!(
        "CHECK: `{}` of {} looks like a time, but is not read: no format of `time_format` was found for values such \
         as {}. Name the column and its format in [purchases], or write the times in another way; {instead}",
        column.name,
        table.file(),
        examples.join(", "),
    )
}

fn odd(tables: &[Table], time: &Times) -> Option<String> {
    let (count, example) = time.odd.as_ref()?;
    let column = tables[time.column.table].column(time.column.column);
    let example = if example.is_empty() { String::new() } else { format!(", such as `{example}`") };
    Some(format!(
        "{count} of {} values of `{}` are no times{example}: such rows are rejected, or dated 1970",
        column.filled, column.name
    ))
}
