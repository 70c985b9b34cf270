//! The lease of a process, renewed by a thread of its own.
//!
//! A process that misses its renewals loses everything it owns. So renewal shares nothing with the work: it has a thread, a runtime and, on
//! etcd, a connection of its own, and goes on while every other thread is held up by the heaviest programs that the limits allow.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rocketbridge_assignment::Lease;
use rocketbridge_metastore::Metastore;
use rocketbridge_runtime::{Shutdown, Tasks};
use tokio::sync::oneshot;

/// Makes the store that the lease is renewed in. Called on the lease's thread, so that whatever it starts runs there.
pub type OpenStore = Box<dyn FnOnce() -> anyhow::Result<Arc<dyn Metastore>> + Send>;

/// Starts to hold a lease. Its thread ends when `shutdown` aborts.
pub(crate) async fn lease(open: OpenStore, ttl: Duration, shutdown: Shutdown) -> anyhow::Result<Lease> {
    let (sender, started) = oneshot::channel();
    let beat = move || {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(sender.send(Err(error).context("cannot start the runtime of the lease"))),
        };
        runtime.block_on(async move {
            let tasks = Tasks::new(shutdown.clone());
            let lease = open().and_then(|store| Lease::start(store, ttl, &tasks).context("cannot hold a lease"));
            if sender.send(lease).is_ok() {
                shutdown.aborted().await;
            }
        });
    };
    std::thread::Builder::new().name("lease".into()).spawn(beat).context("cannot start the thread of the lease")?;
    started.await.context("the thread of the lease has ended")?
}

#[cfg(test)]
mod tests {
    use rocketbridge_metastore::Embedded;
    use rocketbridge_runtime::Cause;

    use super::*;

    /// *Scenario*: every thread of the process's runtime is held up for longer than a lease lives. *Guarantees*: the lease is the one from before.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_lease_survives_a_process_that_is_held_up() {
        let ttl = Duration::from_secs(2);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let store = Embedded::open(directory.path()).await.expect("a store");
        let (renewing, shutdown) = (store.clone(), Shutdown::new());
        let lease = lease(Box::new(move || Ok(Arc::new(renewing))), ttl, shutdown.clone()).await.expect("a lease");
        let term = lease.term().await;
        let held_up = (0..2).map(|_| tokio::spawn(async move { std::thread::sleep(ttl * 2) }));
        for task in held_up.collect::<Vec<_>>() {
            task.await.expect("it ends");
        }
        assert!(term.authority().is_valid() && !term.is_lost());
        assert_eq!(lease.current().map(|term| term.id()), Some(term.id()));
        lease.revoke().await.expect("it is given back");
        shutdown.abort(Cause::Requested("test".into()));
        store.close().await;
    }
}
