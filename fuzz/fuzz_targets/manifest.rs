//! `manifest.json`, and a bundle that has nothing else.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vitrine::bundle::{Bundle, Manifest};

fuzz_target!(|bytes: &[u8]| {
    vitrine_fuzz::file("manifest.json", bytes);
    if let Ok(manifest) = Bundle::open_metadata(vitrine_fuzz::folder()) {
        let text = serde_json::to_vec(&manifest).expect("a manifest can be written");
        // Not as a file: its hash would be that of the other bytes.
        let again: Manifest = serde_json::from_slice(&text).expect("what was written can be read");
        assert_eq!(again, manifest);
    }
    let error = Bundle::open(vitrine_fuzz::folder()).expect_err("the other files are missing");
    assert!(!error.to_string().is_empty());
});
