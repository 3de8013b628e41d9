//! The inspection as text for a terminal.

use super::{Distribution, Inspection, Quantiles};
use std::fmt::{self, Display, Formatter};

/// Widest bar, in characters.
const BAR: usize = 40;

impl Display for Inspection {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let counts = &self.counts;
        writeln!(
            f,
            "{} articles, {} customers, {} purchases",
            counts.articles, counts.customers, counts.purchases
        )?;
        writeln!(
            f,
            "{:.4} % of all pairs of customer and article were bought",
            counts.density * 100.0
        )?;
        match &self.period {
            Some(period) => {
                writeln!(f, "{} to {}, {} days", period.first, period.last, period.days)?
            }
            None => writeln!(f, "no dates, only an order: parts about time are left out")?,
        }

        heading(f, "Columns")?;
        writeln!(f, "{:<12}{:<32}{:<10}{:>9}  missing", "table", "column", "kind", "distinct")?;
        for column in &self.columns {
            let distinct = column.distinct.map_or_else(String::new, |n| n.to_string());
            write!(f, "{:<12}{:<32}{:<10}{distinct:>9}", column.table, column.name, column.kind)?;
            match column.missing {
                0 => writeln!(f, "  none")?,
                n => writeln!(f, "  {n} ({:.1} %)", column.missing_share * 100.0)?,
            }
        }

        heading(f, "Customers")?;
        quantile_header(f)?;
        quantiles(f, "purchases a customer", &self.purchases_per_customer)?;
        if let Some(baskets) = &self.basket_size {
            quantiles(f, "rows a customer-day", baskets)?;
        }
        if let Some(gaps) = &self.gap_days {
            quantiles(f, "days between visits", gaps)?;
        }
        if let Some(ages) = &self.ages {
            quantiles(f, "age", &ages.quantiles)?;
            histogram(f, ages, 12)?;
        }

        self.popularity(f)?;
        self.time(f)?;

        for category in &self.categories {
            heading(
                f,
                &format!(
                    "{} by {} ({} values)",
                    category.table, category.column, category.distinct
                ),
            )?;
            for (value, rows, share) in category.top.iter().take(5) {
                writeln!(
                    f,
                    "{:<34}{:>6.1} % of purchases{rows:>9} {}",
                    cut(value, 33),
                    share * 100.0,
                    category.table
                )?;
            }
        }
        if let Some(prices) = &self.prices {
            heading(f, "Prices, as in the data")?;
            quantile_header(f)?;
            quantiles(f, "price of a row", &prices.quantiles)?;
            let frequent: Vec<String> =
                prices.frequent.iter().take(6).map(|(price, _)| format!("{price:.4}")).collect();
            writeln!(f, "most frequent: {}", frequent.join(", "))?;
        }

        heading(f, "Do customers rebuy?")?;
        if let Some(duplicates) = &self.duplicates {
            writeln!(
                f,
                "{} rows ({:.1} %) repeat another row exactly",
                duplicates.rows,
                duplicates.share * 100.0
            )?;
        }
        let rebuys = &self.rebuys;
        writeln!(
            f,
            "{} purchases ({:.1} %) are of an article the customer bought before; {:.0} % of returning customers do so",
            rebuys.rows,
            rebuys.share * 100.0,
            rebuys.customers_share * 100.0
        )?;
        writeln!(f, "{}", rebuys.conclusion)
    }
}

impl Inspection {
    fn popularity(&self, f: &mut Formatter<'_>) -> fmt::Result {
        heading(f, "Popularity")?;
        quantile_header(f)?;
        quantiles(f, "purchases an article", &self.purchases_per_article)?;
        let popularity = &self.popularity;
        writeln!(
            f,
            "Gini {:.2}; the best 1 % of articles make {:.0} % of the purchases, the best 10 % {:.0} %",
            popularity.gini,
            popularity.top_1_percent * 100.0,
            popularity.top_10_percent * 100.0
        )?;
        for seller in popularity.best_sellers.iter().take(5) {
            writeln!(f, "{:<34}{:>9} purchases", cut(&seller.article_id, 33), seller.purchases)?;
        }
        let cold = &self.cold;
        writeln!(
            f,
            "never bought: {} articles; bought once: {}",
            cold.articles_never_bought, cold.articles_bought_once
        )?;
        writeln!(
            f,
            "customers without a purchase: {}; with one: {}",
            cold.customers_without_purchase, cold.customers_with_one_purchase
        )?;
        if let (Some(articles), Some(share)) =
            (cold.articles_new_in_last_week, cold.last_week_share_of_new_articles)
        {
            writeln!(
                f,
                "new in the last 7 days: {articles} articles, {:.1} % of their purchases",
                share * 100.0
            )?;
        }
        Ok(())
    }

    fn time(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(drift) = &self.drift {
            let jaccard = drift.weekly_top_12_jaccard;
            writeln!(
                f,
                "week over week the twelve best-sellers overlap by {jaccard:.2} (Jaccard)"
            )?;
        }
        if let Some(seasonality) = &self.seasonality {
            heading(f, "Purchases a day by month")?;
            let most = seasonality.months.iter().map(|month| month.2).fold(0.0, f64::max);
            for (month, _, a_day) in &seasonality.months {
                writeln!(f, "{month}  {a_day:>10.0}  {}", bar(*a_day, most))?;
            }
            heading(f, "Purchases by weekday")?;
            let most = seasonality.weekdays.iter().copied().max().unwrap_or(0) as f64;
            for (day, count) in
                ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].iter().zip(seasonality.weekdays)
            {
                writeln!(f, "{day}      {count:>10}  {}", bar(count as f64, most))?;
            }
        }
        Ok(())
    }
}

fn heading(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    writeln!(f, "\n{text}\n{}", "-".repeat(text.chars().count()))
}

fn quantile_header(f: &mut Formatter<'_>) -> fmt::Result {
    writeln!(
        f,
        "{:<24}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}",
        "", "mean", "min", "p25", "p50", "p75", "p90", "p99", "max"
    )
}

fn quantiles(f: &mut Formatter<'_>, name: &str, q: &Quantiles) -> fmt::Result {
    write!(f, "{name:<24}")?;
    for value in [q.mean, q.min, q.p25, q.p50, q.p75, q.p90, q.p99, q.max] {
        // Whole numbers short, prices and means with their decimals.
        let text = if value.fract() == 0.0 {
            format!("{value:.0}")
        } else if value.abs() < 1.0 {
            format!("{value:.4}")
        } else {
            format!("{value:.1}")
        };
        write!(f, "{text:>9}")?;
    }
    writeln!(f)
}

/// A histogram with its bins joined to at most `lines`.
fn histogram(f: &mut Formatter<'_>, distribution: &Distribution, lines: usize) -> fmt::Result {
    let step = distribution.bins.len().div_ceil(lines).max(1);
    let joined: Vec<(f64, f64, usize)> = distribution
        .bins
        .chunks(step)
        .map(|bins| (bins[0].from, bins[bins.len() - 1].to, bins.iter().map(|bin| bin.count).sum()))
        .collect();
    let most = joined.iter().map(|bin| bin.2).max().unwrap_or(0) as f64;
    for (from, to, count) in joined {
        writeln!(f, "{from:>5.0}–{:<5.0}{count:>9}  {}", to - 1.0, bar(count as f64, most))?;
    }
    Ok(())
}

fn bar(value: f64, most: f64) -> String {
    "█".repeat(if most > 0.0 { (value / most * BAR as f64).round() as usize } else { 0 })
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}
