//! A masked language model: a transformer encoder that guesses hidden tokens from those around them
//! (Devlin et al. 2018, arXiv:1810.04805), small enough to be trained on a shop's own texts.

use super::{
    adamw::AdamW,
    sequence::{DecoderConfig, EncoderConfig, Mode, Packed, SequenceEncoder, SequenceError},
    softmax::{SoftmaxBatch, SoftmaxWorkspace},
    table::{Scatter, Table},
};

/// Sequences embedded at a time.
const EMBED_SEQUENCES: usize = 256;

/// A trained or training model of a vocabulary.
#[derive(Debug)]
pub struct MaskedModel {
    /// `(vocabulary + 1) × dim`: what is read. The last row stands for a hidden token.
    tokens: Table,
    /// `vocabulary × (dim + 1)`: what is guessed, its bias last.
    words: Table,
    encoder: SequenceEncoder,
    smoothing: f32,
    steps: u32,
    work: Work,
}

#[derive(Debug)]
struct Work {
    by_tokens: Scatter,
    by_words: Scatter,
    softmax: SoftmaxWorkspace,
}

/// Sequences with some of their tokens hidden.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MaskedBatch {
    pub packed: Packed,
    /// Rows of the tokens to read; [`MaskedModel::mask`] where one is hidden.
    pub tokens: Vec<u32>,
    /// Positions of the hidden tokens, ascending, and what stands there.
    pub hidden: Vec<(u32, u32)>,
    /// Of what is dropped at random.
    pub seed: u64,
}

impl MaskedModel {
    /// A model with freshly drawn weights. `shape` gives the blocks, `dim` their width; sequences
    /// have at most `length` tokens. `smoothing` is the share of each target that is spread over
    /// the whole vocabulary (Szegedy et al. 2016, arXiv:1512.00567).
    ///
    /// # Errors
    /// Sizes of the encoder that do not fit together.
    pub fn new(
        shape: DecoderConfig,
        (vocabulary, dim, length): (usize, usize, usize),
        smoothing: f32,
        seed: u64,
    ) -> Result<Self, SequenceError> {
        let encoder = EncoderConfig::Decoder(DecoderConfig { bidirectional: true, ..shape });
        let encoder = SequenceEncoder::new(&encoder, dim, length, seed)?;
        let tokens = Table::new(vocabulary + 1, dim, seed.wrapping_add(1));
        let mut words = Table::new(vocabulary, dim + 1, seed.wrapping_add(2));
        words.weights.iter_mut().skip(dim).step_by(dim + 1).for_each(|bias| *bias = 0.0);
        let work = Work {
            by_tokens: Scatter::new(tokens.rows(), tokens.dim),
            by_words: Scatter::new(words.rows(), words.dim),
            softmax: SoftmaxWorkspace::default(),
        };
        Ok(Self { tokens, words, encoder, smoothing, steps: 0, work })
    }

    /// Width of a vector.
    pub fn dim(&self) -> usize {
        self.tokens.dim
    }

    /// The token that hides another.
    pub fn mask(&self) -> u32 {
        self.words.rows() as u32
    }

    /// One optimiser step; the mean loss of the hidden tokens before it. A loss that is not finite
    /// changes nothing.
    pub fn step(&mut self, batch: &MaskedBatch, optimizer: &AdamW) -> f64 {
        let (loss, by_queries) = self.loss(batch, Mode::Training { seed: batch.seed });
        if !loss.is_finite() || batch.hidden.is_empty() {
            self.work.by_words.clear();
            return loss;
        }
        let dim = self.dim();
        let mut by_output = vec![0.0; batch.tokens.len() * dim];
        for (&(at, _), gradient) in batch.hidden.iter().zip(by_queries.chunks_exact(dim + 1)) {
            by_output[at as usize * dim..][..dim].copy_from_slice(&gradient[..dim]);
        }
        let mut by_input = Vec::new();
        self.encoder.backward(&batch.packed, &mut by_output, &mut by_input);
        for (&token, gradient) in batch.tokens.iter().zip(by_input.chunks_exact(dim)) {
            self.work.by_tokens.add(token as usize, 1.0, gradient);
        }
        self.steps = self.steps.saturating_add(1);
        self.encoder.update(optimizer, self.steps);
        self.tokens.update(&mut self.work.by_tokens, optimizer);
        self.words.update(&mut self.work.by_words, optimizer);
        loss
    }

    /// The mean loss of the hidden tokens, nothing dropped and nothing learnt.
    pub fn evaluate(&mut self, batch: &MaskedBatch) -> f64 {
        let (loss, _) = self.loss(batch, Mode::Evaluation);
        self.work.by_words.clear();
        loss
    }

    /// The loss and its gradients by the queries, `hidden × (dim + 1)`; those by the words are left
    /// in the workspace.
    fn loss(&mut self, batch: &MaskedBatch, mode: Mode) -> (f64, Vec<f32>) {
        let dim = self.dim();
        let input = self.gather(&batch.tokens);
        let output = self.encoder.forward(&batch.packed, &input, mode);
        let mut queries = Vec::with_capacity(batch.hidden.len() * (dim + 1));
        for &(at, _) in &batch.hidden {
            queries.extend_from_slice(&output[at as usize * dim..][..dim]);
            queries.push(1.0);
        }
        let targets: Vec<u32> = batch.hidden.iter().map(|&(_, token)| token).collect();
        let mut by_queries = vec![0.0; queries.len()];
        let mut by_words = vec![0.0; self.words.weights.len()];
        let loss = SoftmaxBatch {
            dim: dim + 1,
            queries: &queries,
            items: &self.words.weights,
            targets: &targets,
            bias: &vec![0.0; self.words.rows()],
            weights: None,
            scale: 1.0,
            smoothing: self.smoothing,
        };
        let loss = loss.gradients(&mut by_queries, &mut by_words, &mut self.work.softmax);
        for (row, gradient) in by_words.chunks_exact(dim + 1).enumerate() {
            self.work.by_words.add(row, 1.0, gradient);
        }
        (loss, by_queries)
    }

    /// The mean of the encoder's outputs over each sequence's tokens: `sequences × dim`.
    pub fn embed(&mut self, sequences: &[Vec<u32>]) -> Vec<f32> {
        let dim = self.dim();
        let mut vectors = Vec::with_capacity(sequences.len() * dim);
        for chunk in sequences.chunks(EMBED_SEQUENCES) {
            let packed = Packed::of(chunk.iter().map(Vec::len));
            let input = self.gather(&chunk.concat());
            let output = self.encoder.forward(&packed, &input, Mode::Evaluation);
            for s in 0..packed.sequences() {
                let rows = packed.rows(s);
                let share = 1.0 / rows.len() as f32;
                let mut mean = vec![0.0; dim];
                for row in output[rows.start * dim..rows.end * dim].chunks_exact(dim) {
                    mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += share * x);
                }
                vectors.extend(mean);
            }
        }
        vectors
    }

    fn gather(&self, tokens: &[u32]) -> Vec<f32> {
        tokens.iter().flat_map(|&token| self.tokens.row(token as usize)).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    const WORDS: u32 = 12;

    fn model(dropout: f32, smoothing: f32) -> MaskedModel {
        let shape = DecoderConfig {
            layers: 2,
            heads: 2,
            feed_forward: 32,
            dropout,
            ..DecoderConfig::default()
        };
        MaskedModel::new(shape, (WORDS as usize, 16, 9), smoothing, 3).unwrap()
    }

    /// Sequences `a b a b …`, one token hidden: it can only be known from tokens on both sides.
    fn batch(model: &MaskedModel, rng: &mut StdRng) -> MaskedBatch {
        let mut batch = MaskedBatch { seed: rng.random(), ..MaskedBatch::default() };
        for _ in 0..32 {
            let (a, b) = (rng.random_range(0..WORDS), rng.random_range(0..WORDS));
            let len = rng.random_range(4..=9);
            let first = batch.tokens.len();
            batch.tokens.extend((0..len).map(|i| if i % 2 == 0 { a } else { b }));
            batch.packed.push(len);
            let at = first + rng.random_range(0..2);
            batch.hidden.push((at as u32, batch.tokens[at]));
            batch.tokens[at] = model.mask();
        }
        batch
    }

    #[test]
    fn hidden_tokens_are_learnt_from_what_follows_them() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut model = model(0.0, 0.0);
        let optimizer = AdamW { learning_rate: 5e-3, ..AdamW::default() };
        let unseen = batch(&model, &mut rng);
        let before = model.evaluate(&unseen);
        assert!((before - f64::from(WORDS).ln()).abs() < 0.3, "{before}");
        for _ in 0..300 {
            let batch = batch(&model, &mut rng);
            model.step(&batch, &optimizer);
        }
        let after = model.evaluate(&unseen);
        assert!(after < 0.2, "{after}");
        assert_eq!(after, model.evaluate(&unseen), "an evaluation changes nothing");
    }

    /// The slope of the loss along the row of one token is what its gradient says.
    #[test]
    fn a_step_follows_the_slope_of_the_loss() {
        let mut rng = StdRng::seed_from_u64(2);
        let mut model = model(0.0, 0.1);
        let batch = batch(&model, &mut rng);
        let before = model.evaluate(&batch);
        let optimizer = AdamW { learning_rate: 1e-4, ..AdamW::default() };
        model.step(&batch, &optimizer);
        assert!(model.evaluate(&batch) < before);
        // What cannot be computed changes nothing.
        model.tokens.weights[0] = f32::NAN;
        let broken = MaskedBatch {
            packed: Packed::of([2]),
            tokens: vec![0, model.mask()],
            hidden: vec![(1, 3)],
            seed: 1,
        };
        let words = model.words.weights.clone();
        assert!(!model.step(&broken, &optimizer).is_finite());
        assert_eq!(model.words.weights, words);
    }

    #[test]
    fn a_vector_depends_on_the_tokens_and_not_on_its_neighbours() {
        let mut model = model(0.3, 0.0);
        let texts = [vec![1, 2, 3], vec![4], vec![3, 2, 1, 5]];
        let together = model.embed(&texts);
        let alone: Vec<f32> =
            texts.iter().flat_map(|text| model.embed(std::slice::from_ref(text))).collect();
        assert!(together.iter().zip(&alone).all(|(a, b)| (a - b).abs() < 1e-5));
        assert_eq!(together.len(), 3 * model.dim());
    }
}
