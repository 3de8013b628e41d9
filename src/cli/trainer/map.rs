//! `vitrine-trainer map`: the items of a bundle as a picture.

use super::mark;
use crate::{
    bundle::Bundle,
    cli::OrBadInput,
    dataset::{self, LoadOptions, MaxRejects},
    experiments::map::{ItemMap, MapOptions},
};
use anyhow::Context;
use std::path::PathBuf;

/// Draws the items of a bundle so that what is alike to the model stands together: map.png, and map.html to look around in.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  vitrine-trainer map models/demo/20260131T120000Z-1a2b3c4d --data shop --color \
                        garment_group_name --out map")]
pub struct MapArguments {
    /// The bundle: `<models>/<name>/<version>`.
    #[arg(value_name = "DIR")]
    bundle: PathBuf,
    /// Folder with the shop's files, for names and colours.
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
    let bundle = Bundle::open(&arguments.bundle).or_bad_input()?;
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
            Some(loaded.with_context(|| format!("cannot load the data in {}", folder.display())).or_bad_input()?.0)
        }
        None => None,
    };
    let options = MapOptions { color: color.clone(), sample: *sample as usize, seed: *seed };
    let map = mark(ItemMap::new(&bundle, dataset.as_ref(), &options))?;
    let png = mark(map.png())?;
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    for (name, bytes) in [("map.png", png), ("map.html", map.html().into_bytes())] {
        let path = out.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}
