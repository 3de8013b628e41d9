use super::{Known, interactions::Interactions, tuning::Tunable};
use crate::{
    bundle::RowKind,
    dataset::Case,
    evaluation::{EvaluationError, Scorer, TopSelector},
};
use rayon::prelude::*;
use std::sync::Arc;

/// Item-based collaborative filtering (Sarwar et al. 2001): an article scores the sum of its
/// similarities to the articles the customer has, each of those counting its nearest neighbours
/// only, and counting less for every newer article the customer has. The similarity of two articles
/// is the cosine of their buyers, `both / (√(a·b) + shrinkage)`: shrinkage is for pairs that a few
/// customers have made.
pub struct ItemKnn<'a> {
    known: Known<'a>,
    settings: Settings,
    neighbours: Arc<Neighbours>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Settings {
    pub(super) neighbours: usize,
    pub(super) shrinkage: f32,
    /// What an article of the history counts, against the next newer one.
    pub(super) decay: f32,
}

/// Articles and how near they are, the nearest first.
type NearestList = Box<[(u32, f32)]>;

/// Of every article, the nearest others and their similarities, nearest first.
struct Neighbours {
    shrinkage: f32,
    lists: Vec<NearestList>,
}

impl<'a> ItemKnn<'a> {
    pub const NAME: &'static str = "item-knn";
    /// Neighbours an article keeps where memory is no matter: enough to rank as if it kept all.
    const NEIGHBOURS: usize = 1_000;
    /// Neighbours all articles keep together: 256 MiB.
    const TOTAL: usize = 1 << 25;
    /// Older articles count too little to move a rank.
    const LEAST: f32 = 1e-4;

    /// The textbook's: all neighbours, no shrinkage, and all of the history alike.
    pub fn plain(known: Known<'a>) -> Self {
        Self::fit(known, Settings { neighbours: Self::NEIGHBOURS, shrinkage: 0.0, decay: 1.0 })
    }

    /// As many neighbours as fit the memory set aside, at most [`Self::NEIGHBOURS`].
    fn most_neighbours(known: Known<'_>) -> usize {
        (Self::TOTAL / known.articles().max(1)).clamp(1, Self::NEIGHBOURS)
    }
}

impl Neighbours {
    /// One for each shrinkage: counting who bought both is nearly all of the work, and done once.
    fn of<const N: usize>(known: Known<'_>, shrinkages: [f32; N], most: usize) -> [Arc<Self>; N] {
        let bought = Interactions::of(known);
        let buyers = bought.transposed(known.articles());
        let norms: Vec<f32> = (0..buyers.rows()).map(|article| norm(&buyers, article)).collect();
        let nearest = || Nearest::new(known.articles(), most);
        let matrices = Matrices { bought: &bought, buyers: &buyers, norms: &norms };
        let lists: Vec<[NearestList; N]> = (0..buyers.rows())
            .into_par_iter()
            .map_init(nearest, |nearest, article| nearest.of(article, &matrices, shrinkages))
            .collect();
        let mut found =
            shrinkages.map(|shrinkage| Self { shrinkage, lists: Vec::with_capacity(lists.len()) });
        for of_article in lists {
            found.iter_mut().zip(of_article).for_each(|(found, list)| found.lists.push(list));
        }
        found.map(Arc::new)
    }
}

fn norm(buyers: &Interactions, article: usize) -> f32 {
    buyers.row(article).map(|(_, value)| value * value).sum::<f32>().sqrt()
}

/// What neighbours are found in.
struct Matrices<'a> {
    bought: &'a Interactions,
    buyers: &'a Interactions,
    norms: &'a [f32],
}

/// A thread's room to find the neighbours of one article after the other.
struct Nearest {
    /// Inner product with each article; all 0 between calls.
    products: Vec<f32>,
    touched: Vec<u32>,
    similarities: Vec<f32>,
    top: TopSelector,
}

impl Nearest {
    fn new(articles: usize, most: usize) -> Self {
        Self {
            products: vec![0.0; articles],
            touched: vec![],
            similarities: vec![],
            top: TopSelector::new(most),
        }
    }

    /// For each shrinkage the nearest other articles and their similarities, nearest first.
    fn of<const N: usize>(
        &mut self,
        article: usize,
        matrices: &Matrices<'_>,
        shrinkages: [f32; N],
    ) -> [NearestList; N] {
        let Self { products, touched, similarities, top } = self;
        touched.clear();
        for (customer, own) in matrices.buyers.row(article) {
            for (other, value) in matrices.bought.row(customer as usize) {
                if products[other as usize] == 0.0 {
                    touched.push(other);
                }
                products[other as usize] += own * value;
            }
        }
        touched.sort_unstable();
        let lists = shrinkages.map(|shrinkage| {
            similarities.clear();
            similarities.extend(touched.iter().map(|&other| {
                let norms = matrices.norms[article] * matrices.norms[other as usize];
                let similarity = products[other as usize] / (norms + shrinkage);
                if other as usize == article { f32::NEG_INFINITY } else { similarity }
            }));
            top.select(similarities)
                .map(|place| (touched[place as usize], similarities[place as usize]))
                .collect()
        });
        touched.iter().for_each(|&other| products[other as usize] = 0.0);
        lists
    }
}

impl Scorer for ItemKnn<'_> {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn kind(&self) -> RowKind {
        RowKind::Baseline
    }

    fn settings(&self) -> String {
        let Settings { neighbours, shrinkage, decay } = self.settings;
        format!("neighbours {neighbours}, shrinkage {shrinkage}, history decay {decay}")
    }

    fn score(&self, cases: &[Case], scores: &mut [f32]) -> Result<(), EvaluationError> {
        let Settings { neighbours, decay, .. } = self.settings;
        scores.fill(0.0);
        for (case, scores) in cases.iter().zip(scores.chunks_mut(self.known.articles())) {
            let mut counts = 1.0;
            for article in self.known.latest_articles(case) {
                for &(other, similarity) in
                    self.neighbours.lists[article as usize].iter().take(neighbours)
                {
                    scores[other as usize] += counts * similarity;
                }
                counts *= decay;
                if counts < Self::LEAST {
                    break;
                }
            }
        }
        Ok(())
    }
}

impl<'a> Tunable<'a> for ItemKnn<'a> {
    type Settings = Settings;
    const USUAL: Settings = Settings { neighbours: 200, shrinkage: 0.0, decay: 0.9 };

    fn candidates(known: Known<'a>) -> impl Iterator<Item = Self> {
        let most = Self::most_neighbours(known);
        Neighbours::of(known, [0.0, 20.0, 100.0], most).into_iter().flat_map(move |found| {
            let grid = [1.0, 0.95, 0.8]
                .into_iter()
                .flat_map(|decay| [1_000, 200, 50].map(|count| (decay, count)));
            grid.map(move |(decay, count)| {
                let settings =
                    Settings { neighbours: count.min(most), shrinkage: found.shrinkage, decay };
                Self { known, settings, neighbours: found.clone() }
            })
        })
    }

    fn chosen(&self) -> Settings {
        self.settings
    }

    fn fit(known: Known<'a>, settings: Settings) -> Self {
        let most = settings.neighbours.min(Self::most_neighbours(known));
        let [neighbours] = Neighbours::of(known, [settings.shrinkage], most);
        Self { known, settings, neighbours }
    }
}
