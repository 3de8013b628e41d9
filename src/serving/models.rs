//! From a directory to a snapshot that may serve.

use super::ServeError;
use crate::{
    bundle::{Bundle, Manifest},
    domain::Timestamp,
    features::{CustomerView, NoAttributes},
    recommend::{Catalogue, Model, Snapshot},
    retrieval::Query,
};
use std::{path::Path, sync::Arc};

/// Opens `<models>/<model>/<version>`: checksums, schema, towers, index and golden requests are checked on the way.
///
/// # Errors
/// [`ServeError::Refused`] with the reason.
pub(super) fn load(models: &Path, model: &str, version: &str) -> Result<Arc<dyn Model>, ServeError> {
    let refused = |reason: String| ServeError::Refused { model: model.into(), version: version.into(), reason };
    // Names come from requests and from the database: they must not lead out of the directory.
    if !Manifest::is_name(model) || !Manifest::is_version(version) {
        return Err(refused("this cannot be the name and version of a model".into()));
    }
    let bundle = Bundle::open(&models.join(model).join(version)).map_err(|error| refused(error.to_string()))?;
    let manifest = bundle.manifest();
    if manifest.name != model || manifest.version != version {
        return Err(refused(format!("the bundle there calls itself {}/{}", manifest.name, manifest.version)));
    }
    Ok(Arc::new(bundle))
}

/// Joins model and catalogue and touches what requests will touch, so that the first one is not slow.
///
/// # Errors
/// [`ServeError::Refused`] when the model cannot embed or search.
pub(super) fn join(model: Arc<dyn Model>, catalogue: Arc<Catalogue>) -> Result<Arc<Snapshot>, ServeError> {
    let (name, version) = (model.name().to_owned(), model.version().to_owned());
    let refused = |reason: String| ServeError::Refused { model: name.clone(), version: version.clone(), reason };
    let snapshot = Snapshot::new(model, catalogue).map_err(|error| refused(error.to_string()))?;
    warm_up(&snapshot).map_err(refused)?;
    Ok(Arc::new(snapshot))
}

fn warm_up(snapshot: &Snapshot) -> Result<(), String> {
    const QUERIES: usize = 64;
    let model = snapshot.model();
    let Some(index) = model.index() else { return Ok(()) };
    let guest = CustomerView { id: None, attributes: &NoAttributes, at: Timestamp(0), history: &[], times: &[] };
    let mut vector = Vec::new();
    model.embed_customer(&guest, &mut vector).map_err(|error| error.to_string())?;
    let items = index.len() as u32;
    for item in (0..items).step_by((items as usize / QUERIES).max(1)) {
        let Some(vector) = model.vector(item) else { continue };
        index.search(&Query { vector, k: 100, allowed: None }).map_err(|error| error.to_string())?;
    }
    Ok(())
}
