//! Making a catalogue, from nothing or from another one.

use super::{Articles, Catalogue, Cell, Column};
use crate::domain::AttributeKind;
use std::{collections::BTreeMap, sync::Arc};

/// Most attributes of a catalogue. The store refuses them much earlier; this bounds what rows
/// written past it can do.
const MAX_ATTRIBUTES: usize = 5_000;

/// Collects articles into a [`Catalogue`].
///
/// An attribute has one kind for all articles: the one it is given, else that of its first value. A
/// value of a wider kind is left out and told, so one odd row never changes an attribute for the
/// others.
#[derive(Debug, Default)]
pub struct CatalogueBuilder {
    articles: Articles,
    sales: Option<Vec<f32>>,
    kinds: BTreeMap<String, AttributeKind>,
    changes: Vec<Change>,
    left_out: LeftOut,
}

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    pub row: u32,
    /// Whether attributes changed, and not the availability alone.
    pub content: bool,
}

/// Values that could not be taken.
#[derive(Debug, Default)]
pub struct LeftOut {
    pub count: usize,
    /// The first few, in words.
    pub examples: Vec<String>,
}

impl LeftOut {
    /// Examples kept.
    const EXAMPLES: usize = 5;

    pub fn add(&mut self, reason: impl FnOnce() -> String) {
        self.count += 1;
        if self.examples.len() < Self::EXAMPLES {
            self.examples.push(reason());
        }
    }
}

impl CatalogueBuilder {
    /// A catalogue whose attributes have these kinds.
    pub fn with_kinds(kinds: BTreeMap<String, AttributeKind>) -> Self {
        Self { kinds, ..Self::default() }
    }

    /// A catalogue that begins as a copy of another one; `None` when the kind of an attribute is
    /// another now, or when the copy would carry more texts of the past than of the present: then
    /// it must be read as a whole.
    pub fn of(catalogue: &Catalogue, kinds: BTreeMap<String, AttributeKind>) -> Option<Self> {
        let differs = |(name, &kind): (&String, &AttributeKind)| {
            catalogue.attribute(name).is_some_and(|at| catalogue.column(at).kind() != kind)
        };
        let most_texts = 4 * catalogue.len() + 10_000;
        let is_stale = catalogue.rows() > 2 * catalogue.len() + 10_000
            || catalogue.columns().any(|column| column.codes() > most_texts);
        if is_stale || kinds.iter().any(differs) {
            return None;
        }
        let sales = catalogue.sales().map(<[f32]>::to_vec);
        Some(Self { articles: (*catalogue.articles).clone(), sales, kinds, ..Self::default() })
    }

    /// Adds an article, or puts it in the place of the one with its id.
    pub fn push<'a>(
        &mut self,
        id: &str,
        available: bool,
        cells: impl IntoIterator<Item = (&'a str, Cell<'a>)>,
    ) {
        let rows = self.articles.ids.len();
        let row = self.articles.ids.insert(id);
        let is_new = row as usize == rows;
        if is_new {
            self.articles.present.grow(rows + 1);
            self.articles.available.grow(rows + 1);
        }
        let mut content = !self.articles.present.contains(row);
        let mut given = Vec::new();
        for (name, cell) in cells {
            let Some(at) = self.attribute(name, cell.kind()) else {
                self.left_out.add(|| format!("article `{id}`: attribute `{name}` is one too many"));
                continue;
            };
            match set(&mut self.articles.columns[at], row, cell) {
                Ok(changed) => {
                    content |= changed;
                    given.push(at);
                }
                Err(found) => {
                    let expected = self.articles.columns[at].kind();
                    self.left_out.add(|| {
                        format!("article `{id}`: attribute `{name}` is {found}, not {expected}")
                    });
                }
            }
        }
        if !is_new {
            content |= self.clear_others(row, &given);
        }
        self.articles.present.insert(row);
        match available {
            true => self.articles.available.insert(row),
            false => self.articles.available.remove(row),
        }
        self.changes.push(Change { row, content });
    }

    /// Takes an article out; an id that the catalogue does not have is passed over.
    pub fn remove(&mut self, id: &str) {
        let Some(row) =
            self.articles.ids.find(id).filter(|&row| self.articles.present.contains(row))
        else {
            return;
        };
        self.articles.present.remove(row);
        self.articles.available.remove(row);
        self.clear_others(row, &[]);
        self.changes.push(Change { row, content: true });
    }

    /// Values that were not taken so far.
    pub fn left_out(&self) -> &LeftOut {
        &self.left_out
    }

    /// The catalogue under its version; `sales` tells how well an article sells that the original
    /// did not have.
    pub fn finish_with(
        mut self,
        version: i64,
        sales: impl Fn(&str) -> f32,
    ) -> (Catalogue, Vec<Change>) {
        if let Some(known) = &mut self.sales {
            let new = known.len() as u32..self.articles.ids.len() as u32;
            known.extend(new.map(|row| sales(self.articles.ids.get(row))));
        }
        let articles = Arc::new(self.articles);
        (Catalogue { articles, sales: self.sales.map(Arc::from), version }, self.changes)
    }

    pub fn finish(self, version: i64) -> Catalogue {
        self.finish_with(version, |_| 0.0).0
    }

    /// The position of an attribute's column, which is made when it is new; `None` when there are
    /// too many.
    fn attribute(&mut self, name: &str, kind: AttributeKind) -> Option<usize> {
        if let Some(&at) = self.articles.by_name.get(name) {
            return Some(at);
        }
        let at = self.articles.columns.len();
        if at >= MAX_ATTRIBUTES {
            return None;
        }
        let kind = self.kinds.get(name).copied().unwrap_or(kind);
        self.articles.columns.push(Arc::new(Column::new(name, kind)));
        Arc::make_mut(&mut self.articles.by_name).insert(name.to_owned(), at);
        Some(at)
    }

    /// Clears the row in all columns but these; answers whether it had a value.
    fn clear_others(&mut self, row: u32, given: &[usize]) -> bool {
        let mut had = false;
        for (at, column) in self.articles.columns.iter_mut().enumerate() {
            if !given.contains(&at) && has(column, row) {
                Arc::make_mut(column).clear(row);
                had = true;
            }
        }
        had
    }
}

/// As [`Column::set`]; the column is copied only if the value differs.
fn set(column: &mut Arc<Column>, row: u32, cell: Cell<'_>) -> Result<bool, AttributeKind> {
    let same = match cell {
        Cell::Number(number) => column.number(row) == Some(number),
        Cell::Text(text) => column.text(row) == Some(text),
        Cell::Texts(texts) => column
            .texts(row)
            .map_or(texts.is_empty(), |known| known.eq(texts.iter().map(String::as_str))),
    };
    if same { Ok(false) } else { Arc::make_mut(column).set(row, cell) }
}

fn has(column: &Column, row: u32) -> bool {
    column.number(row).is_some() || column.text(row).is_some() || column.texts(row).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Number;

    fn number(text: &str) -> Cell<'_> {
        Cell::Number(Number::parse(text).unwrap())
    }

    fn json(catalogue: &Catalogue, id: &str) -> String {
        serde_json::to_string(&catalogue.all_attributes(catalogue.row(id).unwrap())).unwrap()
    }

    #[test]
    fn one_odd_article_changes_no_attribute_for_the_others() {
        let mut builder =
            CatalogueBuilder::with_kinds([("stars".to_owned(), AttributeKind::Number)].into());
        let tags = ["warm".to_owned(), "wool".to_owned()];
        builder.push(
            "a",
            true,
            [("price", number("9.99")), ("size", Cell::Text("38")), ("tags", Cell::Texts(&tags))],
        );
        builder.push("b", false, [("price", Cell::Text("on request")), ("size", number("40"))]);
        builder.push(
            "c",
            true,
            [("size", Cell::Texts(&tags)), ("tags", Cell::Text("silk")), ("stars", number("4"))],
        );
        builder.push("d", true, [("stars", Cell::Text("many"))]);
        let expected = [
            "article `b`: attribute `price` is a text, not a number",
            "article `c`: attribute `size` is a list of texts, not a text",
            "article `d`: attribute `stars` is a text, not a number",
        ];
        assert_eq!(
            (builder.left_out().count, &builder.left_out().examples[..]),
            (3, &expected.map(str::to_owned)[..])
        );
        let catalogue = builder.finish(7);
        assert_eq!(
            (catalogue.len(), catalogue.available().iter().collect::<Vec<_>>()),
            (4, vec![0, 2, 3])
        );
        assert_eq!(json(&catalogue, "a"), r#"{"price":9.99,"size":"38","tags":["warm","wool"]}"#);
        assert_eq!(json(&catalogue, "b"), r#"{"size":"40"}"#);
        assert_eq!(json(&catalogue, "c"), r#"{"tags":["silk"],"stars":4}"#);
        let price = catalogue.attribute("price").unwrap();
        assert_eq!(
            serde_json::to_string(&catalogue.attributes(0, &[price])).unwrap(),
            r#"{"price":9.99}"#
        );
        assert_eq!(catalogue.attribute_names(), ["price", "size", "stars", "tags"]);
    }

    #[test]
    fn whole_numbers_come_back_exactly() {
        let numbers = [
            "16777217",
            "4006381333931",
            "9007199254740993",
            "-9223372036854775808",
            "0.1",
            "4.0",
            "1e15",
        ];
        let mut builder = CatalogueBuilder::default();
        for (n, text) in numbers.iter().enumerate() {
            builder.push(&n.to_string(), true, [("n", number(text))]);
        }
        let mut catalogue = builder.finish(1);
        let shown = |catalogue: &Catalogue| {
            (0..7).map(|n| json(catalogue, &n.to_string())).collect::<Vec<_>>()
        };
        let mut expected = [
            r#"{"n":16777217}"#,
            r#"{"n":4006381333931}"#,
            r#"{"n":9007199254740993}"#,
            r#"{"n":-9223372036854775808}"#,
            r#"{"n":0.1}"#,
            r#"{"n":4}"#,
            r#"{"n":1000000000000000}"#,
        ];
        assert_eq!(shown(&catalogue), expected);
        for (value, text) in
            [("9007199254740992", r#"{"n":9007199254740992}"#), ("3", r#"{"n":3}"#)]
        {
            let mut builder = CatalogueBuilder::of(&catalogue, BTreeMap::new()).unwrap();
            builder.push("2", true, [("n", number(value))]);
            catalogue = builder.finish(2);
            expected[2] = text;
            assert_eq!(shown(&catalogue), expected);
        }
    }

    #[test]
    fn changes_leave_the_original_and_name_their_rows() {
        let mut builder = CatalogueBuilder::default();
        for n in 0..3_000 {
            builder.push(
                &format!("a{n}"),
                true,
                [("n", number(&n.to_string())), ("text", Cell::Text("same"))],
            );
        }
        let old = builder.finish(1).with_sales(|id| if id == "a7" { 5.0 } else { 0.0 });
        let mut builder = CatalogueBuilder::of(&old, BTreeMap::new()).unwrap();
        builder.push("a5", false, [("n", number("5")), ("text", Cell::Text("same"))]);
        builder.push("a6", true, [("n", number("6.5"))]);
        builder.push("new", true, [("colour", Cell::Text("red"))]);
        builder.remove("a7");
        builder.remove("never there");
        let (new, changes) = builder.finish_with(2, |id| if id == "new" { 2.0 } else { 0.0 });
        let change = |row, content| Change { row, content };
        assert_eq!(
            changes,
            [change(5, false), change(6, true), change(3_000, true), change(7, true)]
        );
        assert_eq!(
            (old.len(), old.row("new"), json(&old, "a6")),
            (3_000, None, r#"{"n":6,"text":"same"}"#.to_owned())
        );
        assert!(
            old.available().contains(5)
                && !new.available().contains(5)
                && !new.available().contains(7)
        );
        assert_eq!(
            (new.len(), new.rows(), new.row("a7"), new.row("new")),
            (3_000, 3_001, None, Some(3_000))
        );
        assert_eq!(
            (json(&new, "a6"), json(&new, "new")),
            (r#"{"n":6.5}"#.to_owned(), r#"{"colour":"red"}"#.to_owned())
        );
        assert_eq!((new.sales().unwrap()[7], new.sales().unwrap()[3_000]), (5.0, 2.0));

        // What was removed and comes back has its row again, and nothing of before.
        let mut builder = CatalogueBuilder::of(&new, BTreeMap::new()).unwrap();
        builder.push("a7", true, [("text", Cell::Text("back"))]);
        let back = builder.finish(3);
        assert_eq!(
            (back.row("a7"), json(&back, "a7"), back.rows()),
            (Some(7), r#"{"text":"back"}"#.to_owned(), 3_001)
        );
    }

    #[test]
    fn another_kind_or_too_many_old_texts_ask_for_a_whole_reading() {
        let mut builder = CatalogueBuilder::default();
        builder.push("a", true, [("n", number("1")), ("text", Cell::Text("x"))]);
        let mut catalogue = builder.finish(1);
        assert!(
            CatalogueBuilder::of(&catalogue, [("n".to_owned(), AttributeKind::Text)].into())
                .is_none()
        );
        let mut turns = 0;
        while let Some(mut builder) = CatalogueBuilder::of(&catalogue, BTreeMap::new()) {
            for n in 0..1_000 {
                let text = format!("{turns} {n}");
                builder.push("a", true, [("text", Cell::Text(&text))]);
            }
            catalogue = builder.finish(1);
            turns += 1;
            assert!(turns < 20);
        }
    }
}
