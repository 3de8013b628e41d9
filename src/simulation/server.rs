//! Programs of Vitrine as processes of their own, which see nothing of the simulation.

use super::{SimulationError, client::Client};
use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A server of one arm with its own database and models. It ends with this value.
#[derive(Debug)]
pub(super) struct Server {
    process: Child,
    pub public: Client,
    pub admin: Client,
}

/// Where the programs are, and one arm's folder.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub programs: PathBuf,
    pub folder: PathBuf,
}

/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(60);

impl Place {
    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn database(&self) -> String {
        format!("sqlite:{}", self.at("shop.sqlite").display())
    }

    /// Runs a command to its end and returns what it printed.
    pub(super) fn run(&self, program: &str, arguments: &[&str]) -> Result<String, SimulationError> {
        let path = self.programs.join(program);
        let started = Command::new(&path).args(arguments).current_dir(&self.folder).stdin(Stdio::null()).output();
        let output = started.map_err(|source| SimulationError::Start { program: path, source })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let words = String::from_utf8_lossy(&output.stderr);
        let words: Vec<&str> = words.lines().rev().take(5).collect();
        Err(SimulationError::Program {
            command: format!("{program} {}", arguments.join(" ")),
            status: output.status,
            words: words.into_iter().rev().collect::<Vec<_>>().join(" | "),
        })
    }

    /// Starts a server on free ports of this machine.
    pub(super) fn serve(&self, arm: &str) -> Result<Server, SimulationError> {
        let key = format!("{:032x}", rand::random::<u128>());
        let log = self.at("server.log");
        let file = File::create(&log).map_err(SimulationError::io(&log))?;
        let program = self.programs.join("vitrine-server");
        let started = Command::new(&program)
            .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .args(["--database", &self.database(), "--models", "models"])
            .env("VITRINE__ADMIN__KEY", &key)
            .env("VITRINE__LOG__FORMAT", "json")
            .env("VITRINE__LOG__ACCESS", "0")
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn();
        let mut process = started.map_err(|source| SimulationError::Start { program, source })?;
        match listening(&log, &mut process) {
            Some((public, admin)) => {
                Ok(Server { process, public: Client::new(public, &key), admin: Client::new(admin, &key) })
            }
            None => {
                let _ = process.kill();
                let _ = process.wait();
                Err(SimulationError::NotListening { arm: arm.to_owned(), seconds: PATIENCE.as_secs(), log })
            }
        }
    }
}

/// The two addresses that a starting server writes into its log.
fn listening(log: &Path, process: &mut Child) -> Option<(SocketAddr, SocketAddr)> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE && matches!(process.try_wait(), Ok(None)) {
        let text = fs::read_to_string(log).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let address = |line: &serde_json::Value, name: &str| line["fields"][name].as_str()?.parse().ok();
        let found = lines.filter_map(|line| Some((address(&line, "public")?, address(&line, "admin")?))).next();
        if found.is_some() {
            return found;
        }
        thread::sleep(Duration::from_millis(50));
    }
    None
}

impl Server {
    /// Waits until the server answers requests.
    pub(super) fn wait_until_ready(&self) -> bool {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if self.public.is_ready() {
                return true;
            }
            thread::sleep(Duration::from_millis(50));
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its database is thrown away: nothing needs to be finished.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
