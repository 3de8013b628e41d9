//! Changes of customers on SQLite: told, joined with visitors, erased, exported.

use super::{Sqlite, advance_revision, events};
use crate::{
    domain::{CustomerId, VisitorId},
    store::{
        CustomerExport, CustomerUpsert, Erasure, Person, StoreError,
        events::{ERASURE_SALT, was_erased},
        ledger::{self, Hash, Ledger},
        records::write_attributes,
    },
};

pub(super) async fn put(store: &Sqlite, customers: &[CustomerUpsert]) -> Result<(), StoreError> {
    const WRITE: &str = "
        INSERT INTO customers (id, attributes) VALUES ($1, $2)
        ON CONFLICT (id) DO UPDATE SET attributes = excluded.attributes WHERE attributes <> excluded.attributes";
    let salt = events::secret(store, ERASURE_SALT).await?;
    let tombstones: Vec<Hash> = customers
        .iter()
        .map(|customer| Person::Customer(customer.id.clone()).tombstone(&salt))
        .collect();
    let mut transaction = store.begin().await?;
    if !events::Writer(&mut transaction).erased(&tombstones).await?.is_empty() {
        return Err(was_erased());
    }
    for customer in customers {
        let write = sqlx::query(WRITE)
            .bind(customer.id.as_str())
            .bind(write_attributes(&customer.attributes));
        write.execute(&mut *transaction).await?;
    }
    advance_revision(&mut transaction, "customers").await?;
    store.commit(transaction).await
}

pub(super) async fn merge(
    store: &Sqlite,
    visitor: &VisitorId,
    customer: &CustomerId,
) -> Result<(), StoreError> {
    let salt = events::secret(store, ERASURE_SALT).await?;
    let mut transaction = store.begin().await?;
    ledger::merge(&mut events::Writer(&mut transaction), visitor, customer, &salt).await?;
    advance_revision(&mut transaction, "customers").await?;
    store.commit(transaction).await
}

pub(super) async fn erase(store: &Sqlite, person: &Person) -> Result<Erasure, StoreError> {
    let salt = events::secret(store, ERASURE_SALT).await?;
    let mut transaction = store.begin().await?;
    let erasure = ledger::erase(&mut events::Writer(&mut transaction), person, &salt).await?;
    advance_revision(&mut transaction, "customers").await?;
    store.commit(transaction).await?;
    // The log holds what was there before. A reader in the way puts that off until the log is full.
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&store.writer).await?;
    Ok(erasure)
}

pub(super) async fn export(
    store: &Sqlite,
    id: &CustomerId,
) -> Result<Option<CustomerExport>, StoreError> {
    const CUSTOMER: &str = "SELECT key, attributes FROM customers WHERE id = $1";
    const PURCHASES: &str = "
        SELECT a.id, p.at, p.price FROM purchases p JOIN articles a ON a.key = p.article
        WHERE p.customer = $1 ORDER BY p.at";
    const EVENTS: &str = "
        SELECT json_object(
            'event_id', e.event_id, 'type', e.type, 'line', e.line, 'article', e.article, 'quantity', e.quantity,
            'price', e.price, 'currency', e.currency, 'order_id', e.order_id, 'visitor_id', v.id,
            'at', strftime('%Y-%m-%dT%H:%M:%fZ', e.at / 1000.0, 'unixepoch'),
            'received', strftime('%Y-%m-%dT%H:%M:%fZ', e.received / 1000.0, 'unixepoch'),
            'list', e.list, 'route', e.route, 'model', e.model, 'version', e.version, 'source', e.source,
            'position', e.position, 'answered', strftime('%Y-%m-%dT%H:%M:%fZ', e.answered / 1000.0, 'unixepoch')
        )
        FROM events e LEFT JOIN visitors v ON v.key = e.visitor
        WHERE e.customer = $1 ORDER BY e.at";
    let mut reading = store.readers.begin().await?;
    let found: Option<(i32, String)> =
        sqlx::query_as(CUSTOMER).bind(id.as_str()).fetch_optional(&mut *reading).await?;
    let Some((key, attributes)) = found else { return Ok(None) };
    let visitors =
        sqlx::query_scalar("SELECT id FROM visitors WHERE customer = $1 ORDER BY id").bind(key);
    let visitors: Vec<String> = visitors.fetch_all(&mut *reading).await?;
    let purchases: Vec<(String, i64, Option<f64>)> =
        sqlx::query_as(PURCHASES).bind(key).fetch_all(&mut *reading).await?;
    let events: Vec<String> = sqlx::query_scalar(EVENTS).bind(key).fetch_all(&mut *reading).await?;
    CustomerExport::read(id, &attributes, &visitors, &purchases, &events).map(Some)
}
