//! The public data sets that lie beside the project on a development machine; see the data's own
//! README for the counts. A machine without them checks the same facts on small folders of the same
//! kind.

use super::*;
use crate::dataset::{TimeUnit, Values};

fn real(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("VITRINE_DATA")
        .map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let dir = root.join(name);
    if !dir.is_dir() {
        eprintln!("{} is not there: only the small fixture is checked", dir.display());
        return None;
    }
    Some(dir)
}

fn counts(dir: &Path) -> (usize, usize, usize) {
    let (dataset, report) =
        load(dir, &LoadOptions { strict: true, ..LoadOptions::default() }).unwrap();
    assert!(report.rejects.is_empty());
    assert!(dataset.purchases.time.is_sorted());
    (dataset.articles.len(), dataset.customers.len(), dataset.purchases.len())
}

#[test]
fn hm_sample() {
    assert_eq!(counts(hm_folder().path()), (3, 2, 3));
    let Some(dir) = real("hm-sample") else { return };
    assert_eq!(counts(&dir), (105_542, 1_364, 31_662));
    let (dataset, _) = load(&dir, &LoadOptions::default()).unwrap();
    assert_eq!(dataset.articles.columns.len(), 24);
    assert_eq!(
        dataset.articles.column("product_code").map(|c| match &c.values {
            Values::Category { dictionary, .. } => dictionary.len(),
            _ => 0,
        }),
        Some(47_224)
    );
    let time = &dataset.purchases.time;
    let days = (time[0].date_string(), time[time.len() - 1].date_string());
    assert_eq!(days, ("2018-09-20".to_owned(), "2020-09-22".to_owned()));
}

#[test]
fn ml_100k() {
    let small = folder(&[
        (
            "m.inter",
            "user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t2\t3\t881250949\n",
        ),
        ("m.user", "user_id:token\tage:token\n1\t24\n"),
    ]);
    assert_eq!(counts(small.path()), (1, 1, 1));
    let Some(dir) = real("ml-100k") else { return };
    assert_eq!(counts(&dir), (1_682, 943, 100_000));
    let (dataset, _) = load(&dir, &LoadOptions::default()).unwrap();
    assert_eq!(dataset.time_unit, TimeUnit::Second);
    assert_eq!(dataset.customers.column("age").unwrap().values.number(0), Some(24.0));
    assert_eq!(dataset.articles.column("release_year").unwrap().values.number(0), Some(1995.0));
    let classes: Vec<&str> = dataset.articles.column("class").unwrap().values.tags(0).collect();
    assert_eq!(classes, ["Animation", "Children's", "Comedy"]);
    assert_eq!(dataset.customers.column("zip_code").unwrap().values.category(0), Some("85711"));
}

#[test]
fn amazon_beauty() {
    let small =
        folder(&[("b.txt", "u1 a b a\nu2 b\n"), ("b_item2attributes.json", "{\"a\": [1, \"x\"]}")]);
    assert_eq!(counts(small.path()), (2, 2, 4));
    let Some(dir) = real("amazon-beauty") else { return };
    assert_eq!(counts(&dir), (12_101, 22_363, 198_502));
    let (dataset, _) = load(&dir, &LoadOptions::default()).unwrap();
    assert_eq!(dataset.time_unit, TimeUnit::Position);
    let tags = &dataset.articles.column("attributes").unwrap().values;
    let row = dataset.articles.ids.find("4").unwrap() as usize;
    assert_eq!(tags.tags(row).collect::<Vec<_>>(), ["1", "2", "3"]);
}
