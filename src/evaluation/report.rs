//! The table of an evaluation.

use super::{Details, METRICS, SegmentRow, run::COVERAGE_NAME};
use crate::{
    bundle::{MeasuredState, MetricsRow, Verdict},
    dataset::{Protocol, Repeats},
};
use serde::Serialize;
use std::{collections::BTreeSet, fmt};

/// An evaluation's outcome. As JSON it is one object; as text a line a metric and a column a
/// ranker.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    #[serde(flatten)]
    pub test: Test,
    pub rows: Vec<MetricsRow>,
    /// Of the bundle, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Each row by parts of the test, where that is asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_segment: Vec<BySegment>,
    /// What stands behind the rows of placements, where that is asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub placements: Vec<Details>,
}

/// A row by parts of the test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BySegment {
    pub name: String,
    pub segments: Vec<SegmentRow>,
}

/// What the rows of a table were measured on: without it a number is worth nothing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Test {
    /// `loo-strict`, `loo-refit` or `time`.
    pub protocol: &'static str,
    /// Number of cases; the mean over seeds where their numbers differ.
    pub users: usize,
    /// Size of the catalogue.
    pub items: usize,
    pub split: Protocol,
    /// What everything in the table learnt from.
    pub trained_on: MeasuredState,
    /// Cases left out because they asked for nothing new to the customer.
    pub dropped: usize,
    /// By which the order of purchases of one moment was drawn: one table for each, averaged.
    pub tie_seeds: Vec<u64>,
    /// Why the numbers of the bundle say nothing about its predictions, where it was tested on what
    /// it has seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
}

impl Test {
    /// One line for each thing to know before the numbers.
    pub fn heading(&self) -> String {
        let Self { protocol, users, items, split, trained_on, dropped, tie_seeds, seen } = self;
        let mut text =
            format!("{protocol}: {users} users, {items} items, tested on {}", split.describe());
        text.push_str(match split.repeats() {
            Repeats::Drop => "; bought articles are not recommended",
            Repeats::Keep => "; bought articles are recommended again",
        });
        text.push_str(&format!("\ntrained on {}", trained_on.words()));
        match tie_seeds.as_slice() {
            [seed] => text.push_str(&format!("; tie seed {seed}")),
            seeds => {
                let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
                text.push_str(&format!("; mean of the tie seeds {}", seeds.join(", ")));
            }
        }
        text.push_str("; ± is half a 95 % interval over users");
        if *dropped > 0 {
            let all = users + dropped;
            text.push_str(&format!(
                "\ndropped {dropped} of {all} cases, which ask for nothing but articles bought before \
                 (`--repeats keep` counts them)"
            ));
        }
        if let Some(seen) = seen {
            text.push_str(&format!("\nWARNING: {seen}"));
        }
        text
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n\n{:21}", self.test.heading(), "")?;
        let cell = |row: &MetricsRow, name: &str| row.shown(name).unwrap_or_else(|| "-".to_owned());
        let names = self.metrics();
        let width = |row: &MetricsRow| {
            let cells = names.iter().map(|name| cell(row, name).chars().count()).max();
            cells.unwrap_or(0).max(row.name.chars().count()) + 2
        };
        let widths: Vec<usize> = self.rows.iter().map(width).collect();
        for (row, &width) in self.rows.iter().zip(&widths) {
            write!(f, "{:>width$}", row.name)?;
        }
        for name in &names {
            write!(f, "\n{name:21}")?;
            for (row, &width) in self.rows.iter().zip(&widths) {
                write!(f, "{:>width$}", cell(row, name))?;
            }
        }
        let notes = notes(&self.rows);
        if !notes.is_empty() {
            write!(f, "\n\n{}", notes.join("\n"))?;
        }
        if let Some(verdict) = &self.verdict {
            write!(f, "\n\n{verdict}")?;
        }
        Ok(())
    }
}

impl Report {
    /// The metrics of the rows, in the order of their definition (by name, @10 would stand before
    /// @5), then others.
    fn metrics(&self) -> Vec<String> {
        let ranking = METRICS.iter().map(|metric| metric.name()).chain([COVERAGE_NAME.to_owned()]);
        let others: BTreeSet<&str> =
            self.rows.iter().flat_map(|row| beyond_ranking(row).map(|(name, _)| name)).collect();
        let all = ranking.chain(others.into_iter().map(str::to_owned));
        all.filter(|name| self.rows.iter().any(|row| row.metrics.contains_key(name))).collect()
    }
}

/// A line for each row whose settings were chosen or whose time was taken.
pub fn notes(rows: &[MetricsRow]) -> Vec<String> {
    let line = |row: &MetricsRow| {
        let seconds = row.seconds.map(|seconds| format!("{seconds:.1} s"));
        let settings = Some(row.settings.clone()).filter(|settings| !settings.is_empty());
        let said: Vec<String> = settings.into_iter().chain(seconds).collect();
        (!said.is_empty()).then(|| format!("{}: {}", row.name, said.join("; ")))
    };
    rows.iter().filter_map(line).collect()
}

/// The metrics of a row that come from no ranking: tests of a family's own.
pub fn beyond_ranking(row: &MetricsRow) -> impl Iterator<Item = (&str, f64)> {
    let ranking =
        |name: &str| name == COVERAGE_NAME || METRICS.iter().any(|metric| metric.name() == name);
    row.metrics
        .iter()
        .map(|(name, &value)| (name.as_str(), value))
        .filter(move |(name, _)| !ranking(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::RowKind;

    #[test]
    fn both_forms() {
        let row = |name: &str, kind, value| MetricsRow {
            intervals: [("hr@10".to_owned(), [value - 0.01, value + 0.02])].into(),
            ..MetricsRow::new(
                name,
                kind,
                [("hr@10".to_owned(), value), ("mrr".to_owned(), 0.25)].into(),
            )
        };
        let popularity = MetricsRow {
            settings: "half-life 7 days".to_owned(),
            seconds: Some(0.25),
            ..row("pop", RowKind::Baseline, 0.125)
        };
        let test = Test {
            protocol: "loo-strict",
            users: 3,
            items: 4,
            split: Protocol::leave_one_out(),
            trained_on: MeasuredState::Training,
            dropped: 1,
            tie_seeds: vec![0, 1],
            seen: None,
        };
        let rows = vec![row("two-tower-small", RowKind::Bundle, 0.5), popularity];
        let report =
            Report { test, rows, verdict: None, by_segment: Vec::new(), placements: Vec::new() };
        let lines = [
            "loo-strict: 3 users, 4 items, tested on each customer's last purchase; bought articles are not recommended",
            "trained on the training purchases alone; mean of the tie seeds 0, 1; ± is half a 95 % interval over users",
            "dropped 1 of 4 cases, which ask for nothing but articles bought before (`--repeats keep` counts them)",
            "",
            "                       two-tower-small             pop",
            "hr@10                   0.5000 ±0.0150  0.1250 ±0.0150",
            "mrr                             0.2500          0.2500",
            "",
            "pop: half-life 7 days; 0.2 s",
        ];
        assert_eq!(report.to_string(), lines.join("\n"));
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["rows"][0]["kind"], "bundle");
        assert_eq!(json["rows"][1]["metrics"]["hr@10"], 0.125);
        assert_eq!(json["rows"][1]["intervals"]["hr@10"][0], 0.115);
        assert_eq!(
            (&json["protocol"], &json["users"], &json["items"]),
            (&"loo-strict".into(), &3.into(), &4.into())
        );
        assert_eq!((&json["dropped"], &json["tie_seeds"][1]), (&1.into(), &1.into()));
        assert_eq!(json["split"]["repeats"], "drop");
    }
}
