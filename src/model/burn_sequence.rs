//! The sequence encoders in burn's tensors, sequence by sequence and step by step: the reference that the tests hold the
//! training kernels and the ONNX graphs to.

use super::sequence::{
    Activation, DecoderConfig, EncoderConfig, LstmConfig, Packed, Parameter, Positions, SequenceEncoder,
};
use burn::tensor::{
    Device, Tensor, TensorData,
    activation::{elu, gelu, relu, sigmoid, softmax},
};
use std::collections::HashMap;

const LAYER_NORM_EPSILON: f64 = 1e-5;
const BATCH_NORM_EPSILON: f64 = 1e-3;

/// Added to the scores of tokens that a token may not see.
const MASKED: f32 = -1e9;

/// An encoder's weights as tensors; vectors are one row.
#[derive(Debug)]
pub struct BurnEncoder {
    config: EncoderConfig,
    weights: HashMap<String, Tensor<2>>,
    device: Device,
    /// Normalise by the batch instead of the running statistics.
    batch_statistics: bool,
}

/// The outputs of each sequence's last token in evaluation mode, computed on the CPU: `sequences × output_width`.
pub fn embed(encoder: &SequenceEncoder, packed: &Packed, tokens: &[f32]) -> Vec<f32> {
    let device = Device::flex();
    let input = TensorData::new(tokens.to_vec(), [packed.tokens(), encoder.input_width()]);
    let output = BurnEncoder::of(encoder, &device).forward(packed, Tensor::from_data(input, &device));
    let last = packed.last_rows().map(|row| output.clone().narrow(0, row, 1)).collect();
    Tensor::cat(last, 0).into_data().try_to_vec().expect("the CPU backend computes in f32")
}

impl BurnEncoder {
    /// The reference in evaluation mode.
    pub fn of(encoder: &SequenceEncoder, device: &Device) -> Self {
        let tensor = |parameter: &Parameter<'_>| {
            let columns = parameter.shape[parameter.shape.len() - 1];
            let data = TensorData::new(parameter.values.to_vec(), [parameter.values.len() / columns, columns]);
            Tensor::from_data(data, device)
        };
        let weights = encoder.parameters().iter().map(|p| (p.name.to_owned(), tensor(p))).collect();
        Self { config: encoder.config().clone(), weights, device: device.clone(), batch_statistics: false }
    }

    /// `T × input_width` → `T × output_width`.
    pub fn forward(&self, packed: &Packed, tokens: Tensor<2>) -> Tensor<2> {
        match &self.config {
            EncoderConfig::Decoder(config) => each(packed, tokens, |x| self.decoder(config, x)),
            EncoderConfig::Lstm(config) => self.lstm(config, packed, tokens),
        }
    }

    fn weight(&self, name: &str) -> Tensor<2> {
        self.weights[name].clone()
    }

    fn linear(&self, name: &str, x: Tensor<2>) -> Tensor<2> {
        x.matmul(self.weight(&format!("{name}.weight"))) + self.weight(&format!("{name}.bias"))
    }

    fn layer_norm(&self, name: &str, x: Tensor<2>) -> Tensor<2> {
        let x = x.clone() - x.mean_dim(1);
        let variance = x.clone().powi_scalar(2).mean_dim(1);
        let normed = x / (variance + LAYER_NORM_EPSILON).sqrt();
        normed * self.weight(&format!("{name}.gamma")) + self.weight(&format!("{name}.beta"))
    }

    fn decoder(&self, config: &DecoderConfig, x: Tensor<2>) -> Tensor<2> {
        let [len, width] = x.dims();
        let scale = if config.scale_embedding { (width as f64).sqrt() } else { 1.0 };
        let mut x = x * scale;
        match config.positions {
            Positions::Learned => x = x + self.weight("positions").narrow(0, 0, len),
            Positions::Sinusoidal => x = x + self.sinusoids(len, width),
            Positions::Rotary | Positions::None => {}
        }
        let head_width = width / config.heads;
        for l in 0..config.layers {
            let name = |part: &str| format!("layers.{l}.{part}");
            let qkv = self.linear(&name("qkv"), self.layer_norm(&name("attention_norm"), x.clone()));
            let heads = (0..config.heads).map(|h| {
                let part = |first: usize| {
                    let first = first * width + h * head_width;
                    qkv.clone().slice([0..len, first..first + head_width])
                };
                let (mut query, mut key) = (part(0), part(1));
                if config.positions == Positions::Rotary {
                    (query, key) = (self.rotated(query), self.rotated(key));
                }
                self.attention(query, key, part(2), 1.0 / (head_width as f64).sqrt())
            });
            let attended = Tensor::cat(heads.collect(), 1);
            x = x + self.linear(&name("attention_output"), attended);
            let hidden = self.linear(&name("feed_forward_in"), self.layer_norm(&name("feed_forward_norm"), x.clone()));
            let hidden = match config.activation {
                Activation::Relu => relu(hidden),
                Activation::Gelu => gelu(hidden),
                Activation::Elu => elu(hidden, 1.0),
            };
            x = x + self.linear(&name("feed_forward_out"), hidden);
        }
        if config.final_norm { self.layer_norm("final_norm", x) } else { x }
    }

    fn attention(&self, query: Tensor<2>, key: Tensor<2>, value: Tensor<2>, scale: f64) -> Tensor<2> {
        let [len, _] = query.dims();
        let mask = self.constant(len, len, |i, j| if j > i { MASKED } else { 0.0 });
        softmax(query.matmul(key.transpose()) * scale + mask, 1).matmul(value)
    }

    fn rotated(&self, x: Tensor<2>) -> Tensor<2> {
        let [len, width] = x.dims();
        let half = width / 2;
        let angle = |place: usize, k: usize| place as f64 / 10_000f64.powf((2 * k) as f64 / width as f64);
        let cos = self.constant(len, half, |place, k| angle(place, k).cos() as f32);
        let sin = self.constant(len, half, |place, k| angle(place, k).sin() as f32);
        let (a, b) = (x.clone().slice([0..len, 0..half]), x.slice([0..len, half..width]));
        Tensor::cat(vec![a.clone() * cos.clone() - b.clone() * sin.clone(), a * sin + b * cos], 1)
    }

    fn sinusoids(&self, len: usize, width: usize) -> Tensor<2> {
        self.constant(len, width, |place, k| {
            let angle = place as f64 / 10_000f64.powf((k - k % 2) as f64 / width as f64);
            if k % 2 == 0 { angle.sin() as f32 } else { angle.cos() as f32 }
        })
    }

    fn constant(&self, rows: usize, columns: usize, f: impl Fn(usize, usize) -> f32) -> Tensor<2> {
        let values = (0..rows * columns).map(|i| f(i / columns, i % columns)).collect::<Vec<_>>();
        Tensor::from_data(TensorData::new(values, [rows, columns]), &self.device)
    }

    fn lstm(&self, config: &LstmConfig, packed: &Packed, tokens: Tensor<2>) -> Tensor<2> {
        let mut x = tokens;
        for (l, &hidden) in config.hidden.iter().enumerate() {
            x = each(packed, self.batch_norm(config, l, x), |x| self.cells(l, hidden, x));
        }
        x = self.batch_norm(config, config.hidden.len(), x);
        if !config.attention {
            return x;
        }
        each(packed, x, |x| self.attention(x.clone(), x.clone(), x, 1.0))
    }

    fn batch_norm(&self, config: &LstmConfig, l: usize, x: Tensor<2>) -> Tensor<2> {
        if !config.batch_norm {
            return x;
        }
        let weight = |part: &str| self.weight(&format!("norms.{l}.{part}"));
        let (mean, variance) = if self.batch_statistics {
            let mean = x.clone().mean_dim(0);
            let variance = (x.clone() - mean.clone()).powi_scalar(2).mean_dim(0);
            (mean, variance)
        } else {
            (weight("mean"), weight("variance"))
        };
        (x - mean) / (variance + BATCH_NORM_EPSILON).sqrt() * weight("gamma") + weight("beta")
    }

    /// Hidden states of one sequence.
    fn cells(&self, l: usize, width: usize, x: Tensor<2>) -> Tensor<2> {
        let weight = |part: &str| self.weight(&format!("lstm.{l}.{part}"));
        let [len, _] = x.dims();
        let inputs = x.matmul(weight("input.weight")) + weight("bias");
        let mut cell = self.constant(1, width, |_, _| 0.0);
        let mut hidden = cell.clone();
        let mut all = Vec::with_capacity(len);
        for t in 0..len {
            let gates = inputs.clone().narrow(0, t, 1) + hidden.matmul(weight("recurrent.weight"));
            let gate = |i: usize| gates.clone().slice([0..1, i * width..(i + 1) * width]);
            cell = sigmoid(gate(1)) * cell + sigmoid(gate(0)) * gate(2).tanh();
            hidden = sigmoid(gate(3)) * cell.clone().tanh();
            all.push(hidden.clone());
        }
        Tensor::cat(all, 0)
    }
}

/// Applies `f` to the rows of each sequence.
fn each(packed: &Packed, x: Tensor<2>, f: impl Fn(Tensor<2>) -> Tensor<2>) -> Tensor<2> {
    let parts = (0..packed.sequences()).map(|s| f(x.clone().narrow(0, packed.rows(s).start, packed.rows(s).len())));
    Tensor::cat(parts.collect(), 0)
}

#[cfg(test)]
mod tests {
    use super::super::sequence::Mode;
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    fn configs() -> Vec<EncoderConfig> {
        let decoder = DecoderConfig { heads: 2, feed_forward: 20, dropout: 0.0, ..DecoderConfig::default() };
        let lstm = LstmConfig { hidden: vec![10, 12], ..LstmConfig::default() };
        vec![
            EncoderConfig::Decoder(decoder.clone()),
            EncoderConfig::Decoder(DecoderConfig {
                activation: Activation::Elu,
                positions: Positions::Sinusoidal,
                scale_embedding: true,
                final_norm: false,
                ..decoder.clone()
            }),
            EncoderConfig::Decoder(DecoderConfig {
                layers: 1,
                heads: 3,
                activation: Activation::Relu,
                positions: Positions::Rotary,
                ..decoder.clone()
            }),
            EncoderConfig::Decoder(DecoderConfig { heads: 1, positions: Positions::None, ..decoder }),
            EncoderConfig::Lstm(lstm.clone()),
            EncoderConfig::Lstm(LstmConfig { hidden: vec![7], batch_norm: false, attention: false, ..lstm }),
        ]
    }

    /// An encoder of width 18 with every parameter drawn, running statistics included.
    fn drawn(config: &EncoderConfig, rng: &mut StdRng) -> SequenceEncoder {
        let mut encoder = SequenceEncoder::new(config, 18, 40, 3).unwrap();
        for parameter in encoder.parameters_mut() {
            let statistic = parameter.moments.is_none();
            for value in parameter.values {
                *value += rng.random_range(-0.2..0.2) + if statistic { 0.3 } else { 0.0 };
            }
        }
        encoder
    }

    fn draw(rng: &mut StdRng, n: usize) -> Vec<f32> {
        (0..n).map(|_| rng.random_range(-1f32..1.0)).collect()
    }

    fn values(tensor: Tensor<2>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    #[track_caller]
    fn assert_close(what: &str, got: &[f32], want: &[f32]) {
        assert_eq!(got.len(), want.len(), "{what}");
        let size = want.iter().fold(1e-3f32, |a, b| a.max(b.abs()));
        let worst = got.iter().zip(want).map(|(g, w)| (g - w).abs()).fold(0.0, f32::max);
        assert!(worst <= 1e-4 * size, "{what}: {worst} off in values up to {size}");
    }

    #[test]
    fn the_kernels_are_the_reference_forward_and_backward() {
        let mut rng = StdRng::seed_from_u64(5);
        // Lengths about the width of a vector; more tokens than a block.
        let packed = Packed::of([1, 7, 2, 40, 1, 16, 17, 5, 33, 40, 40, 40, 40, 3]);
        for config in configs() {
            let mut encoder = drawn(&config, &mut rng);
            let rows = packed.tokens();
            let (tokens, upstream) = (draw(&mut rng, rows * 18), draw(&mut rng, rows * encoder.output_width()));
            let device = Device::flex().autodiff();
            let mut module = BurnEncoder::of(&encoder, &device);
            module.weights.values_mut().for_each(|weight| *weight = weight.clone().require_grad());
            let x = Tensor::<2>::from_data(TensorData::new(tokens.clone(), [rows, 18]), &device).require_grad();
            let evaluated = values(module.forward(&packed, x.clone()));
            assert_close("evaluation", encoder.forward(&packed, &tokens, Mode::Evaluation), &evaluated);
            let width = encoder.output_width();
            let last: Vec<f32> =
                packed.last_rows().flat_map(|row| evaluated[row * width..(row + 1) * width].to_vec()).collect();
            assert_close("embed", &encoder.embed(&packed, &tokens), &last);
            assert_close("reference", &embed(&encoder, &packed, &tokens), &last);

            module.batch_statistics = true;
            let y = module.forward(&packed, x.clone());
            let mut by_tokens = Vec::new();
            // Twice, and another batch between: what a pass leaves must not leak into the next.
            for _ in 0..2 {
                let other = Packed::of([3, 40]);
                encoder.forward(&other, &tokens[..43 * 18], Mode::Training { seed: 1 });
                assert_close(
                    "training",
                    encoder.forward(&packed, &tokens, Mode::Training { seed: 1 }),
                    &values(y.clone()),
                );
                encoder.backward(&packed, &mut upstream.clone(), &mut by_tokens);
            }
            let upstream = Tensor::<2>::from_data(TensorData::new(upstream, [rows, width]), &device);
            let tape = (y * upstream).sum().backward();
            assert_close("by tokens", &by_tokens, &values(x.grad(&tape).unwrap()));
            for gradient in encoder.gradients() {
                let want = module.weights[gradient.name].grad(&tape).unwrap();
                assert_close(gradient.name, gradient.values, &values(want));
            }
        }
    }
}
