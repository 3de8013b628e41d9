//! A bundle as a ranker: what the server would answer by exact search, over a whole dataset.

use super::{Ranker, VectorRanker};
use crate::{
    bundle::Bundle,
    dataset::{Case, Dataset, Histories},
    features::EncodedCustomers,
};

/// Ranks with the bundle's query tower and item vectors. Articles of the dataset that the bundle doesn't know are
/// never recommended; customers it doesn't know go through the unknown row.
pub fn bundle_ranker<'a>(bundle: &'a Bundle, dataset: &'a Dataset, histories: &'a Histories) -> impl Ranker + 'a {
    let customers = EncodedCustomers::new(bundle.encoder(), dataset, histories);
    let embed = move |cases: &[Case], vectors: &mut [f32]| {
        let tower = bundle.query_tower();
        let (index_width, number_width) = tower.widths();
        let mut indices = vec![0; cases.len() * index_width];
        let mut numbers = vec![0.0; cases.len() * number_width];
        for (row, case) in cases.iter().enumerate() {
            let indices = &mut indices[row * index_width..][..index_width];
            customers.fill(&case.into(), indices, &mut numbers[row * number_width..][..number_width]);
        }
        let mut embedded = Vec::new();
        tower.embed(&indices, &numbers, cases.len(), &mut embedded).map_err(|error| error.to_string())?;
        vectors.copy_from_slice(&embedded);
        Ok(())
    };
    let items = bundle.retriever().items();
    let vector = |id: &str| bundle.encoder().item_row(id).map(|item| items.row(item));
    VectorRanker::of_ids(&bundle.manifest().name, embed, bundle.manifest().dim, dataset, vector)
}
