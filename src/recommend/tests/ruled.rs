//! Rules, diversity, the fallback chain, explanations and the preview.

use super::{
    sources::{Drawn, Source, SourceSpec},
    *,
};
use rules::{RuleSpec, Rules};
use serde_json::{Value, json};

/// A source that finds what it is told, or fails.
#[derive(Debug, Clone)]
pub(super) struct Double {
    pub(super) rows: Vec<u32>,
    pub(super) fails: bool,
}

impl Source for Double {
    fn name(&self) -> &'static str {
        "double"
    }

    fn find(&self, _context: &Context<'_>, want: usize) -> Result<Drawn, RecommendError> {
        if self.fails {
            return Err(ModelError("it fails".to_owned()).into());
        }
        let articles = self.rows.iter().take(want).map(|&row| (row, 1.0)).collect();
        Ok(Drawn { articles, ..Drawn::default() })
    }
}

pub(super) fn double(rows: &[u32]) -> SourceSpec {
    SourceSpec::of(Arc::new(Double { rows: rows.to_vec(), fails: false }))
}

pub(super) fn failing() -> SourceSpec {
    SourceSpec::of(Arc::new(Double { rows: Vec::new(), fails: true }))
}

fn source(definition: Value) -> SourceSpec {
    SourceSpec::parse(definition.as_object().unwrap().clone()).unwrap()
}

pub(super) fn rules(definitions: &[Value]) -> Rules {
    let spec = |rule: &Value| RuleSpec::parse(rule.as_object().unwrap().clone()).unwrap();
    Rules::new(definitions.iter().map(spec).collect(), 12).unwrap()
}

/// What customer `c77` is answered by a recipe.
fn ask(recipe: Recipe, change: impl FnOnce(&mut Request)) -> (Answer, Vec<String>) {
    let snapshot = snapshot();
    let id = CustomerId::parse("c77").unwrap();
    let at = Timestamp::parse("2026-06-15").unwrap();
    let mut request = Request {
        recipe: Arc::new(recipe),
        tell_purchases: true,
        ..Request::new(Some(id), TopK::new(12).unwrap(), at)
    };
    change(&mut request);
    let purchases = ids(&["a501", "a501", "a502"]);
    let customer = Customer { recorded: true, purchases: &purchases, ..Customer::UNKNOWN };
    let answer = recommend(&Shop::default(), &snapshot, &request, customer).unwrap();
    let shown = preview(&Shop::default(), &snapshot, &request, customer).unwrap();
    assert_eq!(shown.answer, answer, "the preview answers what is answered");
    let names =
        answer.items.iter().map(|item| snapshot.catalogue().id(item.row).to_owned()).collect();
    (answer, names)
}

fn with_rules(definitions: &[Value]) -> Recipe {
    Recipe { rules: rules(definitions), ..Recipe::default() }
}

fn names(recipe: Recipe) -> Vec<String> {
    ask(recipe, |_| {}).1
}

fn number(name: &str) -> usize {
    name[1..].parse().unwrap()
}

#[test]
fn boosted_articles_come_earlier_and_buried_ones_later() {
    let plain = names(Recipe::default());
    let code = (number(&plain[5]) / 2).to_string();
    let boost = json!({"rule": "boost", "name": "up", "filter": {"code": code}, "factor": 2});
    let (answer, boosted) =
        ask(with_rules(std::slice::from_ref(&boost)), |request| request.explain = true);
    assert_eq!(boosted[0], plain[5]);
    assert_eq!(answer.items[0].rules, ["up"]);
    assert!(answer.items[1].rules.is_empty());
    let bury = json!({"rule": "bury", "name": "down", "filter": {"article_ids": [plain[0]]}, "factor": 0.001});
    let buried = names(with_rules(&[bury]));
    assert_eq!(buried[..11], plain[1..]);
    // What lay beyond the list gets in, too: the candidates are more than the list is long.
    let far =
        json!({"rule": "boost", "name": "up", "filter": {"price": {"min": 6000}}, "factor": 1000});
    let far = names(with_rules(&[far]));
    assert!(number(&plain[0]) < 6_000 && far.iter().all(|name| number(name) >= 6_000), "{far:?}");
}

#[test]
fn a_rule_holds_from_its_first_moment_to_its_last() {
    let plain = names(Recipe::default());
    let hide = |from: &str, until: &str| {
        let filter = json!({"article_ids": [plain[0]]});
        let rule =
            json!({"rule": "hide", "name": "no", "filter": filter, "from": from, "until": until});
        names(with_rules(&[rule])) != plain
    };
    assert!(
        hide("2026-06-15", "2026-06-16") && hide("2026-06-14T23:59:59Z", "2026-06-15T00:00:01Z")
    );
    assert!(!hide("2026-06-01", "2026-06-15") && !hide("2026-06-15T00:00:01Z", "2026-07-01"));
}

#[test]
fn hidden_articles_are_found_by_no_source_and_no_fill() {
    let hide = json!({"rule": "hide", "name": "no", "filter": {"bucket": ["many", "hundred"]}});
    let recipe = Recipe { sources: vec![double(&[500, 20, 5])], ..with_rules(&[hide]) };
    let (answer, names) = ask(recipe, |request| request.k = TopK::new(100).unwrap());
    // Articles 1 to 13 without the tenth, and two new ones.
    assert_eq!((names.len(), names[0].as_str(), answer.sources[0].found), (12 + 2, "a5", 1));
    assert_eq!(answer.counts.filtered, 12_002 - 14);
}

#[test]
fn promotions_are_spread_evenly_and_filled_from_the_catalogue() {
    let few = json!({"rule": "promote", "name": "few", "filter": {"bucket": "ten"}, "at_least": 3});
    let (answer, names) = ask(with_rules(&[few]), |request| request.explain = true);
    let is_few = |name: &String| (2..14).contains(&number(name));
    let places: Vec<usize> = (0..12).filter(|&place| is_few(&names[place])).collect();
    assert_eq!(places, [3, 7, 11]);
    assert!(places.iter().all(|&place| answer.items[place].rules == ["few"]));
    let share = json!({"rule": "promote", "name": "half", "filter": {"price": {"min": 6000}}, "share": 0.5});
    let (_, shared) = ask(with_rules(&[share]), |_| {});
    for p in 1..=12 {
        assert!(
            shared[..p].iter().filter(|name| number(name) >= 6_000).count() >= p / 2,
            "{shared:?}"
        );
    }
}

#[test]
fn pins_stand_at_their_places_unless_the_request_forbids_it() {
    let pin = |name: &str, article: &str, position: usize| json!({"rule": "pin", "name": name, "article_id": article, "position": position});
    let plain = names(Recipe::default());
    let pins = with_rules(&[
        pin("one", "a4001", 1),
        pin("best", &plain[0], 4),
        pin("sold out", "a4010", 2),
    ]);
    let (answer, pinned) = ask(pins.clone(), |request| request.explain = true);
    assert_eq!((pinned[0].as_str(), &pinned[3]), ("a4001", &plain[0]));
    assert_eq!([&pinned[1..3], &pinned[4..]].concat(), plain[1..11]);
    assert_eq!(
        (&answer.items[0].rules[..], &answer.items[3].rules[..]),
        (&["one".to_owned()][..], &["best".to_owned()][..])
    );
    let (_, filtered) =
        ask(Recipe { filter: filter(r#"{"price": {"max": 4000}}"#), ..pins.clone() }, |_| {});
    assert!(!filtered.contains(&"a4001".to_owned()));
    let (_, excluded) = ask(pins.clone(), |request| request.cart = ids(&["a4001"]));
    assert!(!excluded.contains(&"a4001".to_owned()));
    // A list that ends before a pin's place has it at its end.
    let (_, short) = ask(pins.clone(), |request| request.only = Some(ids(&[&plain[0], "a7"])));
    assert_eq!(short, ["a7".to_owned(), plain[0].clone()]);
    let (_, shorter) = ask(pins, |request| request.k = TopK::new(3).unwrap());
    assert_eq!(shorter[1..], plain[1..3], "not before its place");
}

#[test]
fn pins_come_first_under_max_per_too() {
    let best = number(&names(Recipe::default())[0]);
    let twin = best ^ 1;
    let pin =
        json!({"rule": "pin", "name": "twin", "article_id": format!("a{twin}"), "position": 9});
    let recipe = Recipe { max_per: vec![("code".to_owned(), 1)], ..with_rules(&[pin]) };
    let (_, names) = ask(recipe, |_| {});
    assert_eq!(
        (names[8].clone(), names.contains(&format!("a{best}"))),
        (format!("a{twin}"), false)
    );
}

#[test]
fn diversity_spreads_the_list_and_zero_changes_nothing() {
    let plain = names(Recipe::default());
    assert_eq!(names(Recipe { diversity: 0.0, ..Recipe::default() }), plain);
    let snapshot = snapshot();
    let spread = |names: &[String]| -> f32 {
        let vector =
            |name: &String| snapshot.vector(snapshot.catalogue().row(name).unwrap()).unwrap();
        let pairs =
            names.iter().enumerate().flat_map(|(i, a)| names[..i].iter().map(move |b| (a, b)));
        pairs.map(|(a, b)| query::cosine(vector(a), vector(b))).sum()
    };
    let diverse = |diversity| names(Recipe { diversity, ..Recipe::default() });
    let (some, all) = (diverse(0.95), diverse(1.0));
    assert_eq!((&some[0], &all[0]), (&plain[0], &plain[0]), "the best comes first");
    assert!(spread(&all) < spread(&plain) && spread(&some) < spread(&plain));
    // The list of a shorter answer is the beginning of a longer one's.
    let (_, short) = ask(Recipe { diversity: 0.95, ..Recipe::default() }, |request| {
        request.k = TopK::new(5).unwrap()
    });
    assert_eq!(short, some[..5]);
}

#[test]
fn the_fallback_chain_is_asked_in_its_order_and_only_as_far_as_needed() {
    let chain = |first: SourceSpec, fallback: Vec<SourceSpec>| {
        let recipe = Recipe { sources: vec![first], fallback, ..Recipe::default() };
        ask(recipe, |request| {
            request.explain = true;
            request.k = TopK::new(4).unwrap();
        })
    };
    let (answer, names) = chain(double(&[1]), vec![double(&[1, 2, 80]), double(&[3, 4, 5])]);
    assert_eq!(names, ["a1", "a2", "a3", "a4"]);
    assert_eq!((answer.counts.filled, answer.sources.len()), (3, 3));
    assert_eq!(answer.items[2].found[0].rank, 1);
    let (answer, _) = chain(double(&[1, 2, 3, 4]), vec![double(&[5])]);
    assert_eq!(answer.sources.len(), 1, "nobody else was asked");
    let (answer, names) = chain(failing(), vec![failing(), double(&[6])]);
    assert_eq!((names[0].as_str(), names.len()), ("a6", 4));
    assert_eq!(answer.warnings, [Warning::SourceLeftOut]);
}

#[test]
fn a_rule_about_a_vanished_attribute_is_ignored_with_a_warning() {
    let plain = names(Recipe::default());
    for kind in [
        json!({"rule": "hide"}),
        json!({"rule": "boost", "factor": 2}),
        json!({"rule": "promote", "share": 0.5}),
    ] {
        let mut rule = kind.clone();
        rule["name"] = json!("old");
        rule["filter"] = json!({"gone": "x"});
        let hide = json!({"rule": "hide", "name": "no", "filter": {"article_ids": [plain[0]]}});
        let (answer, names) = ask(with_rules(&[rule, hide]), |_| {});
        assert_eq!(names[..11], plain[1..], "{kind}: the other rule holds");
        assert_eq!(answer.warnings, [Warning::RuleIgnored]);
        assert_eq!(answer.ignored_rules[0].rule, "old");
        assert!(answer.ignored_rules[0].reason.contains("no attribute `gone`"));
    }
}

#[test]
fn filters_follow_the_article_looked_at() {
    let like = |recipe: Recipe, subject: Subject| ask(recipe, |request| request.subject = subject);
    let article = Subject::Article(ArticleId::parse("a500").unwrap());
    let same =
        Recipe { filter: filter(r#"{"code": {"same_as": "article"}}"#), ..Recipe::default() };
    let (answer, names) = like(same.clone(), article.clone());
    assert_eq!((names, answer.warnings), (vec!["a501".to_owned()], vec![]));
    let (answer, names) = like(same, Subject::Customer);
    assert_eq!((names.len(), answer.warnings), (12, vec![Warning::ConditionLeftOut]));
    let rule = json!({"rule": "promote", "name": "same", "filter": {"code": {"same_as": "article"}}, "share": 1});
    let (_, names) = like(with_rules(std::slice::from_ref(&rule)), article);
    assert_eq!(names[0], "a501");
    let (answer, names) = like(with_rules(&[rule]), Subject::Customer);
    let (_, plain) = ask(Recipe::default(), |_| {});
    assert_eq!((names, answer.warnings), (plain, vec![Warning::RuleIgnored]));
}

#[test]
fn explanations_name_every_source_and_no_purchase_without_leave() {
    let recipe = || Recipe {
        sources: vec![source(json!({"source": "model"})), source(json!({"source": "buy_again"}))],
        ..with_rules(&[
            json!({"rule": "boost", "name": "up", "filter": {"article_ids": ["a501"]}, "factor": 3}),
        ])
    };
    let (told, names) = ask(recipe(), |request| request.explain = true);
    let own = names.iter().position(|name| name == "a501").unwrap();
    assert_eq!(
        (told.items[own].source, &told.items[own].rules[..]),
        ("buy_again", &["up".to_owned()][..])
    );
    let found: Vec<_> =
        told.items[own].found.iter().map(|found| (found.source, found.rank)).collect();
    assert_eq!(found, [("buy_again", 1)]);
    assert!(told.items.iter().any(|item| item.source == "model") && told.sources[1].found == 2);
    for explain in [false, true] {
        let (withheld, same) = ask(recipe(), |request| {
            (request.explain, request.tell_purchases) = (explain, false);
        });
        assert_eq!(same, names, "the list is the same");
        for (item, rank) in withheld.items.iter().zip(1u16..) {
            assert_eq!((item.source, item.score), (sources::PERSONAL, 1.0 / f32::from(rank)));
            assert!(item.found.is_empty());
        }
        assert!(withheld.sources_withheld);
        assert_eq!((withheld.counts.retrieved, withheld.counts.filled), (12, 0));
        assert_eq!(withheld.warnings.contains(&Warning::PurchasesNotTold), explain);
    }
    // The model alone tells nothing.
    let (answer, _) = ask(Recipe::default(), |request| request.tell_purchases = false);
    assert_eq!((answer.items[0].source, answer.sources_withheld), (sources::MODEL, false));
}

#[test]
fn the_preview_shows_what_each_step_did() {
    let snapshot = snapshot();
    let recipe = Recipe {
        sources: vec![double(&[1, 2, 3]), failing()],
        ..with_rules(&[
            json!({"rule": "boost", "name": "up", "filter": {"article_ids": ["a3"]}, "factor": 2}),
            json!({"rule": "hide", "name": "no", "filter": {"bucket": "hundred"}}),
            json!({"rule": "hide", "name": "later", "filter": {"bucket": "ten"}, "from": "2100-01-01"}),
            json!({"rule": "hide", "name": "old", "filter": {"gone": "ten"}}),
        ])
    };
    let at = Timestamp::parse("2026-06-15").unwrap();
    let request =
        Request { recipe: Arc::new(recipe), ..Request::new(None, TopK::new(5).unwrap(), at) };
    let Preview { answer, stages } =
        preview(&Shop::default(), &snapshot, &request, Customer::UNKNOWN).unwrap();
    assert_eq!((stages.sources[0].articles.len(), stages.sources[1].left_out), (3, true));
    let order = |list: &[preview::CandidateStage]| -> Vec<String> {
        list.iter().map(|candidate| candidate.article_id.clone()).collect()
    };
    assert_eq!(
        (order(&stages.ranked), order(&stages.ruled)),
        (
            vec!["a1".to_owned(), "a2".to_owned(), "a3".to_owned()],
            vec!["a3".to_owned(), "a1".to_owned(), "a2".to_owned()],
        )
    );
    let rules = serde_json::to_value(&stages.rules).unwrap();
    let states: Vec<&Value> = rules.as_array().unwrap().iter().map(|rule| &rule["state"]).collect();
    assert_eq!(states, ["in_force", "in_force", "not_now", "ignored"]);
    assert_eq!(
        (stages.rules[0].weighed, stages.rules[0].answered, stages.rules[1].hidden),
        (1, 1, 105)
    );
    let origins: Vec<&str> = stages.picks.iter().map(|pick| pick.origin).collect();
    assert_eq!(origins, ["candidate", "candidate", "candidate", "popularity", "popularity"]);
    assert_eq!(answer.items.len(), 5);
}
