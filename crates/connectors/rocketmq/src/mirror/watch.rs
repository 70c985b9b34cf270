//! The first message of a kind from an offset on, in a queue that grows: what was looked through once is not read again.

use std::ops::Range;

/// Looks for the first message of a kind. The kind is that of the caller, always the same for one watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Watch {
    /// Offsets that hold none of the kind.
    clean: Range<u64>,
    /// What stands at the end of `clean`, if that is one of the kind.
    found: Option<u64>,
}

/// What a watch knows of the first message from an offset on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// What was noted of it.
    Found(u64),
    /// None before this offset; from there on nothing was looked through.
    NoneBefore(u64),
}

impl Watch {
    /// What is known from an offset on. An offset outside of what was looked through begins anew.
    pub(super) fn known(&mut self, from: u64) -> Known {
        if from < self.clean.start || from > self.clean.end {
            *self = Self { clean: from..from, found: None };
        }
        match self.found {
            Some(found) => Known::Found(found),
            None => Known::NoneBefore(self.clean.end),
        }
    }

    /// Up to where the watch has come: where what was found stands, if anything was.
    pub(super) fn end(&self) -> u64 {
        self.clean.end
    }

    /// Notes what was read from where the watch had come to up to `next`: for each message its offset, and what is to be known of it if it is of the kind.
    pub(super) fn note(&mut self, seen: impl IntoIterator<Item = (u64, Option<u64>)>, next: u64) {
        for (offset, kind) in seen {
            if kind.is_some() {
                self.clean.end = offset;
                self.found = kind;
                return;
            }
        }
        self.clean.end = self.clean.end.max(next);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// *Scenario*: a queue that grows, with messages of the kind here and there, asked from any offsets in any order, each look reading at most a few messages.
        /// *Guarantees*: always the first of the kind from that offset on; while the offsets only grow, nothing is read twice.
        #[test]
        fn the_first_from_an_offset_on_is_found(
            kinds in prop::collection::vec(prop::bool::weighted(0.2), 1..60),
            asked in prop::collection::vec((0_u64..60, 1_usize..60), 1..20),
            most in 1_usize..8,
            is_sorted in any::<bool>(),
        ) {
            let mut asked = asked;
            if is_sorted {
                asked.sort_unstable();
            }
            let (mut watch, mut reads, mut highest) = (Watch::default(), vec![0; kinds.len()], 0);
            for (from, stored) in asked {
                highest = highest.max(stored.min(kinds.len()));
                let queue = &kinds[..highest];
                let found = loop {
                    match watch.known(from) {
                        Known::Found(found) => break Some(found),
                        Known::NoneBefore(at) if at >= queue.len() as u64 => break None,
                        Known::NoneBefore(at) => {
                            let seen: Vec<_> = (at..queue.len() as u64).take(most).collect();
                            seen.iter().for_each(|offset| reads[*offset as usize] += 1);
                            let next = seen.last().map_or(at, |last| last + 1);
                            watch.note(seen.into_iter().map(|offset| (offset, queue[offset as usize].then_some(offset * 10))), next);
                        }
                    }
                };
                let expected = (from..queue.len() as u64).find(|offset| queue[*offset as usize]).map(|offset| offset * 10);
                prop_assert_eq!(found, expected);
            }
            // What stands in a batch behind the first of the kind is read again, once for each of the kind before it.
            prop_assert!(!is_sorted || reads.iter().all(|times| *times <= most), "{reads:?}");
        }
    }
}
