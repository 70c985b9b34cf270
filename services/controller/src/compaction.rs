//! How the metadata store is kept from filling up: what was changed long ago is forgotten, and an operator is warned early.
//!
//! etcd keeps every version of every key until it is compacted, and takes no change any more when it has reached its quota (2 GiB unless told otherwise).
//! So the leader asks it to forget what is older than [`KEPT`]: long enough for watches to catch up, short enough that all changes that a controller makes in
//! that time ([`crate::pace`]) are a fraction of the quota.

use std::collections::VecDeque;
use std::time::Duration;

use rocketbridge_metastore::Fullness;
use tokio::time::Instant;

/// How long changes are kept at least.
pub const KEPT: Duration = Duration::from_secs(10 * 60);
/// How often the store is asked to forget.
const PERIOD: Duration = Duration::from_secs(5 * 60);
/// Parts of the quota, percent, at which the operator is warned.
const MARKS: [u64; 3] = [50, 75, 90];

/// When to forget what. Pure: the clock is an argument.
#[derive(Debug, Default)]
pub struct Schedule {
    /// Moments and the store's revision then, oldest first.
    noted: VecDeque<(Instant, u64)>,
    compacted: Option<(Instant, u64)>,
}

impl Schedule {
    /// Notes the store's present revision. Answers up to which revision the store may forget, if it is time.
    pub fn note(&mut self, now: Instant, revision: u64) -> Option<u64> {
        self.noted.push_back((now, revision));
        let mut old = None;
        while let Some(&(moment, revision)) = self.noted.front()
            && now.duration_since(moment) >= KEPT
        {
            old = Some(revision);
            self.noted.pop_front();
        }
        let (last, done) = self.compacted.map_or((None, 0), |(moment, revision)| (Some(moment), revision));
        let old = old.filter(|old| *old > done)?;
        if last.is_some_and(|last| now.duration_since(last) < PERIOD) {
            // It is forgotten with the next one.
            self.noted.push_front((now.checked_sub(KEPT).unwrap_or(now), old));
            return None;
        }
        self.compacted = Some((now, old));
        Some(old)
    }
}

/// What was warned of, so that each mark is told once on the way up.
#[derive(Debug, Default)]
pub struct Watermark(u64);

impl Watermark {
    /// The mark that was reached since the last look, percent. One is told again after the store was below it.
    pub fn reached(&mut self, fullness: Fullness) -> Option<u64> {
        let percent = u128::from(fullness.used) * 100 / u128::from(fullness.quota.max(1));
        let mark = MARKS.into_iter().rev().find(|mark| percent >= u128::from(*mark)).unwrap_or_default();
        let before = std::mem::replace(&mut self.0, mark);
        (mark > before).then_some(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: a leader notes a revision each minute for an hour, then one stops changing. *Guarantees*: nothing younger than ten minutes is forgotten; what is older is
    /// forgotten every five minutes and once.
    #[test]
    fn what_is_old_is_forgotten_and_nothing_else() {
        let begin = Instant::now();
        let mut schedule = Schedule::default();
        let mut forgotten = Vec::new();
        for minute in 0..60 {
            let now = begin + Duration::from_secs(60 * minute);
            forgotten.extend(schedule.note(now, 100 + minute).map(|revision| (minute, revision)));
        }
        assert_eq!(forgotten[0], (10, 100));
        assert!(forgotten.iter().all(|(minute, revision)| *revision + KEPT.as_secs() / 60 <= 100 + minute), "{forgotten:?}");
        assert!(forgotten.windows(2).all(|pair| pair[1].0 - pair[0].0 == 5 && pair[1].1 > pair[0].1), "{forgotten:?}");
        let still: Vec<_> = (60..120).filter_map(|minute| schedule.note(begin + Duration::from_secs(60 * minute), 159)).collect();
        assert_eq!(still.last(), Some(&159));
        assert_eq!(still.iter().filter(|revision| **revision == 159).count(), 1);
    }

    /// *Scenario*: a store fills up, is emptied and fills up again. *Guarantees*: each mark is told once on each way up, also where several are passed at once.
    #[test]
    fn an_operator_is_warned_at_each_mark() {
        let mut watermark = Watermark::default();
        let mut reached = |used: u64| watermark.reached(Fullness { used, quota: 1_000 });
        let told: Vec<_> = [0, 499, 500, 600, 749, 901, 950, 100, 760].into_iter().map(&mut reached).collect();
        assert_eq!(told, [None, None, Some(50), None, None, Some(90), None, None, Some(75)]);
    }
}
