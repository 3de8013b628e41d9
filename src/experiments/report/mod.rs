//! Runs as one HTML page that loads nothing from elsewhere: a table, curves, importance, parallel
//! coordinates.

mod settings;

pub use settings::Settings;
pub(super) use settings::flat;

use super::{Curves, ExperimentError, Kind, Run, Status, importance::importances, table::number};
use crate::plots::{self, PlotError};
use plotters::style::RGBColor;
use serde_json::{Value, json};
use std::fmt::Write;

/// Curves of more runs than this would not be told apart: the best are drawn.
const CURVES: usize = 12;

const STYLE: &str = "<style>
td:first-child{white-space:nowrap}
.key{display:inline-block;width:1.4rem;height:.25rem;margin-right:.4rem;vertical-align:middle}
ul.legend{list-style:none;padding:0;columns:2;font-size:.9rem}
#parallel{position:relative}#parallel svg{overflow:visible;user-select:none}
#parallel path{fill:none;stroke-width:1.5;cursor:pointer}
#parallel path.off{stroke:var(--line)!important;opacity:.35;pointer-events:none}
#parallel path.on{stroke-width:4}#parallel line{stroke:var(--soft)}#parallel rect{fill:var(--bar);opacity:.25}
#parallel text{font-size:11px}#tip{white-space:pre-wrap;min-height:3rem;font-size:.9rem}
</style>";

/// A run as the report sees it.
struct Entry<'a> {
    run: &'a Run,
    curves: Curves,
    /// Epoch and value of the best validation.
    best: Option<(u32, f64)>,
}

/// The page. `metric` judges the runs; by default the one that most of them were trained by.
///
/// # Errors
/// When there is no run, none has the metric, or a plot cannot be drawn.
pub fn page(runs: &[Run], metric: Option<&str>) -> Result<String, ExperimentError> {
    let metric = metric.map(str::to_owned).or_else(|| commonest(runs)).ok_or_else(|| {
        ExperimentError::Input(
            "none of the runs is a training: there is nothing to report".to_owned(),
        )
    })?;
    let mut entries: Vec<Entry<'_>> = runs
        .iter()
        .map(|run| {
            let curves = run.curves();
            let best = curves.best(&metric);
            Entry { run, curves, best }
        })
        .filter(|entry| matches!(entry.run.record.kind, Kind::Train | Kind::Trial))
        .collect();
    entries.sort_by(|a, b| {
        let value = |entry: &Entry<'_>| entry.best.map_or(f64::NEG_INFINITY, |best| best.1);
        value(b).total_cmp(&value(a)).then_with(|| a.run.record.id.cmp(&b.run.record.id))
    });
    if entries.iter().all(|entry| entry.best.is_none()) {
        return Err(ExperimentError::Input(format!(
            "no run has validated `{metric}`: there is nothing to report"
        )));
    }
    let mut html = plots::head(&format!("Runs by {metric}"));
    html.push_str(STYLE);
    overview(&mut html, &entries, &metric);
    curves(&mut html, &entries, &metric)?;
    let judged: Vec<&Entry<'_>> = entries.iter().filter(|entry| entry.best.is_some()).collect();
    let runs: Vec<&Run> = judged.iter().map(|entry| entry.run).collect();
    let settings = Settings::that_differ(&runs)?;
    let results: Vec<f64> = judged.iter().filter_map(|entry| Some(entry.best?.1)).collect();
    importance(&mut html, &settings, &results, &metric);
    parallel(&mut html, &settings, &runs, &results, &metric);
    html.push_str("</body></html>\n");
    Ok(html)
}

/// The metric most of the runs were trained by; the first by name of equally common ones.
fn commonest(runs: &[Run]) -> Option<String> {
    let mut metrics: Vec<String> = runs.iter().filter_map(Run::metric).collect();
    metrics.sort();
    let groups = metrics.chunk_by(|a, b| a == b);
    groups.rev().max_by_key(|group| group.len()).map(|group| group[0].clone())
}

fn overview(html: &mut String, entries: &[Entry<'_>], metric: &str) {
    let _ = write!(
        html,
        "<p class=\"soft\">The best validation {0} first. What is in the test columns chose nothing.</p><div class=\"wide\">\
         <table><tr><th>run</th><th>model</th><th>status</th><th>epoch</th><th>validation {0}</th><th>test {0}</th>\
         <th>seconds</th><th>revision</th><th>data</th></tr>",
        plots::escape(metric)
    );
    for Entry { run, best, .. } in entries {
        let outcome = run.outcome.as_ref();
        let test = outcome.and_then(|outcome| outcome.test.first()?.metrics.get(metric).copied());
        let revision =
            run.record.environment.revision.as_ref().map_or_else(|| "-".to_owned(), |r| r.short());
        let _ = write!(
            html,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.1}</td><td>{revision}</td>\
             <td>{}</td></tr>",
            plots::escape(&run.record.id),
            plots::escape(&run.record.name),
            run.status.name(),
            best.map_or_else(|| "-".to_owned(), |best| best.0.to_string()),
            number(best.map(|best| best.1)),
            number(test),
            outcome.map_or(f64::NAN, |outcome| outcome.seconds),
            plots::escape(run.record.fingerprint.get(..8).unwrap_or_default()),
        );
    }
    html.push_str("</table></div>");
    let failures: Vec<_> = entries
        .iter()
        .filter(|entry| entry.run.status == Status::Failed)
        .filter_map(|entry| {
            Some((&entry.run.record.id, entry.run.outcome.as_ref()?.reason.as_ref()?))
        })
        .collect();
    for (id, reason) in failures {
        let _ = write!(html, "<p><b>{}</b>: {}</p>", plots::escape(id), plots::escape(reason));
    }
}

fn curves(html: &mut String, entries: &[Entry<'_>], metric: &str) -> Result<(), ExperimentError> {
    let drawn: Vec<&Entry<'_>> =
        entries.iter().filter(|entry| !entry.curves.epochs.is_empty()).take(CURVES).collect();
    let series = |points: &dyn Fn(&Curves) -> Vec<(f64, f64)>| -> Vec<(Vec<(f64, f64)>, RGBColor)> {
        drawn.iter().enumerate().map(|(at, entry)| (points(&entry.curves), colour(at))).collect()
    };
    html.push_str("<h2>Curves</h2><div class=\"grid\">");
    if let Some(svg) = plot("loss", &series(&losses))? {
        plots::figure(html, &svg, "Mean training loss by epoch.");
    }
    if let Some(svg) = plot("validation", &series(&|curves| validation(curves, metric)))? {
        plots::figure(html, &svg, &format!("Validation {metric} by epoch."));
    }
    html.push_str("</div><ul class=\"legend\">");
    for (at, entry) in drawn.iter().enumerate() {
        let RGBColor(r, g, b) = colour(at);
        let id = plots::escape(&entry.run.record.id);
        let _ = write!(
            html,
            "<li><span class=\"key\" style=\"background:rgb({r},{g},{b})\"></span>{id}</li>"
        );
    }
    html.push_str("</ul>");
    if drawn.len() < entries.len() {
        let _ = write!(
            html,
            "<p class=\"soft\">The {} best of {} runs are drawn.</p>",
            drawn.len(),
            entries.len()
        );
    }
    Ok(())
}

fn importance(html: &mut String, settings: &Settings, results: &[f64], metric: &str) {
    html.push_str("<h2>What made the difference</h2>");
    let found = importances(&settings.keys, &settings.rows, results);
    if found.is_empty() {
        html.push_str(
            "<p class=\"soft\">Nothing can be said: it takes at least eight runs that differ in settings and result.</p>",
        );
        return;
    }
    let _ = write!(
        html,
        "<table><tr><th>setting</th><th>share</th><th>rank correlation with {}</th></tr>",
        plots::escape(metric)
    );
    for one in &found {
        let correlation =
            one.correlation.map_or_else(|| "-".to_owned(), |value| format!("{value:+.2}"));
        let _ = write!(
            html,
            "<tr><td class=\"bar\" style=\"--part:{:.0}%\">{}</td><td>{:.0} %</td><td>{correlation}</td></tr>",
            one.share * 100.0,
            plots::escape(&one.key),
            one.share * 100.0
        );
    }
    let _ = write!(
        html,
        "</table><p class=\"soft\">Share of the variance of the result between {} runs that a setting explains alone: \
         between groups of equal value (numbers of more than five values in quartiles), corrected for the number of \
         groups (ε²). A hint, not a proof: what settings do together is not in it, shares need not add up to 100 %, and \
         a search that dwelt on good values has made the settings dependent on each other.</p>",
        results.len()
    );
}

fn parallel(html: &mut String, settings: &Settings, runs: &[&Run], results: &[f64], metric: &str) {
    html.push_str("<h2>Parallel coordinates</h2>");
    if settings.keys.is_empty() {
        html.push_str("<p class=\"soft\">The runs do not differ in any setting.</p>");
        return;
    }
    let rows: Vec<Value> = runs
        .iter()
        .zip(&settings.rows)
        .zip(results)
        .map(|((run, row), result)| json!({"id": run.record.id, "x": row, "y": result}))
        .collect();
    let data = json!({"keys": settings.keys, "metric": metric, "rows": rows});
    let _ = write!(
        html,
        "<p class=\"soft\">A line is a run, from its settings to its result on the right; the better, the more orange. Point \
         at a line to read it; drag along an axis to keep the runs in that part, double-click the axis to let go.</p>\
         <div id=\"parallel\"></div><div id=\"tip\"></div><script>const DATA={};{}</script>",
        plots::script(&data),
        include_str!("parallel.js")
    );
}

/// Loss and validation of one run, side by side in one drawing.
///
/// # Errors
/// When it cannot be drawn.
pub(super) fn curves_svg(curves: &Curves, metric: Option<&str>) -> Result<String, ExperimentError> {
    let loss = plot("loss", &[(losses(curves), plots::BLUE)])?.unwrap_or_default();
    let points = metric.map_or_else(Vec::new, |metric| validation(curves, metric));
    let validation = plot("validation", &[(points, plots::ORANGE)])?.unwrap_or_default();
    let (width, height) = plots::SIZE;
    let caption = plots::escape(metric.unwrap_or_default());
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\">\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/><g font-family=\"sans-serif\" font-size=\"15\">\
         <text x=\"{2}\" y=\"18\">loss by epoch</text><text x=\"{3}\" y=\"18\">validation {caption} by epoch</text></g>\
         <g transform=\"translate(0 24)\">{loss}</g><g transform=\"translate({width} 24)\">{validation}</g></svg>\n",
        2 * width,
        height + 24,
        60,
        width + 60
    ))
}

/// `(epoch, mean loss)` of the search.
fn losses(curves: &Curves) -> Vec<(f64, f64)> {
    let search = curves.epochs.iter().filter(|epoch| epoch.stage != "refit");
    search.map(|epoch| (f64::from(epoch.epoch), epoch.loss)).collect()
}

fn validation(curves: &Curves, metric: &str) -> Vec<(f64, f64)> {
    curves.validation(metric).into_iter().map(|(epoch, value)| (f64::from(epoch), value)).collect()
}

/// Lines within their common bounds; `None` without a point.
fn plot(
    name: &'static str,
    series: &[(Vec<(f64, f64)>, RGBColor)],
) -> Result<Option<String>, PlotError> {
    let points = || series.iter().flat_map(|(points, _)| points);
    let bounds = |values: &mut dyn Iterator<Item = f64>| {
        values.fold(None, |bounds: Option<(f64, f64)>, value| {
            Some(bounds.map_or((value, value), |(from, to)| (from.min(value), to.max(value))))
        })
    };
    let (x, y) =
        (bounds(&mut points().map(|point| point.0)), bounds(&mut points().map(|point| point.1)));
    let (Some(x), Some(y)) = (x, y) else { return Ok(None) };
    let wide = |(from, to): (f64, f64), least: f64| {
        (from, if to - from < least { from + least } else { to })
    };
    let series: Vec<(&[(f64, f64)], RGBColor)> =
        series.iter().map(|(points, c)| (points.as_slice(), *c)).collect();
    plots::lines(name, &series, (wide(x, 1.0), wide(y, 1e-6))).map(Some)
}

/// Twelve colours that read on white and on black.
fn colour(at: usize) -> RGBColor {
    let [r, g, b] = plots::PALETTE[at % plots::PALETTE.len()];
    RGBColor(r, g, b)
}
