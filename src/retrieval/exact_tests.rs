//! The scan against f64 arithmetic and against the f32 oracle, with every instruction set.

use super::{
    Hit, ItemSet, ItemVectors,
    exact::{Exact, Rows, Wanted},
    fixtures::{KINDS, Kind, ids, table},
    kernel::Kernels,
    scratch::Scratch,
};
use proptest::prelude::*;
use rand::{Rng, SeedableRng, rngs::StdRng};

/// Scan and gather of one query must be the same, bit for bit.
fn agree(
    items: &ItemVectors,
    exact: &Exact,
    query: &[f32],
    k: usize,
    allowed: Option<&ItemSet>,
) -> Vec<Hit> {
    Scratch::with(|scratch| {
        scratch.load(items, query).unwrap();
        let gathered = exact.gather(items, allowed, k, scratch);
        let scanned = exact.scan(items, Wanted { rows: Rows::Items, allowed, k }, scratch);
        assert_eq!(scanned, gathered, "{items:?} {} k={k} {allowed:?}", exact.kernels.name);
        gathered
    })
}

#[test]
fn the_scan_equals_the_oracle() {
    for kind in KINDS {
        for (len, dim) in
            [(1, 1), (2, 3), (3000, 1), (2500, 7), (4000, 16), (5000, 64), (1500, 100), (700, 128)]
        {
            let (items, queries) = table(kind, len, dim, 8);
            let mut exact = Exact::new(&items, Rows::Items).unwrap();
            for kernels in Kernels::all() {
                exact.kernels = kernels;
                for query in &queries {
                    for k in [1, 10, 100, len, len + 1] {
                        let hits = agree(&items, &exact, query, k, None);
                        assert_eq!(hits.len(), k.min(len));
                    }
                }
            }
        }
    }
}

#[test]
fn the_oracle_equals_arithmetic_in_f64() {
    let (items, queries) = table(Kind::Norms, 500, 20, 5);
    let exact = Exact::new(&items, Rows::Items).unwrap();
    for query in &queries {
        let hits = agree(&items, &exact, query, 500, None);
        for hit in &hits {
            let plain: f64 = query
                .iter()
                .zip(items.row(hit.item))
                .map(|(&q, &x)| f64::from(q) * f64::from(x))
                .sum();
            assert!((plain - f64::from(hit.score)).abs() < 1e-5);
        }
        assert!(
            hits.windows(2)
                .all(|pair| (pair[0].score, pair[1].item) > (pair[1].score, pair[0].item)
                    || pair[0].score > pair[1].score)
        );
    }
}

#[test]
fn filters_of_every_size_are_exact() {
    let (items, queries) = table(Kind::Clustered, 20_000, 16, 3);
    let exact = Exact::new(&items, Rows::Items).unwrap();
    let mut rng = StdRng::seed_from_u64(3);
    for keep in [0, 1, 10, 100, 10_000, 20_000] {
        let mut allowed = ItemSet::empty(20_000);
        while allowed.count() < keep {
            allowed.insert(rng.random_range(0..20_000));
        }
        for query in &queries {
            let hits = agree(&items, &exact, query, 100, Some(&allowed));
            assert_eq!(hits.len(), keep.min(100));
            assert!(ids(&hits).iter().all(|&item| allowed.contains(item)));
        }
    }
}

proptest! {
    /// The bound holds for any numbers: outliers, tiny and huge values, constant dimensions, ties.
    #[test]
    fn the_scan_is_exact_for_any_numbers(
        dim in 1usize..40,
        numbers in prop::collection::vec(
            prop_oneof![
                4 => -1f32..1.0,
                1 => -1e-30f32..1e-30,
                1 => -1e12f32..1e12,
                1 => prop::sample::select(vec![0.0, 1.0, -0.0, 1e-44, 3.0]),
            ],
            40..2400,
        ),
        k in 1usize..50,
    ) {
        let (query, rows) = numbers.split_at(dim);
        let rows = &rows[..rows.len() / dim * dim];
        prop_assume!(!rows.is_empty());
        let items = ItemVectors::from_rows(dim, rows).unwrap();
        agree(&items, &Exact::new(&items, Rows::Items).unwrap(), query, k, None);
    }
}
