//! Whether a candidate may take the place of the active bundle: both ranked the same held-out
//! purchases.

use super::GateRules;
use crate::{
    bundle::VerdictOutcome,
    evaluation::{Measured, verdict},
};
use std::fmt;

/// The metric that tells how much of the catalogue stands on any list.
const COVERAGE: &str = "coverage@12";

/// What the gate compares.
pub struct Judged<'a> {
    pub candidate: &'a Measured,
    /// `None` where no bundle is active, or none that can be measured.
    pub active: Option<&'a Measured>,
    pub baselines: &'a [Measured],
    pub cases: usize,
    /// The metric that decides, such as `ndcg@10`.
    pub metric: &'a str,
}

/// One question of the gate and its answer.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Check {
    pub name: &'static str,
    pub passed: bool,
    /// The figures behind it.
    pub said: String,
}

/// All questions of the gate.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct GateReport {
    pub checks: Vec<Check>,
}

impl GateReport {
    /// Why the candidate is refused; `None` when it may ship.
    pub fn refusal(&self) -> Option<String> {
        let failed: Vec<&str> =
            self.checks.iter().filter(|check| !check.passed).map(|check| &*check.said).collect();
        (!failed.is_empty()).then(|| failed.join("; "))
    }
}

impl fmt::Display for GateReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Check { name, passed, said } in &self.checks {
            writeln!(f, "{:8} {name:10} {said}", if *passed { "ok" } else { "REFUSED" })?;
        }
        Ok(())
    }
}

/// Asks all questions.
pub fn judge(rules: &GateRules, judged: &Judged<'_>) -> GateReport {
    let checks = [
        Some(cases(rules, judged)),
        judged.active.map(|active| against_active(judged, active)),
        against_baselines(rules, judged),
        Some(coverage(rules, judged)),
    ];
    GateReport { checks: checks.into_iter().flatten().collect() }
}

fn value(measured: &Measured, metric: &str) -> f64 {
    measured.row.metrics.get(metric).copied().unwrap_or(0.0)
}

fn cases(rules: &GateRules, judged: &Judged<'_>) -> Check {
    let (cases, least) = (judged.cases, rules.least_cases);
    let passed = cases >= least;
    let said = match passed {
        true => format!("{cases} customers bought in the days that judge"),
        false => format!("{cases} customers bought in the days that judge, fewer than {least}"),
    };
    Check { name: "cases", passed, said }
}

/// Not worse beyond noise, by the paired bootstrap over customers.
fn against_active(judged: &Judged<'_>, active: &Measured) -> Check {
    let metric = judged.metric;
    let (new, old) = (value(judged.candidate, metric), value(active, metric));
    let Some(difference) = judged.candidate.outcomes.difference(&active.outcomes, metric) else {
        let said =
            format!("{metric} cannot be compared with the active bundle: their customers differ");
        return Check { name: "active", passed: false, said };
    };
    let [low, high] = difference.interval;
    let passed = !difference.is_below();
    let verb = if passed { "is no worse than" } else { "is BELOW" };
    let said = format!(
        "{metric} {new:.4} {verb} the active bundle with {old:.4} (95 % interval of the difference: {low:+.4} to {high:+.4})"
    );
    Check { name: "active", passed, said }
}

fn against_baselines(rules: &GateRules, judged: &Judged<'_>) -> Option<Check> {
    let verdict = verdict(judged.candidate, judged.baselines, judged.metric)?;
    let passed = match verdict.outcome {
        VerdictOutcome::Above => true,
        VerdictOutcome::NoDifference => !rules.above_baselines,
        VerdictOutcome::Below => false,
    };
    Some(Check { name: "baselines", passed, said: verdict.to_string() })
}

fn coverage(rules: &GateRules, judged: &Judged<'_>) -> Check {
    let new = value(judged.candidate, COVERAGE);
    let Some(active) = judged.active else {
        // One list for everybody would be a few articles of the whole catalogue.
        let said = format!("{COVERAGE} is {new:.4}");
        return Check { name: "coverage", passed: new > 0.0, said };
    };
    let old = value(active, COVERAGE);
    let passed = new > 0.0 && new >= rules.least_coverage * old;
    let share = rules.least_coverage * 100.0;
    let verb = if passed { "is at least" } else { "is LESS than" };
    let said = format!("{COVERAGE} {new:.4} {verb} {share:.0} % of the active bundle's {old:.4}");
    Check { name: "coverage", passed, said }
}
