//! Databases that are behind, gone, slow or wrong.

use crate::support::{self, Database, postgres::Cluster};
use std::time::Duration;
use vitrine::{
    domain::{ArticleId, CustomerId},
    store::{self, ArticleRecord, Attributes, StoreError, StoreOptions},
};

fn options() -> StoreOptions {
    StoreOptions { acquire_timeout: Duration::from_secs(5), ..StoreOptions::default() }
}

async fn refused(url: &str) -> StoreError {
    store::connect(url, &options()).await.err().expect("the database is not opened")
}

async fn migrates_from_empty_and_twice(url: &str) {
    let needed = match refused(url).await {
        StoreError::NotMigrated { found: 0, needed } => needed,
        other => panic!("{other}"),
    };
    assert!(needed > 0);
    let empty = vitrine::dataset::Dataset::default();
    let error =
        store::import(url, &options(), &store::Import::new(&empty, "none")).await.unwrap_err();
    assert!(matches!(error, StoreError::NotMigrated { found: 0, .. }), "{error}");
    assert_eq!(store::migrate(url, &options()).await.unwrap(), (0, needed));
    assert_eq!(store::migrate(url, &options()).await.unwrap(), (needed, needed));
    assert!(!store::migrate_if_new(url, &options()).await.unwrap());
    store::connect(url, &options()).await.unwrap().ping().await.unwrap();
}

#[tokio::test]
async fn sqlite_migrates_from_empty_and_twice() {
    let (url, _directory) = support::empty_sqlite();
    migrates_from_empty_and_twice(&url).await;
}

#[tokio::test]
async fn postgres_migrates_from_empty_and_twice() {
    migrates_from_empty_and_twice(&support::postgres::shared().database()).await;
}

#[tokio::test]
async fn a_new_sqlite_file_is_made_on_request_only() {
    let (url, directory) = support::empty_sqlite();
    assert!(matches!(refused(&url).await, StoreError::NotMigrated { found: 0, .. }));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "looking made no file");
    assert!(store::migrate_if_new(&url, &options()).await.unwrap());
    assert!(!store::migrate_if_new(&url, &options()).await.unwrap());
    store::connect(&url, &options()).await.unwrap().ping().await.unwrap();
    // A server's database is the operator's to migrate.
    let url = support::postgres::shared().database();
    assert!(!store::migrate_if_new(&url, &options()).await.unwrap());
    assert!(matches!(refused(&url).await, StoreError::NotMigrated { found: 0, .. }));
}

#[tokio::test]
async fn replicas_that_migrate_together_migrate_once() {
    let url = support::postgres::shared().database();
    let tasks: Vec<_> = (0..6)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { store::migrate(&url, &options()).await })
        })
        .collect();
    let mut from_empty = 0;
    for task in tasks {
        let (before, _) = task.await.unwrap().unwrap();
        from_empty += usize::from(before == 0);
    }
    assert_eq!(from_empty, 1);
}

/// A database of a later program version.
async fn ahead(db: &Database, statement: &str) {
    support::execute(&db.url, statement).await;
    match refused(&db.url).await {
        error @ StoreError::NotMigrated { found: 999, .. } => {
            assert!(error.to_string().contains("newer"), "{error}")
        }
        other => panic!("{other}"),
    }
    assert!(matches!(
        store::migrate(&db.url, &options()).await,
        Err(StoreError::NotMigrated { found: 999, .. })
    ));
}

const LATER: &str =
    "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) ";

#[tokio::test]
async fn a_schema_of_a_newer_program_is_left_alone() {
    ahead(&Database::sqlite().await, &format!("{LATER} VALUES (999, 'later', true, x'00', 0)"))
        .await;
    ahead(&Database::postgres().await, &format!("{LATER} VALUES (999, 'later', true, '\\x00', 0)"))
        .await;
}

#[tokio::test]
async fn the_database_itself_allows_one_active_version() {
    for db in [Database::sqlite().await, Database::postgres().await] {
        for version in ["1", "2"] {
            db.store.register_model("m", version).await.unwrap();
        }
        db.store.activate_model("m", "1").await.unwrap();
        let result = support::try_execute(&db.url, "UPDATE models SET active = true").await;
        assert!(result.is_err(), "a second active version was let in");
    }
}

#[tokio::test]
async fn a_broken_schema_is_a_fault_without_sql() {
    for db in [Database::sqlite().await, Database::postgres().await] {
        db.store.put_articles(&[article("1")]).await.unwrap();
        support::execute(&db.url, "ALTER TABLE articles RENAME COLUMN price TO cost").await;
        for error in [
            db.store.catalogue().await.unwrap_err(),
            db.store.articles(&[ArticleId::parse("1").unwrap()]).await.unwrap_err(),
            db.store.put_articles(&[article("2")]).await.unwrap_err(),
        ] {
            assert!(matches!(error, StoreError::Fault(_)), "{error}");
            assert!(
                !error.to_string().contains("SELECT") && !error.to_string().contains("INSERT"),
                "{error}"
            );
        }
    }
}

fn article(id: &str) -> ArticleRecord {
    ArticleRecord {
        id: ArticleId::parse(id).unwrap(),
        available: true,
        price: Some(1.5),
        image_url: None,
        attributes: Attributes::new(),
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_a_fault() {
    let (url, directory) = support::empty_sqlite();
    std::fs::write(directory.path().join("shop.sqlite"), b"article_id,price\n1,2\n".repeat(100))
        .unwrap();
    for error in [refused(&url).await, store::migrate(&url, &options()).await.unwrap_err()] {
        assert!(matches!(&error, StoreError::Fault(why) if why.contains("shop.sqlite")), "{error}");
    }
    let missing = format!("sqlite:{}/none/shop.sqlite", directory.path().display());
    assert!(store::migrate(&missing, &options()).await.is_err());
}

#[tokio::test]
async fn a_postgres_that_stops_and_comes_back_is_used_again() {
    let cluster = Cluster::start();
    let url = cluster.database();
    store::migrate(&url, &options()).await.unwrap();
    let options = options();
    let db = store::connect(&url, &options).await.unwrap();
    let nobody = CustomerId::parse("nobody").unwrap();
    db.put_articles(&[article("1")]).await.unwrap();
    db.register_model("m", "1").await.unwrap();
    // Every pooled connection is in use once before the server goes.
    let pings = (0..8).map(|_| db.ping());
    for ping in futures_util::future::join_all(pings).await {
        ping.unwrap();
    }

    cluster.stop();
    for error in [
        db.ping().await.unwrap_err(),
        db.revisions().await.unwrap_err(),
        db.catalogue().await.unwrap_err(),
        db.customer(&nobody, 5).await.unwrap_err(),
        db.put_articles(&[article("2")]).await.unwrap_err(),
        db.activate_model("m", "1").await.unwrap_err(),
        store::connect(&url, &options).await.err().unwrap(),
        store::migrate(&url, &options).await.unwrap_err(),
    ] {
        assert!(error.is_transient(), "{error}");
    }

    cluster.resume();
    assert_eq!(db.catalogue().await.unwrap(), [article("1")]);
    db.put_articles(&[article("2")]).await.unwrap();
    assert_eq!(db.activate_model("m", "1").await.unwrap(), None);
    assert_eq!(db.customer(&nobody, 5).await.unwrap(), None);
}

#[tokio::test]
async fn a_watcher_outlives_an_outage() {
    let cluster = Cluster::start();
    let url = cluster.database();
    store::migrate(&url, &options()).await.unwrap();
    let db = store::connect(&url, &options()).await.unwrap();
    let start = db.revisions().await.unwrap();
    let mut watcher = store::watch(db.clone(), start, Duration::from_millis(50));
    cluster.stop();
    assert!(db.ping().await.is_err());
    cluster.resume();
    db.put_articles(&[article("1")]).await.unwrap();
    let now = db.revisions().await.unwrap();
    let seen =
        tokio::time::timeout(Duration::from_secs(60), watcher.wait_for(|seen| *seen == now)).await;
    assert!(seen.is_ok(), "the change after the outage was never seen");
}

#[tokio::test]
async fn a_statement_that_waits_too_long_is_an_outage() {
    let db = Database::postgres().await;
    // Long enough for all other statements on a busy machine.
    let options = StoreOptions { statement_timeout: Duration::from_secs(2), ..options() };
    let impatient = store::connect(&db.url, &options).await.unwrap();
    let lock = support::hold_lock(&db.url, "LOCK TABLE articles IN ACCESS EXCLUSIVE MODE").await;
    let error = impatient.catalogue().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    drop(lock);
    assert_eq!(db.store.catalogue().await.unwrap(), []);
    assert_eq!(impatient.catalogue().await.unwrap(), []);
}

#[tokio::test]
async fn an_exhausted_pool_is_an_outage() {
    let db = Database::postgres().await;
    let options = StoreOptions {
        acquire_timeout: Duration::from_secs(2),
        statement_timeout: Duration::from_secs(60),
        customers_timeout: Duration::from_secs(1),
        ..StoreOptions::default()
    };
    let small = store::connect(&db.url, &options).await.unwrap();
    let lock = support::hold_lock(&db.url, "LOCK TABLE articles IN ACCESS EXCLUSIVE MODE").await;
    let wait = || {
        let small = small.clone();
        tokio::spawn(async move { small.catalogue().await })
    };
    let waiting: Vec<_> = (0..StoreOptions::OTHER_CONNECTIONS).map(|_| wait()).collect();
    while support::texts(&db.url, support::BLOCKED).await.len() < waiting.len() {
        assert!(!waiting.iter().any(|task| task.is_finished()), "one did not wait");
        tokio::task::yield_now().await;
    }
    let error = small.ping().await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Unavailable(why) if why.contains("no connection")),
        "{error}"
    );
    // Requests have connections of their own: this one only waits for the lock.
    let error = small.customer(&CustomerId::parse("nobody").unwrap(), 5).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Unavailable(why) if why.contains("statement timeout")),
        "{error}"
    );
    drop(lock);
    for task in waiting {
        assert_eq!(task.await.unwrap().unwrap(), []);
    }
    small.ping().await.unwrap();
}

#[tokio::test]
async fn a_new_sqlite_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let db = Database::sqlite().await;
    db.store.put_articles(&[article("1")]).await.unwrap();
    let file = std::path::PathBuf::from(db.url.trim_start_matches("sqlite:"));
    let beside = file.parent().unwrap().read_dir().unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = beside.collect();
    assert!(files.contains(&file) && files.len() > 1, "{files:?}");
    for file in files {
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", file.display());
    }
}

#[tokio::test]
async fn a_database_that_comes_later_is_checked_then() {
    let (url, _directory) = support::empty_sqlite();
    let db = store::connect_later(&url, &options()).unwrap();
    assert!(matches!(db.revisions().await, Err(StoreError::NotMigrated { found: 0, .. })));
    store::migrate(&url, &options()).await.unwrap();
    db.revisions().await.unwrap();
}

#[tokio::test]
async fn two_processes_share_an_sqlite_file() {
    let db = Database::sqlite().await;
    let other = store::connect(&db.url, &options()).await.unwrap();
    let mut tasks = Vec::new();
    for n in 0..20 {
        let store = if n % 2 == 0 { db.store.clone() } else { other.clone() };
        tasks.push(tokio::spawn(
            async move { store.put_articles(&[article(&n.to_string())]).await },
        ));
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(other.catalogue().await.unwrap().len(), 20);
    assert_eq!(db.store.catalogue_version().await.unwrap(), 20);
}
