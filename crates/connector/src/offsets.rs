//! Sources that are read at offsets: the reader says where, and the source remembers how far it was read.

use std::ops::Range;

use futures::future::BoxFuture;
use rocketbridge_model::partition::Landmark;
use rocketbridge_model::resolved::StartPosition;
use rocketbridge_model::{Event, PartitionId};

use crate::error::Error;

/// A partition of a source and what its events have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Partition {
    /// Its identity within the source.
    pub id: PartitionId,
    /// RocketMQ: the broker's name.
    pub broker: String,
    /// RocketMQ: the queue id.
    pub queue: u32,
}

/// A source that is read at offsets: the whole topic.
pub trait OffsetSource: Send + Sync {
    /// The partitions there are now, sorted. Errors: unreachable, unknown topic, refused credentials.
    fn partitions(&self) -> BoxFuture<'_, Result<Vec<Partition>, Error>>;

    /// The offset of a position in a partition: what a reader that starts there reads first.
    fn offset_at<'a>(&'a self, partition: &'a Partition, position: StartPosition) -> BoxFuture<'a, Result<u64, Error>>;

    /// What a partition holds: its bounds, and what stands at some offsets. A replica is asked only where there is no master.
    fn survey<'a>(&'a self, partition: &'a Partition, offsets: &'a [u64]) -> BoxFuture<'a, Result<Survey, Error>>;

    /// Opens a partition. Whatever it holds (connections, tasks) it lets go when both halves are dropped.
    fn open<'a>(&'a self, partition: &'a Partition) -> BoxFuture<'a, Result<OpenPartition, Error>>;

    /// What will stop reading before long although it works now, for people: keys that end and cannot be renewed, say. `None` if nothing is known to be
    /// wrong.
    fn concern(&self) -> Option<String> {
        None
    }
}

/// What a partition holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The oldest offset stored.
    pub minimum: u64,
    /// One beyond the newest offset stored.
    pub maximum: u64,
    /// The messages at the offsets that were asked for, of those that are stored, in the order of the question.
    pub landmarks: Vec<Landmark>,
    /// Whether a master said so. A replica may be behind.
    pub is_from_master: bool,
}

/// The two halves of an open partition: one task reads while another commits.
pub struct OpenPartition {
    /// Reads.
    pub reader: Box<dyn PartitionReader>,
    /// Commits.
    pub committer: Box<dyn PartitionCommitter>,
}

/// Reads one partition.
pub trait PartitionReader: Send {
    /// Reads from an offset: at once if there is something, else after a wait of at most some seconds, then perhaps nothing.
    /// Not cancel-safe in the sense of work: a dropped future only wastes the read.
    /// `OffsetOutOfRange` is answered for an offset outside what is stored; it is never moved quietly. After an error it can be used again.
    fn pull(&mut self, offset: u64, limits: PullLimits) -> BoxFuture<'_, Result<Pulled, Error>>;
}

/// How much one read may bring.
#[derive(Clone, Copy, Debug)]
pub struct PullLimits {
    /// Events.
    pub events: u32,
    /// Bytes, as far as the peer keeps to it.
    pub bytes: u32,
    /// Whether the next read of the same size may be requested while the events of this one are being worked on.
    pub ahead: bool,
}

/// What a read brought.
#[derive(Debug, Default)]
pub struct Pulled {
    /// Events in offset order, each at or beyond the offset that was asked for and below `next_offset`.
    pub events: Vec<Event>,
    /// Offsets from the one that was asked for up to `next_offset` that hold no event although nothing is filtered: they will never be read.
    pub missing: Vec<Range<u64>>,
    /// Where to read next; beyond the last event, also where the peer passed over others.
    pub next_offset: u64,
    /// The oldest offset stored.
    pub minimum_offset: u64,
    /// One beyond the newest offset stored.
    pub maximum_offset: u64,
}

/// Commits the progress of one partition to where the source's own tools see it.
pub trait PartitionCommitter: Send {
    /// The committed offset, `None` if the group has none here.
    fn committed(&mut self) -> BoxFuture<'_, Result<Option<u64>, Error>>;

    /// Commits: every event before `offset` has ended. The peer may forget it in a crash; then events repeat.
    fn commit(&mut self, offset: u64) -> BoxFuture<'_, Result<(), Error>>;
}
