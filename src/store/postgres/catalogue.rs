//! Articles on Postgres.

use super::{Postgres, advance_revision, lock_revision};
use crate::{
    domain::{ArticleId, AttributeKind},
    store::{
        ArticleChange, ArticleRecord, CatalogueChanges, Schema, StoreError,
        import::{ImportedArticle, MissingArticles, MissingFrom},
        records::{ArticleReader, ArticleRow, checked_articles, write_attributes},
        schema_errors,
    },
};
use sqlx::{PgConnection, Row, postgres::PgRow};

/// Rows a statement: bounded memory, and well within the statement time-out.
const PAGE: usize = 2_000;

pub(super) async fn visit(
    store: &Postgres,
    visit: &mut (dyn FnMut(ArticleRecord) + Send),
) -> Result<(), StoreError> {
    const SELECT: &str = "
        SELECT id, available AND removed = 0, price, image_url, attributes::text, key FROM articles
        WHERE removed <> 2 AND key > $1 ORDER BY key LIMIT $2";
    let mut reader = ArticleReader::default();
    let mut transaction = store
        .within(store.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        .await?;
    let mut last = 0i32;
    loop {
        let query = sqlx::query(SELECT).bind(last).bind(PAGE as i64);
        let rows = store.within(query.fetch_all(&mut *transaction)).await?;
        for row in &rows {
            last = row.try_get(5)?;
            reader.read(columns(row)?).into_iter().for_each(&mut *visit);
        }
        if rows.len() < PAGE {
            reader.finish();
            return Ok(());
        }
    }
}

pub(super) async fn select(
    store: &Postgres,
    ids: &[ArticleId],
) -> Result<Vec<ArticleRecord>, StoreError> {
    const SELECT: &str = "
        SELECT id, available AND removed = 0, price, image_url, attributes::text FROM articles
        WHERE removed <> 2 AND id = ANY($1)";
    let ids: Vec<&str> = ids.iter().map(ArticleId::as_str).collect();
    let rows = store.within(sqlx::query(SELECT).bind(ids).fetch_all(&store.pool)).await?;
    let mut reader = ArticleReader::default();
    let mut articles = Vec::with_capacity(rows.len());
    for row in &rows {
        articles.extend(reader.read(columns(row)?));
    }
    reader.finish();
    Ok(articles)
}

pub(super) async fn changes(
    store: &Postgres,
    since: i64,
    most: usize,
) -> Result<Option<CatalogueChanges>, StoreError> {
    const SELECT: &str = "
        SELECT id, available AND removed = 0, price, image_url, attributes::text, removed = 2 FROM articles
        WHERE changed > $1 ORDER BY changed, key LIMIT $2";
    const VERSION: &str = "SELECT value FROM revisions WHERE name = 'catalogue'";
    const KINDS: &str = "SELECT name, kind, declared FROM attribute_kinds WHERE changed > $1";
    let begin = store.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    let mut transaction = store.within(begin).await?;
    let version = store.within(sqlx::query_scalar(VERSION).fetch_one(&mut *transaction)).await?;
    let limit = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
    let rows = sqlx::query(SELECT).bind(since).bind(limit).fetch_all(&mut *transaction);
    let rows = store.within(rows).await?;
    if rows.len() > most {
        return Ok(None);
    }
    let kinds = sqlx::query_as(KINDS).bind(since).fetch_all(&mut *transaction);
    let kinds: Vec<(String, String, bool)> = store.within(kinds).await?;
    let mut reader = ArticleReader::default();
    let mut articles = Vec::with_capacity(rows.len());
    for row in &rows {
        let removed: bool = row.try_get(5)?;
        let article = reader.read(columns(row)?);
        articles.extend(article.map(|article| match removed {
            true => ArticleChange::Removed(article.id),
            false => ArticleChange::Put(article),
        }));
    }
    reader.finish();
    Ok(Some(CatalogueChanges { version, kinds: Schema::new(kinds).kinds(), articles }))
}

fn columns(row: &PgRow) -> Result<ArticleRow, StoreError> {
    Ok(ArticleRow {
        id: row.try_get(0)?,
        available: row.try_get(1)?,
        price: row.try_get(2)?,
        image_url: row.try_get(3)?,
        attributes: row.try_get(4)?,
    })
}

pub(super) async fn schema(connection: &mut PgConnection) -> Result<Schema, StoreError> {
    let rows: Vec<(String, String, bool)> =
        sqlx::query_as("SELECT name, kind, declared FROM attribute_kinds")
            .fetch_all(connection)
            .await?;
    Ok(Schema::new(rows))
}

/// Adds attributes to the schema, or changes the kind of those that are there, with the next
/// revision.
pub(super) async fn write_kinds(
    connection: &mut PgConnection,
    kinds: &[(String, AttributeKind)],
    declared: bool,
    revision: i64,
) -> Result<(), StoreError> {
    const WRITE: &str = "
        INSERT INTO attribute_kinds (name, kind, declared, changed) VALUES ($1, $2, $3, $4)
        ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, declared = excluded.declared, changed = excluded.changed";
    for (name, kind) in kinds {
        let write = sqlx::query(WRITE).bind(name).bind(kind.name()).bind(declared).bind(revision);
        write.execute(&mut *connection).await?;
    }
    Ok(())
}

pub(super) async fn declare(
    store: &Postgres,
    name: &str,
    kind: AttributeKind,
) -> Result<(), StoreError> {
    const OTHERS: &str = "
        SELECT id FROM articles
        WHERE removed <> 2 AND jsonb_exists(attributes, $1)
            AND CASE jsonb_typeof(attributes -> $1) WHEN 'array' THEN 'texts' WHEN 'string' THEN 'text'
                ELSE jsonb_typeof(attributes -> $1) END <> $2
        ORDER BY key LIMIT 1";
    let mut transaction = store.pool.begin().await?;
    let revision = lock_revision(&mut transaction, "catalogue").await? + 1;
    schema(&mut transaction).await?.admit_declaration(name, kind, &store.limits)?;
    let other: Option<String> = sqlx::query_scalar(OTHERS)
        .bind(name)
        .bind(kind.name())
        .fetch_optional(&mut *transaction)
        .await?;
    if let Some(article) = other {
        return Err(schema_errors::held_otherwise(&article, name, kind));
    }
    write_kinds(&mut transaction, &[(name.to_owned(), kind)], true, revision).await?;
    advance_revision(&mut transaction, "catalogue").await?;
    Ok(transaction.commit().await?)
}

pub(super) async fn put(store: &Postgres, articles: &[ArticleRecord]) -> Result<(), StoreError> {
    let articles = checked_articles(articles, &store.limits)?;
    let mut transaction = store.pool.begin().await?;
    let revision = lock_revision(&mut transaction, "catalogue").await? + 1;
    let added = schema(&mut transaction).await?.admit(&articles, &store.limits)?;
    write_kinds(&mut transaction, &added, false, revision).await?;
    let mut changed = 0;
    for page in articles.chunks(PAGE) {
        let available = page.iter().map(|article| Some(article.available)).collect();
        changed +=
            write(&mut transaction, page, available, Written { keep: false, revision }).await?;
    }
    if changed > 0 {
        advance_revision(&mut transaction, "catalogue").await?;
    }
    Ok(transaction.commit().await?)
}

/// [`write`] for articles of the shop's files: what these do not tell stays as it is in the
/// database.
pub(super) async fn write_imported(
    connection: &mut PgConnection,
    articles: &[ImportedArticle],
    revision: i64,
) -> Result<i64, StoreError> {
    let available = articles
        .iter()
        .map(|article| article.tells_availability.then_some(article.record.available));
    let records: Vec<&ArticleRecord> = articles.iter().map(|article| &article.record).collect();
    write(connection, &records, available.collect(), Written { keep: true, revision }).await
}

/// How articles are written.
#[derive(Clone, Copy)]
struct Written {
    /// Whether an availability, a price or an image that is `None` stays as it is in the database.
    keep: bool,
    /// The number that the catalogue has afterwards.
    revision: i64,
}

/// Inserts new articles in the order given and updates those that differ; answers how many rows
/// changed. The ids must be unique and the catalogue's revision locked.
async fn write(
    connection: &mut PgConnection,
    articles: &[&ArticleRecord],
    available: Vec<Option<bool>>,
    Written { keep, revision }: Written,
) -> Result<i64, StoreError> {
    // Not ON CONFLICT: that draws a key for every row it then updates, and the keys are 32 bits.
    const WRITE: &str = "
        WITH incoming AS (
            SELECT i.id, i.n,
                CASE WHEN $6 THEN coalesce(i.available, a.available, true) ELSE i.available END AS available,
                CASE WHEN $6 THEN coalesce(i.price, a.price) ELSE i.price END AS price,
                CASE WHEN $6 THEN coalesce(i.image_url, a.image_url) ELSE i.image_url END AS image_url,
                i.attributes::jsonb AS attributes, a.key
            FROM unnest($1::text[], $2::boolean[], $3::double precision[], $4::text[], $5::text[])
                WITH ORDINALITY AS i (id, available, price, image_url, attributes, n)
            LEFT JOIN articles a ON a.id = i.id
        ), changed AS (
            UPDATE articles a
            SET available = i.available, price = i.price, image_url = i.image_url, attributes = i.attributes,
                changed = $7, removed = 0
            FROM incoming i
            WHERE a.key = i.key AND (a.available, a.price, a.image_url, a.attributes, a.removed)
                IS DISTINCT FROM (i.available, i.price, i.image_url, i.attributes, 0)
            RETURNING 1
        ), added AS (
            INSERT INTO articles (id, available, price, image_url, attributes, changed)
            SELECT id, available, price, image_url, attributes, $7 FROM incoming WHERE key IS NULL ORDER BY n
            RETURNING 1
        )
        SELECT (SELECT count(*) FROM changed) + (SELECT count(*) FROM added)";
    let ids: Vec<&str> = articles.iter().map(|a| a.id.as_str()).collect();
    let price: Vec<Option<f64>> = articles.iter().map(|a| a.price).collect();
    let image_url: Vec<Option<&str>> = articles.iter().map(|a| a.image_url.as_deref()).collect();
    let attributes: Vec<String> =
        articles.iter().map(|a| write_attributes(&a.attributes)).collect();
    let query = sqlx::query_scalar(WRITE)
        .bind(ids)
        .bind(available)
        .bind(price)
        .bind(image_url)
        .bind(attributes);
    Ok(query.bind(keep).bind(revision).fetch_one(connection).await?)
}

pub(super) async fn set_available(
    store: &Postgres,
    ids: &[ArticleId],
    available: bool,
) -> Result<Vec<ArticleId>, StoreError> {
    // What the latest import lacks is available again when somebody says so.
    const UPDATE: &str = "
        UPDATE articles SET available = $2, removed = CASE WHEN $2 THEN 0 ELSE removed END, changed = $3
        WHERE id = ANY($1) AND removed <> 2 AND (available <> $2 OR $2 AND removed = 1)";
    let texts: Vec<&str> = ids.iter().map(ArticleId::as_str).collect();
    let mut transaction = store.pool.begin().await?;
    let revision = lock_revision(&mut transaction, "catalogue").await? + 1;
    let unknown = unknown(&mut transaction, &texts).await?;
    let update = sqlx::query(UPDATE).bind(&texts).bind(available).bind(revision);
    if update.execute(&mut *transaction).await?.rows_affected() > 0 {
        advance_revision(&mut transaction, "catalogue").await?;
    }
    transaction.commit().await?;
    Ok(unknown.into_iter().map(|n| ids[n as usize - 1].clone()).collect())
}

pub(super) async fn delete(
    store: &Postgres,
    ids: &[ArticleId],
) -> Result<Vec<ArticleId>, StoreError> {
    let texts: Vec<&str> = ids.iter().map(ArticleId::as_str).collect();
    let mut transaction = store.pool.begin().await?;
    let revision = lock_revision(&mut transaction, "catalogue").await? + 1;
    let unknown = unknown(&mut transaction, &texts).await?;
    if remove(&mut transaction, &texts, MissingArticles::Delete, revision).await? > 0 {
        advance_revision(&mut transaction, "catalogue").await?;
    }
    transaction.commit().await?;
    Ok(unknown.into_iter().map(|n| ids[n as usize - 1].clone()).collect())
}

/// Positions among the ids, from 1, of those that the catalogue does not have.
async fn unknown(connection: &mut PgConnection, ids: &[&str]) -> Result<Vec<i64>, StoreError> {
    const UNKNOWN: &str = "
        SELECT n FROM unnest($1::text[]) WITH ORDINALITY AS i (id, n)
        WHERE NOT EXISTS (SELECT FROM articles a WHERE a.id = i.id AND a.removed <> 2) ORDER BY n";
    Ok(sqlx::query_scalar(UNKNOWN).bind(ids).fetch_all(connection).await?)
}

/// Takes articles out of the catalogue or of sale; answers how many rows changed.
async fn remove(
    connection: &mut PgConnection,
    ids: &[&str],
    how: MissingArticles,
    revision: i64,
) -> Result<u64, StoreError> {
    const WITHDRAW: &str =
        "UPDATE articles SET removed = 1, changed = $2 WHERE id = ANY($1) AND removed = 0";
    const DELETE: &str = "
        UPDATE articles
        SET removed = 2, available = true, price = NULL, image_url = NULL, attributes = '{}', changed = $2
        WHERE id = ANY($1) AND removed <> 2";
    let statement = match how {
        MissingArticles::Keep => return Ok(0),
        MissingArticles::Unavailable => WITHDRAW,
        MissingArticles::Delete => DELETE,
    };
    Ok(sqlx::query(statement).bind(ids).bind(revision).execute(connection).await?.rows_affected())
}

/// [`remove`] for articles that are not in an import; answers how many rows changed.
pub(super) async fn remove_missing(
    connection: &mut PgConnection,
    missing: &MissingFrom<'_>,
    revision: i64,
) -> Result<u64, StoreError> {
    let ids: Vec<String> = sqlx::query_scalar("SELECT id FROM articles WHERE removed <> 2")
        .fetch_all(&mut *connection)
        .await?;
    let ids: Vec<&str> = ids.iter().map(String::as_str).filter(|id| missing.lacks(id)).collect();
    let mut changed = 0;
    for page in ids.chunks(PAGE) {
        changed += remove(connection, page, missing.how, revision).await?;
    }
    Ok(changed)
}
