//! The shop's articles: products with a hidden style, in colour variants, each with a life of its
//! own.

use super::{
    random::{Picker, Purpose, normal, stream},
    vocabulary::{
        APPEARANCES, BUCKETS, COLOURS, GARMENTS, INDEX_GROUPS, INDEXES, PRODUCT_TYPES, Role,
        SECTIONS,
    },
};
use rand::Rng;
use rayon::prelude::*;

/// Dimensions of the hidden style that taste is about.
pub(super) const STYLE: usize = 6;
pub(super) type Style = [f32; STYLE];

/// A shelf of the shop: one garment group in one index, the unit of demand.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Row of [`INDEXES`].
    pub index: usize,
    /// Row of [`GARMENTS`].
    pub garment: usize,
    /// Position in [`INDEX_GROUPS`].
    pub group: usize,
    /// Share of sales, of 10,000.
    pub demand: f32,
    /// Buckets whose articles go with these, weighted by their demand.
    pub complements: Option<(Vec<usize>, Picker)>,
}

#[derive(Debug, Clone)]
pub(super) struct Product {
    pub code: u32,
    pub bucket: usize,
    /// Row of [`SECTIONS`].
    pub section: usize,
    /// Row of [`PRODUCT_TYPES`].
    pub product_type: usize,
    pub style: Style,
    /// Full price in hundredths.
    pub price: u32,
    /// First article row and number of colour variants.
    pub first: u32,
    pub variants: u32,
    launch: f32,
    life: f32,
    basic: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Article {
    pub product: u32,
    /// Row of [`COLOURS`].
    pub colour: usize,
    /// Row of [`APPEARANCES`].
    pub appearance: usize,
    /// Sales against the other articles of its bucket while it is new.
    pub appeal: f32,
    /// Week of launch, counted from the first day of the data; negative before it.
    pub launch: f32,
    /// Weeks on sale.
    pub life: f32,
    /// A basic sells evenly; fashion peaks after its launch and fades.
    pub basic: bool,
    /// Last stage of the mark-down, as a share of the full price.
    markdown: f32,
}

/// What taste weighs.
#[derive(Debug)]
pub(super) struct Look {
    pub style: Style,
    /// Row of [`COLOURS`].
    pub colour: u32,
}

#[derive(Debug)]
pub(super) struct Catalogue {
    pub buckets: Vec<Bucket>,
    pub products: Vec<Product>,
    /// Sorted by product code, then variant: the order of the article ids.
    pub articles: Vec<Article>,
    /// What a customer sees of each article, close together in memory: most of the generator's time
    /// goes here.
    pub looks: Vec<Look>,
}

impl Catalogue {
    /// Makes exactly `articles` articles for a shop of `weeks` weeks.
    pub(super) fn new(seed: u64, articles: usize, weeks: f32) -> Self {
        let buckets = buckets();
        let mut products = products(seed, articles, weeks, &buckets);
        // Codes grow with the launch, as a shop hands them out.
        products.sort_by(|a, b| a.launch.total_cmp(&b.launch));
        let stride = (LAST_CODE - FIRST_CODE) / products.len() as u32;
        let mut first = 0;
        for (row, product) in products.iter_mut().enumerate() {
            let jitter = stream(seed, Purpose::Product, row as u64).random_range(0..stride);
            product.code = FIRST_CODE + row as u32 * stride + jitter;
            product.first = first;
            first += product.variants;
        }
        // On long shelves taste alone makes some articles sell far better; that leaves less to
        // their general appeal.
        let spread = (articles as f32 / 10_000.0).powf(-0.2).clamp(0.5, 1.2);
        let mut rows: Vec<Article> = (0..products.len())
            .into_par_iter()
            .flat_map_iter(|row| variants(seed, row, &products[row], spread))
            .collect();
        // The shop is never empty: its first article is a basic that was always there.
        rows[0].launch = -52.0;
        rows[0].life = f32::INFINITY;
        rows[0].basic = true;
        let look = |article: &Article| Look {
            style: products[article.product as usize].style,
            colour: article.colour as u32,
        };
        let looks = rows.iter().map(look).collect();
        Self { buckets, products, articles: rows, looks }
    }

    pub(super) fn product(&self, article: u32) -> &Product {
        &self.products[self.articles[article as usize].product as usize]
    }

    /// The ten-character article id: the product code and the number of the variant.
    pub(super) fn article_id(&self, article: u32) -> String {
        let product = self.product(article);
        format!("{:07}{:03}", product.code, article - product.first + 1)
    }
}

impl Article {
    /// Price in hundredths in a week: full, then marked down in two stages towards the end of its
    /// life.
    pub(super) fn price(&self, full: u32, week: f32) -> u32 {
        let age = (week - self.launch) / self.life;
        let share = match age {
            _ if self.basic => 1.0,
            age if age > 0.8 => self.markdown,
            age if age > 0.6 => 0.5 * (1.0 + self.markdown),
            _ => 1.0,
        };
        // Whole price points such as 13.49 or 7.99.
        if share < 1.0 {
            ((full as f32 * share / 50.0).round() as u32 * 50).max(100) - 1
        } else {
            full
        }
    }
}

const FIRST_CODE: u32 = 108_775;
const LAST_CODE: u32 = 999_999;

/// Retail price points, in hundredths.
const PRICE_POINTS: [u32; 22] = [
    99, 199, 299, 399, 499, 599, 699, 799, 899, 999, 1299, 1499, 1799, 1999, 2499, 2999, 3499,
    3999, 4999, 5999, 7999, 9999,
];

/// The points that shops like best.
const ROUND_PRICES: [u32; 4] = [999, 1499, 1999, 2999];

fn buckets() -> Vec<Bucket> {
    let mut buckets: Vec<Bucket> = BUCKETS
        .iter()
        .map(|&(code, garment, _, demand)| {
            let index =
                INDEXES.iter().position(|row| row.0 == code).expect("the vocabulary is consistent");
            let group = INDEX_GROUPS
                .iter()
                .position(|&no| no == INDEXES[index].2)
                .expect("the vocabulary is consistent");
            let garment = GARMENTS
                .iter()
                .position(|row| row.0 == garment)
                .expect("the vocabulary is consistent");
            Bucket { index, garment, group, demand: f32::from(demand), complements: None }
        })
        .collect();
    for row in 0..buckets.len() {
        let partners: Vec<usize> = (0..buckets.len())
            .filter(|&other| buckets[other].group == buckets[row].group)
            .filter(|&other| {
                go_together(GARMENTS[buckets[row].garment].2, GARMENTS[buckets[other].garment].2)
            })
            .collect();
        if !partners.is_empty() {
            let picker = Picker::new(partners.iter().map(|&other| buckets[other].demand));
            buckets[row].complements = Some((partners, picker));
        }
    }
    buckets
}

fn go_together(a: Role, b: Role) -> bool {
    use Role::{Bottom, Extra, Feet, Full, Outer, Swim, Top, Under};
    matches!(
        (a, b),
        (Top, Bottom | Outer)
            | (Bottom, Top)
            | (Full, Feet | Extra | Outer)
            | (Outer, Extra | Top)
            | (Feet, Extra | Full | Under)
            | (Extra, Feet | Full)
            | (Under, Under)
            | (Swim, Swim | Extra)
    )
}

/// Products until their variants fill the catalogue; the last one is cut to fit.
fn products(seed: u64, articles: usize, weeks: f32, buckets: &[Bucket]) -> Vec<Product> {
    let mut rng = stream(seed, Purpose::Market, 1);
    let bucket_picker = Picker::new(BUCKETS.iter().map(|row| f32::from(row.2)));
    let sections: Vec<(Vec<usize>, Picker)> = buckets.iter().map(sections_of).collect();
    let types: Vec<(Vec<usize>, Picker)> =
        GARMENTS.iter().map(|garment| types_of(garment.0)).collect();
    let section_styles: Vec<Style> =
        SECTIONS.iter().map(|_| std::array::from_fn(|_| normal(&mut rng))).collect();
    let mut products = Vec::with_capacity(articles / 2);
    let mut left = articles as u32;
    while left > 0 {
        let bucket = bucket_picker.pick(&mut rng);
        let garment = buckets[bucket].garment;
        let section = sections[bucket].0[sections[bucket].1.pick(&mut rng)];
        let product_type = types[garment].0[types[garment].1.pick(&mut rng)];
        let centre = &section_styles[section];
        let style: Style = std::array::from_fn(|d| 0.6 * centre[d] + 0.8 * normal(&mut rng));
        let price = 0.85 * GARMENTS[garment].5 * (0.42 * normal(&mut rng) + 0.12 * style[0]).exp();
        let (launch, life, basic) = life(&mut rng, weeks, garment);
        let variants = variant_count(&mut rng).min(left);
        left -= variants;
        let price = nearest_price(price);
        let (code, first) = (0, 0);
        products.push(Product {
            code,
            bucket,
            section,
            product_type,
            style,
            price,
            first,
            variants,
            launch,
            life,
            basic,
        });
    }
    products
}

/// Launch and life in weeks, and whether the product is a basic. Fashion is launched ahead of its
/// season.
fn life(rng: &mut impl Rng, weeks: f32, garment: usize) -> (f32, f32, bool) {
    let (_, _, role, season, best_month, _) = GARMENTS[garment];
    let basic = rng.random::<f32>() < if role == Role::Under { 0.3 } else { 0.12 };
    let life = if basic {
        40.0 + 120.0 * rng.random::<f32>()
    } else {
        20.0 * (0.55 * normal(rng)).exp() + 3.0
    };
    let mut launch = 0.0;
    for _ in 0..5 {
        launch = -life * 0.8 + rng.random::<f32>() * (weeks - 0.3 + life * 0.8);
        // The data end on 22 September: month 8.7 of the year, counted from 0.
        let month = 8.7 - (weeks - launch - 4.0) * (12.0 / 52.18);
        let phase = (month - (best_month - 0.5)) * (std::f32::consts::TAU / 12.0);
        if basic || rng.random::<f32>().ln() < season * (phase.cos() - 1.0) {
            break;
        }
    }
    (launch, life, basic)
}

/// Colour variants of a product: mean 2.23, half of the products have one.
fn variant_count(rng: &mut impl Rng) -> u32 {
    let at = rng.random::<f32>();
    match [0.51, 0.762, 0.867, 0.917, 0.942].iter().position(|&share| at < share) {
        Some(count) => count as u32 + 1,
        None => (6.0 - 4.5 * (1.0 - rng.random::<f32>()).ln()).min(60.0) as u32,
    }
}

fn nearest_price(price: f32) -> u32 {
    let distance = |&&point: &&u32| {
        let far = ((point as f32 / 100.0).ln() - price.ln()).abs();
        if ROUND_PRICES.contains(&point) { 0.6 * far } else { far }
    };
    *PRICE_POINTS
        .iter()
        .min_by(|a, b| distance(a).total_cmp(&distance(b)))
        .expect("there are price points")
}

fn sections_of(bucket: &Bucket) -> (Vec<usize>, Picker) {
    let (code, garment) = (INDEXES[bucket.index].0, GARMENTS[bucket.garment].0);
    let of_index = (0..SECTIONS.len()).filter(|&row| SECTIONS[row].0 == code);
    let mut rows: Vec<usize> = of_index
        .clone()
        .filter(|&row| SECTIONS[row].4.is_empty() || SECTIONS[row].4.contains(&garment))
        .collect();
    if rows.is_empty() {
        rows = of_index.collect();
    }
    let weight = |&row: &usize| {
        f32::from(SECTIONS[row].3) * if SECTIONS[row].4.is_empty() { 1.0 } else { 8.0 }
    };
    let picker = Picker::new(rows.iter().map(weight));
    (rows, picker)
}

fn types_of(garment: u16) -> (Vec<usize>, Picker) {
    let rows: Vec<usize> =
        (0..PRODUCT_TYPES.len()).filter(|&row| PRODUCT_TYPES[row].0 == garment).collect();
    let picker = Picker::new(rows.iter().map(|&row| f32::from(PRODUCT_TYPES[row].4)));
    (rows, picker)
}

/// The colour variants of a product: colours mostly differ, later ones are launched later and sell
/// less.
fn variants(seed: u64, row: usize, product: &Product, spread: f32) -> Vec<Article> {
    let mut rng = stream(seed, Purpose::Article, row as u64);
    let mut weights: Vec<f32> = COLOURS.iter().map(|colour| f32::from(colour.6)).collect();
    let appearances = Picker::new(APPEARANCES.iter().map(|appearance| f32::from(appearance.2)));
    let common = spread * APPEAL_PRODUCT * normal(&mut rng);
    let appearance = appearances.pick(&mut rng);
    let markdown = [1.0, 1.0, 0.7, 0.5][rng.random_range(0..4)];
    (0..product.variants)
        .map(|variant| {
            let colour = Picker::new(weights.iter().copied()).pick(&mut rng);
            weights[colour] *= 0.15;
            let appearance =
                if rng.random::<f32>() < 0.85 { appearance } else { appearances.pick(&mut rng) };
            // Above 1, because picking by style pulls the colours' shares together again.
            let demand = (f32::from(COLOURS[colour].7) / f32::from(COLOURS[colour].6)).powf(1.9);
            let appeal = (common + spread * APPEAL_ARTICLE * normal(&mut rng)).exp()
                * demand
                * 0.93f32.powi(variant as i32);
            let late = if variant > 0 && rng.random::<f32>() < 0.3 {
                0.3 * product.life * rng.random::<f32>()
            } else {
                0.0
            };
            let launch = product.launch + late;
            let life = product.life - late;
            Article {
                product: row as u32,
                colour,
                appearance,
                appeal,
                launch,
                life,
                basic: product.basic,
                markdown,
            }
        })
        .collect()
}

/// Spread of the sales of products, and of the variants of one product (log).
const APPEAL_PRODUCT: f32 = 0.55;
const APPEAL_ARTICLE: f32 = 0.5;
