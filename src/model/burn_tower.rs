//! A tower as a burn module: the reference that the tests compare the training kernels with.

use super::tower::Tower;
use burn::{
    module::{Module, Param},
    nn::{Linear, LinearConfig},
    tensor::{Device, Tensor, TensorData, activation::relu},
};

/// Dense layers with ReLU between them, optionally scaled to unit length.
#[derive(Module, Debug)]
pub struct BurnTower {
    layers: Vec<Linear>,
    normalize: bool,
}

impl BurnTower {
    /// The module with a tower's weights.
    pub fn of(tower: &Tower, device: &Device) -> Self {
        let layers = tower
            .layers
            .iter()
            .map(|layer| {
                let mut linear = LinearConfig::new(layer.inputs, layer.outputs).init(device);
                let weight = TensorData::new(layer.weight.clone(), [layer.inputs, layer.outputs]);
                let bias = TensorData::new(layer.bias.clone(), [layer.outputs]);
                linear.weight = Param::from_data(weight, device);
                linear.bias = Some(Param::from_data(bias, device));
                linear
            })
            .collect();
        Self { layers, normalize: tower.normalize }
    }

    /// `[rows, inputs]` → `[rows, dim]`.
    pub fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let last = self.layers.len() - 1;
        let mut x = input;
        for (at, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x);
            if at < last {
                x = relu(x);
            }
        }
        if !self.normalize {
            return x;
        }
        let length = x.clone().powi_scalar(2).sum_dim(1).clamp_min(1e-24).sqrt();
        x / length
    }

    /// Embeds rows of assembled inputs (`rows × inputs`) on the CPU: `rows × dim`.
    pub fn embed(tower: &Tower, input: Vec<f32>) -> Vec<f32> {
        let device = Device::flex();
        let rows = input.len() / tower.inputs();
        let input = Tensor::from_data(TensorData::new(input, [rows, tower.inputs()]), &device);
        let output = Self::of(tower, &device).forward(input).into_data();
        output.try_to_vec().expect("the CPU backend computes in f32")
    }
}

#[cfg(test)]
mod tests {
    use super::super::tower::{Gradients, TowerPass};
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    fn close(got: &[f32], want: &[f32]) -> bool {
        got.len() == want.len()
            && got.iter().zip(want).all(|(g, w)| (g - w).abs() <= 1e-4 * (1.0 + w.abs()))
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn the_kernels_are_the_burn_module_forward_and_backward() {
        let mut rng = StdRng::seed_from_u64(5);
        for (hidden, normalize) in [(&[][..], false), (&[7], false), (&[9, 5], true), (&[], true)] {
            let mut tower = Tower::new(6, hidden, 4, normalize, 3);
            for layer in &mut tower.layers {
                layer.bias.iter_mut().for_each(|b| *b = rng.random_range(-0.5..0.5));
            }
            let rows = 11;
            let mut draw =
                |n: usize| (0..n).map(|_| rng.random_range(-1f32..1.0)).collect::<Vec<_>>();
            let (input, upstream) = (draw(rows * 6), draw(rows * 4));
            let (mut pass, mut gradients, mut input_gradient) =
                (TowerPass::default(), Gradients::default(), Vec::new());
            // Twice: kept buffers must not leak into the next pass.
            for _ in 0..2 {
                tower.forward(&input, &mut pass);
                tower.backward(&input, &mut pass, &upstream, &mut gradients, &mut input_gradient);
            }

            let device = Device::flex().autodiff();
            let module = BurnTower::of(&tower, &device);
            let x = Tensor::<2>::from_data(TensorData::new(input.clone(), [rows, 6]), &device)
                .require_grad();
            let y = module.forward(x.clone());
            assert!(close(tower.embedding(&pass), &values(y.clone())));
            assert!(close(&BurnTower::embed(&tower, input), tower.embedding(&pass)));
            let upstream = Tensor::<2>::from_data(TensorData::new(upstream, [rows, 4]), &device);
            let mut tape = (y * upstream).sum().backward();
            assert!(close(&input_gradient, &values(x.grad_remove(&mut tape).unwrap())));
            for (layer, (weight, bias)) in module.layers.iter().zip(&gradients.layers) {
                assert!(close(weight, &values(layer.weight.val().grad(&tape).unwrap())));
                assert!(close(
                    bias,
                    &values(layer.bias.as_ref().unwrap().val().grad(&tape).unwrap())
                ));
            }
        }
    }

    #[test]
    fn a_zero_vector_has_no_direction() {
        let mut tower = Tower::new(3, &[], 2, true, 1);
        tower.layers[0].weight.fill(0.0);
        let mut pass = TowerPass::default();
        tower.forward(&[1.0, 2.0, 3.0], &mut pass);
        assert_eq!(tower.embedding(&pass), [0.0, 0.0]);
        assert_eq!(BurnTower::embed(&tower, vec![1.0, 2.0, 3.0]), [0.0, 0.0]);
    }
}
