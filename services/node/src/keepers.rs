//! What a process keeps from its start to its end: its lease, and mirrors of what others wrote.
//!
//! Keepers live through the drain, because what is being drained is still owned and still has to be found by others. So they stop with a
//! token of their own, after everything else.

use std::sync::Arc;
use std::time::Duration;

use rocketbridge_assignment::{Lease, Members, Owners, Plans};
use rocketbridge_mesh::{Copies, Definitions};
use rocketbridge_metastore::Metastore;
use rocketbridge_runtime::{Cause, Shutdown, Tasks};
use tokio::time::Instant;

use crate::heart::{self, OpenStore};

/// What giving the lease back may take at least, however late it is.
const GIVING_BACK: Duration = Duration::from_millis(50);

/// The keepers of a process.
pub(crate) struct Keepers {
    pub(crate) store: Arc<dyn Metastore>,
    pub(crate) lease: Lease,
    pub(crate) members: Members,
    pub(crate) owners: Owners,
    pub(crate) plans: Plans,
    pub(crate) definitions: Definitions,
    tasks: Tasks,
}

impl Keepers {
    /// Asks for a lease and begins to follow the store. Nothing is known yet: see [`known`](Self::known).
    pub(crate) async fn start(store: Arc<dyn Metastore>, lease_store: OpenStore, lease_ttl: Duration) -> anyhow::Result<Self> {
        let tasks = Tasks::new(Shutdown::new());
        Ok(Self {
            lease: heart::lease(lease_store, lease_ttl, tasks.shutdown().clone()).await?,
            members: Members::start(store.clone(), &tasks),
            owners: Owners::start(store.clone(), &tasks),
            plans: Plans::start(store.clone(), &tasks),
            definitions: Definitions::start(store.clone(), &tasks),
            store,
            tasks,
        })
    }

    /// What openers of sessions are checked against.
    pub(crate) fn copies(&self) -> Copies {
        Copies { definitions: self.definitions.clone(), owners: self.owners.clone() }
    }

    /// Waits until the mirrors are filled, or `shutdown` drains.
    pub(crate) async fn known(&mut self, shutdown: &Shutdown) {
        let filled = async {
            self.members.ready().await;
            self.owners.ready().await;
            self.definitions.ready().await;
        };
        tokio::select! {
            biased;
            () = shutdown.draining() => {}
            () = filled => {}
        }
    }

    /// Gives the lease back, unless that takes until then: everything that is written under it is deleted. The last step of a drain.
    pub(crate) async fn give_back(&self, until: Instant) {
        match tokio::time::timeout_at(until.max(Instant::now() + GIVING_BACK), self.lease.revoke()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the lease is not revoked and ends by itself"),
            Err(_) => tracing::warn!("the metadata store does not answer: the lease ends by itself"),
        }
    }

    /// Stops everything.
    pub(crate) fn stop(&self) {
        self.tasks.shutdown().abort(Cause::Requested("drained".into()));
    }
}
