//! Messages as the library sends and reads them, without its types.

use std::collections::BTreeMap;

use bytes::Bytes;
use rocketmq_model::common::message::message_ext::MessageExt;
use rocketmq_model::common::message::message_queue::MessageQueue;
use rocketmq_model::common::message::message_single::Message;

/// A queue of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Queue {
    /// Its broker.
    pub broker: String,
    /// Its number.
    pub number: u32,
}

/// Where a message is stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The queue.
    pub queue: Queue,
    /// The offset in the queue.
    pub offset: u64,
}

/// A message to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// Any bytes; the library refuses none at all.
    pub body: Bytes,
    /// Keys, separated by spaces; empty for none.
    pub keys: String,
    /// The tag; empty for none.
    pub tag: String,
    /// The sharding key; empty for none.
    pub sharding_key: String,
    /// User properties.
    pub properties: Vec<(String, String)>,
    /// A word for the consumer.
    pub flag: i32,
}

/// A message as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Where it is stored.
    pub place: Place,
    /// Its body, decompressed by the library.
    pub body: Bytes,
    /// All its properties, those of RocketMQ's own making among them.
    pub properties: BTreeMap<String, String>,
    /// A word for the consumer.
    pub flag: i32,
}

impl Queue {
    pub(crate) fn of(queue: &MessageQueue) -> Self {
        Self { broker: queue.broker_name().to_string(), number: number(queue.queue_id()) }
    }
}

impl Outgoing {
    /// The library's message for a topic.
    pub(crate) fn message(&self, topic: &str) -> Message {
        let mut builder = Message::builder().topic(topic).body(self.body.clone()).flag_bits(self.flag);
        if !self.keys.is_empty() {
            builder = builder.key(self.keys.as_str());
        }
        if !self.tag.is_empty() {
            builder = builder.tags(self.tag.as_str());
        }
        if !self.sharding_key.is_empty() {
            builder = builder.sharding_key(self.sharding_key.as_str());
        }
        for (name, value) in &self.properties {
            builder = builder.raw_property(name.as_str(), value.as_str()).unwrap_or_else(|error| panic!("property {name}: {error}"));
        }
        builder.build().unwrap_or_else(|error| panic!("message for {topic}: {error}"))
    }
}

impl Stored {
    pub(crate) fn of(message: &MessageExt) -> Self {
        let queue = Queue { broker: message.broker_name().to_owned(), number: number(message.queue_id()) };
        Self {
            place: Place { queue, offset: offset(message.queue_offset()) },
            body: message.body().unwrap_or_default(),
            properties: message.properties().iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
            flag: message.flag(),
        }
    }
}

pub(crate) fn number(queue: i32) -> u32 {
    u32::try_from(queue).expect("queues are numbered from 0")
}

pub(crate) fn offset(offset: i64) -> u64 {
    u64::try_from(offset).expect("offsets of a queue begin at 0")
}
