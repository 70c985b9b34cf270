//! The promises, one by one. Each makes its own topics.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use rocketbridge_connector::{Arrival, Code, Registry};
use rocketbridge_connector_rocketmq::{Message, ORIGIN_PROPERTY, TIMED_PROPERTY, origin_of};
use rocketbridge_model::partition::Landmark;
use rocketbridge_model::resolved::{Credentials, RocketMqConnection, RocketMqTarget, StartPosition};
use rocketbridge_model::{Event, Properties};
use tokio::time::{Instant, sleep, timeout};

use crate::cluster::Cluster;
pub(crate) use crate::credentials::{keys_in_a_file_are_replaced_under_load, keys_of_a_role_are_replaced_under_load};
pub(crate) use crate::fidelity::{
    born_times_are_kept, dead_letters_are_read_by_name, keys_keep_spaces_and_brackets, light_queues_are_read_by_name,
    transactions_come_once_they_are_committed,
};
pub(crate) use crate::groups::{groups_are_seen_and_set_from_outside, progress_is_translated_there_and_back};
pub(crate) use crate::mirror::{
    a_mirror_finds_its_last_message_among_others, a_mirror_sends_nothing_twice, a_mirror_without_a_permit_sends_nothing,
    a_mirrors_topic_follows_the_source, a_mirrors_topic_is_made_after_the_source, a_ring_of_mirrors_ends,
    both_ends_of_a_mirror_are_looked_at, nothing_overtakes_what_a_mirror_cannot_deliver,
};
use crate::session::{LIMITS, Session, body, deliver, delivered, event, first, open, origin, own, read, stored};
pub(crate) use crate::sql::sql_filters_answer_alike_everywhere;
use crate::table::lacks;

/// *Scenario*: bodies of every byte, of none, of 1 MiB; keys, tags, empty and Chinese properties; sent, read, delivered, read again.
/// *Guarantees*: the same bodies, flags, ids and properties at the far end, plus the origin; order kept; hosts and times told.
pub(crate) async fn messages_keep_everything(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let (from, to) = (session.topic("everything", 1).await?, session.topic("everything-copy", 3).await?);
    let every: Vec<u8> = (0..=255).cycle().take(5000).collect();
    let bodies = [Bytes::from(every), Bytes::new(), Bytes::from(vec![0xAB; 1024 * 1024]), Bytes::from_static(b"last")];
    let pairs = [("empty", ""), ("city", "青岛"), ("__SHARDINGKEY", "s 1"), ("BUYER_ID", "9")];
    let messages: Vec<_> = bodies
        .iter()
        .map(|body| Message {
            body: body.clone(),
            keys: "k1 k2".into(),
            tags: "paid".into(),
            properties: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            flag: 77,
            ..Message::default()
        })
        .collect();
    session.send(&from, &messages).await?;
    let originals = stored(&session, &from, bodies.len()).await?;
    ensure!(originals.iter().map(|event| &event.envelope.body).eq(&bodies));
    ensure!(originals.iter().map(|event| event.offset).eq(0..4));
    let envelope = &originals[0].envelope;
    ensure!(envelope.flag == 77 && envelope.born_host.is_some() && envelope.store_host.is_some());
    ensure!(envelope.store_timestamp >= envelope.born_timestamp && envelope.born_timestamp > 1_600_000_000_000);
    let mut expected: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    expected.extend([("KEYS".to_owned(), "k1 k2".to_owned()), ("TAGS".to_owned(), "paid".to_owned())]);
    expected.sort();
    ensure!(own(&originals[0]) == expected, "{:?}", originals[0].envelope.properties);

    delivered(&session.target(&to, false), originals.clone()).await?;
    let copies = stored(&session, &to, bodies.len()).await?;
    for (original, copy) in originals.iter().zip(&copies) {
        let mut properties = own(original);
        properties.push((ORIGIN_PROPERTY.to_owned(), format!("qingdao/i/t/b/0/{}", original.offset)));
        properties.sort();
        ensure!(own(copy) == properties, "{:?} of {:?}", copy.envelope.properties, original.envelope.properties);
        ensure!(copy.envelope.body == original.envelope.body && copy.envelope.flag == original.envelope.flag);
        let id = |event: &rocketbridge_model::Event| event.envelope.properties.get("UNIQ_KEY").map(str::to_owned);
        ensure!(id(copy).is_some() && id(copy) == id(original));
    }
    Ok(())
}

/// *Scenario*: bodies compressed by their producer, by zlib, LZ4 and Zstandard, one of 12 MiB before; among bodies that are not, and bodies that lie: called
/// compressed, and not. *Guarantees*: each is stored at the target as it was stored at the source, the large one too, although the broker would not take it
/// plain; a tail shows them plain, and what lies as it is.
pub(crate) async fn compressed_bodies_travel_as_they_are_stored(cluster: &mut Cluster) -> Result<()> {
    use std::io::Write;
    let session = Session::new(cluster.connection());
    let topic = session.topic("compressed", 1).await?;
    let plain = [b"the same words again and again, ".repeat(1000), vec![7; 12 * 1024 * 1024], b"not compressed".to_vec()];
    let zlib = |body: &[u8]| {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        zlib.write_all(body).and_then(|()| zlib.finish())
    };
    let mut events = [
        event(0, zlib(&plain[0])?, &[("x", "y")]),
        event(1, zlib(&plain[1])?, &[]),
        event(2, plain[2].clone(), &[]),
        event(3, zstd::encode_all(&plain[0][..], 3)?, &[]),
        event(4, lz4_frame(b"stored"), &[]),
        event(5, "no zlib at all", &[]),
        event(6, zlib(&plain[0])?, &[]),
    ];
    // Compressed; and by Zstandard. The fourth bit says that a transaction was committed, which is over.
    events[0].envelope.system_flag = 1 | 8;
    events[1].envelope.system_flag = 1;
    events[3].envelope.system_flag = 1 | 2 << 8;
    events[4].envelope.system_flag = 1 | 1 << 8;
    events[5].envelope.system_flag = 1;
    events[6].envelope.system_flag = 1 | 2 << 8;
    delivered(&session.target(&topic, false), events.clone()).await?;
    let arrived = stored(&session, &topic, 7).await?;
    for (arrived, sent) in arrived.iter().zip(&events) {
        ensure!(arrived.envelope.body == sent.envelope.body, "{} bytes", arrived.envelope.body.len());
        ensure!(arrived.envelope.system_flag & 0x70D == sent.envelope.system_flag & 0x701, "{:x}", arrived.envelope.system_flag);
    }
    let mut tail = session.admin.tail(&topic, &[], StartPosition::Earliest).await?;
    for expected in [&plain[0], &plain[1], &plain[2], &plain[0]] {
        let shown = timeout(Duration::from_secs(20), tail.next()).await.context("a message")??.event;
        ensure!(shown.envelope.body == *expected && shown.envelope.system_flag & 1 == 0, "{} bytes", shown.envelope.body.len());
    }
    for expected in [&b"stored"[..], b"no zlib at all", &events[6].envelope.body] {
        let shown = timeout(Duration::from_secs(20), tail.next()).await.context("a message")??.event;
        ensure!(shown.envelope.body == *expected, "{:?}", shown.envelope);
    }
    // On from there: what lies goes on as it was stored, too.
    let copy = session.topic("compressed-copy", 1).await?;
    delivered(&session.target(&copy, false), arrived).await?;
    for (copied, sent) in stored(&session, &copy, 7).await?.iter().zip(&events) {
        ensure!(copied.envelope.body == sent.envelope.body && (copied.envelope.system_flag ^ sent.envelope.system_flag) & 0x701 == 0);
    }
    Ok(())
}

/// An LZ4 frame of one block that is stored: version 1, independent blocks of 64 KiB at most, no checksums.
fn lz4_frame(plain: &[u8]) -> Vec<u8> {
    let mut frame = 0x184D_2204_u32.to_le_bytes().to_vec();
    frame.extend([0x60, 0x40, 0x82]);
    frame.extend((plain.len() as u32 | 1 << 31).to_le_bytes());
    frame.extend(plain);
    frame.extend([0; 4]);
    frame
}

/// *Scenario*: properties of every length near the limit of 32,767 bytes, which brokers add to, between small messages; by a target and by
/// a producer, in batches as far as they may. *Guarantees*: what is acknowledged can be read, in order, and so can every small one; what is
/// not is `Rejected` and says how long its properties are.
pub(crate) async fn what_is_acknowledged_can_be_read(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let (topic, produced) = (session.topic("near", 1).await?, session.topic("near-produced", 1).await?);
    let lengths = [
        30_000, 31_700, 31_740, 31_750, 32_000, 32_600, 32_660, 32_680, 32_690, 32_700, 32_710, 32_720, 32_730, 32_740, 32_750, 32_760,
        32_767,
    ];
    let mut events = Vec::new();
    for length in lengths {
        let number = events.len() as u64;
        events.push(event(number, format!("before {length}"), &[]));
        // `big`, its value, and two separators.
        events.push(event(number + 1, format!("{length}"), &[("big", &"x".repeat(length - 5))]));
    }
    let results = deliver(&session.target(&topic, false), events.clone()).await;
    let expected = acknowledged(&events, &results)?;
    let arrived = stored(&session, &topic, expected.len()).await?;
    ensure!(arrived.iter().map(|event| &event.envelope.body).eq(&expected), "{} of {}", arrived.len(), expected.len());
    ensure!(expected.len() > lengths.len() + 4 && expected.len() < events.len(), "{} of {}", expected.len(), events.len());
    println!("{}: {} of {} lengths of properties are stored", cluster.name(), expected.len() - lengths.len(), lengths.len());

    let messages: Vec<_> = lengths
        .iter()
        .flat_map(|length| {
            // The producer adds its unique key, 42 bytes.
            let big = Message { properties: vec![("big".to_owned(), "x".repeat(length - 47))], ..body(&length.to_string()) };
            [body("before"), big].map(|message| Message { queue: Some(0), ..message })
        })
        .collect();
    let results = session.admin.producer(&produced).send(&messages).await;
    let stored_now = results.iter().filter(|result| result.is_ok()).count();
    ensure!(stored_now < messages.len() && stored(&session, &produced, stored_now).await?.len() == stored_now);
    Ok(())
}

/// Bodies of the events that were acknowledged. Those that were not must have been refused for good.
fn acknowledged(events: &[Event], results: &[Result<Arrival, rocketbridge_connector::Error>]) -> Result<Vec<Bytes>> {
    let mut bodies = Vec::new();
    for (event, result) in events.iter().zip(results) {
        match result {
            Ok(_) => bodies.push(event.envelope.body.clone()),
            Err(error) => {
                let length = event.envelope.properties.len();
                ensure!(error.code() == Code::Rejected, "{error}");
                ensure!(length > 31_000 && error.to_string().contains(&format!("properties of {length} bytes")), "{error}");
            }
        }
    }
    Ok(bodies)
}

/// *Scenario*: property values and names that are not UTF-8: of a message in a batch, of one that is too long for one, and of one for a light queue, which
/// brokers heed in single messages only. *Guarantees*: the very bytes arrive; only of the last they are what every Java client makes of them.
pub(crate) async fn property_bytes_are_kept(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let topic = session.topic("bytes", 1).await?;
    let odd = |body: &str, more: &[(&str, &str)]| {
        let mut odd = event(0, body.to_owned(), more);
        let mut wire = b"latin\x01caf\xe9\x02n\xff\x01v\x02".to_vec();
        wire.extend_from_slice(odd.envelope.properties.as_wire());
        odd.envelope.properties = Properties::from_wire(wire.into());
        odd
    };
    let long = odd(&"long".repeat(400_000), &[]);
    let light = odd("alone", &[("INNER_MULTI_DISPATCH", "%LMQ%x")]);
    delivered(&session.target(&topic, false), [odd("batch", &[]), long, light]).await?;
    let arrived = stored(&session, &topic, 3).await?;
    let has = |event: &Event, part: &[u8]| event.envelope.properties.as_wire().windows(part.len()).any(|window| window == part);
    // The embedded broker reads properties as text.
    for event in &arrived[..2] {
        let kept = has(event, b"latin\x01caf\xe9\x02") && has(event, b"n\xff\x01v\x02");
        ensure!(kept || !cluster.is_java(), "{:?}", event.envelope.properties.as_wire());
    }
    if !cluster.is_java() {
        lacks("it reads properties as text");
    }
    ensure!(has(&arrived[2], "latin\u{1}caf\u{fffd}\u{2}".as_bytes()), "{:?}", arrived[2].envelope.properties.as_wire());
    Ok(())
}

/// *Scenario*: four batches of 25 bodies, sent by Java's client to a topic whose broker stores a batch as one message; read from the start, from
/// the middle of a batch, and followed. *Guarantees*: each body is an event, with an offset of its own and the properties that it was sent with.
pub(crate) async fn batches_stored_as_one_message_are_taken_apart(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let Some(java) = cluster.java_5() else {
        lacks("it stores each message of a batch by itself");
        return Ok(());
    };
    cluster.mqadmin(&["updateTopic", "-c", java.name(), "-t", "batched", "-r", "1", "-w", "1", "-a", "+queue.type=BatchCQ"])?;
    java.run(SEND_BATCHES, &["batched"])?;
    let arrived = stored(&session, "batched", 100).await?;
    for (number, event) in (0..).zip(&arrived) {
        let text = number.to_string();
        ensure!(event.offset == number && event.envelope.body == text && event.envelope.system_flag & 0xC0 == 0, "{event:?}");
        let properties = &event.envelope.properties;
        ensure!(properties.get("TAGS") == Some("paid") && properties.get("number") == Some(&text) && properties.get("UNIQ_KEY").is_some());
    }
    let mut queue = open(&session.source("batched", &[])).await?;
    ensure!(read(&mut queue, 30, 70).await?.iter().map(|event| event.offset).eq(30..100));
    let mut tail = session.admin.tail("batched", &[], StartPosition::Earliest).await?;
    for number in 0..100 {
        let shown = timeout(Duration::from_secs(20), tail.next()).await.context("a message")??.event;
        ensure!(shown.envelope.body == number.to_string(), "{shown:?}");
    }
    let copy = session.topic("batched-copy", 1).await?;
    delivered(&session.target(&copy, false), arrived).await?;
    ensure!(
        stored(&session, &copy, 100).await?.iter().map(|event| event.envelope.body.clone()).eq((0..100).map(|number| number.to_string()))
    );
    Ok(())
}

const SEND_BATCHES: &str = r#"
import java.util.ArrayList;
import java.util.List;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;

public class Program {
    public static void main(String[] arguments) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer("batches");
        producer.setNamesrvAddr(arguments[0]);
        producer.setSendMsgTimeout(20000);
        producer.start();
        for (int start = 0; start < 100; start += 25) {
            List<Message> batch = new ArrayList<>();
            for (int number = start; number < start + 25; number++) {
                Message message = new Message(arguments[1], "paid", Integer.toString(number).getBytes());
                message.putUserProperty("number", Integer.toString(number));
                batch.add(message);
            }
            producer.send(batch);
        }
        producer.shutdown();
    }
}
"#;

/// *Scenario*: a retry topic as the target. *Guarantees*: brokers refuse batches for it; the messages arrive all the same, in order.
pub(crate) async fn retry_topics_take_messages(cluster: &mut Cluster) -> Result<()> {
    if !cluster.is_java() {
        lacks("it takes all that is sent to a retry topic for dead letters");
        return Ok(());
    }
    let session = Session::new(cluster.connection());
    let topic = session.topic("%RETRY%group-again", 1).await?;
    // The group must be known, and it is by its heartbeat.
    let other = session.topic("again", 1).await?;
    let mut definition = session.definition(&other, &[]);
    definition.group = "group-again".to_owned();
    let source = session.source_of(&definition);
    let mut queue = open(&source).await?;
    queue.committer.commit(0).await?;
    delivered(&session.target(&topic, false), (0..5).map(|number| event(number, number.to_string(), &[("a", "b")]))).await?;
    let arrived = stored(&session, &topic, 5).await?;
    ensure!(arrived.iter().map(|event| &event.envelope.body[..]).eq([b"0", b"1", b"2", b"3", b"4"]));
    Ok(())
}

/// *Scenario*: earliest, latest and times before, between and after messages, of an empty queue too. *Guarantees*: the first message at
/// or after it.
pub(crate) async fn positions_are_found(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let topic = session.topic("positions", 1).await?;
    let source = session.source(&topic, &[]);
    let queue = first(&source).await?;
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    for position in [StartPosition::Earliest, StartPosition::Latest, StartPosition::Timestamp(1), StartPosition::Timestamp(now())] {
        ensure!(source.offset_at(&queue, position).await? == 0, "{position:?} of an empty queue");
    }
    session.send(&topic, &[body("0"), body("1")]).await?;
    sleep(Duration::from_millis(50)).await;
    let between = now();
    sleep(Duration::from_millis(50)).await;
    session.send(&topic, &[body("2"), body("3"), body("4")]).await?;
    let events = stored(&session, &topic, 5).await?;
    ensure!(events[1].envelope.store_timestamp < between && between < events[2].envelope.store_timestamp);
    let cases = [
        (StartPosition::Earliest, 0),
        (StartPosition::Latest, 5),
        (StartPosition::Timestamp(1), 0),
        (StartPosition::Timestamp(between), 2),
        (StartPosition::Timestamp(now() + 3_600_000), 5),
    ];
    for (position, expected) in cases {
        let found = source.offset_at(&queue, position).await?;
        ensure!(found == expected, "{position:?} is {found}, not {expected}");
    }
    // Many of the same millisecond: the first of them.
    session.send(&topic, &vec![body("same"); 200]).await?;
    let events = stored(&session, &topic, 205).await?;
    for event in events.iter().step_by(23) {
        let timestamp = event.envelope.store_timestamp;
        let expected = events.iter().find(|event| event.envelope.store_timestamp >= timestamp).map(|event| event.offset);
        let found = source.offset_at(&queue, StartPosition::Timestamp(timestamp)).await?;
        ensure!(Some(found) == expected, "{timestamp} is {found}, not {expected:?}");
    }
    Ok(())
}

/// *Scenario*: a group that never committed; commits of an offset, of a later one, and of 0; another client asks. *Guarantees*: none
/// before, then what was committed; RocketMQ's own tool shows it.
pub(crate) async fn commits_are_kept_by_the_broker(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let topic = session.topic("commits", 2).await?;
    session.send(&topic, &[body("0"), body("1"), body("2"), body("3")]).await?;
    let source = session.source(&topic, &[]);
    let mut queue = open(&source).await?;
    ensure!(queue.committer.committed().await?.is_none());
    queue.committer.commit(0).await?;
    ensure!(queue.committer.committed().await? == Some(0));
    let second = source.partitions().await?.remove(1);
    ensure!(source.open(&second).await?.committer.committed().await?.is_none(), "the other queue was not committed");
    queue.committer.commit(2).await?;
    queue.committer.commit(3).await?;
    let other = Session::new(cluster.connection());
    ensure!(open(&other.source(&topic, &[])).await?.committer.committed().await? == Some(3));
    let progress = other.admin.progress(&topic, "group-commits").await?;
    ensure!(progress[0].committed == Some(3) && progress[0].maximum == 4, "{progress:?}");
    if let Some(shown) = cluster.mqadmin(&["consumerProgress", "-g", "group-commits"])? {
        let line = shown.lines().find(|line| line.starts_with(&topic)).with_context(|| shown.clone())?;
        let numbers: Vec<_> = line.split_whitespace().collect();
        ensure!(numbers.contains(&"4") && numbers.contains(&"3"), "{shown}");
    }
    Ok(())
}

/// *Scenario*: tags `A` and `B` wanted, with spaces around, of messages with A, B, C, AB and none; then only C at the end.
/// *Guarantees*: only wanted ones; the next offset passes over the others.
pub(crate) async fn tags_are_filtered(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let topic = session.topic("tags", 1).await?;
    let tags = ["A", "C", "B", "AB", "", "A", "C", "C"];
    let messages: Vec<_> = tags.iter().map(|tag| Message { tags: (*tag).to_owned(), ..body(tag) }).collect();
    session.send(&topic, &messages).await?;
    let mut queue = open(&session.source(&topic, &[" A ", "B "])).await?;
    let events = read(&mut queue, 0, 3).await?;
    ensure!(events.iter().map(|event| event.offset).eq([0, 2, 5]), "{events:?}");
    let mut offset = 6;
    let deadline = Instant::now() + Duration::from_secs(20);
    while offset < 8 {
        let pulled = queue.reader.pull(offset, LIMITS).await?;
        ensure!(pulled.events.is_empty());
        offset = pulled.next_offset;
        ensure!(Instant::now() < deadline, "the next offset stays at {offset}");
    }
    let all = read(&mut open(&session.source(&topic, &["A", "*"])).await?, 0, 8).await?;
    ensure!(all.len() == 8);
    Ok(())
}

/// *Scenario*: a topic that is not there, as source and target. *Guarantees*: `NotFound`, naming the topic and the name server.
pub(crate) async fn unknown_topics_and_groups_are_said(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let error = session.source("missing", &[]).partitions().await.expect_err("no such topic");
    ensure!(error.code() == Code::NotFound, "{error}");
    ensure!(error.to_string().contains("missing") && error.to_string().contains(&session.connection.endpoints[0]), "{error}");
    let results = deliver(&session.target("missing", false), [event(0, "x", &[]), event(1, "y", &[])]).await;
    ensure!(results.len() == 2 && results.iter().all(|result| result.as_ref().is_err_and(|error| error.code() == Code::NotFound)));
    Ok(())
}

/// *Scenario*: a name server that is not there, alone and before one that is. *Guarantees*: `Unavailable`, naming the address and why, soon;
/// of several the one that is there serves.
pub(crate) async fn unreachable_name_servers_are_said(cluster: &mut Cluster) -> Result<()> {
    let closed = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let alone = Session::new(RocketMqConnection { endpoints: vec![closed.clone()], ..cluster.connection() });
    let began = Instant::now();
    let error = alone.source("any", &[]).partitions().await.expect_err("no name server");
    ensure!(error.code() == Code::Unavailable && error.to_string().contains(&format!("{closed}: connection refused")), "{error}");
    ensure!(began.elapsed() < Duration::from_secs(2));
    let real = cluster.connection().endpoints.remove(0);
    let both = Session::new(RocketMqConnection { endpoints: vec![closed, real], ..cluster.connection() });
    both.topic("reachable", 1).await?;
    Ok(())
}

/// *Scenario*: a pull far beyond the end. *Guarantees*: `OffsetOutOfRange` with the stored range, no quiet move; at the end exactly, nothing.
pub(crate) async fn offsets_out_of_range_are_said(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let topic = session.topic("range", 1).await?;
    session.send(&topic, &[body("0"), body("1")]).await?;
    stored(&session, &topic, 2).await?;
    let mut queue = open(&session.source(&topic, &[])).await?;
    let error = queue.reader.pull(1000, LIMITS).await.expect_err("beyond the end");
    ensure!(error.code() == Code::OffsetOutOfRange && error.to_string().contains("0 to 2"), "{error}");
    let pulled = queue.reader.pull(2, LIMITS).await?;
    ensure!(pulled.events.is_empty() && pulled.next_offset == 2 && pulled.maximum_offset == 2, "{pulled:?}");
    Ok(())
}

/// *Scenario*: three messages; the topic is looked over, also at offsets that hold nothing; then, where RocketMQ's own tool is there, it is removed and
/// made anew under the same name, and gets more messages than before. *Guarantees*: the bounds; what stands at an offset is what is read
/// there; and the messages of the new topic are told from those that stood at the same offsets.
pub(crate) async fn a_topic_made_anew_is_told_apart(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let topic = session.topic("survey", 1).await?;
    let source = session.source(&topic, &["A"]);
    let queue = first(&source).await?;
    let empty = source.survey(&queue, &[0, 1]).await?;
    ensure!((empty.minimum, empty.maximum, empty.landmarks.len(), empty.is_from_master) == (0, 0, 0, true), "{empty:?}");
    session.send(&topic, &[body("0"), body("1"), body("2")]).await?;
    let events = stored(&session, &topic, 3).await?;
    let before = source.survey(&queue, &[0, 2, 3, 900]).await?;
    ensure!((before.minimum, before.maximum) == (0, 3), "{before:?}");
    ensure!(before.landmarks == [Landmark::of(&events[0]), Landmark::of(&events[2])], "{before:?} of {events:?}");
    ensure!(before.landmarks[0].id.len() > 8 && before.landmarks[0] != before.landmarks[1]);
    if cluster.mqadmin(&["deleteTopic", "-c", cluster.cluster_name(), "-t", &topic])?.is_none() {
        return Ok(());
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while session.admin.queues(&topic).await.is_ok() {
        ensure!(Instant::now() < deadline, "the topic stays");
        sleep(Duration::from_millis(100)).await;
    }
    session.topic("survey", 1).await?;
    session.send(&topic, &vec![body("new"); 10]).await?;
    stored(&session, &topic, 10).await?;
    let after = source.survey(&queue, &[0, 2]).await?;
    ensure!((after.minimum, after.maximum, after.landmarks.len()) == (0, 10, 2), "{after:?}");
    ensure!(after.landmarks.iter().zip(&before.landmarks).all(|(new, old)| new.offset == old.offset && new != old), "{after:?}");
    Ok(())
}

/// *Scenario*: a message longer than the broker takes, among others. *Guarantees*: it alone is `Rejected`; those around it arrive in order.
pub(crate) async fn refused_messages_stand_alone(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let topic = session.topic("refused", 1).await?;
    let events = [event(0, "a", &[]), event(1, "b", &[]), event(2, vec![1; 5 * 1024 * 1024], &[]), event(3, "c", &[])];
    let results = deliver(&session.target(&topic, false), events).await;
    let codes: Vec<_> = results.iter().map(|result| result.as_ref().err().map(rocketbridge_connector::Error::code)).collect();
    ensure!(codes == [None, None, Some(Code::Rejected), None], "{results:?}");
    let arrived = stored(&session, &topic, 3).await?;
    ensure!(arrived.iter().map(|event| &event.envelope.body[..]).eq([&b"a"[..], b"b", b"c"]));
    Ok(())
}

/// *Scenario*: messages that a producer delays, by level and, where the broker knows timers, until a time; when they can be read, they are
/// delivered to another topic, with a timed message that is ten days ahead and was read from a broker without timers. *Guarantees*: they are
/// delayed once; the copies are there at once and say how their originals were delayed.
pub(crate) async fn delays_do_not_begin_again(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let (topic, copy) = (session.topic("delayed", 1).await?, session.topic("delayed-copy", 1).await?);
    let sent = Instant::now();
    let timer = Message { properties: vec![("TIMER_DELAY_MS".into(), "1500".into())], ..body("timer") };
    session.send(&topic, &[body("now"), Message { delay_level: 1, ..body("later") }, timer]).await?;
    let mut originals = stored(&session, &topic, 3).await?;
    ensure!(sent.elapsed() > Duration::from_millis(700), "{:?}", sent.elapsed());
    let ahead = (SystemTime::now() + Duration::from_secs(10 * 86_400)).duration_since(UNIX_EPOCH)?.as_millis().to_string();
    originals.push(event(9, "ahead", &[("TIMER_DELIVER_MS", &ahead), ("__STARTDELIVERTIME", &ahead), ("DELAY", "5"), ("x", "y")]));
    // As in a broker that keeps the property when the delay is over.
    originals.push(event(10, "level", &[("DELAY", "18")]));
    delivered(&session.target(&copy, false), originals).await?;
    let delivered = Instant::now();
    let copies = stored(&session, &copy, 5).await?;
    ensure!(delivered.elapsed() < Duration::from_secs(1), "{:?}", delivered.elapsed());
    let of = |body: &str| copies.iter().find(|event| event.envelope.body == body).map(|event| &event.envelope.properties);
    let told = format!("TIMER_DELIVER_MS={ahead} __STARTDELIVERTIME={ahead} DELAY=5");
    let ahead = of("ahead").context("it is there")?;
    ensure!(ahead.get(TIMED_PROPERTY) == Some(&told) && ahead.get("x") == Some("y") && origin_of(ahead).is_some(), "{ahead:?}");
    ensure!(of("level").context("it is there")?.get(TIMED_PROPERTY) == Some("DELAY=18"));
    ensure!(of("now").context("it is there")?.get(TIMED_PROPERTY).is_none());
    Ok(())
}

/// *Scenario*: 400 messages of 20 sharding keys to an orderly target of 4 queues. *Guarantees*: each key in one queue, in order.
pub(crate) async fn sharding_keys_keep_their_order(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let topic = session.topic("sharded", 4).await?;
    let events = (0..400_u64).map(|number| event(number, number.to_string(), &[("__SHARDINGKEY", &format!("key-{}", number % 20))]));
    delivered(&session.target(&topic, true), events).await?;
    let source = session.source(&topic, &[]);
    let mut queues_of_key = std::collections::BTreeMap::<String, Vec<(u32, u64)>>::new();
    // A broker counts a message into its queue a moment after it confirmed it.
    let deadline = Instant::now() + Duration::from_secs(10);
    let offsets = loop {
        let offsets = session.admin.offsets(&topic).await?;
        if offsets.iter().map(|offsets| offsets.maximum).sum::<u64>() == 400 {
            break offsets;
        }
        ensure!(Instant::now() < deadline, "{offsets:?}");
        sleep(Duration::from_millis(20)).await;
    };
    for offsets in offsets {
        let partition = source.partitions().await?.remove(offsets.queue.id as usize);
        let mut queue = source.open(&partition).await?;
        for event in read(&mut queue, 0, offsets.maximum as usize).await? {
            let key = event.envelope.properties.get("__SHARDINGKEY").context("a key")?.to_owned();
            let number = std::str::from_utf8(&event.envelope.body)?.parse()?;
            queues_of_key.entry(key).or_default().push((partition.queue, number));
        }
    }
    ensure!(queues_of_key.len() == 20);
    for (key, places) in queues_of_key {
        ensure!(places.len() == 20 && places.is_sorted() && places[0].0 == places[19].0, "{key}: {places:?}");
    }
    Ok(())
}

/// *Scenario*: a connection with a namespace. *Guarantees*: its topic is another than the one of that name without.
pub(crate) async fn namespaces_are_prefixes(cluster: &mut Cluster) -> Result<()> {
    let plain = Session::new(cluster.connection());
    let session = Session::new(RocketMqConnection { namespace: "NS".into(), ..cluster.connection() });
    let topic = session.topic("spaced", 1).await?;
    session.send(&topic, &[body("x")]).await?;
    ensure!(stored(&session, &topic, 1).await?.len() == 1);
    plain.admin.queues(&topic).await.expect_err("only with its namespace");
    ensure!(plain.admin.topics().await?.contains(&"NS%spaced".to_owned()));
    Ok(())
}

/// *Scenario*: a pull waits at the end; a message is sent, and another while it is being looked at. *Guarantees*: both are seen within a
/// second.
pub(crate) async fn a_waiting_pull_sees_the_next_message(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let topic = session.topic("waiting", 1).await?;
    session.send(&topic, &[body("0")]).await?;
    let mut queue = open(&session.source(&topic, &[])).await?;
    read(&mut queue, 0, 1).await?;
    for offset in 1..4 {
        let (pulled, sent) = tokio::join!(timeout(Duration::from_secs(10), read(&mut queue, offset, 1)), async {
            sleep(Duration::from_millis(100)).await;
            let sent = Instant::now();
            session.send(&topic, &[body("next")]).await.map(|()| sent)
        });
        ensure!(pulled??[0].offset == offset && sent?.elapsed() < Duration::from_secs(1), "offset {offset}");
    }
    Ok(())
}

/// *Scenario*: reading and sending every 100 ms while the broker ends (`kill -9` where it is a process) and starts again.
/// *Guarantees*: an error meanwhile, and both work within 5 s of the broker being back; nothing that was confirmed is lost.
pub(crate) async fn a_broker_that_is_back_is_used_at_once(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let topic = session.topic("recovery", 1).await?;
    let target = session.target(&topic, false);
    delivered(&target, [event(0, "before", &[])]).await?;
    let mut queue = open(&session.source(&topic, &[])).await?;
    read(&mut queue, 0, 1).await?;
    cluster.break_broker().await?;
    // A broker that stops in good order may still answer the pull that waits.
    let error = loop {
        match queue.reader.pull(1, LIMITS).await {
            Ok(pulled) => ensure!(pulled.events.is_empty()),
            Err(error) => break error,
        }
    };
    ensure!(error.code() == Code::Unavailable, "{error}");
    let result = deliver(&target, [event(1, "meanwhile", &[])]).await.remove(0);
    ensure!(result.is_err_and(|error| error.code() == Code::Unavailable));
    for _ in 0..20 {
        queue.reader.pull(1, LIMITS).await.expect_err("the broker is gone");
        sleep(Duration::from_millis(10)).await;
    }
    cluster.mend_broker().await?;
    let back = Instant::now();
    while let Err(error) = delivered(&target, [event(1, "after", &[])]).await {
        ensure!(back.elapsed() < Duration::from_secs(5), "{error}");
        sleep(Duration::from_millis(100)).await;
    }
    let sending = back.elapsed();
    let events = loop {
        match queue.reader.pull(0, LIMITS).await {
            Ok(pulled) if pulled.events.len() >= 2 => break pulled.events,
            other => ensure!(back.elapsed() < Duration::from_secs(5), "{other:?}"),
        }
        sleep(Duration::from_millis(100)).await;
    };
    println!("{}: sends {sending:?}, reads {:?} after the broker is back", cluster.name(), back.elapsed());
    ensure!(events[0].envelope.body == "before" && events[events.len() - 1].envelope.body == "after");
    Ok(())
}

/// *Scenario*: a cluster with access control; right keys, a wrong secret, none, and a reference that leads nowhere. *Guarantees*: right keys
/// send, read and commit; the others are `Denied` with the broker's reason, and no secret is shown.
pub(crate) async fn credentials_decide(cluster: &mut Cluster) -> Result<()> {
    let right = Session::new(cluster.connection_with("admin12345", "secret12345"));
    let topic = right.topic("guarded", 1).await?;
    right.send(&topic, &[body("0")]).await?;
    let mut queue = open(&right.source(&topic, &[])).await?;
    read(&mut queue, 0, 1).await?;
    queue.committer.commit(1).await?;
    ensure!(queue.committer.committed().await? == Some(1));
    delivered(&right.target(&topic, false), [event(0, "1", &[])]).await?;
    let partition = first(&right.source(&topic, &[])).await?;
    for connection in [
        cluster.connection_with("admin12345", "wrong-secret"),
        cluster.connection(),
        cluster.connection_with("admin12345", "env:ROCKETBRIDGE_TEST_UNSET"),
    ] {
        let secret = connection.credentials.as_ref().and_then(|credentials| match credentials {
            Credentials::Static(keys) => Some(keys.secret_key.expose().to_owned()),
            _ => None,
        });
        let session = Session::new(connection);
        let errors = [
            deliver(&session.target(&topic, false), [event(0, "2", &[])]).await.remove(0).expect_err("refused"),
            match session.source(&topic, &[]).open(&partition).await {
                Ok(mut open) => open.reader.pull(0, LIMITS).await.expect_err("refused"),
                Err(error) => error,
            },
        ];
        for error in errors {
            println!("{}: {error}", cluster.name());
            ensure!(error.code() == Code::Denied, "{error}");
            ensure!(secret.as_ref().is_none_or(|secret| secret.starts_with("env:") || !error.to_string().contains(secret)));
        }
    }
    Ok(())
}

/// Two clusters: see the test of the same name.
pub(crate) async fn two_clusters(qingdao: &Cluster, hohhot: &Cluster) -> Result<()> {
    let session = Session::new(qingdao.connection());
    let far = Session::new(hohhot.connection());
    let (from, to) = (session.topic("orders", 1).await?, far.topic("orders", 1).await?);
    session.send(&from, &[body("0"), body("1")]).await?;
    let source = session.source(&from, &[]);
    let events = read(&mut open(&source).await?, 0, 2).await?;
    // The same connectors hold both clients.
    let target = session
        .connectors
        .target(&RocketMqTarget { connection: hohhot.connection(), ..session.plain_target(&to) }, &session.definition("t", &[]));
    delivered(&target, events).await?;
    let arrived = stored(&far, &to, 2).await?;
    let prefix = format!("{}/{}/{}/{}/0/", origin().region, origin().instance, origin().topic, origin().broker);
    ensure!(origin_of(&arrived[1].envelope.properties) == Some(format!("{prefix}1").as_str()));
    ensure!(stored(&session, &from, 2).await?.len() == 2);
    Ok(())
}
