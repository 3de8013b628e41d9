//! The training configuration: a TOML file, changed by `--set key=value`, checked once.

use super::learner::StepOptimizer;
use crate::{
    bundle::IndexParameters,
    dataset::Protocol,
    evaluation::{Evaluation, PairTests},
    families::{Family, Settings},
    features::FeatureConfig,
    model::{AdamW, LossKind},
    text::TextConfig,
};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

mod assign;
mod check;
mod read;
pub mod reference;

/// What is wrong with `training.device = "cuda"` in a build without the feature.
pub(crate) const WITHOUT_CUDA: &str = "is `cuda`, but this program was built without it; build it with `cargo build --release --features cuda`";

/// A whole training run. Saved in checkpoints and in the bundle's manifest.
// `remote`: what is derived reads the sections that all families share; `read.rs` adds those of the
// family.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
pub struct TrainingConfig {
    pub model: ModelConfig,
    /// `[[features.query]]` and `[[features.item]]` entries of a two-tower model.
    #[serde(default)]
    pub features: FeatureConfig,
    /// Embed the articles' texts with a frozen encoder, as the vectors `text`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextConfig>,
    #[serde(default)]
    pub loss: LossConfig,
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    #[serde(default)]
    pub training: LoopConfig,
    /// What is held out; the last week for the test and the one before it for validation by
    /// default.
    #[serde(default = "default_split")]
    pub split: Protocol,
    /// The search graph of the bundle.
    #[serde(default = "default_index")]
    pub index: IndexParameters,
    /// The model family, with the sections that are its own.
    #[serde(flatten, skip_deserializing)]
    #[schemars(skip)]
    pub family: Settings,
}

/// `[model]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The bundle's name: lower-case letters, digits, `-`, `_`.
    pub name: String,
    pub family: Family,
    /// Length of query and item vectors; 0 takes the last of the layers, alike in both towers, for
    /// the last one. Left out in families that have no vectors.
    #[serde(default)]
    pub dim: usize,
    /// Widths of the hidden layers (ReLU) of the query tower; a last layer of width `dim` follows
    /// without ReLU.
    #[serde(default)]
    pub query_layers: Vec<usize>,
    /// The same of the item tower.
    #[serde(default)]
    pub item_layers: Vec<usize>,
    /// Vectors of unit length: compare by cosine instead of inner product.
    #[serde(default)]
    pub normalize: bool,
}

/// `[loss]`
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LossConfig {
    pub kind: LossKind,
    /// Logits are divided by it; about 0.05 to 0.2 with `normalize`, 1 without.
    pub temperature: f32,
    /// Subtract the log of each item's chance to be in the batch (Yi et al. 2019), so that popular
    /// items are not punished for being sampled often; of the softmax only.
    pub logq: bool,
    /// Items drawn uniformly in addition to the batch's own; the size of the catalogue or more
    /// takes every item once, which is the full softmax; of the softmax only.
    pub uniform_negatives: usize,
    /// The share of each target that is spread evenly over all items it is compared with (Szegedy
    /// et al. 2016, arXiv:1512.00567), so that the model does not stretch for certainty; of a
    /// sequence model's softmax that the batch shares only.
    pub label_smoothing: f32,
}

/// `[optimizer]`: Adam or AdamW and how the learning rate runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    pub kind: OptimizerKind,
    pub learning_rate: f32,
    /// Decoupled or coupled, as the kind has it.
    pub weight_decay: f32,
    pub beta1: f32,
    pub beta2: f32,
    pub epsilon: f32,
    /// Divide by the root of the largest second moment so far, not the present one
    /// ([`crate::model::Moments`]).
    pub amsgrad: bool,
    /// The learning rate rises in a line over so many steps.
    pub warmup_steps: u32,
    /// What it does afterwards.
    pub schedule: Schedule,
    /// Longest gradient over all parameters (its Euclidean length); longer ones are scaled down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip: Option<f32>,
    /// Judge and ship an exponential moving average of the weights, of which a step leaves this
    /// share: 0.999 averages over about the last thousand steps. Without it the weights of the
    /// last step count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema_decay: Option<f32>,
}

/// How weights decay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerKind {
    /// The share of a weight removed by each step that touches it, not multiplied by the learning
    /// rate ([`AdamW::weight_decay`]).
    Adamw,
    /// A part of the gradient: L2 regularisation ([`AdamW::l2`]).
    Adam,
}

/// The learning rate after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    Constant,
    /// Falls to 0 at the last of the planned epochs, along half a cosine (Loshchilov & Hutter 2017,
    /// arXiv:1608.03983).
    Cosine,
}

/// `[training]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoopConfig {
    /// Passes over the training purchases, at most.
    pub epochs: u32,
    /// Purchases a step; the pairwise losses count purchases and their negatives together, and
    /// sequence models windows (`sequence.batch_purchases` sizes those by what they ask for).
    pub batch_size: usize,
    /// Of weights, shuffling, dropout and negatives.
    pub seed: u64,
    /// What takes the optimiser's steps.
    pub device: ComputeDevice,
    /// Worker threads; 0 takes one a core. The same seed and thread count give the same model.
    pub threads: usize,
    /// Stop when the metric has not risen for so many epochs, and keep the best epoch; 0 trains all
    /// epochs and keeps the last.
    pub patience: u32,
    /// Judges an epoch on the validation cases: one of [`crate::evaluation::METRICS`], such as
    /// `ndcg@10`, `recall@12`; or `similarity-recall@500` with a pairwise loss.
    pub metric: String,
    /// Train again from scratch for the best number of epochs, with the held-out purchases too.
    pub refit: Refit,
    /// Train only on the last so many days before what is held out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_days: Option<u32>,
    /// A purchase counts half as much as one so many days later, so that the model follows what
    /// sells now while it still learns taste from older purchases; without it all count alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub half_life_days: Option<f32>,
    /// Judge an epoch, and the finished model, by at most so many cases, evenly spaced over the
    /// customers.
    pub evaluation_cases: usize,
}

/// Where a model is trained. Evaluation and export are the CPU's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ComputeDevice {
    Cpu,
    /// The first NVIDIA GPU, in a build with the feature `cuda`.
    Cuda,
}

/// What the final model is trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Refit {
    /// Training purchases only.
    None,
    /// And those held out for validation; the test remains a test.
    Validation,
    /// All purchases, the test's included: for what goes live. The model is measured as with
    /// `validation` first, then trained once more for the same number of epochs.
    All,
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the training configuration {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("training configuration {}: {message}", path.display())]
    Parse { path: PathBuf, message: String },
    #[error("--set {assignment}: {problem}")]
    Set { assignment: String, problem: String },
    #[error("training configuration: `{key}` {problem}")]
    Value { key: &'static str, problem: String },
}

impl Default for LossConfig {
    fn default() -> Self {
        Self {
            kind: LossKind::Softmax,
            temperature: 1.0,
            logq: true,
            uniform_negatives: 0,
            label_smoothing: 0.0,
        }
    }
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        let AdamW { learning_rate, weight_decay, beta1, beta2, epsilon, .. } = AdamW::default();
        Self {
            kind: OptimizerKind::Adamw,
            learning_rate,
            weight_decay,
            beta1,
            beta2,
            epsilon,
            amsgrad: false,
            warmup_steps: 0,
            schedule: Schedule::Constant,
            clip: None,
            ema_decay: None,
        }
    }
}

impl OptimizerConfig {
    /// The optimiser of the step after `steps`, of `planned` in all.
    pub fn at(&self, steps: u32, planned: u32) -> StepOptimizer {
        let Self { learning_rate, beta1, beta2, epsilon, warmup_steps, schedule, clip, .. } = *self;
        let factor = if steps < warmup_steps {
            f64::from(steps + 1) / f64::from(warmup_steps)
        } else {
            match schedule {
                Schedule::Constant => 1.0,
                Schedule::Cosine => {
                    let rest = planned.saturating_sub(warmup_steps).max(1);
                    let done = f64::from(steps - warmup_steps) / f64::from(rest);
                    0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos())
                }
            }
        };
        let learning_rate = (f64::from(learning_rate) * factor) as f32;
        let (weight_decay, l2) = match self.kind {
            OptimizerKind::Adamw => (self.weight_decay, 0.0),
            OptimizerKind::Adam => (0.0, self.weight_decay),
        };
        StepOptimizer {
            adamw: AdamW { learning_rate, weight_decay, l2, beta1, beta2, epsilon },
            clip,
        }
    }
}

impl Default for LoopConfig {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch_size: 2_048,
            seed: 1,
            device: ComputeDevice::Cpu,
            threads: 0,
            patience: 3,
            metric: "ndcg@10".to_owned(),
            refit: Refit::None,
            window_days: None,
            half_life_days: None,
            evaluation_cases: 20_000,
        }
    }
}

fn default_split() -> Protocol {
    Protocol::time(7, 7)
}

fn default_index() -> IndexParameters {
    IndexParameters { m: 16, ef_construction: 200, ef_search: 200 }
}

impl ConfigError {
    /// The first of the checks that fails: key, whether it is good, what is wrong otherwise.
    ///
    /// # Errors
    /// That one.
    pub(crate) fn first<'c>(
        checks: impl IntoIterator<Item = (&'static str, bool, &'c str)>,
    ) -> Result<(), Self> {
        match checks.into_iter().find(|(_, good, _)| !good) {
            Some((key, _, problem)) => Err(Self::Value { key, problem: problem.to_owned() }),
            None => Ok(()),
        }
    }
}

impl TrainingConfig {
    /// Reads the file, applies `key=value` assignments in order, and checks the result.
    ///
    /// # Errors
    /// [`ConfigError`] naming the file, assignment or key.
    pub fn load(path: &Path, assignments: &[String]) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.into(), source })?;
        let wrong = |text: Option<&str>, mut error: toml::de::Error| {
            error.set_input(text);
            ConfigError::Parse { path: path.into(), message: error.to_string() }
        };
        if assignments.is_empty() {
            return Self::from_toml(&text).map_err(|error| wrong(Some(&text), error))?.checked();
        }
        let mut table: toml::Table =
            toml::from_str(&text).map_err(|error| wrong(Some(&text), error))?;
        for assignment in assignments {
            let fail =
                |problem: String| ConfigError::Set { assignment: assignment.clone(), problem };
            assign::set(&mut table, assignment).map_err(fail)?;
        }
        // Its lines are not those of the file, so no error shows them.
        Self::from_toml(&table.to_string()).map_err(|error| wrong(None, error))?.checked()
    }

    /// What the towers read.
    pub fn schema_features(&self) -> FeatureConfig {
        self.family.features(self)
    }

    /// The tests of models that learn from pairs; `None` for others.
    pub fn pair_tests<'a>(&self, evaluation: Evaluation<'a>) -> Option<PairTests<'a>> {
        let LossConfig { kind: loss, temperature, .. } = self.loss;
        let (batch, seed) = (self.purchases_a_step(), self.training.seed);
        loss.is_pairwise().then_some(PairTests { evaluation, loss, temperature, batch, seed })
    }

    /// A batch of a pairwise loss is half purchases, half negatives.
    pub fn purchases_a_step(&self) -> usize {
        let size = self.training.batch_size;
        if self.loss.kind.is_pairwise() { size.div_ceil(2) } else { size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::{REGISTRY, SPLIT_ENCODERS, WARM_EPOCHS};

    const SMALL: &str = r#"
        [model]
        name = "small"
        family = "two-tower"
        dim = 8
        [[features.query]]
        source = "customer_id"
        encoding = "embedding"
        dim = 8
        [[features.item]]
        source = "article_id"
        encoding = "embedding"
        dim = 8
    "#;

    fn load(text: &str, sets: &[&str]) -> Result<TrainingConfig, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        std::fs::write(&path, text).unwrap();
        let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
        TrainingConfig::load(&path, &sets).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_filled_and_assignments_win() {
        let config = load(SMALL, &[]).unwrap();
        assert_eq!((config.training, config.split), (LoopConfig::default(), default_split()));
        let sets = [
            "training.epochs=3",
            "training.metric=hr@100",
            "features.query.0.dim=4",
            "model.query_layers=[16, 8]",
        ];
        let config = load(SMALL, &sets).unwrap();
        assert_eq!((config.training.epochs, config.training.metric.as_str()), (3, "hr@100"));
        assert_eq!(config.model.query_layers, [16, 8]);
        assert!(matches!(
            config.features.query[0].encoding,
            crate::features::EncodingSpec::Embedding { dim: 4, .. }
        ));
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<TrainingConfig>(&json).unwrap(), config);
    }

    #[test]
    fn the_learning_rate_rises_then_falls_as_told() {
        let rate = |schedule, steps| {
            let config = OptimizerConfig {
                learning_rate: 1.0,
                warmup_steps: 4,
                schedule,
                ..OptimizerConfig::default()
            };
            config.at(steps, 12).adamw.learning_rate
        };
        let rises: Vec<f32> = (0..5).map(|steps| rate(Schedule::Constant, steps)).collect();
        assert_eq!(rises, [0.25, 0.5, 0.75, 1.0, 1.0]);
        let falls: Vec<f32> = [4, 8, 12, 99].map(|steps| rate(Schedule::Cosine, steps)).to_vec();
        assert!(
            falls.iter().zip([1.0, 0.5, 0.0, 0.0]).all(|(f, want)| (f - want).abs() < 1e-6),
            "{falls:?}"
        );
    }

    #[test]
    fn a_third_width_of_0_means_two_layers() {
        let layers = ["model.query_layers=[128, 64]", "model.item_layers=[256, 64]"];
        let three = load(SMALL, &[layers[0], layers[1], "model.dim=32"]).unwrap().model;
        assert_eq!(
            (three.dim, three.query_layers, three.item_layers),
            (32, vec![128, 64], vec![256, 64])
        );
        let two = load(SMALL, &[layers[0], layers[1], "model.dim=0"]).unwrap().model;
        assert_eq!((two.dim, two.query_layers, two.item_layers), (64, vec![128], vec![256]));
    }

    #[test]
    fn adam_couples_the_decay_and_adamw_does_not() {
        let decays = |kind: &str| {
            let adamw = load(SMALL, &["optimizer.weight_decay=0.5", kind])
                .unwrap()
                .optimizer
                .at(0, 1)
                .adamw;
            (adamw.weight_decay, adamw.l2)
        };
        assert_eq!(
            (decays("optimizer.kind=adamw"), decays("optimizer.kind=adam")),
            ((0.5, 0.0), (0.0, 0.5))
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (sets, part) in [
            (["training.epoch=3"], "unknown field `epoch`"),
            (["training.epochs=0"], "`training.epochs` must be at least 1"),
            (["model.dim=0"], "do not end in the same width"),
            (["features.item.0.enabled=false"], "`features.item` names no feature"),
            (["training.epochs=many"], "invalid type"),
            (["training.metric=auc"], "`training.metric` is no metric"),
            (["features.query.7.dim=4"], "`7` is no entry"),
            (["model.dim.x=4"], "has no keys"),
            (["epochs"], "key=value"),
            (["training.half_life_days=0"], "`training.half_life_days` must be above 0"),
            (["model.name=\"A b\""], "`model.name`"),
            (["optimizer.learning_rate=nan"], "above 0"),
            (["loss.kind=cosine-cross-entropy"], "set `model.normalize = true`"),
            (["optimizer.clip=1"], "`decoder` and `lstm` only"),
            (["optimizer.epsilon=0"], "above 0"),
            (["optimizer.ema_decay=0.9"], "`decoder` and `lstm` only"),
            (["loss.label_smoothing=0.1"], "`decoder` and `lstm` only"),
            (["lstm.hidden=[4]"], "`lstm` is for the families `decoder` and `lstm` only"),
            (["elsa.length=4"], "`elsa` is for the family `elsa` only"),
            (["elsas.length=4"], "there is no section `elsas`; there are: "),
            (
                ["model.family=elsas"],
                "there is no model family `elsas`; there are: two-tower, decoder, ",
            ),
            (["model.family=\"decoder\""], "`features` is for the family `two-tower` only"),
            (["split={protocol=\"weekly\"}"], "unknown variant"),
            (
                ["training.device=cuda"],
                "`training.device` is for the families `decoder` and `lstm` only",
            ),
            (["training.device=tpu"], "unknown variant `tpu`"),
        ] {
            let error = load(SMALL, &sets).unwrap_err();
            assert!(error.contains(part), "{sets:?}: {error}");
        }
        assert!(load("[model", &[]).unwrap_err().contains("line 1"));
    }

    #[test]
    fn what_is_wrong_is_shown_where_it_stands() {
        for (lines, parts) in [
            ("[training]\nepoch = 3", ["epoch = 3", "unknown field `epoch`"]),
            ("[elsa]\nlength = 3", ["[elsa]", "`elsa` is for the family `elsa` only"]),
            ("[elsas]\nlength = 3", ["[elsas]", "there is no section `elsas`; there are: "]),
        ] {
            let error = load(&format!("{SMALL}\n{lines}"), &[]).unwrap_err();
            assert!(
                error.contains("line 1") && parts.iter().all(|part| error.contains(part)),
                "{error}"
            );
        }
        let elsa =
            "model = { name = \"a\", family = \"elsa\", dim = 4 }\n[elsa]\nlength = 3\nlengths = 4";
        let error = load(elsa, &[]).unwrap_err();
        assert!(
            error.contains("line 4")
                && error.contains("unknown field `lengths`, expected one of `length`"),
            "{error}"
        );
    }

    #[test]
    fn a_family_has_sections_of_its_own() {
        let shared = schemars::schema_for!(TrainingConfig).to_value();
        for (section, families) in crate::families::sections() {
            assert!(
                shared["properties"][&section].is_null(),
                "`{section}` of {families:?} is shared by all"
            );
        }
    }

    #[test]
    fn a_family_uses_keys_that_there_are() {
        let config = load(SMALL, &[]).unwrap();
        let keys = config.optional().map(|(key, _)| key);
        for family in REGISTRY {
            let known = |option: &&&str| {
                keys.contains(option) || [WARM_EPOCHS, SPLIT_ENCODERS].contains(option)
            };
            assert_eq!(family.uses.iter().find(|option| !known(option)), None, "{}", family.name);
        }
    }
}
