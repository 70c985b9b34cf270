//! The controller as a part of a process.

use std::sync::Arc;

use rocketbridge_assignment::{Election, Lease, Members, Owners, Planner};
use rocketbridge_codec::definition::Kind;
use rocketbridge_codec::keyspace;
use rocketbridge_metastore::{Metastore, Mirror};
use rocketbridge_model::MemberId;
use rocketbridge_program::Compiler;
use rocketbridge_runtime::{TaskKind, Tasks};
use tokio::sync::watch;
use tonic::service::{Routes, RoutesBuilder};

use crate::book::Book;
use crate::clusters::Clusters;
use crate::grpc::{ConnectionApi, NetworkApi, RouteApi, StreamApi};
use crate::planning;
use crate::reports::Reports;
use crate::route::{Keeper, Reconciler};

/// The controller. Cheap to clone.
#[derive(Clone)]
pub struct Controller {
    store: Arc<dyn Metastore>,
    reports: Arc<dyn Reports>,
    clusters: Arc<dyn Clusters>,
    owners: Owners,
    members: Members,
    compiler: Arc<Compiler>,
}

/// What this process holds that lets it be elected.
pub struct Seat {
    /// Its lease.
    pub lease: Lease,
    /// Its identity.
    pub member: MemberId,
}

impl Controller {
    /// A controller over a metadata store. Patterns and transforms are checked by `compiler`. Spawns nothing and asks nothing.
    pub fn new(
        store: Arc<dyn Metastore>,
        reports: Arc<dyn Reports>,
        clusters: Arc<dyn Clusters>,
        owners: Owners,
        members: Members,
        compiler: Compiler,
    ) -> Self {
        Self { store, reports, clusters, owners, members, compiler: Arc::new(compiler) }
    }

    /// The services of the API, for a server.
    pub fn services(&self) -> Routes {
        let mut routes = RoutesBuilder::default();
        self.add_services(&mut routes);
        routes.routes()
    }

    /// Adds the services of the API to those of a server.
    pub fn add_services(&self, routes: &mut RoutesBuilder) {
        let book = self.book();
        let streams = StreamApi::new(book.clone(), Arc::clone(&self.reports), self.owners.clone(), self.members.clone());
        routes
            .add_service(RouteApi::new(book.clone(), Arc::clone(&self.clusters), streams.clone()).into_service())
            .add_service(streams.into_service())
            .add_service(ConnectionApi::new(book.clone()).into_service())
            .add_service(NetworkApi::new(book).into_service());
    }

    /// Keeps the streams of routes as the routes want them. A controller that runs does this by itself while it leads.
    pub fn reconciler(&self) -> Reconciler {
        Reconciler::new(self.book(), Arc::clone(&self.clusters))
    }

    /// Keeps the progress of the groups of routes current. A controller that runs does this by itself while it leads.
    pub fn keeper(&self) -> Keeper {
        Keeper::new(self.book(), Arc::clone(&self.clusters))
    }

    fn book(&self) -> Book {
        Book::new(Arc::clone(&self.store), Arc::clone(&self.compiler))
    }

    /// Lets this controller be elected and plan while it leads. The loops are tasks of `tasks` and end with them.
    pub fn run(&self, seat: Seat, tasks: &Tasks) -> Election {
        let (units, units_seen) = watch::channel(None);
        let definitions = Mirror::start(Arc::clone(&self.store), keyspace::DEFINITIONS, tasks);
        let sources = Mirror::start(Arc::clone(&self.store), keyspace::SOURCES, tasks);
        let publish = async move {
            planning::publish(definitions, sources, units).await;
            Ok::<(), std::convert::Infallible>(())
        };
        tasks.spawn("units for the planner", TaskKind::Background, publish);
        let election = Election::start(Arc::clone(&self.store), seat.lease, seat.member, tasks);
        let (store, leader) = (Arc::clone(&self.store), election.clone());
        let sweep = async move {
            planning::sweep(store, leader).await;
            Ok::<(), std::convert::Infallible>(())
        };
        tasks.spawn("sweep of notes and sources", TaskKind::Background, sweep);
        let routes = Mirror::start(Arc::clone(&self.store), keyspace::folder(Kind::Route), tasks);
        let (reconciler, leader) = (self.reconciler(), election.clone());
        let reconcile = async move {
            reconciler.run(leader, routes).await;
            Ok::<(), std::convert::Infallible>(())
        };
        tasks.spawn("streams of routes", TaskKind::Background, reconcile);
        let (keeper, leader) = (self.keeper(), election.clone());
        let keep = async move {
            keeper.run(leader).await;
            Ok::<(), std::convert::Infallible>(())
        };
        tasks.spawn("progress of groups", TaskKind::Background, keep);
        let owners = self.owners.clone();
        Planner::start(Arc::clone(&self.store), election.clone(), self.members.clone(), owners, units_seen, tasks);
        election
    }
}
