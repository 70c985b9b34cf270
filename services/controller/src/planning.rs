//! What the leader does besides serving: it says what there is to own, and removes what nobody needs any more.
//!
//! Level-triggered: everything is computed anew from mirrors whenever they change. Each controller computes the units; only the leader's
//! planner writes a plan of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rocketbridge_assignment::{Election, Unit};
use rocketbridge_codec::definition::{Kind, stored};
use rocketbridge_codec::keyspace;
use rocketbridge_metastore::{Entry, Fullness, Metastore, Mirror, Snapshot, Transaction};
use rocketbridge_model::record::{SourceRecord, StreamRecord};
use rocketbridge_runtime::Chain;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use crate::clock;
use crate::compaction::{Schedule, Watermark};
use crate::request::{KEPT, Note};
use crate::shelf::Shelf;
use crate::units::units;

/// How often the leader looks for what nobody needs any more.
const SWEEP: Duration = Duration::from_secs(60);
/// Most keys removed in one transaction.
const SWEPT_AT_ONCE: usize = 100;

/// Keeps the units current for the planner, for ever. `None` until definitions and sources are known. Not cancel-safe in the sense of
/// work: a dropped future leaves the units as they are.
pub async fn publish(mut definitions: Mirror, mut sources: Mirror, units: watch::Sender<Option<Arc<[Unit]>>>) {
    definitions.ready().await;
    sources.ready().await;
    let shelf = Shelf::default();
    loop {
        let now = compute(&definitions.take(), &sources.take(), &shelf);
        units.send_if_modified(|units| {
            let differs = units.as_deref() != Some(now.as_slice());
            if differs {
                *units = Some(now.into());
            }
            differs
        });
        tokio::select! {
            () = definitions.changed() => {}
            () = sources.changed() => {}
        }
    }
}

/// Removes what nobody needs any more while this process leads, for ever.
pub async fn sweep(store: Arc<dyn Metastore>, election: Election) {
    let mut ticks = tokio::time::interval(SWEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut schedule, mut watermark) = (Schedule::default(), Watermark::default());
    loop {
        ticks.tick().await;
        let Some(leadership) = election.leadership() else {
            schedule = Schedule::default();
            continue;
        };
        if let Err(error) = keep_small(store.as_ref(), &mut schedule, &mut watermark).await {
            tracing::warn!(error = %Chain(&error), "the metadata store is not compacted; this is tried again");
        }
        let swept = async {
            let mut keys = stale_notes(store.as_ref()).await?;
            keys.extend(orphans(store.as_ref()).await?);
            for keys in keys.chunks(SWEPT_AT_ONCE) {
                let guarded = Transaction::new().when(leadership.guard());
                store.transact(keys.iter().fold(guarded, |transaction, key| transaction.delete(key.as_str()))).await?;
            }
            Ok::<_, rocketbridge_metastore::Error>(keys.len())
        };
        match swept.await {
            Ok(0) => {}
            Ok(removed) => tracing::debug!(removed, "swept request notes and sources"),
            Err(error) => tracing::warn!(error = %Chain(&error), "sweeping is tried again"),
        }
    }
}

/// Lets the store forget what was changed long ago, and warns long before it is full.
async fn keep_small(
    store: &dyn Metastore,
    schedule: &mut Schedule,
    watermark: &mut Watermark,
) -> Result<(), rocketbridge_metastore::Error> {
    let revision = store.list(keyspace::GENERATION).await?.revision;
    if let Some(old) = schedule.note(Instant::now(), revision) {
        store.compact(old).await?;
        tracing::debug!(revision = old, "the metadata store has forgotten former versions");
    }
    let Some(fullness) = store.fullness().await? else { return Ok(()) };
    if let Some(percent) = watermark.reached(fullness) {
        let Fullness { used, quota } = fullness;
        tracing::warn!(
            percent,
            used,
            quota,
            "the metadata store fills up; at its quota it takes no change: defragment etcd, or raise --quota-backend-bytes"
        );
    }
    Ok(())
}

/// The units of one moment. What cannot be read is said once, and left out.
fn compute(definitions: &Snapshot, sources: &Snapshot, shelf: &Shelf) -> Vec<Unit> {
    let below = |kind| {
        let folder = keyspace::folder(kind);
        definitions.range(folder.to_owned()..).map(|(_, entry)| entry).take_while(move |entry| entry.key.starts_with(folder))
    };
    let references = shelf.references(below(Kind::Connection).chain(below(Kind::Network)));
    shelf.retain(below(Kind::Stream));
    let streams: Vec<_> = below(Kind::Stream).filter_map(|entry| shelf.resolved(entry, &references)).collect();
    let sources: BTreeMap<String, SourceRecord> = sources
        .values()
        .filter_map(|entry| shelf.logged().read::<SourceRecord>(entry).ok())
        .map(|record| (record.uid.clone(), record))
        .collect();
    units(&streams, &sources)
}

async fn stale_notes(store: &dyn Metastore) -> Result<Vec<String>, rocketbridge_metastore::Error> {
    let kept = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
    let oldest = clock::now().saturating_sub(kept);
    let listing = store.list(keyspace::REQUESTS).await?;
    let stale = |entry: &Entry| serde_json::from_slice::<Note>(&entry.value).is_ok_and(|note| note.time < oldest);
    Ok(listing.entries.into_iter().filter(stale).map(|entry| entry.key).collect())
}

/// What was written of a source and its partitions, and of events that may pass, for streams that are no longer. They are listed before the streams, so that what
/// belongs to a new stream is never taken for an orphan.
async fn orphans(store: &dyn Metastore) -> Result<Vec<String>, rocketbridge_metastore::Error> {
    let sources = store.list(keyspace::SOURCES).await?;
    let partitions = store.list(keyspace::PARTITIONS).await?;
    let skips = store.list(keyspace::SKIPS).await?;
    let streams = store.list(keyspace::folder(Kind::Stream)).await?;
    let (mut wanted, mut folders) = (BTreeSet::new(), BTreeSet::new());
    for entry in &streams.entries {
        match stored::decode::<StreamRecord>(&entry.key, &entry.value) {
            Ok(record) => {
                wanted.insert(keyspace::source(&record.uid));
                folders.insert(keyspace::skips_of(&record.uid));
                folders.insert(keyspace::partitions(&record.uid));
            }
            // A record that this version cannot read may own any of them.
            Err(_) => return Ok(Vec::new()),
        }
    }
    let is_wanted = |key: &String| folders.iter().any(|folder| key.starts_with(folder));
    let sources = sources.entries.into_iter().map(|entry| entry.key).filter(|key| !wanted.contains(key));
    let others = skips.entries.into_iter().chain(partitions.entries).map(|entry| entry.key).filter(|key| !is_wanted(key));
    Ok(sources.chain(others).collect())
}
