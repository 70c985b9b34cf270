//! How far a group is at both ends of a way, and what is to be done about it. Pure.

use rocketbridge_model::route::Direction;

use crate::clusters::{Commit, Progress, Queue, Translation};

/// The progress of a group from a topic to its mirror.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupProgress {
    /// The group.
    pub group: String,
    /// Which way its progress is translated.
    pub direction: Direction,
    /// The topic that it has read.
    pub source_topic: String,
    /// Its mirror.
    pub target_topic: String,
    /// Why its progress is not translated now, for people.
    pub reason: Option<String>,
    /// Its queues, sorted.
    pub queues: Vec<QueueProgress>,
}

/// The progress of a group in a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueProgress {
    /// The queue of the source; `None` where the source does not tell.
    pub source: Option<Queue>,
    /// What it has committed there.
    pub source_committed: Option<u64>,
    /// The queue of the target.
    pub target: Queue,
    /// What it has committed there.
    pub target_committed: Option<u64>,
    /// What it should have committed there; `None` where that cannot be found now.
    pub translated: Option<u64>,
    /// Whether the mirror holds all that it has read.
    pub is_copied: bool,
}

impl QueueProgress {
    /// What is known of a queue once its progress was translated.
    pub fn of(found: &Translation, read: &Progress, at_target: &Progress) -> Self {
        let translated = found.translated.as_ref().ok();
        Self {
            source: Some(found.source.clone()),
            source_committed: read.get(&found.source).copied(),
            target: found.target.clone(),
            target_committed: at_target.get(&found.target).copied(),
            translated: translated.map(|(offset, _)| *offset),
            is_copied: translated.is_some_and(|(_, is_copied)| *is_copied),
        }
    }

    /// The offset that is to be committed at the target, if any: progress is never set back, and a group that has none there gets one, so that it does not begin
    /// where its clients say.
    pub fn wanted(&self) -> Option<u64> {
        self.translated.filter(|translated| self.target_committed.is_none_or(|committed| committed < *translated))
    }

    /// Messages that the group would read again if it went on at the target now.
    pub fn behind(&self) -> u64 {
        self.translated.map_or(0, |translated| translated.saturating_sub(self.target_committed.unwrap_or_default()))
    }
}

impl GroupProgress {
    /// Messages that the group would read again if it went on at the target now.
    pub fn behind(&self) -> u64 {
        self.queues.iter().map(QueueProgress::behind).fold(0, u64::saturating_add)
    }

    /// Whether nothing is left to do: all that the group has read is at the target, and so is its progress.
    pub fn is_settled(&self) -> bool {
        let is_settled = |queue: &QueueProgress| queue.is_copied && queue.translated.is_some() && queue.wanted().is_none();
        self.reason.is_none() && self.queues.iter().all(is_settled)
    }

    /// What is to be committed at the target.
    pub fn commits(&self) -> Vec<Commit> {
        let commit = |queue: &QueueProgress| {
            let offset = queue.wanted()?;
            Some(Commit { group: self.group.clone(), topic: self.target_topic.clone(), queue: queue.target.clone(), offset })
        };
        self.queues.iter().filter_map(commit).collect()
    }

    /// Takes note of what was committed.
    pub fn note(&mut self, commit: &Commit) {
        let queue = self.queues.iter_mut().find(|queue| queue.target == commit.queue);
        if let Some(queue) = queue {
            queue.target_committed = Some(commit.offset);
        }
    }

    /// Says why nothing is done, unless something else was said before.
    pub fn give(&mut self, reason: impl Into<String>) {
        self.reason.get_or_insert_with(|| reason.into());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn queue(id: u32) -> Queue {
        Queue { broker: "b".into(), id }
    }

    fn progress(target_committed: Option<u64>, translated: Option<u64>, is_copied: bool) -> QueueProgress {
        QueueProgress { source: Some(queue(0)), source_committed: Some(7), target: queue(1), target_committed, translated, is_copied }
    }

    /// *Scenario*: a queue whose translation is not known, a group that has nothing at the target, and one that is behind, where it should be, and ahead. *Guarantees*: a commit only for the
    /// second and third; zero is committed, too; only where it should be or ahead is it settled, and only if all is copied.
    #[test]
    fn progress_is_set_only_where_it_is_behind() {
        let said = |queue: QueueProgress| {
            let group = GroupProgress { queues: vec![queue], ..Default::default() };
            (group.commits().first().map(|commit| commit.offset), group.behind(), group.is_settled())
        };
        assert_eq!(said(progress(None, None, false)), (None, 0, false));
        assert_eq!(said(progress(None, Some(0), true)), (Some(0), 0, false));
        assert_eq!(said(progress(None, Some(5), true)), (Some(5), 5, false));
        assert_eq!(said(progress(Some(3), Some(5), true)), (Some(5), 2, false));
        assert_eq!(said(progress(Some(5), Some(5), true)), (None, 0, true));
        assert_eq!(said(progress(Some(9), Some(5), true)), (None, 0, true));
        assert_eq!(said(progress(Some(5), Some(5), false)), (None, 0, false));
    }

    proptest! {
        /// *Scenario*: any translations one after another, of any offsets at the target. *Guarantees*: progress at the target is never set back, never beyond a translation, and a second pass
        /// over the same changes nothing.
        #[test]
        fn progress_only_goes_forward(start in prop::option::of(0_u64..50), translations in prop::collection::vec(0_u64..50, 1..20)) {
            let mut group = GroupProgress { queues: vec![progress(start, None, true)], ..Default::default() };
            for translated in translations {
                group.queues[0].translated = Some(translated);
                let before = group.queues[0].target_committed;
                for commit in group.commits() {
                    prop_assert_eq!(commit.offset, translated);
                    prop_assert!(before.is_none_or(|before| before < commit.offset));
                    group.note(&commit);
                }
                prop_assert!(group.commits().is_empty() && group.is_settled() && group.behind() == 0);
            }
        }
    }
}
