//! `where`: which rows count.

use crate::dataset::import::{block::LIST_END, values::CellRules};
use std::cmp::Ordering;
use toml::Value;

/// What a cell must be for its row to count.
#[derive(Debug, Clone)]
pub(in crate::dataset::import) struct Condition {
    pub column: String,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    /// One of these values.
    Any(Vec<Scalar>),
    All(Vec<Test>),
    Not(Box<Test>),
    Exists(bool),
    Compare {
        accepts: &'static [Ordering],
        with: Scalar,
    },
}

#[derive(Debug, Clone)]
enum Scalar {
    Text(String),
    /// What the text begins with.
    Prefix(String),
    Number(f64),
}

impl Condition {
    /// Reads `column = value`: a value, a list of values, or `{ min, max, above, below, not, exists
    /// }`.
    ///
    /// # Errors
    /// What is wrong with the value.
    pub fn parse(column: &str, value: &Value) -> Result<Self, String> {
        let test =
            Test::parse(value).map_err(|why| format!("`where` of the column `{column}`: {why}"))?;
        Ok(Self { column: column.to_owned(), test })
    }

    pub fn holds(&self, cell: &str, rules: &CellRules) -> bool {
        let cell = cell.trim();
        self.test.holds(if rules.missing.holds_in_text(cell) { None } else { Some(cell) }, rules)
    }
}

impl Test {
    fn parse(value: &Value) -> Result<Self, String> {
        match value {
            Value::Table(table) if !table.is_empty() => table
                .iter()
                .map(|(key, value)| Self::parse_key(key, value))
                .collect::<Result<_, _>>()
                .map(Self::All),
            value => scalars(value).map(Self::Any),
        }
    }

    fn parse_key(key: &str, value: &Value) -> Result<Self, String> {
        let compare = |accepts| Scalar::parse(value).map(|with| Self::Compare { accepts, with });
        match key {
            "min" => compare(&[Ordering::Greater, Ordering::Equal]),
            "max" => compare(&[Ordering::Less, Ordering::Equal]),
            "above" => compare(&[Ordering::Greater]),
            "below" => compare(&[Ordering::Less]),
            "not" => scalars(value).map(|values| Self::Not(Box::new(Self::Any(values)))),
            "exists" => value
                .as_bool()
                .map(Self::Exists)
                .ok_or_else(|| "`exists` is true or false".to_owned()),
            other => Err(format!("`{other}` is not one of min, max, above, below, not, exists")),
        }
    }

    /// `cell` is `None` where it is missing.
    fn holds(&self, cell: Option<&str>, rules: &CellRules) -> bool {
        match self {
            Self::All(tests) => tests.iter().all(|test| test.holds(cell, rules)),
            Self::Not(test) => !test.holds(cell, rules),
            Self::Exists(wanted) => cell.is_some() == *wanted,
            Self::Any(values) => cell.is_some_and(|cell| {
                elements(cell).any(|element| values.iter().any(|value| value.is(element, rules)))
            }),
            Self::Compare { accepts, with } => cell
                .and_then(|cell| with.order_of(cell, rules))
                .is_some_and(|order| accepts.contains(&order)),
        }
    }
}

/// The elements of a list, or the one value of another cell.
fn elements(cell: &str) -> impl Iterator<Item = &str> {
    cell.trim_end_matches(LIST_END as char).split(LIST_END as char)
}

fn scalars(value: &Value) -> Result<Vec<Scalar>, String> {
    match value {
        Value::Array(values) => values.iter().map(Scalar::parse).collect(),
        value => Ok(vec![Scalar::parse(value)?]),
    }
}

impl Scalar {
    fn parse(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Ok(match text.strip_suffix('*') {
                Some(prefix) => Self::Prefix(prefix.to_owned()),
                None => Self::Text(text.clone()),
            }),
            Value::Integer(number) => Ok(Self::Number(*number as f64)),
            Value::Float(number) => Ok(Self::Number(*number)),
            Value::Boolean(value) => Ok(Self::Text(value.to_string())),
            Value::Datetime(moment) => Ok(Self::Text(moment.to_string())),
            _ => Err("a value is a text, a number, or true or false".to_owned()),
        }
    }

    fn is(&self, cell: &str, rules: &CellRules) -> bool {
        match self {
            // Data frames write True where others write true.
            Self::Text(text) if text == "true" || text == "false" => {
                cell.eq_ignore_ascii_case(text)
            }
            Self::Text(text) => cell == text,
            Self::Prefix(prefix) => cell.starts_with(prefix.as_str()),
            Self::Number(number) => number_of(cell, rules) == Some(*number),
        }
    }

    /// How a cell is ordered to this value; `None` for a cell that is no number where this is one.
    fn order_of(&self, cell: &str, rules: &CellRules) -> Option<Ordering> {
        match self {
            Self::Number(number) => number_of(cell, rules)?.partial_cmp(number),
            Self::Text(text) | Self::Prefix(text) => Some(cell.cmp(text)),
        }
    }
}

fn number_of(cell: &str, rules: &CellRules) -> Option<f64> {
    rules.decimal.parse(cell)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(condition: &str, cell: &str) -> bool {
        let table: toml::Table = format!("c = {condition}").parse().unwrap();
        Condition::parse("c", &table["c"]).unwrap().holds(cell, &CellRules::default())
    }

    #[test]
    fn conditions_hold_for_the_cells_they_mean() {
        for (condition, yes, no) in [
            ("\"sale\"", &["sale", " sale "][..], &["Sale", "sales", ""][..]),
            ("[\"sale\", \"cart\"]", &["sale", "cart"], &["view", ""]),
            ("\"C*\"", &["C5", "C"], &["5C", ""]),
            ("{ not = \"C*\" }", &["536365", "", "c1"], &["C536365"]),
            ("{ not = [1, 2] }", &["3", "x"], &["1", "2.0"]),
            ("{ above = 0 }", &["1", "0.5", "3 EUR"], &["0", "-1", "(2)", "", "many"]),
            ("{ min = 1, max = 5 }", &["1", "5", "2.5"], &["0.99", "6", ""]),
            ("{ below = \"2024-02-01\" }", &["2024-01-31 10:00"], &["2024-02-01", ""]),
            ("{ exists = true }", &["x", "0"], &["", " ", "NULL"]),
            ("{ exists = false }", &["", "null"], &["x"]),
            ("true", &["true", "True", "TRUE"], &["false", "1"]),
            ("5", &["5", "5.0"], &["50", "five"]),
            ("\"b\"", &["a\u{1f}b\u{1f}", "b\u{1f}"], &["a\u{1f}", "ab\u{1f}"]),
        ] {
            yes.iter().for_each(|cell| assert!(holds(condition, cell), "{condition}: {cell:?}"));
            no.iter().for_each(|cell| assert!(!holds(condition, cell), "{condition}: {cell:?}"));
        }
    }

    #[test]
    fn wrong_conditions_are_refused() {
        for (condition, says) in [
            ("{ over = 5 }", "`over`"),
            ("{ exists = 1 }", "true or false"),
            ("[[1]]", "a value is"),
        ] {
            let table: toml::Table = format!("c = {condition}").parse().unwrap();
            let error = Condition::parse("c", &table["c"]).unwrap_err();
            assert!(error.contains("column `c`") && error.contains(says), "{error}");
        }
    }
}
