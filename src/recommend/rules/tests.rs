use super::*;
use crate::recommend::{CatalogueBuilder, Cell, Placement};
use serde_json::json;

fn placement(rules: Value) -> Result<Placement, serde_json::Error> {
    serde_json::from_value(json!({"k": 12, "rules": rules}))
}

/// What is wrong with the rules of a placement, whatever the catalogue holds.
fn problem(rules: Value) -> String {
    match placement(rules) {
        Ok(placement) => placement
            .recipe()
            .map(|recipe| format!("fine: {recipe:?}"))
            .unwrap_or_else(|e| e.to_string()),
        Err(error) => error.to_string(),
    }
}

fn is_fine(rules: Value) -> bool {
    placement(rules).is_ok_and(|placement| placement.recipe().is_ok())
}

fn pin(name: &str, article: &str, position: usize) -> Value {
    json!({"rule": "pin", "name": name, "article_id": article, "position": position})
}

#[test]
fn a_rule_that_cannot_hold_is_refused_with_the_reason() {
    let filter = json!({"season": "summer"});
    for (rule, says) in [
        (json!({"name": "a"}), "a rule needs its kind"),
        (
            json!({"rule": "burry", "name": "a"}),
            "there is no rule `burry`; there are: boost, bury, promote, pin, hide",
        ),
        (json!({"rule": "hide", "filter": filter}), "give it a `name`"),
        (json!({"rule": "hide", "name": "", "filter": filter}), "give it a `name`"),
        (json!({"rule": "hide", "name": "a"}), "missing field `filter`"),
        (json!({"rule": "hide", "name": "a", "filter": {}}), "selects everything"),
        (json!({"rule": "hide", "name": "a", "filter": {"x": null}}), "give a value"),
        (
            json!({"rule": "hide", "name": "a", "filter": filter, "colour": 1}),
            "unknown field `colour`",
        ),
        (
            json!({"rule": "boost", "name": "a", "filter": filter, "factor": 0}),
            "above 1 and at most 1000, not 0",
        ),
        (json!({"rule": "boost", "name": "a", "filter": filter, "factor": -2}), "above 1"),
        (json!({"rule": "boost", "name": "a", "filter": filter, "factor": 1e9}), "above 1"),
        (json!({"rule": "boost", "name": "a", "filter": filter, "factor": 1e300}), "above 1"),
        (json!({"rule": "boost", "name": "a", "filter": filter, "factor": null}), "expected f32"),
        (json!({"rule": "bury", "name": "a", "filter": filter, "factor": 0}), "use `hide` for 0"),
        (json!({"rule": "bury", "name": "a", "filter": filter, "factor": 1}), "below 1"),
        (json!({"rule": "promote", "name": "a", "filter": filter}), "either `at_least` or `share`"),
        (
            json!({"rule": "promote", "name": "a", "filter": filter, "at_least": 1, "share": 0.5}),
            "either",
        ),
        (json!({"rule": "promote", "name": "a", "filter": filter, "at_least": 13}), "1 to 12"),
        (json!({"rule": "promote", "name": "a", "filter": filter, "at_least": 0}), "1 to 12"),
        (
            json!({"rule": "promote", "name": "a", "filter": filter, "share": 1.01}),
            "at most 1, not 1.01",
        ),
        (json!({"rule": "promote", "name": "a", "filter": filter, "share": -1}), "above 0"),
        (json!({"rule": "promote", "name": "a", "filter": filter, "share": 1e-9}), "above 0"),
        (pin("a", "x", 0), "1 to 12"),
        (pin("a", "x", 13), "1 to 12, the placement's `k`, not 13"),
        (
            json!({"rule": "hide", "name": "a", "filter": filter, "from": "soon"}),
            "`from`: `soon` is neither a date",
        ),
        (json!({"rule": "hide", "name": "a", "filter": filter, "until": 5}), "as a text"),
        (
            json!({"rule": "hide", "name": "a", "filter": filter, "from": "2026-02-01", "until": "2026-02-01"}),
            "ends at",
        ),
    ] {
        let problem = problem(json!([rule]));
        assert!(problem.contains(says), "{rule}: {problem}");
    }
    // TOML can write what JSON cannot.
    let toml = "[[rules]]\nrule = \"boost\"\nname = \"a\"\nfactor = nan\n[rules.filter]\nseason = \"summer\"";
    assert!(toml::from_str::<Placement>(toml).is_err());
    let many: Vec<Value> = (1..=33).map(|n| pin(&n.to_string(), &n.to_string(), 1)).collect();
    assert!(problem(json!(many)).contains("at most 32 rules, not 33"));
}

#[test]
fn rules_that_contradict_are_refused_unless_they_never_meet() {
    assert!(problem(json!([pin("a", "x", 1), pin("a", "y", 2)])).contains("the same name"));
    assert!(
        problem(json!([pin("a", "x", 1), pin("b", "y", 1)]))
            .contains("both pin an article at position 1")
    );
    assert!(
        problem(json!([pin("a", "x", 1), pin("b", "x", 2)])).contains("both pin the article `x`")
    );
    assert!(is_fine(json!([pin("a", "x", 1), pin("b", "y", 2)])));
    let during = |rule: &Value, from: &str, until: &str| {
        let mut rule = rule.clone();
        rule["from"] = json!(from);
        rule["until"] = json!(until);
        rule
    };
    let january = during(&pin("a", "x", 1), "2026-01-01", "2026-02-01");
    assert!(is_fine(json!([january, during(&pin("b", "y", 1), "2026-02-01", "2026-03-01")])));
    assert!(!is_fine(json!([january, during(&pin("b", "y", 1), "2026-01-31", "2026-03-01")])));
    assert!(!is_fine(json!([january, pin("b", "x", 2)])));
    let promote = |name: &str, filter: &str| json!({"rule": "promote", "name": name, "share": 0.6, "filter": {"season": filter}});
    let (summer, winter) = (promote("s", "summer"), promote("w", "winter"));
    assert!(
        problem(json!([summer, winter])).contains("`s`, `w` that promote more than the whole list")
    );
    let (summer, winter) =
        (during(&summer, "2026-04-01", "2026-10-01"), during(&winter, "2026-10-01", "2027-04-01"));
    assert!(is_fine(json!([summer, winter])));
}

#[test]
fn the_catalogue_must_have_what_a_rule_names_when_it_is_saved() {
    let mut builder = CatalogueBuilder::default();
    builder.push("1", true, [("season", Cell::Text("summer"))]);
    builder.push("2", true, [("season", Cell::Text("winter"))]);
    let catalogue = builder.finish(1);
    let check = |definition: Value| {
        let placement: Placement = serde_json::from_value(definition).unwrap();
        let recipe = placement.recipe().unwrap();
        recipe.rules.check(&catalogue, &recipe)
    };
    let hide = |season: &str| json!({"rule": "hide", "name": "no", "filter": {"season": season}});
    let says = |definition: Value| check(definition).unwrap_err();
    assert!(check(json!({"rules": [hide("winter"), pin("a", "1", 1)]})).is_ok());
    assert!(
        says(json!({"rules": [hide("summer"), pin("a", "1", 1)]}))
            .contains("the rule `no` hides its article `1`")
    );
    assert!(says(json!({"rules": [pin("a", "3", 1)]})).contains("no article `3`"));
    assert!(
        says(json!({"rules": [pin("a", "1", 1)], "exclude": {"article_ids": ["1"]}}))
            .contains("`exclude`")
    );
    assert!(
        says(json!({"rules": [pin("a", "1", 1)], "filter": {"season": "winter"}}))
            .contains("filter rules")
    );
    let unknown = json!({"rule": "hide", "name": "no", "filter": {"seson": "summer"}});
    assert!(says(json!({"rules": [unknown]})).contains("no attribute `seson`; it has: season"));
    let relative =
        json!({"rule": "hide", "name": "no", "filter": {"seson": {"same_as": "article"}}});
    assert!(says(json!({"rules": [relative]})).contains("no attribute `seson`"));
}

#[test]
fn a_placement_keeps_its_rules_as_they_were_written() {
    let definition = json!({
        "rules": [{
            "rule": "boost", "name": "summer", "filter": {"season": "summer"}, "factor": 1.5,
            "from": "2026-04-01", "until": "2026-10-01T00:00:00Z",
        }],
        "diversity": 0.25,
        "fallback": [{"source": "popular"}],
    });
    let placement: Placement = serde_json::from_value(definition.clone()).unwrap();
    let written = serde_json::to_value(&placement).unwrap();
    for key in ["rules", "diversity", "fallback"] {
        assert_eq!(written[key], definition[key]);
    }
    let read: Placement = toml::from_str(&toml::to_string(&placement).unwrap()).unwrap();
    assert_eq!(read, placement);
    for diversity in [-0.1, 1.1, f32::NAN] {
        let wrong = Placement { diversity, ..placement.clone() };
        assert!(wrong.recipe().unwrap_err().to_string().contains("`diversity` must be 0 to 1"));
    }
}
