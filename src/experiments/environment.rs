//! Where a run ran.

use serde::{Deserialize, Serialize};
use std::process::Command;

/// What a result may depend on besides configuration and data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Program and version.
    pub program: String,
    /// The arguments it was started with.
    pub command: Vec<String>,
    /// Operating system and processor architecture.
    pub system: String,
    pub cores: usize,
    /// Of the git repository that holds the working directory, if one does.
    pub revision: Option<Revision>,
}

/// A state of a git repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// The commit's hash.
    pub commit: String,
    /// Whether tracked files differ from it.
    pub dirty: bool,
}

impl Environment {
    /// That of this process.
    pub fn here() -> Self {
        Self {
            program: concat!("vitrine ", env!("CARGO_PKG_VERSION")).to_owned(),
            command: std::env::args().skip(1).collect(),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            cores: cores(),
            revision: Revision::here(),
        }
    }
}

/// Cores this process may use.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

impl Revision {
    /// `None` outside a repository, before its first commit, and where git is not installed.
    fn here() -> Option<Self> {
        let commit = git(&["rev-parse", "HEAD"])?;
        let dirty = !git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
        Some(Self { commit, dirty })
    }

    /// The first digits of the hash, with a `+` when files differ from it.
    pub fn short(&self) -> String {
        let digits = self.commit.get(..8).unwrap_or(&self.commit);
        format!("{digits}{}", if self.dirty { "+" } else { "" })
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
