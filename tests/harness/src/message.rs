//! Messages that are determined by their number.

use bytes::{BufMut, Bytes, BytesMut};
use rocketbridge_connector_rocketmq::Message;

/// The tags of messages, chosen by number; the last means no tag.
pub const TAGS: [&str; 4] = ["paid", "open", "void", ""];

/// One in this many bodies is long.
const LONG: u64 = 8;
const LONG_LENGTH: u64 = 4096;
const SHORT_LENGTH: u64 = 256;

/// The message of a number: a function of the seed and the number alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// Its number.
    pub number: u64,
    /// Any bytes; 0 to 4 KiB.
    pub body: Bytes,
    /// Its tag; may be empty.
    pub tag: &'static str,
    /// Its user properties.
    pub properties: Vec<(String, String)>,
}

impl Numbered {
    /// The message of a number.
    pub fn new(seed: u64, number: u64) -> Self {
        let mut random = Random(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let limit = if random.next().is_multiple_of(LONG) { LONG_LENGTH } else { SHORT_LENGTH };
        let length = usize::try_from(random.next() % (limit + 1)).expect("at most 4 KiB");
        let mut body = BytesMut::with_capacity(length + 8);
        while body.len() < length {
            body.put_u64(random.next());
        }
        body.truncate(length);
        let mut properties = vec![("order".to_owned(), format!("{:016x}", random.next()))];
        if number.is_multiple_of(3) {
            properties.push(("Überschrift 标题".to_owned(), format!("größer = {number} \"€\" {{}}")));
        }
        if number.is_multiple_of(5) {
            // Java brokers drop a property with an empty value, so no value is empty.
            properties.push(("blank".to_owned(), " ".to_owned()));
        }
        Self { number, body: body.freeze(), tag: Self::tag_of(number), properties }
    }

    /// The tag of a number.
    pub fn tag_of(number: u64) -> &'static str {
        // The number itself is not used, because it decides the queue.
        let mixed = Random(number).next() % TAGS.len() as u64;
        TAGS[usize::try_from(mixed).expect("a few tags")]
    }

    /// Its keys.
    pub fn keys(number: u64) -> String {
        format!("n-{number} k-{}", number % 97)
    }

    /// The number in keys.
    pub fn number_of(keys: &str) -> Option<u64> {
        let number = keys.strip_prefix("n-")?.split(' ').next()?.parse().ok()?;
        (Self::keys(number) == keys).then_some(number)
    }

    /// The message in the form in which it is sent.
    pub fn message(self, queue: usize) -> Message {
        Message {
            keys: Self::keys(self.number),
            body: self.body,
            tags: self.tag.to_owned(),
            properties: self.properties,
            queue: Some(queue),
            ..Message::default()
        }
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn messages_follow_from_their_number_and_have_every_byte_every_tag_and_empty_bodies() {
        let messages: Vec<_> = (0..4000).map(|number| Numbered::new(7, number)).collect();
        assert_eq!(messages[17], Numbered::new(7, 17));
        assert_ne!(messages[17].body, Numbered::new(8, 17).body);
        let bytes: HashSet<u8> = messages.iter().flat_map(|message| message.body.iter().copied()).collect();
        assert_eq!(bytes.len(), 256);
        assert!(messages.iter().any(|message| message.body.is_empty()));
        assert!(messages.iter().any(|message| message.body.len() > 4000));
        assert_eq!(messages.iter().map(|message| message.tag).collect::<HashSet<_>>().len(), TAGS.len());
        assert_eq!(Numbered::number_of(&Numbered::keys(41)), Some(41));
        assert_eq!(Numbered::number_of("n-41"), None);
    }
}
