//! The properties that say where a routed message first came from, how it was delayed there, and why a dead letter is one.

use rocketbridge_model::{Event, Origin, Properties, Whence, property};

use crate::decimal::decimal;
use crate::position::SourceQueue;
use crate::via::Guard;

/// Name of the property. Its value is `region/instance/topic/broker/queue/offset` of the message that was read first: a message that
/// is routed on keeps the value it has, so it neither grows nor forgets. Where the instance has no identity, its first name server stands in its place.
/// Where the source does not tell where a message is stored, broker and queue are empty, and the message's identity stands in the place of the offset.
pub const ORIGIN_PROPERTY: &str = property::ORIGIN;

/// Name of the property that says why a message is a dead letter: on one line, at most 1,000 bytes long. Messages that were delivered
/// do not have it.
pub const REASON_PROPERTY: &str = property::REASON;

/// Name of the property that says how the message was delayed where it was read first: `DELAY=4`, `TIMER_DELIVER_MS=1764300000000`. What can be read
/// is no longer due, so a routed message is never delayed again.
pub const TIMED_PROPERTY: &str = property::TIMED;

/// Longest reason, bytes.
pub(crate) const REASON_BYTES: usize = 1_000;

/// Where a message first came from, if it was routed by RocketBridge.
pub fn origin_of(properties: &Properties) -> Option<&str> {
    properties.get(ORIGIN_PROPERTY)
}

/// Where the messages of a partition come from.
#[derive(Clone, Debug)]
pub(crate) struct Provenance<'a> {
    origin: &'a Origin,
    /// `region/instance/topic/`
    topic: String,
    /// `broker/queue/`
    queue: String,
    /// The queue that the target mirrors; `None` unless it mirrors.
    pub(crate) mirrored: Option<&'a SourceQueue>,
    /// What looks for loops.
    pub(crate) guard: Option<&'a Guard>,
}

impl<'a> Provenance<'a> {
    pub(crate) fn of(origin: &'a Origin) -> Self {
        let instance = if origin.instance.as_str().is_empty() { &origin.name_server } else { origin.instance.as_str() };
        Self {
            origin,
            topic: format!("{}/{instance}/{}/", origin.region, origin.topic),
            queue: format!("{}/{}/", origin.broker, origin.queue),
            mirrored: None,
            guard: None,
        }
    }

    /// The same, of messages whose way through streams is looked at, and written down.
    pub(crate) fn guarded(self, guard: Option<&'a Guard>) -> Self {
        Self { guard, ..self }
    }

    /// The same, of messages that say where they stood in a queue that is mirrored.
    pub(crate) fn mirrored_from(self, queue: &'a SourceQueue) -> Self {
        Self { mirrored: Some(queue), ..self }
    }

    /// Calls `write` with the value for a message, in parts; empty if it cannot be told from others.
    pub(crate) fn of_event<T>(&self, event: &Event, write: impl FnOnce(&[&[u8]]) -> T) -> T {
        let (mut first, mut second) = ([0; 20], [0; 20]);
        let topic = self.topic.as_bytes();
        match event.whence(self.origin) {
            Whence::Message("") => write(&[]),
            Whence::Message(id) => write(&[topic, b"//", id.as_bytes()]),
            Whence::Stored { offset, .. } if event.envelope.place.is_none() => {
                write(&[topic, self.queue.as_bytes(), decimal(offset, &mut first)])
            }
            Whence::Stored { broker, queue, offset } => {
                let (queue, offset) = (decimal(u64::from(queue), &mut first), decimal(offset, &mut second));
                write(&[topic, broker.as_bytes(), b"/", queue, b"/", offset])
            }
        }
    }
}

/// A reason of at most `most` bytes as the value of its property: what separates properties cannot stand in it.
pub(crate) fn reason(text: &str, most: usize) -> String {
    let mut length = 0;
    let fits = |character: &char| {
        length += character.len_utf8();
        length <= most
    };
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).take_while(fits).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Arc, LazyLock};

    use rocketbridge_model::{Envelope, Place};

    use super::*;

    static ORIGIN: LazyLock<Origin> =
        LazyLock::new(|| Origin { region: "q".into(), instance: "i".into(), topic: "t".into(), broker: "b".into(), ..Origin::default() });

    /// Of messages that were read from `q/i/t/b/0`.
    pub(crate) static FROM: LazyLock<Provenance<'static>> = LazyLock::new(|| Provenance::of(&ORIGIN));

    #[test]
    fn a_reason_is_one_line_of_bounded_length() {
        assert_eq!(reason("a\u{1}b\u{2}c\nd", REASON_BYTES), "a b c d");
        assert_eq!(reason(&"é".repeat(600), REASON_BYTES), "é".repeat(500));
        assert_eq!(reason("é", 1), "");
    }

    /// *Scenario*: two clusters with equal names and no identity, one with an identity. *Guarantees*: their messages can be told apart.
    #[test]
    fn clusters_without_an_identity_are_told_apart() {
        let origin = |instance: &str, name_server: &str| Origin {
            region: "r".into(),
            instance: instance.into(),
            name_server: name_server.into(),
            topic: "t".into(),
            broker: "broker-a".into(),
            ..Origin::default()
        };
        let event = Event { offset: 7, envelope: Envelope::default(), attributes: None };
        assert_eq!(value(&origin("", "10.0.0.1:9876"), &event), "r/10.0.0.1:9876/t/broker-a/0/7");
        assert_eq!(value(&origin("", "10.0.0.2:9876"), &event), "r/10.0.0.2:9876/t/broker-a/0/7");
        assert_eq!(value(&origin("i", "10.0.0.2:9876"), &event), "r/i/t/broker-a/0/7");
    }

    fn value(origin: &Origin, event: &Event) -> String {
        Provenance::of(origin).of_event(event, |parts| String::from_utf8(parts.concat()).expect("UTF-8"))
    }

    /// *Scenario*: messages that a source handed out, which says where they are stored, or only what they are called, or neither. *Guarantees*: the value names the
    /// message and never the number that a router gave it.
    #[test]
    fn a_message_that_was_handed_out_is_told_by_its_place_or_its_identity() {
        let origin = Origin { region: "r".into(), instance: "i".into(), topic: "t".into(), queue: 3, ..Origin::default() };
        let properties = Properties::from_pairs([(property::UNIQUE_KEY, "7F00")]).expect("no separators");
        let mut event = Event { offset: 7, envelope: Envelope { properties, ..Envelope::default() }, attributes: None };
        assert_eq!(value(&origin, &event), "r/i/t///7F00");
        event.envelope.place = Some(Arc::new(Place { broker: "broker-a".into(), queue: 12, offset: 345 }));
        assert_eq!(value(&origin, &event), "r/i/t/broker-a/12/345");
        event.envelope = Envelope::default();
        assert_eq!(value(&origin, &event), "");
    }
}
