//! The RocketMQ instances that routes copy between, as a controller asks them.

use std::collections::BTreeMap;
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

/// Asks instances about their topics. An implementation limits how long it waits for one that does not answer.
pub trait Clusters: Send + Sync {
    /// All topics of an instance, sorted; or why they cannot be listed, for people.
    fn topics<'a>(&'a self, connection: &'a RocketMqConnection) -> BoxFuture<'a, Result<Vec<Topic>, String>>;

    /// Compares a topic with its mirror, message by message; or why they cannot be compared, for people. As long as reading both takes.
    fn compare<'a>(&'a self, source: End<'a>, target: End<'a>) -> BoxFuture<'a, Result<Vec<Comparison>, String>>;

    /// The numbers of readable queues of some topics. A topic that is not there, or whose queues cannot be found out, is left out.
    fn queues<'a>(&'a self, connection: &'a RocketMqConnection, topics: Vec<String>) -> BoxFuture<'a, BTreeMap<String, u32>>;
}
