//! The simulated shop over HTTP: two days, and the night between them.

use super::Home;
use serde_json::Value;
use std::fs;

#[test]
fn simulated_customers_visit_a_server_that_retrains_at_night() {
    let home = Home::new();
    let table = home.run("simulate --days 2 --customers 400 --history 40 --k 6 --arms popularity,loop,best --out shop");
    let read = |name: &str| fs::read_to_string(home.0.path().join("shop").join(name)).unwrap();
    let seeds: Value = serde_json::from_str(&read("days.json")).unwrap();
    let arms = seeds[0]["arms"].as_array().unwrap();
    let named: Vec<&str> = arms.iter().map(|arm| arm["arm"].as_str().unwrap()).collect();
    assert_eq!(named, ["popularity", "loop", "best"]);
    let sum = |arm: usize, key: &str| -> f64 {
        arms[arm]["days"].as_array().unwrap().iter().map(|day| day[key].as_f64().unwrap()).sum()
    };
    for (arm, figures) in arms.iter().enumerate() {
        assert_eq!(figures["days"].as_array().unwrap().len(), 2, "{table}");
        assert_eq!(sum(arm, "visits"), sum(0, "visits"), "every arm has the same visits");
        assert_eq!(sum(arm, "impressions"), 6.0 * sum(arm, "visits"), "every list is full");
        assert!(
            sum(arm, "expected") > 0.0 && sum(arm, "expected") <= sum(2, "expected"),
            "{table}"
        );
    }
    assert_eq!(arms[1]["nights"][0]["ended"], "trained", "{}", arms[1]["nights"]);
    assert!(table.contains("loop above popularity"), "{table}");
    assert!(read("report.html").contains("<svg"));
}
