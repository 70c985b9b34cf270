//! Keys that occur twice in one object of a JSON text.

use std::collections::HashMap;

use super::{Malformed, Reader};

/// A key that occurs twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EqualKeys {
    /// The JSON path of the member, such as `$.data.topic`.
    pub path: String,
    /// Offset of the key's opening quote where it stands first.
    pub first: usize,
    /// The same where it stands again.
    pub second: usize,
}

/// The keys of a JSON text that occur twice in one object, in the order in which they stand again.
///
/// # Errors
/// The text is malformed.
pub fn equal_keys(text: &str) -> Result<Vec<EqualKeys>, Malformed> {
    let mut search = Search { reader: Reader::new(text), path: "$".to_owned(), found: Vec::new() };
    search.value(0)?;
    search.reader.end()?;
    Ok(search.found)
}

struct Search<'t> {
    reader: Reader<'t>,
    path: String,
    found: Vec<EqualKeys>,
}

impl Search<'_> {
    fn value(&mut self, depth: u32) -> Result<(), Malformed> {
        match self.reader.peek() {
            Some(b'{') => {
                self.reader.open(depth)?;
                if self.reader.take(b'}') { Ok(()) } else { self.members(depth) }
            }
            Some(b'[') => {
                self.reader.open(depth)?;
                if self.reader.take(b']') { Ok(()) } else { self.elements(depth) }
            }
            _ => self.reader.skip(depth),
        }
    }

    fn members(&mut self, depth: u32) -> Result<(), Malformed> {
        let mut places = HashMap::new();
        let end = self.path.len();
        loop {
            self.reader.peek();
            let second = self.reader.position();
            let key = self.reader.string()?.decode();
            self.path.push('.');
            self.path.push_str(&key);
            match places.get(&key) {
                Some(&first) => self.found.push(EqualKeys { path: self.path.clone(), first, second }),
                None => drop(places.insert(key, second)),
            }
            self.reader.expect(b':', "expected a colon")?;
            self.value(depth + 1)?;
            self.path.truncate(end);
            if !self.reader.next_member()? {
                return Ok(());
            }
        }
    }

    fn elements(&mut self, depth: u32) -> Result<(), Malformed> {
        let end = self.path.len();
        for place in 0_usize.. {
            self.path.push_str(&format!("[{place}]"));
            self.value(depth + 1)?;
            self.path.truncate(end);
            if !self.reader.next_element()? {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: keys that occur twice at the top, in elements, and written with an escape; the same key in different objects. *Guarantees*: each of the
    /// first with its path and both places, none of the last.
    #[test]
    fn each_key_that_stands_twice_is_found_with_both_places() {
        let found = |text: &str| {
            let keys = equal_keys(text).expect("well formed");
            keys.into_iter().map(|keys| format!("{} {} {}", keys.path, keys.first, keys.second)).collect::<Vec<_>>()
        };
        assert_eq!(found(r#"{"a":1,"a":2,"a":3}"#), ["$.a 1 7", "$.a 1 13"]);
        assert_eq!(found(r#"{"a":{"b":[{},{"c":1, "\u0063":2}]}}"#), ["$.a.b[1].c 15 22"]);
        assert!(found(r#"{"a":{"a":1},"b":{"a":{"a":[]}}}"#).is_empty());
        assert!(equal_keys(r#"{"a":1,"a":}"#).is_err());
    }
}
