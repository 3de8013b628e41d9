//! `split`: several rows from one cell, such as all items of an order.

use crate::dataset::import::block::LIST_END;
use std::borrow::Cow;

/// How a cell holds several items.
#[derive(Debug, Clone)]
pub(in crate::dataset::import) struct SplitPlan {
    pub column: String,
    pub separator: String,
    /// What stands between an item and how many of it there are.
    pub quantity: Option<String>,
    /// Whether the number stands before the item.
    pub quantity_first: bool,
}

impl SplitPlan {
    /// What the column with the quantities of the items is called.
    pub fn quantity_column(&self) -> String {
        format!("quantity in {}", self.column)
    }

    /// The items of a cell, each with its quantity (empty where none is given).
    pub fn items<'a>(&self, cell: &'a str) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
        elements(cell, &self.separator).into_iter().map(|item| self.with_quantity(item)).collect()
    }

    /// The places of the items in the list of a cell.
    pub fn places(cell: &str) -> Vec<usize> {
        let parts = cell.split(LIST_END as char).enumerate();
        parts.filter(|(_, part)| !part.trim().is_empty()).map(|(place, _)| place).collect()
    }

    /// Whether a column holds keys of the same list of objects as the one that is split, such as
    /// the prices of the items.
    pub fn is_beside(&self, column: &str) -> bool {
        let list = |name: &str| name.rsplit_once('.').map(|(list, _)| list.to_owned());
        column != self.column && list(column).is_some() && list(column) == list(&self.column)
    }

    fn with_quantity<'a>(&self, item: Cow<'a, str>) -> (Cow<'a, str>, Cow<'a, str>) {
        match item {
            Cow::Borrowed(text) => {
                let (item, quantity) = self.parts(text);
                (Cow::Borrowed(item), Cow::Borrowed(quantity))
            }
            Cow::Owned(text) => {
                let (item, quantity) = self.parts(&text);
                (Cow::Owned(item.to_owned()), Cow::Owned(quantity.to_owned()))
            }
        }
    }

    fn parts<'a>(&self, text: &'a str) -> (&'a str, &'a str) {
        let Some(between) = &self.quantity else { return (text, "") };
        let parts = if self.quantity_first {
            text.split_once(between.as_str()).map(|(quantity, item)| (item, quantity))
        } else {
            text.rsplit_once(between.as_str())
        };
        parts.map_or((text, ""), |(item, quantity)| (item.trim(), quantity.trim()))
    }
}

/// The elements of a cell: of a list that a typed file holds, of a list written as JSON or as
/// Python writes one, else of a text with separators. Blank elements are left out.
pub(in crate::dataset::import) fn elements<'a>(
    cell: &'a str,
    separator: &str,
) -> Vec<Cow<'a, str>> {
    let cell = cell.trim();
    if cell.contains(LIST_END as char) {
        return plain(cell, "\u{1f}");
    }
    let Some(inside) = cell.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else {
        return plain(cell, separator);
    };
    match json(cell) {
        Some(elements) => elements,
        // An object's text is nobody's value.
        None if inside.trim_start().starts_with('{') => Vec::new(),
        None if inside.starts_with('\'') => python(inside),
        None => plain(cell, separator),
    }
}

fn plain<'a>(cell: &'a str, separator: &str) -> Vec<Cow<'a, str>> {
    cell.split(separator)
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(Cow::Borrowed)
        .collect()
}

/// The elements of a JSON list of texts and numbers.
fn json(cell: &str) -> Option<Vec<Cow<'static, str>>> {
    let values: Vec<serde_json::Value> = serde_json::from_str(cell).ok()?;
    let mut elements = Vec::with_capacity(values.len());
    for value in values {
        match value {
            serde_json::Value::String(text) if text.trim().is_empty() => {}
            serde_json::Value::String(text) => elements.push(Cow::Owned(text.trim().to_owned())),
            serde_json::Value::Null => {}
            serde_json::Value::Array(_) | serde_json::Value::Object(_) => return None,
            other => elements.push(Cow::Owned(other.to_string())),
        }
    }
    Some(elements)
}

/// The elements of `'a', 'b'`.
fn python(inside: &str) -> Vec<Cow<'_, str>> {
    let unquoted = |item: &str| {
        let same =
            |quote: char| item.len() >= 2 && item.starts_with(quote) && item.ends_with(quote);
        same('\'') || same('"')
    };
    let items = plain(inside, ",").into_iter().map(|item| match item {
        Cow::Borrowed(text) if unquoted(text) => Cow::Borrowed(text[1..text.len() - 1].trim()),
        other => other,
    });
    items.filter(|item| !item.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(quantity: Option<&str>, quantity_first: bool) -> SplitPlan {
        let quantity = quantity.map(str::to_owned);
        SplitPlan { column: "items".into(), separator: "|".into(), quantity, quantity_first }
    }

    fn items(plan: &SplitPlan, cell: &str) -> Vec<(String, String)> {
        plan.items(cell)
            .into_iter()
            .map(|(item, quantity)| (item.into_owned(), quantity.into_owned()))
            .collect()
    }

    fn pair(item: &str, quantity: &str) -> (String, String) {
        (item.to_owned(), quantity.to_owned())
    }

    #[test]
    fn cells_are_split_into_items_and_quantities() {
        let behind = plan(Some(" x "), false);
        assert_eq!(
            items(&behind, "A x B x 2| C x 1 |D||"),
            [pair("A x B", "2"), pair("C", "1"), pair("D", "")]
        );
        let before = plan(Some("×"), true);
        assert_eq!(items(&before, "2×A|B"), [pair("A", "2"), pair("B", "")]);
        assert_eq!(items(&before, "[\"3× A\", \"B\"]"), [pair("A", "3"), pair("B", "")]);
        assert_eq!(items(&plan(None, false), " "), []);
    }

    #[test]
    fn lists_are_split_whatever_the_separator() {
        for cell in ["a1|7", "[\"a1\", 7]", "['a1', '7']", "a1\u{1f}7\u{1f}"] {
            assert_eq!(elements(cell, "|"), ["a1", "7"], "{cell}");
        }
        assert_eq!(elements("[]", "|"), [""; 0]);
        assert_eq!(elements("[Untitled] song", " "), ["[Untitled]", "song"]);
        assert_eq!(elements("[{\"sku\": \"a\"}, {\"sku\": \"b\"}]", ","), [""; 0]);
        assert_eq!(elements("[\"a, b\", null, \" \"]", "|"), ["a, b"]);
    }
}
