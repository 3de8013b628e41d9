//! What the text of a cell means: no value, a number, yes or no.

use super::error::{Fault, Reason, shown};
use super::rows::Row;
use std::{ops::Neg, str::FromStr};

/// How the cells of a section are written.
#[derive(Debug, Clone, Default)]
pub(super) struct CellRules {
    pub missing: Missing,
    pub decimal: Decimal,
}

impl CellRules {
    /// An optional cell: `None` where it is missing. What `parse` cannot read is missing as well,
    /// and noted in `unreadable`.
    pub fn optional<T>(
        &self,
        row: &Row,
        column: usize,
        unreadable: &mut Vec<Fault>,
        parse: impl Fn(&str) -> Result<T, Reason>,
    ) -> Option<T> {
        let text = match row.text(column) {
            Ok(text) => text,
            Err(fault) => {
                unreadable.push(fault);
                return None;
            }
        };
        if self.missing.holds(text) {
            return None;
        }
        parse(text).map_err(|reason| unreadable.push(Fault::at(column, reason))).ok()
    }

    /// A finite number in the notation of the section, with or without a currency.
    pub fn number(&self, text: &str) -> Result<f32, Reason> {
        let number = self.decimal.parse::<f32>(text).filter(|number| number.is_finite());
        number.ok_or_else(|| Reason::Number(shown(text)))
    }

    /// How many pieces a row tells of; below 0 where they came back.
    pub fn quantity(&self, text: &str) -> Result<f32, Reason> {
        let quantity = self.number(text)?;
        if quantity > MOST_PIECES { Err(Reason::Quantity(shown(text))) } else { Ok(quantity) }
    }

    /// A number of at least 0.
    pub fn price(&self, text: &str) -> Result<f32, Reason> {
        let price =
            self.decimal.parse::<f32>(text).filter(|price| price.is_finite() && *price >= 0.0);
        price.ok_or_else(|| Reason::Price(shown(text)))
    }
}

/// More pieces than anybody buys at once: such a number is a barcode or a date, and as a weight it
/// would outweigh the whole shop.
const MOST_PIECES: f32 = 1e6;

/// The texts that stand for "no value", beside the empty cell. Case does not count.
#[derive(Debug, Clone)]
pub(super) struct Missing {
    /// Lower case.
    spellings: Vec<String>,
    /// Whether a spelling begins with this byte, in either case: most cells are told apart by it
    /// alone.
    begins: [bool; 256],
    /// How many of `spellings` also count where the cell is a text of its own, a category or tags.
    in_texts: usize,
}

/// Nobody's value, in any column.
const NEVER_A_VALUE: [&str; 9] =
    ["null", "(null)", "<null>", "[null]", "nan", "<na>", "\\n", "n/a", "#n/a"];

/// Missing ids, numbers and times; as the value of a category each of them may be meant.
const NO_ID_OR_NUMBER: [&str; 18] = [
    "none", "na", "n.a.", "nil", "k.a.", "-", "--", "–", "—", ".", "?", "#value!", "#ref!",
    "#name?", "#num!", "#div/0!", "#null!", "#error!",
];

/// What a data frame writes for no time. Only so, because Nat is a name as well.
const NO_TIME: &str = "NaT";

/// Whether a cell has no value in an id, a number or a time by its usual spelling.
#[cfg(feature = "trainer")]
pub(crate) fn is_missing(cell: &str) -> bool {
    static USUAL: std::sync::LazyLock<Missing> = std::sync::LazyLock::new(Missing::default);
    USUAL.holds(cell)
}

impl Default for Missing {
    fn default() -> Self {
        Self::with(&[])
    }
}

impl Missing {
    /// The usual spellings and these.
    pub fn with(own: &[String]) -> Self {
        let in_texts: Vec<String> = own
            .iter()
            .map(|text| text.trim().to_lowercase())
            .chain(NEVER_A_VALUE.map(str::to_owned))
            .collect();
        let mut begins = [false; 256];
        let spellings: Vec<String> = in_texts
            .iter()
            .cloned()
            .chain(NO_ID_OR_NUMBER.map(str::to_owned))
            .filter(|s| !s.is_empty())
            .collect();
        for spelling in &spellings {
            let first = spelling.as_bytes()[0];
            begins[usize::from(first)] = true;
            begins[usize::from(first.to_ascii_uppercase())] = true;
            // A letter beyond ASCII may begin with another byte in upper case.
            (128..256).filter(|_| first >= 128).for_each(|byte| begins[byte] = true);
        }
        let in_texts = spellings.len() - NO_ID_OR_NUMBER.len();
        Self { spellings, begins, in_texts }
    }

    /// Whether an id, a number or a time is missing.
    pub fn holds(&self, cell: &str) -> bool {
        self.is_among(cell, self.spellings.len())
    }

    /// Whether a category or a list of tags is missing.
    pub fn holds_in_text(&self, cell: &str) -> bool {
        self.is_among(cell, self.in_texts)
    }

    fn is_among(&self, cell: &str, spellings: usize) -> bool {
        let Some(&first) = cell.as_bytes().first() else { return true };
        if !self.begins[usize::from(first)] && !is_blank(first) {
            return false;
        }
        let cell = cell.trim();
        let same =
            |spelling: &String| spelling.len() == cell.len() && spelling.eq_ignore_ascii_case(cell);
        let spellings = &self.spellings[..spellings];
        cell.is_empty()
            || cell == NO_TIME
            || spellings.iter().any(same)
            || !cell.is_ascii() && spellings.contains(&cell.to_lowercase())
    }
}

/// Whether a cell may begin or end with white space.
pub(super) fn is_blank(byte: u8) -> bool {
    byte <= b' ' || byte >= 128
}

/// How numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Decimal {
    /// `1234.5`; `1,234.56` as well, but not `1,234`, which may be 1.234.
    #[default]
    Point,
    /// `1234.5` and `1,234`: the description says that a point is meant.
    PointForSure,
    /// `1.234,56`
    Comma,
}

impl Decimal {
    /// The number of a text, without a currency before or behind it. A text that is no number gives
    /// `None`.
    pub fn parse<T: Real>(self, text: &str) -> Option<T> {
        match text.trim().parse() {
            // In `1.234` with a decimal comma the point groups thousands.
            Ok(number) if self != Self::Comma || !text.contains('.') => Some(number),
            _ => self.parse_signed(text.trim()),
        }
    }

    /// The sign stands before the currency or before the digits.
    fn parse_signed<T: Real>(self, text: &str) -> Option<T> {
        let (outer, text) = split_sign(text);
        let (inner, digits) = split_sign(without_currency(text));
        let number = self.parse_digits(digits)?;
        match (outer, inner) {
            (Sign::None, Sign::None) => Some(number),
            (Sign::None, sign) | (sign, Sign::None) => {
                Some(if sign == Sign::Minus { -number } else { number })
            }
            _ => None,
        }
    }

    fn parse_digits<T: Real>(self, text: &str) -> Option<T> {
        let (point, group) = if self == Self::Comma { (',', '.') } else { ('.', ',') };
        let (whole, fraction) = text.split_once(point).unwrap_or((text, ""));
        // Blanks and apostrophes group thousands in several countries, whatever the decimal sign
        // is.
        let groups: Vec<&str> =
            whole.split([group, ' ', '\u{a0}', '\u{202f}', '\'', '\u{2019}']).collect();
        let is_ambiguous = self == Self::Point
            && groups.len() == 2
            && fraction.is_empty()
            && whole.contains(group);
        if is_ambiguous || !are_groups(&groups) {
            return None;
        }
        let whole = groups.concat();
        let is_number =
            [&*whole, fraction].iter().all(|part| part.bytes().all(|b| b.is_ascii_digit()));
        if !is_number || whole.len() + fraction.len() == 0 {
            return None;
        }
        format!("0{whole}.{fraction}0").parse().ok()
    }
}

/// A kind of floating-point number.
pub(crate) trait Real: FromStr + Neg<Output = Self> {}

impl Real for f32 {}
impl Real for f64 {}

/// Whether digits are grouped as people group them: by three, or as in India the last three and
/// before them by two (`12,34,567`).
fn are_groups(groups: &[&str]) -> bool {
    let [first, between @ .., last] = groups else { return true };
    let between = |length| between.iter().all(|group| group.len() == length);
    last.len() == 3
        && (first.len() <= 3 && between(3) || first.len() <= 2 && groups.len() > 2 && between(2))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    None,
    Plus,
    Minus,
}

/// The sign of a number, and the text without it. Accountants put negative numbers in brackets, and
/// some programs put the minus behind the digits.
fn split_sign(text: &str) -> (Sign, &str) {
    const MINUS: [char; 2] = ['-', '\u{2212}'];
    let in_brackets = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    // In `5.-` the dash stands for no cents.
    let before =
        text.strip_suffix(MINUS).filter(|rest| rest.ends_with(|c: char| c.is_ascii_digit()));
    if let Some(rest) = in_brackets.or_else(|| text.strip_prefix(MINUS)) {
        (Sign::Minus, rest.trim())
    } else if let Some(rest) = text.strip_prefix('+') {
        (Sign::Plus, rest.trim_start())
    } else {
        before.map_or((Sign::None, text), |rest| (Sign::Minus, rest))
    }
}

/// A text without the sign or the code of a currency, as in `15.00 USD` and `€ 9,99`.
fn without_currency(text: &str) -> &str {
    let start = start_of_number(text);
    let before = text[..start].trim_end();
    if is_currency(before) {
        let rest = &text[start..];
        return if is_code_with_point(before, rest) { text } else { rest };
    }
    let end = text.rfind(|c: char| c.is_ascii_digit()).map_or(text.len(), |last| last + 1);
    // `5.-` is how a price without cents is written in Switzerland.
    if text[end..].is_empty()
        || is_currency(text[end..].trim())
        || [".-", ".–", ",-"].contains(&&text[end..])
    {
        return &text[..end];
    }
    text
}

/// Where the digits of a number or its sign begin. A point behind a letter ends an abbreviation:
/// `Rs.500` are 500 rupees, not half a one.
fn start_of_number(text: &str) -> usize {
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        let begins = c.is_ascii_digit() || "-+,\u{2212}".contains(c);
        if begins || c == '.' && !before.is_alphabetic() && before != '/' {
            return at;
        }
        before = c;
    }
    0
}

/// Whether a point stands between a code that takes none and digits without another, so that it may
/// belong to either: `USD.50`.
fn is_code_with_point(before: &str, digits: &str) -> bool {
    let code = before.strip_suffix('.').unwrap_or("");
    code.len() == 3
        && code.bytes().all(|b| b.is_ascii_uppercase())
        && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Abbreviations and words of currencies, in lower case and without a point at the end; the signs
/// are in [`SIGNS`].
const CURRENCIES: [&str; 76] = [
    "eur", "euro", "euros", "usd", "gbp", "chf", "sfr", "fr", "brl", "mxn", "cad", "aud", "nzd",
    "sek", "nok", "dkk", "isk", "kr", "pln", "zł", "zl", "czk", "kč", "huf", "ft", "ron", "lei",
    "bgn", "лв", "rub", "руб", "uah", "грн", "try", "tl", "ils", "nis", "inr", "rs", "re", "pkr",
    "lkr", "npr", "bdt", "tk", "idr", "rp", "myr", "rm", "sgd", "hkd", "twd", "nt", "php", "thb",
    "vnd", "jpy", "yen", "cny", "rmb", "krw", "zar", "kes", "ksh", "ngn", "egp", "aed", "sar",
    "clp", "cop", "ars", "pen", "s/", "uyu", "hrk", "din",
];

const SIGNS: &str = "$€£¥₹₽₩₺₴₫฿₦₱₪¢";

/// Whether a text is the sign, the code or the abbreviation of a currency, or of a unit such as
/// `kg` and `pcs`.
fn is_currency(text: &str) -> bool {
    let name = text.trim_end_matches('.');
    let is_code = (2..=3).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphabetic());
    let is_sign = text.chars().count() <= 3 && text.chars().any(|c| SIGNS.contains(c));
    is_code || is_sign || CURRENCIES.contains(&name.to_lowercase().as_str())
}

/// The number of a cell in any notation that an import reads. Letters beside it must be those of a
/// currency: nobody said yet that the column holds numbers, and `AB12` is an article.
#[cfg(feature = "trainer")]
pub(crate) fn number_in_any_notation(cell: &str) -> Option<f64> {
    let cell = cell.trim();
    if !cell.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    if let Ok(number) = cell.parse::<f64>() {
        return Some(number).filter(|number| number.is_finite());
    }
    let letters: String = cell.chars().filter(|c| c.is_alphabetic() || *c == '/').collect();
    let beside = letters.to_lowercase();
    if !(letters.is_empty() || CURRENCIES.contains(&beside.as_str()) || is_dollar(cell, &beside)) {
        return None;
    }
    [Decimal::Comma, Decimal::PointForSure].into_iter().find_map(|decimal| decimal.parse(cell))
}

/// Whether letters belong to a dollar or real sign: `R$`, `US$`.
#[cfg(feature = "trainer")]
fn is_dollar(cell: &str, letters: &str) -> bool {
    letters.len() <= 2 && cell.to_lowercase().contains(&format!("{letters}$"))
}

/// A sales channel.
pub(super) fn channel(text: &str) -> Result<u8, Reason> {
    text.trim().parse().map_err(|_| Reason::Channel(shown(text)))
}

/// Whether an article can be bought: 1 or 0, from a word or the number in stock.
pub(super) fn availability(text: &str) -> Result<f32, Reason> {
    let word = text.trim().to_lowercase().replace([' ', '_', '-'], "");
    match word.as_str() {
        "true" | "t" | "yes" | "y" | "available" | "instock" | "active" | "published"
        | "onbackorder" => Ok(1.0),
        "false" | "f" | "no" | "n" | "unavailable" | "outofstock" | "soldout" | "inactive"
        | "archived" | "draft" | "discontinued" => Ok(0.0),
        number => match number.parse::<f64>() {
            Ok(stock) if stock.is_finite() => Ok(if stock > 0.0 { 1.0 } else { 0.0 }),
            _ => Err(Reason::Availability(shown(text))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_values_are_known_by_their_spelling() {
        let missing = Missing::with(&["unknown".to_owned(), "Été".to_owned()]);
        for cell in [
            "", " ", "NULL", "null", " NaN ", "\\N", "N/A", "None", "NA", "nil", "-", "UNKNOWN",
            "été", "ÉTÉ", "(null)", "<NULL>", "<NA>", "n.a.", "k.A.", "?", ".", "—", "–", "#REF!",
            "#DIV/0!", "NaT",
        ] {
            assert!(missing.holds(cell), "{cell}");
        }
        for cell in ["0", "Nan Goldin", "-1", "unknown soldier", "Nantes", "é", "Nat", "#1"] {
            assert!(!missing.holds(cell), "{cell}");
        }
        // What may well be the value of a category stays one, unless the description says
        // otherwise.
        for cell in ["None", "NA", "nil", "-", "—", "?", "#REF!"] {
            assert!(!missing.holds_in_text(cell), "{cell}");
        }
        assert!(
            missing.holds_in_text("NULL")
                && missing.holds_in_text("unknown")
                && missing.holds_in_text("  ")
        );
    }

    #[test]
    fn numbers_are_read_in_the_notation_of_the_shop() {
        let cases: &[(Decimal, &str, Option<f32>)] = &[
            (Decimal::Point, "19.99", Some(19.99)),
            (Decimal::Point, " 1e3 ", Some(1e3)),
            (Decimal::Point, "15.00 USD", Some(15.0)),
            (Decimal::Point, "USD 15", Some(15.0)),
            (Decimal::Point, "$1,234.50", Some(1234.5)),
            (Decimal::Point, "-$5", Some(-5.0)),
            (Decimal::Point, "1,234,567", Some(1_234_567.0)),
            (Decimal::Point, "1 234.5", Some(1234.5)),
            (Decimal::Point, "12'345.67 CHF", Some(12_345.67)),
            (Decimal::Point, "1,234", None),
            (Decimal::PointForSure, "1,234", Some(1234.0)),
            (Decimal::Point, "9,99", None),
            (Decimal::Point, "1,23,4.5", None),
            (Decimal::Comma, "9,99", Some(9.99)),
            (Decimal::Comma, "€ 9,99", Some(9.99)),
            (Decimal::Comma, "1.234,56 €", Some(1234.56)),
            (Decimal::Comma, "1.234", Some(1234.0)),
            (Decimal::Comma, "12 zł", Some(12.0)),
            (Decimal::Comma, "-3,5", Some(-3.5)),
            (Decimal::Comma, "1.23", None),
            (Decimal::Point, "Rs.500", Some(500.0)),
            (Decimal::Point, "-Rs.1442.25", Some(-1442.25)),
            (Decimal::Point, "Rs. 1,42,500.00", Some(142_500.0)),
            (Decimal::Point, "Fr. 1’442.25", Some(1442.25)),
            (Decimal::Point, "S/. 12.50", Some(12.5)),
            (Decimal::Point, "USD 0.50", Some(0.5)),
            (Decimal::Point, "$.50", Some(0.5)),
            (Decimal::Point, "USD.50", None),
            (Decimal::Comma, "kr. 1442,25", Some(1442.25)),
            (Decimal::Comma, "1 442,25 kr.", Some(1442.25)),
            (Decimal::Comma, "12,50 Euro", Some(12.5)),
            (Decimal::Point, "(2)", Some(-2.0)),
            (Decimal::Point, "($5.00)", Some(-5.0)),
            (Decimal::Point, "2-", Some(-2.0)),
            (Decimal::Point, "5.-", Some(5.0)),
            (Decimal::Point, "(-2)", None),
            (Decimal::Point, "—", None),
            (Decimal::Point, "on request", None),
            (Decimal::Point, "5 apples", None),
            (Decimal::Point, "USD", None),
            (Decimal::Point, "--3", None),
            (Decimal::Point, "1.2.3", None),
            (Decimal::Point, "", None),
        ];
        for &(decimal, text, expected) in cases {
            assert_eq!(decimal.parse(text), expected, "{decimal:?} {text}");
        }
    }

    #[test]
    #[cfg(feature = "trainer")]
    fn numbers_are_told_from_ids_and_names() {
        for (cell, expected) in [
            ("1.234,56", Some(1234.56)),
            ("9,99", Some(9.99)),
            ("€ 9,99", Some(9.99)),
            ("15.00 USD", Some(15.0)),
            ("R$ 5,00", Some(5.0)),
            ("US$5.00", Some(5.0)),
            ("CHF 1'442.25", Some(1442.25)),
            ("1\u{a0}442,25 kr", Some(1442.25)),
            ("Rs.500", Some(500.0)),
            ("(5.00)", Some(-5.0)),
            ("1.249.900", Some(1_249_900.0)),
            ("SKU-1", None),
            ("AB12", None),
            ("col1", None),
            ("12 kg", None),
            ("12 Monkeys", None),
            ("nan", None),
            ("1e999", None),
        ] {
            assert_eq!(number_in_any_notation(cell), expected, "{cell}");
        }
    }

    #[test]
    fn nobody_needs_more_than_a_million_pieces() {
        let rules = CellRules::default();
        assert_eq!((rules.quantity("3"), rules.quantity("(2)")), (Ok(3.0), Ok(-2.0)));
        assert!(rules.quantity("100000000000").is_err());
    }

    #[test]
    fn availability_is_a_word_or_a_stock() {
        for (text, expected) in
            [("In stock", 1.0), ("out_of_stock", 0.0), ("TRUE", 1.0), ("12", 1.0), ("0", 0.0)]
        {
            assert_eq!(availability(text), Ok(expected), "{text}");
        }
        assert!(availability("perhaps").is_err());
    }
}
