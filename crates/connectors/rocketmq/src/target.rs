//! A topic as a target: deliveries as batches to one queue per lane, confirmed by the broker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use rocketbridge_connector::{Code, Error, LaneKey, Target};
use rocketbridge_model::Origin;
use rocketbridge_model::session::Delivery;

use crate::client::Client;
use crate::encode::{self, Batch, Content, Part, Placement, Single};
use crate::error::Failure;
use crate::provenance;
use crate::remoting::Request;
use crate::remoting::code::{request, response};
use crate::route::{Queue, Route};

/// How long a broker may take to store what it was sent.
const SEND_ANSWER: Duration = Duration::from_secs(10);
/// The producer group of everything that RocketBridge sends: brokers use it in statistics and for access control only.
const GROUP: &str = "rocketbridge";

/// A topic.
pub(crate) struct TopicTarget {
    client: Arc<Client>,
    topic: String,
    sender: Sender,
    orderly: bool,
}

/// Sends parts to the queues of a topic.
pub(crate) struct Sender {
    client: Arc<Client>,
    /// Wire name of the topic.
    topic: String,
    group: String,
}

/// What became of the deliveries of some parts: those that failed, by index.
type Failures = Vec<(usize, Error)>;

impl TopicTarget {
    pub(crate) fn new(client: Arc<Client>, topic: &str, orderly: bool) -> Self {
        Self { sender: Sender::new(Arc::clone(&client), topic), client, topic: topic.to_owned(), orderly }
    }

    async fn deliver_all(&self, origin: &Origin, deliveries: &[Delivery]) -> Vec<Result<(), Error>> {
        let attempt = format!("send to topic {} of {}", self.topic, self.client.name_servers());
        let route = match self.sender.route(&attempt).await {
            Ok(route) => route,
            Err(error) => return vec![Err(error); deliveries.len()],
        };
        let queues = route.writable().len();
        let placement = Placement {
            queue: origin.queue as usize % queues,
            queues,
            orderly: self.orderly,
            provenance: Some(&provenance::prefix(origin)),
            attempt: &attempt,
        };
        let plan = encode::plan(deliveries, &placement);
        let mut by_queue: BTreeMap<usize, Vec<Part>> = BTreeMap::new();
        for part in plan.parts {
            by_queue.entry(part.queue).or_default().push(part);
        }
        let sent = by_queue.into_iter().map(|(index, parts)| self.sender.send_in_order(&route, &route.writable()[index], parts));
        let failures = join_all(sent).await;
        results(deliveries.len(), plan.refused.into_iter().chain(failures.into_iter().flatten()))
    }
}

impl Target for TopicTarget {
    fn deliver<'a>(&'a self, _lane: &'a LaneKey, origin: &'a Origin, deliveries: &'a [Delivery]) -> BoxFuture<'a, Vec<Result<(), Error>>> {
        self.deliver_all(origin, deliveries).boxed()
    }
}

/// One result per delivery. From the first failure that trying again may mend everything counts as failed, also what another queue
/// took: a repeat is then a contiguous replay.
fn results(count: usize, failures: impl Iterator<Item = (usize, Error)>) -> Vec<Result<(), Error>> {
    let mut results = vec![Ok(()); count];
    let mut first: Option<(usize, Error)> = None;
    for (index, error) in failures {
        if error.code() != Code::Rejected && first.as_ref().is_none_or(|(earlier, _)| index < *earlier) {
            first = Some((index, error.clone()));
        }
        results[index] = Err(error);
    }
    if let Some((first, error)) = first {
        for result in &mut results[first..] {
            if !matches!(result, Err(refused) if refused.code() == Code::Rejected) {
                *result = Err(error.clone());
            }
        }
    }
    results
}

impl Sender {
    pub(crate) fn new(client: Arc<Client>, topic: &str) -> Self {
        Self { topic: client.wire_name(topic), group: client.wire_name(GROUP), client }
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
    pub(crate) async fn send_in_order(&self, route: &Route, queue: &Queue, parts: Vec<Part>) -> Failures {
        let mut failures = Failures::new();
        let mut stopped: Option<Error> = None;
        for part in parts {
            if let Some(error) = &stopped {
                failures.extend(part.content.indices().map(|index| (index, error.clone())));
                continue;
            }
            let failed = match part.content {
                Content::Batch(batch) => self.send_batch(route, queue, &batch).await,
                Content::Single(single) => self.send_single(route, queue, single).await,
            };
            stopped = failed.iter().map(|(_, error)| error).find(|error| error.code() != Code::Rejected).cloned();
            failures.extend(failed);
        }
        failures
    }

    async fn send_batch(&self, route: &Route, queue: &Queue, batch: &Batch) -> Failures {
        let Err(error) = self.confirmed(route, queue, self.batch(queue, batch.body.clone())).await else { return Failures::new() };
        if error.code() != Code::Rejected || batch.messages.len() == 1 {
            return batch.messages.iter().map(|(index, _)| (*index, error.clone())).collect();
        }
        // Something in the batch is refused for good: alone, each message shows whether it is the one.
        let mut failures = Failures::new();
        let mut start = 0;
        let mut messages = batch.messages.iter();
        while let Some((index, end)) = messages.next() {
            if let Err(error) = self.confirmed(route, queue, self.batch(queue, batch.body.slice(start..*end))).await {
                let stop = error.code() != Code::Rejected;
                failures.push((*index, error.clone()));
                if stop {
                    failures.extend(messages.map(|(index, _)| (*index, error.clone())));
                    return failures;
                }
            }
            start = *end;
        }
        failures
    }

    async fn send_single(&self, route: &Route, queue: &Queue, single: Single) -> Failures {
        let request = self
            .message(Request::new(request::SEND_MESSAGE_V2), queue)
            .number("f", single.system_flag)
            .number("h", single.flag)
            .field("i", single.properties)
            .field("m", "false")
            .body(single.body);
        match self.confirmed(route, queue, request).await {
            Ok(()) => Failures::new(),
            Err(error) => vec![(single.index, error)],
        }
    }

    fn batch(&self, queue: &Queue, body: bytes::Bytes) -> Request {
        self.message(Request::new(request::SEND_BATCH_MESSAGE), queue)
            .field("f", "0")
            .field("h", "0")
            .field("i", "")
            .field("m", "true")
            .body(body)
    }

    /// The fields that all sends share (`SendMessageRequestHeaderV2`).
    fn message(&self, request: Request, queue: &Queue) -> Request {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        request
            .field("a", self.group.clone())
            .field("b", self.topic.clone())
            .field("c", "TBW102")
            .field("d", "4")
            .number("e", queue.id)
            .number("g", now)
            .field("j", "0")
            .field("k", "false")
            .field("n", queue.broker.clone())
    }

    /// Sends and waits until the broker has stored it as durably as it is set up to.
    ///
    /// A synchronous broker that could not flush, or not reach its replica, in time has it in memory only: that is a failure, and the
    /// repeat may duplicate. A master that merely has no replica now has stored it, and repeating would mend nothing.
    async fn confirmed(&self, route: &Route, queue: &Queue, request: Request) -> Result<(), Error> {
        let failed = |failure: Failure| {
            self.client.doubt_route(&self.topic);
            failure.during(format!("send to topic {}, broker {}, queue {}", self.topic, queue.broker, queue.id))
        };
        let Some(address) = route.master(&queue.broker) else {
            let reason = format!("broker {} has no master now", queue.broker);
            return Err(failed(Failure::Lost { address: self.client.name_servers(), reason }));
        };
        let response = self.client.exchange(address, request, SEND_ANSWER).await.map_err(failed)?;
        match response.code {
            response::SUCCESS | response::SLAVE_NOT_AVAILABLE => Ok(()),
            _ => Err(failed(Failure::refused(address, &response))),
        }
    }
}

impl Content {
    fn indices(&self) -> impl Iterator<Item = usize> {
        let (batch, single) = match self {
            Self::Batch(batch) => (&batch.messages[..], None),
            Self::Single(single) => (&[][..], Some(single.index)),
        };
        batch.iter().map(|(index, _)| *index).chain(single)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: Code) -> Error {
        Error::new(code, "send", "because")
    }

    /// *Scenario*: failures of both kinds at several queues. *Guarantees*: refusals stand alone; from the first other failure all fail.
    #[test]
    fn results_are_a_contiguous_replay() {
        let failures = [(5, error(Code::Unavailable)), (1, error(Code::Rejected)), (3, error(Code::Denied)), (4, error(Code::Rejected))];
        let results = results(7, failures.into_iter());
        let codes: Vec<_> = results.into_iter().map(|result| result.err().map(|error| error.code())).collect();
        let (denied, rejected) = (Some(Code::Denied), Some(Code::Rejected));
        assert_eq!(codes, [None, rejected, None, denied, rejected, denied, denied]);
    }
}
