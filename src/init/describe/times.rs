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
        None => "until then the rows count in their order in the file, which is wrong if the newest come first"
            .to_owned(),
    };
    format!(
        "CHECK: `{}` of {} looks like a time, but no `time_format` reads values such as {}. Export the times in \
         another notation, or name the column and a pattern in [purchases]; {instead}",
        column.name,
        table.file(),
        examples.join(", "),
    )
}

fn odd(tables: &[Table], time: &Times) -> Option<String> {
    let (count, example) = time.odd.as_ref()?;
    let column = tables[time.column.table].column(time.column.column);
    let fate = match example.parse::<f64>() {
        Ok(number) if number >= 0.0 => "is dated 1970",
        _ => "is rejected",
    };
    let example = if example.is_empty() { String::new() } else { format!(", such as `{example}`") };
    Some(format!(
        "`{}` holds no time in {count} of {} rows{example}: such a row {fate}",
        column.name, column.filled
    ))
}
