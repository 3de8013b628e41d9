//! What the reference in [`super::super::burn_sequence`] does not show: dropout, determinism,
//! training as a whole.

use super::*;
use rand::{Rng, SeedableRng, rngs::StdRng};

fn configs() -> [EncoderConfig; 3] {
    let decoder = DecoderConfig {
        feed_forward: 24,
        positions: Positions::Rotary,
        dropout: 0.3,
        ..Default::default()
    };
    let gated = DecoderConfig {
        positions: Positions::LearnedFromEnd,
        gated: true,
        activation: Activation::Swiglu,
        ..decoder.clone()
    };
    let lstm = LstmConfig { hidden: vec![10, 8], dropout: 0.3, ..LstmConfig::default() };
    [EncoderConfig::Decoder(decoder), EncoderConfig::Decoder(gated), EncoderConfig::Lstm(lstm)]
}

fn draw(rng: &mut StdRng, n: usize) -> Vec<f32> {
    (0..n).map(|_| rng.random_range(-1f32..1.0)).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// With dropout on and a seed fixed, the loss is a smooth function: its slope along a random
/// direction of all weights and tokens is the gradient's.
#[test]
fn gradients_are_slopes_with_dropout_on() {
    let mut rng = StdRng::seed_from_u64(1);
    let packed = Packed::of([3, 1, 6, 20, 2]);
    for config in configs() {
        let mut encoder = SequenceEncoder::new(&config, 12, 20, 7).unwrap();
        let tokens = draw(&mut rng, packed.tokens() * 12);
        let upstream = draw(&mut rng, packed.tokens() * encoder.output_width());
        let (along_weights, along_tokens) =
            (draw(&mut rng, encoder.parameters.values.len()), draw(&mut rng, tokens.len()));
        let start = encoder.parameters.values.clone();
        let loss_at = |step: f32, encoder: &mut SequenceEncoder| {
            let moved = |x: &[f32], along: &[f32]| {
                x.iter().zip(along).map(|(x, a)| x + step * a).collect::<Vec<_>>()
            };
            encoder.parameters.values = moved(&start, &along_weights);
            dot(
                encoder.forward(
                    &packed,
                    &moved(&tokens, &along_tokens),
                    Mode::Training { seed: 5 },
                ),
                &upstream,
            )
        };
        loss_at(0.0, &mut encoder);
        let mut by_tokens = Vec::new();
        encoder.backward(&packed, &mut upstream.clone(), &mut by_tokens);
        let slope =
            dot(&encoder.parameters.gradient, &along_weights) + dot(&by_tokens, &along_tokens);
        let h = 2e-3;
        // Five points: the error of three would be seen.
        let mut difference = |h: f32| loss_at(h, &mut encoder) - loss_at(-h, &mut encoder);
        let want = (8.0 * difference(h) - difference(2.0 * h)) / (12.0 * f64::from(h));
        assert!((slope - want).abs() <= 5e-3 * want.abs().max(1.0), "{slope} is not {want}");
    }
}

#[test]
fn a_thread_count_gives_the_same_bits_every_time_and_others_agree() {
    let mut rng = StdRng::seed_from_u64(2);
    let packed = Packed::of((0..60).map(|_| rng.random_range(1..20)));
    let tokens = draw(&mut rng, packed.tokens() * 12);
    for mut config in configs() {
        // The LSTM drops in time-major order, which depends on the pieces.
        if let EncoderConfig::Lstm(lstm) = &mut config {
            lstm.dropout = 0.0;
        }
        let upstream =
            draw(&mut StdRng::seed_from_u64(3), packed.tokens() * config.output_width(12));
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut encoder = SequenceEncoder::new(&config, 12, 20, 7).unwrap();
                let mut by_tokens = Vec::new();
                for step in 1..=3 {
                    encoder.forward(&packed, &tokens, Mode::Training { seed: 5 + u64::from(step) });
                    encoder.backward(&packed, &mut upstream.clone(), &mut by_tokens);
                    encoder.update(&AdamW::default(), step);
                }
                (encoder.embed(&packed, &tokens), by_tokens, encoder.gradient_norm().to_bits())
            })
        };
        let (one, three) = (run(1), run(3));
        assert_eq!(one, run(1));
        assert_eq!(three, run(3));
        let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-3);
        assert!(close(&one.0, &three.0) && close(&one.1, &three.1));
    }
}

/// The target of every token is the sequence's first: only memory can tell.
#[test]
fn both_encoders_learn_to_remember() {
    let mut rng = StdRng::seed_from_u64(4);
    let lstm = LstmConfig { hidden: vec![12], ..LstmConfig::default() };
    let decoder = DecoderConfig { feed_forward: 24, dropout: 0.0, ..DecoderConfig::default() };
    for config in [EncoderConfig::Decoder(decoder), EncoderConfig::Lstm(lstm)] {
        let mut encoder = SequenceEncoder::new(&config, 12, 6, 7).unwrap();
        let packed = Packed::of((0..24).map(|_| rng.random_range(2..=6)));
        let tokens = draw(&mut rng, packed.tokens() * 12);
        let mut losses = Vec::new();
        let mut by_tokens = Vec::new();
        for step in 1..=150 {
            let output =
                encoder.forward(&packed, &tokens, Mode::Training { seed: u64::from(step) });
            let mut gradient = vec![0.0; output.len()];
            let mut loss = 0.0;
            for (row, last) in
                packed.last_rows().enumerate().map(|(s, last)| (packed.rows(s).start, last))
            {
                for k in 0..12 {
                    let error = output[last * 12 + k] - tokens[row * 12 + k];
                    loss += f64::from(error * error);
                    gradient[last * 12 + k] = error / 24.0;
                }
            }
            losses.push(loss);
            encoder.backward(&packed, &mut gradient, &mut by_tokens);
            let norm = encoder.gradient_norm();
            encoder.scale_gradients((1.0 / norm.max(1.0)) as f32);
            assert!(encoder.gradient_norm() <= norm + 1e-9);
            encoder.update(&AdamW { learning_rate: 0.01, ..AdamW::default() }, step);
        }
        assert!(losses[149] < 0.3 * losses[0], "from {} to {}", losses[0], losses[149]);
    }
}

/// With no gradient, a step is nothing but decay.
#[test]
fn weights_decay_and_norms_and_biases_do_not() {
    for config in configs() {
        for optimizer in [
            AdamW { weight_decay: 0.1, ..AdamW::default() },
            AdamW { l2: 0.1, learning_rate: 0.01, ..AdamW::default() },
        ] {
            let mut encoder = SequenceEncoder::new(&config, 12, 20, 7).unwrap();
            // Whatever starts at zero would stay there anyway.
            encoder.parameters.values.iter_mut().filter(|w| **w == 0.0).for_each(|w| *w = 0.5);
            let before = encoder.clone();
            encoder.update(&optimizer, 1);
            for (now, before) in encoder.parameters().iter().zip(before.parameters()) {
                let decays = now.trained && now.shape.len() == 2;
                let moved = now
                    .values
                    .iter()
                    .zip(before.values)
                    .filter(|(now, before)| now != before)
                    .count();
                assert_eq!(moved, if decays { now.values.len() } else { 0 }, "{}", now.name);
            }
        }
    }
}

#[test]
fn a_token_does_not_see_what_comes_after_it() {
    let mut rng = StdRng::seed_from_u64(6);
    let packed = Packed::of([18, 2]);
    let tokens = draw(&mut rng, 20 * 12);
    for config in configs() {
        let mut encoder = SequenceEncoder::new(&config, 12, 20, 7).unwrap();
        let width = encoder.output_width();
        let whole = encoder.forward(&packed, &tokens, Mode::Evaluation).to_vec();
        let mut changed = tokens.clone();
        changed[17 * 12..].iter_mut().for_each(|x| *x += 1.0);
        let other = encoder.forward(&packed, &changed, Mode::Evaluation);
        assert_eq!(whole[..17 * width], other[..17 * width]);
        assert_ne!(whole[17 * width..18 * width], other[17 * width..18 * width]);
    }
}

#[test]
fn dropout_drops_its_share_and_another_seed_drops_others() {
    let config = DecoderConfig { layers: 1, dropout: 0.4, ..DecoderConfig::default() };
    let mut encoder = SequenceEncoder::new(&EncoderConfig::Decoder(config), 12, 20, 7).unwrap();
    let packed = Packed::of([20; 40]);
    let tokens = vec![1.0; 800 * 12];
    let mut run = |mode| encoder.forward(&packed, &tokens, mode).to_vec();
    assert_eq!(run(Mode::Training { seed: 1 }), run(Mode::Training { seed: 1 }));
    assert_ne!(run(Mode::Training { seed: 1 }), run(Mode::Training { seed: 2 }));
    assert_eq!(run(Mode::Evaluation), run(Mode::Evaluation));
    let mut x = vec![1f32; 100_000];
    let dropout = kernels::Dropout::new(0.4, 9, 3).unwrap();
    dropout.apply(crate::model::simd::Simd::detect(), 0, &mut x);
    let dropped = x.iter().filter(|&&x| x == 0.0).count();
    assert!((39_000..41_000).contains(&dropped), "{dropped} of 100,000");
    assert!(x.iter().all(|&x| x == 0.0 || (x - 1.0 / 0.6).abs() < 1e-6));
    // A piece of the matrix gets the same pattern.
    let mut piece = vec![1f32; 50];
    dropout.apply(crate::model::simd::Simd::detect(), 777, &mut piece);
    assert_eq!(piece, x[777..827]);
}

#[test]
fn broken_input_shows_in_the_output() {
    let packed = Packed::of([4]);
    for config in configs() {
        let mut encoder = SequenceEncoder::new(&config, 12, 20, 7).unwrap();
        let mut tokens = vec![0.5; 48];
        tokens[3] = f32::NAN;
        let output = encoder.forward(&packed, &tokens, Mode::Training { seed: 1 });
        assert!(output.iter().any(|x| x.is_nan()));
        let mut gradient = output.to_vec();
        encoder.backward(&packed, &mut gradient, &mut Vec::new());
        assert!(!encoder.gradient_norm().is_finite());
    }
}

#[test]
fn an_empty_batch_gives_nothing() {
    for config in configs() {
        let mut encoder = SequenceEncoder::new(&config, 12, 20, 7).unwrap();
        assert!(encoder.embed(&Packed::default(), &[]).is_empty());
        assert!(encoder.forward(&Packed::default(), &[], Mode::Evaluation).is_empty());
    }
}

#[test]
fn impossible_sizes_are_refused() {
    let refused = |config: DecoderConfig| {
        SequenceEncoder::new(&EncoderConfig::Decoder(config), 12, 20, 1).unwrap_err()
    };
    let config = DecoderConfig::default;
    assert_eq!(
        refused(DecoderConfig { heads: 5, ..config() }),
        SequenceError::Heads { heads: 5, width: 12 }
    );
    let odd = DecoderConfig { heads: 4, positions: Positions::Rotary, ..config() };
    assert_eq!(refused(odd), SequenceError::OddHead { heads: 4, width: 12 });
    assert_eq!(refused(DecoderConfig { layers: 0, ..config() }), SequenceError::Zero("layers"));
    assert_eq!(refused(DecoderConfig { dropout: 1.0, ..config() }), SequenceError::Dropout(1.0));
    let lstm = EncoderConfig::Lstm(LstmConfig { hidden: vec![], ..LstmConfig::default() });
    assert!(SequenceEncoder::new(&lstm, 12, 20, 1).is_err());
}

#[test]
fn configurations_are_read_and_unknown_keys_refused() {
    let read = |text: &str| toml::from_str::<EncoderConfig>(text);
    let config =
        read("encoder = 'decoder'\nlayers = 3\npositions = 'rotary'\nactivation = 'elu'").unwrap();
    let want = DecoderConfig {
        layers: 3,
        positions: Positions::Rotary,
        activation: Activation::Elu,
        ..Default::default()
    };
    assert_eq!(config, EncoderConfig::Decoder(want));
    assert_eq!(read(&toml::to_string(&config).unwrap()).unwrap(), config);
    assert!(read("encoder = 'lstm'\nhidden = [1024, 512]\nbatch_norm = false").is_ok());
    for bad in [
        "encoder = 'lstm'\nhiden = [4]",
        "encoder = 'gru'",
        "layers = 2",
        "encoder = 'decoder'\nhidden = [4]",
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
}
