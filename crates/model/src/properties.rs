//! RocketMQ message properties in RocketMQ's own wire form.
//!
//! The form is `name \x01 value \x02 name \x01 value \x02 …` (`MessageDecoder.messageProperties2String` of Apache RocketMQ).
//! Keeping it as it came makes a routed message lossless and costs no allocation per property. A last pair without its
//! closing `\x02` is accepted, as the Java client accepts it.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

/// Between a name and its value.
pub const NAME_VALUE_SEPARATOR: u8 = 1;
/// Behind a value.
pub const PROPERTY_SEPARATOR: u8 = 2;

/// The properties of one message; cheap to clone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(Bytes);

impl Properties {
    /// Takes properties that are in the wire form already.
    pub fn from_wire(wire: Bytes) -> Self {
        Self(wire)
    }

    /// The wire form.
    pub fn as_wire(&self) -> &Bytes {
        &self.0
    }

    /// The wire form, owned.
    pub fn into_wire(self) -> Bytes {
        self.0
    }

    /// Writes pairs in the wire form. A pair whose name or value has one of the two separators cannot be carried by
    /// RocketMQ and is answered as the error.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Unrepresentable> {
        let mut wire = BytesMut::new();
        for (name, value) in pairs {
            let separators = |text: &str| text.bytes().any(|byte| byte == NAME_VALUE_SEPARATOR || byte == PROPERTY_SEPARATOR);
            if name.is_empty() || separators(name) || separators(value) {
                return Err(Unrepresentable { name: name.to_owned() });
            }
            wire.reserve(name.len() + value.len() + 2);
            wire.put_slice(name.as_bytes());
            wire.put_u8(NAME_VALUE_SEPARATOR);
            wire.put_slice(value.as_bytes());
            wire.put_u8(PROPERTY_SEPARATOR);
        }
        Ok(Self(wire.freeze()))
    }

    /// Name and value of each property that is UTF-8, in order. [`pairs`] has them all.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        pairs(&self.0).filter_map(|(name, value)| Some((std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?)))
    }

    /// The value under a name; of several the last, as a Java map would keep it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().filter(|(candidate, _)| *candidate == name).map(|(_, value)| value).last()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Length of the wire form in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// Name and value of each property of a wire form, in order, as bytes. A part without [`NAME_VALUE_SEPARATOR`] is no property.
pub fn pairs(wire: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> + use<'_> {
    let mut rest = wire;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let end = memchr::memchr(PROPERTY_SEPARATOR, rest).unwrap_or(rest.len());
            let part = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            if let Some(middle) = memchr::memchr(NAME_VALUE_SEPARATOR, part) {
                return Some((&part[..middle], &part[middle + 1..]));
            }
        }
        None
    })
}

impl fmt::Debug for Properties {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.iter()).finish()
    }
}

/// A property that RocketMQ cannot carry: an empty name, or U+0001 or U+0002 in its name or value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("property {name:?} has an empty name or contains U+0001 or U+0002, which separate RocketMQ properties")]
pub struct Unrepresentable {
    /// The property's name.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_come_back_in_order_and_the_last_of_a_name_wins() {
        let properties = Properties::from_pairs([("KEYS", "a"), ("x", ""), ("KEYS", "b")]).expect("no separators");
        assert_eq!(properties.iter().collect::<Vec<_>>(), [("KEYS", "a"), ("x", ""), ("KEYS", "b")]);
        assert_eq!(properties.get("KEYS"), Some("b"));
        assert_eq!(properties.get("x"), Some(""));
        assert_eq!(properties.get("y"), None);
    }

    #[test]
    fn a_missing_last_separator_is_accepted() {
        let properties = Properties::from_wire(Bytes::from_static(b"a\x011\x02b\x012"));
        assert_eq!(properties.get("b"), Some("2"));
    }

    /// *Scenario*: parts that are no properties, empty names and values, bytes that are not UTF-8, a separator inside a value, no end mark.
    /// *Guarantees*: every property, and nothing else.
    #[test]
    fn wire_text_is_taken_apart() {
        let wire = b"KEYS\x01k 1\x02broken\x02empty\x01\x02\x02\x01x\x02bad\xff\x01v\xff\x02last\x01a\x01b";
        let expected: [(&[u8], &[u8]); 5] = [(b"KEYS", b"k 1"), (b"empty", b""), (b"", b"x"), (b"bad\xff", b"v\xff"), (b"last", b"a\x01b")];
        assert_eq!(pairs(wire).collect::<Vec<_>>(), expected);
        assert_eq!(pairs(b"").count(), 0);
        assert_eq!(Properties::from_wire(Bytes::from_static(wire)).iter().count(), 4);
    }

    #[test]
    fn separators_are_refused() {
        assert_eq!(Properties::from_pairs([("a", "x\u{2}y")]), Err(Unrepresentable { name: "a".into() }));
        assert!(Properties::from_pairs([("", "x")]).is_err());
    }
}
