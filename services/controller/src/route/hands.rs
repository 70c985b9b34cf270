//! Who else commits for a group at a target. Pure.
//!
//! Consumers behind a proxy of RocketMQ 5.x that is no part of a broker are known to that proxy only, and no broker tells of them. But their progress
//! moves. So a group whose progress at the target was moved by anybody else is taken for one that consumes there, for a while.

use std::collections::BTreeMap;
use std::time::Duration;

use rocketbridge_model::route::Direction;
use tokio::time::Instant;

use super::progress::GroupProgress;
use crate::clusters::Queue;

/// How long after somebody else has moved its progress a group counts as consuming.
const QUIET: Duration = Duration::from_secs(30);

/// What was seen of progress at targets.
#[derive(Debug, Default)]
pub struct Hands {
    seen: BTreeMap<Key, u64>,
    moved: BTreeMap<(Direction, String), Instant>,
}

type Key = (Direction, String, String, Queue);

impl Hands {
    /// Looks at what a group has committed at the target. Returns whether somebody else commits for it.
    pub fn look(&mut self, group: &GroupProgress, now: Instant) -> bool {
        let whose = (group.direction, group.group.clone());
        for queue in &group.queues {
            let Some(committed) = queue.target_committed else { continue };
            if self.seen.insert(Self::key(group, &queue.target), committed).is_some_and(|before| before != committed) {
                self.moved.insert(whose.clone(), now);
            }
        }
        self.moved.retain(|_, moved| now.duration_since(*moved) < QUIET);
        self.moved.contains_key(&whose)
    }

    /// Takes note of what was committed by ourselves.
    pub fn note(&mut self, group: &GroupProgress, queue: &Queue, offset: u64) {
        self.seen.insert(Self::key(group, queue), offset);
    }

    fn key(group: &GroupProgress, queue: &Queue) -> Key {
        (group.direction, group.group.clone(), group.target_topic.clone(), queue.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::progress::QueueProgress;
    use super::*;

    /// *Scenario*: progress at the target is seen first, set by ourselves, and moved by somebody else. *Guarantees*: only the last is somebody's hand, for half a minute.
    #[tokio::test(start_paused = true)]
    async fn only_what_others_commit_is_a_hand() {
        let target = Queue { broker: "b".into(), id: 0 };
        let at = |committed| GroupProgress {
            group: "g".into(),
            queues: vec![QueueProgress { target: target.clone(), target_committed: committed, ..Default::default() }],
            ..Default::default()
        };
        let mut hands = Hands::default();
        assert!(!hands.look(&at(None), Instant::now()));
        assert!(!hands.look(&at(Some(5)), Instant::now()));
        hands.note(&at(None), &target, 8);
        assert!(!hands.look(&at(Some(8)), Instant::now()));
        assert!(hands.look(&at(Some(9)), Instant::now()));
        tokio::time::advance(QUIET - Duration::from_secs(1)).await;
        assert!(hands.look(&at(Some(9)), Instant::now()));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!hands.look(&at(Some(9)), Instant::now()));
    }
}
