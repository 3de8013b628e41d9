//! Writes ONNX graphs (opset 17, IR 8) of towers and sequence encoders. Knows nothing of the rest
//! of the system.
//!
//! The graph has the inputs `indices` int64 `[batch, n]` and `numbers` float32 `[batch, m]` (an
//! input that no part uses is left out) and the output `embedding` float32 `[batch, dim]`; `batch`
//! is free, and so is `n` of a sequence encoder, up to its length (twice that, when it reads ages
//! too). It uses plain operators only (`Gather`, `OneHot`, `Slice`, `Concat`, `Gemm`, `Relu`,
//! `ReduceSum`, …), so tract, ONNX Runtime and any other ONNX engine run it alike. An index outside
//! its table is the caller's fault and undefined, as ONNX has it.

mod file;
mod graph;
mod sequence;
mod split;

pub use sequence::{
    Activation, Block, DecoderGraph, EncoderGraph, LstmGraph, LstmLayer, Norm, Positions,
    SequenceGraph, TokenTable,
};
pub use split::SplitTower;

use std::path::{Path, PathBuf};

/// A tower to write: inputs concatenated in order, dense layers with ReLU between them and none
/// after the last, optionally scaled to unit length. Without layers the concatenation itself is the
/// output.
pub struct TowerGraph<'a> {
    /// Name of the graph, for people.
    pub name: &'a str,
    /// Columns of `indices` and `numbers`.
    pub widths: (usize, usize),
    pub inputs: Vec<Input<'a>>,
    pub layers: Vec<Dense<'a>>,
    /// L2-normalise the output: `x / max(‖x‖, NORM_FLOOR)`, so zeros stay zeros.
    pub normalize: bool,
}

/// One part of the first layer's input.
#[derive(Clone, Copy)]
pub enum Input<'a> {
    /// Row `indices[at]` of `table` (`rows × dim`, row-major).
    Embedding { name: &'a str, table: &'a [f32], rows: usize, dim: usize, at: usize },
    /// One-hot of `indices[at]` over `rows`.
    OneHot { name: &'a str, rows: usize, at: usize },
    /// Σ wⱼ·tableⱼ / Σ wⱼ over `j < length` with `indices[at + j] != rows - 1`, wⱼ = decay^j; zeros
    /// when there is none.
    History {
        name: &'a str,
        table: &'a [f32],
        rows: usize,
        dim: usize,
        at: usize,
        length: usize,
        decay: f32,
    },
    /// `numbers[at..at + width]`.
    Numbers { at: usize, width: usize },
}

/// `y = x·weight + bias`; `weight` is `inputs × outputs`, row-major.
#[derive(Clone, Copy)]
pub struct Dense<'a> {
    pub weight: &'a [f32],
    pub bias: &'a [f32],
    pub inputs: usize,
    pub outputs: usize,
}

/// Least length a vector is divided by when it is normalised.
pub const NORM_FLOOR: f32 = 1e-12;

/// Added to the variance where a row is normalised.
pub const NORM_EPSILON: f32 = 1e-5;

/// Tables of more bytes than this are written beside the graph, into `<file name>.data`: protobuf
/// messages end at 2 GiB, and a table of its own can be memory-mapped.
pub const EXTERNAL_ABOVE: usize = 64 << 20;

/// Why a tower cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    #[error("tower `{tower}`: {reason}")]
    Shape { tower: String, reason: String },
    #[error("cannot write {}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
}

/// The query side of a model: a dense tower or a sequence encoder.
pub enum QueryGraph<'a> {
    Tower(TowerGraph<'a>),
    Sequence(SequenceGraph<'a>),
}

impl QueryGraph<'_> {
    /// Length of the output.
    pub fn dim(&self) -> usize {
        match self {
            Self::Tower(tower) => tower.dim(),
            Self::Sequence(sequence) => sequence.dim(),
        }
    }

    /// As [`write()`].
    ///
    /// # Errors
    /// As [`write()`].
    pub fn write(&self, path: &Path, external_above: usize) -> Result<Vec<PathBuf>, OnnxError> {
        match self {
            Self::Tower(tower) => write(tower, path, external_above),
            Self::Sequence(sequence) => {
                let shape = |reason| OnnxError::Shape { tower: sequence.name.to_owned(), reason };
                sequence.check().map_err(shape)?;
                file::write(&graph::Graph::of_sequence(sequence), path, external_above)
            }
        }
    }
}

impl<'a> From<TowerGraph<'a>> for QueryGraph<'a> {
    fn from(tower: TowerGraph<'a>) -> Self {
        Self::Tower(tower)
    }
}

impl<'a> From<SequenceGraph<'a>> for QueryGraph<'a> {
    fn from(sequence: SequenceGraph<'a>) -> Self {
        Self::Sequence(sequence)
    }
}

/// Writes `tower` to `path` and tables of more than `external_above` bytes ([`EXTERNAL_ABOVE`]) to
/// `<path>.data`. Both files are flushed to the disk. Returns the paths written.
///
/// # Errors
/// [`OnnxError::Shape`] when tables, widths and layers do not fit together or hold a number that is
/// not finite.
pub fn write(
    tower: &TowerGraph<'_>,
    path: &Path,
    external_above: usize,
) -> Result<Vec<PathBuf>, OnnxError> {
    tower.check().map_err(|reason| OnnxError::Shape { tower: tower.name.to_owned(), reason })?;
    file::write(&graph::Graph::of(tower), path, external_above)
}

impl Input<'_> {
    /// Columns of the first layer's input.
    pub fn width(&self) -> usize {
        match *self {
            Self::Embedding { dim, .. } | Self::History { dim, .. } => dim,
            Self::OneHot { rows, .. } => rows,
            Self::Numbers { width, .. } => width,
        }
    }

    fn check(&self, (indices, numbers): (usize, usize)) -> Result<(), String> {
        let (label, table, columns, end) = match *self {
            Self::Embedding { name, table, rows, dim, at } => {
                (name, Some((table, rows, dim)), indices, at.checked_add(1))
            }
            Self::OneHot { name, rows: 0, .. } => {
                return Err(format!("one-hot `{name}` has no rows"));
            }
            Self::OneHot { name, at, .. } => (name, None, indices, at.checked_add(1)),
            Self::History { name, length: 0, .. } => {
                return Err(format!("history `{name}` has no positions"));
            }
            Self::History { name, decay, .. } if !(decay > 0.0 && decay <= 1.0) => {
                return Err(format!("history `{name}` decays by {decay}, which is not in (0, 1]"));
            }
            Self::History { name, table, rows, dim, at, length, .. } => {
                (name, Some((table, rows, dim)), indices, at.checked_add(length))
            }
            Self::Numbers { width: 0, .. } => return Err("a numbers input has width 0".to_owned()),
            Self::Numbers { at, width } => ("numbers", None, numbers, at.checked_add(width)),
        };
        if end.is_none_or(|end| end > columns) {
            return Err(format!("input `{label}` reads past the {columns} columns there are"));
        }
        if let Some((table, rows, dim)) = table {
            if rows == 0 || dim == 0 || rows.checked_mul(dim) != Some(table.len()) {
                return Err(format!(
                    "table `{label}` has {} numbers, not {rows} × {dim}",
                    table.len()
                ));
            }
            finite(table, label)?;
        }
        Ok(())
    }
}

impl TowerGraph<'_> {
    /// Length of the tower's output.
    pub fn dim(&self) -> usize {
        self.layers
            .last()
            .map_or_else(|| self.inputs.iter().map(Input::width).sum(), |layer| layer.outputs)
    }

    fn check(&self) -> Result<(), String> {
        if self.inputs.is_empty() {
            return Err("it has no inputs".to_owned());
        }
        for input in &self.inputs {
            input.check(self.widths)?;
        }
        let mut width = self.inputs.iter().map(Input::width).sum::<usize>();
        for (i, layer) in self.layers.iter().enumerate() {
            let Dense { weight, bias, inputs, outputs } = *layer;
            if inputs != width || outputs == 0 {
                return Err(format!(
                    "layer {i} maps {inputs} to {outputs} columns, but {width} arrive"
                ));
            }
            if weight.len() != inputs * outputs || bias.len() != outputs {
                return Err(format!(
                    "layer {i} has {} weights and {} biases, not {inputs} × {outputs}",
                    weight.len(),
                    bias.len()
                ));
            }
            finite(weight, &format!("layer {i}"))?;
            finite(bias, &format!("layer {i}"))?;
            width = outputs;
        }
        Ok(())
    }
}

impl Dense<'_> {
    fn check(&self, inputs: usize, outputs: usize) -> Result<(), String> {
        let fits = (self.inputs, self.outputs) == (inputs, outputs)
            && self.weight.len() == inputs * outputs
            && self.bias.len() == outputs
            && outputs > 0;
        if !fits {
            return Err(format!(
                "a layer maps {} to {} columns, not {inputs} to {outputs}",
                self.inputs, self.outputs
            ));
        }
        finite(self.weight, "layer").and_then(|()| finite(self.bias, "layer"))
    }
}

fn finite(values: &[f32], what: &str) -> Result<(), String> {
    match values.iter().position(|v| !v.is_finite()) {
        Some(at) => {
            Err(format!("`{what}` holds {} at position {at}: the training diverged", values[at]))
        }
        None => Ok(()),
    }
}
