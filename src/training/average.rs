//! An exponential moving average of the weights (Polyak & Juditsky 1992; EMA). Single steps jump
//! about the optimum; their average lies nearer to it and ranks better.

/// Steps between two looks at the weights. A look reads every weight, a step only the rows that
/// the batch touched; over the hundreds of steps that an average spans, every tenth says as much
/// as all.
const EVERY: u32 = 10;
/// The share of the steps so far that the average spans at most.
const SPAN: f64 = 0.25;

/// The average of a run, empty where none is wanted.
pub struct Average {
    /// What is left of it after [`EVERY`] steps.
    decay: f64,
    /// As [`super::Learner::weights`] has them.
    values: Vec<Vec<f32>>,
}

impl Average {
    /// `decay`: what is left of the average after one step.
    pub(super) fn new(decay: Option<f32>, weights: Vec<&mut [f32]>) -> Self {
        let values = match decay {
            Some(_) => weights.into_iter().map(|weights| weights.to_vec()).collect(),
            None => Vec::new(),
        };
        Self { decay: f64::from(decay.unwrap_or(0.0)).powi(EVERY as i32), values }
    }

    /// Whether [`Self::follow`] must look at the weights after this many steps. It does after each
    /// of the first ones, so that a run shorter than [`EVERY`] has an average too.
    pub(super) fn is_due(&self, steps: u32) -> bool {
        !self.values.is_empty() && (steps < EVERY || steps.is_multiple_of(EVERY))
    }

    /// Takes the weights after so many steps in. The weights at the start count for nothing: after
    /// `n` looks the average is `Σ decayⁿ⁻ⁱ·wᵢ / Σ decayⁿ⁻ⁱ`, as in Adam's bias correction. While
    /// the run is short it spans the last [`SPAN`] of the steps at most: the first weights are far
    /// from the optimum, and a small shop takes few steps.
    pub(super) fn follow(&mut self, steps: u32, weights: Vec<&mut [f32]>) {
        let looks = (steps / EVERY).max(1);
        let corrected = (1.0 - self.decay) / (1.0 - self.decay.powf(f64::from(looks)));
        let spanning = 1.0 - 1.0 / (1.0 + SPAN * f64::from(steps));
        let rate = corrected.max(1.0 - spanning.powi(EVERY.min(steps) as i32)) as f32;
        for (average, weights) in self.values.iter_mut().zip(weights) {
            average
                .iter_mut()
                .zip(weights)
                .for_each(|(average, weight)| *average += rate * (*weight - *average));
        }
    }

    /// Exchanges the average and the weights; a second call exchanges them back.
    pub(super) fn swap(&mut self, weights: Vec<&mut [f32]>) {
        self.values
            .iter_mut()
            .zip(weights)
            .for_each(|(average, weights)| weights.swap_with_slice(average));
    }

    /// What a checkpoint holds of it.
    pub(super) fn arrays(&mut self) -> impl Iterator<Item = &mut [u8]> {
        self.values.iter_mut().map(|values| bytemuck::cast_slice_mut(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slices(weights: &mut [[f32; 2]; 2]) -> Vec<&mut [f32]> {
        weights.iter_mut().map(|weights| &mut weights[..]).collect()
    }

    #[test]
    fn it_is_the_weighted_mean_of_the_weights_it_looked_at() {
        // Short enough that it spans less than a quarter of the steps.
        let decay = 0.7f32;
        let mut weights = [[7.0f32, 7.0], [7.0, 7.0]];
        let mut average = Average::new(Some(decay), vec![&mut [7.0, 7.0], &mut [7.0, 7.0]]);
        let mut looked = Vec::new();
        for steps in 1..=45 {
            let value = (steps * steps % 17) as f32;
            weights = [[value, -value], [2.0 * value, 1.0]];
            if average.is_due(steps) {
                average.follow(steps, slices(&mut weights));
                looked.push(value);
            }
            if steps < 15 {
                assert!(
                    (average.values[0][0] - looked[looked.len() - 1]).abs() < 1e-6,
                    "the start counts for nothing"
                );
            }
        }
        let (mut sum, mut total) = (0.0, 0.0);
        for (n, value) in looked[looked.len() - 4..].iter().rev().enumerate() {
            let weight = decay.powi(10 * n as i32);
            (sum, total) = (sum + weight * value, total + weight);
        }
        let want = sum / total;
        average.swap(slices(&mut weights));
        let close = weights
            .concat()
            .iter()
            .zip([want, -want, 2.0 * want, 1.0])
            .all(|(a, b)| (a - b).abs() < 1e-4);
        assert!(close, "{weights:?} are not of {want}");
        average.swap(slices(&mut weights));
        let last = (45 * 45 % 17) as f32;
        assert_eq!(weights, [[last, -last], [2.0 * last, 1.0]], "swapped back");
    }

    #[test]
    fn the_beginning_of_a_short_run_is_forgotten() {
        let mut average = Average::new(Some(0.999), vec![&mut [0.0]]);
        for steps in 1..=60 {
            if average.is_due(steps) {
                average.follow(steps, vec![&mut [steps as f32]]);
            }
        }
        assert!((45.0..60.0).contains(&average.values[0][0]), "{}", average.values[0][0]);
    }

    #[test]
    fn without_a_decay_there_is_none() {
        let mut weights = [1.0];
        let mut average = Average::new(None, vec![&mut weights]);
        assert!(!average.is_due(1) && !average.is_due(10));
        average.swap(vec![&mut weights]);
        assert_eq!((weights, average.arrays().count()), ([1.0], 0));
    }
}
