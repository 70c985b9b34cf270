//! Where the partitions of a stream's source begin: `sources/{uid}` in the metadata store.
//!
//! Written once for each partition, before its first event is read. A stream that starts at the newest offset must not skip,
//! after a crash before its first commit, what arrived meanwhile; so the newest offset is looked up once and kept.
//!
//! A record holds all partitions of its stream. Partitions that are opened look it up in a mirror, where it is read once for all of them:
//! ten thousand that each read ten thousand would take minutes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;

use rocketbridge_codec::definition::stored;
use rocketbridge_codec::keyspace;
use rocketbridge_metastore::{Compare, Metastore, Mirror, Transaction};
use rocketbridge_model::PartitionId;
use rocketbridge_model::record::{SourcePartition, SourceRecord};
use rocketbridge_runtime::Tasks;

/// A record could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error("cannot reach the metadata store")]
    Store(#[from] rocketbridge_metastore::Error),
    /// The record is of a newer layout, or broken.
    #[error("cannot read where the source's partitions begin")]
    Unreadable(#[from] stored::Error),
    /// Another process changed it meanwhile.
    #[error("{key} was changed by another process")]
    Changed {
        /// Its key.
        key: String,
    },
}

/// The records of all sources, as partitions look them up. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    mirror: Mirror,
    /// What was read, by the identity of the stream's creation.
    read: Arc<Mutex<HashMap<String, Arc<Found>>>>,
}

/// A record, and where each partition stands in it.
#[derive(Debug)]
pub(crate) struct Found {
    record: SourceRecord,
    /// The revision that the record was read at.
    revision: u64,
    /// By partition: its index in the record, and its place.
    places: HashMap<PartitionId, (usize, Place)>,
    /// By broker that was ever seen: one beyond its highest queue.
    queues: BTreeMap<String, u32>,
}

/// A partition's place among those that its source has now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its number among them, from 0.
    pub(crate) rank: usize,
    /// How many there are.
    pub(crate) count: usize,
}

impl Sources {
    /// Starts to follow the records.
    pub(crate) fn start(store: Arc<dyn Metastore>, tasks: &Tasks) -> Self {
        Self { mirror: Mirror::start(store, keyspace::SOURCES, tasks), read: Arc::default() }
    }

    /// The record of a stream; `None` if there is none.
    pub(crate) async fn find(&mut self, uid: &str) -> Result<Option<Arc<Found>>, Error> {
        let snapshot = self.mirror.ready().await;
        let key = keyspace::source(uid);
        let mut read = self.read.lock();
        let Some(entry) = snapshot.get(&key) else {
            read.remove(uid);
            return Ok(None);
        };
        if let Some(found) = read.get(uid).filter(|found| found.revision == entry.mod_revision) {
            return Ok(Some(Arc::clone(found)));
        }
        let found = Arc::new(Found::new(stored::decode(&key, &entry.value)?, entry.mod_revision));
        read.insert(uid.to_owned(), Arc::clone(&found));
        Ok(Some(found))
    }
}

impl Found {
    fn new(record: SourceRecord, revision: u64) -> Self {
        let present: Vec<(usize, PartitionId)> = record
            .partitions
            .iter()
            .enumerate()
            .filter(|(_, partition)| partition.gone.is_none())
            .map(|(at, partition)| (at, partition.id.clone()))
            .collect();
        let count = present.len();
        let places = present.into_iter().enumerate().map(|(rank, (at, id))| (id, (at, Place { rank, count }))).collect();
        let mut queues: BTreeMap<String, u32> = BTreeMap::new();
        for partition in &record.partitions {
            let known = queues.entry(partition.broker.clone()).or_default();
            *known = (*known).max(partition.queue + 1);
        }
        Self { record, revision, places, queues }
    }

    /// The record.
    pub(crate) fn record(&self) -> &SourceRecord {
        &self.record
    }

    /// Names of the source's brokers, sorted, as far as any was ever seen.
    pub(crate) fn brokers(&self) -> Vec<String> {
        self.queues.keys().cloned().collect()
    }

    /// Queues on a broker.
    pub(crate) fn queues(&self, broker: &str) -> u32 {
        self.queues.get(broker).copied().unwrap_or_default()
    }

    /// A partition that the source has now, and its place.
    pub(crate) fn partition(&self, id: &PartitionId) -> Option<(&SourcePartition, Place)> {
        let (at, place) = self.places.get(id)?;
        Some((self.record.partitions.get(*at)?, *place))
    }
}

/// Reads a record and the revision that guards its change; 0 if there is none.
pub async fn read(store: &Arc<dyn Metastore>, uid: &str) -> Result<(Option<SourceRecord>, u64), Error> {
    let key = keyspace::source(uid);
    match store.get(&key).await? {
        None => Ok((None, 0)),
        Some(entry) => Ok((Some(stored::decode(&key, &entry.value)?), entry.mod_revision)),
    }
}

/// Writes a record if it is still at the revision it was read at.
pub async fn write(store: &Arc<dyn Metastore>, record: &SourceRecord, revision: u64) -> Result<(), Error> {
    let key = keyspace::source(&record.uid);
    let guard = if revision == 0 { Compare::KeyAbsent(key.clone()) } else { Compare::ModRevision(key.clone(), revision) };
    let value = stored::encode(record.clone());
    let outcome = store.transact(Transaction::new().when(guard).put(key.clone(), value)).await?;
    if outcome.succeeded { Ok(()) } else { Err(Error::Changed { key }) }
}
