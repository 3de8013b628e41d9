//! The reference of a training configuration, made from the types that read it, so that it cannot
//! say something else than the program does.

use super::TrainingConfig;
use crate::families::{Family, REGISTRY};
use schemars::SchemaGenerator;
use serde_json::Value;
use std::fmt::Write;

/// The JSON schema of a training configuration, for editors that complete and check TOML files.
pub fn json_schema() -> Value {
    let mut generator = SchemaGenerator::default();
    let own: Vec<_> = REGISTRY.iter().flat_map(|family| family.sections(&mut generator)).collect();
    let mut schema = generator.into_root_schema_for::<TrainingConfig>().to_value();
    if let Some(sections) = schema["properties"].as_object_mut() {
        sections.extend(own);
    }
    schema
}

/// The sections that a configuration can have.
pub(super) fn section_names() -> Vec<String> {
    entries(&json_schema()["properties"]).map(|(name, _)| name.to_owned()).collect()
}

/// Every section and key of a training configuration with its type, default and meaning, as
/// Markdown.
pub fn markdown() -> String {
    let schema = json_schema();
    let reference = Reference { definitions: &schema["$defs"] };
    let mut out = String::new();
    for (section, property) in entries(&schema["properties"]) {
        reference.section(&mut out, section, property);
    }
    out
}

struct Reference<'a> {
    definitions: &'a Value,
}

impl<'a> Reference<'a> {
    fn section(&self, out: &mut String, name: &str, property: &'a Value) {
        let schema = self.resolved(property);
        let _ = writeln!(out, "\n## `[{name}]`\n");
        let description = description(property).or_else(|| description(schema)).unwrap_or_default();
        let _ = writeln!(out, "{}\n", description.trim());
        let defaults = &property["default"];
        match schema["oneOf"].as_array() {
            Some(variants) => {
                variants.iter().for_each(|variant| self.variant(out, variant, defaults))
            }
            None if name == "features" => self.features(out, schema),
            None => self.keys(out, name, schema, defaults),
        }
    }

    /// `[[features.query]]` and `[[features.item]]` are lists of entries of one form.
    fn features(&self, out: &mut String, schema: &'a Value) {
        for (list, property) in entries(&schema["properties"]) {
            let meaning = description(property).unwrap_or_default();
            let _ = writeln!(out, "* `[[features.{list}]]`: {meaning}");
        }
        let _ = writeln!(out, "\nEach entry has these keys:\n");
        let entry = self.resolved(&schema["properties"]["query"]["items"]);
        self.keys(out, "features", entry, &Value::Null);
    }

    /// A choice whose variants have keys of their own.
    fn variant(&self, out: &mut String, variant: &'a Value, defaults: &Value) {
        let tag = entries(&variant["properties"])
            .find_map(|(key, schema)| Some((key, schema["const"].as_str()?)));
        let Some((key, value)) = tag else { return };
        let meaning = description(variant).unwrap_or_default();
        let _ = writeln!(out, "`{key} = \"{value}\"`: {meaning}\n");
        let defaults = if defaults[key] == value { defaults } else { &Value::Null };
        self.keys(out, "", variant, defaults);
    }

    /// A table of the keys of an object; sections within it follow.
    fn keys(&self, out: &mut String, section: &str, schema: &'a Value, defaults: &Value) {
        let required = |key: &str| {
            schema["required"].as_array().is_some_and(|keys| keys.iter().any(|k| k == key))
        };
        let mut inner = Vec::new();
        let mut rows = String::new();
        for (key, property) in
            entries(&schema["properties"]).filter(|(_, property)| property["const"].is_null())
        {
            let resolved = self.resolved(property);
            let mut meaning =
                description(property).or_else(|| description(resolved)).unwrap_or_default();
            if resolved["properties"].is_object() {
                inner.push((key, property));
                continue;
            }
            meaning.push_str(&choices(resolved));
            let path = format!("{section}.{key}");
            if REGISTRY.iter().any(|family| family.uses.contains(&path.as_str())) {
                let _ = write!(meaning, " It {}.", Family::only_for(&path));
            }
            let default = match property.get("default").or_else(|| defaults.get(key)) {
                Some(value) => shown(value),
                None if required(key) => "must be given".to_owned(),
                None => "none".to_owned(),
            };
            let _ =
                writeln!(rows, "| `{key}` | {} | {default} | {} |", kind(resolved), meaning.trim());
        }
        if !rows.is_empty() {
            let _ = write!(out, "| key | type | default | meaning |\n|---|---|---|---|\n{rows}\n");
        }
        for (key, property) in inner {
            self.section(out, &format!("{section}.{key}"), property);
        }
    }

    /// The schema behind a reference, or the one that is not null of two.
    fn resolved(&self, schema: &'a Value) -> &'a Value {
        if let Some(name) = schema["$ref"].as_str() {
            return &self.definitions[name.trim_start_matches("#/$defs/")];
        }
        let given = schema["anyOf"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|schema| schema["type"] != "null");
        given.map_or(schema, |given| self.resolved(given))
    }
}

fn entries(object: &Value) -> impl Iterator<Item = (&str, &Value)> {
    object.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

/// The doc comment in one line, its links to code as plain code.
fn description(schema: &Value) -> Option<String> {
    let text = schema["description"].as_str()?;
    let mut plain = text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    // Drops the brackets of `[`name`]`, which mean something to rustdoc only.
    plain = plain.replace("[`", "`").replace("`]", "`");
    if !plain.ends_with(['.', ':', ';']) {
        plain.push('.');
    }
    Some(plain)
}

/// The values of an enumeration and what they mean.
fn choices(schema: &Value) -> String {
    let mut text = String::new();
    for choice in schema["oneOf"].as_array().into_iter().flatten() {
        let named = choice["const"].as_str().into_iter();
        for value in
            named.chain(choice["enum"].as_array().into_iter().flatten().filter_map(Value::as_str))
        {
            let meaning = description(choice)
                .map_or_else(|| ".".to_owned(), |meaning| format!(": {meaning}"));
            let _ = write!(text, " `\"{value}\"`{meaning}");
        }
    }
    text
}

/// A type in the words of TOML.
fn kind(schema: &Value) -> &'static str {
    let name = match &schema["type"] {
        Value::Array(names) => {
            names.iter().find_map(|name| name.as_str().filter(|name| *name != "null"))
        }
        name => name.as_str(),
    };
    match name {
        Some("integer") => "whole number",
        Some("number") => "number",
        Some("boolean") => "true or false",
        Some("array") => "list",
        _ => "text",
    }
}

/// A default as a configuration file has it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        // Settings are 32-bit numbers: 0.9 would be shown with all the digits of its nearest 64-bit
        // number.
        Value::Number(number) if number.is_f64() => {
            format!("`{:?}`", number.as_f64().unwrap_or_default() as f32)
        }
        value => format!("`{value}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page from the line that says it is generated.
    const PAGE: &str = include_str!("../../../docs/configuration.md");

    #[test]
    fn the_page_says_what_the_program_reads() {
        let stale = "docs/configuration.md is stale; run `vitrine-trainer config` and put its output \
                     behind the line `<!-- generated -->`";
        let generated = PAGE.split_once("<!-- generated -->\n").map(|(_, generated)| generated);
        assert!(generated.map(str::trim) == Some(markdown().trim()), "{stale}");
    }

    #[test]
    fn keys_defaults_and_choices_are_told() {
        let text = markdown();
        for line in [
            "## `[model]`",
            "| `name` | text | must be given |",
            "| `epochs` | whole number | `10` |",
            "| `warmup_steps` | whole number | `0` |",
            "| `window_days` | whole number | none |",
            "scaled down. It is for the families `decoder` and `lstm` only. |",
            "`\"cosine\"`: Falls to 0",
            "`protocol = \"leave-one-out\"`",
            "## `[sequence.days]`",
            "* `[[features.query]]`",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
