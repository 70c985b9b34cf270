//! From a message about to be sent to one of the protocol, of a type that its topic takes. Pure.
//!
//! Guarantees: body bytes, keys, tag, user properties, message id, message group, born time and host are the message's. What the protocol cannot carry of
//! the *user's* refuses the message: properties that are not UTF-8. What it cannot carry of RocketMQ's own is left out, and named: the flag word and
//! properties that have no field. What a topic of a type needs, and the message does not have, is made only where it changes nothing for its readers: a
//! message group of its source queue for a FIFO topic, and a time that is now for a DELAY topic.

use std::collections::HashMap;

use bytes::Bytes;
use prost_types::Timestamp;
use rocketbridge_model::event::system_flag;
use rocketbridge_model::properties::pairs;
use rocketbridge_model::property::{self, Kind};
use rocketbridge_model::{Envelope, Whence};
use rocketbridge_rocketmq_proto::v2::{self, Encoding, MessageType, SystemProperties};
use sha1::{Digest, Sha1};
use uuid::Uuid;

use super::producer::Checks;
use super::route::Types;
use crate::born::born_of;
use crate::limit;
use crate::outgoing::Outgoing;

/// `CompressionType.ZLIB` of Apache RocketMQ, in its place in the system flag. The protocol carries this kind only, as before 5.0.
const ZLIB: i32 = 3 << 8;
/// Longest message group that a proxy takes, bytes (`maxMessageGroupSize` less one).
const GROUP: usize = 63;
/// Properties of RocketMQ's own that say something only to the broker or client that wrote them: without them nothing is missing.
const FORGOTTEN: [&str; 6] = [property::WAIT, "PGROUP", "RECONSUME_TIME", "MAX_RECONSUME_TIMES", "BORN_TIMESTAMP", "__BORNHOST"];

/// Where messages go, and when it is.
pub(crate) struct Destination<'a> {
    pub(crate) topic: &'a v2::Resource,
    pub(crate) types: Types,
    /// What the proxy checks.
    pub(crate) checks: Checks,
    /// Whether messages must keep their order: those without a sharding key keep that of the queue they were read from.
    pub(crate) orderly: bool,
    /// Milliseconds since 1970.
    pub(crate) now: i64,
}

/// A message of the protocol.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) message: v2::Message,
    /// What was left out.
    pub(crate) left_out: Vec<&'static str>,
}

impl Ready {
    /// Its message group, within which messages keep their order.
    pub(crate) fn group(&self) -> Option<&str> {
        self.system().and_then(|system| system.message_group.as_deref())
    }

    fn system(&self) -> Option<&SystemProperties> {
        self.message.system_properties.as_ref()
    }
}

/// Whether a body must be made plain before it is sent: the protocol has no word for its kind of compression.
pub(crate) fn must_be_plain(flag: i32) -> bool {
    let kind = flag & system_flag::COMPRESSION_KIND;
    flag & system_flag::COMPRESSED != 0 && kind != 0 && kind != ZLIB
}

/// Makes the message. The reason of the error is for people.
pub(crate) fn message(
    made: Outgoing,
    properties: &[u8],
    envelope: &Envelope,
    whence: Whence<'_>,
    destination: &Destination<'_>,
) -> Result<Ready, String> {
    let (length, longest) = (made.body.len(), destination.checks.longest_body);
    if length > longest {
        return Err(format!("its body has {length} bytes, and exceeds the {longest} that the proxy takes (maxMessageSize)"));
    }
    let mut fields = Fields::read(properties)?;
    let mut left_out = made.left_out;
    left_out.append(&mut fields.left_out);
    if made.flag != 0 {
        left_out.push("flag");
    }
    fields.make_room(&mut left_out);
    let kind = fields.fit(whence, destination)?;
    let is_compressed = made.system_flag & system_flag::COMPRESSED != 0;
    let born = Some(born_of(envelope)).filter(|born| *born > 0).unwrap_or(destination.now);
    let host = envelope.born_host.map(|host| host.ip().to_string()).unwrap_or_default();
    let system = SystemProperties {
        tag: fields.tag,
        keys: fields.keys,
        message_id: fields.id.unwrap_or_else(|| Uuid::new_v4().simple().to_string().to_uppercase()),
        body_encoding: if is_compressed { Encoding::Gzip } else { Encoding::Identity }.into(),
        message_type: kind.into(),
        born_timestamp: Some(time(born)),
        born_host: host,
        delivery_timestamp: fields.due.map(time),
        message_group: fields.group,
        trace_context: fields.trace,
        lite_topic: fields.lite_topic,
        priority: fields.priority,
        ..SystemProperties::default()
    };
    let message = v2::Message {
        topic: Some(destination.topic.clone()),
        user_properties: fields.user,
        system_properties: Some(system),
        body: made.body,
    };
    Ok(Ready { message, left_out })
}

/// The properties of a message by the fields of the protocol.
#[derive(Default)]
struct Fields {
    user: HashMap<String, String>,
    keys: Vec<String>,
    tag: Option<String>,
    id: Option<String>,
    group: Option<String>,
    trace: Option<String>,
    lite_topic: Option<String>,
    priority: Option<i32>,
    /// When it is to be delivered, milliseconds since 1970.
    due: Option<i64>,
    left_out: Vec<&'static str>,
}

impl Fields {
    fn read(properties: &[u8]) -> Result<Self, String> {
        let mut fields = Self::default();
        for (name, value) in pairs(properties) {
            let kind = property::kind(name);
            let (name, value) = match (std::str::from_utf8(name), std::str::from_utf8(value)) {
                (Ok(name), Ok(value)) => (name, value.to_owned()),
                _ => {
                    let name = String::from_utf8_lossy(name);
                    return Err(format!("its property {name:?} is not UTF-8, and gRPC carries text only; remoting carries any bytes"));
                }
            };
            match (kind, name) {
                (Kind::User | Kind::Bridge, _) => drop(fields.user.insert(name.to_owned(), value)),
                // Spaces separate keys, for producers as for brokers; what is between them may be empty.
                (_, property::KEYS) => fields.keys = value.split(' ').map(str::to_owned).collect(),
                (_, property::TAGS) => fields.tag = Some(value),
                (_, property::UNIQUE_KEY) if !value.trim().is_empty() => fields.id = Some(value),
                (_, property::SHARDING_KEY) if !value.is_empty() => fields.group = Some(value),
                (_, "TRACE_CONTEXT") => fields.trace = Some(value),
                (_, "__LITE_TOPIC") => fields.lite_topic = Some(value),
                (_, "_SYS_MSG_PRIORITY_") => fields.priority = value.parse().ok(),
                (_, "TIMER_DELIVER_MS") => fields.due = value.parse().ok(),
                (_, property::UNIQUE_KEY | property::SHARDING_KEY) => {}
                (_, name) if FORGOTTEN.contains(&name) => {}
                (_, name) => fields.left_out.extend(property::NAMES.iter().find(|(known, _)| *known == name).map(|(known, _)| *known)),
            }
        }
        if fields.lite_topic.is_some() {
            // Brokers make it of the lite topic.
            fields.left_out.retain(|name| *name != property::MULTI_DISPATCH);
        }
        Ok(fields)
    }

    /// What a proxy counts as the user's, bytes.
    fn length(&self) -> usize {
        let user: usize = self.user.iter().map(|(name, value)| name.len() + value.len()).sum();
        user + self.keys.iter().map(String::len).sum::<usize>() + self.tag.as_ref().map_or(0, String::len)
    }

    /// Takes RocketBridge's own properties out, one by one, while there are more than a proxy takes. They never make a message too long.
    fn make_room(&mut self, left_out: &mut Vec<&'static str>) {
        for own in [property::REASON, property::TIMED, property::ORIGIN, property::VIA] {
            if self.length() <= limit::USER_PROPERTIES && self.user.len() <= limit::USER_PROPERTY_COUNT {
                return;
            }
            if self.user.remove(own).is_some() {
                left_out.push(own);
            }
        }
    }

    /// The type of the message: the one that its properties make it, and that its topic takes.
    fn fit(&mut self, whence: Whence<'_>, destination: &Destination<'_>) -> Result<MessageType, String> {
        let types = destination.types;
        let kind = self.kind();
        if destination.orderly && kind == MessageType::Normal {
            if destination.checks.types && !types.take(MessageType::Fifo) {
                return Err(format!(
                    "delivery_order_type is Orderly, and topic {} takes messages of type {} only, which gRPC keeps in no order; choose a FIFO topic",
                    destination.topic.name,
                    types.words()
                ));
            }
            self.group = Some(queue_group(whence));
            return Ok(MessageType::Fifo);
        }
        if types.take(kind) {
            return Ok(kind);
        }
        if kind == MessageType::Normal {
            if types.take(MessageType::Fifo) {
                self.group = Some(queue_group(whence));
                return Ok(MessageType::Fifo);
            }
            if types.take(MessageType::Delay) {
                self.due = Some(destination.now);
                return Ok(MessageType::Delay);
            }
            if types.take(MessageType::Priority) {
                self.priority = Some(0);
                return Ok(MessageType::Priority);
            }
        }
        if !destination.checks.types {
            return Ok(kind);
        }
        let why = match kind {
            MessageType::Fifo => "it has a sharding key, which makes it FIFO",
            MessageType::Priority => "it has a priority",
            MessageType::Lite => "it is for a lite topic",
            MessageType::Delay => "it is to be delivered later",
            _ => "it has neither a sharding key nor a lite topic",
        };
        Err(format!(
            "topic {} takes messages of type {} only, and this one is {}: {why}",
            destination.topic.name,
            types.words(),
            kind.as_str_name()
        ))
    }

    /// In the order in which brokers decide it (`TopicMessageType.parseFromMessageProperty`).
    fn kind(&self) -> MessageType {
        if self.due.is_some() {
            MessageType::Delay
        } else if self.group.is_some() {
            MessageType::Fifo
        } else if self.lite_topic.is_some() {
            MessageType::Lite
        } else if self.priority.is_some() {
            MessageType::Priority
        } else {
            MessageType::Normal
        }
    }
}

/// The message group of messages that have none, where the topic wants one: the queue that they were read from, whose order is kept so.
fn queue_group(whence: Whence<'_>) -> String {
    let group = match whence {
        Whence::Stored { broker, queue, .. } => format!("{broker}/{queue}"),
        Whence::Message(id) => id.to_owned(),
    };
    match group.len() {
        1..=GROUP => group,
        // Whatever it is, all messages of one queue get the same.
        _ => hex::encode(Sha1::digest(group.as_bytes())),
    }
}

fn time(milliseconds: i64) -> Timestamp {
    let nanos = i32::try_from(milliseconds.rem_euclid(1_000) * 1_000_000).unwrap_or_default();
    Timestamp { seconds: milliseconds.div_euclid(1_000), nanos }
}

/// The message with another body, which is not compressed.
pub(crate) fn with_plain_body(mut made: Outgoing, body: Bytes) -> Outgoing {
    made.body = body;
    made.system_flag = 0;
    made
}

#[cfg(test)]
mod tests {
    use rocketbridge_model::Properties;

    use super::*;
    use crate::born::Born;

    const WHENCE: Whence<'static> = Whence::Stored { broker: "broker-a", queue: 3, offset: 9 };

    fn outgoing(body: &'static [u8], flag: i32, system_flag: i32) -> Outgoing {
        Outgoing {
            body: Bytes::from_static(body),
            flag,
            system_flag,
            timed: false,
            singular: false,
            keyed: false,
            born: Born::default(),
            left_out: Vec::new(),
        }
    }

    fn made_of(properties: &[u8], types: &[MessageType], whence: Whence<'_>) -> Result<Ready, String> {
        let topic = v2::Resource { resource_namespace: String::new(), name: "t".into() };
        let destination =
            Destination { topic: &topic, types: types.iter().copied().collect(), checks: Checks::default(), orderly: false, now: 5_250 };
        let envelope = Envelope { born_timestamp: 1_234, born_host: "10.0.0.1:5".parse().ok(), ..Envelope::default() };
        message(outgoing(b"\0\xff", 0, 0), properties, &envelope, whence, &destination)
    }

    fn made(pairs: &[(&str, &str)], types: &[MessageType]) -> Result<Ready, String> {
        let properties = Properties::from_pairs(pairs.iter().copied()).expect("no separators");
        made_of(properties.as_wire(), types, WHENCE)
    }

    fn system(ready: &Ready) -> &SystemProperties {
        ready.message.system_properties.as_ref().expect("given")
    }

    /// *Scenario*: a message with every kind of property. *Guarantees*: each stands in its field, spaces in keys come through, and what has no field is named.
    #[test]
    fn every_property_has_its_field() {
        let pairs = [
            ("KEYS", "k1  k[2]"),
            ("TAGS", "t"),
            ("UNIQ_KEY", "id"),
            ("__SHARDINGKEY", "g"),
            ("a", ""),
            ("RB_ORIGIN", "o"),
            ("WAIT", "false"),
            ("BUYER_ID", "b"),
        ];
        let ready = made(&pairs, &[]).expect("it can be carried");
        let system = system(&ready);
        assert_eq!((system.keys.join(" "), system.tag.as_deref(), system.message_id.as_str()), ("k1  k[2]".to_owned(), Some("t"), "id"));
        assert_eq!((ready.group(), system.message_type(), ready.left_out.as_slice()), (Some("g"), MessageType::Fifo, &["BUYER_ID"][..]));
        let expected = [("a".to_owned(), String::new()), ("RB_ORIGIN".to_owned(), "o".to_owned())];
        assert_eq!(ready.message.user_properties, expected.into());
        assert_eq!(
            (&ready.message.body[..], system.body_encoding(), system.born_host.as_str()),
            (&b"\0\xff"[..], Encoding::Identity, "10.0.0.1")
        );
        assert_eq!(system.born_timestamp, Some(Timestamp { seconds: 1, nanos: 234_000_000 }));
    }

    /// *Scenario*: messages with and without keys, groups and priorities for topics of each type. *Guarantees*: each topic gets a type it takes, with what the
    /// type needs, or the message is refused with the reason.
    #[test]
    fn a_topic_gets_the_type_it_takes_or_a_refusal() {
        use MessageType::{Delay, Fifo, Lite, Normal, Priority, Transaction};
        let plain = |types: &[MessageType]| made(&[], types);
        assert_eq!(system(&plain(&[Normal]).expect("taken")).message_type(), Normal);
        assert_eq!(system(&plain(&[Normal, Fifo, Delay, Transaction]).expect("taken")).message_group, None);
        assert_eq!(plain(&[Fifo]).expect("taken").group(), Some("broker-a/3"));
        let delayed = plain(&[Delay]).expect("taken");
        assert_eq!(system(&delayed).delivery_timestamp, Some(Timestamp { seconds: 5, nanos: 250_000_000 }));
        assert_eq!(system(&plain(&[Priority]).expect("taken")).priority, Some(0));
        let lite = made(&[("INNER_MULTI_DISPATCH", "%LMQ%$t$l"), ("__LITE_TOPIC", "l")], &[Lite]).expect("taken");
        assert!(lite.left_out.is_empty(), "brokers make it of the lite topic: {:?}", lite.left_out);
        assert_eq!((system(&lite).lite_topic.as_deref(), system(&lite).message_type()), (Some("l"), Lite));
        for (refused, words) in [
            (plain(&[Transaction]), "topic t takes messages of type TRANSACTION only, and this one is NORMAL"),
            (
                plain(&[Lite]),
                "topic t takes messages of type LITE only, and this one is NORMAL: it has neither a sharding key nor a lite topic",
            ),
            (
                made(&[("__SHARDINGKEY", "g")], &[Normal]),
                "topic t takes messages of type NORMAL only, and this one is FIFO: it has a sharding key, which makes it FIFO",
            ),
        ] {
            assert!(refused.as_ref().expect_err("refused").starts_with(words), "{refused:?}");
        }
    }

    /// *Scenario*: proxies that do not check types, and one that takes short bodies only. *Guarantees*: topics still get the type they want where there is one; else the message
    /// keeps its own; a body that is too long is refused with both lengths.
    #[test]
    fn what_a_proxy_does_not_check_is_not_refused() {
        let topic = v2::Resource { resource_namespace: String::new(), name: "t".into() };
        let made = |pairs: &[(&str, &str)], kind: MessageType, orderly: bool, checks: Checks| {
            let properties = Properties::from_pairs(pairs.iter().copied()).expect("no separators");
            let destination = Destination { topic: &topic, types: [kind].into_iter().collect(), checks, orderly, now: 0 };
            message(outgoing(b"xy", 0, 0), properties.as_wire(), &Envelope::default(), WHENCE, &destination)
        };
        let unchecked = Checks { types: false, ..Checks::default() };
        let keyed = made(&[("__SHARDINGKEY", "s")], MessageType::Normal, false, unchecked).expect("carried");
        assert_eq!((system(&keyed).message_type(), keyed.group()), (MessageType::Fifo, Some("s")));
        assert_eq!(made(&[], MessageType::Normal, true, unchecked).expect("carried").group(), Some("broker-a/3"));
        assert_eq!(made(&[], MessageType::Fifo, false, unchecked).expect("carried").group(), Some("broker-a/3"));
        let error = made(&[], MessageType::Normal, false, Checks { longest_body: 1, ..unchecked }).expect_err("too long");
        assert_eq!(error, "its body has 2 bytes, and exceeds the 1 that the proxy takes (maxMessageSize)");
    }

    /// *Scenario*: a property that is not UTF-8. *Guarantees*: the message is refused rather than changed.
    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let error = made_of(b"a\x01\xff\x02", &[], WHENCE).expect_err("refused");
        assert_eq!(error, "its property \"a\" is not UTF-8, and gRPC carries text only; remoting carries any bytes");
    }

    /// *Scenario*: properties of which RocketBridge's own are too many or too long, and a message that is too long by itself. *Guarantees*: ours go, the
    /// least needed first, and no more than needed; the user's stay, for the proxy to decide.
    #[test]
    fn what_is_added_never_makes_a_message_too_long() {
        let big = "x".repeat(limit::USER_PROPERTIES - 20);
        let ready = made(&[("a", &big), ("RB_ORIGIN", "oooo"), ("RB_REASON", "rrrrrrr")], &[]).expect("carried");
        assert_eq!((ready.left_out.as_slice(), ready.message.user_properties.len()), (&["RB_REASON"][..], 2));
        let ready = made(&[("a", &"x".repeat(limit::USER_PROPERTIES + 1)), ("RB_ORIGIN", "o")], &[]).expect("the proxy decides");
        assert_eq!((ready.left_out.as_slice(), ready.message.user_properties.len()), (&["RB_ORIGIN"][..], 1));
        let names: Vec<_> = (0..limit::USER_PROPERTY_COUNT).map(|number| number.to_string()).collect();
        let mut many: Vec<_> = names.iter().map(|name| (name.as_str(), "v")).collect();
        many.push(("RB_ORIGIN", "o"));
        assert_eq!(made(&many, &[]).expect("carried").left_out, ["RB_ORIGIN"]);
    }

    /// *Scenario*: bodies of each kind of compression. *Guarantees*: zlib travels as it is; what the protocol has no word for must be made plain.
    #[test]
    fn compressed_bodies_keep_their_bytes_where_that_can_be_said() {
        let compressed = system_flag::COMPRESSED;
        assert!(!must_be_plain(0) && !must_be_plain(compressed) && !must_be_plain(compressed | ZLIB));
        assert!(must_be_plain(compressed | 1 << 8) && must_be_plain(compressed | 2 << 8));
        let topic = v2::Resource::default();
        let destination = Destination { topic: &topic, types: Types::default(), checks: Checks::default(), orderly: false, now: 0 };
        let ready = message(outgoing(b"z", 7, compressed), b"", &Envelope::default(), WHENCE, &destination).expect("carried");
        assert_eq!((system(&ready).body_encoding(), ready.left_out.as_slice()), (Encoding::Gzip, &["flag"][..]));
        let plain = with_plain_body(outgoing(b"z", 0, compressed | 1 << 8), Bytes::from_static(b"plain"));
        assert_eq!((&plain.body[..], plain.system_flag), (&b"plain"[..], 0));
    }

    /// *Scenario*: a stream that asks for order, messages without a sharding key, topics of several types. *Guarantees*: the order of the queue is kept, or the
    /// message is refused.
    #[test]
    fn order_without_a_sharding_key_is_that_of_the_queue() {
        let topic = v2::Resource { resource_namespace: String::new(), name: "t".into() };
        let made = |types: &[MessageType]| {
            let destination =
                Destination { topic: &topic, types: types.iter().copied().collect(), checks: Checks::default(), orderly: true, now: 0 };
            message(outgoing(b"x", 0, 0), b"", &Envelope::default(), WHENCE, &destination)
        };
        assert_eq!(made(&[]).expect("carried").group(), Some("broker-a/3"));
        assert_eq!(made(&[MessageType::Fifo]).expect("carried").group(), Some("broker-a/3"));
        assert!(made(&[MessageType::Normal]).expect_err("refused").starts_with("delivery_order_type is Orderly, and topic t takes"));
    }

    /// *Scenario*: queues of brokers with short and long names, and a message without a place. *Guarantees*: a group that a proxy takes, the same for all
    /// messages of a queue, another for another queue.
    #[test]
    fn a_queue_is_a_message_group() {
        let long = "b".repeat(80);
        let of = |broker: &str, queue| queue_group(Whence::Stored { broker, queue, offset: 0 });
        assert_eq!(of("a", 1), "a/1");
        assert!(of(&long, 1).len() <= GROUP && of(&long, 1) == of(&long, 1) && of(&long, 1) != of(&long, 2));
        assert_eq!(queue_group(Whence::Message("id")), "id");
        assert!(!queue_group(Whence::Message("")).is_empty());
    }
}
