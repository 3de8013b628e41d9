//! Writes ONNX graphs (opset 17, IR 8) of towers. Knows nothing of the rest of the system.

/// A tower to write: inputs concatenated in order, dense layers with ReLU between them and none after the last,
/// optionally scaled to unit length.
///
/// The graph has the inputs `indices` int64 `[batch, n]` and `numbers` float32 `[batch, m]` (an input that no part
/// uses is left out) and the output `embedding` float32 `[batch, dim]`.
pub struct TowerGraph<'a> {
    /// Name of the graph, for people.
    pub name: &'a str,
    /// Columns of `indices` and `numbers`.
    pub widths: (usize, usize),
    pub inputs: Vec<Input<'a>>,
    pub layers: Vec<Dense<'a>>,
    /// L2-normalise the output.
    pub normalize: bool,
}

/// One part of the first layer's input.
pub enum Input<'a> {
    /// Row `indices[at]` of `table` (`rows × dim`, row-major).
    Embedding { name: &'a str, table: &'a [f32], rows: usize, dim: usize, at: usize },
    /// One-hot of `indices[at]` over `rows`.
    OneHot { name: &'a str, rows: usize, at: usize },
    /// Σ wⱼ·tableⱼ / Σ wⱼ over `j < length` with `indices[at + j] != rows - 1`, wⱼ = decay^j; zeros when there is none.
    History { name: &'a str, table: &'a [f32], rows: usize, dim: usize, at: usize, length: usize, decay: f32 },
    /// `numbers[at..at + width]`.
    Numbers { at: usize, width: usize },
}

/// `y = x·weight + bias`; `weight` is `inputs × outputs`, row-major.
pub struct Dense<'a> {
    pub weight: &'a [f32],
    pub bias: &'a [f32],
    pub inputs: usize,
    pub outputs: usize,
}
