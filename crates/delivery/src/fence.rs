//! Refuses sessions of owners that have been succeeded (invariant I3).
//!
//! A session is admitted under the epoch that the partition's owner key has now, and no other. Nothing is remembered of epochs: what the key says
//! decides, so nobody can fence a partition by naming a number, and a metadata store that was restored to older revisions is followed.
//! A session that is admitted takes over: the former one for the partition must end, because its sender has opened another or was succeeded.

use std::collections::HashMap;
use std::hash::Hash;

use rocketbridge_model::Epoch;

/// The present session for each key. `S` is what ends a session.
#[derive(Debug)]
pub struct Fence<K, S> {
    present: HashMap<K, (Admission, S)>,
    admitted: u64,
}

/// Names one admission, to leave by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission(u64);

/// The epoch is not that of the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("epoch {offered} is not the owner's{}", .owner.map(|owner| format!(", which is {owner}")).unwrap_or_default())]
pub struct Stale {
    /// What was offered.
    pub offered: Epoch,
    /// What the owner key has; `None` while there is none.
    pub owner: Option<Epoch>,
}

impl<K: Eq + Hash, S> Fence<K, S> {
    /// One without sessions.
    pub fn new() -> Self {
        Self { present: HashMap::new(), admitted: 0 }
    }

    /// Admits a session, or refuses it. `owner` is the epoch of the partition's owner key at this moment. Returns the session that it takes over
    /// from, which must end now.
    pub fn admit(&mut self, key: K, offered: Epoch, owner: Option<Epoch>, session: S) -> Result<(Admission, Option<S>), Stale> {
        if owner != Some(offered) {
            return Err(Stale { offered, owner });
        }
        self.admitted += 1;
        let admission = Admission(self.admitted);
        let former = self.present.insert(key, (admission, session));
        Ok((admission, former.map(|(_, session)| session)))
    }

    /// The session has ended.
    pub fn leave(&mut self, key: &K, admission: Admission) {
        if self.present.get(key).is_some_and(|(present, _)| *present == admission) {
            self.present.remove(key);
        }
    }

    /// Forgets what matches, for a shard that is no longer owned here. Returns the sessions to end.
    pub fn forget(&mut self, matches: impl Fn(&K) -> bool) -> Vec<S> {
        self.present.extract_if(|key, _| matches(key)).map(|(_, (_, session))| session).collect()
    }
}

impl<K: Eq + Hash, S> Default for Fence<K, S> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Option<Epoch> = Some(Epoch(5));

    /// *Scenario*: former owners, one that names the highest number there is, and one while nobody owns the partition. *Guarantees*: each is refused, and
    /// the owner is admitted afterwards as before.
    #[test]
    fn nobody_but_the_owner_is_admitted() {
        let mut fence = Fence::new();
        for offered in [Epoch(4), Epoch(6), Epoch(u64::MAX)] {
            assert_eq!(fence.admit("p", offered, OWNER, "a"), Err(Stale { offered, owner: OWNER }));
        }
        assert_eq!(fence.admit("p", Epoch(5), None, "a"), Err(Stale { offered: Epoch(5), owner: None }));
        assert!(fence.admit("p", Epoch(5), OWNER, "b").is_ok_and(|(_, former)| former.is_none()));
    }

    /// *Scenario*: a store is restored, so that the next owner has a lower epoch than the present session. *Guarantees*: it takes over.
    #[test]
    fn a_restored_store_is_followed() {
        let mut fence = Fence::new();
        fence.admit("p", Epoch(5), OWNER, "a").expect("the owner");
        let (_, former) = fence.admit("p", Epoch(3), Some(Epoch(3)), "b").expect("the owner by now");
        assert_eq!(former, Some("a"));
    }

    #[test]
    fn the_same_owner_coming_again_takes_over_and_the_former_leaving_changes_nothing() {
        let mut fence = Fence::new();
        let (first, _) = fence.admit("p", Epoch(5), OWNER, "a").expect("first");
        let (_, former) = fence.admit("p", Epoch(5), OWNER, "b").expect("again");
        assert_eq!(former, Some("a"));
        fence.leave(&"p", first);
        assert_eq!(fence.forget(|_| true), ["b"]);
    }

    #[test]
    fn nothing_stays_of_a_session_that_has_left() {
        let mut fence = Fence::new();
        let (admission, _) = fence.admit("p", Epoch(5), OWNER, "a").expect("first");
        fence.leave(&"p", admission);
        assert!(fence.present.is_empty());
    }
}
