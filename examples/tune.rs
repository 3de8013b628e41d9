use std::sync::atomic::AtomicBool;
use vitrine::{
    dataset::*,
    domain::*,
    evaluation::{Evaluation, VectorRanker},
    training::*,
};
fn read(p: &str) -> Vec<Vec<String>> {
    let b = std::fs::read(p).unwrap();
    String::from_utf8_lossy(&b).lines().skip(1).map(|l| l.split('\t').map(|s| s.trim().to_owned()).collect()).collect()
}
fn cat(name: &str, vals: impl Iterator<Item = String>) -> Column {
    let mut d = IdTable::new();
    let codes = vals.map(|v| if v.is_empty() { MISSING } else { d.insert(&v) }).collect();
    Column { name: name.into(), values: Values::Category { codes, dictionary: d } }
}
fn tags(name: &str, vals: impl Iterator<Item = String>) -> Column {
    let mut d = IdTable::new();
    let mut offsets = vec![0u32];
    let mut codes = vec![];
    for v in vals {
        for w in v.split_whitespace() {
            codes.push(d.insert(w));
        }
        offsets.push(codes.len() as u32);
    }
    Column { name: name.into(), values: Values::Tags { offsets, codes, dictionary: d } }
}
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let dir = "/work/shared/data/ml-100k/ml-100k";
    let (u, i, mut x) = (read(&format!("{dir}.user")), read(&format!("{dir}.item")), read(&format!("{dir}.inter")));
    x.sort_by_key(|r| r[3].parse::<f64>().unwrap() as u32);
    let mut ds = Dataset::default();
    ds.time_unit = TimeUnit::Second;
    for r in &u {
        ds.customers.ids.insert(&r[0]);
    }
    for r in &i {
        ds.articles.ids.insert(&r[0]);
    }
    for (k, n) in [(1, "age"), (2, "gender"), (3, "occupation")] {
        ds.customers.columns.push(cat(n, u.iter().map(|r| r[k].clone())));
    }
    ds.articles.columns.push(tags("movie_title", i.iter().map(|r| r[1].clone())));
    ds.articles.columns.push(cat("release_year", i.iter().map(|r| r[2].clone())));
    ds.articles.columns.push(tags("class", i.iter().map(|r| r[3].clone())));
    for r in &x {
        ds.purchases.customer.push(ds.customers.ids.find(&r[0]).unwrap());
        ds.purchases.article.push(ds.articles.ids.find(&r[1]).unwrap());
        ds.purchases.time.push(Timestamp(r[3].parse::<f64>().unwrap() as u32));
    }
    let h = Histories::of(&ds);
    let test = args[1] == "test";
    let config = TrainingConfig::load(args[0].as_ref(), &args[2..]).unwrap_or_else(|e| {
        eprintln!("{e}");
        std::process::exit(2)
    });
    let split = Split::new(&ds, &h, config.split).unwrap();
    let stop = AtomicBool::new(false);
    let t = std::time::Instant::now();
    let tmp = std::env::temp_dir().join(format!("tune{}", std::process::id()));
    let trainer = Trainer {
        config: &config,
        dataset: &ds,
        histories: &h,
        split: &split,
        fingerprint: "x",
        directory: tmp.clone(),
        stop: &stop,
    };
    match trainer.train(false) {
        Ok(Outcome::Finished(tr)) => {
            let s = Samples::new(&tr.encoder, &ds, &h, &split.train, &config);
            let report = |name: &str, cases: &[Case]| {
                let items = tr.model.item.embed(&s.all_items());
                let q = |c: &[Case], o: &mut [f32]| {
                    o.copy_from_slice(&tr.model.query.embed(&s.query_rows(c.iter().map(Into::into))));
                    Ok::<(), String>(())
                };
                let r = Evaluation { dataset: &ds, histories: &h, protocol: split.protocol, cases }
                    .row(&VectorRanker::new("m", q, config.model.dim, &items))
                    .unwrap();
                println!(
                    "{name} epochs {} hr10 {:.4} ndcg10 {:.4} hr100 {:.4} mrr {:.4} | {:.0}s | {}",
                    tr.epochs,
                    r.metrics["hr@10"],
                    r.metrics["ndcg@10"],
                    r.metrics["hr@100"],
                    r.metrics["mrr"],
                    t.elapsed().as_secs_f64(),
                    args[2..].join(" ")
                );
            };
            if config.training.refit == Refit::None {
                report("VAL ", &split.validation);
            }
            if test {
                report("TEST", &split.test);
            }
        }
        Ok(_) => {}
        Err(e) => eprintln!("{e}"),
    }
    let _ = std::fs::remove_dir_all(tmp);
}
