//! Adam and AdamW in tensors: whole arrays, or the touched rows of a table.

use super::{RowGradients, tensor};
use crate::model::{adamw::AdamW, burn_sequence::index, table::Table};
use burn::tensor::{Device, IndexingUpdateOp, Tensor};

/// Weights with their optimiser's state.
#[derive(Debug, Clone)]
pub(super) struct Adam<const D: usize> {
    pub weights: Tensor<D>,
    pub first: Tensor<D>,
    pub second: Tensor<D>,
}

/// The numbers of a step that differ from weight to weight, or one of each.
pub(super) struct Step<const D: usize> {
    /// The learning rate and the factor on the root of the second moments, bias corrections folded
    /// in.
    pub rate: Tensor<D>,
    pub root_scale: Tensor<D>,
    /// 1 where weight decay acts, else 0.
    pub decays: Tensor<D>,
}

impl<const D: usize> Adam<D> {
    /// One step, as [`crate::model::Moments::update`] makes it.
    pub(super) fn stepped(self, gradient: Tensor<D>, step: Step<D>, optimizer: &AdamW) -> Self {
        let (
            AdamW { weight_decay, l2, beta1, beta2, epsilon, .. },
            Step { rate, root_scale, decays },
        ) = (*optimizer, step);
        let gradient = gradient + self.weights.clone() * decays.clone() * l2;
        let first = self.first * beta1 + gradient.clone() * (1.0 - beta1);
        let second = self.second * beta2 + gradient.square() * (1.0 - beta2);
        let step = first.clone() * rate / (second.clone().sqrt() * root_scale + epsilon);
        let kept = decays * -weight_decay + 1.0;
        Self { weights: self.weights * kept - step, first, second }
    }

    /// Without a second handle on the tensors, so that burn may write over them.
    pub(super) fn inplace(&mut self, step: impl FnOnce(Self) -> Self) {
        let taken = Self {
            weights: self.weights.extract(),
            first: self.first.extract(),
            second: self.second.extract(),
        };
        *self = step(taken);
    }
}

impl Adam<2> {
    pub(super) fn of_table(table: &Table, device: &Device) -> Self {
        let (rows, dim) = (table.rows(), table.dim);
        let moments = tensor(table.moments.clone(), [rows, 2 * dim], device);
        Self {
            weights: tensor(table.weights.clone(), [rows, dim], device),
            first: moments.clone().narrow(1, 0, dim),
            second: moments.narrow(1, dim, dim),
        }
    }

    pub(super) fn rows(&self, rows: &[u32]) -> Tensor<2> {
        let rows = index(rows.iter().map(|&row| row as usize), &self.weights.device());
        self.weights.clone().select(0, rows)
    }

    /// One step for the touched rows, each by its own count.
    pub(super) fn update_rows(
        &mut self,
        gradients: RowGradients,
        table: &mut Table,
        optimizer: &AdamW,
    ) {
        let (count, device) = (gradients.rows.len(), self.weights.device());
        let (mut rate, mut root_scale) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for &row in &gradients.rows {
            let steps = &mut table.steps[row as usize];
            *steps = steps.saturating_add(1);
            let step = optimizer.step(*steps);
            rate.push(step.rate);
            root_scale.push(step.root_scale);
        }
        let [rate, root_scale] = [rate, root_scale].map(|rates| tensor(rates, [count, 1], &device));
        let step = Step { rate, root_scale, decays: Tensor::ones([1, 1], &device) };
        let rows = index(gradients.rows.iter().map(|&row| row as usize), &device);
        let pick = |of: &Tensor<2>| of.clone().select(0, rows.clone());
        let picked = Self {
            weights: pick(&self.weights),
            first: pick(&self.first),
            second: pick(&self.second),
        };
        let stepped = picked.stepped(gradients.sums, step, optimizer);
        let at = rows.reshape([count, 1]);
        let put = |whole: &mut Tensor<2>, part| {
            whole.inplace(|whole| whole.scatter_nd(at.clone(), part, IndexingUpdateOp::Assign));
        };
        put(&mut self.weights, stepped.weights);
        put(&mut self.first, stepped.first);
        put(&mut self.second, stepped.second);
    }
}
