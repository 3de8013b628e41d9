use super::*;
use proptest::prelude::*;

fn purchase(customer: u32, article: u32, day: u32) -> Purchase {
    Purchase { customer, article, at: Timestamp(day * Timestamp::DAY + 3_600), weight: 1.0 }
}

#[test]
fn counts_by_hand() {
    let now = Timestamp(1_000 * Timestamp::DAY);
    let purchases = vec![
        purchase(0, 1, 999),
        purchase(0, 1, 989),
        purchase(0, 1, 989),
        purchase(1, 1, 950),
        purchase(1, 2, 600),
        purchase(1, 2, 1_000), // not before the moment
    ];
    let counted = Statistics::count(4, purchases, now);
    let one = counted.articles[1];
    assert_eq!(
        (one.sold, one.buyers, one.recent_buyers, one.rebuyers),
        ([1, 1, 1, 3, 4, 4], 2, 1, 1)
    );
    assert_eq!((one.gaps, counted.mean_gap), ((10.0, 1), 10.0));
    assert_eq!((one.first.day(), one.last.day()), (950, 999));
    assert_eq!(
        (counted.articles[2].sold, counted.articles[3]),
        ([0, 0, 0, 0, 0, 1], ArticleStatistics::default())
    );
    assert!(one.trend() > 0.0 && counted.articles[3].trend() == 0.0);
}

#[test]
fn an_article_a_year_ago_is_in_season() {
    let now = Timestamp(1_000 * Timestamp::DAY);
    let days = [632, 637, 999];
    let counted = Statistics::count(1, days.map(|day| purchase(0, 0, day)).to_vec(), now);
    assert_eq!(counted.articles[0].sold_a_year_ago, 1, "7 days from 364 days ago");
}

#[test]
fn days_and_customers_make_different_neighbours() {
    // 0 and 1 on one day, 2 on another, by both customers.
    let day = |customer| {
        [purchase(customer, 0, 10), purchase(customer, 1, 10), purchase(customer, 2, 20)]
    };
    let counted =
        Statistics::count(4, (0..2).flat_map(day).collect(), Timestamp(30 * Timestamp::DAY));
    let ids = |near: &[NearestArticles]| near.iter().map(|near| near.article).collect::<Vec<_>>();
    assert_eq!((ids(counted.together.of(0)), ids(counted.together.of(2))), (vec![1], Vec::new()));
    assert_eq!((ids(counted.similar.of(0)), ids(counted.similar.of(3))), (vec![1, 2], Vec::new()));
    assert_eq!(counted.together.of(0)[0].similarity, 2.0 / (2.0 + 10.0));
    assert!(counted.similar.of(77).is_empty(), "not counted");
    assert_eq!(counted.together.near(&[(0, 3.0)], 5, |_| true), [(1, 0.5)]);
    assert_eq!(counted.together.near(&[(0, 3.0)], 5, |article| article != 1), []);
    assert_eq!(counted.together.near(&[(0, 3.0)], 0, |_| true), []);
    assert_eq!(counted.together.affinity(&[(0, 3.0)], 1), 0.5);
}

#[test]
fn ease_divides_what_is_bought_together_by_what_is_bought() {
    // 0 by three customers, 1 by two of them, 2 by nobody.
    let purchases = vec![
        purchase(0, 0, 10),
        purchase(0, 1, 20),
        purchase(1, 0, 10),
        purchase(1, 0, 11),
        purchase(1, 1, 20),
        purchase(2, 0, 10),
        purchase(2, 3, 10),
    ];
    let counted = Statistics::count(4, purchases, Timestamp(30 * Timestamp::DAY));
    let weights = |article| -> Vec<(u32, f32)> {
        counted.ease.of(article).iter().map(|near| (near.article, near.similarity)).collect()
    };
    // Of the inverse of [[53, 2, 1], [2, 52, 0], [1, 0, 51]], −P_ij / P_jj.
    let expected = [(1, 2.0 * 51.0 / (53.0 * 51.0 - 1.0)), (3, 52.0 / (53.0 * 52.0 - 4.0))];
    for ((article, weight), (expected_article, expected)) in weights(0).into_iter().zip(expected) {
        assert_eq!(article, expected_article);
        assert!((weight - expected).abs() < 1e-6, "{article}: {weight}, not {expected}");
    }
    assert_eq!((weights(0).len(), weights(2)), (2, Vec::new()));
    // 1 and 3 have no customer in common, and 0 explains both: the weight is below 0 and not kept.
    assert_eq!(weights(1).iter().map(|weight| weight.0).collect::<Vec<_>>(), [0]);
}

#[test]
fn what_follows_counts_less_the_later_it_comes() {
    // 0 → 1 → 2 by one customer, 0 → 2 by another.
    let purchases = vec![
        purchase(0, 0, 1),
        purchase(0, 1, 2),
        purchase(0, 2, 3),
        purchase(1, 0, 1),
        purchase(1, 2, 9),
    ];
    let counted = Statistics::count(3, purchases, Timestamp(10 * Timestamp::DAY));
    let follows: Vec<(u32, f32)> =
        counted.following.of(0).iter().map(|near| (near.article, near.similarity)).collect();
    assert_eq!(follows, [(2, 1.5 / 2.5), (1, 1.0 / 2.5)]);
    assert!(counted.following.of(2).is_empty());
}

#[test]
fn a_shop_without_purchases_has_empty_statistics() {
    let counted = Statistics::count(3, Vec::new(), Timestamp(5));
    assert_eq!((counted.articles.len(), counted.mean_gap), (3, 0.0));
    assert!(
        counted.together.of(0).is_empty()
            && counted.similar.near(&[(0, 1.0)], 9, |_| true).is_empty()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn neighbours_agree_with_counting_every_pair(rows in proptest::collection::vec((0u32..12, 0u32..15, 0u32..40), 0..400)) {
        let purchases: Vec<Purchase> = rows.iter().map(|&(c, a, d)| purchase(c, a, d + 1)).collect();
        let counted = Statistics::count(15, purchases.clone(), Timestamp(60 * Timestamp::DAY));
        let mut groups: std::collections::BTreeMap<(u32, u32), std::collections::BTreeSet<u32>> = Default::default();
        purchases.iter().for_each(|p| { groups.entry((p.customer, p.at.day())).or_default().insert(p.article); });
        let groups: Vec<_> = groups.into_values().filter(|group| group.len() > 1).collect();
        let holds = |a: u32| groups.iter().filter(|group| group.contains(&a)).count();
        let members: usize = groups.iter().map(|group| group.len()).sum();
        let sold = (0..15).filter(|&a| holds(a) > 0).count();
        let (least_pair, least) = if members >= 5 * sold { (2, 5) } else { (1, 1) };
        for a in 0..15u32 {
            let mut expected: Vec<(u32, f32)> = (0..15u32).filter(|&b| b != a && holds(a) >= least && holds(b) >= least).filter_map(|b| {
                let both = groups.iter().filter(|group| group.contains(&a) && group.contains(&b)).count();
                let norm = (holds(a) as f32).sqrt() * (holds(b) as f32).sqrt();
                (both >= least_pair).then_some((b, both as f32 / (norm + 10.0)))
            }).collect();
            expected.sort_by(|x, y| y.1.total_cmp(&x.1).then(x.0.cmp(&y.0)));
            let found: Vec<(u32, f32)> = counted.together.of(a).iter().map(|near| (near.article, near.similarity)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
