//! Reads ahead of the flow, in a task of its own, so that the source's round trips overlap with everything else.
//!
//! A failure of the source stays here: it is tried again at the same offset, while the session, what is under way and the other partitions
//! go on. After a failure, and whenever the source says that an offset is not there, the reader makes sure that the source is still what
//! was read (see [`continuity`](crate::continuity)) before it reads on. What the source has lost is written down and passed over; only
//! where reading must go back does it end, with [`Read::Moved`], and the partition is opened anew.
//!
//! An event that is larger than can travel is no failure that passes: it blocks the partition, the status names it, and reading goes on
//! behind it when an operator lets it pass.

use std::time::Duration;

use rocketbridge_connector::{Code, PartitionReader, PullLimits, Pulled};
use rocketbridge_model::partition::{Gap, GapCause, Landmark};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::allotment::{self, Allotment};
use crate::bearing::Bearing;
use crate::bucket::Bucket;
use crate::clock;
use crate::continuity::{Verdict, Waiting};
use crate::error::Error;
use crate::gauge::Gauge;
use crate::logbook::Logbook;
use crate::pacing::{Failed, Pacing};
use crate::read::Read;
use crate::skips::PartitionSkips;

/// Reads that may wait for the flow. When they do, reading pauses: the window is full.
const AHEAD: usize = 2;
/// When nothing was read for so long, what comes then may be another topic's: one that was removed and made anew meanwhile, and has grown past the
/// offset. So what was read last is looked for first.
const LULL: Duration = Duration::from_secs(1);
/// The longest that the last write of a partition that is handed over may take.
const LAST_WRITE: Duration = Duration::from_millis(300);
/// Between two tries of an event that cannot be read: each brings all of it.
const UNREADABLE: Duration = Duration::from_secs(60);
/// Between two questions for an offset that is not there yet.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Reads until it is stopped.
pub(crate) struct Reader {
    reads: mpsc::Receiver<Read>,
    stop: CancellationToken,
    task: JoinHandle<Logbook>,
}

/// What a reader is made of.
pub(crate) struct Reading {
    /// For logs.
    pub(crate) stream: String,
    pub(crate) reader: Box<dyn PartitionReader>,
    /// What is read and not handed on is given back to it.
    pub(crate) allotment: Allotment,
    pub(crate) bearing: Bearing,
    pub(crate) logbook: Logbook,
    pub(crate) gauge: Gauge,
    /// Where to begin.
    pub(crate) offset: u64,
    pub(crate) limits: PullLimits,
    /// Bounds events per second.
    pub(crate) bucket: Option<Bucket>,
    /// What operators let pass.
    pub(crate) skips: PartitionSkips,
}

impl Reader {
    /// Starts to read.
    pub(crate) fn start(reading: Reading) -> Self {
        let (sender, reads) = mpsc::channel(AHEAD);
        let stop = CancellationToken::new();
        let mut work =
            Work { reading, sender, must_look: false, is_alone: false, assured: Instant::now(), oldest: 0, pacing: Pacing::new() };
        // Not spawned through the process's tasks: it lives and dies with this handle and holds nothing that must be drained.
        let task = tokio::spawn({
            let stop = stop.clone();
            async move {
                // A read that is cut off is read again by the next owner; a write of the logbook, written again.
                tokio::select! {
                    biased;
                    () = stop.cancelled() => {}
                    () = work.run() => {}
                }
                work.reading.logbook
            }
        });
        Self { reads, stop, task }
    }

    /// The next read. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<Read> {
        self.reads.recv().await
    }

    /// Stops it, and writes down how far it came, unless that takes until then.
    pub(crate) async fn finish(mut self, committed: u64, until: Instant) {
        self.stop.cancel();
        self.reads.close();
        if let Ok(mut logbook) = (&mut self.task).await {
            logbook.committed(committed);
            // A stop does not wait for it: without, the message that was written down before serves.
            let now = Instant::now();
            tokio::time::timeout_at(until.min(now + LAST_WRITE), logbook.write_last(now)).await.ok();
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.cancel();
        self.task.abort();
    }
}

struct Work {
    reading: Reading,
    sender: mpsc::Sender<Read>,
    /// The source must be looked over before it is read on.
    must_look: bool,
    /// What was read last was more than can be taken: the next event is asked for alone.
    is_alone: bool,
    /// When the source was last known to be what was read.
    assured: Instant,
    /// The oldest offset that the source has told.
    oldest: u64,
    pacing: Pacing,
}

/// Whether reading goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    GoOn,
    Over,
}

impl Work {
    async fn run(&mut self) {
        loop {
            let next = if self.must_look { self.look().await } else { self.pull().await };
            let now = Instant::now();
            let next = match next {
                Ok(next) => next,
                Err(error) => self.fail(error, now).await,
            };
            if next == Next::Over {
                // What the partition is opened anew by must be stored.
                self.reading.logbook.write_soon(now).await;
                return;
            }
            self.reading.logbook.committed(self.reading.gauge.committed_offset());
            self.reading.logbook.write_due(now).await;
        }
    }

    async fn pull(&mut self) -> Result<Next, Error> {
        let mut limits = self.reading.limits;
        if let Some(bucket) = &mut self.reading.bucket {
            let available = bucket.available(Instant::now());
            if available == 0 {
                let wait = bucket.wait();
                tokio::time::sleep(wait).await;
                return Ok(Next::GoOn);
            }
            limits.events = limits.events.min(available);
        }
        if self.is_alone {
            limits = PullLimits { events: 1, ahead: false, ..limits };
        }
        let asked = Instant::now();
        let offset = self.reading.offset;
        let pulled = match self.reading.reader.pull(offset, limits).await {
            Ok(pulled) => pulled,
            Err(error) if error.code() == Code::OffsetOutOfRange => {
                self.must_look = true;
                return Ok(Next::GoOn);
            }
            Err(error) if error.code() == Code::Rejected => return Ok(self.unreadable(error).await),
            Err(error) => return Err(error.into()),
        };
        if std::mem::take(&mut self.is_alone) {
            self.reading.gauge.unreadable(None);
        }
        if pulled.minimum_offset < self.oldest {
            // Nothing that was removed comes back: this is another member of the broker, or another topic.
            self.oldest = 0;
            self.must_look = true;
            self.reading.allotment.returned(allotment::size(&pulled.events));
            return Ok(Next::GoOn);
        }
        if !pulled.events.is_empty() {
            if self.assured.elapsed() >= LULL && !self.is_still_the_same().await {
                self.must_look = true;
                self.reading.allotment.returned(allotment::size(&pulled.events));
                return Ok(Next::GoOn);
            }
            self.assured = Instant::now();
        }
        self.oldest = pulled.minimum_offset;
        let moves = !pulled.events.is_empty() || pulled.next_offset > offset;
        if let Some(bucket) = &mut self.reading.bucket {
            bucket.spend(pulled.events.len());
        }
        self.notice_missing(&pulled).await;
        self.reading.offset = offset.max(pulled.next_offset);
        self.reading.logbook.moves(pulled.events.last().map(Landmark::of), pulled.maximum_offset);
        let pause = self.pacing.answered(moves, asked.elapsed());
        if self.sender.send(read(pulled)).await.is_err() {
            return Ok(Next::Over);
        }
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
        Ok(Next::GoOn)
    }

    /// Whether what was read last still stands where it was read. Without an answer it is looked over again.
    async fn is_still_the_same(&mut self) -> bool {
        let (known, offset, bearing) = (self.reading.logbook.known(), self.reading.offset, self.reading.bearing.clone());
        known.is_empty() || bearing.take(offset, &known, Duration::ZERO).await.is_ok_and(|(verdict, _)| matches!(verdict, Verdict::GoOn))
    }

    /// More was answered than can be taken. The next event is asked for alone; if that is too much, it blocks until it may pass.
    async fn unreadable(&mut self, error: rocketbridge_connector::Error) -> Next {
        if !std::mem::replace(&mut self.is_alone, true) {
            return Next::GoOn;
        }
        let Reading { stream, bearing, offset, gauge, skips, .. } = &mut self.reading;
        let (partition, at) = (&bearing.partition.id, *offset);
        if let Some(untold) = self.pacing.is_news(error.reason.clone(), Instant::now()) {
            tracing::warn!(stream = %stream, %partition, offset = at, %error, untold, "an event cannot be read and blocks those behind it");
        }
        gauge.unreadable(Some((at, error.reason)));
        let Some(reason) = skips.marks().remove(&at) else {
            // Both arms only wait; either way the event is tried again, unless it may pass by then.
            tokio::select! {
                () = skips.changed() => {}
                () = tokio::time::sleep(UNREADABLE) => {}
            }
            return Next::GoOn;
        };
        tracing::warn!(stream = %stream, %partition, offset = at, reason, "event skipped, as an operator asked");
        gauge.unreadable(None);
        gauge.passed_unread();
        *offset = at + 1;
        self.is_alone = false;
        let passed = Pulled { next_offset: at + 1, maximum_offset: gauge.report().maximum_offset, ..Pulled::default() };
        if self.sender.send(read(passed)).await.is_err() { Next::Over } else { Next::GoOn }
    }

    /// Makes sure that the source is still what was read.
    async fn look(&mut self) -> Result<Next, Error> {
        let since = self.pacing.troubled(Instant::now());
        let wanted = self.reading.offset;
        let known = self.reading.logbook.known();
        let (verdict, survey) = self.reading.bearing.take(wanted, &known, since.elapsed()).await?;
        match verdict {
            Verdict::GoOn => {
                self.must_look = false;
                self.assured = Instant::now();
            }
            Verdict::Wait(waiting @ Waiting::Growth) => {
                tracing::debug!(stream = %self.reading.stream, wanted, %waiting);
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Verdict::Wait(waiting @ Waiting::Master) => return Err(waiting.into()),
            Verdict::Skip { to } => {
                self.must_look = false;
                self.gap(Gap { from: wanted, to, at: clock::now(), cause: GapCause::Retention }).await;
                self.reading.offset = to;
                let pulled = Pulled { next_offset: to, maximum_offset: survey.maximum, ..Pulled::default() };
                if self.sender.send(read(pulled)).await.is_err() {
                    return Ok(Next::Over);
                }
            }
            Verdict::Back { .. } => {
                // Decided when it is opened anew, by what the group has committed.
                let _ = self.sender.send(Read::Moved).await;
                return Ok(Next::Over);
            }
        }
        Ok(Next::GoOn)
    }

    /// Offsets without an event, though nothing is filtered.
    async fn notice_missing(&mut self, pulled: &Pulled) {
        for missing in &pulled.missing {
            // What is older than the oldest was removed by its age; else the broker cannot find it any more, or never could.
            let cause = if missing.end <= pulled.minimum_offset { GapCause::Retention } else { GapCause::Skipped };
            self.gap(Gap { from: missing.start, to: missing.end, at: clock::now(), cause }).await;
        }
    }

    async fn gap(&mut self, gap: Gap) {
        let Reading { stream, bearing, logbook, gauge, .. } = &mut self.reading;
        let key = format!("gap {}", gap.cause.word());
        if let Some(untold) = self.pacing.is_news(key, Instant::now()) {
            tracing::warn!(
                stream = %stream, partition = %bearing.partition.id, from = gap.from, to = gap.to, cause = gap.cause.word(), untold,
                "messages of the source were lost before they were read: reading goes on behind them"
            );
        }
        gauge.lost(gap.lost());
        logbook.gap(gap);
        // Written before what is behind it can be committed, as long as gaps are rare and the store answers.
        logbook.write_due(Instant::now()).await;
    }

    async fn fail(&mut self, error: Error, now: Instant) -> Next {
        self.must_look = true;
        let Failed { news, lasts, pause } = self.pacing.failed(&error, now);
        let Reading { stream, bearing, offset, .. } = &self.reading;
        if let Some(untold) = news {
            tracing::warn!(
                stream = %stream, partition = %bearing.partition.id, offset, code = ?error.code(), %error, untold,
                "the source cannot be read, tried again"
            );
        }
        if lasts && self.sender.send(Read::Failing(error)).await.is_err() {
            return Next::Over;
        }
        tokio::time::sleep(pause).await;
        Next::GoOn
    }
}

/// What the flow hears of a pull.
fn read(pulled: Pulled) -> Read {
    let end = Some(pulled.maximum_offset);
    Read::Events { events: pulled.events, next_offset: pulled.next_offset, end }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rocketbridge_codec::definition::stored;
    use rocketbridge_codec::keyspace;
    use rocketbridge_delivery::Budget;
    use rocketbridge_metastore::{Metastore, Transaction};
    use rocketbridge_model::partition::PartitionRecord;
    use rocketbridge_model::record::SkipRecord;
    use rocketbridge_model::resolved::StartPosition;
    use rocketbridge_model::{Epoch, PartitionId};
    use rocketbridge_runtime::{Shutdown, Tasks};

    use super::*;
    use crate::fake::{Store, Topic, partition, stream};
    use crate::skips::Skips;

    async fn logbook(store: &Arc<dyn Metastore>) -> Logbook {
        Logbook::open(store.clone(), &stream(StartPosition::Earliest), &PartitionId::new("b/0")).await.expect("opens")
    }

    /// A reader, and what it tells.
    struct Started {
        reader: Reader,
        gauge: Gauge,
    }

    impl std::ops::Deref for Started {
        type Target = Reader;

        fn deref(&self) -> &Reader {
            &self.reader
        }
    }

    impl std::ops::DerefMut for Started {
        fn deref_mut(&mut self) -> &mut Reader {
            &mut self.reader
        }
    }

    async fn start(topic: &Topic, store: &Arc<dyn Metastore>, offset: u64, bucket: Option<Bucket>) -> Started {
        let bearing = Bearing { source: Arc::new(topic.clone()), partition: partition(0), origin: 0 };
        let allotment = Allotment::new(Budget::new(1 << 30, 1 << 16).share());
        let gauge = Gauge::new(&PartitionId::new("b/0"), Epoch(1));
        let reading = Reading {
            stream: "s".into(),
            reader: allotment.reader(topic.reader().await),
            allotment,
            bearing,
            logbook: logbook(store).await,
            gauge: gauge.clone(),
            offset,
            limits: PullLimits { events: 7, bytes: 1 << 20, ahead: true },
            bucket,
            skips: Skips::start(store.clone(), &Tasks::new(Shutdown::new())).of("u", &PartitionId::new("b/0")),
        };
        Started { reader: Reader::start(reading), gauge }
    }

    /// The offsets that come until so many have, and how often the source was told to fail.
    async fn read(reader: &mut Reader, count: usize) -> (Vec<u64>, usize) {
        let (mut offsets, mut failing) = (Vec::new(), 0);
        while offsets.len() < count {
            match reader.next().await.expect("it goes on") {
                Read::Events { events, .. } => offsets.extend(events.iter().map(|event| event.offset)),
                Read::Failing(_) => failing += 1,
                Read::Moved => panic!("the source is what it was"),
            }
        }
        (offsets, failing)
    }

    /// *Scenario*: the source fails fifty times while 1,000 messages are read, once at a time. *Guarantees*: each message comes once, in order; the partition
    /// is not opened anew; and nobody is told of hiccups.
    #[tokio::test(start_paused = true)]
    async fn fifty_blips_of_a_source_repeat_nothing() {
        let (topic, store) = (Topic::new(0..1000), Arc::new(Store::default()) as Arc<dyn Metastore>);
        let mut reader = start(&topic, &store, 0, None).await;
        let mut offsets = Vec::new();
        for _ in 0..50 {
            topic.with(|topic| topic.failures = 1);
            let (more, failing) = read(&mut reader, 10).await;
            assert_eq!(failing, 0);
            offsets.extend(more);
        }
        offsets.extend(read(&mut reader, 1000 - offsets.len()).await.0);
        assert_eq!(offsets, (0..1000).collect::<Vec<_>>());
        let failed = topic.with(|topic| topic.failed);
        assert!(failed >= 45, "{failed} pulls failed");
    }

    /// *Scenario*: the eleventh message is larger than can be read; an operator lets it pass after ten minutes. *Guarantees*: those before it are read; the status names it
    /// and since when it blocks; it is asked for once a minute or so, not again and again; then reading goes on behind it, and it is counted as skipped.
    #[tokio::test(start_paused = true)]
    async fn an_event_that_is_too_large_to_be_read_blocks_until_it_may_pass() {
        let (topic, store) = (Topic::new(0..30), Arc::new(Store::default()) as Arc<dyn Metastore>);
        topic.with(|topic| topic.oversized = Some(10));
        let mut reader = start(&topic, &store, 0, None).await;
        let gauge = reader.gauge.clone();
        assert_eq!(read(&mut reader, 10).await.0, (0..10).collect::<Vec<_>>());
        topic.with(|topic| topic.pulls = 0);
        assert!(tokio::time::timeout(Duration::from_secs(600), read(&mut reader, 1)).await.is_err());
        let pulls = topic.with(|topic| topic.pulls);
        assert!((5..=25).contains(&pulls), "{pulls} tries in ten minutes");
        let blocked = gauge.report().blocked.expect("it is told");
        assert_eq!((blocked.offset, blocked.reason.as_str()), (10, "it answered 300000000 bytes"));
        let mark = stored::encode(SkipRecord { reason: "known".into(), ..SkipRecord::default() });
        store.transact(Transaction::new().put(keyspace::skip("u", "b/0", 10), mark)).await.expect("writes");
        assert_eq!(read(&mut reader, 19).await.0, (11..30).collect::<Vec<_>>());
        assert_eq!((gauge.report().blocked, gauge.report().counts.skipped), (None, 1));
    }

    /// *Scenario*: a source that is away for a minute, and one that answers "nothing" at once for a minute. *Guarantees*: some attempts a second at most in both, the first
    /// is told, and reading goes on where it was.
    #[tokio::test(start_paused = true)]
    async fn a_source_that_leads_nowhere_is_asked_now_and_then() {
        let (topic, store) = (Topic::new(0..5), Arc::new(Store::default()) as Arc<dyn Metastore>);
        let mut reader = start(&topic, &store, 0, None).await;
        topic.with(|topic| topic.failures = usize::MAX);
        let told = tokio::time::timeout(Duration::from_secs(60), read(&mut reader, 100)).await;
        assert!(told.is_err());
        let attempts = topic.with(|topic| std::mem::take(&mut topic.pulls));
        assert!((20..150).contains(&attempts), "{attempts} attempts in a minute");
        topic.with(|topic| topic.failures = 0);
        topic.with(|topic| topic.is_quick = true);
        assert_eq!(read(&mut reader, 5).await.0, [0, 1, 2, 3, 4]);
        topic.with(|topic| topic.pulls = 0);
        let nothing = tokio::time::timeout(Duration::from_secs(60), read(&mut reader, 1)).await;
        assert!(nothing.is_err());
        let pulls = topic.with(|topic| topic.pulls);
        assert!((20..150).contains(&pulls), "{pulls} pulls in a minute");
    }

    /// *Scenario*: the source removes what was to be read next. *Guarantees*: reading goes on at the oldest; the gap is on record, with its range and cause,
    /// before anything behind it comes.
    #[tokio::test(start_paused = true)]
    async fn what_expires_before_it_is_read_is_a_gap_on_record() {
        let (topic, store) = (Topic::new(0..30), Arc::new(Store::default()) as Arc<dyn Metastore>);
        topic.with(|topic| {
            topic.minimum = 100;
        });
        let mut reader = start(&topic, &store, 40, None).await;
        assert_eq!(read(&mut reader, 3).await.0[..3], [100, 101, 102]);
        let stored = store.list("partitions/u/").await.expect("lists").entries;
        let record: PartitionRecord = serde_json::from_slice(&stored[0].value).expect("a record");
        let gap = record.gaps[0];
        assert_eq!((gap.from, gap.to, gap.cause, record.lost), (40, 100, GapCause::Retention, 60));
    }

    /// *Scenario*: the topic is removed and made anew under a running reader, shorter than before. *Guarantees*: the reader says so and ends, and what it read last is on record.
    #[tokio::test(start_paused = true)]
    async fn a_topic_made_anew_under_a_reader_ends_it() {
        let (topic, store) = (Topic::new(0..30), Arc::new(Store::default()) as Arc<dyn Metastore>);
        let mut reader = start(&topic, &store, 0, None).await;
        read(&mut reader, 30).await;
        topic.with(|topic| topic.messages = (1000..1010).collect());
        loop {
            match reader.next().await.expect("it says so") {
                Read::Moved => break,
                Read::Events { events, .. } => assert!(events.is_empty()),
                Read::Failing(error) => panic!("{error}"),
            }
        }
        reader.reader.finish(30, Instant::now() + LAST_WRITE).await;
        assert_eq!(logbook(&store).await.known().last().map(|last| (last.offset, last.stored)), Some((29, 29)));
    }

    /// *Scenario*: while a reader waits for the next message, the topic is removed, made anew and grows longer than the old one was, all before the wait is over.
    /// *Guarantees*: none of its messages is taken for one of the old topic's; the reader says so within seconds.
    #[tokio::test(start_paused = true)]
    async fn a_topic_made_anew_within_one_wait_is_noticed() {
        let (topic, store) = (Topic::new(0..30), Arc::new(Store::default()) as Arc<dyn Metastore>);
        let mut reader = start(&topic, &store, 0, None).await;
        read(&mut reader, 30).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        topic.with(|topic| topic.messages = (1000..1040).collect());
        let begin = Instant::now();
        loop {
            match reader.next().await.expect("it says so") {
                Read::Moved => break,
                Read::Events { events, .. } => assert!(events.is_empty(), "messages of another topic"),
                Read::Failing(error) => panic!("{error}"),
            }
        }
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    }

    /// *Scenario*: a replica that is behind takes over, then the master is back. *Guarantees*: reading waits and says so, and goes on with nothing repeated.
    #[tokio::test(start_paused = true)]
    async fn a_replica_that_is_behind_is_waited_for() {
        let (topic, store) = (Topic::new(0..30), Arc::new(Store::default()) as Arc<dyn Metastore>);
        let mut reader = start(&topic, &store, 0, None).await;
        read(&mut reader, 30).await;
        topic.with(|topic| {
            topic.messages.truncate(20);
            topic.is_replica = true;
        });
        loop {
            match reader.next().await.expect("it goes on") {
                Read::Failing(error) => break assert!(error.to_string().contains("replica"), "{error}"),
                Read::Events { events, .. } => assert!(events.is_empty()),
                Read::Moved => panic!("a replica decides nothing"),
            }
        }
        topic.with(|topic| {
            topic.messages = (0..33).collect();
            topic.is_replica = false;
        });
        assert_eq!(read(&mut reader, 3).await.0, [30, 31, 32]);
    }

    /// *Scenario*: a rate of two per second over a backlog. *Guarantees*: events are read one by one, not in batches that then wait.
    #[tokio::test(start_paused = true)]
    async fn a_throttled_partition_reads_event_by_event() {
        let (topic, store) = (Topic::new(0..100), Arc::new(Store::default()) as Arc<dyn Metastore>);
        let begin = Instant::now();
        let mut reader = start(&topic, &store, 0, Some(Bucket::shared(2, 1, 0, begin))).await;
        assert_eq!(read(&mut reader, 21).await.0.len(), 21);
        let took = begin.elapsed().as_secs_f64();
        assert!((9.9..10.3).contains(&took), "{took} s for 20 intervals");
    }
}
