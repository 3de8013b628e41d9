//! The planner: whatever it picks, exactly k hits when k items are allowed, and no panic for any
//! query.

use super::{
    Graph, Index, Insertion, ItemSet, ItemVectors, Plan, Query, QueryError, Retriever,
    fixtures::{KINDS, Kind, ids, table},
};
use crate::bundle::IndexParameters;
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use std::collections::BTreeSet;

const PARAMETERS: IndexParameters = IndexParameters { m: 12, ef_construction: 64, ef_search: 64 };

fn retriever(items: ItemVectors) -> Retriever {
    let graph = Graph::build(&items, PARAMETERS, Insertion::Parallel).unwrap();
    Retriever::new(items, Some(graph)).unwrap()
}

#[test]
fn filters_of_every_size_get_their_k() {
    const ITEMS: usize = 20_000;
    let (items, queries) = table(Kind::Clustered, ITEMS, 64, 10);
    let parameters = IndexParameters { m: 16, ef_construction: 100, ef_search: 64 };
    let graph = Graph::build(&items, parameters, Insertion::Parallel).unwrap();
    let retriever = Retriever::new(items, Some(graph)).unwrap();
    let mut order: Vec<u32> = (0..ITEMS as u32).collect();
    order.shuffle(&mut StdRng::seed_from_u64(5));
    let mut plans = BTreeSet::new();
    for keep in [0, 1, 10, 100, 10_000, 19_990, ITEMS] {
        let mut allowed = ItemSet::empty(ITEMS);
        order[..keep].iter().for_each(|&item| allowed.insert(item));
        for k in [10, 100] {
            let (mut found, mut wanted) = (0, 0);
            for vector in &queries {
                let query = Query { vector, k, allowed: Some(&allowed) };
                plans.insert(retriever.plan(&query).unwrap().name());
                let hits = retriever.search(&query).unwrap();
                let truth = retriever.exact().search(&query).unwrap();
                assert_eq!(hits.len(), keep.min(k), "{keep} allowed");
                assert!(ids(&hits).iter().all(|&item| allowed.contains(item)));
                assert!(hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
                found += truth.iter().filter(|hit| hits.contains(hit)).count();
                wanted += truth.len();
            }
            assert!(
                found as f64 >= 0.97 * wanted as f64,
                "{keep} allowed: recall {found} of {wanted}"
            );
        }
    }
    assert_eq!(plans.into_iter().collect::<Vec<_>>(), ["gather", "graph", "nothing", "scan"]);
}

#[test]
fn items_with_equal_vectors_are_scanned_once_and_all_found() {
    let (items, queries) = table(Kind::Duplicates, 20_000, 16, 20);
    let retriever = retriever(items);
    assert!(retriever.graph().unwrap().nodes() <= 1_000);
    let mut order: Vec<u32> = (0..20_000).collect();
    order.shuffle(&mut StdRng::seed_from_u64(6));
    for keep in [1, 100, 10_000, 20_000] {
        let mut allowed = ItemSet::empty(20_000);
        order[..keep].iter().for_each(|&item| allowed.insert(item));
        for vector in &queries {
            for k in [1, 12, 700] {
                for allowed in [Some(&allowed), None] {
                    let query = Query { vector, k, allowed };
                    let truth = retriever.exact().search(&query).unwrap();
                    assert_eq!(
                        retriever.search_by(&query, Plan::Scan).unwrap(),
                        truth,
                        "{keep} allowed, k = {k}"
                    );
                }
            }
        }
    }
    let unfiltered = Query { vector: &queries[0], k: 12, allowed: None };
    assert_eq!(
        retriever.plan(&unfiltered).unwrap(),
        Plan::Scan,
        "fewer vectors than a beam would look at"
    );
}

#[test]
fn clusters_find_nearly_everything_and_always_k() {
    const ITEMS: usize = 20_000;
    let mut order: Vec<u32> = (0..ITEMS as u32).collect();
    order.shuffle(&mut StdRng::seed_from_u64(7));
    for kind in [Kind::Clustered, Kind::Norms, Kind::Duplicates] {
        let (items, queries) = table(kind, ITEMS, 64, 30);
        let retriever = Retriever::clustered(items).unwrap();
        let mut plans = BTreeSet::new();
        for keep in [0, 5, 2_000, 15_000, ITEMS] {
            let mut allowed = ItemSet::empty(ITEMS);
            order[..keep].iter().for_each(|&item| allowed.insert(item));
            let (mut found, mut wanted) = (0, 0);
            for vector in &queries {
                let query = Query { vector, k: 12, allowed: (keep < ITEMS).then_some(&allowed) };
                plans.insert(retriever.plan(&query).unwrap().name());
                let hits = retriever.search(&query).unwrap();
                let truth = retriever.exact().search(&query).unwrap();
                assert_eq!(hits.len(), keep.min(12), "{keep} allowed");
                assert_eq!(
                    ids(&hits).into_iter().collect::<BTreeSet<_>>().len(),
                    hits.len(),
                    "an item twice"
                );
                assert!(ids(&hits).iter().all(|&item| allowed.contains(item)));
                // By score, because any of the items with equal vectors will do.
                let worst = truth.last().map_or(0.0, |hit| hit.score);
                found += hits.iter().filter(|hit| hit.score >= worst).count();
                wanted += truth.len();
            }
            assert!(
                found as f64 >= 0.9 * wanted as f64,
                "{kind:?}, {keep} allowed: {found} of {wanted}"
            );
        }
        assert_eq!(plans.into_iter().collect::<Vec<_>>(), ["clusters", "gather", "nothing"]);
    }
}

#[test]
fn a_few_vectors_have_no_clusters_and_are_found_exactly() {
    let (items, queries) = table(Kind::Uniform, 500, 16, 5);
    let retriever = Retriever::clustered(items).unwrap();
    for vector in &queries {
        let query = Query { vector, k: 12, allowed: None };
        assert_eq!(retriever.search(&query).unwrap(), retriever.exact().search(&query).unwrap());
    }
}

#[test]
fn a_filter_far_from_the_query_falls_back() {
    // Allowed is only what is farthest from the query, so no beam of the planned width ends with k
    // allowed items.
    let (items, queries) = table(Kind::Clustered, 5000, 16, 1);
    let retriever = retriever(items);
    let all = Query { vector: &queries[0], k: 5000, allowed: None };
    let mut allowed = ItemSet::full(5000);
    retriever.exact().search(&all).unwrap()[..2500].iter().for_each(|hit| allowed.remove(hit.item));
    let query = Query { k: 20, allowed: Some(&allowed), ..all };
    let hits = retriever.search_by(&query, Plan::Graph { ef: 200 }).unwrap();
    assert_eq!(hits, retriever.exact().search(&query).unwrap());
}

#[test]
fn every_k_and_dimension_is_answered() {
    for kind in KINDS {
        for dim in [1, 7, 16, 64, 100, 128] {
            let (items, queries) = table(kind, 600, dim, 3);
            let retriever = retriever(items);
            assert_eq!((retriever.len(), retriever.dim()), (600, dim));
            for vector in &queries {
                for k in [0, 1, 12, 599, 600, 601, usize::MAX] {
                    let query = Query { vector, k, allowed: None };
                    let hits = retriever.search(&query).unwrap();
                    assert_eq!(hits.len(), k.min(600), "{kind:?} × {dim}, k = {k}");
                    if k >= 599 {
                        assert_eq!(hits, retriever.exact().search(&query).unwrap());
                    }
                }
            }
        }
    }
}

#[test]
fn queries_that_do_not_fit_are_refused() {
    let (items, _) = table(Kind::Uniform, 100, 3, 0);
    let retriever = retriever(items);
    let search = |vector: &[f32]| retriever.search(&Query { vector, k: 5, allowed: None });
    assert_eq!(search(&[1.0]), Err(QueryError::Length { expected: 3, got: 1 }));
    assert_eq!(search(&[1.0, f32::NAN, 0.0]), Err(QueryError::NotFinite { position: 1 }));
    assert_eq!(search(&[1.0, 0.0, f32::INFINITY]), Err(QueryError::NotFinite { position: 2 }));
    assert!(search(&[2e18, 0.0, 0.0]).is_err());
    let other = ItemSet::full(99);
    let query = Query { vector: &[1.0, 0.0, 0.0], k: 5, allowed: Some(&other) };
    let refused = Err(QueryError::ItemSet { expected: 100, got: 99 });
    assert_eq!(retriever.search(&query), refused);
    assert_eq!(retriever.exact().search(&query), refused);
    // The zero vector is a query like any other: all scores equal, lowest items first.
    assert_eq!(ids(&search(&[0.0; 3]).unwrap()), [0, 1, 2, 3, 4]);
}

#[test]
fn many_threads_get_one_threads_answers() {
    let (items, queries) = table(Kind::Norms, 8000, 32, 40);
    let retriever = retriever(items);
    let small = retriever_of_another_size();
    let ask = |vector: &Vec<f32>| {
        // Two indexes on one thread share its scratch.
        let other = Query { vector: &[0.5, -0.5], k: 3, allowed: None };
        assert_eq!(small.search_by(&other, Plan::Graph { ef: 9 }).unwrap().len(), 3);
        retriever
            .search_by(&Query { vector, k: 50, allowed: None }, Plan::Graph { ef: 80 })
            .unwrap()
    };
    let expected: Vec<_> = queries.iter().map(ask).collect();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for (vector, expected) in queries.iter().zip(&expected) {
                    assert_eq!(&ask(vector), expected);
                }
            });
        }
    });
}

fn retriever_of_another_size() -> Retriever {
    retriever(table(Kind::Uniform, 333, 2, 0).0)
}
