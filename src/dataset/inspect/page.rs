//! The inspection as one HTML page: plots as inline SVG, nothing loaded from elsewhere, light or
//! dark as the reader has it.

use super::{Category, Distribution, Inspection, Quantiles};
use crate::plots::{BLUE, GREY, ORANGE, PlotError, bars, escape, figure, head, lines};
use std::fmt::Write;

/// The whole page.
///
/// # Errors
/// `PlotError` when a plot cannot be drawn.
pub fn page(inspection: &Inspection, title: &str) -> Result<String, PlotError> {
    let mut html = head(title);
    overview(&mut html, inspection);
    let mut plots = String::new();
    let popularity = &inspection.popularity;
    let diagonal = vec![(0.0, 0.0), (1.0, 1.0)];
    figure(
        &mut plots,
        &lines(
            "popularity",
            &[(popularity.lorenz.as_slice(), BLUE), (&diagonal, GREY)],
            ((0.0, 1.0), (0.0, 1.0)),
        )?,
        &format!(
            "Share of purchases (up) of the best-selling share of articles (right). Gini {:.2}; the best 1 % make \
             {:.0} %, the best 10 % {:.0} %.",
            popularity.gini,
            popularity.top_1_percent * 100.0,
            popularity.top_10_percent * 100.0
        ),
    );
    if let Some(seasonality) = &inspection.seasonality {
        let months: Vec<(String, f64)> =
            seasonality.months.iter().map(|month| (month.0.clone(), month.2)).collect();
        figure(&mut plots, &bars("months", &months)?, "Purchases a day by month.");
        let names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        let days: Vec<(String, f64)> = names
            .iter()
            .zip(seasonality.weekdays)
            .map(|(day, n)| ((*day).to_owned(), n as f64))
            .collect();
        figure(&mut plots, &bars("weekdays", &days)?, "Purchases by day of the week.");
    }
    if let Some(drift) = &inspection.drift {
        let points: Vec<(f64, f64)> =
            drift.by_week.iter().enumerate().map(|(week, &j)| (week as f64, j)).collect();
        let weeks = (points.len().max(2) - 1) as f64;
        let caption = format!(
            "Overlap (Jaccard) of the twelve best-sellers of each week with those of the week before; mean {:.2}.",
            drift.weekly_top_12_jaccard
        );
        figure(
            &mut plots,
            &lines("drift", &[(points.as_slice(), ORANGE)], ((0.0, weeks), (0.0, 1.0)))?,
            &caption,
        );
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
        let _ = write!(
            html,
            " {} rows ({:.1} %) repeat another exactly.",
            duplicates.rows,
            duplicates.share * 100.0
        );
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
    if let (Some(articles), Some(share)) =
        (cold.articles_new_in_last_week, cold.last_week_share_of_new_articles)
    {
        let _ = write!(
            html,
            " New in the last 7 days: {articles} articles, {:.1} % of the purchases.",
            share * 100.0
        );
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

fn bins(distribution: &Distribution) -> Vec<(String, f64)> {
    distribution
        .bins
        .iter()
        .map(|bin| {
            let label = if bin.to - bin.from >= 1.0 {
                format!("{:.0}", bin.from)
            } else {
                format!("{:.3}", bin.from)
            };
            (label, bin.count as f64)
        })
        .collect()
}
