//! A topic as the mirror of another: queue i to queue i, in order, each message once.
//!
//! - [`home`]: which queue of the target belongs to a queue of the source;
//! - [`upkeep`]: the target has that queue, made after the source's settings if it must be;
//! - [`lookback`]: what of the source the queue holds last;
//! - [`ends`]: both ends from outside; [`search`]: an offset of one is which of the other; [`verify`]: whether they hold the same;
//! - [`translate`]: the progress of groups, again and again; [`watch`]: a message looked for once.
//!
//! Every message carries where it stood at the source ([`position`](crate::position)). Before the first send of a lane, and again after every send
//! whose answer is not known, the end of the target's queue is read: what stands there is not sent again. Nothing overtakes a message that was not
//! stored, so the last position says everything.
//!
//! A send of a former owner may still be on its way while the queue is read. So the queue is read [`SETTLE`] after its broker has answered: what a
//! dead or fenced owner has handed to the network arrives within that time, and a process that is not dead asks its permit before every write
//! (`remoting::connection`). A send that is stored later is a duplicate; `docs/delivery.md` says so.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use rocketbridge_connector::{Arrival, Code, Error, LaneKey, Permit, PullLimits, Target};
use rocketbridge_model::Origin;
use rocketbridge_model::resolved::{RocketMqSource, StartPosition};
use rocketbridge_model::session::Delivery;
use tokio::time::Instant;

use crate::client::Client;
use crate::encode::{self, Placement, SendPlan};
use crate::error::Failure;
use crate::offsets::Offsets;
use crate::outgoing::Making;
use crate::position::{Position, SourceQueue, position_of};
use crate::provenance::Provenance;
use crate::route::{Queue, Route};
use crate::source::Topic;
use crate::target::{Sender, tell_left_out};
use crate::via::Guard;

mod ends;
mod home;
mod lookback;
mod search;
mod translate;
mod upkeep;
mod verify;
mod watch;

pub use ends::MirrorEnds;
pub use search::Translation;
pub use translate::{Positions, QueueTranslation, Translator};
pub use verify::{Difference, QueueReport};

use lookback::{Found, Mark, look_back};

/// How long a send that was given to the network may take until it is stored.
pub(crate) const SETTLE: Duration = Duration::from_secs(1);
/// A broker that takes longer for an answer was busy with something else, perhaps with what it had been sent before.
const PROMPT: Duration = Duration::from_secs(1);
/// How often a slow broker is waited for.
const WAITS: u32 = 5;
/// RocketMQ's own group for tools: every broker has it, also one that makes no groups.
const GROUP: &str = "TOOLS_CONSUMER";
const LIMITS: PullLimits = PullLimits { events: 512, bytes: 1024 * 1024, ahead: true };

/// The topic that is mirrored.
pub(crate) struct Original {
    pub(crate) client: Arc<Client>,
    pub(crate) topic: String,
}

/// A topic as a mirror, for one lane.
pub(crate) struct MirrorTarget {
    client: Arc<Client>,
    topic: String,
    sender: Sender,
    guard: Option<Guard>,
    original: Original,
    /// What is known of the lane's queue. It is taken out while something is sent, so that whatever ends a send without an answer leaves nothing here,
    /// and the next delivery looks anew.
    known: Mutex<Option<Known>>,
    /// Whether it was said that something did not fit.
    left_out: AtomicBool,
}

/// What is known of a lane's queue at the target.
struct Known {
    home: Queue,
    /// The queue that it mirrors.
    source: SourceQueue,
    /// The last message of the lane that the queue holds.
    last: Option<Position>,
    /// Events that were stored at the source before this (milliseconds since 1970) may be in the queue although nothing was found.
    doubted: Option<i64>,
}

impl MirrorTarget {
    pub(crate) fn new(client: Arc<Client>, topic: &str, guard: Option<Guard>, original: Original) -> Self {
        let sender = Sender::new(Arc::clone(&client), topic).strict();
        Self { client, topic: topic.to_owned(), sender, guard, original, known: Mutex::default(), left_out: AtomicBool::new(false) }
    }

    async fn deliver_all(&self, origin: &Origin, permit: &Permit, deliveries: &[Delivery]) -> Vec<Result<Arrival, Error>> {
        let known = self.known.lock().take();
        let known = match known {
            Some(known) => Ok(known),
            None => self.look(origin).await,
        };
        let sent = match known {
            Ok(mut known) => self.send(&mut known, origin, permit, deliveries).await.map(|results| (known, results)),
            Err(error) => Err(error),
        };
        match sent {
            Ok((known, results)) => {
                // Only a refusal says for sure that nothing was stored.
                let first = results.iter().find_map(|result| result.as_ref().err());
                if first.is_none_or(|error| error.code() == Code::Rejected) {
                    *self.known.lock() = Some(known);
                }
                results
            }
            Err(error) => vec![Err(error); deliveries.len()],
        }
    }

    /// Sends what the queue does not hold, up to the first failure.
    async fn send(
        &self,
        known: &mut Known,
        origin: &Origin,
        permit: &Permit,
        deliveries: &[Delivery],
    ) -> Result<Vec<Result<Arrival, Error>>, Error> {
        let attempt = format!(
            "mirror to topic {} of {}, broker {}, queue {}",
            self.topic,
            self.client.name_servers(),
            known.home.broker,
            known.home.id
        );
        let route = self.sender.route(&attempt).await?;
        let provenance = Provenance::of(origin).guarded(self.guard.as_ref()).mirrored_from(&known.source);
        let placement = Placement {
            queue: 0,
            own: &[],
            queues: 1,
            orderly: false,
            making: Making::Routed(&provenance),
            last: known.last,
            taste: self.sender.taste(),
            attempt: &attempt,
        };
        let mut plan = encode::plan(deliveries, &placement);
        // Nothing overtakes what no broker would take.
        let refused = plan.refused.drain(..).min_by_key(|(index, _)| *index);
        if let Some((first, _)) = &refused {
            plan = encode::plan(&deliveries[..*first], &placement);
        }
        tell_left_out(&self.topic, plan.left_out, &self.left_out);
        let parts = std::mem::take(&mut plan.parts);
        let mut failures = self.sender.send_in_order(&route, &known.home, permit, parts).await;
        if let Some((first, error)) = refused {
            let reason = format!("it waits for the one before it, which was refused: {}", error.reason);
            let behind = Error::new(Code::Unavailable, attempt.as_str(), reason);
            failures.push((first, error));
            failures.extend((first + 1..deliveries.len()).map(|index| (index, behind.clone())));
        }
        let results = known.results(deliveries, &plan, failures);
        known.note(deliveries, &results);
        Ok(results)
    }

    /// Finds the lane's queue and what it holds.
    async fn look(&self, origin: &Origin) -> Result<Known, Error> {
        let queue = Queue { broker: origin.broker.clone(), id: origin.queue };
        let attempt =
            format!("find what topic {} of {} has of queue {}/{}", self.topic, self.client.name_servers(), queue.broker, queue.id);
        let failed = |failure: Failure| {
            self.client.doubt_route(&self.client.wire_name(&self.topic));
            failure.during(attempt.clone())
        };
        let (home, is_new) = self.upkeep(origin, &queue, &attempt).await?;
        let route = self.sender.route(&attempt).await?;
        let source = SourceQueue::of_topic(self.original.client.settings(), &self.original.topic, queue);
        let settled = SystemTime::now();
        let found = if is_new { Found::Nothing } else { self.read_back(&route, &home, &source).await.map_err(failed)? };
        let refuse = |reason: String| Err(Error::new(Code::NotFound, attempt.clone(), reason));
        let (last, doubted) = match found {
            Found::Last(position) => (Some(position), None),
            Found::Foreign(other) => {
                let Queue { broker, id } = other.queue();
                return refuse(format!(
                    "queue {}/{} of the target holds messages of queue {broker}/{id} of the source: brokers of one of the two have changed. \
                     Bring them back, or mirror to a new topic",
                    home.broker, home.id
                ));
            }
            Found::Nothing | Found::Unknown => {
                if let Some(elsewhere) = self.elsewhere(&route, &home, &source).await.map_err(failed)? {
                    return refuse(format!(
                        "what was mirrored of this queue is in queue {}/{} of the target, and belongs to {}/{} now: brokers of one of the two have \
                         changed. Bring them back, or mirror to a new topic",
                        elsewhere.broker, elsewhere.id, home.broker, home.id
                    ));
                }
                let settled =
                    settled.duration_since(UNIX_EPOCH).map_or(i64::MAX, |time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
                (None, (found == Found::Unknown).then_some(settled))
            }
        };
        if doubted.is_some() {
            tracing::warn!(
                topic = self.topic,
                broker = home.broker,
                queue = home.id,
                looked_through = lookback::MOST,
                "no message of the source was found in the mirror's queue: what was under way may be there twice"
            );
        }
        Ok(Known { home, source, last, doubted })
    }

    /// What the home of a lane holds last, once everything that was sent to it before has arrived.
    async fn read_back(&self, route: &Route, home: &Queue, source: &SourceQueue) -> Result<Found, Failure> {
        let address = self.master(route, home)?;
        let wire = self.client.wire_name(&self.topic);
        let offsets = Offsets { client: &self.client, topic: &wire, queue: home, address: Some(address) };
        offsets.maximum().await?;
        let mut waits = 0;
        let maximum = loop {
            tokio::time::sleep(SETTLE).await;
            let asked = Instant::now();
            let maximum = offsets.maximum().await?;
            waits += 1;
            if asked.elapsed() < PROMPT || waits == WAITS {
                break maximum;
            }
        };
        let minimum = offsets.minimum().await?.min(maximum);
        let topic = as_source(&self.client, &self.topic);
        look_back(source, (minimum, maximum), |offset| marks(&topic, address, home, offset).boxed()).await
    }

    /// The queue of the target, other than a lane's home, whose last messages are of that lane.
    async fn elsewhere(&self, route: &Route, home: &Queue, source: &SourceQueue) -> Result<Option<Queue>, Failure> {
        let wire = self.client.wire_name(&self.topic);
        let topic = as_source(&self.client, &self.topic);
        for queue in route.readable().iter().filter(|queue| *queue != home) {
            let Some(address) = route.master(&queue.broker) else { continue };
            let offsets = Offsets { client: &self.client, topic: &wire, queue, address: Some(address) };
            let (minimum, maximum) = (offsets.minimum().await?, offsets.maximum().await?);
            if maximum <= minimum {
                continue;
            }
            let (marks, _) = marks(&topic, address, queue, maximum.saturating_sub(1).max(minimum)).await?;
            if marks.into_iter().flatten().any(|(of, _)| of == *source) {
                return Ok(Some(queue.clone()));
            }
        }
        Ok(None)
    }

    fn master<'a>(&self, route: &'a Route, home: &Queue) -> Result<&'a str, Failure> {
        let reason = || format!("broker {} has no master now", home.broker);
        route.master(&home.broker).ok_or_else(|| Failure::Lost { address: self.client.name_servers(), reason: reason() })
    }
}

/// A topic, to be read without any presence of a group.
fn as_source(client: &Arc<Client>, topic: &str) -> Topic {
    let definition = RocketMqSource {
        connection: client.settings().clone(),
        topic: topic.to_owned(),
        tags: Vec::new(),
        sql: None,
        group: GROUP.to_owned(),
        start: StartPosition::Earliest,
    };
    Topic::new(Arc::clone(client), definition)
}

/// The marks of some messages from an offset on, and where to go on.
async fn marks(topic: &Topic, address: &str, queue: &Queue, offset: u64) -> Result<(Vec<Mark>, u64), Failure> {
    let pulled = topic.look_at(address, queue, offset, LIMITS).await?;
    if pulled.next_offset <= offset {
        return Err(Failure::nonsense(address, format!("no message at offset {offset}, which is below the end")));
    }
    Ok((pulled.events.iter().map(|event| position_of(&event.envelope.properties)).collect(), pulled.next_offset))
}

impl Known {
    /// One result per delivery.
    fn results(&self, deliveries: &[Delivery], plan: &SendPlan, failures: Vec<(usize, Error)>) -> Vec<Result<Arrival, Error>> {
        let arrival = |delivery: &Delivery| match self.doubted {
            Some(moment) if delivery.event.envelope.store_timestamp < moment => Arrival::Unproven,
            _ => Arrival::Stored,
        };
        let mut results: Vec<_> = deliveries.iter().map(|delivery| Ok(arrival(delivery))).collect();
        for (indices, arrival) in [(&plan.unmarked, Arrival::Unproven), (&plan.known, Arrival::Known), (&plan.looped, Arrival::Looped)] {
            indices.iter().for_each(|index| results[*index] = Ok(arrival));
        }
        for (index, error) in failures {
            results[index] = Err(error);
        }
        results
    }

    /// Takes note of what the queue holds now.
    fn note(&mut self, deliveries: &[Delivery], results: &[Result<Arrival, Error>]) {
        let arrived = deliveries.iter().zip(results).filter(|(_, result)| matches!(result, Ok(Arrival::Stored | Arrival::Unproven)));
        if let Some((delivery, _)) = arrived.last() {
            self.last = Some(Position::of(&delivery.event));
        }
    }
}

impl Target for MirrorTarget {
    fn concern(&self) -> Option<String> {
        self.client.concern().or_else(|| self.original.client.concern())
    }

    fn deliver<'a>(
        &'a self,
        _lane: &'a LaneKey,
        origin: &'a Origin,
        permit: &'a Permit,
        deliveries: &'a [Delivery],
    ) -> BoxFuture<'a, Vec<Result<Arrival, Error>>> {
        self.deliver_all(origin, permit, deliveries).boxed()
    }
}
