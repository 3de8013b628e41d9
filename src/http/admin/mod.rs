//! The operator's routes; a key is asked for on every path, see [`super::access`].

mod articles;
mod attribution;
mod audit;
mod customers;
mod keys;
mod models;
mod placements;
mod status;

use super::{ApiError, App};
use crate::{
    serving::{Caller, ServeError},
    store::{self, Change},
};
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(models::routes())
        .merge(articles::routes())
        .merge(customers::routes())
        .merge(placements::routes())
        .merge(keys::routes())
        .merge(audit::routes())
        .merge(attribution::routes())
        .merge(status::routes())
}

/// Makes a change and records it under the caller's name; see [`store::audited`].
async fn audited<T>(
    app: &App,
    caller: &Caller,
    change: Change<'_>,
    work: impl Future<Output = Result<(T, Option<Value>), ServeError>>,
) -> Result<T, ApiError> {
    let change = Change { actor: caller.name.as_deref().unwrap_or_default(), ..change };
    Ok(store::audited(&**app.service().store(), change, work).await?)
}
