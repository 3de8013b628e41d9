//! How values are written: what the import can read, a description finds.

use super::*;
use crate::dataset::{self, Dataset, ImportReport, LoadOptions};
use std::fmt::Write as _;

/// The description of a folder with one file, and the data read by it.
fn loaded(name: &str, text: &str) -> (String, Dataset, ImportReport) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(name), text).unwrap();
    let described = match describe(dir.path()) {
        Ok(Layout::Guessed(described)) => described.text,
        other => panic!("{other:?}"),
    };
    let file = dir.path().join("dataset.toml");
    std::fs::write(&file, &described).unwrap();
    let options = LoadOptions { dataset_file: Some(file), ..LoadOptions::default() };
    let (dataset, report) =
        dataset::load(dir.path(), &options).unwrap_or_else(|error| panic!("{error}\n{described}"));
    (described, dataset, report)
}

/// 120 rows of 12 customers and 10 articles, each behind a row of its own making.
fn rows(cell: impl Fn(usize) -> String) -> String {
    (0..120).fold(String::new(), |mut text, at| {
        let (customer, article, day) = (at % 12, at % 10, 1 + at % 28);
        let _ = writeln!(text, "C{customer};A{article};2024-03-{day:02};{}", cell(at));
        text
    })
}

#[test]
fn prices_in_the_notations_of_the_world_are_found_and_read() {
    for (first, other, expected) in [
        ("CHF 1'442.25", "CHF 524.25", [1442.25, 524.25]),
        ("1 442,25 kr", "524,25 kr", [1442.25, 524.25]),
        ("kr. 1442,25", "kr. 524,25", [1442.25, 524.25]),
        ("Fr. 1’442.25", "Fr. 524.25", [1442.25, 524.25]),
        ("Rs.1442", "Rs.500", [1442.0, 500.0]),
        ("1.249.900", "15.990", [1_249_900.0, 15_990.0]),
    ] {
        // More than one price of each kind, as every column has.
        let price = |at: usize| if at.is_multiple_of(3) { first } else { other }.to_owned();
        let text = format!("customer_id;sku;order_date;unit_price\n{}", rows(price));
        let (described, dataset, report) = loaded("o.csv", &text);
        assert!(described.contains("price = \"unit_price\""), "{first}: {described}");
        assert_eq!(report.unreadable.len(), 0, "{first}: {report}");
        let prices = &dataset.purchases.price;
        let found = expected.map(|price| prices.iter().filter(|&&read| read == price).count());
        assert_eq!(found, [40, 80], "{first}: {described}");
    }
}

#[test]
fn what_the_import_takes_for_no_value_is_none_for_a_description() {
    for missing in ["—", "(null)", "n.a.", "?", "#REF!"] {
        let text = rows(|_| "9.50".to_owned()).replace("C0;", &format!("{missing};"));
        let text = format!("customer_id;sku;order_date;unit_price\n{text}");
        let (described, dataset, _) = loaded("o.csv", &text);
        assert_eq!(dataset.customers.len(), 11, "{described}");
        assert!(described.contains("8 % of the rows have none"), "{described}");
    }
}

/// 60 orders of two lines each, as JSON.
fn orders(order: impl Fn(usize, [String; 2]) -> String) -> Vec<String> {
    let item = |at: usize| {
        format!(
            r#"{{"sku": "A{:02}", "price": {}.5, "quantity": 1, "name": "Lamp {}"}}"#,
            at % 11,
            at % 11,
            at % 11
        )
    };
    (0..60).map(|at| order(at, [item(2 * at), item(2 * at + 1)])).collect()
}

#[test]
fn the_items_of_orders_in_json_are_purchases() {
    let order = |at: usize, [one, two]: [String; 2]| {
        let (customer, day) = (at % 9, 1 + at % 28);
        format!(
            r#"{{"order_id": {at}, "customer_id": "C{customer}", "created_at": "2024-03-{day:02}T10:00:00Z",
            "line_items": [{one}, {{"note": "a gift"}}, {two}]}}"#
        )
        .replace('\n', " ")
    };
    let (described, dataset, report) = loaded("orders.jsonl", &orders(order).join("\n"));
    assert!(described.contains("article = \"line_items.sku\""), "{described}");
    assert!(described.contains("split = { column = \"line_items.sku\""), "{described}");
    let counts = (dataset.articles.len(), dataset.customers.len(), dataset.purchases.len());
    assert_eq!((counts, report.rejected()), ((11, 9, 120), 0), "{described}");
    // Each item has a price of its own, though an element between them has none.
    let purchases = &dataset.purchases;
    for (&article, &price) in purchases.article.iter().zip(&purchases.price) {
        let number: f32 = dataset.articles.ids.get(article)[1..].parse().unwrap();
        assert_eq!(price, number + 0.5, "{described}");
    }
}

#[test]
fn rows_in_a_wrapper_are_split_as_well() {
    let row = |at: usize, [one, _]: [String; 2]| {
        let (customer, day) = (at % 9, 1 + at % 28);
        format!(
            r#"{{"customer_id": "C{customer}", "order_date": "2024-03-{day:02}", {}"#,
            &one[1..]
        )
    };
    let text = format!(r#"{{"status": "ok", "data": {{"orders": [{}]}}}}"#, orders(row).join(", "));
    let (described, dataset, _) = loaded("orders.json", &text);
    assert!(described.contains("customer = \"data.orders.customer_id\""), "{described}");
    let counts = (dataset.customers.len(), dataset.purchases.len());
    assert_eq!(counts, (9, 60), "{described}");
    assert_eq!(dataset.purchases.time[0].date_string(), "2024-03-01");
}

#[test]
fn the_text_of_an_object_is_no_id() {
    let row = |at: usize| format!(r#""[{{""sku"": ""A{}""}}]""#, at % 7);
    let text = format!("customer_id;ean;order_date;items\n{}", rows(row));
    let (described, _, _) = loaded("o.csv", &text.replace("ean", "article_id"));
    assert!(described.contains("article = \"article_id\""), "{described}");
}

#[test]
fn values_that_no_json_has_cost_no_purchase() {
    let row = |at: usize| {
        let price = match at % 40 {
            7 => "Infinity",
            at => ["NaN", "9.5", "3.25", "7.75"][at % 4],
        };
        let (customer, article, day) = (at % 12, at % 10, 1 + at % 28);
        format!(
            r#"{{"customer_id": "C{customer}", "sku": "A{article}", "created": {{"$date": "2024-03-{day:02}T10:00:00Z"}},
            "unit_price": {{"$numberDecimal": {price}}}}}"#
        )
        .replace('\n', " ")
    };
    let text = (0..120).map(row).collect::<Vec<_>>().join("\n");
    let (described, dataset, report) = loaded("o.jsonl", &text);
    assert_eq!((dataset.purchases.len(), report.rejected()), (120, 0), "{described}");
    assert!(described.contains("price = \"unit_price.$numberDecimal\""), "{described}");
    assert!(described.contains("time = \"created.$date\""), "{described}");
}

#[test]
fn a_delimiter_at_the_end_of_lines_costs_nothing() {
    let rows = rows(|_| "9.5".to_owned());
    let header = "customer_id;sku;order_date;unit_price";
    for text in [
        format!("{header};\n{rows}"),
        format!("{header}\n{}", rows.replace('\n', ";\n")),
        format!("{header};;\n{}", rows.replace('\n', ";;\n")),
    ] {
        let (described, dataset, report) = loaded("o.csv", &text);
        assert_eq!((dataset.purchases.len(), report.rejected()), (120, 0), "{described}");
        assert!(!described.contains("header = false"), "{described}");
    }
}
