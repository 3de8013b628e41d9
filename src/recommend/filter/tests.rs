use super::*;
use crate::{
    domain::Timestamp,
    recommend::{CatalogueBuilder, Cell},
};

fn catalogue() -> Catalogue {
    let mut builder = CatalogueBuilder::default();
    let tags = ["a".to_owned(), "b".to_owned()];
    let number = |text| Cell::Number(Number::parse(text).unwrap());
    builder.push(
        "1",
        true,
        [("colour", Cell::Text("Black")), ("price", number("5")), ("ean", number("4006381333931"))],
    );
    builder.push(
        "2",
        true,
        [
            ("colour", Cell::Text("White")),
            ("price", number("20")),
            ("ean", number("4006381333932")),
        ],
    );
    builder.push(
        "3",
        true,
        [
            ("tags", Cell::Texts(&tags)),
            ("price", number("20.01")),
            ("ean", number("9007199254740993")),
        ],
    );
    builder.finish(1)
}

fn rows(json: &str) -> Result<Vec<u32>, FilterError> {
    let catalogue = catalogue();
    let mut rows = ItemSet::full(catalogue.len());
    let filter = Filter::parse(&serde_json::from_str(json).unwrap())?;
    let conditions = filter.on(&catalogue)?;
    rows.retain(|row| conditions.hold(row));
    Ok(rows.iter().collect())
}

#[test]
fn conditions_are_anded_and_lists_ored() {
    assert_eq!(rows("{}").unwrap(), [0, 1, 2]);
    assert_eq!(rows(r#"{"colour": "Black"}"#).unwrap(), [0]);
    assert_eq!(rows(r#"{"colour": ["Black", "White", "Pink"]}"#).unwrap(), [0, 1]);
    assert_eq!(rows(r#"{"colour": []}"#).unwrap(), [0; 0]);
    assert_eq!(rows(r#"{"price": {"min": 5, "max": 20}}"#).unwrap(), [0, 1]);
    assert_eq!(rows(r#"{"price": {"min": 20}, "colour": "White"}"#).unwrap(), [1]);
    assert_eq!(rows(r#"{"price": 20}"#).unwrap(), [1]);
    assert_eq!(rows(r#"{"price": "20.0"}"#).unwrap(), [1]);
    assert_eq!(rows(r#"{"tags": "b"}"#).unwrap(), [2]);
    assert_eq!(rows(r#"{"price": {"min": 20, "max": 20.005}}"#).unwrap(), [1]);
}

#[test]
fn whole_numbers_are_compared_exactly() {
    assert_eq!(rows(r#"{"ean": 4006381333931}"#).unwrap(), [0]);
    assert_eq!(rows(r#"{"ean": "4006381333932"}"#).unwrap(), [1]);
    assert_eq!(rows(r#"{"ean": 9007199254740992}"#).unwrap(), [0; 0]);
    assert_eq!(rows(r#"{"ean": [9007199254740993, 1]}"#).unwrap(), [2]);
    assert_eq!(rows(r#"{"ean": {"min": 4006381333932, "max": 9007199254740992}}"#).unwrap(), [1]);
    assert!(rows(r#"{"ean": {"min": 1e300}}"#).is_err());
}

#[test]
fn filters_are_negated_and_combined() {
    assert_eq!(rows(r#"{"colour": {"not": "Black"}}"#).unwrap(), [1, 2]);
    assert_eq!(rows(r#"{"colour": {"not": ["Black", "White"]}}"#).unwrap(), [2]);
    assert_eq!(rows(r#"{"price": {"not": {"max": 10}}}"#).unwrap(), [1, 2]);
    assert_eq!(rows(r#"{"colour": {"exists": true}}"#).unwrap(), [0, 1]);
    assert_eq!(rows(r#"{"tags": {"exists": false}}"#).unwrap(), [0, 1]);
    assert_eq!(rows(r#"{"not": {"colour": "White", "price": 20}}"#).unwrap(), [0, 2]);
    assert_eq!(rows(r#"{"not": {}}"#).unwrap(), [0; 0]);
    assert_eq!(rows(r#"{"any": [{"colour": "Black"}, {"tags": "a"}]}"#).unwrap(), [0, 2]);
    assert_eq!(
        rows(r#"{"all": [{"price": {"min": 5}}, {"price": {"max": 20}}]}"#).unwrap(),
        [0, 1]
    );
    let nested =
        r#"{"price": {"min": 5}, "not": {"any": [{"colour": "Black"}, {"not": {"tags": "b"}}]}}"#;
    assert_eq!(rows(nested).unwrap(), [2]);
}

#[test]
fn bad_combinations_are_named() {
    let message = |json: &str| rows(json).unwrap_err().to_string();
    for (bad, says) in [
        (r#"{"any": []}"#, "at least one"),
        (r#"{"all": {"colour": "Black"}}"#, "list of filters"),
        (r#"{"any": ["Black"]}"#, "list of filters"),
        (r#"{"not": "Black"}"#, "give a filter"),
        (r#"{"not": {"color": "Black"}}"#, "no attribute `color`"),
        (r#"{"colour": {"exists": "yes"}}"#, "true or false"),
        (r#"{"price": {"not": 1, "min": 2}}"#, "stands alone"),
        (r#"{"colour": {"not": null}}"#, "give a value"),
    ] {
        assert!(message(bad).contains(says), "{bad}: {}", message(bad));
    }
    let deep = format!("{}{{}}{}", "{\"not\":".repeat(20), "}".repeat(20));
    assert!(message(&deep).contains("deep"), "{}", message(&deep));
    let deep = format!("{{\"price\":{}1{}}}", "{\"not\":".repeat(20), "}".repeat(20));
    assert!(message(&deep).contains("deep"), "{}", message(&deep));
    let wide = format!("{{\"any\":[{}]}}", vec![r#"{"price": 1}"#; 256].join(","));
    assert!(message(&wide).contains("256"), "{}", message(&wide));
}

#[test]
fn values_that_no_article_has_are_named() {
    let unmatched = |json: &str| -> Vec<String> {
        let filter = Filter::parse(&serde_json::from_str(json).unwrap()).unwrap();
        filter
            .unmatched(&catalogue())
            .into_iter()
            .map(|u| format!("{}={}", u.attribute, u.value))
            .collect()
    };
    assert_eq!(
        unmatched(r#"{"colour": ["Black", "Blakc"], "price": [5, 6]}"#),
        ["colour=Blakc", "price=6"]
    );
    assert_eq!(
        unmatched(r#"{"any": [{"tags": "c"}, {"not": {"colour": {"not": "Red"}}}]}"#),
        ["tags=c", "colour=Red"]
    );
    assert_eq!(unmatched(r#"{"colour": "White", "price": {"min": 100}}"#), [""; 0]);
}

#[test]
fn bad_filters_are_named() {
    let message = |json| rows(json).unwrap_err().to_string();
    assert!(message(r#"{"color": "Black"}"#).contains("`color`; it has: colour, ean, price, tags"));
    let bare = FilterError::UnknownAttribute { name: "color".to_owned(), known: Vec::new() };
    assert!(bare.to_string().ends_with("it has: none"));
    assert!(message(r#"{"colour": {"min": 1}}"#).contains("no min and max"));
    assert!(message(r#"{"price": {"min": 9, "max": 1}}"#).contains("above"));
    assert!(message(r#"{"price": {"minimum": 9}}"#).contains("`minimum`"));
    assert!(message(r#"{"price": {}}"#).contains("needs"));
    assert!(message(r#"{"price": null}"#).contains("give a value"));
    assert!(message(r#"{"price": "cheap"}"#).contains("numbers"));
    assert!(message(r#"{"colour": [["x"]]}"#).contains("texts and numbers only"));
}

#[test]
fn equal_filters_share_a_key_and_different_ones_do_not() {
    let key =
        |json: &str| Filter::parse(&serde_json::from_str(json).unwrap()).unwrap().key().to_owned();
    assert_eq!(key(r#"{"a": ["x", "y"], "b": 1}"#), key(r#"{"b": 1, "a": ["y", "x", "y"]}"#));
    assert_ne!(key(r#"{"a": "x\";y"}"#), key(r#"{"a": ["x", "y"]}"#));
    assert_ne!(key(r#"{"a": {"min": 1}}"#), key(r#"{"a": {"max": 1}}"#));
}

#[test]
fn conditions_on_the_request_are_resolved_to_plain_ones() {
    let catalogue = dated();
    let customer = Person;
    let given = Given {
        catalogue: &catalogue,
        at: Timestamp::parse("2026-03-31").unwrap(),
        article: Some(0),
        customer: &customer,
    };
    let rows = |json: &str, given: &Given<'_>| -> (Vec<u32>, bool) {
        let filter = Filter::parse(&serde_json::from_str(json).unwrap()).unwrap();
        let resolved = filter.resolve(given);
        let conditions = resolved.filter.on(&catalogue).unwrap();
        let rows = (0..catalogue.rows() as u32).filter(|&row| conditions.hold(row)).collect();
        (rows, resolved.left_out)
    };
    for (json, expected) in [
        // Article 2 comes tomorrow, article 3 has no date, and 4 is older than 1970.
        (r#"{"launched": {"max_days_ago": 1}}"#, vec![0]),
        (r#"{"launched": {"max_days_ago": 10}}"#, vec![0, 1]),
        (r#"{"launched": {"min_days_ago": 5}}"#, vec![1, 4]),
        (r#"{"launched": {"min_days_ago": 0, "max_days_ago": 30000}}"#, vec![0, 1, 4]),
        (r#"{"seconds": {"max_days_ago": 1}}"#, vec![1]),
        (r#"{"launched": {"not": {"max_days_ago": 10}}}"#, vec![2, 3, 4]),
        (r#"{"brand": {"same_as": "article"}}"#, vec![0, 1]),
        (r#"{"brand": {"differs_from": "article"}}"#, vec![2, 3, 4]),
        (r#"{"tags": {"same_as": "article"}}"#, vec![0, 3]),
        (r#"{"seconds": {"same_as": "article"}}"#, vec![0]),
        (r#"{"market": {"from": "customer.country"}}"#, vec![0, 2]),
        (r#"{"market": {"from": "customer.languages"}}"#, vec![0, 1, 2]),
        (r#"{"seconds": {"from": "customer.since"}}"#, vec![1]),
        (r#"{"article_ids": ["a2", "a1", "gone"]}"#, vec![1, 2]),
        (r#"{"not": {"article_ids": ["a2", "a1"]}}"#, vec![0, 3, 4]),
    ] {
        assert_eq!(rows(json, &given), (expected, false), "{json}");
    }
    let nobody = Given { article: None, customer: &crate::features::NoAttributes, ..given };
    for (json, expected) in [
        (r#"{"brand": {"same_as": "article"}}"#, vec![0, 1, 2, 3, 4]),
        (r#"{"brand": {"differs_from": "article"}, "market": "DE"}"#, vec![0, 2]),
        (r#"{"not": {"market": {"from": "customer.country"}}}"#, vec![0, 1, 2, 3, 4]),
        (r#"{"any": [{"market": {"from": "customer.country"}}, {"brand": "b"}]}"#, vec![2]),
        (r#"{"any": [{"market": {"from": "customer.country"}}]}"#, vec![0, 1, 2, 3, 4]),
    ] {
        assert_eq!(rows(json, &nobody), (expected, true), "{json}");
    }
    // A text is no number: the condition is left out, and the request is no error.
    assert!(rows(r#"{"seconds": {"from": "customer.country"}}"#, &given).1);
}

#[test]
fn requests_that_come_to_the_same_share_a_key() {
    let catalogue = dated();
    let key = |json: &str, at: &str| {
        let (at, customer) = (Timestamp::parse(at).unwrap(), Person);
        let given = Given { catalogue: &catalogue, at, article: Some(0), customer: &customer };
        let filter = Filter::parse(&serde_json::from_str(json).unwrap()).unwrap();
        filter.resolve(&given).filter.key().to_owned()
    };
    let recent = r#"{"launched": {"max_days_ago": 10}}"#;
    assert_eq!(key(recent, "2026-03-31T00:00:00Z"), key(recent, "2026-03-31T23:59:59Z"));
    assert_ne!(key(recent, "2026-03-31"), key(recent, "2026-04-01"));
    let market = r#"{"market": {"from": "customer.country"}}"#;
    assert_eq!(key(market, "2026-03-31"), key(r#"{"market": "DE"}"#, "2026-03-31"));
}

#[test]
fn bad_conditions_on_the_request_are_named() {
    let message = |json: &str| rows(json).unwrap_err().to_string();
    for (bad, says) in [
        (r#"{"price": {"max_days_ago": -1}}"#, "whole number of days"),
        (r#"{"price": {"max_days_ago": 1.5}}"#, "whole number of days"),
        (r#"{"price": {"max_days_ago": 1000000}}"#, "0 to 100000"),
        (r#"{"price": {"max_days_ago": 1, "min_days_ago": 2}}"#, "above"),
        (r#"{"price": {"max_days_ago": 1, "min": 2}}"#, "without `min`"),
        (r#"{"colour": {"same_as": "customer"}}"#, "\"article\""),
        (r#"{"colour": {"same_as": "article", "min": 2}}"#, "stands alone"),
        (r#"{"colour": {"from": "country"}}"#, "customer.country"),
        (r#"{"colour": {"from": "customer."}}"#, "customer.country"),
        (r#"{"color": {"same_as": "article"}}"#, "no attribute `color`"),
        (r#"{"article_ids": "a"}"#, "list of article ids"),
        (r#"{"article_ids": [1]}"#, "as texts"),
    ] {
        assert!(message(bad).contains(says), "{bad}: {}", message(bad));
    }
    let many = format!(r#"{{"article_ids": [{}]}}"#, vec!["\"a\""; 1_001].join(","));
    assert!(message(&many).contains("1000 articles"));
}

/// Articles with dates as texts, and as seconds.
fn dated() -> Catalogue {
    let mut builder = CatalogueBuilder::default();
    let text = |name: &'static str, text: &'static str| (name, Cell::Text(text));
    let seconds = |number| ("seconds", Cell::Number(Number::Integer(number)));
    let (wool, red) = (["wool".to_owned(), "new".to_owned()], ["new".to_owned()]);
    let today = i64::from(Timestamp::parse("2026-03-31").unwrap().0);
    let mut push = |id: &str, cells: Vec<(&str, Cell<'_>)>| builder.push(id, true, cells);
    let zoned = text("launched", "2026-03-31T00:30:00+01:00");
    push(
        "a0",
        vec![
            zoned,
            text("brand", "a"),
            text("market", "DE"),
            seconds(10),
            ("tags", Cell::Texts(&wool)),
        ],
    );
    push(
        "a1",
        vec![
            text("launched", "2026-03-21 08:00:00"),
            text("brand", "a"),
            text("market", "FR"),
            seconds(today),
        ],
    );
    push("a2", vec![text("launched", "2026-04-01"), text("brand", "b"), text("market", "DE")]);
    push("a3", vec![text("launched", "soon"), ("tags", Cell::Texts(&red))]);
    push("a4", vec![text("launched", "1959-08-17")]);
    builder.finish(1)
}

/// Somebody in Germany who reads French too.
struct Person;

impl crate::features::Attributes for Person {
    fn text(&self, name: &str) -> Option<&str> {
        (name == "country").then_some("DE")
    }
    fn number(&self, name: &str) -> Option<f32> {
        (name == "since").then(|| Timestamp::parse("2026-03-31").unwrap().0 as f32)
    }
    fn for_each_tag(&self, name: &str, tag: &mut dyn FnMut(&str)) {
        match name {
            "country" => tag("DE"),
            "languages" => ["DE", "FR"].into_iter().for_each(tag),
            _ => {}
        }
    }
}
