//! Bulk import: complete, repeated, interrupted, replaced.

use crate::support::{self, Database};
use std::{collections::BTreeMap, pin::pin};
use vitrine::{
    dataset::{Column, Dataset, Entities, MISSING, Purchases, TimeUnit, Values},
    domain::{ArticleId, AttributeKind, CustomerId, Number, Timestamp},
    store::{
        self, ArticleChange, AttributeValue, Counting, CustomerRecord, EventItem, Import, Millis,
        MissingArticles, NewEvent, Outcome, Person, Retention, StoreError,
    },
};

const DAY: u32 = Timestamp::DAY;

/// A small shop: articles named so that neither file order nor text order is the order of ids.
fn shop(articles: u32, customers: u32, purchases: u32) -> Dataset {
    let ids =
        |prefix: &str, n: u32| (0..n).rev().map(|i| format!("{prefix}{i}")).collect::<Vec<_>>();
    let article_ids = ids("", articles);
    let customer_ids = ids("c", customers);
    let colours = ["red", "grün"];
    let colour = Values::Category {
        codes: (0..articles).map(|a| if a % 3 == 2 { MISSING } else { a % 3 }).collect(),
        dictionary: colours.into_iter().collect(),
    };
    let size = Values::Number(
        (0..articles).map(|a| if a % 2 == 0 { a as f32 + 0.1 } else { f32::NAN }).collect(),
    );
    let tags = Values::Tags {
        offsets: (0..=articles).map(|a| a.min(2)).collect(),
        codes: vec![1, 0],
        dictionary: ["new", "sale"].into_iter().collect(),
    };
    let age = Values::Number((0..customers).map(|c| 20.0 + c as f32).collect());
    let column = |name: &str, values| Column { name: name.into(), values };
    // A fixed walk through customers and articles, sorted by time; every fifth purchase repeats the
    // one before.
    let step = |n: u32| n - n % 5 / 4;
    Dataset {
        articles: Entities {
            ids: article_ids.iter().map(String::as_str).collect(),
            columns: vec![column("colour", colour), column("size", size), column("tags", tags)],
            vectors: Vec::new(),
        },
        customers: Entities {
            ids: customer_ids.iter().map(String::as_str).collect(),
            columns: vec![column("age", age)],
            vectors: Vec::new(),
        },
        purchases: Purchases {
            customer: (0..purchases).map(|n| step(n) * 7 % customers).collect(),
            article: (0..purchases).map(|n| step(n) * 11 % articles).collect(),
            time: (0..purchases).map(|n| Timestamp(DAY * (18_000 + n / 20))).collect(),
            price: (0..purchases)
                .map(|n| if n % 4 == 3 { f32::NAN } else { n as f32 / 8.0 })
                .collect(),
            channel: (0..purchases).map(|n| (n % 3) as u8).collect(),
            ..Purchases::default()
        },
        time_unit: TimeUnit::Day,
    }
}

/// What the database should answer: computed from the dataset the plain way.
fn expected(dataset: &Dataset) -> BTreeMap<String, Vec<(String, u32)>> {
    let mut histories: BTreeMap<String, Vec<(String, u32)>> =
        dataset.customers.ids.iter().map(|id| (id.to_owned(), Vec::new())).collect();
    for row in 0..dataset.purchases.len() {
        let purchases = &dataset.purchases;
        let customer = dataset.customers.ids.get(purchases.customer[row]);
        let article = dataset.articles.ids.get(purchases.article[row]).to_owned();
        histories.get_mut(customer).unwrap().push((article, purchases.time[row].0));
    }
    for history in histories.values_mut() {
        // Newest first; within a moment the reverse of the order by id, which is by number here.
        history
            .sort_by_key(|(article, at)| std::cmp::Reverse((*at, article.parse::<u64>().unwrap())));
    }
    histories
}

async fn customer(db: &Database, id: &str, limit: usize) -> CustomerRecord {
    db.store
        .customer(&CustomerId::parse(id).unwrap(), limit)
        .await
        .unwrap()
        .expect("the customer is there")
}

async fn assert_holds(db: &Database, dataset: &Dataset) {
    for (id, history) in expected(dataset) {
        let found = customer(db, &id, usize::MAX).await;
        let found: Vec<_> =
            found.purchases.iter().map(|p| (p.article.to_string(), p.at.0)).collect();
        assert_eq!(found, history, "customer {id}");
    }
}

async fn run(db: &Database, dataset: &Dataset, batch: usize) -> Result<Outcome, StoreError> {
    let fingerprint = dataset.fingerprint();
    let import = Import { batch, ..Import::new(dataset, &fingerprint) };
    store::import(&db.url, &support::patient(), &import).await
}

async fn complete(db: &Database, dataset: &Dataset, batch: usize) -> store::Report {
    match run(db, dataset, batch).await.unwrap() {
        Outcome::Complete(report) => report,
        Outcome::AlreadyComplete => panic!("the import had nothing to do"),
    }
}

pub async fn everything_arrives(db: &Database) {
    let dataset = shop(40, 17, 600);
    let report = complete(db, &dataset, 100).await;
    assert_eq!(
        (report.articles, report.customers, report.purchases, report.resumed),
        (40, 17, 600, 0)
    );
    assert_holds(db, &dataset).await;

    // Row 0 is article 39: colour 0, size 0.1, the tag `sale`; it was last sold for what its last
    // row says.
    let found = db.store.articles(&[ArticleId::parse("39").unwrap()]).await.unwrap().remove(0);
    let purchases = &dataset.purchases;
    let last = (0..600)
        .rev()
        .find(|&n| purchases.article[n] == 0 && !purchases.price[n].is_nan())
        .unwrap();
    assert_eq!(found.price, Some(f64::from(purchases.price[last])));
    assert!(found.available);
    let text = |text: &str| AttributeValue::Text(text.into());
    let attributes = [
        ("colour", text("red")),
        ("size", AttributeValue::Number(Number::Decimal(0.1))),
        ("tags", AttributeValue::Tags(vec!["sale".into()])),
    ];
    assert_eq!(found.attributes, attributes.map(|(name, value)| (name.to_owned(), value)).into());
    // Row 5 misses all three.
    let found = db.store.articles(&[ArticleId::parse("34").unwrap()]).await.unwrap().remove(0);
    assert_eq!(found.attributes, BTreeMap::new());
    assert_eq!(
        customer(db, "c16", 0).await.attributes["age"],
        AttributeValue::Number(Number::Integer(20))
    );
}

pub async fn purchases_come_newest_first_up_to_the_limit(db: &Database) {
    let dataset = shop(40, 3, 600);
    complete(db, &dataset, 1_000).await;
    let all = customer(db, "c1", usize::MAX).await.purchases;
    assert_eq!(all.len(), expected(&dataset)["c1"].len());
    for limit in [0, 1, 2, 7, all.len() - 1, all.len(), all.len() + 1] {
        assert_eq!(
            customer(db, "c1", limit).await.purchases,
            all[..limit.min(all.len())],
            "limit {limit}"
        );
    }
}

pub async fn a_customer_without_purchases_is_known(db: &Database) {
    let mut dataset = shop(5, 3, 30);
    dataset.purchases.customer.fill(0);
    complete(db, &dataset, 10).await;
    let found = customer(db, "c0", 10).await;
    assert_eq!(found.purchases, []);
    assert_eq!(found.attributes["age"], AttributeValue::Number(Number::Integer(22)));
    assert_eq!(customer(db, "c2", 100).await.purchases.len(), 30);
}

pub async fn a_second_run_changes_nothing(db: &Database) {
    let dataset = shop(20, 9, 200);
    complete(db, &dataset, 50).await;
    let revisions = db.store.revisions().await.unwrap();
    assert_eq!(run(db, &dataset, 50).await.unwrap(), Outcome::AlreadyComplete);
    assert_eq!(db.store.revisions().await.unwrap(), revisions);
    assert_holds(db, &dataset).await;
}

pub async fn other_data_replaces_purchases_and_keeps_decisions(db: &Database) {
    let first = shop(20, 9, 200);
    complete(db, &first, 50).await;
    let id = ArticleId::parse("7").unwrap();
    db.store.set_available(std::slice::from_ref(&id), false).await.unwrap();
    let mut kept = db.store.articles(std::slice::from_ref(&id)).await.unwrap().remove(0);
    kept.image_url = Some("https://shop.example/7.jpg".into());
    db.store.put_articles(std::slice::from_ref(&kept)).await.unwrap();
    let version = db.store.catalogue_version().await.unwrap();

    // More articles and customers, other purchases; nobody bought anything for a price.
    let mut second = shop(25, 12, 90);
    second.purchases.price = vec![f32::NAN; 90];
    complete(db, &second, 50).await;
    assert_holds(db, &second).await;
    assert_eq!(db.store.catalogue().await.unwrap().len(), 25);
    assert_eq!(
        db.store.catalogue_version().await.unwrap(),
        version + 1,
        "the catalogue changed once"
    );
    let found = db.store.articles(std::slice::from_ref(&id)).await.unwrap().remove(0);
    assert_eq!(
        (found.available, found.price, found.image_url),
        (false, kept.price, kept.image_url)
    );

    // And back again: the first data is no longer what the database holds.
    complete(db, &first, 50).await;
    assert_holds(db, &first).await;
}

/// Whoever reads while an import runs sees the purchases of before or of after, never some of both.
pub async fn readers_see_all_or_nothing_of_an_import(db: &Database) {
    let first = shop(20, 9, 200);
    complete(db, &first, 50).await;
    let second = shop(20, 9, 400);
    let (old, new) = (expected(&first)["c1"].len(), expected(&second)["c1"].len());
    let mut importing = pin!(run(db, &second, 1));
    let mut seen = vec![customer(db, "c1", usize::MAX).await.purchases.len()];
    loop {
        tokio::select! {
            biased;
            done = &mut importing => { done.unwrap(); break }
            found = customer(db, "c1", usize::MAX) => seen.push(found.purchases.len()),
        }
    }
    seen.push(customer(db, "c1", usize::MAX).await.purchases.len());
    assert!(
        seen.is_sorted() && seen[0] == old && seen.iter().all(|&n| n == old || n == new),
        "{seen:?}"
    );
    assert_holds(db, &second).await;
}

/// An import that fails at one point after the other goes on where it stood, and until its end
/// readers see the old data.
pub async fn an_interrupted_import_goes_on(db: &Database) {
    let first = shop(10, 5, 60);
    complete(db, &first, 1_000).await;
    let old = customer(db, "c1", usize::MAX).await.purchases;
    let dataset = shop(40, 17, 600);
    for failing in
        ["articles > 0", "customers > 4", "purchases > 0", "purchases > 200", "purchases > 550"]
    {
        fail_when(db, failing).await;
        assert!(run(db, &dataset, 25).await.is_err(), "{failing}");
        assert_eq!(customer(db, "c1", usize::MAX).await.purchases, old, "{failing}");
        stop_failing(db).await;
    }
    let Outcome::Complete(report) = run(db, &dataset, 25).await.unwrap() else {
        panic!("nothing was left to do")
    };
    assert!(report.resumed > 550 && report.articles + report.customers == 0, "{report:?}");
    assert_holds(db, &dataset).await;
    assert_eq!(run(db, &dataset, 25).await.unwrap(), Outcome::AlreadyComplete);
}

/// From now on the database refuses progress for which the condition holds.
async fn fail_when(db: &Database, condition: &str) {
    let statement = if db.url.starts_with("sqlite") {
        format!(
            "CREATE TRIGGER failing BEFORE UPDATE ON import_progress WHEN NEW.{condition}
             BEGIN SELECT RAISE(ABORT, 'failing'); END"
        )
    } else {
        format!(
            "ALTER TABLE import_progress ADD CONSTRAINT failing CHECK (NOT ({condition})) NOT VALID"
        )
    };
    support::execute(&db.url, &statement).await;
}

async fn stop_failing(db: &Database) {
    let sqlite = db.url.starts_with("sqlite");
    let statement = if sqlite {
        "DROP TRIGGER failing"
    } else {
        "ALTER TABLE import_progress DROP CONSTRAINT failing"
    };
    support::execute(&db.url, statement).await;
}

pub async fn of_two_imports_one_stops(db: &Database) {
    let dataset = shop(40, 17, 600);
    let (one, other) = tokio::join!(run(db, &dataset, 20), run(db, &dataset, 20));
    let ended: Vec<_> = [&one, &other].into_iter().filter(|outcome| outcome.is_ok()).collect();
    assert!(!ended.is_empty(), "{one:?} {other:?}");
    for outcome in [&one, &other] {
        if let Err(error) = outcome {
            let busy = matches!(error, StoreError::Refused(why) if why.contains("another import"));
            assert!(busy || error.is_transient(), "{error}");
        }
    }
    assert_holds(db, &dataset).await;
}

pub async fn empty_data_is_imported(db: &Database) {
    complete(db, &shop(10, 4, 50), 10).await;
    let mut dataset = shop(10, 4, 50);
    dataset.purchases = Purchases::default();
    complete(db, &dataset, 10).await;
    assert_holds(db, &dataset).await;
}

pub async fn values_a_database_cannot_hold_are_refused(db: &Database) {
    let mut dataset = shop(10, 4, 50);
    let dictionary = ["a\0b"].into_iter().collect();
    dataset.articles.columns[0].values = Values::Category { codes: vec![0; 10], dictionary };
    let error = run(db, &dataset, 10).await.unwrap_err();
    assert!(matches!(&error, StoreError::BadArticle(why) if why.contains("`colour`")), "{error}");
    assert_eq!(db.store.catalogue().await.unwrap(), []);
}

pub async fn weights_and_milliseconds_are_stored(db: &Database) {
    let mut dataset = shop(5, 1, 0);
    let articles = [0, 1, 0, 2, 0];
    dataset.purchases = Purchases {
        customer: vec![0; 5],
        article: articles.to_vec(),
        time: vec![Timestamp(DAY * 18_000); 5],
        weight: vec![1.0, 0.25, 3.0, 1.0, 1.0],
        // One article comes back within a second, with another between.
        millis: vec![0, 5, 10, 700, 999],
        ..Purchases::default()
    };
    complete(db, &dataset, 2).await;
    let newest_first: Vec<&str> =
        articles.iter().rev().map(|&article| dataset.articles.ids.get(article)).collect();
    let found = customer(db, "c0", 5).await.purchases;
    assert_eq!(
        found.iter().map(|purchase| purchase.article.as_str()).collect::<Vec<_>>(),
        newest_first
    );
    assert_eq!(customer(db, "c0", 2).await.purchases, found[..2]);
    let weights = "SELECT CAST(coalesce(weight, 1) AS text) FROM purchases ORDER BY 1";
    let found: Vec<f32> =
        support::texts(&db.url, weights).await.iter().map(|text| text.parse().unwrap()).collect();
    assert_eq!(found, [0.25, 1.0, 1.0, 1.0, 3.0]);
}

pub async fn availability_is_taken_from_files_that_tell_it(db: &Database) {
    let first = shop(3, 1, 5);
    complete(db, &first, 50).await;
    let ids: Vec<ArticleId> = ["2", "1", "0"].map(|id| ArticleId::parse(id).unwrap()).to_vec();
    db.store.set_available(&ids[2..], false).await.unwrap();

    // Rows 0 to 2 are the articles 2, 1 and 0; of the last the files do not tell.
    let mut second = shop(4, 1, 6);
    second.articles.ids = ["2", "1", "0", "new"].into_iter().collect();
    let available = Values::Number(vec![0.0, 1.0, f32::NAN, f32::NAN]);
    second.articles.columns.push(Column { name: "available".into(), values: available });
    complete(db, &second, 50).await;
    let mut found = BTreeMap::new();
    for article in db.store.catalogue().await.unwrap() {
        assert!(!article.attributes.contains_key("available"), "{article:?}");
        found.insert(article.id.to_string(), article.available);
    }
    let expected = [("2", false), ("1", true), ("0", false), ("new", true)];
    assert_eq!(found, expected.map(|(id, available)| (id.to_owned(), available)).into());
}

async fn availability(db: &Database) -> BTreeMap<String, bool> {
    let articles = db.store.catalogue().await.unwrap();
    articles.into_iter().map(|article| (article.id.to_string(), article.available)).collect()
}

fn expect(articles: &[(&str, bool)]) -> BTreeMap<String, bool> {
    articles.iter().map(|(id, available)| ((*id).to_owned(), *available)).collect()
}

pub async fn articles_that_an_import_lacks_are_unavailable_until_it_has_them(db: &Database) {
    complete(db, &shop(4, 1, 5), 50).await;
    let sold_out = ArticleId::parse("3").unwrap();
    db.store.set_available(std::slice::from_ref(&sold_out), false).await.unwrap();
    let version = db.store.catalogue_version().await.unwrap();
    let report = complete(db, &shop(2, 1, 6), 50).await;
    assert_eq!(report.missing, 2);
    assert_eq!(
        availability(db).await,
        expect(&[("0", true), ("1", true), ("2", false), ("3", false)])
    );
    assert_eq!(db.store.catalogue_version().await.unwrap(), version + 1);
    let changes = db.store.catalogue_changes(version, 10).await.unwrap().unwrap();
    let withdrawn = |change: &&ArticleChange| matches!(change, ArticleChange::Put(article) if !article.available);
    assert_eq!(changes.articles.iter().filter(withdrawn).count(), 2, "{changes:?}");
    // An operator's decision outlives that the files did not have the article; that the files have
    // it again counts.
    complete(db, &shop(4, 1, 7), 50).await;
    assert_eq!(
        availability(db).await,
        expect(&[("0", true), ("1", true), ("2", true), ("3", false)])
    );
    complete(db, &shop(2, 1, 8), 50).await;
    let back = ArticleId::parse("2").unwrap();
    assert!(db.store.set_available(&[back], true).await.unwrap().is_empty());
    assert!(availability(db).await["2"]);
}

pub async fn what_becomes_of_missing_articles_is_an_option(db: &Database) {
    complete(db, &shop(4, 1, 8), 50).await;
    let (url, patient) = (&db.url, support::patient());
    let second = shop(3, 1, 6);
    for (fingerprint, missing, expected) in [
        ("keep", MissingArticles::Keep, &[("0", true), ("1", true), ("2", true), ("3", true)][..]),
        ("delete", MissingArticles::Delete, &[("0", true), ("1", true), ("2", true)][..]),
    ] {
        let import = Import { missing, ..Import::new(&second, fingerprint) };
        let Outcome::Complete(report) = store::import(url, &patient, &import).await.unwrap() else {
            panic!()
        };
        assert_eq!(report.missing, usize::from(missing == MissingArticles::Delete));
        assert_eq!(availability(db).await, expect(expected));
    }
    // Purchases that keep the id of a deleted article.
    let all: Vec<ArticleId> = ["0", "1", "2"].map(|id| ArticleId::parse(id).unwrap()).to_vec();
    db.store.delete_articles(&all).await.unwrap();
    assert_eq!(availability(db).await, expect(&[]));
    assert_eq!(customer(db, "c0", 10).await.purchases.len(), 6);
    complete(db, &shop(4, 1, 5), 50).await;
    assert_eq!(
        availability(db).await,
        expect(&[("0", true), ("1", true), ("2", true), ("3", true)])
    );
}

pub async fn columns_decide_kinds_but_for_declared_ones(db: &Database) {
    complete(db, &shop(4, 1, 5), 50).await;
    let kinds = db.store.schema().await.unwrap().kinds();
    let found = ["colour", "size", "tags", "price"].map(|name| kinds[name]);
    use AttributeKind::{Number as Numbers, Text, Texts};
    assert_eq!(found, [Text, Numbers, Texts, Numbers]);
    let mut second = shop(4, 1, 6);
    second.articles.columns[1].values =
        Values::Category { codes: vec![0; 4], dictionary: ["M"].into_iter().collect() };
    complete(db, &second, 50).await;
    assert_eq!(db.store.schema().await.unwrap().kind("size"), Some(Text));
    db.store.declare_attribute("size", Text).await.unwrap();
    let version = db.store.catalogue_version().await.unwrap();
    let error = run(db, &shop(4, 1, 7), 50).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Refused(why) if why.contains("`size` holds a number")),
        "{error}"
    );
    assert_eq!(db.store.catalogue_version().await.unwrap(), version);
}

pub async fn whole_numbers_arrive_exactly(db: &Database) {
    let mut dataset = shop(3, 1, 5);
    let eans = vec![4_006_381_333_931, vitrine::dataset::NO_INTEGER, 16_777_217];
    dataset.articles.columns.push(Column { name: "ean".into(), values: Values::Integer(eans) });
    complete(db, &dataset, 50).await;
    let mut found = BTreeMap::new();
    for article in db.store.catalogue().await.unwrap() {
        found.insert(article.id.to_string(), article.attributes.get("ean").cloned());
    }
    let number = |integer| Some(AttributeValue::Number(Number::Integer(integer)));
    let expected = [("2", number(4_006_381_333_931)), ("1", None), ("0", number(16_777_217))];
    assert_eq!(found, expected.map(|(id, ean)| (id.to_owned(), ean)).into());
}

/// A purchase that is told, made so many seconds after noon of the shop's last day.
fn told(dataset: &Dataset, id: &str, row: usize, seconds: i64) -> NewEvent {
    let purchases = &dataset.purchases;
    let day = i64::from(purchases.time[row].day());
    let article = ArticleId::parse(dataset.articles.ids.get(purchases.article[row])).unwrap();
    NewEvent {
        event_id: id.into(),
        kind: "purchase".into(),
        retention: Retention::Facts,
        at: Millis((day * 86_400 + 43_200 + seconds) * 1_000),
        customer: Some(
            CustomerId::parse(dataset.customers.ids.get(purchases.customer[row])).unwrap(),
        ),
        visitor: None,
        order_id: None,
        currency: None,
        counting: Counting::Adds,
        items: vec![EventItem { article, quantity: 1.0, price: None, line: None, origin: None }],
    }
}

pub async fn a_told_purchase_that_the_files_hold_counts_once(db: &Database) {
    let dataset = shop(40, 17, 600);
    // The row is known by the day only; the other event is of two days later.
    let events = [told(&dataset, "1", 599, 0), told(&dataset, "2", 599, 2 * 86_400)];
    db.store.add_events(&events).await.unwrap();
    let id = dataset.customers.ids.get(dataset.purchases.customer[599]);
    assert_eq!(customer(db, id, 9).await.purchases.len(), 2);
    complete(db, &dataset, 100).await;
    let imported = expected(&dataset)[id].len();
    assert_eq!(customer(db, id, 1_000).await.purchases.len(), imported + 1);
    // Files without that day: what was told counts again.
    let earlier = shop(40, 17, 300);
    complete(db, &earlier, 100).await;
    let imported = expected(&earlier)[id].len();
    assert_eq!(customer(db, id, 1_000).await.purchases.len(), imported + 2);
}

pub async fn an_erased_customer_is_not_imported_again(db: &Database) {
    let dataset = shop(40, 17, 600);
    complete(db, &dataset, 100).await;
    let id = CustomerId::parse("c3").unwrap();
    let erasure = db.store.erase(&Person::Customer(id.clone())).await.unwrap();
    assert_eq!(erasure.purchases, expected(&dataset)["c3"].len() as u64);
    let more = shop(40, 17, 640);
    complete(db, &more, 100).await;
    assert_eq!(db.store.customer(&id, 5).await.unwrap(), None);
    assert!(!customer(db, "c4", 5).await.purchases.is_empty());
}
