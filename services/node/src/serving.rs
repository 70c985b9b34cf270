//! The server that the stages of a process share.

use std::time::Duration;

use anyhow::Context;
use rocketbridge_runtime::{Cause, Shutdown};
use rocketbridge_transport::server::{Listener, ServeError, Services};
use rocketbridge_transport::tls::Tls;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// How long open calls may take once nothing is owned any more.
pub(crate) const GRACE: Duration = Duration::from_millis(200);

/// A server that runs.
pub(crate) struct Serving {
    stop: CancellationToken,
    task: JoinHandle<Result<(), ServeError>>,
    health: HealthReporter,
}

impl Serving {
    /// Starts to serve. When the server fails, `shutdown` drains.
    pub(crate) fn start(listener: Listener, services: Services, tls: Option<Tls>, shutdown: &Shutdown) -> Self {
        let health = services.health();
        let stop = CancellationToken::new();
        let (stopped, failing) = (stop.clone().cancelled_owned(), shutdown.clone());
        // Not one of the process's tasks: it goes on serving until they have ended.
        let task = tokio::spawn(async move {
            let served = listener.serve(services, tls.as_ref(), stopped, GRACE).await;
            if let Err(error) = &served {
                failing.drain(Cause::TaskFailed { task: "server".into(), reason: error.to_string() });
            }
            served
        });
        Self { stop, task, health }
    }

    /// Says that this process takes nothing new.
    pub(crate) async fn refuse(&self) {
        self.health.set_service_status("", ServingStatus::NotServing).await;
    }

    /// Stops within [`GRACE`]. Errors: the server had failed.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.task.await.context("the server panicked")?.context("the server failed")
    }
}
