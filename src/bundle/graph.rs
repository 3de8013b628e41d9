//! What the graph of a tower may be like, before tract reads it: its operators, inputs and
//! constants.

use crate::features::{Slot, TowerSchema};
use anyhow::{Context, Result, bail, ensure};
use std::{collections::HashSet, path::Path};
use tract_onnx::pb::{
    GraphProto, ModelProto, TensorProto,
    tensor_proto::{DataLocation, DataType},
    tensor_shape_proto::dimension,
    type_proto,
};

/// The operators [`crate::onnx`] writes.
const OPERATORS: [&str; 28] = [
    "Add",
    "Concat",
    "Div",
    "Elu",
    "Equal",
    "Erf",
    "Gather",
    "Gemm",
    "Identity",
    "LSTM",
    "LayerNormalization",
    "MatMul",
    "Max",
    "Mul",
    "OneHot",
    "ReduceL2",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Shape",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Squeeze",
    "Sub",
    "Transpose",
    "Unsqueeze",
    "Where",
];

/// Largest axis, and width of an LSTM layer, that a graph may name.
const MAX_AXIS: u64 = 3;
const MAX_HIDDEN: u64 = 1 << 16;

/// An input of the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Indices,
    Numbers,
}

/// What a graph that passed [`check`] is like.
pub(super) struct Checked {
    /// In the graph's order.
    pub sources: Vec<Source>,
    /// Whether `indices` may be narrower than the schema's rows: a shorter history.
    pub shorter: bool,
    /// Bytes of the numbers that are no table.
    pub weights: usize,
}

/// Checks that the graph at `path` is of known operators over rows of `schema`, and that no whole
/// number in it is larger than anything the schema speaks of (such a number can be a size, and
/// exhaust the memory).
pub(super) fn check(
    model: &ModelProto,
    path: &Path,
    schema: &TowerSchema,
    dim: usize,
) -> Result<Checked> {
    let graph = model.graph.as_ref().context("it holds no graph")?;
    ensure!(
        model.functions.is_empty() && graph.sparse_initializer.is_empty(),
        "it holds more than nodes and tables"
    );
    let bound = largest(schema).max(dim) as i64;
    for node in &graph.node {
        ensure!(node.domain.is_empty(), "it uses operators of `{}`", node.domain);
        ensure!(
            OPERATORS.contains(&&*node.op_type),
            "it uses the operator `{}`, which no tower has",
            node.op_type
        );
        for attribute in &node.attribute {
            let most = match (&*node.op_type, &*attribute.name) {
                ("Transpose", "perm") => MAX_AXIS,
                ("LSTM", "hidden_size") => MAX_HIDDEN,
                _ => 1,
            };
            let whole =
                attribute.ints.iter().chain([&attribute.i]).all(|int| int.abs_diff(0) <= most);
            ensure!(
                whole && attribute.t.is_none() && attribute.g.is_none(),
                "node `{}` has odd attributes",
                node.name
            );
        }
        // A depth is a size; it must be one of the constants checked below.
        let depth = |name: &String| {
            graph.initializer.iter().find(|tensor| tensor.name == *name).map(|t| t.data_type)
        };
        let one_hot = node.op_type == "OneHot";
        ensure!(
            !one_hot || node.input.get(1).and_then(depth) == Some(DataType::Int64 as i32),
            "node `{}` has no constant depth",
            node.name
        );
    }
    for tensor in &graph.initializer {
        check_constant(tensor, path, bound)
            .with_context(|| format!("constant `{}`", tensor.name))?;
    }
    let (sources, shorter) = sources(graph, schema)?;
    Ok(Checked { sources, shorter, weights: weights(graph) })
}

/// Tables may lie outside the graph, but only in `<file name>.data`, whose checksum the manifest
/// has.
fn check_constant(tensor: &TensorProto, path: &Path, bound: i64) -> Result<()> {
    let external = tensor.data_location == Some(DataLocation::External as i32);
    match DataType::try_from(tensor.data_type) {
        Ok(DataType::Float) if external => {
            let beside =
                path.file_name().and_then(|name| name.to_str()).map(|name| format!("{name}.data"));
            let location = tensor
                .external_data
                .iter()
                .find(|entry| entry.key == "location")
                .map(|entry| &entry.value);
            ensure!(location == beside.as_ref(), "it lies in another file: {location:?}");
        }
        Ok(DataType::Float) => ensure!(tensor.float_data.is_empty(), "it is not written as bytes"),
        Ok(DataType::Int64) => {
            ensure!(!external && tensor.int64_data.is_empty(), "it is not written as bytes");
            let (values, rest) = tensor.raw_data.as_chunks::<8>();
            ensure!(rest.is_empty(), "it has {} bytes", tensor.raw_data.len());
            for value in values.iter().map(|bytes| i64::from_le_bytes(*bytes)) {
                ensure!(
                    (0..=bound).contains(&value),
                    "it holds {value}, the schema nothing above {bound}"
                );
            }
        }
        _ => bail!("it has the type {}", tensor.data_type),
    }
    Ok(())
}

/// The largest number of rows or columns in a schema.
fn largest(schema: &TowerSchema) -> usize {
    let (indices, numbers) = schema.row_widths();
    let rows = schema.slots().into_iter().map(|slot| match slot {
        Slot::Embedding { rows, .. }
        | Slot::OneHot { rows, .. }
        | Slot::History { rows, .. }
        | Slot::Sequence { rows, .. } => rows,
        Slot::Numbers { .. } => 0,
    });
    rows.max().unwrap_or(0).max(indices).max(numbers)
}

/// Bytes of the numbers from which no rows are gathered.
fn weights(graph: &GraphProto) -> usize {
    let tables = graph
        .node
        .iter()
        .filter(|node| node.op_type == "Gather")
        .flat_map(|node| node.input.first());
    let tables: HashSet<&String> = tables.collect();
    let others = graph.initializer.iter().filter(|tensor| !tables.contains(&tensor.name));
    let bytes = others.map(|tensor| {
        tensor.dims.iter().fold(4, |bytes: usize, &dim| bytes.saturating_mul(dim as usize))
    });
    bytes.fold(0, usize::saturating_add)
}

/// The inputs the graph declares, which must be rows of `schema`, and whether they may be shorter:
/// rows that are nothing but a history may.
fn sources(graph: &GraphProto, schema: &TowerSchema) -> Result<(Vec<Source>, bool)> {
    let widths = schema.row_widths();
    let history = schema.slots().iter().all(|slot| matches!(slot, Slot::Sequence { .. }));
    let (mut sources, mut shorter) = (Vec::new(), false);
    for input in &graph.input {
        let (source, datum, width) = match input.name.as_str() {
            "indices" => (Source::Indices, DataType::Int64, widths.0),
            "numbers" => (Source::Numbers, DataType::Float, widths.1),
            other => bail!("it has an input `{other}`; towers read `indices` and `numbers`"),
        };
        let Some(type_proto::Value::TensorType(tensor)) =
            input.r#type.as_ref().and_then(|t| t.value.as_ref())
        else {
            bail!("its input `{}` has no type", input.name);
        };
        let dims = tensor
            .shape
            .iter()
            .flat_map(|shape| &shape.dim)
            .map(|dim| dim.value.as_ref())
            .collect::<Vec<_>>();
        let columns = match dims.as_slice() {
            [_, Some(dimension::Value::DimValue(columns))] => *columns,
            [_, Some(dimension::Value::DimParam(_))] if history && source == Source::Indices => {
                shorter = true;
                width as i64
            }
            other => {
                bail!("its input `{}` has the shape {other:?}, not [batch, {width}]", input.name)
            }
        };
        ensure!(
            tensor.elem_type == datum as i32,
            "its input `{}` does not hold {}",
            input.name,
            datum.as_str_name()
        );
        ensure!(
            columns == width as i64,
            "its input `{}` has {columns} columns, the schema {width}",
            input.name
        );
        ensure!(!sources.contains(&source), "it has the input `{}` twice", input.name);
        sources.push(source);
    }
    Ok((sources, shorter))
}
