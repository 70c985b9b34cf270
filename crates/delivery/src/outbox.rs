//! What was sent to the next stage and has no outcome yet.
//!
//! Items leave in the order they came, each under a receipt of the present session. An item stays until its outcome
//! acknowledges it. When a session ends, everything without an outcome is sent again in the next one, in order: a
//! contiguous replay (invariant I4). A nack has the same effect for its item.
//!
//! It does not bound itself: [`Outbox::weight`] tells its owner when to stop adding.

use std::collections::VecDeque;

use rocketbridge_model::{Outcome, OutcomeRange};

/// Items on their way. `T` is cheap to clone: bodies are shared.
#[derive(Debug)]
pub struct Outbox<T> {
    /// Items from the oldest without an acknowledgement on.
    slots: VecDeque<Slot<T>>,
    /// Number of the first slot; numbers never repeat.
    first: u64,
    /// No slot below this number waits to be sent.
    cursor: u64,
    /// Slot numbers of the receipts of this session that are open or behind an open one.
    receipts: VecDeque<Option<u64>>,
    /// The receipt that the first element of `receipts` stands for.
    first_receipt: u64,
    weight: Weight,
    /// Slots that wait to be sent.
    waiting: usize,
}

/// How much an outbox holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Items without an acknowledgement.
    pub items: usize,
    /// Their bytes.
    pub bytes: usize,
}

#[derive(Debug)]
struct Slot<T> {
    tag: u64,
    bytes: usize,
    /// Taken away when the item is acknowledged, so that its memory goes at once.
    item: Option<T>,
    sent: bool,
}

/// An item that was acknowledged.
#[derive(Debug)]
pub struct Ended<'a, T> {
    /// What its owner called it.
    pub tag: u64,
    /// Its size in bytes.
    pub bytes: usize,
    /// The item.
    pub item: T,
    /// What became of it.
    pub outcome: &'a Outcome,
}

/// The other side answered for a receipt that it was never given, or a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an outcome for receipt {receipt}, which is not open")]
pub struct NotOpen {
    /// The receipt.
    pub receipt: u64,
}

impl<T: Clone> Outbox<T> {
    /// An empty one.
    pub fn new() -> Self {
        Self {
            slots: VecDeque::new(),
            first: 0,
            cursor: 0,
            receipts: VecDeque::new(),
            first_receipt: 0,
            weight: Weight::default(),
            waiting: 0,
        }
    }

    /// Adds an item behind all others. The tag is its owner's name for it.
    pub fn push(&mut self, tag: u64, bytes: usize, item: T) {
        self.slots.push_back(Slot { tag, bytes, item: Some(item), sent: false });
        self.weight.items += 1;
        self.weight.bytes += bytes;
        self.waiting += 1;
    }

    /// How much is without an acknowledgement.
    pub fn weight(&self) -> Weight {
        self.weight
    }

    /// Whether something waits to be sent.
    pub fn has_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// Whether an outcome of the present session is owed.
    pub fn awaits_outcomes(&self) -> bool {
        !self.receipts.is_empty()
    }

    /// Tag of the oldest item without an acknowledgement.
    pub fn oldest(&self) -> Option<u64> {
        self.slots.front().map(|slot| slot.tag)
    }

    /// The receipt that the next item sent will have.
    pub fn next_receipt(&self) -> u64 {
        self.first_receipt + self.receipts.len() as u64
    }

    /// Takes the next waiting item for sending, if `may_send` agrees to its size; answers its receipt.
    pub fn send_next(&mut self, may_send: impl FnOnce(usize) -> bool) -> Option<(u64, T)> {
        if self.waiting == 0 {
            return None;
        }
        let start = usize::try_from(self.cursor.saturating_sub(self.first)).expect("the outbox fits in memory");
        let index = (start..self.slots.len()).find(|index| !self.slots[*index].sent)?;
        let slot = &mut self.slots[index];
        if !may_send(slot.bytes) {
            return None;
        }
        let item = slot.item.clone().expect("an item stays until it is acknowledged, and what is acknowledged counts as sent");
        slot.sent = true;
        self.waiting -= 1;
        self.cursor = self.first + index as u64 + 1;
        let receipt = self.next_receipt();
        self.receipts.push_back(Some(self.cursor - 1));
        Some((receipt, item))
    }

    /// Takes an outcome of the present session. `ended` hears of every item that it acknowledges; a nack lets items wait
    /// again. An error is a breach of the protocol; what stood before it in the range has been taken.
    pub fn resolve(&mut self, range: &OutcomeRange, mut ended: impl FnMut(Ended<'_, T>)) -> Result<(), NotOpen> {
        for receipt in range.first..range.first.saturating_add(u64::from(range.count)) {
            let number = receipt
                .checked_sub(self.first_receipt)
                .and_then(|index| usize::try_from(index).ok())
                .and_then(|index| self.receipts.get_mut(index))
                .and_then(Option::take)
                .ok_or(NotOpen { receipt })?;
            let index = usize::try_from(number - self.first).expect("the outbox fits in memory");
            let slot = &mut self.slots[index];
            if range.outcome.acknowledges() {
                let item = slot.item.take().expect("a receipt is open only while its item is not acknowledged");
                self.weight.items -= 1;
                self.weight.bytes -= slot.bytes;
                ended(Ended { tag: slot.tag, bytes: slot.bytes, item, outcome: &range.outcome });
            } else {
                slot.sent = false;
                self.waiting += 1;
                self.cursor = self.cursor.min(number);
            }
        }
        while self.receipts.front().is_some_and(Option::is_none) {
            self.receipts.pop_front();
            self.first_receipt += 1;
        }
        while self.slots.front().is_some_and(|slot| slot.item.is_none()) {
            self.slots.pop_front();
            self.first += 1;
        }
        self.cursor = self.cursor.max(self.first);
        Ok(())
    }

    /// A session ended, or a new one begins: every item without an acknowledgement waits again, and receipts start at 0.
    /// Answers how many had been sent.
    pub fn restart(&mut self) -> usize {
        let mut repeated = 0;
        for slot in &mut self.slots {
            if slot.sent && slot.item.is_some() {
                slot.sent = false;
                repeated += 1;
            }
        }
        self.waiting += repeated;
        self.cursor = self.first;
        self.receipts.clear();
        self.first_receipt = 0;
        repeated
    }
}

impl<T: Clone> Default for Outbox<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u64, count: u32, outcome: Outcome) -> OutcomeRange {
        OutcomeRange { first, count, outcome }
    }

    fn send_all(outbox: &mut Outbox<u64>) -> Vec<(u64, u64)> {
        std::iter::from_fn(|| outbox.send_next(|_| true)).collect()
    }

    fn filled(items: u64) -> Outbox<u64> {
        let mut outbox = Outbox::new();
        for item in 0..items {
            outbox.push(item * 10, 1, item);
        }
        outbox
    }

    #[test]
    fn a_session_that_ends_is_replayed_in_order_without_what_was_acknowledged() {
        let mut outbox = filled(5);
        assert_eq!(send_all(&mut outbox), [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4)]);
        let mut ended = Vec::new();
        outbox.resolve(&range(1, 2, Outcome::Delivered), |item| ended.push(item.tag)).expect("open");
        assert_eq!(ended, [10, 20]);
        assert_eq!(outbox.oldest(), Some(0));
        assert_eq!(outbox.restart(), 3);
        assert_eq!(send_all(&mut outbox), [(0, 0), (1, 3), (2, 4)]);
        outbox.resolve(&range(0, 3, Outcome::Filtered), |_| {}).expect("open");
        assert_eq!((outbox.oldest(), outbox.weight()), (None, Weight::default()));
    }

    #[test]
    fn a_nack_waits_again_under_a_new_receipt() {
        let mut outbox = filled(3);
        send_all(&mut outbox);
        outbox.resolve(&range(1, 2, Outcome::Nack("down".into())), |_| unreachable!("nothing is acknowledged")).expect("open");
        outbox.resolve(&range(0, 1, Outcome::Delivered), |_| {}).expect("open");
        assert_eq!(send_all(&mut outbox), [(3, 1), (4, 2)]);
        assert_eq!(outbox.oldest(), Some(10));
    }

    #[test]
    fn a_receipt_resolves_once() {
        let mut outbox = filled(2);
        send_all(&mut outbox);
        outbox.resolve(&range(0, 1, Outcome::Delivered), |_| {}).expect("open");
        assert_eq!(outbox.resolve(&range(0, 1, Outcome::Delivered), |_| {}), Err(NotOpen { receipt: 0 }));
        assert_eq!(outbox.resolve(&range(2, 1, Outcome::Delivered), |_| {}), Err(NotOpen { receipt: 2 }));
    }

    #[test]
    fn credit_stops_sending_and_loses_nothing() {
        let mut outbox = filled(2);
        assert_eq!(outbox.send_next(|_| false), None);
        assert!(outbox.has_waiting());
        assert_eq!(send_all(&mut outbox), [(0, 0), (1, 1)]);
        assert!(!outbox.has_waiting());
    }
}
