//! How long a failure is tried again, and at which distances. Pure: the clock is an argument.
//!
//! A stream that tolerates no errors never gives up: it waits with a capped backoff, so that it flows again within seconds of
//! a repair. One that does follows its retry strategy: retries at the strategy's distances, except that an unreachable target is
//! asked again every two seconds at least, for as long as all of the strategy's waits together.

use std::time::{Duration, Instant};

use rocketbridge_connector::{Code, Error, Retry};
use rocketbridge_model::resolved::{RetrySettings, RetryStrategy, RunSettings};
use rocketbridge_runtime::Backoff;

/// Longest wait for something that passes by itself.
const OUTAGE_WAIT: Duration = Duration::from_secs(2);
/// Longest wait for something that a person must mend.
const REPAIR_WAIT: Duration = Duration::from_secs(5);

/// The patience of one lane.
pub(crate) struct Patience {
    tolerate: bool,
    retry: RetrySettings,
    outage: Backoff,
    repair: Backoff,
    attempts: u32,
    since: Option<Instant>,
}

/// What to do after a failure.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Try again after this wait.
    Wait(Duration),
    /// The deliveries that failed are given up.
    GiveUp,
}

impl Patience {
    pub(crate) fn new(run: &RunSettings) -> Self {
        Self {
            tolerate: run.tolerate_errors,
            retry: run.retry.clone(),
            outage: Backoff::new(Duration::from_millis(100), OUTAGE_WAIT),
            repair: Backoff::new(Duration::from_millis(200), REPAIR_WAIT),
            attempts: 0,
            since: None,
        }
    }

    /// Something was delivered.
    pub(crate) fn reset(&mut self) {
        self.outage.reset();
        self.repair.reset();
        self.attempts = 0;
        self.since = None;
    }

    /// A delivery failed. `random` is from 0 to 1; `age` is that of the oldest event that failed.
    pub(crate) fn failed(&mut self, error: &Error, now: Instant, age: Duration, random: f64) -> Decision {
        let wait = match error.retry() {
            Retry::Soon => self.outage.next_delay(),
            Retry::AfterRepair | Retry::Never => self.repair.next_delay(),
        };
        if !self.tolerate {
            return Decision::Wait(wait);
        }
        if error.retry() == Retry::Never || self.retry.maximum_age.is_some_and(|maximum| age >= maximum) {
            return Decision::GiveUp;
        }
        let since = *self.since.get_or_insert(now);
        if error.code() == Code::Unavailable {
            let patience: Duration = (0..self.retry.attempts).map(|attempt| distance(self.retry.strategy, attempt, 0.5)).sum();
            return if now.duration_since(since) >= patience { Decision::GiveUp } else { Decision::Wait(wait) };
        }
        if self.attempts >= self.retry.attempts {
            return Decision::GiveUp;
        }
        self.attempts += 1;
        Decision::Wait(distance(self.retry.strategy, self.attempts - 1, random))
    }
}

/// The strategy's wait before retry `attempt`, counted from 0.
fn distance(strategy: RetryStrategy, attempt: u32, random: f64) -> Duration {
    match strategy {
        RetryStrategy::Backoff => Duration::from_secs_f64(10.0 + 10.0 * random),
        RetryStrategy::ExponentialDecay => Duration::from_secs(1 << attempt.min(9)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(tolerate: bool, strategy: RetryStrategy, attempts: u32) -> RunSettings {
        RunSettings {
            shards: 1,
            throttling: None,
            tolerate_errors: tolerate,
            batch_count: 1,
            batch_linger: Duration::ZERO,
            retry: RetrySettings { strategy, attempts, maximum_age: None },
            dead_letter: None,
        }
    }

    #[test]
    fn a_stream_that_tolerates_nothing_never_gives_up_and_never_waits_long() {
        let mut patience = Patience::new(&run(false, RetryStrategy::Backoff, 3));
        let now = Instant::now();
        for code in [Code::Unavailable, Code::Rejected, Code::Denied] {
            for _ in 0..100 {
                let decision = patience.failed(&Error::new(code, "send", "no"), now, Duration::MAX, 0.5);
                assert!(matches!(decision, Decision::Wait(wait) if wait <= REPAIR_WAIT), "{decision:?}");
            }
        }
    }

    #[test]
    fn the_exponential_strategy_waits_as_documented() {
        let mut patience = Patience::new(&run(true, RetryStrategy::ExponentialDecay, 176));
        let error = Error::new(Code::NotFound, "send", "no topic");
        let now = Instant::now();
        let mut waits = Vec::new();
        while let Decision::Wait(wait) = patience.failed(&error, now, Duration::ZERO, 0.0) {
            waits.push(wait.as_secs());
        }
        assert_eq!(waits[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
        assert_eq!((waits.len(), waits.iter().sum::<u64>()), (176, 86_015));
    }

    #[test]
    fn an_outage_is_waited_for_as_long_as_the_strategy_would_but_asked_often() {
        let mut patience = Patience::new(&run(true, RetryStrategy::Backoff, 3));
        let error = Error::new(Code::Unavailable, "send", "closed");
        let start = Instant::now();
        assert!(matches!(patience.failed(&error, start, Duration::ZERO, 0.0), Decision::Wait(wait) if wait <= OUTAGE_WAIT));
        assert!(matches!(patience.failed(&error, start + Duration::from_secs(44), Duration::ZERO, 0.0), Decision::Wait(_)));
        assert_eq!(patience.failed(&error, start + Duration::from_secs(45), Duration::ZERO, 0.0), Decision::GiveUp);
    }

    #[test]
    fn what_the_target_refuses_is_given_up_at_once_where_errors_are_tolerated() {
        let mut patience = Patience::new(&run(true, RetryStrategy::Backoff, 3));
        let error = Error::new(Code::Rejected, "send", "too large");
        assert_eq!(patience.failed(&error, Instant::now(), Duration::ZERO, 0.0), Decision::GiveUp);
    }
}
