//! RocketMQ message properties in RocketMQ's own wire encoding: `name \x01 value \x02 name \x01 value \x02 …`.

use std::borrow::Cow;

/// Properties as they came over the wire. Nothing is decoded until it is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Properties<'a> {
    wire: &'a [u8],
}

const NAME_END: u8 = 1;
const PROPERTY_END: u8 = 2;

impl<'a> Properties<'a> {
    /// The properties of this wire text. A part without a value separator is no property.
    #[must_use]
    pub fn new(wire: &'a [u8]) -> Self {
        Self { wire }
    }

    /// The bytes given to [`Properties::new`].
    #[must_use]
    pub fn wire(&self) -> &'a [u8] {
        self.wire
    }

    /// Every property, in wire order. Bytes that are not UTF-8 are shown as U+FFFD.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + use<'a> {
        self.iter_bytes().map(|(name, value)| (String::from_utf8_lossy(name), String::from_utf8_lossy(value)))
    }

    /// The value of the property `name`; the last, as in RocketMQ's map, if it is there twice.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        self.iter_bytes().filter(|(known, _)| *known == name.as_bytes()).last().map(|(_, value)| String::from_utf8_lossy(value))
    }

    /// Every property, in wire order, as bytes.
    pub(crate) fn iter_bytes(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut rest = self.wire;
        std::iter::from_fn(move || {
            while !rest.is_empty() {
                let end = memchr::memchr(PROPERTY_END, rest).unwrap_or(rest.len());
                let property = &rest[..end];
                rest = rest.get(end + 1..).unwrap_or_default();
                if let Some(separator) = memchr::memchr(NAME_END, property) {
                    return Some((&property[..separator], &property[separator + 1..]));
                }
            }
            None
        })
    }
}

/// Whether RocketMQ reserves this property name for itself: `MessageConst.STRING_HASH_SET` of RocketMQ 5.x, and beside it
/// `__SHARDINGKEY` and `__STARTDELIVERTIME`, which clients set on a user's behalf.
#[must_use]
pub fn is_system(name: &str) -> bool {
    // Names that users choose mostly start with a small letter, which none of these does.
    let first = name.as_bytes().first().copied().unwrap_or_default();
    (first.is_ascii_uppercase() || first == b'_' || first == b'1') && SYSTEM.binary_search(&name).is_ok()
}

/// Sorted by byte value.
static SYSTEM: [&str; 65] = [
    "1ST_POP_TIME",
    "ARRIVE_TIME",
    "BORN_TIMESTAMP",
    "BUYER_ID",
    "CLUSTER",
    "CONSUME_START_TIME",
    "CORRECTION_FLAG",
    "CORRELATION_ID",
    "DELAY",
    "DLQ_ORIGIN_MESSAGE_ID",
    "DLQ_ORIGIN_TOPIC",
    "DUP_INFO",
    "EXTEND_UNIQ_INFO",
    "E_T",
    "INNER_MULTI_QUEUE_OFFSET",
    "INSTANCE_ID",
    "KEYS",
    "MAX_OFFSET",
    "MAX_RECONSUME_TIMES",
    "MIN_OFFSET",
    "MQ2_FLAG",
    "MSG_REGION",
    "MSG_TYPE",
    "ORIGIN_GROUP",
    "ORIGIN_MESSAGE_ID",
    "PGROUP",
    "POP_CK",
    "POP_CK_OFFSET",
    "PUSH_REPLY_TIME",
    "REAL_QID",
    "REAL_TOPIC",
    "RECONSUME_TIME",
    "REPLY_TO_CLIENT",
    "RETRY_TOPIC",
    "TAGS",
    "TIMER_DELAY_LEVEL",
    "TIMER_DELAY_MS",
    "TIMER_DELAY_SEC",
    "TIMER_DELIVERY_TOKEN",
    "TIMER_DELIVER_MS",
    "TIMER_DEL_UNIQKEY",
    "TIMER_DEQUEUE_MS",
    "TIMER_ENQUEUE_MS",
    "TIMER_FORMAT_VERSION",
    "TIMER_GENERATION",
    "TIMER_ID",
    "TIMER_LANE",
    "TIMER_ORIGINAL_DELIVER_MS",
    "TIMER_OUT_MS",
    "TIMER_OWNER_EPOCH",
    "TIMER_POLICY_FINGERPRINT",
    "TIMER_ROLL_TIMES",
    "TRACE_ON",
    "TRANSFER_FLAG",
    "TRAN_MSG",
    "TRAN_PREPARED_QUEUE_OFFSET",
    "TTL",
    "UNIQ_KEY",
    "WAIT",
    "_SYS_MSG_PRIORITY_",
    "__BORNHOST",
    "__CRC32#",
    "__LITE_TOPIC",
    "__SHARDINGKEY",
    "__STARTDELIVERTIME",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: wire texts with an end mark, without one, with empty values and with parts that are no properties. *Guarantees*: every
    /// property, and nothing else; of equal names the last.
    #[test]
    fn wire_text_is_taken_apart() {
        let properties = Properties::new(b"KEYS\x01k 1\x02broken\x02empty\x01\x02\x02KEYS\x01k2\x02bad\xff\x01v\xff\x02last\x01a\x01b");
        let all: Vec<(String, String)> = properties.iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        let expected = [("KEYS", "k 1"), ("empty", ""), ("KEYS", "k2"), ("bad\u{fffd}", "v\u{fffd}"), ("last", "a\u{1}b")];
        assert_eq!(all, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(properties.get("KEYS").as_deref(), Some("k2"));
        assert_eq!(properties.get("none"), None);
        assert_eq!(Properties::default().iter().count(), 0);
    }

    /// *Scenario*: RocketMQ's names and others. *Guarantees*: the list is sorted, and found in whole.
    #[test]
    fn system_names_are_known() {
        assert!(SYSTEM.is_sorted());
        assert!(SYSTEM.iter().all(|name| is_system(name)));
        assert!(["", "keys", "Keys", "KEY", "x", "_"].iter().all(|name| !is_system(name)));
    }
}
