//! A topic as a target: deliveries as batches to one queue per lane, confirmed by the broker.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use parking_lot::Mutex;
use rocketbridge_connector::{Arrival, Code, Error, LaneKey, Permit, Target};
use rocketbridge_model::Origin;
use rocketbridge_model::session::Delivery;
use tokio::time::Instant;

use crate::born::Born;
use crate::client::Client;
use crate::encode::{self, Batch, Content, Part, Placement, Single, Taste};
use crate::error::Failure;
use crate::limit;
use crate::long::LongMessages;
use crate::outgoing::Making;
use crate::placement::lane_queue;
use crate::provenance::Provenance;
use crate::remoting::Request;
use crate::remoting::code::{request, response};
use crate::route::{Queue, Route};
use crate::via::Guard;

/// How long a broker may take to store what it was sent.
const SEND_ANSWER: Duration = Duration::from_secs(10);
/// Bytes a second that the network takes at least: a long message may take so much longer.
const SLOWEST: u64 = 1 << 20;
/// The producer group of everything that RocketBridge sends: brokers use it in statistics and for access control only.
const GROUP: &str = "rocketbridge";

/// A topic.
pub(crate) struct TopicTarget {
    client: Arc<Client>,
    topic: String,
    sender: Sender,
    orderly: bool,
    /// Looks for loops; `None` where that is switched off, and for dead letters.
    guard: Option<Guard>,
    /// Whether nothing is added to a message.
    bare: bool,
    /// Whether it was said that provenance did not fit.
    left_out: AtomicBool,
}

/// Sends parts to the queues of a topic.
pub(crate) struct Sender {
    client: Arc<Client>,
    /// Wire name of the topic.
    topic: String,
    group: String,
    /// What the topic's brokers have turned out to take.
    taste: Mutex<Taste>,
    long: LongMessages,
    /// Whether nothing overtakes a message that is refused for good.
    strict: bool,
    /// Whether it was said that bytes that are no text went as text.
    changed: AtomicBool,
}

/// Where a message goes, and whether it still may.
#[derive(Clone, Copy)]
struct Way<'a> {
    route: &'a Route,
    queue: &'a Queue,
    permit: &'a Permit,
}

/// What became of the deliveries of some parts: those that failed, by index.
pub(crate) type Failures = Vec<(usize, Error)>;

impl TopicTarget {
    pub(crate) fn new(client: Arc<Client>, topic: &str, orderly: bool, guard: Option<Guard>) -> Self {
        let sender = Sender::new(Arc::clone(&client), topic);
        Self { sender, client, topic: topic.to_owned(), orderly, guard, bare: false, left_out: AtomicBool::new(false) }
    }

    async fn deliver_all(&self, origin: &Origin, permit: &Permit, deliveries: &[Delivery]) -> Vec<Result<Arrival, Error>> {
        let attempt = format!("send to topic {} of {}", self.topic, self.client.name_servers());
        let route = match self.sender.route(&attempt).await {
            Ok(route) => route,
            Err(error) => return vec![Err(error); deliveries.len()],
        };
        let provenance = Provenance::of(origin).guarded(self.guard.as_ref());
        let own = own_queues(deliveries, route.writable());
        let placement = Placement {
            queue: lane_queue(&origin.broker, origin.queue, route.writable()),
            own: &own,
            queues: route.writable().len(),
            orderly: self.orderly,
            making: if self.bare { Making::Bare } else { Making::Routed(&provenance) },
            last: None,
            taste: self.sender.taste(),
            attempt: &attempt,
        };
        let plan = encode::plan(deliveries, &placement);
        tell_left_out(&self.topic, plan.left_out, &self.left_out);
        let mut by_queue: BTreeMap<usize, Vec<Part>> = BTreeMap::new();
        for part in plan.parts {
            by_queue.entry(part.queue).or_default().push(part);
        }
        let sent = by_queue.into_iter().map(|(index, parts)| self.sender.send_in_order(&route, &route.writable()[index], permit, parts));
        let failures = join_all(sent).await;
        results(deliveries.len(), &plan.looped, plan.refused.into_iter().chain(failures.into_iter().flatten()))
    }
}

/// Says once that messages go without something that RocketBridge adds.
pub(crate) fn tell_left_out(topic: &str, properties: usize, told: &AtomicBool) {
    if properties > 0 && !told.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            topic,
            properties,
            "messages go without some of RB_POSITION, RB_ORIGIN, RB_VIA, RB_TIMED and RB_REASON, for which their properties leave no room"
        );
    }
}

impl Target for TopicTarget {
    fn deliver<'a>(
        &'a self,
        _lane: &'a LaneKey,
        origin: &'a Origin,
        permit: &'a Permit,
        deliveries: &'a [Delivery],
    ) -> BoxFuture<'a, Vec<Result<Arrival, Error>>> {
        self.deliver_all(origin, permit, deliveries).boxed()
    }

    fn concern(&self) -> Option<String> {
        self.client.concern()
    }

    fn bare(&self) -> Option<Arc<dyn Target>> {
        let bare = Self { bare: true, ..Self::new(Arc::clone(&self.client), &self.topic, self.orderly, None) };
        (!self.bare).then(|| Arc::new(bare) as Arc<dyn Target>)
    }
}

/// The queues of deliveries that were handed out by their source: messages of one queue there stay in one queue here, whoever received them.
/// Empty if they were read from one queue, which is the lane's.
fn own_queues(deliveries: &[Delivery], writable: &[Queue]) -> Vec<usize> {
    if deliveries.iter().all(|delivery| delivery.event.envelope.place.is_none()) {
        return Vec::new();
    }
    let mut known: HashMap<(&str, u32), usize> = HashMap::new();
    let places = deliveries.iter().map(|delivery| delivery.event.envelope.place.as_deref().map(|place| (&*place.broker, place.queue)));
    places
        .map(|place| {
            let (broker, queue) = place.unwrap_or_default();
            *known.entry((broker, queue)).or_insert_with(|| lane_queue(broker, queue, writable))
        })
        .collect()
}

/// One result per delivery. What a queue took is delivered, whatever became of another queue's: within a queue nothing was attempted behind
/// the first failure that trying again may mend.
fn results(count: usize, looped: &[usize], failures: impl Iterator<Item = (usize, Error)>) -> Vec<Result<Arrival, Error>> {
    let mut results = vec![Ok(Arrival::Stored); count];
    for index in looped {
        results[*index] = Ok(Arrival::Looped);
    }
    for (index, error) in failures {
        results[index] = Err(error);
    }
    results
}

impl Sender {
    pub(crate) fn new(client: Arc<Client>, topic: &str) -> Self {
        let topic = client.wire_name(topic);
        Self {
            taste: Mutex::new(Taste::of(&topic)),
            long: LongMessages::new(Arc::clone(&client), &topic),
            topic,
            group: client.wire_name(GROUP),
            client,
            strict: false,
            changed: AtomicBool::new(false),
        }
    }

    /// The same, whose messages behind one that is refused for good are not attempted.
    pub(crate) fn strict(self) -> Self {
        Self { strict: true, ..self }
    }

    /// What those behind a failed message answer; `None` if they are attempted all the same.
    fn behind(&self, error: &Error) -> Option<Error> {
        match error.code() {
            // It is not they who are refused.
            Code::Rejected if self.strict => {
                let reason = format!("it waits for the one before it, which was refused: {}", error.reason);
                Some(Error::new(Code::Unavailable, error.attempt.clone(), reason))
            }
            Code::Rejected => None,
            _ => Some(error.clone()),
        }
    }

    /// What the topic's brokers take in batches, as far as is known.
    pub(crate) fn taste(&self) -> Taste {
        *self.taste.lock()
    }

    /// The topic's route, if it has a queue to write to.
    pub(crate) async fn route(&self, attempt: &str) -> Result<Arc<Route>, Error> {
        let route = self.client.route(&self.topic).await.map_err(|failure| failure.during(attempt))?;
        if route.writable().is_empty() {
            self.client.doubt_route(&self.topic);
            return Err(Error::new(Code::Unavailable, attempt, "the topic has no writable queue with a master now"));
        }
        Ok(route)
    }

    /// Sends parts one after the other; after the first failure that trying again may mend, the rest is not attempted.
    pub(crate) async fn send_in_order(&self, route: &Route, queue: &Queue, permit: &Permit, parts: Vec<Part>) -> Failures {
        let way = Way { route, queue, permit };
        let mut failures = Failures::new();
        let mut stopped: Option<Error> = None;
        for part in parts {
            if let Some(error) = &stopped {
                failures.extend(part.content.indices().map(|index| (index, error.clone())));
                continue;
            }
            let failed = match part.content {
                Content::Batch(batch) => self.send_batch(way, &batch).await,
                Content::Single(single) => match self.send_single(way, &single).await {
                    Ok(()) => continue,
                    Err(error) => vec![(single.index, error)],
                },
            };
            stopped = failed.iter().find_map(|(_, error)| self.behind(error));
            failures.extend(failed);
        }
        failures
    }

    /// Sends a batch. What a broker refuses as a batch it may take message by message, so a refused batch falls apart.
    async fn send_batch(&self, way: Way<'_>, batch: &Batch) -> Failures {
        let Err(failure) = self.confirmed(way, self.batch(way.queue, batch)).await else { return Failures::new() };
        let refused = failure.may_be_of_the_batch();
        let error = self.failed(way.queue, failure);
        if !refused {
            return batch.messages.iter().map(|message| (message.index, error.clone())).collect();
        }
        let mut failures = Failures::new();
        let mut singles = batch.singles();
        while let Some(single) = singles.next() {
            let sent =
                if single.body.is_empty() && batch.messages.len() == 1 { Err(error.clone()) } else { self.send_single(way, &single).await };
            if let Err(error) = sent {
                let behind = self.behind(&error);
                failures.push((single.index, error));
                if let Some(error) = behind {
                    failures.extend(singles.map(|single| (single.index, error.clone())));
                    return failures;
                }
            }
        }
        if failures.is_empty() && error.code() == Code::Rejected {
            self.learn(batch, &error);
        }
        failures
    }

    /// A batch was refused and each of its messages was taken: the next batches are made so that they are taken.
    fn learn(&self, batch: &Batch, error: &Error) {
        let mut taste = self.taste.lock();
        let before = *taste;
        if error.reason.contains("TopicMessageType") && batch.has_sharding_key() {
            taste.keyed = false;
        } else if batch.body.len() > limit::SMALLEST_BATCH {
            taste.batch = taste.batch.min(batch.body.len() / 2).max(limit::SMALLEST_BATCH);
        }
        if *taste != before {
            tracing::info!(topic = self.topic, ?taste, %error, "a batch was refused whose messages were taken one by one; batches change");
        }
    }

    async fn send_single(&self, way: Way<'_>, single: &Single) -> Result<(), Error> {
        let queue = way.queue;
        if single.is_binary && self.taste().batch > 0 && !single.body.is_empty() {
            match self.confirmed(way, self.batch(queue, &single.as_batch())).await {
                Err(failure) if failure.may_be_of_the_batch() => self.tell_changed(&failure),
                sent => return sent.map_err(|failure| self.failed(queue, failure)),
            }
        }
        // A broker fails at a request without a body unless it is a batch.
        let request = if single.body.is_empty() {
            self.batch(queue, &single.as_batch())
        } else {
            self.single(queue, single).body(single.body.clone())
        };
        let sent = self.confirmed(way, request).await;
        sent.map_err(|failure| {
            let mut error = self.failed(queue, failure);
            if error.code() == Code::Rejected {
                let (body, properties) = (single.body.len(), single.properties.len());
                error.reason += &format!(
                    "; the message has a body of {body} bytes, and properties of {properties} bytes before the broker adds its own"
                );
            }
            error
        })
    }

    /// Says once that a broker takes properties as text only.
    fn tell_changed(&self, failure: &Failure) {
        if !self.changed.swap(true, Ordering::Relaxed) {
            let topic = &self.topic;
            tracing::warn!(topic, ?failure, "properties that are not UTF-8 go as text, as every Java client reads them: no batch is taken");
        }
    }

    /// A send of one message, without its body.
    pub(crate) fn single(&self, queue: &Queue, single: &Single) -> Request {
        self.message(Request::new(request::SEND_MESSAGE_V2), queue, single.born)
            .number("f", single.system_flag)
            .number("h", single.flag)
            .field("i", single.properties_text())
            .field("m", "false")
    }

    fn batch(&self, queue: &Queue, batch: &Batch) -> Request {
        self.message(Request::new(request::SEND_BATCH_MESSAGE), queue, batch.born)
            .number("f", batch.system_flag)
            .field("h", "0")
            .field("i", "")
            .field("m", "true")
            .body(batch.body.clone())
    }

    /// The fields that all sends share (`SendMessageRequestHeaderV2`).
    fn message(&self, request: Request, queue: &Queue, born: Born) -> Request {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        request
            .field("a", self.group.clone())
            .field("b", self.topic.clone())
            .field("c", "TBW102")
            .field("d", "4")
            .number("e", queue.id)
            .number("g", born.or(u64::try_from(now).unwrap_or(u64::MAX)))
            .field("j", "0")
            .field("k", "false")
            .field("n", queue.broker.clone())
    }

    fn failed(&self, queue: &Queue, failure: Failure) -> Error {
        self.client.doubt_route(&self.topic);
        failure.during(format!("send to topic {}, broker {}, queue {}", self.topic, queue.broker, queue.id))
    }

    /// Sends and waits until the broker has stored it as durably as it is set up to.
    ///
    /// A synchronous broker that could not flush, or not reach its replica, in time has it in memory only. RocketMQ's own client returns such a
    /// send as done, with a status; here it is a failure, and the repeat may duplicate. A master that merely has no replica now has stored it,
    /// and repeating would mend nothing.
    async fn confirmed(&self, way: Way<'_>, request: Request) -> Result<(), Failure> {
        let broker = &way.queue.broker;
        let Some(address) = way.route.master(broker) else {
            let reason = format!("broker {broker} has no master now");
            return Err(Failure::Lost { address: self.client.name_servers(), reason });
        };
        let limit = patience(request.body.len());
        // What nobody waits for any more is not sent any more.
        let (permit, until) = (way.permit.clone(), Instant::now() + limit);
        let request = request.permitted(Permit::new(move || permit.holds() && Instant::now() < until));
        let response = if request.body.len() > limit::SHARED {
            self.long.exchange(address, way.queue, request, limit).await?
        } else {
            self.client.exchange(address, request, limit).await?
        };
        match response.code {
            response::SUCCESS | response::SLAVE_NOT_AVAILABLE => Ok(()),
            _ => Err(Failure::refused(address, &response)),
        }
    }
}

/// How long a request with so long a body may take.
fn patience(bytes: usize) -> Duration {
    SEND_ANSWER + Duration::from_secs(bytes as u64 / SLOWEST)
}

impl Content {
    fn indices(&self) -> impl Iterator<Item = usize> {
        let (batch, single) = match self {
            Self::Batch(batch) => (&batch.messages[..], None),
            Self::Single(single) => (&[][..], Some(single.index)),
        };
        batch.iter().map(|message| message.index).chain(single)
    }
}

#[cfg(test)]
mod tests {
    use rocketbridge_model::{Envelope, Event, Place};

    use super::*;

    /// *Scenario*: deliveries of several queues that one partition received, and deliveries that were read from one queue. *Guarantees*: each goes where messages of
    /// its queue go, whoever received it; the others go where their lane goes.
    #[test]
    fn messages_of_one_queue_stay_in_one_queue_whoever_received_them() {
        let writable: Vec<Queue> = (0..4).map(|id| Queue { broker: "x".into(), id }).collect();
        let delivery = |place: Option<u32>| {
            let place = place.map(|queue| Arc::new(Place { broker: "a".into(), queue, offset: 1 }));
            let event = Event { offset: 1, envelope: Envelope { place, ..Envelope::default() }, attributes: None };
            Delivery { receipt: 0, event, parameters: Vec::new(), rejected: None }
        };
        let received: Vec<Delivery> = [0, 3, 0, 5, 1].map(|queue| delivery(Some(queue))).into();
        assert_eq!(own_queues(&received, &writable), [0, 3, 0, 1, 1]);
        assert!(own_queues(&[delivery(None)], &writable).is_empty());
    }

    /// *Scenario*: failures of both kinds at several queues. *Guarantees*: each delivery has its own result: what a broker took while another one
    /// was down is not sent again.
    #[test]
    fn each_delivery_has_its_own_result() {
        let error = |code: Code| Error::new(code, "send", "because");
        let failures = [(5, error(Code::Unavailable)), (1, error(Code::Rejected)), (3, error(Code::Unavailable))];
        let results = results(7, &[2], failures.into_iter());
        assert!(matches!((&results[0], &results[2]), (Ok(Arrival::Stored), Ok(Arrival::Looped))));
        let codes: Vec<_> = results.into_iter().map(|result| result.err().map(|error| error.code())).collect();
        let down = Some(Code::Unavailable);
        assert_eq!(codes, [None, Some(Code::Rejected), None, down, None, down, None]);
    }
}
