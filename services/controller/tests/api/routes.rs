//! Routes and the streams that they own.

use rocketbridge_proto::connection::v1::DeleteConnectionRequest;
use rocketbridge_proto::route::v1::*;
use rocketbridge_proto::stream::v1 as stream;
use tonic::{Code, Status};

use crate::support::{Served, connection, mask, sound, told, violations};

const EAST: &str = "127.0.0.1:9876";
const WEST: &str = "127.0.0.1:9877";

fn route(topics: &[&str]) -> Route {
    Route {
        name: "dr".into(),
        from: EAST.into(),
        to: WEST.into(),
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        ..Default::default()
    }
}

/// A server with a started route over these topics.
async fn started(topics: &[&str], at_east: &[(&str, u32)]) -> Served {
    let served = Served::start().await;
    served.clusters.set(EAST, at_east);
    served.clusters.set(WEST, &[]);
    create(&served, route(topics)).await.expect("sound");
    start(&served).await;
    served
}

async fn create(served: &Served, route: Route) -> Result<Route, Status> {
    let request = CreateRouteRequest { route: Some(route), ..Default::default() };
    Ok(served.routes().create_route(request).await?.into_inner().route.expect("answered"))
}

async fn start(served: &Served) {
    let request = StartRouteRequest { name: "dr".into(), ..Default::default() };
    served.routes().start_route(request).await.expect("starts");
}

async fn update(served: &Served, route: Route, paths: &[&str]) -> Route {
    let request = UpdateRouteRequest { route: Some(route), update_mask: mask(paths), ..Default::default() };
    served.routes().update_route(request).await.expect("sound").into_inner().route.expect("answered")
}

/// One pass; what it could not do.
async fn reconcile(served: &Served) -> Vec<String> {
    served.controller.reconciler().reconcile().await.expect("the store answers").remove("dr").unwrap_or_default()
}

/// The streams there are: name, state, topics.
async fn streams(served: &Served) -> Vec<String> {
    let listed = served.streams().list_streams(stream::ListStreamsRequest::default()).await.expect("lists").into_inner().streams;
    let show = |stream: stream::Stream| {
        let Some(stream::source::Source::SourceRocketmqParameters(source)) =
            stream.source.as_ref().and_then(|source| source.source.clone())
        else {
            panic!("it has a source")
        };
        let Some(stream::sink::Sink::SinkRocketmqParameters(sink)) = stream.sink.as_ref().and_then(|sink| sink.sink.clone()) else {
            panic!("it has a target")
        };
        let state = stream.state().as_str_name().trim_start_matches("STATE_").to_owned();
        format!("{} {state} {}>{}", stream.name, source.topic, sink.topic.unwrap_or_default().value)
    };
    listed.into_iter().map(show).collect()
}

async fn status(served: &Served) -> RouteStatus {
    let request = GetRouteStatusRequest { name: "dr".into() };
    served.routes().get_route_status(request).await.expect("answers").into_inner().status.expect("answered")
}

/// *Scenario*: a route is defined, started, finds a topic later, loses one, is paused, started, changed and deleted. *Guarantees*: its streams are those of the topics that
/// it selects, they run when it does, stay when a topic goes, and go when it is deleted; a second pass changes nothing.
#[tokio::test]
async fn a_route_has_the_streams_of_its_topics() {
    let served = Served::start().await;
    served.clusters.set(EAST, &[("orders-1", 4), ("orders-test", 4), ("bills", 4), ("%RETRY%g", 1)]);
    create(&served, route(&["orders-*", "!orders-test"])).await.expect("sound");
    assert_eq!(reconcile(&served).await, [] as [&str; 0]);
    assert_eq!(streams(&served).await, [] as [&str; 0], "it is not started");
    start(&served).await;
    for _ in 0..2 {
        assert_eq!(reconcile(&served).await, [] as [&str; 0]);
        assert_eq!(streams(&served).await, ["route.dr.orders-1 STARTING orders-1>orders-1"]);
    }
    served.clusters.set(EAST, &[("orders-2", 4)]);
    reconcile(&served).await;
    let both = ["route.dr.orders-1 STARTING orders-1>orders-1", "route.dr.orders-2 STARTING orders-2>orders-2"];
    assert_eq!(streams(&served).await, both);
    let shown = status(&served).await;
    assert_eq!(shown.state(), State::Running);
    let gone: Vec<_> = shown.streams.iter().map(|stream| (stream.source_topic.as_str(), stream.direction(), stream.gone)).collect();
    assert_eq!(gone, [("orders-1", Direction::Forward, true), ("orders-2", Direction::Forward, false)]);

    served.routes().pause_route(PauseRouteRequest { name: "dr".into(), ..Default::default() }).await.expect("pauses");
    served.clusters.set(EAST, &[("orders-2", 4), ("orders-3", 4)]);
    reconcile(&served).await;
    let paused = both.map(|line| line.replace("STARTING", "PAUSED"));
    assert_eq!(streams(&served).await, paused, "no stream is made for a route that is paused");
    start(&served).await;
    reconcile(&served).await;
    assert_eq!(streams(&served).await.len(), 3);

    let rename = Some(Rename { prefix: "dr-".into(), ..Default::default() });
    update(&served, Route { name: "dr".into(), rename, topics: vec!["orders-2".into()], ..Default::default() }, &["rename", "topics"])
        .await;
    reconcile(&served).await;
    assert_eq!(streams(&served).await, ["route.dr.orders-2 STARTING orders-2>dr-orders-2"]);
    served.routes().delete_route(DeleteRouteRequest { name: "dr".into(), ..Default::default() }).await.expect("deletes");
    reconcile(&served).await;
    assert_eq!(streams(&served).await, [] as [&str; 0]);
}

/// *Scenario*: both ways, with a prefix, while the other end does not answer at first. *Guarantees*: what can be found out is done, the rest is said and done later; nothing
/// is undone because an end does not answer.
#[tokio::test]
async fn an_end_that_does_not_answer_undoes_nothing() {
    let served = Served::start().await;
    served.clusters.set(EAST, &[("orders", 4)]);
    let rename = Some(Rename { prefix: "e-".into(), ..Default::default() });
    create(&served, Route { both_ways: true, rename, ..route(&["orders"]) }).await.expect("sound");
    start(&served).await;
    let unlisted = format!("the topics of {WEST} cannot be listed: no answer within 5 s");
    assert_eq!(reconcile(&served).await, [unlisted.as_str()]);
    assert_eq!(streams(&served).await, ["route.dr.orders STARTING orders>e-orders"]);
    served.clusters.set(WEST, &[("e-orders", 4), ("orders", 4)]);
    assert_eq!(reconcile(&served).await, [] as [&str; 0]);
    let both = ["route.dr.back.e-orders STARTING e-orders>orders", "route.dr.orders STARTING orders>e-orders"];
    assert_eq!(streams(&served).await, both);
    served.clusters.clear();
    assert_eq!(reconcile(&served).await.len(), 2);
    assert_eq!(streams(&served).await, both);
    assert_eq!(status(&served).await.problems.len(), 2);
}

/// *Scenario*: a route from the latest, whose second topic appears after the first pass. *Guarantees*: the first begins at its end, the second at the route's start, so that
/// nothing is left out that was stored before it was found.
#[tokio::test]
async fn a_later_topic_is_read_from_the_start_of_the_route() {
    let served = Served::start().await;
    served.clusters.set(EAST, &[("orders-1", 4)]);
    create(&served, Route { start: "latest".into(), ..route(&["orders-*"]) }).await.expect("sound");
    start(&served).await;
    reconcile(&served).await;
    served.clusters.set(EAST, &[("orders-1", 4), ("orders-2", 4)]);
    reconcile(&served).await;
    let listed = served.streams().list_streams(stream::ListStreamsRequest::default()).await.expect("lists").into_inner().streams;
    let mut offsets =
        listed.into_iter().map(|mut stream| crate::support::source(&mut stream).clone()).map(|source| (source.offset, source.timestamp));
    assert_eq!(offsets.next(), Some(("CONSUME_FROM_LAST_OFFSET".to_owned(), None)));
    let (offset, timestamp) = offsets.next().expect("two streams");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
    let age = now as i64 - timestamp.expect("given");
    assert!(offset == "CONSUME_FROM_TIMESTAMP" && (60_000..120_000).contains(&age), "{offset} {age} ms ago");
}

/// *Scenario*: the user tries to change, start, pause and delete a stream of a route, and defines one that has the name which the route needs. *Guarantees*: each is refused with the
/// route's name; the user's own stream is left alone and the conflict is said.
#[tokio::test]
async fn the_streams_of_a_route_are_its_own() {
    let served = started(&["orders-*"], &[("orders-1", 4), ("orders-2", 4)]).await;
    served.create(sound("route.dr.orders-2")).await.expect("sound");
    let problems = reconcile(&served).await;
    assert!(matches!(problems.as_slice(), [one] if one.starts_with("topic orders-2: there is a stream route.dr.orders-2")), "{problems:?}");
    let name = "route.dr.orders-1".to_owned();
    let owned = (Code::FailedPrecondition, "OWNED".to_owned());
    let mut client = served.streams();
    let changed = stream::Stream { name: name.clone(), filter_pattern: r#"{"source":["a"]}"#.into(), ..Default::default() };
    let update = stream::UpdateStreamRequest { stream: Some(changed), update_mask: mask(&["filter_pattern"]), ..Default::default() };
    assert_eq!(told(client.update_stream(update).await), owned);
    assert_eq!(told(client.start_stream(stream::StartStreamRequest { name: name.clone(), ..Default::default() }).await), owned);
    assert_eq!(told(client.pause_stream(stream::PauseStreamRequest { name: name.clone(), ..Default::default() }).await), owned);
    let refused = client.delete_stream(stream::DeleteStreamRequest { name: name.clone(), ..Default::default() }).await;
    assert!(refused.as_ref().is_err_and(|status| status.message().contains("belongs to route \"dr\"")), "{refused:?}");
    assert_eq!(told(refused), owned);
    let shown = client.get_stream(stream::GetStreamRequest { name }).await.expect("there").into_inner().stream.expect("answered");
    assert_eq!((shown.route.as_str(), shown.tags[0].value.as_str()), ("dr", "dr"));
}

/// *Scenario*: a preview of a new route, and of a change of a route that runs. *Guarantees*: it tells each stream, what would become of it and the queues at both ends, and
/// stores nothing; a definition that would be refused is refused.
#[tokio::test]
async fn a_preview_tells_what_a_route_would_do() {
    let served = started(&["orders-*"], &[("orders-1", 4), ("bills", 2)]).await;
    served.clusters.set(WEST, &[("orders-1", 3)]);
    reconcile(&served).await;
    let before = served.everything().await;
    let preview = async |route: Route| {
        let answer = served.routes().preview_route(PreviewRouteRequest { route: Some(route) }).await.map(|answer| answer.into_inner());
        answer.map(|answer| {
            let show = |stream: PlannedStream| {
                let change = stream.change().as_str_name().trim_start_matches("CHANGE_").to_owned();
                format!(
                    "{change} {} {}/{}>{}/{}",
                    stream.stream, stream.source_topic, stream.source_queues, stream.target_topic, stream.target_queues
                )
            };
            (answer.streams.into_iter().map(show).collect::<Vec<_>>(), answer.problems)
        })
    };
    let (planned, problems) = preview(route(&["bills", "nothing"])).await.expect("sound");
    assert_eq!(planned, ["CREATE route.dr.bills bills/2>bills/0", "DELETE route.dr.orders-1 orders-1/4>orders-1/3"]);
    assert_eq!(problems, [format!("topic nothing is not at {EAST}")]);
    let (planned, _) = preview(Route { name: "new".into(), ..route(&["orders-1"]) }).await.expect("sound");
    assert_eq!(planned, ["CREATE route.new.orders-1 orders-1/4>orders-1/3"]);
    let (planned, _) = preview(route(&["orders-*"])).await.expect("sound");
    assert_eq!(planned, ["NONE route.dr.orders-1 orders-1/4>orders-1/3"]);
    assert!(violations(preview(route(&[])).await)[0].starts_with("topics:"));
    assert_eq!(served.everything().await, before);
}

/// *Scenario*: connections that a route names, a stale etag, a pause before the first start. *Guarantees*: a connection in use stays; every error has its code.
#[tokio::test]
async fn routes_are_kept_like_other_definitions() {
    let served = Served::start().await;
    let east = rocketbridge_proto::connection::v1::CreateConnectionRequest { connection: Some(connection("east")), ..Default::default() };
    served.connections().create_connection(east).await.expect("sound");
    let created = create(&served, Route { from: "east".into(), ..route(&["*"]) }).await.expect("sound");
    assert_eq!((created.state(), created.revision), (State::Ready, 1));
    let delete = DeleteConnectionRequest { name: "east".into(), ..Default::default() };
    let refused = served.connections().delete_connection(delete).await;
    assert!(refused.as_ref().is_err_and(|status| status.message().contains("route dr")), "{refused:?}");
    assert_eq!(told(refused), (Code::FailedPrecondition, "IN_USE".to_owned()));
    assert_eq!(told(create(&served, route(&["*"])).await), (Code::AlreadyExists, "ALREADY_EXISTS".to_owned()));
    let pause = PauseRouteRequest { name: "dr".into(), ..Default::default() };
    assert_eq!(told(served.routes().pause_route(pause).await), (Code::FailedPrecondition, "NEVER_STARTED".to_owned()));
    start(&served).await;
    let stale = StartRouteRequest { name: "dr".into(), etag: created.etag, ..Default::default() };
    assert_eq!(told(served.routes().start_route(stale).await), (Code::Aborted, "ETAG_STALE".to_owned()));
    let same = create(&served, Route { name: "other".into(), to: EAST.into(), ..route(&["*"]) }).await;
    assert!(violations(same)[0].starts_with("to:"));
    let listed = served.routes().list_routes(ListRoutesRequest::default()).await.expect("lists").into_inner();
    assert_eq!(listed.routes.iter().map(|route| route.name.as_str()).collect::<Vec<_>>(), ["dr"]);
}

/// *Scenario*: a mirror is verified, a stream that is not of the route, an end that does not answer, and a route by rule. *Guarantees*: the two topics of the stream are
/// compared; each of the others is refused with its reason.
#[tokio::test]
async fn a_mirror_is_verified_stream_by_stream() {
    let served = started(&["orders"], &[("orders", 4)]).await;
    reconcile(&served).await;
    let verify = async |stream: &str| {
        let request = VerifyRouteRequest { name: "dr".into(), stream: stream.into() };
        served.routes().verify_route(request).await.map(|answer| answer.into_inner().queues)
    };
    let queues = verify("route.dr.orders").await.expect("compared");
    let compared = (queues[0].source_queue.as_str(), queues[0].target_queue.as_str(), queues[0].from, queues[0].to);
    assert_eq!(compared, ("127.0.0.1:9876/orders", "127.0.0.1:9877/orders", 3, 9));
    assert!(violations(verify("route.dr.bills").await)[0].starts_with("stream:"));
    served.clusters.remove(WEST);
    assert_eq!(told(verify("route.dr.orders").await), (Code::FailedPrecondition, "NOT_COMPARED".to_owned()));
    update(&served, Route { name: "dr".into(), mode: "RULE".into(), ..Default::default() }, &["mode"]).await;
    reconcile(&served).await;
    assert!(violations(verify("route.dr.orders").await)[0].starts_with("name:"));
}
