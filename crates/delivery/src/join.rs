//! One outcome for an event from those of all its deliveries.

use std::collections::VecDeque;

use rocketbridge_model::Outcome;

/// Open events of one session, by receipt.
#[derive(Debug, Default)]
pub struct Join {
    slots: VecDeque<Slot>,
    first: u64,
}

#[derive(Debug)]
struct Slot {
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
        self.first + self.slots.len() as u64
    }

    /// Takes the next event with its number of deliveries; without any it has ended at once and is answered.
    pub fn begin(&mut self, deliveries: u32, bytes: usize) -> Option<Joined> {
        let receipt = self.next_receipt();
        self.slots.push_back(Slot { open: deliveries, bytes, worst: Outcome::Filtered });
        (deliveries == 0).then(|| {
            self.retire();
            Joined { receipt, bytes, outcome: Outcome::Filtered }
        })
    }

    /// One delivery of an event has ended. Answers the event when it was the last.
    pub fn end(&mut self, receipt: u64, outcome: Outcome) -> Option<Joined> {
        let index = usize::try_from(receipt.checked_sub(self.first)?).ok()?;
        let slot = self.slots.get_mut(index)?;
        slot.open = slot.open.checked_sub(1)?;
        let worst = std::mem::replace(&mut slot.worst, Outcome::Filtered).join(outcome);
        if slot.open > 0 {
            slot.worst = worst;
            return None;
        }
        let joined = Joined { receipt, bytes: slot.bytes, outcome: worst };
        self.retire();
        Some(joined)
    }

    /// Events that have not ended.
    pub fn open(&self) -> usize {
        self.slots.iter().filter(|slot| slot.open > 0).count()
    }

    fn retire(&mut self) {
        while self.slots.front().is_some_and(|slot| slot.open == 0) {
            self.slots.pop_front();
            self.first += 1;
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
}
