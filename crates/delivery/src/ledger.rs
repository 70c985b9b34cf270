//! The outbox of a source partition, and the offset that may be committed.
//!
//! The committed offset moves only over the contiguous prefix of events that have ended (invariant I1): it is the offset
//! of the oldest event without an acknowledgement, or the read position when there is none. Offsets that the source itself
//! passed over (by tag) end with the read position.

use rocketbridge_model::session::Credit;
use rocketbridge_model::{Event, OutcomeRange};

use crate::credit::Allowance;
use crate::outbox::{Ended, NotOpen, Outbox, Withdrawn};

/// The ledger of one partition under one ownership.
#[derive(Debug)]
pub struct Ledger {
    outbox: Outbox<Event>,
    read_offset: u64,
    window: Credit,
}

impl Ledger {
    /// Begins at an offset, with at most about a window of events under way.
    pub fn new(start: u64, window: Credit) -> Self {
        Self { outbox: Outbox::new(), read_offset: start, window }
    }

    /// Takes what was read: events in offset order, and where to read next.
    ///
    /// Events below the read position are passed over: the source gave them twice.
    pub fn admit(&mut self, events: Vec<Event>, next_offset: u64) {
        for event in events {
            if event.offset < self.read_offset {
                continue;
            }
            self.read_offset = event.offset + 1;
            self.outbox.push(event.offset, event.size(), event);
        }
        self.read_offset = self.read_offset.max(next_offset);
    }

    /// Whether more should be read: the window bounds events that are open, and all the memory that is held for them.
    pub fn has_room(&self) -> bool {
        self.outbox.weight().items < self.window.events as usize && (self.outbox.held() as u64) < self.window.bytes
    }

    /// Bytes of memory that are held.
    pub fn held(&self) -> usize {
        self.outbox.held()
    }

    /// Where to read next.
    pub fn read_offset(&self) -> u64 {
        self.read_offset
    }

    /// Every event before this offset has ended: it may be committed.
    pub fn committable(&self) -> u64 {
        self.outbox.oldest().unwrap_or(self.read_offset)
    }

    /// The oldest event under way.
    pub fn oldest(&self) -> Option<&Event> {
        self.outbox.items().next()
    }

    /// Events under way.
    pub fn in_flight(&self) -> usize {
        self.outbox.weight().items
    }

    /// Whether something waits to be sent.
    pub fn has_waiting(&self) -> bool {
        self.outbox.has_waiting()
    }

    /// Whether an outcome of the present session is owed.
    pub fn awaits_outcomes(&self) -> bool {
        self.outbox.awaits_outcomes()
    }

    /// The next events to send within the allowance, with the receipt of the first; their receipts are consecutive.
    ///
    /// A batch closes before it has more than `bytes`, so that it travels in one message; an event larger than that goes alone.
    pub fn next_batch(&mut self, allowance: &mut Allowance, most: usize, bytes: usize) -> Option<(u64, Vec<Event>)> {
        let first = self.outbox.next_receipt();
        let (mut events, mut full) = (Vec::new(), 0);
        while events.len() < most && allowance.is_open() {
            let Some((_, event)) = self.outbox.send_next(|size| {
                let fits = full == 0 || full + size <= bytes;
                if fits {
                    allowance.spend(size);
                    full += size.max(1);
                }
                fits
            }) else {
                break;
            };
            events.push(event);
        }
        (!events.is_empty()).then_some((first, events))
    }

    /// Takes an outcome; see [`Outbox::resolve`].
    pub fn resolve(&mut self, range: &OutcomeRange, ended: impl FnMut(Ended<'_, Event>)) -> Result<(), NotOpen> {
        self.outbox.resolve(range, ended)?;
        if self.outbox.is_thin() {
            self.outbox.detach(Event::detach);
        }
        Ok(())
    }

    /// Takes the events at these offsets out, as far as they wait to be sent; see [`Outbox::withdraw`].
    pub fn withdraw(&mut self, mut wanted: impl FnMut(u64) -> bool, withdrawn: impl FnMut(Withdrawn<Event>)) {
        self.outbox.withdraw(|event| wanted(event.offset), withdrawn);
    }

    /// Whether the event at this offset is under way. For rare questions: it looks at every event.
    pub fn holds(&self, offset: u64) -> bool {
        self.outbox.items().any(|event| event.offset == offset)
    }

    /// A new session begins: everything without an acknowledgement is sent again. Answers how many events that repeats.
    pub fn restart(&mut self) -> usize {
        self.outbox.restart()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use rocketbridge_model::{Envelope, Outcome};

    use super::*;

    const WINDOW: Credit = Credit { events: 64, bytes: 1 << 20 };

    fn event(offset: u64) -> Event {
        Event { offset, envelope: Envelope::default(), attributes: None }
    }

    fn open_allowance() -> Allowance {
        let mut allowance = Allowance::default();
        allowance.grant(Credit { events: u32::MAX, bytes: u64::MAX });
        allowance
    }

    #[test]
    fn gaps_of_the_source_are_committed_with_the_read_position() {
        let mut ledger = Ledger::new(5, WINDOW);
        ledger.admit(vec![event(7)], 20);
        assert_eq!(ledger.committable(), 7);
        ledger.next_batch(&mut open_allowance(), 10, usize::MAX).expect("one waits");
        ledger.resolve(&OutcomeRange { first: 0, count: 1, outcome: Outcome::Delivered }, |_| {}).expect("open");
        assert_eq!(ledger.committable(), 20);
    }

    #[test]
    fn what_the_source_gives_twice_is_taken_once() {
        let mut ledger = Ledger::new(0, WINDOW);
        ledger.admit(vec![event(0), event(1)], 2);
        ledger.admit(vec![event(1), event(2)], 3);
        assert_eq!(ledger.in_flight(), 3);
    }

    /// *Scenario*: events of 1 MiB, one of 9 MiB among them. *Guarantees*: a batch of more than 4 MiB is one event; order stays.
    #[test]
    fn a_batch_closes_before_it_is_too_large_for_a_message() {
        let mut ledger = Ledger::new(0, Credit { events: 64, bytes: 1 << 30 });
        let sized = |offset, mib: usize| Event {
            envelope: Envelope { body: bytes::Bytes::from(vec![0; mib << 20]), ..Envelope::default() },
            ..event(offset)
        };
        ledger.admit([1, 1, 9, 3, 1, 1].into_iter().zip(0..).map(|(mib, offset)| sized(offset, mib)).collect(), 6);
        let mut batches = Vec::new();
        while let Some((first, events)) = ledger.next_batch(&mut open_allowance(), 256, 4 << 20) {
            batches.push((first, events.iter().map(|event| event.offset).collect::<Vec<_>>()));
        }
        assert_eq!(batches, [(0, vec![0, 1]), (2, vec![2]), (3, vec![3, 4]), (5, vec![5])]);
    }

    /// What can happen to a partition.
    #[derive(Clone, Debug)]
    enum Step {
        Read(u64),
        Send(usize),
        Resolve { pick: usize, nack: bool },
        SessionLost,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1u64..5).prop_map(Step::Read),
            (1usize..9).prop_map(Step::Send),
            (any::<usize>(), prop::bool::weighted(0.2)).prop_map(|(pick, nack)| Step::Resolve { pick, nack }),
            Just(Step::SessionLost),
        ]
    }

    proptest! {
        /// Scenario: any order of reads, sends, outcomes in any order, nacks and lost sessions. Guarantees: the committed offset
        /// never passes an event without an acknowledgement and never goes back; nothing is sent again once acknowledged; within a
        /// session, without nacks, offsets only grow; in the end everything read was acknowledged exactly once.
        #[test]
        fn never_commits_past_an_open_event(steps in prop::collection::vec(step(), 1..200)) {
            let mut ledger = Ledger::new(0, WINDOW);
            let (mut acknowledged, mut open, mut committed) = (BTreeSet::new(), Vec::<(u64, u64)>::new(), 0);
            let mut allowance = open_allowance();
            let mut last_sent = None;
            let finish = [Step::SessionLost, Step::Send(usize::MAX)].into_iter().chain((0..2_000).map(|_| Step::Resolve { pick: 0, nack: false }));
            for step in steps.into_iter().chain(finish) {
                match step {
                    Step::Read(count) => {
                        let start = ledger.read_offset();
                        ledger.admit((start..start + count).map(event).collect(), start + count);
                    }
                    Step::Send(most) => {
                        if let Some((first, events)) = ledger.next_batch(&mut allowance, most, usize::MAX) {
                            for (receipt, event) in (first..).zip(events) {
                                prop_assert!(!acknowledged.contains(&event.offset));
                                prop_assert!(last_sent.is_none_or(|last| last < event.offset));
                                last_sent = Some(event.offset);
                                open.push((receipt, event.offset));
                            }
                        }
                    }
                    Step::Resolve { pick, nack } if !open.is_empty() => {
                        let (receipt, offset) = open.remove(pick % open.len());
                        let outcome = if nack { Outcome::Nack("again".into()) } else { Outcome::Delivered };
                        ledger.resolve(&OutcomeRange { first: receipt, count: 1, outcome }, |ended| assert_eq!(ended.tag, offset)).expect("open");
                        if nack {
                            last_sent = None;
                        } else {
                            prop_assert!(acknowledged.insert(offset));
                        }
                    }
                    Step::Resolve { .. } => {}
                    Step::SessionLost => {
                        ledger.restart();
                        open.clear();
                        last_sent = None;
                    }
                }
                let now = ledger.committable();
                prop_assert!(now >= committed);
                prop_assert!((committed..now).all(|offset| acknowledged.contains(&offset)));
                committed = now;
            }
            prop_assert_eq!(committed, ledger.read_offset());
            prop_assert_eq!(ledger.in_flight(), 0);
        }
    }
}
