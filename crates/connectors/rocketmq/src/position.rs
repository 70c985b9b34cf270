//! Where a mirrored message stood at its source: the property `RB_POSITION`.
//!
//! Its value is `source/broker/queue/offset/stored`: the source as sixteen hexadecimal digits, the broker's name and the queue there, the offset, and
//! when the source's broker stored the message, milliseconds since 1970. A mirror writes it anew at each hop, so that it always speaks of
//! the topic that the message was last mirrored from.
//!
//! The time tells a message from one that stands at the same offset of a topic that was made anew: without it, a new topic's messages would be taken
//! for those that the old one had delivered.

use std::cmp::Ordering;

use rocketbridge_model::resolved::{RocketMqConnection, RocketMqSource};
use rocketbridge_model::{Event, Properties, properties, property};

use crate::decimal::decimal;
use crate::route::Queue;

/// Name of the property.
pub const POSITION_PROPERTY: &str = property::POSITION;

/// A place in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Position {
    /// The offset in the queue.
    pub offset: u64,
    /// When the broker stored the message, milliseconds since 1970.
    pub stored: i64,
}

/// One queue of a source, as positions name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceQueue {
    /// The identity of the source: its region, instance (its first name server where it has none), namespace and topic, as sixteen hexadecimal digits.
    source: String,
    queue: Queue,
}

impl Position {
    /// Where an event stands.
    pub fn of(event: &Event) -> Self {
        Self { offset: event.offset, stored: event.envelope.store_timestamp }
    }

    /// Whether a message that stands at `other` had been read when the one at `self` was: it stands at or before it, in the same life of the topic.
    ///
    /// A message that was stored later belongs to a topic that was made anew, whatever its offset.
    pub fn covers(self, other: Self) -> bool {
        other.offset <= self.offset && other.stored <= self.stored
    }

    /// The later one of two, by what the source's broker stored later.
    pub fn later(self, other: Self) -> Self {
        match (other.stored, other.offset).cmp(&(self.stored, self.offset)) {
            Ordering::Greater => other,
            Ordering::Less | Ordering::Equal => self,
        }
    }
}

impl SourceQueue {
    /// A queue of a stream's source.
    pub fn new(source: &RocketMqSource, queue: Queue) -> Self {
        Self::of_topic(&source.connection, &source.topic, queue)
    }

    /// A queue of a topic.
    pub fn of_topic(connection: &RocketMqConnection, topic: &str, queue: Queue) -> Self {
        Self { source: identity(connection, topic), queue }
    }

    /// The queue.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Calls `write` with the value for a message, in parts.
    pub(crate) fn write<T>(&self, position: Position, write: impl FnOnce(&[&[u8]]) -> T) -> T {
        let (mut id, mut offset, mut stored) = ([0; 20], [0; 20], [0; 20]);
        write(&[
            self.source.as_bytes(),
            b"/",
            self.queue.broker.as_bytes(),
            b"/",
            decimal(u64::from(self.queue.id), &mut id),
            b"/",
            decimal(position.offset, &mut offset),
            b"/",
            decimal(u64::try_from(position.stored).unwrap_or_default(), &mut stored),
        ])
    }

    /// The position that a message carries, if it was mirrored from this queue.
    pub fn position_of(&self, properties: &Properties) -> Option<Position> {
        let (queue, position) = read(properties)?;
        (&queue == self).then_some(position)
    }

    /// Whether two queues are of one source.
    pub(crate) fn is_of_same_source(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

/// The queue that a message was last mirrored from, and where it stood there; `None` for a message that no mirror brought.
pub fn position_of(properties: &Properties) -> Option<(SourceQueue, Position)> {
    read(properties)
}

fn read(properties: &Properties) -> Option<(SourceQueue, Position)> {
    let named = |(name, _): &(&[u8], &[u8])| *name == POSITION_PROPERTY.as_bytes();
    let (_, value) = properties::pairs(properties.as_wire()).filter(named).last()?;
    let value = std::str::from_utf8(value).ok()?;
    // A broker's name may hold anything but a slash: what is before and behind it is not its own.
    let (source, rest) = value.split_once('/')?;
    let mut parts = rest.rsplitn(4, '/');
    let (stored, offset, id, broker) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let queue = Queue { broker: broker.to_owned(), id: id.parse().ok()? };
    let position = Position { offset: offset.parse().ok()?, stored: stored.parse().ok()? };
    Some((SourceQueue { source: source.to_owned(), queue }, position))
}

/// The identity of a source, as `RB_ORIGIN` knows it, in sixteen digits.
fn identity(connection: &RocketMqConnection, topic: &str) -> String {
    let instance = match connection.instance.as_str() {
        "" => connection.endpoints.first().map_or("", |server| server.trim()),
        instance => instance,
    };
    let parts = [connection.region.as_str(), instance, &connection.namespace, topic];
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn queue_of(topic: &str, broker: &str, id: u32) -> SourceQueue {
        let connection = RocketMqConnection { endpoints: vec!["10.0.0.1:9876".into()], ..RocketMqConnection::default() };
        SourceQueue::of_topic(&connection, topic, Queue { broker: broker.into(), id })
    }

    pub(crate) fn marked(queue: &SourceQueue, position: Position) -> Properties {
        let value = queue.write(position, |parts| String::from_utf8(parts.concat())).expect("names and digits");
        Properties::from_pairs([("a", "b"), (POSITION_PROPERTY, &value)]).expect("no separators")
    }

    /// *Scenario*: positions of one message in several queues, topics and clusters. *Guarantees*: each is read as what it is, and by its own queue only.
    #[test]
    fn a_position_is_of_one_queue() {
        let position = Position { offset: 7, stored: 1_764_300_000_000 };
        let queue = queue_of("orders", "broker/a b", 3);
        let properties = marked(&queue, position);
        assert_eq!((queue.position_of(&properties), position_of(&properties)), (Some(position), Some((queue.clone(), position))));
        let others = [queue_of("orders", "broker/a b", 4), queue_of("orders", "broker/a", 3), queue_of("order", "broker/a b", 3)];
        assert!(others.iter().all(|other| other.position_of(&properties).is_none()));
        assert!(queue.is_of_same_source(&others[0]) && queue.is_of_same_source(&others[1]) && !queue.is_of_same_source(&others[2]));
        let elsewhere = RocketMqConnection { endpoints: vec!["10.0.0.2:9876".into()], ..RocketMqConnection::default() };
        let elsewhere = SourceQueue::of_topic(&elsewhere, "orders", queue.queue().clone());
        assert_eq!(elsewhere.position_of(&properties), None, "clusters without an identity are told apart by their name servers");
    }

    /// *Scenario*: a topic that was made anew begins at 0 again. *Guarantees*: its messages are not covered by the old one's, at any offset; those of
    /// the same life are, up to the last.
    #[test]
    fn a_topic_made_anew_is_not_covered() {
        let last = Position { offset: 100, stored: 5_000 };
        assert!(last.covers(last) && last.covers(Position { offset: 0, stored: 1 }) && last.covers(Position { offset: 99, stored: 5_000 }));
        assert!(!last.covers(Position { offset: 101, stored: 5_000 }) && !last.covers(Position { offset: 0, stored: 5_001 }));
        assert_eq!(last.later(Position { offset: 0, stored: 5_001 }), Position { offset: 0, stored: 5_001 });
        assert_eq!(Position { offset: 101, stored: 5_000 }.later(last), Position { offset: 101, stored: 5_000 });
    }

    /// *Scenario*: the identity of a source. *Guarantees*: it is what it always was: targets hold positions of former versions.
    #[test]
    fn an_identity_never_changes() {
        assert_eq!(queue_of("orders", "b", 0).source, "c4580a015d2f1b3e");
    }

    proptest! {
        /// *Scenario*: any text as the property. *Guarantees*: no panic, and what is read reads again.
        #[test]
        fn any_text_is_read(text in "[0-9a-f/]{0,60}") {
            let properties = Properties::from_pairs([(POSITION_PROPERTY, text.as_str())]).expect("no separators");
            if let Some((queue, position)) = position_of(&properties) {
                prop_assert_eq!(position_of(&marked(&queue, position)), Some((queue, position)));
            }
        }
    }
}
