//! What all blocks of a file share: its name, its columns, and what to say of a column that is not
//! there.

use super::dialect::Dialect;
use super::error::{DatasetError, FileName, Numbering, shortened};

/// What all blocks of a file share.
#[derive(Debug)]
pub(super) struct Layout {
    pub file: FileName,
    pub columns: Vec<String>,
    /// The columns whose cells hold lists; only JSON and typed files have any.
    pub lists: Vec<usize>,
    /// Columns of floating-point numbers, and up to where each holds whole numbers exactly.
    pub inexact: Vec<(usize, f64)>,
    /// Values of the last columns, which are the same in every row; the file does not hold them.
    pub constants: Vec<String>,
    pub dialect: Dialect,
    pub numbering: Numbering,
    pub names: Names,
}

/// Where the names of the columns come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// A line of a text file.
    Header { line: u64 },
    /// The description, for a file without a header.
    Description,
    /// The schema of a typed file.
    Schema,
    /// The keys of JSON objects.
    Keys,
    /// The first row of a sheet.
    Sheet,
}

impl Layout {
    pub fn new(file: FileName, columns: Vec<String>, names: Names) -> Self {
        let numbering = match names {
            Names::Header { .. } | Names::Description | Names::Keys => Numbering::Line,
            Names::Schema | Names::Sheet => Numbering::Row,
        };
        Self {
            file,
            columns,
            lists: Vec::new(),
            inexact: Vec::new(),
            constants: Vec::new(),
            dialect: Dialect::new(",", Some(b'"')),
            numbering,
            names,
        }
    }

    /// Adds columns with one value each, unless the file has a column of that name.
    pub fn with_partition(mut self, partition: &[(String, String)]) -> Self {
        for (column, value) in partition {
            if !self.columns.contains(column) {
                self.columns.push(column.clone());
                self.constants.push(value.clone());
            }
        }
        self
    }

    /// How many columns the file itself has.
    pub fn width(&self) -> usize {
        self.columns.len() - self.constants.len()
    }

    /// How many columns it has without those at the end of the header that have no name.
    pub fn named_width(&self) -> usize {
        let own = &self.columns[..self.width()];
        let unnamed = own.iter().rev().take_while(|name| name.trim().is_empty()).count();
        own.len() - unnamed
    }

    /// The index of a column.
    ///
    /// # Errors
    /// A column that is not there, or there twice.
    pub fn column(&self, name: &str) -> Result<usize, DatasetError> {
        let mut found = (0..self.columns.len()).filter(|&i| self.columns[i] == name);
        match (found.next(), found.next()) {
            (Some(column), None) => Ok(column),
            (Some(_), Some(_)) => Err(DatasetError::Header {
                file: self.file.clone(),
                column: name.to_owned(),
                detail: "the header names this column twice; rename one of them, or leave the column out with `keep`"
                    .to_owned(),
            }),
            (None, _) => Err(self.missing(name)),
        }
    }

    /// The error for a column that is not there.
    pub fn missing(&self, name: &str) -> DatasetError {
        let place = match self.names {
            Names::Header { line } => format!("line {line}, "),
            _ => String::new(),
        };
        let (file, column) = (self.file.clone(), name.to_owned());
        DatasetError::MissingColumn { file, place, column, found: self.found() }
    }

    /// What the file has instead of a column that is not there, and what to do about it.
    fn found(&self) -> String {
        let names = || {
            let names: Vec<String> = self.columns.iter().map(|name| shortened(name, 40)).collect();
            shortened(&names.join(", "), 600)
        };
        match self.names {
            Names::Header { .. } => {
                self.found_in_header().unwrap_or_else(|| format!("the header has {}", names()))
            }
            Names::Description => {
                format!("the columns are {}, as `columns` names them or counted from 1", names())
            }
            Names::Schema => format!("the file has {}", names()),
            Names::Keys => format!("the objects have the keys {}", names()),
            Names::Sheet => format!("the first row of the sheet has {}", names()),
        }
    }

    /// The delimiter as a message shows it.
    fn delimiter(&self) -> String {
        match &self.dialect.delimiter[..] {
            b"\t" => "tabs".to_owned(),
            other => format!("`{}`", String::from_utf8_lossy(other)),
        }
    }

    /// What is wrong with a header that is none. The line may be about a person, so its text is not
    /// shown.
    fn found_in_header(&self) -> Option<String> {
        let header = &self.columns[..self.width()];
        if header.first().is_some_and(|name| name.trim_start().starts_with(['{', '['])) {
            return Some("the file looks like JSON; say `format = \"json\"`".to_owned());
        }
        if let [only] = header
            && let Some((name, delimiter)) = other_delimiter(only)
        {
            return Some(format!(
                "the whole header is one column; its names seem to be separated by {name}, not by {}: \
                     say `delimiter = \"{delimiter}\"`, or change the file",
                self.delimiter()
            ));
        }
        if !header.iter().any(|name| is_data(name)) {
            return None;
        }
        let shapes: Vec<String> = header.iter().take(8).map(|name| shape(name)).collect();
        let more = if header.len() > 8 { ", …" } else { "" };
        Some(format!(
            "the first line looks like data, not like a header ({}{more}); if the file has no header, say \
             `header = false` and name its columns with `columns = [\"…\", …]`",
            shapes.join(", ")
        ))
    }
}

/// A delimiter that a header of one column seems to have: what to call it, and how to write it.
fn other_delimiter(header: &str) -> Option<(&'static str, &'static str)> {
    [
        ("\t", "tabs", "\\t"),
        (";", "semicolons", ";"),
        ("|", "vertical bars", "|"),
        ("::", "two colons", "::"),
        (",", "commas", ","),
        (" ", "spaces", " "),
    ]
    .into_iter()
    .find(|(delimiter, ..)| header.trim().contains(delimiter))
    .map(|(_, name, written)| (name, written))
}

/// Whether a cell of a header can be no name: a number, a date, an address, a text of many words.
fn is_data(name: &str) -> bool {
    let name = name.trim();
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    let is_date = name.starts_with(|c: char| c.is_ascii_digit())
        && digits >= 4
        && name.contains(['-', '/', ':', '.']);
    name.parse::<f64>().is_ok() || is_date || name.contains('@') || name.chars().count() > 80
}

/// A cell as a message may show it.
fn shape(cell: &str) -> String {
    match cell.trim().parse::<f64>() {
        Ok(_) => "a number".to_owned(),
        Err(_) if cell.is_empty() => "nothing".to_owned(),
        Err(_) => format!("{} characters", cell.chars().count()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(columns: &[&str]) -> String {
        let columns = columns.iter().map(|name| (*name).to_owned()).collect();
        let layout =
            Layout::new(std::path::Path::new("f.csv").into(), columns, Names::Header { line: 1 });
        layout.column("customer").expect_err("not there").to_string()
    }

    #[test]
    fn a_header_that_is_none_is_told_without_its_text() {
        let text = message(&["4711", "jane.roe@example.org", "2024-05-01 10:00", "Berlin"]);
        assert!(text.contains("a number, 20 characters, 16 characters, 6 characters"), "{text}");
        assert!(
            text.contains("header = false") && !text.contains("jane") && !text.contains("Berlin"),
            "{text}"
        );
        for header in
            [["{\"name\": \"Jane Roe\"}"].as_slice(), &["{\"name\": \"Jane Roe\"", " \"age\": 41}"]]
        {
            let text = message(header);
            assert!(text.contains("format = \"json\"") && !text.contains("Jane"), "{text}");
        }
    }

    #[test]
    fn a_header_of_one_column_names_the_delimiter() {
        for (header, says) in [
            ("customer_id;article", "semicolons, not by `,`: say `delimiter = \";\"`"),
            ("customer_id\tarticle", "tabs, not by `,`: say `delimiter = \"\\t\"`"),
            ("customer_id::article", "two colons"),
            ("user_id:token item_id:token", "spaces"),
        ] {
            let text = message(&[header]);
            assert!(text.contains(says), "{text}");
        }
        assert!(message(&["id", "Variant Price"]).ends_with("the header has id, Variant Price"));
    }

    #[test]
    fn a_column_named_twice_is_a_fault_when_it_is_read() {
        let columns = ["a", "b", "a"].map(str::to_owned).to_vec();
        let layout =
            Layout::new(std::path::Path::new("f.csv").into(), columns, Names::Header { line: 1 });
        assert_eq!(layout.column("b").unwrap(), 1);
        assert!(layout.column("a").unwrap_err().to_string().contains("names this column twice"));
    }

    #[test]
    fn partitions_add_columns() {
        let columns = vec!["a".to_owned()];
        let partition = [("year".to_owned(), "2024".to_owned()), ("a".to_owned(), "x".to_owned())];
        let layout = Layout::new(std::path::Path::new("f.csv").into(), columns, Names::Schema);
        let layout = layout.with_partition(&partition);
        assert_eq!((layout.columns.len(), layout.width()), (2, 1));
        assert_eq!(layout.constants, ["2024"]);
    }
}
