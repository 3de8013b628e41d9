//! Events: written once, read by everything that follows from them.

use crate::support::{self, Database};
use vitrine::{
    domain::{ArticleId, CustomerId, Timestamp, VisitorId},
    store::{
        AttributionQuery, Counting, CustomerRecord, CustomerUpsert, Dimension, EventItem,
        MOST_COUNTED_AN_HOUR, Millis, NewEvent, Origin, Person, Retention, SalesWindow, StoreError,
        Verdict,
    },
};

const ARTICLES: &str = "INSERT INTO articles (id) VALUES ('a'), ('b')";

fn customer_id(id: &str) -> CustomerId {
    CustomerId::parse(id).unwrap()
}

fn visitor_id(id: &str) -> VisitorId {
    VisitorId::parse(id).unwrap()
}

fn item(article: &str) -> EventItem {
    let article = ArticleId::parse(article).unwrap();
    EventItem { article, quantity: 1.0, price: None, line: None, origin: None }
}

/// An event of now.
fn event(id: &str, kind: &str, customer: Option<&str>, articles: &[&str]) -> NewEvent {
    let (retention, counting) = match kind {
        "purchase" => (Retention::Facts, Counting::Adds),
        "return" => (Retention::Facts, Counting::Takes),
        "impression" => (Retention::Impressions, Counting::Nothing),
        _ => (Retention::Actions, Counting::Nothing),
    };
    NewEvent {
        event_id: id.to_owned(),
        kind: kind.to_owned(),
        retention,
        at: Millis::now(),
        customer: customer.map(customer_id),
        visitor: None,
        order_id: None,
        currency: None,
        counting,
        items: articles.iter().map(|id| item(id)).collect(),
    }
}

fn ago(mut event: NewEvent, hours: i64) -> NewEvent {
    event.at = Millis(event.at.0 - hours * 3_600_000);
    event
}

async fn add(db: &Database, events: &[NewEvent]) -> Vec<Verdict> {
    db.store.add_events(events).await.unwrap()
}

async fn customer(db: &Database, id: &str) -> CustomerRecord {
    db.store.customer(&customer_id(id), 50).await.unwrap().unwrap()
}

async fn bought(db: &Database, id: &str) -> Vec<(String, f32)> {
    let purchases = customer(db, id).await.purchases;
    purchases
        .iter()
        .map(|purchase| (purchase.article.as_str().to_owned(), purchase.weight))
        .collect()
}

async fn rows(db: &Database) -> i64 {
    let counted = support::texts(&db.url, "SELECT CAST(count(*) AS text) FROM events").await;
    counted[0].parse().unwrap()
}

/// What each article sold, with next to no decay.
async fn sales(db: &Database) -> Vec<(String, f32)> {
    let now = Timestamp(Millis::now().timestamp().0 + 60);
    let counted =
        db.store.sales(SalesWindow { half_life_days: 1e9, days: 1_000, now }).await.unwrap();
    let mut sales: Vec<_> =
        counted.into_iter().map(|of| (of.article.as_str().to_owned(), of.sales)).collect();
    sales.sort_by(|a, b| a.0.cmp(&b.0));
    sales.iter_mut().for_each(|(_, sales)| *sales = (*sales * 1e6).round() / 1e6);
    sales
}

pub async fn an_event_is_written_once(db: &Database) {
    let first = event("1", "view", Some("c"), &["a"]);
    let other = event("2", "view", Some("c"), &["a"]);
    let all = [first.clone(), other.clone(), first.clone()];
    assert_eq!(add(db, &all).await, [Verdict::Accepted, Verdict::Accepted, Verdict::Duplicate]);
    assert_eq!(add(db, &[first, other]).await, [Verdict::Duplicate; 2]);
    assert_eq!(rows(db).await, 2);
    let page = db.store.events_since(0, 100).await.unwrap();
    assert_eq!(
        (page.lines.len(), page.revision, page.more),
        (2, 1, false),
        "a batch of duplicates is no revision"
    );
    assert_eq!(db.store.revisions().await.unwrap().events, 1);
}

pub async fn events_read_back_behind_a_revision(db: &Database) {
    for id in ["1", "2", "3"] {
        add(db, &[event(id, "view", Some("c"), &["a", "b"])]).await;
    }
    let page = db.store.events_since(1, 1).await.unwrap();
    assert_eq!(
        (page.lines.len(), page.revision, page.more),
        (2, 2, true),
        "a revision comes whole"
    );
    let rest = db.store.events_since(page.revision, 100).await.unwrap();
    assert_eq!((rest.lines.len(), rest.revision, rest.more), (2, 3, false));
    assert_eq!(rest.lines[0].customer, Some(customer_id("c")));
    assert_eq!(rest.lines[0].kind, "view");
}

pub async fn an_order_counts_once_whoever_tells_it(db: &Database) {
    support::execute(&db.url, ARTICLES).await;
    let order = |id: &str, articles: &[&str]| NewEvent {
        order_id: Some("o1".into()),
        ..event(id, "purchase", Some("c"), articles)
    };
    assert_eq!(add(db, &[order("browser", &["a", "b"])]).await, [Verdict::Accepted]);
    assert_eq!(
        add(db, &[order("office", &["b", "a"])]).await,
        [Verdict::Duplicate],
        "the order of lines is free"
    );
    assert_eq!(
        add(db, &[order("late", &["b", "a", "a"])]).await,
        [Verdict::Accepted],
        "one more piece of a"
    );
    let mut bought = bought(db, "c").await;
    bought.sort_by(|a, b| a.0.cmp(&b.0));
    let articles: Vec<&str> = bought.iter().map(|(article, _)| article.as_str()).collect();
    assert_eq!(articles, ["a", "a", "b"]);
    assert_eq!(sales(db).await, [("a".into(), 2.0), ("b".into(), 1.0)]);
}

pub async fn two_pieces_are_a_quantity_or_two_lines(db: &Database) {
    support::execute(&db.url, ARTICLES).await;
    let mut two = event("1", "purchase", Some("c"), &["a"]);
    two.items[0].quantity = 2.0;
    add(db, &[two, event("2", "purchase", Some("c"), &["b", "b"])]).await;
    assert_eq!(sales(db).await, [("a".into(), 2.0), ("b".into(), 2.0)]);
    assert_eq!(bought(db, "c").await.len(), 3);
}

pub async fn a_return_takes_a_purchase_back(db: &Database) {
    support::execute(&db.url, ARTICLES).await;
    let mut three = ago(event("1", "purchase", Some("c"), &["a"]), 3);
    three.items[0].quantity = 3.0;
    add(db, &[three, ago(event("2", "purchase", Some("c"), &["b"]), 2)]).await;
    add(db, &[ago(event("3", "return", Some("c"), &["a", "b"]), 1)]).await;
    assert_eq!(bought(db, "c").await, [("a".into(), 2.0)]);
    assert_eq!(sales(db).await, [("a".into(), 2.0), ("b".into(), 0.0)]);
    // Bought again after the return: that one stays.
    add(db, &[event("4", "purchase", Some("c"), &["b"])]).await;
    assert_eq!(bought(db, "c").await, [("b".into(), 1.0), ("a".into(), 2.0)]);
}

pub async fn told_and_imported_purchases_make_one_history(db: &Database) {
    support::execute(&db.url, ARTICLES).await;
    add(db, &[event("1", "purchase", Some("c"), &["b"]), event("2", "view", Some("c"), &["a"])])
        .await;
    let imported = match db.url.starts_with("sqlite:") {
        true => {
            "INSERT INTO purchases (customer, at, article) SELECT c.key, 1000, 1 FROM customers c"
        }
        false => {
            "INSERT INTO purchases (customer, at, article) SELECT c.key, to_timestamp(1000), 1 FROM customers c"
        }
    };
    support::execute(&db.url, imported).await;
    let record = customer(db, "c").await;
    let articles: Vec<&str> =
        record.purchases.iter().map(|purchase| purchase.article.as_str()).collect();
    assert_eq!(articles, ["b", "a"], "newest first");
    assert_eq!(record.actions.len(), 1);
    assert_eq!(
        (record.actions[0].kind.as_str(), record.actions[0].article.as_str()),
        ("view", "a")
    );
    let log = db
        .store
        .purchases(SalesWindow { half_life_days: 1.0, days: 36_500, now: Timestamp(u32::MAX) })
        .await
        .unwrap();
    assert_eq!(log.purchases.len(), 2);
    assert_eq!(log.purchases[0].customer, log.purchases[1].customer);
}

/// A server asks in whole seconds, and events have milliseconds.
pub async fn what_was_told_in_this_second_is_not_yet_to_come(db: &Database) {
    support::execute(&db.url, ARTICLES).await;
    let now = Millis::now().timestamp();
    let late_in_this_second = Millis(i64::from(now.0) * 1_000 + 900);
    let told = [
        ago(event("1", "purchase", Some("c"), &["a"]), 24),
        NewEvent { at: late_in_this_second, ..event("2", "purchase", Some("c"), &["b"]) },
        NewEvent { at: late_in_this_second, ..event("3", "view", Some("c"), &["a"]) },
    ];
    add(db, &told).await;
    let window = SalesWindow { half_life_days: 1.0, days: 1_000, now };
    let mut counted = db.store.sales(window).await.unwrap();
    counted.sort_by(|one, other| one.article.cmp(&other.article));
    let counted: Vec<f32> = counted.iter().map(|article| article.sales).collect();
    assert!((counted[0] - 0.5).abs() < 0.005 && counted[1] == 1.0, "{counted:?}");
    let log = db.store.purchases(window).await.unwrap();
    let latest = log.purchases.iter().map(|purchase| purchase.at).max();
    assert_eq!((latest, log.until), (Some(now), Timestamp(now.0 + 1)));
    assert_eq!(log.views.iter().map(|view| view.at).collect::<Vec<_>>(), [now]);
}

pub async fn an_article_counts_when_the_catalogue_gets_it(db: &Database) {
    add(db, &[event("1", "purchase", Some("c"), &["a"])]).await;
    assert_eq!(sales(db).await, []);
    support::execute(&db.url, ARTICLES).await;
    assert_eq!(sales(db).await, [("a".into(), 1.0)]);
}

pub async fn a_visitor_who_logs_in_brings_the_visit_along(db: &Database) {
    let guest =
        |id: &str| NewEvent { visitor: Some(visitor_id("v")), ..event(id, "view", None, &["a"]) };
    add(db, &[guest("1")]).await;
    assert_eq!(db.store.visitor(&visitor_id("v"), 10).await.unwrap().len(), 1);
    let both = NewEvent { visitor: Some(visitor_id("v")), ..event("2", "view", Some("c"), &["b"]) };
    add(db, &[both]).await;
    assert_eq!(customer(db, "c").await.actions.len(), 2);
    // What comes late from the browser belongs to the customer, too.
    add(db, &[ago(guest("3"), 1)]).await;
    assert_eq!(customer(db, "c").await.actions.len(), 3);
    db.store.merge_visitor(&visitor_id("v2"), &customer_id("new")).await.unwrap();
    add(db, &[NewEvent { visitor: Some(visitor_id("v2")), ..event("4", "view", None, &["a"]) }])
        .await;
    assert_eq!(customer(db, "new").await.actions.len(), 1);
}

pub async fn nobody_fills_a_counter_alone(db: &Database) {
    support::execute(&db.url, ARTICLES).await;
    let spam: Vec<NewEvent> =
        (0..50).map(|n| event(&format!("s{n}"), "purchase", Some("spammer"), &["a"])).collect();
    add(db, &spam[..20]).await;
    add(db, &spam[20..]).await;
    add(db, &[event("honest", "purchase", Some("c"), &["a", "b"])]).await;
    assert_eq!(sales(db).await, [("a".into(), MOST_COUNTED_AN_HOUR + 1.0), ("b".into(), 1.0)]);
    let told: f32 =
        db.store.events_since(0, 1_000).await.unwrap().lines.iter().map(|line| line.counts).sum();
    assert_eq!(told, MOST_COUNTED_AN_HOUR + 2.0, "followers add what a recount finds");
}

pub async fn an_erased_person_is_gone_for_good(db: &Database) {
    support::execute(&db.url, ARTICLES).await;
    let of = |id: &str, kind: &str| NewEvent {
        visitor: Some(visitor_id("v")),
        ..event(id, kind, Some("c"), &["a"])
    };
    add(db, &[of("1", "purchase"), of("2", "view"), event("3", "view", Some("other"), &["a"])])
        .await;
    let erasure = db.store.erase(&Person::Customer(customer_id("c"))).await.unwrap();
    assert_eq!((erasure.known, erasure.events), (true, 2));
    assert_eq!(erasure.visitors, [visitor_id("v")]);
    assert_eq!(db.store.customer(&customer_id("c"), 5).await.unwrap(), None);
    assert_eq!(rows(db).await, 1);
    let late = [
        event("4", "view", Some("c"), &["a"]),
        NewEvent { visitor: Some(visitor_id("v")), ..event("5", "view", None, &["a"]) },
        event("6", "view", Some("other"), &["b"]),
    ];
    assert_eq!(add(db, &late).await, [Verdict::Erased, Verdict::Erased, Verdict::Accepted]);
    let upsert = [CustomerUpsert { id: customer_id("c"), attributes: Default::default() }];
    assert!(matches!(db.store.put_customers(&upsert).await, Err(StoreError::Erased(_))));
    let merge = db.store.merge_visitor(&visitor_id("v"), &customer_id("other")).await;
    assert!(matches!(merge, Err(StoreError::Erased(_))));
    assert_eq!(customer(db, "other").await.actions.len(), 2);
}

pub async fn everything_of_a_customer_is_exported(db: &Database) {
    support::execute(&db.url, ARTICLES).await;
    let mut view =
        NewEvent { visitor: Some(visitor_id("v")), ..event("1", "click", Some("c"), &["a"]) };
    view.items[0].origin = Some(Origin {
        list: "0123".into(),
        route: "home".into(),
        model: "shop".into(),
        version: "v1".into(),
        source: "model".into(),
        position: 3,
        answered: Timestamp(1_700_000_000),
    });
    add(db, &[view]).await;
    let export = db.store.export_customer(&customer_id("c")).await.unwrap().unwrap();
    assert_eq!(export.visitors, [visitor_id("v")]);
    assert_eq!(export.events.len(), 1);
    let text = |key: &str| export.events[0][key].as_str().unwrap().to_owned();
    assert_eq!(
        (text("event_id"), text("type"), text("article")),
        ("1".into(), "click".into(), "a".into())
    );
    assert_eq!(
        (text("route"), text("version"), text("visitor_id")),
        ("home".into(), "v1".into(), "v".into())
    );
    assert!(text("answered").starts_with("2023-11-14T22:13:20"), "{}", text("answered"));
    assert_eq!(export.events[0]["position"], 3);
    assert_eq!(db.store.export_customer(&customer_id("nobody")).await.unwrap(), None);
}

pub async fn customers_are_told(db: &Database) {
    let upsert = |id: &str, age: i64| CustomerUpsert {
        id: customer_id(id),
        attributes: serde_json::from_value(serde_json::json!({ "age": age })).unwrap(),
    };
    db.store.put_customers(&[upsert("c", 30), upsert("d", 40)]).await.unwrap();
    db.store.put_customers(&[upsert("c", 31)]).await.unwrap();
    assert_eq!(
        serde_json::to_string(&customer(db, "c").await.attributes).unwrap(),
        r#"{"age":31}"#
    );
    assert_eq!(db.store.revisions().await.unwrap().customers, 2);
}

pub async fn old_events_are_dropped_by_retention(db: &Database) {
    add(db, &[event("1", "view", Some("c"), &["a"]), event("2", "purchase", Some("c"), &["a"])])
        .await;
    let dropped = db.store.drop_events(Retention::Actions, Timestamp(0)).await.unwrap();
    assert_eq!((dropped, rows(db).await), (0, 2));
    // Two months ahead, so that the month of the events is over.
    let later = Timestamp(Millis::now().timestamp().0 + 70 * Timestamp::DAY);
    assert_eq!(db.store.drop_events(Retention::Actions, later).await.unwrap(), 1);
    assert_eq!(rows(db).await, 1);
    assert_eq!(customer(db, "c").await.purchases.len(), 1);
}

pub async fn writers_of_events_at_once_lose_nothing(db: &Database) {
    let batches: Vec<Vec<NewEvent>> = (0..20)
        .map(|batch| {
            (0..5)
                .map(|n| event(&format!("{}", (batch * 3 + n) % 40), "view", Some("c"), &["a"]))
                .collect()
        })
        .collect();
    let tasks = batches.into_iter().map(|batch| {
        let store = db.store.clone();
        tokio::spawn(async move { store.add_events(&batch).await.unwrap() })
    });
    let mut accepted = 0;
    for task in tasks.collect::<Vec<_>>() {
        accepted +=
            task.await.unwrap().iter().filter(|verdict| **verdict == Verdict::Accepted).count();
    }
    assert_eq!((accepted, rows(db).await), (40, 40));
    let page = db.store.events_since(0, 1_000).await.unwrap();
    assert!(page.lines.is_sorted_by_key(|line| line.revision));
    assert_eq!(page.lines.len(), 40);
}

pub async fn a_secret_is_the_same_for_all(db: &Database) {
    let secret = db.store.secret("attribution").await.unwrap();
    let other = vitrine::store::connect(&db.url, &Default::default()).await.unwrap();
    assert_eq!(other.secret("attribution").await.unwrap(), secret);
    assert_ne!(other.secret("another").await.unwrap(), secret);
}

fn origin(position: i16) -> Origin {
    Origin {
        list: "0123".into(),
        route: "home".into(),
        model: "shop".into(),
        version: "v1".into(),
        source: "model".into(),
        position,
        answered: Timestamp(1_700_000_000),
    }
}

pub async fn recommendations_are_credited_with_what_came_of_them(db: &Database) {
    let from = |mut event: NewEvent, position: i16| {
        event.items[0].origin = Some(origin(position));
        event
    };
    let bought = |id: &str, order: &str, customer: &str, article: &str| {
        let mut event = event(id, "purchase", Some(customer), &[article]);
        event.order_id = Some(order.into());
        event.items[0].price = Some(10.0);
        event.items[0].quantity = 2.0;
        event
    };
    let mut back = ago(event("back", "return", Some("c"), &["a"]), 0);
    back.order_id = Some("o1".into());
    let events = [
        from(event("1", "impression", Some("c"), &["a"]), 1),
        from(event("2", "impression", Some("c"), &["b"]), 2),
        ago(from(event("3", "click", Some("c"), &["a"]), 1), 5),
        // Names its answer; one of two pieces comes back.
        from(bought("4", "o1", "c", "a"), 1),
        back,
        // Names none, but follows the click.
        bought("5", "o2", "c", "z"),
        // The click of `d` is too old, and `e` never clicked.
        ago(from(event("6", "click", Some("d"), &["a"]), 1), 24 * 8),
        bought("7", "o3", "d", "a"),
        bought("8", "o4", "e", "a"),
    ];
    add(db, &events).await;
    let until = Timestamp(Millis::now().timestamp().0 + 60);
    let query =
        |by: &[Dimension]| AttributionQuery { from: until.minus_days(2), until, by: by.to_vec() };
    let all = db.store.attribution(&query(&[])).await.unwrap();
    assert_eq!(all.len(), 1);
    let sums = &all[0];
    assert_eq!((sums.impressions, sums.clicks, sums.carts), (2, 1, 0));
    assert_eq!((sums.orders, sums.units, sums.revenue, sums.returned), (1, 1.0, 10.0, 10.0));
    assert_eq!((sums.assisted_orders, sums.assisted_revenue), (1, 20.0));

    let by =
        db.store.attribution(&query(&[Dimension::Placement, Dimension::Position])).await.unwrap();
    let keys: Vec<_> =
        by.iter().map(|row| (row.key.clone(), row.impressions, row.orders)).collect();
    let key = |position: &str| vec![Some("home".to_owned()), Some(position.to_owned())];
    assert_eq!(keys, [(key("1"), 1, 1), (key("2"), 1, 0)]);
    for dimension in Dimension::ALL {
        db.store.attribution(&query(&[dimension])).await.unwrap();
    }
}
