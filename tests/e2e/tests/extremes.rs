//! Bodies and offsets far beyond the usual, on real brokers.

use std::time::Duration;

use bytes::Bytes;
use rocketbridge_connector::{Registry, Source};
use rocketbridge_connector_rocketmq::{Connectors, Message, REASON_PROPERTY, TopicSettings};
use rocketbridge_harness::{Audit, Brokers, Cluster, Kind, Load, Route, Special, Standalone, eventually};
use rocketbridge_model::Event;
use rocketbridge_model::resolved::{RocketMqConnection, RocketMqSource, StartPosition};
use rocketbridge_proto::stream::v1::{DeadLetterQueue, RunOptions, Stream, StreamStatus, source};

const DEADLINE: Duration = Duration::from_secs(180);
const MIB: usize = 1 << 20;
/// A body of a size, unlike that of any other number.
fn body(number: usize, size: usize) -> Bytes {
    (0..size).map(|at| (at.wrapping_mul(31).wrapping_add(at >> 8).wrapping_add(number)) as u8).collect()
}

/// The first so many messages of a topic, in order.
async fn arrivals(cluster: &Cluster, topic: &str, count: usize) -> Vec<Event> {
    let mut tail = cluster.admin().tail(topic, &[], StartPosition::Earliest).await.unwrap_or_else(|error| panic!("{error}"));
    let mut events = Vec::new();
    let all = async {
        while events.len() < count {
            if let Ok(tailed) = tail.next().await {
                events.push(tailed.event);
            }
        }
    };
    let in_time = tokio::time::timeout(DEADLINE, all).await.is_ok();
    assert!(in_time, "{topic}: {count} messages should arrive, {} did", events.len());
    events
}

/// Compares without printing megabytes.
fn expect(what: &str, arrived: &[Event], expected: &[&Bytes]) {
    let sizes: Vec<_> = arrived.iter().map(|event| event.envelope.body.len()).collect();
    assert!(arrived.iter().map(|event| &event.envelope.body).eq(expected.iter().copied()), "{what}: other bodies, of sizes {sizes:?}");
}

/// *Scenario*: a body of 64 MiB among small ones, in a broker that was set up for that; one target that is too, and two on a broker with the limits that it has by
/// itself: one stream tolerates errors and names a dead-letter topic where such a body fits, the other one tolerates none. *Guarantees*: where it is taken, it arrives byte
/// by byte. Where it is refused, that one alone is a dead letter, whole and with its reason; or it blocks with its offset and reason until an operator lets it
/// pass. Those beside it arrive, and each once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_64_mib_travels_or_is_refused_in_words() {
    let special = Special {
        settings: vec!["maxMessageSize=134217728".into(), "mappedFileSizeCommitLog=268435456".into()],
        java_options: "-Dcom.rocketmq.remoting.frameMaxLength=150000000".into(),
        heap: "1g".into(),
        ..Special::default()
    };
    let Some(large) = Cluster::java("5.3.3", "large", special).await else { return };
    let Some(ordinary) = Cluster::java("5.3.3", "ordinary", Special::default()).await else { return };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let standalone = Standalone::start(directory.path());
    let api = standalone.api().await;
    for topic in ["large", "copy", "dead"] {
        large.create_topic(topic, 1).await;
    }
    for topic in ["tolerated", "blocked"] {
        ordinary.create_topic(topic, 1).await;
    }
    let bodies: Vec<Bytes> = [100, 64 * MIB, 200].into_iter().enumerate().map(|(number, size)| body(number, size)).collect();
    let [first, huge, last] = &bodies[..] else { panic!("three bodies") };
    let messages: Vec<Message> = bodies.iter().map(|body| Message { body: body.clone(), queue: Some(0), ..Message::default() }).collect();
    for sent in large.admin().producer("large").send(&messages).await {
        sent.unwrap_or_else(|error| panic!("{error}"));
    }
    let to = |name: &str, target: &Cluster, topic: &str| {
        let route = Route::new(name, "large", &large, target);
        Route { target: (target.name_server().to_owned(), topic.to_owned()), ..route }.stream()
    };

    api.run(to("taken", &large, "copy")).await;
    expect("copy", &arrivals(&large, "copy", 3).await, &[first, huge, last]);

    api.create(tolerating(to("tolerated", &ordinary, "tolerated"))).await;
    api.start("tolerated").await;
    expect("tolerated", &arrivals(&ordinary, "tolerated", 2).await, &[first, last]);
    let letters = arrivals(&large, "dead", 1).await;
    expect("dead letters", &letters, &[huge]);
    let reason = letters[0].envelope.properties.get(REASON_PROPERTY).expect("a dead letter says why");
    assert!(reason.contains("67108864") && reason.contains("frameMaxLength"), "{reason}");
    let counted = |status: &StreamStatus| status.counts.is_some_and(|counts| counts.delivered == 2 && counts.dead_lettered == 1);
    api.wait("tolerated", "counts each event", DEADLINE, counted).await;

    api.create(to("blocked", &ordinary, "blocked")).await;
    api.start("blocked").await;
    let blocked = |status: &StreamStatus| status.partitions.iter().find_map(|part| part.report.as_ref()?.blocked.clone());
    let status = api.wait("blocked", "says what blocks", DEADLINE, |status| blocked(status).is_some()).await;
    let event = blocked(&status).expect("waited for");
    println!("blocked: {}", event.reason);
    assert!(event.offset == 1 && event.reason.contains("67108864"), "{event:?}");
    let partition = status.partitions[0].report.as_ref().expect("reported").partition.clone();
    api.skip("blocked", &partition, 1, "too large").await.expect("it blocks");
    expect("blocked", &arrivals(&ordinary, "blocked", 2).await, &[first, last]);

    for (cluster, topic, count) in [(&large, "copy", 3), (&large, "dead", 1), (&ordinary, "tolerated", 2), (&ordinary, "blocked", 2)] {
        assert_eq!(cluster.stored(topic).await, count, "{topic}");
    }
    drop(standalone);
    ordinary.end().await;
    large.end().await;
}

/// The stream with tolerance ALL and a dead-letter topic in its source's cluster.
fn tolerating(mut stream: Stream) -> Stream {
    if let Some(source::Source::SourceRocketmqParameters(source)) = stream.source.as_mut().and_then(|source| source.source.as_mut()) {
        source.instance_id = "large".to_owned();
    }
    let dead_letter_queue = DeadLetterQueue { arn: "acs:mq:qingdao::/instances/large/topic/dead".to_owned(), ..Default::default() };
    let run_options =
        RunOptions { errors_tolerance: "ALL".to_owned(), dead_letter_queue: Some(dead_letter_queue), ..RunOptions::default() };
    Stream { run_options: Some(run_options), ..stream }
}

/// Sets the committed offset of a group in the first queue of a topic, as operators do by hand.
async fn set_offset(cluster: &Cluster, topic: &str, group: &str, offset: u64) {
    let connection = RocketMqConnection { endpoints: vec![cluster.name_server().to_owned()], ..RocketMqConnection::default() };
    let (topic, group) = (topic.to_owned(), group.to_owned());
    let definition = RocketMqSource { connection, topic, tags: Vec::new(), sql: None, group, start: StartPosition::Earliest };
    let Source::Offsets(source) = Connectors::new().source(&definition) else { panic!("it is read at offsets") };
    let partitions = source.partitions().await.unwrap_or_else(|error| panic!("{error}"));
    let mut open = source.open(&partitions[0]).await.unwrap_or_else(|error| panic!("{error}"));
    open.committer.commit(offset).await.unwrap_or_else(|error| panic!("{error}"));
    let committed = open.committer.committed().await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(committed, Some(offset), "the broker keeps what was set");
}

/// *Scenario*: while a stream is paused, messages come in, and the offset of its group is set a million beyond the end of its queue by hand. *Guarantees*: it goes on
/// with the first message that it has not read: nothing is read again, nothing is passed over, and the status tells of it.
async fn an_offset_beyond_the_end_repeats_nothing(kind: Kind) {
    let Some(brokers) = Brokers::start(kind).await else { return };
    brokers.create_topic("moved", 1).await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let standalone = Standalone::start(directory.path());
    let api = standalone.api().await;
    let audit = Audit::follow(&brokers.target, "moved", 1, 81).await;
    let load = Load::new(&brokers.source, "moved", 1, 81);
    load.send(0..500).await;
    let route = Route { group: "GID_moved".to_owned(), ..Route::new("moved", "moved", &brokers.source, &brokers.target) };
    api.run(route.stream()).await;
    audit.wait(500, DEADLINE).await;
    api.pause("moved").await;
    load.send(500..550).await;
    set_offset(&brokers.source, "moved", "GID_moved", 1_000_000).await;
    api.start("moved").await;
    api.wait_until_running("moved", DEADLINE).await;
    load.send(550..600).await;
    audit.wait(600, DEADLINE).await;
    let report = audit.expect(0..600, |_| true).await;
    let status = api.status("moved").await;
    println!("{kind:?}: {report}; gaps {:?}", status.gaps);
    assert_eq!(report.duplicated, 0, "{report}");
    let told = |from, to| status.gaps.iter().any(|gap| (gap.from, gap.to) == (from, to));
    assert!(told(500, 1_000_000) && status.gaps.len() == 1, "the status tells of it: {:?}", status.gaps);
    drop(standalone);
    brokers.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offset_beyond_the_end_repeats_nothing_on_java_5() {
    an_offset_beyond_the_end_repeats_nothing(Kind::Java("5.3.3")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offset_beyond_the_end_repeats_nothing_on_java_4() {
    an_offset_beyond_the_end_repeats_nothing(Kind::Java("4.9.7")).await;
}

/// *Scenario*: a topic that its broker compacts (5.x) has had 3,000 messages of ten keys, and most of the older ones are gone from between the others; a stream reads it
/// from its beginning. *Guarantees*: every message that is left arrives, the newest of each key among them, and what was compacted is not told as a gap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_java_broker_has_compacted_is_no_gap() {
    const SENT: usize = 3_000;
    let settings = ["compactionScheduleInternal=3000", "compactionMappedFileSize=262144", "compactionCqMappedFileSize=460000"];
    let special = Special { settings: settings.map(str::to_owned).to_vec(), ..Special::default() };
    let Some(source) = Cluster::java("5.3.3", "compacting", special).await else { return };
    let target = Cluster::embedded("hohhot").await;
    let admin = source.admin();
    let brokers = admin.create_topic_in(None, "probe", 1).await.unwrap_or_else(|error| panic!("{error}"));
    let attributes = [("cleanup.policy".to_owned(), "COMPACTION".to_owned())].into();
    let settings = TopicSettings { read_queue_nums: 1, write_queue_nums: 1, perm: 6, attributes };
    admin.set_topic(&brokers[0], "states", &settings, true).await.unwrap_or_else(|error| panic!("{error}"));
    target.create_topic("states", 1).await;
    let message =
        |number: usize| Message { body: body(number, 1_000), keys: format!("key-{}", number % 10), queue: Some(0), ..Message::default() };
    let messages: Vec<Message> = (0..SENT).map(message).collect();
    for sent in admin.producer("states").send(&messages).await {
        sent.unwrap_or_else(|error| panic!("{error}"));
    }
    let newest = &messages[SENT - 1].body;
    let left = eventually("the broker has compacted the topic", DEADLINE, async || {
        let left = arrivals_until(&source, "states", newest).await;
        if left.len() < SENT / 2 { Ok(left) } else { Err(format!("{} messages are left", left.len())) }
    })
    .await;
    println!("{} of {SENT} messages are left", left.len());

    let directory = tempfile::tempdir().expect("a temporary directory");
    let standalone = Standalone::start(directory.path());
    let api = standalone.api().await;
    api.run(Route::new("states", "states", &source, &target).stream()).await;
    let copies = arrivals_until(&target, "states", newest).await;
    let bodies: Vec<_> = copies.iter().map(|event| event.envelope.body.clone()).collect();
    // Compaction goes on: of what was left then, more may be gone.
    let of_left = left.iter().filter(|event| bodies.contains(&event.envelope.body)).count();
    assert!(of_left == bodies.len() && bodies.len() > 10, "{} of {} are among those that were left", of_left, bodies.len());
    assert!(messages[SENT - 10..].iter().all(|message| bodies.contains(&message.body)), "the newest of each key arrives");
    let status = api.wait("states", "has read everything", DEADLINE, |status| delivered(status) >= copies.len() as u64).await;
    assert!(status.gaps.is_empty(), "{:?}", status.gaps);
    drop(standalone);
    target.end().await;
    source.end().await;
}

/// What a topic holds up to a body.
async fn arrivals_until(cluster: &Cluster, topic: &str, last: &Bytes) -> Vec<Event> {
    let mut tail = cluster.admin().tail(topic, &[], StartPosition::Earliest).await.unwrap_or_else(|error| panic!("{error}"));
    let mut events: Vec<Event> = Vec::new();
    let all = async {
        while events.last().is_none_or(|event| event.envelope.body != *last) {
            if let Ok(tailed) = tail.next().await {
                events.push(tailed.event);
            }
        }
    };
    assert!(tokio::time::timeout(DEADLINE, all).await.is_ok(), "{topic}: the last message should arrive");
    events
}

fn delivered(status: &StreamStatus) -> u64 {
    status.counts.map_or(0, |counts| counts.delivered)
}
