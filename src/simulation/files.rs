//! The shop as it tells others of itself: ids, attributes, files.

use super::{
    SimulationError,
    assortment::Article,
    history::Purchase,
    market::{COLOURS, Day, FITS, Kind, STYLES},
    shop::Shop,
};
use crate::domain::Timestamp;
use serde_json::{Value, json};
use std::{fmt::Write, fs, path::Path};

const DESCRIPTION: &str = r#"[articles]
files = ["articles.csv"]
id = "article_id"
keep = ["category", "department", "brand", "style", "colour", "fit", "system", "launched"]
price = "price"

[purchases]
files = ["purchases.csv"]
customer = "customer_id"
article = "article_id"
time = "time"
time_format = "unix-seconds"
price = "price"
"#;

/// The shop with a calendar.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told<'a> {
    pub shop: &'a Shop,
    /// The first moment of day 0.
    pub start: Timestamp,
}

pub(super) fn article_id(number: u32) -> String {
    format!("a{number:05}")
}

/// The number behind an id that this shop has given out.
pub(super) fn article_number(id: &str) -> Option<u32> {
    id.strip_prefix('a')?.parse().ok()
}

pub(super) fn customer_id(customer: usize) -> String {
    format!("c{customer:05}")
}

impl Told<'_> {
    /// The first moment of a day.
    pub(super) fn day(&self, day: Day) -> Timestamp {
        Timestamp(self.start.0.saturating_add_signed(day * Timestamp::DAY as i32))
    }

    /// When a visit begins: shops are visited from 8 to 20 o'clock.
    pub(super) fn visit(&self, day: Day, number: usize, of: usize) -> Timestamp {
        let opened = 8 * 3_600;
        let passed = 12.0 * 3_600.0 * number as f64 / of.max(1) as f64;
        Timestamp(self.day(day).0 + opened + passed as u32)
    }

    /// An article as the admin API takes it.
    pub(super) fn article(&self, number: u32) -> Value {
        let article = self.shop.article(number);
        let attributes: serde_json::Map<String, Value> = self
            .attributes(article)
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        json!({"article_id": article_id(number), "price": article.price, "attributes": attributes})
    }

    /// Empty where the article has none.
    fn attributes(&self, article: &Article) -> [(&'static str, String); 8] {
        let category = article.category();
        let worn = |text: &str| {
            if category.kind == Kind::Clothing { text.to_owned() } else { String::new() }
        };
        let system =
            category.system.map(|system| format!("{system}{}", ["A", "B", "C"][article.variant]));
        [
            ("category", category.name.to_owned()),
            ("department", category.department().to_owned()),
            ("brand", format!("{} {}", category.name, article.brand + 1)),
            ("style", worn(STYLES[article.style])),
            ("colour", COLOURS[article.colour].to_owned()),
            ("fit", worn(FITS[article.fit])),
            ("system", system.unwrap_or_default()),
            ("launched", self.day(article.sale.start).date_string()),
        ]
    }

    /// Writes the articles that have been on sale up to a day, and purchases.
    pub(super) fn write(
        &self,
        folder: &Path,
        until: Day,
        purchases: &[Purchase],
    ) -> Result<(), SimulationError> {
        fs::create_dir_all(folder).map_err(SimulationError::io(folder))?;
        let put = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).map_err(SimulationError::io(&path))
        };
        put("dataset.toml", DESCRIPTION)?;
        let mut text = String::from(
            "article_id,category,department,brand,style,colour,fit,system,launched,price\n",
        );
        for (number, article) in self.shop.assortment.articles.iter().enumerate() {
            if article.sale.start < until {
                let attributes = self.attributes(article).map(|(_, value)| value).join(",");
                let _ =
                    writeln!(text, "{},{attributes},{}", article_id(number as u32), article.price);
            }
        }
        put("articles.csv", &text)?;
        let mut text = String::from("customer_id,article_id,time,price\n");
        for &Purchase { customer, article, day, order } in purchases {
            let time = self.day(day).0 + 43_200 + order as u32;
            let price = self.shop.article(article).price;
            let _ =
                writeln!(text, "{},{},{time},{price}", customer_id(customer), article_id(article));
        }
        put("purchases.csv", &text)
    }
}
