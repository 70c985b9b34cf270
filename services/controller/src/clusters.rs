//! The RocketMQ instances that routes copy between, as a controller asks them.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use futures::future::BoxFuture;
use rocketbridge_model::resolved::RocketMqConnection;
use rocketbridge_model::route::Topic;

/// A topic of an instance.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// The instance.
    pub connection: &'a RocketMqConnection,
    /// The topic.
    pub topic: &'a str,
}

/// A queue of a topic, compared with the queue of its mirror.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// The queue of the source, `broker/queue`.
    pub source: String,
    /// The queue of the target, `broker/queue`.
    pub target: String,
    /// The offsets of the source that were compared.
    pub compared: Range<u64>,
    /// Messages that both hold.
    pub messages: u64,
    /// Checksum of these messages.
    pub checksum: u64,
    /// Messages at the end that the target does not hold yet.
    pub behind: u64,
    /// Messages of the source that came from the target.
    pub looped: u64,
    /// The first difference.
    pub difference: Option<Difference>,
}

/// The first difference between a queue and its mirror.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What it is.
    pub kind: DifferenceKind,
    /// The offset at the source.
    pub source_offset: u64,
    /// The offset at the target; `None` where the target does not hold the message.
    pub target_offset: Option<u64>,
}

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DifferenceKind {
    /// The target does not hold the message, and holds later ones.
    Missing,
    /// The target holds the message again, or behind a later one.
    Repeated,
    /// A part of the message: `body`, `properties` or `flag`.
    Changed(&'static str),
    /// The target holds a message that the source does not hold there.
    Unknown,
}

/// A queue of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Queue {
    /// Name of its broker.
    pub broker: String,
    /// Its number there.
    pub id: u32,
}

impl fmt::Display for Queue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.broker, self.id)
    }
}

/// The offsets that a group has committed in a topic, by queue.
pub type Progress = BTreeMap<Queue, u64>;

/// Offsets that groups have committed at an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommittedOffsets {
    /// By group and topic.
    pub groups: BTreeMap<String, BTreeMap<String, Progress>>,
    /// Brokers that did not tell theirs, each with the reason, for people.
    pub silent: BTreeMap<String, String>,
}

impl CommittedOffsets {
    /// What a group has committed in a topic.
    pub fn of(&self, group: &str, topic: &str) -> Option<&Progress> {
        self.groups.get(group)?.get(topic)
    }
}

/// Which committed offsets are wanted: of a group in a topic.
pub type WantedOffsets<'a> = &'a (dyn Fn(&str, &str) -> bool + Send + Sync);

/// Where a group goes on in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The queue.
    pub queue: Queue,
    /// The first offset that it reads.
    pub offset: u64,
}

/// From where to where progress is translated.
#[derive(Clone, Copy, Debug)]
pub struct Way<'a> {
    /// The topic that groups have read.
    pub source: End<'a>,
    /// Its mirror.
    pub target: End<'a>,
    /// Whether the mirror is mirrored back.
    pub both_ways: bool,
}

/// What groups have committed, by queue.
#[derive(Clone, Copy, Debug)]
pub struct Positions<'a> {
    /// What a group has committed at the source.
    pub read: &'a Progress,
    /// What it has committed at the target.
    pub at_target: &'a Progress,
    /// What the way back has committed at the target: how far it has come.
    pub copied_back: &'a Progress,
}

/// Where a group goes on in a queue of a mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The queue of the source.
    pub source: Queue,
    /// Its home at the target.
    pub target: Queue,
    /// The first offset that the group reads there, and whether the mirror holds all that the group has read; or why it cannot be found now, for people.
    pub translated: Result<(u64, bool), String>,
}

/// Asks instances about their topics. An implementation limits how long it waits for one that does not answer.
pub trait Clusters: Send + Sync {
    /// All topics of an instance, sorted; or why they cannot be listed, for people.
    fn topics<'a>(&'a self, connection: &'a RocketMqConnection) -> BoxFuture<'a, Result<Vec<Topic>, String>>;

    /// Compares a topic with its mirror, message by message; or why they cannot be compared, for people. As long as reading both takes.
    fn compare<'a>(&'a self, source: End<'a>, target: End<'a>) -> BoxFuture<'a, Result<Vec<Comparison>, String>>;

    /// The numbers of readable queues of some topics. A topic that is not there, or whose queues cannot be found out, is left out.
    fn queues<'a>(&'a self, connection: &'a RocketMqConnection, topics: Vec<String>) -> BoxFuture<'a, BTreeMap<String, u32>>;

    /// All groups of an instance, sorted, RocketMQ's own included; or why they cannot be listed, for people.
    fn groups<'a>(&'a self, connection: &'a RocketMqConnection) -> BoxFuture<'a, Result<Vec<String>, String>>;

    /// The offsets that groups have committed; or why they are not known, for people.
    fn committed<'a>(
        &'a self,
        connection: &'a RocketMqConnection,
        wanted: WantedOffsets<'a>,
    ) -> BoxFuture<'a, Result<CommittedOffsets, String>>;

    /// Where a group goes on in the queues of a mirror, by the source's queues; or why that cannot be found, for people. The positions must have been asked for before.
    fn translate<'a>(&'a self, way: Way<'a>, positions: Positions<'a>) -> BoxFuture<'a, Result<Vec<Translation>, String>>;

    /// What each queue of a topic holds; or why that is not known, for people.
    fn ends<'a>(&'a self, end: End<'a>) -> BoxFuture<'a, Result<BTreeMap<Queue, Range<u64>>, String>>;

    /// The clients that consume with a group, at any broker of an instance; or why nobody knows, for people.
    fn consumers<'a>(&'a self, connection: &'a RocketMqConnection, group: &'a str) -> BoxFuture<'a, Result<Vec<String>, String>>;

    /// Sets from where a group goes on; or why it is not set, for people. The group is made if it is not there.
    fn commit<'a>(&'a self, connection: &'a RocketMqConnection, commit: &'a Commit) -> BoxFuture<'a, Result<(), String>>;
}
