//! A tower as ONNX nodes and constants.

use super::{Dense, Input, NORM_FLOOR, TowerGraph};
use std::borrow::Cow;
use tract_onnx::pb::{self, attribute_proto::AttributeType};

pub(super) const INDICES: &str = "indices";
pub(super) const NUMBERS: &str = "numbers";
pub(super) const OUTPUT: &str = "embedding";

/// Nodes in topological order and the constants they read; large tables stay borrowed.
pub(super) struct Graph<'a> {
    pub name: &'a str,
    pub doc: String,
    pub nodes: Vec<pb::NodeProto>,
    pub constants: Vec<Constant<'a>>,
    /// Columns of the inputs; `None` when no node reads it.
    pub indices: Option<Columns>,
    pub numbers: Option<usize>,
    pub dim: usize,
}

#[derive(Clone, Copy)]
pub(super) enum Columns {
    Fixed(usize),
    /// As many as come.
    Free,
}

pub(super) struct Constant<'a> {
    pub name: String,
    pub dims: Vec<i64>,
    pub data: Data<'a>,
}

pub(super) enum Data<'a> {
    F32(Cow<'a, [f32]>),
    I64(Vec<i64>),
}

impl<'a> Graph<'a> {
    /// `tower` must have passed its check.
    pub fn of(tower: &TowerGraph<'a>) -> Self {
        let inputs = merge_numbers(&tower.inputs);
        let reads_indices = inputs.iter().any(|input| !matches!(input, Input::Numbers { .. }));
        let reads_numbers = inputs.iter().any(|input| matches!(input, Input::Numbers { .. }));
        let mut graph = Self {
            name: tower.name,
            doc: describe(tower),
            nodes: Vec::new(),
            constants: Vec::new(),
            indices: reads_indices.then_some(Columns::Fixed(tower.widths.0)),
            numbers: reads_numbers.then_some(tower.widths.1),
            dim: tower.dim(),
        };
        let parts: Vec<String> =
            inputs.iter().enumerate().map(|(i, input)| graph.input(i, input)).collect();
        let mut x = match <[String; 1]>::try_from(parts) {
            Ok([part]) => part,
            Err(parts) => {
                let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
                graph.node("Concat", "inputs", &parts, vec![int("axis", 1)])
            }
        };
        for (i, layer) in tower.layers.iter().enumerate() {
            x = graph.dense(i, layer, &x);
            if i + 1 < tower.layers.len() {
                x = graph.node("Relu", &format!("layer_{i}_relu"), &[&x], vec![]);
            }
        }
        if tower.normalize {
            let norm =
                graph.node("ReduceL2", "norm", &[&x], vec![ints("axes", &[1]), int("keepdims", 1)]);
            let floor = graph.scalar("norm_floor", NORM_FLOOR);
            let norm = graph.node("Max", "norm_floored", &[&norm, &floor], vec![]);
            x = graph.node("Div", "normalized", &[&x, &norm], vec![]);
        }
        graph.node("Identity", OUTPUT, &[&x], vec![]);
        graph
    }

    /// Adds the nodes of one input; the name of its `[batch, width]` value.
    fn input(&mut self, i: usize, input: &Input<'a>) -> String {
        match *input {
            Input::Embedding { name, table, rows, dim, at } => {
                let id = identifier(i, name);
                let table = self.table(&format!("{id}_table"), table, rows, dim);
                let row = self.index(&id, at);
                self.node("Gather", &id, &[&table, &row], vec![int("axis", 0)])
            }
            Input::OneHot { name, rows, at } => {
                let id = identifier(i, name);
                let row = self.index(&id, at);
                let depth = self.integers(&format!("{id}_depth"), vec![1], vec![rows as i64]);
                let values = self.floats(&format!("{id}_off_on"), vec![2], vec![0.0, 1.0]);
                self.node("OneHot", &id, &[&row, &depth, &values], vec![int("axis", -1)])
            }
            Input::History { .. } => self.history(i, input),
            Input::Numbers { at, width } if (at, Some(width)) == (0, self.numbers) => {
                NUMBERS.to_owned()
            }
            Input::Numbers { at, width } => {
                self.slice(&format!("in_{i}_numbers"), NUMBERS, at, width)
            }
        }
    }

    /// The weighted mean of the rows that are not padding: weights `decay^j · (index ≠ padding)`,
    /// divided by their sum before they meet the rows.
    fn history(&mut self, i: usize, input: &Input<'a>) -> String {
        let Input::History { name, table, rows, dim, at, length, decay } = *input else {
            unreachable!("called for histories only")
        };
        let id = identifier(i, name);
        let p = |part: &str| format!("{id}_{part}");
        let table = self.table(&p("table"), table, rows, dim);
        let window = self.slice(&p("window"), INDICES, at, length);
        let padding = self.integers(&p("padding"), vec![1], vec![rows as i64 - 1]);
        let decays = self.floats(&p("decay"), vec![1, length as i64], powers(decay, length));
        let empty = self.node("Equal", &p("is_padding"), &[&window, &padding], vec![]);
        let zero = self.scalar(&p("zero"), 0.0);
        let weights = self.node("Where", &p("weights"), &[&empty, &zero, &decays], vec![]);
        let axes = self.integers(&p("axes"), vec![1], vec![1]);
        let sum = self.node("ReduceSum", &p("sum"), &[&weights, &axes], vec![int("keepdims", 1)]);
        // An empty history divides zeros by this floor and stays zeros.
        let floor = self.scalar(&p("sum_floor"), f32::MIN_POSITIVE);
        let sum = self.node("Max", &p("sum_floored"), &[&sum, &floor], vec![]);
        let shares = self.node("Div", &p("shares"), &[&weights, &sum], vec![]);
        let row_axis = self.integers(&p("row_axis"), vec![1], vec![1]);
        let shares = self.node("Unsqueeze", &p("shares_row"), &[&shares, &row_axis], vec![]);
        let rows = self.node("Gather", &p("rows"), &[&table, &window], vec![int("axis", 0)]);
        let mean = self.node("MatMul", &p("mean_row"), &[&shares, &rows], vec![]);
        self.node("Squeeze", &p("mean"), &[&mean, &row_axis], vec![])
    }

    fn dense(&mut self, i: usize, layer: &Dense<'a>, x: &str) -> String {
        let weight =
            self.table(&format!("layer_{i}_weight"), layer.weight, layer.inputs, layer.outputs);
        self.constants.push(Constant {
            name: format!("layer_{i}_bias"),
            dims: vec![layer.outputs as i64],
            data: Data::F32(layer.bias.into()),
        });
        self.node("Gemm", &format!("layer_{i}"), &[x, &weight, &format!("layer_{i}_bias")], vec![])
    }

    /// Column `at` of `indices`, `[batch]`.
    fn index(&mut self, id: &str, at: usize) -> String {
        let column = self.integers(&format!("{id}_column"), vec![], vec![at as i64]);
        self.node("Gather", &format!("{id}_index"), &[INDICES, &column], vec![int("axis", 1)])
    }

    /// Columns `at..at + width`.
    fn slice(&mut self, name: &str, x: &str, at: usize, width: usize) -> String {
        let starts = self.integers(&format!("{name}_starts"), vec![1], vec![at as i64]);
        let ends = self.integers(&format!("{name}_ends"), vec![1], vec![(at + width) as i64]);
        let axes = self.integers(&format!("{name}_axes"), vec![1], vec![1]);
        self.node("Slice", name, &[x, &starts, &ends, &axes], vec![])
    }

    /// Adds a node with one output, which bears the node's name.
    pub(super) fn node(
        &mut self,
        op: &str,
        name: &str,
        inputs: &[&str],
        attribute: Vec<pb::AttributeProto>,
    ) -> String {
        self.nodes.push(pb::NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![name.to_owned()],
            name: name.to_owned(),
            op_type: op.to_owned(),
            attribute,
            ..Default::default()
        });
        name.to_owned()
    }

    fn constant(&mut self, name: &str, dims: Vec<i64>, data: Data<'a>) -> String {
        self.constants.push(Constant { name: name.to_owned(), dims, data });
        name.to_owned()
    }

    pub(super) fn table(
        &mut self,
        name: &str,
        values: &'a [f32],
        rows: usize,
        dim: usize,
    ) -> String {
        self.constant(name, vec![rows as i64, dim as i64], Data::F32(values.into()))
    }

    pub(super) fn floats(&mut self, name: &str, dims: Vec<i64>, values: Vec<f32>) -> String {
        self.constant(name, dims, Data::F32(values.into()))
    }

    pub(super) fn scalar(&mut self, name: &str, value: f32) -> String {
        self.floats(name, vec![], vec![value])
    }

    pub(super) fn integers(&mut self, name: &str, dims: Vec<i64>, values: Vec<i64>) -> String {
        self.constant(name, dims, Data::I64(values))
    }
}

/// `1, decay, decay², …`, each power taken in f64 so that long histories do not drift.
fn powers(decay: f32, length: usize) -> Vec<f32> {
    (0..length).map(|j| f64::from(decay).powi(j as i32) as f32).collect()
}

/// Neighbouring parts of `numbers` that continue one another become one part.
fn merge_numbers<'a>(inputs: &[Input<'a>]) -> Vec<Input<'a>> {
    let mut merged: Vec<Input<'a>> = Vec::with_capacity(inputs.len());
    for &input in inputs {
        match (merged.last_mut(), input) {
            (Some(Input::Numbers { at, width }), Input::Numbers { at: next, width: more })
                if *at + *width == next =>
            {
                *width += more;
            }
            _ => merged.push(input),
        }
    }
    merged
}

fn describe(tower: &TowerGraph<'_>) -> String {
    let mut parts = Vec::new();
    for input in &tower.inputs {
        parts.push(match *input {
            Input::Embedding { name, rows, dim, at, .. } => {
                format!("indices[{at}] {name}: embedding {rows}×{dim}")
            }
            Input::OneHot { name, rows, at } => format!("indices[{at}] {name}: one-hot {rows}"),
            Input::History { name, rows, dim, at, length, decay, .. } => {
                format!(
                    "indices[{at}..{}] {name}: mean of {rows}×{dim}, decay {decay}, padding {}",
                    at + length,
                    rows - 1
                )
            }
            Input::Numbers { at, width } => format!("numbers[{at}..{}]", at + width),
        });
    }
    let layers: Vec<String> = tower.layers.iter().map(|layer| layer.outputs.to_string()).collect();
    let end = if tower.normalize { ", then unit length" } else { "" };
    format!(
        "{}. Inputs: {}. Dense layers: {}{end}.",
        tower.name,
        parts.join("; "),
        layers.join(" → ")
    )
}

/// A name ONNX allows, unique by the input's position.
fn identifier(i: usize, name: &str) -> String {
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("in_{i}_{name}")
}

pub(super) fn int(name: &str, value: i64) -> pb::AttributeProto {
    pb::AttributeProto {
        name: name.to_owned(),
        r#type: AttributeType::Int as i32,
        i: value,
        ..Default::default()
    }
}

pub(super) fn ints(name: &str, values: &[i64]) -> pb::AttributeProto {
    pb::AttributeProto {
        name: name.to_owned(),
        r#type: AttributeType::Ints as i32,
        ints: values.to_vec(),
        ..Default::default()
    }
}

pub(super) fn float(name: &str, value: f32) -> pb::AttributeProto {
    pb::AttributeProto {
        name: name.to_owned(),
        r#type: AttributeType::Float as i32,
        f: value,
        ..Default::default()
    }
}
