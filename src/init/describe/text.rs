//! How a text file is written: its encoding, delimiter, quotes and header, by its first bytes.

use super::moment::Detector;
use super::words::{Role, Words, says};
use crate::dataset::number_in_any_notation as number;
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, GB18030, GBK, UTF_8, WINDOWS_1252};

/// What the first bytes of a text file say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dialect {
    pub encoding: Option<&'static str>,
    pub delimiter: String,
    pub quote: Option<u8>,
    pub skip_lines: usize,
    pub header: bool,
}

/// Those that are looked for; where two cut every line into the same number of fields the first one
/// counts.
const DELIMITERS: [&str; 6] = ["\t", "::", ";", "|", ",", " "];
/// Lines that are looked at.
const LINES: usize = 200;

/// The dialect of a table. `whole`: the bytes are the whole file.
///
/// # Errors
/// Why the lines have no common form.
pub(super) fn dialect(bytes: &[u8], whole: bool) -> Result<Dialect, &'static str> {
    const UNKNOWN: &str =
        "no delimiter cuts nearly all of its lines into the same number of columns";
    let encoding = encoding(bytes);
    let (text, ..) = encoding.unwrap_or(UTF_8).decode(bytes);
    let mut lines: Vec<&str> =
        text.split(['\n', '\r']).filter(|line| !line.trim().is_empty()).collect();
    // The last line may be cut.
    if !whole && lines.len() > 1 {
        lines.pop();
    }
    lines.truncate(LINES);
    if are_quoted_whole(&lines) {
        return Err(
            "each line is in quotes as a whole, which hide the delimiters: export it again, \
                    or remove the quotes at both ends of the lines",
        );
    }
    let usual = quote(&lines);
    let records = records(&lines, usual);
    let (delimiter, quoted) = delimiter(&lines, &records, usual).ok_or(UNKNOWN)?;
    let quote = quoted.then_some(usual);
    let fields: Vec<Vec<String>> =
        records.iter().map(|record| cut(record, &delimiter, quote)).collect();
    let width = width(&fields).ok_or(UNKNOWN)?;
    let fits = |record: &&Vec<String>| has_width(record, width);
    let skip_lines = fields.iter().take(10).take_while(|record| !fits(record)).count();
    let skip_lines = if skip_lines < fields.len() && skip_lines < 10 { skip_lines } else { 0 };
    let rest: Vec<Vec<String>> =
        fields[skip_lines..].iter().filter(fits).map(|record| record[..width].to_vec()).collect();
    let header = has_header(&rest.iter().collect::<Vec<_>>());
    let encoding = encoding.map(Encoding::name);
    Ok(Dialect { encoding, delimiter, quote: quote.map(|c| c as u8), skip_lines, header })
}

/// The encoding where it must be said: UTF-8 and what a byte order mark names need none.
fn encoding(bytes: &[u8]) -> Option<&'static Encoding> {
    if Encoding::for_bom(bytes).is_some() {
        return None;
    }
    let sample = &bytes[..bytes.len().min(4096) & !1];
    let zeros =
        |offset: usize| sample.iter().skip(offset).step_by(2).filter(|&&byte| byte == 0).count();
    if zeros(1) * 4 > sample.len() {
        return Some(encoding_rs::UTF_16LE);
    }
    if zeros(0) * 4 > sample.len() {
        return Some(encoding_rs::UTF_16BE);
    }
    match std::str::from_utf8(bytes) {
        Ok(_) => None,
        // Cut within a character.
        Err(error) if error.error_len().is_none() => None,
        Err(_) => Some(legacy(bytes)),
    }
}

/// The encoding of text from before Unicode, guessed by which letters stand side by side.
fn legacy(bytes: &[u8]) -> &'static Encoding {
    // Signs such as £ and ° stand alone and say nothing about the language.
    let (western, ..) = WINDOWS_1252.decode(bytes);
    let signs = !western.chars().any(|c| !c.is_ascii() && c.is_alphabetic());
    let alone = bytes.windows(2).all(|pair| pair[0].is_ascii() || pair[1].is_ascii());
    if signs && alone {
        return WINDOWS_1252;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    match detector.guess(None, Utf8Detection::Deny) {
        // What GBK writes reads the same, and more characters have a place.
        encoding if encoding == GBK => GB18030,
        encoding => encoding,
    }
}

/// Whether each line is one quoted field with delimiters inside, which a program makes that takes
/// the lines of a table for its cells.
fn are_quoted_whole(lines: &[&str]) -> bool {
    let whole = |line: &&&str| {
        let inside = line.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        inside.is_some_and(|text| {
            !text.replace("\"\"", "").contains('"') && text.contains([',', ';'])
        })
    };
    lines.len() > 1 && lines.iter().filter(whole).count() * 10 >= lines.len() * 9
}

/// What quotes fields: single quotes where nearly every line begins and ends with one.
fn quote(lines: &[&str]) -> char {
    let framed = |line: &&&str| {
        let line = line.trim();
        line.len() > 1 && line.starts_with('\'') && line.ends_with('\'')
    };
    let single = !lines.is_empty() && lines.iter().filter(framed).count() * 10 >= lines.len() * 9;
    if single { '\'' } else { '"' }
}

/// Lines joined while a quote is open, as long as that ends soon.
fn records(lines: &[&str], quote: char) -> Vec<String> {
    let mut records: Vec<String> = Vec::new();
    let mut open = 0;
    for line in lines {
        let is_open = |record: &&mut String| record.matches(quote).count() % 2 == 1 && open < 40;
        match records.last_mut().filter(is_open) {
            Some(record) => {
                record.push('\n');
                record.push_str(line);
                open += 1;
            }
            None => {
                records.push((*line).to_owned());
                open = 0;
            }
        }
    }
    records
}

/// The delimiter, and whether quotes count.
fn delimiter(lines: &[&str], records: &[String], quote: char) -> Option<(String, bool)> {
    // The share of records with the usual number of fields, where that is at least two, and whether
    // the first record has it: tags in cells do not reach the header, but neither does a title
    // above it.
    let fits = |records: &mut dyn Iterator<Item = &str>, delimiter: &str, quote: Option<char>| {
        let widths: Vec<usize> =
            records.map(|record| cut(record, delimiter, quote).len()).collect();
        let width = mode(widths.iter().copied()).filter(|&width| width > 1)?;
        // Lines above the header are few and do not count.
        let above = widths.iter().take(10).take_while(|&&w| w != width).count();
        let table = &widths[above..];
        let alike = table.iter().filter(|&&w| w == width).count() as f64 / table.len() as f64;
        (alike >= 0.9).then_some((alike, above == 0))
    };
    let cuts = |delimiter: &str, named: bool| {
        let alike = |fit: Option<(f64, bool)>| {
            fit.filter(|&(_, first)| first == named).map(|(alike, _)| alike)
        };
        let quoted = alike(fits(&mut records.iter().map(String::as_str), delimiter, Some(quote)));
        let plain = alike(fits(&mut lines.iter().copied(), delimiter, None));
        match (quoted, plain) {
            (Some(quoted), Some(plain)) if plain > quoted + 0.02 => Some(false),
            (Some(_), _) => Some(true),
            (None, Some(_)) => Some(false),
            (None, None) => None,
        }
    };
    let unusual = unusual_delimiter(lines);
    let (doubled, rare): (Vec<&str>, Vec<&str>) = unusual
        .iter()
        .map(String::as_str)
        .partition(|text| DELIMITERS.iter().any(|usual| text.starts_with(usual)));
    let candidates: Vec<&str> = doubled.into_iter().chain(DELIMITERS).chain(rare).collect();
    let found = |named: bool| {
        let mut candidates = candidates.iter();
        candidates.find_map(|&text| cuts(text, named).map(|quoted| (text.to_owned(), quoted)))
    };
    let found = found(true).or_else(|| found(false));
    // A table of one column, such as a list of ids, has no delimiter at all.
    found.or_else(|| {
        let one = lines.iter().all(|line| !line.contains([',', ';', '\t']));
        one.then(|| (",".to_owned(), true))
    })
}

/// A sign of the first line that shops seldom separate fields by, such as `^`, or that comes in
/// groups only, such as `||`.
fn unusual_delimiter(lines: &[&str]) -> Option<String> {
    const IN_NAMES: [char; 11] = ['_', '-', '.', ' ', '"', '\'', '(', ')', '/', '#', '\0'];
    let is_sign =
        |c: char| (c.is_ascii_punctuation() || c.is_ascii_control()) && !IN_NAMES.contains(&c);
    let first = lines.first()?;
    let mut groups: Vec<(char, usize)> = Vec::new();
    let mut last = None;
    for c in first.chars() {
        match groups.last_mut() {
            Some((sign, length)) if last == Some(c) && *sign == c => *length += 1,
            _ if is_sign(c) => groups.push((c, 1)),
            _ => {}
        }
        last = Some(c);
    }
    let &(sign, length) = groups.first()?;
    let alike = groups.iter().all(|&group| group == (sign, length));
    let usual = length == 1 && DELIMITERS.contains(&sign.to_string().as_str());
    (alike && !usual).then(|| sign.to_string().repeat(length))
}

/// The fields of a record.
fn cut(record: &str, delimiter: &str, quote: Option<char>) -> Vec<String> {
    let Some(quote) = quote.filter(|quote| record.contains(*quote)) else {
        return record.split(delimiter).map(str::to_owned).collect();
    };
    let (mut fields, mut field, mut inside) = (Vec::new(), String::new(), false);
    let mut rest = record;
    while let Some(c) = rest.chars().next() {
        if !inside && rest.starts_with(delimiter) {
            fields.push(std::mem::take(&mut field));
            rest = &rest[delimiter.len()..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        if inside && c == quote && rest.starts_with(quote) {
            field.push(quote);
            rest = &rest[quote.len_utf8()..];
        } else if c == quote && (inside || field.is_empty()) {
            inside = !inside;
        } else {
            field.push(c);
        }
    }
    fields.push(field);
    fields
}

/// The number of fields of most records, without those at the end that all leave empty: some
/// programs end every line with a delimiter.
fn width(records: &[Vec<String>]) -> Option<usize> {
    let width = mode(records.iter().map(Vec::len))?;
    let bare = |record: &Vec<String>| {
        width - record.iter().rev().take_while(|field| field.trim().is_empty()).count()
    };
    records.iter().filter(|record| record.len() == width).map(bare).max().filter(|&bare| bare > 0)
}

/// Whether a record has so many fields, but for empty ones at its end.
fn has_width(record: &[String], width: usize) -> bool {
    record.len() >= width && record[width..].iter().all(|field| field.trim().is_empty())
}

/// The most frequent number.
fn mode(numbers: impl Iterator<Item = usize>) -> Option<usize> {
    let mut counts = std::collections::BTreeMap::<usize, usize>::new();
    numbers.for_each(|number| *counts.entry(number).or_default() += 1);
    counts.into_iter().max_by_key(|&(number, count)| (count, number)).map(|(number, _)| number)
}

/// Whether the first record names the columns.
fn has_header(records: &[&Vec<String>]) -> bool {
    let Some((first, rest)) = records.split_first() else { return true };
    // A header may leave a name out (an index, a comma at the end), but not most of them.
    let filled = first.iter().filter(|cell| !cell.trim().is_empty()).count();
    if filled * 2 < first.len() {
        return false;
    }
    if !first.iter().all(|cell| is_name(cell)) {
        // A year heads what was sold in it, where the first column has a name without doubt.
        let years = first[1..].iter().all(|cell| is_name(cell) || is_year(cell));
        return years && is_role(&first[0]) && !rest.is_empty() && stands_alone(first, rest, 0);
    }
    if rest.is_empty() || first.iter().any(|cell| is_role(cell)) || calls_ids(first, rest) {
        return true;
    }
    // Texts only: a header's words do not come again below it, and one stands over values of
    // another form.
    let columns = 0..first.len();
    columns.clone().all(|at| stands_alone(first, rest, at))
        && columns.into_iter().any(|at| differs_in_form(first, rest, at))
}

/// Whether a cell may be the name of a column: neither a number nor a time.
fn is_name(cell: &str) -> bool {
    let cell = cell.trim();
    let mut moments = Detector::new();
    moments.add(cell);
    number(cell).is_none() && moments.finish(false).is_none() && cell.chars().count() <= 80
}

fn is_year(cell: &str) -> bool {
    cell.trim().parse().is_ok_and(|year: u16| (1900..2100).contains(&year))
}

/// Whether a cell is what people call the columns of a shop.
fn is_role(cell: &str) -> bool {
    const ROLES: [Role; 8] = [
        Role::Customer,
        Role::Article,
        Role::Order,
        Role::Time,
        Role::Price,
        Role::Quantity,
        Role::Title,
        Role::Rating,
    ];
    ROLES.iter().any(|&role| says(cell, role) >= 2)
}

/// Whether the first column is called `id`.
fn calls_ids(first: &[String], rest: &[&Vec<String>]) -> bool {
    Words::of(&first[0]).joined() == "id" && stands_alone(first, rest, 0)
}

/// Whether no cell below says the same as the first of a column.
fn stands_alone(first: &[String], rest: &[&Vec<String>], at: usize) -> bool {
    rest.iter().all(|record| record[at].trim() != first[at].trim())
}

/// Whether the cells below are numbers, times or codes with digits, and the first of the column is
/// not.
fn differs_in_form(first: &[String], rest: &[&Vec<String>], at: usize) -> bool {
    let cells = || rest.iter().map(|record| record[at].trim());
    let has_digit = |cell: &str| cell.bytes().any(|byte| byte.is_ascii_digit());
    let mut moments = Detector::new();
    cells().for_each(|cell| moments.add(cell));
    let codes = !has_digit(&first[at]) && cells().all(has_digit);
    codes || moments.finish(false).is_some() || cells().all(|cell| number(cell).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Dialect {
        dialect(text.as_bytes(), true).unwrap()
    }

    #[test]
    fn delimiters_and_headers_of_the_usual_files() {
        for (text, delimiter, header) in [
            ("id,title\n1,\"A, b\"\n2,C\n", ",", true),
            ("Kunde;Preis\nk1;1,50\nk2;2,75\n", ";", true),
            ("a\tb\n1\t2\n", "\t", true),
            ("1::Toy (1995)::Animation|Comedy\n2::Jump (1995)::Drama\n", "::", false),
            ("1|24|M|writer|85711\n2|53|F|other|94043\n", "|", false),
            ("5,BioShock,purchase,1.0,0\n5,BioShock,play,286.7,0\n", ",", false),
            (
                "1,2014-04-07T10:51:09.277Z,214536502,0\n2,2014-04-07T10:52:09.277Z,214536502,0\n",
                ",",
                false,
            ),
            ("UserId ItemId Timestamp\n1 7 1484669739\n2 7 1484669740\n", " ", true),
            ("sku,labels\n1,red|blue\n2,green\n", ",", true),
            ("order,mail,items\n1,a@x.org,A x 1|B x 2\n2,b@x.org,C x 1|D x 2\n", ",", true),
            ("u,i,t\nu1,a1,2024-01-02\nu2,b2,2024-01-03\n", ",", true),
            ("sku~~client_id~~when\n1~~c~~2024-01-01\n2~~~~2024-01-02\n", "~~", true),
            ("sku||client\n1||c\n2||d\n", "||", true),
            ("sku^client^price\n1^c^2\n2^d^3\n", "^", true),
            ("sku\u{1}client\n1\u{1}c\n2\u{1}d\n", "\u{1}", true),
        ] {
            let found = of(text);
            assert_eq!((&*found.delimiter, found.header), (delimiter, header), "{text}");
        }
    }

    #[test]
    fn words_above_ids_and_years_are_a_header() {
        for (text, header) in [
            ("id,city\nC0,Rome\nC1,Rome\n", true),
            ("ID;Ort\nC0;Berlin\nC1;Berlin\n", true),
            ("sku,2021,2022\nA0,0,4\nA1,1,5\n", true),
            ("asiakas,kaupunki\nC0,Oulu\nC1,Pori\n", true),
            ("ann,Rome\nbob,Oslo\n", false),
            ("7,2021,2022\n8,2021,2023\n", false),
        ] {
            assert_eq!(of(text).header, header, "{text}");
        }
    }

    #[test]
    fn lines_in_quotes_as_a_whole_are_said() {
        let refused = |text: &str| dialect(text.as_bytes(), true).unwrap_err();
        assert!(
            refused("\"sku,title\"\n\"1,\"\"it\"\"\"\n\"2,b\"\n").contains("in quotes as a whole")
        );
        assert!(refused("one, two\nthree; four\nfive\n").contains("no delimiter"));
        assert_eq!(of("\"sku\",\"title\"\n\"1\",\"a, b\"\n\"2\",\"c\"\n").delimiter, ",");
    }

    #[test]
    fn encodings_are_told_by_their_letters() {
        for (text, name) in [
            ("Äpfel", "windows-1252"),
            ("20 £, 5°", "windows-1252"),
            ("Москва и Казань", "windows-1251"),
            ("東京都の店", "Shift_JIS"),
            ("서울 가게", "EUC-KR"),
            ("北京", "gb18030"),
        ] {
            let encoding = Encoding::for_label(name.as_bytes()).unwrap();
            let text = format!("id,name\n1,{text}\n");
            let (bytes, ..) = encoding.encode(&text);
            assert_eq!(dialect(&bytes, true).unwrap().encoding, Some(name), "{text}");
        }
    }

    #[test]
    fn delimiters_at_the_end_of_lines_make_no_difference() {
        for text in [
            "sku,client,\n1,c\n2,d\n3,e\n",
            "sku,client\n1,c,\n2,d,\n3,e,\n",
            "sku,client,,\n1,c,,\n2,d,,\n3,e,,\n",
        ] {
            let found = of(text);
            assert_eq!(
                (&*found.delimiter, found.header, found.skip_lines),
                (",", true, 0),
                "{text}"
            );
        }
    }

    #[test]
    fn encodings_quotes_and_lines_before_the_header() {
        assert_eq!(of("a,b\nä,1\n").encoding, None);
        let wide: Vec<u8> = "sku;x\n1;2\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(dialect(&wide, true).unwrap().encoding, Some("UTF-16LE"));
        assert_eq!(of("title\tn\n12\" record\t1\n7\" single\t2\n8\t4\n").quote, None);
        let single = of("'sku','title'\n'1','it''s, new'\n'2','b'\n");
        assert_eq!(
            (single.quote, single.delimiter.as_str(), single.header),
            (Some(b'\''), ",", true)
        );
        let with_title =
            of("Export of 2024\nsku,client,when\n1,c,2024-01-01\n2,d,2024-01-02\n3,e,2024-01-03\n");
        assert_eq!(
            (with_title.skip_lines, with_title.header, with_title.delimiter.as_str()),
            (1, true, ",")
        );
        assert_eq!(of("a,b\n1,\"two\nlines\"\n2,x\n").quote, Some(b'"'));
    }
}
