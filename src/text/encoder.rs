//! A text encoder: tokens, the transformer, and one vector a text.

use super::{
    TextError,
    bert::{Bert, Shape},
    weights::Weights,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{fs, io, ops::Range, path::Path};
use tokenizers::{Tokenizer, TruncationParams};

/// How the vectors of a text's tokens become one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// Their mean.
    #[default]
    Mean,
    /// The first token's, `[CLS]`.
    Cls,
}

/// A frozen encoder with its tokenizer.
pub struct TextEncoder {
    tokenizer: Tokenizer,
    bert: Bert,
    pooling: Pooling,
    fingerprint: String,
}

/// Tokens that one thread takes through the transformer at a time: enough rows for its products to
/// run at full speed.
const TOKENS: usize = 2_048;

impl TextEncoder {
    /// Reads `config.json`, `tokenizer.json` and `model.safetensors` of a directory. Texts are cut
    /// to `max_tokens`.
    ///
    /// # Errors
    /// Files that are missing or damaged, or of a kind of model that is not supported.
    pub fn open(dir: &Path, pooling: Pooling, max_tokens: usize) -> Result<Self, TextError> {
        let read = |file: &'static str| {
            let path = dir.join(file);
            fs::read(&path).map_err(|source| match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                    TextError::Missing { dir: dir.to_owned(), file }
                }
                _ => TextError::Io { path, source },
            })
        };
        let wrong = |file: &str| {
            let path = dir.join(file);
            move |detail: String| TextError::Encoder { path, detail }
        };
        let (config, tokens, model) =
            (read("config.json")?, read("tokenizer.json")?, read("model.safetensors")?);
        let mut hash = Sha256::new();
        hash.update(format!("vitrine text 1 {pooling:?} {max_tokens}"));
        for bytes in [&config, &tokens, &model] {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        }
        let fingerprint = hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect();

        let shape = Shape::read(&config).map_err(wrong("config.json"))?;
        let weights = Weights::read(&model).map_err(wrong("model.safetensors"))?;
        let bert = Bert::new(&shape, &weights).map_err(wrong("model.safetensors"))?;
        if !(3..=bert.longest()).contains(&max_tokens) {
            let longest = bert.longest();
            return Err(TextError::Config(format!(
                "`max_tokens` is {max_tokens}, not 3 to {longest} as the encoder has"
            )));
        }
        let tokenizer = tokenizer(&tokens, max_tokens).map_err(wrong("tokenizer.json"))?;
        if tokenizer.get_vocab_size(true) > bert.vocabulary() {
            let (tokens, rows) = (tokenizer.get_vocab_size(true), bert.vocabulary());
            let detail = format!(
                "has {tokens} tokens, but the model has vectors for {rows}: files of different models?"
            );
            return Err(wrong("tokenizer.json")(detail));
        }
        Ok(Self { tokenizer, bert, pooling, fingerprint })
    }

    /// Numbers of a vector.
    pub fn dim(&self) -> usize {
        self.bert.dim()
    }

    /// Names files and settings by their content: 32 hexadecimal digits.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The vectors of texts, one after the other, on all threads of the pool.
    ///
    /// # Errors
    /// A text that the tokenizer refuses, or a model that gives something other than numbers.
    pub fn embed(&self, texts: &[&str]) -> Result<Vec<f32>, TextError> {
        let tokens =
            texts.par_iter().map(|text| self.tokens(text)).collect::<Result<Vec<_>, _>>()?;
        let vectors: Vec<Vec<f32>> = pieces(&tokens)
            .into_par_iter()
            .map(|piece| {
                let hidden = self.bert.forward(&tokens[piece.clone()]);
                self.pool(&tokens[piece], &hidden)
            })
            .collect();
        let vectors = vectors.concat();
        if vectors.iter().all(|x| x.is_finite()) {
            return Ok(vectors);
        }
        let at = vectors.iter().position(|x| !x.is_finite()).unwrap_or(0) / self.dim();
        let shown: String = texts[at].chars().take(64).collect();
        Err(TextError::Config(format!("the encoder gives no finite vector for the text `{shown}`")))
    }

    fn tokens(&self, text: &str) -> Result<Vec<u32>, TextError> {
        let encoding = self.tokenizer.encode_fast(text, true);
        let tokens = encoding.map(|encoding| encoding.get_ids().to_vec());
        let tokens = tokens
            .map_err(|error| TextError::Config(format!("the tokenizer refuses a text: {error}")))?;
        let rows = self.bert.vocabulary() as u32;
        match tokens.iter().find(|&&token| token >= rows) {
            // A tokenizer may number its tokens with gaps.
            Some(token) => Err(TextError::Config(format!(
                "the tokenizer gives token {token}, the model has {rows}"
            ))),
            None if tokens.is_empty() => {
                Err(TextError::Config("the tokenizer gives no token for a text".to_owned()))
            }
            None => Ok(tokens),
        }
    }

    fn pool(&self, tokens: &[Vec<u32>], hidden: &[f32]) -> Vec<f32> {
        let dim = self.dim();
        let mut pooled = vec![0.0; tokens.len() * dim];
        let mut first = 0;
        for (out, tokens) in pooled.chunks_exact_mut(dim).zip(tokens) {
            let rows = &hidden[first * dim..(first + tokens.len()) * dim];
            match self.pooling {
                Pooling::Cls => out.copy_from_slice(&rows[..dim]),
                Pooling::Mean => {
                    for row in rows.chunks_exact(dim) {
                        out.iter_mut()
                            .zip(row)
                            .for_each(|(sum, x)| *sum += x / tokens.len() as f32);
                    }
                }
            }
            first += tokens.len();
        }
        pooled
    }
}

/// The tokenizer as the file has it, but without padding and cut to our length.
fn tokenizer(bytes: &[u8], max_tokens: usize) -> Result<Tokenizer, String> {
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|error| error.to_string())?;
    tokenizer.with_padding(None);
    let truncation = TruncationParams { max_length: max_tokens, ..TruncationParams::default() };
    tokenizer.with_truncation(Some(truncation)).map_err(|error| error.to_string())?;
    Ok(tokenizer)
}

/// Runs of texts of about [`TOKENS`] tokens each.
fn pieces(texts: &[Vec<u32>]) -> Vec<Range<usize>> {
    let (mut pieces, mut start, mut tokens) = (Vec::new(), 0, 0);
    for (i, text) in texts.iter().enumerate() {
        if tokens > 0 && tokens + text.len() > TOKENS {
            pieces.push(start..i);
            (start, tokens) = (i, 0);
        }
        tokens += text.len();
    }
    if start < texts.len() {
        pieces.push(start..texts.len());
    }
    pieces
}
