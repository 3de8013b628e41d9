//! Changes of customers on Postgres: told, joined with visitors, erased, exported.

use super::{Postgres, advance_revision, events, lock_revision, no_answer};
use crate::{
    domain::{CustomerId, VisitorId},
    store::{
        CustomerExport, CustomerUpsert, Erasure, Person, StoreError,
        events::{ERASURE_SALT, was_erased},
        ledger::{self, Hash, Ledger},
        records::write_attributes,
    },
};
use sqlx::Connection;

/// A transaction that changes customers: it stands in line with the writers of events.
macro_rules! changing {
    ($store:expr, |$transaction:ident| $work:expr) => {{
        let work = async {
            let mut connection = $store.pool.acquire().await?;
            let mut $transaction = connection.begin().await?;
            lock_revision(&mut $transaction, "events").await?;
            let done = $work;
            advance_revision(&mut $transaction, "customers").await?;
            $transaction.commit().await?;
            Ok(done)
        };
        tokio::time::timeout($store.patience, work).await.map_err(|_| no_answer())?
    }};
}

pub(super) async fn put(store: &Postgres, customers: &[CustomerUpsert]) -> Result<(), StoreError> {
    const WRITE: &str = "
        INSERT INTO customers (id, attributes)
        SELECT id, attributes::jsonb FROM unnest($1::text[], $2::text[]) AS i (id, attributes)
        ON CONFLICT (id) DO UPDATE SET attributes = excluded.attributes
        WHERE customers.attributes <> excluded.attributes";
    let salt = events::secret(store, ERASURE_SALT).await?;
    let tombstones: Vec<Hash> = customers
        .iter()
        .map(|customer| Person::Customer(customer.id.clone()).tombstone(&salt))
        .collect();
    let ids: Vec<&str> = customers.iter().map(|customer| customer.id.as_str()).collect();
    let attributes: Vec<String> =
        customers.iter().map(|customer| write_attributes(&customer.attributes)).collect();
    changing!(store, |transaction| {
        if !events::Transaction(&mut transaction).erased(&tombstones).await?.is_empty() {
            return Err(was_erased());
        }
        sqlx::query(WRITE).bind(&ids).bind(&attributes).execute(&mut *transaction).await?;
    })
}

pub(super) async fn merge(
    store: &Postgres,
    visitor: &VisitorId,
    customer: &CustomerId,
) -> Result<(), StoreError> {
    let salt = events::secret(store, ERASURE_SALT).await?;
    changing!(store, |transaction| {
        ledger::merge(&mut events::Transaction(&mut transaction), visitor, customer, &salt).await?;
    })
}

pub(super) async fn erase(store: &Postgres, person: &Person) -> Result<Erasure, StoreError> {
    let salt = events::secret(store, ERASURE_SALT).await?;
    changing!(store, |transaction| ledger::erase(
        &mut events::Transaction(&mut transaction),
        person,
        &salt
    )
    .await?)
}

pub(super) async fn export(
    store: &Postgres,
    id: &CustomerId,
) -> Result<Option<CustomerExport>, StoreError> {
    const CUSTOMER: &str = "SELECT key, attributes::text FROM customers WHERE id = $1";
    const PURCHASES: &str = "
        SELECT a.id, extract(epoch FROM p.at)::int8, p.price::float8 FROM purchases p JOIN articles a ON a.key = p.article
        WHERE p.customer = $1 ORDER BY p.at";
    const EVENTS: &str = "
        SELECT (to_jsonb(e) - '{revision,customer,visitor,retention,counts,imported}'::text[]
            || jsonb_build_object('visitor_id', v.id))::text
        FROM events e LEFT JOIN visitors v ON v.key = e.visitor
        WHERE e.customer = $1 ORDER BY e.at";
    let mut transaction = store
        .within(store.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        .await?;
    let find = sqlx::query_as(CUSTOMER).bind(id.as_str());
    let found: Option<(i32, String)> = store.within(find.fetch_optional(&mut *transaction)).await?;
    let Some((key, attributes)) = found else { return Ok(None) };
    let visitors =
        sqlx::query_scalar("SELECT id FROM visitors WHERE customer = $1 ORDER BY id").bind(key);
    let visitors: Vec<String> = store.within(visitors.fetch_all(&mut *transaction)).await?;
    let purchases: Vec<(String, i64, Option<f64>)> =
        store.within(sqlx::query_as(PURCHASES).bind(key).fetch_all(&mut *transaction)).await?;
    let events: Vec<String> =
        store.within(sqlx::query_scalar(EVENTS).bind(key).fetch_all(&mut *transaction)).await?;
    CustomerExport::read(id, &attributes, &visitors, &purchases, &events).map(Some)
}
