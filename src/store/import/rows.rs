//! Rows of the dataset as rows of the database.

use super::{CustomerRow, ImportedArticle, PurchaseRow, Table, Target};
use crate::{
    dataset::{Column, Dataset, Entities, Values, article_ranks},
    domain::{ArticleId, AttributeKind, IdTable, Number},
    store::{
        ArticleRecord, AttributeValue, Attributes, StoreError,
        records::write_attributes,
        schema::{check_attributes, field},
    },
};
use std::ops::Range;

/// The column that says whether an article can be bought.
const AVAILABLE: &str = "available";

/// Articles a page, so that the whole catalogue is never held as records.
const PAGE: usize = 2_000;

/// All articles in the order of their ids, so that their keys do not depend on the order of the
/// file.
pub(super) fn article_pages(
    dataset: &Dataset,
) -> impl Iterator<Item = Result<Vec<ImportedArticle>, StoreError>> + Send + '_ {
    let ranks = article_ranks(dataset);
    let mut order: Vec<u32> = (0..ranks.len() as u32).collect();
    order.sort_unstable_by_key(|&row| ranks[row as usize]);
    let prices = latest_prices(dataset);
    (0..order.len()).step_by(PAGE).map(move |start| {
        let page = &order[start..order.len().min(start + PAGE)];
        page.iter().map(|&row| article(dataset, row as usize, prices[row as usize])).collect()
    })
}

/// What the columns of the articles hold. A column under the name of a field that has another type
/// is not imported.
pub(super) fn kinds(dataset: &Dataset) -> Vec<(String, AttributeKind)> {
    let columns = dataset
        .articles
        .columns
        .iter()
        .filter(|column| !is_availability(column) && !is_no_field(column));
    columns.map(|column| (column.name.clone(), kind(&column.values))).collect()
}

fn kind(values: &Values) -> AttributeKind {
    match values {
        Values::Category { .. } => AttributeKind::Text,
        Values::Number(_) | Values::Integer(_) => AttributeKind::Number,
        Values::Tags { .. } => AttributeKind::Texts,
    }
}

fn is_availability(column: &Column) -> bool {
    column.name == AVAILABLE && matches!(column.values, Values::Number(_))
}

/// Whether the column has the name of a field of the catalogue, but another type.
fn is_no_field(column: &Column) -> bool {
    field(&column.name).is_some_and(|expected| expected != kind(&column.values))
}

/// The record of an article. `price`, `available` and `image_url` are fields of the catalogue where
/// their columns have the type of the field; without a price in the files, an article has the one
/// it was last sold for.
fn article(
    dataset: &Dataset,
    row: usize,
    latest: Option<f32>,
) -> Result<ImportedArticle, StoreError> {
    let text = dataset.articles.ids.get(row as u32);
    let id = ArticleId::parse(text)
        .map_err(|error| StoreError::Refused(format!("article `{text}`: {error}")))?;
    let mut attributes = attributes(&dataset.articles, row);
    let available = match dataset.articles.columns.iter().any(is_availability) {
        // It changes from hour to hour, so it is no attribute beside the field.
        true => attributes
            .remove(AVAILABLE)
            .map(|value| value != AttributeValue::Number(Number::Integer(0))),
        false => None,
    };
    dataset.articles.columns.iter().filter(|column| is_no_field(column)).for_each(|column| {
        attributes.remove(&column.name);
    });
    let price = match attributes.get("price") {
        Some(AttributeValue::Number(price)) => Some(price.to_f64()),
        _ => latest.and_then(decimal).map(Number::to_f64),
    };
    let image_url = match attributes.get("image_url") {
        Some(AttributeValue::Text(url)) => Some(url.clone()),
        _ => None,
    };
    let record =
        ArticleRecord { id, available: available.unwrap_or(true), price, image_url, attributes };
    Ok(ImportedArticle { record, tells_availability: available.is_some() })
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

pub(super) fn customers(
    dataset: &Dataset,
    range: Range<usize>,
) -> Result<Vec<CustomerRow<'_>>, StoreError> {
    range
        .map(|row| {
            let id = dataset.customers.ids.get(row as u32);
            let attributes = attributes(&dataset.customers, row);
            check_attributes(&attributes)
                .map_err(|why| StoreError::Refused(format!("customer `{id}`: {why}")))?;
            Ok(CustomerRow { id, attributes: write_attributes(&attributes) })
        })
        .collect()
}

/// The attributes of a row, without those it misses.
fn attributes(entities: &Entities, row: usize) -> Attributes {
    let value = |values: &Values| match values {
        Values::Category { .. } => {
            values.category(row).map(|text| AttributeValue::Text(text.to_owned()))
        }
        Values::Number(_) => values.number(row).and_then(decimal).map(AttributeValue::Number),
        Values::Integer(_) => {
            values.integer(row).map(|integer| AttributeValue::Number(Number::Integer(integer)))
        }
        Values::Tags { .. } => {
            let tags: Vec<String> = values.tags(row).map(str::to_owned).collect();
            (!tags.is_empty()).then_some(AttributeValue::Tags(tags))
        }
    };
    entities
        .columns
        .iter()
        .filter_map(|column| Some((column.name.clone(), value(&column.values)?)))
        .collect()
}

/// The number with the shortest decimal digits, as the shop wrote it: 0.1, not 0.10000000149.
/// `None` beyond 64 bits.
fn decimal(number: f32) -> Option<Number> {
    match number.fract() == 0.0 {
        true => Number::new(f64::from(number)),
        false => Number::parse(&number.to_string()),
    }
}

pub(super) fn purchase(
    dataset: &Dataset,
    row: usize,
    customer: i32,
    articles: &[i32],
) -> PurchaseRow {
    let purchases = &dataset.purchases;
    PurchaseRow {
        customer,
        article: articles[purchases.article[row] as usize],
        at: purchases.time[row].0,
        millis: purchases.moment_of(row as u32).1,
        price: purchases.price.get(row).copied().filter(|price| price.is_finite()),
        channel: purchases.channel.get(row).copied().filter(|&channel| channel != 0),
        weight: purchases.weight.get(row).copied().filter(|&weight| weight != 1.0),
    }
}

/// The database's key of every row of a table of ids; `None` for rows that are left out.
pub(super) async fn keys(
    target: &mut dyn Target,
    table: Table,
    ids: &IdTable,
    left_out: impl Fn(&str) -> bool,
) -> Result<Vec<Option<i32>>, StoreError> {
    let mut keys = vec![None; ids.len()];
    let mut visit = |id: &str, key: i32| {
        if let Some(row) = ids.find(id) {
            keys[row as usize] = Some(key);
        }
    };
    target.keys(table, &mut visit).await?;
    let is_missing =
        |&(row, key): &(usize, &Option<i32>)| key.is_none() && !left_out(ids.get(row as u32));
    let missing = keys.iter().enumerate().filter(is_missing).count();
    if missing > 0 {
        let what = if table == Table::Articles { "articles" } else { "customers" };
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
        assert_eq!(decimal(0.1), Some(Number::Decimal(0.1)));
        assert_eq!(decimal(19.99), Some(Number::Decimal(19.99)));
        assert_eq!(decimal(-3.0), Some(Number::Integer(-3)));
        assert_eq!(decimal(1e30), None);
    }
}
