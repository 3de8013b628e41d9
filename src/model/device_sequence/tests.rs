//! The steps in tensors against those of the kernels.

use super::{
    super::{
        burn_sequence::embed,
        sequence::{Activation, DecoderConfig, EncoderConfig, LstmConfig, Packed, Positions},
        sequence_model::{
            AgeTable, Candidates, DrawnNegatives, SequenceModelConfig, SharedColumns, Tokens,
        },
    },
    gradients::summed,
    *,
};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::index::sample};

const ITEMS: usize = 60;

fn shape(encoder: EncoderConfig) -> SequenceModelConfig {
    SequenceModelConfig {
        encoder,
        items: ITEMS,
        length: 20,
        item_dim: 12,
        tied: true,
        bias: false,
        sos: false,
        ages: None,
        temperature: 0.7,
        smoothing: 0.0,
    }
}

fn decoder() -> DecoderConfig {
    DecoderConfig {
        layers: 2,
        heads: 2,
        feed_forward: 20,
        dropout: 0.0,
        ..DecoderConfig::default()
    }
}

fn shapes() -> Vec<SequenceModelConfig> {
    let lstm = LstmConfig { hidden: vec![10, 12], ..LstmConfig::default() };
    vec![
        SequenceModelConfig {
            sos: true,
            bias: true,
            smoothing: 0.2,
            ages: Some(AgeTable::Added { rows: 7 }),
            ..shape(EncoderConfig::Decoder(decoder()))
        },
        SequenceModelConfig {
            tied: false,
            item_dim: 8,
            ages: Some(AgeTable::Following { rows: 7, dim: 4 }),
            ..shape(EncoderConfig::Decoder(DecoderConfig {
                activation: Activation::Elu,
                positions: Positions::Sinusoidal,
                scale_embedding: true,
                final_norm: false,
                ..decoder()
            }))
        },
        shape(EncoderConfig::Decoder(DecoderConfig {
            positions: Positions::LearnedFromEnd,
            gated: true,
            activation: Activation::Swiglu,
            ..decoder()
        })),
        shape(EncoderConfig::Decoder(DecoderConfig {
            activation: Activation::Relu,
            positions: Positions::Rotary,
            ..decoder()
        })),
        SequenceModelConfig { tied: false, bias: true, ..shape(EncoderConfig::Lstm(lstm.clone())) },
        shape(EncoderConfig::Lstm(LstmConfig {
            hidden: vec![12],
            batch_norm: false,
            attention: false,
            ..lstm
        })),
    ]
}

/// Over which items a batch's softmax is.
#[derive(Clone, Copy, PartialEq)]
enum Softmax {
    All,
    Some,
    /// Drawn for each sequence.
    Drawn,
}

/// Items are drawn unevenly, so that some are read many times.
fn batch(
    config: &SequenceModelConfig,
    rng: &mut StdRng,
    softmax: Softmax,
    weighted: bool,
) -> SequenceBatch {
    let longest = config.length;
    let packed =
        Packed::of((0..9).map(|s| if s == 3 { longest } else { rng.random_range(1..longest) }));
    let count = packed.tokens();
    let items =
        (0..count).map(|_| rng.random_range(0..=ITEMS as u32) / rng.random_range(1..=9)).collect();
    let ages = config.ages.map_or_else(Vec::new, |ages| {
        let (AgeTable::Following { rows, .. } | AgeTable::Added { rows }) = ages;
        (0..count).map(|_| rng.random_range(0..rows as u32)).collect()
    });
    let columns = if softmax == Softmax::All { ITEMS + 1 } else { 25 };
    let targets = (0..count).map(|_| rng.random_range(0..columns as u32)).collect();
    let candidates = if softmax == Softmax::Drawn {
        // Of few rows, so that some are targets and some come twice.
        let negatives = (0..9 * 7).map(|_| rng.random_range(0..30)).collect();
        Candidates::Drawn(DrawnNegatives { targets, negatives })
    } else {
        let rows = sample(rng, ITEMS + 1, columns).iter().map(|row| row as u32).collect();
        let bias = |_| if softmax == Softmax::All { 0.0 } else { rng.random_range(-1f32..3.0) };
        Candidates::Shared(SharedColumns { targets, rows, bias: (0..columns).map(bias).collect() })
    };
    SequenceBatch {
        tokens: Tokens { packed, items, ages },
        candidates,
        weights: weighted.then(|| (0..count).map(|_| rng.random_range(0.1f32..1.0)).collect()),
        seed: rng.random(),
    }
}

#[track_caller]
fn assert_close(what: &str, got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len(), "{what}");
    let size = want.iter().fold(1e-3f32, |a, b| a.max(b.abs()));
    let worst = got.iter().zip(want).map(|(g, w)| (g - w).abs()).fold(0.0, f32::max);
    assert!(worst <= 1e-3 * size, "{what}: {worst} off in values up to {size}");
}

#[track_caller]
fn assert_same_model(device: &mut SequenceModel, kernels: &mut SequenceModel) {
    assert_eq!(device.steps, kernels.steps);
    for (device, kernels) in device.tables_mut().zip(kernels.tables_mut()) {
        assert_eq!(device.steps, kernels.steps);
        assert_close("table", &device.weights, &kernels.weights);
        assert_close("moments of a table", &device.moments, &kernels.moments);
    }
    for (device, kernels) in
        device.encoder.parameters_mut().into_iter().zip(kernels.encoder.parameters_mut())
    {
        assert_close(kernels.name, device.values, kernels.values);
        match (device.moments, kernels.moments) {
            (Some(device), Some(kernels)) => {
                assert_close("first moments", device.0, kernels.0);
                assert_close("second moments", device.1, kernels.1);
            }
            (None, None) => {}
            _ => panic!("moments of one only"),
        }
    }
}

/// A large epsilon: without it Adam makes whole steps of the rounding errors of gradients that are
/// zero, such as the one by the keys' bias.
fn optimizer(weight_decay: f32, l2: f32) -> AdamW {
    AdamW { learning_rate: 0.05, weight_decay, l2, epsilon: 0.01, ..AdamW::default() }
}

#[test]
fn steps_are_those_of_the_kernels() {
    let mut rng = StdRng::seed_from_u64(7);
    for (n, config) in shapes().into_iter().enumerate() {
        let mut kernels = SequenceModel::new(&config, 3).unwrap();
        let mut device =
            DeviceSequenceModel::new(SequenceModel::new(&config, 3).unwrap(), Device::flex());
        for step in 0..6 {
            let softmax = [Softmax::All, Softmax::Some, Softmax::Drawn, Softmax::Drawn][step % 4];
            let batch = batch(&config, &mut rng, softmax, n % 2 == 0);
            let (optimizer, clip) = [
                (optimizer(0.01, 0.0), None),
                (optimizer(0.0, 0.01), Some(0.05)),
                (optimizer(0.0, 0.0), Some(1e6)),
            ][step % 3];
            let want = kernels.step(&batch, &optimizer, clip);
            let got = device.step(&batch, &optimizer, clip).unwrap();
            assert!(
                (got - want).abs() <= 1e-4 * want,
                "model {n}, step {step}: {got} is not {want}"
            );
            if step == 2 {
                device.settle().unwrap();
            }
        }
        device.settle().unwrap();
        assert_same_model(device.host_mut(), &mut kernels);
    }
}

#[test]
fn frozen_tokens_stay_but_for_the_boundary() {
    let config =
        SequenceModelConfig { tied: false, sos: true, ..shape(EncoderConfig::Decoder(decoder())) };
    let mut rng = StdRng::seed_from_u64(8);
    let vectors: Vec<f32> = (0..ITEMS * 12).map(|_| rng.random_range(-1f32..1.0)).collect();
    let mut model = SequenceModel::new(&config, 3).unwrap();
    model.freeze_tokens(&vectors);
    let mut device = DeviceSequenceModel::new(model, Device::flex());
    let mut batch = batch(&config, &mut rng, Softmax::All, false);
    batch.tokens.items.iter_mut().for_each(|item| *item = (*item).min(ITEMS as u32 - 1));
    for boundary in [false, true] {
        if boundary {
            batch.tokens.items[0] = ITEMS as u32;
        }
        device.step(&batch, &AdamW::default(), None).unwrap();
        device.settle().unwrap();
        let tokens = device.host().tokens.as_ref().unwrap();
        assert_eq!(tokens.weights[..ITEMS * 12], vectors);
        assert_eq!(tokens.row(ITEMS).iter().any(|&w| w != 0.0), boundary);
    }
}

#[test]
fn a_loss_that_is_not_finite_changes_nothing() {
    for config in shapes() {
        let mut rng = StdRng::seed_from_u64(9);
        let mut device =
            DeviceSequenceModel::new(SequenceModel::new(&config, 3).unwrap(), Device::flex());
        let mut batch = batch(&config, &mut rng, Softmax::All, false);
        match &mut batch.candidates {
            Candidates::Shared(columns) => columns.bias[0] = f32::NAN,
            Candidates::Drawn(_) => panic!("of another kind"),
        }
        assert!(device.step(&batch, &AdamW::default(), Some(1.0)).unwrap().is_nan());
        device.settle().unwrap();
        let mut fresh = SequenceModel::new(&config, 3).unwrap();
        for (now, fresh) in device.host_mut().tables_mut().zip(fresh.tables_mut()) {
            assert_eq!(now, fresh);
        }
        assert_eq!(device.host().encoder.parameters(), fresh.encoder.parameters());
    }
}

#[test]
fn dropout_changes_what_is_learnt_and_not_what_is_answered() {
    let with = |dropout| shape(EncoderConfig::Decoder(DecoderConfig { dropout, ..decoder() }));
    let loss = |dropout| {
        let mut rng = StdRng::seed_from_u64(10);
        let mut device = DeviceSequenceModel::new(
            SequenceModel::new(&with(dropout), 3).unwrap(),
            Device::flex(),
        );
        let batch = batch(&with(dropout), &mut rng, Softmax::All, false);
        device.step(&batch, &AdamW::default(), None).unwrap()
    };
    assert!(loss(0.5).is_finite() && (loss(0.5) - loss(0.0)).abs() > 1e-6);
    let packed = Packed::of([3, 5]);
    let tokens: Vec<f32> = (0..8 * 12).map(|i| (i as f32).sin()).collect();
    let answers = |dropout| {
        let model = SequenceModel::new(&with(dropout), 3).unwrap();
        embed(&model.encoder, &packed, &tokens)
    };
    assert_eq!(answers(0.5), answers(0.0));
}

#[test]
fn gradients_of_a_row_are_summed() {
    let mut rng = StdRng::seed_from_u64(11);
    // One row many times over, so that sums are summed, and some once.
    let rows: Vec<u32> =
        (0..300).map(|i| if i % 2 == 0 { 4 } else { rng.random_range(0..200) }).collect();
    let values: Vec<f32> = (0..900).map(|_| rng.random_range(-1f32..1.0)).collect();
    let device = Device::flex();
    let pairs = rows.iter().enumerate().map(|(at, &row)| (row, at)).collect();
    let found = summed(tensor(values.clone(), [300, 3], &device), pairs).unwrap();
    assert!(found.rows.is_sorted_by(|a, b| a < b));
    let mut want = vec![0.0; 600];
    for (&row, gradient) in rows.iter().zip(values.chunks_exact(3)) {
        (0..3).for_each(|k| want[row as usize * 3 + k] += gradient[k]);
    }
    let sums: Vec<f32> = found.sums.into_data().try_to_vec().unwrap();
    for (&row, sum) in found.rows.iter().zip(sums.chunks_exact(3)) {
        assert_close("sum", sum, &want[row as usize * 3..][..3]);
        want[row as usize * 3..][..3].fill(0.0);
    }
    assert!(want.iter().all(|&rest| rest == 0.0), "a row is missing");
    assert!(summed(Tensor::zeros([4, 3], &device), Vec::new()).is_none());
}
