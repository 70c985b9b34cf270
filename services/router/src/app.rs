//! The stage as the mesh sees it: units begin, drain and are abandoned here.

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use rocketbridge_assignment::{Claim, Handler, UnitId, UnitKind};
use rocketbridge_mesh::Patience;
use rocketbridge_model::status::{DiscoveryReport, StreamReport};
use rocketbridge_runtime::tasks::Failure;
use rocketbridge_runtime::{TaskHandle, TaskKind, Tasks};
use rocketbridge_transport::report::Reporter;
use tokio_util::sync::CancellationToken;

use crate::discovery::Discovery;
use crate::gauge::Gauge;
use crate::partition::OwnedPartition;
use crate::skips::Skips;
use crate::sources::Sources;
use crate::surroundings::Surroundings;

/// The router of a process.
pub struct Router {
    surroundings: Surroundings,
    skips: Skips,
    sources: Sources,
    tasks: Tasks,
    units: Mutex<HashMap<UnitId, Running>>,
}

struct Running {
    draining: CancellationToken,
    task: TaskHandle,
    tells: Tells,
}

/// What a running unit is asked for a report.
enum Tells {
    Partition(Gauge),
    Discovery(Arc<Mutex<DiscoveryReport>>),
}

impl Router {
    /// A router that owns nothing yet. Units run as `tasks`.
    pub fn new(surroundings: Surroundings, tasks: Tasks) -> Self {
        let skips = Skips::start(Arc::clone(&surroundings.store), &tasks);
        let sources = Sources::start(Arc::clone(&surroundings.store), &tasks);
        Self { surroundings, skips, sources, tasks, units: Mutex::default() }
    }

    fn begin(&self, unit: &UnitId, claim: Claim) {
        let draining = CancellationToken::new();
        let stop = draining.clone();
        let name = format!("router {unit}");
        let (task, tells) = match &unit.kind {
            UnitKind::Partition(partition) => {
                let gauge = Gauge::new(partition, claim.epoch);
                let owned = OwnedPartition {
                    stream: unit.stream.clone(),
                    partition: partition.clone(),
                    epoch: claim.epoch,
                    authority: claim.authority,
                    gauge: gauge.clone(),
                    definition: self.surroundings.definitions.follow(&unit.stream),
                    skips: self.skips.clone(),
                    sources: self.sources.clone(),
                    surroundings: self.surroundings.clone(),
                    draining: stop,
                    patience: Patience::of(self.tasks.shutdown()),
                    kept: None,
                };
                (self.spawn(name, owned.run()), Tells::Partition(gauge))
            }
            UnitKind::Discovery => {
                let report = Arc::new(Mutex::new(DiscoveryReport::default()));
                let discovery = Discovery {
                    stream: unit.stream.clone(),
                    definition: self.surroundings.definitions.follow(&unit.stream),
                    registry: self.surroundings.registry.clone(),
                    store: self.surroundings.store.clone(),
                    interval: self.surroundings.settings.discovery_interval,
                    report: report.clone(),
                    missing: HashMap::new(),
                };
                (self.spawn(name, discovery.run(stop)), Tells::Discovery(report))
            }
            UnitKind::FilterShard(_) | UnitKind::DispatchShard(_) => return,
        };
        if let Some(former) = self.units.lock().insert(unit.clone(), Running { draining, task, tells }) {
            former.task.cancel();
        }
    }

    fn spawn(&self, name: String, run: impl Future<Output = ()> + Send + 'static) -> TaskHandle {
        self.tasks.spawn(name, TaskKind::Worker, async move {
            run.await;
            Ok::<(), std::convert::Infallible>(())
        })
    }
}

impl Handler for Router {
    fn start<'a>(&'a self, unit: &'a UnitId, claim: Claim) -> BoxFuture<'a, Result<(), Failure>> {
        self.begin(unit, claim);
        Box::pin(async { Ok(()) })
    }

    fn drain<'a>(&'a self, unit: &'a UnitId) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let Some((draining, task)) = self.units.lock().get(unit).map(|running| (running.draining.clone(), running.task.clone())) else {
                return;
            };
            // Dropped at its deadline, it leaves the unit stopped.
            let _stop = StopOnDrop { router: self, unit };
            draining.cancel();
            task.ended().await;
        })
    }

    fn abandon(&self) {
        for (_, running) in self.units.lock().drain() {
            running.task.cancel();
        }
    }
}

struct StopOnDrop<'a> {
    router: &'a Router,
    unit: &'a UnitId,
}

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(running) = self.router.units.lock().remove(self.unit) {
            running.task.cancel();
        }
    }
}

impl Reporter for Router {
    fn reports(&self, streams: &[String]) -> Vec<StreamReport> {
        let mut reports: HashMap<String, StreamReport> = HashMap::new();
        for (unit, running) in self.units.lock().iter() {
            if !streams.is_empty() && !streams.contains(&unit.stream) {
                continue;
            }
            let report = reports
                .entry(unit.stream.clone())
                .or_insert_with(|| StreamReport { stream: unit.stream.clone(), ..StreamReport::default() });
            match &running.tells {
                Tells::Partition(gauge) => report.partitions.push(gauge.report()),
                Tells::Discovery(discovery) => report.discovery = Some(discovery.lock().clone()),
            }
        }
        let mut reports: Vec<_> = reports.into_values().collect();
        reports.sort_by(|left, right| left.stream.cmp(&right.stream));
        for report in &mut reports {
            report.uid = self.surroundings.definitions.stream(&report.stream).map(|stream| stream.uid.clone()).unwrap_or_default();
            report.partitions.sort_by(|left, right| left.partition.cmp(&right.partition));
        }
        reports
    }
}
