//! Drawn negatives: for each purchase one article that its customer never bought.

use super::{Dataset, Histories};
use hashbrown::HashSet;
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// In the place of a negative where there is none.
pub const NO_NEGATIVE: u32 = u32::MAX;

/// What to draw negatives for, and from.
#[derive(Clone, Copy)]
pub struct NegativeDraw<'a> {
    pub dataset: &'a Dataset,
    pub histories: &'a Histories,
    /// The purchases, rows of the dataset; each once.
    pub rows: &'a [u32],
    /// The articles that may be drawn; each once.
    pub pool: &'a [u32],
    pub seed: u64,
}

/// One article for each row of a [`NegativeDraw`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negatives {
    /// Parallel to the rows: an article the customer has bought neither before nor with any of
    /// their rows, or
    /// [`NO_NEGATIVE`] where they have bought the whole pool.
    pub articles: Vec<u32>,
    /// Rows whose customer had left fewer articles than they have rows: these are drawn again once
    /// all are used up.
    pub repeated: usize,
}

impl NegativeDraw<'_> {
    /// Draws without replacement for each customer. Depends on the data, rows, pool and seed, not
    /// on the threads.
    pub fn draw(&self) -> Negatives {
        const NONE: u32 = u32::MAX;
        let Self { dataset, histories, rows, .. } = *self;
        let mut position = vec![NONE; dataset.purchases.len()];
        for (at, &row) in rows.iter().enumerate() {
            position[row as usize] = at as u32;
        }
        let mut in_pool = vec![false; dataset.articles.len()];
        self.pool.iter().for_each(|&article| in_pool[article as usize] = true);
        let drawn: Vec<(Vec<u32>, Vec<u32>)> = (0..histories.customers() as u32)
            .into_par_iter()
            .filter_map(|customer| {
                let history = histories.of_customer(customer);
                // What comes later may be held out and must not tell on itself by never being
                // drawn.
                let last = history.iter().rposition(|&row| position[row as usize] != NONE)?;
                let past = &history[..=last];
                let wanted = past
                    .iter()
                    .map(|&row| position[row as usize])
                    .filter(|&at| at != NONE)
                    .collect::<Vec<_>>();
                let bought = past.iter().map(|&row| dataset.purchases.article[row as usize]);
                let bought: HashSet<u32> =
                    bought.filter(|&article| in_pool[article as usize]).collect();
                let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
                rng.set_stream(u64::from(customer));
                let articles = of_customer(self.pool, bought, wanted.len(), &mut rng);
                Some((wanted, articles))
            })
            .collect();
        let mut negatives = Negatives { articles: vec![NO_NEGATIVE; rows.len()], repeated: 0 };
        for (wanted, articles) in drawn {
            let unique: HashSet<u32> = articles.iter().copied().collect();
            negatives.repeated += if unique.len() < articles.len() { articles.len() } else { 0 };
            for (at, article) in wanted.into_iter().zip(articles) {
                negatives.articles[at as usize] = article;
            }
        }
        negatives
    }
}

/// `count` articles of the pool that are not in `bought` (a part of the pool); fewer or none only
/// where all are bought.
fn of_customer(pool: &[u32], bought: HashSet<u32>, count: usize, rng: &mut ChaCha8Rng) -> Vec<u32> {
    let mut taken = bought;
    if 2 * (taken.len() + count) <= pool.len() {
        // Every second try succeeds, at least.
        let mut draw = || loop {
            let article = pool[rng.random_range(0..pool.len())];
            if taken.insert(article) {
                return article;
            }
        };
        return (0..count).map(|_| draw()).collect();
    }
    let mut left: Vec<u32> =
        pool.iter().copied().filter(|article| !taken.contains(article)).collect();
    let mut articles = Vec::with_capacity(count);
    while articles.len() < count && !left.is_empty() {
        left.shuffle(rng);
        articles.extend(left.iter().take(count - articles.len()));
    }
    articles
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dataset::TimeUnit, features::testing};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn negatives_are_never_bought_and_never_twice(
            seed: u64, articles in 2usize..60, customers in 1usize..8, purchases in 1usize..120, from in 0usize..60,
        ) {
            let dataset = testing::shop(seed, articles, customers, purchases, TimeUnit::Day);
            let histories = Histories::of(&dataset);
            let rows: Vec<u32> = (from.min(purchases) as u32..purchases as u32 * 3 / 4).collect();
            // Not the whole catalogue.
            let pool: Vec<u32> = (0..articles as u32).filter(|article| article % 5 != 1).collect();
            let draw = NegativeDraw { dataset: &dataset, histories: &histories, rows: &rows, pool: &pool, seed };
            let negatives = draw.draw();
            prop_assert_eq!(&negatives, &draw.draw());
            let mut repeated = 0;
            for customer in 0..customers as u32 {
                let mine: Vec<usize> = (0..rows.len())
                    .filter(|&at| dataset.purchases.customer[rows[at] as usize] == customer).collect();
                let Some(&last) = mine.iter().max_by_key(|&&at| {
                    histories.of_customer(customer).iter().position(|&row| row == rows[at])
                }) else { continue };
                let past = histories.of_customer(customer).iter().position(|&row| row == rows[last]).unwrap();
                let bought: Vec<u32> = histories.of_customer(customer)[..=past]
                    .iter().map(|&row| dataset.purchases.article[row as usize]).collect();
                let left = pool.iter().filter(|article| !bought.contains(article)).count();
                let drawn: Vec<u32> = mine.iter().map(|&at| negatives.articles[at]).collect();
                let unique: HashSet<u32> = drawn.iter().copied().collect();
                if left == 0 {
                    prop_assert!(drawn.iter().all(|&article| article == NO_NEGATIVE));
                    continue;
                }
                prop_assert!(drawn.iter().all(|article| pool.contains(article) && !bought.contains(article)));
                prop_assert_eq!(unique.len(), left.min(mine.len()), "every article once before any comes again");
                repeated += if left < mine.len() { mine.len() } else { 0 };
            }
            prop_assert_eq!(negatives.repeated, repeated);
        }
    }

    #[test]
    fn the_seed_decides() {
        let dataset = testing::shop(1, 50, 5, 60, TimeUnit::Day);
        let histories = Histories::of(&dataset);
        let (rows, pool): (Vec<u32>, Vec<u32>) = ((0..60).collect(), (0..50).collect());
        let draw = |seed| {
            NegativeDraw {
                dataset: &dataset,
                histories: &histories,
                rows: &rows,
                pool: &pool,
                seed,
            }
            .draw()
        };
        assert_ne!(draw(1), draw(2));
        let on_one_thread =
            rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(|| draw(1));
        assert_eq!(on_one_thread, draw(1));
    }
}
