//! Input that is damaged, hostile or absurd: an error that says so, or rejected rows, in little
//! memory and time.

use super::*;
use std::fs::File;

fn refused(name: &str, bytes: &[u8], says: &str) {
    let dir = with_file(name, bytes);
    // The rows are not kept: some of these files have very many.
    let blocks = TableFile::csv(dir.path().join(name)).open(1 << 20).map(block::read_ahead);
    let end = blocks.and_then(|mut blocks| blocks.try_for_each(|block| block.map(drop)));
    let message = end.expect_err(says).to_string();
    assert!(message.contains(says), "`{says}` is not in: {message}");
}

#[test]
fn nothing_to_read() {
    for name in ["a.csv", "a.json", "a.parquet", "a.xlsx", "a.csv.gz"] {
        refused(name, b"", "the file is empty");
    }
    refused("a.csv.gz", &gzip(b""), "the file is empty");
    refused("a.csv", b"\n\r\n\n", "the file is empty");
    refused("a.json", b" \n ", "the file is empty");
    let header = read(&with_file("a.csv", b"a,b\n"), "a.csv", FileOptions::default()).unwrap();
    assert_eq!(header, Table::of(&["a", "b"], &[]));
    let one = read(&with_file("a.csv", b"a,b\n1,2"), "a.csv", FileOptions::default()).unwrap();
    assert_eq!(one, Table::of(&["a", "b"], &[&["1", "2"]]));
}

#[test]
fn files_that_are_cut_off() {
    let text = (0..20_000)
        .fold("a,b\n".to_owned(), |text, i| text + &format!("{i},{}\n", i * 7919 % 1000));
    let whole = gzip(text.as_bytes());
    refused("a.csv.gz", &whole[..whole.len() / 2], "a.csv.gz: the file is damaged");
    let whole = zstd::encode_all(text.as_bytes(), 0).unwrap();
    refused("a.csv.zst", &whole[..whole.len() / 2], "a.csv.zst: the file is damaged");
    let mut whole = zip(&[("a.csv", text.as_bytes())]);
    refused("a.zip", &whole[..whole.len() / 2], "a.zip: the file is damaged");
    // A byte in the middle that is not what was packed.
    let middle = whole.len() / 2;
    whole[middle] ^= 0x55;
    refused("a.zip", &whole, "the file is damaged");
    refused("a.parquet", b"PAR1\x15\x00\x15", "a.parquet: the file is damaged");
}

#[test]
fn archives_that_expand_without_bounds() {
    let zeros = |count: u64| std::io::Read::take(std::io::repeat(0), count);
    let bomb = zstd::encode_all(zeros(300 << 20), 1).unwrap();
    assert!(bomb.len() < 1 << 20);
    refused("a.csv.zst", &[b"".as_slice(), &bomb].concat(), "no line end within 16 MiB");
    // Lines, so that only the bounds of the decompressor stop it.
    let mut lines = Vec::new();
    let mut encoder = zstd::Encoder::new(&mut lines, 1).unwrap();
    encoder.write_all(b"a\n").unwrap();
    let million = ["1".repeat(65_535).as_bytes(), b"\n"].concat().repeat(16);
    (0..300).for_each(|_| encoder.write_all(&million).unwrap());
    encoder.finish().unwrap();
    refused("a.csv.zst", &lines, "zip bombs do");

    let mut archive = ::zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file("a.csv", ::zip::write::SimpleFileOptions::default()).unwrap();
    (0..300).for_each(|_| archive.write_all(&million).unwrap());
    let bomb = archive.finish().unwrap().into_inner();
    refused("a.zip", &bomb, "zip bombs do");
    // One that lies about its length is found out as well.
    let text = b"a\n".repeat(5000);
    let mut lying = zip(&[("a.csv", &text)]);
    let length = u32::try_from(text.len()).unwrap().to_le_bytes();
    let places: Vec<usize> =
        (0..lying.len() - 4).filter(|&at| lying[at..at + 4] == length).collect();
    places.iter().for_each(|&at| lying[at..at + 4].copy_from_slice(&3u32.to_le_bytes()));
    refused("a.zip", &lying, "the file is damaged: it is longer than the archive says");
}

#[test]
fn records_without_an_end_and_ids_of_a_megabyte() {
    let dir = with_file("a.csv", b"a,b\n1,2\n");
    let file = File::options().write(true).open(dir.path().join("a.csv")).unwrap();
    file.set_len(100 << 20).unwrap();
    let message = read(&dir, "a.csv", FileOptions::default()).unwrap_err();
    assert!(message.contains("a.csv, line 3: no line end within 16 MiB"), "{message}");

    let dir = with_file("a.json", b"[{\"a\": 1},\n{\"a\": \"");
    let file = File::options().write(true).open(dir.path().join("a.json")).unwrap();
    file.set_len(100 << 20).unwrap();
    let message = read(&dir, "a.json", FileOptions::default()).unwrap_err();
    assert!(
        message.contains("a.json, line 2: an object of more than 16 MiB, or one without an end"),
        "{message}"
    );

    let long = "x".repeat(1 << 20);
    let text = "[purchases]\nfiles = [\"o.csv\"]\narticle = \"a\"\ncustomer = \"c\"\n";
    let orders = format!("a,c\n{long},u\ny,{long}\nz,u\n");
    let dir = folder(&[("dataset.toml", text), ("o.csv", &orders)]);
    let (dataset, report) = load_plain(&dir).unwrap();
    assert_eq!((dataset.purchases.len(), report.rejected()), (1, 2));
    assert!(report.to_string().len() < 2000, "an id of a megabyte is not printed");
}

#[test]
fn quotes_that_are_never_closed() {
    let message =
        read(&with_file("a.csv", b"a,b\n1,2\n3,\"4\n5,6\n"), "a.csv", FileOptions::default())
            .unwrap_err();
    assert!(
        message.contains("a.csv, line 3: the quote that opens here")
            && message.contains("quoted = false")
    );
    let plain = FileOptions { quote: None, ..FileOptions::default() };
    let table = read(&with_file("a.csv", b"a,b\n1,2\n3,\"4\n5,6\n"), "a.csv", plain).unwrap();
    assert_eq!(table.rows[1], ["3", "\"4"]);
}

#[test]
fn objects_with_a_key_of_their_own_each() {
    let text = (0..5000).fold(String::new(), |text, i| text + &format!("{{\"k{i}\": 1}}\n"));
    refused("a.jsonl", text.as_bytes(), "more than 4096 different keys");
}
