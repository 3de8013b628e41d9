//! The learned ranker as a network that scores the candidates of a list.

use super::{
    AdamW,
    list_loss::{ListBatch, softmax_loss},
    tower::{Dense, Gradients, Tower, TowerPass},
};

/// A network in training.
#[derive(Debug)]
pub struct ListRanker {
    network: Tower,
    /// The mean of the layers over the last few hundred steps (Polyak & Juditsky 1992, with weights
    /// that fall exponentially): what is tested and shipped.
    average: Vec<Dense>,
    steps: u32,
    work: Work,
}

#[derive(Debug, Default)]
struct Work {
    pass: TowerPass,
    gradients: Gradients,
    by_score: Vec<f32>,
    by_input: Vec<f32>,
}

impl ListRanker {
    /// How much of the average a step leaves, once there were many.
    const KEEP: f32 = 0.995;

    /// A network with freshly drawn weights: features in, hidden layers with ReLU, a score out.
    pub fn new(features: usize, hidden: &[usize], seed: u64) -> Self {
        let network = Tower::new(features, hidden, 1, false, seed);
        Self { average: network.layers.clone(), network, steps: 0, work: Work::default() }
    }

    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// One optimiser step; the loss of the average list before it. A loss that is not finite
    /// changes nothing.
    pub fn step(&mut self, batch: ListBatch<'_>, optimizer: &AdamW) -> f64 {
        let Work { pass, gradients, by_score, by_input } = &mut self.work;
        self.network.forward(batch.rows, pass);
        by_score.clear();
        let loss = softmax_loss(self.network.embedding(pass), &batch, |slope| {
            by_score.push(slope as f32);
        });
        if !loss.is_finite() {
            return loss;
        }
        self.steps = self.steps.saturating_add(1);
        self.network.backward(batch.rows, pass, by_score, gradients, by_input);
        self.network.update(gradients, optimizer, self.steps);
        let steps = self.steps as f32;
        let keep = Self::KEEP.min((1.0 + steps) / (10.0 + steps));
        let mean = |mean: &mut [f32], now: &[f32]| {
            mean.iter_mut()
                .zip(now)
                .for_each(|(mean, now)| *mean = keep * *mean + (1.0 - keep) * now);
        };
        for (average, layer) in self.average.iter_mut().zip(&self.network.layers) {
            mean(&mut average.weight, &layer.weight);
            mean(&mut average.bias, &layer.bias);
        }
        loss
    }

    /// The averaged network.
    pub fn averaged(&self) -> Tower {
        Tower { layers: self.average.clone(), normalize: false, moments: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    /// A layer in f64, so that slopes can be taken over steps too small to meet a kink of a ReLU.
    #[derive(Clone)]
    struct PlainLayer {
        /// `[inputs, outputs]`.
        weight: Vec<f64>,
        bias: Vec<f64>,
    }

    impl From<&Dense> for PlainLayer {
        fn from(layer: &Dense) -> Self {
            let plain = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect();
            Self { weight: plain(&layer.weight), bias: plain(&layer.bias) }
        }
    }

    /// The loss of a network in f64, written from the definition.
    fn plain(layers: &[PlainLayer], batch: &ListBatch<'_>) -> f64 {
        let width = layers[0].weight.len() / layers[0].bias.len();
        let score = |row: &[f32]| {
            let mut x: Vec<f64> = row.iter().map(|&x| f64::from(x)).collect();
            for (at, layer) in layers.iter().enumerate() {
                let outputs = layer.bias.len();
                let out = |o: usize| {
                    let weights = layer.weight.iter().skip(o).step_by(outputs);
                    let sum: f64 = x.iter().zip(weights).map(|(x, weight)| x * weight).sum();
                    let sum = sum + layer.bias[o];
                    if at + 1 < layers.len() { sum.max(0.0) } else { sum }
                };
                x = (0..outputs).map(out).collect();
            }
            x[0]
        };
        let scores: Vec<f64> = batch.rows.chunks_exact(width).map(score).collect();
        let lists = batch.starts.windows(2).map(|two| {
            let (scores, bought) = (&scores[two[0]..two[1]], &batch.bought[two[0]..two[1]]);
            let total: f64 = scores.iter().map(|score| score.exp()).sum();
            let count = bought.iter().filter(|&&bought| bought).count() as f64;
            let logs = scores
                .iter()
                .zip(bought)
                .filter(|(_, bought)| **bought)
                .map(|(score, _)| total.ln() - score);
            logs.sum::<f64>() / count.sqrt()
        });
        lists.sum::<f64>() / (batch.starts.len() - 1) as f64
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn loss_and_gradients_are_those_of_the_definition(seed in any::<u64>(), lists in 1usize..5, width in 1usize..7) {
            let mut rng = StdRng::seed_from_u64(seed);
            let (mut starts, mut bought) = (vec![0], Vec::new());
            for _ in 0..lists {
                let (length, first) = (rng.random_range(1..9), bought.len());
                bought.extend((0..length).map(|_| rng.random_bool(0.3)));
                bought[first + length / 2] = true;
                starts.push(bought.len());
            }
            let rows: Vec<f32> = (0..bought.len() * width).map(|_| rng.random_range(-2.0..2.0)).collect();
            let batch = ListBatch { rows: &rows, starts: &starts, bought: &bought };
            let mut ranker = ListRanker::new(width, &[5, 3], seed);
            ranker.network.layers.iter_mut().for_each(|layer| layer.bias.fill(0.1));
            let layers: Vec<PlainLayer> =
                ranker.network.layers.iter().map(PlainLayer::from).collect();
            let expected = plain(&layers, &batch);
            let loss = ranker.step(batch, &AdamW { learning_rate: 0.0, ..AdamW::default() });
            prop_assert!((loss - expected).abs() < 1e-4 * (1.0 + expected), "{loss} is not {expected}");
            for at in 0..layers.len() {
                for weight in [0, layers[at].weight.len() / 2, layers[at].weight.len() - 1] {
                    let moved = |by: f64| {
                        let mut layers = layers.clone();
                        layers[at].weight[weight] += by;
                        plain(&layers, &batch)
                    };
                    let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                    let found = f64::from(ranker.work.gradients.layers[at].0[weight]);
                    prop_assert!(
                        (slope - found).abs() < 1e-4 * (1.0 + slope.abs()),
                        "layer {at}, {weight}: {found} is not {slope}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_bought_comes_first() {
        // The first of two features tells it, with a kink.
        let mut rng = StdRng::seed_from_u64(1);
        let mut ranker = ListRanker::new(2, &[8], 3);
        let optimizer = AdamW { learning_rate: 0.02, ..AdamW::default() };
        for _ in 0..300 {
            let rows: Vec<f32> = (0..40).map(|_| rng.random_range(-1.0..1.0)).collect();
            let best = (0..20).min_by(|&a, &b| rows[2 * a].abs().total_cmp(&rows[2 * b].abs()));
            let bought: Vec<bool> = (0..20).map(|at| Some(at) == best).collect();
            ranker.step(ListBatch { rows: &rows, starts: &[0, 20], bought: &bought }, &optimizer);
        }
        let (network, mut pass) = (ranker.averaged(), TowerPass::default());
        network.forward(&[0.0, 0.3, -0.9, 0.3, 0.9, 0.3], &mut pass);
        let scores = network.embedding(&pass);
        assert!(scores[0] > scores[1] + 1.0 && scores[0] > scores[2] + 1.0, "{scores:?}");
    }
}
