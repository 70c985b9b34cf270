//! The one thread that changes the embedded store: plan in memory, commit to disk, then show.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use rocketbridge_runtime::Chain;

use crate::entry::{LeaseGrant, LeaseId};
use crate::error::Error;
use crate::transaction::{Transacted, Transaction};
use crate::watch::Change;

use super::file::File;
use super::state::{Effect, State};

/// After a failed deletion of an expired lease's keys: when to try again.
const EXPIRY_RETRY: Duration = Duration::from_millis(200);

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
                command = queue.recv() => match command {
                    None => return,
                    Some(Command::Close { reply }) => {
                        queue.close();
                        drop(queue);
                        drop(self);
                        let _ = reply.send(());
                        return;
                    }
                    Some(command) => self.answer(command),
                },
            }
        }
    }

    fn answer(&self, command: Command) {
        // The answer to a caller that gave up is lost; its command is carried out all the same.
        match command {
            Command::Transact { transaction, reply } => drop(reply.send(self.transact(&transaction))),
            Command::Grant { ttl, reply } => drop(reply.send(Ok(self.state.write().grant(ttl, Instant::now())))),
            Command::KeepAlive { lease, reply } => {
                let left = self.state.write().keep_alive(lease, Instant::now());
                drop(reply.send(left.ok_or_else(|| self.lost(lease))));
            }
            Command::Revoke { lease, reply } => drop(reply.send(self.end(lease))),
            Command::Close { reply } => drop(reply.send(())),
        }
    }

    fn transact(&self, transaction: &Transaction) -> Result<Transacted, Error> {
        let effect = self.state.read().effect(transaction);
        let succeeded = match effect {
            Effect::Refused => false,
            Effect::NoLease(lease) => return Err(self.lost(lease)),
            Effect::Changes(changes) => {
                self.commit(changes)?;
                true
            }
        };
        let revision = self.state.read().revision();
        Ok(Transacted { succeeded, revision })
    }

    /// Nobody else writes, so the state is still the one that the changes were planned on.
    fn commit(&self, changes: Vec<Change>) -> Result<(), Error> {
        if changes.is_empty() {
            return Ok(());
        }
        let revision = self.state.read().revision() + 1;
        self.file.commit(revision, &changes)?;
        self.state.write().apply(changes);
        self.revision.send_replace(revision);
        Ok(())
    }

    fn end(&self, lease: LeaseId) -> Result<(), Error> {
        let Some(ends) = self.state.read().plan_end(lease) else {
            return Ok(());
        };
        self.commit(ends)?;
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
