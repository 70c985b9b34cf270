//! What the embedded store holds in memory: entries, leases, and the last changes. Pure and synchronous; it takes the clock as an argument.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use tokio::time::Instant;

use crate::entry::{Entry, LeaseGrant, LeaseId, Listing};
use crate::transaction::{Compare, Operation, Transaction};
use crate::watch::Change;

/// The most revisions kept for watches.
const HISTORY_REVISIONS: usize = 4096;

/// The most bytes of keys and values kept for watches.
const HISTORY_BYTES: usize = 16 << 20;

/// Everything in memory.
#[derive(Debug)]
pub(super) struct State {
    entries: BTreeMap<String, Entry>,
    revision: u64,
    leases: HashMap<LeaseId, Granted>,
    next_lease: i64,
    history: VecDeque<Revision>,
    history_bytes: usize,
    compacted: u64,
}

/// What a transaction would do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// A comparison does not hold.
    Refused,
    /// A lease that it names does not exist.
    NoLease(LeaseId),
    /// These changes, at the next revision; none if it changes nothing.
    Changes(Vec<Change>),
}

#[derive(Debug)]
struct Granted {
    ttl: Duration,
    expires: Instant,
    keys: BTreeSet<String>,
}

#[derive(Debug)]
struct Revision {
    number: u64,
    changes: Vec<Change>,
}

impl State {
    /// The state of a store just opened: nothing is leased, no change can be watched.
    pub(super) fn new(entries: BTreeMap<String, Entry>, revision: u64, first_lease: i64) -> Self {
        Self {
            entries,
            revision,
            leases: HashMap::new(),
            next_lease: first_lease,
            history: VecDeque::new(),
            history_bytes: 0,
            compacted: revision,
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    pub(super) fn list(&self, prefix: &str) -> Listing {
        Listing { entries: self.below(prefix).cloned().collect(), revision: self.revision }
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn compacted(&self) -> u64 {
        self.compacted
    }

    /// The first revision after `cursor` that changed something under `prefix`.
    pub(super) fn changes_after(&self, cursor: u64, prefix: &str) -> Option<(u64, Vec<Change>)> {
        let start = self.history.partition_point(|revision| revision.number <= cursor);
        self.history.range(start..).find_map(|revision| {
            let changes: Vec<Change> = revision.changes.iter().filter(|change| change.key().starts_with(prefix)).cloned().collect();
            (!changes.is_empty()).then_some((revision.number, changes))
        })
    }

    /// What `transaction` would do now, at the revision that it would get.
    pub(super) fn effect(&self, transaction: &Transaction, revision: u64) -> Effect {
        if !transaction.compares.iter().all(|compare| self.holds(compare)) {
            return Effect::Refused;
        }
        let mut changes = Vec::new();
        for operation in &transaction.operations {
            match operation {
                Operation::Put { lease: Some(lease), .. } if !self.leases.contains_key(lease) => {
                    return Effect::NoLease(*lease);
                }
                Operation::Put { key, value, lease } => changes.push(Change::Put(Entry {
                    key: key.clone(),
                    value: value.clone(),
                    create_revision: self.entries.get(key).map_or(revision, |entry| entry.create_revision),
                    mod_revision: revision,
                    lease: *lease,
                })),
                Operation::Delete(key) => {
                    if self.entries.contains_key(key) {
                        changes.push(Change::Delete { key: key.clone(), revision });
                    }
                }
                Operation::DeletePrefix(prefix) => {
                    changes.extend(self.below(prefix).map(|entry| Change::Delete { key: entry.key.clone(), revision }))
                }
            }
        }
        Effect::Changes(changes)
    }

    /// The deletions that end a lease; `None` if there is no such lease.
    pub(super) fn plan_end(&self, lease: LeaseId) -> Option<Vec<Change>> {
        let revision = self.revision + 1;
        self.leases.get(&lease).map(|lease| {
            let delete = |key: &String| Change::Delete { key: key.clone(), revision };
            lease.keys.iter().map(delete).collect()
        })
    }

    /// Makes planned changes visible, as the next revision.
    pub(super) fn apply(&mut self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        self.revision += 1;
        for change in &changes {
            let before = match change {
                Change::Put(entry) => self.entries.insert(entry.key.clone(), entry.clone()),
                Change::Delete { key, .. } => self.entries.remove(key),
            };
            if let Some(lease) = before.and_then(|entry| entry.lease).and_then(|lease| self.leases.get_mut(&lease)) {
                lease.keys.remove(change.key());
            }
            if let Change::Put(Entry { key, lease: Some(lease), .. }) = change
                && let Some(lease) = self.leases.get_mut(lease)
            {
                lease.keys.insert(key.clone());
            }
        }
        self.history_bytes += changes.iter().map(bytes).sum::<usize>();
        self.history.push_back(Revision { number: self.revision, changes });
        while self.history.len() > HISTORY_REVISIONS || self.history_bytes > HISTORY_BYTES {
            self.forget_oldest();
        }
    }

    /// Forgets changes up to and including `revision`.
    pub(super) fn compact(&mut self, revision: u64) {
        while self.history.front().is_some_and(|oldest| oldest.number <= revision) {
            self.forget_oldest();
        }
        self.compacted = self.compacted.max(revision.min(self.revision));
    }

    pub(super) fn grant(&mut self, ttl: Duration, now: Instant) -> LeaseGrant {
        let id = LeaseId(self.next_lease);
        self.next_lease += 1;
        let lease = Granted { ttl, expires: now + ttl, keys: BTreeSet::new() };
        self.leases.insert(id, lease);
        LeaseGrant { id, ttl }
    }

    /// Renews a lease; `None` if there is none.
    pub(super) fn keep_alive(&mut self, lease: LeaseId, now: Instant) -> Option<Duration> {
        let lease = self.leases.get_mut(&lease)?;
        lease.expires = now + lease.ttl;
        Some(lease.ttl)
    }

    /// Forgets a lease whose keys were deleted.
    pub(super) fn end(&mut self, lease: LeaseId) {
        self.leases.remove(&lease);
    }

    /// The lease that expires next, and when.
    pub(super) fn next_expiry(&self) -> Option<(Instant, LeaseId)> {
        self.leases.iter().map(|(id, lease)| (lease.expires, *id)).min()
    }

    fn holds(&self, compare: &Compare) -> bool {
        match compare {
            Compare::KeyAbsent(key) => !self.entries.contains_key(key),
            Compare::CreateRevision(key, revision) => self.entries.get(key).is_some_and(|entry| entry.create_revision == *revision),
            Compare::ModRevision(key, revision) => self.entries.get(key).is_some_and(|entry| entry.mod_revision == *revision),
        }
    }

    fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Entry> {
        let start = (Bound::Included(prefix), Bound::Unbounded);
        self.entries.range::<str, _>(start).map(|(_, entry)| entry).take_while(move |entry| entry.key.starts_with(prefix))
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.history.pop_front() {
            self.history_bytes -= oldest.changes.iter().map(bytes).sum::<usize>();
            self.compacted = oldest.number;
        }
    }
}

fn bytes(change: &Change) -> usize {
    match change {
        Change::Put(entry) => entry.key.len() + entry.value.len(),
        Change::Delete { key, .. } => key.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(state: &mut State, transaction: &Transaction) {
        match state.effect(transaction, state.revision() + 1) {
            Effect::Changes(changes) => state.apply(changes),
            other => panic!("{other:?}"),
        }
    }

    fn fresh() -> State {
        State::new(BTreeMap::new(), 0, 1)
    }

    /// *Scenario*: more changes than are kept, by number and by size. *Guarantees*: memory is bounded and what was forgotten counts as compacted.
    #[test]
    fn history_is_bounded() {
        let mut many = fresh();
        (0..HISTORY_REVISIONS + 10).for_each(|_| run(&mut many, &Transaction::new().put("k", "v")));
        assert_eq!((many.history.len(), many.compacted()), (HISTORY_REVISIONS, 10));

        let mut large = fresh();
        (0..20).for_each(|_| run(&mut large, &Transaction::new().put("k", vec![0; 1 << 20])));
        assert!(large.history_bytes <= HISTORY_BYTES);
        assert_eq!(large.compacted(), 5);
        let kept: usize = large.history.iter().flat_map(|revision| &revision.changes).map(bytes).sum();
        assert_eq!(kept, large.history_bytes);
    }

    /// *Scenario*: a leased key is overwritten without the lease, another is taken over by a second lease. *Guarantees*: the end of the first
    /// lease deletes neither.
    #[test]
    fn a_key_belongs_to_the_lease_that_wrote_it_last() {
        let mut state = fresh();
        let now = Instant::now();
        let first = state.grant(Duration::from_secs(5), now).id;
        let second = state.grant(Duration::from_secs(9), now).id;
        run(&mut state, &Transaction::new().put_leased("a", "1", first).put_leased("b", "1", first).put_leased("c", "1", first));
        run(&mut state, &Transaction::new().put("a", "2").put_leased("b", "2", second));
        assert_eq!(state.next_expiry(), Some((now + Duration::from_secs(5), first)));
        let ends = state.plan_end(first).expect("it exists");
        assert_eq!(ends, [Change::Delete { key: "c".into(), revision: 3 }]);
    }
}
