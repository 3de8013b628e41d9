//! What a deserialiser says of wrong input, in the words of whoever wrote it.

/// What was found where something else was expected.
#[derive(Debug, PartialEq)]
pub enum Expected {
    /// `must be …, not …`
    Other {
        wanted: String,
        found: String,
    },
    UnknownKey {
        key: String,
        known: String,
    },
    UnknownValue {
        value: String,
        known: String,
    },
    Missing(String),
    Twice(String),
}

impl Expected {
    /// Reads a message of serde; `None` for one that already is in plain words.
    pub fn read(message: &str) -> Option<Self> {
        let either = ["invalid type: ", "invalid value: ", "invalid length "];
        if let Some(rest) = either.iter().find_map(|start| message.strip_prefix(start)) {
            let (found, wanted) = rest.rsplit_once(", expected ")?;
            return Some(Self::Other {
                wanted: expectation(wanted).into(),
                found: found_words(found),
            });
        }
        let named = |start: &str| {
            let (name, rest) = message.strip_prefix(start)?.strip_prefix('`')?.split_once('`')?;
            Some((name.to_owned(), rest))
        };
        let known = |rest: &str| {
            let rest = rest
                .trim_start_matches(", ")
                .trim_start_matches("expected ")
                .trim_start_matches("one of ");
            if rest.starts_with("there are no") { String::new() } else { rest.to_owned() }
        };
        if let Some((key, rest)) = named("unknown field ") {
            return Some(Self::UnknownKey { key, known: known(rest) });
        }
        if let Some((value, rest)) = named("unknown variant ") {
            return Some(Self::UnknownValue { value, known: known(rest) });
        }
        if let Some((key, _)) = named("missing field ") {
            return Some(Self::Missing(key));
        }
        named("duplicate field ").map(|(key, _)| Self::Twice(key))
    }
}

/// A type of the program as the writer of a value knows it.
pub fn expectation(wanted: &str) -> &str {
    match wanted {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or above",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" | "bool" => "true or false",
        "a string" | "str" | "a borrowed string" | "path string" => "a text",
        "a sequence" => "a list",
        "a map" => "an object",
        wanted if wanted.starts_with("struct ") => "an object",
        wanted => wanted,
    }
}

fn found_words(found: &str) -> String {
    let value = |text: &str| text.trim_matches('`').to_owned();
    match found.split_once(' ') {
        Some(("integer" | "boolean", text)) => value(text),
        Some(("floating", text)) => value(text.trim_start_matches("point ")),
        Some(("string", text)) => format!("the text {text}"),
        _ => match found {
            "map" => "an object".into(),
            "sequence" => "a list".into(),
            "unit value" => "null".into(),
            other => other.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    fn read<'de, T: Deserialize<'de> + std::fmt::Debug>(json: &'de str) -> Expected {
        let message = serde_json::from_str::<T>(json).unwrap_err().to_string();
        let message = message.split(" at line ").next().unwrap();
        Expected::read(message).unwrap_or_else(|| panic!("{message}"))
    }

    #[test]
    fn no_type_of_the_program_is_named() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Strict {
            #[allow(dead_code, reason = "only its name counts")]
            k: u8,
        }
        let other = |wanted: &str, found: &str| Expected::Other {
            wanted: wanted.into(),
            found: found.into(),
        };
        assert_eq!(read::<usize>("-1"), other("a whole number, 0 or above", "-1"));
        assert_eq!(read::<u64>("1.5"), other("a whole number, 0 or above", "1.5"));
        assert_eq!(
            read::<usize>("\"a, expected b\""),
            other("a whole number, 0 or above", "the text \"a, expected b\"")
        );
        assert_eq!(read::<bool>("null"), other("true or false", "null"));
        assert_eq!(read::<Vec<u8>>("{}"), other("a list", "an object"));
        assert_eq!(read::<String>("[]"), other("a text", "a list"));
        assert_eq!(read::<BTreeMap<String, u8>>("true"), other("an object", "true"));
        assert_eq!(read::<Strict>("7"), other("an object", "7"));
        assert_eq!(
            read::<Strict>("{\"l\": 1}"),
            Expected::UnknownKey { key: "l".into(), known: "`k`".into() }
        );
        assert_eq!(read::<Strict>("{}"), Expected::Missing("k".into()));
        assert_eq!(read::<Strict>("{\"k\": 1, \"k\": 2}"), Expected::Twice("k".into()));
    }
}
