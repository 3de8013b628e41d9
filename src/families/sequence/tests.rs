//! Runs of sequence models on a small shop of two tastes.

use super::WINDOW_ACCURACY;
use crate::{
    bundle::Bundle,
    dataset::{Dataset, Ties, TimeUnit},
    domain::{ArticleId, Timestamp, TopK},
    features::testing,
    model::SequenceModel,
    recommend::{CatalogueBuilder, Customer, Request, Shop, Snapshot, Strategy, recommend},
    training::{
        Outcome, Trained, Trainer, TrainingConfig, TrainingError,
        tests::{assert_diverges, configure, finished, model, train, with_data, with_trainer},
    },
};
use std::sync::Arc;

pub(super) const DECODER: &str = "model = { name = \"small\", family = \"decoder\", dim = 8 }
    sequence = { length = 6, sos = true, eos = true, bias = true }
    decoder = { layers = 2, heads = 2, feed_forward = 16, dropout = 0.1 }
    loss = { temperature = 1.0, uniform_negatives = 5 }
    optimizer = { learning_rate = 0.02, warmup_steps = 3, schedule = \"cosine\", clip = 1.0 }
    training = { epochs = 4, batch_size = 8, threads = 1, patience = 0 }
    split = { protocol = \"leave-one-out\" }";

/// With negatives drawn for each window, gated blocks and places counted from the newest item.
pub(super) const GATED: &str = "model = { name = \"small\", family = \"decoder\", dim = 9 }
    sequence = { length = 6, negatives = 7 }
    decoder = { layers = 2, heads = 3, feed_forward = 16, activation = \"swiglu\", positions = \"learned-from-end\", \
    gated = true, final_norm = false, dropout = 0.1 }
    optimizer = { learning_rate = 0.02, beta2 = 0.98, weight_decay = 0.0001 }
    training = { epochs = 4, batch_size = 8, threads = 1, patience = 0 }
    split = { protocol = \"leave-one-out\" }";

/// With an average of the weights, smoothed labels and items that start near their neighbours.
pub(super) const AVERAGED: &str = "model = { name = \"small\", family = \"decoder\", dim = 9 }
    sequence = { length = 6, init = \"neighbours\" }
    decoder = { layers = 1, heads = 1, feed_forward = 16, positions = \"none\", dropout = 0.1 }
    loss = { uniform_negatives = 100, label_smoothing = 0.2 }
    optimizer = { learning_rate = 0.02, ema_decay = 0.9 }
    training = { epochs = 4, batch_size = 8, threads = 1, patience = 0 }
    split = { protocol = \"leave-one-out\" }";

/// With the times between purchases.
pub(super) const GAPS: &str = "model = { name = \"small\", family = \"decoder\", dim = 8 }
    sequence = { length = 6, gaps = true, sos = true }
    decoder = { layers = 2, heads = 2, feed_forward = 16, positions = \"rotary\", dropout = 0.1 }
    loss = { uniform_negatives = 100 }
    optimizer = { learning_rate = 0.02 }
    training = { epochs = 4, batch_size = 8, threads = 1, patience = 0 }
    split = { protocol = \"leave-one-out\" }";

pub(super) const LSTM: &str = "model = { name = \"small\", family = \"lstm\", dim = 8 }
    sequence = { length = 5, tied = false, bias = true, item_dim = 6, days = { buckets = 10, dim = 3 }, windows = \"sliding\", min_items = 3 }
    lstm = { hidden = [12, 8] }
    loss = { temperature = 1.0, uniform_negatives = 100 }
    optimizer = { learning_rate = 0.02 }
    training = { epochs = 4, batch_size = 32, threads = 1, patience = 0 }
    split = { protocol = \"leave-one-out\" }";

pub(super) fn config(base: &str, changes: &[&str]) -> TrainingConfig {
    configure(base, changes).unwrap_or_else(|error| panic!("{error}"))
}

pub(super) fn sequence(trained: &Trained) -> &SequenceModel {
    model(trained)
}

#[test]
fn a_resumed_run_ends_in_the_same_bits() {
    for (base, changes, stops) in [
        (DECODER, &[][..], &[2, 9][..]),
        (
            DECODER,
            &["training.refit=validation", "training.patience=2", "training.epochs=3"],
            &[5, 14],
        ),
        (GATED, &[], &[5]),
        (AVERAGED, &["training.patience=2"], &[2, 13]),
        (GAPS, &[], &[5]),
        (LSTM, &[], &[5]),
    ] {
        let config = config(base, changes);
        let straight = tempfile::tempdir().unwrap();
        let straight = finished(train(&config, straight.path(), false, usize::MAX));
        for &stop in stops {
            let directory = tempfile::tempdir().unwrap();
            let first = train(&config, directory.path(), false, stop).unwrap();
            assert!(matches!(first, Outcome::Interrupted(path) if path.exists()), "{stop}");
            let resumed = finished(train(&config, directory.path(), true, usize::MAX));
            let (a, b) = (sequence(&resumed), sequence(&straight));
            assert_eq!(
                (resumed.epochs, resumed.validation, a.steps),
                (straight.epochs, straight.validation, b.steps)
            );
            assert!(
                a.items == b.items && a.tokens == b.tokens && a.ages == b.ages,
                "the tables differ"
            );
            assert!(a.encoder.parameters() == b.encoder.parameters(), "the encoders differ");
        }
    }
}

#[test]
fn a_diverging_run_names_the_step_and_keeps_its_last_checkpoint() {
    for base in [DECODER, GATED, LSTM] {
        let wild = config(base, &["optimizer.learning_rate=1e30", "optimizer.warmup_steps=0"]);
        assert_diverges(train, &config(base, &[]), &wild);
    }
}

#[test]
fn a_guest_gets_articles_of_the_taste_of_the_visit() {
    for base in [DECODER, GATED, AVERAGED, LSTM] {
        let config = config(
            base,
            &["training.epochs=20", "training.refit=validation", "training.threads=2"],
        );
        let directory = tempfile::tempdir().unwrap();
        with_trainer(&config, directory.path(), &|| false, |trainer| {
            let trained = finished(trainer.train(false));
            let row = trainer.test(&trained).unwrap();
            let bundle =
                Bundle::open(&trainer.export(&trained, &[row], directory.path()).unwrap()).unwrap();
            let manifest = bundle.manifest();
            assert_eq!((manifest.dim, manifest.items), (9, 20), "the bias is one dimension more");
            let snapshot = snapshot(bundle);
            // Articles 0 to 9 are one taste, 10 to 19 the other; the model never saw a77, the shop
            // never `gone`.
            for (visit, tastes) in
                [(["a3", "a77", "gone", "a5"], 0..10), (["a13", "gone", "a77", "a15"], 10..20)]
            {
                let (strategy, found) = answer(&snapshot, &visit, 4);
                assert_eq!(strategy, Strategy::Session);
                assert!(
                    found.iter().all(|id| tastes.contains(&id[1..].parse::<u32>().unwrap())),
                    "{visit:?}: {found:?}"
                );
            }
            assert_eq!(answer(&snapshot, &["gone"], 4).0, Strategy::Popular, "nothing to go by");
            assert_eq!(answer(&snapshot, &[], 4).0, Strategy::Popular);
        });
    }
}

#[test]
fn the_average_of_the_weights_is_judged_and_shipped() {
    let run = |changes: &[&str]| {
        let directory = tempfile::tempdir().unwrap();
        with_trainer(&config(AVERAGED, changes), directory.path(), &|| false, |trainer| {
            let trained = finished(trainer.train(false));
            let row = trainer.measure_validation(&trained).unwrap().row;
            let text = std::fs::read_to_string(directory.path().join("metrics.jsonl")).unwrap();
            let lines =
                text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
            let judged = lines.filter_map(|line| line["ndcg@10"].as_f64()).next_back().unwrap();
            assert!(
                (judged - row.metrics["ndcg@10"]).abs() < 1e-9,
                "{judged} was judged, {:?} is shipped",
                row.metrics
            );
            sequence(&trained).items.weights.clone()
        })
    };
    // A share this small leaves nothing but the last look.
    let (average, last) = (run(&["optimizer.ema_decay=0.5"]), run(&["optimizer.ema_decay=1e-9"]));
    assert_ne!(average, last);
    assert_ne!(last, run(&["optimizer.ema_decay=0.999"]));
}

#[test]
fn items_start_near_their_neighbours_where_they_are_learnt() {
    let start = |changes: &[&str]| {
        let directory = tempfile::tempdir().unwrap();
        let changes = [&["optimizer.learning_rate=1e-9", "training.epochs=1"], changes].concat();
        with_trainer(&config(AVERAGED, &changes), directory.path(), &|| false, |trainer| {
            let trained = finished(trainer.train(false));
            let model = sequence(&trained);
            [Some(&model.items), model.tokens.as_ref()]
                .map(|table| table.map(|table| table.weights.clone()))
        })
    };
    // Articles 0 to 9 are one taste, 10 to 19 the other.
    let apart = |rows: &[f32], stride: usize| {
        let row = |item: usize| &rows[item * stride..item * stride + 9];
        let product =
            |a: usize, b: usize| row(a).iter().zip(row(b)).map(|(a, b)| a * b).sum::<f32>();
        let products = |other: usize, turn: usize| {
            (0..10).map(|item| product(item, other + (item + turn) % 10)).sum::<f32>()
        };
        let squares = products(0, 0);
        products(0, 1) > 0.8 * squares && products(10, 1) < 0.8 * squares
    };
    let [items, tokens] = start(&[]);
    assert!(apart(&items.unwrap(), 9) && tokens.is_none());
    let [items, tokens] = start(&["sequence.tied=false", "sequence.bias=true"]);
    let items = items.unwrap();
    assert!(apart(&items, 10) && apart(&tokens.unwrap(), 9));
    assert!(items.iter().skip(9).step_by(10).all(|bias| bias.abs() < 1e-6), "biases start at 0");
    let [items, _] = start(&["sequence.init=uniform"]);
    assert!(!apart(&items.unwrap(), 9));
}

/// 160 customers who go round the same 12 articles, beginning anywhere.
fn rounds() -> Dataset {
    let mut dataset = testing::shop(0, 12, 160, 0, TimeUnit::Day);
    for day in 0..9 {
        for customer in 0..160 {
            dataset.purchases.customer.push(customer);
            dataset.purchases.article.push((customer * 7 + day) % 12);
            dataset.purchases.time.push(Timestamp(day * Timestamp::DAY));
        }
    }
    dataset
}

#[test]
fn windows_held_out_are_asked_about_and_not_trained_on() {
    let directory = tempfile::tempdir().unwrap();
    let accuracy = |changes: &[&str]| {
        let config = config(LSTM, &[&["sequence.held_out_windows=0.25"], changes].concat());
        with_data(&rounds(), &config, directory.path(), &|| false, |trainer| {
            let trained = finished(trainer.train(false));
            (
                trainer.test(&trained).unwrap().metrics.get(WINDOW_ACCURACY).copied(),
                sequence(&trained).steps,
            )
        })
    };
    // 7 training purchases each are 2 windows of at most 6, of which 80 are held out: 240 of 32 at
    // a time.
    let (learnt, steps) = accuracy(&["training.epochs=30"]);
    assert!(learnt.unwrap() > 0.8 && steps == 30 * 8, "{learnt:?} after {steps} steps");
    let (drawn, _) = accuracy(&["training.epochs=1", "optimizer.learning_rate=1e-9"]);
    assert!(drawn.unwrap() < 0.3, "{drawn:?}: weights as drawn cannot know");
    assert_eq!(accuracy(&["sequence.held_out_windows=0"]).0, None);
}

#[test]
fn a_step_takes_as_many_windows_as_ask_for_the_wanted_purchases() {
    // 320 windows ask for 5 purchases each.
    for (purchases, steps) in [(160, 10), (163, 10), (1, 320), (1_000_000, 1)] {
        let directory = tempfile::tempdir().unwrap();
        let config =
            config(LSTM, &["training.epochs=1", &format!("sequence.batch_purchases={purchases}")]);
        let trained = |trainer: &Trainer<'_>| sequence(&finished(trainer.train(false))).steps;
        assert_eq!(
            with_data(&rounds(), &config, directory.path(), &|| false, trained),
            steps,
            "{purchases}"
        );
    }
}

#[test]
fn inner_products_of_a_bundle_are_the_logits() {
    let config = config(DECODER, &["loss.temperature=0.25", "training.epochs=1"]);
    let directory = tempfile::tempdir().unwrap();
    with_trainer(&config, directory.path(), &|| false, |trainer| {
        let trained = finished(trainer.train(false));
        let row = trainer.test(&trained).unwrap();
        let bundle =
            Bundle::open(&trainer.export(&trained, &[row], directory.path()).unwrap()).unwrap();
        let mut vector = Vec::new();
        for item in 0..20 {
            bundle.towers().unwrap().item.embed(&[item], &[], 1, &mut vector).unwrap();
            let logits: Vec<f32> =
                sequence(&trained).items.row(item as usize).iter().map(|x| x / 0.25).collect();
            assert_eq!(vector, logits);
        }
    });
}

/// 160 customers who buy article 10 an hour after a purchase, or article 11 a week after it.
fn told_by_the_gap(unit: TimeUnit) -> Dataset {
    let mut dataset = testing::shop(0, 12, 160, 0, unit);
    let mut rows = Vec::new();
    for customer in 0..160 {
        let (mut time, mut article) = (1_000_000, customer % 10);
        for turn in 0..9u64 {
            rows.push((time, customer, article));
            let drawn = Ties::of(turn, "").place(&customer.to_string());
            let soon = drawn.is_multiple_of(2);
            (time, article) = match soon {
                true => (time + 3_600, 10),
                false => (time + 7 * Timestamp::DAY, 11),
            };
        }
    }
    rows.sort_unstable();
    for (time, customer, article) in rows {
        dataset.purchases.time.push(Timestamp(time));
        dataset.purchases.customer.push(customer);
        dataset.purchases.article.push(article);
    }
    dataset
}

#[test]
fn the_time_since_the_last_purchase_tells_what_is_next() {
    let found = |unit, gaps: &str| {
        let changes = ["training.epochs=15", "split.repeats=keep", gaps];
        let config = config(GAPS, &changes);
        let directory = tempfile::tempdir().unwrap();
        with_data(&told_by_the_gap(unit), &config, directory.path(), &|| false, |trainer| {
            let trained = finished(trainer.train(false));
            let row = trainer.test(&trained).unwrap();
            // The export compares its graph with the kernels over the golden requests.
            let bundle =
                trainer.export(&trained, std::slice::from_ref(&row), directory.path()).unwrap();
            assert_eq!(
                Bundle::open(&bundle).unwrap().encoder().schema().query.features.len(),
                if sequence(&trained).ages.is_some() { 2 } else { 1 }
            );
            (sequence(&trained).ages.is_some(), row.metrics["ndcg@10"])
        })
    };
    let (read, with) = found(TimeUnit::Second, "sequence.gaps=true");
    assert!(read && with > 0.98, "{with}");
    let (read, without) = found(TimeUnit::Second, "sequence.gaps=false");
    assert!(!read && without < 0.9, "{without}");
    // Purchases without dates have no gaps.
    let (read, without) = found(TimeUnit::Position, "sequence.gaps=true");
    assert!(!read && without < 0.9, "{without}");
}

fn snapshot(bundle: Bundle) -> Snapshot {
    let mut catalogue = CatalogueBuilder::default();
    (0..20).for_each(|n| catalogue.push(&format!("a{n}"), true, []));
    catalogue.push("a77", true, []);
    Snapshot::new(Arc::new(bundle), Arc::new(catalogue.finish(1))).unwrap()
}

/// How a guest after a visit is answered, and with which articles.
fn answer(snapshot: &Snapshot, visit: &[&str], k: usize) -> (Strategy, Vec<String>) {
    let session: Vec<ArticleId> = visit.iter().map(|id| ArticleId::parse(id).unwrap()).collect();
    let guest = Request::new(None, TopK::new(k).unwrap(), Timestamp(1_600_000_000));
    let request = Request { session, ..guest };
    let answer = recommend(&Shop::default(), snapshot, &request, Customer::UNKNOWN).unwrap();
    (
        answer.strategy,
        answer.items.iter().map(|item| snapshot.catalogue().id(item.row).to_owned()).collect(),
    )
}

#[test]
fn impossible_configurations_are_named() {
    for (base, sets, part) in [
        (DECODER, "sequence.item_dim=4", "`sequence.tied` needs tokens of the width of items"),
        (DECODER, "decoder.heads=3", "heads = 3 does not divide the width 8"),
        (DECODER, "sequence.length=0", "`sequence.length` must be 1 to 1024"),
        (DECODER, "sequence.windows=all", "unknown variant `all`"),
        (DECODER, "sequence.size=5", "unknown field `size`"),
        (DECODER, "decoder.depth=5", "unknown field `depth`"),
        (DECODER, "lstm.hidden=[4]", "`lstm` is for the family `lstm` only"),
        (DECODER, "model.normalize=true", "`model.normalize` is for the family `two-tower` only"),
        (DECODER, "sequence.negatives=7", "takes the place of `loss.uniform_negatives`"),
        (DECODER, "decoder.positions=learned-from-end", "set `sequence.sos = false`"),
        (
            GATED,
            "loss.label_smoothing=0.1",
            "`loss.label_smoothing` is for the softmax that the batch shares",
        ),
        (
            AVERAGED,
            "loss.label_smoothing=1",
            "`loss.label_smoothing` must be at least 0 and below 1",
        ),
        (AVERAGED, "optimizer.ema_decay=1", "`optimizer.ema_decay` must be above 0 and below 1"),
        (AVERAGED, "sequence.init=near", "unknown variant `near`"),
        (GATED, "sequence.negatives=0", "`sequence.negatives` must be 1 to 65536"),
        (LSTM, "model.dim=4", "the encoder's outputs are 8 wide"),
        (LSTM, "sequence.held_out_windows=1", "`sequence.held_out_windows` must be a share"),
        (LSTM, "sequence.batch_purchases=0", "`sequence.batch_purchases` must be 1 to 1048576"),
        (LSTM, "sequence.sos=true", "`sequence.sos` is for the decoder"),
        (DECODER, "sequence.gaps=true", "set `sequence.eos = false`"),
        (LSTM, "sequence.gaps=true", "`sequence.gaps` and `[sequence.days]` tell the same times"),
    ] {
        let error = configure(base, &[sets]).unwrap_err().to_string();
        assert!(error.contains(part), "{sets}: {error}");
    }
}

#[test]
fn customers_with_too_few_purchases_are_an_error_when_there_are_no_others() {
    let config = config(DECODER, &["sequence.min_items=1000"]);
    let directory = tempfile::tempdir().unwrap();
    match train(&config, directory.path(), false, usize::MAX) {
        Err(error @ TrainingError::NothingToLearn) => assert!(error.is_bad_input()),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("trained on nothing"),
    }
}
