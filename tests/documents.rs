//! The documents say what the program does: every configuration key is explained where operators
//! look for it, and no link between documents is broken.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The table of keys is copied from here.
const CONFIG: &str = "src/serving/config.rs";
const OPERATING: &str = "docs/operating.md";
const EXAMPLE: &str = "docker/vitrine.toml";
const BEGIN: &str = "<!-- keys: copied from src/serving/config.rs by `VITRINE_WRITE=1 cargo test --test documents` -->\n";
const END: &str = "<!-- end of keys -->\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows of the table in the module's documentation.
fn rows() -> Vec<String> {
    let text = read(CONFIG);
    let rows: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("//! |"))
        .map(|row| format!("|{row}"))
        .collect();
    assert!(rows.len() > 20, "{CONFIG} has no table of keys");
    rows
}

fn keys() -> BTreeSet<String> {
    let key = |row: String| Some(row.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    rows().into_iter().filter_map(key).collect()
}

#[test]
fn the_operating_page_has_every_key() {
    let page = read(OPERATING);
    let (before, rest) = page.split_once(BEGIN).expect("the page marks where the table begins");
    let (found, after) = rest.split_once(END).expect("the page marks where the table ends");
    let wanted: String = rows().into_iter().map(|row| row + "\n").collect();
    if std::env::var_os("VITRINE_WRITE").is_some() {
        fs::write(root().join(OPERATING), format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
    } else {
        assert!(
            found == wanted,
            "{OPERATING} is behind {CONFIG}: run `VITRINE_WRITE=1 cargo test --test documents`"
        );
    }
}

#[test]
fn the_example_configuration_names_every_key_and_no_other() {
    let (mut section, mut named) = (String::new(), BTreeSet::new());
    for line in read(EXAMPLE).lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.split_once(']')) {
            section = name.0.to_owned();
        } else if let Some((key, _)) = line.trim_start_matches("# ").split_once(" = ")
            && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        {
            named.insert(format!("{section}.{key}"));
        }
    }
    let keys = keys();
    let missing: Vec<_> = keys.difference(&named).collect();
    let unknown: Vec<_> = named.difference(&keys).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "{EXAMPLE}: missing {missing:?}, unknown {unknown:?}"
    );
}

/// All Markdown files of the project.
fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root().to_owned()];
    let skipped = ["target", "node_modules", "runs"];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            let kind = entry.file_type().unwrap();
            let hidden = name.starts_with('.') && name != ".github";
            if kind.is_dir() && !hidden && !skipped.contains(&&*name) {
                folders.push(entry.path());
            } else if kind.is_file() && name.ends_with(".md") {
                pages.push(entry.path());
            }
        }
    }
    pages
}

/// The targets of `[text](target)`, code left out.
fn links(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut links = Vec::new();
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        if !fenced {
            links.extend(
                line.split("](")
                    .skip(1)
                    .filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())),
            );
        }
    }
    links
}

/// The anchors of a page, as GitHub makes them from headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn no_link_between_documents_is_broken() {
    let mut broken = Vec::new();
    let pages = pages();
    assert!(pages.len() > 10);
    for page in pages {
        let text = read(&page);
        for link in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target =
                if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let there = target.exists();
            if !there || (!anchor.is_empty() && !anchors(&read(&target)).contains(anchor)) {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

#[test]
fn every_decision_is_in_the_table() {
    let table = read("ARCHITECTURE.md");
    let records = fs::read_dir(root().join("docs/adr")).unwrap();
    let names = records.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let missing: Vec<String> = names
        .filter(|name| name != "README.md" && !table.contains(&format!("(docs/adr/{name})")))
        .collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md lists no {missing:?}");
}
