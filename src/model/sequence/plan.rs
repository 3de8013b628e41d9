//! How a batch is cut: pieces for the threads, blocks that stay in a core's cache, always whole
//! sequences.

use super::Packed;
use crate::model::simd::PADDING;
use std::ops::Range;

/// Tokens worked on at a time: few enough that a layer's rows stay in the second-level cache,
/// enough for the products to be efficient.
const BLOCK_TOKENS: usize = 256;

/// One sequence within a piece.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Span {
    /// First row, counted from the piece's.
    pub start: usize,
    pub len: usize,
    /// Where its attention scores lie, counted in matrices of one head.
    pub scores: usize,
}

/// Consecutive sequences that one thread works on.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Piece {
    /// Its first token within the batch.
    pub first: usize,
    pub rows: usize,
    pub spans: Vec<Span>,
    /// Runs of `spans`.
    pub blocks: Vec<Range<usize>>,
    /// Attention scores of all spans for one head.
    pub scores: usize,
}

/// Rows of attention scores are padded to this many floats.
pub(super) fn score_stride(len: usize) -> usize {
    len.next_multiple_of(PADDING)
}

impl Piece {
    /// The sequences `sequences` of a batch.
    pub(super) fn new(packed: &Packed, sequences: Range<usize>) -> Self {
        let first = packed.offsets[sequences.start] as usize;
        let mut piece = Self { first, ..Self::default() };
        let mut block = 0..0;
        for s in sequences {
            let len = packed.rows(s).len();
            if block.end > block.start
                && piece.rows + len - piece.spans[block.start].start > BLOCK_TOKENS
            {
                piece.blocks.push(block.clone());
                block.start = block.end;
            }
            piece.spans.push(Span { start: piece.rows, len, scores: piece.scores });
            piece.rows += len;
            piece.scores += len * score_stride(len);
            block.end += 1;
        }
        piece.blocks.push(block);
        piece
    }

    /// The rows of a block.
    pub(super) fn block_rows(&self, block: &Range<usize>) -> Range<usize> {
        let last = self.spans[block.end - 1];
        self.spans[block.start].start..last.start + last.len
    }
}

/// Sequences cut into at most `count` runs of about as many tokens.
pub(super) fn cut(packed: &Packed, count: usize) -> Vec<Range<usize>> {
    let (sequences, tokens) = (packed.sequences(), packed.tokens());
    let mut start = 0;
    let mut runs = Vec::with_capacity(count);
    for i in 1..=count {
        let until = (tokens * i / count) as u32;
        let end = packed.offsets.partition_point(|&offset| offset < until).clamp(start, sequences);
        if end > start {
            runs.push(start..end);
            start = end;
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_sequence_is_in_one_piece_and_one_block(
            lengths in prop::collection::vec(1usize..400, 0..60), count in 1usize..5,
        ) {
            let packed = Packed::of(lengths.iter().copied());
            let runs = cut(&packed, count);
            prop_assert!(runs.len() <= count);
            let mut seen = Vec::new();
            for run in runs {
                let piece = Piece::new(&packed, run.clone());
                prop_assert_eq!(piece.first, packed.offsets[run.start] as usize);
                for block in &piece.blocks {
                    let rows = piece.block_rows(block);
                    prop_assert!(rows.len() <= BLOCK_TOKENS || block.len() == 1);
                    seen.extend(piece.spans[block.clone()].iter().map(|span| span.len));
                }
            }
            prop_assert_eq!(seen, lengths);
        }
    }
}
