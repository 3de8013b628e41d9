//! `vitrine-server check-bundle`: the child process in which a server opens a bundle first.

use crate::serving::open_within;
use std::{io::Write, path::PathBuf, process::exit};

/// Opens a bundle within a limit of memory. Standard output says why it is refused; the command
/// ends when its standard input does.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The most memory that opening it may take
    #[arg(long, value_name = "MB")]
    memory_mb: u64,
    /// The bundle: `<models>/<name>/<version>`
    directory: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> ! {
    match open_within(&arguments.directory, arguments.memory_mb) {
        Ok(()) => exit(0),
        Err(reason) => {
            // A parent that has gone does not read it.
            let _ = std::io::stdout().write_all(reason.as_bytes());
            exit(1);
        }
    }
}
