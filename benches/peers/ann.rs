//! Vitrine's side of `ann.py`: builds over a vector file, then answers one command a line on
//! standard input.
//!
//! The file: count, dim, queries as u32; then the item and query vectors as f32, all little-endian.
//! Commands `graph EF K`, `scan K`, `gather K`: run every query on this thread, write the item ids
//! as u32 to the result file, print the mean microseconds a query.

use std::{
    io::{BufRead, Write},
    path::Path,
    time::Instant,
};
use vitrine::{
    bundle::IndexParameters,
    retrieval::{Graph, Insertion, ItemVectors, Plan, Query, Retriever},
};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data, result, m, ef_construction] = arguments.as_slice() else {
        anyhow::bail!("usage: ann DATA RESULT M EF_CONSTRUCTION");
    };
    let bytes = std::fs::read(data)?;
    let word =
        |i: usize| u32::from_le_bytes(std::array::from_fn(|byte| bytes[4 * i + byte])) as usize;
    let (len, dim, queries) = (word(0), word(1), word(2));
    let numbers: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes[12..]);
    let (rows, queries) = (&numbers[..len * dim], &numbers[len * dim..(len + queries) * dim]);

    let items = ItemVectors::from_rows(dim, rows)?;
    let parameters = IndexParameters {
        m: m.parse()?,
        ef_construction: ef_construction.parse()?,
        ef_search: 100,
    };
    let index = Path::new(result).with_extension(format!("{m}-{ef_construction}.index"));
    if !index.exists() {
        let started = Instant::now();
        let graph = Graph::build(&items, parameters, Insertion::Parallel)?;
        eprintln!(
            "vitrine: built in {:.1} s, {} unreachable",
            started.elapsed().as_secs_f64(),
            graph.unreachable()
        );
        graph.write(&index)?;
    }
    let graph = Graph::open(&index, len, dim)?;
    let retriever = Retriever::new(items, Some(graph))?;
    println!("ready");

    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let (plan, k) = match words.as_slice() {
            ["graph", ef, k] => (Plan::Graph { ef: ef.parse()? }, k.parse()?),
            ["scan", k] => (Plan::Scan, k.parse()?),
            ["gather", k] => (Plan::Gather, k.parse()?),
            _ => anyhow::bail!("unknown command {line}"),
        };
        let started = Instant::now();
        let answers: Vec<_> = queries
            .chunks_exact(dim)
            .map(|vector| retriever.search_by(&Query { vector, k, allowed: None }, plan))
            .collect::<Result<_, _>>()?;
        let elapsed = started.elapsed();
        let ids: Vec<u32> = answers.iter().flatten().map(|hit| hit.item).collect();
        std::fs::write(result, bytemuck::cast_slice(&ids))?;
        println!("{:.2}", elapsed.as_secs_f64() * 1e6 / (queries.len() / dim) as f64);
        std::io::stdout().flush()?;
    }
    Ok(())
}
