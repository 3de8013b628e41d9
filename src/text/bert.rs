//! The transformer of BERT (Devlin et al. 2019, arXiv:1810.04805) and its like, forward only.
//!
//! Texts are laid one after the other without padding, so that every product but attention's runs
//! over all tokens at once and none is wasted. Each layer normalises behind its two residual sums.

use super::weights::Weights;
use crate::algebra::matrix::{View, multiply};
use serde::Deserialize;

/// `config.json`, as far as it matters; DistilBERT has names of its own.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Shape {
    model_type: String,
    #[serde(alias = "dim")]
    hidden_size: usize,
    #[serde(alias = "n_layers")]
    num_hidden_layers: usize,
    #[serde(alias = "n_heads")]
    num_attention_heads: usize,
    #[serde(alias = "hidden_dim")]
    intermediate_size: usize,
    #[serde(alias = "activation")]
    hidden_act: String,
    #[serde(default = "layer_norm_eps")]
    layer_norm_eps: f32,
    #[serde(default)]
    pad_token_id: usize,
    #[serde(default)]
    position_embedding_type: Option<String>,
}

fn layer_norm_eps() -> f32 {
    1e-12
}

impl Shape {
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let shape: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let supported = ["bert", "roberta", "xlm-roberta", "camembert", "distilbert"];
        if !supported.contains(&shape.model_type.as_str()) {
            return Err(format!(
                "`model_type` is `{}`; supported are {}",
                shape.model_type,
                supported.join(", ")
            ));
        }
        if shape.position_embedding_type.as_deref().is_some_and(|kind| kind != "absolute") {
            return Err("`position_embedding_type` is not `absolute`".to_owned());
        }
        let (width, heads) = (shape.hidden_size, shape.num_attention_heads);
        if width == 0 || heads == 0 || width % heads != 0 || shape.intermediate_size == 0 {
            return Err(format!(
                "a width of {width} and {heads} attention heads do not fit each other"
            ));
        }
        Ok(shape)
    }

    /// Where the model keeps the position of the first token.
    fn first_position(&self) -> usize {
        match self.model_type.as_str() {
            "bert" | "distilbert" => 0,
            // Positions count from behind the padding token's number.
            _ => self.pad_token_id + 1,
        }
    }
}

/// The names of a layer's parts.
struct Names {
    layer: &'static str,
    query_key_value: [&'static str; 3],
    attended: &'static str,
    attended_norm: &'static str,
    wide: &'static str,
    narrow: &'static str,
    norm: &'static str,
}

const BERT: Names = Names {
    layer: "encoder.layer",
    query_key_value: ["attention.self.query", "attention.self.key", "attention.self.value"],
    attended: "attention.output.dense",
    attended_norm: "attention.output.LayerNorm",
    wide: "intermediate.dense",
    narrow: "output.dense",
    norm: "output.LayerNorm",
};

const DISTILBERT: Names = Names {
    layer: "transformer.layer",
    query_key_value: ["attention.q_lin", "attention.k_lin", "attention.v_lin"],
    attended: "attention.out_lin",
    attended_norm: "sa_layer_norm",
    wide: "ffn.lin1",
    narrow: "ffn.lin2",
    norm: "output_layer_norm",
};

/// `x·Wᵀ + b`
struct Linear {
    /// `outputs × inputs`
    weight: Vec<f32>,
    bias: Vec<f32>,
    inputs: usize,
}

/// Layer normalisation (Ba et al. 2016, arXiv:1607.06450).
struct Norm {
    scale: Vec<f32>,
    shift: Vec<f32>,
    epsilon: f32,
}

struct Layer {
    /// Query, key and value at once: `3·dim` outputs.
    attention: Linear,
    attended: Linear,
    attended_norm: Norm,
    wide: Linear,
    narrow: Linear,
    norm: Norm,
}

#[derive(Debug, Clone, Copy)]
enum Activation {
    Gelu,
    GeluTanh,
    Relu,
}

pub(super) struct Bert {
    dim: usize,
    heads: usize,
    /// A row a token.
    tokens: Vec<f32>,
    /// A row a position, from the first token's on; the vector of segment 0 is added.
    positions: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    activation: Activation,
}

impl Bert {
    /// # Errors
    /// Tensors that are missing or do not fit the shape.
    pub fn new(shape: &Shape, weights: &Weights<'_>) -> Result<Self, String> {
        let dim = shape.hidden_size;
        let activation = match shape.hidden_act.as_str() {
            "gelu" => Activation::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" => Activation::GeluTanh,
            "relu" => Activation::Relu,
            other => return Err(format!("config.json: the activation `{other}` is not supported")),
        };
        let norm = |name: &str| -> Result<Norm, String> {
            let scale = weights.get(&format!("{name}.weight"), &[dim])?;
            Ok(Norm {
                scale,
                shift: weights.get(&format!("{name}.bias"), &[dim])?,
                epsilon: shape.layer_norm_eps,
            })
        };
        let linear = |name: &str, inputs: usize, outputs: usize| -> Result<Linear, String> {
            let weight = weights.get(&format!("{name}.weight"), &[outputs, inputs])?;
            Ok(Linear { weight, bias: weights.get(&format!("{name}.bias"), &[outputs])?, inputs })
        };
        let matrix = |name: &str| weights.get(name, &[weights.rows(name, dim)?, dim]);

        let mut positions = matrix("embeddings.position_embeddings.weight")?;
        if positions.len() <= shape.first_position() * dim {
            return Err("there are no positions behind the padding token's number".to_owned());
        }
        positions.drain(..shape.first_position() * dim);
        if shape.model_type != "distilbert" {
            let segments = matrix("embeddings.token_type_embeddings.weight")?;
            positions.chunks_exact_mut(dim).for_each(|row| add(row, &segments[..dim]));
        }
        let names = if shape.model_type == "distilbert" { &DISTILBERT } else { &BERT };
        let layer = |i: usize| -> Result<Layer, String> {
            let name = |part: &str| format!("{}.{i}.{part}", names.layer);
            let mut attention = Linear { weight: Vec::new(), bias: Vec::new(), inputs: dim };
            for part in names.query_key_value {
                let Linear { weight, bias, .. } = linear(&name(part), dim, dim)?;
                attention.weight.extend(weight);
                attention.bias.extend(bias);
            }
            Ok(Layer {
                attention,
                attended: linear(&name(names.attended), dim, dim)?,
                attended_norm: norm(&name(names.attended_norm))?,
                wide: linear(&name(names.wide), dim, shape.intermediate_size)?,
                narrow: linear(&name(names.narrow), shape.intermediate_size, dim)?,
                norm: norm(&name(names.norm))?,
            })
        };
        Ok(Self {
            dim,
            heads: shape.num_attention_heads,
            tokens: matrix("embeddings.word_embeddings.weight")?,
            positions,
            norm: norm("embeddings.LayerNorm")?,
            layers: (0..shape.num_hidden_layers).map(layer).collect::<Result<_, _>>()?,
            activation,
        })
    }

    /// Numbers of a token's vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Tokens the model has vectors for.
    pub fn vocabulary(&self) -> usize {
        self.tokens.len() / self.dim
    }

    /// Tokens of the longest text.
    pub fn longest(&self) -> usize {
        self.positions.len() / self.dim
    }

    /// The last layer's vectors of all tokens, text after text, on this thread.
    ///
    /// # Panics
    /// When a text is longer than [`Self::longest`] or holds a token outside the vocabulary.
    pub fn forward(&self, texts: &[Vec<u32>]) -> Vec<f32> {
        let dim = self.dim;
        let mut x = Vec::with_capacity(texts.iter().map(Vec::len).sum::<usize>() * dim);
        for text in texts {
            for (token, position) in text.iter().zip(self.positions.chunks_exact(dim)) {
                let start = x.len();
                x.extend_from_slice(&self.tokens[*token as usize * dim..][..dim]);
                add(&mut x[start..], position);
            }
        }
        self.norm.apply(&mut x);
        let (mut parts, mut mixed, mut out) = (Vec::new(), vec![0.0; x.len()], Vec::new());
        for layer in &self.layers {
            layer.attention.apply(&x, &mut parts);
            self.attend(texts, &parts, &mut mixed);
            layer.attended.apply(&mixed, &mut out);
            add(&mut x, &out);
            layer.attended_norm.apply(&mut x);
            layer.wide.apply(&x, &mut parts);
            self.activation.apply(&mut parts);
            layer.narrow.apply(&parts, &mut out);
            add(&mut x, &out);
            layer.norm.apply(&mut x);
        }
        x
    }

    /// Attention of every text within itself; `parts` holds query, key and value of each token side
    /// by side.
    fn attend(&self, texts: &[Vec<u32>], parts: &[f32], mixed: &mut [f32]) {
        let (dim, width) = (self.dim, self.dim / self.heads);
        let factor = 1.0 / (width as f32).sqrt();
        let mut shares = Vec::new();
        let mut first = 0;
        for length in texts.iter().map(Vec::len) {
            shares.resize(length * length, 0.0);
            for head in (0..dim).step_by(width) {
                let part = |offset: usize| {
                    View::strided(
                        &parts[first * 3 * dim + offset * dim + head..],
                        length,
                        width,
                        3 * dim,
                    )
                };
                multiply(&mut shares, length, false, factor, part(0), part(1).transposed());
                shares.chunks_exact_mut(length).for_each(softmax);
                let out = &mut mixed[first * dim + head..];
                multiply(out, dim, false, 1.0, View::new(&shares, length, length), part(2));
            }
            first += length;
        }
    }
}

impl Linear {
    fn apply(&self, x: &[f32], out: &mut Vec<f32>) {
        let (rows, outputs) = (x.len() / self.inputs, self.bias.len());
        out.clear();
        (0..rows).for_each(|_| out.extend_from_slice(&self.bias));
        let weight = View::new(&self.weight, outputs, self.inputs).transposed();
        multiply(out, outputs, true, 1.0, View::new(x, rows, self.inputs), weight);
    }
}

impl Norm {
    fn apply(&self, x: &mut [f32]) {
        let width = self.scale.len();
        for row in x.chunks_exact_mut(width) {
            let mean = row.iter().sum::<f32>() / width as f32;
            let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / width as f32;
            let factor = 1.0 / (variance + self.epsilon).sqrt();
            for ((x, scale), shift) in row.iter_mut().zip(&self.scale).zip(&self.shift) {
                *x = (*x - mean) * factor * scale + shift;
            }
        }
    }
}

impl Activation {
    fn apply(self, x: &mut [f32]) {
        match self {
            Self::Gelu => x
                .iter_mut()
                .for_each(|x| *x *= 0.5 * (1.0 + erf(*x * std::f32::consts::FRAC_1_SQRT_2))),
            Self::GeluTanh => x.iter_mut().for_each(|x| {
                // tanh(y) = 1 − 2 / (e^2y + 1)
                let y = 0.797_884_6 * (*x + 0.044_715 * *x * *x * *x);
                *x *= 1.0 - 1.0 / (exp(2.0 * y) + 1.0);
            }),
            Self::Relu => x.iter_mut().for_each(|x| *x = x.max(0.0)),
        }
    }
}

fn add(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

fn softmax(row: &mut [f32]) {
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    row.iter_mut().for_each(|x| *x = exp(*x - most));
    let sum: f32 = row.iter().sum();
    row.iter_mut().for_each(|x| *x /= sum);
}

/// The error function within 2·10⁻⁷ (Abramowitz & Stegun 1964, 7.1.26).
fn erf(x: f32) -> f32 {
    const A: [f32; 5] = [1.061_405_4, -1.453_152_1, 1.421_413_7, -0.284_496_73, 0.254_829_6];
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let sum = A.iter().fold(0.0, |sum, a| (sum + a) * t);
    (1.0 - sum * exp(-x * x)).copysign(x)
}

/// `eˣ` within 3·10⁻⁷ of its value: 2ⁿ·eʳ with |r| ≤ ½ ln 2, without branches, so that loops over
/// it are vectorised.
fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    let n = (x * std::f32::consts::LOG2_E + 12_582_912.0) - 12_582_912.0;
    let r = (x - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let series = [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    let sum = series.iter().fold(0.0, |sum, c: &f32| sum * r + c);
    sum * f32::from_bits(((n as i32 + 127) as u32) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_close() {
        for i in -2000..2000 {
            let x = i as f32 * 0.02;
            let truth = f64::from(x).exp();
            assert!((f64::from(exp(x)) / truth - 1.0).abs() < 5e-7, "exp {x}");
        }
        // erf at 0, ½, 1, 2, −1
        for (x, truth) in [
            (0.0, 0.0),
            (0.5, 0.520_499_9),
            (1.0, 0.842_700_8),
            (2.0, 0.995_322_3),
            (-1.0, -0.842_700_8),
        ] {
            assert!((erf(x) - truth).abs() < 1e-6, "erf {x}");
        }
        assert!(exp(-1e30) > 0.0 && exp(1e30).is_finite());
        let mut gelu = [1.0, -1.0, 3.0];
        Activation::Gelu.apply(&mut gelu);
        let mut tanh = [1.0, -1.0, 3.0];
        Activation::GeluTanh.apply(&mut tanh);
        for (found, truth) in gelu.iter().zip([0.841_344_7, -0.158_655_3, 2.995_950_3]) {
            assert!((found - truth as f32).abs() < 1e-6, "{gelu:?}");
        }
        assert!(gelu.iter().zip(tanh).all(|(a, b)| (a - b).abs() < 1e-3), "{tanh:?}");
    }

    #[test]
    fn shapes_are_checked() {
        let shape = |change: (&str, &str)| {
            let text = r#"{"model_type": "bert", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
                "intermediate_size": 16, "hidden_act": "gelu"}"#;
            Shape::read(text.replace(change.0, change.1).as_bytes()).map(drop)
        };
        assert_eq!(shape(("", "")), Ok(()));
        for (from, to, says) in [
            ("\"bert\"", "\"gpt2\"", "`model_type` is `gpt2`"),
            ("heads\": 2", "heads\": 3", "3 attention heads"),
            ("heads\": 2", "heads\": 0", "0 attention heads"),
            ("\"hidden_size\": 8,", "", "missing field `hidden_size`"),
            (
                "\"gelu\"",
                "\"gelu\", \"position_embedding_type\": \"relative_key\"",
                "not `absolute`",
            ),
        ] {
            let error = shape((from, to)).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
