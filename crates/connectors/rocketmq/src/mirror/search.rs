//! From an offset of the source's queue to the one of the mirror's queue, and back: by the positions that mirrored messages carry.
//!
//! Pure search over a closure that reads. Messages of other producers, and offsets without a message, are passed over. A consumer that goes on where these
//! functions say misses nothing: where there is a choice, the lower offset is taken.

use futures::future::BoxFuture;

use super::lookback::Mark;
use crate::position::{Position, SourceQueue};

/// Most messages that one search reads.
const MOST: u64 = 1 << 20;

/// The messages that a read brought, each with its offset at the target, and where to go on.
pub(crate) type Seen = (Vec<(u64, Mark)>, u64);

/// Where a consumer of the other end goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Translation {
    /// The offset.
    pub offset: u64,
    /// Whether every message before the offset that was translated is at the other end too. `false` while the mirror is behind: the consumer
    /// then goes on where the mirror is.
    pub is_complete: bool,
}

/// Why an offset was not translated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Untranslated<E> {
    /// Too many messages of other producers stand between those of the mirror.
    TooFar,
    /// A read failed.
    Read(E),
}

/// Reads through positions.
pub(crate) struct Search<'s, F> {
    /// The queue of the source.
    pub(crate) source: &'s SourceQueue,
    /// When the source's broker stored its oldest message: what was stored before belongs to what the source has removed, or to a topic that
    /// stood there before under the same name.
    pub(crate) since: i64,
    /// Reads some messages of the mirror's queue from an offset on.
    pub(crate) read: F,
    /// How many messages it may still read.
    pub(crate) budget: u64,
}

impl<'s, F> Search<'s, F> {
    /// A search for positions of a queue of the source.
    pub(crate) fn new(source: &'s SourceQueue, since: i64, read: F) -> Self {
        Self { source, since, read, budget: MOST }
    }

    /// Where a consumer goes on at the target that has read everything before `offset` at the source. `bounds` are the offsets that the target's
    /// queue holds.
    pub(crate) async fn at_target<'r, E>(&mut self, offset: u64, bounds: (u64, u64)) -> Result<Translation, Untranslated<E>>
    where
        F: FnMut(u64) -> BoxFuture<'r, Result<Seen, E>>,
    {
        let since = self.since;
        let is_read = |position: Position| position.stored < since || position.offset < offset;
        // Everything of the mirror's below `low` has been read; nothing of the mirror's from `high` on has.
        let (mut low, mut high, mut last) = (bounds.0, bounds.1, None);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.first(middle, high).await? {
                Some((at, position)) if is_read(position) => {
                    last = Some(position);
                    low = at + 1;
                }
                Some((at, _)) if at > middle && middle > low => high = middle,
                Some(_) | None => high = middle,
            }
        }
        let is_next_there = self.first(low, bounds.1).await?.is_some();
        // Without a message behind it, the last one before says whether the mirror is as far as the consumer.
        let reaches = last.is_some_and(|last| last.stored >= since && last.offset + 1 >= offset);
        Ok(Translation { offset: low, is_complete: is_next_there || reaches })
    }

    /// Where a consumer goes on at the source that has read everything before `offset` at the target; `None` if the target holds nothing of the source.
    pub(crate) async fn at_source<'r, E>(&mut self, offset: u64, bounds: (u64, u64)) -> Result<Option<Translation>, Untranslated<E>>
    where
        F: FnMut(u64) -> BoxFuture<'r, Result<Seen, E>>,
    {
        let offset = offset.clamp(bounds.0, bounds.1);
        if let Some((_, next)) = self.first(offset, bounds.1).await? {
            return Ok(Some(Translation { offset: next.offset, is_complete: true }));
        }
        // Nothing of the source is left to read at the target: the consumer goes on behind the last one.
        let mut end = offset;
        let mut chunk = 32;
        while end > bounds.0 {
            let start = end.saturating_sub(chunk).max(bounds.0);
            if let Some(last) = self.last(start, end).await? {
                return Ok(Some(Translation { offset: last.offset + 1, is_complete: true }));
            }
            (end, chunk) = (start, chunk * 2);
        }
        Ok(None)
    }

    /// The first message of the source from an offset on, below an end, and its offset at the target.
    async fn first<'r, E>(&mut self, mut offset: u64, end: u64) -> Result<Option<(u64, Position)>, Untranslated<E>>
    where
        F: FnMut(u64) -> BoxFuture<'r, Result<Seen, E>>,
    {
        while offset < end {
            for (at, mark) in self.read(&mut offset).await? {
                match mark {
                    Some((queue, position)) if queue == *self.source && at < end => return Ok(Some((at, position))),
                    _ => {}
                }
            }
        }
        Ok(None)
    }

    /// The last message of the source between two offsets of the target.
    async fn last<'r, E>(&mut self, mut offset: u64, end: u64) -> Result<Option<Position>, Untranslated<E>>
    where
        F: FnMut(u64) -> BoxFuture<'r, Result<Seen, E>>,
    {
        let mut last: Option<Position> = None;
        while offset < end {
            for (at, mark) in self.read(&mut offset).await? {
                if let Some((queue, position)) = mark
                    && queue == *self.source
                    && at < end
                {
                    last = Some(last.map_or(position, |last| last.later(position)));
                }
            }
        }
        Ok(last)
    }

    async fn read<'r, E>(&mut self, offset: &mut u64) -> Result<Vec<(u64, Mark)>, Untranslated<E>>
    where
        F: FnMut(u64) -> BoxFuture<'r, Result<Seen, E>>,
    {
        let (seen, next) = (self.read)(*offset).await.map_err(Untranslated::Read)?;
        *offset = next.max(*offset + 1);
        self.budget = self.budget.checked_sub(seen.len().max(1) as u64).ok_or(Untranslated::TooFar)?;
        Ok(seen)
    }
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

    fn source() -> SourceQueue {
        queue_of("t", "b", 0)
    }

    /// A queue of the target: what stands at each offset, `None` where nothing does; each read brings at most so many messages.
    fn reader<'q>(queue: &'q [Option<Mark>], most: usize) -> impl FnMut(u64) -> BoxFuture<'static, Result<Seen, Infallible>> + 'q {
        move |offset| {
            let there = queue.iter().zip(0_u64..).skip(offset as usize).filter_map(|(mark, at)| Some((at, mark.clone()?)));
            let seen: Vec<_> = there.take(most).collect();
            let next = seen.last().map_or(queue.len() as u64, |(at, _)| at + 1);
            ready(Ok((seen, next))).boxed()
        }
    }

    fn of(queue: SourceQueue, offset: u64, stored: i64) -> Option<Mark> {
        Some(Some((queue, Position { offset, stored })))
    }

    fn own(offset: u64) -> Option<Mark> {
        of(source(), offset, 1_000 + offset as i64)
    }

    fn at_target(queue: &[Option<Mark>], most: usize, since: i64, offset: u64) -> Translation {
        let source = source();
        let mut search = Search::new(&source, since, reader(queue, most));
        block_on(search.at_target(offset, (0, queue.len() as u64))).expect("within the budget")
    }

    fn at_source(queue: &[Option<Mark>], most: usize, offset: u64) -> Option<Translation> {
        let source = source();
        let mut search = Search::new(&source, 0, reader(queue, most));
        block_on(search.at_source(offset, (0, queue.len() as u64))).expect("within the budget")
    }

    fn complete(offset: u64) -> Translation {
        Translation { offset, is_complete: true }
    }

    /// *Scenario*: a mirror's queue of its own, one with others' messages, one that is behind, and an empty one. *Guarantees*: the exact offset; the one
    /// behind the last message where the mirror is behind, and that it is.
    #[test]
    fn an_offset_has_one_translation() {
        let plain: Vec<_> = (100..200).map(own).collect();
        assert_eq!((at_target(&plain, 32, 0, 150), at_target(&plain, 32, 0, 100)), (complete(50), complete(0)));
        assert_eq!((at_target(&plain, 32, 0, 200), at_target(&plain, 32, 0, 7)), (complete(100), complete(0)));
        assert_eq!(at_target(&plain, 32, 0, 201), Translation { offset: 100, is_complete: false });
        assert_eq!(at_target(&[], 32, 0, 5), Translation { offset: 0, is_complete: false });
        let other = || of(queue_of("u", "b", 0), 900, 900);
        let shared = [other(), own(1), other(), None, own(2), Some(None), own(3), other()];
        assert_eq!(
            (at_target(&shared, 2, 0, 2), at_target(&shared, 2, 0, 3), at_target(&shared, 2, 0, 4)),
            (complete(2), complete(5), complete(7))
        );
        assert_eq!(
            (at_source(&shared, 2, 0), at_source(&shared, 2, 2), at_source(&shared, 2, 7)),
            (Some(complete(1)), Some(complete(2)), Some(complete(4)))
        );
        assert_eq!(at_source(&[other(), Some(None)], 2, 1), None);
    }

    /// *Scenario*: the source's topic was made anew, so its offsets begin at 0 again, behind those of the old one. *Guarantees*: an offset is one of the new
    /// topic.
    #[test]
    fn offsets_are_those_of_the_topic_that_is_there_now() {
        let mut queue: Vec<_> = (0..50).map(own).collect();
        queue.extend((0..50).map(|offset| of(source(), offset, 9_000 + offset as i64)));
        assert_eq!((at_target(&queue, 8, 9_000, 10), at_target(&queue, 8, 9_000, 0)), (complete(60), complete(50)));
    }

    /// *Scenario*: more messages of others than a search reads. *Guarantees*: it says so.
    #[test]
    fn a_search_is_bounded() {
        let queue = vec![Some(None); 1_000];
        let source = source();
        let mut search = Search { budget: 500, ..Search::new(&source, 0, reader(&queue, 8)) };
        assert_eq!(block_on(search.at_target(5, (0, 1_000))), Err(Untranslated::TooFar));
    }

    proptest! {
        /// *Scenario*: any mixture of the mirror's messages (with gaps in their offsets), others' and holes. *Guarantees*: what is before the translation is exactly
        /// what had been read of the mirror's messages; there and back is never beyond where it began.
        #[test]
        fn nothing_is_missed_and_nothing_read_again(
            kinds in prop::collection::vec((0_u8..4, 1_u64..4), 0..200),
            most in 1_usize..40,
            wanted in 0_u64..400,
        ) {
            let mut next = 0;
            let queue: Vec<Option<Mark>> = kinds.iter().map(|(kind, step)| match kind {
                0 => None,
                1 => Some(None),
                _ => {
                    next += step;
                    own(next)
                }
            }).collect();
            let found = at_target(&queue, most, 0, wanted);
            let own_at = |mark: &Option<Mark>| mark.clone().flatten().map(|(_, position)| position.offset);
            for (mark, at) in queue.iter().zip(0_u64..) {
                if let Some(offset) = own_at(mark) {
                    prop_assert_eq!(at < found.offset, offset < wanted);
                }
            }
            let highest = queue.iter().filter_map(own_at).max();
            prop_assert_eq!(found.is_complete, highest.is_some_and(|highest| highest + 1 >= wanted));
            if let Some(back) = at_source(&queue, most, found.offset) {
                let skipped = queue.iter().filter_map(own_at).any(|offset| (wanted..back.offset).contains(&offset));
                prop_assert!(!skipped, "back at {back:?}");
            }
        }
    }
}
