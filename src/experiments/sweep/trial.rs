//! A trial as its folder tells, and while it runs.

use super::Definition;
use crate::experiments::{Epoch, Run, Status};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, PoisonError},
};

/// Values by configuration key.
pub(super) type Values = BTreeMap<String, toml::Value>;

/// An ended trial.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trial {
    pub number: usize,
    pub values: BTreeMap<String, serde_json::Value>,
    /// [`Status::Finished`], [`Status::Pruned`] or [`Status::Failed`].
    pub status: Status,
    /// The validation metric: of the epoch that the model would have been kept from, or the best
    /// before it was pruned.
    pub result: Option<f64>,
    /// The best validation up to each epoch.
    #[serde(skip)]
    pub by_epoch: Vec<f64>,
    /// Why it was pruned or failed.
    pub reason: Option<String>,
}

impl Trial {
    /// `None` while it runs and when it was stopped or killed.
    pub(super) fn of_run(run: &Run) -> Option<Self> {
        let outcome = run.outcome.as_ref()?;
        let ended = matches!(outcome.status, Status::Finished | Status::Pruned | Status::Failed);
        let values = run.curves().validation(outcome.metric.as_deref().unwrap_or_default());
        ended.then(|| Self {
            number: run.record.member.as_ref().map_or(0, |member| member.number),
            values: run.record.parameters.clone(),
            status: outcome.status,
            result: outcome.validation,
            by_epoch: running_best(values.into_iter().map(|(_, value)| value)),
            reason: outcome.reason.clone(),
        })
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trial {} {}", self.number, self.status.name())?;
        if let Some(result) = self.result {
            write!(f, " {result:.4}")?;
        }
        for (at, (key, value)) in self.values.iter().enumerate() {
            write!(f, "{}{key}={value}", if at == 0 { ": " } else { " " })?;
        }
        if let Some(reason) = &self.reason {
            write!(f, " ({reason})")?;
        }
        Ok(())
    }
}

/// The validation of a running trial, epoch by epoch.
#[derive(Default)]
pub(super) struct Progress {
    values: Mutex<Vec<(u32, f64)>>,
}

impl Progress {
    /// Takes in a line of the metrics file; the best up to each epoch so far, when the line ended a
    /// validated one.
    pub(super) fn line(&self, line: &serde_json::Value, metric: &str) -> Option<Vec<f64>> {
        let epoch = Epoch::of_line(line)?;
        let value = *epoch.metrics.get(metric)?;
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.push((epoch.epoch, value));
        Some(running_best(values.iter().map(|(_, value)| *value)))
    }

    /// Epoch and value that count at the end: the best where there is patience, which keeps it,
    /// else the last.
    pub(super) fn result(&self, patience: u32) -> Option<(u32, f64)> {
        if patience > 0 { self.best() } else { self.values().last().copied() }
    }

    pub(super) fn best(&self) -> Option<(u32, f64)> {
        self.values().into_iter().reduce(|best, next| if next.1 > best.1 { next } else { best })
    }

    pub(super) fn epochs(&self) -> usize {
        self.values().len()
    }

    fn values(&self) -> Vec<(u32, f64)> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn running_best(values: impl Iterator<Item = f64>) -> Vec<f64> {
    values
        .scan(f64::NEG_INFINITY, |best, value| {
            *best = best.max(value);
            Some(*best)
        })
        .collect()
}

/// The median rule: whether the best of a trial up to its last epoch is below the median of what
/// the finished trials had reached by then. A trial that had ended by then keeps its best.
pub(super) fn hopeless(definition: &Definition, by_epoch: &[f64], seen: &[Trial]) -> bool {
    let Some(best) =
        by_epoch.last().filter(|_| definition.prune && by_epoch.len() >= definition.warmup_epochs)
    else {
        return false;
    };
    let reached =
        |trial: &Trial| trial.by_epoch.get(by_epoch.len() - 1).or(trial.by_epoch.last()).copied();
    let finished = seen.iter().filter(|trial| trial.status == Status::Finished);
    let mut others: Vec<f64> = finished.filter_map(reached).collect();
    if others.is_empty() || others.len() < definition.warmup_trials {
        return false;
    }
    others.sort_by(f64::total_cmp);
    let middle = others.len() / 2;
    let median = if others.len() % 2 == 1 {
        others[middle]
    } else {
        (others[middle - 1] + others[middle]) / 2.0
    };
    *best < median
}
