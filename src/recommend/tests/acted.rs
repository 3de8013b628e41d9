//! What customers do besides buying.

use super::{sources::SourceSpec, *};
use crate::recommend::{Action, ActionKind};
use serde_json::{Value, json};

const NOW: u32 = 1_000 * Timestamp::DAY;
const HOUR: u32 = 3_600;

/// So many hours ago.
fn action(kind: ActionKind, article: &str, hours: u32) -> Action {
    let article = ArticleId::parse(article).unwrap();
    let weight = if matches!(kind, ActionKind::View | ActionKind::Want) { 0.5 } else { 0.0 };
    Action { article, at: Timestamp(NOW - hours * HOUR), kind, weight }
}

/// A request of somebody who did this.
struct Asked<'a> {
    actions: &'a [Action],
    /// With the hours ago.
    bought: &'a [(&'a str, u32)],
    sources: Vec<Value>,
    exclude: Exclude,
}

fn names_of(asked: Asked<'_>) -> (Vec<String>, Answer) {
    let snapshot = snapshot();
    let bought: Vec<&str> = asked.bought.iter().map(|purchase| purchase.0).collect();
    let times: Vec<Timestamp> =
        asked.bought.iter().map(|purchase| Timestamp(NOW - purchase.1 * HOUR)).collect();
    let bought = ids(&bought);
    let customer = Customer {
        purchases: &bought,
        purchase_times: &times,
        actions: asked.actions,
        ..Customer::UNKNOWN
    };
    let spec = |source: &Value| SourceSpec::parse(source.as_object().unwrap().clone()).unwrap();
    let recipe = Recipe {
        sources: asked.sources.iter().map(spec).collect(),
        exclude: asked.exclude,
        ..Recipe::default()
    };
    let request = Request {
        recipe: Arc::new(recipe),
        ..Request::new(None, TopK::new(5).unwrap(), Timestamp(NOW))
    };
    let answer = recommend(&Shop::default(), &snapshot, &request, customer).unwrap();
    (names(&snapshot, &answer).into_iter().map(str::to_owned).collect(), answer)
}

fn viewed(actions: &[Action], exclude: Exclude) -> Vec<String> {
    let asked = Asked {
        actions,
        bought: &[],
        sources: vec![json!({"source": "recently_viewed"})],
        exclude,
    };
    let (names, answer) = names_of(asked);
    let own = answer.items.iter().zip(names).filter(|(item, _)| item.source == "recently_viewed");
    own.map(|(_, name)| name).collect()
}

#[test]
fn what_was_viewed_comes_the_latest_first_and_once() {
    use ActionKind::{Impression, View, Want};
    let actions = [
        action(View, "a3", 1),
        action(Want, "a4", 2),
        action(View, "a2", 3),
        action(Impression, "a5", 4),
        action(View, "a3", 5),
        action(View, "no such article", 6),
        action(View, "a1", 24 * 40),
    ];
    assert_eq!(viewed(&actions, Exclude::default()), ["a3", "a2", "a1"]);
}

#[test]
fn a_dislike_holds_until_the_article_is_wanted_or_bought() {
    use ActionKind::{Dislike, View, Want};
    let views = [action(View, "a1", 50), action(View, "a2", 51)];
    let after = |latest: &[Action]| viewed(&[latest, &views].concat(), Exclude::default());
    assert_eq!(after(&[action(Dislike, "a1", 2)]), ["a2"]);
    assert_eq!(after(&[action(Want, "a1", 1), action(Dislike, "a1", 2)]), ["a1", "a2"]);
    assert_eq!(after(&[action(Dislike, "a1", 1), action(Want, "a1", 2)]), ["a2"]);
    let kept = Exclude { disliked: false, ..Exclude::default() };
    assert_eq!(viewed(&[&[action(Dislike, "a1", 2)][..], &views].concat(), kept), ["a1", "a2"]);
    let disliked = [action(Dislike, "a1", 5), views[0].clone(), views[1].clone()];
    for (hours, expected) in [(4, vec!["a1", "a2"]), (6, vec!["a2"])] {
        let sources = vec![json!({"source": "recently_viewed"})];
        let asked = Asked {
            actions: &disliked,
            bought: &[("a1", hours)],
            sources,
            exclude: Exclude::default(),
        };
        let (names, _) = names_of(asked);
        assert_eq!(names[..expected.len()], expected, "bought {hours} hours ago");
    }
}

#[test]
fn what_was_shown_so_often_today_is_left_out() {
    use ActionKind::{Impression, View};
    let shown = [
        action(View, "a1", 1),
        action(View, "a2", 2),
        action(Impression, "a1", 3),
        action(Impression, "a1", 23),
    ];
    let times = |times| Exclude { seen_times_today: Some(times), ..Exclude::default() };
    assert_eq!(viewed(&shown, times(2)), ["a2"]);
    assert_eq!(viewed(&shown, times(3)), ["a1", "a2"]);
    let yesterday =
        [action(View, "a1", 1), action(Impression, "a1", 3), action(Impression, "a1", 25)];
    assert_eq!(viewed(&yesterday, times(2)), ["a1"]);
}

#[test]
fn a_visit_counts_for_a_day_for_buyers_and_for_a_month_for_others() {
    use ActionKind::{Unwant, View, Want};
    let model = |actions: &[Action], bought: &[(&str, u32)]| {
        names_of(Asked { actions, bought, sources: Vec::new(), exclude: Exclude::default() }).1
    };
    let of_visit = |answer: &Answer| answer.strategy == Strategy::Session;
    assert!(of_visit(&model(&[action(View, "a7", 24 * 29)], &[])));
    assert!(!of_visit(&model(&[action(View, "a7", 24 * 31)], &[])), "too long ago");
    assert!(of_visit(&model(&[action(View, "a7", 23)], &[("a9", 24 * 60)])));
    assert!(!of_visit(&model(&[action(View, "a7", 25)], &[("a9", 24 * 60)])), "not this visit");
    assert!(
        !of_visit(&model(&[action(Unwant, "a7", 1), action(Want, "a7", 2)], &[])),
        "taken out again"
    );
    assert!(of_visit(&model(&[action(Want, "a7", 1), action(Unwant, "a7", 2)], &[])));
    // Later than the request.
    let mut later = action(View, "a7", 0);
    later.at = Timestamp(NOW);
    assert!(!of_visit(&model(&[later], &[])));
}

#[test]
fn the_visit_tells_the_taste_of_whoever_has_bought_nothing() {
    let chosen = |bought: &[&str]| -> Vec<u32> {
        let (snapshot, shop) = (snapshot(), Shop::default());
        let (actions, bought) = ([action(ActionKind::View, "a3", 2)], ids(bought));
        let customer = Customer { purchases: &bought, actions: &actions, ..Customer::UNKNOWN };
        let request = Request {
            session: ids(&["a4"]),
            ..Request::new(None, TopK::new(5).unwrap(), Timestamp(NOW))
        };
        let context = Context::new(&shop, &snapshot, &request, customer).unwrap();
        context.choices().iter().map(|choice| choice.row).collect()
    };
    let row = |id: &str| snapshot().catalogue().row(id).unwrap();
    assert_eq!(chosen(&[]), [row("a4"), row("a3")]);
    assert_eq!(chosen(&["a1"]), [row("a1")]);
}
