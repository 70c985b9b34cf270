//! An event: CloudEvents attributes and the lossless RocketMQ envelope.
//!
//! Bodies and properties stay [`Bytes`] from socket to socket. The attributes of a message that comes from a plain topic
//! follow from its envelope and its [`Origin`]; they are not stored in the event and are made only when something reads them.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use crate::name::{InstanceId, PartitionId, Region};
use crate::properties::Properties;

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its position in its partition. For RocketMQ: the queue offset. Increases, not always by one.
    pub offset: u64,
    /// The message as RocketMQ has it.
    pub envelope: Envelope,
    /// CloudEvents attributes that a publisher gave; `None` when they follow from the envelope.
    pub attributes: Option<Box<Attributes>>,
}

impl Event {
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
    /// The broker's name.
    pub broker: String,
    /// The queue id.
    pub queue: u32,
    /// The first of the source's name servers: tells clusters of equal names apart where the instance has no identity.
    pub name_server: String,
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
