//! Two starts on one small shop: what each of them does.

use super::prepare::{Demo, Did, Prepared};
use crate::dataset::generate::ShopSize;
use std::{fmt::Write, fs, path::Path};

/// Purchases of 40 customers over half a year, most of which come again.
fn write_shop(folder: &Path, customers: usize) {
    let mut text = String::from("client;sku;bestellt am\n");
    for at in 0..customers * 12 {
        let (customer, day) = (at % customers, at / 3);
        let article = (customer * 3 + at / customers % 4) % 30;
        let _ = writeln!(
            text,
            "k{customer:02};s{article:02};2024-{:02}-{:02}",
            1 + day / 28 % 12,
            1 + day % 28
        );
    }
    fs::write(folder.join("orders.csv"), text).unwrap();
}

fn demo(data: &Path, home: &Path) -> Demo {
    Demo { data: Some(data.to_owned()), size: ShopSize::default(), home: home.to_owned() }
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_second_start_does_nothing_and_a_changed_file_is_done_again() {
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_shop(data.path(), 40);
    let first = demo(data.path(), home.path()).prepare().unwrap();
    assert_eq!(first.did, [Did::Described, Did::Read, Did::Imported, Did::Trained]);
    assert_eq!(files(data.path()), ["orders.csv"], "nothing is written among the user's files");

    let second = demo(data.path(), home.path()).prepare().unwrap();
    assert_eq!((second.did.as_slice(), &second.chosen), (&[][..], &first.chosen));

    write_shop(data.path(), 41);
    let Prepared { did, chosen } = demo(data.path(), home.path()).prepare().unwrap();
    assert_eq!(did, [Did::Described, Did::Read, Did::Imported, Did::Trained]);
    assert_ne!(chosen.version, first.chosen.version);
    let models = crate::bundle::list(&home.path().join("models")).unwrap();
    assert_eq!(models.len(), 1, "the model of the data before is gone: {models:?}");
}

#[test]
fn the_same_rows_in_a_touched_file_are_read_and_nothing_more() {
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_shop(data.path(), 40);
    let first = demo(data.path(), home.path()).prepare().unwrap();
    // Another file beside it changes what there is to read, but no row.
    fs::write(data.path().join("readme.md"), "about").unwrap();
    let again = demo(data.path(), home.path()).prepare().unwrap();
    assert_eq!(
        (again.did.as_slice(), again.chosen.version),
        (&[Did::Described, Did::Read][..], first.chosen.version)
    );
}

#[test]
fn a_demo_that_was_killed_starts_over() {
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_shop(data.path(), 40);
    demo(data.path(), home.path()).prepare().unwrap();
    // Killed while a model was written: its state names none.
    let state = home.path().join("demo.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&state).unwrap()).unwrap();
    json["model"] = serde_json::Value::Null;
    fs::write(&state, json.to_string()).unwrap();
    let again = demo(data.path(), home.path()).prepare().unwrap();
    assert_eq!(again.did, [Did::Described, Did::Read, Did::Trained]);
    // The bundle is gone, whoever removed it.
    fs::remove_dir_all(home.path().join("models")).unwrap();
    assert!(demo(data.path(), home.path()).prepare().unwrap().did.contains(&Did::Trained));
}

#[test]
fn what_cannot_be_told_ends_in_a_way_out() {
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(data.path().join("people.csv"), "customer_id,age\n1,20\n2,30\n").unwrap();
    let error = format!("{:#}", demo(data.path(), home.path()).prepare().unwrap_err());
    for part in ["vitrine-trainer init", "dataset.toml", "people.csv"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let own = demo(data.path(), data.path()).prepare().unwrap_err().to_string();
    assert!(own.contains("--dir"), "{own}");
}
