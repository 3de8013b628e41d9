//! `vitrine-trainer verify` from outside.

use crate::shop::Original;
use std::{path::Path, process::Command};

fn verify(path: &Path, options: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vitrine-trainer"));
    let output = command.arg("verify").arg(path).args(options).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn good_and_bad_bundles_are_told_apart_by_the_exit_code() {
    let original = Original::new();
    let (code, out, err) = verify(&original.path, &["--queries", "20"]);
    assert!(
        code == Some(0) && out.contains("test-model") && out.contains("recall@100"),
        "{out}{err}"
    );

    let (code, out, _) = verify(&original.path, &["--queries", "20", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &report["problems"], &report["items"]),
        (Some(0), &serde_json::json!([]), &serde_json::json!(300))
    );

    let (code, _, err) = verify(&original.path, &["--queries", "20", "--min-recall", "1.1"]);
    assert!(code == Some(2) && err.contains("a larger [index] m"), "{err}");

    let copy = original.copy();
    copy.edit("items.bin", |bytes| bytes[200] ^= 1);
    let (code, out, err) = verify(copy.path(), &[]);
    assert!(code == Some(2) && out.is_empty() && err.contains("items.bin has sha256"), "{err}");

    let (code, _, err) = verify(&copy.file("nowhere"), &[]);
    assert!(code == Some(2) && err.contains("there is no bundle at"), "{err}");
}
