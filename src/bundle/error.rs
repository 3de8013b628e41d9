use std::path::PathBuf;

/// Why a bundle cannot be written or used. Whatever is wrong with a bundle on disk, copying it
/// again or training anew mends it; nothing of a refused bundle takes effect.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("there is no bundle at {}: give a directory `<models>/<name>/<version>` that holds manifest.json", .0.display())]
    Absent(PathBuf),
    #[error("cannot access {}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{} is not a manifest: {reason}; copy the bundle again or retrain", path.display())]
    Manifest { path: PathBuf, reason: String },
    #[error("{} has bundle format {found}, this program reads format {expected}: use the matching program or retrain", path.display())]
    Format { path: PathBuf, expected: u32, found: u64 },
    #[error("the manifest of {} names a file `{name}`, which is not a plain path inside the bundle; do not use this bundle", directory.display())]
    FileName { directory: PathBuf, name: String },
    #[error("{} is missing or not listed in the manifest; copy the bundle again or retrain", .0.display())]
    MissingFile(PathBuf),
    #[error("{} is not a regular file of the bundle (links are not followed); copy the bundle again", .0.display())]
    NotAFile(PathBuf),
    #[error("{} has {found} bytes, the manifest says {expected}; copy the bundle again", path.display())]
    Size { path: PathBuf, expected: u64, found: u64 },
    #[error("{} has sha256 {found}, the manifest says {expected}; copy the bundle again", path.display())]
    Checksum { path: PathBuf, expected: String, found: String },
    #[error("{} line {line}: {reason}; copy the bundle again or retrain", path.display())]
    Vocabulary { path: PathBuf, line: usize, reason: String },
    #[error("the feature schema of {} cannot be used: {source}; retrain", directory.display())]
    Schema { directory: PathBuf, source: crate::features::FeatureError },
    #[error("{}: {reason}; retrain", path.display())]
    Tower { path: PathBuf, reason: String },
    #[error("input of {}: {reason}", path.display())]
    TowerInput { path: PathBuf, reason: String },
    /// The item vectors or the search graph.
    #[error(transparent)]
    Retrieval(#[from] crate::retrieval::RetrievalError),
    #[error("{}: {reason}; copy the bundle again or retrain", path.display())]
    Popularity { path: PathBuf, reason: String },
    /// Parts of the bundle that do not belong together.
    #[error("{}: {what} is {found}, but {expected} is expected; retrain", path.display())]
    Mismatch { path: PathBuf, what: &'static str, expected: String, found: String },
    #[error("{} answers golden request {request} differently than its trainer did: {reason}; retrain", path.display())]
    Golden { path: PathBuf, request: usize, reason: String },
    #[error("reading {} ended in an internal error ({reason}); copy the bundle again or retrain", path.display())]
    Panic { path: PathBuf, reason: String },
    /// What was to be written makes no bundle.
    #[error("cannot write the bundle `{name}`: {reason}")]
    Contents { name: String, reason: String },
    #[error(transparent)]
    Onnx(#[from] crate::onnx::OnnxError),
}

impl BundleError {
    pub(super) fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
