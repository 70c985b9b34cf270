//! When a message was born: the time that its producer gave it.
//!
//! A send request has one such time for all its messages (`bornTimestamp` of `SendMessageRequestHeader`). A batch has that of its first message; a
//! message of it that was born at another time says so itself, in `RB_BORN`. So batches are no shorter for it.

use rocketbridge_model::{Envelope, property};

/// Name of the property that says when the original of a routed message was born, in milliseconds since 1970, where the copy itself says another time.
pub const BORN_PROPERTY: &str = property::BORN;

/// When a message was born, and whether its properties say so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Born {
    /// Milliseconds since 1970; `None` if it is not known, or is now.
    at: Option<u64>,
    /// Whether no property is to be added.
    is_settled: bool,
}

/// When the original of a message was born, milliseconds since 1970: what `RB_BORN` says, else what the message says. 0 if it is not known.
pub fn born_of(envelope: &Envelope) -> i64 {
    let said = envelope.properties.get(property::BORN).and_then(|said| read(said.as_bytes()));
    said.and_then(|said| i64::try_from(said).ok()).unwrap_or(envelope.born_timestamp)
}

impl Born {
    /// Of a message whose `RB_BORN`, if it has one, is `said`; a property may be added unless it is to stay bare.
    pub(crate) fn of(envelope: &Envelope, said: Option<&[u8]>, is_bare: bool) -> Self {
        let at = said.and_then(read).or_else(|| u64::try_from(envelope.born_timestamp).ok().filter(|at| *at > 0));
        // What the first copy said stays.
        Self { at, is_settled: said.is_some() || at.is_none() || is_bare }
    }

    /// The time for a request of which this message is the first, or the only one.
    pub(crate) fn or(self, now: u64) -> u64 {
        self.at.unwrap_or(now)
    }

    /// The time, if a message that travels in this request must say it itself.
    pub(crate) fn unsaid_by(self, request: Self) -> Option<u64> {
        self.at.filter(|_| !self.is_settled && self.at != request.at)
    }
}

/// A positive number of milliseconds.
fn read(said: &[u8]) -> Option<u64> {
    std::str::from_utf8(said).ok()?.parse().ok().filter(|at| *at > 0)
}

#[cfg(test)]
mod tests {
    use rocketbridge_model::Properties;

    use super::*;

    fn envelope(born_timestamp: i64, said: Option<&str>) -> Envelope {
        let properties = Properties::from_pairs(said.map(|said| (property::BORN, said))).expect("no separators");
        Envelope { born_timestamp, properties, ..Envelope::default() }
    }

    /// *Scenario*: messages that say when they were born, that do not, that were routed before, and that say nonsense. *Guarantees*: what the first copy said counts;
    /// a property is added only where the request says another time and nothing was said before.
    #[test]
    fn a_time_is_said_where_the_request_says_another() {
        let born = |at, said: Option<&str>| Born::of(&envelope(at, said), said.map(str::as_bytes), false);
        let request = born(1_000, None);
        assert_eq!((request.or(7), born(0, None).or(7), born(-1, None).or(7)), (1_000, 7, 7));
        assert_eq!((born(1_000, None).unsaid_by(request), born(2_000, None).unsaid_by(request)), (None, Some(2_000)));
        assert_eq!((born(2_000, Some("500")).unsaid_by(request), born(2_000, Some("500")).or(7)), (None, 500));
        assert_eq!(born(0, None).unsaid_by(request), None);
        assert_eq!(born(2_000, None).unsaid_by(born(0, None)), Some(2_000));
        assert_eq!(Born::of(&envelope(2_000, None), None, true).unsaid_by(request), None);
        for (at, said, expected) in
            [(9, None, 9), (9, Some("5"), 5), (9, Some("x"), 9), (9, Some("-5"), 9), (9, Some("99999999999999999999"), 9)]
        {
            assert_eq!(born_of(&envelope(at, said)), expected, "{said:?}");
        }
    }
}
