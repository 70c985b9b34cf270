//! The server of a process: every service on one port.
//!
//! Binding is separate from serving, so that a process can print its address before it is ready for anything. When the
//! process drains, new calls are refused and open ones may end; the server waits for them no longer than its grace. The stage that serves
//! a session ends it.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::RoutesBuilder;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::channel::{CONNECTION_WINDOW, PING, STREAM_WINDOW};
use crate::tls::Tls;

/// The most sessions on one connection. It is larger than any number of partitions, because a session beyond it would wait without any error.
const SESSIONS_PER_CONNECTION: u32 = 1 << 20;

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
    pub async fn serve(self, services: Services, tls: Option<&Tls>, stop: impl Future<Output = Duration>) -> Result<(), ServeError> {
        let address = self.address;
        let failed = |source| ServeError::Serve { address, source };
        let mut server = Server::builder()
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_concurrent_streams(SESSIONS_PER_CONNECTION)
            .http2_keepalive_interval(Some(PING))
            .http2_keepalive_timeout(Some(PING))
            .tcp_nodelay(true);
        if let Some(tls) = tls {
            server = server.tls_config(tls.server()).map_err(failed)?;
        }
        let (begin_stop, stopping) = tokio::sync::oneshot::channel::<()>();
        let serving =
            server.add_routes(services.routes.routes()).serve_with_incoming_shutdown(TcpListenerStream::new(self.listener), async {
                let _ = stopping.await;
            });
        tokio::pin!(serving, stop);
        // Dropping the other arm loses nothing: `serving` is polled again below, and `stop` has ended.
        let grace = tokio::select! {
            result = &mut serving => return result.map_err(failed),
            grace = &mut stop => grace,
        };
        let _ = begin_stop.send(());
        match tokio::time::timeout(grace, serving).await {
            Ok(result) => result.map_err(failed),
            Err(_) => Ok(()),
        }
    }
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
