//! The server that the client verbs talk to.
//!
//! A call either answers or fails within the time limit, with an [`Error`] that a person can act on. Nothing is tried again
//! here: the verbs are short, and the one who runs them decides.

use std::time::Duration;

use rocketbridge_model::secret::without_logins;
use rocketbridge_proto::connection::v1::connection_service_client::ConnectionServiceClient;
use rocketbridge_proto::network::v1::network_service_client::NetworkServiceClient;
use rocketbridge_proto::route::v1::route_service_client::RouteServiceClient;
use rocketbridge_proto::stream::v1::stream_service_client::StreamServiceClient;
use rocketbridge_proto::stream::v1::{
    AcknowledgeGapsRequest, GetStreamStatusRequest, PauseStreamRequest, SkipEventRequest, StartStreamRequest, Stream, StreamStatus,
};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

pub mod error;
pub mod resource;
mod route;

pub use error::Error;
pub use resource::{Kind, Listed, Resource};

/// Largest answer that is read: a page of 1,000 streams with large patterns fits.
const LARGEST_ANSWER: usize = 64 << 20;

/// Largest headers of an answer, bytes: what a refusal says. Servers of this version say it in less than 8 KiB.
const LARGEST_HEADERS: u32 = 256 << 10;

/// How to reach the server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `http://host:port` or `https://host:port`.
    pub server: String,
    /// Longest wait for one answer.
    pub timeout: Duration,
    /// PEM texts for a server with TLS: authority, and our certificate with its key.
    pub tls: Option<Tls>,
}

/// PEM texts for a server with TLS.
#[derive(Clone)]
pub struct Tls {
    /// The authority that the server's certificate comes from.
    pub ca: String,
    /// Our certificate and its key, if the server asks for one.
    pub identity: Option<(String, String)>,
}

/// A connection to the server, made at the first call.
#[derive(Clone, Debug)]
pub struct Client {
    server: String,
    timeout: Duration,
    channel: Channel,
}

impl Client {
    /// Checks the settings. Nothing is dialled yet.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        let unusable = |reason: String| Error::Address { server: without_logins(&settings.server), reason };
        if settings.server.contains('@') {
            return Err(unusable("an address holds no login; remove what stands before the host".into()));
        }
        if !settings.server.starts_with("http://") && !settings.server.starts_with("https://") {
            return Err(unusable("http://HOST:PORT or https://HOST:PORT is needed".into()));
        }
        let mut endpoint = Endpoint::from_shared(settings.server.clone()).map_err(|error| unusable(error.to_string()))?;
        if let Some(tls) = &settings.tls {
            let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&tls.ca));
            if let Some((certificate, key)) = &tls.identity {
                config = config.identity(Identity::from_pem(certificate, key));
            }
            endpoint = endpoint.tls_config(config).map_err(|error| unusable(error::innermost(&error)))?;
        }
        let channel = endpoint.http2_max_header_list_size(LARGEST_HEADERS).connect_timeout(settings.timeout).connect_lazy();
        Ok(Self { server: settings.server.clone(), timeout: settings.timeout, channel })
    }

    /// Lets a stream run.
    pub async fn start(&self, name: &str) -> Result<Stream, Error> {
        let request = StartStreamRequest { name: name.to_owned(), ..Default::default() };
        let what = format!("start stream/{name}");
        let answer = self.call(&what, async { self.streams().start_stream(request).await }).await?;
        answer.stream.ok_or_else(|| self.incomplete(&what))
    }

    /// Drains a stream.
    pub async fn pause(&self, name: &str) -> Result<Stream, Error> {
        let request = PauseStreamRequest { name: name.to_owned(), ..Default::default() };
        let what = format!("pause stream/{name}");
        let answer = self.call(&what, async { self.streams().pause_stream(request).await }).await?;
        answer.stream.ok_or_else(|| self.incomplete(&what))
    }

    /// Lets one event of a stream pass without delivering it; with `validate_only` it is only checked.
    pub async fn skip(&self, name: &str, partition: &str, offset: u64, reason: &str, validate_only: bool) -> Result<Stream, Error> {
        let request = SkipEventRequest {
            name: name.to_owned(),
            partition: partition.to_owned(),
            offset,
            reason: reason.to_owned(),
            validate_only,
            ..Default::default()
        };
        let what = format!("skip offset {offset} of partition {partition} of stream/{name}");
        let answer = self.call(&what, async { self.streams().skip_event(request).await }).await?;
        answer.stream.ok_or_else(|| self.incomplete(&what))
    }

    /// What a stream is doing now.
    pub async fn status(&self, name: &str) -> Result<StreamStatus, Error> {
        let request = GetStreamStatusRequest { name: name.to_owned() };
        let what = format!("read the status of stream/{name}");
        let answer = self.call(&what, async { self.streams().get_stream_status(request).await }).await?;
        answer.status.ok_or_else(|| self.incomplete(&what))
    }

    /// Takes the gaps of a stream as known. Answers how many there were.
    pub async fn acknowledge_gaps(&self, name: &str) -> Result<u32, Error> {
        let request = AcknowledgeGapsRequest { name: name.to_owned() };
        let what = format!("acknowledge the gaps of stream/{name}");
        let answer = self.call(&what, async { self.streams().acknowledge_gaps(request).await }).await?;
        Ok(answer.acknowledged)
    }

    pub(crate) fn streams(&self) -> StreamServiceClient<Channel> {
        StreamServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST_ANSWER)
    }

    pub(crate) fn connections(&self) -> ConnectionServiceClient<Channel> {
        ConnectionServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST_ANSWER)
    }

    pub(crate) fn routes(&self) -> RouteServiceClient<Channel> {
        RouteServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST_ANSWER)
    }

    pub(crate) fn networks(&self) -> NetworkServiceClient<Channel> {
        NetworkServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST_ANSWER)
    }

    /// Waits for one answer, at most as long as the settings allow. `what` says what is attempted, for the error.
    pub(crate) async fn call<T>(
        &self,
        what: &str,
        call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(Error::from_status(&self.server, what, &status)),
            Err(_) => Err(Error::NoAnswer { server: self.server.clone(), what: what.to_owned(), timeout: self.timeout }),
        }
    }

    pub(crate) fn incomplete(&self, what: &str) -> Error {
        Error::Incomplete { server: self.server.clone(), what: what.to_owned() }
    }
}

impl std::fmt::Debug for Tls {
    /// Without the key.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tls").field("identity", &self.identity.is_some()).finish_non_exhaustive()
    }
}
