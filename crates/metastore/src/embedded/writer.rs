//! The one thread that changes the embedded store: plan in memory, commit to disk, then show.
//!
//! Transactions that wait are committed together, as far as they touch different keys: what one does then cannot depend on what another
//! one does, so each is planned on the state before all of them. Each has a revision of its own.

use std::collections::HashSet;
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use rocketbridge_runtime::Chain;

use crate::entry::{LeaseGrant, LeaseId};
use crate::error::Error;
use crate::transaction::{Compare, Operation, Transacted, Transaction};
use crate::watch::Change;

use super::file::File;
use super::state::{Effect, State};
use super::storage;

/// After a failed deletion of an expired lease's keys: when to try again.
const EXPIRY_RETRY: Duration = Duration::from_millis(200);

/// Most transactions that are committed together.
const GROUP: usize = 512;

type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// What callers ask of the writer.
#[derive(Debug)]
pub(super) enum Command {
    Transact { transaction: Transaction, reply: Reply<Transacted> },
    Grant { ttl: Duration, reply: Reply<LeaseGrant> },
    KeepAlive { lease: LeaseId, reply: Reply<Duration> },
    Revoke { lease: LeaseId, reply: Reply<()> },
    Close { reply: oneshot::Sender<()> },
}

pub(super) struct Writer {
    place: Arc<str>,
    file: File,
    state: Arc<RwLock<State>>,
    revision: watch::Sender<u64>,
}

impl Writer {
    /// A writer, and the channel that notifies watches of the revision of each commit.
    pub(super) fn new(place: Arc<str>, file: File, state: Arc<RwLock<State>>) -> (Self, watch::Receiver<u64>) {
        let (revision, receiver) = watch::channel(state.read().revision());
        let writer = Self { place, file, state, revision };
        (writer, receiver)
    }

    /// Works until the store is closed or its last handle is dropped. Blocks its thread.
    pub(super) fn run(self, queue: mpsc::Receiver<Command>) {
        match tokio::runtime::Builder::new_current_thread().enable_time().build() {
            Ok(timer) => timer.block_on(self.serve(queue)),
            Err(error) => {
                tracing::error!(place = %self.place, error = %error, "metastore writer has no timer, it stops")
            }
        }
    }

    async fn serve(self, mut queue: mpsc::Receiver<Command>) {
        // What was taken from the queue and could not be part of the last group.
        let mut next: Option<Command> = None;
        loop {
            let expiry = self.state.read().next_expiry();
            let expired = async {
                match expiry {
                    Some((at, lease)) => {
                        tokio::time::sleep_until(at).await;
                        lease
                    }
                    None => std::future::pending().await,
                }
            };
            // Leases expire first, so that a late renewal finds its lease gone.
            tokio::select! {
                biased;
                lease = expired => self.expire(lease).await,
                command = receive(&mut queue, &mut next) => match command {
                    None => return,
                    Some(Command::Close { reply }) => {
                        queue.close();
                        drop(queue);
                        drop(self);
                        let _ = reply.send(());
                        return;
                    }
                    Some(Command::Transact { transaction, reply }) => {
                        let mut group = Group::default();
                        group.add(transaction, reply);
                        while group.waiting.len() < GROUP && let Ok(command) = queue.try_recv() {
                            if let Some(other) = group.join(command) {
                                next = Some(other);
                                break;
                            }
                        }
                        self.transact(group);
                    }
                    Some(command) => self.answer(command),
                },
            }
        }
    }

    fn answer(&self, command: Command) {
        // The answer to a caller that gave up is lost; its command is carried out all the same.
        match command {
            Command::Transact { transaction, reply } => {
                let mut group = Group::default();
                group.add(transaction, reply);
                self.transact(group);
            }
            Command::Grant { ttl, reply } => drop(reply.send(Ok(self.state.write().grant(ttl, Instant::now())))),
            Command::KeepAlive { lease, reply } => {
                let left = self.state.write().keep_alive(lease, Instant::now());
                drop(reply.send(left.ok_or_else(|| self.lost(lease))));
            }
            Command::Revoke { lease, reply } => drop(reply.send(self.end(lease))),
            Command::Close { reply } => drop(reply.send(())),
        }
    }

    /// Carries transactions out that do not concern each other, with one write to the disk.
    fn transact(&self, group: Group) {
        let mut revision = self.state.read().revision();
        let mut revisions = Vec::new();
        let mut answers = Vec::new();
        for (transaction, reply) in group.waiting {
            let effect = self.state.read().effect(&transaction, revision + 1);
            let succeeded = match effect {
                Effect::Refused => false,
                Effect::NoLease(lease) => {
                    let _ = reply.send(Err(self.lost(lease)));
                    continue;
                }
                Effect::Changes(changes) => {
                    if !changes.is_empty() {
                        revision += 1;
                        revisions.push(changes);
                    }
                    true
                }
            };
            answers.push((reply, Transacted { succeeded, revision }));
        }
        // The answer to a caller that gave up is lost.
        match self.commit(revisions) {
            Ok(()) => answers.into_iter().for_each(|(reply, transacted)| drop(reply.send(Ok(transacted)))),
            Err(error) => {
                let reason = error.source().map_or_else(|| error.to_string(), |source| Chain(source).to_string());
                answers.into_iter().for_each(|(reply, _)| drop(reply.send(Err(storage("commit", &self.place, reason.as_str())))));
            }
        }
    }

    /// Nobody else writes, so the state is still the one that the changes were planned on. One revision for each element.
    fn commit(&self, revisions: Vec<Vec<Change>>) -> Result<(), Error> {
        if revisions.is_empty() {
            return Ok(());
        }
        let revision = self.state.read().revision() + revisions.len() as u64;
        self.file.commit(revision, revisions.iter().flatten())?;
        let mut state = self.state.write();
        revisions.into_iter().for_each(|changes| state.apply(changes));
        drop(state);
        self.revision.send_replace(revision);
        Ok(())
    }

    fn end(&self, lease: LeaseId) -> Result<(), Error> {
        let Some(ends) = self.state.read().plan_end(lease) else {
            return Ok(());
        };
        if !ends.is_empty() {
            self.commit(vec![ends])?;
        }
        self.state.write().end(lease);
        Ok(())
    }

    async fn expire(&self, lease: LeaseId) {
        if let Err(error) = self.end(lease) {
            tracing::error!(place = %self.place, %lease, error = %Chain(&error), "cannot delete the keys of an expired lease");
            tokio::time::sleep(EXPIRY_RETRY).await;
        }
    }

    fn lost(&self, lease: LeaseId) -> Error {
        Error::LeaseLost { lease, place: self.place.to_string() }
    }
}

/// Transactions that touch different keys.
#[derive(Default)]
struct Group {
    waiting: Vec<(Transaction, Reply<Transacted>)>,
    keys: HashSet<String>,
}

impl Group {
    /// Adds a command, or gives it back if it must wait for this group's end.
    fn join(&mut self, command: Command) -> Option<Command> {
        match command {
            Command::Transact { transaction, reply }
                if keys(&transaction).is_some_and(|mut keys| keys.all(|key| !self.keys.contains(key))) =>
            {
                self.add(transaction, reply);
                None
            }
            other => Some(other),
        }
    }

    fn add(&mut self, transaction: Transaction, reply: Reply<Transacted>) {
        self.keys.extend(keys(&transaction).into_iter().flatten().map(str::to_owned));
        self.waiting.push((transaction, reply));
    }
}

/// The keys that a transaction reads or writes; `None` if only the state says which they are.
fn keys(transaction: &Transaction) -> Option<impl Iterator<Item = &str>> {
    let is_open = transaction.operations.iter().any(|operation| matches!(operation, Operation::DeletePrefix(_)));
    let compared = transaction.compares.iter().map(|compare| match compare {
        Compare::KeyAbsent(key) | Compare::CreateRevision(key, _) | Compare::ModRevision(key, _) => key.as_str(),
    });
    let written = transaction.operations.iter().map(|operation| match operation {
        Operation::Put { key, .. } | Operation::Delete(key) | Operation::DeletePrefix(key) => key.as_str(),
    });
    (!is_open).then(|| compared.chain(written))
}

/// The next command: the one that was taken before, or else the next in the queue. Cancel-safe.
async fn receive(queue: &mut mpsc::Receiver<Command>, next: &mut Option<Command>) -> Option<Command> {
    match next.take() {
        Some(command) => Some(command),
        None => queue.recv().await,
    }
}
