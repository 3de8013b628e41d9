//! Articles on SQLite. Rows go in as one JSON parameter a statement: a parameter a value would cost more in
//! binding than the insert itself.

use super::{Sqlite, advance_revision, json_ids};
use crate::{
    domain::ArticleId,
    store::{
        ArticleRecord, Attributes, StoreError,
        import::ImportedArticle,
        records::{ArticleRow, checked_articles},
    },
};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

/// Rows a statement.
const PAGE: usize = 2_000;

pub(super) async fn visit(store: &Sqlite, visit: &mut (dyn FnMut(ArticleRecord) + Send)) -> Result<(), StoreError> {
    const SELECT: &str = "
        SELECT id, available, price, image_url, attributes, key FROM articles
        WHERE key > $1 ORDER BY key LIMIT $2";
    // One read transaction sees one state of the file throughout.
    let mut transaction = store.readers.begin().await?;
    let mut last = 0i64;
    loop {
        let rows = sqlx::query(SELECT).bind(last).bind(PAGE as i64).fetch_all(&mut *transaction).await?;
        for row in &rows {
            last = row.try_get(5)?;
            visit(read(row)?);
        }
        if rows.len() < PAGE {
            return Ok(());
        }
    }
}

pub(super) async fn select(store: &Sqlite, ids: &[ArticleId]) -> Result<Vec<ArticleRecord>, StoreError> {
    const SELECT: &str = "
        SELECT id, available, price, image_url, attributes FROM articles WHERE id IN (SELECT value FROM json_each($1))";
    let rows = sqlx::query(SELECT).bind(json_ids(ids)).fetch_all(&store.readers).await?;
    rows.iter().map(read).collect()
}

fn read(row: &SqliteRow) -> Result<ArticleRecord, StoreError> {
    ArticleRow {
        id: row.try_get(0)?,
        available: row.try_get(1)?,
        price: row.try_get::<Option<f64>, _>(2)?.map(|price| price as f32),
        image_url: row.try_get(3)?,
        attributes: row.try_get(4)?,
    }
    .try_into()
}

pub(super) async fn put(store: &Sqlite, articles: &[ArticleRecord]) -> Result<(), StoreError> {
    let articles = checked_articles(articles)?;
    let mut transaction = store.begin().await?;
    let mut changed = 0;
    for page in articles.chunks(PAGE) {
        let available: Vec<_> = page.iter().map(|article| Some(article.available)).collect();
        changed += write(&mut transaction, page, &available, false).await?;
    }
    if changed > 0 {
        advance_revision(&mut transaction, "catalogue").await?;
    }
    store.commit(transaction).await
}

/// [`write`] for articles of the shop's files: what these do not tell stays as it is in the database.
pub(super) async fn write_imported(
    connection: &mut SqliteConnection,
    articles: &[ImportedArticle],
) -> Result<u64, StoreError> {
    let available = articles.iter().map(|article| article.tells_availability.then_some(article.record.available));
    let records: Vec<&ArticleRecord> = articles.iter().map(|article| &article.record).collect();
    write(connection, &records, &available.collect::<Vec<_>>(), true).await
}

/// Inserts new articles in the order given and updates those that differ; answers how many rows changed. With
/// `keep`, an availability, a price or an image that is `None` stays as it is in the database.
async fn write(
    connection: &mut SqliteConnection,
    articles: &[&ArticleRecord],
    available: &[Option<bool>],
    keep: bool,
) -> Result<u64, StoreError> {
    // `WHERE true` tells the parser that ON belongs to the upsert, not to a join.
    const WRITE: &str = "
        INSERT INTO articles (id, available, price, image_url, attributes)
        SELECT i.value ->> 'id', coalesce(i.value ->> 'available', a.available, 1), i.value ->> 'price',
            i.value ->> 'image_url', i.value -> 'attributes'
        FROM json_each($1) i LEFT JOIN articles a ON a.id = i.value ->> 'id' WHERE true ORDER BY i.key
        ON CONFLICT (id) DO UPDATE SET
            available = excluded.available,
            price = CASE WHEN $2 THEN coalesce(excluded.price, price) ELSE excluded.price END,
            image_url = CASE WHEN $2 THEN coalesce(excluded.image_url, image_url) ELSE excluded.image_url END,
            attributes = excluded.attributes
        WHERE attributes <> excluded.attributes OR available <> excluded.available
            OR NOT $2 AND (price, image_url) IS NOT (excluded.price, excluded.image_url)
            OR $2 AND (price, image_url)
                IS NOT (coalesce(excluded.price, price), coalesce(excluded.image_url, image_url))";
    #[derive(serde::Serialize)]
    struct Row<'a> {
        id: &'a str,
        available: Option<bool>,
        price: Option<f32>,
        image_url: Option<&'a str>,
        attributes: &'a Attributes,
    }
    let rows: Vec<Row<'_>> = articles
        .iter()
        .zip(available)
        .map(|(article, &available)| Row {
            id: article.id.as_str(),
            available,
            price: article.price,
            image_url: article.image_url.as_deref(),
            attributes: &article.attributes,
        })
        .collect();
    let json = serde_json::to_string(&rows).expect("checked articles are plain JSON");
    Ok(sqlx::query(WRITE).bind(json).bind(keep).execute(connection).await?.rows_affected())
}

pub(super) async fn set_available(
    store: &Sqlite,
    ids: &[ArticleId],
    available: bool,
) -> Result<Vec<ArticleId>, StoreError> {
    const UPDATE: &str = "
        UPDATE articles SET available = $2 WHERE id IN (SELECT value FROM json_each($1)) AND available <> $2";
    const UNKNOWN: &str = "
        SELECT key FROM json_each($1) i
        WHERE NOT EXISTS (SELECT 1 FROM articles a WHERE a.id = i.value) ORDER BY key";
    let texts = json_ids(ids);
    let mut transaction = store.begin().await?;
    let changed = sqlx::query(UPDATE).bind(&texts).bind(available).execute(&mut *transaction).await?;
    let unknown: Vec<i64> = sqlx::query_scalar(UNKNOWN).bind(&texts).fetch_all(&mut *transaction).await?;
    if changed.rows_affected() > 0 {
        advance_revision(&mut transaction, "catalogue").await?;
    }
    store.commit(transaction).await?;
    Ok(unknown.into_iter().map(|n| ids[n as usize].clone()).collect())
}
