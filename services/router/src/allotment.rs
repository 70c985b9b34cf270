//! What one partition may hold of the process's budget of bytes.
//!
//! Everything counts that was read and has not ended: what the reader has ahead, and what the ledger holds. A read is made only while there is
//! room, and asks for no more than the room, so a process with ten thousand partitions behind a dead target holds the budget, not ten
//! thousand windows. A partition may always have one small read, so none starves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use rocketbridge_connector::{Error, PartitionReader, PullLimits, Pulled};
use rocketbridge_delivery::Share;
use rocketbridge_model::Event;
use tokio::sync::Notify;

/// How often a reader without room looks whether other partitions have left any. What this partition leaves is noticed at once.
const LOOK: Duration = Duration::from_millis(200);

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
        Box::new(Within { allotment: self.clone(), reader })
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
        loop {
            let room = self.0.share.room();
            if room >= WORTH || (room > 0 && self.0.share.held() == 0) {
                return room;
            }
            let _ = tokio::time::timeout(LOOK, self.0.left.notified()).await;
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
}

impl PartitionReader for Within {
    fn pull(&mut self, offset: u64, limits: PullLimits) -> BoxFuture<'_, Result<Pulled, Error>> {
        Box::pin(async move {
            let room = self.allotment.room().await;
            let bytes = limits.bytes.min(u32::try_from(room).unwrap_or(u32::MAX));
            let pulled = self.reader.pull(offset, PullLimits { bytes, ..limits }).await?;
            self.allotment.read(size(&pulled.events));
            Ok(pulled)
        })
    }
}
