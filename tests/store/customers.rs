//! Customers and their purchases.

use crate::support::Database;
use vitrine::domain::CustomerId;

pub async fn an_unknown_customer_is_none(db: &Database) {
    let id = CustomerId::parse("nobody").unwrap();
    assert_eq!(db.store.customer(&id, 10).await.unwrap(), None);
    assert_eq!(db.store.customer(&id, 0).await.unwrap(), None);
}
