//! How fast this connector sends and receives over gRPC, beside a bare client of the same protocol: one process, one proxy, one topic, as many calls under way, turn
//! and turn about.
//!
//! Usage: `proxies --proxy HOST:PORT --topic TOPIC [--messages N]`. The topic takes NORMAL messages. One line per figure, `name value unit`, and the ratios.

#![recursion_limit = "256"]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures::future::try_join_all;
use rocketbridge_connector::{LaneKey, Permit, PullLimits, Registry, Start, Target};
use rocketbridge_connector_rocketmq::Connectors;
use rocketbridge_model::resolved::{Protocol, RocketMqConnection, RocketMqSource, RocketMqTarget, StartPosition};
use rocketbridge_model::session::Delivery;
use rocketbridge_model::{Envelope, Event, Origin, PartitionId, Properties, testing};
use rocketbridge_rocketmq_proto::v2::messaging_service_client::MessagingServiceClient;
use rocketbridge_rocketmq_proto::v2::receive_message_response::Content;
use rocketbridge_rocketmq_proto::v2::telemetry_command::Command;
use rocketbridge_rocketmq_proto::v2::{self, settings::PubSub};
use tonic::Request;
use tonic::transport::Channel;

const BODY: usize = 1024;
const LANES: u32 = 4;
/// Messages of one lane that are under way, as in the target.
const UNDER_WAY: usize = 32;
const RECEIVERS: usize = 8;
const ROUNDS: usize = 2;
const INVISIBLE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_secs(5);

struct Options {
    proxy: String,
    topic: String,
    messages: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Arc::new(options()?);
    let bare = Bare::connect(&options).await?;
    let connectors = Connectors::new();
    let (mut sent, mut received) = ([Duration::ZERO; 2], [Duration::ZERO; 2]);
    for round in 0..=ROUNDS {
        let share = options.messages / ROUNDS / if round == 0 { 10 } else { 1 };
        if round == 1 {
            // The first round was for warming up: a JVM compiles what it runs often.
            (sent, received) = Default::default();
        }
        sent[0] += timed(bare.send(share)).await?;
        sent[1] += timed(send(&connectors, &options, share)).await?;
        // Each group gets what both sent.
        received[0] += timed(bare.receive(2 * share)).await?;
        received[1] += timed(receive(&connectors, &options, 2 * share)).await?;
    }
    report("send", options.messages, sent);
    report("receive", 2 * options.messages, received);
    Ok(())
}

/// How long work took that answers when its last message was done.
async fn timed(work: impl Future<Output = Result<Instant>>) -> Result<Duration> {
    let began = Instant::now();
    Ok(work.await?.duration_since(began))
}

fn report(name: &str, messages: usize, [bare, ours]: [Duration; 2]) {
    let rate = |took: Duration| messages as f64 / took.as_secs_f64();
    println!("grpc.{name}.bare {:.0} messages/s", rate(bare));
    println!("grpc.{name} {:.0} messages/s", rate(ours));
    println!("grpc.{name}.ratio {:.2}", rate(ours) / rate(bare));
}

/// A client that does what a call needs, and nothing else.
struct Bare {
    stub: MessagingServiceClient<Channel>,
    options: Arc<Options>,
}

impl Bare {
    async fn connect(options: &Arc<Options>) -> Result<Self> {
        let channel = Channel::from_shared(format!("http://{}", options.proxy))?.connect().await?;
        Ok(Self { stub: MessagingServiceClient::new(channel), options: Arc::clone(options) })
    }

    fn request<T>(message: T) -> Result<Request<T>> {
        let mut request = Request::new(message);
        for (name, value) in [
            ("x-mq-client-id", "bare"),
            ("x-mq-language", "RUST"),
            ("x-mq-protocol", "v2"),
            ("x-mq-client-version", "5.0.8"),
            ("x-mq-date-time", "20261128T080000Z"),
        ] {
            request.metadata_mut().insert(name, value.parse()?);
        }
        Ok(request)
    }

    fn topic(&self) -> v2::Resource {
        v2::Resource { resource_namespace: String::new(), name: self.options.topic.clone() }
    }

    fn group() -> v2::Resource {
        v2::Resource { resource_namespace: String::new(), name: "bare".into() }
    }

    /// Sends one message a call, as many at once as the connector does.
    async fn send(&self, messages: usize) -> Result<Instant> {
        let left = Arc::new(AtomicUsize::new(messages));
        let tasks = (0..LANES as usize * UNDER_WAY).map(|_| {
            let (mut stub, topic, left) = (self.stub.clone(), self.topic(), Arc::clone(&left));
            tokio::spawn(async move {
                while take_one(&left) {
                    let system = v2::SystemProperties {
                        message_id: format!("{:032X}", left.load(Ordering::Relaxed)),
                        tag: Some("paid".into()),
                        keys: vec!["order-1".into()],
                        message_type: v2::MessageType::Normal.into(),
                        ..v2::SystemProperties::default()
                    };
                    let message = v2::Message {
                        topic: Some(topic.clone()),
                        user_properties: [("city".to_owned(), "qingdao".to_owned())].into(),
                        system_properties: Some(system),
                        body: Bytes::from_static(&[7; BODY]),
                    };
                    let answer = stub.send_message(Self::request(v2::SendMessageRequest { messages: vec![message] })?).await?.into_inner();
                    let status = answer.status.context("a status")?;
                    if status.code != v2::Code::Ok as i32 {
                        bail!("{status:?}");
                    }
                }
                anyhow::Ok(())
            })
        });
        try_join_all(tasks).await?.into_iter().collect::<Result<()>>()?;
        Ok(Instant::now())
    }

    /// Receives and acknowledges, as many at once as the connector does.
    async fn receive(&self, messages: usize) -> Result<Instant> {
        let expression = v2::FilterExpression { r#type: v2::FilterType::Tag.into(), expression: "*".into() };
        let subscription = v2::Subscription {
            group: Some(Self::group()),
            subscriptions: vec![v2::SubscriptionEntry { topic: Some(self.topic()), expression: Some(expression.clone()) }],
            ..v2::Subscription::default()
        };
        let settings = v2::Settings {
            client_type: Some(v2::ClientType::SimpleConsumer.into()),
            pub_sub: Some(PubSub::Subscription(subscription)),
            ..v2::Settings::default()
        };
        // The stream stays open: the proxy knows its client for as long.
        let (sender, queue) = tokio::sync::mpsc::channel(1);
        sender.send(v2::TelemetryCommand { status: None, command: Some(Command::Settings(settings)) }).await?;
        let commands = Self::request(tokio_stream::wrappers::ReceiverStream::new(queue))?;
        let mut answers = self.stub.clone().telemetry(commands).await?.into_inner();
        answers.message().await?.context("settings")?;
        let left = Arc::new(AtomicUsize::new(messages));
        let tasks = (0..RECEIVERS).map(|_| {
            let (mut stub, topic, left, expression) = (self.stub.clone(), self.topic(), Arc::clone(&left), expression.clone());
            tokio::spawn(async move {
                while left.load(Ordering::Relaxed) > 0 {
                    let queue = v2::MessageQueue { topic: Some(topic.clone()), id: -1, ..v2::MessageQueue::default() };
                    let mut request = Self::request(v2::ReceiveMessageRequest {
                        group: Some(Self::group()),
                        message_queue: Some(v2::MessageQueue { broker: Some(v2::Broker::default()), ..queue }),
                        filter_expression: Some(expression.clone()),
                        batch_size: 32,
                        invisible_duration: prost_types::Duration::try_from(INVISIBLE).ok(),
                        long_polling_timeout: prost_types::Duration::try_from(POLL).ok(),
                        ..v2::ReceiveMessageRequest::default()
                    })?;
                    request.set_timeout(2 * POLL);
                    let mut answers = stub.receive_message(request).await?.into_inner();
                    let mut entries = Vec::new();
                    while let Some(answer) = answers.message().await? {
                        if let Some(Content::Message(message)) = answer.content {
                            let system = message.system_properties.context("system properties")?;
                            entries.push(v2::AckMessageEntry {
                                message_id: system.message_id,
                                receipt_handle: system.receipt_handle.unwrap_or_default(),
                                lite_topic: None,
                            });
                        }
                    }
                    if entries.is_empty() {
                        continue;
                    }
                    let count = entries.len();
                    let request = v2::AckMessageRequest { group: Some(Self::group()), topic: Some(topic.clone()), entries };
                    stub.ack_message(Self::request(request)?).await?;
                    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(count))).ok();
                }
                anyhow::Ok(())
            })
        });
        finish(tasks.collect(), &left).await
    }
}

/// Waits until nothing is left, and answers when that was; then until the requests have ended that are still held: one that is given up could be handed messages of
/// the next round.
async fn finish(tasks: Vec<tokio::task::JoinHandle<Result<()>>>, left: &AtomicUsize) -> Result<Instant> {
    let deadline = Instant::now() + Duration::from_secs(600);
    while left.load(Ordering::Relaxed) > 0 && !tasks.iter().any(tokio::task::JoinHandle::is_finished) {
        if Instant::now() > deadline {
            bail!("{} messages did not come", left.load(Ordering::Relaxed));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let end = Instant::now();
    try_join_all(tasks).await?.into_iter().collect::<Result<()>>()?;
    Ok(end)
}

fn take_one(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

fn connection(options: &Options) -> RocketMqConnection {
    RocketMqConnection { protocol: Protocol::Grpc, endpoints: vec![options.proxy.clone()], ..RocketMqConnection::default() }
}

fn definition(options: &Options) -> RocketMqSource {
    RocketMqSource { connection: connection(options), group: "connector".into(), ..testing::source(&options.topic) }
}

async fn send(connectors: &Connectors, options: &Options, messages: usize) -> Result<Instant> {
    let target: Arc<dyn Target> =
        connectors.target(&RocketMqTarget { connection: connection(options), ..testing::target(&options.topic) }, &definition(options));
    let tasks = (0..LANES).map(|lane| {
        let target = Arc::clone(&target);
        tokio::spawn(async move {
            let key = LaneKey { stream: "proxies".into(), partition: PartitionId::new(lane.to_string()) };
            let origin = Origin { queue: lane, ..Origin::default() };
            // As many as a dispatcher hands over at once.
            let deliveries: Vec<_> = (0..512).map(delivery).collect();
            let mut left = messages / LANES as usize;
            while left > 0 {
                let count = left.min(deliveries.len());
                target.deliver(&key, &origin, &Permit::always(), &deliveries[..count]).await.into_iter().collect::<Result<Vec<_>, _>>()?;
                left -= count;
            }
            anyhow::Ok(())
        })
    });
    try_join_all(tasks).await?.into_iter().collect::<Result<()>>()?;
    Ok(Instant::now())
}

async fn receive(connectors: &Connectors, options: &Options, messages: usize) -> Result<Instant> {
    let source = connectors.source(&definition(options)).handles().context("gRPC hands out messages")?;
    let left = Arc::new(AtomicUsize::new(messages));
    let mut tasks = Vec::new();
    for _ in 0..RECEIVERS {
        let mut open = source.open(Start { position: StartPosition::Latest, moment: 0 }).await?;
        let left = Arc::clone(&left);
        tasks.push(tokio::spawn(async move {
            let limits = PullLimits { events: 512, bytes: 1 << 20, ahead: true };
            while left.load(Ordering::Relaxed) > 0 {
                let received = open.receiver.receive(limits, INVISIBLE).await?;
                let handles: Vec<_> = received.iter().map(|received| received.handle.clone()).collect();
                open.handles.acknowledge(&handles).await.into_iter().collect::<Result<(), _>>()?;
                left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(handles.len()))).ok();
            }
            anyhow::Ok(())
        }));
    }
    finish(tasks, &left).await
}

fn delivery(number: u64) -> Delivery {
    let id = format!("{number:032X}");
    let pairs = [("KEYS", "order-1"), ("TAGS", "paid"), ("UNIQ_KEY", id.as_str()), ("city", "qingdao")];
    let properties = Properties::from_pairs(pairs).expect("no separators");
    let envelope = Envelope { body: Bytes::from_static(&[7; BODY]), properties, ..Envelope::default() };
    Delivery { receipt: number, event: Event { offset: number, envelope, attributes: None }, parameters: Vec::new(), rejected: None }
}

fn options() -> Result<Options> {
    let (mut proxy, mut topic, mut messages) = (None, None, 20_000);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--proxy" => proxy = Some(value),
            "--topic" => topic = Some(value),
            "--messages" => messages = value.parse()?,
            _ => bail!("unknown argument {argument}"),
        }
    }
    Ok(Options { proxy: proxy.context("--proxy is missing")?, topic: topic.context("--topic is missing")?, messages })
}
