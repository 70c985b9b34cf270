//! The stages of a process: built, joined to each other, registered with the server, and handed their units.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context;
use futures::future::BoxFuture;
use rocketbridge_assignment::{Claim, Handler, Stage, UnitId};
use rocketbridge_connector::Registry;
use rocketbridge_connector_rocketmq::Connectors;
use rocketbridge_controller::{Controller, Seat};
use rocketbridge_delivery::Budget;
use rocketbridge_dispatcher::Dispatcher;
use rocketbridge_filter::Filter;
use rocketbridge_mesh::Reception;
use rocketbridge_model::{MemberId, Region};
use rocketbridge_pattern::Limits;
use rocketbridge_program::Compiler;
use rocketbridge_router::{Router, Settings, Surroundings};
use rocketbridge_runtime::tasks::Failure;
use rocketbridge_runtime::{Pool, Tasks};
use rocketbridge_transport::report::{Nothing, Reporter, member_service};
use rocketbridge_transport::server::Services;
use rocketbridge_transport::tls::Tls;
use rocketbridge_transport::{Channels, Dialer, Switchboard, grpc};
use tonic::service::RoutesBuilder;

use crate::clusters::Asked;
use crate::config::ByteSize;
use crate::keepers::Keepers;
use crate::reports::Ask;

/// What a partition or session may always hold: a small batch.
const LEAST: u64 = 64 << 10;

/// What the stages of a process are built from.
pub(crate) struct Builder<'a> {
    /// The process.
    pub(crate) member: MemberId,
    /// Where it runs; `None` if no region was configured.
    pub(crate) region: Option<Region>,
    /// Which stages it has.
    pub(crate) stages: Vec<Stage>,
    /// Whether others open sessions to them.
    pub(crate) serves_sessions: bool,
    /// Keys for sessions to other processes.
    pub(crate) tls: Option<Tls>,
    /// Makes connectors.
    pub(crate) registry: Arc<dyn Registry>,
    /// Asks the instances of routes.
    pub(crate) connectors: Arc<Connectors>,
    /// How a router works.
    pub(crate) settings: Settings,
    /// What events that are under way may take.
    pub(crate) memory_budget: ByteSize,
    /// How large patterns may be.
    pub(crate) limits: Limits,
    /// What the stages look things up in.
    pub(crate) keepers: &'a Keepers,
    /// What they run as.
    pub(crate) tasks: &'a Tasks,
}

/// The stages of a process; hands each unit to the one it belongs to.
#[derive(Clone, Default)]
pub(crate) struct Stages(HashMap<Stage, Arc<dyn Handler>>);

impl Builder<'_> {
    /// Builds every stage. Nothing is owned and nothing served before ownership and server start.
    pub(crate) async fn build(self) -> anyhow::Result<(Stages, Services)> {
        let switchboard = Arc::new(Switchboard::default());
        let channels = Arc::new(Channels::new(self.tls.clone(), self.region.clone()));
        // A process with several stages has all of them, so it never has to dial another.
        let is_alone = self.stages.len() > 1;
        let dialer = if is_alone { Dialer::Local(switchboard.clone()) } else { Dialer::Grpc(channels.clone()) };
        let mut services = Services::new()?;
        let mut stages = Stages::default();
        let mut reporter: Arc<dyn Reporter> = Arc::new(Nothing);
        if self.stages.contains(&Stage::Router) {
            let router = Arc::new(self.router(dialer.clone()));
            reporter = router.clone();
            stages.0.insert(Stage::Router, router);
        }
        if self.stages.contains(&Stage::Filter) {
            let pool = Pool::start("evaluate").context("cannot start the threads that evaluate")?;
            let filter = Filter::new(self.keepers.owners.clone(), dialer, Compiler::new(self.limits.clone()), pool, self.budget());
            let filter = Reception::new(filter, self.keepers.copies(), self.tasks.clone());
            switchboard.register_filter(Arc::new(filter.clone()));
            stages.0.insert(Stage::Filter, Arc::new(filter.clone()));
            if self.serves_sessions {
                let add = |routes: &mut RoutesBuilder| {
                    routes.add_service(grpc::filter_service(Arc::new(filter)));
                };
                services = services.with(&["rocketbridge.filter.v1.FilterService"], add).await;
            }
        }
        if self.stages.contains(&Stage::Dispatcher) {
            let dispatcher = Dispatcher::new(self.registry.clone(), self.budget());
            let dispatcher = Reception::new(dispatcher, self.keepers.copies(), self.tasks.clone());
            switchboard.register_dispatch(Arc::new(dispatcher.clone()));
            stages.0.insert(Stage::Dispatcher, Arc::new(dispatcher.clone()));
            if self.serves_sessions {
                let add = |routes: &mut RoutesBuilder| {
                    routes.add_service(grpc::dispatch_service(Arc::new(dispatcher)));
                };
                services = services.with(&["rocketbridge.dispatch.v1.DispatchService"], add).await;
            }
        }
        if self.stages.contains(&Stage::Controller) {
            let controller = self.controller(reporter.clone(), channels);
            let names = [
                "rocketbridge.stream.v1.StreamService",
                "rocketbridge.connection.v1.ConnectionService",
                "rocketbridge.network.v1.NetworkService",
                "rocketbridge.route.v1.RouteService",
            ];
            services = services.with(&names, |routes| controller.add_services(routes)).await;
        }
        let add = |routes: &mut RoutesBuilder| {
            routes.add_service(member_service(reporter));
        };
        services = services.with(&["rocketbridge.admin.v1.MemberService"], add).await;
        Ok((stages, services))
    }

    fn router(&self, dialer: Dialer) -> Router {
        let Keepers { store, definitions, owners, .. } = self.keepers;
        let surroundings = Surroundings {
            store: store.clone(),
            registry: self.registry.clone(),
            definitions: definitions.clone(),
            owners: owners.clone(),
            dialer,
            settings: self.settings,
            budget: self.budget(),
        };
        Router::new(surroundings, self.tasks.clone())
    }

    /// What one stage may hold. Within one process events are shared, not copied, so a router's part counts most of what filter and dispatcher
    /// hold as well; theirs are for what transforms make.
    fn budget(&self) -> Budget {
        let holders = self.stages.iter().filter(|stage| **stage != Stage::Controller).count().max(1);
        Budget::new(self.memory_budget.0 / holders as u64, LEAST)
    }

    fn controller(&self, reporter: Arc<dyn Reporter>, channels: Arc<Channels>) -> Controller {
        let Keepers { store, lease, members, owners, .. } = self.keepers;
        let reports = Ask { own: (self.member.clone(), reporter), members: members.clone(), channels };
        let compiler = Compiler::new(self.limits.clone());
        let clusters = Arc::new(Asked::new(self.connectors.clone()));
        let controller = Controller::new(store.clone(), Arc::new(reports), clusters, owners.clone(), members.clone(), compiler);
        let seat = Seat { lease: lease.clone(), member: self.member.clone() };
        controller.run(seat, self.tasks);
        controller
    }
}

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
