use super::*;
use crate::dataset::TimeUnit;

#[test]
fn hm_keeps_every_column_and_sorts_by_day() {
    let (dataset, report) = load_plain(&hm_folder()).unwrap();
    let day = 17_794 * 86_400;
    assert_eq!(
        purchases(&dataset),
        [("c1", "0108775015", day), ("c1", "0108775044", day), ("c2", "0110065001", day + 86_400)]
    );
    assert_eq!(dataset.time_unit, TimeUnit::Day);
    let price = &dataset.purchases.price;
    assert!(price[0] == 0.025 && price[1].is_nan() && price[2] == 0.05, "{price:?}");
    assert_eq!(dataset.purchases.channel, [1, 0, 2]);
    let names: Vec<&str> = dataset.articles.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["product_code", "prod_name", "detail_desc"]);
    let text = &dataset.articles.column("detail_desc").unwrap().values;
    assert_eq!(text.category(0), Some("Jersey top, with \"narrow\" straps.\nTwo lines."));
    assert_eq!(text.category(1), None);
    let age = &dataset.customers.column("age").unwrap().values;
    assert_eq!((age.number(0), age.number(1)), (Some(21.0), None));
    assert_eq!(dataset.customers.column("FN").unwrap().values.category(0), Some("1.0"));
    assert_eq!(
        (report.articles, report.customers, report.purchases, report.rejected()),
        (3, 2, 3, 0)
    );
}
