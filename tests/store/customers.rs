//! Customers and their purchases.

use crate::support::{self, Database};
use vitrine::{domain::CustomerId, store::ReadCustomer};

pub async fn an_unknown_customer_is_none(db: &Database) {
    let id = CustomerId::parse("nobody").unwrap();
    assert_eq!(db.store.customer(&id, 10).await.unwrap(), None);
    assert_eq!(db.store.customer(&id, 0).await.unwrap(), None);
}

const CUSTOMERS: &str = r#"
    INSERT INTO articles (id) VALUES ('a'), ('b');
    INSERT INTO customers (id, attributes) VALUES ('one', '{"age": 1}'), ('none', '{}'), ('two', '{"age": 2}')"#;

/// Purchases of `a` at the first moment and of `b` at the second, by both.
fn purchases(db: &Database) -> &'static str {
    match db.url.starts_with("sqlite:") {
        true => {
            "INSERT INTO purchases (customer, at, article) SELECT c.key, 100 * a.key, a.key
             FROM customers c, articles a WHERE c.id <> 'none'"
        }
        false => {
            "INSERT INTO purchases (customer, at, article) SELECT c.key, to_timestamp(100 * a.key), a.key
             FROM customers c, articles a WHERE c.id <> 'none'"
        }
    }
}

async fn read(db: &Database, ids: &[&str], limit: usize) -> Vec<ReadCustomer> {
    let ids: Vec<_> = ids.iter().map(|id| CustomerId::parse(id).unwrap()).collect();
    let mut read = db.store.customers(&ids, limit).await.unwrap();
    read.sort_by(|a, b| a.0.cmp(&b.0));
    read
}

pub async fn several_are_read_at_once(db: &Database) {
    support::execute(&db.url, CUSTOMERS).await;
    support::execute(&db.url, purchases(db)).await;
    let all = read(db, &["two", "nobody", "one", "none"], 10).await;
    let found = |all: &[ReadCustomer]| -> Vec<(String, usize, usize)> {
        let shape = |(id, record): &ReadCustomer| {
            let record = record.as_ref().unwrap();
            assert_eq!(&record.id, id);
            (id.as_str().to_owned(), record.attributes.len(), record.purchases.len())
        };
        all.iter().map(shape).collect()
    };
    let expected =
        |n| [("none".to_owned(), 0, 0), ("one".to_owned(), 1, n), ("two".to_owned(), 1, n)];
    assert_eq!(found(&all), expected(2));
    assert_eq!(all[1].1.as_ref().unwrap().purchases[0].article.as_str(), "b", "newest first");
    assert_eq!(found(&read(db, &["two", "one", "none"], 1).await), expected(1));
    assert_eq!(found(&read(db, &["two", "one", "none"], 0).await), expected(0));
    assert!(read(db, &[], 5).await.is_empty());
}

pub async fn a_broken_row_spoils_its_customer_alone(db: &Database) {
    support::execute(&db.url, CUSTOMERS).await;
    support::execute(
        &db.url,
        r#"UPDATE customers SET attributes = '{"secret": {"x": 1}}' WHERE id = 'two'"#,
    )
    .await;
    let all = read(db, &["one", "two", "none"], 10).await;
    let broken: Vec<bool> = all.iter().map(|(_, record)| record.is_err()).collect();
    assert_eq!(broken, [false, false, true]);
    let told = all[2].1.as_ref().unwrap_err().to_string();
    assert!(told.contains("the customer whose id") && !told.contains("two"), "{told}");
}

pub async fn all_ids_come_page_by_page(db: &Database) {
    for id in ["b", "ä", "a", "B", "10", "9"] {
        support::execute(&db.url, &format!("INSERT INTO customers (id) VALUES ('{id}')")).await;
    }
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = db.store.customer_ids(after.as_ref(), 4).await.unwrap();
        assert!(page.len() <= 4);
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        found.extend(page.into_iter().map(String::from));
    }
    assert_eq!(found.len(), 6, "each once: {found:?}");
    found.sort_unstable();
    assert_eq!(found, ["10", "9", "B", "a", "b", "ä"]);
}
