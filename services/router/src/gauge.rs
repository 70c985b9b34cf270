//! What is told of a partition: kept by its task, read by reports.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rocketbridge_connector::Source;
use rocketbridge_delivery::outbox::Ended;
use rocketbridge_model::session::Trouble;
use rocketbridge_model::status::{BlockedEvent, PartitionReport};
use rocketbridge_model::{Epoch, Event, Outcome, PartitionId};

use crate::clock;

/// The rate is that of this long.
const RATE_WINDOW: Duration = Duration::from_secs(5);

/// Shared between the task and reports. The lock is held for some stores only.
#[derive(Clone)]
pub(crate) struct Gauge(Arc<Mutex<State>>);

struct State {
    report: PartitionReport,
    /// Why the source cannot be read, while everything else goes on.
    source: Option<String>,
    /// The event that the source has and that cannot be read, if the next one is such.
    unreadable: Option<BlockedEvent>,
    /// Events that had ended when progress was asked for last.
    seen: u64,
    /// Events ended, by when: one entry a tenth of a second at most.
    ended: VecDeque<(Instant, u64)>,
    /// Offset of the event that blocked last, and since when.
    blocked_since: Option<(u64, i64)>,
    age: Age,
    /// Where the partition is read, for what will stop that; also between two openings, so that what it keeps is kept.
    reads: Option<Source>,
}

/// What bounds the age of the oldest message that is not committed. All times are milliseconds since 1970.
#[derive(Clone, Copy, Default)]
struct Age {
    /// When the source stored the oldest event under way; `None` if none is.
    open: Option<i64>,
    /// When the source stored the event that ended last.
    ended: i64,
    /// When everything was last read and nothing was under way: whatever is not committed was stored later.
    caught_up: i64,
    /// When the source last said where it ends; `None` before it did.
    end_told: Option<tokio::time::Instant>,
}

impl Gauge {
    pub(crate) fn new(partition: &PartitionId, epoch: Epoch) -> Self {
        let report = PartitionReport {
            partition: partition.to_string(),
            epoch: epoch.0,
            counts_since: Some(clock::now()),
            ..PartitionReport::default()
        };
        Self(Arc::new(Mutex::new(State {
            report,
            source: None,
            unreadable: None,
            seen: 0,
            ended: VecDeque::new(),
            blocked_since: None,
            age: Age::default(),
            reads: None,
        })))
    }

    /// The source hands out messages: its offsets are the router's own numbers, and where it ends is not known.
    pub(crate) fn receives(&self) {
        self.0.lock().report.received = true;
    }

    /// Whether an event has ended since this was asked last.
    pub(crate) fn takes_progress(&self) -> bool {
        let mut state = self.0.lock();
        let ended = state.report.counts.ended();
        std::mem::replace(&mut state.seen, ended) != ended
    }

    /// The source cannot be read, or can be again. What was read goes on meanwhile.
    pub(crate) fn source(&self, failure: Option<String>) {
        self.0.lock().source = failure;
    }

    /// The next event of the source cannot be read, ever; or reading goes on.
    pub(crate) fn unreadable(&self, event: Option<(u64, String)>) {
        let mut state = self.0.lock();
        let former = state.unreadable.take();
        state.unreadable = event.map(|(offset, reason)| {
            let since = former.filter(|former| former.offset == offset).map_or_else(clock::now, |former| former.since);
            BlockedEvent { offset, reason, since }
        });
    }

    /// An operator let an event pass that could not be read.
    pub(crate) fn passed_unread(&self) {
        self.0.lock().report.counts.skipped += 1;
    }

    /// Where the partition is read from now on.
    pub(crate) fn reads(&self, source: Source) {
        self.0.lock().reads = Some(source);
    }

    /// Messages were lost at the source before they were read.
    pub(crate) fn lost(&self, messages: u64) {
        self.0.lock().report.counts.gaps += messages;
    }

    /// The offset that was committed last.
    pub(crate) fn committed_offset(&self) -> u64 {
        self.0.lock().report.committed_offset
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
        state.report.flowing = trouble.as_ref().is_none_or(|trouble| trouble.goes_on);
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
            let (_, since) = state.blocked_since.filter(|(former, _)| *former == offset).unwrap_or_else(|| (offset, clock::now()));
            state.blocked_since = Some((offset, since));
            BlockedEvent { offset, reason, since }
        });
        state.report.blocked = blocked;
    }

    /// Where reading is, how much is under way, and when the source stored the oldest of it, milliseconds since 1970.
    pub(crate) fn progress(&self, read_offset: u64, in_flight: usize, oldest_stored: Option<i64>) {
        let mut state = self.0.lock();
        state.report.read_offset = read_offset;
        state.report.in_flight = in_flight as u64;
        state.age.open = oldest_stored;
        if in_flight == 0 && read_offset >= state.report.maximum_offset {
            state.age.caught_up = now();
        }
    }

    pub(crate) fn maximum(&self, maximum_offset: u64) {
        let mut state = self.0.lock();
        state.report.maximum_offset = maximum_offset;
        state.age.end_told = Some(tokio::time::Instant::now());
    }

    /// Whether something is under way and the source has not said for so long where it ends.
    pub(crate) fn is_end_older_than(&self, age: Duration) -> bool {
        let state = self.0.lock();
        state.report.in_flight > 0 && state.age.end_told.is_none_or(|told| told.elapsed() >= age)
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
        counts.deduplicated += tally.deduplicated;
        counts.looped += tally.looped;
        counts.unproven += tally.unproven;
        state.report.latency = since(tally.stored_last);
        state.age.ended = tally.stored_last;
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
        if let Some(failure) = &state.source {
            report.flowing = false;
            report.failure = Some(failure.clone());
        }
        if report.blocked.is_none()
            && let Some(event) = &state.unreadable
        {
            report.flowing = false;
            report.failure = Some(format!("blocked by the event at offset {}, which cannot be read: {}", event.offset, event.reason));
            report.blocked = Some(event.clone());
        }
        // What will stop it is told only while nothing has.
        if report.failure.is_none() {
            report.failure = state.reads.as_ref().and_then(Source::concern);
        }
        report.rate = events as f64 / span.as_secs_f64();
        if events == 0 {
            report.latency = Duration::ZERO;
        }
        report.lag = state.lag();
        report
    }
}

impl State {
    /// Age of the oldest message that is not committed. One that was not read yet is at most as old as this says: the source stored it
    /// after the message that ended last, and after everything was last read.
    fn lag(&self) -> Option<Duration> {
        self.age.end_told?;
        if self.report.committed_offset >= self.report.maximum_offset {
            return Some(Duration::ZERO);
        }
        let stored = self.age.open.unwrap_or(self.age.ended.max(self.age.caught_up));
        (stored > 0).then(|| since(stored))
    }

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
    deduplicated: u64,
    looped: u64,
    unproven: u64,
    stored_last: i64,
}

impl Tally {
    /// Counts an event that an operator lets pass.
    pub(crate) fn skip(&mut self, event: &Event) {
        self.events += 1;
        self.skipped += 1;
        self.stored_last = event.envelope.store_timestamp;
    }

    pub(crate) fn count(&mut self, ended: &Ended<'_, Event>) {
        self.events += 1;
        self.stored_last = ended.item.envelope.store_timestamp;
        match ended.outcome {
            Outcome::Filtered => self.filtered += 1,
            Outcome::Looped => {
                self.filtered += 1;
                self.looped += 1;
            }
            Outcome::Delivered => self.delivered += 1,
            Outcome::Deduplicated => {
                self.delivered += 1;
                self.deduplicated += 1;
            }
            Outcome::Unproven => {
                self.delivered += 1;
                self.unproven += 1;
            }
            Outcome::Parked => self.parked += 1,
            Outcome::DeadLettered => self.dead_lettered += 1,
            Outcome::Discarded(_) => self.discarded += 1,
            Outcome::Skipped(_) => self.skipped += 1,
            Outcome::Nack(_) => {}
        }
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn since(milliseconds: i64) -> Duration {
    let stored = UNIX_EPOCH + Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0));
    SystemTime::now().duration_since(stored).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use futures::future::BoxFuture;
    use rocketbridge_connector::{Error, OffsetSource, OpenPartition, Partition, Survey};
    use rocketbridge_model::resolved::StartPosition;

    use super::*;

    /// *Scenario*: an event blocks, its session is lost and opened again, and it blocks again; then it is gone, and another blocks. *Guarantees*: the report
    /// names the event and why, and since when it has blocked, whatever became of sessions.
    #[test]
    fn a_blocking_event_is_reported_since_it_first_blocked() {
        let gauge = Gauge::new(&PartitionId::new("b/0"), Epoch(1));
        let blocks = |offset| Some(Trouble { reason: "too long".into(), permanent: true, blocked_offset: Some(offset), goes_on: false });
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

    /// A source that works, and will not before long.
    struct Worried;

    impl OffsetSource for Worried {
        fn concern(&self) -> Option<String> {
            Some("the keys end in 4 min".to_owned())
        }

        fn partitions(&self) -> BoxFuture<'_, Result<Vec<Partition>, Error>> {
            unreachable!("nothing is read")
        }

        fn offset_at<'a>(&'a self, _: &'a Partition, _: StartPosition) -> BoxFuture<'a, Result<u64, Error>> {
            unreachable!("nothing is read")
        }

        fn survey<'a>(&'a self, _: &'a Partition, _: &'a [u64]) -> BoxFuture<'a, Result<Survey, Error>> {
            unreachable!("nothing is read")
        }

        fn open<'a>(&'a self, _: &'a Partition) -> BoxFuture<'a, Result<OpenPartition, Error>> {
            unreachable!("nothing is read")
        }
    }

    /// *Scenario*: source and target tell what will stop them, and something stops. *Guarantees*: a concern is told of a partition that flows; what stops it takes
    /// its place.
    #[test]
    fn what_will_stop_a_partition_is_told_while_it_flows() {
        let gauge = Gauge::new(&PartitionId::new("b/0"), Epoch(1));
        gauge.flows();
        gauge.reads(Source::Offsets(Arc::new(Worried)));
        let told = || (gauge.report().flowing, gauge.report().failure.unwrap_or_default());
        assert_eq!(told(), (true, "the keys end in 4 min".to_owned()));
        gauge.trouble(Some(Trouble { reason: "the target's keys end in 2 min".into(), goes_on: true, ..Trouble::default() }));
        assert_eq!(told(), (true, "the target's keys end in 2 min".to_owned()));
        gauge.fails("refused");
        assert_eq!(told(), (false, "refused".to_owned()));
    }

    fn gauge() -> Gauge {
        let gauge = Gauge::new(&PartitionId::new("b/0"), Epoch(1));
        gauge.committed(10);
        gauge
    }

    fn seconds(gauge: &Gauge) -> Option<u64> {
        gauge.report().lag.map(|lag| lag.as_secs())
    }

    fn ended_of(stored: i64) -> Tally {
        Tally { events: 1, delivered: 1, stored_last: stored, ..Tally::default() }
    }

    /// *Scenario*: an event of a minute ago is under way behind a dead target; then it ends, and one of half a minute ago waits unread.
    /// *Guarantees*: the age is that of the oldest message without an end, and 0 only when everything is committed.
    #[test]
    fn the_lag_in_seconds_is_the_age_of_the_oldest_message_that_is_not_committed() {
        let gauge = gauge();
        assert_eq!(seconds(&gauge), None, "nobody has asked the source yet");
        gauge.maximum(12);
        gauge.progress(11, 1, Some(now() - 60_000));
        assert_eq!(seconds(&gauge), Some(60));
        gauge.ended(ended_of(now() - 60_000));
        gauge.progress(11, 0, None);
        gauge.committed(11);
        assert_eq!(seconds(&gauge), Some(60), "the next one is no older than the one before it");
        gauge.progress(12, 1, Some(now() - 30_000));
        assert_eq!(seconds(&gauge), Some(30));
        gauge.ended(ended_of(now() - 30_000));
        gauge.progress(12, 0, None);
        gauge.committed(12);
        assert_eq!(seconds(&gauge), Some(0));
        gauge.maximum(13);
        assert_eq!(seconds(&gauge), Some(0), "it came after everything was read");
    }

    #[test]
    fn a_delay_is_told_only_while_events_end() {
        let gauge = gauge();
        gauge.ended(ended_of(now() - 1_000));
        assert!(gauge.report().latency >= Duration::from_secs(1));
        gauge.0.lock().ended.clear();
        assert_eq!(gauge.report().latency, Duration::ZERO);
    }

    #[test]
    fn counts_say_since_when() {
        let before = now();
        assert!((before..=now()).contains(&gauge().report().counts_since.expect("an ownership has a beginning")));
    }
}
