//! Checkpoints: everything a run needs to go on as if it had never stopped.
//!
//! A file is the magic, the length of a JSON header, the header ([`State`]), the model's arrays
//! and those of the average (`Average`) in a fixed order and the machine's byte order, and the
//! sha256 of all that. It is written beside its place, flushed and renamed: a crash leaves the
//! checkpoint before.

use super::{average::Average, learner::Learner};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

/// The last digit rises with every change of the format.
const MAGIC: &[u8; 8] = b"VTRCKPT2";

/// Longest header that is believed.
const MAX_HEADER: u64 = 16 << 20;

/// How far a run has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The whole configuration; a checkpoint only fits its own.
    pub config: serde_json::Value,
    /// Fingerprint of the data.
    pub data: String,
    /// `Some(epochs)` once the number of epochs is known and the model is trained again with the
    /// validation purchases.
    pub refit: Option<u32>,
    /// Finished epochs, and finished batches of the one under way.
    pub epoch: u32,
    pub batch: u32,
    /// Optimiser steps taken.
    pub steps: u32,
    /// Σ loss of the finished batches of the epoch under way.
    pub loss: f64,
    pub best: Option<Best>,
}

/// The best epoch so far (counted from 1).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    pub epoch: u32,
    /// Its validation metric.
    pub metric: f64,
}

#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("checkpoint {}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("checkpoint {} is damaged ({problem}); remove it to start afresh", path.display())]
    Damaged { path: PathBuf, problem: String },
    #[error("checkpoint {} belongs to another run: {}. Use the same configuration and data, or train without --resume", path.display(), differences.join("; "))]
    Other { path: PathBuf, differences: Vec<String> },
    #[error(
        "checkpoint {} is of epoch {found}, but {} names epoch {wanted} as the best: one of the two is from another run. \
         Train without --resume",
        path.display(), last.display()
    )]
    NotTheBest { path: PathBuf, last: PathBuf, found: u32, wanted: u32 },
}

/// Writes a checkpoint, whole or not at all.
///
/// # Errors
/// [`CheckpointError::Io`], such as a full disk; the checkpoint before is then still there.
pub fn write(
    path: &Path,
    state: &State,
    model: &mut impl Learner,
    average: &mut Average,
) -> Result<(), CheckpointError> {
    let fail = |source| CheckpointError::Io { path: path.to_owned(), source };
    let partial = path.with_extension("partial");
    let mut write = || -> std::io::Result<()> {
        let mut out = Hashing {
            inner: BufWriter::with_capacity(1 << 20, File::create(&partial)?),
            hash: Sha256::new(),
        };
        let header = serde_json::to_vec(state)?;
        out.write_all(MAGIC)?;
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        for array in model.arrays().into_iter().chain(average.arrays()) {
            out.write_all(array)?;
        }
        let Hashing { mut inner, hash } = out;
        inner.write_all(&hash.finalize())?;
        inner.into_inner().map_err(|error| error.into_error())?.sync_all()?;
        std::fs::rename(&partial, path)?;
        match path.parent() {
            Some(directory) => File::open(directory)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(|error| {
        // Nothing more can be done about a leftover that cannot be removed either.
        let _ = std::fs::remove_file(&partial);
        fail(error)
    })
}

/// Reads a checkpoint's header alone.
///
/// # Errors
/// [`CheckpointError`] when the file is missing or its beginning is not a checkpoint's.
pub fn read_state(path: &Path) -> Result<State, CheckpointError> {
    open(path).map(|(state, _)| state)
}

/// Reads a checkpoint into a model of the same shape, and the average of its weights. On an error
/// both hold a mixture and must not be used.
///
/// # Errors
/// [`CheckpointError`] when the file is missing, cut short, changed, or of a model of another
/// shape.
pub fn read(
    path: &Path,
    model: &mut impl Learner,
    average: &mut Average,
) -> Result<State, CheckpointError> {
    let damaged = |problem: &str| CheckpointError::Damaged {
        path: path.to_owned(),
        problem: problem.to_owned(),
    };
    let (state, mut input) = open(path)?;
    for array in model.arrays().into_iter().chain(average.arrays()) {
        input.read_exact(array).map_err(|_| damaged("it ends early"))?;
    }
    let hash = input.hash.finalize_reset();
    let mut expected = [0; 32];
    input.inner.read_exact(&mut expected).map_err(|_| damaged("it ends early"))?;
    if hash[..] != expected || input.inner.read(&mut [0]).is_ok_and(|n| n > 0) {
        return Err(damaged("its checksum or length is wrong"));
    }
    *model.steps() = state.steps;
    Ok(state)
}

fn open(path: &Path) -> Result<(State, Hashing<BufReader<File>>), CheckpointError> {
    let fail = |source| CheckpointError::Io { path: path.to_owned(), source };
    let damaged = |problem: String| CheckpointError::Damaged { path: path.to_owned(), problem };
    let file = File::open(path).map_err(fail)?;
    let mut input = Hashing { inner: BufReader::with_capacity(1 << 20, file), hash: Sha256::new() };
    let mut start = [0; 16];
    input.read_exact(&mut start).map_err(|_| damaged("it ends early".into()))?;
    let (magic, length) = start.split_at(8);
    let length = length.try_into().map_or(u64::MAX, u64::from_le_bytes);
    if magic != MAGIC && magic.starts_with(&MAGIC[..7]) {
        return Err(damaged("another version of Vitrine wrote it".into()));
    }
    if magic != MAGIC || length > MAX_HEADER {
        return Err(damaged("it does not begin like one".into()));
    }
    let mut header = vec![0; length as usize];
    input.read_exact(&mut header).map_err(|_| damaged("it ends early".into()))?;
    let state =
        serde_json::from_slice(&header).map_err(|error| damaged(format!("header: {error}")))?;
    Ok((state, input))
}

/// Where a checkpoint's configuration differs from `now`: `key: was …, is now …`.
pub fn differences(was: &serde_json::Value, now: &serde_json::Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", was, now, &mut found);
    found
}

fn compare(key: &str, was: &serde_json::Value, now: &serde_json::Value, found: &mut Vec<String>) {
    use serde_json::Value::{Array, Null, Object};
    let below = |part: &str| if key.is_empty() { part.to_owned() } else { format!("{key}.{part}") };
    match (was, now) {
        (Object(was), Object(now)) => {
            let names: std::collections::BTreeSet<&String> = was.keys().chain(now.keys()).collect();
            for name in names {
                compare(
                    &below(name),
                    was.get(name).unwrap_or(&Null),
                    now.get(name).unwrap_or(&Null),
                    found,
                );
            }
        }
        (Array(was), Array(now)) if was.len() == now.len() => {
            for (i, (was, now)) in was.iter().zip(now).enumerate() {
                compare(&below(&i.to_string()), was, now, found);
            }
        }
        (was, now) if was != now => found.push(format!("`{key}` was {was}, is now {now}")),
        _ => {}
    }
}

/// Hashes what passes through.
struct Hashing<T> {
    inner: T,
    hash: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.hash.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(bytes)?;
        self.hash.update(&bytes[..n]);
        Ok(n)
    }
}
