//! From deliveries to the bodies of send requests. Pure: no network, no clock.
//!
//! Guarantees: every delivery ends up in exactly one part or is refused; within a queue the parts hold the deliveries in order; what a broker
//! could lose of a batch goes alone. Body and properties are copied once, from the event into the part.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use rocketbridge_connector::{Code, Error};
use rocketbridge_model::properties::{NAME_VALUE_SEPARATOR, PROPERTY_SEPARATOR, pairs};
use rocketbridge_model::property;
use rocketbridge_model::session::Delivery;

use crate::born::Born;
use crate::limit;
use crate::outgoing::{self, Making, Outgoing};
use crate::placement::key_queue;
use crate::position::Position;

/// Bytes of a message in a batch before its body.
const BEFORE_BODY: usize = 4 * 5;
/// Bytes of `RB_BORN` with a value of 13 digits, which is what times have until the year 2286.
const BORN_PROPERTY: usize = property::BORN.len() + 2 + 13;

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
    /// A message that must not be in a batch.
    Single(Single),
}

/// Messages in RocketMQ's batch form.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) body: Bytes,
    /// How the bodies of its messages are compressed: a batch has one flag for all.
    pub(crate) system_flag: i32,
    /// When its first message was born: a batch says one time for all.
    pub(crate) born: Born,
    pub(crate) messages: Vec<Batched>,
}

/// A message of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batched {
    /// Index of its delivery.
    pub(crate) index: usize,
    /// Where it ends in the batch's body.
    pub(crate) end: usize,
}

/// A message that is sent alone.
#[derive(Debug)]
pub(crate) struct Single {
    pub(crate) index: usize,
    pub(crate) body: Bytes,
    /// In RocketMQ's form.
    pub(crate) properties: Bytes,
    pub(crate) flag: i32,
    pub(crate) system_flag: i32,
    pub(crate) born: Born,
    /// Whether its properties are not UTF-8, and a batch of this one message may carry them: the header of a request is text.
    pub(crate) is_binary: bool,
}

/// Deliveries as parts, and those that no broker would take.
#[derive(Debug, Default)]
pub(crate) struct SendPlan {
    /// In the order of their first deliveries; per queue in order.
    pub(crate) parts: Vec<Part>,
    pub(crate) refused: Vec<(usize, Error)>,
    /// Deliveries that have been at the target before on their way through streams.
    pub(crate) looped: Vec<usize>,
    /// Deliveries that the target has already.
    pub(crate) known: Vec<usize>,
    /// Deliveries whose position at the source did not fit.
    pub(crate) unmarked: Vec<usize>,
    /// How many of RocketBridge's own properties did not fit.
    pub(crate) left_out: usize,
}

/// How deliveries are placed and put together.
pub(crate) struct Placement<'a> {
    /// The queue of the lane, and of messages without a sharding key.
    pub(crate) queue: usize,
    /// The queues of messages without a sharding key, by delivery, where the lane does not decide; else empty.
    pub(crate) own: &'a [usize],
    /// Number of queues, at least one.
    pub(crate) queues: usize,
    /// Whether a sharding key decides.
    pub(crate) orderly: bool,
    /// Where the messages come from, and what is added to them.
    pub(crate) making: Making<'a>,
    /// Up to where the target has the messages of this lane already, in a mirror.
    pub(crate) last: Option<Position>,
    /// What the target takes.
    pub(crate) taste: Taste,
    /// What is attempted, for errors.
    pub(crate) attempt: &'a str,
}

/// What a target takes in batches, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taste {
    /// Longest batch; 0 for none at all.
    pub(crate) batch: usize,
    /// Whether messages with a sharding key may be in one: a proxy that checks the types of topics takes a batch for messages without.
    pub(crate) keyed: bool,
}

impl Taste {
    /// What brokers take by default. A retry topic takes no batches (`SendMessageProcessor`).
    pub(crate) fn of(wire_topic: &str) -> Self {
        let retry = wire_topic.contains("%RETRY%");
        Self { batch: if retry { 0 } else { limit::BATCH }, keyed: true }
    }
}

/// Batches that still take messages, by queue.
struct Open {
    batches: Vec<Option<(BytesMut, Batch)>>,
}

/// Encodes deliveries.
pub(crate) fn plan(deliveries: &[Delivery], placement: &Placement<'_>) -> SendPlan {
    let mut plan = SendPlan::default();
    let mut open = Open { batches: Vec::new() };
    open.batches.resize_with(placement.queues.max(1), || None);
    let mut properties = Vec::with_capacity(1024);
    for (index, delivery) in deliveries.iter().enumerate() {
        if placement.last.is_some_and(|last| last.covers(Position::of(&delivery.event))) {
            plan.known.push(index);
            continue;
        }
        if placement.making.is_loop(delivery) {
            plan.looped.push(index);
            continue;
        }
        let made = Outgoing::of(delivery, placement.making, &mut properties);
        let mut message = match made.and_then(|message| carried(message, &properties)) {
            Ok(message) => message,
            Err(reason) => {
                let attempt = format!("{} the event at offset {}", placement.attempt, delivery.event.offset);
                plan.refused.push((index, Error::new(Code::Rejected, attempt, reason)));
                continue;
            }
        };
        if message.left_out.contains(&property::POSITION) {
            plan.unmarked.push(index);
        }
        let key = if placement.orderly && message.keyed { outgoing::sharding_key(&properties) } else { None };
        let queue =
            key.map_or_else(|| placement.own.get(index).copied().unwrap_or(placement.queue), |key| key_queue(key, placement.queues));
        let taste = placement.taste;
        let length = message.batched_length(&properties);
        let alone = message.goes_alone(&properties) || length > taste.batch || message.keyed && !taste.keyed;
        // Brokers take a message without a body in a batch only.
        if alone && !message.body.is_empty() {
            open.close(&mut plan, queue);
            plan.left_out += message.left_out.len();
            plan.parts.push(Part { queue, content: Content::Single(message.single(index, &properties)) });
            continue;
        }
        if !open.takes(queue, &message, length + BORN_PROPERTY, taste.batch) {
            open.close(&mut plan, queue);
        }
        let (body, batch) = open.batches[queue].get_or_insert_with(|| {
            let batch = Batch { system_flag: message.system_flag, born: message.born, ..Batch::default() };
            (BytesMut::with_capacity(room(&deliveries[index..])), batch)
        });
        message.add_born(batch.born, &mut properties);
        plan.left_out += message.left_out.len();
        let length = message.batched_length(&properties);
        message.batched(&properties, length, body);
        batch.messages.push(Batched { index, end: body.len() });
    }
    for queue in 0..open.batches.len() {
        open.close(&mut plan, queue);
    }
    plan
}

/// Refuses what has no form: without a body it must go in a batch, where it must not go.
fn carried(message: Outgoing, properties: &[u8]) -> Result<Outgoing, String> {
    if message.timed && (message.body.is_empty() || !outgoing::fits_a_batch(properties)) {
        let most = limit::PROPERTIES - limit::BROKER_ADDS;
        return Err(format!("brokers delay only messages that have a body and at most {most} bytes of properties"));
    }
    if message.body.is_empty() && !outgoing::fits_a_batch(properties) {
        let most = limit::PROPERTIES - limit::BROKER_ADDS;
        return Err(format!("its body is empty and its properties are {} bytes long; without a body {most} are safe", properties.len()));
    }
    Ok(message)
}

/// Whether properties are not the text that the header of a request holds.
fn is_binary(properties: &[u8]) -> bool {
    std::str::from_utf8(properties).is_err()
}

/// Room for a batch of deliveries.
fn room(deliveries: &[Delivery]) -> usize {
    let mut room = 0;
    for delivery in deliveries {
        room += delivery.size() + 128;
        if room > limit::BATCH {
            return limit::BATCH;
        }
    }
    room
}

impl Open {
    /// Whether the open batch of a queue, if any, takes one more message.
    fn takes(&self, queue: usize, message: &Outgoing, length: usize, most: usize) -> bool {
        self.batches[queue].as_ref().is_none_or(|(body, batch)| body.len() + length <= most && batch.system_flag == message.system_flag)
    }

    fn close(&mut self, plan: &mut SendPlan, queue: usize) {
        if let Some((body, mut batch)) = self.batches[queue].take() {
            batch.body = body.freeze();
            plan.parts.push(Part { queue, content: Content::Batch(batch) });
        }
    }
}

impl Outgoing {
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

    fn single(self, index: usize, properties: &[u8]) -> Single {
        let (flag, system_flag, born) = (self.flag, self.system_flag, self.born);
        let is_binary = !self.timed && !self.singular && outgoing::fits_a_batch(properties) && is_binary(properties);
        Single { index, body: self.body, properties: Bytes::copy_from_slice(properties), flag, system_flag, born, is_binary }
    }
}

impl Batch {
    /// Its messages, each to be sent alone. Nothing is copied.
    pub(crate) fn singles(&self) -> impl Iterator<Item = Single> + '_ {
        let mut start = 0;
        self.messages.iter().map(move |message| {
            let encoded = self.body.slice(start..message.end);
            start = message.end;
            let number = |at: usize| u32::from_be_bytes([encoded[at], encoded[at + 1], encoded[at + 2], encoded[at + 3]]);
            let properties = BEFORE_BODY + number(16) as usize + 2;
            Single {
                index: message.index,
                flag: number(12) as i32,
                system_flag: self.system_flag,
                born: self.born,
                body: encoded.slice(BEFORE_BODY..properties - 2),
                is_binary: is_binary(&encoded[properties..]),
                properties: encoded.slice(properties..),
            }
        })
    }

    /// Whether a message in it has a sharding key.
    pub(crate) fn has_sharding_key(&self) -> bool {
        self.singles().any(|single| outgoing::sharding_key(&single.properties).is_some())
    }
}

impl Single {
    /// A batch of this one message.
    pub(crate) fn as_batch(&self) -> Batch {
        let length = BEFORE_BODY + 2 + self.body.len() + self.properties.len();
        let mut body = BytesMut::with_capacity(length);
        let message = Outgoing {
            body: self.body.clone(),
            flag: self.flag,
            system_flag: self.system_flag,
            timed: false,
            singular: false,
            keyed: false,
            born: self.born,
            left_out: Vec::new(),
        };
        message.batched(&self.properties, length, &mut body);
        let messages = vec![Batched { index: self.index, end: length }];
        Batch { body: body.freeze(), system_flag: self.system_flag, born: self.born, messages }
    }

    /// The properties as text, which is what the header of a request holds. Bytes that are not UTF-8 become U+FFFD, as in every Java client
    /// that reads the message. `WAIT` is left out: `WAIT=false` would have the broker answer before the message is as durable as the broker
    /// makes messages.
    pub(crate) fn properties_text(&self) -> String {
        let wait = |name: &[u8]| name == property::WAIT.as_bytes();
        if !pairs(&self.properties).any(|(name, _)| wait(name)) {
            return String::from_utf8_lossy(&self.properties).into_owned();
        }
        let mut text = String::with_capacity(self.properties.len());
        for (name, value) in pairs(&self.properties).filter(|(name, _)| !wait(name)) {
            for (part, end) in [(name, NAME_VALUE_SEPARATOR), (value, PROPERTY_SEPARATOR)] {
                let part: Cow<'_, str> = String::from_utf8_lossy(part);
                text.push_str(&part);
                text.push(char::from(end));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use rocketbridge_model::event::system_flag;
    use rocketbridge_model::{Envelope, Event, Properties};

    use super::*;
    use crate::provenance;

    const TASTE: Taste = Taste { batch: limit::BATCH, keyed: true };
    fn placement() -> Placement<'static> {
        let making = Making::Routed(&provenance::tests::FROM);
        Placement { queue: 1, own: &[], queues: 4, orderly: false, making, last: None, taste: TASTE, attempt: "send" }
    }

    fn delivery(offset: u64, body: &[u8], pairs: &[(&str, &str)]) -> Delivery {
        let properties = Properties::from_pairs(pairs.iter().copied()).expect("no separators");
        let envelope = Envelope { body: body.to_vec().into(), properties, flag: 3, ..Envelope::default() };
        Delivery { receipt: offset, event: Event { offset, envelope, attributes: None }, parameters: Vec::new(), rejected: None }
    }

    /// Indices of each part, and whether it is a batch.
    fn order(plan: &SendPlan) -> Vec<(bool, Vec<usize>)> {
        let of = |part: &Part| match &part.content {
            Content::Batch(batch) => (true, batch.messages.iter().map(|message| message.index).collect()),
            Content::Single(single) => (false, vec![single.index]),
        };
        plan.parts.iter().map(of).collect()
    }

    /// *Scenario*: messages near the limit of properties, of a light queue, and too long for a batch, among others. *Guarantees*: these go
    /// alone, in order; the others in batches.
    #[test]
    fn what_a_batch_would_lose_goes_alone_and_in_order() {
        let deliveries = [
            delivery(0, b"", &[]),
            delivery(1, b"x", &[("big", &"x".repeat(32_690))]),
            delivery(2, b"x", &[]),
            delivery(3, b"", &[("DELAY", "3")]),
            delivery(4, b"x", &[("INNER_MULTI_DISPATCH", "%LMQ%a")]),
            delivery(5, &vec![0; 4 * 1024 * 1024], &[]),
            delivery(6, b"x", &[("__SHARDINGKEY", "s")]),
        ];
        let made = plan(&deliveries, &placement());
        let expected = [(true, vec![0]), (false, vec![1]), (true, vec![2, 3]), (false, vec![4]), (false, vec![5]), (true, vec![6])];
        assert_eq!(order(&made), expected);
        assert_eq!((made.refused.len(), made.left_out), (0, 1));
        let picky = Placement { taste: Taste { keyed: false, ..TASTE }, ..placement() };
        assert_eq!(order(&plan(&deliveries[5..], &picky)), [(false, vec![0]), (false, vec![1])]);
        let none = Placement { taste: Taste::of("%RETRY%group"), ..placement() };
        assert_eq!(order(&plan(&deliveries[2..4], &none)), [(false, vec![0]), (true, vec![1])]);
    }

    /// *Scenario*: bodies compressed in two ways and not at all. *Guarantees*: batches of one kind each, in order, with the kind's flag.
    #[test]
    fn compressed_bodies_travel_in_batches_of_their_kind() {
        let flags = [0, 1, 1, 1 | 2 << 8, 0];
        let deliveries = (0..).zip(flags).map(|(offset, flag)| {
            let mut delivery = delivery(offset, b"z", &[]);
            // The transaction flag was the source's broker's.
            delivery.event.envelope.system_flag = flag | 8;
            delivery
        });
        let plan = plan(&deliveries.collect::<Vec<_>>(), &placement());
        assert_eq!(order(&plan), [(true, vec![0]), (true, vec![1, 2]), (true, vec![3]), (true, vec![4])]);
        let flags: Vec<_> = plan
            .parts
            .iter()
            .map(|part| match &part.content {
                Content::Batch(batch) => batch.system_flag,
                Content::Single(single) => single.system_flag,
            })
            .collect();
        assert_eq!(flags, [0, system_flag::COMPRESSED, system_flag::COMPRESSED | 2 << 8, 0]);
    }

    /// *Scenario*: an empty body with properties near the limit, a delayed message near it, among others. *Guarantees*: refused one by one, the
    /// others are sent.
    #[test]
    fn what_has_no_form_is_refused_alone() {
        let big = "x".repeat(32_000);
        let deliveries = [delivery(0, b"", &[]), delivery(1, b"", &[("big", &big)]), delivery(2, b"", &[])];
        let made = plan(&deliveries, &placement());
        assert_eq!((order(&made), made.refused[0].0, made.refused[0].1.code()), (vec![(true, vec![0, 2])], 1, Code::Rejected));
        let produced = Placement { making: Making::Produced, ..placement() };
        let deliveries = [delivery(0, b"x", &[("DELAY", "1"), ("big", &big)]), delivery(1, b"x", &[("DELAY", "1"), ("WAIT", "false")])];
        let made = plan(&deliveries, &produced);
        assert_eq!((order(&made), made.refused.len()), (vec![(false, vec![1])], 1));
        let Content::Single(single) = &made.parts[0].content else { panic!("alone") };
        assert_eq!((single.properties_text().as_str(), single.flag), ("DELAY\u{1}1\u{2}", 3));
    }

    /// *Scenario*: a batch is taken apart, and one of its messages made a batch again. *Guarantees*: the same bodies, properties, flags; bytes
    /// that are not UTF-8 stay in a batch and are replaced in a header.
    #[test]
    fn a_batch_falls_apart_into_its_messages() {
        let mut deliveries = [delivery(0, b"one", &[("a", "x")]), delivery(1, b"", &[]), delivery(2, b"three", &[("__SHARDINGKEY", "s")])];
        deliveries[0].event.envelope.properties = Properties::from_wire(Bytes::from_static(b"a\x01\xff\x02WAIT\x01false\x02"));
        let plan = plan(&deliveries, &placement());
        let [Part { queue: 1, content: Content::Batch(batch) }] = &plan.parts[..] else { panic!("one batch") };
        let singles: Vec<_> = batch.singles().collect();
        assert_eq!(singles.iter().map(|single| (single.index, single.flag)).collect::<Vec<_>>(), [(0, 3), (1, 3), (2, 3)]);
        assert_eq!(singles.iter().map(|single| &single.body[..]).collect::<Vec<_>>(), [&b"one"[..], b"", b"three"]);
        assert_eq!(singles[0].properties, &b"a\x01\xff\x02WAIT\x01false\x02RB_ORIGIN\x01q/i/t/b/0/0\x02"[..]);
        assert_eq!(singles[0].properties_text(), "a\u{1}\u{fffd}\u{2}RB_ORIGIN\u{1}q/i/t/b/0/0\u{2}");
        assert!(batch.has_sharding_key() && !singles[0].as_batch().has_sharding_key());
        assert_eq!(singles[0].as_batch().body, batch.body.slice(..batch.messages[0].end));
    }

    /// *Scenario*: messages born at the same time and at others, one that goes alone, one that was routed before. *Guarantees*: a batch has the time of its first
    /// message, who was born at another time says so, and nobody says it twice.
    #[test]
    fn messages_of_a_batch_say_when_they_were_born() {
        let born = |offset: u64, born: i64, pairs: &[(&str, &str)]| {
            let mut delivery = delivery(offset, b"x", pairs);
            delivery.event.envelope.born_timestamp = born;
            delivery
        };
        let deliveries = [
            born(0, 1_000, &[]),
            born(1, 1_000, &[]),
            born(2, 2_000, &[]),
            born(3, 3_000, &[("INNER_MULTI_DISPATCH", "%LMQ%a")]),
            born(4, 4_000, &[("RB_BORN", "1500")]),
            born(5, 4_000, &[]),
        ];
        let plan = plan(&deliveries, &placement());
        let said = |single: &Single| {
            (single.index, single.born.or(7), Properties::from_wire(single.properties.clone()).get("RB_BORN").map(str::to_owned))
        };
        let said: Vec<_> = plan
            .parts
            .iter()
            .flat_map(|part| match &part.content {
                Content::Batch(batch) => batch.singles().map(|single| said(&single)).collect(),
                Content::Single(single) => vec![said(single)],
            })
            .collect();
        let text = |text: &str| Some(text.to_owned());
        let expected = [
            (0, 1_000, None),
            (1, 1_000, None),
            (2, 1_000, text("2000")),
            (3, 3_000, None),
            (4, 1_500, text("1500")),
            (5, 1_500, text("4000")),
        ];
        assert_eq!(said, expected);
    }

    /// *Scenario*: properties that are not UTF-8, with a body too long for other batches, for a light queue, near the limit, and delayed. *Guarantees*: only the first
    /// may be carried as they are by a batch of one message.
    #[test]
    fn bytes_that_are_not_text_ask_for_a_batch_of_one() {
        let long = vec![0; limit::BATCH];
        let odd = |body: &[u8], pairs: &[(&str, &str)]| {
            let mut odd = delivery(0, body, pairs);
            let wire = [&b"a\x01\xff\x02"[..], odd.event.envelope.properties.as_wire()].concat();
            odd.event.envelope.properties = Properties::from_wire(wire.into());
            odd
        };
        let deliveries = [
            odd(&long, &[]),
            odd(b"x", &[("INNER_MULTI_DISPATCH", "%LMQ%a")]),
            odd(b"x", &[("big", &"x".repeat(32_690))]),
            delivery(0, &long, &[]),
        ];
        let plan = plan(&deliveries, &placement());
        let binary = |part: &Part| matches!(&part.content, Content::Single(single) if single.is_binary);
        assert_eq!(plan.parts.iter().map(binary).collect::<Vec<_>>(), [true, false, false, false]);
    }

    /// *Scenario*: an orderly target; keys and a message without. *Guarantees*: one queue per key, as Java's hash chooses; else the lane's.
    #[test]
    fn sharding_keys_choose_the_queue() {
        let keys = ["a", "b", "a", "polygenelubricants"];
        let mut deliveries: Vec<_> = (0..).zip(keys).map(|(offset, key)| delivery(offset, b"", &[("__SHARDINGKEY", key)])).collect();
        deliveries.push(delivery(4, b"", &[]));
        let plan = plan(&deliveries, &Placement { orderly: true, ..placement() });
        let mut queues = [9; 5];
        for part in &plan.parts {
            let Content::Batch(batch) = &part.content else { panic!("batches") };
            batch.messages.iter().for_each(|message| queues[message.index] = part.queue);
        }
        assert_eq!(queues, [1, 2, 1, 0, 1]);
    }

    /// *Scenario*: a mirror's messages, one of which has properties near their limit, and one that the target has. *Guarantees*: the first says where it stood; the
    /// second goes without, and is told; the last is not sent.
    #[test]
    fn a_message_without_room_goes_without_its_position() {
        let queue = crate::position::tests::queue_of("t", "b", 3);
        let from = provenance::tests::FROM.clone().mirrored_from(&queue);
        let deliveries = [delivery(0, b"x", &[]), delivery(1, b"x", &[("a", "b")]), delivery(2, b"x", &[("big", &"x".repeat(32_690))])];
        let last = Some(Position { offset: 0, stored: 0 });
        let plan = plan(&deliveries, &Placement { making: Making::Routed(&from), last, ..placement() });
        assert_eq!((plan.known.as_slice(), plan.unmarked.as_slice(), plan.looped.len()), (&[0][..], &[2][..], 0));
        assert_eq!(order(&plan), [(true, vec![1]), (false, vec![2])]);
        let Content::Batch(batch) = &plan.parts[0].content else { panic!("a batch") };
        let single = batch.singles().next().expect("one");
        let position = queue.position_of(&Properties::from_wire(single.properties));
        assert_eq!(position, Some(Position { offset: 1, stored: 0 }));
    }

    /// *Scenario*: more than a batch, for targets of ordinary and of small batches. *Guarantees*: batches of at most that length, in order.
    #[test]
    fn batches_are_bounded() {
        let deliveries: Vec<_> = (0..30).map(|offset| delivery(offset, &vec![7; 100_000], &[])).collect();
        for (most, parts) in [(limit::BATCH, 3), (250_000, 15), (50_000, 30)] {
            let plan = plan(&deliveries, &Placement { taste: Taste { batch: most, keyed: true }, ..placement() });
            assert_eq!(plan.parts.len(), parts);
            let indices: Vec<_> = order(&plan).into_iter().flat_map(|(_, indices)| indices).collect();
            assert_eq!(indices, (0..30).collect::<Vec<_>>());
        }
    }
}
