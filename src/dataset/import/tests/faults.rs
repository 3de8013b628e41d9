//! Every fault of the input: the message names file, line and column.

use super::*;

/// Loads and expects an error that says all of this.
fn refused(dir: &TempDir, strict: bool, says: &[&str]) {
    let options = LoadOptions { strict, ..LoadOptions::default() };
    let error = load(dir.path(), &options).expect_err("should be refused");
    assert!(error.is_bad_input(), "{error}");
    let message = error.to_string();
    for part in says {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

fn hm_with(name: &str, bytes: &[u8]) -> TempDir {
    let dir = hm_folder();
    std::fs::write(dir.path().join(name), bytes).unwrap();
    dir
}

#[test]
fn unknown_and_incomplete_folders() {
    refused(&folder(&[("pictures.zip", "")]), false, &["articles.csv", ".inter", "dataset.toml"]);
    refused(
        &folder(&[("articles.csv", ARTICLES)]),
        false,
        &["customers.csv: no such file", "preset hm"],
    );
    let none =
        load(Path::new("/nonexistent/vitrine"), &LoadOptions::default()).expect_err("no folder");
    assert!(none.is_bad_input() && none.to_string().contains("/nonexistent/vitrine"), "{none}");
    refused(
        &hm_with("transactions_train.csv", TRANSACTIONS.as_bytes()),
        false,
        &["both", "transactions_train.csv"],
    );
    refused(&folder(&[("a.inter", ""), ("b.inter", "")]), false, &["several *.inter"]);
}

#[test]
fn headers() {
    let no_price = "t_dat,customer_id,article_id,sales_channel_id\n2018-09-20,c1,0108775015,1\n";
    refused(
        &hm_with("transactions.csv", no_price.as_bytes()),
        false,
        &["transactions.csv, line 1, column `price`", "t_dat, customer_id"],
    );
    refused(
        &hm_with("articles.csv", b"article_id,name,name\n1,a,b\n"),
        false,
        &["articles.csv, line 1, column `name`", "twice"],
    );
    refused(
        &hm_with("articles.csv", b"article_id,n\xffme\n1,a\n"),
        false,
        &["articles.csv, line 1, column `2`", "UTF-8"],
    );
    refused(
        &folder(&[("m.inter", "user_id:token\titem:token\n1\t2\n")]),
        false,
        &["m.inter, line 1, column `item_id:token`"],
    );
    refused(
        &folder(&[
            ("m.inter", "user_id:token\titem_id:token\n1\t2\n"),
            ("m.item", "item_id:token\tname:text\n2\ta\n"),
        ]),
        false,
        &["m.item, line 1, column `name:text`", "token_seq"],
    );
}

#[test]
fn files_without_rows() {
    refused(&hm_with("transactions.csv", b""), false, &["transactions.csv", "the file is empty"]);
    refused(
        &hm_with("transactions.csv", b"\n\n"),
        false,
        &["transactions.csv", "the file is empty"],
    );
    let header = TRANSACTIONS.lines().next().unwrap();
    refused(
        &hm_with("transactions.csv", header.as_bytes()),
        false,
        &["transactions.csv: no usable row behind the header"],
    );
    refused(
        &hm_with("customers.csv", b"customer_id,age\n"),
        false,
        &["customers.csv: no usable row"],
    );
    refused(
        &hm_with("customers.csv", b"customer_id,age\n,30\n"),
        false,
        &["customers.csv: no usable row", "line 2, column `customer_id`: an id must not be empty"],
    );
    refused(&folder(&[("s.txt", "\n")]), false, &["s.txt: no usable row"]);
}

/// Adds a row to a good file: alone it is rejected with this message, and stops a strict import.
fn rejected(name: &str, row: &[u8], says: &str) {
    let base = match name {
        "articles.csv" => ARTICLES,
        "customers.csv" => CUSTOMERS,
        _ => TRANSACTIONS,
    };
    let dir = hm_with(name, &[base.as_bytes(), row, b"\n"].concat());
    let line = base.matches('\n').count() + 1;
    let place = format!("{name}, line {line}{says}");
    let rejects = dir.path().join("rejects.csv");
    let options = LoadOptions { rejects: Some(rejects.clone()), ..any_rejects() };
    let (dataset, report) = load(dir.path(), &options).unwrap();
    assert_eq!(
        (dataset.articles.len(), dataset.customers.len(), dataset.purchases.len()),
        (3, 2, 3)
    );
    assert_eq!(report.rejected(), 1, "{report}");
    assert!(report.to_string().contains(&place), "`{place}` is not in: {report}");
    assert_eq!(report.reject_file.as_ref(), Some(&rejects));
    let mut file = csv::Reader::from_path(&rejects).unwrap();
    let record = file.records().next().unwrap().unwrap();
    assert!(record[0].ends_with(name) && record[1] == line.to_string(), "{record:?}");
    assert_eq!(&record[4], String::from_utf8_lossy(row));
    assert!(file.records().next().is_none());
    refused(&dir, true, &[&place, "strict"]);
}

#[test]
fn rows_of_entities() {
    rejected(
        "articles.csv",
        b"0108775044,1,again,",
        ", column `article_id`: `0108775044` is not unique",
    );
    rejected("articles.csv", b",1,no id,", ", column `article_id`: an id must not be empty");
    rejected("articles.csv", b"0999,1,short", ": the row has 3 fields, the header 4");
    rejected("articles.csv", b"\xc3\x28,1,name,", ", column `article_id`: the text is not UTF-8");
    rejected(
        "articles.csv",
        b"NULL,1,name,",
        ", column `article_id`: `NULL` stands for a missing value",
    );
    rejected(
        "articles.csv",
        &[&[b'9'; 129][..], b",1,long,"].concat(),
        ", column `article_id`: an id has at most 128",
    );
}

#[test]
fn rows_of_purchases() {
    let column = |name: &str| format!(", column `{name}`: ");
    for (row, says) in [
        ("2018-09-21,c2,0999,0.05,2", column("article_id") + "no article `0999` is known"),
        ("2018-09-21,c9,0110065001,0.05,2", column("customer_id") + "no customer `c9` is known"),
        ("2018-09-21,c2,,0.05,2", column("article_id") + "`` stands for a missing value"),
        ("2999-09-21,c2,0110065001,0.05,2", column("t_dat") + "`2999-09-21` is not a date"),
        (
            "2105-09-21,c2,0110065001,0.05,2",
            column("t_dat") + "`2105-09-21T00:00:00Z` lies in the future",
        ),
        ("2018-13-21,c2,0110065001,0.05,2", column("t_dat") + "`2018-13-21` is not a date"),
        ("1969-12-31,c2,0110065001,0.05,2", column("t_dat") + "`1969-12-31` is not a date"),
        ("2107-01-01,c2,0110065001,0.05,2", column("t_dat") + "`2107-01-01` is not a date"),
        (",c2,0110065001,0.05,2", column("t_dat") + "`` is not a date"),
        ("2018-09-21,c2,0110065001,0.05", ": the row has 4 fields, the header 5".to_owned()),
    ] {
        rejected("transactions.csv", row.as_bytes(), &says);
    }
    rejected(
        "transactions.csv",
        b"2018-09-21,c2,\xff,0.05,2",
        ", column `article_id`: the text is not UTF-8",
    );
}

/// A row with a cell that cannot be read: it stays, the cell is missing, and the report says which.
fn unreadable(name: &str, row: &[u8], says: &str) {
    let dir = hm_folder();
    let path = dir.path().join(name);
    let base = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&base, row, b"\n"].concat()).unwrap();
    let (dataset, report) = load(dir.path(), &LoadOptions::default()).unwrap();
    assert_eq!(
        dataset.articles.len() + dataset.customers.len() + dataset.purchases.len(),
        9,
        "{report}"
    );
    assert_eq!((report.rejected(), report.unreadable.len()), (0, 1), "{report}");
    let line = base.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let place = format!("1 cells cannot be read and count as missing:\n  {}", path.display());
    let cell = format!(", line {line}{says}");
    assert!(
        report.to_string().contains(&place) && report.to_string().contains(&cell),
        "`{cell}` is not in: {report}"
    );
    refused(&dir, true, &[&cell, "strict"]);
}

#[test]
fn optional_cells_cost_nothing_but_themselves() {
    for age in ["old", "inf", "1e99", "--3"] {
        unreadable(
            "customers.csv",
            format!("c3,,,{age},p3").as_bytes(),
            &format!(", column `age`: `{age}` is not a"),
        );
    }
    unreadable("articles.csv", b"0999,1,\xc3\x28,", ", column `prod_name`: the text is not UTF-8");
    for price in ["-0.05", "inf", "free"] {
        let row = format!("2018-09-21,c2,0110065001,{price},2");
        unreadable(
            "transactions.csv",
            row.as_bytes(),
            &format!(", column `price`: `{price}` is not a price"),
        );
    }
    let says = ", column `sales_channel_id`: `256` is not a sales channel";
    unreadable("transactions.csv", b"2018-09-21,c2,0110065001,0.05,256", says);
}

#[test]
fn lines_are_counted_through_quotes_line_ends_and_blank_lines() {
    let articles = "\u{feff}article_id,text\r\n\r\n1,\"two\r\nlines\"\r\n\r\n1,again\r\n2,fine\r\n";
    let dir = hm_with("articles.csv", articles.as_bytes());
    std::fs::write(dir.path().join("transactions.csv"), TRANSACTIONS.replace("0110065001", "2"))
        .unwrap();
    let (dataset, report) = load_plain(&dir).unwrap();
    assert_eq!(dataset.articles.ids.iter().collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(dataset.articles.column("text").unwrap().values.category(0), Some("two\r\nlines"));
    assert!(
        report.to_string().contains("articles.csv, line 6, column `article_id`: `1` is not unique"),
        "{report}"
    );
    assert_eq!(report.rejects[0].first.text, "1,again");
}

#[test]
fn empty_fields_at_the_end_of_lines_cost_nothing() {
    let rows = |end: &str| ARTICLES.trim_end().replace('\n', &format!("{end}\n")) + end + "\n";
    let (header, data) = ARTICLES.split_once('\n').unwrap();
    let only_data = rows(",,").replacen(&format!("{header},,"), header, 1);
    for articles in [format!("{header},\n{data}"), only_data, rows(",")] {
        let (dataset, report) = load_plain(&hm_with("articles.csv", articles.as_bytes())).unwrap();
        assert_eq!((dataset.articles.len(), report.rejected()), (3, 0), "{articles}{report}");
    }
}

#[test]
fn broken_text_files() {
    refused(
        &hm_with("articles.csv", b"article_id,text\n1,fine\n2,\"never closed\n3,x\n"),
        false,
        &["articles.csv, line 3", "the quote that opens here is never closed"],
    );
    refused(
        &hm_with("articles.csv", b"a\0r\0,\0b\0\n\0"),
        false,
        &["articles.csv, line 1", "utf-16le"],
    );
    let endless = vec![b'x'; 24 << 20];
    refused(
        &hm_with("articles.csv", &endless),
        false,
        &["articles.csv, line 1", "no line end within 16 MiB"],
    );
}

#[test]
fn a_kind_of_fault_is_reported_once_with_its_count() {
    let rows =
        "2018-09-21,c2,0999,0.05,2\n2018-09-21,c9,0110065001,0.05,2\n2018-09-22,c2,0998,0.05,2\n";
    let dir = hm_with("transactions.csv", (TRANSACTIONS.to_owned() + rows).as_bytes());
    let (_, report) = load_plain(&dir).unwrap();
    assert_eq!(report.rejects.iter().map(|group| group.count).collect::<Vec<_>>(), [2, 1]);
    let text = report.to_string();
    assert!(
        text.contains("3 of 11 rows cannot be used") && text.contains("(and 1 more of this kind)"),
        "{text}"
    );
    assert_eq!(report.reject_file, None);
}

#[test]
fn the_reject_file_is_made_only_for_rejects_and_never_over_the_data() {
    let dir = hm_folder();
    let rejects = dir.path().join("none.csv");
    let options = LoadOptions { rejects: Some(rejects.clone()), ..LoadOptions::default() };
    load(dir.path(), &options).unwrap();
    assert!(!rejects.exists());

    let dir = hm_with("transactions.csv", (TRANSACTIONS.to_owned() + "x,y,z,1,2\n").as_bytes());
    let before = std::fs::read(dir.path().join("articles.csv")).unwrap();
    let options =
        LoadOptions { rejects: Some(dir.path().join("./articles.csv")), ..LoadOptions::default() };
    let error = load(dir.path(), &options).expect_err("would overwrite");
    assert!(error.to_string().contains("is part of the data"), "{error}");
    assert_eq!(std::fs::read(dir.path().join("articles.csv")).unwrap(), before);

    let options = LoadOptions {
        rejects: Some(dir.path().join("no/such/folder.csv")),
        ..LoadOptions::default()
    };
    let error = load(dir.path(), &options).expect_err("cannot be written");
    assert!(!error.is_bad_input() && error.to_string().contains("--rejects"), "{error}");
}

#[test]
fn sequences_and_their_attributes() {
    let dir = folder(&[("s.txt", "u1 a b\nu2\nu1 c\nu3 \u{1}x\nu4 b\n")]);
    let (dataset, report) = load_plain(&dir).unwrap();
    assert_eq!(purchases(&dataset), [("u1", "a", 0), ("u4", "b", 0), ("u1", "b", 1)]);
    let text = report.to_string();
    for says in [
        "line 2: a line needs",
        "line 3: `u1` is not unique",
        "line 4: an id must not hold control",
    ] {
        assert!(text.contains(says), "`{says}` is not in: {text}");
    }
    let dir =
        folder(&[("s.txt", "u1 a b\n"), ("s_item2attributes.json", "{\"a\": [1],\n \"b\": [[]]}")]);
    refused(&dir, false, &["s_item2attributes.json, line 2", "whole number or a text"]);
}
