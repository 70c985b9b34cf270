//! Refuses sessions of owners that have been succeeded (invariant I3).
//!
//! For each partition it remembers the highest epoch it has seen. A session with a lower one is refused. One with the same
//! or a higher epoch takes over: the former session for the partition must end, because its sender has opened another.

use std::collections::HashMap;
use std::hash::Hash;

use rocketbridge_model::Epoch;

/// Highest epoch and present session for each key. `S` is what ends a session.
#[derive(Debug)]
pub struct Fence<K, S> {
    seen: HashMap<K, Held<S>>,
    admitted: u64,
}

#[derive(Debug)]
struct Held<S> {
    epoch: Epoch,
    admission: u64,
    session: Option<S>,
}

/// Names one admission, to leave by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission(u64);

/// The epoch is lower than one seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("epoch {offered} is below {highest}: the ownership has passed to another")]
pub struct Stale {
    /// What was offered.
    pub offered: Epoch,
    /// The highest that was seen.
    pub highest: Epoch,
}

impl<K: Eq + Hash, S> Fence<K, S> {
    /// One that has seen nothing.
    pub fn new() -> Self {
        Self { seen: HashMap::new(), admitted: 0 }
    }

    /// Admits a session or refuses it. Answers the session that it takes over from, which must end now.
    pub fn admit(&mut self, key: K, epoch: Epoch, session: S) -> Result<(Admission, Option<S>), Stale> {
        if let Some(held) = self.seen.get(&key)
            && epoch < held.epoch
        {
            return Err(Stale { offered: epoch, highest: held.epoch });
        }
        self.admitted += 1;
        let former = self.seen.insert(key, Held { epoch, admission: self.admitted, session: Some(session) });
        Ok((Admission(self.admitted), former.and_then(|held| held.session)))
    }

    /// The session has ended. The epoch stays remembered.
    pub fn leave(&mut self, key: &K, admission: Admission) {
        if let Some(held) = self.seen.get_mut(key)
            && held.admission == admission.0
        {
            held.session = None;
        }
    }

    /// Ends and forgets what matches, for a shard that is no longer owned here. Answers the sessions to end.
    pub fn forget(&mut self, matches: impl Fn(&K) -> bool) -> Vec<S> {
        let mut ended = Vec::new();
        self.seen.retain(|key, held| {
            let gone = matches(key);
            if gone {
                ended.extend(held.session.take());
            }
            !gone
        });
        ended
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

    #[test]
    fn a_lower_epoch_is_refused_even_when_no_session_is_left() {
        let mut fence = Fence::new();
        let (admission, former) = fence.admit("p", Epoch(5), "a").expect("first");
        assert_eq!(former, None);
        fence.leave(&"p", admission);
        assert_eq!(fence.admit("p", Epoch(4), "b"), Err(Stale { offered: Epoch(4), highest: Epoch(5) }));
    }

    #[test]
    fn the_same_owner_coming_again_takes_over_and_the_former_leaving_changes_nothing() {
        let mut fence = Fence::new();
        let (first, _) = fence.admit("p", Epoch(5), "a").expect("first");
        let (_, former) = fence.admit("p", Epoch(5), "b").expect("again");
        assert_eq!(former, Some("a"));
        fence.leave(&"p", first);
        assert_eq!(fence.forget(|_| true), ["b"]);
    }
}
