//! Sources, alone and together.

use super::{sources::SourceSpec, *};
use crate::statistics::{Purchase, Statistics};
use serde_json::{Value, json};

const NOW: u32 = 1_000;

fn spec(definition: Value) -> SourceSpec {
    try_spec(definition).unwrap()
}

fn try_spec(definition: Value) -> Result<SourceSpec, String> {
    SourceSpec::parse(definition.as_object().unwrap().clone())
}

/// Customers 0 to 9 buy articles 101 and 102 together every week, and 201 on other days; article
/// 301 began to sell this week.
fn purchases() -> Vec<Purchase> {
    let purchase = |customer, article, day| Purchase {
        customer,
        article,
        at: Timestamp(day * Timestamp::DAY),
        weight: 1.0,
    };
    let weekly = |customer| {
        (1..8).flat_map(move |week| {
            let day = NOW - 7 * week;
            [
                purchase(customer, 101, day),
                purchase(customer, 102, day),
                purchase(customer, 201, day - 3),
            ]
        })
    };
    let new = (0..4).map(|customer| purchase(customer, 301, NOW - 2));
    (0..10).flat_map(weekly).chain(new).collect()
}

fn shop(snapshot: &Snapshot) -> Shop {
    let at = Timestamp(NOW * Timestamp::DAY);
    let views = (0..6).flat_map(|person| [102, 55].map(|article| (person, article)));
    let view = |(customer, article)| Purchase { customer, article, at, weight: 1.0 };
    let statistics = Statistics::count(snapshot.catalogue().rows(), purchases(), at)
        .with_views(views.map(view).collect());
    Shop { signals: Some(Arc::new(Signals::of_rows(Arc::new(statistics)))), ..Shop::default() }
}

/// Who has bought articles 1 (yesterday, and often) and 102 (last week).
fn ask(snapshot: &Snapshot, sources: &[Value], change: impl FnOnce(&mut Request)) -> Answer {
    let bought = ids(&["a1", "a102", "a1", "a1"]);
    let times = [NOW - 1, NOW - 7, NOW - 8, NOW - 20].map(|day| Timestamp(day * Timestamp::DAY));
    let customer = Customer {
        recorded: true,
        purchases: &bought,
        purchase_times: &times,
        ..Customer::UNKNOWN
    };
    let id = CustomerId::parse("c77").unwrap();
    let recipe =
        Recipe { sources: sources.iter().cloned().map(spec).collect(), ..Recipe::default() };
    let base = Request::new(Some(id), TopK::new(4).unwrap(), Timestamp(NOW * Timestamp::DAY));
    let mut request = Request { tell_purchases: true, recipe: Arc::new(recipe), ..base };
    change(&mut request);
    let answer = recommend(&shop(snapshot), snapshot, &request, customer).unwrap();
    assert_eq!(answer.items.len(), request.k.get(), "filled up");
    answer
}

fn found(snapshot: &Snapshot, source: Value) -> Vec<String> {
    let answer = ask(snapshot, &[source], |_| {});
    let name = answer.sources[0].source;
    let own = answer.items.iter().filter(|item| item.source == name);
    own.map(|item| snapshot.catalogue().id(item.row).to_owned()).collect()
}

#[test]
fn each_source_can_be_asked_alone() {
    let snapshot = snapshot();
    for (source, expected) in [
        (json!({"source": "buy_again"}), vec!["a1", "a102"]),
        // The last week of purchases: a1 has no neighbours, a102 was bought with a101.
        (json!({"source": "bought_together"}), vec!["a101"]),
        (json!({"source": "viewed_together"}), vec!["a55"]),
        (json!({"source": "new_arrivals", "days": 5}), vec!["a301"]),
        (json!({"source": "trending"}), vec!["a301"]),
        (json!({"source": "variants", "attribute": "code"}), vec!["a103"]),
        (json!({"source": "fixed", "article_ids": ["a9", "gone", "a10", "a8"]}), vec!["a9", "a8"]),
        (
            json!({"source": "popular_in", "attribute": "bucket", "per_value": 2}),
            vec!["a101", "a102"],
        ),
    ] {
        assert_eq!(found(&snapshot, source.clone()), expected, "{source}");
    }
    // What fills the list sells well, too.
    assert_eq!(found(&snapshot, json!({"source": "popular", "days": 7, "limit": 1}))[0], "a101");
    let similar = found(&snapshot, json!({"source": "similar_taste"}));
    assert_eq!(similar[0], "a101", "bought by all who bought a102: {similar:?}");
    let expected = found(&snapshot, json!({"source": "ease"}));
    assert_eq!(expected[..2], ["a201", "a101"], "bought by all who bought a102");
    let model = found(&snapshot, json!({"source": "model"}));
    assert_eq!(model[0], "a77");
}

#[test]
fn several_sources_are_fused_and_counted() {
    let snapshot = snapshot();
    let answer = ask(
        &snapshot,
        &[
            json!({"source": "buy_again", "weight": 2}),
            json!({"source": "bought_together", "limit": 1}),
            json!({"source": "popular", "days": 28, "limit": 50}),
        ],
        |_| {},
    );
    assert_eq!(answer.strategy, Strategy::Pipeline);
    // a102 is bought before (second) and popular; a1 bought before (first) alone.
    assert_eq!(names(&snapshot, &answer)[..2], ["a102", "a1"]);
    let counts: Vec<_> =
        answer.sources.iter().map(|count| (count.source, count.found, count.left_out)).collect();
    assert_eq!(
        counts,
        [("buy_again", 2, false), ("bought_together", 1, false), ("popular", 4, false)]
    );
    let answered: usize = answer.sources.iter().map(|count| count.answered).sum();
    assert_eq!(
        answered,
        answer.items.iter().filter(|item| item.source != sources::CATALOGUE).count()
    );
}

#[test]
fn a_source_that_fails_is_left_out_and_told() {
    let snapshot = snapshot();
    let unknown = json!({"source": "model", "model": "nothing"});
    let answer = ask(&snapshot, &[json!({"source": "buy_again"}), unknown.clone()], |_| {});
    assert_eq!(names(&snapshot, &answer)[..2], ["a1", "a102"]);
    assert_eq!(
        (answer.sources[1].left_out, &answer.warnings[..]),
        (true, &[Warning::SourceLeftOut][..])
    );
    // Alone it is an error: there is nothing else to answer with.
    let recipe = Recipe { sources: vec![spec(unknown)], ..Recipe::default() };
    let request = Request {
        recipe: Arc::new(recipe),
        ..Request::new(None, TopK::new(4).unwrap(), Timestamp(9))
    };
    let error = recommend(&Shop::default(), &snapshot, &request, Customer::UNKNOWN).unwrap_err();
    assert_eq!(error, RecommendError::UnknownModel("nothing".to_owned()));
    // Before the purchases are counted, too.
    let recipe = Recipe { sources: vec![spec(json!({"source": "trending"}))], ..Recipe::default() };
    let request = Request { recipe: Arc::new(recipe), ..request };
    let error = recommend(&Shop::default(), &snapshot, &request, Customer::UNKNOWN).unwrap_err();
    assert_eq!(error, RecommendError::NoStatistics);
}

#[test]
fn a_cart_is_state_and_never_answered() {
    let snapshot = snapshot();
    let together = json!({"source": "bought_together"});
    let answer = ask(&snapshot, &[together, json!({"source": "buy_again"})], |request| {
        request.cart = ids(&["a101", "a1"])
    });
    let names = names(&snapshot, &answer);
    assert_eq!(names[0], "a102", "bought with what lies in the cart");
    assert!(!names.contains(&"a101") && !names.contains(&"a1"), "{names:?}");
}

#[test]
fn purchases_of_the_last_days_can_be_excluded() {
    let snapshot = snapshot();
    let within = |days| {
        let answer = ask(&snapshot, &[json!({"source": "buy_again"})], |request| {
            Arc::make_mut(&mut request.recipe).exclude.purchased_within_days = Some(days);
        });
        answer.sources[0].found
    };
    assert_eq!([within(0), within(3), within(7), within(30)], [2, 1, 0, 0]);
}

#[test]
fn what_is_wrong_with_a_source_is_told() {
    for (definition, problem) in [
        (json!({}), "a source needs its name"),
        (json!({"source": "astrology"}), "there is no source `astrology`; there are: model"),
        (json!({"source": "popular", "limit": 0}), "`limit`: give a whole number from 1 to 1000"),
        (
            json!({"source": "popular", "limit": 1_000_000}),
            "`limit`: give a whole number from 1 to 1000",
        ),
        (json!({"source": "popular", "weight": -1}), "`weight`: give a number above 0"),
        (json!({"source": "popular", "days": 8}), "`days` must be one of [1, 3, 7, 28, 91], not 8"),
        (json!({"source": "popular", "hours": 8}), "unknown field `hours`"),
        (json!({"source": "fixed"}), "missing field `article_ids`"),
    ] {
        let error = try_spec(definition.clone()).unwrap_err();
        assert!(error.contains(problem), "{definition}: {error}");
    }
}
