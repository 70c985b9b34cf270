//! Whether a lease can still be trusted, decided without asking the store.
//!
//! The answer is yes while the last *confirmed* renewal is younger than two thirds of the TTL, counted from *before* its request was sent.
//! The store counts a TTL from when it handled that request, which was later; so this process stops at least a third of a TTL before
//! anybody else can own what it owned. The clock is that of this machine since boot: it counts the time that a process is stopped and a
//! machine sleeps, and nobody can set it. Only how fast the clocks of two machines run is compared, never what they show.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A moment on the clock since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

/// The trust in one lease. Cheap to clone and to ask: every effect of an owned unit on the outside is preceded by [`is_valid`](Self::is_valid).
#[derive(Clone, Debug)]
pub struct Authority(Arc<Trust>);

#[derive(Debug)]
struct Trust {
    /// The moment before the last confirmed renewal was requested.
    confirmed: AtomicU64,
    valid_for: u64,
    lost: AtomicBool,
}

impl Moment {
    /// Now.
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
        Self(seconds * 1_000_000_000 + nanoseconds)
    }

    /// The time from `earlier` to this; zero if it is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanoseconds(duration)))
    }
}

impl Authority {
    /// The trust in a lease of `ttl` that was requested at `asked`.
    pub fn new(ttl: Duration, asked: Moment) -> Self {
        Self(Arc::new(Trust { confirmed: AtomicU64::new(asked.0), valid_for: nanoseconds(ttl) / 3 * 2, lost: AtomicBool::new(false) }))
    }

    /// Whether this process may act as an owner now.
    pub fn is_valid(&self) -> bool {
        self.is_valid_at(Moment::now())
    }

    /// As [`is_valid`](Self::is_valid), at a given moment.
    pub fn is_valid_at(&self, now: Moment) -> bool {
        !self.0.lost.load(Ordering::Acquire) && now < self.expires()
    }

    /// When trust ends, unless a renewal is confirmed before.
    pub fn expires(&self) -> Moment {
        Moment(self.0.confirmed.load(Ordering::Acquire).saturating_add(self.0.valid_for))
    }

    /// Counts a renewal that was requested at `asked` and confirmed at `now`. Returns false and renews nothing if trust had ended before: units
    /// that were stopped for that reason must not start again under the same lease.
    pub(crate) fn renew(&self, asked: Moment, now: Moment) -> bool {
        let valid = self.is_valid_at(now);
        if valid {
            self.0.confirmed.fetch_max(asked.0, Ordering::AcqRel);
        }
        valid
    }

    /// Ends trust for good.
    pub(crate) fn end(&self) {
        self.0.lost.store(true, Ordering::Release);
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(9);

    fn at(seconds: u64) -> Moment {
        Moment(seconds * 1_000_000_000)
    }

    /// *Scenario*: a lease is requested, renewed late, and not renewed again. *Guarantees*: trust lasts two thirds of the TTL from before each
    /// request, and not a moment longer.
    #[test]
    fn trust_lasts_two_thirds_from_before_the_request() {
        let authority = Authority::new(TTL, at(100));
        assert!(authority.is_valid_at(Moment(at(106).0 - 1)));
        assert!(!authority.is_valid_at(at(106)));
        // Asked at 102, answered at 105: counts from 102.
        assert!(authority.renew(at(102), at(105)));
        assert!(authority.is_valid_at(at(107)) && !authority.is_valid_at(at(108)));
        // An older answer does not shorten the trust.
        assert!(authority.renew(at(101), at(105)));
        assert_eq!(authority.expires(), at(108));
    }

    /// *Scenario*: a renewal is confirmed after trust ended; a lease is lost. *Guarantees*: trust never comes back.
    #[test]
    fn lost_is_lost() {
        let authority = Authority::new(TTL, at(100));
        assert!(!authority.renew(at(105), at(106)));
        assert!(!authority.is_valid_at(at(106)));
        let ended = Authority::new(TTL, at(100));
        ended.end();
        assert!(!ended.is_valid_at(at(101)) && !ended.renew(at(101), at(101)));
    }

    /// *Scenario*: the real clock. *Guarantees*: it advances.
    #[test]
    fn the_clock_runs() {
        let before = Moment::now();
        assert!(Authority::new(TTL, before).is_valid());
        assert!(Moment::now() >= before && before.0 > 0);
    }
}
