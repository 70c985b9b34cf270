//! Routes: many topics between two clusters, and the streams that carry them.

#![recursion_limit = "256"]

use std::time::Duration;

use rocketbridge_harness::{Audit, Brokers, Kind, Load, Standalone, eventually};
use rocketbridge_proto::route::v1::route_service_client::RouteServiceClient;
use rocketbridge_proto::route::v1::*;
use rocketbridge_proto::stream::v1::{ListStreamsRequest, State as StreamState, stream_service_client::StreamServiceClient};
use tonic::transport::Channel;

const QUEUES: u32 = 4;
const DEADLINE: Duration = Duration::from_secs(60);

/// A client of the API.
struct Api {
    routes: RouteServiceClient<Channel>,
    streams: StreamServiceClient<Channel>,
}

impl Api {
    async fn connect(server: &str) -> Self {
        let channel = Channel::from_shared(server.to_owned()).expect("an address").connect().await.expect("it serves");
        Self { routes: RouteServiceClient::new(channel.clone()), streams: StreamServiceClient::new(channel) }
    }

    async fn run(&mut self, route: Route) {
        let name = route.name.clone();
        self.routes.create_route(CreateRouteRequest { route: Some(route), ..Default::default() }).await.expect("sound");
        self.routes.start_route(StartRouteRequest { name, ..Default::default() }).await.expect("starts");
    }

    async fn status(&self) -> RouteStatus {
        let answer = self.routes.clone().get_route_status(GetRouteStatusRequest { name: "dr".into() }).await.expect("answers");
        answer.into_inner().status.expect("answered")
    }

    /// Waits until the route has these streams, source and target topic each, and all of them run.
    async fn wait(&self, wanted: &[(&str, &str, Direction)]) -> RouteStatus {
        eventually("the route has its streams, and they run", DEADLINE, async || {
            let status = self.status().await;
            let state = |stream: &RouteStream| stream.status.as_ref().map(|own| own.state());
            let streams: Vec<_> = status
                .streams
                .iter()
                .map(|stream| (stream.source_topic.as_str(), stream.target_topic.as_str(), stream.direction()))
                .collect();
            let is_running = status.streams.iter().all(|stream| state(stream) == Some(StreamState::Running));
            if streams == wanted && is_running { Ok(status.clone()) } else { Err(format!("{streams:?} {status:?}")) }
        })
        .await
    }
}

fn route(brokers: &Brokers, topics: &[&str]) -> Route {
    Route {
        name: "dr".into(),
        from: brokers.source.name_server().into(),
        to: brokers.target.name_server().into(),
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        ..Default::default()
    }
}

/// A message of a topic's queue arrives only once its topic is there.
async fn made(brokers: &Brokers, topic: &str) {
    eventually(&format!("topic {topic} is at the target"), DEADLINE, async || {
        let queues = brokers.target.admin().queues(topic).await.map_err(|error| error.to_string())?;
        if queues.len() == QUEUES as usize { Ok(()) } else { Err(format!("{queues:?}")) }
    })
    .await;
}

async fn many_topics(kind: Kind) {
    let Some(brokers) = Brokers::start(kind).await else { return };
    for topic in ["orders-1", "orders-2", "orders-test", "bills"] {
        brokers.source.create_topic(topic, QUEUES).await;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let standalone = Standalone::start(directory.path());
    let mut api = Api::connect(standalone.process.server()).await;
    let rename = Some(Rename { prefix: "dr-".into(), ..Default::default() });
    let route = Route { rename, ..route(&brokers, &["orders-*", "!orders-test"]) };
    let request = PreviewRouteRequest { route: Some(route.clone()) };
    let preview = api.routes.preview_route(request).await.expect("sound").into_inner();
    let planned: Vec<_> =
        preview.streams.iter().map(|stream| (stream.source_topic.as_str(), stream.source_queues, stream.target_queues)).collect();
    assert_eq!((planned, preview.problems), (vec![("orders-1", QUEUES, 0), ("orders-2", QUEUES, 0)], Vec::new()));
    api.run(route).await;
    let forward = |topic, target| (topic, target, Direction::Forward);
    api.wait(&[forward("orders-1", "dr-orders-1"), forward("orders-2", "dr-orders-2")]).await;

    // A topic that appears later, with messages that were there before it was found.
    brokers.source.create_topic("orders-3", QUEUES).await;
    let topics = ["orders-1", "orders-2", "orders-3"];
    let copies = ["dr-orders-1", "dr-orders-2", "dr-orders-3"];
    for (seed, topic) in (1..).zip(topics) {
        Load::new(&brokers.source, topic, QUEUES, seed).send(0..1_000).await;
    }
    for (seed, copy) in (1..).zip(copies) {
        made(&brokers, copy).await;
        let report = Audit::follow(&brokers.target, copy, QUEUES, seed).await.expect(0..1_000, |_| true).await;
        assert_eq!(report.duplicated, 0, "{copy}: {report}");
    }
    let status = api.wait(&[forward(topics[0], copies[0]), forward(topics[1], copies[1]), forward(topics[2], copies[2])]).await;
    assert_eq!(status.problems, [] as [&str; 0]);
    let request = VerifyRouteRequest { name: "dr".into(), stream: "route.dr.orders-3".into() };
    let compared = api.routes.verify_route(request).await.expect("it is a mirror").into_inner().queues;
    assert_eq!((compared.len(), compared.iter().map(|queue| queue.messages).sum::<u64>()), (QUEUES as usize, 1_000));
    assert!(compared.iter().all(|queue| queue.difference.is_none() && queue.behind == 0), "{compared:?}");
    let listed = brokers.target.admin().topics_of_users(false).await.expect("lists");
    assert!(!listed.iter().any(|topic| topic.contains("bills") || topic.contains("test")), "{listed:?}");

    api.routes.delete_route(DeleteRouteRequest { name: "dr".into(), ..Default::default() }).await.expect("deletes");
    eventually("the streams go with the route", DEADLINE, async || {
        let left = api.streams.clone().list_streams(ListStreamsRequest::default()).await.map_err(|status| status.to_string())?.into_inner();
        if left.streams.is_empty() { Ok(()) } else { Err(format!("{:?}", left.streams)) }
    })
    .await;
    drop(standalone);
    brokers.stop().await;
}

/// *Scenario*: a route over a pattern with an exclusion and a prefix, on embedded clusters; a topic that matches is created, and written to, while it runs; the route is deleted.
/// *Guarantees*: the preview tells the topics and queues; both ends are verified to hold the same; each message of each selected topic is at the other end once, in a topic with as many queues, that of the later topic
/// included; nothing else is copied; the streams go with the route.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_copies_the_topics_that_it_selects() {
    many_topics(Kind::Embedded).await;
}

/// *Scenario*: the same on Apache RocketMQ 5.3.3. *Guarantees*: the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_copies_the_topics_that_it_selects_on_apache_rocketmq_5_3() {
    many_topics(Kind::Java("5.3.3")).await;
}

/// *Scenario*: a route that goes both ways; each end gets messages of its own, in one topic. *Guarantees*: each message is at both ends once; none comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ways_end_where_they_began() {
    let Some(brokers) = Brokers::start(Kind::Embedded).await else { return };
    brokers.create_topic("orders", QUEUES).await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let standalone = Standalone::start(directory.path());
    let mut api = Api::connect(standalone.process.server()).await;
    api.run(Route { both_ways: true, ..route(&brokers, &["orders"]) }).await;
    api.wait(&[("orders", "orders", Direction::Back), ("orders", "orders", Direction::Forward)]).await;
    let (east, west) = (Load::new(&brokers.source, "orders", QUEUES, 1), Load::new(&brokers.target, "orders", QUEUES, 2));
    tokio::join!(east.send(0..1_000), west.send(0..1_000));
    eventually("both ends hold both loads", DEADLINE, async || {
        let stored = (brokers.source.stored("orders").await, brokers.target.stored("orders").await);
        let status = api.status().await;
        if stored == (2_000, 2_000) && status.diff_offset == 0 { Ok(()) } else { Err(format!("{stored:?} {status:?}")) }
    })
    .await;
    // What was read of either end has its outcome, so nothing is under way any more.
    assert_eq!((brokers.source.stored("orders").await, brokers.target.stored("orders").await), (2_000, 2_000));
    drop(standalone);
    brokers.stop().await;
}
