//! A topic as a source: its queues read at explicit offsets, progress committed to the consumer group.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use rocketbridge_connector::{Code, Error, OpenPartition, Partition, PartitionReader, PullLimits, Pulled, Source};
use rocketbridge_model::PartitionId;
use rocketbridge_model::resolved::{RocketMqSource, StartPosition};

use crate::client::{Client, Exchange};
use crate::committer::Committer;
use crate::error::Failure;
use crate::message;
use crate::presence::{Member, Presence};
use crate::remoting::code::{request, response};
use crate::remoting::{Request, Response};
use crate::route::Queue;

/// How long a broker may hold a pull that finds nothing. Java brokers look every 5 s and may answer that
/// much later.
const SUSPEND: Duration = Duration::from_secs(3);
/// How long a pull may take before its connection is taken for dead.
const PULL_ANSWER: Duration = Duration::from_secs(15);
/// How many messages before the offset that a broker found for a time are looked at first.
const NEAR: u64 = 16;
/// Pull flags of Apache RocketMQ: the broker may hold it; it carries its subscription.
const MAY_SUSPEND: u32 = 2;
const WITH_SUBSCRIPTION: u32 = 4;

/// A topic.
pub(crate) struct TopicSource {
    client: Arc<Client>,
    definition: RocketMqSource,
    names: Arc<Names>,
}

/// What the requests of a source have in common.
pub(crate) struct Names {
    /// Wire name of the topic.
    pub(crate) topic: String,
    /// Wire name of the group.
    pub(crate) group: String,
    /// The tag expression as brokers read it.
    pub(crate) expression: String,
    tags: Vec<String>,
}

/// Reads one queue. One pull is asked for ahead, while the events of the former are being worked on.
struct QueueReader {
    client: Arc<Client>,
    names: Arc<Names>,
    queue: Queue,
    ahead: Option<Ahead>,
}

struct Ahead {
    offset: u64,
    exchange: Exchange,
}

impl TopicSource {
    pub(crate) fn new(client: Arc<Client>, definition: RocketMqSource) -> Self {
        let mut tags: Vec<_> = definition.tags.iter().map(|tag| tag.trim().to_owned()).collect();
        // `*` among the tags wants everything, as in RocketMQ's own expressions.
        if tags.iter().any(|tag| tag == "*") {
            tags.clear();
        }
        tags.retain(|tag| !tag.is_empty());
        let names = Names {
            topic: client.wire_name(&definition.topic),
            group: client.wire_name(&definition.group),
            // Without spaces: brokers and clients differ in whether they cut them off.
            expression: if tags.is_empty() { "*".to_owned() } else { tags.join("||") },
            tags,
        };
        Self { client, definition, names: Arc::new(names) }
    }

    async fn list(&self) -> Result<Vec<Partition>, Error> {
        let attempt = || format!("find the queues of topic {} by name server {}", self.definition.topic, self.client.name_servers());
        let route = self.client.fresh_route(&self.names.topic).await.map_err(|failure| failure.during(attempt()))?;
        if route.readable().is_empty() {
            return Err(Error::new(Code::NotFound, attempt(), "the topic has no readable queue"));
        }
        Ok(route.readable().iter().map(partition).collect())
    }

    async fn position(&self, partition: &Partition, position: StartPosition) -> Result<u64, Error> {
        let queue = Queue { broker: partition.broker.clone(), id: partition.queue };
        let offsets = Offsets { client: &self.client, topic: &self.names.topic, queue: &queue };
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
        let limits = PullLimits { events: 2 * NEAR as u32, bytes: 1024 * 1024 };
        let Names { topic, group, .. } = &*self.names;
        let names = Names { topic: topic.clone(), group: group.clone(), expression: "*".to_owned(), tags: Vec::new() };
        let address = self.client.reader(topic, &queue.broker).await?;
        let request = pull(&names, queue, offset, limits, Duration::ZERO);
        let response = self.client.exchange(&address, request, PULL_ANSWER).await?;
        read(response, &address, &names, offset)
    }

    async fn open_queue(&self, partition: &Partition) -> Result<OpenPartition, Error> {
        let queue = Queue { broker: partition.broker.clone(), id: partition.queue };
        let attempt = || format!("open topic {}, broker {}, queue {}", self.definition.topic, queue.broker, queue.id);
        let route = self.client.route(&self.names.topic).await.map_err(|failure| failure.during(attempt()))?;
        if !route.readable().contains(&queue) {
            self.client.doubt_route(&self.names.topic);
            return Err(Error::new(Code::NotFound, attempt(), "the queue is not in the topic's route"));
        }
        let member = Member {
            broker: queue.broker.clone(),
            group: self.names.group.clone(),
            topic: self.names.topic.clone(),
            expression: self.names.expression.clone(),
        };
        let registration = Presence::register(&self.client, member);
        let reader = self.reader(partition);
        let committer = Committer::new(Arc::clone(&self.client), Arc::clone(&self.names), queue, registration);
        Ok(OpenPartition { reader: Box::new(reader), committer: Box::new(committer) })
    }

    /// Reads a queue without any presence of the group.
    pub(crate) fn reader(&self, partition: &Partition) -> impl PartitionReader + 'static {
        let queue = Queue { broker: partition.broker.clone(), id: partition.queue };
        QueueReader { client: Arc::clone(&self.client), names: Arc::clone(&self.names), queue, ahead: None }
    }
}

impl Source for TopicSource {
    fn partitions(&self) -> BoxFuture<'_, Result<Vec<Partition>, Error>> {
        self.list().boxed()
    }

    fn offset_at<'a>(&'a self, partition: &'a Partition, position: StartPosition) -> BoxFuture<'a, Result<u64, Error>> {
        self.position(partition, position).boxed()
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
        let mut exchange = match self.ahead.take() {
            Some(ahead) if ahead.offset == offset => ahead.exchange,
            _ => self.submit(offset, limits).await?,
        };
        let response = exchange.response().await?;
        let pulled = read(response, exchange.address(), &self.names, offset)?;
        if !pulled.events.is_empty() {
            // A failure here shows at the next call, which then submits by itself.
            self.ahead = self.submit(pulled.next_offset, limits).await.ok().map(|exchange| Ahead { offset: pulled.next_offset, exchange });
        }
        Ok(pulled)
    }

    async fn submit(&self, offset: u64, limits: PullLimits) -> Result<Exchange, Failure> {
        let address = self.client.reader(&self.names.topic, &self.queue.broker).await?;
        self.client.submit(&address, pull(&self.names, &self.queue, offset, limits, SUSPEND), PULL_ANSWER).await
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

fn pull(names: &Names, queue: &Queue, offset: u64, limits: PullLimits, suspend: Duration) -> Request {
    let flags = WITH_SUBSCRIPTION | if suspend.is_zero() { 0 } else { MAY_SUSPEND };
    Request::new(request::PULL_MESSAGE)
        .field("consumerGroup", names.group.clone())
        .field("topic", names.topic.clone())
        .number("queueId", queue.id)
        .number("queueOffset", offset)
        .number("maxMsgNums", limits.events.clamp(1, i32::MAX as u32))
        .number("maxMsgBytes", limits.bytes.clamp(1, i32::MAX as u32))
        .number("sysFlag", flags)
        .field("commitOffset", "0")
        .number("suspendTimeoutMillis", suspend.as_millis())
        .field("subscription", names.expression.clone())
        .field("subVersion", "0")
        .field("expressionType", "TAG")
        .field("bname", queue.broker.clone())
}

fn read(response: Response, address: &str, names: &Names, offset: u64) -> Result<Pulled, Failure> {
    let mut pulled = Pulled {
        events: Vec::new(),
        next_offset: response.number("nextBeginOffset").unwrap_or(offset),
        minimum_offset: response.number("minOffset").unwrap_or_default(),
        maximum_offset: response.number("maxOffset").unwrap_or_default(),
    };
    match response.code {
        response::SUCCESS => {
            let delta = response.number("offsetDelta").unwrap_or_default();
            message::read(response.body, delta, offset, &names.tags, &mut pulled.events)
                .map_err(|malformed| Failure::nonsense(address, malformed.0))?;
            if let Some(last) = pulled.events.last() {
                pulled.next_offset = pulled.next_offset.max(last.offset + 1);
            }
        }
        response::PULL_NOT_FOUND | response::PULL_RETRY_IMMEDIATELY => {}
        response::PULL_OFFSET_MOVED => {
            let remark = format!("offsets {} to {} are stored, {offset} is not", pulled.minimum_offset, pulled.maximum_offset);
            return Err(Failure::Refused { address: address.to_owned(), code: response.code, remark });
        }
        _ => return Err(Failure::refused(address, &response)),
    }
    Ok(pulled)
}

/// Asks for offsets of one queue.
pub(crate) struct Offsets<'a> {
    pub(crate) client: &'a Client,
    /// Wire name of the topic.
    pub(crate) topic: &'a str,
    pub(crate) queue: &'a Queue,
}

impl Offsets<'_> {
    /// The oldest stored.
    pub(crate) async fn minimum(&self) -> Result<u64, Failure> {
        self.ask(Request::new(request::GET_MIN_OFFSET)).await
    }

    /// One beyond the newest stored.
    pub(crate) async fn maximum(&self) -> Result<u64, Failure> {
        self.ask(Request::new(request::GET_MAX_OFFSET)).await
    }

    async fn search(&self, timestamp: i64) -> Result<u64, Failure> {
        self.ask(Request::new(request::SEARCH_OFFSET_BY_TIMESTAMP).number("timestamp", timestamp)).await
    }

    async fn ask(&self, request: Request) -> Result<u64, Failure> {
        let address = self.client.reader(self.topic, &self.queue.broker).await?;
        let request =
            request.field("topic", self.topic.to_owned()).number("queueId", self.queue.id).field("bname", self.queue.broker.clone());
        let response = self.client.ask(&address, request).await?;
        response.number("offset").ok_or_else(|| Failure::nonsense(&address, "an answer without an offset"))
    }
}
