//! The properties that say where a routed message first came from, and why a dead letter is one.

use rocketbridge_model::{Origin, Properties};

/// Name of the property. Its value is `region/instance/topic/broker/queue/offset` of the message that was read first: a message that
/// is routed on keeps the value it has, so it neither grows nor forgets.
pub const ORIGIN_PROPERTY: &str = "RB_ORIGIN";

/// Name of the property that says why a message is a dead letter: on one line, at most [`REASON_BYTES`] long. Messages that were delivered
/// do not have it.
pub const REASON_PROPERTY: &str = "RB_REASON";

/// Longest reason, bytes.
pub(crate) const REASON_BYTES: usize = 1_000;

/// Where a message first came from, if it was routed by RocketBridge.
pub fn origin_of(properties: &Properties) -> Option<&str> {
    properties.get(ORIGIN_PROPERTY)
}

/// The part of the value that all messages of a partition share.
pub(crate) fn prefix(origin: &Origin) -> String {
    format!("{}/{}/{}/{}/{}/", origin.region, origin.instance, origin.topic, origin.broker, origin.queue)
}

/// A reason as the value of its property: what separates properties cannot stand in it.
pub(crate) fn reason(text: &str) -> String {
    let mut length = 0;
    let fits = |character: &char| {
        length += character.len_utf8();
        length <= REASON_BYTES
    };
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_of_bounded_length() {
        assert_eq!(reason("a\u{1}b\u{2}c\nd"), "a b c d");
        assert_eq!(reason(&"é".repeat(600)), "é".repeat(500));
    }
}
