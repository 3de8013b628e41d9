//! What a request costs on a written bundle.

use super::Data;
use crate::{
    bundle::{Bundle, Ranking},
    dataset::Case,
    domain::Timestamp,
    features::{CustomerView, EntityRow},
    recommend::{Model, ModelError},
    retrieval::{Index, Query},
};
use std::{hint::black_box, time::Instant};

/// Hits of a request.
const K: usize = 12;
/// Requests before the clock counts, and those it counts.
const WARM_UP: usize = 20;
const REQUESTS: usize = 200;
/// Purchases of a customer that a request carries, at most.
const HISTORY: usize = 100;
/// Candidates that a ranker orders.
const CANDIDATES: usize = 300;

/// Milliseconds a request, the median over customers of `cases`: features, query tower and index
/// search for the 12 nearest (or the counts of the customer's own articles), one after the other on
/// one thread, without HTTP and database.
///
/// # Errors
/// When the tower or the search fails.
pub fn milliseconds_a_request(
    bundle: &Bundle,
    data: &Data<'_>,
    cases: &[Case],
) -> Result<f64, ModelError> {
    let purchases = &data.dataset.purchases;
    let mut taken = Vec::with_capacity(REQUESTS);
    let mut vector = Vec::new();
    for (number, case) in
        cases.iter().cycle().take(if cases.is_empty() { 0 } else { WARM_UP + REQUESTS }).enumerate()
    {
        let rows = data.histories.of_customer(case.customer);
        let known = rows[..case.known as usize].iter().rev().take(HISTORY);
        let bought = |&row: &u32| {
            let article = purchases.article[row as usize];
            (data.dataset.articles.ids.get(article), purchases.time[row as usize])
        };
        let bought: Vec<(&str, Timestamp)> = known.map(bought).collect();
        let id = data.dataset.customers.ids.get(case.customer);
        let attributes =
            EntityRow { entities: &data.dataset.customers, row: case.customer as usize };
        let started = Instant::now();
        let items = bought.iter().filter_map(|&(id, time)| Some((Model::item(bundle, id)?, time)));
        let (history, bought_at): (Vec<u32>, Vec<Timestamp>) = items.unzip();
        let view = CustomerView {
            id: Some(id),
            attributes: &attributes,
            at: case.at,
            history: &history,
            times: &bought_at,
        };
        match bundle.ranking() {
            Ranking::Towers(towers) => {
                bundle.embed_customer(&view, &mut vector)?;
                let query =
                    Query { vector: &vector, k: K.min(bundle.manifest().items), allowed: None };
                towers.retriever.search(&query).map_err(|error| ModelError(error.to_string()))?;
            }
            Ranking::Frequency(settings) => {
                let history =
                    view.history.iter().zip(view.times).map(|(&item, &time)| (item, time, 1.0));
                black_box(settings.personal().scores(history, view.at));
            }
            // The network alone: what finds the candidates and their features is the shop's, not
            // the bundle's.
            Ranking::Ranker(ranker) => {
                let rows = vec![0.0; CANDIDATES * ranker.features().len()];
                black_box(ranker.scores(&rows).map_err(|error| ModelError(error.to_string()))?);
            }
        }
        if number >= WARM_UP {
            taken.push(started.elapsed().as_secs_f64() * 1e3);
        }
    }
    taken.sort_by(f64::total_cmp);
    taken
        .get(taken.len() / 2)
        .copied()
        .ok_or_else(|| ModelError("there is no customer to ask for".to_owned()))
}
