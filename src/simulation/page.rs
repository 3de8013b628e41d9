//! The comparison as one HTML page that loads nothing from elsewhere.

use super::{
    SimulationError,
    record::{ArmRecord, DayRecord},
    table::{PAIRS, above},
};
use crate::plots;
use plotters::style::RGBColor;
use std::fmt::Write;

type Seeds = [(u64, Vec<ArmRecord>)];

/// What a chart shows of a day.
type Figure<'a> = &'a dyn Fn(&DayRecord) -> f64;

/// # Errors
/// When a chart cannot be drawn.
pub fn page(seeds: &Seeds) -> Result<String, SimulationError> {
    let mut html = plots::head("What the loop is worth: a simulated shop");
    answer(&mut html, seeds);
    for (seed, arms) in seeds {
        let _ = write!(html, "<h2>Seed {seed}</h2><div class=\"grid\">");
        let charts: [(&'static str, &str, Figure<'_>); 3] = [
            (
                "expected",
                "Purchases a visit that the list brings, by the hidden utilities",
                &DayRecord::expected_a_visit,
            ),
            ("all", "All purchases a visit, those by searching included", &|day| {
                day.a_visit(day.all_purchases as f64)
            }),
            ("clicks", "Clicks a visit", &|day| day.a_visit(day.clicks as f64)),
        ];
        for (name, caption, value) in charts {
            plots::figure(&mut html, &chart(name, arms, value)?, caption);
        }
        html.push_str("</div>");
        legend(&mut html, arms);
        sums(&mut html, arms);
    }
    html.push_str("</body></html>\n");
    Ok(html)
}

fn answer(html: &mut String, seeds: &Seeds) {
    html.push_str(
        "<p>Simulated customers visit running servers over HTTP. Every arm sees the same customers, visits and random \
         numbers. Neither servers nor trainer know what the customers want; they see articles and events.</p>\
         <table><tr><th>over all seeds</th><th>expected from the list</th><th>bought in all</th></tr>",
    );
    for pair in PAIRS {
        let cell = |value: Option<(f64, f64)>| match value {
            Some((mean, margin)) if seeds.len() > 1 => format!("{mean:+.1} ± {margin:.1} %"),
            Some((mean, _)) => format!("{mean:+.1} %"),
            None => "–".to_owned(),
        };
        let expected = above(seeds, pair, |day| day.expected);
        if expected.is_none() {
            continue;
        }
        let _ = write!(
            html,
            "<tr><td>{} above {}</td><td>{}</td><td>{}</td></tr>",
            pair.0,
            pair.1,
            cell(expected),
            cell(above(seeds, pair, |day| day.all_purchases as f64))
        );
    }
    html.push_str("</table>");
}

fn chart(
    name: &'static str,
    arms: &[ArmRecord],
    value: Figure<'_>,
) -> Result<String, SimulationError> {
    let points =
        |arm: &ArmRecord| arm.days.iter().map(|day| (f64::from(day.day + 1), value(day))).collect();
    let series: Vec<Vec<(f64, f64)>> = arms.iter().map(points).collect();
    let most = series.iter().flatten().map(|point| point.1).fold(1e-6, f64::max);
    let last = series.iter().flatten().map(|point| point.0).fold(2.0, f64::max);
    let lines: Vec<(&[(f64, f64)], RGBColor)> =
        series.iter().enumerate().map(|(at, points)| (points.as_slice(), colour(at))).collect();
    Ok(plots::lines(name, &lines, ((1.0, last), (0.0, most * 1.05)))?)
}

fn legend(html: &mut String, arms: &[ArmRecord]) {
    html.push_str("<p>");
    for (at, arm) in arms.iter().enumerate() {
        let RGBColor(r, g, b) = colour(at);
        let name = plots::escape(&arm.arm);
        let _ = write!(html, "<span style=\"color:rgb({r},{g},{b})\">■</span> {name} &nbsp; ");
    }
    html.push_str("</p>");
}

fn sums(html: &mut String, arms: &[ArmRecord]) {
    html.push_str(
        "<table><tr><th>arm</th><th>visits</th><th>impressions</th><th>clicks</th><th>expected</th><th>bought from the \
         list</th><th>bought in all</th><th>revenue</th><th>returned</th></tr>",
    );
    for arm in arms {
        let total = arm.total();
        let _ = write!(
            html,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.4}</td><td>{:.4}</td><td>{:.4}</td><td>{:.2}</td>\
             <td>{:.4}</td></tr>",
            plots::escape(&arm.arm),
            total.visits,
            total.impressions,
            total.clicks,
            total.expected_a_visit(),
            total.a_visit(total.purchases as f64),
            total.a_visit(total.all_purchases as f64),
            total.a_visit(total.revenue),
            total.a_visit(total.returns as f64),
        );
    }
    html.push_str(
        "</table><p class=\"soft\">Purchases, revenue and returns are those of a visit.</p>",
    );
}

fn colour(at: usize) -> RGBColor {
    let [r, g, b] = plots::PALETTE[at % plots::PALETTE.len()];
    RGBColor(r, g, b)
}
