//! How long each side waits while a session ends in good order.
//!
//! Whoever stops must have ended within two seconds at any load (invariant I8). So all of a process that stops has one clock, which begins when the
//! process is told to stop, and one deadline each for the steps of its end: however late a session hears of the stop, it waits no longer than the
//! others. Most of the time is the target's, because what it has and does not confirm in time is sent again. The rest is little, because it is
//! spent within this process and with brokers that answer at once: each stage waits a little longer than the one behind it, so that the
//! innermost gives up first, and the outcomes that it had reach the ledger.
//!
//! Whoever goes on has no such hurry: it hears the other side to its end, however slow both are, and gives up only on one that is silent for long.
//!
//! An owner that hands a shard over gives it up only after the opener has closed its half of the session, which the opener does when it has heard
//! `Drain`. So the news that the shard has passed on comes to an opener that is listening to the end already, and no race between the two
//! decides whether something is repeated.

use std::time::Duration;

use rocketbridge_runtime::Shutdown;
use tokio::time::Instant;

/// A dispatcher that hands over, for the group that is with the target, and for the filter to hear of it. What is not confirmed by then is sent
/// again: the target may have it twice.
pub const TARGET: Duration = Duration::from_millis(1_400);

/// A filter that stops, for the dispatcher, and for the router to hear of it.
pub const DISPATCHER: Duration = Duration::from_millis(1_450);

/// A router that stops, for the filter.
pub const FILTER: Duration = Duration::from_millis(1_500);

/// A router that stops, for the broker to confirm its last commit. What is not committed by then is repeated.
pub const COMMIT: Duration = Duration::from_millis(1_750);

/// A router that comes late to its last commit, for the broker to confirm it all the same.
pub const LATE_COMMIT: Duration = Duration::from_millis(50);

/// A router that stops, for what it writes down of its partitions. Nothing depends on it: what was written down before serves, too.
pub const RECORD: Duration = Duration::from_millis(1_800);

/// A process that stops, for its units. By then everybody above has given up, so that whoever still works on a unit is stopped.
pub const UNITS: Duration = Duration::from_millis(1_850);

/// A process that stops, for what it has said to be taken by the network.
pub const NETWORK: Duration = Duration::from_millis(1_900);

/// An opener that goes on, for the other side to close a session that is finished. The other side is on its way to its own end, which it bounds by
/// the times above on its own clock; this is for one that hangs. A connection that breaks is noticed before.
pub const LATE: Duration = Duration::from_secs(10);

/// An opener, for the former owner of a shard that has passed on without `Drain`: it has lost its lease, or was too slow for its own patience. What
/// it still says is heard, so that what was delivered is not sent again.
pub const PASSED: Duration = Duration::from_secs(1);

/// The clock of a process for all that waits while it ends. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Patience(Shutdown);

impl Patience {
    /// The clock of the process that `shutdown` stops. The default is one that never stops.
    pub fn of(shutdown: &Shutdown) -> Self {
        Self(shutdown.clone())
    }

    /// From when a wait counts that begins now: from when the process began to stop, or from now where it goes on and only a session ends.
    pub fn began(&self) -> Instant {
        self.0.draining_since().unwrap_or_else(Instant::now)
    }

    /// When a wait is over that begins now.
    pub fn until(&self, wait: Duration) -> Instant {
        self.began() + wait
    }
}

#[cfg(test)]
mod tests {
    use rocketbridge_runtime::Cause;

    use super::*;

    /// *Scenario*: waits begin while a process goes on, and at different times after it was told to stop. *Guarantees*: the former count from when they begin, the latter all
    /// end at the same time; each step of the end has its time after the one behind it, and all are over within two seconds.
    #[tokio::test(start_paused = true)]
    async fn all_of_a_process_that_stops_has_one_deadline() {
        let shutdown = Shutdown::new();
        let patience = Patience::of(&shutdown);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(patience.until(TARGET), Instant::now() + TARGET);
        shutdown.drain(Cause::Requested("test".into()));
        let end = Instant::now() + TARGET;
        for _ in 0..3 {
            assert_eq!(patience.until(TARGET), end);
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        let steps = [TARGET, DISPATCHER, FILTER, COMMIT, RECORD, UNITS, NETWORK, Duration::from_secs(2)];
        assert!(steps.is_sorted_by(|step, next| step < next));
        assert!(COMMIT + LATE_COMMIT <= UNITS);
    }
}
