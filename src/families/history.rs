//! Models whose queries are the mean of the vectors of what the customer bought.

use crate::{
    bundle::{Metric, TowerContents},
    features::{EncodedCustomers, EncodingSpec, FeatureConfig, FeatureSpec, Moment, source},
    model::Inputs,
    onnx::{self, TowerGraph},
    training::{Export, TrainingError},
};
use rayon::prelude::*;
use std::path::PathBuf;

/// What a query reads of the history.
#[derive(Debug, Clone, Copy)]
pub(super) struct HistoryMean {
    /// Length of an item's vector.
    pub dim: usize,
    /// The latest purchases, at most.
    pub length: usize,
    /// The weight of a purchase is this to the power of its position, the latest having position 0.
    pub decay: f32,
}

impl HistoryMean {
    /// The features of the two towers.
    pub fn features(self) -> FeatureConfig {
        let Self { dim, length, decay } = self;
        let feature = |source: &str, encoding| FeatureSpec {
            name: source.to_owned(),
            source: source.to_owned(),
            encoding,
            enabled: true,
        };
        FeatureConfig {
            query: vec![feature(source::HISTORY, EncodingSpec::History { dim, length, decay })],
            item: vec![feature(
                source::ARTICLE_ID,
                EncodingSpec::Embedding { dim, dropout: 0.0, min_count: 1 },
            )],
        }
    }

    /// Query rows of any moments.
    pub fn query_rows(
        self,
        customers: &EncodedCustomers<'_>,
        moments: impl ExactSizeIterator<Item = Moment>,
    ) -> Inputs {
        let rows = moments.len();
        let mut indices = vec![0; rows * self.length];
        for (moment, row) in moments.zip(indices.chunks_exact_mut(self.length)) {
            customers.fill(&moment, row, &mut []);
        }
        Inputs { rows, indices, numbers: Vec::new() }
    }

    /// The vectors of query rows over the vectors of all items; zeros without a history.
    pub fn query_vectors(self, items: &[f32], queries: &Inputs) -> Vec<f32> {
        let Self { dim, length, decay } = self;
        let count = items.len() / dim;
        let mut vectors = vec![0.0; queries.rows * dim];
        let rows = vectors.par_chunks_exact_mut(dim).zip(queries.indices.par_chunks_exact(length));
        rows.for_each(|(vector, history)| {
            let (mut weight, mut total) = (1.0, 0.0);
            for &item in history.iter().take_while(|&&item| (item as usize) < count) {
                let row = &items[item as usize * dim..(item as usize + 1) * dim];
                vector.iter_mut().zip(row).for_each(|(sum, x)| *sum += weight * x);
                total += weight;
                weight *= decay;
            }
            if total > 0.0 {
                vector.iter_mut().for_each(|x| *x /= total);
            }
        });
        vectors
    }

    /// Writes the bundle of these vectors of all items.
    ///
    /// # Errors
    /// [`TrainingError::Bundle`].
    pub fn export(self, export: &Export<'_>, items: &[f32]) -> Result<PathBuf, TrainingError> {
        let Self { dim, length, decay } = self;
        // Empty places of a history read one more row, of zeros.
        let table = [items, &vec![0.0; dim]].concat();
        let rows = table.len() / dim;
        let history = onnx::Input::History {
            name: source::HISTORY,
            table: &table,
            rows,
            dim,
            at: 0,
            length,
            decay,
        };
        let item =
            onnx::Input::Embedding { name: source::ARTICLE_ID, table: &table, rows, dim, at: 0 };
        let tower = |name, input, width| TowerGraph {
            name,
            widths: (width, 0),
            inputs: vec![input],
            layers: Vec::new(),
            normalize: false,
        };
        let trainer = export.trainer;
        let customers =
            EncodedCustomers::new(&export.trained.encoder, trainer.dataset, trainer.histories);
        let queries = self.query_rows(&customers, export.golden_moments());
        let towers = TowerContents {
            metric: Metric::Dot,
            index: trainer.config.index,
            query_tower: tower("query_encoder", history, length).into(),
            item_tower: tower("item_table", item, 1),
            items,
        };
        export.write_towers(
            towers,
            (&queries, &self.reference_vectors(&table, &queries)),
            &export.item_numbers(),
        )
    }

    /// The vectors of query rows worked out in f64 from the definition: what a bundle's golden
    /// requests expect.
    fn reference_vectors(self, table: &[f32], queries: &Inputs) -> Vec<f32> {
        let Self { dim, length, decay } = self;
        let padding = (table.len() / dim - 1) as i64;
        let vector = |history: &[i64]| {
            let weights = (0..).map(|position| f64::from(decay).powi(position));
            let known: Vec<_> =
                history.iter().zip(weights).filter(|&(&item, _)| item != padding).collect();
            let total: f64 = known.iter().map(|&(_, weight)| weight).sum();
            let number = move |d: usize| {
                let sum: f64 = known
                    .iter()
                    .map(|&(&item, w)| w * f64::from(table[item as usize * dim + d]))
                    .sum();
                if total > 0.0 { (sum / total) as f32 } else { 0.0 }
            };
            (0..dim).map(number).collect::<Vec<f32>>()
        };
        queries.indices.chunks_exact(length).flat_map(vector).collect()
    }
}
