//! Rows of the dataset as rows of the database.

use super::{CustomerRow, PurchaseRow, Table, Target};
use crate::{
    dataset::{Dataset, Entities, Values, article_ranks},
    domain::{ArticleId, IdTable},
    store::{
        ArticleRecord, AttributeValue, Attributes, StoreError,
        records::{check_attributes, write_attributes},
    },
};
use std::ops::Range;

/// Articles a page, so that the whole catalogue is never held as records.
const PAGE: usize = 2_000;

/// All articles in the order of their ids, so that their keys do not depend on the order of the file.
pub(super) fn article_pages(
    dataset: &Dataset,
) -> impl Iterator<Item = Result<Vec<ArticleRecord>, StoreError>> + Send + '_ {
    let ranks = article_ranks(dataset);
    let mut order: Vec<u32> = (0..ranks.len() as u32).collect();
    order.sort_unstable_by_key(|&row| ranks[row as usize]);
    let prices = latest_prices(dataset);
    (0..order.len()).step_by(PAGE).map(move |start| {
        let page = &order[start..order.len().min(start + PAGE)];
        page.iter().map(|&row| article(dataset, row as usize, prices[row as usize])).collect()
    })
}

fn article(dataset: &Dataset, row: usize, latest: Option<f32>) -> Result<ArticleRecord, StoreError> {
    let text = dataset.articles.ids.get(row as u32);
    let id = ArticleId::parse(text).map_err(|error| StoreError::Refused(format!("article `{text}`: {error}")))?;
    let attributes = attributes(&dataset.articles, row);
    let price = match attributes.get("price") {
        Some(AttributeValue::Number(price)) => Some(*price as f32),
        _ => latest,
    };
    let image_url = match attributes.get("image_url") {
        Some(AttributeValue::Text(url)) => Some(url.clone()),
        _ => None,
    };
    Ok(ArticleRecord { id, available: true, price, image_url, attributes })
}

/// What each article was last sold for.
fn latest_prices(dataset: &Dataset) -> Vec<Option<f32>> {
    let mut prices = vec![None; dataset.articles.len()];
    // Purchases are sorted by time: the last one stands.
    for (&article, &price) in dataset.purchases.article.iter().zip(&dataset.purchases.price) {
        if price.is_finite() && price >= 0.0 {
            prices[article as usize] = Some(price);
        }
    }
    prices
}

pub(super) fn customers(dataset: &Dataset, range: Range<usize>) -> Result<Vec<CustomerRow<'_>>, StoreError> {
    range
        .map(|row| {
            let id = dataset.customers.ids.get(row as u32);
            let attributes = attributes(&dataset.customers, row);
            check_attributes(&attributes).map_err(|why| StoreError::Refused(format!("customer `{id}`: {why}")))?;
            Ok(CustomerRow { id, attributes: write_attributes(&attributes) })
        })
        .collect()
}

/// The attributes of a row, without those it misses.
fn attributes(entities: &Entities, row: usize) -> Attributes {
    let value = |values: &Values| match values {
        Values::Category { .. } => values.category(row).map(|text| AttributeValue::Text(text.to_owned())),
        Values::Number(_) => values.number(row).map(|number| AttributeValue::Number(decimal(number))),
        Values::Tags { .. } => {
            let tags: Vec<String> = values.tags(row).map(str::to_owned).collect();
            (!tags.is_empty()).then_some(AttributeValue::Tags(tags))
        }
    };
    entities.columns.iter().filter_map(|column| Some((column.name.clone(), value(&column.values)?))).collect()
}

/// The number with the shortest decimal digits, as the shop wrote it: 0.1, not 0.10000000149.
fn decimal(number: f32) -> f64 {
    if number.fract() == 0.0 {
        return f64::from(number);
    }
    number.to_string().parse().unwrap_or(f64::from(number))
}

pub(super) fn purchase(dataset: &Dataset, row: usize, customer: i32, articles: &[i32]) -> PurchaseRow {
    let purchases = &dataset.purchases;
    PurchaseRow {
        customer,
        article: articles[purchases.article[row] as usize],
        at: purchases.time[row].0,
        price: purchases.price.get(row).copied().filter(|price| price.is_finite()),
        channel: purchases.channel.get(row).copied().filter(|&channel| channel != 0),
    }
}

/// The database's key of every row of a table of ids.
pub(super) async fn keys(target: &mut dyn Target, table: Table, ids: &IdTable) -> Result<Vec<i32>, StoreError> {
    let mut keys = vec![0; ids.len()];
    let mut found = 0;
    let mut visit = |id: &str, key: i32| {
        if let Some(row) = ids.find(id) {
            keys[row as usize] = key;
            found += 1;
        }
    };
    target.keys(table, &mut visit).await?;
    if found < ids.len() {
        let what = if table == Table::Articles { "articles" } else { "customers" };
        let missing = ids.len() - found;
        return Err(StoreError::Refused(format!(
            "{missing} {what} of this import are no longer in the database; delete the row of `import_progress` to \
             import from the beginning"
        )));
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_the_digits_of_the_shop() {
        assert_eq!(decimal(0.1), 0.1);
        assert_eq!(decimal(19.99), 19.99);
        assert_eq!(decimal(108_775_015.0), 108_775_016.0, "32 bits hold no more");
        assert_eq!(decimal(-3.0), -3.0);
    }
}
