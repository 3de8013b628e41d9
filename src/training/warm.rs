//! Starting from what another bundle has learnt: rows of its tables by the values that they stand
//! for, and the weights of its layers. What the bundle does not know starts afresh.

use crate::{
    bundle::{Bundle, BundleError, Constants},
    families::{Family, WARM_EPOCHS},
    features::{FeatureSchema, Vocabularies},
};

/// A bundle to start from.
#[derive(Debug)]
pub struct WarmStart {
    /// Passes over the purchases: as many as it takes to learn what is new.
    pub epochs: u32,
    pub(crate) schema: FeatureSchema,
    pub(crate) vocabularies: Vocabularies,
    /// The constants of the graphs; none in a bundle without towers.
    pub(crate) query: Constants,
    pub(crate) item: Constants,
}

impl WarmStart {
    /// Whether models of a family can start from the weights of another.
    pub fn suits(family: Family) -> bool {
        family.uses(WARM_EPOCHS)
    }

    /// # Errors
    /// A bundle whose graphs cannot be read.
    pub fn new(bundle: &Bundle, epochs: u32) -> Result<Self, BundleError> {
        let (query, item) = match bundle.towers() {
            Some(_) => bundle.constants()?,
            None => <(Constants, Constants)>::default(),
        };
        let (schema, vocabularies) =
            (bundle.encoder().schema().clone(), bundle.encoder().vocabularies().clone());
        Ok(Self { epochs, schema, vocabularies, query, item })
    }
}
