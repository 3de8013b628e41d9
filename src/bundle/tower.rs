//! A tower of a bundle, run by tract.

use super::{
    BundleError,
    graph::{self, Source},
    histories::Histories,
};
use crate::features::{Slot, TowerSchema};
use anyhow::{Context, anyhow, ensure};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use tract_onnx::{
    prelude::*,
    tract_core::{
        ops::scan::{OptScan, Scan},
        plan::SimpleState,
    },
};

type Plan = Arc<TypedSimplePlan>;
type State = SimpleState<TypedFact, Box<dyn TypedOp>>;

/// Rows that are run together. Their number is fixed because tract resolves every shape then; with
/// a free one it is up to three times slower.
const BLOCK: usize = 32;

/// Every plan has its own copy of the weights, as its products want them. Those of the plans for
/// shorter rows take no more than this together; the shortest rows, which gain most, come first.
const SHORTER_BYTES: usize = 64 << 20;

/// Largest tensor that an operator may hand to the next one. Requests run side by side, so what one
/// of them needs is needed many times over; the towers of the writer stay far below it.
const MAX_TENSOR: usize = 256 << 20;

/// A tower ready to run from any number of threads.
///
/// It holds plans over the same tables: one for a single row, one for a block of rows and, for
/// histories, some for shorter rows, because most histories are far shorter than the longest.
/// States (tract's buffers of one run) are kept and reused.
pub struct Tower {
    path: PathBuf,
    dim: usize,
    widths: (usize, usize),
    /// How many rows the table behind each column of `indices` has.
    rows: Vec<i64>,
    /// The inputs in the graph's order.
    inputs: Vec<Source>,
    one: States,
    block: States,
    shorter: Option<Shorter>,
}

/// Plans for single rows whose histories are short, with the columns they take, rising.
struct Shorter {
    histories: Histories,
    plans: Vec<(usize, States)>,
}

/// A plan and the idle states of its earlier runs.
struct States {
    plan: Plan,
    idle: Mutex<Vec<State>>,
    /// Whether a state carries something from one run into the next: tract's loops keep their last
    /// step. Such states are used once.
    remembers: bool,
}

impl Tower {
    /// Loads the graph at `path` and checks that it maps rows of `schema` to `dim` numbers.
    ///
    /// The ONNX reader is not made for hostile files, so compare checksums before. What a graph may
    /// hold is narrowed down before it is read, and should the reader panic all the same, that is
    /// an error too.
    ///
    /// # Errors
    /// [`BundleError::Tower`] naming the file and the reason.
    pub fn load(path: &Path, schema: &TowerSchema, dim: usize) -> Result<Self, BundleError> {
        let fail = |reason: String| BundleError::Tower { path: path.to_owned(), reason };
        let load = std::panic::AssertUnwindSafe(|| Self::load_unguarded(path, schema, dim));
        match std::panic::catch_unwind(load) {
            Ok(result) => result.map_err(|error| fail(format!("{error:#}"))),
            Err(_) => Err(fail("the ONNX reader gave up on it".to_owned())),
        }
    }

    fn load_unguarded(path: &Path, schema: &TowerSchema, dim: usize) -> TractResult<Self> {
        let widths = schema.row_widths();
        let onnx = tract_onnx::onnx();
        let proto = onnx.proto_model_for_path(path)?;
        let graph::Checked { sources: inputs, shorter, weights } =
            graph::check(&proto, path, schema, dim)?;
        let directory =
            path.parent().and_then(Path::to_str).context("its path is not valid UTF-8")?;
        let parsed = onnx.parse(&proto, Some(directory))?;
        drop(proto);
        ensure!(
            parsed.unresolved_inputs.is_empty(),
            "it reads {:?}, which nothing computes",
            parsed.unresolved_inputs
        );
        let model = parsed.model;
        let made = |columns, rows| plan(model.clone(), &inputs, (columns, widths.1), dim, rows);
        let (one, block) = (made(widths.0, 1)?, made(widths.0, BLOCK)?);
        let shorter = match Histories::of(schema).filter(|_| shorter) {
            Some(histories) => {
                let columns =
                    histories.shorter_rows().into_iter().take(SHORTER_BYTES / weights.max(1));
                let plans = columns
                    .map(|columns| Ok((columns, made(columns, 1)?)))
                    .collect::<TractResult<_>>()?;
                Some(Shorter { histories, plans })
            }
            None => None,
        };
        Ok(Self {
            path: path.to_owned(),
            dim,
            widths,
            rows: rows(schema),
            inputs,
            one,
            block,
            shorter,
        })
    }

    /// Runs every plan once, on the first row of every table: a plan that fails or exhausts the
    /// memory must not wait for a request that needs it. Later runs find the buffers of this one.
    ///
    /// # Errors
    /// [`BundleError::Tower`] when a plan fails.
    pub(super) fn try_plans(&self) -> Result<(), BundleError> {
        let (indices, numbers) = self.widths;
        let shorter = self.shorter.iter().flat_map(|shorter| &shorter.plans);
        let plans = [(indices, 1, &self.one), (indices, BLOCK, &self.block)];
        let plans = plans.into_iter().chain(shorter.map(|(columns, states)| (*columns, 1, states)));
        for (columns, rows, states) in plans {
            self.run(
                states,
                &vec![0; columns * rows],
                &vec![0.0; numbers * rows],
                rows,
                &mut Vec::new(),
            )
            .map_err(|error| BundleError::Tower {
                path: self.path.clone(),
                reason: format!("{error:#}"),
            })?;
        }
        Ok(())
    }

    /// Length of a vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// `(indices, numbers)` a row.
    pub fn widths(&self) -> (usize, usize) {
        self.widths
    }

    /// Embeds `batch` rows of inputs (row-major) and leaves their vectors, `batch × dim`, in `out`;
    /// what `out` held before is gone.
    ///
    /// # Errors
    /// [`BundleError::TowerInput`] when the slices have other lengths, an index lies outside its
    /// table or a number is not finite.
    pub fn embed(
        &self,
        indices: &[i64],
        numbers: &[f32],
        batch: usize,
        out: &mut Vec<f32>,
    ) -> Result<(), BundleError> {
        out.clear();
        self.check(indices, numbers, batch)?;
        out.reserve(batch * self.dim);
        let (n, m) = self.widths;
        let short = |row: &[i64]| self.shorter.as_ref().and_then(|shorter| shorter.plan(row));
        let long = |row: &[i64]| short(row).is_none();
        let mut start = 0;
        while start < batch {
            let rest = &indices[start * n..];
            let (states, rows, cut) = match short(&rest[..n]) {
                Some((states, cut)) => (states, 1, Some(cut)),
                None if batch - start >= BLOCK
                    && rest[..BLOCK * n].chunks_exact(n.max(1)).all(long) =>
                {
                    (&self.block, BLOCK, None)
                }
                None => (&self.one, 1, None),
            };
            let indices = cut.as_deref().unwrap_or(&rest[..rows * n]);
            self.run(states, indices, &numbers[start * m..][..rows * m], rows, out).map_err(
                |error| BundleError::Tower {
                    path: self.path.clone(),
                    reason: format!("{error:#}"),
                },
            )?;
            start += rows;
        }
        Ok(())
    }

    fn run(
        &self,
        states: &States,
        indices: &[i64],
        numbers: &[f32],
        rows: usize,
        out: &mut Vec<f32>,
    ) -> TractResult<()> {
        let inputs = self.inputs.iter().map(|source| {
            let tensor = match source {
                Source::Indices => Tensor::from_shape(&[rows, indices.len() / rows], indices),
                Source::Numbers => Tensor::from_shape(&[rows, self.widths.1], numbers),
            };
            tensor.map(Tensor::into_tvalue)
        });
        let inputs = inputs.collect::<TractResult<TVec<TValue>>>()?;
        let idle = states.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut state = idle.map_or_else(|| states.plan.spawn(), Ok)?;
        // A graph that is not the writer's can make tract panic, such as by an index outside its
        // table. Whatever fails, its state is dropped instead of returned to the idle ones.
        let run =
            std::panic::AssertUnwindSafe(move || state.run(inputs).map(|outputs| (outputs, state)));
        let (outputs, state) =
            std::panic::catch_unwind(run).map_err(|_| anyhow!("running it failed"))??;
        if !states.remembers {
            states.idle.lock().unwrap_or_else(PoisonError::into_inner).push(state);
        }
        let vectors = outputs[0].try_as_plain_ram()?;
        out.extend_from_slice(vectors.as_slice::<f32>()?);
        Ok(())
    }

    fn check(&self, indices: &[i64], numbers: &[f32], batch: usize) -> Result<(), BundleError> {
        let (n, m) = self.widths;
        let wrong =
            |reason: String| Err(BundleError::TowerInput { path: self.path.clone(), reason });
        if batch.checked_mul(n) != Some(indices.len())
            || batch.checked_mul(m) != Some(numbers.len())
        {
            let found = (indices.len(), numbers.len());
            return wrong(format!(
                "{batch} rows of {n} indices and {m} numbers were announced, {found:?} given"
            ));
        }
        for row in indices.chunks_exact(n.max(1)) {
            if let Some(at) =
                row.iter().zip(&self.rows).position(|(&index, &rows)| index < 0 || index >= rows)
            {
                return wrong(format!(
                    "index {} in column {at} lies outside its table of {} rows",
                    row[at], self.rows[at]
                ));
            }
        }
        if let Some(at) = numbers.iter().position(|number| !number.is_finite()) {
            return wrong(format!("number {} in column {} is not finite", numbers[at], at % m));
        }
        Ok(())
    }
}

impl Shorter {
    /// The narrowest plan that holds the history of this row, if one does, and the row as wide as
    /// that.
    fn plan(&self, row: &[i64]) -> Option<(&States, Vec<i64>)> {
        let columns = self.histories.columns_in_use(row);
        let (columns, states) = self.plans.iter().find(|(most, _)| *most >= columns)?;
        Some((states, self.histories.cut(row, *columns)))
    }
}

impl std::fmt::Debug for Tower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tower({} → {})", self.path.display(), self.dim)
    }
}

/// Optimises the model for `rows` rows and checks what comes out.
fn plan(
    mut model: InferenceModel,
    sources: &[Source],
    widths: (usize, usize),
    dim: usize,
    rows: usize,
) -> TractResult<States> {
    for (i, source) in sources.iter().enumerate() {
        let fact = match source {
            Source::Indices => InferenceFact::dt_shape(i64::datum_type(), [rows, widths.0]),
            Source::Numbers => InferenceFact::dt_shape(f32::datum_type(), [rows, widths.1]),
        };
        model.set_input_fact(i, fact)?;
    }
    let model = model.into_optimized()?;
    ensure!(model.outputs.len() == 1, "it has {} outputs, not one", model.outputs.len());
    let output = model.output_fact(0)?;
    let right = output.datum_type == f32::datum_type()
        && output.shape.to_tvec()[..] == [rows.to_dim(), dim.to_dim()];
    ensure!(right, "it yields {output:?}, not rows of {dim} numbers");
    check_sizes(&model)?;
    let remembers = model.nodes.iter().any(|node| node.op_is::<Scan>() || node.op_is::<OptScan>());
    Ok(States { plan: model.into_runnable()?, idle: Mutex::new(Vec::new()), remembers })
}

/// Checks that everything computed in a run has a known and moderate size.
fn check_sizes(model: &TypedModel) -> TractResult<()> {
    for node in &model.nodes {
        for fact in
            node.outputs.iter().map(|output| &output.fact).filter(|fact| fact.konst.is_none())
        {
            let shape = fact
                .shape
                .as_concrete()
                .with_context(|| format!("`{}` has no fixed shape", node.name))?;
            let size = fact.datum_type.size_of();
            let bytes = shape.iter().try_fold(size, |bytes, &axis| bytes.checked_mul(axis));
            let fits = bytes.is_some_and(|bytes| bytes <= MAX_TENSOR);
            ensure!(
                fits,
                "`{}` makes a tensor of {shape:?}, above {} MB",
                node.name,
                MAX_TENSOR >> 20
            );
        }
    }
    Ok(())
}

/// The number of rows behind each column of `indices`.
fn rows(schema: &TowerSchema) -> Vec<i64> {
    let mut bounds = Vec::new();
    for slot in schema.slots() {
        match slot {
            Slot::Embedding { rows, .. } | Slot::OneHot { rows, .. } => bounds.push(rows as i64),
            Slot::History { rows, length, .. } | Slot::Sequence { rows, length, .. } => {
                bounds.extend(std::iter::repeat_n(rows as i64, length));
            }
            Slot::Numbers { .. } => {}
        }
    }
    bounds
}
