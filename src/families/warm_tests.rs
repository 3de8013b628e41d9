//! Starting from the weights of a bundle.

use crate::{
    bundle::Bundle,
    dataset::Dataset,
    domain::IdTable,
    features::testing,
    model::{Elsa, TwoTower},
    training::{
        Trained, Trainer, TrainingConfig, TrainingError, WarmStart,
        tests::{configure, finished, model, shop, with_data},
    },
};
use std::path::Path;

const REST: &str =
    "training = { epochs = 3, batch_size = 32, threads = 1, patience = 0, refit = \"validation\" }
    split = { protocol = \"leave-one-out\" }";

fn two_tower_config(dim: usize) -> TrainingConfig {
    let model = format!(
        "model = {{ name = \"small\", family = \"two-tower\", dim = {dim}, query_layers = [8] }}"
    );
    configure(&format!("{model}\n{REST}\n[features]\n{}", testing::FEATURES), &[]).unwrap()
}

fn elsa_config() -> TrainingConfig {
    let model = "model = { name = \"small\", family = \"elsa\", dim = 8 }\nelsa = { length = 12, steps = 4 }";
    configure(&format!("{model}\n{REST}"), &[]).unwrap()
}

/// A bundle of the configuration, and the model in it.
fn bundle(config: &TrainingConfig, models: &Path) -> (Bundle, Trained) {
    let directory = tempfile::tempdir().unwrap();
    let trained = with_data(&shop(), config, directory.path(), &|| false, |trainer| {
        let trained = finished(trainer.train(false));
        (trainer.export(&trained, &[], models).unwrap(), trained)
    });
    (Bundle::open(&trained.0).unwrap(), trained.1)
}

/// A training without an epoch: what it starts from.
fn started(
    dataset: &Dataset,
    config: &TrainingConfig,
    from: &Bundle,
) -> Result<Trained, TrainingError> {
    let warm = WarmStart::new(from, 0).unwrap();
    let directory = tempfile::tempdir().unwrap();
    with_data(dataset, config, directory.path(), &|| false, |trainer| {
        let Trainer { config, dataset, histories, split, fingerprint, stop, observe, .. } =
            *trainer;
        let (directory, cache) = (trainer.directory.clone(), trainer.cache.clone());
        let warm = Some(&warm);
        let trainer = Trainer {
            config,
            dataset,
            histories,
            split,
            fingerprint,
            directory,
            cache,
            stop,
            observe,
            final_epochs: None,
            warm,
        };
        trainer.train(false).map(|outcome| finished(Ok(outcome)))
    })
}

fn two_tower(trained: &Trained) -> &TwoTower {
    model(trained)
}

fn elsa(trained: &Trained) -> Vec<f32> {
    model::<Elsa>(trained).table().into_owned()
}

/// The shop with its ids in the reverse order, and another one in the place of the first.
fn renamed() -> Dataset {
    let mut dataset = shop();
    let ids: Vec<String> = dataset.articles.ids.iter().map(str::to_owned).collect();
    dataset.articles.ids = std::iter::once("new")
        .chain(ids[..ids.len() - 1].iter().rev().map(String::as_str))
        .collect::<IdTable>();
    dataset
}

#[test]
fn a_model_starts_where_its_bundle_ended() {
    let models = tempfile::tempdir().unwrap();
    let config = two_tower_config(8);
    let (from, ended) = bundle(&config, models.path());
    let begun = started(&shop(), &config, &from).unwrap();
    assert_eq!(begun.epochs, 0);
    let (ended, begun) = (two_tower(&ended), two_tower(&begun));
    for (old, new) in [(&ended.query, &begun.query), (&ended.item, &begun.item)] {
        for (old, new) in old.tower.layers.iter().zip(&new.tower.layers) {
            assert!(old.weight == new.weight && old.bias == new.bias);
        }
        for (old, new) in old.tables.iter().zip(&new.tables) {
            let touched = (0..old.rows()).filter(|&row| old.steps[row] > 0);
            assert!(touched.clone().count() > 5);
            touched.for_each(|row| assert_eq!(old.row(row), new.row(row)));
        }
    }
}

#[test]
fn rows_are_found_by_the_values_that_they_stand_for() {
    let models = tempfile::tempdir().unwrap();
    let config = two_tower_config(8);
    let (from, ended) = bundle(&config, models.path());
    let begun = started(&renamed(), &config, &from).unwrap();
    // The item tower has one table, that of the articles.
    let (old, new) = (&two_tower(&ended).item.tables[0], &two_tower(&begun).item.tables[0]);
    let articles = shop().articles.len();
    assert_eq!(new.steps[0], 0, "nothing is known of the new one");
    (1..articles)
        .for_each(|row| assert_eq!(new.trained_row(row), old.trained_row(articles - 1 - row)));

    let models = tempfile::tempdir().unwrap();
    let (from, ended) = bundle(&elsa_config(), models.path());
    let (old, new) = (elsa(&ended), elsa(&started(&renamed(), &elsa_config(), &from).unwrap()));
    let row = |table: &[f32], row: usize| table[row * 8..(row + 1) * 8].to_vec();
    assert_eq!(row(&new, 0), [0.0; 8]);
    for item in 1..articles {
        let (old, new) = (row(&old, articles - 1 - item), row(&new, item));
        assert!(old.iter().zip(&new).all(|(a, b)| (a - b).abs() < 1e-6), "{old:?} {new:?}");
    }
}

#[test]
fn a_bundle_of_another_shape_or_family_is_no_start() {
    let models = tempfile::tempdir().unwrap();
    let (from, _) = bundle(&two_tower_config(8), models.path());
    for config in [two_tower_config(4), elsa_config()] {
        match started(&shop(), &config, &from).map(|_| ()) {
            Err(TrainingError::WarmStart(why)) => assert!(why.contains("has "), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}
