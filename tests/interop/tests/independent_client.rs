//! RocketBridge judged by `rocketmq-client-rust`, which shares no code with its connector: what others send is what others read.

#![recursion_limit = "256"]

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rocketbridge_connector_rocketmq::{Message, ORIGIN_PROPERTY};
use rocketbridge_harness::{Brokers, Kind, Standalone, binary, eventually};
use rocketbridge_interop::{Client, Outgoing, Place, Progress, Queue, Reader, Receipt, Stored};

const QUEUES: u32 = 4;
const MESSAGES: usize = 500;
const DEADLINE: Duration = Duration::from_secs(60);
const GROUP: &str = "GID_interop";
const REGION: &str = "qingdao";
const SHARDING_KEY: &str = "__SHARDINGKEY";

/// Properties that a broker or a client makes when a message is stored or read. `WAIT` is the sender's word to the broker: brokers since
/// 5.0 do not store it if it says what is the default.
const NOT_OF_THE_MESSAGE: [&str; 8] = ["CLUSTER", "MAX_OFFSET", "MIN_OFFSET", "MSG_REGION", "RB_BORN", "RB_VIA", "TRACE_ON", "WAIT"];

/// *Scenario*: the suite below on embedded clusters. *Guarantees*: as its parts say.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_embedded_rocketmq() {
    suite(Kind::Embedded).await;
}

/// *Scenario*: the suite below on Apache RocketMQ 5.3.3 brokers. *Guarantees*: as its parts say.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_apache_rocketmq_5_3() {
    suite(Kind::Java("5.3.3")).await;
}

async fn suite(kind: Kind) {
    let Some(brokers) = Brokers::start(kind).await else { return };
    let begin = Instant::now();
    through_a_stream(&brokers).await;
    println!("{kind:?}: through a stream: {:.1?}", begin.elapsed());
    from_our_producer(&brokers).await;
    println!("{kind:?}: and from our producer: {:.1?}", begin.elapsed());
    brokers.stop().await;
}

/// *Scenario*: the library sends 500 messages to four queues, half of them before a stream to a second cluster is applied and started
/// with the command; it reads them at the far end, and asks for the progress of the stream's group. Bodies are every single byte, any
/// bytes, and long ones of which the library compresses some; there are keys, tags, sharding keys, user properties and flags, alone and
/// together. *Guarantees*: each message arrives once, in the order of its queue, with the body, keys, tag, sharding key, user properties,
/// flag and id that it was sent with, and one property more: its origin, true to the place that the library reported. The group's
/// committed offsets, as the library reads them, are the ends of the queues.
async fn through_a_stream(brokers: &Brokers) {
    const TOPIC: &str = "independent";
    brokers.create_topic(TOPIC, QUEUES).await;
    let (source, target) = (Client::new(brokers.source.name_server()), Client::new(brokers.target.name_server()));

    let producer = source.producer(TOPIC).await;
    let mut sent = HashMap::new();
    for number in 0..MESSAGES / 2 {
        let receipt = producer.send(number, &outgoing(number)).await;
        sent.insert(receipt.place.clone(), (receipt, outgoing(number)));
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let standalone = Standalone::start(directory.path());
    apply(directory.path(), standalone.process.server(), &definition(brokers, TOPIC));
    for number in MESSAGES / 2..MESSAGES {
        let receipt = producer.send(number, &outgoing(number)).await;
        sent.insert(receipt.place.clone(), (receipt, outgoing(number)));
    }
    assert_eq!(sent.len(), MESSAGES, "each message has a place of its own");

    let reader = target.reader(TOPIC).await;
    until_stored(&reader, MESSAGES).await;
    let ends: BTreeMap<Queue, u64> = sent.keys().fold(BTreeMap::new(), |mut ends, place| {
        let end = ends.entry(place.queue.clone()).or_default();
        *end = place.offset.saturating_add(1).max(*end);
        ends
    });
    eventually("the library sees that the group has committed everything", DEADLINE, async || {
        let progress = source.try_progress(TOPIC, GROUP).await?;
        let wanted = ends.iter().map(|(queue, end)| (queue.clone(), Progress { committed: Some(*end), maximum: *end })).collect();
        if progress == wanted { Ok(()) } else { Err(format!("{progress:?}")) }
    })
    .await;

    // Everything is committed, so nothing more can come: what is stored now is all that the stream has written.
    let stored = until_stored(&reader, MESSAGES).await;
    let read = reader.read(&stored, DEADLINE).await;
    for messages in read.values() {
        let mut last: HashMap<Queue, u64> = HashMap::new();
        for message in messages {
            let place = origin(message, TOPIC);
            let (receipt, outgoing) = sent.remove(&place).unwrap_or_else(|| panic!("not sent, or here twice: {message:?}"));
            arrived(message, &receipt, &outgoing);
            let before = last.insert(place.queue.clone(), place.offset);
            assert!(before.is_none_or(|before| before < place.offset), "{place:?} stands behind {before:?}");
        }
    }
    assert_eq!(sent.len(), 0, "these did not arrive: {:?}", sent.keys());

    drop(standalone);
    tokio::join!(producer.close(), reader.close());
    tokio::join!(source.close(), target.close());
}

/// *Scenario*: the connector's own producer sends 500 messages at once, so in its batches, to four queues: those of [`through_a_stream`]
/// and empty bodies, which the library itself refuses to send; the library reads them. *Guarantees*: each is stored once, in its queue, in
/// the order of sending, and the library reads the body, keys, tag, user properties and flag that were sent, an id, and nothing else.
async fn from_our_producer(brokers: &Brokers) {
    const TOPIC: &str = "ours";
    brokers.create_topic(TOPIC, QUEUES).await;
    let queues = QUEUES as usize;
    let outgoing: Vec<_> = (0..MESSAGES)
        .map(|number| {
            let body = if number % 50 == 49 { Bytes::new() } else { outgoing(number).body };
            Outgoing { body, ..outgoing(number) }
        })
        .collect();
    let results = brokers.source.admin().producer(TOPIC).send(&outgoing.iter().enumerate().map(ours).collect::<Vec<_>>()).await;
    for (number, result) in results.into_iter().enumerate() {
        result.unwrap_or_else(|error| panic!("message {number}: {error}"));
    }

    let client = Client::new(brokers.source.name_server());
    let producer = client.producer(TOPIC).await;
    let refusal = producer.try_send(0, &Outgoing::default()).await.expect_err("the library refuses an empty body");
    assert!(refusal.contains("body"), "{refusal}");
    let reader = client.reader(TOPIC).await;
    let stored = until_stored(&reader, MESSAGES).await;
    let read = reader.read(&stored, DEADLINE).await;
    assert_eq!(read.len(), queues);
    for (index, messages) in read.values().enumerate() {
        assert_eq!(messages.len(), MESSAGES / queues);
        for (position, message) in messages.iter().enumerate() {
            let outgoing = &outgoing[position * queues + index];
            let mut properties = of_the_message(message);
            let id = properties.remove("UNIQ_KEY");
            assert!(id.is_some_and(|id| id.len() == 32), "a message has an id: {message:?}");
            assert_eq!(properties, properties_of(outgoing), "{:?}", message.place);
            assert_eq!((&message.body, message.flag), (&outgoing.body, outgoing.flag), "{:?}", message.place);
        }
    }
    tokio::join!(producer.close(), reader.close());
    client.close().await;
}

/// The message of a number.
fn outgoing(number: usize) -> Outgoing {
    let body: Vec<u8> = match number {
        // Every byte value alone, then every one in a body.
        0..256 => vec![u8::try_from(number).expect("it is below 256")],
        256..300 => (0..=u8::MAX).cycle().skip(number).take(number * 3).collect(),
        // Long ones that the library compresses well, and badly.
        300..310 => vec![0xa5; number * 100],
        310..320 => noise(number).take(number * 100).collect(),
        320 => noise(number).take(1 << 20).collect(),
        _ => noise(number).take(1 + number % 199).collect(),
    };
    let present = |period: usize, text: String| if number.is_multiple_of(period) { String::new() } else { text };
    let mut properties = vec![("order".to_owned(), format!("{number:08}"))];
    if number.is_multiple_of(3) {
        properties.push(("Überschrift 标题".to_owned(), format!("größer = {number} \"€\" {{}}")));
    }
    if number.is_multiple_of(7) {
        properties.clear();
    }
    Outgoing {
        body: Bytes::from(body),
        keys: present(5, format!("n-{number} 键-{}", number % 97)),
        tag: present(4, ["paid", "open", "已付"][number % 3].to_owned()),
        sharding_key: present(2, format!("shard {}", number % 11)),
        properties,
        flag: [0, 7, -1][number % 3],
    }
}

/// Bytes that follow from a seed and do not compress (SplitMix64).
fn noise(seed: usize) -> impl Iterator<Item = u8> {
    let mut state = seed as u64;
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = state;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (value ^ (value >> 31)).to_le_bytes()
    })
    .flatten()
}

/// A message as the connector's producer takes it.
fn ours((number, outgoing): (usize, &Outgoing)) -> Message {
    let sharding_key = Some(&outgoing.sharding_key).filter(|key| !key.is_empty()).map(|key| (SHARDING_KEY.to_owned(), key.clone()));
    Message {
        body: outgoing.body.clone(),
        keys: outgoing.keys.clone(),
        tags: outgoing.tag.clone(),
        properties: outgoing.properties.iter().cloned().chain(sharding_key).collect(),
        queue: Some(number),
        flag: outgoing.flag,
        ..Message::default()
    }
}

/// The stream's file, in the form of the README.
fn definition(brokers: &Brokers, topic: &str) -> String {
    let (source, target) = (brokers.source.name_server(), brokers.target.name_server());
    format!(
        r#"
kind: Stream
name: independent
filter_pattern: '{{}}'
source:
  source_rocketmq_parameters: {{region_id: {REGION}, instance_type: SelfBuilt, instance_endpoint: "{source}", topic: {topic},
    group_id: {GROUP}, offset: CONSUME_FROM_FIRST_OFFSET}}
sink:
  sink_rocketmq_parameters:
    instance_endpoint: {{value: "{target}", form: CONSTANT}}
    topic: {{value: {topic}, form: CONSTANT}}
"#
    )
}

/// Applies a file with the command, and starts what it defines.
fn apply(directory: &Path, server: &str, definition: &str) {
    let mut child = Command::new(binary())
        .args(["--server", server, "apply", "-f", "-", "--start"])
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    child.stdin.take().expect("it is piped").write_all(definition.as_bytes()).expect("the command reads its input");
    let output = child.wait_with_output().expect("it is our child");
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
}

/// Waits until a number of messages are stored, and returns where.
async fn until_stored(reader: &Reader, count: usize) -> BTreeMap<Queue, std::ops::Range<u64>> {
    eventually(&format!("{count} messages are stored"), DEADLINE, async || {
        let stored = reader.stored().await;
        let messages: u64 = stored.values().map(|offsets| offsets.end - offsets.start).sum();
        assert!(messages <= count as u64, "nothing went wrong, so nothing is repeated: {stored:?}");
        if messages == count as u64 { Ok(stored) } else { Err(format!("{stored:?}")) }
    })
    .await
}

/// Where a message was read first, by its own account: `region/instance/topic/broker/queue/offset`.
fn origin(message: &Stored, topic: &str) -> Place {
    let origin = message.properties.get(ORIGIN_PROPERTY).unwrap_or_else(|| panic!("no origin: {message:?}"));
    let parts: Vec<_> = origin.split('/').collect();
    let [region, _, read, broker, queue, offset] = parts[..] else { panic!("origin {origin}") };
    assert_eq!((region, read), (REGION, topic), "origin {origin}");
    let number = |text: &str| text.parse().unwrap_or_else(|error| panic!("origin {origin}: {error}"));
    let queue = Queue { broker: broker.to_owned(), number: u32::try_from(number(queue)).expect("a queue is a u32") };
    Place { queue, offset: number(offset) }
}

/// What the library read is what the library sent, and its origin.
fn arrived(message: &Stored, receipt: &Receipt, outgoing: &Outgoing) {
    let mut properties = of_the_message(message);
    assert!(properties.remove(ORIGIN_PROPERTY).is_some(), "{receipt:?}");
    assert_eq!(properties.remove("UNIQ_KEY").as_ref(), Some(&receipt.id), "{receipt:?}");
    assert_eq!(properties, properties_of(outgoing), "{receipt:?}");
    assert_eq!((&message.body, message.flag), (&outgoing.body, outgoing.flag), "{receipt:?}");
}

/// The properties that a message was sent with, by the names they have in RocketMQ.
fn properties_of(outgoing: &Outgoing) -> BTreeMap<String, String> {
    let named = [("KEYS", &outgoing.keys), ("TAGS", &outgoing.tag), (SHARDING_KEY, &outgoing.sharding_key)];
    let named = named.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name.to_owned(), value.clone()));
    named.chain(outgoing.properties.iter().cloned()).collect()
}

/// The properties of a message that was read, less those that are not its own.
fn of_the_message(message: &Stored) -> BTreeMap<String, String> {
    let properties = message.properties.iter().filter(|(name, _)| !NOT_OF_THE_MESSAGE.contains(&name.as_str()));
    properties.map(|(name, value)| (name.clone(), value.clone())).collect()
}
