//! The server that the stages of a process share.

use std::time::Duration;

use anyhow::Context;
use rocketbridge_runtime::{Cause, Shutdown};
use rocketbridge_transport::Limits;
use rocketbridge_transport::server::{Listener, ServeError, Services};
use rocketbridge_transport::tls::Tls;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// How long open calls may take at least, once nothing is owned any more.
pub(crate) const GRACE: Duration = Duration::from_millis(100);

/// A server that runs.
pub(crate) struct Serving {
    stop: oneshot::Sender<Duration>,
    task: JoinHandle<Result<(), ServeError>>,
    health: HealthReporter,
}

impl Serving {
    /// Starts to serve. When the server fails, `shutdown` drains.
    pub(crate) fn start(listener: Listener, services: Services, tls: Option<Tls>, limits: Limits, shutdown: &Shutdown) -> Self {
        let health = services.health();
        let (stop, stopped) = oneshot::channel();
        let stopped = async { stopped.await.unwrap_or_default() };
        let failing = shutdown.clone();
        // Not one of the process's tasks: it goes on serving until they have ended.
        let task = tokio::spawn(async move {
            let served = listener.serve(services, tls.as_ref(), limits, stopped).await;
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

    /// Stops, as soon as what the sessions have said is with the network: a peer that did not hear an outcome would send the event again. It waits for
    /// that, and for other open calls, until then, but a little at least. Errors: the server had failed.
    pub(crate) async fn stop(self, until: Instant) -> anyhow::Result<()> {
        // The receiver is gone only if the server has failed.
        let grace = until.saturating_duration_since(Instant::now()).max(GRACE);
        let _ = self.stop.send(grace);
        // On a machine that is too busy the server may come to its end late, which is nobody's loss.
        match tokio::time::timeout(grace + GRACE, self.task).await {
            Ok(ended) => ended.context("the server panicked")?.context("the server failed"),
            Err(_) => Ok(()),
        }
    }
}
