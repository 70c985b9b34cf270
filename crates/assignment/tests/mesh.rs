//! Several processes in one test, on one store: handoff, loss, self-fencing, election. Every scenario runs on the embedded store and on a
//! real etcd.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use rocketbridge_assignment::{
    Authority, Claim, Election, Handler, Lease, Member, Members, Owners, Ownership, Planner, Plans, Reason, Registration, Stage, Unit,
    UnitId, UnitKind, ownership,
};
use rocketbridge_metastore::testing::Cluster;
use rocketbridge_metastore::watch::Feed;
use rocketbridge_metastore::{
    Embedded, Entry, Error, Etcd, LeaseGrant, LeaseId, Listing, Metastore, Transacted, Transaction, Watch, WatchEvent,
};
use rocketbridge_model::{Epoch, MemberId, PartitionId};
use rocketbridge_runtime::tasks::Failure;
use rocketbridge_runtime::{Cause, Shutdown, Tasks};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

const TTL: Duration = Duration::from_secs(3);

/// What all handlers of a test saw. It fails the test when two owners that both trust their lease work on one unit, or an epoch does not grow.
#[derive(Debug, Default)]
struct Journal {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    active: BTreeMap<UnitId, (String, Authority)>,
    epochs: BTreeMap<UnitId, Epoch>,
    drained: Vec<(String, UnitId)>,
    abandoned: Vec<String>,
    violations: Vec<String>,
}

impl Journal {
    fn owners(&self) -> BTreeMap<UnitId, String> {
        self.state.lock().active.iter().map(|(unit, (process, _))| (unit.clone(), process.clone())).collect()
    }

    fn count(&self, process: &str) -> usize {
        self.owners().values().filter(|owner| *owner == process).count()
    }

    fn drained_by(&self, process: &str) -> usize {
        self.state.lock().drained.iter().filter(|(by, _)| by == process).count()
    }

    fn abandoned_by(&self, process: &str) -> usize {
        self.state.lock().abandoned.iter().filter(|by| *by == process).count()
    }

    fn check(&self) {
        let violations = &self.state.lock().violations;
        assert!(violations.is_empty(), "{violations:#?}");
    }
}

/// The handler of one process.
#[derive(Debug)]
struct Worker {
    process: String,
    journal: Arc<Journal>,
    refuses: AtomicBool,
    never_drains: AtomicBool,
}

impl Handler for Worker {
    fn start<'a>(&'a self, unit: &'a UnitId, claim: Claim) -> BoxFuture<'a, Result<(), Failure>> {
        async move {
            if self.refuses.load(Ordering::SeqCst) {
                return Err("not today".into());
            }
            let mut state = self.journal.state.lock();
            if let Some((other, authority)) = state.active.get(unit)
                && authority.is_valid()
            {
                let violation = format!("{unit}: {} starts while {other} owns it", self.process);
                state.violations.push(violation);
            }
            if let Some(before) = state.epochs.insert(unit.clone(), claim.epoch)
                && before >= claim.epoch
            {
                state.violations.push(format!("{unit}: epoch {before}, then {}", claim.epoch));
            }
            state.active.insert(unit.clone(), (self.process.clone(), claim.authority));
            Ok(())
        }
        .boxed()
    }

    fn drain<'a>(&'a self, unit: &'a UnitId) -> BoxFuture<'a, ()> {
        async move {
            if self.never_drains.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            // Longer than all that is not waited for.
            let work = if unit.stage() == Stage::Router { Duration::from_millis(20) } else { Duration::ZERO };
            tokio::time::sleep(work).await;
            let mut state = self.journal.state.lock();
            state.active.remove(unit);
            state.drained.push((self.process.clone(), unit.clone()));
        }
        .boxed()
    }

    fn abandon(&self) {
        let mut state = self.journal.state.lock();
        state.active.retain(|_, (process, _)| *process != self.process);
        state.abandoned.push(self.process.clone());
    }
}

/// The connection of one process to the store, which can be cut: calls and watches then hang.
#[derive(Clone, Debug)]
struct Link {
    store: Arc<dyn Metastore>,
    cut: watch::Sender<bool>,
}

impl Link {
    fn new(store: Arc<dyn Metastore>) -> Self {
        Self { store, cut: watch::Sender::new(false) }
    }

    fn through<'a, T: Send + 'a>(&'a self, call: impl Future<Output = T> + Send + 'a) -> BoxFuture<'a, T> {
        async move {
            let mut cut = self.cut.subscribe();
            cut.wait_for(|cut| !*cut).await.expect("the link lives");
            let answer = call.await;
            // An answer that arrives while the link is cut is held back until it is restored.
            cut.wait_for(|cut| !*cut).await.expect("the link lives");
            answer
        }
        .boxed()
    }
}

impl Metastore for Link {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, Error>> {
        self.through(self.store.get(key))
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Listing, Error>> {
        self.through(self.store.list(prefix))
    }

    fn transact(&self, transaction: Transaction) -> BoxFuture<'_, Result<Transacted, Error>> {
        self.through(self.store.transact(transaction))
    }

    fn watch<'a>(&'a self, prefix: &'a str, after_revision: u64) -> BoxFuture<'a, Result<Watch, Error>> {
        async move {
            let watch = self.through(self.store.watch(prefix, after_revision)).await?;
            let cut = self.cut.subscribe();
            Ok(Watch::new(Wire { watch, cut }))
        }
        .boxed()
    }

    fn grant_lease(&self, ttl: Duration) -> BoxFuture<'_, Result<LeaseGrant, Error>> {
        self.through(self.store.grant_lease(ttl))
    }

    fn keep_alive(&self, lease: LeaseId) -> BoxFuture<'_, Result<Duration, Error>> {
        self.through(self.store.keep_alive(lease))
    }

    fn revoke_lease(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), Error>> {
        self.through(self.store.revoke_lease(lease))
    }
}

/// A watch through a link.
struct Wire {
    watch: Watch,
    cut: watch::Receiver<bool>,
}

impl Feed for Wire {
    fn next(&mut self) -> BoxFuture<'_, Result<WatchEvent, Error>> {
        async move {
            loop {
                self.cut.wait_for(|cut| !*cut).await.expect("the link lives");
                tokio::select! {
                    biased;
                    _ = self.cut.changed() => {}
                    event = self.watch.next() => return event,
                }
            }
        }
        .boxed()
    }
}

/// A router and controller.
struct Process {
    id: MemberId,
    link: Link,
    tasks: Tasks,
    lease: Lease,
    election: Election,
    ownership: Ownership,
    worker: Arc<Worker>,
    plans: Plans,
}

impl Process {
    fn start(name: &str, store: &Arc<dyn Metastore>, journal: &Arc<Journal>, units: &watch::Sender<Option<Arc<[Unit]>>>) -> Self {
        let id = MemberId::new(name);
        let link = Link::new(Arc::clone(store));
        let store: Arc<dyn Metastore> = Arc::new(link.clone());
        let tasks = Tasks::new(Shutdown::new());
        let lease = Lease::start(Arc::clone(&store), TTL, &tasks).expect("long enough");
        let members = Members::start(Arc::clone(&store), &tasks);
        let owners = Owners::start(Arc::clone(&store), &tasks);
        let plans = Plans::start(Arc::clone(&store), &tasks);
        let member = Member {
            id: id.clone(),
            stages: vec![Stage::Router, Stage::Dispatcher, Stage::Controller],
            region: None,
            networks: Vec::new(),
            address: format!("{name}:1"),
            capacity: 1,
            version: "test".into(),
            started_at: String::new(),
        };
        Registration::start(Arc::clone(&store), lease.clone(), member, members.clone(), &tasks);
        let election = Election::start(Arc::clone(&store), lease.clone(), id.clone(), &tasks);
        Planner::start(Arc::clone(&store), election.clone(), members, owners.clone(), units.subscribe(), &tasks);
        let worker = Arc::new(Worker {
            process: name.to_owned(),
            journal: Arc::clone(journal),
            refuses: AtomicBool::new(false),
            never_drains: AtomicBool::new(false),
        });
        let parts = ownership::Parts {
            store,
            lease: lease.clone(),
            member: id.clone(),
            address: format!("{name}:1"),
            region: None,
            plans: plans.clone(),
            owners,
            handler: Arc::clone(&worker) as _,
            drain_deadline: Duration::from_millis(500),
        };
        let ownership = Ownership::start(parts, &tasks);
        Self { id, link, tasks, lease, election, ownership, worker, plans }
    }

    /// What a service does at SIGTERM.
    async fn terminate(&self) {
        self.tasks.shutdown().drain(Cause::Requested("test".into()));
        timeout(PATIENCE, self.ownership.ended()).await.expect("it drains");
        self.lease.revoke().await.expect("revoke");
        self.kill();
    }

    /// As by SIGKILL: nothing is released or withdrawn.
    fn kill(&self) {
        self.tasks.shutdown().abort(Cause::Requested("test".into()));
    }
}

/// A mesh on one store.
struct Mesh {
    store: Arc<dyn Metastore>,
    journal: Arc<Journal>,
    units: watch::Sender<Option<Arc<[Unit]>>>,
}

impl Mesh {
    fn new(store: Arc<dyn Metastore>, units: usize) -> Self {
        let mesh = Self { store, journal: Arc::default(), units: watch::Sender::new(None) };
        mesh.want(units);
        mesh
    }

    fn want(&self, count: usize) {
        let unit = |number: usize| Unit {
            id: UnitId::new(format!("stream/{}", number % 3), UnitKind::Partition(PartitionId::new(format!("b/{number}")))),
            region: None,
            network: None,
        };
        self.units.send_replace(Some((0..count).map(unit).collect()));
    }

    fn process(&self, name: &str) -> Process {
        Process::start(name, &self.store, &self.journal, &self.units)
    }

    /// Waits until processes work on these numbers of units.
    async fn settles(&self, expected: &[(&str, usize)]) {
        let total: usize = expected.iter().map(|(_, count)| count).sum();
        let wait = async {
            while self.journal.owners().len() != total || expected.iter().any(|(name, count)| self.journal.count(name) != *count) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let settled = timeout(PATIENCE, wait).await;
        self.journal.check();
        assert!(settled.is_ok(), "{expected:?}, got {:#?}", self.journal.owners());
    }

    async fn owner_keys(&self) -> Vec<Entry> {
        self.store.list("owners/").await.expect("list").entries
    }
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what}"));
}

/// Runs a scenario on both stores.
async fn on_both<F: Future<Output = ()>>(scenario: impl Fn(Arc<dyn Metastore>) -> F) {
    let directory = tempfile::tempdir().expect("a directory");
    scenario(Arc::new(Embedded::open(directory.path()).await.expect("open"))).await;
    if let Some(cluster) = Cluster::start(1) {
        scenario(Arc::new(Etcd::connect(cluster.config()).await.expect("connect"))).await;
    }
}

/// *Scenario*: a second process joins, units are added, the first is terminated. *Guarantees*: each time units are drained, released, and only
/// then started elsewhere with a higher epoch; nothing is left of the first process.
#[tokio::test]
async fn handoff_drains_first() {
    on_both(|store| async {
        let mesh = Mesh::new(store, 10);
        let one = mesh.process("one");
        mesh.settles(&[("one", 10)]).await;
        let two = mesh.process("two");
        mesh.settles(&[("one", 5), ("two", 5)]).await;
        assert_eq!(mesh.journal.drained_by("one"), 5);
        mesh.want(20);
        mesh.settles(&[("one", 10), ("two", 10)]).await;
        assert_eq!(mesh.journal.drained_by("one"), 5, "more units move none");
        one.terminate().await;
        mesh.settles(&[("two", 20)]).await;
        assert_eq!(mesh.journal.drained_by("one"), 15);
        assert_eq!(mesh.journal.abandoned_by("one"), 0);
        let members = mesh.store.list("members/").await.expect("list").entries;
        assert_eq!(members.len(), 1);
        mesh.want(0);
        mesh.settles(&[]).await;
        until("two knows", || two.ownership.owned().is_empty()).await;
        two.kill();
    })
    .await;
}

/// *Scenario*: the process that owns units and leads is killed. *Guarantees*: the other leads with a higher epoch, writes of the dead
/// leader would fail, and all units are taken over after the lease has ended, and not before.
#[tokio::test]
async fn a_killed_process_is_replaced() {
    on_both(|store| async {
        let mesh = Mesh::new(store, 6);
        let one = mesh.process("one");
        mesh.settles(&[("one", 6)]).await;
        let two = mesh.process("two");
        mesh.settles(&[("one", 3), ("two", 3)]).await;
        let before = one.election.leadership().expect("the first leads");
        assert!(two.election.leadership().is_none());
        one.kill();
        mesh.settles(&[("two", 6)]).await;
        let after = two.election.leadership().expect("the second leads");
        assert!(after.epoch() > before.epoch());
        let late = Transaction::new().when(before.guard()).put("plan/late", "{}");
        assert!(!mesh.store.transact(late).await.expect("transact").succeeded);
        two.kill();
    })
    .await;
}

/// *Scenario*: a process is cut off from the store. *Guarantees*: it abandons everything while its keys still keep others away, then others
/// take over; when it is back it registers under a new lease and owns again, with new epochs.
#[tokio::test]
async fn a_cut_off_process_fences_itself_first() {
    on_both(|store| async {
        let mesh = Mesh::new(store, 6);
        let one = mesh.process("one");
        mesh.settles(&[("one", 6)]).await;
        let two = mesh.process("two");
        mesh.settles(&[("one", 3), ("two", 3)]).await;
        let term = one.lease.current().expect("it has a lease");
        one.link.cut.send_replace(true);
        timeout(PATIENCE, term.lost()).await.expect("it notices");
        assert!(!term.authority().is_valid() && one.lease.current().is_none());
        until("it abandons", || mesh.journal.abandoned_by("one") == 1).await;
        let held = mesh.owner_keys().await.into_iter().filter(|entry| entry.lease == Some(term.id())).count();
        assert_eq!(held, 3, "its keys outlive its trust");
        assert_eq!(mesh.journal.count("two"), 3);
        mesh.settles(&[("two", 6)]).await;
        one.link.cut.send_replace(false);
        mesh.settles(&[("one", 3), ("two", 3)]).await;
        assert_ne!(one.lease.current().map(|term| term.id()), Some(term.id()));
        one.kill();
        two.kill();
    })
    .await;
}

/// *Scenario*: somebody revokes the lease of a process. *Guarantees*: it abandons everything at once, gets a new lease, registers and owns again.
#[tokio::test]
async fn a_revoked_lease_is_replaced() {
    on_both(|store| async {
        let mesh = Mesh::new(store, 4);
        let one = mesh.process("one");
        mesh.settles(&[("one", 4)]).await;
        let term = one.lease.current().expect("it has a lease");
        mesh.store.revoke_lease(term.id()).await.expect("revoke");
        timeout(PATIENCE, term.lost()).await.expect("it notices");
        until("it abandons", || mesh.journal.abandoned_by("one") == 1).await;
        mesh.settles(&[("one", 4)]).await;
        let renewed = one.lease.current().expect("a new lease").id();
        assert!(mesh.owner_keys().await.iter().all(|entry| entry.lease == Some(renewed)));
        one.kill();
    })
    .await;
}

/// *Scenario*: a handler refuses its units, then does not. *Guarantees*: refused units are not held, and are started once it is willing.
#[tokio::test]
async fn units_that_do_not_start_are_released() {
    on_both(|store| async {
        let mesh = Mesh::new(store, 0);
        let one = mesh.process("one");
        one.worker.refuses.store(true, Ordering::SeqCst);
        mesh.want(3);
        let mut plans = one.plans.clone();
        let planned = async {
            while plans.stream("stream/0").is_none_or(|plan| plan.units.is_empty()) {
                plans.changed().await;
            }
        };
        timeout(PATIENCE, planned).await.expect("they are planned");
        assert!(one.ownership.owned().is_empty());
        one.worker.refuses.store(false, Ordering::SeqCst);
        mesh.settles(&[("one", 3)]).await;
        one.kill();
    })
    .await;
}

/// *Scenario*: a drain that never ends. *Guarantees*: at its deadline the unit is released all the same, and the process can end.
#[tokio::test]
async fn drains_have_a_deadline() {
    on_both(|store| async {
        let mesh = Mesh::new(store, 4);
        let one = mesh.process("one");
        mesh.settles(&[("one", 4)]).await;
        one.worker.never_drains.store(true, Ordering::SeqCst);
        one.terminate().await;
        assert_eq!(mesh.owner_keys().await, []);
    })
    .await;
}

/// *Scenario*: a process with units of two stages is terminated. *Guarantees*: all units of the first stage have drained before the first unit of the next one does.
#[tokio::test]
async fn a_process_drains_stage_by_stage() {
    on_both(|store| async {
        let mesh = Mesh::new(store, 0);
        let one = mesh.process("one");
        let kinds = (0..4).flat_map(|n| [UnitKind::DispatchShard(n), UnitKind::Partition(PartitionId::new(format!("b/{n}")))]);
        let units = kinds.map(|kind| Unit { id: UnitId::new("s", kind), region: None, network: None });
        mesh.units.send_replace(Some(units.collect()));
        mesh.settles(&[("one", 8)]).await;
        one.terminate().await;
        let drained: Vec<_> = mesh.journal.state.lock().drained.iter().map(|(_, unit)| unit.stage()).collect();
        assert_eq!(drained, [[Stage::Router; 4], [Stage::Dispatcher; 4]].concat());
    })
    .await;
}

/// *Scenario*: an owner's key is deleted behind its back. *Guarantees*: it notices, stops that unit, and owns it again with a new epoch.
#[tokio::test]
async fn a_stolen_key_is_noticed() {
    on_both(|store| async {
        let mesh = Mesh::new(store, 3);
        let one = mesh.process("one");
        mesh.settles(&[("one", 3)]).await;
        let stolen = mesh.owner_keys().await.remove(0);
        mesh.store.transact(Transaction::new().delete(&stolen.key)).await.expect("delete");
        until("it stops the unit", || mesh.journal.drained_by("one") == 1).await;
        mesh.settles(&[("one", 3)]).await;
        one.kill();
    })
    .await;
}

/// *Scenario*: no process of a stage is there. *Guarantees*: the plan says why a unit has no owner.
#[tokio::test]
async fn the_plan_tells_why() {
    on_both(|store| async {
        let mesh = Mesh::new(store, 0);
        let one = mesh.process("one");
        let unit = Unit { id: UnitId::new("s", UnitKind::FilterShard(0)), region: None, network: None };
        mesh.units.send_replace(Some([unit].into()));
        until("the plan is there", || {
            let plan = one.plans.stream("s");
            plan.is_some_and(|plan| plan.unassigned.get(&UnitKind::FilterShard(0)) == Some(&Reason::NoMember))
        })
        .await;
        one.kill();
    })
    .await;
}

/// *Scenario*: processes are started and killed while the leader of three etcd members is killed and comes back. *Guarantees*: ownership stays
/// exclusive, nobody needs to be started again, and all units end up owned.
#[tokio::test]
async fn the_mesh_survives_the_loss_of_an_etcd_leader() {
    let Some(cluster) = Cluster::start(3) else {
        return;
    };
    let store: Arc<dyn Metastore> = Arc::new(Etcd::connect(cluster.config()).await.expect("connect"));
    let mesh = Mesh::new(store, 12);
    let one = mesh.process("one");
    let two = mesh.process("two");
    mesh.settles(&[("one", 6), ("two", 6)]).await;
    let leader = cluster.leader();
    cluster.kill(leader);
    let three = mesh.process("three");
    mesh.settles(&[("one", 4), ("two", 4), ("three", 4)]).await;
    cluster.restart(leader);
    two.kill();
    mesh.settles(&[("one", 6), ("three", 6)]).await;
    let owners: BTreeSet<String> = mesh.journal.owners().into_values().collect();
    assert_eq!(owners, BTreeSet::from([one.id.to_string(), three.id.to_string()]));
    one.kill();
    three.kill();
}
