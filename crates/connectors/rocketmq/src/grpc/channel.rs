//! One HTTP/2 connection for each proxy, shared by all calls to it.

use std::collections::HashMap;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rocketbridge_network::{Dialer, Error, Stream};
use tonic::codegen::Service;
use tonic::transport::{Channel, Endpoint, Uri};

/// How long nothing may be heard while calls are under way until a connection is asked whether it lives, and how long the answer may take: a proxy that vanished
/// without a word is noticed. Servers of gRPC in Java take more than two questions between two answers of their own for an attack, so heartbeats are more often.
const PING: Duration = Duration::from_secs(15);
const PONG: Duration = Duration::from_secs(5);
/// What a proxy may send ahead, bytes: for one call, and for all. Enough for 50 ms of round trip at 160 MiB/s.
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;

/// The connections of a client.
pub(crate) struct Channels {
    dialer: Dialer,
    open: Mutex<HashMap<String, Channel>>,
}

impl Channels {
    pub(crate) fn new(dialer: &Dialer) -> Self {
        Self { dialer: dialer.offering(&["h2"]), open: Mutex::default() }
    }

    /// The connection to a proxy. It is dialled by its first call, and again by the first call after it was lost.
    pub(crate) fn to(&self, address: &str) -> Result<Channel, String> {
        let mut open = self.open.lock();
        if let Some(channel) = open.get(address) {
            return Ok(channel.clone());
        }
        let channel = self.channel(address)?;
        open.insert(address.to_owned(), channel.clone());
        Ok(channel)
    }

    fn channel(&self, address: &str) -> Result<Channel, String> {
        let malformed = |error| format!("{address} is no endpoint: {error}");
        let mut endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(malformed)?;
        if self.dialer.is_tls() {
            // What the connection is made of is the dialer's; this is what the calls say of themselves.
            endpoint = endpoint.origin(format!("https://{address}").parse().map_err(|_| format!("{address} is no endpoint"))?);
        }
        let endpoint = endpoint
            .http2_keep_alive_interval(PING)
            .keep_alive_timeout(PONG)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        Ok(endpoint.connect_with_connector_lazy(Dialled { dialer: self.dialer.clone(), address: address.to_owned() }))
    }
}

/// Dials for a channel.
#[derive(Clone)]
struct Dialled {
    dialer: Dialer,
    address: String,
}

impl Service<Uri> for Dialled {
    type Response = TokioIo<Stream>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Self::Future {
        let Self { dialer, address } = self.clone();
        Box::pin(async move { dialer.dial(&address).await.map(TokioIo::new) })
    }
}
