//! What a stream is doing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::{MemberId, PartitionId, Revision};
use crate::partition::Gap;

/// States of a stream (names of Alibaba Cloud EventBridge).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// Defined, not started.
    #[default]
    Ready,
    /// Asked to run; not every partition flows yet.
    Starting,
    /// It cannot start for a reason that is told; it is tried again.
    StartingFailed,
    /// Every partition flows.
    Running,
    /// It ran, and now a partition cannot for a reason that is told; it is tried again.
    RunningFailed,
    /// Paused.
    Paused,
}

/// What one process tells of its part of a stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamReport {
    /// The stream.
    pub stream: String,
    /// Identity of the stream's creation.
    pub uid: String,
    /// Partitions this process ingests.
    pub partitions: Vec<PartitionReport>,
    /// Set while this process is the one that discovers the source's partitions.
    pub discovery: Option<DiscoveryReport>,
}

/// How the discovery of a source's partitions fares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DiscoveryReport {
    /// Why it fails; `None` when it works.
    pub failure: Option<String>,
    /// Messages that wait in a source that hands out messages; `None` if it does not say, and where the source is read at offsets.
    pub waiting: Option<u64>,
}

/// What a router tells of a partition it owns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PartitionReport {
    /// The partition.
    pub partition: String,
    /// Epoch of the ownership.
    pub epoch: u64,
    /// Whether its events flow: source read, session open.
    pub flowing: bool,
    /// Whether its events have flowed at any time since the ownership began.
    pub flowed: bool,
    /// Why they do not, or why they wait.
    pub failure: Option<String>,
    /// Next offset that is read.
    pub read_offset: u64,
    /// Every event before it has ended; as last committed.
    pub committed_offset: u64,
    /// The source's end.
    pub maximum_offset: u64,
    /// Events whose outcome is open.
    pub in_flight: u64,
    /// Events that ended, by outcome, since the ownership began.
    pub counts: OutcomeCounts,
    /// Age of the event that ended last, from when the source stored it until its outcome; zero if none ended in the last seconds.
    pub latency: Duration,
    /// Events ended per second over the last seconds.
    pub rate: f64,
    /// Age of the oldest message that is not committed; `None` if it is not known.
    pub lag: Option<Duration>,
    /// When the ownership began, and with it the counts; milliseconds since 1970.
    pub counts_since: Option<i64>,
    /// The event that blocks the partition, if one does.
    pub blocked: Option<BlockedEvent>,
    /// Since when the source has the partition no more, milliseconds since 1970; `None` while it has.
    pub gone: Option<i64>,
    /// Whether the source hands out messages: offsets are the router's own numbers then, and the source's end is not known.
    pub received: bool,
}

/// An event that was refused for good and that nothing may pass over: those behind it wait.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockedEvent {
    /// Its offset.
    pub offset: u64,
    /// Why it was refused.
    pub reason: String,
    /// Since when it has blocked the partition under the present owner, milliseconds since 1970.
    pub since: i64,
}

/// Events that ended, by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeCounts {
    /// Nothing wanted them.
    pub filtered: u64,
    /// Their target has them.
    pub delivered: u64,
    /// They wait in durable storage.
    pub parked: u64,
    /// They are in the dead-letter target.
    pub dead_lettered: u64,
    /// They were given up.
    pub discarded: u64,
    /// Attempts that were asked for again.
    pub redelivered: u64,
    /// An operator let them pass.
    pub skipped: u64,
    /// Messages that were lost at the source before they were read.
    pub gaps: u64,
    /// Of those delivered: the target had them already, by a send whose answer was lost, and they were not sent again.
    pub deduplicated: u64,
    /// Of those filtered: they had been at the target before on their way through streams.
    pub looped: u64,
    /// Of those delivered: the target may have them twice, because a mirror could not find out whether they were there before.
    pub unproven: u64,
}

impl OutcomeCounts {
    /// Events that ended, however.
    pub fn ended(&self) -> u64 {
        self.filtered + self.delivered + self.parked + self.dead_lettered + self.discarded + self.skipped
    }
}

impl std::ops::AddAssign for OutcomeCounts {
    fn add_assign(&mut self, other: Self) {
        self.filtered += other.filtered;
        self.delivered += other.delivered;
        self.parked += other.parked;
        self.dead_lettered += other.dead_lettered;
        self.discarded += other.discarded;
        self.redelivered += other.redelivered;
        self.skipped += other.skipped;
        self.gaps += other.gaps;
        self.deduplicated += other.deduplicated;
        self.looped += other.looped;
        self.unproven += other.unproven;
    }
}

/// What a stream is doing, put together from all its processes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamStatus {
    /// The stream.
    pub name: String,
    /// Its state.
    pub state: State,
    /// Why, where the state is one of failure or something waits.
    pub reason: Option<String>,
    /// Events ended per second, over all partitions.
    pub rate: f64,
    /// Time from the source's store to the outcome, of the events that ended last; the worst partition.
    pub delay: Duration,
    /// Messages stored in the source and not yet committed, over all partitions. Of a source that hands out messages: those that are under way, and
    /// those that wait if it says how many.
    pub backlog: u64,
    /// Whether the source does not say how many messages wait in it.
    pub waiting_unknown: bool,
    /// Age of the oldest message that is not committed, over all partitions; `None` if an owner does not say.
    pub lag: Option<Duration>,
    /// Events that ended, since the present owners began.
    pub counts: OutcomeCounts,
    /// Every event that ended since then is in the counts; milliseconds since 1970. `None` while nobody owns a partition.
    pub counts_since: Option<i64>,
    /// The partitions, sorted.
    pub partitions: Vec<PartitionStatus>,
    /// What was not read and nobody has acknowledged.
    pub gaps: Vec<PartitionGap>,
    /// Version of the definition.
    pub revision: Revision,
}

/// A gap, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionGap {
    /// The partition.
    pub partition: PartitionId,
    /// What was not read.
    pub gap: Gap,
}

/// What one partition is doing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PartitionStatus {
    /// What its owner tells; only `partition` is set if nobody tells anything.
    pub report: PartitionReport,
    /// The router that owns it.
    pub router: Option<MemberId>,
    /// The filter that owns its shard.
    pub filter: Option<MemberId>,
    /// The dispatcher that owns its shard.
    pub dispatcher: Option<MemberId>,
}
