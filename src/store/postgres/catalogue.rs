//! Articles on Postgres.

use super::{Postgres, advance_revision, lock_revision};
use crate::{
    domain::ArticleId,
    store::{
        ArticleRecord, StoreError,
        import::ImportedArticle,
        records::{ArticleRow, checked_articles, write_attributes},
    },
};
use sqlx::{PgConnection, PgPool, Row, postgres::PgRow};

/// Rows a statement: bounded memory, and well within the statement time-out.
const PAGE: usize = 2_000;

pub(super) async fn visit(store: &Postgres, visit: &mut (dyn FnMut(ArticleRecord) + Send)) -> Result<(), StoreError> {
    const SELECT: &str = "
        SELECT id, available, price, image_url, attributes::text, key FROM articles
        WHERE key > $1 ORDER BY key LIMIT $2";
    let mut transaction =
        store.within(store.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")).await?;
    let mut last = 0i32;
    loop {
        let query = sqlx::query(SELECT).bind(last).bind(PAGE as i64);
        let rows = store.within(query.fetch_all(&mut *transaction)).await?;
        for row in &rows {
            last = row.try_get(5)?;
            visit(read(row)?);
        }
        if rows.len() < PAGE {
            return Ok(());
        }
    }
}

pub(super) async fn select(store: &Postgres, ids: &[ArticleId]) -> Result<Vec<ArticleRecord>, StoreError> {
    const SELECT: &str = "
        SELECT id, available, price, image_url, attributes::text FROM articles WHERE id = ANY($1)";
    let ids: Vec<&str> = ids.iter().map(ArticleId::as_str).collect();
    let rows = store.within(sqlx::query(SELECT).bind(ids).fetch_all(&store.pool)).await?;
    rows.iter().map(read).collect()
}

fn read(row: &PgRow) -> Result<ArticleRecord, StoreError> {
    ArticleRow {
        id: row.try_get(0)?,
        available: row.try_get(1)?,
        price: row.try_get(2)?,
        image_url: row.try_get(3)?,
        attributes: row.try_get(4)?,
    }
    .try_into()
}

pub(super) async fn put(pool: &PgPool, articles: &[ArticleRecord]) -> Result<(), StoreError> {
    let articles = checked_articles(articles)?;
    let mut transaction = pool.begin().await?;
    lock_revision(&mut transaction, "catalogue").await?;
    let mut changed = 0;
    for page in articles.chunks(PAGE) {
        let available = page.iter().map(|article| Some(article.available)).collect();
        changed += write(&mut transaction, page, available, false).await?;
    }
    if changed > 0 {
        advance_revision(&mut transaction, "catalogue").await?;
    }
    Ok(transaction.commit().await?)
}

/// [`write`] for articles of the shop's files: what these do not tell stays as it is in the database.
pub(super) async fn write_imported(
    connection: &mut PgConnection,
    articles: &[ImportedArticle],
) -> Result<i64, StoreError> {
    let available = articles.iter().map(|article| article.tells_availability.then_some(article.record.available));
    let records: Vec<&ArticleRecord> = articles.iter().map(|article| &article.record).collect();
    write(connection, &records, available.collect(), true).await
}

/// Inserts new articles in the order given and updates those that differ; answers how many rows changed. The
/// ids must be unique and the catalogue's revision locked. With `keep`, an availability, a price or an image that is
/// `None` stays as it is in the database.
async fn write(
    connection: &mut PgConnection,
    articles: &[&ArticleRecord],
    available: Vec<Option<bool>>,
    keep: bool,
) -> Result<i64, StoreError> {
    // Not ON CONFLICT: that draws a key for every row it then updates, and the keys are 32 bits.
    const WRITE: &str = "
        WITH incoming AS (
            SELECT i.id, i.n,
                CASE WHEN $6 THEN coalesce(i.available, a.available, true) ELSE i.available END AS available,
                CASE WHEN $6 THEN coalesce(i.price, a.price) ELSE i.price END AS price,
                CASE WHEN $6 THEN coalesce(i.image_url, a.image_url) ELSE i.image_url END AS image_url,
                i.attributes::jsonb AS attributes, a.key
            FROM unnest($1::text[], $2::boolean[], $3::real[], $4::text[], $5::text[])
                WITH ORDINALITY AS i (id, available, price, image_url, attributes, n)
            LEFT JOIN articles a ON a.id = i.id
        ), changed AS (
            UPDATE articles a
            SET available = i.available, price = i.price, image_url = i.image_url, attributes = i.attributes
            FROM incoming i
            WHERE a.key = i.key AND (a.available, a.price, a.image_url, a.attributes)
                IS DISTINCT FROM (i.available, i.price, i.image_url, i.attributes)
            RETURNING 1
        ), added AS (
            INSERT INTO articles (id, available, price, image_url, attributes)
            SELECT id, available, price, image_url, attributes FROM incoming WHERE key IS NULL ORDER BY n
            RETURNING 1
        )
        SELECT (SELECT count(*) FROM changed) + (SELECT count(*) FROM added)";
    let ids: Vec<&str> = articles.iter().map(|a| a.id.as_str()).collect();
    let price: Vec<Option<f32>> = articles.iter().map(|a| a.price).collect();
    let image_url: Vec<Option<&str>> = articles.iter().map(|a| a.image_url.as_deref()).collect();
    let attributes: Vec<String> = articles.iter().map(|a| write_attributes(&a.attributes)).collect();
    let query =
        sqlx::query_scalar(WRITE).bind(ids).bind(available).bind(price).bind(image_url).bind(attributes).bind(keep);
    Ok(query.fetch_one(connection).await?)
}

pub(super) async fn set_available(
    pool: &PgPool,
    ids: &[ArticleId],
    available: bool,
) -> Result<Vec<ArticleId>, StoreError> {
    const UPDATE: &str = "UPDATE articles SET available = $2 WHERE id = ANY($1) AND available <> $2";
    const UNKNOWN: &str = "
        SELECT n FROM unnest($1::text[]) WITH ORDINALITY AS i (id, n)
        WHERE NOT EXISTS (SELECT FROM articles a WHERE a.id = i.id) ORDER BY n";
    let texts: Vec<&str> = ids.iter().map(ArticleId::as_str).collect();
    let mut transaction = pool.begin().await?;
    lock_revision(&mut transaction, "catalogue").await?;
    let changed = sqlx::query(UPDATE).bind(&texts).bind(available).execute(&mut *transaction).await?;
    let unknown: Vec<i64> = sqlx::query_scalar(UNKNOWN).bind(&texts).fetch_all(&mut *transaction).await?;
    if changed.rows_affected() > 0 {
        advance_revision(&mut transaction, "catalogue").await?;
    }
    transaction.commit().await?;
    Ok(unknown.into_iter().map(|n| ids[n as usize - 1].clone()).collect())
}
