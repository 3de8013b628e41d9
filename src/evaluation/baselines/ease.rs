use super::{Known, interactions::Interactions, tuning::Tunable};
use crate::{
    bundle::RowKind,
    dataset::Case,
    evaluation::{EvaluationError, Scorer},
    statistics::ease,
};
use rayon::prelude::*;

/// The embarrassingly shallow autoencoder (Steck 2019, arXiv:1905.03375): the linear model that best
/// rebuilds every customer's purchases from the others of the same customer. With P = (XᵀX + λI)⁻¹,
/// article j scores the sum over the articles i of a history of B_ij = −P_ij / P_jj; B_jj is 0.
pub struct Ease<'a> {
    known: Known<'a>,
    lambda: f32,
    /// The articles of the matrix, rising.
    articles: Vec<u32>,
    /// B, `articles × articles`, row-major.
    weights: Vec<f32>,
}

impl<'a> Ease<'a> {
    pub const NAME: &'static str = "ease";

    /// A matrix of 1.6 GB, inverted in about a minute on two cores.
    pub const MOST_ARTICLES: usize = 20_000;

    /// λ is chosen with so many articles at most, the most bought ones: an inverse costs the cube
    /// of their number.
    const TUNED_ARTICLES: usize = 4_000;

    /// With a given λ over the whole catalogue.
    pub fn with_lambda(known: Known<'a>, lambda: f32) -> Self {
        Self::of(known, lambda, known.articles())
    }

    fn of(known: Known<'a>, lambda: f32, most_articles: usize) -> Self {
        let bought = Interactions::of(known);
        let buyers = bought.transposed(known.articles());
        let mut articles: Vec<u32> = (0..known.articles() as u32).collect();
        if articles.len() > most_articles {
            articles.sort_by_key(|&article| std::cmp::Reverse(buyers.row(article as usize).len()));
            articles.truncate(most_articles);
            articles.sort_unstable();
        }
        let n = articles.len();
        let mut weights = products(&articles, &bought, &buyers);
        if ease::weights(&mut weights, n, lambda).is_err() {
            // It then recommends nothing, and another λ is chosen.
            weights.fill(0.0);
        }
        Self { known, lambda, articles, weights }
    }
}

/// XᵀX of some articles.
fn products(articles: &[u32], bought: &Interactions, buyers: &Interactions) -> Vec<f32> {
    let n = articles.len();
    let mut place = vec![u32::MAX; buyers.rows()];
    articles.iter().enumerate().for_each(|(at, &article)| place[article as usize] = at as u32);
    let mut products = vec![0f32; n * n];
    products.par_chunks_mut(n.max(1)).zip(articles).for_each(|(row, &article)| {
        for (customer, own) in buyers.row(article as usize) {
            for (other, value) in bought.row(customer as usize) {
                if let Some(cell) = row.get_mut(place[other as usize] as usize) {
                    *cell += own * value;
                }
            }
        }
    });
    products
}

impl Scorer for Ease<'_> {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn kind(&self) -> RowKind {
        RowKind::Baseline
    }

    fn settings(&self) -> String {
        format!("λ {}", self.lambda)
    }

    fn score(&self, cases: &[Case], scores: &mut [f32]) -> Result<(), EvaluationError> {
        let n = self.articles.len();
        let all = n == self.known.articles();
        let mut sums = vec![0f32; n];
        for (case, scores) in cases.iter().zip(scores.chunks_mut(self.known.articles())) {
            sums.fill(0.0);
            for article in self.known.latest_articles(case) {
                let Ok(row) = self.articles.binary_search(&article) else { continue };
                sums.iter_mut()
                    .zip(&self.weights[row * n..][..n])
                    .for_each(|(sum, weight)| *sum += weight);
            }
            if all {
                scores.copy_from_slice(&sums);
            } else {
                scores.fill(f32::NEG_INFINITY);
                self.articles
                    .iter()
                    .zip(&sums)
                    .for_each(|(&article, &sum)| scores[article as usize] = sum);
            }
        }
        Ok(())
    }
}

impl<'a> Tunable<'a> for Ease<'a> {
    type Settings = f32;
    const USUAL: f32 = 100.0;

    fn candidates(known: Known<'a>) -> impl Iterator<Item = Self> {
        let grid = [100.0, 20.0, 50.0, 250.0, 500.0, 1_000.0];
        grid.into_iter().map(move |lambda| Self::of(known, lambda, Self::TUNED_ARTICLES))
    }

    fn chosen(&self) -> f32 {
        self.lambda
    }

    fn fit(known: Known<'a>, lambda: f32) -> Self {
        Self::with_lambda(known, lambda)
    }
}
