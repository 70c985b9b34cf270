//! What was sent to the next stage and has no outcome yet.
//!
//! Items leave in the order they came, each under a receipt of the present session. An item stays until its outcome
//! acknowledges it. When a session ends, everything without an outcome is sent again in the next one, in order: a
//! contiguous replay (invariant I4). A nack has the same effect for its item.
//!
//! It does not bound itself: [`Outbox::held`] tells its owner when to stop adding. What is held is in proportion to what is open, not to the
//! span from the oldest open item to the newest: one open item in front of a million that ended costs as much as one item. Only frames may be
//! shared: an item that came in a frame of many keeps the whole frame, until the outbox [is thin](Outbox::is_thin) and its owner
//! [detaches](Outbox::detach) what is open.

use std::collections::VecDeque;

use rocketbridge_model::{Outcome, OutcomeRange};

/// Fewer ended items than these are not worth a clearance.
const FEW: usize = 64;
/// Less memory than this is not worth a copy.
const LITTLE: usize = 256 << 10;

/// Items on their way. `T` is cheap to clone: bodies are shared.
#[derive(Debug)]
pub struct Outbox<T> {
    /// Items by number, from the oldest without an acknowledgement on; at most as many ended ones as open ones among them.
    slots: VecDeque<Slot<T>>,
    /// Number of the next item; numbers never repeat.
    next: u64,
    /// No slot below this number waits to be sent.
    cursor: u64,
    /// Receipts of this session, from the oldest open one on, and the numbers they stand for; `None` once resolved.
    receipts: VecDeque<(u64, Option<u64>)>,
    /// Of those, how many are open.
    open_receipts: usize,
    next_receipt: u64,
    weight: Weight,
    /// Slots that wait to be sent.
    waiting: usize,
    /// Bytes of ended items behind an open one, since the last time that what is open was detached.
    shared: usize,
}

/// How much an outbox has to see to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Items without an acknowledgement.
    pub items: usize,
    /// Their bytes.
    pub bytes: usize,
}

#[derive(Debug)]
struct Slot<T> {
    number: u64,
    tag: u64,
    bytes: usize,
    /// Taken away when the item is acknowledged, so that its memory goes at once.
    item: Option<T>,
    sent: bool,
    detached: bool,
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

/// An item that was taken out before it was sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Withdrawn<T> {
    /// What its owner called it.
    pub tag: u64,
    /// Its size in bytes.
    pub bytes: usize,
    /// The item.
    pub item: T,
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
            next: 0,
            cursor: 0,
            receipts: VecDeque::new(),
            open_receipts: 0,
            next_receipt: 0,
            weight: Weight::default(),
            waiting: 0,
            shared: 0,
        }
    }

    /// Adds an item behind all others. The tag is its owner's name for it.
    pub fn push(&mut self, tag: u64, bytes: usize, item: T) {
        self.slots.push_back(Slot { number: self.next, tag, bytes, item: Some(item), sent: false, detached: false });
        self.next += 1;
        self.weight.items += 1;
        self.weight.bytes += bytes;
        self.waiting += 1;
    }

    /// How much is without an acknowledgement.
    pub fn weight(&self) -> Weight {
        self.weight
    }

    /// Bytes of memory that it holds: of open items, of the frames that they came in as far as those are known, and of its own books.
    pub fn held(&self) -> usize {
        let books = self.slots.len() * size_of::<Slot<T>>() + self.receipts.len() * size_of::<(u64, Option<u64>)>();
        self.weight.bytes + self.shared + books
    }

    /// Whether something waits to be sent.
    pub fn has_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// Whether an outcome of the present session is owed.
    pub fn awaits_outcomes(&self) -> bool {
        self.open_receipts > 0
    }

    /// Tag of the oldest item without an acknowledgement.
    pub fn oldest(&self) -> Option<u64> {
        self.slots.front().map(|slot| slot.tag)
    }

    /// The items without an acknowledgement, in order.
    pub fn items(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(|slot| slot.item.as_ref())
    }

    /// The receipt that the next item sent will have.
    pub fn next_receipt(&self) -> u64 {
        self.next_receipt
    }

    /// Takes the next waiting item for sending, if `may_send` agrees to its size; answers its receipt.
    pub fn send_next(&mut self, may_send: impl FnOnce(usize) -> bool) -> Option<(u64, T)> {
        if self.waiting == 0 {
            return None;
        }
        let start = self.index(self.cursor);
        let slot = self.slots.range_mut(start..).find(|slot| !slot.sent)?;
        if !may_send(slot.bytes) {
            return None;
        }
        let item = slot.item.clone().expect("an item stays until it is acknowledged, and what is acknowledged counts as sent");
        slot.sent = true;
        let number = slot.number;
        self.waiting -= 1;
        self.cursor = number + 1;
        let receipt = self.next_receipt;
        self.next_receipt += 1;
        self.receipts.push_back((receipt, Some(number)));
        self.open_receipts += 1;
        Some((receipt, item))
    }

    /// Takes an outcome of the present session. `ended` is called with every item that it acknowledges; a nack lets items wait
    /// again. An error is a breach of the protocol; what stood before it in the range has been taken.
    pub fn resolve(&mut self, range: &OutcomeRange, ended: impl FnMut(Ended<'_, T>)) -> Result<(), NotOpen> {
        let resolved = self.resolve_each(range, ended);
        self.retire();
        resolved
    }

    fn resolve_each(&mut self, range: &OutcomeRange, mut ended: impl FnMut(Ended<'_, T>)) -> Result<(), NotOpen> {
        // Neighbouring receipts are neighbours here, and almost always of neighbouring items.
        let first = self.receipts.partition_point(|(receipt, _)| *receipt < range.first);
        let mut index = 0;
        for (at, receipt) in (range.first..range.first.saturating_add(u64::from(range.count))).enumerate() {
            let number = match self.receipts.get_mut(first + at) {
                Some((found, number)) if *found == receipt => number.take(),
                _ => None,
            };
            let number = number.ok_or(NotOpen { receipt })?;
            self.open_receipts -= 1;
            if self.slots.get(index).is_none_or(|slot| slot.number != number) {
                index = self.index(number);
            }
            let slot = &mut self.slots[index];
            index += 1;
            if range.outcome.acknowledges() {
                let item = slot.item.take().expect("a receipt is open only while its item is not acknowledged");
                self.weight.items -= 1;
                self.weight.bytes -= slot.bytes;
                self.shared += slot.bytes;
                ended(Ended { tag: slot.tag, bytes: slot.bytes, item, outcome: &range.outcome });
            } else {
                slot.sent = false;
                self.waiting += 1;
                self.cursor = self.cursor.min(number);
            }
        }
        Ok(())
    }

    /// Takes every item that waits to be sent and that `wanted` picks out of the outbox, in order. What is under a receipt of the present
    /// session stays: its outcome decides.
    pub fn withdraw(&mut self, mut wanted: impl FnMut(&T) -> bool, mut withdrawn: impl FnMut(Withdrawn<T>)) {
        let start = self.index(self.cursor);
        for slot in self.slots.range_mut(start..).filter(|slot| !slot.sent) {
            let Some(item) = slot.item.take_if(|item| wanted(item)) else { continue };
            // What is gone counts as sent, as what is acknowledged does.
            slot.sent = true;
            self.waiting -= 1;
            self.weight.items -= 1;
            self.weight.bytes -= slot.bytes;
            self.shared += slot.bytes;
            withdrawn(Withdrawn { tag: slot.tag, bytes: slot.bytes, item });
        }
        self.retire();
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
        self.cursor = 0;
        self.receipts.clear();
        self.open_receipts = 0;
        self.next_receipt = 0;
        repeated
    }

    /// Whether open items may keep much more memory than their own: that of neighbours which have ended.
    pub fn is_thin(&self) -> bool {
        self.shared > LITTLE + 2 * self.weight.bytes
    }

    /// Calls `copy` with every open item that was not copied before: it is to take the item's memory out of the frame that it came in.
    pub fn detach(&mut self, mut copy: impl FnMut(&mut T)) {
        for slot in &mut self.slots {
            match &mut slot.item {
                Some(item) if !slot.detached => {
                    copy(item);
                    slot.detached = true;
                }
                Some(_) => {}
                None => slot.bytes = 0,
            }
        }
        self.shared = 0;
    }

    /// Where the slot of a number is, or would be.
    fn index(&self, number: u64) -> usize {
        // Mostly nothing ended out of order, and then numbers have no gaps.
        let guess = self.slots.front().map_or(0, |first| usize::try_from(number.saturating_sub(first.number)).unwrap_or(usize::MAX));
        if self.slots.get(guess).is_some_and(|slot| slot.number == number) {
            return guess;
        }
        self.slots.partition_point(|slot| slot.number < number)
    }

    /// Forgets what ended: in front of the oldest open item at once, behind it when it is as much as what is open.
    fn retire(&mut self) {
        while self.receipts.front().is_some_and(|(_, number)| number.is_none()) {
            self.receipts.pop_front();
        }
        if self.receipts.len() > FEW + 2 * self.open_receipts {
            self.receipts.retain(|(_, number)| number.is_some());
        }
        while let Some(slot) = self.slots.pop_front_if(|slot| slot.item.is_none()) {
            self.shared -= slot.bytes;
        }
        if self.slots.len() > FEW + 2 * self.weight.items {
            // Their frames may still be held by others, so they stay counted.
            self.slots.retain(|slot| slot.item.is_some());
        }
        if self.slots.is_empty() {
            self.shared = 0;
        }
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
        assert_eq!((outbox.oldest(), outbox.weight(), outbox.held()), (None, Weight::default(), 0));
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
    fn what_is_withdrawn_is_never_sent_and_what_was_sent_stays() {
        let mut outbox = filled(6);
        assert_eq!([outbox.send_next(|_| true), outbox.send_next(|_| true)], [Some((0, 0)), Some((1, 1))]);
        let mut withdrawn = Vec::new();
        outbox.withdraw(|item| [0, 3, 4].contains(item), |item| withdrawn.push((item.tag, item.item)));
        assert_eq!(withdrawn, [(30, 3), (40, 4)]);
        assert_eq!(outbox.weight(), Weight { items: 4, bytes: 4 });
        assert_eq!(send_all(&mut outbox), [(2, 2), (3, 5)]);
        outbox.resolve(&range(0, 3, Outcome::Delivered), |_| {}).expect("open");
        assert_eq!(outbox.restart(), 1);
        outbox.withdraw(|_| true, |item| withdrawn.push((item.tag, item.item)));
        assert_eq!((withdrawn.last(), outbox.oldest(), outbox.has_waiting()), (Some(&(50, 5)), None, false));
        outbox.push(60, 1, 6);
        assert_eq!(send_all(&mut outbox), [(0, 6)]);
    }

    /// *Scenario*: one item in ten thousand stays open for ever, the others end at once. *Guarantees*: what is held is in proportion to what is
    /// open, whatever the span; what is open is copied out of its frames, once each; and a lost session repeats exactly what is open.
    #[test]
    fn what_ended_behind_an_open_item_costs_nothing() {
        let (mut outbox, mut copies, mut most) = (Outbox::new(), 0, 0);
        for item in 0..1_000_000u64 {
            outbox.push(item, 1_000, item);
            let (receipt, _) = outbox.send_next(|_| true).expect("it waits");
            if item % 10_000 != 0 {
                outbox.resolve(&range(receipt, 1, Outcome::Filtered), |ended| assert_eq!(ended.tag, item)).expect("open");
            }
            if outbox.is_thin() {
                outbox.detach(|_| copies += 1);
            }
            most = most.max(outbox.held());
        }
        assert_eq!((outbox.weight(), copies), (Weight { items: 100, bytes: 100_000 }, 100));
        assert!(most < 3 * 100_000 + LITTLE + (64 << 10), "{most} bytes are held");
        assert_eq!(outbox.restart(), 100);
        let again: Vec<_> = send_all(&mut outbox).into_iter().map(|(_, item)| item).collect();
        assert_eq!(again, (0..100).map(|item| item * 10_000).collect::<Vec<_>>());
        outbox.resolve(&range(0, 100, Outcome::Delivered), |_| {}).expect("open");
        assert_eq!((outbox.held(), outbox.oldest()), (0, None));
    }

    /// *Scenario*: everything ends in order, in a full window. *Guarantees*: nothing is ever thin, so nothing is copied.
    #[test]
    fn what_ends_in_order_is_never_copied() {
        let mut outbox = Outbox::new();
        for item in 0..100_000u64 {
            outbox.push(item, 1_000, item);
            outbox.send_next(|_| true).expect("it waits");
            if item % 1_000 == 999 {
                outbox.resolve(&range(item - 999, 1_000, Outcome::Delivered), |_| {}).expect("open");
            }
            assert!(!outbox.is_thin());
        }
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
