//! The published clients: made from the document, and run against a server.

use crate::{
    contract::succeed,
    harness::{Api, RunningServer, copy},
    python,
};
use axum::http::Method;
use serde_json::json;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A server whose shop has the attributes that the README's requests name, in articles that are for
/// sale.
async fn server() -> (Api, RunningServer, String) {
    let api = Api::start_on_sockets(|config| config.http.require_key = true).await;
    let articles = (0..30).map(|n| {
        json!({
            "article_id": format!("shown{n}"), "price": 0.01,
            "attributes": {
                "index_group_name": "Ladieswear", "prod_name": format!("Shirt {n}"), "colour_group_name": "Black",
                "product_code": n.to_string(), "bucket": "many",
            },
        })
    });
    let body = json!({"articles": articles.collect::<Vec<_>>()});
    let written = api.operate(Method::POST, "/admin/v1/articles", Some(body)).await;
    assert_eq!(written.status, 200, "{}", written.body);
    let key = api.key(&["recommend"]).await;
    let server = RunningServer::start(&api).await;
    (api, server, key)
}

/// A copy of a client's folder with its packages, beside a copy of the document, as in the
/// repository.
fn typescript() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients-home");
    let client = home.join("clients/typescript");
    fs::create_dir_all(&client).unwrap();
    fs::copy(Path::new(ROOT).join("openapi.yaml"), home.join("openapi.yaml")).unwrap();
    let source = Path::new(ROOT).join("clients/typescript");
    for folder in ["src", "smoke"] {
        let _ = fs::remove_dir_all(client.join(folder));
        fs::create_dir_all(client.join(folder)).unwrap();
        copy(&source.join(folder), &client.join(folder));
    }
    let files = [
        "package.json",
        "package-lock.json",
        "tsconfig.json",
        "tsconfig.smoke.json",
        "generate.mjs",
        "README.md",
    ];
    for file in files {
        fs::copy(source.join(file), client.join(file)).unwrap();
    }
    let lock = fs::read(source.join("package-lock.json")).unwrap();
    let stamp = client.join("node_modules/installed.lock");
    if fs::read(&stamp).ok().as_ref() != Some(&lock) {
        succeed(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&client));
        fs::write(stamp, lock).unwrap();
    }
    client
}

/// Without Node.js a test says so and passes; in CI it must not.
pub(super) fn has_node() -> bool {
    let found =
        Command::new("node").arg("--version").output().is_ok_and(|done| done.status.success());
    assert!(found || std::env::var_os("CI").is_none(), "CI needs Node.js 20 or newer");
    if !found {
        eprintln!("NOT TESTED: this needs Node.js 20 or newer, and `node` is not installed");
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_typescript_client_is_current_and_works() {
    if !has_node() {
        return;
    }
    let (_api, server, key) = server().await;
    let url = format!("http://{}", server.public);
    let run = move || {
        let lock =
            File::create(Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients-home.lock")).unwrap();
        lock.lock().unwrap();
        let client = typescript();
        let npm =
            |arguments: &[&str]| succeed(Command::new("npm").args(arguments).current_dir(&client));
        let committed = fs::read_to_string(client.join("src/schema.ts")).unwrap();
        npm(&["run", "generate"]);
        let generated = fs::read_to_string(client.join("src/schema.ts")).unwrap();
        assert!(committed == generated, "run `npm run generate` in clients/typescript");
        assert!(npm(&["run", "smoke", "--", &url, &key]).contains("the TypeScript client works"));
        let packed = npm(&["pack", "--dry-run", "--json"]);
        for file in ["dist/index.js", "dist/index.d.ts", "dist/schema.d.ts", "README.md"] {
            assert!(
                packed.contains(&format!("\"{file}\"")),
                "{file} is not in the package: {packed}"
            );
        }
    };
    tokio::task::spawn_blocking(run).await.unwrap();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_is_current_and_works() {
    let (_api, server, key) = server().await;
    let url = format!("http://{}", server.public);
    let run = move || {
        let client = Path::new(ROOT).join("clients/python");
        let python = python::interpreter("api");
        succeed(Command::new(&python).arg(client.join("generate.py")).arg("--check"));
        let mut smoke = Command::new(&python);
        smoke.arg(client.join("smoke.py")).args([&url, &key]).env("PYTHONPATH", client.join("src"));
        assert!(succeed(&mut smoke).contains("the Python client works"));
        succeed(
            Command::new(&python)
                .args(["-m", "mypy", "--strict", "src", "smoke.py"])
                .current_dir(&client),
        );
    };
    tokio::task::spawn_blocking(run).await.unwrap();
    server.stop().await;
}
