//! How a text file is written: its encoding, delimiter, quotes and header, by its first bytes.

use super::column::number;
use super::moment::Detector;
use super::words::{Role, says};

/// What the first bytes of a text file say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dialect {
    pub encoding: Option<&'static str>,
    pub delimiter: &'static str,
    pub quoted: bool,
    pub skip_lines: usize,
    pub header: bool,
}

/// Those that are looked for; where two cut every line into the same number of fields the first one
/// counts.
const DELIMITERS: [&str; 6] = ["\t", "::", ";", "|", ",", " "];
/// Lines that are looked at.
const LINES: usize = 200;

/// The dialect of a table; `None` when the lines have no common form. `whole`: the bytes are the
/// whole file.
pub(super) fn dialect(bytes: &[u8], whole: bool) -> Option<Dialect> {
    let encoding = encoding(bytes);
    let text = decoded(bytes, encoding);
    let mut lines: Vec<&str> =
        text.split(['\n', '\r']).filter(|line| !line.trim().is_empty()).collect();
    // The last line may be cut.
    if !whole && lines.len() > 1 {
        lines.pop();
    }
    lines.truncate(LINES);
    let records = records(&lines);
    let (delimiter, quoted) = delimiter(&lines, &records)?;
    let fields: Vec<Vec<String>> =
        records.iter().map(|record| cut(record, delimiter, quoted)).collect();
    let width = mode(fields.iter().map(Vec::len))?;
    let skip_lines = fields.iter().take(10).take_while(|record| record.len() != width).count();
    let skip_lines = if skip_lines < fields.len() && skip_lines < 10 { skip_lines } else { 0 };
    let rest: Vec<&Vec<String>> =
        fields[skip_lines..].iter().filter(|record| record.len() == width).collect();
    let header = has_header(&rest);
    Some(Dialect { encoding, delimiter, quoted, skip_lines, header })
}

/// The label of the encoding where it must be said: UTF-8 and what a byte order mark names need
/// none.
fn encoding(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return None;
    }
    let sample = &bytes[..bytes.len().min(4096) & !1];
    let zeros =
        |offset: usize| sample.iter().skip(offset).step_by(2).filter(|&&byte| byte == 0).count();
    if zeros(1) * 4 > sample.len() {
        return Some("utf-16le");
    }
    if zeros(0) * 4 > sample.len() {
        return Some("utf-16be");
    }
    match std::str::from_utf8(bytes) {
        Ok(_) => None,
        // Cut within a character.
        Err(error) if error.error_len().is_none() => None,
        Err(_) => Some("windows-1252"),
    }
}

fn decoded(bytes: &[u8], encoding: Option<&'static str>) -> String {
    let wide = |bytes: &[u8], big: bool| {
        let unit = |pair: &[u8]| if big { [pair[1], pair[0]] } else { [pair[0], pair[1]] };
        let units: Vec<u16> =
            bytes.chunks_exact(2).map(|pair| u16::from_le_bytes(unit(pair))).collect();
        String::from_utf16_lossy(&units)
    };
    match (bytes, encoding) {
        ([0xff, 0xfe, rest @ ..], _) => wide(rest, false),
        ([0xfe, 0xff, rest @ ..], _) => wide(rest, true),
        (_, Some("utf-16le")) => wide(bytes, false),
        (_, Some("utf-16be")) => wide(bytes, true),
        // Latin-1 is near enough to tell fields apart.
        (_, Some(_)) => bytes.iter().map(|&byte| char::from(byte)).collect(),
        _ => String::from_utf8_lossy(bytes).trim_start_matches('\u{feff}').to_owned(),
    }
}

/// Lines joined while a quote is open, as long as that ends soon.
fn records(lines: &[&str]) -> Vec<String> {
    let mut records: Vec<String> = Vec::new();
    let mut open = 0;
    for line in lines {
        match records.last_mut().filter(|record| record.matches('"').count() % 2 == 1 && open < 40)
        {
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

fn delimiter(lines: &[&str], records: &[String]) -> Option<(&'static str, bool)> {
    // The share of records with the usual number of fields, where that is at least two, and whether
    // the first record has it: tags in cells do not reach the header, but neither does a title
    // above it.
    let fits = |records: &mut dyn Iterator<Item = &str>, delimiter: &'static str, quoted: bool| {
        let widths: Vec<usize> =
            records.map(|record| cut(record, delimiter, quoted).len()).collect();
        let width = mode(widths.iter().copied()).filter(|&width| width > 1)?;
        // Lines above the header are few and do not count.
        let above = widths.iter().take(10).take_while(|&&w| w != width).count();
        let table = &widths[above..];
        let alike = table.iter().filter(|&&w| w == width).count() as f64 / table.len() as f64;
        (alike >= 0.9).then_some((alike, above == 0))
    };
    let found = |named: bool| {
        DELIMITERS.iter().find_map(|&delimiter| {
            let alike = |fit: Option<(f64, bool)>| {
                fit.filter(|&(_, first)| first == named).map(|(alike, _)| alike)
            };
            let quoted = alike(fits(&mut records.iter().map(String::as_str), delimiter, true));
            let plain = alike(fits(&mut lines.iter().copied(), delimiter, false));
            match (quoted, plain) {
                (Some(quoted), Some(plain)) if plain > quoted + 0.02 => Some((delimiter, false)),
                (Some(_), _) => Some((delimiter, true)),
                (None, Some(_)) => Some((delimiter, false)),
                (None, None) => None,
            }
        })
    };
    let found = found(true).or_else(|| found(false));
    // A table of one column, such as a list of ids, has no delimiter at all.
    found.or_else(|| {
        lines.iter().all(|line| !line.contains([',', ';', '\t'])).then_some((",", true))
    })
}

/// The fields of a record.
fn cut(record: &str, delimiter: &str, quoted: bool) -> Vec<String> {
    if !quoted || !record.contains('"') {
        return record.split(delimiter).map(str::to_owned).collect();
    }
    let (mut fields, mut field, mut inside) = (Vec::new(), String::new(), false);
    let mut rest = record;
    while let Some(c) = rest.chars().next() {
        if !inside && rest.starts_with(delimiter) {
            fields.push(std::mem::take(&mut field));
            rest = &rest[delimiter.len()..];
            continue;
        }
        if c == '"' && (inside || field.is_empty()) {
            inside = !inside;
        } else {
            field.push(c);
        }
        rest = &rest[c.len_utf8()..];
    }
    fields.push(field);
    fields
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
    let named = |cell: &String| {
        let cell = cell.trim();
        let mut moments = Detector::new();
        moments.add(cell);
        number(cell).is_none() && moments.finish(false).is_none() && cell.chars().count() <= 80
    };
    // A header may leave a name out (an index, a comma at the end), but not most of them.
    let filled = first.iter().filter(|cell| !cell.trim().is_empty()).count();
    if filled * 2 < first.len() || !first.iter().all(named) {
        return false;
    }
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
    if rest.is_empty() || first.iter().any(|cell| ROLES.iter().any(|&role| says(cell, role) >= 2)) {
        return true;
    }
    // Texts only: a header's words do not come again below it, and a number below one is no word.
    let column = |at: usize| rest.iter().map(move |record| record[at].trim());
    let differs =
        |at: usize, cell: &String| column(at).filter(|other| *other == cell.trim()).count() == 0;
    let measured = |at: usize| {
        let mut moments = Detector::new();
        column(at).for_each(|cell| moments.add(cell));
        moments.finish(false).is_some() || column(at).all(|cell| number(cell).is_some())
    };
    first.iter().enumerate().all(|(at, cell)| differs(at, cell)) && (0..first.len()).any(measured)
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
        ] {
            let found = of(text);
            assert_eq!((found.delimiter, found.header), (delimiter, header), "{text}");
        }
    }

    #[test]
    fn encodings_quotes_and_lines_before_the_header() {
        assert_eq!(of("a,b\nä,1\n").encoding, None);
        assert_eq!(dialect(b"a,b\n\xe4pfel,1\n", true).unwrap().encoding, Some("windows-1252"));
        let wide: Vec<u8> = "sku;x\n1;2\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(dialect(&wide, true).unwrap().encoding, Some("utf-16le"));
        assert!(!of("title\tn\n12\" record\t1\n7\" single\t2\n8\t4\n").quoted);
        let with_title =
            of("Export of 2024\nsku,client,when\n1,c,2024-01-01\n2,d,2024-01-02\n3,e,2024-01-03\n");
        assert_eq!(
            (with_title.skip_lines, with_title.header, with_title.delimiter),
            (1, true, ",")
        );
        assert!(of("a,b\n1,\"two\nlines\"\n2,x\n").quoted);
    }
}
