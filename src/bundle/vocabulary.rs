//! Vocabularies as text: one value a line, row 0 first, every line ended by a line feed.

use super::{BundleError, FileEntry, file_names};
use crate::domain::IdTable;
use std::{collections::BTreeMap, path::Path};

/// Names of the vocabularies among the bundle's files.
pub(super) fn names(files: &BTreeMap<String, FileEntry>) -> impl Iterator<Item = &str> {
    files.keys().filter_map(|path| {
        path.strip_prefix(file_names::VOCABULARIES)?.strip_prefix('/')?.strip_suffix(".txt")
    })
}

/// # Errors
/// [`BundleError::Vocabulary`] when it is no UTF-8 text, or a value is empty, has control
/// characters or stands twice.
pub(super) fn read(path: &Path) -> Result<IdTable, BundleError> {
    let bytes = std::fs::read(path).map_err(BundleError::io(path))?;
    let wrong = |line: usize, reason: String| BundleError::Vocabulary {
        path: path.to_owned(),
        line,
        reason,
    };
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        wrong(1 + bytecount(&bytes[..error.valid_up_to()]), "it is not valid UTF-8".to_owned())
    })?;
    if text.len() > u32::MAX as usize {
        return Err(wrong(1, "a vocabulary has at most 4 GiB".to_owned()));
    }
    let mut table = IdTable::new();
    let Some(text) = text.strip_suffix('\n') else {
        return if text.is_empty() {
            Ok(table)
        } else {
            Err(wrong(1 + bytecount(&bytes), "the end is missing".to_owned()))
        };
    };
    for (i, value) in text.split('\n').enumerate() {
        check(value).map_err(|reason| wrong(i + 1, reason))?;
        if table.insert(value) as usize != i {
            return Err(wrong(i + 1, format!("`{value}` stands there twice")));
        }
    }
    Ok(table)
}

/// Writes a vocabulary; the caller flushes it to the disk.
#[cfg(feature = "trainer")]
pub(super) fn write(path: &Path, table: &IdTable) -> Result<(), BundleError> {
    use std::io::Write;
    let mut out =
        std::io::BufWriter::new(std::fs::File::create(path).map_err(BundleError::io(path))?);
    for (row, value) in table.iter().enumerate() {
        check(value).map_err(|reason| BundleError::Vocabulary {
            path: path.to_owned(),
            line: row + 1,
            reason,
        })?;
        out.write_all(value.as_bytes())
            .and_then(|()| out.write_all(b"\n"))
            .map_err(BundleError::io(path))?;
    }
    out.flush().map_err(BundleError::io(path))
}

fn check(value: &str) -> Result<(), String> {
    if value.is_empty() {
        Err("it is empty".to_owned())
    } else if value.chars().any(char::is_control) {
        Err("it has control characters".to_owned())
    } else {
        Ok(())
    }
}

fn bytecount(bytes: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', bytes).count()
}

#[cfg(all(test, feature = "trainer"))]
mod tests {
    use super::*;

    #[test]
    fn vocabularies_survive_the_round_trip() {
        let path = tempfile::tempdir().unwrap();
        let path = path.path().join("v.txt");
        for values in [&["b", "ä 字", " x "][..], &["one"], &[]] {
            let table: IdTable = values.iter().copied().collect();
            write(&path, &table).unwrap();
            assert_eq!(read(&path).unwrap().iter().collect::<Vec<_>>(), values);
        }
    }

    #[test]
    fn damaged_vocabularies_are_refused_with_the_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("v.txt");
        let cases: [(&[u8], usize, &str); 6] = [
            (b"a\nb\na\n", 3, "twice"),
            (b"a\n\nb\n", 2, "empty"),
            (b"a\nb\r\n", 2, "control"),
            (b"a\nb", 2, "end is missing"),
            (b"a\nb\xff\n", 2, "UTF-8"),
            (b"\n", 1, "empty"),
        ];
        for (bytes, expected, word) in cases {
            std::fs::write(&path, bytes).unwrap();
            match read(&path) {
                Err(BundleError::Vocabulary { line, reason, .. }) => {
                    assert!(
                        line == expected && reason.contains(word),
                        "{bytes:?}: line {line}: {reason}"
                    );
                }
                other => panic!("{bytes:?}: {other:?}"),
            }
        }
    }
}
