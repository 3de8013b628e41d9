//! The order of tokens in which a recurrent layer runs: pieces for the threads; in each the
//! sequences by falling length, and their tokens time step by time step. The rows of a step are
//! then the first rows of the step before, each one token on, and the batch shrinks where padding
//! would grow.

use super::Packed;
use std::ops::Range;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct TimeMajor {
    /// For every row its token in the packed batch.
    pub tokens: Vec<u32>,
    pub pieces: Vec<Steps>,
}

/// The rows of one piece.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Steps {
    /// Its first row within the batch.
    pub first: usize,
    /// First row of each time step, counted from the piece's; one more, the number of rows, at the
    /// end.
    pub starts: Vec<usize>,
}

impl TimeMajor {
    /// At most `count` pieces, sequences dealt in turn so that all have about as many tokens.
    pub(super) fn new(packed: &Packed, count: usize) -> Self {
        let mut order: Vec<usize> = (0..packed.sequences()).collect();
        order.sort_by_key(|&s| std::cmp::Reverse(packed.rows(s).len()));
        let mut all =
            Self { tokens: Vec::with_capacity(packed.tokens()), pieces: Vec::with_capacity(count) };
        for piece in 0..count.min(order.len()) {
            let sequences: Vec<Range<usize>> =
                order.iter().skip(piece).step_by(count).map(|&s| packed.rows(s)).collect();
            let first = all.tokens.len();
            let mut starts = vec![0];
            for t in 0..sequences[0].len() {
                let running = sequences.iter().take_while(|rows| rows.len() > t);
                all.tokens.extend(running.map(|rows| (rows.start + t) as u32));
                starts.push(all.tokens.len() - first);
            }
            all.pieces.push(Steps { first, starts });
        }
        all
    }

    /// `out ← rows of x in this order`.
    pub(super) fn gather(&self, x: &[f32], width: usize, out: &mut [f32]) {
        for (out, &token) in out.chunks_exact_mut(width).zip(&self.tokens) {
            let token = token as usize;
            out.copy_from_slice(&x[token * width..(token + 1) * width]);
        }
    }

    /// The way back.
    pub(super) fn scatter(&self, x: &[f32], width: usize, out: &mut [f32]) {
        for (x, &token) in x.chunks_exact(width).zip(&self.tokens) {
            let token = token as usize;
            out[token * width..(token + 1) * width].copy_from_slice(x);
        }
    }
}

impl Steps {
    pub(super) fn rows(&self) -> usize {
        self.starts[self.starts.len() - 1]
    }

    /// Time steps.
    pub(super) fn steps(&self) -> usize {
        self.starts.len() - 1
    }

    pub(super) fn step(&self, t: usize) -> Range<usize> {
        self.starts[t]..self.starts[t + 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_of_a_step_continue_those_of_the_step_before(
            lengths in prop::collection::vec(1usize..12, 0..30), count in 1usize..4,
        ) {
            let packed = Packed::of(lengths);
            let order = TimeMajor::new(&packed, count);
            let mut seen = order.tokens.clone();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..packed.tokens() as u32).collect::<Vec<_>>());
            for piece in &order.pieces {
                let tokens = &order.tokens[piece.first..piece.first + piece.rows()];
                prop_assert!(tokens[piece.step(0)].iter().all(|t| packed.offsets.contains(t)));
                for t in 1..piece.steps() {
                    let (before, now) = (&tokens[piece.step(t - 1)], &tokens[piece.step(t)]);
                    prop_assert!(now.len() <= before.len());
                    prop_assert!(now.iter().zip(before).all(|(now, before)| *now == before + 1));
                }
            }
        }
    }
}
