//! The two tests of models that learn from pairs: the loss on held-out purchases with drawn
//! negatives, and how many of them are similar enough.

use super::{Evaluation, EvaluationError, QueryVectors, VectorRanker};
use crate::{
    dataset::{Case, NO_NEGATIVE, NegativeDraw},
    model::{LossKind, PairBatch},
};

/// The loss of the average held-out purchase, in batches in order of time. Lower is better.
pub const PAIR_LOSS: &str = "pair-loss";

/// The share of a customer's held-out purchases whose similarity is 0.5 or more, among the 500 most
/// similar ones; averaged over customers.
pub const SIMILARITY_RECALL: &str = "similarity-recall@500";

const DEPTH: usize = 500;

/// The cosine from which on a pair counts as found.
const HIT: f32 = 0.5;

/// How to test pairs.
#[derive(Clone, Copy)]
pub struct PairTests<'a> {
    pub evaluation: Evaluation<'a>,
    /// A pairwise one.
    pub loss: LossKind,
    pub temperature: f32,
    /// Purchases a batch: the classes of the cosine cross-entropy are those of a batch.
    pub batch: usize,
    /// Of the drawn negatives.
    pub seed: u64,
}

impl PairTests<'_> {
    /// [`PAIR_LOSS`] and [`SIMILARITY_RECALL`] of a model over the purchases that the cases hold
    /// out. Each purchase is asked for at its own moment, knowing of the customer what the case
    /// knows. Its negative is an article of the same window that the customer never bought.
    /// Articles without a vector are no hits and left out of the loss.
    ///
    /// # Errors
    /// [`EvaluationError`] when there are no cases or the model can't be run.
    pub fn metrics<Q: QueryVectors>(
        &self,
        ranker: &VectorRanker<'_, Q>,
    ) -> Result<[(String, f64); 2], EvaluationError> {
        let Evaluation { dataset, histories, protocol, cases } = self.evaluation;
        let mut purchases: Vec<(u32, usize)> = Vec::new();
        for (at, case) in cases.iter().enumerate() {
            purchases
                .extend(protocol.held_out(dataset, histories, case).iter().map(|&row| (row, at)));
        }
        if purchases.is_empty() {
            return Err(EvaluationError::Nothing("no customer bought anything in the window"));
        }
        purchases.sort_unstable();
        let article = |row: u32| dataset.purchases.article[row as usize];
        let rows: Vec<u32> = purchases.iter().map(|&(row, _)| row).collect();
        let mut pool: Vec<u32> = rows.iter().map(|&row| article(row)).collect();
        pool.sort_unstable();
        pool.dedup();
        let drawn = NegativeDraw { dataset, histories, rows: &rows, pool: &pool, seed: self.seed }
            .draw()
            .articles;

        let (mut loss, mut counted) = (0.0, 0);
        let mut similarities = vec![Vec::new(); cases.len()];
        for (purchases, drawn) in
            purchases.chunks(self.batch.max(1)).zip(drawn.chunks(self.batch.max(1)))
        {
            let moments: Vec<Case> = purchases
                .iter()
                .map(|&(row, at)| Case {
                    at: dataset.purchases.time[row as usize],
                    relevant: Vec::new(),
                    ..cases[at].clone()
                })
                .collect();
            let queries = ranker.queries(&moments)?;
            let mut batch = Batch::default();
            for ((&(row, at), &drawn), query) in
                purchases.iter().zip(drawn).zip(queries.chunks_exact(ranker.dim()))
            {
                let bought = ranker.item(article(row));
                similarities[at].push(bought.map_or(f32::NEG_INFINITY, |item| cosine(query, item)));
                if let Some(bought) = bought {
                    let drawn = Some(drawn)
                        .filter(|&drawn| drawn != NO_NEGATIVE)
                        .and_then(|drawn| ranker.item(drawn));
                    batch.push(query, bought, drawn);
                }
            }
            loss += batch.loss(self, ranker.dim()) * batch.targets.len() as f64;
            counted += batch.targets.len();
        }
        let recalls =
            similarities.iter_mut().filter(|customer| !customer.is_empty()).map(|customer| {
                customer.sort_unstable_by(|a, b| b.total_cmp(a));
                customer.truncate(DEPTH);
                customer.iter().filter(|&&similarity| similarity >= HIT).count() as f64
                    / customer.len() as f64
            });
        let recalls: Vec<f64> = recalls.collect();
        let recall = recalls.iter().sum::<f64>() / recalls.len() as f64;
        Ok([
            (PAIR_LOSS.to_owned(), loss / f64::from(counted.max(1) as u32)),
            (SIMILARITY_RECALL.to_owned(), recall),
        ])
    }
}

/// The vectors of one batch, every item a column of its own.
#[derive(Default)]
struct Batch {
    queries: Vec<f32>,
    items: Vec<f32>,
    targets: Vec<u32>,
    negatives: Vec<u32>,
    columns: u32,
}

impl Batch {
    fn push(&mut self, query: &[f32], bought: &[f32], drawn: Option<&[f32]>) {
        self.queries.extend_from_slice(query);
        let target = self.column(bought);
        self.targets.push(target);
        let negative = drawn.map_or(NO_NEGATIVE, |item| self.column(item));
        self.negatives.push(negative);
    }

    fn column(&mut self, item: &[f32]) -> u32 {
        self.items.extend_from_slice(item);
        self.columns += 1;
        self.columns - 1
    }

    fn loss(&self, tests: &PairTests<'_>, dim: usize) -> f64 {
        let Self { queries, items, targets, negatives, .. } = self;
        let scale = 1.0 / tests.temperature;
        let batch = PairBatch { dim, queries, items, targets, negatives, weights: None, scale };
        // The gradients are a by-product; at this size they cost less than a second way to compute
        // the loss.
        batch.gradients(tests.loss, &mut vec![0.0; queries.len()], &mut vec![0.0; items.len()])
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(f32::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dataset::{Dataset, Histories, Protocol, TimeUnit},
        domain::Timestamp,
        features::testing,
    };

    /// Customers 0 and 1 of 4 articles; all purchases but the first are held out.
    fn dataset() -> Dataset {
        let mut dataset = testing::shop(0, 4, 2, 0, TimeUnit::Day);
        for (customer, article, day) in [(0, 3, 1), (0, 0, 8), (1, 1, 8), (0, 1, 9), (0, 2, 9)] {
            dataset.purchases.customer.push(customer);
            dataset.purchases.article.push(article);
            dataset.purchases.time.push(Timestamp(day * Timestamp::DAY));
        }
        dataset
    }

    #[test]
    fn both_tests_by_hand() {
        let dataset = dataset();
        let histories = Histories::of(&dataset);
        let case = |customer, known| Case {
            customer,
            at: Timestamp(8 * Timestamp::DAY),
            known,
            relevant: vec![1],
        };
        let cases = [case(0, 1), case(1, 0)];
        let protocol = Protocol::time(2, 0);
        let evaluation =
            Evaluation { dataset: &dataset, histories: &histories, protocol, cases: &cases };
        let embed = |cases: &[Case], vectors: &mut [f32]| {
            assert!(cases.iter().all(|case| case.known == u32::from(case.customer == 0)));
            vectors.chunks_exact_mut(2).for_each(|vector| vector.copy_from_slice(&[2.0, 0.0]));
            Ok::<(), String>(())
        };
        // Cosines with every query: 1, 0, 0.6; article 3 has no vector.
        let items = [[1.0f32, 0.0], [0.0, 3.0], [0.6, 0.8]];
        let vector = |id: &str| items.get(id[1..].parse::<usize>().unwrap()).map(|item| &item[..]);
        let ranker = VectorRanker::of_ids("model", embed, 2, &dataset, vector);
        let metrics = |loss, batch| {
            let tests = PairTests { evaluation, loss, temperature: 1.0, batch, seed: 1 };
            tests.metrics(&ranker).unwrap().map(|(_, value)| value)
        };
        // Customer 0 has bought the pool and has no negatives: 1, 0 and 0.6. Customer 1: 0, and
        // article 0 or 2 against it.
        let [loss, recall] = metrics(LossKind::BinaryCrossEntropy, 1);
        assert!((recall - (2.0 / 3.0 + 0.0) / 2.0).abs() < 1e-9, "{recall}");
        let softplus = |logit: f64| logit.exp().ln_1p();
        let want = |drawn: f64| {
            (softplus(-2.0)
                + softplus(0.0)
                + softplus(-1.2)
                + (softplus(0.0) + softplus(drawn)) / 2.0)
                / 4.0
        };
        assert!([2.0, 1.2].iter().any(|&drawn| (loss - want(drawn)).abs() < 1e-6), "{loss}");
        // In one batch every purchase is a class of every other.
        let [loss, _] = metrics(LossKind::CosineCrossEntropy, 8);
        let want = |drawn: f64| {
            let logits = [2.0f64, 0.0, 0.0, 1.2, drawn];
            logits.iter().map(|logit| logit.exp()).sum::<f64>().ln() - (2.0 + 0.0 + 0.0 + 1.2) / 4.0
        };
        assert!([2.0, 1.2].iter().any(|&drawn| (loss - want(drawn)).abs() < 1e-6), "{loss}");
    }
}
