//! Lists written item by item, by a model whose next-article logits are set by hand.

use super::*;
use crate::recommend::Strategy;
use proptest::prelude::*;

const ITEMS: usize = 6;

/// Item `i`'s vector is the `i`-th unit vector, so the query vector is the logits: row `last + 1`
/// of the table, row 0 before anything.
struct Chain {
    ids: IdTable,
    units: Vec<f32>,
    logits: Vec<[f32; ITEMS]>,
    sequence: bool,
}

impl Index for Chain {
    fn len(&self) -> usize {
        ITEMS
    }
    fn dim(&self) -> usize {
        ITEMS
    }
    fn search(&self, query: &Query<'_>) -> Result<Vec<Hit>, QueryError> {
        let allowed =
            (0..ITEMS as u32).filter(|&item| query.allowed.is_none_or(|set| set.contains(item)));
        let mut hits: Vec<Hit> =
            allowed.map(|item| Hit { item, score: query.vector[item as usize] }).collect();
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.item.cmp(&b.item)));
        hits.truncate(query.k);
        Ok(hits)
    }
}

impl Model for Chain {
    fn name(&self) -> &str {
        "chain"
    }
    fn version(&self) -> &str {
        "1"
    }
    fn items(&self) -> usize {
        ITEMS
    }
    fn index(&self) -> Option<&dyn Index> {
        Some(self)
    }
    fn search_plan(&self, _query: &Query<'_>) -> &'static str {
        "scan"
    }
    fn item(&self, article_id: &str) -> Option<u32> {
        self.ids.find(article_id)
    }
    fn vector(&self, item: u32) -> Option<&[f32]> {
        Some(&self.units[item as usize * ITEMS..][..ITEMS])
    }
    fn popularity(&self) -> &[f32] {
        &[6.0, 5.0, 4.0, 3.0, 2.0, 1.0]
    }
    fn knows_customer(&self, id: &str) -> bool {
        id.starts_with('c')
    }
    fn reads_history(&self) -> bool {
        true
    }
    fn needs_history(&self) -> bool {
        false
    }
    fn reads_sequence(&self) -> bool {
        self.sequence
    }
    fn embed_customer(
        &self,
        customer: &CustomerView<'_>,
        vector: &mut Vec<f32>,
    ) -> Result<(), ModelError> {
        let last = customer.history.first().map_or(0, |&item| item as usize + 1);
        *vector = self.logits[last].to_vec();
        Ok(())
    }
    fn embed_articles(&self, articles: &[ArticleView<'_>]) -> Result<Vec<f32>, ModelError> {
        Ok(vec![0.0; articles.len() * ITEMS])
    }
}

/// A shop of articles `a0` to `a5` in two groups; `a5` is sold out where asked.
fn chain(logits: Vec<[f32; ITEMS]>, sold_out: bool) -> Snapshot {
    let ids: Vec<String> = (0..ITEMS).map(|n| format!("a{n}")).collect();
    let units = (0..ITEMS * ITEMS).map(|n| f32::from(u8::from(n / ITEMS == n % ITEMS))).collect();
    let model =
        Chain { ids: ids.iter().map(String::as_str).collect(), units, logits, sequence: true };
    let mut builder = CatalogueBuilder::default();
    for (n, id) in ids.iter().enumerate() {
        let group = if n % 2 == 0 { "even" } else { "odd" };
        builder.push(id, !(sold_out && n == 5), [("group", Cell::Text(group))]);
    }
    Snapshot::new(Arc::new(model), Arc::new(builder.finish(1))).unwrap()
}

/// After article n comes n + 1, or else n + 2, and so on around.
fn onwards() -> Vec<[f32; ITEMS]> {
    let row =
        |last: usize| std::array::from_fn(|item| -(((item + 2 * ITEMS - last) % ITEMS) as f32));
    (0..=ITEMS).map(row).collect()
}

/// The articles generated for customer `c1` after the purchases.
fn list(
    snapshot: &Snapshot,
    purchases: &[&str],
    k: usize,
    generation: Generation,
) -> (Vec<String>, Answer) {
    let (id, purchases, all) = (CustomerId::parse("c1").unwrap(), ids(purchases), filter("{}"));
    let subject = Who::Customer(Visitor { purchases: &purchases, ..customer(Some(&id)) });
    let answer =
        answer(snapshot, &Ask { generation: Some(generation), ..request(subject, k, &all) });
    (names(snapshot, &answer), answer)
}

fn names(snapshot: &Snapshot, answer: &Answer) -> Vec<String> {
    answer.items.iter().map(|item| snapshot.catalogue().id(item.row).to_owned()).collect()
}

fn probability(answer: &Answer) -> f32 {
    answer.items.iter().map(|item| item.score).sum::<f32>().exp()
}

fn sample(seed: u64, temperature: f32, top_p: f32) -> Generation {
    Generation::Sample(Sampling { temperature, top_p, seed })
}

#[test]
fn greedy_continues_the_history_and_never_repeats() {
    let snapshot = chain(onwards(), false);
    let (found, answer) = list(&snapshot, &["a2", "a0"], 6, Generation::Greedy);
    assert_eq!(found, ["a3", "a4", "a5", "a0", "a1", "a2"]);
    assert_eq!((answer.strategy, answer.fallback), (Strategy::Generated, None));
    assert!(answer.items.iter().all(|item| item.source == sources::GENERATED && item.score <= 0.0));
    assert_eq!(
        (answer.counts.retrieved, answer.counts.filled, answer.search),
        (6, 0, Some("scan"))
    );
    // The last of six has no other to share its probability with.
    assert_eq!(answer.items[5].score, 0.0);
    // What the plan of one shot would give differs: all from the newest purchase.
    assert_eq!(list(&snapshot, &[], 2, Generation::Greedy).0, ["a0", "a1"]);
}

#[test]
fn every_rule_holds_at_every_step() {
    let snapshot = chain(onwards(), true);
    assert_eq!(
        list(&snapshot, &["a2"], 4, Generation::Greedy).0,
        ["a3", "a4", "a0", "a1"],
        "a5 is sold out"
    );
    let (id, bought, seen, out) =
        (CustomerId::parse("c1").unwrap(), ids(&["a2"]), ids(&["a3"]), ids(&["a0"]));
    let buyer = Visitor { purchases: &bought, session: &seen, ..customer(Some(&id)) };
    let (all, even) = (filter("{}"), filter(r#"{"group": "even"}"#));
    for generation in [Generation::Greedy, Generation::Beam { width: 3 }, sample(9, 1.0, 1.0)] {
        let base = Ask { generation: Some(generation), ..request(Who::Customer(buyer), 6, &all) };
        let exclude = Exclude { article_ids: out.clone(), purchased: true, ..Exclude::default() };
        let mut found = names(&snapshot, &answer(&snapshot, &Ask { exclude, ..base.clone() }));
        found.sort();
        assert_eq!(found, ["a1", "a4"], "not seen, bought, excluded or sold out: {generation:?}");
        let mut found =
            names(&snapshot, &answer(&snapshot, &Ask { filter: &even, ..base.clone() }));
        found.sort();
        assert_eq!(found, ["a0", "a2", "a4"], "{generation:?}");
        let max_per = [("group".to_owned(), 1)];
        let limited = answer(&snapshot, &Ask { max_per: &max_per, explain: true, ..base });
        let parity = |item: &Ranked| snapshot.catalogue().id(item.row).as_bytes()[1] % 2;
        assert_eq!(limited.items.len(), 2, "{generation:?}");
        assert_ne!(parity(&limited.items[0]), parity(&limited.items[1]));
        assert!(limited.items.iter().all(|item| !item.reasons.is_empty()));
    }
}

#[test]
fn a_beam_finds_what_greed_misses() {
    // a0 looks best, but nothing likely follows it; a1 is followed by a2 almost surely.
    let mut logits = vec![[0.0; ITEMS]; ITEMS + 1];
    logits[0] = [1.1, 1.0, -5.0, -5.0, -5.0, -5.0];
    logits[2][2] = 8.0;
    let snapshot = chain(logits, false);
    let (greedy, poor) = list(&snapshot, &[], 2, Generation::Greedy);
    let (beam, good) = list(&snapshot, &[], 2, Generation::Beam { width: 2 });
    assert_eq!((greedy[0].as_str(), beam[0].as_str(), beam[1].as_str()), ("a0", "a1", "a2"));
    assert!(
        probability(&good) > 3.0 * probability(&poor),
        "{} {}",
        probability(&good),
        probability(&poor)
    );
}

#[test]
fn sampling_follows_the_probabilities_and_its_seed() {
    let snapshot = chain(vec![[2.0, 1.0, 0.0, -0.5, -1.0, -1.5]; ITEMS + 1], false);
    let lists: Vec<Vec<String>> =
        (0..400).map(|seed| list(&snapshot, &[], 3, sample(seed, 1.0, 1.0)).0).collect();
    assert_eq!(lists[7], list(&snapshot, &[], 3, sample(7, 1.0, 1.0)).0);
    let share = |name: &str| lists.iter().filter(|list| list[0] == name).count() as f32 / 400.0;
    // e², e¹, … over their sum, 12.31: 0.600 and 0.221.
    assert!(
        (share("a0") - 0.600).abs() < 0.08 && (share("a1") - 0.221).abs() < 0.08,
        "{} {}",
        share("a0"),
        share("a1")
    );
    let distinct =
        |list: &Vec<String>| list.iter().collect::<std::collections::BTreeSet<_>>().len() == 3;
    assert!(lists.iter().all(distinct));
    let greedy = list(&snapshot, &[], 3, Generation::Greedy).0;
    for seed in 0..20 {
        assert_eq!(list(&snapshot, &[], 3, sample(seed, 0.01, 1.0)).0, greedy, "cold");
        assert_eq!(
            list(&snapshot, &[], 1, sample(seed, 1.0, 0.5)).0,
            greedy[..1],
            "a0 alone has half"
        );
        // a0 and a1 have 0.821 of the probability together.
        let first = &list(&snapshot, &[], 1, sample(seed, 1.0, 0.75)).0[0];
        assert!(first == "a0" || first == "a1", "{first}");
    }
}

#[test]
fn a_model_without_sequences_is_refused_and_a_guest_without_a_visit_gets_what_sells() {
    let all = filter("{}");
    let greedy =
        |subject| Ask { generation: Some(Generation::Greedy), ..request(subject, 3, &all) };
    let spiral = super::snapshot();
    let error = refused(&spiral, &greedy(Who::Customer(customer(None))));
    assert!(error.to_string().contains("`spiral` reads no sequences"), "{error}");

    let snapshot = chain(onwards(), false);
    let popular = answer(&snapshot, &greedy(Who::Customer(customer(None))));
    assert_eq!(
        (popular.strategy, popular.fallback),
        (Strategy::Popular, Some(Fallback::Anonymous))
    );
    assert_eq!(names(&snapshot, &popular), ["a0", "a1", "a2"]);
    let seen = ids(&["a4"]);
    let guest =
        answer(&snapshot, &greedy(Who::Customer(Visitor { session: &seen, ..customer(None) })));
    assert_eq!(names(&snapshot, &guest), ["a5", "a0", "a1"], "what was seen is not answered back");
}

proptest! {
    /// A beam as wide as the shop finds the likeliest of all lists of two.
    #[test]
    fn a_wide_beam_is_exhaustive(rows in proptest::collection::vec(proptest::array::uniform6(-3.0f32..3.0), ITEMS + 1)) {
        let softmax = |row: &[f32; ITEMS], without: Option<usize>, item: usize| {
            let sum: f32 = (0..ITEMS).filter(|i| Some(*i) != without).map(|i| row[i].exp()).sum();
            row[item].exp() / sum
        };
        let pairs = (0..ITEMS).flat_map(|a| (0..ITEMS).filter(move |b| *b != a).map(move |b| (a, b)));
        let of = |(a, b): (usize, usize)| softmax(&rows[0], None, a) * softmax(&rows[a + 1], Some(a), b);
        let best = pairs.map(of).fold(0.0, f32::max);
        let (_, answer) = list(&chain(rows.clone(), false), &[], 2, Generation::Beam { width: ITEMS });
        prop_assert!((probability(&answer) - best).abs() < 1e-5, "{} {best}", probability(&answer));
    }
}
