//! What runs were told, as a table of the settings they differ in.

use super::super::{ExperimentError, Run};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Keys and, a run a row, their values; `null` where a run has no such key.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settings {
    pub keys: Vec<String>,
    pub rows: Vec<Vec<Value>>,
}

impl Settings {
    /// The configuration keys whose values differ between runs; for trials of a sweep, those that
    /// it chose.
    ///
    /// # Errors
    /// A configuration that cannot be read.
    pub fn that_differ(runs: &[&Run]) -> Result<Self, ExperimentError> {
        let chosen = runs.iter().all(|run| !run.record.parameters.is_empty());
        let mut settings = Vec::with_capacity(runs.len());
        for run in runs {
            settings.push(if chosen {
                run.record.parameters.clone()
            } else {
                run.config()?.map(|config| flat(&config)).unwrap_or_default()
            });
        }
        let keys: BTreeSet<&String> = settings.iter().flat_map(BTreeMap::keys).collect();
        let differ =
            |key: &&String| settings.iter().any(|run| run.get(*key) != settings[0].get(*key));
        let keys: Vec<String> = keys.into_iter().filter(differ).cloned().collect();
        let row = |run: &BTreeMap<String, Value>| {
            keys.iter().map(|key| run.get(key).cloned().unwrap_or_default()).collect()
        };
        Ok(Self { rows: settings.iter().map(row).collect(), keys })
    }
}

/// A configuration by its keys.
pub(in crate::experiments) fn flat(config: &Value) -> BTreeMap<String, Value> {
    let mut keys = BTreeMap::new();
    flatten("", config, &mut keys);
    keys
}

/// `{"a": [{"b": 1}]}` → `a.0.b = 1`: keys as `--set` takes them. Lists of plain values stay whole.
fn flatten(prefix: &str, value: &Value, keys: &mut BTreeMap<String, Value>) {
    let join =
        |part: &str| if prefix.is_empty() { part.to_owned() } else { format!("{prefix}.{part}") };
    match value {
        Value::Object(entries) => {
            entries.iter().for_each(|(part, value)| flatten(&join(part), value, keys))
        }
        Value::Array(entries) if entries.iter().any(Value::is_object) => {
            entries
                .iter()
                .enumerate()
                .for_each(|(at, value)| flatten(&join(&at.to_string()), value, keys));
        }
        Value::Array(entries) => {
            let texts: Vec<String> = entries.iter().map(Value::to_string).collect();
            keys.insert(prefix.to_owned(), Value::String(texts.join(", ")));
        }
        plain => {
            keys.insert(prefix.to_owned(), plain.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_those_of_set() {
        let keys = flat(
            &json!({"a": {"b": 1}, "c": [{"d": "x"}, {"d": true}], "layers": [8, 4], "none": []}),
        );
        let found: Vec<_> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(found, ["a.b=1", "c.0.d=\"x\"", "c.1.d=true", "layers=\"8, 4\"", "none=\"\""]);
    }
}
