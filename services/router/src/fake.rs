//! A source and a metadata store in memory, for tests without network or processes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use rocketbridge_connector::{
    Code, Error, OffsetSource, OpenPartition, Partition, PartitionCommitter, PartitionReader, PullLimits, Pulled, Registry, Source, Survey,
    Target,
};
use rocketbridge_metastore::{Compare, Entry, LeaseGrant, LeaseId, Listing, Metastore, Operation, Transacted, Transaction, Watch};
use rocketbridge_model::partition::Landmark;
use rocketbridge_model::resolved::{DeadLetterTarget, RocketMqSource, RocketMqTarget, StartPosition, Stream};
use rocketbridge_model::{Envelope, Event, PartitionId, testing};

/// How long a pull that finds nothing waits.
const HOLD: Duration = Duration::from_secs(3);

/// A topic; every partition has the same messages.
#[derive(Clone, Default)]
pub(crate) struct Topic(Arc<Mutex<State>>);

/// What a topic is like now.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) minimum: u64,
    /// When each message was stored, which tells them apart.
    pub(crate) messages: Vec<i64>,
    pub(crate) committed: Option<u64>,
    /// How many of the next pulls fail.
    pub(crate) failures: usize,
    /// How many pulls failed.
    pub(crate) failed: usize,
    pub(crate) pulls: usize,
    /// Only a replica is there.
    pub(crate) is_replica: bool,
    /// An empty pull is answered at once.
    pub(crate) is_quick: bool,
    /// Why partitions cannot be listed.
    pub(crate) unlisted: Option<Code>,
    pub(crate) partitions: Vec<Partition>,
    /// The partition that never answers.
    pub(crate) silent: Option<u32>,
    /// The offset of a message that is larger than can be read.
    pub(crate) oversized: Option<u64>,
}

impl Topic {
    /// A topic of one partition.
    pub(crate) fn new(messages: std::ops::Range<i64>) -> Self {
        Self::of(messages, 1)
    }

    /// A topic of some partitions.
    pub(crate) fn of(messages: std::ops::Range<i64>, partitions: u32) -> Self {
        let state = State { messages: messages.collect(), partitions: (0..partitions).map(partition).collect(), ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Changes or asks it.
    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock())
    }

    pub(crate) async fn reader(&self) -> Box<dyn PartitionReader> {
        self.open(&partition(0)).await.expect("opens").reader
    }
}

impl State {
    pub(crate) fn maximum(&self) -> u64 {
        self.minimum + self.messages.len() as u64
    }

    fn event(&self, offset: u64) -> Option<Event> {
        let index = usize::try_from(offset.checked_sub(self.minimum)?).ok()?;
        let envelope = Envelope { store_timestamp: *self.messages.get(index)?, ..Envelope::default() };
        Some(Event { offset, envelope, attributes: None })
    }

    fn pull(&mut self, offset: u64, limits: PullLimits) -> Result<Pulled, Error> {
        self.pulls += 1;
        if self.failures > 0 {
            self.failures -= 1;
            self.failed += 1;
            return Err(Error::new(Code::Unavailable, format!("pull at offset {offset}"), "connection reset"));
        }
        if !(self.minimum..=self.maximum()).contains(&offset) {
            return Err(Error::new(Code::OffsetOutOfRange, "pull", "it is not stored"));
        }
        if self.oversized.is_some_and(|oversized| (offset..offset + u64::from(limits.events)).contains(&oversized)) {
            return Err(Error::new(Code::Rejected, format!("pull at offset {offset}"), "it answered 300000000 bytes"));
        }
        let events: Vec<_> = (offset..).map_while(|offset| self.event(offset)).take(limits.events as usize).collect();
        Ok(Pulled {
            next_offset: offset + events.len() as u64,
            events,
            missing: Vec::new(),
            minimum_offset: self.minimum,
            maximum_offset: self.maximum(),
        })
    }
}

/// A partition.
pub(crate) fn partition(queue: u32) -> Partition {
    Partition { id: PartitionId::new(format!("b/{queue}")), broker: "b".into(), queue }
}

impl OffsetSource for Topic {
    fn partitions(&self) -> BoxFuture<'_, Result<Vec<Partition>, Error>> {
        let listed = self.with(|topic| match topic.unlisted {
            Some(code) => Err(Error::new(code, "list", "it is not there")),
            None => Ok(topic.partitions.clone()),
        });
        async { listed }.boxed()
    }

    fn offset_at<'a>(&'a self, partition: &'a Partition, position: StartPosition) -> BoxFuture<'a, Result<u64, Error>> {
        async move {
            if self.with(|topic| topic.silent == Some(partition.queue)) {
                std::future::pending::<()>().await;
            }
            Ok(self.with(|topic| match position {
                StartPosition::Earliest => topic.minimum,
                StartPosition::Latest => topic.maximum(),
                StartPosition::Timestamp(time) => {
                    topic.minimum + topic.messages.iter().position(|stored| *stored >= time).unwrap_or(topic.messages.len()) as u64
                }
            }))
        }
        .boxed()
    }

    fn survey<'a>(&'a self, _partition: &'a Partition, offsets: &'a [u64]) -> BoxFuture<'a, Result<Survey, Error>> {
        let survey = self.with(|topic| Survey {
            minimum: topic.minimum,
            maximum: topic.maximum(),
            landmarks: offsets.iter().filter_map(|offset| topic.event(*offset)).map(|event| Landmark::of(&event)).collect(),
            is_from_master: !topic.is_replica,
        });
        async { Ok(survey) }.boxed()
    }

    fn open<'a>(&'a self, _partition: &'a Partition) -> BoxFuture<'a, Result<OpenPartition, Error>> {
        let open = OpenPartition { reader: Box::new(Half(self.clone())), committer: Box::new(Half(self.clone())) };
        async { Ok(open) }.boxed()
    }
}

struct Half(Topic);

impl PartitionReader for Half {
    fn pull(&mut self, offset: u64, limits: PullLimits) -> BoxFuture<'_, Result<Pulled, Error>> {
        async move {
            let pulled = self.0.with(|topic| topic.pull(offset, limits))?;
            if pulled.events.is_empty() && !self.0.with(|topic| topic.is_quick) {
                tokio::time::sleep(HOLD).await;
            }
            Ok(pulled)
        }
        .boxed()
    }
}

impl PartitionCommitter for Half {
    fn committed(&mut self) -> BoxFuture<'_, Result<Option<u64>, Error>> {
        let committed = self.0.with(|topic| topic.committed);
        async move { Ok(committed) }.boxed()
    }

    fn commit(&mut self, offset: u64) -> BoxFuture<'_, Result<(), Error>> {
        self.0.with(|topic| topic.committed = Some(offset));
        async { Ok(()) }.boxed()
    }
}

impl Registry for Topic {
    fn source(&self, _definition: &RocketMqSource) -> Source {
        Source::Offsets(Arc::new(self.clone()))
    }

    fn target(&self, _definition: &RocketMqTarget, _source: &RocketMqSource) -> Arc<dyn Target> {
        panic!("a router has no targets")
    }

    fn dead_letter(&self, _definition: &DeadLetterTarget) -> Arc<dyn Target> {
        panic!("a router has no targets")
    }
}

/// A stream from the topic.
pub(crate) fn stream(start: StartPosition) -> Stream {
    Stream { source: RocketMqSource { start, ..testing::source("t") }, ..testing::stream() }
}

/// A metadata store without leases and watches.
#[derive(Debug, Default)]
pub(crate) struct Store(Mutex<(u64, BTreeMap<String, Entry>)>);

impl Metastore for Store {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, rocketbridge_metastore::Error>> {
        let found = self.0.lock().1.get(key).cloned();
        async { Ok(found) }.boxed()
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Listing, rocketbridge_metastore::Error>> {
        let store = self.0.lock();
        let entries = store.1.values().filter(|entry| entry.key.starts_with(prefix)).cloned().collect();
        let listing = Listing { entries, revision: store.0 };
        async { Ok(listing) }.boxed()
    }

    fn transact(&self, transaction: Transaction) -> BoxFuture<'_, Result<Transacted, rocketbridge_metastore::Error>> {
        let mut store = self.0.lock();
        let succeeded = transaction.compares.iter().all(|compare| match compare {
            Compare::KeyAbsent(key) => !store.1.contains_key(key),
            Compare::ModRevision(key, revision) => store.1.get(key).is_some_and(|entry| entry.mod_revision == *revision),
            Compare::CreateRevision(key, revision) => store.1.get(key).is_some_and(|entry| entry.create_revision == *revision),
        });
        if succeeded {
            store.0 += 1;
            let revision = store.0;
            for operation in transaction.operations {
                if let Operation::Put { key, value, lease } = operation {
                    let create_revision = store.1.get(&key).map_or(revision, |entry| entry.create_revision);
                    store.1.insert(key.clone(), Entry { key, value, create_revision, mod_revision: revision, lease });
                }
            }
        }
        let outcome = Transacted { succeeded, revision: store.0 };
        async move { Ok(outcome) }.boxed()
    }

    fn watch<'a>(&'a self, prefix: &'a str, _after: u64) -> BoxFuture<'a, Result<Watch, rocketbridge_metastore::Error>> {
        // Who wants to know of changes lists again after a while.
        let ended = rocketbridge_metastore::Error::WatchEnded { prefix: prefix.to_owned(), place: "memory".to_owned(), source: None };
        async { Err(ended) }.boxed()
    }

    fn grant_lease(&self, _ttl: Duration) -> BoxFuture<'_, Result<LeaseGrant, rocketbridge_metastore::Error>> {
        std::future::pending().boxed()
    }

    fn keep_alive(&self, _lease: LeaseId) -> BoxFuture<'_, Result<Duration, rocketbridge_metastore::Error>> {
        std::future::pending().boxed()
    }

    fn revoke_lease(&self, _lease: LeaseId) -> BoxFuture<'_, Result<(), rocketbridge_metastore::Error>> {
        std::future::pending().boxed()
    }
}
