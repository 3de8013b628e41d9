//! The demo's shop page: one static document over the public API, with a few customers to choose
//! from.

use crate::{
    dataset::{Column, Dataset, Entities, Histories, Values},
    init::is_title,
};
use axum::{Router, response::Html, routing::get};
use serde::{Deserialize, Serialize};

const PAGE: &str = include_str!("page.html");
/// What stands in the page where the shop's data goes.
const MARK: &str = "/*DEMO*/";

/// What the page knows of the shop beside the API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Shop {
    customers: Vec<Customer>,
    groups: Groups,
    /// The attribute that names an article.
    title: Option<String>,
    /// Attributes shown on a card, the title first.
    fields: Vec<String>,
    /// Customers buy articles again, so bought ones are not left out at first.
    repeats: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Customer {
    id: String,
    /// Number of purchases.
    total: usize,
    /// The latest articles, newest first.
    purchases: Vec<String>,
}

/// The attribute by which the page filters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Groups {
    attribute: Option<String>,
    values: Vec<String>,
}

/// Customers to choose from.
const CUSTOMERS: usize = 8;
/// Attributes on a card beside the title.
const SHOWN: usize = 3;
/// Share of repeated purchases from which bought articles may come again.
const OFTEN: f64 = 0.05;

impl Shop {
    /// Picks customers with some purchases, spread over the table.
    pub(super) fn of(dataset: &Dataset, histories: &Histories, repeats: f64) -> Self {
        let title = title(&dataset.articles);
        Self {
            customers: customers(dataset, histories),
            groups: groups(&dataset.articles),
            fields: fields(&dataset.articles, title.as_deref()),
            title,
            repeats: repeats >= OFTEN,
        }
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

fn customers(dataset: &Dataset, histories: &Histories) -> Vec<Customer> {
    let with = |least: usize, most: usize| -> Vec<u32> {
        let fits =
            |&customer: &u32| (least..=most).contains(&histories.of_customer(customer).len());
        (0..histories.customers() as u32).filter(fits).collect()
    };
    // Some shops have nobody with a history of the usual length.
    let active =
        [(6, 80), (3, 1_000), (1, usize::MAX)].into_iter().map(|(least, most)| with(least, most));
    let active = active.into_iter().find(|found| !found.is_empty()).unwrap_or_default();
    let spread = active.iter().step_by((active.len() / CUSTOMERS).max(1)).take(CUSTOMERS);
    spread.map(|&customer| customer_of(dataset, histories, customer)).collect()
}

fn customer_of(dataset: &Dataset, histories: &Histories, customer: u32) -> Customer {
    let rows = histories.of_customer(customer);
    let mut purchases: Vec<String> = Vec::new();
    for &row in rows.iter().rev() {
        let id = dataset.articles.ids.get(dataset.purchases.article[row as usize]);
        if purchases.len() < 6 && !purchases.iter().any(|p| p == id) {
            purchases.push(id.to_owned());
        }
    }
    Customer { id: dataset.customers.ids.get(customer).to_owned(), total: rows.len(), purchases }
}

/// Different values of a column, and whether numbers are left out.
fn distinct(column: &Column) -> Option<usize> {
    match &column.values {
        Values::Category { dictionary, .. } | Values::Tags { dictionary, .. } => {
            Some(dictionary.len())
        }
        Values::Number(_) | Values::Integer(_) => None,
    }
}

/// The attribute that is called like a name and tells most articles apart.
fn title(articles: &Entities) -> Option<String> {
    let named = articles.columns.iter().filter(|column| is_title(&column.name));
    let most = named
        .filter_map(|column| Some((distinct(column)?, &column.name)))
        .max_by_key(|(values, _)| *values);
    // A name that a third of the articles share with others still tells what they are.
    most.filter(|(values, _)| values * 5 > articles.len()).map(|(_, name)| name.clone())
}

/// The category with the fewest values, but at least two: the coarsest way to divide the shop.
fn groups(articles: &Entities) -> Groups {
    let coarsest = articles.columns.iter().filter_map(|column| match &column.values {
        Values::Category { dictionary, .. } | Values::Tags { dictionary, .. }
            if (2..=40).contains(&dictionary.len()) =>
        {
            // A name before its code.
            Some((!column.name.ends_with("name"), dictionary.len(), column, dictionary))
        }
        _ => None,
    });
    match coarsest.min_by_key(|&(code, values, ..)| (code, values)) {
        Some((_, _, column, dictionary)) => {
            let values = dictionary.iter().map(str::to_owned).collect();
            Groups { attribute: Some(column.name.clone()), values }
        }
        None => Groups { attribute: None, values: Vec::new() },
    }
}

/// The title and the attributes with few enough values to say what an article is like.
fn fields(articles: &Entities, title: Option<&str>) -> Vec<String> {
    let says = |column: &&Column| {
        let few = distinct(column).is_some_and(|values| (2..=2_000).contains(&values));
        few && Some(column.name.as_str()) != title
    };
    let mut others: Vec<&Column> = articles.columns.iter().filter(says).collect();
    others.sort_by_key(|column| !column.name.ends_with("name"));
    title
        .into_iter()
        .chain(others.iter().take(SHOWN).map(|column| column.name.as_str()))
        .map(str::to_owned)
        .collect()
}

/// `GET /`: the page, with the key by which it tells events.
pub(super) fn router(shop: &Shop, key: &str) -> Router {
    let mut data = serde_json::json!(shop);
    data["key"] = key.into();
    // `<` would end the script early inside a text such as an id.
    let data = data.to_string().replace('<', "\\u003c");
    let mut parts = PAGE.splitn(3, MARK);
    let page = [parts.next(), Some(&data), parts.nth(1)].into_iter().flatten().collect::<String>();
    Router::new().route("/", get(move || std::future::ready(Html(page.clone()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(columns: Vec<Column>) -> Dataset {
        let mut dataset = Dataset::default();
        dataset.articles.ids.insert("a");
        dataset.customers.ids.insert("</script>");
        dataset.articles.columns = columns;
        for time in 0..7 {
            dataset.purchases.customer.push(0);
            dataset.purchases.article.push(0);
            dataset.purchases.time.push(crate::domain::Timestamp(time));
        }
        dataset
    }

    fn category(name: &str, values: &[&str]) -> Column {
        let dictionary = values.iter().copied().collect();
        Column { name: name.into(), values: Values::Category { codes: vec![0], dictionary } }
    }

    fn shop(columns: Vec<Column>) -> Shop {
        let dataset = dataset(columns);
        Shop::of(&dataset, &Histories::of(&dataset), 0.0)
    }

    #[test]
    fn the_page_carries_the_shop_and_cannot_be_broken_out_of() {
        let shop = shop(vec![category("prod_name", &["x"])]);
        assert_eq!((shop.customers.len(), shop.customers[0].total), (1, 7));
        assert_eq!(shop.customers[0].purchases, ["a"]);
        assert_eq!(
            shop.example_request(),
            r#"{"customer_id":"</script>","fields":["prod_name"],"k":5}"#
        );
        let data = serde_json::json!(shop).to_string().replace('<', "\\u003c");
        assert!(!data.contains('<') && PAGE.matches(MARK).count() == 2);
    }

    #[test]
    fn any_columns_make_a_card() {
        let tags = Values::Tags {
            offsets: vec![0, 2],
            codes: vec![0, 1],
            dictionary: ["x", "y"].into_iter().collect(),
        };
        let tagged = shop(vec![Column { name: "labels".into(), values: tags }]);
        assert_eq!((tagged.title, tagged.fields), (None, vec!["labels".to_owned()]));
        assert_eq!(tagged.groups.attribute.as_deref(), Some("labels"));
        let bare = shop(Vec::new());
        assert!(bare.fields.is_empty() && bare.groups.attribute.is_none());
        let named =
            shop(vec![category("Farbe", &["rot", "blau"]), category("Bezeichnung", &["Hose"])]);
        assert_eq!(named.fields, ["Bezeichnung", "Farbe"]);
        assert_eq!(named.groups.attribute.as_deref(), Some("Farbe"));
    }
}
