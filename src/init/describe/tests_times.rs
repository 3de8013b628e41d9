//! Columns of times in the forms in which exports have them.

use super::tests::{folder, loaded, rows};
use super::*;

/// `count` orders with these columns of time.
fn orders(header: &str, count: usize, time: impl Fn(usize) -> String) -> tempfile::TempDir {
    let order = |at: usize| format!("C{};A{};{}", at % 50, at % 20, time(at));
    folder(&[("o.csv", format!("cust;sku;{header}\n{}", rows(count, order)).as_bytes())])
}

fn findings(dir: &tempfile::TempDir) -> Vec<String> {
    match describe(dir.path()).unwrap() {
        Layout::Guessed(described) => described.findings,
        other => panic!("{other:?}"),
    }
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[test]
fn dates_are_read_in_whatever_notations_they_are() {
    let (month, day) = (|at: usize| 1 + at / 25 % 12, |at: usize| 1 + at % 25);
    let named = |at: usize| format!("{:02}-{}-2023", day(at), MONTHS[month(at) - 1]);
    let epoch = |at: usize| if at == 7 { 0 } else { 1_700_000_000 + at * 5_000 };
    let mixed = |at: usize| match at % 3 {
        0 => format!("{:02}.{:02}.2023", day(at), month(at)),
        _ => format!("{:02}.{:02}.2023 10:05", day(at), month(at)),
    };
    let rare = |at: usize| match at % 50 {
        9 => format!("{:02}/{:02}/2023", day(at), month(at)),
        _ => format!("2023-{:02}-{:02}", month(at), day(at)),
    };
    let parts = |at: usize| {
        if at >= 150 {
            format!("{}", 1_700_000_000 + at)
        } else {
            format!("{}000", 1_700_000_000 + at)
        }
    };
    let cases: [(&str, &dyn Fn(usize) -> String); 5] = [
        ("\"%d-%b-%Y\"", &named),
        ("\"unix-seconds\"", &|at| epoch(at).to_string()),
        ("[\"%d.%m.%Y %H:%M\", \"%d.%m.%Y\"]", &mixed),
        ("[\"date\", \"%d/%m/%Y\"]", &rare),
        ("[\"unix-seconds\", \"unix-millis\"]", &parts),
    ];
    for (format, time) in cases {
        let dir = orders("order_date", 300, time);
        let (text, dataset, _) = loaded(&dir);
        assert!(text.contains(&format!("time_format = {format}")), "{format}: {text}");
        assert_eq!(dataset.purchases.len(), 300, "{text}");
    }
}

#[test]
fn a_date_in_three_columns_is_read() {
    for header in ["year;month;day", "order_day;order_month;order_year", "Jahr;Monat;Tag"] {
        let dir = orders(header, 300, |at| match header.starts_with("order") {
            true => format!("{};{};2023", 1 + at % 28, 1 + at % 12),
            false => format!("2023;{};{}", 1 + at % 12, 1 + at % 28),
        });
        let (text, dataset, _) = loaded(&dir);
        assert!(text.contains(r#"time_format = "%Y %m %d""#), "{text}");
        assert_eq!(dataset.purchases.time[0].date_string(), "2023-01-01", "{text}");
    }
    // A date that is whole is better than one in parts.
    let dir = orders("created_at;year;month;day", 300, |at| {
        format!("2024-01-{:02};2023;1;{}", 1 + at % 28, 1 + at % 28)
    });
    assert!(loaded(&dir).0.contains(r#"time = "created_at""#));
    // A day of the week is none of the month.
    let dir =
        orders("year;month;weekday", 300, |at| format!("2023;{};{}", 1 + at % 12, 1 + at % 7));
    assert!(!loaded(&dir).0.contains("%Y %m %d"));
}

#[test]
fn a_time_that_cannot_be_read_is_named_with_an_example() {
    for (header, value) in [
        ("order_date", "5. leden 2023"),
        ("order_date", "2023-W01-4"),
        ("zeitpunkt", "2023-01"),
        ("created", "2023-01-05 10:00:00 IST"),
    ] {
        let dir = orders(header, 300, |at| {
            value
                .replace('5', &(5 + at % 4).to_string())
                .replace("W01", &format!("W{:02}", 1 + at % 50))
                .replace("-01", &format!("-{:02}", 1 + at % 12))
        });
        let (text, _, _) = loaded(&dir);
        let findings = findings(&dir).join("\n");
        for said in [&text, &findings] {
            assert!(
                said.contains(&format!("CHECK: `{header}` of o.csv looks like a time")),
                "{value}: {said}"
            );
        }
    }
    // A chosen column that is called less like a time does not hide it either.
    let dir = orders("shipped_date;order_date", 300, |at| {
        format!("2023-01-{:02};{}. kv\u{11b}ten 2023", 1 + at % 28, 1 + at % 28)
    });
    assert!(findings(&dir).join("\n").contains("`shipped_date` is the time instead"));
    let tidy = orders("order_date;hour_of_day", 300, |at| {
        format!("2023-01-{:02};{}", 1 + at % 28, at % 24)
    });
    assert!(!findings(&tidy).join("\n").contains("CHECK"));
}

#[test]
fn values_that_are_no_times_are_counted() {
    let dir = orders("order_date", 300, |at| match at {
        7 => "0000-00-00".to_owned(),
        _ => format!("2023-01-{:02}", 1 + at % 28),
    });
    let findings = findings(&dir).join("\n");
    assert!(
        findings.contains("`order_date` holds no time in 1 of 300 rows, such as `0000-00-00`: such a row is rejected"),
        "{findings}"
    );
    assert_eq!(loaded(&dir).1.purchases.len(), 299);
}
