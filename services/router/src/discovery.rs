//! Finds the partitions of a stream's source and writes down where each begins.
//!
//! The moment of a stream's start is that of the first look, whatever there is to be seen then; it is written down even when nothing is.
//! A stream that starts at the newest offset begins there in the partitions of that moment. One that appears later begins with its
//! oldest offset: everything in it arrived after the stream had started. One that was there and could not be asked begins with the first
//! message stored since that moment, by its broker's clock.
//!
//! A source that hands out messages has as many partitions as it is worth having receivers side by side, and none of them begins anywhere: what
//! is not wanted is told by when it was stored.
//!
//! A partition that is missing for several looks is gone: nobody tries to read it any more, and its progress stays where it is, so that it
//! goes on if it comes back.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use parking_lot::Mutex;
use rocketbridge_connector::{Code, HandleSource, OffsetSource, Partition, Registry, Source};
use rocketbridge_mesh::definitions::Followed;
use rocketbridge_metastore::Metastore;
use rocketbridge_model::PartitionId;
use rocketbridge_model::record::{SourceForm, SourcePartition, SourceRecord};
use rocketbridge_model::resolved::StartPosition;
use rocketbridge_model::status::DiscoveryReport;
use rocketbridge_runtime::Backoff;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::error::Error;
use crate::notices::Notices;
use crate::sources;

/// Longest that the list of partitions may take, and the answer of each.
const DEADLINE: Duration = Duration::from_secs(10);
/// Partitions that are asked at once.
const AT_ONCE: usize = 64;
/// How many intervals a partition must be missing to be gone: brokers come and go in a restart.
const GONE_AFTER: u32 = 2;

/// Finds the partitions of one stream's source.
pub(crate) struct Discovery {
    pub(crate) stream: String,
    pub(crate) definition: Followed,
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) store: Arc<dyn Metastore>,
    pub(crate) interval: Duration,
    pub(crate) report: Arc<Mutex<DiscoveryReport>>,
    /// Since when partitions are missing.
    pub(crate) missing: HashMap<PartitionId, Instant>,
}

impl Discovery {
    /// Looks again and again until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(4));
        let mut notices = Notices::default();
        self.definition.ready().await;
        loop {
            // A look that is dropped has written everything or nothing.
            let found = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                found = self.look() => found,
            };
            let wait = match &found {
                Ok(()) => {
                    backoff.reset();
                    self.interval
                }
                Err(error) => {
                    if let Some(untold) = notices.is_news(error.sameness(), Instant::now()) {
                        tracing::warn!(stream = %self.stream, code = ?error.code(), %error, untold, "partitions of the source are not known, tried again");
                    }
                    backoff.next_delay()
                }
            };
            self.report.lock().failure = found.err().map(|error| error.to_string());
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.definition.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn look(&mut self) -> Result<(), Error> {
        let stream = self.definition.stream()?;
        let (stored, revision) = sources::read(&self.store, &stream.uid).await?;
        let source = self.registry.source(&stream.source);
        let form = match &source {
            Source::Offsets(_) => SourceForm::Offsets,
            Source::Handles(_) => SourceForm::Handles,
        };
        let known = stored.as_ref().filter(|record| record.is_of(&stream.source) && record.form == form);
        let made = || SourceRecord { form, ..SourceRecord::new(&stream.uid, &stream.source, clock::now()) };
        let mut record = known.cloned().unwrap_or_else(made);
        let failure = match &source {
            Source::Offsets(source) => self.look_at_offsets(source.as_ref(), stream.source.start, known.is_none(), &mut record).await,
            Source::Handles(source) => self.look_at_receivers(source.as_ref(), &mut record).await,
        };
        if stored.as_ref() != Some(&record) {
            sources::write(&self.store, &record, revision).await?;
            tracing::info!(stream = %self.stream, partitions = record.partitions.len(), "partitions of the source are written down");
        }
        failure.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Looks at a source that is read at offsets. Answers what failed, if so; what could be found out is entered.
    async fn look_at_offsets(
        &mut self,
        source: &dyn OffsetSource,
        start: StartPosition,
        is_start: bool,
        record: &mut SourceRecord,
    ) -> Option<rocketbridge_connector::Error> {
        match tokio::time::timeout(DEADLINE, source.partitions()).await.unwrap_or_else(|_| Err(late())) {
            Ok(partitions) => {
                let failure = self.enter(source, start, is_start, partitions, record).await;
                record.unseen = false;
                failure
            }
            Err(error) => {
                // A topic that does not exist has nothing that is older than the start.
                record.unseen |= is_start && error.code() != Code::NotFound;
                Some(error)
            }
        }
    }

    /// Looks at a source that hands out messages. Answers what failed, if so.
    async fn look_at_receivers(&mut self, source: &dyn HandleSource, record: &mut SourceRecord) -> Option<rocketbridge_connector::Error> {
        let terms = match tokio::time::timeout(DEADLINE, source.terms()).await.unwrap_or_else(|_| Err(late())) {
            Ok(terms) => terms,
            Err(error) => return Some(error),
        };
        let id = |number| PartitionId::new(format!("receive/{number}"));
        let partition = |number| Partition { id: id(number), broker: String::new(), queue: number };
        let partitions: Vec<Partition> = (0..terms.partitions.max(1)).map(partition).collect();
        self.mark_gone(&partitions, record);
        let new = partitions.into_iter().filter(|partition| record.partition(&partition.id).is_none()).collect::<Vec<_>>();
        record.partitions.extend(new.into_iter().map(|Partition { id, broker, queue }| SourcePartition {
            id,
            broker,
            queue,
            origin: 0,
            gone: None,
        }));
        record.partitions.sort_by(|left, right| left.id.cmp(&right.id));
        let waiting = tokio::time::timeout(DEADLINE, source.waiting()).await.unwrap_or_else(|_| Err(late()));
        self.report.lock().waiting = waiting.as_ref().ok().copied().flatten();
        waiting.err()
    }

    /// Brings the record up to what there is. Answers why a new partition could not be asked where it begins, if so; the others are entered.
    async fn enter(
        &mut self,
        source: &dyn OffsetSource,
        start: StartPosition,
        is_start: bool,
        partitions: Vec<Partition>,
        record: &mut SourceRecord,
    ) -> Option<rocketbridge_connector::Error> {
        self.mark_gone(&partitions, record);
        let known: HashSet<&PartitionId> = record.partitions.iter().map(|partition| &partition.id).collect();
        let awaited: HashSet<&PartitionId> = record.awaited.iter().collect();
        let new = partitions.into_iter().filter(|partition| !known.contains(&partition.id));
        let asked: Vec<(Partition, StartPosition)> = new
            .map(|partition| {
                let begin = match start {
                    StartPosition::Latest if is_start => StartPosition::Latest,
                    StartPosition::Latest if record.unseen || awaited.contains(&partition.id) => StartPosition::Timestamp(record.started),
                    StartPosition::Latest => StartPosition::Earliest,
                    StartPosition::Earliest | StartPosition::Timestamp(_) => start,
                };
                (partition, begin)
            })
            .collect();
        let answers = asked.into_iter().map(async |(partition, begin)| {
            let origin = tokio::time::timeout(DEADLINE, source.offset_at(&partition, begin)).await.unwrap_or_else(|_| Err(late()));
            (partition, origin)
        });
        let answers: Vec<_> = futures::stream::iter(answers).buffer_unordered(AT_ONCE).collect().await;
        let (mut failure, mut awaited): (_, BTreeSet<PartitionId>) = (None, std::mem::take(&mut record.awaited).into_iter().collect());
        for (partition, origin) in answers {
            match origin {
                Ok(origin) => {
                    awaited.remove(&partition.id);
                    let Partition { id, broker, queue } = partition;
                    record.partitions.push(SourcePartition { id, broker, queue, origin, gone: None });
                }
                Err(error) => {
                    if is_start || record.unseen {
                        awaited.insert(partition.id);
                    }
                    failure.get_or_insert(error);
                }
            }
        }
        record.awaited = awaited.into_iter().collect();
        record.partitions.sort_by(|left, right| left.id.cmp(&right.id));
        failure
    }

    /// Partitions that left the source, and those that came back.
    fn mark_gone(&mut self, partitions: &[Partition], record: &mut SourceRecord) {
        let now = Instant::now();
        let present: HashSet<&PartitionId> = partitions.iter().map(|partition| &partition.id).collect();
        for known in &mut record.partitions {
            if present.contains(&known.id) {
                self.missing.remove(&known.id);
                if known.gone.take().is_some() {
                    tracing::info!(stream = %self.stream, partition = %known.id, "the partition is back in the source");
                }
                continue;
            }
            let since = *self.missing.entry(known.id.clone()).or_insert(now);
            if known.gone.is_none() && now.duration_since(since) >= self.interval * GONE_AFTER {
                known.gone = Some(clock::now());
                tracing::warn!(
                    stream = %self.stream, partition = %known.id,
                    "the partition has left the source: the status says what of it was not read"
                );
            }
        }
    }
}

fn late() -> rocketbridge_connector::Error {
    rocketbridge_connector::Error::new(Code::Unavailable, "look over the source", format!("no answer within {DEADLINE:?}"))
}

#[cfg(test)]
mod tests {
    use rocketbridge_connector::testing::Pool;
    use rocketbridge_connector::{Target, Terms};
    use rocketbridge_model::resolved::{DeadLetterTarget, RocketMqSource, RocketMqTarget};

    use super::*;
    use crate::fake::{Store, Topic, partition, stream};

    struct Trial {
        topic: Topic,
        store: Arc<dyn Metastore>,
        discovery: Discovery,
    }

    fn trial(topic: Topic, start: StartPosition) -> Trial {
        let store: Arc<dyn Metastore> = Arc::new(Store::default());
        let discovery = Discovery {
            stream: "s".into(),
            definition: Followed::fixed(stream(start)),
            registry: Arc::new(topic.clone()),
            store: store.clone(),
            interval: Duration::from_secs(30),
            report: Arc::default(),
            missing: HashMap::new(),
        };
        Trial { topic, store, discovery }
    }

    impl Trial {
        async fn look(&mut self) -> Result<(), Error> {
            self.discovery.look().await
        }

        async fn record(&self) -> SourceRecord {
            sources::read(&self.store, "u").await.expect("reads").0.expect("written down")
        }

        async fn origins(&self) -> Vec<u64> {
            self.record().await.partitions.iter().map(|partition| partition.origin).collect()
        }
    }

    /// *Scenario*: a stream that starts at the newest offset, before its topic exists; then the topic is made, and five messages are sent before the next
    /// look; later it gets another queue. *Guarantees*: both are read from their beginning.
    #[tokio::test(start_paused = true)]
    async fn a_topic_that_is_made_after_the_start_is_read_from_its_beginning() {
        let mut trial = trial(Topic::new(0..0), StartPosition::Latest);
        trial.topic.with(|topic| topic.unlisted = Some(Code::NotFound));
        assert!(trial.look().await.is_err());
        assert!(trial.record().await.partitions.is_empty());
        trial.topic.with(|topic| {
            topic.unlisted = None;
            topic.messages = (0..5).collect();
        });
        trial.look().await.expect("finds it");
        trial.topic.with(|topic| topic.partitions.push(partition(1)));
        trial.look().await.expect("finds it");
        assert_eq!(trial.origins().await, [0, 0]);
    }

    /// *Scenario*: the source cannot be reached at the start, and holds messages of before and after when it can. *Guarantees*: the stream begins with those after
    /// its start; a partition that is there at the start begins at its end.
    #[tokio::test(start_paused = true)]
    async fn the_moment_of_the_start_counts_also_when_nothing_can_be_reached() {
        let mut trial = trial(Topic::new(0..10), StartPosition::Latest);
        trial.topic.with(|topic| topic.unlisted = Some(Code::Unavailable));
        assert!(trial.look().await.is_err());
        let later = clock::now() + 60_000;
        trial.topic.with(|topic| {
            topic.unlisted = None;
            topic.messages.extend([later, later + 1]);
        });
        trial.look().await.expect("finds it");
        assert_eq!(trial.origins().await, [10]);
        let mut at_once = super::tests::trial(Topic::new(0..10), StartPosition::Latest);
        at_once.look().await.expect("finds it");
        assert_eq!(at_once.origins().await, [10]);
    }

    /// *Scenario*: a thousand queues, one of which never answers. *Guarantees*: the others are found within one deadline, the failure is told, and the
    /// one begins with the moment of the start when it answers.
    #[tokio::test(start_paused = true)]
    async fn one_silent_queue_of_a_thousand_holds_up_no_other() {
        let mut trial = trial(Topic::of(0..10, 1000), StartPosition::Latest);
        trial.topic.with(|topic| topic.silent = Some(500));
        let begin = Instant::now();
        assert!(trial.look().await.is_err());
        assert!(begin.elapsed() <= DEADLINE + Duration::from_secs(1), "{:?}", begin.elapsed());
        assert_eq!(trial.record().await.partitions.len(), 999);
        trial.topic.with(|topic| {
            topic.silent = None;
            topic.messages.push(clock::now() + 60_000);
        });
        trial.look().await.expect("finds all");
        let record = trial.record().await;
        assert_eq!((record.partitions.len(), record.awaited.len()), (1000, 0));
        assert!(record.partitions.iter().all(|partition| partition.origin == 10));
    }

    /// A registry whose source hands out messages.
    struct HandsOut(Pool);

    impl Registry for HandsOut {
        fn source(&self, _: &RocketMqSource) -> Source {
            Source::Handles(Arc::new(self.0.clone()))
        }

        fn target(&self, _: &RocketMqTarget, _: &RocketMqSource) -> Arc<dyn Target> {
            unreachable!("discovery has no targets")
        }

        fn dead_letter(&self, _: &DeadLetterTarget) -> Arc<dyn Target> {
            unreachable!("discovery has no targets")
        }
    }

    /// *Scenario*: a stream that read its source at offsets is changed to receive from it; the source gets more receivers, then fewer; then it cannot be reached. *Guarantees*: the
    /// partitions are the receivers, under names that stay; the moment of the start is that of the change; one that is too many is gone after a while; a failure
    /// changes nothing; what waits is reported.
    #[tokio::test(start_paused = true)]
    async fn a_source_that_hands_out_messages_has_its_receivers_as_partitions() {
        let mut trial = trial(Topic::of(0..10, 3), StartPosition::Latest);
        trial.look().await.expect("finds the queues");
        let before = trial.record().await;
        assert_eq!((before.form, before.partitions.len()), (SourceForm::Offsets, 3));
        let terms = Terms { partitions: 2, invisible: Duration::from_secs(10), batch: 1, handles: 1, window: 1, is_ordered: false };
        let pool = Pool::new(terms);
        pool.add(7, 1, 1);
        trial.discovery.registry = Arc::new(HandsOut(pool.clone()));
        trial.look().await.expect("finds the receivers");
        let names = |record: &SourceRecord| {
            let present = record.partitions.iter().filter(|partition| partition.gone.is_none());
            present.map(|partition| partition.id.to_string()).collect::<Vec<_>>()
        };
        let record = trial.record().await;
        assert_eq!((record.form, names(&record)), (SourceForm::Handles, vec!["receive/0".to_owned(), "receive/1".to_owned()]));
        let started = record.started;
        assert!(started >= before.started && record.partitions.iter().all(|partition| partition.broker.is_empty()));
        assert_eq!(trial.discovery.report.lock().waiting, Some(7));
        for (count, after, expected) in [(4, 0, 4), (1, 0, 4), (1, 61, 1)] {
            pool.with(|state| state.terms.partitions = count);
            tokio::time::advance(Duration::from_secs(after)).await;
            trial.look().await.expect("looks");
            let record = trial.record().await;
            assert_eq!((names(&record).len(), record.started), (expected, started), "{count} receivers");
        }
        pool.with(|state| state.faults.is_away = true);
        assert!(trial.look().await.is_err());
        assert_eq!(names(&trial.record().await), ["receive/0"]);
    }

    /// *Scenario*: a queue leaves the topic's route for a moment, then for long, then comes back. *Guarantees*: only what is missing for long is gone, and it
    /// goes on where it was when it is back.
    #[tokio::test(start_paused = true)]
    async fn a_queue_that_leaves_the_route_is_gone_after_a_while() {
        let mut trial = trial(Topic::of(0..10, 2), StartPosition::Earliest);
        trial.look().await.expect("finds both");
        let left = trial.topic.with(|topic| topic.partitions.pop()).expect("there");
        trial.look().await.expect("looks");
        assert_eq!(trial.record().await.partitions[1].gone, None);
        tokio::time::advance(Duration::from_secs(61)).await;
        trial.look().await.expect("looks");
        assert!(trial.record().await.partitions[1].gone.is_some());
        assert!(trial.record().await.partitions[0].gone.is_none());
        trial.topic.with(|topic| topic.partitions.push(left));
        trial.look().await.expect("looks");
        assert_eq!(trial.record().await.partitions[1].gone, None);
    }
}
