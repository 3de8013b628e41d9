//! The catalogue.

use crate::support::Database;
use std::collections::{BTreeMap, BTreeSet};
use vitrine::{
    domain::{ArticleId, AttributeKind, Number},
    store::{
        self, ArticleChange, ArticleRecord, AttributeValue, Attributes, CatalogueLimits,
        StoreError, StoreOptions,
    },
};

/// An article of the H&M catalogue with all its columns (the 25th is the id).
fn shirt(id: &str) -> ArticleRecord {
    let number = |value: u32| AttributeValue::Number(Number::Integer(i64::from(value)));
    let text = |value: &str| AttributeValue::Text(value.to_owned());
    let attributes = [
        ("product_code", number(108_775)),
        ("prod_name", text("Strap top")),
        ("product_type_no", number(253)),
        ("product_type_name", text("Vest top")),
        ("product_group_name", text("Garment Upper body")),
        ("graphical_appearance_no", number(1_010_016)),
        ("graphical_appearance_name", text("Solid")),
        ("colour_group_code", number(9)),
        ("colour_group_name", text("Black")),
        ("perceived_colour_value_id", number(4)),
        ("perceived_colour_value_name", text("Dark")),
        ("perceived_colour_master_id", number(5)),
        ("perceived_colour_master_name", text("Black")),
        ("department_no", number(1_676)),
        ("department_name", text("Jersey Basic")),
        ("index_code", text("A")),
        ("index_name", text("Ladieswear")),
        ("index_group_no", number(1)),
        ("index_group_name", text("Ladieswear")),
        ("section_no", number(16)),
        ("section_name", text("Womens Everyday Basics")),
        ("garment_group_no", number(1_002)),
        ("garment_group_name", text("Jersey Basic")),
        (
            "detail_desc",
            text(
                "Jersey top with narrow \"shoulder\" straps.\nMachine wash; 95 % cotton, 5 % elastane.",
            ),
        ),
    ];
    ArticleRecord {
        id: ArticleId::parse(id).unwrap(),
        available: true,
        price: Some(0.050_830_51),
        image_url: Some("https://shop.example/010/0108775015.jpg?w=400&h=600".into()),
        attributes: attributes.map(|(name, value)| (name.to_owned(), value)).into(),
    }
}

fn plain(id: &str) -> ArticleRecord {
    ArticleRecord {
        id: ArticleId::parse(id).unwrap(),
        available: true,
        price: None,
        image_url: None,
        attributes: Attributes::new(),
    }
}

fn id(text: &str) -> ArticleId {
    ArticleId::parse(text).unwrap()
}

pub async fn every_column_comes_back(db: &Database) {
    let article = shirt("0108775015");
    assert_eq!(article.attributes.len(), 24);
    db.store.put_articles(std::slice::from_ref(&article)).await.unwrap();
    let found = db.store.articles(std::slice::from_ref(&article.id)).await.unwrap();
    assert_eq!(found, std::slice::from_ref(&article));
    assert_eq!(db.store.catalogue().await.unwrap(), [article]);
}

pub async fn put_replaces_and_counts_only_changes(db: &Database) {
    let first = db.store.catalogue_version().await.unwrap();
    let mut article = shirt("0108775015");
    db.store.put_articles(&[article.clone(), plain("2")]).await.unwrap();
    let second = db.store.catalogue_version().await.unwrap();
    assert!(second > first);

    db.store.put_articles(&[article.clone(), plain("2")]).await.unwrap();
    db.store.put_articles(&[]).await.unwrap();
    assert_eq!(db.store.catalogue_version().await.unwrap(), second, "nothing changed");

    article.available = false;
    article.price = None;
    article.image_url = None;
    article.attributes =
        BTreeMap::from([("prod_name".into(), AttributeValue::Text("Another".into()))]);
    db.store.put_articles(std::slice::from_ref(&article)).await.unwrap();
    assert!(db.store.catalogue_version().await.unwrap() > second);
    assert_eq!(db.store.articles(&[id("0108775015")]).await.unwrap(), [article]);
    assert_eq!(db.store.articles(&[id("2")]).await.unwrap(), [plain("2")]);
}

pub async fn unknown_ids_are_told(db: &Database) {
    db.store.put_articles(&[plain("1"), plain("2")]).await.unwrap();
    let version = db.store.catalogue_version().await.unwrap();
    let unknown = db.store.set_available(&[id("x"), id("2"), id("y")], false).await.unwrap();
    assert_eq!(unknown, [id("x"), id("y")]);
    assert!(!db.store.articles(&[id("2")]).await.unwrap()[0].available);
    assert!(db.store.articles(&[id("1")]).await.unwrap()[0].available);
    assert!(db.store.catalogue_version().await.unwrap() > version);
    assert_eq!(db.store.articles(&[id("x"), id("1")]).await.unwrap(), [plain("1")]);
    assert_eq!(db.store.articles(&[]).await.unwrap(), []);
}

pub async fn availability_changes_only_what_differs(db: &Database) {
    db.store.put_articles(&[plain("1")]).await.unwrap();
    let version = db.store.catalogue_version().await.unwrap();
    db.store.set_available(&[id("1")], true).await.unwrap();
    db.store.set_available(&[id("none")], false).await.unwrap();
    db.store.set_available(&[], false).await.unwrap();
    assert_eq!(db.store.catalogue_version().await.unwrap(), version);
    db.store.set_available(&[id("1")], false).await.unwrap();
    db.store.set_available(&[id("1")], true).await.unwrap();
    assert_eq!(db.store.catalogue_version().await.unwrap(), version + 2);
}

pub async fn unusual_values_come_back(db: &Database) {
    let mut article = plain("søk 'n \"quote\" \\ ; -- 日本 🧥");
    let tags =
        |tags: &[&str]| AttributeValue::Tags(tags.iter().map(|&tag| tag.to_owned()).collect());
    article.price = Some(16_777_217.01);
    article.attributes = BTreeMap::from([
        ("größe".to_owned(), AttributeValue::Text("Übergröße ✓ \u{1F9E5} \u{7f} \t".into())),
        ("empty".to_owned(), AttributeValue::Text(String::new())),
        ("a.b[0]".to_owned(), AttributeValue::Number(Number::Decimal(-0.125))),
        ("$".to_owned(), AttributeValue::Number(Number::Decimal(1_234_567_890_123.5))),
        ("small".to_owned(), AttributeValue::Number(Number::Decimal(1.5e-10))),
        ("least".to_owned(), AttributeValue::Number(Number::Integer(i64::MIN))),
        ("odd".to_owned(), AttributeValue::Number(Number::Integer(9_007_199_254_740_993))),
        ("many".to_owned(), tags(&["rot", "grün", "", "a,b"])),
        ("none".to_owned(), tags(&[])),
    ]);
    db.store.put_articles(std::slice::from_ref(&article)).await.unwrap();
    assert_eq!(
        db.store.articles(std::slice::from_ref(&article.id)).await.unwrap(),
        [article.clone()]
    );
    db.store.set_available(std::slice::from_ref(&article.id), false).await.unwrap();
    article.available = false;
    assert_eq!(db.store.catalogue().await.unwrap(), [article]);
}

pub async fn a_bad_article_stores_none(db: &Database) {
    let version = db.store.catalogue_version().await.unwrap();
    let mut nul = plain("nul");
    nul.attributes.insert("colour".into(), AttributeValue::Text("a\0b".into()));
    let mut price = plain("price");
    price.price = Some(f64::NAN);
    let mut negative = plain("negative");
    negative.price = Some(-1.0);
    for bad in [nul, price, negative] {
        let error = db.store.put_articles(&[plain("good"), bad.clone()]).await.unwrap_err();
        assert!(
            matches!(&error, StoreError::BadArticle(why) if why.contains(bad.id.as_str())),
            "{error}"
        );
    }
    assert_eq!(db.store.catalogue().await.unwrap(), []);
    assert_eq!(db.store.catalogue_version().await.unwrap(), version);
}

pub async fn of_two_with_one_id_the_last_counts(db: &Database) {
    let mut last = plain("1");
    last.price = Some(2.5);
    db.store.put_articles(&[plain("1"), plain("0"), last.clone()]).await.unwrap();
    assert_eq!(db.store.catalogue().await.unwrap(), [plain("0"), last]);
}

pub async fn twenty_thousand_at_once(db: &Database) {
    let articles: Vec<ArticleRecord> = (0..20_000).map(|n| shirt(&format!("{n:010}"))).collect();
    let version = db.store.catalogue_version().await.unwrap();
    db.store.put_articles(&articles).await.unwrap();
    assert_eq!(db.store.catalogue_version().await.unwrap(), version + 1);
    assert_eq!(db.store.catalogue().await.unwrap(), articles);
    let ids: Vec<ArticleId> = articles.into_iter().map(|article| article.id).collect();
    assert_eq!(db.store.set_available(&ids, false).await.unwrap(), []);
    let found = db.store.articles(&ids).await.unwrap();
    assert!(found.iter().all(|article| !article.available));
    assert_eq!(
        found.into_iter().map(|article| article.id).collect::<BTreeSet<_>>(),
        ids.into_iter().collect()
    );
}

pub async fn writers_at_once_lose_nothing(db: &Database) {
    let version = db.store.catalogue_version().await.unwrap();
    let tasks: Vec<_> = (0..16)
        .map(|n| {
            let store = db.store.clone();
            // Every writer touches article `shared` and one of its own, in different orders.
            let mut articles = vec![plain(&format!("own-{n}")), plain("shared")];
            articles[1].price = Some(f64::from(n) + 1.0);
            if n % 2 == 0 {
                articles.reverse();
            }
            tokio::spawn(async move { store.put_articles(&articles).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(db.store.catalogue().await.unwrap().len(), 17);
    assert_eq!(db.store.catalogue_version().await.unwrap(), version + 16);
}

fn with(id: &str, name: &str, value: AttributeValue) -> ArticleRecord {
    ArticleRecord { attributes: [(name.to_owned(), value)].into(), ..plain(id) }
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::Text(text.to_owned())
}

pub async fn one_article_changes_no_attribute_for_the_others(db: &Database) {
    let one = AttributeValue::Number(Number::Integer(1));
    db.store
        .put_articles(&[with("1", "stars", one.clone()), with("2", "size", text("XL"))])
        .await
        .unwrap();
    let before = (db.store.catalogue().await.unwrap(), db.store.revisions().await.unwrap());
    for (bad, told) in [
        (
            with("3", "stars", text("many")),
            "article `3`: attribute `stars` is a text, but it is a number",
        ),
        (
            with("3", "size", AttributeValue::Tags(vec![])),
            "attribute `size` is a list of texts, but it is a text",
        ),
        (with("3", "price", text("on request")), "attribute `price` is a text, but it is a number"),
    ] {
        let error = db.store.put_articles(&[plain("good"), bad]).await.unwrap_err();
        assert!(matches!(&error, StoreError::BadArticle(why) if why.contains(told)), "{error}");
    }
    assert_eq!((db.store.catalogue().await.unwrap(), db.store.revisions().await.unwrap()), before);
    let kinds = db.store.schema().await.unwrap().kinds();
    assert_eq!((kinds["stars"], kinds["size"]), (AttributeKind::Number, AttributeKind::Text));
}

pub async fn limits_are_checked_before_the_write(db: &Database) {
    let catalogue = CatalogueLimits { attributes: 3, ..CatalogueLimits::default() };
    let options = StoreOptions { catalogue, ..crate::support::patient() };
    let small = store::connect(&db.url, &options).await.unwrap();
    for name in ["a", "b", "c"] {
        small.put_articles(&[with("1", name, text("x"))]).await.unwrap();
    }
    let error = small.put_articles(&[with("1", "d", text("x"))]).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::BadArticle(why) if why.contains("attribute `d` is new")),
        "{error}"
    );
    let error = small.declare_attribute("d", AttributeKind::Text).await.unwrap_err();
    assert!(error.to_string().contains("the shop has 3 already"), "{error}");
    let attributes = (0..20_000).map(|n| (format!("attribute{n}"), text("x"))).collect();
    let error =
        small.put_articles(&[ArticleRecord { attributes, ..plain("2") }]).await.unwrap_err();
    assert!(error.to_string().contains("article `2`: it has 20000 attributes"), "{error}");
    assert_eq!(small.catalogue().await.unwrap(), [with("1", "c", text("x"))]);
}

pub async fn declared_kinds_are_kept(db: &Database) {
    db.store.declare_attribute("stars", AttributeKind::Number).await.unwrap();
    let error = db.store.put_articles(&[with("1", "stars", text("4"))]).await.unwrap_err();
    assert!(matches!(error, StoreError::BadArticle(_)), "{error}");
    db.store.put_articles(&[with("1", "size", text("38"))]).await.unwrap();
    let error = db.store.declare_attribute("size", AttributeKind::Number).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("article `1` has a value of attribute `size` that is not a number"),
        "{error}"
    );
    for (name, kind) in
        [("price", AttributeKind::Text), ("", AttributeKind::Text), ("a\0", AttributeKind::Text)]
    {
        assert!(
            matches!(db.store.declare_attribute(name, kind).await, Err(StoreError::Refused(_))),
            "{name:?}"
        );
    }
    db.store.put_articles(&[plain("1")]).await.unwrap();
    let version = db.store.catalogue_version().await.unwrap();
    db.store.declare_attribute("size", AttributeKind::Number).await.unwrap();
    let changes = db.store.catalogue_changes(version, 10).await.unwrap().unwrap();
    assert_eq!((changes.kinds["size"], changes.articles), (AttributeKind::Number, vec![]));
}

pub async fn changes_are_told_since_a_version(db: &Database) {
    let start = db.store.catalogue_version().await.unwrap();
    db.store.put_articles(&[plain("1"), plain("2"), plain("3")]).await.unwrap();
    let version = db.store.catalogue_version().await.unwrap();
    assert_eq!(db.store.catalogue_changes(start, 2).await.unwrap(), None);
    assert_eq!(db.store.catalogue_changes(start, 3).await.unwrap().unwrap().articles.len(), 3);
    let none = db.store.catalogue_changes(version, 0).await.unwrap().unwrap();
    assert_eq!((none.version, none.articles.len()), (version, 0));

    db.store.put_articles(&[plain("1"), with("2", "size", text("M"))]).await.unwrap();
    db.store.set_available(&[id("3"), id("2"), id("nobody")], false).await.unwrap();
    db.store.delete_articles(&[id("1")]).await.unwrap();
    let changes = db.store.catalogue_changes(version, 10).await.unwrap().unwrap();
    let sold_out = |article| ArticleChange::Put(ArticleRecord { available: false, ..article });
    let expected = [
        sold_out(with("2", "size", text("M"))),
        sold_out(plain("3")),
        ArticleChange::Removed(id("1")),
    ];
    assert_eq!((changes.version, &changes.articles[..]), (version + 3, &expected[..]));
    assert_eq!(changes.kinds["size"], AttributeKind::Text);
}

pub async fn a_deleted_article_is_gone_until_it_is_put_again(db: &Database) {
    db.store.put_articles(&[with("1", "size", text("M")), plain("2")]).await.unwrap();
    let version = db.store.catalogue_version().await.unwrap();
    assert_eq!(db.store.delete_articles(&[id("1"), id("nobody")]).await.unwrap(), [id("nobody")]);
    assert_eq!(db.store.catalogue_version().await.unwrap(), version + 1);
    assert_eq!(
        db.store.delete_articles(&[id("1")]).await.unwrap(),
        [id("1")],
        "it is not there any more"
    );
    assert_eq!(db.store.catalogue_version().await.unwrap(), version + 1);
    assert_eq!(db.store.catalogue().await.unwrap(), [plain("2")]);
    assert_eq!(db.store.articles(&[id("1")]).await.unwrap(), []);
    assert_eq!(db.store.set_available(&[id("1")], true).await.unwrap(), [id("1")]);
    db.store.put_articles(&[plain("1")]).await.unwrap();
    assert_eq!(db.store.catalogue().await.unwrap(), [plain("1"), plain("2")]);
}

/// Written past the program, or by an older one.
pub async fn what_cannot_be_read_is_left_out(db: &Database) {
    db.store.put_articles(&[plain("1"), plain("2"), plain("3")]).await.unwrap();
    let odd = r#"{"good": 1, "flag": true, "nested": {"a": 1}, "huge": 1e300, "text": "x"}"#;
    crate::support::execute(
        &db.url,
        &format!("UPDATE articles SET attributes = '{odd}', changed = 99 WHERE id = '2'"),
    )
    .await;
    crate::support::execute(&db.url, "UPDATE articles SET id = 'a\nb' WHERE id = '3'").await;
    let found = db.store.catalogue().await.unwrap();
    assert_eq!(found.iter().map(|article| article.id.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(found[1].attributes.keys().collect::<Vec<_>>(), ["good", "text"]);
    assert_eq!(db.store.articles(&[id("2")]).await.unwrap(), found[1..]);
    assert_eq!(
        db.store.catalogue_changes(98, 9).await.unwrap().unwrap().articles,
        [ArticleChange::Put(found[1].clone())]
    );
}

/// An older program let one article have another kind of value; the kind that most articles have is
/// the attribute's.
pub async fn a_migration_learns_kinds_from_most_articles(db: &Database) {
    let sizes = ["1", "2", "3"].map(|id| with(id, "size", text("M")));
    db.store.put_articles(&sizes).await.unwrap();
    let odd = r#"{"size": 38, "stars": 4.5, "tags": ["a"], "flag": true}"#;
    let update = format!("UPDATE articles SET attributes = '{odd}', price = 19.99 WHERE id = '3'");
    for statement in [
        update.as_str(),
        "DROP TABLE attribute_kinds",
        "DROP INDEX articles_changed",
        "ALTER TABLE articles DROP COLUMN changed",
        "ALTER TABLE articles DROP COLUMN removed",
        "DELETE FROM _sqlx_migrations WHERE version = 4",
    ] {
        crate::support::execute(&db.url, statement).await;
    }
    store::migrate(&db.url, &crate::support::patient()).await.unwrap();
    let kinds = db.store.schema().await.unwrap().kinds();
    use AttributeKind::{Number as Numbers, Text, Texts};
    let expected = [
        ("image_url", Text),
        ("price", Numbers),
        ("size", Text),
        ("stars", Numbers),
        ("tags", Texts),
    ];
    assert_eq!(kinds, expected.map(|(name, kind)| (name.to_owned(), kind)).into());
    let found = db.store.catalogue().await.unwrap();
    assert_eq!((found.len(), found[2].price), (3, Some(19.99)));
}
