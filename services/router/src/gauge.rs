//! What is told of a partition: kept by its task, read by reports.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rocketbridge_delivery::outbox::Ended;
use rocketbridge_model::session::Trouble;
use rocketbridge_model::status::{BlockedEvent, PartitionReport};
use rocketbridge_model::{Epoch, Event, Outcome, PartitionId};

/// The rate is that of this long.
const RATE_WINDOW: Duration = Duration::from_secs(5);

/// Shared between the task and reports. The lock is held for some stores only.
#[derive(Clone)]
pub(crate) struct Gauge(Arc<Mutex<State>>);

struct State {
    report: PartitionReport,
    /// Events ended, by when: one entry a tenth of a second at most.
    ended: VecDeque<(Instant, u64)>,
    /// Offset of the event that blocked last, and since when.
    blocked_since: Option<(u64, i64)>,
}

impl Gauge {
    pub(crate) fn new(partition: &PartitionId, epoch: Epoch) -> Self {
        let report = PartitionReport { partition: partition.to_string(), epoch: epoch.0, ..PartitionReport::default() };
        Self(Arc::new(Mutex::new(State { report, ended: VecDeque::new(), blocked_since: None })))
    }

    /// Whether source and session are open.
    pub(crate) fn is_flowing(&self) -> bool {
        self.0.lock().report.flowing
    }

    /// Why nothing flows, or why it waits.
    pub(crate) fn fails(&self, reason: impl Into<String>) {
        let mut state = self.0.lock();
        state.report.flowing = false;
        state.report.failure = Some(reason.into());
    }

    /// Source and session are open.
    pub(crate) fn flows(&self) {
        let mut state = self.0.lock();
        state.report.flowing = true;
        state.report.flowed = true;
        state.report.failure = None;
    }

    /// The far side waits, or no longer does. Nothing is stopped by it.
    pub(crate) fn trouble(&self, trouble: Option<Trouble>) {
        let mut state = self.0.lock();
        state.report.flowing = trouble.is_none();
        let Some(Trouble { reason, blocked_offset, .. }) = trouble else {
            state.report.failure = None;
            state.report.blocked = None;
            return;
        };
        state.report.failure = Some(match blocked_offset {
            Some(offset) => format!("blocked by the event at offset {offset}: {reason}"),
            None => reason.clone(),
        });
        let blocked = blocked_offset.map(|offset| {
            // The same event blocks since it first did, though sessions come and go and its reason may change.
            let (_, since) = state.blocked_since.filter(|(former, _)| *former == offset).unwrap_or_else(|| (offset, now()));
            state.blocked_since = Some((offset, since));
            BlockedEvent { offset, reason, since }
        });
        state.report.blocked = blocked;
    }

    pub(crate) fn progress(&self, read_offset: u64, in_flight: usize) {
        let mut state = self.0.lock();
        state.report.read_offset = read_offset;
        state.report.in_flight = in_flight as u64;
    }

    pub(crate) fn maximum(&self, maximum_offset: u64) {
        self.0.lock().report.maximum_offset = maximum_offset;
    }

    pub(crate) fn committed(&self, offset: u64) {
        self.0.lock().report.committed_offset = offset;
    }

    pub(crate) fn repeated(&self, events: usize) {
        self.0.lock().report.counts.redelivered += events as u64;
    }

    /// Counts what a batch of outcomes ended.
    pub(crate) fn ended(&self, tally: Tally) {
        if tally.events == 0 {
            return;
        }
        let now = Instant::now();
        let mut state = self.0.lock();
        let counts = &mut state.report.counts;
        counts.filtered += tally.filtered;
        counts.delivered += tally.delivered;
        counts.parked += tally.parked;
        counts.dead_lettered += tally.dead_lettered;
        counts.discarded += tally.discarded;
        counts.skipped += tally.skipped;
        state.report.latency = since(tally.stored_last);
        match state.ended.back_mut() {
            Some((at, events)) if now.duration_since(*at) < RATE_WINDOW / 50 => *events += tally.events,
            _ => state.ended.push_back((now, tally.events)),
        }
        state.forget(now);
    }

    pub(crate) fn report(&self) -> PartitionReport {
        let now = Instant::now();
        let mut state = self.0.lock();
        state.forget(now);
        let events: u64 = state.ended.iter().map(|(_, events)| events).sum();
        let span = state.ended.front().map_or(RATE_WINDOW, |(first, _)| now.duration_since(*first).max(Duration::from_secs(1)));
        let mut report = state.report.clone();
        report.rate = events as f64 / span.as_secs_f64();
        report
    }
}

impl State {
    fn forget(&mut self, now: Instant) {
        while self.ended.front().is_some_and(|(at, _)| now.duration_since(*at) > RATE_WINDOW) {
            self.ended.pop_front();
        }
    }
}

/// What one batch of outcomes ended.
#[derive(Default)]
pub(crate) struct Tally {
    events: u64,
    filtered: u64,
    delivered: u64,
    parked: u64,
    dead_lettered: u64,
    discarded: u64,
    skipped: u64,
    stored_last: i64,
}

impl Tally {
    pub(crate) fn count(&mut self, ended: &Ended<'_, Event>) {
        self.events += 1;
        self.stored_last = ended.item.envelope.store_timestamp;
        match ended.outcome {
            Outcome::Filtered => self.filtered += 1,
            Outcome::Delivered => self.delivered += 1,
            Outcome::Parked => self.parked += 1,
            Outcome::DeadLettered => self.dead_lettered += 1,
            Outcome::Discarded(_) => self.discarded += 1,
            Outcome::Skipped(_) => self.skipped += 1,
            Outcome::Nack(_) => {}
        }
    }
}

fn since(milliseconds: i64) -> Duration {
    let stored = UNIX_EPOCH + Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0));
    SystemTime::now().duration_since(stored).unwrap_or_default()
}

/// Milliseconds since 1970.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: an event blocks, its session is lost and opened again, and it blocks again; then it is gone, and another blocks. *Guarantees*: the report
    /// names the event and why, and since when it has blocked, whatever became of sessions.
    #[test]
    fn a_blocking_event_is_reported_since_it_first_blocked() {
        let gauge = Gauge::new(&PartitionId::new("b/0"), Epoch(1));
        let blocks = |offset| Some(Trouble { reason: "too long".into(), permanent: true, blocked_offset: Some(offset) });
        gauge.0.lock().blocked_since = Some((7, 1_000));
        gauge.trouble(blocks(7));
        let report = gauge.report();
        assert_eq!(report.failure.as_deref(), Some("blocked by the event at offset 7: too long"));
        assert_eq!(report.blocked, Some(BlockedEvent { offset: 7, reason: "too long".into(), since: 1_000 }));
        gauge.trouble(None);
        assert_eq!((gauge.report().blocked, gauge.report().failure, gauge.report().flowing), (None, None, true));
        gauge.trouble(blocks(7));
        assert_eq!(gauge.report().blocked.map(|blocked| blocked.since), Some(1_000));
        gauge.trouble(blocks(8));
        assert!(gauge.report().blocked.is_some_and(|blocked| blocked.offset == 8 && blocked.since > 1_000));
    }
}
