//! Small shops in the forms in which people have their data.

use super::*;
use crate::dataset::{self, Dataset, ImportReport, LoadOptions};
use std::{fmt::Write as _, io::Write as _};
use tempfile::TempDir;

/// A folder with these files.
pub(super) fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    dir
}

fn gzip(text: &str) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(text.as_bytes()).unwrap();
    out.finish().unwrap()
}

/// A description that was made up, as text and parsed.
pub(super) fn described(dir: &TempDir) -> (String, toml::Table) {
    match describe(dir.path()) {
        Ok(Layout::Guessed(described)) => {
            let table = described
                .text
                .parse()
                .unwrap_or_else(|error| panic!("{error}\n{}", described.text));
            (described.text, table)
        }
        other => panic!("{other:?}"),
    }
}

/// The data read as the description says.
pub(super) fn loaded(dir: &TempDir) -> (String, Dataset, ImportReport) {
    let (text, _) = described(dir);
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("dataset.toml");
    std::fs::write(&file, &text).unwrap();
    let options = LoadOptions { dataset_file: Some(file), ..LoadOptions::default() };
    let (dataset, report) =
        dataset::load(dir.path(), &options).unwrap_or_else(|error| panic!("{error}\n{text}"));
    (text, dataset, report)
}

/// `count` rows, each made from its number.
pub(super) fn rows(count: usize, row: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut text, at| {
        let _ = writeln!(text, "{}", row(at));
        text
    })
}

fn day(at: usize) -> String {
    format!("2024-{:02}-{:02}", 1 + at / 28 % 12, 1 + at % 28)
}

fn columns(dataset: &Dataset) -> Vec<&str> {
    dataset.articles.columns.iter().map(|column| column.name.as_str()).collect()
}

#[test]
fn invoice_lines_with_returns_and_guests() {
    let line = |at: usize| {
        let customer = if at % 10 == 3 { String::new() } else { format!("{}", 12_000 + at % 17) };
        let quantity = if at % 20 == 5 { -2 } else { 1 + (at % 6) as i32 };
        let article = at % 23;
        format!(
            "{},S{article:03},\"LAMP, NO {article}\",{quantity},{}/{}/2011 {}:26,{}.5,{customer},{}",
            53_000 + at / 3,
            1 + at % 12,
            1 + at % 28,
            at % 24,
            article,
            if at % 17 < 12 { "Portugal" } else { "Spain" }
        )
    };
    let text = format!(
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n{}",
        rows(400, line)
    );
    let dir = folder(&[("sales.csv", text.as_bytes())]);
    let (text, dataset, _) = loaded(&dir);
    assert!(text.contains(r#"time_format = "%m/%d/%Y %H:%M""#), "{text}");
    assert!(text.contains("where = { Quantity = { above = 0 } }"), "{text}");
    let counts = (dataset.articles.len(), dataset.customers.len(), dataset.purchases.len());
    let expected = (0..400).filter(|at| at % 10 != 3 && at % 20 != 5).count();
    assert_eq!(counts, (23, 17, expected), "{text}");
    assert_eq!(columns(&dataset), ["Description"], "{text}");
    assert_eq!(dataset.customers.columns.len(), 1, "{text}");
}

#[test]
fn events_of_which_few_are_purchases() {
    let event = |at: usize| {
        let kind = ["view", "view", "addtocart", "view", "transaction"][at % 5];
        let order = if kind == "transaction" { at.to_string() } else { String::new() };
        format!(
            "{},{},{kind},{},{order}",
            1_433_221_332_117_u64 + at as u64 * 60_000,
            100 + at % 131,
            7 + at % 41
        )
    };
    let text = format!("timestamp,visitorid,event,itemid,transactionid\n{}", rows(1_300, event));
    let dir = folder(&[("events.csv", text.as_bytes())]);
    let (text, dataset, _) = loaded(&dir);
    assert!(text.contains("events = { transaction = 1.0 }"), "{text}");
    assert!(text.contains(r#"time_format = "unix-millis""#), "{text}");
    assert_eq!(dataset.purchases.len(), 260, "{text}");
}

#[test]
fn views_count_a_little_where_hardly_anything_is_bought() {
    let event = |at: usize| {
        let kind = if at % 50 == 7 {
            "purchase"
        } else {
            ["view", "cart"][usize::from(at.is_multiple_of(9))]
        };
        let article = at % 31;
        let (brand, price) = (["acme", "", "bolt"][article % 3], article * 3);
        format!(
            "{} {:02}:{:02}:00 UTC,{kind},{},{brand},{price}.20,{}",
            day(at / 20),
            at % 24,
            at % 60,
            40_000 + article,
            900 + at % 60
        )
    };
    let text =
        format!("event_time,event_type,product_id,brand,price,user_id\n{}", rows(900, event));
    let dir = folder(&[("2024-Jan.csv", text.as_bytes())]);
    let (text, dataset, _) = loaded(&dir);
    assert!(text.contains("purchase = 1.0") && text.contains("view = 0.05"), "{text}");
    assert_eq!(dataset.purchases.len(), 900, "{text}");
    assert!(columns(&dataset).contains(&"brand"), "{text}");
    assert!(!dataset.purchases.weight.is_empty(), "{text}");
}

#[test]
fn reviews_as_compressed_json_lines() {
    let review = |at: usize| {
        format!(
            r#"{{"reviewerID": "A{:03}", "asin": "B0000000{:02}", "helpful": [0, 0], "overall": {}.0, "unixReviewTime": {}}}"#,
            at % 40,
            at % 27,
            1 + at % 5,
            1_393_545_600 + at * 86_400
        )
    };
    let dir = folder(&[("Garden_5.json.gz", &gzip(&rows(300, review)))]);
    let (text, dataset, _) = loaded(&dir);
    assert_eq!(
        (dataset.customers.len(), dataset.articles.len(), dataset.purchases.len()),
        (40, 27, 300),
        "{text}"
    );
    assert!(text.contains("min_rating"), "{text}");
}

#[test]
fn reviews_and_nested_descriptions_as_json_lines() {
    let review = |at: usize| {
        format!(
            r#"{{"rating": 4.0, "title": "So nice", "asin": "X{:03}", "parent_asin": "X{:03}", "user_id": "U{}", "timestamp": {}}}"#,
            at % 30,
            at % 30,
            at % 50,
            1_600_000_000_000_u64 + at as u64 * 86_400_000
        )
    };
    let meta = |at: usize| {
        format!(
            r#"{{"main_category": "{}", "title": "Thing {at}", "price": {}, "store": "S{}", "categories": ["c{}", "d"], "details": {{"UPC": "{at}"}}, "parent_asin": "X{at:03}"}}"#,
            ["Beauty", "Care"][at % 2],
            if at.is_multiple_of(4) { "null".to_owned() } else { format!("{at}.99") },
            at % 5,
            at % 3
        )
    };
    let dir = folder(&[
        ("Care.jsonl", rows(300, review).as_bytes()),
        ("meta_Care.jsonl", rows(30, meta).as_bytes()),
    ]);
    let (text, dataset, _) = loaded(&dir);
    assert_eq!((dataset.articles.len(), dataset.purchases.len()), (30, 300), "{text}");
    assert!(
        columns(&dataset).contains(&"store") && text.contains(r#"id = "parent_asin""#),
        "{text}"
    );
}

#[test]
fn ratings_without_a_header_and_with_two_colons() {
    let rating = |at: usize| {
        format!("{}::{}::{}::{}", 1 + at % 40, 1 + at * 7 % 90, 1 + at % 5, 978_300_760 + at * 61)
    };
    let movie = |at: usize| {
        format!(
            "{}::Film {at} ({})::{}",
            at + 1,
            1950 + at % 50,
            ["Drama|War", "Drama", "War|Comedy"][at % 3]
        )
    };
    let user = |at: usize| {
        format!("{}::{}::{}::{}::{}", at + 1, ["F", "M"][at % 2], 18 + at % 7, at % 20, 10_000 + at)
    };
    let dir = folder(&[
        ("ratings.dat", rows(900, rating).as_bytes()),
        ("movies.dat", rows(90, movie).as_bytes()),
        ("users.dat", rows(40, user).as_bytes()),
    ]);
    let (text, dataset, _) = loaded(&dir);
    assert!(text.contains("header = false") && text.contains(r#"delimiter = "::""#), "{text}");
    assert_eq!(
        (dataset.customers.len(), dataset.articles.len(), dataset.purchases.len()),
        (40, 90, 900),
        "{text}"
    );
    assert!(columns(&dataset).contains(&"tags"), "{text}");
}

#[test]
fn games_without_a_header() {
    let row = |at: usize| {
        let kind = ["purchase", "play"][at % 2];
        format!(
            "{},{},{kind},{}.5,0",
            151_603_000 + at / 2 % 60,
            [
                "Half Time",
                "Door 2",
                "Mine Field",
                "Fort",
                "Keep",
                "Moor",
                "Isle",
                "Gorge",
                "Fen",
                "Dale"
            ][at / 2 % 10],
            at % 90
        )
    };
    let dir = folder(&[("games-200k.csv", rows(600, row).as_bytes())]);
    let (text, dataset, _) = loaded(&dir);
    assert_eq!(
        (dataset.customers.len(), dataset.articles.len(), dataset.purchases.len()),
        (60, 10, 300),
        "{text}"
    );
    assert!(text.contains("events = { purchase = 1.0 }"), "{text}");
}

#[test]
fn clicks_without_a_header() {
    let click = |at: usize| {
        format!(
            "{},{}T10:{:02}:09.{:03}Z,2145{:04},0",
            1 + at / 4,
            day(at / 90),
            at % 60,
            at % 997,
            at % 70
        )
    };
    let dir = folder(&[("clicks.dat", rows(400, click).as_bytes())]);
    let (text, dataset, _) = loaded(&dir);
    assert_eq!(
        (dataset.customers.len(), dataset.articles.len(), dataset.purchases.len()),
        (100, 70, 400),
        "{text}"
    );
    assert!(text.contains(r#"time_format = "rfc3339""#), "{text}");
}

#[test]
fn lines_and_orders_without_dates() {
    let line =
        |at: usize| format!("{},{},{},{}", 5_000 + at / 4, 1 + at * 3 % 50, 1 + at % 4, at % 2);
    let order =
        |at: usize| format!("{},{},prior,{},{},08,7.0", 5_000 + at, 1 + at / 5, 1 + at % 5, at % 7);
    let product = |at: usize| format!("{},\"Thing {at}, organic\",{},{}", at + 1, at % 6, at % 3);
    let dir = folder(&[
        (
            "order_products.csv",
            format!("order_id,product_id,add_to_cart_order,reordered\n{}", rows(1_000, line)).as_bytes(),
        ),
        (
            "orders.csv",
            format!(
                "order_id,user_id,eval_set,order_number,order_dow,order_hour_of_day,days_since_prior_order\n{}",
                rows(250, order)
            )
            .as_bytes(),
        ),
        ("products.csv", format!("product_id,product_name,aisle_id,department_id\n{}", rows(50, product)).as_bytes()),
    ]);
    let (text, dataset, _) = loaded(&dir);
    assert!(text.contains("[purchases.join]") && text.contains(r#"on = "order_id""#), "{text}");
    assert_eq!(
        (dataset.customers.len(), dataset.articles.len(), dataset.purchases.len()),
        (50, 50, 1_000),
        "{text}"
    );
    assert!(text.contains(r#"time = "order_number""#), "{text}");
}

#[test]
fn lines_orders_and_persons() {
    let line = |at: usize| {
        format!("o{:04},1,p{:02},{} 09:45:35,{}.90,3.10", at / 2, at % 40, day(at / 5), 5 + at % 40)
    };
    let order = |at: usize| {
        let status = if at.is_multiple_of(25) { "canceled" } else { "delivered" };
        format!("o{at:04},c{at:04},{status},{} 10:56:33,{} 11:00:00", day(at / 3), day(at / 3 + 9))
    };
    let customer =
        |at: usize| format!("c{at:04},u{:03},0{:04},town {},SP", at % 120, at % 90, at % 8);
    let product =
        |at: usize| format!("p{at:02},{},{},{}", ["garden", "toys"][at % 2], 200 + at * 7, 10 + at);
    let dir = folder(&[
        (
            "shop_order_items.csv",
            format!("order_id,order_item_id,product_id,shipping_limit_date,price,freight_value\n{}", rows(800, line))
                .as_bytes(),
        ),
        (
            "shop_orders.csv",
            format!(
                "order_id,customer_id,order_status,order_purchase_timestamp,order_delivered_customer_date\n{}",
                rows(400, order)
            )
            .as_bytes(),
        ),
        (
            "shop_customers.csv",
            format!(
                "customer_id,customer_unique_id,customer_zip_code_prefix,customer_city,customer_state\n{}",
                rows(400, customer)
            )
            .as_bytes(),
        ),
        (
            "shop_products.csv",
            format!("product_id,product_category_name,product_weight_g,product_length_cm\n{}", rows(40, product))
                .as_bytes(),
        ),
    ]);
    let (text, dataset, _) = loaded(&dir);
    assert!(
        text.contains("[purchases.join.join]")
            && text.contains(r#"customer = "customer_unique_id""#),
        "{text}"
    );
    assert!(text.contains(r#"time = "order_purchase_timestamp""#), "{text}");
    assert_eq!(
        (dataset.customers.len(), dataset.articles.len(), dataset.purchases.len()),
        (120, 40, 768),
        "{text}"
    );
    assert_eq!(
        columns(&dataset),
        ["product_category_name", "product_weight_g", "product_length_cm"],
        "{text}"
    );
}

#[test]
fn orders_whose_further_lines_are_empty() {
    let line = |at: usize| {
        let order = at / 2;
        let (email, created) = match at % 2 {
            0 => (
                format!("c{}@shop.example", order % 30),
                format!("{} 10:00:00 +0100", day(order / 4)),
            ),
            _ => (String::new(), String::new()),
        };
        format!(
            "#{},{email},{created},{},Thing {},{}.00,SKU-{}",
            1_000 + order,
            1 + at % 2,
            at % 12,
            at % 12,
            at % 12
        )
    };
    let text = format!(
        "Name,Email,Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku\n{}",
        rows(300, line)
    );
    let dir = folder(&[("orders_export_1.csv", text.as_bytes())]);
    let (text, dataset, _) = loaded(&dir);
    assert!(
        text.contains(r#"fill_down = { columns = ["Email", "Created at"], within = "Name" }"#),
        "{text}"
    );
    assert_eq!(
        (dataset.customers.len(), dataset.articles.len(), dataset.purchases.len()),
        (30, 12, 300),
        "{text}"
    );
}

#[test]
fn items_in_one_cell() {
    let order = |at: usize| {
        format!(
            "{at},c{}@shop.example,{} 10:00:00,\"SKU-{} x 2|SKU-{} x 1\"",
            at % 20,
            day(at),
            at % 9,
            (at * 5 + 1) % 9
        )
    };
    let dir = folder(&[(
        "orders.csv",
        format!("order_id,email,date,items\n{}", rows(60, order)).as_bytes(),
    )]);
    let (text, dataset, _) = loaded(&dir);
    assert!(text.contains("split = {"), "{text}");
    assert_eq!((dataset.customers.len(), dataset.articles.len()), (20, 9), "{text}");
    assert_eq!(dataset.purchases.len(), 120, "{text}");
}

#[test]
fn a_german_export_from_a_spreadsheet() {
    let order = |at: usize| {
        format!(
            "K{:03};A{:04};{:02}.{:02}.2023;{},90",
            at % 30,
            at % 25,
            1 + at % 28,
            1 + at % 12,
            3 + at % 9
        )
    };
    let article = |at: usize| format!("A{at:04};B\u{e4}nk {at};Gr\u{fc}n;{},90", 3 + at % 9);
    let latin = |text: String| -> Vec<u8> {
        text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
    };
    let orders =
        latin(format!("Kundennummer;Artikelnr;Bestelldatum;St\u{fc}ckpreis\n{}", rows(300, order)));
    let articles = latin(format!("Artikelnr;Bezeichnung;Farbe;Preis\n{}", rows(25, article)));
    let dir = folder(&[("bestellungen.csv", &orders), ("artikel.csv", &articles)]);
    let (text, dataset, _) = loaded(&dir);
    assert!(
        text.contains(r#"decimal = ",""#) && text.contains(r#"time_format = "%d.%m.%Y""#),
        "{text}"
    );
    assert!(text.contains(r#"encoding = "windows-1252""#), "{text}");
    assert_eq!(
        (dataset.customers.len(), dataset.articles.len(), dataset.purchases.len()),
        (30, 25, 300),
        "{text}"
    );
    assert!((dataset.purchases.price[0] - 3.9).abs() < 1e-4, "{text}");
}

#[test]
fn words_between_spaces_and_numbers_of_days() {
    let row =
        |at: usize| format!("{} {} {}", 1 + at % 30, 500 + at % 44, 1_484_669_739 + at * 3_600);
    let dir =
        folder(&[("train.txt", format!("UserId ItemId Timestamp\n{}", rows(200, row)).as_bytes())]);
    let (text, dataset, _) = loaded(&dir);
    assert_eq!((dataset.customers.len(), dataset.articles.len()), (30, 44), "{text}");

    let row = |at: usize| {
        format!(
            "{},{},{},{},{},{}.39,364",
            at % 25,
            26_984_851_472_u64 + at as u64 / 3,
            1 + at / 4,
            1_004_906 + at % 33,
            at % 4,
            at % 6
        )
    };
    let header = "household_key,BASKET_ID,DAY,PRODUCT_ID,QUANTITY,SALES_VALUE,STORE_ID";
    let dir =
        folder(&[("transaction_data.csv", format!("{header}\n{}", rows(400, row)).as_bytes())]);
    let (text, dataset, _) = loaded(&dir);
    assert!(text.contains(r#"time_format = "day-number""#), "{text}");
    assert_eq!((dataset.customers.len(), dataset.purchases.len()), (25, 300), "{text}");
}

#[test]
fn parts_in_a_folder_are_one_table() {
    let part = |from: usize| {
        gzip(&format!(
            "client,sku,ordered_at\n{}",
            rows(60, |at| format!("k{},s{},{}", at % 9, at % 7, day(from + at)))
        ))
    };
    let parts: Vec<(String, Vec<u8>)> =
        (0..12).map(|at| (format!("orders/part-{at:03}.csv.gz"), part(at * 10))).collect();
    let files: Vec<(&str, &[u8])> =
        parts.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let dir = folder(&files);
    let (text, dataset, _) = loaded(&dir);
    assert!(text.contains(r#"files = ["orders"]"#), "{text}");
    assert_eq!(dataset.purchases.len(), 720, "{text}");
}

#[test]
fn a_table_of_few_customers_does_not_cost_the_others() {
    let order = |at: usize| format!("{},{},{}", at % 50, at % 20, day(at));
    let person = |at: usize| format!("{at},{}", ["19-24", "25-34"][at % 2]);
    let dir = folder(&[
        (
            "transactions.csv",
            format!("household_id,product_id,transaction_timestamp\n{}", rows(300, order))
                .as_bytes(),
        ),
        ("demographics.csv", format!("household_id,age\n{}", rows(20, person)).as_bytes()),
    ]);
    let (text, dataset, _) = loaded(&dir);
    assert_eq!((dataset.customers.len(), dataset.purchases.len()), (50, 300), "{text}");
    assert!(text.contains(r#"unknown = "add"  # 40 %"#), "{text}");
    assert_eq!(dataset.customers.columns.len(), 1, "{text}");
}

#[test]
fn what_cannot_be_told_is_said_with_what_was_seen() {
    let people = format!("customer_id,age\n{}", rows(30, |at| format!("{at},{}", 20 + at)));
    let dir = folder(&[("people.csv", people.as_bytes())]);
    let error = describe(dir.path()).unwrap_err().to_string();
    for part in [
        "people.csv: columns customer_id, age",
        "perhaps the customer: `customer_id`",
        "[purchases]",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let empty = tempfile::tempdir().unwrap();
    assert!(describe(empty.path()).unwrap_err().to_string().contains("there is no table"));
}

#[test]
fn known_layouts_need_no_description() {
    let dir = folder(&[("a.txt", b"1 2 3 4\n2 5\n3 4 5\n")]);
    assert!(matches!(describe(dir.path()), Ok(Layout::Preset("sequences"))));
    std::fs::write(dir.path().join("dataset.toml"), "preset = \"sequences\"\n").unwrap();
    assert!(matches!(describe(dir.path()), Ok(Layout::Described)));
    // The names of the H&M files with other columns are no H&M data.
    let order = |at: usize| format!("{},{},{}", at % 5, at % 8, day(at));
    let dir = folder(&[(
        "transactions.csv",
        format!("customer,item,date\n{}", rows(90, order)).as_bytes(),
    )]);
    assert!(matches!(describe(dir.path()), Ok(Layout::Guessed(_))));
}
