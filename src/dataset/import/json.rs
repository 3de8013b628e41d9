//! JSON objects as rows: nested objects are flattened, `{"a": {"b": 1}}` having a column `a.b`.
//!
//! Numbers keep the digits they are written with, since ids of many digits would not survive a conversion.
//! The elements of a list are each closed by [`LIST_END`]; a list of `{"name": …, "value": …}` pairs counts as an
//! object. `null` is an empty cell.

use super::block::LIST_END;
use super::cells::Fields;
use super::error::Reason;
use memchr::memchr2;
use std::collections::{HashMap, HashSet};

/// How deep objects and lists may be nested.
const DEEPEST: usize = 64;
/// How many columns the keys of a file may give.
pub(super) const MOST_COLUMNS: usize = 4096;

/// What is wrong with a record: the byte it is at, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub at: usize,
    pub detail: &'static str,
}

impl From<Broken> for Reason {
    fn from(broken: Broken) -> Self {
        Self::Json { column: broken.at + 1, detail: broken.detail.to_owned() }
    }
}

type Parsed<T> = Result<T, Broken>;

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
    /// Learns the columns of one record.
    ///
    /// # Errors
    /// A record that is no object.
    pub fn learn(&mut self, record: &[u8]) -> Parsed<()> {
        let mut seen = Learner { keys: self, lists: HashSet::new() };
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
        walk(record, &mut Flattener { keys: self, fields, next: 0 })
    }

    fn is_wanted(&self, column: usize) -> bool {
        self.wanted.get(column).copied().unwrap_or(true)
    }
}

/// Takes the leaves of an object.
trait Sink {
    /// The column of a leaf that should be read.
    fn column(&mut self, path: &str) -> Option<usize>;

    /// The cells to write a leaf to; `None`: the value does not matter.
    fn fields(&mut self) -> Option<&mut Fields>;

    fn list(&mut self, column: usize);
}

struct Learner<'a> {
    keys: &'a mut Keys,
    lists: HashSet<usize>,
}

impl Sink for Learner<'_> {
    fn column(&mut self, path: &str) -> Option<usize> {
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

    fn fields(&mut self) -> Option<&mut Fields> {
        None
    }

    fn list(&mut self, column: usize) {
        self.lists.insert(column);
    }
}

struct Flattener<'a> {
    keys: &'a Keys,
    fields: &'a mut Fields,
    /// The column that comes next if this record has the keys of the others in their order.
    next: usize,
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
}

/// Gives all leaves of a record to a sink.
fn walk(record: &[u8], sink: &mut impl Sink) -> Parsed<()> {
    let text = std::str::from_utf8(record)
        .map_err(|error| Broken { at: error.valid_up_to(), detail: "the text is not UTF-8" })?;
    let mut parser = Parser { text, at: 0 };
    parser.skip_blanks();
    if parser.peek() != Some(b'{') {
        return Err(parser.broken("expected `{`"));
    }
    parser.object(&mut String::new(), sink, 1)?;
    parser.skip_blanks();
    if parser.at < text.len() {
        return Err(parser.broken("expected the end of the record"));
    }
    Ok(())
}

/// Reads one JSON text from front to back.
struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn broken(&self, detail: &'static str) -> Broken {
        Broken { at: self.at, detail }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Takes a byte if it comes next.
    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, byte: u8, detail: &'static str) -> Parsed<()> {
        if self.take(byte) { Ok(()) } else { Err(self.broken(detail)) }
    }

    /// Reads the object that begins here; `path` is that of the object.
    fn object(&mut self, path: &mut String, sink: &mut impl Sink, depth: usize) -> Parsed<()> {
        let length = path.len();
        self.members(depth, |parser, key| {
            if length > 0 {
                path.push('.');
            }
            let name = unescaped(key, path);
            let value = name.and_then(|()| parser.value(path, sink, depth));
            path.truncate(length);
            value
        })
    }

    /// Calls `value` with each key, as it is written, when the parser is at the value.
    fn members(&mut self, depth: usize, mut value: impl FnMut(&mut Self, StringToken<'a>) -> Parsed<()>) -> Parsed<()> {
        if depth > DEEPEST {
            return Err(self.broken("objects and lists are nested more than 64 deep"));
        }
        self.expect(b'{', "expected `{`")?;
        self.skip_blanks();
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            self.skip_blanks();
            let key = self.string()?;
            self.skip_blanks();
            self.expect(b':', "expected `:` behind a key")?;
            self.skip_blanks();
            value(self, key)?;
            self.skip_blanks();
            if self.take(b'}') {
                return Ok(());
            }
            self.expect(b',', "expected `,` or `}` behind a value")?;
        }
    }

    /// Calls `element` when the parser is at an element of the list that begins here.
    fn elements(&mut self, depth: usize, mut element: impl FnMut(&mut Self) -> Parsed<()>) -> Parsed<()> {
        if depth > DEEPEST {
            return Err(self.broken("objects and lists are nested more than 64 deep"));
        }
        self.expect(b'[', "expected `[`")?;
        self.skip_blanks();
        if self.take(b']') {
            return Ok(());
        }
        loop {
            self.skip_blanks();
            element(self)?;
            self.skip_blanks();
            if self.take(b']') {
                return Ok(());
            }
            self.expect(b',', "expected `,` or `]` behind an element")?;
        }
    }

    /// Reads the value of a path.
    fn value(&mut self, path: &mut String, sink: &mut impl Sink, depth: usize) -> Parsed<()> {
        match self.peek() {
            Some(b'{') => return self.object(path, sink, depth + 1),
            Some(b'[') if self.is_pairs(depth + 1) => return self.pairs(path, sink, depth + 1),
            _ => {}
        }
        let Some(column) = sink.column(path) else { return self.skip(depth) };
        if self.peek() == Some(b'[') {
            sink.list(column);
        }
        let Some(fields) = sink.fields() else { return self.skip(depth) };
        let begin = fields.begin();
        self.write(&mut fields.text, depth)?;
        fields.set(column, begin);
        Ok(())
    }

    /// Writes a value as a cell.
    fn write(&mut self, out: &mut Vec<u8>, depth: usize) -> Parsed<()> {
        if self.peek() != Some(b'[') {
            return self.write_scalar(out, depth);
        }
        self.elements(depth + 1, |parser| {
            let begin = out.len();
            parser.write_scalar(out, depth + 1)?;
            if out.len() > begin {
                out.push(LIST_END);
            }
            Ok(())
        })
    }

    /// Writes what is no list; a list or an object inside a list is written as its JSON text.
    fn write_scalar(&mut self, out: &mut Vec<u8>, depth: usize) -> Parsed<()> {
        if self.peek() == Some(b'"') {
            let token = self.string()?;
            return unescaped(token, out);
        }
        let start = self.at;
        self.skip(depth)?;
        let text = &self.text.as_bytes()[start..self.at];
        if text != b"null" {
            out.extend_from_slice(text);
        }
        Ok(())
    }

    /// Whether the list that begins here holds `{"name": …, "value": …}` pairs alone.
    fn is_pairs(&self, depth: usize) -> bool {
        let mut ahead = Self { text: self.text, at: self.at };
        let mut any = false;
        let all = ahead.elements(depth, |parser| {
            let (mut name, mut value) = (false, false);
            parser.members(depth + 1, |parser, key| {
                match key.raw {
                    "name" if parser.peek() == Some(b'"') => name = true,
                    "value" => value = true,
                    _ => return Err(parser.broken("neither name nor value")),
                }
                parser.skip(depth + 1)
            })?;
            any = true;
            if name && value { Ok(()) } else { Err(parser.broken("no pair")) }
        });
        any && all.is_ok()
    }

    /// Reads a list of pairs as the object that it stands for.
    fn pairs(&mut self, path: &mut String, sink: &mut impl Sink, depth: usize) -> Parsed<()> {
        let length = path.len();
        self.elements(depth, |parser| {
            let start = parser.at;
            parser.members(depth + 1, |parser, key| {
                if key.raw != "name" {
                    return parser.skip(depth + 1);
                }
                path.truncate(length);
                path.push('.');
                let name = parser.string()?;
                unescaped(name, path)
            })?;
            let end = std::mem::replace(&mut parser.at, start);
            parser.members(depth + 1, |parser, key| match key.raw {
                "value" => parser.value(path, sink, depth + 1),
                _ => parser.skip(depth + 1),
            })?;
            debug_assert_eq!(parser.at, end, "both readings of a pair end together");
            path.truncate(length);
            Ok(())
        })
    }

    /// Passes over a value.
    fn skip(&mut self, depth: usize) -> Parsed<()> {
        match self.peek() {
            Some(b'{') => self.members(depth + 1, |parser, _| parser.skip(depth + 1)),
            Some(b'[') => self.elements(depth + 1, |parser| parser.skip(depth + 1)),
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => match ["true", "false", "null"].into_iter().find(|word| self.text[self.at..].starts_with(word)) {
                Some(word) => {
                    self.at += word.len();
                    Ok(())
                }
                None => Err(self.broken("expected a value")),
            },
        }
    }

    fn number(&mut self) -> Parsed<()> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Parsed<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(self.broken("expected a digit")) }
    }

    /// Passes over a string, without resolving its escapes.
    fn string(&mut self) -> Parsed<StringToken<'a>> {
        self.expect(b'"', "expected a text in double quotes")?;
        let (start, bytes) = (self.at, self.text.as_bytes());
        let mut escaped = false;
        loop {
            let found = memchr2(b'"', b'\\', &bytes[self.at..])
                .ok_or_else(|| Broken { at: start - 1, detail: "the text that begins here is never closed" })?;
            self.at += found;
            if bytes[self.at] == b'"' {
                break;
            }
            escaped = true;
            self.at = (self.at + 2).min(bytes.len());
        }
        let raw = &self.text[start..self.at];
        if let Some(control) = raw.bytes().position(|byte| byte < 0x20) {
            return Err(Broken { at: start + control, detail: "a control character inside a text" });
        }
        self.at += 1;
        Ok(StringToken { raw, escaped, start })
    }
}

/// A string as it is written between its quotes.
#[derive(Clone, Copy)]
struct StringToken<'a> {
    raw: &'a str,
    escaped: bool,
    start: usize,
}

/// What a decoded string is added to.
trait Text {
    fn add(&mut self, text: &str);
}

impl Text for String {
    fn add(&mut self, text: &str) {
        self.push_str(text);
    }
}

impl Text for Vec<u8> {
    fn add(&mut self, text: &str) {
        self.extend_from_slice(text.as_bytes());
    }
}

/// Adds the content of a string.
fn unescaped(token: StringToken, out: &mut impl Text) -> Parsed<()> {
    let mut rest = token.raw;
    if !token.escaped {
        out.add(rest);
        return Ok(());
    }
    let broken =
        |rest: &str| Broken { at: token.start + token.raw.len() - rest.len(), detail: "no valid escape sequence" };
    while let Some(escape) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.add(&rest[..escape]);
        rest = &rest[escape..];
        let (character, length) = escape_sequence(rest).ok_or_else(|| broken(rest))?;
        out.add(character.encode_utf8(&mut [0; 4]));
        rest = &rest[length..];
    }
    out.add(rest);
    Ok(())
}

/// The character that the escape sequence at the start of a text stands for, and the bytes it takes. Half of a
/// surrogate pair, which some programs write when they cut a text, becomes U+FFFD.
fn escape_sequence(text: &str) -> Option<(char, usize)> {
    let character = match text.as_bytes().get(1)? {
        byte @ (b'"' | b'\\' | b'/') => *byte as char,
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let high = hex(text, 2)?;
            let paired = (0xD800..0xDC00).contains(&high) && text.get(6..8) == Some("\\u");
            let low = paired.then(|| hex(text, 8)).flatten().filter(|low| (0xDC00..0xE000).contains(low));
            return Some(match low {
                Some(low) => (char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))?, 12),
                None => (char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER), 6),
            });
        }
        _ => return None,
    };
    Some((character, 2))
}

fn hex(text: &str, at: usize) -> Option<u32> {
    let digits = text.get(at..at + 4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
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
            ("tags", "a, b|2|{\"x\": [1]}|"),
            ("none", ""),
        ];
        assert_eq!(found(record), pairs(&expected));
    }

    #[test]
    fn lists_of_names_and_values_are_objects() {
        let record = r#"{"item": "p1", "fields": [{"name": "color", "value": ["red", "blue"]},
            {"value": 10.5, "name": "price"}], "other": [{"name": "x"}]}"#;
        let expected =
            [("item", "p1"), ("fields.color", "red|blue|"), ("fields.price", "10.5"), ("other", "{\"name\": \"x\"}|")];
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
