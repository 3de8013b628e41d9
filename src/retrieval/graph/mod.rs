//! The search graph (HNSW: Malkov & Yashunin 2018, arXiv:1603.09320) in a flat layout, and its file
//! `index.bin`.
//!
//! Nodes are numbered by falling level, so the nodes of layer l are `0..nodes(l)` and no layer
//! needs a map; within a level in breadth-first order from the entry point, so that neighbours lie
//! near each other in memory. Items with equal vectors share a node: a crowd of duplicates would
//! only link to itself and trap the search.
//!
//! ```text
//! header   fields: items; dim, stride; upper layers, nodes; m, ef_construction; ef_search, 0
//! items    items × u32, node after node: a permutation
//! firsts   (nodes + 1) × u32: where each node's items begin
//! links    nodes × stride × u32: layer 0; a row ends at its first EMPTY
//! upper    for each layer 1..: nodes u32, nodes + 1 offsets u32, links u32
//! ```
//! Pairs of fields are the low and the high half of a u64. Everything is validated at load, so the
//! search may trust ids.

#[cfg(feature = "trainer")]
pub(super) mod build;
mod connect;
pub(super) mod search;
#[cfg(test)]
#[cfg(feature = "trainer")]
mod tests;

use super::{MAX_DIM, RetrievalError, buffer::Buffer, file::Format};
use crate::bundle::IndexParameters;
use std::{io::Read, path::Path};

const FORMAT: Format = Format { magic: *b"VITRGRPH", version: 1, what: "a search graph" };

/// Fills a row of links behind its last one.
const EMPTY: u32 = u32::MAX;
/// Bounds of what a file may claim, far above what is built.
const MAX_STRIDE: usize = 4096;
const MAX_UPPER: usize = 32;

/// Upper bounds of [`IndexParameters`]: `m`, and both beam widths.
pub(super) const MAX_M: usize = 128;
pub(super) const MAX_EF: usize = 1 << 16;

/// A layer above 0: links of nodes `0..offsets.len() - 1`.
struct Layer {
    offsets: Vec<u32>,
    links: Vec<u32>,
}

impl Layer {
    fn nodes(&self) -> usize {
        self.offsets.len() - 1
    }

    fn of(&self, node: u32) -> &[u32] {
        &self.links[self.offsets[node as usize] as usize..self.offsets[node as usize + 1] as usize]
    }
}

/// A search graph over the items of one table.
pub struct Graph {
    items: Vec<u32>,
    firsts: Vec<u32>,
    links: Buffer<u32>,
    stride: usize,
    upper: Vec<Layer>,
    dim: usize,
    parameters: IndexParameters,
}

impl Graph {
    /// Number of items.
    #[allow(clippy::len_without_is_empty, reason = "there is no empty graph")]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Number of nodes: of different vectors.
    pub fn nodes(&self) -> usize {
        self.firsts.len() - 1
    }

    /// Length of the vectors it was built over.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// What it was built with.
    pub fn parameters(&self) -> IndexParameters {
        self.parameters
    }

    /// Changes the beam it is searched with.
    #[cfg(feature = "trainer")]
    pub fn set_ef_search(&mut self, ef: usize) {
        self.parameters.ef_search = ef.clamp(1, MAX_EF);
    }

    /// Items of a node: those that share its vector.
    pub(super) fn items_of(&self, node: u32) -> &[u32] {
        &self.items[self.firsts[node as usize] as usize..self.firsts[node as usize + 1] as usize]
    }

    /// Links of a node in layer 0.
    fn links(&self, node: u32) -> &[u32] {
        let row = self.row(node);
        &row[..row.iter().position(|&link| link == EMPTY).unwrap_or(row.len())]
    }

    /// The same with the EMPTY behind them.
    #[inline(always)]
    fn row(&self, node: u32) -> &[u32] {
        &self.links[node as usize * self.stride..][..self.stride]
    }

    /// How many nodes the search cannot reach from the entry point, or cannot return from: 0 for a
    /// built graph.
    pub fn unreachable(&self) -> usize {
        let forward = connect::reached(self.nodes(), 0, |node| self.links(node));
        let mut back = vec![Vec::new(); self.nodes()];
        for node in 0..self.nodes() as u32 {
            for &link in self.links(node) {
                back[link as usize].push(node);
            }
        }
        let backward = connect::reached(self.nodes(), 0, |node| &back[node as usize]);
        forward.iter().zip(backward).filter(|(forward, backward)| !(**forward && *backward)).count()
    }

    /// Writes the graph as `index.bin`. The file is whole or absent.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), RetrievalError> {
        let pair = |low: usize, high: usize| low as u64 | (high as u64) << 32;
        let fields = [
            self.len() as u64,
            pair(self.dim, self.stride),
            pair(self.upper.len(), self.nodes()),
            pair(self.parameters.m, self.parameters.ef_construction),
            pair(self.parameters.ef_search, 0),
        ];
        FORMAT.write(path, fields, |out| {
            out.write_all(bytemuck::cast_slice(&self.items))?;
            out.write_all(bytemuck::cast_slice(&self.firsts))?;
            out.write_all(bytemuck::cast_slice(&self.links))?;
            for layer in &self.upper {
                out.write_all(&(layer.offsets.len() as u32 - 1).to_le_bytes())?;
                out.write_all(bytemuck::cast_slice(&layer.offsets))?;
                out.write_all(bytemuck::cast_slice(&layer.links))?;
            }
            Ok(())
        })
    }

    /// Reads a file that [`Graph::write`] wrote, for a table of `len` items of dimension `dim`.
    ///
    /// # Errors
    /// When it cannot be read, belongs to another table, or holds anything but a whole, valid
    /// graph; the reason is named.
    pub fn open(path: &Path, len: usize, dim: usize) -> Result<Self, RetrievalError> {
        let (mut file, fields, content) = FORMAT.open(path)?;
        let refuse = |reason: String| RetrievalError::format(path, reason);
        let [_, shape, layers, build, search] =
            fields.map(|field| [field as u32 as usize, (field >> 32) as usize]);
        if fields[0] != len as u64 || shape[0] != dim {
            return Err(refuse(format!(
                "is over {} items of dimension {}, the item table holds {len} of {dim}",
                fields[0], shape[0]
            )));
        }
        let [[upper, nodes], [ef_search, zero]] = [layers, search];
        let parameters = IndexParameters { m: build[0], ef_construction: build[1], ef_search };
        validate(&parameters).map_err(|error| refuse(error.to_string()))?;
        let stride = shape[1];
        if !(1..=MAX_STRIDE).contains(&stride)
            || upper > MAX_UPPER
            || !(1..=len).contains(&nodes)
            || zero != 0
        {
            return Err(refuse(format!(
                "{nodes} nodes, {stride} links each, {upper} upper layers are out of range"
            )));
        }
        // At most 2^31 × 4,098 × 4 bytes: no overflow.
        let fixed = (len as u64 + 1 + nodes as u64 * (stride as u64 + 1)) * 4;
        let Some(mut rest) = content.checked_sub(fixed) else {
            return Err(refuse(format!(
                "{content} bytes hold less than {fixed} of items and links: truncated"
            )));
        };
        let io = || RetrievalError::io(path);
        let mut items = vec![0; len];
        file.read_exact(bytemuck::cast_slice_mut(&mut items)).map_err(io())?;
        let mut firsts = vec![0; nodes + 1];
        file.read_exact(bytemuck::cast_slice_mut(&mut firsts)).map_err(io())?;
        let mut links = Buffer::zeroed("the search graph", nodes * stride)?;
        file.read_exact(bytemuck::cast_slice_mut(&mut links)).map_err(io())?;
        // Lengths come from the file: nothing is reserved that the file does not hold.
        let mut words = |count: usize| -> Result<Vec<u32>, RetrievalError> {
            let bytes = count as u64 * 4;
            rest = rest
                .checked_sub(bytes)
                .ok_or_else(|| refuse("ends within its upper layers".into()))?;
            let mut words = vec![0; count];
            file.read_exact(bytemuck::cast_slice_mut(&mut words)).map_err(io())?;
            Ok(words)
        };
        let mut layers = Vec::with_capacity(upper);
        for _ in 0..upper {
            let nodes = words(1)?[0] as usize;
            let offsets = words(nodes + 1)?;
            let links = words(offsets[nodes] as usize)?;
            layers.push(Layer { offsets, links });
        }
        if rest != 0 {
            return Err(refuse(format!("{rest} bytes too many")));
        }
        let graph = Self { items, firsts, links, stride, upper: layers, dim, parameters };
        graph.validate().map_err(refuse)?;
        Ok(graph)
    }

    fn validate(&self) -> Result<(), String> {
        let len = self.len();
        let rising = self.firsts.windows(2).all(|pair| pair[0] < pair[1]);
        if self.firsts[0] != 0 || !rising || self.firsts[self.nodes()] as usize != len {
            return Err("the nodes' items are out of range".into());
        }
        let mut seen = vec![false; len];
        for &item in &self.items {
            match seen.get_mut(item as usize) {
                Some(seen) if !*seen => *seen = true,
                _ => return Err(format!("item {item} is out of range or listed twice")),
            }
        }
        for (node, row) in self.links.chunks_exact(self.stride).enumerate() {
            let links = row.iter().take_while(|&&link| link != EMPTY).count();
            if row[..links].iter().any(|&link| link as usize >= self.nodes())
                || row[links..].iter().any(|&link| link != EMPTY)
            {
                return Err(format!("the links of node {node} are out of range"));
            }
        }
        let mut below = self.nodes();
        for (layer, Layer { offsets, links }) in self.upper.iter().enumerate() {
            let nodes = offsets.len() - 1;
            let rising = offsets[0] == 0 && offsets.windows(2).all(|pair| pair[0] <= pair[1]);
            if nodes == 0
                || nodes > below
                || !rising
                || links.iter().any(|&link| link as usize >= nodes)
            {
                return Err(format!("upper layer {layer} is out of range"));
            }
            below = nodes;
        }
        Ok(())
    }
}

/// Refuses parameters that no graph can be built or searched with.
pub(super) fn validate(parameters: &IndexParameters) -> Result<(), RetrievalError> {
    let IndexParameters { m, ef_construction, ef_search } = *parameters;
    if !(2..=MAX_M).contains(&m) {
        return Err(RetrievalError::Parameters(format!("m is {m}, not 2 to {MAX_M}")));
    }
    for (name, ef) in [("ef_construction", ef_construction), ("ef_search", ef_search)] {
        if !(1..=MAX_EF).contains(&ef) {
            return Err(RetrievalError::Parameters(format!("{name} is {ef}, not 1 to {MAX_EF}")));
        }
    }
    const { assert!(MAX_DIM <= u32::MAX as usize) };
    Ok(())
}
