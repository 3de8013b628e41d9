//! Building: hnsw_rs inserts, the finished graph is read out once, mended and laid out flat.
//!
//! hnsw_rs ends the process or panics on bad parameters and numbers; all are excluded here before
//! it is called. It draws levels from a generator of fixed seed, so serial insertion is repeatable;
//! parallel insertion is not, because the order of insertion is the threads'.

use super::{Buffer, EMPTY, Graph, Layer, connect, validate};
use crate::{
    bundle::IndexParameters,
    retrieval::{
        ItemVectors, RetrievalError,
        kernel::{Kernels, LANES},
        scratch::norm,
    },
};
use anndists::dist::distances::Distance;
use hnsw_rs::hnsw::Hnsw;
use rayon::prelude::*;
use std::{cmp::Reverse, collections::HashMap};

/// Layers hnsw_rs can hold.
const MAX_LAYERS: usize = 16;

/// The order in which items enter the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insertion {
    /// On all cores. Two builds differ in some links.
    Parallel,
    /// One after another: the same items give the same graph, byte for byte.
    Serial,
}

/// 1 − ⟨a, b⟩ of padded unit vectors.
struct UnitDistance(&'static Kernels);

impl Distance<f32> for UnitDistance {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        (1.0 - self.0.dot(a, b)).max(0.0)
    }
}

impl Graph {
    /// Builds the graph of the table's items for search by inner product.
    ///
    /// # Errors
    /// When the parameters are out of range.
    pub fn build(
        items: &ItemVectors,
        parameters: IndexParameters,
        insertion: Insertion,
    ) -> Result<Self, RetrievalError> {
        validate(&parameters)?;
        let kernels = Kernels::best();
        let groups = equal_vectors(items);
        let (units, width) = unit_vectors(items, &groups)?;
        let unit = |group: u32| &units[group as usize * width..][..width];
        let hnsw = Hnsw::new(
            parameters.m,
            groups.len(),
            MAX_LAYERS,
            parameters.ef_construction,
            UnitDistance(kernels),
        );
        let ids: Vec<u32> = (0..groups.len() as u32).collect();
        let insert = |&group: &u32| hnsw.insert_slice((unit(group), group as usize));
        match insertion {
            Insertion::Serial => ids.iter().for_each(insert),
            Insertion::Parallel => {
                // A graph of one point has no neighbour to insert beside; start it serially.
                let (first, rest) = ids.split_at(ids.len().min(64));
                first.iter().for_each(insert);
                rest.par_iter().for_each(insert);
            }
        }
        let mut read = ReadOut::new(&hnsw, groups.len());
        drop(hnsw);
        let closeness = |a: u32, b: u32| kernels.dot(unit(a), unit(b));
        connect::repair(&mut read.lists, read.entry, 2 * parameters.m, closeness);
        read.lay_out(&groups, items.dim(), parameters)
    }
}

/// The items, those with equal vectors together, in order of their first.
fn equal_vectors(items: &ItemVectors) -> Vec<Vec<u32>> {
    let mut groups: Vec<Vec<u32>> = Vec::new();
    let mut known: HashMap<&[u8], usize> = HashMap::with_capacity(items.len());
    for (item, row) in items.rows().enumerate() {
        let group = *known.entry(bytemuck::cast_slice(row)).or_insert(groups.len());
        if group == groups.len() {
            groups.push(Vec::with_capacity(1));
        }
        groups[group].push(item as u32);
    }
    groups
}

/// Padded unit vectors, one a group, whose cosine order is the items' inner-product order for any
/// query: each item divided by the greatest length M and given one more dimension √(1 − ‖x/M‖²)
/// (Bachrach et al. 2014, *Speeding up the Xbox recommender system using a Euclidean transformation
/// for inner-product spaces*). Answers the width of a row.
fn unit_vectors(
    items: &ItemVectors,
    groups: &[Vec<u32>],
) -> Result<(Buffer<f32>, usize), RetrievalError> {
    let longest = items.rows().map(norm).fold(0.0, f64::max);
    let shortest = items.rows().map(norm).fold(f64::INFINITY, f64::min);
    // Equal lengths need no further dimension.
    let extended = shortest < 0.9999 * longest || longest == 0.0;
    let dim = items.dim();
    let width = (dim + usize::from(extended)).next_multiple_of(LANES);
    let mut units = Buffer::zeroed("unit vectors", groups.len() * width)?;
    for (unit, group) in units.chunks_exact_mut(width).zip(groups) {
        let row = items.row(group[0]);
        let scale =
            if longest > 0.0 { 1.0 / if extended { longest } else { norm(row) } } else { 0.0 };
        for (unit, &x) in unit.iter_mut().zip(row) {
            *unit = (f64::from(x) * scale) as f32;
        }
        if extended {
            let length = norm(&unit[..dim]);
            unit[dim] = (1.0 - length * length).max(0.0).sqrt() as f32;
        }
    }
    Ok((units, width))
}

/// hnsw_rs's graph by group of equal items.
struct ReadOut {
    /// Layer 0.
    lists: Vec<Vec<u32>>,
    /// Layers 1.. of each group up to its level.
    upper: Vec<Vec<Vec<u32>>>,
    entry: u32,
}

impl ReadOut {
    fn new(hnsw: &Hnsw<'_, f32, UnitDistance>, len: usize) -> Self {
        let mut lists = vec![Vec::new(); len];
        let mut upper = vec![Vec::new(); len];
        for point in hnsw.get_point_indexation() {
            let item = point.get_origin_id();
            let level = usize::from(point.get_point_id().0);
            // hnsw_rs keeps projections to layers above a point's level in its lists; they are no
            // links.
            let mut layers =
                point.get_neighborhood_id().into_iter().take(level + 1).map(|neighbours| {
                    let mut links: Vec<u32> =
                        neighbours.iter().map(|link| link.get_origin_id() as u32).collect();
                    links.retain(|&link| link as usize != item);
                    links
                });
            lists[item] = layers.next().unwrap_or_default();
            upper[item] = layers.collect();
        }
        let entry =
            (0..len).max_by_key(|&item| (upper[item].len(), Reverse(item))).unwrap_or(0) as u32;
        Self { lists, upper, entry }
    }

    /// Nodes by falling level, then in breadth-first order from the entry point.
    fn order(&self) -> Vec<u32> {
        let mut order = vec![self.entry];
        let mut seen = vec![false; self.lists.len()];
        seen[self.entry as usize] = true;
        let mut next = 0;
        while let Some(&item) = order.get(next) {
            next += 1;
            for &link in &self.lists[item as usize] {
                if !std::mem::replace(&mut seen[link as usize], true) {
                    order.push(link);
                }
            }
        }
        order.sort_by_key(|&item| Reverse(self.upper[item as usize].len()));
        order
    }

    fn lay_out(
        self,
        groups: &[Vec<u32>],
        dim: usize,
        parameters: IndexParameters,
    ) -> Result<Graph, RetrievalError> {
        let order = self.order();
        let mut node_of = vec![0; order.len()];
        for (node, &group) in order.iter().enumerate() {
            node_of[group as usize] = node as u32;
        }
        let stride = self
            .lists
            .iter()
            .map(Vec::len)
            .max()
            .unwrap_or(0)
            .max(2 * parameters.m)
            .min(super::MAX_STRIDE);
        let mut links = Buffer::zeroed("the search graph", order.len() * stride)?;
        for (row, &group) in links.chunks_exact_mut(stride).zip(&order) {
            row.fill(EMPTY);
            for (place, &link) in row.iter_mut().zip(&self.lists[group as usize]) {
                *place = node_of[link as usize];
            }
        }
        let top = self.upper[self.entry as usize].len();
        let upper = (0..top)
            .map(|layer| {
                let nodes =
                    order.iter().take_while(|&&group| self.upper[group as usize].len() > layer);
                let mut flat = Layer { offsets: vec![0], links: Vec::new() };
                for &group in nodes {
                    let present = |&&link: &&u32| self.upper[link as usize].len() > layer;
                    let list = &self.upper[group as usize][layer];
                    flat.links
                        .extend(list.iter().filter(present).map(|&link| node_of[link as usize]));
                    flat.offsets.push(flat.links.len() as u32);
                }
                flat
            })
            .collect();
        let mut firsts = vec![0];
        let mut items = Vec::new();
        for &group in &order {
            items.extend(&groups[group as usize]);
            firsts.push(items.len() as u32);
        }
        Ok(Graph { items, firsts, links, stride, upper, dim, parameters })
    }
}
