//! Filters: any JSON object is refused with a reason or narrows the catalogue; equal filters are remembered as one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::{collections::BTreeMap, sync::LazyLock};
use vitrine::{
    recommend::{Catalogue, CatalogueBuilder, Cell, Filter},
    retrieval::ItemSet,
};

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    let mut builder = CatalogueBuilder::default();
    let tags = ["a".to_owned(), "b".to_owned()];
    builder.push("1", true, [("colour", Cell::Text("Black")), ("price", Cell::Number(5.0))]);
    builder.push("2", true, [("colour", Cell::Text("White")), ("price", Cell::Number(20.0))]);
    builder.push("3", true, [("tags", Cell::Tags(&tags)), ("price", Cell::Number(20.25))]);
    builder.finish(1)
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(conditions) = serde_json::from_slice::<BTreeMap<String, Value>>(bytes) else { return };
    let filter = match Filter::parse(&conditions) {
        Ok(filter) => filter,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let mut rows = ItemSet::full(CATALOGUE.len());
    let narrowed = filter.narrow(&CATALOGUE, &mut rows).is_ok();
    let again = Filter::parse(&conditions).expect("it was parsed before");
    assert_eq!(again.key(), filter.key());
    let mut same = ItemSet::full(CATALOGUE.len());
    assert_eq!(again.narrow(&CATALOGUE, &mut same).is_ok(), narrowed);
    assert!(rows.iter().eq(same.iter()));
});
