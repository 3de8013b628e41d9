//! Properties of generated shops: schema, determinism, likeness to the real data, and something to
//! learn.

use super::*;
use crate::dataset::{Dataset, LoadOptions, Values, inspect::Inspection, load};
use shopping::Row;
use std::collections::{BTreeMap, HashMap, HashSet};

fn small() -> ShopSize {
    ShopSize { articles: 600, customers: 500, transactions: 6_000, days: 120, seed: 3 }
}

fn write(size: ShopSize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    Generator::new(size).unwrap().write(folder.path(), false).unwrap();
    folder
}

fn read(folder: &Path) -> [String; 3] {
    write::FILES.map(|file| std::fs::read_to_string(folder.join(file)).unwrap())
}

fn records(text: &str) -> Vec<csv::StringRecord> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(text.as_bytes())
        .records()
        .map(Result::unwrap)
        .collect()
}

#[test]
fn the_schema_is_that_of_hm_and_ids_refer() {
    let folder = write(small());
    let [articles, customers, transactions] = read(folder.path());
    let lines = |text: &str| text.lines().next().unwrap().to_owned();
    assert_eq!(
        lines(&articles),
        "article_id,product_code,prod_name,product_type_no,product_type_name,product_group_name,graphical_appearance_no,\
         graphical_appearance_name,colour_group_code,colour_group_name,perceived_colour_value_id,\
         perceived_colour_value_name,perceived_colour_master_id,perceived_colour_master_name,department_no,\
         department_name,index_code,index_name,index_group_no,index_group_name,section_no,section_name,garment_group_no,\
         garment_group_name,detail_desc"
    );
    assert_eq!(
        lines(&customers),
        "customer_id,FN,Active,club_member_status,fashion_news_frequency,age,postal_code"
    );
    assert_eq!(lines(&transactions), "t_dat,customer_id,article_id,price,sales_channel_id");
    let (articles, customers, transactions) =
        (records(&articles), records(&customers), records(&transactions));
    assert_eq!(
        [articles.len() - 1, customers.len() - 1, transactions.len() - 1],
        [600, 500, 6_000]
    );
    let mut article_ids = HashSet::new();
    for article in &articles[1..] {
        let id = &article[0];
        assert!(id.len() == 10 && id.bytes().all(|b| b.is_ascii_digit()), "{id}");
        assert_eq!(
            id[..7].parse::<u32>().unwrap().to_string(),
            article[1],
            "the code is the id's first seven digits"
        );
        assert!(article_ids.insert(id.to_owned()), "{id} twice");
    }
    // Numbers and names go together, and each hierarchy is one.
    for (number, name) in [
        (3, 4),
        (6, 7),
        (8, 9),
        (14, 15),
        (16, 17),
        (18, 19),
        (22, 23),
        (16, 18),
        (14, 20),
        (14, 22),
    ] {
        let mut names: HashMap<&str, &str> = HashMap::new();
        for article in &articles[1..] {
            assert_eq!(*names.entry(&article[number]).or_insert(&article[name]), &article[name]);
        }
    }
    let hex = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let ids: Vec<&str> = customers[1..].iter().map(|customer| &customer[0]).collect();
    assert!(ids.is_sorted_by(|a, b| a < b) && ids.iter().all(|id| hex(id)));
    assert!(customers[1..].iter().all(|customer| hex(&customer[6])));
    let ids: HashSet<&str> = ids.into_iter().collect();
    for row in &transactions[1..] {
        assert!(ids.contains(&row[1]) && article_ids.contains(&row[2]));
        let points = row[3].parse::<f64>().unwrap() * 59_000.0;
        assert!(
            (points - points.round()).abs() < 1e-6 && points.round() as u64 % 10 == 9,
            "{}",
            &row[3]
        );
        assert!(["1", "2"].contains(&&row[4]));
    }
    assert!(transactions[1..].windows(2).all(|pair| pair[0][0] <= pair[1][0]), "sorted by date");
    assert!(&transactions[1][0] >= "2020-05-26" && &transactions[6_000][0] <= "2020-09-22");
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let on = |threads: usize, size| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| read(write(size).path()))
    };
    let one = on(1, small());
    assert!(one == on(3, small()));
    let other = on(2, ShopSize { seed: 4, ..small() });
    for file in 0..3 {
        assert_ne!(one[file], other[file], "{}", write::FILES[file]);
    }
}

#[test]
fn files_that_exist_are_kept_unless_told_otherwise_and_nothing_partial_stays() {
    let folder = write(small());
    let before = read(folder.path());
    let generator = Generator::new(ShopSize { seed: 9, ..small() }).unwrap();
    assert!(matches!(generator.write(folder.path(), false), Err(GenerateError::Exists(_))));
    assert!(read(folder.path()) == before);
    generator.write(folder.path(), true).unwrap();
    assert!(read(folder.path()) != before);
    // A folder in the way of the second file: the first is not left behind half-made.
    let blocked = tempfile::tempdir().unwrap();
    std::fs::create_dir(blocked.path().join(".customers.csv.partial")).unwrap();
    assert!(matches!(generator.write(blocked.path(), false), Err(GenerateError::Write { .. })));
    assert_eq!(std::fs::read_dir(blocked.path()).unwrap().count(), 1);
}

#[test]
fn sizes_are_checked_and_the_smallest_shops_work() {
    let size = small();
    for bad in [
        ShopSize { articles: 0, ..size },
        ShopSize { customers: 0, ..size },
        ShopSize { transactions: 0, ..size },
        ShopSize { transactions: 500 * 2_000 + 1, ..size },
        ShopSize { days: 6, ..size },
        ShopSize { articles: 600_000, ..size },
    ] {
        assert!(matches!(Generator::new(bad), Err(GenerateError::OutOfRange { .. })), "{bad:?}");
    }
    for (articles, customers, transactions, days) in
        [(1, 1, 1, 7), (1, 1, 300, 7), (12, 40, 9, 30), (5, 2, 2_000, 10)]
    {
        let size = ShopSize { articles, customers, transactions, days, seed: 1 };
        let rows = Generator::new(size).unwrap().shop().purchases(|_| ());
        assert_eq!(rows.len() as u64, transactions);
        assert!(rows.iter().all(|row| u32::from(row.day) < days));
    }
}

/// A shop large enough to measure, small enough for a test.
const MEASURED: ShopSize =
    ShopSize { articles: 12_000, customers: 8_000, transactions: 185_000, days: 734, seed: 11 };

fn within(name: &str, value: f64, least: f64, most: f64) {
    assert!((least..=most).contains(&value), "{name} is {value:.4}, not in {least}..{most}");
}

#[test]
fn the_shop_is_like_the_real_one() {
    let folder = write(MEASURED);
    let (data, report) = load(folder.path(), &LoadOptions::default()).unwrap();
    assert_eq!(data.purchases.len() as u64, MEASURED.transactions, "{report}");
    let shop = Inspection::of(&data);
    within("Gini", shop.popularity.gini, 0.70, 0.82);
    within("share of the top 1 %", shop.popularity.top_1_percent, 0.12, 0.24);
    within("share of the top 10 %", shop.popularity.top_10_percent, 0.55, 0.67);
    within("median of purchases", shop.purchases_per_customer.p50, 7.0, 11.0);
    within("p90 of purchases", shop.purchases_per_customer.p90, 50.0, 70.0);
    within("duplicates", shop.duplicates.unwrap().share, 0.07, 0.17);
    within("rebuys", shop.rebuys.share, 0.03, 0.06);
    let baskets = shop.basket_size.unwrap();
    within("median basket", baskets.p50, 2.0, 2.0);
    within("p90 basket", baskets.p90, 6.0, 9.0);
    let gaps = shop.gap_days.unwrap();
    within("p25 of gaps", gaps.p25, 4.0, 10.0);
    within("median gap", gaps.p50, 16.0, 28.0);
    within("p75 of gaps", gaps.p75, 45.0, 75.0);
    let ages = shop.ages.unwrap();
    within("youngest", ages.quantiles.min, 16.0, 16.0);
    within("oldest", ages.quantiles.max, 70.0, 99.0);
    within("median age", ages.quantiles.p50, 29.0, 33.0);
    within("ages missing", ages.missing as f64 / MEASURED.customers as f64, 0.008, 0.018);
    let month = |name: &str| {
        shop.seasonality.as_ref().unwrap().months.iter().find(|month| month.0 == name).unwrap().2
    };
    within("June against February", month("2020-06") / month("2020-02"), 1.45, 1.95);
    within("weekly overlap", shop.drift.unwrap().weekly_top_12_jaccard, 0.08, 0.32);
    within("online", share(data.purchases.channel.iter().map(|&channel| channel == 2)), 0.66, 0.76);
    let codes = data.articles.column("product_code").map(|column| match &column.values {
        Values::Category { dictionary, .. } => dictionary.len(),
        _ => 0,
    });
    within("variants a product", MEASURED.articles as f64 / codes.unwrap() as f64, 2.0, 2.5);
    within("top index group", concentration(&data, "index_group_name"), 0.62, 0.74);
    within("top garment group", concentration(&data, "garment_group_name"), 0.28, 0.38);
    within("top colour", concentration(&data, "perceived_colour_master_name"), 0.32, 0.43);
}

fn share(flags: impl ExactSizeIterator<Item = bool>) -> f64 {
    let all = flags.len() as f64;
    flags.filter(|&flag| flag).count() as f64 / all
}

/// Mean share of a customer's purchases in the customer's top value of an attribute, over customers
/// with ten or more.
fn concentration(data: &Dataset, column: &str) -> f64 {
    let values = &data.articles.column(column).unwrap().values;
    let mut customers: BTreeMap<u32, HashMap<&str, usize>> = BTreeMap::new();
    for (&customer, &article) in data.purchases.customer.iter().zip(&data.purchases.article) {
        *customers
            .entry(customer)
            .or_default()
            .entry(values.category(article as usize).unwrap())
            .or_default() += 1;
    }
    let shares: Vec<f64> = customers
        .values()
        .filter_map(|counts| {
            let all: usize = counts.values().sum();
            (all >= 10).then(|| *counts.values().max().unwrap() as f64 / all as f64)
        })
        .collect();
    shares.iter().sum::<f64>() / shares.len() as f64
}

/// recall@12 of the last seven days, over some of the customers who bought then.
struct Trial {
    train: Vec<Row>,
    cases: Vec<(u32, HashSet<u32>)>,
}

impl Trial {
    fn new(rows: Vec<Row>, days: u32) -> Self {
        let (test, train): (Vec<Row>, Vec<Row>) =
            rows.into_iter().partition(|row| u32::from(row.day) >= days - 7);
        let mut cases: BTreeMap<u32, HashSet<u32>> = BTreeMap::new();
        for row in test {
            cases.entry(row.customer).or_default().insert(row.article);
        }
        Self { train, cases: cases.into_iter().take(400).collect() }
    }

    fn recall(&self, scores: impl Fn(u32) -> HashMap<u32, f64>) -> f64 {
        let of_case = |(customer, relevant): &(u32, HashSet<u32>)| {
            let mut ranked: Vec<(u32, f64)> = scores(*customer).into_iter().collect();
            ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            let hits =
                ranked.iter().take(12).filter(|(article, _)| relevant.contains(article)).count();
            hits as f64 / relevant.len() as f64
        };
        self.cases.iter().map(of_case).sum::<f64>() / self.cases.len() as f64
    }
}

#[test]
fn taste_can_be_learned_and_beats_popularity() {
    let size =
        ShopSize { articles: 4_000, customers: 8_000, transactions: 160_000, days: 365, seed: 5 };
    let shop = Generator::new(size).unwrap().shop();
    let trial = Trial::new(shop.purchases(|_| ()), size.days);
    let mut popularity: HashMap<u32, f64> = HashMap::new();
    let mut lately: HashMap<u32, Vec<u32>> = HashMap::new();
    let (mut of_customer, mut of_article): (HashMap<u32, Vec<u32>>, HashMap<u32, Vec<u32>>) =
        Default::default();
    for row in &trial.train {
        *popularity.entry(row.article).or_default() += 1.0;
        of_customer.entry(row.customer).or_default().push(row.article);
        of_article.entry(row.article).or_default().push(row.customer);
        if u32::from(row.day) >= size.days - 7 - 28 {
            lately.entry(row.customer).or_default().push(row.article);
        }
    }
    let popular = trial.recall(|_| popularity.clone());
    // The truth: what the customer would take from the shelves in that week.
    let week = (size.days as usize - 7) / 7;
    let truth = trial.recall(|customer| {
        let mut counts = HashMap::new();
        for article in shop.wishes(customer as usize, week, 500) {
            *counts.entry(article).or_default() += 1.0;
        }
        counts
    });
    // Who bought what the customer bought also bought in the last four weeks, discounted by
    // popularity.
    let neighbours = trial.recall(|customer| {
        let mut counts: HashMap<u32, f64> = HashMap::new();
        for article in of_customer.get(&customer).into_iter().flatten() {
            for other in &of_article[article] {
                for also in lately.get(other).into_iter().flatten().filter(|&also| also != article)
                {
                    *counts.entry(*also).or_default() +=
                        1.0 / (popularity[article] * popularity[also]).sqrt();
                }
            }
        }
        counts
    });
    println!(
        "recall@12: popularity {popular:.4}, co-occurrence {neighbours:.4}, true taste {truth:.4}"
    );
    assert!(
        neighbours > 2.0 * popular,
        "co-occurrence {neighbours:.4} against popularity {popular:.4}"
    );
    assert!(truth > 5.0 * popular, "true taste {truth:.4} against popularity {popular:.4}");
}
