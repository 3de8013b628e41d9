//! From a directory to a snapshot that may serve.

use super::{ModelsConfig, ServeError, trial::Trial};
use crate::{
    bundle::{Bundle, Manifest},
    domain::Timestamp,
    features::{CustomerView, NoAttributes},
    recommend::{Catalogue, Model, Snapshot},
    retrieval::Query,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where the bundle of a version lies.
///
/// # Errors
/// [`ServeError::Refused`] when these cannot be the names of one: they come from requests and from
/// the database, and must not lead out of the directory.
pub(super) fn directory(models: &Path, model: &str, version: &str) -> Result<PathBuf, ServeError> {
    if Manifest::is_name(model) && Manifest::is_version(version) {
        return Ok(models.join(model).join(version));
    }
    let reason = "this cannot be the name and version of a model".into();
    Err(ServeError::Refused { model: model.into(), version: version.into(), reason })
}

/// Checks a version as a server does before it serves it, for a command that makes it active.
///
/// # Errors
/// [`ServeError::Refused`] with the reason.
pub async fn check_version(
    config: &ModelsConfig,
    model: &str,
    version: &str,
) -> Result<(), ServeError> {
    let refused = |reason: String| ServeError::Refused {
        model: model.into(),
        version: version.into(),
        reason,
    };
    let directory = directory(&config.directory, model, version)?;
    Trial::new(config).run(&directory).await.map_err(refused)?;
    let manifest = Bundle::open_metadata(&directory).map_err(|error| refused(error.to_string()))?;
    check_names(&manifest, model, version)
}

/// The directory a bundle lies in and the bundle itself must agree on what it is.
fn check_names(manifest: &Manifest, model: &str, version: &str) -> Result<(), ServeError> {
    if manifest.name == model && manifest.version == version {
        return Ok(());
    }
    let reason = format!("the bundle there calls itself {}/{}", manifest.name, manifest.version);
    Err(ServeError::Refused { model: model.into(), version: version.into(), reason })
}

/// Opens a bundle: checksums, schema, towers, index and golden requests are checked on the way.
///
/// # Errors
/// [`ServeError::Refused`] with the reason.
pub(super) fn load(
    directory: &Path,
    model: &str,
    version: &str,
) -> Result<Arc<dyn Model>, ServeError> {
    let refused = |reason: String| ServeError::Refused {
        model: model.into(),
        version: version.into(),
        reason,
    };
    let bundle = Bundle::open(directory).map_err(|error| refused(error.to_string()))?;
    check_names(bundle.manifest(), model, version)?;
    Ok(Arc::new(bundle))
}

/// Joins model and catalogue and touches what requests will touch, so that the first one is not
/// slow.
///
/// # Errors
/// [`ServeError::Refused`] when the model cannot embed or search.
pub(super) fn join(
    model: Arc<dyn Model>,
    catalogue: Arc<Catalogue>,
    filter_bytes: usize,
) -> Result<Arc<Snapshot>, ServeError> {
    let (name, version) = (model.name().to_owned(), model.version().to_owned());
    let refused = |reason: String| ServeError::Refused {
        model: name.clone(),
        version: version.clone(),
        reason,
    };
    let snapshot = Snapshot::new(model, catalogue).map_err(|error| refused(error.to_string()))?;
    let snapshot = snapshot.with_filter_bytes(filter_bytes);
    warm_up(&snapshot).map_err(refused)?;
    Ok(Arc::new(snapshot))
}

fn warm_up(snapshot: &Snapshot) -> Result<(), String> {
    const QUERIES: usize = 64;
    let model = snapshot.model();
    let Some(index) = model.index() else { return Ok(()) };
    let guest = CustomerView {
        id: None,
        attributes: &NoAttributes,
        at: Timestamp(0),
        history: &[],
        times: &[],
    };
    let mut vector = Vec::new();
    model.embed_customer(&guest, &mut vector).map_err(|error| error.to_string())?;
    let items = index.len() as u32;
    for item in (0..items).step_by((items as usize / QUERIES).max(1)) {
        let Some(vector) = model.vector(item) else { continue };
        index
            .search(&Query { vector, k: 100, allowed: None })
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}
