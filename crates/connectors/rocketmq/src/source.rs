//! A topic as a source: its queues read at explicit offsets, progress committed to the consumer group.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use rocketbridge_connector::{Code, Error, OffsetSource, OpenPartition, Partition, PartitionReader, PullLimits, Pulled, Survey};
use rocketbridge_model::PartitionId;
use rocketbridge_model::partition::Landmark;
use rocketbridge_model::resolved::{RocketMqSource, StartPosition};

use crate::client::{Client, Exchange};
use crate::committer::Committer;
use crate::error::Failure;
use crate::names::Names;
use crate::offsets::Offsets;
use crate::presence::{Presence, Subscription};
use crate::pull::{self, Evaluator};
use crate::route::Queue;
use crate::settings;

/// How long a broker may hold a pull that finds nothing. Java brokers look every 5 s and may answer that
/// much later.
const SUSPEND: Duration = Duration::from_secs(3);
/// How long a pull may take before its connection is taken for dead.
const PULL_ANSWER: Duration = Duration::from_secs(15);
/// How many messages before the offset that a broker found for a time are looked at first.
const NEAR: u64 = 16;

/// A topic that is read for a consumer group.
pub(crate) struct TopicSource {
    topic: Topic,
    presence: Arc<Presence>,
}

/// A topic that is read.
pub(crate) struct Topic {
    client: Arc<Client>,
    definition: RocketMqSource,
    names: Arc<Names>,
}

/// Reads one queue. One pull is asked for ahead, where that is allowed, while the events of the former are being worked on.
struct QueueReader {
    client: Arc<Client>,
    names: Arc<Names>,
    queue: Queue,
    /// Whether its broker compacts the topic; `None` before it was asked.
    is_compacted: Option<bool>,
    /// Who evaluates an SQL92 filter; `None` until a broker has answered. Only those of Apache RocketMQ are known to evaluate it as they should.
    evaluator: Option<Evaluator>,
    ahead: Option<Ahead>,
}

struct Ahead {
    offset: u64,
    asked: Asked,
}

/// A pull under way.
struct Asked {
    exchange: Exchange,
    evaluator: Evaluator,
}

impl TopicSource {
    pub(crate) fn new(presence: Arc<Presence>, definition: RocketMqSource) -> Self {
        Self { topic: Topic::new(Arc::clone(presence.client()), definition), presence }
    }

    async fn open_queue(&self, partition: &Partition) -> Result<OpenPartition, Error> {
        let Topic { client, definition, names } = &self.topic;
        let queue = Queue { broker: partition.broker.clone(), id: partition.queue };
        let attempt = || format!("open topic {}, broker {}, queue {}", definition.topic, queue.broker, queue.id);
        let route = client.route(&names.topic).await.map_err(|failure| failure.during(attempt()))?;
        if !route.readable().contains(&queue) {
            client.doubt_route(&names.topic);
            return Err(Error::new(Code::NotFound, attempt(), "the queue is not in the topic's route"));
        }
        let subscription = Subscription {
            broker: queue.broker.clone(),
            group: names.group.clone(),
            topic: names.topic.clone(),
            expression: names.expression.clone(),
        };
        let attendance = self.presence.attend(subscription);
        let reader = self.topic.reader(partition);
        let committer = Committer::new(Arc::clone(client), Arc::clone(names), queue, attendance);
        Ok(OpenPartition { reader: Box::new(reader), committer: Box::new(committer) })
    }
}

impl Topic {
    /// A topic, without any presence of a group.
    pub(crate) fn new(client: Arc<Client>, definition: RocketMqSource) -> Self {
        let names = Names::new(&client, &definition);
        Self { client, definition, names: Arc::new(names) }
    }

    /// The queues there are now.
    pub(crate) async fn list(&self) -> Result<Vec<Partition>, Error> {
        let attempt = || format!("find the queues of topic {} by name server {}", self.definition.topic, self.client.name_servers());
        let route = self.client.fresh_route(&self.names.topic).await.map_err(|failure| failure.during(attempt()))?;
        if route.readable().is_empty() {
            return Err(Error::new(Code::NotFound, attempt(), "the topic has no readable queue"));
        }
        Ok(route.readable().iter().map(partition).collect())
    }

    /// The offset of a position in a queue.
    pub(crate) async fn position(&self, partition: &Partition, position: StartPosition) -> Result<u64, Error> {
        let queue = Queue { broker: partition.broker.clone(), id: partition.queue };
        let offsets = Offsets { client: &self.client, topic: &self.names.topic, queue: &queue, address: None };
        let found = match position {
            StartPosition::Earliest => offsets.minimum().await,
            StartPosition::Latest => offsets.maximum().await,
            StartPosition::Timestamp(timestamp) => self.at(&offsets, timestamp).await,
        };
        found.map_err(|failure| {
            self.client.doubt_route(&self.names.topic);
            failure.during(format!(
                "find the offset of {position:?} in topic {}, broker {}, queue {}",
                self.definition.topic, queue.broker, queue.id
            ))
        })
    }

    /// The first message stored at or after a time. What brokers answer is only near: those of 4.x choose the nearer of two messages, the
    /// last one when all are older, and any of several of the same millisecond. So the messages around are looked at.
    async fn at(&self, offsets: &Offsets<'_>, timestamp: i64) -> Result<u64, Failure> {
        let (minimum, maximum) = (offsets.minimum().await?, offsets.maximum().await?);
        let mut start = offsets.search(timestamp).await?.saturating_sub(NEAR).max(minimum);
        while start < maximum {
            let pulled = self.look(offsets.queue, start).await?;
            match pulled.events.iter().find(|event| event.envelope.store_timestamp >= timestamp) {
                Some(event) if event.offset > start || start <= minimum => return Ok(event.offset),
                Some(_) => start = start.saturating_sub(NEAR).max(minimum),
                None if pulled.next_offset > start => start = pulled.next_offset,
                None => return Ok(start),
            }
        }
        Ok(maximum)
    }

    /// Some messages from an offset on, whatever their tags, without waiting.
    async fn look(&self, queue: &Queue, offset: u64) -> Result<Pulled, Failure> {
        let limits = PullLimits { events: 2 * NEAR as u32, bytes: 1024 * 1024, ahead: false };
        let address = self.client.reader(&self.names.topic, &queue.broker).await?;
        self.look_at(&address, queue, offset, limits).await
    }

    /// Some messages from an offset on, whatever their tags, from one member of the broker, without waiting.
    pub(crate) async fn look_at(&self, address: &str, queue: &Queue, offset: u64, limits: PullLimits) -> Result<Pulled, Failure> {
        let names = self.names.unfiltered();
        let request = pull::request(&names, Evaluator::Here, queue, offset, limits, Duration::ZERO);
        let response = self.client.exchange(address, request, PULL_ANSWER).await?;
        pull::read(response, address, &names, Evaluator::Here, offset)
    }

    /// Asks the master, or where there is none, whoever can be read from: for the bounds, then for the message at each offset within them.
    async fn survey(&self, queue: &Queue, offsets: &[u64]) -> Result<Survey, Failure> {
        let route = self.client.route(&self.names.topic).await?;
        let (address, is_from_master) = match route.master(&queue.broker) {
            Some(master) => (master.to_owned(), true),
            None => (self.client.reader(&self.names.topic, &queue.broker).await?, false),
        };
        let bounds = Offsets { client: &self.client, topic: &self.names.topic, queue, address: Some(&address) };
        let (minimum, maximum) = (bounds.minimum().await?, bounds.maximum().await?);
        let mut survey = Survey { minimum, maximum, landmarks: Vec::new(), is_from_master };
        for offset in offsets.iter().copied().filter(|offset| (minimum..maximum).contains(offset)) {
            let limits = PullLimits { events: 1, bytes: 1024 * 1024, ahead: false };
            match self.look_at(&address, queue, offset, limits).await {
                Ok(pulled) => survey.landmarks.extend(pulled.events.iter().find(|event| event.offset == offset).map(Landmark::of)),
                // It was removed meanwhile, or is larger than can be read, and never was.
                Err(failure) if matches!(failure.code(), Code::OffsetOutOfRange | Code::Rejected) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(survey)
    }

    /// Reads a queue without any presence of the group.
    pub(crate) fn reader(&self, partition: &Partition) -> impl PartitionReader + 'static {
        let queue = Queue { broker: partition.broker.clone(), id: partition.queue };
        QueueReader {
            client: Arc::clone(&self.client),
            names: Arc::clone(&self.names),
            queue,
            evaluator: None,
            is_compacted: None,
            ahead: None,
        }
    }
}

impl OffsetSource for TopicSource {
    fn concern(&self) -> Option<String> {
        self.topic.client.concern()
    }

    fn partitions(&self) -> BoxFuture<'_, Result<Vec<Partition>, Error>> {
        self.topic.list().boxed()
    }

    fn offset_at<'a>(&'a self, partition: &'a Partition, position: StartPosition) -> BoxFuture<'a, Result<u64, Error>> {
        self.topic.position(partition, position).boxed()
    }

    fn survey<'a>(&'a self, partition: &'a Partition, offsets: &'a [u64]) -> BoxFuture<'a, Result<Survey, Error>> {
        async move {
            let queue = Queue { broker: partition.broker.clone(), id: partition.queue };
            self.topic.survey(&queue, offsets).await.map_err(|failure| {
                self.topic.client.doubt_route(&self.topic.names.topic);
                failure.during(format!("look over topic {}, broker {}, queue {}", self.topic.definition.topic, queue.broker, queue.id))
            })
        }
        .boxed()
    }

    fn open<'a>(&'a self, partition: &'a Partition) -> BoxFuture<'a, Result<OpenPartition, Error>> {
        self.open_queue(partition).boxed()
    }
}

/// The partition of a queue.
pub(crate) fn partition(queue: &Queue) -> Partition {
    let id = PartitionId::new(format!("{}/{}", queue.broker, queue.id));
    Partition { id, broker: queue.broker.clone(), queue: queue.id }
}

impl QueueReader {
    async fn pull_at(&mut self, offset: u64, limits: PullLimits) -> Result<Pulled, Failure> {
        let mut asked = match self.ahead.take() {
            Some(ahead) if ahead.offset == offset => ahead.asked,
            _ => self.submit(offset, limits).await?,
        };
        let mut response = asked.exchange.response().await?;
        if asked.evaluator == Evaluator::Broker && pull::is_unfit(&response) {
            self.evaluator = Some(Evaluator::Here);
            asked = self.submit(offset, limits).await?;
            response = asked.exchange.response().await?;
        }
        self.evaluator.get_or_insert(if response.is_java { Evaluator::Broker } else { Evaluator::Here });
        let mut pulled = pull::read(response, asked.exchange.address(), &self.names, asked.evaluator, offset)?;
        if !pulled.missing.is_empty() && self.compacts(asked.exchange.address()).await {
            pulled.missing.clear();
        }
        if limits.ahead && !pulled.events.is_empty() {
            // A failure here shows at the next call, which then submits by itself.
            self.ahead = self.submit(pulled.next_offset, limits).await.ok().map(|asked| Ahead { offset: pulled.next_offset, asked });
        }
        Ok(pulled)
    }

    /// Whether offsets without a message are what compaction left: asked once, when the first one is met.
    async fn compacts(&mut self, address: &str) -> bool {
        if self.is_compacted.is_none() {
            self.is_compacted = Some(settings::is_compacted(&self.client, address, &self.names.topic).await);
        }
        self.is_compacted == Some(true)
    }

    async fn submit(&self, offset: u64, limits: PullLimits) -> Result<Asked, Failure> {
        let address = self.client.reader(&self.names.topic, &self.queue.broker).await?;
        let evaluator = self.evaluator.filter(|_| self.names.sql.is_some()).unwrap_or(Evaluator::Here);
        let request = pull::request(&self.names, evaluator, &self.queue, offset, limits, SUSPEND);
        Ok(Asked { exchange: self.client.submit(&address, request, PULL_ANSWER).await?, evaluator })
    }
}

impl PartitionReader for QueueReader {
    fn pull(&mut self, offset: u64, limits: PullLimits) -> BoxFuture<'_, Result<Pulled, Error>> {
        async move {
            self.pull_at(offset, limits).await.map_err(|failure| {
                self.ahead = None;
                self.client.doubt_route(&self.names.topic);
                let Queue { broker, id } = &self.queue;
                failure.during(format!("pull from topic {}, broker {broker}, queue {id} at offset {offset}", self.names.topic))
            })
        }
        .boxed()
    }
}
