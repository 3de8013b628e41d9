//! `/v1/placements/{name}/recommendations` and `/admin/v1/placements`

use crate::{
    harness::{Api, MODEL, Reply, send},
    reload::until,
    support::{self, Database},
};
use axum::{
    body::Body,
    http::{Method, Request, header},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, process::Command};

const ADMIN: &str = "/admin/v1/placements";

async fn put(api: &Api, name: &str, definition: Value) -> Reply {
    api.operate(Method::PUT, &format!("{ADMIN}/{name}"), Some(definition)).await
}

async fn saved(api: &Api, name: &str, definition: Value) -> Value {
    let reply = put(api, name, definition).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()
}

async fn ask(api: &Api, name: &str, body: Value) -> Reply {
    let reply = api.post(&format!("/v1/placements/{name}/recommendations"), &body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply
}

#[tokio::test]
async fn built_in_placements_answer_without_being_saved() {
    let api = Api::start().await;
    for name in ["home", "product-page", "cart", "popular"] {
        let by_query = api.get(&format!("/v1/placements/{name}/recommendations?k=5")).await;
        assert_eq!(
            (by_query.status.as_u16(), by_query.article_ids().len()),
            (200, 5),
            "{name}: {}",
            by_query.body
        );
        let reply = ask(&api, name, json!({})).await;
        assert_eq!(reply.article_ids().len(), 12);
        assert_eq!(reply.meta()["placement"], json!({"name": name, "version": 0, "ignored": []}));
    }
    let like =
        api.get("/v1/placements/product-page/recommendations?article_id=article_id7&k=5").await;
    let similar = api.get("/v1/articles/article_id7/similar?k=5").await;
    assert_eq!(like.article_ids(), similar.article_ids());
    let list = api.operate(Method::GET, ADMIN, None).await.json();
    let names: Vec<&str> = list["placements"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["cart", "home", "popular", "product-page"]);
    assert_eq!(list["placements"][1]["definition"]["sources"][0], json!({"source": "model"}));
}

#[tokio::test]
async fn a_placement_is_saved_changed_rolled_back_and_deleted() {
    let api = Api::start().await;
    api.get("/v1/placements/sale/recommendations").await.problem(404, "unknown_placement");
    let first =
        saved(&api, "sale", json!({"k": 3, "filter": {"bucket": "ten"}, "fields": ["bucket"]}))
            .await;
    assert_eq!((&first["version"], &first["created_by"]), (&json!(1), &json!("admin.key")));
    let reply = ask(&api, "sale", json!({})).await;
    let items = reply.json()["items"].clone();
    assert_eq!(items.as_array().unwrap().len(), 3);
    assert!(
        items.as_array().unwrap().iter().all(|item| item["article"] == json!({"bucket": "ten"})),
        "{items}"
    );
    assert_eq!(ask(&api, "sale", json!({"k": 7})).await.article_ids().len(), 7);

    saved(&api, "sale", json!({"k": 1, "filter": {"bucket": "one"}})).await;
    assert_eq!(ask(&api, "sale", json!({})).await.article_ids(), ["article_id0"]);
    let again = saved(&api, "sale", json!({"k": 1.0, "filter": {"bucket": "one"}})).await;
    assert_eq!(again["version"], json!(2), "the same definition is no new version");

    let back = api.operate(Method::POST, &format!("{ADMIN}/sale/rollback"), None).await.json();
    assert_eq!((&back["version"], &back["definition"]["k"]), (&json!(3), &json!(3)));
    assert_eq!(ask(&api, "sale", json!({})).await.article_ids().len(), 3);
    api.operate(Method::POST, &format!("{ADMIN}/sale/rollback"), None)
        .await
        .problem(409, "no_previous_version");
    let versions = api.operate(Method::GET, &format!("{ADMIN}/sale/versions"), None).await.json();
    let restores: Vec<&Value> =
        versions["versions"].as_array().unwrap().iter().map(|row| &row["restores"]).collect();
    assert_eq!(restores, [&json!(1), &Value::Null, &Value::Null]);

    assert_eq!(api.operate(Method::DELETE, &format!("{ADMIN}/sale"), None).await.status, 204);
    api.get("/v1/placements/sale/recommendations").await.problem(404, "unknown_placement");
    for (method, path) in [(Method::GET, ""), (Method::DELETE, "")] {
        api.operate(method, &format!("{ADMIN}/sale{path}"), None)
            .await
            .problem(404, "unknown_placement");
    }
    for path in ["nothing/versions", "nothing"] {
        api.operate(Method::GET, &format!("{ADMIN}/{path}"), None)
            .await
            .problem(404, "unknown_placement");
    }
    api.operate(Method::POST, &format!("{ADMIN}/nothing/rollback"), None)
        .await
        .problem(404, "unknown_placement");
    api.operate(Method::POST, &format!("{ADMIN}/home/rollback"), None)
        .await
        .problem(404, "unknown_placement");
}

#[tokio::test]
async fn a_saved_placement_takes_the_place_of_the_built_in_one_until_it_is_deleted() {
    let api = Api::start().await;
    saved(&api, "home", json!({"k": 2, "sources": [{"source": "popular"}]})).await;
    assert_eq!(ask(&api, "home", json!({})).await.article_ids().len(), 2);
    assert_eq!(api.operate(Method::DELETE, &format!("{ADMIN}/home"), None).await.status, 204);
    let reply = ask(&api, "home", json!({})).await;
    assert_eq!((reply.article_ids().len(), &reply.meta()["placement"]["version"]), (12, &json!(0)));
}

#[tokio::test]
async fn nobodys_change_gets_lost() {
    let api = Api::start().await;
    let to = |version: &str| format!("{ADMIN}/sale?version={version}");
    let write = async |version: &str, k: u32| {
        api.operate(Method::PUT, &to(version), Some(json!({"k": k}))).await
    };
    assert_eq!(write("0", 1).await.status, 200);
    write("0", 2).await.problem(409, "placement_changed");
    assert_eq!(write("1", 2).await.json()["version"], json!(2));
    let detail = write("1", 3).await.problem(409, "placement_changed");
    assert!(detail.contains("version 2 is current"), "{detail}");
    api.operate(Method::DELETE, &to("1"), None).await.problem(409, "placement_changed");
    let rollback = format!("{ADMIN}/sale/rollback?version=1");
    api.operate(Method::POST, &rollback, None).await.problem(409, "placement_changed");
    assert_eq!(ask(&api, "sale", json!({})).await.article_ids().len(), 2);
}

#[tokio::test]
async fn a_wrong_definition_is_refused_with_the_key_and_nothing_is_saved() {
    let api = Api::start().await;
    let many: Vec<Value> = (0..17).map(|_| json!({"source": "popular"})).collect();
    for (definition, told) in [
        (json!({"k": 0}), "`k`"),
        (json!({"k": 501}), "`k`"),
        (json!({"k": "many"}), "`k` must be"),
        (json!({"q": 1}), "unknown key `q`"),
        (json!({"model": "nobody"}), "`model`: there is no model `nobody`"),
        (json!({"sources": [{"source": "luck"}]}), "there is no source `luck`"),
        (json!({"sources": [{"limit": 3}]}), "a source needs its name"),
        (json!({"sources": [{"source": "popular", "limit": 0}]}), "`limit`"),
        (json!({"sources": [{"source": "popular", "limit": 1_000_000}]}), "`limit`"),
        (json!({"sources": [{"source": "popular", "weight": -1}]}), "`weight`"),
        (json!({"sources": [{"source": "popular", "colour": 1}]}), "colour"),
        (
            json!({"sources": [{"source": "popular"}, {"source": "model", "model": "nobody"}]}),
            "`sources[1]`",
        ),
        (json!({"sources": [{"source": "popular"}, {"source": "generated"}]}), "`sources[1]`"),
        (json!({"sources": many}), "at most 16"),
        (
            json!({"filter": {"colour": "red"}}),
            "`filter.colour`: the catalogue has no attribute `colour`",
        ),
        (json!({"filter": {"bucket": {"min": 3}}}), "`filter.bucket`"),
        (json!({"filter": {"price": {"min": 3, "max": 1}}}), "price"),
        (json!({"max_per": {"colour": 1}}), "`max_per.colour`"),
        (json!({"max_per": {"bucket": 0}}), "`max_per`"),
        (json!({"fields": ["colour"]}), "`fields.colour`"),
        (json!({"exclude": {"purchased_within_days": 0}}), "`exclude.purchased_within_days`"),
        (json!({"fallback": [{"source": "model", "model": "nobody"}]}), "`fallback[0]`"),
        (json!({"diversity": 2}), "`diversity`"),
        (json!({"rules": [{"rule": "wish", "name": "a"}]}), "there is no rule `wish`"),
        (json!({"rules": [{"rule": "hide", "name": "a", "filter": {"colour": "red"}}]}), "colour"),
        (json!({"exclude": {"purchased_within_days": -1}}), "`exclude.purchased_within_days`"),
    ] {
        let detail = put(&api, "sale", definition.clone()).await.problem(422, "invalid_placement");
        assert!(detail.contains(told), "{definition}: {detail}");
        let preview = json!({"definition": definition});
        let tried =
            api.operate(Method::POST, &format!("{ADMIN}/sale/preview"), Some(preview)).await;
        assert_eq!(tried.problem(422, "invalid_placement"), detail);
    }
    api.operate(Method::PUT, &format!("{ADMIN}/a%20b"), Some(json!({})))
        .await
        .problem(400, "invalid_request");
    api.operate(Method::PUT, &format!("{ADMIN}/a"), Some(json!([])))
        .await
        .problem(400, "invalid_request");
    api.operate(Method::GET, &format!("{ADMIN}/sale"), None)
        .await
        .problem(404, "unknown_placement");
    assert_eq!(api.operate(Method::GET, "/admin/v1/audit", None).await.json()["rows"], json!([]));
}

#[tokio::test]
async fn a_request_says_who_and_what_and_nothing_else() {
    let api = Api::start().await;
    let path = "/v1/placements/home/recommendations";
    for (body, told) in [
        (json!({"filter": {"bucket": "ten"}}), "unknown key `filter`"),
        (json!({"k": 0}), "`k` must be 1 to 500"),
        (json!({"offset": 501}), "`offset` must be 0 to 500"),
        (json!({"cart": vec!["a"; 201]}), "`cart` holds at most 200"),
        (
            json!({"session": {"article_ids": vec!["a"; 201]}}),
            "`session.article_ids` holds at most 200",
        ),
        (json!({"session": ["a"]}), "`session` must be an object"),
    ] {
        let detail = api.post(path, &body).await.problem(400, "invalid_request");
        assert!(detail.contains(told), "{body}: {detail}");
    }
    for query in ["filter=%7B%7D", "k=0", "cart=a%01"] {
        api.get(&format!("{path}?{query}")).await.problem(400, "invalid_request");
    }
    api.post(path, &json!({"article_id": "never heard of"})).await.problem(404, "unknown_article");
}

#[tokio::test]
async fn cart_and_visit_are_never_answered_back() {
    let api = Api::start().await;
    let first = ask(&api, "cart", json!({"k": 4})).await.article_ids();
    let reply = ask(
        &api,
        "cart",
        json!({"cart": first[..2], "session": {"article_ids": [first[2]]}, "k": 50}),
    )
    .await;
    let answered: BTreeSet<String> = reply.article_ids().into_iter().collect();
    assert!(answered.len() == 50 && first[..3].iter().all(|id| !answered.contains(id)));
    let query = format!("?k=50&cart={},{}&session={}", first[0], first[1], first[2]);
    let by_query = api.get(&format!("/v1/placements/cart/recommendations{query}")).await;
    assert_eq!(by_query.article_ids(), reply.article_ids());
    let general = api.recommend(json!({"cart": first, "k": 50})).await.article_ids();
    assert!(general.len() == 50 && first.iter().all(|id| !general.contains(id)));
}

#[tokio::test]
async fn pages_of_a_placement_never_repeat() {
    let api = Api::start().await;
    let whole = ask(&api, "home", json!({"k": 30, "offset": 0})).await.article_ids();
    let mut pages = Vec::new();
    for offset in [0, 10, 20] {
        pages.extend(ask(&api, "home", json!({"k": 10, "offset": offset})).await.article_ids());
    }
    assert_eq!(pages, whole);
}

#[tokio::test]
async fn what_vanishes_is_left_out_with_a_warning() {
    let api = Api::start().await;
    let article = json!({"articles": [{"article_id": "spring", "attributes": {"season": "spring", "bucket": "one"}}]});
    assert_eq!(api.operate(Method::POST, "/admin/v1/articles", Some(article)).await.status, 200);
    let other = api.add_model("other");
    let activate = async |action: &str| {
        let path = format!("/admin/v1/models/other/{action}");
        let body = (action == "activate").then(|| json!({"version": other}));
        assert_eq!(api.operate(Method::POST, &path, body).await.status, 200);
    };
    activate("activate").await;
    let definition = json!({
        "k": 5,
        "model": "other",
        "sources": [{"source": "model", "model": "other"}, {"source": "variants", "attribute": "season"}],
        "filter": {"season": "spring", "bucket": "one"},
        "max_per": {"season": 1},
        "fields": ["season", "bucket"],
    });
    saved(&api, "sale", definition.clone()).await;
    let reply = ask(&api, "sale", json!({})).await;
    assert_eq!(
        (reply.article_ids(), &reply.meta()["placement"]["ignored"]),
        (vec!["spring".to_owned()], &json!([]))
    );

    // The column goes with the last article that has it, once the catalogue is read as a whole.
    api.operate(Method::DELETE, "/admin/v1/articles/spring", None).await;
    support::execute(&api.database(), "DELETE FROM attribute_kinds WHERE name = 'season'").await;
    activate("deactivate").await;
    let store = vitrine::store::connect(&api.database(), &support::patient()).await.unwrap();
    let restarted = api.again(store, |_| {});
    restarted.service.catch_up().await.unwrap();
    let reply = ask(&restarted, "sale", json!({})).await;
    assert_eq!(reply.article_ids(), ["article_id0"]);
    let meta = reply.meta();
    assert!(meta["warnings"].as_array().unwrap().contains(&json!("placement_reduced")), "{meta}");
    let gone =
        ["model", "sources[0]", "sources[1]", "filter.season", "max_per.season", "fields.season"];
    assert_eq!(meta["placement"]["ignored"], json!(gone));
    assert_eq!(meta["model"]["name"], json!(MODEL));
    let status = restarted.status().await;
    let told = status["placements"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["name"] == "sale")
        .unwrap()
        .clone();
    assert!(told["ignored"][3].as_str().unwrap().contains("no attribute `season`"), "{told}");
    let shown = restarted.operate(Method::GET, &format!("{ADMIN}/sale"), None).await.json();
    assert_eq!(
        shown["definition"]["filter"], definition["filter"],
        "what is saved stays as it was"
    );
    assert_eq!(shown["ignored"], told["ignored"]);
    let detail = put(&restarted, "sale", definition).await.problem(422, "invalid_placement");
    assert!(gone.iter().all(|key| detail.contains(&format!("`{key}`"))), "{detail}");
}

#[tokio::test]
async fn a_definition_that_cannot_be_read_leaves_the_others_alone() {
    let api = Api::start().await;
    saved(&api, "sale", json!({"k": 3})).await;
    for name in ["odd", "home"] {
        let row = format!(
            "INSERT INTO placements (name, version, definition, created_by) VALUES ('{name}', 1, '{{\"magic\":1}}', 'x')"
        );
        support::execute(&api.database(), &row).await;
    }
    support::execute(
        &api.database(),
        "UPDATE revisions SET value = value + 1 WHERE name = 'placements'",
    )
    .await;
    api.service.catch_up().await.unwrap();
    assert_eq!(ask(&api, "sale", json!({})).await.article_ids().len(), 3);
    api.get("/v1/placements/odd/recommendations").await.problem(404, "unknown_placement");
    assert_eq!(ask(&api, "home", json!({})).await.meta()["placement"]["version"], json!(0));
    let status = api.status().await;
    for name in ["odd", "home"] {
        let rows: Vec<&Value> = status["placements"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["name"] == name)
            .collect();
        assert!(
            rows.len() == 1 && rows[0]["problem"].as_str().unwrap().contains("magic"),
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_preview_changes_nothing() {
    let api = Api::start().await;
    let path = format!("{ADMIN}/sale/preview");
    let body = json!({
        "definition": {"k": 2, "sources": [{"source": "popular"}, {"source": "model"}], "fields": ["bucket"]},
        "request": {"customer_id": "customer_id3"},
    });
    let preview = api.operate(Method::POST, &path, Some(body)).await;
    assert_eq!(preview.status, 200, "{}", preview.body);
    let preview = preview.json();
    let (items, sources) = (&preview["answer"]["items"], &preview["answer"]["meta"]["sources"]);
    assert_eq!(
        (items.as_array().unwrap().len(), sources[0]["source"].as_str()),
        (2, Some("popular"))
    );
    let (stages, ids) = (&preview["stages"], [&items[0]["article_id"], &items[1]["article_id"]]);
    assert_eq!(stages["sources"][0]["source"], json!("popular"));
    assert_eq!([&stages["picks"][0]["article_id"], &stages["picks"][1]["article_id"]], ids);
    assert!(items[0]["reasons"].is_array() && items[0]["article"]["bucket"].is_string(), "{items}");
    api.operate(Method::POST, &path, Some(json!({}))).await.problem(404, "unknown_placement");
    let home =
        api.operate(Method::POST, &format!("{ADMIN}/home/preview"), Some(json!({}))).await.json();
    assert_eq!(home["answer"]["items"].as_array().unwrap().len(), 12);
    assert_eq!(api.operate(Method::GET, "/admin/v1/audit", None).await.json()["rows"], json!([]));
}

#[tokio::test]
async fn every_change_is_recorded_with_both_definitions() {
    let api = Api::start().await;
    let key = api.key(&["placements"]).await;
    let send_as = async |method: Method, path: &str, body: Option<Value>| {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {key}"));
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        send(
            &api.admin,
            request.header(header::CONTENT_TYPE, "application/json").body(body).unwrap(),
        )
        .await
    };
    let sale = format!("{ADMIN}/sale");
    assert_eq!(send_as(Method::PUT, &sale, Some(json!({"k": 3}))).await.status, 200);
    assert_eq!(send_as(Method::PUT, &sale, Some(json!({"k": 4}))).await.status, 200);
    assert_eq!(send_as(Method::POST, &format!("{sale}/rollback"), None).await.status, 200);
    assert_eq!(send_as(Method::DELETE, &sale, None).await.status, 204);
    assert_eq!(
        send_as(Method::PUT, &format!("{sale}?version=9"), Some(json!({}))).await.status,
        409
    );
    for (method, path) in [
        (Method::GET, "/admin/v1/models"),
        (Method::GET, "/admin/v1/keys"),
        (Method::GET, "/admin/v1/audit"),
    ] {
        send_as(method, path, None).await.problem(403, "forbidden");
    }
    let audit = api.operate(Method::GET, "/admin/v1/audit", None).await.json();
    let rows = audit["rows"].as_array().unwrap();
    let told: Vec<[&str; 4]> = rows
        .iter()
        .map(|row| ["actor", "action", "subject", "outcome"].map(|key| row[key].as_str().unwrap()))
        .take(5)
        .collect();
    let expected = [
        ["test", "placements.put", "sale", "failed"],
        ["test", "placements.delete", "sale", "done"],
        ["test", "placements.rollback", "sale", "done"],
        ["test", "placements.put", "sale", "done"],
        ["test", "placements.put", "sale", "done"],
    ];
    assert_eq!(told, expected);
    let k = |row: usize, side: &str| rows[row][side]["definition"]["k"].clone();
    assert_eq!([k(4, "before"), k(4, "after")], [Value::Null, json!(3)]);
    assert_eq!([k(3, "before"), k(3, "after")], [json!(3), json!(4)]);
    assert_eq!([k(2, "before"), k(2, "after")], [json!(4), json!(3)]);
    assert_eq!([k(1, "before"), k(1, "after")], [json!(3), Value::Null]);
}

#[tokio::test]
async fn requests_name_sources_and_recent_purchases() {
    let api = Api::start().await;
    let key = api.key(&["recommend", "read-purchases"]).await;
    let body = json!({"customer_id": "customer_id3", "sources": [{"source": "popular"}, {"source": "buy_again"}]});
    let meta = api.recommend_with(body, Some(&key)).await.meta();
    assert_eq!(
        (&meta["strategy"], meta["sources"].as_array().unwrap().len()),
        (&json!("pipeline"), 2)
    );
    let within = async |days: u32| {
        let body = json!({
            "customer_id": "customer_id3", "k": 50, "at": "2022-01-01", "sources": [{"source": "buy_again"}],
            "exclude": {"purchased_within_days": days},
        });
        let items =
            api.recommend_with(body, Some(&key)).await.json()["items"].as_array().unwrap().clone();
        items.iter().filter(|item| item["source"] == "buy_again").count()
    };
    assert_eq!((within(1).await, within(36_500).await), (5, 0));
    let metrics = api.operate(Method::GET, "/metrics", None).await.body;
    for line in [
        r#"vitrine_source_articles_total{source="buy_again",are="answered"} "#,
        r#"vitrine_source_articles_total{source="popular",are="found"} "#,
    ] {
        let counted = metrics.lines().find_map(|found| found.strip_prefix(line)).unwrap();
        assert!(counted.parse::<u64>().unwrap() >= 5, "{line}{counted}");
    }
    assert!(
        metrics.contains(r#"vitrine_source_left_out_total{source="buy_again"} 0"#),
        "{metrics}"
    );
    let many: Vec<Value> = (0..17).map(|_| json!({"source": "popular"})).collect();
    for (body, status, code, told) in [
        (
            json!({"sources": [{"source": "luck"}]}),
            400,
            "invalid_request",
            "there is no source `luck`",
        ),
        (
            json!({"sources": [{"source": "popular", "limit": 0}]}),
            400,
            "invalid_request",
            "`limit`",
        ),
        (
            json!({"sources": [{"source": "popular", "limit": 1_000_000}]}),
            400,
            "invalid_request",
            "`limit`",
        ),
        (json!({"sources": many}), 400, "invalid_request", "`sources` holds at most 16, not 17"),
        (json!({"sources": [{"source": "model", "model": "no"}]}), 404, "unknown_model", "`no`"),
        (json!({"cart": vec!["a"; 201]}), 400, "invalid_request", "`cart` holds at most 200"),
        (json!({"exclude": {"purchased_within_days": 0}}), 400, "invalid_request", "1 to 36500"),
        (
            json!({"sources": [{"source": "popular"}], "generation": {"method": "greedy"}}),
            400,
            "invalid_request",
            "exclude each other",
        ),
    ] {
        let detail = api.post("/v1/recommendations", &body).await.problem(status, code);
        assert!(detail.contains(told), "{body}: {detail}");
    }
}

/// Both databases' replicas follow; Postgres announces changes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_serve_a_change() {
    let database = Database::postgres().await;
    crate::harness::fill(&database.url).await;
    let connect =
        async || vitrine::store::connect(&database.url, &support::patient()).await.unwrap();
    let first = Api::over_store(connect().await, |_| {}).await;
    let second = Api::over_store(connect().await, |_| {}).await;
    let follower = tokio::spawn(second.service.clone().run());
    let k_of_both = async |k: usize| {
        until(async || ask(&second, "home", json!({})).await.article_ids().len() == k).await;
        assert_eq!(ask(&first, "home", json!({})).await.article_ids().len(), k);
    };
    saved(&first, "home", json!({"k": 3})).await;
    k_of_both(3).await;
    saved(&first, "home", json!({"k": 4})).await;
    k_of_both(4).await;
    first.operate(Method::POST, &format!("{ADMIN}/home/rollback"), None).await;
    k_of_both(3).await;
    first.operate(Method::DELETE, &format!("{ADMIN}/home"), None).await;
    k_of_both(12).await;
    follower.abort();
}

fn run(api: &Api, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_vitrine-server"))
        .args(["placements", "--database", &api.database()])
        .args(arguments)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .concat();
    (output.status.code().unwrap_or(-1), said)
}

#[tokio::test]
async fn placements_travel_as_a_file() {
    let api = Api::start().await;
    let rich = json!({
        "k": 8,
        "sources": [{"source": "model"}, {"source": "popular", "limit": 20, "weight": 0.5}],
        "filter": {"bucket": ["ten", "one"], "price": {"max": 50}, "not": {"garment": "garment1"}},
        "exclude": {"purchased_within_days": 30},
        "max_per": {"product_code": 1},
        "rules": [{"rule": "boost", "name": "tens", "filter": {"bucket": "ten"}, "factor": 1.3}],
        "diversity": 0.2,
        "fallback": [{"source": "popular"}],
        "fields": ["bucket"],
    });
    let before = saved(&api, "home", rich).await;
    saved(&api, "old", json!({"k": 1})).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("placements.toml");
    let file = path.to_str().unwrap();
    let (code, said) = run(&api, &["export", "--out", file]);
    assert_eq!(code, 0, "{said}");
    let (code, said) = run(&api, &["apply", file]);
    assert!(code == 0 && said.contains("already"), "{said}");

    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("[placements.home]"), "{text}");
    let text = text.replace("k = 8", "k = 9").replace("placements.old", "placements.new");
    std::fs::write(&path, &text).unwrap();
    let (code, said) = run(&api, &["apply", file, "--prune", "--dry-run"]);
    assert!(code == 0 && said.contains("old: delete") && said.contains("new: add"), "{said}");
    api.service.catch_up().await.unwrap();
    assert_eq!(ask(&api, "home", json!({})).await.meta()["placement"]["version"], json!(1));

    std::fs::write(&path, text.replace("\"garment1\"", "\"garment1\"\ncolour = \"red\"")).unwrap();
    let (code, said) = run(&api, &["apply", file]);
    assert!(code == 2 && said.contains("placements.home") && said.contains("colour"), "{said}");
    std::fs::write(&path, text.replace("source = \"popular\"", "source = \"luck\"")).unwrap();
    let (code, said) = run(&api, &["apply", file]);
    assert!(
        code == 2 && said.contains("there is no source `luck`") && said.contains("line"),
        "{said}"
    );

    std::fs::write(&path, &text).unwrap();
    let (code, said) = run(&api, &["apply", file, "--prune"]);
    assert_eq!(code, 0, "{said}");
    api.service.catch_up().await.unwrap();
    let after = api.operate(Method::GET, &format!("{ADMIN}/home"), None).await.json();
    assert_eq!((&after["version"], &after["definition"]["k"]), (&json!(2), &json!(9)));
    assert_eq!(after["definition"]["filter"], before["definition"]["filter"]);
    assert!(after["created_by"].as_str().unwrap().starts_with("cli:"));
    api.get("/v1/placements/old/recommendations").await.problem(404, "unknown_placement");
    assert_eq!(ask(&api, "new", json!({})).await.article_ids().len(), 1);
    let row =
        api.operate(Method::GET, "/admin/v1/audit?limit=1", None).await.json()["rows"][0].clone();
    assert_eq!(
        (&row["action"], &row["subject"]),
        (&json!("placements.apply"), &json!("home, new, old"))
    );
    assert_eq!((&row["before"]["old"]["k"], &row["after"]["old"]), (&json!(1), &Value::Null));
}
