//! What all pages and plots share: a style, lines and bars as SVG. Pages load nothing from
//! elsewhere.

use plotters::{coord::Shift, prelude::*};
use std::fmt::Write;

/// A plot that could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw the plot `{plot}`: {reason}")]
pub struct PlotError {
    plot: &'static str,
    reason: String,
}

/// Size of a plot, in pixels of the drawing; the page scales it.
pub(crate) const SIZE: (u32, u32) = (640, 260);
/// Read well on white and on black.
pub(crate) const BLUE: RGBColor = RGBColor(66, 133, 200);
pub(crate) const ORANGE: RGBColor = RGBColor(214, 120, 44);
pub(crate) const GREY: RGBColor = RGBColor(128, 128, 128);

/// Twelve colours that are told apart and read on white and on black.
pub(crate) const PALETTE: [[u8; 3]; 12] = [
    [66, 133, 200],
    [214, 120, 44],
    [74, 160, 92],
    [200, 72, 82],
    [140, 108, 190],
    [150, 102, 76],
    [214, 120, 180],
    [176, 164, 40],
    [44, 172, 180],
    [108, 124, 52],
    [96, 100, 220],
    [232, 160, 96],
];

/// Of every page: light or dark as the reader has it.
const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1c1e21;--soft:#6a7078;--line:#d8dbe0;--paper:#fff;--bar:#4285c8}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--soft:#9aa1aa;--line:#3a3e45;--paper:#16181c}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:1080px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin:2rem 0 .5rem;border-bottom:1px solid var(--line)}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(340px,1fr));gap:1rem 2rem}
figure{margin:0}figcaption,.soft{color:var(--soft);font-size:.9rem}
svg{width:100%;height:auto}svg text{fill:var(--ink)}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;width:100%}
th,td{padding:.15rem .6rem;text-align:right;border-bottom:1px solid var(--line)}th:first-child,td:first-child{text-align:left}
.wide{overflow-x:auto}.bar{background:linear-gradient(90deg,var(--bar) var(--part),transparent 0) no-repeat left 80%/100% 3px}
.answer{border-left:4px solid var(--bar);padding:.3rem 1rem;font-size:1.05rem}
";

/// A page up to and with its heading.
pub(crate) fn head(title: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{0}</title><style>{STYLE}</style></head><body><h1>{0}</h1>",
        escape(title)
    )
}

/// Data for a script within a page: nothing in it can end the script.
pub(crate) fn script(data: &serde_json::Value) -> String {
    data.to_string().replace('<', "\\u003c")
}

pub(crate) fn figure(html: &mut String, svg: &str, caption: &str) {
    let _ = write!(html, "<figure>{svg}<figcaption>{}</figcaption></figure>", escape(caption));
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw(plot: &'static str, paint: impl FnOnce(&Area) -> Drawn) -> Result<String, PlotError> {
    let mut svg = String::new();
    let painted = {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        paint(&area).and_then(|()| area.present().map_err(Into::into))
    };
    painted.map_err(|error| PlotError { plot, reason: error.to_string() })?;
    Ok(svg)
}

/// Bars with a label under some of them.
pub(crate) fn bars(plot: &'static str, values: &[(String, f64)]) -> Result<String, PlotError> {
    let most = values.iter().map(|value| value.1).fold(1e-9, f64::max) * 1.05;
    let count = values.len().max(1);
    draw(plot, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(24)
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..count as f64, 0.0..most)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GREY.mix(0.3))
            .light_line_style(TRANSPARENT)
            .axis_style(GREY)
            .label_style(("sans-serif", 15))
            .x_labels(count.min(9) + 1)
            .x_label_formatter(&|x| {
                values.get((*x + 1e-6) as usize).map_or_else(String::new, |value| value.0.clone())
            })
            .y_labels(5)
            .y_label_formatter(&|y| if most < 10.0 { format!("{y:.2}") } else { format!("{y:.0}") })
            .draw()?;
        chart.draw_series(values.iter().enumerate().map(|(at, value)| {
            let left = at as f64;
            Rectangle::new([(left + 0.08, 0.0), (left + 0.92, value.1)], BLUE.filled())
        }))?;
        Ok(())
    })
}

pub(crate) type Range = (f64, f64);

/// Lines through points; `bounds` are those of x and y.
pub(crate) fn lines(
    plot: &'static str,
    series: &[(&[(f64, f64)], RGBColor)],
    (x, y): (Range, Range),
) -> Result<String, PlotError> {
    draw(plot, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(24)
            .y_label_area_size(60)
            .build_cartesian_2d(x.0..x.1, y.0..y.1)?;
        chart
            .configure_mesh()
            .bold_line_style(GREY.mix(0.3))
            .light_line_style(TRANSPARENT)
            .axis_style(GREY)
            .label_style(("sans-serif", 15))
            .x_labels(6)
            .y_labels(5)
            .x_label_formatter(&|at| label(*at, x))
            .y_label_formatter(&|at| label(*at, y))
            .draw()?;
        for (points, colour) in series {
            chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?;
        }
        Ok(())
    })
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// As many decimals as tell the labels of an axis apart.
fn label(value: f64, (from, to): Range) -> String {
    let decimals = (1.0 - (to - from).abs().log10()).ceil().clamp(0.0, 6.0) as usize;
    format!("{value:.decimals$}")
}
