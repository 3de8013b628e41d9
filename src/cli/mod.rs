//! The command lines of the three binaries: arguments in, one `run()` a command. Exit codes: 0
//! done, 1 failed, 2 bad input, 3 a model that the gate refused, 4 another retraining is running, 5
//! a version that was taken back, 141 nobody reads the output any more.

use crate::store::StoreError;
use std::{any::Any, panic, process::ExitCode};

pub mod data;
#[cfg(all(feature = "trainer", feature = "server"))]
pub mod demo;
#[cfg(feature = "trainer")]
mod lines;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "trainer")]
pub mod trainer;

/// An error of the user's input, as opposed to a fault of the machine: ends the program with exit
/// code 2.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct BadInput(#[from] pub anyhow::Error);

/// A model that is below the best baseline, so that no bundle was written: ends the program with
/// exit code 3.
#[cfg(feature = "trainer")]
#[derive(Debug, thiserror::Error)]
#[error("the gate is closed, and no bundle was written: {0}")]
pub struct Gated(pub Box<crate::bundle::Verdict>);

/// A candidate that must not ship; nothing has changed: ends the program with exit code 3.
#[cfg(feature = "trainer")]
#[derive(Debug, thiserror::Error)]
#[error("the gate refuses the candidate, and nothing has changed: {0}")]
pub struct Refused(pub String);

/// Another retraining of the shop is running: ends the program with exit code 4.
#[cfg(feature = "trainer")]
#[derive(Debug, thiserror::Error)]
#[error("another retraining of this shop is running; this one ends, and nothing has changed")]
pub struct Busy;

/// A version that made the servers worse: ends the program with exit code 5.
#[cfg(feature = "trainer")]
#[derive(Debug, thiserror::Error)]
#[error("version {version} was activated and did not prove itself: {reason}")]
pub struct TakenBack {
    pub version: String,
    pub reason: String,
}

/// The code of a program that ended because nobody reads its output any more: that of SIGPIPE in a
/// shell.
const OUTPUT_CLOSED: u8 = 141;

/// Runs a program. Where its output is closed before its end, as `| head` does, it ends without a
/// word.
pub fn main(run: fn() -> anyhow::Result<()>) -> ExitCode {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !is_closed_output(info.payload()) {
            usual(info);
        }
    }));
    match panic::catch_unwind(run) {
        Ok(result) => exit(result),
        Err(payload) if is_closed_output(&*payload) => ExitCode::from(OUTPUT_CLOSED),
        Err(payload) => panic::resume_unwind(payload),
    }
}

/// Whether a panic is that of `println!` into a closed pipe. The standard library has no other way
/// to tell, short of a check behind every line that is printed.
fn is_closed_output(payload: &(dyn Any + Send)) -> bool {
    payload.downcast_ref::<String>().is_some_and(|message| {
        message.starts_with("failed printing to std") && message.contains("Broken pipe")
    })
}

/// Prints the chain of causes to standard error and picks the exit code.
fn exit(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", told(&error));
            #[cfg(feature = "trainer")]
            if let Some(code) = trainer_code(&error) {
                return ExitCode::from(code);
            }
            if error.chain().any(|cause| cause.is::<BadInput>()) {
                ExitCode::from(2)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// The code of an ending that only the trainer knows.
#[cfg(feature = "trainer")]
fn trainer_code(error: &anyhow::Error) -> Option<u8> {
    let code = |cause: &(dyn std::error::Error + 'static)| {
        let refused = cause.is::<Gated>() || cause.is::<Refused>();
        refused
            .then_some(3)
            .or(cause.is::<Busy>().then_some(4))
            .or(cause.is::<TakenBack>().then_some(5))
    };
    error.chain().find_map(code)
}

/// An error and its causes in one line. Most errors end with the words of their cause, which then
/// are not said again.
fn told(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told.as_str() {
        "" => cause,
        told if told.ends_with(&cause) => told.to_owned(),
        told => format!("{told}: {cause}"),
    })
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

/// Data or a URL that a database refuses are the user's to mend (exit code 2).
pub(crate) fn user_error<T>(result: Result<T, StoreError>) -> anyhow::Result<T> {
    use StoreError::{BadArticle, Changed, Conflict, NotFound, NotMigrated, Refused};
    match result {
        Err(
            error @ (Refused(_)
            | BadArticle(_)
            | NotFound(_)
            | Conflict(_)
            | Changed(_)
            | NotMigrated { .. }),
        ) => Err(error).or_bad_input(),
        other => Ok(other?),
    }
}

/// Runs one asynchronous command to its end.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work))
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};

    #[test]
    fn every_cause_is_said_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read a.csv: {source}")]
        struct Reading {
            source: std::io::Error,
        }
        let reading = || Reading { source: std::io::Error::other("the disk is away") };
        assert_eq!(told(&anyhow!(reading())), "cannot read a.csv: the disk is away");
        let error = Err::<(), _>(reading()).or_bad_input().context("no data").unwrap_err();
        assert_eq!(told(&error), "no data: cannot read a.csv: the disk is away");
        assert_eq!(told(&anyhow!("cause").context("what failed")), "what failed: cause");
    }
}
