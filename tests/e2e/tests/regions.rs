//! A mesh in two regions that a long link joins.

#![recursion_limit = "256"]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rocketbridge_connector_rocketmq::Message;
use rocketbridge_harness::{Audit, Brokers, Cluster, Etcd, Kind, Load, Mesh, Relay, Role, Route, eventually, free_port};
use rocketbridge_proto::connection::v1::connection_service_client::ConnectionServiceClient;
use rocketbridge_proto::connection::v1::{Connection, CreateConnectionRequest};
use rocketbridge_proto::stream::v1::{Stream, TargetParameter, sink};

const QUEUES: u32 = 8;
const MESSAGES: u64 = 100_000;
const TEXTS: u64 = 20_000;
/// Half of the round trip.
const DELAY: Duration = Duration::from_millis(25);
const DEADLINE: Duration = Duration::from_secs(60);

/// A stream between topics of one name, whose target is named by a connection.
fn to_connection(topic: &str, connection: &str, brokers: &Brokers) -> Stream {
    let mut stream = Route::new(topic, topic, &brokers.source, &brokers.target).stream_of(QUEUES);
    let sink = stream.sink.as_mut().and_then(|sink| sink.sink.as_mut()).expect("it has a sink");
    let sink::Sink::SinkRocketmqParameters(parameters) = sink;
    parameters.instance_endpoint = None;
    parameters.connection = Some(TargetParameter { value: connection.to_owned(), form: "CONSTANT".to_owned(), ..Default::default() });
    stream
}

/// Defines a connection of a region.
async fn define_connection(server: &str, region: &str, endpoint: &str) {
    let connection =
        Connection { name: region.to_owned(), region: region.to_owned(), endpoints: vec![endpoint.to_owned()], ..Default::default() };
    let mut client = ConnectionServiceClient::connect(server.to_owned()).await.expect("the controller serves");
    let request = CreateConnectionRequest { connection: Some(connection), ..Default::default() };
    client.create_connection(request).await.expect("it is sound");
}

/// *Scenario*: a router, a filter and a dispatcher in qingdao, a dispatcher in hohhot behind a link with a round trip of 50 ms; two streams from qingdao to
/// hohhot with a backlog of 100,000 messages and one of 20,000 texts. Then the dispatcher in hohhot ends. *Guarantees*: every event crosses the link once, and
/// compressed; all arrive once; without a dispatcher in hohhot the one in qingdao delivers, nothing is lost, and the status names the region that lacks one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_crosses_the_long_link_once() {
    let Some(etcd) = Etcd::start(1) else { return };
    let brokers = Brokers::start(Kind::Embedded).await.expect("embedded ones are always there");
    brokers.create_topic("orders", QUEUES).await;
    brokers.create_topic("texts", 1).await;
    let load = Load::new(&brokers.source, "orders", QUEUES, 7);
    load.send(0..MESSAGES).await;
    let bodies = send_texts(&brokers.source).await;

    let there = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let link = Relay::start("127.0.0.1:0", there, DELAY, None).await;
    let mut mesh = Mesh::empty(&etcd, &[]);
    for role in [Role::Controller, Role::Router, Role::Filter, Role::Dispatcher] {
        mesh.add_at(role, "127.0.0.1:0", &["--region", "qingdao"]);
    }
    let advertised = link.address().to_string();
    let far = mesh.add_at(Role::Dispatcher, &there.to_string(), &["--region", "hohhot", "--advertise", &advertised]).name().to_owned();
    let api = mesh.api().await;

    define_connection(api.server(), "hohhot", brokers.target.name_server()).await;
    api.run(to_connection("texts", "hohhot", &brokers)).await;
    eventually("the texts have arrived", DEADLINE, async || {
        let stored = brokers.target.stored("texts").await;
        if stored == TEXTS { Ok(()) } else { Err(format!("{stored} of {TEXTS}")) }
    })
    .await;
    let carried = link.carried();
    assert!((TEXTS..bodies / 3).contains(&carried), "bodies of {bodies} bytes crossed as {carried}");

    let audit = Audit::follow(&brokers.target, "orders", QUEUES, 7).await;
    let begin = Instant::now();
    let status = api.run(to_connection("orders", "hohhot", &brokers)).await;
    assert!(status.partitions.iter().all(|partition| partition.dispatcher == far), "{status:?}");
    assert_eq!(status.reason, "");
    audit.wait(MESSAGES, DEADLINE).await;
    println!("{TEXTS} texts of {bodies} bytes crossed as {carried}; {MESSAGES} messages over {DELAY:?} each way in {:?}", begin.elapsed());
    assert_eq!(audit.repeated(), 0);

    let mut gone = mesh.take(&far);
    gone.terminate();
    assert!(gone.wait(DEADLINE).success());
    let reason = "no dispatcher that could do it runs in the region hohhot; dispatchers in qingdao deliver to its target from there";
    api.wait("orders", "the region is told", DEADLINE, |status| status.reason == reason).await;
    load.send(MESSAGES..MESSAGES + 1_000).await;
    audit.expect(0..MESSAGES + 1_000, |_| true).await;
    brokers.stop().await;
}

/// Sends texts to the topic `texts`. Returns how many bytes their bodies are together.
async fn send_texts(source: &Cluster) -> u64 {
    let producer = source.admin().producer("texts");
    let body =
        |number: u64| format!(r#"{{"order":{number},"city":"Hohhot","state":"paid","items":[{{"name":"tea","count":{}}}]}}"#, number % 7);
    let mut bytes = 0;
    for chunk in (0..TEXTS).collect::<Vec<_>>().chunks(1_000) {
        let messages: Vec<Message> =
            chunk.iter().map(|number| Message { body: body(*number).into(), queue: Some(0), ..Message::default() }).collect();
        bytes += messages.iter().map(|message| message.body.len() as u64).sum::<u64>();
        for result in producer.send(&messages).await {
            result.expect("the broker takes it");
        }
    }
    bytes
}
