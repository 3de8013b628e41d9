//! The document against a public validator, and the running server against the document.

use crate::{
    harness::{Api, MODEL, RunningServer},
    python,
};
use std::process::Command;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.yaml");
const CONTRACT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/contract.py");

/// Runs a program to its end and shows what it said if it failed.
#[track_caller]
pub fn succeed(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(done.status.success(), "{command:?} failed:\n{said}");
    said
}

#[test]
fn a_public_validator_accepts_the_document() {
    succeed(Command::new(python::interpreter("api")).args([
        "-m",
        "openapi_spec_validator",
        DOCUMENT,
    ]));
}

/// What the document allows is accepted, what it forbids refused, and every answer is as it says.
async fn fulfils(listener: &str, configure: impl FnOnce(&mut vitrine::serving::Config)) {
    let api = Api::start_on_sockets(configure).await;
    let key = match listener {
        "admin" => crate::harness::KEY.to_owned(),
        _ => api.key(&["recommend", "read-purchases", "events"]).await,
    };
    let version = api.versions[0].clone();
    let server = RunningServer::start(&api).await;
    let url = format!("http://{}", if listener == "admin" { server.admin } else { server.public });
    let mut command = Command::new(python::interpreter("api"));
    command.args([CONTRACT, listener, DOCUMENT, &url, &key, MODEL, &version]);
    tokio::task::spawn_blocking(move || succeed(&mut command)).await.unwrap();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_public_listener_does_what_the_document_says() {
    fulfils("public", |_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_listener_does_what_the_document_says() {
    fulfils("admin", |_| {}).await;
}
