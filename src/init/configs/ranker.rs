use super::{Effort, Proposal, Wanted, does_not_fit, fits, training};
use crate::init::shop::AttributeKind;

const FAMILY: &str = "ranker";
/// Customers with two articles: fewer give too few lists to learn from.
const PAIRS: usize = 100;
/// Purchases of four weeks, below which best-sellers of a week or month are chance.
const BUSY: u64 = 2_000;
/// Purchases below which there are few lists: deep trees would overfit them.
const SMALL: usize = 150_000;
/// Purchases that are counted for all moments of the past together.
const COUNTED: usize = 400_000_000;

/// Trees that order what the sources of the pipeline find.
pub(super) fn proposal(wanted: &Wanted<'_>) -> Proposal {
    let shop = wanted.shop;
    if shop.days.is_none() {
        return does_not_fit(
            FAMILY,
            "the purchases have no dates: it learns from lists of past moments".to_owned(),
        );
    }
    if shop.pairs < PAIRS {
        let why = format!(
            "{} customers bought two different articles; it learns from lists and needs {PAIRS}",
            shop.pairs
        );
        return does_not_fit(FAMILY, why);
    }
    let why = format!(
        "{} customers bought two different articles or more: it orders what sells, what they bought, what is bought \
         together and what customers of the same taste buy",
        shop.pairs
    );
    fits(FAMILY, why.clone(), config(wanted, &why))
}

fn config(wanted: &Wanted<'_>, why: &str) -> String {
    // Each moment counts all purchases before it.
    let lists = match wanted.effort {
        Effort::Usual => (COUNTED / wanted.shop.purchases.max(1)).clamp(6, 20),
        Effort::Quick => (COUNTED / 30 / wanted.shop.purchases.max(1)).clamp(2, 8),
    };
    let trees = match wanted.shop.purchases < SMALL {
        true => {
            "# There are few lists to learn from: shallow trees and a small shrinkage keep them from overfitting.\ndepth = 3\nshrinkage = 0.05\n"
        }
        false => "",
    };
    format!(
        "# Orders what several sources find; models/configs/ranker.toml, sized to this shop. The server needs no other\n\
         # model beside it.\n# {why}.\n\n\
         [model]\nname = \"{FAMILY}\"\nfamily = \"{FAMILY}\"\n\n\
         [ranker]\n{}# Moments of the past to learn from.\nlists = {lists}\n{trees}\n\
         [training]\n# An epoch adds 25 trees.\n{}\n{}",
        sources(wanted),
        training(wanted, 12, 4),
        wanted.split()
    )
}

/// `sources`, where those that the family takes by itself do not suit the shop.
fn sources(wanted: &Wanted<'_>) -> String {
    let shop = wanted.shop;
    let month = shop.purchases as u64 * 28 / u64::from(shop.days.unwrap_or(1).max(28));
    if month >= BUSY {
        return String::new();
    }
    let root = (shop.articles as f64).sqrt().ln();
    let categories = shop.article_attributes.iter().filter_map(|attribute| match attribute.kind {
        AttributeKind::Category(values) => {
            Some((((values as f64).ln() - root).abs(), &attribute.name))
        }
        AttributeKind::Tags(_) | AttributeKind::Number => None,
    });
    let nearest = categories.min_by(|a, b| a.0.total_cmp(&b.0));
    let of_category = nearest.map_or_else(String::new, |(_, name)| {
        let name = toml::Value::from(name.as_str());
        format!("    {{ source = \"popular_in\", attribute = {name}, limit = 50 }},\n")
    });
    let next = match wanted.is_time() {
        true => "",
        false => {
            "    { source = \"bought_next\", limit = 100 },\n    { source = \"ease\", limit = 200 },\n"
        }
    };
    format!(
        "# Four weeks have {month} purchases: too few to tell what sells, so best-sellers are counted over a quarter.\n\
         sources = [\n    {{ source = \"buy_again\", limit = 150 }},\n    {{ source = \"popular\", days = 91, limit = 100 }},\n    \
         {{ source = \"popular\", days = 28, limit = 50 }},\n    {{ source = \"bought_together\", limit = 50 }},\n    \
         {{ source = \"similar_taste\", limit = 100 }},\n{next}{of_category}]\n"
    )
}
