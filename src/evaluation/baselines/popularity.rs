use super::Known;
use crate::{
    bundle::RowKind,
    dataset::{Case, TimeUnit},
    evaluation::{EvaluationError, Ranker},
};

/// Ranks by the number of purchases, the same for everybody.
pub struct Popularity {
    name: &'static str,
    counts: Vec<f32>,
}

impl Popularity {
    pub const NAME: &'static str = "popularity";
    pub const RECENT: &'static str = "recent-popularity";
    const RECENT_DAYS: u32 = 7;

    /// Over all training purchases.
    pub fn of_all(known: Known<'_>) -> Self {
        Self::over(Self::NAME, known, known.train.iter().copied())
    }

    /// Over the last 7 days of training; where only an order is known, over the last tenth of each customer's
    /// training purchases (at least one).
    pub fn recent(known: Known<'_>) -> Self {
        let time = &known.dataset.purchases.time;
        if known.dataset.time_unit != TimeUnit::Position {
            let last = known.train.last().map_or(0, |&row| time[row as usize].day());
            let first = known.train.partition_point(|&row| time[row as usize].day() + Self::RECENT_DAYS <= last);
            return Self::over(Self::RECENT, known, known.train[first..].iter().copied());
        }
        let mut rows = Vec::new();
        for customer in 0..known.histories.customers() as u32 {
            let history = known.histories.of_customer(customer);
            let train: Vec<u32> =
                history.iter().copied().filter(|row| known.train.binary_search(row).is_ok()).collect();
            rows.extend_from_slice(&train[train.len() - train.len().div_ceil(10)..]);
        }
        Self::over(Self::RECENT, known, rows.into_iter())
    }

    fn over(name: &'static str, known: Known<'_>, rows: impl Iterator<Item = u32>) -> Self {
        let mut counts = vec![0u32; known.dataset.articles.len()];
        for row in rows {
            counts[known.dataset.purchases.article[row as usize] as usize] += 1;
        }
        Self { name, counts: counts.into_iter().map(|count| count as f32).collect() }
    }
}

impl Ranker for Popularity {
    fn name(&self) -> &str {
        self.name
    }

    fn kind(&self) -> RowKind {
        RowKind::Baseline
    }

    fn score(&self, _cases: &[Case], scores: &mut [f32]) -> Result<(), EvaluationError> {
        scores.chunks_mut(self.counts.len()).for_each(|scores| scores.copy_from_slice(&self.counts));
        Ok(())
    }
}
