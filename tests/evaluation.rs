//! The baselines on public data against figures measured with public libraries.
//!
//! The data may not be passed on, so it is looked for in `VITRINE_DATA` or `../shared/data`;
//! without it there is nothing to compare with.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![cfg(feature = "trainer")]

use std::path::PathBuf;
use vitrine::{
    dataset::{self, Histories, LoadOptions, Protocol, Split},
    evaluation::{
        Evaluation, Scorer,
        baselines::{Ease, ItemKnn, Known, Popularity},
    },
};

/// A baseline without anything to tune, and its HR@10 and NDCG@10.
type Expected = (for<'a> fn(Known<'a>) -> Box<dyn Scorer + 'a>, [f64; 2]);

const METRICS: [&str; 2] = ["hr@10", "ndcg@10"];

fn popularity(known: Known<'_>) -> Box<dyn Scorer + '_> {
    Box::new(Popularity::all_time(known))
}

fn item_knn(known: Known<'_>) -> Box<dyn Scorer + '_> {
    Box::new(ItemKnn::plain(known))
}

fn ease(known: Known<'_>) -> Box<dyn Scorer + '_> {
    Box::new(Ease::with_lambda(known, 100.0))
}

/// Checks leave-one-out with everything before the test in training (`loo-refit`), the mean over
/// draws of the ties.
fn compare(folder: &str, users: usize, tie_seeds: u64, expected: &[Expected], tolerance: f64) {
    let data = std::env::var_os("VITRINE_DATA")
        .map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let folder = data.join(folder);
    if !folder.is_dir() {
        eprintln!("{} is not here: nothing compared", folder.display());
        return;
    }
    let (dataset, _) = dataset::load(&folder, &LoadOptions::default()).unwrap();
    let mut means = vec![[0.0; 2]; expected.len()];
    for seed in 0..tie_seeds {
        let histories = Histories::with_ties(&dataset, seed);
        let split = Split::new(&dataset, &histories, Protocol::leave_one_out()).unwrap();
        assert_eq!((split.test.len(), split.dropped.test), (users, 0));
        let train = split.train_and_validation();
        let known = Known { dataset: &dataset, histories: &histories, train: &train };
        let evaluation = Evaluation {
            dataset: &dataset,
            histories: &histories,
            protocol: split.protocol,
            cases: &split.test,
        };
        for ((baseline, _), means) in expected.iter().zip(&mut means) {
            let row = evaluation.row(baseline(known).as_ref()).unwrap();
            means
                .iter_mut()
                .zip(METRICS)
                .for_each(|(mean, name)| *mean += row.metrics[name] / tie_seeds as f64);
        }
    }
    for (at, (means, (_, figures))) in means.iter().zip(expected).enumerate() {
        for ((mean, figure), metric) in means.iter().zip(figures).zip(METRICS) {
            assert!(
                (mean - figure).abs() < tolerance,
                "row {at}, {metric}: {mean:.4}, not {figure}"
            );
        }
    }
}

#[test]
fn movielens() {
    // Measured over two other draws of the ties, which differ by up to .008.
    let expected: &[Expected] =
        &[(popularity, [0.089, 0.043]), (item_knn, [0.107, 0.061]), (ease, [0.143, 0.0735])];
    compare("ml-100k", 943, 3, expected, 0.012);
}

#[test]
fn amazon_beauty() {
    // No ties. The published runs let the held-out article win equal scores, here the lower row
    // does: a few users in ten thousand.
    compare(
        "amazon-beauty",
        22_363,
        1,
        &[(popularity, [0.0141, 0.0063]), (item_knn, [0.0646, 0.0378])],
        0.0012,
    );
}
