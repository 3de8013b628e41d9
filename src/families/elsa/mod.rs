//! The family `elsa`: customers as rows of what they bought, and the learner over them.

mod config;

pub use config::ElsaConfig;

use crate::{
    dataset::{Dataset, Histories},
    features::{EncodedCustomers, Encoder, Moment, source},
    model::{Elsa, ElsaBatch, Inputs},
    onnx,
    training::{AgeWeights, Batches, Learner, Model, Shuffle, StepOptimizer, TrainingConfig, TrainingError, WarmStart},
};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Fewest different items of a customer to learn from: one item reconstructs to nothing.
const FEWEST: usize = 2;

/// The training purchases of a run by customer.
pub struct Baskets<'a> {
    customers: EncodedCustomers<'a>,
    query: ElsaConfig,
    items: usize,
    rows: Rows,
    shuffle: Shuffle,
}

/// Sparse rows: row `r` holds `items[offsets[r]..offsets[r + 1]]` with the values at the same
/// places.
#[derive(Debug, Default)]
struct Rows {
    offsets: Vec<usize>,
    items: Vec<u32>,
    values: Vec<f32>,
}

impl<'a> Baskets<'a> {
    fn new(
        encoder: &'a Encoder,
        dataset: &'a Dataset,
        histories: &'a Histories,
        rows: &[u32],
        config: &TrainingConfig,
    ) -> Self {
        let rows = Rows::of(dataset, histories, rows, config.training.half_life_days);
        let query = config.elsa.unwrap_or_default();
        let customers_a_step = rows.len().div_ceil(query.steps);
        Self {
            customers: EncodedCustomers::new(encoder, dataset, histories),
            query,
            items: encoder.items(),
            shuffle: Shuffle::new(rows.len(), customers_a_step, config.training.seed),
            rows,
        }
    }

    /// Query rows of any moments.
    pub(crate) fn query_rows(&self, moments: impl ExactSizeIterator<Item = Moment>) -> Inputs {
        let (rows, length) = (moments.len(), self.query.length);
        let mut indices = vec![0; rows * length];
        for (moment, row) in moments.zip(indices.chunks_exact_mut(length)) {
            self.customers.fill(&moment, row, &mut []);
        }
        Inputs { rows, indices, numbers: Vec::new() }
    }

    /// The vectors of query rows over an item table: the weighted mean of the rows of the history,
    /// zeros without one.
    pub(crate) fn query_vectors(&self, table: &[f32], inputs: &Inputs) -> Vec<f32> {
        let (dim, length) = (table.len() / self.items.max(1), self.query.length);
        let mut vectors = vec![0.0; inputs.rows * dim];
        let rows = vectors.par_chunks_exact_mut(dim).zip(inputs.indices.par_chunks_exact(length));
        rows.for_each(|(vector, history)| {
            let (mut weight, mut total) = (1.0, 0.0);
            for &item in history.iter().take_while(|&&item| (item as usize) < self.items) {
                let row = &table[item as usize * dim..(item as usize + 1) * dim];
                vector.iter_mut().zip(row).for_each(|(sum, x)| *sum += weight * x);
                total += weight;
                weight *= self.query.decay;
            }
            if total > 0.0 {
                vector.iter_mut().for_each(|x| *x /= total);
            }
        });
        vectors
    }
}

/// The table with one more row of zeros, which empty positions of a history read.
pub(crate) fn with_padding(table: &[f32], dim: usize) -> Vec<f32> {
    let mut padded = Vec::with_capacity(table.len() + dim);
    padded.extend_from_slice(table);
    padded.resize(table.len() + dim, 0.0);
    padded
}

/// The query side over a padded table.
pub(crate) fn query_graph<'a>(name: &'a str, table: &'a [f32], dim: usize, elsa: ElsaConfig) -> onnx::TowerGraph<'a> {
    let ElsaConfig { length, decay, .. } = elsa;
    let rows = table.len() / dim;
    let history = onnx::Input::History { name: source::HISTORY, table, rows, dim, at: 0, length, decay };
    onnx::TowerGraph { name, widths: (length, 0), inputs: vec![history], layers: Vec::new(), normalize: false }
}

/// The item side over a padded table: an item's row.
pub(crate) fn item_graph<'a>(name: &'a str, table: &'a [f32], dim: usize) -> onnx::TowerGraph<'a> {
    let row = onnx::Input::Embedding { name: source::ARTICLE_ID, table, rows: table.len() / dim, dim, at: 0 };
    onnx::TowerGraph { name, widths: (1, 0), inputs: vec![row], layers: Vec::new(), normalize: false }
}

/// The vectors of query rows worked out in f64 from the definition: what a bundle's golden requests
/// expect.
pub(crate) fn reference_vectors(table: &[f32], dim: usize, elsa: ElsaConfig, inputs: &Inputs) -> Vec<f32> {
    let padding = (table.len() / dim - 1) as i64;
    let vector = |history: &[i64]| {
        let weights = (0..).map(|position| f64::from(elsa.decay).powi(position));
        let known: Vec<_> = history.iter().zip(weights).filter(|&(&item, _)| item != padding).collect();
        let total: f64 = known.iter().map(|&(_, weight)| weight).sum();
        let number = move |d: usize| {
            let sum: f64 = known.iter().map(|&(&item, w)| w * f64::from(table[item as usize * dim + d])).sum();
            if total > 0.0 { (sum / total) as f32 } else { 0.0 }
        };
        (0..dim).map(number).collect::<Vec<f32>>()
    };
    inputs.indices.chunks_exact(elsa.length).flat_map(vector).collect()
}

impl Batches<ElsaBatch> for Baskets<'_> {
    fn shuffle(&self) -> &Shuffle {
        &self.shuffle
    }

    fn batch_of(&self, picked: &[u32], _rng: &mut ChaCha8Rng) -> ElsaBatch {
        ElsaBatch::new(picked.iter().map(|&row| self.rows.row(row as usize)))
    }
}

impl Rows {
    /// One row for each customer with at least [`FEWEST`] different items among the purchases
    /// `rows`. The value of an item is the sum of its purchases' weights
    /// ([`crate::dataset::Purchases::weight_of`], halved every `half_life` days), but at most 1:
    /// the model asks whether something is bought, not how often.
    fn of(dataset: &Dataset, histories: &Histories, rows: &[u32], half_life: Option<f32>) -> Self {
        let purchases = &dataset.purchases;
        let mut wanted = vec![false; purchases.len()];
        rows.iter().for_each(|&row| wanted[row as usize] = true);
        let ages = AgeWeights::new(half_life, rows.iter().map(|&row| purchases.time[row as usize]));
        let weight = |row: u32| {
            let age = ages.map_or(1.0, |ages| ages.at(purchases.time[row as usize]));
            age * purchases.weight_of(row)
        };
        let mut found = Self { offsets: vec![0], ..Self::default() };
        let mut bought: Vec<(u32, f32)> = Vec::new();
        for customer in 0..histories.customers() as u32 {
            let known = histories.of_customer(customer).iter().filter(|&&row| wanted[row as usize]);
            bought.clear();
            bought.extend(known.map(|&row| (purchases.article[row as usize], weight(row))));
            bought.sort_unstable_by_key(|&(item, _)| item);
            let first = found.items.len();
            for same in bought.chunk_by(|a, b| a.0 == b.0) {
                found.items.push(same[0].0);
                found.values.push(same.iter().map(|&(_, weight)| weight).sum::<f32>().min(1.0));
            }
            if found.items.len() - first < FEWEST {
                found.items.truncate(first);
                found.values.truncate(first);
            } else {
                found.offsets.push(found.items.len());
            }
        }
        found
    }

    fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    fn row(&self, row: usize) -> (&[u32], &[f32]) {
        let range = self.offsets[row]..self.offsets[row + 1];
        (&self.items[range.clone()], &self.values[range])
    }
}

impl Learner for Elsa {
    type Batch = ElsaBatch;
    type Samples<'a> = Baskets<'a>;

    fn new(encoder: &Encoder, _dataset: &Dataset, config: &TrainingConfig) -> Result<Self, TrainingError> {
        Ok(Self::new(encoder.items(), config.model.dim, config.training.seed))
    }

    fn samples<'a>(
        encoder: &'a Encoder,
        dataset: &'a Dataset,
        histories: &'a Histories,
        rows: &[u32],
        config: &TrainingConfig,
    ) -> Baskets<'a> {
        Baskets::new(encoder, dataset, histories, rows, config)
    }

    fn warm(&mut self, from: &WarmStart, encoder: &Encoder) -> Result<(), String> {
        from.elsa(self, encoder)
    }

    fn step(&mut self, batch: &ElsaBatch, optimizer: &StepOptimizer) -> Result<f64, TrainingError> {
        Ok(self.step(batch, &optimizer.adamw))
    }

    fn steps(&mut self) -> &mut u32 {
        &mut self.steps
    }

    fn arrays(&mut self) -> Vec<&mut [u8]> {
        self.arrays().into()
    }

    fn dim(&self) -> usize {
        self.dim()
    }

    fn item_vectors(&self, _samples: &Baskets<'_>) -> Vec<f32> {
        self.table().into_owned()
    }

    fn query_vectors(&self, samples: &Baskets<'_>, moments: impl ExactSizeIterator<Item = Moment>) -> Vec<f32> {
        samples.query_vectors(&self.table(), &samples.query_rows(moments))
    }

    fn into_model(mut self) -> Model {
        self.derive();
        Model::Elsa(Box::new(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dataset::TimeUnit, domain::Timestamp, features::testing};

    #[test]
    fn rows_hold_each_item_once_with_its_weight() {
        let mut dataset = testing::shop(0, 5, 3, 0, TimeUnit::Day);
        for (customer, article, day, weight) in
            [(0, 3, 0, 1.0), (0, 1, 10, 0.25), (0, 1, 10, 0.25), (1, 4, 10, 1.0), (1, 4, 10, 1.0), (0, 3, 10, 9.0)]
        {
            dataset.purchases.customer.push(customer);
            dataset.purchases.article.push(article);
            dataset.purchases.time.push(Timestamp(day * Timestamp::DAY));
            dataset.purchases.weight.push(weight);
        }
        let histories = Histories::of(&dataset);
        let rows = Rows::of(&dataset, &histories, &[0, 1, 2, 3, 4], None);
        assert_eq!(rows.len(), 1, "customer 1 has one item only, customer 2 none");
        assert_eq!(rows.row(0), (&[1, 3][..], &[0.5, 1.0][..]));
        let rows = Rows::of(&dataset, &histories, &[0, 1, 2, 3, 4], Some(5.0));
        assert_eq!(rows.row(0), (&[1, 3][..], &[0.5, 0.25][..]), "two half-lives");
        let rows = Rows::of(&dataset, &histories, &[1, 2, 3, 4, 5], None);
        assert_eq!(rows.row(0), (&[1, 3][..], &[0.5, 1.0][..]), "at most 1");
    }
}
