//! Which settings made the difference between runs.
//!
//! A setting's importance is the share of the variance of the results that it explains alone: runs
//! are grouped by its value (numbers of more than five values by quartiles of their rank), and the
//! variance between groups is compared with that within. The share is corrected for the number of
//! groups as ε² is (Kelley 1935), 1 − (1 − η²)(n − 1)/(n − g), so that a setting with many values
//! does not win by chance; below 0 it is 0. Effects of settings together are not seen, and where a
//! sampler preferred some values the settings are no longer independent.

use serde_json::Value;

/// Fewer runs say nothing.
const LEAST_RUNS: usize = 8;

/// A setting's share in the differences of the results.
#[derive(Debug, Clone, PartialEq)]
pub struct Importance {
    pub key: String,
    /// From 0 to 1.
    pub share: f64,
    /// Spearman's rank correlation with the result, for numbers.
    pub correlation: Option<f64>,
}

/// Importance of each key, the greatest first. `settings[run][key]`; `results` as many as runs,
/// finite. Empty for fewer than eight runs or when all results are equal.
pub fn importances(keys: &[String], settings: &[Vec<Value>], results: &[f64]) -> Vec<Importance> {
    let mean = results.iter().sum::<f64>() / results.len().max(1) as f64;
    let total: f64 = results.iter().map(|value| (value - mean).powi(2)).sum();
    if results.len() < LEAST_RUNS || total <= 0.0 {
        return Vec::new();
    }
    let mut all: Vec<Importance> = keys
        .iter()
        .enumerate()
        .map(|(at, key)| {
            let column: Vec<&Value> = settings.iter().map(|row| &row[at]).collect();
            let numbers: Option<Vec<f64>> = column.iter().map(|value| value.as_f64()).collect();
            let correlation = numbers.as_deref().and_then(|numbers| spearman(numbers, results));
            Importance {
                key: key.clone(),
                share: share(&groups(&column, numbers.as_deref()), results),
                correlation,
            }
        })
        .collect();
    all.sort_by(|a, b| b.share.total_cmp(&a.share).then_with(|| a.key.cmp(&b.key)));
    all
}

/// The number of each run's group, from 0.
fn groups(column: &[&Value], numbers: Option<&[f64]>) -> Vec<usize> {
    let mut distinct: Vec<String> = column.iter().map(|value| value.to_string()).collect();
    let texts = distinct.clone();
    distinct.sort();
    distinct.dedup();
    match numbers {
        Some(numbers) if distinct.len() > 5 => {
            let ranks = ranks(numbers);
            ranks.iter().map(|rank| ((rank / numbers.len() as f64 * 4.0) as usize).min(3)).collect()
        }
        _ => texts.iter().map(|text| distinct.binary_search(text).unwrap_or(0)).collect(),
    }
}

/// ε² of the results by group; 0 when the groups explain nothing or are as many as the results.
fn share(groups: &[usize], results: &[f64]) -> f64 {
    let n = results.len() as f64;
    let mean = results.iter().sum::<f64>() / n;
    let total: f64 = results.iter().map(|value| (value - mean).powi(2)).sum();
    let (mut used, mut within) = (0.0, 0.0);
    for group in 0..=groups.iter().copied().max().unwrap_or(0) {
        let values: Vec<f64> =
            groups.iter().zip(results).filter(|(g, _)| **g == group).map(|(_, v)| *v).collect();
        if !values.is_empty() {
            used += 1.0;
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            within += values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        }
    }
    if used < 2.0 || n <= used {
        0.0
    } else {
        (1.0 - within / total * (n - 1.0) / (n - used)).max(0.0)
    }
}

/// Ranks from 0, ties at their mean.
fn ranks(values: &[f64]) -> Vec<f64> {
    let rank = |value: f64| {
        let below = values.iter().filter(|&&other| other < value).count();
        let equal = values.iter().filter(|&&other| other == value).count();
        below as f64 + (equal - 1) as f64 / 2.0
    };
    values.iter().map(|&value| rank(value)).collect()
}

fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.iter().chain(b).any(|value| value.is_nan()) {
        return None;
    }
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 - 1.0) / 2.0;
    let sum =
        |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| (x - mean) * (y - mean)).sum::<f64>();
    let (aa, bb) = (sum(&a, &a), sum(&b, &b));
    (aa > 0.0 && bb > 0.0).then(|| sum(&a, &b) / (aa * bb).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_makes_the_difference_stands_first() {
        let keys: Vec<String> = ["noise", "switch", "rate"].map(str::to_owned).to_vec();
        let settings: Vec<Vec<Value>> = (0..24)
            .map(|i| vec![json!(i * i % 5), json!(i % 2 == 0), json!(10f64.powi(-i))])
            .collect();
        let results: Vec<f64> =
            (0..24).map(|i| f64::from(i % 2 == 0) + 0.03 * f64::from(i)).collect();
        let found = importances(&keys, &settings, &results);
        assert_eq!(
            found.iter().map(|i| i.key.as_str()).collect::<Vec<_>>(),
            ["switch", "rate", "noise"]
        );
        assert!(found[0].share > 0.5 && found[0].share < 1.0, "{found:?}");
        assert!(found[2].share < 0.05, "{found:?}");
        assert!(
            found[1].correlation.unwrap() < -0.2 && found[0].correlation.is_none(),
            "{found:?}"
        );
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        let keys = vec!["a".to_owned()];
        let settings = vec![vec![json!(1)]; 12];
        assert!(importances(&keys, &settings[..3], &[1.0, 2.0, 3.0]).is_empty());
        assert!(importances(&keys, &settings, &[1.0; 12]).is_empty());
        let results: Vec<f64> = (0..12).map(f64::from).collect();
        assert_eq!(importances(&keys, &settings, &results)[0].share, 0.0);
    }

    #[test]
    fn ranks_and_their_correlation() {
        assert_eq!(ranks(&[5.0, 1.0, 5.0, 9.0]), [1.5, 0.0, 1.5, 3.0]);
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[2.0, 4.0, 9.0]), Some(1.0));
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[9.0, 4.0, 2.0]), Some(-1.0));
        assert_eq!(spearman(&[1.0, 1.0], &[9.0, 4.0]), None);
    }
}
