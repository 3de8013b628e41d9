//! Sequence models that learn on a GPU: the learner, and opening the device.

use super::samples::Sequences;
use crate::{
    dataset::{Dataset, Histories},
    families::TrainedModel,
    features::{Encoder, Moment},
    model::{DeviceError, DeviceSequenceModel, SequenceBatch, SequenceModel},
    training::{ComputeDevice, Learner, StepOptimizer, TrainingConfig, TrainingError},
};
use burn::tensor::Device;

impl From<DeviceError> for TrainingError {
    fn from(error: DeviceError) -> Self {
        Self::Device(error.to_string())
    }
}

/// Opens what the configuration names; the CPU is what the tests run on.
fn open(device: ComputeDevice) -> Result<Device, TrainingError> {
    match device {
        ComputeDevice::Cpu => Ok(Device::flex()),
        #[cfg(feature = "cuda")]
        ComputeDevice::Cuda => cuda(),
        #[cfg(not(feature = "cuda"))]
        ComputeDevice::Cuda => {
            Err(TrainingError::NoDevice(crate::training::WITHOUT_CUDA.to_owned()))
        }
    }
}

/// The first GPU, after it has done a first sum.
#[cfg(feature = "cuda")]
fn cuda() -> Result<Device, TrainingError> {
    use burn::tensor::{DeviceType, Tensor};
    let refuse = |problem: &str| Err(TrainingError::NoDevice(format!("is `cuda`, but {problem}")));
    if Device::enumerate(DeviceType::Cuda).is_empty() {
        return refuse(
            "there is no NVIDIA GPU with a driver (nvidia-smi lists them); set it to `cpu`",
        );
    }
    // The runtime panics where a driver is too old or the memory is taken by others.
    let opened = std::panic::catch_unwind(|| {
        let device = Device::cuda(0);
        let sum = Tensor::<1>::ones([8], &device).sum().try_into_scalar::<f32>();
        sum.map(|_| device).map_err(|error| error.to_string())
    });
    match opened {
        Ok(Ok(device)) => Ok(device),
        Ok(Err(error)) => refuse(&format!("the GPU does not work: {error}")),
        Err(_) => {
            refuse("the GPU cannot be opened (see above); update its driver, or set it to `cpu`")
        }
    }
}

impl Learner for DeviceSequenceModel {
    type Batch = SequenceBatch;
    type Samples<'a> = Sequences<'a>;

    fn new(
        encoder: &Encoder,
        dataset: &Dataset,
        config: &TrainingConfig,
    ) -> Result<Self, TrainingError> {
        let model = <SequenceModel as Learner>::new(encoder, dataset, config)?;
        Ok(Self::new(model, open(config.training.device)?))
    }

    fn samples<'a>(
        encoder: &'a Encoder,
        dataset: &'a Dataset,
        histories: &'a Histories,
        rows: &[u32],
        config: &TrainingConfig,
    ) -> Sequences<'a> {
        Sequences::new(encoder, dataset, histories, rows, config)
    }

    fn start(&mut self, samples: &Sequences<'_>) {
        self.host_mut().start(samples);
    }

    fn step(
        &mut self,
        batch: &SequenceBatch,
        optimizer: &StepOptimizer,
    ) -> Result<f64, TrainingError> {
        Ok(self.step(batch, &optimizer.adamw, optimizer.clip)?)
    }

    fn steps(&mut self) -> &mut u32 {
        self.steps()
    }

    fn settle(&mut self) -> Result<(), TrainingError> {
        Ok(self.settle()?)
    }

    fn arrays(&mut self) -> Vec<&mut [u8]> {
        self.host_mut().arrays()
    }

    fn weights(&mut self) -> Vec<&mut [f32]> {
        self.host_mut().weights()
    }

    fn dim(&self) -> usize {
        self.host().dim()
    }

    fn item_vectors(&self, samples: &Sequences<'_>) -> Vec<f32> {
        self.host().item_vectors(samples)
    }

    fn query_vectors(
        &self,
        samples: &Sequences<'_>,
        moments: impl ExactSizeIterator<Item = Moment>,
    ) -> Vec<f32> {
        self.host().query_vectors(samples, moments)
    }

    fn own_metric(&self, samples: &Sequences<'_>, most: usize) -> Option<(String, f64)> {
        self.host().own_metric(samples, most)
    }

    fn into_model(self) -> Box<dyn TrainedModel> {
        self.into_host().into_model()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{AVERAGED, DECODER, LSTM, config, sequence},
        *,
    };
    use crate::training::{
        Outcome, Trained,
        tests::{assert_diverges, finished, train, with_trainer},
    };
    use std::{
        path::Path,
        sync::atomic::{AtomicUsize, Ordering},
    };

    /// The CPU, and the GPU where this build can open one.
    fn devices() -> Vec<&'static str> {
        let gpu = cfg!(feature = "cuda") && open(ComputeDevice::Cuda).is_ok();
        if gpu {
            vec!["training.device=cpu", "training.device=cuda"]
        } else {
            vec!["training.device=cpu"]
        }
    }

    /// As [`train`], the steps in tensors.
    fn train_on_device(
        config: &TrainingConfig,
        directory: &Path,
        resume: bool,
        steps: usize,
    ) -> Result<Outcome, TrainingError> {
        let taken = AtomicUsize::new(0);
        let stop = || taken.fetch_add(1, Ordering::Relaxed) >= steps;
        with_trainer(config, directory, &stop, |trainer| {
            trainer.stages::<DeviceSequenceModel>(resume)
        })
    }

    /// All weights and running statistics, and the moments of the tables.
    fn weights(trained: &Trained) -> Vec<f32> {
        let model = sequence(trained);
        let tables =
            [Some(&model.items), model.tokens.as_ref(), model.ages.as_ref()].into_iter().flatten();
        let mut all: Vec<f32> =
            tables.flat_map(|table| table.weights.iter().chain(&table.moments)).copied().collect();
        all.extend(model.encoder.parameters().iter().flat_map(|parameter| parameter.values));
        all
    }

    #[test]
    fn a_run_ends_as_on_the_kernels() {
        // A large epsilon: without it Adam makes whole steps of the rounding errors of gradients
        // that are zero.
        let runs = [
            (DECODER, ["decoder.dropout=0", "sequence.windows=sliding"]),
            (AVERAGED, ["decoder.dropout=0", "training.patience=2"]),
            (LSTM, ["training.half_life_days=20", "sequence.held_out_windows=0.1"]),
        ];
        for ((base, [first, second]), device) in
            runs.into_iter().flat_map(|run| devices().into_iter().map(move |on| (run, on)))
        {
            let on = |device| config(base, &["optimizer.epsilon=0.01", first, second, device]);
            let directories = [(); 2].map(|()| tempfile::tempdir().unwrap());
            let kernels = finished(train(
                &on("training.device=cpu"),
                directories[0].path(),
                false,
                usize::MAX,
            ));
            let tensors =
                finished(train_on_device(&on(device), directories[1].path(), false, usize::MAX));
            assert_eq!(
                (kernels.epochs, sequence(&kernels).steps),
                (tensors.epochs, sequence(&tensors).steps)
            );
            let worst = weights(&kernels)
                .iter()
                .zip(weights(&tensors))
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            // A GPU multiplies in TF32, with mantissas of 10 bits.
            let close = if device.ends_with("cuda") { 2e-2 } else { 2e-3 };
            assert!(worst < close, "{device}: weights differ by {worst}");
            let metrics = directories
                .map(|d| std::fs::read_to_string(d.path().join("metrics.jsonl")).unwrap());
            let lines = metrics
                .map(|text| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect());
            let [kernels, tensors]: [Vec<serde_json::Map<String, serde_json::Value>>; 2] = lines;
            assert!(kernels.len() >= 4 && kernels.len() == tensors.len());
            for (kernels, tensors) in kernels.iter().zip(&tensors) {
                assert!(kernels.keys().eq(tensors.keys()), "{kernels:?}: {tensors:?}");
                let [want, got] = [kernels, tensors].map(|line| line["loss"].as_f64().unwrap());
                assert!((want - got).abs() < 1e-3, "{got} is not {want}");
            }
        }
    }

    #[test]
    fn a_resumed_run_ends_in_the_same_bits() {
        for (base, changes, stops) in [
            (
                DECODER,
                &["decoder.dropout=0", "training.refit=validation", "training.patience=2"][..],
                &[3, 14][..],
            ),
            (AVERAGED, &["decoder.dropout=0", "training.patience=2"], &[13]),
            (LSTM, &[], &[5]),
        ] {
            let config = config(base, changes);
            let straight = tempfile::tempdir().unwrap();
            let straight = finished(train_on_device(&config, straight.path(), false, usize::MAX));
            for &stop in stops {
                let directory = tempfile::tempdir().unwrap();
                let first = train_on_device(&config, directory.path(), false, stop).unwrap();
                assert!(matches!(first, Outcome::Interrupted(path) if path.exists()), "{stop}");
                let resumed =
                    finished(train_on_device(&config, directory.path(), true, usize::MAX));
                assert_eq!(
                    (resumed.epochs, resumed.validation),
                    (straight.epochs, straight.validation)
                );
                assert!(weights(&resumed) == weights(&straight), "{stop}: the weights differ");
            }
        }
    }

    #[test]
    fn a_diverging_run_names_the_step_and_keeps_its_last_checkpoint() {
        let wild = config(DECODER, &["optimizer.learning_rate=1e30", "optimizer.warmup_steps=0"]);
        assert_diverges(train_on_device, &config(DECODER, &[]), &wild);
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn a_build_without_the_feature_says_how_to_build_with_it() {
        let told = "is `cuda`, but this program was built without it; build it with `cargo build --release --features";
        let error = crate::training::tests::configure(DECODER, &["training.device=cuda"])
            .unwrap_err()
            .to_string();
        assert!(error.contains(told), "{error}");
        let error = open(ComputeDevice::Cuda).unwrap_err();
        assert!(error.is_bad_input() && error.to_string().contains(told), "{error}");
    }
}
