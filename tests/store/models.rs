//! Model versions: registered, active, rolled back.

use crate::support::Database;
use std::time::Duration;
use vitrine::store::{self, ModelVersion, Revisions, StoreError};

fn version(model: &str, version: &str, active: bool) -> ModelVersion {
    ModelVersion { model: model.into(), version: version.into(), active }
}

pub async fn versions_are_listed_newest_first(db: &Database) {
    assert_eq!(db.store.models().await.unwrap(), []);
    for (model, version) in [("b", "9"), ("a", "1"), ("a", "3"), ("a", "2"), ("a", "1")] {
        db.store.register_model(model, version).await.unwrap();
    }
    db.store.activate_model("a", "3").await.unwrap();
    let expected = [
        version("a", "2", false),
        version("a", "3", true),
        version("a", "1", false),
        version("b", "9", false),
    ];
    assert_eq!(db.store.models().await.unwrap(), expected);
    // Registering the active version again leaves it active.
    db.store.register_model("a", "3").await.unwrap();
    assert_eq!(db.store.models().await.unwrap(), expected);
}

pub async fn activation_answers_what_it_replaces(db: &Database) {
    for version in ["1", "2"] {
        db.store.register_model("m", version).await.unwrap();
    }
    assert_eq!(db.store.activate_model("m", "1").await.unwrap(), None);
    assert_eq!(db.store.activate_model("m", "2").await.unwrap(), Some("1".into()));
    let before = db.store.revisions().await.unwrap();
    assert_eq!(db.store.activate_model("m", "2").await.unwrap(), None);
    assert_eq!(db.store.revisions().await.unwrap(), before, "nothing changed");
    // A no-op left no trace in the history either.
    assert_eq!(db.store.rollback_model("m").await.unwrap(), "1");
}

pub async fn rollback_walks_back_one_at_a_time(db: &Database) {
    for version in ["1", "2", "3"] {
        db.store.register_model("m", version).await.unwrap();
        db.store.activate_model("m", version).await.unwrap();
    }
    assert_eq!(db.store.rollback_model("m").await.unwrap(), "2");
    assert_eq!(db.store.rollback_model("m").await.unwrap(), "1");
    assert!(matches!(db.store.rollback_model("m").await, Err(StoreError::NotFound(_))));
    assert_eq!(
        db.store.models().await.unwrap(),
        [version("m", "3", false), version("m", "2", false), version("m", "1", true)]
    );
    // Forward again: the withdrawn activations are forgotten.
    assert_eq!(db.store.activate_model("m", "3").await.unwrap(), Some("1".into()));
    assert_eq!(db.store.rollback_model("m").await.unwrap(), "1");
}

pub async fn errors_name_the_model(db: &Database) {
    let not_found = |result: Result<String, StoreError>| match result {
        Err(StoreError::NotFound(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(not_found(db.store.rollback_model("shop").await).contains("shop"));
    db.store.register_model("shop", "1").await.unwrap();
    let unknown = db.store.activate_model("shop", "2").await.map(|_| String::new());
    assert!(not_found(unknown).contains("`2`"));
    assert!(not_found(db.store.rollback_model("shop").await).contains("no active version"));
    db.store.activate_model("shop", "1").await.unwrap();
    assert!(not_found(db.store.rollback_model("shop").await).contains("before `1`"));
    // The failed rollback left the active version alone.
    assert_eq!(db.store.models().await.unwrap(), [version("shop", "1", true)]);
}

pub async fn one_is_active_whoever_races(db: &Database) {
    for version in 0..8 {
        db.store.register_model("m", &version.to_string()).await.unwrap();
        db.store.register_model("other", &version.to_string()).await.unwrap();
    }
    let mut tasks = Vec::new();
    for round in 0..4 {
        for version in 0..8 {
            let (store, version) = (db.store.clone(), version.to_string());
            tasks.push(tokio::spawn(async move {
                if round == 2 {
                    // May come before anything to go back to.
                    match store.rollback_model("m").await {
                        Ok(_) | Err(StoreError::NotFound(_)) => Ok(None),
                        Err(error) => Err(error),
                    }
                } else {
                    store.activate_model(if round == 3 { "other" } else { "m" }, &version).await
                }
            }));
        }
    }
    for task in tasks {
        task.await.unwrap().unwrap();
        let models = db.store.models().await.unwrap();
        for model in ["m", "other"] {
            assert!(
                models.iter().filter(|v| v.model == model && v.active).count() <= 1,
                "{models:?}"
            );
        }
    }
    let models = db.store.models().await.unwrap();
    assert_eq!(models.iter().filter(|version| version.active).count(), 2, "{models:?}");
}

pub async fn a_watcher_sees_changes(db: &Database) {
    // Polling is out of the question within the test: only the announcement can wake the watcher.
    let an_hour = Duration::from_secs(3_600);
    let mut watcher = store::watch(db.store.clone(), Revisions::default(), an_hour);
    // The first look tells the watcher is running (it saw registration), the second that it was
    // woken.
    for round in ["1", "2", "3"] {
        db.store.register_model("m", round).await.unwrap();
        let now = db.store.revisions().await.unwrap();
        let seen =
            tokio::time::timeout(Duration::from_secs(30), watcher.wait_for(|seen| *seen == now))
                .await;
        assert_eq!(*seen.expect("the watcher was woken").unwrap(), now);
    }
}

pub async fn the_first_model_is_the_default_until_another_is_made_it(db: &Database) {
    assert_eq!(db.store.default_model().await.unwrap(), None);
    for (model, version) in [("m", "1"), ("a", "1"), ("a", "2")] {
        db.store.register_model(model, version).await.unwrap();
    }
    db.store.activate_model("m", "1").await.unwrap();
    db.store.activate_model("a", "1").await.unwrap();
    assert_eq!(db.store.default_model().await.unwrap(), Some("m".into()));
    let before = db.store.revisions().await.unwrap().models;
    assert_eq!(db.store.activate("a", "1", true).await.unwrap(), None);
    assert_eq!(db.store.default_model().await.unwrap(), Some("a".into()));
    assert!(db.store.revisions().await.unwrap().models > before, "replicas are told");
}

pub async fn a_deactivated_model_has_no_past(db: &Database) {
    for (model, version) in [("m", "1"), ("m", "2"), ("a", "1")] {
        db.store.register_model(model, version).await.unwrap();
        db.store.activate_model(model, version).await.unwrap();
    }
    assert_eq!(db.store.rollback_target("m").await.unwrap(), "1");
    let refused = db.store.deactivate_model("m").await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert_eq!(db.store.rollback_target("m").await.unwrap(), "1", "nothing changed");
    db.store.activate("a", "1", true).await.unwrap();
    assert_eq!(db.store.deactivate_model("m").await.unwrap(), "2");
    assert!(matches!(db.store.deactivate_model("m").await, Err(StoreError::NotFound(_))));
    assert!(matches!(db.store.rollback_model("m").await, Err(StoreError::NotFound(_))));
    assert!(db.store.models().await.unwrap().iter().all(|row| row.active == (row.model == "a")));
    // The last one may go although it is the default.
    assert_eq!(db.store.deactivate_model("a").await.unwrap(), "1");
    assert_eq!(db.store.default_model().await.unwrap(), None);
    db.store.activate_model("m", "1").await.unwrap();
    assert_eq!(db.store.default_model().await.unwrap(), Some("m".into()));
}
