//! What a trial tries.

use super::{Definition, Sampler, Trial, space::Domain, trial::Values};
use crate::experiments::Status;
use chacha20::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use sha2::{Digest, Sha256};
use tpe::{TpeOptimizer, histogram_estimator, parzen_estimator, range::Range};

/// The values of trial `number`, given the ended trials it may see. A pure function of its
/// arguments.
pub(super) fn suggest(definition: &Definition, number: usize, seen: &[Trial]) -> Values {
    let judged = seen.iter().filter(|trial| trial.result.is_some()).count();
    let random = definition.sampler == Sampler::Random || judged < definition.startup.max(1);
    let value = |(key, parameter): (&String, &super::Parameter)| {
        let (domain, mut rng) = (parameter.domain(), rng(definition.seed, number, key));
        let range = domain.range()?;
        let at = match random {
            true => uniform(range, &mut rng),
            false => estimated(key, domain, range, seen, &mut rng),
        };
        Some((key.clone(), domain.value(at)))
    };
    definition.space.iter().filter_map(value).collect()
}

/// The coordinate where trials like the good ones are likeliest compared with the others (Bergstra
/// et al. 2011).
fn estimated(
    key: &str,
    domain: Domain<'_>,
    range: Range,
    seen: &[Trial],
    rng: &mut ChaCha8Rng,
) -> f64 {
    let estimator = if matches!(domain, Domain::Choice(_)) {
        histogram_estimator()
    } else {
        parzen_estimator()
    };
    let mut optimizer = TpeOptimizer::new(estimator, range);
    for trial in seen {
        let Some(at) = trial.values.get(key).and_then(|value| domain.coordinate(value)) else {
            continue;
        };
        // The estimator lowers its objective. Failed trials are the worst, pruned ones never among
        // the best.
        let objective = match (trial.status, trial.result) {
            (Status::Finished, Some(result)) => -result,
            (_, Some(result)) => 1e6 - result,
            (_, None) => f64::MAX,
        };
        // Within its range and a number: it is taken.
        let _ = optimizer.tell(at, objective);
    }
    match optimizer.ask(rng) {
        Ok(at) => at,
        Err(never) => match never {},
    }
}

fn uniform(range: Range, rng: &mut ChaCha8Rng) -> f64 {
    let part = (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    range.start() + range.width() * part
}

/// A stream of its own for every seed, trial and key.
fn rng(seed: u64, number: usize, key: &str) -> ChaCha8Rng {
    let hash =
        Sha256::new().chain_update(seed.to_le_bytes()).chain_update((number as u64).to_le_bytes());
    ChaCha8Rng::from_seed(hash.chain_update(key).finalize().into())
}
