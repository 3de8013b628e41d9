//! A sequence model whose optimiser steps run in burn's tensors, on any device of burn's: on a GPU
//! in a run, on the CPU in the tests, which hold it to [`SequenceModel::step`].
//!
//! Same model, same batches, same loss, same optimiser, the rows of a table stepping only when
//! touched. Weights and moments stay on the device from step to step;
//! [`DeviceSequenceModel::settle`] brings them back. What the device is asked for is made for many
//! threads that must not wait for each other: gradients of one table row are summed as a tree, not
//! added to one place, and one read a step (loss and gradient length) is all that the host waits
//! for.

mod adam;
mod gradients;

use super::{
    adamw::AdamW,
    burn_sequence::{BurnEncoder, Padded, Statistics, matrix},
    sequence::SequenceEncoder,
    sequence_model::{AgeTable, SequenceBatch, SequenceModel},
};
use adam::{Adam, Step};
use burn::tensor::{Device, Tensor, TensorData, Transaction};
use gradients::{Loss, LossPass, RowGradients, table_gradients};

/// Share of BatchNorm's running statistics that a batch leaves as it was.
const BATCH_NORM_MOMENTUM: f64 = 0.99;

/// The device did not do what it was asked for, such as when its memory is full.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DeviceError(String);

/// A training model, its weights on a device.
#[derive(Debug)]
pub struct DeviceSequenceModel {
    /// As of the last [`settle`](Self::settle), but for the counts of steps, which are always those
    /// taken.
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
    /// 1 for the weights of the encoder that decay, else 0.
    decays: Tensor<1>,
    /// Running ones, of each BatchNorm in order.
    statistics: Vec<Statistics>,
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
    pub fn step(
        &mut self,
        batch: &SequenceBatch,
        optimizer: &AdamW,
        clip: Option<f32>,
    ) -> Result<f64, DeviceError> {
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

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn failed(error: impl std::fmt::Display) -> DeviceError {
    DeviceError(error.to_string())
}

impl Resident {
    fn of(model: &mut SequenceModel, device: &Device) -> Self {
        let tables = model.tables_mut().map(|table| Adam::of_table(table, device)).collect();
        let (mut names, mut statistics) = (Vec::new(), Vec::new());
        let (mut values, mut first, mut second) = (Vec::new(), Vec::new(), Vec::new());
        let mut decays = Vec::new();
        for parameter in model.encoder.parameters_mut() {
            let shape = matrix(parameter.shape);
            match parameter.moments {
                Some(moments) => {
                    names.push((parameter.name.to_owned(), shape));
                    let decay = f32::from(u8::from(parameter.decays));
                    decays.extend(std::iter::repeat_n(decay, parameter.values.len()));
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
            decays: flat(decays),
            // Mean and variance of each follow each other.
            statistics: statistics
                .chunks_exact(2)
                .map(|pair| [pair[0].clone(), pair[1].clone()])
                .collect(),
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
        let (items, scale) = (&self.tables[0], 1.0 / f64::from(config.temperature));
        let smoothing = f64::from(config.smoothing);
        let Loss { value, by_queries, by_items } =
            LossPass { items, padded: &padded, batch, queries, scale, smoothing }.loss();

        // The rest of the chain rule is autodiff's: the gradient of ⟨output, by_output⟩.
        let by_output = padded.spread(by_queries.narrow(1, 0, outputs));
        let mut tape = (output * by_output).sum().backward();
        let mut gradient = |leaf: &Tensor<2>| {
            leaf.grad_remove(&mut tape).unwrap_or_else(|| leaf.zeros_like().inner())
        };
        let by_weight =
            leaves.iter().map(|(_, leaf)| gradient(leaf).reshape([leaf.shape().num_elements()]));
        let by_encoder = Tensor::cat(by_weight.collect(), 0);
        let by_input = gradient(&input);
        let tables = table_gradients(model, batch, by_items, padded.collect(by_input));
        Pass { loss: value.reshape([1]), encoder: by_encoder, statistics, tables }
    }

    /// Packed tokens: item rows with their ages.
    fn input(&self, model: &SequenceModel, batch: &SequenceBatch) -> Tensor<2> {
        let config = model.config();
        let items = &self.tables[usize::from(!config.tied)];
        let rows = items.rows(&batch.tokens.items).narrow(1, 0, config.item_dim);
        match (config.ages, self.tables.last()) {
            (Some(AgeTable::Following { .. }), Some(ages)) => {
                Tensor::cat(vec![rows, ages.rows(&batch.tokens.ages)], 1)
            }
            (Some(AgeTable::Added { .. }), Some(ages)) => rows + ages.rows(&batch.tokens.ages),
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
        let [rate, root_scale] =
            [step.rate, step.root_scale].map(|rate| tensor(vec![rate], [1], &self.device));
        let step = Step { rate, root_scale, decays: self.decays.clone() };
        self.encoder.inplace(|encoder| encoder.stepped(pass.encoder, step, optimizer));
        for (adam, (table, gradients)) in
            self.tables.iter_mut().zip(model.tables_mut().zip(pass.tables))
        {
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
            transaction =
                transaction.register(weights).register(Tensor::cat(vec![first, second], 1));
        }
        let Adam { weights, first, second } = self.encoder;
        transaction = transaction.register(weights).register(first).register(second);
        for statistic in self.statistics.into_iter().flatten() {
            transaction = transaction.register(statistic);
        }
        let read = transaction.try_execute().map_err(failed)?;
        let values: Result<Vec<Vec<f32>>, _> =
            read.into_iter().map(|data| data.try_to_vec().map_err(failed)).collect();
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

/// Sets weights and moments, given one after the other, and the running statistics, given one at a
/// time.
fn write_encoder(
    encoder: &mut SequenceEncoder,
    flat: [&[f32]; 3],
    mut statistic: impl FnMut() -> Vec<f32>,
) {
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

impl Pass {
    /// The squared length of the whole gradient: one number.
    fn squares(&self) -> Tensor<1> {
        let tables = self.tables.iter().flatten().map(|table| table.sums.clone().square().sum());
        tables.fold(self.encoder.clone().square().sum(), |sum, squares| sum + squares)
    }

    fn scale(&mut self, factor: f32) {
        self.encoder.inplace(|gradient| gradient * factor);
        self.tables
            .iter_mut()
            .flatten()
            .for_each(|table| table.sums.inplace(|gradient| gradient * factor));
    }
}

#[cfg(test)]
mod tests;
