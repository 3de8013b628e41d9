//! `POST /v1/events`, and what the next answer makes of it.

use crate::{
    harness::{Api, Reply, fill, send},
    support::{
        self, Database,
        postgres::{self, Cluster},
    },
};
use axum::{
    body::Body,
    http::{Method, Request, header},
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use vitrine::{
    serving::{Config, PopularityConfig},
    store::{self, StoreOptions},
};

const PATH: &str = "/v1/events";

/// A server with a key for events, over a shop in a database of its own.
struct Told {
    api: Api,
    key: String,
    url: String,
}

impl Told {
    async fn over(database: &Database, configure: impl FnOnce(&mut Config)) -> Self {
        fill(&database.url).await;
        let api = Api::over_store(database.store.clone(), configure).await;
        let key = api.key(&["events"]).await;
        Self { api, key, url: database.url.clone() }
    }

    /// Another server over the same database, with the same key.
    async fn replica(&self, configure: impl FnOnce(&mut Config)) -> Self {
        let store = store::connect(&self.url, &support::patient()).await.unwrap();
        let api = Api::over_store(store, configure).await;
        Self { api, key: self.key.clone(), url: self.url.clone() }
    }

    async fn tell(&self, events: &[Value]) -> Reply {
        let body = json!({"events": events}).to_string();
        let request = Request::post(PATH)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key))
            .header(header::CONTENT_TYPE, "application/json");
        send(&self.api.public, request.body(Body::from(body)).unwrap()).await
    }

    /// Tells events that must all be taken.
    async fn tell_all(&self, events: &[Value]) {
        let reply = self.tell(events).await;
        assert_eq!(reply.status, 202, "{}", reply.body);
        assert_eq!(reply.json(), json!({"accepted": events.len(), "duplicate": 0, "rejected": []}));
    }

    async fn rows(&self) -> usize {
        support::texts(&self.url, "SELECT event_id FROM events").await.len()
    }
}

async fn both() -> [Database; 2] {
    [Database::sqlite().await, Database::postgres().await]
}

fn event(id: &str, kind: &str, who: (&str, &str), article: &str) -> Value {
    json!({"event_id": id, "type": kind, who.0: who.1, "items": [{"article_id": article}]})
}

#[tokio::test]
async fn a_retry_doubles_nothing_and_a_bad_event_refuses_only_itself() {
    for database in both().await {
        let told = Told::over(&database, |_| {}).await;
        let customer = ("customer_id", "customer_id1");
        let mut events = vec![
            event("1", "purchase", customer, "article_id7"),
            event("2", "look", customer, "article_id7"),
            json!({"event_id": "3", "type": "view", "items": [{"article_id": "article_id7"}]}),
            json!("four"),
            event("5", "view", ("visitor_id", "v"), "an article that the catalogue lacks"),
        ];
        let reply = told.tell(&events).await;
        assert_eq!(reply.status, 202, "{}", reply.body);
        let json = reply.json();
        assert_eq!((&json["accepted"], &json["duplicate"]), (&json!(2), &json!(0)));
        let rejected = |json: &Value| -> Vec<(u64, String)> {
            let all = json["rejected"].as_array().unwrap().iter();
            all.map(|one| {
                (one["index"].as_u64().unwrap(), one["code"].as_str().unwrap().to_owned())
            })
            .collect()
        };
        let expected = [(1, "unknown_type"), (2, "missing_subject"), (3, "invalid_event")];
        assert_eq!(rejected(&json), expected.map(|(index, code)| (index, code.to_owned())));
        events.push(event("6", "view", customer, "article_id8"));
        let again = told.tell(&events).await.json();
        assert_eq!(
            (&again["accepted"], &again["duplicate"], rejected(&again).len()),
            (&json!(1), &json!(2), 3)
        );
        assert_eq!(told.rows().await, 3);
        let metrics = told.api.operate(Method::GET, "/metrics", None).await.body;
        assert!(metrics.contains(r#"vitrine_events_total{verdict="duplicate"} 2"#), "{metrics}");
    }
}

#[tokio::test]
async fn a_request_that_is_no_batch_is_refused_as_a_whole() {
    let told = Told::over(&Database::sqlite().await, |_| {}).await;
    let many = vec![json!({}); 1_001];
    assert!(told.tell(&many).await.problem(400, "invalid_request").contains("at most 1000"));
    assert_eq!(told.tell(&[]).await.json(), json!({"accepted": 0, "duplicate": 0, "rejected": []}));
    for (kind, body, status, code) in [
        ("application/json", r#"{"events": {}}"#, 400, "invalid_request"),
        ("application/json", r#"{"evnts": []}"#, 400, "invalid_request"),
        ("text/plain;charset=UTF-8", "{", 400, "invalid_json"),
        ("application/x-www-form-urlencoded", "a=b", 415, "unsupported_media_type"),
    ] {
        let request =
            Request::post(format!("{PATH}?key={}", told.key)).header(header::CONTENT_TYPE, kind);
        send(&told.api.public, request.body(Body::from(body)).unwrap()).await.problem(status, code);
    }
}

#[tokio::test]
async fn only_a_key_for_events_tells_any_and_only_such_a_key_stands_in_an_address() {
    let api = Api::start().await;
    let events = api.key(&["events"]).await;
    let scopes = json!({"name": "both", "scopes": ["events", "recommend"]});
    let both = api.operate(Method::POST, "/admin/v1/keys", Some(scopes)).await.json()["key"]
        .as_str()
        .unwrap()
        .to_owned();
    let scopes = json!({"name": "reads", "scopes": ["recommend"]});
    let reads = api.operate(Method::POST, "/admin/v1/keys", Some(scopes)).await.json()["key"]
        .as_str()
        .unwrap()
        .to_owned();
    let body =
        json!({"events": [event("1", "view", ("visitor_id", "v"), "article_id7")]}).to_string();
    let ask = async |path: &str, key: Option<&str>| {
        let mut request = Request::post(path).header(header::CONTENT_TYPE, "text/plain");
        if let Some(key) = key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        send(&api.public, request.body(Body::from(body.clone())).unwrap()).await
    };
    ask(PATH, None).await.problem(401, "unauthorized");
    ask(&format!("{PATH}?key=guess"), None).await.problem(401, "unauthorized");
    assert!(ask(PATH, Some(&reads)).await.problem(403, "forbidden").contains("`events`"));
    let address = ask(&format!("{PATH}?key={both}"), None).await.problem(403, "forbidden");
    assert!(address.contains("`events` alone"), "{address}");
    for (path, key) in [
        (PATH.to_owned(), Some(&events)),
        (PATH.to_owned(), Some(&both)),
        (format!("{PATH}?key={events}"), None),
    ] {
        assert_eq!(ask(&path, key.map(String::as_str)).await.status, 202, "{path}");
    }
    let popular =
        Request::get("/v1/popular").header(header::AUTHORIZATION, format!("Bearer {events}"));
    send(&api.public, popular.body(Body::empty()).unwrap()).await.problem(403, "forbidden");
    let popular = Request::get(format!("/v1/popular?key={events}"));
    send(&api.public, popular.body(Body::empty()).unwrap()).await.problem(400, "invalid_request");
}

#[tokio::test]
async fn the_next_answer_knows_what_was_told() {
    for database in both().await {
        let told = Told::over(&database, |_| {}).await;
        let api = &told.api;
        let guest = json!({"visitor_id": "v1", "k": 10});
        let popular = api.recommend(guest.clone()).await;
        assert_eq!(
            (&popular.meta()["strategy"], &popular.meta()["fallback"]),
            (&json!("popular"), &json!("anonymous"))
        );
        told.tell_all(&[event("1", "view", ("visitor_id", "v1"), "article_id7")]).await;
        let session = api.recommend(guest.clone()).await;
        assert_eq!(session.meta()["strategy"], json!("session"));
        assert_ne!(session.article_ids(), popular.article_ids());

        // What is disliked or was shown too often is gone.
        let [first, second] = [0, 1].map(|place| session.article_ids()[place].clone());
        told.tell_all(&[event("2", "dislike", ("visitor_id", "v1"), &first)]).await;
        assert!(!api.recommend(guest.clone()).await.article_ids().contains(&first));
        let kept = json!({"visitor_id": "v1", "k": 10, "exclude": {"disliked": false}});
        assert!(api.recommend(kept).await.article_ids().contains(&first));
        told.tell_all(&[event("3", "wishlist", ("visitor_id", "v1"), &first)]).await;
        assert!(api.recommend(guest.clone()).await.article_ids().contains(&first), "wanted again");
        let twice = json!({"visitor_id": "v1", "k": 10, "exclude": {"seen_times_today": 2}});
        told.tell_all(&[event("4", "impression", ("visitor_id", "v1"), &second)]).await;
        assert!(api.recommend(twice.clone()).await.article_ids().contains(&second));
        told.tell_all(&[event("5", "impression", ("visitor_id", "v1"), &second)]).await;
        assert!(!api.recommend(twice).await.article_ids().contains(&second));
        assert!(api.recommend(guest).await.article_ids().contains(&second));

        // A purchase, and a source of its own for what was looked at.
        let again =
            json!({"customer_id": "newcomer", "sources": [{"source": "buy_again"}], "k": 1});
        told.tell_all(&[event("6", "purchase", ("customer_id", "newcomer"), "article_id9")]).await;
        assert_eq!(api.recommend(again.clone()).await.article_ids(), ["article_id9"]);
        told.tell_all(&[event("7", "return", ("customer_id", "newcomer"), "article_id9")]).await;
        assert_ne!(api.recommend(again).await.article_ids(), ["article_id9"], "it came back");
        let viewed =
            json!({"visitor_id": "v1", "sources": [{"source": "recently_viewed"}], "k": 1});
        assert_eq!(api.recommend(viewed).await.article_ids(), ["article_id7"]);
    }
}

#[tokio::test]
async fn a_visitor_becomes_a_customer_by_one_event() {
    for database in both().await {
        let told = Told::over(&database, |_| {}).await;
        told.tell_all(&[event("1", "view", ("visitor_id", "v1"), "article_id7")]).await;
        let mut login = event("2", "view", ("visitor_id", "v1"), "article_id8");
        login["customer_id"] = json!("somebody new");
        let viewed = |who: Value| {
            let mut body = json!({"sources": [{"source": "recently_viewed"}], "k": 2});
            body.as_object_mut().unwrap().extend(who.as_object().unwrap().clone());
            body
        };
        let of_customer = viewed(json!({"customer_id": "somebody new"}));
        assert_eq!(
            told.api.recommend(of_customer.clone()).await.meta()["sources"][0]["found"],
            json!(null)
        );
        told.tell_all(&[login]).await;
        let mut seen = told.api.recommend(of_customer).await.article_ids();
        seen.sort();
        assert_eq!(seen, ["article_id7", "article_id8"]);
        // Named twice, known once.
        let both = viewed(json!({"customer_id": "somebody new", "visitor_id": "v1"}));
        assert_eq!(told.api.recommend(both).await.article_ids().len(), 2);
        let merge = json!({"visitor_id": "v2"});
        told.tell_all(&[event("3", "view", ("visitor_id", "v2"), "article_id9")]).await;
        let path = "/admin/v1/customers/somebody%20new/merge";
        assert_eq!(told.api.operate(Method::POST, path, Some(merge)).await.status, 204);
        let three = json!({"customer_id": "somebody new", "sources": [{"source": "recently_viewed"}], "k": 3});
        assert!(told.api.recommend(three).await.article_ids().contains(&"article_id9".to_owned()));
    }
}

#[tokio::test]
async fn who_does_not_want_to_be_known_is_not_written() {
    for database in both().await {
        let told = Told::over(&database, |_| {}).await;
        let mut shy = event("1", "purchase", ("customer_id", "customer_id1"), "article_id7");
        shy["visitor_id"] = json!("v1");
        shy["consent"] = json!({"personalization": false});
        told.tell_all(&[shy]).await;
        let query =
            "SELECT event_id FROM events WHERE customer IS NULL AND visitor IS NULL AND counts > 0";
        assert_eq!(support::texts(&told.url, query).await, ["1"]);
        assert!(support::texts(&told.url, "SELECT id FROM visitors").await.is_empty());
    }
}

#[tokio::test]
async fn an_event_belongs_to_the_answer_that_led_to_it() {
    for database in both().await {
        let told = Told::over(&database, |_| {}).await;
        let answer =
            told.api.recommend(json!({"customer_id": "customer_id1", "k": 3})).await.json();
        let id = answer["recommendation_id"].as_str().unwrap();
        let click = |event_id: &str, article: &Value, id: &str| {
            let items = json!([{"article_id": article, "recommendation_id": id}]);
            json!({"event_id": event_id, "type": "click", "customer_id": "customer_id1", "items": items})
        };
        let second = &answer["items"][1]["article_id"];
        let forged = click("2", second, &id.to_uppercase());
        let reply = told
            .tell(&[click("1", second, id), forged, click("3", &json!("new9000"), id)])
            .await
            .json();
        assert_eq!(
            (&reply["accepted"], reply["unattributed"].as_array().unwrap().len()),
            (&json!(3), 2),
            "{reply}"
        );
        let query =
            "SELECT event_id || ' ' || route || ' ' || position FROM events WHERE list IS NOT NULL";
        assert_eq!(support::texts(&told.url, query).await, ["1 /v1/recommendations 2"]);
    }
}

/// Waits until an answer is what it should be; only a fault makes that long.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let reached = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reached).await.expect("the answer follows");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_replica_follows() {
    for database in both().await {
        let told = Told::over(&database, |_| {}).await;
        let replica =
            told.replica(|config| config.customers.fresh = Duration::from_secs(3_600)).await;
        let follower = tokio::spawn(replica.api.service.clone().run());
        let guest = json!({"visitor_id": "v1", "k": 10});
        let again =
            json!({"customer_id": "customer_id1", "sources": [{"source": "buy_again"}], "k": 1});
        let before = (
            replica.api.recommend(guest.clone()).await,
            replica.api.recommend(again.clone()).await,
        );
        told.tell_all(&[
            event("1", "click", ("visitor_id", "v1"), "article_id7"),
            event("2", "purchase", ("customer_id", "customer_id1"), "article_id9"),
        ])
        .await;
        until(async || {
            replica.api.recommend(guest.clone()).await.article_ids() != before.0.article_ids()
        })
        .await;
        until(async || replica.api.recommend(again.clone()).await.article_ids() == ["article_id9"])
            .await;
        assert_ne!(before.1.article_ids(), ["article_id9"]);
        // Whoever is erased is gone there, too.
        assert_eq!(
            told.api.operate(Method::DELETE, "/admin/v1/visitors/v1", None).await.status,
            200
        );
        until(async || {
            replica.api.recommend(guest.clone()).await.article_ids() == before.0.article_ids()
        })
        .await;
        follower.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_batch_to_two_replicas_at_once_counts_once() {
    for database in both().await {
        let one = Arc::new(Told::over(&database, |_| {}).await);
        let other = Arc::new(one.replica(|_| {}).await);
        let batch: Vec<Value> = (0..50)
            .map(|n| {
                event(
                    &format!("e{n}"),
                    "purchase",
                    ("customer_id", &format!("c{}", n % 7)),
                    "article_id7",
                )
            })
            .collect();
        let tell = |told: Arc<Told>| {
            let batch = batch.clone();
            tokio::spawn(async move { told.tell(&batch).await.json() })
        };
        let tasks: Vec<_> = (0..4).flat_map(|_| [tell(one.clone()), tell(other.clone())]).collect();
        let mut accepted = 0;
        for task in tasks {
            let json = task.await.unwrap();
            accepted += json["accepted"].as_u64().unwrap();
            assert_eq!(
                json["accepted"].as_u64().unwrap() + json["duplicate"].as_u64().unwrap(),
                50,
                "{json}"
            );
        }
        assert_eq!((accepted, one.rows().await), (50, 50));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_taken_while_the_database_is_away_and_a_retry_counts_once() {
    let cluster = Cluster::start();
    let url = cluster.database();
    fill(&url).await;
    let options =
        StoreOptions { acquire_timeout: Duration::from_secs(5), ..StoreOptions::default() };
    let api = Api::over_store(store::connect(&url, &options).await.unwrap(), |_| {}).await;
    let key = api.key(&["events"]).await;
    let told = Told { api, key, url };
    let follower = tokio::spawn(told.api.service.clone().run());
    told.tell_all(&[event("1", "view", ("visitor_id", "v"), "article_id7")]).await;
    cluster.stop();
    let second = [event("2", "view", ("visitor_id", "v"), "article_id8")];
    for _ in 0..5 {
        let refused = told.tell(&second).await;
        refused.problem(503, "database_unavailable");
        assert_eq!(refused.headers[header::RETRY_AFTER], "1");
    }
    cluster.resume();
    until(async || told.tell(&second).await.status == 202).await;
    assert_eq!(told.tell(&second).await.json()["duplicate"], json!(1));
    assert_eq!(told.rows().await, 2);
    follower.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_turns_away_and_loses_nothing() {
    let url = postgres::shared().database();
    fill(&url).await;
    let store = store::connect(&url, &support::patient()).await.unwrap();
    let api = Api::over_store(store, |config| config.events.queue = 2).await;
    let key = api.key(&["events"]).await;
    let told = Arc::new(Told { api, key, url });
    let lock = support::hold_lock(&told.url, "LOCK TABLE event_ids IN ACCESS EXCLUSIVE MODE").await;
    let first = {
        let told = told.clone();
        tokio::spawn(async move {
            told.tell(&[event("1", "view", ("visitor_id", "v"), "a")]).await.status
        })
    };
    until(async || !support::texts(&told.url, support::BLOCKED).await.is_empty()).await;
    let two = [
        event("2", "view", ("visitor_id", "v"), "a"),
        event("3", "view", ("visitor_id", "v"), "a"),
    ];
    let refused = told.tell(&two).await;
    assert!(refused.problem(503, "overloaded").contains("`events.queue`"));
    assert_eq!(refused.headers[header::RETRY_AFTER], "1");
    drop(lock);
    assert_eq!(first.await.unwrap(), 202);
    told.tell_all(&two).await;
    assert_eq!(told.rows().await, 3);
}

#[tokio::test]
async fn a_key_that_tells_too_much_is_told_how_long_to_wait() {
    let told =
        Told::over(&Database::sqlite().await, |config| config.events.per_second_per_key = 10).await;
    let batch: Vec<Value> = (0..1_000)
        .map(|n| event(&n.to_string(), "view", ("visitor_id", "v"), "article_id7"))
        .collect();
    told.tell_all(&batch).await;
    let refused = told.tell(&batch[..1]).await;
    refused.problem(429, "rate_limited");
    let wait: u64 = refused.headers[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!(wait > 60, "{wait} s are too few for a hundred seconds' worth");
}

#[tokio::test]
async fn whoever_is_erased_is_gone_everywhere_and_stays_away() {
    for database in both().await {
        let told = Told::over(&database, |_| {}).await;
        let api = &told.api;
        let path = "/admin/v1/customers/customer_id3";
        let mut login = event("1", "view", ("visitor_id", "v1"), "article_id7");
        login["customer_id"] = json!("customer_id3");
        told.tell_all(&[login]).await;
        let export = api.operate(Method::GET, &format!("{path}/export"), None).await.json();
        assert_eq!(
            (&export["visitor_ids"], export["purchases"].as_array().unwrap().len()),
            (&json!(["v1"]), 5)
        );
        assert_eq!(
            (&export["attributes"]["age"], &export["events"][0]["type"]),
            (&json!(23), &json!("view"))
        );
        let erased = api.operate(Method::DELETE, path, None).await.json();
        assert_eq!(
            (&erased["known"], &erased["purchases"], &erased["events"]),
            (&json!(true), &json!(5), &json!(1))
        );
        assert_eq!(erased["visitors"], json!(1));
        let bundles = erased["bundles"].as_array().unwrap();
        assert_eq!((bundles.len(), &bundles[1]["active"]), (2, &json!(true)), "{erased}");
        api.operate(Method::GET, &format!("{path}/export"), None)
            .await
            .problem(404, "unknown_customer");
        for who in [("customer_id", "customer_id3"), ("visitor_id", "v1")] {
            let late = told.tell(&[event("2", "view", who, "article_id7")]).await.json();
            assert_eq!(
                (&late["accepted"], &late["rejected"][0]["code"]),
                (&json!(0), &json!("erased")),
                "{late}"
            );
        }
        let upsert = json!({"customers": [{"customer_id": "customer_id3", "attributes": {}}]});
        let put = api.operate(Method::PUT, "/admin/v1/customers", Some(upsert)).await;
        put.problem(409, "customer_erased");
        let merge = api
            .operate(Method::POST, &format!("{path}/merge"), Some(json!({"visitor_id": "v9"})))
            .await;
        merge.problem(409, "customer_erased");
        let audit = api.operate(Method::GET, "/admin/v1/audit", None).await.body;
        assert!(audit.contains("customers.erase") && !audit.contains("customer_id3"), "{audit}");
        let nobody = api.operate(Method::DELETE, "/admin/v1/customers/nobody", None).await.json();
        assert_eq!((&nobody["known"], &nobody["bundles"]), (&json!(false), &json!([])));
    }
}

/// Neither rows nor, on SQLite, the bytes of deleted ones.
#[tokio::test]
async fn the_database_holds_nothing_of_whoever_is_erased() {
    const CUSTOMER: &str = "leaves-4c1f9a";
    const VISITOR: &str = "leaves-b07d35";
    for database in both().await {
        let told = Told::over(&database, |_| {}).await;
        let customer = json!({"customer_id": CUSTOMER, "attributes": {"note": "leaves-note"}});
        let others =
            (0..200).map(|n| json!({"customer_id": format!("stays{n}"), "attributes": {"age": n}}));
        let customers: Vec<Value> = others.chain([customer]).collect();
        let body = json!({"customers": customers});
        assert_eq!(
            told.api.operate(Method::PUT, "/admin/v1/customers", Some(body)).await.status,
            200
        );
        let mut login = event("1", "view", ("visitor_id", VISITOR), "article_id7");
        login["customer_id"] = json!(CUSTOMER);
        told.tell_all(&[login, event("2", "purchase", ("customer_id", CUSTOMER), "article_id3")])
            .await;
        for text in [CUSTOMER, VISITOR, "leaves-note"] {
            assert_ne!(
                support::places_of(&told.url, text).await,
                Vec::<String>::new(),
                "{text} was never there"
            );
        }
        let path = format!("/admin/v1/customers/{CUSTOMER}");
        assert_eq!(told.api.operate(Method::DELETE, &path, None).await.status, 200);
        for text in [CUSTOMER, VISITOR, "leaves-note"] {
            assert_eq!(support::places_of(&told.url, text).await, Vec::<String>::new(), "{text}");
        }
    }
}

#[tokio::test]
async fn the_back_office_tells_customers() {
    for database in both().await {
        let told = Told::over(&database, |_| {}).await;
        let api = &told.api;
        let ask = json!({"customer_id": "customer_id3"});
        let before = api.recommend(ask.clone()).await;
        let customers = json!({"customers": [
            {"customer_id": "customer_id3", "attributes": {"age": 70, "tags": ["vip"]}},
            {"customer_id": "another"},
        ]});
        let put = api.operate(Method::PUT, "/admin/v1/customers", Some(customers)).await;
        assert_eq!((put.status.as_u16(), put.json()), (200, json!({"written": 2})));
        assert_ne!(
            api.recommend(ask).await.json()["items"],
            before.json()["items"],
            "the model reads the age"
        );
        let export =
            api.operate(Method::GET, "/admin/v1/customers/customer_id3/export", None).await.json();
        assert_eq!(export["attributes"], json!({"age": 70, "tags": ["vip"]}));
        for (body, says) in [
            (json!({"customers": [{"customer_id": "x", "attributes": {"a": "\u{0}"}}]}), "U+0000"),
            (
                json!({"customers": [{"customer_id": "x", "attributes": {"a": "x".repeat(70_000)}}]}),
                "65536",
            ),
            (json!({"customers": vec![json!({"customer_id": "x"}); 1_001]}), "at most 1000"),
        ] {
            let refused = api.operate(Method::PUT, "/admin/v1/customers", Some(body)).await;
            assert!(refused.problem(400, "invalid_request").contains(says));
        }
    }
}

/// Popular follows what is told without a recount, and comes to the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sales_that_follow_events_equal_those_of_a_recount() {
    fn counted(config: &mut Config) {
        let refresh = Duration::from_secs(3_600);
        config.popularity =
            Some(PopularityConfig { half_life_days: 7.0, window_days: 10_000, refresh });
    }
    for database in both().await {
        let told = Told::over(&database, counted).await;
        let follower = tokio::spawn(told.api.service.clone().run());
        let trending = json!({"k": 2, "sources": [{"source": "trending"}]});
        let ask = async |told: &Told, body: &Value| {
            let request = Request::post("/v1/recommendations")
                .header(header::CONTENT_TYPE, "application/json");
            let reply =
                send(&told.api.public, request.body(Body::from(body.to_string())).unwrap()).await;
            (reply.status == 200).then(|| reply.json()["items"].clone())
        };
        until(async || ask(&told, &trending).await.is_some()).await;
        let mut n = 0;
        for (article, customers, quantity) in
            [("article_id3", 9, 1), ("new5", 4, 3), ("article_id6", 2, 20)]
        {
            for customer in 0..customers {
                n += 1;
                let mut event = event(
                    &n.to_string(),
                    "purchase",
                    ("customer_id", &format!("c{customer}")),
                    article,
                );
                event["items"][0]["quantity"] = json!(quantity);
                told.tell_all(&[event]).await;
            }
        }
        told.tell_all(&[event("back", "return", ("customer_id", "c0"), "new5")]).await;
        // Nobody adds more than ten an hour.
        let popular = ["article_id6", "new5", "article_id3"];
        until(async || told.api.get("/v1/popular?k=3").await.article_ids() == popular).await;
        until(async || {
            ask(&told, &trending).await.unwrap()[0]["article_id"] == json!("article_id3")
        })
        .await;

        let recount = told.replica(counted).await;
        let recounting = tokio::spawn(recount.api.service.clone().run());
        until(async || ask(&recount, &trending).await.is_some()).await;
        assert_eq!(ask(&recount, &trending).await, ask(&told, &trending).await);
        let sales = async |told: &Told| -> Vec<(String, f64)> {
            let popular = told.api.get("/v1/popular?k=60").await.json();
            let items = popular["items"].as_array().unwrap().iter();
            let sales = items.map(|item| (item["article_id"].as_str(), item["score"].as_f64()));
            sales.map(|(id, score)| (id.unwrap().to_owned(), score.unwrap())).collect()
        };
        // The return may be followed later than the purchases.
        until(async || {
            let (followed, recounted) = (sales(&told).await, sales(&recount).await);
            let mut pairs = followed.iter().zip(&recounted);
            pairs.all(|(one, other)| one.0 == other.0 && (one.1 - other.1).abs() <= 1e-5 * other.1)
        })
        .await;
        let expected = [("article_id6", 20.0), ("new5", 11.0), ("article_id3", 9.0)];
        for ((id, score), (expected_id, expected)) in sales(&told).await.iter().zip(expected) {
            assert!(id == expected_id && (score - expected).abs() < 0.1, "{id} sold {score}");
        }
        follower.abort();
        recounting.abort();
    }
}

#[tokio::test]
async fn answers_are_credited_with_what_came_of_them() {
    for database in both().await {
        let told = Told::over(&database, |_| {}).await;
        let answer = told.api.recommend(json!({"customer_id": "customer_id1", "k": 5})).await;
        let id = answer.json()["recommendation_id"].as_str().unwrap().to_owned();
        let [first, second] = [0, 1].map(|at| answer.article_ids()[at].clone());
        let event = |event_id: &str, kind: &str, article: &str, recommendation_id: &str| {
            json!({
                "event_id": event_id, "type": kind, "customer_id": "customer_id1", "order_id": "o1", "currency": "EUR",
                "items": [{"article_id": article, "price": 20, "recommendation_id": recommendation_id}]
            })
        };
        let elsewhere = (0..)
            .map(|n| format!("article_id{n}"))
            .find(|id| !answer.article_ids().contains(id))
            .unwrap();
        let events = [
            event("1", "impression", &first, &id),
            event("2", "impression", &second, &id),
            event("3", "click", &second, &id),
            event("4", "purchase", &second, &id),
            event("5", "click", &elsewhere, &id),
            event("6", "click", &first, "made-up"),
        ];
        let taken = told.tell(&events).await.json();
        assert_eq!(
            (&taken["accepted"], taken["unattributed"].as_array().unwrap().len()),
            (&json!(6), 2),
            "{taken}"
        );

        let path = "/admin/v1/metrics/recommendations?by=placement,model,source,position,currency";
        let report = told.api.operate(Method::GET, path, None).await.json();
        let rows = report["rows"].as_array().unwrap();
        let of = |position: &str, currency: Value| {
            let group = |row: &&Value| {
                row["group"]["position"] == position && row["group"]["currency"] == currency
            };
            rows.iter().find(group).unwrap_or_else(|| panic!("{report}")).clone()
        };
        let sold = of("2", json!("EUR"));
        assert_eq!(sold["group"]["placement"], "/v1/recommendations");
        assert_eq!(
            (&sold["impressions"], &sold["clicks"], &sold["orders"]),
            (&json!(1), &json!(1), &json!(1))
        );
        assert_eq!((&sold["revenue"], &sold["click_rate"]), (&json!(20.0), &json!(1.0)));
        assert_eq!(of("1", json!("EUR"))["clicks"], 0, "a made-up id brings nothing");

        let csv = told
            .api
            .operate(Method::GET, "/admin/v1/metrics/recommendations?format=csv", None)
            .await
            .body;
        assert!(csv.contains("\n/v1/recommendations,2,1,0.5,"), "{csv}");
        for bad in ["by=colour", "by=day,day", "from=2026-01-02&until=2026-01-01", "from=yesterday"]
        {
            let path = format!("/admin/v1/metrics/recommendations?{bad}");
            told.api.operate(Method::GET, &path, None).await.problem(400, "invalid_request");
        }
        let metrics = told.api.operate(Method::GET, "/metrics", None).await.body;
        let counted = metrics
            .lines()
            .find(|line| line.starts_with("vitrine_attributed_events_total{type=\"impression\""));
        assert!(counted.is_some_and(|line| line.ends_with(" 2")), "{metrics}");
    }
}

#[tokio::test]
async fn an_answer_is_told_apart_by_its_placement_and_tagged_lists_stay_the_same() {
    let api = Api::start().await;
    let [one, other] = [api.get("/v1/popular?k=3").await, api.get("/v1/popular?k=3").await];
    assert_ne!(one.json()["recommendation_id"], other.json()["recommendation_id"]);
    assert_eq!(one.headers[header::ETAG], other.headers[header::ETAG]);
}
