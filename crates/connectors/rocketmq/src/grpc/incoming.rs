//! From a message of the protocol to an event. Pure.
//!
//! Guarantees: the body is a slice of the frame it came in; every property that the protocol carries has the name that brokers store it under.
//!
//! Not carried by the protocol, and so not in the event: the producer's flag word, properties of RocketMQ's own that have no field (`WAIT`, `INSTANCE_ID` and
//! others), bytes that are not UTF-8 (the proxy has made them U+FFFD), and the kind of compression: that is read from the body's first bytes.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use prost_types::Timestamp;
use rocketbridge_connector::{Handle, Received};
use rocketbridge_model::event::system_flag;
use rocketbridge_model::properties::{NAME_VALUE_SEPARATOR, PROPERTY_SEPARATOR};
use rocketbridge_model::{Envelope, Event, Place, Properties, property};
use rocketbridge_rocketmq_proto::v2::{self, Encoding, SystemProperties};

/// First bytes of compressed bodies: an LZ4 frame, a Zstandard frame. Anything else is zlib, as before 5.0.
const LZ4: &[u8] = &[0x04, 0x22, 0x4D, 0x18];
const ZSTANDARD: &[u8] = &[0x28, 0xB5, 0x2F, 0xFD];
/// `CompressionType` of Apache RocketMQ, in its place in the system flag.
const LZ4_KIND: i32 = 1 << 8;
const ZSTANDARD_KIND: i32 = 2 << 8;

/// Reads a message. One without a handle cannot be acknowledged: the reason is for people.
pub(crate) fn read(message: v2::Message) -> Result<Received, &'static str> {
    let system = message.system_properties.unwrap_or_default();
    let token = system.receipt_handle.as_deref().filter(|token| !token.is_empty()).ok_or("a message without a receipt handle")?;
    let handle = Handle { message: Arc::from(system.message_id.as_str()), token: Arc::from(token) };
    let stored = Stored::read(token);
    let attempt = u32::try_from(system.delivery_attempt()).unwrap_or_default().max(1);
    let mut user: Vec<_> = message.user_properties.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    // The map has no order of its own; one that is always the same is easier to compare.
    user.sort_unstable();
    let envelope = Envelope {
        properties: properties(&user, &system),
        flag: 0,
        system_flag: flag(system.body_encoding(), &message.body),
        body: message.body,
        born_timestamp: system.born_timestamp.map_or(0, milliseconds),
        store_timestamp: system.store_timestamp.map_or(0, milliseconds),
        born_host: host(&system.born_host),
        store_host: host(&system.store_host),
        commit_log_offset: stored.as_ref().map_or(0, |stored| stored.commit_log_offset),
        reconsume_times: attempt - 1,
        place: stored.and_then(|stored| stored.place(&system)),
    };
    Ok(Received { event: Event { offset: 0, envelope, attributes: None }, handle, attempt })
}

/// What the handles of open-source brokers tell of where a message is stored (`ReceiptHandle`): fields separated by spaces, of them the fifth says whether the
/// message is in the topic itself (0) or in one for messages that came back, the sixth is the broker's name, the ninth the place in the commit log.
struct Stored<'a> {
    broker: &'a str,
    is_in_topic: bool,
    commit_log_offset: u64,
}

impl<'a> Stored<'a> {
    fn read(token: &'a str) -> Option<Self> {
        let fields: Vec<_> = token.split(' ').collect();
        if fields.len() < 8 || fields[5].is_empty() {
            return None;
        }
        let commit_log_offset = fields.get(8).and_then(|offset| offset.parse().ok()).unwrap_or_default();
        Some(Self { broker: fields[5], is_in_topic: fields[4] == "0", commit_log_offset })
    }

    /// A message that came back was stored anew, in a topic of its group: there it has another queue and offset.
    fn place(&self, system: &SystemProperties) -> Option<Arc<Place>> {
        let queue = u32::try_from(system.queue_id).ok()?;
        let offset = u64::try_from(system.queue_offset?).ok()?;
        self.is_in_topic.then(|| Arc::new(Place { broker: Arc::from(self.broker), queue, offset }))
    }
}

/// The broker that a handle names, if it is one of an open-source broker.
pub(crate) fn broker(token: &str) -> Option<&str> {
    Stored::read(token).map(|stored| stored.broker)
}

fn properties(user: &[(&str, &str)], system: &SystemProperties) -> Properties {
    let mut wire = BytesMut::new();
    let mut put = |name: &str, value: &str| {
        wire.put_slice(name.as_bytes());
        wire.put_u8(NAME_VALUE_SEPARATOR);
        wire.put_slice(value.as_bytes());
        wire.put_u8(PROPERTY_SEPARATOR);
    };
    if !system.keys.is_empty() {
        put(property::KEYS, &system.keys.join(" "));
    }
    if let Some(tag) = &system.tag {
        put(property::TAGS, tag);
    }
    user.iter().for_each(|(name, value)| put(name, value));
    put(property::UNIQUE_KEY, &system.message_id);
    if let Some(group) = &system.message_group {
        put(property::SHARDING_KEY, group);
    }
    if let Some(time) = system.delivery_timestamp {
        put("TIMER_DELIVER_MS", &milliseconds(time).to_string());
    }
    if let Some(context) = &system.trace_context {
        put("TRACE_CONTEXT", context);
    }
    if let Some(letter) = &system.dead_letter_queue {
        put("DLQ_ORIGIN_TOPIC", &letter.topic);
        put("DLQ_ORIGIN_MESSAGE_ID", &letter.message_id);
    }
    if let Some(topic) = &system.lite_topic {
        put("__LITE_TOPIC", topic);
    }
    if let Some(priority) = system.priority {
        put("_SYS_MSG_PRIORITY_", &priority.to_string());
    }
    Properties::from_wire(wire.freeze())
}

/// How the body is compressed. The protocol has one word for all kinds.
fn flag(encoding: Encoding, body: &Bytes) -> i32 {
    match encoding {
        Encoding::Gzip if body.starts_with(LZ4) => system_flag::COMPRESSED | LZ4_KIND,
        Encoding::Gzip if body.starts_with(ZSTANDARD) => system_flag::COMPRESSED | ZSTANDARD_KIND,
        Encoding::Gzip => system_flag::COMPRESSED,
        Encoding::Identity | Encoding::Unspecified => 0,
    }
}

fn milliseconds(time: Timestamp) -> i64 {
    time.seconds.saturating_mul(1_000).saturating_add(i64::from(time.nanos / 1_000_000))
}

/// An address with or without a port, which is then 0.
fn host(text: &str) -> Option<SocketAddr> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(token: &str) -> v2::Message {
        let system_properties = SystemProperties {
            tag: Some("t".into()),
            keys: vec!["k1".into(), "k2".into()],
            message_id: "id".into(),
            body_encoding: Encoding::Identity.into(),
            born_timestamp: Some(Timestamp { seconds: 1, nanos: 234_000_000 }),
            born_host: "127.0.0.1".into(),
            store_timestamp: Some(Timestamp { seconds: 2, nanos: 0 }),
            store_host: "127.0.0.1:10911".into(),
            receipt_handle: Some(token.into()),
            queue_id: 3,
            queue_offset: Some(17),
            delivery_attempt: Some(2),
            message_group: Some("g".into()),
            ..SystemProperties::default()
        };
        v2::Message {
            topic: None,
            user_properties: [("b".to_owned(), String::new()), ("a".to_owned(), "1".to_owned())].into(),
            system_properties: Some(system_properties),
            body: Bytes::from_static(b"\0\xff"),
        }
    }

    const TOKEN: &str = "17 1764000000000 30000 2 0 broker-a 3 17 4096";

    /// *Scenario*: a message with everything, handed out for the second time. *Guarantees*: body, properties in one order, times, hosts, place and attempt.
    #[test]
    fn a_message_is_read_whole() {
        let received = read(message(TOKEN)).expect("it has a handle");
        let envelope = &received.event.envelope;
        let properties: Vec<_> = envelope.properties.iter().collect();
        let expected = [("KEYS", "k1 k2"), ("TAGS", "t"), ("a", "1"), ("b", ""), ("UNIQ_KEY", "id"), ("__SHARDINGKEY", "g")];
        assert_eq!((properties.as_slice(), &envelope.body[..]), (&expected[..], &b"\0\xff"[..]));
        assert_eq!((envelope.born_timestamp, envelope.store_timestamp, envelope.commit_log_offset), (1_234, 2_000, 4_096));
        assert_eq!((envelope.born_host, envelope.store_host), ("127.0.0.1:0".parse().ok(), "127.0.0.1:10911".parse().ok()));
        assert_eq!(envelope.place.as_deref(), Some(&Place { broker: "broker-a".into(), queue: 3, offset: 17 }));
        assert_eq!((received.attempt, envelope.reconsume_times, &*received.handle.message, &*received.handle.token), (2, 1, "id", TOKEN));
        assert_eq!(broker(TOKEN), Some("broker-a"));
    }

    /// *Scenario*: handles of messages that came back, and of other systems. *Guarantees*: the place is told only where it is that of the message in its topic.
    #[test]
    fn a_place_is_told_only_if_it_is_the_first() {
        for token in ["17 1764000000000 30000 2 1 broker-a 3 17 4096", "17 1764000000000 30000 2 2 broker-a 3 17", "opaque"] {
            assert_eq!(read(message(token)).expect("a handle").event.envelope.place, None, "{token}");
        }
        assert_eq!(broker("opaque"), None);
        assert!(read(message("")).is_err());
        assert!(read(v2::Message::default()).is_err());
    }

    /// *Scenario*: bodies of each kind of compression, and one that is not compressed but looks so. *Guarantees*: the flag of their kind; a plain body stays
    /// plain.
    #[test]
    fn the_kind_of_compression_is_read_from_the_body() {
        let flag = |body: &'static [u8]| flag(Encoding::Gzip, &Bytes::from_static(body));
        assert_eq!(flag(b"\x04\x22\x4d\x18rest"), system_flag::COMPRESSED | LZ4_KIND);
        assert_eq!(flag(b"\x28\xb5\x2f\xfdrest"), system_flag::COMPRESSED | ZSTANDARD_KIND);
        assert_eq!(flag(b"\x78\x9crest"), system_flag::COMPRESSED);
        assert_eq!(super::flag(Encoding::Identity, &Bytes::from_static(LZ4)), 0);
    }
}
