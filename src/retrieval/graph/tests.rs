//! The graph against the oracle, before and after its file; small and awkward catalogues; broken
//! files.

use super::Graph;
use crate::{
    bundle::IndexParameters,
    retrieval::{
        Index, Insertion, ItemVectors, Plan, Query, RetrievalError, Retriever,
        fixtures::{KINDS, Kind, table, vectors},
    },
};
use proptest::prelude::*;
use std::{fs, path::Path};

const PARAMETERS: IndexParameters = IndexParameters { m: 16, ef_construction: 100, ef_search: 100 };

fn build(items: &ItemVectors) -> Graph {
    Graph::build(items, PARAMETERS, Insertion::Parallel).unwrap()
}

/// Share of the oracle's hits that the graph finds. An item as good as the oracle's last hit
/// counts.
fn recall(retriever: &Retriever, queries: &[Vec<f32>], k: usize, ef: usize) -> f64 {
    let (mut found, mut wanted) = (0, 0);
    for vector in queries {
        let query = Query { vector, k, allowed: None };
        let truth = retriever.exact().search(&query).unwrap();
        let hits = retriever.search_by(&query, Plan::Graph { ef }).unwrap();
        let last = truth.last().unwrap().score;
        found += hits.iter().filter(|hit| hit.score >= last).count();
        wanted += truth.len();
    }
    found as f64 / wanted as f64
}

#[test]
fn recall_holds_before_and_after_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let (items_path, index_path) =
        (directory.path().join("items.bin"), directory.path().join("index.bin"));
    // The graph's levels are drawn at random; a bundle's beam is chosen by what its own graph
    // finds.
    for (kind, floor) in KINDS.into_iter().zip([0.99, 0.92, 0.93, 0.99]) {
        for dim in [16, 40] {
            let (rows, queries) = vectors(kind, 2500, dim, 50);
            crate::retrieval::write_items(&items_path, dim, &rows).unwrap();
            let items = ItemVectors::open(&items_path).unwrap();
            let graph = build(&items);
            assert_eq!(graph.unreachable(), 0, "{kind:?}");
            graph.write(&index_path).unwrap();
            let built = Retriever::new(items, Some(graph)).unwrap();
            let before = recall(&built, &queries, 20, 100);
            assert!(before >= floor, "{kind:?} × {dim}: recall@20 {before}");
            let opened = Retriever::open(&items_path, &index_path).unwrap();
            assert_eq!(recall(&opened, &queries, 20, 100), before, "the file must change nothing");
        }
    }
}

#[test]
fn every_item_finds_itself() {
    for kind in [Kind::Clustered, Kind::Duplicates] {
        let (items, _) = table(kind, 2000, 24, 0);
        let graph = build(&items);
        let retriever = Retriever::new(items, Some(graph)).unwrap();
        let lost = (0..2000u32).filter(|&item| {
            let query = Query { vector: retriever.items().row(item), k: 10, allowed: None };
            let hits = retriever.search_by(&query, Plan::Graph { ef: 64 }).unwrap();
            let best = retriever.exact().search(&query).unwrap()[0].score;
            hits[0].score < best
        });
        assert_eq!(lost.count(), 0, "{kind:?}");
    }
}

#[test]
fn small_catalogues_work() {
    for len in [1, 2, 3, 17] {
        for rows in [vec![0.0; len * 5], vec![1.0; len * 5], vectors(Kind::Clustered, len, 5, 0).0]
        {
            let items = ItemVectors::from_rows(5, &rows).unwrap();
            let graph = build(&items);
            assert_eq!((graph.len(), graph.unreachable()), (len, 0));
            let retriever = Retriever::new(items, Some(graph)).unwrap();
            let query = Query { vector: &[1.0, 0.0, 0.5, 0.0, -1.0], k: 5, allowed: None };
            let hits = retriever.search_by(&query, Plan::Graph { ef: 5 }).unwrap();
            assert_eq!(hits.len(), len.min(5));
            if len <= 5 {
                assert_eq!(hits, retriever.exact().search(&query).unwrap());
            }
        }
    }
}

#[test]
fn serial_insertion_is_repeatable() {
    let (items, _) = table(Kind::Norms, 800, 12, 0);
    let directory = tempfile::tempdir().unwrap();
    let bytes = |name: &str| {
        let path = directory.path().join(name);
        Graph::build(&items, PARAMETERS, Insertion::Serial).unwrap().write(&path).unwrap();
        fs::read(path).unwrap()
    };
    assert!(bytes("a") == bytes("b"), "two serial builds differ");
}

#[test]
fn parameters_out_of_range_are_refused() {
    let items = ItemVectors::from_rows(1, &[1.0, 2.0]).unwrap();
    for (m, ef_construction, ef_search) in
        [(0, 9, 9), (1, 9, 9), (257, 9, 9), (9, 0, 9), (9, 9, 0), (9, 9, 1 << 20)]
    {
        let parameters = IndexParameters { m, ef_construction, ef_search };
        let result = Graph::build(&items, parameters, Insertion::Serial);
        assert!(matches!(result, Err(RetrievalError::Parameters(_))), "{parameters:?}");
    }
}

#[test]
fn another_tables_graph_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index.bin");
    let (items, _) = table(Kind::Clustered, 50, 4, 0);
    build(&items).write(&path).unwrap();
    for (len, dim) in [(49, 4), (50, 5)] {
        assert!(
            Graph::open(&path, len, dim)
                .err()
                .unwrap()
                .to_string()
                .contains("is over 50 items of dimension 4")
        );
    }
    let (other, _) = table(Kind::Clustered, 51, 4, 0);
    assert!(Retriever::new(other, Some(Graph::open(&path, 50, 4).unwrap())).is_err());
}

/// Opens the file and, when it is taken, searches with it.
fn survive(path: &Path, items: &ItemVectors) {
    if let Ok(graph) = Graph::open(path, items.len(), items.dim()) {
        let copy = ItemVectors::from_rows(
            items.dim(),
            &items.rows().flatten().copied().collect::<Vec<_>>(),
        )
        .unwrap();
        let retriever = Retriever::new(copy, Some(graph)).unwrap();
        let query = Query { vector: &[0.3, -0.2, 0.9], k: 10, allowed: None };
        assert_eq!(retriever.search_by(&query, Plan::Graph { ef: 12 }).unwrap().len(), 10);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn any_bytes_are_survived(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::weighted(0.3, any::<prop::sample::Index>()),
        tail in prop::collection::vec(any::<u8>(), 0..5),
        mend in any::<bool>(),
    ) {
        use std::sync::LazyLock;
        static SOUND: LazyLock<(Vec<u8>, Vec<f32>)> = LazyLock::new(|| {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("index.bin");
            let (rows, _) = vectors(Kind::Clustered, 120, 3, 0);
            let items = ItemVectors::from_rows(3, &rows).unwrap();
            let parameters = IndexParameters { m: 3, ..PARAMETERS };
            Graph::build(&items, parameters, Insertion::Serial).unwrap().write(&path).unwrap();
            (fs::read(path).unwrap(), rows)
        });
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("index.bin");
        let mut bytes = SOUND.0.clone();
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        bytes.extend(tail);
        if mend && bytes.len() >= 64 {
            // A header whose checksum fits whatever it says.
            let checksum = crate::retrieval::file::fnv1a(&bytes[..56]);
            bytes[56..64].copy_from_slice(&checksum.to_le_bytes());
        }
        fs::write(&path, &bytes).unwrap();
        survive(&path, &ItemVectors::from_rows(3, &SOUND.1).unwrap());
    }
}
