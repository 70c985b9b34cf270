//! Orders that are made, not kept: the same seed and number make the same order anywhere.

use bytes::{BufMut, Bytes, BytesMut};
use sha2::{Digest, Sha256};

/// The pattern of the demo's stream: paid orders, which are about two of three.
pub const PATTERN: &str = r#"{"data":{"systemProperties":{"TAGS":["paid"]}}}"#;

/// Begins every body: bytes that are not UTF-8, so that nothing on the way can mistake a body for text.
const MAGIC: [u8; 4] = [0xff, 0x00, 0xc3, 0x28];
const SHORTEST: u64 = 64;
const LONGEST: u64 = 2_048;

/// One order, as a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Counts from 0.
    pub number: u64,
    /// RocketMQ key: `order-00000042`.
    pub key: String,
    /// RocketMQ tag: `paid`, `created` or `cancelled`.
    pub tag: &'static str,
    /// User properties.
    pub properties: [(&'static str, String); 2],
    /// 64 to 2,048 binary bytes that begin with the number.
    pub body: Bytes,
}

/// Orders one after the other.
#[derive(Clone, Debug)]
pub struct Orders {
    seed: u64,
    next: u64,
    count: u64,
}

impl Orders {
    /// The first `count` orders of a seed.
    pub fn new(seed: u64, count: u64) -> Self {
        Self { seed, next: 0, count }
    }
}

impl Iterator for Orders {
    type Item = Order;

    fn next(&mut self) -> Option<Order> {
        let number = self.next;
        (number < self.count).then(|| {
            self.next += 1;
            Order::new(self.seed, number)
        })
    }
}

impl Order {
    /// The order of this number.
    pub fn new(seed: u64, number: u64) -> Self {
        let mut random = Random(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let tag = match random.below(9) {
            0..6 => "paid",
            6..8 => "created",
            _ => "cancelled",
        };
        let city = ["qingdao", "jinan", "yantai", "weifang"][random.below(4) as usize];
        let cents = 100 + random.below(1_000_000);
        let length = SHORTEST + random.below(LONGEST - SHORTEST + 1);
        let mut body = BytesMut::with_capacity(length as usize + 8);
        body.put_slice(&MAGIC);
        body.put_u64(number);
        while (body.len() as u64) < length {
            body.put_u64(random.next());
        }
        body.truncate(length as usize);
        let properties = [("city", city.to_owned()), ("amount", format!("{}.{:02}", cents / 100, cents % 100))];
        Self { number, key: format!("order-{number:08}"), tag, properties, body: body.freeze() }
    }

    /// The number that a body says it has.
    pub fn number_in(body: &[u8]) -> Option<u64> {
        let number = body.strip_prefix(&MAGIC)?.first_chunk()?;
        Some(u64::from_be_bytes(*number))
    }

    /// Whether [`PATTERN`] matches it.
    pub fn is_wanted(&self) -> bool {
        self.tag == "paid"
    }

    /// Hash of the body.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.body).into()
    }
}

/// splitmix64: enough to make bodies that do not compress and to spread tags.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_the_same_every_time_and_differ_from_each_other() {
        let orders: Vec<Order> = Orders::new(7, 3_000).collect();
        assert_eq!(orders, Orders::new(7, 3_000).collect::<Vec<_>>());
        assert_ne!(orders[1].body, Order::new(8, 1).body);
        assert_ne!(orders[0].digest(), orders[1].digest());
        let wanted = orders.iter().filter(|order| order.is_wanted()).count();
        assert!((1_800..2_200).contains(&wanted), "{wanted} of 3000");
    }

    #[test]
    fn bodies_are_binary_and_name_their_order() {
        for order in Orders::new(7, 500) {
            assert!(std::str::from_utf8(&order.body).is_err());
            assert!((64..=2_048).contains(&order.body.len()));
            assert_eq!(Order::number_in(&order.body), Some(order.number));
        }
        assert_eq!(Order::number_in(b"other"), None);
    }
}
