use super::{interactions::Interactions, tuning::Tunable, *};
use crate::{
    dataset::{Case, Dataset, Histories, Protocol, Split, TimeUnit},
    domain::Timestamp,
    features::testing,
};
use proptest::prelude::*;
use std::collections::HashSet;

/// 4 articles, 3 customers, purchases `(customer, article, day)`.
fn dataset(rows: &[(u32, u32, u32)], time_unit: TimeUnit) -> Dataset {
    let mut dataset = testing::shop(0, 4, 3, 0, time_unit);
    for &(customer, article, time) in rows {
        dataset.purchases.customer.push(customer);
        dataset.purchases.article.push(article);
        let seconds = if time_unit == TimeUnit::Position { time } else { time * Timestamp::DAY };
        dataset.purchases.time.push(Timestamp(seconds));
    }
    dataset
}

/// The scores of one case, which must not depend on the cases beside it.
fn scored(scorer: &dyn Scorer, articles: usize, case: &Case) -> Vec<f32> {
    let mut scores = vec![f32::NAN; 2 * articles];
    scorer.score(&[case.clone(), case.clone()], &mut scores).unwrap();
    let second = scores.split_off(articles);
    assert_eq!(scores, second);
    scores
}

fn scores(name: &str, dataset: &Dataset, train: &[u32], customer: u32, known: u32) -> Vec<f32> {
    let histories = &Histories::of(dataset);
    let at = dataset.purchases.time.last().copied().unwrap_or_default();
    let case = Case { customer, at, known, relevant: vec![0] };
    let scorer = baseline(name, Known { dataset, histories, train }, None).unwrap().unwrap();
    assert_eq!((scorer.name(), scorer.kind()), (name, crate::bundle::RowKind::Baseline));
    scored(&*scorer, dataset.articles.len(), &case)
}

/// The articles by falling score, without those that are never recommended.
fn ranked(scores: &[f32]) -> Vec<usize> {
    let mut articles: Vec<usize> =
        (0..scores.len()).filter(|&article| scores[article] > f32::NEG_INFINITY).collect();
    articles.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    articles
}

#[test]
fn popularity_counts_training_purchases() {
    let mut data = dataset(
        &[(0, 1, 1), (0, 1, 2), (1, 3, 9), (1, 0, 10), (2, 0, 16), (2, 2, 17)],
        TimeUnit::Day,
    );
    assert_eq!(scores("popularity", &data, &[0, 1, 2, 3, 4], 0, 0), [2.0, 2.0, 0.0, 1.0]);
    assert_eq!(scores("recent-popularity", &data, &[0, 1, 2, 3, 4], 0, 0), [2.0, 0.0, 0.0, 0.0]);
    let decayed = scores("decayed-popularity", &data, &[0, 1, 2, 3, 4], 0, 0);
    assert_eq!(ranked(&decayed), [0, 1, 3, 2]);
    data.purchases.weight = vec![1.0, 1.0, 9.0, 1.0, 1.0, 1.0];
    assert_eq!(
        scores("popularity", &data, &[0, 1, 2, 3, 4], 0, 0),
        [2.0, 2.0, 0.0, 9.0],
        "rows weigh"
    );
}

#[test]
fn where_only_an_order_is_known_days_are_purchases() {
    let rows: Vec<_> =
        (0..11).map(|t| (0, 2, t)).chain([(0, 1, 11), (0, 3, 12), (1, 0, 0)]).collect();
    let data = dataset(&rows, TimeUnit::Position);
    let train: Vec<u32> = (0..14).filter(|&row| row != 12).collect();
    // The last seven training purchases of each customer.
    assert_eq!(scores("recent-popularity", &data, &train, 0, 0), [1.0, 1.0, 6.0, 0.0]);
    let own = scores("personal-frequency", &data, &train, 0, 12);
    assert_eq!(ranked(&own)[..2], [2, 1]);
}

#[test]
fn own_articles_stand_first() {
    let rows =
        [(1, 3, 1), (1, 3, 2), (1, 3, 3), (0, 1, 3), (0, 0, 4), (0, 1, 5), (0, 0, 6), (0, 2, 7)];
    let data = dataset(&rows, TimeUnit::Second);
    let train = [0, 1, 2, 3, 4, 5, 6];
    // Customer 0 has bought 1, 0, 1.
    assert_eq!(ranked(&scores("last-purchases", &data, &train, 0, 3)), [1, 0, 3, 2]);
    assert_eq!(ranked(&scores("gp-topfreq", &data, &train, 0, 3)), [1, 0, 3, 2]);
    assert_eq!(ranked(&scores("personal-frequency", &data, &train, 0, 3)), [1, 0, 3, 2]);
    assert_eq!(ranked(&scores("p-topfreq", &data, &train, 0, 3)), [1, 0], "and nothing else");
    // What was bought together has no order: 3 is bought by others too.
    let together = dataset(&[(1, 3, 1), (0, 0, 2), (0, 3, 3), (0, 1, 3), (0, 2, 4)], TimeUnit::Day);
    assert_eq!(ranked(&scores("last-purchases", &together, &[0, 1, 2, 3], 0, 3)), [3, 1, 0, 2]);
    // Old habits fade, counts do not.
    let rows: Vec<_> =
        (1..6).map(|day| (0, 2, day)).chain([(0, 1, 2_000), (1, 3, 2_000)]).collect();
    let data = dataset(&rows, TimeUnit::Day);
    assert_eq!(ranked(&scores("gp-topfreq", &data, &[0, 1, 2, 3, 4, 5, 6], 0, 6))[..2], [2, 1]);
    assert_eq!(
        ranked(&scores("personal-frequency", &data, &[0, 1, 2, 3, 4, 5, 6], 0, 6))[..2],
        [1, 2]
    );
}

#[test]
fn transitions_follow_the_order() {
    // 0 → 1 twice, 0 → 2 once; after 3, 0 follows 2.
    let rows = [(0, 0, 1), (0, 1, 2), (1, 0, 1), (1, 1, 2), (2, 3, 1), (2, 0, 2), (2, 2, 3)];
    let data = dataset(&rows, TimeUnit::Second);
    let histories = Histories::of(&data);
    let train: Vec<u32> = (0..7).collect();
    let known = Known { dataset: &data, histories: &histories, train: &train };
    let candidates: Vec<Transitions<'_>> = Transitions::candidates(known).collect();
    let first_order = candidates
        .iter()
        .find(|c| c.settings() == "first order, reach 1, history decay 0")
        .unwrap();
    let after_0 = Case { customer: 0, at: Timestamp(0), known: 1, relevant: vec![1] };
    let scores = scored(first_order, 4, &after_0);
    assert!(
        (scores[1] - 2.0 / 3.0).abs() < 1e-4 && (scores[2] - 1.0 / 3.0).abs() < 1e-4,
        "{scores:?}"
    );
    assert!(scores[3] < 1e-5);
    // Customer 2 comes from 3: the pair says 2, and it has been seen once.
    let second = candidates
        .iter()
        .find(|c| c.settings() == "first and second order, reach 1, history decay 0")
        .unwrap();
    let after_pair = Case { customer: 2, known: 2, ..after_0.clone() };
    let scores = scored(second, 4, &after_pair);
    assert!((scores[2] - (1.0 / 3.0 + 1.0 / 3.0)).abs() < 1e-4, "{scores:?}");
    assert_eq!(scored(second, 4, &after_0), scored(first_order, 4, &after_0), "no pair is known");
}

#[test]
fn interactions_are_unique_and_never_above_one() {
    let mut data = dataset(&[(0, 2, 1), (0, 1, 2), (0, 2, 3), (2, 3, 4)], TimeUnit::Day);
    data.purchases.weight = vec![0.2, 5.0, 0.4, 1.0];
    let histories = Histories::of(&data);
    let known = Known { dataset: &data, histories: &histories, train: &[0, 1, 2, 3] };
    let bought = Interactions::of(known);
    let rows: Vec<Vec<(u32, f32)>> = (0..3).map(|row| bought.row(row).collect()).collect();
    assert_eq!(rows, [vec![(1, 1.0), (2, 0.4)], vec![], vec![(3, 1.0)]]);
    let buyers = bought.transposed(4);
    assert_eq!(buyers.row(2).collect::<Vec<_>>(), [(0, 0.4)]);
    assert_eq!(buyers.rows(), 4);
}

#[test]
fn every_name_makes_a_baseline_and_others_none() {
    let data = dataset(&[(0, 0, 1), (0, 1, 2), (1, 2, 3)], TimeUnit::Day);
    let histories = Histories::of(&data);
    let known = Known { dataset: &data, histories: &histories, train: &[0, 1] };
    assert!(baseline("oracle", known, None).unwrap().is_none());
    for name in NAMES {
        let case = Case { customer: 0, at: Timestamp(0), known: 1, relevant: vec![1] };
        let scores = scored(&*baseline(name, known, None).unwrap().unwrap(), 4, &case);
        assert!(scores.iter().all(|score| !score.is_nan()), "{name}: {scores:?}");
    }
    assert!(unavailable(Ease::NAME, Ease::MOST_ARTICLES + 1).unwrap().contains("20000"));
    assert!(
        unavailable(Ease::NAME, Ease::MOST_ARTICLES).is_none()
            && unavailable("ials", 1 << 20).is_none()
    );
}

#[test]
fn settings_are_chosen_by_validation() {
    // What sells changes every second day, and in the end all have sold alike: only the latest day
    // tells the next.
    let rows: Vec<_> = (0..60)
        .flat_map(|day| (0..3).map(move |customer| (customer, u32::div_ceil(day, 2) % 4, day)))
        .collect();
    let data = dataset(&rows, TimeUnit::Day);
    let histories = Histories::of(&data);
    let split = Split::new(&data, &histories, Protocol::time(1, 1)).unwrap();
    let tuning = Tuning::new(&data, &histories, &split, "ndcg@10", &|| false).unwrap();
    let train = split.train_and_validation();
    let known = Known { dataset: &data, histories: &histories, train: &train };
    let chosen = baseline("recent-popularity", known, Some(&tuning)).unwrap().unwrap();
    assert_eq!(chosen.settings(), "last 1 days");
    let usual = baseline("recent-popularity", known, None).unwrap().unwrap();
    assert_eq!(usual.settings(), "last 7 days");
    let without = Split::new(&data, &histories, Protocol::time(1, 0)).unwrap();
    assert!(Tuning::new(&data, &histories, &without, "ndcg@10", &|| false).is_none());
}

/// What a dense computation in 64 bits makes of the same purchases.
fn dense(dataset: &Dataset, train: &[u32]) -> Vec<Vec<f64>> {
    let mut matrix = vec![vec![0.0; dataset.articles.len()]; dataset.customers.len()];
    for &row in train {
        let (customer, article) =
            (dataset.purchases.customer[row as usize], dataset.purchases.article[row as usize]);
        matrix[customer as usize][article as usize] = 1.0;
    }
    matrix
}

/// The inverse by Gauss and Jordan.
fn inverse(mut a: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let n = a.len();
    for (row, values) in a.iter_mut().enumerate() {
        values.extend((0..n).map(|column| f64::from(u8::from(column == row))));
    }
    for pivot in 0..n {
        let by = a[pivot][pivot];
        a[pivot].iter_mut().for_each(|value| *value /= by);
        let pivot_row = a[pivot].clone();
        for (_, values) in a.iter_mut().enumerate().filter(|(row, _)| *row != pivot) {
            let factor = values[pivot];
            values
                .iter_mut()
                .zip(&pivot_row)
                .for_each(|(value, of_pivot)| *value -= factor * of_pivot);
        }
    }
    a.into_iter().map(|row| row[n..].to_vec()).collect()
}

#[test]
fn ease_agrees_with_a_plain_reference() {
    let dataset = testing::shop(5, 30, 40, 300, TimeUnit::Second);
    let histories = Histories::of(&dataset);
    let train: Vec<u32> = (0..250).collect();
    let x = dense(&dataset, &train);
    let mut gram = vec![vec![0.0; 30]; 30];
    for row in &x {
        for i in 0..30 {
            (0..30).for_each(|j| gram[i][j] += row[i] * row[j]);
        }
    }
    (0..30).for_each(|i| gram[i][i] += 50.0);
    let p = inverse(gram);
    let ease = Ease::fit(Known { dataset: &dataset, histories: &histories, train: &train }, 50.0);
    assert_eq!(ease.settings(), "λ 50");
    for customer in 0..40 {
        let rows = histories.of_customer(customer);
        let case = Case { customer, at: Timestamp(0), known: rows.len() as u32, relevant: vec![0] };
        let own: HashSet<usize> =
            rows.iter().map(|&row| dataset.purchases.article[row as usize] as usize).collect();
        for (j, score) in scored(&ease, 30, &case).into_iter().enumerate() {
            let expected: f64 = own.iter().filter(|&&i| i != j).map(|&i| -p[i][j] / p[j][j]).sum();
            assert!((f64::from(score) - expected).abs() < 1e-4, "{score} is not {expected}");
        }
    }
}

#[test]
fn ials_finds_who_buys_what() {
    // Two groups of customers and articles: each customer lacks one article of the own group.
    let mut dataset = testing::shop(0, 20, 40, 0, TimeUnit::Second);
    for customer in 0..40u32 {
        for article in (0..10).filter(|article| *article != customer % 10) {
            dataset.purchases.customer.push(customer);
            dataset.purchases.article.push(customer / 20 * 10 + article);
            dataset.purchases.time.push(Timestamp(article));
        }
    }
    let histories = Histories::of(&dataset);
    let train: Vec<u32> = (0..dataset.purchases.len() as u32).collect();
    let ials =
        Ials::fit(Known { dataset: &dataset, histories: &histories, train: &train }, Ials::USUAL);
    for customer in [3, 27] {
        let case = Case { customer, at: Timestamp(99), known: 9, relevant: vec![0] };
        let scores = scored(&ials, 20, &case);
        let lacking = (customer / 20 * 10 + customer % 10) as usize;
        let group = customer as usize / 20 * 10;
        let highest_other = (0..20)
            .filter(|a| !(group..group + 10).contains(a))
            .map(|a| scores[a])
            .fold(-9.0, f32::max);
        // The lacking article is known to be lacking as well, so it scores less than those bought.
        assert!(scores[lacking] > 0.1 && highest_other < 0.01, "{scores:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn item_knn_agrees_with_a_plain_reference(seed: u64, neighbours in 1usize..40, shrunk: bool, decays: bool) {
        let dataset = testing::shop(seed, 30, 25, 200, TimeUnit::Second);
        let histories = Histories::of(&dataset);
        let train: Vec<u32> = (0..150).collect();
        let article = |row: u32| dataset.purchases.article[row as usize];
        let buyers = |article: u32| -> HashSet<u32> {
            let rows = train.iter().filter(|&&row| dataset.purchases.article[row as usize] == article);
            rows.map(|&row| dataset.purchases.customer[row as usize]).collect()
        };
        let (shrinkage, decay) = (if shrunk { 3.0 } else { 0.0 }, if decays { 0.5 } else { 1.0 });
        let similarity = |a: u32, b: u32| {
            let (x, y) = (buyers(a), buyers(b));
            let both = x.intersection(&y).count() as f32;
            if both == 0.0 { 0.0 } else { both / ((x.len() as f32).sqrt() * (y.len() as f32).sqrt() + shrinkage) }
        };
        let customer = (seed % 25) as u32;
        let rows = histories.of_customer(customer);
        let known = rows.iter().filter(|&&row| row < 150).count();
        let mut expected = [0.0f32; 30];
        let (mut seen, mut counts) = (HashSet::new(), 1.0);
        for own in rows[..known].iter().rev().map(|&row| article(row)).filter(|&own| seen.insert(own)) {
            let mut others: Vec<(f32, u32)> = (0..30).filter(|&b| b != own).map(|b| (similarity(own, b), b)).collect();
            others.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            others.iter().take(neighbours).for_each(|&(value, other)| expected[other as usize] += counts * value);
            counts *= decay;
        }
        let settings = item_knn::Settings { neighbours, shrinkage, decay };
        let scorer = ItemKnn::fit(Known { dataset: &dataset, histories: &histories, train: &train }, settings);
        let case = Case { customer, at: Timestamp(0), known: known as u32, relevant: vec![0] };
        for (score, expected) in scored(&scorer, 30, &case).into_iter().zip(expected) {
            prop_assert!((score - expected).abs() < 1e-3, "{} is not {}", score, expected);
        }
    }
}
