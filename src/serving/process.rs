//! What the system says of this process, under the names that Prometheus clients share.

use std::{fmt::Write, fs};

/// Kernels tell times to programs in hundredths of a second.
const TICKS: f64 = 100.0;

/// Adds the metrics of this process to an exposition; those that the system does not tell are left
/// out.
pub(super) fn render(text: &mut String) {
    let mut add = |name: &str, kind: &str, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n");
        }
    };
    let stat = Stat::read();
    let field = |n| stat.as_ref().and_then(|stat| stat.field(n));
    let ticks = field(14).zip(field(15)).map(|(user, system)| user + system);
    add(
        "process_cpu_seconds_total",
        "counter",
        "Processor time used, in seconds.",
        ticks.map(|ticks| ticks / TICKS),
    );
    add("process_threads", "gauge", "Threads.", field(20));
    add("process_virtual_memory_bytes", "gauge", "Virtual memory, in bytes.", field(23));
    add("process_resident_memory_bytes", "gauge", "Memory in use, in bytes.", resident());
    let started = field(22).zip(boot_time()).map(|(ticks, boot)| boot + ticks / TICKS);
    add(
        "process_start_time_seconds",
        "gauge",
        "Start of the process, in seconds since 1970.",
        started,
    );
    let open = fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as f64);
    add("process_open_fds", "gauge", "Open files.", open);
    let most = rlimit::Resource::NOFILE.get().ok().map(|(soft, _)| soft as f64);
    add("process_max_fds", "gauge", "Files that may be open.", most);
}

/// `/proc/self/stat`
struct Stat(String);

impl Stat {
    fn read() -> Option<Self> {
        fs::read_to_string("/proc/self/stat").ok().map(Self)
    }

    /// Counted from 1, as its manual does; from the third on.
    fn field(&self, n: usize) -> Option<f64> {
        // The second is the program's name, which may hold blanks and brackets.
        let (_, rest) = self.0.rsplit_once(')')?;
        rest.split_ascii_whitespace().nth(n - 3)?.parse().ok()
    }
}

fn resident() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024.0)
}

/// In seconds since 1970.
fn boot_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_any_name() {
        let stat = Stat("7 (a) b (c) S 1 2".into());
        assert_eq!((stat.field(4), stat.field(5), stat.field(6)), (Some(1.0), Some(2.0), None));
    }
}
