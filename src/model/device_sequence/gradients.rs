//! The softmax and the way of gradients back to table rows.

use super::tensor;
use crate::model::{
    burn_sequence::{index, with_zero_row},
    sequence_model::{SequenceBatch, SequenceModel},
};
use burn::tensor::{IndexingUpdateOp, Tensor, activation::log_softmax};
use hashbrown::HashMap;

/// Gradients summed at once.
const FAN: usize = 8;

/// Gradients of a table.
pub(super) struct RowGradients {
    /// Each once.
    pub rows: Vec<u32>,
    /// `rows × dim`.
    pub sums: Tensor<2>,
}

/// The mean loss of a batch (one number) and its gradients by queries and columns, as [`crate::model::SoftmaxBatch`] has them.
pub(super) fn softmax(queries: Tensor<2>, columns: Tensor<2>, batch: &SequenceBatch, scale: f64) -> [Tensor<2>; 3] {
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
pub(super) fn table_gradients(
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
pub(super) fn summed(gradients: Tensor<2>, mut pairs: Vec<(u32, usize)>) -> Option<RowGradients> {
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
