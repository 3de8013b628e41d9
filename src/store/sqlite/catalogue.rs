//! Articles on SQLite. Rows go in as one JSON parameter a statement: a parameter a value would cost
//! more in binding than the insert itself.

use super::{Sqlite, advance_revision, json_ids};
use crate::{
    domain::{ArticleId, AttributeKind},
    store::{
        ArticleChange, ArticleRecord, Attributes, CatalogueChanges, Schema, StoreError,
        import::{ImportedArticle, MissingArticles, MissingFrom},
        records::{ArticleReader, ArticleRow, checked_articles},
        schema_errors,
    },
};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

/// Rows a statement.
const PAGE: usize = 2_000;

pub(super) async fn visit(
    store: &Sqlite,
    visit: &mut (dyn FnMut(ArticleRecord) + Send),
) -> Result<(), StoreError> {
    const SELECT: &str = "
        SELECT id, available AND removed = 0, price, image_url, attributes, key FROM articles
        WHERE removed <> 2 AND key > $1 ORDER BY key LIMIT $2";
    let mut reader = ArticleReader::default();
    // One read transaction sees one state of the file throughout.
    let mut transaction = store.readers.begin().await?;
    let mut last = 0i64;
    loop {
        let rows =
            sqlx::query(SELECT).bind(last).bind(PAGE as i64).fetch_all(&mut *transaction).await?;
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
    store: &Sqlite,
    ids: &[ArticleId],
) -> Result<Vec<ArticleRecord>, StoreError> {
    const SELECT: &str = "
        SELECT id, available AND removed = 0, price, image_url, attributes FROM articles
        WHERE removed <> 2 AND id IN (SELECT value FROM json_each($1))";
    let rows = sqlx::query(SELECT).bind(json_ids(ids)).fetch_all(&store.readers).await?;
    let mut reader = ArticleReader::default();
    let mut articles = Vec::with_capacity(rows.len());
    for row in &rows {
        articles.extend(reader.read(columns(row)?));
    }
    reader.finish();
    Ok(articles)
}

pub(super) async fn changes(
    store: &Sqlite,
    since: i64,
    most: usize,
) -> Result<Option<CatalogueChanges>, StoreError> {
    const SELECT: &str = "
        SELECT id, available AND removed = 0, price, image_url, attributes, removed = 2 FROM articles
        WHERE changed > $1 ORDER BY changed, key LIMIT $2";
    const KINDS: &str = "SELECT name, kind, declared FROM attribute_kinds WHERE changed > $1";
    // One read transaction sees one state of the file throughout.
    let mut transaction = store.readers.begin().await?;
    let version = sqlx::query_scalar("SELECT value FROM revisions WHERE name = 'catalogue'")
        .fetch_one(&mut *transaction)
        .await?;
    let limit = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
    let rows = sqlx::query(SELECT).bind(since).bind(limit).fetch_all(&mut *transaction).await?;
    if rows.len() > most {
        return Ok(None);
    }
    let kinds: Vec<(String, String, bool)> =
        sqlx::query_as(KINDS).bind(since).fetch_all(&mut *transaction).await?;
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

fn columns(row: &SqliteRow) -> Result<ArticleRow, StoreError> {
    Ok(ArticleRow {
        id: row.try_get(0)?,
        available: row.try_get(1)?,
        price: row.try_get(2)?,
        image_url: row.try_get(3)?,
        attributes: row.try_get(4)?,
    })
}

pub(super) async fn schema(connection: &mut SqliteConnection) -> Result<Schema, StoreError> {
    let rows: Vec<(String, String, bool)> =
        sqlx::query_as("SELECT name, kind, declared FROM attribute_kinds")
            .fetch_all(connection)
            .await?;
    Ok(Schema::new(rows))
}

/// Adds attributes to the schema, or changes the kind of those that are there, with the next
/// revision.
pub(super) async fn write_kinds(
    connection: &mut SqliteConnection,
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
    store: &Sqlite,
    name: &str,
    kind: AttributeKind,
) -> Result<(), StoreError> {
    const OTHERS: &str = "
        SELECT id FROM articles
        WHERE removed <> 2 AND EXISTS (
            SELECT 1 FROM json_each(articles.attributes) e
            WHERE e.key = $1
                AND CASE e.type WHEN 'integer' THEN 'number' WHEN 'real' THEN 'number' WHEN 'array' THEN 'texts' ELSE e.type END <> $2
        ) ORDER BY key LIMIT 1";
    let mut transaction = store.begin().await?;
    schema(&mut transaction).await?.admit_declaration(name, kind, &store.limits)?;
    let other: Option<String> = sqlx::query_scalar(OTHERS)
        .bind(name)
        .bind(kind.name())
        .fetch_optional(&mut *transaction)
        .await?;
    if let Some(article) = other {
        return Err(schema_errors::held_otherwise(&article, name, kind));
    }
    let revision = next_revision(&mut transaction).await?;
    write_kinds(&mut transaction, &[(name.to_owned(), kind)], true, revision).await?;
    advance_revision(&mut transaction, "catalogue").await?;
    store.commit(transaction).await
}

/// The number that the catalogue has after this transaction, if it changes the catalogue. Nobody
/// else can write.
pub(super) async fn next_revision(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    let next = "SELECT value + 1 FROM revisions WHERE name = 'catalogue'";
    Ok(sqlx::query_scalar(next).fetch_one(connection).await?)
}

pub(super) async fn put(store: &Sqlite, articles: &[ArticleRecord]) -> Result<(), StoreError> {
    let articles = checked_articles(articles, &store.limits)?;
    let mut transaction = store.begin().await?;
    let added = schema(&mut transaction).await?.admit(&articles, &store.limits)?;
    let revision = next_revision(&mut transaction).await?;
    write_kinds(&mut transaction, &added, false, revision).await?;
    let mut changed = 0;
    for page in articles.chunks(PAGE) {
        let available: Vec<_> = page.iter().map(|article| Some(article.available)).collect();
        changed +=
            write(&mut transaction, page, &available, Written { keep: false, revision }).await?;
    }
    if changed > 0 {
        advance_revision(&mut transaction, "catalogue").await?;
    }
    store.commit(transaction).await
}

/// [`write`] for articles of the shop's files: what these do not tell stays as it is in the
/// database.
pub(super) async fn write_imported(
    connection: &mut SqliteConnection,
    articles: &[ImportedArticle],
    revision: i64,
) -> Result<u64, StoreError> {
    let available = articles
        .iter()
        .map(|article| article.tells_availability.then_some(article.record.available));
    let records: Vec<&ArticleRecord> = articles.iter().map(|article| &article.record).collect();
    write(connection, &records, &available.collect::<Vec<_>>(), Written { keep: true, revision })
        .await
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
/// changed.
async fn write(
    connection: &mut SqliteConnection,
    articles: &[&ArticleRecord],
    available: &[Option<bool>],
    Written { keep, revision }: Written,
) -> Result<u64, StoreError> {
    // `WHERE true` tells the parser that ON belongs to the upsert, not to a join.
    const WRITE: &str = "
        INSERT INTO articles (id, available, price, image_url, attributes, changed)
        SELECT i.value ->> 'id', coalesce(i.value ->> 'available', a.available, 1), i.value ->> 'price',
            i.value ->> 'image_url', i.value -> 'attributes', $3
        FROM json_each($1) i LEFT JOIN articles a ON a.id = i.value ->> 'id' WHERE true ORDER BY i.key
        ON CONFLICT (id) DO UPDATE SET
            available = excluded.available,
            price = CASE WHEN $2 THEN coalesce(excluded.price, price) ELSE excluded.price END,
            image_url = CASE WHEN $2 THEN coalesce(excluded.image_url, image_url) ELSE excluded.image_url END,
            attributes = excluded.attributes, changed = excluded.changed, removed = 0
        WHERE attributes <> excluded.attributes OR available <> excluded.available OR removed <> 0
            OR NOT $2 AND (price, image_url) IS NOT (excluded.price, excluded.image_url)
            OR $2 AND (price, image_url)
                IS NOT (coalesce(excluded.price, price), coalesce(excluded.image_url, image_url))";
    #[derive(serde::Serialize)]
    struct Row<'a> {
        id: &'a str,
        available: Option<bool>,
        price: Option<f64>,
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
    Ok(sqlx::query(WRITE)
        .bind(json)
        .bind(keep)
        .bind(revision)
        .execute(connection)
        .await?
        .rows_affected())
}

pub(super) async fn set_available(
    store: &Sqlite,
    ids: &[ArticleId],
    available: bool,
) -> Result<Vec<ArticleId>, StoreError> {
    // What the latest import lacks is available again when somebody says so.
    const UPDATE: &str = "
        UPDATE articles SET available = $2, removed = CASE WHEN $2 THEN 0 ELSE removed END, changed = $3
        WHERE id IN (SELECT value FROM json_each($1)) AND removed <> 2 AND (available <> $2 OR $2 AND removed = 1)";
    let texts = json_ids(ids);
    let mut transaction = store.begin().await?;
    let unknown = unknown(&mut transaction, &texts).await?;
    let revision = next_revision(&mut transaction).await?;
    let update = sqlx::query(UPDATE).bind(&texts).bind(available).bind(revision);
    if update.execute(&mut *transaction).await?.rows_affected() > 0 {
        advance_revision(&mut transaction, "catalogue").await?;
    }
    store.commit(transaction).await?;
    Ok(unknown.into_iter().map(|n| ids[n as usize].clone()).collect())
}

pub(super) async fn delete(
    store: &Sqlite,
    ids: &[ArticleId],
) -> Result<Vec<ArticleId>, StoreError> {
    let texts = json_ids(ids);
    let mut transaction = store.begin().await?;
    let unknown = unknown(&mut transaction, &texts).await?;
    let revision = next_revision(&mut transaction).await?;
    if remove(&mut transaction, &texts, MissingArticles::Delete, revision).await? > 0 {
        advance_revision(&mut transaction, "catalogue").await?;
    }
    store.commit(transaction).await?;
    Ok(unknown.into_iter().map(|n| ids[n as usize].clone()).collect())
}

/// Positions among the ids (a JSON list) of those that the catalogue does not have.
async fn unknown(connection: &mut SqliteConnection, ids: &str) -> Result<Vec<i64>, StoreError> {
    const UNKNOWN: &str = "
        SELECT key FROM json_each($1) i
        WHERE NOT EXISTS (SELECT 1 FROM articles a WHERE a.id = i.value AND a.removed <> 2) ORDER BY key";
    Ok(sqlx::query_scalar(UNKNOWN).bind(ids).fetch_all(connection).await?)
}

/// Takes articles (a JSON list of ids) out of the catalogue or of sale; answers how many rows
/// changed.
async fn remove(
    connection: &mut SqliteConnection,
    ids: &str,
    how: MissingArticles,
    revision: i64,
) -> Result<u64, StoreError> {
    const WITHDRAW: &str = "
        UPDATE articles SET removed = 1, changed = $2 WHERE id IN (SELECT value FROM json_each($1)) AND removed = 0";
    const DELETE: &str = "
        UPDATE articles
        SET removed = 2, available = 1, price = NULL, image_url = NULL, attributes = '{}', changed = $2
        WHERE id IN (SELECT value FROM json_each($1)) AND removed <> 2";
    let statement = match how {
        MissingArticles::Keep => return Ok(0),
        MissingArticles::Unavailable => WITHDRAW,
        MissingArticles::Delete => DELETE,
    };
    Ok(sqlx::query(statement).bind(ids).bind(revision).execute(connection).await?.rows_affected())
}

/// [`remove`] for articles that are not in an import; answers how many rows changed.
pub(super) async fn remove_missing(
    connection: &mut SqliteConnection,
    missing: &MissingFrom<'_>,
    revision: i64,
) -> Result<u64, StoreError> {
    let ids: Vec<String> = sqlx::query_scalar("SELECT id FROM articles WHERE removed <> 2")
        .fetch_all(&mut *connection)
        .await?;
    let ids: Vec<&str> = ids.iter().map(String::as_str).filter(|id| missing.lacks(id)).collect();
    let mut changed = 0;
    for page in ids.chunks(PAGE) {
        let page = serde_json::to_string(page).expect("ids are plain text");
        changed += remove(connection, &page, missing.how, revision).await?;
    }
    Ok(changed)
}
