//! Sequence encoders: a customer's history in, a vector for every position out.
//!
//! Two families, a decoder transformer ([`DecoderConfig`]) and an LSTM ([`LstmConfig`]), written
//! out forward and backward over *packed* sequences ([`Packed`]): no padding, so a batch costs its
//! tokens and not its longest history. The encoder knows neither items nor losses: tokens come in
//! as rows (gathered from tables by the caller) and leave as rows, one a token; `by_tokens` of the
//! backward pass goes back to the tables.
//!
//! ```text
//! tokens  T × input_width   →  forward   →  outputs  T × output_width   (row i sees tokens 0..=i of its sequence only)
//! by_tokens                 ←  backward  ←  by_output
//! ```
//!
//! A training step is `forward(Training)`, the loss, `backward`, optionally `gradient_norm` +
//! `scale_gradients`, `update`. Results are the same bits for the same seed and thread count, see
//! [`super`].

mod attention;
mod batch_norm;
mod config;
mod decoder;
mod kernels;
mod linear;
mod lstm;
mod norm;
mod parameters;
mod plan;
mod product;
mod time_major;

pub use config::{Activation, DecoderConfig, EncoderConfig, LstmConfig, Positions, SequenceError};
pub use decoder::sinusoids;
pub use parameters::{Parameter, ParameterMut};

use super::adamw::AdamW;
use decoder::Decoder;
use lstm::Lstm;
use parameters::Parameters;

/// Sequences laid end to end: tokens of sequence `s` are the rows `offsets[s]..offsets[s + 1]`,
/// oldest first. None is empty; the first offset is 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    pub offsets: Vec<u32>,
}

impl Default for Packed {
    fn default() -> Self {
        Self { offsets: vec![0] }
    }
}

impl Packed {
    /// Of sequences with these lengths.
    pub fn of(lengths: impl IntoIterator<Item = usize>) -> Self {
        let mut packed = Self::default();
        lengths.into_iter().for_each(|length| packed.push(length));
        packed
    }

    /// One more sequence.
    ///
    /// # Panics
    /// When it is empty.
    pub fn push(&mut self, length: usize) {
        assert!(length > 0, "a sequence without tokens");
        self.offsets.push((self.tokens() + length) as u32);
    }

    pub fn sequences(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Tokens of all sequences: the rows of inputs and outputs.
    pub fn tokens(&self) -> usize {
        self.offsets[self.offsets.len() - 1] as usize
    }

    /// The rows of sequence `s`.
    pub fn rows(&self, s: usize) -> std::ops::Range<usize> {
        self.offsets[s] as usize..self.offsets[s + 1] as usize
    }

    /// The sequences in at most `count` runs of about as many tokens.
    pub(super) fn runs(&self, count: usize) -> Vec<std::ops::Range<usize>> {
        plan::cut(self, count)
    }

    /// The last row of each sequence: where the next item is predicted.
    pub fn last_rows(&self) -> impl Iterator<Item = usize> + '_ {
        self.offsets[1..].iter().map(|&end| end as usize - 1)
    }
}

/// How a forward pass is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Drops at random, by this seed (another one each step); normalises by the batch; keeps what
    /// `backward` needs.
    Training { seed: u64 },
    /// Drops nothing, normalises by running statistics.
    Evaluation,
}

/// An encoder with its weights, gradients and optimiser state.
#[derive(Debug, Clone)]
pub struct SequenceEncoder {
    config: EncoderConfig,
    parameters: Parameters,
    network: Network,
    output: Vec<f32>,
}

#[derive(Debug, Clone)]
enum Network {
    Decoder(Decoder),
    Lstm(Lstm),
}

impl SequenceEncoder {
    /// Freshly drawn weights for tokens of width `input` and sequences of at most `length` tokens.
    ///
    /// # Errors
    /// Sizes that do not fit together, such as heads that do not divide the width.
    pub fn new(
        config: &EncoderConfig,
        input: usize,
        length: usize,
        seed: u64,
    ) -> Result<Self, SequenceError> {
        config.check(input, length)?;
        let mut parameters = Parameters::new(seed);
        let network = match config {
            EncoderConfig::Decoder(decoder) => {
                Network::Decoder(Decoder::new(decoder, input, length, &mut parameters))
            }
            EncoderConfig::Lstm(lstm) => {
                Network::Lstm(Lstm::new(lstm, input, length, &mut parameters))
            }
        };
        parameters.finish();
        Ok(Self { config: config.clone(), parameters, network, output: Vec::new() })
    }

    pub fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// Width of a token's row.
    pub fn input_width(&self) -> usize {
        match &self.network {
            Network::Decoder(decoder) => decoder.width,
            Network::Lstm(lstm) => lstm.input,
        }
    }

    /// Width of an output row: the decoder's is its input's, the LSTM's its last hidden layer's.
    pub fn output_width(&self) -> usize {
        match &self.network {
            Network::Decoder(decoder) => decoder.width,
            Network::Lstm(lstm) => lstm.width(),
        }
    }

    /// The longest sequence it was made for.
    pub fn length(&self) -> usize {
        match &self.network {
            Network::Decoder(decoder) => decoder.length,
            Network::Lstm(lstm) => lstm.length,
        }
    }

    /// The outputs, `T × output_width`, of tokens `T × input_width`.
    ///
    /// # Panics
    /// When `tokens` is not of this size or a sequence longer than [`length`](Self::length).
    pub fn forward(&mut self, packed: &Packed, tokens: &[f32], mode: Mode) -> &[f32] {
        self.check(packed, tokens);
        self.output.resize(packed.tokens() * self.output_width(), 0.0);
        let Self { parameters, network, output, .. } = self;
        match network {
            Network::Decoder(decoder) => decoder.forward(parameters, packed, tokens, mode, output),
            Network::Lstm(lstm) => lstm.forward(parameters, packed, tokens, mode, output),
        }
        output
    }

    /// The last token's output of each sequence in evaluation mode: `sequences × output_width`.
    /// Works through the sequences in blocks, so that memory does not grow with their number.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn embed(&self, packed: &Packed, tokens: &[f32]) -> Vec<f32> {
        self.check(packed, tokens);
        let mut out = vec![0.0; packed.sequences() * self.output_width()];
        match &self.network {
            Network::Decoder(decoder) => decoder.embed(&self.parameters, packed, tokens, &mut out),
            Network::Lstm(lstm) => lstm.embed(&self.parameters, packed, tokens, &mut out),
        }
        out
    }

    fn check(&self, packed: &Packed, tokens: &[f32]) {
        assert_eq!(
            tokens.len(),
            packed.tokens() * self.input_width(),
            "tokens are not T × input width"
        );
        let longest = (0..packed.sequences()).map(|s| packed.rows(s).len()).max().unwrap_or(0);
        assert!(
            longest <= self.length(),
            "a sequence of {longest} tokens, at most {} can be",
            self.length()
        );
        debug_assert!(packed.offsets.windows(2).all(|pair| pair[0] < pair[1]), "an empty sequence");
    }

    /// Given the gradient by the outputs of the last `forward` in training mode (same `packed`),
    /// computes those by the parameters, kept inside, and by the tokens (`T × input_width`).
    /// `by_output` is used as working space.
    ///
    /// # Panics
    /// When the last forward pass was not in training mode or of another size.
    pub fn backward(&mut self, packed: &Packed, by_output: &mut [f32], by_tokens: &mut Vec<f32>) {
        assert_eq!(
            by_output.len(),
            packed.tokens() * self.output_width(),
            "gradients are not T × output width"
        );
        by_tokens.resize(packed.tokens() * self.input_width(), 0.0);
        match &mut self.network {
            Network::Decoder(decoder) => {
                decoder.backward(&mut self.parameters, by_output, by_tokens)
            }
            Network::Lstm(lstm) => lstm.backward(&mut self.parameters, by_output, by_tokens),
        }
    }

    /// Euclidean length of the whole gradient; not finite if any entry is not.
    pub fn gradient_norm(&self) -> f64 {
        self.parameters.gradient_norm()
    }

    /// Multiplies the gradient, as clipping to a norm does.
    pub fn scale_gradients(&mut self, factor: f32) {
        self.parameters.scale_gradients(factor);
    }

    /// Step `t` (from 1) of the optimiser.
    pub fn update(&mut self, optimizer: &AdamW, t: u32) {
        self.parameters.update(optimizer, t);
    }

    /// Every weight and running statistic by name, for checkpoints and export. A dense layer is `y
    /// = x·weight + bias` with a weight of `inputs × outputs`.
    ///
    /// Decoder of width `d`: `positions` (length × d, where learned) · for each layer `l`:
    /// `layers.l.attention_norm.{gamma, beta}`, `layers.l.qkv.{weight, bias}` (d × 3d: queries,
    /// keys, values; within each, head by head), `layers.l.attention_output.{weight, bias}`,
    /// `layers.l.feed_forward_norm.{gamma, beta}`, `layers.l.feed_forward_in.{weight, bias}`,
    /// `layers.l.feed_forward_out.{weight, bias}`, and where sub-layers are gated
    /// `layers.l.attention_gate.{weight, bias}`, `layers.l.feed_forward_gate.{weight, bias}` ·
    /// `final_norm.{gamma, beta}`.
    ///
    /// LSTM: for each layer `l`, `norms.l.{gamma, beta, mean, variance}` before it and one more
    /// after the last · `lstm.l.input.weight` (in × 4h), `lstm.l.recurrent.weight` (h × 4h),
    /// `lstm.l.bias`, gates in the order input, forget, cell, output.
    pub fn parameters(&self) -> Vec<Parameter<'_>> {
        self.parameters.all()
    }

    /// The mutable twin of [`parameters`](Self::parameters), with the optimiser's moments.
    pub fn parameters_mut(&mut self) -> Vec<ParameterMut<'_>> {
        self.parameters.all_mut()
    }

    /// The gradients of the last backward pass, in the order of [`parameters`](Self::parameters);
    /// those of running statistics are left out.
    pub fn gradients(&self) -> Vec<Parameter<'_>> {
        self.parameters.gradients()
    }
}

#[cfg(test)]
mod tests;
