//! Delimited text: where its records end and how they are split.

use super::cells::Fields;
use memchr::{memchr, memchr3, memrchr};

/// How delimited text is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dialect {
    /// One or several bytes.
    pub delimiter: Vec<u8>,
    /// What at the start of a field opens a quoted one (RFC 4180): usually `"`; `None`: nothing.
    pub quote: Option<u8>,
}

impl Dialect {
    pub fn new(delimiter: &str, quote: Option<u8>) -> Self {
        Self { delimiter: delimiter.as_bytes().to_vec(), quote }
    }

    /// A reader of the csv library, which knows delimiters of one byte only.
    pub fn reader<'a>(&self, bytes: &'a [u8]) -> Option<csv::Reader<&'a [u8]>> {
        let [delimiter] = self.delimiter[..] else { return None };
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .quoting(self.quote.is_some())
            .quote(self.quote.unwrap_or(b'"'))
            .buffer_capacity(1 << 16)
            .from_reader(bytes);
        Some(reader)
    }

    /// Splits the record that begins at or behind `start` by the rules of the csv library, whatever
    /// the length of the delimiter; `None` when no record is left.
    pub fn split(&self, bytes: &[u8], start: usize, fields: &mut Fields) -> Option<RecordSpan> {
        let start = start + bytes[start..].iter().take_while(|byte| is_line_end(**byte)).count();
        if start == bytes.len() {
            return None;
        }
        fields.clear();
        let mut at = start;
        loop {
            at = self.split_field(bytes, at, fields);
            if self.delimiter.is_empty() || !bytes[at..].starts_with(&self.delimiter) {
                break;
            }
            at += self.delimiter.len();
        }
        Some(RecordSpan { start, end: at })
    }

    /// Adds the field that begins at `at`; returns where it ends.
    fn split_field(&self, bytes: &[u8], at: usize, fields: &mut Fields) -> usize {
        let begin = fields.begin();
        let mut plain = at;
        if let Some(quote) = self.quote.filter(|quote| bytes.get(at) == Some(quote)) {
            let mut from = at + 1;
            loop {
                let closing = memchr(quote, &bytes[from..]).map_or(bytes.len(), |p| from + p);
                fields.text.extend_from_slice(&bytes[from..closing]);
                plain = (closing + 1).min(bytes.len());
                if bytes.get(closing + 1) != Some(&quote) {
                    break;
                }
                fields.text.push(quote);
                from = closing + 2;
            }
        }
        let end = self.plain_end(bytes, plain);
        fields.text.extend_from_slice(&bytes[plain..end]);
        fields.end(begin);
        end
    }

    /// The next delimiter, line end or end of the text.
    fn plain_end(&self, bytes: &[u8], mut from: usize) -> usize {
        let first = self.delimiter.first().copied().unwrap_or(b'\n');
        while let Some(found) = memchr3(first, b'\n', b'\r', &bytes[from..]).map(|p| from + p) {
            if is_line_end(bytes[found]) || bytes[found..].starts_with(&self.delimiter) {
                return found;
            }
            from = found + 1;
        }
        bytes.len()
    }

    /// Finds the last line end outside quotes, by the rules of the parser: a quote opens a field
    /// only at its start, and inside it `""` is a quote. The text starts at the start of a record.
    pub fn last_record_end(&self, bytes: &[u8]) -> Cut {
        let line_end =
            |from: usize, to: usize| memrchr(b'\n', &bytes[from..to]).map(|p| from + p + 1);
        let Some(quote) = self.quote else {
            return Cut { end: line_end(0, bytes.len()).unwrap_or(0), open_quote: None };
        };
        let mut end = 0;
        let mut outside = 0;
        while let Some(opening) = memchr(quote, &bytes[outside..]).map(|p| outside + p) {
            end = line_end(outside, opening).unwrap_or(end);
            let before = &bytes[..opening];
            let opens = before.last().is_none_or(|byte| is_line_end(*byte))
                || before.ends_with(&self.delimiter);
            outside = opening + 1;
            if opens {
                match closing_quote(quote, bytes, outside) {
                    Some(closing) => outside = closing + 1,
                    None => return Cut { end, open_quote: Some(opening) },
                }
            }
        }
        Cut { end: line_end(outside, bytes.len()).unwrap_or(end), open_quote: None }
    }
}

/// Where a record lies in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordSpan {
    pub start: usize,
    pub end: usize,
}

/// Where the last whole record of a text ends, and where a quote opens that the text does not
/// close.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub end: usize,
    pub open_quote: Option<usize>,
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// Where the quoted field that begins at `from` ends.
fn closing_quote(quote: u8, bytes: &[u8], mut from: usize) -> Option<usize> {
    loop {
        let closing = from + memchr(quote, &bytes[from..])?;
        if bytes.get(closing + 1) != Some(&quote) {
            return Some(closing);
        }
        from = closing + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split_all(dialect: &Dialect, text: &[u8]) -> Vec<Vec<Vec<u8>>> {
        let (mut at, mut records, mut fields) = (0, Vec::new(), Fields::default());
        while let Some(span) = dialect.split(text, at, &mut fields) {
            records.push((0..fields.len()).map(|i| fields.get(i).to_vec()).collect());
            at = span.end;
        }
        records
    }

    #[test]
    fn delimiters_of_several_characters_split_and_quotes_hide_them() {
        let dialect = Dialect::new("::", Some(b'"'));
        let text = "1::Ace: a \"pet\"::\"a::b \"\"c\"\"\"\r\n\n2::::\"two\nlines\"::";
        let expected: [&[&str]; 2] =
            [&["1", "Ace: a \"pet\"", "a::b \"c\""], &["2", "", "two\nlines", ""]];
        let found = split_all(&dialect, text.as_bytes());
        let found: Vec<Vec<&str>> = found
            .iter()
            .map(|record| record.iter().map(|field| std::str::from_utf8(field).unwrap()).collect())
            .collect();
        assert_eq!(found, expected);
        assert_eq!(
            split_all(&Dialect::new("::", None), b"\"a::b\""),
            [[b"\"a".to_vec(), b"b\"".to_vec()]]
        );
    }

    proptest! {
        #[test]
        fn one_byte_is_split_as_the_csv_library_does(
            pieces in proptest::collection::vec(prop_oneof![
                Just("a"), Just(","), Just("\n"), Just("\r"), Just("\""), Just("\"\""), Just("'"), Just("ü"),
            ], 0..60),
            quote in proptest::sample::select(vec![None, Some(b'"'), Some(b'\'')]),
        ) {
            let text = pieces.concat();
            let dialect = Dialect::new(",", quote);
            let mut reader = dialect.reader(text.as_bytes()).unwrap();
            let expected: Vec<Vec<Vec<u8>>> =
                reader.byte_records().map(|record| record.unwrap().iter().map(<[u8]>::to_vec).collect()).collect();
            prop_assert_eq!(split_all(&dialect, text.as_bytes()), expected);
        }
    }
}
