//! `[sequence]`, `[decoder]`, `[lstm]`: the configuration of sequence models.

#[cfg(not(feature = "cuda"))]
use crate::training::WITHOUT_CUDA;
use crate::{
    families::{ModelFamily, Registered, registered},
    features::{Encoder, Encoding, EncodingSpec, FeatureConfig, FeatureSpec, source},
    model::{
        AgeTable, SequenceModel, SequenceModelConfig,
        sequence::{DecoderConfig, EncoderConfig, LstmConfig, Positions},
    },
    training::{ComputeDevice, ConfigError, Outcome, Trainer, TrainingConfig, TrainingError},
};
use serde::{Deserialize, Serialize};

pub(in crate::families) const DECODER: Registered = registered::<SequenceFamily>(
    "decoder",
    "A decoder transformer over the customer's latest items.",
    USES,
);
pub(in crate::families) const LSTM: Registered =
    registered::<SequenceFamily>("lstm", "An LSTM over them.", USES);

const USES: &[&str] = &[
    "model.dim",
    "loss.temperature",
    "loss.logq",
    "loss.uniform_negatives",
    "loss.label_smoothing",
    "optimizer.clip",
    "optimizer.ema_decay",
    "training.device",
];

/// `[sequence]`: what a sequence model reads and predicts. Its features follow from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SequenceConfig {
    /// Items of a customer's past that the model reads, at most: the latest ones.
    pub length: usize,
    /// Width of an item as it is read; `model.dim` less the width of the ages by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item_dim: Option<usize>,
    /// Items are read and predicted by the same table (Press & Wolf 2017, arXiv:1608.05859).
    pub tied: bool,
    /// What an item is read by.
    pub tokens: TokenSource,
    /// How the trained rows of items start.
    pub init: ItemInit,
    /// Items have a bias.
    pub bias: bool,
    /// Sequences begin with a trained token, which predicts the first item.
    pub sos: bool,
    /// The end of a sequence is a class of its own, predicted after its last item.
    pub eos: bool,
    /// Items are read with their age.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<DaysConfig>,
    /// To what an item is read by is added how long it was to the next one, or from the latest to
    /// the moment of the question: a trained row for each doubling of the time. Purchases without
    /// dates are read without.
    pub gaps: bool,
    pub windows: Windows,
    /// Purchases that a step asks for, on average: as many windows as that takes, few where
    /// histories are long and many where they are short. In place of `training.batch_size`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_purchases: Option<usize>,
    /// Negatives drawn uniformly for each window, which its positions share, in place of the
    /// columns that the whole batch shares (`loss.uniform_negatives` and what the batch itself
    /// bought). All items are drawn alike, so `loss.logq` then has nothing to correct.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negatives: Option<usize>,
    /// Customers with fewer training purchases are left out of the training.
    pub min_items: usize,
    /// The share of the windows that is drawn at random and not trained on, 0 to less than 1. What
    /// the model says of them is reported as `window-accuracy`. Windows of one customer overlap and
    /// the drawn ones are no later than the others, so it flatters; models are chosen by the
    /// ranking metrics of `[split]`.
    pub held_out_windows: f32,
}

/// What stands for an item where it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TokenSource {
    /// A trained row.
    Trained,
    /// The frozen vector of its text, which `[text]` describes; `tied` must then be false.
    Text,
}

/// How the trained rows of items start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ItemInit {
    /// Drawn uniformly, each on its own.
    Uniform,
    /// Items bought shortly before or after the same others start near each other: random vectors
    /// are summed over the neighbours of each item in the training sequences, twice (Chen et al.
    /// 2019, arXiv:1908.11512).
    Neighbours,
}

/// `[sequence.days]`: days before the end of the training data, in classes of equal width, each
/// with a trained row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DaysConfig {
    pub buckets: usize,
    pub dim: usize,
}

/// How a customer's purchases become training sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Windows {
    /// One after the other, so that every purchase but the first is predicted once.
    Consecutive,
    /// Of `length` items, each beginning one later than the one before.
    Sliding,
}

impl Default for SequenceConfig {
    fn default() -> Self {
        Self {
            length: 50,
            item_dim: None,
            tied: true,
            tokens: TokenSource::Trained,
            init: ItemInit::Uniform,
            bias: false,
            sos: false,
            eos: false,
            days: None,
            gaps: false,
            windows: Windows::Consecutive,
            batch_purchases: None,
            negatives: None,
            min_items: 2,
            held_out_windows: 0.0,
        }
    }
}

/// Whether places are counted from the newest item.
fn from_end(encoder: &EncoderConfig) -> bool {
    matches!(encoder, EncoderConfig::Decoder(decoder) if decoder.positions == Positions::LearnedFromEnd)
}

/// The sections of both families.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SequenceFamily {
    /// Of a sequence model, as the next two.
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<SequenceConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decoder: Option<DecoderConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lstm: Option<LstmConfig>,
}

impl SequenceConfig {
    /// That of a configuration.
    pub(super) fn of(config: &TrainingConfig) -> Self {
        config
            .family
            .get::<SequenceFamily>()
            .and_then(|family| family.sequence.clone())
            .unwrap_or_default()
    }

    /// Width of an item as it is read by a model of this width.
    fn item_dim(&self, dim: usize) -> usize {
        let rest = dim.saturating_sub(self.days.map_or(0, |days| days.dim));
        self.item_dim.unwrap_or(rest)
    }
}

impl SequenceFamily {
    fn encoder(&self, config: &TrainingConfig) -> EncoderConfig {
        match is_lstm(config) {
            true => EncoderConfig::Lstm(self.lstm.clone().unwrap_or_default()),
            false => EncoderConfig::Decoder(self.decoder.clone().unwrap_or_default()),
        }
    }
}

fn is_lstm(config: &TrainingConfig) -> bool {
    config.model.family.name() == LSTM.name
}

/// The shape of a model of this encoder's features; `None` for other families.
pub(super) fn shape(config: &TrainingConfig, encoder: &Encoder) -> Option<SequenceModelConfig> {
    let sequence = SequenceConfig::of(config);
    let ages = encoder.schema().query.features.iter().find_map(|feature| match feature.encoding {
        Encoding::SequenceDays { rows, dim, .. } => Some(AgeTable::Following { rows, dim }),
        Encoding::SequenceGaps { rows, .. } => Some(AgeTable::Added { rows }),
        _ => None,
    });
    Some(SequenceModelConfig {
        encoder: config.family.get::<SequenceFamily>()?.encoder(config),
        items: encoder.items(),
        length: sequence.length,
        item_dim: sequence.item_dim(config.model.dim),
        tied: sequence.tied,
        bias: sequence.bias,
        sos: sequence.sos,
        ages,
        temperature: config.loss.temperature,
        smoothing: config.loss.label_smoothing,
    })
}

impl ModelFamily for SequenceFamily {
    fn check(&self, config: &TrainingConfig) -> Result<(), ConfigError> {
        let (sequence, encoder) = (SequenceConfig::of(config), self.encoder(config));
        let (dim, lstm) = (config.model.dim, is_lstm(config));
        let dims = sequence.item_dim(dim) + sequence.days.map_or(0, |days| days.dim);
        ConfigError::first([
            ("decoder", self.decoder.is_none() || !lstm, "is for the family `decoder` only"),
            ("lstm", self.lstm.is_none() || lstm, "is for the family `lstm` only"),
            (
                "sequence.tokens",
                sequence.tokens == TokenSource::Trained
                    || (!sequence.tied && config.text.is_some()),
                "is `text`: that needs a section [text] and `sequence.tied = false`",
            ),
            ("sequence.length", (1..=1_024).contains(&sequence.length), "must be 1 to 1024"),
            (
                "sequence.item_dim",
                (1..=4_096).contains(&sequence.item_dim(dim)),
                "must be 1 to 4096",
            ),
            (
                "sequence.sos",
                !(sequence.sos && lstm),
                "is for the decoder: an LSTM begins from its zero state",
            ),
            (
                "decoder.positions",
                !(sequence.sos && from_end(&encoder)),
                "counts from the end, where a start token has no place of its own: set `sequence.sos = false`",
            ),
            (
                "sequence.batch_purchases",
                sequence.batch_purchases.is_none_or(|purchases| (1..=1 << 20).contains(&purchases)),
                "must be 1 to 1048576",
            ),
            (
                "sequence.negatives",
                sequence.negatives.is_none_or(|negatives| (1..=1 << 16).contains(&negatives)),
                "must be 1 to 65536",
            ),
            (
                "sequence.negatives",
                sequence.negatives.is_none() || config.loss.uniform_negatives == 0,
                "takes the place of `loss.uniform_negatives`: set one of the two",
            ),
            (
                "loss.label_smoothing",
                sequence.negatives.is_none() || config.loss.label_smoothing == 0.0,
                "is for the softmax that the batch shares: leave out `sequence.negatives`, or set it to 0",
            ),
            ("sequence.min_items", sequence.min_items > 0, "must be at least 1"),
            (
                "sequence.held_out_windows",
                (0.0..1.0).contains(&sequence.held_out_windows),
                "must be a share from 0 to less than 1",
            ),
            (
                "sequence.days",
                sequence.days.is_none_or(|d| {
                    (1..=100_000).contains(&d.buckets) && (1..=4_096).contains(&d.dim)
                }),
                "needs 1 to 100000 `buckets` and a `dim` of 1 to 4096",
            ),
            (
                "sequence.gaps",
                !(sequence.gaps && sequence.days.is_some()),
                "and `[sequence.days]` tell the same times: leave out one of the two",
            ),
            (
                "sequence.gaps",
                !(sequence.gaps && sequence.eos),
                "needs a next purchase, and the end has none: set `sequence.eos = false`",
            ),
            (
                "sequence.tied",
                !sequence.tied || sequence.item_dim(dim) == dim,
                "needs tokens of the width of items: leave out `item_dim` and `days`, or set it to false",
            ),
        ])?;
        let refuse = |key, problem| Err(ConfigError::Value { key, problem });
        if let Err(error) = encoder.check(dims, sequence.length + usize::from(sequence.sos)) {
            return refuse(if lstm { "lstm" } else { "decoder" }, format!("cannot be: {error}"));
        }
        let width = encoder.output_width(dims);
        if width != dim {
            return refuse(
                "model.dim",
                format!("is {dim}, but the encoder's outputs are {width} wide"),
            );
        }
        Ok(())
    }

    fn features(&self, config: &TrainingConfig) -> FeatureConfig {
        let sequence = SequenceConfig::of(config);
        let length = sequence.length;
        let feature = |name: &str, source: &str, encoding| FeatureSpec {
            name: name.into(),
            source: source.into(),
            encoding,
            enabled: true,
        };
        let dim = sequence.item_dim(config.model.dim);
        let mut query =
            vec![feature("items", source::HISTORY, EncodingSpec::Sequence { dim, length })];
        if let Some(DaysConfig { buckets, dim }) = sequence.days {
            query.push(feature(
                "days",
                source::HISTORY,
                EncodingSpec::SequenceDays { dim, length, buckets },
            ));
        }
        if sequence.gaps {
            let encoding = EncodingSpec::SequenceGaps { dim, length };
            query.push(feature("gaps", source::HISTORY, encoding));
        }
        let dim = config.model.dim + usize::from(sequence.bias);
        let row = EncodingSpec::Embedding { dim, dropout: 0.0, min_count: 1 };
        FeatureConfig { query, item: vec![feature(source::ARTICLE_ID, source::ARTICLE_ID, row)] }
    }

    fn train(&self, trainer: &Trainer<'_>, resume: bool) -> Result<Outcome, TrainingError> {
        match trainer.config.training.device {
            ComputeDevice::Cpu => trainer.stages::<SequenceModel>(resume),
            #[cfg(feature = "cuda")]
            ComputeDevice::Cuda => trainer.stages::<crate::model::DeviceSequenceModel>(resume),
            #[cfg(not(feature = "cuda"))]
            ComputeDevice::Cuda => Err(TrainingError::NoDevice(WITHOUT_CUDA.to_owned())),
        }
    }
}
