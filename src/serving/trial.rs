//! A bundle is opened by a process of its own first, under limits of memory and time.
//!
//! Checksums say that a bundle arrived as it was written, not that it is harmless: an `Add` of two
//! small constants can ask for 640 GB, a product of three for days. Looking at shapes beforehand
//! does not find every such graph, because the ONNX reader computes constants while it reads. So a
//! child process (`vitrine-server check-bundle`, a hidden command) opens the bundle, which runs
//! every plan of its towers and the golden requests, while its parent watches the clock. What the
//! child survives, the server opens in turn: the same bytes, since a version is a hash over the
//! checksums of all files. A child that is no longer wanted is killed, so a load can be stopped at
//! any moment.

use super::ModelsConfig;
use crate::bundle::Bundle;
use std::{
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};
use tokio::task::spawn_blocking;

/// The hidden command of `vitrine-server` that a trial runs.
const COMMAND: &str = "check-bundle";

/// How much of what a child says is read.
const MAX_REASON: u64 = 16 << 10;

/// How bundles are tried before they are opened.
#[derive(Debug, Clone)]
pub(super) struct Trial {
    /// `None`: bundles are not tried.
    program: Option<PathBuf>,
    memory_mb: u64,
    longest: Duration,
}

impl Trial {
    pub(super) fn new(config: &ModelsConfig) -> Self {
        let ModelsConfig { checker, load_memory_mb, load_timeout, .. } = config;
        Self { program: checker.clone(), memory_mb: *load_memory_mb, longest: *load_timeout }
    }

    /// Opens the bundle in a child process. Dropping the future kills the child.
    ///
    /// # Errors
    /// Why the bundle must not be opened here.
    pub(super) async fn run(&self, directory: &Path) -> Result<(), String> {
        let Some(program) = &self.program else { return Ok(()) };
        let memory = self.memory_mb.to_string();
        let mut child = Command::new(program)
            .args([COMMAND, "--memory-mb", &memory])
            .arg(directory)
            // The child ends when this pipe closes, even if this process is killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map(Killed)
            .map_err(|error| format!("cannot start {} to check it: {error}", program.display()))?;
        let said = child.0.stdout.take();
        // Ends when the child does.
        let said = spawn_blocking(move || {
            let mut text = String::new();
            said.map_or(Ok(0), |said| said.take(MAX_REASON).read_to_string(&mut text)).map(|_| text)
        });
        let Ok(said) = tokio::time::timeout(self.longest, said).await else {
            let seconds = self.longest.as_secs();
            return Err(format!("checking it took more than {seconds} s (`models.load_seconds`)"));
        };
        let status = child.0.wait().map_err(|error| format!("the check was lost: {error}"))?;
        match said {
            Ok(Ok(_)) if status.success() => Ok(()),
            Ok(Ok(reason)) if status.code() == Some(1) && !reason.is_empty() => Err(reason),
            _ => Err(self.describe(status)),
        }
    }

    /// Why a child ended that did not say why.
    fn describe(&self, status: ExitStatus) -> String {
        let memory = self.memory_mb;
        match status.code() {
            // The runtime aborts a process that gets no memory.
            None => format!(
                "checking it needed more than {memory} MB of memory (`models.load_memory_mb`), or failed badly \
                 ({status})"
            ),
            Some(_) => format!(
                "checking it within {memory} MB (`models.load_memory_mb`) failed ({status})"
            ),
        }
    }
}

/// A child that ends with its owner.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the child does: opens the bundle within `memory_mb`.
///
/// # Errors
/// Why the bundle is refused, or that the limit cannot be set.
pub fn open_within(directory: &Path, memory_mb: u64) -> Result<(), String> {
    let bytes = memory_mb.saturating_mul(1 << 20);
    let most = mapped().saturating_add(bytes);
    let limited = rlimit::setrlimit(rlimit::Resource::AS, most, most)
        .and_then(|()| rlimit::setrlimit(rlimit::Resource::CORE, 0, 0));
    limited.map_err(|error| format!("its memory cannot be limited: {error}"))?;
    // Where the machine has less memory than the limit allows, this process goes first. Not every
    // system has the file.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    end_with_parent();
    // A panic while a bundle is opened becomes an error.
    std::panic::set_hook(Box::new(|_| {}));
    let manifest = Bundle::open_metadata(directory).map_err(|error| error.to_string())?;
    let files = manifest.files.values().fold(0_u64, |sum, file| sum.saturating_add(file.bytes));
    if files > bytes {
        let files = files >> 20;
        return Err(format!(
            "its files have {files} MB, more than the {memory_mb} MB that checking it may take (`models.load_memory_mb`)"
        ));
    }
    Bundle::open(directory).map(drop).map_err(|error| error.to_string())
}

/// Bytes of address space that this process has already, which its allocator reserves in advance. 0
/// where the system does not tell.
fn mapped() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kilobytes = size.and_then(|size| size.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0).saturating_mul(1 << 10)
}

/// Ends the process when its standard input ends, that is, when its parent does.
fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(2);
    });
}
