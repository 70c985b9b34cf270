//! A server with nothing but its health, and ways to reach it.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use rocketbridge_transport::Limits;
use rocketbridge_transport::server::{Listener, Services};
use rocketbridge_transport::tls::Tls;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// What a client of HTTP/2 begins with.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// An empty frame of settings.
pub(crate) const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// Stopped when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(limits: Limits) -> Self {
        Self::with(limits, None, Services::new().expect("descriptors")).await
    }

    pub(crate) async fn with(limits: Limits, tls: Option<Tls>, services: Services) -> Self {
        let listener = Listener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.address();
        let serving = async move { listener.serve(services, tls.as_ref(), limits, std::future::pending()).await.expect("it serves") };
        Self { address, task: tokio::spawn(serving) }
    }

    /// A connection without a word.
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("it listens")
    }

    /// A connection that speaks HTTP/2 frame by frame.
    pub(crate) async fn raw(&self) -> SendRequest<Bytes> {
        let (client, connection) = h2::client::handshake(self.connect().await).await.expect("it speaks HTTP/2");
        tokio::spawn(connection);
        client
    }

    /// Whether it answers a new client soon.
    pub(crate) async fn answers(&self) -> bool {
        let asking = async {
            let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", self.address)).ok()?.connect().await.ok()?;
            HealthClient::new(channel).check(HealthCheckRequest::default()).await.ok()
        };
        tokio::time::timeout(Duration::from_secs(5), asking).await.is_ok_and(|answer| answer.is_some())
    }

    pub(crate) async fn is_well(&self) {
        assert!(self.answers().await, "a new client is not answered");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A call of the health service.
pub(crate) fn check(server: &Server) -> http::Request<()> {
    let request = http::Request::post(format!("http://{}/grpc.health.v1.Health/Check", server.address));
    request.header("content-type", "application/grpc").header("te", "trailers").body(()).expect("a request")
}

/// The status that a call ends with; `None` if it was reset.
pub(crate) async fn code(answer: ResponseFuture) -> Option<String> {
    let answering = async {
        let (head, mut body) = answer.await.ok()?.into_parts();
        if let Some(code) = head.headers.get("grpc-status") {
            return Some(code.to_str().ok()?.to_owned());
        }
        while let Some(Ok(_)) = body.data().await {}
        let trailers = body.trailers().await.ok()??;
        Some(trailers.get("grpc-status")?.to_str().ok()?.to_owned())
    };
    tokio::time::timeout(Duration::from_secs(30), answering).await.expect("the call ends")
}

/// Resident memory of this process, bytes.
pub(crate) fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("the second number");
    pages * 4096
}
