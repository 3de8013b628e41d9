//! `vitrine-trainer map`: the items of a bundle, or the texts of articles, as a picture.

use super::mark;
use crate::{
    bundle::Bundle,
    cli::OrBadInput,
    dataset::{self, Entities, LoadOptions, MaxRejects},
    experiments::map::{ItemMap, MapOptions},
    text::{self, LearnedConfig, LearnedEncoder},
};
use anyhow::Context;
use std::path::PathBuf;

/// Draws the items of a bundle so that what is alike to the model stands together: map.png, and
/// map.html to look around in.
///
/// With --text there is no bundle: a small text encoder (four layers, width 128) learns from the
/// articles' texts to guess hidden words, and articles that read alike stand together.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  vitrine-trainer map --text --data shop --color garment_group_name --out map\n  vitrine-trainer map models/demo/20260131T120000Z-1a2b3c4d --data shop --color \
                        garment_group_name --out map"
)]
pub struct MapArguments {
    /// The bundle: `<models>/<name>/<version>`.
    #[arg(value_name = "DIR", required_unless_present = "text")]
    bundle: Option<PathBuf>,
    /// Draw the articles by their texts instead of the items of a bundle.
    #[arg(long, conflicts_with = "bundle", requires = "data")]
    text: bool,
    /// Columns of an article's text, in order; those of the H&M data by default.
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',', requires = "text")]
    columns: Option<Vec<String>>,
    /// How many times the text encoder goes through the texts.
    #[arg(long, value_name = "N", default_value_t = 10, requires = "text",
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    epochs: u32,
    /// Folder with the shop's files, for texts, names and colours.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Description of the files, instead of the dataset.toml in the folder.
    #[arg(long, value_name = "FILE", requires = "data")]
    dataset: Option<PathBuf>,
    /// Colour the items by this article attribute.
    #[arg(long, value_name = "ATTRIBUTE", requires = "data")]
    color: Option<String>,
    /// Items at most; of more, so many are drawn at random.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(10..=200_000))]
    sample: u32,
    /// Of the sample and the layout; the same seed gives the same map.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder for map.png and map.html; made if missing.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// # Errors
/// A bundle, data or attribute that cannot be used; files that cannot be written.
pub fn run(arguments: &MapArguments) -> anyhow::Result<()> {
    let MapArguments { data, dataset, color, sample, seed, out, .. } = arguments;
    let bundle = arguments.bundle.as_deref().map(Bundle::open).transpose().or_bad_input()?;
    let dataset = match data {
        Some(folder) => {
            let options = LoadOptions {
                dataset_file: dataset.clone(),
                // A picture is worth drawing of whatever can be read.
                max_rejects: Some(MaxRejects::Share(1.0)),
                progress: true,
                ..LoadOptions::default()
            };
            let loaded = dataset::load(folder, &options);
            Some(
                loaded
                    .with_context(|| format!("cannot load the data in {}", folder.display()))
                    .or_bad_input()?
                    .0,
            )
        }
        None => None,
    };
    let options = MapOptions { color: color.clone(), sample: *sample as usize, seed: *seed };
    let map = match (&bundle, &dataset) {
        (Some(bundle), _) => mark(ItemMap::new(bundle, dataset.as_ref(), &options))?,
        (None, Some(dataset)) => of_texts(&dataset.articles, arguments, &options)?,
        // The command line asks for one of the two.
        (None, None) => anyhow::bail!("name a bundle, or --text and --data"),
    };
    let png = mark(map.png())?;
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    for (name, bytes) in [("map.png", png), ("map.html", map.html().into_bytes())] {
        let path = out.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}

/// Learns to read the articles' texts, and lays the articles out by them.
fn of_texts(
    articles: &Entities,
    arguments: &MapArguments,
    options: &MapOptions,
) -> anyhow::Result<ItemMap> {
    let columns = arguments.columns.clone().unwrap_or_else(text::hm_columns);
    let texts = text::texts(articles, &columns).or_bad_input()?;
    let config = LearnedConfig {
        epochs: arguments.epochs as usize,
        seed: arguments.seed,
        ..LearnedConfig::default()
    };
    let mut encoder = LearnedEncoder::train(&texts, &config).or_bad_input()?;
    let vectors = encoder.embed(&texts).or_bad_input()?;
    mark(ItemMap::of_texts(articles, &vectors, encoder.dim(), options))
}
