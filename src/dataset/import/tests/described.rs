//! `dataset.toml`, and Parquet.

use super::*;
use crate::dataset::{TimeUnit, Values};

const SHOP: &str = r#"
[articles]
files = ["products-1.csv", "products-2.csv"]
delimiter = ";"
id = "sku"
types = { weight = "number", labels = { tags = "|" } }

[purchases]
files = ["orders.csv"]
article = "sku"
customer = "client"
time = "at"
time_format = "rfc3339"
price = "paid"
"#;

fn shop(description: &str) -> TempDir {
    folder(&[
        ("dataset.toml", description),
        (
            "products-1.csv",
            ";sku;title;weight;labels\n0;s1;\"Lamp; red\";1.5;new | sale\n1;s2;Desk;;\n",
        ),
        ("products-2.csv", "sku;labels;title;weight\ns3;;Chair;7\n"),
        (
            "orders.csv",
            "client,sku,paid,at\nbea,s1,9.99,2024-02-03T10:00:01+01:00\nal,s3,,2024-02-03T09:00:00Z\nbea,s9,1,2024-02-03T09:00:00Z\n",
        ),
    ])
}

#[test]
fn any_shop_is_mapped() {
    let (dataset, report) = load_plain(&shop(SHOP)).unwrap();
    let second = 1_706_950_800;
    assert_eq!(purchases(&dataset), [("al", "s3", second), ("bea", "s1", second + 1)]);
    assert_eq!(dataset.time_unit, TimeUnit::Second);
    assert_eq!(
        dataset.articles.columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(),
        ["title", "weight", "labels"]
    );
    assert_eq!(dataset.articles.column("title").unwrap().values.category(0), Some("Lamp; red"));
    assert_eq!(dataset.articles.column("weight").unwrap().values.number(2), Some(7.0));
    let labels = &dataset.articles.column("labels").unwrap().values;
    assert_eq!(labels.tags(0).collect::<Vec<_>>(), ["new", "sale"]);
    assert_eq!(labels.tags(2).count(), 0);
    // Customers have no file: purchases make them, but not a rejected one.
    assert_eq!(dataset.customers.ids.iter().collect::<Vec<_>>(), ["bea", "al"]);
    assert_eq!((report.added_customers, report.rejected()), (2, 1));
    assert!(
        report.to_string().contains("orders.csv, line 4, column `sku`: no article `s9` is known"),
        "{report}"
    );
    assert!(dataset.purchases.channel.is_empty());
}

#[test]
fn columns_can_be_chosen() {
    let keep = SHOP.replace("types = {", "keep = [\"weight\", \"labels\"]\ntypes = {");
    let (dataset, _) = load_plain(&shop(&keep)).unwrap();
    assert_eq!(
        dataset.articles.columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(),
        ["weight", "labels"]
    );
}

#[test]
fn without_a_time_the_order_counts() {
    let description = "[purchases]\nfiles = [\"o.csv\"]\narticle = \"a\"\ncustomer = \"c\"\n";
    let dir = folder(&[("dataset.toml", description), ("o.csv", "a,c\nx,u\ny,u\nx,v\n")]);
    let (dataset, _) = load_plain(&dir).unwrap();
    assert_eq!(purchases(&dataset), [("u", "x", 0), ("v", "x", 0), ("u", "y", 1)]);
    assert_eq!(dataset.time_unit, TimeUnit::Position);
}

#[test]
fn a_description_elsewhere_names_or_refines_a_preset() {
    let dir = hm_folder();
    let elsewhere = folder(&[(
        "mine.toml",
        "preset = \"hm\"\n[articles]\nkeep = [\"product_code\"]\ntypes = { product_code = \"number\" }\n",
    )]);
    let options = LoadOptions {
        dataset_file: Some(elsewhere.path().join("mine.toml")),
        ..LoadOptions::default()
    };
    let (dataset, _) = load(dir.path(), &options).unwrap();
    assert_eq!(dataset.articles.columns.len(), 1);
    assert_eq!(dataset.articles.column("product_code").unwrap().values.number(2), Some(110_065.0));

    let recbole = folder(&[
        ("dataset.toml", "preset = \"recbole\"\n[articles]\ntypes = { name = \"category\" }\n"),
        ("m.inter", "user_id:token\titem_id:token\ttimestamp:float\n1\t2\t8.81250949E8\n1\t3\t5\n"),
        (
            "m.item",
            "item_id:token\tname:token_seq\tyear:token\tvec:float_seq\n2\tA \"B\tabout 1995\t0.1 0.2\n",
        ),
    ]);
    let (dataset, report) = load_plain(&recbole).unwrap();
    assert_eq!(dataset.articles.column("name").unwrap().values.category(0), Some("A \"B"));
    assert_eq!(dataset.articles.column("year").unwrap().values.category(0), Some("about 1995"));
    assert_eq!(purchases(&dataset), [("1", "3", 5), ("1", "2", 881_250_949)]);
    assert_eq!((report.added_articles, report.notes.len()), (1, 1), "{report}");
    assert!(report.notes[0].contains("`vec:float_seq` is left out"), "{report}");
    assert_eq!(dataset.articles.column("name").unwrap().values.category(1), None);
}

#[test]
fn wrong_descriptions_are_refused() {
    let cases = [
        ("presett = \"hm\"", ", line 1, column 1: unknown field `presett`"),
        ("preset = \"kaggle\"", ", line 1, column 10: unknown variant `kaggle`"),
        ("a = [", "dataset.toml, line 1"),
        ("", "describe the purchases"),
        (
            "preset = \"hm\"\n[purchases]\nfiles=[]\narticle=\"a\"\ncustomer=\"c\"",
            "leave the section out",
        ),
        ("preset = \"hm\"\n[articles]\nid = \"x\"", "only `keep` and `types`"),
        ("preset = \"sequences\"\n[articles]\nkeep = []", "takes no sections"),
    ];
    for (text, says) in cases {
        let dir = hm_folder();
        std::fs::write(dir.path().join("dataset.toml"), text).unwrap();
        let message = load_plain(&dir).expect_err(text).to_string();
        assert!(message.contains("dataset.toml") && message.contains(says), "{message}");
    }
    let changes = [
        ("\"orders.csv\"", "\"gone.csv\"", "gone.csv: no such file"),
        ("delimiter = \";\"", "delimiter = \"\\n\"", "`delimiter` must be"),
        ("id = \"sku\"", "id = \"sku\"\nkeep = [\"sku\", \"weight\", \"labels\"]", "always kept"),
        (
            "id = \"sku\"",
            "id = \"sku\"\nkeep = [\"weight\"]",
            "gives `labels` a type but does not keep it",
        ),
        ("weight = \"number\"", "wait = \"number\"", "products-1.csv, line 1, column `wait`"),
        ("id = \"sku\"\n", "", "needs `files` and `id`"),
        ("time = \"at\"\n", "", "no `time` column"),
        ("\"products-1.csv\", \"products-2.csv\"", "", "names no files"),
        (
            "[\"products-1.csv\"",
            "[\"orders.csv\"",
            "orders.csv, line 1, column `labels`: no such column; the whole header is one column; its names seem to be \
             separated by commas",
        ),
    ];
    for (from, to, says) in changes {
        let text = SHOP.replace(from, to);
        assert_ne!(text, SHOP);
        let message = load_plain(&shop(&text)).expect_err(to).to_string();
        assert!(message.contains(says), "`{says}` is not in: {message}");
    }
}

mod parquet_files {
    use super::*;
    use parquet::{
        data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type},
        file::{properties::WriterProperties, writer::SerializedFileWriter},
        schema::parser::parse_message_type,
    };
    use std::sync::Arc;

    const DESCRIPTION: &str = r#"
[articles]
files = ["articles.EXT"]
id = "id"
types = { weight = "number" }
[purchases]
files = ["purchases.EXT"]
article = "article"
customer = "customer"
time = "at"
time_format = "rfc3339"
price = "price"
channel = "channel"
"#;

    fn text(values: &[&str]) -> Vec<ByteArray> {
        values.iter().map(|value| ByteArray::from(*value)).collect()
    }

    /// Two row groups of articles, with nulls and a list.
    fn write_articles(path: &Path) {
        let schema = "message a { required binary id (UTF8); optional double weight; optional binary name (UTF8);
            optional group labels (LIST) { repeated group list { optional binary element (UTF8); } } }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let file = std::fs::File::create(path).unwrap();
        let mut writer =
            SerializedFileWriter::new(file, schema, Arc::new(WriterProperties::default())).unwrap();
        for (ids, weights, names) in [
            (["001", "002"], vec![1.5], ["Lamp, \"red\"", "Desk"]),
            (["003", "004"], vec![2.0, 3.0], ["", "Two\nlines"]),
        ] {
            let mut group = writer.next_row_group().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<ByteArrayType>().write_batch(&text(&ids), None, None).unwrap();
            column.close().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            let levels: &[i16] = if weights.len() == 2 { &[1, 1] } else { &[1, 0] };
            column.typed::<DoubleType>().write_batch(&weights, Some(levels), None).unwrap();
            column.close().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            column
                .typed::<ByteArrayType>()
                .write_batch(&text(&names), Some(&[1, 1]), None)
                .unwrap();
            column.close().unwrap();
            // First row: two labels, one with a comma; second row: null.
            let mut column = group.next_column().unwrap().unwrap();
            let values = text(&["a, b", "c"]);
            column
                .typed::<ByteArrayType>()
                .write_batch(&values, Some(&[3, 3, 0]), Some(&[0, 1, 0]))
                .unwrap();
            column.close().unwrap();
            group.close().unwrap();
        }
        writer.close().unwrap();
    }

    fn write_purchases(path: &Path, prices: [f64; 3]) {
        let schema = "message p { required int64 at (TIMESTAMP(NANOS,false)); required binary customer (UTF8);
            required binary article (UTF8); required double price; required int32 channel; required int64 unused; }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let file = std::fs::File::create(path).unwrap();
        let mut writer =
            SerializedFileWriter::new(file, schema, Arc::new(WriterProperties::default())).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let times =
            [1_706_950_801_999_999_999, 1_706_950_800_000_000_000, 1_706_950_800_000_000_000];
        for i in 0..6 {
            let mut column = group.next_column().unwrap().unwrap();
            match i {
                0 | 5 => column.typed::<Int64Type>().write_batch(&times, None, None).unwrap(),
                1 => column
                    .typed::<ByteArrayType>()
                    .write_batch(&text(&["bea", "al", "bea"]), None, None)
                    .unwrap(),
                2 => column
                    .typed::<ByteArrayType>()
                    .write_batch(&text(&["001", "003", "004"]), None, None)
                    .unwrap(),
                3 => column.typed::<DoubleType>().write_batch(&prices, None, None).unwrap(),
                _ => column.typed::<Int32Type>().write_batch(&[1, 2, 2], None, None).unwrap(),
            };
            column.close().unwrap();
        }
        group.close().unwrap();
        writer.close().unwrap();
    }

    fn parquet_shop(prices: [f64; 3]) -> TempDir {
        let dir = folder(&[("dataset.toml", &DESCRIPTION.replace("EXT", "parquet"))]);
        write_articles(&dir.path().join("articles.parquet"));
        write_purchases(&dir.path().join("purchases.parquet"), prices);
        dir
    }

    #[test]
    fn parquet_gives_what_csv_gives() {
        let from_parquet = load_plain(&parquet_shop([9.99, 1e-3, 5.0])).unwrap().0;
        let description = DESCRIPTION
            .replace("EXT", "csv")
            .replace("types = {", "types = { labels = { tags = \";\" },");
        let csv = folder(&[
            ("dataset.toml", &description),
            (
                "articles.csv",
                "id,weight,name,labels\n001,1.5,\"Lamp, \"\"red\"\"\",\"a, b;c\"\n002,,Desk,\n003,2,,\"a, b;c\"\n004,3.0,\"Two\nlines\",\n",
            ),
            (
                "purchases.csv",
                "at,customer,article,price,channel\n2024-02-03T09:00:01.999999999Z,bea,001,9.99,1\n2024-02-03T09:00:00Z,al,003,.001,2\n2024-02-03T09:00:00Z,bea,004,5,2\n",
            ),
        ]);
        let from_csv = load_plain(&csv).unwrap().0;
        assert_eq!(from_parquet.fingerprint(), from_csv.fingerprint());
        assert_eq!(from_parquet.purchases.price, from_csv.purchases.price);
        let labels = &from_parquet.articles.column("labels").unwrap().values;
        assert!(matches!(labels, Values::Tags { .. }));
        assert_eq!(labels.tags(0).collect::<Vec<_>>(), ["a, b", "c"]);
        assert_eq!(from_parquet.time_unit, TimeUnit::Second);
    }

    #[test]
    fn faults_name_the_row() {
        let (dataset, report) = load_plain(&parquet_shop([-1.0, f64::NAN, 5.0])).unwrap();
        assert_eq!(dataset.purchases.len(), 3);
        let says = "purchases.parquet, row 1, column `price`: `-1` is not a price";
        assert!(report.to_string().contains(says), "{report}");
        assert_eq!((report.rejected(), report.unreadable.len()), (0, 1));
    }

    #[test]
    fn damaged_files_are_refused() {
        let dir = parquet_shop([1.0; 3]);
        let path = dir.path().join("purchases.parquet");
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let error = load_plain(&dir).expect_err("cut in half");
        assert!(
            error.is_bad_input()
                && error.to_string().contains("purchases.parquet: the file is damaged"),
            "{error}"
        );
        // Any single byte changed: an error, rejected rows or a different value, never a panic.
        for position in (0..whole.len()).step_by(7) {
            let mut bytes = whole.clone();
            bytes[position] ^= 0x55;
            std::fs::write(&path, &bytes).unwrap();
            if let Ok((dataset, _)) = load_plain(&dir) {
                assert!(dataset.purchases.len() <= 3);
            }
        }
    }
}

#[test]
fn the_documented_examples_are_valid() {
    let document = include_str!("../../../../docs/datasets.md");
    let blocks: Vec<&str> =
        document.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() > 10, "{} examples", blocks.len());
    for block in blocks {
        let dir = folder(&[("dataset.toml", block)]);
        Description::read(&dir.path().join("dataset.toml")).unwrap();
    }
}
