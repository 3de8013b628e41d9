//! Training purchases as batches: what the query tower sees, which item was bought, and the columns
//! of the softmax.

use crate::{
    dataset::{Dataset, Histories, NO_NEGATIVE, TimeUnit},
    features::{EncodedCustomers, EncodedItems, Encoder, Encoding, Moment, TowerSchema},
    model::{Inputs, StepBatch},
    training::{AgeWeights, Batches, ColumnSet, Shuffle, TrainingConfig, column_bias, columns},
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// The training purchases of a run and everything to make batches of them.
pub struct Samples<'a> {
    customers: EncodedCustomers<'a>,
    items: EncodedItems,
    dataset: &'a Dataset,
    /// Purchase row and how many of the customer's purchases were known before it.
    rows: Vec<(u32, u32)>,
    /// The article drawn for each row; of the pairwise losses only.
    negatives: Option<Vec<u32>>,
    query: Side,
    item: Side,
    /// Added to the logits of an item's column.
    bias: Vec<f32>,
    weights: Option<AgeWeights>,
    uniform_negatives: usize,
    shuffle: Shuffle,
}

/// The items of a batch, each once, and the columns of what was bought and drawn.
struct Columns {
    columns: Vec<u32>,
    targets: Vec<u32>,
    negatives: Vec<u32>,
}

/// Widths of a tower's raw rows and its id dropouts: `(position, unknown row, probability)`.
struct Side {
    widths: (usize, usize),
    dropouts: Vec<(usize, i64, f32)>,
}

impl<'a> Samples<'a> {
    /// `rows`: the purchases to train on. An item's number is its row in `dataset.articles`.
    pub fn new(
        encoder: &'a Encoder,
        dataset: &'a Dataset,
        histories: &'a Histories,
        rows: &[u32],
        config: &TrainingConfig,
    ) -> Self {
        let items = dataset.articles.len();
        let shuffle = Shuffle::new(rows.len(), config.purchases_a_step(), config.training.seed);
        let mut counts = vec![0u32; items];
        for &row in rows {
            counts[dataset.purchases.article[row as usize] as usize] += 1;
        }
        let times = rows.iter().map(|&row| dataset.purchases.time[row as usize]);
        let uniform_negatives = config.loss.uniform_negatives;
        let full = uniform_negatives >= items;
        let bias = |count: &u32| {
            if full || !config.loss.logq {
                return 0.0;
            }
            column_bias(
                f64::from(*count) / rows.len() as f64,
                shuffle.batch_size,
                uniform_negatives,
                items,
            )
        };
        Self {
            customers: EncodedCustomers::new(encoder, dataset, histories),
            items: EncodedItems::new(encoder, dataset),
            dataset,
            rows: known_before(dataset, histories, rows),
            negatives: None,
            query: Side::of(&encoder.schema().query),
            item: Side::of(&encoder.schema().item),
            bias: counts.iter().map(bias).collect(),
            weights: AgeWeights::new(config.training.half_life_days, times),
            uniform_negatives,
            shuffle,
        }
    }

    /// With an article drawn for each row, or [`NO_NEGATIVE`], as the pairwise losses need them.
    ///
    /// # Panics
    /// When they are not as many as the rows.
    pub fn with_negatives(self, negatives: Vec<u32>) -> Self {
        assert_eq!(negatives.len(), self.rows.len(), "one negative a purchase");
        Self { negatives: Some(negatives), ..self }
    }

    /// By age, oldest the lightest.
    fn weights(&self, picked: &[u32]) -> Option<Vec<f32>> {
        let weights = self.weights?;
        let time =
            |&sample: &u32| self.dataset.purchases.time[self.rows[sample as usize].0 as usize];
        Some(picked.iter().map(time).map(|time| weights.at(time)).collect())
    }

    /// Query rows of any moments.
    pub fn query_rows(&self, moments: impl ExactSizeIterator<Item = Moment>) -> Inputs {
        let mut queries = self.query.rows(moments.len());
        for (i, moment) in moments.enumerate() {
            let (indices, numbers) = self.query.row(&mut queries, i);
            self.customers.fill(&moment, indices, numbers);
        }
        queries
    }

    /// Item rows of the whole catalogue, in order.
    pub fn all_items(&self) -> Inputs {
        let count = self.bias.len();
        let mut items = self.item.rows(count);
        for item in 0..count {
            let (indices, numbers) = self.item.row(&mut items, item);
            self.items.fill(item as u32, indices, numbers);
        }
        items
    }

    /// The columns of a batch; where negatives are drawn ahead they take the place of uniform ones.
    fn columns(
        &self,
        picked: &[u32],
        bought: impl Fn(u32) -> u32,
        rng: &mut ChaCha8Rng,
    ) -> Columns {
        let bought = picked.iter().map(|&sample| bought(sample));
        let Some(drawn) = &self.negatives else {
            let (columns, targets) = columns(bought, self.bias.len(), self.uniform_negatives, rng);
            return Columns { columns, targets, negatives: Vec::new() };
        };
        let mut set = ColumnSet::default();
        let targets = bought.map(|item| set.column(item)).collect();
        let drawn = picked.iter().map(|&sample| drawn[sample as usize]);
        let negatives =
            drawn.map(|item| if item == NO_NEGATIVE { item } else { set.column(item) }).collect();
        Columns { columns: set.columns, targets, negatives }
    }
}

impl Batches<StepBatch> for Samples<'_> {
    fn shuffle(&self) -> &Shuffle {
        &self.shuffle
    }

    fn batch_of(&self, picked: &[u32], rng: &mut ChaCha8Rng) -> StepBatch {
        let mut queries = self.query.rows(picked.len());
        let bought =
            |sample: u32| self.dataset.purchases.article[self.rows[sample as usize].0 as usize];
        for (i, &sample) in picked.iter().enumerate() {
            let (row, known) = self.rows[sample as usize];
            let purchases = &self.dataset.purchases;
            let (customer, at) = (purchases.customer[row as usize], purchases.time[row as usize]);
            let (indices, numbers) = self.query.row(&mut queries, i);
            self.customers.fill(&Moment { customer, at, known }, indices, numbers);
            self.query.drop_ids(indices, rng);
        }
        let Columns { columns, targets, negatives } = self.columns(picked, bought, rng);
        let mut items = self.item.rows(columns.len());
        for (i, &item) in columns.iter().enumerate() {
            let (indices, numbers) = self.item.row(&mut items, i);
            self.items.fill(item, indices, numbers);
            self.item.drop_ids(indices, rng);
        }
        let bias = columns.iter().map(|&item| self.bias[item as usize]).collect();
        StepBatch { queries, items, targets, negatives, bias, weights: self.weights(picked) }
    }
}

impl Side {
    fn of(schema: &TowerSchema) -> Self {
        let mut at = 0;
        let mut dropouts = Vec::new();
        for feature in &schema.features {
            match feature.encoding {
                Encoding::Embedding { rows, dropout, .. }
                | Encoding::OneHot { rows, dropout, .. } => {
                    if dropout > 0.0 {
                        dropouts.push((at, rows as i64 - 1, dropout));
                    }
                    at += 1;
                }
                Encoding::Bucket { .. } => at += 1,
                Encoding::History { length, .. }
                | Encoding::Sequence { length, .. }
                | Encoding::SequenceDays { length, .. }
                | Encoding::SequenceGaps { length, .. } => at += length,
                Encoding::MultiHot { .. }
                | Encoding::Number { .. }
                | Encoding::Vector { .. }
                | Encoding::CyclicMonth => {}
            }
        }
        Self { widths: schema.row_widths(), dropouts }
    }

    fn rows(&self, rows: usize) -> Inputs {
        Inputs {
            rows,
            indices: vec![0; rows * self.widths.0],
            numbers: vec![0.0; rows * self.widths.1],
        }
    }

    fn row<'a>(&self, inputs: &'a mut Inputs, row: usize) -> (&'a mut [i64], &'a mut [f32]) {
        let (i, n) = self.widths;
        (&mut inputs.indices[row * i..(row + 1) * i], &mut inputs.numbers[row * n..(row + 1) * n])
    }

    /// Puts the unknown row in the place of some values, so that it learns to stand for any of
    /// them.
    fn drop_ids(&self, indices: &mut [i64], rng: &mut ChaCha8Rng) {
        for &(at, unknown, probability) in &self.dropouts {
            if rng.random::<f32>() < probability {
                indices[at] = unknown;
            }
        }
    }
}

/// Purchases with how many of their customers' earlier ones were known: purchases of one moment do
/// not know each other, because a customer who asks for recommendations has not bought the basket
/// yet.
fn known_before(dataset: &Dataset, histories: &Histories, rows: &[u32]) -> Vec<(u32, u32)> {
    let time = &dataset.purchases.time;
    let tied = |a: u32, b: u32| {
        dataset.time_unit != TimeUnit::Position && time[a as usize] == time[b as usize]
    };
    let mut known = vec![0u32; dataset.purchases.len()];
    for customer in 0..histories.customers() as u32 {
        let history = histories.of_customer(customer);
        let mut basket = 0;
        for (at, &row) in history.iter().enumerate() {
            if !tied(history[basket], row) {
                basket = at;
            }
            known[row as usize] = basket as u32;
        }
    }
    rows.iter().map(|&row| (row, known[row as usize])).collect()
}
