//! A source that hands out messages, a target with a taste, and the processes between them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use rocketbridge_assignment::{UnitId, UnitKind};
use rocketbridge_connector::testing::Pool;
use rocketbridge_connector::{Arrival, Code, Error, LaneKey, Permit, Registry, Source, Target, Terms};
use rocketbridge_harness::{Api, Route, eventually};
use rocketbridge_metastore::{Embedded, Metastore};
use rocketbridge_model::resolved::{DeadLetterTarget, RocketMqSource, RocketMqTarget};
use rocketbridge_model::session::Delivery;
use rocketbridge_model::{Epoch, Origin};
use rocketbridge_node::{Setup, Stage, run};
use rocketbridge_runtime::{Cause, Shutdown};
use tokio::task::JoinHandle;

use crate::shared::setup;

pub(crate) const DEADLINE: Duration = Duration::from_secs(240);

/// How a target treats a group of deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taste {
    Takes,
    /// It does so after a while.
    Slow(Duration),
    /// It cannot be reached.
    Dead,
}

/// What a target makes of each of its calls, by their number.
type Tasting = Box<dyn Fn(u64) -> Taste + Send>;

/// Source, target and metadata store of a test.
pub(crate) struct World {
    pub(crate) pool: Pool,
    target: Arc<Sink>,
    store: Embedded,
    _directory: tempfile::TempDir,
}

struct Sink {
    taste: Mutex<Tasting>,
    calls: AtomicU64,
    /// The message that it refuses for good.
    refused: AtomicU64,
    delivered: Mutex<Vec<u64>>,
}

/// A process that can be told to stop.
pub(crate) struct Node {
    pub(crate) api: Api,
    /// Where it serves.
    pub(crate) address: String,
    shutdown: Shutdown,
    task: JoinHandle<anyhow::Result<()>>,
}

/// A process in a runtime of its own, so that it can be killed.
pub(crate) struct Doomed {
    runtime: tokio::runtime::Runtime,
    shutdown: Shutdown,
}

pub(crate) fn terms() -> Terms {
    Terms { partitions: 4, invisible: Duration::from_secs(30), batch: 32, handles: 64, window: 512, is_ordered: false }
}

/// A route from the source to the target, with nothing of them in it that counts.
pub(crate) fn route() -> Route {
    Route {
        name: "s".into(),
        source: ("127.0.0.1:1".into(), "t".into()),
        target: ("127.0.0.1:1".into(), "copy".into()),
        pattern: "{}".into(),
        tag: String::new(),
        offset: "CONSUME_FROM_FIRST_OFFSET".into(),
        timestamp: None,
        group: String::new(),
    }
}

impl World {
    pub(crate) async fn new(terms: Terms) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let store = Embedded::open(directory.path()).await.expect("a store");
        let target = Sink {
            taste: Mutex::new(Box::new(|_| Taste::Takes)),
            calls: AtomicU64::new(0),
            refused: AtomicU64::new(u64::MAX),
            delivered: Mutex::default(),
        };
        Self { pool: Pool::new(terms), target: Arc::new(target), store, _directory: directory }
    }

    pub(crate) fn taste(&self, taste: impl Fn(u64) -> Taste + Send + 'static) {
        *self.target.taste.lock() = Box::new(taste);
    }

    /// The target refuses this message for good.
    pub(crate) fn refuse(&self, id: u64) {
        self.target.refused.store(id, Ordering::Relaxed);
    }

    /// A process with all stages.
    pub(crate) async fn standalone(&self, id: &str) -> Node {
        let stages = vec![Stage::Controller, Stage::Router, Stage::Filter, Stage::Dispatcher];
        let setup = Setup { lease_ttl: Duration::from_secs(3), ..setup(id, stages, &self.store, self.registry()).await };
        let shutdown = Shutdown::new();
        let (ready, address) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(run(setup, shutdown.clone(), move |address| ready.send(address).expect("the test waits")));
        let address = address.await.expect("it serves").to_string();
        let api = Api::connect(&format!("http://{address}")).await;
        Node { api, address, shutdown, task }
    }

    /// The epoch of a unit of the stream `s`, as its owner key has it.
    pub(crate) async fn epoch(&self, unit: UnitKind) -> Epoch {
        let key = UnitId::new("s", unit).key();
        Epoch(self.store.get(&key).await.expect("it is read").expect("it is owned").create_revision)
    }

    /// A router that can be killed.
    pub(crate) fn router(&self, id: &str) -> Doomed {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let (store, registry, id) = (self.store.clone(), self.registry(), id.to_owned());
        let shutdown = Shutdown::new();
        let heard = shutdown.clone();
        runtime.spawn(async move {
            let setup = setup(&id, vec![Stage::Router], &store, registry).await;
            run(Setup { lease_ttl: Duration::from_secs(3), ..setup }, heard, |_| {}).await.expect("it runs until it is killed");
        });
        Doomed { runtime, shutdown }
    }

    fn registry(&self) -> Arc<dyn Registry> {
        Arc::new(Connectors { pool: self.pool.clone(), target: self.target.clone() })
    }

    /// Identities of what was delivered, in the order of deliveries.
    pub(crate) fn delivered(&self) -> Vec<u64> {
        self.target.delivered.lock().clone()
    }

    /// Waits until so many deliveries were made.
    pub(crate) async fn wait_for(&self, count: usize) {
        eventually(&format!("{count} were delivered"), DEADLINE, async || {
            let delivered = self.target.delivered.lock().len();
            if delivered >= count { Ok(()) } else { Err(format!("{delivered} were; {:?}", self.pool.with(|state| state.counts))) }
        })
        .await;
    }

    /// Waits until so many messages are handed out.
    pub(crate) async fn wait_until_out(&self, count: usize) {
        eventually(&format!("{count} are handed out"), DEADLINE, async || {
            let out = self.pool.with(|state| state.out());
            if out >= count { Ok(()) } else { Err(format!("{out} are")) }
        })
        .await;
    }

    /// Waits until every message of the source is acknowledged.
    pub(crate) async fn wait_until_acknowledged(&self) {
        eventually("every message is acknowledged", DEADLINE, async || {
            let (left, counts) = self.pool.with(|state| (state.left(), state.counts));
            if left == 0 { Ok(()) } else { Err(format!("{left} are not: {counts:?}")) }
        })
        .await;
    }

    pub(crate) fn assert_each_once(&self, count: u64) {
        let delivered = self.delivered();
        let each: BTreeSet<u64> = delivered.iter().copied().collect();
        assert_eq!((each.len() as u64, delivered.len() as u64), (count, count), "messages, deliveries");
    }
}

impl Node {
    /// Tells it to stop, and waits until it has.
    pub(crate) async fn stop(self) {
        self.shutdown.drain(Cause::Requested("test".into()));
        self.task.await.expect("no panic").expect("it ends well");
    }
}

impl Doomed {
    /// Ends it where it stands.
    pub(crate) fn kill(self) {
        self.runtime.shutdown_background();
        // The thread of the lease is all that is left; it ends without giving the lease back.
        self.shutdown.abort(Cause::Requested("killed".into()));
    }
}

struct Connectors {
    pool: Pool,
    target: Arc<Sink>,
}

impl Registry for Connectors {
    fn source(&self, _: &RocketMqSource) -> Source {
        Source::Handles(Arc::new(self.pool.clone()))
    }

    fn target(&self, _: &RocketMqTarget, _: &RocketMqSource) -> Arc<dyn Target> {
        self.target.clone()
    }

    fn dead_letter(&self, _: &DeadLetterTarget) -> Arc<dyn Target> {
        self.target.clone()
    }
}

impl Target for Sink {
    fn deliver<'a>(
        &'a self,
        _: &'a LaneKey,
        origin: &'a Origin,
        _: &'a Permit,
        deliveries: &'a [Delivery],
    ) -> BoxFuture<'a, Vec<Result<Arrival, Error>>> {
        assert!(origin.is_received(), "{origin:?}");
        let taste = (self.taste.lock())(self.calls.fetch_add(1, Ordering::Relaxed));
        Box::pin(async move {
            match taste {
                Taste::Takes => {}
                Taste::Slow(time) => tokio::time::sleep(time).await,
                Taste::Dead => {
                    return deliveries.iter().map(|_| Err(Error::new(Code::Unavailable, "deliver", "the target is dead"))).collect();
                }
            }
            let refused = self.refused.load(Ordering::Relaxed);
            let mut delivered = self.delivered.lock();
            let ids = deliveries.iter().map(|delivery| Pool::id_of(&delivery.event));
            ids.map(|id| {
                if id == refused {
                    return Err(Error::new(Code::Rejected, "deliver", "too long"));
                }
                delivered.push(id);
                Ok(Arrival::Stored)
            })
            .collect()
        })
    }
}
