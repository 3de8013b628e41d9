//! Customers and their purchases out of the rows of either database.

use super::{
    Attributes, CustomerRecord, PurchaseRecord, StoreError,
    records::{pseudonym, unreadable},
};
use crate::domain::{CustomerId, InvalidId};

/// A customer that was asked for, and the record or why it cannot be read.
pub type ReadCustomer = (CustomerId, Result<CustomerRecord, StoreError>);

/// A row of a query for customers: each has one row for every purchase, or one without a purchase.
pub(super) trait CustomerRow {
    fn id(&self) -> Result<&str, sqlx::Error>;
    fn attributes(&self) -> Result<Attributes, StoreError>;
    fn purchase(&self) -> Result<Option<PurchaseRecord>, StoreError>;

    /// What errors call the customer: they go to the log, which holds no ids of people.
    fn customer(&self) -> String {
        self.id().map_or_else(|_| "a customer".to_owned(), pseudonym)
    }
}

/// The customers of these rows, those of one customer standing together, newest first. What is
/// unreadable in a customer's rows spoils that record alone.
///
/// # Errors
/// When the rows do not even say whose they are.
pub(super) fn collect<R: CustomerRow>(rows: &[R]) -> Result<Vec<ReadCustomer>, StoreError> {
    let of_one = rows.chunk_by(|a, b| a.id().ok() == b.id().ok());
    of_one
        .map(|rows| {
            let broken = |error: InvalidId| unreadable(&rows[0].customer(), &error);
            let id = CustomerId::parse(rows[0].id()?).map_err(broken)?;
            let record = record(&id, rows);
            Ok((id, record))
        })
        .collect()
}

fn record<R: CustomerRow>(id: &CustomerId, rows: &[R]) -> Result<CustomerRecord, StoreError> {
    let attributes = rows[0].attributes()?;
    let purchases = rows.iter().map_while(|row| row.purchase().transpose());
    Ok(CustomerRecord { id: id.clone(), attributes, purchases: purchases.collect::<Result<_, _>>()? })
}
