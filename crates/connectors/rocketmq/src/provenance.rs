//! The properties that say where a routed message first came from, how it was delayed there, and why a dead letter is one.

use rocketbridge_model::{Origin, Properties, property};

/// Name of the property. Its value is `region/instance/topic/broker/queue/offset` of the message that was read first: a message that
/// is routed on keeps the value it has, so it neither grows nor forgets. Where the instance has no identity, its first name server stands in its place.
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

/// The part of the value that all messages of a partition share.
pub(crate) fn prefix(origin: &Origin) -> String {
    let instance = if origin.instance.as_str().is_empty() { &origin.name_server } else { origin.instance.as_str() };
    format!("{}/{instance}/{}/{}/{}/", origin.region, origin.topic, origin.broker, origin.queue)
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
mod tests {
    use super::*;

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
        assert_eq!(prefix(&origin("", "10.0.0.1:9876")), "r/10.0.0.1:9876/t/broker-a/0/");
        assert_eq!(prefix(&origin("", "10.0.0.2:9876")), "r/10.0.0.2:9876/t/broker-a/0/");
        assert_eq!(prefix(&origin("i", "10.0.0.2:9876")), "r/i/t/broker-a/0/");
    }
}
