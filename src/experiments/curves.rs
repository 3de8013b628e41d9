//! The metrics file of a run, read back.

use serde::Deserialize;
use std::{collections::BTreeMap, path::Path};

/// Loss and validation metrics of a run in the order of training.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Curves {
    /// `(step, loss of its batch)` of the steps of the search that were written down.
    pub steps: Vec<(u32, f64)>,
    /// The same of the refit, which counts its steps from 1 again.
    pub refit_steps: Vec<(u32, f64)>,
    pub epochs: Vec<Epoch>,
}

/// The line at the end of an epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Epoch {
    /// `search`, or `refit` where the model is trained again with the validation purchases.
    pub stage: String,
    /// From 1.
    pub epoch: u32,
    pub step: u32,
    /// Mean over the epoch's batches.
    pub loss: f64,
    pub seconds: f64,
    /// On the validation cases; empty in a refit.
    pub metrics: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct Line {
    stage: String,
    epoch: u32,
    step: u32,
    loss: f64,
    /// Only at the end of an epoch.
    seconds: Option<f64>,
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

impl Epoch {
    /// The epoch a line of the metrics file ends, if it ends one.
    pub fn of_line(line: &serde_json::Value) -> Option<Self> {
        Line::deserialize(line).ok()?.epoch()
    }
}

impl Line {
    fn epoch(self) -> Option<Epoch> {
        let Self { stage, epoch, step, loss, seconds, rest } = self;
        let metrics =
            rest.into_iter().filter_map(|(name, value)| Some((name, value.as_f64()?))).collect();
        Some(Epoch { stage, epoch, step, loss, seconds: seconds?, metrics })
    }
}

impl Curves {
    /// Reads a metrics file; empty when there is none yet. A run that was killed and went on from
    /// its checkpoint wrote some lines twice: the later ones count. Lines that are none are passed
    /// over.
    pub fn read(path: &Path) -> Self {
        Self::parse(&std::fs::read_to_string(path).unwrap_or_default())
    }

    fn parse(text: &str) -> Self {
        // `search` sorts behind `refit`, so the key is whether it is one.
        let (mut steps, mut epochs) = (BTreeMap::new(), BTreeMap::new());
        for line in text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
            let refit = line.stage == "refit";
            if line.seconds.is_none() {
                steps.insert((refit, line.step), line.loss);
            } else if let Some(epoch) = line.epoch() {
                epochs.insert((refit, epoch.epoch), epoch);
            }
        }
        let of = |stage: bool| {
            steps
                .iter()
                .filter(|((refit, _), _)| *refit == stage)
                .map(|((_, step), loss)| (*step, *loss))
                .collect()
        };
        Self { steps: of(false), refit_steps: of(true), epochs: epochs.into_values().collect() }
    }

    /// `(epoch, value)` of a metric where it was validated.
    pub fn validation(&self, metric: &str) -> Vec<(u32, f64)> {
        self.epochs
            .iter()
            .filter_map(|epoch| Some((epoch.epoch, *epoch.metrics.get(metric)?)))
            .collect()
    }

    /// Epoch and value of the best validation; the first of equal ones.
    pub fn best(&self, metric: &str) -> Option<(u32, f64)> {
        self.validation(metric)
            .into_iter()
            .reduce(|best, next| if next.1 > best.1 { next } else { best })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_lines_count_and_broken_ones_do_not() {
        let text = r#"{"stage":"search","epoch":1,"step":100,"loss":9.0}
            {"stage":"search","epoch":1,"step":120,"loss":8.0,"seconds":1.5,"ndcg@10":0.1}
            {"stage":"search","epoch":2,"step":200,"loss":7.5}
            {"stage":"sear
            {"stage":"search","epoch":2,"step":200,"loss":7.0}
            {"stage":"search","epoch":2,"step":240,"loss":6.5,"seconds":1.0,"ndcg@10":0.3,"note":"x"}
            {"stage":"search","epoch":3,"step":360,"loss":6.0,"seconds":1.0,"ndcg@10":0.3}
            {"stage":"refit","epoch":1,"step":100,"loss":9.5}
            {"stage":"refit","epoch":1,"step":130,"loss":8.5,"seconds":1.0}"#;
        let curves = Curves::parse(text);
        assert_eq!(curves.steps, [(100, 9.0), (200, 7.0)]);
        assert_eq!(curves.refit_steps, [(100, 9.5)]);
        let epochs: Vec<_> =
            curves.epochs.iter().map(|e| (e.stage.as_str(), e.epoch, e.loss)).collect();
        assert_eq!(
            epochs,
            [("search", 1, 8.0), ("search", 2, 6.5), ("search", 3, 6.0), ("refit", 1, 8.5)]
        );
        assert_eq!(curves.validation("ndcg@10"), [(1, 0.1), (2, 0.3), (3, 0.3)]);
        assert_eq!((curves.best("ndcg@10"), curves.best("mrr")), (Some((2, 0.3)), None));
        assert_eq!(Curves::read(Path::new("/nowhere/metrics.jsonl")), Curves::default());
    }
}
