//! Names of months in other languages than English.

/// The names and abbreviations of each month in Dutch, English, French, German, Italian, Portuguese
/// and Spanish, in lower case.
const NAMES: [&[&str]; 12] = [
    &[
        "january", "januar", "jänner", "janvier", "enero", "gennaio", "januari", "janeiro", "jan",
        "jän", "janv", "ene", "gen",
    ],
    &[
        "february",
        "februar",
        "février",
        "fevrier",
        "febrero",
        "febbraio",
        "februari",
        "fevereiro",
        "feb",
        "févr",
        "fév",
        "fevr",
        "fev",
    ],
    &[
        "march", "märz", "maerz", "mars", "marzo", "maart", "março", "marco", "mar", "mär", "mrz",
        "mrt",
    ],
    &["april", "avril", "abril", "aprile", "apr", "avr", "abr"],
    &["may", "mai", "mayo", "maggio", "mei", "maio", "mag"],
    &["june", "juni", "juin", "junio", "giugno", "junho", "jun", "giu"],
    &["july", "juli", "juillet", "julio", "luglio", "julho", "jul", "juil", "lug"],
    &["august", "août", "aout", "agosto", "augustus", "aug", "ago"],
    &["september", "septembre", "septiembre", "settembre", "setembro", "sep", "sept", "set"],
    &["october", "oktober", "octobre", "octubre", "ottobre", "outubro", "oct", "okt", "ott", "out"],
    &["november", "novembre", "noviembre", "novembro", "nov"],
    &[
        "december",
        "dezember",
        "décembre",
        "decembre",
        "diciembre",
        "dicembre",
        "dezembro",
        "dec",
        "dez",
        "déc",
        "dic",
    ],
];
const ENGLISH: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The month that a word names, from 0.
pub(in crate::dataset) fn month_of(word: &str) -> Option<usize> {
    let word = word.to_lowercase();
    NAMES.iter().position(|names| names.contains(&word.as_str()))
}

/// The text with the name of its month in English, as `%B` (or else `%b`) reads it; a dot behind an
/// abbreviation, and what French writes behind the first of a month, are left out. `None` for a
/// text without a month's name, or with an English one.
pub(super) fn in_english(text: &str, long: bool) -> Option<String> {
    let words = text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
    let (word, month) = words.filter_map(|word| Some((word, month_of(word)?))).next()?;
    let (before, behind) = text.split_once(word)?;
    // Each pattern reads its own English names, so that the two are told apart.
    let english = [ENGLISH[month], &ENGLISH[month][..3]];
    if english.iter().any(|name| name.eq_ignore_ascii_case(word)) && !behind.starts_with('.') {
        return None;
    }
    let before = match before.strip_suffix("1er ") {
        Some(start) => format!("{start}1 "),
        None => before.to_owned(),
    };
    let behind = behind.strip_prefix('.').unwrap_or(behind);
    let name = if long { ENGLISH[month] } else { &ENGLISH[month][..3] };
    Some(format!("{before}{name}{behind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_put_into_english() {
        for (text, long, expected) in [
            ("1. März 2024", true, Some("1. March 2024")),
            ("1er août 2024", true, Some("1 August 2024")),
            ("12 janv. 2024 10:05", false, Some("12 Jan 2024 10:05")),
            ("2 de AGOSTO de 2024", true, Some("2 de August de 2024")),
            ("3 Sept. 2024", false, Some("3 Sep 2024")),
            ("Montag, 5. Mai 2025", true, Some("Montag, 5. May 2025")),
            ("3 Jan. 2024", true, Some("3 January 2024")),
            ("3 Jan 2024", true, None),
            ("January 3, 2024", false, None),
            ("22.09.2020", true, None),
            ("1 Brumaire 8", true, None),
        ] {
            assert_eq!(in_english(text, long).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_word_names_one_month() {
        let words: Vec<&str> = NAMES.iter().flat_map(|names| names.iter().copied()).collect();
        for (month, names) in NAMES.iter().enumerate() {
            for name in *names {
                assert_eq!(month_of(name), Some(month), "{name}");
                assert_eq!(words.iter().filter(|word| word == &name).count(), 1, "{name}");
            }
        }
    }
}
