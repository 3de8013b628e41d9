//! What a file is by its first bytes.

/// How many bytes tell.
pub(super) const LENGTH: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signature {
    Gzip,
    Zstd,
    /// A zip archive; workbooks of Excel are archives as well.
    Zip,
    Parquet,
    /// Something that cannot be read, and what to do about it.
    Foreign(&'static str),
}

/// What the head of a file says; `None` for text and everything unknown.
pub(super) fn of(head: &[u8]) -> Option<Signature> {
    let known = SIGNATURES
        .iter()
        .find(|(start, _)| head.starts_with(start))
        .map(|(_, signature)| *signature);
    known.or_else(|| is_html(head).then_some(Signature::Foreign(HTML)))
}

const SIGNATURES: [(&[u8], Signature); 17] = [
    (b"\x1f\x8b", Signature::Gzip),
    (b"\x28\xb5\x2f\xfd", Signature::Zstd),
    (b"PK\x03\x04", Signature::Zip),
    (b"PK\x05\x06", Signature::Zip),
    (b"PAR1", Signature::Parquet),
    (b"PARE", Signature::Foreign("the Parquet file is encrypted; save it without encryption")),
    (
        b"\xd0\xcf\x11\xe0",
        Signature::Foreign("this is a workbook of an old Excel; save it as .xlsx or CSV"),
    ),
    (
        b"BZh",
        Signature::Foreign(
            "the file is compressed with bzip2; unpack it, or compress it with gzip",
        ),
    ),
    (
        b"\xfd7zXZ\x00",
        Signature::Foreign("the file is compressed with xz; unpack it, or compress it with gzip"),
    ),
    (b"7z\xbc\xaf", Signature::Foreign("this is a 7z archive; unpack it")),
    (b"Rar!", Signature::Foreign("this is a rar archive; unpack it")),
    (
        b"\x04\x22\x4d\x18",
        Signature::Foreign("the file is compressed with lz4; unpack it, or use gzip"),
    ),
    (b"ARROW1", Signature::Foreign("this is an Arrow (Feather) file; save it as Parquet")),
    (b"Obj\x01", Signature::Foreign("this is an Avro file; save it as Parquet")),
    (
        b"SQLite format 3",
        Signature::Foreign("this is an SQLite database; export its tables as CSV"),
    ),
    (b"\x89HDF", Signature::Foreign("this is an HDF5 file; save it as Parquet or CSV")),
    (
        b"%PDF",
        Signature::Foreign("this is a PDF document; the data must be CSV, JSON, Parquet or .xlsx"),
    ),
];

const HTML: &str =
    "this is a web page, perhaps that of a login or an error; download the file again";

fn is_html(head: &[u8]) -> bool {
    let start = head.trim_ascii_start();
    let start = start[..start.len().min(14)].to_ascii_lowercase();
    start.starts_with(b"<!doctype html") || start.starts_with(b"<html")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_their_first_bytes() {
        assert_eq!(of(b"\x1f\x8b\x08"), Some(Signature::Gzip));
        assert_eq!(of(b"PAR1\x15"), Some(Signature::Parquet));
        assert!(matches!(of(b"\n<!DOCTYPE HTML><html>"), Some(Signature::Foreign(HTML))));
        for text in
            [b"customer,article\n".as_slice(), b"ORDER,a\n", b"", b"\xef\xbb\xbfid", b"{\"a\": 1}"]
        {
            assert_eq!(of(text), None, "{text:?}");
        }
    }
}
