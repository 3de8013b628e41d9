use super::{Known, Popularity, tuning::Tunable};
use crate::{
    bundle::RowKind,
    dataset::Case,
    evaluation::{EvaluationError, Scorer, TopSelector},
};
use rayon::prelude::*;
use std::sync::Arc;

/// What follows what: a Markov chain over articles with back-off. An article scores the share of
/// the purchases after the customer's latest article that it makes up; the articles before that one
/// count as well, less and less; and where others bought the latest two in the same order, what
/// they bought next counts the more, the more often that was. Popularity decides between articles
/// that follow nothing.
pub struct Transitions<'a> {
    known: Known<'a>,
    settings: Settings,
    sequences: Arc<Sequences>,
    followers: Arc<Followers>,
    popularity: Arc<[f32]>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Settings {
    /// How many purchases later something still follows; the n-th counts 1/n.
    reach: usize,
    /// What an article of the history counts, against the next newer one.
    decay: f32,
    /// Whether pairs count.
    pairs: bool,
}

/// The training purchases of all customers, one customer after the other, and where each article
/// stands in them.
struct Sequences {
    articles: Vec<u32>,
    weights: Vec<f32>,
    /// The customer of a position, to know where a sequence ends.
    customers: Vec<u32>,
    /// `positions[offsets[article]..offsets[article + 1]]`
    offsets: Vec<usize>,
    positions: Vec<u32>,
}

/// Of every article, what follows it and how much of all that follows it this is, the most first.
struct Followers {
    reach: usize,
    lists: Vec<Box<[(u32, f32)]>>,
}

impl Sequences {
    fn of(known: Known<'_>) -> Self {
        let purchases = &known.dataset.purchases;
        let count = known.train.len();
        let (mut articles, mut weights) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut customers = Vec::with_capacity(count);
        known.by_customer(|customer, rows| {
            for &row in rows {
                articles.push(purchases.article[row as usize]);
                weights.push(purchases.weight_of(row));
                customers.push(customer);
            }
        });
        let mut offsets = vec![0; known.articles() + 1];
        articles.iter().for_each(|&article| offsets[article as usize + 1] += 1);
        for article in 0..known.articles() {
            offsets[article + 1] += offsets[article];
        }
        let (mut next, mut positions) = (offsets.clone(), vec![0; articles.len()]);
        for (position, &article) in articles.iter().enumerate() {
            positions[next[article as usize]] = position as u32;
            next[article as usize] += 1;
        }
        Self { articles, weights, customers, offsets, positions }
    }

    fn positions(&self, article: u32) -> impl Iterator<Item = usize> + '_ {
        let range = self.offsets[article as usize]..self.offsets[article as usize + 1];
        self.positions[range].iter().map(|&position| position as usize)
    }

    /// The article so many purchases later by the same customer, and its weight.
    fn later(&self, position: usize, steps: usize) -> Option<(u32, f32)> {
        let at = position + steps;
        let same = self.customers.get(at) == Some(&self.customers[position]);
        same.then(|| (self.articles[at], self.weights[at]))
    }
}

impl Followers {
    /// Followers an article keeps, and all articles together (256 MiB).
    const MOST: usize = 500;
    const TOTAL: usize = 1 << 25;

    fn of(sequences: &Sequences, reach: usize) -> Arc<Self> {
        let articles = sequences.offsets.len() - 1;
        let most = (Self::TOTAL / articles.max(1)).clamp(1, Self::MOST);
        let room = || (vec![0f32; articles], TopSelector::new(most));
        let lists = (0..articles as u32)
            .into_par_iter()
            .map_init(room, |(counts, top), article| {
                Self::of_article(sequences, article, reach, counts, top)
            })
            .collect();
        Arc::new(Self { reach, lists })
    }

    /// `counts` is 0 everywhere between calls.
    fn of_article(
        sequences: &Sequences,
        article: u32,
        reach: usize,
        counts: &mut [f32],
        top: &mut TopSelector,
    ) -> Box<[(u32, f32)]> {
        let (mut touched, mut total) = (Vec::new(), 0.0);
        for position in sequences.positions(article) {
            for steps in 1..=reach {
                let Some((follower, weight)) = sequences.later(position, steps) else { break };
                if counts[follower as usize] == 0.0 {
                    touched.push(follower);
                }
                counts[follower as usize] += weight / steps as f32;
                total += weight / steps as f32;
            }
        }
        touched.sort_unstable();
        let shares: Vec<f32> = touched
            .iter()
            .map(|&follower| std::mem::take(&mut counts[follower as usize]) / total)
            .collect();
        top.select(&shares).map(|place| (touched[place as usize], shares[place as usize])).collect()
    }
}

impl<'a> Transitions<'a> {
    pub const NAME: &'static str = "transitions";

    /// Older articles count too little to move a rank.
    const LEAST: f32 = 1e-3;

    /// As often as this must a pair have been followed to count as much as the latest article
    /// alone.
    const PAIR_PRIOR: f32 = 2.0;

    /// Below the smallest share of a follower that could matter.
    const POPULARITY: f32 = 1e-6;

    /// Adds what follows the latest two articles, in order.
    fn add_pairs(&self, before: u32, latest: u32, scores: &mut [f32]) {
        let sequences = &*self.sequences;
        let follows_pair = |&position: &usize| {
            position > 0
                && sequences.articles[position - 1] == before
                && sequences.customers[position - 1] == sequences.customers[position]
        };
        let next = sequences
            .positions(latest)
            .filter(follows_pair)
            .filter_map(|at| sequences.later(at, 1));
        let next: Vec<(u32, f32)> = next.collect();
        let total: f32 = next.iter().map(|&(_, weight)| weight).sum();
        // The share of the pair's followers, times the trust in the pair.
        next.into_iter().for_each(|(follower, weight)| {
            scores[follower as usize] += weight / (total + Self::PAIR_PRIOR)
        });
    }
}

impl Scorer for Transitions<'_> {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn kind(&self) -> RowKind {
        RowKind::Baseline
    }

    fn settings(&self) -> String {
        let Settings { reach, decay, pairs } = self.settings;
        let order = if pairs { "first and second order" } else { "first order" };
        format!("{order}, reach {reach}, history decay {decay}")
    }

    fn score(&self, cases: &[Case], scores: &mut [f32]) -> Result<(), EvaluationError> {
        for (case, scores) in cases.iter().zip(scores.chunks_mut(self.popularity.len())) {
            scores.copy_from_slice(&self.popularity);
            let mut counts = 1.0;
            for (article, ..) in self.known.history(case).rev() {
                for &(follower, share) in &self.followers.lists[article as usize] {
                    scores[follower as usize] += counts * share;
                }
                counts *= self.settings.decay;
                if counts < Self::LEAST {
                    break;
                }
            }
            let mut latest = self.known.history(case).rev();
            if let (true, Some(last), Some(before)) =
                (self.settings.pairs, latest.next(), latest.next())
            {
                self.add_pairs(before.0, last.0, scores);
            }
        }
        Ok(())
    }
}

impl<'a> Tunable<'a> for Transitions<'a> {
    type Settings = Settings;
    const USUAL: Settings = Settings { reach: 3, decay: 0.5, pairs: true };

    fn candidates(known: Known<'a>) -> impl Iterator<Item = Self> {
        let sequences = Arc::new(Sequences::of(known));
        let popularity = fill(known);
        [1, 3, 10].into_iter().flat_map(move |reach| {
            let (sequences, popularity) = (sequences.clone(), popularity.clone());
            let followers = Followers::of(&sequences, reach);
            let grid =
                [0.0, 0.5, 0.8, 0.95].into_iter().flat_map(|decay| [(decay, false), (decay, true)]);
            grid.map(move |(decay, pairs)| Self {
                known,
                settings: Settings { reach: followers.reach, decay, pairs },
                sequences: sequences.clone(),
                followers: followers.clone(),
                popularity: popularity.clone(),
            })
        })
    }

    fn chosen(&self) -> Settings {
        self.settings
    }

    fn fit(known: Known<'a>, settings: Settings) -> Self {
        let sequences = Arc::new(Sequences::of(known));
        let followers = Followers::of(&sequences, settings.reach);
        Self { known, settings, sequences, followers, popularity: fill(known) }
    }
}

/// Popularity too small to move what follows anything.
fn fill(known: Known<'_>) -> Arc<[f32]> {
    let shares = Popularity::all_time(known).shares();
    shares.into_iter().map(|share| Transitions::POPULARITY * share).collect()
}
