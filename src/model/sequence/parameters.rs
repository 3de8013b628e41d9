//! All weights of an encoder in one array, with names: gradients, moments and partial gradients are
//! arrays of the same layout, so that summing, clipping and stepping are loops over one slice.

use super::super::{
    adamw::{AdamW, Moments},
    simd::{Simd, adamw, add_scaled},
    tower::piece_rows,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::ops::Range;

/// A weight, a gradient or a running statistic by name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameter<'a> {
    pub name: &'a str,
    pub shape: &'a [usize],
    /// Row-major.
    pub values: &'a [f32],
    /// `false` for running statistics, which the optimiser leaves alone.
    pub trained: bool,
}

/// A weight or running statistic to be written, as a checkpoint is read.
#[derive(Debug)]
pub struct ParameterMut<'a> {
    pub name: &'a str,
    pub shape: &'a [usize],
    pub values: &'a mut [f32],
    /// Whether weight decay acts on it.
    pub decays: bool,
    /// First and second moments of the optimiser; `None` for running statistics.
    pub moments: Option<(&'a mut [f32], &'a mut [f32])>,
}

#[derive(Debug, Clone)]
struct Entry {
    name: String,
    shape: Vec<usize>,
    /// Within `values`, or within `statistics` where not trained. Entries of a kind follow each
    /// other without gaps.
    at: Range<usize>,
    trained: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Parameters {
    entries: Vec<Entry>,
    pub values: Vec<f32>,
    pub gradient: Vec<f32>,
    /// Running statistics, which no gradient reaches.
    pub statistics: Vec<f32>,
    moments: Moments,
    rng: ChaCha8Rng,
}

impl Entry {
    /// Whether weight decay shrinks it: matrices only. The scales and shifts of norms and the
    /// biases have nothing to overfit with, and a norm's scale belongs near 1.
    fn decays(&self) -> bool {
        self.trained && self.shape.len() > 1
    }
}

/// How a weight starts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Start {
    Constant(f32),
    /// Uniform in ± this.
    Uniform(f32),
    /// Glorot-uniform for so many inputs and outputs (Glorot & Bengio 2010).
    Glorot(usize, usize),
}

impl Parameters {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            entries: Vec::new(),
            values: Vec::new(),
            gradient: Vec::new(),
            statistics: Vec::new(),
            moments: Moments::default(),
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// One more weight; where it lies in `values`.
    pub(super) fn add(&mut self, name: String, shape: &[usize], start: Start) -> Range<usize> {
        let first = self.values.len();
        let at = first..first + shape.iter().product::<usize>();
        let limit = match start {
            Start::Constant(_) => 0.0,
            Start::Uniform(limit) => limit,
            Start::Glorot(inputs, outputs) => (6.0 / (inputs + outputs) as f32).sqrt(),
        };
        match start {
            Start::Constant(value) => self.values.resize(at.end, value),
            _ => self.values.extend(at.clone().map(|_| self.rng.random_range(-limit..limit))),
        }
        self.entries.push(Entry { name, shape: shape.to_vec(), at: at.clone(), trained: true });
        at
    }

    /// One more running statistic; where it lies in `statistics`.
    pub(super) fn add_statistic(&mut self, name: String, len: usize, value: f32) -> Range<usize> {
        let at = self.statistics.len()..self.statistics.len() + len;
        self.statistics.resize(at.end, value);
        self.entries.push(Entry { name, shape: vec![len], at: at.clone(), trained: false });
        at
    }

    /// After the last weight.
    pub(super) fn finish(&mut self) {
        self.moments = Moments::zeros(self.values.len());
        self.gradient = vec![0.0; self.values.len()];
    }

    pub(super) fn gradient_norm(&self) -> f64 {
        let square =
            |piece: &[f32]| piece.iter().map(|&g| f64::from(g) * f64::from(g)).sum::<f64>();
        let pieces: Vec<f64> =
            self.gradient.par_chunks(piece_rows(self.gradient.len())).map(square).collect();
        pieces.iter().sum::<f64>().sqrt()
    }

    pub(super) fn scale_gradients(&mut self, factor: f32) {
        self.gradient.iter_mut().for_each(|g| *g *= factor);
    }

    pub(super) fn update(&mut self, optimizer: &AdamW, t: u32) {
        let simd = Simd::detect();
        let (decaying, lasting) = (optimizer.step(t), optimizer.without_decay().step(t));
        let (mut values, mut gradient) = (&mut self.values[..], &self.gradient[..]);
        let (mut first, mut second) = (&mut self.moments.first[..], &mut self.moments.second[..]);
        for entry in self.entries.iter().filter(|entry| entry.trained) {
            let step = if entry.decays() { &decaying } else { &lasting };
            let (len, piece) = (entry.at.len(), piece_rows(entry.at.len()));
            let (own, rest) = gradient.split_at(len);
            gradient = rest;
            let moments = take(&mut first, len)
                .par_chunks_mut(piece)
                .zip(take(&mut second, len).par_chunks_mut(piece));
            let values = take(&mut values, len).par_chunks_mut(piece).zip(own.par_chunks(piece));
            values.zip(moments).for_each(|((w, g), (m, v))| adamw(simd, w, m, v, g, step));
        }
    }

    /// `gradient ← Σ pieces`, added in order.
    pub(super) fn sum_gradients(&mut self, pieces: &[Vec<f32>]) {
        let simd = Simd::detect();
        let length = piece_rows(self.gradient.len());
        self.gradient.par_chunks_mut(length).enumerate().for_each(|(i, sum)| {
            let at = i * length..i * length + sum.len();
            sum.copy_from_slice(&pieces[0][at.clone()]);
            pieces[1..].iter().for_each(|piece| add_scaled(simd, sum, &piece[at.clone()], 1.0));
        });
    }

    pub(super) fn all(&self) -> Vec<Parameter<'_>> {
        self.entries.iter().map(|entry| self.view(entry, &self.values)).collect()
    }

    pub(super) fn gradients(&self) -> Vec<Parameter<'_>> {
        self.entries
            .iter()
            .filter(|entry| entry.trained)
            .map(|entry| self.view(entry, &self.gradient))
            .collect()
    }

    fn view<'a>(&'a self, entry: &'a Entry, trained: &'a [f32]) -> Parameter<'a> {
        let values = if entry.trained { trained } else { &self.statistics };
        let Entry { name, shape, at, trained } = entry;
        Parameter { name, shape, values: &values[at.clone()], trained: *trained }
    }

    pub(super) fn all_mut(&mut self) -> Vec<ParameterMut<'_>> {
        let Moments { first, second, .. } = &mut self.moments;
        let (mut values, mut first, mut second) =
            (&mut self.values[..], &mut first[..], &mut second[..]);
        let mut statistics = &mut self.statistics[..];
        let mut all = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let (Entry { name, shape, at, trained }, decays) = (entry, entry.decays());
            let (values, moments) = if *trained {
                let moments = (take(&mut first, at.len()), take(&mut second, at.len()));
                (take(&mut values, at.len()), Some(moments))
            } else {
                (take(&mut statistics, at.len()), None)
            };
            all.push(ParameterMut { name, shape, values, decays, moments });
        }
        all
    }
}

/// Splits the first `len` elements off.
pub(super) fn take<'a>(slice: &mut &'a mut [f32], len: usize) -> &'a mut [f32] {
    let (head, tail) = std::mem::take(slice).split_at_mut(len);
    *slice = tail;
    head
}
