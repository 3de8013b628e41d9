//! The model families and the kernels under them. Knows no HTTP and no files.
//!
//! A two-tower model ([`TwoTower`]) is embedding tables plus two small dense towers. A training
//! step runs outside autodiff: rows are gathered into one input matrix a tower ([`Assembly`]), the
//! towers run forward ([`Tower`]), one fused kernel gives the loss and its gradients
//! ([`SoftmaxBatch`], [`PairBatch`]), the towers run backward, and the gradients of the input
//! matrix are scattered to the rows the batch touched ([`Table`], row-wise AdamW). `burn_tower`
//! states the same tower as a burn module: the tests compare the kernels with it.
//!
//! The sequence encoders (decoder transformer, LSTM) are in [`sequence`]; `burn_sequence` states
//! them in burn's tensors: the tests compare the kernels with it, and a GPU trains by it. Only
//! tests and the feature `cuda` compile burn, because it costs a third of a first build.
//!
//! [`Elsa`] is one item table and a loss in closed form: its kernel needs no matrix of customers by
//! items.
//!
//! [`MaskedModel`] is the encoder of item texts that `vitrine-trainer map --text` trains.
//!
//! Every kernel cuts its rows into as many fixed pieces as the thread pool has threads and adds
//! partial results in order: the same seed and thread count give the same bits.

pub mod sequence;

mod adamw;
mod assembly;
#[cfg(any(test, feature = "cuda"))]
mod burn_sequence;
#[cfg(test)]
mod burn_tower;
// Only a build that can open a GPU trains by it. The tests run it on the CPU, so that it is tested
// where there is no GPU.
#[cfg(any(test, feature = "cuda"))]
mod device_sequence;
mod drawn_softmax;
mod elsa;
mod list_loss;
mod masked;
mod pairs;
mod ranker;
mod sequence_model;
mod simd;
mod softmax;
mod table;
mod tower;
mod trees;
mod two_tower;

pub use adamw::{AdamW, Moments};
pub use assembly::{Assembly, Inputs};
#[cfg(any(test, feature = "cuda"))]
pub use device_sequence::{DeviceError, DeviceSequenceModel};
pub use drawn_softmax::{DrawnSoftmax, DrawnWorkspace};
pub use elsa::{Elsa, ElsaBatch};
pub use list_loss::ListBatch;
pub use masked::{MaskedBatch, MaskedModel};
pub use pairs::{LossKind, PairBatch};
pub use ranker::ListRanker;
pub use sequence_model::{
    AgeTable, Candidates, DrawnNegatives, SequenceBatch, SequenceModel, SequenceModelConfig,
    SharedColumns, Tokens,
};
pub use softmax::{SoftmaxBatch, SoftmaxWorkspace};
pub use table::{Scatter, Table};
pub use tower::{Dense, Gradients, Tower, TowerPass};
pub use trees::{TreeRanker, TreeSettings};
pub use two_tower::{Side, StepBatch, TwoTower, TwoTowerConfig};
