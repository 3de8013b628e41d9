//! JSON objects as rows: nested objects are flattened, `{"a": {"b": 1}}` having a column `a.b`.
//!
//! Numbers keep the digits they are written with, since ids of many digits would not survive a
//! conversion. The elements of a list are each closed by [`LIST_END`](super::block::LIST_END); a
//! list of `{"name": …, "value": …}` pairs counts as an object. In a list of other objects each key
//! is a column of its own, `{"a": [{"b": 1}, {"b": 2}]}` having a list `a.b`; an object without the
//! key is an empty element before those that have it. `null` is an empty cell.

use super::block::LIST_END;
use super::cells::Fields;
use super::json_parser::{Parsed, Sink, walk};
use std::collections::{HashMap, HashSet};

/// How many columns the keys of a file may give.
pub(super) const MOST_COLUMNS: usize = 4096;

/// Most bytes of the cells of one record: few objects that have a key far behind in a list make
/// many empty elements.
const MOST_TEXT: usize = 64 << 20;

/// The columns that the keys of a file's objects give.
#[derive(Debug, Default, Clone)]
pub(super) struct Keys {
    /// The names of the columns in the order of their first appearance.
    pub names: Vec<String>,
    columns: HashMap<String, usize>,
    /// The columns that hold a list in some object.
    pub lists: Vec<usize>,
    /// By column, whether it will be read; empty: all will.
    wanted: Vec<bool>,
}

impl Keys {
    /// Columns that are known already.
    pub fn of(names: &[String]) -> Self {
        let columns = names.iter().cloned().zip(0..).collect();
        Self { names: names.to_vec(), columns, ..Self::default() }
    }

    /// Learns the columns of one record.
    ///
    /// # Errors
    /// A record that is no object.
    pub fn learn(&mut self, record: &[u8]) -> Parsed<()> {
        let mut seen = Learner { keys: self, lists: HashSet::new(), depth: 0 };
        walk(record, &mut seen)?;
        for column in seen.lists {
            if !self.lists.contains(&column) {
                self.lists.push(column);
            }
        }
        Ok(())
    }

    pub fn want(&mut self, columns: &[usize]) {
        self.wanted = (0..self.names.len()).map(|column| columns.contains(&column)).collect();
    }

    /// The cells of a record: one for each column, empty where the record does not have its key.
    ///
    /// # Errors
    /// A record that is no object.
    pub fn flatten(&self, record: &[u8], fields: &mut Fields) -> Parsed<()> {
        fields.reset(self.names.len());
        let (places, pieces) = (Vec::new(), Vec::new());
        walk(record, &mut Flattener { keys: self, fields, next: 0, depth: 0, places, pieces })
    }

    fn is_wanted(&self, column: usize) -> bool {
        self.wanted.get(column).copied().unwrap_or(true)
    }
}

struct Learner<'a> {
    keys: &'a mut Keys,
    lists: HashSet<usize>,
    /// Lists of objects that are open.
    depth: usize,
}

impl Learner<'_> {
    fn known(&mut self, path: &str) -> Option<usize> {
        if let Some(column) = self.keys.columns.get(path) {
            return Some(*column);
        }
        let column = self.keys.names.len();
        // One more than allowed shows that there are too many.
        if column > MOST_COLUMNS {
            return None;
        }
        self.keys.names.push(path.to_owned());
        self.keys.columns.insert(path.to_owned(), column);
        Some(column)
    }
}

impl Sink for Learner<'_> {
    fn column(&mut self, path: &str) -> Option<usize> {
        let column = self.known(path)?;
        if self.depth > 0 {
            self.lists.insert(column);
        }
        Some(column)
    }

    fn fields(&mut self) -> Option<&mut Fields> {
        None
    }

    fn list(&mut self, column: usize) {
        self.lists.insert(column);
    }

    fn put(&mut self, _column: usize, _begin: usize) {}

    fn begin_objects(&mut self) {
        self.depth += 1;
    }

    fn next_object(&mut self) {}

    fn end_objects(&mut self) -> bool {
        self.depth -= 1;
        true
    }
}

struct Flattener<'a> {
    keys: &'a Keys,
    fields: &'a mut Fields,
    /// The column that comes next if this record has the keys of the others in their order.
    next: usize,
    /// Lists of objects that are open.
    depth: usize,
    /// By that depth less one, how many objects have begun since the outermost list did.
    places: Vec<usize>,
    /// Leaves of the objects in the outermost list.
    pieces: Vec<Piece>,
}

/// A leaf in a list of objects.
struct Piece {
    column: usize,
    /// The number of its object.
    place: usize,
    /// Where its text lies.
    span: (usize, usize),
}

impl Flattener<'_> {
    /// Makes one cell of all leaves of each column; `false` when they are too large.
    fn join_pieces(&mut self) -> bool {
        let mut pieces = std::mem::take(&mut self.pieces);
        pieces.sort_by_key(|piece| piece.column);
        for column in pieces.chunk_by(|a, b| a.column == b.column) {
            let begin = self.fields.begin();
            let mut next = 0;
            for Piece { place, span: (start, end), .. } in column {
                let text = &mut self.fields.text;
                let blanks = place.saturating_sub(next);
                if text.len() + blanks > MOST_TEXT {
                    return false;
                }
                text.resize(text.len() + blanks, LIST_END);
                text.extend_from_within(*start..*end);
                // A list within an object has closed its elements already.
                if text.last() != Some(&LIST_END) {
                    text.push(LIST_END);
                }
                next = place + 1;
            }
            self.fields.set(column[0].column, begin);
        }
        true
    }
}

impl Sink for Flattener<'_> {
    fn column(&mut self, path: &str) -> Option<usize> {
        let expected = self.keys.names.get(self.next).is_some_and(|name| name == path);
        let column = if expected { Some(self.next) } else { self.keys.columns.get(path).copied() }?;
        self.next = column + 1;
        Some(column).filter(|column| self.keys.is_wanted(*column))
    }

    fn fields(&mut self) -> Option<&mut Fields> {
        Some(self.fields)
    }

    fn list(&mut self, _column: usize) {}

    fn put(&mut self, column: usize, begin: usize) {
        let end = self.fields.begin();
        if self.depth == 0 {
            self.fields.set(column, begin);
        } else if begin < end {
            let place = self.places[self.depth - 1].saturating_sub(1);
            self.pieces.push(Piece { column, place, span: (begin, end) });
        }
    }

    fn begin_objects(&mut self) {
        self.depth += 1;
        if self.places.len() < self.depth {
            self.places.push(0);
        }
    }

    fn next_object(&mut self) {
        self.places[self.depth - 1] += 1;
    }

    fn end_objects(&mut self) -> bool {
        self.depth -= 1;
        if self.depth > 0 {
            return true;
        }
        self.places.clear();
        self.join_pieces()
    }
}

#[cfg(test)]
mod tests {
    use super::super::json_parser::Broken;
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// The cells of the only record of a file, by column, those of lists joined by `|`.
    fn cells(record: &str) -> Result<Vec<(String, String)>, Broken> {
        let mut keys = Keys::default();
        keys.learn(record.as_bytes())?;
        let mut fields = Fields::default();
        keys.flatten(record.as_bytes(), &mut fields)?;
        let cell = |column: usize| String::from_utf8(fields.get(column).to_vec()).unwrap();
        let cell = |column: usize| cell(column).replace(LIST_END as char, "|");
        Ok(keys.names.iter().enumerate().map(|(i, name)| (name.clone(), cell(i))).collect())
    }

    fn found(record: &str) -> Vec<(String, String)> {
        cells(record).unwrap_or_else(|broken| panic!("{record}: {broken:?}"))
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, cell)| ((*name).to_owned(), (*cell).to_owned())).collect()
    }

    #[test]
    fn objects_are_flattened() {
        let record = r#" {"id": 9007199254740993, "details": {"brand": "B\u00e4r \ud83d\ude00\n", "size": {"w": 1.50}},
            "price": null, "new": true, "tags": ["a, b", 2, null, {"x": [1]}], "none": [], "empty": {}} "#;
        let expected = [
            ("id", "9007199254740993"),
            ("details.brand", "Bär 😀\n"),
            ("details.size.w", "1.50"),
            ("price", ""),
            ("new", "true"),
            ("tags", "a, b|2|"),
            ("tags.x", "|||1|"),
            ("none", ""),
        ];
        assert_eq!(found(record), pairs(&expected));
    }

    #[test]
    fn lists_of_names_and_values_are_objects() {
        let record = r#"{"item": "p1", "fields": [{"name": "color", "value": ["red", "blue"]},
            {"value": 10.5, "name": "price"}], "other": [{"name": "x"}]}"#;
        let expected = [
            ("item", "p1"),
            ("fields.color", "red|blue|"),
            ("fields.price", "10.5"),
            ("other.name", "x|"),
        ];
        assert_eq!(found(record), pairs(&expected));
    }

    #[test]
    fn lists_of_objects_are_lists_by_key() {
        let record = r#"{"o": 1, "items": [{"sku": "A", "n": 2, "of": {"w": 1}}, {"sku": "B"}, null,
            {"sku": "C", "n": 1, "tax": [{"r": 7}, {"r": 8}]}, {"tax": [{"r": 9}], "t": ["x", "y"]}]}"#;
        let expected = [
            ("o", "1"),
            ("items.sku", "A|B||C|"),
            ("items.n", "2|||1|"),
            ("items.of.w", "1|"),
            ("items.tax.r", "7|8|9|"),
            ("items.t", "||||x|y|"),
        ];
        assert_eq!(found(record), pairs(&expected));
        assert_eq!(found(r#"{"a": [[{"b": 1}], [2]]}"#), pairs(&[("a.b", "1|"), ("a", "|2|")]));
    }

    #[test]
    fn numbers_that_are_not_finite_are_read_as_python_writes_them() {
        let record = r#"{"a": NaN, "b": Infinity, "c": -Infinity, "d": [NaN, 1]}"#;
        let expected = [("a", ""), ("b", "Infinity"), ("c", "-Infinity"), ("d", "1|")];
        assert_eq!(found(record), pairs(&expected));
    }

    #[test]
    fn what_is_no_object_is_named_with_its_place() {
        for (record, at, detail) in [
            ("[1]", 0, "expected `{`"),
            ("{\"a\": 1} x", 9, "expected the end"),
            ("{\"a\": 01}", 7, "expected `,` or `}`"),
            ("{\"a\": 1,}", 8, "expected a text"),
            ("{\"a\": \"x}", 6, "never closed"),
            ("{\"a\": \"\\x\"}", 7, "escape"),
            ("{\"a\": \"\t\"}", 7, "control"),
            ("{\"a\" 1}", 5, "expected `:`"),
            ("{\"a\": nul}", 6, "expected a value"),
            ("{\"a\": [1 2]}", 9, "expected `,` or `]`"),
        ] {
            let broken = cells(record).expect_err(record);
            assert!(broken.at == at && broken.detail.contains(detail), "{record}: {broken:?}");
        }
        let deep = format!("{{\"a\": {}1{}}}", "[".repeat(100), "]".repeat(100));
        assert!(cells(&deep).expect_err("deep").detail.contains("64 deep"));
    }

    #[test]
    fn unwanted_and_unknown_keys_are_passed_over() {
        let mut keys = Keys::default();
        keys.learn(b"{\"a\": 1, \"b\": 2}").unwrap();
        keys.want(&[1]);
        let mut fields = Fields::default();
        keys.flatten(b"{\"c\": {\"d\": 3}, \"b\": 5, \"a\": 4}", &mut fields).unwrap();
        assert_eq!((fields.get(0), fields.get(1)), (b"".as_slice(), b"5".as_slice()));
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f32>().prop_filter("finite", |x| x.is_finite()).prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::hash_map("[a-c.\"\\\\é]{0,3}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn everything_valid_is_read(value in any_value(), pretty: bool) {
            let object = serde_json::json!({ "k": value });
            let text = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) };
            let cells = cells(&text.unwrap());
            prop_assert!(cells.is_ok(), "{cells:?}");
            if let Value::String(text) = &object["k"] {
                prop_assert_eq!(&cells.unwrap()[0].1.replace('|', "\u{1f}"), &text.replace('|', "\u{1f}"));
            }
        }

        #[test]
        fn what_serde_refuses_is_refused_and_the_reverse(
            pieces in proptest::collection::vec(prop_oneof![
                Just("{"), Just("}"), Just("["), Just("]"), Just(","), Just(":"), Just("\"a\""), Just("\"name\""),
                Just("\"value\""), Just("1"), Just("-0.5e3"), Just("null"), Just(" "), Just("\"\\u00e9\""), Just("tru"),
            ], 0..14),
        ) {
            let text = format!("{{{}", pieces.concat());
            let valid = serde_json::from_str::<serde_json::Map<String, Value>>(&text).is_ok();
            prop_assert_eq!(cells(&text).is_ok(), valid, "{}", text);
        }
    }
}
