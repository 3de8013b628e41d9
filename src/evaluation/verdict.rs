//! Whether a model is worth serving: against the best of the baselines.

use super::{METRICS, Measured};
use crate::bundle::{Verdict, VerdictOutcome};

/// What decides when a model was chosen by something that baselines have not.
const USUAL: &str = "ndcg@10";

/// The model against the baseline with the highest value of `metric` (of `ndcg@10` when that is no
/// metric of rankings); `None` without a baseline on the same cases.
///
/// The best of several baselines is chosen on the test cases themselves, which favours the
/// baselines a little: a model that is above them is above them.
pub fn verdict(model: &Measured, baselines: &[Measured], metric: &str) -> Option<Verdict> {
    let known = METRICS.iter().any(|known| known.name() == metric);
    let metric = if known { metric } else { USUAL };
    let value = |measured: &Measured| measured.row.metrics.get(metric).copied().unwrap_or(0.0);
    let best = baselines
        .iter()
        .reduce(|best, next| if value(next) > value(best) { next } else { best })?;
    let difference = model.outcomes.difference(&best.outcomes, metric)?;
    let outcome = match (difference.is_below(), difference.is_above()) {
        (true, _) => VerdictOutcome::Below,
        (_, true) => VerdictOutcome::Above,
        _ => VerdictOutcome::NoDifference,
    };
    Some(Verdict {
        metric: metric.to_owned(),
        model: value(model),
        best_baseline: best.row.name.clone(),
        baseline: value(best),
        difference: difference.interval,
        outcome,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bundle::{MetricsRow, RowKind},
        evaluation::{Outcome, Outcomes},
    };

    /// A ranking that finds the article of one customer in `every`.
    fn measured(name: &str, every: u32) -> Measured {
        let mut outcomes = Outcomes::default();
        for customer in 0u32..300 {
            let first = customer.is_multiple_of(every).then_some(0);
            outcomes
                .push(customer, &Outcome { hits: first.into_iter().collect(), first, relevant: 1 });
        }
        let row = MetricsRow::new(name, RowKind::Baseline, outcomes.metrics());
        Measured { row, outcomes, segments: Default::default() }
    }

    #[test]
    fn the_best_baseline_decides() {
        let baselines = [measured("weak", 30), measured("strong", 5), measured("middle", 10)];
        let said = |every| {
            let verdict = verdict(&measured("model", every), &baselines, "hr@10").unwrap();
            assert_eq!((verdict.best_baseline.as_str(), verdict.baseline), ("strong", 0.2));
            verdict.outcome
        };
        assert_eq!(said(2), VerdictOutcome::Above);
        assert_eq!(said(5), VerdictOutcome::NoDifference);
        assert_eq!(said(20), VerdictOutcome::Below);
        let verdict = verdict(&measured("model", 20), &baselines, "similarity-recall@500").unwrap();
        assert_eq!(verdict.metric, "ndcg@10");
        assert!(
            verdict.to_string().contains("is BELOW the best baseline, strong with 0.2000"),
            "{verdict}"
        );
        assert_eq!(super::verdict(&measured("model", 2), &[], "hr@10"), None);
    }
}
