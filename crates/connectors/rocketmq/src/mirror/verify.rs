//! Whether the two ends of a mirror hold the same: pure comparison of what was read of both.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use rocketbridge_model::event::system_flag;
use rocketbridge_model::properties::pairs;
use rocketbridge_model::property::{self, Kind};
use rocketbridge_model::{Envelope, Event};

use crate::position::Position;
use crate::route::Queue;

/// What a comparison of one queue of the source with its home at the target found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueReport {
    /// The queue of the source.
    pub source: Queue,
    /// Its home at the target.
    pub target: Queue,
    /// The oldest offset of the source's queue, and one beyond the newest.
    pub source_offsets: Range<u64>,
    /// The same of the target's queue.
    pub target_offsets: Range<u64>,
    /// The offsets of the source that were compared. It begins where the target's messages of the source begin, unless a range was asked for.
    pub compared: Range<u64>,
    /// Messages that both ends hold.
    pub messages: u64,
    /// Of the messages that both ends hold, in order; equal contents have equal checksums in one version of RocketBridge.
    pub checksum: u64,
    /// Messages at the end of the range that the target does not hold yet.
    pub behind: u64,
    /// Messages of the source that are not mirrored because they came from the target.
    pub looped: u64,
    /// The first difference; what is behind it was not compared.
    pub difference: Option<Difference>,
}

/// The first difference between the ends of a mirror.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The target does not hold the message at this offset of the source, and holds later ones.
    Missing {
        /// The offset at the source.
        offset: u64,
    },
    /// The target holds a message again, or behind a later one.
    Repeated {
        /// The offset at the source.
        offset: u64,
        /// Where the target holds it again.
        at: u64,
    },
    /// The target's message is not the source's.
    Changed {
        /// The offset at the source.
        offset: u64,
        /// Where the target holds it.
        at: u64,
        /// What differs: `body`, `properties` or `flag`.
        what: &'static str,
    },
    /// The target holds a message that the source does not hold where it should stand.
    Unknown {
        /// The offset at the source.
        offset: u64,
        /// Where the target holds it.
        at: u64,
    },
}

/// What two equal messages have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Print {
    body: u64,
    properties: u64,
    flag: i32,
}

/// Compares messages as they are read: those of the source first, at least up to the offset of the target's next message.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    expected: VecDeque<(u64, Print)>,
    last: Option<u64>,
    pub(crate) messages: u64,
    pub(crate) looped: u64,
    checksum: u64,
    pub(crate) difference: Option<Difference>,
}

impl Print {
    /// Of a message at either end. What a copy does not keep, and what RocketBridge or a broker adds, does not count.
    pub(crate) fn of(event: &Event) -> Self {
        let Envelope { body, properties, flag, system_flag, .. } = &event.envelope;
        let kept = |name: &[u8]| matches!(property::kind(name), Kind::User | Kind::Message) && name != property::WAIT.as_bytes();
        // Brokers write properties in any order, and what is not UTF-8 as U+FFFD where a message went alone.
        let kept: BTreeMap<_, _> = pairs(properties.as_wire())
            .filter(|(name, _)| kept(name))
            .map(|(name, value)| (String::from_utf8_lossy(name), String::from_utf8_lossy(value)))
            .collect();
        Self { body: hash((body, system_flag & system_flag::ANY_COMPRESSION)), properties: hash(kept), flag: *flag }
    }
}

impl Comparison {
    /// The source holds this at an offset beyond all before.
    pub(crate) fn expect(&mut self, offset: u64, print: Print) {
        self.expected.push_back((offset, print));
    }

    /// The target holds this at an offset beyond all before.
    pub(crate) fn found(&mut self, at: u64, position: Position, print: Print) {
        if self.difference.is_some() {
            return;
        }
        let offset = position.offset;
        if self.last.is_some_and(|last| offset <= last) {
            self.difference = Some(Difference::Repeated { offset, at });
            return;
        }
        self.difference = match self.expected.front() {
            Some((missing, _)) if *missing < offset => Some(Difference::Missing { offset: *missing }),
            Some((expected, known)) if *expected == offset => changed(*known, print).map(|what| Difference::Changed { offset, at, what }),
            Some(_) | None => Some(Difference::Unknown { offset, at }),
        };
        if self.difference.is_none() {
            self.expected.pop_front();
            self.last = Some(offset);
            self.messages += 1;
            self.checksum = hash((self.checksum, offset, print));
        }
    }

    /// How many messages of the source wait for the target's.
    pub(crate) fn behind(&self) -> u64 {
        self.expected.len() as u64
    }

    pub(crate) fn checksum(&self) -> u64 {
        self.checksum
    }
}

fn changed(expected: Print, found: Print) -> Option<&'static str> {
    if expected.body != found.body {
        Some("body")
    } else if expected.properties != found.properties {
        Some("properties")
    } else if expected.flag != found.flag {
        Some("flag")
    } else {
        None
    }
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rocketbridge_model::Properties;

    use super::*;

    fn event(body: &str, pairs: &[(&str, &str)]) -> Event {
        let properties = Properties::from_pairs(pairs.iter().copied()).expect("no separators");
        let envelope = Envelope { body: Bytes::copy_from_slice(body.as_bytes()), properties, ..Envelope::default() };
        Event { offset: 0, envelope, attributes: None }
    }

    fn print(number: u64) -> Print {
        Print::of(&event(&number.to_string(), &[]))
    }

    fn at(offset: u64) -> Position {
        Position { offset, stored: 1 }
    }

    /// What the target holds, as offsets of a source that holds 0 to 9.
    fn compared(target: &[u64]) -> Comparison {
        let mut comparison = Comparison::default();
        (0..10).for_each(|offset| comparison.expect(offset, print(offset)));
        target.iter().zip(100..).for_each(|(offset, place)| comparison.found(place, at(*offset), print(*offset)));
        comparison
    }

    /// *Scenario*: equal ends, one behind, and each kind of difference. *Guarantees*: the first difference is named with its places, and nothing
    /// behind it counts; equal contents have equal checksums.
    #[test]
    fn the_first_difference_is_named() {
        let all: Vec<u64> = (0..10).collect();
        let equal = compared(&all);
        assert_eq!((equal.messages, equal.behind(), equal.difference), (10, 0, None));
        assert_eq!(equal.checksum(), compared(&all).checksum());
        assert_ne!(equal.checksum(), compared(&all[..9]).checksum());
        let late = compared(&all[..7]);
        assert_eq!((late.messages, late.behind(), late.difference), (7, 3, None));
        assert_eq!(compared(&[0, 1, 3, 5]).difference, Some(Difference::Missing { offset: 2 }));
        assert_eq!(compared(&[0, 1, 1, 2]).difference, Some(Difference::Repeated { offset: 1, at: 102 }));
        assert_eq!(compared(&[0, 1, 2, 1]).difference, Some(Difference::Repeated { offset: 1, at: 103 }));
        let mut beyond = compared(&all);
        beyond.found(110, at(77), print(77));
        assert_eq!(beyond.difference, Some(Difference::Unknown { offset: 77, at: 110 }));
        let mut changed = Comparison::default();
        changed.expect(0, print(0));
        changed.found(5, at(0), print(1));
        assert_eq!((changed.difference, changed.messages), (Some(Difference::Changed { offset: 0, at: 5, what: "body" }), 0));
    }

    /// *Scenario*: a message and its copy: properties in another order, with a broker's and RocketBridge's own, a delay that is over; and copies that lost a
    /// key, an empty property, a flag. *Guarantees*: the first is the same message, the others are told by what they lost.
    #[test]
    fn a_copy_has_the_print_of_its_original() {
        let original = event("x", &[("KEYS", "k 1"), ("a", ""), ("DELAY", "3"), ("WAIT", "true"), ("CLUSTER", "here")]);
        let copy = event(
            "x",
            &[("CLUSTER", "there"), ("a", ""), ("RB_POSITION", "p"), ("RB_ORIGIN", "o"), ("RB_TIMED", "DELAY=3"), ("KEYS", "k 1")],
        );
        assert_eq!(Print::of(&original), Print::of(&copy));
        let lost = |pairs: &[(&str, &str)]| changed(Print::of(&original), Print::of(&event("x", pairs)));
        assert_eq!((lost(&[("a", "")]), lost(&[("KEYS", "k 1")])), (Some("properties"), Some("properties")));
        let mut flagged = copy.clone();
        flagged.envelope.flag = 1;
        assert_eq!(changed(Print::of(&original), Print::of(&flagged)), Some("flag"));
        let mut packed = copy;
        packed.envelope.system_flag = system_flag::COMPRESSED;
        assert_eq!(changed(Print::of(&original), Print::of(&packed)), Some("body"));
    }
}
