//! What must hold of single values.

use super::{ComputeDevice, ConfigError, LossConfig, TrainingConfig, WITHOUT_CUDA};
use crate::{
    evaluation::{METRICS, SIMILARITY_RECALL},
    families::Family,
    features::FeatureConfig,
    model::LossKind,
};

impl TrainingConfig {
    /// What the values mean, or the first that cannot be.
    pub(super) fn checked(mut self) -> Result<Self, ConfigError> {
        let family = self.model.family;
        if let Some((key, _)) =
            self.optional().into_iter().find(|&(key, given)| given && !family.uses(key))
        {
            return Err(ConfigError::Value { key, problem: Family::only_for(key) });
        }
        let vectors = family.uses("model.dim");
        if self.model.dim == 0 && vectors {
            let (query, item) = (self.model.query_layers.pop(), self.model.item_layers.pop());
            self.model.dim = query.filter(|_| query == item).ok_or(ConfigError::Value {
                key: "model.dim",
                problem: "is 0, but `model.query_layers` and `model.item_layers` do not end in the same width"
                    .to_owned(),
            })?;
        }
        let Self { model, loss, optimizer, training, index, .. } = &self;
        let name = model.name.as_str();
        let safe = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        let fraction = |x: f32| (0.0..1.0).contains(&x);
        let checks = [
            (
                "model.name",
                !name.is_empty() && name.len() <= 64 && name.chars().all(safe),
                "needs 1 to 64 of a-z 0-9 - _",
            ),
            ("model.dim", (1..=4_096).contains(&model.dim) || !vectors, "must be 1 to 4096"),
            (
                "model.query_layers",
                model.query_layers.iter().all(|&w| w > 0),
                "holds a layer of width 0",
            ),
            (
                "model.item_layers",
                model.item_layers.iter().all(|&w| w > 0),
                "holds a layer of width 0",
            ),
            (
                "loss.kind",
                loss.kind != LossKind::CosineCrossEntropy || model.normalize,
                "cosine-cross-entropy compares by cosine: set `model.normalize = true`",
            ),
            (
                "loss.temperature",
                loss.temperature > 0.0 && loss.temperature.is_finite(),
                "must be above 0",
            ),
            (
                "loss.label_smoothing",
                fraction(loss.label_smoothing),
                "must be at least 0 and below 1",
            ),
            (
                "optimizer.learning_rate",
                optimizer.learning_rate > 0.0 && optimizer.learning_rate.is_finite(),
                "must be above 0",
            ),
            (
                "optimizer.weight_decay",
                fraction(optimizer.weight_decay),
                "must be at least 0 and below 1",
            ),
            ("optimizer.beta1", fraction(optimizer.beta1), "must be at least 0 and below 1"),
            ("optimizer.beta2", fraction(optimizer.beta2), "must be at least 0 and below 1"),
            ("optimizer.clip", optimizer.clip.is_none_or(|clip| clip > 0.0), "must be above 0"),
            (
                "optimizer.ema_decay",
                optimizer.ema_decay.is_none_or(|decay| fraction(decay) && decay > 0.0),
                "must be above 0 and below 1",
            ),
            ("optimizer.epsilon", optimizer.epsilon > 0.0, "must be above 0"),
            ("training.epochs", training.epochs > 0, "must be at least 1"),
            (
                "training.batch_size",
                (1..=1 << 20).contains(&training.batch_size),
                "must be 1 to 1048576",
            ),
            (
                "training.device",
                training.device == ComputeDevice::Cpu || cfg!(feature = "cuda"),
                WITHOUT_CUDA,
            ),
            ("training.threads", training.threads <= 1_024, "must be at most 1024"),
            ("training.window_days", training.window_days != Some(0), "must be at least 1"),
            (
                "training.half_life_days",
                training.half_life_days.is_none_or(|days| days > 0.0 && days.is_finite()),
                "must be above 0",
            ),
            ("training.evaluation_cases", training.evaluation_cases > 0, "must be at least 1"),
            (
                "training.metric",
                METRICS.iter().any(|metric| metric.name() == training.metric)
                    || (loss.kind.is_pairwise() && training.metric == SIMILARITY_RECALL),
                "is no metric of the evaluation table, such as ndcg@10, recall@12, hr@100, map@12",
            ),
            // The graph builder ends the process above 256 links.
            ("index.m", (2..=128).contains(&index.m), "must be 2 to 128"),
            (
                "index.ef_construction",
                (1..=10_000).contains(&index.ef_construction),
                "must be 1 to 10000",
            ),
            ("index.ef_search", (1..=10_000).contains(&index.ef_search), "must be 1 to 10000"),
        ];
        ConfigError::first(checks)?;
        self.family.check(&self)?;
        Ok(self)
    }

    /// The keys that only some families use, and whether the configuration gives them.
    pub(super) fn optional(&self) -> [(&'static str, bool); 14] {
        let Self { model, loss, optimizer, .. } = self;
        let default = LossConfig::default();
        [
            ("features", self.features != FeatureConfig::default()),
            ("model.dim", model.dim != 0),
            ("model.query_layers", !model.query_layers.is_empty()),
            ("model.item_layers", !model.item_layers.is_empty()),
            ("model.normalize", model.normalize),
            ("loss.kind", loss.kind != default.kind),
            ("loss.temperature", loss.temperature != default.temperature),
            ("loss.logq", loss.logq != default.logq),
            ("loss.uniform_negatives", loss.uniform_negatives != default.uniform_negatives),
            ("loss.label_smoothing", loss.label_smoothing != default.label_smoothing),
            ("optimizer.amsgrad", optimizer.amsgrad),
            ("optimizer.clip", optimizer.clip.is_some()),
            ("optimizer.ema_decay", optimizer.ema_decay.is_some()),
            ("training.device", self.training.device != ComputeDevice::Cpu),
        ]
    }
}
