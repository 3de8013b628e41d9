//! What the text of a cell means: no value, a number, yes or no.

use super::error::{Fault, Reason, shown};
use super::rows::Row;

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
        let number = self.decimal.parse(text).filter(|number| number.is_finite());
        number.ok_or_else(|| Reason::Number(shown(text)))
    }

    /// A number of at least 0.
    pub fn price(&self, text: &str) -> Result<f32, Reason> {
        let price = self.decimal.parse(text).filter(|price| price.is_finite() && *price >= 0.0);
        price.ok_or_else(|| Reason::Price(shown(text)))
    }
}

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
const NEVER_A_VALUE: [&str; 5] = ["null", "nan", "\\n", "n/a", "#n/a"];

/// Missing ids, numbers and times; as the value of a category each of them may be meant.
const NO_ID_OR_NUMBER: [&str; 6] = ["none", "na", "nil", "-", "--", "#value!"];

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
pub(super) enum Decimal {
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
    pub fn parse(self, text: &str) -> Option<f32> {
        match text.trim().parse() {
            // In `1.234` with a decimal comma the point groups thousands.
            Ok(number) if self != Self::Comma || !text.contains('.') => Some(number),
            _ => self.parse_signed(text.trim()),
        }
    }

    /// The sign stands before the currency or before the digits.
    fn parse_signed(self, text: &str) -> Option<f32> {
        let (outer, text) = split_sign(text);
        let (inner, digits) = split_sign(without_currency(text));
        match (outer, inner) {
            (Some(_), Some(_)) => None,
            (None, None) => self.parse_digits(digits),
            _ => self.parse_digits(digits).map(|number| number * outer.or(inner).unwrap_or(1.0)),
        }
    }

    fn parse_digits(self, text: &str) -> Option<f32> {
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
        let is_grouped = groups[0].len() <= 3 && groups[1..].iter().all(|group| group.len() == 3);
        if is_ambiguous || groups.len() > 1 && !is_grouped {
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

/// The sign of a number, if it has one, and what stands behind it.
fn split_sign(text: &str) -> (Option<f32>, &str) {
    match text.strip_prefix(['-', '\u{2212}']) {
        Some(rest) => (Some(-1.0), rest.trim_start()),
        None => text.strip_prefix('+').map_or((None, text), |rest| (Some(1.0), rest.trim_start())),
    }
}

/// A text without the sign or the code of a currency, as in `15.00 USD` and `€ 9,99`.
fn without_currency(text: &str) -> &str {
    let begins_number = |c: char| c.is_ascii_digit() || "-+.,\u{2212}".contains(c);
    let start = text.find(begins_number).unwrap_or(0);
    if is_currency(text[..start].trim_end()) {
        return &text[start..];
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

/// Whether a text is the sign, the code or the abbreviation of a currency.
fn is_currency(text: &str) -> bool {
    let name = text.trim_end_matches('.');
    let is_code = (2..=3).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphabetic());
    let is_sign = text.chars().count() <= 3 && text.chars().any(|c| "$€£¥₹₽₩₺₴₫฿₦₱₪¢".contains(c));
    is_code || is_sign || ["zł", "Kč", "лв", "руб"].contains(&name)
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
            "été", "ÉTÉ",
        ] {
            assert!(missing.holds(cell), "{cell}");
        }
        for cell in ["0", "Nan Goldin", "-1", "unknown soldier", "Nantes", "é"] {
            assert!(!missing.holds(cell), "{cell}");
        }
        // What may well be the value of a category stays one, unless the description says
        // otherwise.
        for cell in ["None", "NA", "nil", "-"] {
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
    fn availability_is_a_word_or_a_stock() {
        for (text, expected) in
            [("In stock", 1.0), ("out_of_stock", 0.0), ("TRUE", 1.0), ("12", 1.0), ("0", 0.0)]
        {
            assert_eq!(availability(text), Ok(expected), "{text}");
        }
        assert!(availability("perhaps").is_err());
    }
}
