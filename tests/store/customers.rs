//! Customers and their purchases.

use crate::support::Database;
use vitrine::domain::CustomerId;

pub async fn an_unknown_customer_is_none(db: &Database) {
    let id = CustomerId::parse("nobody").unwrap();
    assert_eq!(db.store.customer(&id, 10).await.unwrap(), None);
    assert_eq!(db.store.customer(&id, 0).await.unwrap(), None);
}

pub async fn all_ids_come_page_by_page(db: &Database) {
    for id in ["b", "ä", "a", "B", "10", "9"] {
        crate::support::execute(&db.url, &format!("INSERT INTO customers (id) VALUES ('{id}')")).await;
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
