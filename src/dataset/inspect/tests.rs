//! Figures of a shop small enough to check by hand.

use super::*;
use crate::{
    dataset::{Column, Entities, MISSING, Purchases, Values},
    domain::{IdTable, Timestamp},
};

fn entities(ids: &[&str], columns: Vec<Column>) -> Entities {
    Entities { ids: ids.iter().copied().collect(), columns, vectors: Vec::new() }
}

/// Customer a: x twice on day 0 (a duplicate), y on day 0, x again on day 7. Customer b: x on day
/// 7; customer c: nothing. z is never bought.
fn shop() -> Dataset {
    let colour: IdTable = ["red", "blue <&>"].into_iter().collect();
    let colours = Values::Category { codes: vec![0, 1, MISSING], dictionary: colour };
    let ages = Values::Number(vec![20.0, 41.0, f32::NAN]);
    let day = |day: u32| Timestamp((18_000 + day) * Timestamp::DAY);
    Dataset {
        articles: entities(
            &["x", "y", "z"],
            vec![Column { name: "colour".into(), values: colours }],
        ),
        customers: entities(&["a", "b", "c"], vec![Column { name: "age".into(), values: ages }]),
        purchases: Purchases {
            customer: vec![0, 0, 0, 0, 1],
            article: vec![0, 0, 1, 0, 0],
            time: vec![day(0), day(0), day(0), day(7), day(7)],
            price: vec![1.0, 1.0, 2.0, 1.0, f32::NAN],
            channel: vec![1, 1, 2, 1, 0],
            ..Purchases::default()
        },
        time_unit: TimeUnit::Day,
    }
}

#[test]
fn figures_are_right() {
    let found = Inspection::of(&shop());
    assert_eq!((found.counts.articles, found.counts.customers, found.counts.purchases), (3, 3, 5));
    assert!((found.counts.density - 3.0 / 9.0).abs() < 1e-12);
    let period = found.period.as_ref().unwrap();
    assert_eq!(
        (period.first.as_str(), period.last.as_str(), period.days),
        ("2019-04-14", "2019-04-21", 8)
    );
    let missing: Vec<(&str, usize)> =
        found.columns.iter().map(|c| (c.name.as_str(), c.missing)).collect();
    assert_eq!(missing, [("colour", 1), ("age", 1), ("price", 1), ("channel", 1)]);
    assert_eq!((found.purchases_per_customer.min, found.purchases_per_customer.max), (1.0, 4.0));
    assert_eq!(
        (found.basket_size.as_ref().unwrap().count, found.basket_size.as_ref().unwrap().max),
        (3, 3.0)
    );
    assert_eq!(
        (found.gap_days.as_ref().unwrap().count, found.gap_days.as_ref().unwrap().p50),
        (1, 7.0)
    );
    assert_eq!(found.duplicates.as_ref().unwrap().rows, 1);
    // a's x on day 7, of the four purchases left when the duplicate counts once.
    assert_eq!(
        (found.rebuys.rows, found.rebuys.share, found.rebuys.customers_share),
        (1, 0.25, 1.0)
    );
    assert!(found.rebuys.conclusion.contains("often"));
    // Sales 4, 1, 0: the mean absolute difference over all pairs by twice the mean.
    assert!((found.popularity.gini - 16.0 / 30.0).abs() < 1e-12, "{}", found.popularity.gini);
    assert_eq!(found.popularity.top_1_percent, 0.8);
    assert_eq!((found.cold.articles_never_bought, found.cold.customers_without_purchase), (1, 1));
    assert_eq!(found.cold.articles_new_in_last_week, Some(0));
    assert_eq!(found.categories[0].top[0], ("red".to_owned(), 1, 0.8));
    assert_eq!(found.seasonality.as_ref().unwrap().weekdays, [0, 0, 0, 0, 0, 0, 5]);
    let ages = found.ages.as_ref().unwrap();
    assert_eq!((ages.missing, ages.bins.iter().map(|bin| bin.count).sum::<usize>()), (1, 2));
}

#[test]
fn drift_compares_whole_weeks_back_from_the_last_day() {
    let mut data = shop();
    let day = |day: u32| Timestamp((18_000 + day) * Timestamp::DAY);
    data.purchases.time = vec![day(0), day(0), day(6), day(13), day(13)];
    // Weeks: {x, y} and {x}.
    assert_eq!(Inspection::of(&data).drift.unwrap().by_week, [0.5]);
}

#[test]
fn sequences_leave_out_what_needs_dates() {
    let mut data = shop();
    data.time_unit = TimeUnit::Position;
    data.purchases.time = [0, 1, 2, 3, 0].map(Timestamp).to_vec();
    data.purchases.price.clear();
    data.purchases.channel.clear();
    let found = Inspection::of(&data);
    assert!(
        found.period.is_none()
            && found.gap_days.is_none()
            && found.seasonality.is_none()
            && found.prices.is_none()
    );
    assert!(found.duplicates.is_none() && found.drift.is_none());
    assert_eq!(found.rebuys.rows, 2);
    assert!(found.to_string().contains("no dates"));
}

#[test]
fn an_empty_shop_is_inspected_too() {
    let found = Inspection::of(&Dataset::default());
    assert_eq!((found.popularity.gini, found.rebuys.rows), (0.0, 0));
    assert!(found.to_string().contains("0 articles"));
}

#[test]
fn the_json_has_the_documented_keys() {
    let json = serde_json::to_value(Inspection::of(&shop())).unwrap();
    let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    for key in [
        "counts",
        "period",
        "columns",
        "ages",
        "purchases_per_customer",
        "popularity",
        "drift",
        "rebuys",
    ] {
        assert!(keys.contains(&key), "{key}");
    }
    assert!(json["drift"].is_null(), "eight days hold one whole week");
}

#[cfg(feature = "trainer")]
#[test]
fn the_page_stands_alone_and_escapes_the_shops_words() {
    for data in [shop(), Dataset::default()] {
        let html = page(&Inspection::of(&data), "shop <1>").unwrap();
        assert!(html.contains("<svg") && html.contains("shop &lt;1&gt;"));
        assert!(!html.contains("blue <&>"));
        for outside in ["src=", "href=", "@import", "url("] {
            assert!(!html.contains(outside), "{outside}");
        }
    }
}
