//! The files of a bundle: names, sizes, checksums.

use super::{BundleError, FileEntry, Manifest, file_names};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{ErrorKind, Read},
    ops::Range,
    path::{Path, PathBuf},
};

/// Longest manifest and golden file that are read.
const MAX_JSON: u64 = 64 << 20;

/// Reads and parses `manifest.json`.
///
/// # Errors
/// [`BundleError::Absent`], [`BundleError::Format`] for a bundle of another program version, and
/// [`BundleError::Manifest`] for whatever else is wrong with it.
pub(super) fn read_manifest(directory: &Path) -> Result<Manifest, BundleError> {
    let path = directory.join(file_names::MANIFEST);
    let manifest = |reason: String| BundleError::Manifest { path: path.clone(), reason };
    let bytes = match read_json(&path) {
        Err(BundleError::Io { source, .. })
            if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
        {
            return Err(BundleError::Absent(directory.to_owned()));
        }
        other => other?,
    };
    // The format first: another one may have other fields.
    #[derive(serde::Deserialize)]
    struct Head {
        format: u64,
    }
    let head: Head = serde_json::from_slice(&bytes).map_err(|error| manifest(error.to_string()))?;
    if head.format != u64::from(Manifest::FORMAT) {
        return Err(BundleError::Format { path, expected: Manifest::FORMAT, found: head.format });
    }
    let parsed: Manifest =
        serde_json::from_slice(&bytes).map_err(|error| manifest(error.to_string()))?;
    if !Manifest::is_name(&parsed.name) || !Manifest::is_version(&parsed.version) {
        return Err(manifest(format!(
            "`{}` version `{}` is not a model's name",
            parsed.name, parsed.version
        )));
    }
    match blank_hash(&bytes, &parsed.version) {
        Some((blank, _)) if parsed.version.ends_with(&short_hash(&blank)) => Ok(parsed),
        _ => Err(manifest(
            "it was changed since it was written: its hash is not the one in its version"
                .to_owned(),
        )),
    }
}

/// The bytes of `manifest.json` and the version they give it: `time` and a hash over the manifest
/// itself, which holds the checksums of all other files. The hash is taken of the very bytes, with
/// zeros in its own place.
#[cfg(feature = "trainer")]
pub(super) fn seal(
    mut manifest: Manifest,
    time: &str,
) -> Result<(Vec<u8>, String), serde_json::Error> {
    manifest.version = format!("{time}-00000000");
    let mut bytes = serde_json::to_vec_pretty(&manifest)?;
    let hash = short_hash(&bytes);
    if let Some((_, at)) = blank_hash(&bytes, &manifest.version) {
        bytes[at].copy_from_slice(hash.as_bytes());
    }
    Ok((bytes, format!("{time}-{hash}")))
}

/// The manifest with zeros for the hash in its version, and where that stands.
fn blank_hash(bytes: &[u8], version: &str) -> Option<(Vec<u8>, Range<usize>)> {
    let end = memchr::memmem::find(bytes, format!("\"{version}\"").as_bytes())? + 1 + version.len();
    let at = end.checked_sub(8)?..end;
    let mut blank = bytes.to_vec();
    blank[at.clone()].fill(b'0');
    Some((blank, at))
}

fn short_hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes)[..4])
}

/// Reads a regular file of bounded length.
pub(super) fn read_json(path: &Path) -> Result<Vec<u8>, BundleError> {
    let file = File::open(path).map_err(BundleError::io(path))?;
    let metadata = file.metadata().map_err(BundleError::io(path))?;
    if !metadata.is_file() {
        return Err(BundleError::NotAFile(path.to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(MAX_JSON + 1).read_to_end(&mut bytes).map_err(BundleError::io(path))?;
    if bytes.len() as u64 > MAX_JSON {
        return Err(BundleError::Manifest {
            path: path.to_owned(),
            reason: "it has more than 64 MiB".to_owned(),
        });
    }
    Ok(bytes)
}

/// Checks that all files the manifest lists are there, regular, inside the bundle, and have the
/// size and checksum it says. `directory` must be canonical.
pub(super) fn check(
    directory: &Path,
    files: &BTreeMap<String, FileEntry>,
) -> Result<(), BundleError> {
    // Names and sizes first: they cost nothing.
    let mut found = Vec::with_capacity(files.len());
    for (name, entry) in files {
        let path = inside(directory, name)?;
        let size = std::fs::metadata(&path).map_err(BundleError::io(&path))?.len();
        if size != entry.bytes {
            return Err(BundleError::Size { path, expected: entry.bytes, found: size });
        }
        found.push((path, entry));
    }
    found.into_par_iter().try_for_each(|(path, entry)| {
        let sum = describe(&path)?;
        if sum.bytes != entry.bytes {
            return Err(BundleError::Size { path, expected: entry.bytes, found: sum.bytes });
        }
        if sum.sha256 != entry.sha256 {
            return Err(BundleError::Checksum {
                path,
                expected: entry.sha256.clone(),
                found: sum.sha256,
            });
        }
        Ok(())
    })
}

/// The path of a file of the bundle, links excluded.
fn inside(directory: &Path, name: &str) -> Result<PathBuf, BundleError> {
    if !is_safe(name) {
        return Err(BundleError::FileName {
            directory: directory.to_owned(),
            name: name.to_owned(),
        });
    }
    let path = name.split('/').fold(directory.to_owned(), |path, part| path.join(part));
    match path.canonicalize() {
        Ok(canonical) if canonical == path && path.is_file() => Ok(path),
        Ok(_) => Err(BundleError::NotAFile(path)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(BundleError::MissingFile(path))
        }
        Err(error) => Err(BundleError::Io { path, source: error }),
    }
}

/// `file` or `directory/file`, of letters, digits, `-`, `_` and inner dots.
fn is_safe(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    name.len() <= 256
        && name != file_names::MANIFEST
        && name.split('/').count() <= 2
        && name.split('/').all(part)
}

/// Size and checksum of a file.
pub(super) fn describe(path: &Path) -> Result<FileEntry, BundleError> {
    let mut file = File::open(path).map_err(BundleError::io(path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    let mut bytes = 0;
    loop {
        let n = file.read(&mut buffer).map_err(BundleError::io(path))?;
        if n == 0 {
            return Ok(FileEntry { bytes, sha256: hex(&hasher.finalize()) });
        }
        hasher.update(&buffer[..n]);
        bytes += n as u64;
    }
}

/// Lower-case hexadecimal.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_safe() {
        for name in ["items.bin", "vocabularies/article_id.txt", "query_tower.onnx.data"] {
            assert!(is_safe(name), "{name}");
        }
        for name in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "a/b/c",
            ".hidden",
            "a\\b",
            "a/.b",
            "manifest.json",
            "é",
        ] {
            assert!(!is_safe(name), "{name}");
        }
    }
}
