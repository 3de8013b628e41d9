//! A text encoder that learns from nothing but the shop's own texts: their words and a masked
//! language model.
//!
//! Whole words, because every text to be drawn is one that was learnt from; and because the trainer
//! of word pieces depends on the order of a hash map, so that the same seed would not give the same
//! map.

use super::TextError;
use crate::{
    model::{
        AdamW, MaskedBatch, MaskedModel,
        sequence::{Activation, DecoderConfig, Positions},
    },
    progress::Progress,
};
use hashbrown::HashSet;
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
    TokenizerImpl,
    models::wordlevel::{WordLevel, WordLevelTrainer},
    normalizers::BertNormalizer,
    pre_tokenizers::bert::BertPreTokenizer,
};

type Tokenizer = TokenizerImpl<
    WordLevel,
    NormalizerWrapper,
    PreTokenizerWrapper,
    PostProcessorWrapper,
    DecoderWrapper,
>;

/// What stands for a word that the vocabulary lacks; then the special texts of the sequences of
/// items.
const UNKNOWN: &str = "[UNK]";
const SPECIAL: [&str; 4] = ["<pad>", "<sos>", "<eos>", UNKNOWN];

/// Texts that are trained on at least: fewer say nothing of a language.
const LEAST_TEXTS: usize = 10;

/// The share of a text's tokens that are hidden (Devlin et al. 2018), at least one.
const HIDDEN: f64 = 0.15;

/// Of the texts, so many are kept to measure what was learnt: one in twenty, at most this many.
const MOST_HELD_OUT: usize = 2_000;

/// How the encoder is made; the defaults are those of the documented text model where it names
/// them.
#[derive(Debug, Clone, PartialEq)]
pub struct LearnedConfig {
    /// Words in the vocabulary at most, the most frequent ones.
    pub vocabulary: usize,
    pub layers: usize,
    pub heads: usize,
    pub dim: usize,
    pub feed_forward: usize,
    pub dropout: f32,
    pub smoothing: f32,
    pub learning_rate: f32,
    pub epochs: usize,
    /// Tokens a step.
    pub batch_tokens: usize,
    /// Longer texts are cut.
    pub max_tokens: usize,
    pub seed: u64,
}

impl Default for LearnedConfig {
    fn default() -> Self {
        Self {
            vocabulary: 30_522,
            layers: 4,
            heads: 4,
            dim: 128,
            feed_forward: 2_048,
            dropout: 0.2,
            smoothing: 0.1,
            learning_rate: 1e-3,
            epochs: 10,
            batch_tokens: 4_096,
            max_tokens: 64,
            seed: 1,
        }
    }
}

/// Losses of one epoch, in nats a hidden token, label smoothing included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpochLoss {
    pub training: f64,
    /// Of texts that are not trained on.
    pub held_out: f64,
}

/// A trained encoder.
pub struct LearnedEncoder {
    tokenizer: Tokenizer,
    model: MaskedModel,
    max_tokens: usize,
    /// One for each epoch.
    pub losses: Vec<EpochLoss>,
}

impl LearnedEncoder {
    /// Learns a vocabulary and the encoder from these texts; each distinct one counts once.
    ///
    /// # Errors
    /// Too few texts, sizes that do not fit together, or a training that fails.
    pub fn train(texts: &[String], config: &LearnedConfig) -> Result<Self, TextError> {
        let mut known = HashSet::new();
        let distinct: Vec<&str> = texts
            .iter()
            .map(|text| text.trim())
            .filter(|text| !text.is_empty() && known.insert(*text))
            .collect();
        if distinct.len() < LEAST_TEXTS {
            return Err(TextError::Config(format!(
                "there are {} different texts; an encoder needs at least {LEAST_TEXTS}",
                distinct.len()
            )));
        }
        let tokenizer = vocabulary(&distinct, config.vocabulary)?;
        let size = tokenizer.get_vocab_size(true);
        let shape = DecoderConfig {
            layers: config.layers,
            heads: config.heads,
            feed_forward: config.feed_forward,
            activation: Activation::Relu,
            positions: Positions::Sinusoidal,
            dropout: config.dropout,
            scale_embedding: true,
            ..DecoderConfig::default()
        };
        let model = MaskedModel::new(
            shape,
            (size, config.dim, config.max_tokens),
            config.smoothing,
            config.seed,
        );
        let model = model.map_err(|error| TextError::Config(error.to_string()))?;
        let mut encoder =
            Self { tokenizer, model, max_tokens: config.max_tokens, losses: Vec::new() };
        let mut sequences = distinct
            .iter()
            .map(|text| encoder.tokens(text))
            .collect::<Result<Vec<Vec<u32>>, TextError>>()?;
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        sequences.shuffle(&mut rng);
        let held_out =
            sequences.split_off(sequences.len() - (sequences.len() / 20).clamp(1, MOST_HELD_OUT));
        tracing::info!("{} texts, {size} words in the vocabulary", distinct.len());
        for epoch in 1..=config.epochs {
            let loss = encoder.epoch(epoch, &mut sequences, &held_out, config, &mut rng)?;
            encoder.losses.push(loss);
        }
        Ok(encoder)
    }

    fn epoch(
        &mut self,
        epoch: usize,
        sequences: &mut [Vec<u32>],
        held_out: &[Vec<u32>],
        config: &LearnedConfig,
        rng: &mut ChaCha8Rng,
    ) -> Result<EpochLoss, TextError> {
        let optimizer = AdamW { learning_rate: config.learning_rate, ..AdamW::default() };
        let progress = Progress::new("texts", sequences.len() as u64, "texts");
        sequences.shuffle(rng);
        let mut mean = Mean::default();
        for texts in steps(sequences, config.batch_tokens) {
            let batch = hide(texts, self.model.mask(), rng);
            let loss = self.model.step(&batch, &optimizer);
            if !loss.is_finite() {
                let problem =
                    format!("the loss of epoch {epoch} is not finite; lower the learning rate");
                return Err(TextError::Config(problem));
            }
            mean.add(loss, batch.hidden.len());
            progress.add(texts.len() as u64);
        }
        // The same tokens are hidden every time, so that epochs can be compared.
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        let mut unseen = Mean::default();
        for texts in steps(held_out, config.batch_tokens) {
            let batch = hide(texts, self.model.mask(), &mut rng);
            unseen.add(self.model.evaluate(&batch), batch.hidden.len());
        }
        let loss = EpochLoss { training: mean.value(), held_out: unseen.value() };
        progress.finish(&format!(
            "epoch {epoch}/{}: loss {:.4}, held-out texts {:.4}",
            config.epochs, loss.training, loss.held_out
        ));
        Ok(loss)
    }

    /// Width of a vector.
    pub fn dim(&self) -> usize {
        self.model.dim()
    }

    /// One vector a text, `texts × dim`; zeros for an empty one.
    ///
    /// # Errors
    /// A text that the tokenizer refuses.
    pub fn embed(&mut self, texts: &[String]) -> Result<Vec<f32>, TextError> {
        let dim = self.dim();
        let mut vectors = vec![0.0; texts.len() * dim];
        let sequences =
            texts.iter().map(|text| self.tokens(text)).collect::<Result<Vec<_>, _>>()?;
        let (places, sequences): (Vec<usize>, Vec<Vec<u32>>) =
            sequences.into_iter().enumerate().filter(|(_, tokens)| !tokens.is_empty()).unzip();
        let embedded = self.model.embed(&sequences);
        for (place, vector) in places.into_iter().zip(embedded.chunks_exact(dim)) {
            vectors[place * dim..(place + 1) * dim].copy_from_slice(vector);
        }
        Ok(vectors)
    }

    fn tokens(&self, text: &str) -> Result<Vec<u32>, TextError> {
        let encoding = self.tokenizer.encode(text, false);
        let encoding = encoding
            .map_err(|error| TextError::Config(format!("a text cannot be read: {error}")))?;
        let ids = encoding.get_ids();
        Ok(ids[..ids.len().min(self.max_tokens)].to_vec())
    }
}

/// A word of one text alone says nothing of what is alike.
const LEAST_COUNT: u64 = 2;

/// The words of the texts, lower case and without accents as BERT's.
fn vocabulary(texts: &[&str], size: usize) -> Result<Tokenizer, TextError> {
    let failed = |error: tokenizers::Error| {
        TextError::Config(format!("no vocabulary could be made: {error}"))
    };
    let model = WordLevel::builder().unk_token(UNKNOWN.to_owned()).build().map_err(failed)?;
    let mut tokenizer = Tokenizer::new(model);
    let normalizer = BertNormalizer::new(true, true, Some(true), true);
    tokenizer.with_normalizer(Some(normalizer)).map_err(failed)?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    let mut trainer = WordLevelTrainer::default();
    trainer.vocab_size = size;
    trainer.min_frequency = LEAST_COUNT;
    trainer.show_progress = false;
    trainer.special_tokens = SPECIAL.map(|token| AddedToken::from(token, true)).to_vec();
    tokenizer.train(&mut trainer, texts.iter().copied()).map_err(failed)?;
    Ok(tokenizer)
}

/// Runs of texts that hold about so many tokens.
fn steps(sequences: &[Vec<u32>], tokens: usize) -> impl Iterator<Item = &[Vec<u32>]> {
    let mut rest = sequences;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut held = 0;
        let full = |text: &Vec<u32>| {
            held += text.len();
            held >= tokens
        };
        let end = rest.iter().position(full).map_or(rest.len(), |last| last + 1);
        let (step, tail) = rest.split_at(end);
        rest = tail;
        Some(step)
    })
}

/// Hides tokens at random, at least one of each text.
fn hide(texts: &[Vec<u32>], mask: u32, rng: &mut ChaCha8Rng) -> MaskedBatch {
    let mut batch = MaskedBatch { seed: rng.random(), ..MaskedBatch::default() };
    for text in texts.iter().filter(|text| !text.is_empty()) {
        let first = batch.tokens.len();
        batch.packed.push(text.len());
        batch.tokens.extend_from_slice(text);
        let sure = rng.random_range(0..text.len());
        for (at, &token) in text.iter().enumerate() {
            if at == sure || rng.random_bool(HIDDEN) {
                batch.hidden.push(((first + at) as u32, token));
                batch.tokens[first + at] = mask;
            }
        }
    }
    batch
}

/// A mean of means.
#[derive(Debug, Default)]
struct Mean {
    sum: f64,
    count: usize,
}

impl Mean {
    fn add(&mut self, mean: f64, count: usize) {
        self.sum += mean * count as f64;
        self.count += count;
    }

    fn value(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> LearnedConfig {
        LearnedConfig {
            layers: 1,
            heads: 2,
            dim: 16,
            feed_forward: 32,
            dropout: 0.0,
            smoothing: 0.0,
            learning_rate: 5e-3,
            epochs: 30,
            batch_tokens: 128,
            max_tokens: 12,
            ..LearnedConfig::default()
        }
    }

    /// Garments of two kinds that share no word but colours.
    fn texts() -> Vec<String> {
        let colours = ["red", "green", "blue", "black", "white", "grey", "pink"];
        let parts = [("trousers", "denim legs zip"), ("hat", "wool head warm")];
        let text = |(name, words): (&str, &str), colour: &str, n: usize| {
            format!("{name} {colour} {words} {n}")
        };
        let all = colours.iter().flat_map(|colour| (0..6).map(move |n| (*colour, n)));
        all.flat_map(|(colour, n)| parts.map(|part| text(part, colour, n))).collect()
    }

    #[test]
    fn what_is_alike_comes_to_stand_together() {
        let texts = texts();
        let mut encoder = LearnedEncoder::train(&texts, &config()).unwrap();
        let (first, last) = (encoder.losses[0], encoder.losses[encoder.losses.len() - 1]);
        assert!(
            last.training < 0.7 * first.training && last.held_out < 0.8 * first.held_out,
            "{first:?} {last:?}"
        );
        let mut asked = vec![String::new()];
        asked.extend(
            ["trousers red denim", "trousers grey denim", "hat red wool"].map(str::to_owned),
        );
        let vectors = encoder.embed(&asked).unwrap();
        let vector = |at: usize| &vectors[at * 16..(at + 1) * 16];
        let cosine = |a: &[f32], b: &[f32]| {
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
        };
        assert_eq!(vector(0), [0.0; 16], "an empty text has no direction");
        let (alike, unlike) = (cosine(vector(1), vector(2)), cosine(vector(1), vector(3)));
        assert!(alike > unlike + 0.1, "{alike} {unlike}");
    }

    #[test]
    fn the_same_seed_learns_the_same() {
        let config = LearnedConfig { epochs: 2, ..config() };
        let learnt = || LearnedEncoder::train(&texts(), &config).unwrap().embed(&texts()).unwrap();
        assert_eq!(learnt(), learnt());
    }

    #[test]
    fn too_few_texts_and_sizes_that_do_not_fit_are_told() {
        let few = vec!["one text".to_owned(); 40];
        let error = LearnedEncoder::train(&few, &config()).err().unwrap().to_string();
        assert!(error.contains("1 different texts"), "{error}");
        let odd = LearnedConfig { heads: 3, ..config() };
        assert!(LearnedEncoder::train(&texts(), &odd).is_err());
    }

    #[test]
    fn steps_hold_every_text_once() {
        let texts: Vec<Vec<u32>> = (1..30).map(|n| vec![n; n as usize % 7 + 1]).collect();
        let steps: Vec<_> = steps(&texts, 10).collect();
        assert!(steps[..steps.len() - 1].iter().all(|step| step.concat().len() >= 10));
        assert_eq!(steps.concat(), texts);
        let batch = hide(&texts, 99, &mut ChaCha8Rng::seed_from_u64(1));
        assert_eq!(batch.tokens.iter().filter(|&&token| token == 99).count(), batch.hidden.len());
        assert!(batch.hidden.len() >= texts.len() && batch.hidden.is_sorted());
    }
}
