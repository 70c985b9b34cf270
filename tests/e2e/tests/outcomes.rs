//! What becomes of events that cannot be delivered, in running streams: exactly those are given up, or block until an operator says otherwise.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use rocketbridge_connector_rocketmq::Message;
use rocketbridge_harness::{Api, Brokers, Cluster, Kind, Route, Standalone};
use rocketbridge_model::Event;
use rocketbridge_model::resolved::StartPosition;
use rocketbridge_proto::admin::v1::BlockedEvent;
use rocketbridge_proto::stream::v1::{RunOptions, SinkRocketMqParameters, Stream, StreamStatus, TargetParameter, sink};

const DEADLINE: Duration = Duration::from_secs(120);

fn parameter(form: &str, value: &str) -> Option<TargetParameter> {
    Some(TargetParameter { form: form.to_owned(), value: value.to_owned(), ..Default::default() })
}

fn stream(route: &Route, errors_tolerance: &str, change: impl FnOnce(&mut SinkRocketMqParameters)) -> Stream {
    let run_options = Some(RunOptions { errors_tolerance: errors_tolerance.to_owned(), ..Default::default() });
    let mut stream = Stream { run_options, ..route.stream() };
    match stream.sink.as_mut().and_then(|sink| sink.sink.as_mut()) {
        Some(sink::Sink::SinkRocketmqParameters(parameters)) => change(parameters),
        None => panic!("a route has a sink"),
    }
    stream
}

fn message(number: u64, body: String) -> Message {
    Message { keys: number.to_string(), body: Bytes::from(body), queue: Some(0), ..Message::default() }
}

async fn send(cluster: &Cluster, topic: &str, messages: &[Message]) {
    for chunk in messages.chunks(1_000) {
        for result in cluster.admin().producer(topic).send(chunk).await {
            result.unwrap_or_else(|error| panic!("{error}"));
        }
    }
}

fn number_of(event: &Event) -> u64 {
    event.envelope.properties.get("KEYS").and_then(|keys| keys.parse().ok()).expect("its number is its key")
}

/// The numbers of the first so many messages of a topic, in order.
async fn arrivals(cluster: &Cluster, topic: &str, count: usize) -> Vec<u64> {
    let mut tail = cluster.admin().tail(topic, &[], StartPosition::Earliest).await.unwrap_or_else(|error| panic!("{error}"));
    let mut numbers = Vec::new();
    let all = async {
        while numbers.len() < count {
            if let Ok(tailed) = tail.next().await {
                numbers.push(number_of(&tailed.event));
            }
        }
    };
    assert!(tokio::time::timeout(DEADLINE, all).await.is_ok(), "{topic}: {count} messages should arrive, {} did", numbers.len());
    numbers
}

fn blocked(status: &StreamStatus) -> Option<&BlockedEvent> {
    status.partitions.iter().find_map(|partition| partition.report.as_ref()?.blocked.as_ref())
}

/// *Scenario*: a backlog of 30,010 messages in one queue, ten of which get properties of 40,000 bytes from a transform, tolerance ALL, no dead-letter topic.
/// *Guarantees*: exactly those ten are discarded; all others arrive, once and in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn healthy_events_are_not_thrown_away_with_those_that_the_target_refuses() {
    const COUNT: u64 = 30_010;
    let is_poison = |number: u64| number % 3_001 == 1_500;
    let brokers = Brokers::start(Kind::Embedded).await.expect("embedded ones are always there");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let standalone = Standalone::start(directory.path());
    let api: Api = standalone.api().await;
    brokers.create_topic("refused", 1).await;
    let body = |number| {
        let value = if is_poison(number) { "x".repeat(40_000) } else { "y".to_owned() };
        format!(r#"{{"properties":{{"value":"{value}"}}}}"#)
    };
    let messages: Vec<_> = (0..COUNT).map(|number| message(number, body(number))).collect();
    send(&brokers.source, "refused", &messages).await;
    let route = Route::new("refused", "refused", &brokers.source, &brokers.target);
    api.run(stream(&route, "ALL", |sink| sink.properties = parameter("JSONPATH", "$.data.body.properties"))).await;
    let counted = |status: &StreamStatus| status.counts.is_some_and(|counts| counts.delivered + counts.discarded >= COUNT);
    let status = api.wait(&route.name, "counts every event", DEADLINE, counted).await;
    let counts = status.counts.expect("counted");
    assert_eq!((counts.delivered, counts.discarded), (COUNT - 10, 10));
    let expected: Vec<u64> = (0..COUNT).filter(|number| !is_poison(*number)).collect();
    assert!(arrivals(&brokers.target, "refused", expected.len()).await == expected, "all others arrive in order");
    // Asked last: brokers confirm a message a moment before it counts in its queue.
    assert_eq!(brokers.target.stored("refused").await, COUNT - 10);
    drop(standalone);
    brokers.stop().await;
}

/// *Scenario*: tolerance NONE, and a transform that cannot be applied to the third of six events; an operator skips it, and the process is killed at that very
/// moment. *Guarantees*: the status names offset and reason; nothing behind it is delivered before; other offsets, partitions and empty reasons are refused; after
/// the restart the event is skipped, the others arrive, and no mark stays behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_skips_an_event_that_blocks_its_partition() {
    let brokers = Brokers::start(Kind::Embedded).await.expect("embedded ones are always there");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let standalone = Standalone::start(directory.path());
    let api = standalone.api().await;
    brokers.create_topic("blocked", 1).await;
    let body = |number| if number == 2 { r#"{"count":"none"}"#.to_owned() } else { format!(r#"{{"count":{number}}}"#) };
    let messages: Vec<_> = (0..6).map(|number| message(number, body(number))).collect();
    send(&brokers.source, "blocked", &messages).await;
    let route = Route::new("blocked", "blocked", &brokers.source, &brokers.target);
    api.create(stream(&route, "NONE", |sink| sink.body = parameter("EXPRESSION", ".data.body.count + 1"))).await;
    api.start(&route.name).await;
    let status = api.wait(&route.name, "says what blocks", DEADLINE, |status| blocked(status).is_some()).await;
    let found = blocked(&status).expect("waited for").clone();
    assert!(found.offset == 2 && found.since_ms > 0 && found.reason.contains(".data.body.count + 1"), "{found:?}");
    assert!(status.reason.contains("blocked by the event at offset 2"), "{}", status.reason);
    let partition = status.partitions[0].report.as_ref().expect("reported").partition.clone();
    assert_eq!(brokers.target.stored("blocked").await, 2);
    for (partition, offset, reason) in [("nowhere/0", 2, "why"), (partition.as_str(), 6, "why"), (partition.as_str(), 2, " ")] {
        let refused = api.skip(&route.name, partition, offset, reason).await.expect_err("it is refused");
        assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused:?}");
    }
    api.skip(&route.name, &partition, 2, "count is not a number").await.expect("it blocks");
    standalone.process.kill();
    let standalone = Standalone::start(directory.path());
    let api = standalone.api().await;
    let through = |status: &StreamStatus| status.diff_offset == 0 && status.partitions.iter().any(|partition| partition.report.is_some());
    let status = api.wait(&route.name, "has no backlog", DEADLINE, through).await;
    assert_eq!((blocked(&status), status.reason.as_str()), (None, ""));
    let arrived: BTreeSet<u64> = arrivals(&brokers.target, "blocked", 5).await.into_iter().collect();
    assert_eq!(arrived, BTreeSet::from([0, 1, 3, 4, 5]));
    drop(standalone);
    brokers.stop().await;
}
