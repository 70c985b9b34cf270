//! A topic as a source over gRPC: messages are received, extended while they are under way, and acknowledged.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use rocketbridge_connector::{Error, Handle, HandleSource, Handles, OpenReceiver, PullLimits, Received, Receiver, Start, Terms};
use rocketbridge_rocketmq_proto::v2::receive_message_response::Content;
use rocketbridge_rocketmq_proto::v2::{self, Code as Answered};
use tokio::time::{Instant, sleep, timeout};
use tonic::Request;
use uuid::Uuid;

use super::client::ANSWER;
use super::consumer::{Consumer, Seat};
use super::route::Route;
use super::session::Agreed;
use super::{assignment, incoming, lag, start};
use crate::error::Failure;

/// How long a proxy may hold a request for messages; it refuses less.
const POLL: Duration = Duration::from_secs(5);
/// How much longer the answer may take.
const POLL_GRACE: Duration = Duration::from_secs(5);
/// How long a message stays invisible. Proxies refuse less than 10 s; what a router that died had comes again after this long.
const INVISIBLE: Duration = Duration::from_secs(30);
/// How soon a message that is given back comes again: what the proxy itself uses.
const RELEASE: Duration = Duration::from_secs(1);
/// Most messages that a broker hands out at once (`ProxyUtils.MAX_MSG_NUMS_FOR_POP_REQUEST`).
const BATCH: u32 = 32;
/// Handles in one call of ours, and extensions under way at once: each is a call of its own to the proxy.
const HANDLES: u32 = 128;
const EXTENSIONS: usize = 32;
/// Messages that one partition has under way. Blocked, each costs a call every 15 s.
const WINDOW: u32 = 512;
/// Receivers side by side: at least so many, or twice the brokers, and not more.
const LEAST_RECEIVERS: usize = 8;
const MOST_RECEIVERS: usize = 64;
/// So long before the last time that a message is handed out it is told.
const LAST_ATTEMPTS: u32 = 3;

/// A topic that is received from for a group.
pub(crate) struct TopicSource(Arc<Consumer>);

impl TopicSource {
    pub(crate) fn new(consumer: Arc<Consumer>) -> Self {
        Self(consumer)
    }

    async fn look(&self) -> Result<Terms, Failure> {
        let route = self.0.client.fresh_route(&self.0.topic).await?;
        let proxy = route.readable().next().map(|broker| broker.endpoints[0].clone());
        let gone = || Failure::Lost { address: self.0.client.endpoints(), reason: "the topic has no readable queue now".to_owned() };
        let agreed = self.0.agreed(&proxy.ok_or_else(gone)?).await?;
        Ok(terms(&route, agreed))
    }
}

/// What follows from a route and from what was agreed upon.
fn terms(route: &Route, agreed: Agreed) -> Terms {
    let (brokers, queues) = (route.readable().count(), route.readable().map(|broker| broker.readable).sum::<usize>());
    let mut receivers = LEAST_RECEIVERS.max(2 * brokers).min(MOST_RECEIVERS);
    if agreed.is_ordered {
        // A queue waits for what was handed out of it, so more receivers than queues would wait for nothing.
        receivers = receivers.min(queues.max(brokers)).max(1);
    }
    Terms {
        partitions: u32::try_from(receivers).unwrap_or(1),
        invisible: INVISIBLE,
        batch: BATCH,
        handles: HANDLES,
        window: WINDOW,
        is_ordered: agreed.is_ordered,
    }
}

impl HandleSource for TopicSource {
    fn concern(&self) -> Option<String> {
        self.0.client.concern().or_else(|| self.0.unheld.concern())
    }

    fn terms(&self) -> BoxFuture<'_, Result<Terms, Error>> {
        let attempt = || format!("find topic {} through proxy {}", self.0.topic.name, self.0.client.endpoints());
        async move { self.look().await.map_err(|failure| failure.during(attempt())) }.boxed()
    }

    fn waiting(&self) -> BoxFuture<'_, Result<Option<u64>, Error>> {
        lag::waiting(&self.0).boxed()
    }

    fn open(&self, start: Start) -> BoxFuture<'_, Result<OpenReceiver, Error>> {
        async move {
            start::place(&self.0, start).await?;
            let receiver = TopicReceiver { seat: self.0.seat(), turn: 0, weight: 0, attempt: None };
            let handles = TopicHandles { consumer: Arc::clone(&self.0), proxy: AtomicUsize::new(0) };
            Ok(OpenReceiver { receiver: Box::new(receiver), handles: Arc::new(handles) })
        }
        .boxed()
    }
}

/// Receives messages of one broker after another.
struct TopicReceiver {
    seat: Seat,
    /// Counts requests.
    turn: usize,
    /// What messages weighed last, bytes.
    weight: usize,
    /// Identity of a request whose answer did not arrive: of an ordered group the same messages are then handed out again at once.
    attempt: Option<String>,
}

/// How many messages to ask for, by what the last ones weighed.
fn batch(limits: PullLimits, weight: usize) -> i32 {
    let by_weight = limits.bytes as usize / weight.max(1);
    let most = limits.events.min(BATCH).min(u32::try_from(by_weight).unwrap_or(BATCH));
    i32::try_from(most.max(1)).unwrap_or(1)
}

impl TopicReceiver {
    async fn ask(&mut self, limits: PullLimits, invisible: Duration) -> Result<Vec<Received>, Failure> {
        let consumer = Arc::clone(self.seat.consumer());
        let route = consumer.route().await?;
        let brokers: Vec<_> = route.readable().collect();
        let (rank, receivers) = self.seat.rank();
        let broker = brokers[assignment::broker(rank, receivers, brokers.len(), self.turn)];
        let proxy = &broker.endpoints[self.turn % broker.endpoints.len()];
        self.turn = self.turn.wrapping_add(1);
        let agreed = consumer.agreed(proxy).await?;
        let attempt = agreed.is_ordered.then(|| self.attempt.get_or_insert_with(|| Uuid::new_v4().to_string()).clone());
        let request = v2::ReceiveMessageRequest {
            group: Some(consumer.group.clone()),
            message_queue: Some(v2::MessageQueue {
                topic: Some(consumer.topic.clone()),
                // Any queue of the broker.
                id: -1,
                broker: Some(v2::Broker { name: broker.name.clone(), ..v2::Broker::default() }),
                ..v2::MessageQueue::default()
            }),
            filter_expression: Some(consumer.filter.clone()),
            batch_size: batch(limits, self.weight),
            invisible_duration: prost_types::Duration::try_from(invisible).ok(),
            auto_renew: false,
            long_polling_timeout: prost_types::Duration::try_from(POLL).ok(),
            attempt_id: attempt,
        };
        let began = Instant::now();
        let received = receive(&consumer, proxy, request).await.inspect_err(|failure| consumer.doubt(proxy, failure))?;
        self.attempt = None;
        // Nothing was received where this waits, so nothing is lost if it is given up.
        sleep(consumer.unheld.note(&broker.name, received.len(), began.elapsed())).await;
        if !received.is_empty() {
            self.weight = received.iter().map(|received| received.event.size()).sum::<usize>() / received.len();
        }
        tell_last_attempts(&consumer, agreed, &received);
        Ok(received)
    }
}

/// Asks; again with newer keys where that was refused for its own.
async fn receive(consumer: &Consumer, proxy: &str, message: v2::ReceiveMessageRequest) -> Result<Vec<Received>, Failure> {
    let mut attempts = consumer.client.attempts().await?;
    loop {
        match receive_once(consumer, proxy, attempts.request(&consumer.id, message.clone())).await {
            Err(failure) if attempts.again(failure.refuses_keys()).await => {}
            received => return received,
        }
    }
}

/// Asks once. What arrived before the answer broke off has been handed out, and counts.
async fn receive_once(consumer: &Consumer, proxy: &str, mut request: Request<v2::ReceiveMessageRequest>) -> Result<Vec<Received>, Failure> {
    let client = &consumer.client;
    request.set_timeout(POLL + POLL_GRACE / 2);
    let mut received = Vec::new();
    let answered = async {
        let mut answers = match client.stub(proxy)?.receive_message(request).await {
            Ok(response) => response.into_inner(),
            Err(status) => return Err(client.failed(proxy, &status).await),
        };
        loop {
            match answers.message().await {
                Ok(Some(v2::ReceiveMessageResponse { content: Some(content) })) => match content {
                    Content::Status(status) if status.code == Answered::MessageNotFound as i32 => {}
                    Content::Status(status) => client.accepted(proxy, Some(&status))?,
                    Content::Message(message) => match incoming::read(message) {
                        Ok(message) => received.push(message),
                        Err(reason) => tracing::warn!(proxy, topic = consumer.topic.name, reason, "a message cannot be taken"),
                    },
                    Content::DeliveryTimestamp(_) => {}
                },
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(status) => return Err(client.failed(proxy, &status).await),
            }
        }
    };
    let limit = POLL + POLL_GRACE;
    let late = || Failure::Lost { address: proxy.to_owned(), reason: format!("no answer within {} s", limit.as_secs()) };
    let ended = timeout(limit, answered).await.unwrap_or_else(|_| Err(late()));
    match ended {
        Err(failure) if received.is_empty() => Err(failure),
        _ => Ok(received),
    }
}

/// A group hands a message out so many times, and then moves it to its dead-letter topic without a word to anyone.
fn tell_last_attempts(consumer: &Consumer, agreed: Agreed, received: &[Received]) {
    let attempts = u32::try_from(agreed.attempts).unwrap_or_default();
    let nearest = received.iter().map(|received| received.attempt).max().unwrap_or_default();
    if attempts > 0 && nearest + LAST_ATTEMPTS > attempts {
        tracing::warn!(
            topic = consumer.topic.name,
            group = consumer.group.name,
            attempt = nearest,
            attempts,
            "a message was handed out nearly as often as its group allows; then its broker moves it to the group's %DLQ% topic; raise retryMaxTimes of \
             the group"
        );
    }
}

impl Receiver for TopicReceiver {
    fn receive(&mut self, limits: PullLimits, invisible: Duration) -> BoxFuture<'_, Result<Vec<Received>, Error>> {
        async move {
            self.ask(limits, invisible).await.map_err(|failure| {
                let Consumer { topic, group, .. } = &**self.seat.consumer();
                failure.during(format!("receive from topic {} for group {}", topic.name, group.name))
            })
        }
        .boxed()
    }
}

/// Looks after messages that were handed out. Any proxy takes any handle, unless proxies lead to one broker each.
struct TopicHandles {
    consumer: Arc<Consumer>,
    /// Number of the proxy that is asked, among those that lead to the broker.
    proxy: AtomicUsize,
}

impl TopicHandles {
    /// The proxy for a handle.
    async fn proxy(&self, handle: &Handle) -> Result<String, Failure> {
        let route = self.consumer.client.route(&self.consumer.topic).await?;
        let proxies = route.proxies(incoming::broker(&handle.token));
        let none = || Failure::Lost { address: self.consumer.client.endpoints(), reason: "no proxy leads to the topic now".to_owned() };
        proxies.get(self.proxy.load(Ordering::Relaxed) % proxies.len().max(1)).cloned().ok_or_else(none)
    }

    fn failed(&self, failure: Failure, attempt: &str) -> Error {
        if matches!(failure, Failure::Lost { .. }) {
            self.consumer.client.doubt_route(&self.consumer.topic);
            self.proxy.fetch_add(1, Ordering::Relaxed);
        }
        let Consumer { topic, group, .. } = &*self.consumer;
        failure.during(format!("{attempt} messages of topic {} for group {}", topic.name, group.name))
    }

    async fn change(&self, handle: &Handle, invisible: Duration) -> Result<Handle, Failure> {
        let Consumer { client, topic, group, id, .. } = &*self.consumer;
        let proxy = self.proxy(handle).await?;
        let request = v2::ChangeInvisibleDurationRequest {
            group: Some(group.clone()),
            topic: Some(topic.clone()),
            receipt_handle: handle.token.to_string(),
            invisible_duration: prost_types::Duration::try_from(invisible).ok(),
            message_id: handle.message.to_string(),
            ..v2::ChangeInvisibleDurationRequest::default()
        };
        let changed =
            client.call(&proxy, id, ANSWER, request, |mut stub, request| async move { stub.change_invisible_duration(request).await });
        let answer = changed.await?;
        client.accepted(&proxy, answer.status.as_ref())?;
        let token = if answer.receipt_handle.is_empty() { Arc::clone(&handle.token) } else { Arc::from(answer.receipt_handle) };
        Ok(Handle { message: Arc::clone(&handle.message), token })
    }

    /// Acknowledges the handles of one proxy, by their indices.
    async fn confirm(&self, proxy: &str, handles: &[(usize, &Handle)]) -> Vec<(usize, Result<(), Failure>)> {
        let Consumer { client, topic, group, id, .. } = &*self.consumer;
        let entry = |handle: &Handle| v2::AckMessageEntry {
            message_id: handle.message.to_string(),
            receipt_handle: handle.token.to_string(),
            lite_topic: None,
        };
        let request = v2::AckMessageRequest {
            group: Some(group.clone()),
            topic: Some(topic.clone()),
            entries: handles.iter().map(|(_, handle)| entry(handle)).collect(),
        };
        let sent = client.call(proxy, id, ANSWER, request, |mut stub, request| async move { stub.ack_message(request).await });
        let answer = match sent.await {
            Ok(answer) => answer,
            Err(failure) => return handles.iter().map(|(index, _)| (*index, Err(failure.clone()))).collect(),
        };
        // Entries come in any order; proxies name each by its handle.
        let entries: HashMap<_, _> = answer.entries.iter().map(|entry| (entry.receipt_handle.as_str(), entry.status.as_ref())).collect();
        let result = |handle: &Handle| match entries.get(&*handle.token) {
            Some(status) => client.accepted(proxy, *status),
            None => match client.accepted(proxy, answer.status.as_ref()) {
                Ok(()) => Err(Failure::nonsense(proxy, "an answer that leaves a message out")),
                refused => refused,
            },
        };
        handles.iter().map(|(index, handle)| (*index, result(handle))).collect()
    }
}

impl Handles for TopicHandles {
    fn extend<'a>(&'a self, handles: &'a [Handle], invisible: Duration) -> BoxFuture<'a, Vec<Result<Handle, Error>>> {
        let changed = stream::iter(handles).map(move |handle| self.change(handle, invisible)).buffered(EXTENSIONS);
        changed.map(|result| result.map_err(|failure| self.failed(failure, "extend"))).collect().boxed()
    }

    fn acknowledge<'a>(&'a self, handles: &'a [Handle]) -> BoxFuture<'a, Vec<Result<(), Error>>> {
        async move {
            let mut results: Vec<Result<(), Error>> = vec![Ok(()); handles.len()];
            let mut by_proxy: HashMap<String, Vec<(usize, &Handle)>> = HashMap::new();
            for (index, handle) in handles.iter().enumerate() {
                match self.proxy(handle).await {
                    Ok(proxy) => by_proxy.entry(proxy).or_default().push((index, handle)),
                    Err(failure) => results[index] = Err(self.failed(failure, "acknowledge")),
                }
            }
            let confirmed = by_proxy.iter().map(|(proxy, handles)| self.confirm(proxy, handles));
            for (index, result) in futures::future::join_all(confirmed).await.into_iter().flatten() {
                results[index] = result.map_err(|failure| self.failed(failure, "acknowledge"));
            }
            results
        }
        .boxed()
    }

    fn release<'a>(&'a self, handles: &'a [Handle]) -> BoxFuture<'a, Vec<Result<(), Error>>> {
        let changed = stream::iter(handles).map(|handle| self.change(handle, RELEASE)).buffered(EXTENSIONS);
        changed.map(|result| result.map(drop).map_err(|failure| self.failed(failure, "give back"))).collect().boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::super::route::{Broker, Types};
    use super::*;

    fn route(queues: &[usize]) -> Route {
        let broker = |(index, queues): (usize, &usize)| Broker {
            name: format!("b{index}"),
            endpoints: vec!["p:1".into()],
            readable: *queues,
            writable: 0,
        };
        Route { brokers: queues.iter().enumerate().map(broker).collect(), types: Types::default() }
    }

    /// *Scenario*: topics of one and of many brokers, for groups with and without order. *Guarantees*: enough receivers for every broker, bounded; with order
    /// not more than queues.
    #[test]
    fn terms_follow_the_route() {
        let partitions =
            |queues: &[usize], is_ordered| terms(&route(queues), Agreed { is_ordered, attempts: 17, ..Agreed::default() }).partitions;
        assert_eq!((partitions(&[4], false), partitions(&[4], true), partitions(&[1; 10], false)), (8, 4, 20));
        assert_eq!((partitions(&[1; 100], false), partitions(&[1], true)), (64, 1));
        assert!(terms(&route(&[4]), Agreed { is_ordered: true, ..Agreed::default() }).is_ordered);
    }

    /// *Scenario*: small and large limits, light and heavy messages. *Guarantees*: at least one message, at most what a broker hands out, and about the
    /// bytes that were asked for.
    #[test]
    fn a_batch_is_bounded_by_weight() {
        let limits = |events, bytes| PullLimits { events, bytes, ahead: false };
        assert_eq!(batch(limits(512, 1 << 20), 0), 32);
        assert_eq!(batch(limits(10, 1 << 20), 1_000), 10);
        assert_eq!(batch(limits(512, 1 << 20), 400_000), 2);
        assert_eq!(batch(limits(512, 1 << 20), 4 << 20), 1);
        assert_eq!(batch(limits(0, 0), 10), 1);
    }
}
