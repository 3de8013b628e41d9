//! Placements: changing them, and following what other processes change.

use super::moved;
use crate::{
    domain::TopK,
    recommend::{
        Placement, PlacementError, Recipe, RecommendError, Request, Stages, Warning, check_ranker,
    },
    serving::{
        Answered, ServeError, ServedPlacement, Service, State,
        placements::{self, MAX_PLACEMENTS, StoredPlacement},
    },
    store::{PlacementChange, Revisions, StoreError},
};
use std::sync::Arc;
use tokio::sync::watch;

/// What somebody asks of a placement.
#[derive(Debug, Clone)]
pub struct PlacementAsk {
    /// Its recipe is the placement's.
    pub request: Request,
    /// `None`: as many articles as the placement says.
    pub k: Option<TopK>,
}

impl Service {
    /// Answers a request by a placement. What the placement names and is no longer there makes no
    /// error: the answer does without it and says so.
    ///
    /// # Errors
    /// [`ServeError::UnknownPlacement`], or those of [`Service::recommend`] that are not the
    /// placement's fault.
    pub async fn recommend_in(
        self: &Arc<Self>,
        name: &str,
        ask: PlacementAsk,
    ) -> Result<Answered, ServeError> {
        let state = self.state();
        let placement = state.placement(name)?.clone();
        let (request, mut ignored) = asked(&placement, ask);
        let answered = match self.recommend_on(&state, request.clone()).await {
            // The only source cannot answer: the model has changed, or nothing is counted yet.
            Err(ServeError::Recommend(error)) if failed_sources(&error, &request) => {
                tracing::debug!(name, %error, "a placement answers without its sources");
                ignored.push(SOURCES.to_owned());
                self.recommend_on(&state, without_sources(request)).await?
            }
            other => other?,
        };
        let answered = self.identified(&placement.name, answered);
        Ok(told(answered, placement, ignored))
    }

    /// Answers a request by a definition that need not be saved, and tells what each step did.
    ///
    /// # Errors
    /// [`ServeError::BadPlacement`], or those of [`Service::recommend_in`].
    pub async fn preview(
        self: &Arc<Self>,
        name: &str,
        definition: Option<&Placement>,
        ask: PlacementAsk,
    ) -> Result<(Answered, Stages), ServeError> {
        let state = self.state();
        let placement = match definition {
            None => state.placement(name)?.clone(),
            Some(definition) => {
                self.check_placement(definition).await?;
                let bad = || ServeError::BadPlacement("the definition makes no sense".to_owned());
                Arc::new(state.fit(name, 0, definition).ok_or_else(bad)?)
            }
        };
        let (request, mut ignored) = asked(&placement, ask);
        let (answered, stages) = match self.preview_on(&state, request.clone()).await {
            Err(ServeError::Recommend(error)) if failed_sources(&error, &request) => {
                ignored.push(SOURCES.to_owned());
                self.preview_on(&state, without_sources(request)).await?
            }
            other => other?,
        };
        Ok((told(answered, placement, ignored), stages))
    }

    /// Whether a definition can be saved: what it names is there, and it answers.
    ///
    /// # Errors
    /// [`ServeError::BadPlacement`] with everything that is wrong; [`ServeError::NotReady`] while
    /// nothing can tell.
    pub async fn check_placement(
        self: &Arc<Self>,
        definition: &Placement,
    ) -> Result<(), ServeError> {
        let state = self.state();
        if state.lacks_catalogue() {
            let reason =
                "the catalogue was not read yet, so that nothing can be checked against it";
            return Err(StoreError::Unavailable(reason.to_owned()).into());
        }
        placements::check(definition, state.catalogue()?, |name| state.has_model(name))?;
        let bad = |error: PlacementError| ServeError::BadPlacement(error.to_string());
        let recipe = definition.recipe().map_err(bad)?;
        // A shop may write its placements before its first model.
        let Ok(snapshot) = state.model(recipe.model.as_deref()) else { return Ok(()) };
        definition.check(snapshot).map_err(bad)?;
        check_ranker(&state.shop, snapshot, &recipe).map_err(|error| bad(error.into()))?;
        // Of several sources one that fails is left out, so each is asked alone.
        let alone = |source| Recipe { sources: vec![source], ..recipe.clone() };
        let recipes: Vec<Recipe> = match recipe.sources.is_empty() {
            true => vec![recipe.clone()],
            false => recipe.sources.iter().cloned().map(alone).collect(),
        };
        let k = TopK::new(definition.k).unwrap_or_default();
        for (at, recipe) in recipes.into_iter().enumerate() {
            let guest = Request { recipe: Arc::new(recipe), ..Request::new(None, k, super::now()) };
            match self.recommend_on(&state, guest).await {
                // Passes by itself.
                Err(ServeError::Recommend(RecommendError::NoStatistics)) => {}
                Err(ServeError::Recommend(error)) if !definition.sources.is_empty() => {
                    return Err(ServeError::BadPlacement(format!("`sources[{at}]`: {error}")));
                }
                Err(ServeError::Recommend(error)) => {
                    return Err(ServeError::BadPlacement(error.to_string()));
                }
                answered => drop(answered?),
            }
        }
        Ok(())
    }

    /// Saves a definition and serves it; answers its version. Where `expected` is given, only if
    /// that version is current.
    ///
    /// # Errors
    /// [`ServeError::BadPlacement`], another version being current, or the database being away;
    /// then nothing has changed.
    pub async fn put_placement(
        self: &Arc<Self>,
        name: &str,
        definition: &Placement,
        expected: Option<i64>,
        author: &str,
    ) -> Result<i64, ServeError> {
        let store = self.database.store();
        let stored = store.placements().await?;
        if stored.len() >= MAX_PLACEMENTS && stored.iter().all(|row| row.name != name) {
            let problem =
                format!("there are {MAX_PLACEMENTS} placements already; delete one first");
            return Err(ServeError::BadPlacement(problem));
        }
        let json = placements::to_json(definition);
        let change = PlacementChange { name, definition: Some(&json), expected };
        let versions = store.change_placements(&[change], author).await?;
        self.serve_placements().await;
        Ok(versions.first().copied().unwrap_or_default())
    }

    /// Deletes a placement; where there is a built-in one of its name, that answers again.
    ///
    /// # Errors
    /// Another version being current, or the database being away; then nothing has changed.
    pub async fn delete_placement(
        &self,
        name: &str,
        expected: Option<i64>,
        author: &str,
    ) -> Result<(), ServeError> {
        let change = PlacementChange { name, definition: None, expected };
        self.database.store().change_placements(&[change], author).await?;
        self.serve_placements().await;
        Ok(())
    }

    /// Gives a placement the definition before the current one again; answers the new version, 0
    /// where there was none.
    ///
    /// # Errors
    /// When there is no earlier version, another one is current, or the database is away; then
    /// nothing has changed.
    pub async fn rollback_placement(
        &self,
        name: &str,
        expected: Option<i64>,
        author: &str,
    ) -> Result<i64, ServeError> {
        let version = self.database.store().rollback_placement(name, expected, author).await?;
        self.serve_placements().await;
        Ok(version)
    }

    /// Serves what was just written. If that fails, following the database tries again.
    async fn serve_placements(&self) {
        if let Err(error) = self.follow_placements().await {
            tracing::warn!(%error, "a change of a placement is written, but not served yet");
        }
    }

    /// Serves the placements of the database.
    ///
    /// # Errors
    /// When the database cannot be read; those that were read hold.
    pub(super) async fn follow_placements(&self) -> Result<(), ServeError> {
        let mut followed = self.followed_placements.lock().await;
        let store = self.database.store();
        // Before the rows: they are at least that new.
        let revision = store.revisions().await?.placements;
        if *followed == Some(revision) {
            return Ok(());
        }
        let stored = StoredPlacement::read_all(store.placements().await?);
        let _changes = self.changes.lock().await;
        let stored_placements = Some(Arc::new(stored));
        self.publish(State { stored_placements, ..State::clone(&self.state()) });
        *followed = Some(revision);
        Ok(())
    }

    /// Apart from catalogue and models: a changed placement must not wait for them to load.
    pub(super) async fn keep_placements(&self, mut revisions: watch::Receiver<Revisions>) {
        let mut failing = false;
        loop {
            let seen = revisions.borrow_and_update().placements;
            let followed = self.follow_placements().await;
            if let Err(error) = &followed
                && !failing
            {
                tracing::warn!(%error, "cannot read the placements; those that were read hold");
            }
            failing = followed.is_err();
            tokio::select! {
                changed = moved(&mut revisions, seen, |now| now.placements) => if changed.is_err() { return },
                () = tokio::time::sleep(self.poll), if failing => {}
            }
        }
    }
}

/// The key of a definition whose sources are all left out.
const SOURCES: &str = "sources";

/// The request that a placement makes of what is asked, and the parts of it that are left out.
fn asked(
    placement: &ServedPlacement,
    PlacementAsk { request, k }: PlacementAsk,
) -> (Request, Vec<String>) {
    let k = k.unwrap_or(placement.k);
    let request = Request { k, recipe: placement.recipe.clone(), ..request };
    (request, placement.ignored.iter().map(|misfit| misfit.key()).collect())
}

fn without_sources(mut request: Request) -> Request {
    Arc::make_mut(&mut request.recipe).sources.clear();
    request
}

/// The answer with the placement that it is from.
fn told(mut answered: Answered, placement: Arc<ServedPlacement>, ignored: Vec<String>) -> Answered {
    if !ignored.is_empty() {
        answered.answer.warnings.push(Warning::PlacementReduced);
    }
    answered.placement = Some((placement, ignored));
    answered
}

/// Whether the sources of a request are to blame, and not what it asks about.
fn failed_sources(error: &RecommendError, request: &Request) -> bool {
    let others = matches!(
        error,
        RecommendError::UnknownArticle(_) | RecommendError::Model(_) | RecommendError::Search(_)
    );
    !others && !request.recipe.sources.is_empty()
}
