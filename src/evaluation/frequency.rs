//! The family `frequency` as a scorer: the customer's own articles as the server ranks them, then
//! the popular ones.

use super::{EvaluationError, Scorer};
use crate::{
    bundle::RowKind,
    counters::PersonalFrequency,
    dataset::{Case, Dataset, Histories},
};

/// Scores stand for places: own articles have whole numbers from 2 on, all others a share of the
/// best seller's sales.
pub struct FrequencyScorer<'a> {
    name: String,
    personal: PersonalFrequency,
    /// From 0 to 1, by article of the dataset; `-inf` for articles that are never recommended.
    popularity: Vec<f32>,
    dataset: &'a Dataset,
    histories: &'a Histories,
}

impl<'a> FrequencyScorer<'a> {
    /// `popularity`: how well each article of the dataset sells; `None` for articles that are never
    /// recommended.
    pub fn new(
        name: &str,
        personal: PersonalFrequency,
        popularity: impl Iterator<Item = Option<f32>>,
        dataset: &'a Dataset,
        histories: &'a Histories,
    ) -> Self {
        let popularity: Vec<f32> =
            popularity.map(|sales| sales.unwrap_or(f32::NEG_INFINITY)).collect();
        let most = popularity.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        let popularity = popularity.into_iter().map(|sales| sales / most).collect();
        Self { name: name.to_owned(), personal, popularity, dataset, histories }
    }

    /// The customer's own articles by what the case knows, as the baselines count them.
    fn own(&self, case: &Case) -> Vec<(u32, f32)> {
        let purchases = &self.dataset.purchases;
        let known = &self.histories.of_customer(case.customer)[..case.known as usize];
        let bought = |&row: &u32| {
            (
                purchases.article[row as usize],
                purchases.time[row as usize],
                purchases.weight_of(row),
            )
        };
        self.personal.scores(known.iter().map(bought), case.at)
    }
}

impl Scorer for FrequencyScorer<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> RowKind {
        RowKind::Bundle
    }

    fn score(&self, cases: &[Case], scores: &mut [f32]) -> Result<(), EvaluationError> {
        for (case, scores) in
            cases.iter().zip(scores.chunks_exact_mut(self.popularity.len().max(1)))
        {
            scores.copy_from_slice(&self.popularity);
            let own = self.own(case);
            for (place, (article, _)) in own.iter().enumerate() {
                let score = &mut scores[*article as usize];
                if *score > f32::NEG_INFINITY {
                    *score = (own.len() - place + 1) as f32;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dataset::TimeUnit, domain::Timestamp, features::testing};

    #[test]
    fn own_articles_come_first_and_popular_ones_after_them() {
        let mut dataset = testing::shop(0, 5, 2, 0, TimeUnit::Day);
        for (customer, article, day) in [(0, 3, 1), (0, 1, 5), (0, 3, 30), (1, 4, 1), (0, 0, 31)] {
            dataset.purchases.customer.push(customer);
            dataset.purchases.article.push(article);
            dataset.purchases.time.push(Timestamp(day * Timestamp::DAY));
        }
        let histories = Histories::of(&dataset);
        let personal = PersonalFrequency { half_life_days: Some(10.0) };
        let sales = [Some(1.0), Some(0.0), Some(4.0), Some(2.0), None];
        let scorer = FrequencyScorer::new("own", personal, sales.into_iter(), &dataset, &histories);
        let case = |customer, known, day| Case {
            customer,
            at: Timestamp(day * Timestamp::DAY),
            known,
            relevant: vec![0],
        };
        let mut scores = [f32::NAN; 15];
        scorer.score(&[case(0, 3, 31), case(1, 1, 31), case(0, 2, 30)], &mut scores).unwrap();
        let never = f32::NEG_INFINITY;
        assert_eq!(scores[..5], [0.25, 2.0, 1.0, 3.0, never], "article 0 is not known yet");
        assert_eq!(
            scores[5..10],
            [0.25, 0.0, 1.0, 0.5, never],
            "an article that is never recommended, own or not"
        );
        assert_eq!(
            scores[10..],
            [0.25, 3.0, 1.0, 2.0, never],
            "a day before, the latest purchase counts most"
        );
    }
}
