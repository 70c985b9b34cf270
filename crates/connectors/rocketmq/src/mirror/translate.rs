//! The progress of groups, from a topic to its mirror, again and again.
//!
//! A group has read what is before its offsets, at either end: where the mirror is mirrored back, messages that began at the mirror are at both ends, too. A translation is the furthest offset of the mirror's
//! queue before which the group has read everything. So it misses nothing, adds nothing to what was read, and two ways do not push each other on. Where the mirror is behind, it is where
//! the mirror is.
//!
//! What was found is kept, so that an offset that has moved costs one read of a few messages, and with a way back each message of either queue is read once.

use std::collections::{BTreeMap, HashMap};

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryFutureExt, stream};
use parking_lot::Mutex;
use rocketbridge_connector::Error;
use rocketbridge_model::Event;
use tokio::time::{Duration, Instant};

use super::ends::{MirrorEnds, untranslated};
use super::lookback::Mark;
use super::search::{Search, Seen, Translation, Untranslated};
use super::watch::{Known, Watch};
use crate::admin::Progress;
use crate::error::Failure;
use crate::position::{Position, SourceQueue};
use crate::route::Queue;

/// Queues that are translated at once.
const TOGETHER: usize = 8;
/// Translations of a queue that are kept: groups are in different places.
const ANCHORS: usize = 32;
/// How long the age of the source's oldest message is believed. A topic that was made anew is noticed after so long.
const SINCE_LIFE: Duration = Duration::from_secs(10);
/// Most reads of one look for messages that began at the mirror; the next translation goes on from there.
const LOOKS: u32 = 256;

/// Translates progress from a topic to its mirror.
pub struct Translator {
    ends: MirrorEnds,
    /// The way back, where the mirror is mirrored back.
    back: Option<MirrorEnds>,
    /// What was found, by the mirror's queue.
    kept: Mutex<HashMap<Queue, Kept>>,
}

/// Where a group goes on in a queue of the mirror.
#[derive(Clone, Debug)]
pub struct QueueTranslation {
    /// The queue of the source.
    pub source: Queue,
    /// Its home at the target.
    pub target: Queue,
    /// The translation, or why there is none now.
    pub translated: Result<Translation, Error>,
}

#[derive(Clone, Default)]
struct Kept {
    /// Offsets of the source and what they are in the mirror. They are only where to look first.
    anchors: BTreeMap<u64, u64>,
    /// When the source's broker stored its oldest message, and since when that is believed.
    since: Option<(i64, Instant)>,
    /// The first message at the source that came back from the mirror's queue.
    returned: Watch,
    /// Offsets of the source whose messages of the mirror the group has read there: from the first they need not be looked through again.
    passed: (u64, u64),
    /// The first message of the mirror's queue that began there.
    began: Watch,
    /// The first message of the mirror's queue that is copied.
    next: Watch,
}

/// What groups have committed, by queue.
#[derive(Clone, Copy, Debug)]
pub struct Positions<'a> {
    /// What the group has committed at the source.
    pub read: &'a Progress,
    /// What it has committed at the target.
    pub at_target: &'a Progress,
    /// What the way back, if there is one, has committed at the target: how far it has come.
    pub copied_back: &'a Progress,
}

/// How far a group has read what came back from a queue of the mirror.
struct Returned {
    /// The queue of the source that it came back to, and what the group has read there.
    home: Option<(Queue, u64)>,
    /// How far the way back has come in the mirror's queue.
    copied: u64,
    /// What the group has read of the mirror's queue.
    read: u64,
}

impl Translator {
    pub(crate) fn new(ends: MirrorEnds, back: Option<MirrorEnds>) -> Self {
        Self { ends, back, kept: Mutex::default() }
    }

    /// Where a group goes on in each queue of the mirror. A queue of the source in which it has committed nothing is left out. The positions must have been asked for before.
    ///
    /// # Errors
    ///
    /// An end cannot be reached, or its topic is not there. What is wrong with one queue only stands in its translation.
    pub async fn translate(&self, positions: Positions<'_>) -> Result<Vec<QueueTranslation>, Error> {
        let homes = self.ends.known_queues().await?;
        let back_homes = match &self.back {
            Some(back) => back.known_queues().await?,
            None => BTreeMap::new(),
        };
        let Positions { read, at_target, copied_back } = positions;
        let asked = homes.into_iter().filter_map(|(source, target)| Some((read.get(&source).copied()?, source, target)));
        let translated = stream::iter(asked).map(|(offset, source, target)| {
            let of = |progress: &Progress, queue: &Queue| progress.get(queue).copied().unwrap_or_default();
            let home = back_homes.get(&target).map(|home| (home.clone(), of(read, home)));
            let returned = Returned { home, copied: of(copied_back, &target), read: of(at_target, &target) };
            async move {
                let translated = self.translate_queue(&source, &target, offset, &returned).await;
                QueueTranslation { source, target, translated }
            }
        });
        let mut translated: Vec<_> = translated.buffer_unordered(TOGETHER).collect().await;
        translated.sort_by(|one, other| one.source.cmp(&other.source));
        Ok(translated)
    }

    async fn translate_queue(&self, source: &Queue, target: &Queue, offset: u64, returned: &Returned) -> Result<Translation, Error> {
        let mut kept = self.kept.lock().get(target).cloned().unwrap_or_default();
        let found = self.find(&mut kept, (source, target), offset, returned).await;
        // Groups that are translated side by side find the same; whoever is last is as good as the other.
        self.kept.lock().insert(target.clone(), kept);
        let topic = &self.ends.source.topic;
        found.map_err(|error| {
            untranslated(error, format!("find offset {offset} of queue {}/{} of topic {topic} in its mirror", source.broker, source.id))
        })
    }

    async fn find(
        &self,
        kept: &mut Kept,
        (source, target): (&Queue, &Queue),
        offset: u64,
        returned: &Returned,
    ) -> Result<Translation, Untranslated<Failure>> {
        let bounds = self.ends.target.bounds(target).await.map_err(Untranslated::Read)?;
        let since = self.since(kept, source).await.map_err(Untranslated::Read)?;
        let found = self.copied(kept, (source, target), offset, since, bounds).await?;
        let Some(back) = &self.back else { return Ok(found) };
        let unread = self.first_unread(back, kept, target, returned, bounds).await?.unwrap_or(bounds.1);
        let begin = found.offset.max(returned.read).clamp(bounds.0, bounds.1);
        let next = self.next_copied(kept, (source, target), (begin, unread)).await?.unwrap_or(bounds.1);
        Ok(Translation { offset: unread.min(next), ..found })
    }

    /// What an offset is in the mirror, by what the mirror holds of the source.
    async fn copied(
        &self,
        kept: &mut Kept,
        (source, target): (&Queue, &Queue),
        offset: u64,
        since: i64,
        bounds: (u64, u64),
    ) -> Result<Translation, Untranslated<Failure>> {
        let (end, marked) = (&self.ends.target, self.ends.marked(source));
        let mut found = None;
        if let Some((known, translation)) = kept.anchors.range(..=offset).next_back() {
            let guess = translation.saturating_add(offset - known).clamp(bounds.0, bounds.1);
            let begin = guess.saturating_sub(1).max(bounds.0);
            if begin < bounds.1 {
                let (seen, next) = end.glimpse(target, begin).await.map_err(Untranslated::Read)?;
                found = passage(&seen, &marked, since, offset, next >= bounds.1);
            }
        }
        let found = match found {
            Some(found) => found,
            None => Search::new(&marked, since, |at| end.seen(target, at).boxed()).at_target(offset, bounds).await?,
        };
        if found.is_complete {
            kept.anchors.insert(offset, found.offset);
            while kept.anchors.len() > ANCHORS {
                kept.anchors.pop_first();
            }
        }
        Ok(found)
    }

    /// The first message of the source within `bounds` of the mirror's queue: the first that the group has not read of the source's own.
    async fn next_copied(
        &self,
        kept: &mut Kept,
        (source, target): (&Queue, &Queue),
        bounds: (u64, u64),
    ) -> Result<Option<u64>, Untranslated<Failure>> {
        let marked = &self.ends.marked(source);
        let copied = move |offset: u64, mark: &Mark| mark.as_ref().is_some_and(|(queue, _)| queue == marked).then_some(offset);
        let look = |at| self.ends.target.seen(target, at).map_ok(move |seen| kinds(seen, copied)).boxed();
        first(&mut kept.next, bounds, look).await.map_err(Untranslated::Read)
    }

    /// The first message that began in a queue of the mirror and that the group has not read, within `bounds` of that queue; `None` if it has read all.
    async fn first_unread(
        &self,
        back: &MirrorEnds,
        kept: &mut Kept,
        target: &Queue,
        returned: &Returned,
        bounds: (u64, u64),
    ) -> Result<Option<u64>, Untranslated<Failure>> {
        let failed = Untranslated::Read;
        if let Some((home, read)) = &returned.home {
            let (minimum, maximum) = self.ends.source.bounds(home).await.map_err(failed)?;
            let marked = &back.marked(target);
            let began = move |_: u64, mark: &Mark| mark.as_ref().filter(|(queue, _)| queue == marked).map(|(_, position)| position.offset);
            let look = |at| self.ends.source.seen(home, at).map_ok(move |seen| kinds(seen, began)).boxed();
            let read = (*read).clamp(minimum, maximum);
            let mut from = if (kept.passed.0..=kept.passed.1).contains(&read) { kept.passed.1 } else { read };
            // What came back stands there in the order in which it began, so the first that the group has not read at the mirror either is the oldest.
            while let Some(unread) = first(&mut kept.returned, (from, maximum), look).await.map_err(failed)? {
                if unread >= returned.read {
                    return Ok(Some(unread));
                }
                from = kept.returned.end() + 1;
                kept.passed = (if (kept.passed.0..=kept.passed.1).contains(&read) { kept.passed.0 } else { read }, from);
            }
        }
        // All that came back is read; what has not come back yet is not. The way back does not copy what has been at the source before.
        let began = move |event: &Event| (!back.guard.is_loop(&event.envelope.properties)).then_some(event.offset);
        let of_all = move |(events, next): (Vec<Event>, u64)| (events.iter().map(|event| (event.offset, began(event))).collect(), next);
        let look = |at| back.source.read(target, at).map_ok(of_all).boxed();
        let from = returned.copied.max(returned.read).clamp(bounds.0, bounds.1);
        first(&mut kept.began, (from, bounds.1), look).await.map_err(failed)
    }

    async fn since(&self, kept: &mut Kept, source: &Queue) -> Result<i64, Failure> {
        if let Some((since, until)) = kept.since
            && until > Instant::now()
        {
            return Ok(since);
        }
        let since = self.ends.source.since(source).await?;
        kept.since = Some((since, Instant::now() + SINCE_LIFE));
        Ok(since)
    }
}

/// The messages that a look brought, each with its offset and what is to be known of it if it is looked for; and where to go on.
type Looked = (Vec<(u64, Option<u64>)>, u64);

fn kinds((seen, next): Seen, kind: impl Fn(u64, &Mark) -> Option<u64>) -> Looked {
    (seen.iter().map(|(offset, mark)| (*offset, kind(*offset, mark))).collect(), next)
}

/// The first message of a watch's kind from an offset on, below an end.
async fn first<'l>(
    watch: &mut Watch,
    (from, end): (u64, u64),
    look: impl Fn(u64) -> BoxFuture<'l, Result<Looked, Failure>>,
) -> Result<Option<u64>, Failure> {
    for _ in 0..LOOKS {
        match watch.known(from) {
            Known::Found(found) => return Ok(Some(found)),
            Known::NoneBefore(at) if at >= end => return Ok(None),
            Known::NoneBefore(at) => {
                let (seen, next) = look(at).await?;
                watch.note(seen, next);
            }
        }
    }
    Err(Failure::Lost { address: "the mirror".to_owned(), reason: "messages that began there are still being looked for".to_owned() })
}

/// Where, within these messages, the mirror passes an offset of the source; `None` if it does not pass it here. `is_end`: nothing stands behind them.
fn passage(seen: &[(u64, Mark)], source: &SourceQueue, since: i64, offset: u64, is_end: bool) -> Option<Translation> {
    let is_read = |position: Position| position.stored < since || position.offset < offset;
    let mut last: Option<(u64, Position)> = None;
    for (at, mark) in seen {
        match mark {
            Some((queue, position)) if queue == source && is_read(*position) => last = Some((*at, *position)),
            Some((queue, _)) if queue == source => return last.map(|(at, _)| Translation { offset: at + 1, is_complete: true }),
            _ => {}
        }
    }
    let (at, position) = last.filter(|_| is_end)?;
    Some(Translation { offset: at + 1, is_complete: position.stored >= since && position.offset + 1 >= offset })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::executor::block_on;
    use futures::future::ready;
    use proptest::prelude::*;

    use super::*;
    use crate::position::tests::queue_of;

    proptest! {
        /// *Scenario*: any mixture of the mirror's messages and others', and a few of them that are looked at first. *Guarantees*: what is found in them is what a search of the whole
        /// queue finds.
        #[test]
        fn a_glimpse_shows_what_a_search_finds(
            kinds in prop::collection::vec((any::<bool>(), 1_u64..4), 0..100),
            wanted in 0_u64..250,
            begin in 0_usize..100,
            count in 1_usize..20,
        ) {
            let source = queue_of("t", "b", 0);
            let mut next = 0;
            let queue: Vec<(u64, Mark)> = kinds.iter().zip(0_u64..).map(|((is_own, step), at)| {
                next += step;
                (at, is_own.then(|| (source.clone(), Position { offset: next, stored: 1_000 })))
            }).collect();
            let end = queue.len() as u64;
            let read = |at: u64| ready(Ok::<_, Infallible>((queue[at as usize..].iter().take(7).cloned().collect(), end.min(at + 7)))).boxed();
            let searched = block_on(Search::new(&source, 0, read).at_target(wanted, (0, end))).expect("within the budget");
            let glimpse = &queue[begin.min(queue.len())..(begin + count).min(queue.len())];
            if let Some(found) = passage(glimpse, &source, 0, wanted, begin + count >= queue.len()) {
                prop_assert_eq!(found, searched);
            }
        }
    }
}
