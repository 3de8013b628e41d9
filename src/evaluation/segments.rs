//! Parts of a test: customers by how much they bought, articles by whether they sold before.

use super::{Evaluation, Measured, Outcome, Outcomes, top::best_rank};
use crate::dataset::{Case, Protocol};
use serde::Serialize;
use std::collections::BTreeMap;

/// Segments of customers, by their known purchases, and below how many each ends; the last has no
/// upper end.
const CUSTOMERS: [(&str, u32); 4] = [
    ("new customers", 1),
    ("light customers", 10),
    ("regular customers", 100),
    ("heavy customers", u32::MAX),
];
/// Segments of articles: those that sold before the test, and those that did not.
const ARTICLES: [(&str, bool); 2] = [("known articles", true), ("new articles", false)];
const COUNT: usize = CUSTOMERS.len() + ARTICLES.len();

/// What the names mean, for people.
pub const SEGMENTS_EXPLAINED: &str = "customers by their known purchases: new none, light 1 to 9, regular 10 to 99, \
     heavy 100 and more; articles by whether they sold before the test, each segment asks only for its own";

/// How a row did in one segment of the test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SegmentRow {
    pub segment: &'static str,
    /// On average over seeds.
    pub cases: usize,
    pub metrics: BTreeMap<String, f64>,
    pub intervals: BTreeMap<String, [f64; 2]>,
}

/// What became of a ranking's cases, by segment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Segments([Outcomes; COUNT]);

impl Segments {
    pub(super) fn append(&mut self, later: Self) {
        self.0.iter_mut().zip(later.0).for_each(|(own, later)| own.append(later));
    }

    /// Several runs together.
    pub(super) fn pooled(runs: &[&Self]) -> Self {
        let of = |at: usize| {
            Outcomes::pooled(&runs.iter().map(|run| run.0[at].clone()).collect::<Vec<_>>())
        };
        Self(std::array::from_fn(of))
    }
}

impl Measured {
    /// The row by segment, as far as the segments have a case.
    pub fn by_segment(&self) -> Vec<SegmentRow> {
        let names =
            CUSTOMERS.map(|(name, _)| name).into_iter().chain(ARTICLES.map(|(name, _)| name));
        let row = |(segment, outcomes): (&'static str, &Outcomes)| SegmentRow {
            segment,
            cases: outcomes.cases(),
            metrics: outcomes.metrics(),
            intervals: outcomes.intervals(),
        };
        names.zip(&self.segments.0).filter(|(_, outcomes)| !outcomes.is_empty()).map(row).collect()
    }
}

/// Tells the segments of cases.
pub(super) struct Segmenter {
    /// Whether each article sold before the test.
    sold: Vec<bool>,
}

impl Segmenter {
    pub fn new(evaluation: &Evaluation<'_>) -> Self {
        let purchases = &evaluation.dataset.purchases;
        let mut sold = vec![false; evaluation.dataset.articles.len()];
        match evaluation.protocol {
            Protocol::Time { .. } => {
                let begin = evaluation.cases.iter().map(|case| case.at).min().unwrap_or_default();
                let before = purchases.time.partition_point(|&time| time < begin);
                purchases.article[..before]
                    .iter()
                    .for_each(|&article| sold[article as usize] = true);
            }
            Protocol::LeaveOneOut { .. } => {
                for customer in 0..evaluation.histories.customers() as u32 {
                    let rows = evaluation.histories.of_customer(customer);
                    // Shorter histories hold nothing out.
                    let known = if rows.len() < 3 { rows.len() } else { rows.len() - 1 };
                    rows[..known]
                        .iter()
                        .for_each(|&row| sold[purchases.article[row as usize] as usize] = true);
                }
            }
        }
        Self { sold }
    }

    /// Files the outcome of a case. `list` holds the first articles of its ranking, `scores` all
    /// scores.
    pub fn file(
        &self,
        case: &Case,
        list: &[u32],
        scores: &[f32],
        outcome: &Outcome,
        to: &mut Segments,
    ) {
        let of_customer = CUSTOMERS.iter().position(|&(_, until)| case.known < until);
        to.0[of_customer.unwrap_or(CUSTOMERS.len() - 1)].push(case.customer, outcome);
        for (at, (_, sold)) in ARTICLES.into_iter().enumerate() {
            let asked = case
                .relevant
                .iter()
                .copied()
                .filter(|&article| self.sold[article as usize] == sold);
            let relevant: Vec<u32> = asked.collect();
            let place = CUSTOMERS.len() + at;
            match relevant.len() {
                0 => {}
                all if all == outcome.relevant => to.0[place].push(case.customer, outcome),
                some => {
                    let of_part = |&place: &usize| relevant.contains(&list[place]);
                    let hits: Vec<usize> = outcome.hits.iter().copied().filter(of_part).collect();
                    let first = hits.first().copied().or_else(|| best_rank(scores, &relevant));
                    to.0[place].push(case.customer, &Outcome { hits, first, relevant: some });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bundle::RowKind,
        dataset::{Histories, TimeUnit},
        domain::Timestamp,
        evaluation::{EvaluationError, Scorer},
        features::testing,
    };

    /// Ranks articles by their rows.
    struct ByRow;

    impl Scorer for ByRow {
        fn name(&self) -> &str {
            "by row"
        }
        fn kind(&self) -> RowKind {
            RowKind::Baseline
        }
        fn score(&self, cases: &[Case], scores: &mut [f32]) -> Result<(), EvaluationError> {
            let articles = scores.len() / cases.len();
            scores
                .iter_mut()
                .enumerate()
                .for_each(|(at, score)| *score = -((at % articles) as f32));
            Ok(())
        }
    }

    #[test]
    fn every_case_is_in_one_segment_of_customers_and_every_article_in_one_of_articles() {
        let mut dataset = testing::shop(0, 40, 3, 0, TimeUnit::Day);
        dataset.purchases.customer = vec![0, 1, 2];
        dataset.purchases.article = vec![1, 2, 30];
        dataset.purchases.time = vec![Timestamp(0), Timestamp(1), Timestamp(9)];
        let histories = Histories::of(&dataset);
        let case = |customer, relevant: &[u32]| {
            let known = if customer == 2 { 0 } else { 1 };
            Case { customer, at: Timestamp(9), known, relevant: relevant.to_vec() }
        };
        let cases = [case(0, &[1, 30]), case(1, &[2]), case(2, &[39])];
        let protocol = Protocol::time(1, 0);
        let evaluation =
            Evaluation { dataset: &dataset, histories: &histories, protocol, cases: &cases };
        let measured = evaluation.measure(&ByRow).unwrap();
        let check = |measured: &Measured, expected: &[(&str, usize, f64, f64)]| {
            let rows = measured.by_segment();
            assert_eq!(rows.len(), expected.len(), "{rows:?}");
            for (row, &(segment, cases, recall, rank)) in rows.iter().zip(expected) {
                assert_eq!((row.segment, row.cases), (segment, cases));
                let close = |metric: &str, value: f64| (row.metrics[metric] - value).abs() < 1e-9;
                assert!(close("recall@12", recall) && close("mrr", rank), "{row:?}");
            }
        };
        let expected = [
            ("new customers", 1, 0.0, 1.0 / 40.0),
            ("light customers", 2, 0.75, (1.0 / 2.0 + 1.0 / 3.0) / 2.0),
            ("known articles", 2, 1.0, (1.0 / 2.0 + 1.0 / 3.0) / 2.0),
            // The purchase of the test itself does not make an article known.
            ("new articles", 2, 0.0, (1.0 / 31.0 + 1.0 / 40.0) / 2.0),
        ];
        check(&measured, &expected);
        assert!(measured.by_segment().iter().all(|row| row.intervals.contains_key("recall@12")));
        // Two seeds of the same: the same means, the same number of cases.
        check(&Measured::pooled(&[measured.clone(), measured]).unwrap(), &expected);
    }
}
