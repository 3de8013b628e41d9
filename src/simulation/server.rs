//! Programs of Vitrine as processes of their own, which see nothing of the simulation.

use super::{SimulationError, client::Client};
use serde_json::json;
use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A server of one arm with its own database and models. It ends with this value.
#[derive(Debug)]
pub(super) struct Server {
    _process: Process,
    pub public: Client,
    pub admin: Client,
}

/// Where the programs are, and one arm's folder.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub programs: PathBuf,
    pub folder: PathBuf,
}

/// A command that has ended.
pub(super) struct Ended {
    pub status: ExitStatus,
    pub printed: String,
    /// The end of what it said on standard error.
    pub words: String,
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

    pub(super) fn not_listening(&self, arm: &str) -> SimulationError {
        let log = self.at("server.log");
        SimulationError::NotListening { arm: arm.to_owned(), seconds: PATIENCE.as_secs(), log }
    }

    /// Runs a command that must succeed.
    pub(super) fn run(&self, program: &str, arguments: &[&str]) -> Result<(), SimulationError> {
        let Ended { status, words, .. } = self.end(program, arguments)?;
        let command = || format!("{program} {}", arguments.join(" "));
        if status.success() {
            Ok(())
        } else {
            Err(SimulationError::Program { command: command(), status, words })
        }
    }

    /// Runs a command to its end, whatever that is. What it says goes into a log.
    pub(super) fn end(&self, program: &str, arguments: &[&str]) -> Result<Ended, SimulationError> {
        let path = self.programs.join(program);
        let started = Command::new(&path)
            .args(arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .output();
        let output = started.map_err(|source| SimulationError::Start { program: path, source })?;
        let said = String::from_utf8_lossy(&output.stderr);
        let log = self.at(&format!("{program}.log"));
        fs::write(&log, &*said).map_err(SimulationError::io(&log))?;
        let last: Vec<&str> = said.lines().rev().take(5).collect();
        let words = last.into_iter().rev().collect::<Vec<_>>().join(" | ");
        Ok(Ended {
            status: output.status,
            printed: String::from_utf8_lossy(&output.stdout).into_owned(),
            words,
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
        let addresses = listening(&log, &mut process);
        // From here on the process ends with its value, whatever fails.
        let process = Process(process);
        let (public, admin) = addresses.ok_or_else(|| self.not_listening(arm))?;
        let admin = Client::new(admin, &key);
        let key = json!({"name": "simulated-shop", "scopes": ["recommend", "events"]});
        let key = admin.post("/admin/v1/keys", &key)?;
        let public = Client::new(public, key["key"].as_str().unwrap_or_default());
        Ok(Server { _process: process, public, admin })
    }
}

/// The two addresses that a starting server writes into its log.
fn listening(log: &Path, process: &mut Child) -> Option<(SocketAddr, SocketAddr)> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE && matches!(process.try_wait(), Ok(None)) {
        let text = fs::read_to_string(log).unwrap_or_default();
        let lines =
            text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let address =
            |line: &serde_json::Value, name: &str| line["fields"][name].as_str()?.parse().ok();
        let found = lines
            .filter_map(|line| Some((address(&line, "public")?, address(&line, "admin")?)))
            .next();
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

/// Ends with its value.
#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Its database is thrown away: nothing needs to be finished.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
