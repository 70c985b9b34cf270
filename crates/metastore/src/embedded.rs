//! A metadata store on one file of this process, for standalone.
//!
//! Guarantees: an answered transaction is on disk (fdatasync); only one process at a time can open the file (it is locked); opening deletes
//! every leased key, because its owner died with the process that wrote it.
//!
//! Reads are served from memory, as everything is small. One thread ([`writer`]) makes all changes, so that no async thread waits for a
//! disk. The last changes are kept in memory for watches; a watch that needs older ones fails with a request to resync.
//! Transactions that wait are committed together: alone, some 300 a second.

mod file;
mod state;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot, watch};

use crate::entry::{Entry, LeaseGrant, LeaseId, Listing};
use crate::error::Error;
use crate::store::Metastore;
use crate::transaction::{Transacted, Transaction};
use crate::watch::{Feed, Watch, WatchEvent};

use file::File;
use state::State;
use writer::{Command, Writer};

/// The name of the file within its directory.
const FILE_NAME: &str = "metastore.redb";

/// How many commands may wait for the writer. When the queue is full, further callers wait for a place.
const QUEUE: usize = 1024;

/// A store on a file. Cheap to clone; every clone is the same store.
#[derive(Clone, Debug)]
pub struct Embedded {
    place: Arc<str>,
    state: Arc<RwLock<State>>,
    commands: mpsc::Sender<Command>,
    revision: watch::Receiver<u64>,
}

impl Embedded {
    /// Opens the store in `directory`, which is created if need be.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] when the file cannot be opened, is damaged, or another process has it.
    pub async fn open(directory: &Path) -> Result<Self, Error> {
        let path = directory.join(FILE_NAME);
        let place: Arc<str> = path.display().to_string().into();
        let (opened, wait) = oneshot::channel();
        let (commands, queue) = mpsc::channel(QUEUE);
        let thread_place = Arc::clone(&place);
        let thread = move || match File::open(&path) {
            Ok((file, state)) => {
                let state = Arc::new(RwLock::new(state));
                let (writer, revision) = Writer::new(thread_place, file, Arc::clone(&state));
                if opened.send(Ok((state, revision))).is_ok() {
                    writer.run(queue);
                }
            }
            Err(error) => drop(opened.send(Err(error))),
        };
        // This is a thread and not a task because its writes block; it ends with the last handle.
        let spawned = std::thread::Builder::new().name("metastore".to_owned()).spawn(thread);
        spawned.map_err(|error| storage("start writer", &place, error))?;
        let (state, revision) = wait.await.map_err(|_| closed(&place))??;
        Ok(Self { place, state, commands, revision })
    }

    /// Closes the file. Every later call, and every watch, fails with [`Error::Closed`].
    pub async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.commands.send(Command::Close { reply }).await.is_ok() {
            let _ = closed.await;
        }
    }

    /// Forgets the changes up to and including `revision`: watches that still need one of them must resync.
    pub fn compact(&self, revision: u64) {
        self.state.write().compact(revision);
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Command) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| closed(&self.place))?;
        answer.await.map_err(|_| closed(&self.place))?
    }

    /// Memory could still be read after a close; this check makes reads fail like every other call.
    fn open_state(&self) -> Result<parking_lot::RwLockReadGuard<'_, State>, Error> {
        if self.commands.is_closed() { Err(closed(&self.place)) } else { Ok(self.state.read()) }
    }
}

impl Metastore for Embedded {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, Error>> {
        async move { Ok(self.open_state()?.get(key).cloned()) }.boxed()
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Listing, Error>> {
        async move { Ok(self.open_state()?.list(prefix)) }.boxed()
    }

    fn transact(&self, transaction: Transaction) -> BoxFuture<'_, Result<Transacted, Error>> {
        async move {
            transaction.validate()?;
            self.ask(|reply| Command::Transact { transaction, reply }).await
        }
        .boxed()
    }

    fn watch<'a>(&'a self, prefix: &'a str, after_revision: u64) -> BoxFuture<'a, Result<Watch, Error>> {
        let follower = Follower {
            place: Arc::clone(&self.place),
            state: Arc::clone(&self.state),
            revision: self.revision.clone(),
            prefix: prefix.to_owned(),
            cursor: after_revision,
        };
        async move { self.open_state().map(|_| Watch::new(follower)) }.boxed()
    }

    fn grant_lease(&self, ttl: Duration) -> BoxFuture<'_, Result<LeaseGrant, Error>> {
        self.ask(move |reply| Command::Grant { ttl, reply }).boxed()
    }

    fn keep_alive(&self, lease: LeaseId) -> BoxFuture<'_, Result<Duration, Error>> {
        self.ask(move |reply| Command::KeepAlive { lease, reply }).boxed()
    }

    fn revoke_lease(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), Error>> {
        self.ask(move |reply| Command::Revoke { lease, reply }).boxed()
    }
}

/// A watch: a position in the history that all watches share, so that a slow one costs no memory.
struct Follower {
    place: Arc<str>,
    state: Arc<RwLock<State>>,
    revision: watch::Receiver<u64>,
    prefix: String,
    cursor: u64,
}

impl Feed for Follower {
    fn next(&mut self) -> BoxFuture<'_, Result<WatchEvent, Error>> {
        async move {
            loop {
                // The history counts as seen before it is read, so that a change between the two wakes the wait below.
                self.revision.borrow_and_update();
                if let Some(event) = self.advance()? {
                    return Ok(event);
                }
                self.revision.changed().await.map_err(|_| closed(&self.place))?;
            }
        }
        .boxed()
    }
}

impl Follower {
    fn advance(&mut self) -> Result<Option<WatchEvent>, Error> {
        let state = self.state.read();
        if self.cursor < state.compacted() {
            return Err(Error::Compacted { prefix: self.prefix.clone(), place: self.place.to_string(), revision: state.compacted() });
        }
        let next = state.changes_after(self.cursor, &self.prefix);
        self.cursor = next.as_ref().map_or_else(|| state.revision().max(self.cursor), |(revision, _)| *revision);
        Ok(next.map(|(revision, changes)| WatchEvent::Changes { revision, changes }))
    }
}

fn closed(place: &str) -> Error {
    Error::Closed { place: place.to_owned() }
}

fn storage(step: &'static str, place: &str, source: impl Into<crate::error::BoxError>) -> Error {
    Error::Storage { step, place: place.to_owned(), source: source.into() }
}
