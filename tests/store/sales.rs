//! What sells: counted by the database, old purchases less.

use crate::support::{self, Database};
use std::collections::BTreeMap;
use vitrine::{
    dataset::{Dataset, Entities, Purchases},
    domain::{CustomerId, Timestamp},
    store::{self, Import, SalesWindow},
};

/// A shop with these purchases of one customer, `(article, day)`.
fn shop(purchases: &[(&str, u32)]) -> Dataset {
    let entities =
        |ids: &[&str]| Entities { ids: ids.iter().copied().collect(), ..Entities::default() };
    let articles = entities(&["a", "b", "c", "d"]);
    let mut sorted = purchases.to_vec();
    sorted.sort_by_key(|&(_, day)| day);
    let purchases = Purchases {
        customer: vec![0; sorted.len()],
        article: sorted.iter().map(|(id, _)| articles.ids.find(id).unwrap()).collect(),
        time: sorted.iter().map(|&(_, day)| Timestamp(day * Timestamp::DAY)).collect(),
        ..Purchases::default()
    };
    Dataset { articles, customers: entities(&["somebody"]), purchases, ..Dataset::default() }
}

async fn import(db: &Database, fingerprint: &str, purchases: &[(&str, u32)]) {
    let dataset = shop(purchases);
    store::import(&db.url, &support::patient(), &Import::new(&dataset, fingerprint)).await.unwrap();
}

/// With a half-life of 10 days and a window of 100, on day `now`.
async fn sales(db: &Database, now: u32) -> BTreeMap<String, f32> {
    let window =
        SalesWindow { half_life_days: 10.0, days: 100, now: Timestamp(now * Timestamp::DAY) };
    let counted = db.store.sales(window).await.unwrap();
    counted
        .into_iter()
        .map(|article| (article.article.as_str().to_owned(), article.sales))
        .collect()
}

fn assert_close(found: &BTreeMap<String, f32>, expected: &[(&str, f32)]) {
    let ids: Vec<&str> = expected.iter().map(|(id, _)| *id).collect();
    assert_eq!(found.keys().collect::<Vec<_>>(), ids, "{found:?}");
    for (id, sales) in expected {
        // SQLite has no power function, its polynomial is within 0.2 %.
        assert!((found[*id] - sales).abs() < 0.005 * sales, "{id}: {} is not {sales}", found[*id]);
    }
}

pub async fn purchases_count_less_with_age(db: &Database) {
    assert!(sales(db, 9_999).await.is_empty(), "nothing was bought");
    import(
        db,
        "one",
        &[("a", 1_000), ("b", 1_000), ("b", 990), ("b", 985), ("c", 900), ("d", 901)],
    )
    .await;
    // Half a purchase after ten days, 2^-1.5 after fifteen, 2^-9.9 after 99; c is out of the
    // window.
    let expected = [("a", 1.0), ("b", 1.0 + 0.5 + 0.353_553), ("d", 0.001_046)];
    assert_close(&sales(db, 9_999).await, &expected);
    assert_close(&sales(db, 1_000).await, &expected);
}

pub async fn purchases_count_by_their_weight(db: &Database) {
    let mut dataset = shop(&[("a", 1_000), ("b", 1_000), ("b", 1_000)]);
    dataset.purchases.weight = vec![3.0, 1.0, 0.25];
    store::import(&db.url, &support::patient(), &Import::new(&dataset, "one")).await.unwrap();
    assert_close(&sales(db, 1_000).await, &[("a", 3.0), ("b", 1.25)]);
    let id = CustomerId::parse("somebody").unwrap();
    let customer = db.store.customer(&id, 10).await.unwrap().unwrap();
    let mut weights: Vec<f32> = customer.purchases.iter().map(|purchase| purchase.weight).collect();
    weights.sort_by(f32::total_cmp);
    assert_eq!(weights, [0.25, 1.0, 3.0]);
}

pub async fn a_date_in_the_future_makes_nothing_old(db: &Database) {
    import(db, "one", &[("a", 1_000), ("b", 990), ("c", 9_000)]).await;
    assert_close(&sales(db, 1_001).await, &[("a", 1.0), ("b", 0.5), ("c", 1.0)]);
}

pub async fn the_first_purchases_after_an_old_import_make_nothing_old(db: &Database) {
    let old = |count| vec![("a", 1_000); count];
    let new = [("b", 2_000), ("b", 2_001), ("c", 2_500)];
    import(db, "one", &[old(9_998), new.to_vec()].concat()).await;
    let expected = [("a", 9_998.0), ("b", 2.0), ("c", 1.0)];
    assert_close(&sales(db, 2_500).await, &expected);
    let window =
        SalesWindow { half_life_days: 10.0, days: 100, now: Timestamp(2_500 * Timestamp::DAY) };
    let log = db.store.purchases(window).await.unwrap();
    assert_eq!((log.purchases.len(), log.until), (10_001, Timestamp(1_000 * Timestamp::DAY + 1)));
    // A shop that goes on, or one too small to tell.
    import(db, "two", &[old(10_000), vec![("b", 2_000); 101]].concat()).await;
    assert_close(&sales(db, 2_500).await, &[("b", 101.0)]);
    import(db, "three", &[old(100), new.to_vec()].concat()).await;
    assert_close(&sales(db, 2_500).await, &[("c", 1.0)]);
}

pub async fn an_import_is_told_by_the_revision_of_purchases(db: &Database) {
    let before = db.store.revisions().await.unwrap();
    import(db, "one", &[("a", 1_000)]).await;
    let once = db.store.revisions().await.unwrap();
    assert_eq!(once.purchases, before.purchases + 1);
    import(db, "one", &[("a", 1_000)]).await;
    assert_eq!(db.store.revisions().await.unwrap(), once, "nothing was done");
    // The same articles: the purchases alone have changed.
    import(db, "two", &[("b", 1_000)]).await;
    let twice = db.store.revisions().await.unwrap();
    assert_eq!((twice.purchases, twice.catalogue), (once.purchases + 1, once.catalogue));
    assert_close(&sales(db, 1_000).await, &[("b", 1.0)]);
}

pub async fn purchases_are_read_with_running_numbers(db: &Database) {
    let window =
        SalesWindow { half_life_days: 10.0, days: 100, now: Timestamp(1_001 * Timestamp::DAY) };
    assert_eq!(db.store.purchases(window).await.unwrap().purchases, [], "nothing was bought");
    // c is out of the window, and d was bought in the future: at the latest moment, then.
    import(db, "one", &[("a", 1_000), ("b", 990), ("b", 985), ("c", 900), ("d", 9_000)]).await;
    let log = db.store.purchases(window).await.unwrap();
    let mut bought: Vec<(&str, u32, f32)> = log
        .purchases
        .iter()
        .map(|purchase| {
            (log.articles[purchase.article as usize].as_str(), purchase.at.day(), purchase.weight)
        })
        .collect();
    bought.sort_by(|a, b| a.0.cmp(b.0).then(a.1.cmp(&b.1)));
    assert_eq!(bought, [("a", 1_000, 1.0), ("b", 985, 1.0), ("b", 990, 1.0), ("d", 1_000, 1.0)]);
    assert!(log.purchases.iter().all(|purchase| purchase.customer == log.purchases[0].customer));
    assert_eq!(log.until, Timestamp(1_000 * Timestamp::DAY + 1));
}
