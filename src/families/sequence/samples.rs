//! Training purchases as packed sequences, each position asking for the next item.

use super::{
    config::{ItemInit, SequenceConfig, TokenSource, Windows, shape},
    neighbours,
};
use crate::{
    dataset::{Dataset, Histories, TimeUnit},
    families::TrainedModel,
    features::{AgeClasses, EncodedCustomers, Encoder, Encoding, GapClasses, Moment},
    model::{
        Candidates, DrawnNegatives, Inputs, SequenceBatch, SequenceModel, SharedColumns, Tokens,
    },
    text,
    training::{
        AgeWeights, Batches, Learner, Shuffle, StepOptimizer, TrainingConfig, TrainingError,
        column_bias, columns, spaced,
    },
};
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

/// Sparse categorical accuracy: the share of the items asked for by windows held out at random
/// ([`SequenceConfig::held_out_windows`]) that score higher than every other item of the catalogue.
pub const WINDOW_ACCURACY: &str = "window-accuracy";

/// Held-out windows answered together.
const WINDOWS_AT_A_TIME: usize = 1_024;

/// The training purchases of a run as windows of customers' histories.
pub struct Sequences<'a> {
    customers: EncodedCustomers<'a>,
    dataset: &'a Dataset,
    /// Training purchases grouped by customer, oldest first.
    rows: Vec<u32>,
    windows: Vec<Window>,
    /// Windows that are not trained on.
    held_out: Vec<Window>,
    sequence: SequenceConfig,
    ages: Option<Ages>,
    query_width: usize,
    /// What all windows ask for.
    targets: usize,
    /// Added to the logits of an item's column; the last is the boundary's.
    bias: Vec<f32>,
    weights: Option<AgeWeights>,
    negatives: usize,
    shuffle: Shuffle,
    seed: u64,
}

/// What a token says of time.
#[derive(Debug, Clone, Copy)]
enum Ages {
    /// How long before the end of the training data it was bought.
    Days(AgeClasses),
    /// How long it was to the next purchase.
    Gaps(GapClasses),
}

impl Ages {
    fn of(encoding: &Encoding) -> Option<Self> {
        match *encoding {
            Encoding::SequenceDays { ages, .. } => Some(Self::Days(ages)),
            Encoding::SequenceGaps { gaps, .. } => Some(Self::Gaps(gaps)),
            _ => None,
        }
    }

    /// The row of an empty position.
    fn empty(self) -> u32 {
        match self {
            Self::Days(ages) => ages.classes,
            Self::Gaps(gaps) => gaps.classes,
        }
    }
}

/// Purchases `first..end` of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    first: u32,
    end: u32,
    /// Whether the customer's purchases end with it.
    last: bool,
}

impl Window {
    /// How many items and ends the window asks for.
    fn asks(&self, sequence: &SequenceConfig) -> usize {
        let items = (self.end - self.first) as usize;
        items + usize::from(sequence.sos) + usize::from(sequence.eos && self.last) - 1
    }
}

impl<'a> Sequences<'a> {
    /// `rows`: the purchases to train on. An item's number is its row in `dataset.articles`.
    pub fn new(
        encoder: &'a Encoder,
        dataset: &'a Dataset,
        histories: &'a Histories,
        rows: &[u32],
        config: &TrainingConfig,
    ) -> Self {
        let sequence = SequenceConfig::of(config);
        let (grouped, mut windows) = windows(dataset, histories, rows, &sequence);
        let held_out = hold_out(&mut windows, sequence.held_out_windows, config.training.seed);
        let targets = windows.iter().map(|window| window.asks(&sequence)).sum();
        let batch_size = match sequence.batch_purchases {
            Some(purchases) => (purchases * windows.len()).checked_div(targets).unwrap_or(0).max(1),
            None => config.training.batch_size,
        };
        let shuffle = Shuffle::new(windows.len(), batch_size, config.training.seed);
        let times = rows.iter().map(|&row| dataset.purchases.time[row as usize]);
        let features = &encoder.schema().query.features;
        let ages = features.iter().find_map(|feature| Ages::of(&feature.encoding));
        let mut sequences = Self {
            customers: EncodedCustomers::new(encoder, dataset, histories),
            dataset,
            rows: grouped,
            windows,
            held_out,
            sequence,
            ages,
            query_width: encoder.query_widths().0,
            bias: Vec::new(),
            weights: AgeWeights::new(config.training.half_life_days, times),
            targets,
            negatives: config.loss.uniform_negatives,
            shuffle,
            seed: config.training.seed,
        };
        sequences.bias = sequences.logq(config.loss.logq);
        sequences
    }

    /// Classes: the items and, where it is predicted, the boundary.
    fn classes(&self) -> usize {
        self.dataset.articles.len() + usize::from(self.sequence.eos)
    }

    /// −log of each class's chance to be a column, if wanted.
    fn logq(&self, wanted: bool) -> Vec<f32> {
        let classes = self.classes();
        let mut counts = vec![0u64; self.dataset.articles.len() + 1];
        for &window in &self.windows {
            let skipped = usize::from(!self.sequence.sos);
            for &row in &self.rows[window.first as usize..window.end as usize][skipped..] {
                counts[self.dataset.purchases.article[row as usize] as usize] += 1;
            }
            counts[self.dataset.articles.len()] += u64::from(self.ends(window));
        }
        if !wanted || self.negatives >= classes {
            return vec![0.0; counts.len()];
        }
        let batch = self.targets * self.shuffle.batch_size / self.windows.len().max(1);
        let share = |&count: &u64| count as f64 / self.targets.max(1) as f64;
        counts
            .iter()
            .map(|count| column_bias(share(count), batch, self.negatives, classes))
            .collect()
    }

    fn ends(&self, window: Window) -> bool {
        self.sequence.eos && window.last
    }

    /// The purchases of a window in the order they are read: purchases of one moment have none, and
    /// the one in the data must not be learnt.
    fn ordered(&self, window: Window, rng: &mut ChaCha8Rng) -> Vec<u32> {
        let mut rows = self.rows[window.first as usize..window.end as usize].to_vec();
        if self.dataset.time_unit != TimeUnit::Position {
            let time = &self.dataset.purchases.time;
            rows.chunk_by_mut(|&a, &b| time[a as usize] == time[b as usize])
                .for_each(|basket| basket.shuffle(rng));
        }
        rows
    }

    /// Appends one sequence of the first `read` of these purchases to what is read.
    fn read(&self, rows: &[u32], read: usize, tokens: &mut Tokens) {
        let (begin, purchases) = (self.sequence.sos, &self.dataset.purchases);
        let before = tokens.items.len();
        tokens.items.extend(begin.then_some(self.boundary()));
        tokens.items.extend(rows[..read].iter().map(|&row| purchases.article[row as usize]));
        if let Some(ages) = self.ages {
            let time = |at: usize| purchases.time[rows[at] as usize];
            tokens.ages.extend(begin.then_some(ages.empty()));
            tokens.ages.extend((0..read).map(|at| match ages {
                Ages::Days(ages) => ages.class(time(at)),
                // The purchase after the last one read is the one asked for.
                Ages::Gaps(gaps) => gaps.class(time(at), time(at + 1)),
            }));
        }
        tokens.packed.push(tokens.items.len() - before);
    }

    /// For every purchase that these windows ask for, what is read before it, as a sequence of its
    /// own, and its article.
    fn questions(&self, windows: &[Window]) -> (Tokens, Vec<u32>) {
        let (mut tokens, mut wanted) = (Tokens::default(), Vec::new());
        for window in windows {
            let rows = &self.rows[window.first as usize..window.end as usize];
            for asked in usize::from(!self.sequence.sos)..rows.len() {
                self.read(rows, asked, &mut tokens);
                wanted.push(self.dataset.purchases.article[rows[asked] as usize]);
            }
        }
        (tokens, wanted)
    }

    /// The items of each window, oldest first.
    fn bought_in_order(&self) -> Vec<Vec<u32>> {
        let article = |&row: &u32| self.dataset.purchases.article[row as usize];
        let items = |window: &Window| {
            self.rows[window.first as usize..window.end as usize].iter().map(article).collect()
        };
        self.windows.iter().map(items).collect()
    }

    /// The class that begins and ends sequences.
    fn boundary(&self) -> u32 {
        self.dataset.articles.len() as u32
    }

    /// By age of the purchase that is asked for; the end of a sequence weighs like its last
    /// purchase.
    fn weight(&self, row: u32) -> f32 {
        self.weights.map_or(1.0, |weights| weights.at(self.dataset.purchases.time[row as usize]))
    }

    /// What the wanted items of so many sequences compete with.
    fn candidates(&self, wanted: Vec<u32>, sequences: usize, rng: &mut ChaCha8Rng) -> Candidates {
        if let Some(count) = self.sequence.negatives {
            let classes = self.classes() as u32;
            let negatives = (0..sequences * count).map(|_| rng.random_range(0..classes)).collect();
            return Candidates::Drawn(DrawnNegatives { targets: wanted, negatives });
        }
        let (rows, targets) = columns(wanted.into_iter(), self.classes(), self.negatives, rng);
        let bias = rows.iter().map(|&item| self.bias[item as usize]).collect();
        Candidates::Shared(SharedColumns { targets, rows, bias })
    }

    /// Query rows of any moments.
    pub fn query_rows(&self, moments: impl ExactSizeIterator<Item = Moment>) -> Inputs {
        let rows = moments.len();
        let mut indices = vec![0; rows * self.query_width];
        for (moment, row) in moments.zip(indices.chunks_exact_mut(self.query_width)) {
            self.customers.fill(&moment, row, &mut []);
        }
        Inputs { rows, indices, numbers: Vec::new() }
    }
}

impl Batches<SequenceBatch> for Sequences<'_> {
    fn shuffle(&self) -> &Shuffle {
        &self.shuffle
    }

    fn batch_of(&self, picked: &[u32], rng: &mut ChaCha8Rng) -> SequenceBatch {
        let article = |row: u32| self.dataset.purchases.article[row as usize];
        let mut tokens = Tokens::default();
        let (mut wanted, mut weights) = (Vec::new(), Vec::new());
        for &window in picked {
            let window = self.windows[window as usize];
            let rows = self.ordered(window, rng);
            let read = if self.ends(window) { rows.len() } else { rows.len() - 1 };
            let asked = if self.sequence.sos { &rows[..] } else { &rows[1..] };
            self.read(&rows, read, &mut tokens);
            wanted.extend(asked.iter().map(|&row| article(row)));
            weights.extend(asked.iter().map(|&row| self.weight(row)));
            if self.ends(window) {
                wanted.push(self.boundary());
                weights.push(rows.last().map_or(1.0, |&row| self.weight(row)));
            }
        }
        let candidates = self.candidates(wanted, picked.len(), rng);
        let weights = self.weights.map(|_| weights);
        SequenceBatch { tokens, candidates, weights, seed: rng.random() }
    }
}

/// The training purchases grouped by customer, and windows over them.
fn windows(
    dataset: &Dataset,
    histories: &Histories,
    rows: &[u32],
    sequence: &SequenceConfig,
) -> (Vec<u32>, Vec<Window>) {
    let mut wanted = vec![false; dataset.purchases.len()];
    rows.iter().for_each(|&row| wanted[row as usize] = true);
    let (mut grouped, mut windows) = (Vec::with_capacity(rows.len()), Vec::new());
    for customer in 0..histories.customers() as u32 {
        let first = grouped.len();
        grouped.extend(histories.of_customer(customer).iter().filter(|&&row| wanted[row as usize]));
        if grouped.len() - first >= sequence.min_items {
            cut(first as u32, grouped.len() as u32, sequence, &mut windows);
        }
    }
    (grouped, windows)
}

/// Takes a share of the windows out, drawn by the seed.
fn hold_out(windows: &mut Vec<Window>, share: f32, seed: u64) -> Vec<Window> {
    let count = (windows.len() as f64 * f64::from(share)).round() as usize;
    let mut drawn = vec![false; windows.len()];
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rand::seq::index::sample(&mut rng, windows.len(), count)
        .into_iter()
        .for_each(|window| drawn[window] = true);
    let mut at = drawn.into_iter();
    windows.extract_if(.., |_| at.next() == Some(true)).collect()
}

/// Cuts the purchases `first..end` of a customer into windows that ask for something. With a
/// window's last item asked for only, not read, it holds one more than `length`.
fn cut(first: u32, end: u32, sequence: &SequenceConfig, windows: &mut Vec<Window>) {
    let length = sequence.length as u32;
    let most = |last: bool| if last && sequence.eos { length } else { length + 1 };
    let before = windows.len();
    let (mut end, mut last) = (end, true);
    while end > first {
        let start = end.saturating_sub(most(last)).max(first);
        let window = Window { first: start, end, last };
        if window.asks(sequence) > 0 {
            windows.push(window);
        }
        if start == first {
            break;
        }
        end = match sequence.windows {
            Windows::Sliding => end - 1,
            // Its first item is asked for by nothing but the window before, unless a start token
            // does.
            Windows::Consecutive if sequence.sos => start,
            Windows::Consecutive => start + 1,
        };
        last = false;
    }
    windows[before..].reverse();
}

impl Learner for SequenceModel {
    type Batch = SequenceBatch;
    type Samples<'a> = Sequences<'a>;

    fn new(
        encoder: &Encoder,
        dataset: &Dataset,
        config: &TrainingConfig,
    ) -> Result<Self, TrainingError> {
        let shape = shape(config, encoder).ok_or(TrainingError::Family)?;
        let mut model = Self::new(&shape, config.training.seed)?;
        if SequenceConfig::of(config).tokens == TokenSource::Text {
            let texts = dataset.articles.vectors(text::NAME).ok_or(TrainingError::NoTexts)?;
            if texts.dim != shape.item_dim {
                return Err(TrainingError::TextWidth {
                    found: texts.dim,
                    expected: shape.item_dim,
                });
            }
            model.freeze_tokens(&texts.numbers);
        }
        Ok(model)
    }

    fn samples<'a>(
        encoder: &'a Encoder,
        dataset: &'a Dataset,
        histories: &'a Histories,
        rows: &[u32],
        config: &TrainingConfig,
    ) -> Sequences<'a> {
        Sequences::new(encoder, dataset, histories, rows, config)
    }

    fn start(&mut self, samples: &Sequences<'_>) {
        if samples.sequence.init == ItemInit::Neighbours {
            let (sequences, items) = (samples.bought_in_order(), self.config().items);
            self.start_items(|dim| neighbours::vectors(&sequences, items, dim, samples.seed));
        }
    }

    fn step(
        &mut self,
        batch: &SequenceBatch,
        optimizer: &StepOptimizer,
    ) -> Result<f64, TrainingError> {
        Ok(self.step(batch, &optimizer.adamw, optimizer.clip))
    }

    fn steps(&mut self) -> &mut u32 {
        &mut self.steps
    }

    fn arrays(&mut self) -> Vec<&mut [u8]> {
        let Self { items, tokens, ages, encoder, .. } = self;
        let tables = [Some(items), tokens.as_mut(), ages.as_mut()];
        let mut arrays: Vec<&mut [u8]> =
            tables.into_iter().flatten().flat_map(|table| table.arrays()).collect();
        for parameter in encoder.parameters_mut() {
            arrays.push(bytemuck::cast_slice_mut(parameter.values));
            if let Some((first, second)) = parameter.moments {
                arrays.extend([first, second].map(bytemuck::cast_slice_mut));
            }
        }
        arrays
    }

    fn weights(&mut self) -> Vec<&mut [f32]> {
        let Self { items, tokens, ages, encoder, .. } = self;
        let tables = [Some(items), tokens.as_mut(), ages.as_mut()].into_iter().flatten();
        let mut weights: Vec<&mut [f32]> = tables.map(|table| &mut table.weights[..]).collect();
        weights.extend(encoder.parameters_mut().into_iter().map(|parameter| parameter.values));
        weights
    }

    fn dim(&self) -> usize {
        self.dim()
    }

    fn item_vectors(&self, _samples: &Sequences<'_>) -> Vec<f32> {
        let mut vectors = self.predicted_rows();
        vectors.truncate((self.items.rows() - 1) * self.items.dim);
        vectors
    }

    fn query_vectors(
        &self,
        samples: &Sequences<'_>,
        moments: impl ExactSizeIterator<Item = Moment>,
    ) -> Vec<f32> {
        self.embed(&samples.query_rows(moments))
    }

    /// [`WINDOW_ACCURACY`], where windows are held out.
    fn own_metric(&self, samples: &Sequences<'_>, most: usize) -> Option<(String, f64)> {
        let windows = spaced(&samples.held_out, most);
        let (mut right, mut questions) = (0, 0);
        for windows in windows.chunks(WINDOWS_AT_A_TIME) {
            let (tokens, wanted) = samples.questions(windows);
            questions += wanted.len();
            right += self
                .best_items(&tokens)
                .into_iter()
                .zip(wanted)
                .filter(|(best, wanted)| best == wanted)
                .count();
        }
        (questions > 0).then(|| (WINDOW_ACCURACY.to_owned(), right as f64 / questions as f64))
    }

    fn into_model(self) -> Box<dyn TrainedModel> {
        Box::new(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        families::sequence::tests::{GAPS, config},
        features::{fit, testing},
    };

    fn cuts(items: u32, sequence: &SequenceConfig) -> Vec<(u32, u32, bool)> {
        let mut windows = Vec::new();
        cut(10, 10 + items, sequence, &mut windows);
        windows.iter().map(|w| (w.first - 10, w.end - 10, w.last)).collect()
    }

    #[test]
    fn every_purchase_but_the_first_is_asked_for_once() {
        let plain = SequenceConfig { length: 3, ..SequenceConfig::default() };
        assert_eq!(cuts(9, &plain), [(0, 3, false), (2, 6, false), (5, 9, true)]);
        assert_eq!(cuts(4, &plain), [(0, 4, true)]);
        assert_eq!((cuts(1, &plain), cuts(2, &plain)), (vec![], vec![(0, 2, true)]));
        for sos in [false, true] {
            for eos in [false, true] {
                for items in 1..20 {
                    let sequence = SequenceConfig { sos, eos, ..plain.clone() };
                    let mut asked = vec![0; items];
                    let mut ends = 0;
                    for (first, end, last) in cuts(items as u32, &sequence) {
                        let read = end - first - u32::from(!(last && eos));
                        assert!(read <= 3, "{first}..{end} reads {read}");
                        (first + u32::from(!sos)..end).for_each(|item| asked[item as usize] += 1);
                        ends += u32::from(last && eos);
                    }
                    let skipped = usize::from(!sos);
                    assert!(
                        asked[skipped..].iter().all(|&n| n == 1),
                        "{items} items, sos {sos}, eos {eos}: {asked:?}"
                    );
                    assert_eq!(ends, u32::from(eos));
                }
            }
        }
    }

    /// What a position reads in training is what the encoder reads when it is asked at the moment of
    /// the purchase that followed.
    #[test]
    fn training_and_serving_read_the_same() {
        for unit in [TimeUnit::Second, TimeUnit::Day] {
            let dataset = testing::shop(3, 9, 12, 300, unit);
            let histories = Histories::of(&dataset);
            let rows: Vec<u32> = (0..300).collect();
            let config = config(GAPS, &[]);
            let (schema, vocabularies) = fit(&dataset, &rows, &config.schema_features()).unwrap();
            let encoder = Encoder::new(schema, vocabularies).unwrap();
            let sequences = Sequences::new(&encoder, &dataset, &histories, &rows, &config);
            let model = SequenceModel::new(&shape(&config, &encoder).unwrap(), 1).unwrap();
            for window in &sequences.windows {
                let rows = &sequences.rows[window.first as usize..window.end as usize];
                let mut read = Tokens::default();
                sequences.read(rows, rows.len() - 1, &mut read);
                let asked = *rows.last().unwrap();
                let customer = dataset.purchases.customer[asked as usize];
                let at = dataset.purchases.time[asked as usize];
                let known = histories.of_customer(customer);
                let known = known.iter().position(|&row| row == asked).unwrap() as u32;
                let served = sequences.query_rows([Moment { customer, at, known }].into_iter());
                assert_eq!(model.tokens_of(served.indices.chunks_exact(12)), read);
            }
        }
    }

    #[test]
    fn windows_are_held_out_once_and_in_order() {
        let all: Vec<Window> =
            (0..50).map(|first| Window { first, end: first + 5, last: false }).collect();
        let draw = |share, seed| {
            let mut kept = all.clone();
            (hold_out(&mut kept, share, seed), kept)
        };
        let (out, kept) = draw(0.1, 1);
        assert_eq!((out.len(), kept.len()), (5, 45));
        let mut together = [&out[..], &kept].concat();
        together.sort_by_key(|window| window.first);
        assert_eq!(together, all);
        assert!(kept.is_sorted_by_key(|window| window.first));
        assert_eq!(draw(0.1, 1).0, out);
        assert_ne!(draw(0.1, 2).0, out);
        assert_eq!(draw(0.0, 1).1, all);
    }

    #[test]
    fn sliding_windows_begin_one_later_each() {
        let sliding =
            SequenceConfig { length: 3, windows: Windows::Sliding, ..SequenceConfig::default() };
        assert_eq!(cuts(6, &sliding), [(0, 4, false), (1, 5, false), (2, 6, true)]);
        assert_eq!(cuts(3, &sliding), [(0, 3, true)]);
    }
}
