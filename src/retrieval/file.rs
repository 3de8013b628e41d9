//! What `items.bin` and `index.bin` share: a 64-byte header with a checksum of its own, and atomic
//! writing.
//!
//! ```text
//! 0  magic        8 bytes
//! 8  version      u32        12 zero         u32
//! 16 fields       5 × u64, their meaning is the format's
//! 56 checksum     u64, FNV-1a of bytes 0..56
//! ```
//! All numbers are little-endian. Content integrity is the bundle's matter (sha256 of every file);
//! here every length, id and number is validated, so that any bytes are refused or safe.

use super::RetrievalError;
use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
};

#[cfg(target_endian = "big")]
compile_error!("items.bin and index.bin are little-endian");

pub(super) const HEADER: usize = 64;
const FIELDS: usize = 5;

/// What tells one format from another.
pub(super) struct Format {
    pub magic: [u8; 8],
    pub version: u32,
    /// For error messages: `an item table`.
    pub what: &'static str,
}

impl Format {
    /// Opens `path` and reads its header: the file behind the header, the header's fields, and the
    /// length of the content in bytes.
    pub(super) fn open(&self, path: &Path) -> Result<(File, [u64; FIELDS], u64), RetrievalError> {
        let mut file = File::open(path).map_err(RetrievalError::io(path))?;
        let length = file.metadata().map_err(RetrievalError::io(path))?.len();
        let refuse = |reason: String| Err(RetrievalError::format(path, reason));
        if length < HEADER as u64 {
            return refuse(format!("{length} bytes are too few for {}", self.what));
        }
        let mut header = [0; HEADER];
        file.read_exact(&mut header).map_err(RetrievalError::io(path))?;
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| header[at + i]));
        if header[..8] != self.magic {
            return refuse(format!("is not {}", self.what));
        }
        if number(8) != u64::from(self.version) {
            return refuse(format!(
                "is {} of format {}, this program reads {}",
                self.what,
                number(8),
                self.version
            ));
        }
        if number(56) != fnv1a(&header[..56]) {
            return refuse("the header's checksum does not match".into());
        }
        Ok((file, std::array::from_fn(|i| number(16 + 8 * i)), length - HEADER as u64))
    }

    /// Writes header and content to a temporary file beside `path`, syncs it and renames it: the
    /// file is whole or absent.
    pub(super) fn write(
        &self,
        path: &Path,
        fields: [u64; FIELDS],
        content: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
    ) -> Result<(), RetrievalError> {
        let mut header = Vec::with_capacity(HEADER);
        header.extend(self.magic);
        header.extend(u64::from(self.version).to_le_bytes());
        header.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
        header.extend(fnv1a(&header).to_le_bytes());
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(directory)?;
            let mut out = std::io::BufWriter::with_capacity(1 << 20, file.as_file_mut());
            out.write_all(&header)?;
            content(&mut out)?;
            out.flush()?;
            drop(out);
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                // Temporary files are private; a bundle is for whoever may read its directory.
                file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
            }
            file.as_file().sync_all()?;
            file.persist(path)?;
            Ok(())
        };
        write().map_err(RetrievalError::io(path))
    }
}

pub(super) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
