//! Metrics of ranked lists with binary relevance.

/// What a ranking made of one case.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Positions (from 0, rising) of relevant articles among the first `DEPTH`, 100.
    pub hits: Vec<usize>,
    /// Position of the first relevant article in the whole ranking; `None` when no relevant one is
    /// ranked.
    pub first: Option<usize>,
    /// Number of relevant articles, at least 1.
    pub relevant: usize,
}

/// How deep the lists behind the metrics go.
pub const DEPTH: usize = 100;

/// A metric of one case; a report averages it over cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Share of the relevant articles among the first k.
    Recall(usize),
    /// 1 when a relevant article is among the first k.
    HitRate(usize),
    /// Σ 1/log₂(position + 2) of the hits among the first k, over the same sum of the best possible
    /// list (Järvelin & Kekäläinen 2002).
    Ndcg(usize),
    /// Mean over hits among the first k of the precision at the hit, the sum divided by min(k,
    /// relevant): the measure of the H&M competition for k = 12.
    MeanAveragePrecision(usize),
    /// 1 / rank of the first relevant article in the whole catalogue.
    ReciprocalRank,
    /// Factorised top-k categorical accuracy: each article bought is a query of its own and counts
    /// 1 when it is among the first k. Averaged over articles bought, not over cases.
    Accuracy(usize),
}

/// The metrics of every report; `coverage@12` comes on top.
pub const METRICS: [Metric; 15] = [
    Metric::HitRate(10),
    Metric::HitRate(12),
    Metric::HitRate(100),
    Metric::Recall(10),
    Metric::Recall(12),
    Metric::Recall(100),
    Metric::Ndcg(10),
    Metric::Ndcg(12),
    Metric::MeanAveragePrecision(12),
    Metric::ReciprocalRank,
    Metric::Accuracy(1),
    Metric::Accuracy(5),
    Metric::Accuracy(10),
    Metric::Accuracy(50),
    Metric::Accuracy(100),
];

impl Metric {
    /// Its name in reports, such as `ndcg@10`.
    pub fn name(self) -> String {
        match self {
            Self::Recall(k) => format!("recall@{k}"),
            Self::HitRate(k) => format!("hr@{k}"),
            Self::Ndcg(k) => format!("ndcg@{k}"),
            Self::MeanAveragePrecision(k) => format!("map@{k}"),
            Self::ReciprocalRank => "mrr".to_owned(),
            Self::Accuracy(k) => format!("accuracy@{k}"),
        }
    }

    /// The metric's value for a case, to be averaged with weight [`Self::weight`].
    pub fn of(self, outcome: &Outcome) -> f64 {
        let hits = |k: usize| outcome.hits.iter().take_while(move |&&position| position < k);
        let relevant = outcome.relevant as f64;
        let discount = |position: usize| 1.0 / (position as f64 + 2.0).log2();
        match self {
            Self::Recall(k) | Self::Accuracy(k) => hits(k).count() as f64 / relevant,
            Self::HitRate(k) => f64::from(hits(k).next().is_some()),
            Self::Ndcg(k) => {
                let best: f64 = (0..k.min(outcome.relevant)).map(discount).sum();
                hits(k).map(|&position| discount(position)).sum::<f64>() / best
            }
            Self::MeanAveragePrecision(k) => {
                let precisions = hits(k)
                    .enumerate()
                    .map(|(before, &position)| (before + 1) as f64 / (position + 1) as f64);
                precisions.sum::<f64>() / k.min(outcome.relevant) as f64
            }
            Self::ReciprocalRank => {
                outcome.first.map_or(0.0, |position| 1.0 / (position + 1) as f64)
            }
        }
    }

    /// The weight of a case in the average.
    pub fn weight(self, outcome: &Outcome) -> f64 {
        match self {
            Self::Accuracy(_) => outcome.relevant as f64,
            _ => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relevant articles at positions 1, 3 and 20, and one never ranked.
    fn outcome() -> Outcome {
        Outcome { hits: vec![1, 3, 20], first: Some(1), relevant: 4 }
    }

    #[track_caller]
    fn check(metric: Metric, outcome: &Outcome, expected: f64) {
        let value = metric.of(outcome);
        assert!((value - expected).abs() < 1e-12, "{} is {value}, not {expected}", metric.name());
    }

    #[test]
    fn recall_hit_rate_and_accuracy() {
        check(Metric::Recall(1), &outcome(), 0.0);
        check(Metric::Recall(2), &outcome(), 0.25);
        check(Metric::Recall(20), &outcome(), 0.5);
        check(Metric::Recall(100), &outcome(), 0.75);
        check(Metric::HitRate(1), &outcome(), 0.0);
        check(Metric::HitRate(2), &outcome(), 1.0);
        check(Metric::Accuracy(5), &outcome(), 0.5);
        assert_eq!(
            (Metric::Accuracy(5).weight(&outcome()), Metric::Recall(5).weight(&outcome())),
            (4.0, 1.0)
        );
    }

    #[test]
    fn ndcg() {
        let gain = 1.0 / 3f64.log2() + 1.0 / 5f64.log2();
        let best_of_four = 1.0 + 1.0 / 3f64.log2() + 0.5 + 1.0 / 5f64.log2();
        check(Metric::Ndcg(10), &outcome(), gain / best_of_four);
        let best_of_two = 1.0 + 1.0 / 3f64.log2();
        check(Metric::Ndcg(2), &outcome(), (1.0 / 3f64.log2()) / best_of_two);
        check(Metric::Ndcg(10), &Outcome { hits: vec![0], first: Some(0), relevant: 1 }, 1.0);
        check(Metric::Ndcg(10), &Outcome { hits: vec![2], first: Some(2), relevant: 1 }, 0.5);
    }

    #[test]
    fn map_as_in_the_competition() {
        // Precision 1/2 at the second place and 2/4 at the fourth, over min(12, 4).
        check(Metric::MeanAveragePrecision(12), &outcome(), (0.5 + 0.5) / 4.0);
        // 20 relevant articles, a full list of hits: 1, not 12/20.
        check(
            Metric::MeanAveragePrecision(12),
            &Outcome { hits: (0..12).collect(), first: Some(0), relevant: 20 },
            1.0,
        );
    }

    #[test]
    fn reciprocal_rank_looks_beyond_the_list() {
        check(Metric::ReciprocalRank, &outcome(), 0.5);
        check(
            Metric::ReciprocalRank,
            &Outcome { hits: vec![], first: Some(499), relevant: 1 },
            0.002,
        );
        check(Metric::ReciprocalRank, &Outcome { hits: vec![], first: None, relevant: 1 }, 0.0);
    }

    #[test]
    fn no_metric_looks_deeper_than_the_lists() {
        for metric in METRICS {
            if let Metric::Recall(k) | Metric::HitRate(k) | Metric::Ndcg(k) | Metric::Accuracy(k) =
                metric
            {
                assert!(k <= DEPTH);
            }
        }
    }
}
