//! The family `elsa`: customers as rows of what they bought, and the learner over them.

mod config;

pub use config::ElsaConfig;
pub(super) use config::REGISTERED;

use super::{TrainedModel, history::HistoryMean};
use crate::{
    dataset::{Case, Dataset, Histories},
    evaluation::Measured,
    features::{EncodedCustomers, Encoder, Moment, source},
    model::{Elsa, ElsaBatch},
    training::{
        AgeWeights, Batches, Export, Learner, Shuffle, StepOptimizer, Trained, Trainer,
        TrainingConfig, TrainingError, WarmStart,
    },
};
use rand_chacha::ChaCha8Rng;
use std::path::PathBuf;

/// Fewest different items of a customer to learn from: one item reconstructs to nothing.
const FEWEST: usize = 2;

/// The training purchases of a run by customer.
pub struct Baskets<'a> {
    customers: EncodedCustomers<'a>,
    history: HistoryMean,
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
        let customers_a_step = rows.len().div_ceil(ElsaConfig::of(config).steps);
        Self {
            customers: EncodedCustomers::new(encoder, dataset, histories),
            history: ElsaConfig::of(config).history(config.model.dim),
            shuffle: Shuffle::new(rows.len(), customers_a_step, config.training.seed),
            rows,
        }
    }
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

    fn new(
        encoder: &Encoder,
        _dataset: &Dataset,
        config: &TrainingConfig,
    ) -> Result<Self, TrainingError> {
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
        let table = from
            .item
            .table(source::ARTICLE_ID)
            .filter(|table| table.dims.get(1) == Some(&self.dim()));
        let table = table.ok_or("has vectors of another length")?;
        let old = from.vocabularies.get(source::ARTICLE_ID).ok_or("has no articles")?;
        let articles = encoder.vocabularies().get(source::ARTICLE_ID);
        for (item, id) in (0..).zip(articles.into_iter().flat_map(|ids| ids.iter())) {
            if let Some(row) = old.find(id).and_then(|row| table.row(row as usize)) {
                self.set_row(item, row);
            }
        }
        Ok(())
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

    fn query_vectors(
        &self,
        samples: &Baskets<'_>,
        moments: impl ExactSizeIterator<Item = Moment>,
    ) -> Vec<f32> {
        let history = samples.history;
        history.query_vectors(&self.table(), &history.query_rows(&samples.customers, moments))
    }

    fn into_model(mut self) -> Box<dyn TrainedModel> {
        self.derive();
        Box::new(self)
    }
}

impl TrainedModel for Elsa {
    fn measure(
        &self,
        trainer: &Trainer<'_>,
        trained: &Trained,
        cases: &[Case],
    ) -> Result<Measured, TrainingError> {
        trainer.measure_learner(trained, self, cases)
    }

    fn export(&self, export: &Export<'_>) -> Result<PathBuf, TrainingError> {
        let config = export.trainer.config;
        ElsaConfig::of(config).history(self.dim()).export(export, &self.table())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dataset::TimeUnit, domain::Timestamp, features::testing};

    #[test]
    fn rows_hold_each_item_once_with_its_weight() {
        let mut dataset = testing::shop(0, 5, 3, 0, TimeUnit::Day);
        for (customer, article, day, weight) in [
            (0, 3, 0, 1.0),
            (0, 1, 10, 0.25),
            (0, 1, 10, 0.25),
            (1, 4, 10, 1.0),
            (1, 4, 10, 1.0),
            (0, 3, 10, 9.0),
        ] {
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
