//! The ownership loop of each process: it makes the units it owns match the units planned for it.
//!
//! Guarantees: a unit is started only after its owner key was created under this process's lease, with that key's epoch; it is released only
//! after it was drained, or its drain ran out of time and was dropped; when the lease is lost, all units stop at once and are claimed
//! again under the next lease with new epochs. A drain of the process drains everything, stage by stage in the direction of events: what ends in
//! the first is not there to be ended in the next. Then the loop ends; giving back the lease, which is its caller's next step, releases
//! everything at once.
//!
//! A process may own ten thousand units, and each one that is claimed or released is a reason to compare what is owned with what is planned.
//! So that the work does not grow with the square of their number, the loop rests after a comparison for several times as long as that
//! took. Meanwhile it starts what the last comparison found.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use rocketbridge_metastore::Metastore;
use rocketbridge_model::{Epoch, MemberId, Region};
use rocketbridge_runtime::tasks::Failure;
use rocketbridge_runtime::{Backoff, Chain, Shutdown, TaskHandle, TaskKind, Tasks};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::authority::Authority;
use crate::claim::Claims;
use crate::error::Code;
use crate::lease::{Lease, Term};
use crate::owners::{Owned, Owners};
use crate::plans::{Planned, Plans};
use crate::unit::UnitId;

/// How many units are claimed and started at once; more wait.
const CONCURRENT_STARTS: usize = 32;

/// How often the loop compares everything again without being woken.
const TICK: Duration = Duration::from_secs(5);

/// After a comparison the loop does not compare again for so many times as long as it took.
const REST: u32 = 4;

const BACKOFF_BASE: Duration = Duration::from_millis(100);
const BACKOFF_CAP: Duration = Duration::from_secs(10);

/// What a service does with the units of its stages.
pub trait Handler: Send + Sync {
    /// Begins to work on a unit that this process owns now. Before every effect on other systems the claim's authority must be valid, and
    /// everything that is sent must carry the claim's epoch.
    ///
    /// # Errors
    ///
    /// After any error the unit is released, and claimed again after a backoff while it is still planned. No work on it may continue.
    fn start<'a>(&'a self, unit: &'a UnitId, claim: Claim) -> BoxFuture<'a, Result<(), Failure>>;

    /// Drains a unit: takes no new events, finishes those it has taken, commits. When this future is dropped, because
    /// its deadline passed, the work must stop at once.
    fn drain<'a>(&'a self, unit: &'a UnitId) -> BoxFuture<'a, ()>;

    /// Stops the work on all units at once and forgets them, because the lease is lost. Must not block.
    fn abandon(&self);
}

/// The right to work on a unit.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The number of this ownership, greater than that of any earlier one.
    pub epoch: Epoch,
    /// Whether the claim can still be trusted.
    pub authority: Authority,
}

/// What the loop works with.
#[derive(Clone)]
pub struct Parts {
    /// Where owner keys are.
    pub store: Arc<dyn Metastore>,
    /// The lease to own under.
    pub lease: Lease,
    /// This process.
    pub member: MemberId,
    /// Where its sessions are served, `host:port`.
    pub address: String,
    /// Where it runs; `None` if no region was configured.
    pub region: Option<Region>,
    /// The plans of all streams.
    pub plans: Plans,
    /// The owners of all units.
    pub owners: Owners,
    /// Works on the units.
    pub handler: Arc<dyn Handler>,
    /// How long the drain of one unit may take.
    pub drain_deadline: Duration,
}

/// The loop of this process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ownership {
    owned: watch::Receiver<Arc<BTreeMap<UnitId, Epoch>>>,
    task: TaskHandle,
}

impl Ownership {
    /// Starts the loop. When `tasks` drain, it drains all units and ends; the lease is to be given back then.
    pub fn start(parts: Parts, tasks: &Tasks) -> Self {
        let (sender, owned) = watch::channel(Arc::default());
        let claims = Claims::new(Arc::clone(&parts.store), parts.member.clone(), parts.address.clone(), parts.region.clone());
        let reconciler = Reconciler {
            parts,
            claims,
            shutdown: tasks.shutdown().clone(),
            units: BTreeMap::new(),
            starting: 0,
            planned: None,
            queue: VecDeque::new(),
            retries: BTreeMap::new(),
            work: FuturesUnordered::new(),
            owned: sender,
        };
        let task = tasks.spawn("ownership", TaskKind::Worker, async move {
            reconciler.run().await;
            Ok::<(), std::convert::Infallible>(())
        });
        Self { owned, task }
    }

    /// The units that are being worked on.
    pub fn owned(&self) -> Arc<BTreeMap<UnitId, Epoch>> {
        Arc::clone(&self.owned.borrow())
    }

    /// Waits until the owned units differ from what this handle has seen. Cancel-safe.
    pub async fn changed(&mut self) {
        if self.owned.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// Returns when a drain of the process has drained everything. Cancel-safe.
    pub async fn ended(&self) {
        self.task.ended().await;
    }
}

struct Reconciler {
    parts: Parts,
    claims: Claims,
    shutdown: Shutdown,
    units: BTreeMap<UnitId, Phase>,
    /// How many of them are being claimed and started.
    starting: usize,
    /// What is planned for this process; `None` when it must be read again.
    planned: Option<Planned>,
    /// What the last comparison found to be started.
    queue: VecDeque<UnitId>,
    retries: BTreeMap<UnitId, Postponed>,
    work: FuturesUnordered<BoxFuture<'static, Done>>,
    owned: watch::Sender<Arc<BTreeMap<UnitId, Epoch>>>,
}

/// What this process is doing with a unit. It has no part in a unit that is not listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Starting,
    Owned(Epoch),
    Draining,
}

/// When to start a unit again that could not be started.
#[derive(Debug)]
struct Postponed {
    at: Instant,
    backoff: Backoff,
}

/// How a piece of work on a unit ended.
enum Done {
    Started(UnitId, Epoch),
    Held(UnitId),
    NotStarted(UnitId),
    Drained(UnitId),
}

enum End {
    /// The lease was lost.
    Lost,
    /// The process drained.
    Drained,
}

impl Postponed {
    fn new(at: Instant) -> Self {
        let backoff = Backoff::new(BACKOFF_BASE, BACKOFF_CAP);
        Self { at, backoff }
    }
}

impl Reconciler {
    async fn run(mut self) {
        let shutdown = self.shutdown.clone();
        loop {
            let term = tokio::select! {
                biased;
                () = shutdown.draining() => return,
                term = self.begin() => term,
            };
            match self.own(&term).await {
                End::Drained => return,
                End::Lost => self.abandon(),
            }
        }
    }

    /// Waits until plans and owners are known: acting on empty copies would drain everything.
    async fn begin(&mut self) -> Term {
        self.parts.plans.ready().await;
        self.parts.owners.ready().await;
        self.parts.lease.term().await
    }

    /// Owns units under one term.
    async fn own(&mut self, term: &Term) -> End {
        let shutdown = self.shutdown.clone();
        let (mut is_due, mut rested, mut was_draining) = (true, Instant::now(), false);
        loop {
            let draining = shutdown.is_draining();
            if draining && !was_draining {
                (is_due, rested, was_draining) = (true, Instant::now(), true);
            }
            let began = Instant::now();
            if is_due && began >= rested {
                self.compare(draining);
                is_due = false;
                rested = Instant::now() + began.elapsed() * REST;
            }
            self.start_queued(term);
            if draining && self.units.is_empty() {
                self.show();
                return End::Drained;
            }
            let wake = if is_due { rested } else { self.next_look() };
            // Every arm only receives or sleeps; what is missed here is found by the next comparison.
            tokio::select! {
                biased;
                () = term.lost() => return End::Lost,
                () = shutdown.draining(), if !draining => {}
                Some(done) = self.work.next() => {
                    self.finish(done);
                    is_due = true;
                }
                () = self.parts.plans.changed() => {
                    // Nothing is started by a plan that is no longer one.
                    self.planned = None;
                    self.queue.clear();
                    is_due = true;
                }
                () = self.parts.owners.changed() => is_due = true,
                () = tokio::time::sleep_until(wake) => is_due = true,
            }
        }
    }

    /// When to compare without being woken.
    fn next_look(&self) -> Instant {
        let tick = Instant::now() + TICK;
        self.retries.values().map(|retry| retry.at).min().map_or(tick, |at| at.min(tick))
    }

    /// Compares what is owned with what is planned: drains what is not planned, and lines up what is to be started.
    fn compare(&mut self, draining: bool) {
        let planned = match self.planned.take() {
            _ if draining => Planned::default(),
            Some(planned) => planned,
            None => self.parts.plans.planned_for(&self.parts.member),
        };
        let owners = self.parts.owners.now();
        self.drain_unplanned(&planned, &owners, draining);
        let now = Instant::now();
        let waits = |unit: &UnitId| self.retries.get(unit).is_some_and(|retry| now < retry.at);
        let startable = planned.units.iter().filter(|unit| !self.units.contains_key(*unit) && !waits(unit) && owners.is_free(unit));
        self.queue = startable.cloned().collect();
        self.planned = (!draining).then_some(planned);
        self.show();
    }

    fn drain_unplanned(&mut self, planned: &Planned, owners: &Owned, draining: bool) {
        let first = if draining { self.units.keys().map(UnitId::stage).min() } else { None };
        let over = |unit: &UnitId, epoch: Epoch| {
            let is_planned = planned.units.contains(unit) || planned.unreadable.contains(&unit.stream);
            let is_next = first.is_none_or(|stage| stage == unit.stage());
            (!is_planned && is_next) || owners.is_over(unit, epoch)
        };
        let ended: Vec<(UnitId, Epoch)> = self
            .units
            .iter()
            .filter_map(|(unit, phase)| match phase {
                Phase::Owned(epoch) if over(unit, *epoch) => Some((unit.clone(), *epoch)),
                _ => None,
            })
            .collect();
        for (unit, epoch) in ended {
            self.units.insert(unit.clone(), Phase::Draining);
            // Ten thousand units are given back at once with the lease; one by one they would take longer than a drain may.
            let claims = (!self.shutdown.is_draining()).then(|| self.claims.clone());
            self.work.push(drain(self.parts.clone(), claims, unit, epoch).boxed());
        }
        self.retries.retain(|unit, _| planned.units.contains(unit));
    }

    fn start_queued(&mut self, term: &Term) {
        while self.starting < CONCURRENT_STARTS
            && let Some(unit) = self.queue.pop_front()
        {
            self.units.insert(unit.clone(), Phase::Starting);
            self.starting += 1;
            self.work.push(start(Arc::clone(&self.parts.handler), self.claims.clone(), term.clone(), unit).boxed());
        }
    }

    fn finish(&mut self, done: Done) {
        if !matches!(done, Done::Drained(_)) {
            self.starting -= 1;
        }
        match done {
            Done::Started(unit, epoch) => {
                self.retries.remove(&unit);
                self.units.insert(unit, Phase::Owned(epoch));
            }
            Done::Held(unit) => {
                self.units.remove(&unit);
                // The copy of the owners is behind; it will show when the unit is free.
                let at = Instant::now() + BACKOFF_BASE;
                self.retries.entry(unit).or_insert_with(|| Postponed::new(at)).at = at;
            }
            Done::NotStarted(unit) => {
                self.units.remove(&unit);
                let retry = self.retries.entry(unit).or_insert_with(|| Postponed::new(Instant::now()));
                retry.at = Instant::now() + retry.backoff.next_delay();
            }
            Done::Drained(unit) => drop(self.units.remove(&unit)),
        }
    }

    fn abandon(&mut self) {
        // Starts and drains in progress are dropped first, so that nothing starts after everything was stopped.
        self.work = FuturesUnordered::new();
        self.parts.handler.abandon();
        self.units.clear();
        self.starting = 0;
        self.planned = None;
        self.queue.clear();
        self.retries.clear();
        self.show();
    }

    fn show(&self) {
        let owned: BTreeMap<UnitId, Epoch> = self
            .units
            .iter()
            .filter_map(|(unit, phase)| match phase {
                Phase::Owned(epoch) => Some((unit.clone(), *epoch)),
                Phase::Starting | Phase::Draining => None,
            })
            .collect();
        self.owned.send_if_modified(|shown| {
            let differs = **shown != owned;
            if differs {
                *shown = Arc::new(owned);
            }
            differs
        });
    }
}

async fn start(handler: Arc<dyn Handler>, claims: Claims, term: Term, unit: UnitId) -> Done {
    let epoch = match claims.claim(&term, &unit).await {
        Ok(epoch) => epoch,
        // This is normal during a handoff.
        Err(error) if error.code() == Code::Held => return Done::Held(unit),
        Err(error) => {
            tracing::warn!(%unit, error = %Chain(&error), "cannot claim the unit, retrying");
            return Done::NotStarted(unit);
        }
    };
    let claim = Claim { epoch, authority: term.authority().clone() };
    match handler.start(&unit, claim).await {
        Ok(()) => {
            tracing::info!(%unit, %epoch, "owned");
            Done::Started(unit, epoch)
        }
        Err(error) => {
            tracing::warn!(%unit, %epoch, error = %Chain(&*error), "cannot start the unit, retrying");
            release(&claims, &unit, epoch).await;
            Done::NotStarted(unit)
        }
    }
}

/// Drains a unit and releases it. Without claims it is not released: it stays until the lease is given back.
async fn drain(parts: Parts, claims: Option<Claims>, unit: UnitId, epoch: Epoch) -> Done {
    if timeout(parts.drain_deadline, parts.handler.drain(&unit)).await.is_err() {
        tracing::warn!(%unit, %epoch, deadline = ?parts.drain_deadline, "the drain took too long, the unit was stopped");
    }
    if let Some(claims) = claims {
        release(&claims, &unit, epoch).await;
    }
    tracing::info!(%unit, %epoch, "drained");
    Done::Drained(unit)
}

async fn release(claims: &Claims, unit: &UnitId, epoch: Epoch) {
    if let Err(error) = claims.release(unit, epoch).await {
        tracing::error!(%unit, error = %Chain(&error), "cannot release the unit; it stays claimed until the lease ends");
    }
}
