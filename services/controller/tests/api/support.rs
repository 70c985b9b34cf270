//! A controller that serves on loopback, and what tests ask of it.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use rocketbridge_assignment::{Members, Owners};
use rocketbridge_controller::{Controller, Reports};
use rocketbridge_metastore::{Embedded, Metastore};
use rocketbridge_model::MemberId;
use rocketbridge_model::status::StreamReport;
use rocketbridge_program::Compiler;
use rocketbridge_proto::connection::v1::Connection;
use rocketbridge_proto::connection::v1::connection_service_client::ConnectionServiceClient;
use rocketbridge_proto::network::v1::network_service_client::NetworkServiceClient;
use rocketbridge_proto::route::v1::route_service_client::RouteServiceClient;
use rocketbridge_proto::stream::v1::stream_service_client::StreamServiceClient;
use rocketbridge_proto::stream::v1::{self as stream, CreateStreamRequest, SourceRocketMqParameters, Stream, TargetParameter};
use rocketbridge_runtime::{Shutdown, Tasks};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Server};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::instances::Written;

/// What one member answers.
type Answer = (MemberId, Result<Vec<StreamReport>, String>);

/// Members that say what the test wrote; while nothing is written they never answer.
#[derive(Debug, Default)]
pub(crate) struct Told(pub(crate) Mutex<Option<Vec<Answer>>>);

impl Reports for Told {
    fn stream_reports(&self, _: Vec<String>) -> BoxFuture<'_, Vec<Answer>> {
        match self.0.lock().clone() {
            Some(answers) => std::future::ready(answers).boxed(),
            None => std::future::pending().boxed(),
        }
    }
}

/// A served controller. It ends when it is dropped.
pub(crate) struct Served {
    pub(crate) store: Arc<dyn Metastore>,
    pub(crate) controller: Controller,
    pub(crate) told: Arc<Told>,
    pub(crate) clusters: Arc<Written>,
    pub(crate) tasks: Tasks,
    channel: Channel,
    _server: tokio_util::task::AbortOnDropHandle<()>,
    _directory: tempfile::TempDir,
}

impl Served {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store: Arc<dyn Metastore> = Arc::new(Embedded::open(directory.path()).await.expect("a store"));
        let tasks = Tasks::new(Shutdown::new());
        let mut owners = Owners::start(Arc::clone(&store), &tasks);
        owners.ready().await;
        let mut members = Members::start(Arc::clone(&store), &tasks);
        members.ready().await;
        let told = Arc::new(Told(Mutex::new(Some(Vec::new()))));
        let clusters = Arc::new(Written::default());
        let asked = Arc::<Written>::clone(&clusters);
        let controller = Controller::new(Arc::clone(&store), Arc::<Told>::clone(&told), asked, owners, members, Compiler::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let routes = controller.services();
        let server = tokio::spawn(async move {
            Server::builder().add_routes(routes).serve_with_incoming(TcpListenerStream::new(listener)).await.expect("serves");
        });
        let channel = Channel::from_shared(format!("http://{address}")).expect("an address").connect_lazy();
        let server = tokio_util::task::AbortOnDropHandle::new(server);
        Self { store, controller, told, clusters, tasks, channel, _server: server, _directory: directory }
    }

    pub(crate) fn streams(&self) -> StreamServiceClient<Channel> {
        StreamServiceClient::new(self.channel.clone())
    }

    pub(crate) fn connections(&self) -> ConnectionServiceClient<Channel> {
        ConnectionServiceClient::new(self.channel.clone())
    }

    pub(crate) fn routes(&self) -> RouteServiceClient<Channel> {
        RouteServiceClient::new(self.channel.clone())
    }

    pub(crate) fn networks(&self) -> NetworkServiceClient<Channel> {
        NetworkServiceClient::new(self.channel.clone())
    }

    pub(crate) async fn create(&self, stream: Stream) -> Result<Stream, Status> {
        let request = CreateStreamRequest { stream: Some(stream), ..Default::default() };
        Ok(self.streams().create_stream(request).await?.into_inner().stream.expect("answered"))
    }

    pub(crate) async fn start_stream(&self, name: &str) -> Stream {
        let request = stream::StartStreamRequest { name: name.into(), ..Default::default() };
        self.streams().start_stream(request).await.expect("starts").into_inner().stream.expect("answered")
    }

    /// Every key and value there is.
    pub(crate) async fn everything(&self) -> Vec<(String, Vec<u8>)> {
        let listing = self.store.list("").await.expect("lists");
        listing.entries.into_iter().map(|entry| (entry.key, entry.value.to_vec())).collect()
    }
}

/// A sound stream with a password.
pub(crate) fn sound(name: &str) -> Stream {
    let source = SourceRocketMqParameters {
        topic: "orders".into(),
        instance_endpoint: "127.0.0.1:9876".into(),
        instance_username: "ak".into(),
        instance_password: "hidden".into(),
        ..Default::default()
    };
    let sink =
        stream::SinkRocketMqParameters { topic: constant("copy"), instance_endpoint: constant("127.0.0.1:9877"), ..Default::default() };
    Stream {
        name: name.into(),
        filter_pattern: "{}".into(),
        source: Some(stream::Source { source: Some(stream::source::Source::SourceRocketmqParameters(source)) }),
        sink: Some(stream::Sink { sink: Some(stream::sink::Sink::SinkRocketmqParameters(sink)) }),
        ..Default::default()
    }
}

pub(crate) fn constant(value: &str) -> Option<TargetParameter> {
    Some(TargetParameter { value: value.into(), form: "CONSTANT".into(), ..Default::default() })
}

pub(crate) fn source(stream: &mut Stream) -> &mut SourceRocketMqParameters {
    match stream.source.as_mut().and_then(|source| source.source.as_mut()) {
        Some(stream::source::Source::SourceRocketmqParameters(parameters)) => parameters,
        None => panic!("the stream has a source"),
    }
}

pub(crate) fn sink(stream: &mut Stream) -> &mut stream::SinkRocketMqParameters {
    match stream.sink.as_mut().and_then(|sink| sink.sink.as_mut()) {
        Some(stream::sink::Sink::SinkRocketmqParameters(parameters)) => parameters,
        None => panic!("the stream has a sink"),
    }
}

pub(crate) fn connection(name: &str) -> Connection {
    Connection { name: name.into(), endpoints: vec!["127.0.0.1:9876".into()], ..Default::default() }
}

pub(crate) fn mask(paths: &[&str]) -> Option<prost_types::FieldMask> {
    Some(prost_types::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

/// Code and reason of an error, whose domain is checked.
pub(crate) fn told<T: std::fmt::Debug>(result: Result<T, Status>) -> (Code, String) {
    let status = result.expect_err("an error");
    let details = status.get_error_details();
    let info = details.error_info().expect("every error has an ErrorInfo");
    assert_eq!(info.domain, "rocketbridge");
    (status.code(), info.reason.clone())
}

/// The violations of a refused request, a line each.
pub(crate) fn violations<T: std::fmt::Debug>(result: Result<T, Status>) -> Vec<String> {
    let status = result.expect_err("an error");
    assert_eq!(status.code(), Code::InvalidArgument);
    let details = status.get_error_details();
    let request = details.bad_request().expect("a refused request has a BadRequest");
    request.field_violations.iter().map(|violation| format!("{}: {}", violation.field, violation.description)).collect()
}
