//! What one partition may hold of the process's budget of bytes.
//!
//! Everything counts that was read and has not ended: what the reader has ahead, and what the ledger holds; and what is asked for while the
//! partition is behind, because it may come. A read is made only while there is room, and asks for no more than the room, so a process with
//! ten thousand partitions behind a dead target holds the budget, not ten thousand windows. A partition may always have one small read, so
//! none starves.
//!
//! Not every broker keeps to a number of bytes (those of 4.x know only a number of messages), so a read that must be small asks for
//! as many messages as make that size, as far as the former ones tell. The first read is small, and each one that brings all that it asked for
//! makes the next larger.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use rocketbridge_connector::{Error, PartitionReader, PullLimits, Pulled};
use rocketbridge_delivery::Share;
use rocketbridge_model::Event;
use tokio::sync::Notify;

/// When a reader without room looks whether other partitions have left any, at first. What this partition leaves is noticed at once.
const LOOK: Duration = Duration::from_millis(200);
/// When it looks at last: ten thousand that wait behind a dead target must not keep the processor busy.
const LONGEST_LOOK: Duration = Duration::from_millis(3_200);

/// Size of the first read, bytes.
const FIRST: u64 = 64 << 10;

/// How much larger the next read is, where one brought all that it asked for.
const GROWTH: u64 = 4;

/// What an event is taken for before one was seen, bytes.
const UNKNOWN: u64 = 1 << 10;

/// Room below which a read is not worth its round trip, unless the partition holds nothing.
const WORTH: u64 = 16 << 10;

/// The allotment of one partition. Cheap to clone; clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Allotment(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    share: Share,
    /// What the ledger held when it last said so.
    ledger: AtomicU64,
    left: Notify,
}

impl Allotment {
    pub(crate) fn new(share: Share) -> Self {
        Self(Arc::new(Inner { share, ledger: AtomicU64::new(0), left: Notify::new() }))
    }

    /// A reader that reads only what fits.
    pub(crate) fn reader(&self, reader: Box<dyn PartitionReader>) -> Box<dyn PartitionReader> {
        Box::new(Within { allotment: self.clone(), reader, ask: Ask::default() })
    }

    /// Bytes that were read have come into the ledger, which holds so much now.
    pub(crate) fn admitted(&self, read: u64, held: usize) {
        self.0.share.remove(read);
        self.holds(held);
    }

    /// Bytes that were read are not handed on.
    pub(crate) fn returned(&self, read: u64) {
        self.0.share.remove(read);
    }

    /// The ledger holds so much now.
    pub(crate) fn holds(&self, held: usize) {
        let now = held as u64;
        let before = self.0.ledger.swap(now, Ordering::Relaxed);
        if now > before {
            self.0.share.add(now - before);
        } else if now < before {
            self.0.share.remove(before - now);
            self.0.left.notify_one();
        }
    }

    /// Bytes were read.
    pub(crate) fn read(&self, read: u64) {
        self.0.share.add(read);
    }

    /// Waits until there is room; returns how much. Cancel-safe.
    pub(crate) async fn room(&self) -> u64 {
        let mut look = LOOK;
        loop {
            let room = self.0.share.room();
            if room >= WORTH || (room > 0 && self.0.share.held() == 0) {
                return room;
            }
            let _ = tokio::time::timeout(look, self.0.left.notified()).await;
            look = (look * 2).min(LONGEST_LOOK);
        }
    }
}

/// The size of what was read.
pub(crate) fn size(events: &[Event]) -> u64 {
    events.iter().map(|event| event.size() as u64).sum()
}

struct Within {
    allotment: Allotment,
    reader: Box<dyn PartitionReader>,
    ask: Ask,
}

/// How much a read asks for.
#[derive(Clone, Copy, Debug)]
struct Ask {
    bytes: u64,
    /// Of an event, bytes.
    average: u64,
    /// Whether the source holds more than was read.
    is_behind: bool,
}

impl Default for Ask {
    fn default() -> Self {
        Self { bytes: FIRST, average: UNKNOWN, is_behind: true }
    }
}

impl Ask {
    /// The limits of the next read: within those that are given, and within the room.
    fn within(&self, limits: PullLimits, room: u64) -> PullLimits {
        let bytes = self.bytes.min(room).min(u64::from(limits.bytes));
        let is_whole = bytes >= u64::from(limits.bytes);
        let events = if is_whole { limits.events } else { u32::try_from(bytes / self.average).unwrap_or(u32::MAX).clamp(1, limits.events) };
        // What is asked for ahead must find room, too.
        let ahead = limits.ahead && room / 2 >= bytes;
        PullLimits { events, bytes: u32::try_from(bytes).unwrap_or(u32::MAX), ahead }
    }

    /// Learns from what a read brought.
    fn learn(&mut self, asked: PullLimits, most: u32, pulled: &Pulled) {
        let (count, bytes) = (pulled.events.len() as u64, size(&pulled.events));
        self.is_behind = pulled.next_offset < pulled.maximum_offset;
        if count > 0 {
            // At once what is larger, slowly what is smaller.
            let seen = bytes.div_ceil(count);
            self.average = seen.max((self.average * 7 + seen) / 8);
        }
        if count >= u64::from(asked.events) || bytes >= u64::from(asked.bytes) / 2 {
            self.bytes = (self.bytes * GROWTH).min(u64::from(most));
        }
    }
}

/// Room that a read has been promised, until it has brought what it brings.
struct Reserved<'a>(&'a Share, u64);

impl<'a> Reserved<'a> {
    fn of(share: &'a Share, bytes: u64) -> Self {
        share.add(bytes);
        Self(share, bytes)
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.0.remove(self.1);
    }
}

impl PartitionReader for Within {
    fn pull(&mut self, offset: u64, limits: PullLimits) -> BoxFuture<'_, Result<Pulled, Error>> {
        Box::pin(async move {
            let asked = self.ask.within(limits, self.allotment.room().await);
            let share = &self.allotment.0.share;
            // A partition that is caught up waits for its next message: what it waits for is not there yet.
            let reserved = Reserved::of(share, if self.ask.is_behind { u64::from(asked.bytes) } else { 0 });
            let pulled = self.reader.pull(offset, asked).await?;
            drop(reserved);
            self.allotment.read(size(&pulled.events));
            self.ask.learn(asked, limits.bytes, &pulled);
            Ok(pulled)
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rocketbridge_delivery::Budget;
    use rocketbridge_model::Envelope;
    use tokio::sync::watch;

    use super::*;

    const LIMITS: PullLimits = PullLimits { events: 512, bytes: 4 << 20, ahead: true };

    /// A broker of 4.x: it heeds the number of messages, of 16 KiB each, and answers when it is told to.
    struct Old {
        answers: watch::Receiver<bool>,
        asked: Arc<AtomicU64>,
    }

    impl PartitionReader for Old {
        fn pull(&mut self, offset: u64, limits: PullLimits) -> BoxFuture<'_, Result<Pulled, Error>> {
            self.asked.fetch_max(u64::from(limits.events), Ordering::Relaxed);
            Box::pin(async move {
                let _ = self.answers.wait_for(|answers| *answers).await;
                let count = u64::from(limits.events.min(16));
                let envelope = Envelope { body: Bytes::from(vec![0; 16 << 10]), ..Envelope::default() };
                let events =
                    (offset..offset + count).map(|offset| Event { offset, envelope: envelope.clone(), attributes: None }).collect();
                let (next_offset, maximum_offset) = (offset + count, 1 << 40);
                Ok(Pulled { events, missing: Vec::new(), next_offset, minimum_offset: 0, maximum_offset })
            })
        }
    }

    /// *Scenario*: two thousand partitions of brokers that heed no number of bytes begin to read at once, in a process of 64 MiB, and nothing ends.
    /// *Guarantees*: together they hold no more than one and a half times the budget and the first read of those that could not know better; each holds something.
    #[tokio::test(start_paused = true)]
    async fn many_partitions_that_begin_at_once_hold_the_budget() {
        const PARTITIONS: usize = 2_000;
        let budget = Budget::new(64 << 20, 64 << 10);
        let (answer, answers) = watch::channel(false);
        let asked = Arc::new(AtomicU64::new(0));
        let allotments: Vec<_> = (0..PARTITIONS).map(|_| Allotment::new(budget.share())).collect();
        for allotment in &allotments {
            let mut reader = allotment.reader(Box::new(Old { answers: answers.clone(), asked: asked.clone() }));
            let allotment = allotment.clone();
            tokio::spawn(async move {
                let (mut offset, mut held) = (0, 0);
                while let Ok(pulled) = reader.pull(offset, LIMITS).await {
                    offset = pulled.next_offset;
                    held += size(&pulled.events) as usize;
                    allotment.admitted(size(&pulled.events), held);
                }
            });
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(budget.used() <= budget.total() * 3 / 2, "{} bytes are promised", budget.used());
        answer.send_replace(true);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let first = PARTITIONS as u64 * 16 * (16 << 10);
        assert!(budget.used() <= budget.total() * 3 / 2 + first, "{} bytes are held", budget.used());
        assert!(allotments.iter().all(|allotment| allotment.0.share.held() > 0));
        assert!(asked.load(Ordering::Relaxed) <= 64, "{} events were asked for", asked.load(Ordering::Relaxed));
    }

    /// *Scenario*: one partition with a backlog and all the room there is; then a read of large events; then little room. *Guarantees*: reads grow to the limit in
    /// a few steps; where they must be small, they ask for as few events as fit, and for none ahead; there is always one.
    #[test]
    fn reads_grow_while_they_bring_what_they_ask_for_and_shrink_with_the_room() {
        let pulled = |count: u64, bytes: usize| Pulled {
            events: (0..count)
                .map(|offset| Event {
                    offset,
                    envelope: Envelope { body: Bytes::from(vec![0; bytes]), ..Envelope::default() },
                    attributes: None,
                })
                .collect(),
            next_offset: count,
            maximum_offset: 1 << 40,
            ..Pulled::default()
        };
        let mut ask = Ask::default();
        let mut asked = Vec::new();
        for _ in 0..5 {
            let limits = ask.within(LIMITS, 64 << 20);
            assert!(limits.ahead);
            asked.push((limits.bytes >> 10, limits.events));
            ask.learn(limits, LIMITS.bytes, &pulled(u64::from(limits.events), 1_000));
        }
        assert_eq!(asked[0], (64, 64));
        assert_eq!(asked[4], (4 << 10, 512));
        ask.learn(LIMITS, LIMITS.bytes, &pulled(3, 100_000));
        let small = ask.within(LIMITS, 320_000);
        assert_eq!((small.events, small.ahead), (3, false));
        assert_eq!(ask.within(LIMITS, 1).events, 1);
    }
}
