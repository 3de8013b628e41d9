//! Customers and what they did out of the rows of either database.

use super::{
    ActionRecord, Attributes, CustomerRecord, Millis, PurchaseRecord, StoreError,
    records::{pseudonym, unreadable},
};
use crate::domain::{ArticleId, CustomerId, InvalidId};

/// A customer that was asked for, and the record or why it cannot be read.
pub type ReadCustomer = (CustomerId, Result<CustomerRecord, StoreError>);

/// How many events of a customer are read beyond the purchases that were asked for.
pub(super) const ACTIONS: i64 = 300;
/// The types of events that change a customer's purchases.
pub(super) const PURCHASE: &str = "purchase";
pub(super) const RETURN: &str = "return";

/// A row of a query for customers: each has one row for every purchase and every event, or one
/// without any.
pub(super) trait CustomerRow {
    fn id(&self) -> Result<&str, sqlx::Error>;
    fn attributes(&self) -> Result<Attributes, StoreError>;
    /// Its columns: article, moment, how much it counts, and the type of an event.
    fn entry(&self) -> Result<Option<Entry<'_>>, sqlx::Error>;

    /// What errors call the customer: they go to the log, which holds no ids of people.
    fn customer(&self) -> String {
        self.id().map_or_else(|_| "a customer".to_owned(), pseudonym)
    }
}

/// Something that a customer did.
pub(super) struct Entry<'a> {
    pub article: &'a str,
    pub at: Millis,
    pub weight: f32,
    /// `None`: an imported purchase.
    pub kind: Option<&'a str>,
}

/// The customers of these rows, those of one customer standing together, newest first; of each the
/// latest purchases, at most `limit`. What is unreadable in a customer's rows spoils that record
/// alone.
///
/// # Errors
/// When the rows do not even say whose they are.
pub(super) fn collect<R: CustomerRow>(
    rows: &[R],
    limit: usize,
) -> Result<Vec<ReadCustomer>, StoreError> {
    let of_one = rows.chunk_by(|a, b| a.id().ok() == b.id().ok());
    of_one
        .map(|rows| {
            let broken = |error: InvalidId| unreadable(&rows[0].customer(), &error);
            let id = CustomerId::parse(rows[0].id()?).map_err(broken)?;
            let record = record(&id, rows, limit);
            Ok((id, record))
        })
        .collect()
}

fn record<R: CustomerRow>(
    id: &CustomerId,
    rows: &[R],
    limit: usize,
) -> Result<CustomerRecord, StoreError> {
    let attributes = rows[0].attributes()?;
    let mut record =
        CustomerRecord { id: id.clone(), attributes, purchases: Vec::new(), actions: Vec::new() };
    // What came back and was not yet met as a purchase: its article and how much of it.
    let mut returned: Vec<(ArticleId, f32)> = Vec::new();
    for row in rows {
        let Some(entry) = row.entry()? else { continue };
        let article =
            ArticleId::parse(entry.article).map_err(|error| unreadable(&row.customer(), &error))?;
        match entry.kind {
            None | Some(PURCHASE) => {
                let weight = entry.weight - take_back(&mut returned, &article, entry.weight);
                if weight > 0.0 && record.purchases.len() < limit {
                    let (at, millis) = (entry.at.timestamp(), entry.at.millis());
                    record.purchases.push(PurchaseRecord { article, at, millis, weight });
                }
            }
            Some(RETURN) => returned.push((article, entry.weight)),
            Some(kind) => {
                let (kind, quantity) = (kind.to_owned(), entry.weight);
                record.actions.push(ActionRecord { kind, article, at: entry.at, quantity });
            }
        }
    }
    Ok(record)
}

/// How much of a purchase came back later; those returns are used up.
pub(crate) fn take_back(
    returned: &mut [(ArticleId, f32)],
    article: &ArticleId,
    weight: f32,
) -> f32 {
    let mut taken = 0.0;
    for (_, left) in returned.iter_mut().filter(|(id, _)| id == article) {
        let part = left.min(weight - taken);
        *left -= part;
        taken += part;
    }
    taken
}
