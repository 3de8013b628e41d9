//! The forms that files come in: text of all sorts, JSON, archives, workbooks. All hold the same
//! little table.

use super::files::Format;
use super::*;

const CSV: &str = "client,sku,title\nbea,s1,Größe\nal,s2,\"a, b\"\n";

fn expected() -> Table {
    Table::of(&["client", "sku", "title"], &[&["bea", "s1", "Größe"], &["al", "s2", "a, b"]])
}

fn csv() -> FileOptions {
    FileOptions { format: Some(Format::Csv), ..FileOptions::default() }
}

#[test]
fn compressed_text_is_told_by_its_content() {
    let zstd = zstd::encode_all(CSV.as_bytes(), 0).unwrap();
    let half = CSV.len() / 2;
    // Two members of gzip one behind the other are one file, as two frames of zstd are.
    let two = [gzip(&CSV.as_bytes()[..half]), gzip(&CSV.as_bytes()[half..])].concat();
    let frames = [zstd.clone(), zstd::encode_all(b"x,y,z\n".as_slice(), 0).unwrap()].concat();
    for (name, bytes) in [
        ("a.csv", CSV.as_bytes().to_vec()),
        ("a.csv.gz", gzip(CSV.as_bytes())),
        ("a.csv.gz", two),
        // The name does not tell, the content does.
        ("a.csv", gzip(CSV.as_bytes())),
        ("a.CSV.ZST", zstd),
        ("a.csv.zip", zip(&[("a.csv", CSV.as_bytes())])),
        (
            "a.zip",
            zip(&[
                ("data/a.csv.gz", &gzip(CSV.as_bytes())),
                ("__MACOSX/._a.csv", b"x"),
                ("README.md", b"y"),
            ]),
        ),
    ] {
        let dir = with_file(name, &bytes);
        assert_eq!(read(&dir, name, FileOptions::default()), Ok(expected()), "{name}");
    }
    let dir = with_file("a.csv.zst", &frames);
    assert_eq!(read(&dir, "a.csv.zst", FileOptions::default()).unwrap().rows.len(), 3);
}

#[test]
fn members_of_an_archive_are_one_table() {
    let second = "client,sku,title\ncy,s3,c\n";
    let members: [(&str, &[u8]); 3] =
        [("p/2.csv", second.as_bytes()), ("p/1.csv", CSV.as_bytes()), ("other.csv", b"a,b\n1,2\n")];
    let dir = with_file("a.zip", &zip(&members));
    let chosen =
        |member: &str| FileOptions { members: vec![member.to_owned()], ..FileOptions::default() };
    let table = read(&dir, "a.zip", chosen("p/*.csv")).unwrap();
    assert_eq!(
        table.rows.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(),
        ["bea", "al", "cy"]
    );
    assert_eq!(read(&dir, "a.zip", chosen("1.csv")), Ok(expected()));

    let lines: [(&str, &[u8]); 2] =
        [("1.jsonl", b"{\"a\": 1, \"b\": 2}\n"), ("2.jsonl", b"{\"b\": 3, \"c\": 4}\n{}")];
    let json = with_file("a.zip", &zip(&lines));
    let expected = Table::of(&["a", "b"], &[&["1", "2"], &["", "3"], &["", ""]]);
    assert_eq!(read(&json, "a.zip", FileOptions::default()), Ok(expected));

    let message = read(&dir, "a.zip", FileOptions::default()).unwrap_err();
    assert!(message.contains("1.csv: the columns are not those of other.csv"), "{message}");
    let message = read(&dir, "a.zip", chosen("*.json")).unwrap_err();
    assert!(
        message.contains("no file in the archive matches")
            && message.contains("other.csv, p/1.csv"),
        "{message}"
    );
    let dir = with_file("a.zip", &zip(&[("a.csv", b"a\n1\n"), ("a.json", b"{\"a\": 1}")]));
    let message = read(&dir, "a.zip", FileOptions::default()).unwrap_err();
    assert!(
        message.contains("several formats (csv, json)") && message.contains("member = \"*.csv\""),
        "{message}"
    );
    let dir = with_file("a.zip", &zip(&[("notes.md", b"hello")]));
    let message = read(&dir, "a.zip", FileOptions::default()).unwrap_err();
    assert!(message.contains("no file that can be read; it has notes.md"), "{message}");
}

#[test]
fn encodings_are_named_or_marked() {
    let utf16 = |big: bool| -> Vec<u8> {
        let bytes = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
        std::iter::once(0xfeff).chain(CSV.encode_utf16()).flat_map(bytes).collect()
    };
    let latin: Vec<u8> = CSV.chars().map(|c| u8::try_from(c as u32).unwrap()).collect();
    let named = |label: &str| FileOptions { encoding: Some(label.to_owned()), ..csv() };
    for (bytes, options) in [
        (utf16(false), csv()),
        (utf16(true), csv()),
        (utf16(false)[2..].to_vec(), named("utf-16le")),
        // A byte order mark is right even when the description is not.
        (utf16(true), named("utf-16le")),
        (latin.clone(), named("windows-1252")),
        (latin.clone(), named("ISO-8859-1")),
        (format!("\u{feff}{CSV}").into_bytes(), csv()),
        (format!("\u{feff}{CSV}").into_bytes(), named("utf-8")),
    ] {
        for block in [1, 7, 1 << 20] {
            let dir = with_file("a.csv", &bytes);
            assert_eq!(
                read_in_blocks(&dir, "a.csv", options.clone(), block),
                Ok(expected()),
                "{options:?}"
            );
        }
    }
    // Only the cell that is no UTF-8 is at fault, and the message says what to do.
    let table = read(&with_file("a.csv", &latin), "a.csv", csv()).unwrap();
    assert_eq!((table.rows.len(), table.rejects.len()), (1, 1));
    assert!(
        table.rejects[0].contains("line 2, column `title`")
            && table.rejects[0].contains("windows-1252")
    );
    // Half a character at the end of UTF-16 damages its cell alone.
    let table =
        read(&with_file("a.csv", &[utf16(false), vec![0x41]].concat()), "a.csv", csv()).unwrap();
    assert_eq!(table.rows.len(), 2);
    let message = read(&with_file("a.csv", &latin), "a.csv", named("latin-9000")).unwrap_err();
    assert!(
        message.contains("no encoding is called `latin-9000`") && message.contains("windows-1252"),
        "{message}"
    );
}

#[test]
fn files_without_a_header_have_numbered_or_given_columns() {
    let text = "exported 2024\n\nbea,s1\nal,s2\n";
    let dir = with_file("a.csv", text.as_bytes());
    let options = FileOptions { header: false, skip_lines: 2, ..csv() };
    assert_eq!(
        read(&dir, "a.csv", options.clone()),
        Ok(Table::of(&["1", "2"], &[&["bea", "s1"], &["al", "s2"]]))
    );
    let columns = vec!["client".to_owned(), "sku".to_owned()];
    let named = read(&dir, "a.csv", FileOptions { columns, ..options.clone() }).unwrap();
    assert_eq!(named, Table::of(&["client", "sku"], &[&["bea", "s1"], &["al", "s2"]]));
    let columns = vec!["client".to_owned()];
    let table = read(&dir, "a.csv", FileOptions { columns, ..options }).unwrap();
    assert!(table.rejects[0].contains("a.csv, line 3: the row has 2 fields"), "{table:?}");
    let with_header = FileOptions { skip_lines: 2, ..csv() };
    assert_eq!(read(&dir, "a.csv", with_header), Ok(Table::of(&["bea", "s1"], &[&["al", "s2"]])));
    for block in [1, 3, 100] {
        let options = FileOptions { skip_lines: 9, ..csv() };
        let message = read_in_blocks(&dir, "a.csv", options, block).unwrap_err();
        assert!(message.contains("within the 9 lines that `skip_lines` leaves out"), "{message}");
    }
}

#[test]
fn delimiters_and_line_ends() {
    let expected = Table::of(&["a", "b"], &[&["1", "x:y"], &["2", ""]]);
    let separated = |delimiter: &str| FileOptions { delimiter: delimiter.to_owned(), ..csv() };
    for (text, options) in [
        ("a::b\n1::x:y\n2::\n", separated("::")),
        ("a¦b\r\n1¦x:y\r\n2¦\r\n", separated("¦")),
        ("a\tb\n1\tx:y\n2\t\n", separated("\t")),
        ("a,b\r1,x:y\r2,\r", csv()),
        ("\"a\",\"b\"\r1,\"x:y\"\r2,\"\"", csv()),
    ] {
        for block in [1, 2, 5, 1 << 20] {
            let found = read_in_blocks(
                &with_file("a.csv", text.as_bytes()),
                "a.csv",
                options.clone(),
                block,
            );
            assert_eq!(
                found,
                Ok(Table { ..Table::of(&["a", "b"], &[&["1", "x:y"], &["2", ""]]) }),
                "{text:?}"
            );
        }
    }
    // An extension tells as well.
    let dir = with_file("a.tsv", b"a\tb\n1\tx:y\n2\t\n");
    assert_eq!(read(&dir, "a.tsv", FileOptions::default()), Ok(expected));
    // A carriage return inside a line of a usual file is no line end of a file of old Macs.
    let table = read(&with_file("a.csv", b"a,b\n1,\"x\ry\"\n"), "a.csv", csv()).unwrap();
    assert_eq!(table.rows, [["1", "x\ry"]]);
    // Lines of old Macs count in messages.
    let table = read(&with_file("a.csv", b"a,b\r1,x\r2\r"), "a.csv", csv()).unwrap();
    assert!(table.rejects[0].contains("line 3: the row has 1 fields"), "{table:?}");
}

#[test]
fn json_in_lines_lists_and_one_behind_the_other() {
    let objects = [
        r#"{"client": "bea", "sku": 9007199254740993, "item": {"brand": "B\u00e4r", "tags": ["x", "y"]}}"#,
        r#"{"sku": 7.50, "client": "a{\"l", "item": null, "new": true}"#,
    ];
    let expected = Table::of(
        &["client", "sku", "item.brand", "item.tags", "item", "new"],
        &[
            &["bea", "9007199254740993", "Bär", "x\u{1f}y\u{1f}", "", ""],
            &["a{\"l", "7.50", "", "", "", "true"],
        ],
    );
    let [first, second] = objects;
    let pretty = first.replace(", ", ",\n  ").replace('{', "{\n");
    for (name, text) in [
        ("a.jsonl", format!("{first}\n{second}\n")),
        ("a.ndjson", format!("\n{first}\r\n{second}")),
        ("a.json", format!("[{first},{second}]")),
        ("a.JSON", format!("\u{feff}[\n{pretty},\n{second}\n]\n")),
        ("a.json", format!("{pretty}\n{second}")),
        ("a.txt", format!("{first}\n{second}\n")),
    ] {
        for block in [1, 10, 1 << 20] {
            let dir = with_file(name, text.as_bytes());
            assert_eq!(
                read_in_blocks(&dir, name, FileOptions::default(), block),
                Ok(expected.clone()),
                "{text}"
            );
        }
    }
    let table = read(
        &with_file("a.json.gz", &gzip(objects.join("\n").as_bytes())),
        "a.json.gz",
        FileOptions::default(),
    );
    assert_eq!(table, Ok(expected));
    let dir = with_file("a.json", b"[]");
    assert!(
        read(&dir, "a.json", FileOptions::default()).unwrap_err().contains("no object with a key")
    );
}

#[test]
fn broken_json_is_named_and_the_rest_is_read() {
    let dir = with_file("a.jsonl", b"{\"a\": 1}\n{\"a\": }\n[1]\n{\"a\": 2}\n{\"a\": \"cut of");
    let table = read(&dir, "a.jsonl", FileOptions::default()).unwrap();
    assert_eq!(table.rows, [["1"], ["2"]]);
    let says = ["line 2: not a JSON object, at character 7", "line 3: not a JSON object", "line 5"];
    for (reject, says) in table.rejects.iter().zip(says) {
        assert!(reject.contains(says), "{reject}");
    }
    assert_eq!(table.rejects.len(), 3);
    for (text, says) in [
        (
            "[{\"a\": 1},\n{\"a\": 2",
            "line 2: the object that begins here is never closed; is the file cut off?",
        ),
        ("[{\"a\": 1},\n", "line 2: the list is never closed"),
        ("[{\"a\": 1}]\n[", "line 2: text behind the end of the list"),
        ("name,age\nJane Roe,41\n", "line 1: not JSON: expected an object"),
        ("[1, 2]", "line 1: not a JSON object: expected `{`"),
    ] {
        let message = read(&with_file("a.json", text.as_bytes()), "a.json", FileOptions::default())
            .unwrap_err();
        assert!(message.contains(says) && !message.contains("Jane"), "{message}");
    }
}

/// The parts of a workbook with one sheet.
fn workbook(rows: &str) -> Vec<u8> {
    let types = r#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
        <Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>
        <Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>"#;
    let relations = |target: &str, kind: &str| {
        format!(
            r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1"
            Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}" Target="{target}"/></Relationships>"#
        )
    };
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let book = format!(
        r#"<workbook xmlns="{main}" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>
        <sheet name="Orders" sheetId="1" r:id="r1"/></sheets></workbook>"#
    );
    let styles = format!(
        r#"<styleSheet xmlns="{main}"><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="22" applyNumberFormat="1"/></cellXfs></styleSheet>"#
    );
    let sheet = format!(r#"<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>"#);
    let of_book = relations("worksheets/sheet1.xml", "worksheet").replace(
        "</Relationships>",
        r#"<Relationship Id="r2" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles" Target="styles.xml"/></Relationships>"#,
    );
    zip(&[
        ("[Content_Types].xml", types.as_bytes()),
        ("_rels/.rels", relations("xl/workbook.xml", "officeDocument").as_bytes()),
        ("xl/workbook.xml", book.as_bytes()),
        ("xl/_rels/workbook.xml.rels", of_book.as_bytes()),
        ("xl/styles.xml", styles.as_bytes()),
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
    ])
}

#[test]
fn a_sheet_of_a_workbook_is_a_table() {
    let text =
        |at: &str, text: &str| format!(r#"<c r="{at}" t="inlineStr"><is><t>{text}</t></is></c>"#);
    let rows = [
        format!(
            "<row r=\"2\">{}{}{}</row>",
            text("A2", "client"),
            text("B2", "sku"),
            text("C2", "at")
        ),
        format!(
            "<row r=\"3\">{}<c r=\"B3\"><v>706016001</v></c><c r=\"C3\" s=\"1\"><v>45292.5</v></c></row>",
            text("A3", "bea")
        ),
        format!("<row r=\"5\">{}<c r=\"B5\"><v>1.5</v></c></row>", text("A5", "al")),
    ];
    let dir = with_file("a.xlsx", &workbook(&rows.concat()));
    let expected = Table::of(
        &["client", "sku", "at"],
        &[&["bea", "706016001", "2024-01-01 12:00:00"], &["al", "1.5", ""]],
    );
    assert_eq!(read(&dir, "a.xlsx", FileOptions::default()), Ok(expected.clone()));
    let named =
        |sheet: &str| FileOptions { sheets: vec![sheet.to_owned()], ..FileOptions::default() };
    assert_eq!(read(&dir, "a.xlsx", named("Orders")), Ok(expected));
    let message = read(&dir, "a.xlsx", named("Customers")).unwrap_err();
    assert!(message.contains("does not have a sheet `Customers`; it has Orders"), "{message}");
    let headless = FileOptions { header: false, skip_lines: 2, ..FileOptions::default() };
    let table = read(&dir, "a.xlsx", headless).unwrap();
    assert_eq!((table.columns.len(), table.rows.len()), (3, 2));

    let dir = with_file("a.xlsx", &workbook(""));
    assert!(
        read(&dir, "a.xlsx", FileOptions::default()).unwrap_err().contains("the sheet is empty")
    );
    let dir = with_file("a.xlsx", b"not a workbook");
    assert!(
        read(&dir, "a.xlsx", FileOptions::default()).unwrap_err().contains("no .xlsx workbook")
    );
}

#[test]
fn other_files_are_told_for_what_they_are() {
    for (bytes, says) in [
        (b"\xd0\xcf\x11\xe0\xa1\xb1".as_slice(), "old Excel; save it as .xlsx or CSV"),
        (b"BZh91AY", "bzip2"),
        (b"SQLite format 3\0", "SQLite database; export its tables as CSV"),
        (b"<!doctype html><html>", "a web page"),
    ] {
        let message =
            read(&with_file("a.csv", bytes), "a.csv", FileOptions::default()).unwrap_err();
        assert!(message.contains(says), "{message}");
    }
}
