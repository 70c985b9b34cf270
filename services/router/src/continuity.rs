//! Whether a partition is still what was read of it, and where reading goes on.
//!
//! An offset that is not there proves little: the source may have removed it, or lost it, or be a replica that is behind, or the group's
//! offset may have been set by hand. And an offset that is there proves nothing: the topic may have been removed and made anew, and have
//! grown past it. The judge is the identity of messages that were read: what stands at their offsets now, as a master says.
//!
//! [`judge`] is pure. Its promise: where a landmark is known right before the wanted offset, no message that was never read is passed over,
//! whatever became of the topic, unless the source itself does not store it any more; and where that landmark still stands, nothing is
//! read again. Without a landmark it chooses to read again rather than to lose.

use std::time::Duration;

use rocketbridge_connector::Survey;
use rocketbridge_model::partition::{GapCause, Landmark};

/// How long a master may end before the wanted offset: after a start it knows its newest messages only by and by.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// What is wanted, what is known, and what the source says.
pub(crate) struct Question<'a> {
    /// The offset to go on at.
    pub(crate) wanted: u64,
    /// Where to begin if nothing at all is known of the partition, and the wanted offset cannot be right.
    pub(crate) origin: u64,
    /// Messages that were read, by offset.
    pub(crate) known: &'a [Landmark],
    /// What the source holds, with the messages at the offsets of all that is known.
    pub(crate) survey: &'a Survey,
    /// The newest message that the source holds, where the wanted offset is beyond it.
    pub(crate) newest: Option<&'a Landmark>,
    /// How long the question has been asked.
    pub(crate) waited: Duration,
}

/// Where reading goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// At the wanted offset.
    GoOn,
    /// Nowhere yet: ask again soon.
    Wait(Waiting),
    /// Further on: the source removed what was wanted.
    Skip {
        /// The oldest offset.
        to: u64,
    },
    /// Before the wanted offset.
    Back {
        /// The offset.
        to: u64,
        /// Why.
        cause: GapCause,
    },
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Waiting {
    /// A replica does not hold it; it may be behind its master.
    #[error("only a replica can be asked, and it does not hold the next offset: waiting for the broker's master")]
    Master,
    /// A master may know its newest messages only by and by.
    #[error("the source ends before the next offset: waiting for it to grow")]
    Growth,
}

/// Judges. See the module.
pub(crate) fn judge(question: &Question<'_>) -> Verdict {
    let Question { wanted, origin, known, survey, newest, waited } = *question;
    let stands = |landmark: &Landmark| survey.landmarks.iter().find(|found| found.offset == landmark.offset);
    let same = known.iter().rev().find(|landmark| stands(landmark) == Some(*landmark));
    let differs = known.iter().any(|landmark| stands(landmark).is_some_and(|found| found != landmark));
    let is_stored = (survey.minimum..=survey.maximum).contains(&wanted);
    if !survey.is_from_master {
        // A replica holds nothing that its master did not: what it has may be read, what it lacks proves nothing.
        return if is_stored && !differs { Verdict::GoOn } else { Verdict::Wait(Waiting::Master) };
    }
    // Nothing was stored since the last message that is known, so what is there was there before.
    let has_grown = newest.zip(known.last()).is_none_or(|(newest, last)| newest.stored > last.stored);
    let back = |same: &Landmark| (same.offset + 1).min(wanted).clamp(survey.minimum, survey.maximum);
    let anew = Verdict::Back { to: survey.minimum, cause: GapCause::MadeAnew };
    match same {
        Some(same) if differs => Verdict::Back { to: back(same), cause: GapCause::Rewritten },
        None if differs => anew,
        _ if wanted < survey.minimum => Verdict::Skip { to: survey.minimum },
        _ if is_stored => Verdict::GoOn,
        _ if waited < PATIENCE => Verdict::Wait(Waiting::Growth),
        Some(same) if has_grown => Verdict::Back { to: back(same), cause: GapCause::Rewritten },
        Some(_) => Verdict::Back { to: survey.maximum, cause: GapCause::Truncated },
        // Never read: the committed offset is somebody else's.
        None if known.is_empty() => Verdict::Back { to: origin.clamp(survey.minimum, survey.maximum), cause: GapCause::Truncated },
        None => anew,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// A queue as its master has it: messages by their identity, from an offset on.
    #[derive(Clone, Debug, Default)]
    struct Queue {
        minimum: u64,
        messages: Vec<i64>,
    }

    impl Queue {
        fn maximum(&self) -> u64 {
            self.minimum + self.messages.len() as u64
        }

        fn at(&self, offset: u64) -> Option<i64> {
            self.messages.get(usize::try_from(offset.checked_sub(self.minimum)?).ok()?).copied()
        }

        fn landmark(&self, offset: u64) -> Option<Landmark> {
            self.at(offset).map(|stored| Landmark { offset, stored, ..Landmark::default() })
        }

        fn newest(&self) -> Option<Landmark> {
            self.landmark(self.maximum().checked_sub(1)?)
        }

        fn survey(&self, known: &[Landmark]) -> Survey {
            let landmarks = known.iter().filter_map(|landmark| self.landmark(landmark.offset)).collect();
            Survey { minimum: self.minimum, maximum: self.maximum(), landmarks, is_from_master: true }
        }
    }

    /// What can become of a topic while nobody looks.
    #[derive(Clone, Debug)]
    enum Step {
        Append(usize),
        Expire(usize),
        LoseTail(usize),
        MakeAnew,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (1usize..30).prop_map(Step::Append),
            2 => (0usize..20).prop_map(Step::Expire),
            1 => (0usize..20).prop_map(Step::LoseTail),
            1 => Just(Step::MakeAnew),
        ]
    }

    fn play(queue: &mut Queue, next: &mut i64, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Append(count) => {
                    queue.messages.extend(*next..*next + *count as i64);
                    *next += *count as i64;
                }
                Step::Expire(count) => {
                    let count = (*count).min(queue.messages.len());
                    queue.messages.drain(..count);
                    queue.minimum += count as u64;
                }
                Step::LoseTail(count) => queue.messages.truncate(queue.messages.len().saturating_sub(*count)),
                Step::MakeAnew => *queue = Queue::default(),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        /// *Scenario*: a queue is read to some offset; then anything becomes of it: it grows, expires, loses its tail, is made anew, in any order.
        /// What is remembered is the message before the offset, and any others.
        /// *Guarantees*: no message that was never read is passed over; nothing that was read is read again while the remembered message
        /// stands; the answer is within what is stored.
        #[test]
        fn nothing_unread_is_passed_over(
            first in 1usize..60, expired in 0usize..30, read in 1usize..60,
            others in prop::collection::vec(0usize..60, 0..4), steps in prop::collection::vec(step(), 0..8),
        ) {
            let (mut queue, mut next) = (Queue::default(), 0);
            play(&mut queue, &mut next, &[Step::Append(first), Step::Expire(expired.min(first - 1))]);
            let wanted = (queue.minimum + read as u64).min(queue.maximum());
            let done: BTreeSet<i64> = (0..wanted).filter_map(|offset| queue.at(offset)).collect();
            let mut offsets: BTreeSet<u64> = others.iter().map(|other| *other as u64).filter(|other| *other < wanted).collect();
            offsets.insert(wanted - 1);
            let known: Vec<Landmark> = offsets.iter().filter_map(|offset| queue.landmark(*offset)).collect();
            play(&mut queue, &mut next, &steps);

            let survey = queue.survey(&known);
            let newest = queue.newest();
            let question = Question { wanted, origin: 0, known: &known, survey: &survey, newest: newest.as_ref(), waited: PATIENCE };
            let to = match judge(&question) {
                Verdict::GoOn => wanted,
                Verdict::Skip { to } | Verdict::Back { to, .. } => to,
                Verdict::Wait(waiting) => panic!("{waiting} after all patience"),
            };
            prop_assert!((queue.minimum..=queue.maximum()).contains(&to));
            for offset in queue.minimum..to {
                let message = queue.at(offset).expect("stored");
                prop_assert!(done.contains(&message), "message {message} at {offset} is passed over");
            }
            if queue.landmark(wanted - 1).as_ref() == known.last() {
                prop_assert_eq!(to, wanted, "the message before it stands");
            }
        }

        /// *Scenario*: as before, but any landmarks, also none of the end, and the topic was made anew without anything expired since.
        /// *Guarantees*: it is read from its oldest message.
        #[test]
        fn a_topic_made_anew_is_read_from_its_beginning(first in 1usize..60, mark in 0usize..60, second in 0usize..120) {
            let (mut queue, mut next) = (Queue::default(), 0);
            play(&mut queue, &mut next, &[Step::Append(first)]);
            let known: Vec<Landmark> = queue.landmark((mark % first) as u64).into_iter().collect();
            let wanted = queue.maximum();
            play(&mut queue, &mut next, &[Step::MakeAnew, Step::Append(second)]);
            let survey = queue.survey(&known);
            let newest = queue.newest();
            let question = Question { wanted, origin: 5, known: &known, survey: &survey, newest: newest.as_ref(), waited: PATIENCE };
            let verdict = judge(&question);
            prop_assert_eq!(verdict, Verdict::Back { to: 0, cause: GapCause::MadeAnew });
        }

        /// *Scenario*: only a replica can be asked, whatever it holds. *Guarantees*: nothing is decided by it: reading goes on or waits.
        #[test]
        fn a_replica_decides_nothing(wanted in 0u64..100, minimum in 0u64..50, length in 0u64..50, stored in 0i64..3) {
            let known = [Landmark { offset: 20, stored: 1, ..Landmark::default() }];
            let landmarks = vec![Landmark { offset: 20, stored, ..Landmark::default() }];
            let survey = Survey { minimum, maximum: minimum + length, landmarks, is_from_master: false };
            let verdict = judge(&Question { wanted, origin: 0, known: &known, survey: &survey, newest: None, waited: Duration::MAX });
            prop_assert!(matches!(verdict, Verdict::GoOn | Verdict::Wait(Waiting::Master)));
        }
    }

    fn verdict(wanted: u64, known: &[Landmark], queue: &Queue, waited: Duration) -> Verdict {
        let newest = queue.newest();
        judge(&Question { wanted, origin: 3, known, survey: &queue.survey(known), newest: newest.as_ref(), waited })
    }

    /// *Scenario*: the group's offset was set far beyond the end. *Guarantees*: reading waits a little, then goes on at the end, where the topic is known
    /// to be the same; and where the stream begins, if it never read anything.
    #[test]
    fn an_offset_beyond_the_end_is_not_the_whole_topic_again() {
        let queue = Queue { minimum: 0, messages: (0..50).collect() };
        let known = [queue.landmark(9).expect("stored"), queue.landmark(49).expect("stored")];
        assert_eq!(verdict(999, &known, &queue, Duration::ZERO), Verdict::Wait(Waiting::Growth));
        assert_eq!(verdict(999, &known, &queue, PATIENCE), Verdict::Back { to: 50, cause: GapCause::Truncated });
        // What came since the last message that is known may not have been read.
        assert_eq!(verdict(999, &known[..1], &queue, PATIENCE), Verdict::Back { to: 10, cause: GapCause::Rewritten });
        assert_eq!(verdict(999, &[], &queue, PATIENCE), Verdict::Back { to: 3, cause: GapCause::Truncated });
        assert_eq!(verdict(50, &[], &queue, Duration::ZERO), Verdict::GoOn);
    }

    /// *Scenario*: the source removed the wanted offset and everything that is known. *Guarantees*: reading goes on at the oldest: that is not a new topic.
    #[test]
    fn what_has_expired_is_no_new_topic() {
        let known = [Landmark { offset: 9, ..Landmark::default() }];
        let queue = Queue { minimum: 100, messages: (0..50).collect() };
        assert_eq!(verdict(10, &known, &queue, Duration::ZERO), Verdict::Skip { to: 100 });
        assert_eq!(verdict(120, &known, &queue, Duration::ZERO), Verdict::GoOn);
    }
}
