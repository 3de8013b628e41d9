use super::Known;
use crate::{
    bundle::RowKind,
    dataset::Case,
    evaluation::{EvaluationError, Ranker, TopSelector},
};
use rayon::prelude::*;

/// Item-based collaborative filtering (Sarwar et al. 2001): an article scores the sum of its cosine similarities to the
/// articles the customer has, each of those counting its nearest neighbours only. The cosine of two articles is
/// `both / √(a·b)` over customers who bought them.
pub struct ItemKnn<'a> {
    known: Known<'a>,
    /// Of every article, the nearest others and their cosines, nearest first.
    neighbours: Vec<Box<[(u32, f32)]>>,
}

/// Lists by row: row `r` is `values[offsets[r]..offsets[r + 1]]`.
struct Lists {
    offsets: Vec<usize>,
    values: Vec<u32>,
}

impl Lists {
    /// Groups `(row, value)` pairs.
    fn group(rows: usize, pairs: impl Iterator<Item = (u32, u32)> + Clone) -> Self {
        let mut offsets = vec![0; rows + 1];
        for (row, _) in pairs.clone() {
            offsets[row as usize + 1] += 1;
        }
        for row in 0..rows {
            offsets[row + 1] += offsets[row];
        }
        let mut next = offsets.clone();
        let mut values = vec![0; offsets[rows]];
        for (row, value) in pairs {
            let slot = &mut next[row as usize];
            values[*slot] = value;
            *slot += 1;
        }
        Self { offsets, values }
    }

    /// Makes each list a rising set.
    fn remove_duplicates(&mut self) {
        let (mut start, mut kept) = (0, 0);
        for row in 1..self.offsets.len() {
            let end = self.offsets[row];
            self.values[start..end].sort_unstable();
            let first = kept;
            for at in start..end {
                if kept == first || self.values[kept - 1] != self.values[at] {
                    self.values[kept] = self.values[at];
                    kept += 1;
                }
            }
            (start, self.offsets[row]) = (end, kept);
        }
        self.values.truncate(kept);
    }

    fn of(&self, row: u32) -> &[u32] {
        &self.values[self.offsets[row as usize]..self.offsets[row as usize + 1]]
    }

    fn iter(&self) -> impl Iterator<Item = (u32, u32)> + Clone {
        (0..self.offsets.len() as u32 - 1).flat_map(|row| self.of(row).iter().map(move |&value| (row, value)))
    }
}

impl<'a> ItemKnn<'a> {
    pub const NAME: &'static str = "item-knn";
    /// Neighbours an article keeps where memory is no matter: enough to rank as if it kept all.
    pub const NEIGHBOURS: usize = 1_000;
    /// Neighbours all articles keep together: 256 MiB.
    const TOTAL: usize = 1 << 25;

    /// As many neighbours as fit the memory set aside, at most [`Self::NEIGHBOURS`].
    pub fn of(known: Known<'a>) -> Self {
        let articles = known.dataset.articles.len().max(1);
        Self::new(known, (Self::TOTAL / articles).clamp(1, Self::NEIGHBOURS))
    }

    /// # Panics
    /// When `neighbours` is 0.
    pub fn new(known: Known<'a>, neighbours: usize) -> Self {
        let Known { dataset, train, .. } = known;
        let purchases = &dataset.purchases;
        let mut bought = Lists::group(
            dataset.customers.len(),
            train.iter().map(|&row| (purchases.customer[row as usize], purchases.article[row as usize])),
        );
        bought.remove_duplicates();
        let articles = dataset.articles.len();
        let buyers = Lists::group(articles, bought.iter().map(|(customer, article)| (article, customer)));

        let neighbours = (0..articles as u32)
            .into_par_iter()
            .map_init(|| Nearest::new(articles, neighbours), |nearest, article| nearest.of(article, &bought, &buyers))
            .collect();
        Self { known, neighbours }
    }
}

/// A thread's room to find the neighbours of one article after the other.
struct Nearest {
    /// Customers shared with each article; all 0 between calls.
    shared: Vec<u32>,
    touched: Vec<u32>,
    cosines: Vec<f32>,
    top: TopSelector,
}

impl Nearest {
    fn new(articles: usize, neighbours: usize) -> Self {
        Self { shared: vec![0; articles], touched: vec![], cosines: vec![], top: TopSelector::new(neighbours) }
    }

    /// The nearest other articles and their cosines, nearest first.
    fn of(&mut self, article: u32, bought: &Lists, buyers: &Lists) -> Box<[(u32, f32)]> {
        let Self { shared, touched, cosines, top } = self;
        touched.clear();
        for &customer in buyers.of(article) {
            for &other in bought.of(customer) {
                if shared[other as usize] == 0 {
                    touched.push(other);
                }
                shared[other as usize] += 1;
            }
        }
        touched.sort_unstable();
        cosines.clear();
        let own = buyers.of(article).len() as f64;
        for &other in touched.iter() {
            let both = f64::from(std::mem::take(&mut shared[other as usize]));
            let cosine = both / (own * buyers.of(other).len() as f64).sqrt();
            cosines.push(if other == article { f32::NEG_INFINITY } else { cosine as f32 });
        }
        top.select(cosines).map(|place| (touched[place as usize], cosines[place as usize])).collect()
    }
}

impl Ranker for ItemKnn<'_> {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn kind(&self) -> RowKind {
        RowKind::Baseline
    }

    fn score(&self, cases: &[Case], scores: &mut [f32]) -> Result<(), EvaluationError> {
        let Known { dataset, histories, .. } = self.known;
        scores.fill(0.0);
        for (case, scores) in cases.iter().zip(scores.chunks_mut(dataset.articles.len())) {
            let known = &histories.of_customer(case.customer)[..case.known as usize];
            let mut articles: Vec<usize> =
                known.iter().map(|&row| dataset.purchases.article[row as usize] as usize).collect();
            articles.sort_unstable();
            articles.dedup();
            for article in articles {
                for &(other, cosine) in &self.neighbours[article] {
                    scores[other as usize] += cosine;
                }
            }
        }
        Ok(())
    }
}
