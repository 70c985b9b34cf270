//! How often a source is asked that fails, or that answers "nothing" at once; and what is told of it.

use std::time::Duration;

use rocketbridge_runtime::Backoff;
use tokio::time::Instant;

use crate::error::Error;
use crate::notices::Notices;

/// An empty answer sooner than this did not wait for messages: the next question waits a little.
const QUICK: Duration = Duration::from_millis(300);
/// A source that fails for less than this is not told of in the status.
const HICCUP: Duration = Duration::from_secs(1);
/// Between two failed reads, and between two empty answers that came at once.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The pace at which one source is asked.
#[derive(Debug)]
pub(crate) struct Pacing {
    /// Since when the source fails, or does not hold what is wanted.
    since: Option<Instant>,
    failures: Backoff,
    idle: Backoff,
    notices: Notices,
}

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    /// Set if it is news for the log: how often it came untold before.
    pub(crate) news: Option<u64>,
    /// Whether it is worth a place in the status.
    pub(crate) lasts: bool,
    /// How long to wait before the next question.
    pub(crate) pause: Duration,
}

impl Pacing {
    pub(crate) fn new() -> Self {
        Self {
            since: None,
            failures: Backoff::new(PAUSE, LONGEST_PAUSE),
            idle: Backoff::new(PAUSE, LONGEST_PAUSE),
            notices: Notices::default(),
        }
    }

    /// The source answered. `moves`: with something new. Returns how long to wait before the next question, if it is too soon.
    pub(crate) fn answered(&mut self, moves: bool, took: Duration) -> Option<Duration> {
        if moves || took >= QUICK {
            self.since = None;
            self.failures.reset();
            self.idle.reset();
            return None;
        }
        Some(self.idle.next_delay())
    }

    /// Since when the source fails, or does not hold what is wanted: now, if it did not before.
    pub(crate) fn troubled(&mut self, now: Instant) -> Instant {
        *self.since.get_or_insert(now)
    }

    /// The source failed.
    pub(crate) fn failed(&mut self, error: &Error, now: Instant) -> Failed {
        let since = self.troubled(now);
        Failed {
            news: self.notices.is_news(error.sameness(), now),
            lasts: now.duration_since(since) >= HICCUP,
            pause: self.failures.next_delay(),
        }
    }

    /// Whether something else about the source is news; see [`Notices::is_news`].
    pub(crate) fn is_news(&mut self, what: String, now: Instant) -> Option<u64> {
        self.notices.is_news(what, now)
    }
}
