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
