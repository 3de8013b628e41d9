//! Runs of the families `elsa` and `frequency` on a small shop of two tastes, from files of
//! settings to served answers.

use crate::{
    bundle::{Bundle, Ranking},
    dataset::Dataset,
    domain::{ArticleId, CustomerId, Timestamp, TopK},
    model::Elsa,
    recommend::{
        Answer, Catalogue, CatalogueBuilder, Cell, Customer, Exclude, Fallback, Filter, Reason,
        Recipe, Request, Shop, Snapshot, Strategy, Warning, recommend, sources,
    },
    training::{
        Outcome, Trained, TrainingConfig,
        tests::{configure, finished, model, shop, train, with_data, with_trainer},
    },
};
use std::{path::Path, sync::Arc};

const ELSA: &str = "model = { name = \"small\", family = \"elsa\", dim = 8 }
    elsa = { length = 12, steps = 4 }
    optimizer = { learning_rate = 0.05 }
    training = { epochs = 6, threads = 1, patience = 0 }
    split = { protocol = \"leave-one-out\" }";

const FREQUENCY: &str = "model = { name = \"again\", family = \"frequency\" }
    frequency = { half_life_days = [0, 30], popularity_half_life_days = [0, 7] }
    training = { metric = \"recall@12\", refit = \"validation\" }
    split = { protocol = \"time\", test_days = 7, validation_days = 7 }";

fn config(base: &str, changes: &[&str]) -> TrainingConfig {
    configure(base, changes).unwrap_or_else(|error| panic!("{error}"))
}

fn refusal(base: &str, changes: &[&str]) -> String {
    configure(base, changes).unwrap_err().to_string()
}

fn elsa(trained: &Trained) -> Vec<f32> {
    model::<Elsa>(trained).table().into_owned()
}

/// The shop's articles, all available but a4, and one that no model knows.
fn catalogue(dataset: &Dataset) -> Catalogue {
    let mut catalogue = CatalogueBuilder::default();
    for (n, id) in dataset.articles.ids.iter().enumerate() {
        let parity = if n % 2 == 0 { "even" } else { "odd" };
        catalogue.push(id, id != "a4", [("parity", Cell::Text(parity))]);
    }
    catalogue.push("fresh", true, [("parity", Cell::Text("odd"))]);
    catalogue.finish(1)
}

fn ids(texts: &[&str]) -> Vec<ArticleId> {
    texts.iter().map(|text| ArticleId::parse(text).unwrap()).collect()
}

/// A question to a snapshot.
struct Ask<'a> {
    snapshot: &'a Snapshot,
    purchases: &'a [(&'a str, u32)],
    session: &'a [&'a str],
    filter: &'a str,
    exclude_purchased: bool,
    max_per: &'a [(String, usize)],
    at: u32,
    k: usize,
}

impl<'a> Ask<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let (purchases, session) = (&[][..], &[][..]);
        Self {
            snapshot,
            purchases,
            session,
            filter: "{}",
            exclude_purchased: false,
            max_per: &[],
            at: 400,
            k: 6,
        }
    }

    /// Purchases are `(article, day)`, newest first.
    fn answer(&self) -> (Vec<String>, Answer) {
        let id = CustomerId::parse("c0").unwrap();
        let (articles, days): (Vec<&str>, Vec<u32>) = self.purchases.iter().copied().unzip();
        let (purchases, session) = (ids(&articles), ids(self.session));
        let times: Vec<Timestamp> =
            days.into_iter().map(|day| Timestamp(day * Timestamp::DAY)).collect();
        let customer = Customer {
            recorded: !purchases.is_empty(),
            purchases: &purchases,
            purchase_times: &times,
            ..Customer::UNKNOWN
        };
        let filter = Filter::parse(&serde_json::from_str(self.filter).unwrap()).unwrap();
        let exclude = Exclude { purchased: self.exclude_purchased, ..Exclude::default() };
        let recipe =
            Recipe { filter, exclude, max_per: self.max_per.to_vec(), ..Recipe::default() };
        let (k, at) = (TopK::new(self.k).unwrap(), Timestamp(self.at * Timestamp::DAY));
        let request = Request {
            session,
            explain: true,
            tell_purchases: true,
            recipe: Arc::new(recipe),
            ..Request::new((!purchases.is_empty()).then_some(id), k, at)
        };
        let answer = recommend(&Shop::default(), self.snapshot, &request, customer).unwrap();
        let name = |row: u32| self.snapshot.catalogue().id(row).to_owned();
        (answer.items.iter().map(|item| name(item.row)).collect(), answer)
    }
}

#[test]
fn a_resumed_run_of_elsa_ends_in_the_same_bits() {
    for (changes, stops) in [
        (&[][..], &[2, 9][..]),
        (&["training.refit=validation", "training.patience=2", "training.epochs=4"], &[3, 13]),
    ] {
        let config = config(ELSA, changes);
        let straight = tempfile::tempdir().unwrap();
        let straight = finished(train(&config, straight.path(), false, usize::MAX));
        for &stop in stops {
            let directory = tempfile::tempdir().unwrap();
            let first = train(&config, directory.path(), false, stop).unwrap();
            assert!(matches!(first, Outcome::Interrupted(path) if path.exists()), "{stop}");
            let resumed = finished(train(&config, directory.path(), true, usize::MAX));
            assert_eq!(
                (resumed.epochs, resumed.validation),
                (straight.epochs, straight.validation)
            );
            assert!(elsa(&resumed) == elsa(&straight), "the tables differ");
        }
    }
}

#[test]
fn elsa_answers_guests_by_the_taste_of_the_visit() {
    let config =
        config(ELSA, &["training.epochs=40", "training.refit=validation", "training.threads=2"]);
    let directory = tempfile::tempdir().unwrap();
    with_trainer(&config, directory.path(), &|| false, |trainer| {
        let trained = finished(trainer.train(false));
        let row = trainer.test(&trained).unwrap();
        let bundle =
            Bundle::open(&trainer.export(&trained, &[row], directory.path()).unwrap()).unwrap();
        assert_eq!((bundle.manifest().family.as_str(), bundle.manifest().dim), ("elsa", 8));
        let snapshot =
            Snapshot::new(Arc::new(bundle), Arc::new(catalogue(trainer.dataset))).unwrap();
        for (visit, taste) in
            [(["a3", "fresh", "gone", "a5"], 0..10), (["a13", "gone", "fresh", "a15"], 10..20)]
        {
            let (found, answer) = Ask { session: &visit, ..Ask::new(&snapshot) }.answer();
            assert_eq!(
                (answer.strategy, answer.warnings),
                (Strategy::Session, vec![Warning::UnknownSessionArticles])
            );
            let number = |id: &String| id[1..].parse::<u32>().unwrap();
            assert!(found.iter().all(|id| taste.contains(&number(id))), "{visit:?}: {found:?}");
        }
        // Bought articles are recommended again unless they are excluded.
        let purchases = &[("a13", 5), ("a15", 4)];
        let own = Ask { purchases, k: 10, ..Ask::new(&snapshot) };
        let (found, answer) = own.answer();
        let bought =
            |found: &[String]| ["a13", "a15"].map(|id| found.iter().any(|found| found == id));
        assert_eq!((answer.strategy, bought(&found)), (Strategy::Personalised, [true, true]));
        let (found, _) = Ask { exclude_purchased: true, ..own }.answer();
        assert_eq!(bought(&found), [false, false]);
        // With nothing bought before the moment asked for there is nothing to go by.
        let (_, before) = Ask { at: 4, ..own_of(&snapshot, purchases) }.answer();
        assert_eq!(
            (before.strategy, before.fallback),
            (Strategy::Popular, Some(Fallback::UnknownCustomer))
        );
    });
}

fn own_of<'a>(snapshot: &'a Snapshot, purchases: &'a [(&'a str, u32)]) -> Ask<'a> {
    Ask { purchases, ..Ask::new(snapshot) }
}

#[test]
fn settings_of_one_family_are_refused_in_another() {
    assert!(refusal(ELSA, &["elsa.length=0"]).contains("`elsa.length` must be 1 to 1024"));
    assert!(refusal(ELSA, &["elsa.decay=0"]).contains("`elsa.decay`"));
    assert!(refusal(ELSA, &["model.normalize=true"]).contains("for the family `two-tower` only"));
    assert!(
        refusal(ELSA, &["loss.temperature=0.5"])
            .contains("for the families `two-tower`, `decoder` and `lstm` only")
    );
    assert!(
        refusal(ELSA, &["frequency.half_life_days=[1]"])
            .contains("for the family `frequency` only")
    );
    assert!(refusal(FREQUENCY, &["elsa.length=3"]).contains("for the family `elsa` only"));
    assert!(refusal(FREQUENCY, &["model.dim=3"]).contains("`model.dim` is for the families"));
    assert!(refusal(FREQUENCY, &["frequency.half_life_days=[]"]).contains("at least one number"));
    for file in [
        include_str!("../../models/configs/elsa.toml"),
        include_str!("../../models/configs/frequency.toml"),
    ] {
        config(file, &[]);
    }
}

/// The small shop, in which every sixth customer buys a7 again and again.
fn rebuying() -> Dataset {
    let mut dataset = shop();
    let purchases = &mut dataset.purchases;
    for (customer, article) in purchases.customer.iter().zip(&mut purchases.article) {
        if *customer % 6 == 0 {
            *article = 7;
        }
    }
    dataset
}

fn frequency_bundle(directory: &Path) -> Bundle {
    let config = config(FREQUENCY, &[]);
    with_data(&rebuying(), &config, directory, &|| false, |trainer| {
        let trained = finished(trainer.train(false));
        let row = trainer.test(&trained).unwrap();
        // Twelve of twenty articles by chance are .6.
        assert!(row.metrics["recall@12"] > 0.8, "{:?}", row.metrics);
        assert!(trained.validation.is_some_and(|value| value > 0.8));
        Bundle::open(&trainer.export(&trained, &[row], directory).unwrap()).unwrap()
    })
}

#[test]
fn frequency_ranks_own_articles_and_fills_with_popular_ones() {
    let directory = tempfile::tempdir().unwrap();
    let bundle = frequency_bundle(directory.path());
    assert_eq!((bundle.manifest().family.as_str(), bundle.manifest().dim), ("frequency", 0));
    assert!(
        matches!(bundle.ranking(), Ranking::Frequency(_))
            && bundle.index_quality(5, 1).unwrap().is_none()
    );
    let best =
        (0..20).max_by(|&a, &b| bundle.popularity()[a].total_cmp(&bundle.popularity()[b])).unwrap();
    assert_eq!(best, 7, "those who rebuy make it popular");
    let snapshot = Snapshot::new(Arc::new(bundle), Arc::new(catalogue(&rebuying()))).unwrap();

    // Newer than the model, unavailable, bought twice, in days 300 to 390.
    let purchases = [("fresh", 390), ("a12", 380), ("a4", 380), ("a3", 370), ("a12", 300)];
    let ask = || own_of(&snapshot, &purchases);
    let (found, answer) = ask().answer();
    assert_eq!(found[..3], ["a12", "fresh", "a3"], "twice, then the latest");
    assert_eq!((found.len(), answer.strategy, answer.fallback), (6, Strategy::Personalised, None));
    assert_eq!((answer.counts.retrieved, answer.counts.filled), (3, 3));
    assert_eq!(
        (answer.items[0].source, answer.items[3].source),
        (sources::MODEL, sources::POPULAR)
    );
    assert_eq!(found[3], "a7", "the most popular of the rest");
    assert_eq!(answer.items[0].reasons[0], Reason::BoughtBefore { times: 2 });
    assert!(!found.contains(&"a4".to_owned()), "unavailable");

    // Years later the order is the same.
    assert_eq!(Ask { at: 40_000, ..ask() }.answer().0, found);

    // Purchases from `at` on are not known.
    assert_eq!(Ask { at: 380, ..ask() }.answer().0[..2], ["a3", "a12"]);
    let (found, past) = Ask { at: 300, ..ask() }.answer();
    assert_eq!((found[0].as_str(), past.strategy), ("a7", Strategy::Popular));
    assert_eq!(past.fallback, Some(Fallback::UnknownCustomer));

    // Filters, exclusions and quotas hold for own and popular articles alike.
    let (found, _) = Ask { filter: r#"{"parity": "odd"}"#, ..ask() }.answer();
    assert_eq!((found.len(), &found[..3]), (6, &["fresh", "a3", "a7"].map(str::to_owned)[..]));
    let (found, _) = Ask { exclude_purchased: true, ..ask() }.answer();
    assert!(
        found.len() == 6 && !found.contains(&"a12".to_owned()) && found[0] == "a7",
        "{found:?}"
    );
    // Tomorrow's purchase is not excluded either.
    let (found, _) = Ask { exclude_purchased: true, at: 380, k: 21, ..ask() }.answer();
    assert!(found.contains(&"fresh".to_owned()) && !found.contains(&"a3".to_owned()), "{found:?}");
    let max_per = [("parity".to_owned(), 1)];
    let (found, _) = Ask { max_per: &max_per, ..ask() }.answer();
    assert_eq!(found, ["a12", "fresh"]);
    let (found, _) = Ask { k: 21, ..ask() }.answer();
    assert_eq!(found.len(), 20, "all that are available");

    // A guest gets what is popular, without the articles of the visit.
    let (found, guest) = Ask { session: &["a7"], ..Ask::new(&snapshot) }.answer();
    assert_eq!((guest.strategy, guest.fallback), (Strategy::Popular, Some(Fallback::Anonymous)));
    assert!(
        guest.warnings == [Warning::SessionNotUsed] && !found.contains(&"a7".to_owned()),
        "{found:?}"
    );
}
