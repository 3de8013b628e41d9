//! What is written can be opened, and nothing half-written is left.

use crate::shop::{DIM, ITEMS, Shop};
use std::fs;
use vitrine::{
    bundle::{self, Bundle, BundleError, Contents, RankingContents, TowerContents},
    domain::Timestamp,
    features::{CustomerView, NoAttributes},
    onnx::{QueryGraph, TowerGraph},
    retrieval::{Index, Query},
};

#[test]
fn a_bundle_answers_as_its_model_does() {
    let models = tempfile::tempdir().unwrap();
    let shop = Shop::new();
    let path = shop.write(models.path()).unwrap();
    let opened = Bundle::open(&path).unwrap();

    let manifest = opened.manifest();
    assert_eq!((manifest.name.as_str(), manifest.dim, manifest.items), ("test-model", DIM, ITEMS));
    assert_eq!(path, models.path().join("test-model").join(&manifest.version));
    assert_eq!(&Bundle::open_metadata(&path).unwrap(), manifest);
    let listed = bundle::list(models.path()).unwrap();
    assert_eq!((listed.len(), &listed[0].path, &listed[0].version), (1, &path, &manifest.version));
    assert_eq!((opened.popularity().len(), opened.popularity()[7]), (ITEMS, 7.0));
    assert_eq!(opened.golden().queries.len(), 4);
    assert_eq!(opened.golden().queries[0].top.len(), 20);

    // From a customer to articles.
    let encoder = opened.encoder();
    let (n, m) = encoder.query_widths();
    let (mut indices, mut numbers) = (vec![0; n], vec![0.0; m]);
    let at = Timestamp::parse("2026-02-01").unwrap();
    let customer = CustomerView {
        id: Some("customer_id3"),
        attributes: &NoAttributes,
        at,
        history: &[5, 6],
        times: &[],
    };
    encoder.encode_query(&customer, &mut indices, &mut numbers);
    let mut vector = Vec::new();
    opened.towers().unwrap().query.embed(&indices, &numbers, 1, &mut vector).unwrap();
    let hits = opened
        .towers()
        .unwrap()
        .retriever
        .search(&Query { vector: &vector, k: 5, allowed: None })
        .unwrap();
    assert_eq!((vector.len(), hits.len()), (DIM, 5));
    assert!(encoder.article_id(hits[0].item).starts_with("article_id"));
}

#[test]
fn inputs_outside_the_schema_are_errors() {
    let models = tempfile::tempdir().unwrap();
    let opened = Bundle::open(&Shop::new().write(models.path()).unwrap()).unwrap();
    let mut out = vec![1.0];
    let mut embed =
        |indices: &[i64], batch| opened.towers().unwrap().item.embed(indices, &[], batch, &mut out);
    embed(&[ITEMS as i64, 3], 1).unwrap();
    for (indices, batch) in [
        (&[ITEMS as i64 + 1, 3][..], 1),
        (&[-1, 3], 1),
        (&[0, 0, 0, 4], 2),
        (&[0, i64::MIN], 1),
        (&[0], 1),
        (&[0, 0], 2),
        (&[], usize::MAX),
    ] {
        let error = embed(indices, batch).unwrap_err();
        assert!(matches!(error, BundleError::TowerInput { .. }), "{indices:?}: {error}");
    }
    let query = &opened.golden().queries[0];
    let error = opened
        .towers()
        .unwrap()
        .query
        .embed(&query.indices, &[0.0, f32::NAN, 0.0], 1, &mut out)
        .unwrap_err();
    assert!(error.to_string().contains("column 1 is not finite"), "{error}");
}

#[test]
fn a_tower_runs_on_many_threads_at_once() {
    let models = tempfile::tempdir().unwrap();
    let opened = Bundle::open(&Shop::new().write(models.path()).unwrap()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut out = Vec::new();
                for query in opened.golden().queries.iter().cycle().take(400) {
                    opened
                        .towers()
                        .unwrap()
                        .query
                        .embed(&query.indices, &query.numbers, 1, &mut out)
                        .unwrap();
                    assert!(out.iter().zip(&query.vector).all(|(a, b)| (a - b).abs() < 1e-4));
                }
            });
        }
    });
}

#[test]
fn a_writer_that_fails_leaves_nothing_behind() {
    let models = tempfile::tempdir().unwrap();
    let mut shop = Shop::new();
    shop.golden.queries[2].vector[0] += 0.01;
    let error = shop.write(models.path()).unwrap_err();
    assert!(matches!(error, BundleError::Golden { request: 2, .. }), "{error}");
    assert_eq!(bundle::list(models.path()).unwrap(), []);
    let left: Vec<_> = fs::read_dir(models.path().join("test-model"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, [".lock"]);
}

#[test]
fn what_killed_writers_left_is_ignored_and_then_removed() {
    let models = tempfile::tempdir().unwrap();
    let left = models.path().join("test-model/.tmp-4711/vocabularies");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("../manifest.json"), "{}").unwrap();
    assert_eq!(bundle::list(models.path()).unwrap(), []);
    Shop::new().write(models.path()).unwrap();
    assert!(!left.exists());
    assert_eq!(bundle::list(models.path()).unwrap().len(), 1);
}

#[test]
fn writers_of_one_model_take_turns() {
    let models = tempfile::tempdir().unwrap();
    let shop = Shop::new();
    let paths: Vec<_> = std::thread::scope(|scope| {
        let writers: Vec<_> =
            (0..4).map(|_| scope.spawn(|| shop.write(models.path()).unwrap())).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    for path in paths {
        Bundle::open(&path).unwrap();
    }
}

#[test]
fn contents_that_do_not_fit_together_are_refused() {
    let models = tempfile::tempdir().unwrap();
    let shop = Shop::new();
    let short = vec![0.0; DIM];
    let not_finite = vec![f32::NAN; ITEMS];
    let refused = |contents, word: &str| {
        let error = bundle::write(models.path(), contents).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    };
    refused(bundle::Contents { name: "../up", ..shop.contents() }, "a name has");
    let mut few = shop.contents();
    towers(&mut few).items = &short;
    refused(few, "300 items");
    refused(bundle::Contents { popularity: &not_finite, ..shop.contents() }, "popularity");
    refused(
        bundle::Contents { golden: Default::default(), ..shop.contents() },
        "no golden request",
    );
    let mut wrong_layer = shop.contents();
    tower(&mut wrong_layer).layers.truncate(1);
    refused(wrong_layer, "query vectors have 16");
    let mut wide = shop.contents();
    tower(&mut wide).layers[1].inputs += 1;
    refused(wide, "but 16 arrive");
}

#[test]
fn the_index_is_compared_with_the_exact_scan() {
    let models = tempfile::tempdir().unwrap();
    let opened = Bundle::open(&Shop::new().write(models.path()).unwrap()).unwrap();
    let quality = opened.index_quality(50, 1).unwrap().unwrap();
    assert_eq!((quality.queries, quality.k, quality.ef, quality.unreachable), (50, 100, 100, 0));
    assert!(quality.recall > 0.95 && quality.worst <= quality.recall, "{quality:?}");
}

fn towers<'a, 'b>(contents: &'a mut Contents<'b>) -> &'a mut TowerContents<'b> {
    match &mut contents.ranking {
        RankingContents::Towers(towers) => towers,
        RankingContents::Frequency(_) | RankingContents::Ranker(_) => panic!("the shop has towers"),
    }
}

fn tower<'a, 'b>(contents: &'a mut Contents<'b>) -> &'a mut TowerGraph<'b> {
    match &mut towers(contents).query_tower {
        QueryGraph::Tower(tower) => tower,
        QueryGraph::Sequence(_) => panic!("the shop's towers are dense"),
    }
}
