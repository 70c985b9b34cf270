//! What the cases do again and again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use rocketbridge_connector::{Code, Error, HandleSource, LaneKey, OpenReceiver, Permit, PullLimits, Received, Registry, Start, Target};
use rocketbridge_connector_rocketmq::{Connectors, Message};
use rocketbridge_model::resolved::{RocketMqConnection, RocketMqSource, RocketMqTarget, StartPosition};
use rocketbridge_model::session::Delivery;
use rocketbridge_model::{Envelope, Event, Origin, Properties, testing};
use tokio::time::{Instant, sleep, timeout};

pub(crate) const LIMITS: PullLimits = PullLimits { events: 512, bytes: 1024 * 1024, ahead: true };
pub(crate) const INVISIBLE: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_secs(60);
/// Where messages of tests come from.
const FROM: Start = Start { position: StartPosition::Latest, moment: 0 };

/// Connectors of one process.
#[derive(Default)]
pub(crate) struct Session(pub(crate) Connectors);

impl Session {
    pub(crate) fn target(&self, connection: RocketMqConnection, topic: &str) -> Arc<dyn Target> {
        self.0.target(&RocketMqTarget { connection, ..testing::target(topic) }, &testing::source("t"))
    }

    pub(crate) fn source(&self, definition: &RocketMqSource) -> Result<Arc<dyn HandleSource>> {
        self.0.source(definition).handles().context("gRPC hands out messages")
    }

    /// All that a topic holds, read over remoting, which must be so many.
    pub(crate) async fn stored(&self, connection: RocketMqConnection, topic: &str, count: usize) -> Result<Vec<Event>> {
        let definition = RocketMqSource { connection, ..testing::source(topic) };
        let source = self.0.source(&definition).offsets().context("remoting reads at offsets")?;
        let deadline = Instant::now() + SOON;
        loop {
            let mut events = Vec::new();
            for partition in source.partitions().await? {
                let mut reader = source.open(&partition).await?.reader;
                let (mut offset, mut end) = (0, 1);
                while offset < end {
                    let pulled = reader.pull(offset, LIMITS).await?;
                    (offset, end) = (pulled.next_offset, pulled.maximum_offset);
                    events.extend(pulled.events);
                }
            }
            if events.len() >= count {
                ensure!(events.len() == count, "{} events instead of {count}", events.len());
                return Ok(events);
            }
            ensure!(Instant::now() < deadline, "{} of {count} events are stored", events.len());
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Sends bodies over remoting, to the first queue.
    pub(crate) async fn send(&self, connection: &RocketMqConnection, topic: &str, messages: &[Message]) -> Result<()> {
        let messages: Vec<_> = messages.iter().map(|message| Message { queue: Some(0), ..message.clone() }).collect();
        self.0.admin(connection).producer(topic).send(&messages).await.into_iter().collect::<Result<(), _>>()?;
        Ok(())
    }
}

pub(crate) fn body(text: &str) -> Message {
    Message { body: Bytes::copy_from_slice(text.as_bytes()), ..Message::default() }
}

pub(crate) fn event(offset: u64, body: impl Into<Bytes>, pairs: &[(&str, &str)]) -> Event {
    let properties = Properties::from_pairs(pairs.iter().copied()).expect("no separators");
    Event { offset, envelope: Envelope { body: body.into(), properties, ..Envelope::default() }, attributes: None }
}

pub(crate) async fn deliver(target: &Arc<dyn Target>, events: impl IntoIterator<Item = Event>) -> Vec<Result<(), Error>> {
    let deliveries: Vec<_> =
        (0..).zip(events).map(|(receipt, event)| Delivery { receipt, event, parameters: Vec::new(), rejected: None }).collect();
    let lane = LaneKey { stream: "s".into(), partition: "b/0".into() };
    let origin = Origin { region: "r".into(), instance: "i".into(), topic: "t".into(), broker: "b".into(), ..Origin::default() };
    let results = target.deliver(&lane, &origin, &Permit::always(), &deliveries).await;
    results.into_iter().map(|result| result.map(drop)).collect()
}

/// Delivers, and again what a busy broker did not take, as streams do.
pub(crate) async fn delivered(target: &Arc<dyn Target>, events: impl IntoIterator<Item = Event>) -> Result<()> {
    let mut events: Vec<_> = events.into_iter().collect();
    let deadline = Instant::now() + SOON;
    loop {
        let results = deliver(target, events.clone()).await;
        let mut left = Vec::new();
        for (event, result) in events.into_iter().zip(results) {
            match result {
                Ok(()) => {}
                Err(error) if error.code() == Code::Unavailable && Instant::now() < deadline => left.push(event),
                Err(error) => return Err(error.into()),
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        events = left;
        sleep(Duration::from_millis(100)).await;
    }
}

/// Opens a source from where its group stands.
pub(crate) async fn open(source: &Arc<dyn HandleSource>) -> Result<OpenReceiver> {
    Ok(source.open(FROM).await?)
}

/// Receives until so many messages are there.
pub(crate) async fn receive(open: &mut OpenReceiver, count: usize) -> Result<Vec<Received>> {
    let mut received = Vec::new();
    let deadline = Instant::now() + SOON;
    while received.len() < count {
        let some = timeout(SOON, open.receiver.receive(LIMITS, INVISIBLE)).await.context("a receive returns")??;
        received.extend(some);
        if Instant::now() > deadline {
            bail!("{} of {count} messages came: {:?}", received.len(), bodies(&received));
        }
    }
    Ok(received)
}

/// Acknowledges what was received, and wants it taken.
pub(crate) async fn acknowledge(open: &OpenReceiver, received: &[Received]) -> Result<()> {
    let handles: Vec<_> = received.iter().map(|received| received.handle.clone()).collect();
    open.handles.acknowledge(&handles).await.into_iter().collect::<Result<(), _>>()?;
    Ok(())
}

pub(crate) fn text(event: &Event) -> String {
    String::from_utf8_lossy(&event.envelope.body).into_owned()
}

pub(crate) fn bodies(received: &[Received]) -> BTreeSet<String> {
    received.iter().map(|received| text(&received.event)).collect()
}

/// Properties that are the message's, without those that brokers and proxies add, and without empty ones: of a message that is sent alone brokers keep none.
pub(crate) fn own(event: &Event) -> Vec<(String, String)> {
    let added =
        ["CLUSTER", "MSG_REGION", "TRACE_ON", "UNIQ_KEY", "PGROUP", "RECONSUME_TIME", "__BORNHOST", "BORN_TIMESTAMP", "RB_ORIGIN", "WAIT"];
    let properties = event.envelope.properties.iter().filter(|(name, value)| !added.contains(name) && !value.is_empty());
    let mut own: Vec<_> = properties.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    own.sort();
    own
}
