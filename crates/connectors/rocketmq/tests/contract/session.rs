//! What the cases do again and again with a cluster.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use rocketbridge_connector::{Arrival, Error, LaneKey, OffsetSource, OpenPartition, Partition, Permit, PullLimits, Registry, Target};
use rocketbridge_connector_rocketmq::{Admin, Connectors, Message};
use rocketbridge_model::resolved::{RocketMqConnection, RocketMqSource, RocketMqTarget};
use rocketbridge_model::session::Delivery;
use rocketbridge_model::{Envelope, Event, Origin, Properties, testing};
use tokio::time::{Instant, sleep, timeout};

pub(crate) const LIMITS: PullLimits = PullLimits { events: 512, bytes: 1024 * 1024, ahead: true };
const SOON: Duration = Duration::from_secs(30);

/// Connectors and a connection.
pub(crate) struct Session {
    pub(crate) connectors: Connectors,
    pub(crate) connection: RocketMqConnection,
    pub(crate) admin: Admin,
}

impl Session {
    pub(crate) fn new(connection: RocketMqConnection) -> Self {
        let connectors = Connectors::new();
        let admin = connectors.admin(&connection);
        Self { connectors, connection, admin }
    }

    /// A topic that is created and known to the name server.
    pub(crate) async fn topic(&self, name: &str, queues: u32) -> Result<String> {
        self.admin.create_topic(name, queues).await?;
        let deadline = Instant::now() + SOON;
        while self.admin.queues(name).await.is_ok_and(|found| found.len() != queues as usize) || self.admin.queues(name).await.is_err() {
            if Instant::now() > deadline {
                bail!("topic {name} does not appear");
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(name.to_owned())
    }

    pub(crate) fn definition(&self, topic: &str, tags: &[&str]) -> RocketMqSource {
        RocketMqSource {
            connection: self.connection.clone(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            sql: None,
            group: format!("group-{topic}"),
            ..testing::source(topic)
        }
    }

    pub(crate) fn source(&self, topic: &str, tags: &[&str]) -> Arc<dyn OffsetSource> {
        self.source_of(&self.definition(topic, tags))
    }

    pub(crate) fn source_of(&self, definition: &RocketMqSource) -> Arc<dyn OffsetSource> {
        self.connectors.source(definition).offsets().expect("remoting reads at offsets")
    }

    pub(crate) fn target(&self, topic: &str, orderly: bool) -> Arc<dyn Target> {
        self.connectors.target(&RocketMqTarget { orderly, ..self.plain_target(topic) }, &self.definition("t", &[]))
    }

    /// The target of a mirror of a topic of another instance, or of this one.
    pub(crate) fn mirror(&self, source: &RocketMqSource, topic: &str) -> Arc<dyn Target> {
        self.connectors.target(&RocketMqTarget { mirror: true, loop_guard: true, ..self.plain_target(topic) }, source)
    }

    /// A target that changes nothing.
    pub(crate) fn plain_target(&self, topic: &str) -> RocketMqTarget {
        RocketMqTarget { connection: self.connection.clone(), ..testing::target(topic) }
    }

    /// Sends messages to queue 0 and wants all stored.
    pub(crate) async fn send(&self, topic: &str, messages: &[Message]) -> Result<()> {
        let messages: Vec<_> = messages.iter().map(|message| Message { queue: Some(0), ..message.clone() }).collect();
        self.admin.producer(topic).send(&messages).await.into_iter().collect::<Result<(), _>>()?;
        Ok(())
    }
}

/// The first queue of a source.
pub(crate) async fn first(source: &Arc<dyn OffsetSource>) -> Result<Partition> {
    source.partitions().await?.into_iter().next().context("a queue")
}

/// Opens the first queue of a source.
pub(crate) async fn open(source: &Arc<dyn OffsetSource>) -> Result<OpenPartition> {
    Ok(source.open(&first(source).await?).await?)
}

/// Reads so many events from an offset on.
pub(crate) async fn read(open: &mut OpenPartition, mut offset: u64, count: usize) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    let deadline = Instant::now() + SOON;
    while events.len() < count {
        let pulled = timeout(SOON, open.reader.pull(offset, LIMITS)).await.context("a pull returns")??;
        offset = pulled.next_offset;
        events.extend(pulled.events);
        if Instant::now() > deadline {
            bail!("{} of {count} events came", events.len());
        }
    }
    Ok(events)
}

/// All that the first queue of a topic holds, which must be so many.
pub(crate) async fn stored(session: &Session, topic: &str, count: usize) -> Result<Vec<Event>> {
    let events = read(&mut open(&session.source(topic, &[])).await?, 0, count).await?;
    if events.len() != count {
        bail!("{} events instead of {count}", events.len());
    }
    Ok(events)
}

pub(crate) fn body(text: &str) -> Message {
    Message { body: Bytes::copy_from_slice(text.as_bytes()), ..Message::default() }
}

pub(crate) fn event(offset: u64, body: impl Into<Bytes>, pairs: &[(&str, &str)]) -> Event {
    let properties = Properties::from_pairs(pairs.iter().copied()).expect("no separators");
    Event { offset, envelope: Envelope { body: body.into(), properties, ..Envelope::default() }, attributes: None }
}

pub(crate) fn origin() -> Origin {
    Origin { region: "qingdao".into(), instance: "i".into(), topic: "t".into(), broker: "b".into(), ..Origin::default() }
}

pub(crate) async fn deliver(target: &Arc<dyn Target>, events: impl IntoIterator<Item = Event>) -> Vec<Result<Arrival, Error>> {
    deliver_from(target, &origin(), &Permit::always(), events).await
}

pub(crate) async fn deliver_from(
    target: &Arc<dyn Target>,
    origin: &Origin,
    permit: &Permit,
    events: impl IntoIterator<Item = Event>,
) -> Vec<Result<Arrival, Error>> {
    let deliveries: Vec<_> =
        (0..).zip(events).map(|(receipt, event)| Delivery { receipt, event, parameters: Vec::new(), rejected: None }).collect();
    let lane = LaneKey { stream: "s".into(), partition: "b/0".into() };
    target.deliver(&lane, origin, permit, &deliveries).await
}

pub(crate) async fn delivered(target: &Arc<dyn Target>, events: impl IntoIterator<Item = Event>) -> Result<()> {
    deliver(target, events).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(())
}

/// Properties that are the message's, without those that a broker adds.
pub(crate) fn own(event: &Event) -> Vec<(String, String)> {
    let broker = ["CLUSTER", "MSG_REGION", "TRACE_ON", "UNIQ_KEY"];
    let mut own: Vec<_> = event
        .envelope
        .properties
        .iter()
        .filter(|(name, _)| !broker.contains(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    own.sort();
    own
}
