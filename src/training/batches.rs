//! What all batches are made of: seeded orders, weights by age, the columns of a softmax.

use crate::domain::Timestamp;
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

/// Makes the batches of an epoch. Batch `b` of epoch `e` depends on the seed, `e` and `b` alone, so
/// that a resumed run sees the same batches.
pub trait Batches<B>: Sync {
    fn shuffle(&self) -> &Shuffle;

    /// The batch of these examples.
    fn batch_of(&self, picked: &[u32], rng: &mut ChaCha8Rng) -> B;

    /// Batch number `batch` of an epoch whose [`Shuffle::order`] is given.
    fn batch(&self, order: &[u32], epoch: u32, batch: usize) -> B {
        let Shuffle { batch_size, .. } = *self.shuffle();
        let first = batch * batch_size;
        let picked = &order[first..order.len().min(first + batch_size)];
        self.batch_of(picked, &mut self.shuffle().rng(epoch, batch as u64 + 1))
    }
}

/// Which examples come when.
#[derive(Debug, Clone, Copy)]
pub struct Shuffle {
    examples: usize,
    /// At most the number of examples.
    pub batch_size: usize,
    seed: u64,
}

impl Shuffle {
    pub fn new(examples: usize, batch_size: usize, seed: u64) -> Self {
        Self { examples, batch_size: batch_size.min(examples.max(1)), seed }
    }

    /// Batches an epoch.
    pub fn batches(&self) -> usize {
        self.examples.div_ceil(self.batch_size)
    }

    /// The shuffled order of an epoch.
    pub fn order(&self, epoch: u32) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.examples as u32).collect();
        order.shuffle(&mut self.rng(epoch, 0));
        order
    }

    fn rng(&self, epoch: u32, stream: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed.wrapping_add(u64::from(epoch) << 32));
        rng.set_stream(stream);
        rng
    }
}

/// How much less an old purchase counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AgeWeights {
    /// Days in which a weight halves.
    half_life: f32,
    /// The moment of the last purchase, which weighs 1.
    last: Timestamp,
}

impl AgeWeights {
    /// For purchases at these times; `None` without a half-life.
    pub(crate) fn new(
        half_life: Option<f32>,
        times: impl Iterator<Item = Timestamp>,
    ) -> Option<Self> {
        half_life.map(|half_life| Self { half_life, last: times.max().unwrap_or_default() })
    }

    pub(crate) fn at(&self, time: Timestamp) -> f32 {
        let days = f64::from(self.last.0.saturating_sub(time.0)) / f64::from(Timestamp::DAY);
        // A batch of nothing but ancient purchases must not weigh nothing.
        (-days / f64::from(self.half_life)).exp2().max(1e-6) as f32
    }
}

/// The columns of a softmax: items numbered in the order they first come, each once. An item bought
/// by several customers of the batch is one column, so it is never a negative of its own buyers
/// ("accidental hit").
#[derive(Default)]
pub(crate) struct ColumnSet {
    pub(crate) columns: Vec<u32>,
    column_of: hashbrown::HashMap<u32, u32>,
}

impl ColumnSet {
    pub(crate) fn column(&mut self, item: u32) -> u32 {
        let Self { columns, column_of } = self;
        *column_of.entry(item).or_insert_with(|| {
            columns.push(item);
            columns.len() as u32 - 1
        })
    }
}

/// The columns of what was bought and `negatives` uniform draws of all `items` (so many or more of
/// them make every item a column), and for each purchase the column of its item.
pub(crate) fn columns(
    bought: impl Iterator<Item = u32>,
    items: usize,
    negatives: usize,
    rng: &mut ChaCha8Rng,
) -> (Vec<u32>, Vec<u32>) {
    if negatives >= items {
        return ((0..items as u32).collect(), bought.collect());
    }
    let mut set = ColumnSet::default();
    let targets = bought.map(|item| set.column(item)).collect();
    for _ in 0..negatives {
        set.column(rng.random_range(0..items as u32));
    }
    (set.columns, targets)
}

/// −log of the chance that an item is among the columns of a batch of `batch` purchases and
/// `negatives` uniform draws, `share` being its part of the purchases. Each item is at most one
/// column, so the chance of being there at all takes the place of the sampling probability of Yi et
/// al. 2019; for rare items both differ by the constant log of the batch size.
pub(crate) fn column_bias(share: f64, batch: usize, negatives: usize, items: usize) -> f32 {
    let absent = batch as f64 * (-share).ln_1p() + negatives as f64 * (-1.0 / items as f64).ln_1p();
    let present = -absent.exp_m1();
    // Nothing but a purchase or a draw makes an item a column, so what is never present never asks
    // for its bias.
    if present > 0.0 { (-present.ln()) as f32 } else { 0.0 }
}
