//! `--set`.

/// `a.b=value`; a part of the key that is a number picks an entry of an array. The value is TOML,
/// or else a text.
pub(super) fn set(table: &mut toml::Table, assignment: &str) -> Result<(), String> {
    let (key, text) = assignment
        .split_once('=')
        .ok_or("is not of the form key=value, such as training.epochs=3")?;
    let value = toml::from_str::<toml::Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut parsed| parsed.remove("value"))
        .unwrap_or_else(|| toml::Value::String(text.to_owned()));
    let (parents, last) = key
        .trim()
        .rsplit_once('.')
        .map_or((None, key.trim()), |(parents, last)| (Some(parents), last));
    let mut parts = parents.into_iter().flat_map(|parents| parents.split('.'));
    let Some(first) = parts.next() else {
        table.insert(last.to_owned(), value);
        return Ok(());
    };
    let mut place = table.entry(first).or_insert_with(|| toml::Value::Table(toml::Table::new()));
    for part in parts {
        place = child(place, part)?;
    }
    *child(place, last)? = value;
    Ok(())
}

fn child<'a>(value: &'a mut toml::Value, part: &str) -> Result<&'a mut toml::Value, String> {
    match value {
        toml::Value::Table(table) => {
            Ok(table.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new())))
        }
        toml::Value::Array(entries) => {
            let len = entries.len();
            let entry = part.parse::<usize>().ok().and_then(|index| entries.get_mut(index));
            entry.ok_or(format!("`{part}` is no entry of an array of {len}"))
        }
        _ => Err(format!("`{part}` lies under a value that has no keys")),
    }
}
