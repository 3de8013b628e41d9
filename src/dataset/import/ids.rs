//! Ids as files write them: with blanks around, as floats, with zeros lost.

use super::values::is_blank;
use crate::domain::IdTable;
use std::borrow::Cow;

/// How the ids of one column are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum IdStyle {
    #[default]
    Text,
    /// Whole numbers as floats, `706016001.0`: a data frame makes them of a column with missing
    /// values.
    Floats,
}

impl IdStyle {
    /// The style of a column by some of its ids: floats if one looks like `17.0` and none has a
    /// fraction.
    pub fn of<'a>(ids: impl IntoIterator<Item = &'a str>) -> Self {
        let mut floats = 0;
        for id in ids {
            match id.trim().split_once('.') {
                Some((whole, zeros)) if is_digits(whole) && is_zeros(zeros) => floats += 1,
                Some(_) => return Self::Text,
                None => {}
            }
        }
        if floats > 0 { Self::Floats } else { Self::Text }
    }

    /// The id of a cell.
    pub fn clean(self, cell: &str) -> &str {
        let bytes = cell.as_bytes();
        let has_blanks = bytes.first().is_some_and(|&b| is_blank(b))
            || bytes.last().is_some_and(|&b| is_blank(b));
        let id = if has_blanks { cell.trim_matches(|c: char| c.is_whitespace()) } else { cell };
        if self == Self::Text {
            return id;
        }
        match id.split_once('.') {
            Some((whole, zeros)) if is_digits(whole) && is_zeros(zeros) => whole,
            _ => id,
        }
    }
}

/// Whether ids of whole numbers stand in a table as floats as well, `7` beside `7.0`: then the floats
/// began behind the rows that [`IdStyle::of`] saw. At least one of the two is in row `from` or
/// behind it.
pub(super) fn are_doubled(ids: &IdTable, from: usize) -> bool {
    let mut is_doubled = false;
    for (row, id) in ids.iter().enumerate() {
        let Some((whole, zeros)) = id.split_once('.') else { continue };
        if !is_digits(whole) || !is_zeros(zeros) {
            return false;
        }
        is_doubled |= ids.find(whole).is_some_and(|other| row.max(other as usize) >= from);
    }
    is_doubled
}

/// The tables whose ids are whole numbers, however they are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct WholeIds {
    pub articles: bool,
    pub customers: bool,
}

impl WholeIds {
    /// How the ids of a table are read; by `sampled` where nothing is known yet.
    pub fn style(is_whole: bool, sampled: IdStyle) -> IdStyle {
        if is_whole { IdStyle::Floats } else { sampled }
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_zeros(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b == b'0')
}

/// Most digits that ids are padded to.
const LONGEST_PADDED: usize = 20;

/// A known id that an unknown one was probably meant to be: with the zeros it lost or has too many
/// of, without `.0`, or in other letters.
pub(super) fn similar(id: &str, known: &IdTable) -> Option<String> {
    let whole =
        id.split_once('.').filter(|(_, zeros)| is_zeros(zeros)).map_or(id, |(whole, _)| whole);
    let mut candidates =
        vec![Cow::Borrowed(whole), id.to_lowercase().into(), id.to_uppercase().into()];
    if is_digits(whole) {
        candidates.push(whole.trim_start_matches('0').into());
        candidates.extend(
            (whole.len() + 1..=LONGEST_PADDED).map(|width| format!("{whole:0>width$}").into()),
        );
        candidates.push(format!("{whole}.0").into());
    }
    candidates
        .into_iter()
        .find(|other| *other != id && known.find(other).is_some())
        .map(Cow::into_owned)
}

/// Ids that are compared for [`twins`], at most.
const COMPARED: u32 = 10_000;

/// What to say where ids that only purchases name, those from row `known` on, are written nearly
/// like one that has a row of its own: then each article or customer is there twice.
pub(super) fn twins(ids: &IdTable, known: usize, what: &str) -> Option<String> {
    let (first, end) = (known as u32, ids.len() as u32);
    let compared = first..end.min(first.saturating_add(COMPARED));
    let twin = |row: u32| {
        let id = ids.get(row);
        let other = similar(id, ids).filter(|other| ids.find(other).is_some_and(|at| at < first));
        other.map(|other| (id, other))
    };
    let mut twins = compared.clone().filter_map(twin);
    let (id, other) = twins.next()?;
    let (count, compared) = (1 + twins.count(), compared.len());
    Some(format!(
        "{count} of {compared} {what} that only purchases name are written nearly like one that has \
         a row, such as `{id}` and `{other}`: if they are the same, write them alike"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_and_blanks_are_cleaned() {
        assert_eq!(IdStyle::of(["706016001.0", "7", ""]), IdStyle::Floats);
        assert_eq!(IdStyle::of(["1.0", "1.5"]), IdStyle::Text);
        assert_eq!(IdStyle::of(["1.0", "v1.a"]), IdStyle::Text);
        assert_eq!(IdStyle::of(["1", "2"]), IdStyle::Text);
        assert_eq!(IdStyle::Floats.clean(" 706016001.0 "), "706016001");
        assert_eq!(IdStyle::Floats.clean("007"), "007");
        assert_eq!(IdStyle::Text.clean("\t1.0\u{a0}"), "1.0");
        assert_eq!(IdStyle::Text.clean("é a"), "é a");
    }

    #[test]
    fn floats_beside_whole_numbers_are_doubled_ids() {
        for (ids, from, expected) in [
            (&["7", "8", "7.0"][..], 0, true),
            (&["7", "7.0", "8"], 2, false),
            (&["7", "SKU-1", "7.0"], 2, true),
            (&["7", "7.0", "7.5"], 0, false),
            (&["7", "8.0"], 0, false),
        ] {
            let table: IdTable = ids.iter().copied().collect();
            assert_eq!(are_doubled(&table, from), expected, "{ids:?}");
        }
    }

    #[test]
    fn ids_that_look_alike_are_found() {
        let known: IdTable = ["0493995001", "SKU-1", "17", "9.0"].into_iter().collect();
        let similar = |id: &str| similar(id, &known);
        assert_eq!(similar("493995001").as_deref(), Some("0493995001"));
        assert_eq!(similar("sku-1").as_deref(), Some("SKU-1"));
        assert_eq!(similar("17.0").as_deref(), Some("17"));
        assert_eq!(similar("0017").as_deref(), Some("17"));
        assert_eq!(similar("9").as_deref(), Some("9.0"));
        assert_eq!(similar("18"), None);
    }

    #[test]
    fn ids_that_are_there_twice_are_told() {
        let ids: IdTable = ["0017", "0018", "17", "5"].into_iter().collect();
        let note = twins(&ids, 2, "articles").unwrap();
        assert!(note.starts_with("1 of 2 articles") && note.contains("`17` and `0017`"), "{note}");
        let other: IdTable = ["0017", "5", "005"].into_iter().collect();
        assert_eq!(twins(&other, 1, "articles"), None, "neither of two has a row");
        assert_eq!(twins(&other, 3, "articles"), None);
    }
}
