//! The catalogue of the database as the pipeline's view.

use crate::{
    domain::Number,
    recommend::{Catalogue, CatalogueBuilder, Cell, Change, LeftOut, Model},
    store::{ArticleChange, ArticleRecord, AttributeValue, CatalogueChanges, Store, StoreError},
};
use std::{collections::BTreeSet, sync::Arc};

/// Names under which the typed columns of an article appear beside its attributes.
pub const PRICE: &str = "price";
pub const IMAGE_URL: &str = "image_url";

/// The version of a catalogue that is not the database's; that one counts from 0.
const FROM_MODELS: i64 = -1;

/// The articles that the models know, with nothing but their ids: for the time before the database
/// is first reached.
pub(super) fn from_models(models: &[Arc<dyn Model>]) -> Catalogue {
    let mut builder = CatalogueBuilder::default();
    let ids: BTreeSet<&str> = models.iter().flat_map(|model| model.article_ids()).collect();
    ids.into_iter().for_each(|id| builder.push(id, true, []));
    builder.finish(FROM_MODELS)
}

/// Whether the catalogue is one of [`from_models`].
pub(super) fn is_from_models(catalogue: &Catalogue) -> bool {
    catalogue.version() == FROM_MODELS
}

/// Reads the whole catalogue; `version` is what the database called it before.
///
/// # Errors
/// Those of the database.
pub(super) async fn read(store: &dyn Store, version: i64) -> Result<Catalogue, StoreError> {
    let mut builder = CatalogueBuilder::with_kinds(store.schema().await?.kinds());
    store.visit_catalogue(&mut |article| add(&mut builder, &article)).await?;
    tell(builder.left_out());
    Ok(builder.finish(version))
}

/// The catalogue after changes, and what became of its rows; `None` when it must be read as a
/// whole. `sales` tells how well an article sells that is new to the catalogue.
pub(super) fn apply(
    catalogue: &Catalogue,
    changes: CatalogueChanges,
    sales: impl Fn(&str) -> f32,
) -> Option<(Catalogue, Vec<Change>)> {
    let mut builder = CatalogueBuilder::of(catalogue, changes.kinds)?;
    for change in &changes.articles {
        match change {
            ArticleChange::Put(article) => add(&mut builder, article),
            ArticleChange::Removed(id) => builder.remove(id.as_str()),
        }
    }
    tell(builder.left_out());
    Some(builder.finish_with(changes.version, sales))
}

fn add(builder: &mut CatalogueBuilder, article: &ArticleRecord) {
    let price = article.price.and_then(Number::new).map(|price| (PRICE, Cell::Number(price)));
    let image = article.image_url.as_deref().map(|url| (IMAGE_URL, Cell::Text(url)));
    // A shop's own attribute of that name counts where the typed column is empty.
    let attributes = article.attributes.iter().filter(|(name, _)| {
        !(price.is_some() && name.as_str() == PRICE
            || image.is_some() && name.as_str() == IMAGE_URL)
    });
    let cells = attributes.map(|(name, value)| {
        let cell = match value {
            AttributeValue::Number(number) => Cell::Number(*number),
            AttributeValue::Text(text) => Cell::Text(text),
            AttributeValue::Tags(tags) => Cell::Texts(tags),
        };
        (name.as_str(), cell)
    });
    builder.push(
        article.id.as_str(),
        article.available,
        price.into_iter().chain(image).chain(cells),
    );
}

/// Values that an earlier version, or somebody past the API, wrote.
fn tell(left_out: &LeftOut) {
    for reason in &left_out.examples {
        tracing::warn!(reason, "an attribute is left out");
    }
    if left_out.count > left_out.examples.len() {
        tracing::warn!(values = left_out.count, "more attributes are left out");
    }
}
