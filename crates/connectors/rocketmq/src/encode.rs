//! From deliveries to the bodies of send requests. Pure: no network, no clock.
//!
//! Guarantees: every delivery ends up in exactly one part or is refused; within a queue the parts hold the deliveries in order. Body
//! and properties are copied once, from the event into the part.

use bytes::{BufMut, Bytes, BytesMut};
use rocketbridge_connector::{Code, Error};
use rocketbridge_model::properties::{NAME_VALUE_SEPARATOR, PROPERTY_SEPARATOR};
use rocketbridge_model::session::{Delivery, ParameterKey};

use crate::message::system_flag;
use crate::property::{self, Kind};
use crate::provenance::{self, ORIGIN_PROPERTY, REASON_PROPERTY};

/// A batch is closed when it would become longer. Brokers take 4 MiB.
pub(crate) const BATCH_BYTES: usize = 1024 * 1024;
/// Longest properties of a message: their length has 16 bits and a sign.
const PROPERTIES_BYTES: usize = i16::MAX as usize;
/// Longest body that is tried: a frame beyond 16 MiB makes a broker close the connection without a word.
const BODY_BYTES: usize = 15 * 1024 * 1024;

/// What is sent with one request.
#[derive(Debug)]
pub(crate) struct Part {
    /// Index of the queue it goes to.
    pub(crate) queue: usize,
    pub(crate) content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    /// Messages in RocketMQ's batch form.
    Batch(Batch),
    /// A message that a batch cannot carry.
    Single(Single),
}

/// Messages in RocketMQ's batch form.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) body: Bytes,
    /// Index of each delivery and where its message ends in `body`.
    pub(crate) messages: Vec<(usize, usize)>,
}

/// A delayed or timed message, or one whose body is still compressed.
#[derive(Debug)]
pub(crate) struct Single {
    pub(crate) index: usize,
    pub(crate) body: Bytes,
    pub(crate) properties: String,
    pub(crate) flag: i32,
    pub(crate) system_flag: i32,
}

/// Deliveries as parts, and those that no broker would take.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// In the order of their first deliveries; per queue in order.
    pub(crate) parts: Vec<Part>,
    pub(crate) refused: Vec<(usize, Error)>,
}

/// How deliveries are placed.
pub(crate) struct Placement<'a> {
    /// The queue of the lane, and of messages without a sharding key.
    pub(crate) queue: usize,
    /// Number of queues, at least one.
    pub(crate) queues: usize,
    /// Whether a sharding key decides.
    pub(crate) orderly: bool,
    /// The shared part of the provenance; `None` for messages that come from nowhere else.
    pub(crate) provenance: Option<&'a str>,
    /// What is attempted, for errors.
    pub(crate) attempt: &'a str,
}

/// A batch that still takes messages: its body so far, and what `Batch` notes of each message in it.
type OpenBatch = (BytesMut, Vec<(usize, usize)>);

/// Encodes deliveries.
pub(crate) fn plan(deliveries: &[Delivery], placement: &Placement<'_>) -> Plan {
    let mut plan = Plan::default();
    let mut open: Vec<Option<OpenBatch>> = Vec::new();
    open.resize_with(placement.queues.max(1), || None);
    let mut properties = Vec::with_capacity(1024);
    for (index, delivery) in deliveries.iter().enumerate() {
        let message = match Message::of(delivery, placement.provenance, &mut properties) {
            Ok(message) => message,
            Err(reason) => {
                let attempt = format!("{} the event at offset {}", placement.attempt, delivery.event.offset);
                plan.refused.push((index, Error::new(Code::Rejected, attempt, reason)));
                continue;
            }
        };
        let queue = match message.sharding_key(&properties) {
            Some(key) if placement.orderly => java_hash(key) as usize % placement.queues,
            _ => placement.queue,
        };
        if message.timed || message.system_flag & system_flag::COMPRESSED != 0 {
            close(&mut plan, queue, open[queue].take());
            let Some(single) = message.single(index, &properties) else {
                let attempt = format!("{} the event at offset {}", placement.attempt, delivery.event.offset);
                plan.refused.push((index, Error::new(Code::Rejected, attempt, "its properties are not UTF-8")));
                continue;
            };
            plan.parts.push(Part { queue, content: Content::Single(single) });
            continue;
        }
        let length = 4 * 5 + 2 + message.body.len() + properties.len();
        if open[queue].as_ref().is_some_and(|(body, _)| body.len() + length > BATCH_BYTES) {
            close(&mut plan, queue, open[queue].take());
        }
        let (body, messages) = open[queue].get_or_insert_with(|| (BytesMut::with_capacity(room(&deliveries[index..])), Vec::new()));
        message.batched(&properties, length, body);
        messages.push((index, body.len()));
    }
    for (queue, batch) in open.into_iter().enumerate() {
        close(&mut plan, queue, batch);
    }
    plan
}

/// Room for a batch of deliveries.
fn room(deliveries: &[Delivery]) -> usize {
    let mut room = 0;
    for delivery in deliveries {
        room += delivery.size() + 128;
        if room > BATCH_BYTES {
            return BATCH_BYTES;
        }
    }
    room
}

fn close(plan: &mut Plan, queue: usize, open: Option<OpenBatch>) {
    if let Some((body, messages)) = open {
        plan.parts.push(Part { queue, content: Content::Batch(Batch { body: body.freeze(), messages }) });
    }
}

/// A message about to be written; its properties are beside it.
struct Message {
    body: Bytes,
    flag: i32,
    system_flag: i32,
    timed: bool,
}

impl Message {
    /// Puts together what the event has and what the parameters replace. The reason of the error is for people.
    fn of(delivery: &Delivery, provenance: Option<&str>, properties: &mut Vec<u8>) -> Result<Self, String> {
        properties.clear();
        let envelope = &delivery.event.envelope;
        let mut message = Self { body: envelope.body.clone(), flag: envelope.flag, system_flag: envelope.system_flag, timed: false };
        let mut replaced = Replaced::default();
        for parameter in &delivery.parameters {
            match parameter.key {
                ParameterKey::Body => {
                    message.body = parameter.value.clone().unwrap_or_default();
                    message.system_flag &= !(system_flag::COMPRESSED | system_flag::COMPRESSION_KIND);
                }
                ParameterKey::Properties => replaced.user = Some(parameter.value.as_deref()),
                ParameterKey::Keys => replaced.keys = Some(parameter.value.as_deref()),
                ParameterKey::Tags => replaced.tags = Some(parameter.value.as_deref()),
                ParameterKey::ShardingKey => replaced.sharding_key = Some(parameter.value.as_deref()),
            }
        }
        message.timed = replaced.copy(envelope.properties.as_wire(), properties);
        replaced.write(properties)?;
        if let Some(provenance) = provenance
            && !has_origin(envelope.properties.as_wire())
        {
            let mut digits = [0; 20];
            pair(properties, ORIGIN_PROPERTY.as_bytes(), &[provenance.as_bytes(), decimal(delivery.event.offset, &mut digits)]);
        }
        if let Some(reason) = &delivery.rejected {
            let reason = provenance::reason(reason);
            // A dead letter that is too long with its reason is stored without it.
            if properties.len() + REASON_PROPERTY.len() + 2 + reason.len() <= PROPERTIES_BYTES {
                pair(properties, REASON_PROPERTY.as_bytes(), &[reason.as_bytes()]);
            }
        }
        if properties.len() > PROPERTIES_BYTES {
            return Err(format!("its properties are {} bytes long, RocketMQ carries {PROPERTIES_BYTES}", properties.len()));
        }
        if message.body.len() > BODY_BYTES {
            return Err(format!("its body is {} bytes long, no broker takes more than {BODY_BYTES}", message.body.len()));
        }
        Ok(message)
    }

    fn sharding_key<'a>(&self, properties: &'a [u8]) -> Option<&'a str> {
        let (_, value) = pairs(properties).filter(|(name, _)| *name == property::SHARDING_KEY.as_bytes()).last()?;
        std::str::from_utf8(value).ok()
    }

    /// `MessageDecoder.encodeMessage` of Apache RocketMQ.
    fn batched(&self, properties: &[u8], length: usize, batch: &mut BytesMut) {
        batch.reserve(length);
        batch.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        batch.put_u32(0); // Magic number and checksum: the broker fills them in.
        batch.put_u32(0);
        batch.put_i32(self.flag);
        batch.put_u32(u32::try_from(self.body.len()).unwrap_or(u32::MAX));
        batch.put_slice(&self.body);
        batch.put_u16(u16::try_from(properties.len()).unwrap_or(u16::MAX));
        batch.put_slice(properties);
    }

    fn single(self, index: usize, properties: &[u8]) -> Option<Single> {
        // `WAIT=false` would have the broker answer before the message is as durable as the broker makes messages.
        let mut kept = Vec::with_capacity(properties.len());
        for (name, value) in pairs(properties).filter(|(name, _)| *name != property::WAIT.as_bytes()) {
            pair(&mut kept, name, &[value]);
        }
        let properties = String::from_utf8(kept).ok()?;
        let system_flag = self.system_flag & (system_flag::COMPRESSED | system_flag::COMPRESSION_KIND);
        Some(Single { index, body: self.body, properties, flag: self.flag, system_flag })
    }
}

/// What parameters replace: `None` keeps the original's, `Some(None)` takes it away.
#[derive(Default)]
struct Replaced<'a> {
    user: Option<Option<&'a [u8]>>,
    keys: Option<Option<&'a [u8]>>,
    tags: Option<Option<&'a [u8]>>,
    sharding_key: Option<Option<&'a [u8]>>,
}

impl Replaced<'_> {
    /// Copies the original's properties that stay; answers whether they ask for a later delivery.
    fn copy(&self, original: &[u8], properties: &mut Vec<u8>) -> bool {
        let (mut timed, mut waited) = (false, false);
        for (name, value) in pairs(original) {
            let kind = property::kind(name);
            let stays = match kind {
                Kind::Broker => false,
                Kind::User => self.user.is_none(),
                Kind::Timed => {
                    timed |= name != property::DELAY.as_bytes() || !matches!(value, b"" | b"0");
                    true
                }
                Kind::System if name == property::KEYS.as_bytes() => self.keys.is_none(),
                Kind::System if name == property::TAGS.as_bytes() => self.tags.is_none(),
                Kind::System if name == property::SHARDING_KEY.as_bytes() => self.sharding_key.is_none(),
                Kind::System => {
                    waited |= name == property::TIMER_OUT.as_bytes();
                    true
                }
            };
            if stays {
                pair(properties, name, &[value]);
            }
        }
        timed && !waited
    }

    fn write(&self, properties: &mut Vec<u8>) -> Result<(), String> {
        let named = [(property::KEYS, self.keys), (property::TAGS, self.tags), (property::SHARDING_KEY, self.sharding_key)];
        for (name, value) in named {
            if let Some(Some(value)) = value {
                checked_pair(properties, name, value)?;
            }
        }
        let Some(Some(user)) = self.user else { return Ok(()) };
        let user: serde_json::Value = serde_json::from_slice(user).map_err(|error| format!("its user properties are not JSON: {error}"))?;
        let serde_json::Value::Object(user) = user else { return Err("its user properties are not a JSON object".to_owned()) };
        for (name, value) in user {
            if property::kind(name.as_bytes()) != Kind::User {
                return Err(format!("its user properties name {name}, which is RocketMQ's or RocketBridge's own"));
            }
            match value {
                serde_json::Value::Null => {}
                serde_json::Value::String(text) => checked_pair(properties, &name, text.as_bytes())?,
                other => checked_pair(properties, &name, other.to_string().as_bytes())?,
            }
        }
        Ok(())
    }
}

fn checked_pair(properties: &mut Vec<u8>, name: &str, value: &[u8]) -> Result<(), String> {
    let separator = |byte: &u8| matches!(*byte, NAME_VALUE_SEPARATOR | PROPERTY_SEPARATOR);
    if name.is_empty() || name.as_bytes().iter().any(separator) || value.iter().any(separator) {
        return Err(format!("its property {name:?} has an empty name or holds U+0001 or U+0002, which separate RocketMQ properties"));
    }
    if std::str::from_utf8(value).is_err() {
        return Err(format!("its property {name:?} is not UTF-8"));
    }
    pair(properties, name.as_bytes(), &[value]);
    Ok(())
}

fn pair(properties: &mut Vec<u8>, name: &[u8], value: &[&[u8]]) {
    properties.extend_from_slice(name);
    properties.push(NAME_VALUE_SEPARATOR);
    for part in value {
        properties.extend_from_slice(part);
    }
    properties.push(PROPERTY_SEPARATOR);
}

/// Names and values of properties in wire form; what has no name is passed over, as Java does.
fn pairs(wire: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    wire.split(|byte| *byte == PROPERTY_SEPARATOR).filter_map(|pair| {
        let middle = pair.iter().position(|byte| *byte == NAME_VALUE_SEPARATOR)?;
        Some((&pair[..middle], &pair[middle + 1..]))
    })
}

fn has_origin(wire: &[u8]) -> bool {
    pairs(wire).any(|(name, _)| name == ORIGIN_PROPERTY.as_bytes())
}

fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut position = digits.len();
    loop {
        position -= 1;
        digits[position] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[position..];
        }
    }
}

/// `String.hashCode` of Java without its sign, so that RocketMQ's own `SelectMessageQueueByHash` and this choose alike.
fn java_hash(text: &str) -> u32 {
    let hash = text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    hash.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use rocketbridge_model::session::Parameter;
    use rocketbridge_model::{Envelope, Event, Properties};

    use super::*;

    const PLACEMENT: Placement<'static> =
        Placement { queue: 1, queues: 4, orderly: false, provenance: Some("q/i/t/b/0/"), attempt: "send" };

    fn delivery(offset: u64, body: &[u8], pairs: &[(&str, &str)]) -> Delivery {
        let properties = Properties::from_pairs(pairs.iter().copied()).expect("no separators");
        let envelope = Envelope { body: body.to_vec().into(), properties, flag: 3, ..Envelope::default() };
        Delivery { receipt: offset, event: Event { offset, envelope, attributes: None }, parameters: Vec::new(), rejected: None }
    }

    fn with(mut delivery: Delivery, key: ParameterKey, value: Option<&str>) -> Delivery {
        delivery.parameters.push(Parameter { key, value: value.map(|value| Bytes::copy_from_slice(value.as_bytes())) });
        delivery
    }

    /// Bodies and properties of a batch, read back by the layout.
    fn read(batch: &Batch) -> Vec<(Bytes, Properties)> {
        let mut messages = Vec::new();
        let mut start = 0;
        for (_, end) in &batch.messages {
            let message = batch.body.slice(start..*end);
            assert_eq!(u32::from_be_bytes(message[..4].try_into().expect("four")) as usize, message.len());
            let body = u32::from_be_bytes(message[16..20].try_into().expect("four")) as usize;
            messages.push((message.slice(20..20 + body), Properties::from_wire(message.slice(22 + body..))));
            start = *end;
        }
        assert_eq!(start, batch.body.len());
        messages
    }

    fn one(delivery: Delivery) -> (Bytes, Vec<(String, String)>) {
        let plan = plan(&[delivery], &PLACEMENT);
        assert!(plan.refused.is_empty(), "{:?}", plan.refused);
        let [Part { content: Content::Batch(batch), .. }] = &plan.parts[..] else { panic!("one batch") };
        let (body, properties) = read(batch).remove(0);
        let properties = properties.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        (body, properties)
    }

    fn names(properties: &[(String, String)]) -> Vec<&str> {
        properties.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// *Scenario*: a message with every kind of property. *Guarantees*: its own are kept in order, the broker's go, the origin is added.
    #[test]
    fn properties_are_kept_and_the_origin_is_added() {
        let original =
            [("KEYS", "k"), ("CLUSTER", "c"), ("user", ""), ("UNIQ_KEY", "id"), ("TRAN_MSG", "true"), ("TAGS", "t"), ("WAIT", "false")];
        let (body, properties) = one(delivery(12, b"\x00\xff", &original));
        assert_eq!(body, &b"\x00\xff"[..]);
        assert_eq!(names(&properties), ["KEYS", "user", "UNIQ_KEY", "TAGS", "WAIT", "RB_ORIGIN"]);
        assert_eq!(properties.last(), Some(&("RB_ORIGIN".into(), "q/i/t/b/0/12".into())));
    }

    /// *Scenario*: a message that was routed before. *Guarantees*: the first origin stays alone.
    #[test]
    fn the_first_origin_stays() {
        let (_, properties) = one(delivery(12, b"", &[("RB_ORIGIN", "first")]));
        assert_eq!(properties, [("RB_ORIGIN".to_owned(), "first".to_owned())]);
    }

    /// *Scenario*: parameters for everything; a user property object with numbers, null and nested values. *Guarantees*: replaced; what is
    /// RocketMQ's own and not asked for stays.
    #[test]
    fn parameters_replace() {
        let mut delivery = delivery(1, b"old", &[("KEYS", "k"), ("TAGS", "t"), ("user", "u"), ("UNIQ_KEY", "id")]);
        delivery = with(delivery, ParameterKey::Body, Some("new"));
        delivery = with(delivery, ParameterKey::Keys, None);
        delivery = with(delivery, ParameterKey::Tags, Some("b"));
        delivery = with(delivery, ParameterKey::ShardingKey, Some("s"));
        delivery = with(delivery, ParameterKey::Properties, Some(r#"{"x":"y","n":1.50,"z":null,"o":{"a":[1]}}"#));
        let (body, properties) = one(delivery);
        assert_eq!(body, &b"new"[..]);
        let expected = [("UNIQ_KEY", "id"), ("TAGS", "b"), ("__SHARDINGKEY", "s"), ("x", "y"), ("n", "1.5"), ("o", r#"{"a":[1]}"#)];
        let found: Vec<_> = properties.iter().map(|(name, value)| (name.as_str(), value.as_str())).take(6).collect();
        assert_eq!(found, expected);
        let (body, _) = one(with(super::tests::delivery(1, b"old", &[]), ParameterKey::Body, None));
        assert!(body.is_empty());
    }

    /// *Scenario*: a dead letter, and one that has no room for its reason. *Guarantees*: the reason is a property of its own; without room the message
    /// is stored all the same.
    #[test]
    fn a_dead_letter_says_why() {
        let reason = Some("cannot apply .id + 1".to_owned());
        let (body, properties) = one(Delivery { rejected: reason.clone(), ..delivery(1, b"raw", &[("a", "x")]) });
        assert_eq!((&body[..], names(&properties).as_slice()), (&b"raw"[..], &["a", "RB_ORIGIN", "RB_REASON"][..]));
        assert_eq!(properties.last(), Some(&("RB_REASON".into(), "cannot apply .id + 1".into())));
        let (_, properties) = one(Delivery { rejected: reason, ..delivery(1, b"raw", &[("a", &"x".repeat(PROPERTIES_BYTES - 40))]) });
        assert_eq!(names(&properties), ["a", "RB_ORIGIN"]);
    }

    /// *Scenario*: parameters and messages that RocketMQ cannot carry. *Guarantees*: refused one by one, with a reason; the rest is sent.
    #[test]
    fn what_cannot_be_carried_is_refused_alone() {
        let deliveries = [
            delivery(0, b"", &[]),
            with(delivery(1, b"", &[]), ParameterKey::Properties, Some("[1]")),
            with(delivery(2, b"", &[]), ParameterKey::Properties, Some(r#"{"KEYS":"x"}"#)),
            with(delivery(3, b"", &[]), ParameterKey::Tags, Some("a\u{1}b")),
            with(delivery(4, b"", &[]), ParameterKey::Keys, Some(&"k".repeat(40_000))),
            delivery(5, &vec![0; BODY_BYTES + 1], &[]),
            delivery(6, b"", &[]),
        ];
        let plan = plan(&deliveries, &PLACEMENT);
        assert_eq!(plan.refused.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert!(plan.refused.iter().all(|(_, error)| error.code() == Code::Rejected));
        let [Part { queue: 1, content: Content::Batch(batch) }] = &plan.parts[..] else { panic!("one batch") };
        assert_eq!(batch.messages.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 6]);
    }

    /// *Scenario*: delayed messages among others, one timed message that has waited already, one still compressed. *Guarantees*: the
    /// delayed and compressed go alone and in order; what has waited is not delayed again.
    #[test]
    fn delayed_messages_go_alone_and_in_order() {
        let mut compressed = delivery(4, b"z", &[]);
        compressed.event.envelope.system_flag = system_flag::COMPRESSED | 2 << 8 | 8;
        let deliveries = [
            delivery(0, b"", &[]),
            delivery(1, b"late", &[("DELAY", "3"), ("WAIT", "false")]),
            delivery(2, b"", &[("TIMER_DELIVER_MS", "5"), ("TIMER_OUT_MS", "6")]),
            delivery(3, b"", &[("DELAY", "0")]),
            compressed,
        ];
        let plan = plan(&deliveries, &PLACEMENT);
        let order: Vec<_> = plan
            .parts
            .iter()
            .map(|part| match &part.content {
                Content::Batch(batch) => batch.messages.iter().map(|(index, _)| *index).collect(),
                Content::Single(single) => vec![single.index],
            })
            .collect();
        assert_eq!(order, [vec![0], vec![1], vec![2, 3], vec![4]]);
        let (Content::Single(late), Content::Single(compressed)) = (&plan.parts[1].content, &plan.parts[3].content) else {
            panic!("alone")
        };
        assert_eq!((late.properties.as_str(), late.flag), ("DELAY\u{1}3\u{2}RB_ORIGIN\u{1}q/i/t/b/0/1\u{2}", 3));
        assert_eq!(compressed.system_flag, system_flag::COMPRESSED | 2 << 8);
    }

    /// *Scenario*: an orderly target; keys and a message without. *Guarantees*: one queue per key, as Java's hash chooses; else the lane's.
    #[test]
    fn sharding_keys_choose_the_queue() {
        let keys = ["a", "b", "a", "polygenelubricants"];
        let mut deliveries: Vec<_> = (0..).zip(keys).map(|(offset, key)| delivery(offset, b"", &[("__SHARDINGKEY", key)])).collect();
        deliveries.push(delivery(4, b"", &[]));
        let plan = plan(&deliveries, &Placement { orderly: true, ..PLACEMENT });
        let mut queues = [9; 5];
        for part in &plan.parts {
            let Content::Batch(batch) = &part.content else { panic!("batches") };
            batch.messages.iter().for_each(|(index, _)| queues[*index] = part.queue);
        }
        // "a" is 97, "b" 98; "polygenelubricants" is the smallest i32.
        assert_eq!(queues, [1, 2, 1, 0, 1]);
    }

    /// *Scenario*: more than a batch. *Guarantees*: batches of at most 1 MiB in order; a message longer than that is a batch of its own.
    #[test]
    fn batches_are_bounded() {
        let mut deliveries: Vec<_> = (0..30).map(|offset| delivery(offset, &vec![7; 100_000], &[])).collect();
        deliveries.push(delivery(30, &vec![7; 2 * BATCH_BYTES], &[]));
        let plan = plan(&deliveries, &PLACEMENT);
        let mut indices = Vec::new();
        for part in &plan.parts {
            let Content::Batch(batch) = &part.content else { panic!("batches") };
            assert!(batch.body.len() <= BATCH_BYTES || batch.messages.len() == 1);
            indices.extend(batch.messages.iter().map(|(index, _)| *index));
        }
        assert_eq!(indices, (0..31).collect::<Vec<_>>());
        assert_eq!(plan.parts.len(), 4);
    }
}
