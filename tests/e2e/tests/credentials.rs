//! Keys that an STS issues, from a connection's definition to the status of a stream.

use std::time::Duration;

use rocketbridge_credentials::testing::{ACCESS_KEY, Issuer, ROLE, SECRET_KEY};
use rocketbridge_harness::{Api, Audit, Brokers, Kind, Load, Route, Standalone};
use rocketbridge_proto::connection::v1::connection_service_client::ConnectionServiceClient;
use rocketbridge_proto::connection::v1::{Connection, CreateConnectionRequest, Credentials, StsCredentials};
use rocketbridge_proto::stream::v1::{State, Stream, TargetParameter, sink, source};

const QUEUES: u32 = 4;
const DEADLINE: Duration = Duration::from_secs(60);
/// How long issued keys live.
const LIFE: Duration = Duration::from_secs(10);

/// A connection whose keys the STS issues. Answers how the server shows it.
async fn connect(api: &Api, name: &str, endpoint: &str, issuer: &Issuer) -> Connection {
    let sts = StsCredentials {
        endpoint: issuer.endpoint().to_string(),
        role_arn: ROLE.to_owned(),
        access_key: ACCESS_KEY.to_owned(),
        secret_key: SECRET_KEY.to_owned(),
        ..Default::default()
    };
    let connection = Connection {
        name: name.to_owned(),
        endpoints: vec![endpoint.to_owned()],
        credentials: Some(Credentials { sts: Some(sts), ..Default::default() }),
        ..Default::default()
    };
    let request = CreateConnectionRequest { connection: Some(connection), ..Default::default() };
    let mut client = ConnectionServiceClient::connect(api.server().to_owned()).await.expect("a server");
    client.create_connection(request).await.expect("sound").into_inner().connection.expect("answered")
}

/// The stream, by two connections.
fn by(mut stream: Stream, source_connection: &str, target_connection: &str) -> Stream {
    let Some(source::Source::SourceRocketmqParameters(source)) = stream.source.as_mut().and_then(|source| source.source.as_mut()) else {
        panic!("a source")
    };
    source.connection = source_connection.to_owned();
    let Some(sink::Sink::SinkRocketmqParameters(sink)) = stream.sink.as_mut().and_then(|sink| sink.sink.as_mut()) else { panic!("a sink") };
    sink.connection = Some(TargetParameter { value: target_connection.to_owned(), form: "CONSTANT".to_owned(), ..Default::default() });
    stream
}

/// *Scenario*: source and target by keys of one STS that live 10 s; in the middle of a load the STS refuses, beyond the end of the keys, and then issues again.
/// *Guarantees*: while the keys live, the stream runs and its status says what is wrong and when it will stop; after their end it says that it has; when
/// the STS is well again, so is the stream by itself, with every event delivered once. The secret is shown by no answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_sts_is_told_before_the_stream_stops() {
    let issuer = Issuer::start(LIFE).await;
    let brokers = Brokers::start(Kind::Embedded).await.expect("embedded ones are always there");
    brokers.create_topic("orders", QUEUES).await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let standalone = Standalone::start(directory.path());
    let api = standalone.api().await;
    let shown = connect(&api, "qingdao", brokers.source.name_server(), &issuer).await;
    assert_eq!(shown.credentials.and_then(|credentials| credentials.sts).expect("an STS").secret_key, "******");
    connect(&api, "hohhot", brokers.target.name_server(), &issuer).await;
    let route = Route::new("orders", "orders", &brokers.source, &brokers.target);
    api.run(by(route.stream(), "qingdao", "hohhot")).await;
    let audit = Audit::follow(&brokers.target, "orders", QUEUES, 5).await;
    let load = Load::new(&brokers.source, "orders", QUEUES, 5);
    load.send(0..500).await;
    audit.wait(500, DEADLINE).await;

    issuer.fail(Some((403, r#"{"Code":"NoPermission","Message":"the trust policy has changed"}"#)));
    let told = api.wait("orders", "says that its keys end", DEADLINE, |status| status.reason.contains("the keys end in ")).await;
    assert_eq!(told.state(), State::Running, "{}", told.reason);
    assert!(told.reason.contains("answered 403 NoPermission: the trust policy has changed"), "{}", told.reason);
    assert!(told.reason.contains("credentials for 127.0.0.1:"), "{}", told.reason);
    load.send(500..1_000).await;
    let stopped = api.wait("orders", "has stopped", DEADLINE, |status| status.state() == State::RunningFailed).await;
    assert!(stopped.reason.contains("NoPermission") && !stopped.reason.contains(SECRET_KEY), "{}", stopped.reason);
    load.send(1_000..1_500).await;

    issuer.fail(None);
    api.wait_until_running("orders", DEADLINE).await;
    audit.wait(1_500, DEADLINE).await;
    let report = audit.expect(0..1_500, |_| true).await;
    assert!(report.is_right());
    assert_eq!(audit.repeated(), 0);
    // One process asks once a life for all its connections, and at growing pauses while it is refused.
    let issued = issuer.grants().len();
    assert!(issued < 20, "{issued} times keys");
    drop(standalone);
    brokers.stop().await;
}
