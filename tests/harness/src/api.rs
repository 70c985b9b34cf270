//! The stream service, and definitions of streams.

use std::path::Path;
use std::time::Duration;

use prost_types::FieldMask;
use rocketbridge_proto::stream::v1::stream_service_client::StreamServiceClient;
use rocketbridge_proto::stream::v1::{
    CreateStreamRequest, DeleteStreamRequest, GetStreamRequest, GetStreamStatusRequest, PauseStreamRequest, RunOptions, Sink,
    SinkRocketMqParameters, SkipEventRequest, Source, SourceRocketMqParameters, StartStreamRequest, State, Stream, StreamStatus,
    TargetParameter, UpdateStreamRequest, sink, source,
};
use tonic::Status;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::brokers::Cluster;
use crate::condition::eventually;

/// The longest wait for one answer.
const ANSWER: Duration = Duration::from_secs(20);

/// A client of one server.
#[derive(Clone, Debug)]
pub struct Api {
    client: StreamServiceClient<Channel>,
    server: String,
}

/// A stream between two topics, in the form that most tests need. Everything else can be set on the [`Stream`] itself.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Name server and topic it reads.
    pub source: (String, String),
    /// Name server and topic it writes.
    pub target: (String, String),
    /// Which events matter.
    pub pattern: String,
    /// Tag expression of the source.
    pub tag: String,
    /// Where it begins.
    pub offset: String,
    /// When it begins, for `CONSUME_FROM_TIMESTAMP`.
    pub timestamp: Option<i64>,
    /// Consumer group.
    pub group: String,
}

impl Route {
    /// A route of all messages of a source topic, from the beginning, to the topic of the same name at the target.
    pub fn new(name: &str, topic: &str, source: &Cluster, target: &Cluster) -> Self {
        Self {
            name: name.to_owned(),
            source: (source.name_server().to_owned(), topic.to_owned()),
            target: (target.name_server().to_owned(), topic.to_owned()),
            pattern: "{}".to_owned(),
            tag: String::new(),
            offset: "CONSUME_FROM_FIRST_OFFSET".to_owned(),
            timestamp: None,
            group: String::new(),
        }
    }

    /// The definition.
    pub fn stream(&self) -> Stream {
        let constant = |value: &str| Some(TargetParameter { value: value.to_owned(), form: "CONSTANT".to_owned(), ..Default::default() });
        let source = SourceRocketMqParameters {
            region_id: "qingdao".to_owned(),
            instance_type: "SelfBuilt".to_owned(),
            instance_endpoint: self.source.0.clone(),
            topic: self.source.1.clone(),
            tag: self.tag.clone(),
            offset: self.offset.clone(),
            timestamp: self.timestamp,
            group_id: self.group.clone(),
            ..Default::default()
        };
        let sink =
            SinkRocketMqParameters { instance_endpoint: constant(&self.target.0), topic: constant(&self.target.1), ..Default::default() };
        Stream {
            name: self.name.clone(),
            filter_pattern: self.pattern.clone(),
            source: Some(Source { source: Some(source::Source::SourceRocketmqParameters(source)) }),
            sink: Some(Sink { sink: Some(sink::Sink::SinkRocketmqParameters(sink)) }),
            ..Default::default()
        }
    }

    /// The definition, with the work spread over `maximum_tasks` shards.
    pub fn stream_of(&self, maximum_tasks: u32) -> Stream {
        let run_options = RunOptions { maximum_tasks: Some(maximum_tasks), ..Default::default() };
        Stream { run_options: Some(run_options), ..self.stream() }
    }
}

/// What a client needs to show the certificate `NAME.pem` of a folder that `rocketbridge certs dev` made.
///
/// # Panics
///
/// When there is no such certificate.
pub fn tls(certificates: &Path, name: &str) -> ClientTlsConfig {
    let read = |file: String| std::fs::read(certificates.join(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let identity = Identity::from_pem(read(format!("{name}.pem")), read(format!("{name}.key")));
    ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read("ca.pem".to_owned()))).identity(identity)
}

impl Api {
    /// A client of `http://HOST:PORT`.
    pub async fn connect(server: &str) -> Self {
        let endpoint = Endpoint::from_shared(server.to_owned()).expect("a process prints an address").timeout(ANSWER);
        Self::at(endpoint, server).await
    }

    /// A client of `https://HOST:PORT` with the certificate `NAME.pem` of a folder that `rocketbridge certs dev` made.
    pub async fn connect_as(server: &str, certificates: &Path, name: &str) -> Self {
        let endpoint = Endpoint::from_shared(server.to_owned()).expect("a process prints an address").timeout(ANSWER);
        Self::at(endpoint.tls_config(tls(certificates, name)).expect("certificates"), server).await
    }

    async fn at(endpoint: Endpoint, server: &str) -> Self {
        let channel = endpoint.connect().await.unwrap_or_else(|error| panic!("{server}: {error:?}"));
        Self { client: StreamServiceClient::new(channel), server: server.to_owned() }
    }

    /// The address of the server.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Creates a stream, or returns the refusal.
    pub async fn try_create(&self, stream: Stream) -> Result<Stream, Status> {
        let request = CreateStreamRequest { stream: Some(stream), ..Default::default() };
        let answer = self.client.clone().create_stream(request).await?.into_inner();
        Ok(answer.stream.expect("the answer has the stream"))
    }

    /// Creates a stream.
    pub async fn create(&self, stream: Stream) -> Stream {
        let name = stream.name.clone();
        self.try_create(stream).await.unwrap_or_else(|status| panic!("create {name}: {status:?}"))
    }

    /// Creates a stream, starts it, and waits until every partition flows.
    pub async fn run(&self, stream: Stream) -> StreamStatus {
        let name = self.create(stream).await.name;
        self.start(&name).await;
        self.wait_until_running(&name, Duration::from_secs(30)).await
    }

    /// The stream.
    pub async fn get(&self, name: &str) -> Result<Stream, Status> {
        let answer = self.client.clone().get_stream(GetStreamRequest { name: name.to_owned() }).await?;
        Ok(answer.into_inner().stream.expect("the answer has the stream"))
    }

    /// Changes some fields of a stream.
    pub async fn update(&self, stream: Stream, fields: &[&str]) -> Stream {
        let mask = FieldMask { paths: fields.iter().map(|field| (*field).to_owned()).collect() };
        let request = UpdateStreamRequest { stream: Some(stream), update_mask: Some(mask), ..Default::default() };
        let answer = self.client.clone().update_stream(request).await.unwrap_or_else(|status| panic!("update {fields:?}: {status:?}"));
        answer.into_inner().stream.expect("the answer has the stream")
    }

    /// Starts a stream.
    pub async fn start(&self, name: &str) {
        let request = StartStreamRequest { name: name.to_owned(), ..Default::default() };
        self.client.clone().start_stream(request).await.unwrap_or_else(|status| panic!("start {name}: {status:?}"));
    }

    /// Pauses a stream and waits until none of its partitions has an owner and no event is in flight.
    pub async fn pause(&self, name: &str) {
        let request = PauseStreamRequest { name: name.to_owned(), ..Default::default() };
        self.client.clone().pause_stream(request).await.unwrap_or_else(|status| panic!("pause {name}: {status:?}"));
        let drained =
            |status: &StreamStatus| status.state() == State::Paused && status.partitions.iter().all(|part| part.router.is_empty());
        self.wait(name, "paused and drained", Duration::from_secs(30), drained).await;
    }

    /// Lets one event pass without delivering it; the answer may be a failure.
    pub async fn skip(&self, name: &str, partition: &str, offset: u64, reason: &str) -> Result<(), Status> {
        let (name, partition, reason) = (name.to_owned(), partition.to_owned(), reason.to_owned());
        let request = SkipEventRequest { name, partition, offset, reason, ..Default::default() };
        self.client.clone().skip_event(request).await.map(drop)
    }

    /// Deletes a stream.
    pub async fn delete(&self, name: &str) {
        let request = DeleteStreamRequest { name: name.to_owned(), ..Default::default() };
        self.client.clone().delete_stream(request).await.unwrap_or_else(|status| panic!("delete {name}: {status:?}"));
    }

    /// The status of a stream, or the failure of the request.
    pub async fn try_status(&self, name: &str) -> Result<StreamStatus, Status> {
        let answer = self.client.clone().get_stream_status(GetStreamStatusRequest { name: name.to_owned() }).await?;
        Ok(answer.into_inner().status.expect("the answer has the status"))
    }

    /// The status of a stream.
    pub async fn status(&self, name: &str) -> StreamStatus {
        self.try_status(name).await.unwrap_or_else(|status| panic!("status of {name}: {status:?}"))
    }

    /// Waits until the status of a stream is as wanted.
    pub async fn wait(&self, name: &str, what: &str, deadline: Duration, wanted: impl Fn(&StreamStatus) -> bool) -> StreamStatus {
        eventually(&format!("stream {name} {what}"), deadline, async || match self.try_status(name).await {
            Ok(status) if wanted(&status) => Ok(status),
            Ok(status) => Err(format!("{status:?}")),
            Err(failure) => Err(format!("{failure:?}")),
        })
        .await
    }

    /// Waits until every partition flows.
    pub async fn wait_until_running(&self, name: &str, deadline: Duration) -> StreamStatus {
        self.wait(name, "RUNNING", deadline, |status| status.state() == State::Running).await
    }
}
