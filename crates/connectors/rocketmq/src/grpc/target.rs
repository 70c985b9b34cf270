//! A topic as a target over gRPC: messages of the type that the topic takes, confirmed by the proxy.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use rocketbridge_compression as compression;
use rocketbridge_connector::{Arrival, Code, Error, LaneKey, Permit, Target};
use rocketbridge_model::Origin;
use rocketbridge_model::session::{Delivery, ParameterKey};
use rocketbridge_rocketmq_proto::v2::{self, Code as Answered, MessageType};
use tonic::Status;

use super::chain::{self, Chain};
use super::client::Client;
use super::outgoing::{self, Destination, Ready};
use super::producer::{Checks, Producer};
use super::route::Route;
use crate::error::Failure;
use crate::outgoing::{Making, Outgoing};
use crate::provenance::Provenance;
use crate::via::Guard;

/// How long a proxy may take to store what it was sent.
const SEND_ANSWER: Duration = Duration::from_secs(10);
/// How many messages of one lane are under way at once.
const CHAINS: usize = 32;

/// A topic.
pub(crate) struct TopicTarget {
    client: Arc<Client>,
    topic: v2::Resource,
    producer: Arc<Producer>,
    /// Whether messages must keep their order.
    orderly: bool,
    /// What looks for loops.
    guard: Option<Guard>,
    /// Whether nothing is added to a message.
    bare: bool,
    /// Whether it was said that something was left out.
    left_out: AtomicBool,
    /// Number of the proxy that is asked, among those of the topic.
    proxy: AtomicUsize,
}

/// Where a lane's calls go.
struct Way {
    /// The proxy.
    address: String,
    /// Whether the lane's owner may still send.
    permit: Permit,
    /// Whether the topic says which types of message it takes.
    is_typed: bool,
    /// What the proxy checks of messages.
    checks: Checks,
}

/// Deliveries that failed, by index.
type Failures = Vec<(usize, Error)>;

/// What deliveries come to before anything is sent.
#[derive(Default)]
struct Made {
    messages: Vec<(usize, Ready)>,
    looped: Vec<usize>,
    failures: Failures,
}

impl TopicTarget {
    pub(crate) fn new(client: Arc<Client>, topic: &str, orderly: bool, guard: Option<Guard>) -> Self {
        let topic = client.resource(topic);
        Self {
            producer: Arc::new(Producer::new(&client, &topic)),
            topic,
            client,
            orderly,
            guard,
            bare: false,
            left_out: AtomicBool::new(false),
            proxy: AtomicUsize::new(0),
        }
    }

    fn attempt(&self) -> String {
        format!("send to topic {} through proxy {}", self.topic.name, self.client.endpoints())
    }

    async fn deliver_all(&self, origin: &Origin, permit: &Permit, deliveries: &[Delivery]) -> Vec<Result<Arrival, Error>> {
        let attempt = self.attempt();
        let (route, way) = match self.route(permit).await {
            Ok(found) => found,
            Err(error) => return vec![Err(error); deliveries.len()],
        };
        let plain = plain_bodies(deliveries).await;
        let Made { messages, looped, mut failures } = self.make(origin, deliveries, (&route, way.checks), &plain, &attempt);
        let chains = chain::chains(messages);
        let sent: Vec<Failures> =
            stream::iter(chains).map(|chain| self.send_in_order(&way, chain)).buffer_unordered(CHAINS).collect().await;
        failures.extend(sent.into_iter().flatten());
        let mut results = vec![Ok(Arrival::Stored); deliveries.len()];
        for index in looped {
            results[index] = Ok(Arrival::Looped);
        }
        for (index, error) in failures {
            results[index] = Err(error);
        }
        results
    }

    /// The topic's route and the proxy to send to.
    async fn route(&self, permit: &Permit) -> Result<(Arc<Route>, Way), Error> {
        let route = self.client.route(&self.topic).await.map_err(|failure| failure.during(self.attempt()))?;
        if route.types.only(MessageType::Transaction) {
            let reason = "it takes transactional messages only, which a stream does not send; choose a topic of another type";
            return Err(Error::new(Code::Denied, self.attempt(), reason));
        }
        let proxies: Vec<_> = route.writable().flat_map(|broker| &broker.endpoints).collect();
        match proxies.len() {
            0 => {
                self.client.doubt_route(&self.topic);
                Err(Error::new(Code::Unavailable, self.attempt(), "the topic has no writable queue now"))
            }
            count => {
                let address = proxies[self.proxy.load(Ordering::Relaxed) % count].clone();
                let is_typed = route.types.is_said();
                let checks = self.producer.checks(&address).await;
                Ok((route, Way { address, permit: permit.clone(), is_typed, checks }))
            }
        }
    }

    fn make(
        &self,
        origin: &Origin,
        deliveries: &[Delivery],
        (route, checks): (&Route, Checks),
        plain: &HashMap<usize, Result<Bytes, String>>,
        attempt: &str,
    ) -> Made {
        let provenance = Provenance::of(origin).guarded(self.guard.as_ref());
        let making = if self.bare { Making::Bare } else { Making::Routed(&provenance) };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        let destination = Destination { topic: &self.topic, types: route.types, checks, orderly: self.orderly, now };
        let mut properties = Vec::with_capacity(1024);
        let mut all = Made::default();
        for (index, delivery) in deliveries.iter().enumerate() {
            if making.is_loop(delivery) {
                all.looped.push(index);
                continue;
            }
            let made = Outgoing::of(delivery, making, &mut properties).and_then(|made| match plain.get(&index) {
                Some(Ok(body)) => Ok(outgoing::with_plain_body(made, body.clone())),
                Some(Err(reason)) => Err(reason.clone()),
                None => Ok(made),
            });
            let event = &delivery.event;
            let ready = made.and_then(|made| outgoing::message(made, &properties, &event.envelope, event.whence(origin), &destination));
            match ready {
                Ok(ready) => {
                    self.tell_left_out(&ready);
                    all.messages.push((index, ready));
                }
                Err(reason) => {
                    all.failures
                        .push((index, Error::new(Code::Rejected, format!("{attempt} the event at offset {}", event.offset), reason)));
                }
            }
        }
        all
    }

    fn tell_left_out(&self, ready: &Ready) {
        if !ready.left_out.is_empty() && !self.left_out.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                topic = self.topic.name,
                properties = ready.left_out.join(", "),
                "messages go without these, which gRPC does not carry or for which there is no room"
            );
        }
    }

    /// Sends the messages of a chain one after the other; after the first failure that trying again may mend, the rest is not attempted.
    async fn send_in_order(&self, way: &Way, chain: Chain) -> Failures {
        let mut failures = Failures::new();
        let mut stopped: Option<Error> = None;
        for (index, ready) in chain {
            let error = match &stopped {
                Some(error) => error.clone(),
                None => match self.confirmed(way, ready.message).await {
                    Ok(()) => continue,
                    Err(failure) => self.failed(way, failure),
                },
            };
            if error.code() != Code::Rejected {
                stopped = Some(error.clone());
            }
            failures.push((index, error));
        }
        failures
    }

    /// Sends a message and waits until the proxy has confirmed that it is stored as durably as its broker is set up to.
    ///
    /// A broker that could not flush, or not reach its replica, in time has it in memory only: a failure, and the repeat may duplicate. One that merely has no
    /// replica now has stored it.
    async fn confirmed(&self, way: &Way, message: v2::Message) -> Result<(), Failure> {
        let address = way.address.as_str();
        let unsent = "it was not sent, as another process may own the lane by now";
        if !way.permit.holds() {
            return Err(Failure::Lost { address: address.to_owned(), reason: unsent.to_owned() });
        }
        let request = v2::SendMessageRequest { messages: vec![message] };
        let sent = self.client.call(address, &self.producer.id, SEND_ANSWER, request, |mut stub, request| async move {
            // Asked anew where the call is made again with newer keys.
            if !way.permit.holds() {
                return Err(Status::unavailable(unsent));
            }
            stub.send_message(request).await
        });
        let answer = sent.await?;
        let stored = |code: i32| code == Answered::Ok as i32 || code == Answered::HaNotAvailable as i32;
        // The entry says it more exactly than the whole does.
        let status = answer.entries.iter().find_map(|entry| entry.status.as_ref());
        match status.or(answer.status.as_ref()) {
            Some(status) if stored(status.code) && answer.entries.is_empty() => {
                Err(Failure::nonsense(address, "a confirmation that names no message"))
            }
            Some(status) if stored(status.code) => Ok(()),
            status => self.client.accepted(address, status),
        }
    }

    fn failed(&self, way: &Way, failure: Failure) -> Error {
        let is_untyped = is_untyped(way, &failure);
        let mut error = failure.during(self.attempt());
        if is_untyped {
            // The messages are not at fault: a person must say what the topic is for.
            error.code = Code::Denied;
            error.reason +=
                "; the topic has no type, and a proxy that checks types takes nothing for it: mqadmin updateTopic -a +message.type=NORMAL";
        }
        if error.code() != Code::Rejected {
            self.client.doubt_route(&self.topic);
            self.proxy.fetch_add(1, Ordering::Relaxed);
        }
        error
    }
}

impl Target for TopicTarget {
    fn concern(&self) -> Option<String> {
        self.client.concern()
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

    fn bare(&self) -> Option<Arc<dyn Target>> {
        let bare = Self {
            client: Arc::clone(&self.client),
            topic: self.topic.clone(),
            producer: Arc::clone(&self.producer),
            orderly: self.orderly,
            guard: None,
            bare: true,
            left_out: AtomicBool::new(false),
            proxy: AtomicUsize::new(0),
        };
        (!self.bare).then(|| Arc::new(bare) as Arc<dyn Target>)
    }
}

/// Whether a refusal is that of a topic without a type.
fn is_untyped(way: &Way, failure: &Failure) -> bool {
    let conflict = Answered::MessagePropertyConflictWithType as i32;
    !way.is_typed && matches!(failure, Failure::Refused { code, .. } if *code == conflict)
}

/// The bodies that must be made plain, by index. It takes time and memory, so it is done off the asynchronous threads.
async fn plain_bodies(deliveries: &[Delivery]) -> HashMap<usize, Result<Bytes, String>> {
    let is_replaced = |delivery: &Delivery| delivery.parameters.iter().any(|parameter| parameter.key == ParameterKey::Body);
    let compressed: Vec<_> = deliveries
        .iter()
        .enumerate()
        .filter(|(_, delivery)| outgoing::must_be_plain(delivery.event.envelope.system_flag) && !is_replaced(delivery))
        .map(|(index, delivery)| (index, delivery.event.envelope.clone()))
        .collect();
    if compressed.is_empty() {
        return HashMap::new();
    }
    let failed: Vec<_> = compressed.iter().map(|(index, _)| *index).collect();
    let plain = move || {
        let plain = |envelope| match compression::plain(&envelope) {
            Ok(body) => Ok(body.into_owned()),
            Err(error) => Err(format!("gRPC has no word for its kind of compression, and {error}")),
        };
        compressed.into_iter().map(|(index, envelope)| (index, plain(envelope))).collect()
    };
    let stopped = || failed.iter().map(|index| (*index, Err("the process is stopping".to_owned()))).collect();
    tokio::task::spawn_blocking(plain).await.unwrap_or_else(|_| stopped())
}
