//! A sequence model whose optimiser steps run in burn's tensors, on any device of burn's: on a GPU in a run, on the CPU in
//! the tests, which hold it to [`SequenceModel::step`].
//!
//! Same model, same batches, same loss, same optimiser, the rows of a table stepping only when touched. Weights and moments
//! stay on the device from step to step; [`DeviceSequenceModel::settle`] brings them back. What the device is asked for is
//! made for many threads that must not wait for each other: gradients of one table row are summed as a tree, not added to
//! one place, and one read a step (loss and gradient length) is all that the host waits for.

use super::{
    adamw::AdamW,
    burn_sequence::{BurnEncoder, Padded, Statistics, index, matrix, with_zero_row},
    sequence::SequenceEncoder,
    sequence_model::{SequenceBatch, SequenceModel},
    table::Table,
};
use burn::tensor::{Device, IndexingUpdateOp, Tensor, TensorData, Transaction, activation::log_softmax};
use hashbrown::HashMap;

/// Share of BatchNorm's running statistics that a batch leaves as it was.
const BATCH_NORM_MOMENTUM: f64 = 0.99;

/// Gradients summed at once.
const FAN: usize = 8;

/// The device did not do what it was asked for, such as when its memory is full.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DeviceError(String);

/// A training model, its weights on a device.
#[derive(Debug)]
pub struct DeviceSequenceModel {
    /// As of the last [`settle`](Self::settle), but for the counts of steps, which are always those taken.
    host: SequenceModel,
    device: Device,
    /// What the steps since then have made of it.
    resident: Option<Resident>,
}

#[derive(Debug)]
struct Resident {
    device: Device,
    /// In the order of [`SequenceModel::tables_mut`].
    tables: Vec<Adam<2>>,
    /// Name and shape of every weight of the encoder, in their order in `encoder`.
    weights: Vec<(String, [usize; 2])>,
    encoder: Adam<1>,
    /// Running ones, of each BatchNorm in order.
    statistics: Vec<Statistics>,
}

/// Weights with their optimiser's state.
#[derive(Debug, Clone)]
struct Adam<const D: usize> {
    weights: Tensor<D>,
    first: Tensor<D>,
    second: Tensor<D>,
}

/// What a batch says about a model.
struct Pass {
    loss: Tensor<1>,
    /// All weights of the encoder, one after the other.
    encoder: Tensor<1>,
    /// Those of the batch.
    statistics: Vec<Statistics>,
    /// In the order of the tables; `None` where no row is touched.
    tables: Vec<Option<RowGradients>>,
}

/// Gradients of a table.
struct RowGradients {
    /// Each once.
    rows: Vec<u32>,
    /// `rows × dim`.
    sums: Tensor<2>,
}

impl DeviceSequenceModel {
    pub fn new(model: SequenceModel, device: Device) -> Self {
        Self { host: model, device, resident: None }
    }

    /// The model as of the last [`settle`](Self::settle), with its steps as they are.
    pub fn host(&self) -> &SequenceModel {
        debug_assert!(self.resident.is_none(), "the device is ahead");
        &self.host
    }

    /// The same to be changed, as a checkpoint is read.
    pub fn host_mut(&mut self) -> &mut SequenceModel {
        debug_assert!(self.resident.is_none(), "the device is ahead");
        &mut self.host
    }

    /// Optimiser steps taken.
    pub fn steps(&mut self) -> &mut u32 {
        &mut self.host.steps
    }

    /// [`SequenceModel::step`]; a loss that is not finite changes nothing.
    ///
    /// # Errors
    /// When the device fails; what was learnt since the last [`settle`](Self::settle) is then lost.
    pub fn step(&mut self, batch: &SequenceBatch, optimizer: &AdamW, clip: Option<f32>) -> Result<f64, DeviceError> {
        let Self { host, device, resident } = self;
        let resident = resident.get_or_insert_with(|| Resident::of(host, device));
        // Another one each step, as the batch; burn seeds all devices of a kind together.
        device.seed(batch.seed);
        let mut pass = resident.pass(host, batch);
        let mut wanted = vec![pass.loss.clone()];
        wanted.extend(clip.map(|_| pass.squares()));
        let read = Tensor::cat(wanted, 0).try_to_vec_as::<f32>().map_err(failed)?;
        if let Some(value) = read.iter().find(|value| !value.is_finite()) {
            return Ok(f64::from(*value));
        }
        if let (Some(squares), Some(clip)) = (read.get(1), clip)
            && squares.sqrt() > clip
        {
            pass.scale(clip / squares.sqrt());
        }
        host.steps = host.steps.saturating_add(1);
        resident.update(pass, host, optimizer);
        Ok(f64::from(read[0]))
    }

    /// Brings the weights back: [`host`](Self::host) is then the model.
    ///
    /// # Errors
    /// When the device fails; [`host`](Self::host) is then a mixture and must not be used.
    pub fn settle(&mut self) -> Result<(), DeviceError> {
        match self.resident.take() {
            Some(resident) => resident.read(&mut self.host),
            None => Ok(()),
        }
    }

    /// The model as of the last [`settle`](Self::settle).
    pub fn into_host(self) -> SequenceModel {
        self.host
    }
}

fn failed(error: impl std::fmt::Display) -> DeviceError {
    DeviceError(error.to_string())
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

impl Resident {
    fn of(model: &mut SequenceModel, device: &Device) -> Self {
        let tables = model.tables_mut().map(|table| Adam::of_table(table, device)).collect();
        let (mut names, mut statistics) = (Vec::new(), Vec::new());
        let (mut values, mut first, mut second) = (Vec::new(), Vec::new(), Vec::new());
        for parameter in model.encoder.parameters_mut() {
            let shape = matrix(parameter.shape);
            match parameter.moments {
                Some(moments) => {
                    names.push((parameter.name.to_owned(), shape));
                    values.extend_from_slice(parameter.values);
                    first.extend_from_slice(moments.0);
                    second.extend_from_slice(moments.1);
                }
                None => statistics.push(tensor(parameter.values.to_vec(), shape, device)),
            }
        }
        let flat = |values: Vec<f32>| {
            let count = values.len();
            tensor(values, [count], device)
        };
        Self {
            device: device.clone(),
            tables,
            weights: names,
            encoder: Adam { weights: flat(values), first: flat(first), second: flat(second) },
            // Mean and variance of each follow each other.
            statistics: statistics.chunks_exact(2).map(|pair| [pair[0].clone(), pair[1].clone()]).collect(),
        }
    }

    /// The batch forward and backward.
    fn pass(&self, model: &SequenceModel, batch: &SequenceBatch) -> Pass {
        let (config, tokens) = (model.config(), &batch.tokens);
        let padded = Padded::new(&tokens.packed, &self.device);
        let input = padded.spread(self.input(model, batch)).autodiff().require_grad();
        let leaves = self.leaves();
        let encoder = BurnEncoder::training(&config.encoder, leaves.iter().cloned().collect());
        let (output, statistics) = encoder.forward(&padded, input.clone());

        let mut queries = padded.collect(output.clone().inner());
        let outputs = queries.dims()[1];
        if config.bias {
            let ones = Tensor::ones([tokens.items.len(), 1], &self.device);
            queries = Tensor::cat(vec![queries, ones], 1);
        }
        let columns = self.tables[0].rows(&batch.columns);
        let [loss, by_queries, by_columns] = softmax(queries, columns, batch, 1.0 / f64::from(config.temperature));

        // The rest of the chain rule is autodiff's: the gradient of ⟨output, by_output⟩.
        let by_output = padded.spread(by_queries.narrow(1, 0, outputs));
        let mut tape = (output * by_output).sum().backward();
        let mut gradient = |leaf: &Tensor<2>| leaf.grad_remove(&mut tape).unwrap_or_else(|| leaf.zeros_like().inner());
        let by_weight = leaves.iter().map(|(_, leaf)| gradient(leaf).reshape([leaf.shape().num_elements()]));
        let by_encoder = Tensor::cat(by_weight.collect(), 0);
        let by_input = gradient(&input);
        let tables = table_gradients(model, batch, by_columns, padded.collect(by_input));
        Pass { loss: loss.reshape([1]), encoder: by_encoder, statistics, tables }
    }

    /// Packed tokens: item rows, then ages.
    fn input(&self, model: &SequenceModel, batch: &SequenceBatch) -> Tensor<2> {
        let config = model.config();
        let items = &self.tables[usize::from(!config.tied)];
        let rows = items.rows(&batch.tokens.items).narrow(1, 0, config.item_dim);
        match (config.ages, self.tables.last()) {
            (Some(_), Some(ages)) => Tensor::cat(vec![rows, ages.rows(&batch.tokens.ages)], 1),
            _ => rows,
        }
    }

    /// The encoder's weights, each with a gradient of its own.
    fn leaves(&self) -> Vec<(String, Tensor<2>)> {
        let mut at = 0;
        let leaf = |(name, shape): &(String, [usize; 2])| {
            let count = shape[0] * shape[1];
            let weight = self.encoder.weights.clone().narrow(0, at, count).reshape(*shape);
            at += count;
            (name.clone(), weight.autodiff().require_grad())
        };
        self.weights.iter().map(leaf).collect()
    }

    fn update(&mut self, pass: Pass, model: &mut SequenceModel, optimizer: &AdamW) {
        let step = optimizer.step(model.steps);
        let rates = [step.rate, step.root_scale].map(|rate| tensor(vec![rate], [1], &self.device));
        self.encoder.inplace(|encoder| encoder.stepped(pass.encoder, rates, optimizer));
        for (adam, (table, gradients)) in self.tables.iter_mut().zip(model.tables_mut().zip(pass.tables)) {
            if let Some(gradients) = gradients {
                adam.update_rows(gradients, table, optimizer);
            }
        }
        for (running, batch) in self.statistics.iter_mut().zip(pass.statistics) {
            for (running, batch) in running.iter_mut().zip(batch) {
                running.inplace(|r| r * BATCH_NORM_MOMENTUM + batch * (1.0 - BATCH_NORM_MOMENTUM));
            }
        }
    }

    /// Copies everything to the host.
    fn read(self, model: &mut SequenceModel) -> Result<(), DeviceError> {
        let mut transaction = Transaction::default();
        for Adam { weights, first, second } in self.tables {
            transaction = transaction.register(weights).register(Tensor::cat(vec![first, second], 1));
        }
        let Adam { weights, first, second } = self.encoder;
        transaction = transaction.register(weights).register(first).register(second);
        for statistic in self.statistics.into_iter().flatten() {
            transaction = transaction.register(statistic);
        }
        let read = transaction.try_execute().map_err(failed)?;
        let values: Result<Vec<Vec<f32>>, _> = read.into_iter().map(|data| data.try_to_vec().map_err(failed)).collect();
        let mut values = values?.into_iter();
        let mut next = || values.next().unwrap_or_default();
        for table in model.tables_mut() {
            (table.weights, table.moments) = (next(), next());
        }
        let (weights, first, second) = (next(), next(), next());
        write_encoder(&mut model.encoder, [&weights, &first, &second], next);
        Ok(())
    }
}

/// Sets weights and moments, given one after the other, and the running statistics, given one at a time.
fn write_encoder(encoder: &mut SequenceEncoder, flat: [&[f32]; 3], mut statistic: impl FnMut() -> Vec<f32>) {
    let mut at = 0;
    for parameter in encoder.parameters_mut() {
        let Some((first, second)) = parameter.moments else {
            parameter.values.copy_from_slice(&statistic());
            continue;
        };
        let end = at + parameter.values.len();
        for (to, from) in [parameter.values, first, second].into_iter().zip(flat) {
            to.copy_from_slice(&from[at..end]);
        }
        at = end;
    }
}

/// The mean loss of a batch (one number) and its gradients by queries and columns, as [`super::SoftmaxBatch`] has them.
fn softmax(queries: Tensor<2>, columns: Tensor<2>, batch: &SequenceBatch, scale: f64) -> [Tensor<2>; 3] {
    let (rows, device) = (batch.targets.len(), queries.device());
    let total: f64 = batch.weights.as_ref().map_or(rows as f64, |weights| weights.iter().copied().map(f64::from).sum());
    let share = |weight: f32| (f64::from(weight) / total) as f32;
    let shares = match &batch.weights {
        Some(weights) => weights.iter().copied().map(share).collect(),
        None => vec![share(1.0); rows],
    };
    let shares = tensor(shares, [rows, 1], &device);
    let bias = tensor(batch.bias.clone(), [1, batch.bias.len()], &device);
    let targets = index(batch.targets.iter().map(|&target| target as usize), &device).reshape([rows, 1]);
    let logs = log_softmax(queries.clone().matmul(columns.clone().transpose()) * scale + bias, 1);
    let loss = (logs.clone().gather(1, targets.clone()) * shares.clone()).sum().neg();
    let minus_one = Tensor::full([rows, 1], -1.0, &device);
    let by_logits = logs.exp().scatter(1, targets, minus_one, IndexingUpdateOp::Add) * (shares * scale);
    [loss.reshape([1, 1]), by_logits.clone().matmul(columns), by_logits.transpose().matmul(queries)]
}

/// The gradients of every table, `by_columns` those of the batch's columns and `by_input` those of its packed tokens.
fn table_gradients(
    model: &SequenceModel,
    batch: &SequenceBatch,
    by_columns: Tensor<2>,
    by_input: Tensor<2>,
) -> Vec<Option<RowGradients>> {
    let (config, tokens) = (model.config(), &batch.tokens);
    let width = config.item_dim;
    let learnt = tokens.items.iter().enumerate().filter(|(_, item)| model.learns_token(**item));
    let learnt = learnt.map(|(at, &item)| (item, at)).collect();
    let by_tokens = summed(by_input.clone().narrow(1, 0, width), learnt);
    let by_items = RowGradients { rows: batch.columns.clone(), sums: by_columns };
    let mut tables = if config.tied { vec![Some(by_items.with(by_tokens))] } else { vec![Some(by_items), by_tokens] };
    if let Some((_, dim)) = config.ages {
        let rows = tokens.ages.iter().enumerate().map(|(at, &age)| (age, at)).collect();
        tables.push(summed(by_input.narrow(1, width, dim), rows));
    }
    tables
}

/// Sums the gradients of each table row, given as pairs of that row and a row of `gradients`. Up to [`FAN`] at once, then as
/// many of those sums, and so on: no two threads add to one place, so the same batch gives the same bits.
fn summed(gradients: Tensor<2>, mut pairs: Vec<(u32, usize)>) -> Option<RowGradients> {
    let ([_, dim], device) = (gradients.dims(), gradients.device());
    pairs.sort_unstable();
    let mut sums = gradients;
    loop {
        let longest = pairs.chunk_by(|a, b| a.0 == b.0).map(<[_]>::len).max()?;
        let (fan, zero) = (longest.min(FAN), sums.dims()[0]);
        let (mut sources, mut next) = (Vec::with_capacity(pairs.len()), Vec::new());
        for part in pairs.chunk_by(|a, b| a.0 == b.0).flat_map(|of_row| of_row.chunks(fan)) {
            next.push((part[0].0, next.len()));
            sources.extend(part.iter().map(|pair| pair.1));
            sources.resize(next.len() * fan, zero);
        }
        let picked = with_zero_row(sums).select(0, index(sources.into_iter(), &device));
        sums = picked.reshape([next.len(), fan, dim]).sum_dim(1).reshape([next.len(), dim]);
        if longest <= FAN {
            return Some(RowGradients { rows: next.into_iter().map(|(row, _)| row).collect(), sums });
        }
        pairs = next;
    }
}

impl RowGradients {
    /// The same with the gradients of tokens, whose rows may lack the bias at the end.
    fn with(self, tokens: Option<Self>) -> Self {
        let Some(tokens) = tokens else { return self };
        let Self { mut rows, mut sums } = self;
        let ([known, dim], [count, width], device) = (sums.dims(), tokens.sums.dims(), sums.device());
        let mut slots: HashMap<u32, usize> = rows.iter().copied().zip(0..).collect();
        let mut slot = |row: u32| {
            *slots.entry(row).or_insert_with(|| {
                rows.push(row);
                rows.len() - 1
            })
        };
        let at: Vec<usize> = tokens.rows.iter().map(|&row| slot(row)).collect();
        if rows.len() > known {
            sums = Tensor::cat(vec![sums, Tensor::zeros([rows.len() - known, dim], &device)], 0);
        }
        let mut more = tokens.sums;
        if width < dim {
            more = Tensor::cat(vec![more, Tensor::zeros([count, dim - width], &device)], 1);
        }
        // Every place once, so that adding in parallel is safe.
        let at = index(at.into_iter(), &device).reshape([count, 1]);
        Self { rows, sums: sums.scatter_nd(at, more, IndexingUpdateOp::Add) }
    }
}

impl Pass {
    /// The squared length of the whole gradient: one number.
    fn squares(&self) -> Tensor<1> {
        let tables = self.tables.iter().flatten().map(|table| table.sums.clone().square().sum());
        tables.fold(self.encoder.clone().square().sum(), |sum, squares| sum + squares)
    }

    fn scale(&mut self, factor: f32) {
        self.encoder.inplace(|gradient| gradient * factor);
        self.tables.iter_mut().flatten().for_each(|table| table.sums.inplace(|gradient| gradient * factor));
    }
}

impl<const D: usize> Adam<D> {
    /// One step, as [`super::Moments::update`] makes it; `rates` are the step's learning rate and its factor on the root of
    /// the second moments, bias corrections folded in.
    fn stepped(self, gradient: Tensor<D>, [rate, root_scale]: [Tensor<D>; 2], optimizer: &AdamW) -> Self {
        let AdamW { weight_decay, l2, beta1, beta2, epsilon, .. } = *optimizer;
        let gradient = gradient + self.weights.clone() * l2;
        let first = self.first * beta1 + gradient.clone() * (1.0 - beta1);
        let second = self.second * beta2 + gradient.square() * (1.0 - beta2);
        let step = first.clone() * rate / (second.clone().sqrt() * root_scale + epsilon);
        Self { weights: self.weights * (1.0 - weight_decay) - step, first, second }
    }

    /// Without a second handle on the tensors, so that burn may write over them.
    fn inplace(&mut self, step: impl FnOnce(Self) -> Self) {
        let taken =
            Self { weights: self.weights.extract(), first: self.first.extract(), second: self.second.extract() };
        *self = step(taken);
    }
}

impl Adam<2> {
    fn of_table(table: &Table, device: &Device) -> Self {
        let (rows, dim) = (table.rows(), table.dim);
        let moments = tensor(table.moments.clone(), [rows, 2 * dim], device);
        Self {
            weights: tensor(table.weights.clone(), [rows, dim], device),
            first: moments.clone().narrow(1, 0, dim),
            second: moments.narrow(1, dim, dim),
        }
    }

    fn rows(&self, rows: &[u32]) -> Tensor<2> {
        let rows = index(rows.iter().map(|&row| row as usize), &self.weights.device());
        self.weights.clone().select(0, rows)
    }

    /// One step for the touched rows, each by its own count.
    fn update_rows(&mut self, gradients: RowGradients, table: &mut Table, optimizer: &AdamW) {
        let (count, device) = (gradients.rows.len(), self.weights.device());
        let (mut rate, mut root_scale) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for &row in &gradients.rows {
            let steps = &mut table.steps[row as usize];
            *steps = steps.saturating_add(1);
            let step = optimizer.step(*steps);
            rate.push(step.rate);
            root_scale.push(step.root_scale);
        }
        let rates = [rate, root_scale].map(|rates| tensor(rates, [count, 1], &device));
        let rows = index(gradients.rows.iter().map(|&row| row as usize), &device);
        let pick = |of: &Tensor<2>| of.clone().select(0, rows.clone());
        let picked = Self { weights: pick(&self.weights), first: pick(&self.first), second: pick(&self.second) };
        let stepped = picked.stepped(gradients.sums, rates, optimizer);
        let at = rows.reshape([count, 1]);
        let put = |whole: &mut Tensor<2>, part| {
            whole.inplace(|whole| whole.scatter_nd(at.clone(), part, IndexingUpdateOp::Assign));
        };
        put(&mut self.weights, stepped.weights);
        put(&mut self.first, stepped.first);
        put(&mut self.second, stepped.second);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        sequence::{Activation, DecoderConfig, EncoderConfig, LstmConfig, Packed, Positions},
        sequence_model::{SequenceModelConfig, Tokens},
    };
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng, seq::index::sample};

    const ITEMS: usize = 60;

    fn shape(encoder: EncoderConfig) -> SequenceModelConfig {
        SequenceModelConfig {
            encoder,
            items: ITEMS,
            length: 20,
            item_dim: 12,
            tied: true,
            bias: false,
            sos: false,
            ages: None,
            temperature: 0.7,
        }
    }

    fn decoder() -> DecoderConfig {
        DecoderConfig { layers: 2, heads: 2, feed_forward: 20, dropout: 0.0, ..DecoderConfig::default() }
    }

    fn shapes() -> Vec<SequenceModelConfig> {
        let lstm = LstmConfig { hidden: vec![10, 12], ..LstmConfig::default() };
        vec![
            SequenceModelConfig { sos: true, bias: true, ..shape(EncoderConfig::Decoder(decoder())) },
            SequenceModelConfig {
                tied: false,
                item_dim: 8,
                ages: Some((7, 4)),
                ..shape(EncoderConfig::Decoder(DecoderConfig {
                    activation: Activation::Elu,
                    positions: Positions::Sinusoidal,
                    scale_embedding: true,
                    final_norm: false,
                    ..decoder()
                }))
            },
            shape(EncoderConfig::Decoder(DecoderConfig {
                activation: Activation::Relu,
                positions: Positions::Rotary,
                ..decoder()
            })),
            SequenceModelConfig { tied: false, bias: true, ..shape(EncoderConfig::Lstm(lstm.clone())) },
            shape(EncoderConfig::Lstm(LstmConfig { hidden: vec![12], batch_norm: false, attention: false, ..lstm })),
        ]
    }

    /// Items are drawn unevenly, so that some are read many times.
    fn batch(config: &SequenceModelConfig, rng: &mut StdRng, full: bool, weighted: bool) -> SequenceBatch {
        let longest = config.length;
        let packed = Packed::of((0..9).map(|s| if s == 3 { longest } else { rng.random_range(1..longest) }));
        let count = packed.tokens();
        let items = (0..count).map(|_| rng.random_range(0..=ITEMS as u32) / rng.random_range(1..=9)).collect();
        let ages = config
            .ages
            .map_or_else(Vec::new, |(rows, _)| (0..count).map(|_| rng.random_range(0..rows as u32)).collect());
        let columns = if full { ITEMS + 1 } else { 25 };
        SequenceBatch {
            tokens: Tokens { packed, items, ages },
            targets: (0..count).map(|_| rng.random_range(0..columns as u32)).collect(),
            columns: sample(rng, ITEMS + 1, columns).iter().map(|row| row as u32).collect(),
            bias: (0..columns).map(|_| if full { 0.0 } else { rng.random_range(-1f32..3.0) }).collect(),
            weights: weighted.then(|| (0..count).map(|_| rng.random_range(0.1f32..1.0)).collect()),
            seed: rng.random(),
        }
    }

    #[track_caller]
    fn assert_close(what: &str, got: &[f32], want: &[f32]) {
        assert_eq!(got.len(), want.len(), "{what}");
        let size = want.iter().fold(1e-3f32, |a, b| a.max(b.abs()));
        let worst = got.iter().zip(want).map(|(g, w)| (g - w).abs()).fold(0.0, f32::max);
        assert!(worst <= 1e-3 * size, "{what}: {worst} off in values up to {size}");
    }

    #[track_caller]
    fn assert_same_model(device: &mut SequenceModel, kernels: &mut SequenceModel) {
        assert_eq!(device.steps, kernels.steps);
        for (device, kernels) in device.tables_mut().zip(kernels.tables_mut()) {
            assert_eq!(device.steps, kernels.steps);
            assert_close("table", &device.weights, &kernels.weights);
            assert_close("moments of a table", &device.moments, &kernels.moments);
        }
        for (device, kernels) in device.encoder.parameters_mut().into_iter().zip(kernels.encoder.parameters_mut()) {
            assert_close(kernels.name, device.values, kernels.values);
            match (device.moments, kernels.moments) {
                (Some(device), Some(kernels)) => {
                    assert_close("first moments", device.0, kernels.0);
                    assert_close("second moments", device.1, kernels.1);
                }
                (None, None) => {}
                _ => panic!("moments of one only"),
            }
        }
    }

    /// A large epsilon: without it Adam makes whole steps of the rounding errors of gradients that are zero, such as the one
    /// by the keys' bias.
    fn optimizer(weight_decay: f32, l2: f32) -> AdamW {
        AdamW { learning_rate: 0.05, weight_decay, l2, epsilon: 0.01, ..AdamW::default() }
    }

    #[test]
    fn steps_are_those_of_the_kernels() {
        let mut rng = StdRng::seed_from_u64(7);
        for (n, config) in shapes().into_iter().enumerate() {
            let mut kernels = SequenceModel::new(&config, 3).unwrap();
            let mut device = DeviceSequenceModel::new(SequenceModel::new(&config, 3).unwrap(), Device::flex());
            for step in 0..6 {
                let batch = batch(&config, &mut rng, step % 2 == 0, n % 2 == 0);
                let (optimizer, clip) = [
                    (optimizer(0.01, 0.0), None),
                    (optimizer(0.0, 0.01), Some(0.05)),
                    (optimizer(0.0, 0.0), Some(1e6)),
                ][step % 3];
                let want = kernels.step(&batch, &optimizer, clip);
                let got = device.step(&batch, &optimizer, clip).unwrap();
                assert!((got - want).abs() <= 1e-4 * want, "model {n}, step {step}: {got} is not {want}");
                if step == 2 {
                    device.settle().unwrap();
                }
            }
            device.settle().unwrap();
            assert_same_model(device.host_mut(), &mut kernels);
        }
    }

    #[test]
    fn frozen_tokens_stay_but_for_the_boundary() {
        let config = SequenceModelConfig { tied: false, sos: true, ..shape(EncoderConfig::Decoder(decoder())) };
        let mut rng = StdRng::seed_from_u64(8);
        let vectors: Vec<f32> = (0..ITEMS * 12).map(|_| rng.random_range(-1f32..1.0)).collect();
        let mut model = SequenceModel::new(&config, 3).unwrap();
        model.freeze_tokens(&vectors);
        let mut device = DeviceSequenceModel::new(model, Device::flex());
        let mut batch = batch(&config, &mut rng, true, false);
        batch.tokens.items.iter_mut().for_each(|item| *item = (*item).min(ITEMS as u32 - 1));
        for boundary in [false, true] {
            if boundary {
                batch.tokens.items[0] = ITEMS as u32;
            }
            device.step(&batch, &AdamW::default(), None).unwrap();
            device.settle().unwrap();
            let tokens = device.host().tokens.as_ref().unwrap();
            assert_eq!(tokens.weights[..ITEMS * 12], vectors);
            assert_eq!(tokens.row(ITEMS).iter().any(|&w| w != 0.0), boundary);
        }
    }

    #[test]
    fn a_loss_that_is_not_finite_changes_nothing() {
        for config in shapes() {
            let mut rng = StdRng::seed_from_u64(9);
            let mut device = DeviceSequenceModel::new(SequenceModel::new(&config, 3).unwrap(), Device::flex());
            let mut batch = batch(&config, &mut rng, true, false);
            batch.bias[0] = f32::NAN;
            assert!(device.step(&batch, &AdamW::default(), Some(1.0)).unwrap().is_nan());
            device.settle().unwrap();
            let mut fresh = SequenceModel::new(&config, 3).unwrap();
            for (now, fresh) in device.host_mut().tables_mut().zip(fresh.tables_mut()) {
                assert_eq!(now, fresh);
            }
            assert_eq!(device.host().encoder.parameters(), fresh.encoder.parameters());
        }
    }

    #[test]
    fn dropout_changes_what_is_learnt_and_not_what_is_answered() {
        let with = |dropout| shape(EncoderConfig::Decoder(DecoderConfig { dropout, ..decoder() }));
        let loss = |dropout| {
            let mut rng = StdRng::seed_from_u64(10);
            let mut device = DeviceSequenceModel::new(SequenceModel::new(&with(dropout), 3).unwrap(), Device::flex());
            let batch = batch(&with(dropout), &mut rng, true, false);
            device.step(&batch, &AdamW::default(), None).unwrap()
        };
        assert!(loss(0.5).is_finite() && (loss(0.5) - loss(0.0)).abs() > 1e-6);
        let packed = Packed::of([3, 5]);
        let tokens: Vec<f32> = (0..8 * 12).map(|i| (i as f32).sin()).collect();
        let embed = |dropout| {
            let model = SequenceModel::new(&with(dropout), 3).unwrap();
            super::super::burn_sequence::embed(&model.encoder, &packed, &tokens)
        };
        assert_eq!(embed(0.5), embed(0.0));
    }

    #[test]
    fn gradients_of_a_row_are_summed() {
        let mut rng = StdRng::seed_from_u64(11);
        // One row many times over, so that sums are summed, and some once.
        let rows: Vec<u32> = (0..300).map(|i| if i % 2 == 0 { 4 } else { rng.random_range(0..200) }).collect();
        let values: Vec<f32> = (0..900).map(|_| rng.random_range(-1f32..1.0)).collect();
        let device = Device::flex();
        let pairs = rows.iter().enumerate().map(|(at, &row)| (row, at)).collect();
        let found = summed(tensor(values.clone(), [300, 3], &device), pairs).unwrap();
        assert!(found.rows.is_sorted_by(|a, b| a < b));
        let mut want = vec![0.0; 600];
        for (&row, gradient) in rows.iter().zip(values.chunks_exact(3)) {
            (0..3).for_each(|k| want[row as usize * 3 + k] += gradient[k]);
        }
        let sums: Vec<f32> = found.sums.into_data().try_to_vec().unwrap();
        for (&row, sum) in found.rows.iter().zip(sums.chunks_exact(3)) {
            assert_close("sum", sum, &want[row as usize * 3..][..3]);
            want[row as usize * 3..][..3].fill(0.0);
        }
        assert!(want.iter().all(|&rest| rest == 0.0), "a row is missing");
        assert!(summed(Tensor::zeros([4, 3], &device), Vec::new()).is_none());
    }
}
