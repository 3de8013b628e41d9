//! `vitrine-server import` of bad files over a good database.

use crate::support::{self, Database};
use std::{
    path::Path,
    process::{Command, Output},
};

/// A shop of a hundred purchases, of which so many have a time that cannot be read.
fn shop(bad: usize) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let description =
        "[purchases]\nfiles = [\"p.csv\"]\narticle = \"a\"\ncustomer = \"c\"\ntime = \"t\"\n";
    let time = |row: usize| if row < bad { "soon" } else { "2024-05-01" };
    let rows: String =
        (0..100).map(|row| format!("a{},c{},{}\n", row % 7, row % 9, time(row))).collect();
    std::fs::write(directory.path().join("dataset.toml"), description).unwrap();
    std::fs::write(directory.path().join("p.csv"), format!("a,c,t\n{rows}")).unwrap();
    directory
}

fn import(data: &Path, url: &str, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vitrine-server"));
    command.arg("import").arg("--data").arg(data).args(["--database", url]).args(more);
    command.arg("--rejects").arg(data.join("rejects.csv")).output().unwrap()
}

async fn purchases(db: &Database) -> usize {
    support::texts(&db.url, "SELECT 'x' FROM purchases").await.len()
}

pub async fn an_import_beyond_the_limit_of_rejects_changes_nothing(db: &Database) {
    let good = import(shop(0).path(), &db.url, &[]);
    assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stderr));
    assert_eq!(purchases(db).await, 100);
    let bad = shop(6);
    let revisions = db.store.revisions().await.unwrap();
    let refused = import(bad.path(), &db.url, &[]);
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr);
    for says in
        ["6 of 100 rows of purchases", "--max-rejects 100%", "`soon` is not a date", "rejects.csv"]
    {
        assert!(said.contains(says), "`{says}` is not in: {said}");
    }
    assert_eq!((purchases(db).await, db.store.revisions().await.unwrap()), (100, revisions));
    // Who wants the rest says so.
    let wanted = import(bad.path(), &db.url, &["--max-rejects", "100%"]);
    assert!(wanted.status.success(), "{}", String::from_utf8_lossy(&wanted.stderr));
    assert_eq!(purchases(db).await, 94);
}
