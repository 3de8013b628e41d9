//! Tables in several files, members, sheets and forms, and what is left out of them.

use super::tests::{described, folder, loaded, rows};
use std::io::{Cursor, Write as _};

const HEADER: &str = "customer_id,sku,order_date";

fn line(at: usize) -> String {
    format!("C{},A{},2023-{:02}-{:02}", at % 50, at % 23, 1 + at / 28 % 12, 1 + at % 28)
}

/// Purchases from one number on, with a header.
fn part(from: usize, count: usize) -> String {
    format!("{HEADER}\n{}", rows(count, |at| line(from + at)))
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// A workbook with these sheets, each a CSV without quotes.
fn workbook(sheets: &[(&str, &str)]) -> Vec<u8> {
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let package = "http://schemas.openxmlformats.org/package/2006/relationships";
    let (mut list, mut relations, mut parts) = (String::new(), String::new(), Vec::new());
    for (at, (name, csv)) in sheets.iter().enumerate() {
        list += &format!(r#"<sheet name="{name}" sheetId="{}" r:id="r{at}"/>"#, at + 1);
        relations += &format!(
            r#"<Relationship Id="r{at}" Type="{office}/worksheet" Target="worksheets/s{at}.xml"/>"#
        );
        let mut data = String::new();
        for (row, line) in csv.lines().enumerate() {
            data += &format!(r#"<row r="{}">"#, row + 1);
            for (column, cell) in line.split(',').enumerate().filter(|(_, cell)| !cell.is_empty()) {
                let place = char::from(b'A' + column as u8);
                let text = format!("<is><t>{cell}</t></is>");
                data += &format!(r#"<c r="{place}{}" t="inlineStr">{text}</c>"#, row + 1);
            }
            data += "</row>";
        }
        let sheet =
            format!(r#"<worksheet xmlns="{main}"><sheetData>{data}</sheetData></worksheet>"#);
        parts.push((format!("xl/worksheets/s{at}.xml"), sheet));
    }
    let book = format!(
        r#"<workbook xmlns="{main}" xmlns:r="{office}"><sheets>{list}</sheets></workbook>"#
    );
    parts.push(("xl/workbook.xml".to_owned(), book));
    let relations = format!(r#"<Relationships xmlns="{package}">{relations}</Relationships>"#);
    parts.push(("xl/_rels/workbook.xml.rels".to_owned(), relations));
    let root = format!(
        r#"<Relationships xmlns="{package}"><Relationship Id="r1" Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>"#
    );
    parts.push(("_rels/.rels".to_owned(), root));
    let members: Vec<(&str, &[u8])> =
        parts.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    zip(&members)
}

#[test]
fn parts_of_one_layout_are_one_table() {
    let (first, second) = (part(0, 300), part(300, 300));
    let turned = |at: usize| {
        let line = line(300 + at);
        let cells: Vec<&str> = line.split(',').collect();
        format!("{},{},{}", cells[2], cells[0], cells[1])
    };
    let other_order = format!("order_date,customer_id,sku\n{}", rows(300, turned));
    let products = format!("sku,title\n{}", rows(23, |at| format!("A{at},Thing {at}")));
    let (one, two) = (first.as_bytes(), second.as_bytes());
    let titled = format!("Report\n\n{first}");
    let cases: [(&str, Vec<u8>, &str); 7] = [
        ("o.zip", zip(&[("d/orders1.csv", one), ("orders2.csv", two)]), r#"files = ["o.zip"]"#),
        ("o.zip", zip(&[("1.csv", one), ("2.csv", two), ("readme.txt", b"a,b\n")]), "o.zip"),
        (
            "o.zip",
            zip(&[("o[1].csv", one), ("o2.csv", two), ("p.csv", products.as_bytes())]),
            r#"member = ["o2.csv", "o[[]1[]].csv"]"#,
        ),
        ("o.xlsx", workbook(&[("Jan", &first), ("Feb", &second)]), r#"sheet = ["Jan", "Feb"]"#),
        ("o.xlsx", workbook(&[("Jan", &first), ("Feb", &other_order)]), "sheet = ["),
        (
            "o.xlsx",
            workbook(&[("Info", "hello"), ("Jan", &first), ("Feb", &second)]),
            r#"sheet = ["Jan", "Feb"]"#,
        ),
        ("o2.csv", other_order.clone().into_bytes(), r#"files = ["o1.csv", "o2.csv"]"#),
    ];
    for (name, bytes, says) in cases {
        let mut files = vec![(name, bytes.as_slice())];
        if name == "o2.csv" {
            files.push(("o1.csv", one));
        }
        let (text, dataset, _) = loaded(&folder(&files));
        assert!(text.contains(says), "{says}: {text}");
        let counts = (dataset.purchases.len(), dataset.customers.len(), dataset.articles.len());
        assert_eq!(counts, (600, 50, 23), "{text}");
    }
    for (name, bytes) in [
        ("titled.xlsx", workbook(&[("Jan", &titled)])),
        ("second.xlsx", workbook(&[("Info", "hello"), ("Orders", &first)])),
    ] {
        let (text, dataset, _) = loaded(&folder(&[(name, &bytes)]));
        assert_eq!(dataset.purchases.len(), 300, "{name}: {text}");
    }
}

#[test]
fn what_is_left_out_is_said_with_its_rows() {
    let (first, second) = (part(0, 300), part(300, 200));
    let semicolons = second.replace(',', ";");
    let headless = second.split_once('\n').unwrap().1;
    for (name, text, says) in [
        (
            "o2.csv",
            semicolons.as_str(),
            "left out, 200 rows: the same columns as o1.csv, but its delimiter is \";\"",
        ),
        (
            "o2.csv",
            headless,
            "left out, 200 rows: the same columns as o1.csv, but it has no header",
        ),
        (
            "returns.csv",
            &second,
            "the same columns as o1.csv, but its name says that it holds returns",
        ),
        (
            "clicks.csv",
            &part(0, 2_000),
            "the same columns as o1.csv, but its name says that it holds views",
        ),
        ("o1 (1).csv", &first, "is not read: it has the same content as o1.csv"),
        ("o1.csv.bak", &first, "is not read: it has the same content as o1.csv"),
    ] {
        let dir = folder(&[("o1.csv", first.as_bytes()), (name, text.as_bytes())]);
        let (written, dataset, _) = loaded(&dir);
        assert!(written.contains(says), "{says}: {written}");
        assert_eq!(dataset.purchases.len(), 300, "{written}");
    }
}

#[test]
fn orders_are_the_purchases_however_many_events_there_are() {
    let events = part(0, 3_000).replace("order_date", "timestamp");
    let dir = folder(&[("orders.csv", part(0, 300).as_bytes()), ("events.csv", events.as_bytes())]);
    let (text, dataset, _) = loaded(&dir);
    assert!(text.contains("events.csv is left out, 3000 rows"), "{text}");
    assert_eq!(dataset.purchases.len(), 300, "{text}");
}

#[test]
fn a_header_that_names_a_column_twice_can_be_read() {
    let row =
        |at: usize| format!("C{},A{},2023-01-{:02},X{}", at % 30, at % 11, 1 + at % 28, at % 5);
    let text = format!("cust,sku,date,sku\n{}", rows(300, row));
    let (text, dataset, _) = loaded(&folder(&[("o.csv", text.as_bytes())]));
    assert!(text.contains(r#"columns = ["cust", "sku", "date", "sku2"]"#), "{text}");
    assert_eq!((dataset.purchases.len(), dataset.articles.len()), (300, 11), "{text}");
}

#[test]
fn files_without_a_table_are_named_with_the_reason() {
    let cases: [(&str, &[u8], &str); 5] = [
        ("o.xml", b"<orders/>", "o.xml: data in .xml files is not read; save it as CSV"),
        ("o.tar", &[0; 2048], "o.tar: tar archives are not read; unpack it"),
        ("o.csv", b"one\ntwo\n", "o.csv: "),
        ("o.csv", b"a,b\x00\x00\x00\n", "o.csv, line 1, column `1`: the name holds zero bytes"),
        ("o.zip", &zip(&[("in.zip", b"PK")]), "no file that can be read; it has in.zip"),
    ];
    for (name, bytes, says) in cases {
        let error = super::describe(folder(&[(name, bytes)]).path()).unwrap_err().to_string();
        assert!(error.contains(says), "{says}: {error}");
    }
    // A single byte of no text costs its row at most.
    let damaged = part(0, 300).replacen("A5", "A\0", 1);
    let (text, dataset, _) = loaded(&folder(&[("o.csv", damaged.as_bytes())]));
    assert!(dataset.purchases.len() >= 299, "{text}");
}

#[test]
fn orders_are_joined_by_their_id_and_may_repeat_it() {
    let items = |at: usize| format!("{},A{},{}.50", at / 3, at % 30, at % 9);
    let items = format!("order_id,sku,unit_price\n{}", rows(600, items));
    let order = |at: usize| {
        let at = at % 200;
        format!("{at},K{},2023-{:02}-{:02}", at % 60, 1 + at / 28 % 12, 1 + at % 28)
    };
    for (header, count, says) in [
        ("id,customer_id,created_at", 200, r#"on = { left = "order_id", right = "id" }"#),
        ("order_id,customer_id,order_date", 250, "`order_id` has 200 different values in 250 rows"),
    ] {
        let orders = format!("{header}\n{}", rows(count, order));
        let dir =
            folder(&[("order_items.csv", items.as_bytes()), ("orders.csv", orders.as_bytes())]);
        let (text, dataset, _) = loaded(&dir);
        assert!(text.contains(says), "{says}: {text}");
        assert_eq!((dataset.purchases.len(), dataset.customers.len()), (600, 60), "{text}");
    }
    let orders = format!("key,customer_id\n{}", rows(200, |at| format!("x{at},K{}", at % 60)));
    let dir = folder(&[("order_items.csv", items.as_bytes()), ("orders.csv", orders.as_bytes())]);
    let error = super::describe(dir.path()).unwrap_err().to_string();
    assert!(error.contains("orders.csv has customers and order_items.csv has articles"), "{error}");
}

#[test]
fn customers_that_come_again_are_kept_by_their_last_row() {
    let people = |at: usize| format!("C{},{},X{}", at % 50, 20 + at % 9, at % 7);
    let people = format!("customer_id,age,city\n{}", rows(60, people));
    let dir =
        folder(&[("orders.csv", part(0, 300).as_bytes()), ("customers.csv", people.as_bytes())]);
    let (text, dataset, _) = loaded(&dir);
    assert!(text.contains(r#"duplicates = "last""#), "{text}");
    assert!(text.contains("`customer_id` has 50 different values in 60 rows"), "{text}");
    assert_eq!(dataset.customers.columns.len(), 2, "{text}");
}

#[test]
fn an_archive_of_many_members_is_looked_at_once() {
    let members: Vec<(String, String)> =
        (0..400).map(|at| (format!("{at:04}.csv"), part(at * 5, 5))).collect();
    let members: Vec<(&str, &[u8])> =
        members.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    let dir = folder(&[("o.zip", &zip(&members))]);
    let (text, table) = described(&dir);
    assert!(text.contains("2000 rows") && !text.contains("not read"), "{text}");
    assert!(table["purchases"].get("member").is_none(), "{text}");
}

#[test]
fn a_list_of_articles_is_cut_into_items() {
    let order = |at: usize| {
        let (first, second) = (at % 11, 11 + at % 9);
        format!(r#"{{"customer_id": "C{}", "skus": ["A{first}", "A{second}"]}}"#, at % 30)
    };
    let (text, dataset, _) = loaded(&folder(&[("orders.jsonl", rows(200, order).as_bytes())]));
    assert!(text.contains("split = { column = \"skus\""), "{text}");
    assert_eq!((dataset.purchases.len(), dataset.articles.len()), (400, 20), "{text}");
}

#[test]
fn a_part_in_plain_letters_goes_with_one_that_has_others() {
    let plain = part(0, 300);
    let latin: Vec<u8> = part(300, 300).replace("A5,", "\u{1},").into_bytes();
    let latin: Vec<u8> = latin.into_iter().map(|b| if b == 1 { 0xe4 } else { b }).collect();
    for (first, last) in [(plain.as_bytes(), &latin[..]), (&latin[..], plain.as_bytes())] {
        let (text, dataset, _) = loaded(&folder(&[("o1.csv", first), ("o2.csv", last)]));
        assert!(text.contains(r#"encoding = "windows-1252""#), "{text}");
        assert_eq!(dataset.purchases.len(), 600, "{text}");
        assert!(dataset.articles.ids.find("ä").is_some(), "{text}");
    }
    // UTF-8 with letters of its own is no part of it.
    let other = part(600, 300).replace("A5,", "ü,");
    let dir = folder(&[("o1.csv", &latin), ("o2.csv", other.as_bytes())]);
    assert!(loaded(&dir).0.contains("is left out, 300 rows"));
}
