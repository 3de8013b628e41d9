//! How many requests, or events, a key or an address may send in a second.
//!
//! Token buckets in the form of GCRA: a bucket is one number, the time at which it would be full
//! again. A bucket holds two seconds' worth, so short bursts pass. Their memory is bounded: what
//! was not used for long is forgotten, and beyond [`BUCKETS`] the least used go first. A forgotten
//! bucket is full again.

use moka::sync::Cache;
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// About 10 MB.
const BUCKETS: u64 = 50_000;
const IDLE: Duration = Duration::from_secs(60);
/// Seconds' worth of requests that may come at once.
const BURST_SECONDS: u64 = 2;
const NANOS: u64 = 1_000_000_000;

/// Whose requests are counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    Key(Arc<str>),
    /// An IPv4 address, or the network of an IPv6 one.
    Address(IpAddr),
}

impl Subject {
    /// A customer of IPv6 usually has a whole /64, so that is what counts as one address.
    pub fn address(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6([a, b, c, d, 0, 0, 0, 0].into())
            }
            v4 => v4,
        })
    }
}

pub struct RateLimits {
    buckets: Cache<Subject, Arc<Bucket>>,
    started: Instant,
}

/// When the bucket is full again, in nanoseconds since the limits were made.
#[derive(Default)]
struct Bucket(AtomicU64);

impl Default for RateLimits {
    fn default() -> Self {
        let buckets = Cache::builder().max_capacity(BUCKETS).time_to_idle(IDLE).build();
        Self { buckets, started: Instant::now() }
    }
}

impl RateLimits {
    /// Counts a request, or so many events at once; 0 a second means no limit. What comes at once
    /// is let through while there is room for one: it can be more than the bucket holds, and the
    /// next then waits the longer.
    ///
    /// # Errors
    /// How long to wait before the next one is allowed.
    pub fn take(&self, subject: Subject, per_second: u32, count: u32) -> Result<(), Duration> {
        if per_second == 0 {
            return Ok(());
        }
        let now = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.buckets.get_with(subject, Arc::default).take(now, per_second, count)
    }
}

impl Bucket {
    fn take(&self, now: u64, per_second: u32, count: u32) -> Result<(), Duration> {
        let interval = NANOS / u64::from(per_second);
        let most = (BURST_SECONDS * NANOS).max(interval);
        let mut wait = 0;
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full| {
            let begin = full.max(now);
            wait = (begin + interval).saturating_sub(now + most);
            (wait == 0).then_some(begin.saturating_add(interval.saturating_mul(count.into())))
        });
        taken.map(drop).map_err(|_| Duration::from_nanos(wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let bucket = Bucket::default();
        let taken = |now| (0..100).filter(|_| bucket.take(now, 10, 1).is_ok()).count();
        assert_eq!(taken(0), 20, "two seconds' worth");
        let wait = bucket.take(0, 10, 1).unwrap_err();
        assert_eq!(wait, Duration::from_millis(100));
        assert_eq!(taken(NANOS / 2), 5);
        assert_eq!(taken(100 * NANOS), 20, "never more than the burst");
    }

    #[test]
    fn a_rate_of_one_passes_at_all() {
        let bucket = Bucket::default();
        assert!(bucket.take(0, 1, 1).is_ok() && bucket.take(0, 1, 1).is_ok());
        assert_eq!(bucket.take(0, 1, 1).unwrap_err(), Duration::from_secs(1));
    }

    #[test]
    fn many_at_once_pass_and_are_waited_for_afterwards() {
        let bucket = Bucket::default();
        assert!(bucket.take(0, 100, 1_000).is_ok(), "more than two seconds' worth");
        assert_eq!(bucket.take(0, 100, 1).unwrap_err(), Duration::from_millis(8_010));
        assert!(bucket.take(9 * NANOS, 100, 1).is_ok());
    }

    #[test]
    fn subjects_are_counted_apart_and_networks_together() {
        let limits = RateLimits::default();
        let address = |text: &str| Subject::address(text.parse().unwrap());
        for subject in [address("10.0.0.1"), address("10.0.0.2"), Subject::Key("a".into())] {
            assert!(
                limits.take(subject.clone(), 1, 1).is_ok()
                    && limits.take(subject.clone(), 1, 1).is_ok()
            );
            assert!(limits.take(subject.clone(), 1, 1).is_err());
            assert!(limits.take(subject, 0, 1).is_ok(), "0 is no limit");
        }
        assert_eq!(address("2001:db8:1:2::1"), address("2001:db8:1:2:ffff::9"));
        assert_ne!(address("2001:db8:1:2::1"), address("2001:db8:1:3::1"));
        assert_eq!(address("::ffff:10.0.0.1"), address("10.0.0.1"));
    }
}
