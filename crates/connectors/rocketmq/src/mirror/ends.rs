//! Both ends of a mirror, looked at from outside: where an offset of one end is at the other, and whether both hold the same.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use futures::FutureExt;
use rocketbridge_connector::{Code, Error, PullLimits};
use rocketbridge_model::Event;

use super::home::home;
use super::search::{Search, Seen, Translation, Untranslated};
use super::verify::{Comparison, Print, QueueReport};
use super::{LIMITS, as_source};
use crate::client::Client;
use crate::error::Failure;
use crate::offsets::Offsets;
use crate::position::{Position, SourceQueue, position_of};
use crate::route::{Queue, Route};
use crate::source::Topic;
use crate::via::Guard;

/// How many messages are read where a message is expected.
const GLIMPSE: PullLimits = PullLimits { events: 16, ..LIMITS };

/// Both ends of a mirror. It needs no more than to read, and changes nothing.
pub struct MirrorEnds {
    pub(super) source: End,
    pub(super) target: End,
    pub(super) guard: Guard,
}

/// A topic of an instance.
pub(super) struct End {
    client: Arc<Client>,
    pub(super) topic: String,
    wire: String,
    as_source: Topic,
}

impl MirrorEnds {
    pub(crate) fn new(source: (Arc<Client>, &str), target: (Arc<Client>, &str)) -> Self {
        let guard = Guard::between((source.0.settings(), source.1), (target.0.settings(), target.1));
        Self { source: End::new(source.0, source.1), target: End::new(target.0, target.1), guard }
    }

    /// The home at the target of each queue that the source has now. A queue whose home is not there yet is left out.
    ///
    /// # Errors
    ///
    /// An end cannot be reached, or its topic is not there.
    pub async fn queues(&self) -> Result<BTreeMap<Queue, Queue>, Error> {
        let (source, target) = (self.source.route().await?, self.target.route().await?);
        Ok(homes(&source, &target))
    }

    /// The same, from routes that may be half a minute old: for those who look again and again.
    pub(super) async fn known_queues(&self) -> Result<BTreeMap<Queue, Queue>, Error> {
        let (source, target) = (self.source.known_route().await?, self.target.known_route().await?);
        Ok(homes(&source, &target))
    }

    /// Where a consumer goes on at the target that has read everything before an offset of a queue of the source. It misses nothing: where the mirror
    /// is behind, that is where the mirror is.
    ///
    /// # Errors
    ///
    /// An end cannot be reached (`Unavailable`); the queue has no home (`NotFound`); other producers' messages are too many between the mirror's
    /// (`Internal`).
    pub async fn target_offset(&self, queue: &Queue, offset: u64) -> Result<Translation, Error> {
        let attempt =
            || format!("find offset {offset} of queue {}/{} of topic {} in its mirror", queue.broker, queue.id, self.source.topic);
        let home = self.home(queue).await?;
        let found = async {
            let since = self.source.since(queue).await.map_err(Untranslated::Read)?;
            let bounds = self.target.bounds(&home).await.map_err(Untranslated::Read)?;
            let marked = self.marked(queue);
            Search::new(&marked, since, |at| self.target.seen(&home, at).boxed()).at_target(offset, bounds).await
        };
        found.await.map_err(|error| untranslated(error, attempt()))
    }

    /// Where a consumer goes on at the source that has read everything before an offset of the home of a queue; `None` if the target holds nothing
    /// of the queue.
    ///
    /// # Errors
    ///
    /// As for [`target_offset`](Self::target_offset).
    pub async fn source_offset(&self, queue: &Queue, offset: u64) -> Result<Option<Translation>, Error> {
        let attempt = || {
            format!(
                "find what stands at offset {offset} of the mirror of queue {}/{} of topic {}",
                queue.broker, queue.id, self.source.topic
            )
        };
        let home = self.home(queue).await?;
        let found = async {
            let bounds = self.target.bounds(&home).await.map_err(Untranslated::Read)?;
            let marked = self.marked(queue);
            Search::new(&marked, 0, |at| self.target.seen(&home, at).boxed()).at_source(offset, bounds).await
        };
        found.await.map_err(|error| untranslated(error, attempt()))
    }

    /// Compares both ends of every queue: of the offsets of the source that are in `range`, or of all that both may hold.
    ///
    /// # Errors
    ///
    /// An end cannot be reached, or forgets what is being compared. What both ends hold is no error, whatever it is.
    pub async fn verify(&self, range: Option<Range<u64>>) -> Result<Vec<QueueReport>, Error> {
        let mut reports = Vec::new();
        for (queue, home) in self.queues().await? {
            let attempt = || format!("compare queue {}/{} of topic {} with its mirror", queue.broker, queue.id, self.source.topic);
            let report = self.verify_queue(&queue, &home, range.clone()).await;
            reports.push(report.map_err(|error| untranslated(error, attempt()))?);
        }
        Ok(reports)
    }

    async fn verify_queue(&self, queue: &Queue, home: &Queue, range: Option<Range<u64>>) -> Result<QueueReport, Untranslated<Failure>> {
        let failed = Untranslated::Read;
        let since = self.source.since(queue).await.map_err(failed)?;
        let (minimum, maximum) = self.source.bounds(queue).await.map_err(failed)?;
        let bounds = self.target.bounds(home).await.map_err(failed)?;
        let marked = self.marked(queue);
        let mut search = Search::new(&marked, since, |at| self.target.seen(home, at).boxed());
        let wanted = match range {
            Some(range) => range.start.max(minimum)..range.end.min(maximum),
            // What the target never had, because the mirror began later, or has removed, cannot be compared.
            None => {
                let oldest = search.at_target(minimum, bounds).await?.offset;
                match search.at_source(oldest, bounds).await? {
                    Some(first) => first.offset.max(minimum)..maximum,
                    None => minimum..maximum,
                }
            }
        };
        let start = search.at_target(wanted.start, bounds).await?.offset;
        let mut comparison = Comparison::default();
        let (mut expected_to, mut at) = (wanted.start, start);
        while at < bounds.1 && comparison.difference.is_none() {
            let (events, next) = self.target.read(home, at).await.map_err(failed)?;
            at = next;
            let mine = events.iter().filter_map(|event| Some((event, marked.position_of(&event.envelope.properties)?)));
            let mine: Vec<_> = mine.filter(|(_, position)| position.stored >= since && wanted.contains(&position.offset)).collect();
            let reach = mine.iter().map(|(_, position)| position.offset + 1).max().unwrap_or(expected_to);
            expected_to = self.expect(queue, expected_to..reach, &mut comparison).await.map_err(failed)?;
            mine.into_iter().for_each(|(event, position): (&Event, Position)| comparison.found(event.offset, position, Print::of(event)));
        }
        if comparison.difference.is_none() {
            self.expect(queue, expected_to..wanted.end, &mut comparison).await.map_err(failed)?;
        }
        Ok(QueueReport {
            source: queue.clone(),
            target: home.clone(),
            source_offsets: minimum..maximum,
            target_offsets: bounds.0..bounds.1,
            compared: wanted,
            messages: comparison.messages,
            checksum: comparison.checksum(),
            behind: if comparison.difference.is_none() { comparison.behind() } else { 0 },
            looped: comparison.looped,
            difference: comparison.difference,
        })
    }

    /// Reads what the source holds in a range. Returns where it has come to.
    async fn expect(&self, queue: &Queue, range: Range<u64>, comparison: &mut Comparison) -> Result<u64, Failure> {
        let mut offset = range.start;
        while offset < range.end {
            let (events, next) = self.source.read(queue, offset).await?;
            for event in events.iter().filter(|event| event.offset < range.end) {
                if self.guard.is_loop(&event.envelope.properties) {
                    comparison.looped += 1;
                } else {
                    comparison.expect(event.offset, Print::of(event));
                }
            }
            offset = next;
        }
        Ok(range.end.max(range.start))
    }

    async fn home(&self, queue: &Queue) -> Result<Queue, Error> {
        let attempt = || format!("find the mirror of queue {}/{} of topic {}", queue.broker, queue.id, self.source.topic);
        let missing = || Error::new(Code::NotFound, attempt(), format!("topic {} of the target has no queue for it", self.target.topic));
        self.queues().await?.remove(queue).ok_or_else(missing)
    }

    pub(super) fn marked(&self, queue: &Queue) -> SourceQueue {
        SourceQueue::of_topic(self.source.client.settings(), &self.source.topic, queue.clone())
    }
}

/// The home at the target of each queue of the source that has one there.
fn homes(source: &Route, target: &Route) -> BTreeMap<Queue, Queue> {
    let (sources, targets) = (source.brokers(), target.brokers());
    let homes = source.readable().iter().filter_map(|queue| Some((queue.clone(), home(queue, &sources, &targets)?)));
    homes.filter(|(_, home)| target.readable().contains(home)).collect()
}

pub(super) fn untranslated(error: Untranslated<Failure>, attempt: String) -> Error {
    match error {
        Untranslated::Read(failure) => failure.during(attempt),
        Untranslated::TooFar => Error::new(Code::Internal, attempt, "messages of other producers are too many between those of the mirror"),
    }
}

impl End {
    fn new(client: Arc<Client>, topic: &str) -> Self {
        let (wire, as_source) = (client.wire_name(topic), as_source(&client, topic));
        Self { client, topic: topic.to_owned(), wire, as_source }
    }

    async fn route(&self) -> Result<Arc<Route>, Error> {
        self.client.fresh_route(&self.wire).await.map_err(|failure| failure.during(self.attempt()))
    }

    async fn known_route(&self) -> Result<Arc<Route>, Error> {
        self.client.route(&self.wire).await.map_err(|failure| failure.during(self.attempt()))
    }

    fn attempt(&self) -> String {
        format!("find the queues of topic {} through name server {}", self.topic, self.client.name_servers())
    }

    pub(super) async fn bounds(&self, queue: &Queue) -> Result<(u64, u64), Failure> {
        let address = self.client.master(&self.wire, &queue.broker).await?;
        let offsets = Offsets { client: &self.client, topic: &self.wire, queue, address: Some(&address) };
        let (minimum, maximum) = (offsets.minimum().await?, offsets.maximum().await?);
        Ok((minimum.min(maximum), maximum))
    }

    /// When the broker stored the oldest message that the queue holds, milliseconds since 1970; 0 if it holds none.
    pub(super) async fn since(&self, queue: &Queue) -> Result<i64, Failure> {
        let (minimum, maximum) = self.bounds(queue).await?;
        if minimum >= maximum {
            return Ok(0);
        }
        let address = self.client.master(&self.wire, &queue.broker).await?;
        let pulled = self.as_source.look_at(&address, queue, minimum, PullLimits { events: 1, ..LIMITS }).await?;
        Ok(pulled.events.first().map_or(0, |event| event.envelope.store_timestamp))
    }

    pub(super) async fn read(&self, queue: &Queue, offset: u64) -> Result<(Vec<Event>, u64), Failure> {
        self.read_within(queue, offset, LIMITS).await
    }

    async fn read_within(&self, queue: &Queue, offset: u64, limits: PullLimits) -> Result<(Vec<Event>, u64), Failure> {
        let address = self.client.master(&self.wire, &queue.broker).await?;
        let pulled = self.as_source.look_at(&address, queue, offset, limits).await?;
        if pulled.next_offset <= offset {
            return Err(Failure::nonsense(&address, format!("no message at offset {offset}, which is below the end")));
        }
        Ok((pulled.events, pulled.next_offset))
    }

    pub(super) async fn seen(&self, queue: &Queue, offset: u64) -> Result<Seen, Failure> {
        Ok(marks_of(self.read(queue, offset).await?))
    }

    /// The same of a few messages.
    pub(super) async fn glimpse(&self, queue: &Queue, offset: u64) -> Result<Seen, Failure> {
        Ok(marks_of(self.read_within(queue, offset, GLIMPSE).await?))
    }
}

fn marks_of((events, next): (Vec<Event>, u64)) -> Seen {
    (events.iter().map(|event| (event.offset, position_of(&event.envelope.properties))).collect(), next)
}
