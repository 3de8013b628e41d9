use super::{Proposal, Wanted, does_not_fit, fits, training};
use crate::init::shop::{Attribute, AttributeKind};
use std::fmt::Write;

const FAMILY: &str = "two-tower";
const CUSTOMERS: usize = 50;
/// Most purchases of one epoch; more are cut to the last days.
const MOST: usize = 2_000_000;
/// Attributes of each side, at most.
const ATTRIBUTES: usize = 10;
/// An attribute that fewer purchases have says too little.
const COVERAGE: f64 = 0.2;
/// A catalogue that one softmax can hold.
const SMALL: usize = 5_000;

/// Towers over ids, histories and whatever attributes there are.
pub(super) fn proposal(wanted: &Wanted<'_>) -> Proposal {
    let shop = wanted.shop;
    if shop.customers < CUSTOMERS || shop.pairs < CUSTOMERS / 2 {
        let why = format!(
            "{} customers, {} of them with two articles: too few to learn what customers have in common",
            shop.customers, shop.pairs
        );
        return does_not_fit(FAMILY, why);
    }
    let items = chosen(&shop.article_attributes, shop.articles);
    let customers = chosen(&shop.customer_attributes, shop.customers);
    let names: Vec<&str> =
        items.iter().chain(&customers).map(|attribute| attribute.name.as_str()).collect();
    let why = match names.as_slice() {
        [] => "no attribute is there to read, but it follows histories and knows every customer"
            .to_owned(),
        names => format!(
            "it reads histories and {} attributes ({}), so new articles have a place as well",
            names.len(),
            shortened(&names.join(", "))
        ),
    };
    fits(FAMILY, why.clone(), config(wanted, &why, &items, &customers))
}

fn config(
    wanted: &Wanted<'_>,
    why: &str,
    items: &[&Attribute],
    customers: &[&Attribute],
) -> String {
    let shop = wanted.shop;
    let small = shop.articles <= SMALL && shop.purchases <= 300_000;
    let window = wanted.window(MOST);
    let purchases = window.as_ref().map_or(shop.purchases, |window| window.purchases);
    let epochs = wanted.epochs(purchases, 2, if small { 20 } else { 12 });
    let mut text = format!(
        "# Two towers: one over the customer and the moment, one over the article.\n# {why}.\n\n"
    );
    text.push_str(&model(small));
    text.push_str(&query(wanted, customers));
    text.push_str(&item(small, items));
    text.push_str(loss(small));
    text.push_str(if small {
        "[optimizer]\nlearning_rate = 0.003\nweight_decay = 0.001\n\n"
    } else {
        "[optimizer]\nlearning_rate = 0.002\nweight_decay = 0.0001\n\n"
    });
    let batch = if purchases < 200_000 { 1_024 } else { 2_048 };
    let _ = writeln!(
        text,
        "[training]\nbatch_size = {batch}\n{}",
        training(wanted, epochs, 3).trim_end()
    );
    if let Some(window) = window {
        let _ =
            writeln!(text, "# Tastes drift, and all {} purchases would take long.", shop.purchases);
        let _ = writeln!(text, "window_days = {}", window.days);
    }
    text.push('\n');
    text.push_str(&wanted.split());
    text
}

fn model(small: bool) -> String {
    let shape = match small {
        true => {
            "dim = 32\n# No hidden layer: on so few purchases a deeper tower only overfits sooner.\nquery_layers = \
             []\nitem_layers = []\n"
        }
        false => {
            "dim = 64\nquery_layers = [128]\nitem_layers = [128]\n# Cosine: a popular article must be near to be found, \
             not merely long.\nnormalize = true\n"
        }
    };
    format!("[model]\nname = \"{FAMILY}\"\nfamily = \"{FAMILY}\"\n{shape}\n")
}

fn query(wanted: &Wanted<'_>, attributes: &[&Attribute]) -> String {
    let shop = wanted.shop;
    let mut text = String::new();
    if shop.history.mean >= 3.0 {
        text.push_str(
            "[[features.query]]\nsource = \"customer_id\"\nencoding = \"embedding\"\ndim = 32\n# Often unknown in training, \
             so that new customers get sensible answers.\ndropout = 0.3\n\n",
        );
    }
    text.push_str("# What was bought last, lately, and ever.\n");
    for (name, length, decay) in
        [("last", 1, None), ("recent", 5, Some(0.8)), ("past", 50, Some(0.97))]
    {
        let _ = write!(
            text,
            "[[features.query]]\nname = \"{name}\"\nsource = \"history\"\nencoding = \"history\"\ndim = 32\nlength = {length}\n"
        );
        if let Some(decay) = decay {
            let _ = writeln!(text, "decay = {decay}");
        }
        text.push('\n');
    }
    // A model that has not seen every month cannot know what the others are like.
    if wanted.is_time() && shop.days.is_some_and(|days| days >= 365) {
        text.push_str("[[features.query]]\nname = \"month\"\nsource = \"at\"\nencoding = \"cyclic-month\"\n\n");
    }
    attributes.iter().for_each(|attribute| text.push_str(&feature("query", attribute)));
    text
}

fn item(small: bool, attributes: &[&Attribute]) -> String {
    let dim = if small { 64 } else { 32 };
    let mut text = format!(
        "[[features.item]]\nsource = \"article_id\"\nencoding = \"embedding\"\ndim = {dim}\n"
    );
    if !attributes.is_empty() {
        text.push_str("# New articles are placed by their attributes alone.\ndropout = 0.2\n");
    }
    text.push('\n');
    attributes.iter().for_each(|attribute| text.push_str(&feature("item", attribute)));
    text
}

fn loss(small: bool) -> &'static str {
    if small {
        "[loss]\ntemperature = 1.0\n# More than the catalogue: every article is a class.\nuniform_negatives = 100000\n\n"
    } else {
        "[loss]\ntemperature = 0.08\nlogq = true\n# Articles that nobody bought lately must be told apart \
         too.\nuniform_negatives = 1024\n\n"
    }
}

fn feature(side: &str, attribute: &Attribute) -> String {
    let source = toml::Value::String(attribute.name.clone());
    let encoding = match attribute.kind {
        AttributeKind::Number => "encoding = \"number\"\n".to_owned(),
        AttributeKind::Tags(_) => "encoding = \"multi-hot\"\nmin_count = 3\n".to_owned(),
        AttributeKind::Category(values) if values <= 40 => {
            format!("# {values} values.\nencoding = \"one-hot\"\n")
        }
        AttributeKind::Category(values) => {
            let dim = if values <= 1_000 { 8 } else { 16 };
            format!("# {values} values.\nencoding = \"embedding\"\ndim = {dim}\nmin_count = 3\n")
        }
    };
    format!("[[features.{side}]]\nsource = {source}\n{encoding}\n")
}

/// Attributes that say something and whose values come again.
fn chosen(attributes: &[Attribute], entities: usize) -> Vec<&Attribute> {
    let reserved = ["customer_id", "article_id", "at", "history"];
    let says = |attribute: &&Attribute| {
        let values = match attribute.kind {
            AttributeKind::Number => true,
            AttributeKind::Tags(values) => (2..=5_000).contains(&values),
            AttributeKind::Category(values) => values >= 2 && values * 10 <= entities.max(20) * 6,
        };
        values && attribute.coverage >= COVERAGE && !reserved.contains(&attribute.name.as_str())
    };
    let mut chosen: Vec<&Attribute> = attributes.iter().filter(says).collect();
    chosen.truncate(ATTRIBUTES);
    chosen
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
