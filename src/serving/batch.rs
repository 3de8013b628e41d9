//! Many customers at once. They wait for each other and not for a place among single requests, and
//! take no more than half of the processors.

use super::{Answered, ServeError, Service, customers::Lookup, service::Served};
use crate::{
    domain::CustomerId,
    recommend::{RecommendError, Request, check},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// Customers whose answers one thread computes before another may take its place.
const CHUNK: usize = 32;
/// Customers of a chunk that are read from the database at once: fewer than it has connections, so
/// that a single request finds one.
const LOOKUPS: usize = 4;

type Answers = Vec<Result<Answered, ServeError>>;

impl Service {
    /// Answers the same request for each customer, all on one snapshot, in their order.
    ///
    /// # Errors
    /// What is wrong with the request itself; what concerns one customer stands in their place.
    pub async fn recommend_batch(
        self: &Arc<Self>,
        route: &'static str,
        shared: Request,
        customers: Vec<CustomerId>,
    ) -> Result<Answers, ServeError> {
        let served = self.state().served_for(&shared)?;
        let shared = Arc::new(shared);
        let (asked, of) = (shared.clone(), served.snapshot.clone());
        // Before any customer is read, and whether or not there is one.
        let checked = tokio::task::spawn_blocking(move || check(&of, &asked.recipe)).await;
        checked.map_err(|error| ServeError::Internal(error.to_string()))??;
        let chunks: Vec<Vec<CustomerId>> = customers.chunks(CHUNK).map(<[_]>::to_vec).collect();
        let answer = |chunk| self.clone().answer_chunk(served.clone(), shared.clone(), chunk);
        let answers =
            stream::iter(chunks).map(answer).buffered(self.batches.available_permits().max(1));
        let chunks: Vec<Answers> = answers.try_collect().await?;
        let identify = |answer: Result<Answered, ServeError>| Ok(self.identified(route, answer?));
        Ok(chunks.into_iter().flatten().map(identify).collect())
    }

    async fn answer_chunk(
        self: Arc<Self>,
        served: Served,
        shared: Arc<Request>,
        customers: Vec<CustomerId>,
    ) -> Result<Answers, ServeError> {
        let service = &self;
        let (of, asked) = (&*served.snapshot, &*shared);
        let look_up = |id: CustomerId| async move {
            let lookup = service.look_up_customer(&id, of, asked).await;
            (id, lookup)
        };
        let known: Vec<(CustomerId, Lookup)> =
            stream::iter(customers).map(look_up).buffered(LOOKUPS).collect().await;
        let permit = self.batches.clone().acquire_owned().await;
        let service = self.clone();
        let work = move || -> Result<Answers, ServeError> {
            let _permit = permit;
            let one = |(id, lookup): (CustomerId, Lookup)| {
                let request = Request { customer: Some(id), ..Request::clone(&shared) };
                let answer = || service.answer(served.clone(), &request, Some(&lookup));
                let answer = catch_unwind(AssertUnwindSafe(answer));
                // The hook of the process has reported the panic.
                separate(
                    answer
                        .unwrap_or_else(|_| Err(ServeError::Internal("a request panicked".into()))),
                )
            };
            known.into_iter().map(one).collect()
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| ServeError::Internal(error.to_string()))?
    }
}

/// Tells what is wrong with the request, and so with every customer, from what befell one of them.
fn separate(
    answer: Result<Answered, ServeError>,
) -> Result<Result<Answered, ServeError>, ServeError> {
    match answer {
        Err(ServeError::Recommend(RecommendError::Model(_) | RecommendError::Search(_))) => {
            Ok(answer)
        }
        Err(error @ ServeError::Recommend(_)) => Err(error),
        other => Ok(other),
    }
}
