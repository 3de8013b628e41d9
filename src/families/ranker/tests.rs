//! Runs of the family `ranker` on a small shop, from files of settings to served answers.

use crate::{
    bundle::{Bundle, Ranking},
    dataset::{Column, Dataset, Entities, Values},
    domain::{CustomerId, IdTable},
    evaluation::{
        Evaluation, OfflineShop, PipelineScorer, Scorer, baselines::Known, bundle_ranker,
    },
    families::TrainedRanker,
    recommend::{
        Aspect, ListModel, Model as _, ModelError, RankerSpec, Recipe, Request, Strategy, Warning,
        check_ranker, recommend,
    },
    training::{
        Outcome, Trainer, TrainingConfig,
        tests::{configure, finished, model, shop, with_data},
    },
};
use std::{path::Path, sync::Arc};

const RANKER: &str = "model = { name = \"again\", family = \"ranker\" }
    ranker = { lists = 12, hidden = [8], negatives = 15, batch_lists = 16 }
    optimizer = { learning_rate = 0.02 }
    training = { epochs = 8, patience = 8, threads = 1, metric = \"ndcg@10\", refit = \"validation\" }
    split = { protocol = \"time\", test_days = 7, validation_days = 7 }";

fn config(changes: &[&str]) -> TrainingConfig {
    configure(RANKER, changes).unwrap_or_else(|error| panic!("{error}"))
}

/// The small shop, in which every third customer buys a7 again and again.
fn rebuying() -> Dataset {
    let mut dataset = shop();
    let purchases = &mut dataset.purchases;
    for (customer, article) in purchases.customer.iter().zip(&mut purchases.article) {
        if *customer % 3 == 0 {
            *article = 7;
        }
    }
    dataset
}

fn in_shop<T>(config: &TrainingConfig, work: impl FnOnce(&Trainer<'_>, &Path) -> T) -> T {
    let directory = tempfile::tempdir().unwrap();
    with_data(&rebuying(), config, directory.path(), &|| false, |trainer| {
        work(trainer, directory.path())
    })
}

#[test]
fn trees_are_what_a_server_answers() {
    what_is_trained_is_what_a_server_answers("ranker.learner=\"trees\"");
}

#[test]
fn a_network_is_what_a_server_answers() {
    what_is_trained_is_what_a_server_answers("ranker.learner=\"network\"");
}

fn what_is_trained_is_what_a_server_answers(learner: &str) {
    in_shop(&config(&["ranker.write_lists=true", learner]), |trainer, directory| {
        let trained = finished(trainer.train(false));
        let measured = trainer.measure(&trained).unwrap();
        assert!(measured.row.metrics["hr@10"] > 0.6, "{:?}", measured.row.metrics);
        assert!(trained.validation.is_some_and(|value| value > 0.3), "{:?}", trained.validation);

        let bundle =
            trainer.export(&trained, std::slice::from_ref(&measured.row), directory).unwrap();
        let bundle = Bundle::open(&bundle).unwrap();
        assert_eq!((bundle.manifest().family.as_str(), bundle.manifest().dim), ("ranker", 0));
        assert!(
            matches!(bundle.ranking(), Ranking::Ranker(_))
                && bundle.index_quality(5, 1).unwrap().is_none()
        );
        let (model, of_bundle) = (model::<TrainedRanker>(&trained), bundle.ranker().unwrap());
        let rows = vec![0.5; 3 * model.features().len()];
        let (ours, shipped) = (model.scores(&rows).unwrap(), of_bundle.scores(&rows).unwrap());
        assert!(
            ours.iter().zip(&shipped).all(|(a, b)| (a - b).abs() < 1e-4),
            "{ours:?} {shipped:?}"
        );
        assert!(of_bundle.scores(&rows[1..]).is_err(), "no whole rows");
        assert!(of_bundle.scores(&vec![f32::NAN; rows.len()]).is_err(), "not finite");

        // The bundle on the same test, as a scorer and as the model of a shop.
        let (dataset, histories, cases) = (trainer.dataset, trainer.histories, &trainer.split.test);
        let known = Known { dataset, histories, train: &trained.rows };
        let again = bundle_ranker(&bundle, known, trainer.split.protocol).unwrap();
        let evaluation = Evaluation { dataset, histories, protocol: trainer.split.protocol, cases };
        assert_eq!(evaluation.row(&again).unwrap().metrics, measured.row.metrics);
        let mut scores = vec![0.0; cases.len() * dataset.articles.len()];
        again.score(cases, &mut scores).unwrap();
        drop(again);
        let bundle: Arc<dyn crate::recommend::Model> = Arc::new(bundle);
        let offline = OfflineShop::new(known, &[bundle], cases[0].at).unwrap();
        let (somebody, mut bought_again) = (CustomerId::parse("somebody").unwrap(), 0);
        for (case, scores) in cases.iter().zip(scores.chunks(dataset.articles.len())) {
            let request = offline.request(case, Arc::default(), 5).unwrap();
            let customer = offline.customer(case);
            let answer =
                recommend(offline.shop(), offline.snapshot(), &request, customer.view()).unwrap();
            assert_eq!((answer.strategy, answer.items.len()), (Strategy::Pipeline, 5));
            assert!(answer.warnings.is_empty(), "{:?}", answer.warnings);
            let of = |row: u32| scores[row as usize];
            let better =
                |item: u32| scores.iter().filter(|&&score| score > of(item) + 1e-4).count();
            for (place, item) in answer.items.iter().enumerate() {
                assert!(better(item.row) <= place, "{place}: {item:?}");
            }
            let told = |tell_purchases| {
                let request = Request {
                    explain: true,
                    tell_purchases,
                    customer: Some(somebody.clone()),
                    ..request.clone()
                };
                recommend(offline.shop(), offline.snapshot(), &request, customer.view())
                    .unwrap()
                    .items
            };
            assert!(
                told(false).iter().all(|item| item.ranked_by.is_empty()),
                "it would tell purchases"
            );
            let explained = told(true);
            assert_eq!(
                explained.iter().map(|item| item.row).collect::<Vec<_>>(),
                answer.items.iter().map(|item| item.row).collect::<Vec<_>>()
            );
            for by in explained.iter().map(|item| &item.ranked_by) {
                assert!(by.len() <= 3 && by.iter().all(|by| by.weight > 0.0), "{by:?}");
                assert!(by.is_sorted_by(|a, b| a.weight >= b.weight), "{by:?}");
            }
            // The shop's customers buy the same again.
            bought_again += usize::from(
                explained[0].ranked_by.iter().any(|by| by.aspect == Aspect::OwnPurchases),
            );
        }
        assert!(bought_again * 2 > cases.len(), "{bought_again} of {}", cases.len());

        for file in
            ["features.json", "train.rows", "validation.bought", "test.starts", "test.relevant"]
        {
            assert!(directory.join("lists").join(file).exists(), "{file}");
        }
        let bytes = |file: &str| std::fs::read(directory.join("lists").join(file)).unwrap().len();
        assert_eq!(bytes("train.rows"), bytes("train.bought") * 4 * model.features().len());
    });
}

#[test]
fn a_request_names_a_ranker_beside_other_models() {
    in_shop(&config(&[]), |trainer, directory| {
        let trained = finished(trainer.train(false));
        let bundle = Bundle::open(&trainer.export(&trained, &[], directory).unwrap()).unwrap();
        let sources = RankerSpec::of(bundle.ranker().unwrap()).unwrap().sources;
        let known =
            Known { dataset: trainer.dataset, histories: trainer.histories, train: &trained.rows };
        let cases = &trainer.split.test;
        let models: [Arc<dyn crate::recommend::Model>; 1] = [Arc::new(bundle)];
        let offline = OfflineShop::new(known, &models, cases[0].at).unwrap();
        let ask = |recipe: Recipe| {
            let request = offline.request(&cases[0], Arc::new(recipe), 4).unwrap();
            // The shop's other model answers: it is asked for nothing but the list.
            let other = &offline.shop().models["none"];
            let answer =
                recommend(offline.shop(), other, &request, offline.customer(&cases[0]).view());
            answer.map(|answer| answer.items.iter().map(|item| item.row).collect::<Vec<_>>())
        };
        let ranker = Some("again".to_owned());
        let alone = ask(Recipe { ranker: ranker.clone(), ..Recipe::default() }).unwrap();
        assert_eq!(alone.len(), 4);
        let named =
            Recipe { ranker: ranker.clone(), sources: sources.clone(), ..Recipe::default() };
        assert_eq!(ask(named).unwrap(), alone);
        // What does not fit is refused when it is saved, and left out when it is asked for.
        let other = Recipe { ranker, sources: sources[1..].to_vec(), ..Recipe::default() };
        let none = Recipe { ranker: Some("none".to_owned()), ..Recipe::default() };
        let gone = Recipe { ranker: Some("gone".to_owned()), ..Recipe::default() };
        for (recipe, problem) in
            [(other, "on other sources"), (none, "it is no ranker"), (gone, "no model `gone`")]
        {
            let error =
                check_ranker(offline.shop(), offline.snapshot(), &recipe).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
            let request = offline.request(&cases[0], Arc::new(recipe), 4).unwrap();
            let customer = offline.customer(&cases[0]);
            let answer = recommend(
                offline.shop(),
                &offline.shop().models["none"],
                &request,
                customer.view(),
            )
            .unwrap();
            assert!(
                answer.items.len() == 4 && answer.warnings.contains(&Warning::RankerLeftOut),
                "{:?}",
                answer.warnings
            );
        }
        // The evaluation of a placement ranks as the server does.
        let recipe = Arc::new(Recipe { ranker: Some("again".to_owned()), ..Recipe::default() });
        let scorer = PipelineScorer { name: "placement".to_owned(), shop: &offline, recipe };
        let mut scores = vec![0.0; trainer.dataset.articles.len()];
        scorer.score(&cases[..1], &mut scores).unwrap();
        assert_eq!(scores[alone[0] as usize], 0.0);
    });
}

/// A ranker of other features than this program computes.
struct Strange(Vec<String>, Vec<serde_json::Map<String, serde_json::Value>>);

impl ListModel for Strange {
    fn sources(&self) -> &[serde_json::Map<String, serde_json::Value>] {
        &self.1
    }
    fn attributes(&self) -> &[String] {
        &[]
    }
    fn features(&self) -> &[String] {
        &self.0
    }
    fn scores(&self, _rows: &[f32]) -> Result<Vec<f32>, ModelError> {
        Ok(Vec::new())
    }
}

#[test]
fn other_features_and_sources_are_refused() {
    let source = |name: &str| serde_json::json!({ "source": name }).as_object().unwrap().clone();
    let mut names = RankerSpec::new(Vec::new(), Vec::new()).features.names();
    names.push("rank.0.trending".to_owned());
    assert!(RankerSpec::of(&Strange(names.clone(), vec![source("trending")])).is_ok());
    names[3] = "own.moons".to_owned();
    let error = RankerSpec::of(&Strange(names, vec![source("trending")])).unwrap_err().to_string();
    assert!(error.contains("`own.moons`") && error.contains("train it again"), "{error}");
    let error = RankerSpec::of(&Strange(Vec::new(), vec![source("moon")])).unwrap_err().to_string();
    assert!(error.contains("there is no source `moon`"), "{error}");
}

#[test]
fn a_stopped_run_says_so_and_wrong_settings_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(&[]);
    let outcome =
        with_data(&rebuying(), &config, directory.path(), &|| true, |trainer| trainer.train(false));
    assert!(matches!(outcome, Ok(Outcome::Interrupted(_))));
    let refused = |changes: &[&str]| configure(RANKER, changes).unwrap_err().to_string();
    assert!(refused(&["ranker.sources=[{source=\"moon\"}]"]).contains("there is no source `moon`"));
    assert!(refused(&["model.dim=4"]).contains("`model.dim` is for the families"));
    assert!(refused(&["ranker.lists=0"]).contains("`ranker.lists` must be 1 to 1000"));
    assert!(refused(&["ranker.depth=11"]).contains("`ranker.depth` must be 1 to 10"));
    assert!(refused(&["ranker.shrinkage=0.0"]).contains("must be above 0 and at most 1"));
    assert!(refused(&["model.family=\"frequency\""]).contains("for the family `ranker` only"));
    let train = |changes: &[&str]| {
        let config = configure(RANKER, changes).unwrap();
        in_shop(&config, |trainer, _| trainer.train(false).err().map(|error| error.to_string()))
    };
    let error = train(&["ranker.attributes=[\"moon\"]"]).unwrap();
    assert!(error.contains("no attribute `moon`"), "{error}");
    let wild = train(&["optimizer.learning_rate=1e30", "ranker.learner=\"network\""]);
    assert!(
        wild.is_none_or(|error| error.contains("the loss became")),
        "told, if the numbers break"
    );
}

#[test]
fn attributes_of_medium_size_are_chosen_once_each() {
    let column = |name: &str, values: u32| Column {
        name: name.to_owned(),
        values: Values::Integer((0..100).map(|row| i64::from(row % values)).collect()),
    };
    let articles = Entities {
        ids: (0..100)
            .map(|id| id.to_string())
            .collect::<Vec<_>>()
            .iter()
            .map(String::as_str)
            .collect::<IdTable>(),
        columns: vec![
            column("one", 1),
            column("brand", 40),
            column("type", 12),
            column("type again", 12),
            column("aisle", 5),
            column("two", 2),
        ],
        vectors: Vec::new(),
    };
    assert_eq!(super::attributes(&articles), ["brand", "type", "aisle"]);
}
