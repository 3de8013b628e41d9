//! The shapes of sequence encoders, as a training configuration names them.

use serde::{Deserialize, Serialize};

/// Which encoder, with its settings: the key `encoder` is `decoder` or `lstm`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "encoder", rename_all = "kebab-case")]
pub enum EncoderConfig {
    Decoder(DecoderConfig),
    Lstm(LstmConfig),
}

/// A decoder transformer with pre-norm blocks (Vaswani et al. 2017, arXiv:1706.03762; Radford et
/// al. 2019): LayerNorm → causal attention → residual, LayerNorm → feed-forward → residual. Its
/// width is that of its tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DecoderConfig {
    /// Blocks.
    pub layers: usize,
    /// Attention heads; they divide the width.
    pub heads: usize,
    /// Width of the hidden layer of the feed-forward part.
    pub feed_forward: usize,
    pub activation: Activation,
    pub positions: Positions,
    /// Share of values dropped in training: after the input embedding, the attention output and the
    /// feed-forward part.
    pub dropout: f32,
    /// A LayerNorm after the last block.
    pub final_norm: bool,
    /// Multiply the tokens by √width before positions are added.
    pub scale_embedding: bool,
    /// What attention and the feed-forward part add to the residual stream `x` is multiplied by
    /// `σ(x·W + b)` first, a gate of its own each: the blocks of LiGR (arXiv:2502.03417).
    pub gated: bool,
    /// Every token sees the whole sequence, as in the encoder of a masked language model
    /// ([`crate::model::MaskedModel`]). No key of a configuration: next-item models must not see
    /// what they are asked for.
    #[serde(skip)]
    pub bidirectional: bool,
}

impl DecoderConfig {
    /// Outputs of the first layer of the feed-forward part.
    pub fn feed_forward_outputs(&self) -> usize {
        if self.activation == Activation::Swiglu {
            2 * self.feed_forward
        } else {
            self.feed_forward
        }
    }
}

impl Default for DecoderConfig {
    fn default() -> Self {
        Self {
            layers: 2,
            heads: 2,
            feed_forward: 256,
            activation: Activation::Gelu,
            positions: Positions::Learned,
            dropout: 0.2,
            final_norm: true,
            scale_embedding: false,
            gated: false,
            bidirectional: false,
        }
    }
}

/// Non-linearity of the feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    Relu,
    /// `x·Φ(x)` with the exact normal distribution function (Hendrycks & Gimpel 2016,
    /// arXiv:1606.08415).
    Gelu,
    /// `x` above 0, `eˣ − 1` below (Clevert et al. 2016, arXiv:1511.07289).
    Elu,
    /// `a·σ(a)·b` of two hidden layers `a` and `b` (Shazeer 2020, arXiv:2002.05202): the first
    /// layer of the feed-forward part is twice as wide.
    Swiglu,
}

/// What tells a token its place. Places are counted from the start of the sequence, whose first
/// token has place 0, unless a variant says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Positions {
    /// A trained vector a place, added to the token.
    Learned,
    /// The same with places counted from the end of the sequence: its last token has place 0. A
    /// model then knows which token is the newest and how old the others are (the inverse
    /// positions of RecTools, arXiv:2508.06450). Training asks at every place, serving always at
    /// place 0.
    LearnedFromEnd,
    /// Added: `sin(p / 10000^(2k/d))` at dimension `2k`, the cosine at `2k + 1` (Vaswani et al.
    /// 2017).
    Sinusoidal,
    /// Queries and keys of each head are rotated by angles `p / 10000^(2k/h)`, `h` the head's width
    /// (Su et al. 2021, arXiv:2104.09864). The pairs rotated together are dimensions `k` and `k +
    /// h/2`: the paper's pairs `2k`, `2k + 1` up to a fixed reordering of the weights.
    Rotary,
    None,
}

/// LSTM layers (Hochreiter & Schmidhuber 1997), each optionally after BatchNorm, optionally with
/// attention at the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LstmConfig {
    /// Width of each layer.
    pub hidden: Vec<usize>,
    /// BatchNorm over the batch's tokens (Ioffe & Szegedy 2015, arXiv:1502.03167) before every
    /// layer and after the last.
    pub batch_norm: bool,
    /// Causal dot-product self-attention over the outputs: queries, keys and values are the outputs
    /// themselves, scores are not scaled.
    pub attention: bool,
    /// Share of every layer's outputs dropped in training.
    pub dropout: f32,
}

impl Default for LstmConfig {
    fn default() -> Self {
        Self { hidden: vec![128], batch_norm: true, attention: true, dropout: 0.0 }
    }
}

/// Why an encoder cannot be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SequenceError {
    #[error("{0} must be at least 1")]
    Zero(&'static str),
    #[error("heads = {heads} does not divide the width {width} of a token; choose a divisor")]
    Heads { heads: usize, width: usize },
    #[error("rotary positions need heads of even width; {width} / {heads} is odd")]
    OddHead { heads: usize, width: usize },
    #[error("dropout = {0} is not in [0, 1)")]
    Dropout(f32),
}

impl EncoderConfig {
    /// # Errors
    /// What [`super::SequenceEncoder::new`] would refuse, for tokens of this width and sequences of
    /// this length.
    pub fn check(&self, width: usize, length: usize) -> Result<(), SequenceError> {
        let at_least_one =
            |name, value| if value == 0 { Err(SequenceError::Zero(name)) } else { Ok(()) };
        at_least_one("the width of a token", width)?;
        at_least_one("the length of a sequence", length)?;
        let dropout = match self {
            Self::Decoder(config) => {
                at_least_one("layers", config.layers)?;
                at_least_one("heads", config.heads)?;
                at_least_one("feed_forward", config.feed_forward)?;
                let heads = config.heads;
                if !width.is_multiple_of(heads) {
                    return Err(SequenceError::Heads { heads, width });
                }
                if config.positions == Positions::Rotary && !(width / heads).is_multiple_of(2) {
                    return Err(SequenceError::OddHead { heads, width });
                }
                config.dropout
            }
            Self::Lstm(config) => {
                at_least_one("the number of hidden layers", config.hidden.len())?;
                config
                    .hidden
                    .iter()
                    .try_for_each(|&hidden| at_least_one("a hidden layer", hidden))?;
                config.dropout
            }
        };
        if (0.0..1.0).contains(&dropout) { Ok(()) } else { Err(SequenceError::Dropout(dropout)) }
    }

    /// Width of an output row for tokens of this width.
    pub fn output_width(&self, width: usize) -> usize {
        match self {
            Self::Decoder(_) => width,
            Self::Lstm(config) => config.hidden.last().copied().unwrap_or(width),
        }
    }
}
