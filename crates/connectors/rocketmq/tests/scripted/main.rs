//! What the connector does when name servers and brokers misbehave in ways that real ones cannot be made to on demand.

mod hostile;
mod keys;
mod server;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rocketbridge_connector::{Code, OffsetSource, PullLimits, Registry};
use rocketbridge_connector_rocketmq::Connectors;
use rocketbridge_model::resolved::{RocketMqConnection, RocketMqSource, StartPosition};
use server::{Reply, Server};

const PULL: i64 = 11;
const QUERY_OFFSET: i64 = 14;
const MAX_OFFSET: i64 = 30;
const MIN_OFFSET: i64 = 31;
const HEART_BEAT: i64 = 34;
const UNREGISTER: i64 = 35;
const ROUTE: i64 = 105;
const TOPIC_NOT_EXIST: i64 = 17;

fn source(connectors: &Connectors, name_servers: &[&Server]) -> Arc<dyn OffsetSource> {
    let connection = RocketMqConnection {
        endpoints: name_servers.iter().map(|server| server.address().to_owned()).collect(),
        ..RocketMqConnection::default()
    };
    let definition =
        RocketMqSource { connection, topic: "t".into(), tags: vec![], sql: None, group: "g".into(), start: StartPosition::Earliest };
    connectors.source(&definition).offsets().expect("remoting reads at offsets")
}

/// A broker with two queues that hold nothing.
async fn broker() -> Server {
    Server::start(|request| match request.code {
        MAX_OFFSET | MIN_OFFSET => Reply::success(&[("offset", "0")]),
        QUERY_OFFSET => Reply::Answer { code: 22, fields: vec![], body: vec![] },
        _ => Reply::success(&[]),
    })
    .await
}

async fn name_server(broker: &Server) -> Server {
    let body = format!(
        r#"{{"brokerDatas":[{{"brokerAddrs":{{"0":"{}"}},"brokerName":"b","cluster":"c"}}],
        "queueDatas":[{{"brokerName":"b","perm":6,"readQueueNums":2,"writeQueueNums":2,"topicSysFlag":0}}]}}"#,
        broker.address()
    );
    Server::start(move |request| match request.code {
        ROUTE => Reply::Answer { code: 0, fields: vec![], body: body.clone().into_bytes() },
        _ => Reply::success(&[]),
    })
    .await
}

/// *Scenario*: the first of two name servers takes connections and never answers. *Guarantees*: the topic is found without waiting for it, and the second
/// question goes to the other one at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_black_holed_name_server_costs_nothing_while_another_answers() {
    let broker = broker().await;
    let (silent, there) = (Server::start(|_| Reply::Silence).await, name_server(&broker).await);
    let connectors = Connectors::new();
    let source = source(&connectors, &[&silent, &there]);
    let begin = Instant::now();
    assert_eq!(source.partitions().await.expect("found").len(), 2);
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    let begin = Instant::now();
    assert_eq!(source.partitions().await.expect("found").len(), 2);
    assert!(begin.elapsed() < Duration::from_millis(250), "{:?}", begin.elapsed());
}

/// *Scenario*: the first of two name servers was just started and knows no topic. *Guarantees*: the other one is asked; if neither knows it, that is what is said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_name_server_is_no_answer_while_another_knows_the_topic() {
    let broker = broker().await;
    let empty = || Server::start(|_| Reply::Answer { code: TOPIC_NOT_EXIST, fields: vec![], body: vec![] });
    let (first, second, there) = (empty().await, empty().await, name_server(&broker).await);
    let connectors = Connectors::new();
    assert_eq!(source(&connectors, &[&first, &there]).partitions().await.expect("found").len(), 2);
    let error = source(&connectors, &[&first, &second]).partitions().await.expect_err("nobody knows it");
    assert_eq!(error.code(), Code::NotFound, "{error}");
}

/// *Scenario*: the only name server stops answering after the route is known, and then a broker's answer is a refusal, so that the route is doubted.
/// *Guarantees*: the old route serves on, with next to no wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_route_serves_while_no_name_server_answers() {
    let broker = Server::start(|request| match (request.code, request.field("queueId")) {
        (MAX_OFFSET, Some("1")) => Reply::Answer { code: 1, fields: vec![], body: vec![] },
        _ => Reply::success(&[("offset", "7")]),
    })
    .await;
    let there = name_server(&broker).await;
    let connectors = Connectors::new();
    let source = source(&connectors, &[&there]);
    let partitions = source.partitions().await.expect("found");
    there.fall_silent();
    assert!(source.offset_at(&partitions[1], StartPosition::Latest).await.is_err());
    for _ in 0..3 {
        let begin = Instant::now();
        assert_eq!(source.offset_at(&partitions[0], StartPosition::Latest).await.expect("asked"), 7);
        assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    }
}

/// *Scenario*: a broker never answers one request, while a pull of another queue waits on the same connection and is answered later; then the next request comes.
/// *Guarantees*: only the one request fails, at its own deadline; the pull goes on, and nothing is dialled anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_late_answer_fails_its_request_and_not_the_connection() {
    let broker = Server::start(|request| match (request.code, request.field("queueId")) {
        (MAX_OFFSET, Some("1")) => Reply::Silence,
        (PULL, _) => {
            let fields = [("nextBeginOffset", "0"), ("minOffset", "0"), ("maxOffset", "0")];
            Reply::Late(Duration::from_secs(7), Box::new(Reply::answer(19, &fields)))
        }
        (QUERY_OFFSET, _) => Reply::answer(22, &[]),
        _ => Reply::success(&[("offset", "0")]),
    })
    .await;
    let there = name_server(&broker).await;
    let connectors = Connectors::new();
    let source = source(&connectors, &[&there]);
    let partitions = source.partitions().await.expect("found");
    let mut open = source.open(&partitions[0]).await.expect("opens");
    let pull = open.reader.pull(0, PullLimits { events: 1, bytes: 1 << 20, ahead: true });
    let late = source.offset_at(&partitions[1], StartPosition::Latest);
    let others = async {
        // The connection is not silent: others are answered on it meanwhile.
        for _ in 0..20 {
            source.offset_at(&partitions[0], StartPosition::Latest).await.expect("answered");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    let (pulled, late, ()) = tokio::join!(pull, late, others);
    assert!(pulled.expect("it goes on").events.is_empty());
    assert_eq!(late.expect_err("never answered").code(), Code::Unavailable);
    assert_eq!(broker.connections(), 1);
}

/// *Scenario*: a group reads two queues of a broker; the partitions are let go one after the other. *Guarantees*: the broker hears that the group is gone when the
/// last one is, with the client's and the group's names, and not before: a broker that waits for heartbeats in vain closes the shared connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_is_gone_is_unregistered_at_its_broker() {
    let broker = broker().await;
    let there = name_server(&broker).await;
    let connectors = Connectors::new();
    let source = source(&connectors, &[&there]);
    let partitions = source.partitions().await.expect("found");
    let (first, second) = (source.open(&partitions[0]).await.expect("opens"), source.open(&partitions[1]).await.expect("opens"));
    broker.heard(HEART_BEAT).await;
    drop(first);
    // What was asked after it was answered, so it would have been heard.
    source.offset_at(&partitions[0], StartPosition::Latest).await.expect("answered");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(broker.count(UNREGISTER), 0);
    drop(second);
    let farewell = broker.heard(UNREGISTER).await;
    assert_eq!(farewell.field("consumerGroup"), Some("g"));
    assert!(farewell.field("clientID").is_some_and(|id| id.starts_with("rocketbridge@")));
}
