//! Placements and their versions.

use crate::support::Database;
use serde_json::{Value, json};
use vitrine::store::{PlacementChange, StoreError};

/// Writes one definition, or deletes it; answers the version that is current then.
async fn put(
    db: &Database,
    name: &str,
    definition: Option<Value>,
    expected: Option<i64>,
) -> Result<i64, StoreError> {
    let change = PlacementChange { name, definition: definition.as_ref(), expected };
    Ok(db.store.change_placements(&[change], "ann").await?[0])
}

/// Version, definition and what it restores, the newest first.
async fn history(db: &Database, name: &str) -> Vec<(i64, Option<Value>, Option<i64>)> {
    let versions = db.store.placement_versions(name, 100).await.unwrap();
    versions.into_iter().map(|row| (row.version, row.definition, row.restores)).collect()
}

async fn revision(db: &Database) -> i64 {
    db.store.revisions().await.unwrap().placements
}

pub async fn every_version_stays(db: &Database) {
    assert_eq!(db.store.placements().await.unwrap(), []);
    let (a, b) = (json!({"k": 4, "filter": {"name": "é\"\\"}}), json!({"k": 6, "weight": 0.1}));
    let before = revision(db).await;
    assert_eq!(put(db, "home", Some(a.clone()), None).await.unwrap(), 1);
    assert_eq!(put(db, "home", Some(b.clone()), None).await.unwrap(), 2);
    assert_eq!(put(db, "cart", Some(a.clone()), None).await.unwrap(), 1);
    assert_eq!(revision(db).await, before + 3);
    let current = db.store.placements().await.unwrap();
    let told: Vec<_> = current
        .iter()
        .map(|row| (row.name.as_str(), row.version, row.definition.as_ref()))
        .collect();
    assert_eq!(told, [("cart", 1, Some(&a)), ("home", 2, Some(&b))]);
    assert!(current[0].created_by == "ann" && current[0].created_at.0 > 1_700_000_000);
    assert_eq!(history(db, "home").await, [(2, Some(b), None), (1, Some(a), None)]);
    assert_eq!(db.store.placement_versions("home", 1).await.unwrap().len(), 1);
    assert_eq!(db.store.placement_versions("nothing", 10).await.unwrap(), []);
}

pub async fn what_is_so_already_makes_no_version(db: &Database) {
    let definition = json!({"k": 4});
    put(db, "home", Some(definition.clone()), None).await.unwrap();
    let before = revision(db).await;
    assert_eq!(put(db, "home", Some(definition), None).await.unwrap(), 1);
    assert_eq!(put(db, "nothing", None, None).await.unwrap(), 0);
    assert_eq!(revision(db).await, before);
    assert_eq!((history(db, "home").await.len(), history(db, "nothing").await.len()), (1, 0));
}

pub async fn a_deleted_placement_is_gone_but_its_versions_stay(db: &Database) {
    let definition = json!({"k": 4});
    put(db, "home", Some(definition.clone()), None).await.unwrap();
    assert_eq!(put(db, "home", None, None).await.unwrap(), 0);
    assert_eq!(db.store.placements().await.unwrap(), []);
    assert_eq!(history(db, "home").await, [(2, None, None), (1, Some(definition.clone()), None)]);
    assert_eq!(
        db.store.rollback_placement("home", None, "ann").await.unwrap(),
        3,
        "a rollback undoes it"
    );
    assert_eq!(db.store.placements().await.unwrap()[0].definition, Some(definition));
}

pub async fn rollbacks_of_placements_walk_back_one_at_a_time(db: &Database) {
    let [a, b, c, d] = [1, 2, 3, 4].map(|k| json!({"k": k}));
    for definition in [&a, &b, &c] {
        put(db, "home", Some(definition.clone()), None).await.unwrap();
    }
    let back = async || db.store.rollback_placement("home", None, "bob").await;
    assert_eq!((back().await.unwrap(), back().await.unwrap()), (4, 5));
    let error = back().await.unwrap_err();
    assert!(matches!(&error, StoreError::NotFound(why) if why.contains("home")), "{error}");
    assert_eq!(put(db, "home", Some(d.clone()), None).await.unwrap(), 6);
    assert_eq!(back().await.unwrap(), 7, "before the new one was the first one");
    back().await.unwrap_err();
    let expected = [
        (7, Some(a.clone()), Some(1)),
        (6, Some(d), None),
        (5, Some(a.clone()), Some(1)),
        (4, Some(b.clone()), Some(2)),
        (3, Some(c), None),
        (2, Some(b), None),
        (1, Some(a), None),
    ];
    assert_eq!(history(db, "home").await, expected);
    assert_eq!(db.store.placements().await.unwrap()[0].created_by, "bob");
    let error = db.store.rollback_placement("nothing", None, "bob").await.unwrap_err();
    assert!(matches!(&error, StoreError::NotFound(why) if why.contains("nothing")), "{error}");
}

pub async fn nobodys_change_of_a_placement_gets_lost(db: &Database) {
    assert_eq!(put(db, "home", Some(json!({"k": 1})), Some(0)).await.unwrap(), 1);
    assert_eq!(put(db, "home", Some(json!({"k": 2})), Some(1)).await.unwrap(), 2);
    let before = revision(db).await;
    let changed = |result: Result<i64, StoreError>| match result.unwrap_err() {
        StoreError::Changed(why) => assert!(why.contains("`home`"), "{why}"),
        other => panic!("{other}"),
    };
    changed(put(db, "home", Some(json!({"k": 3})), Some(1)).await);
    changed(put(db, "home", Some(json!({"k": 3})), Some(0)).await);
    changed(put(db, "home", None, Some(1)).await);
    changed(db.store.rollback_placement("home", Some(1), "ann").await);
    assert_eq!((revision(db).await, history(db, "home").await.len()), (before, 2));
    put(db, "home", None, Some(2)).await.unwrap();
    changed(put(db, "home", Some(json!({"k": 3})), Some(2)).await);
    assert_eq!(
        put(db, "home", Some(json!({"k": 3})), Some(0)).await.unwrap(),
        4,
        "0: there is none"
    );
}

pub async fn several_placements_change_together_or_not_at_all(db: &Database) {
    put(db, "home", Some(json!({"k": 1})), None).await.unwrap();
    let before = revision(db).await;
    let (new, cart) = (json!({"k": 2}), json!({"k": 3}));
    let change = |expected| {
        [
            PlacementChange { name: "cart", definition: Some(&cart), expected: None },
            PlacementChange { name: "home", definition: Some(&new), expected },
        ]
    };
    db.store.change_placements(&change(Some(7)), "ann").await.unwrap_err();
    assert_eq!((revision(db).await, db.store.placements().await.unwrap().len()), (before, 1));
    assert_eq!(db.store.change_placements(&change(Some(1)), "ann").await.unwrap(), [1, 2]);
    assert_eq!(revision(db).await, before + 1, "one change for those who follow");
}

/// Writers stand in line: of those who expect the same version one wins, and versions never repeat.
pub async fn writers_of_one_placement_stand_in_line(db: &Database) {
    put(db, "home", Some(json!({"k": 0})), None).await.unwrap();
    let writers = (1..=8).map(|k| {
        let store = db.store.clone();
        tokio::spawn(async move {
            let definition = json!({"k": k});
            let change =
                PlacementChange { name: "home", definition: Some(&definition), expected: Some(1) };
            store.change_placements(&[change], "ann").await
        })
    });
    let mut won = 0;
    for writer in writers.collect::<Vec<_>>() {
        match writer.await.unwrap() {
            Ok(versions) => {
                assert_eq!(versions, [2]);
                won += 1;
            }
            Err(error) => assert!(matches!(error, StoreError::Changed(_)), "{error}"),
        }
    }
    assert_eq!((won, history(db, "home").await.len()), (1, 2));
}
