//! `vitrine-server models …` beside a running server, and how programs end.

use crate::{
    harness::{Api, MODEL},
    reload::flip,
};
use std::process::{Command, Output, Stdio};

fn models(api: &Api, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vitrine-server"))
        .args(["models", "--database", &api.database(), "--models"])
        .arg(api.models())
        .args(arguments)
        .output()
        .unwrap()
}

#[track_caller]
fn good(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test]
async fn damaged_bundles_are_neither_activated_nor_rolled_back_to() {
    let api = Api::start().await;
    let [old, new] = &api.versions;
    good(&models(&api, &["activate", MODEL, new]));
    flip(&api.bundle(0).join("items.bin"));
    let before = good(&models(&api, &["list"]));
    assert!(before.contains("active, default"), "{before}");
    for arguments in [&["rollback", MODEL][..], &["activate", MODEL, old]] {
        let output = models(&api, arguments);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(old) && told.contains("sha256"), "{told}");
        assert_eq!(good(&models(&api, &["list"])), before, "nothing changed");
    }
    flip(&api.bundle(0).join("items.bin"));
    assert!(good(&models(&api, &["rollback", MODEL])).contains(old));
    assert!(good(&models(&api, &["deactivate", MODEL])).contains(old));
    assert!(!good(&models(&api, &["list"])).contains("active"));
}

#[test]
fn a_program_whose_output_is_closed_ends_without_a_word() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vitrine-server"))
        // More than a pipe holds.
        .arg("openapi")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &*String::from_utf8_lossy(&output.stderr)), (Some(141), ""));
}
