//! What stands behind the rows of a table, for terminals and documents.

use super::{Table, number};
use crate::{
    bundle::MetricsRow,
    evaluation::{Details, SEGMENTS_EXPLAINED, SegmentRow},
};

/// A part of a document: a line, a table, and lines below it.
pub struct Part {
    pub title: String,
    pub table: Table,
    pub notes: Vec<String>,
}

impl Part {
    pub fn text(&self) -> String {
        let notes: String = self.notes.iter().map(|note| format!("{note}\n")).collect();
        format!("{}\n\n{}{notes}", self.title, self.table.text())
    }

    pub fn markdown(&self) -> String {
        let notes: String = self.notes.iter().map(|note| format!("\n{note}\n")).collect();
        format!("{}\n\n{}{notes}", self.title, self.table.markdown())
    }
}

/// One metric of every row by segment; `None` where no row has any.
pub fn by_segment(metric: &str, rows: &[(&str, &[SegmentRow])]) -> Option<Part> {
    let mut segments: Vec<&SegmentRow> = Vec::new();
    for segment in rows.iter().flat_map(|(_, segments)| *segments) {
        if segments.iter().all(|known| known.segment != segment.segment) {
            segments.push(segment);
        }
    }
    if segments.is_empty() {
        return None;
    }
    let head = segments.iter().map(|segment| format!("{} ({})", segment.segment, segment.cases));
    let mut table = Table::new(["system".to_owned()].into_iter().chain(head));
    for (name, own) in rows.iter().filter(|(_, own)| !own.is_empty()) {
        let cell =
            |segment: &&SegmentRow| match own.iter().find(|own| own.segment == segment.segment) {
                Some(own) => shown(own, metric),
                None => number(None),
            };
        table.row([(*name).to_owned()].into_iter().chain(segments.iter().map(cell)));
    }
    let title = format!("{metric} by segment, with the number of cases");
    Some(Part { title, table, notes: vec![SEGMENTS_EXPLAINED.to_owned()] })
}

fn shown(segment: &SegmentRow, metric: &str) -> String {
    let SegmentRow { metrics, intervals, .. } = segment;
    let row = MetricsRow {
        intervals: intervals.clone(),
        ..MetricsRow::new("", crate::bundle::RowKind::Bundle, metrics.clone())
    };
    row.shown(metric).unwrap_or_else(|| number(None))
}

/// What the sources of a placement find.
pub fn sources(details: &Details) -> Part {
    let mut table = Table::new(["source", "candidates", "recall@100", "recall", "only here"]);
    for source in &details.sources {
        let recall = [source.recall_at_100, source.recall, source.only_here]
            .map(|value| number(Some(value)));
        table.row(
            [source.source.clone(), format!("{:.1}", source.candidates)].into_iter().chain(recall),
        );
    }
    let mut notes = vec![format!(
        "an answer of 12 articles: median {:.3} ms, 99 % within {:.3} ms on one thread",
        details.milliseconds, details.milliseconds_99
    )];
    if let Some(calibration) = &details.calibration {
        let groups = calibration.groups.iter().map(|group| format!("{:.3}", group.observed));
        notes.push(format!(
            "calibration error {:.4} over {} lists (chance alone makes {:.4}): ten groups of candidates that the ranker \
             expects to take a tenth of the purchases each, the surest first, took {}",
            calibration.error,
            calibration.lists,
            calibration.by_chance(),
            groups.collect::<Vec<_>>().join(" ")
        ));
    }
    Part {
        title: format!("{}: what its sources find of what was bought", details.placement),
        table,
        notes,
    }
}
