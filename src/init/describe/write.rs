//! `dataset.toml` as text, with the reason of each line behind it.

use super::column::Column;
use super::entities::{ALL, Attribute, Entities, Kind};
use super::names::names;
use super::purchases::{Condition, Join, Place, Purchases};
use super::table::Table;
use super::words::Role;
use crate::dataset::{FileFormat, FileOptions};
use std::{collections::BTreeMap, fmt::Write, path::Path};

/// The description of what was found.
pub(super) struct Text<'a> {
    pub tables: &'a [Table],
    pub found: &'a Purchases,
    pub entities: &'a [(Role, Entities)],
    pub notes: &'a [String],
}

/// Lines of one section.
#[derive(Default)]
struct Section {
    text: String,
}

impl Section {
    fn new(name: &str) -> Self {
        Self { text: format!("\n[{name}]\n") }
    }

    fn comment(&mut self, text: &str) {
        let _ = writeln!(self.text, "# {text}");
    }

    fn line(&mut self, key: &str, value: &str, why: &str) {
        // Writing to a text cannot fail.
        let _ = match why {
            "" => writeln!(self.text, "{key} = {value}"),
            why => writeln!(self.text, "{key} = {value}  # {why}"),
        };
    }
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn list<'t>(texts: impl IntoIterator<Item = &'t str>) -> String {
    let texts: Vec<String> = texts.into_iter().map(quoted).collect();
    format!("[{}]", texts.join(", "))
}

/// A single text, or the list of several.
fn one_or_list(texts: &[String]) -> String {
    match texts {
        [one] => quoted(one),
        many => list(many.iter().map(String::as_str)),
    }
}

/// A key that TOML takes without quotes stays without them.
fn key(text: &str) -> String {
    let bare = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if bare { text.to_owned() } else { quoted(text) }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

impl Text<'_> {
    pub fn write(&self) -> String {
        let mut text = String::from(
            "# Written by `vitrine-trainer init` from a sample of the files. Check it, and change what is wrong:\n\
             # docs/datasets.md explains every key.\n",
        );
        for note in self.notes {
            let _ = writeln!(text, "# {note}");
        }
        for (role, entities) in self.entities {
            text.push_str(&self.section(*role, entities));
        }
        text.push_str(&self.purchases());
        text
    }

    fn table(&self, place: Place) -> &Table {
        &self.tables[place.table]
    }

    fn column(&self, place: Place) -> &Column {
        self.table(place).column(place.column)
    }

    fn names(&self, table: usize) -> Vec<String> {
        names(self.tables, table, self.found, self.entities)
    }

    fn name(&self, place: Place) -> String {
        self.names(place.table)[place.column].clone()
    }

    /// The keys that say which files there are and how they are read.
    fn files(&self, section: &mut Section, at: usize) {
        let table = &self.tables[at];
        let files: Vec<String> =
            patterns(table).iter().map(|file| file.replace('\\', "/")).collect();
        let why = if table.files.len() > files.len() {
            format!("{} files", table.files.len())
        } else {
            String::new()
        };
        section.line("files", &list(files.iter().map(String::as_str)), &why);
        let FileOptions {
            format,
            delimiter,
            quote,
            encoding,
            header,
            skip_lines,
            members,
            sheets,
            ..
        } = &table.options;
        if !members.is_empty() {
            section.line("member", &one_or_list(members), "of the archive");
        }
        if !sheets.is_empty() {
            section.line("sheet", &one_or_list(sheets), "of the workbook");
        }
        if let Some(format) = format {
            section.line(
                "format",
                &quoted(format_name(*format)),
                "the name of the file does not tell",
            );
        }
        if delimiter != "," {
            section.line("delimiter", &quoted(delimiter), "");
        }
        match quote {
            None => section.line(
                "quoted",
                "false",
                "a double quote is a character like any other in it",
            ),
            Some(b'"') => {}
            Some(quote) => section.line("quoted", &quoted(&char::from(*quote).to_string()), ""),
        }
        if let Some(encoding) = encoding {
            let certain = encoding.starts_with("UTF-16");
            let why = if certain { "" } else { "a guess: check letters such as ä or ш" };
            section.line("encoding", &quoted(encoding), why);
        }
        // A header that names a column twice cannot be read by its names.
        let skipped = table.renamed.map_or(*skip_lines, |above| above + 1);
        if skipped > 0 {
            let why = match table.renamed {
                Some(_) => "the header is left out",
                None => "lines above the header",
            };
            section.line("skip_lines", &skipped.to_string(), why);
        }
        let names = self.names(at);
        let names = || list(names.iter().map(String::as_str));
        if table.renamed.is_some() {
            section.line("header", "false", "it names columns twice");
            section.line("columns", &names(), "the names of the header, numbered: check them");
        } else if !header {
            section.line("header", "false", "the first line looks like data");
            section.line("columns", &names(), "names made up from the values: check them");
        }
        if table.decimal_comma {
            section.line("decimal", &quoted(","), "numbers such as 1.234,56");
        }
    }

    fn section(&self, role: Role, entities: &Entities) -> String {
        let name = if role == Role::Article { "articles" } else { "customers" };
        let mut section = Section::new(name);
        if entities.shared {
            section.comment("Columns of the purchases that always go with the id.");
        }
        self.files(&mut section, entities.table);
        let names = self.names(entities.table);
        let table = &self.tables[entities.table];
        let why = match entities.shared {
            true => String::new(),
            false if entities.restated => "it comes again in some rows".to_owned(),
            false if entities.repeated => {
                "it comes again in rows that continue the one above".to_owned()
            }
            false => "unique".to_owned(),
        };
        section.line("id", &quoted(&names[entities.id]), &why);
        let keep = entities.attributes.iter().map(|attribute| names[attribute.column].as_str());
        section.line("keep", &list(keep), "");
        let types = types(&entities.attributes, &names);
        if !types.is_empty() {
            section.line("types", &types, "the others are categories");
        }
        for (key, column) in [
            ("price", entities.price),
            ("image", entities.image),
            ("available", entities.available),
        ] {
            if let Some(column) = column {
                section.line(key, &quoted(&names[column]), "");
            }
        }
        if !entities.shared && entities.coverage < ALL {
            let why = match table.whole {
                true => format!(
                    "{} of the ids in purchases have a row; the others stay",
                    percent(entities.coverage)
                ),
                false => "the sample of this file does not have every id; ids without a row stay"
                    .to_owned(),
            };
            section.line("unknown", &quoted("add"), &why);
        }
        if entities.shared {
            section.line("duplicates", &quoted("last"), "the latest value holds");
        } else if entities.restated {
            section.line("duplicates", &quoted("last"), "the last row of an id holds");
        } else if entities.repeated {
            section.line("duplicates", &quoted("first"), "");
        }
        let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (column, why) in &entities.left_out {
            reasons.entry(why).or_default().push(&table.column(*column).name);
        }
        for (why, columns) in reasons {
            section.comment(&format!("left out, {why}: {}", shortened(&columns.join(", "))));
        }
        section.text
    }

    fn purchases(&self) -> String {
        let found = self.found;
        let mut section = Section::new("purchases");
        self.files(&mut section, found.table);
        if let Some(customer) = found.customer {
            section.line(
                "customer",
                &quoted(&self.name(customer)),
                &self.customer_reason(customer),
            );
        }
        if let Some(article) = found.article {
            let column = self.column(article);
            let why = format!("{} different in {} rows", column.distinct, column.rows);
            section.line("article", &quoted(&self.name(article)), &why);
        }
        self.time(&mut section);
        if let Some(split) = &found.split
            && let Some(article) = found.article
        {
            let column = quoted(&self.name(article));
            let quantity = split
                .quantity
                .as_deref()
                .map_or_else(String::new, |q| format!(", quantity = {}", quoted(q)));
            let value = format!(
                "{{ column = {column}, separator = {}{quantity} }}",
                quoted(&split.separator)
            );
            section.line("split", &value, "several items in one cell");
        }
        self.weights(&mut section);
        if let Some(price) = found.price {
            section.line("price", &quoted(&self.name(price)), "");
        }
        if let Some(channel) = found.channel {
            section.line("channel", &quoted(&self.name(channel)), "");
        }
        if let Some((order, columns)) = &found.fill_down {
            let names: Vec<String> = columns.iter().map(|&place| self.name(place)).collect();
            let (columns, order) =
                (list(names.iter().map(String::as_str)), quoted(&self.name(*order)));
            let value = format!("{{ columns = {columns}, within = {order} }}");
            section.line("fill_down", &value, "empty in the further lines of an order");
        }
        if !found.missing.is_empty() {
            let why = "far more frequent than any one customer: nobody";
            section.line("missing", &list(found.missing.iter().map(String::as_str)), why);
        }
        self.joins(&mut section);
        section.text
    }

    fn customer_reason(&self, place: Place) -> String {
        let column = self.column(place);
        let mut why = format!("{} different in {} rows", column.distinct, column.rows);
        let filled =
            self.found.fill_down.as_ref().is_some_and(|(_, columns)| columns.contains(&place));
        if column.coverage() < 0.999 && !filled {
            let _ = write!(
                why,
                "; {} of the rows have none and do not count",
                percent(1.0 - column.coverage())
            );
        }
        why
    }

    fn time(&self, section: &mut Section) {
        let Some(time) = &self.found.time else {
            section.comment("no column with times that can be read: the order of the rows counts");
            return;
        };
        let name = self.name(time.column);
        if let Some((clock, format)) = &time.clock {
            section.line(
                "time",
                &list([name.as_str(), &self.name(*clock)]),
                "a date and a time of day",
            );
            let first = time.formats.first().map_or("", String::as_str);
            section.line("time_format", &list([first, format]), "");
            return;
        }
        if time.rest.is_empty() {
            section.line("time", &quoted(&name), "");
        } else {
            let rest: Vec<String> = time.rest.iter().map(|&place| self.name(place)).collect();
            let columns = [name.as_str()].into_iter().chain(rest.iter().map(String::as_str));
            section.line("time", &list(columns), "year, month and day");
        }
        let example =
            self.column(time.column).frequent.first().map(|(value, _)| format!("such as {value}"));
        let why = match &time.otherwise {
            Some(other) => format!("or {other:?}: no value tells day and month apart; check it"),
            None if time.formats == ["day-number"] => "days from an unknown start".to_owned(),
            None if time.formats.len() > 1 => "each value is in one of these".to_owned(),
            None if !time.rest.is_empty() => String::new(),
            None => example.unwrap_or_default(),
        };
        let format = match time.formats.as_slice() {
            [one] => quoted(one),
            several => list(several.iter().map(String::as_str)),
        };
        section.line("time_format", &format, &why);
    }

    /// Events, quantities, conditions, ratings: what counts, and how much.
    fn weights(&self, section: &mut Section) {
        let found = self.found;
        if let Some((place, events)) = &found.event {
            section.line("event", &quoted(&self.name(*place)), "");
            let counted = events.iter().filter_map(|(value, weight)| Some((value, (*weight)?)));
            let weights: Vec<String> =
                counted.map(|(value, weight)| format!("{} = {weight:?}", key(value))).collect();
            let others: Vec<&str> = events
                .iter()
                .filter(|(_, weight)| weight.is_none())
                .map(|(value, _)| value.as_str())
                .collect();
            let why = match others.as_slice() {
                [] => "how much each counts".to_owned(),
                [one] => format!("{one} does not count"),
                others => format!("{} do not count", shortened(&others.join(", "))),
            };
            section.line("events", &format!("{{ {} }}", weights.join(", ")), &why);
        }
        let conditions: Vec<String> =
            found.conditions.iter().map(|condition| self.condition(condition)).collect();
        if !conditions.is_empty() {
            let why = "returns and what came to nothing are no purchases";
            section.line("where", &format!("{{ {} }}", conditions.join(", ")), why);
        }
        if let Some(quantity) = found.quantity {
            section.comment(&format!(
                "quantity = {} would weigh a row by its pieces",
                quoted(&self.name(quantity))
            ));
        }
        let table = &self.tables[found.table];
        if let Some(weight) =
            table.columns.iter().find(|column| column.name.eq_ignore_ascii_case("weight"))
        {
            let name = quoted(&weight.name);
            section.comment(&format!(
                "every row counts alike; weight = {name} would let it count by that number"
            ));
        }
        if let Some(rating) = found.rating {
            let name = quoted(&self.name(rating));
            section.comment(&format!(
                "every rating counts; rating = {name} and min_rating = 4 would take the good ones"
            ));
        }
    }

    fn condition(&self, condition: &Condition) -> String {
        match condition {
            Condition::Above0(place) => format!("{} = {{ above = 0 }}", key(&self.name(*place))),
            Condition::Absent(place) => {
                format!("{} = {{ exists = false }}", key(&self.name(*place)))
            }
            Condition::Not(place, values) => {
                format!("{} = {{ not = {} }}", key(&self.name(*place)), one_or_list(values))
            }
        }
    }

    fn joins(&self, section: &mut Section) {
        let mut name = "purchases".to_owned();
        for Join { table, left, right } in &self.found.joins {
            name.push_str(".join");
            let mut join = Section::new(&name);
            self.files(&mut join, *table);
            let (left, right) = (self.name(*left), self.names(*table)[*right].clone());
            let on = match left == right {
                true => quoted(&left),
                false => format!("{{ left = {}, right = {} }}", quoted(&left), quoted(&right)),
            };
            join.line("on", &on, "says whose purchases these are");
            section.text.push_str(&join.text);
        }
    }
}

/// Names for the files of a table: one by one, or by the folder that holds them alone.
fn patterns(table: &Table) -> Vec<String> {
    let text = |path: &Path| path.display().to_string();
    if table.files.len() <= 8 {
        return table.files.iter().map(|file| text(file)).collect();
    }
    let folder = |path: &Path| path.components().next().map(|first| first.as_os_str().to_owned());
    let first = folder(&table.files[0]);
    let one_folder =
        table.files.iter().all(|file| file.components().count() > 1 && folder(file) == first);
    match first.filter(|_| one_folder) {
        Some(folder) => vec![folder.to_string_lossy().into_owned()],
        None => table.files.iter().map(|file| text(file)).collect(),
    }
}

fn types(attributes: &[Attribute], names: &[String]) -> String {
    let typed = attributes.iter().filter_map(|Attribute { column, kind }| {
        let kind = match kind {
            Kind::Category | Kind::Tags(None) => return None,
            Kind::Number => quoted("number"),
            Kind::Tags(Some(separator)) => format!("{{ tags = {} }}", quoted(separator)),
        };
        Some(format!("{} = {kind}", key(&names[*column])))
    });
    let typed: Vec<String> = typed.collect();
    if typed.is_empty() { String::new() } else { format!("{{ {} }}", typed.join(", ")) }
}

fn format_name(format: FileFormat) -> &'static str {
    match format {
        FileFormat::Csv => "csv",
        FileFormat::Json => "json",
        FileFormat::Parquet => "parquet",
        FileFormat::Xlsx => "xlsx",
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(160) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
