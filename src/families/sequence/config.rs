//! `[sequence]`, `[decoder]`, `[lstm]`: the configuration of sequence models.

use crate::{
    features::{EncodingSpec, FeatureConfig, FeatureSpec, source},
    model::{
        SequenceModelConfig,
        sequence::{EncoderConfig, Positions},
    },
    training::{ConfigError, Family, TrainingConfig},
};
use serde::{Deserialize, Serialize};

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
    pub windows: Windows,
    /// Purchases that a step asks for, on average: as many windows as that takes, few where histories are long and many where
    /// they are short. In place of `training.batch_size`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_purchases: Option<usize>,
    /// Negatives drawn uniformly for each window, which its positions share, in place of the
    /// columns that the whole batch shares (`loss.uniform_negatives` and what the batch itself
    /// bought). All items are drawn alike, so `loss.logq` then has nothing to correct.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negatives: Option<usize>,
    /// Customers with fewer training purchases are left out of the training.
    pub min_items: usize,
    /// The share of the windows that is drawn at random and not trained on, 0 to less than 1. What the model says of them is
    /// reported as [`crate::families::WINDOW_ACCURACY`]. Windows of one customer overlap and the drawn ones are no later than the
    /// others, so it flatters; models are chosen by the ranking metrics of `[split]`.
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

/// `[sequence.days]`: days before the end of the training data, in classes of equal width, each with a trained row.
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

impl TrainingConfig {
    /// The encoder of a sequence family, and what is read and predicted; `None` for other families.
    pub fn sequence_model(&self) -> Option<(SequenceConfig, EncoderConfig)> {
        let encoder = match self.model.family {
            Family::TwoTower | Family::Elsa | Family::Frequency | Family::Ranker => return None,
            Family::Decoder => EncoderConfig::Decoder(self.decoder.clone().unwrap_or_default()),
            Family::Lstm => EncoderConfig::Lstm(self.lstm.clone().unwrap_or_default()),
        };
        Some((self.sequence.clone().unwrap_or_default(), encoder))
    }

    /// The features of the towers: those of the families without `[features]` follow from their configuration.
    pub fn schema_features(&self) -> FeatureConfig {
        if let Some(elsa) = self.elsa_model() {
            return elsa.features(self.model.dim);
        }
        if matches!(self.model.family, Family::Frequency | Family::Ranker) {
            return FeatureConfig::default();
        }
        let Some((sequence, _)) = self.sequence_model() else { return self.features.clone() };
        let length = sequence.length;
        let feature = |name: &str, source: &str, encoding| FeatureSpec {
            name: name.into(),
            source: source.into(),
            encoding,
            enabled: true,
        };
        let dim = self.item_dim(&sequence);
        let mut query = vec![feature("items", source::HISTORY, EncodingSpec::Sequence { dim, length })];
        if let Some(DaysConfig { buckets, dim }) = sequence.days {
            query.push(feature("days", source::HISTORY, EncodingSpec::SequenceDays { dim, length, buckets }));
        }
        let dim = self.model.dim + usize::from(sequence.bias);
        let row = EncodingSpec::Embedding { dim, dropout: 0.0, min_count: 1 };
        FeatureConfig { query, item: vec![feature(source::ARTICLE_ID, source::ARTICLE_ID, row)] }
    }

    /// The shape of a sequence model over so many items; `None` for other families.
    pub fn sequence_shape(&self, items: usize) -> Option<SequenceModelConfig> {
        let (sequence, encoder) = self.sequence_model()?;
        Some(SequenceModelConfig {
            encoder,
            items,
            length: sequence.length,
            item_dim: self.item_dim(&sequence),
            tied: sequence.tied,
            bias: sequence.bias,
            sos: sequence.sos,
            ages: sequence.days.map(|days| (days.buckets + 1, days.dim)),
            temperature: self.loss.temperature,
            smoothing: self.loss.label_smoothing,
        })
    }

    fn item_dim(&self, sequence: &SequenceConfig) -> usize {
        let rest = self.model.dim.saturating_sub(sequence.days.map_or(0, |days| days.dim));
        sequence.item_dim.unwrap_or(rest)
    }

    /// What else must hold for the family; checked after the single values.
    pub(crate) fn check_family(&self) -> Result<(), ConfigError> {
        let refuse = |key, problem: String| Err(ConfigError::Value { key, problem });
        if self.elsa.is_some() && self.model.family != Family::Elsa {
            return refuse("elsa", "is for the family `elsa` only".into());
        }
        if self.frequency.is_some() && self.model.family != Family::Frequency {
            return refuse("frequency", "is for the family `frequency` only".into());
        }
        if self.ranker.is_some() && self.model.family != Family::Ranker {
            return refuse("ranker", "is for the family `ranker` only".into());
        }
        if let Some(ranker) = self.ranker_model() {
            return self.check_ranker(&ranker);
        }
        if let Some(elsa) = self.elsa_model() {
            return self.check_elsa(elsa);
        }
        if let Some(frequency) = self.frequency_model() {
            return self.check_frequency(&frequency);
        }
        let Some((sequence, encoder)) = self.sequence_model() else {
            let given = [
                ("sequence", self.sequence.is_some()),
                ("decoder", self.decoder.is_some()),
                ("lstm", self.lstm.is_some()),
                ("optimizer.clip", self.optimizer.clip.is_some()),
                ("optimizer.ema_decay", self.optimizer.ema_decay.is_some()),
                ("loss.label_smoothing", self.loss.label_smoothing > 0.0),
            ];
            if let Some((key, _)) = given.into_iter().find(|(_, given)| *given) {
                return refuse(key, "is for the families `decoder` and `lstm` only".into());
            }
            let sequences = |spec: &FeatureSpec| {
                matches!(spec.encoding, EncodingSpec::Sequence { .. } | EncodingSpec::SequenceDays { .. })
            };
            let none = |features: &[FeatureSpec]| !features.iter().any(|feature| feature.enabled);
            return match (none(&self.features.query), none(&self.features.item)) {
                (true, _) => refuse("features.query", "names no feature".into()),
                (_, true) => refuse("features.item", "names no feature".into()),
                _ if self.features.query.iter().any(sequences) => {
                    refuse("features.query", "holds a sequence, which the family `two-tower` cannot read".into())
                }
                _ => Ok(()),
            };
        };
        let other = match self.model.family {
            Family::Lstm => ("decoder", self.decoder.is_some()),
            _ => ("lstm", self.lstm.is_some()),
        };
        let dims = self.item_dim(&sequence) + sequence.days.map_or(0, |days| days.dim);
        let unused = |layers: &[usize]| layers.is_empty() && !self.model.normalize;
        let checks = [
            (other.0, !other.1, "is for the other family; remove it or change `model.family`"),
            (
                "features",
                self.features == FeatureConfig::default(),
                "must be left out: the features of a sequence model follow from [sequence]",
            ),
            (
                "model",
                unused(&self.model.query_layers) && unused(&self.model.item_layers),
                "takes neither `query_layers`, `item_layers` nor `normalize` in a sequence model",
            ),
            (
                "sequence.tokens",
                sequence.tokens == TokenSource::Trained || (!sequence.tied && self.text.is_some()),
                "is `text`: that needs a section [text] and `sequence.tied = false`",
            ),
            ("sequence.length", (1..=1_024).contains(&sequence.length), "must be 1 to 1024"),
            ("sequence.item_dim", (1..=4_096).contains(&self.item_dim(&sequence)), "must be 1 to 4096"),
            (
                "sequence.sos",
                !(sequence.sos && self.model.family == Family::Lstm),
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
                sequence.negatives.is_none() || self.loss.uniform_negatives == 0,
                "takes the place of `loss.uniform_negatives`: set one of the two",
            ),
            (
                "loss.label_smoothing",
                sequence.negatives.is_none() || self.loss.label_smoothing == 0.0,
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
                sequence.days.is_none_or(|d| (1..=100_000).contains(&d.buckets) && (1..=4_096).contains(&d.dim)),
                "needs 1 to 100000 `buckets` and a `dim` of 1 to 4096",
            ),
            (
                "sequence.tied",
                !sequence.tied || self.item_dim(&sequence) == self.model.dim,
                "needs tokens of the width of items: leave out `item_dim` and `days`, or set it to false",
            ),
        ];
        if let Some((key, _, problem)) = checks.into_iter().find(|(_, good, _)| !good) {
            return refuse(key, problem.to_owned());
        }
        let key = if self.model.family == Family::Lstm { "lstm" } else { "decoder" };
        if let Err(error) = encoder.check(dims, sequence.length + usize::from(sequence.sos)) {
            return refuse(key, format!("cannot be: {error}"));
        }
        let width = encoder.output_width(dims);
        if width != self.model.dim {
            return refuse("model.dim", format!("is {}, but the encoder's outputs are {width} wide", self.model.dim));
        }
        Ok(())
    }
}
