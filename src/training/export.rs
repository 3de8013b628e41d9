//! The bundle at the end of a run.

use super::{
    TrainingError,
    run::{Trained, Trainer},
};
use crate::{
    bundle::{
        self, Contents, Golden, GoldenItem, GoldenQuery, MetricsRow, Provenance, RankingContents,
        TowerContents,
    },
    counters::Popularity,
    dataset::TimeUnit,
    features::Moment,
    model::Inputs,
};
use std::path::{Path, PathBuf};

/// Requests of each kind in `golden.json`.
const GOLDEN: usize = 8;

/// A finished model on its way into a bundle.
pub struct Export<'a> {
    pub trainer: &'a Trainer<'a>,
    pub trained: &'a Trained,
    metrics: &'a [MetricsRow],
    models: &'a Path,
}

impl Trainer<'_> {
    /// Writes the model as a bundle `<models>/<name>/<version>` and returns its path. Item vectors
    /// and golden vectors come from the training kernels and the tables, so that a bundle whose
    /// graph computes something else does not open.
    ///
    /// # Errors
    /// [`TrainingError::Bundle`].
    pub fn export(
        &self,
        trained: &Trained,
        metrics: &[MetricsRow],
        models: &Path,
    ) -> Result<PathBuf, TrainingError> {
        trained.model.export(&Export { trainer: self, trained, metrics, models })
    }

    /// How well each article sells by the purchases `rows`, at the moment of the last of them.
    pub(crate) fn popularity(&self, rows: &[u32], counting: &Popularity) -> Vec<f32> {
        let purchases = &self.dataset.purchases;
        let bought = |&row: &u32| {
            (
                purchases.article[row as usize],
                purchases.time[row as usize],
                purchases.weight_of(row),
            )
        };
        let at = rows.iter().map(|&row| purchases.time[row as usize]).max().unwrap_or_default();
        counting.counts(self.dataset.articles.len(), rows.iter().map(bought), at)
    }
}

impl Export<'_> {
    /// Writes the bundle.
    ///
    /// # Errors
    /// [`TrainingError::Bundle`].
    pub fn write(
        &self,
        ranking: RankingContents<'_>,
        golden: Golden,
    ) -> Result<PathBuf, TrainingError> {
        let Self { trainer, trained, metrics, models } = *self;
        let popularity = trainer.popularity(&trained.rows, &trained.model.popularity());
        let contents = Contents {
            name: &trainer.config.model.name,
            family: trainer.config.model.family.name(),
            schema: trained.encoder.schema(),
            vocabularies: trained.encoder.vocabularies(),
            time_unit: trainer.dataset.time_unit,
            training: serde_json::json!(trainer.config),
            data_fingerprint: trainer.fingerprint,
            provenance: self.provenance(),
            metrics,
            ranking,
            golden,
            popularity: &popularity,
        };
        Ok(bundle::write(models, contents)?)
    }

    /// Writes a bundle of two towers. Golden requests are the query rows with the vectors that the
    /// graph must give, and some of the rows of all items.
    ///
    /// # Errors
    /// [`TrainingError::Bundle`].
    pub fn write_towers(
        &self,
        towers: TowerContents<'_>,
        (queries, vectors): (&Inputs, &[f32]),
        all_items: &Inputs,
    ) -> Result<PathBuf, TrainingError> {
        let (schema, items) = (self.trained.encoder.schema(), towers.items);
        let dim = items.len() / all_items.rows;
        let (query_widths, item_widths) = (schema.query.row_widths(), schema.item.row_widths());
        let queries = (0..queries.rows).map(|i| {
            let (indices, numbers) = row(queries, query_widths, i);
            GoldenQuery {
                indices,
                numbers,
                vector: vectors[i * dim..(i + 1) * dim].to_vec(),
                top: Vec::new(),
            }
        });
        let items = spaced(all_items.rows).map(|i| {
            let (indices, numbers) = row(all_items, item_widths, i);
            GoldenItem { indices, numbers, vector: items[i * dim..(i + 1) * dim].to_vec() }
        });
        let golden = Golden { queries: queries.collect(), items: items.collect() };
        self.write(RankingContents::Towers(Box::new(towers)), golden)
    }

    /// Customers at the end of the data, evenly spaced, the first of them with nothing known.
    pub fn golden_moments(&self) -> std::vec::IntoIter<Moment> {
        let (dataset, histories) = (self.trainer.dataset, self.trainer.histories);
        let at = dataset.purchases.time.last().copied().unwrap_or_default();
        let moments = spaced(dataset.customers.len()).enumerate().map(|(i, customer)| {
            let known =
                if i == 0 { 0 } else { histories.of_customer(customer as u32).len() as u32 };
            Moment { customer: customer as u32, at, known }
        });
        moments.collect::<Vec<_>>().into_iter()
    }

    /// Rows of all items for an item tower that reads nothing but the item's number.
    pub fn item_numbers(&self) -> Inputs {
        let items = self.trained.encoder.items();
        Inputs { rows: items, indices: (0..items as i64).collect(), numbers: Vec::new() }
    }

    fn provenance(&self) -> Provenance {
        let Self { trainer, trained, .. } = self;
        let dated = trainer.dataset.time_unit != TimeUnit::Position;
        let last = trained.rows.last().filter(|_| dated);
        let held_out = trainer
            .final_epochs
            .is_none()
            .then(|| trainer.split.held_out_fingerprint(trainer.dataset));
        Provenance {
            seen_until: last.map(|&row| trainer.dataset.purchases.time[row as usize]),
            held_out,
            measured: trained.measured.clone(),
        }
    }
}

fn spaced(len: usize) -> impl Iterator<Item = usize> {
    let count = GOLDEN.min(len);
    (0..count).map(move |i| i * len / count)
}

fn row(inputs: &Inputs, (i, n): (usize, usize), row: usize) -> (Vec<i64>, Vec<f32>) {
    (
        inputs.indices[row * i..(row + 1) * i].to_vec(),
        inputs.numbers[row * n..(row + 1) * n].to_vec(),
    )
}
