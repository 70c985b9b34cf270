//! The server of a process: every service on one port.
//!
//! Binding is separate from serving, so that a process can print its address before it is ready for anything. When the
//! process drains, new calls are refused and open ones may end; the server waits for them no longer than its grace. The stage that serves
//! a session ends it.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::{Routes, RoutesBuilder};
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::arrivals::{Arrivals, BACKLOG, Doors};
use crate::channel::{CONNECTION_WINDOW, PING, STREAM_WINDOW};
use crate::connection::Connection;
use crate::gate::Gate;
use crate::limits::{CALLS, CLIENT_WINDOW, HEADERS, LOCAL_RESETS, Limits, PENDING_RESETS, SESSIONS};
use crate::tls::{self, Tls};

/// A bound listener.
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

/// The address could not be bound, or the server failed.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address could not be bound.
    #[error("cannot listen on {address}")]
    Bind {
        /// The requested address.
        address: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The server failed.
    #[error("cannot serve on {address}")]
    Serve {
        /// Its address.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: tonic::transport::Error,
    },
    /// The certificates cannot be used.
    #[error("cannot serve TLS on {address}")]
    Tls {
        /// Its address.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: tls::Unusable,
    },
    /// The descriptors of a service cannot be served.
    #[error("cannot serve reflection")]
    Reflection(#[source] tonic_reflection::server::Error),
}

impl Listener {
    /// Binds `host:port`; port 0 takes a free one.
    pub async fn bind(address: &str) -> Result<Self, ServeError> {
        let bind = async {
            let listener = TcpListener::bind(address).await?;
            let bound = listener.local_addr()?;
            Ok(Self { listener, address: bound })
        };
        bind.await.map_err(|source| ServeError::Bind { address: address.to_owned(), source })
    }

    /// The address it is bound to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`, and then as long as open calls last, but at most for as long as `stop` says. Health and reflection (v1 and v1alpha) are added.
    /// With `tls`, every peer must show a certificate, and its [roles](crate::role) say what it may call; without, which is for loopback only, everybody
    /// may call everything.
    pub async fn serve(
        self,
        services: Services,
        tls: Option<&Tls>,
        limits: Limits,
        stop: impl Future<Output = Duration>,
    ) -> Result<(), ServeError> {
        let address = self.address;
        let failed = |source| ServeError::Serve { address, source };
        let tls = tls.map(Tls::acceptor).transpose().map_err(|source| ServeError::Tls { address, source })?;
        let gate = Gate::new(services.routes.routes().prepare(), limits);
        let (members, known) = mpsc::channel(BACKLOG);
        let (clients, unknown) = mpsc::channel(BACKLOG);
        let arrivals = Arrivals { listener: self.listener, tls, limits, doors: Doors { members, clients } };
        let serving = async {
            tokio::try_join!(
                serve_at(Windows { calls: SESSIONS, call: STREAM_WINDOW, connection: CONNECTION_WINDOW }, gate.clone(), known),
                serve_at(Windows { calls: CALLS, call: CLIENT_WINDOW, connection: CLIENT_WINDOW }, gate, unknown),
            )
        };
        tokio::pin!(serving, stop);
        let mut arriving = Box::pin(arrivals.run());
        // Dropping the other arms loses nothing: `serving` is polled again below, nobody arrives any more, and `stop` has ended.
        let grace = tokio::select! {
            result = &mut serving => return result.map(|_| ()).map_err(failed),
            never = &mut arriving => match never {},
            grace = &mut stop => grace,
        };
        // This closes the listener and both doors, upon which the servers let open calls end.
        drop(arriving);
        match tokio::time::timeout(grace, serving).await {
            Ok(result) => result.map(|_| ()).map_err(failed),
            Err(_) => Ok(()),
        }
    }
}

/// What a kind of peer is told at the beginning of a connection.
#[derive(Clone, Copy)]
struct Windows {
    /// Calls at once.
    calls: usize,
    /// Bytes of one call that are on their way.
    call: u32,
    /// Bytes of all.
    connection: u32,
}

/// Serves connections of one kind until no more come and their calls have ended.
async fn serve_at(windows: Windows, gate: Gate<Routes>, connections: mpsc::Receiver<Connection>) -> Result<(), tonic::transport::Error> {
    let calls = u32::try_from(windows.calls).unwrap_or(u32::MAX);
    Server::builder()
        .initial_stream_window_size(windows.call)
        .initial_connection_window_size(windows.connection)
        .max_concurrent_streams(calls)
        .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS))
        .http2_max_local_error_reset_streams(Some(LOCAL_RESETS))
        .http2_max_header_list_size(HEADERS)
        .http2_keepalive_interval(Some(PING))
        .http2_keepalive_timeout(Some(PING))
        // Never told to stop: when `connections` ends, so does the server. Without a signal it would not wait for open calls.
        .serve_with_incoming_shutdown(gate, ReceiverStream::new(connections).map(Ok::<_, Infallible>), std::future::pending())
        .await
}

/// The services of a process.
pub struct Services {
    routes: RoutesBuilder,
    health: HealthReporter,
}

impl Services {
    /// Only health and reflection.
    pub fn new() -> Result<Self, ServeError> {
        let (health, service) = tonic_health::server::health_reporter();
        let mut routes = RoutesBuilder::default();
        routes
            .add_service(service)
            .add_service(reflection().build_v1().map_err(ServeError::Reflection)?)
            .add_service(reflection().build_v1alpha().map_err(ServeError::Reflection)?);
        Ok(Self { routes, health })
    }

    /// Adds services and reports them healthy under their full names.
    pub async fn with(mut self, names: &[&str], add: impl FnOnce(&mut RoutesBuilder)) -> Self {
        add(&mut self.routes);
        for name in names {
            self.health.set_service_status(name, ServingStatus::Serving).await;
        }
        self
    }

    /// Reports what this process serves as healthy or not, by service name.
    pub fn health(&self) -> HealthReporter {
        self.health.clone()
    }
}

/// Reflection for all services of this project, and for `google.rpc`, so that clients can print error details.
fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(rocketbridge_proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}
