//! A model's towers in parts, as ONNX files of their own.

use super::export::{graph, weights};
use crate::{
    bundle::BundleError,
    features::FeatureSchema,
    model::TwoTower,
    onnx::{self, SplitTower},
    training::TrainingError,
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Writes `query_tower.onnx` and `item_tower.onnx`, both over the concatenated features, and
/// `<feature>_encoder.onnx` for each table of the towers; the paths written. The folder appears
/// whole or not at all.
///
/// # Errors
/// When the folder is there already or can't be written.
pub(super) fn write(
    model: &TwoTower,
    schema: &FeatureSchema,
    directory: &Path,
) -> Result<Vec<PathBuf>, TrainingError> {
    let partial = directory.with_extension("partial");
    let io = |source| TrainingError::Io { path: directory.to_owned(), source };
    if directory.exists() {
        return Err(io(std::io::ErrorKind::AlreadyExists.into()));
    }
    // What a killed run has left.
    let _ = std::fs::remove_dir_all(&partial);
    std::fs::create_dir_all(&partial).map_err(io)?;
    let mut names = BTreeSet::new();
    for (tower, schema, side) in
        [("query", &schema.query, &model.query), ("item", &schema.item, &model.item)]
    {
        let tables = weights(side);
        let name = format!("{tower}_tower");
        let graph = graph(&name, schema, side, &tables);
        let SplitTower { encoders, layers } = SplitTower::of(&graph);
        let mut files = vec![(format!("{name}.onnx"), layers)];
        for (feature, encoder) in encoders {
            let taken =
                |name: &String| names.contains(name) || files.iter().any(|(file, _)| file == name);
            files.push((file_name(feature, tower, taken), encoder));
        }
        for (file, graph) in files {
            onnx::write(&graph, &partial.join(&file), onnx::EXTERNAL_ABOVE)
                .map_err(BundleError::from)?;
            names.insert(file);
        }
    }
    std::fs::rename(&partial, directory).map_err(io)?;
    Ok(names.into_iter().map(|name| directory.join(name)).collect())
}

/// `<feature>_encoder.onnx`, with the tower's name before it where the other tower has a feature of
/// that name.
fn file_name(feature: &str, tower: &str, taken: impl Fn(&String) -> bool) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    let stem: String = feature.chars().take(64).map(safe).collect();
    let name = format!("{stem}_encoder.onnx");
    let again = (2..).map(|n| format!("{tower}_{stem}-{n}_encoder.onnx"));
    let mut names = [name, format!("{tower}_{stem}_encoder.onnx")].into_iter().chain(again);
    names.find(|name| !taken(name)).expect("there is no end of numbers")
}
