//! The parallel reader against a plain sequential one, and any bytes at all.

use super::block::Rows;
use super::dialect::Dialect;
use super::files::{FileOptions, TableFile};
use super::*;
use proptest::prelude::*;

/// All records of a text by the CSV library alone, in one go.
fn reference(bytes: &[u8], dialect: &Dialect) -> Vec<Vec<Vec<u8>>> {
    let mut reader = dialect.reader(bytes).unwrap();
    reader
        .byte_records()
        .map(|record| record.unwrap().iter().map(<[u8]>::to_vec).collect())
        .collect()
}

/// All records of a file read in blocks of about `block` bytes; `None` when it is refused.
fn in_blocks(bytes: &[u8], dialect: &Dialect, block: usize) -> Option<Vec<Vec<Vec<u8>>>> {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("t.csv");
    std::fs::write(&path, bytes).unwrap();
    let source =
        TableFile::new(path, FileOptions { quote: dialect.quote, ..FileOptions::default() });
    let source = source.open(block).ok()?;
    let mut records =
        vec![source.layout().columns.iter().map(|name| name.as_bytes().to_vec()).collect()];
    for block in block::read_ahead(source) {
        let Rows::Text(bytes) = block.ok()?.rows else { panic!("a text file gives text") };
        records.extend(reference(&bytes, dialect));
    }
    Some(records)
}

/// Text that is full of what makes CSV hard.
fn hard_text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(b"ab".to_vec()),
        3 => Just(b",".to_vec()),
        3 => Just(b"\n".to_vec()),
        1 => Just(b"\r\n".to_vec()),
        1 => Just(b"\r".to_vec()),
        2 => Just(b"\"".to_vec()),
        1 => Just(b"\"\"".to_vec()),
        1 => Just(b"'".to_vec()),
        1 => Just(b"\"x,\ny\"".to_vec()),
        1 => Just("ü".as_bytes().to_vec()),
    ];
    proptest::collection::vec(piece, 0..200).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn blocks_give_the_records_of_the_whole(
        text in hard_text(),
        block in 1usize..64,
        quote in proptest::sample::select(vec![None, Some(b'"'), Some(b'\'')]),
    ) {
        let dialect = Dialect::new(",", quote);
        let bytes = [b"h1,h2\n".as_slice(), &text].concat();
        match in_blocks(&bytes, &dialect, block) {
            Some(records) => prop_assert_eq!(records, reference(&bytes, &dialect)),
            // Refused for a quote that is never closed: then the last record swallows the rest.
            None => prop_assert!(dialect.last_record_end(&bytes).open_quote.is_some()),
        }
    }

    #[test]
    fn purchases_are_those_of_a_sequential_reader(
        rows in proptest::collection::vec((0u8..20, 0u8..30, 0u32..40, any::<bool>(), any::<bool>()), 1..120),
        block in 8usize..512,
    ) {
        // Some rows are quoted, some are broken.
        let mut text = String::from("customer,article,at,note\n");
        let mut expected = Vec::new();
        for &(customer, article, at, broken, quoted) in &rows {
            let note = if quoted { "\"a \"\"quoted\"\",\nnote\"" } else { "plain" };
            let time = if broken { "never".to_owned() } else { at.to_string() };
            text += &format!("c{customer},\"a{article}\",{time},{note}\n");
            if !broken {
                expected.push((format!("c{customer}"), format!("a{article}"), at));
            }
        }
        expected.sort_by_key(|row| row.2);
        let description = "[purchases]\nfiles = [\"p.csv\"]\narticle = \"article\"\ncustomer = \"customer\"\n\
            time = \"at\"\ntime_format = \"unix-seconds\"\n";
        let dir = folder(&[("dataset.toml", description), ("p.csv", &text)]);
        let loaded = load_in_blocks(dir.path(), &any_rejects(), block);
        if expected.is_empty() {
            prop_assert!(loaded.is_err());
        } else {
            let (dataset, report) = loaded.unwrap();
            let found: Vec<_> = purchases(&dataset).into_iter().map(|(c, a, t)| (c.to_owned(), a.to_owned(), t)).collect();
            prop_assert_eq!(found, expected);
            prop_assert_eq!(report.rejected() as usize, rows.iter().filter(|row| row.3).count());
            // Entities are numbered by their first usable purchase in the file, whatever the
            // blocks.
            let whole = load_plain(&dir).unwrap().0;
            prop_assert_eq!(dataset.fingerprint(), whole.fingerprint());
            let line = |row: usize| 2 + text.split_inclusive('\n').scan(0, |quotes, line| {
                let start = *quotes % 2 == 0;
                *quotes += line.matches('"').count();
                Some(start)
            }).skip(1).enumerate().filter(|(_, start)| *start).nth(row).unwrap().0 as u64;
            if let Some(group) = report.rejects.first() {
                prop_assert_eq!(group.first.number, line(rows.iter().position(|row| row.3).unwrap()));
            }
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400), hard in hard_text(), file in 0usize..7) {
        let names = ["articles.csv", "customers.csv", "transactions.csv", "m.inter", "m.item", "s.txt", "dataset.toml"];
        for bytes in [bytes, hard] {
            let dir = if file < 3 { hm_folder() } else { TempDir::new().unwrap() };
            if file == 4 {
                std::fs::write(dir.path().join("m.inter"), "user_id:token\titem_id:token\n1\t2\n").unwrap();
            }
            std::fs::write(dir.path().join(names[file]), bytes).unwrap();
            if let Ok((dataset, report)) = load_plain(&dir) {
                prop_assert_eq!(dataset.purchases.len(), report.purchases);
                prop_assert!(dataset.purchases.article.iter().all(|&a| (a as usize) < dataset.articles.len()));
            }
        }
    }
}
