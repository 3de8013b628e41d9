//! `index.bin`: any file is refused or can be searched. Files begin valid, so that the checks
//! behind the header are reached; then words of them are changed.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use vitrine::retrieval::{Graph, Index, ItemSet, ItemVectors, Plan, Query, Retriever};

const EMPTY: u32 = u32::MAX;

#[derive(Arbitrary, Debug)]
struct Input {
    items: u8,
    dim: u8,
    stride: u8,
    links: Vec<u8>,
    upper: Vec<Vec<u8>>,
    changes: Vec<(u16, u32)>,
    cut: u8,
    query: Vec<i8>,
    k: u8,
    allowed: Vec<bool>,
}

impl Input {
    fn items(&self) -> usize {
        1 + usize::from(self.items % 40)
    }

    fn dim(&self) -> usize {
        1 + usize::from(self.dim % 20)
    }

    /// A file that [`Graph::write`] could have written, but for the changes.
    fn file(&self) -> Vec<u8> {
        let (nodes, stride) = (self.items(), 1 + usize::from(self.stride % 8));
        let upper: Vec<_> = self.upper.iter().take(3).collect();
        let pair = |low: usize, high: usize| [low as u32, high as u32];
        let fields = [
            pair(nodes, 0),
            pair(self.dim(), stride),
            pair(upper.len(), nodes),
            pair(4, 10),
            pair(8, 0),
        ];
        let mut words: Vec<u32> = Vec::new();
        words.extend([u32::from_le_bytes(*b"VITR"), u32::from_le_bytes(*b"GRPH"), 1, 0]);
        words.extend(fields.concat());
        words.extend([0, 0]);
        words.extend(0..nodes as u32);
        words.extend(0..=nodes as u32);
        let mut links = self.links.iter().copied();
        for _ in 0..nodes {
            let row = links.by_ref().take(stride).map(|link| usize::from(link) % (nodes + 1));
            let row: Vec<u32> =
                row.take_while(|&link| link < nodes).map(|link| link as u32).collect();
            words.extend(row.iter().copied().chain(std::iter::repeat(EMPTY)).take(stride));
        }
        let mut below = nodes;
        for layer in upper {
            below = below.div_ceil(2);
            let targets =
                layer.iter().map(|&link| (usize::from(link) % below) as u32).collect::<Vec<_>>();
            words.push(below as u32);
            words.push(0);
            words.extend((1..=below).map(|node| (targets.len() * node / below) as u32));
            words.extend(targets);
        }
        for &(at, word) in &self.changes {
            let at = usize::from(at) % words.len();
            words[at] = word;
        }
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        // A wrong checksum would end every test at the header.
        let checksum = bytes[..56].iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        bytes[56..64].copy_from_slice(&checksum.to_le_bytes());
        if self.cut > 200 {
            bytes.truncate(bytes.len() * usize::from(self.cut) / 255);
        }
        bytes
    }
}

fuzz_target!(|input: Input| {
    let (len, dim) = (input.items(), input.dim());
    let path = vitrine_fuzz::file("index.bin", &input.file());
    let Ok(graph) = Graph::open(&path, len, dim) else { return };
    let _ = graph.unreachable();
    let rows: Vec<f32> = (0..len * dim).map(|i| ((i * 7919) % 101) as f32 - 50.0).collect();
    let items = ItemVectors::from_rows(dim, &rows).expect("finite numbers are vectors");
    let retriever =
        Retriever::new(items, Some(graph)).expect("the graph was opened for these items");
    let vector: Vec<f32> = (0..dim).map(|i| f32::from(*input.query.get(i).unwrap_or(&1))).collect();
    let mut allowed = ItemSet::empty(len);
    (0..len)
        .filter(|&at| *input.allowed.get(at).unwrap_or(&true))
        .for_each(|at| allowed.insert(at as u32));
    let k = usize::from(input.k);
    for allowed in [None, Some(&allowed)] {
        let query = Query { vector: &vector, k, allowed };
        let wanted = k.min(allowed.map_or(len, ItemSet::count));
        let hits = retriever.search(&query).expect("the query fits");
        assert_eq!(hits.len(), wanted);
        let hits = retriever.search_by(&query, Plan::Graph { ef: 8 }).expect("the query fits");
        assert_eq!(hits.len(), wanted);
        assert!(hits.iter().all(|hit| allowed.is_none_or(|allowed| allowed.contains(hit.item))));
    }
});
