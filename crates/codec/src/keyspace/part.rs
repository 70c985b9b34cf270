//! How names become parts of keys, and how they are read back.
//!
//! A key is made of parts joined by `/`. A part is percent-encoded, so that it holds no `/`, and a prefix that ends in `/` covers exactly
//! the keys below it, whatever people call their streams.

use std::borrow::Cow;

/// Encodes a name as one part of a key: everything but letters, digits, `-`, `.`, `_` and `~` becomes `%XX`.
pub fn encode(name: &str) -> Cow<'_, str> {
    if name.bytes().all(is_plain) {
        return Cow::Borrowed(name);
    }
    let mut part = String::with_capacity(name.len() + 8);
    for byte in name.bytes() {
        if is_plain(byte) {
            part.push(char::from(byte));
        } else {
            part.push('%');
            part.push(char::from(DIGITS[usize::from(byte >> 4)]));
            part.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    Cow::Owned(part)
}

/// Reads back a part that [`encode`] made; `None` for anything else.
pub fn decode(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let byte = (digit(rest.next()?)? << 4) | digit(rest.next()?)?;
                // Two parts for one name would be two keys for one thing.
                Some(byte).filter(|byte| !is_plain(*byte))?
            }
            plain if is_plain(plain) => plain,
            _ => return None,
        });
    }
    String::from_utf8(bytes).ok()
}

const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn digit(byte: u8) -> Option<u8> {
    DIGITS.iter().position(|digit| *digit == byte).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// *Scenario*: any name. *Guarantees*: it comes back, and its part holds no separator.
        #[test]
        fn names_come_back(name in ".*") {
            let part = encode(&name);
            prop_assert!(!part.contains('/'));
            prop_assert_eq!(decode(&part), Some(name.clone()));
        }

        /// *Scenario*: any text taken for a part. *Guarantees*: decoding never panics, and what decodes encodes to the same part.
        #[test]
        fn no_two_parts_mean_one_name(part in "[a-z%/0-9A-F]{0,12}") {
            if let Some(name) = decode(&part) {
                prop_assert_eq!(encode(&name), part);
            }
        }
    }

    /// *Scenario*: names with separators. *Guarantees*: the encoding is the documented one.
    #[test]
    fn separators_are_encoded() {
        assert_eq!(encode("broker-a/3"), "broker-a%2F3");
        assert_eq!(encode("100%"), "100%25");
        assert_eq!(encode("订单"), "%E8%AE%A2%E5%8D%95");
        assert_eq!(decode("a/b"), None);
        assert_eq!(decode("%2"), None);
    }
}
