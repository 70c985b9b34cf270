//! gRPC channels to members, one per address, shared by all sessions.
//!
//! Windows are megabytes: the default of 64 KiB caps a link of 2 ms at some thousand events a second. HTTP/2 pings notice a
//! peer that disappeared without closing the connection. A channel reconnects by itself; a session never does.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use rocketbridge_model::Region;
use rocketbridge_model::session::LARGEST_EVENT;
use tonic::transport::{Channel, Endpoint};

use crate::error::{Code, Error};
use crate::tls::Tls;

/// Window of one session, bytes.
pub const STREAM_WINDOW: u32 = 4 << 20;
/// Window of all sessions between two processes, bytes.
pub const CONNECTION_WINDOW: u32 = 16 << 20;
/// Largest message of a session, bytes. Senders close their batches at some MiB; only a single event can be larger, up to
/// [`LARGEST_EVENT`], and the rest of its message is some properties.
pub const MESSAGE_LIMIT: usize = LARGEST_EVENT + (8 << 20);
/// The time between two pings, and the longest time for which a ping may go unanswered.
pub const PING: Duration = Duration::from_secs(5);

/// Channels by address.
pub struct Channels {
    tls: Option<Tls>,
    region: Option<Region>,
    open: Mutex<HashMap<String, Channel>>,
}

impl Channels {
    /// No channels yet. With `tls`, every channel uses mutual TLS. `region` is where this process runs, if it was told.
    pub fn new(tls: Option<Tls>, region: Option<Region>) -> Self {
        Self { tls, region, open: Mutex::new(HashMap::new()) }
    }

    /// Whether the way to a member in `region` is a long one: it runs in another region than this process. Unknown regions are near.
    pub fn is_far(&self, region: Option<&Region>) -> bool {
        matches!((&self.region, region), (Some(here), Some(there)) if here != there)
    }

    /// The channel to `host:port`. It connects when it is first used.
    pub fn to(&self, address: &str) -> Result<Channel, Error> {
        if let Some(channel) = self.open.lock().get(address) {
            return Ok(channel.clone());
        }
        let refused = |error: tonic::transport::Error| Error::new(Code::Refused, format!("cannot use the address {address:?}: {error}"));
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let mut endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))
            .map_err(refused)?
            .connect_timeout(Duration::from_secs(3))
            .tcp_nodelay(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .keep_alive_while_idle(true);
        if let Some(tls) = &self.tls {
            endpoint = endpoint.tls_config(tls.client()).map_err(refused)?;
        }
        let channel = endpoint.connect_lazy();
        self.open.lock().insert(address.to_owned(), channel.clone());
        Ok(channel)
    }

    /// Forgets the channel to an address, so that the next use dials again.
    pub fn forget(&self, address: &str) {
        self.open.lock().remove(address);
    }
}
