//! A throw-away Postgres: a cluster in a temporary directory, reached through a Unix socket in it,
//! so no port can be taken and nothing outside the directory is touched.
//!
//! Its data ends with the test process, however that ends: a watchdog holds the read end of a pipe
//! whose write end only this process has; when the pipe closes it stops the server and removes the
//! directory.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

pub struct Cluster {
    bin: PathBuf,
    directory: PathBuf,
    /// Dropped (and its standard input with it) at the end.
    watchdog: Child,
}

/// The cluster shared by all tests of one process.
pub fn shared() -> &'static Cluster {
    static SHARED: LazyLock<Cluster> = LazyLock::new(Cluster::start);
    &SHARED
}

impl Cluster {
    /// # Panics
    /// Without Postgres: these tests are never skipped in silence.
    pub fn start() -> Self {
        let bin = binaries().expect(
            "the tests need Postgres: install it (Debian: `apt-get install postgresql`) so that `initdb` and \
             `pg_ctl` are in PATH or in /usr/lib/postgresql/*/bin",
        );
        // Short, because the path of a Unix socket has at most 107 bytes.
        let directory = PathBuf::from("/tmp").join(format!(
            "vitrine-pg-{}-{}",
            std::process::id(),
            next_number()
        ));
        run(Command::new("mkdir").arg("-m").arg("700").arg(&directory));
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&directory));
        }
        let data = directory.join("data");
        run(server_user(&bin.join("initdb")).arg("-D").arg(&data).args([
            "--username=vitrine",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]));
        let cluster = Self { watchdog: watchdog(&bin, &directory), bin, directory };
        cluster.resume();
        cluster
    }

    /// Starts the server (again); returns when it accepts connections.
    pub fn resume(&self) {
        let socket = self.directory.display();
        let options = format!(
            "-c listen_addresses='' -c unix_socket_directories={socket} -c fsync=off -c full_page_writes=off \
             -c synchronous_commit=off -c max_connections=200"
        );
        let log = self.directory.join("log");
        run(self
            .control()
            .arg("-l")
            .arg(log)
            .arg("-o")
            .arg(options)
            .args(["-w", "-t", "60", "start"]));
    }

    /// Stops the server, breaking every connection.
    pub fn stop(&self) {
        run(self.control().args(["-m", "fast", "-w", "stop"]));
    }

    fn control(&self) -> Command {
        let mut command = server_user(&self.bin.join("pg_ctl"));
        command.arg("-D").arg(self.directory.join("data"));
        command
    }

    /// Makes an empty database and answers its URL.
    pub fn database(&self) -> String {
        let name = format!("test_{}", next_number());
        let mut psql = Command::new(self.bin.join("psql"));
        psql.arg("-h").arg(&self.directory).args(["-U", "vitrine", "-d", "postgres", "-qc"]);
        run(psql.arg(format!("CREATE DATABASE {name}")));
        format!("postgres://vitrine@localhost/{name}?host={}", self.directory.display())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

fn next_number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The directory of the newest installed version's programs.
fn binaries() -> Option<PathBuf> {
    let version =
        |path: &Path| -> Option<u32> { path.parent()?.file_name()?.to_str()?.parse().ok() };
    let mut debian: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    debian.sort_by_key(|path| std::cmp::Reverse(version(path)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    debian.into_iter().chain(std::env::split_paths(&path)).find(|directory| {
        ["initdb", "pg_ctl", "psql"].iter().all(|program| directory.join(program).exists())
    })
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("`id` runs");
    id.stdout.trim_ascii() == b"0"
}

/// Postgres refuses to run as root; Debian's package makes the user `postgres`.
fn server_user(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program);
    // The working directory may be closed to that user.
    command.current_dir("/tmp");
    command
}

fn watchdog(bin: &Path, directory: &Path) -> Child {
    let stop = server_user(&bin.join("pg_ctl"));
    let stop: Vec<_> = std::iter::once(stop.get_program())
        .chain(stop.get_args())
        .map(|s| s.to_string_lossy().into_owned())
        .collect();
    let script = format!(
        "trap '' INT TERM HUP; cat >/dev/null; cd /tmp; {} -D {dir}/data -m immediate stop >/dev/null 2>&1; rm -rf {dir}",
        stop.join(" "),
        dir = directory.display()
    );
    Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("`sh` runs")
}

fn run(command: &mut Command) {
    // A file, not a pipe: the server keeps the standard output it inherits open.
    let mut output = tempfile::tempfile().expect("a temporary file");
    let stdout = output.try_clone().expect("a second handle");
    let stderr = output.try_clone().expect("a third handle");
    let status = command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).status();
    if !status.as_ref().is_ok_and(std::process::ExitStatus::success) {
        let mut text = String::new();
        let _ = std::io::Seek::rewind(&mut output);
        let _ = std::io::Read::read_to_string(&mut output, &mut text);
        let _ = std::io::stderr().write_all(text.as_bytes());
        panic!("{command:?} failed: {status:?}");
    }
}
