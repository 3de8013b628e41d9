//! The bytes of a file: decompressed, decoded to UTF-8, and bounded.
//!
//! What a file is compressed with is told by its first bytes, not by its name, since files are
//! renamed. Nothing is held in memory but the buffers of the decompressors.

use super::error::{DatasetError, FileName};
use super::signature::{self, Signature};
use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8};
use flate2::bufread::MultiGzDecoder;
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Cursor, Read},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// How many times its compressed size a file may become: more than any table does, less than a zip
/// bomb.
pub(super) const MOST_EXPANSION: u64 = 300;
/// Bytes below which the expansion does not matter.
pub(super) const SMALL: u64 = 256 << 20;
/// How often a file may be compressed: a `.gz` in a `.zip` is common, more is not.
const MOST_LAYERS: usize = 2;

/// A file, or a member of an archive, that is read from front to back.
pub(super) struct Input {
    pub file: FileName,
    /// Bytes that it will give, as far as known; 0: unknown.
    pub size: u64,
    reader: Box<dyn Read + Send>,
}

impl Input {
    /// Opens a file: decompressed, not yet decoded.
    pub fn open(path: &Path) -> Result<Self, DatasetError> {
        let io = |source| DatasetError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        let size = file.metadata().map_err(io)?.len();
        Self::expand(path.into(), Box::new(file), size, MOST_LAYERS)
    }

    /// The bytes of `reader`, which are those of `file`, decompressed as often as they are
    /// compressed.
    pub fn expand(
        file: FileName,
        mut reader: Box<dyn Read + Send>,
        size: u64,
        layers: usize,
    ) -> Result<Self, DatasetError> {
        let head =
            peek(&mut *reader, signature::LENGTH).map_err(|source| unreadable(&file, source))?;
        let signature = signature::of(&head);
        let whole: Box<dyn Read + Send> = Box::new(Cursor::new(head).chain(reader));
        let compressed = |inner| Self::expand(file.clone(), inner, 0, layers.saturating_sub(1));
        match signature {
            Some(Signature::Gzip | Signature::Zstd) if layers == 0 => {
                let detail = "the file is compressed several times; unpack it first".to_owned();
                Err(DatasetError::Unsupported { file, detail })
            }
            Some(Signature::Gzip) => compressed(
                bounded(whole, |inner| Ok(Box::new(MultiGzDecoder::new(inner))))
                    .map_err(|source| unreadable(&file, source))?,
            ),
            Some(Signature::Zstd) => compressed(
                bounded(whole, |inner| {
                    Ok(Box::new(zstd::stream::read::Decoder::with_buffer(inner)?))
                })
                .map_err(|source| unreadable(&file, source))?,
            ),
            Some(Signature::Foreign(detail)) => {
                Err(DatasetError::Unsupported { file, detail: detail.to_owned() })
            }
            _ => Ok(Self { file, size, reader: whole }),
        }
    }

    /// The text as UTF-8, without a byte order mark: in the encoding of that label, else as a byte
    /// order mark says, else as it is. A sequence that the encoding does not have becomes a byte
    /// that UTF-8 does not have, so that only cells that hold one are at fault.
    pub fn decode(mut self, label: Option<&str>) -> Result<Self, DatasetError> {
        let encoding = label.map(|label| encoding(label, &self.file)).transpose()?;
        let head = self.peek(3)?;
        let marked = Encoding::for_bom(&head);
        match marked.map(|(encoding, _)| encoding).or(encoding) {
            None => Ok(self),
            Some(encoding) if encoding == UTF_8 => {
                if marked.is_some() {
                    self.skip(3)?;
                }
                Ok(self)
            }
            Some(encoding) => {
                // Every two bytes of UTF-16 mostly become one.
                let wide = encoding == encoding_rs::UTF_16LE || encoding == encoding_rs::UTF_16BE;
                let size = if wide { self.size / 2 } else { self.size };
                let reader =
                    Box::new(Decoded::new(self.reader, encoding.new_decoder_with_bom_removal()));
                Ok(Self { file: self.file, size, reader })
            }
        }
    }

    /// The first bytes, which stay to be read.
    pub fn peek(&mut self, count: usize) -> Result<Vec<u8>, DatasetError> {
        let head =
            peek(&mut *self.reader, count).map_err(|source| unreadable(&self.file, source))?;
        let rest = std::mem::replace(&mut self.reader, Box::new(io::empty()));
        self.reader = Box::new(Cursor::new(head.clone()).chain(rest));
        Ok(head)
    }

    fn skip(&mut self, count: u64) -> Result<(), DatasetError> {
        let skipped = io::copy(&mut (&mut self.reader).take(count), &mut io::sink());
        skipped.map(drop).map_err(|source| unreadable(&self.file, source))
    }

    /// The first bytes, as far as they can be read, whatever becomes of the rest.
    pub fn head(mut self, count: usize) -> Vec<u8> {
        let mut head = Vec::new();
        // What a damaged file gives before the damage is enough to tell what it is.
        let _ = (&mut self.reader).take(count as u64).read_to_end(&mut head);
        head
    }

    /// Adds up to `count` bytes to a buffer, fewer only at the end of the file; returns how many.
    pub fn read(&mut self, buffer: &mut Vec<u8>, count: usize) -> Result<usize, DatasetError> {
        buffer.reserve(count);
        let read = (&mut self.reader).take(count as u64).read_to_end(buffer);
        read.map_err(|source| unreadable(&self.file, source))
    }

    /// Writes all to a temporary file, for formats that must be read back and forth.
    pub fn spool(mut self) -> Result<File, DatasetError> {
        let machine = |source| DatasetError::Io { path: std::env::temp_dir(), source };
        let mut file = tempfile::tempfile().map_err(machine)?;
        let mut buffer = Vec::new();
        while self.read(&mut buffer, 1 << 20)? > 0 {
            io::Write::write_all(&mut file, &buffer).map_err(machine)?;
            buffer.clear();
        }
        io::Seek::rewind(&mut file).map_err(machine)?;
        Ok(file)
    }
}

fn encoding(label: &str, file: &FileName) -> Result<&'static Encoding, DatasetError> {
    Encoding::for_label(label.as_bytes()).ok_or_else(|| DatasetError::Unsupported {
        file: file.clone(),
        detail: format!(
            "no encoding is called `{label}`; say for example `encoding = \"windows-1252\"`, `\"iso-8859-2\"`, \
             `\"utf-16le\"`, `\"shift_jis\"` or `\"gbk\"`"
        ),
    })
}

/// The first bytes of a reader.
fn peek(reader: &mut dyn Read, count: usize) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(count);
    reader.take(count as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// What went wrong while a file was read.
pub(super) fn unreadable(file: &FileName, source: io::Error) -> DatasetError {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    if let Some(refused) = source.get_ref().and_then(|inner| inner.downcast_ref::<TooExpanded>()) {
        return DatasetError::Unsupported { file: file.clone(), detail: refused.to_string() };
    }
    match source.kind() {
        // Only a decompressor says so; that of zstd has no kinds of its own.
        InvalidData | InvalidInput | UnexpectedEof | Other => {
            DatasetError::Damaged { file: file.clone(), detail: source.to_string() }
        }
        _ => DatasetError::Io { path: file.to_string().into(), source },
    }
}

/// A decompressor of `inner` that stops when it gives out far more than went in.
pub(super) fn bounded<'a>(
    inner: Box<dyn Read + Send + 'a>,
    decompressor: impl FnOnce(BufReader<Counted<'a>>) -> io::Result<Box<dyn Read + Send + 'a>>,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    let consumed = Arc::new(AtomicU64::new(0));
    let counted = Counted { inner, consumed: consumed.clone() };
    let inner = decompressor(BufReader::with_capacity(1 << 16, counted))?;
    Ok(Box::new(Bounded { inner, consumed, produced: 0 }))
}

/// Counts the bytes that are read through it.
pub(super) struct Counted<'a> {
    inner: Box<dyn Read + Send + 'a>,
    consumed: Arc<AtomicU64>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.consumed.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

struct Bounded<'a> {
    inner: Box<dyn Read + Send + 'a>,
    consumed: Arc<AtomicU64>,
    produced: u64,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.produced += read as u64;
        let consumed = self.consumed.load(Ordering::Relaxed);
        if self.produced > SMALL && self.produced / MOST_EXPANSION > consumed {
            return Err(io::Error::other(TooExpanded));
        }
        Ok(read)
    }
}

/// The reason for which a compressed file is read no further.
#[derive(Debug, thiserror::Error)]
#[error(
    "the file expands to more than {MOST_EXPANSION} times its size, which tables do not but zip bombs do; \
     if it is no bomb, unpack it and name the unpacked file"
)]
pub(super) struct TooExpanded;

/// Text of another encoding as UTF-8.
struct Decoded {
    inner: BufReader<Box<dyn Read + Send>>,
    decoder: Decoder,
    text: Vec<u8>,
    /// What of `text` was handed out.
    given: usize,
    at_end: bool,
}

impl Decoded {
    fn new(inner: Box<dyn Read + Send>, decoder: Decoder) -> Self {
        let inner = BufReader::with_capacity(1 << 16, inner);
        Self { inner, decoder, text: Vec::new(), given: 0, at_end: false }
    }

    /// Decodes what is buffered.
    fn fill(&mut self) -> io::Result<()> {
        let raw = self.inner.fill_buf()?;
        let (length, last) = (raw.len(), raw.is_empty());
        self.given = 0;
        self.text.resize(length * 2 + 64, 0);
        let (mut read, mut written) = (0, 0);
        loop {
            let into = &mut self.text[written..];
            let (result, r, w) =
                self.decoder.decode_to_utf8_without_replacement(&raw[read..], into, last);
            read += r;
            written += w;
            match result {
                DecoderResult::InputEmpty => break,
                DecoderResult::OutputFull => self.text.resize(written * 2 + 64, 0),
                DecoderResult::Malformed(..) => {
                    self.text.resize(self.text.len().max(written + 64), 0);
                    self.text[written] = NOT_UTF8;
                    written += 1;
                }
            }
        }
        self.text.truncate(written);
        self.inner.consume(length);
        self.at_end = last;
        Ok(())
    }
}

/// A byte that no text in UTF-8 holds.
const NOT_UTF8: u8 = 0xff;

impl Read for Decoded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.text.len() && !self.at_end {
            self.fill()?;
        }
        let count = buffer.len().min(self.text.len() - self.given);
        buffer[..count].copy_from_slice(&self.text[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}
