//! Drawn negatives on disk, so that every run on the same purchases learns from the same pairs.
//!
//! A file is the magic, its key (the sha256 of everything the draw depends on), the articles, and
//! the sha256 of all that. It bears the beginning of the key in its name, so that runs on other
//! data, seeds or windows never meet it. A damaged one is drawn again, with a message. It is
//! written beside its place and renamed.

use crate::{
    dataset::{NO_NEGATIVE, NegativeDraw},
    training::Trainer,
};
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{ErrorKind, Write},
    path::Path,
};

/// Its last digit rises when the same draw gives other articles.
const MAGIC: &[u8; 8] = b"VTRNEGS1";
const HASH: usize = 32;

impl Trainer<'_> {
    /// A negative for each of the purchases `rows`, among the articles that were bought in them:
    /// from the cache where it has those of this data, seed and window, else drawn and kept there.
    pub(crate) fn negatives(&self, rows: &[u32]) -> Vec<u32> {
        let mut pool: Vec<u32> =
            rows.iter().map(|&row| self.dataset.purchases.article[row as usize]).collect();
        pool.sort_unstable();
        pool.dedup();
        let seed = self.config.training.seed;
        let draw = NegativeDraw {
            dataset: self.dataset,
            histories: self.histories,
            rows,
            pool: &pool,
            seed,
        };
        let key = self.key(&draw);
        let name: String = key[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let path = self.cache.join(format!("negatives-{name}.bin"));
        match read(&path, &key) {
            Ok(Some(articles)) => return articles,
            Ok(None) => {}
            Err(problem) => {
                tracing::info!(
                    "the drawn negatives in {} are damaged ({problem}); drawing them again",
                    path.display()
                )
            }
        }
        let negatives = draw.draw();
        let missing = negatives.articles.iter().filter(|&&article| article == NO_NEGATIVE).count();
        if negatives.repeated + missing > 0 {
            tracing::info!(
                "note: of {} purchases {} have a negative that repeats and {missing} none, because their customers have \
                 bought nearly all of the {} articles",
                rows.len(),
                negatives.repeated,
                pool.len()
            );
        }
        if let Err(error) = write(&path, &key, &negatives.articles) {
            // The next run draws the same ones.
            tracing::warn!("cannot keep the drawn negatives in {}: {error}", path.display());
        }
        negatives.articles
    }

    /// What the draw depends on; the pool follows from the rows.
    fn key(&self, draw: &NegativeDraw<'_>) -> [u8; HASH] {
        let mut hash = Sha256::new();
        hash.update(self.fingerprint);
        hash.update(draw.seed.to_le_bytes());
        draw.rows.iter().for_each(|row| hash.update(row.to_le_bytes()));
        hash.finalize().into()
    }
}

/// The articles in a file of this key; `None` when there is no such file.
///
/// # Errors
/// What is wrong with the file.
fn read(path: &Path, key: &[u8; HASH]) -> Result<Option<Vec<u32>>, String> {
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| error.to_string())?,
    };
    let content = bytes.strip_prefix(MAGIC).ok_or("it does not begin like one")?;
    let (found, content) = content.split_at_checked(HASH).ok_or("it ends early")?;
    let (content, checksum) = content.split_last_chunk::<HASH>().ok_or("it ends early")?;
    if Sha256::digest(&bytes[..bytes.len() - HASH])[..] != *checksum {
        return Err("its checksum is wrong".to_owned());
    }
    let articles = content
        .chunks_exact(4)
        .map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    Ok((found == key).then(|| articles.collect()))
}

fn write(path: &Path, key: &[u8; HASH], articles: &[u32]) -> std::io::Result<()> {
    let mut bytes = [MAGIC, key.as_slice()].concat();
    bytes.extend(articles.iter().flat_map(|article| article.to_le_bytes()));
    bytes.extend(Sha256::digest(&bytes));
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    // Runs side by side may write the same file: each its own, and the last one stays.
    let mut partial = tempfile::Builder::new()
        .prefix(".negatives-")
        .make_in(directory, |path| File::create_new(path))?;
    partial.write_all(&bytes)?;
    partial.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_answers_for_its_own_key_and_only_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("negatives.bin");
        assert_eq!(read(&path, &[1; HASH]), Ok(None));
        for articles in [vec![], vec![3, NO_NEGATIVE, 5]] {
            write(&path, &[1; HASH], &articles).unwrap();
            assert_eq!(read(&path, &[1; HASH]), Ok(Some(articles)));
            assert_eq!(read(&path, &[2; HASH]), Ok(None));
        }
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            std::fs::write(&path, flipped).unwrap();
            assert!(read(&path, &[1; HASH]).is_err(), "byte {at}");
            std::fs::write(&path, &whole[..at]).unwrap();
            assert!(read(&path, &[1; HASH]).is_err(), "the first {at} bytes");
        }
    }
}
