//! Runs rankers over cases.

use super::{
    EvaluationError, METRICS, Metric, Outcome, Ranker,
    metrics::DEPTH,
    top::{TopSelector, best_rank},
};
use crate::{
    bundle::MetricsRow,
    dataset::{Case, Dataset, Histories, Protocol},
};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// The length of lists whose coverage of the catalogue is reported.
const COVERAGE: usize = 12;
pub(super) const COVERAGE_NAME: &str = "coverage@12";

/// Scores held by one thread at a time: 16 MiB.
const BLOCK_SCORES: usize = 1 << 22;

/// Cases to rank the catalogue for.
#[derive(Clone, Copy)]
pub struct Evaluation<'a> {
    pub dataset: &'a Dataset,
    pub histories: &'a Histories,
    /// Leave-one-out masks the articles a customer already has; a held-out article bought before counts as a miss.
    pub protocol: Protocol,
    pub cases: &'a [Case],
}

/// Sums over a block of cases.
struct Block {
    /// Weighted sum and weight of each of [`METRICS`].
    sums: [(f64, f64); METRICS.len()],
    /// Articles on the first [`COVERAGE`] places.
    shown: Vec<u32>,
}

impl Evaluation<'_> {
    /// The metrics of a ranker: all [`METRICS`] and `coverage@12`, the share of the catalogue that stands on any list.
    /// The same on any number of threads.
    ///
    /// # Errors
    /// [`EvaluationError`] when there are no cases or the ranker fails.
    pub fn row(&self, ranker: &dyn Ranker) -> Result<MetricsRow, EvaluationError> {
        let articles = self.dataset.articles.len();
        if self.cases.is_empty() || articles == 0 {
            return Err(EvaluationError::Nothing("no customer bought anything in the window"));
        }
        let block = (BLOCK_SCORES / articles).clamp(1, 64);
        let blocks = self
            .cases
            .par_chunks(block)
            .map_init(
                || (Vec::new(), TopSelector::new(DEPTH)),
                |(scores, top), cases| self.block(ranker, cases, scores, top),
            )
            .collect::<Result<Vec<Block>, _>>()?;

        let mut sums = [(0.0, 0.0); METRICS.len()];
        let mut shown = vec![false; articles];
        for block in blocks {
            for (sum, part) in sums.iter_mut().zip(block.sums) {
                *sum = (sum.0 + part.0, sum.1 + part.1);
            }
            block.shown.iter().for_each(|&article| shown[article as usize] = true);
        }
        let mut metrics: BTreeMap<String, f64> =
            METRICS.iter().zip(sums).map(|(metric, (sum, weight))| (metric.name(), sum / weight)).collect();
        let covered = shown.iter().filter(|&&shown| shown).count();
        metrics.insert(COVERAGE_NAME.to_owned(), covered as f64 / articles as f64);
        Ok(MetricsRow { name: ranker.name().to_owned(), kind: ranker.kind(), metrics })
    }

    /// One row a ranker.
    ///
    /// # Errors
    /// As [`Self::row`].
    pub fn table(&self, rankers: &[&dyn Ranker]) -> Result<Vec<MetricsRow>, EvaluationError> {
        rankers.iter().map(|&ranker| self.row(ranker)).collect()
    }

    fn block(
        &self,
        ranker: &dyn Ranker,
        cases: &[Case],
        scores: &mut Vec<f32>,
        top: &mut TopSelector,
    ) -> Result<Block, EvaluationError> {
        let articles = self.dataset.articles.len();
        scores.clear();
        scores.resize(cases.len() * articles, 0.0);
        ranker.score(cases, scores)?;
        let mut block = Block { sums: [(0.0, 0.0); METRICS.len()], shown: Vec::with_capacity(cases.len() * COVERAGE) };
        for (case, scores) in cases.iter().zip(scores.chunks_mut(articles)) {
            self.mask(case, scores);
            let list: Vec<u32> = top.select(scores).collect();
            block.shown.extend(list.iter().take(COVERAGE));
            let positions = list.iter().enumerate().filter(|(_, article)| case.relevant.contains(article));
            let hits: Vec<usize> = positions.map(|(position, _)| position).collect();
            let first = hits.first().copied().or_else(|| best_rank(scores, &case.relevant));
            let outcome = Outcome { hits, first, relevant: case.relevant.len() };
            for ((sum, weights), metric) in block.sums.iter_mut().zip(METRICS) {
                let weight = Metric::weight(metric, &outcome);
                *sum += weight * metric.of(&outcome);
                *weights += weight;
            }
        }
        Ok(block)
    }

    fn mask(&self, case: &Case, scores: &mut [f32]) {
        if self.protocol == Protocol::LeaveOneOut {
            for &row in &self.histories.of_customer(case.customer)[..case.known as usize] {
                scores[self.dataset.purchases.article[row as usize] as usize] = f32::NEG_INFINITY;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bundle::RowKind, dataset::Split, dataset::TimeUnit, domain::Timestamp, features::testing};
    use proptest::prelude::*;

    /// Scores by a function of the case and the article.
    struct Fixed<F>(F);

    impl<F: Fn(&Case, u32) -> f32 + Sync> Ranker for Fixed<F> {
        fn name(&self) -> &str {
            "fixed"
        }
        fn kind(&self) -> RowKind {
            RowKind::Bundle
        }
        fn score(&self, cases: &[Case], scores: &mut [f32]) -> Result<(), EvaluationError> {
            let articles = scores.len() / cases.len();
            for (case, scores) in cases.iter().zip(scores.chunks_mut(articles)) {
                scores.iter_mut().enumerate().for_each(|(article, score)| *score = self.0(case, article as u32));
            }
            Ok(())
        }
    }

    fn case(customer: u32, known: u32, relevant: &[u32]) -> Case {
        Case { customer, at: Timestamp(0), known, relevant: relevant.to_vec() }
    }

    #[test]
    fn a_table_by_hand() {
        let mut dataset = testing::shop(0, 300, 2, 2, TimeUnit::Second);
        dataset.purchases.customer = vec![0, 1];
        dataset.purchases.article = vec![0, 5];
        let histories = Histories::of(&dataset);
        // Articles rank by their row. Customer 0 bought article 0.
        let ranker = Fixed(|_: &Case, article| -(article as f32));
        let cases = [case(0, 1, &[1, 299]), case(1, 0, &[5])];
        let protocol = Protocol::Temporal { test_days: 1, validation_days: 0 };
        let evaluation = Evaluation { dataset: &dataset, histories: &histories, protocol, cases: &cases };
        let temporal = evaluation.row(&ranker).unwrap().metrics;
        let close = |value: f64, expected: f64| assert!((value - expected).abs() < 1e-12, "{value} is not {expected}");
        close(temporal["hr@10"], 1.0);
        close(temporal["recall@100"], (0.5 + 1.0) / 2.0);
        close(temporal["mrr"], (1.0 / 2.0 + 1.0 / 6.0) / 2.0);
        close(temporal["map@12"], ((1.0 / 2.0) / 2.0 + 1.0 / 6.0) / 2.0);
        close(temporal["accuracy@5"], 1.0 / 3.0);
        close(temporal["accuracy@10"], 2.0 / 3.0);
        close(temporal["coverage@12"], 12.0 / 300.0);
        let leave = Evaluation { protocol: Protocol::LeaveOneOut, ..evaluation }.row(&ranker).unwrap().metrics;
        close(leave["mrr"], (1.0 + 1.0 / 6.0) / 2.0);
        close(leave["coverage@12"], 13.0 / 300.0);
    }

    #[test]
    fn what_is_never_recommended_is_a_miss() {
        let dataset = testing::shop(0, 300, 2, 0, TimeUnit::Second);
        let histories = Histories::of(&dataset);
        let cases = [case(0, 0, &[7])];
        let protocol = Protocol::LeaveOneOut;
        let evaluation = Evaluation { dataset: &dataset, histories: &histories, protocol, cases: &cases };
        for never in [f32::NEG_INFINITY, f32::NAN] {
            let metrics = evaluation.row(&Fixed(move |_: &Case, a| if a == 7 { never } else { 1.0 })).unwrap().metrics;
            assert!(metrics.iter().all(|(name, &value)| value == 0.0 || name == "coverage@12"), "{metrics:?}");
        }
        assert!(Evaluation { cases: &[], ..evaluation }.row(&Fixed(|_: &Case, _| 0.0)).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn every_metric_agrees_with_a_plain_reference(seed: u64, leave: bool, articles in 2usize..260) {
            let dataset = testing::shop(seed, articles, 90, 900, TimeUnit::Second);
            let histories = Histories::of(&dataset);
            let protocol = if leave { Protocol::LeaveOneOut } else { Protocol::Temporal { test_days: 9, validation_days: 3 } };
            let Ok(split) = Split::new(&dataset, &histories, protocol) else { return Ok(()) };
            // Coarse scores, so that ties decide often.
            let score = move |case: &Case, article: u32| ((u64::from(case.customer) + 7) * (u64::from(article) + seed % 89) % 97 / 3) as f32;
            let evaluation = Evaluation { dataset: &dataset, histories: &histories, protocol, cases: &split.test };
            let row = evaluation.row(&Fixed(score)).unwrap();

            let lists: Vec<Vec<u32>> = split.test.iter().map(|case| {
                let known = &histories.of_customer(case.customer)[..case.known as usize];
                let seen: Vec<u32> = known.iter().map(|&row| dataset.purchases.article[row as usize]).collect();
                let mut list: Vec<u32> = (0..articles as u32).filter(|a| !leave || !seen.contains(a)).collect();
                list.sort_by(|&a, &b| score(case, b).total_cmp(&score(case, a)).then(a.cmp(&b)));
                list
            }).collect();
            let users = split.test.len() as f64;
            let ranks = |case: &Case, list: &[u32]| -> Vec<Option<usize>> { case.relevant.iter().map(|a| list.iter().position(|b| a == b)).collect() };
            let all: Vec<(usize, Vec<Option<usize>>)> = split.test.iter().zip(&lists).map(|(case, list)| (case.relevant.len(), ranks(case, list))).collect();
            let within = |ranks: &[Option<usize>], k: usize| ranks.iter().flatten().filter(|&&r| r < k).count() as f64;
            let expected = [
                ("hr@10", all.iter().map(|(_, r)| within(r, 10).min(1.0)).sum::<f64>() / users),
                ("recall@12", all.iter().map(|(n, r)| within(r, 12) / *n as f64).sum::<f64>() / users),
                ("mrr", all.iter().map(|(_, r)| r.iter().flatten().min().map_or(0.0, |&m| 1.0 / (m as f64 + 1.0))).sum::<f64>() / users),
                ("accuracy@50", all.iter().map(|(_, r)| within(r, 50)).sum::<f64>() / all.iter().map(|(n, _)| *n as f64).sum::<f64>()),
                ("coverage@12", lists.iter().flat_map(|l| l.iter().take(12)).collect::<std::collections::HashSet<_>>().len() as f64 / articles as f64),
            ];
            for (name, value) in expected {
                prop_assert!((row.metrics[name] - value).abs() < 1e-9, "{} is {}, not {}", name, row.metrics[name], value);
            }
        }
    }
}
