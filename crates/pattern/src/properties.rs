//! RocketMQ message properties as patterns read them, from RocketMQ's own wire form.

use std::borrow::Cow;

use rocketbridge_model::properties::pairs;

/// Properties as they came over the wire. Nothing is decoded until it is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Properties<'a> {
    wire: &'a [u8],
}

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
        pairs(self.wire)
    }
}

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
}
