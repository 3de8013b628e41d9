//! The values a setting may take.

use serde::{Deserialize, Serialize};
use tpe::range::Range;

/// A key's values, and further keys that take the same one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log: Option<[f64; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uniform: Option<[f64; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    int: Option<[i64; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    choice: Option<Vec<toml::Value>>,
    /// Keys that always have the same value, such as the width of the other tower.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
}

/// The one kind of values a parameter has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Domain<'a> {
    /// Evenly by the logarithm.
    Log(f64, f64),
    Uniform(f64, f64),
    /// Both ends belong to it.
    Int(i64, i64),
    Choice(&'a [toml::Value]),
}

impl Parameter {
    /// # Errors
    /// What is wrong with it, to stand after its key.
    pub fn check(&self) -> Result<(), String> {
        let given =
            [self.log.is_some(), self.uniform.is_some(), self.int.is_some(), self.choice.is_some()];
        if given.into_iter().filter(|&given| given).count() != 1 {
            return Err(
                "needs one of `log`, `uniform`, `int` and `choice`, such as { log = [1e-4, 0.1] }"
                    .to_owned(),
            );
        }
        match self.domain() {
            Domain::Log(from, to) if !(from > 0.0 && from < to && to.is_finite()) => {
                Err(format!("`log` needs 0 < from < to, not [{from}, {to}]"))
            }
            Domain::Uniform(from, to) if !(from < to && (to - from).is_finite()) => {
                Err(format!("`uniform` needs from < to, not [{from}, {to}]"))
            }
            Domain::Int(from, to) if !(from < to && to.abs().max(from.abs()) < 1 << 52) => {
                Err(format!("`int` needs from < to, not [{from}, {to}]"))
            }
            Domain::Choice([]) => Err("`choice` offers nothing".to_owned()),
            _ => Ok(()),
        }
    }

    pub fn domain(&self) -> Domain<'_> {
        if let Some([from, to]) = self.log {
            Domain::Log(from, to)
        } else if let Some([from, to]) = self.uniform {
            Domain::Uniform(from, to)
        } else if let Some([from, to]) = self.int {
            Domain::Int(from, to)
        } else {
            Domain::Choice(self.choice.as_deref().unwrap_or_default())
        }
    }

    /// A few values of it: the ends, or all choices.
    pub(super) fn samples(&self) -> Vec<toml::Value> {
        match self.domain() {
            Domain::Log(from, to) | Domain::Uniform(from, to) => vec![from.into(), to.into()],
            Domain::Int(from, to) => vec![from.into(), to.into()],
            Domain::Choice(values) => values.to_vec(),
        }
    }
}

impl Domain<'_> {
    /// The range of its coordinate: the number itself, its logarithm, or the position among the
    /// choices.
    pub(super) fn range(self) -> Option<Range> {
        match self {
            Self::Log(from, to) => Range::new(from.ln(), to.ln()),
            Self::Uniform(from, to) => Range::new(from, to),
            Self::Int(from, to) => Range::new(from as f64, to as f64 + 1.0),
            Self::Choice(values) => Range::new(0.0, values.len() as f64),
        }
        .ok()
    }

    /// The value at a coordinate; numbers to six digits, which every text form keeps.
    pub(super) fn value(self, at: f64) -> toml::Value {
        match self {
            Self::Log(from, to) => rounded(at.exp()).clamp(from, to).into(),
            Self::Uniform(from, to) => rounded(at).clamp(from, to).into(),
            Self::Int(from, to) => (at.floor() as i64).clamp(from, to).into(),
            Self::Choice(values) => {
                let last = values.len().saturating_sub(1);
                values.get((at as usize).min(last)).cloned().unwrap_or_else(|| false.into())
            }
        }
    }

    /// The coordinate of a value that a trial recorded; `None` when it is none of the domain.
    pub(super) fn coordinate(self, value: &serde_json::Value) -> Option<f64> {
        let at = match self {
            Self::Log(..) => value.as_f64()?.ln(),
            Self::Uniform(..) => value.as_f64()?,
            Self::Int(..) => value.as_i64()? as f64 + 0.5,
            Self::Choice(values) => {
                // As the record has it: through the same text.
                let text = |choice: &toml::Value| serde_json::to_string(choice).ok();
                let read = |text: String| serde_json::from_str::<serde_json::Value>(&text).ok();
                values
                    .iter()
                    .position(|choice| text(choice).and_then(read).as_ref() == Some(value))?
                    as f64
                    + 0.5
            }
        };
        let range = self.range()?;
        // Rounding may have put it onto the open end.
        Some(at.clamp(range.start(), range.end().next_down()))
    }
}

/// To six digits.
fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}
