//! `vitrine-server import` as a process: killed while it is known to be in the middle, then run
//! again.

use crate::support::{self, Database};
use std::{
    path::Path,
    process::{Command, Output, Stdio},
};
use vitrine::{
    dataset::generate::{Generator, ShopSize},
    domain::CustomerId,
};

const SHOP: ShopSize =
    ShopSize { articles: 300, customers: 500, transactions: 5_000, days: 60, seed: 7 };

/// A generated shop on disk.
fn shop() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    Generator::new(SHOP).unwrap().write(&directory.path().join("shop"), false).unwrap();
    directory
}

fn import(data: &Path, url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vitrine-server"));
    command.arg("import").arg("--data").arg(data.join("shop")).args(["--database", url]);
    command.arg("--rejects").arg(data.join("rejects.csv")).stdin(Stdio::null());
    command
}

fn run(data: &Path, url: &str) -> Output {
    import(data, url).output().unwrap()
}

fn succeed(data: &Path, url: &str) -> String {
    let output = run(data, url);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Starts an import and ends it as a power cut would, by SIGKILL, once the query has a row.
async fn killed_when(data: &Path, url: &str, queries: &[&str], check: impl AsyncFnOnce()) {
    let said = data.join("import.log");
    let log = std::fs::File::create(&said).unwrap();
    let mut child = import(data, url).stdout(Stdio::null()).stderr(log).spawn().unwrap();
    for query in queries {
        while support::texts(url, query).await.is_empty() {
            if let Some(status) = child.try_wait().unwrap() {
                panic!(
                    "it ended before `{query}`: {status}\n{}",
                    std::fs::read_to_string(&said).unwrap()
                );
            }
            tokio::task::yield_now().await;
        }
    }
    check().await;
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
}

/// The purchases of every customer, as the store gives them.
async fn all_purchases(db: &Database) -> Vec<usize> {
    let ids = support::texts(&db.url, "SELECT id FROM customers ORDER BY id").await;
    let mut purchases = Vec::new();
    for id in ids {
        let id = CustomerId::parse(&id).unwrap();
        purchases.push(db.store.customer(&id, usize::MAX).await.unwrap().unwrap().purchases.len());
    }
    purchases
}

async fn assert_complete(db: &Database, data: &Path) {
    assert_eq!(db.store.catalogue().await.unwrap().len(), SHOP.articles);
    let purchases = all_purchases(db).await;
    assert_eq!(
        (purchases.len(), purchases.iter().sum::<usize>()),
        (SHOP.customers, SHOP.transactions as usize)
    );
    let again = succeed(data, &db.url);
    assert!(again.contains("nothing changed"), "{again}");
    assert_eq!(all_purchases(db).await, purchases);
}

#[tokio::test]
async fn sqlite_import_survives_sigkill() {
    let (data, db) = (shop(), Database::sqlite().await);
    // The first batch of purchases counts for ever, inside its transaction.
    let hang = "
        CREATE TRIGGER hang BEFORE UPDATE OF purchases ON import_progress BEGIN
            SELECT count(*) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n);
        END";
    support::execute(&db.url, hang).await;
    let customers = format!("SELECT 'x' FROM import_progress WHERE customers = {}", SHOP.customers);
    killed_when(data.path(), &db.url, &[&customers], async || {}).await;
    assert!(
        all_purchases(&db).await.iter().all(|&n| n == 0),
        "purchases before the import was complete"
    );
    support::execute(&db.url, "DROP TRIGGER hang").await;
    let text = succeed(data.path(), &db.url);
    assert!(
        text.contains("went on after 800 rows")
            && text.contains(" 0 articles, 0 customers and 5000"),
        "{text}"
    );
    assert_complete(&db, data.path()).await;
}

#[tokio::test]
async fn postgres_import_survives_sigkill() {
    let (data, db) = (shop(), Database::postgres().await);
    // Nobody may write customers, so the import waits after the articles.
    let lock = support::hold_lock(&db.url, "LOCK TABLE customers IN SHARE MODE").await;
    killed_when(data.path(), &db.url, &[support::BLOCKED], async || {
        assert_eq!(db.store.catalogue().await.unwrap().len(), SHOP.articles);
    })
    .await;
    drop(lock);
    // And once more at the very end: a reader keeps the old purchases in their place.
    let lock = support::hold_lock(&db.url, "LOCK TABLE purchases IN ACCESS SHARE MODE").await;
    let loaded = format!("SELECT 'x' FROM import_progress WHERE purchases = {}", SHOP.transactions);
    killed_when(data.path(), &db.url, &[&loaded, support::BLOCKED], async || {
        assert!(
            all_purchases(&db).await.iter().all(|&n| n == 0),
            "purchases before the import was complete"
        );
    })
    .await;
    drop(lock);
    let text = succeed(data.path(), &db.url);
    assert!(
        text.contains("went on after 5800 rows") && text.contains(" 0 customers and 0 purchases"),
        "{text}"
    );
    assert_complete(&db, data.path()).await;
}

#[tokio::test]
async fn an_import_leaves_the_schema_as_migrated() {
    let schema = "
        SELECT indexdef FROM pg_indexes WHERE tablename = 'purchases'
        UNION ALL
        SELECT conname || ' ' || pg_get_constraintdef(oid) || ' ' || convalidated FROM pg_constraint
            WHERE conrelid = 'purchases'::regclass
        UNION ALL
        SELECT attnum || attname || ' ' || atttypid::regtype || ' ' || attnotnull FROM pg_attribute
            WHERE attrelid = 'purchases'::regclass AND attnum > 0
        ORDER BY 1";
    let tables = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1";
    let (data, db) = (shop(), Database::postgres().await);
    let before = support::texts(&db.url, schema).await;
    let tables_before = support::texts(&db.url, tables).await;
    succeed(data.path(), &db.url);
    assert_eq!(support::texts(&db.url, schema).await, before);
    assert_eq!(support::texts(&db.url, tables).await, tables_before);
    assert!(before.len() >= 8, "{before:?}");

    let columns = "SELECT name || type || \"notnull\" || pk FROM pragma_table_info('purchases')
        UNION ALL SELECT \"table\" || \"from\" || on_delete FROM pragma_foreign_key_list('purchases') ORDER BY 1";
    let tables = "SELECT name FROM sqlite_schema ORDER BY 1";
    let db = Database::sqlite().await;
    let (before, tables_before) =
        (support::texts(&db.url, columns).await, support::texts(&db.url, tables).await);
    succeed(data.path(), &db.url);
    assert_eq!(support::texts(&db.url, columns).await, before);
    assert_eq!(support::texts(&db.url, tables).await, tables_before);
    assert_eq!(before.len(), 10, "{before:?}");
}

#[tokio::test]
async fn the_embedded_default_needs_no_setup_and_bad_data_ends_with_two() {
    let data = shop();
    let (url, _directory) = support::empty_sqlite();
    let text = succeed(data.path(), &url);
    assert!(text.contains("5000 purchases"), "{text}");

    std::fs::write(data.path().join("shop/articles.csv"), "not_an_id\n1\n").unwrap();
    let output = run(data.path(), &url);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    let output = run(data.path(), "mysql://localhost/shop");
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    let output = run(data.path(), "postgres://nobody:secret@localhost/none?host=/nonexistent");
    assert_eq!(output.status.code(), Some(1));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("secret"));
}
