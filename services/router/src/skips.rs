//! Events that operators let pass: `skips/{uid}/{partition}/{offset}` in the metadata store.
//!
//! The controller writes a mark; the router that owns the partition lets the event pass, whoever holds it, and removes the mark once the
//! committed offset has passed the event. A mark survives every process, so a skip takes effect across restarts and moves.

use std::collections::BTreeMap;
use std::sync::Arc;

use rocketbridge_codec::definition::stored;
use rocketbridge_codec::keyspace;
use rocketbridge_metastore::{Metastore, Mirror, Transaction};
use rocketbridge_model::PartitionId;
use rocketbridge_model::record::SkipRecord;
use rocketbridge_runtime::{Chain, Tasks};

/// Most marks removed in one transaction.
const REMOVED_AT_ONCE: usize = 100;

/// The marks of all partitions. Cheap to clone; each clone has its own mark of what it has seen.
#[derive(Clone, Debug)]
pub(crate) struct Skips {
    store: Arc<dyn Metastore>,
    mirror: Mirror,
}

/// The marks of one partition of one creation of a stream.
#[derive(Clone, Debug)]
pub(crate) struct PartitionSkips {
    skips: Skips,
    folder: String,
}

impl Skips {
    /// Starts to follow the marks.
    pub(crate) fn start(store: Arc<dyn Metastore>, tasks: &Tasks) -> Self {
        let mirror = Mirror::start(Arc::clone(&store), keyspace::SKIPS, tasks);
        Self { store, mirror }
    }

    /// Those of one partition. `uid` identifies one creation of the stream.
    pub(crate) fn of(&self, uid: &str, partition: &PartitionId) -> PartitionSkips {
        PartitionSkips { skips: self.clone(), folder: keyspace::skips(uid, partition.as_str()) }
    }
}

impl PartitionSkips {
    /// Whether there is no mark of any partition.
    pub(crate) fn is_empty(&self) -> bool {
        self.skips.mirror.snapshot().is_empty()
    }

    /// Why events may pass, by offset.
    pub(crate) fn marks(&self) -> BTreeMap<u64, String> {
        let snapshot = self.skips.mirror.snapshot();
        let mut marks = BTreeMap::new();
        for (key, entry) in snapshot.range(self.folder.clone()..) {
            let Some(offset) = key.strip_prefix(&self.folder) else { break };
            match (offset.parse(), stored::decode::<SkipRecord>(key, &entry.value)) {
                (Ok(offset), Ok(record)) => drop(marks.insert(offset, record.reason)),
                (Ok(_), Err(error)) => tracing::warn!(%error, "an event is not skipped"),
                (Err(_), _) => tracing::warn!(%key, "not the key of a skipped event"),
            }
        }
        marks
    }

    /// Waits until marks, of any partition, differ from what this handle has seen. Cancel-safe.
    pub(crate) async fn changed(&mut self) {
        self.skips.mirror.changed().await;
    }

    /// Removes the marks of events before this offset: they have ended. A failure is logged; the marks go with a later commit.
    pub(crate) async fn forget(&self, committed: u64) {
        let ended: Vec<u64> = self.marks().into_keys().filter(|offset| *offset < committed).collect();
        for offsets in ended.chunks(REMOVED_AT_ONCE) {
            let keys = offsets.iter().map(|offset| format!("{}{offset}", self.folder));
            let removal = keys.fold(Transaction::new(), Transaction::delete);
            if let Err(error) = self.skips.store.transact(removal).await {
                tracing::warn!(error = %Chain(&error), "marks of skipped events stay for now");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rocketbridge_metastore::Embedded;
    use rocketbridge_runtime::Shutdown;

    use super::*;

    /// *Scenario*: marks of two partitions whose names begin alike, one of them of a newer layout; the partition commits past some. *Guarantees*: a partition sees its
    /// own marks by offset, what cannot be read is left out, and exactly those that have passed are removed.
    #[tokio::test]
    async fn marks_belong_to_one_partition_and_go_once_it_has_committed_past_them() {
        let directory = tempfile::tempdir().expect("a directory");
        let store: Arc<dyn Metastore> = Arc::new(Embedded::open(directory.path()).await.expect("a store"));
        let mark = |reason: &str| stored::encode(SkipRecord { reason: reason.to_owned(), ..SkipRecord::default() });
        let marks = Transaction::new()
            .put("skips/u/b%2F1/7", mark("poison"))
            .put("skips/u/b%2F1/12", mark("too long"))
            .put("skips/u/b%2F1/9", r#"{"schema":99,"reason":"newer"}"#)
            .put("skips/u/b%2F10/8", mark("another partition"))
            .put("skips/u2/b%2F1/8", mark("another stream"));
        store.transact(marks).await.expect("writes");
        let mut skips = Skips::start(Arc::clone(&store), &Tasks::new(Shutdown::new()));
        skips.mirror.ready().await;
        let partition = skips.of("u", &PartitionId::new("b/1"));
        assert_eq!(partition.marks(), BTreeMap::from([(7, "poison".to_owned()), (12, "too long".to_owned())]));
        partition.forget(7).await;
        partition.forget(8).await;
        let left: Vec<_> = store.list(keyspace::SKIPS).await.expect("lists").entries.into_iter().map(|entry| entry.key).collect();
        assert_eq!(left, ["skips/u/b%2F1/12", "skips/u/b%2F1/9", "skips/u/b%2F10/8", "skips/u2/b%2F1/8"]);
    }
}
