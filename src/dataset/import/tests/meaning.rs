//! What the cells of a described table mean: joins, splits, filled cells, shared files, ids.

use super::*;

const ORDERS: &str = "[purchases]\nfiles = [\"p.csv\"]\narticle = \"a\"\ncustomer = \"c\"\n";

/// Loads `p.csv` as [`ORDERS`] with more keys of the section, and other files beside it.
fn orders(
    keys: &str,
    text: &str,
    others: &[(&str, &str)],
) -> Result<(Dataset, ImportReport), DatasetError> {
    let description = format!("{ORDERS}{keys}\n");
    let dir =
        folder(&[&[("dataset.toml", description.as_str()), ("p.csv", text)][..], others].concat());
    load_plain(&dir)
}

/// Customers and articles of the purchases, in order.
fn pairs(dataset: &Dataset) -> Vec<(&str, &str)> {
    purchases(dataset).into_iter().map(|(customer, article, _)| (customer, article)).collect()
}

#[test]
fn lines_are_joined_with_orders_and_persons() {
    let keys = "time = \"day\"\nprice = \"paid\"\nwhere = { state = { not = \"cancelled\" } }\n\
        [purchases.join]\nfiles = [\"orders-*.csv\"]\non = { left = \"order\", right = \"id\" }\n\
        [purchases.join.join]\nfiles = [\"accounts.csv\"]\ndelimiter = \";\"\non = \"account\"";
    let others = [
        (
            "orders-1.csv",
            "id,account,day,state\n1,x,2024-03-02,paid\n2,y,2024-03-01,cancelled\n1,y,2024-03-09,paid\n",
        ),
        ("orders-2.csv", "state,day,id,account\npaid,2024-03-01,3,y\npaid,2024-03-01,4,nobody\n"),
        ("accounts.csv", "account;c\nx;ann\ny;bob\n"),
    ];
    let text = "order,a,paid\n1,lamp,5\n1.0,desk,6\n2,lamp,7\n3,lamp,\n4,lamp,9\n9,lamp,9\n";
    let (dataset, report) = orders(keys, text, &others).unwrap();
    assert_eq!(pairs(&dataset), [("bob", "lamp"), ("ann", "lamp"), ("ann", "desk")]);
    let told = report.to_string();
    for says in [
        "line 6, column `order`: no row of ",
        "accounts.csv has `nobody` in its column `account`",
        "(and 1 more of this kind)",
        "1 rows repeat a value of `id`",
        "6 rows of purchases = 3 used + 1 left out by `where` + 2 rejected",
    ] {
        assert!(told.contains(says), "`{says}` is not in: {told}");
    }
    let error = orders(&keys.replace("\"day\"", "\"when\""), text, &others)
        .expect_err("no such column")
        .to_string();
    assert!(
        error.contains("column `when`")
            && error.contains("joined are id, account, day, state, account, c"),
        "{error}"
    );
}

#[test]
fn articles_are_joined_as_well() {
    let description = format!(
        "[articles]\nfiles = [\"a.csv\"]\nid = \"id\"\n[articles.join]\nfiles = [\"names.csv\"]\non = \"group\"\n{ORDERS}"
    );
    let dir = folder(&[
        ("dataset.toml", &description),
        ("a.csv", "id,group\nlamp,1\ndesk,2\n"),
        ("names.csv", "group,name,group_colour\n1,Lighting,red\n2,Office,\n"),
        ("p.csv", "a,c\nlamp,ann\n"),
    ]);
    let (dataset, _) = load_plain(&dir).unwrap();
    let names: Vec<&str> =
        dataset.articles.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["group", "name", "group_colour"]);
    assert_eq!(dataset.articles.column("name").unwrap().values.category(1), Some("Office"));
    assert_eq!(dataset.articles.column("group_colour").unwrap().values.category(1), None);
}

#[test]
fn items_in_one_cell_are_rows() {
    let keys = "split = { column = \"a\", separator = \";\", quantity = \" x \" }";
    let text = "c,a\nann,lamp x 2; desk x 1\nbob,desk\ncid,\ndan,lamp x 0;desk x some\n";
    let (dataset, report) = orders(keys, text, &[]).unwrap();
    assert_eq!(
        pairs(&dataset),
        [("ann", "lamp"), ("bob", "desk"), ("dan", "desk"), ("ann", "desk")]
    );
    assert_eq!(dataset.purchases.weight, [2.0, 1.0, 1.0, 1.0]);
    let told = report.to_string();
    assert!(told.contains("6 rows of purchases = 4 used"), "{told}");
    assert!(told.contains(" + 1 without an item") && told.contains(" + 1 returned"), "{told}");
    assert!(told.contains("line 5, column `a`: `some` is not a finite number"), "{told}");
    // Every item of a record is accounted for by itself.
    let closed = format!("[articles]\nfiles = [\"a.csv\"]\nid = \"id\"\n{ORDERS}{keys}\n");
    let dir = folder(&[
        ("dataset.toml", &closed),
        ("a.csv", "id\nlamp\n"),
        ("p.csv", "c,a\nann,desk;lamp;sofa\n"),
    ]);
    let (dataset, report) = load_plain(&dir).unwrap();
    assert_eq!((dataset.purchases.len(), report.rejected()), (1, 2), "{report}");
}

#[test]
fn empty_cells_take_the_value_above() {
    let text = "order,c,t,a\n1,ann,2024-01-02,lamp\n1,,,desk\n2,,2024-01-01,sofa\n2,,,chair\n3,bob,2024-01-03,lamp\n";
    let filled = "time = \"t\"\nfill_down = [\"c\", \"t\"]";
    let (dataset, _) = orders(filled, text, &[]).unwrap();
    assert_eq!(
        pairs(&dataset),
        [("ann", "sofa"), ("ann", "chair"), ("ann", "lamp"), ("ann", "desk"), ("bob", "lamp")]
    );
    // A guest's order is not the order of the customer above it.
    let within = "time = \"t\"\nfill_down = { columns = [\"c\", \"t\"], within = \"order\" }";
    let (dataset, report) = orders(within, text, &[]).unwrap();
    assert_eq!(pairs(&dataset), [("ann", "lamp"), ("ann", "desk"), ("bob", "lamp")]);
    assert!(report.to_string().contains("+ 2 without a customer"), "{report}");
    // The same in blocks of any size.
    let dir = folder(&[("dataset.toml", &format!("{ORDERS}{within}\n")), ("p.csv", text)]);
    for block in [1, 7, 20, 64] {
        let (in_blocks, _) = load_in_blocks(dir.path(), &any_rejects(), block).unwrap();
        assert_eq!(in_blocks.fingerprint(), dataset.fingerprint(), "{block}");
    }
}

#[test]
fn one_file_of_events_is_all_three_tables() {
    let description = "
        [articles]
        files = [\"p.csv\"]
        id = \"a\"
        keep = [\"brand\", \"tags\"]
        types = { tags = { tags = \"|\" } }
        price = \"cost\"
        [customers]
        files = [\"p.csv\"]
        id = \"c\"
        keep = [\"city\"]
        [purchases]
        files = [\"p.csv\"]
        article = \"a\"
        customer = \"c\"
        event = \"kind\"
        events = { sale = 1 }";
    let text = "a,c,kind,brand,cost,tags,city\n\
        lamp,ann,view,Lux,10 EUR,new|red,Rome\nlamp,,view,,12 EUR,,\nlamp,ann,sale,Luxor,,sale,\n,bob,sale,,,,Oslo\n";
    let dir = folder(&[("dataset.toml", description), ("p.csv", text)]);
    let (dataset, report) = load_plain(&dir).unwrap();
    assert_eq!(pairs(&dataset), [("ann", "lamp")]);
    let column = |name: &str| &dataset.articles.column(name).unwrap().values;
    assert_eq!(
        (column("brand").category(0), column("price").number(0)),
        (Some("Luxor"), Some(12.0))
    );
    assert_eq!(column("tags").tags(0).collect::<Vec<_>>(), ["sale"]);
    assert_eq!(dataset.customers.ids.iter().collect::<Vec<_>>(), ["ann", "bob"]);
    assert_eq!(dataset.customers.column("city").unwrap().values.category(0), Some("Rome"));
    assert!(
        report.to_string().contains("4 rows of articles = 1 used + 1 without an id + 2 of an id"),
        "{report}"
    );
    // The first value holds where the description says so.
    let first = description.replace("id = \"a\"", "id = \"a\"\nduplicates = \"first\"");
    let (dataset, _) = load_plain(&folder(&[("dataset.toml", &first), ("p.csv", text)])).unwrap();
    let column = |name: &str| &dataset.articles.column(name).unwrap().values;
    assert_eq!((column("brand").category(0), column("price").number(0)), (Some("Lux"), Some(10.0)));
    assert_eq!(column("tags").tags(0).collect::<Vec<_>>(), ["new", "red"]);
}

#[test]
fn the_fields_of_the_catalogue_come_from_the_columns_named() {
    let description = format!(
        "[articles]\nfiles = [\"a.csv\"]\nid = \"id\"\ndecimal = \",\"\nprice = \"Preis\"\navailable = \"Bestand\"\n\
         image = \"Bild\"\n{ORDERS}"
    );
    let dir = folder(&[
        ("dataset.toml", &description),
        (
            "a.csv",
            "id;Preis;Bestand;Bild;price\nlamp;1.299,00 €;3;l.jpg;x\ndesk;soon;out of stock;;y\nsofa;;;;\n"
                .replace(';', "\t")
                .as_str(),
        ),
        ("p.csv", "a,c\nlamp,ann\n"),
    ]);
    let text = std::fs::read_to_string(dir.path().join("dataset.toml")).unwrap();
    std::fs::write(
        dir.path().join("dataset.toml"),
        text.replace("decimal", "delimiter = \"\\t\"\ndecimal"),
    )
    .unwrap();
    let (dataset, report) = load_plain(&dir).unwrap();
    let numbers = |name: &str| {
        let values = &dataset.articles.column(name).unwrap().values;
        (0..3).map(|row| values.number(row)).collect::<Vec<_>>()
    };
    assert_eq!(numbers("price"), [Some(1299.0), None, None]);
    assert_eq!(numbers("available"), [Some(1.0), Some(0.0), None]);
    assert_eq!(dataset.articles.column("image_url").unwrap().values.category(0), Some("l.jpg"));
    assert_eq!(dataset.articles.columns.len(), 3);
    assert!(
        report.to_string().contains("line 3, column `Preis`: `soon` is not a price"),
        "{report}"
    );
}

#[test]
fn ids_are_the_same_however_they_are_written() {
    let description = format!("[articles]\nfiles = [\"a.csv\"]\nid = \"id\"\n{ORDERS}");
    let shop = |ids: &str, bought: &str| {
        load_plain(&folder(&[
            ("dataset.toml", &description),
            ("a.csv", &format!("id\n{}\n", ids.replace(' ', "\n"))),
            ("p.csv", &format!("a,c\n{}\n", bought.replace(';', "\n"))),
        ]))
        .unwrap()
    };
    // Floats of a data frame in one of two files, blanks, customers as floats.
    let (dataset, report) =
        shop("706016001 706016002", "706016001.0,17.0;706016002.0, 17.0;706016002.0,");
    assert_eq!(pairs(&dataset), [("17", "706016001"), ("17", "706016002")]);
    assert_eq!(report.rejected(), 0, "{report}");
    let (dataset, _) = shop("1.0 1.5", "1.0,u;1.5,u");
    assert_eq!(dataset.articles.ids.iter().collect::<Vec<_>>(), ["1.0", "1.5"]);
    // A spreadsheet lost the zeros.
    let (_, report) = shop("0493995001 7", "493995001,u;7,u;8,u");
    let told = report.to_string();
    assert!(told.contains("no article `493995001` is known, but `0493995001` is"), "{told}");
}

#[test]
fn floats_that_begin_behind_the_first_rows_are_the_same_ids() {
    let rows = |at: usize| match at {
        0..2_500 => format!("A{},{}\n", at % 7, at % 50),
        _ => format!("A{},{}.0\n", at % 7, at % 50),
    };
    let text = format!("a,c\n{}", (0..5_000).map(rows).collect::<String>());
    let (dataset, report) = orders("", &text, &[]).unwrap();
    assert_eq!((dataset.customers.len(), dataset.purchases.len()), (50, 5_000), "{report}");
    assert!(report.to_string().contains("ids of customers are written as floats"), "{report}");
    // A table of its own tells which ids there are, and that some are no whole numbers.
    let customers = format!("[customers]\nfiles = [\"c.csv\"]\nid = \"id\"\n{ORDERS}");
    for (ids, known) in [("7\n8\n", 2), ("7\n7.0\n7.5\n", 3)] {
        let dir = folder(&[
            ("dataset.toml", &customers),
            ("c.csv", &format!("id\n{ids}")),
            ("p.csv", "a,c\nlamp,7\nlamp,7.0\n"),
        ]);
        let (dataset, report) = load_plain(&dir).unwrap();
        assert_eq!((dataset.customers.len(), report.rejected()), (known, 0), "{report}");
    }
}

#[test]
fn unknown_articles_can_be_added() {
    let description =
        format!("[articles]\nfiles = [\"a.csv\"]\nid = \"id\"\nunknown = \"add\"\n{ORDERS}");
    let dir = folder(&[
        ("dataset.toml", &description),
        ("a.csv", "id,name\nlamp,Lamp\n"),
        ("p.csv", "a,c\ndesk,ann\n"),
    ]);
    let (dataset, report) = load_plain(&dir).unwrap();
    assert_eq!((dataset.articles.len(), report.added_articles, report.rejected()), (2, 1, 0));
    assert_eq!(dataset.articles.column("name").unwrap().values.category(1), None);
}

#[test]
fn returns_take_purchases_back() {
    let keys = "time = \"t\"\nquantity = \"n\"\nreturns = \"cancel\"";
    let text = "a,c,t,n\nlamp,ann,2024-01-01,1\nlamp,ann,2024-01-05,3\nlamp,ann,2024-01-06,-2\nlamp,ann,2024-01-07,-2\n\
        desk,ann,2024-01-01,-1\nsofa,bob,2024-01-02,1\nchair,bob,2024-01-02,-1\n";
    let (dataset, report) = orders(keys, text, &[]).unwrap();
    assert_eq!(pairs(&dataset), [("bob", "sofa")]);
    let told = report.to_string();
    assert!(
        told.contains(
            "7 rows of purchases = 1 used + 4 returned or without a quantity + 2 taken back"
        ),
        "{told}"
    );
    assert!(told.contains("2 returns are of nothing that was bought before"), "{told}");
    // A chair that was only returned is no article of the shop.
    assert_eq!(dataset.articles.ids.find("chair"), None);
}

#[test]
fn times_have_zones_and_parts() {
    let time = |keys: &str, cells: &str| {
        let text = format!("a,c,t,u\nlamp,ann,{cells}\n");
        let (dataset, _) = orders(keys, &text, &[]).unwrap();
        dataset.purchases.moment_of(0).0.to_string()
    };
    let zone = "time = \"t\"\ntime_format = \"%d.%m.%Y %H:%M\"\ntime_zone = \"Europe/Berlin\"";
    assert_eq!(time(zone, "1.7.2024 10:30,"), "2024-07-01T08:30:00Z");
    assert_eq!(time("time = [\"t\", \"u\"]", "07/31/2024,6:05 PM"), "2024-07-31T18:05:00Z");
    let parts = "time = [\"t\", \"u\"]\ntime_format = [\"compact-date\", \"clock\"]\ntime_zone = \"-03:00\"";
    assert_eq!(time(parts, "20240731,40"), "2024-07-31T03:40:00Z");
    let dir = folder(&[
        (
            "dataset.toml",
            &format!("time_zone = \"+01:00\"\n{ORDERS}time = \"t\"\ntime_format = \"date-time\"\n"),
        ),
        ("p.csv", "a,c,t\nlamp,ann,2024-07-01 00:30\n"),
    ]);
    assert_eq!(load_plain(&dir).unwrap().0.purchases.time[0].to_string(), "2024-06-30T23:30:00Z");
}

#[test]
fn descriptions_that_make_no_sense_are_refused() {
    for (keys, says) in [
        ("event = \"kind\"", "`event` but no `events`"),
        ("events = { sale = 1 }", "`events` but no `event`"),
        ("event = \"kind\"\nevents = { sale = -1 }", "the weight of the event `sale`"),
        ("rating = \"stars\"", "`rating` and `min_rating` need each other"),
        ("returns = \"cancel\"", "no `quantity`"),
        ("quantity = \"n\"\nreturns = \"cancel\"", "needs `time`"),
        ("time = \"t\"\ntime_format = \"yesterday\"", "`yesterday` is not a time format"),
        ("time = \"t\"\ntime_format = \"clock\"", "needs a column with a date before it"),
        ("time = [\"t\", \"u\"]\ntime_format = [\"date\", \"date\"]", "clock, seconds or millis"),
        ("time = \"t\"\ntime_zone = \"Mars\"", "`Mars` is neither a time zone"),
        ("where = { n = { over = 1 } }", "`over` is not one of"),
        ("decimal = \";\"", "`decimal` is"),
        ("columns = [\"x\"]", "header = false"),
        ("split = { column = \"a\", separator = \"\" }", "at least one character"),
        ("fill_down = 5", "a list of columns"),
        ("weigth = \"n\"", "unknown field `weigth`"),
        ("fill_down = [\"gone\"]", "column `gone`"),
        ("weight = \"gone\"", "column `gone`"),
    ] {
        let error = orders(keys, "a,c,t,u\nlamp,ann,x,y\n", &[]).expect_err(keys);
        assert!(
            error.is_bad_input() && error.to_string().contains(says),
            "`{says}` is not in: {error}"
        );
    }
}
