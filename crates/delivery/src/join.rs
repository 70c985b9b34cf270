//! One outcome for an event from those of all its deliveries.
//!
//! Only events that are open, or as many that have ended between them, are held: an event without deliveries costs nothing.

use std::collections::VecDeque;

use rocketbridge_model::Outcome;

/// Fewer ended events than these are not worth a clearance.
const FEW: usize = 64;

/// Open events of one session, by receipt.
#[derive(Debug, Default)]
pub struct Join {
    slots: VecDeque<Slot>,
    next: u64,
    /// Of the slots, how many are open.
    open: usize,
}

#[derive(Debug)]
struct Slot {
    receipt: u64,
    open: u32,
    bytes: usize,
    worst: Outcome,
}

/// An event whose deliveries have all ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Joined {
    /// Its receipt.
    pub receipt: u64,
    /// Its size in bytes.
    pub bytes: usize,
    /// The worst of its deliveries' outcomes; [`Outcome::Filtered`] if it had none.
    pub outcome: Outcome,
}

impl Join {
    /// The receipt that the next event must have.
    pub fn next_receipt(&self) -> u64 {
        self.next
    }

    /// Takes the next event with its number of deliveries; without any it has ended at once and is answered.
    pub fn begin(&mut self, deliveries: u32, bytes: usize) -> Option<Joined> {
        let receipt = self.next;
        self.next += 1;
        if deliveries == 0 {
            return Some(Joined { receipt, bytes, outcome: Outcome::Filtered });
        }
        self.slots.push_back(Slot { receipt, open: deliveries, bytes, worst: Outcome::Filtered });
        self.open += 1;
        None
    }

    /// One delivery of an event has ended. Answers the event when it was the last.
    pub fn end(&mut self, receipt: u64, outcome: Outcome) -> Option<Joined> {
        let index = self.slots.binary_search_by_key(&receipt, |slot| slot.receipt).ok()?;
        let slot = &mut self.slots[index];
        slot.open = slot.open.checked_sub(1)?;
        let worst = std::mem::replace(&mut slot.worst, Outcome::Filtered).join(outcome);
        if slot.open > 0 {
            slot.worst = worst;
            return None;
        }
        let joined = Joined { receipt, bytes: slot.bytes, outcome: worst };
        self.open -= 1;
        self.retire();
        Some(joined)
    }

    /// Events that have not ended.
    pub fn open(&self) -> usize {
        self.open
    }

    fn retire(&mut self) {
        while self.slots.front().is_some_and(|slot| slot.open == 0) {
            self.slots.pop_front();
        }
        if self.slots.len() > FEW + 2 * self.open {
            self.slots.retain(|slot| slot.open > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_ends_with_its_last_delivery_and_the_worst_outcome() {
        let mut join = Join::default();
        assert_eq!(join.begin(2, 5), None);
        assert_eq!(join.begin(0, 1), Some(Joined { receipt: 1, bytes: 1, outcome: Outcome::Filtered }));
        assert_eq!(join.end(0, Outcome::Discarded("old".into())), None);
        let joined = join.end(0, Outcome::Delivered).expect("the last delivery");
        assert_eq!((joined.receipt, joined.outcome), (0, Outcome::Discarded("old".into())));
        assert_eq!((join.open(), join.next_receipt()), (0, 2));
        assert_eq!(join.end(0, Outcome::Delivered), None);
    }

    /// *Scenario*: one event stays open while a million others end behind it. *Guarantees*: they are not held.
    #[test]
    fn what_ended_behind_an_open_event_is_not_held() {
        let mut join = Join::default();
        assert_eq!(join.begin(1, 1), None);
        for receipt in 1..1_000_000 {
            assert_eq!(join.begin(u32::from(receipt % 2 == 0), 1).is_none(), receipt % 2 == 0);
            if receipt % 2 == 0 {
                assert!(join.end(receipt, Outcome::Delivered).is_some());
            }
        }
        assert!(join.slots.len() <= FEW + 3, "{} are held", join.slots.len());
        assert!(join.end(0, Outcome::Delivered).is_some() && join.slots.is_empty());
    }
}
