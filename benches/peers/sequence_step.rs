//! Vitrine's side of `sequence_step.py`: takes the trainer's own steps on the trainer's own
//! batches.
//!
//! Arguments: the training configuration, the data folder, threads, a file to write, and changes
//! to the configuration as `key=value`. It trains on the data as `vitrine-trainer train` does: it
//! fits the features, draws the first batches of the first epoch, and writes them to the file, so
//! that the peer learns from the same ones. Then each line of standard input asks for so many
//! steps, and it prints their mean milliseconds. A step is all that follows the making of a batch:
//! gather, encoder, loss, backward pass, optimiser.
//!
//! Of each batch the file holds lengths, items, ages and targets, then negatives (where they are
//! drawn for each window; targets are then rows of the item table) or columns and their biases
//! (which all positions share; targets are then places among them). Each is a count and so many
//! numbers, little-endian u32, biases as the bits of an f32.

use std::{
    fs::File,
    io::{BufRead, BufWriter, Write},
    path::Path,
    time::Instant,
};
use vitrine::{
    dataset::{Histories, LoadOptions, Split, load},
    features::{Encoder, fit},
    model::{Candidates, SequenceBatch, SequenceModel},
    training::{Batches, Learner, TrainingConfig},
};

/// Batches that take turns.
const BATCHES: usize = 8;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [config, data, threads, file, changes @ ..] = arguments.as_slice() else {
        anyhow::bail!("usage: sequence_step CONFIG DATA THREADS FILE [KEY=VALUE …]");
    };
    let config = TrainingConfig::load(Path::new(config), changes)?;
    let (dataset, _) = load(Path::new(data), &LoadOptions::default())?;
    let histories = Histories::of(&dataset);
    let split = Split::new(&dataset, &histories, config.split)?;
    let (schema, vocabularies) = fit(&dataset, &split.train, &config.schema_features())?;
    let encoder = Encoder::new(schema, vocabularies)?;
    let mut model = <SequenceModel as Learner>::new(&encoder, &dataset, &config)?;
    let samples =
        <SequenceModel as Learner>::samples(&encoder, &dataset, &histories, &split.train, &config);
    let order = samples.shuffle().order(0);
    let batches = BATCHES.min(samples.shuffle().batches());
    let batches: Vec<SequenceBatch> =
        (0..batches).map(|batch| samples.batch(&order, 0, batch)).collect();
    write(Path::new(file), &batches)?;

    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build()?;
    println!("ready");
    let mut taken = 0;
    for line in std::io::stdin().lock().lines() {
        let steps: u32 = line?.trim().parse()?;
        let started = Instant::now();
        pool.install(|| -> anyhow::Result<()> {
            for _ in 0..steps {
                let optimizer = config.optimizer.at(taken, u32::MAX);
                let batch = &batches[taken as usize % batches.len()];
                let loss = Learner::step(&mut model, batch, &optimizer)?;
                anyhow::ensure!(loss.is_finite(), "the loss became {loss}");
                taken += 1;
            }
            Ok(())
        })?;
        println!("{:.4}", started.elapsed().as_secs_f64() * 1e3 / f64::from(steps));
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn write(file: &Path, batches: &[SequenceBatch]) -> anyhow::Result<()> {
    let mut out = BufWriter::new(File::create(file)?);
    for SequenceBatch { tokens, candidates, .. } in batches {
        let lengths = (0..tokens.packed.sequences()).map(|s| tokens.packed.rows(s).len() as u32);
        let lengths: Vec<u32> = lengths.collect();
        let mut bias: Vec<u32> = Vec::new();
        let (targets, negatives, columns) = match candidates {
            Candidates::Drawn(drawn) => (&drawn.targets, &drawn.negatives[..], &[][..]),
            Candidates::Shared(shared) => {
                bias.extend(shared.bias.iter().map(|bias| bias.to_bits()));
                (&shared.targets, &[][..], &shared.rows[..])
            }
        };
        let all = [&lengths, &tokens.items, &tokens.ages, targets, negatives, columns, &bias];
        for column in all {
            out.write_all(&(column.len() as u32).to_le_bytes())?;
            column.iter().try_for_each(|number| out.write_all(&number.to_le_bytes()))?;
        }
    }
    Ok(out.flush()?)
}
