//! Vectors on disk, a file an encoder: records of a text's hash and its vector.
//!
//! The file is locked while it is open: a second process waits and then finds what the first one
//! computed. A killed run leaves whole records and perhaps a part of one, which the next run cuts
//! off.

use super::TextError;
use hashbrown::HashMap;
use sha2::{Digest, Sha256};
use std::{
    fs::{File, OpenOptions, create_dir_all},
    io::{Read, Write},
    path::{Path, PathBuf},
};

/// The first half of a SHA-256.
type Key = [u8; 16];

pub(super) struct Cache {
    file: File,
    path: PathBuf,
    dim: usize,
    vectors: HashMap<Key, Box<[f32]>>,
}

impl Cache {
    /// Opens the file of an encoder in a folder and reads it; `fingerprint` is a safe file stem.
    pub fn open(folder: &Path, fingerprint: &str, dim: usize) -> Result<Self, TextError> {
        let path = folder.join(format!("{fingerprint}.vectors"));
        let io = |source| TextError::Io { path: path.clone(), source };
        create_dir_all(folder).map_err(io)?;
        let options = || OpenOptions::new().read(true).append(true).create(true).open(&path);
        let mut file = options().map_err(io)?;
        file.lock().map_err(io)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let record = size_of::<Key>() + dim * 4;
        let whole = bytes.len() / record * record;
        if whole < bytes.len() {
            file.set_len(whole as u64).map_err(io)?;
        }
        let mut vectors = HashMap::with_capacity(bytes.len() / record);
        for record in bytes[..whole].chunks_exact(record) {
            let (key, numbers) = record.split_at(size_of::<Key>());
            let number = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().unwrap_or_default());
            let vector: Box<[f32]> = numbers.chunks_exact(4).map(number).collect();
            // A damaged record is computed again.
            if let (Ok(key), true) = (Key::try_from(key), vector.iter().all(|x| x.is_finite())) {
                vectors.insert(key, vector);
            }
        }
        Ok(Self { file, path, dim, vectors })
    }

    pub fn get(&self, text: &str) -> Option<&[f32]> {
        self.vectors.get(&key(text)).map(|vector| &**vector)
    }

    /// Adds vectors and writes them through to the disk.
    pub fn add<'a>(
        &mut self,
        vectors: impl Iterator<Item = (&'a str, &'a [f32])>,
    ) -> Result<(), TextError> {
        let mut bytes = Vec::new();
        for (text, vector) in vectors {
            assert_eq!(vector.len(), self.dim, "a vector of another length");
            bytes.extend(key(text));
            bytes.extend(vector.iter().flat_map(|x| x.to_le_bytes()));
            self.vectors.insert(key(text), vector.into());
        }
        let written = self.file.write_all(&bytes).and_then(|()| self.file.sync_data());
        written.map_err(|source| TextError::Io { path: self.path.clone(), source })
    }
}

fn key(text: &str) -> Key {
    let mut key = Key::default();
    key.copy_from_slice(&Sha256::digest(text.as_bytes())[..size_of::<Key>()]);
    key
}
