//! Tensors of a `model.safetensors`.

use safetensors::{Dtype, SafeTensors};

/// The tensors of a file, by the names that the published BERT models use.
pub(super) struct Weights<'a> {
    tensors: SafeTensors<'a>,
    /// What the names of this file begin with.
    prefix: &'static str,
}

impl<'a> Weights<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let tensors = SafeTensors::deserialize(bytes)
            .map_err(|error| format!("no safetensors file: {error}"))?;
        // A model saved with its training head has names of one level more.
        let prefix = ["", "bert.", "roberta.", "distilbert."].into_iter().find(|prefix| {
            tensors.tensor(&format!("{prefix}embeddings.word_embeddings.weight")).is_ok()
        });
        let prefix = prefix.ok_or(
            "has no tensor `embeddings.word_embeddings.weight`: not a model of the BERT family",
        )?;
        Ok(Self { tensors, prefix })
    }

    /// The rows of a matrix that has `columns` columns.
    pub fn rows(&self, name: &str, columns: usize) -> Result<usize, String> {
        let tensor = self.tensor(name)?;
        match *tensor.shape() {
            [rows, width] if width == columns && rows > 0 => Ok(rows),
            ref shape => Err(format!("tensor `{name}` is {shape:?}, not some rows of {columns}")),
        }
    }

    /// A tensor of this shape as numbers.
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, String> {
        let tensor = self.tensor(name)?;
        if tensor.shape() != shape {
            return Err(format!(
                "tensor `{name}` is {:?}; config.json makes it {shape:?}",
                tensor.shape()
            ));
        }
        let bytes = tensor.data();
        let pairs = || bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        match tensor.dtype() {
            Dtype::F32 => Ok(bytes
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect()),
            Dtype::BF16 => Ok(pairs().map(|bits| f32::from_bits(u32::from(bits) << 16)).collect()),
            Dtype::F16 => Ok(pairs().map(from_half).collect()),
            other => Err(format!("tensor `{name}` holds {other:?}; F32, F16 or BF16 can be read")),
        }
    }

    fn tensor(&self, name: &str) -> Result<safetensors::tensor::TensorView<'_>, String> {
        // Models converted from TensorFlow call scale and shift of a normalisation by other names.
        let old = name
            .replace("LayerNorm.weight", "LayerNorm.gamma")
            .replace("LayerNorm.bias", "LayerNorm.beta");
        let find = |name: &str| self.tensors.tensor(&format!("{}{name}", self.prefix));
        find(name)
            .or_else(|_| find(&old))
            .map_err(|_| format!("has no tensor `{}{name}`", self.prefix))
    }
}

/// An IEEE 754 half as a single.
fn from_half(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (bits >> 15, (bits >> 10) & 31, bits & 1023);
    let size = match exponent {
        0 => f32::from(fraction) * 2f32.powi(-24),
        31 if fraction == 0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + f32::from(fraction) / 1024.0) * 2f32.powi(i32::from(exponent) - 15),
    };
    if sign == 1 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::from_half;

    #[test]
    fn halves() {
        let cases = [
            (0, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (1, 5.960_464_5e-8),
            (0x3555, 0.333_251_95),
        ];
        for (bits, number) in cases {
            assert_eq!(from_half(bits), number, "{bits:#x}");
        }
        assert!(from_half(0x7e00).is_nan() && from_half(0xfc00) == f32::NEG_INFINITY);
    }
}
