//! The record of changes as files: CSV and JSON lines.

use crate::store::AuditRecord;
use serde::Serialize;
use serde_json::Value;
use std::io;
use utoipa::ToSchema;

/// A recorded change.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditRow {
    /// Grows with time.
    pub id: i64,
    #[schema(format = DateTime)]
    pub at: String,
    /// The name of the key, `admin.key` for the one of the configuration, or `cli:` and the user of
    /// a command line.
    pub actor: String,
    #[schema(example = "models.activate")]
    pub action: String,
    /// What was changed.
    pub subject: String,
    /// What was there before; null where nothing was.
    #[schema(required = true, value_type = Option<Object>)]
    pub before: Option<Value>,
    /// What is there since; null where nothing is.
    #[schema(required = true, value_type = Option<Object>)]
    pub after: Option<Value>,
    /// `begun` stays where the server ended during the change.
    #[schema(value_type = AuditOutcome)]
    pub outcome: String,
    /// Why it failed.
    #[schema(required = true)]
    pub error: Option<String>,
}

/// How a change ended.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum AuditOutcome {
    Begun,
    Done,
    Failed,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditFormat {
    Csv,
    JsonLines,
}

impl From<AuditRecord> for AuditRow {
    fn from(record: AuditRecord) -> Self {
        let AuditRecord { id, at, actor, action, subject, before, after, outcome, error } = record;
        Self { id, at: at.to_string(), actor, action, subject, before, after, outcome, error }
    }
}

/// Writes rows; CSV gets a header first if `header`.
///
/// # Errors
/// When the output cannot be written.
pub fn write_audit(
    rows: &[AuditRow],
    format: AuditFormat,
    header: bool,
    mut output: impl io::Write,
) -> io::Result<()> {
    match format {
        AuditFormat::JsonLines => {
            for row in rows {
                serde_json::to_writer(&mut output, row)?;
                output.write_all(b"\n")?;
            }
            Ok(())
        }
        AuditFormat::Csv => {
            let mut csv = csv::Writer::from_writer(output);
            if header {
                csv.write_record([
                    "id", "at", "actor", "action", "subject", "before", "after", "outcome", "error",
                ])?;
            }
            let json =
                |value: &Option<Value>| value.as_ref().map(Value::to_string).unwrap_or_default();
            for row in rows {
                let (id, before, after) = (row.id.to_string(), json(&row.before), json(&row.after));
                let error = row.error.as_deref().unwrap_or_default();
                let texts = [&row.actor, &row.action, &row.subject].map(|text| plain(text));
                let [actor, action, subject] = &texts;
                csv.write_record([
                    &id,
                    &row.at,
                    actor,
                    action,
                    subject,
                    &before,
                    &after,
                    &row.outcome,
                    &*plain(error),
                ])?;
            }
            csv.flush()
        }
    }
}

/// Spreadsheets run what begins with `=`, `+`, `-` or `@`; a quote before it makes it a text.
fn plain(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(subject: &str) -> AuditRow {
        AuditRow {
            id: 7,
            at: "2026-01-31T12:00:00Z".into(),
            actor: "pim".into(),
            action: "articles.put".into(),
            subject: subject.into(),
            before: None,
            after: Some(serde_json::json!({"a": "x,\"y\""})),
            outcome: "done".into(),
            error: None,
        }
    }

    #[test]
    fn rows_come_back_from_both_formats() {
        let rows = [row("a1"), row("=1+1")];
        let mut lines = Vec::new();
        write_audit(&rows, AuditFormat::JsonLines, true, &mut lines).unwrap();
        let lines = String::from_utf8(lines).unwrap();
        let read: Vec<Value> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((read.len(), &read[0]["after"]["a"]), (2, &Value::from("x,\"y\"")));
        let mut csv = Vec::new();
        write_audit(&rows, AuditFormat::Csv, true, &mut csv).unwrap();
        let mut reader = csv::Reader::from_reader(&csv[..]);
        let read: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!((&read[0][4], &read[1][4]), ("a1", "'=1+1"));
        assert_eq!(&read[0][6], r#"{"a":"x,\"y\""}"#);
    }
}
