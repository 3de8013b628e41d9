//! The sequence encoders in burn's tensors, on any device of burn's: the reference that the tests
//! compare the training kernels with, and what trains on a GPU (`DeviceSequenceModel`).
//!
//! A batch is padded to its longest sequence ([`Padded`]), tokens first. A token sees none after
//! it, and padding comes after all tokens: the causal mask keeps it out of attention, and BatchNorm
//! leaves it out by `Padded::real`.

use super::sequence::{
    Activation, DecoderConfig, EncoderConfig, LstmConfig, Packed, Parameter, Positions,
    SequenceEncoder,
};
use burn::tensor::{
    Device, Distribution, Int, Tensor, TensorData,
    activation::{elu, gelu, relu, sigmoid, softmax},
};
use std::collections::HashMap;

const LAYER_NORM_EPSILON: f64 = 1e-5;
const BATCH_NORM_EPSILON: f64 = 1e-3;

/// Added to the scores of tokens that a token may not see.
const MASKED: f32 = -1e9;

/// Packed sequences as a batch padded to its longest: `sequences · longest` rows, sequence after
/// sequence.
#[derive(Debug)]
pub struct Padded {
    sequences: usize,
    longest: usize,
    tokens: usize,
    /// For each row the packed row there; the one after the last where there is none.
    sources: Tensor<1, Int>,
    /// For each packed row its row of the batch.
    places: Tensor<1, Int>,
    /// 1 where a row holds a token, else 0: `rows × 1`.
    real: Tensor<2>,
    /// How many tokens of its sequence follow each row's; 0 where there is none.
    following: Tensor<1, Int>,
}

/// Mean and variance of a BatchNorm's inputs, `1 × width` each.
pub type Statistics = [Tensor<2>; 2];

/// An encoder's weights as tensors; vectors are one row.
#[derive(Debug)]
pub struct BurnEncoder {
    config: EncoderConfig,
    weights: HashMap<String, Tensor<2>>,
    /// Drop at random; normalise by the batch instead of the running statistics.
    training: bool,
}

/// The outputs of each sequence's last token in evaluation mode, computed on the CPU: `sequences ×
/// output_width`.
#[cfg(test)]
pub fn embed(encoder: &SequenceEncoder, packed: &Packed, tokens: &[f32]) -> Vec<f32> {
    let device = Device::flex();
    let padded = Padded::new(packed, &device);
    let input = TensorData::new(tokens.to_vec(), [packed.tokens(), encoder.input_width()]);
    let input = padded.spread(Tensor::from_data(input, &device));
    let (output, _) = BurnEncoder::of(encoder, &device).forward(&padded, input);
    let last = padded.collect(output).select(0, index(packed.last_rows(), &device));
    last.into_data().try_to_vec().expect("the CPU backend computes in f32")
}

/// Numbers of rows as a tensor.
pub fn index(rows: impl Iterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let rows: Vec<i32> = rows.map(|row| row as i32).collect();
    let count = rows.len();
    Tensor::from_data(TensorData::new(rows, [count]), device)
}

impl Padded {
    pub fn new(packed: &Packed, device: &Device) -> Self {
        let (sequences, tokens) = (packed.sequences(), packed.tokens());
        let longest = (0..sequences).map(|s| packed.rows(s).len()).max().unwrap_or(0);
        let row = |s: usize, i: usize| packed.rows(s).nth(i).unwrap_or(tokens);
        let sources: Vec<usize> =
            (0..sequences).flat_map(|s| (0..longest).map(move |i| row(s, i))).collect();
        let real: Vec<f32> =
            sources.iter().map(|&source| f32::from(u8::from(source < tokens))).collect();
        let places =
            (0..sequences).flat_map(|s| (0..packed.rows(s).len()).map(move |i| s * longest + i));
        let following = (0..sequences)
            .flat_map(|s| (0..longest).map(move |i| packed.rows(s).len().saturating_sub(i + 1)));
        Self {
            sequences,
            longest,
            tokens,
            following: index(following, device),
            real: Tensor::from_data(TensorData::new(real, [sequences * longest, 1]), device),
            places: index(places, device),
            sources: index(sources.into_iter(), device),
        }
    }

    /// Packed rows as rows of the batch, padding zero.
    pub fn spread(&self, packed: Tensor<2>) -> Tensor<2> {
        with_zero_row(packed).select(0, self.sources.clone())
    }

    /// Packed rows as `sequences × longest × width`, padding zero.
    pub fn blocks(&self, packed: Tensor<2>) -> Tensor<3> {
        let width = packed.dims()[1];
        self.spread(packed).reshape([self.sequences, self.longest, width])
    }

    /// The other way.
    pub fn collect_blocks(&self, blocks: Tensor<3>) -> Tensor<2> {
        let [sequences, longest, width] = blocks.dims();
        self.collect(blocks.reshape([sequences * longest, width]))
    }

    /// Rows of the batch as packed rows.
    pub fn collect(&self, padded: Tensor<2>) -> Tensor<2> {
        padded.select(0, self.places.clone())
    }
}

/// One more row, of zeros: what an index one past the end means.
pub fn with_zero_row(rows: Tensor<2>) -> Tensor<2> {
    let zero = Tensor::zeros([1, rows.dims()[1]], &rows.device());
    Tensor::cat(vec![rows, zero], 0)
}

impl BurnEncoder {
    /// An encoder as it stands, in evaluation mode.
    pub fn of(encoder: &SequenceEncoder, device: &Device) -> Self {
        let tensor = |parameter: &Parameter<'_>| {
            Tensor::from_data(
                TensorData::new(parameter.values.to_vec(), matrix(parameter.shape)),
                device,
            )
        };
        let weights = encoder.parameters().iter().map(|p| (p.name.to_owned(), tensor(p))).collect();
        Self { config: encoder.config().clone(), weights, training: false }
    }

    /// In training mode; running statistics are not among the weights.
    pub fn training(config: &EncoderConfig, weights: HashMap<String, Tensor<2>>) -> Self {
        Self { config: config.clone(), weights, training: true }
    }

    /// `rows × input_width` → `rows × output_width`, and each BatchNorm's statistics of the batch,
    /// where in training mode.
    pub fn forward(&self, padded: &Padded, x: Tensor<2>) -> (Tensor<2>, Vec<Statistics>) {
        match &self.config {
            EncoderConfig::Decoder(config) => (self.decoder(config, padded, x), Vec::new()),
            EncoderConfig::Lstm(config) => self.lstm(config, padded, x),
        }
    }

    /// By name, as [`SequenceEncoder::parameters`] has it.
    pub fn weight(&self, name: &str) -> Tensor<2> {
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

    fn dropout(&self, share: f32, x: Tensor<2>) -> Tensor<2> {
        if !self.training || share == 0.0 {
            return x;
        }
        let kept = 1.0 - f64::from(share);
        let mask = Tensor::random(x.dims(), Distribution::Bernoulli(kept), &x.device()) / kept;
        x * mask
    }

    fn decoder(&self, config: &DecoderConfig, padded: &Padded, x: Tensor<2>) -> Tensor<2> {
        let ([rows, width], device) = (x.dims(), x.device());
        let &Padded { sequences, longest, .. } = padded;
        let scale = if config.scale_embedding { (width as f64).sqrt() } else { 1.0 };
        let mut x = x * scale;
        if config.positions == Positions::LearnedFromEnd {
            x = x + self.weight("positions").select(0, padded.following.clone());
        }
        let positions = match config.positions {
            Positions::Learned => Some(self.weight("positions").narrow(0, 0, longest)),
            Positions::Sinusoidal => Some(sinusoids(longest, width, &device)),
            Positions::LearnedFromEnd | Positions::Rotary | Positions::None => None,
        };
        if let Some(positions) = positions {
            x = (x.reshape([sequences, longest, width]) + positions.unsqueeze::<3>())
                .reshape([rows, width]);
        }
        x = self.dropout(config.dropout, x);
        let head_width = width / config.heads;
        let mask = causal(longest, &device);
        for l in 0..config.layers {
            let name = |part: &str| format!("layers.{l}.{part}");
            let qkv =
                self.linear(&name("qkv"), self.layer_norm(&name("attention_norm"), x.clone()));
            let part = |i: usize| {
                let part = qkv.clone().narrow(1, i * width, width);
                part.reshape([sequences, longest, config.heads, head_width]).swap_dims(1, 2)
            };
            let (mut query, mut key) = (part(0), part(1));
            if config.positions == Positions::Rotary {
                (query, key) = (rotated(query), rotated(key));
            }
            let scale = 1.0 / (head_width as f64).sqrt();
            let attended = attention([query, key, part(2)], scale, mask.clone());
            let attended = self
                .linear(&name("attention_output"), attended.swap_dims(1, 2).reshape([rows, width]));
            let attended = self.dropout(config.dropout, attended);
            x = x.clone() + self.gated(config, &name("attention_gate"), x, attended);
            let hidden = self.linear(
                &name("feed_forward_in"),
                self.layer_norm(&name("feed_forward_norm"), x.clone()),
            );
            let hidden = match config.activation {
                Activation::Relu => relu(hidden),
                Activation::Gelu => gelu(hidden),
                Activation::Elu => elu(hidden, 1.0),
                Activation::Swiglu => {
                    let half = |i: usize| {
                        hidden.clone().narrow(1, i * config.feed_forward, config.feed_forward)
                    };
                    half(0) * sigmoid(half(0)) * half(1)
                }
            };
            let y = self.dropout(config.dropout, self.linear(&name("feed_forward_out"), hidden));
            x = x.clone() + self.gated(config, &name("feed_forward_gate"), x, y);
        }
        if config.final_norm { self.layer_norm("final_norm", x) } else { x }
    }

    /// What a sub-layer made of the residual stream, through its gate where it has one.
    fn gated(&self, config: &DecoderConfig, gate: &str, x: Tensor<2>, y: Tensor<2>) -> Tensor<2> {
        if config.gated { sigmoid(self.linear(gate, x)) * y } else { y }
    }

    fn lstm(
        &self,
        config: &LstmConfig,
        padded: &Padded,
        x: Tensor<2>,
    ) -> (Tensor<2>, Vec<Statistics>) {
        let (mut x, mut statistics) = (x, Vec::new());
        let norm = |l: usize, x, statistics: &mut Vec<_>| {
            if config.batch_norm { self.batch_norm(l, padded, x, statistics) } else { x }
        };
        for (l, &hidden) in config.hidden.iter().enumerate() {
            x = self.cells(l, hidden, padded, norm(l, x, &mut statistics));
            x = self.dropout(config.dropout, x);
        }
        x = norm(config.hidden.len(), x, &mut statistics);
        if config.attention {
            let [rows, width] = x.dims();
            let whole = x.reshape([padded.sequences, 1, padded.longest, width]);
            let mask = causal(padded.longest, &whole.device());
            x = attention([whole.clone(), whole.clone(), whole], 1.0, mask).reshape([rows, width]);
        }
        (x, statistics)
    }

    fn batch_norm(
        &self,
        l: usize,
        padded: &Padded,
        x: Tensor<2>,
        statistics: &mut Vec<Statistics>,
    ) -> Tensor<2> {
        let weight = |part: &str| self.weight(&format!("norms.{l}.{part}"));
        let (mean, variance) = if self.training {
            let mean_of =
                |x: Tensor<2>| (x * padded.real.clone()).sum_dim(0) / padded.tokens as f64;
            let mean = mean_of(x.clone());
            let variance = mean_of((x.clone() - mean.clone()).powi_scalar(2));
            statistics.push([mean.clone().inner(), variance.clone().inner()]);
            (mean, variance)
        } else {
            (weight("mean"), weight("variance"))
        };
        (x - mean) / (variance + BATCH_NORM_EPSILON).sqrt() * weight("gamma") + weight("beta")
    }

    /// Hidden states, all sequences a step at a time. One product a step for the input and the
    /// state together: many small products would leave a GPU idle.
    fn cells(&self, l: usize, width: usize, padded: &Padded, x: Tensor<2>) -> Tensor<2> {
        let weight = |part: &str| self.weight(&format!("lstm.{l}.{part}"));
        let &Padded { sequences, longest, .. } = padded;
        let ([rows, inputs], device) = (x.dims(), x.device());
        let x = x.reshape([sequences, longest, inputs]);
        let weights = Tensor::cat(vec![weight("input.weight"), weight("recurrent.weight")], 0);
        let mut cell = Tensor::<2>::zeros([sequences, width], &device);
        let mut hidden = cell.clone();
        let mut all = Vec::with_capacity(longest);
        for t in 0..longest {
            let now = x.clone().narrow(1, t, 1).reshape([sequences, inputs]);
            let gates = Tensor::cat(vec![now, hidden], 1).matmul(weights.clone()) + weight("bias");
            let gate = |i: usize| gates.clone().narrow(1, i * width, width);
            cell = sigmoid(gate(1)) * cell + sigmoid(gate(0)) * gate(2).tanh();
            hidden = sigmoid(gate(3)) * cell.clone().tanh();
            all.push(hidden.clone());
        }
        Tensor::stack::<3>(all, 1).reshape([rows, width])
    }
}

/// A parameter's shape as a matrix: a vector is one row.
pub fn matrix(shape: &[usize]) -> [usize; 2] {
    let columns = shape[shape.len() - 1];
    [shape.iter().product::<usize>() / columns, columns]
}

/// Queries, keys and values are `sequences × heads × longest × width`.
fn attention([query, key, value]: [Tensor<4>; 3], scale: f64, mask: Tensor<4>) -> Tensor<4> {
    softmax(query.matmul(key.swap_dims(2, 3)) * scale + mask, 3).matmul(value)
}

fn causal(len: usize, device: &Device) -> Tensor<4> {
    constant(len, len, |i, j| if j > i { MASKED } else { 0.0 }, device).unsqueeze()
}

fn rotated(x: Tensor<4>) -> Tensor<4> {
    let ([_, _, len, width], device) = (x.dims(), x.device());
    let half = width / 2;
    let angle =
        |place: usize, k: usize| place as f64 / 10_000f64.powf((2 * k) as f64 / width as f64);
    let cos =
        constant(len, half, |place, k| angle(place, k).cos() as f32, &device).unsqueeze::<4>();
    let sin =
        constant(len, half, |place, k| angle(place, k).sin() as f32, &device).unsqueeze::<4>();
    let (a, b) = (x.clone().narrow(3, 0, half), x.narrow(3, half, half));
    Tensor::cat(vec![a.clone() * cos.clone() - b.clone() * sin.clone(), a * sin + b * cos], 3)
}

fn sinusoids(len: usize, width: usize, device: &Device) -> Tensor<2> {
    let value = |place: usize, k: usize| {
        let angle = place as f64 / 10_000f64.powf((k - k % 2) as f64 / width as f64);
        if k.is_multiple_of(2) { angle.sin() as f32 } else { angle.cos() as f32 }
    };
    constant(len, width, value, device)
}

fn constant(
    rows: usize,
    columns: usize,
    f: impl Fn(usize, usize) -> f32,
    device: &Device,
) -> Tensor<2> {
    let values = (0..rows * columns).map(|i| f(i / columns, i % columns)).collect::<Vec<_>>();
    Tensor::from_data(TensorData::new(values, [rows, columns]), device)
}

#[cfg(test)]
mod tests {
    use super::super::sequence::Mode;
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    fn configs() -> Vec<EncoderConfig> {
        let decoder =
            DecoderConfig { heads: 2, feed_forward: 20, dropout: 0.0, ..DecoderConfig::default() };
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
            EncoderConfig::Decoder(DecoderConfig {
                heads: 1,
                positions: Positions::None,
                ..decoder.clone()
            }),
            EncoderConfig::Decoder(DecoderConfig {
                positions: Positions::LearnedFromEnd,
                ..decoder.clone()
            }),
            EncoderConfig::Decoder(DecoderConfig {
                gated: true,
                activation: Activation::Swiglu,
                final_norm: false,
                ..decoder
            }),
            EncoderConfig::Lstm(lstm.clone()),
            EncoderConfig::Lstm(LstmConfig { attention: false, ..lstm.clone() }),
            EncoderConfig::Lstm(LstmConfig { batch_norm: false, ..lstm.clone() }),
            EncoderConfig::Lstm(LstmConfig {
                hidden: vec![7],
                batch_norm: false,
                attention: false,
                ..lstm
            }),
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
            let (tokens, upstream) =
                (draw(&mut rng, rows * 18), draw(&mut rng, rows * encoder.output_width()));
            let device = Device::flex().autodiff();
            let mut module = BurnEncoder::of(&encoder, &device);
            module.weights.values_mut().for_each(|weight| *weight = weight.clone().require_grad());
            let x = Tensor::<2>::from_data(TensorData::new(tokens.clone(), [rows, 18]), &device)
                .require_grad();
            let padded = Padded::new(&packed, &device);
            let run = |module: &BurnEncoder| {
                padded.collect(module.forward(&padded, padded.spread(x.clone())).0)
            };
            let evaluated = values(run(&module));
            assert_close(
                "evaluation",
                encoder.forward(&packed, &tokens, Mode::Evaluation),
                &evaluated,
            );
            let width = encoder.output_width();
            let last: Vec<f32> = packed
                .last_rows()
                .flat_map(|row| evaluated[row * width..(row + 1) * width].to_vec())
                .collect();
            assert_close("embed", &encoder.embed(&packed, &tokens), &last);
            assert_close("reference", &embed(&encoder, &packed, &tokens), &last);

            module.training = true;
            let y = run(&module);
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
            let upstream =
                Tensor::<2>::from_data(TensorData::new(upstream, [rows, width]), &device);
            let tape = (y * upstream).sum().backward();
            assert_close("by tokens", &by_tokens, &values(x.grad(&tape).unwrap()));
            for gradient in encoder.gradients() {
                let want = module.weights[gradient.name].grad(&tape).unwrap();
                assert_close(gradient.name, gradient.values, &values(want));
            }
        }
    }

    #[test]
    fn neighbours_and_padding_change_nothing() {
        let mut rng = StdRng::seed_from_u64(6);
        let packed = Packed::of([4, 40, 1]);
        let tokens = draw(&mut rng, packed.tokens() * 18);
        for config in configs() {
            let encoder = drawn(&config, &mut rng);
            let together = embed(&encoder, &packed, &tokens);
            for s in 0..packed.sequences() {
                let rows = packed.rows(s);
                let alone = embed(
                    &encoder,
                    &Packed::of([rows.len()]),
                    &tokens[rows.start * 18..rows.end * 18],
                );
                assert_close("alone", &alone, &together[s * alone.len()..(s + 1) * alone.len()]);
            }
        }
    }
}
