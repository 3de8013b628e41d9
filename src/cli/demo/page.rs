//! The demo's shop page: one static document over the public API, with a few customers to choose from.

use crate::dataset::{Dataset, Entities, Histories, Values};
use axum::{Router, response::Html, routing::get};
use serde::Serialize;

const PAGE: &str = include_str!("page.html");
/// What stands in the page where the shop's data goes.
const MARK: &str = "/*DEMO*/";

/// What the page knows of the shop beside the API.
#[derive(Serialize)]
pub(super) struct Shop {
    customers: Vec<Customer>,
    groups: Groups,
    /// Attributes shown on a card.
    fields: Vec<String>,
}

#[derive(Serialize)]
struct Customer {
    id: String,
    /// Number of purchases.
    total: usize,
    /// The latest articles, newest first.
    purchases: Vec<String>,
}

/// The attribute by which the page filters.
#[derive(Serialize)]
struct Groups {
    attribute: Option<String>,
    values: Vec<String>,
}

impl Shop {
    /// Picks eight customers with some purchases, spread over the table.
    pub(super) fn of(dataset: &Dataset, histories: &Histories) -> Self {
        let active: Vec<u32> = (0..histories.customers() as u32)
            .filter(|&customer| (6..=80).contains(&histories.of_customer(customer).len()))
            .collect();
        let customers = active.iter().step_by((active.len() / 8).max(1)).take(8).map(|&customer| {
            let rows = histories.of_customer(customer);
            let mut purchases: Vec<String> = Vec::new();
            for &row in rows.iter().rev() {
                let id = dataset.articles.ids.get(dataset.purchases.article[row as usize]);
                if purchases.len() < 6 && !purchases.iter().any(|p| p == id) {
                    purchases.push(id.to_owned());
                }
            }
            Customer { id: dataset.customers.ids.get(customer).to_owned(), total: rows.len(), purchases }
        });
        Self { customers: customers.collect(), groups: groups(&dataset.articles), fields: fields(&dataset.articles) }
    }

    /// A request for the first customer, or for a guest where nobody bought anything.
    pub(super) fn example_request(&self) -> String {
        let mut body = serde_json::json!({"k": 5, "fields": self.fields});
        if let Some(customer) = self.customers.first() {
            body["customer_id"] = customer.id.as_str().into();
        }
        body.to_string()
    }
}

/// The category with the fewest values, but at least two: the coarsest way to divide the shop.
fn groups(articles: &Entities) -> Groups {
    let coarsest = articles.columns.iter().filter_map(|column| match &column.values {
        Values::Category { dictionary, .. }
            if (2..=40).contains(&dictionary.len()) && column.name.ends_with("_name") =>
        {
            Some((dictionary.len(), &column.name, dictionary))
        }
        _ => None,
    });
    match coarsest.min_by_key(|(values, ..)| *values) {
        Some((_, name, dictionary)) => {
            Groups { attribute: Some(name.clone()), values: dictionary.iter().map(str::to_owned).collect() }
        }
        None => Groups { attribute: None, values: Vec::new() },
    }
}

fn fields(articles: &Entities) -> Vec<String> {
    const SHOWN: [&str; 6] = [
        "prod_name",
        "colour_group_name",
        "perceived_colour_master_name",
        "garment_group_name",
        "index_group_name",
        "movie_title",
    ];
    SHOWN.iter().filter(|name| articles.column(name).is_some()).map(|&name| name.to_owned()).collect()
}

/// `GET /`: the page.
pub(super) fn router(shop: &Shop) -> Router {
    // `<` would end the script early inside a text such as an id.
    let data = serde_json::json!(shop).to_string().replace('<', "\\u003c");
    let mut parts = PAGE.splitn(3, MARK);
    let page = [parts.next(), Some(&data), parts.nth(1)].into_iter().flatten().collect::<String>();
    Router::new().route("/", get(move || std::future::ready(Html(page.clone()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Column;

    #[test]
    fn the_page_carries_the_shop_and_cannot_be_broken_out_of() {
        let mut dataset = Dataset::default();
        dataset.articles.ids.insert("a");
        dataset.customers.ids.insert("</script>");
        dataset.articles.columns.push(Column {
            name: "prod_name".into(),
            values: Values::Category { codes: vec![0], dictionary: ["x"].into_iter().collect() },
        });
        for time in 0..7 {
            dataset.purchases.customer.push(0);
            dataset.purchases.article.push(0);
            dataset.purchases.time.push(crate::domain::Timestamp(time));
        }
        let shop = Shop::of(&dataset, &Histories::of(&dataset));
        assert_eq!((shop.customers.len(), shop.customers[0].total), (1, 7));
        assert_eq!(shop.customers[0].purchases, ["a"]);
        assert_eq!(shop.example_request(), r#"{"customer_id":"</script>","fields":["prod_name"],"k":5}"#);
        let data = serde_json::json!(shop).to_string().replace('<', "\\u003c");
        assert!(!data.contains('<') && PAGE.matches(MARK).count() == 2);
    }
}
