//! Whether a bundle knows a customer by name.

use super::{BundleError, file_names};
use crate::features::source;
use std::{
    fs::File,
    io::{BufRead, BufReader, ErrorKind},
    path::Path,
};

/// Whether the customer's id stands in the vocabulary of customers: the only place of a bundle for
/// it. Reads line by line, so a vocabulary of millions takes no memory.
///
/// # Errors
/// [`BundleError::Io`] when the file is there and cannot be read.
pub fn mentions_customer(bundle: &Path, id: &str) -> Result<bool, BundleError> {
    let path = bundle.join(file_names::VOCABULARIES).join(format!("{}.txt", source::CUSTOMER_ID));
    let file = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        file => file.map_err(BundleError::io(&path))?,
    };
    let mut lines = BufReader::new(file);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).map_err(BundleError::io(&path))? > 0 {
        if line.strip_suffix(b"\n").unwrap_or(&line) == id.as_bytes() {
            return Ok(true);
        }
        line.clear();
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_as_a_whole_line() {
        let bundle = tempfile::tempdir().unwrap();
        let mentions = |id: &str| mentions_customer(bundle.path(), id).unwrap();
        assert!(!mentions("c1"), "no vocabulary of customers");
        let vocabularies = bundle.path().join(file_names::VOCABULARIES);
        std::fs::create_dir(&vocabularies).unwrap();
        std::fs::write(vocabularies.join("customer_id.txt"), "c12\nc1 x\nc3\n").unwrap();
        assert_eq!(["c12", "c1", "c1 x", "c3", ""].map(mentions), [true, false, true, true, false]);
    }
}
