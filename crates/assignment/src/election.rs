//! Which controller leads: the one whose lease holds the key `leader`. Standbys watch the key and do not poll.

use std::sync::Arc;
use std::time::Duration;

use rocketbridge_codec::keyspace::LEADER;
use rocketbridge_metastore as metastore;
use rocketbridge_metastore::{Compare, Metastore, Mirror, Transaction};
use rocketbridge_model::{Epoch, MemberId};
use rocketbridge_runtime::{Backoff, Chain, TaskHandle, TaskKind, Tasks};
use tokio::sync::watch;

use crate::error::Error;
use crate::lease::{Lease, Term};

const BACKOFF_BASE: Duration = Duration::from_millis(50);
const BACKOFF_CAP: Duration = Duration::from_secs(2);

/// The candidacy of this process. Cheap to clone; each clone remembers separately what it has seen.
#[derive(Clone, Debug)]
pub struct Election {
    leadership: watch::Receiver<Option<Leadership>>,
    task: TaskHandle,
}

/// The leadership of this process, until its term is lost or the key is.
#[derive(Clone, Debug)]
pub struct Leadership {
    epoch: Epoch,
    term: Term,
}

impl Election {
    /// Stands for election under every term of `lease`. When `tasks` drain it resigns and ends.
    pub fn start(store: Arc<dyn Metastore>, lease: Lease, member: MemberId, tasks: &Tasks) -> Self {
        let (sender, leadership) = watch::channel(None);
        let mut candidate = Candidate { key: Mirror::start(Arc::clone(&store), LEADER, tasks), store, lease, member, leadership: sender };
        let shutdown = tasks.shutdown().clone();
        let task = tasks.spawn("election", TaskKind::Worker, async move {
            tokio::select! {
                biased;
                () = shutdown.draining() => {}
                () = candidate.run() => {}
            }
            candidate.resign().await
        });
        Self { leadership, task }
    }

    /// The leadership, if this process leads.
    pub fn leadership(&self) -> Option<Leadership> {
        self.leadership.borrow().clone().filter(|leadership| leadership.term.authority().is_valid())
    }

    /// Waits until leadership has been gained or lost since this handle last looked. Cancel-safe.
    pub async fn changed(&mut self) {
        if self.leadership.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// Returns when the candidacy has ended. Cancel-safe.
    pub async fn ended(&self) {
        self.task.ended().await;
    }
}

impl Leadership {
    /// Greater than that of every leader before.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The term it depends on.
    pub fn term(&self) -> &Term {
        &self.term
    }

    /// The condition under which a leader writes: a deposed leader's writes fail.
    pub fn guard(&self) -> Compare {
        Compare::CreateRevision(LEADER.to_owned(), self.epoch.0)
    }
}

struct Candidate {
    store: Arc<dyn Metastore>,
    lease: Lease,
    member: MemberId,
    key: Mirror,
    leadership: watch::Sender<Option<Leadership>>,
}

impl Candidate {
    async fn run(&mut self) {
        let mut backoff = Backoff::new(BACKOFF_BASE, BACKOFF_CAP);
        loop {
            let term = self.lease.term().await;
            // The key counts as seen before it is read, so that a change after the reading wakes the wait.
            self.key.take();
            match self.try_lead(&term).await {
                Ok(epoch) => {
                    backoff.reset();
                    self.show(epoch.map(|epoch| Leadership { epoch, term: term.clone() }));
                }
                Err(error) => {
                    let delay = backoff.next_delay();
                    tracing::warn!(error = %Chain(&error), ?delay, "cannot take part in the election, retrying");
                    tokio::select! {
                        biased;
                        () = term.lost() => self.show(None),
                        () = tokio::time::sleep(delay) => {}
                    }
                    continue;
                }
            }
            tokio::select! {
                biased;
                () = term.lost() => self.show(None),
                () = self.key.changed() => {}
            }
        }
    }

    /// The epoch of this process's leadership; `None` if somebody else leads.
    async fn try_lead(&self, term: &Term) -> Result<Option<Epoch>, Error> {
        let current = self.store.get(LEADER).await.map_err(Error::store("read the leader"))?;
        if let Some(entry) = current {
            return Ok((entry.lease == Some(term.id())).then_some(Epoch(entry.create_revision)));
        }
        let create = Transaction::new().when(Compare::KeyAbsent(LEADER.to_owned())).put_leased(LEADER, self.member.to_string(), term.id());
        match self.store.transact(create).await {
            Ok(outcome) => Ok(outcome.succeeded.then_some(Epoch(outcome.revision))),
            // The lease's own task reports that it is lost.
            Err(error) if error.code() == metastore::Code::LeaseLost => Ok(None),
            Err(error) => Err(Error::store("become the leader")(error)),
        }
    }

    fn show(&self, leadership: Option<Leadership>) {
        self.leadership.send_if_modified(|shown| {
            let differs = shown.as_ref().map(|shown| shown.epoch) != leadership.as_ref().map(|new| new.epoch);
            match (&leadership, differs) {
                (Some(new), true) => {
                    tracing::info!(member = %self.member, epoch = %new.epoch, "this controller leads now")
                }
                (None, true) => tracing::info!(member = %self.member, "this controller no longer leads"),
                (_, false) => {}
            }
            *shown = leadership;
            differs
        });
    }

    async fn resign(&self) -> Result<(), Error> {
        let leadership = self.leadership.send_replace(None);
        let Some(leadership) = leadership else {
            return Ok(());
        };
        let delete = Transaction::new().when(leadership.guard()).delete(LEADER);
        self.store.transact(delete).await.map(drop).map_err(Error::store("resign"))
    }
}
