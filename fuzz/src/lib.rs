//! What the targets share: a folder for the files that they read, in memory where there is such a
//! folder.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary folder can be made")
});

/// The folder of this process.
pub fn folder() -> &'static Path {
    FOLDER.path()
}

/// Writes a file of the folder.
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().join(name);
    fs::write(&path, bytes).expect("a temporary file can be written");
    path
}

/// Loads a shop whose purchases are `bytes` in a file of this name, as `description` says; whatever
/// is wrong with them is an error with a text.
pub fn load(name: &str, description: &str, bytes: &[u8]) {
    use vitrine::{
        dataset::{self, LoadOptions, MaxRejects},
        domain::Timestamp,
    };
    file(name, bytes);
    let options = LoadOptions {
        dataset_file: Some(file("dataset.toml", description.as_bytes())),
        max_rejects: Some(MaxRejects::Share(1.0)),
        now: Some(Timestamp(1_800_000_000)),
        ..LoadOptions::default()
    };
    match dataset::load(folder(), &options) {
        Ok((dataset, report)) => {
            assert_eq!(dataset.purchases.time.len(), report.purchases);
            assert!(dataset.purchases.article.iter().all(|&at| (at as usize) < report.articles));
            assert!(dataset.purchases.customer.iter().all(|&at| (at as usize) < report.customers));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
