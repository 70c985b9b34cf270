//! An event: CloudEvents attributes and the lossless RocketMQ envelope.
//!
//! Bodies and properties stay [`Bytes`] from socket to socket. The attributes of a message that comes from a plain topic
//! follow from its envelope and its [`Origin`]; they are not stored in the event and are made only when something reads them.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use crate::name::{InstanceId, PartitionId, Region};
use crate::properties::Properties;
use crate::property;
use crate::resolved::RocketMqSource;

/// Which message of its topic an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whence<'a> {
    /// The one that a broker stored there.
    Stored {
        /// The broker's name.
        broker: &'a str,
        /// The queue id.
        queue: u32,
        /// The offset in the queue.
        offset: u64,
    },
    /// The one with this identity, which its producer gave it; empty if it gave none.
    Message(&'a str),
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its position in its partition: the offset in the queue, or the router's own number in a partition of a source that hands out messages.
    /// Increases, not always by one.
    pub offset: u64,
    /// The message as RocketMQ has it.
    pub envelope: Envelope,
    /// CloudEvents attributes that a publisher gave; `None` when they follow from the envelope.
    pub attributes: Option<Box<Attributes>>,
}

impl Event {
    /// Which message of its topic it is.
    pub fn whence<'a>(&'a self, origin: &'a Origin) -> Whence<'a> {
        match &self.envelope.place {
            Some(place) => Whence::Stored { broker: &place.broker, queue: place.queue, offset: place.offset },
            None if origin.is_received() => Whence::Message(self.envelope.properties.get(property::UNIQUE_KEY).unwrap_or_default()),
            None => Whence::Stored { broker: &origin.broker, queue: origin.queue, offset: self.offset },
        }
    }

    /// What the event weighs against byte limits: body and properties.
    pub fn size(&self) -> usize {
        self.envelope.body.len() + self.envelope.properties.len()
    }

    /// Copies body and properties out of the frame that they came in, so that this event does not keep the memory of its neighbours.
    pub fn detach(&mut self) {
        self.envelope.body = Bytes::copy_from_slice(&self.envelope.body);
        self.envelope.properties = Properties::from_wire(Bytes::copy_from_slice(self.envelope.properties.as_wire()));
    }
}

/// A RocketMQ message with everything the broker tells of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Envelope {
    /// The body as it is stored, whatever it is: compressed if the producer compressed it, as the system flag then says.
    pub body: Bytes,
    /// All properties under their own names: user properties, keys, tags, sharding key, delay, and the broker's own.
    pub properties: Properties,
    /// The producer's flag word.
    pub flag: i32,
    /// The broker's flags (compression, transaction, address family).
    pub system_flag: i32,
    /// When the producer made it, milliseconds since 1970.
    pub born_timestamp: i64,
    /// When the broker stored it, milliseconds since 1970.
    pub store_timestamp: i64,
    /// The producer's address.
    pub born_host: Option<SocketAddr>,
    /// The broker's address.
    pub store_host: Option<SocketAddr>,
    /// Its position in the broker's commit log, bytes.
    pub commit_log_offset: u64,
    /// How often a consumer group has sent it back.
    pub reconsume_times: u32,
    /// Where the broker stored it, if it came from a source that hands out messages; `None` where partition and offset say so themselves,
    /// or if the source does not tell.
    pub place: Option<Arc<Place>>,
}

/// Where a broker stored a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// The broker's name.
    pub broker: Arc<str>,
    /// The queue id.
    pub queue: u32,
    /// The offset in the queue.
    pub offset: u64,
}

impl Envelope {
    /// Whether the producer compressed the body.
    pub fn is_compressed(&self) -> bool {
        self.system_flag & system_flag::COMPRESSED != 0
    }
}

/// CloudEvents 1.0 context attributes given by a publisher.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Unique within the source.
    pub id: String,
    /// URI-reference of what happened where.
    pub source: String,
    /// Kind of event.
    pub r#type: String,
    /// Subject within the source; empty if absent.
    pub subject: String,
    /// RFC 3339; empty if absent.
    pub time: String,
    /// Media type of the data; empty if absent.
    pub data_content_type: String,
    /// URI of the data's schema; empty if absent.
    pub data_schema: String,
    /// Extension attributes in their canonical string form.
    pub extensions: Vec<(String, String)>,
}

/// Where the events of one partition come from. One per partition, shared by its events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The source's region.
    pub region: Region,
    /// The account that owns the instance; may be empty.
    pub account: String,
    /// The source's instance.
    pub instance: InstanceId,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: PartitionId,
    /// The broker's name; empty if the source hands out messages, which then come from anywhere in the topic.
    pub broker: String,
    /// The queue id; the partition's number if the source hands out messages.
    pub queue: u32,
    /// The first of the source's name servers: tells clusters of equal names apart where the instance has no identity.
    pub name_server: String,
    /// The names of the source's brokers, sorted, those included that have left it: a mirror places queues by them.
    pub brokers: Vec<String>,
    /// How many queues the source has on the partition's broker; 0 if unknown.
    pub queues: u32,
}

impl Origin {
    /// Whether the source hands out messages, so that partition and offset say nothing of where a message is stored.
    pub fn is_received(&self) -> bool {
        self.broker.is_empty()
    }

    /// The same place, in the source that a stream's definition names.
    #[must_use]
    pub fn within(self, source: &RocketMqSource) -> Self {
        Self {
            region: source.connection.region.clone(),
            account: String::new(),
            instance: source.connection.instance.clone(),
            topic: source.topic.clone(),
            name_server: source.connection.endpoints.first().cloned().unwrap_or_default(),
            ..self
        }
    }
}

/// Flags in a message's system flag (`MessageSysFlag` of Apache RocketMQ).
pub mod system_flag {
    /// The body is compressed.
    pub const COMPRESSED: i32 = 1;
    /// The address of the producer is IPv6.
    pub const BORN_HOST_V6: i32 = 1 << 4;
    /// The address of the broker is IPv6.
    pub const STORE_HOST_V6: i32 = 1 << 5;
    /// Its consumer must take the body apart.
    pub const NEED_UNWRAP: i32 = 1 << 6;
    /// The body is a batch that the broker stored as one message.
    pub const INNER_BATCH: i32 = 1 << 7;
    /// How the body is compressed.
    pub const COMPRESSION_KIND: i32 = 7 << 8;
    /// Everything that says how to read the body.
    pub const ANY_COMPRESSION: i32 = COMPRESSED | COMPRESSION_KIND;
}

/// Shared by all events of a partition.
pub type SharedOrigin = Arc<Origin>;

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: events read at offsets, and events that were handed out with and without their place. *Guarantees*: which message it is never comes from a
    /// router's own numbers.
    #[test]
    fn a_message_is_told_by_where_its_broker_stored_it() {
        let id = Properties::from_pairs([(property::UNIQUE_KEY, "7F")]).expect("no separators");
        let mut event = Event { offset: 9, envelope: Envelope { properties: id, ..Envelope::default() }, attributes: None };
        let read = Origin { broker: "b".into(), queue: 2, ..Origin::default() };
        let received = Origin { partition: PartitionId::new("receive/3"), queue: 3, ..Origin::default() };
        assert_eq!(event.whence(&read), Whence::Stored { broker: "b", queue: 2, offset: 9 });
        assert_eq!(event.whence(&received), Whence::Message("7F"));
        event.envelope.place = Some(Arc::new(Place { broker: "a".into(), queue: 1, offset: 70 }));
        assert_eq!(event.whence(&received), Whence::Stored { broker: "a", queue: 1, offset: 70 });
        event.envelope = Envelope::default();
        assert_eq!(event.whence(&received), Whence::Message(""));
    }
}
