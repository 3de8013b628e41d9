//! Runs rankers over cases.

use super::{
    EvaluationError, Outcome, Outcomes, Scorer, Segments,
    metrics::DEPTH,
    segments::Segmenter,
    top::{TopSelector, best_rank},
};
use crate::{
    bundle::MetricsRow,
    dataset::{Case, Dataset, Histories, Protocol, Repeats},
};
use rayon::prelude::*;

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
    /// [`Repeats::Drop`] masks the articles a customer already has.
    pub protocol: Protocol,
    pub cases: &'a [Case],
}

/// A row of the table with what it was averaged from.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    pub row: MetricsRow,
    pub outcomes: Outcomes,
    pub segments: Segments,
}

impl Measured {
    /// Several runs (seeds) of one system as one row: means, and intervals over customers and runs.
    /// `None` without a run.
    pub fn pooled(runs: &[Self]) -> Option<Self> {
        let first = runs.first()?;
        let outcomes =
            Outcomes::pooled(&runs.iter().map(|run| run.outcomes.clone()).collect::<Vec<_>>());
        let mut row = first.row.clone();
        for (name, value) in &mut row.metrics {
            let values = runs.iter().filter_map(|run| run.row.metrics.get(name));
            *value = values.sum::<f64>() / runs.len() as f64;
        }
        row.metrics.extend(outcomes.metrics());
        row.intervals = outcomes.intervals();
        row.seconds = row.seconds.map(|_| {
            runs.iter().filter_map(|run| run.row.seconds).sum::<f64>() / runs.len() as f64
        });
        let mut settings: Vec<&str> = runs.iter().map(|run| run.row.settings.as_str()).collect();
        settings.dedup();
        row.settings = settings.join(" | ");
        let segments = Segments::pooled(&runs.iter().map(|run| &run.segments).collect::<Vec<_>>());
        Some(Self { row, outcomes, segments })
    }
}

/// What became of a block of cases.
struct Block {
    outcomes: Outcomes,
    segments: Segments,
    /// Articles on the first [`COVERAGE`] places.
    shown: Vec<u32>,
}

impl Evaluation<'_> {
    /// The metrics of a scorer: all [`super::METRICS`] and `coverage@12`, the share of the
    /// catalogue that stands on any list. The same on any number of threads.
    ///
    /// # Errors
    /// [`EvaluationError`] when there are no cases or the scorer fails.
    pub fn row(&self, scorer: &dyn Scorer) -> Result<MetricsRow, EvaluationError> {
        Ok(self.outcomes(scorer)?.row)
    }

    /// The same with 95 % intervals and what they were drawn from.
    ///
    /// # Errors
    /// As [`Self::row`].
    pub fn measure(&self, scorer: &dyn Scorer) -> Result<Measured, EvaluationError> {
        let mut measured = self.outcomes(scorer)?;
        measured.row.intervals = measured.outcomes.intervals();
        Ok(measured)
    }

    /// [`Self::measure`] without the intervals.
    ///
    /// # Errors
    /// As [`Self::row`].
    pub fn outcomes(&self, scorer: &dyn Scorer) -> Result<Measured, EvaluationError> {
        let articles = self.dataset.articles.len();
        if self.cases.is_empty() || articles == 0 {
            return Err(EvaluationError::Nothing("no customer bought anything in the window"));
        }
        let block = (BLOCK_SCORES / articles).clamp(1, 64);
        let segmenter = Segmenter::new(self);
        let blocks = self
            .cases
            .par_chunks(block)
            .map_init(
                || (Vec::new(), TopSelector::new(DEPTH)),
                |(scores, top), cases| self.block(scorer, &segmenter, cases, scores, top),
            )
            .collect::<Result<Vec<Block>, _>>()?;

        let (mut outcomes, mut segments) = (Outcomes::default(), Segments::default());
        let mut shown = vec![false; articles];
        for block in blocks {
            outcomes.append(block.outcomes);
            segments.append(block.segments);
            block.shown.iter().for_each(|&article| shown[article as usize] = true);
        }
        let mut metrics = outcomes.metrics();
        let covered = shown.iter().filter(|&&shown| shown).count();
        metrics.insert(COVERAGE_NAME.to_owned(), covered as f64 / articles as f64);
        let row = MetricsRow {
            settings: scorer.settings(),
            ..MetricsRow::new(scorer.name(), scorer.kind(), metrics)
        };
        Ok(Measured { row, outcomes, segments })
    }

    fn block(
        &self,
        scorer: &dyn Scorer,
        segmenter: &Segmenter,
        cases: &[Case],
        scores: &mut Vec<f32>,
        top: &mut TopSelector,
    ) -> Result<Block, EvaluationError> {
        let articles = self.dataset.articles.len();
        scores.clear();
        scores.resize(cases.len() * articles, 0.0);
        scorer.score(cases, scores)?;
        let shown = Vec::with_capacity(cases.len() * COVERAGE);
        let mut block =
            Block { outcomes: Outcomes::default(), segments: Segments::default(), shown };
        for (case, scores) in cases.iter().zip(scores.chunks_mut(articles)) {
            self.mask(case, scores);
            let list: Vec<u32> = top.select(scores).collect();
            block.shown.extend(list.iter().take(COVERAGE));
            let positions =
                list.iter().enumerate().filter(|(_, article)| case.relevant.contains(article));
            let hits: Vec<usize> = positions.map(|(position, _)| position).collect();
            let first = hits.first().copied().or_else(|| best_rank(scores, &case.relevant));
            let outcome = Outcome { hits, first, relevant: case.relevant.len() };
            segmenter.file(case, &list, scores, &outcome, &mut block.segments);
            block.outcomes.push(case.customer, &outcome);
        }
        Ok(block)
    }

    fn mask(&self, case: &Case, scores: &mut [f32]) {
        if self.protocol.repeats() == Repeats::Drop {
            for &row in &self.histories.of_customer(case.customer)[..case.known as usize] {
                scores[self.dataset.purchases.article[row as usize] as usize] = f32::NEG_INFINITY;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bundle::RowKind, dataset::Split, dataset::TimeUnit, domain::Timestamp, features::testing,
    };
    use proptest::prelude::*;

    /// Scores by a function of the case and the article.
    struct Fixed<F>(F);

    impl<F: Fn(&Case, u32) -> f32 + Sync> Scorer for Fixed<F> {
        fn name(&self) -> &str {
            "fixed"
        }
        fn kind(&self) -> RowKind {
            RowKind::Bundle
        }
        fn score(&self, cases: &[Case], scores: &mut [f32]) -> Result<(), EvaluationError> {
            let articles = scores.len() / cases.len();
            for (case, scores) in cases.iter().zip(scores.chunks_mut(articles)) {
                scores
                    .iter_mut()
                    .enumerate()
                    .for_each(|(article, score)| *score = self.0(case, article as u32));
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
        let protocol = Protocol::time(1, 0);
        let evaluation =
            Evaluation { dataset: &dataset, histories: &histories, protocol, cases: &cases };
        let temporal = evaluation.row(&ranker).unwrap().metrics;
        let close = |value: f64, expected: f64| {
            assert!((value - expected).abs() < 1e-12, "{value} is not {expected}")
        };
        close(temporal["hr@10"], 1.0);
        close(temporal["recall@100"], (0.5 + 1.0) / 2.0);
        close(temporal["mrr"], (1.0 / 2.0 + 1.0 / 6.0) / 2.0);
        close(temporal["map@12"], ((1.0 / 2.0) / 2.0 + 1.0 / 6.0) / 2.0);
        close(temporal["accuracy@5"], 1.0 / 3.0);
        close(temporal["accuracy@10"], 2.0 / 3.0);
        close(temporal["coverage@12"], 12.0 / 300.0);
        let leave = Evaluation { protocol: Protocol::leave_one_out(), ..evaluation }
            .row(&ranker)
            .unwrap()
            .metrics;
        close(leave["mrr"], (1.0 + 1.0 / 6.0) / 2.0);
        close(leave["coverage@12"], 13.0 / 300.0);
    }

    #[test]
    fn what_is_never_recommended_is_a_miss() {
        let dataset = testing::shop(0, 300, 2, 0, TimeUnit::Second);
        let histories = Histories::of(&dataset);
        let cases = [case(0, 0, &[7])];
        let protocol = Protocol::leave_one_out();
        let evaluation =
            Evaluation { dataset: &dataset, histories: &histories, protocol, cases: &cases };
        for never in [f32::NEG_INFINITY, f32::NAN] {
            let metrics = evaluation
                .row(&Fixed(move |_: &Case, a| if a == 7 { never } else { 1.0 }))
                .unwrap()
                .metrics;
            assert!(
                metrics.iter().all(|(name, &value)| value == 0.0 || name == "coverage@12"),
                "{metrics:?}"
            );
        }
        assert!(Evaluation { cases: &[], ..evaluation }.row(&Fixed(|_: &Case, _| 0.0)).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn every_metric_agrees_with_a_plain_reference(seed: u64, leave: bool, articles in 2usize..260) {
            let dataset = testing::shop(seed, articles, 90, 900, TimeUnit::Second);
            let histories = Histories::of(&dataset);
            let protocol = if leave { Protocol::leave_one_out() } else { Protocol::time(9, 3) };
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
