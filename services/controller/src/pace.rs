//! How fast definitions may change: a bucket of bytes, for one controller.
//!
//! A metadata store keeps every version of a definition for a while. A client that changes large definitions as fast as it can would fill its quota before anything is
//! forgotten; it waits instead, and when many wait it is refused and told to come again.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// What may be written at once after a quiet time, bytes.
const BURST: u64 = 16 << 20;
/// What may be written in a second for long, bytes: 600 MiB in the time that changes are kept, a third of etcd's usual quota.
const RATE: u64 = 1 << 20;
/// What the smallest change counts for, bytes: the store writes more than its value.
const LEAST: u64 = 512;
/// Longest wait; whoever would wait longer is refused.
const PATIENCE: Duration = Duration::from_secs(2);

/// The bucket.
#[derive(Debug, Default)]
pub struct Pace(Mutex<Option<Level>>);

/// What was written beyond what the rate allows, as of a moment.
#[derive(Clone, Copy, Debug)]
struct Level {
    moment: Instant,
    bytes: u64,
}

impl Pace {
    /// Takes room for a change. Answers how long to wait before it is written; `None` if that would be too long, and nothing was taken.
    pub fn take(&self, now: Instant, bytes: u64) -> Option<Duration> {
        let mut level = self.0.lock();
        let before = level.map_or(0, |level| level.bytes.saturating_sub(drained(now.saturating_duration_since(level.moment))));
        let after = before + bytes.max(LEAST);
        let wait = Duration::from_secs_f64(after.saturating_sub(BURST) as f64 / RATE as f64);
        if wait > PATIENCE {
            return None;
        }
        *level = Some(Level { moment: now, bytes: after });
        Some(wait)
    }
}

fn drained(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).saturating_mul(RATE / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: 150 updates of 900 KB as fast as they are answered, for a minute; then a quiet minute. *Guarantees*: no more than the burst and the rate are written; small changes at a usual
    /// rate never wait; after a quiet time there is room again.
    #[test]
    fn large_changes_are_slowed_down() {
        let pace = Pace::default();
        let begin = Instant::now();
        let mut written = 0;
        for tick in 0..6_000 {
            let now = begin + Duration::from_millis(10 * tick);
            if pace.take(now, 900_000).is_some() {
                written += 900_000;
            }
        }
        assert!((BURST..=BURST + 63 * RATE).contains(&written), "{written}");
        let later = begin + Duration::from_secs(200);
        assert!((0..1_000).all(|number| pace.take(later + Duration::from_millis(number), 2_000) == Some(Duration::ZERO)));
        let pace = Pace::default();
        let waits: Vec<_> = (0..30).map(|_| pace.take(begin, 1 << 20)).collect();
        assert_eq!((waits[15], waits[17], waits[18]), (Some(Duration::ZERO), Some(Duration::from_secs(2)), None));
    }
}
