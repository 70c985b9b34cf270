//! The planning loop: members and units in, plans out.
//!
//! Guarantees: only the leader writes (each transaction is guarded by the leader key's create revision, so that the writes of a deposed
//! leader fail); only changed plans are written; nothing is written before members and units are known. The data path does not need the
//! planner: without a leader everything stays as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rocketbridge_codec::keyspace;
use rocketbridge_metastore::transaction::{MAX_BYTES, MAX_OPERATIONS};
use rocketbridge_metastore::{Metastore, Operation, Transaction};
use rocketbridge_runtime::{Backoff, Chain, TaskHandle, TaskKind, Tasks};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::election::{Election, Leadership};
use crate::error::Error;
use crate::member::Members;
use crate::owners::Owners;
use crate::plan::{Assignment, plan};
use crate::plans::{Plans, assignment, by_stream};
use crate::unit::Unit;
use crate::value::encode;

/// After a change, how long nothing else may change before a plan is made: processes often come and go together.
const SETTLE: Duration = Duration::from_millis(100);

/// How long settling may take.
const SETTLE_LIMIT: Duration = Duration::from_secs(1);

/// How often a plan is made without a change.
const TICK: Duration = Duration::from_secs(10);

const BACKOFF_BASE: Duration = Duration::from_millis(100);
const BACKOFF_CAP: Duration = Duration::from_secs(3);

/// The units that are wanted; `None` while they are not known yet.
pub type Units = watch::Receiver<Option<Arc<[Unit]>>>;

/// The planning loop of this process; it plans while it leads.
#[derive(Clone, Debug)]
pub struct Planner(TaskHandle);

impl Planner {
    /// Starts the loop. It ends when `tasks` drain.
    pub fn start(store: Arc<dyn Metastore>, election: Election, members: Members, owners: Owners, units: Units, tasks: &Tasks) -> Self {
        let plans = Plans::start(Arc::clone(&store), tasks);
        let mut inner = Loop { store, election, members, owners, plans, units };
        Self(tasks.spawn("planner", TaskKind::Background, async move {
            inner.run().await;
            Ok::<(), std::convert::Infallible>(())
        }))
    }

    /// Returns when the loop has ended. Cancel-safe.
    pub async fn ended(&self) {
        self.0.ended().await;
    }
}

struct Loop {
    store: Arc<dyn Metastore>,
    election: Election,
    members: Members,
    owners: Owners,
    plans: Plans,
    units: Units,
}

impl Loop {
    async fn run(&mut self) {
        self.members.ready().await;
        self.owners.ready().await;
        let mut backoff = Backoff::new(BACKOFF_BASE, BACKOFF_CAP);
        loop {
            let Some(leadership) = self.election.leadership() else {
                self.election.changed().await;
                continue;
            };
            // The units count as seen before they are used, so that a change meanwhile wakes the wait.
            let Some(units) = self.units.borrow_and_update().clone() else {
                self.change().await;
                continue;
            };
            match self.plan_once(&leadership, units).await {
                Ok(()) => {
                    backoff.reset();
                    let _ = timeout(TICK, self.change()).await;
                    self.settle().await;
                }
                Err(error) => {
                    let delay = backoff.next_delay();
                    tracing::warn!(error = %Chain(&error), ?delay, "cannot plan, retrying");
                    tokio::time::sleep(delay).await;
                }
            }
        }
    }

    async fn plan_once(&self, leadership: &Leadership, units: Arc<[Unit]>) -> Result<(), Error> {
        let stored = self.store.list(keyspace::PLANS).await.map_err(Error::store("read plans"))?.entries;
        let mut previous = assignment(&stored);
        // Where a plan is missing, owned units stay where they are.
        for (unit, owner) in self.owners.all() {
            previous.owners.entry(unit).or_insert(owner.member);
        }
        let members = self.members.all();
        let planned = tokio::task::spawn_blocking(move || plan(&members, &units, &previous));
        let planned = match planned.await {
            Ok(planned) => planned,
            // A pure function would panic again with the same arguments, so this is a failure of the task, like any other panic.
            Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        };
        let stored: BTreeMap<String, Vec<u8>> = stored.into_iter().map(|entry| (entry.key, entry.value.to_vec())).collect();
        for transaction in transactions(&stored, &planned)? {
            let operations = transaction.operations.len();
            let outcome = self.store.transact(transaction.when(leadership.guard())).await;
            if !outcome.map_err(Error::store("write plans"))?.succeeded {
                return Err(Error::Deposed);
            }
            tracing::info!(operations, epoch = %leadership.epoch(), "plans written");
        }
        Ok(())
    }

    /// Waits until anything that the plan depends on may have changed.
    async fn change(&mut self) {
        tokio::select! {
            () = self.election.changed() => {}
            () = self.members.changed() => {}
            () = self.plans.changed() => {}
            changed = self.units.changed() => if changed.is_err() {
                // The wanted units will not change any more; everything else may.
                tokio::select! {
                    () = self.election.changed() => {}
                    () = self.members.changed() => {}
                    () = self.plans.changed() => {}
                }
            },
        }
    }

    async fn settle(&mut self) {
        let limit = Instant::now() + SETTLE_LIMIT;
        while Instant::now() < limit && timeout(SETTLE, self.change()).await.is_ok() {}
    }
}

/// The writes that turn the stored plans into the wanted ones, in transactions within the limits.
fn transactions(stored: &BTreeMap<String, Vec<u8>>, wanted: &Assignment) -> Result<Vec<Transaction>, Error> {
    let mut operations = Vec::new();
    let mut keys = BTreeSet::new();
    for (stream, plan) in by_stream(wanted) {
        let key = keyspace::plan(&stream);
        let value = encode("plan", &plan)?;
        if stored.get(&key) != Some(&value) {
            let put = Operation::Put { key: key.clone(), value: value.into(), lease: None };
            operations.push(put);
        }
        keys.insert(key);
    }
    operations.extend(stored.keys().filter(|key| !keys.contains(*key)).cloned().map(Operation::Delete));

    let mut all: Vec<Transaction> = Vec::new();
    for operation in operations {
        if operation.bytes() > PAYLOAD {
            tracing::error!(
                bytes = operation.bytes(),
                limit = PAYLOAD,
                "the plan of a stream is too large to be stored; the stored plan stays"
            );
            continue;
        }
        let fits = |last: &&mut Transaction| last.operations.len() < MAX_OPERATIONS && last.bytes() + operation.bytes() <= PAYLOAD;
        match all.last_mut().filter(fits) {
            Some(last) => last.operations.push(operation),
            None => all.push(Transaction::new().operation(operation)),
        }
    }
    Ok(all)
}

/// The most bytes in a transaction besides its guard.
const PAYLOAD: usize = MAX_BYTES - 1024;

#[cfg(test)]
mod tests {
    use rocketbridge_model::MemberId;

    use super::*;
    use crate::unit::{UnitId, UnitKind};

    fn planned(streams: usize, shards: u32) -> Assignment {
        let mut assignment = Assignment::default();
        for stream in 0..streams {
            for shard in 0..shards {
                let unit = UnitId::new(format!("s{stream}"), UnitKind::FilterShard(shard));
                assignment.owners.insert(unit, MemberId::new("member-with-a-rather-long-name-as-hosts-have"));
            }
        }
        assignment
    }

    /// *Scenario*: many streams, and streams with many units. *Guarantees*: every transaction, with its guard, is within the limits, and together they
    /// hold everything once.
    #[test]
    fn transactions_are_within_limits() {
        for (streams, shards) in [(1000, 2), (3, 12_000)] {
            let all = transactions(&BTreeMap::new(), &planned(streams, shards)).expect("encodable");
            assert_eq!(all.iter().map(|transaction| transaction.operations.len()).sum::<usize>(), streams);
            assert!(all.len() > 1);
            for transaction in all {
                let guard = rocketbridge_metastore::Compare::CreateRevision("leader".into(), 1);
                transaction.when(guard).validate().expect("within the limits");
            }
        }
    }

    /// *Scenario*: one of three stored plans is as wanted, one differs, one is of a stream that is gone. *Guarantees*: only the differences are written.
    #[test]
    fn only_changes_are_written() {
        let old = planned(2, 2);
        let mut stored: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for (stream, plan) in by_stream(&old) {
            stored.insert(keyspace::plan(&stream), encode("plan", &plan).expect("encodable"));
        }
        stored.insert(keyspace::plan("gone"), b"{}".to_vec());
        let mut new = old.clone();
        new.owners.insert(UnitId::new("s1", UnitKind::FilterShard(0)), MemberId::new("other"));
        let all = transactions(&stored, &new).expect("encodable");
        let keys: Vec<&str> = all
            .iter()
            .flat_map(|transaction| &transaction.operations)
            .map(|operation| match operation {
                Operation::Put { key, .. } | Operation::Delete(key) | Operation::DeletePrefix(key) => key.as_str(),
            })
            .collect();
        assert_eq!(keys, ["plan/s1", "plan/gone"]);
    }
}
