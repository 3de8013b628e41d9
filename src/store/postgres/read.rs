//! Reading the whole shop from Postgres: binary COPY in one transaction.

use super::{no_answer, open_one, schema_version};
use crate::{
    domain::Timestamp,
    store::{
        StoreError, StoreOptions, migrations,
        read::{EntityRow, EventRow, PurchaseRow, Source, Table, Visit, VisitEntity, VisitEvent},
    },
};
use async_trait::async_trait;
use futures_util::TryStreamExt;
use sqlx::{Connection, Executor, PgConnection, postgres::PgConnectOptions};
use std::time::Duration;
use tokio::time::timeout;

/// Longest silence of the database in the middle of a table.
const LONGEST_SILENCE: Duration = Duration::from_secs(120);

/// From 1970-01-01 to 2000-01-01, where Postgres counts from, in microseconds.
const EPOCH: i64 = 946_684_800_000_000;

pub(crate) struct Reader {
    connection: PgConnection,
}

impl Reader {
    pub(crate) async fn open(
        address: PgConnectOptions,
        options: &StoreOptions,
    ) -> Result<Self, StoreError> {
        // A reading of a large shop takes minutes.
        let address =
            address.application_name("vitrine reader").options([("statement_timeout", "0")]);
        let mut connection = open_one(&address, options.acquire_timeout).await?;
        migrations::check(schema_version(&mut connection).await?, &migrations::postgres())?;
        for statement in [
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            "SET LOCAL lock_timeout = '60s'",
            // Before the first query, which fixes the moment: an import that puts another table in
            // the place of `purchases` afterwards would show a part of its rows.
            "LOCK TABLE customers, purchases, articles, events IN ACCESS SHARE MODE",
        ] {
            connection.execute(statement).await?;
        }
        Ok(Self { connection })
    }

    /// Gives every row of a query to `visit`.
    async fn copy(
        &mut self,
        query: &str,
        mut visit: impl FnMut(&mut Fields<'_>) -> Result<(), StoreError> + Send,
    ) -> Result<(), StoreError> {
        let statement = format!("COPY ({query}) TO STDOUT (FORMAT binary)");
        let mut chunks = self.connection.copy_out_raw(&statement).await?;
        let mut tuples = Tuples::default();
        loop {
            let chunk =
                timeout(LONGEST_SILENCE, chunks.try_next()).await.map_err(|_| no_answer())??;
            match chunk {
                Some(chunk) => tuples.read(&chunk, &mut visit)?,
                None if tuples.is_complete => return Ok(()),
                None => return Err(cut_off()),
            }
        }
    }
}

#[async_trait]
impl Source for Reader {
    async fn moment(&mut self) -> Result<Timestamp, StoreError> {
        let query = sqlx::query_scalar("SELECT floor(extract(epoch FROM now()))::int8");
        let now: i64 = query.fetch_one(&mut self.connection).await?;
        Ok(Timestamp(u32::try_from(now).unwrap_or(u32::MAX)))
    }

    async fn kinds(&mut self) -> Result<Vec<(String, String)>, StoreError> {
        Ok(sqlx::query_as("SELECT name, kind FROM attribute_kinds ORDER BY name")
            .fetch_all(&mut self.connection)
            .await?)
    }

    async fn entities(&mut self, table: Table, visit: VisitEntity<'_>) -> Result<(), StoreError> {
        let query = match table {
            Table::Articles => {
                "SELECT key, id, available AND removed = 0, attributes::text FROM articles ORDER BY key"
            }
            Table::Customers => {
                "SELECT key, id, true, attributes::text FROM customers ORDER BY key"
            }
        };
        let row = |fields: &mut Fields<'_>| {
            visit(EntityRow {
                key: fields.integer()?,
                id: fields.text()?,
                available: fields.boolean()?,
                attributes: fields.text()?,
            })
        };
        self.copy(query, row).await
    }

    async fn purchases(&mut self, visit: Visit<'_, PurchaseRow>) -> Result<(), StoreError> {
        let row = |fields: &mut Fields<'_>| {
            visit(PurchaseRow {
                at: fields.millis()?,
                customer: fields.integer()?,
                article: fields.integer()?,
                price: fields.real()?,
                channel: fields.small()?.and_then(|channel| u8::try_from(channel).ok()),
                weight: fields.real()?,
            })
        };
        self.copy("SELECT at, customer, article, price, channel, weight FROM purchases", row).await
    }

    async fn events(&mut self, types: &[&str], visit: VisitEvent<'_>) -> Result<(), StoreError> {
        // COPY takes no parameters. The options let only letters, digits and a few signs into the
        // names of types.
        let types: Vec<String> =
            types.iter().map(|name| format!("'{}'", name.replace('\'', "''"))).collect();
        let query = format!(
            "SELECT e.type, coalesce(e.customer, v.customer), e.visitor, e.article, e.at, e.quantity, e.price::real
             FROM events e LEFT JOIN visitors v ON v.key = e.visitor
             WHERE e.type IN ({}) AND NOT e.imported AND e.article IS NOT NULL",
            types.join(", ")
        );
        let row = |fields: &mut Fields<'_>| {
            visit(EventRow {
                kind: fields.text()?,
                customer: fields.optional_integer()?,
                visitor: fields.optional_integer()?,
                article: fields.text()?,
                at: fields.millis()?,
                quantity: fields.real()?.unwrap_or(1.0),
                price: fields.real()?,
            })
        };
        self.copy(&query, row).await
    }

    async fn close(self: Box<Self>) {
        let Self { connection } = *self;
        // A reading that failed leaves the connection in the middle of a COPY; the database ends
        // that by itself.
        let _ = timeout(Duration::from_secs(1), connection.close()).await;
    }
}

/// Signature of the binary COPY format; flags and the length of an extension follow.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
const HEADER: usize = SIGNATURE.len() + 8;

/// Finds the tuples of COPY data, however the data are cut into chunks.
#[derive(Default)]
struct Tuples {
    /// The beginning of a tuple whose end has not come yet.
    rest: Vec<u8>,
    has_begun: bool,
    /// Whether the end of the data has been seen.
    is_complete: bool,
}

impl Tuples {
    fn read(
        &mut self,
        chunk: &[u8],
        visit: &mut (impl FnMut(&mut Fields<'_>) -> Result<(), StoreError> + Send),
    ) -> Result<(), StoreError> {
        if self.rest.is_empty() {
            let used = self.tuples(chunk, visit)?;
            self.rest.extend_from_slice(&chunk[used..]);
        } else {
            let mut data = std::mem::take(&mut self.rest);
            data.extend_from_slice(chunk);
            let used = self.tuples(&data, visit)?;
            data.drain(..used);
            self.rest = data;
        }
        Ok(())
    }

    /// Visits the whole tuples at the front; answers how many bytes they take.
    fn tuples(
        &mut self,
        data: &[u8],
        visit: &mut (impl FnMut(&mut Fields<'_>) -> Result<(), StoreError> + Send),
    ) -> Result<usize, StoreError> {
        let mut at = 0;
        if !self.has_begun {
            let Some(header) = data.get(..HEADER) else { return Ok(0) };
            let extension = header[HEADER - 4..].try_into().map_or(-1, i32::from_be_bytes);
            let extension = usize::try_from(extension).map_err(|_| cut_off())?;
            if !header.starts_with(SIGNATURE) || data.len() < HEADER + extension {
                return if header.starts_with(SIGNATURE) { Ok(0) } else { Err(cut_off()) };
            }
            at = HEADER + extension;
            self.has_begun = true;
        }
        while !self.is_complete {
            let Some(end) = end_of_tuple(&data[at..]) else { break };
            match end {
                0 => {
                    self.is_complete = true;
                    at += 2;
                }
                length => {
                    visit(&mut Fields(&data[at + 2..at + length]))?;
                    at += length;
                }
            }
        }
        Ok(at)
    }
}

/// The length of the tuple at the front, 0 for the mark at the end of all; `None` while a part of
/// it is missing.
fn end_of_tuple(data: &[u8]) -> Option<usize> {
    let count = i16::from_be_bytes(data.get(..2)?.try_into().ok()?);
    let Ok(count) = usize::try_from(count) else { return Some(0) };
    let mut at = 2;
    for _ in 0..count {
        let length = i32::from_be_bytes(data.get(at..at + 4)?.try_into().ok()?);
        at += 4 + usize::try_from(length).unwrap_or(0);
    }
    (at <= data.len()).then_some(at)
}

/// The fields of a tuple, one after the other: each with its length (−1 for NULL), big-endian.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Result<Option<&'a [u8]>, StoreError> {
        let (length, rest) = self.0.split_first_chunk::<4>().ok_or_else(cut_off)?;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            self.0 = rest;
            return Ok(None);
        };
        let (value, rest) = rest.split_at_checked(length).ok_or_else(cut_off)?;
        self.0 = rest;
        Ok(Some(value))
    }

    /// The bytes of a number.
    fn number<const N: usize>(&mut self) -> Result<Option<[u8; N]>, StoreError> {
        self.next()?.map(|bytes| bytes.try_into().map_err(|_| cut_off())).transpose()
    }

    fn text(&mut self) -> Result<&'a str, StoreError> {
        let bytes = self.next()?.unwrap_or_default();
        std::str::from_utf8(bytes)
            .map_err(|_| StoreError::Fault("it sent a text that is not UTF-8".to_owned()))
    }

    fn boolean(&mut self) -> Result<bool, StoreError> {
        Ok(self.number::<1>()?.is_some_and(|[byte]| byte != 0))
    }

    fn small(&mut self) -> Result<Option<i16>, StoreError> {
        Ok(self.number()?.map(i16::from_be_bytes))
    }

    fn integer(&mut self) -> Result<i32, StoreError> {
        self.optional_integer()?.ok_or_else(cut_off)
    }

    fn optional_integer(&mut self) -> Result<Option<i32>, StoreError> {
        Ok(self.number()?.map(i32::from_be_bytes))
    }

    fn real(&mut self) -> Result<Option<f32>, StoreError> {
        Ok(self.number()?.map(f32::from_be_bytes))
    }

    /// A `timestamptz` in milliseconds since 1970.
    fn millis(&mut self) -> Result<i64, StoreError> {
        let micros = self.number()?.map(i64::from_be_bytes).ok_or_else(cut_off)?;
        Ok(micros.saturating_add(EPOCH).div_euclid(1_000))
    }
}

fn cut_off() -> StoreError {
    StoreError::Unavailable("the connection was lost in the middle of a table".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two tuples of a number and a text, the second without a text, and the mark of the end.
    fn data() -> Vec<u8> {
        let mut data = SIGNATURE.to_vec();
        data.extend([0; 8]);
        for (number, text) in [(7i32, Some("sofa")), (8, None)] {
            data.extend(2i16.to_be_bytes());
            data.extend(4i32.to_be_bytes());
            data.extend(number.to_be_bytes());
            data.extend(text.map_or(-1, |text: &str| text.len() as i32).to_be_bytes());
            data.extend(text.unwrap_or_default().as_bytes());
        }
        data.extend((-1i16).to_be_bytes());
        data
    }

    #[test]
    fn tuples_are_found_however_the_data_are_cut() {
        let data = data();
        for size in 1..=data.len() {
            let (mut tuples, mut found) = (Tuples::default(), Vec::new());
            for chunk in data.chunks(size) {
                let mut visit = |fields: &mut Fields<'_>| {
                    found.push((fields.integer()?, fields.text()?.to_owned()));
                    Ok(())
                };
                tuples.read(chunk, &mut visit).unwrap();
            }
            assert!(tuples.is_complete, "chunks of {size} bytes");
            assert_eq!(
                found,
                [(7, "sofa".to_owned()), (8, String::new())],
                "chunks of {size} bytes"
            );
        }
    }

    #[test]
    fn data_that_end_early_are_not_complete() {
        let data = data();
        let mut tuples = Tuples::default();
        tuples.read(&data[..data.len() - 2], &mut |_| Ok(())).unwrap();
        assert!(!tuples.is_complete);
        let damaged = Tuples::default().read(b"not a copy of anything", &mut |_| Ok(()));
        assert!(damaged.is_err_and(|error| error.is_transient()));
    }
}
