//! The parts that every process of the mesh has, and the order in which they begin and end.
//!
//! Begin: store, lease, mirrors, stages, server, ownership, registration. End (invariant I8): registration withdraws and units
//! drain, then the lease is revoked, the server stops, mirrors stop. The drain's deadline bounds all of it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures::future::BoxFuture;
use rocketbridge_assignment::{Claim, Handler, Lease, Member, Members, Owners, Ownership, Plans, Registration, Stage, UnitId, ownership};
use rocketbridge_connector::Registry;
use rocketbridge_controller::checks::Compilers;
use rocketbridge_controller::{Controller, Reports, Seat};
use rocketbridge_dispatcher::Dispatcher;
use rocketbridge_filter::Filter;
use rocketbridge_metastore::Metastore;
use rocketbridge_model::status::StreamReport;
use rocketbridge_model::{MemberId, Region};
use rocketbridge_pattern::Limits;
use rocketbridge_router::definitions::Definitions;
use rocketbridge_router::{Router, Settings};
use rocketbridge_runtime::tasks::Failure;
use rocketbridge_runtime::{Cause, Shutdown, Tasks};
use rocketbridge_transport::report::{Nothing, Reporter, ask, member_service};
use rocketbridge_transport::server::{Listener, Services};
use rocketbridge_transport::tls::Tls;
use rocketbridge_transport::{Channels, Dialer, Switchboard, grpc};
use tokio_util::sync::CancellationToken;

/// How long open calls may take once nothing is owned any more.
const SERVER_GRACE: Duration = Duration::from_millis(500);

/// What a process is made of.
pub struct Parts {
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
    /// The metadata store.
    pub store: Arc<dyn Metastore>,
    /// Makes connectors; needed by routers and dispatchers.
    pub registry: Arc<dyn Registry>,
    /// How long its ownerships outlive its last renewal.
    pub lease_ttl: Duration,
    /// How long the drain of one unit may take.
    pub drain_deadline: Duration,
    /// How a router works.
    pub settings: Settings,
    /// How large patterns may be.
    pub pattern_limits: Limits,
}

/// Runs a process until it is told to stop. `ready` hears its address once it serves.
pub async fn run(parts: Parts, shutdown: Shutdown, ready: impl FnOnce(SocketAddr)) -> anyhow::Result<()> {
    let tasks = Tasks::new(shutdown.clone());
    // Mirrors and the lease live through the drain, so they hang on a token of their own.
    let keepers = Tasks::new(Shutdown::new());
    let store = parts.store.clone();
    let address = parts.listener.address();
    let advertised = (parts.advertise)(address);

    let lease = Lease::start(store.clone(), parts.lease_ttl, &keepers).context("cannot hold a lease")?;
    let mut members = Members::start(store.clone(), &keepers);
    let mut owners = Owners::start(store.clone(), &keepers);
    let plans = Plans::start(store.clone(), &keepers);
    let mut definitions = Definitions::start(store.clone(), &keepers);

    let is_alone = parts.stages.len() > 1;
    let switchboard = Arc::new(Switchboard::default());
    let channels = Arc::new(Channels::new(parts.tls.clone()));
    let dialer = if is_alone { Dialer::Local(switchboard.clone()) } else { Dialer::Grpc(channels.clone()) };

    let mut services = Services::new()?;
    let mut handlers: HashMap<Stage, Arc<dyn Handler>> = HashMap::new();
    let mut reporter: Arc<dyn Reporter> = Arc::new(Nothing);
    if parts.stages.contains(&Stage::Router) {
        let router = Arc::new(Router::new(
            store.clone(),
            parts.registry.clone(),
            definitions.clone(),
            owners.clone(),
            dialer.clone(),
            parts.settings,
            tasks.clone(),
        ));
        reporter = router.clone();
        handlers.insert(Stage::Router, router);
    }
    if parts.stages.contains(&Stage::Filter) {
        let filter = Filter::new(owners.clone(), dialer.clone(), parts.pattern_limits.clone(), tasks.clone());
        switchboard.register_filter(Arc::new(filter.clone()));
        handlers.insert(Stage::Filter, Arc::new(filter.clone()));
        let add = |routes: &mut tonic::service::RoutesBuilder| {
            routes.add_service(grpc::filter_service(Arc::new(filter)));
        };
        services = services.with(&["rocketbridge.filter.v1.FilterService"], add).await;
    }
    if parts.stages.contains(&Stage::Dispatcher) {
        let dispatcher = Dispatcher::new(parts.registry.clone(), tasks.clone());
        switchboard.register_dispatch(Arc::new(dispatcher.clone()));
        handlers.insert(Stage::Dispatcher, Arc::new(dispatcher.clone()));
        let add = |routes: &mut tonic::service::RoutesBuilder| {
            routes.add_service(grpc::dispatch_service(Arc::new(dispatcher)));
        };
        services = services.with(&["rocketbridge.dispatch.v1.DispatchService"], add).await;
    }
    let controls = parts.stages.contains(&Stage::Controller);
    if controls {
        let reports = Ask { own: (parts.id.clone(), reporter.clone()), members: members.clone(), channels: channels.clone() };
        let controller = Controller::new(store.clone(), Arc::new(reports), owners.clone(), Compilers { limits: parts.pattern_limits });
        controller.run(Seat { lease: lease.clone(), member: parts.id.clone(), members: members.clone() }, &tasks);
        let names = [
            "rocketbridge.stream.v1.StreamService",
            "rocketbridge.connection.v1.ConnectionService",
            "rocketbridge.network.v1.NetworkService",
        ];
        services = services.with(&names, |routes| controller.add_services(routes)).await;
    }
    let add = |routes: &mut tonic::service::RoutesBuilder| {
        routes.add_service(member_service(reporter));
    };
    services = services.with(&["rocketbridge.admin.v1.MemberService"], add).await;
    let health = services.health();

    let stop_server = CancellationToken::new();
    let serving = {
        let (stop, tls, listener) = (stop_server.clone(), parts.tls.clone(), parts.listener);
        let failing = shutdown.clone();
        tokio::spawn(async move {
            let served = listener.serve(services, tls.as_ref(), stop.cancelled_owned(), SERVER_GRACE).await;
            if let Err(error) = &served {
                failing.drain(Cause::TaskFailed { task: "server".into(), reason: error.to_string() });
            }
            served
        })
    };

    let known = async {
        members.ready().await;
        owners.ready().await;
        definitions.ready().await;
    };
    tokio::select! {
        biased;
        () = shutdown.draining() => {}
        () = known => {}
    }
    let member = Member {
        id: parts.id.clone(),
        stages: parts.stages.clone(),
        region: Some(parts.region).filter(|region| !region.is_empty()),
        networks: parts.networks,
        address: advertised.clone(),
        capacity: 1,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: jiff::Timestamp::now().to_string(),
    };
    let ownership = Ownership::start(
        ownership::Parts {
            store: store.clone(),
            lease: lease.clone(),
            member: parts.id.clone(),
            address: advertised,
            plans,
            owners,
            handler: Arc::new(Stages(handlers)),
            drain_deadline: parts.drain_deadline,
        },
        &tasks,
    );
    let registration = Registration::start(store, lease.clone(), member, members, &tasks);
    ready(address);

    shutdown.draining().await;
    tracing::info!(cause = ?shutdown.cause(), "draining");
    health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
    registration.withdraw().await;
    let drained = async {
        ownership.ended().await;
        if let Err(error) = lease.revoke().await {
            tracing::warn!(%error, "the lease is not revoked and ends by itself");
        }
    };
    tokio::select! {
        biased;
        () = shutdown.aborted() => tracing::warn!("the drain was cut off"),
        () = drained => {}
    }
    stop_server.cancel();
    let served = serving.await.context("the server panicked")?;
    shutdown.abort(Cause::Requested("drained".into()));
    keepers.shutdown().abort(Cause::Requested("drained".into()));
    if let Err(unfinished) = tasks.join(SERVER_GRACE).await {
        tracing::warn!(%unfinished, "left behind");
    }
    served.context("the server failed")?;
    tracing::info!("stopped");
    Ok(())
}

/// Hands each unit to its stage.
struct Stages(HashMap<Stage, Arc<dyn Handler>>);

impl Handler for Stages {
    fn start<'a>(&'a self, unit: &'a UnitId, claim: Claim) -> BoxFuture<'a, Result<(), Failure>> {
        match self.0.get(&unit.stage()) {
            Some(handler) => handler.start(unit, claim),
            None => Box::pin(async move { Err(format!("this process has no stage for {unit}").into()) }),
        }
    }

    fn drain<'a>(&'a self, unit: &'a UnitId) -> BoxFuture<'a, ()> {
        match self.0.get(&unit.stage()) {
            Some(handler) => handler.drain(unit),
            None => Box::pin(async {}),
        }
    }

    fn abandon(&self) {
        for handler in self.0.values() {
            handler.abandon();
        }
    }
}

/// Asks every router for its reports, this process without a detour.
struct Ask {
    own: (MemberId, Arc<dyn Reporter>),
    members: Members,
    channels: Arc<Channels>,
}

impl Reports for Ask {
    fn stream_reports(&self, streams: Vec<String>) -> BoxFuture<'_, Vec<(MemberId, Result<Vec<StreamReport>, String>)>> {
        Box::pin(async move {
            let routers = self.members.all().into_iter().filter(|member| member.has(Stage::Router));
            let asks = routers.map(|member| {
                let streams = streams.clone();
                async move {
                    if member.id == self.own.0 {
                        return (member.id, Ok(self.own.1.reports(&streams)));
                    }
                    let told = ask(&self.channels, &member.address, streams).await;
                    (member.id, told.map_err(|error| error.to_string()))
                }
            });
            futures::future::join_all(asks).await
        })
    }
}
