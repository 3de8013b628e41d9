//! The catalogue.

use crate::support::Database;
use std::collections::{BTreeMap, BTreeSet};
use vitrine::{
    domain::ArticleId,
    store::{ArticleRecord, AttributeValue, Attributes, StoreError},
};

/// An article of the H&M catalogue with all its columns (the 25th is the id).
fn shirt(id: &str) -> ArticleRecord {
    let number = |value: u32| AttributeValue::Number(f64::from(value));
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
        ("detail_desc", text("Jersey top with narrow \"shoulder\" straps.\nMachine wash; 95 % cotton, 5 % elastane.")),
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
    article.attributes = BTreeMap::from([("prod_name".into(), AttributeValue::Text("Another".into()))]);
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
    let tags = |tags: &[&str]| AttributeValue::Tags(tags.iter().map(|&tag| tag.to_owned()).collect());
    article.price = Some(f32::MIN_POSITIVE);
    article.attributes = BTreeMap::from([
        ("größe".to_owned(), AttributeValue::Text("Übergröße ✓ \u{1F9E5} \u{7f} \t".into())),
        ("".to_owned(), AttributeValue::Text(String::new())),
        ("a.b[0]".to_owned(), AttributeValue::Number(-0.125)),
        ("$".to_owned(), AttributeValue::Number(1e300)),
        ("small".to_owned(), AttributeValue::Number(1.5e-10)),
        ("many".to_owned(), tags(&["rot", "grün", "", "a,b"])),
        ("none".to_owned(), tags(&[])),
    ]);
    db.store.put_articles(std::slice::from_ref(&article)).await.unwrap();
    assert_eq!(db.store.articles(std::slice::from_ref(&article.id)).await.unwrap(), [article.clone()]);
    db.store.set_available(std::slice::from_ref(&article.id), false).await.unwrap();
    article.available = false;
    assert_eq!(db.store.catalogue().await.unwrap(), [article]);
}

pub async fn a_bad_article_stores_none(db: &Database) {
    let version = db.store.catalogue_version().await.unwrap();
    let mut nul = plain("nul");
    nul.attributes.insert("colour".into(), AttributeValue::Text("a\0b".into()));
    let mut price = plain("price");
    price.price = Some(f32::NAN);
    let mut negative = plain("negative");
    negative.price = Some(-1.0);
    for bad in [nul, price, negative] {
        let error = db.store.put_articles(&[plain("good"), bad.clone()]).await.unwrap_err();
        assert!(matches!(&error, StoreError::Refused(why) if why.contains(bad.id.as_str())), "{error}");
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
    assert_eq!(found.into_iter().map(|article| article.id).collect::<BTreeSet<_>>(), ids.into_iter().collect());
}

pub async fn writers_at_once_lose_nothing(db: &Database) {
    let version = db.store.catalogue_version().await.unwrap();
    let tasks: Vec<_> = (0..16)
        .map(|n| {
            let store = db.store.clone();
            // Every writer touches article `shared` and one of its own, in different orders.
            let mut articles = vec![plain(&format!("own-{n}")), plain("shared")];
            articles[1].price = Some(n as f32 + 1.0);
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
