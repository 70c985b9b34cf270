//! What the connector does when a proxy refuses, forgets or breaks off: against one that answers by a script.

mod server;

use std::sync::Arc;
use std::time::Duration;

use rocketbridge_connector::{Code, Error, Handle, HandleSource, LaneKey, OpenReceiver, Permit, PullLimits, Registry, Start, Target};
use rocketbridge_connector_rocketmq::Connectors;
use rocketbridge_model::resolved::{Credentials, Keys, Protocol, RocketMqConnection, RocketMqSource, RocketMqTarget, StartPosition};
use rocketbridge_model::session::Delivery;
use rocketbridge_model::{Envelope, Event, Origin, Secret, testing};
use rocketbridge_rocketmq_proto::v2::{self, Code as Answered, TelemetryCommand, telemetry_command::Command};
use server::{Proxy, message, said, status};

const LIMITS: PullLimits = PullLimits { events: 32, bytes: 1024 * 1024, ahead: true };
const INVISIBLE: Duration = Duration::from_secs(30);
const START: Start = Start { position: StartPosition::Latest, moment: 0 };

fn connection(proxy: &Proxy) -> RocketMqConnection {
    RocketMqConnection { protocol: Protocol::Grpc, endpoints: vec![proxy.address.clone()], ..RocketMqConnection::default() }
}

fn target(connectors: &Connectors, connection: RocketMqConnection) -> Arc<dyn Target> {
    connectors.target(&RocketMqTarget { connection, ..testing::target("t") }, &testing::source("t"))
}

fn source(connectors: &Connectors, connection: RocketMqConnection) -> Arc<dyn HandleSource> {
    connectors.source(&RocketMqSource { connection, ..testing::source("t") }).handles().expect("gRPC hands out messages")
}

async fn open(connectors: &Connectors, proxy: &Proxy) -> OpenReceiver {
    source(connectors, connection(proxy)).open(START).await.expect("it opens")
}

async fn deliver(target: &Arc<dyn Target>, bodies: &[&str]) -> Vec<Result<(), Error>> {
    let delivery = |(receipt, body): (u64, &&str)| {
        let envelope = Envelope { body: (*body).to_owned().into(), ..Envelope::default() };
        Delivery { receipt, event: Event { offset: receipt, envelope, attributes: None }, parameters: Vec::new(), rejected: None }
    };
    let deliveries: Vec<_> = (0..).zip(bodies).map(delivery).collect();
    let lane = LaneKey { stream: "s".into(), partition: "b/0".into() };
    let results = target.deliver(&lane, &Origin { broker: "b".into(), ..Origin::default() }, &Permit::always(), &deliveries).await;
    results.into_iter().map(|result| result.map(drop)).collect()
}

/// Receives until that is no error.
async fn recovered(open: &mut OpenReceiver) {
    for _ in 0..100 {
        if open.receiver.receive(LIMITS, INVISIBLE).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it does not recover");
}

fn handle(token: &str) -> Handle {
    Handle { message: "m".into(), token: token.into() }
}

fn codes<T>(results: &[Result<T, Error>]) -> Vec<Option<Code>> {
    results.iter().map(|result| result.as_ref().err().map(Error::code)).collect()
}

/// *Scenario*: sends that a proxy answers in every way. *Guarantees*: stored is delivered, also without a replica; not durable is unavailable; each refusal has its kind and the
/// proxy's words.
#[tokio::test]
async fn answers_to_sends_have_their_kinds() {
    let proxy = Proxy::start();
    let target = target(&Connectors::new(), connection(&proxy));
    for (answer, expected) in [
        (status(Answered::Ok, "OK"), None),
        (status(Answered::MasterPersistenceTimeout, "FLUSH_DISK_TIMEOUT"), Some(Code::Unavailable)),
        (status(Answered::SlavePersistenceTimeout, "FLUSH_SLAVE_TIMEOUT"), Some(Code::Unavailable)),
        (status(Answered::TooManyRequests, "busy"), Some(Code::Unavailable)),
        (status(Answered::MessageBodyTooLarge, "message body cannot exceed the max"), Some(Code::Rejected)),
        (status(Answered::Forbidden, "no permission to write"), Some(Code::Denied)),
        (status(Answered::TopicNotFound, "No topic route info in name server for the topic: t"), Some(Code::NotFound)),
    ] {
        proxy.script.lock().sends.push_back(answer.clone());
        let result = deliver(&target, &["x"]).await.remove(0);
        assert_eq!(codes(std::slice::from_ref(&result)), [expected], "{answer:?}");
        if let Err(error) = result {
            assert!(error.to_string().contains(&answer.message) && error.to_string().contains(&proxy.address), "{error}");
        }
    }
    // Without an entry nothing is confirmed; with no replica now it is.
    proxy.script.lock().sends.push_back(status(Answered::HaNotAvailable, "SLAVE_NOT_AVAILABLE"));
    let unconfirmed = deliver(&target, &["x"]).await.remove(0);
    assert!(unconfirmed.is_err_and(|error| error.to_string().contains("names no message")));
}

/// *Scenario*: five messages of one delivery. *Guarantees*: each goes by a call of its own: proxies give the messages of one call the properties of the first.
#[tokio::test]
async fn each_message_goes_alone() {
    let proxy = Proxy::start();
    let results = deliver(&target(&Connectors::new(), connection(&proxy)), &["a", "b", "c", "d", "e"]).await;
    assert_eq!(codes(&results), [None; 5]);
    let script = proxy.script.lock();
    assert_eq!((script.sent.len(), script.calls.iter().filter(|(call, _)| *call == "send_message").count()), (5, 5));
    let ids: std::collections::BTreeSet<_> =
        script.sent.iter().filter_map(|sent| sent.system_properties.as_ref()).map(|system| &system.message_id).collect();
    assert_eq!(ids.len(), 5);
}

/// *Scenario*: a token in a file that is replaced, after which the proxy refuses the former one; then a refusal that newer keys do not mend. *Guarantees*: every call is
/// signed; the refused one is made again at once with the new token, and is delivered; without a newer one it is denied, and was made once.
#[tokio::test]
async fn every_call_is_signed_by_the_keys_of_the_moment() {
    let proxy = Proxy::start();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    std::fs::write(&path, "one").expect("written");
    let security_token = Secret::new(format!("file:{}", path.display()));
    let credentials = Some(Credentials::Static(Keys { access_key: "ak".into(), secret_key: Secret::new("sk"), security_token }));
    let target = target(&Connectors::new(), RocketMqConnection { credentials, namespace: "ns".into(), ..connection(&proxy) });
    assert!(deliver(&target, &["x"]).await[0].is_ok());
    std::fs::write(&path, "two").expect("written");
    proxy.script.lock().sends.push_back(status(Answered::Unauthorized, "token expired"));
    assert_eq!(codes(&deliver(&target, &["x"]).await), [None]);
    proxy.script.lock().sends.push_back(status(Answered::Unauthorized, "no permission"));
    assert_eq!(codes(&deliver(&target, &["x"]).await), [Some(Code::Denied)]);
    let script = proxy.script.lock();
    let header =
        |metadata: &tonic::metadata::MetadataMap, name: &str| metadata.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let tokens: Vec<_> = script
        .calls
        .iter()
        .filter(|(call, _)| *call == "send_message")
        .map(|(_, metadata)| header(metadata, "x-mq-session-token"))
        .collect();
    assert_eq!(tokens, ["one", "one", "two", "two"].map(|token| Some(token.to_owned())));
    for (call, metadata) in &script.calls {
        assert!(header(metadata, "authorization").is_some_and(|value| value.starts_with("MQv2-HMAC-SHA1 Credential=ak, ")), "{call}");
        assert_eq!(header(metadata, "x-mq-namespace").as_deref(), Some("ns"), "{call}");
    }
    assert_eq!(script.sent[0].topic.as_ref().map(|topic| topic.name.as_str()), Some("ns%t"));
}

/// *Scenario*: two messages, then an answer that breaks off behind one, then none. *Guarantees*: what arrived counts; a break before the first message is an error; nothing is no
/// error.
#[tokio::test]
async fn what_arrived_before_a_break_counts() {
    let proxy = Proxy::start();
    let mut open = open(&Connectors::new(), &proxy).await;
    let broken = || Err(tonic::Status::unavailable("broken off"));
    proxy.script.lock().receives.extend([
        vec![said(Answered::Ok, "OK"), message("a", "h1"), message("b", "h2")],
        vec![said(Answered::Ok, "OK"), message("c", "h3"), broken()],
        vec![broken()],
    ]);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let received = open.receiver.receive(LIMITS, INVISIBLE).await.expect("messages");
        ids.extend(received.into_iter().map(|received| (received.handle.message.to_string(), received.handle.token.to_string())));
    }
    assert_eq!(ids, [("a", "h1"), ("b", "h2"), ("c", "h3")].map(|(id, token)| (id.to_owned(), token.to_owned())));
    assert_eq!(open.receiver.receive(LIMITS, INVISIBLE).await.expect_err("broken off").code(), Code::Unavailable);
    assert!(open.receiver.receive(LIMITS, INVISIBLE).await.expect("no error").is_empty());
}

/// *Scenario*: handles that count, and some whose time is over, acknowledged and extended together. *Guarantees*: each has its own result, in the order of the question, whatever
/// the order of the answer; an extended handle is the new one.
#[tokio::test]
async fn each_handle_has_its_own_result() {
    let proxy = Proxy::start();
    let open = open(&Connectors::new(), &proxy).await;
    let handles = [handle("one"), handle("late 1"), handle("two")];
    assert_eq!(codes(&open.handles.acknowledge(&handles).await), [None, Some(Code::Rejected), None]);
    assert_eq!(proxy.script.lock().calls.iter().filter(|(call, _)| *call == "ack_message").count(), 1);
    let extended = open.handles.extend(&handles, INVISIBLE).await;
    assert_eq!(codes(&extended), [None, Some(Code::Rejected), None]);
    assert_eq!(extended[2].as_ref().map(|handle| &*handle.token).ok(), Some("two+"));
    assert_eq!(codes(&open.handles.release(&handles).await), [None, Some(Code::Rejected), None]);
}

/// *Scenario*: the stream of telemetry breaks; then the proxy forgets its client without a word; then it asks for a new connection. *Guarantees*: the settings are said again each time,
/// and receiving goes on; heartbeats are sent; with the last use the client takes its leave.
#[tokio::test]
async fn a_proxy_that_forgets_is_told_again() {
    let proxy = Proxy::start();
    let connectors = Connectors::new();
    let mut open = open(&connectors, &proxy).await;
    assert!(open.receiver.receive(LIMITS, INVISIBLE).await.expect("known").is_empty());
    proxy.wait("a heartbeat", |script| script.heartbeats >= 1).await;
    assert_eq!(proxy.script.lock().settings, 1);
    let streams = std::mem::take(&mut proxy.script.lock().streams);
    for stream in streams {
        let _ = stream.send(Err(tonic::Status::unavailable("broken off"))).await;
    }
    proxy.wait("settings after a break", |script| script.settings == 2).await;
    recovered(&mut open).await;
    proxy.script.lock().is_forgetful = true;
    assert_eq!(open.receiver.receive(LIMITS, INVISIBLE).await.expect_err("forgotten").code(), Code::Unavailable);
    proxy.wait("settings after they were forgotten", |script| script.settings == 3).await;
    recovered(&mut open).await;
    let reconnect = Command::ReconnectEndpointsCommand(v2::ReconnectEndpointsCommand { nonce: String::new() });
    let streams = std::mem::take(&mut proxy.script.lock().streams);
    for stream in streams {
        let _ = stream.send(Ok(TelemetryCommand { status: None, command: Some(reconnect.clone()) })).await;
    }
    proxy.wait("settings on a new stream", |script| script.settings == 4).await;
    drop(open);
    proxy.wait("a leave", |script| script.leaves == 1).await;
}

/// *Scenario*: a proxy that goes away and comes back at its address. *Guarantees*: unavailable meanwhile, with the reason; used by the next call.
#[tokio::test]
async fn a_proxy_that_is_back_is_used() {
    let proxy = Proxy::start();
    let connectors = Connectors::new();
    let target = target(&connectors, connection(&proxy));
    assert!(deliver(&target, &["x"]).await[0].is_ok());
    let address = proxy.address.clone();
    drop(proxy);
    let error = loop {
        match deliver(&target, &["x"]).await.remove(0) {
            Err(error) => break error,
            Ok(()) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    assert_eq!(error.code(), Code::Unavailable);
    let back = Proxy::at(&address);
    let mut tries = 0;
    while deliver(&target, &["back"]).await[0].is_err() {
        tries += 1;
        assert!(tries < 50, "it is not used");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!back.script.lock().sent.is_empty());
}

/// *Scenario*: two receivers and a set of handles of one source, made one by one. *Guarantees*: towards the proxy they are one client.
#[tokio::test]
async fn the_receivers_of_a_source_are_one_client() {
    let proxy = Proxy::start();
    let connectors = Connectors::new();
    let (mut first, mut second) = (open(&connectors, &proxy).await, open(&connectors, &proxy).await);
    first.receiver.receive(LIMITS, INVISIBLE).await.expect("no error");
    second.receiver.receive(LIMITS, INVISIBLE).await.expect("no error");
    let script = proxy.script.lock();
    let ids: std::collections::BTreeSet<_> = script
        .calls
        .iter()
        .filter(|(call, _)| *call == "receive_message")
        .filter_map(|(_, metadata)| metadata.get("x-mq-client-id"))
        .map(|id| id.to_str().expect("ASCII"))
        .collect();
    assert_eq!((ids.len(), script.settings), (1, 1));
}

/// *Scenario*: endpoints that lead nowhere. *Guarantees*: unavailable, with the address and the reason.
#[tokio::test]
async fn an_endpoint_that_leads_nowhere_is_told() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").to_string();
    let nowhere = RocketMqConnection { protocol: Protocol::Grpc, endpoints: vec![closed.clone()], ..RocketMqConnection::default() };
    let connectors = Connectors::new();
    let error = source(&connectors, nowhere).terms().await.expect_err("nothing is there");
    assert!(error.code() == Code::Unavailable && error.to_string().contains(&closed) && error.to_string().contains("refused"), "{error}");
}

/// *Scenario*: a request for messages, and then the settings of a client, that are refused for a token that was replaced meanwhile. *Guarantees*: each is made again at once with
/// the new one; receiving sees no failure.
#[tokio::test]
async fn receiving_goes_on_with_newer_keys() {
    let proxy = Proxy::start();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    let replace = |token: &str| std::fs::write(&path, token).expect("written");
    replace("one");
    let security_token = Secret::new(format!("file:{}", path.display()));
    let credentials = Some(Credentials::Static(Keys { access_key: "ak".into(), secret_key: Secret::new("sk"), security_token }));
    let connectors = Connectors::new();
    let source = source(&connectors, RocketMqConnection { credentials, ..connection(&proxy) });
    source.terms().await.expect("known");
    let mut open = source.open(START).await.expect("it opens");
    replace("two");
    proxy.script.lock().receives.push_back(vec![said(Answered::Unauthorized, "token expired")]);
    assert!(open.receiver.receive(LIMITS, INVISIBLE).await.expect("with the new token").is_empty());
    replace("three");
    proxy.script.lock().refuses_settings = true;
    let streams = std::mem::take(&mut proxy.script.lock().streams);
    for stream in streams {
        let _ = stream.send(Err(tonic::Status::unavailable("broken off"))).await;
    }
    proxy.wait("settings that are taken", |script| script.settings == 2).await;
    recovered(&mut open).await;
    let script = proxy.script.lock();
    let tokens = |wanted: &str| {
        let of = |metadata: &tonic::metadata::MetadataMap| {
            metadata.get("x-mq-session-token").and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        script.calls.iter().filter(|(call, _)| *call == wanted).filter_map(|(_, metadata)| of(metadata)).collect::<Vec<_>>()
    };
    assert_eq!(
        (tokens("receive_message"), tokens("telemetry")),
        (["one", "two", "three"].map(str::to_owned).to_vec(), ["one", "two", "three"].map(str::to_owned).to_vec(),)
    );
}

/// *Scenario*: a proxy that answers each request for messages at once with none, as with brokers that check rights themselves; then a message. *Guarantees*: the requests become rarer,
/// the source tells what is probably wrong and how to mend it, and tells nothing more when something comes.
#[tokio::test]
async fn a_proxy_that_holds_nothing_is_told() {
    let proxy = Proxy::start();
    let connectors = Connectors::new();
    let source = source(&connectors, connection(&proxy));
    let mut open = source.open(START).await.expect("it opens");
    let began = std::time::Instant::now();
    for count in 0..10 {
        assert_eq!(source.concern(), None, "{count}");
        assert!(open.receiver.receive(LIMITS, INVISIBLE).await.expect("no error").is_empty());
    }
    assert!(began.elapsed() >= Duration::from_millis(50 * (1..10).sum::<u64>()), "{:?}", began.elapsed());
    let concern = source.concern().expect("told");
    assert!(concern.starts_with("broker broker-a answers every request") && concern.contains("authorizationEnabled=false"), "{concern}");
    proxy.script.lock().receives.push_back(vec![said(Answered::Ok, "OK"), message("a", "h1")]);
    assert_eq!(open.receiver.receive(LIMITS, INVISIBLE).await.expect("a message").len(), 1);
    assert_eq!(source.concern(), None);
}

/// *Scenario*: a target at a proxy that takes bodies of at most 10 bytes and checks types; then it asks for a new connection, after which it takes 20 bytes and checks nothing.
/// *Guarantees*: the proxy knows the producer, with its topic, by heartbeats too, and by the identity that sends; what is too long or of another type is refused without a call, as long as
/// the proxy says so; with the last use the producer takes its leave.
#[tokio::test]
async fn a_producer_is_known_and_told_what_is_checked() {
    let proxy = Proxy::start();
    proxy.script.lock().checks = (10, true);
    let target = target(&Connectors::new(), connection(&proxy));
    let long = "x".repeat(11);
    let results = deliver(&target, &["short", &long]).await;
    assert_eq!(codes(&results), [None, Some(Code::Rejected)]);
    let error = results[1].as_ref().expect_err("too long");
    assert!(error.to_string().contains("has 11 bytes, and exceeds the 10 that the proxy takes"), "{error}");
    proxy.wait("a heartbeat", |script| script.heartbeats >= 1).await;
    {
        let script = proxy.script.lock();
        let Some(v2::settings::PubSub::Publishing(publishing)) = &script.said.pub_sub else { panic!("{:?}", script.said) };
        assert_eq!((publishing.topics[0].name.as_str(), script.said.client_type()), ("t", v2::ClientType::Producer));
        let id = |wanted: &str| {
            script.calls.iter().find(|(call, _)| *call == wanted).and_then(|(_, metadata)| metadata.get("x-mq-client-id").cloned())
        };
        assert!(id("telemetry").is_some() && id("telemetry") == id("send_message") && id("heartbeat") == id("telemetry"));
        assert_eq!((script.settings, script.sent.len()), (1, 1));
    }
    proxy.script.lock().checks = (20, false);
    let reconnect = Command::ReconnectEndpointsCommand(v2::ReconnectEndpointsCommand { nonce: String::new() });
    let streams = std::mem::take(&mut proxy.script.lock().streams);
    for stream in streams {
        let _ = stream.send(Ok(TelemetryCommand { status: None, command: Some(reconnect.clone()) })).await;
    }
    proxy.wait("settings on a new stream", |script| script.settings == 2).await;
    let mut tries = 0;
    while deliver(&target, &[&long]).await[0].is_err() {
        tries += 1;
        assert!(tries < 50, "the new settings do not count");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(target);
    proxy.wait("a leave", |script| script.leaves == 1).await;
}
