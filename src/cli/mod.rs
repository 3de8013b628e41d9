//! The command lines of the three binaries: arguments in, one `run()` a command. Exit codes: 0 done,
//! 1 failed, 2 bad input.

use std::process::ExitCode;

pub mod data;
#[cfg(all(feature = "trainer", feature = "server"))]
pub mod demo;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "trainer")]
pub mod trainer;

/// An error of the user's input, as opposed to a fault of the machine: ends the program with exit code 2.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct BadInput(#[from] pub anyhow::Error);

/// Prints the chain of causes to standard error and picks the exit code.
pub fn exit(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            if error.chain().any(|cause| cause.is::<BadInput>()) { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// Extension that marks an error as bad input.
pub trait OrBadInput<T> {
    /// # Errors
    /// The same error, marked as the user's to mend (exit code 2).
    fn or_bad_input(self) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> OrBadInput<T> for Result<T, E> {
    fn or_bad_input(self) -> anyhow::Result<T> {
        self.map_err(|error| BadInput(error.into()).into())
    }
}
