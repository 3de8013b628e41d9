//! The softmax and the way of gradients back to table rows.

use super::{Adam, tensor};
use crate::model::{
    burn_sequence::{Padded, index, with_zero_row},
    sequence_model::{Candidates, DrawnNegatives, SequenceBatch, SequenceModel, SharedColumns},
};
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, activation::log_softmax};
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

/// What the loss of a batch is worked out from.
pub(super) struct LossPass<'a> {
    /// The item table.
    pub items: &'a Adam<2>,
    pub padded: &'a Padded,
    pub batch: &'a SequenceBatch,
    /// `tokens × dim`.
    pub queries: Tensor<2>,
    /// 1 / temperature.
    pub scale: f64,
    /// As that of [`crate::model::SoftmaxBatch`].
    pub smoothing: f64,
}

/// What the loss of a batch says.
pub(super) struct Loss {
    /// Its mean, one number.
    pub value: Tensor<1>,
    /// `tokens × dim`.
    pub by_queries: Tensor<2>,
    pub by_items: Option<RowGradients>,
}

impl LossPass<'_> {
    pub(super) fn loss(self) -> Loss {
        match &self.batch.candidates {
            Candidates::Shared(columns) => self.shared(columns),
            Candidates::Drawn(drawn) => self.drawn(drawn),
        }
    }

    /// What each token's prediction counts, of 1 in all: `tokens × 1`.
    fn shares(&self) -> Tensor<2> {
        let rows = self.batch.tokens.items.len();
        let shares = match &self.batch.weights {
            Some(weights) => {
                let total: f64 = weights.iter().copied().map(f64::from).sum();
                weights.iter().map(|&weight| (f64::from(weight) / total) as f32).collect()
            }
            None => vec![(1.0 / rows as f64) as f32; rows],
        };
        tensor(shares, [rows, 1], &self.queries.device())
    }

    /// As [`crate::model::SoftmaxBatch`].
    fn shared(self, columns: &SharedColumns) -> Loss {
        let SharedColumns { targets, rows, bias } = columns;
        let (count, device, shares) = (targets.len(), self.queries.device(), self.shares());
        let columns = self.items.rows(rows);
        let bias = tensor(bias.clone(), [1, bias.len()], &device);
        let targets = numbers(targets, &device).reshape([count, 1]);
        let logits = self.queries.clone().matmul(columns.clone().transpose()) * self.scale + bias;
        let logs = log_softmax(logits, 1);
        let (even, own) = (self.smoothing, 1.0 - self.smoothing);
        let wanted =
            logs.clone().gather(1, targets.clone()) * own + logs.clone().mean_dim(1) * even;
        let value = (wanted * shares.clone()).sum().neg();
        let minus_own = Tensor::full([count, 1], -own, &device);
        let by_logits = logs.exp() - even / rows.len() as f64;
        let by_logits =
            by_logits.scatter(1, targets, minus_own, IndexingUpdateOp::Add) * (shares * self.scale);
        Loss {
            value,
            by_queries: by_logits.clone().matmul(columns),
            by_items: Some(RowGradients {
                rows: rows.clone(),
                sums: by_logits.transpose().matmul(self.queries),
            }),
        }
    }

    /// As [`crate::model::DrawnSoftmax`]; sequences are padded, so that their products are one.
    fn drawn(self, drawn: &DrawnNegatives) -> Loss {
        let DrawnNegatives { targets, negatives } = drawn;
        let (shares, packed) = (self.shares(), &self.batch.tokens.packed);
        let Self { items, padded, queries, scale, .. } = self;
        let ([rows, dim], device, sequences) =
            (queries.dims(), queries.device(), packed.sequences());
        let count = negatives.len() / sequences;

        let candidates = items.rows(negatives).reshape([sequences, count, dim]);
        let logits = padded.blocks(queries.clone()).matmul(candidates.clone().swap_dims(1, 2));
        let logits = padded.collect_blocks(logits) * scale;
        // A negative that is the token's own target does not count.
        let sequence_of = (0..sequences).flat_map(|s| packed.rows(s).map(move |_| s));
        let competing = numbers(negatives, &device)
            .reshape([sequences, count])
            .select(0, index(sequence_of, &device));
        let hits =
            competing.equal(numbers(targets, &device).reshape([rows, 1]).repeat_dim(1, count));
        let logits = logits.mask_fill(hits, f32::NEG_INFINITY);
        let wanted = items.rows(targets);
        let own = (queries.clone() * wanted.clone()).sum_dim(1) * scale;
        let logs = log_softmax(Tensor::cat(vec![own, logits], 1), 1);
        let value = (logs.clone().narrow(1, 0, 1) * shares.clone()).sum().neg();

        let by_logits = logs.exp() * (shares.clone() * scale);
        let by_own = by_logits.clone().narrow(1, 0, 1) - shares * scale;
        let by_logits = padded.blocks(by_logits.narrow(1, 1, count));
        let by_queries =
            padded.collect_blocks(by_logits.clone().matmul(candidates)) + wanted * by_own.clone();
        let by_negatives = by_logits.swap_dims(1, 2).matmul(padded.blocks(queries.clone()));
        let by_rows =
            Tensor::cat(vec![queries * by_own, by_negatives.reshape([sequences * count, dim])], 0);
        let rows = targets.iter().chain(negatives).copied().zip(0..).collect();
        Loss { value, by_queries, by_items: summed(by_rows, rows) }
    }
}

fn numbers(rows: &[u32], device: &Device) -> Tensor<1, Int> {
    index(rows.iter().map(|&row| row as usize), device)
}

/// The gradients of every table, `by_items` the loss's by item rows and `by_input` those of the
/// batch's packed tokens.
pub(super) fn table_gradients(
    model: &SequenceModel,
    batch: &SequenceBatch,
    by_items: Option<RowGradients>,
    by_input: Tensor<2>,
) -> Vec<Option<RowGradients>> {
    let (config, tokens) = (model.config(), &batch.tokens);
    let width = config.item_dim;
    let learnt = tokens.items.iter().enumerate().filter(|(_, item)| model.learns_token(**item));
    let learnt = learnt.map(|(at, &item)| (item, at)).collect();
    let by_tokens = summed(by_input.clone().narrow(1, 0, width), learnt);
    let mut tables = match by_items {
        Some(by_items) if config.tied => vec![Some(by_items.with(by_tokens))],
        None if config.tied => vec![by_tokens],
        by_items => vec![by_items, by_tokens],
    };
    if config.ages.is_some() {
        let rows = tokens.ages.iter().enumerate().map(|(at, &age)| (age, at)).collect();
        let columns = config.age_columns();
        tables.push(summed(by_input.narrow(1, columns.start, columns.len()), rows));
    }
    tables
}

/// Sums the gradients of each table row, given as pairs of that row and a row of `gradients`. Up to
/// [`FAN`] at once, then as many of those sums, and so on: no two threads add to one place, so the
/// same batch gives the same bits.
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
            return Some(RowGradients {
                rows: next.into_iter().map(|(row, _)| row).collect(),
                sums,
            });
        }
        pairs = next;
    }
}

impl RowGradients {
    /// The same with the gradients of tokens, whose rows may lack the bias at the end.
    fn with(self, tokens: Option<Self>) -> Self {
        let Some(tokens) = tokens else { return self };
        let Self { mut rows, mut sums } = self;
        let ([known, dim], [count, width], device) =
            (sums.dims(), tokens.sums.dims(), sums.device());
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
