//! The items of a bundle, or the articles by their texts, as a picture: t-SNE (van der Maaten &
//! Hinton 2008) of their vectors in two dimensions.
//!
//! The same bundle, sample and seed give the same map: neighbours are exact, and the layout runs on
//! one thread because sums of many threads differ in their last bits.

mod canvas;
mod colouring;
mod layout;

use super::ExperimentError;
use crate::{
    bundle::Bundle,
    dataset::{Dataset, Entities},
    features::source,
    plots,
};
use colouring::Colouring;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use std::fmt::Write;

/// Fewer items are no map.
const LEAST_ITEMS: usize = 10;

/// Columns that may hold the name of an article, the likeliest first.
const NAMES: [&str; 5] = ["prod_name", "product_name", "name", "title", "movie_title"];

const STYLE: &str = "<style>
body{max-width:none;margin:1rem}#map{display:block;width:100%;height:calc(100vh - 11rem);cursor:grab;border:1px solid var(--line)}
#legend{display:flex;flex-wrap:wrap;gap:.2rem .8rem;margin:.5rem 0}
#legend button{all:unset;cursor:pointer;font-size:.9rem}#legend button.off{opacity:.35}
#legend i{display:inline-block;width:.8rem;height:.8rem;border-radius:50%;margin-right:.3rem;vertical-align:-.1rem}
#tip{position:fixed;pointer-events:none;background:var(--paper);border:1px solid var(--line);padding:.2rem .5rem;display:none;font-size:.9rem}
</style>";

/// What a map shows.
#[derive(Debug, Clone)]
pub struct MapOptions {
    /// Colour the items by this article attribute.
    pub color: Option<String>,
    /// Items at most, drawn at random when there are more.
    pub sample: usize,
    pub seed: u64,
}

/// A map, laid out.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemMap {
    title: String,
    /// Names and numbers of the groups, and the group of each point.
    colouring: Colouring,
    /// Article ids and, where the data has them, names.
    labels: Vec<(String, String)>,
    /// From 0 to 1, one a point; the longer side fills it.
    positions: Vec<[f32; 2]>,
}

impl ItemMap {
    /// Lays out the items of a bundle; `dataset` tells their attributes.
    ///
    /// # Errors
    /// An attribute that the data does not have, a bundle of other data, too few items.
    pub fn new(
        bundle: &Bundle,
        dataset: Option<&Dataset>,
        options: &MapOptions,
    ) -> Result<Self, ExperimentError> {
        let ids = bundle.encoder().vocabularies().get(source::ARTICLE_ID);
        let ids =
            ids.ok_or_else(|| ExperimentError::Input("the bundle names no articles".to_owned()))?;
        let all = bundle.manifest().items;
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        let items: Vec<u32> = (0..all as u32).collect();
        let items = sample(items, options.sample, &mut rng)?;
        let articles = dataset.map(|dataset| &dataset.articles);
        let rows: Vec<Option<usize>> = items
            .iter()
            .map(|&item| articles?.ids.find(ids.get(item)).map(|row| row as usize))
            .collect();
        if articles.is_some() && rows.iter().all(Option::is_none) {
            return Err(ExperimentError::Input(
                "the data has none of the bundle's articles".to_owned(),
            ));
        }
        let colouring = match (&options.color, articles) {
            (None, _) => Colouring::plain(items.len()),
            (Some(attribute), Some(articles)) => Colouring::by(attribute, articles, &rows)?,
            (Some(attribute), None) => {
                let problem = format!(
                    "a bundle holds no attributes: name the data with --data to colour by `{attribute}`"
                );
                return Err(ExperimentError::Input(problem));
            }
        };
        let name = |row: &Option<usize>| {
            articles.and_then(|articles| article_name(articles, (*row)?)).unwrap_or_default()
        };
        let labels = items
            .iter()
            .zip(&rows)
            .map(|(&item, row)| (ids.get(item).to_owned(), name(row).to_owned()))
            .collect();
        let Some(towers) = bundle.towers() else {
            let problem = "the bundle counts purchases and has no vectors to draw".to_owned();
            return Err(ExperimentError::Input(problem));
        };
        let vectors = towers.retriever.items();
        let vectors: Vec<&[f32]> = items.iter().map(|&item| vectors.row(item)).collect();
        let positions = layout::tsne(&vectors, &mut rng)?;
        let manifest = bundle.manifest();
        let title =
            format!("{} {}: {} of {all} items", manifest.name, manifest.version, items.len());
        Ok(Self { title, colouring, labels, positions })
    }

    /// Lays out the articles by one vector each, `articles × dim`, of what their texts say. Vectors
    /// of zeros are left out: articles without a text.
    ///
    /// # Errors
    /// An attribute that the articles do not have, too few articles with a text.
    pub fn of_texts(
        articles: &Entities,
        vectors: &[f32],
        dim: usize,
        options: &MapOptions,
    ) -> Result<Self, ExperimentError> {
        let vector = |row: u32| &vectors[row as usize * dim..(row as usize + 1) * dim];
        let told = (0..articles.len() as u32).filter(|&row| vector(row).iter().any(|&x| x != 0.0));
        let told: Vec<u32> = told.collect();
        let all = told.len();
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        let drawn = sample(told, options.sample, &mut rng)?;
        let rows: Vec<Option<usize>> = drawn.iter().map(|&row| Some(row as usize)).collect();
        let colouring = match &options.color {
            None => Colouring::plain(drawn.len()),
            Some(attribute) => Colouring::by(attribute, articles, &rows)?,
        };
        let label = |row: u32| {
            let name = article_name(articles, row as usize).unwrap_or_default();
            (articles.ids.get(row).to_owned(), name.to_owned())
        };
        let labels = drawn.iter().map(|&row| label(row)).collect();
        // Means of many tokens share most of their direction; what tells texts apart is the rest.
        let centred = centred(&drawn.iter().map(|&row| vector(row)).collect::<Vec<_>>(), dim);
        let positions = layout::tsne(&centred.chunks_exact(dim).collect::<Vec<_>>(), &mut rng)?;
        let title = format!("texts: {} of {all} articles", drawn.len());
        Ok(Self { title, colouring, labels, positions })
    }

    /// The picture, with a legend where there are colours.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn png(&self) -> Result<Vec<u8>, ExperimentError> {
        canvas::picture(&self.title, &self.colouring, &self.positions)
    }

    /// A page that loads nothing from elsewhere: point at an item to read it, zoom, drag, choose
    /// groups.
    pub fn html(&self) -> String {
        let mut html = plots::head(&self.title);
        let scaled = |axis: usize| -> Vec<u32> {
            self.positions
                .iter()
                .map(|position| (position[axis] * 65_535.0).round() as u32)
                .collect()
        };
        let (ids, names): (Vec<&str>, Vec<&str>) =
            self.labels.iter().map(|(id, name)| (id.as_str(), name.as_str())).unzip();
        let data = json!({
            "x": scaled(0), "y": scaled(1), "group": self.colouring.of, "ids": ids, "names": names,
            "groups": self.colouring.groups.iter().map(|group| {
                json!({"name": group.name, "count": group.count, "colour": group.css()})
            }).collect::<Vec<_>>(),
            "attribute": self.colouring.attribute,
        });
        let _ = writeln!(
            html,
            "{STYLE}<p class=\"soft\">t-SNE of the item vectors: near means alike to the model; distances between far groups \
             and the size of a group mean nothing. Wheel to zoom, drag to move, double-click to return, point at an item to \
             read it, click a group to hide it.</p><div id=\"legend\"></div><canvas id=\"map\"></canvas><div id=\"tip\"></div>\
             <script>const DATA={};{}</script></body></html>",
            plots::script(&data),
            include_str!("map.js")
        );
        html
    }
}

/// So many of these at random, in their order; all when they are fewer.
fn sample(all: Vec<u32>, most: usize, rng: &mut ChaCha8Rng) -> Result<Vec<u32>, ExperimentError> {
    let count = all.len().min(most);
    if count < LEAST_ITEMS {
        let problem = format!("a map needs at least {LEAST_ITEMS} items, not {count}");
        return Err(ExperimentError::Input(problem));
    }
    if count == all.len() {
        return Ok(all);
    }
    let mut places = rand::seq::index::sample(rng, all.len(), count).into_vec();
    places.sort_unstable();
    Ok(places.into_iter().map(|place| all[place]).collect())
}

/// The vectors less their mean.
fn centred(vectors: &[&[f32]], dim: usize) -> Vec<f32> {
    let mut mean = vec![0.0; dim];
    for vector in vectors {
        mean.iter_mut()
            .zip(*vector)
            .for_each(|(sum, x)| *sum += f64::from(*x) / vectors.len() as f64);
    }
    let difference = |(x, mean): (&f32, &f64)| (f64::from(*x) - mean) as f32;
    vectors.iter().flat_map(|vector| vector.iter().zip(&mean).map(difference)).collect()
}

fn article_name(articles: &Entities, row: usize) -> Option<&str> {
    NAMES.iter().find_map(|name| articles.column(name))?.values.category(row)
}
