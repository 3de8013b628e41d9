//! What came of recommendations.

use crate::{
    domain::Timestamp,
    http::{ApiError, App, answer::json, extract::Params},
    serving::now,
    store::{AttributionQuery, AttributionRow, Dimension},
};
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(report_recommendations))
}

const DEFAULT_DAYS: u32 = 28;

/// What came of recommendations in a span of time.
#[derive(Serialize, ToSchema)]
struct RecommendationReport {
    /// Events at this moment or later.
    #[schema(value_type = String, format = "date-time")]
    from: Timestamp,
    /// And before this one.
    #[schema(value_type = String, format = "date-time")]
    until: Timestamp,
    rows: Vec<ReportRow>,
}

/// The sums of one group of events.
#[derive(Serialize, ToSchema)]
struct ReportRow {
    /// What tells this group apart: the dimensions of `by` and their values. A placement is named,
    /// other answers by the path of their route. Null: the events have no value, such as a
    /// currency.
    group: BTreeMap<&'static str, Option<String>>,
    impressions: i64,
    clicks: i64,
    /// Clicks per impression; null without impressions.
    #[schema(required = true)]
    click_rate: Option<f64>,
    /// Articles put into the cart.
    carts: i64,
    /// Orders with a purchase that names the answer it comes from.
    orders: i64,
    /// Pieces of those purchases, less those that came back.
    units: f64,
    /// Prices of those pieces.
    revenue: f64,
    /// Prices of the pieces that came back.
    returned: f64,
    /// Orders of somebody who clicked a recommended article within the seven days before, and whose
    /// purchases name no answer. The last click has them.
    assisted_orders: i64,
    /// Prices of the pieces of those orders, less those that came back.
    assisted_revenue: f64,
}

impl ReportRow {
    const COLUMNS: [&str; 10] = [
        "impressions",
        "clicks",
        "click_rate",
        "carts",
        "orders",
        "units",
        "revenue",
        "returned",
        "assisted_orders",
        "assisted_revenue",
    ];

    fn of(by: &[Dimension], row: AttributionRow) -> Self {
        let click_rate = (row.impressions > 0).then(|| row.clicks as f64 / row.impressions as f64);
        Self {
            group: by.iter().map(|dimension| dimension.name()).zip(row.key).collect(),
            impressions: row.impressions,
            clicks: row.clicks,
            click_rate,
            carts: row.carts,
            orders: row.orders,
            units: row.units,
            revenue: row.revenue,
            returned: row.returned,
            assisted_orders: row.assisted_orders,
            assisted_revenue: row.assisted_revenue,
        }
    }

    fn cells(&self, by: &[Dimension]) -> Vec<String> {
        let group = by.iter().map(|dimension| {
            self.group.get(dimension.name()).cloned().flatten().unwrap_or_default()
        });
        let sums = [
            self.impressions.to_string(),
            self.clicks.to_string(),
            self.click_rate.map(|rate| rate.to_string()).unwrap_or_default(),
            self.carts.to_string(),
            self.orders.to_string(),
            self.units.to_string(),
            self.revenue.to_string(),
            self.returned.to_string(),
            self.assisted_orders.to_string(),
            self.assisted_revenue.to_string(),
        ];
        group.chain(sums).collect()
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ReportParams {
    /// Events at this moment or later: a date or a moment; 28 days before `until` if not given.
    #[param(value_type = Option<String>, example = "2026-01-01")]
    from: Option<Timestamp>,
    /// Events before this moment; now if not given.
    #[param(value_type = Option<String>, example = "2026-02-01")]
    until: Option<Timestamp>,
    /// What to tell apart, separated by commas: `placement`, `model`, `version`, `source`,
    /// `position`, `day`, `currency`. Only `placement` if not given. Name `currency` where the shop
    /// sells in several.
    #[param(example = "placement,day", pattern = "^[a-z]{0,9}(,[a-z]{0,9}){0,6}$")]
    by: Option<String>,
    /// JSON if not given.
    #[param(inline)]
    format: Option<Format>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    Json,
    Csv,
}

/// Report what came of recommendations
///
/// The sums are computed from the events each time, so a long span of a busy shop takes seconds.
#[utoipa::path(get, path = "/admin/v1/metrics/recommendations", tag = "admin", params(ReportParams),
    responses((status = 200, description = "Sums for each group", content(
        (RecommendationReport = "application/json"), (String = "text/csv"),
    )))
)]
async fn report_recommendations(
    State(app): State<App>,
    Params(params): Params<ReportParams>,
) -> Result<Response, ApiError> {
    // Events of this very second are in.
    let until = params.until.unwrap_or_else(|| Timestamp(now().0.saturating_add(1)));
    let from = params.from.unwrap_or_else(|| until.minus_days(DEFAULT_DAYS));
    if from >= until {
        return Err(ApiError::invalid(format!(
            "`from` must lie before `until`: {from} does not lie before {until}"
        )));
    }
    let by = dimensions(params.by.as_deref().unwrap_or("placement"))?;
    let query = AttributionQuery { from, until, by };
    let rows = app.service().store().attribution(&query).await?;
    let rows: Vec<ReportRow> = rows.into_iter().map(|row| ReportRow::of(&query.by, row)).collect();
    match params.format.unwrap_or(Format::Json) {
        Format::Json => json(&RecommendationReport { from, until, rows }),
        Format::Csv => {
            let body = write_csv(&query.by, &rows)
                .map_err(|error| ApiError::internal(error.to_string()))?;
            Ok(([(header::CONTENT_TYPE, "text/csv")], body).into_response())
        }
    }
}

fn write_csv(by: &[Dimension], rows: &[ReportRow]) -> Result<Vec<u8>, csv::Error> {
    let mut file = csv::Writer::from_writer(Vec::new());
    let names = by.iter().map(|dimension| dimension.name()).chain(ReportRow::COLUMNS);
    file.write_record(names)?;
    for row in rows {
        file.write_record(row.cells(by))?;
    }
    file.into_inner().map_err(|error| error.into_error().into())
}

/// The dimensions of a list of names.
fn dimensions(names: &str) -> Result<Vec<Dimension>, ApiError> {
    let mut by = Vec::new();
    for name in names.split(',').filter(|name| !name.is_empty()) {
        let found = Dimension::ALL
            .into_iter()
            .find(|dimension| dimension.name() == name)
            .ok_or_else(|| {
                let known = Dimension::ALL.map(Dimension::name).join(", ");
                ApiError::invalid(format!(
                    "`by` holds the unknown name `{}`; known: {known}",
                    name.escape_debug()
                ))
            })?;
        if by.contains(&found) {
            return Err(ApiError::invalid(format!("`by` names `{name}` twice")));
        }
        by.push(found);
    }
    Ok(by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_are_read_from_their_names() {
        assert_eq!(dimensions("day,source").unwrap(), [Dimension::Day, Dimension::Source]);
        assert_eq!(dimensions("").unwrap(), []);
        assert!(dimensions("day,colour").is_err() && dimensions("day,day").is_err());
    }

    #[test]
    fn a_report_is_one_line_a_group() {
        let by = [Dimension::Placement, Dimension::Currency];
        let key = vec![Some("home, sweet".to_owned()), None];
        let row = AttributionRow {
            key,
            impressions: 4,
            clicks: 1,
            revenue: 19.9,
            ..AttributionRow::default()
        };
        let csv = String::from_utf8(write_csv(&by, &[ReportRow::of(&by, row)]).unwrap()).unwrap();
        let (names, line) = csv.trim_end().split_once('\n').unwrap();
        assert!(names.starts_with("placement,currency,impressions,clicks,click_rate,"));
        assert_eq!(line, "\"home, sweet\",,4,1,0.25,0,0,0,19.9,0,0,0");
    }
}
