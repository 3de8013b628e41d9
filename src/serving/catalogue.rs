//! The catalogue of the database as the pipeline's view.

use crate::{
    recommend::{Catalogue, CatalogueBuilder, Cell, Model},
    store::{ArticleRecord, AttributeValue, Store, StoreError},
};
use std::{collections::BTreeSet, sync::Arc};

/// Names under which the typed columns of an article appear beside its attributes.
pub const PRICE: &str = "price";
pub const IMAGE_URL: &str = "image_url";

/// The version of a catalogue that is not the database's; that one counts from 0.
const FROM_MODELS: i64 = -1;

/// The articles that the models know, with nothing but their ids: for the time before the database is
/// first reached.
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
    let mut builder = CatalogueBuilder::default();
    store.visit_catalogue(&mut |article| add(&mut builder, &article)).await?;
    Ok(builder.finish(version))
}

fn add(builder: &mut CatalogueBuilder, article: &ArticleRecord) {
    let price = article.price.map(|price| (PRICE, Cell::Number(price)));
    let image = article.image_url.as_deref().map(|url| (IMAGE_URL, Cell::Text(url)));
    // A shop's own attribute of that name counts where the typed column is empty.
    let attributes = article.attributes.iter().filter(|(name, _)| {
        !(price.is_some() && name.as_str() == PRICE || image.is_some() && name.as_str() == IMAGE_URL)
    });
    let cells = attributes.map(|(name, value)| {
        let cell = match value {
            AttributeValue::Number(number) => Cell::Number(*number as f32),
            AttributeValue::Text(text) => Cell::Text(text),
            AttributeValue::Tags(tags) => Cell::Tags(tags),
        };
        (name.as_str(), cell)
    });
    builder.push(article.id.as_str(), article.available, price.into_iter().chain(image).chain(cells));
}
