//! A tiny shop, a configuration for it, and a folder for each test.

use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

pub const CONFIG: &str = r#"
    [model]
    name = "tiny"
    family = "two-tower"
    dim = 8
    query_layers = [8]
    item_layers = [8]
    normalize = true
    [[features.query]]
    source = "customer_id"
    encoding = "embedding"
    dim = 4
    [[features.query]]
    source = "history"
    encoding = "history"
    dim = 4
    length = 3
    [[features.item]]
    source = "article_id"
    encoding = "embedding"
    dim = 4
    [[features.item]]
    source = "garment_group_name"
    encoding = "one-hot"
    [loss]
    temperature = 0.2
    [optimizer]
    learning_rate = 0.02
    [training]
    epochs = 4
    batch_size = 128
    threads = 1
    patience = 2
    metric = "recall@12"
    refit = "validation"
    [index]
    m = 8
    ef_construction = 40
    ef_search = 40
"#;

/// A shop that all tests read, and a folder of its own for each.
pub fn shop() -> &'static Path {
    static SHOP: OnceLock<PathBuf> = OnceLock::new();
    SHOP.get_or_init(|| {
        let out = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("experiments-shop-{}", std::process::id()));
        let out_text = out.to_str().unwrap();
        let sizes = [
            "--articles",
            "120",
            "--customers",
            "150",
            "--transactions",
            "4000",
            "--days",
            "60",
            "--force",
        ];
        good(Command::new(PROGRAM).args(["generate", "--out", out_text]).args(sizes));
        out
    })
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_vitrine-trainer");

pub struct Place(pub tempfile::TempDir);

impl Place {
    pub fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("tiny.toml", CONFIG);
        place
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    pub fn read(&self, name: impl AsRef<Path>) -> String {
        std::fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    /// The program with these arguments, words apart by blanks.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        command.current_dir(self.0.path()).args(line.split_whitespace());
        command
    }

    /// The same, for commands that read the shop.
    pub fn on_shop(&self, line: &str) -> Command {
        let mut command = self.command(line);
        command.arg("--data").arg(shop());
        command
    }

    pub fn runs(&self, line: &str) -> String {
        stdout(&good(&mut self.command(&format!("runs {line}"))))
    }

    pub fn list(&self) -> Vec<Value> {
        serde_json::from_str(&self.runs("list --json")).unwrap()
    }
}

#[track_caller]
pub fn good(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// What a command that fails with this code says.
#[track_caller]
pub fn bad(command: &mut Command, code: i32) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{command:?}: {error}");
    error
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}
