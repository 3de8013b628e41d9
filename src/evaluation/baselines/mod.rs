//! The rankings a model must beat, as the field uses them.

mod item_knn;
mod last_purchases;
mod popularity;

pub use item_knn::ItemKnn;
pub use last_purchases::LastPurchases;
pub use popularity::Popularity;

use super::Ranker;
use crate::dataset::{Dataset, Histories};

/// What a baseline may learn from.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    pub dataset: &'a Dataset,
    pub histories: &'a Histories,
    /// Purchase rows, ascending; usually everything before the cases.
    pub train: &'a [u32],
}

/// The names on the command line and in reports.
pub const NAMES: [&str; 4] = [Popularity::NAME, Popularity::RECENT, ItemKnn::NAME, LastPurchases::NAME];

/// Makes a baseline by its name; `None` when there is none of that name.
pub fn baseline<'a>(name: &str, known: Known<'a>) -> Option<Box<dyn Ranker + 'a>> {
    Some(match name {
        Popularity::NAME => Box::new(Popularity::of_all(known)),
        Popularity::RECENT => Box::new(Popularity::recent(known)),
        ItemKnn::NAME => Box::new(ItemKnn::of(known)),
        LastPurchases::NAME => Box::new(LastPurchases::new(known)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dataset::{Case, TimeUnit},
        domain::Timestamp,
        features::testing,
    };
    use proptest::prelude::*;
    use std::collections::HashSet;

    /// 4 articles, 3 customers, purchases `(customer, article, day)`.
    fn dataset(rows: &[(u32, u32, u32)], time_unit: TimeUnit) -> Dataset {
        let mut dataset = testing::shop(0, 4, 3, 0, time_unit);
        for &(customer, article, time) in rows {
            dataset.purchases.customer.push(customer);
            dataset.purchases.article.push(article);
            let seconds = if time_unit == TimeUnit::Position { time } else { time * Timestamp::DAY };
            dataset.purchases.time.push(Timestamp(seconds));
        }
        dataset
    }

    fn scores(name: &str, dataset: &Dataset, train: &[u32], customer: u32, known: u32) -> Vec<f32> {
        let histories = &Histories::of(dataset);
        let case = Case { customer, at: Timestamp(0), known, relevant: vec![0] };
        let mut scores = vec![f32::NAN; 2 * dataset.articles.len()];
        let ranker = baseline(name, Known { dataset, histories, train }).unwrap();
        assert_eq!(ranker.name(), name);
        ranker.score(&[case.clone(), case], &mut scores).unwrap();
        let second = scores.split_off(dataset.articles.len());
        assert_eq!(scores, second);
        scores
    }

    #[test]
    fn popularity_counts_training_purchases() {
        let data = dataset(&[(0, 1, 1), (0, 1, 2), (1, 3, 9), (1, 0, 10), (2, 0, 16), (2, 2, 17)], TimeUnit::Day);
        assert_eq!(scores("popularity", &data, &[0, 1, 2, 3, 4], 0, 0), [2.0, 2.0, 0.0, 1.0]);
        assert_eq!(scores("recent-popularity", &data, &[0, 1, 2, 3, 4], 0, 0), [2.0, 0.0, 0.0, 0.0]);
        let rows: Vec<_> = (0..11).map(|t| (0, 2, t)).chain([(0, 1, 11), (0, 3, 12), (1, 0, 0)]).collect();
        let data = dataset(&rows, TimeUnit::Position);
        let train: Vec<u32> = (0..14).filter(|&row| row != 12).collect();
        // Twelve training purchases of customer 0 make two recent ones, one of customer 1 makes one.
        assert_eq!(scores("recent-popularity", &data, &train, 0, 0), [1.0, 1.0, 1.0, 0.0]);
    }

    #[test]
    fn last_purchases_stand_first_the_latest_on_top() {
        let data =
            dataset(&[(1, 3, 1), (1, 3, 2), (1, 3, 3), (0, 0, 4), (0, 1, 5), (0, 0, 6), (0, 2, 7)], TimeUnit::Second);
        let scores = scores("last-purchases", &data, &[0, 1, 2, 3, 4, 5], 0, 3);
        assert!(scores[0] > scores[1] && scores[1] > scores[3] && scores[3] > scores[2], "{scores:?}");
    }

    #[test]
    fn unknown_names_are_none() {
        let data = dataset(&[], TimeUnit::Day);
        let histories = Histories::of(&data);
        let known = Known { dataset: &data, histories: &histories, train: &[] };
        assert!(baseline("oracle", known).is_none());
        assert!(NAMES.iter().all(|name| baseline(name, known).is_some()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn item_knn_agrees_with_a_plain_reference(seed: u64, neighbours in 1usize..40) {
            let dataset = testing::shop(seed, 30, 25, 200, TimeUnit::Second);
            let histories = Histories::of(&dataset);
            let train: Vec<u32> = (0..150).collect();
            let buyers = |article: u32| -> HashSet<u32> {
                train.iter().filter(|&&r| dataset.purchases.article[r as usize] == article).map(|&r| dataset.purchases.customer[r as usize]).collect()
            };
            let cosine = |a: u32, b: u32| {
                let (x, y) = (buyers(a), buyers(b));
                let both = x.intersection(&y).count() as f64;
                if both == 0.0 { 0.0 } else { (both / (x.len() as f64 * y.len() as f64).sqrt()) as f32 }
            };
            let customer = (seed % 25) as u32;
            let rows = histories.of_customer(customer);
            let known = rows.iter().filter(|&&row| row < 150).count();
            let mut expected = [0.0f32; 30];
            for own in rows[..known].iter().map(|&row| dataset.purchases.article[row as usize]).collect::<HashSet<_>>() {
                let mut others: Vec<(f32, u32)> = (0..30).filter(|&b| b != own).map(|b| (cosine(own, b), b)).collect();
                others.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
                others.iter().take(neighbours).for_each(|&(cosine, other)| expected[other as usize] += cosine);
            }
            let ranker = ItemKnn::new(Known { dataset: &dataset, histories: &histories, train: &train }, neighbours);
            let case = Case { customer, at: Timestamp(0), known: known as u32, relevant: vec![0] };
            let mut scores = [f32::NAN; 30];
            ranker.score(&[case], &mut scores).unwrap();
            for (score, expected) in scores.iter().zip(expected) {
                prop_assert!((score - expected).abs() < 1e-5, "{} is not {}", score, expected);
            }
        }
    }
}
