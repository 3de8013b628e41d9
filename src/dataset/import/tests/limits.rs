//! How many rejects end an import, and what becomes of missing values.

use super::*;

/// A folder of purchases, of which so many of a hundred have a bad time.
fn purchases_with(bad: usize, more: &str) -> TempDir {
    let description = format!(
        "{more}\n[purchases]\nfiles = [\"p.csv\"]\narticle = \"a\"\ncustomer = \"c\"\ntime = \"t\"\nprice = \"price\"\n"
    );
    let mut text = String::from("a,c,t,price\n");
    for row in 0..100 {
        let time = if row < bad { "?" } else { "2024-05-01" };
        text += &format!("a{},c{},{time},1\n", row % 7, row % 9);
    }
    folder(&[("dataset.toml", &description), ("p.csv", &text)])
}

fn load_with(dir: &TempDir, limit: Option<&str>) -> Result<(Dataset, ImportReport), DatasetError> {
    let max_rejects = limit.map(|limit| limit.parse().unwrap());
    load(dir.path(), &LoadOptions { max_rejects, ..LoadOptions::default() })
}

#[test]
fn more_rejects_than_the_limit_end_the_import() {
    assert_eq!(load_with(&purchases_with(5, ""), None).unwrap().1.rejected(), 5);
    let dir = purchases_with(6, "");
    let error = load_with(&dir, None).expect_err("6 %");
    assert!(error.is_bad_input());
    let message = error.to_string();
    for says in [
        "6 of 100 rows of purchases",
        "limit of 5 %",
        "--max-rejects 100%",
        "p.csv, line 2, column `t`: `?`",
    ] {
        assert!(message.contains(says), "`{says}` is not in: {message}");
    }
    // The command line goes before the description, and a number is a limit too.
    assert_eq!(load_with(&dir, Some("6")).unwrap().0.purchases.len(), 94);
    assert!(load_with(&dir, Some("5")).is_err());
    let described = purchases_with(6, "max_rejects = \"10%\"");
    assert_eq!(load_with(&described, None).unwrap().0.purchases.len(), 94);
    assert!(load_with(&described, Some("0%")).is_err());
}

#[test]
fn the_account_of_a_table_adds_up() {
    let description = "
        max_rejects = 1
        [purchases]
        files = [\"p.csv\"]
        article = \"a\"
        customer = \"c\"
        time = \"t\"
        event = \"kind\"
        events = { sale = 1.0, cart = 0.25 }
        quantity = \"n\"
        rating = \"stars\"
        min_rating = 3
        where = { shop = { not = \"test*\" } }";
    let rows = [
        "a1,c1,2024-05-01,sale,2,5,north",
        "a1,c1,2024-05-01,cart,2,4,north",
        "a2,c2,2024-05-01,view,1,5,north",
        "a2,c2,2024-05-01,sale,-1,5,north",
        "a2,c2,2024-05-01,sale,0,5,north",
        "a2,NULL,2024-05-01,sale,1,5,north",
        "a2,,2024-05-01,sale,1,5,north",
        "a2,c2,2024-05-01,sale,1,2,north",
        "a2,c2,2024-05-01,sale,1,5,test-7",
        "a2,c2,May,sale,1,5,north",
        "a2,c2,2024-05-02,sale,many,5,north",
    ];
    let text = format!("a,c,t,kind,n,stars,shop\n{}\n", rows.join("\n"));
    let dir = folder(&[("dataset.toml", description), ("p.csv", &text)]);
    let (dataset, report) = load(dir.path(), &LoadOptions::default()).unwrap();
    assert_eq!(dataset.purchases.weight, [2.0, 0.5, 1.0]);
    let table = &report.tables[0];
    let not_counted: u64 = table.not_counted.iter().map(|(_, rows)| rows).sum();
    assert_eq!((table.rows, table.used, not_counted, table.rejected), (11, 3, 7, 1));
    let text = report.to_string();
    for says in [
        "11 rows of purchases = 3 used",
        " + 1 left out by `where`",
        " + 1 of another event",
        " + 2 returned or without a quantity",
        " + 2 without a customer",
        " + 1 below the rating",
        " + 1 rejected",
        "column `n`: `many` is not a finite number",
        "events in `kind`: sale 8, cart 1, view 1",
    ] {
        assert!(text.contains(says), "`{says}` is not in: {text}");
    }
    // No customer was made of a spelling of nothing.
    assert_eq!(dataset.customers.ids.iter().collect::<Vec<_>>(), ["c1", "c2"]);
}

#[test]
fn spellings_of_missing_values_can_be_added() {
    let description = "missing = [\"unknown\"]\n[customers]\nfiles = [\"c.csv\"]\nid = \"c\"\nmissing = [\"0\"]\n\
        types = { age = \"number\" }\n[purchases]\nfiles = [\"p.csv\"]\narticle = \"a\"\ncustomer = \"c\"\n";
    let dir = folder(&[
        ("dataset.toml", description),
        ("c.csv", "c,age,city\nc1,0,Rome\nc2,N/A,Unknown\nc3,31,0\nc4,None,None\n"),
        ("p.csv", "a,c\na1,c1\nunknown,c2\na1,unknown\n"),
    ]);
    let (dataset, report) = load_plain(&dir).unwrap();
    let age = &dataset.customers.column("age").unwrap().values;
    assert_eq!(
        (0..4).map(|row| age.number(row)).collect::<Vec<_>>(),
        [None, None, Some(31.0), None]
    );
    let city = &dataset.customers.column("city").unwrap().values;
    assert_eq!(
        (0..4).map(|row| city.category(row)).collect::<Vec<_>>(),
        [Some("Rome"), None, None, Some("None")]
    );
    assert!(report.unreadable.is_empty(), "{report}");
    assert_eq!(dataset.purchases.len(), 1);
    assert!(
        report.to_string().contains("column `a`: `unknown` stands for a missing value"),
        "{report}"
    );
}

#[test]
fn purchases_in_the_future_are_rejected() {
    let text = "a,c,t,price\na1,c1,2024-05-01,1\na1,c1,2024-05-03,1\na1,c1,2024-05-04,1\n";
    let dir = purchases_with(0, "");
    std::fs::write(dir.path().join("p.csv"), text).unwrap();
    let now = Some(Timestamp::parse("2024-05-01").unwrap());
    let options = LoadOptions { now, ..any_rejects() };
    let (dataset, report) = load(dir.path(), &options).unwrap();
    assert_eq!(dataset.purchases.len(), 2);
    assert!(
        report
            .to_string()
            .contains("line 4, column `t`: `2024-05-04T00:00:00Z` lies in the future"),
        "{report}"
    );
    let allowed = purchases_with(0, "allow_future = true");
    std::fs::write(allowed.path().join("p.csv"), text).unwrap();
    assert_eq!(load(allowed.path(), &options).unwrap().0.purchases.len(), 3);
}

#[test]
fn a_mistaken_unit_is_named() {
    let file = |format: &str, times: [&str; 2]| {
        let description = format!(
            "[purchases]\nfiles = [\"p.csv\"]\narticle = \"a\"\ncustomer = \"c\"\ntime = \"t\"\ntime_format = \"{format}\"\n"
        );
        let text = format!("a,c,t\na1,c1,{}\na2,c1,{}\n", times[0], times[1]);
        load_plain(&folder(&[("dataset.toml", &description), ("p.csv", &text)]))
            .map(|(dataset, _)| dataset.purchases)
    };
    let millis = ["1714550400123", "1714550400456"];
    for (format, times, says) in [
        ("unix-seconds", millis, "unix-millis"),
        ("unix-millis", ["1714550400", "1714550401"], "unix-seconds"),
        ("unix-seconds", ["20240501", "20240502"], "compact-date"),
    ] {
        let error = file(format, times).expect_err(format).to_string();
        assert!(
            error.contains("column `t`") && error.contains(&format!("time_format = \"{says}\"")),
            "{error}"
        );
    }
    let read = file("unix-millis", millis).unwrap();
    assert_eq!((read.time[0].0, read.millis), (1_714_550_400, vec![123, 456]));
    // Days that the shop counts from a start of its own are too early under every unit.
    assert_eq!(file("unix-seconds", ["5", "3"]).unwrap().time[0].0, 3);
    assert_eq!(file("auto", millis).unwrap().millis, [123, 456]);
    let error = file("auto", ["1/2/2024", "3/4/2024"]).expect_err("day or month").to_string();
    assert!(error.contains("\"%m/%d/%Y\" or \"%d/%m/%Y\""), "{error}");
}
