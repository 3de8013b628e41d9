//! Tests of the import, a file a subject. Fixtures are written to temporary folders.

mod described;
mod faults;
mod limits;
mod meaning;
mod parallel;
mod presets;
mod real_data;
mod rentals;

use super::*;
use tempfile::TempDir;

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = TempDir::new().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn load_plain(dir: &TempDir) -> Result<(Dataset, ImportReport), DatasetError> {
    load(dir.path(), &any_rejects())
}

/// Options under which an import goes on whatever is rejected.
fn any_rejects() -> LoadOptions {
    LoadOptions { max_rejects: Some(MaxRejects::Share(1.0)), ..LoadOptions::default() }
}

/// Purchases as texts: customer, article, time.
fn purchases(dataset: &Dataset) -> Vec<(&str, &str, u32)> {
    let p = &dataset.purchases;
    (0..p.len())
        .map(|i| (dataset.customers.ids.get(p.customer[i]), dataset.articles.ids.get(p.article[i]), p.time[i].0))
        .collect()
}

const ARTICLES: &str = "article_id,product_code,prod_name,detail_desc
0108775015,108775,Strap top,\"Jersey top, with \"\"narrow\"\" straps.\nTwo lines.\"
0108775044,108775,Strap top,
0110065001,110065,OP T-shirt,Plain
";
const CUSTOMERS: &str = "customer_id,FN,Active,age,postal_code
c1,1.0,,21.0,p1
c2,,,,p2
";
const TRANSACTIONS: &str = "t_dat,customer_id,article_id,price,sales_channel_id
2018-09-21,c2,0110065001,0.05,2
2018-09-20,c1,0108775015,0.025,1
2018-09-20,c1,0108775044,,
";

fn hm_folder() -> TempDir {
    folder(&[("articles.csv", ARTICLES), ("customers.csv", CUSTOMERS), ("transactions.csv", TRANSACTIONS)])
}
