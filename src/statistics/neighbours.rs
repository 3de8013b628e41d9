//! Which articles are bought with which.

use super::Purchase;
use std::cell::RefCell;

/// Of every article its nearest others: articles that the same groups (customers, or one customer's
/// days) hold, by `both / (√(a·b) + 10)`, where `a` and `b` count the groups of each (Sarwar et al.
/// 2001, with shrinkage for pairs that few groups have made).
#[derive(Debug, Clone, Default)]
pub struct Neighbours {
    /// Where each article's list begins; one more at the end.
    starts: Vec<u32>,
    near: Vec<NearestArticles>,
}

/// A neighbour and how near it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NearestArticles {
    pub article: u32,
    pub similarity: f32,
}

/// Neighbours of one article.
const KEPT: usize = 50;
/// Followers of one article.
const FOLLOWERS: usize = 100;
/// So many purchases later something still follows.
const REACH: usize = 10;
/// Added to the norm of a pair.
const SHRINKAGE: f32 = 10.0;
/// Groups that must hold a pair, and an article, for it to count. A shop whose pairs all come from
/// one group would have no neighbours at all: see [`Rules::of`].
const PAIR: f32 = 2.0;
const ARTICLE: usize = 5;
/// Articles of one customer that count: the most bought.
pub(super) const OF_CUSTOMER: usize = 150;
/// Articles of one day that count: a wholesaler's order says little about each pair in it.
const OF_DAY: usize = 100;

impl Neighbours {
    /// Of no article yet.
    pub(super) fn empty() -> Self {
        Self { starts: vec![0], near: Vec::new() }
    }

    /// The neighbours of the next article, the nearest first.
    pub(super) fn push(&mut self, near: &[(u32, f32)]) {
        let near =
            near.iter().map(|&(article, similarity)| NearestArticles { article, similarity });
        self.near.extend(near);
        self.starts.push(self.near.len() as u32);
    }

    /// The neighbours of an article, the nearest first; none for an article that is not counted.
    pub fn of(&self, article: u32) -> &[NearestArticles] {
        let at = article as usize;
        match self.starts.get(at + 1) {
            Some(&end) => &self.near[self.starts[at] as usize..end as usize],
            None => &[],
        }
    }

    /// The articles near to those of `seeds`, each with the sum of `weight · similarity` over the
    /// seeds: the best `want` that `allowed` lets through, best first, ties by article.
    pub fn near(
        &self,
        seeds: &[(u32, f32)],
        want: usize,
        allowed: impl Fn(u32) -> bool,
    ) -> Vec<(u32, f32)> {
        thread_local! {
            static SUMS: RefCell<(Vec<f32>, Vec<u32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
        }
        SUMS.with_borrow_mut(|(sums, touched)| {
            sums.resize(sums.len().max(self.starts.len()), 0.0);
            touched.clear();
            for &(seed, weight) in seeds {
                for near in self.of(seed) {
                    let sum = &mut sums[near.article as usize];
                    if *sum == 0.0 {
                        touched.push(near.article);
                    }
                    *sum += weight * near.similarity;
                }
            }
            let mut found: Vec<(u32, f32)> = Vec::with_capacity(touched.len());
            for &article in touched.iter() {
                let sum = std::mem::take(&mut sums[article as usize]);
                if sum > 0.0 && allowed(article) {
                    found.push((article, sum));
                }
            }
            best(&mut found, want);
            found
        })
    }

    /// How near `article` is to those of `seeds`, as [`Self::near`] counts it. `seeds` is sorted by
    /// article.
    pub fn affinity(&self, seeds: &[(u32, f32)], article: u32) -> f32 {
        let weight = |near: &NearestArticles| {
            seeds
                .binary_search_by_key(&near.article, |seed| seed.0)
                .map_or(0.0, |at| seeds[at].1 * near.similarity)
        };
        self.of(article).iter().map(weight).sum()
    }
}

/// Keeps the best `want`, best first.
pub(super) fn best(found: &mut Vec<(u32, f32)>, want: usize) {
    let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if want == 0 {
        found.clear();
    } else if found.len() > want {
        found.select_nth_unstable_by(want - 1, order);
        found.truncate(want);
    }
    found.sort_unstable_by(order);
}

/// Articles bought by the same customers. `purchases` are sorted by customer and article.
pub(super) fn by_customer(articles: usize, purchases: &[Purchase]) -> Neighbours {
    let groups = purchases.chunk_by(|a, b| a.customer == b.customer);
    neighbours(articles, &Groups::of(groups, OF_CUSTOMER))
}

/// Articles bought by one customer on one day. `purchases` are sorted by customer, day and article.
pub(super) fn by_day(articles: usize, purchases: &[Purchase]) -> Neighbours {
    let groups = purchases.chunk_by(|a, b| (a.customer, a.at.day()) == (b.customer, b.at.day()));
    neighbours(articles, &Groups::of(groups, OF_DAY))
}

/// Of each article those that customers buy next: the share that each makes up of all purchases
/// which follow the article within [`REACH`] purchases, the n-th counting `1/n` (a first-order
/// Markov chain). `purchases` are those of one customer after the other, each oldest first.
pub(super) fn following(articles: usize, purchases: &[Purchase]) -> Neighbours {
    let mut positions = vec![Vec::new(); articles];
    for (position, purchase) in purchases.iter().enumerate() {
        positions[purchase.article as usize].push(position as u32);
    }
    let mut all = Neighbours::empty();
    let mut counts = vec![0f32; articles];
    let (mut touched, mut near): (Vec<u32>, Vec<(u32, f32)>) = (Vec::new(), Vec::new());
    for positions in positions {
        touched.clear();
        near.clear();
        let mut total = 0.0;
        for position in positions.into_iter().map(|position| position as usize) {
            let customer = purchases[position].customer;
            let later = purchases[position + 1..].iter().take(REACH);
            for (steps, next) in later.take_while(|next| next.customer == customer).enumerate() {
                if counts[next.article as usize] == 0.0 {
                    touched.push(next.article);
                }
                let share = next.weight.min(1.0) / (steps + 1) as f32;
                counts[next.article as usize] += share;
                total += share;
            }
        }
        near.extend(
            touched.iter().map(|&next| (next, std::mem::take(&mut counts[next as usize]) / total)),
        );
        best(&mut near, FOLLOWERS);
        all.push(&near);
    }
    all.near.shrink_to_fit();
    all
}

/// Lists of numbers, one after the other.
#[derive(Default)]
pub(super) struct Groups {
    starts: Vec<u32>,
    members: Vec<u32>,
}

impl Groups {
    /// The distinct articles of each group of two or more; of large groups the most bought.
    pub(super) fn of<'a>(groups: impl Iterator<Item = &'a [Purchase]>, most: usize) -> Self {
        let mut all = Self { starts: vec![0], members: Vec::new() };
        let mut counted: Vec<(u32, f32)> = Vec::new();
        for group in groups {
            counted.clear();
            let same = group.chunk_by(|a, b| a.article == b.article);
            counted.extend(same.map(|of_article| (of_article[0].article, of_article.len() as f32)));
            if counted.len() < 2 {
                continue;
            }
            best(&mut counted, most);
            all.members.extend(counted.iter().map(|&(article, _)| article));
            all.starts.push(all.members.len() as u32);
        }
        all
    }

    fn len(&self) -> usize {
        self.starts.len() - 1
    }

    pub(super) fn get(&self, group: usize) -> &[u32] {
        &self.members[self.starts[group] as usize..self.starts[group + 1] as usize]
    }

    /// By member the groups that hold it.
    pub(super) fn transposed(&self, members: usize) -> Self {
        let mut starts = vec![0u32; members + 1];
        self.members.iter().for_each(|&member| starts[member as usize + 1] += 1);
        for at in 0..members {
            starts[at + 1] += starts[at];
        }
        let mut next = starts.clone();
        let mut groups = vec![0u32; self.members.len()];
        for group in 0..self.len() {
            for &member in self.get(group) {
                let slot = &mut next[member as usize];
                groups[*slot as usize] = group as u32;
                *slot += 1;
            }
        }
        Self { starts, members: groups }
    }
}

/// How often a pair and an article must occur.
struct Rules {
    pair: f32,
    article: usize,
}

impl Rules {
    /// In a shop of few purchases pairs of one group are all there is.
    fn of(groups: &Groups, articles: usize) -> Self {
        match groups.members.len() >= ARTICLE * articles {
            true => Self { pair: PAIR, article: ARTICLE },
            false => Self { pair: 1.0, article: 1 },
        }
    }
}

fn neighbours(articles: usize, groups: &Groups) -> Neighbours {
    let holders = groups.transposed(articles);
    let sold = (0..articles).filter(|&article| !holders.get(article).is_empty()).count();
    let rules = Rules::of(groups, sold);
    let norms: Vec<f32> =
        (0..articles).map(|article| (holders.get(article).len() as f32).sqrt()).collect();
    let counts = |article: u32| holders.get(article as usize).len() >= rules.article;
    let mut all = Neighbours::empty();
    let mut both = vec![0f32; articles];
    let (mut touched, mut near): (Vec<u32>, Vec<(u32, f32)>) = (Vec::new(), Vec::new());
    for article in 0..articles as u32 {
        touched.clear();
        near.clear();
        if counts(article) {
            for &group in holders.get(article as usize) {
                for &other in groups.get(group as usize) {
                    if both[other as usize] == 0.0 {
                        touched.push(other);
                    }
                    both[other as usize] += 1.0;
                }
            }
        }
        for &other in &touched {
            let count = std::mem::take(&mut both[other as usize]);
            if other != article && count >= rules.pair && counts(other) {
                let norm = norms[article as usize] * norms[other as usize];
                near.push((other, count / (norm + SHRINKAGE)));
            }
        }
        best(&mut near, KEPT);
        all.push(&near);
    }
    all.near.shrink_to_fit();
    all
}
