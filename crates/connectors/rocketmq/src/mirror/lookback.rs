//! What of a source a queue of the target holds last: read backwards from its end.
//!
//! It reads through a closure and asks for chunks that double, so that the usual case, where the last message is the mirror's own, costs one read,
//! and messages of other producers in between cost what they are worth. How far it looks is bounded.

use futures::future::BoxFuture;

use crate::position::{Position, SourceQueue};

/// Most messages that are looked through.
pub(crate) const MOST: u64 = 65_536;
/// Messages of the first chunk: what brokers give at most for one pull unless they are set up otherwise.
const FIRST: u64 = 32;
/// Messages of a chunk at most.
const CHUNK: u64 = 4_096;

/// A mark that a message of the target carries: the queue that it came from, and where it stood there.
pub(crate) type Mark = Option<(SourceQueue, Position)>;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The last message of the source's queue stood here.
    Last(Position),
    /// There is none: the queue was looked through from its very first message.
    Nothing,
    /// None was found as far as was looked; there may be one before, or one may have been removed.
    Unknown,
    /// The queue holds messages of another queue of the same source.
    Foreign(SourceQueue),
}

/// Looks for the last message of `wanted` from `maximum` backwards, not before `minimum`. `read` gives the marks of the messages at an offset and
/// behind it, and where to go on.
pub(crate) async fn look_back<'r, E>(
    wanted: &SourceQueue,
    (minimum, maximum): (u64, u64),
    mut read: impl FnMut(u64) -> BoxFuture<'r, Result<(Vec<Mark>, u64), E>>,
) -> Result<Found, E> {
    let lowest = minimum.max(maximum.saturating_sub(MOST));
    let (mut end, mut chunk) = (maximum, FIRST);
    let mut foreign = None;
    while end > lowest {
        let start = end.saturating_sub(chunk).max(lowest);
        let mut last: Option<Position> = None;
        let mut offset = start;
        while offset < end {
            let (marks, next) = read(offset).await?;
            for (queue, position) in marks.into_iter().flatten() {
                if queue == *wanted {
                    // The latest, not the last one: somebody may have sent an old message again with all its properties.
                    last = Some(last.map_or(position, |last| last.later(position)));
                } else if queue.is_of_same_source(wanted) {
                    foreign = Some(queue);
                }
            }
            offset = next.max(offset + 1);
        }
        if let Some(last) = last {
            return Ok(Found::Last(last));
        }
        end = start;
        chunk = (chunk * 2).min(CHUNK);
    }
    Ok(match foreign {
        Some(queue) => Found::Foreign(queue),
        None if lowest == 0 => Found::Nothing,
        None => Found::Unknown,
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::FutureExt;
    use futures::executor::block_on;
    use futures::future::ready;
    use proptest::prelude::*;

    use super::*;
    use crate::position::tests::queue_of;

    /// A queue whose first message has an offset; it gives at most so many messages for one read.
    fn look(first: u64, marks: &[Mark], most: usize) -> (Found, usize) {
        let mut reads = 0;
        let read = |offset: u64| {
            reads += 1;
            let index = usize::try_from(offset - first).expect("small");
            let found: Vec<Mark> = marks[index..].iter().take(most).cloned().collect();
            let next = offset + found.len() as u64;
            ready(Ok::<_, Infallible>((found, next))).boxed()
        };
        let Ok(found) = block_on(look_back(&queue_of("t", "b", 0), (first, first + marks.len() as u64), read));
        (found, reads)
    }

    fn own(offset: u64) -> Mark {
        Some((queue_of("t", "b", 0), Position { offset, stored: 1_000 + offset as i64 }))
    }

    fn last(offset: u64) -> Found {
        Found::Last(Position { offset, stored: 1_000 + offset as i64 })
    }

    /// *Scenario*: a queue that only a mirror writes to. *Guarantees*: one read finds its last message, however long the queue is.
    #[test]
    fn the_last_message_is_found_at_once() {
        let marks: Vec<Mark> = (0..10_000).map(own).collect();
        assert_eq!(look(0, &marks, 32), (last(9_999), 1));
        assert_eq!(look(77, &marks[..1], 32), (last(0), 1));
    }

    /// *Scenario*: other producers' messages behind the mirror's last one; then more than are looked through. *Guarantees*: it is found; beyond the bound it is
    /// said that nobody knows.
    #[test]
    fn messages_of_others_in_between_are_passed_over_within_a_bound() {
        let with = |foreign: usize| {
            let mut marks: Vec<Mark> = (0..10).map(own).collect();
            marks.extend(std::iter::repeat_n(None, foreign));
            marks
        };
        assert_eq!(look(0, &with(1), 8).0, last(9));
        assert_eq!(look(0, &with(60_000), 500).0, last(9));
        assert_eq!(look(0, &with(70_000), 500).0, Found::Unknown);
    }

    /// *Scenario*: a queue without a message of the mirror, whole and with its first messages removed; an empty one. *Guarantees*: only for a whole queue
    /// is it certain that there never was one.
    #[test]
    fn nothing_is_certain_only_if_everything_was_seen() {
        let marks = vec![None; 100];
        assert_eq!(look(0, &marks, 32).0, Found::Nothing);
        assert_eq!(look(1, &marks, 32).0, Found::Unknown);
        assert_eq!(look(0, &[], 32).0, Found::Nothing);
        assert_eq!(look(9, &[], 32).0, Found::Unknown);
    }

    /// *Scenario*: a queue that belongs to another queue of the source, one of another source, and one that was another's before. *Guarantees*: only the
    /// first is foreign.
    #[test]
    fn the_home_of_another_queue_is_noticed() {
        let of = |topic: &str, queue: u32| Some((queue_of(topic, "b", queue), Position { offset: 1, stored: 1 }));
        assert_eq!(look(0, &[of("t", 1), None], 32).0, Found::Foreign(queue_of("t", "b", 1)));
        assert_eq!(look(0, &[of("u", 1), None], 32).0, Found::Nothing);
        assert_eq!(look(0, &[of("t", 1), own(5)], 32).0, last(5));
    }

    /// *Scenario*: an old message was sent again behind the last one, and a topic was made anew. *Guarantees*: the later of the two counts.
    #[test]
    fn the_latest_counts_and_not_the_highest() {
        assert_eq!(look(0, &[own(4), own(5), own(2)], 32).0, last(5));
        let anew = Some((queue_of("t", "b", 0), Position { offset: 0, stored: 9_000 }));
        assert_eq!(look(0, &[own(4), own(5), anew], 32).0, Found::Last(Position { offset: 0, stored: 9_000 }));
    }

    proptest! {
        /// *Scenario*: any mixture of the mirror's and others' messages, read in any steps. *Guarantees*: what is found is the mirror's last.
        #[test]
        fn any_mixture_is_looked_through(mine in prop::collection::vec(any::<bool>(), 0..400), first in 0_u64..3, most in 1_usize..50) {
            let marks: Vec<Mark> = mine.iter().zip(0..).map(|(mine, offset)| if *mine { own(offset) } else { None }).collect();
            let expected = match (mine.iter().rposition(|mine| *mine), first) {
                (Some(offset), _) => last(offset as u64),
                (None, 0) => Found::Nothing,
                (None, _) => Found::Unknown,
            };
            prop_assert_eq!(look(first, &marks, most).0, expected);
        }
    }
}
