//! Rankers at past moments: the server's pipeline finds the candidates as it would have found them
//! then.

use super::{EvaluationError, OfflineShop, Scorer, baselines::Known};
use crate::{
    bundle::RowKind,
    dataset::{Case, Protocol, Repeats},
    domain::Timestamp,
    recommend::{Context, Exclude, ListModel, ModelError, RankerSpec, Recipe},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

/// A shop that can be asked about its past.
pub struct Past<'a> {
    /// Of these purchases a moment knows those made before it.
    known: Known<'a>,
    recipe: Arc<Recipe>,
    clock: Clock,
    /// The shop by moment, counted when it is first asked for.
    shops: Mutex<BTreeMap<Timestamp, Arc<OnceLock<OfflineShop<'a>>>>>,
}

/// When purchases are counted.
enum Clock {
    /// At the moment of a case: a split by time has few.
    Exact,
    /// At the last of these moments: with leave-one-out every case has a moment of its own. A case
    /// that asks for a purchase which is not among the known ones is asked after all of them, as
    /// baselines and other models are.
    Steps { steps: Vec<Timestamp>, learnt: Vec<bool> },
}

/// So often the purchases of a leave-one-out split are counted.
const STEPS: usize = 16;

impl<'a> Past<'a> {
    pub fn new(known: Known<'a>, protocol: Protocol) -> Self {
        let exclude =
            Exclude { purchased: protocol.repeats() == Repeats::Drop, ..Exclude::default() };
        let clock = match protocol {
            Protocol::Time { .. } => Clock::Exact,
            Protocol::LeaveOneOut { .. } => {
                let row = |step: usize| known.train.get(step * known.train.len() / (STEPS + 1));
                let mut steps: Vec<Timestamp> = (1..=STEPS)
                    .filter_map(row)
                    .map(|&row| known.dataset.purchases.time[row as usize])
                    .collect();
                steps.dedup();
                let mut learnt = vec![false; known.dataset.purchases.len()];
                known.train.iter().for_each(|&row| learnt[row as usize] = true);
                Clock::Steps { steps, learnt }
            }
        };
        let recipe = Arc::new(Recipe { exclude, ..Recipe::default() });
        Self { known, recipe, clock, shops: Mutex::default() }
    }

    /// The candidates of a case by their articles, and a row of features for each.
    ///
    /// # Errors
    /// When the pipeline cannot answer it.
    pub fn list(
        &self,
        spec: &RankerSpec,
        case: &Case,
    ) -> Result<(Vec<u32>, Vec<f32>), EvaluationError> {
        let at = self.counted_at(case);
        let shop = self.shop(at);
        let shop = match shop.get() {
            Some(shop) => shop,
            None => {
                let counted = self.count(at)?;
                shop.get_or_init(|| counted)
            }
        };
        // Any length will do: the sources have limits of their own.
        let request = shop.request(case, self.recipe.clone(), 1)?;
        let customer = shop.customer(case);
        let context = Context::new(shop.shop(), shop.snapshot(), &request, customer.view());
        let list = context.and_then(|context| spec.list(&context));
        let (candidates, rows) = list.map_err(|error| EvaluationError::Ranker {
            ranker: "ranker".to_owned(),
            cause: error.to_string(),
        })?;
        Ok((candidates.list.iter().map(|candidate| candidate.row).collect(), rows))
    }

    fn counted_at(&self, case: &Case) -> Timestamp {
        let (steps, learnt) = match &self.clock {
            Clock::Exact => return case.at,
            Clock::Steps { steps, learnt } => (steps, learnt),
        };
        let asked = self.known.histories.of_customer(case.customer).get(case.known as usize);
        if asked.is_none_or(|&row| !learnt[row as usize]) {
            return self.known.end();
        }
        let passed = steps.partition_point(|&step| step <= case.at);
        passed.checked_sub(1).map_or(Timestamp(0), |last| steps[last])
    }

    fn shop(&self, at: Timestamp) -> Arc<OnceLock<OfflineShop<'a>>> {
        let mut shops = self.shops.lock().unwrap_or_else(PoisonError::into_inner);
        shops.entry(at).or_default().clone()
    }

    /// The shop as of a moment.
    fn count(&self, at: Timestamp) -> Result<OfflineShop<'a>, EvaluationError> {
        let time = &self.known.dataset.purchases.time;
        let before = self.known.train.partition_point(|&row| time[row as usize] < at);
        OfflineShop::new(Known { train: &self.known.train[..before], ..self.known }, &[], at)
    }

    /// The cases by the moment at which purchases are counted for them, the earliest first.
    pub fn by_moment(&self, cases: &[Case]) -> Vec<Vec<Case>> {
        let mut groups: BTreeMap<Timestamp, Vec<Case>> = BTreeMap::new();
        cases
            .iter()
            .for_each(|case| groups.entry(self.counted_at(case)).or_default().push(case.clone()));
        groups.into_values().collect()
    }

    /// Counts what these cases ask for, one moment after the other: from many threads at once each
    /// would count the same.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub fn prepare(&self, cases: &[Case]) -> Result<(), EvaluationError> {
        for case in cases {
            let at = self.counted_at(case);
            let shop = self.shop(at);
            if shop.get().is_none() {
                let counted = self.count(at)?;
                shop.get_or_init(|| counted);
            }
        }
        Ok(())
    }

    /// Forgets what was counted: a shop is as large as its catalogue and neighbours.
    pub fn forget(&self) {
        self.shops.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// A ranker as a scorer: candidates by its scores, then all others by how well they sell.
pub struct RankerScorer<'m, 'a> {
    name: String,
    model: &'m dyn ListModel,
    spec: RankerSpec,
    past: Arc<Past<'a>>,
    /// From 0 to 1; `-inf` for articles that are never recommended.
    popularity: Vec<f32>,
}

impl<'m, 'a> RankerScorer<'m, 'a> {
    /// Candidates stand this far above all others, at least.
    const ABOVE: f32 = 2.0;

    /// `sales`: how well each article of the dataset sells; `None` for those that are never
    /// recommended.
    ///
    /// # Errors
    /// When the model wants other sources or features than this program has.
    pub fn new(
        name: &str,
        model: &'m dyn ListModel,
        past: Arc<Past<'a>>,
        sales: impl IntoIterator<Item = Option<f32>>,
    ) -> Result<Self, ModelError> {
        let popularity: Vec<f32> =
            sales.into_iter().map(|sales| sales.unwrap_or(f32::NEG_INFINITY)).collect();
        let most = popularity.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        let popularity = popularity.into_iter().map(|sales| sales / most).collect();
        Ok(Self { name: name.to_owned(), model, spec: RankerSpec::of(model)?, past, popularity })
    }
}

impl Scorer for RankerScorer<'_, '_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> RowKind {
        RowKind::Bundle
    }

    fn score(&self, cases: &[Case], scores: &mut [f32]) -> Result<(), EvaluationError> {
        for (case, scores) in
            cases.iter().zip(scores.chunks_exact_mut(self.popularity.len().max(1)))
        {
            scores.copy_from_slice(&self.popularity);
            let (articles, rows) = self.past.list(&self.spec, case)?;
            let failed = |cause: ModelError| EvaluationError::Ranker {
                ranker: self.name.clone(),
                cause: cause.0,
            };
            let ranked = self.model.scores(&rows).map_err(failed)?;
            let lowest = ranked.iter().copied().fold(f32::INFINITY, f32::min);
            for (article, score) in articles.into_iter().zip(ranked) {
                let place = &mut scores[article as usize];
                if *place > f32::NEG_INFINITY {
                    *place = score - lowest + Self::ABOVE;
                }
            }
        }
        Ok(())
    }
}
