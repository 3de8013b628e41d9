//! What holds whatever is asked: under any mix of filter, rules, exclusions, cart, caps, diversity
//! and failing sources.

use super::{
    ruled::{double, failing},
    *,
};
use proptest::{prelude::*, strategy::Strategy};
use rules::{RuleSpec, Rules};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Articles of the shop. Row n is article n; every 10th is sold out.
const SHOP: usize = 90;
/// Articles of an answer of the placement.
const K: usize = 12;

/// A filter, and which articles it selects.
type Selects = (&'static str, fn(usize) -> bool);

const FILTERS: [Selects; 7] = [
    ("{}", |_| true),
    (r#"{"bucket": "ten"}"#, |n| (2..14).contains(&n)),
    (r#"{"price": {"max": 40}}"#, |n| n <= 40),
    (r#"{"not": {"price": {"max": 70}}}"#, |n| n > 70),
    (r#"{"code": ["3", "5", "20"]}"#, |n| [3, 5, 20].contains(&(n / 2))),
    (r#"{"any": [{"bucket": "one"}, {"price": {"min": 50, "max": 60}}]}"#, |n| {
        n < 2 || (50..=60).contains(&n)
    }),
    (r#"{"article_ids": ["a7", "a8", "a9", "a81"]}"#, |n| [7, 8, 9, 81].contains(&n)),
];

#[derive(Debug, Clone)]
enum Wish {
    Boost(usize, f32),
    Bury(usize, f32),
    Promote(usize, u64),
    Pin(usize, usize),
    Hide(usize),
}

#[derive(Debug, Clone)]
struct Case {
    /// Rows that a source finds, some of them twice or unknown; `None`: it fails.
    sources: Vec<Option<Vec<u32>>>,
    fallback: Vec<Option<Vec<u32>>>,
    filter: usize,
    wishes: Vec<Wish>,
    excluded: Vec<usize>,
    cart: Vec<usize>,
    per_code: Option<usize>,
    diversity: f32,
    k: usize,
}

fn rows() -> impl Strategy<Value = Option<Vec<u32>>> {
    let found = prop::collection::vec(0u32..SHOP as u32 + 20, 0..40);
    prop_oneof![1 => Just(None), 4 => found.prop_map(Some)]
}

fn wish() -> impl Strategy<Value = Wish> {
    let filter = || 1..FILTERS.len();
    prop_oneof![
        (filter(), 1.1f32..1000.0).prop_map(|(filter, factor)| Wish::Boost(filter, factor)),
        (filter(), 0.01f32..0.9).prop_map(|(filter, factor)| Wish::Bury(filter, factor)),
        (filter(), 1..=K as u64).prop_map(|(filter, least)| Wish::Promote(filter, least)),
        (0..SHOP, 1..=K).prop_map(|(article, position)| Wish::Pin(article, position)),
        filter().prop_map(Wish::Hide),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let sources = (prop::collection::vec(rows(), 0..4), prop::collection::vec(rows(), 1..3));
    let articles = |most| prop::collection::vec(0..SHOP, 0..most);
    let wishes = prop::collection::vec(wish(), 0..6);
    let diversity = prop_oneof![Just(0.0f32), 0.01f32..=1.0];
    let shape = (prop::option::of(1usize..3), diversity, 1usize..30);
    (sources, 0..FILTERS.len(), wishes, articles(10), articles(4), shape).prop_map(
        |((sources, fallback), filter, wishes, excluded, cart, (per_code, diversity, k))| Case {
            sources,
            fallback,
            filter,
            wishes,
            excluded,
            cart,
            per_code,
            diversity,
            k,
        },
    )
}

impl Case {
    /// The wishes as rules, without those that contradict the ones before.
    fn rules(&self) -> (Rules, Vec<&Wish>) {
        let (mut specs, mut kept): (Vec<RuleSpec>, Vec<&Wish>) = (Vec::new(), Vec::new());
        for (name, wish) in self.wishes.iter().enumerate() {
            let filter = |at: &usize| serde_json::from_str::<Value>(FILTERS[*at].0).unwrap();
            let mut rule = match wish {
                Wish::Boost(at, factor) => {
                    json!({"rule": "boost", "filter": filter(at), "factor": factor})
                }
                Wish::Bury(at, factor) => {
                    json!({"rule": "bury", "filter": filter(at), "factor": factor})
                }
                Wish::Promote(at, least) => {
                    json!({"rule": "promote", "filter": filter(at), "at_least": least})
                }
                Wish::Pin(n, position) => {
                    json!({"rule": "pin", "article_id": format!("a{n}"), "position": position})
                }
                Wish::Hide(at) => json!({"rule": "hide", "filter": filter(at)}),
            };
            rule["name"] = json!(format!("rule {name}"));
            let spec = RuleSpec::parse(rule.as_object().unwrap().clone()).unwrap();
            let longer: Vec<RuleSpec> = specs.iter().cloned().chain([spec]).collect();
            if Rules::new(longer.clone(), K).is_ok() {
                (specs, kept) = (longer, [kept, vec![wish]].concat());
            }
        }
        (Rules::new(specs, K).unwrap(), kept)
    }

    fn request(&self, k: usize, offset: Option<usize>) -> Request {
        let spec =
            |rows: &Option<Vec<u32>>| rows.as_ref().map_or_else(failing, |rows| double(rows));
        let name = |&n: &usize| ArticleId::parse(&format!("a{n}")).unwrap();
        let recipe = Recipe {
            sources: self.sources.iter().map(spec).collect(),
            fallback: self.fallback.iter().map(spec).collect(),
            filter: filter(FILTERS[self.filter].0),
            exclude: Exclude {
                article_ids: self.excluded.iter().map(name).collect(),
                ..Exclude::default()
            },
            max_per: self.per_code.map(|limit| ("code".to_owned(), limit)).into_iter().collect(),
            rules: self.rules().0,
            diversity: self.diversity,
            ..Recipe::default()
        };
        let id = CustomerId::parse("c17").unwrap();
        Request {
            cart: self.cart.iter().map(name).collect(),
            offset,
            explain: true,
            recipe: Arc::new(recipe),
            ..Request::new(Some(id), TopK::new(k).unwrap(), Timestamp(1_600_000_000))
        }
    }

    /// What may be answered, by the definition of each part.
    fn eligible(&self, kept: &[&Wish]) -> BTreeSet<usize> {
        let hidden =
            |n: usize| kept.iter().any(|wish| matches!(wish, Wish::Hide(at) if FILTERS[*at].1(n)));
        let named = |n: usize| self.excluded.contains(&n) || self.cart.contains(&n);
        (0..SHOP)
            .filter(|&n| n % 10 != 0 && FILTERS[self.filter].1(n) && !hidden(n) && !named(n))
            .collect()
    }
}

fn small_shop() -> Snapshot {
    let mut builder = CatalogueBuilder::default();
    (0..SHOP).for_each(|n| push(&mut builder, n, n % 10 != 0));
    // Ten articles are newer than the model, so it knows no vector of theirs but one and the same.
    Snapshot::new(Arc::new(Spiral::new(SHOP - 10)), Arc::new(builder.finish(1))).unwrap()
}

fn answered(snapshot: &Snapshot, request: &Request) -> Vec<usize> {
    let answer = recommend(&Shop::default(), snapshot, request, Customer::UNKNOWN).unwrap();
    let shown = preview(&Shop::default(), snapshot, request, Customer::UNKNOWN).unwrap();
    assert_eq!(answer, shown.answer, "same request, same answer, and the preview's is no other");
    answer.items.iter().map(|item| item.row as usize).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn answers_are_full_eligible_and_without_repeats(case in case()) {
        let snapshot = small_shop();
        let (_, kept) = case.rules();
        let eligible = case.eligible(&kept);
        let list = answered(&snapshot, &case.request(case.k, None));
        let distinct: BTreeSet<usize> = list.iter().copied().collect();
        prop_assert_eq!(distinct.len(), list.len());
        prop_assert!(distinct.is_subset(&eligible), "{:?} of {:?}", list, eligible);
        let of_code = |code: usize| list.iter().filter(|&&n| n / 2 == code).count();
        if let Some(limit) = case.per_code {
            prop_assert!(list.iter().all(|&n| of_code(n / 2) <= limit));
            let fits = |n: &&usize| !distinct.contains(n) && of_code(**n / 2) < limit;
            prop_assert!(list.len() == case.k || eligible.iter().find(fits).is_none());
        } else {
            prop_assert_eq!(list.len(), case.k.min(eligible.len()));
        }
    }

    #[test]
    fn pins_stand_and_promotions_have_their_share(case in case()) {
        let snapshot = small_shop();
        let (_, kept) = case.rules();
        let eligible = case.eligible(&kept);
        let list = answered(&snapshot, &case.request(case.k, None));
        if case.per_code.is_some() {
            return Ok(());
        }
        let pins: Vec<(usize, usize)> = kept.iter().filter_map(|wish| match wish {
            Wish::Pin(n, position) if eligible.contains(n) => Some((*n, *position)),
            _ => None,
        }).collect();
        for &(n, position) in &pins {
            match list.get(position - 1) {
                Some(&at) => prop_assert_eq!(at, n),
                // A list that ends before has it at its end; an answer that is cut before has not.
                None if list.len() < case.k => prop_assert!(list.contains(&n)),
                None if eligible.len() >= case.k + pins.len() => prop_assert!(!list.contains(&n)),
                None => {}
            }
        }
        for wish in kept {
            let Wish::Promote(at, least) = wish else { continue };
            let promoted = |n: &&usize| FILTERS[*at].1(**n);
            let can = eligible.iter().filter(promoted).count();
            for p in 1..=list.len() {
                let standing = list[..p].iter().filter(promoted).count();
                let wanted = (*least as usize * p / K).min(can);
                prop_assert!(standing >= wanted || !pins.is_empty(), "{} of {} at {}", standing, wanted, p);
            }
        }
    }

    #[test]
    fn pages_are_parts_of_one_list(case in case(), size in 1usize..15) {
        let snapshot = small_shop();
        let whole = answered(&snapshot, &case.request(200, Some(0)));
        let pages: Vec<usize> = (0..4)
            .flat_map(|page| answered(&snapshot, &case.request(size, Some(page * size))))
            .collect();
        prop_assert_eq!(&pages[..], &whole[..whole.len().min(4 * size)]);
    }
}
