//! Vitrine's side of `sequence_step.py`: takes training steps on the batches of a file, as many as a line on standard
//! input says, and prints the mean milliseconds a step.
//!
//! Arguments: `decoder` or `lstm`, items, longest sequence, file, threads. What is timed is the whole step: gather,
//! encoder, softmax, backward pass, optimiser. Of each batch the file holds the lengths, items, days, targets and
//! negatives, each as a count and so many numbers, little-endian u32.

use std::{
    io::{BufRead, Write},
    time::Instant,
};
use vitrine::model::{
    AdamW, OwnTargets, Scatter, SoftmaxBatch, SoftmaxWorkspace, Table,
    sequence::{DecoderConfig, EncoderConfig, LstmConfig, Mode, Packed, SequenceEncoder},
};

/// Day buckets, the one for no day included.
const DAYS: usize = 102;

struct Batch {
    packed: Packed,
    items: Vec<u32>,
    days: Vec<u32>,
    targets: Vec<u32>,
    /// Empty where the softmax is over all items.
    negatives: Vec<u32>,
    /// Each target among the negatives.
    hits: Vec<(u32, u32)>,
}

struct Trainer {
    encoder: SequenceEncoder,
    items: Input,
    days: Option<Input>,
    out: Input,
    bias: Vec<f32>,
    softmax: SoftmaxWorkspace,
    tokens: Vec<f32>,
    by_tokens: Vec<f32>,
    by_output: Vec<f32>,
    by_columns: Vec<f32>,
    by_targets: Vec<f32>,
    steps: u32,
}

/// A table with its gradients.
struct Input {
    table: Table,
    scatter: Scatter,
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, items, length, file, threads] = arguments.as_slice() else {
        anyhow::bail!("usage: sequence_step decoder|lstm ITEMS LENGTH FILE THREADS");
    };
    let mut trainer = Trainer::new(kind == "lstm", items.parse()?, length.parse()?)?;
    let batches = read(&std::fs::read(file)?);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build()?;
    println!("ready");
    let mut taken = 0;
    for line in std::io::stdin().lock().lines() {
        let steps: usize = line?.trim().parse()?;
        let started = Instant::now();
        pool.install(|| {
            for _ in 0..steps {
                let loss = trainer.step(&batches[taken % batches.len()]);
                assert!(loss.is_finite());
                taken += 1;
            }
        });
        println!("{:.4}", started.elapsed().as_secs_f64() * 1e3 / steps as f64);
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn read(bytes: &[u8]) -> Vec<Batch> {
    let mut numbers = bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let mut batches = Vec::new();
    while let Some(count) = numbers.next() {
        let lengths: Vec<usize> = numbers.by_ref().take(count as usize).map(|n| n as usize).collect();
        let mut column = || {
            let count = numbers.next().unwrap_or(0) as usize;
            numbers.by_ref().take(count).collect::<Vec<u32>>()
        };
        let (items, days, targets, negatives) = (column(), column(), column(), column());
        let hit = |(i, target): (usize, &u32)| {
            negatives.iter().enumerate().filter(|n| n.1 == target).map(|n| (i as u32, n.0 as u32)).collect::<Vec<_>>()
        };
        let hits = targets.iter().enumerate().flat_map(hit).collect();
        batches.push(Batch { packed: Packed::of(lengths), items, days, targets, negatives, hits });
    }
    batches
}

impl Trainer {
    fn new(lstm: bool, items: usize, length: usize) -> anyhow::Result<Self> {
        let config = if lstm {
            EncoderConfig::Lstm(LstmConfig { hidden: vec![1024, 512], ..LstmConfig::default() })
        } else {
            EncoderConfig::Decoder(DecoderConfig::default())
        };
        let (width, days) = if lstm { (100, Some(Input::new(DAYS, 20))) } else { (64, None) };
        let encoder = SequenceEncoder::new(&config, width + days.as_ref().map_or(0, |d| d.table.dim), length, 1)?;
        let out = Input::new(items + 1, encoder.output_width());
        Ok(Self {
            encoder,
            items: Input::new(items + 1, width),
            days,
            out,
            bias: Vec::new(),
            softmax: SoftmaxWorkspace::default(),
            tokens: Vec::new(),
            by_tokens: Vec::new(),
            by_output: Vec::new(),
            by_columns: Vec::new(),
            by_targets: Vec::new(),
            steps: 0,
        })
    }

    fn step(&mut self, batch: &Batch) -> f64 {
        let optimizer = AdamW::default();
        self.steps += 1;
        self.tokens.clear();
        for (&item, &day) in batch.items.iter().zip(&batch.days) {
            self.tokens.extend_from_slice(self.items.table.row(item as usize));
            if let Some(days) = &self.days {
                self.tokens.extend_from_slice(days.table.row(day as usize));
            }
        }
        let queries = self.encoder.forward(&batch.packed, &self.tokens, Mode::Training { seed: u64::from(self.steps) });
        self.by_output.resize(queries.len(), 0.0);
        let out = &self.out.table;
        let sampled = !batch.negatives.is_empty();
        let columns = if sampled { gather(out, &batch.negatives) } else { out.weights.clone() };
        self.bias.clear();
        self.bias.resize(columns.len() / out.dim, 0.0);
        self.by_columns.resize(columns.len(), 0.0);
        let targets: &[u32] = if sampled { &[] } else { &batch.targets };
        let softmax = SoftmaxBatch {
            dim: out.dim,
            queries,
            items: &columns,
            targets,
            bias: &self.bias,
            weights: None,
            scale: 1.0,
        };
        let loss = if sampled {
            let targets = gather(out, &batch.targets);
            let own = OwnTargets { items: &targets, bias: &vec![0.0; batch.targets.len()], hits: &batch.hits };
            self.by_targets.resize(targets.len(), 0.0);
            let (by_output, by_columns) = (&mut self.by_output, &mut self.by_columns);
            softmax.gradients_with_own(own, by_output, by_columns, &mut self.by_targets, &mut self.softmax)
        } else {
            softmax.gradients(&mut self.by_output, &mut self.by_columns, &mut self.softmax)
        };
        self.encoder.backward(&batch.packed, &mut self.by_output, &mut self.by_tokens);
        self.encoder.update(&optimizer, self.steps);
        let width = self.encoder.input_width();
        let item_width = self.items.table.dim;
        for ((gradient, &item), &day) in self.by_tokens.chunks_exact(width).zip(&batch.items).zip(&batch.days) {
            self.items.scatter.add(item as usize, 1.0, &gradient[..item_width]);
            if let Some(days) = &mut self.days {
                days.scatter.add(day as usize, 1.0, &gradient[item_width..]);
            }
        }
        let dim = self.out.table.dim;
        let all: Vec<u32> = (0..self.bias.len() as u32).collect();
        let columns = if sampled { &batch.negatives } else { &all };
        for (gradient, &item) in self.by_columns.chunks_exact(dim).zip(columns) {
            self.out.scatter.add(item as usize, 1.0, gradient);
        }
        if sampled {
            for (gradient, &item) in self.by_targets.chunks_exact(dim).zip(&batch.targets) {
                self.out.scatter.add(item as usize, 1.0, gradient);
            }
        }
        for input in [Some(&mut self.items), self.days.as_mut(), Some(&mut self.out)].into_iter().flatten() {
            input.table.update(&mut input.scatter, &optimizer);
        }
        loss
    }
}

impl Input {
    fn new(rows: usize, dim: usize) -> Self {
        Self { table: Table::new(rows, dim, 1), scatter: Scatter::new(rows, dim) }
    }
}

fn gather(table: &Table, rows: &[u32]) -> Vec<f32> {
    rows.iter().flat_map(|&row| table.row(row as usize)).copied().collect()
}
