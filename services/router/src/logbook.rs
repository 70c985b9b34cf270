//! What a router remembers of a partition across restarts: `partitions/{uid}/{partition}` in the metadata store.
//!
//! Written when something was decided or lost, with the first message that is read, every [`INTERVAL`] while the partition moves, and when
//! it is handed over: never per batch. Two owners never lose each other's entries: every write compares the revision of what was read, and
//! joins both when somebody else wrote in between (a former owner, or a person who acknowledged gaps). A failed write is made up for by
//! the next one.

use std::sync::Arc;
use std::time::Duration;

use rocketbridge_codec::definition::stored;
use rocketbridge_codec::keyspace;
use rocketbridge_metastore::{Compare, Metastore, Transaction};
use rocketbridge_model::PartitionId;
use rocketbridge_model::partition::{Gap, GapCause, Landmark, PartitionRecord, Relocation};
use rocketbridge_model::resolved::Stream;
use tokio::time::Instant;

use crate::sources::Error;

/// How often a partition that moves is written down.
const INTERVAL: Duration = Duration::from_secs(300);
/// Shortest time between two writes that gaps ask for.
const BETWEEN: Duration = Duration::from_secs(5);
/// Longest that a write may take: nothing waits for it for longer.
const DEADLINE: Duration = Duration::from_secs(2);
/// Tries against somebody else's writes.
const ATTEMPTS: usize = 4;

/// The record of one partition, and what of it is not stored yet.
pub(crate) struct Logbook {
    store: Arc<dyn Metastore>,
    key: String,
    record: PartitionRecord,
    revision: u64,
    /// Gaps that are not stored yet.
    fresh: Vec<Gap>,
    is_changed: bool,
    written: Option<Instant>,
    /// The message that was read last.
    last: Option<Landmark>,
}

impl Logbook {
    /// Reads the record of a partition; a new one if there is none, or it is of another source.
    pub(crate) async fn open(store: Arc<dyn Metastore>, stream: &Stream, partition: &PartitionId) -> Result<Self, Error> {
        let key = keyspace::partition(&stream.uid, partition.as_str());
        let (found, revision) = read(&store, &key).await?;
        let record = found.filter(|record| record.is_of(&stream.source)).unwrap_or_else(|| PartitionRecord {
            uid: stream.uid.clone(),
            partition: partition.clone(),
            source: stream.source.identity(),
            ..PartitionRecord::default()
        });
        Ok(Self { store, key, record, revision, fresh: Vec::new(), is_changed: false, written: None, last: None })
    }

    /// Messages that were read, by offset, the last one among them.
    pub(crate) fn known(&self) -> Vec<Landmark> {
        let mut known = self.record.clone();
        known.landmarks.retain(|landmark| self.last.as_ref().is_none_or(|last| landmark.offset < last.offset));
        known.landmarks.extend(self.last.clone());
        known.landmarks
    }

    /// Where reading went on instead of at the offset that the group has committed.
    pub(crate) fn relocation(&self) -> Option<Relocation> {
        self.record.relocation
    }

    /// One beyond the newest offset of the source, as last known.
    pub(crate) fn maximum(&self) -> u64 {
        self.record.maximum
    }

    /// The message that was read last, and where the source ends.
    pub(crate) fn moves(&mut self, last: Option<Landmark>, maximum: u64) {
        self.record.maximum = maximum;
        if let Some(last) = last {
            // The very first is worth a write at once: without any, a topic that is made anew could not be told from this one.
            self.is_changed |= self.record.landmarks.is_empty() && self.last.is_none();
            self.last = Some(last);
        }
    }

    /// Every event before this has ended.
    pub(crate) fn committed(&mut self, offset: u64) {
        self.record.committed = offset;
        // Once the group is past the offset that meant nothing, its offset counts again. Brokers that refuse to go back keep the old one until then.
        let is_past = |relocation: &Relocation| offset > relocation.instead_of.unwrap_or(relocation.to);
        if self.record.relocation.as_ref().is_some_and(is_past) {
            self.record.relocation = None;
        }
    }

    /// Messages stand in the source that were not read, before where reading begins.
    pub(crate) fn remember(&mut self, landmarks: Vec<Landmark>) {
        self.is_changed |= !landmarks.is_empty();
        landmarks.into_iter().for_each(|landmark| self.record.remember(landmark));
    }

    /// Offsets will not be read.
    pub(crate) fn gap(&mut self, gap: Gap) {
        self.record.add_gap(gap);
        self.fresh.push(gap);
        self.is_changed = true;
    }

    /// Reading goes on elsewhere; of what is known, only what is not newer than the newest that still stands is.
    pub(crate) fn relocate(&mut self, relocation: Relocation, gap: Gap, standing: &[Landmark]) {
        self.last = None;
        let same = self.record.landmarks.iter().filter(|landmark| standing.contains(landmark)).map(|landmark| landmark.offset).max();
        self.record.landmarks.retain(|landmark| same.is_some_and(|same| landmark.offset <= same));
        if gap.cause == GapCause::MadeAnew {
            self.record.landmarks.clear();
        }
        self.record.relocation = Some(relocation);
        self.gap(gap);
    }

    /// Writes what is due: a change at once, but gap after gap only now and then; the rest every some minutes.
    pub(crate) async fn write_due(&mut self, now: Instant) {
        let wait = if self.is_changed { BETWEEN } else { INTERVAL };
        if self.has_news() && self.written.is_none_or(|written| now.duration_since(written) >= wait) {
            self.write_soon(now).await;
        }
    }

    /// Writes what is new, because the partition is handed over.
    pub(crate) async fn write_last(&mut self, now: Instant) {
        if self.has_news() {
            self.write_soon(now).await;
        }
    }

    /// Whether anything is worth a write: a partition that does not move needs none.
    fn has_news(&self) -> bool {
        self.is_changed || self.last.as_ref().is_some_and(|last| Some(last) != self.record.landmarks.last())
    }

    /// Writes if it can be done soon. What fails is logged, and made up for by the next write.
    pub(crate) async fn write_soon(&mut self, now: Instant) {
        // Also after a failure: a store that is away is not asked again and again.
        self.written = Some(now);
        match tokio::time::timeout(DEADLINE, self.write()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(key = %self.key, error = %rocketbridge_runtime::Chain(&error), "not written down yet"),
            Err(_) => tracing::debug!(key = %self.key, "not written down yet: the metadata store does not answer"),
        }
    }

    /// Writes.
    pub(crate) async fn write(&mut self) -> Result<(), Error> {
        if let Some(last) = self.last.clone() {
            self.record.remember(last);
        }
        for _ in 0..ATTEMPTS {
            let guard = if self.revision == 0 {
                Compare::KeyAbsent(self.key.clone())
            } else {
                Compare::ModRevision(self.key.clone(), self.revision)
            };
            let value = stored::encode(self.record.clone());
            let outcome = self.store.transact(Transaction::new().when(guard).put(self.key.clone(), value)).await?;
            if outcome.succeeded {
                self.revision = outcome.revision;
                self.is_changed = false;
                self.fresh.clear();
                return Ok(());
            }
            let (found, revision) = read(&self.store, &self.key).await?;
            self.revision = revision;
            if let Some(found) = found.filter(|found| found.source == self.record.source) {
                self.join(found);
            }
        }
        Err(Error::Changed { key: self.key.clone() })
    }

    /// Joins what somebody else wrote meanwhile: their gaps and acknowledgements, and what is not stored yet.
    fn join(&mut self, found: PartitionRecord) {
        self.record.gaps = found.gaps;
        self.record.lost = found.lost;
        self.record.acknowledged = found.acknowledged;
        // A write whose answer was lost has stored them already.
        for gap in &self.fresh {
            if !self.record.gaps.contains(gap) {
                self.record.add_gap(*gap);
            }
        }
    }
}

async fn read(store: &Arc<dyn Metastore>, key: &str) -> Result<(Option<PartitionRecord>, u64), Error> {
    match store.get(key).await? {
        None => Ok((None, 0)),
        Some(entry) => Ok((Some(stored::decode(key, &entry.value)?), entry.mod_revision)),
    }
}
