//! Who changed what.

use crate::{
    http::{ApiError, App, answer::json, extract::Params},
    serving::{AuditFormat, AuditRow, write_audit},
};
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_audit))
}

const DEFAULT_ROWS: u32 = 100;
const MAX_ROWS: u32 = 10_000;
/// Numbers up to here are the same in every language.
const MAX_ID: i64 = (1 << 53) - 1;

#[derive(Serialize, ToSchema)]
struct AuditPage {
    /// The latest first.
    rows: Vec<AuditRow>,
    /// Send it as `before` for the next page; null when this is the last one.
    #[schema(required = true)]
    next: Option<i64>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditParams {
    /// Only rows with an id below this one.
    #[param(minimum = 1, maximum = 9_007_199_254_740_991i64)]
    before: Option<i64>,
    /// How many rows at most; 100 if not given.
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<u32>,
    /// JSON if not given.
    #[param(inline)]
    format: Option<Format>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// One object with all rows.
    Json,
    /// One object a line.
    Jsonl,
    Csv,
}

/// List the changes that were made
#[utoipa::path(get, path = "/admin/v1/audit", tag = "admin", params(AuditParams),
    responses((status = 200, description = "Changes, the latest first", content(
        (AuditPage = "application/json"), (String = "application/jsonl"), (String = "text/csv"),
    )))
)]
async fn list_audit(
    State(app): State<App>,
    Params(params): Params<AuditParams>,
) -> Result<Response, ApiError> {
    let limit = params.limit.unwrap_or(DEFAULT_ROWS);
    if !(1..=MAX_ROWS).contains(&limit) {
        return Err(ApiError::invalid(format!("`limit` must be 1 to {MAX_ROWS}, not {limit}")));
    }
    let before = params.before.unwrap_or(MAX_ID);
    if !(1..=MAX_ID).contains(&before) {
        return Err(ApiError::invalid(format!("`before` must be 1 to {MAX_ID}, not {before}")));
    }
    let records = app.service().store().audit(before, limit).await?;
    let rows: Vec<AuditRow> = records.into_iter().map(AuditRow::from).collect();
    let (format, kind) = match params.format.unwrap_or(Format::Json) {
        Format::Json => {
            let next = rows.last().map(|row| row.id).filter(|_| rows.len() == limit as usize);
            return json(&AuditPage { rows, next });
        }
        Format::Jsonl => (AuditFormat::JsonLines, "application/jsonl"),
        Format::Csv => (AuditFormat::Csv, "text/csv"),
    };
    let mut body = Vec::new();
    write_audit(&rows, format, true, &mut body)
        .map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, kind)], body).into_response())
}
