//! Beam search over eight-bit codes; the survivors are scored in f32.
//!
//! The beam is a sorted array of 64-bit entries: at the widths that recommendation needs (100 to
//! 600) inserting by a short memmove beats two heaps. An entry is score, node and "already
//! expanded" in one number.

use super::{EMPTY, Graph, Layer};
use crate::retrieval::{
    Hit, ItemSet, ItemVectors, RetrievalError,
    buffer::Buffer,
    exact::rescore,
    kernel::{Kernels, prefetch},
    quantised::Quantiser,
    scratch::Scratch,
};

/// Bytes of a cache line.
const LINE: usize = 64;

/// Nodes expanded at once: nearly every node of the beam is expanded in the end, and asking memory
/// for the links and codes of several hides its latency.
const WIDE: usize = 4;

/// A graph with the codes of its nodes, in node order.
pub(in crate::retrieval) struct GraphIndex {
    graph: Graph,
    codes: Buffer<u8>,
    stride: usize,
    /// Of the quantiser: what a query number is multiplied with.
    step: Vec<f32>,
}

/// Working memory of a graph search.
#[derive(Default)]
pub(in crate::retrieval) struct Beam {
    weights: Vec<i8>,
    /// One bit a node.
    visited: Vec<u64>,
    /// Every node visited, in order.
    seen: Vec<u32>,
    scores: Vec<i32>,
    entries: Vec<Entry>,
}

/// Score (ordered bits), node, and whether it is still to be expanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry(u64);

impl Entry {
    fn new(score: i32, node: u32) -> Self {
        Self(u64::from(score as u32 ^ 1 << 31) << 32 | u64::from(node) << 1 | 1)
    }

    fn node(self) -> u32 {
        self.0 as u32 >> 1
    }

    fn open(self) -> bool {
        self.0 & 1 == 1
    }
}

impl GraphIndex {
    pub(in crate::retrieval) fn new(
        graph: Graph,
        items: &ItemVectors,
        quantiser: &Quantiser,
    ) -> Result<Self, RetrievalError> {
        let stride = match items.dim() {
            ..=16 => 16,
            17..=32 => 32,
            dim => dim.next_multiple_of(LINE),
        };
        let mut codes = Buffer::zeroed("the graph's codes", graph.nodes() * stride)?;
        for (row, &first) in codes.chunks_exact_mut(stride).zip(&graph.firsts) {
            let item = graph.items[first as usize];
            for (to, code) in row.iter_mut().zip(quantiser.encode(items.row(item))) {
                *to = code;
            }
        }
        Ok(Self { graph, codes, stride, step: quantiser.step.clone() })
    }

    /// Default beam width.
    pub(in crate::retrieval) fn ef(&self) -> usize {
        self.graph.parameters.ef_search
    }

    pub(in crate::retrieval) fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The best `k` allowed items among the `ef` nodes that a beam search for the scratch's query
    /// ends with: fewer than `k` when fewer of those are allowed.
    pub(in crate::retrieval) fn search(
        &self,
        kernels: &Kernels,
        items: &ItemVectors,
        target: Target<'_>,
        scratch: &mut Scratch,
    ) -> Vec<Hit> {
        self.weigh(&scratch.query, &mut scratch.beam);
        let entry = self.descend(kernels, &mut scratch.beam);
        // The beam ranks by codes, so some of the k best in f32 lie a little behind place k.
        let ef = target.ef.max(target.k.saturating_add(target.k / 16 + 4));
        self.expand(kernels, entry, ef, &mut scratch.beam);
        let found = scratch
            .beam
            .entries
            .iter()
            .flat_map(|entry| self.graph.items_of(entry.node()).iter().copied());
        scratch.ids.clear();
        match target.allowed {
            Some(allowed) => scratch.ids.extend(found.filter(|&item| allowed.contains(item))),
            None => scratch.ids.extend(found),
        }
        rescore(kernels, items, target.k, scratch)
    }

    /// Query weights in seven bits and a sign.
    fn weigh(&self, query: &[f32], beam: &mut Beam) {
        let products = || query.iter().zip(&self.step).map(|(q, step)| q * step);
        let unit = products().fold(0f32, |unit, x| unit.max(x.abs())) / 127.0;
        beam.weights.clear();
        // A unit of 0 divides to NaN, which casts to 0.
        beam.weights.extend(products().map(|x| (x / unit).round() as i8));
        beam.weights.resize(self.stride, 0);
    }

    /// Where layer 0 is entered, with its score: the best of the highest layers' nodes, all of them
    /// scored because a greedy walk among few nodes easily ends in the wrong region, then greedy
    /// through the larger layers below.
    fn descend(&self, kernels: &Kernels, beam: &mut Beam) -> (i32, u32) {
        /// Most nodes to score at once.
        const STARTS: usize = 512;
        let Beam { weights, scores, seen, .. } = beam;
        let mut best_of = |nodes: &[u32]| {
            scores.clear();
            kernels.dot_codes(weights, &self.codes, nodes, scores);
            scores.iter().zip(nodes).map(|(&score, &node)| (score, node)).max()
        };
        let walked = self.graph.upper.iter().take_while(|layer| layer.nodes() > STARTS).count();
        let starts = self.graph.upper.get(walked).map_or(1, Layer::nodes);
        seen.clear();
        seen.extend(0..starts as u32);
        let mut best = best_of(seen).unwrap_or((i32::MIN, 0));
        for layer in self.graph.upper[..walked].iter().rev() {
            while let Some(next) = best_of(layer.of(best.1))
                && next.0 > best.0
            {
                best = next;
            }
        }
        best
    }

    fn expand(&self, kernels: &Kernels, entry: (i32, u32), ef: usize, beam: &mut Beam) {
        let Beam { weights, visited, seen, scores, entries } = beam;
        visited.resize(self.graph.nodes().div_ceil(64), 0);
        seen.clear();
        seen.push(entry.1);
        visited[entry.1 as usize / 64] |= 1 << (entry.1 % 64);
        entries.clear();
        entries.push(Entry::new(entry.0, entry.1));
        // Entries before the cursor are expanded.
        let mut cursor = 0;
        loop {
            let fresh = seen.len();
            let mut expanded = 0;
            let mut resume = None;
            for (place, next) in entries.iter_mut().enumerate().skip(cursor) {
                if !next.open() {
                    continue;
                }
                if expanded == WIDE {
                    resume = Some(place);
                    break;
                }
                expanded += 1;
                next.0 &= !1;
                for &link in self.graph.row(next.node()) {
                    if link == EMPTY {
                        break;
                    }
                    let word = &mut visited[link as usize / 64];
                    if *word >> (link % 64) & 1 == 0 {
                        *word |= 1 << (link % 64);
                        seen.push(link);
                        for line in 0..self.stride.div_ceil(LINE) {
                            prefetch(&self.codes, link as usize * self.stride + line * LINE);
                        }
                    }
                }
            }
            if expanded == 0 {
                break;
            }
            scores.clear();
            kernels.dot_codes(weights, &self.codes, &seen[fresh..], scores);
            cursor = resume.unwrap_or(entries.len());
            for (&link, &score) in seen[fresh..].iter().zip(scores.iter()) {
                let entry = Entry::new(score, link);
                if entries.len() == ef {
                    if entries.last().is_some_and(|worst| entry <= *worst) {
                        continue;
                    }
                    entries.pop();
                }
                let place = entries.partition_point(|other| *other > entry);
                entries.insert(place, entry);
                let row = link as usize * self.graph.stride;
                prefetch(&self.graph.links, row);
                prefetch(&self.graph.links, row + LINE / 4);
                cursor = cursor.min(place);
            }
        }
        // Leave the bitmap clean, by whichever way touches less.
        if seen.len() * 4 < visited.len() {
            seen.iter().for_each(|&node| visited[node as usize / 64] = 0);
        } else {
            visited.fill(0);
        }
    }
}

/// What a graph search is to find.
#[derive(Clone, Copy)]
pub(in crate::retrieval) struct Target<'a> {
    pub k: usize,
    /// Beam width; a little more than `k` at least is used.
    pub ef: usize,
    pub allowed: Option<&'a ItemSet>,
}
