//! The comparison as text.

use super::record::{ArmRecord, DayRecord, Night, mean_and_margin};
use std::fmt::Write;

/// Day by day and in sum, for each seed; then what one arm is above another, over the seeds.
pub fn table(seeds: &[(u64, Vec<ArmRecord>)]) -> String {
    let mut text = String::new();
    for (seed, arms) in seeds {
        let _ = writeln!(
            text,
            "\nseed {seed}: expected purchases a visit from the list, by the hidden utilities"
        );
        days(&mut text, arms);
        sums(&mut text, arms);
    }
    comparison(&mut text, seeds);
    text
}

fn days(text: &mut String, arms: &[ArmRecord]) {
    let _ = write!(text, "{:>4} {:>7}", "day", "visits");
    for arm in arms {
        let _ = write!(text, " {:>11}", arm.arm);
    }
    text.push('\n');
    for at in 0..arms.iter().map(|arm| arm.days.len()).min().unwrap_or(0) {
        let _ = write!(text, "{:>4} {:>7}", arms[0].days[at].day + 1, arms[0].days[at].visits);
        for arm in arms {
            let _ = write!(text, " {:>11.4}", arm.days[at].expected_a_visit());
        }
        text.push('\n');
    }
}

fn sums(text: &mut String, arms: &[ArmRecord]) {
    let _ = writeln!(
        text,
        "\n{:<11} {:>7} {:>11} {:>7} {:>9} {:>9} {:>9} {:>9} {:>8} {:>20}",
        "arm",
        "visits",
        "impressions",
        "clicks",
        "from list",
        "all",
        "expected",
        "revenue",
        "returns",
        "new models"
    );
    for arm in arms {
        let total = arm.total();
        let _ = writeln!(
            text,
            "{:<11} {:>7} {:>11} {:>7} {:>9.4} {:>9.4} {:>9.4} {:>9.2} {:>8.4} {:>20}",
            arm.arm,
            total.visits,
            total.impressions,
            total.clicks,
            total.a_visit(total.purchases as f64),
            total.a_visit(total.all_purchases as f64),
            total.expected_a_visit(),
            total.a_visit(total.revenue),
            total.a_visit(total.returns as f64),
            nights(arm)
        );
    }
    text.push_str("(purchases, revenue and returns a visit)\n");
}

/// How many nights brought a new model, of how many, and how long they took on average.
fn nights(arm: &ArmRecord) -> String {
    let new = arm.nights.iter().filter(|night| matches!(night, Night::Trained { .. })).count();
    let seconds: f64 = arm.nights.iter().map(Night::seconds).sum();
    match arm.nights.len() {
        0 => "-".to_owned(),
        nights => format!("{new} of {nights} ({:.1} s)", seconds / nights as f64),
    }
}

/// `a` above `b`, in per cent, over the seeds.
pub(super) fn above(
    seeds: &[(u64, Vec<ArmRecord>)],
    (a, b): (&str, &str),
    of: impl Fn(&DayRecord) -> f64,
) -> Option<(f64, f64)> {
    let find = |arms: &[ArmRecord], name: &str| {
        arms.iter().find(|arm| arm.arm == name).map(ArmRecord::total)
    };
    let ratio = |(_, arms): &(u64, Vec<ArmRecord>)| {
        Some(100.0 * (of(&find(arms, a)?) / of(&find(arms, b)?) - 1.0))
    };
    let ratios: Vec<f64> = seeds.iter().map(ratio).collect::<Option<_>>()?;
    Some(mean_and_margin(&ratios))
}

/// The pairs that a comparison tells of.
pub(super) const PAIRS: [(&str, &str); 5] = [
    ("loop", "once"),
    ("loop", "frozen"),
    ("loop", "popularity"),
    ("once", "popularity"),
    ("best", "loop"),
];

fn comparison(text: &mut String, seeds: &[(u64, Vec<ArmRecord>)]) {
    let _ = writeln!(
        text,
        "\n{:<24} {:>22} {:>22} {:>22}",
        format!("over {} seed(s)", seeds.len()),
        "expected from the list",
        "bought from the list",
        "bought in all"
    );
    let cell = |(mean, margin): (f64, f64)| match seeds.len() {
        1 => format!("{mean:+.1} %"),
        _ => format!("{mean:+.1} ± {margin:.1} %"),
    };
    for pair in PAIRS {
        let columns = [
            above(seeds, pair, |day| day.expected),
            above(seeds, pair, |day| day.purchases as f64),
            above(seeds, pair, |day| day.all_purchases as f64),
        ];
        if let [Some(expected), Some(listed), Some(all)] = columns {
            let name = format!("{} above {}", pair.0, pair.1);
            let _ = writeln!(
                text,
                "{name:<24} {:>22} {:>22} {:>22}",
                cell(expected),
                cell(listed),
                cell(all)
            );
        }
    }
}
