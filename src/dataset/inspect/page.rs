//! The inspection as one HTML page: plots as inline SVG, nothing loaded from elsewhere, light or dark as the reader has it.

use super::{Category, Distribution, Inspection, Quantiles};
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
const SIZE: (u32, u32) = (640, 260);
/// Read well on white and on black.
const BLUE: RGBColor = RGBColor(66, 133, 200);
const ORANGE: RGBColor = RGBColor(214, 120, 44);
const GREY: RGBColor = RGBColor(128, 128, 128);

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

/// The whole page.
///
/// # Errors
/// [`PlotError`] when a plot cannot be drawn.
pub fn page(inspection: &Inspection, title: &str) -> Result<String, PlotError> {
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{0}</title><style>{STYLE}</style></head><body><h1>{0}</h1>",
        escape(title)
    );
    overview(&mut html, inspection);
    let mut plots = String::new();
    let popularity = &inspection.popularity;
    let diagonal = vec![(0.0, 0.0), (1.0, 1.0)];
    figure(
        &mut plots,
        &lines("popularity", &[(&popularity.lorenz, BLUE), (&diagonal, GREY)], ((0.0, 1.0), (0.0, 1.0)))?,
        &format!(
            "Share of purchases (up) of the best-selling share of articles (right). Gini {:.2}; the best 1 % make \
             {:.0} %, the best 10 % {:.0} %.",
            popularity.gini,
            popularity.top_1_percent * 100.0,
            popularity.top_10_percent * 100.0
        ),
    );
    if let Some(seasonality) = &inspection.seasonality {
        let months: Vec<(String, f64)> = seasonality.months.iter().map(|month| (month.0.clone(), month.2)).collect();
        figure(&mut plots, &bars("months", &months)?, "Purchases a day by month.");
        let names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        let days: Vec<(String, f64)> =
            names.iter().zip(seasonality.weekdays).map(|(day, n)| ((*day).to_owned(), n as f64)).collect();
        figure(&mut plots, &bars("weekdays", &days)?, "Purchases by day of the week.");
    }
    if let Some(drift) = &inspection.drift {
        let points: Vec<(f64, f64)> = drift.by_week.iter().enumerate().map(|(week, &j)| (week as f64, j)).collect();
        let weeks = (points.len().max(2) - 1) as f64;
        let caption = format!(
            "Overlap (Jaccard) of the twelve best-sellers of each week with those of the week before; mean {:.2}.",
            drift.weekly_top_12_jaccard
        );
        figure(&mut plots, &lines("drift", &[(&points, ORANGE)], ((0.0, weeks), (0.0, 1.0)))?, &caption);
    }
    if let Some(ages) = &inspection.ages {
        let caption = format!("Customers by age; {} without.", ages.missing);
        figure(&mut plots, &bars("ages", &bins(ages))?, &caption);
    }
    if let Some(prices) = &inspection.prices {
        figure(
            &mut plots,
            &bars("prices", &bins(prices))?,
            "Purchases by price, as in the data; the last bar holds the rest.",
        );
    }
    let _ = write!(html, "<h2>Plots</h2><div class=\"grid\">{plots}</div>");
    categories(&mut html, &inspection.categories);
    columns(&mut html, inspection);
    html.push_str("</body></html>\n");
    Ok(html)
}

fn overview(html: &mut String, inspection: &Inspection) {
    let counts = &inspection.counts;
    let period = inspection.period.as_ref().map_or_else(
        || "Only an order is known, no dates.".to_owned(),
        |period| format!("{} to {}, {} days.", period.first, period.last, period.days),
    );
    let _ = write!(
        html,
        "<p>{} articles, {} customers, {} purchases ({:.4} % of all pairs). {}</p>",
        counts.articles,
        counts.customers,
        counts.purchases,
        counts.density * 100.0,
        escape(&period)
    );
    let rebuys = &inspection.rebuys;
    let _ = write!(
        html,
        "<h2>Do customers rebuy?</h2><p class=\"answer\">{}</p><p class=\"soft\">{} purchases ({:.1} %) are of an article \
         the customer bought before; {:.0} % of returning customers do so.",
        escape(&rebuys.conclusion),
        rebuys.rows,
        rebuys.share * 100.0,
        rebuys.customers_share * 100.0
    );
    if let Some(duplicates) = &inspection.duplicates {
        let _ = write!(html, " {} rows ({:.1} %) repeat another exactly.", duplicates.rows, duplicates.share * 100.0);
    }
    html.push_str("</p><h2>Customers and articles</h2><div class=\"wide\"><table><tr><th></th>");
    for name in ["mean", "min", "p10", "p25", "p50", "p75", "p90", "p99", "max"] {
        let _ = write!(html, "<th>{name}</th>");
    }
    html.push_str("</tr>");
    quantile_row(html, "purchases a customer", Some(&inspection.purchases_per_customer));
    quantile_row(html, "purchases an article", Some(&inspection.purchases_per_article));
    quantile_row(html, "rows a customer-day", inspection.basket_size.as_ref());
    quantile_row(html, "days between visits", inspection.gap_days.as_ref());
    quantile_row(html, "age", inspection.ages.as_ref().map(|ages| &ages.quantiles));
    quantile_row(html, "price", inspection.prices.as_ref().map(|prices| &prices.quantiles));
    let cold = &inspection.cold;
    let _ = write!(
        html,
        "</table></div><p>Never bought: {} articles; bought once: {}. Customers without a purchase: {}; with one: {}.",
        cold.articles_never_bought,
        cold.articles_bought_once,
        cold.customers_without_purchase,
        cold.customers_with_one_purchase
    );
    if let (Some(articles), Some(share)) = (cold.articles_new_in_last_week, cold.last_week_share_of_new_articles) {
        let _ = write!(html, " New in the last 7 days: {articles} articles, {:.1} % of the purchases.", share * 100.0);
    }
    html.push_str("</p>");
}

fn quantile_row(html: &mut String, name: &str, quantiles: Option<&Quantiles>) {
    let Some(q) = quantiles else { return };
    let _ = write!(html, "<tr><td>{name}</td>");
    for value in [q.mean, q.min, q.p10, q.p25, q.p50, q.p75, q.p90, q.p99, q.max] {
        let decimals = if value.fract() == 0.0 {
            0
        } else if value.abs() < 1.0 {
            4
        } else {
            1
        };
        let _ = write!(html, "<td>{value:.decimals$}</td>");
    }
    html.push_str("</tr>");
}

fn categories(html: &mut String, categories: &[Category]) {
    if categories.is_empty() {
        return;
    }
    html.push_str("<h2>Most bought categories</h2><div class=\"grid\">");
    for category in categories {
        let most = category.top.first().map_or(1.0, |top| top.2).max(f64::MIN_POSITIVE);
        let _ = write!(
            html,
            "<table><tr><th>{} ({} values)</th><th>{}</th><th>purchases</th></tr>",
            escape(&category.column),
            category.distinct,
            category.table
        );
        for (value, rows, share) in category.top.iter().take(8) {
            let _ = write!(
                html,
                "<tr><td class=\"bar\" style=\"--part:{:.0}%\">{}</td><td>{rows}</td><td>{:.1} %</td></tr>",
                share / most * 100.0,
                escape(value),
                share * 100.0
            );
        }
        html.push_str("</table>");
    }
    html.push_str("</div>");
}

fn columns(html: &mut String, inspection: &Inspection) {
    html.push_str(
        "<h2>Columns and missing values</h2><div class=\"wide\"><table><tr><th>column</th><th>table</th><th>kind</th>\
         <th>distinct</th><th>missing</th><th>share</th></tr>",
    );
    for column in &inspection.columns {
        let distinct = column.distinct.map_or_else(String::new, |n| n.to_string());
        let _ = write!(
            html,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{distinct}</td><td>{}</td><td>{:.1} %</td></tr>",
            escape(&column.name),
            column.table,
            column.kind,
            column.missing,
            column.missing_share * 100.0
        );
    }
    html.push_str("</table></div>");
}

fn figure(html: &mut String, svg: &str, caption: &str) {
    let _ = write!(html, "<figure>{svg}<figcaption>{}</figcaption></figure>", escape(caption));
}

fn bins(distribution: &Distribution) -> Vec<(String, f64)> {
    distribution
        .bins
        .iter()
        .map(|bin| {
            let label = if bin.to - bin.from >= 1.0 { format!("{:.0}", bin.from) } else { format!("{:.3}", bin.from) };
            (label, bin.count as f64)
        })
        .collect()
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
fn bars(plot: &'static str, values: &[(String, f64)]) -> Result<String, PlotError> {
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
            .x_label_formatter(&|x| values.get((*x + 1e-6) as usize).map_or_else(String::new, |value| value.0.clone()))
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

type Range = (f64, f64);

/// Lines through points; `bounds` are those of x and y.
fn lines(
    plot: &'static str,
    series: &[(&Vec<(f64, f64)>, RGBColor)],
    (x, y): (Range, Range),
) -> Result<String, PlotError> {
    draw(plot, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(24)
            .y_label_area_size(48)
            .build_cartesian_2d(x.0..x.1, y.0..y.1)?;
        chart
            .configure_mesh()
            .bold_line_style(GREY.mix(0.3))
            .light_line_style(TRANSPARENT)
            .axis_style(GREY)
            .label_style(("sans-serif", 15))
            .x_labels(6)
            .y_labels(5)
            .x_label_formatter(&|at| if x.1 > 2.0 { format!("{at:.0}") } else { format!("{at:.1}") })
            .y_label_formatter(&|at| format!("{at:.1}"))
            .draw()?;
        for (points, colour) in series {
            chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?;
        }
        Ok(())
    })
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
