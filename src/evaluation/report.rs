//! The table of an evaluation.

use super::{Evaluation, METRICS, run::COVERAGE_NAME};
use crate::{bundle::MetricsRow, dataset::Protocol};
use serde::Serialize;
use std::{collections::BTreeSet, fmt};

/// An evaluation's outcome. As JSON it is one object; as text a line a metric and a column a ranker.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// `temporal` or `leave-one-out`.
    pub protocol: &'static str,
    /// Number of cases.
    pub users: usize,
    /// Size of the catalogue.
    pub items: usize,
    pub rows: Vec<MetricsRow>,
}

impl Report {
    pub fn new(evaluation: &Evaluation<'_>, rows: Vec<MetricsRow>) -> Self {
        Self {
            protocol: match evaluation.protocol {
                Protocol::Temporal { .. } => "temporal",
                Protocol::LeaveOneOut => "leave-one-out",
            },
            users: evaluation.cases.len(),
            items: evaluation.dataset.articles.len(),
            rows,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} users, {} items\n\n{:21}", self.protocol, self.users, self.items, "")?;
        let width = |row: &MetricsRow| row.name.chars().count().max(7) + 2;
        for row in &self.rows {
            write!(f, "{:>width$}", row.name, width = width(row))?;
        }
        // The order of the metrics' definition; by name, @10 would stand before @5.
        let ranking = METRICS.iter().map(|metric| metric.name()).chain([COVERAGE_NAME.to_owned()]);
        let others: BTreeSet<&str> =
            self.rows.iter().flat_map(|row| beyond_ranking(row).map(|(name, _)| name)).collect();
        for name in ranking
            .chain(others.into_iter().map(str::to_owned))
            .filter(|name| self.rows.iter().any(|row| row.metrics.contains_key(name)))
        {
            write!(f, "\n{name:21}")?;
            for row in &self.rows {
                match row.metrics.get(&name) {
                    Some(value) => write!(f, "{value:>width$.4}", width = width(row))?,
                    None => write!(f, "{:>width$}", "-", width = width(row))?,
                }
            }
        }
        Ok(())
    }
}

/// The metrics of a row that come from no ranking: tests of a family's own.
pub fn beyond_ranking(row: &MetricsRow) -> impl Iterator<Item = (&str, f64)> {
    let ranking = |name: &str| name == COVERAGE_NAME || METRICS.iter().any(|metric| metric.name() == name);
    row.metrics.iter().map(|(name, &value)| (name.as_str(), value)).filter(move |(name, _)| !ranking(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::RowKind;

    #[test]
    fn both_forms() {
        let row = |name: &str, kind, value| MetricsRow {
            name: name.into(),
            kind,
            metrics: [("hr@10".to_owned(), value), ("mrr".to_owned(), 0.25)].into(),
        };
        let rows = vec![row("two-tower-small", RowKind::Bundle, 0.5), row("pop", RowKind::Baseline, 0.125)];
        let report = Report { protocol: "temporal", users: 3, items: 4, rows };
        let lines = [
            "temporal: 3 users, 4 items",
            "",
            "                       two-tower-small      pop",
            "hr@10                           0.5000   0.1250",
            "mrr                             0.2500   0.2500",
        ];
        assert_eq!(report.to_string(), lines.join("\n"));
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["rows"][0]["kind"], "bundle");
        assert_eq!(json["rows"][1]["metrics"]["hr@10"], 0.125);
        assert_eq!((&json["protocol"], &json["users"], &json["items"]), (&"temporal".into(), &3.into(), &4.into()));
    }
}
