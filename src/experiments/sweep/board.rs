//! Who does which trial when.

use super::{ExperimentError, Trial};
use std::{
    collections::BTreeMap,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// Hands out trials in order of number to `parallel` workers. Trial `n` starts when all up to `n −
/// parallel` have ended and sees exactly those, however fast the others are.
pub(super) struct Board {
    trials: usize,
    parallel: usize,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    next: usize,
    ended: BTreeMap<usize, Trial>,
    stopped: bool,
    error: Option<ExperimentError>,
}

impl Board {
    pub(super) fn new(trials: usize, parallel: usize, known: Vec<Trial>) -> Self {
        let ended = known.into_iter().map(|trial| (trial.number, trial)).collect();
        let state = Mutex::new(State { next: 0, ended, stopped: false, error: None });
        Self { trials, parallel, state, changed: Condvar::new() }
    }

    /// Does trials until none is left, one fails for the machine's fault, or one is stopped.
    pub(super) fn work(
        &self,
        trial: impl Fn(usize, &[Trial]) -> Result<Option<Trial>, ExperimentError>,
    ) {
        while let Some((number, seen)) = self.next() {
            let result = trial(number, &seen);
            let mut state = self.lock();
            match result {
                Ok(Some(trial)) => {
                    state.ended.insert(number, trial);
                }
                Ok(None) => state.stopped = true,
                Err(error) => state.error = state.error.take().or(Some(error)),
            }
            drop(state);
            self.changed.notify_all();
        }
    }

    fn next(&self) -> Option<(usize, Vec<Trial>)> {
        let mut state = self.lock();
        while state.ended.contains_key(&state.next) {
            state.next += 1;
        }
        let number = state.next;
        state.next += 1;
        let visible = (number + 1).saturating_sub(self.parallel);
        loop {
            if state.stopped || state.error.is_some() || number >= self.trials {
                return None;
            }
            if (0..visible).all(|earlier| state.ended.contains_key(&earlier)) {
                return Some((
                    number,
                    state.ended.range(..visible).map(|(_, trial)| trial.clone()).collect(),
                ));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// All trials in order; `None` when stopped.
    pub(super) fn finish(self) -> Result<Option<Vec<Trial>>, ExperimentError> {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        match (state.error, state.stopped) {
            (Some(error), _) => Err(error),
            (None, true) => Ok(None),
            (None, false) => Ok(Some(state.ended.into_values().collect())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
