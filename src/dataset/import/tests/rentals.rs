//! Rent the Runway's JSON lines.

use super::*;
use crate::dataset::{TimeUnit, Values};
use proptest::prelude::*;

/// Two customers, two items; u7 changes her mind about her weight, and forgets her age in a later
/// line.
const LINES: &str = r#"{"fit": "fit", "user_id": "7", "bust size": "34d", "item_id": "260", "weight": "137lbs", "rating": "10", "rented for": "vacation", "review_text": "An \"adorable\" romper!", "body type": "hourglass", "review_summary": "So many compliments!", "category": "romper", "height": "5' 8\"", "size": 14, "age": "28", "review_date": "April 20, 2016"}
{"user_id": 8, "item_id": 153, "category": "gown", "height": "5' 6.5\"", "weight": null, "age": 36.5, "review_date": "June 18, 2013"}

{"user_id": 7, "item_id": 153, "weight": "130lbs", "body type": "", "age": null, "review_date": "May 1, 2016"}
{"user_id": 7, "item_id": 260, "weight": "150lbs", "bust size": "34c", "review_date": "January 2, 2014"}
{"user_id": 7, "item_id": 260, "bust size": "36c", "review_date": "April 20, 2016"}
"#;

fn rentals(text: &str) -> TempDir {
    folder(&[
        ("reviews.json", text),
        ("README.txt", "about the data"),
        ("package.json", "{\"name\": \"x\"}"),
    ])
}

#[test]
fn users_become_customers_and_lines_purchases() {
    let (dataset, report) = load_plain(&rentals(LINES)).unwrap();
    assert_eq!(report.kind, "rent-the-runway");
    assert_eq!(
        (report.articles, report.customers, report.purchases, report.rejected()),
        (2, 2, 5, 0)
    );
    assert_eq!(dataset.time_unit, TimeUnit::Day);
    let bought: Vec<_> = {
        let p = &dataset.purchases;
        let name = |i: usize| {
            (dataset.customers.ids.get(p.customer[i]), dataset.articles.ids.get(p.article[i]))
        };
        (0..p.len()).map(|i| (p.time[i].date_string(), name(i))).collect()
    };
    let expected = [
        ("2013-06-18", ("8", "153")),
        ("2014-01-02", ("7", "260")),
        ("2016-04-20", ("7", "260")),
        ("2016-04-20", ("7", "260")),
        ("2016-05-01", ("7", "153")),
    ];
    assert_eq!(bought, expected.map(|(day, who)| (day.to_owned(), who)));
    assert!(dataset.purchases.price.is_empty() && dataset.purchases.channel.is_empty());

    let names: Vec<&str> = dataset.customers.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["body type", "bust size", "age", "height", "weight"]);
    let number =
        |name: &str, row: usize| dataset.customers.column(name).unwrap().values.number(row);
    // The latest value, not the last line; what is missing later keeps its value.
    assert_eq!((number("weight", 0), number("weight", 1)), (Some(130.0), None));
    assert_eq!((number("age", 0), number("age", 1)), (Some(28.0), Some(36.5)));
    assert_eq!((number("height", 0), number("height", 1)), (Some(68.0), Some(66.5)));
    let category =
        |name: &str, row: usize| dataset.customers.column(name).unwrap().values.category(row);
    // Of one day the last line.
    assert_eq!(category("bust size", 0), Some("36c"));
    assert_eq!((category("body type", 0), category("body type", 1)), (Some("hourglass"), None));
    let of_articles = &dataset.articles.column("category").unwrap().values;
    assert_eq!((of_articles.category(0), of_articles.category(1)), (Some("romper"), Some("gown")));
}

#[test]
fn the_preset_is_found_by_content_named_and_decompressed() {
    let whole = load_plain(&rentals(LINES)).unwrap().0.fingerprint();
    let named = folder(&[("dataset.toml", "preset = \"rent-the-runway\"\n"), ("a.jsonl", LINES)]);
    assert_eq!(load_plain(&named).unwrap().0.fingerprint(), whole);

    let compressed = TempDir::new().unwrap();
    std::fs::write(compressed.path().join("reviews.json.gz"), gzip(LINES.as_bytes())).unwrap();
    assert_eq!(load_plain(&compressed).unwrap().0.fingerprint(), whole);
    // Cut off behind the first half: the damage is named, not taken for the end.
    let long = LINES.repeat(300);
    let cut = gzip(long.as_bytes());
    std::fs::write(compressed.path().join("reviews.json.gz"), &cut[..cut.len() - 40]).unwrap();
    let error = load_plain(&compressed).expect_err("cut off");
    assert!(
        error.is_bad_input() && error.to_string().contains("reviews.json.gz: the file is damaged"),
        "{error}"
    );

    let other = folder(&[("package.json", "{\"name\": \"x\"}")]);
    assert!(
        load_plain(&other).expect_err("not rentals").to_string().contains("preset rent-the-runway")
    );
    let two = folder(&[("a.json", LINES), ("b.jsonl", LINES)]);
    assert!(load_plain(&two).expect_err("two files").to_string().contains("several *.json"));
    let array = folder(&[
        ("dataset.toml", "preset = \"rent-the-runway\""),
        ("a.json", "[{\"user_id\": 7},\n{}]"),
    ]);
    let message = load_plain(&array).expect_err("no purchase").to_string();
    assert!(
        message.contains("a.json: no usable row") && message.contains("line 1, column `item_id`"),
        "{message}"
    );
    let sections = folder(&[
        ("dataset.toml", "preset = \"rent-the-runway\"\n[articles]\nkeep = []"),
        ("a.json", LINES),
    ]);
    assert!(load_plain(&sections).expect_err("sections").to_string().contains("takes no sections"));
}

#[test]
fn a_list_of_reviews_is_read_as_its_lines_are() {
    let whole = load_plain(&rentals(LINES)).unwrap().0.fingerprint();
    let reviews: Vec<&str> = LINES.lines().filter(|line| !line.is_empty()).collect();
    for list in
        [format!("[{}]", reviews.join(",")), format!("\u{feff}[\n  {}\n]\n", reviews.join(",\n  "))]
    {
        let dir = folder(&[("reviews.json", &list)]);
        assert_eq!(load_plain(&dir).unwrap().0.fingerprint(), whole);
        std::fs::write(dir.path().join("reviews.json"), &list[..list.len() - 9]).unwrap();
        let message = load_plain(&dir).expect_err("cut off").to_string();
        assert!(message.contains("never closed; is the file cut off?"), "{message}");
    }
    let list = format!("[{},\n 7,\n {{\"user_id\": 1,}}]", reviews[0]);
    let (_, report) = load_plain(&rentals(&list)).unwrap();
    assert_eq!((report.purchases, report.rejected()), (1, 2));
    assert!(report.to_string().contains("reviews.json, line 2: not a JSON object"), "{report}");
}

#[test]
fn faults_are_counted_and_named() {
    let with = |key: &str, value: &str| {
        let mut keys = vec![("user_id", "1"), ("item_id", "2"), ("review_date", "\"May 1, 2016\"")];
        keys.retain(|(known, _)| *known != key);
        keys.push((key, value));
        let pairs: Vec<String> =
            keys.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
        format!("{{{}}}\n", pairs.join(", "))
    };
    let cases = [
        ("{\"user_id\": 1, \n".to_owned(), ": not a JSON object, at character 14 of the line: EOF"),
        (
            "[1, 2]\n".to_owned(),
            "not a JSON object, at character 0 of the line: invalid type: sequence",
        ),
        ("{\"user_id\": 1, \"user_id\": 2}\n".to_owned(), "the key `user_id` is there twice"),
        (
            "{\"item_id\": 1, \"review_date\": \"May 1, 2016\"}\n".to_owned(),
            "column `user_id`: the key is missing",
        ),
        (with("item_id", "null"), "column `item_id`: the key is missing or has no value"),
        (with("item_id", "2.5"), "column `item_id`: `2.5` is not a text or a whole number"),
        (with("user_id", "[1]"), "column `user_id`: `[…]` is not a text or a whole number"),
        (with("user_id", "\"a\\nb\""), "column `user_id`: an id must not hold control"),
        (
            with("review_date", "\"February 30, 2016\""),
            "column `review_date`: `February 30, 2016` is not a date",
        ),
        (with("review_date", "1461110400"), "column `review_date`: `1461110400` is not a date"),
    ];
    for (line, says) in &cases {
        let dir = rentals(&format!("{LINES}{line}"));
        let (dataset, report) = load_plain(&dir).unwrap();
        assert_eq!((dataset.purchases.len(), report.rejected()), (5, 1), "{line}");
        assert!(
            report.to_string().contains("reviews.json, line 7")
                && report.to_string().contains(says),
            "{report}"
        );
        let strict = LoadOptions { strict: true, ..LoadOptions::default() };
        let error = load(dir.path(), &strict).expect_err(line);
        assert!(error.is_bad_input() && error.to_string().contains(says), "{error}");
    }
    // What is wrong with an attribute costs nothing but its value.
    let cells = [
        (with("age", "\"old\""), "column `age`: `old` is not a finite number"),
        (with("age", "1e300"), "column `age`: `1"),
        (with("age", "{\"years\": 3}"), "column `age`: `{…}` is not a finite number"),
        (with("height", "\"170cm\""), "column `height`: `170cm` is not a height"),
        (with("height", "\"5' 13\\\"\""), "column `height`: `5' 13\"` is not a height"),
        (with("weight", "137"), "column `weight`: `137` is not a weight in pounds"),
        (with("weight", "\"-3lbs\""), "column `weight`: `-3lbs` is not a weight"),
        (with("category", "false"), "column `category`: `false` is not a text"),
    ];
    for (line, says) in &cells {
        let (dataset, report) = load_plain(&rentals(&format!("{LINES}{line}"))).unwrap();
        assert_eq!(
            (dataset.purchases.len(), report.rejected(), report.unreadable.len()),
            (6, 0, 1),
            "{line}"
        );
        assert!(
            report.to_string().contains("reviews.json, line 7")
                && report.to_string().contains(says),
            "{report}"
        );
    }
    // All of them, and broken UTF-8, in the reject file.
    let dir = rentals("");
    let mut bytes = LINES.as_bytes().to_vec();
    cases.iter().for_each(|(line, _)| bytes.extend(line.as_bytes()));
    bytes.extend(b"{\"review_text\": \"caf\xe9\"}\n");
    std::fs::write(dir.path().join("reviews.json"), bytes).unwrap();
    let rejects = dir.path().join("rejects.csv");
    let (_, report) =
        load(dir.path(), &LoadOptions { rejects: Some(rejects.clone()), ..any_rejects() }).unwrap();
    assert_eq!(report.rejected() as usize, cases.len() + 1);
    let written = std::fs::read_to_string(rejects).unwrap();
    assert!(
        written.contains(",not a JSON object,")
            || written.contains("at character 21 of the line: the text is not UTF-8")
    );
    assert!(written.contains("caf\u{fffd}"), "{written}");
}

#[test]
fn a_file_without_a_usable_line_is_refused() {
    let named =
        |text| folder(&[("dataset.toml", "preset = \"rent-the-runway\""), ("a.json", text)]);
    let message = load_plain(&named("")).expect_err("empty").to_string();
    assert!(message.contains("a.json: no usable row"), "{message}");
    let message = load_plain(&named("{}\n")).expect_err("no keys").to_string();
    assert!(message.contains("a.json, line 1, column `user_id`: the key is missing"), "{message}");
    let none = folder(&[("dataset.toml", "preset = \"rent-the-runway\"")]);
    assert!(load_plain(&none).expect_err("no file").to_string().contains("*.json"));
}

proptest! {
    /// Any cut into blocks gives the same data, and an attribute is that of a plain reader.
    #[test]
    fn blocks_and_latest_values(
        lines in proptest::collection::vec((0u8..6, 0u8..9, 1u8..29, proptest::option::of(1u16..400), any::<bool>()), 1..80),
        block in 16usize..600,
    ) {
        let mut text = String::new();
        let mut expected: std::collections::BTreeMap<u8, (u8, u16)> = Default::default();
        let mut usable = 0;
        for &(user, item, day, weight, broken) in &lines {
            if broken {
                text += "{\"user_id\": \n";
                continue;
            }
            usable += 1;
            let said = weight.map_or("null".to_owned(), |weight| format!("\"{weight}lbs\""));
            text += &format!("{{\"user_id\":{user},\"item_id\":{item},\"review_date\":\"May {day}, 2016\",\"weight\":{said},\"category\":\"c{user}\"}}\n");
            if let Some(weight) = weight {
                let latest = expected.entry(user).or_insert((day, weight));
                if day >= latest.0 {
                    *latest = (day, weight);
                }
            }
        }
        let dir = folder(&[("dataset.toml", "preset = \"rent-the-runway\""), ("a.json", &text)]);
        let loaded = load_in_blocks(dir.path(), &any_rejects(), block);
        if usable == 0 {
            prop_assert!(loaded.is_err());
        } else {
            let (dataset, report) = loaded.unwrap();
            prop_assert_eq!((dataset.purchases.len(), report.rejected() as usize), (usable, lines.len() - usable));
            prop_assert_eq!(dataset.fingerprint(), load_plain(&dir).unwrap().0.fingerprint());
            prop_assert!(dataset.purchases.time.is_sorted());
            for (row, id) in dataset.customers.ids.iter().enumerate() {
                let weight = dataset.customers.column("weight").unwrap().values.number(row);
                let user: u8 = id.parse().unwrap();
                prop_assert_eq!(weight, expected.get(&user).map(|(_, weight)| f32::from(*weight)));
            }
        }
    }

    #[test]
    fn any_bytes_are_survived(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        at in 0usize..1000,
        block in 1usize..400,
        compressed: bool,
    ) {
        // Noise alone, and noise within good lines.
        let at = at % LINES.len();
        let within = [&LINES.as_bytes()[..at], &bytes, &LINES.as_bytes()[at..]].concat();
        for bytes in [bytes, within] {
            let dir = folder(&[("dataset.toml", "preset = \"rent-the-runway\"")]);
            let name = if compressed { "a.json.gz" } else { "a.json" };
            let written = if compressed && at.is_multiple_of(2) { gzip(&bytes) } else { bytes };
            std::fs::write(dir.path().join(name), written).unwrap();
            if let Ok((dataset, report)) = load_in_blocks(dir.path(), &any_rejects(), block) {
                prop_assert_eq!(dataset.purchases.len(), report.purchases);
                prop_assert!(dataset.purchases.article.iter().all(|&a| (a as usize) < dataset.articles.len()));
                let rows = dataset.customers.len();
                let whole = |column: &crate::dataset::Column| match &column.values {
                    Values::Number(values) => values.len() == rows,
                    Values::Integer(values) => values.len() == rows,
                    Values::Category { codes, .. } => codes.len() == rows,
                    Values::Tags { .. } => false,
                };
                prop_assert!(dataset.customers.columns.iter().all(whole));
            }
            // Detection reads the same bytes without a description.
            std::fs::remove_file(dir.path().join("dataset.toml")).unwrap();
            let _ = load_plain(&dir);
        }
    }
}
