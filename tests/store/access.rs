//! Keys, and the record of changes.

use crate::support::Database;
use serde_json::json;
use vitrine::store::{self, Change, NewKey, StoreError};

fn scopes(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

pub async fn keys_are_made_listed_and_withdrawn(db: &Database) {
    assert_eq!(db.store.keys().await.unwrap(), []);
    let before = db.store.revisions().await.unwrap();
    let (shop, pim) = (scopes(&["recommend", "read-purchases"]), scopes(&["write"]));
    let first =
        NewKey { name: "shop", hash: [7; 32], scopes: &shop, requests_per_second: Some(50) };
    let second = NewKey { name: "pim", hash: [8; 32], scopes: &pim, requests_per_second: None };
    db.store.add_key(&first).await.unwrap();
    db.store.add_key(&second).await.unwrap();
    let keys = db.store.keys().await.unwrap();
    let told: Vec<_> =
        keys.iter().map(|key| (key.name.as_str(), &key.scopes, key.requests_per_second)).collect();
    assert_eq!(told, [("shop", &shop, Some(50)), ("pim", &pim, None)]);
    assert!(
        keys[0].hash == [7; 32]
            && keys[0].withdrawn_at.is_none()
            && keys[0].created_at.0 > 1_700_000_000
    );
    assert_eq!(db.store.revisions().await.unwrap().keys, before.keys + 2);

    db.store.withdraw_key("shop").await.unwrap();
    assert!(db.store.keys().await.unwrap()[0].withdrawn_at.is_some());
    assert_eq!(db.store.revisions().await.unwrap().keys, before.keys + 3);
    for name in ["shop", "nobody"] {
        let error = db.store.withdraw_key(name).await.unwrap_err();
        assert!(matches!(&error, StoreError::NotFound(why) if why.contains(name)), "{error}");
    }
}

pub async fn a_name_in_use_is_refused_and_a_withdrawn_one_is_free(db: &Database) {
    let scopes = scopes(&["recommend"]);
    let key = |hash| NewKey {
        name: "shop",
        hash: [hash; 32],
        scopes: &scopes,
        requests_per_second: None,
    };
    db.store.add_key(&key(1)).await.unwrap();
    let revision = db.store.revisions().await.unwrap();
    let error = db.store.add_key(&key(2)).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Refused(why) if why.contains("this name already")),
        "{error}"
    );
    assert_eq!(db.store.revisions().await.unwrap(), revision, "nothing changed");
    db.store.withdraw_key("shop").await.unwrap();
    db.store.add_key(&key(2)).await.unwrap();
    let live: Vec<bool> =
        db.store.keys().await.unwrap().iter().map(|key| key.withdrawn_at.is_none()).collect();
    assert_eq!(live, [false, true]);
}

pub async fn a_change_is_recorded_with_its_outcome(db: &Database) {
    let change = |subject: &'static str| Change {
        actor: "pim",
        action: "articles.put",
        subject,
        before: Some(json!({"a": {"price": 1.5}})),
    };
    let after = json!({"a": {"price": 2.5, "name": "é\"\\"}});
    let done = async { Ok::<_, StoreError>((5, Some(after.clone()))) };
    assert_eq!(store::audited(&*db.store, change("a"), done).await.unwrap(), 5);
    let failed = async { Err::<((), _), _>(StoreError::Refused("no such article".into())) };
    store::audited(&*db.store, change("b"), failed).await.unwrap_err();
    // A process that ended during its change.
    db.store.begin_change(&Change { before: None, ..change("c") }).await.unwrap();

    let rows = db.store.audit(i64::MAX, 10).await.unwrap();
    let told: Vec<_> =
        rows.iter().map(|row| (row.subject.as_str(), row.outcome.as_str())).collect();
    assert_eq!(told, [("c", "begun"), ("b", "failed"), ("a", "done")], "the latest first");
    assert_eq!(
        (&rows[2].before, &rows[2].after),
        (&Some(json!({"a": {"price": 1.5}})), &Some(after))
    );
    assert_eq!((rows[2].actor.as_str(), rows[2].action.as_str()), ("pim", "articles.put"));
    assert!(rows[1].error.as_deref().is_some_and(|error| error.contains("no such article")));
    assert_eq!((&rows[0].before, &rows[0].after, &rows[0].error), (&None, &None, &None));

    let page = db.store.audit(rows[1].id, 10).await.unwrap();
    assert_eq!(page, rows[2..]);
    assert_eq!(db.store.audit(i64::MAX, 2).await.unwrap(), rows[..2]);
}

/// The row comes first: work that cannot be recorded is not done.
pub async fn a_change_that_cannot_be_recorded_is_not_made(db: &Database) {
    crate::support::execute(&db.url, "ALTER TABLE audit RENAME TO elsewhere").await;
    let mut done = false;
    let work = async {
        done = true;
        Ok::<_, StoreError>(((), None))
    };
    let change = Change { actor: "a", action: "b", subject: "c", before: None };
    assert!(store::audited(&*db.store, change, work).await.is_err());
    assert!(!done);
}
