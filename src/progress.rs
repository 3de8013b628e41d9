//! Progress of long work: a bar on a terminal, plain lines otherwise. One place decides which.

use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io::IsTerminal,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// A running piece of work. On a terminal it draws a bar; elsewhere it writes a line at most every
/// five seconds and one at the end, to standard error.
pub struct Progress {
    bar: Option<ProgressBar>,
    name: String,
    total: u64,
    done: AtomicU64,
    started: Instant,
    last_line: AtomicU64,
}

impl Progress {
    /// `total` counts `unit`s; 0 when unknown.
    pub fn new(name: &str, total: u64, unit: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let template = if total == 0 {
                format!("{{prefix:24}} {{spinner}} {{human_pos}} {unit} {{elapsed}}")
            } else {
                format!(
                    "{{prefix:24}} {{wide_bar}} {{human_pos}}/{{human_len}} {unit} {{eta}} {{msg}}"
                )
            };
            let bar = if total == 0 { ProgressBar::new_spinner() } else { ProgressBar::new(total) };
            if let Ok(style) = ProgressStyle::with_template(&template) {
                bar.set_style(style);
            }
            bar.set_prefix(name.to_owned());
            bar
        });
        Self {
            bar,
            name: name.to_owned(),
            total,
            done: AtomicU64::new(0),
            started: Instant::now(),
            last_line: AtomicU64::new(0),
        }
    }

    /// Adds `n` finished units; callable from any thread.
    pub fn add(&self, n: u64) {
        let done = self.done.fetch_add(n, Ordering::Relaxed) + n;
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            return;
        }
        let now = self.started.elapsed().as_secs();
        let last = self.last_line.load(Ordering::Relaxed);
        if now >= last + 5
            && self
                .last_line
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            if self.total == 0 {
                eprintln!("{}: {done}", self.name);
            } else {
                eprintln!(
                    "{}: {done}/{} ({} %)",
                    self.name,
                    self.total,
                    done * 100 / self.total.max(1)
                );
            }
        }
    }

    /// A short text behind the bar, such as the current loss.
    pub fn message(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.to_owned());
        }
    }

    /// Ends the work with a line `name: text in 3.2 s`.
    pub fn finish(self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        eprintln!("{}: {text} in {}", self.name, human(self.started.elapsed()));
    }
}

/// `850 ms`, `3.2 s`, `4 min 05 s`.
pub fn human(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1e3)
    } else if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{} min {:02} s", seconds as u64 / 60, seconds as u64 % 60)
    }
}
