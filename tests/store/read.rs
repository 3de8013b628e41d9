//! Reading the whole shop as a data set: what an import wrote and events told, as of one moment.

use crate::support::{self, Database, postgres};
use std::collections::BTreeMap;
use vitrine::{
    dataset::{
        Column, Dataset, LoadOptions, TimeUnit, Values,
        generate::{Generator, ShopSize},
        load,
    },
    domain::{ArticleId, CustomerId, VisitorId},
    store::{
        self, Counting, EventItem, Import, Millis, NewEvent, ReadOptions, ReadReport, Retention,
        StoreError,
    },
};

const SHOP: ShopSize =
    ShopSize { articles: 300, customers: 500, transactions: 5_000, days: 60, seed: 7 };

/// A generated shop as its files give it.
fn shop() -> Dataset {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("shop");
    Generator::new(SHOP).unwrap().write(&folder, false).unwrap();
    load(&folder, &LoadOptions::default()).unwrap().0
}

async fn import(db: &Database, dataset: &Dataset) {
    let fingerprint = dataset.fingerprint();
    store::import(&db.url, &support::patient(), &Import::new(dataset, &fingerprint)).await.unwrap();
}

async fn read(db: &Database) -> (Dataset, ReadReport) {
    read_with(db, &ReadOptions::default()).await
}

async fn read_with(db: &Database, options: &ReadOptions) -> (Dataset, ReadReport) {
    store::read_dataset(&db.url, &support::patient(), options).await.unwrap()
}

/// A column by the ids of its rows, as text.
fn cells(ids: &[&str], column: &Column) -> BTreeMap<String, String> {
    let cell = |row: usize| match &column.values {
        Values::Number(numbers) if numbers[row].is_nan() => "missing".to_owned(),
        Values::Number(numbers) => numbers[row].to_string(),
        Values::Integer(numbers) => numbers[row].to_string(),
        values @ Values::Tags { .. } => values.tags(row).collect::<Vec<_>>().join("|"),
        values @ Values::Category { .. } => values.category(row).unwrap_or("missing").to_owned(),
    };
    ids.iter().enumerate().map(|(row, id)| ((*id).to_owned(), cell(row))).collect()
}

/// Ids with their values, and lines of purchases.
type Content = (Vec<(String, BTreeMap<String, String>)>, Vec<String>, TimeUnit);

/// Everything in a data set that does not depend on the order of rows.
fn content(dataset: &Dataset) -> Content {
    let mut columns = Vec::new();
    for (kind, entities) in [("article", &dataset.articles), ("customer", &dataset.customers)] {
        let ids: Vec<&str> = entities.ids.iter().collect();
        let named = |column: &Column| (format!("{kind} {}", column.name), cells(&ids, column));
        columns.extend(entities.columns.iter().map(named));
        columns.push((
            kind.to_owned(),
            ids.iter().map(|id| ((*id).to_owned(), String::new())).collect(),
        ));
    }
    columns.sort();
    let purchases = &dataset.purchases;
    let purchase = |row: usize| {
        let customer = dataset.customers.ids.get(purchases.customer[row]);
        let article = dataset.articles.ids.get(purchases.article[row]);
        let (time, millis) = purchases.moment_of(row as u32);
        let (price, channel) = (purchases.price.get(row), purchases.channel.get(row));
        format!(
            "{time}.{millis} {customer} {article} {price:?} {channel:?} {}",
            purchases.weight_of(row as u32)
        )
    };
    let mut rows: Vec<String> = (0..purchases.len()).map(purchase).collect();
    rows.sort();
    (columns, rows, dataset.time_unit)
}

fn event(id: &str, kind: &str, customer: &str, item: (&str, f32)) -> NewEvent {
    let (retention, counting) = match kind {
        "purchase" => (Retention::Facts, Counting::Adds),
        "return" => (Retention::Facts, Counting::Takes),
        _ => (Retention::Actions, Counting::Nothing),
    };
    let article = ArticleId::parse(item.0).unwrap();
    NewEvent {
        event_id: id.to_owned(),
        kind: kind.to_owned(),
        retention,
        at: Millis::now(),
        customer: CustomerId::parse(customer).ok(),
        visitor: None,
        order_id: None,
        currency: None,
        counting,
        items: vec![EventItem {
            article,
            quantity: item.1,
            price: Some(12.5),
            line: None,
            origin: None,
        }],
    }
}

pub async fn a_database_gives_what_was_imported(db: &Database) {
    let files = shop();
    import(db, &files).await;
    let (dataset, report) = read(db).await;
    assert_eq!(content(&dataset), content(&files));
    assert_eq!((report.imported, report.told, report.left_out), (files.purchases.len(), 0, 0));
    // The order is that of the database, whatever it is asked.
    assert_eq!(read(db).await.0.fingerprint(), dataset.fingerprint());
}

pub async fn an_exported_database_is_imported_equal(db: &Database) {
    import(db, &shop()).await;
    let (dataset, _) = read(db).await;
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("shop");
    dataset.write_parquet(&folder).unwrap();
    let (files, _) =
        load(&folder, &LoadOptions { strict: true, ..LoadOptions::default() }).unwrap();
    assert_eq!(files.fingerprint(), dataset.fingerprint());
    // Nothing is left to differ between a training on the files and one on the database they are
    // imported into.
    let other = Database::sqlite().await;
    import(&other, &files).await;
    assert_eq!(read(&other).await.0.fingerprint(), dataset.fingerprint());
}

pub async fn told_purchases_are_read_beside_imported_ones(db: &Database) {
    let files = shop();
    import(db, &files).await;
    let (lamp, sofa) = (files.articles.ids.get(0), files.articles.ids.get(1));
    let ann = files.customers.ids.get(0);
    let mut later = event("3", "purchase", "", (lamp, 1.0));
    later.visitor = VisitorId::parse("v1").ok();
    let events = [
        event("1", "purchase", ann, (lamp, 2.0)),
        event("2", "purchase", "somebody new", (sofa, 1.0)),
        later,
        event("4", "purchase", ann, ("not in the catalogue", 1.0)),
        event("5", "view", ann, (sofa, 1.0)),
        event("6", "return", "somebody new", (sofa, 1.0)),
    ];
    db.store.add_events(&events).await.unwrap();
    let (dataset, report) = read(db).await;
    assert_eq!((report.told, report.returned, report.actions), (3, 1, 0));
    assert_eq!((report.visitors, report.of_nobody, report.of_unknown_articles), (1, 0, 1));
    let told = files.purchases.len()..dataset.purchases.len();
    let told = told.map(|row| {
        let buyer = dataset.customers.ids.get(dataset.purchases.customer[row]);
        (buyer.starts_with("visitor:"), buyer == ann, dataset.purchases.weight_of(row as u32))
    });
    assert_eq!(told.collect::<Vec<_>>(), [(false, true, 2.0), (true, false, 1.0)]);
    assert!(dataset.customers.ids.find("somebody new").is_some());
    assert!(dataset.customers.ids.find("v1").is_none(), "no bundle may hold the id of a browser");
    // A visitor who turns out to be a customer brings the purchase along.
    db.store
        .merge_visitor(&VisitorId::parse("v1").unwrap(), &CustomerId::parse(ann).unwrap())
        .await
        .unwrap();
    let weights = [("purchase".to_owned(), 1.0), ("view".to_owned(), 0.25)].into();
    let options = ReadOptions { events: weights, ..ReadOptions::default() };
    let (dataset, report) = read_with(db, &options).await;
    assert_eq!((report.told, report.actions, report.visitors), (3, 1, 0));
    assert_eq!(dataset.purchases.weight.iter().filter(|&&weight| weight == 0.25).count(), 1);
}

pub async fn what_is_sold_out_or_deleted_is_told(db: &Database) {
    let files = shop();
    import(db, &files).await;
    let ids = [files.articles.ids.get(3), files.articles.ids.get(7)]
        .map(|id| ArticleId::parse(id).unwrap());
    db.store.set_available(&ids[..1], false).await.unwrap();
    db.store.delete_articles(&ids[1..]).await.unwrap();
    let (dataset, _) = read(db).await;
    assert_eq!(
        dataset.purchases.len(),
        files.purchases.len(),
        "deleted articles keep their purchases"
    );
    let available = &dataset.articles.column("available").unwrap().values;
    let off = (0..dataset.articles.len()).filter(|&row| available.number(row) == Some(0.0));
    let off: Vec<&str> = off.map(|row| dataset.articles.ids.get(row as u32)).collect();
    let mut expected = ids.each_ref().map(ArticleId::as_str);
    expected.sort_by_key(|id| dataset.articles.ids.find(id));
    assert_eq!(off, expected);
}

pub async fn an_empty_shop_is_read(db: &Database) {
    let (dataset, report) = read(db).await;
    assert_eq!((dataset.articles.len(), dataset.purchases.len(), report.told), (0, 0, 0));
}

#[tokio::test]
async fn a_reader_sees_one_moment_whatever_happens_meanwhile() {
    let db = Database::postgres().await;
    let files = shop();
    import(&db, &files).await;
    let before = read(&db).await.0.fingerprint();
    // The reader waits for the lock that this import of other data holds, and then sees all of it
    // or nothing.
    let lock = support::hold_lock(&db.url, "LOCK TABLE purchases IN ACCESS EXCLUSIVE MODE").await;
    let url = db.url.clone();
    let reading = tokio::spawn(async move {
        store::read_dataset(&url, &support::patient(), &ReadOptions::default())
            .await
            .unwrap()
            .0
            .fingerprint()
    });
    while support::texts(&db.url, support::BLOCKED).await.is_empty() {
        tokio::task::yield_now().await;
    }
    db.store
        .add_events(&[event("1", "purchase", "new", (files.articles.ids.get(0), 1.0))])
        .await
        .unwrap();
    drop(lock);
    let after = reading.await.unwrap();
    assert_ne!(after, before, "the moment is that of the first query, behind the lock");
    assert_eq!(after, read(&db).await.0.fingerprint());
}

#[tokio::test]
async fn a_database_that_stops_ends_the_reading() {
    let cluster = postgres::Cluster::start();
    let url = cluster.database();
    store::migrate(&url, &support::patient()).await.unwrap();
    // A lock holds the reader in the middle: its connection is open, and nothing has been read.
    let lock = support::hold_lock(&url, "LOCK TABLE events IN ACCESS EXCLUSIVE MODE").await;
    let reading = {
        let url = url.clone();
        tokio::spawn(async move {
            store::read_dataset(&url, &support::patient(), &ReadOptions::default()).await
        })
    };
    while support::texts(&url, support::BLOCKED).await.is_empty() {
        tokio::task::yield_now().await;
    }
    cluster.stop();
    drop(lock);
    let error = reading.await.unwrap().unwrap_err();
    assert!(error.is_transient(), "{error}");
    let away =
        store::read_dataset(&url, &support::patient(), &ReadOptions::default()).await.unwrap_err();
    assert!(matches!(away, StoreError::Unavailable(_)), "{away}");
}
