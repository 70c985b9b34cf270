//! The life of a process, whatever stages it has.
//!
//! Begin: keepers, stages, server, ownership, registration. End (invariant I8): registration withdraws and units drain, then the lease is
//! given back, the server stops, keepers stop. All of it takes less than two seconds ([`patience`]): what is not committed by then is repeated.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rocketbridge_assignment::{Handler, Member, Ownership, Registration, Stage, ownership};
use rocketbridge_connector::Registry;
use rocketbridge_connector_rocketmq::Connectors;
use rocketbridge_mesh::{Patience, patience};
use rocketbridge_metastore::Metastore;
use rocketbridge_model::{MemberId, Region};
use rocketbridge_pattern::Limits;
use rocketbridge_router::Settings;
use rocketbridge_runtime::{Cause, Shutdown, Tasks};
use rocketbridge_transport::Limits as ConnectionLimits;
use rocketbridge_transport::server::Listener;
use rocketbridge_transport::tls::Tls;

use crate::config::ByteSize;
use crate::heart::OpenStore;
use crate::keepers::Keepers;
use crate::serving::{self, Serving};
use crate::stages::{Builder, Stages};

/// What a process is made of.
pub struct Setup {
    /// What it can do.
    pub stages: Vec<Stage>,
    /// Its identity.
    pub id: MemberId,
    /// Where it is.
    pub region: Region,
    /// Networks it reaches.
    pub networks: Vec<String>,
    /// Where others reach it, given the address it serves.
    pub advertise: Box<dyn Fn(SocketAddr) -> String + Send>,
    /// Its bound listener.
    pub listener: Listener,
    /// Keys for sessions and the API; `None` on loopback.
    pub tls: Option<Tls>,
    /// What peers may take of it.
    pub connections: ConnectionLimits,
    /// Whether others open sessions to its stages; not where all stages are in one process.
    pub serves_sessions: bool,
    /// The metadata store.
    pub store: Arc<dyn Metastore>,
    /// Makes the store that its lease is renewed in.
    pub lease_store: OpenStore,
    /// Makes connectors; needed by routers and dispatchers.
    pub registry: Arc<dyn Registry>,
    /// Asks the instances of routes; needed by controllers.
    pub connectors: Arc<Connectors>,
    /// How long its ownerships outlive its last renewal.
    pub lease_ttl: Duration,
    /// How long the drain of one unit may take.
    pub drain_deadline: Duration,
    /// How a router works.
    pub settings: Settings,
    /// What events that are under way may take of its memory.
    pub memory_budget: ByteSize,
    /// How large patterns may be.
    pub limits: Limits,
}

/// Runs a process until it is told to stop. `ready` is called with its address once it serves.
pub async fn run(setup: Setup, shutdown: Shutdown, ready: impl FnOnce(SocketAddr)) -> anyhow::Result<()> {
    let tasks = Tasks::new(shutdown.clone());
    let address = setup.listener.address();
    let mut keepers = Keepers::start(setup.store, setup.lease_store, setup.lease_ttl).await?;
    let region = Some(setup.region).filter(|region| !region.is_empty());
    let builder = Builder {
        member: setup.id.clone(),
        region: region.clone(),
        stages: setup.stages.clone(),
        serves_sessions: setup.serves_sessions,
        tls: setup.tls.clone(),
        registry: setup.registry,
        connectors: setup.connectors,
        settings: setup.settings,
        memory_budget: setup.memory_budget,
        limits: setup.limits,
        keepers: &keepers,
        tasks: &tasks,
    };
    let (stages, services) = builder.build().await?;
    let serving = Serving::start(setup.listener, services, setup.tls, setup.connections, &shutdown);
    keepers.known(&shutdown).await;
    let member = Member {
        id: setup.id,
        stages: setup.stages,
        region,
        networks: setup.networks,
        address: (setup.advertise)(address),
        capacity: 1,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: jiff::Timestamp::now().to_string(),
    };
    let units = stages.clone();
    let ownership = own(&keepers, &member, stages, setup.drain_deadline, &tasks);
    let registration = Registration::start(keepers.store.clone(), keepers.lease.clone(), member, keepers.members.clone(), &tasks);
    ready(address);

    shutdown.draining().await;
    let clock = Patience::of(&shutdown);
    tracing::info!(cause = ?shutdown.cause(), "draining");
    serving.refuse().await;
    let drained = async {
        registration.withdraw().await;
        ownership.ended().await;
    };
    // Every arm may be dropped: what has ended stays so, and the rest is stopped here.
    tokio::select! {
        biased;
        () = drained => {}
        () = shutdown.aborted() => tracing::warn!("the drain was cut off"),
        () = tokio::time::sleep_until(clock.until(patience::UNITS)) => {
            tracing::warn!("not every unit drained in time: they stop now, and what they have not committed is repeated");
            units.abandon();
        }
    }
    tracing::info!(after = ?clock.began().elapsed(), "drained");
    keepers.give_back(clock.until(patience::NETWORK)).await;
    let served = serving.stop(clock.until(patience::NETWORK)).await;
    shutdown.abort(Cause::Requested("drained".into()));
    keepers.stop();
    if let Err(unfinished) = tasks.join(serving::GRACE).await {
        tracing::warn!(%unfinished, "left behind");
    }
    served?;
    tracing::info!(after = ?clock.began().elapsed(), "stopped");
    Ok(())
}

/// Begins to own what is planned for this process.
fn own(keepers: &Keepers, member: &Member, stages: Stages, drain_deadline: Duration, tasks: &Tasks) -> Ownership {
    let parts = ownership::Parts {
        store: keepers.store.clone(),
        lease: keepers.lease.clone(),
        member: member.id.clone(),
        address: member.address.clone(),
        region: member.region.clone(),
        plans: keepers.plans.clone(),
        owners: keepers.owners.clone(),
        handler: Arc::new(stages),
        drain_deadline,
    };
    Ownership::start(parts, tasks)
}
