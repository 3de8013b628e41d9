//! Filters: any JSON object is refused with a reason or narrows the catalogue; equal filters are
//! remembered as one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::{collections::BTreeMap, sync::LazyLock};
use vitrine::{
    domain::Number,
    recommend::{Catalogue, CatalogueBuilder, Cell, Filter},
};

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    let mut builder = CatalogueBuilder::default();
    let tags = ["a".to_owned(), "b".to_owned()];
    let price = |price| Cell::Number(Number::Decimal(price));
    builder.push("1", true, [("colour", Cell::Text("Black")), ("price", price(5.0))]);
    builder.push("2", true, [("colour", Cell::Text("White")), ("price", price(20.0))]);
    builder.push("3", true, [("tags", Cell::Texts(&tags)), ("price", price(20.25))]);
    builder.finish(1)
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(conditions) = serde_json::from_slice::<BTreeMap<String, Value>>(bytes) else { return };
    let filter = match Filter::parse(&conditions) {
        Ok(filter) => filter,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let again = Filter::parse(&conditions).expect("it was parsed before");
    assert_eq!(again.key(), filter.key());
    match (filter.on(&CATALOGUE), again.on(&CATALOGUE)) {
        (Ok(one), Ok(other)) => {
            assert!((0..CATALOGUE.len() as u32).all(|row| one.hold(row) == other.hold(row)));
        }
        (one, other) => assert!(one.is_err() && other.is_err()),
    }
});
