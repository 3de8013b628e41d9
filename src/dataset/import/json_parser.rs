//! A JSON parser that checks everything and converts nothing.

use super::block::LIST_END;
use super::cells::Fields;
use super::error::Reason;
use memchr::memchr2;

/// How deep objects and lists may be nested.
const DEEPEST: usize = 64;

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

pub(super) type Parsed<T> = Result<T, Broken>;

/// Takes the leaves of an object.
pub(super) trait Sink {
    /// The column of a leaf that should be read.
    fn column(&mut self, path: &str) -> Option<usize>;

    /// The cells to write a leaf to; `None`: the value does not matter.
    fn fields(&mut self) -> Option<&mut Fields>;

    fn list(&mut self, column: usize);

    /// Ends the cell of a leaf that begins at `begin` of the fields.
    fn put(&mut self, column: usize, begin: usize);

    /// A list of objects begins.
    fn begin_objects(&mut self);

    /// Its next element begins.
    fn next_object(&mut self);

    /// It ends; `false` when its cells are too large.
    fn end_objects(&mut self) -> bool;
}

/// Gives all leaves of a record to a sink.
pub(super) fn walk(record: &[u8], sink: &mut impl Sink) -> Parsed<()> {
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
    fn members(
        &mut self,
        depth: usize,
        mut value: impl FnMut(&mut Self, StringToken<'a>) -> Parsed<()>,
    ) -> Parsed<()> {
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
    fn elements(
        &mut self,
        depth: usize,
        mut element: impl FnMut(&mut Self) -> Parsed<()>,
    ) -> Parsed<()> {
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
            Some(b'[') if self.holds_objects(depth + 1) => {
                return self.objects(path, sink, depth + 1);
            }
            _ => {}
        }
        let Some(column) = sink.column(path) else { return self.skip(depth) };
        if self.peek() == Some(b'[') {
            sink.list(column);
        }
        let Some(fields) = sink.fields() else { return self.skip(depth) };
        let begin = fields.begin();
        self.write(&mut fields.text, depth)?;
        sink.put(column, begin);
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

    /// Whether the list that begins here, or a list in it, holds an object.
    fn holds_objects(&self, depth: usize) -> bool {
        let mut ahead = Self { text: self.text, at: self.at };
        let mut found = false;
        // What is broken is found when the list is read.
        let _ = ahead.elements(depth, |parser| {
            found = match parser.peek() {
                Some(b'{') => true,
                Some(b'[') => parser.holds_objects(depth + 1),
                _ => false,
            };
            if found { Err(parser.broken("an object")) } else { parser.skip(depth) }
        });
        found
    }

    /// Reads a list of objects: each of their keys is a column that holds a list, and the text of
    /// an object is nobody's value. What is no object has the name of the list.
    fn objects(&mut self, path: &mut String, sink: &mut impl Sink, depth: usize) -> Parsed<()> {
        sink.begin_objects();
        self.elements(depth, |parser| {
            sink.next_object();
            match parser.peek() {
                Some(b'n') => parser.skip(depth),
                _ => parser.value(path, sink, depth),
            }
        })?;
        match sink.end_objects() {
            true => Ok(()),
            false => Err(self.broken("a list of too many objects with different keys")),
        }
    }

    /// Writes what is no list; a list inside a list is written as its JSON text.
    fn write_scalar(&mut self, out: &mut Vec<u8>, depth: usize) -> Parsed<()> {
        if self.peek() == Some(b'"') {
            let token = self.string()?;
            return unescaped(token, out);
        }
        let start = self.at;
        self.skip(depth)?;
        let text = &self.text.as_bytes()[start..self.at];
        // Python writes NaN for a number that is missing.
        if text != b"null" && text != b"NaN" {
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
            Some(b'-' | b'0'..=b'9') if !self.text[self.at..].starts_with("-I") => self.number(),
            // The last three are no JSON, but what Python makes of numbers that are not finite.
            _ => match ["true", "false", "null", "NaN", "Infinity", "-Infinity"]
                .into_iter()
                .find(|word| self.text[self.at..].starts_with(word))
            {
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
            let found = memchr2(b'"', b'\\', &bytes[self.at..]).ok_or_else(|| Broken {
                at: start - 1,
                detail: "the text that begins here is never closed",
            })?;
            self.at += found;
            if bytes[self.at] == b'"' {
                break;
            }
            escaped = true;
            self.at = (self.at + 2).min(bytes.len());
        }
        let raw = &self.text[start..self.at];
        if let Some(control) = raw.bytes().position(|byte| byte < 0x20) {
            return Err(Broken {
                at: start + control,
                detail: "a control character inside a text",
            });
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
    let broken = |rest: &str| Broken {
        at: token.start + token.raw.len() - rest.len(),
        detail: "no valid escape sequence",
    };
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

/// The character that the escape sequence at the start of a text stands for, and the bytes it
/// takes. Half of a surrogate pair, which some programs write when they cut a text, becomes U+FFFD.
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
            let low =
                paired.then(|| hex(text, 8)).flatten().filter(|low| (0xDC00..0xE000).contains(low));
            return Some(match low {
                Some(low) => {
                    (char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))?, 12)
                }
                None => (char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER), 6),
            });
        }
        _ => return None,
    };
    Some((character, 2))
}

fn hex(text: &str, at: usize) -> Option<u32> {
    let digits = text
        .get(at..at + 4)
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, 16).ok()
}
