//! Where the partitions of a stream's source begin: `sources/{uid}` in the metadata store.
//!
//! Written once for each partition, before its first event is read. A stream that starts at the newest offset must not skip,
//! after a crash before its first commit, what arrived meanwhile; so the newest offset is looked up once and kept.

use std::sync::Arc;

use rocketbridge_codec::definition::stored;
use rocketbridge_codec::keyspace;
use rocketbridge_metastore::{Compare, Metastore, Transaction};
use rocketbridge_model::record::SourceRecord;

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
